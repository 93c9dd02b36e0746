//! Keep a miner's disk, and what its operator does to it.

use parking_lot::Mutex;
use std::{collections::BTreeSet, io, sync::Arc};
use store::{Disk, FileId, Files, MemoryDisk};

/// Bytes that a peer sends at least, and whole: a group of chunks (`docs/spec/transport.md`).
const GROUP_BYTES: u64 = 16 << 10;

/// A disk in memory with files that are not there any more.
#[derive(Clone, Debug)]
pub struct SimDisk {
    inner: MemoryDisk,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Files whose bytes are gone: each reads as its complement.
    dropped: BTreeSet<FileId>,
    /// Files whose bytes are made from those of others when they are read.
    borrowed: BTreeSet<FileId>,
    /// Fragments that make one of them.
    sources: u64,
    borrowed_bytes: u64,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(capacity_bytes: u64) -> Self {
        Self { inner: MemoryDisk::new(capacity_bytes), faults: Arc::default() }
    }

    /// The disk after a crash: `seed` decides about what was not synced.
    pub fn after_crash(&self, seed: u64) -> Self {
        Self { inner: self.inner.after_crash(seed), faults: self.faults.clone() }
    }

    /// Drops a file's bytes: whoever reads them gets their complements. Zeros may be what was stored, as padding is.
    pub fn drop_bytes(&self, file: FileId) {
        self.faults.lock().dropped.insert(file);
    }

    /// Drops a file's bytes, and fetches them when they are read: each byte from `sources` others.
    pub fn borrow_bytes(&self, file: FileId, sources: u64) {
        let mut faults = self.faults.lock();
        faults.borrowed.insert(file);
        faults.sources = sources;
    }

    /// Bytes that were fetched for reads so far, in whole groups.
    pub fn borrowed_bytes(&self) -> u64 {
        self.faults.lock().borrowed_bytes
    }
}

impl Files for SimDisk {
    fn write(&self, file: FileId, parts: &[&[u8]]) -> io::Result<()> {
        self.inner.write(file, parts)
    }

    fn sync_directory(&self, directory: u64) -> io::Result<()> {
        self.inner.sync_directory(directory)
    }

    fn read(&self, file: FileId, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(file, offset, out)?;
        let mut faults = self.faults.lock();
        if faults.dropped.contains(&file) {
            out.iter_mut().for_each(|byte| *byte = !*byte);
        }
        if faults.borrowed.contains(&file) && !out.is_empty() {
            let (first, end) = (offset / GROUP_BYTES, (offset + out.len() as u64).div_ceil(GROUP_BYTES));
            faults.borrowed_bytes += (end - first) * GROUP_BYTES * faults.sources;
        }
        Ok(())
    }

    fn remove(&self, file: FileId) -> io::Result<()> {
        self.inner.remove(file)
    }

    fn list(&self) -> io::Result<Vec<(FileId, u64)>> {
        self.inner.list()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }
}

impl Disk for SimDisk {
    type Index = <MemoryDisk as Disk>::Index;

    fn open_index(&self) -> io::Result<Option<Self::Index>> {
        self.inner.open_index()
    }

    fn create_index(&self) -> io::Result<Self::Index> {
        self.inner.create_index()
    }

    fn finish_index(&self) -> io::Result<()> {
        self.inner.finish_index()
    }
}
