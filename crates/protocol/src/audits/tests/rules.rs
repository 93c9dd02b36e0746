//! Run the attacks behind the rules of the specification, and see them fail.

use super::farm::*;
use crate::fixture::*;
use alloy_primitives::{B256, U256};
use proofs::{
    opening::{Content, Opening},
    response::Source,
};
use types::{
    abi::{AUDITS, IAudits, IMiners, MINERS},
    spec::{AuditSpec, StorageSpec},
};

fn stocked() -> Farm {
    let mut farm = Farm::new();
    farm.store_all(0, &[1, 300_000, 1 << 20, 700_000, 1, 1 << 20]);
    farm
}

fn invalid(result: crate::Result<()>) -> String {
    refusal::<IAudits::InvalidOpening, _>(result).reason
}

/// A miner of volume 1 with a sample of this kind in the round, as it was opened.
fn sample_where(farm: &mut Farm, wanted: impl Fn(&IAudits::Sample) -> bool) -> Option<(u32, IAudits::Sample)> {
    farm.samples().into_iter().find(|(_, sample)| wanted(sample))
}

/// Plays rounds until a sample of this kind is drawn, with the openings still due.
fn drawn(farm: &mut Farm, wanted: impl Fn(&Farm, &IAudits::Sample) -> bool) -> (u32, IAudits::Sample) {
    for _ in 0..20 {
        farm.open_round();
        farm.commit_all(1..=9);
        farm.until(OPEN);
        let known = farm.clone();
        if let Some(found) = sample_where(farm, |sample| wanted(&known, sample)) {
            return found;
        }
        farm.open_all(1..=9);
        farm.until(REST);
    }
    panic!("no such sample in twenty rounds");
}

fn is_service(farm: &Farm, sample: &IAudits::Sample) -> bool {
    matches!(Opening::decode(&farm.opening(sample)).unwrap().content, Content::Stripe(..))
}

/// A stripe arrives while the slot it falls into is being audited: the member would owe two things at once.
#[test]
fn e7_a_stripe_that_arrives_during_a_round_is_not_owed_in_it() {
    let mut farm = stocked();
    let member = farm.net.volume(1).miners[0];
    farm.open_round();
    let before = column(&farm, member);
    farm.store_all(1, &[1 << 20, 500_000]);
    farm.commit_all(1..=9);
    farm.store_all(2, &[1 << 20]);
    farm.until(OPEN);
    farm.store_all(3, &[1 << 20]);
    // Its state says so too, after all these changes.
    assert_eq!(column(&Farm { duties: [(member, farm.holder(member))].into(), ..farm.clone() }, member), before);
    farm.open_all(1..=9);
    farm.until(REST);
    assert!(farm.faults().is_empty());
    // From the next round on it is owed.
    farm.open_round();
    assert_eq!(column(&farm, member), before + (256 + 124 + 256 + 256) * 1024);
    farm.commit_all(1..=9);
    farm.until(OPEN);
    farm.open_all(1..=9);
    farm.until(REST);
    assert!(farm.faults().is_empty());
}

/// Length of the column that a member answers for.
fn column(farm: &Farm, miner: u32) -> u64 {
    let holder = &farm.duties[&miner];
    (0..holder.round.lots).filter_map(|lot| holder.duty(lot).service).map(|service| service.column_bytes).sum()
}

/// A stripe is released after beacon A: a miner that kept its word must still be able to open it, and one that lost it
/// must not get away.
#[test]
fn e7_what_is_released_during_a_round_is_owed_until_the_next() {
    let mut farm = stocked();
    farm.open_round();
    for index in [0, 2, 5] {
        farm.release(index);
    }
    farm.commit_all(1..=9);
    farm.until(OPEN);
    farm.release(1);
    farm.open_all(1..=9);
    farm.until(REST);
    assert!(farm.faults().is_empty());
    // Next round: zeros, and the bytes themselves are refused.
    farm.play(1..=9);
    assert!(farm.faults().is_empty());
}

