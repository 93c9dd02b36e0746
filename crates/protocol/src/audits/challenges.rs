//! Have a named member show a named stripe, for a fee.

use super::{
    Audits,
    commitments::require_stage,
    record::{ChallengeRecord, Load, Span, Stage, Terms},
};
use crate::{
    Checked, Ledger, Result,
    internal::{ILotAudits, IMembers},
};
use alloy_primitives::U256;
use proofs::{
    chunk::{self, CHUNK_BYTES},
    opening::{Content, OPENING_BYTES_MAX, Shown, Stripe},
    response::{Owed, Service},
    sample::challenged_chunk,
};
use types::abi::{IAudits, MINERS, VOLUMES};

/// Most directed challenges of one miner in a round.
pub const CHALLENGES_MAX: u32 = 64;
/// Part of the fine that the challenger gets.
const CHALLENGER_DIVISOR: u64 = 10;

/// How a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ChallengeState {
    /// Nobody has answered.
    Open = 1,
    /// The member showed the chunk.
    Answered = 2,
    /// It did not.
    Failed = 3,
    /// The member owes it no more, or is a member no more.
    Void = 4,
}

impl Audits {
    pub(super) fn challenge(&self, ledger: &mut dyn Ledger, call: IAudits::challengeCall) -> Result<u64> {
        let IAudits::challengeCall { volume, seat, stripe: index, leaf, path } = call;
        let rules = self.rules()?;
        ledger.collect(rules.challenge_fee, |due, paid| IAudits::Underpaid { due, paid })?;
        let stripe = Stripe { index, leaf: (&leaf).into(), path };
        let member = ledger.call_module(VOLUMES, &IMembers::memberCall { volume, seat })?;
        let service = self.service(ledger, volume, seat, member.lot)?.ok_or(IAudits::InvalidChallenge {})?;
        ledger.charge_hashes(24, 64)?;
        stripe.verify(&service, leaf.offset).map_err(|_| IAudits::InvalidChallenge {})?;
        let is_owed = ledger.call_module(VOLUMES, &IMembers::owesCall { volume, stripe: index, seat })?;
        if !is_owed || service.is_absent(&stripe.leaf) {
            return Err(IAudits::InvalidChallenge {}.into());
        }
        let round = self.next_drawn(ledger)?;
        self.count_challenge(ledger, member.miner, round)?;

        let id = self.storage.challenge_count.get(ledger)?.plus(1)?;
        self.storage.challenge_count.set(ledger, id)?;
        let record = self.storage.challenges.at(ledger, &id)?;
        let (miner, lot, state) = (member.miner, member.lot, ChallengeState::Open as u8);
        record.terms.set(ledger, Terms { volume, stripe: index, seat, miner, round, state, lot })?;
        record.span.set(ledger, Span { offset: leaf.offset, fragment_bytes: leaf.fragmentBytes })?;
        let challenger = ledger.caller();
        record.challenger.set(ledger, challenger)?;
        ledger.emit(&IAudits::Challenged { challenge: id, miner, volume, stripe: index, seat, round })?;
        Ok(id)
    }

    /// The first round whose beacon B nobody can know yet.
    fn next_drawn(&self, ledger: &mut dyn Ledger) -> Result<u64> {
        let clock = self.storage.clock.get(ledger)?;
        match Stage::from_u8(clock.stage) {
            Stage::Commit => Ok(clock.number),
            _ => clock.number.plus(1),
        }
    }

    fn count_challenge(&self, ledger: &mut dyn Ledger, miner: u32, round: u64) -> Result<()> {
        let slot = self.storage.miners.at(ledger, &miner)?.load;
        let load = slot.get(ledger)?;
        let before = if load.round == round { load.challenges } else { 0 };
        if before >= CHALLENGES_MAX {
            return Err(IAudits::InvalidChallenge {}.into());
        }
        Ok(slot.set(ledger, Load { round, challenges: before.plus(1)?, ..load })?)
    }

    pub(super) fn answer(&self, ledger: &mut dyn Ledger, call: IAudits::answerCall) -> Result<IAudits::answerReturn> {
        self.tally_lane(ledger, &call)?;
        let IAudits::answerCall { challenge: id, content } = call;
        let rules = self.rules()?;
        let (record, terms) = self.pending(ledger, id)?;
        let clock = self.storage.clock.get(ledger)?;
        require_stage(ledger, &clock, terms.round, Stage::Open)?;
        let Terms { volume, stripe, seat, miner, lot, .. } = terms;
        let service = self.service(ledger, volume, seat, lot)?.ok_or(IAudits::InvalidChallenge {})?;
        let shown = self.check_content(ledger, id, &record, &service, &content)?;
        if !matches!(shown, Shown::Stripe(index, _) if index == stripe) {
            return Err(IAudits::InvalidOpening { reason: "another stripe was asked for".into() }.into());
        }
        record.terms.set(ledger, Terms { state: ChallengeState::Answered as u8, ..terms })?;
        let fee = rules.challenge_fee;
        let burned = fee.times(U256::from(rules.burn_percent))?.div_ceil(U256::from(100));
        ledger.pay(super::BURNED, burned)?;
        let miner_record = self.storage.miners.at(ledger, &miner)?;
        self.credit(ledger, rules, &miner_record, fee.minus(burned)?)?;
        let state = ChallengeState::Answered as u8;
        ledger.emit(&IAudits::ChallengeEnded { challenge: id, miner, state, fine: U256::ZERO })?;
        Ok(IAudits::answerReturn {})
    }

