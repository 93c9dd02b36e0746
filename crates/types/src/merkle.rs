//! Commit to lists of hashes by binary Merkle trees.
//!
//! # Format
//! ```text
//! leaf(v)    = BLAKE3-derive("cess merkle leaf v1", v)
//! node(l, r) = BLAKE3-derive("cess merkle node v1", l ‖ r)
//! empty      = BLAKE3-derive("cess merkle empty v1", "")
//! ```
//! A list is padded with `empty` to a power of two. The stripe log of a volume is the same tree at a fixed depth of
//! [`LOG_DEPTH`], kept as a [`Frontier`]: the left siblings on the path to the next free leaf.

use crate::hash::{derive, domain};
use alloy_primitives::B256;
use blake3::{
    Hasher,
    hazmat::{ContextKey, HasherExt, hash_derive_key_context},
};
use std::sync::LazyLock;

/// Depth of the stripe log: at most 2^20 stripes in a volume.
pub const LOG_DEPTH: usize = 20;

/// Hashes a leaf.
pub fn leaf(value: &B256) -> B256 {
    derive(domain::MERKLE_LEAF, &[value.as_slice()])
}

/// Key of the nodes' domain: paths are checked in blocks, so its hash is not made anew for each node.
static NODE_KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(domain::MERKLE_NODE));

/// Hashes two children.
pub fn node(left: &B256, right: &B256) -> B256 {
    let mut hasher = Hasher::new_from_context_key(&NODE_KEY);
    hasher.update([left.0, right.0].as_flattened());
    B256::from(*hasher.finalize().as_bytes())
}

/// Roots of empty subtrees, by height.
pub static EMPTY: LazyLock<[B256; LOG_DEPTH + 1]> = LazyLock::new(|| {
    let mut roots = [derive(domain::MERKLE_EMPTY, &[]); LOG_DEPTH + 1];
    for height in 1..roots.len() {
        roots[height] = node(&roots[height - 1], &roots[height - 1]);
    }
    roots
});

/// A whole tree in memory, for lists that fit there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Levels from the leaves to the root.
    levels: Vec<Vec<B256>>,
}

impl Tree {
    /// Builds the tree over `values`; an empty list has one empty leaf.
    pub fn new(values: &[B256]) -> Self {
        let width = values.len().next_power_of_two();
        let mut level: Vec<B256> = values.iter().map(leaf).collect();
        level.resize(width, EMPTY[0]);
        let mut levels = vec![level];
        while let Some(last) = levels.last().filter(|level| level.len() > 1) {
            let next = last.chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect();
            levels.push(next);
        }
        Self { levels }
    }

    /// The commitment.
    pub fn root(&self) -> B256 {
        self.levels[self.levels.len() - 1][0]
    }

    /// The siblings from leaf `index` up to the root, or nothing past the padded end.
    pub fn path(&self, index: usize) -> Option<Vec<B256>> {
        (index < self.levels[0].len()).then(|| {
            let below_root = &self.levels[..self.levels.len() - 1];
            below_root.iter().enumerate().map(|(height, level)| level[(index >> height) ^ 1]).collect()
        })
    }
}

/// The root that `value` at `index` has under the siblings `path`; nothing when `index` does not fit the path.
pub fn root_of(value: &B256, index: u64, path: &[B256]) -> Option<B256> {
    if path.len() >= 64 || index >> path.len() != 0 {
        return None;
    }
    Some(path.iter().enumerate().fold(leaf(value), |child, (height, sibling)| {
        if index >> height & 1 == 0 { node(&child, sibling) } else { node(sibling, &child) }
    }))
}

/// An append-only tree of depth [`LOG_DEPTH`] by its left edge: what a chain stores of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    count: u64,
    left: [B256; LOG_DEPTH],
}

/// The log holds 2^[`LOG_DEPTH`] leaves and takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log is full")]
pub struct Full;

impl Default for Frontier {
    fn default() -> Self {
        Self::new(0, [B256::ZERO; LOG_DEPTH])
    }
}

impl Frontier {
    /// Restores a frontier. `left[h]` matters only where bit `h` of `count` is set.
    pub fn new(count: u64, left: [B256; LOG_DEPTH]) -> Self {
        Self { count, left }
    }

    /// Leaves appended so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The left siblings by height.
    pub fn left(&self) -> &[B256; LOG_DEPTH] {
        &self.left
    }

    /// Appends a leaf; returns the height of the one entry of [`left`](Self::left) that changed.
    pub fn push(&mut self, value: &B256) -> Result<usize, Full> {
        if self.count >> LOG_DEPTH != 0 {
            return Err(Full);
        }
        let mut hash = leaf(value);
        let height = (self.count.trailing_ones() as usize).min(LOG_DEPTH - 1);
        for left in &self.left[..height] {
            hash = node(left, &hash);
        }
        // The very last leaf completes the tree; its root is kept at the top entry.
        if self.count.trailing_ones() as usize == LOG_DEPTH {
            hash = node(&self.left[LOG_DEPTH - 1], &hash);
        }
        self.left[height] = hash;
        self.count += 1;
        Ok(height)
    }

    /// The commitment to all leaves so far.
    pub fn root(&self) -> B256 {
        if self.count >> LOG_DEPTH != 0 {
            return self.left[LOG_DEPTH - 1];
        }
        self.left.iter().enumerate().fold(EMPTY[0], |hash, (height, left)| {
            if self.count >> height & 1 == 1 { node(left, &hash) } else { node(&hash, &EMPTY[height]) }
        })
    }
}

#[cfg(test)]
mod tests;
