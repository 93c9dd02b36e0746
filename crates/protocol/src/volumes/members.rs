//! Lose members, take them back, and let them hand over.
//!
//! # Design
//! A seat is in one phase. Only lost and rebuilding seats count as not live; of a seat that is handed over, the old holder
//! keeps all duties until the successor has the whole column.

use super::{
    Volumes,
    record::{Care, Head, Pay, SeatState, Timer, Volume},
};
use crate::{
    Checked, Ledger, PUBLIC_POLICY, Result,
    internal::{ILots, IMembers},
};
use alloy_primitives::{Address, Bytes, U256};
use types::abi::{AUDITS, IAudits, IVolumes, MINERS};

/// Phases of a seat, as `IVolumes.Seat` numbers them.
pub mod phase {
    /// Nothing is going on.
    pub const WHOLE: u8 = 0;
    /// Nobody serves it.
    pub const LOST: u8 = 1;
    /// A newcomer holds it and takes the column over.
    pub const REBUILDING: u8 = 2;
    /// Its holder waits for a successor.
    pub const LEAVING: u8 = 3;
    /// A successor takes the column over; the old holder still holds it.
    pub const HANDING_OVER: u8 = 4;
    /// Whole again, with pay that nobody claimed yet.
    pub const SETTLING: u8 = 5;
}

/// Reasons of a loss, as `IVolumes.Seat` numbers them.
pub mod reason {
    /// It does not answer; it may return.
    pub const SILENT: u8 = 1;
    /// It was shown not to have its column.
    pub const FAULTY: u8 = 2;
    /// It says so itself; it may return.
    pub const LEFT: u8 = 3;
    /// It did not rebuild in time, or was lost while it did.
    pub const MISSED: u8 = 4;
}

/// A seat with what is stored of it.
pub(super) struct Chair {
    pub(super) volume: Volume,
    pub(super) seat: u16,
    pub(super) care: Care,
    pub(super) state: SeatState,
}

impl Volumes {
    /// Finds a seat.
    pub(super) fn chair(&self, ledger: &mut dyn Ledger, volume: u32, seat: u16) -> Result<Chair> {
        let volume = self.storage.volume(ledger, volume)?;
        if seat >= volume.seats() {
            return Err(IVolumes::UnknownSeat { volume: volume.id, seat }.into());
        }
        let care = volume.record.care.at(ledger, &seat.into())?;
        let state = care.state.get(ledger)?;
        Ok(Chair { volume, seat, care, state })
    }

    /// Finds a seat that the caller holds.
    pub(super) fn own_chair(&self, ledger: &mut dyn Ledger, volume: u32, seat: u16) -> Result<Chair> {
        let chair = self.chair(ledger, volume, seat)?;
        let holder = chair.miner(ledger)?;
        chair.require_run_by_caller(ledger, holder)?;
        Ok(chair)
    }

    pub(super) fn leave(&self, ledger: &mut dyn Ledger, call: IVolumes::leaveCall) -> Result<IVolumes::leaveReturn> {
        let chair = self.own_chair(ledger, call.volume, call.seat)?;
        self.lose(ledger, chair, reason::LEFT)?;
        Ok(IVolumes::leaveReturn {})
    }

    /// Does what audits found, if the lot still holds the seat; says whether that changed anything.
    pub(super) fn declare_lost(&self, ledger: &mut dyn Ledger, call: &IMembers::declareLostCall) -> Result<bool> {
        let IMembers::declareLostCall { volume, seat, lot, reason: why, onTrialOnly } = *call;
        if !(reason::SILENT..=reason::MISSED).contains(&why) {
            return Err(IVolumes::InvalidEvidence {}.into());
        }
        let chair = self.chair(ledger, volume, seat)?;
        let is_lost = chair.state.phase == phase::LOST;
        let is_on_trial = matches!(chair.state.phase, phase::REBUILDING | phase::SETTLING);
        let is_known = is_lost && (why != reason::FAULTY || !may_return(chair.state.reason));
        if chair.lot(ledger)? != lot || is_known || onTrialOnly && !is_on_trial {
            return Ok(false);
        }
        if is_lost {
            self.condemn(ledger, chair)?
        } else {
            self.lose(ledger, chair, why)?
        }
        Ok(true)
    }

