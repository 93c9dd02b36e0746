//! Look at a bucket as it was after one of its updates.

use super::{ChangeError, View, ViewError, view::Writes};
use crate::{
    bucket::Bucket,
    index::{Entry, Key, Value, tree::Pages},
    pages::{AskError, IndexError, Root, Scan},
    update::UpdateError,
};
use std::{
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// Entries of a leaf, about: what a walk looks ahead by.
const LEAF_ENTRIES: usize = 64;

/// A bucket after one of its updates. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) root: Arc<Root>,
    pub(crate) version: u64,
}

impl Snapshot {
    /// Updates of the bucket up to this one.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What stands under a key.
    pub async fn get(&self, key: &Key) -> Result<Option<Entry>, IndexError> {
        let value = match self.root.page.delta.get(key) {
            Some(value) => value.clone(),
            None => {
                let ask =
                    |pages: &Pages| Ok::<_, AskError<IndexError>>(pages.lookup(self.root.page.tree, key)?.cloned());
                self.bucket.reader.with_pages(&mut Pages::default(), ask).await?
            }
        };
        Ok(match value {
            Some(Value::Object(entry)) => Some(entry),
            _ => None,
        })
    }

    /// What stands under the keys of a range, forwards, at most `limit` of them. Objects and records only.
    pub async fn scan(&self, range: impl RangeBounds<Key>, limit: usize) -> Result<Vec<(Key, Entry)>, IndexError> {
        let (from, end) = (range.start_bound().cloned(), range.end_bound().cloned());
        let mut found = Vec::new();
        let mut walk = self.walk(from, limit / LEAF_ENTRIES + 1);
        while let Some(items) = walk.next().await? {
            for (key, value) in items {
                let is_behind = match &end {
                    Bound::Included(end) => key > *end,
                    Bound::Excluded(end) => key >= *end,
                    Bound::Unbounded => false,
                };
                if is_behind || found.len() >= limit {
                    return Ok(found);
                }
                if let Value::Object(entry) = value {
                    found.push((key, entry));
                }
            }
        }
        Ok(found)
    }

    /// Asks a closure of the bucket as it is here. It runs again where a page had to be fetched; nothing that it writes
    /// stays.
    pub async fn view<T, E: From<ViewError>>(
        &self,
        mut ask: impl FnMut(&mut View<'_>) -> Result<T, E>,
    ) -> Result<T, ChangeError<E>> {
        let (mut pages, nothing) = (Pages::default(), Writes::new());
        loop {
            let missing = {
                let mut view = View::new(self.bucket.id, &self.root.page, &pages, &nothing);
                let answer = ask(&mut view);
                let (_, missing) = view.into_parts();
                if missing.is_empty() {
                    return answer.map_err(ChangeError::Refused);
                }
                missing
            };
            let fetched = self.bucket.reader.fetch(&mut pages, missing).await;
            fetched.map_err(|error| ChangeError::Failed(UpdateError::Index(error)))?;
        }
    }

    /// A walk over everything from a key on.
    pub(crate) fn walk(&self, from: Bound<Key>, leaf_count: usize) -> Scan {
        Scan::new(self.bucket.clone(), self.root.clone(), from, leaf_count)
    }
}
