//! Hash fragments by groups, so that any part of one verifies alone.
//!
//! # Format
//! ```text
//! group       = 16 KiB of the fragment at a multiple of 16 KiB; the last may be shorter
//! group hash  = BLAKE3 chaining value of the group's subtree (not finalised as a root)
//! fragment root = BLAKE3(fragment) = the parents' merge of all group hashes, as BLAKE3 merges subtrees
//! ```
//! A list of group hashes is checked against the fragment root once (128 hashes for 2 MiB); from then on each group
//! verifies as soon as it is there. It is 0.2 % of the data, half of a tree of the same grain, and one flat list.

use alloy_primitives::B256;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use bytes::Bytes;
use std::{ops::Range, sync::OnceLock};

/// Bytes that are verified together.
pub const GROUP_BYTES: u64 = 16 << 10;
/// Bytes of a group hash.
pub const GROUP_HASH_BYTES: usize = 32;

/// Groups of a fragment of `bytes` bytes.
pub const fn group_count(bytes: u64) -> u64 {
    bytes.div_ceil(GROUP_BYTES)
}

/// The chaining value of one group at its place in the fragment.
pub fn group_hash(index: u64, bytes: &[u8]) -> [u8; GROUP_HASH_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(index * GROUP_BYTES).update(bytes);
    hasher.finalize_non_root()
}

/// The hashes of all groups of one fragment, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupHashes(Bytes);

/// Bytes are no list of group hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list of group hashes has a multiple of {GROUP_HASH_BYTES} bytes")]
pub struct GroupHashesError;

impl GroupHashes {
    /// Hashes every group of a fragment.
    pub fn of(fragment: &[u8]) -> Self {
        let hashes = fragment.chunks(GROUP_BYTES as usize).zip(0..).map(|(group, index)| group_hash(index, group));
        Self(hashes.collect::<Vec<_>>().concat().into())
    }

    /// Takes a list as it was stored or received.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, GroupHashesError> {
        if bytes.len().is_multiple_of(GROUP_HASH_BYTES) { Ok(Self(bytes)) } else { Err(GroupHashesError) }
    }

    /// The list as it is stored and sent.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Number of groups.
    pub fn count(&self) -> u64 {
        (self.0.len() / GROUP_HASH_BYTES) as u64
    }

    /// The hash of one group.
    pub fn group(&self, index: u64) -> Option<[u8; GROUP_HASH_BYTES]> {
        let start = usize::try_from(index).ok()?.checked_mul(GROUP_HASH_BYTES)?;
        self.0.get(start..start.checked_add(GROUP_HASH_BYTES)?)?.try_into().ok()
    }

    /// The fragment root that these hashes make; nothing for fewer than two groups, whose root is no merge.
    pub fn root(&self) -> Option<B256> {
        let hashes: Vec<_> = (0..self.count()).filter_map(|index| self.group(index)).collect();
        if hashes.len() < 2 {
            return None;
        }
        let (left, right) = hashes.split_at(left_groups(hashes.len()));
        let root = merge_subtrees_root(&merge(left), &merge(right), Mode::Hash);
        Some(B256::from(*root.as_bytes()))
    }
}

/// Groups of the left subtree: the largest power of two below `count`.
fn left_groups(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn merge(hashes: &[[u8; GROUP_HASH_BYTES]]) -> [u8; GROUP_HASH_BYTES] {
    match hashes {
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(left_groups(hashes.len()));
            merge_subtrees_non_root(&merge(left), &merge(right), Mode::Hash)
        }
    }
}

/// The smallest run of whole groups of a fragment of `fragment_bytes` bytes that covers `range`.
pub fn covering_groups(range: &Range<u64>, fragment_bytes: u64) -> Range<u64> {
    let start = range.start / GROUP_BYTES * GROUP_BYTES;
    start..group_count(range.end).saturating_mul(GROUP_BYTES).min(fragment_bytes)
}

/// A whole fragment with the hashes of its groups, computed at most once.
#[derive(Clone, Debug)]
pub struct Fragment {
    bytes: Bytes,
    groups: OnceLock<GroupHashes>,
}

impl Fragment {
    /// A fragment to send; it is hashed only if somebody asks.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, groups: OnceLock::new() }
    }

    /// A fragment that was hashed while it was received.
    pub(crate) fn hashed(bytes: Bytes, groups: GroupHashes) -> Self {
        Self { bytes, groups: OnceLock::from(groups) }
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The hashes of the groups.
    pub fn groups(&self) -> &GroupHashes {
        self.groups.get_or_init(|| GroupHashes::of(&self.bytes))
    }

    /// BLAKE3 of the bytes.
    pub fn root(&self) -> B256 {
        self.groups().root().unwrap_or_else(|| B256::from(*blake3::hash(&self.bytes).as_bytes()))
    }
}

impl From<Bytes> for Fragment {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes)
    }
}

impl PartialEq for Fragment {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Fragment {}

#[cfg(test)]
mod tests;
