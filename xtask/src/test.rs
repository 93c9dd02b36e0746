//! Run the whole test suite.

use crate::{machine, network::Devnet, run, s3_tests};
use std::{path::Path, process::Command};

/// From PyPI, for `tests/s3`.
const S3_TOOLS: [&str; 4] = ["-q", "boto3==1.43.11", "awscli==1.46.3", "s3cmd==2.4.0"];

/// Crates first, with the tests that start real processes, then the wallets of others.
pub fn run() -> Result<(), String> {
    machine::ensure_c_compiler()?;
    machine::ensure_npm()?;
    machine::ensure_python()?;
    machine::offer_rclone();
    run::step("crates, and networks of real processes");
    run::run(run::cargo().args(["test", "--release", "--workspace", "--locked"]))?;
    run::step("wallets and compilers of others");
    let folder = run::root().join("tests/wallets");
    // Not `npm ci`: it wants the lock file to name packages of other systems too, which npm leaves out.
    run::run(Command::new("npm").args(["install", "--no-save", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    // Its own tests have just built it.
    let devnet = Devnet::start(&run::cess(), &["--miners", "8"])?;
    let result = drive(&devnet, &folder).and_then(|()| {
        run::step("S3 with the tools of others");
        let python = s3_tests::python_with("s3-check-python", &S3_TOOLS)?;
        let tests = run::root().join("tests/s3");
        run::run(Command::new(&python).arg(tests.join("check.py")).arg(run::cess()).arg(devnet.dir()))?;
        let binaries = python.with_file_name("");
        run::run(Command::new(&python).arg(tests.join("tools.py")).arg(devnet.dir()).arg(binaries))
    });
    devnet.stop(result)
}

fn drive(devnet: &Devnet, folder: &Path) -> Result<(), String> {
    let description = devnet.description()?;
    let [url, key] = ["/rpc_url", "/accounts/0/private_key"].map(|path| description.pointer(path)?.as_str());
    let (Some(url), Some(key)) = (url, key) else { return Err("devnet.json names no node or no account".into()) };
    run::run(Command::new("npm").args(["test", "--", url, key]).current_dir(folder))
}
