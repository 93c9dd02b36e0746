//! Give every unit bytes of its own.

use crate::idle::domain;
use alloy_primitives::B256;
use types::hash::derive;

/// Which unit: no two of a network are alike, and none can be made before its lot was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnitId {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Number of the miner.
    pub miner: u32,
    /// Number of the lot on the chain.
    pub lot: u32,
    /// Position in the lot, in units.
    pub unit: u32,
    /// Seed of the first beacon after the lot was pledged.
    pub beacon: B256,
}

/// Where the labels of a unit come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitKey(B256);

impl UnitId {
    /// The unit's key.
    pub fn key(&self) -> UnitKey {
        UnitKey(derive(
            domain::UNIT,
            &[
                &self.chain_id.to_be_bytes(),
                &self.miner.to_be_bytes(),
                &self.lot.to_be_bytes(),
                &self.unit.to_be_bytes(),
                self.beacon.as_slice(),
            ],
        ))
    }
}

impl UnitKey {
    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}
