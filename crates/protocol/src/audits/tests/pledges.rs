//! Name roots of real units and of others, and see who can show the walks that are demanded.

use super::farm::*;
use crate::{fixture::*, storage::Word};
use alloy_primitives::{B256, U256};
use proofs::{
    chunk::Hash,
    idle::{Graph, Plotter, Progress, UnitId, UnitShape},
    pledge::{Walks, sample, seed},
};
use proptest::prelude::*;
use std::sync::Arc;
use types::{
    abi::{AUDITS, IAudits, IMiners, MINERS},
    layout::{
        Query, Words,
        audits::{Clock, DemandNumberQuery, DemandQuery, LoadQuery},
    },
    merkle::Tree,
    spec::{AuditSpec, PledgeSpec, StorageSpec},
    state::StateKey,
};

const OPEN_DEMAND: u8 = 1;
const MET: u8 = 2;
const FAILED: u8 = 3;
const VOID: u8 = 4;
const WALKS: u8 = 3;
const WINDOW: u16 = 2;

/// What a unit is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filling {
    /// What it must be.
    True,
    /// A stream that costs nothing.
    Stream,
    /// A stack with a layer left out.
    Shallow,
}

struct Yard {
    farm: Farm,
    shape: UnitShape,
    graph: Arc<Graph>,
    /// Funds at the start.
    total: U256,
}

fn yard_with(lots_per_spot: u32) -> Yard {
    let pledges = PledgeSpec { walks: WALKS, window_rounds: WINDOW, lots_per_spot };
    let audits = AuditSpec { pledges: Some(pledges), ..spec().audits.expect("has audits") };
    let spec = StorageSpec { slot_bytes: 64 << 10, unit_slots: 2, lot_slots: 8, audits: Some(audits), ..spec() };
    let mut net = Net::new(spec.clone());
    net.world.storage.insert((AUDITS, U256::ZERO), Clock { opened_ms: START_MS, ..Clock::default() }.encode());
    net.add_miners(3, 4);
    net.pay(ALICE, AUDITS, U256::from(FUNDS / 100), &IAudits::fundCall {});
    let shape = UnitShape::new(spec.unit_bytes(), spec.unit_layers).expect("a shape");
    let total = total(&net);
    let farm = Farm { net, fragments: Default::default(), duties: Default::default() };
    let mut yard = Yard { farm, shape, graph: Arc::new(Graph::new(shape)), total };
    yard.farm.until(COMMIT);
    yard
}

/// Three miners with four lots each, in the first round. One lot is checked again in a round.
fn yard() -> Yard {
    yard_with(u32::MAX)
}

impl Yard {
    fn unit_id(&mut self, miner: u32, lot: u32, unit: u32) -> UnitId {
        let beacon = self.farm.net.view(AUDITS, &IAudits::lotBeaconCall { lot }).beacon;
        UnitId { chain_id: CHAIN_ID, miner, lot, unit, beacon }
    }

    fn tree(&mut self, miner: u32, lot: u32, filling: Filling) -> Tree {
        let layers = if filling == Filling::Shallow { self.shape.layers() - 1 } else { self.shape.layers() };
        let shape = UnitShape::new(self.shape.bytes() as u64, layers).expect("a shape");
        let mut plotter = Plotter::with_graph(shape, self.graph.clone());
        let roots: Vec<B256> = (0..self.farm.net.spec.lot_units())
            .map(|unit| {
                let id = self.unit_id(miner, lot, unit);
                let mut content = vec![0; shape.bytes()];
                match filling {
                    Filling::Stream => blake3::Hasher::new().finalize_xof().fill(&mut content),
                    _ => plotter.fill(&id, &mut content, &Progress::default()).expect("plots"),
                }
                Hash::Plain.root(&content)
            })
            .collect();
        Tree::new(&roots)
    }

