use super::farm::*;
use crate::fixture::*;
use alloy_primitives::{Address, U256};
use proofs::{opening::stripe_content, response::Source, sample::challenged_chunk};
use types::{
    abi::{AUDITS, IAudits, IVolumes, MINERS, VOLUMES},
    merkle::Tree,
};

const FEE: u64 = 1_000_000_000_000;

/// A farm with stripes that are audited, and a challenge of one of them.
fn challenge(farm: &Farm, stripe: u32, seat: u16) -> IAudits::challengeCall {
    let leaves = farm.net.leaves(1);
    let hashes: Vec<_> = leaves.iter().map(leaf_hash).collect();
    let path = Tree::new(&hashes).path(stripe as usize).unwrap();
    IAudits::challengeCall { volume: 1, seat, stripe, leaf: leaves[stripe as usize].clone(), path }
}

fn stocked() -> Farm {
    let mut farm = Farm::new();
    farm.store(0, &[1, 700_000, 1 << 20], &[0, 1, 2, 3, 4, 5, 6]);
    farm.play(1..=9);
    farm
}

fn pay(farm: &mut Farm, call: &IAudits::challengeCall) -> u64 {
    farm.net.pay(MALLORY, AUDITS, U256::from(FEE), call)
}

fn of(farm: &mut Farm, id: u64) -> IAudits::Challenge {
    farm.net.view(AUDITS, &IAudits::challengeOfCall { id })
}

fn answer(farm: &mut Farm, id: u64) -> IAudits::answerCall {
    let terms = of(farm, id);
    let holder = &farm.duties[&terms.miner];
    let lot = (0..holder.round.lots).find(|lot| holder.duty(*lot).service.is_some()).unwrap();
    let beacon = farm.net.view(AUDITS, &IAudits::roundCall {}).beaconB;
    let holder = &farm.duties[&terms.miner];
    let position = terms.offset + 1024 * challenged_chunk(beacon, id, terms.fragmentBytes);
    let Ok(content) = stripe_content(holder, lot, position);
    IAudits::answerCall { challenge: id, content: content.unwrap().encode().into() }
}

#[test]
fn a_member_that_holds_the_stripe_answers_and_earns_the_fee() {
    let mut farm = stocked();
    farm.open_round();
    let call = challenge(&farm, 1, 3);
    let id = pay(&mut farm, &call);
    let terms = of(&mut farm, id);
    assert_eq!((terms.round, terms.state, terms.challenger), (2, 1, MALLORY));
    let before = farm.standing(terms.miner).vesting;
    farm.commit_all(1..=9);
    farm.until(OPEN);
    let early: IAudits::ChallengePending =
        refusal(farm.net.try_call(BOB, AUDITS, &IAudits::expireCall { challenge: id }));
    assert_eq!(early.challenge, id);
    let right = answer(&mut farm, id);
    for place in [0, 40, 500, right.content.len() - 1] {
        let mut content = right.content.to_vec();
        content[place] ^= 1;
        let wrong = IAudits::answerCall { challenge: id, content: content.into() };
        let _: IAudits::InvalidOpening = refusal(farm.net.try_call(BOB, AUDITS, &wrong));
    }
    farm.net.call(BOB, AUDITS, &right);
    assert_eq!(farm.standing(terms.miner).vesting - before, U256::from(FEE / 10 * 9));
    let twice: IAudits::UnknownChallenge = refusal(farm.net.try_call(BOB, AUDITS, &right));
    assert_eq!(twice.challenge, id);
}

#[test]
fn a_member_that_lost_the_stripe_is_fined_at_once() {
    let mut farm = stocked();
    let call = challenge(&farm, 2, 5);
    let id = pay(&mut farm, &call);
    let miner = of(&mut farm, id).miner;
    farm.play(1..=9);
    let (before, funds) = (farm.collateral(miner), farm.net.world.balance(MALLORY));
    let fine = farm.net.view(AUDITS, &IAudits::pricesCall {}).fine;
    farm.net.call(BOB, AUDITS, &IAudits::expireCall { challenge: id });
    assert_eq!(farm.collateral(miner), before - fine);
    assert_eq!(farm.net.world.balance(MALLORY), funds + U256::from(FEE) + fine / U256::from(10));
    assert_eq!((of(&mut farm, id).state, farm.standing(miner).faults), (3, 1));
    let late = IAudits::answerCall { challenge: id, content: Default::default() };
    let _: IAudits::UnknownChallenge = refusal(farm.net.try_call(BOB, AUDITS, &late));
}

