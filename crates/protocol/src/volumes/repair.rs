//! Replace lost members, worst volumes first, and follow the newcomers until they have their columns.
//!
//! # Design
//! - A loss waits for its grace in a first-in-first-out list (the grace is the same for all, so the list is in order of
//!   time), a rebuild for its deadline in another. Each block looks at a bounded number of either.
//! - A volume at its trigger stands in the queue of its urgency: the number of members it can still lose. A volume whose
//!   urgency changes is put into another queue, and its old entry is skipped. One that found no newcomer waits for another
//!   grace, so that it does not hold up the others.
//! - What a draw replaces is fixed when the pool is frozen.

use super::{
    Volumes,
    members::{Chair, phase, reason, seats_in},
    record::{Batch, Draw, Pay, SeatState, Timer, Volume},
};
use crate::{
    Checked, Ledger, Result,
    internal::{ILots, IRules},
};
use alloy_primitives::{Bytes, U256};
use types::abi::{IVolumes, MINERS, POLICIES};

/// Timers of each kind that one block looks at.
pub const TIMERS_PER_BLOCK_MAX: usize = 8;
/// Volumes that one draw repairs.
pub const VOLUMES_PER_DRAW_MAX: usize = 4;
/// Seats that one draw fills.
pub const SEATS_PER_DRAW_MAX: usize = 24;
/// Queue entries that one block looks at.
pub const ENTRIES_PER_BLOCK_MAX: usize = 16;

impl Volumes {
    /// Looks at losses whose grace is over and at rebuilds whose deadline is.
    pub(super) fn run_timers(&self, ledger: &mut dyn Ledger) -> Result<()> {
        let now = ledger.block().timestamp_ms;
        for _ in 0..TIMERS_PER_BLOCK_MAX {
            let Some(timer) = self.storage.graces.first(ledger)?.filter(|timer| timer.due_ms <= now) else { break };
            self.storage.graces.pop(ledger)?;
            let mut volume = self.storage.volume(ledger, timer.volume)?;
            self.consider(ledger, &mut volume)?;
        }
        for _ in 0..TIMERS_PER_BLOCK_MAX {
            let Some(timer) = self.storage.deadlines.first(ledger)?.filter(|timer| timer.due_ms <= now) else { break };
            self.storage.deadlines.pop(ledger)?;
            self.miss(ledger, &timer)?;
        }
        Ok(())
    }

    /// Takes a rebuild or a hand-over from who did not finish it in time.
    fn miss(&self, ledger: &mut dyn Ledger, timer: &Timer) -> Result<()> {
        let mut chair = self.chair(ledger, timer.volume, timer.seat)?;
        if chair.state.since_ms != timer.since_ms {
            return Ok(());
        }
        match chair.state.phase {
            phase::REBUILDING => self.lose(ledger, chair, reason::MISSED),
            phase::HANDING_OVER => {
                self.keep_tenure(ledger, &chair)?;
                // Whose fault it was cannot be seen: nobody pays, and another successor is drawn.
                let SeatState { lot, miner, since_ms, .. } = chair.state;
                ledger.call_module(MINERS, &ILots::rebuiltCall { miner })?;
                ledger.call_module(MINERS, &ILots::quitCall { lot, forfeit: U256::ZERO })?;
                chair.state = SeatState { phase: phase::LEAVING, since_ms, ..SeatState::default() };
                chair.care.state.set(ledger, chair.state)?;
                chair.care.target.set(ledger, 0)?;
                chair.mark(ledger, |record| record.leaving, true)?;
                let (volume, seat) = (chair.volume.id, chair.seat);
                ledger.emit(&IVolumes::HandOverMissed { volume, seat, successor: miner })?;
                self.consider(ledger, &mut chair.volume)
            }
            _ => Ok(()),
        }
    }

    /// Puts a volume into the queue that its state asks for.
    pub(super) fn consider(&self, ledger: &mut dyn Ledger, volume: &mut Volume) -> Result<()> {
        if self.due(ledger, volume)?.is_zero() {
            return Ok(());
        }
        let urgency = urgency(volume.live(ledger)?, volume);
        if volume.head.queued == urgency.saturating_add(1) {
            return Ok(());
        }
        volume.head.queued = urgency.saturating_add(1);
        volume.record.head.set(ledger, volume.head)?;
        self.storage.queues.at(ledger, &urgency.into())?.push(ledger, volume.id)?;
        let mut urgencies = self.storage.urgencies.get(ledger)?;
        urgencies.set_bit(urgency.into(), true);
        Ok(self.storage.urgencies.set(ledger, urgencies)?)
    }