    /// Names roots; returns the demand.
    fn plot(&mut self, miner: u32, first: u32, fillings: &[Filling]) -> u64 {
        let roots = (first..).zip(fillings).map(|(lot, filling)| self.tree(miner, lot, *filling).root()).collect();
        let operator = self.farm.operator(miner);
        self.farm.net.call(operator, AUDITS, &IAudits::plotCall { firstLot: first, idleRoots: roots });
        self.farm.net.events::<IAudits::Demanded>().last().expect("one is made").demand
    }

    fn demand(&mut self, id: u64) -> IAudits::Demand {
        self.farm.net.view(AUDITS, &IAudits::demandOfCall { id })
    }

    /// The true walk of a demand, with the tree over what its lot is filled with.
    fn walk(&mut self, id: u64, walk: u8, filling: Filling) -> Vec<u8> {
        let demand = self.demand(id);
        let clock = self.farm.round();
        let beacon = self.farm.net.world.storage[&(AUDITS, beacon_slot(demand.round))];
        assert!(clock.number >= demand.round);
        let IAudits::Demand { miner, firstLot, lots, firstWalk, .. } = demand;
        let lot_units = self.farm.net.spec.lot_units();
        let seed = seed(&beacon.into(), miner, firstLot, lots.into());
        let units = u64::from(lots) * u64::from(lot_units);
        let drawn = sample(self.shape, &seed, units, firstWalk + u32::from(walk));
        let lot = firstLot + drawn.unit as u32 / lot_units;
        let unit = self.unit_id(miner, lot, drawn.unit as u32 % lot_units);
        let tree = self.tree(miner, lot, filling);
        let mut plotter = Plotter::with_graph(self.shape, self.graph.clone());
        let mut content = vec![0; self.shape.bytes()];
        let walks = Walks::new(self.shape, self.graph.clone(), lot_units);
        let shown = walks.prove(&mut plotter, &unit, &[drawn], &tree, &mut content, &Progress::default());
        shown.expect("plots").remove(0)
    }

    fn try_show(&mut self, id: u64, walk: u8, content: Vec<u8>) -> crate::Result<()> {
        let call = IAudits::showCall { demand: id, walk, content: content.into() };
        self.farm.net.try_call(BOB, AUDITS, &call).map(|_| ())
    }

    fn meet(&mut self, id: u64) {
        for walk in 0..self.demand(id).walks {
            let content = self.walk(id, walk, Filling::True);
            self.try_show(id, walk, content).expect("a true walk is taken");
        }
    }

    fn next_round(&mut self) -> u64 {
        self.farm.until(REST);
        self.farm.until(COMMIT).number
    }

    fn owed(&mut self, lot: u32) -> bool {
        !self.farm.duty(lot).idleRoot.is_zero()
    }

    fn failed(&self) -> Vec<IAudits::DemandFailed> {
        self.farm.net.events()
    }

    fn query<Q: Query>(&self, query: &Q) -> Q::Record {
        let mut words = Words::default();
        for slot in query.slots() {
            let word = self.farm.net.world.storage.get(&(AUDITS, slot)).copied().unwrap_or_default();
            words.insert(StateKey::Slot(AUDITS, slot), word);
        }
        query.read(&words).unwrap_or_else(|_| panic!("all slots"))
    }
}

