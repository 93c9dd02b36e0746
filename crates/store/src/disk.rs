//! Reach a disk through the few operations whose order matters in a crash.

mod file;
mod memory;

pub use file::FileDisk;
pub use memory::MemoryDisk;

use std::{fmt::Debug, io};

/// Files of one directory: neighbours in number are neighbours in place, so that they share a sync.
const FILES_PER_DIRECTORY: u64 = 4096;

/// The number that names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u64);

impl FileId {
    /// A file by its number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The directory that holds the file.
    pub const fn directory(self) -> u64 {
        self.0 / FILES_PER_DIRECTORY
    }
}

/// Files that are written once. Every call may block.
pub trait Files: Debug + Send + Sync + 'static {
    /// Writes the parts one after the other as the whole content of a file, and syncs the content. The file's name may
    /// not survive a crash yet.
    fn write(&self, file: FileId, parts: &[&[u8]]) -> io::Result<()>;

    /// Makes the names in a directory survive a crash.
    fn sync_directory(&self, directory: u64) -> io::Result<()>;

    /// Fills `out` from `offset` on; a shorter file is an error.
    fn read(&self, file: FileId, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Removes a file; that it is not there is no error. It may come back in a crash.
    fn remove(&self, file: FileId) -> io::Result<()>;

    /// All files with their lengths.
    fn list(&self) -> io::Result<Vec<(FileId, u64)>>;

    /// Bytes that may still be written.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// A disk: files and the storage of an index.
pub trait Disk: Files {
    /// Storage of the index.
    type Index: redb::StorageBackend;

    /// Opens the storage of the index; nothing if none was ever [finished](Self::finish_index). Only one may be open at
    /// a time.
    fn open_index(&self) -> io::Result<Option<Self::Index>>;

    /// Begins an empty index, in the place of one that was not finished.
    fn create_index(&self) -> io::Result<Self::Index>;

    /// Makes the index that was created the one that is found from now on. An empty index is written in several steps;
    /// this is what makes them one, so that a damaged index is never mistaken for one that was just begun.
    fn finish_index(&self) -> io::Result<()>;
}
