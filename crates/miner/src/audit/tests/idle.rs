//! Run miners that fill their lots through whole rounds.

use super::*;
use crate::{
    fixture::operator,
    idle::{UnitFiles, UnitPlace},
};
use client::Sender;
use std::time::Instant;
use types::{
    abi::{IMiners, MINERS},
    spec::{PledgeSpec, RepairSpec, StorageSpec},
};

/// Lots of each miner, and of all.
const LOTS: usize = 4;
const LOTS_OF_ALL: usize = 8 * LOTS;
const SLOT_BYTES: u64 = 128 << 10;
const LOT_BYTES: u64 = 16 * SLOT_BYTES;
/// Rounds in which something has to come about that does not hurry.
const ROUNDS: u64 = 4;

/// Rounds of four minutes: every opening makes a block, and takes a tenth of a second.
fn filled() -> StorageSpec {
    let audits =
        AuditSpec { light_divisor: 1, deep_divisor: 2, samples: 128, pledges: None, ..AuditSpec::devnet_with(240_000) };
    let repair = RepairSpec { grace_ms: 600_000, ..RepairSpec::default() };
    StorageSpec { lot_slots: 16, audits: Some(audits), repair, ..storage() }
}

/// A network in its second round, with all lots plotted and their roots named.
async fn plotted() -> Net {
    plotted_with(filled()).await
}

