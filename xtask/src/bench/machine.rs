//! Describe the machine that measures, as figures mean nothing without it.

use crate::run;
use std::{fs, process::Command};

/// Processor, memory, system, commit and date, a line each.
pub fn describe() -> Result<Vec<String>, String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let memory: u64 = memory.unwrap_or_default();
    let vectors = ["avx512f", "gfni", "avx2"].into_iter().filter(|flag| cpu.contains(&format!(" {flag}")));
    let commit = run::output(run::program("git").args(["rev-parse", "--short", "HEAD"]))?;
    let date = run::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let kernel = run::output(Command::new("uname").arg("-sr"))?;
    Ok(vec![
        format!("{} × {}", threads, model.trim_start_matches([' ', '\t', ':'])),
        format!("{} GiB of memory; {}", memory >> 20, vectors.collect::<Vec<_>>().join(", ")),
        kernel.trim().into(),
        format!("commit {}, {}", commit.trim(), date.trim()),
    ])
}
