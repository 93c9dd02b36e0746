use super::*;
use crate::index::{
    SegmentRef,
    page::{Inner, Leaf, Page, Usage, encode_inner, encode_leaf},
};
use alloy_primitives::B256;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A place where pages are written, and read back from their bytes.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) pages: Pages,
    next: u32,
}

impl Shelf {
    /// Writes the pages of a rewrite, each encoded and decoded again.
    pub(crate) fn write(&mut self, new: &[NewPage], top: Option<(Child, u8)>) -> Option<(Extent, u8)> {
        let mut placed: Vec<Extent> = Vec::new();
        for page in new {
            let resolve = |child: &Child| match child {
                Child::Stored(extent) => *extent,
                Child::New(number) => placed[*number],
            };
            let bytes = match page {
                NewPage::Leaf(items) => encode_leaf(items),
                NewPage::Inner(_, children) => {
                    let children: Vec<_> = children.iter().map(|(key, child)| (key.clone(), resolve(child))).collect();
                    encode_inner(&children)
                }
            };
            assert!(bytes.len() <= 64 << 10, "a page of {} bytes", bytes.len());
            let segment = SegmentRef { id: B256::repeat_byte(0xee), volume: 1, length: u32::MAX };
            let extent = Extent { segment, offset: self.next, length: bytes.len() as u32 };
            self.next += bytes.len() as u32;
            let height = page.height();
            let page = Page::decode(&bytes, height, segment).expect("what was encoded decodes");
            self.pages.add(extent, height, Arc::new(page));
            placed.push(extent);
        }
        top.map(|(child, height)| match child {
            Child::Stored(extent) => (extent, height),
            Child::New(number) => (placed[number], height),
        })
    }

    pub(crate) fn items(&self, tree: Option<(Extent, u8)>) -> BTreeMap<Key, Value> {
        let mut all = BTreeMap::new();
        let mut from = Some(Key::Object(String::new()));
        while let Some(key) = from {
            let Some((items, next)) = self.pages.leaf_at(tree, &key).expect("all pages are here") else { break };
            all.extend(items.iter().cloned());
            from = next.cloned();
        }
        all
    }

    fn shape(&self, tree: Option<(Extent, u8)>) -> Vec<usize> {
        fn leaves(pages: &Pages, extent: &Extent, height: u8, out: &mut Vec<usize>) {
            match pages.page(extent, height).expect("here") {
                Page::Leaf(Leaf(_)) => out.push(extent.length as usize),
                Page::Inner(Inner(children)) => {
                    children.iter().for_each(|(_, child)| leaves(pages, child, height - 1, out));
                }
            }
        }
        let mut out = Vec::new();
        if let Some((extent, height)) = tree {
            leaves(&self.pages, &extent, height, &mut out);
        }
        out
    }
}

fn key(number: u32) -> Key {
    Key::Object(format!("{number:06}{}", "x".repeat((number % 90) as usize)))
}

fn value(number: u32) -> Value {
    // The tree does not look into values: small ones under object keys would not decode, so whole segments' keys do.
    Value::Segment(Usage { volume: number, length: 9, used: 1 })
}

fn segment_key(number: u32) -> Key {
    Key::Segment(B256::from(*blake3::hash(&number.to_be_bytes()).as_bytes()))
}

#[derive(Clone, Debug)]
enum Step {
    Set(u32, u32),
    Remove(u32),
}

fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = prop_oneof![
        3 => (0..4_000u32, any::<u32>()).prop_map(|(key, value)| Step::Set(key, value)),
        2 => (0..4_000u32).prop_map(Step::Remove),
    ];
    prop::collection::vec(prop::collection::vec(step, 1..1_500), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn behaves_as_a_sorted_map(batches in steps()) {
        let mut shelf = Shelf::default();
        let mut tree = None;
        let mut model: BTreeMap<Key, Value> = BTreeMap::new();
        for batch in batches {
            let mut changes: BTreeMap<Key, Option<Value>> = BTreeMap::new();
            for step in &batch {
                match step {
                    Step::Set(key, number) => changes.insert(segment_key(*key), Some(value(*number))),
                    Step::Remove(key) => changes.insert(segment_key(*key), None),
                };
            }
            for (key, value) in &changes {
                match value {
                    Some(value) => model.insert(key.clone(), value.clone()),
                    None => model.remove(key),
                };
            }
            let changes: Vec<Change> = changes.into_iter().collect();
            let rewrite = shelf.pages.rewrite(tree, &changes).expect("all pages are here");
            tree = shelf.write(&rewrite.pages, rewrite.tree);
            prop_assert_eq!(&shelf.items(tree), &model);
            for number in [0, 17, 3_999] {
                let key = segment_key(number);
                prop_assert_eq!(shelf.pages.lookup(tree, &key).expect("here"), model.get(&key));
            }
        }
        let all: Vec<Change> = model.keys().map(|key| (key.clone(), None)).collect();
        let emptied = shelf.pages.rewrite(tree, &all).expect("all pages are here");
        prop_assert!(all.is_empty() || emptied.tree.is_none());
    }
}

