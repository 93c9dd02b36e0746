//! Draw later checks, and settle demands that are due: so many a block, and no more.
//!
//! # Design
//! Demands are numbered in the order of their deadlines, so the first that is not settled is the next one due. They are
//! settled between rounds, where no verdict hangs on what a lot owes; a backlog is settled later, and keeps what is at
//! stake until then.

use super::{
    Audits,
    demands::is_over,
    record::{Clock, Demand, DemandState, Docket, Stage},
};
use crate::{Checked, Error, Ledger, Result, internal::ILotAudits};
use alloy_primitives::{B256, U256};
use proofs::pledge::spot_lot;
use types::{
    abi::{IAudits, MINERS},
    spec::AuditSpec,
};

/// Demands settled in one block.
const SETTLED_PER_BLOCK_MAX: u32 = 8;
/// Later checks drawn in one block.
const SPOTS_PER_BLOCK_MAX: u32 = 4;
/// Lots that a later check tries before it lapses.
const SPOT_TRIES_MAX: u32 = 8;

impl Audits {
    /// Says how many later checks a round makes.
    pub(super) fn schedule_spots(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, live: u32) -> Result<()> {
        let Some(pledges) = &rules.pledges else { return Ok(()) };
        let docket = self.storage.docket.get(ledger)?;
        let spots = live.div_ceil(pledges.lots_per_spot.max(1));
        Ok(self.storage.docket.set(ledger, Docket { spots, drawn: 0, ..docket })?)
    }

    /// Draws and settles what a block has room for.
    pub(super) fn tend_docket(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: &Clock) -> Result<()> {
        if rules.pledges.is_none() {
            return Ok(());
        }
        match Stage::from_u8(clock.stage) {
            Stage::Rest | Stage::AwaitA => self.settle_demands(ledger, rules, clock),
            _ => self.draw_spots(ledger, clock),
        }
    }

    fn draw_spots(&self, ledger: &mut dyn Ledger, clock: &Clock) -> Result<()> {
        for _ in 0..SPOTS_PER_BLOCK_MAX {
            let docket = self.storage.docket.get(ledger)?;
            if docket.drawn >= docket.spots {
                break;
            }
            self.draw_spot(ledger, clock, docket.drawn)?;
            let docket = self.storage.docket.get(ledger)?;
            self.storage.docket.set(ledger, Docket { drawn: docket.drawn.plus(1)?, ..docket })?;
        }
        Ok(())
    }

    /// Demands one walk of a lot that was checked before this round.
    fn draw_spot(&self, ledger: &mut dyn Ledger, clock: &Clock, number: u32) -> Result<()> {
        let Some(pledges) = self.pledges() else { return Ok(()) };
        let lots = self.storage.sampled.get(ledger)?.lots;
        let beacon = self.storage.beacon_a.get(ledger)?;
        for attempt in 0..SPOT_TRIES_MAX {
            ledger.charge_hashes(1, 64)?;
            let lot = spot_lot(&beacon, number, attempt, lots);
            let place = match ledger.call_module(MINERS, &ILotAudits::whereaboutsCall { lot, round: 0 }) {
                Err(Error::Revert(_)) => continue,
                place => place?,
            };
            let plot = self.storage.plots.at(ledger, &lot)?;
            let is_rooted = place.live && !plot.root.get(ledger)?.is_zero();
            if !is_rooted || self.checked_in(ledger, &plot)?.is_none_or(|checked| checked >= clock.number) {
                continue;
            }
            // As long as what was named in this round: demands are due in the order of their numbers.
            let window = pledges.window_rounds.saturating_add(1);
            let (miner, round) = (place.miner, clock.number);
            let spot = Demand { miner, first: lot, lots: 1, first_walk: number, walks: 1, ..Demand::default() };
            return self.demand(ledger, Demand { round, window, ..spot });
        }
        Ok(())
    }

    fn settle_demands(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: &Clock) -> Result<()> {
        for _ in 0..SETTLED_PER_BLOCK_MAX {
            let docket = self.storage.docket.get(ledger)?;
            if docket.first == 0 || docket.first > docket.made {
                break;
            }
            let demand = self.storage.demands.at(ledger, &docket.first)?.get(ledger)?;
            if demand.state == DemandState::Open as u8 {
                if !is_over(&demand, clock) {
                    break;
                }
                self.fail(ledger, rules, clock, docket.first, demand)?;
            }
            self.storage.docket.set(ledger, Docket { first: docket.first.plus(1)?, ..docket })?;
        }
        Ok(())
    }

