//! Write a commented example of a configuration, so that guides cannot fall behind the code.

use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, fs, path::Path};

/// Writes the example into `docs/operate` and fails if what was there said something else.
pub fn write<T>(name: &str, title: &str, config: &T, comments: &[(&str, &str)])
where
    T: Serialize + DeserializeOwned + PartialEq + fmt::Debug,
{
    let toml = toml::to_string_pretty(config).unwrap();
    let text = format!("# {title}\n{}", commented(&toml, comments));
    assert_eq!(text.matches("\n\n# ").count(), comments.len(), "a comment is about nothing");
    assert_eq!(&toml::from_str::<T>(&text).unwrap(), config, "the example does not say what it should");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate").join(name);
    if fs::read_to_string(&path).unwrap_or_default() != text {
        fs::write(&path, text).unwrap();
        panic!("the configuration has changed: look at docs/operate/{name}, then run the test again");
    }
}

/// Puts its comment above every key.
fn commented(toml: &str, comments: &[(&str, &str)]) -> String {
    let mut table = String::new();
    let mut text = String::new();
    for line in toml.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((key, _)) = line.split_once(" = ") {
            let key = format!("{table}{key}");
            let (_, comment) = comments.iter().find(|(of, _)| *of == key).unwrap_or_else(|| panic!("what is {key}?"));
            text.push_str(&format!("\n# {comment}\n"));
        }
        text.push_str(&format!("{line}\n"));
    }
    text
}
