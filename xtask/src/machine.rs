//! Look after what the build and the tests need from the machine, or say exactly how to get it.

use crate::run;
use std::{
    io::Write,
    process::{Command, Stdio},
};

/// A program of C with the headers that the cryptography libraries include.
const C_PROGRAM: &str =
    "#include <stdlib.h>\n#include <string.h>\n#include <pthread.h>\nint main(void) { return 0; }\n";

/// Makes sure that C can be compiled: aws-lc, blst, c-kzg, secp256k1, blake3 and zstd bring C and assembly.
pub fn ensure_c_compiler() -> Result<(), String> {
    if c_compiles() {
        return Ok(());
    }
    install("a C compiler", &["build-essential"])?;
    if c_compiles() {
        Ok(())
    } else {
        Err("the C compiler still compiles nothing: check `cc` and the variable CC".into())
    }
}

/// Makes sure that there is Node.js with npm, for the tests with other people's wallets.
pub fn ensure_npm() -> Result<(), String> {
    if run::exists("node") && run::exists("npm") {
        return Ok(());
    }
    install("Node.js with npm", &["nodejs", "npm"])
}

/// Makes sure that Python can make environments of its own, for the tests with other people's S3 tools.
pub fn ensure_python() -> Result<(), String> {
    let makes_environments = || run::output(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_ok();
    if makes_environments() {
        return Ok(());
    }
    install("Python with venv", &["python3", "python3-venv"])
}

/// Installs rclone, one of the S3 tools of the tests, if we may. The tests say so where it is missing.
pub fn offer_rclone() {
    if !run::exists("rclone")
        && let Err(error) = install("rclone", &["rclone"])
    {
        run::step(&format!("going on without rclone: {error}"));
    }
}

fn c_compiles() -> bool {
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let child = Command::new(compiler)
        .args(["-x", "c", "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let written = child.stdin.take().is_some_and(|mut input| input.write_all(C_PROGRAM.as_bytes()).is_ok());
    written && child.wait().is_ok_and(|status| status.success()) && run::exists("ar")
}

/// Installs Debian packages if we may; otherwise the error is the way to do it.
fn install(what: &str, packages: &[&str]) -> Result<(), String> {
    let names = packages.join(" ");
    if !run::exists("apt-get") {
        return Err(format!("{what} is missing: install it with this system's packages (on Debian: {names})"));
    }
    if !is_root() {
        return Err(format!("{what} is missing: run `sudo apt-get update && sudo apt-get install -y {names}`"));
    }
    run::step(&format!("installing {what}"));
    run::run(apt_get().arg("update"))?;
    run::run(apt_get().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
    command
}

fn is_root() -> bool {
    run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
