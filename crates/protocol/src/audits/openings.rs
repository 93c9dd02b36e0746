//! Find what a sample asks for, check openings and pay for them.

use super::{
    Audits,
    commitments::require_stage,
    lots::Post,
    record::{MinerRecord, Sampled, Stage},
};
use crate::{
    Checked, Ledger, Result,
    internal::{ILotAudits, IMembers},
};
use alloy_primitives::B256;
use proofs::{
    opening::{OPENING_BYTES_MAX, Shown, Target, verify},
    round::{Entry, Round},
    sample::{Aim, Sample, TRIES_MAX},
};
use types::abi::{IAudits, MINERS, VOLUMES};

/// Hashes of 64 bytes that checking an opening takes at most on any specification.
const HASHES_MAX: u64 = 160;

/// Whom a sample asks for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub miner: u32,
    pub record: MinerRecord,
    pub round: Round,
    /// The lot's number in the network.
    pub lot: u32,
    pub post: Post,
    pub target: Target,
    /// Whether the answer earns: additional samples and those of fresh stripes do not, or they would distort the pay by
    /// space.
    pub earns: bool,
}

impl Audits {
    pub(super) fn open(&self, ledger: &mut dyn Ledger, call: IAudits::openCall) -> Result<IAudits::openReturn> {
        self.rules()?;
        self.tally_lane(ledger, &call)?;
        let IAudits::openCall { round, sample, opening } = call;
        let clock = self.storage.clock.get(ledger)?;
        require_stage(ledger, &clock, round, Stage::Open)?;
        let sampled = self.storage.sampled.get(ledger)?;
        let asked = self.asked_by(ledger, &sampled, sample)?.ok_or(IAudits::UnknownSample { sample })?;
        if !self.storage.opened.insert(ledger, sample.into())? {
            return Err(IAudits::AlreadyOpened { sample }.into());
        }
        if asked.record.standing.get(ledger)?.committed != round {
            return Err(IAudits::NotCommitted { miner: asked.miner }.into());
        }
        let commitment = asked.record.commitment.get(ledger)?;
        let shown = self.check(ledger, &asked, &commitment, &opening)?;
        let reward = self.reward(ledger, &sampled, &asked, &shown)?;
        self.storage.sampled.set(ledger, Sampled { opened: sampled.opened.plus(1)?, ..sampled })?;
        ledger.emit(&IAudits::Opened { round, miner: asked.miner, sample, reward })?;
        Ok(IAudits::openReturn {})
    }

    /// Checks an opening, with what only the state knows of its stripe.
    fn check(&self, ledger: &mut dyn Ledger, asked: &Asked, commitment: &B256, opening: &[u8]) -> Result<Shown> {
        ledger.charge_hashes(HASHES_MAX, 64)?;
        ledger.charge_hashes(2, opening.len().min(OPENING_BYTES_MAX))?;
        let shown = verify(&asked.round, &asked.post.duty, commitment, &asked.target, opening)
            .map_err(|error| IAudits::InvalidOpening { reason: error.to_string() })?;
        let (stripe, is_owed) = match shown {
            Shown::Stripe(stripe, _) => (stripe, true),
            Shown::NotOwed(stripe) => (stripe, false),
            Shown::Absent | Shown::Unfilled | Shown::Idle => return Ok(shown),
        };
        let seat = asked.post.duty.service.map_or(u16::MAX, |service| service.seat);
        self.require_owed(ledger, asked.post.volume, stripe, seat, is_owed)?;
        Ok(shown)
    }

    pub(super) fn require_owed(
        &self,
        ledger: &mut dyn Ledger,
        volume: u32,
        stripe: u32,
        seat: u16,
        is_owed: bool,
    ) -> Result<()> {
        if ledger.call_module(VOLUMES, &IMembers::owesCall { volume, stripe, seat })? != is_owed {
            let reason = if is_owed { "the seat does not owe this stripe" } else { "the seat owes this stripe" };
            return Err(IAudits::InvalidOpening { reason: reason.into() }.into());
        }
        Ok(())
    }