#[test]
fn writes_only_the_way_to_what_changed() {
    let mut shelf = Shelf::default();
    let changes: Vec<Change> = {
        let sorted: BTreeMap<Key, Value> = (0..50_000).map(|number| (segment_key(number), value(number))).collect();
        sorted.into_iter().map(|(key, value)| (key, Some(value))).collect()
    };
    let rewrite = shelf.pages.rewrite(None, &changes).expect("no pages are needed");
    let tree = shelf.write(&rewrite.pages, rewrite.tree);
    let sizes = shelf.shape(tree);
    assert!(sizes.len() > 30 && sizes.iter().all(|size| (16 << 10..=64 << 10).contains(size)), "{sizes:?}");
    let rewrite = shelf.pages.rewrite(tree, &[(segment_key(7), Some(value(8)))]).expect("all pages are here");
    let height = tree.expect("a tree").1;
    assert_eq!(rewrite.pages.len(), usize::from(height));
    assert_eq!(rewrite.dropped.len(), usize::from(height));
}

#[test]
fn small_pages_join_their_neighbours() {
    let mut shelf = Shelf::default();
    let sorted: BTreeMap<Key, Value> = (0..20_000).map(|number| (segment_key(number), value(number))).collect();
    let changes: Vec<Change> = sorted.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    let rewrite = shelf.pages.rewrite(None, &changes).expect("no pages are needed");
    let mut tree = shelf.write(&rewrite.pages, rewrite.tree);
    let before = shelf.shape(tree).len();
    // Nine of ten go, a few at a time.
    let keys: Vec<&Key> = sorted.keys().enumerate().filter(|(at, _)| at % 10 != 0).map(|(_, key)| key).collect();
    for some in keys.chunks(50) {
        let changes: Vec<Change> = some.iter().map(|key| ((*key).clone(), None)).collect();
        let rewrite = shelf.pages.rewrite(tree, &changes).expect("all pages are here");
        tree = shelf.write(&rewrite.pages, rewrite.tree);
    }
    assert!(shelf.shape(tree).len() <= before / 4, "{before} leaves became {:?}", shelf.shape(tree));
}

#[test]
fn names_all_pages_it_lacks_at_once() {
    let mut shelf = Shelf::default();
    let changes: Vec<Change> = {
        let sorted: BTreeMap<Key, Value> = (0..20_000).map(|number| (segment_key(number), value(number))).collect();
        sorted.into_iter().map(|(key, value)| (key, Some(value))).collect()
    };
    let rewrite = shelf.pages.rewrite(None, &changes).expect("no pages are needed");
    let tree = shelf.write(&rewrite.pages, rewrite.tree);
    let mut known = Pages::default();
    let mut rounds = 0;
    let wanted: Vec<Change> = changes.iter().step_by(500).map(|(key, _)| (key.clone(), None)).collect();
    while let Err(missing) = known.rewrite(tree, &wanted) {
        rounds += 1;
        for (extent, height) in missing.pages {
            known.add(extent, height, shelf.pages.pages[&(extent, height)].clone());
        }
    }
    assert!(rounds <= usize::from(tree.expect("a tree").1) + 1, "{rounds} rounds");
}

#[test]
fn object_keys_come_before_segments() {
    assert!(key(1) < key(2) && key(999_999) < Key::Segment(B256::ZERO));
    assert!(Key::Segment(B256::repeat_byte(0xff)) < Key::Unused(B256::ZERO));
}

#[test]
fn a_page_that_is_its_own_child_is_no_tree() {
    // A writer of the bucket could make one: a page may refer to its own segment.
    let own = SegmentRef { id: B256::repeat_byte(9), volume: 1, length: 1_000 };
    let itself = Extent { segment: own, offset: 0, length: 100 };
    let bytes = encode_inner(&[(key(1), Extent { segment: SegmentRef::OWN, ..itself })]);
    let mut pages = Pages::default();
    let mut lookups = 0;
    while let Err(missing) = pages.lookup(Some((itself, 9)), &key(1)) {
        lookups += 1;
        let (extent, height) = missing.pages[0];
        match Page::decode(&bytes, height, own) {
            Ok(page) => pages.add(extent, height, Arc::new(page)),
            Err(_) => {
                assert_eq!((height, lookups), (1, 9), "it ends where a leaf should be");
                return;
            }
        }
    }
    panic!("nothing can be found");
}
