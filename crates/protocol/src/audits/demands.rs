//! Demand walks over the idle units of lots, and judge those that are shown.
//!
//! # Design
//! A demand is one slot: a batch of lots, the round whose beacon A draws the walks, and which of them were shown. Naming
//! roots makes one by the beacon of the next round, which nobody knows yet. A lot's root counts from the round after its
//! demand was met. What is owed never changes with what becomes of the lots: a unit can be plotted again from its key.

use super::{
    Audits,
    record::{Clock, Demand, DemandState, Docket, Load, Plot, Stage},
};
use crate::{Checked, Ledger, Result};
use alloy_primitives::B256;
use proofs::{
    chunk::CHUNK_BYTES,
    idle::{Graph, UnitId, UnitShape},
    pledge::{Walks, sample, seed},
};
use std::{fmt, sync::Arc};
use types::{
    abi::IAudits,
    lane::WALK_BYTES_MAX,
    spec::{PledgeSpec, StorageSpec},
};

/// Bytes of the labels that one step of a walk hashes.
const STEP_BYTES: usize = 512;
/// Hashes of 64 bytes beside the steps: draws, the key, and two paths.
const HASHES_MAX: u64 = 96;

/// Judges walks over the units of a chain.
pub(super) struct Judge(UnitShape, Walks);

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Judge").field(&self.0).finish()
    }
}

impl Judge {
    fn new(spec: &StorageSpec) -> Option<Self> {
        let shape = UnitShape::new(spec.unit_bytes(), spec.unit_layers).ok()?;
        let graph = Arc::new(Graph::new(shape));
        Some(Self(shape, Walks::new(shape, graph, spec.lot_units())))
    }
}

impl Audits {
    pub(super) fn pledges(&self) -> Option<&PledgeSpec> {
        self.rules.as_ref()?.pledges.as_ref()
    }

    /// The number of the demand that naming roots now makes; zero where pledges are not checked.
    pub(super) fn next_batch(&self, ledger: &mut dyn Ledger) -> Result<u64> {
        match self.pledges() {
            Some(_) => self.storage.docket.get(ledger)?.made.plus(1),
            None => Ok(0),
        }
    }

    /// Demands walks over lots whose roots were named, by the next beacon A.
    pub(super) fn demand_batch(&self, ledger: &mut dyn Ledger, miner: u32, first: u32, lots: u8) -> Result<()> {
        let Some(rules) = self.pledges() else { return Ok(()) };
        let round = self.storage.clock.get(ledger)?.number.plus(1)?;
        let (walks, window) = (rules.walks, rules.window_rounds);
        self.demand(ledger, Demand { miner, first, lots, walks, round, window, ..Demand::default() })
    }

    pub(super) fn demand(&self, ledger: &mut dyn Ledger, demand: Demand) -> Result<()> {
        let docket = self.storage.docket.get(ledger)?;
        let id = docket.made.plus(1)?;
        let first = docket.first.max(1);
        self.storage.docket.set(ledger, Docket { first, made: id, ..docket })?;
        self.storage.demands.at(ledger, &id)?.set(ledger, Demand { state: DemandState::Open as u8, ..demand })?;
        let record = self.storage.miners.at(ledger, &demand.miner)?;
        let load = record.load.get(ledger)?;
        record.demands.at(ledger, &load.demands)?.set(ledger, id)?;
        let until = load.until.max(demand.deadline());
        let (demands, pending) = (load.demands.plus(1)?, load.pending.plus(1)?);
        record.load.set(ledger, Load { demands, pending, until, ..load })?;
        let Demand { miner, first, lots, first_walk, walks, round, .. } = demand;
        ledger.emit(&IAudits::Demanded {
            demand: id,
            miner,
            firstLot: first,
            lots,
            firstWalk: first_walk,
            walks,
            round,
            deadline: demand.deadline(),
        })?;
        Ok(())
    }

    pub(super) fn show(&self, ledger: &mut dyn Ledger, call: IAudits::showCall) -> Result<IAudits::showReturn> {
        self.tally_lane(ledger, &call)?;
        let IAudits::showCall { demand: id, walk, content } = call;
        let slot = self.storage.demands.at(ledger, &id)?;
        let demand = slot.get(ledger)?;
        let clock = self.storage.clock.get(ledger)?;
        if demand.state != DemandState::Open as u8 || walk >= demand.walks {
            return Err(IAudits::UnknownDemand { demand: id }.into());
        }
        if is_over(&demand, &clock) {
            return Err(IAudits::DemandOver { demand: id }.into());
        }
        if clock.number < demand.round {
            return Err(IAudits::DemandPending { demand: id, round: demand.round }.into());
        }
        if demand.has(walk) {
            return Err(IAudits::AlreadyShown { demand: id, walk }.into());
        }
        self.check_walk(ledger, id, &demand, walk, &content)?;
        let shown = demand.shown | 1u32.checked_shl(walk.into()).unwrap_or_default();
        let demand = Demand { shown, ..demand };
        ledger.emit(&IAudits::Shown { demand: id, miner: demand.miner, walk })?;
        if demand.missing() > 0 {
            slot.set(ledger, demand)?;
            return Ok(IAudits::showReturn {});
        }
        // At most the window, which is a u16.
        let met = u16::try_from(clock.number.minus(demand.round)?).unwrap_or(u16::MAX);
        slot.set(ledger, Demand { met, state: DemandState::Met as u8, ..demand })?;
        self.lift(ledger, demand.miner)?;
        ledger.emit(&IAudits::DemandMet { demand: id, miner: demand.miner, round: clock.number })?;
        Ok(IAudits::showReturn {})
    }

