use super::*;
use crate::index::{
    Part, SegmentRef,
    tree::{DELTA_BYTES_MAX, tests::Shelf},
};
use sealing::{WRAPPED_KEY_LENGTH, WrappedKey, sealed_length};
use std::sync::Arc;

fn segment(number: u32) -> SegmentRef {
    let id = B256::from(*blake3::hash(&number.to_be_bytes()).as_bytes());
    SegmentRef { id, volume: 1, length: 1_000_000 }
}

fn entry(number: u32, size: u64, offset: u32) -> Entry {
    let length = sealed_length(size) as u32;
    let extent = Extent { segment: segment(number), offset, length };
    let key = WrappedKey::from_bytes([number as u8; WRAPPED_KEY_LENGTH]);
    let part = Part { generation: 0, key, plain_length: size, extents: vec![extent] };
    Entry {
        etag: B256::with_last_byte(number as u8),
        size,
        modified_ms: 5,
        content_type: "text/plain".into(),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        attributes: bytes::Bytes::from_static(b"x"),
        content: Content::Parts(vec![part]),
    }
}

fn put(key: &str, entry: Entry) -> Op {
    Op::Put { key: Key::object(key), entry: Box::new(entry), listed: Vec::new() }
}

fn remove(key: &str) -> Op {
    Op::Remove { key: Key::object(key) }
}

fn new_segment(number: u32) -> Op {
    let SegmentRef { id, volume, length } = segment(number);
    Op::Segment(id, Usage { volume, length, used: 0 })
}

/// An index that is kept as a client would, root page and all.
#[derive(Default)]
struct Index {
    shelf: Shelf,
    root: RootPage,
    place: Option<Extent>,
    updates: u32,
}

impl Index {
    fn apply(&mut self, ops: &[Op]) -> Result<(), PlanError> {
        let plan = plan(&self.root, self.place, &self.shelf.pages, ops, DELTA_BYTES_MAX)?;
        let tree = self.shelf.write(&plan.pages, plan.tree);
        let page = RootPage { name: "bucket".into(), tree, delta: plan.delta };
        let length = page.encode(0).len() as u32;
        // Each root page in a segment of its own.
        self.updates += 1;
        let own = SegmentRef { id: B256::from(alloy_primitives::U256::from(self.updates)), volume: 2, length };
        self.root = RootPage::decode(&page.encode(length.into()), own).expect("what was encoded decodes");
        self.place = Some(Extent { segment: own, offset: 0, length });
        Ok(())
    }

    fn find(&self, key: &Key) -> Option<Value> {
        match self.root.delta.get(key) {
            Some(value) => value.clone(),
            None => self.shelf.pages.lookup(self.root.tree, key).expect("all pages are here").cloned(),
        }
    }

    fn used(&self, number: u32) -> Option<u64> {
        match self.find(&Key::Segment(segment(number).id)) {
            Some(Value::Segment(usage)) => Some(usage.used),
            _ => None,
        }
    }

    fn is_unused(&self, number: u32) -> bool {
        self.find(&Key::Unused(segment(number).id)).is_some()
    }
}

#[test]
fn counts_what_is_in_use_and_notes_what_is_not() {
    let mut index = Index::default();
    let (one, two) = (entry(1, 100, 0), entry(1, 200, 500));
    index.apply(&[new_segment(1), put("a", one), put("b", two)]).expect("plans");
    assert_eq!(index.used(1), Some(sealed_length(100) + sealed_length(200)));
    index.apply(&[remove("a")]).expect("plans");
    assert_eq!(index.used(1), Some(sealed_length(200)));
    index.apply(&[new_segment(2), put("b", entry(2, 9, 0))]).expect("plans");
    assert_eq!(index.used(1), None);
    assert!(index.is_unused(1) && !index.is_unused(2));
    index.apply(&[Op::Released(segment(1).id)]).expect("plans");
    assert!(!index.is_unused(1));
}

#[test]
fn a_root_page_gives_its_segment_up_when_the_next_is_written() {
    let mut index = Index::default();
    index.apply(&[new_segment(1), put("a", entry(1, 1, 0))]).expect("plans");
    let first = index.place.expect("written").segment.id;
    assert!(matches!(index.find(&Key::Segment(first)), Some(Value::Segment(_))));
    index.apply(&[]).expect("plans");
    assert_eq!(index.find(&Key::Segment(first)), None);
    assert_eq!(index.find(&Key::Unused(first)), Some(Value::Unused(2)));
}

#[test]
fn the_same_object_put_again_keeps_its_segment() {
    let mut index = Index::default();
    let ops = [new_segment(1), put("a", entry(1, 100, 0))];
    index.apply(&ops).expect("plans");
    index.apply(&ops).expect("plans");
    assert_eq!(index.used(1), Some(sealed_length(100)));
    assert!(!index.is_unused(1));
}

#[test]
fn a_segment_that_nothing_refers_to_waits_for_its_release() {
    let mut index = Index::default();
    index.apply(&[new_segment(4), Op::Unused(segment(5).id, 1)]).expect("plans");
    assert!(index.is_unused(4) && index.is_unused(5));
    index.apply(&[new_segment(5), put("a", entry(5, 1, 0))]).expect("plans");
    assert!(!index.is_unused(5), "it came into use after all");
}

