//! Run the binary and networks of real processes, each test in folders of its own.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub ok: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ran {
    /// The output as JSON.
    pub fn json(&self) -> Value {
        assert!(self.ok, "{}", self.stderr);
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The one line in which a failed command says why.
    pub fn complaint(&self) -> &str {
        assert!(!self.ok, "it should have failed");
        assert_eq!(self.stderr.lines().count(), 1, "not one line: {}", self.stderr);
        self.stderr.trim_end()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            ok: output.status.success(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A user's home: nothing of the machine's own user is read or changed.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The binary with this home.
    pub fn cess(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cess"));
        command.env_clear().env("HOME", self.path()).env("XDG_STATE_HOME", self.path().join("state"));
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command line.
    pub fn run(&self, line: &[&str]) -> Ran {
        self.cess().args(line).output().unwrap().into()
    }
}

/// One network at a time: two would only measure how slow a machine is.
static TURN: Mutex<()> = Mutex::new(());

/// A devnet with its own home; every process is gone when it is dropped.
pub struct Devnet {
    pub home: Home,
    dir: PathBuf,
    process: Option<Child>,
    _turn: MutexGuard<'static, ()>,
}

impl Devnet {
    /// Starts a network and waits until it is ready.
    pub fn start(validators: u32, miners: u32) -> Self {
        Self::start_with(validators, miners, &[])
    }

    /// The same with more arguments.
    pub fn start_with(validators: u32, miners: u32, arguments: &[&str]) -> Self {
        let home = Home::new();
        let dir = home.path().join("net");
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut devnet = Self { home, dir, process: None, _turn: turn };
        let size = ["--validators", &validators.to_string(), "--miners", &miners.to_string()];
        devnet.resume(&[&size, arguments].concat());
        devnet
    }

    /// Starts the stopped network again.
    pub fn resume(&mut self, arguments: &[&str]) {
        let mut command = self.home.cess();
        command.args(["devnet", "--data"]).arg(&self.dir).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        self.process = Some(command.spawn().unwrap());
        self.until("the devnet is ready", || {
            let ended = self.ended();
            assert!(ended.is_none(), "the devnet ended: {ended:?}");
            self.description().filter(|description| description["ready"] == true)
        });
    }

    fn ended(&self) -> Option<PathBuf> {
        let pid = self.process.as_ref()?.id();
        let gone = !is_running(u64::from(pid));
        gone.then(|| self.dir.join("logs"))
    }

    /// devnet.json, once there is one.
    pub fn description(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.dir.join("devnet.json")).ok()?).ok()
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The binary, bound to this network.
    pub fn cess(&self) -> Command {
        let mut command = self.home.cess();
        command.arg("--devnet").arg(&self.dir);
        command
    }

    /// Runs a command line on this network.
    pub fn run(&self, line: &[&str]) -> Ran {
        self.cess().args(line).output().unwrap().into()
    }

    /// Runs a command line that has to succeed.
    pub fn must(&self, line: &[&str]) -> Ran {
        let ran = self.run(line);
        assert!(ran.ok, "{line:?}: {}", ran.stderr);
        ran
    }

    /// Names of the roles of a kind.
    pub fn roles(&self, kind: &str) -> Vec<String> {
        let description = self.description().unwrap();
        let roles = description["roles"].as_array().unwrap().iter().filter(|role| role["kind"] == kind);
        roles.map(|role| role["name"].as_str().unwrap().to_string()).collect()
    }

    /// A role as devnet.json has it.
    pub fn role(&self, name: &str) -> Value {
        let description = self.description().unwrap();
        description["roles"].as_array().unwrap().iter().find(|role| role["name"] == name).unwrap().clone()
    }

    pub fn kill(&self, role: &str) {
        self.must(&["devnet", "kill", role]);
    }

    pub fn start_role(&self, role: &str) {
        self.must(&["devnet", "start", role]);
    }

    /// Height by a validator's own RPC.
    pub fn height(&self, validator: &str) -> u64 {
        let url = self.role(validator)["endpoints"][0].as_str().unwrap().to_string();
        let ran = self.home.run(&["network", "status", "--json", "--rpc", &url]);
        if ran.ok { ran.json()["height"].as_u64().unwrap() } else { 0 }
    }

    /// Looks until there is something to see.
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            assert!(Instant::now() < deadline, "{what}: not after {} s", PATIENCE.as_secs());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops everything in order.
    pub fn stop(&mut self) {
        self.must(&["devnet", "stop"]);
        let status = self.process.take().unwrap().wait().unwrap();
        assert!(status.success(), "{status}");
    }

    /// Kills the process that holds the network together.
    pub fn kill_supervisor(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Process ids of the running roles.
    pub fn pids(&self) -> Vec<u64> {
        let description = self.description().unwrap();
        description["roles"].as_array().unwrap().iter().filter_map(|role| role["pid"].as_u64()).collect()
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if thread::panicking() {
            self.show_logs();
        }
        // Whatever went wrong before, the roles end with their supervisor.
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Devnet {
    fn show_logs(&self) {
        for entry in fs::read_dir(self.dir.join("logs")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<&str> =
                text.lines().filter(|line| line.contains("ERROR") || line.contains("WARN")).collect();
            let last = &lines[lines.len().saturating_sub(5)..];
            eprintln!("{}:\n  {}", entry.path().display(), last.join("\n  "));
        }
    }
}

/// Whether a process runs: a zombie does not.
pub fn is_running(pid: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Bytes that look random and are the same for the same seed.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}
