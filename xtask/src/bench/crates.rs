//! Run the crates' own benchmarks and keep their throughput.

use super::report::Report;
use crate::run;
use std::{fs, path::Path};

/// One measured operation.
#[derive(Debug, PartialEq, Eq)]
struct Figure {
    name: String,
    time: String,
    throughput: String,
}

/// Runs the benches of every crate that has some.
pub fn measure(report: &mut Report) -> Result<(), String> {
    report.section("Parts", "Medians of one run on one core each; names say crate, operation and sizes.");
    report.table(["operation", "time", "throughput"]);
    let folder = run::root().join("crates");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<(String, Vec<String>)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, benches_in(&entry.path()))))
        .filter(|(_, benches)| !benches.is_empty())
        .collect();
    names.sort();
    for (name, benches) in names {
        run::step(&format!("benches of {name}"));
        // By name: `--benches` would run the unit tests' binary too, which knows none of criterion's options.
        let benches = benches.iter().flat_map(|bench| ["--bench", bench]);
        let mut command = run::cargo();
        command.args(["bench", "--locked", "--package", &name]).args(benches).args(["--", "--noplot"]);
        let text = run::output(&mut command)?;
        for figure in figures(&text) {
            report.row([&figure.name, &figure.time, &figure.throughput]);
        }
    }
    Ok(())
}

/// Names of a crate's benches.
fn benches_in(package: &Path) -> Vec<String> {
    let files = fs::read_dir(package.join("benches")).into_iter().flatten().flatten().map(|entry| entry.path());
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<_> = rust.filter_map(|path| Some(path.file_stem()?.to_str()?.to_string())).collect();
    names.sort();
    names
}

/// Reads criterion's output: a name, then `time: [low median high]`, then perhaps `thrpt:` of the same shape.
fn figures(text: &str) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    let mut name = String::new();
    for line in text.lines() {
        // Comparisons with an earlier run have the same words and percentages.
        if line.contains('%') {
            continue;
        }
        if let Some((before, bracket)) = line.split_once("time:") {
            let before = before.trim();
            let name = if before.is_empty() { name.clone() } else { before.to_string() };
            figures.push(Figure { name, time: median(bracket), throughput: String::new() });
        } else if let Some((_, bracket)) = line.split_once("thrpt:") {
            if let Some(last) = figures.last_mut() {
                last.throughput = median(bracket);
            }
        } else if !line.starts_with([' ', '\t']) && !line.trim().is_empty() {
            name = line.trim().to_string();
        }
    }
    figures
}

/// The middle of `[1.0 ms 1.1 ms 1.2 ms]`.
fn median(bracket: &str) -> String {
    let words: Vec<&str> = bracket.trim().trim_matches(['[', ']']).split_whitespace().collect();
    words.get(2..4).map(|words| words.join(" ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_criterion_prints() {
        let text = "\
Benchmarking erasure::encode/k=4: Warming up for 3.0 s
erasure::encode/fragment=2MiB k=4 m=4
                        time:   [1.10 ms 1.20 ms 1.30 ms]
                        thrpt:  [6.1 GB/s 6.2 GB/s 6.3 GB/s]
                 change:
                        time:   [-1.0% +0.1% +1.0%] (p = 0.5 > 0.05)
short                   time:   [1.0 ns 2.0 ns 3.0 ns]
";
        let found = figures(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name, "erasure::encode/fragment=2MiB k=4 m=4");
        assert_eq!((found[0].time.as_str(), found[0].throughput.as_str()), ("1.20 ms", "6.2 GB/s"));
        assert_eq!((found[1].name.as_str(), found[1].time.as_str()), ("short", "2.0 ns"));
    }
}
