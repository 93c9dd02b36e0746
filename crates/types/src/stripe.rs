//! Encode the leaves of a volume's stripe log.
//!
//! # Format
//! ```text
//! leaf = BLAKE3-derive("cess stripe v1", segment id (32) ‖ territory (8) ‖ offset (8) ‖ fragment length (8) ‖
//!        length (8) ‖ committed at, ms (8) ‖ end of minimum term, ms (8))        all integers big endian
//! ```

use crate::{
    hash::{derive, domain},
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