#[test]
fn a_challenge_names_what_a_member_owes() {
    let mut farm = stocked();
    let good = challenge(&farm, 1, 3);
    let bad = [
        IAudits::challengeCall { seat: 7, ..good.clone() },
        IAudits::challengeCall { stripe: 0, ..good.clone() },
        IAudits::challengeCall { leaf: farm.net.leaves(1)[0].clone(), ..good.clone() },
        IAudits::challengeCall { path: Vec::new(), ..good.clone() },
    ];
    for call in bad {
        let _: IAudits::InvalidChallenge = refusal(farm.net.try_pay(MALLORY, AUDITS, U256::from(FEE), &call));
    }
    let nobody = IAudits::challengeCall { seat: 8, ..good.clone() };
    let _: IVolumes::UnknownSeat = refusal(farm.net.try_pay(MALLORY, AUDITS, U256::from(FEE), &nobody));
    let short: IAudits::Underpaid = refusal(farm.net.try_pay(MALLORY, AUDITS, U256::from(FEE - 1), &good));
    assert_eq!(short.due, U256::from(FEE));
    farm.release(1);
    // Owed until the round after the release.
    let id = pay(&mut farm, &good);
    farm.play(1..=9);
    farm.until(COMMIT);
    let funds = farm.net.world.balance(MALLORY);
    farm.net.call(BOB, AUDITS, &IAudits::expireCall { challenge: id });
    assert_eq!(of(&mut farm, id).state, 4);
    assert_eq!(farm.net.world.balance(MALLORY), funds + U256::from(FEE));
    let _: IAudits::InvalidChallenge = refusal(farm.net.try_pay(MALLORY, AUDITS, U256::from(FEE), &good));
}

/// Somebody drowns a miner in challenges.
#[test]
fn a_miner_takes_so_many_challenges_a_round() {
    let mut farm = stocked();
    let call = challenge(&farm, 2, 5);
    for _ in 0..64 {
        pay(&mut farm, &call);
    }
    let _: IAudits::InvalidChallenge = refusal(farm.net.try_pay(MALLORY, AUDITS, U256::from(FEE), &call));
}

/// The draws behind answers are closed to everyone but the modules they are for.
#[test]
fn internal_functions_exist_for_modules_only() {
    use crate::internal::{IFees, ILotAudits, IMembers, IRounds};
    use alloy_sol_types::SolCall;
    use types::abi::{IModule::UnknownSelector, TERRITORIES};
    let mut farm = stocked();
    let inputs: [(Address, Vec<u8>); 6] = [
        (AUDITS, IRounds::beginRoundCall { epoch: 0, view: 1, seed: vec![1].into() }.abi_encode()),
        (AUDITS, IRounds::enrolCall { miner: 1, firstLot: 1, lots: 9 }.abi_encode()),
        (AUDITS, IRounds::leaveCall { miner: 1, lots: 1 }.abi_encode()),
        (MINERS, ILotAudits::slashCall { miner: 1, amount: U256::from(1), to: MALLORY }.abi_encode()),
        (VOLUMES, IMembers::owesCall { volume: 1, stripe: 0, seat: 0 }.abi_encode()),
        (TERRITORIES, IFees::payOutCall { amount: U256::from(1) }.abi_encode()),
    ];
    for (to, input) in inputs {
        for from in [ALICE, farm.operator(1), crate::SYSTEM, TERRITORIES] {
            let error = farm.net.raw(from, to, U256::ZERO, &input).result.expect_err("refused");
            assert!(error.decode::<UnknownSelector>().is_some(), "{error:?}");
        }
    }
}
