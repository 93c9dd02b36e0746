//! Number miners' lots, keep their idle roots, and say what a lot owes in a round.

use super::{
    Audits,
    record::{Census, Marks, MinerRecord, Roll, Run, Stage, Standing},
};
use crate::{
    Checked, Ledger, Result,
    internal::{ILotAudits, IMembers, IRounds},
};
use alloy_primitives::B256;
use proofs::{
    response::{Duty, Service},
    round::Round,
};
use types::{
    Profile,
    abi::{IAudits, IMiners, MINERS, VOLUMES},
};

/// Most lots that one call names idle roots of.
pub const PLOTS_MAX: usize = 64;

/// What a lot owed at beacon A, and where.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Post {
    pub duty: Duty,
    /// Zero for a member of none.
    pub volume: u32,
    /// Whether its answers earn emission: not in volumes of policies that do not.
    pub is_subsidised: bool,
}

impl Post {
    /// The seat whose column the lot owed, by volume and number.
    pub fn chair(&self) -> Option<(u32, u16)> {
        self.duty.service.map(|service| (self.volume, service.seat))
    }
}

/// What a lot answered for at a seat.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tenure {
    /// Nothing yet: it was drawn since beacon A.
    Drawn,
    /// Its column.
    Column { service: Service, is_subsidised: bool },
    /// Nothing any more, its idle content neither.
    Nothing,
}

impl Audits {
    pub(super) fn enrol(&self, ledger: &mut dyn Ledger, call: IRounds::enrolCall) -> Result<IRounds::enrolReturn> {
        let IRounds::enrolCall { miner, firstLot, lots } = call;
        let record = self.storage.miners.at(ledger, &miner)?;
        let clock = self.storage.clock.get(ledger)?;
        let roll = self.changing(record.roll.get(ledger)?, clock.number);
        if roll.live == 0 {
            // It owes nothing of rounds that were opened before.
            let standing = record.standing.get(ledger)?;
            let booked = clock.number.max(standing.booked);
            record.standing.set(ledger, Standing { booked, missed: 0, ..standing })?;
        } else {
            self.book(ledger, miner, &record)?;
        }
        let run = Run { start: roll.lots, lot: firstLot, round: clock.number.plus(1)? };
        record.runs.at(ledger, &roll.runs)?.set(ledger, run)?;
        let roll = Roll { lots: roll.lots.plus(lots)?, live: roll.live.plus(lots)?, runs: roll.runs.plus(1)?, ..roll };
        record.roll.set(ledger, roll)?;
        let census = self.storage.census.get(ledger)?;
        // Lots are numbered without gaps.
        let last = firstLot.plus(lots)?.minus(1)?;
        self.storage.census.set(ledger, Census { lots: last, live: census.live.plus(lots)? })?;
        Ok(IRounds::enrolReturn {})
    }

    /// A round holds everybody from the moment beacon B can be known, and from its commitment on a miner that committed:
    /// who could leave then would leave when the samples are bad.
    pub(super) fn leave(&self, ledger: &mut dyn Ledger, call: IRounds::leaveCall) -> Result<IRounds::leaveReturn> {
        let IRounds::leaveCall { miner, lots } = call;
        let record = self.storage.miners.at(ledger, &miner)?;
        let clock = self.storage.clock.get(ledger)?;
        let standing = self.book(ledger, miner, &record)?;
        let is_held = match Stage::from_u8(clock.stage) {
            Stage::Rest | Stage::AwaitA => false,
            Stage::Commit => standing.committed == clock.number,
            Stage::AwaitB | Stage::Open | Stage::Settle => true,
        };
        let roll = record.roll.get(ledger)?;
        record.roll.set(ledger, Roll { live: roll.live.minus(lots)?, ..roll })?;
        let census = self.storage.census.get(ledger)?;
        self.storage.census.set(ledger, Census { live: census.live.minus(lots)?, ..census })?;
        let held = if is_held { clock.number } else { 0 };
        let load = record.load.get(ledger)?;
        let owed = if load.pending > 0 { load.until } else { 0 };
        Ok(IRounds::leaveReturn { held, until: held.max(owed) })
    }

