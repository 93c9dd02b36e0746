mod idle;
mod unanswered;

use super::*;
mod reviewed;

use crate::fixture::{DEADLINE, FRAGMENT_BYTES, Net, Segment, storage};
use alloy_sol_types::SolEvent;
use client::chain::LogFilter;
use std::time::Duration;
use store::FragmentKey;

const DAY_MS: u64 = 24 * 3_600_000;
const ALL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const OTHERS: [usize; 7] = [1, 2, 3, 4, 5, 6, 7];
/// More than passes between two looks of a miner.
const A_LOOK: Duration = Duration::from_millis(2 * LOOK_MS);

/// Time between blocks when a stage is waited for.
const STEP: Duration = Duration::from_secs(1);

/// Every slot is asked for, half of them whole.
fn rules() -> AuditSpec {
    AuditSpec { light_divisor: 1, deep_divisor: 2, samples: 256, ..AuditSpec::devnet() }
}

/// A network in its first round, which opened when the first miner had pledged.
async fn net() -> Net {
    let mut net = Net::with(StorageSpec { audits: Some(rules()), ..storage() }).await;
    net.lease(1, 20 * FRAGMENT_BYTES, DAY_MS / 2).await;
    net
}

async fn round(net: &Net) -> audits::Round {
    Network(&*net.chain).query(RoundQuery).await.expect("answers")
}

async fn standing(net: &Net, miner: u32) -> IAudits::Standing {
    Network(&*net.chain).read(AUDITS, &IAudits::standingCall { miner }).await.expect("answers")
}

async fn logs<E: SolEvent>(net: &Net) -> Vec<E> {
    let topics = [Some(vec![E::SIGNATURE_HASH]), None, None, None];
    let logs = net.chain.logs(LogFilter { from: 1, to: None, address: AUDITS, topics }).await.expect("answers");
    logs.iter().map(|entry| E::decode_log(&entry.log).expect("decodes").data).collect()
}

/// Goes on to a stage of the next round, with `step` of time between blocks.
async fn go_to(net: &mut Net, number: u64, stage: Stage, step: Duration) {
    for _ in 0..500 {
        let now = round(net).await;
        if (now.number, now.stage) == (number, stage) {
            return;
        }
        net.chain.skip(step);
        net.settle().await;
    }
    panic!("round {number} does not come to stage {stage:?}: {:?}", round(net).await);
}

/// Waits until as many events of a kind have happened; miners make blocks by what they send.
async fn wait_for<E: SolEvent>(net: &Net, count: usize) -> Vec<E> {
    loop {
        let height = net.height().await;
        let logs = logs::<E>(net).await;
        if logs.len() >= count {
            return logs;
        }
        let block = tokio::time::timeout(DEADLINE, net.chain.wait_above(height)).await;
        block.unwrap_or_else(|_| panic!("{} of {count} {}", logs.len(), E::SIGNATURE)).expect("answers");
    }
}

/// Round `number` up to its commitments by all but `absent` miners.
async fn commit_round(net: &mut Net, number: u64, absent: usize) {
    go_to(net, number, Stage::Commit, STEP).await;
    net.chain.skip(A_LOOK);
    let before: usize = logs::<IAudits::Committed>(net).await.iter().filter(|log| log.round < number).count();
    wait_for::<IAudits::Committed>(net, before + 8 - absent).await;
    net.settle().await;
}

/// How many samples of the round ask a miner for something.
async fn asking(net: &Net) -> usize {
    let samples = round(net).await.samples;
    let calls: Vec<_> = (0..samples).map(|number| IAudits::sampleCall { number }).collect();
    let samples = Network(&*net.chain).read_many(AUDITS, &calls).await.expect("answers");
    samples.iter().filter(|sample| sample.miner != 0).count()
}