/// A miner says of a stripe that it does not owe it; or shows bytes where zeros are due.
#[test]
fn e7_a_miner_does_not_choose_what_it_owes() {
    let mut farm = stocked();
    let (number, sample) = drawn(&mut farm, is_service);
    let honest = farm.opening(&sample);
    let mut opening = Opening::decode(&honest).unwrap();
    let Content::Stripe(stripe, _) = opening.content.clone() else { panic!("a stripe") };
    opening.content = Content::NotOwed(stripe);
    // The response is over the bytes, so zeros do not match it.
    assert!(invalid(farm.try_open(number, opening.encode())).contains("response"));
    opening.content = Content::Unfilled;
    assert!(invalid(farm.try_open(number, opening.encode())).contains("kind"));
    farm.try_open(number, honest).unwrap();

    // It commits to zeros from the start.
    let mut farm = stocked();
    for _ in 0..20 {
        farm.open_round();
        let honest = farm.clone();
        for holder in farm.duties.values_mut() {
            holder.disown();
        }
        farm.commit_all(1..=9);
        farm.until(OPEN);
        for (number, sample) in farm.samples() {
            if is_service(&honest, &sample) {
                let opening = farm.opening(&sample);
                assert!(invalid(farm.try_open(number, opening)).contains("owes"));
                farm.until(REST);
                assert!(farm.faults().iter().any(|fault| fault.sample == number));
                return;
            }
        }
        farm.until(REST);
    }
    panic!("no stripe was sampled");
}

/// A seat outside the bitmap of a commit owes nothing of it, and earns nothing by it.
#[test]
fn e18_a_seat_that_did_not_sign_owes_zeros() {
    let mut farm = Farm::new();
    for sequence in 0..6 {
        farm.store(sequence, &[700_000, 1], &[0, 1, 2, 4, 5, 6]);
    }
    for _ in 0..3 {
        farm.play(1..=9);
    }
    assert!(farm.faults().is_empty());
}

/// The samples are bad, so the miner that committed says nothing.
#[test]
fn withholding_after_beacon_b_is_a_fault_for_each_sample() {
    let mut farm = stocked();
    farm.open_round();
    farm.commit_all(1..=9);
    farm.until(OPEN);
    let samples = farm.samples();
    let silent = samples[0].1.miner;
    let due = samples.iter().filter(|(_, sample)| sample.miner == silent).count();
    let before = farm.collateral(silent);
    let fine = farm.net.view(AUDITS, &IAudits::pricesCall {}).fine;
    farm.open_all((1..=9).filter(|miner| *miner != silent));
    farm.until(REST);
    let faults = farm.faults();
    assert_eq!(faults.len(), due);
    assert!(faults.iter().all(|fault| fault.miner == silent && fault.fine == fine));
    assert_eq!(farm.collateral(silent), before - fine * U256::from(due));
    let standing = farm.standing(silent);
    assert_eq!((standing.faults, standing.watchedRounds), (due as u32, 24));
    // The fine is twenty times what an opening brings at most.
    let prices = farm.net.view(AUDITS, &IAudits::pricesCall {});
    let rules = farm.net.spec.audits.clone().unwrap();
    let idle = rules.emission_per_round / U256::from(rules.samples * 3 / 4) / U256::from(19);
    assert_eq!(fine, idle.max(prices.fee + prices.emission) * U256::from(20));
}

/// A miner commits to anything, hoping not to be sampled.
#[test]
fn a_garbage_commitment_cannot_be_opened() {
    let mut farm = stocked();
    farm.open_round();
    farm.commit_all(2..=9);
    farm.try_commit(1, B256::repeat_byte(7)).unwrap();
    farm.until(OPEN);
    let samples = farm.samples();
    farm.open_all(2..=9);
    let mine: Vec<_> = samples.into_iter().filter(|(_, sample)| sample.miner == 1).collect();
    for (number, sample) in &mine {
        let opening = farm.opening(sample);
        assert!(invalid(farm.try_open(*number, opening)).contains("commitment"));
    }
    farm.until(REST);
    assert_eq!(farm.faults().len(), mine.len());
}

