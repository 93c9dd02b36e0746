//! Say what was owed at beacon A, however much has changed since.
//!
//! # Design
//! Nothing is done when a round opens but to count it. The first change of a volume after that keeps what it changes, with
//! the round's number: the length of the column and the root of the log, each word of released stripes, the seats that
//! missed a stripe, and who holds a seat. Whoever asks takes what was kept if it bears the present round's number, and
//! what stands now otherwise.

use super::{
    Volumes,
    record::{Draw, Marks, Snapshot, Volume, VolumeRecord},
    tenure::Duty,
};
use crate::{
    BlockFacts, Checked, Error, Ledger, Result,
    internal::{IBlockHook, IMembers, IRounds},
    storage::WORD_BITS,
};
use alloy_primitives::B256;
use types::{
    abi::{AUDITS, IVolumes},
    merkle::{EMPTY, Frontier, LOG_DEPTH},
};

impl Volumes {
    /// Lets the round take its step, and remembers what it waits for.
    pub(super) fn begin_round(&self, ledger: &mut dyn Ledger, call: IBlockHook::beginBlockCall) -> Result<()> {
        if self.spec.audits.is_none() {
            return Ok(());
        }
        let IBlockHook::beginBlockCall { epoch, view, seed } = call;
        let step = match ledger.call_module(AUDITS, &IRounds::beginRoundCall { epoch, view, seed }) {
            Ok(step) => step,
            Err(Error::Fault(fault)) => return Err(fault.into()),
            // Formation goes on whatever audits say.
            Err(Error::Revert(_)) => return Ok(()),
        };
        if self.storage.round.get(ledger)? != step.round {
            self.storage.round.set(ledger, step.round)?;
        }
        let draw = self.storage.draw.get(ledger)?;
        let BlockFacts { epoch, .. } = ledger.block();
        // Formation renews its own target when the epoch ends; both are of this epoch now.
        let epoch = if draw.pending || step.target != 0 { epoch } else { draw.epoch };
        let next = Draw { epoch, audit_view: step.target, ..draw };
        if next != draw {
            self.storage.draw.set(ledger, next)?;
        }
        Ok(())
    }

    /// A volume that is formed during a round owed nothing at its beacon A.
    pub(super) fn start_snapshot(&self, ledger: &mut dyn Ledger, record: &VolumeRecord) -> Result<()> {
        if let Some(audits) = &self.spec.audits {
            let round = self.storage.round.get(ledger)?;
            record.snapshot.set(ledger, Snapshot { round, ..Snapshot::default() })?;
            record.snapshot_root.set(ledger, empty_log())?;
            record.marks.set(ledger, Marks { day: day(round, audits.fresh_rounds), ..Marks::default() })?;
        }
        Ok(())
    }

    /// Keeps what the log was, before its first change in a round.
    pub(super) fn keep_snapshot(&self, ledger: &mut dyn Ledger, volume: &Volume, frontier: &Frontier) -> Result<()> {
        let Some(audits) = &self.spec.audits else { return Ok(()) };
        let round = self.storage.round.get(ledger)?;
        let record = &volume.record;
        if record.snapshot.get(ledger)?.round == round {
            return Ok(());
        }
        let (column_bytes, stripe_count) = (volume.head.column_bytes, volume.head.stripe_count);
        ledger.charge_hashes(LOG_DEPTH as u64, 64)?;
        record.snapshot.set(ledger, Snapshot { round, column_bytes, stripe_count })?;
        record.snapshot_root.set(ledger, frontier.root())?;
        let marks = record.marks.get(ledger)?;
        let day = day(round, audits.fresh_rounds);
        if marks.day < day {
            let before = if marks.day.plus(1)? == day { marks.start } else { column_bytes };
            record.marks.set(ledger, Marks { day, start: column_bytes, before })?;
        }
        Ok(())
    }

    /// Keeps which stripes were released, before the first change of that word in a round.
    pub(super) fn keep_released(&self, ledger: &mut dyn Ledger, volume: &Volume, index: u32) -> Result<()> {
        if self.spec.audits.is_none() {
            return Ok(());
        }
        let round = self.storage.round.get(ledger)?;
        let word = u64::from(index) / WORD_BITS;
        let changed = volume.record.released_round.at(ledger, &word)?;
        if changed.get(ledger)? != round {
            let before = volume.record.released.word(ledger, index.into())?;
            changed.set(ledger, round)?;
            volume.record.released_before.at(ledger, &word)?.set(ledger, before)?;
        }
        Ok(())
    }

