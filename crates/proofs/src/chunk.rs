//! Show one chunk of 1 KiB under a BLAKE3 root, plain or keyed.
//!
//! # Design
//! BLAKE3 is a Merkle tree over chunks of 1 KiB: the left side of a node holds the largest power of two of chunks that
//! leaves something for the right side. So the root that names a fragment also opens any chunk of it. A path lists the
//! chaining values of the siblings from the chunk up to the root; its length follows from the content's length and the
//! chunk's index.

use alloy_primitives::B256;
use blake3::{
    Hasher,
    hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use std::ops::Range;

/// Length of a chunk; the last one of a content may be shorter.
pub const CHUNK_BYTES: usize = 1024;
/// Longest path: a content has less than 2^64 bytes.
pub const DEPTH_MAX: usize = 54;

/// How a tree is hashed.
#[derive(Clone, Copy, Debug)]
pub enum Hash<'a> {
    /// `blake3::hash`.
    Plain,
    /// `blake3::keyed_hash`.
    Keyed(&'a [u8; 32]),
}

impl<'a> Hash<'a> {
    fn hasher(self) -> Hasher {
        match self {
            Self::Plain => Hasher::new(),
            Self::Keyed(key) => Hasher::new_keyed(key),
        }
    }

    fn mode(self) -> Mode<'a> {
        match self {
            Self::Plain => Mode::Hash,
            Self::Keyed(key) => Mode::KeyedHash(key),
        }
    }

    /// The root over a whole content.
    pub fn root(self, content: &[u8]) -> B256 {
        let mut hasher = self.hasher();
        hasher.update(content);
        B256::from(*hasher.finalize().as_bytes())
    }

    /// The chaining value of `bytes` where they are a subtree of a longer content: a power of two of chunks at a
    /// multiple of that length, or the rest of the content from such a place on.
    pub fn chaining_value(self, offset: u64, bytes: &[u8]) -> B256 {
        let mut hasher = self.hasher();
        hasher.set_input_offset(offset);
        hasher.update(bytes);
        B256::from(hasher.finalize_non_root())
    }

    /// The chaining value over two sibling subtrees.
    pub fn merge(self, left: &B256, right: &B256) -> B256 {
        B256::from(merge_subtrees_non_root(&left.0, &right.0, self.mode()))
    }
}

/// Number of chunks of a content.
pub const fn count(content_bytes: u64) -> u64 {
    content_bytes.div_ceil(CHUNK_BYTES as u64)
}

/// Bytes of chunk `index`; nothing past the end.
pub fn length(content_bytes: u64, index: u64) -> Option<usize> {
    let start = index.checked_mul(CHUNK_BYTES as u64)?;
    let rest = content_bytes.checked_sub(start).filter(|rest| *rest > 0)?;
    Some(rest.min(CHUNK_BYTES as u64) as usize)
}

/// Bytes of the left side of a subtree of more than one chunk: the largest power of two that leaves something.
const fn left_bytes(bytes: u64) -> u64 {
    1 << (bytes - 1).ilog2()
}

