use super::fixture::*;
use crate::{Archive, StateError};
use alloy_primitives::{Bytes, keccak256};
use proptest::prelude::*;
use std::collections::BTreeMap;
use types::state::{StateKey, Value};

/// A key out of a few, so that blocks overwrite each other.
fn key() -> impl Strategy<Value = StateKey> {
    (0u8..3, 0u64..4).prop_map(|(number, place)| if place == 0 { account(number) } else { slot(number, place) })
}

/// The changes of a block: sorted, each key once.
fn changes() -> impl Strategy<Value = Vec<(StateKey, Option<Value>)>> {
    prop::collection::btree_map(key(), prop::option::of(any::<u8>().prop_map(value)), 0..6)
        .prop_map(|changes| changes.into_iter().collect())
}

fn all_keys() -> Vec<StateKey> {
    (0..3).flat_map(|number| [account(number), slot(number, 1), slot(number, 2), slot(number, 3)]).collect()
}

fn contents(all: &[Vec<(StateKey, Option<Value>)>]) -> Vec<Content> {
    all.iter().map(|changes| Content { changes: changes.clone(), ..Default::default() }).collect()
}

/// Compares every height in the window with a replay from the start.
fn check(archive: &Archive, all: &[Vec<(StateKey, Option<Value>)>], oldest: u64) {
    let mut replay = BTreeMap::new();
    for height in 0..=all.len() as u64 {
        if height > 0 {
            for (key, value) in &all[height as usize - 1] {
                replay.insert(*key, *value);
            }
        }
        if height < oldest {
            let error = archive.state_at(height).err().unwrap();
            assert!(matches!(error, StateError::Pruned { oldest: found, .. } if found == oldest), "{error}");
            continue;
        }
        let view = archive.state_at(height).unwrap();
        for key in all_keys() {
            let expected = replay.get(&key).copied().flatten();
            assert_eq!(view.get(&key).unwrap(), expected, "{key:?} at {height}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_height_of_the_window_reads_as_its_replay(all in prop::collection::vec(changes(), 1..30), window in 1u64..40) {
        let folder = tempfile::tempdir().unwrap();
        let archive = open_with(folder.path(), window);
        fill(&archive, contents(&all));
        let oldest = (all.len() as u64).saturating_sub(window);
        check(&archive, &all, oldest);
        drop(archive);
        check(&open_with(folder.path(), window), &all, oldest);
    }
}

#[test]
fn a_view_stays_as_it_was_while_blocks_are_appended() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open_with(folder.path(), 2);
    let set = |number: u8| Content { changes: vec![(account(1), Some(value(number)))], ..Default::default() };
    let chain = fill(&archive, [set(1), set(2), set(3)]);
    let (latest, past) = (archive.state_at(3).unwrap(), archive.state_at(2).unwrap());
    let mut parent = chain[3].0.header.clone();
    for number in 4..20 {
        let (block, outcome) = child(&parent, set(number));
        archive.append(&block, &outcome).unwrap();
        parent = block.header;
    }
    assert_eq!(latest.get(&account(1)).unwrap(), Some(value(3)));
    assert_eq!((past.height(), past.get(&account(1)).unwrap()), (2, Some(value(2))));
    assert!(matches!(archive.state_at(3), Err(StateError::Pruned { height: 3, oldest: 17 })));
    assert!(matches!(archive.state_at(20), Err(StateError::Unknown { height: 20 })));
}

#[test]
fn a_smaller_window_is_caught_up_with_and_a_larger_one_grows() {
    let folder = tempfile::tempdir().unwrap();
    let set = |number: u8| Content { changes: vec![(account(1), Some(value(number)))], ..Default::default() };
    let mut chain = fill(&open_with(folder.path(), 100), (1..=60).map(set));
    let append = |window: u64, chain: &mut Vec<_>| {
        let archive = open_with(folder.path(), window);
        let (last, _): &(types::Block, execution::Outcome) = chain.last().unwrap();
        let next = child(&last.header, set(9));
        archive.append(&next.0, &next.1).unwrap();
        chain.push(next);
        archive.oldest_state().unwrap().unwrap()
    };
    assert_eq!([append(10, &mut chain), append(10, &mut chain)], [16, 32]);
    for _ in 0..5 {
        append(10, &mut chain);
    }
    assert_eq!(append(10, &mut chain), 58);
    assert_eq!(append(100, &mut chain), 58, "what is gone is gone");
    assert_eq!(open_with(folder.path(), 100).state_at(58).unwrap().get(&account(1)).unwrap(), Some(value(58)));
}

#[test]
fn code_is_found_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let archive = open(folder.path());
    let code = Bytes::from_static(&[1, 2, 3]);
    fill(&archive, [Content { code: vec![code.clone()], ..Default::default() }]);
    let view = archive.state_at(1).unwrap();
    assert_eq!(view.get_code(&keccak256(&code)).unwrap(), Some(code));
    assert_eq!(view.get_code(&keccak256([])).unwrap(), None);
}
