use super::farm::*;
use crate::audits::{LaneCall, is_commitment, lane_call};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use types::abi::{AUDITS, IAudits, MINERS};

#[test]
fn a_round_goes_from_beacon_to_verdicts() {
    let mut farm = Farm::new();
    let before = total(&farm.net);
    farm.store_all(0, &[1, 300_000, 1 << 20, 700_000]);
    farm.store(1, &[150_000], &[0, 1, 2, 3, 4, 5, 6]);
    farm.play(1..=9);
    farm.play(1..=9);
    assert!(farm.faults().is_empty(), "{:?}", farm.faults());
    assert!(farm.net.events::<IAudits::Missed>().is_empty());
    let closed = farm.net.events::<IAudits::RoundClosed>();
    assert_eq!(closed.iter().map(|round| round.round).collect::<Vec<_>>(), [1, 2]);
    assert!(closed.iter().all(|round| round.answered > 0 && round.answered <= round.samples));
    let earned: U256 = (1..=9).map(|miner| farm.standing(miner).vesting).fold(U256::ZERO, |sum, wei| sum + wei);
    assert!(earned > U256::ZERO);
    let reserve = farm.net.view(AUDITS, &IAudits::reserveCall {});
    assert_eq!(farm.net.world.balance(AUDITS), reserve + earned);
    assert_eq!(total(&farm.net), before);
    assert!(farm.net.world.balance(MINERS) > U256::ZERO);
}

#[test]
fn what_is_earned_is_paid_after_it_vested() {
    let mut farm = Farm::new();
    farm.store_all(0, &[1 << 20, 1 << 20, 1 << 20]);
    farm.play(1..=9);
    let miner = (1..=9).max_by_key(|miner| farm.standing(*miner).vesting).expect("nine miners");
    let vesting = farm.standing(miner).vesting;
    assert!(vesting > U256::ZERO);
    let operator = farm.operator(miner);
    assert_eq!(farm.net.call(operator, AUDITS, &IAudits::claimCall {}), U256::ZERO);
    farm.net.world.block.timestamp_ms += 2 * 600_000;
    let funds = farm.net.world.balance(operator);
    assert_eq!(farm.standing(miner).claimable, vesting);
    assert_eq!(farm.net.call(operator, AUDITS, &IAudits::claimCall {}), vesting);
    assert_eq!(farm.net.world.balance(operator), funds + vesting);
    assert_eq!(farm.net.call(operator, AUDITS, &IAudits::claimCall {}), U256::ZERO);
}

#[test]
fn the_lane_is_for_commitments_openings_and_answers() {
    let commit = IAudits::commitCall { round: 1, root: B256::ZERO, lost: vec![3; 8] }.abi_encode();
    let open = IAudits::openCall { round: 1, sample: 2, opening: vec![0; 4_096].into() }.abi_encode();
    let answer = IAudits::answerCall { challenge: 1, content: vec![0; 4_096].into() }.abi_encode();
    let lane = |input: &[u8]| lane_call(Some(AUDITS), input);
    assert_eq!(
        [lane(&commit), lane(&open), lane(&answer)].map(Option::unwrap),
        [LaneCall::Commit, LaneCall::Open, LaneCall::Answer]
    );
    assert!(is_commitment(Some(AUDITS), &commit) && !is_commitment(Some(AUDITS), &open));
    assert!(!is_commitment(Some(MINERS), &commit) && !is_commitment(None, &commit));
    assert_eq!(lane(&IAudits::claimCall {}.abi_encode()), None);
    assert_eq!(lane(&[commit, vec![0; 4_500]].concat()), None);
    assert_eq!(lane(&[1, 2, 3]), None);
}
