//! Imitate a disk in memory, and what a crash at any step leaves of it.
//!
//! What was not synced may be there after a crash, or not, or in part: a seed decides for each write. A removed file
//! whose directory was not synced may be back.

use super::{Disk, FileId, Files};
use parking_lot::Mutex;
use std::{collections::BTreeMap, io, sync::Arc};

#[derive(Clone, Debug, Default)]
struct StoredFile {
    content: Vec<u8>,
    content_synced: bool,
    name_synced: bool,
}

#[derive(Clone, Debug)]
enum IndexStep {
    Write { offset: u64, data: Vec<u8> },
    Length(u64),
}

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<FileId, StoredFile>,
    /// Files whose removal was not synced.
    removed: BTreeMap<FileId, StoredFile>,
    index: Vec<u8>,
    index_synced: Vec<u8>,
    index_steps: Vec<IndexStep>,
    index_is_finished: bool,
    capacity_bytes: u64,
    steps: u64,
    crash_after: Option<u64>,
}

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk(Arc<Mutex<Inner>>);

/// The storage of a [`MemoryDisk`]'s index.
#[derive(Debug)]
pub struct MemoryIndex(Arc<Mutex<Inner>>);

impl MemoryDisk {
    /// An empty disk.
    pub fn new(capacity_bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { capacity_bytes, ..Inner::default() })))
    }

    /// Steps so far: everything that changes the disk or syncs it.
    pub fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Lets every step fail that comes after this many.
    pub fn crash_after(&self, steps: u64) {
        self.0.lock().crash_after = Some(steps);
    }

    /// Whether a step has failed.
    pub fn is_crashed(&self) -> bool {
        let inner = self.0.lock();
        inner.crash_after.is_some_and(|limit| inner.steps > limit)
    }

    /// The disk that the machine finds when it comes back; `seed` decides about what was not synced.
    pub fn after_crash(&self, seed: u64) -> Self {
        let inner = self.0.lock();
        let mut chance = Chance(seed);
        let mut files = BTreeMap::new();
        for (id, file) in inner.files.iter().chain(&inner.removed) {
            let gone = inner.removed.contains_key(id) || !file.name_synced;
            if gone && chance.coin() {
                continue;
            }
            let mut content = file.content.clone();
            if !file.content_synced {
                content.truncate(chance.below(content.len() as u64 + 1) as usize);
            }
            files.insert(*id, StoredFile { content, content_synced: true, name_synced: true });
        }
        let mut index = inner.index_synced.clone();
        for step in inner.index_steps.iter().filter(|_| chance.coin()) {
            step.apply(&mut index);
        }
        let survivor = Inner {
            files,
            index_synced: index.clone(),
            index,
            index_is_finished: inner.index_is_finished,
            capacity_bytes: inner.capacity_bytes,
            ..Inner::default()
        };
        Self(Arc::new(Mutex::new(survivor)))
    }

    /// Changes one byte of a file, as rot does.
    pub fn rot(&self, file: FileId, at: usize) {
        if let Some(byte) = self.0.lock().files.get_mut(&file).and_then(|file| file.content.get_mut(at)) {
            *byte ^= 1;
        }
    }

    /// Takes a file away, as a careless person does.
    pub fn lose(&self, file: FileId) {
        self.0.lock().files.remove(&file);
    }
}

impl Inner {
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        match self.crash_after {
            Some(limit) if self.steps > limit => Err(io::Error::other("the machine has crashed")),
            _ => Ok(()),
        }
    }
}

impl IndexStep {
    fn apply(&self, index: &mut Vec<u8>) {
        match self {
            Self::Length(length) => index.resize(*length as usize, 0),
            Self::Write { offset, data } => {
                let start = *offset as usize;
                if index.len() < start + data.len() {
                    index.resize(start + data.len(), 0);
                }
                index[start..start + data.len()].copy_from_slice(data);
            }
        }
    }
}

/// Splitmix64: a stream of decisions from one seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

impl Files for MemoryDisk {
    fn write(&self, file: FileId, parts: &[&[u8]]) -> io::Result<()> {
        let mut inner = self.0.lock();
        let stored = StoredFile { content: parts.concat(), ..StoredFile::default() };
        let used: u64 = inner.files.values().map(|file| file.content.len() as u64).sum();
        if used + stored.content.len() as u64 > inner.capacity_bytes {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        inner.files.insert(file, stored);
        inner.step()?;
        if let Some(file) = inner.files.get_mut(&file) {
            file.content_synced = true;
        }
        inner.step()
    }

    fn sync_directory(&self, directory: u64) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.step()?;
        for (_, file) in inner.files.iter_mut().filter(|(id, _)| id.directory() == directory) {
            file.name_synced = true;
        }
        inner.removed.retain(|id, _| id.directory() != directory);
        Ok(())
    }

    fn read(&self, file: FileId, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.0.lock();
        let file = inner.files.get(&file).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(file.content.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn remove(&self, file: FileId) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.step()?;
        if let Some(removed) = inner.files.remove(&file) {
            inner.removed.insert(file, removed);
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<(FileId, u64)>> {
        Ok(self.0.lock().files.iter().map(|(id, file)| (*id, file.content.len() as u64)).collect())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let inner = self.0.lock();
        let used: u64 = inner.files.values().map(|file| file.content.len() as u64).sum();
        Ok(inner.capacity_bytes.saturating_sub(used))
    }
}

impl Disk for MemoryDisk {
    type Index = MemoryIndex;

    fn open_index(&self) -> io::Result<Option<MemoryIndex>> {
        let is_finished = self.0.lock().index_is_finished;
        Ok(is_finished.then(|| MemoryIndex(self.0.clone())))
    }

    fn create_index(&self) -> io::Result<MemoryIndex> {
        let mut inner = self.0.lock();
        inner.step()?;
        inner.index.clear();
        inner.index_synced.clear();
        inner.index_steps.clear();
        Ok(MemoryIndex(self.0.clone()))
    }

    fn finish_index(&self) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.step()?;
        inner.index_is_finished = true;
        Ok(())
    }
}

impl redb::StorageBackend for MemoryIndex {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().index.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.0.lock();
        let start = offset as usize;
        out.copy_from_slice(inner.index.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(IndexStep::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.step()?;
        let inner = &mut *inner;
        for step in inner.index_steps.drain(..) {
            step.apply(&mut inner.index_synced);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(IndexStep::Write { offset, data: data.to_vec() })
    }
}

impl MemoryIndex {
    fn change(&self, step: IndexStep) -> io::Result<()> {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        step.apply(&mut inner.index);
        inner.index_steps.push(step);
        inner.step()
    }
}
