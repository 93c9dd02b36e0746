//! Search and rewrite the tree, as functions of the pages at hand.

use super::{
    entry::{Extent, Part},
    page::{Child, Item, Key, Page, Value},
};
use std::{collections::HashMap, sync::Arc};

/// Most bytes of changes in a root page before they are folded into the tree.
pub const DELTA_BYTES_MAX: usize = 256 << 10;
/// Bytes that a page is filled up to; the last item may exceed it.
pub const PAGE_BYTES_TARGET: usize = 48 << 10;
/// Bytes below which a page that is written anew is joined with its neighbour.
pub const PAGE_BYTES_MIN: usize = 16 << 10;

const CHILD_BYTES: usize = 48;

/// Pages and lists of parts that were fetched.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// By place and height: a page that claims another height is another page.
    pages: HashMap<(Extent, u8), Arc<Page>>,
    lists: HashMap<Vec<Extent>, Arc<Vec<Part>>>,
}

/// What has to be fetched before the question can be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("pages of the index are not at hand")]
pub struct Missing {
    /// Pages with their heights.
    pub pages: Vec<(Extent, u8)>,
    /// Pieces of lists of parts, with the size of the object.
    pub lists: Vec<(Vec<Extent>, u64)>,
}

impl Missing {
    /// Adds what is not known to be missing yet.
    pub(crate) fn extend(&mut self, more: Self) {
        let Self { pages, lists } = self;
        more.pages.into_iter().for_each(|page| {
            if !pages.contains(&page) {
                pages.push(page)
            }
        });
        more.lists.into_iter().for_each(|list| {
            if !lists.contains(&list) {
                lists.push(list)
            }
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pages.is_empty() && self.lists.is_empty()
    }
}

/// A page that a rewrite makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewPage {
    /// Height 1.
    Leaf(Vec<Item>),
    /// A higher page, with its height.
    Inner(u8, Vec<(Key, Child)>),
}

impl NewPage {
    /// Pages up to the leaves, counting both.
    pub fn height(&self) -> u8 {
        match self {
            Self::Leaf(_) => 1,
            Self::Inner(height, _) => *height,
        }
    }
}

/// What a rewrite gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// New pages, each after its children.
    pub pages: Vec<NewPage>,
    /// The new top and its height.
    pub tree: Option<(Child, u8)>,
    /// Pages that are in the tree no more.
    pub dropped: Vec<Extent>,
}

/// A change of one key: a value, or a removal.
pub type Change = (Key, Option<Value>);

/// Items of a leaf, and the first key after it.
type Leaf<'a> = (&'a [Item], Option<&'a Key>);

impl Pages {
    /// Adds a page that was decoded for this height.
    pub fn add(&mut self, extent: Extent, height: u8, page: Arc<Page>) {
        self.pages.insert((extent, height), page);
    }

    /// Adds the parts that a list in these pieces holds.
    pub fn add_list(&mut self, pieces: Vec<Extent>, parts: Arc<Vec<Part>>) {
        self.lists.insert(pieces, parts);
    }

    /// The parts of a list in pieces.
    pub fn list(&self, pieces: &[Extent], size: u64) -> Result<&[Part], Missing> {
        let known = self.lists.get(pieces);
        known
            .map(|parts| parts.as_slice())
            .ok_or_else(|| Missing { lists: vec![(pieces.to_vec(), size)], ..Missing::default() })
    }

    fn page(&self, extent: &Extent, height: u8) -> Result<&Page, Missing> {
        let missing = || Missing { pages: vec![(*extent, height)], ..Missing::default() };
        self.pages.get(&(*extent, height)).map(|page| &**page).ok_or_else(missing)
    }

    /// What stands under `key`.
    pub fn lookup(&self, tree: Option<(Extent, u8)>, key: &Key) -> Result<Option<&Value>, Missing> {
        let Some((leaf, _)) = self.leaf_at(tree, key)? else { return Ok(None) };
        Ok(leaf.binary_search_by(|(other, _)| other.cmp(key)).ok().map(|at| &leaf[at].1))
    }

