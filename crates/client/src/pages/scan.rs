//! Walk an index forwards, with the leaves to come on their way.

use super::IndexError;
use crate::{
    bucket::Bucket,
    index::{Extent, Item, Key, Leaf, Page, Pages, Value},
    pages::{AskError, Root},
};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};
use tokio_util::task::AbortOnDropHandle;

/// Most leaves that are fetched ahead.
const AHEAD_MAX: usize = 32;

/// A walk from a key on.
pub(crate) struct Scan {
    bucket: Arc<Bucket>,
    root: Arc<Root>,
    /// Inner pages on the way.
    pages: Pages,
    /// Where the next leaf's share begins; nothing at the end.
    from: Option<Bound<Key>>,
    /// Where the leaves begin that were not asked for.
    frontier: Option<Key>,
    coming: VecDeque<Coming>,
    ahead: usize,
}

/// A leaf on its way, with the first key behind it.
struct Coming {
    page: AbortOnDropHandle<Result<Arc<Page>, IndexError>>,
    place: Extent,
    next: Option<Key>,
}

impl Scan {
    /// A walk that most likely ends within `leaf_count` leaves.
    pub(crate) fn new(bucket: Arc<Bucket>, root: Arc<Root>, from: Bound<Key>, leaf_count: usize) -> Self {
        let first = match &from {
            Bound::Included(key) | Bound::Excluded(key) => key.clone(),
            Bound::Unbounded => Key::first(),
        };
        let frontier = root.page.tree.is_some().then_some(first);
        let ahead = leaf_count.clamp(1, AHEAD_MAX);
        Self { bucket, root, pages: Pages::default(), from: Some(from), frontier, coming: VecDeque::new(), ahead }
    }

    /// The items of the next leaf, with the newest changes over them; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Item>>, IndexError> {
        Ok(self.next_leaf().await?.map(|(_, items)| items))
    }

    /// The same, with the place of the leaf.
    pub(crate) async fn next_leaf(&mut self) -> Result<Option<(Option<Extent>, Vec<Item>)>, IndexError> {
        let Some(from) = self.from.take() else { return Ok(None) };
        self.look_ahead().await?;
        let (page, place, next) = match self.coming.pop_front() {
            Some(Coming { page, place, next }) => {
                (Some(page.await.expect("fetching does not panic")?), Some(place), next)
            }
            None => (None, None, None),
        };
        let end = next.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let items = match page.as_deref() {
            Some(Page::Leaf(Leaf(items))) => items.as_slice(),
            _ => &[],
        };
        let items = merge(items, &self.root.page.delta, (from.as_ref(), end));
        self.from = next.map(Bound::Included);
        Ok(Some((place, items)))
    }

    async fn look_ahead(&mut self) -> Result<(), IndexError> {
        if self.coming.len() > self.ahead / 2 {
            return Ok(());
        }
        let Some(frontier) = self.frontier.take() else { return Ok(()) };
        let count = self.ahead - self.coming.len();
        let tree = self.root.page.tree;
        let ask = |pages: &Pages| Ok::<_, AskError<IndexError>>(pages.leaves_from(tree, &frontier, count)?);
        let leaves = self.bucket.reader.with_pages(&mut self.pages, ask).await?;
        self.frontier = leaves.last().and_then(|(_, next)| next.clone());
        for (extent, next) in leaves {
            let bucket = self.bucket.clone();
            let page = tokio::spawn(async move { bucket.reader.page(extent, 1).await });
            self.coming.push_back(Coming { page: AbortOnDropHandle::new(page), place: extent, next });
        }
        self.ahead = (self.ahead * 2).min(AHEAD_MAX);
        Ok(())
    }
}

/// What lies in a window of a leaf, with changes over it.
fn merge(items: &[Item], delta: &BTreeMap<Key, Option<Value>>, window: (Bound<&Key>, Bound<&Key>)) -> Vec<Item> {
    let first = match window.0 {
        Bound::Included(start) => items.partition_point(|(key, _)| key < start),
        Bound::Excluded(start) => items.partition_point(|(key, _)| key <= start),
        Bound::Unbounded => 0,
    };
    let mut merged = Vec::with_capacity(items.len() - first);
    let mut stored = items[first..].iter().peekable();
    for (key, value) in changes_in(delta, window) {
        while let Some(item) = stored.next_if(|(other, _)| other < key) {
            merged.push(item.clone());
        }
        stored.next_if(|(other, _)| other == key);
        merged.extend(value.clone().map(|value| (key.clone(), value)));
    }
    merged.extend(stored.cloned());
    merged
}

/// The changes in a window, which a hostile tree may have made an empty one.
fn changes_in<'a>(
    delta: &'a BTreeMap<Key, Option<Value>>,
    (start, end): (Bound<&'a Key>, Bound<&'a Key>),
) -> impl Iterator<Item = (&'a Key, &'a Option<Value>)> {
    delta.range::<Key, _>((start, Bound::Unbounded)).take_while(move |(key, _)| match end {
        Bound::Excluded(end) => *key < end,
        Bound::Included(end) => *key <= end,
        Bound::Unbounded => true,
    })
}
