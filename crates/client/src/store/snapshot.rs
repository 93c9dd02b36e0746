//! Look at a bucket as it was after one of its updates.

use crate::{
    bucket::Bucket,
    index::{Entry, Key},
    pages::{IndexError, Root},
};
use std::{ops::RangeBounds, sync::Arc};

/// A bucket after one of its updates. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) bucket: Arc<Bucket>,
    pub(super) root: Arc<Root>,
    pub(super) version: u64,
}

impl Snapshot {
    /// Updates of the bucket up to this one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What stands under a key.
    pub async fn get(&self, key: &Key) -> Result<Option<Entry>, IndexError> {
        let _ = (key, &self.bucket, &self.root);
        todo!()
    }

    /// What stands under the keys of a range, forwards, at most `limit` of them. Objects and records only.
    pub async fn scan(&self, range: impl RangeBounds<Key>, limit: usize) -> Result<Vec<(Key, Entry)>, IndexError> {
        let _ = (range.start_bound(), limit);
        todo!()
    }
}
