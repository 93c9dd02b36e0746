//! Check format and lints.

use crate::run;

/// Format first, as it takes no time.
pub fn run() -> Result<(), String> {
    run::step("format");
    run::run(run::cargo().args(["fmt", "--all", "--check"]))?;
    run::step("lints");
    let lints = ["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run::run(run::cargo().args(lints))
}
