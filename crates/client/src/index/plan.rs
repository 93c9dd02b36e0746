//! Plan an update of the index: which keys change, which pages are new, which segments fall out of use.

use super::{
    entry::{Content, Entry, Extent},
    page::{Child, Key, RootPage, Usage, Value},
    tree::{Missing, NewPage, Pages, Rewrite},
};
use alloy_primitives::B256;
use std::collections::{BTreeMap, BTreeSet};
use types::SegmentId;

/// What must hold of an object before it is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// There is no such object.
    Absent,
    /// There is one.
    Present,
    /// There is one with this etag.
    Etag(B256),
}

impl Condition {
    /// Checks the condition on what stands under the key of an object.
    pub fn check(self, key: &str, before: Option<&Entry>) -> Result<(), Conflict> {
        let key = key.to_owned();
        match (self, before) {
            (Self::Absent, Some(_)) => Err(Conflict::Exists { key }),
            (Self::Present | Self::Etag(_), None) => Err(Conflict::NotFound { key }),
            (Self::Etag(etag), Some(before)) if before.etag != etag => {
                Err(Conflict::Changed { key, current: before.etag })
            }
            _ => Ok(()),
        }
    }
}

/// A change of the index, to be planned on whatever root there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Puts an object or a record, over an older one if there is any.
    Put {
        /// Its key.
        key: Key,
        /// What it is.
        entry: Box<Entry>,
        /// Extents of the parts that stand in pieces and not in the entry.
        listed: Vec<Extent>,
    },
    /// Removes an object or a record.
    Remove {
        /// Its key.
        key: Key,
    },
    /// Notes a segment of this write, with the bytes that pages in it take; objects count theirs when they are put.
    Segment(SegmentId, Usage),
    /// Notes a segment that nothing refers to, for its release.
    Unused(SegmentId, u32),
    /// Forgets a segment that was released.
    Released(SegmentId),
}

/// A condition does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// There is an object where there should be none.
    #[error("object {key:?} exists already: choose another key or allow to overwrite")]
    Exists {
        /// Its key.
        key: String,
    },
    /// There is no such object.
    #[error("object {key:?} does not exist: list what there is with `cess object list`")]
    NotFound {
        /// Its key.
        key: String,
    },
    /// The object changed.
    #[error("object {key:?} changed meanwhile (etag {current}): read it again")]
    Changed {
        /// Its key.
        key: String,
        /// Its etag now.
        current: B256,
    },
}

/// Why there is no plan yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Something must be fetched first.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// An entry refers to a segment of which nothing is in use any more.
    #[error("segment {segment} is not in use any more: read again what refers to it")]
    Gone {
        /// The segment.
        segment: SegmentId,
    },
}

/// The next state of the index, before its pages have a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// New pages of the tree, each after its children.
    pub pages: Vec<NewPage>,
    /// The top of the tree and its height.
    pub tree: Option<(Child, u8)>,
    /// The changes that go into the root page.
    pub delta: BTreeMap<Key, Option<Value>>,
    /// Bytes that entries refer to in the segment that has no name yet.
    pub own_used: u64,
}

/// Plans `ops` on a root page that lies at `place` (nothing for a bucket that was never written). Changes of more than
/// `delta_bytes_max`, which is at most [`DELTA_BYTES_MAX`](super::tree::DELTA_BYTES_MAX), are folded into the tree.
pub fn plan(
    root: &RootPage,
    place: Option<Extent>,
    pages: &Pages,
    ops: &[Op],
    delta_bytes_max: usize,
) -> Result<Plan, PlanError> {
    let mut books = Books { root, pages, view: root.delta.clone(), changed: BTreeSet::new(), own_used: 0 };
    let mut missing = Missing::default();
    // Whatever comes into use before whatever goes: what only moves must not seem unused in between.
    for step in [Books::take, Books::apply] {
        for op in ops {
            match step(&mut books, op) {
                Err(PlanError::Missing(more)) => missing.extend(more),
                // It may only seem so while an earlier operation was not applied.
                Err(PlanError::Gone { .. }) if !missing.is_empty() => {}
                result => result?,
            }
        }
    }
    if !missing.is_empty() {
        return Err(missing.into());
    }
    if let Some(place) = place {
        books.free(&place)?;
    }
    for op in ops {
        books.retire(op)?;
    }
    let delta = RootPage { delta: books.view.clone(), ..RootPage::default() };
    if delta.delta_bytes() <= delta_bytes_max {
        let tree = root.tree.map(|(extent, height)| (Child::Stored(extent), height));
        return Ok(Plan { pages: Vec::new(), tree, delta: delta.delta, own_used: books.own_used });
    }
    let changes: Vec<_> = delta.delta.into_iter().collect();
    let Rewrite { pages, tree, dropped } = books.pages.rewrite(root.tree, &changes)?;
    books.changed.clear();
    for extent in &dropped {
        books.free(extent)?;
    }
    // What the rewrite itself changed begins the next delta.
    let Books { view, changed, own_used, .. } = books;
    let delta = view.into_iter().filter(|(key, _)| changed.contains(key)).collect();
    Ok(Plan { pages, tree, delta, own_used })
}