    /// The seats that a draw would fill now.
    fn due(&self, ledger: &mut dyn Ledger, volume: &Volume) -> Result<U256> {
        let now = ledger.block().timestamp_ms;
        let mut due = volume.record.leaving.get(ledger)?;
        let live = volume.live(ledger)?;
        if live > volume.trigger() {
            return Ok(due);
        }
        let is_urgent = live <= volume.profile.urgent_trigger();
        for seat in seats_in(volume.record.lost.get(ledger)?, volume.seats()) {
            let state = volume.record.care.at(ledger, &seat.into())?.state.get(ledger)?;
            let is_over = now >= state.since_ms.saturating_add(self.spec.repair.grace_ms);
            let has_grace = state.reason == reason::SILENT;
            if state.phase == phase::LOST && (is_over || is_urgent || !has_grace) {
                due.set_bit(seat.into(), true);
            }
        }
        Ok(due)
    }

    /// Freezes the pool for the volumes that can lose the fewest members, if there are any.
    pub(super) fn start_replacement(&self, ledger: &mut dyn Ledger) -> Result<bool> {
        if self.storage.urgencies.get(ledger)?.is_zero() || !ledger.call_module(MINERS, &ILots::holdCall {})? {
            return Ok(false);
        }
        let (mut volumes, mut seats) = (Vec::new(), 0usize);
        for _ in 0..ENTRIES_PER_BLOCK_MAX {
            let Some((urgency, mut volume)) = self.next_in_queue(ledger)? else { break };
            let due = first_of(self.due(ledger, &volume)?, SEATS_PER_DRAW_MAX);
            let all = seats.saturating_add(due.count_ones());
            if all > SEATS_PER_DRAW_MAX {
                break;
            }
            self.leave_queue(ledger, urgency, &mut volume)?;
            if due.is_zero() {
                continue;
            }
            volume.record.drawing.set(ledger, due)?;
            seats = all;
            volumes.push(volume.id);
            if volumes.len() == VOLUMES_PER_DRAW_MAX {
                break;
            }
        }
        if volumes.is_empty() {
            ledger.call_module(MINERS, &ILots::thawCall {})?;
            return Ok(false);
        }
        let mut numbers = volumes.iter().copied();
        let mut next = || numbers.next().unwrap_or_default();
        let batch = Batch { first: next(), second: next(), third: next(), fourth: next() };
        self.storage.batch.set(ledger, batch)?;
        self.set_target(ledger, Draw { replaces: true, replaced_last: true, ..Draw::default() })?;
        let draw = self.storage.draw.get(ledger)?;
        ledger.emit(&IVolumes::Replacing { epoch: draw.epoch, targetView: draw.view, volumes })?;
        Ok(true)
    }

    /// The volume at the head of the most urgent queue, which stays there; skips entries that no longer count.
    fn next_in_queue(&self, ledger: &mut dyn Ledger) -> Result<Option<(u8, Volume)>> {
        for _ in 0..ENTRIES_PER_BLOCK_MAX {
            let mut urgencies = self.storage.urgencies.get(ledger)?;
            if urgencies.is_zero() {
                return Ok(None);
            }
            let urgency = u8::try_from(urgencies.trailing_zeros()).unwrap_or(u8::MAX);
            let queue = self.storage.queues.at(ledger, &urgency.into())?;
            let Some(id) = queue.first(ledger)? else {
                urgencies.set_bit(urgency.into(), false);
                self.storage.urgencies.set(ledger, urgencies)?;
                continue;
            };
            let volume = self.storage.volume(ledger, id)?;
            if volume.head.queued == urgency.saturating_add(1) {
                return Ok(Some((urgency, volume)));
            }
            queue.pop(ledger)?;
        }
        Ok(None)
    }

    fn leave_queue(&self, ledger: &mut dyn Ledger, urgency: u8, volume: &mut Volume) -> Result<()> {
        self.storage.queues.at(ledger, &urgency.into())?.pop(ledger)?;
        volume.head.queued = 0;
        Ok(volume.record.head.set(ledger, volume.head)?)
    }

