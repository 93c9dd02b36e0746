//! Stage, keep, read, release and scrub fragments.

use crate::{
    books::Books,
    committer::Committer,
    disk::{Disk, FileId, Files},
    index::{Index, Note, Step},
    record::{FILE_STEP_BYTES, FragmentKey, FragmentRecord, FragmentState, file_bytes},
    recovery::{Recovery, recover},
};
use alloy_primitives::B256;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::{ops::Range, sync::Arc};
use tokio::sync::Semaphore;
use types::{Profile, SegmentId};

/// Files that are written at the same time.
const WRITERS_MAX: usize = 8;
/// Left free on the disk for the index and for others.
const DISK_RESERVE_BYTES: u64 = 64 << 20;
/// Records of one segment: one for each volume that this miner shares with it.
const VOLUMES_OF_SEGMENT_MAX: usize = 16;

/// How much a store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Bytes that fragments may occupy, and what is [elsewhere](Store::set_elsewhere_bytes).
    pub capacity_bytes: u64,
}

/// The store cannot do its work. All but [`Lost`](ReadError::Lost) is final: stop using it and look at the disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// The index is damaged, or its disk failed.
    #[error("the index failed: {0}")]
    Index(String),
    /// The store has been shut down.
    #[error("the store has stopped")]
    Stopped,
}

/// A fragment was not staged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// It does not fit.
    #[error("no space for {needed_bytes} bytes: {free_bytes} are free")]
    NoSpace {
        /// Bytes it would occupy.
        needed_bytes: u64,
        /// Bytes that are free.
        free_bytes: u64,
    },
    /// Somebody else stages it right now.
    #[error("the same fragment is being staged by another request")]
    InProgress,
    /// The bytes are not as many as the fragment has, or the path or the hashes are too long.
    #[error("the fragment has not the shape it claims")]
    Shape,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A fragment cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The range is not within the fragment.
    #[error("the range is not within the fragment of {fragment_bytes} bytes")]
    Range {
        /// Bytes of the fragment.
        fragment_bytes: u64,
    },
    /// The file cannot be read although it should be there.
    #[error("the file of the fragment cannot be read: {0}")]
    Lost(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A fragment to stage. That it is what it claims is for the caller to check.
#[derive(Clone, Debug)]
pub struct NewFragment {
    /// Which fragment.
    pub key: FragmentKey,
    /// Its index in the segment.
    pub seat: u16,
    /// The territory that it is staged for.
    pub territory: u64,
    /// The segment's code.
    pub profile: Profile,
    /// Bytes of the segment.
    pub length: u64,
    /// BLAKE3 of the fragment.
    pub root: B256,
    /// Siblings from the fragment root up to the segment's root.
    pub path: Vec<B256>,
    /// Last height at which it must be held, unless it is kept before.
    pub expires_at_height: u64,
    /// The fragment.
    pub bytes: Bytes,
    /// Whatever verifies ranges of it; read back with it.
    pub hashes: Bytes,
}

/// Whether staging changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staged {
    /// It is on disk now.
    New,
    /// It was on disk before; nothing was changed.
    Already(FragmentState),
}

/// One part of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A fragment is owed from now on.
    Keep(FragmentKey),
    /// A staged fragment must be held at least to this height.
    Hold {
        /// The fragment.
        key: FragmentKey,
        /// The height.
        until_height: u64,
    },
    /// A kept fragment is only staged again, for no territory (0): its segment was released, but may be committed anew.
    Return(FragmentKey),
    /// A fragment goes.
    Remove(FragmentKey),
    /// Something the caller wants to find again, or nothing to forget it.
    Note {
        /// Its name.
        key: Vec<u8>,
        /// Its value.
        value: Option<Vec<u8>>,
    },
}

/// What was read of a fragment.
#[derive(Clone, Debug)]
pub struct ReadFragment {
    /// What the index knows of it.
    pub record: FragmentRecord,
    /// The bytes asked for.
    pub bytes: Bytes,
    /// What was staged with it to verify ranges.
    pub hashes: Bytes,
}