    /// What a sample asks for; nothing if it hit nobody, or something that nobody owes.
    pub(super) fn asked_by(&self, ledger: &mut dyn Ledger, sampled: &Sampled, number: u32) -> Result<Option<Asked>> {
        if number >= sampled.samples {
            return Ok(None);
        }
        let sample = Sample { beacon: self.storage.beacon_b.get(ledger)?, number };
        ledger.charge_hashes(4, 64)?;
        let Some((miner, is_drawn)) = self.sampled_miner(ledger, sampled, &sample)? else { return Ok(None) };
        let record = self.storage.miners.at(ledger, &miner)?;
        let round = self.asked(ledger, miner, &record)?;
        if round.lots == 0 {
            return Ok(None);
        }
        let aim = sample.aim();
        let mut index = sample.entry(&round, aim);
        let Some(mut found) = self.at_entry(ledger, &record, &round, &sample, index)? else { return Ok(None) };
        if aim == Aim::Fresh && found.2.is_none() {
            index = sample.entry(&round, Aim::Light);
            let Some(other) = self.at_entry(ledger, &record, &round, &sample, index)? else { return Ok(None) };
            found = other;
        }
        let (lot, post, target) = found;
        let earns = is_drawn && aim != Aim::Fresh;
        Ok(target.map(|target| Asked { miner, record, round, lot, post, target, earns }))
    }

    /// The miner that a sample asks, and whether the draw found it or its past faults.
    fn sampled_miner(
        &self,
        ledger: &mut dyn Ledger,
        sampled: &Sampled,
        sample: &Sample,
    ) -> Result<Option<(u32, bool)>> {
        let rules = self.rules()?;
        let drawn = sampled.samples.minus(sampled.watched.times(rules.watch_samples)?)?;
        if let Some(extra) = sample.number.checked_sub(drawn) {
            let place = extra.checked_div(rules.watch_samples).unwrap_or_default();
            let place = sampled.watch_first.plus(place.into())?;
            return Ok(Some((self.storage.watch.at(ledger, &place)?.get(ledger)?, false)));
        }
        let round = self.storage.clock.get(ledger)?.number;
        for attempt in 0..TRIES_MAX {
            ledger.charge_hashes(1, 64)?;
            let lot = sample.lot(attempt, sampled.lots);
            let place = ledger.call_module(MINERS, &ILotAudits::whereaboutsCall { lot, round })?;
            if place.live {
                return Ok(Some((place.miner, true)));
            }
        }
        Ok(None)
    }

    /// Lot, duty and target of an entry; no target if it owes nothing.
    fn at_entry(
        &self,
        ledger: &mut dyn Ledger,
        record: &MinerRecord,
        round: &Round,
        sample: &Sample,
        index: u64,
    ) -> Result<Option<(u32, Post, Option<Target>)>> {
        ledger.charge_hashes(16, 64)?;
        let number = match round.entry(index) {
            Some(Entry::Deep(place) | Entry::Light(place)) => place.lot,
            Some(Entry::Fresh(lot)) => lot,
            None => return Ok(None),
        };
        let Some(lot) = self.lot(ledger, record, number)? else { return Ok(None) };
        let post = self.post(ledger, lot)?;
        let chunk = sample.chunk(round.shape.slot_chunks());
        Ok(Some((lot, post, Target::new(round, |_| post.duty, index, chunk))))
    }

    /// Whether the miner declared an entry lost in its commitment.
    pub(super) fn is_declared(&self, ledger: &mut dyn Ledger, asked: &Asked) -> Result<bool> {
        let declared = asked.record.standing.get(ledger)?.declared;
        let lost = asked.record.declared.load(ledger, declared.into())?;
        Ok(lost.iter().any(|entry| u64::from(*entry) == asked.target.index))
    }
}