    /// Fines each walk that was not shown, and takes roots back: those of a batch with its demand, that of a lot that had
    /// been checked by itself. A lot whose root was taken back meanwhile was fined for it.
    fn fail(&self, ledger: &mut dyn Ledger, rules: &AuditSpec, clock: &Clock, id: u64, demand: Demand) -> Result<()> {
        let plot = self.storage.plots.at(ledger, &demand.first)?;
        let (state, fine) = if self.is_owed(ledger, id, &demand, &plot)? {
            let live = self.storage.census.get(ledger)?.live;
            let due = self.fault_price(rules, live)?.times(U256::from(demand.missing()))?;
            let fine = self.fine(ledger, demand.miner, due)?;
            let record = self.storage.miners.at(ledger, &demand.miner)?;
            self.mark_fault(ledger, rules, clock, demand.miner, &record)?;
            if plot.marks.get(ledger)?.demand != id {
                plot.root.set(ledger, B256::ZERO)?;
            }
            (DemandState::Failed as u8, fine)
        } else {
            (DemandState::Void as u8, U256::ZERO)
        };
        self.storage.demands.at(ledger, &id)?.set(ledger, Demand { state, ..demand })?;
        self.lift(ledger, demand.miner)?;
        let Demand { miner, shown, .. } = demand;
        ledger.emit(&IAudits::DemandFailed { demand: id, miner, state, shown, fine })?;
        Ok(())
    }

    /// The deadline of the first demand that is not settled; never, if there is none.
    pub(super) fn undecided_since(&self, ledger: &mut dyn Ledger) -> Result<u64> {
        let docket = self.storage.docket.get(ledger)?;
        if docket.first == 0 || docket.first > docket.made {
            return Ok(u64::MAX);
        }
        Ok(self.storage.demands.at(ledger, &docket.first)?.get(ledger)?.deadline())
    }

    pub(super) fn demand_of(&self, ledger: &mut dyn Ledger, id: u64) -> Result<IAudits::Demand> {
        let demand = self.storage.demands.at(ledger, &id)?.get(ledger)?;
        let Demand { miner, first, lots, first_walk, walks, shown, round, state, .. } = demand;
        if state == 0 {
            return Err(IAudits::UnknownDemand { demand: id }.into());
        }
        let deadline = demand.deadline();
        Ok(IAudits::Demand {
            miner,
            firstLot: first,
            lots,
            firstWalk: first_walk,
            walks,
            shown,
            round,
            deadline,
            state,
        })
    }

    pub(super) fn demands(&self, ledger: &mut dyn Ledger) -> Result<IAudits::demandsReturn> {
        let Docket { first, made, .. } = self.storage.docket.get(ledger)?;
        Ok(IAudits::demandsReturn { first: first.max(1), end: made.plus(1)? })
    }

    pub(super) fn demand_count(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<IAudits::demandCountReturn> {
        let load = self.storage.miners.at(ledger, &miner)?.load.get(ledger)?;
        Ok(IAudits::demandCountReturn { count: load.demands, open: load.pending })
    }

    pub(super) fn demand_at(&self, ledger: &mut dyn Ledger, call: IAudits::demandAtCall) -> Result<u64> {
        let record = self.storage.miners.at(ledger, &call.miner)?;
        Ok(record.demands.at(ledger, &call.index)?.get(ledger)?)
    }

    pub(super) fn check_of(&self, ledger: &mut dyn Ledger, lot: u32) -> Result<IAudits::checkOfReturn> {
        let plot = self.storage.plots.at(ledger, &lot)?;
        if self.root_of(ledger, &plot)?.is_zero() {
            return Ok(IAudits::checkOfReturn { demand: 0, round: 0 });
        }
        let demand = plot.marks.get(ledger)?.demand;
        Ok(IAudits::checkOfReturn { demand, round: self.checked_in(ledger, &plot)?.unwrap_or_default() })
    }
}
