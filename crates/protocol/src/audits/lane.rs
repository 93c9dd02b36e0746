//! Give time back when the audit lane is full.
//!
//! # Design
//! Commitments, openings, answers and walks have room of their own in a block (`types::lane`). Each succeeds once (one
//! commitment of a miner in a round, one opening of a sample, one answer to a challenge, one showing of a walk), so the
//! lane cannot be stuffed for nothing.
//! A block in which the lane was full moves the stage's deadline by the time until the next block: a round is late, never
//! void.

use super::{
    Audits,
    record::{Clock, Lane, Stage},
};
use crate::{Checked, Ledger, Result};
use alloy_sol_types::SolCall;
use types::spec::AuditSpec;

/// Bytes of a selector.
const SELECTOR_BYTES: usize = 4;

impl Audits {
    /// Counts the calldata of a call that succeeds among the bytes of this block's lane.
    pub(super) fn tally_lane(&self, ledger: &mut dyn Ledger, call: &impl SolCall) -> Result<()> {
        let bytes = call.abi_encoded_size().saturating_add(SELECTOR_BYTES);
        let block = ledger.block();
        let lane = self.storage.lane.get(ledger)?;
        let before = if lane.height == block.height { lane.bytes } else { 0 };
        let bytes = before.plus(bytes as u64)?;
        Ok(self.storage.lane.set(ledger, Lane { height: block.height, bytes, at_ms: block.timestamp_ms })?)
    }

    /// Moves the deadline if the last block's lane was full.
    pub(super) fn extend(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: Clock) -> Result<Clock> {
        if !matches!(Stage::from_u8(clock.stage), Stage::Commit | Stage::Open) {
            return Ok(clock);
        }
        let block = ledger.block();
        let lane = self.storage.lane.get(ledger)?;
        let was_full = lane.height.plus(1)? == block.height && lane.bytes >= rules.lane_bytes;
        let time_ms = if was_full { block.timestamp_ms.saturating_sub(lane.at_ms) } else { 0 };
        Ok(Clock { deadline_ms: clock.deadline_ms.plus(time_ms)?, ..clock })
    }
}