/// A miner has lost its bytes and answers with others.
#[test]
fn lost_bytes_are_found() {
    let mut farm = stocked();
    farm.open_round();
    farm.duties.get_mut(&1).unwrap().lost = Some(9);
    farm.commit_all(1..=9);
    farm.until(OPEN);
    let mine: Vec<_> = farm.samples().into_iter().filter(|(_, sample)| sample.miner == 1).collect();
    for (number, sample) in &mine {
        // The commitment is over wrong bytes; what it should have been over does not match it.
        let wrong = farm.opening(sample);
        assert!(farm.try_open(*number, wrong).is_err());
        let mut right = farm.clone();
        right.duties.get_mut(&1).unwrap().lost = None;
        let right = right.opening(sample);
        assert!(invalid(farm.try_open(*number, right)).contains("commitment"));
    }
    farm.open_all(2..=9);
    farm.until(REST);
    assert_eq!(farm.faults().len(), mine.len());
}

#[test]
fn a_miner_commits_once_and_in_time() {
    let mut farm = stocked();
    let round = farm.open_round();
    let root = farm.responses(1).root();
    let commit = |round| IAudits::commitCall { round, root, lost: Vec::new() };
    let operator = farm.operator(1);
    for wrong in [round - 1, round + 1] {
        let _: IAudits::WrongStage = refusal(farm.net.try_call(operator, AUDITS, &commit(wrong)));
    }
    farm.try_commit(1, root).unwrap();
    let twice: IAudits::AlreadyCommitted = refusal(farm.try_commit(1, B256::ZERO));
    assert_eq!(twice.round, round);
    let _: IAudits::NotAudited = refusal(farm.net.try_call(MALLORY, AUDITS, &commit(round)));
    // Late by a millisecond, before any block noticed.
    farm.net.world.block.timestamp_ms = farm.round().deadlineMs + 1;
    let root = farm.responses(2).root();
    let _: IAudits::WrongStage = refusal(farm.try_commit(2, root));
    // And once the beacon can be known.
    farm.until(OPEN);
    let _: IAudits::WrongStage = refusal(farm.try_commit(2, root));
}

#[test]
fn an_opening_is_good_for_one_sample_of_one_round() {
    let mut farm = stocked();
    farm.open_round();
    farm.commit_all(1..=9);
    farm.until(OPEN);
    let samples = farm.samples();
    let openings: Vec<Vec<u8>> = samples.iter().map(|(_, sample)| farm.opening(sample)).collect();
    // Another sample's opening, of the same miner or another, over the same or another lot.
    for ((number, sample), own) in samples.iter().zip(&openings).take(8) {
        for other in openings.iter().filter(|other| *other != own) {
            assert!(farm.try_open(*number, other.clone()).is_err(), "{sample:?}");
        }
    }
    let (number, _) = samples[0];
    farm.try_open(number, openings[0].clone()).unwrap();
    let again: IAudits::AlreadyOpened = refusal(farm.try_open(number, openings[0].clone()));
    assert_eq!(again.sample, number);
    let count = farm.round().samples;
    let _: IAudits::UnknownSample = refusal(farm.try_open(count, openings[0].clone()));
    // Too late by a millisecond.
    farm.net.world.block.timestamp_ms = farm.round().deadlineMs + 1;
    let _: IAudits::WrongStage = refusal(farm.try_open(samples[1].0, openings[1].clone()));
    farm.until(REST);
    // In the next round the same bytes answer nothing.
    farm.open_round();
    farm.commit_all(1..=9);
    farm.until(OPEN);
    for (number, _) in farm.samples() {
        for old in openings.iter().take(4) {
            assert!(farm.try_open(number, old.clone()).is_err());
        }
    }
}

