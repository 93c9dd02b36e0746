//! Draw the walks that a beacon asks for.
//!
//! # Format
//! The output of `BLAKE3-derive(WALK, seed ‖ number (4, BE))`, extended:
//! ```text
//! unit      first 16 bytes (BE) mod units of the batch
//! position  next 16 bytes (BE) mod labels of a unit
//! edges     one byte per layer from the content down to layer 1, each mod 16
//! ```

use crate::{
    idle::{DEGREE, UnitShape},
    pledge::domain,
};
use alloy_primitives::B256;
use types::hash::derive;

/// One walk that a miner is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which unit of the batch, all lots' units counted through.
    pub unit: u64,
    /// The label of the content where the walk ends.
    pub position: u64,
    /// The edges down from there; the last leads into the source.
    pub edges: Vec<u8>,
}

/// What a beacon makes of a batch: `count` lots of a miner from lot `first` on.
pub fn seed(beacon: &B256, miner: u32, first: u32, count: u32) -> B256 {
    derive(domain::SEED, &[beacon.as_slice(), &miner.to_be_bytes(), &first.to_be_bytes(), &count.to_be_bytes()])
}

/// The lot that later check `number` of a round hits with an attempt, of lots 1 to `lots`, at least one:
/// `BLAKE3-derive(SPOT, beacon ‖ number (4) ‖ attempt (4))`, its first 16 bytes (BE) mod `lots`, and one.
pub fn spot_lot(beacon: &B256, number: u32, attempt: u32, lots: u32) -> u32 {
    let digest = derive(domain::SPOT, &[beacon.as_slice(), &number.to_be_bytes(), &attempt.to_be_bytes()]);
    let ticket = u128::from_be_bytes(*digest.first_chunk().expect("32 bytes"));
    u32::try_from(ticket % u128::from(lots.max(1))).expect("below a u32").saturating_add(1)
}

/// Draws walk `number` over a batch of `units` units, at least one.
pub fn sample(shape: UnitShape, seed: &B256, units: u64, number: u32) -> Sample {
    let mut hasher = blake3::Hasher::new_derive_key(domain::WALK);
    let mut output = hasher.update(seed.as_slice()).update(&number.to_be_bytes()).finalize_xof();
    let mut ticket = |below: u64| {
        let mut bytes = [0; 16];
        output.fill(&mut bytes);
        u64::try_from(u128::from_be_bytes(bytes) % u128::from(below.max(1))).expect("below a u64")
    };
    let (unit, position) = (ticket(units), ticket(shape.labels()));
    let mut edges = vec![0; shape.layers() as usize - 1];
    output.fill(&mut edges);
    edges.iter_mut().for_each(|edge| *edge %= DEGREE as u8);
    Sample { unit, position, edges }
}
