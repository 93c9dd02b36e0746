use super::fixture::*;
use crate::{BlockError, TransactionRejection};
use alloy_primitives::{B256, TxKind, U256};
use alloy_sol_types::SolCall;
use std::sync::Arc;
use types::{
    Transaction,
    abi::{AUDITS, IAudits},
};

/// An account that owns nothing.
const POOR: u8 = 20;

/// A commitment that succeeds, or does not.
fn commit(number: u8, nonce: u64, succeeds: bool) -> Arc<Transaction> {
    let input = [&IAudits::commitCall::SELECTOR[..], &[succeeds.into()]].concat();
    Envelope {
        nonce,
        to: TxKind::Call(AUDITS),
        value: U256::ZERO,
        gas_limit: 200_000,
        max_fee: 0,
        priority_fee: 0,
        input: input.into(),
        ..Default::default()
    }
    .sign(number)
}

fn hashes(transactions: &[Arc<Transaction>]) -> Vec<B256> {
    transactions.iter().map(|transaction| transaction.hash()).collect()
}

fn rejection(result: Result<crate::Outcome, BlockError>) -> (usize, TransactionRejection) {
    match result {
        Err(BlockError::Transaction { index, rejection, .. }) => (index, rejection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_travels_in_the_lane_costs_nothing_and_the_rest_what_it_did() {
    let mut world = World::with_judge();
    let (payer, tips) = (world.balance(account(1)), world.balance(BENEFICIARY));
    world.block(vec![commit(POOR, 0, true), transfer(1, 0, account(2), 5), commit(POOR, 1, true)]);
    assert_eq!((world.nonce(POOR), world.balance(account(POOR))), (2, U256::ZERO));
    assert_eq!(world.memory.slot(AUDITS, 0), U256::from(2));
    let tip = 21_000 * 10;
    assert_eq!(world.balance(BENEFICIARY) - tips, U256::from(tip));
    assert_eq!(payer - world.balance(account(1)), U256::from(5 + tip + 21_000 * BASE_FEE));
}

#[test]
fn a_call_that_fails_has_no_place_in_it() {
    let world = World::with_judge();
    let failing = commit(POOR, 0, false);
    let all = vec![failing.clone(), commit(POOR, 1, true), transfer(1, 0, account(2), 5)];
    assert_eq!(rejection(world.execute(&all)), (0, TransactionRejection::LaneFailed));
    let built = world.build(all.clone());
    assert_eq!(hashes(&built.transactions), hashes(&all[2..]));
    assert_eq!(built.rejected, [(failing.hash(), TransactionRejection::LaneFailed)]);
    assert!(TransactionRejection::LaneFailed.is_permanent());
    assert_eq!(world.execute(&built.transactions).unwrap(), built.outcome);
}

#[test]
fn a_full_lane_takes_no_more_and_leaves_the_rest_of_the_block_alone() {
    let world = World::with_judge();
    let lane: Vec<_> = (0..100).map(|number| commit(POOR + number, 0, true)).collect();
    assert_eq!(rejection(world.execute(&lane)), (2, TransactionRejection::LaneFull));
    let paying = transfer(1, 0, account(2), 5);
    let built = world.build([lane.clone(), vec![paying.clone()]].concat());
    assert_eq!(hashes(&built.transactions), [lane[0].hash(), lane[1].hash(), paying.hash()]);
    assert_eq!(built.rejected, []);
}

#[test]
fn calls_that_fail_cost_a_builder_so_much_and_no_more() {
    let world = World::with_judge();
    let mut candidates: Vec<_> = (0..100).map(|number| commit(POOR + number, 0, false)).collect();
    candidates.push(commit(POOR + 100, 0, true));
    candidates.push(transfer(1, 0, account(2), 5));
    let built = world.build(candidates);
    assert_eq!((built.transactions.len(), built.rejected.len()), (1, 64));
}

#[test]
fn a_chain_without_rounds_has_no_lane() {
    let mut world = World::with_judge();
    world.next.lane_bytes = 0;
    assert_eq!(rejection(world.execute(&[commit(1, 0, true)])), (0, TransactionRejection::FeeBelowBaseFee));
}
