//! Encode what members sign about the repair of a volume.
//!
//! # Format
//! ```text
//! help  = BLAKE3-derive("cess help v1",  chain id (8) ‖ volume (4) ‖ seat (2) ‖ lot (4) ‖ helper seat (2) ‖
//!         helper miner (4) ‖ bytes (8))
//! ghost = BLAKE3-derive("cess ghost v1", chain id (8) ‖ volume (4) ‖ index (4) ‖ segment id (32) ‖
//!         rebuilt fragments root (32))                                             all integers big endian
//! ```

use crate::{
    hash::{derive, domain},
    segment::SegmentId,
};
use alloy_primitives::B256;

/// What a newcomer got from a helper, of the column that it takes over. A lot has one seat in its life, so the lot says
/// which rebuild is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Help {
    /// Chain that pays.
    pub chain_id: u64,
    /// Volume that is repaired.
    pub volume: u32,
    /// Seat that is rebuilt.
    pub seat: u16,
    /// The newcomer's lot.
    pub lot: u32,
    /// Seat that helped.
    pub helper_seat: u16,
    /// Who held that seat.
    pub helper: u32,
    /// Bytes of the column in all, since the rebuild began.
    pub bytes: u64,
}

impl Help {
    /// The message that the newcomer signs.
    pub fn message(&self) -> B256 {
        derive(
            domain::HELP,
            &[
                &self.chain_id.to_be_bytes(),
                &self.volume.to_be_bytes(),
                &self.seat.to_be_bytes(),
                &self.lot.to_be_bytes(),
                &self.helper_seat.to_be_bytes(),
                &self.helper.to_be_bytes(),
                &self.bytes.to_be_bytes(),
            ],
        )
    }
}

/// What members saw who rebuilt all fragments of a stripe from verified ones: they are not those that were committed.
///
/// The root over all of them is signed, and not that of one fragment: the committed root of a fragment that nobody has is
/// known to nobody but the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ghost {
    /// Chain that judges.
    pub chain_id: u64,
    /// Volume of the stripe.
    pub volume: u32,
    /// Its place in the volume's log.
    pub index: u32,
    /// Its segment.
    pub segment: SegmentId,
    /// Merkle root over the fragment roots that `k` verified fragments rebuild to.
    pub rebuilt: B256,
}

impl Ghost {
    /// The message that members sign.
    pub fn message(&self) -> B256 {
        derive(
            domain::GHOST,
            &[
                &self.chain_id.to_be_bytes(),
                &self.volume.to_be_bytes(),
                &self.index.to_be_bytes(),
                self.segment.as_slice(),
                self.rebuilt.as_slice(),
            ],
        )
    }
}