    fn check_walk(&self, ledger: &mut dyn Ledger, id: u64, demand: &Demand, walk: u8, content: &[u8]) -> Result<()> {
        ledger.charge_hashes(self.spec.unit_layers.into(), STEP_BYTES)?;
        ledger.charge_hashes(1, CHUNK_BYTES)?;
        ledger.charge_hashes(HASHES_MAX, 64)?;
        let invalid = |reason: String| IAudits::InvalidWalk { reason };
        if content.len() > WALK_BYTES_MAX {
            return Err(invalid("it is longer than any walk".into()).into());
        }
        let Judge(shape, walks) = self.walk_judge().ok_or(IAudits::NoRounds {})?;
        let beacon = self.storage.beacons.at(ledger, &demand.round)?.get(ledger)?;
        let Demand { miner, first, lots, first_walk, .. } = *demand;
        let lot_units = u64::from(self.spec.lot_units());
        let units = u64::from(lots).times(lot_units)?;
        let drawn = sample(*shape, &seed(&beacon, miner, first, lots.into()), units, first_walk.plus(walk.into())?);
        let nth = |unit: Option<u64>| unit.and_then(|unit| u32::try_from(unit).ok()).unwrap_or_default();
        let lot = first.plus(nth(drawn.unit.checked_div(lot_units)))?;
        let plot = self.storage.plots.at(ledger, &lot)?;
        if !self.is_owed(ledger, id, demand, &plot)? {
            return Err(IAudits::UnknownDemand { demand: id }.into());
        }
        let unit = UnitId {
            chain_id: ledger.block().chain_id,
            miner,
            lot,
            unit: nth(drawn.unit.checked_rem(lot_units)),
            beacon: self.beacon_of(ledger, miner, lot)?.1,
        };
        let root = plot.root.get(ledger)?;
        Ok(walks.verify(&unit, &root, &drawn, content).map_err(|error| invalid(error.to_string()))?)
    }

    fn walk_judge(&self) -> Option<&Judge> {
        if self.walks.get().is_none() {
            // Another thread may have been faster, with the same.
            let _ = self.walks.set(Judge::new(&self.spec)?);
        }
        self.walks.get()
    }

    /// Whether a demand still asks about the root that a lot has: it was made for it, or the lot was checked before.
    pub(super) fn is_owed(&self, ledger: &mut dyn Ledger, id: u64, demand: &Demand, plot: &Plot) -> Result<bool> {
        let is_own = plot.marks.get(ledger)?.demand == id;
        Ok(!plot.root.get(ledger)?.is_zero()
            && (is_own || self.checked_in(ledger, plot)?.is_some_and(|checked| checked < demand.round)))
    }

    /// The round during which a lot was checked, if it was: its root counts from the next one on. Where pledges are not
    /// checked, the round in which it was named.
    pub(super) fn checked_in(&self, ledger: &mut dyn Ledger, plot: &Plot) -> Result<Option<u64>> {
        let marks = plot.marks.get(ledger)?;
        if self.pledges().is_none() {
            return Ok(Some(marks.named));
        }
        Ok(self.storage.demands.at(ledger, &marks.demand)?.get(ledger)?.met_in())
    }

    /// A lot's idle root, if its demand has not failed.
    pub(super) fn root_of(&self, ledger: &mut dyn Ledger, plot: &Plot) -> Result<B256> {
        let root = plot.root.get(ledger)?;
        if root.is_zero() || self.pledges().is_none() {
            return Ok(root);
        }
        let demand = plot.marks.get(ledger)?.demand;
        let state = self.storage.demands.at(ledger, &demand)?.get(ledger)?.state;
        Ok(if state == DemandState::Failed as u8 { B256::ZERO } else { root })
    }

    pub(super) fn idle_root(&self, ledger: &mut dyn Ledger, lot: u32) -> Result<B256> {
        let plot = self.storage.plots.at(ledger, &lot)?;
        self.root_of(ledger, &plot)
    }

    /// Counts one pending demand less.
    pub(super) fn lift(&self, ledger: &mut dyn Ledger, miner: u32) -> Result<()> {
        let slot = self.storage.miners.at(ledger, &miner)?.load;
        let load = slot.get(ledger)?;
        Ok(slot.set(ledger, Load { pending: load.pending.minus(1)?, ..load })?)
    }
}

/// Whether a demand can be met no more.
pub(super) fn is_over(demand: &Demand, clock: &Clock) -> bool {
    let is_between = matches!(Stage::from_u8(clock.stage), Stage::Rest | Stage::AwaitA);
    clock.number > demand.deadline() || (clock.number == demand.deadline() && is_between)
}
