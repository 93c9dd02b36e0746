use super::*;
use proptest::prelude::*;

fn content(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(b"a unit").finalize_xof().fill(&mut content);
    content
}

proptest! {
    #[test]
    fn every_slot_is_known_and_every_chunk_opens_from_its_slot_alone(
        slots_log in 0..5u32, chunks_log in 0..5u32, at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>(),
    ) {
        let (slots, slot_bytes) = (1 << slots_log, chunk::CHUNK_BYTES << chunks_log);
        let content = content(slots * slot_bytes);
        let hashes = UnitHashes::new(&content, slots).expect("powers of two");
        prop_assert_eq!(hashes.root, Hash::Plain.root(&content));
        let index = at.index(content.len() / chunk::CHUNK_BYTES);
        let number = index * chunk::CHUNK_BYTES / slot_bytes;
        let mut slot = content[number * slot_bytes..][..slot_bytes].to_vec();
        prop_assert!(hashes.has_slot(number, &slot));
        prop_assert!(!hashes.has_slot(number + 1, &slot));
        let chunk = &content[index * chunk::CHUNK_BYTES..][..chunk::CHUNK_BYTES];
        let path = hashes.path(&slot, index as u64).expect("a chunk of the unit");
        let length = content.len() as u64;
        prop_assert!(chunk::verify(Hash::Plain, &hashes.root, length, index as u64, chunk, &path));
        slot[flip.index(slot_bytes)] ^= 1;
        prop_assert!(!hashes.has_slot(number, &slot));
    }
}

#[test]
fn other_divisions_are_refused() {
    let content = content(12 << 10);
    for slots in [0, 1, 3, 4, 5, 12, 24, 64] {
        assert_eq!(UnitHashes::new(&content, slots), None, "{slots}");
    }
    assert_eq!(UnitHashes::new(&content[..8 << 10], 8).map(|hashes| hashes.slots.len()), Some(8));
    assert_eq!(UnitHashes::new(&content[..8 << 10], 16), None);
}
