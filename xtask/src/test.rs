//! Run the whole test suite.

use crate::{machine, network::Devnet, run};
use std::{path::Path, process::Command};

/// Tests of what does not hold yet; each is a defect to mend, not a test to change.
const KNOWN_TO_FAIL: [&str; 2] = [
    // A transfer right after four validators were killed may be replaced by a nonce that was given out twice.
    "validators_die_and_nothing_is_lost_slow",
    // A put that was killed and resumed can commit a root whose segment its members cannot prove.
    "stores_and_reads_objects_through_every_failure_it_has_to_bear_slow",
];

/// Crates first, with the tests that start real processes, then the wallets of others.
pub fn run() -> Result<(), String> {
    machine::ensure_c_compiler()?;
    machine::ensure_npm()?;
    let cess = run::build_cess()?;
    run::step("crates, and networks of real processes");
    let skipped = KNOWN_TO_FAIL.iter().flat_map(|name| ["--skip", name]);
    run::run(run::cargo().args(["test", "--release", "--workspace", "--locked", "--"]).args(skipped))?;
    run::step("wallets and compilers of others");
    let folder = run::root().join("tests/wallets");
    run::run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    let devnet = Devnet::start(&cess, &["--miners", "8"])?;
    let result = drive(&devnet, &folder);
    devnet.stop(result)
}

fn drive(devnet: &Devnet, folder: &Path) -> Result<(), String> {
    let description = devnet.description()?;
    let [url, key] = ["/rpc_url", "/accounts/0/private_key"].map(|path| description.pointer(path)?.as_str());
    let (Some(url), Some(key)) = (url, key) else { return Err("devnet.json names no node or no account".into()) };
    run::run(Command::new("npm").args(["test", "--", url, key]).current_dir(folder))
}