#[test]
fn lots_count_from_the_round_after_their_walks_were_shown() {
    let mut yard = yard();
    let id = yard.plot(1, 1, &[Filling::True; 3]);
    let call = IAudits::showCall { demand: id, walk: 0, content: Default::default() };
    let early: IAudits::DemandPending = refusal(yard.farm.net.try_call(BOB, AUDITS, &call));
    assert_eq!((early.demand, early.round), (id, 2), "nobody can know the walks when roots are named");
    assert_eq!(yard.next_round(), 2);
    assert!(!yard.owed(1));
    yard.meet(id);
    assert_eq!(yard.demand(id).state, MET);
    assert!(!yard.owed(1), "what is owed in a round was frozen before");
    yard.next_round();
    assert!((1..=3).all(|lot| yard.owed(lot)) && !yard.owed(4));
    assert_eq!(yard.farm.net.view(AUDITS, &IAudits::checkOfCall { lot: 3 }).round, 2);
    let content = vec![0; 10];
    let _: IAudits::UnknownDemand = refusal(yard.try_show(id, 0, content));
    // One lot a round is asked again, and shows its walk.
    for _ in 0..=WINDOW {
        let IAudits::demandsReturn { first, end } = yard.farm.net.view(AUDITS, &IAudits::demandsCall {});
        for id in first..end {
            if yard.demand(id).state == OPEN_DEMAND {
                yard.meet(id);
            }
        }
        yard.next_round();
    }
    yard.farm.block();
    assert!(yard.failed().is_empty());
    assert_eq!(yard.query(&DemandQuery { demand: id }).met_in(), Some(2));
    assert_eq!(yard.query(&DemandNumberQuery { miner: 1, index: 0 }), id);
    let load = yard.query(&LoadQuery { miner: 1 });
    assert!(load.demands > 1 && load.pending < 3, "{load:?}");
    let IAudits::demandsReturn { first, end } = yard.farm.net.view(AUDITS, &IAudits::demandsCall {});
    assert!(first > id && end > first - 1, "it is settled");
    assert_eq!(total(&yard.farm.net), yard.total);
}

/// Names bogus roots, shows what can be shown, and pays for what cannot.
fn cheat(filling: Filling) {
    let mut yard = yard();
    let id = yard.plot(1, 1, &[filling; 2]);
    yard.next_round();
    for walk in 0..WALKS {
        let content = yard.walk(id, walk, filling);
        let _: IAudits::InvalidWalk = refusal(yard.try_show(id, walk, content));
    }
    let before = yard.farm.collateral(1);
    while yard.failed().is_empty() {
        assert!(yard.farm.round().number <= 2 + u64::from(WINDOW) + 1);
        yard.farm.block();
    }
    let failed = yard.failed().remove(0);
    assert_eq!((failed.demand, failed.state, failed.shown), (id, FAILED, 0));
    assert_eq!(yard.farm.round().number, 2 + u64::from(WINDOW));
    let each = yard.farm.net.view(AUDITS, &IAudits::pricesCall {}).fine;
    assert_eq!(failed.fine, each * U256::from(WALKS));
    assert_eq!(yard.farm.collateral(1), before - failed.fine);
    yard.next_round();
    assert!(!yard.owed(1) && yard.farm.net.view(AUDITS, &IAudits::idleRootCall { lot: 1 }).is_zero());
    // It may plot anew, and be checked anew.
    let again = yard.plot(1, 1, &[Filling::True; 2]);
    yard.next_round();
    yard.meet(again);
    yard.next_round();
    assert!(yard.owed(1) && yard.owed(2));
    assert_eq!(total(&yard.farm.net), yard.total);
}

#[test]
fn a_lot_from_a_cheap_stream_is_fined_and_counts_for_nothing() {
    cheat(Filling::Stream);
}

#[test]
fn a_lot_with_a_layer_left_out_is_fined_and_counts_for_nothing() {
    cheat(Filling::Shallow);
}

#[test]
fn a_walk_of_another_demand_another_miner_or_another_unit_shows_nothing() {
    let mut yard = yard();
    let (mine, other) = (yard.plot(1, 1, &[Filling::True]), yard.plot(1, 2, &[Filling::True]));
    let theirs = yard.plot(2, 5, &[Filling::True]);
    yard.next_round();
    let own = yard.walk(mine, 0, Filling::True);
    for content in [yard.walk(other, 0, Filling::True), yard.walk(theirs, 0, Filling::True)] {
        let _: IAudits::InvalidWalk = refusal(yard.try_show(mine, 0, content));
    }
    let _: IAudits::InvalidWalk = refusal(yard.try_show(mine, 1, own.clone()));
    let _: IAudits::InvalidWalk = refusal(yard.try_show(other, 0, own.clone()));
    let longer = [own.clone(), vec![0]].concat();
    for content in [longer, Vec::new(), vec![0; 1 << 16]] {
        let _: IAudits::InvalidWalk = refusal(yard.try_show(mine, 0, content));
    }
    let _: IAudits::UnknownDemand = refusal(yard.try_show(mine, WALKS, own.clone()));
    let _: IAudits::UnknownDemand = refusal(yard.try_show(99, 0, own.clone()));
    yard.try_show(mine, 0, own.clone()).expect("anyone shows it");
    let _: IAudits::AlreadyShown = refusal(yard.try_show(mine, 0, own));
}

