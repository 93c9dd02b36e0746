use super::*;
use proptest::prelude::*;

fn content(bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    Hasher::new().update(&bytes.to_be_bytes()).finalize_xof().fill(&mut content);
    content
}

fn chunk_of(content: &[u8], index: u64) -> &[u8] {
    content.chunks(CHUNK_BYTES).nth(index as usize).expect("a chunk")
}

#[test]
fn every_chunk_of_contents_around_the_corners_opens() {
    for bytes in [1, 1023, 1024, 1025, 2048, 2049, 3072, 4096, 5000, 16 << 10, 17 << 10, 31 * 1024 + 1, 64 << 10] {
        let content = content(bytes);
        for hash in [Hash::Plain, Hash::Keyed(&[7; 32])] {
            let root = hash.root(&content);
            for index in 0..count(bytes as u64) {
                let path = path(hash, &content, index).expect("a chunk");
                assert_eq!(depth(bytes as u64, index), Some(path.len()));
                assert!(verify(hash, &root, bytes as u64, index, chunk_of(&content, index), &path), "{bytes} {index}");
            }
            assert_eq!(path(hash, &content, count(bytes as u64)), None);
        }
    }
    assert_eq!((path(Hash::Plain, &[], 0), depth(0, 0), length(0, 0)), (None, None, None));
    assert_eq!(depth(u64::MAX, 0), Some(DEPTH_MAX));
    assert_eq!((depth(u64::MAX, u64::MAX), root_of(Hash::Plain, u64::MAX, u64::MAX, &[], &[])), (None, None));
}

#[test]
fn roots_are_those_of_the_library() {
    let content = content(5000);
    assert_eq!(Hash::Plain.root(&content).0, *blake3::hash(&content).as_bytes());
    assert_eq!(Hash::Keyed(&[3; 32]).root(&content).0, *blake3::keyed_hash(&[3; 32], &content).as_bytes());
}

#[test]
fn a_chunk_opens_from_its_part_and_the_values_of_the_others() {
    let content = content(64 << 10);
    for part_bytes in [1024, 4096, 16 << 10, 64 << 10] {
        let parts: Vec<&[u8]> = content.chunks(part_bytes).collect();
        // One part alone is the whole content, which has no chaining value but the root.
        let values: Vec<B256> = parts
            .iter()
            .zip((0..).step_by(part_bytes))
            .map(|(part, start)| Hash::Plain.chaining_value(start, part))
            .collect();
        for index in 0..64u64 {
            let part = parts[index as usize * 1024 / part_bytes];
            assert_eq!(path_in_part(Hash::Plain, part, &values, index), path(Hash::Plain, &content, index));
        }
    }
    assert_eq!(path_in_part(Hash::Plain, &content[..3000], &[B256::ZERO; 4], 0), None);
    assert_eq!(path_in_part(Hash::Plain, &content[..2048], &[B256::ZERO; 3], 0), None);
    assert_eq!(path_in_part(Hash::Plain, &content[..2048], &[B256::ZERO; 4], 8), None);
}

proptest! {
    #[test]
    fn nothing_else_opens(
        bytes in 1..40_000usize, at in any::<prop::sample::Index>(), bit in any::<prop::sample::Index>(),
        keyed in any::<bool>(), other in any::<u64>(),
    ) {
        let content = content(bytes);
        let key = [9; 32];
        let hash = if keyed { Hash::Keyed(&key) } else { Hash::Plain };
        let root = hash.root(&content);
        let index = at.index(count(bytes as u64) as usize) as u64;
        let path = path(hash, &content, index).unwrap();
        let chunk = chunk_of(&content, index);
        prop_assert!(verify(hash, &root, bytes as u64, index, chunk, &path));

        let mut flipped = [chunk, path.as_flattened_bytes().as_slice()].concat();
        let place = bit.index(flipped.len() * 8);
        flipped[place / 8] ^= 1 << (place % 8);
        let (bad_chunk, bad_path) = flipped.split_at(chunk.len());
        let bad_path: Vec<B256> = bad_path.chunks(32).map(B256::from_slice).collect();
        prop_assert!(!verify(hash, &root, bytes as u64, index, bad_chunk, &bad_path));

        for wrong in [index + 1, index ^ 1, other] {
            prop_assert!(wrong == index || !verify(hash, &root, bytes as u64, wrong, chunk, &path));
        }
        prop_assert!(!verify(hash, &root, bytes as u64, index, &chunk[1..], &path));
        let longer = [&path[..], &[B256::ZERO]].concat();
        prop_assert!(!verify(hash, &root, bytes as u64, index, chunk, &longer));
        prop_assert!(path.is_empty() || !verify(hash, &root, bytes as u64, index, chunk, &path[1..]));
        let otherwise = if keyed { Hash::Plain } else { Hash::Keyed(&key) };
        prop_assert!(!verify(otherwise, &root, bytes as u64, index, chunk, &path));
    }
}

trait Flat {
    fn as_flattened_bytes(&self) -> Vec<u8>;
}

impl Flat for Vec<B256> {
    fn as_flattened_bytes(&self) -> Vec<u8> {
        self.iter().flatten().copied().collect()
    }
}
