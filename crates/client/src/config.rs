//! Choose limits and time limits of a client.

use std::time::Duration;

/// Limits of a client; the defaults suit a laptop.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Most bytes of segments and fragments that a put holds at a time. Up to three quarters of it are committed in one
    /// transaction.
    pub put_memory_bytes: usize,
    /// Most bytes of fragments that a get holds at a time.
    pub get_memory_bytes: usize,
    /// Volumes that one put writes at the same time.
    pub volumes_in_parallel: usize,
    /// Reads.
    pub read: ReadConfig,
    /// Writes.
    pub write: WriteConfig,
}

/// Time limits of reads.
#[derive(Clone, Copy, Debug)]
pub struct ReadConfig {
    /// Longest time for one request to one member.
    pub request_timeout: Duration,
    /// Shortest and longest time before parity members are asked in place of slow ones.
    pub hedge_after_min: Duration,
    /// See [`hedge_after_min`](Self::hedge_after_min).
    pub hedge_after_max: Duration,
}

/// Time limits of writes.
#[derive(Clone, Copy, Debug)]
pub struct WriteConfig {
    /// Longest time for one request to one member.
    pub request_timeout: Duration,
    /// How long to wait for the remaining members once the write quorum has answered.
    pub straggler_timeout: Duration,
    /// How long to wait for a volume to form when none takes writes.
    pub volume_timeout: Duration,
    /// How long members may take to hear of a new lease.
    pub lease_timeout: Duration,
    /// How often an update of an index is made anew after another writer was quicker.
    pub replays_max: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            put_memory_bytes: 256 << 20,
            get_memory_bytes: 128 << 20,
            volumes_in_parallel: 3,
            read: ReadConfig {
                request_timeout: Duration::from_secs(30),
                hedge_after_min: Duration::from_millis(50),
                hedge_after_max: Duration::from_secs(2),
            },
            write: WriteConfig {
                request_timeout: Duration::from_secs(30),
                straggler_timeout: Duration::from_secs(10),
                volume_timeout: Duration::from_secs(120),
                lease_timeout: Duration::from_secs(15),
                replays_max: 50,
            },
        }
    }
}
