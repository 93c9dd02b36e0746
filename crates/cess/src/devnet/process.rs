//! Run one role as a child process and tell its exit.

use super::{
    description::{Kind, Role},
    folder::Folder,
};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::Path,
    process::{ExitStatus, Stdio},
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
};

/// Length from which a log is put aside when its role starts.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Bytes at the end of a log that are searched for the last line.
const TAIL_BYTES: usize = 4096;

/// A running role.
#[derive(Debug)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    signals: mpsc::UnboundedSender<Signal>,
}

/// A role's process has ended.
#[derive(Debug)]
pub struct Exit {
    /// The role.
    pub name: String,
    /// How.
    pub status: std::io::Result<ExitStatus>,
}

impl Process {
    /// Starts a role; its exit arrives at `exits`.
    pub fn start(role: &Role, folder: &Folder, exits: mpsc::UnboundedSender<Exit>) -> Result<Self> {
        let child = command(role.kind, &role.name, folder)?
            .spawn()
            .with_context(|| format!("{} could not be started", role.name))?;
        let pid = child.id().expect("nobody has waited for it yet");
        let (signals, orders) = mpsc::unbounded_channel();
        tokio::spawn(watch(child, orders, role.name.clone(), exits));
        Ok(Self { pid, signals })
    }

    /// Sends a signal unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        // The watcher is gone once the process is: then there is nobody to signal.
        let _ = self.signals.send(signal);
    }
}

fn command(kind: Kind, name: &str, folder: &Folder) -> Result<Command> {
    let program = std::env::current_exe().context("this program's own file cannot be found")?;
    let log = open_log(&folder.log(name))?;
    let mut command = Command::new(program);
    command.arg(kind.verb()).arg("--config").arg(folder.config(name)).arg("--supervised").arg(folder.lock());
    // Its own process group: a Ctrl-C on the terminal is for the supervisor, which stops the roles in order.
    command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // What is meant for the command line must not reach the roles.
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|variable| variable.starts_with("CESS_")) {
            command.env_remove(variable);
        }
    }
    Ok(command)
}

/// Opens a log to append, putting aside one that has grown long.
pub fn open_log(path: &Path) -> Result<fs::File> {
    let context = || format!("the log {} cannot be opened", path.display());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(context)?;
    }
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1")).with_context(context)?;
    }
    fs::File::options().create(true).append(true).open(path).with_context(context)
}

/// The last line of a log that is not empty.
pub fn last_line(path: &Path) -> Option<String> {
    let text = fs::read(path).ok()?;
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL_BYTES)..]);
    tail.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_string)
}

/// Owns the child: its process id stays ours until `wait` returns, so no signal can hit a stranger.
async fn watch(
    mut child: Child,
    mut orders: mpsc::UnboundedReceiver<Signal>,
    name: String,
    exits: mpsc::UnboundedSender<Exit>,
) {
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            Some(signal) = orders.recv() => {
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
                if let Some(pid) = pid && let Err(error) = kill_process(pid, signal) {
                    tracing::warn!(%name, %error, "signal not delivered");
                }
            }
        }
    };
    // Without a supervisor there is nobody left to tell.
    let _ = exits.send(Exit { name, status });
}
