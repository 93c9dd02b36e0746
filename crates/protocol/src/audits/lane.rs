//! Give time back in which a miner could not be heard: the audit lane was full, or the chain stood still.
//!
//! # Design
//! Commitments, openings, answers and walks have room of their own in a block (`types::lane`). Each succeeds once (one
//! commitment of a miner in a round, one opening of a sample, one answer to a challenge, one showing of a walk), so the
//! lane cannot be stuffed for nothing.
//! A block in which the lane was full moves the stage's deadline by the time until the next block, and so does a time
//! without blocks that is longer than the specification's standstill: a round is late, never void.

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

    /// Starts the time of a stage: it has so many milliseconds from now on.
    pub(super) fn deadline(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, time_ms: u64) -> Result<u64> {
        let now_ms = ledger.block().timestamp_ms;
        if rules.standstill_ms.is_some() {
            self.storage.seen_ms.set(ledger, now_ms)?;
        }
        now_ms.plus(time_ms)
    }

    /// Moves the deadline by the time since the last block in which nobody could have been heard.
    pub(super) fn extend(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: Clock) -> Result<Clock> {
        if !matches!(Stage::from_u8(clock.stage), Stage::Commit | Stage::Open) {
            return Ok(clock);
        }
        let block = ledger.block();
        let lane = self.storage.lane.get(ledger)?;
        let was_full = lane.height.plus(1)? == block.height && lane.bytes >= rules.lane_bytes;
        let full_ms = if was_full { block.timestamp_ms.saturating_sub(lane.at_ms) } else { 0 };
        let time_ms = full_ms.max(self.stood_still(ledger, rules)?);
        Ok(Clock { deadline_ms: clock.deadline_ms.plus(time_ms)?, ..clock })
    }

    /// How long the chain stood still before this block, if it did. Seldom written: what is measured may be half a
    /// standstill too much, never too little.
    fn stood_still(&self, ledger: &mut dyn Ledger, rules: &AuditSpec) -> Result<u64> {
        let Some(standstill_ms) = rules.standstill_ms else { return Ok(0) };
        let now_ms = ledger.block().timestamp_ms;
        let unseen_ms = now_ms.saturating_sub(self.storage.seen_ms.get(ledger)?);
        if unseen_ms.saturating_mul(2) >= standstill_ms {
            self.storage.seen_ms.set(ledger, now_ms)?;
        }
        Ok(if unseen_ms > standstill_ms { unseen_ms } else { 0 })
    }
}