async fn plotted_with(spec: StorageSpec) -> Net {
    let mut net = Net::filling(spec, Some(LOTS as u32)).await;
    net.lease(1, 20 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let reserve = U256::from(10).pow(U256::from(18));
    net.owner.call(AUDITS, reserve, &IAudits::fundCall {}).await.expect("funds");
    commit_round(&mut net, 2, 0).await;
    loop {
        let height = net.height().await;
        let named: usize = logs::<IAudits::Plotted>(&net).await.iter().map(|log| log.idleRoots.len()).sum();
        if named == LOTS_OF_ALL {
            break;
        }
        let block = tokio::time::timeout(DEADLINE, net.chain.wait_above(height)).await;
        block.unwrap_or_else(|_| panic!("{named} of {LOTS_OF_ALL} lots are plotted")).expect("answers");
    }
    finish_round(&mut net, 2, 0).await;
    net
}

/// Bytes of a miner's idle content, of these lots.
fn idle_bytes(net: &Net, index: usize, of: impl Fn(u32) -> bool) -> u64 {
    let files = net.units[index].list().expect("the disk works");
    files.iter().filter(|(place, _)| of(place.lot)).map(|(_, bytes)| bytes).sum()
}

/// Plays rounds without a fault until something has come about.
async fn play_until(net: &mut Net, first: u64, what: &str, is_done: impl Fn(&Net) -> bool) -> u64 {
    for round in first..first + ROUNDS {
        if is_done(net) {
            return round;
        }
        commit_round(net, round, 0).await;
        assert!(finish_round(net, round, 0).await > 0);
        assert_eq!(logs::<IAudits::Faulted>(net).await.len(), 0);
    }
    let deadline = Instant::now() + DEADLINE;
    while !is_done(net) {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
    first + ROUNDS
}

#[tokio::test(flavor = "multi_thread")]
async fn lots_are_plotted_asked_for_and_paid() {
    let mut net = plotted().await;
    for index in 0..8 {
        assert_eq!(idle_bytes(&net, index, |_| true), LOTS as u64 * LOT_BYTES);
    }
    commit_round(&mut net, 3, 0).await;
    // Nothing but idle content is here, and a kill takes none of it away.
    net.crash(5, 1).await;
    let opened = finish_round(&mut net, 3, 0).await;
    assert_eq!(opened, 128, "every sample hits something");
    assert_eq!(logs::<IAudits::Faulted>(&net).await.len(), 0);
    assert!(logs::<IAudits::Committed>(&net).await.iter().all(|log| log.lost.is_empty()));
    let rewards: U256 = logs::<IAudits::Opened>(&net).await.iter().map(|log| log.reward).sum();
    let mut vesting = U256::ZERO;
    for miner in 1..=8 {
        let standing = standing(&net, miner).await;
        vesting += standing.vesting + standing.claimable;
    }
    assert!(rewards > U256::ZERO);
    assert_eq!(vesting, rewards);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drops_idle_content_is_found_and_fined() {
    let mut net = plotted().await;
    let places: Vec<UnitPlace> = net.units[0].list().expect("the disk works").iter().map(|(place, _)| *place).collect();
    // It is not made again either: the disk takes nothing.
    net.units[0].fail(Some(std::io::ErrorKind::Other));
    places.iter().for_each(|place| net.units[0].lose(*place));
    commit_round(&mut net, 3, 0).await;
    go_to(&mut net, 3, Stage::Open, STEP).await;
    let committed = logs::<IAudits::Committed>(&net).await;
    let declared = &committed.iter().find(|log| (log.round, log.miner) == (3, 1)).expect("it committed").lost;
    assert!((1..=LOST_MAX).contains(&declared.len()), "it says what little it may");
    let calls: Vec<_> = (0..128).map(|number| IAudits::sampleCall { number }).collect();
    let samples = Network(&*net.chain).read_many(AUDITS, &calls).await.expect("answers");
    let asked = samples.iter().filter(|sample| sample.miner != 0).count();
    let of_liar: Vec<_> = samples.iter().filter(|sample| sample.miner == 1).collect();
    let unexcused = of_liar.iter().filter(|sample| !declared.contains(&(sample.entry as u32))).count();
    assert!(unexcused > 0);
    net.chain.skip(A_LOOK);
    let before = logs::<IAudits::Opened>(&net).await.iter().filter(|log| log.round < 3).count();
    wait_for::<IAudits::Opened>(&net, before + asked - of_liar.len()).await;
    go_to(&mut net, 3, Stage::Rest, STEP).await;
    let faults = logs::<IAudits::Faulted>(&net).await;
    assert_eq!(faults.len(), unexcused);
    assert!(faults.iter().all(|fault| fault.miner == 1 && fault.fine > U256::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_content_gives_way_to_data_and_goes_with_its_lot() {
    let mut net = plotted().await;
    // Five slots of one lot of each member.
    for number in 0..10 {
        net.put(1, number.into(), &Segment::new(number), &ALL).await;
    }
    let full = LOTS as u64 * LOT_BYTES;
    let is_smaller = |net: &Net| (0..8).all(|index| idle_bytes(net, index, |_| true) == full - 5 * SLOT_BYTES);
    let next = play_until(&mut net, 3, "idle content gives way", is_smaller).await;
    // What is left of those lots, and what is not touched, still answers.
    net.crash(3, 9).await;
    commit_round(&mut net, next, 0).await;
    assert!(finish_round(&mut net, next, 0).await > 0);
    assert_eq!(logs::<IAudits::Faulted>(&net).await.len(), 0);
    // Two of the lots are in volumes and stay.
    let leaving = Sender::new(net.chain.clone(), operator(7));
    leaving.call(MINERS, U256::ZERO, &IMiners::retireCall {}).await.expect("no round is open");
    let free: Vec<u32> = free_lots(&net, 8).await;
    assert_eq!(free.len(), 2);
    let is_gone = |net: &Net| idle_bytes(net, 7, |lot| free.contains(&lot)) == 0;
    play_until(&mut net, next + 1, "withdrawn lots are let go", is_gone).await;
    assert_eq!(idle_bytes(&net, 7, |_| true), 2 * LOT_BYTES - 5 * SLOT_BYTES);
}

/// Lots of a miner that are in no volume.
async fn free_lots(net: &Net, miner: u32) -> Vec<u32> {
    let network = Network(&*net.chain);
    let lots = standing(net, miner).await.lots;
    let calls: Vec<_> = (0..lots).map(|number| IAudits::lotOfCall { miner, number }).collect();
    let lots = network.read_many(AUDITS, &calls).await.expect("answers");
    let calls: Vec<_> = lots.iter().map(|id| IMiners::lotCall { id: *id }).collect();
    let states = network.read_many(MINERS, &calls).await.expect("answers");
    lots.into_iter().zip(states).filter(|(_, lot)| lot.volume == 0).map(|(lot, _)| lot).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_that_plotted_shows_its_walks_across_a_restart_and_its_lots_are_checked() {
    let mut spec = filled();
    let pledges = PledgeSpec { walks: 4, window_rounds: 4, lots_per_spot: u32::MAX };
    spec.audits.as_mut().expect("has rounds").pledges = Some(pledges);
    let mut net = plotted_with(spec).await;
    let before = logs::<IAudits::Demanded>(&net).await;
    assert_eq!(before.iter().map(|demand| usize::from(demand.lots)).sum::<usize>(), LOTS_OF_ALL);
    net.crash(0, 3).await;
    let last = before.iter().map(|demand| demand.round).max().expect("some are made");
    for number in 3..=last {
        commit_round(&mut net, number, 0).await;
        finish_round(&mut net, number, 0).await;
    }
    // Units are plotted in real time: the chain's stands nearly still meanwhile.
    net.chain.skip(A_LOOK);
    // Later rounds ask as well, and may be answered first.
    let mut met = Vec::new();
    while !before.iter().all(|made| met.contains(&made.demand)) {
        wait_for::<IAudits::DemandMet>(&net, met.len() + 1).await;
        met = logs::<IAudits::DemandMet>(&net).await.iter().map(|met| met.demand).collect();
    }
    assert!(logs::<IAudits::DemandFailed>(&net).await.is_empty());
    let shown = logs::<IAudits::Shown>(&net).await;
    for made in &before {
        assert_eq!(shown.iter().filter(|walk| walk.demand == made.demand).count(), usize::from(made.walks));
    }
    let lot = before[0].firstLot;
    let checked = Network(&*net.chain).read(AUDITS, &IAudits::checkOfCall { lot }).await.expect("answers");
    assert!(checked.round > 0 && checked.demand == before[0].demand);
}