    pub(super) fn closed(&self, ledger: &mut dyn Ledger) -> Result<u64> {
        let clock = self.storage.clock.get(ledger)?;
        let is_over = matches!(Stage::from_u8(clock.stage), Stage::Rest | Stage::AwaitA);
        let closed = if is_over { clock.number } else { clock.number.saturating_sub(1) };
        Ok(closed.min(self.undecided_since(ledger)?.saturating_sub(1)))
    }

    /// Keeps the number of lots before its first change in a round.
    fn changing(&self, roll: Roll, round: u64) -> Roll {
        if roll.round == round { roll } else { Roll { before: roll.lots, round, ..roll } }
    }

    pub(super) fn plot(&self, ledger: &mut dyn Ledger, call: IAudits::plotCall) -> Result<IAudits::plotReturn> {
        let IAudits::plotCall { firstLot, idleRoots } = call;
        self.rules()?;
        let caller = ledger.caller();
        let miner = ledger.call_module(MINERS, &IMiners::minerOfCall { operator: caller })?;
        if idleRoots.is_empty() || idleRoots.len() > PLOTS_MAX || idleRoots.iter().any(|root| root.is_zero()) {
            return Err(IAudits::InvalidPlot {}.into());
        }
        let round = self.storage.clock.get(ledger)?.number;
        let demand = self.next_batch(ledger)?;
        for (number, root) in (0u32..).zip(&idleRoots) {
            let lot = firstLot.plus(number)?;
            let place = ledger.call_module(MINERS, &ILotAudits::whereaboutsCall { lot, round: 0 })?;
            if place.miner != miner || !place.live {
                return Err(IAudits::NotLotsOperator { lot }.into());
            }
            // Nobody can have plotted what comes from a beacon that nobody knows.
            if self.beacon_of(ledger, miner, lot)?.1.is_zero() {
                return Err(IAudits::BeaconPending { lot }.into());
            }
            let plot = self.storage.plots.at(ledger, &lot)?;
            // Once and for good, unless it was fined: another root would let a miner owe what it can show.
            if !self.root_of(ledger, &plot)?.is_zero() {
                return Err(IAudits::AlreadyPlotted { lot }.into());
            }
            plot.root.set(ledger, *root)?;
            let marks = plot.marks.get(ledger)?;
            plot.marks.set(ledger, Marks { named: round, demand, ..marks })?;
        }
        let lots = u8::try_from(idleRoots.len()).unwrap_or(u8::MAX);
        ledger.emit(&IAudits::Plotted { miner, firstLot, idleRoots })?;
        self.demand_batch(ledger, miner, firstLot, lots)?;
        Ok(IAudits::plotReturn {})
    }

    /// Lots that a miner answers for in the present round.
    pub(super) fn lots_owed(&self, ledger: &mut dyn Ledger, record: &MinerRecord) -> Result<u32> {
        let roll = record.roll.get(ledger)?;
        let round = self.storage.clock.get(ledger)?.number;
        Ok(if roll.round == round { roll.before } else { roll.lots })
    }

    /// What the present round asks of a miner.
    pub(super) fn asked(&self, ledger: &mut dyn Ledger, miner: u32, record: &MinerRecord) -> Result<Round> {
        let lots = self.lots_owed(ledger, record)?;
        Ok(Round { shape: self.shape()?, beacon: self.storage.beacon_a.get(ledger)?, miner, lots })
    }

    /// The first round that opened, or opens, after a lot was pledged, and its beacon A: zero before it opens.
    pub(super) fn beacon_of(&self, ledger: &mut dyn Ledger, miner: u32, lot: u32) -> Result<(u64, B256)> {
        let record = self.storage.miners.at(ledger, &miner)?;
        let runs = record.roll.get(ledger)?.runs;
        let run = self.run(ledger, &record, runs, |run| run.lot <= lot)?;
        Ok((run.round, self.storage.beacons.at(ledger, &run.round)?.get(ledger)?))
    }

