//! Measure a thread's own processor time, so that other work on the machine does not count.

use std::time::{Duration, Instant};

/// Processor time of this thread where the system tells, and time since `start` elsewhere.
fn thread_time(start: Instant) -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// Runs `work` so often; returns the processor time it took.
pub fn measured(times: u64, mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    let before = thread_time(start);
    (0..times).for_each(|_| work());
    thread_time(start) - before
}