#[test]
fn conditions_are_checked_on_what_there_is() {
    let (key, there) = (|| String::from("a"), entry(1, 1, 0));
    assert_eq!(Condition::Absent.check("a", Some(&there)), Err(Conflict::Exists { key: key() }));
    let other = Condition::Etag(B256::with_last_byte(2));
    let changed = Conflict::Changed { key: key(), current: B256::with_last_byte(1) };
    assert_eq!(other.check("a", Some(&there)), Err(changed));
    assert_eq!(Condition::Present.check("a", None), Err(Conflict::NotFound { key: key() }));
    assert_eq!(Condition::Etag(B256::with_last_byte(1)).check("a", Some(&there)), Ok(()));
    assert_eq!(Condition::Absent.check("a", None), Ok(()));
    assert_eq!(Condition::Any.check("a", None), Ok(()));
}

#[test]
fn what_two_refer_to_counts_twice() {
    let mut index = Index::default();
    let one = entry(1, 100, 0);
    let record = |key: &'static str, entry: &Entry| Op::Put {
        key: Key::record(key),
        entry: Box::new(entry.clone()),
        listed: Vec::new(),
    };
    index.apply(&[new_segment(1), put("a", one.clone()), put("b", one.clone()), record("a", &one)]).expect("plans");
    assert_eq!(index.used(1), Some(3 * sealed_length(100)));
    index.apply(&[remove("a")]).expect("plans");
    index.apply(&[remove("b"), remove("b"), remove("nothing")]).expect("plans");
    assert_eq!(index.used(1), Some(sealed_length(100)));
    index.apply(&[Op::Remove { key: Key::record("a") }]).expect("plans");
    assert!(index.is_unused(1));
}

#[test]
fn what_only_moves_stays_in_use() {
    let mut index = Index::default();
    let (old, new) = (entry(1, 100, 0), entry(2, 50, 0));
    index.apply(&[new_segment(1), put("b", old.clone())]).expect("plans");
    // The old version goes under another key, in either order of keys, while a new one takes its place.
    let archived = Op::Put { key: Key::record("b/1"), entry: Box::new(old.clone()), listed: Vec::new() };
    index.apply(&[new_segment(2), put("b", new), archived]).expect("plans");
    assert_eq!((index.used(1), index.used(2)), (Some(sealed_length(100)), Some(sealed_length(50))));
    index.apply(&[remove("b"), put("z", old), Op::Remove { key: Key::record("b/1") }]).expect("plans");
    assert_eq!(index.used(1), Some(sealed_length(100)));
    assert!(index.is_unused(2));
}

#[test]
fn what_is_out_of_use_cannot_be_put_again() {
    let mut index = Index::default();
    index.apply(&[new_segment(1), put("a", entry(1, 100, 0))]).expect("plans");
    index.apply(&[remove("a")]).expect("plans");
    let segment = segment(1).id;
    assert_eq!(index.apply(&[put("b", entry(1, 100, 0))]), Err(PlanError::Gone { segment }));
    assert!(index.apply(&[put("b", entry(2, 100, 0))]).is_err(), "nor what never was");
}

#[test]
fn records_without_bytes_take_nothing() {
    let mut index = Index::default();
    let note = Entry { attributes: bytes::Bytes::from_static(b"noted"), ..Entry::default() };
    let key = Key::record(vec![0xff; 1300]);
    index.apply(&[Op::Put { key: key.clone(), entry: Box::new(note.clone()), listed: Vec::new() }]).expect("plans");
    assert_eq!(index.find(&key), Some(Value::Object(note)));
    index.apply(&[Op::Remove { key: key.clone() }]).expect("plans");
    assert_eq!(index.find(&key), None);
}

#[test]
fn many_changes_are_folded_into_the_tree_and_all_is_found_again() {
    let mut index = Index::default();
    let key = |number: u32| format!("folder-{}/object-{number}", number % 7);
    for round in 0..20u32 {
        let numbers = round * 200..(round + 1) * 200;
        let ops: Vec<Op> = numbers
            .clone()
            .map(new_segment)
            .chain(numbers.map(|number| put(&key(number), entry(number, u64::from(number), 0))))
            .collect();
        index.apply(&ops).expect("plans");
        assert!(index.root.delta_bytes() <= DELTA_BYTES_MAX + 1_000);
    }
    assert!(index.root.tree.is_some());
    for number in 0..4_000 {
        let found = index.find(&Key::Object(key(number)));
        assert_eq!(found, Some(Value::Object(entry(number, u64::from(number), 0))));
        assert_eq!(index.used(number), Some(sealed_length(number.into())));
    }
    let removals: Vec<Op> = (0..4_000).map(|number| remove(&key(number))).collect();
    index.apply(&removals).expect("plans");
    assert!((0..4_000).all(|number| index.find(&Key::Object(key(number))).is_none() && index.is_unused(number)));
}

#[test]
fn lists_in_pieces_are_read_before_they_are_given_up() {
    let mut index = Index::default();
    let parts = match entry(3, 100, 0).content {
        Content::Parts(parts) => parts,
        _ => unreachable!("a small entry"),
    };
    let piece = Extent { segment: segment(8), offset: 0, length: 500 };
    let long = Entry { content: Content::Pieces(vec![piece]), ..entry(3, 100, 0) };
    let listed = parts.iter().flat_map(|part| part.extents.clone()).collect();
    let put = Op::Put { key: Key::object("long"), entry: Box::new(long), listed };
    index.apply(&[new_segment(3), new_segment(8), put]).expect("plans");
    assert_eq!((index.used(3), index.used(8)), (Some(sealed_length(100)), Some(500)));
    let remove = [remove("long")];
    let Err(PlanError::Missing(missing)) = index.apply(&remove) else { panic!("the list is not here") };
    assert_eq!(missing.lists, [(vec![piece], 100)]);
    index.shelf.pages.add_list(vec![piece], Arc::new(parts));
    index.apply(&remove).expect("plans");
    assert!(index.is_unused(3) && index.is_unused(8));
}
