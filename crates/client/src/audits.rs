//! Read how miners did in audit rounds from the chain's logs, and check rounds again.

mod review;

pub use review::{FaultReview, Finding, OpeningReview, ReviewError, RoundReview};

use crate::{
    ChainError,
    chain::{LogEntry, LogFilter, Network},
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use types::{
    abi::{AUDITS, IAudits},
    layout::audits::DemandState,
};

/// What the logs say of one miner since a height. Logs are a node's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditHistory {
    /// First height that was looked at.
    pub from_height: u64,
    /// Rounds with a commitment.
    pub answered: u64,
    /// Rounds without one, as far as they were booked.
    pub missed: u64,
    /// What those cost, wei.
    pub missed_fines: U256,
    /// Samples opened.
    pub opened: u64,
    /// What they earned, wei.
    pub earned: U256,
    /// Samples that were not opened.
    pub faults: Vec<Fault>,
    /// What entries cost that were declared lost, wei.
    pub declared_lost: U256,
    /// Earnings that were paid out, wei.
    pub claimed: U256,
    /// Demands of walks that were met.
    pub demands_met: u64,
    /// Those that were not.
    pub demands_failed: u64,
    /// What those cost, wei.
    pub demand_fines: U256,
}

/// A sample that a miner did not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The round.
    pub round: u64,
    /// Number of the sample.
    pub sample: u32,
    /// The lot.
    pub lot: u32,
    /// The slot of the lot.
    pub slot: u32,
    /// The chunk of the slot.
    pub chunk: u64,
    /// Position among the miner's responses.
    pub entry: u64,
    /// Wei.
    pub fine: U256,
    /// Height of the block that judged.
    pub height: u64,
}

impl Network<'_> {
    /// What the logs say of a miner from a height on.
    pub async fn audit_history(&self, miner: u32, from_height: u64) -> Result<AuditHistory, ChainError> {
        let me = Some(vec![U256::from(miner).into()]);
        let events = |hashes: &[B256]| Some(hashes.to_vec());
        let of_rounds = events(&[
            IAudits::Committed::SIGNATURE_HASH,
            IAudits::Opened::SIGNATURE_HASH,
            IAudits::Faulted::SIGNATURE_HASH,
            IAudits::DeclaredLost::SIGNATURE_HASH,
            IAudits::DemandMet::SIGNATURE_HASH,
            IAudits::DemandFailed::SIGNATURE_HASH,
        ]);
        let of_miners = events(&[IAudits::Missed::SIGNATURE_HASH, IAudits::Claimed::SIGNATURE_HASH]);
        let mut history = AuditHistory { from_height, ..AuditHistory::default() };
        for topics in [[of_rounds, None, me.clone(), None], [of_miners, me, None, None]] {
            let filter = LogFilter { from: from_height, to: None, address: AUDITS, topics };
            for entry in self.0.logs(filter).await? {
                history.add(&entry);
            }
        }
        Ok(history)
    }
}

impl AuditHistory {
    fn add(&mut self, entry: &LogEntry) {
        let data = &entry.log.data;
        let Some(&kind) = data.topics().first() else { return };
        match kind {
            IAudits::Committed::SIGNATURE_HASH => self.answered += 1,
            IAudits::Opened::SIGNATURE_HASH => {
                let Ok(event) = IAudits::Opened::decode_log_data(data) else { return };
                self.opened += 1;
                self.earned = self.earned.saturating_add(event.reward);
            }
            IAudits::Faulted::SIGNATURE_HASH => self.faults.extend(fault(entry).map(|(_, fault)| fault)),
            IAudits::DeclaredLost::SIGNATURE_HASH => {
                let Ok(event) = IAudits::DeclaredLost::decode_log_data(data) else { return };
                self.declared_lost = self.declared_lost.saturating_add(event.paid);
            }
            IAudits::DemandMet::SIGNATURE_HASH => self.demands_met += 1,
            IAudits::DemandFailed::SIGNATURE_HASH => {
                let Ok(event) = IAudits::DemandFailed::decode_log_data(data) else { return };
                self.demands_failed += u64::from(event.state == DemandState::Failed as u8);
                self.demand_fines = self.demand_fines.saturating_add(event.fine);
            }
            IAudits::Missed::SIGNATURE_HASH => {
                let Ok(event) = IAudits::Missed::decode_log_data(data) else { return };
                let rounds = event.lastRound.saturating_add(1).saturating_sub(event.firstRound);
                self.missed = self.missed.saturating_add(rounds);
                self.missed_fines = self.missed_fines.saturating_add(event.fine);
            }
            IAudits::Claimed::SIGNATURE_HASH => {
                let Ok(event) = IAudits::Claimed::decode_log_data(data) else { return };
                self.claimed = self.claimed.saturating_add(event.amount);
            }
            _ => {}
        }
    }

    /// All fines, wei.
    pub fn fines(&self) -> U256 {
        let faults = self.faults.iter().fold(U256::ZERO, |sum, fault| sum.saturating_add(fault.fine));
        faults.saturating_add(self.missed_fines).saturating_add(self.declared_lost).saturating_add(self.demand_fines)
    }
}

/// The fault that a log tells of, and whose it is.
fn fault(entry: &LogEntry) -> Option<(u32, Fault)> {
    let event = IAudits::Faulted::decode_log_data(&entry.log.data).ok()?;
    let IAudits::Faulted { round, miner, sample, lot, slot, chunk, entry: index, fine } = event;
    Some((miner, Fault { round, sample, lot, slot, chunk, entry: index, fine, height: entry.height }))
}
