//! Check what every change must pass.

use crate::{run, test};

/// Format, lints, the whole test suite.
pub fn run() -> Result<(), String> {
    run::step("format");
    run::run(run::cargo().args(["fmt", "--all", "--check"]))?;
    run::step("lints");
    let lints = ["clippy", "--release", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run::run(run::cargo().args(lints))?;
    test::run()
}
