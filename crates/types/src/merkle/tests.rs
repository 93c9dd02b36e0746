use super::*;
use proptest::prelude::*;

fn values(count: usize) -> Vec<B256> {
    (0..count).map(|index| derive("test", &[&index.to_be_bytes()])).collect()
}

fn log_root(values: &[B256]) -> B256 {
    let mut root = Tree::new(values).root();
    let height = values.len().next_power_of_two().trailing_zeros() as usize;
    for empty in &EMPTY[height..LOG_DEPTH] {
        root = node(&root, empty);
    }
    root
}

proptest! {
    #[test]
    fn every_leaf_opens_under_the_root_and_nowhere_else(count in 1usize..70, at in 0usize..70) {
        let values = values(count);
        let tree = Tree::new(&values);
        let at = at % count;
        let path = tree.path(at).unwrap();
        prop_assert_eq!(root_of(&values[at], at as u64, &path), Some(tree.root()));
        let elsewhere = (at as u64) ^ 1;
        if !path.is_empty() {
            prop_assert_ne!(root_of(&values[at], elsewhere, &path), Some(tree.root()));
        }
        prop_assert_eq!(root_of(&values[at], 1 << path.len(), &path), None);
    }

    #[test]
    fn frontier_equals_the_tree(count in 0usize..300) {
        let values = values(count);
        let mut frontier = Frontier::default();
        for value in &values {
            frontier.push(value).unwrap();
        }
        prop_assert_eq!(frontier.root(), if count == 0 { EMPTY[LOG_DEPTH] } else { log_root(&values) });
    }
}

#[test]
fn a_push_changes_the_one_entry_it_names() {
    let mut frontier = Frontier::default();
    for value in values(40) {
        let before = *frontier.left();
        let height = frontier.push(&value).unwrap();
        for (at, left) in frontier.left().iter().enumerate() {
            assert_eq!(*left != before[at], at == height);
        }
    }
}

#[test]
fn the_last_leaf_completes_the_log() {
    let mut left = [B256::ZERO; LOG_DEPTH];
    left.copy_from_slice(&EMPTY[..LOG_DEPTH]);
    let mut frontier = Frontier::new((1 << LOG_DEPTH) - 1, left);
    frontier.push(&B256::ZERO).unwrap();
    let path: Vec<B256> = EMPTY[..LOG_DEPTH].to_vec();
    let expected = root_of(&B256::ZERO, (1 << LOG_DEPTH) - 1, &path).unwrap();
    assert_eq!(frontier.root(), expected);
    assert_eq!(frontier.push(&B256::ZERO), Err(Full));
}

#[test]
fn nodes_are_derived_under_their_domain() {
    let (left, right) = (B256::repeat_byte(1), B256::repeat_byte(2));
    assert_eq!(node(&left, &right), derive(domain::MERKLE_NODE, &[left.as_slice(), right.as_slice()]));
}
