//! Tell what may travel in the audit lane, and give time back when the lane is full.
//!
//! # Design
//! Commitments, openings and answers have room of their own in a block. Whether a transaction belongs there is plain from
//! its calldata; a block builder takes it if it succeeds. Each kind succeeds once (one commitment of a miner in a round,
//! one opening of a sample, one answer to a challenge), so the lane cannot be stuffed for nothing. A block in which the
//! lane was full moves the stage's deadline by the time until the next block: a round is late, never void.

use super::{
    Audits,
    record::{Clock, Lane, Stage},
};
use crate::{Checked, Ledger, Result};
use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use types::{
    abi::{AUDITS, IAudits},
    spec::AuditSpec,
};

/// What a transaction does in the audit lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneCall {
    /// Commits to a round's responses.
    Commit,
    /// Opens a sample.
    Open,
    /// Answers a directed challenge.
    Answer,
}

/// Longest calldata in the lane.
pub const LANE_INPUT_BYTES_MAX: usize = proofs::opening::OPENING_BYTES_MAX + 4 + 4 * 32;

/// What a call with this calldata does in the audit lane; nothing if it has no business there.
pub fn lane_call(to: Option<Address>, input: &[u8]) -> Option<LaneCall> {
    let selector = input.first_chunk::<4>().filter(|_| to == Some(AUDITS) && input.len() <= LANE_INPUT_BYTES_MAX)?;
    match *selector {
        IAudits::commitCall::SELECTOR => Some(LaneCall::Commit),
        IAudits::openCall::SELECTOR => Some(LaneCall::Open),
        IAudits::answerCall::SELECTOR => Some(LaneCall::Answer),
        _ => None,
    }
}

/// Whether a call with this calldata commits to a round's responses.
pub fn is_commitment(to: Option<Address>, input: &[u8]) -> bool {
    lane_call(to, input) == Some(LaneCall::Commit)
}

impl Audits {
    /// Counts bytes of this block's lane.
    pub(super) fn tally_lane(&self, ledger: &mut dyn Ledger, bytes: usize) -> Result<()> {
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