/// What a part of a scrub found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubPage {
    /// Fragments that were read and hashed.
    pub checked_count: usize,
    /// Fragments whose bytes are not the ones that were staged.
    pub damaged: Vec<FragmentKey>,
    /// Where to go on; nothing at the end.
    pub next: Option<FragmentKey>,
}

/// Reads a store where it is allowed to block.
#[derive(Clone)]
pub struct Reader {
    files: Arc<dyn Files>,
    index: Arc<Index>,
}

impl Reader {
    /// What the index knows of a fragment.
    pub fn record(&self, key: FragmentKey) -> Result<Option<FragmentRecord>, StoreError> {
        self.index.record(key)
    }

    /// Reads a fragment, or a range of it; nothing if it is not here.
    pub fn read(&self, key: FragmentKey, range: Option<Range<u64>>) -> Result<Option<ReadFragment>, ReadError> {
        read_fragment(&*self.files, &self.index, key, range)
    }

    /// Something noted by [`Change::Note`].
    pub fn note(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.index.note(key)
    }

    /// Notes with keys in a range, in order, at most `limit`.
    pub fn notes(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Note>, StoreError> {
        self.index.notes(&range.start, &range.end, limit)
    }
}

/// Fragments on disk; clones are the same store.
#[derive(Clone)]
pub struct Store {
    files: Arc<dyn Files>,
    index: Arc<Index>,
    books: Arc<Mutex<Books>>,
    committer: Committer,
    writers: Arc<Semaphore>,
    config: StoreConfig,
}

impl Store {
    /// Opens a store and puts right what a crash left. Blocks.
    pub fn open<D: Disk>(disk: D, config: StoreConfig) -> Result<(Self, Recovery), StoreError> {
        let failed = |error: std::io::Error| StoreError::Disk(error.to_string());
        let index = Index::open(&disk)?;
        let (books, recovery) = recover(&disk, &index)?;
        let (files, index, books) = (Arc::new(disk) as Arc<dyn Files>, Arc::new(index), Arc::new(Mutex::new(books)));
        let committer = Committer::start(files.clone(), index.clone(), books.clone()).map_err(failed)?;
        let writers = Arc::new(Semaphore::new(WRITERS_MAX));
        Ok((Self { files, index, books, committer, writers, config }, recovery))
    }

    /// Puts a fragment on disk; done when it survives a crash. It is written to the end even if the caller goes away.
    pub async fn stage(&self, fragment: NewFragment) -> Result<Staged, StageError> {
        if let Some(record) = self.record(fragment.key).await? {
            return Ok(Staged::Already(record.state));
        }
        let writing = self.begin(fragment)?;
        let store = self.clone();
        let written = tokio::spawn(async move { store.write(writing).await }).await;
        written.unwrap_or(Err(StageError::Store(StoreError::Stopped)))
    }

    fn begin(&self, fragment: NewFragment) -> Result<Writing, StageError> {
        let fragment_bytes = fragment.profile.fragment_bytes(fragment.length);
        let fits = u32::try_from(fragment.hashes.len()).is_ok() && fragment.path.len() <= usize::from(u8::MAX);
        if fragment.bytes.len() as u64 != fragment_bytes || !fits {
            return Err(StageError::Shape);
        }
        let needed_bytes = file_bytes(fragment_bytes, fragment.hashes.len() as u64);
        let disk_free_bytes = self.disk_free_bytes()?;
        let mut books = self.books.lock();
        let free_bytes = books.free_bytes(self.config.capacity_bytes, disk_free_bytes);
        if needed_bytes > free_bytes {
            return Err(StageError::NoSpace { needed_bytes, free_bytes });
        }
        let file = books.begin(fragment.key, needed_bytes).ok_or(StageError::InProgress)?;
        Ok(Writing { books: self.books.clone(), fragment, file, file_bytes: needed_bytes })
    }

    async fn write(&self, writing: Writing) -> Result<Staged, StageError> {
        // Looked up again: another request may have finished between the first look and the claim.
        if let Some(record) = self.record(writing.fragment.key).await? {
            return Ok(Staged::Already(record.state));
        }
        let permit = self.writers.acquire().await.map_err(|_| StoreError::Stopped)?;
        let (files, record) = (self.files.clone(), writing.record());
        let writing = blocking(move || write_file(&*files, &writing).map(|()| writing)).await??;
        drop(permit);
        let directory = Some(record.file.directory());
        self.committer.commit(vec![Step::Insert(Box::new(record))], directory).await?;
        drop(writing);
        Ok(Staged::New)
    }