#[test]
fn late_walks_are_refused_and_each_that_misses_is_fined() {
    let mut yard = yard();
    let id = yard.plot(1, 1, &[Filling::True]);
    yard.next_round();
    let walks: Vec<_> = (0..WALKS).map(|walk| yard.walk(id, walk, Filling::True)).collect();
    yard.try_show(id, 1, walks[1].clone()).expect("in time");
    let before = yard.demand(id);
    while yard.farm.round().number < before.deadline {
        yard.next_round();
    }
    yard.try_show(id, 0, walks[0].clone()).expect("in the last round");
    yard.farm.until(REST);
    let late = yard.try_show(id, 2, walks[2].clone());
    assert!(late.is_err());
    yard.next_round();
    let failed = yard.failed().remove(0);
    assert_eq!((failed.state, failed.shown), (FAILED, 0b011));
    assert_eq!(failed.fine, yard.farm.net.view(AUDITS, &IAudits::pricesCall {}).fine);
    let _: IAudits::UnknownDemand = refusal(yard.try_show(id, 2, walks[2].clone()));
}

#[test]
fn nobody_retires_from_a_demand_and_who_meets_it_goes() {
    let mut yard = yard();
    let (bogus, fine) = (yard.plot(1, 1, &[Filling::Stream]), yard.plot(2, 5, &[Filling::True]));
    yard.farm.until(REST);
    for miner in [1, 2] {
        let operator = yard.farm.operator(miner);
        let _: IMiners::RoundPending = refusal(yard.farm.net.try_call(operator, MINERS, &IMiners::retireCall {}));
    }
    yard.farm.until(COMMIT);
    yard.meet(fine);
    yard.farm.until(REST);
    let operators = [yard.farm.operator(1), yard.farm.operator(2)];
    let _: IMiners::RoundPending = refusal(yard.farm.net.try_call(operators[0], MINERS, &IMiners::retireCall {}));
    yard.farm.net.call(operators[1], MINERS, &IMiners::retireCall {});
    while yard.demand(bogus).state == OPEN_DEMAND {
        yard.farm.block();
    }
    assert!(yard.failed()[0].fine > U256::ZERO);
    // It was fined, and a demand blocks nobody for ever.
    yard.farm.net.call(operators[0], MINERS, &IMiners::retireCall {});
    assert_eq!(total(&yard.farm.net), yard.total);
}

#[test]
fn checked_lots_are_asked_again_and_lose_their_roots_one_by_one() {
    let mut yard = yard_with(4);
    let id = yard.plot(1, 1, &[Filling::True; 2]);
    yard.next_round();
    yard.meet(id);
    let spots = |yard: &Yard| {
        let made = yard.farm.net.events::<IAudits::Demanded>();
        made.into_iter().filter(|made| made.demand != id).collect::<Vec<_>>()
    };
    assert!(spots(&yard).is_empty(), "nothing is checked yet");
    yard.next_round();
    while spots(&yard).is_empty() {
        yard.next_round();
    }
    let first = spots(&yard).remove(0);
    assert_eq!((first.walks, first.lots, first.miner), (1, 1, 1));
    yard.meet(first.demand);
    assert_eq!(yard.demand(first.demand).state, MET);
    // From here on it shows nothing, until it has no root left.
    while (1..=2).any(|lot| !yard.farm.net.view(AUDITS, &IAudits::idleRootCall { lot }).is_zero()) {
        assert!(yard.farm.round().number < 40);
        yard.farm.block();
    }
    let failed = yard.failed();
    assert_eq!(failed.iter().filter(|failed| failed.state == FAILED).count(), 2, "once a root: {failed:?}");
    assert!(failed.iter().all(|failed| (failed.state == VOID) == failed.fine.is_zero()));
    yard.next_round();
    assert!(!yard.owed(1) && !yard.owed(2));
    for _ in 0..6 {
        yard.next_round();
    }
    let load = yard.query(&LoadQuery { miner: 1 });
    assert_eq!(load.pending, 0, "everything is settled");
    assert_eq!(total(&yard.farm.net), yard.total);
}

