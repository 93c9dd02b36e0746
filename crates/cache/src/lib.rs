//! Keep verified pieces of segments in memory and on disk.
//!
//! A segment's identity commits to its bytes, so a piece is never stale: it is there or it is not. Pieces are kept as
//! they are stored, sealed. What is read often stays in memory (w-TinyLFU); what has to leave goes to disk, the oldest
//! blocks of which give way. Both are bounded, and the disk's part can be deleted at any time: whatever goes wrong with
//! the cache is a miss.

mod code;

use bytes::Bytes;
use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder, LfuConfig, PsyncIoEngineConfig,
    RecoverMode, Source,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use types::SegmentId;

/// Most bytes of a piece: larger ones are not kept.
pub const PIECE_BYTES_MAX: usize = 1 << 20;
/// Least bytes that a cache may have on disk.
pub const DISK_BYTES_MIN: u64 = 4 * BLOCK_BYTES as u64;

/// What is written and given up on disk at once.
const BLOCK_BYTES: usize = 8 << 20;
/// What a piece takes in memory beside its bytes, about.
const ENTRY_BYTES: usize = 160;

/// How much is kept, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Most bytes of pieces in memory.
    pub memory_bytes: usize,
    /// What has no room in memory; nothing is kept of it if absent.
    pub disk: Option<DiskConfig>,
}

/// What a cache may use of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// The cache's own folder.
    pub folder: PathBuf,
    /// Most bytes in it; at least [`DISK_BYTES_MIN`].
    pub bytes: u64,
}

/// Why a cache cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk's part is too small to be of use.
    #[error("a cache of {bytes} bytes on disk is too small: give it at least {DISK_BYTES_MIN}, or none")]
    TooSmall {
        /// What it was given.
        bytes: u64,
    },
    /// Its folder cannot be made.
    #[error("the cache's folder {} cannot be made: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The library says why.
    #[error("the cache cannot be opened: {0}")]
    Library(#[from] foyer::Error),
}

/// Where a piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The segment.
    pub segment: SegmentId,
    /// The piece's first byte in it.
    pub start: u32,
}

/// A piece's bytes, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece(Bytes);

/// What a cache has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheCounts {
    /// Pieces that were in memory.
    pub memory_hits: u64,
    /// Pieces that were on disk.
    pub disk_hits: u64,
    /// Pieces that were not there.
    pub misses: u64,
    /// Bytes of the pieces that were there.
    pub hit_bytes: u64,
    /// Bytes in memory now.
    pub memory_bytes: u64,
    /// Bytes written to disk.
    pub written_bytes: u64,
}

impl CacheCounts {
    /// The part of what was asked for that was there, 0 to 1.
    pub fn hit_ratio(&self) -> f64 {
        let hits = self.memory_hits + self.disk_hits;
        hits as f64 / (hits + self.misses).max(1) as f64
    }
}

/// Pieces of segments.
pub struct Cache {
    hybrid: HybridCache<Place, Piece>,
    memory_hits: AtomicU64,
    disk_hits: AtomicU64,
    misses: AtomicU64,
    hit_bytes: AtomicU64,
}

impl fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cache").field("counts", &self.counts()).finish()
    }
}

impl Cache {
    /// Opens a cache; what is on disk of an earlier one is found again, as far as it is whole.
    pub async fn open(config: &CacheConfig) -> Result<Self, OpenError> {
        let memory = HybridCacheBuilder::new()
            .with_name("pieces")
            .memory(config.memory_bytes)
            .with_eviction_config(LfuConfig::default())
            .with_weighter(|_: &Place, piece: &Piece| ENTRY_BYTES + piece.0.len());
        let storage = memory.storage();
        let hybrid = match &config.disk {
            Some(disk) => {
                let engine = engine(&disk.folder, disk.bytes)?;
                let storage = storage.with_io_engine_config(PsyncIoEngineConfig::new()).with_engine_config(engine);
                storage.with_recover_mode(RecoverMode::Quiet).build().await?
            }
            None => storage.build().await?,
        };
        let [memory_hits, disk_hits, misses, hit_bytes] = Default::default();
        Ok(Self { hybrid, memory_hits, disk_hits, misses, hit_bytes })
    }

    /// The piece of so many bytes that begins there, if it is kept.
    pub async fn get(&self, place: &Place, length: usize) -> Option<Bytes> {
        let found = self.hybrid.get(place).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the cache cannot be read");
            None
        });
        let Some(found) = found.filter(|found| found.value().0.len() == length) else {
            self.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let hits = if found.source() == Source::Disk { &self.disk_hits } else { &self.memory_hits };
        hits.fetch_add(1, Ordering::Relaxed);
        self.hit_bytes.fetch_add(length as u64, Ordering::Relaxed);
        Some(found.value().0.clone())
    }

    /// Keeps a piece that was verified. The bytes are copied, so that no larger buffer stays for their sake.
    pub fn insert(&self, place: Place, bytes: &[u8]) {
        if bytes.len() <= PIECE_BYTES_MAX {
            self.hybrid.insert(place, Piece(Bytes::copy_from_slice(bytes)));
        }
    }

    /// Forgets a piece.
    pub fn remove(&self, place: &Place) {
        self.hybrid.remove(place);
    }

    /// What it has done.
    pub fn counts(&self) -> CacheCounts {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheCounts {
            memory_hits: count(&self.memory_hits),
            disk_hits: count(&self.disk_hits),
            misses: count(&self.misses),
            hit_bytes: count(&self.hit_bytes),
            memory_bytes: self.hybrid.memory().usage() as u64,
            written_bytes: self.hybrid.statistics().disk_write_bytes() as u64,
        }
    }

    /// Writes to disk what memory has, so that the next one to be opened there has it.
    pub async fn close(&self) {
        if let Err(error) = self.hybrid.close().await {
            tracing::warn!(%error, "what the cache had in memory is lost");
        }
    }
}

fn engine(
    folder: &Path,
    bytes: u64,
) -> Result<BlockEngineConfig<Place, Piece, foyer::HybridCacheProperties>, OpenError> {
    let capacity =
        usize::try_from(bytes).ok().filter(|_| bytes >= DISK_BYTES_MIN).ok_or(OpenError::TooSmall { bytes })?;
    // The library panics where it cannot make it.
    fs::create_dir_all(folder).map_err(|source| OpenError::Folder { folder: folder.into(), source })?;
    let device = FsDeviceBuilder::new(folder).with_capacity(capacity).build()?;
    Ok(BlockEngineConfig::new(device).with_block_size(BLOCK_BYTES))
}

#[cfg(test)]
mod tests;