#[test]
fn a_sample_of_a_miner_without_a_commitment_is_no_ones() {
    let mut farm = stocked();
    farm.open_round();
    farm.commit_all(2..=9);
    farm.until(OPEN);
    let mine: Vec<_> = farm.samples().into_iter().filter(|(_, sample)| sample.miner == 1).collect();
    for (number, sample) in &mine {
        let opening = farm.opening(sample);
        let none: IAudits::NotCommitted = refusal(farm.try_open(*number, opening));
        assert_eq!(none.miner, 1);
    }
    farm.open_all(2..=9);
    farm.until(REST);
    assert!(farm.faults().is_empty());
    // The cursor booked the round where a sample hit it; otherwise anyone reports it.
    let booked = farm.net.events::<IAudits::Missed>().len();
    assert_eq!(booked, usize::from(!mine.is_empty()));
    farm.net.call(MALLORY, AUDITS, &IAudits::reportCall { miner: 1 });
    let missed = farm.net.events::<IAudits::Missed>();
    assert_eq!(missed.len(), 1);
    assert_eq!((missed[0].miner, missed[0].firstRound, missed[0].lastRound), (1, 1, 1));
    assert!(missed[0].fine > U256::ZERO);
}

/// A long outage: linear, and never more than a part of the collateral.
#[test]
fn missed_rounds_cost_their_reward_up_to_a_part_of_the_collateral() {
    let mut farm = stocked();
    let start = farm.collateral(1);
    farm.play(1..=9);
    for _ in 0..3 {
        farm.play(2..=9);
    }
    farm.net.call(BOB, AUDITS, &IAudits::reportCall { miner: 1 });
    let missed = farm.net.events::<IAudits::Missed>();
    let rounds: u64 = missed.iter().map(|missed| missed.lastRound - missed.firstRound + 1).sum();
    let fines: U256 = missed.iter().map(|missed| missed.fine).sum();
    assert_eq!((rounds, farm.standing(1).booked), (3, 4));
    assert_eq!(farm.collateral(1), start - fines);
    let each = fines / U256::from(3);
    assert!(each > U256::ZERO);
    assert!(missed.iter().all(|m| m.fine == each * U256::from(m.lastRound - m.firstRound + 1)), "linear");

    // With a reward as large as the collateral the outage is capped.
    let audits = AuditSpec { silent_rounds: u16::MAX, ..spec().audits.unwrap() };
    let spec = StorageSpec { lot_collateral: each * U256::from(10), audits: Some(audits), ..spec() };
    let mut farm = Farm::with(spec);
    farm.play(1..=9);
    let start = farm.collateral(1);
    for _ in 0..8 {
        farm.play(2..=9);
        farm.net.call(BOB, AUDITS, &IAudits::reportCall { miner: 1 });
    }
    let lost = start - farm.collateral(1);
    assert!(lost <= (start * U256::from(4)).div_ceil(U256::from(100)), "{lost} of {start}");
    // Answering ends the outage.
    farm.play(1..=9);
    assert_eq!(start - farm.collateral(1), lost);
}

/// A miner that failed is sampled additionally until it has answered enough rounds, and staying away does not help.
#[test]
fn a_fault_is_watched_until_enough_rounds_are_answered() {
    let audits = AuditSpec { watch_rounds: 2, ..spec().audits.unwrap() };
    let mut farm = Farm::with(StorageSpec { audits: Some(audits), ..spec() });
    farm.open_round();
    farm.commit_all(1..=9);
    let drawn = farm.until(OPEN).samples;
    let failing = farm.samples()[0].1.miner;
    farm.open_all((1..=9).filter(|miner| *miner != failing));
    farm.until(REST);
    assert_eq!(farm.standing(failing).watchedRounds, 2);
    // Absent: still two rounds.
    farm.play((1..=9).filter(|miner| *miner != failing));
    assert_eq!(farm.standing(failing).watchedRounds, 2);
    for left in [1, 0] {
        farm.open_round();
        farm.commit_all(1..=9);
        assert_eq!(farm.until(OPEN).samples, drawn + 4);
        let extra: Vec<_> = farm.samples().into_iter().filter(|(number, _)| *number >= drawn).collect();
        assert!(!extra.is_empty() && extra.iter().all(|(_, sample)| sample.miner == failing));
        farm.open_all(1..=9);
        let opened = farm.net.events::<IAudits::Opened>();
        assert!(opened.iter().filter(|event| event.sample >= drawn).all(|event| event.reward.is_zero()));
        farm.until(REST);
        assert_eq!(farm.standing(failing).watchedRounds, left);
    }
    farm.open_round();
    assert_eq!(farm.until(OPEN).samples, drawn);
}

