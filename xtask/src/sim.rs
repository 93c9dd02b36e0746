//! Run the simulator.

use crate::run;
use std::{path::PathBuf, process::Command};

/// One scenario, or all of them with `--seeds N`.
pub fn run(arguments: &[String]) -> Result<(), String> {
    if let [word, count] = arguments
        && word == "--seeds"
    {
        return all(count.parse().map_err(|_| format!("--seeds needs a whole number, not `{count}`"))?);
    }
    run::run(Command::new(build()?).args(arguments))
}

/// All scenarios with seeds 1 to this one.
pub fn all(seeds: u64) -> Result<(), String> {
    let sim = build()?;
    for scenario in run::output(Command::new(&sim).arg("--list"))?.lines() {
        run::step(&format!("{scenario}, {seeds} seeds"));
        for seed in 1..=seeds {
            run::run(Command::new(&sim).args(["--scenario", scenario, "--seed", &seed.to_string()]))?;
        }
    }
    Ok(())
}

/// Builds it as the tests do, and returns its path.
fn build() -> Result<PathBuf, String> {
    run::step("building the simulator");
    run::run(run::cargo().args(["build", "--release", "--workspace", "--locked", "--bin", "sim"]))?;
    Ok(run::release_dir().join("sim"))
}