    /// Fills the seats of the frozen draw.
    pub(super) fn replace(&self, ledger: &mut dyn Ledger, seed: &Bytes) -> Result<()> {
        self.date_pledges(ledger, seed)?;
        let Batch { first, second, third, fourth } = self.storage.batch.get(ledger)?;
        for id in [first, second, third, fourth].into_iter().filter(|id| *id != 0) {
            self.replace_in(ledger, id, seed)?;
        }
        self.storage.batch.set(ledger, Batch::default())?;
        self.put_draw(ledger, Draw { replaced_last: true, ..Draw::default() })?;
        ledger.call_module(MINERS, &ILots::thawCall {})?;
        Ok(())
    }

    fn replace_in(&self, ledger: &mut dyn Ledger, id: u32, seed: &Bytes) -> Result<()> {
        let volume = self.storage.volume(ledger, id)?;
        let drawing = volume.record.drawing.get(ledger)?;
        volume.record.drawing.set(ledger, U256::ZERO)?;
        let seats: Vec<u16> = seats_in(drawing, volume.seats()).collect();
        let (staying, going) = self.members(ledger, &volume, drawing)?;
        let policy = volume.head.policy;
        let IRules::ruleReturn { rule, .. } = ledger.call_module(POLICIES, &IRules::ruleCall { policy })?;
        let place = ILots::placeCall { rule, volume: id, seats: seats.clone(), staying, going, seed: seed.clone() };
        let ILots::placeReturn { lots, miners } = ledger.call_module(MINERS, &place)?;
        let mut missing = 0u16;
        for ((seat, lot), miner) in seats.into_iter().zip(lots).zip(miners) {
            if lot == 0 {
                missing = missing.plus(1)?;
                continue;
            }
            let mut chair = self.chair(ledger, id, seat)?;
            match chair.state.phase {
                phase::LEAVING => self.seat_successor(ledger, &mut chair, lot, miner)?,
                _ => self.seat_newcomer(ledger, &mut chair, lot, miner, 0)?,
            }
        }
        if missing == 0 {
            // Where more seats were due than a draw fills.
            let mut volume = self.storage.volume(ledger, id)?;
            self.consider(ledger, &mut volume)?;
        } else {
            let now = ledger.block().timestamp_ms;
            let due_ms = now.saturating_add(self.spec.repair.grace_ms);
            self.storage.graces.push(ledger, Timer { volume: id, seat: 0, since_ms: now, due_ms })?;
            ledger.emit(&IVolumes::NoNewcomer { volume: id, seats: missing, againMs: due_ms })?;
        }
        Ok(())
    }

    /// The other members, successors with them, and those whose seats are filled.
    fn members(&self, ledger: &mut dyn Ledger, volume: &Volume, drawing: U256) -> Result<(Vec<u32>, Vec<u32>)> {
        let (mut staying, mut going) = (Vec::new(), Vec::new());
        let miners = volume.record.miners.load(ledger, volume.seats().into())?;
        for (seat, miner) in miners.into_iter().enumerate() {
            if drawing.bit(seat) {
                going.push(miner);
                continue;
            }
            let state = volume.record.care.at(ledger, &(seat as u32))?.state.get(ledger)?;
            if state.phase == phase::HANDING_OVER {
                // The successor takes the place, for the caps as well; the old holder may not come in again either.
                going.push(miner);
                staying.push(state.miner);
            } else {
                staying.push(miner);
            }
        }
        Ok((staying, going))
    }

    /// Gives a lost seat to a newcomer, and takes the price of the rebuild from the collateral of the lost lot.
    pub(super) fn seat_newcomer(
        &self,
        ledger: &mut dyn Ledger,
        chair: &mut Chair,
        lot: u32,
        miner: u32,
        watermark: u64,
    ) -> Result<()> {
        self.keep_tenure(ledger, chair)?;
        let target = chair.volume.head.column_bytes;
        let forfeit = self.rebuild_price(target)?;
        let old = chair.lot(ledger)?;
        let taken = ledger.call_module(MINERS, &ILots::quitCall { lot: old, forfeit })?;
        chair.forget_helpers(ledger)?;
        // What an earlier newcomer did not earn is there for the next.
        let total = Self::plus_pay(chair.care.pay.get(ledger)?.left, taken)?;
        chair.care.pay.set(ledger, Pay { total, left: total })?;
        chair.volume.record.lots.put(ledger, chair.seat.into(), lot)?;
        chair.volume.record.miners.put(ledger, chair.seat.into(), miner)?;
        let reason = chair.state.reason;
        chair.state = SeatState { phase: phase::REBUILDING, reason, ..SeatState::default() };
        self.begin(ledger, chair, lot, miner, target, watermark)
    }

