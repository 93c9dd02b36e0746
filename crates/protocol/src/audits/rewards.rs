//! Pay for good openings, price bad ones, and let pay vest.
//!
//! # Design
//! A sample falls on every byte of every live lot alike, so paying for each good opening pays by audited space, and no
//! list of who holds how much is needed. Three of four samples earn. One that shows
//! - a chunk of a stripe earns the fee of the bytes that the sample stands for, and emission, never more than the fee,
//!   where the volume's policy earns it;
//! - idle content earns a nineteenth of the emission, on the same condition; free lots meet it;
//! - zeros earns nothing.
//!
//! Since pay is per opening, "twenty times the reward per opening" is a constant factor, whatever the sampling rate.

use super::{
    Audits,
    openings::Asked,
    record::{Earned, MinerRecord, Sampled, Vested},
};
use crate::{Checked, Ledger, Result, internal::IFees, territories::DAY_MS};
use alloy_primitives::U256;
use proofs::opening::Shown;
use types::{
    abi::{IAudits, IMiners, MINERS, TERRITORIES},
    spec::AuditSpec,
};

/// Emission for service over emission for idle space: 95 to 5.
const SERVICE_WEIGHT: u64 = 19;

/// What an opening earns at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prices {
    /// Paid by who stores, for a chunk of a stripe.
    pub fee: U256,
    /// On top of it, where the policy earns it.
    pub emission: U256,
    /// For idle content.
    pub idle: U256,
}

/// Samples that earn, on average.
fn earning(rules: &AuditSpec) -> U256 {
    U256::from((u64::from(rules.samples).saturating_mul(3) / 4).max(1))
}

impl Audits {
    pub(super) fn price(&self, rules: &AuditSpec, live: u32) -> Result<Prices> {
        let bytes = U256::from(self.spec.lot_bytes()).times(U256::from(live))?;
        let byte_ms = bytes.times(U256::from(rules.round_ms))?.times(U256::from(self.spec.price_per_byte_day))?;
        let per_round = byte_ms.checked_div(U256::from(DAY_MS)).unwrap_or_default();
        let samples = earning(rules);
        let fee = per_round.checked_div(samples).unwrap_or_default();
        let emission = rules.emission_per_round.checked_div(samples).unwrap_or_default();
        let idle = emission.checked_div(U256::from(SERVICE_WEIGHT)).unwrap_or_default();
        Ok(Prices { fee, emission: emission.min(fee), idle })
    }

    /// Pays for an opening; returns what the miner will have of it.
    pub(super) fn reward(
        &self,
        ledger: &mut dyn Ledger,
        sampled: &Sampled,
        asked: &Asked,
        shown: &Shown,
    ) -> Result<U256> {
        if !asked.earns {
            return Ok(U256::ZERO);
        }
        let rules = self.rules()?;
        let prices = self.price(rules, sampled.live)?;
        let earned = match shown {
            Shown::NotOwed(_) | Shown::Absent | Shown::Unfilled => return Ok(U256::ZERO),
            Shown::Idle => self.emit_reward(ledger, asked, prices.idle)?,
            Shown::Stripe(..) => {
                let fee = ledger.call_module(TERRITORIES, &IFees::payOutCall { amount: prices.fee })?;
                let burned = fee.times(U256::from(rules.burn_percent))?.div_ceil(U256::from(100));
                ledger.pay(super::BURNED, burned)?;
                let emission = self.emit_reward(ledger, asked, prices.emission.min(fee))?;
                fee.minus(burned)?.plus(emission)?
            }
        };
        self.credit(ledger, rules, &asked.record, earned)?;
        Ok(earned)
    }

    /// Takes emission out of the reserve, as much as there is; nothing for a volume whose policy earns none.
    fn emit_reward(&self, ledger: &mut dyn Ledger, asked: &Asked, amount: U256) -> Result<U256> {
        if !asked.post.is_subsidised {
            return Ok(U256::ZERO);
        }
        let reserve = self.storage.reserve.get(ledger)?;
        let taken = reserve.min(amount);
        self.storage.reserve.set(ledger, reserve.minus(taken)?)?;
        Ok(taken)
    }

