//! Prove one chunk of 1 KiB under the BLAKE3 hash of the whole.
//!
//! BLAKE3 is a binary tree over chunks; the left subtree of a node has the largest power of two of chunks that is less than
//! the node's. A path is the chaining values beside the chunk's ancestors, from the chunk up.

use alloy_primitives::B256;
use blake3::hazmat::{HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

/// Bytes of a chunk.
pub const CHUNK_BYTES: u64 = 1 << 10;

/// Whether `chunk` is number `index` of content of `length` bytes with this hash. The content is whole chunks, two at least.
pub fn verify(root: &B256, length: u64, index: u64, chunk: &[u8], path: &[B256]) -> bool {
    let Some(offset) = index.checked_mul(CHUNK_BYTES).filter(|offset| *offset < length) else { return false };
    let fits = chunk.len() as u64 == CHUNK_BYTES && length.is_multiple_of(CHUNK_BYTES) && length > CHUNK_BYTES;
    let sides = if fits { sides(length, offset) } else { Vec::new() };
    if !fits || sides.len() != path.len() {
        return false;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset).update(chunk);
    let mut value = hasher.finalize_non_root();
    let above = path.len().saturating_sub(1);
    for (height, (is_right, sibling)) in sides.iter().rev().zip(path).enumerate() {
        let (left, right) = if *is_right { (&sibling.0, &value) } else { (&value, &sibling.0) };
        if height == above {
            return merge_subtrees_root(left, right, Mode::Hash).as_bytes() == &root.0;
        }
        value = merge_subtrees_non_root(left, right, Mode::Hash);
    }
    false
}

/// Whether the way down to `offset` goes right, from the top.
fn sides(length: u64, offset: u64) -> Vec<bool> {
    let (mut length, mut offset, mut sides) = (length, offset, Vec::new());
    while length > CHUNK_BYTES {
        let left = left_subtree_len(length);
        let is_right = offset >= left;
        sides.push(is_right);
        if is_right {
            (length, offset) = (length.saturating_sub(left), offset.saturating_sub(left));
        } else {
            length = left;
        }
    }
    sides
}

/// The path of a chunk.
#[cfg(test)]
pub fn path(content: &[u8], index: u64) -> Vec<B256> {
    fn value(content: &[u8], offset: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset).update(content);
        hasher.finalize_non_root()
    }
    let (mut path, mut start, mut rest) = (Vec::new(), 0, content);
    let offset = index * CHUNK_BYTES;
    while rest.len() as u64 > CHUNK_BYTES {
        let left = left_subtree_len(rest.len() as u64);
        let (first, second) = rest.split_at(left as usize);
        if offset - start >= left {
            path.push(value(first, start).into());
            (start, rest) = (start + left, second);
        } else {
            path.push(value(second, start + left).into());
            rest = first;
        }
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_of_every_shape_verifies_and_nothing_else_does() {
        for chunks in [2usize, 3, 5, 64, 68, 100] {
            let content: Vec<u8> = (0..chunks * 1024).map(|i| (i * 7 + i / 1024) as u8).collect();
            let root = B256::from(*blake3::hash(&content).as_bytes());
            let length = content.len() as u64;
            for index in 0..chunks {
                let chunk = &content[index * 1024..][..1024];
                let path = path(&content, index as u64);
                assert!(verify(&root, length, index as u64, chunk, &path));
                assert!(!verify(&root, length, (index as u64 + 1) % chunks as u64, chunk, &path));
                assert!(!verify(&root, length, index as u64, &content[index * 1024..][..1023], &path));
                assert!(!verify(&root, length, index as u64, chunk, &path[1..]));
                assert!(!verify(&root, length + 1024 * length, index as u64, chunk, &path));
                assert!(!verify(&B256::ZERO, length, index as u64, chunk, &path));
            }
            assert!(!verify(&root, length, chunks as u64, &content[..1024], &path(&content, 0)));
            assert!(!verify(&root, length, u64::MAX, &content[..1024], &path(&content, 0)));
        }
    }
}