    fn check_content(
        &self,
        ledger: &mut dyn Ledger,
        id: u64,
        record: &ChallengeRecord,
        service: &Service,
        content: &[u8],
    ) -> Result<Shown> {
        ledger.charge_hashes(100, 64)?;
        ledger.charge_hashes(2, content.len().min(OPENING_BYTES_MAX))?;
        let shape = self.shape()?;
        let span = record.span.get(ledger)?;
        let beacon = self.storage.beacon_b.get(ledger)?;
        let position =
            span.offset.plus(challenged_chunk(beacon, id, span.fragment_bytes).times(CHUNK_BYTES as u64)?)?;
        let slot = position.checked_div(shape.slot_bytes).and_then(|slot| u32::try_from(slot).ok()).unwrap_or_default();
        let chunk = chunk::count(position.checked_rem(shape.slot_bytes).unwrap_or_default());
        let shown = Content::decode(content)
            .and_then(|content| content.verify(&shape, Owed::Service(*service), slot, chunk))
            .map_err(|error| IAudits::InvalidOpening { reason: error.to_string() })?;
        Ok(shown)
    }

    /// Ends a challenge that nobody answered in its round.
    pub(super) fn expire(&self, ledger: &mut dyn Ledger, id: u64) -> Result<IAudits::expireReturn> {
        let rules = self.rules()?;
        let (record, terms) = self.pending(ledger, id)?;
        let clock = self.storage.clock.get(ledger)?;
        let stage = Stage::from_u8(clock.stage);
        let is_over = match clock.number.checked_sub(terms.round) {
            Some(0) => matches!(stage, Stage::Settle | Stage::Rest | Stage::AwaitA),
            Some(_) => true,
            None => false,
        };
        if !is_over {
            return Err(IAudits::ChallengePending { challenge: id }.into());
        }
        let Terms { volume, stripe, seat, miner, lot, .. } = terms;
        let member = ledger.call_module(VOLUMES, &IMembers::memberCall { volume, seat })?;
        let answers = self.service(ledger, volume, seat, lot)?.is_some();
        let is_owed = ledger.call_module(VOLUMES, &IMembers::owesCall { volume, stripe, seat })?;
        let challenger = record.challenger.get(ledger)?;
        let (state, fine) = if is_owed && answers && member.lot == lot {
            let live = self.storage.census.get(ledger)?.live;
            let due = self.fault_price(rules, live)?;
            let share = due.checked_div(U256::from(CHALLENGER_DIVISOR)).unwrap_or_default();
            let burned = self.fine(ledger, miner, due.minus(share)?)?;
            let given = ledger.call_module(MINERS, &ILotAudits::slashCall { miner, amount: share, to: challenger })?;
            let miner_record = self.storage.miners.at(ledger, &miner)?;
            self.mark_fault(ledger, rules, &clock, miner, &miner_record)?;
            let fine = burned.plus(given)?;
            self.fail_lot(ledger, rules, &clock, lot, Some((volume, seat)), fine < due)?;
            (ChallengeState::Failed, fine)
        } else {
            (ChallengeState::Void, U256::ZERO)
        };
        record.terms.set(ledger, Terms { state: state as u8, ..terms })?;
        ledger.pay(challenger, rules.challenge_fee)?;
        ledger.emit(&IAudits::ChallengeEnded { challenge: id, miner, state: state as u8, fine })?;
        Ok(IAudits::expireReturn {})
    }

    fn pending(&self, ledger: &mut dyn Ledger, id: u64) -> Result<(ChallengeRecord, Terms)> {
        let record = self.storage.challenges.at(ledger, &id)?;
        let terms = record.terms.get(ledger)?;
        if terms.state != ChallengeState::Open as u8 {
            return Err(IAudits::UnknownChallenge { challenge: id }.into());
        }
        Ok((record, terms))
    }

    pub(super) fn challenge_of(&self, ledger: &mut dyn Ledger, id: u64) -> Result<IAudits::Challenge> {
        let record = self.storage.challenges.at(ledger, &id)?;
        let Terms { volume, stripe, seat, miner, round, state, .. } = record.terms.get(ledger)?;
        if state == 0 {
            return Err(IAudits::UnknownChallenge { challenge: id }.into());
        }
        let span = record.span.get(ledger)?;
        Ok(IAudits::Challenge {
            volume,
            stripe,
            seat,
            miner,
            round,
            state,
            offset: span.offset,
            fragmentBytes: span.fragment_bytes,
            challenger: record.challenger.get(ledger)?,
        })
    }
}
