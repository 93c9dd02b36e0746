//! Tell audits where lots are, and keep what is at stake until a round is over.
//!
//! # Design
//! Nobody can stop a lot from leaving its seat: a draw replaces it, a successor has its column. So a round that holds its
//! miner goes on asking it, and what comes back of its collateral waits for the verdicts. Who could take it out before
//! would leave when the samples are bad.

use super::{
    Miners,
    record::{Lot, Parting},
};
use crate::{
    Checked, Ledger, Result,
    internal::{ILotAudits, IRounds},
};
use alloy_primitives::U256;
use types::abi::{AUDITS, IMiners, IModule::Overflow};

impl Miners {
    pub(super) fn whereabouts(
        &self,
        ledger: &mut dyn Ledger,
        call: &ILotAudits::whereaboutsCall,
    ) -> Result<ILotAudits::whereaboutsReturn> {
        let ILotAudits::whereaboutsCall { lot, round } = *call;
        let Lot { miner, volume, seat, gone, held, .. } = self.storage.lots.at(ledger, &lot)?.get(ledger)?;
        if miner == 0 {
            return Err(IMiners::UnknownLot { lot }.into());
        }
        let live = match gone {
            true => held != 0 && held == round,
            false => volume != 0 || !self.known(ledger, miner)?.identity.get(ledger)?.retired,
        };
        Ok(ILotAudits::whereaboutsReturn { miner, volume, seat, live })
    }

    pub(super) fn stake(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<ILotAudits::stakeReturn> {
        let record = self.known(ledger, miner)?;
        let tally = record.tally.get(ledger)?;
        Ok(ILotAudits::stakeReturn {
            operator: record.identity.get(ledger)?.operator,
            lots: tally.lots,
            lotsFree: tally.free,
            collateral: record.collateral.get(ledger)?,
        })
    }

    pub(super) fn slash(&self, ledger: &mut dyn Ledger, call: ILotAudits::slashCall) -> Result<U256> {
        let record = self.known(ledger, call.miner)?;
        let collateral = record.collateral.get(ledger)?;
        let first = collateral.min(call.amount);
        record.collateral.set(ledger, collateral.minus(first)?)?;
        let parting = record.parting.get(ledger)?;
        let rest = U256::from(parting.amount).min(call.amount.minus(first)?);
        if !rest.is_zero() {
            let amount = parting.amount.minus(rest.saturating_to::<u128>())?;
            record.parting.set(ledger, Parting { amount, ..parting })?;
        }
        let taken = first.plus(rest)?;
        ledger.pay(call.to, taken)?;
        Ok(taken)
    }

    /// Takes lots out of audits; says which round still holds them, and until the end of which one their collateral has to
    /// stay: zero if none.
    pub(super) fn leave_rounds(&self, ledger: &mut dyn Ledger, miner: u32, lots: u32) -> Result<IRounds::leaveReturn> {
        let none = IRounds::leaveReturn { held: 0, until: 0 };
        if self.is_audited { ledger.call_module(AUDITS, &IRounds::leaveCall { miner, lots }) } else { Ok(none) }
    }

    /// Returns collateral to its operator: now, or when the round is over.
    pub(super) fn give_back(&self, ledger: &mut dyn Ledger, miner: u32, amount: U256, until: u64) -> Result<()> {
        let record = self.known(ledger, miner)?;
        if until == 0 {
            let operator = record.identity.get(ledger)?.operator;
            return ledger.pay(operator, amount);
        }
        let before = record.parting.get(ledger)?;
        let amount = before.amount.plus(u128::try_from(amount).map_err(|_| Overflow {})?)?;
        Ok(record.parting.set(ledger, Parting { amount, round: until.max(before.round) })?)
    }

    pub(super) fn withdraw(&self, ledger: &mut dyn Ledger) -> Result<U256> {
        let (miner, record) = self.own(ledger)?;
        let Parting { amount, round } = record.parting.get(ledger)?;
        if amount == 0 {
            return Err(IMiners::NothingToWithdraw { miner }.into());
        }
        if round > ledger.call_module(AUDITS, &IRounds::closedCall {})? {
            return Err(IMiners::RoundPending {}.into());
        }
        record.parting.set(ledger, Parting::default())?;
        let amount = U256::from(amount);
        ledger.pay(ledger.caller(), amount)?;
        ledger.emit(&IMiners::Withdrawn { miner, amount })?;
        Ok(amount)
    }
}
