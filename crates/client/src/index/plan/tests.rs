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
        content: Content::Parts(vec![part]),
    }
}

fn put(key: &str, entry: Entry, when: Condition) -> Op {
    Op::Put { key: key.into(), entry: Box::new(entry), listed: Vec::new(), when }
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
        self.root = RootPage::decode(&page.encode(length), own).expect("what was encoded decodes");
        self.place = Some(Extent { segment: own, offset: 0, length });
        Ok(())
    }

    fn find(&self, key: &Key) -> Option<Value> {
        match self.root.delta.get(key) {
            Some(value) => value.clone(),
            None => self.shelf.pages.lookup(self.root.tree, key).expect("all pages are here").cloned(),
        }
    }

    fn used(&self, number: u32) -> Option<u32> {
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
    index.apply(&[new_segment(1), put("a", one, Condition::Absent), put("b", two, Condition::Any)]).expect("plans");
    assert_eq!(index.used(1), Some((sealed_length(100) + sealed_length(200)) as u32));
    index.apply(&[Op::Remove { key: "a".into(), when: Condition::Any }]).expect("plans");
    assert_eq!(index.used(1), Some(sealed_length(200) as u32));
    index.apply(&[new_segment(2), put("b", entry(2, 9, 0), Condition::Present)]).expect("plans");
    assert_eq!(index.used(1), None);
    assert!(index.is_unused(1) && !index.is_unused(2));
    index.apply(&[Op::Released(segment(1).id)]).expect("plans");
    assert!(!index.is_unused(1));
}

#[test]
fn a_root_page_gives_its_segment_up_when_the_next_is_written() {
    let mut index = Index::default();
    index.apply(&[new_segment(1), put("a", entry(1, 1, 0), Condition::Any)]).expect("plans");
    let first = index.place.expect("written").segment.id;
    assert!(matches!(index.find(&Key::Segment(first)), Some(Value::Segment(_))));
    index.apply(&[]).expect("plans");
    assert_eq!(index.find(&Key::Segment(first)), None);
    assert_eq!(index.find(&Key::Unused(first)), Some(Value::Unused(2)));
}

#[test]
fn the_same_object_put_again_keeps_its_segment() {
    let mut index = Index::default();
    let ops = [new_segment(1), put("a", entry(1, 100, 0), Condition::Any)];
    index.apply(&ops).expect("plans");
    index.apply(&ops).expect("plans");
    assert_eq!(index.used(1), Some(sealed_length(100) as u32));
    assert!(!index.is_unused(1));
}

#[test]
fn a_segment_that_nothing_refers_to_waits_for_its_release() {
    let mut index = Index::default();
    index.apply(&[new_segment(4), Op::Unused(segment(5).id, 1)]).expect("plans");
    assert!(index.is_unused(4) && index.is_unused(5));
    index.apply(&[new_segment(5), put("a", entry(5, 1, 0), Condition::Any)]).expect("plans");
    assert!(!index.is_unused(5), "it came into use after all");
}

#[test]
fn conditions_are_checked_on_the_root_there_is() {
    let mut index = Index::default();
    index.apply(&[new_segment(1), put("a", entry(1, 1, 0), Condition::Any)]).expect("plans");
    let key = || String::from("a");
    let absent = index.apply(&[put("a", entry(1, 1, 0), Condition::Absent)]);
    assert_eq!(absent, Err(Conflict::Exists { key: key() }.into()));
    let other = Condition::Etag(B256::with_last_byte(2));
    let changed = index.apply(&[Op::Remove { key: key(), when: other }]);
    assert_eq!(changed, Err(Conflict::Changed { key: key(), current: B256::with_last_byte(1) }.into()));
    let missing = index.apply(&[Op::Remove { key: "z".into(), when: Condition::Present }]);
    assert_eq!(missing, Err(Conflict::NotFound { key: "z".into() }.into()));
    let right = Condition::Etag(B256::with_last_byte(1));
    index.apply(&[Op::Remove { key: key(), when: right }]).expect("plans");
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
            .chain(numbers.map(|number| put(&key(number), entry(number, u64::from(number), 0), Condition::Absent)))
            .collect();
        index.apply(&ops).expect("plans");
        assert!(index.root.delta_bytes() <= DELTA_BYTES_MAX + 1_000);
    }
    assert!(index.root.tree.is_some());
    for number in 0..4_000 {
        let found = index.find(&Key::Object(key(number)));
        assert_eq!(found, Some(Value::Object(entry(number, u64::from(number), 0))));
        assert_eq!(index.used(number), Some(sealed_length(number.into()) as u32));
    }
    let removals: Vec<Op> =
        (0..4_000).map(|number| Op::Remove { key: key(number), when: Condition::Present }).collect();
    index.apply(&removals).expect("plans");
    assert!((0..4_000).all(|number| index.find(&Key::Object(key(number))).is_none() && index.is_unused(number)));
}

#[test]
fn lists_in_pieces_are_read_before_they_are_given_up() {
    let mut index = Index::default();
    let parts = match entry(3, 100, 0).content {
        Content::Parts(parts) => parts,
        Content::Pieces(_) => unreachable!("a small entry"),
    };
    let piece = Extent { segment: segment(8), offset: 0, length: 500 };
    let long = Entry { content: Content::Pieces(vec![piece]), ..entry(3, 100, 0) };
    let listed = parts.iter().flat_map(|part| part.extents.clone()).collect();
    let put = Op::Put { key: "long".into(), entry: Box::new(long), listed, when: Condition::Any };
    index.apply(&[new_segment(3), new_segment(8), put]).expect("plans");
    assert_eq!((index.used(3), index.used(8)), (Some(sealed_length(100) as u32), Some(500)));
    let remove = [Op::Remove { key: "long".into(), when: Condition::Any }];
    let Err(PlanError::Missing(missing)) = index.apply(&remove) else { panic!("the list is not here") };
    assert_eq!(missing.lists, [(vec![piece], 100)]);
    index.shelf.pages.add_list(vec![piece], Arc::new(parts));
    index.apply(&remove).expect("plans");
    assert!(index.is_unused(3) && index.is_unused(8));
}
