use super::*;

fn sample(bytes: usize) -> Bytes {
    (0..bytes).map(|i| (i * 31 % 251) as u8).collect::<Vec<_>>().into()
}

#[test]
fn group_hashes_make_the_plain_blake3_root() {
    for bytes in [16385, 32768, 64 << 10, (64 << 10) + 4096, 300_000, 1 << 20, (2 << 20) - 4096, 2 << 20] {
        let fragment = sample(bytes);
        let root = B256::from(*blake3::hash(&fragment).as_bytes());
        assert_eq!(GroupHashes::of(&fragment).root(), Some(root), "{bytes} bytes");
        assert_eq!(Fragment::new(fragment).root(), root, "{bytes} bytes");
    }
}

#[test]
fn fragments_of_one_group_have_a_root_but_no_merge() {
    let fragment = sample(16384);
    assert_eq!(GroupHashes::of(&fragment).root(), None);
    assert_eq!(Fragment::new(fragment.clone()).root(), B256::from(*blake3::hash(&fragment).as_bytes()));
}

#[test]
fn any_changed_group_hash_changes_the_root() {
    let groups = GroupHashes::of(&sample(300_000));
    for index in 0..groups.count() as usize {
        let mut bytes = groups.as_bytes().to_vec();
        bytes[index * GROUP_HASH_BYTES] ^= 1;
        assert_ne!(GroupHashes::from_bytes(bytes.into()).unwrap().root(), groups.root());
    }
}

#[test]
fn covering_groups_are_whole_and_no_more_than_needed() {
    assert_eq!(covering_groups(&(0..1), 65536), 0..16384);
    assert_eq!(covering_groups(&(16383..16385), 65536), 0..32768);
    assert_eq!(covering_groups(&(16384..32768), 65536), 16384..32768);
    assert_eq!(covering_groups(&(69000..69632), 69632), 65536..69632);
    assert_eq!(covering_groups(&(0..u64::MAX), 69632), 0..69632);
}

#[test]
fn ragged_lists_are_refused() {
    assert_eq!(GroupHashes::from_bytes(sample(33)), Err(GroupHashesError));
}
