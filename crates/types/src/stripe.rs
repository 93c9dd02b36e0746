//! Encode the leaves of a volume's stripe log.
//!
//! # Format
//! ```text
//! leaf = BLAKE3-derive("cess stripe v1", segment id (32) ‖ territory (8) ‖ offset (8) ‖ fragment length (8) ‖
//!        length (8) ‖ committed at, ms (8) ‖ end of minimum term, ms (8))        all integers big endian
//! ```

use crate::{
    abi::{IVolumes::Appended, Leaf, Release},
    hash::{derive, domain},
    merkle::{EMPTY, LOG_DEPTH, Tree},
    segment::SegmentId,
};
use alloy_primitives::B256;

/// A stripe as the log of its volume remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripeLeaf {
    /// The segment.
    pub segment: SegmentId,
    /// Who pays.
    pub territory: u64,
    /// Where the fragment begins in each column.
    pub offset: u64,
    /// Bytes of each fragment.
    pub fragment_bytes: u64,
    /// Bytes of the segment.
    pub length: u64,
    /// Time of the block that committed it.
    pub committed_at_ms: u64,
    /// Before this, releasing it gives no quota back.
    pub term_end_ms: u64,
}

impl StripeLeaf {
    /// The leaf of the log.
    pub fn hash(&self) -> B256 {
        derive(
            domain::STRIPE,
            &[
                self.segment.as_slice(),
                &self.territory.to_be_bytes(),
                &self.offset.to_be_bytes(),
                &self.fragment_bytes.to_be_bytes(),
                &self.length.to_be_bytes(),
                &self.committed_at_ms.to_be_bytes(),
                &self.term_end_ms.to_be_bytes(),
            ],
        )
    }
}

/// The log of a volume, as far as it is known.
#[derive(Clone, Debug)]
pub struct StripeLog {
    leaves: Vec<StripeLeaf>,
    tree: Tree,
}

impl StripeLog {
    /// The log of these stripes.
    pub fn new(leaves: Vec<StripeLeaf>) -> Self {
        let hashes: Vec<B256> = leaves.iter().map(StripeLeaf::hash).collect();
        Self { leaves, tree: Tree::new(&hashes) }
    }

    /// A stripe.
    pub fn leaf(&self, index: u32) -> Option<&StripeLeaf> {
        self.leaves.get(index as usize)
    }

    /// Siblings of a leaf from the bottom up, without the empty ones above.
    pub fn path(&self, index: u32) -> Option<Vec<B256>> {
        self.tree.path(index as usize)
    }

    /// A stripe with its place in the log, as the chain wants it shown.
    pub fn shown(&self, index: u32) -> Option<Release> {
        let mut path = self.path(index)?;
        path.extend_from_slice(EMPTY.get(path.len()..LOG_DEPTH)?);
        Some(Release { index, leaf: self.leaf(index)?.into(), path: path.try_into().ok()? })
    }
}

impl From<&StripeLeaf> for Leaf {
    fn from(leaf: &StripeLeaf) -> Self {
        let StripeLeaf { segment, territory, offset, fragment_bytes, length, committed_at_ms, term_end_ms } = *leaf;
        Self {
            segment,
            territory,
            offset,
            fragmentBytes: fragment_bytes,
            length,
            committedAtMs: committed_at_ms,
            termEndMs: term_end_ms,
        }
    }
}

impl From<&Leaf> for StripeLeaf {
    fn from(leaf: &Leaf) -> Self {
        Self {
            segment: leaf.segment,
            territory: leaf.territory,
            offset: leaf.offset,
            fragment_bytes: leaf.fragmentBytes,
            length: leaf.length,
            committed_at_ms: leaf.committedAtMs,
            term_end_ms: leaf.termEndMs,
        }
    }
}

impl From<&Appended> for StripeLeaf {
    fn from(event: &Appended) -> Self {
        Self {
            segment: event.segment,
            territory: event.territory,
            offset: event.offset,
            fragment_bytes: event.fragmentBytes,
            length: event.length,
            committed_at_ms: event.committedAtMs,
            term_end_ms: event.termEndMs,
        }
    }
}
