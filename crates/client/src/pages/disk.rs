//! Keep sealed index pages in files, which may be torn, old or gone at any time.
//!
//! # Format
//! A file for each page: a BLAKE3 hash, keyed with a key that only the bucket's owner can derive, of the page's place, its
//! kind and its bytes; then the sealed bytes. A file whose hash is another is no page, and is removed.

use crate::index::Extent;
use parking_lot::Mutex;
use sealing::PageKey;
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::PathBuf,
    time::SystemTime,
};
use types::BucketId;

const KEY_CONTEXT: &str = "cess index page cache v1";
const HASH_BYTES: usize = 32;

/// The folder of one bucket.
pub(super) struct DiskCache {
    folder: PathBuf,
    key: [u8; 32],
    bytes_max: u64,
    files: Mutex<Option<Files>>,
}

/// What is there, oldest first.
#[derive(Default)]
struct Files {
    by_age: BTreeMap<u64, String>,
    by_name: HashMap<String, (u64, u64)>,
    next: u64,
    bytes: u64,
}

impl DiskCache {
    pub(super) fn new(folder: PathBuf, bucket: &BucketId, page_key: &PageKey, bytes_max: u64) -> Self {
        let key = blake3::derive_key(KEY_CONTEXT, page_key.as_bytes());
        Self { folder: folder.join(alloy_primitives::hex::encode(bucket)), key, bytes_max, files: Mutex::default() }
    }

    /// The sealed page of a place, if it is there and whole.
    pub(super) fn read(&self, extent: &Extent, kind: u8) -> Option<Vec<u8>> {
        let name = name(extent, kind);
        let mut bytes = fs::read(self.folder.join(&name)).ok()?;
        let sealed = bytes.split_off(bytes.len().min(HASH_BYTES));
        let is_whole = sealed.len() == extent.length as usize && self.hash(extent, kind, &sealed) == *bytes;
        if !is_whole {
            tracing::warn!(file = %name, "a page in the cache on disk is damaged");
            self.forget(&name);
            return None;
        }
        Some(sealed)
    }

    /// Keeps a sealed page; whatever fails only costs a fetch later.
    pub(super) fn write(&self, extent: &Extent, kind: u8, sealed: &[u8]) {
        let name = name(extent, kind);
        if let Err(error) = self.try_write(&name, extent, kind, sealed) {
            tracing::debug!(%error, "a page could not be kept on disk");
            self.forget(&name);
        }
    }

    fn try_write(&self, name: &str, extent: &Extent, kind: u8, sealed: &[u8]) -> io::Result<()> {
        let bytes = [self.hash(extent, kind, sealed).as_bytes(), sealed].concat();
        if bytes.len() as u64 > self.bytes_max {
            return Ok(());
        }
        let too_old = {
            let mut files = self.files.lock();
            let files = files.get_or_insert_with(|| self.look());
            files.add(name, bytes.len() as u64);
            files.evict(self.bytes_max)
        };
        for name in too_old {
            let _ = fs::remove_file(self.folder.join(name));
        }
        fs::create_dir_all(&self.folder)?;
        fs::write(self.folder.join(name), bytes)
    }

    fn forget(&self, name: &str) {
        if let Some(files) = &mut *self.files.lock() {
            files.remove(name);
        }
        let _ = fs::remove_file(self.folder.join(name));
    }

    /// What an earlier run left.
    fn look(&self) -> Files {
        let mut files = Files::default();
        let Ok(folder) = fs::read_dir(&self.folder) else { return files };
        let mut found: Vec<(SystemTime, String, u64)> = folder
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, entry.file_name().into_string().ok()?, metadata.len()))
            })
            .collect();
        found.sort();
        found.iter().for_each(|(_, name, bytes)| files.add(name, *bytes));
        files
    }

    fn hash(&self, extent: &Extent, kind: u8, sealed: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&extent.to_bytes());
        hasher.update(&[kind]);
        hasher.update(sealed);
        hasher.finalize()
    }
}

impl Files {
    fn add(&mut self, name: &str, bytes: u64) {
        self.remove(name);
        self.by_age.insert(self.next, name.to_owned());
        self.by_name.insert(name.to_owned(), (self.next, bytes));
        self.next += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, name: &str) {
        if let Some((age, bytes)) = self.by_name.remove(name) {
            self.by_age.remove(&age);
            self.bytes -= bytes;
        }
    }

    /// Forgets the oldest until the rest is no more than `bytes_max`.
    fn evict(&mut self, bytes_max: u64) -> Vec<String> {
        let mut names = Vec::new();
        while self.bytes > bytes_max
            && let Some((_, name)) = self.by_age.first_key_value()
        {
            let name = name.clone();
            self.remove(&name);
            names.push(name);
        }
        names
    }
}

fn name(extent: &Extent, kind: u8) -> String {
    let hash = blake3::hash(&[&extent.to_bytes()[..], &[kind]].concat());
    hash.to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests;