    /// Keeps which seats did not have a stripe, before the first of them takes it on in a round.
    pub(super) fn keep_missing(&self, ledger: &mut dyn Ledger, volume: &Volume, index: u32) -> Result<()> {
        if self.spec.audits.is_none() {
            return Ok(());
        }
        let round = self.storage.round.get(ledger)?;
        let changed = volume.record.missing_round.at(ledger, &index)?;
        if changed.get(ledger)? != round {
            let before = volume.record.missing.at(ledger, &index)?.get(ledger)?;
            changed.set(ledger, round)?;
            volume.record.missing_before.at(ledger, &index)?.set(ledger, before)?;
        }
        Ok(())
    }

    pub(super) fn audited(
        &self,
        ledger: &mut dyn Ledger,
        call: &IMembers::auditedCall,
    ) -> Result<IMembers::auditedReturn> {
        let chair = self.chair(ledger, call.volume, call.seat)?;
        let (tenure, gap_from, gap_to) = match self.duty(ledger, &chair, call.lot)? {
            Duty::Drawn => (0, 0, 0),
            Duty::Column { gap_from, gap_to } => (1, gap_from, gap_to),
            Duty::Nothing => (2, 0, 0),
        };
        let volume = chair.volume;
        let round = self.storage.round.get(ledger)?;
        let kept = volume.record.snapshot.get(ledger)?;
        let (column_bytes, stripe_count, root) = if kept.round == round && round > 0 {
            (kept.column_bytes, kept.stripe_count, volume.record.snapshot_root.get(ledger)?)
        } else {
            ledger.charge_hashes(LOG_DEPTH as u64, 64)?;
            (volume.head.column_bytes, volume.head.stripe_count, volume.frontier(ledger)?.root())
        };
        let marks = volume.record.marks.get(ledger)?;
        let day = day(round, self.spec.audits.as_ref().map_or(1, |audits| audits.fresh_rounds));
        // Nothing was appended since the day before began, unless the marks say so.
        let fresh_from = match day.saturating_sub(marks.day) {
            0 => marks.before,
            1 => marks.start,
            _ => column_bytes,
        };
        Ok(IMembers::auditedReturn {
            tenure,
            gapFrom: gap_from,
            gapTo: gap_to,
            profile: volume.head.profile,
            subsidised: volume.head.subsidised,
            columnBytes: column_bytes,
            stripeCount: stripe_count,
            stripesRoot: root,
            freshFrom: fresh_from,
        })
    }

    pub(super) fn owes(&self, ledger: &mut dyn Ledger, call: IMembers::owesCall) -> Result<bool> {
        let IMembers::owesCall { volume, stripe, seat } = call;
        let volume = self.storage.volume(ledger, volume)?;
        let round = self.storage.round.get(ledger)?;
        let word = u64::from(stripe) / WORD_BITS;
        let released = if round > 0 && volume.record.released_round.at(ledger, &word)?.get(ledger)? == round {
            volume.record.released_before.at(ledger, &word)?.get(ledger)?
        } else {
            volume.record.released.word(ledger, stripe.into())?
        };
        let is_released = released.bit((u64::from(stripe) % WORD_BITS) as usize);
        let missing = if round > 0 && volume.record.missing_round.at(ledger, &stripe)?.get(ledger)? == round {
            volume.record.missing_before.at(ledger, &stripe)?.get(ledger)?
        } else {
            volume.record.missing.at(ledger, &stripe)?.get(ledger)?
        };
        Ok(!is_released && !missing.bit(seat.into()) && seat < volume.seats())
    }

    pub(super) fn member(&self, ledger: &mut dyn Ledger, call: IMembers::memberCall) -> Result<IMembers::memberReturn> {
        let IMembers::memberCall { volume: id, seat } = call;
        let volume = self.storage.volume(ledger, id)?;
        let seats = usize::from(volume.seats());
        let lots = volume.record.lots.load(ledger, seats)?;
        let miners = volume.record.miners.load(ledger, seats)?;
        let seat = usize::from(seat);
        let found = lots.get(seat).zip(miners.get(seat));
        let (lot, miner) = found.ok_or(IVolumes::UnknownSeat { volume: id, seat: call.seat })?;
        Ok(IMembers::memberReturn { lot: *lot, miner: *miner })
    }
}

fn day(round: u64, fresh_rounds: u32) -> u64 {
    // From 1 on: no mark is of day 0.
    round.checked_div(fresh_rounds.into()).unwrap_or_default().saturating_add(1)
}

fn empty_log() -> B256 {
    EMPTY.last().copied().unwrap_or_default()
}