    /// Does all changes or none; done when they survive a crash. A change of a fragment that is not here does nothing.
    pub async fn update(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.committer.commit(changes.into_iter().map(Step::Change).collect(), None).await
    }

    /// What the index knows of a fragment.
    pub async fn record(&self, key: FragmentKey) -> Result<Option<FragmentRecord>, StoreError> {
        let index = self.index.clone();
        blocking(move || index.record(key)).await?
    }

    /// The records of a segment, one for each volume.
    pub async fn records_of(&self, segment: SegmentId) -> Result<Vec<FragmentRecord>, StoreError> {
        let index = self.index.clone();
        // Volume 0 comes first and is looked up alone: the scan begins after a key.
        blocking(move || {
            let first = FragmentKey { segment, volume: 0 };
            let mut records: Vec<_> = index.record(first)?.into_iter().collect();
            records.extend(index.records_after(Some(first), VOLUMES_OF_SEGMENT_MAX)?);
            records.retain(|record| record.key.segment == segment);
            Ok(records)
        })
        .await?
    }

    /// Records after a key, in order of segment and volume, at most `limit`.
    pub async fn records_after(
        &self,
        after: Option<FragmentKey>,
        limit: usize,
    ) -> Result<Vec<FragmentRecord>, StoreError> {
        let index = self.index.clone();
        blocking(move || index.records_after(after, limit)).await?
    }

    /// Reads a fragment, or a range of it; nothing if it is not here.
    pub async fn read(&self, key: FragmentKey, range: Option<Range<u64>>) -> Result<Option<ReadFragment>, ReadError> {
        let (files, index) = (self.files.clone(), self.index.clone());
        blocking(move || read_fragment(&*files, &index, key, range)).await?
    }

    /// Reads it where blocking is allowed.
    pub fn reader(&self) -> Reader {
        Reader { files: self.files.clone(), index: self.index.clone() }
    }

    /// Staged fragments that need not be held at `height` any more, at most `limit`.
    pub fn expired(&self, height: u64, limit: usize) -> Vec<FragmentKey> {
        self.books.lock().expired(height, limit)
    }

    /// All staged fragments.
    pub fn staged(&self) -> Vec<FragmentKey> {
        self.books.lock().staged()
    }

    /// Bytes that may still be staged.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let disk_free_bytes = self.disk_free_bytes()?;
        Ok(self.books.lock().free_bytes(self.config.capacity_bytes, disk_free_bytes))
    }

    /// Bytes that fragments occupy.
    pub fn used_bytes(&self) -> u64 {
        self.books.lock().used_bytes()
    }

    /// Says how much of the capacity something else has, such as idle content; fragments get what is left.
    pub fn set_elsewhere_bytes(&self, bytes: u64) {
        self.books.lock().set_elsewhere_bytes(bytes);
    }

    /// Fragments that are here.
    pub fn fragment_count(&self) -> u64 {
        self.books.lock().fragment_count()
    }

    fn disk_free_bytes(&self) -> Result<u64, StoreError> {
        let free_bytes = self.files.free_bytes().map_err(|error| StoreError::Disk(error.to_string()))?;
        Ok(free_bytes.saturating_sub(DISK_RESERVE_BYTES))
    }

    /// Something noted by [`Change::Note`].
    pub async fn note(&self, key: Vec<u8>) -> Result<Option<Vec<u8>>, StoreError> {
        let index = self.index.clone();
        blocking(move || index.note(&key)).await?
    }

    /// Something noted, for threads that may block.
    pub fn blocking_note(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.index.note(key)
    }

    /// Notes with keys in a range, in order, at most `limit`.
    pub async fn notes(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let index = self.index.clone();
        blocking(move || index.notes(&range.start, &range.end, limit)).await?
    }