    /// Adds to what a miner earned in this era.
    pub(super) fn credit(
        &self,
        ledger: &mut dyn Ledger,
        rules: &AuditSpec,
        record: &MinerRecord,
        amount: U256,
    ) -> Result<()> {
        let amount = u128::try_from(amount).map_err(|_| types::abi::IModule::Overflow {})?;
        let (earned, vested) = self.vest(ledger, rules, record)?;
        record.vested.set(ledger, vested)?;
        Ok(record.earned.set(ledger, Earned { current: earned.current.plus(amount)?, ..earned })?)
    }

    /// What is earned and vested by now. An era's pay may be claimed when the era after it is over.
    pub(super) fn vest(
        &self,
        ledger: &mut dyn Ledger,
        rules: &AuditSpec,
        record: &MinerRecord,
    ) -> Result<(Earned, Vested)> {
        let (earned, vested) = (record.earned.get(ledger)?, record.vested.get(ledger)?);
        let era = ledger.block().timestamp_ms.checked_div(rules.vest_ms).unwrap_or_default();
        let (earned, due) = match era.saturating_sub(vested.era) {
            0 => return Ok((earned, vested)),
            1 => (Earned { current: 0, previous: earned.current }, earned.previous),
            _ => (Earned::default(), earned.previous.plus(earned.current)?),
        };
        Ok((earned, Vested { amount: vested.amount.plus(due)?, era }))
    }

    pub(super) fn claim(&self, ledger: &mut dyn Ledger) -> Result<U256> {
        let rules = self.rules()?;
        let operator = ledger.caller();
        let miner = ledger.call_module(MINERS, &IMiners::minerOfCall { operator })?;
        if miner == 0 {
            return Err(IAudits::NotAudited { miner }.into());
        }
        let record = self.storage.miners.at(ledger, &miner)?;
        self.book(ledger, miner, &record)?;
        let (earned, vested) = self.vest(ledger, rules, &record)?;
        let amount = U256::from(vested.amount);
        record.earned.set(ledger, earned)?;
        record.vested.set(ledger, Vested { amount: 0, ..vested })?;
        ledger.pay(operator, amount)?;
        ledger.emit(&IAudits::Claimed { miner, amount })?;
        Ok(amount)
    }

    pub(super) fn fund(&self, ledger: &mut dyn Ledger) -> Result<IAudits::fundReturn> {
        let (from, amount) = (ledger.caller(), ledger.value());
        let reserve = self.storage.reserve.get(ledger)?.plus(amount)?;
        self.storage.reserve.set(ledger, reserve)?;
        ledger.emit(&IAudits::Funded { from, amount })?;
        Ok(IAudits::fundReturn {})
    }

    /// The fine for a bad opening.
    pub(super) fn fault_price(&self, rules: &AuditSpec, live: u32) -> Result<U256> {
        let Prices { fee, emission, idle } = self.price(rules, live)?;
        fee.plus(emission)?.max(idle).times(U256::from(rules.fine_factor))
    }

    /// What a round brings to a miner with so many lots on average, if those in volumes are full.
    pub(super) fn round_reward(&self, ledger: &mut dyn Ledger, lots: u32, free: u32) -> Result<U256> {
        let rules = self.rules()?;
        let live = self.storage.census.get(ledger)?.live.max(1);
        let Prices { fee, emission, idle } = self.price(rules, live)?;
        let full = fee.plus(emission)?.times(U256::from(lots.saturating_sub(free)))?;
        let all = full.plus(idle.times(U256::from(free))?)?.times(earning(rules))?;
        Ok(all.checked_div(U256::from(live)).unwrap_or_default())
    }
}