/// The index while it changes: the newest changes over the tree.
struct Books<'a> {
    root: &'a RootPage,
    pages: &'a Pages,
    view: BTreeMap<Key, Option<Value>>,
    changed: BTreeSet<Key>,
    own_used: u64,
}

impl Books<'_> {
    fn find(&self, key: &Key) -> Result<Option<Value>, Missing> {
        match self.view.get(key) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.pages.lookup(self.root.tree, key)?.cloned()),
        }
    }

    fn set(&mut self, key: Key, value: Option<Value>) {
        self.changed.insert(key.clone());
        // A removal has to be noted only where the tree may hold the key.
        if value.is_none() && self.root.tree.is_none() {
            self.view.remove(&key);
        } else {
            self.view.insert(key, value);
        }
    }

    /// Takes what an operation refers to into use.
    fn take(&mut self, op: &Op) -> Result<(), PlanError> {
        match op {
            Op::Put { entry, listed, .. } => {
                entry.extents().chain(listed).try_for_each(|extent| self.take_into_use(extent))
            }
            Op::Segment(id, usage) => Ok(self.note_segment(*id, *usage)?),
            Op::Remove { .. } | Op::Unused(..) | Op::Released(_) => Ok(()),
        }
    }

    /// Does the rest of an operation.
    fn apply(&mut self, op: &Op) -> Result<(), PlanError> {
        match op {
            Op::Put { key, entry, .. } => Ok(self.replace(key, Some(entry))?),
            Op::Remove { key } => Ok(self.replace(key, None)?),
            Op::Segment(..) => Ok(()),
            Op::Unused(id, volume) => {
                // The same segment may have come into use since, by the same bytes written again.
                if self.find(&Key::Segment(*id))?.is_none() {
                    self.set(Key::Unused(*id), Some(Value::Unused(*volume)));
                }
                Ok(())
            }
            Op::Released(id) => {
                self.set(Key::Unused(*id), None);
                Ok(())
            }
        }
    }

    fn note_segment(&mut self, id: SegmentId, usage: Usage) -> Result<(), Missing> {
        // A resumed upload may bring a segment that is known already, or that was given up in between.
        let used = match self.find(&Key::Segment(id))? {
            Some(Value::Segment(before)) => before.used.saturating_add(usage.used),
            _ => usage.used,
        };
        if self.find(&Key::Unused(id))?.is_some() {
            self.set(Key::Unused(id), None);
        }
        self.set(Key::Segment(id), Some(Value::Segment(Usage { used, ..usage })));
        Ok(())
    }

    fn replace(&mut self, key: &Key, entry: Option<&Entry>) -> Result<(), Missing> {
        let before = match self.find(key)? {
            Some(Value::Object(before)) => before,
            _ => {
                if let Some(entry) = entry {
                    self.set(key.clone(), Some(Value::Object(entry.clone())));
                }
                return Ok(());
            }
        };
        let mut extents: Vec<Extent> = before.extents().copied().collect();
        if let Content::Pieces(pieces) = &before.content {
            let parts = self.pages.list(pieces, before.size)?;
            extents.extend(parts.iter().flat_map(|part| &part.extents));
        }
        for extent in &extents {
            self.free(extent)?;
        }
        self.set(key.clone(), entry.map(|entry| Value::Object(entry.clone())));
        Ok(())
    }

    /// Segments of this write that nothing came to refer to are unused from the start.
    fn retire(&mut self, op: &Op) -> Result<(), Missing> {
        let Op::Segment(id, _) = op else { return Ok(()) };
        if let Some(Value::Segment(usage @ Usage { used: 0, .. })) = self.find(&Key::Segment(*id))? {
            self.set(Key::Segment(*id), None);
            self.set(Key::Unused(*id), Some(Value::Unused(usage.volume)));
        }
        Ok(())
    }

    fn take_into_use(&mut self, extent: &Extent) -> Result<(), PlanError> {
        // The root page counts its own segment itself.
        if extent.segment.is_own() {
            self.own_used += u64::from(extent.length);
            return Ok(());
        }
        let segment = extent.segment.id;
        let Some(Value::Segment(usage)) = self.find(&Key::Segment(segment))? else {
            return Err(PlanError::Gone { segment });
        };
        let used = usage.used.saturating_add(extent.length.into());
        self.set(Key::Segment(segment), Some(Value::Segment(Usage { used, ..usage })));
        Ok(())
    }

    /// Takes an extent out of use, and its segment with it when nothing else is left there.
    fn free(&mut self, extent: &Extent) -> Result<(), Missing> {
        let segment = extent.segment.id;
        let Some(Value::Segment(usage)) = self.find(&Key::Segment(segment))? else { return Ok(()) };
        let used = usage.used.saturating_sub(extent.length.into());
        if used > 0 {
            self.set(Key::Segment(segment), Some(Value::Segment(Usage { used, ..usage })));
        } else {
            self.set(Key::Segment(segment), None);
            self.set(Key::Unused(segment), Some(Value::Unused(usage.volume)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
