//! Let a change look at the index and write to it, before anything of it is stored.

use crate::{
    body::Body,
    index::{
        Content, Entry, EntryError, Key, Missing, Value,
        page::{OBJECT_KEY_BYTES_MAX, RECORD_KEY_BYTES_MAX, RootPage},
        tree::Pages,
    },
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::{Bound, RangeBounds},
};
use types::BucketId;

/// What changes write: an entry, or nothing where one is removed.
pub(crate) type Writes = BTreeMap<Key, Option<Entry>>;

/// Why a change cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A page has to be fetched: the change will run again.
    #[error("a page of the index has to be fetched first")]
    NotAtHand,
    /// The key is too long, or no key of an object or a record.
    #[error(
        "an object's key has 1 to {OBJECT_KEY_BYTES_MAX} bytes, a record's 1 to {RECORD_KEY_BYTES_MAX}, unlike {key:?}"
    )]
    Key {
        /// The key.
        key: Key,
    },
    /// The entry breaks a limit.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The body was staged for another bucket.
    #[error("the bytes were staged for another bucket: stage them for this one")]
    ForeignBody,
}

/// The index as a change sees it: the root that will be replaced, with the changes of the group that come before, and its
/// own.
pub struct View<'a> {
    base: &'a RootPage,
    pages: &'a Pages,
    bucket: BucketId,
    before: &'a Writes,
    own: Writes,
    missing: RefCell<Missing>,
}

impl<'a> View<'a> {
    pub(crate) fn new(bucket: BucketId, base: &'a RootPage, pages: &'a Pages, before: &'a Writes) -> Self {
        Self { base, pages, bucket, before, own: Writes::new(), missing: RefCell::default() }
    }

    /// What stands under a key.
    pub fn get(&self, key: &Key) -> Result<Option<&Entry>, ViewError> {
        if let Some(written) = self.own.get(key).or_else(|| self.before.get(key)) {
            return Ok(written.as_ref());
        }
        let value = match self.base.delta.get(key) {
            Some(value) => value.as_ref(),
            None => self.pages.lookup(self.base.tree, key).map_err(|missing| self.lacks(missing))?,
        };
        Ok(value.and_then(Value::as_entry))
    }

    /// What stands under the keys of a range, forwards, at most `limit` of them. Objects and records only.
    pub fn scan(&self, range: impl RangeBounds<Key>, limit: usize) -> Result<Vec<(Key, Entry)>, ViewError> {
        let mut found: BTreeMap<Key, Entry> = BTreeMap::new();
        let mut from = range.start_bound().cloned();
        loop {
            let start = match &from {
                Bound::Included(key) | Bound::Excluded(key) => key.clone(),
                Bound::Unbounded => Key::first(),
            };
            let leaf = self.pages.leaf_at(self.base.tree, &start).map_err(|missing| self.lacks(missing))?;
            let (items, next) = leaf.unwrap_or_default();
            let end = match next {
                Some(next) => earlier(Bound::Excluded(next), range.end_bound()),
                None => range.end_bound(),
            };
            let window = (from.as_ref(), end);
            if !is_empty(&window) {
                self.merge(items, window, &mut found);
            }
            match next {
                Some(next) if found.len() < limit && range.contains(next) => from = Bound::Included(next.clone()),
                _ => return Ok(found.into_iter().take(limit).collect()),
            }
        }
    }

    /// Lays what lies in a window of a leaf and of all changes over one another.
    fn merge(&self, items: &[(Key, Value)], window: (Bound<&Key>, Bound<&Key>), found: &mut BTreeMap<Key, Entry>) {
        let stored = items.iter().filter(|(key, _)| window.contains(key));
        found.extend(stored.filter_map(|(key, value)| Some((key.clone(), value.as_entry()?.clone()))));
        let delta = self.base.delta.range::<Key, _>(window);
        let delta = delta.map(|(key, value)| (key, value.as_ref().and_then(Value::as_entry)));
        let before = self.before.range::<Key, _>(window).map(|(key, entry)| (key, entry.as_ref()));
        let own = self.own.range::<Key, _>(window).map(|(key, entry)| (key, entry.as_ref()));
        for (key, entry) in delta.chain(before).chain(own) {
            match entry {
                Some(entry) => found.insert(key.clone(), entry.clone()),
                None => found.remove(key),
            };
        }
    }

    /// Puts an entry under a key. With a body, the entry gets its etag, its size and its bytes; without one it keeps the
    /// bytes that it has, as read from this view: none, or those that another entry has too.
    pub fn put(&mut self, key: Key, entry: Entry, body: Option<&Body>) -> Result<(), ViewError> {
        let mut entry = entry;
        if let Some(body) = body {
            (entry.etag, entry.size) = (body.etag(), body.size());
            entry.content = Content::Body(body.clone());
        }
        match (&key, &entry.content) {
            // An object has a part even where it has no bytes.
            (Key::Object(name), content) if !is_key(name.len(), OBJECT_KEY_BYTES_MAX) || content.is_nothing() => {
                return Err(ViewError::Key { key });
            }
            (Key::Record(name), _) if !is_key(name.len(), RECORD_KEY_BYTES_MAX) => return Err(ViewError::Key { key }),
            (Key::Segment(_) | Key::Unused(_), _) => return Err(ViewError::Key { key }),
            (_, Content::Body(body)) if !body.is_of(&self.bucket) => return Err(ViewError::ForeignBody),
            _ => {}
        }
        entry.check()?;
        self.own.insert(key, Some(entry));
        Ok(())
    }

    /// Removes what stands under a key, if anything does.
    pub fn remove(&mut self, key: &Key) -> Result<(), ViewError> {
        if self.get(key)?.is_some() {
            self.own.insert(key.clone(), None);
        }
        Ok(())
    }

    /// What the change wrote, and what it lacked.
    pub(crate) fn into_parts(self) -> (Writes, Missing) {
        (self.own, self.missing.into_inner())
    }

    fn lacks(&self, missing: Missing) -> ViewError {
        self.missing.borrow_mut().extend(missing);
        ViewError::NotAtHand
    }
}

fn is_key(length: usize, most: usize) -> bool {
    (1..=most).contains(&length)
}

fn earlier<'a>(one: Bound<&'a Key>, other: Bound<&'a Key>) -> Bound<&'a Key> {
    match (one, other) {
        (Bound::Unbounded, bound) | (bound, Bound::Unbounded) => bound,
        (Bound::Excluded(a), Bound::Included(b)) => {
            if a <= b {
                one
            } else {
                other
            }
        }
        (Bound::Included(a), Bound::Excluded(b)) => {
            if a < b {
                one
            } else {
                other
            }
        }
        (Bound::Excluded(a), Bound::Excluded(b)) | (Bound::Included(a), Bound::Included(b)) => {
            if a <= b {
                one
            } else {
                other
            }
        }
    }
}

/// Whether no key can lie between these; a map would panic to be asked for them.
fn is_empty(window: &(Bound<&Key>, Bound<&Key>)) -> bool {
    match window {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        _ => false,
    }
}
