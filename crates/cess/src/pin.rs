//! Keep the specification of a chain that is first heard of from a node, and believe no other from then on.
//!
//! The first use is a matter of trust: whoever answers then names the committee. Where that will not do, the specification
//! comes from elsewhere (`genesis` in a miner's configuration, the same file under the pin's name for `--rpc`).

use crate::devnet::write_whole;
use anyhow::{Context, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use types::ChainSpec;

/// Folder of pins within a data folder.
const FOLDER: &str = "chains";

/// Where the chain behind a URL is kept.
pub fn path(data: &Path, url: &str) -> PathBuf {
    let name = url.trim_end_matches('/');
    let name = name.split_once("://").map_or(name, |(_, name)| name);
    let safe = |character: char| character.is_ascii_alphanumeric() || ".-".contains(character);
    let name: String = name.chars().map(|character| if safe(character) { character } else { '_' }).collect();
    data.join(FOLDER).join(format!("{name}.toml"))
}

/// What is kept at `path`, if anything is.
pub fn read(path: &Path) -> Result<Option<ChainSpec>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(ChainSpec::from_toml(&text).with_context(|| path.display().to_string())?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Keeps what a node says; refuses what is no specification.
pub fn write(path: &Path, spec: &ChainSpec, url: &str) -> Result<()> {
    let text = format!("# As the node at {} said at the first use.\n{}", url.escape_default(), spec.to_toml());
    ChainSpec::from_toml(&text).with_context(|| format!("what the node at {url} says of its chain"))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)
        .and_then(|()| write_whole(path, text.as_bytes()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests;