    /// The leaf that holds `key` if any does, and the first key after the leaf.
    pub fn leaf_at(&self, tree: Option<(Extent, u8)>, key: &Key) -> Result<Option<Leaf<'_>>, Missing> {
        let Some((mut extent, mut height)) = tree else { return Ok(None) };
        let mut next = None;
        loop {
            match self.page(&extent, height)? {
                Page::Leaf(leaf) => return Ok(Some((&leaf.0, next))),
                Page::Inner(inner) => {
                    let after = inner.0.partition_point(|(first, _)| first <= key);
                    next = inner.0.get(after.max(1)).map(|(first, _)| first).or(next);
                    extent = inner.0[after.saturating_sub(1)].1;
                    height -= 1;
                }
            }
        }
    }

    /// The leaves from the one that may hold `key` on, up to `count` of those that stand in one page, each with the first
    /// key behind it. They need not be at hand.
    pub fn leaves_from(
        &self,
        tree: Option<(Extent, u8)>,
        key: &Key,
        count: usize,
    ) -> Result<Vec<(Extent, Option<Key>)>, Missing> {
        let Some((mut extent, mut height)) = tree else { return Ok(Vec::new()) };
        let mut behind = None;
        while height > 1 {
            let Page::Inner(inner) = self.page(&extent, height)? else { break };
            let at = inner.0.partition_point(|(first, _)| first <= key).saturating_sub(1);
            if height == 2 {
                let children = &inner.0[at..];
                let nexts = children.iter().skip(1).map(|(first, _)| Some(first)).chain([behind]);
                return Ok(children
                    .iter()
                    .zip(nexts)
                    .take(count)
                    .map(|((_, leaf), next)| (*leaf, next.cloned()))
                    .collect());
            }
            behind = inner.0.get(at + 1).map(|(first, _)| first).or(behind);
            (extent, height) = (inner.0[at].1, height - 1);
        }
        Ok(vec![(extent, None)])
    }

    /// Applies changes, whose keys rise, to the tree.
    pub fn rewrite(&self, tree: Option<(Extent, u8)>, changes: &[Change]) -> Result<Rewrite, Missing> {
        let mut rewriter = Rewriter { pages: self, new: Vec::new(), dropped: Vec::new(), missing: Missing::default() };
        let (mut nodes, mut height) = match tree {
            Some((extent, height)) if changes.is_empty() => {
                return Ok(Rewrite { tree: Some((Child::Stored(extent), height)), ..Rewrite::default() });
            }
            Some((extent, height)) => {
                let top = [(changes[0].0.clone(), extent)];
                (rewriter.level(height, &top, changes), height)
            }
            None => {
                let kept = changes.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
                (rewriter.paginate(1, Items::Leaf(kept.collect())), 1)
            }
        };
        while nodes.len() > 1 {
            height += 1;
            nodes = rewriter.paginate(height, Items::Inner(nodes));
        }
        if !rewriter.missing.pages.is_empty() {
            return Err(rewriter.missing);
        }
        let mut tree = nodes.pop().map(|(_, child)| (child, height));
        // A top with one child is no use. It is the last page that was made, since parents come after their children.
        while let Some((Child::New(top), height)) = tree
            && let Some(NewPage::Inner(_, children)) = rewriter.new.get(top)
            && let [(_, child)] = children.as_slice()
        {
            debug_assert_eq!(top + 1, rewriter.new.len());
            tree = Some((*child, height - 1));
            rewriter.new.pop();
        }
        Ok(Rewrite { pages: rewriter.new, tree, dropped: rewriter.dropped })
    }
}

struct Rewriter<'a> {
    pages: &'a Pages,
    new: Vec<NewPage>,
    dropped: Vec<Extent>,
    missing: Missing,
}

/// The content of neighbouring pages of one height.
enum Items {
    Leaf(Vec<Item>),
    Inner(Vec<(Key, Child)>),
}