/// A miner sees bad samples coming and takes its lots and collateral out.
#[test]
fn nobody_leaves_while_a_round_holds_it() {
    let mut farm = stocked();
    let retire = IMiners::retireCall {};
    farm.open_round();
    farm.commit_all(1..=8);
    let operator = farm.operator(1);
    let _: IMiners::RoundPending = refusal(farm.net.try_call(operator, MINERS, &retire));
    farm.until(OPEN);
    for miner in [2, 9] {
        let operator = farm.operator(miner);
        let _: IMiners::RoundPending = refusal(farm.net.try_call(operator, MINERS, &retire));
    }
    farm.open_all(1..=8);
    farm.until(REST);
    farm.net.call(operator, MINERS, &retire);
    // What is left of it goes on being audited, what has left owes nothing.
    farm.play(1..=9);
    farm.play(1..=9);
    assert!(farm.faults().is_empty());
}

#[test]
fn lots_count_from_the_round_after_their_pledge() {
    let mut farm = stocked();
    farm.open_round();
    let lots = farm.standing(1).lots;
    farm.net.pledge(1, 3);
    assert_eq!(farm.standing(1).lots, lots);
    farm.commit_all(1..=9);
    farm.until(OPEN);
    farm.open_all(1..=9);
    farm.until(REST);
    farm.play(1..=9);
    assert_eq!(farm.standing(1).lots, lots + 3);
    assert_eq!(farm.net.view(AUDITS, &IAudits::lotOfCall { miner: 1, number: lots + 2 }), 21);
    farm.plot(1, 19, 3);
    farm.play(1..=9);
    assert!(!farm.net.view(AUDITS, &IAudits::dutyCall { lot: 21 }).idleRoot.is_zero());
    assert!(farm.faults().is_empty());
}

/// What comes from a beacon that is known at the pledge could be plotted once, and pledged by whoever pleases.
#[test]
fn idle_units_come_from_the_first_beacon_that_nobody_knew_at_the_pledge() {
    let mut farm = stocked();
    let beacon_of = |farm: &mut Farm, lot| {
        let IAudits::lotBeaconReturn { round, beacon } = farm.net.view(AUDITS, &IAudits::lotBeaconCall { lot });
        (round, beacon)
    };
    let plot = |lot| IAudits::plotCall { firstLot: lot, idleRoots: vec![B256::repeat_byte(1)] };
    farm.open_round();
    let first = farm.round().beaconA;
    assert_eq!((beacon_of(&mut farm, 1), beacon_of(&mut farm, 18)), ((1, first), (1, first)));
    // Pledged while beacon A of this round is known, in every stage that there is.
    for (lot, stage) in [(19, COMMIT), (20, OPEN), (21, REST), (22, AWAIT_A)] {
        farm.until(stage);
        farm.net.pledge(1 + lot % 2, 1);
        assert_eq!(beacon_of(&mut farm, lot), (2, B256::ZERO));
        let operator = farm.operator(1 + lot % 2);
        let pending: IAudits::BeaconPending = refusal(farm.net.try_call(operator, AUDITS, &plot(lot)));
        assert_eq!(pending.lot, lot);
    }
    farm.open_round();
    let second = farm.round().beaconA;
    assert_ne!(first, second);
    farm.net.pledge(1, 2);
    for lot in 19..=22 {
        assert_eq!(beacon_of(&mut farm, lot), (2, second));
        let operator = farm.operator(1 + lot % 2);
        farm.net.call(operator, AUDITS, &plot(lot));
    }
    assert_eq!((beacon_of(&mut farm, 1), beacon_of(&mut farm, 24)), ((1, first), (3, B256::ZERO)));
    // It stays, whatever comes later, and what is no lot has none.
    farm.open_round();
    assert_eq!((beacon_of(&mut farm, 18), beacon_of(&mut farm, 22)), ((1, first), (2, second)));
    let _: IMiners::UnknownLot = refusal(farm.net.try_call(ALICE, AUDITS, &IAudits::lotBeaconCall { lot: 25 }));
}

