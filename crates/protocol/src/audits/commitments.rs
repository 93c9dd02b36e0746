//! Take commitments, and book the rounds that had none.

use super::{
    Audits,
    record::{Clock, MinerRecord, Stage, Standing},
};
use crate::{Checked, Ledger, Result, internal::ILotAudits};
use alloy_primitives::U256;
use types::abi::{DECLARED_MAX, IAudits, IMiners, IModule::Overflow, MINERS};

/// Largest part of the collateral that one outage costs, in percent.
const OUTAGE_PERCENT_MAX: u64 = 4;
/// One of so many entries may be declared lost, and always one.
const DECLARED_DIVISOR: u64 = 100;

impl Audits {
    pub(super) fn commit(&self, ledger: &mut dyn Ledger, call: IAudits::commitCall) -> Result<IAudits::commitReturn> {
        self.rules()?;
        self.tally_lane(ledger, &call)?;
        let IAudits::commitCall { round, root, lost } = call;
        let clock = self.storage.clock.get(ledger)?;
        require_stage(ledger, &clock, round, Stage::Commit)?;
        let operator = ledger.caller();
        let miner = ledger.call_module(MINERS, &IMiners::minerOfCall { operator })?;
        let record = self.storage.miners.at(ledger, &miner)?;
        let asked = self.asked(ledger, miner, &record)?;
        if asked.lots == 0 || record.roll.get(ledger)?.live == 0 {
            return Err(IAudits::NotAudited { miner }.into());
        }
        let standing = self.book(ledger, miner, &record)?;
        if standing.committed == round {
            return Err(IAudits::AlreadyCommitted { round }.into());
        }
        let rising = lost.is_sorted_by(|a, b| a < b);
        let known = lost.last().is_none_or(|last| u64::from(*last) < asked.entries());
        let most = (asked.entries() / DECLARED_DIVISOR).clamp(1, DECLARED_MAX as u64);
        if !rising || !known || lost.len() as u64 > most {
            return Err(IAudits::InvalidLoss {}.into());
        }
        let declared = u8::try_from(lost.len()).unwrap_or(u8::MAX);
        if standing.missed >= self.rules()?.silent_rounds {
            ledger.call_module(MINERS, &ILotAudits::setSilentCall { miner, silent: false })?;
        }
        record.declared.store(ledger, &lost)?;
        record.commitment.set(ledger, root)?;
        record.standing.set(ledger, Standing { booked: round, committed: round, declared, missed: 0, ..standing })?;
        if record.outage.get(ledger)? != 0 {
            record.outage.set(ledger, 0)?;
        }
        if !lost.is_empty() {
            let due = self.rebuild_price()?.times(U256::from(lost.len()))?;
            let paid = self.fine(ledger, miner, due)?;
            ledger.emit(&IAudits::DeclaredLost { round, miner, paid })?;
        }
        ledger.emit(&IAudits::Committed { round, miner, root, lost })?;
        Ok(IAudits::commitReturn {})
    }

    /// What rebuilding a slot costs.
    fn rebuild_price(&self) -> Result<U256> {
        Ok(self.spec.rebuild_price(self.spec.slot_bytes).ok_or(Overflow {})?)
    }

    pub(super) fn report(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<IAudits::reportReturn> {
        self.rules()?;
        let record = self.storage.miners.at(ledger, &miner)?;
        if record.roll.get(ledger)?.live == 0 {
            return Err(IAudits::NotAudited { miner }.into());
        }
        self.book(ledger, miner, &record)?;
        Ok(IAudits::reportReturn {})
    }

    /// Fines the rounds whose time to commit has passed without a commitment.
    pub(super) fn book(&self, ledger: &mut dyn Ledger, miner: u32, record: &MinerRecord) -> Result<Standing> {
        let clock = self.storage.clock.get(ledger)?;
        let is_taking = Stage::from_u8(clock.stage) == Stage::Commit;
        let closed = if is_taking { clock.number.saturating_sub(1) } else { clock.number };
        let standing = record.standing.get(ledger)?;
        let missed = closed.saturating_sub(standing.booked);
        if missed == 0 {
            return Ok(standing);
        }
        let in_a_row = standing.missed.saturating_add(u16::try_from(missed).unwrap_or(u16::MAX));
        let booked = Standing { booked: closed, missed: in_a_row, ..standing };
        record.standing.set(ledger, booked)?;
        let silent_rounds = self.rules()?.silent_rounds;
        if standing.missed < silent_rounds && in_a_row >= silent_rounds {
            ledger.call_module(MINERS, &ILotAudits::setSilentCall { miner, silent: true })?;
        }
        if record.roll.get(ledger)?.live > 0 {
            let fine = self.fine_missed(ledger, miner, record, missed)?;
            ledger.emit(&IAudits::Missed { miner, firstRound: standing.booked.plus(1)?, lastRound: closed, fine })?;
        }
        Ok(booked)
    }

    /// As much as the rounds would have brought, up to a part of the collateral for one outage.
    fn fine_missed(&self, ledger: &mut dyn Ledger, miner: u32, record: &MinerRecord, missed: u64) -> Result<U256> {
        let stake = ledger.call_module(MINERS, &ILotAudits::stakeCall { miner })?;
        let per_round = self.round_reward(ledger, stake.lots, stake.lotsFree)?;
        let outage = record.outage.get(ledger)?;
        let fined = U256::from(outage);
        let most = stake.collateral.plus(fined)?.times(U256::from(OUTAGE_PERCENT_MAX))?.div_ceil(U256::from(100));
        let due = per_round.times(U256::from(missed))?.min(most.saturating_sub(fined));
        let taken = self.fine(ledger, miner, due)?;
        record.outage.set(ledger, outage.saturating_add(taken.saturating_to()))?;
        Ok(taken)
    }

    /// Burns collateral, as much as there is.
    pub(super) fn fine(&self, ledger: &mut dyn Ledger, miner: u32, amount: U256) -> Result<U256> {
        if amount.is_zero() {
            return Ok(amount);
        }
        ledger.call_module(MINERS, &ILotAudits::slashCall { miner, amount, to: super::BURNED })
    }
}

/// Refuses what belongs to another stage, or comes late.
pub(super) fn require_stage(ledger: &dyn Ledger, clock: &Clock, round: u64, stage: Stage) -> Result<()> {
    let in_time = ledger.block().timestamp_ms <= clock.deadline_ms;
    if clock.number == round && Stage::from_u8(clock.stage) == stage && in_time {
        Ok(())
    } else {
        Err(IAudits::WrongStage { round: clock.number, stage: clock.stage }.into())
    }
}