    /// Who might have returned may not any more.
    fn condemn(&self, ledger: &mut dyn Ledger, mut chair: Chair) -> Result<()> {
        self.keep_tenure(ledger, &chair)?;
        chair.state.reason = reason::FAULTY;
        chair.care.state.set(ledger, chair.state)?;
        let (volume, seat, miner) = (chair.volume.id, chair.seat, chair.miner(ledger)?);
        ledger.emit(&IVolumes::SeatLost { volume, seat, miner, reason: reason::FAULTY })?;
        self.consider(ledger, &mut chair.volume)
    }

    /// Counts a seat as lost and sees to it that it is repaired in time.
    pub(super) fn lose(&self, ledger: &mut dyn Ledger, mut chair: Chair, why: u8) -> Result<()> {
        let (now, phase) = (ledger.block().timestamp_ms, chair.state.phase);
        let holder = chair.miner(ledger)?;
        match phase {
            phase::LOST => return Err(chair.busy()),
            phase::REBUILDING => {
                ledger.call_module(MINERS, &ILots::rebuiltCall { miner: holder })?;
            }
            _ => {}
        }
        self.keep_tenure(ledger, &chair)?;
        // Who was to rebuild and did not has nothing to return with.
        let why = if phase == phase::REBUILDING { reason::MISSED } else { why };
        ledger.emit(&IVolumes::SeatLost { volume: chair.volume.id, seat: chair.seat, miner: holder, reason: why })?;
        chair.mark(ledger, |record| record.lost, true)?;
        chair.mark(ledger, |record| record.leaving, false)?;
        if phase == phase::HANDING_OVER {
            // The successor has a part already: it goes on as the newcomer.
            let SeatState { lot, miner, watermark, .. } = chair.state;
            chair.state.reason = why;
            self.seat_newcomer(ledger, &mut chair, lot, miner, watermark)?;
            return self.pause(ledger, &mut chair.volume);
        }
        chair.state = SeatState { phase: phase::LOST, reason: why, since_ms: now, ..SeatState::default() };
        chair.care.state.set(ledger, chair.state)?;
        self.pause(ledger, &mut chair.volume)?;
        let due_ms = now.saturating_add(self.spec.repair.grace_ms);
        self.storage.graces.push(ledger, Timer { volume: chair.volume.id, seat: chair.seat, since_ms: now, due_ms })?;
        self.consider(ledger, &mut chair.volume)
    }

    pub(super) fn rejoin(&self, ledger: &mut dyn Ledger, call: IVolumes::rejoinCall) -> Result<IVolumes::rejoinReturn> {
        let mut chair = self.own_chair(ledger, call.volume, call.seat)?;
        let SeatState { phase, reason, .. } = chair.state;
        let is_drawn = chair.volume.record.drawing.get(ledger)?.bit(chair.seat.into());
        if phase != phase::LOST || is_drawn {
            return Err(chair.busy());
        }
        if !may_return(reason) {
            return Err(IVolumes::NoReturn { volume: call.volume, seat: call.seat, reason }.into());
        }
        let miner = chair.miner(ledger)?;
        if reason == reason::SILENT && self.is_silent(ledger, miner)? {
            return Err(IVolumes::NoReturn { volume: call.volume, seat: call.seat, reason }.into());
        }
        chair.mark(ledger, |record| record.lost, false)?;
        self.make_whole(ledger, &mut chair)?;
        ledger.emit(&IVolumes::SeatReturned { volume: call.volume, seat: call.seat, miner })?;
        Ok(IVolumes::rejoinReturn {})
    }

