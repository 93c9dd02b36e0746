//! Answer what people and miners ask about rounds.

use super::{Audits, lots::Post, record::Stage, rewards::Prices};
use crate::{Checked, Ledger, Result, internal::IMembers};
use alloy_primitives::U256;
use proofs::response::Duty;
use types::abi::{IAudits, VOLUMES};

impl Audits {
    pub(super) fn round(&self, ledger: &mut dyn Ledger) -> Result<IAudits::Round> {
        let clock = self.storage.clock.get(ledger)?;
        let sampled = self.storage.sampled.get(ledger)?;
        Ok(IAudits::Round {
            number: clock.number,
            stage: clock.stage,
            deadlineMs: clock.deadline_ms,
            beaconA: self.storage.beacon_a.get(ledger)?,
            beaconB: self.storage.beacon_b.get(ledger)?,
            lots: sampled.lots,
            lotsLive: sampled.live,
            samples: sampled.samples,
            settled: sampled.cursor,
        })
    }

    pub(super) fn standing(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<IAudits::Standing> {
        let record = self.storage.miners.at(ledger, &miner)?;
        let standing = record.standing.get(ledger)?;
        let (earned, vested) = self.vest(ledger, self.rules()?, &record)?;
        Ok(IAudits::Standing {
            lots: self.lots_owed(ledger, &record)?,
            lotsLive: record.roll.get(ledger)?.live,
            committed: standing.committed,
            commitment: record.commitment.get(ledger)?,
            booked: standing.booked,
            faulted: standing.faulted,
            faults: standing.faults,
            watchedRounds: standing.watched,
            vesting: U256::from(earned.current.plus(earned.previous)?),
            claimable: U256::from(vested.amount),
            missedRounds: standing.missed,
        })
    }

    pub(super) fn sample(&self, ledger: &mut dyn Ledger, number: u32) -> Result<IAudits::Sample> {
        let clock = self.storage.clock.get(ledger)?;
        let sampled = self.storage.sampled.get(ledger)?;
        let is_drawn = Stage::from_u8(clock.stage) == Stage::Open && number < sampled.samples;
        if !is_drawn {
            return Err(IAudits::UnknownSample { sample: number }.into());
        }
        let Some(asked) = self.asked_by(ledger, &sampled, number)? else { return Ok(IAudits::Sample::default()) };
        Ok(IAudits::Sample {
            miner: asked.miner,
            lot: asked.lot,
            slot: asked.target.place.slot,
            chunk: asked.target.chunk,
            entry: asked.target.index,
            deep: asked.target.is_deep,
            answered: self.storage.opened.contains(ledger, number.into())?,
        })
    }

    pub(super) fn prices(&self, ledger: &mut dyn Ledger) -> Result<IAudits::pricesReturn> {
        let rules = self.rules()?;
        let live = self.storage.sampled.get(ledger)?.live;
        let Prices { fee, emission, .. } = self.price(rules, live)?;
        Ok(IAudits::pricesReturn { fee, emission, fine: self.fault_price(rules, live)? })
    }

    pub(super) fn duty_of(&self, ledger: &mut dyn Ledger, lot: u32) -> Result<IAudits::Duty> {
        let Post { duty: Duty { service, idle_root }, volume, .. } = self.post(ledger, lot)?;
        let none = IAudits::Duty { idleRoot: idle_root.unwrap_or_default(), ..IAudits::Duty::default() };
        Ok(service.map_or(none.clone(), |service| IAudits::Duty {
            volume,
            seat: service.seat,
            columnBytes: service.column_bytes,
            stripeCount: service.stripe_count,
            stripesRoot: service.stripes_root,
            freshFrom: service.fresh_from,
            gapFrom: service.gap_from,
            gapTo: service.gap_to,
            ..none
        }))
    }

    pub(super) fn owes(&self, ledger: &mut dyn Ledger, call: IAudits::owesCall) -> Result<bool> {
        let IAudits::owesCall { volume, stripe, seat } = call;
        ledger.call_module(VOLUMES, &IMembers::owesCall { volume, stripe, seat })
    }
}