#[test]
fn roots_stand_while_their_demand_is_open() {
    let mut yard = yard();
    let id = yard.plot(1, 1, &[Filling::Stream]);
    let operator = yard.farm.operator(1);
    yard.next_round();
    // The beacon is known now: roots fitted to it come too late.
    let root = yard.tree(1, 1, Filling::True).root();
    let call = IAudits::plotCall { firstLot: 1, idleRoots: vec![root] };
    let _: IAudits::AlreadyPlotted = refusal(yard.farm.net.try_call(operator, AUDITS, &call));
    assert_eq!(yard.demand(id).round, 2);
    // Roots that are named now are asked by a beacon to come, whatever the stage.
    for stage in [OPEN, REST, AWAIT_A] {
        let round = yard.farm.until(stage).number;
        let lot = 4 + u32::from(stage.min(3)) + 1;
        let miner = lot.div_ceil(4);
        let named = yard.plot(miner, lot, &[Filling::Stream]);
        assert_eq!(yard.demand(named).round, round + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever is shown, missed and plotted again, wei are conserved, and only who missed a walk is fined for one.
    #[test]
    fn random_play_of_walks(plays in prop::collection::vec((0u32..3, 0u32..4, any::<bool>(), any::<bool>()), 1..12)) {
        let mut yard = yard_with(2);
        let mut cheats = std::collections::BTreeSet::new();
        for (miner, number, is_true, is_shown) in plays {
            let (miner, lot) = (miner + 1, miner * 4 + number + 1);
            if yard.farm.net.view(AUDITS, &IAudits::idleRootCall { lot }).is_zero() {
                yard.plot(miner, lot, &[if is_true { Filling::True } else { Filling::Stream }]);
            }
            yard.next_round();
            let IAudits::demandsReturn { first, end } = yard.farm.net.view(AUDITS, &IAudits::demandsCall {});
            for id in first..end {
                let demand = yard.demand(id);
                if demand.state != OPEN_DEMAND || demand.round > yard.farm.round().number || !is_shown {
                    continue;
                }
                for walk in 0..demand.walks {
                    let content = yard.walk(id, walk, Filling::True);
                    // Fails where the root is of something else, or the walk was shown.
                    let _ = yard.try_show(id, walk, content);
                }
            }
            prop_assert_eq!(total(&yard.farm.net), yard.total);
        }
        for _ in 0..8 {
            yard.next_round();
        }
        for failed in yard.failed() {
            let demand = yard.demand(failed.demand);
            cheats.insert(failed.miner);
            let missing = u32::from(demand.walks) - failed.shown.count_ones();
            prop_assert!(missing > 0 && demand.state != MET);
        }
        for miner in 1..=3 {
            let pledged = yard.farm.net.spec.lot_collateral * U256::from(4);
            let missed = yard.farm.net.events::<IAudits::Missed>();
            let missed = missed.iter().filter(|event| event.miner == miner).fold(U256::ZERO, |sum, event| sum + event.fine);
            let fined = yard.failed().iter().filter(|failed| failed.miner == miner).fold(U256::ZERO, |sum, failed| sum + failed.fine);
            prop_assert_eq!(yard.farm.collateral(miner), pledged - missed - fined);
            prop_assert!(cheats.contains(&miner) || fined.is_zero());
        }
        prop_assert_eq!(total(&yard.farm.net), yard.total);
    }
}
