//! Choose limits and time limits of a client.

use cache::Cache;
use std::{path::PathBuf, sync::Arc, time::Duration};

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
    /// Where what objects are read from is kept, sealed as it comes; nowhere if absent.
    pub cache: Option<Arc<Cache>>,
    /// Writes.
    pub write: WriteConfig,
    /// Buckets that are held open.
    pub store: StoreConfig,
}

/// How a bucket is held open.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// How long the first change of a group waits for others.
    pub group_window: Duration,
    /// Age up to which the last root that was seen counts as the present one.
    pub root_age_max: Duration,
    /// Most bytes of index pages that are kept in memory for each bucket.
    pub page_memory_bytes: usize,
    /// Where index pages are kept on disk, sealed as they come; nowhere if absent. May be deleted at any time.
    pub page_folder: Option<PathBuf>,
    /// Most bytes of index pages that are kept on disk.
    pub page_disk_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            group_window: Duration::from_millis(50),
            root_age_max: Duration::from_secs(1),
            page_memory_bytes: 64 << 20,
            page_folder: None,
            page_disk_bytes: 4 << 30,
        }
    }
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
            cache: None,
            write: WriteConfig {
                request_timeout: Duration::from_secs(30),
                straggler_timeout: Duration::from_secs(10),
                volume_timeout: Duration::from_secs(120),
                lease_timeout: Duration::from_secs(15),
                replays_max: 50,
            },
            store: StoreConfig::default(),
        }
    }
}