    /// Whether a miner still misses rounds: one that took its seat back and never committed would keep it for ever, with
    /// nothing in it.
    fn is_silent(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<bool> {
        let Some(audits) = &self.spec.audits else { return Ok(false) };
        let standing = ledger.call_module(AUDITS, &IAudits::standingCall { miner })?;
        Ok(standing.missedRounds >= audits.silent_rounds)
    }

    pub(super) fn hand_over(
        &self,
        ledger: &mut dyn Ledger,
        call: IVolumes::handOverCall,
    ) -> Result<IVolumes::handOverReturn> {
        let mut chair = self.own_chair(ledger, call.volume, call.seat)?;
        if chair.state.phase != phase::WHOLE {
            return Err(chair.busy());
        }
        let since_ms = ledger.block().timestamp_ms;
        chair.state = SeatState { phase: phase::LEAVING, since_ms, ..SeatState::default() };
        chair.care.state.set(ledger, chair.state)?;
        chair.mark(ledger, |record| record.leaving, true)?;
        let miner = chair.miner(ledger)?;
        ledger.emit(&IVolumes::SeatLeaving { volume: call.volume, seat: call.seat, miner })?;
        self.consider(ledger, &mut chair.volume)?;
        Ok(IVolumes::handOverReturn {})
    }

    /// Ends whatever went on at a seat; pay that is left waits to be settled.
    pub(super) fn make_whole(&self, ledger: &mut dyn Ledger, chair: &mut Chair) -> Result<()> {
        let left = chair.care.pay.get(ledger)?.left;
        chair.state = match left {
            0 => SeatState::default(),
            _ => SeatState { phase: phase::SETTLING, since_ms: ledger.block().timestamp_ms, ..SeatState::default() },
        };
        chair.care.state.set(ledger, chair.state)?;
        if left == 0 {
            chair.forget_helpers(ledger)?;
            chair.care.pay.set(ledger, Pay::default())?;
            chair.care.target.set(ledger, 0)?;
        }
        self.resume(ledger, &mut chair.volume)
    }

    /// Takes a volume out of the list of those that take writes.
    pub(super) fn unlist(&self, ledger: &mut dyn Ledger, head: &mut Head) -> Result<()> {
        let list = self.storage.open.at(ledger, &head.policy)?;
        if let Some(moved) = list.swap_remove(ledger, head.open_position)? {
            let slot = self.storage.volumes.at(ledger, &moved)?.head;
            let other = slot.get(ledger)?;
            slot.set(ledger, Head { open_position: head.open_position, ..other })?;
        }
        (head.open, head.open_position) = (false, 0);
        if head.policy != PUBLIC_POLICY {
            self.storage.hungry.push(ledger, head.policy)?;
        }
        Ok(())
    }

    /// A volume with fewer live members than a write needs takes none.
    fn pause(&self, ledger: &mut dyn Ledger, volume: &mut Volume) -> Result<()> {
        if !volume.head.open || volume.live(ledger)? >= volume.profile.write_quorum() {
            return Ok(());
        }
        self.unlist(ledger, &mut volume.head)?;
        volume.record.head.set(ledger, volume.head)?;
        Ok(ledger.emit(&IVolumes::Paused { volume: volume.id })?)
    }

    fn resume(&self, ledger: &mut dyn Ledger, volume: &mut Volume) -> Result<()> {
        let is_paused = !volume.head.open && !volume.head.full;
        if !is_paused || volume.live(ledger)? < volume.profile.write_quorum() {
            return Ok(());
        }
        let list = self.storage.open.at(ledger, &volume.head.policy)?;
        volume.head.open_position = list.push(ledger, volume.id)?;
        volume.head.open = true;
        volume.record.head.set(ledger, volume.head)?;
        Ok(ledger.emit(&IVolumes::Resumed { volume: volume.id })?)
    }

    pub(super) fn seat_of(&self, ledger: &mut dyn Ledger, call: IVolumes::seatOfCall) -> Result<IVolumes::Seat> {
        let chair = self.chair(ledger, call.volume, call.seat)?;
        let SeatState { phase, reason, lot, miner, since_ms, watermark } = chair.state;
        Ok(IVolumes::Seat {
            state: phase,
            reason,
            lot: chair.lot(ledger)?,
            miner: chair.miner(ledger)?,
            successorLot: lot,
            successor: miner,
            sinceMs: since_ms,
            watermark,
            targetBytes: chair.care.target.get(ledger)?,
            payLeft: U256::from(chair.care.pay.get(ledger)?.left),
        })
    }

    pub(super) fn health(&self, ledger: &mut dyn Ledger, id: u32) -> Result<IVolumes::Health> {
        let volume = self.storage.volume(ledger, id)?;
        let lost = volume.record.lost.get(ledger)?;
        Ok(IVolumes::Health {
            seats: volume.seats(),
            live: volume.live(ledger)?,
            full: volume.head.full,
            paused: !volume.head.open && !volume.head.full,
            subsidised: volume.head.subsidised,
            trigger: volume.trigger(),
            lost: bitmap(lost, volume.seats()),
        })
    }
}

impl Chair {
    /// Who holds the seat.
    pub(super) fn miner(&self, ledger: &mut dyn Ledger) -> Result<u32> {
        self.volume.record.miners.get(ledger, self.seat.into())
    }

