//! State what a member signs when it holds a batch of fragments.
//!
//! # Format
//! ```text
//! batch root = Merkle root over the segment ids of the batch, in order
//! message    = BLAKE3-derive("cess receipt v1", chain id (8) ‖ volume (4) ‖ territory (8) ‖ sequence (8) ‖ batch root (32)
//!              ‖ expires at height (8))        all integers big endian
//! ```
//! All members sign the same message, so one aggregate is one check. A sequence counts once per territory.

use crate::{
    hash::{derive, domain},
    merkle::Tree,
    segment::SegmentId,
};
use alloy_primitives::B256;

/// Fields of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Chain that may use it.
    pub chain_id: u64,
    /// Volume that the batch is for.
    pub volume: u32,
    /// Territory that pays.
    pub territory: u64,
    /// Consumed by the commit.
    pub sequence: u64,
    /// Commitment to the segments.
    pub batch_root: B256,
    /// Last height at which a commit may use it; members hold the fragments until then.
    pub expires_at_height: u64,
}

impl Receipt {
    /// The message to sign.
    pub fn message(&self) -> B256 {
        derive(
            domain::RECEIPT,
            &[
                &self.chain_id.to_be_bytes(),
                &self.volume.to_be_bytes(),
                &self.territory.to_be_bytes(),
                &self.sequence.to_be_bytes(),
                self.batch_root.as_slice(),
                &self.expires_at_height.to_be_bytes(),
            ],
        )
    }
}

/// The commitment to the segments of a batch.
pub fn batch_root(segments: &[SegmentId]) -> B256 {
    Tree::new(segments).root()
}