    pub(super) fn lot_beacon(&self, ledger: &mut dyn Ledger, lot: u32) -> Result<IAudits::lotBeaconReturn> {
        let place = ledger.call_module(MINERS, &ILotAudits::whereaboutsCall { lot, round: 0 })?;
        if place.miner == 0 {
            return Err(IMiners::UnknownLot { lot }.into());
        }
        let (round, beacon) = self.beacon_of(ledger, place.miner, lot)?;
        Ok(IAudits::lotBeaconReturn { round, beacon })
    }

    /// The last of a miner's runs that does not begin too late; the first one if all do.
    fn run(
        &self,
        ledger: &mut dyn Ledger,
        record: &MinerRecord,
        runs: u32,
        begins: impl Fn(&Run) -> bool,
    ) -> Result<Run> {
        let (mut low, mut high) = (0, runs);
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            if begins(&record.runs.at(ledger, &middle)?.get(ledger)?) { low = middle } else { high = middle }
        }
        Ok(record.runs.at(ledger, &low)?.get(ledger)?)
    }

    /// The lot with a number within its miner.
    pub(super) fn lot(&self, ledger: &mut dyn Ledger, record: &MinerRecord, number: u32) -> Result<Option<u32>> {
        let roll = record.roll.get(ledger)?;
        if number >= roll.lots {
            return Ok(None);
        }
        let run = self.run(ledger, record, roll.runs, |run| run.start <= number)?;
        Ok(Some(run.lot.plus(number.minus(run.start)?)?))
    }

    /// What a lot owed at beacon A of the present round, and where.
    pub(super) fn post(&self, ledger: &mut dyn Ledger, lot: u32) -> Result<Post> {
        let round = self.storage.clock.get(ledger)?.number;
        let place = ledger.call_module(MINERS, &ILotAudits::whereaboutsCall { lot, round })?;
        if !place.live {
            return Ok(Post::default());
        }
        let plot = self.storage.plots.at(ledger, &lot)?;
        let root = plot.root.get(ledger)?;
        let counts_from = if root.is_zero() { None } else { self.checked_in(ledger, &plot)? };
        let idle_root = counts_from.is_some_and(|checked| checked < round).then_some(root);
        let idle = Post { duty: Duty { service: None, idle_root }, volume: 0, is_subsidised: true };
        if place.volume == 0 {
            return Ok(idle);
        }
        Ok(match self.tenure(ledger, place.volume, place.seat, lot)? {
            Tenure::Drawn => idle,
            Tenure::Column { service, is_subsidised } => {
                Post { duty: Duty { service: Some(service), idle_root }, volume: place.volume, is_subsidised }
            }
            Tenure::Nothing => Post::default(),
        })
    }

    /// What a lot answered for at a seat at beacon A of the present round.
    pub(super) fn tenure(&self, ledger: &mut dyn Ledger, volume: u32, seat: u16, lot: u32) -> Result<Tenure> {
        let audited = ledger.call_module(VOLUMES, &IMembers::auditedCall { volume, seat, lot })?;
        let profile = Profile::from_u8(audited.profile);
        Ok(match (audited.tenure, profile) {
            (0, _) => Tenure::Drawn,
            (1, Some(profile)) => {
                let service = Service {
                    profile,
                    seat,
                    column_bytes: audited.columnBytes,
                    stripe_count: audited.stripeCount,
                    stripes_root: audited.stripesRoot,
                    fresh_from: audited.freshFrom,
                    gap_from: audited.gapFrom,
                    gap_to: audited.gapTo,
                };
                Tenure::Column { service, is_subsidised: audited.subsidised }
            }
            _ => Tenure::Nothing,
        })
    }

    /// What a seat owed, if this lot answered for its column.
    pub(super) fn service(&self, ledger: &mut dyn Ledger, volume: u32, seat: u16, lot: u32) -> Result<Option<Service>> {
        Ok(match self.tenure(ledger, volume, seat, lot)? {
            Tenure::Column { service, .. } => Some(service),
            Tenure::Drawn | Tenure::Nothing => None,
        })
    }

    pub(super) fn lot_of(&self, ledger: &mut dyn Ledger, miner: u32, number: u32) -> Result<u32> {
        let record = self.storage.miners.at(ledger, &miner)?;
        Ok(self.lot(ledger, &record, number)?.ok_or(IAudits::NotAudited { miner })?)
    }
}