    /// Reads and hashes at most `limit` fragments after a key, to find what has rotted.
    pub async fn scrub(&self, after: Option<FragmentKey>, limit: usize) -> Result<ScrubPage, StoreError> {
        let (files, index) = (self.files.clone(), self.index.clone());
        blocking(move || {
            let records = index.records_after(after, limit)?;
            let mut damaged = Vec::new();
            for record in &records {
                let read = read_fragment(&*files, &index, record.key, None);
                match read {
                    Ok(Some(read)) if blake3::hash(&read.bytes).as_bytes() == record.root.as_slice() => {}
                    Ok(None) => {}
                    Ok(Some(_)) | Err(ReadError::Lost(_) | ReadError::Range { .. }) => damaged.push(record.key),
                    Err(ReadError::Store(error)) => return Err(error),
                }
            }
            let next = records.last().map(|record| record.key).filter(|_| records.len() == limit);
            Ok(ScrubPage { checked_count: records.len(), damaged, next })
        })
        .await?
    }
}

/// Runs what may block where it may.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, StoreError> {
    offload::run(work).await.map_err(|_| StoreError::Stopped)
}

/// A fragment that is being written: its space and its key are taken until this is dropped.
struct Writing {
    books: Arc<Mutex<Books>>,
    fragment: NewFragment,
    file: FileId,
    file_bytes: u64,
}

impl Writing {
    fn record(&self) -> FragmentRecord {
        let fragment = &self.fragment;
        FragmentRecord {
            key: fragment.key,
            seat: fragment.seat,
            territory: fragment.territory,
            profile: fragment.profile,
            length: fragment.length,
            root: fragment.root,
            path: fragment.path.clone(),
            state: FragmentState::Staged,
            expires_at_height: fragment.expires_at_height,
            file: self.file,
            hashes_bytes: fragment.hashes.len() as u32,
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.books.lock().end(self.fragment.key, self.file_bytes);
    }
}

fn write_file(files: &dyn Files, writing: &Writing) -> Result<(), StageError> {
    const ZEROS: [u8; FILE_STEP_BYTES as usize] = [0; FILE_STEP_BYTES as usize];
    let NewFragment { bytes, hashes, .. } = &writing.fragment;
    let padding = writing.file_bytes - (bytes.len() + hashes.len()) as u64;
    let parts: [&[u8]; 3] = [bytes, hashes, &ZEROS[..padding as usize]];
    let Err(error) = files.write(writing.file, &parts) else { return Ok(()) };
    // If this fails too, the next start removes what is there.
    drop(files.remove(writing.file));
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Err(StageError::NoSpace { needed_bytes: writing.file_bytes, free_bytes: 0 })
        }
        _ => Err(StoreError::Disk(error.to_string()).into()),
    }
}

fn read_fragment(
    files: &dyn Files,
    index: &Index,
    key: FragmentKey,
    range: Option<Range<u64>>,
) -> Result<Option<ReadFragment>, ReadError> {
    let Some(record) = index.record(key)? else { return Ok(None) };
    let fragment_bytes = record.fragment_bytes();
    let range = range.unwrap_or(0..fragment_bytes);
    if range.start > range.end || range.end > fragment_bytes {
        return Err(ReadError::Range { fragment_bytes });
    }
    let hashes_end = fragment_bytes + u64::from(record.hashes_bytes);
    let read = |range: Range<u64>| -> std::io::Result<Bytes> {
        let mut out = BytesMut::zeroed((range.end - range.start) as usize);
        files.read(record.file, range.start, &mut out)?;
        Ok(out.freeze())
    };
    // A whole fragment comes with its hashes in one read.
    let parts = if range == (0..fragment_bytes) {
        read(0..hashes_end).map(|mut all| {
            let hashes = all.split_off(fragment_bytes as usize);
            (all, hashes)
        })
    } else {
        read(range).and_then(|bytes| Ok((bytes, read(fragment_bytes..hashes_end)?)))
    };
    match parts {
        Ok((bytes, hashes)) => Ok(Some(ReadFragment { record, bytes, hashes })),
        // It may have been released meanwhile.
        Err(_) if index.record(key)?.is_none() => Ok(None),
        Err(error) => Err(ReadError::Lost(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