#[test]
fn a_miner_without_lots_is_asked_nothing() {
    let mut farm = stocked();
    farm.net.add_miner(0);
    farm.open_round();
    let _: IAudits::NotAudited = refusal(farm.try_commit(10, B256::ZERO));
    farm.commit_all(1..=9);
    farm.until(OPEN);
    assert!(farm.samples().iter().all(|(_, sample)| sample.miner != 10));
    farm.open_all(1..=9);
    farm.until(REST);
    let _: IAudits::NotAudited = refusal(farm.net.try_call(BOB, AUDITS, &IAudits::reportCall { miner: 10 }));
    assert!(farm.net.events::<IAudits::Missed>().is_empty());
}

/// Another root would let a miner owe what it happens to have.
#[test]
fn idle_roots_are_named_once_and_by_their_operator() {
    let mut farm = Farm::new();
    let plot = |first, root| IAudits::plotCall { firstLot: first, idleRoots: vec![root] };
    let operator = farm.operator(1);
    let again: IAudits::AlreadyPlotted = refusal(farm.net.try_call(operator, AUDITS, &plot(1, B256::repeat_byte(1))));
    assert_eq!(again.lot, 1);
    let _: IAudits::NotLotsOperator = refusal(farm.net.try_call(operator, AUDITS, &plot(3, B256::repeat_byte(1))));
    let _: IAudits::InvalidPlot = refusal(farm.net.try_call(operator, AUDITS, &plot(1, B256::ZERO)));
    // A lot without owes no idle content, and earns nothing.
    farm.net.pledge(1, 1);
    farm.play(1..=9);
    farm.play(1..=9);
    assert!(farm.faults().is_empty());
    assert!(farm.net.view(AUDITS, &IAudits::dutyCall { lot: 19 }).idleRoot.is_zero());
}

/// What a miner says it lost costs the rebuild, and no fine; it cannot say so of everything.
#[test]
fn declared_losses_are_few_and_pay_their_rebuild() {
    let mut farm = stocked();
    let round = farm.open_round();
    let root = farm.responses(1).root();
    let operator = farm.operator(1);
    for lost in [vec![0, 1], vec![1, 0], vec![2, 2], vec![u32::MAX]] {
        let call = IAudits::commitCall { round, root, lost };
        let _: IAudits::InvalidLoss = refusal(farm.net.try_call(operator, AUDITS, &call));
    }
    farm.until(REST);
    for _ in 0..20 {
        let round = farm.open_round();
        let root = farm.responses(1).root();
        let before = farm.collateral(1);
        let call = IAudits::commitCall { round, root, lost: vec![0] };
        farm.net.call(operator, AUDITS, &call);
        let paid = farm.net.events::<IAudits::DeclaredLost>().pop().unwrap().paid;
        assert_eq!(paid, U256::from(farm.net.spec.slot_bytes * 30 * farm.net.spec.price_per_byte_day));
        assert!(farm.collateral(1) <= before - paid);
        farm.commit_all(2..=9);
        farm.until(OPEN);
        let hit = sample_where(&mut farm, |sample| sample.miner == 1 && sample.entry == 0);
        let rest: Vec<_> = farm.samples();
        for (number, sample) in rest {
            if sample.miner != 1 || sample.entry != 0 {
                let opening = farm.opening(&sample);
                farm.try_open(number, opening).unwrap();
            }
        }
        farm.until(REST);
        assert!(farm.faults().is_empty());
        if hit.is_some() {
            return;
        }
    }
    panic!("the declared entry was never sampled");
}

