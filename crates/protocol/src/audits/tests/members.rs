//! Change who holds a seat while rounds go on, and see that nobody gains or loses by it.

use super::farm::*;
use crate::{
    audits::record::Clock,
    fixture::*,
    storage::Word,
    volumes::{phase, reason},
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use proofs::opening::{Content, Opening};
use std::collections::BTreeSet;
use types::{
    abi::{AUDITS, IAudits, IMiners, IPolicies, IVolumes, MINERS, POLICIES, VOLUMES},
    merkle::Tree,
    spec::{AuditSpec, StorageSpec},
};

const LENGTHS: [u64; 6] = [1, 300_000, 1 << 20, 700_000, 1, 1 << 20];

/// So many miners with a lot each: eight of them are members, the others wait.
fn stocked(miners: u32) -> Farm {
    stocked_with(spec(), miners)
}

fn stocked_with(spec: StorageSpec, miners: u32) -> Farm {
    let mut farm = Farm::sized(spec, miners, 1);
    farm.store_all(0, &LENGTHS);
    farm
}

fn leave(farm: &mut Farm, seat: u16) {
    let holder = farm.seat(seat).miner;
    farm.net.call(farm.operator(holder), VOLUMES, &IVolumes::leaveCall { volume: 1, seat });
}

/// Waits for somebody else in a seat.
fn replaced(farm: &mut Farm, seat: u16) -> IVolumes::Seat {
    farm.wait_for(|farm| farm.seat(seat).state == phase::REBUILDING);
    farm.seat(seat)
}

fn progress(farm: &mut Farm, seat: u16, watermark: u64) {
    let state = farm.seat(seat);
    let newcomer = if state.successor == 0 { state.miner } else { state.successor };
    farm.net.call(farm.operator(newcomer), VOLUMES, &IVolumes::progressCall { volume: 1, seat, watermark });
}

fn withdraw(farm: &mut Farm, miner: u32) -> crate::Result<U256> {
    farm.net.try_call(farm.operator(miner), MINERS, &IMiners::withdrawCall {})
}

fn gap(duty: &IAudits::Duty) -> (u32, u16, u64, u64) {
    (duty.volume, duty.seat, duty.gapFrom, duty.gapTo)
}

/// Openings and verdicts of a round that is open and committed to.
fn end_round(farm: &mut Farm, miners: impl IntoIterator<Item = u32>) {
    farm.until(OPEN);
    farm.open_all(miners);
    farm.until(REST);
}

/// A round in which one miner's bytes are others than they should be.
fn fail(farm: &mut Farm, miner: u32) {
    farm.open_round();
    farm.duties.get_mut(&miner).expect("a miner").lost = Some(9);
    let all: Vec<u32> = farm.miners().collect();
    farm.commit_all(all.iter().copied());
    end_round(farm, all.into_iter().filter(|other| *other != miner));
}

/// A member goes while its column is audited, and another takes the seat.
#[test]
fn e7_a_newcomer_owes_its_column_from_the_next_round_on() {
    let mut farm = stocked(12);
    farm.open_round();
    farm.commit_all(1..=12);
    let before = farm.seat(2);
    let owed = farm.duty(before.lot);
    leave(&mut farm, 2);
    let newcomer = replaced(&mut farm, 2);
    assert_ne!(newcomer.lot, before.lot);
    assert_eq!(farm.duty(before.lot), owed, "it answers until the round is over");
    assert_eq!((owed.volume, farm.duty(newcomer.lot).volume), (1, 0));
    end_round(&mut farm, 1..=12);
    assert!(farm.faults().is_empty(), "{:?}", farm.faults());

    let column = farm.net.volume(1).columnBytes;
    farm.open_round();
    assert_eq!(farm.duty(before.lot), IAudits::Duty::default());
    let duty = farm.duty(newcomer.lot);
    assert_eq!(gap(&duty), (1, 2, 0, column));
    let rest = (1..=12).filter(|miner| *miner != before.miner);
    let _: IAudits::NotAudited = refusal(farm.try_commit(before.miner, B256::ZERO));
    farm.commit_all(rest.clone());
    end_round(&mut farm, rest);
    assert!(farm.faults().is_empty() && farm.net.events::<IAudits::Missed>().is_empty());
}

/// A newcomer takes stripes over while it is audited: it owes and earns what it had at beacon A.
#[test]
fn e7_a_newcomer_owes_what_lay_below_its_watermark_and_came_since() {
    let mut farm = stocked(12);
    let gone = farm.seat(0).miner;
    leave(&mut farm, 0);
    let newcomer = replaced(&mut farm, 0);
    let (first, target) = (farm.net.leaves(1)[2].offset, newcomer.targetBytes);
    progress(&mut farm, 0, first);
    farm.store_all(1, &[500_000]);
    let all = (1..=12).filter(|miner| *miner != gone);
    let (mut in_gap, mut is_whole) = (0, false);
    for _ in 0..20 {
        farm.open_round();
        let duty = farm.duty(newcomer.lot);
        assert_eq!(gap(&duty), (1, 0, first, target));
        farm.commit_all(all.clone());
        if !is_whole {
            let before = farm.clone();
            progress(&mut farm, 0, target);
            assert_eq!(farm.duty(newcomer.lot), duty, "the watermark has moved, what is owed has not");
            end_round(&mut farm, all.clone());
            farm.open_round();
            assert_eq!(gap(&farm.duty(newcomer.lot)), (1, 0, 0, 0));
            (farm, is_whole) = (before, true);
        }
        farm.until(OPEN);
        for (number, sample) in farm.samples() {
            let opening = farm.opening(&sample);
            let is_zeros = matches!(Opening::decode(&opening).unwrap().content, Content::NotOwed(_));
            farm.try_open(number, opening).unwrap();
            let reward = farm.net.events::<IAudits::Opened>().pop().unwrap().reward;
            assert!(!is_zeros || reward.is_zero() && sample.lot == newcomer.lot);
            in_gap += u32::from(is_zeros);
        }
        farm.until(REST);
        assert!(farm.faults().is_empty());
        if in_gap > 0 {
            return;
        }
    }
    panic!("no sample fell into the gap");
}

/// A newcomer says that it has the column, waits out the grace and takes the pay.
#[test]
fn a_false_watermark_costs_the_seat_before_it_is_paid() {
    let mut farm = stocked(12);
    leave(&mut farm, 3);
    let newcomer = replaced(&mut farm, 3);
    let old = farm.net.events::<IMiners::LotLeft>()[0].miner;
    progress(&mut farm, 3, newcomer.targetBytes);
    assert_eq!(farm.seat(3).state, phase::SETTLING);
    let all = (1..=12).filter(|miner| *miner != old);
    for _ in 0..20 {
        farm.open_round();
        farm.duties.get_mut(&newcomer.miner).unwrap().lost = Some(7);
        farm.commit_all(all.clone());
        end_round(&mut farm, all.clone().filter(|miner| *miner != newcomer.miner));
        if let Some(fault) = farm.faults().first() {
            assert_eq!(fault.lot, newcomer.lot);
            let lost = farm.net.events::<IVolumes::SeatLost>().pop().unwrap();
            assert_eq!((lost.miner, lost.seat, lost.reason), (newcomer.miner, 3, reason::FAULTY));
            let seat = farm.seat(3);
            assert_eq!((seat.state, seat.payLeft), (phase::LOST, newcomer.payLeft));
            farm.net.world.block.timestamp_ms += 1_000_000;
            let settle = IVolumes::settleCall { volume: 1, seat: 3 };
            let _: IVolumes::NothingToSettle = refusal(farm.net.try_call(BOB, VOLUMES, &settle));
            return;
        }
    }
    panic!("the newcomer was never sampled");
}

/// The samples are bad, so the member goes; its lot is drawn away, and its collateral would be gone before the verdict.
#[test]
fn e7_nobody_escapes_a_verdict_by_leaving_its_seat() {
    let mut farm = stocked(12);
    let before = total(&farm.net);
    farm.open_round();
    farm.commit_all(1..=12);
    farm.until(OPEN);
    let members = farm.net.volume(1).lots;
    let asked = farm.samples().into_iter().find(|(_, sample)| members.contains(&sample.lot)).expect("a member").1;
    let due = farm.samples().iter().filter(|(_, sample)| sample.lot == asked.lot).count();
    let seat = members.iter().position(|lot| *lot == asked.lot).unwrap() as u16;
    leave(&mut farm, seat);
    replaced(&mut farm, seat);
    assert_eq!(farm.round().stage, OPEN);
    assert!(farm.collateral(asked.miner).is_zero());
    let waiting = farm.parting(asked.miner);
    assert!(waiting > U256::ZERO);
    let _: IMiners::RoundPending = refusal(withdraw(&mut farm, asked.miner));
    farm.open_all((1..=12).filter(|miner| *miner != asked.miner));
    farm.until(REST);
    let faults = farm.faults();
    assert!(faults.len() == due && faults.iter().all(|fault| fault.lot == asked.lot && !fault.fine.is_zero()));
    let left = waiting - faults.iter().map(|fault| fault.fine).sum::<U256>();
    assert_eq!((farm.parting(asked.miner), withdraw(&mut farm, asked.miner).unwrap()), (left, left));
    let _: IMiners::NothingToWithdraw = refusal(withdraw(&mut farm, asked.miner));
    assert_eq!(total(&farm.net), before);
}

/// Who hands its seat over answers until the round is over, and the successor for what it has by then.
#[test]
fn e7_a_successor_answers_for_what_it_has_taken_over() {
    let mut farm = stocked(12);
    let old = farm.seat(6);
    farm.net.call(farm.operator(old.miner), VOLUMES, &IVolumes::handOverCall { volume: 1, seat: 6 });
    farm.wait_for(|farm| farm.seat(6).state == phase::HANDING_OVER);
    let successor = farm.seat(6).successorLot;
    let first = farm.net.leaves(1)[3].offset;
    progress(&mut farm, 6, first);
    farm.open_round();
    let duties = [old.lot, successor].map(|lot| farm.duty(lot));
    assert_eq!(duties.each_ref().map(gap), [(1, 6, 0, 0), (1, 6, first, u64::MAX)]);
    farm.commit_all(1..=12);
    farm.store_all(1, &[1]);
    let column = farm.net.volume(1).columnBytes;
    progress(&mut farm, 6, column);
    assert_eq!((farm.seat(6).state, farm.seat(6).lot), (phase::WHOLE, successor));
    assert_eq!([old.lot, successor].map(|lot| farm.duty(lot)), duties);
    let _: IMiners::RoundPending = refusal(withdraw(&mut farm, old.miner));
    end_round(&mut farm, 1..=12);
    assert!(farm.faults().is_empty(), "{:?}", farm.faults());
    assert_eq!(withdraw(&mut farm, old.miner).unwrap(), farm.net.spec.lot_collateral);
    farm.open_round();
    assert_eq!(gap(&farm.duty(successor)), (1, 6, 0, 0));
    assert_eq!(farm.duty(old.lot), IAudits::Duty::default());
}

/// A lot leaves when no round holds it: nothing waits, and nothing is owed.
#[test]
fn a_lot_that_leaves_between_rounds_is_paid_at_once() {
    let mut farm = stocked(12);
    let old = farm.seat(1);
    leave(&mut farm, 1);
    replaced(&mut farm, 1);
    assert!(farm.parting(old.miner).is_zero());
    assert_eq!(farm.standing(old.miner).lotsLive, 0);
    let rest = (1..=12).filter(|miner| *miner != old.miner);
    farm.play(rest.clone());
    farm.play(rest);
    let _: IAudits::NotAudited = refusal(farm.net.try_call(BOB, AUDITS, &IAudits::reportCall { miner: old.miner }));
    assert!(farm.faults().is_empty() && farm.net.events::<IAudits::Missed>().is_empty());
}

/// A seat takes a skipped stripe on while the slot is audited.
#[test]
fn e18_what_is_healed_during_a_round_is_owed_from_the_next() {
    let mut farm = Farm::new();
    farm.store(0, &[700_000, 1, 1 << 20], &[0, 1, 2, 4, 5, 6, 7]);
    let owes = |farm: &mut Farm| {
        [0, 1, 2].map(|stripe| farm.net.view(AUDITS, &IAudits::owesCall { volume: 1, stripe, seat: 3 }))
    };
    let heal = |farm: &mut Farm, index: u32| {
        let (stripes, holder) = (vec![farm.net.release_of(1, index)], farm.seat(3).miner);
        farm.net.call(farm.operator(holder), VOLUMES, &IVolumes::healCall { volume: 1, seat: 3, stripes });
    };
    farm.open_round();
    heal(&mut farm, 0);
    farm.commit_all(1..=9);
    heal(&mut farm, 1);
    farm.until(OPEN);
    heal(&mut farm, 2);
    assert_eq!(owes(&mut farm), [false; 3]);
    farm.open_all(1..=9);
    farm.until(REST);
    for _ in 0..2 {
        farm.open_round();
        assert_eq!(owes(&mut farm), [true; 3]);
        farm.commit_all(1..=9);
        end_round(&mut farm, 1..=9);
    }
    assert!(farm.faults().is_empty());
}

/// With audits a released stripe keeps who missed it: nobody is paid for it a second time.
#[test]
fn e18_a_released_stripe_heals_nobody() {
    let mut farm = Farm::new();
    farm.store(0, &[700_000], &[0, 1, 2, 3, 4, 5, 6]);
    farm.open_round();
    farm.release(0);
    let (stripes, holder) = (vec![farm.net.release_of(1, 0)], farm.seat(7).miner);
    let heal = IVolumes::healCall { volume: 1, seat: 7, stripes };
    let operator = farm.operator(holder);
    let _: IVolumes::NotMissing = refusal(farm.net.try_call(operator, VOLUMES, &heal));
    assert!(farm.net.view(VOLUMES, &IVolumes::missingOfCall { volume: 1, index: 0 }).iter().all(|byte| *byte == 0));
    assert!(!farm.net.view(AUDITS, &IAudits::owesCall { volume: 1, stripe: 0, seat: 7 }));
    assert!(farm.net.world.balance(VOLUMES).is_zero());
}

/// Somebody makes a policy around its own miners, to have the emission.
#[test]
fn e1_a_private_policy_earns_fees_and_no_emission() {
    let mut farm = Farm::new();
    for miner in 1..=9 {
        farm.net.call(farm.operator(miner), MINERS, &IMiners::setPatronCall { patron: MALLORY });
    }
    let (allowed, forbidden, miners) = (Vec::new(), Vec::new(), (1..=9).collect());
    let rule = IPolicies::Policy { profile: 0, regionCap: 0, networkCap: 0, allowed, forbidden, miners };
    farm.net.pay(MALLORY, POLICIES, U256::from(FUNDS / 100), &IPolicies::createCall { rule });
    farm.wait_for(|farm| farm.net.view(VOLUMES, &IVolumes::volumeCountCall {}) == 2);
    let subsidised = |farm: &mut Farm, volume| farm.net.view(VOLUMES, &IVolumes::healthCall { volume }).subsidised;
    assert_eq!([1, 2].map(|volume| subsidised(&mut farm, volume)), [true, false]);
    for volume in [1, 2] {
        farm.store_in(volume, volume.into(), &LENGTHS, &[0, 1, 2, 3, 4, 5, 6, 7]);
    }
    let mut paid = BTreeSet::new();
    for _ in 0..12 {
        farm.open_round();
        farm.commit_all(1..=9);
        farm.until(OPEN);
        let IAudits::pricesReturn { fee, emission, .. } = farm.net.view(AUDITS, &IAudits::pricesCall {});
        let own = fee - (fee * U256::from(10)).div_ceil(U256::from(100));
        assert!(emission > U256::ZERO);
        for (number, sample) in farm.samples() {
            let opening = farm.opening(&sample);
            let is_stripe = matches!(Opening::decode(&opening).unwrap().content, Content::Stripe(..));
            farm.try_open(number, opening).unwrap();
            let reward = farm.net.events::<IAudits::Opened>().pop().unwrap().reward;
            let volume = farm.duty(sample.lot).volume;
            if reward.is_zero() {
                continue;
            }
            paid.insert((volume, is_stripe));
            match (volume, is_stripe) {
                (1, true) => assert_eq!(reward, own + emission),
                (2, true) => assert_eq!(reward, own),
                _ => assert!(volume != 2, "idle content of its lots earns nothing"),
            }
        }
        farm.until(REST);
    }
    assert!(paid.is_superset(&BTreeSet::from([(1, true), (1, false), (2, true)])), "{paid:?}");
}

#[test]
fn a_silent_miner_loses_its_seats_and_may_return() {
    let mut farm = stocked(12);
    let IVolumes::Seat { lot, miner: silent, .. } = farm.seat(0);
    let others = (1..=12).filter(|miner| *miner != silent);
    let report = IAudits::reportSilentCall { lot };
    farm.play(others.clone());
    let early: IAudits::NotSilent = refusal(farm.net.try_call(BOB, AUDITS, &report));
    assert_eq!((early.missedRounds, farm.seat(0).state), (1, phase::WHOLE));
    farm.play(others.clone());
    if farm.seat(0).state == phase::WHOLE {
        farm.net.call(BOB, AUDITS, &report);
    }
    let seat = farm.seat(0);
    assert_eq!((seat.state, seat.reason), (phase::LOST, reason::SILENT));
    farm.net.call(BOB, AUDITS, &IAudits::reportCall { miner: silent });
    assert_eq!(farm.standing(silent).missedRounds, 2);
    // Lost once is enough.
    let _: IAudits::NotSilent = refusal(farm.net.try_call(BOB, AUDITS, &report));
    farm.open_round();
    // Who took the seat back without a word would keep it for ever, and nobody would be drawn.
    let (operator, rejoin) = (farm.operator(silent), IVolumes::rejoinCall { volume: 1, seat: 0 });
    let _: IVolumes::NoReturn = refusal(farm.net.try_call(operator, VOLUMES, &rejoin));
    farm.commit_all(1..=12);
    farm.net.call(operator, VOLUMES, &rejoin);
    assert_eq!((farm.seat(0).state, farm.standing(silent).missedRounds), (phase::WHOLE, 0));
    end_round(&mut farm, 1..=12);
    assert!(farm.faults().is_empty());
    let _: IAudits::NotSilent = refusal(farm.net.try_call(BOB, AUDITS, &report));
}

/// What the pool counts of all lots, and whether it is frozen for a draw.
fn pool(farm: &Farm) -> (u64, bool) {
    let sums = farm.net.world.storage[&(MINERS, U256::from(6))];
    (sums.as_limbs()[0], sums.bit(224))
}

fn is_silent(farm: &mut Farm, miner: u32) -> bool {
    farm.net.view(MINERS, &IMiners::standingCall { id: miner }).silent
}

/// Nine are free, and one of them, that answers nothing, would start new volumes with a dead member.
#[test]
fn silent_miners_are_not_drawn_until_they_answer() {
    let mut farm = stocked(17);
    let members = farm.net.volume(1).miners;
    let silent = (1..=17).find(|miner| !members.contains(miner)).expect("nine hold no seat");
    let others = (1..=17).filter(|miner| *miner != silent);
    farm.play(others.clone());
    farm.net.call(BOB, AUDITS, &IAudits::reportCall { miner: silent });
    assert_eq!((is_silent(&mut farm, silent), pool(&farm)), (false, (9, false)), "one round may be a restart");
    farm.play(others);
    farm.net.call(BOB, AUDITS, &IAudits::reportCall { miner: silent });
    assert_eq!((is_silent(&mut farm, silent), pool(&farm)), (true, (8, false)));
    // Lots that it pledges meanwhile do not count either.
    farm.net.pledge(silent, 1);
    assert_eq!(pool(&farm), (8, false));
    let operator = farm.operator(silent);
    for draining in [true, false] {
        farm.net.call(operator, MINERS, &IMiners::setDrainingCall { draining });
    }
    assert_eq!(pool(&farm), (8, false), "ceasing to drain is no answer");

    farm.open_round();
    farm.commit_all(1..=17);
    assert_eq!((is_silent(&mut farm, silent), pool(&farm)), (false, (10, false)));
    let changes = farm.net.events::<IMiners::SilenceChanged>();
    let changes: Vec<_> = changes.iter().map(|change| (change.miner, change.silent)).collect();
    assert_eq!(changes, [(silent, true), (silent, false)]);
}

/// Its silence comes to light while it goes, and takes its weight out of the pool once.
#[test]
fn a_miner_retires_out_of_silence() {
    let mut farm = stocked(12);
    let members = farm.net.volume(1).miners;
    let silent = (1..=12).find(|miner| !members.contains(miner)).expect("four hold no seat");
    farm.play((1..=12).filter(|miner| *miner != silent));
    farm.open_round();
    farm.until(OPEN);
    farm.until(REST);
    let was_silent = is_silent(&mut farm, silent);
    let (before, _) = pool(&farm);
    farm.net.call(farm.operator(silent), MINERS, &IMiners::retireCall {});
    assert_eq!(pool(&farm).0, before - u64::from(!was_silent));
    assert_eq!(farm.net.view(MINERS, &IMiners::minerCall { id: silent }).lots, 0);
}

/// Else whoever knows the beacon could choose who is drawn, by reporting or not.
#[test]
fn e4_silence_changes_no_pending_draw() {
    let mut farm = stocked(12);
    let members = farm.net.volume(1).miners;
    let silent = (1..=12).find(|miner| !members.contains(miner)).expect("four hold no seat");
    let others = (1..=12).filter(|miner| *miner != silent);
    farm.play(others.clone());
    farm.open_round();
    farm.commit_all(others);
    farm.until(OPEN);
    leave(&mut farm, 0);
    farm.wait_for(|farm| pool(farm).1);
    farm.net.call(BOB, AUDITS, &IAudits::reportCall { miner: silent });
    assert_eq!((is_silent(&mut farm, silent), pool(&farm)), (true, (4, true)));
    farm.wait_for(|farm| !pool(farm).1);
    let drawn = farm.seat(0).miner;
    // It counted for this draw, and not for the next.
    let left = if drawn == silent { 3 } else { 2 };
    leave(&mut farm, 1);
    farm.wait_for(|farm| pool(farm).1);
    assert_eq!(pool(&farm), (left, true));
}

/// Nobody reports; samples find them, so many in a block and no more.
#[test]
fn the_cursor_declares_silent_members_lost() {
    let audits = AuditSpec { samples: 400, ..spec().audits.unwrap() };
    let spec = StorageSpec { open_target: 4, audits: Some(audits), ..spec() };
    let mut farm = Farm::sized(spec, 9, 4);
    for _ in 0..3 {
        farm.net.form();
    }
    let (mut before, mut most, mut gas) = (0, 0, 0);
    for _ in 0..260 {
        gas = gas.max(farm.block());
        let lost = farm.net.events::<IVolumes::SeatLost>();
        assert!(lost.iter().all(|lost| lost.reason == reason::SILENT));
        (most, before) = (most.max(lost.len() - before), lost.len());
    }
    assert!(before >= 32, "all members, and who came in their place");
    assert_eq!(most, 16);
    assert!(gas < 5_000_000, "{gas} of the 30,000,000 that a hook has");
    assert_eq!(farm.net.view(VOLUMES, &IVolumes::healthCall { volume: 1 }).live, 0);
}

#[test]
fn a_lot_that_fails_in_two_rounds_loses_its_seat() {
    let mut farm = stocked(8);
    let IVolumes::Seat { lot, miner, .. } = farm.seat(5);
    while farm.faults().is_empty() {
        fail(&mut farm, miner);
    }
    assert_eq!(farm.seat(5).state, phase::WHOLE, "one round may be a crash");
    let first = farm.faults().len();
    while farm.faults().len() == first {
        fail(&mut farm, miner);
    }
    let seat = farm.seat(5);
    assert_eq!((seat.state, seat.reason, seat.lot), (phase::LOST, reason::FAULTY, lot));
    let rejoin = IVolumes::rejoinCall { volume: 1, seat: 5 };
    let operator = farm.operator(miner);
    let _: IVolumes::NoReturn = refusal(farm.net.try_call(operator, VOLUMES, &rejoin));
    // Nobody is there to take over; what it has lost is asked of it no more.
    let count = farm.faults().len();
    farm.open_round();
    assert_eq!(farm.duty(lot), IAudits::Duty::default());
    farm.commit_all(1..=8);
    end_round(&mut farm, (1..=8).filter(|other| *other != miner));
    assert_eq!(farm.faults().len(), count);
}

#[test]
fn failures_far_apart_cost_no_seat() {
    let audits = AuditSpec { watch_rounds: 1, ..spec().audits.unwrap() };
    let mut farm = stocked_with(StorageSpec { audits: Some(audits), ..spec() }, 8);
    let miner = farm.seat(5).miner;
    for _ in 0..2 {
        let before = farm.faults().len();
        while farm.faults().len() == before {
            farm.play(1..=8);
            farm.play(1..=8);
            fail(&mut farm, miner);
        }
    }
    assert_eq!(farm.seat(5).state, phase::WHOLE);
}

/// Collateral is gone, so fines mean nothing to it.
#[test]
fn a_miner_that_cannot_pay_is_out_at_once() {
    let mut farm = stocked(8);
    let fine = {
        let mut farm = farm.clone();
        farm.play(1..=8);
        farm.net.view(AUDITS, &IAudits::pricesCall {}).fine
    };
    farm = stocked_with(StorageSpec { lot_collateral: fine - U256::from(1), ..spec() }, 8);
    let miner = farm.seat(5).miner;
    while farm.faults().is_empty() {
        fail(&mut farm, miner);
    }
    let rounds: BTreeSet<u64> = farm.faults().iter().map(|fault| fault.round).collect();
    assert_eq!((rounds.len(), farm.seat(5).state, farm.seat(5).reason), (1, phase::LOST, reason::FAULTY));
}

/// A member leaves when it has lost its column, and comes back when the round is over.
#[test]
fn who_left_answers_until_it_is_replaced() {
    let mut farm = stocked(8);
    let IVolumes::Seat { lot, miner, .. } = farm.seat(1);
    leave(&mut farm, 1);
    while farm.faults().is_empty() {
        fail(&mut farm, miner);
        assert_eq!(farm.duty(lot).volume, 1);
    }
    assert_eq!((farm.seat(1).state, farm.seat(1).reason), (phase::LOST, reason::LEFT));
    let first = farm.faults().len();
    while farm.faults().len() == first {
        fail(&mut farm, miner);
    }
    assert_eq!((farm.seat(1).state, farm.seat(1).reason), (phase::LOST, reason::FAULTY));
}

/// Nobody looked for three rounds, or for three thousand: what is asked of a block is the same.
#[test]
fn gas_follows_the_work_and_not_the_rounds_missed() {
    let mut farm = stocked(8);
    farm.play(1..=8);
    let leaves = farm.net.leaves(1);
    let hashes: Vec<B256> = leaves.iter().map(leaf_hash).collect();
    let path = Tree::new(&hashes).path(1).unwrap();
    let challenge = IAudits::challengeCall { volume: 1, seat: 2, stripe: 1, leaf: leaves[1].clone(), path };
    let fee = farm.net.spec.audits.as_ref().unwrap().challenge_fee;
    let id = farm.net.pay(MALLORY, AUDITS, fee, &challenge);
    let IVolumes::Seat { lot, miner, .. } = farm.seat(2);
    let operator = farm.operator(miner);
    let calls = [
        (BOB, IAudits::expireCall { challenge: id }.abi_encode()),
        (BOB, IAudits::reportSilentCall { lot }.abi_encode()),
        (operator, IAudits::claimCall {}.abi_encode()),
    ];
    let gas = |rounds: u64| {
        calls.each_ref().map(|(from, input)| {
            let mut farm = farm.clone();
            let word = farm.net.world.storage[&(AUDITS, U256::ZERO)];
            let clock = Clock::decode(word);
            let later = Clock { number: clock.number + rounds, ..clock };
            farm.net.world.storage.insert((AUDITS, U256::ZERO), later.encode());
            let response = farm.net.raw(*from, AUDITS, U256::ZERO, input);
            assert!(response.result.is_ok(), "{response:?}");
            response.gas_used
        })
    };
    let few = gas(3);
    assert_eq!(few, gas(3_000));
    assert!(few.iter().all(|gas| *gas < 400_000), "{few:?}");
}
