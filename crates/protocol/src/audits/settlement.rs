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
/// Seats declared lost in one block.
const LOSSES_PER_BLOCK_MAX: u32 = 16;

impl Audits {
    pub(super) fn settle(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: Clock) -> Result<Clock> {
        let mut sampled = self.storage.sampled.get(ledger)?;
        let (mut judged, mut words, mut losses) = (0, 0, 0);
        let is_spent =
            |judged: u32, losses: u32| judged >= rules.settled_per_block_max || losses >= LOSSES_PER_BLOCK_MAX;
        while sampled.cursor < sampled.samples && !is_spent(judged, losses) && words < WORDS_PER_BLOCK_MAX {
            let opened = self.storage.opened.word(ledger, sampled.cursor.into())?;
            let word_end = (u64::from(sampled.cursor) / WORD_BITS).plus(1)?.times(WORD_BITS)?;
            let end = u32::try_from(word_end).unwrap_or(u32::MAX).min(sampled.samples);
            while sampled.cursor < end && !is_spent(judged, losses) {
                if !opened.bit((u64::from(sampled.cursor) % WORD_BITS) as usize) {
                    losses = losses.plus(self.judge(ledger, rules, &clock, &sampled)?.into())?;
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

    /// Judges the sample at the cursor, and says whether that cost a seat. What cannot be judged is passed over: the round
    /// must close.
    fn judge(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: &Clock, sampled: &Sampled) -> Result<bool> {
        let judged = self
            .asked_by(ledger, sampled, sampled.cursor)
            .and_then(|asked| asked.map_or(Ok(false), |asked| self.condemn(ledger, rules, clock, sampled, &asked)));
        match judged {
            Err(Error::Revert(_)) => Ok(false),
            judged => judged,
        }
    }

    fn condemn(
        &self,
        ledger: &mut dyn Ledger,
        rules: &AuditSpec,
        clock: &Clock,
        sampled: &Sampled,
        asked: &Asked,
    ) -> Result<bool> {
        let standing = self.book(ledger, asked.miner, &asked.record)?;
        let chair = asked.post.chair();
        // Without a commitment the whole round was booked as missed.
        if standing.committed != clock.number {
            return self.lose_silent(ledger, rules, &standing, asked.lot, chair);
        }
        if self.is_declared(ledger, asked)? {
            return Ok(false);
        }
        let due = self.fault_price(rules, sampled.live)?;
        let fine = self.fine(ledger, asked.miner, due)?;
        self.mark_fault(ledger, rules, clock, asked.miner, &asked.record)?;
        ledger.emit(&IAudits::Faulted {
            round: clock.number,
            miner: asked.miner,
            sample: sampled.cursor,
            lot: asked.lot,
            slot: asked.target.place.slot,
            chunk: asked.target.chunk,
            entry: asked.target.index,
            fine,
        })?;
        self.fail_lot(ledger, rules, clock, asked.lot, chair, fine < due)
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
