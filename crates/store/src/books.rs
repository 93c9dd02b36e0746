//! Account for space and for what is staged.

use crate::{
    disk::FileId,
    index::Effects,
    record::{FragmentKey, FragmentRecord, FragmentState},
};
use std::collections::{BTreeSet, HashSet};

/// What the store knows in memory. It follows from the records, apart from what is being written now.
#[derive(Debug, Default)]
pub(crate) struct Books {
    used_bytes: u64,
    reserved_bytes: u64,
    /// What is not fragments and takes of the same capacity.
    elsewhere_bytes: u64,
    next_file: u64,
    fragments: u64,
    /// Staged fragments by the height they must be held to.
    staged: BTreeSet<(u64, FragmentKey)>,
    /// Fragments that are being written.
    writing: HashSet<FragmentKey>,
}

impl Books {
    /// Counts a record that was found on disk.
    pub(crate) fn add(&mut self, record: &FragmentRecord) {
        self.used_bytes += record.file_bytes();
        self.fragments += 1;
        self.next_file = self.next_file.max(record.file.get() + 1);
        if record.state == FragmentState::Staged {
            self.staged.insert((record.expires_at_height, record.key));
        }
    }

    fn subtract(&mut self, record: &FragmentRecord) {
        self.used_bytes -= record.file_bytes();
        self.fragments -= 1;
        self.staged.remove(&(record.expires_at_height, record.key));
    }

    /// Follows a commit; returns the files that no record names any more.
    pub(crate) fn apply(&mut self, effects: &Effects) -> Vec<FileId> {
        let mut unused = Vec::new();
        for (before, after) in effects.records.values() {
            if let Some(before) = before {
                self.subtract(before);
                if after.as_ref().is_none_or(|after| after.file != before.file) {
                    unused.push(before.file);
                }
            }
            if let Some(after) = after {
                self.add(after);
            }
        }
        unused
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub(crate) fn fragment_count(&self) -> u64 {
        self.fragments
    }

    /// Bytes that fit into both the capacity and the disk, after all that is being written.
    pub(crate) fn free_bytes(&self, capacity_bytes: u64, disk_free_bytes: u64) -> u64 {
        let taken_bytes = self.elsewhere_bytes.saturating_add(self.used_bytes + self.reserved_bytes);
        let within_capacity = capacity_bytes.saturating_sub(taken_bytes);
        within_capacity.min(disk_free_bytes.saturating_sub(self.reserved_bytes))
    }

    pub(crate) fn set_elsewhere_bytes(&mut self, bytes: u64) {
        self.elsewhere_bytes = bytes;
    }

    /// Begins to write a fragment; nothing if somebody else is at it.
    pub(crate) fn begin(&mut self, key: FragmentKey, bytes: u64) -> Option<FileId> {
        if !self.writing.insert(key) {
            return None;
        }
        self.reserved_bytes += bytes;
        let file = FileId::new(self.next_file);
        self.next_file += 1;
        Some(file)
    }

    /// Ends writing a fragment, whether or not it is there now.
    pub(crate) fn end(&mut self, key: FragmentKey, bytes: u64) {
        self.writing.remove(&key);
        self.reserved_bytes -= bytes;
    }

    /// Staged fragments that need not be held at `height` any more, at most `limit`.
    pub(crate) fn expired(&self, height: u64, limit: usize) -> Vec<FragmentKey> {
        let before = self.staged.iter().take_while(|(expires_at_height, _)| *expires_at_height < height);
        before.take(limit).map(|(_, key)| *key).collect()
    }

    /// Staged fragments.
    pub(crate) fn staged(&self) -> Vec<FragmentKey> {
        self.staged.iter().map(|(_, key)| *key).collect()
    }
}
