//! Judge what was not opened: so many samples a block, and no more.

use super::{
    Audits,
    openings::Asked,
    record::{Clock, MinerRecord, Queue, Sampled, Stage, Standing},
};
use crate::{Checked, Error, Ledger, Result, storage::WORD_BITS};
use types::{abi::IAudits, spec::AuditSpec};

/// Words of opened samples looked at in one block.
const WORDS_PER_BLOCK_MAX: u32 = 16;

impl Audits {
    pub(super) fn settle(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: Clock) -> Result<Clock> {
        let mut sampled = self.storage.sampled.get(ledger)?;
        let (mut judged, mut words) = (0, 0);
        while sampled.cursor < sampled.samples && judged < rules.settled_per_block_max && words < WORDS_PER_BLOCK_MAX {
            let opened = self.storage.opened.word(ledger, sampled.cursor.into())?;
            let word_end = (u64::from(sampled.cursor) / WORD_BITS).plus(1)?.times(WORD_BITS)?;
            let end = u32::try_from(word_end).unwrap_or(u32::MAX).min(sampled.samples);
            while sampled.cursor < end && judged < rules.settled_per_block_max {
                if !opened.bit((u64::from(sampled.cursor) % WORD_BITS) as usize) {
                    self.judge(ledger, rules, &clock, &sampled)?;
                    judged = judged.plus(1)?;
                }
                sampled.cursor = sampled.cursor.plus(1)?;
            }
            if sampled.cursor == end {
                self.storage.opened.clear_word(ledger, end.saturating_sub(1).into())?;
            }
            words = words.plus(1)?;
        }
        self.storage.sampled.set(ledger, sampled)?;
        if sampled.cursor < sampled.samples {
            return Ok(clock);
        }
        self.rotate_watch(ledger, rules, &clock, &sampled)?;
        ledger.emit(&IAudits::RoundClosed {
            round: clock.number,
            samples: sampled.samples,
            answered: sampled.opened,
        })?;
        Ok(Clock { stage: Stage::Rest as u8, ..clock })
    }

    /// Judges the sample at the cursor. What cannot be judged is passed over: the round must close.
    fn judge(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: &Clock, sampled: &Sampled) -> Result<()> {
        let judged = self
            .asked_by(ledger, sampled, sampled.cursor)
            .and_then(|asked| asked.map_or(Ok(()), |asked| self.condemn(ledger, rules, clock, sampled, &asked)));
        match judged {
            Err(Error::Revert(_)) | Ok(()) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn condemn(
        &self,
        ledger: &mut dyn Ledger,
        rules: &AuditSpec,
        clock: &Clock,
        sampled: &Sampled,
        asked: &Asked,
    ) -> Result<()> {
        let standing = self.book(ledger, asked.miner, &asked.record)?;
        // Without a commitment the whole round was booked as missed.
        if standing.committed != clock.number || self.is_declared(ledger, asked)? {
            return Ok(());
        }
        let fine = self.fine_fault(ledger, rules, sampled, asked.miner)?;
        self.mark_fault(ledger, rules, clock, asked.miner, &asked.record)?;
        Ok(ledger.emit(&IAudits::Faulted {
            round: clock.number,
            miner: asked.miner,
            sample: sampled.cursor,
            lot: asked.lot,
            slot: asked.target.place.slot,
            chunk: asked.target.chunk,
            entry: asked.target.index,
            fine,
        })?)
    }

    /// Counts a fault and puts the miner under watch.
    pub(super) fn mark_fault(
        &self,
        ledger: &mut dyn Ledger,
        rules: &AuditSpec,
        clock: &Clock,
        miner: u32,
        record: &MinerRecord,
    ) -> Result<()> {
        let standing = record.standing.get(ledger)?;
        if standing.watched == 0 && rules.watch_rounds > 0 {
            self.enqueue(ledger, miner)?;
        }
        let faults = standing.faults.saturating_add(1);
        let (faulted, watched) = (clock.number, rules.watch_rounds);
        Ok(record.standing.set(ledger, Standing { faults, faulted, watched, ..standing })?)
    }

    fn enqueue(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<()> {
        let queue = self.storage.queue.get(ledger)?;
        self.storage.watch.at(ledger, &queue.end)?.set(ledger, miner)?;
        Ok(self.storage.queue.set(ledger, Queue { end: queue.end.plus(1)?, ..queue })?)
    }

    /// Moves the miners that were watched in this round to the end of the queue, one round nearer to leaving it if they
    /// answered.
    fn rotate_watch(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: &Clock, sampled: &Sampled) -> Result<()> {
        for _ in 0..sampled.watched {
            let queue = self.storage.queue.get(ledger)?;
            let slot = self.storage.watch.at(ledger, &queue.first)?;
            let miner = slot.get(ledger)?;
            slot.set(ledger, 0)?;
            self.storage.queue.set(ledger, Queue { first: queue.first.plus(1)?, ..queue })?;
            let record = self.storage.miners.at(ledger, &miner)?;
            let standing = record.standing.get(ledger)?;
            let answered = standing.committed == clock.number && standing.faulted != clock.number;
            let gone = record.roll.get(ledger)?.live == 0;
            let watched = match (gone, answered) {
                (true, _) => 0,
                (false, true) => standing.watched.saturating_sub(1),
                (false, false) => standing.watched.min(rules.watch_rounds),
            };
            record.standing.set(ledger, Standing { watched, ..standing })?;
            if watched > 0 {
                self.enqueue(ledger, miner)?;
            }
        }
        Ok(())
    }
}
