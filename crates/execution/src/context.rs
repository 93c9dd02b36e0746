//! Say which block is being executed.

use alloy_primitives::{Address, B256};
use types::{Beacon, ChainSpec, Header};

/// Everything of a block that its transactions can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Blocks since genesis.
    pub height: u64,
    /// Milliseconds since 1970; the EVM sees whole seconds.
    pub timestamp_ms: u64,
    /// Consensus epoch.
    pub epoch: u64,
    /// Consensus view of the proposal.
    pub view: u64,
    /// Whether so few blocks of the epoch are left that no beacon is asked for any more.
    pub is_epoch_ending: bool,
    /// Receiver of the priority fees.
    pub beneficiary: Address,
    /// Gas that the block can use.
    pub gas_limit: u64,
    /// EIP-1559 base fee, wei.
    pub base_fee_per_gas: u64,
    /// Hash of the parent's header.
    pub parent_hash: B256,
    /// What `PREVRANDAO` answers.
    pub prevrandao: B256,
    /// Calldata that the audit lane takes; zero where there is none.
    pub lane_bytes: u64,
    /// The beacon that state waited for, where this block brings it.
    pub beacon: Option<Beacon>,
}

impl BlockContext {
    /// The context of the block with `header`.
    pub fn of(header: &Header, spec: &ChainSpec) -> Self {
        Self {
            chain_id: spec.chain_id,
            height: header.height,
            timestamp_ms: header.timestamp_ms,
            epoch: header.epoch,
            view: header.view,
            is_epoch_ending: spec.is_epoch_ending(header.height),
            beneficiary: header.beneficiary,
            gas_limit: header.gas_limit,
            base_fee_per_gas: header.base_fee_per_gas,
            parent_hash: header.parent_hash,
            prevrandao: header.prevrandao(),
            lane_bytes: spec.storage.audits.as_ref().map_or(0, |audits| audits.lane_bytes),
            beacon: header.beacon.clone(),
        }
    }
}
