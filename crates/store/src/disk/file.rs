//! Keep files in a folder of the file system.

use super::{Disk, FileId, Files};
use parking_lot::Mutex;
use redb::backends::FileBackend;
use rustix::fs::OFlags;
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// Alignment that direct writes need, of memory, place and length.
const ALIGNMENT: usize = 4096;
/// Files from this length on bypass the page cache: half the CPU per byte (`docs/spec/store.md`), while short ones are
/// better off with the cache's batching.
const DIRECT_BYTES_MIN: usize = 256 << 10;
/// The index.
const INDEX: &str = "index.redb";
/// An index that is not finished.
const NEW_INDEX: &str = "index.new";
/// Buffers to keep for direct writes.
const BUFFERS_MAX: usize = 8;

/// A folder with fragments in `fragments/` and the index in `index.redb`.
#[derive(Debug)]
pub struct FileDisk {
    folder: PathBuf,
    /// Whether the file system may know direct writes.
    direct: AtomicBool,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl FileDisk {
    /// Opens a folder, made if it is not there.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("fragments"))?;
        File::open(folder)?.sync_all()?;
        File::open(folder.join("fragments"))?.sync_all()?;
        Ok(Self { folder: folder.into(), direct: AtomicBool::new(true), buffers: Mutex::default() })
    }

    fn directory(&self, directory: u64) -> PathBuf {
        self.folder.join("fragments").join(format!("{directory:013x}"))
    }

    fn path(&self, file: FileId) -> PathBuf {
        self.directory(file.directory()).join(format!("{:016x}", file.get()))
    }

    /// Creates the file, and its directory before the first one.
    fn create(&self, file: FileId, options: &mut OpenOptions) -> io::Result<File> {
        let path = self.path(file);
        match options.open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(self.directory(file.directory()))?;
                File::open(self.folder.join("fragments"))?.sync_all()?;
                options.open(&path)
            }
            opened => opened,
        }
    }

    fn write_cached(&self, file: FileId, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = self.create(file, OpenOptions::new().write(true).create(true).truncate(true))?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_data()
    }

    /// Writes past the page cache; false if this file system cannot.
    fn write_direct(&self, file: FileId, parts: &[&[u8]], total: usize) -> io::Result<bool> {
        let flags = OFlags::DIRECT.bits() as i32;
        let mut options = OpenOptions::new();
        let opened = self.create(file, options.write(true).create(true).truncate(true).custom_flags(flags));
        let unsupported = |error: &io::Error| error.kind() == ErrorKind::InvalidInput;
        let mut file = match opened {
            Err(error) if unsupported(&error) => return Ok(false),
            opened => opened?,
        };
        let mut buffer = self.buffers.lock().pop().unwrap_or_default();
        buffer.resize(buffer.len().max(total + ALIGNMENT), 0);
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        let aligned = &mut buffer[start..start + total];
        let mut filled = 0;
        for part in parts {
            aligned[filled..filled + part.len()].copy_from_slice(part);
            filled += part.len();
        }
        let written = file.write_all(aligned);
        let mut buffers = self.buffers.lock();
        if buffers.len() < BUFFERS_MAX {
            buffers.push(buffer);
        }
        drop(buffers);
        match written {
            Err(error) if unsupported(&error) => return Ok(false),
            written => written?,
        }
        file.sync_data()?;
        Ok(true)
    }
}

impl Files for FileDisk {
    fn write(&self, file: FileId, parts: &[&[u8]]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let fits = total >= DIRECT_BYTES_MIN && total.is_multiple_of(ALIGNMENT);
        if fits && self.direct.load(Ordering::Relaxed) {
            if self.write_direct(file, parts, total)? {
                return Ok(());
            }
            self.direct.store(false, Ordering::Relaxed);
        }
        self.write_cached(file, parts)
    }

    fn sync_directory(&self, directory: u64) -> io::Result<()> {
        File::open(self.directory(directory))?.sync_all()
    }

    fn read(&self, file: FileId, offset: u64, out: &mut [u8]) -> io::Result<()> {
        File::open(self.path(file))?.read_exact_at(out, offset)
    }

    fn remove(&self, file: FileId) -> io::Result<()> {
        match fs::remove_file(self.path(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn list(&self) -> io::Result<Vec<(FileId, u64)>> {
        let mut files = Vec::new();
        for directory in fs::read_dir(self.folder.join("fragments"))? {
            let directory = directory?;
            if number(&directory.file_name(), 13).is_none() || !directory.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(directory.path())? {
                let entry = entry?;
                // Names that are not ours are left alone.
                if let Some(file) = number(&entry.file_name(), 16) {
                    files.push((FileId::new(file), entry.metadata()?.len()));
                }
            }
        }
        Ok(files)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let status = rustix::fs::statvfs(&self.folder)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

/// The number that a name of exactly `digits` hexadecimal digits stands for.
fn number(name: &OsStr, digits: usize) -> Option<u64> {
    let name = name.to_str().filter(|name| name.len() == digits)?;
    let number = u64::from_str_radix(name, 16).ok()?;
    (format!("{number:0digits$x}") == name).then_some(number)
}

impl Disk for FileDisk {
    type Index = FileBackend;

    fn open_index(&self) -> io::Result<Option<FileBackend>> {
        match OpenOptions::new().read(true).write(true).open(self.folder.join(INDEX)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            file => FileBackend::new(file?).map(Some).map_err(io::Error::other),
        }
    }

    fn create_index(&self) -> io::Result<FileBackend> {
        let path = self.folder.join(NEW_INDEX);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        FileBackend::new(file).map_err(io::Error::other)
    }

    fn finish_index(&self) -> io::Result<()> {
        fs::rename(self.folder.join(NEW_INDEX), self.folder.join(INDEX))?;
        File::open(&self.folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