/// The sibling subtrees of chunk `index`, as byte ranges from the chunk up to the root; nothing past the end.
pub fn siblings(content_bytes: u64, index: u64) -> Option<Vec<Range<u64>>> {
    length(content_bytes, index)?;
    let at = index * CHUNK_BYTES as u64;
    let (mut start, mut end) = (0, content_bytes);
    let mut ranges = Vec::with_capacity(DEPTH_MAX);
    while end - start > CHUNK_BYTES as u64 {
        let middle = start + left_bytes(end - start);
        if at < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    ranges.reverse();
    Some(ranges)
}

/// Length of the path of chunk `index`; nothing past the end.
pub fn depth(content_bytes: u64, index: u64) -> Option<usize> {
    length(content_bytes, index)?;
    // With all siblings to the right of it a chunk lies in full subtrees only; the walk is short in any case.
    let at = index * CHUNK_BYTES as u64;
    let (mut start, mut end, mut depth) = (0, content_bytes, 0);
    while end - start > CHUNK_BYTES as u64 {
        let middle = start + left_bytes(end - start);
        if at < middle {
            end = middle
        } else {
            start = middle
        }
        depth += 1;
    }
    Some(depth)
}

/// The path of chunk `index` of `content`; nothing past the end.
pub fn path(hash: Hash<'_>, content: &[u8], index: u64) -> Option<Vec<B256>> {
    let ranges = siblings(content.len() as u64, index)?;
    let value =
        |range: Range<u64>| hash.chaining_value(range.start, &content[range.start as usize..range.end as usize]);
    Some(ranges.into_iter().map(value).collect())
}

/// The path of chunk `index` of a content of equal parts, from the part that holds the chunk and the chaining values of
/// all parts. Their length is a power of two of chunks and their number a power of two; nothing otherwise.
///
/// So a chunk of an idle unit stays openable when other slots of the unit were given up: only their values are kept.
pub fn path_in_part(hash: Hash<'_>, part: &[u8], values: &[B256], index: u64) -> Option<Vec<B256>> {
    let part_bytes = part.len() as u64;
    let fits = part.len() >= CHUNK_BYTES && part.len().is_power_of_two() && values.len().is_power_of_two();
    let content_bytes = part_bytes.checked_mul(values.len() as u64).filter(|_| fits)?;
    let number = index.checked_mul(CHUNK_BYTES as u64)? / part_bytes;
    let start = number * part_bytes;
    let value = |range: Range<u64>| {
        if range.end - range.start < part_bytes {
            let (from, to) = (range.start - start, range.end - start);
            hash.chaining_value(range.start, &part[from as usize..to as usize])
        } else {
            fold(hash, &values[(range.start / part_bytes) as usize..(range.end / part_bytes) as usize])
        }
    };
    Some(siblings(content_bytes, index)?.into_iter().map(value).collect())
}

/// The chaining value over a power of two of subtrees.
fn fold(hash: Hash<'_>, values: &[B256]) -> B256 {
    match values {
        [one] => *one,
        _ => {
            let (left, right) = values.split_at(values.len() / 2);
            hash.merge(&fold(hash, left), &fold(hash, right))
        }
    }
}

/// The root that `chunk` at `index` has under the siblings `path`; nothing when lengths or index do not fit a content of
/// `content_bytes`.
pub fn root_of(hash: Hash<'_>, content_bytes: u64, index: u64, chunk: &[u8], path: &[B256]) -> Option<B256> {
    if length(content_bytes, index)? != chunk.len() || depth(content_bytes, index)? != path.len() {
        return None;
    }
    let Some((last, below)) = path.split_last() else {
        return Some(hash.root(chunk));
    };
    // Whether the child lies to the left, from the root down; the lowest bit is the lowest level.
    let mut sides = 0u64;
    let at = index * CHUNK_BYTES as u64;
    let (mut start, mut end) = (0, content_bytes);
    while end - start > CHUNK_BYTES as u64 {
        let middle = start + left_bytes(end - start);
        sides = sides << 1 | u64::from(at < middle);
        if at < middle { end = middle } else { start = middle }
    }
    let mut value = hash.chaining_value(at, chunk);
    for sibling in below {
        value = if sides & 1 == 1 { hash.merge(&value, sibling) } else { hash.merge(sibling, &value) };
        sides >>= 1;
    }
    let (left, right) = if sides & 1 == 1 { (&value, last) } else { (last, &value) };
    Some(B256::from(*merge_subtrees_root(&left.0, &right.0, hash.mode()).as_bytes()))
}

/// Whether `chunk` is chunk `index` of the content of `content_bytes` bytes with this root.
pub fn verify(hash: Hash<'_>, root: &B256, content_bytes: u64, index: u64, chunk: &[u8], path: &[B256]) -> bool {
    root_of(hash, content_bytes, index, chunk, path) == Some(*root)
}

const _: () = assert!(CHUNK_BYTES == blake3::CHUNK_LEN);

#[cfg(test)]
mod tests;
