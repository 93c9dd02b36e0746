//! Measure how fast an object goes in and comes back, beside a plain copy on the same disk.

use super::{process, report::Report};
use crate::{network::Devnet, soak};
use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

/// Repetitions; the fastest counts, as everything else is somebody else's noise.
const REPETITIONS: u32 = 3;

/// Puts and gets one object of this size.
pub fn measure(report: &mut Report, devnet: &Devnet, size_bytes: u64) -> Result<(), String> {
    let dir = devnet.dir().with_extension("objects");
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let result = measure_in(report, devnet, size_bytes, &dir);
    // What is left of a temporary folder disturbs nobody.
    let _ = fs::remove_dir_all(&dir);
    result
}

fn measure_in(report: &mut Report, devnet: &Devnet, size_bytes: u64, dir: &Path) -> Result<(), String> {
    let (source, copy) = (dir.join("source"), dir.join("copy"));
    soak::generate(&source, size_bytes, 1).map_err(|error| format!("{}: {error}", source.display()))?;
    let space = format!("{}B", 5 * size_bytes);
    devnet.run(&["territory", "buy", "--size", &space, "--days", "2"])?;
    devnet.run(&["bucket", "create", "bench"])?;

    let mut plain = Duration::MAX;
    let mut put = Best::default();
    let mut get = Best::default();
    for _ in 0..REPETITIONS {
        plain = plain.min(copy_durably(&source, &copy).map_err(|error| format!("{}: {error}", copy.display()))?);
        put.take(process::watch(
            devnet.cess().arg("put").arg(&source).arg("cess://bench/object").stdout(Stdio::null()),
        )?);
        get.take(process::watch(devnet.cess().args(["get", "cess://bench/object"]).arg(&copy).stdout(Stdio::null()))?);
    }
    soak::compare(&copy, size_bytes, 1)?;
    let rate = |time: Duration| size_bytes as f64 / 1e6 / time.as_secs_f64();
    let row = |best: &Best, goal: &str| {
        let ratio = rate(best.time()) / rate(plain);
        let memory = best.memory_peak_bytes >> 20;
        format!("{:.0} MB/s (goal: {goal}), {ratio:.2} × cp; peak memory {memory} MiB", rate(best.time()))
    };
    let size = format!("{} MiB", size_bytes >> 20);
    report.row([&format!("`cp` and fsync of {size}"), &format!("{:.0} MB/s", rate(plain))]);
    report.row([&format!("`cess put` of {size}"), &row(&put, "150 MB/s")]);
    report.row([&format!("`cess get` of {size}"), &row(&get, "300 MB/s")]);
    Ok(())
}

fn copy_durably(source: &Path, copy: &Path) -> std::io::Result<Duration> {
    let started = Instant::now();
    fs::copy(source, copy)?;
    File::open(copy)?.sync_all()?;
    Ok(started.elapsed())
}

/// The fastest of several runs, and the highest memory of all.
#[derive(Default)]
struct Best {
    time: Option<Duration>,
    memory_peak_bytes: u64,
}

impl Best {
    fn take(&mut self, usage: process::Usage) {
        self.time = Some(self.time.map_or(usage.time, |time| time.min(usage.time)));
        self.memory_peak_bytes = self.memory_peak_bytes.max(usage.memory_peak_bytes);
    }

    fn time(&self) -> Duration {
        self.time.expect("it ran")
    }
}
