//! Bring up a whole network: check the machine, build, and become `cess devnet`.

use crate::{machine, run};
use std::{os::unix::process::CommandExt, process::Command};

/// Does not return if the network comes up: this process becomes it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    machine::ensure_c_compiler()?;
    let cess = run::build_cess()?;
    let error = Command::new(&cess).arg("devnet").args(arguments).exec();
    Err(format!("{} could not be started: {error}", cess.display()))
}