    fn seat_successor(&self, ledger: &mut dyn Ledger, chair: &mut Chair, lot: u32, miner: u32) -> Result<()> {
        self.keep_tenure(ledger, chair)?;
        let target = chair.volume.head.column_bytes;
        chair.state = SeatState { phase: phase::HANDING_OVER, lot, miner, ..SeatState::default() };
        chair.mark(ledger, |record| record.leaving, false)?;
        self.begin(ledger, chair, lot, miner, target, 0)
    }

    fn begin(
        &self,
        ledger: &mut dyn Ledger,
        chair: &mut Chair,
        lot: u32,
        miner: u32,
        target: u64,
        watermark: u64,
    ) -> Result<()> {
        let now = ledger.block().timestamp_ms;
        let (volume, seat) = (chair.volume.id, chair.seat);
        let due_ms = now.saturating_add(self.spec.repair.deadline_ms);
        chair.state = SeatState { since_ms: now, watermark, ..chair.state };
        chair.care.state.set(ledger, chair.state)?;
        chair.care.target.set(ledger, target)?;
        let hand_over = chair.state.phase == phase::HANDING_OVER;
        ledger.emit(&IVolumes::SeatDrawn {
            volume,
            seat,
            miner,
            lot,
            handOver: hand_over,
            targetBytes: target,
            deadlineMs: due_ms,
        })?;
        if watermark == target {
            return self.finish(ledger, chair);
        }
        self.storage.deadlines.push(ledger, Timer { volume, seat, since_ms: now, due_ms })
    }

    pub(super) fn progress(
        &self,
        ledger: &mut dyn Ledger,
        call: IVolumes::progressCall,
    ) -> Result<IVolumes::progressReturn> {
        let IVolumes::progressCall { volume, seat, watermark } = call;
        let mut chair = self.chair(ledger, volume, seat)?;
        let (newcomer, target) = match chair.state.phase {
            phase::REBUILDING => (chair.miner(ledger)?, chair.care.target.get(ledger)?),
            // A successor is not the holder yet: it needs also what was committed meanwhile.
            phase::HANDING_OVER => (chair.state.miner, chair.volume.head.column_bytes),
            _ => return Err(chair.busy()),
        };
        chair.require_run_by_caller(ledger, newcomer)?;
        if watermark <= chair.state.watermark || watermark > target {
            return Err(IVolumes::InvalidWatermark { watermark, target }.into());
        }
        self.keep_tenure(ledger, &chair)?;
        chair.state.watermark = watermark;
        chair.care.state.set(ledger, chair.state)?;
        ledger.emit(&IVolumes::Progressed { volume, seat, watermark })?;
        if watermark == target {
            self.finish(ledger, &mut chair)?;
        }
        Ok(IVolumes::progressReturn {})
    }

    /// The newcomer has the whole column.
    fn finish(&self, ledger: &mut dyn Ledger, chair: &mut Chair) -> Result<()> {
        let (volume, seat) = (chair.volume.id, chair.seat);
        if chair.state.phase == phase::HANDING_OVER {
            let SeatState { lot, miner, .. } = chair.state;
            let old = chair.lot(ledger)?;
            ledger.call_module(MINERS, &ILots::quitCall { lot: old, forfeit: U256::ZERO })?;
            chair.volume.record.lots.put(ledger, seat.into(), lot)?;
            chair.volume.record.miners.put(ledger, seat.into(), miner)?;
        }
        chair.mark(ledger, |record| record.lost, false)?;
        let miner = chair.miner(ledger)?;
        ledger.call_module(MINERS, &ILots::rebuiltCall { miner })?;
        self.make_whole(ledger, chair)?;
        Ok(ledger.emit(&IVolumes::SeatWhole { volume, seat, miner })?)
    }
}

/// The lowest `count` members of a set.
fn first_of(set: U256, count: usize) -> U256 {
    let (mut rest, mut first) = (set, U256::ZERO);
    while first.count_ones() < count && !rest.is_zero() {
        let lowest = rest.trailing_zeros();
        rest.set_bit(lowest, false);
        first.set_bit(lowest, true);
    }
    first
}

/// How many members a volume can still lose.
fn urgency(live: u16, volume: &Volume) -> u8 {
    u8::try_from(live.saturating_sub(volume.profile.data())).unwrap_or(u8::MAX - 1)
}
