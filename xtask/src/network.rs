//! Keep a devnet for as long as a measurement or a test takes.

use crate::run;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A running devnet in a folder of its own; both are gone when it is dropped.
pub struct Devnet {
    cess: PathBuf,
    dir: PathBuf,
}

impl Devnet {
    /// Starts one in a new folder under the target folder and waits until it is ready.
    pub fn start(cess: &Path, arguments: &[&str]) -> Result<Self, String> {
        let dir = run::release_dir().join(format!("devnet-{}", std::process::id()));
        Self::start_in(cess, &dir, arguments)
    }

    /// Starts one in `dir`, which must be new.
    pub fn start_in(cess: &Path, dir: &Path, arguments: &[&str]) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| format!("{} cannot be created: {error}", dir.display()))?;
        let devnet = Self { cess: cess.into(), dir: dir.into() };
        run::run(devnet.cess().args(["devnet", "--detach"]).args(arguments))?;
        Ok(devnet)
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The binary, bound to this devnet.
    pub fn cess(&self) -> Command {
        let mut command = Command::new(&self.cess);
        command.arg("--devnet").arg(&self.dir).stdin(Stdio::null());
        // The user's own devnet stays the one that commands find by themselves.
        command.env("XDG_STATE_HOME", self.dir.with_extension("state"));
        command
    }

    /// What devnet.json says.
    pub fn description(&self) -> Result<Value, String> {
        let path = self.dir.join("devnet.json");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Runs a command line that has to succeed.
    pub fn run(&self, line: &[&str]) -> Result<(), String> {
        run::run(self.cess().args(line).stdout(Stdio::null()))
    }

    /// Stops it. After a failure the roles' logs stay behind and the error says where.
    pub fn stop(self, result: Result<(), String>) -> Result<(), String> {
        let Err(error) = result else { return Ok(()) };
        let kept = self.dir.with_extension("logs");
        // A later failure of the same process may find older logs there.
        let _ = fs::remove_dir_all(&kept);
        match fs::rename(self.dir.join("logs"), &kept) {
            Ok(()) => Err(format!("{error}; the network's logs are in {}", kept.display())),
            Err(_) => Err(error),
        }
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let stopped = self.cess().args(["devnet", "stop"]).stdout(Stdio::null()).status();
        if stopped.is_ok_and(|status| status.success()) {
            // What is left of a temporary folder disturbs nobody.
            let _ = fs::remove_dir_all(&self.dir);
            let _ = fs::remove_dir_all(self.dir.with_extension("state"));
        }
    }
}