    /// With which lot.
    pub(super) fn lot(&self, ledger: &mut dyn Ledger) -> Result<u32> {
        self.volume.record.lots.get(ledger, self.seat.into())
    }

    pub(super) fn busy(&self) -> crate::Error {
        IVolumes::SeatBusy { volume: self.volume.id, seat: self.seat, state: self.state.phase }.into()
    }

    pub(super) fn require_run_by_caller(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<()> {
        let caller = ledger.caller();
        if operator_of(ledger, miner)? != caller {
            return Err(IVolumes::NotHolder { volume: self.volume.id, seat: self.seat, caller }.into());
        }
        Ok(())
    }

    /// Sets or clears the seat's bit in one of the volume's sets.
    pub(super) fn mark(
        &self,
        ledger: &mut dyn Ledger,
        set: impl Fn(&super::record::VolumeRecord) -> crate::storage::Slot<U256>,
        is_in: bool,
    ) -> Result<()> {
        let slot = set(&self.volume.record);
        let before = slot.get(ledger)?;
        let mut word = before;
        word.set_bit(self.seat.into(), is_in);
        if word != before {
            slot.set(ledger, word)?;
        }
        Ok(())
    }

    /// Clears what helpers were paid for.
    pub(super) fn forget_helpers(&self, ledger: &mut dyn Ledger) -> Result<()> {
        if self.care.pay.get(ledger)?.total == 0 {
            return Ok(());
        }
        for seat in 0..self.volume.seats() {
            let slot = self.care.helped.at(ledger, &seat.into())?;
            if slot.get(ledger)? != 0 {
                slot.set(ledger, 0)?;
            }
        }
        Ok(())
    }
}

impl Volume {
    /// Members that are neither lost nor rebuilding.
    pub(super) fn live(&self, ledger: &mut dyn Ledger) -> Result<u16> {
        let lost = self.record.lost.get(ledger)?.count_ones();
        Ok(self.seats().saturating_sub(lost.try_into().unwrap_or(u16::MAX)))
    }

    /// Live members at which repair begins.
    pub(super) fn trigger(&self) -> u16 {
        if self.head.full { self.profile.sealed_trigger() } else { self.profile.open_trigger() }
    }
}

/// Whether a member that was lost for this reason may still have its column.
pub(super) fn may_return(why: u8) -> bool {
    matches!(why, reason::SILENT | reason::LEFT)
}

/// Who runs a miner.
pub(super) fn operator_of(ledger: &mut dyn Ledger, miner: u32) -> Result<Address> {
    ledger.call_module(MINERS, &ILots::operatorOfCall { miner })
}

/// A set of seats, least significant bit first.
pub(super) fn bitmap(seats: U256, count: u16) -> Bytes {
    seats.to_le_bytes::<32>().iter().take(count.div_ceil(8).into()).copied().collect()
}

/// The members of a set of seats.
pub(super) fn seats_in(set: U256, count: u16) -> impl Iterator<Item = u16> {
    (0..count).filter(move |seat| set.bit(usize::from(*seat)))
}

/// What rebuilding costs.
impl Volumes {
    pub(super) fn rebuild_price(&self, bytes: u64) -> Result<U256> {
        Ok(self.spec.rebuild_price(bytes).ok_or(types::abi::IModule::Overflow {})?)
    }

    /// Pay that fits where it is kept.
    pub(super) fn plus_pay(before: u128, more: U256) -> Result<u128> {
        before.plus(more.saturating_to::<u128>())
    }
}