impl Rewriter<'_> {
    /// Applies changes to siblings; returns what stands in their parent afterwards.
    fn level(&mut self, height: u8, nodes: &[(Key, Extent)], changes: &[Change]) -> Vec<(Key, Child)> {
        let shares = assign(nodes, changes);
        let mut out: Vec<(Key, Child)> = Vec::new();
        let mut at = 0;
        while at < nodes.len() {
            if shares[at].is_empty() {
                out.push((nodes[at].0.clone(), Child::Stored(nodes[at].1)));
                at += 1;
                continue;
            }
            let start = at;
            while at < nodes.len() && !shares[at].is_empty() {
                at += 1;
            }
            let mut items = Items::empty(height);
            for (node, share) in nodes[start..at].iter().zip(&shares[start..at]) {
                items.extend(self.apply(height, &node.1, share));
            }
            // A page that became small takes a neighbour in.
            if items.bytes() > 0 && items.bytes() < PAGE_BYTES_MIN {
                if let Some((_, next)) = nodes.get(at) {
                    items.extend(self.apply(height, next, &[]));
                    at += 1;
                } else if let Some((_, Child::Stored(last))) = out.last().cloned() {
                    out.pop();
                    let mut joined = self.apply(height, &last, &[]);
                    joined.extend(items);
                    items = joined;
                }
            }
            out.extend(self.paginate(height, items));
        }
        out
    }

    /// The items of one page after its share of the changes.
    fn apply(&mut self, height: u8, extent: &Extent, changes: &[Change]) -> Items {
        self.dropped.push(*extent);
        match self.pages.page(extent, height) {
            Ok(Page::Leaf(leaf)) => Items::Leaf(merge(&leaf.0, changes)),
            Ok(Page::Inner(inner)) if changes.is_empty() => {
                Items::Inner(inner.0.iter().map(|(key, extent)| (key.clone(), Child::Stored(*extent))).collect())
            }
            Ok(Page::Inner(inner)) => Items::Inner(self.level(height - 1, &inner.0, changes)),
            Err(missing) => {
                self.missing.pages.extend(missing.pages);
                Items::empty(height)
            }
        }
    }

    /// Cuts items into pages of even size.
    fn paginate(&mut self, height: u8, items: Items) -> Vec<(Key, Child)> {
        let total = items.bytes();
        let share = total.div_ceil(total.div_ceil(PAGE_BYTES_TARGET).max(1));
        match items {
            Items::Leaf(items) => {
                let groups = group(items, share, |(key, value)| key.encoded_bytes() + 2 + value.encoded_bytes());
                groups.into_iter().map(|group| self.add(group[0].0.clone(), NewPage::Leaf(group))).collect()
            }
            Items::Inner(items) => {
                let groups = group(items, share, |(key, _)| key.encoded_bytes() + CHILD_BYTES);
                groups.into_iter().map(|group| self.add(group[0].0.clone(), NewPage::Inner(height, group))).collect()
            }
        }
    }

    fn add(&mut self, first: Key, page: NewPage) -> (Key, Child) {
        self.new.push(page);
        (first, Child::New(self.new.len() - 1))
    }
}

impl Items {
    fn empty(height: u8) -> Self {
        if height == 1 { Self::Leaf(Vec::new()) } else { Self::Inner(Vec::new()) }
    }

    fn extend(&mut self, more: Self) {
        match (self, more) {
            (Self::Leaf(items), Self::Leaf(more)) => items.extend(more),
            (Self::Inner(items), Self::Inner(more)) => items.extend(more),
            _ => unreachable!("pages are decoded for their height"),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Leaf(items) => items.iter().map(|(key, value)| key.encoded_bytes() + 2 + value.encoded_bytes()).sum(),
            Self::Inner(items) => items.iter().map(|(key, _)| key.encoded_bytes() + CHILD_BYTES).sum(),
        }
    }
}

/// Each node's share of the changes: from its first key up to the next node's; the first node takes all before it too.
fn assign<'a>(nodes: &[(Key, Extent)], changes: &'a [Change]) -> Vec<&'a [Change]> {
    let mut rest = changes;
    let ends = nodes.iter().skip(1).map(Some).chain([None]);
    ends.map(|next| {
        let count = next.map_or(rest.len(), |(first, _)| rest.partition_point(|(key, _)| key < first));
        let (share, left) = rest.split_at(count);
        rest = left;
        share
    })
    .collect()
}

fn merge(items: &[Item], changes: &[Change]) -> Vec<Item> {
    let mut merged = Vec::with_capacity(items.len() + changes.len());
    let mut items = items.iter().peekable();
    for (key, value) in changes {
        while let Some(item) = items.next_if(|(other, _)| other < key) {
            merged.push(item.clone());
        }
        items.next_if(|(other, _)| other == key);
        if let Some(value) = value {
            merged.push((key.clone(), value.clone()));
        }
    }
    merged.extend(items.cloned());
    merged
}

/// Splits items into runs of at least `share` bytes, but for the last.
fn group<T>(items: Vec<T>, share: usize, bytes_of: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut groups = Vec::new();
    let (mut group, mut bytes) = (Vec::new(), 0);
    for item in items {
        bytes += bytes_of(&item);
        group.push(item);
        if bytes >= share {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

#[cfg(test)]
pub(crate) mod tests;
