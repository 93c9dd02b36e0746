//! Read what processes use from `/proc`.

use crate::network::Devnet;
use serde_json::Value;
use std::{
    fs,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

/// Clock ticks of `/proc/PID/stat` per second: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Pause between two looks at a process's memory.
const PAUSE: Duration = Duration::from_millis(20);

/// Processor time of all roles and their supervisor over a while, in percent of one core.
pub fn cpu_percent(devnet: &Devnet, watched: Duration) -> Result<f64, String> {
    let pids = pids(devnet)?;
    let before: u64 = pids.iter().map(|&pid| ticks(pid)).sum();
    let started = Instant::now();
    thread::sleep(watched);
    let after: u64 = pids.iter().map(|&pid| ticks(pid)).sum();
    Ok(100.0 * (after - before) as f64 / TICKS_PER_SECOND / started.elapsed().as_secs_f64())
}

/// Memory of all roles and their supervisor.
pub fn resident_bytes(devnet: &Devnet) -> Result<u64, String> {
    Ok(pids(devnet)?.into_iter().map(|pid| status_bytes(pid, "VmRSS:")).sum())
}

/// How long a command ran and what it used.
pub struct Usage {
    /// Wall clock.
    pub time: Duration,
    /// Highest memory.
    pub memory_peak_bytes: u64,
}

/// Runs a command that has to succeed and watches its memory.
pub fn watch(command: &mut Command) -> Result<Usage, String> {
    let started = Instant::now();
    let mut child: Child = command.spawn().map_err(|error| error.to_string())?;
    let pid = u64::from(child.id());
    let mut memory_peak_bytes = 0;
    loop {
        memory_peak_bytes = memory_peak_bytes.max(status_bytes(pid, "VmHWM:"));
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(Usage { time: started.elapsed(), memory_peak_bytes }),
            Some(status) => return Err(format!("{command:?} failed ({status})")),
            None => thread::sleep(PAUSE),
        }
    }
}

fn pids(devnet: &Devnet) -> Result<Vec<u64>, String> {
    let description = devnet.description()?;
    let roles = description["roles"].as_array().ok_or("devnet.json lists no roles")?.iter();
    let all = roles.map(|role| &role["pid"]).chain([&description["supervisor_pid"]]);
    Ok(all.filter_map(Value::as_u64).collect())
}

/// User and system time; the name in the second field may contain spaces, so counting starts after it.
fn ticks(pid: u64) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    field(11) + field(12)
}

fn status_bytes(pid: u64, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}