/// Round `number` from its commitments to its end; returns what was opened.
async fn finish_round(net: &mut Net, number: u64, lost: usize) -> usize {
    go_to(net, number, Stage::Open, STEP).await;
    let asked = asking(net).await;
    let before = logs::<IAudits::Opened>(net).await.iter().filter(|log| log.round < number).count();
    net.chain.skip(A_LOOK);
    wait_for::<IAudits::Opened>(net, before + asked - lost).await;
    go_to(net, number, Stage::Rest, STEP).await;
    asked - lost
}

#[tokio::test(flavor = "multi_thread")]
async fn miners_answer_whatever_a_round_asks() {
    let mut net = net().await;
    for number in 0..3 {
        net.put(1, number.into(), &Segment::new(number), &ALL).await;
    }
    // Two that one seat has not signed, and one that is gone.
    net.put(1, 3, &Segment::new(3), &OTHERS).await;
    net.release(1, 1).await;
    commit_round(&mut net, 2, 0).await;
    let opened = finish_round(&mut net, 2, 0).await;
    assert!(opened > 10, "{opened} samples hit something");
    assert_eq!(logs::<IAudits::Faulted>(&net).await.len(), 0);
    let closed = logs::<IAudits::RoundClosed>(&net).await;
    let closed = closed.iter().find(|round| round.round == 2).expect("it is over");
    assert_eq!(closed.answered as usize, opened);
    for miner in 1..=8 {
        assert_eq!(standing(&net, miner).await.faults, 0);
    }
    reviewed::nothing_else_is_opened(&net, 2, opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_during_a_round_is_shown_and_then_goes() {
    let mut net = net().await;
    let segment = Segment::new(0);
    net.put(1, 0, &segment, &ALL).await;
    commit_round(&mut net, 2, 0).await;
    // Now nobody owes it to its owner any more, but all owe it to the round.
    net.release(1, 0).await;
    net.advance(200).await;
    let opened = finish_round(&mut net, 2, 0).await;
    assert!(opened > 0);
    assert_eq!(logs::<IAudits::Faulted>(&net).await.len(), 0);
    // The next one asks for zeros in its place.
    commit_round(&mut net, 3, 0).await;
    finish_round(&mut net, 3, 0).await;
    assert_eq!(logs::<IAudits::Faulted>(&net).await.len(), 0);
    // Until no commit can use the receipt any more.
    let to = net.member(1, 0).await;
    let key = FragmentKey { segment: segment.id, volume: 1 };
    let mut record = None;
    for _ in 0..10 {
        net.advance(100).await;
        let disk = crate::fixture::open(&net.disks[to].after_crash(1));
        record = disk.record(key).await.expect("reads");
        if record.is_none() {
            break;
        }
    }
    assert_eq!(record, None, "rounds ask for it no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_answered_across_a_crash() {
    let mut net = net().await;
    net.put(1, 0, &Segment::new(0), &ALL).await;
    commit_round(&mut net, 2, 0).await;
    for miner in 0..8 {
        net.crash(miner, miner as u64).await;
    }
    assert!(finish_round(&mut net, 2, 0).await > 0);
    assert_eq!(logs::<IAudits::Faulted>(&net).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rotten_bytes_are_found_and_fined() {
    let mut net = net().await;
    for number in 0..4 {
        net.put(1, number.into(), &Segment::new(number), &ALL).await;
    }
    let rotten = net.member(1, 0).await;
    let store = crate::fixture::open(&net.disks[rotten].after_crash(1));
    for number in 0..4 {
        let key = FragmentKey { segment: Segment::new(number).id, volume: 1 };
        let file = store.record(key).await.expect("reads").expect("is here").file();
        (0..FRAGMENT_BYTES as usize).step_by(1024).for_each(|at| net.disks[rotten].rot(file, at));
    }
    commit_round(&mut net, 2, 0).await;
    go_to(&mut net, 2, Stage::Open, STEP).await;
    let calls: Vec<_> = (0..round(&net).await.samples).map(|number| IAudits::sampleCall { number }).collect();
    let samples = Network(&*net.chain).read_many(AUDITS, &calls).await.expect("answers");
    let of_rotten = samples.iter().filter(|sample| sample.miner == rotten as u32 + 1).count();
    let asked = samples.iter().filter(|sample| sample.miner != 0).count();
    assert!(of_rotten > 0);
    net.chain.skip(A_LOOK);
    wait_for::<IAudits::Opened>(&net, asked - of_rotten).await;
    go_to(&mut net, 2, Stage::Rest, STEP).await;
    let faults = logs::<IAudits::Faulted>(&net).await;
    assert_eq!(faults.len(), of_rotten);
    assert!(faults.iter().all(|fault| fault.miner == rotten as u32 + 1 && fault.fine > U256::ZERO));
    reviewed::faults_follow(&net, 2, rotten as u32 + 1, of_rotten).await;
    // What was found to be damaged is let go, to be made again; nothing else is.
    let store = crate::fixture::open(&net.disks[rotten].after_crash(1));
    let (mut here, mut missing) = (0, 0);
    for number in 0..4 {
        let key = FragmentKey { segment: Segment::new(number).id, volume: 1 };
        match store.record(key).await.expect("reads") {
            Some(_) => here += 1,
            None => missing += 1,
        }
    }
    assert!(missing > 0 && here + missing == 4, "{here} here, {missing} missing");
}

/// Has the member in seat 0 of volume 1 show a stripe; returns the challenge's number.
async fn challenge(net: &Net, stripe: u32) -> u64 {
    let log = types::StripeLog::new(net.leaves(1, 0).await);
    let leaf = log.leaf(stripe).expect("it is there").into();
    let path = log.path(stripe).expect("it is there");
    let call = IAudits::challengeCall { volume: 1, seat: 0, stripe, leaf, path };
    net.owner.call(AUDITS, rules().challenge_fee, &call).await.expect("challenges");
    logs::<IAudits::Challenged>(net).await.last().expect("it was made").challenge
}

async fn state_of(net: &Net, id: u64) -> u8 {
    Network(&*net.chain).read(AUDITS, &IAudits::challengeOfCall { id }).await.expect("answers").state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenged_member_shows_what_it_holds_across_a_crash_and_has_the_fee() {
    let mut net = net().await;
    for number in 0..3 {
        net.put(1, number.into(), &Segment::new(number), &ALL).await;
    }
    go_to(&mut net, 2, Stage::Commit, STEP).await;
    let id = challenge(&net, 1).await;
    let member = net.member(1, 0).await;
    net.crash(member, 5).await;
    commit_round(&mut net, 2, 0).await;
    go_to(&mut net, 2, Stage::Open, STEP).await;
    net.chain.skip(A_LOOK);
    let ended = wait_for::<IAudits::ChallengeEnded>(&net, 1).await;
    assert_eq!((ended[0].challenge, ended[0].state, ended[0].miner), (id, 2, member as u32 + 1));
    assert_eq!(state_of(&net, id).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenged_member_that_holds_other_bytes_is_fined_and_lets_them_go() {
    let mut net = net().await;
    net.put(1, 0, &Segment::new(0), &ALL).await;
    let rotten = net.member(1, 0).await;
    let store = crate::fixture::open(&net.disks[rotten].after_crash(1));
    let key = FragmentKey { segment: Segment::new(0).id, volume: 1 };
    let file = store.record(key).await.expect("reads").expect("is here").file();
    (0..FRAGMENT_BYTES as usize).step_by(1024).for_each(|at| net.disks[rotten].rot(file, at));
    go_to(&mut net, 2, Stage::Commit, STEP).await;
    let id = challenge(&net, 0).await;
    go_to(&mut net, 2, Stage::Open, STEP).await;
    net.chain.skip(A_LOOK);
    net.settle().await;
    go_to(&mut net, 2, Stage::Rest, STEP).await;
    assert_eq!(state_of(&net, id).await, 1, "nobody can answer");
    net.owner.call(AUDITS, U256::ZERO, &IAudits::expireCall { challenge: id }).await.expect("its round is over");
    assert_eq!(state_of(&net, id).await, 3);
    let ended = logs::<IAudits::ChallengeEnded>(&net).await;
    assert!(ended[0].fine > U256::ZERO);
}