/// A full lane delays the round instead of voiding it.
#[test]
fn a_full_lane_moves_the_deadline() {
    let audits = AuditSpec { lane_bytes: 132 * 3, ..spec().audits.unwrap() };
    let mut farm = Farm::with(StorageSpec { audits: Some(audits), ..spec() });
    farm.open_round();
    let deadline = farm.round().deadlineMs;
    farm.commit_all(1..=2);
    farm.block();
    assert_eq!(farm.round().deadlineMs, deadline);
    farm.commit_all(3..=5);
    farm.block();
    assert_eq!(farm.round().deadlineMs, deadline + 1_000);
    farm.block();
    assert_eq!(farm.round().deadlineMs, deadline + 1_000);
}

/// A chain without blocks over a deadline delays the round: nobody could have answered.
#[test]
fn a_standstill_moves_the_deadline() {
    let audits = AuditSpec { standstill_ms: Some(10_000), ..spec().audits.unwrap() };
    let mut farm = Farm::with(StorageSpec { audits: Some(audits), ..spec() });
    farm.open_round();
    let mut deadline = farm.round().deadlineMs;
    farm.block();
    assert_eq!(farm.round().deadlineMs, deadline);
    for stage in [COMMIT, OPEN] {
        farm.net.world.block.timestamp_ms += 3_600_000;
        farm.block();
        let round = farm.round();
        assert_eq!(round.stage, stage);
        let moved = round.deadlineMs - deadline;
        assert!((3_600_000..=3_600_000 + 6_000).contains(&moved), "{moved}");
        // Time in which blocks came counts, also if they came slowly.
        farm.net.world.block.timestamp_ms += 8_000;
        farm.block();
        assert_eq!(farm.round().deadlineMs, round.deadlineMs);
        if stage == COMMIT {
            farm.commit_all(1..=9);
            deadline = farm.until(OPEN).deadlineMs;
        }
    }
    farm.open_all(1..=9);
    farm.until(REST);
    assert!((1..=9).all(|miner| farm.standing(miner).faults == 0));
}

/// The rest of emission is not minted: a self-dealer gets back less than it paid.
#[test]
fn e1_emission_never_exceeds_the_fee() {
    let audits = AuditSpec { emission_per_round: U256::from(FUNDS / 1_000), ..spec().audits.unwrap() };
    let mut farm = Farm::with(StorageSpec { audits: Some(audits), ..spec() });
    farm.store_all(0, &[1 << 20; 7]);
    farm.open_round();
    farm.commit_all(1..=9);
    farm.until(OPEN);
    let fee = farm.net.view(AUDITS, &IAudits::pricesCall {}).fee;
    let mut stripes = 0;
    for (number, sample) in farm.samples() {
        let opening = farm.opening(&sample);
        let is_stripe = is_service(&farm, &sample);
        farm.try_open(number, opening).unwrap();
        let reward = farm.net.events::<IAudits::Opened>().pop().unwrap().reward;
        if is_stripe && !reward.is_zero() {
            stripes += 1;
            assert_eq!(reward, fee - (fee * U256::from(10)).div_ceil(U256::from(100)) + fee);
        }
    }
    assert!(stripes > 0);
}

/// Only the seed of the view fixed in advance opens or draws.
#[test]
fn e4_a_seed_of_another_view_does_nothing() {
    let mut farm = stocked();
    while farm.round().stage != 1 {
        farm.block();
    }
    let (epoch, view) = farm.net.target().expect("beacon A is awaited");
    assert!(view > farm.net.world.block.view);
    for other in [(epoch, view - 1), (epoch, view + 1), (epoch + 1, view)] {
        farm.net.block(Some(beacon(other)));
        assert_eq!(farm.round().stage, 1);
    }
    farm.net.block(Some(beacon((epoch, view))));
    assert_eq!(farm.round().stage, COMMIT);
}
