use super::fixture::*;
use crate::{BuildLimits, TransactionRejection};
use alloy_primitives::{Address, TxKind, U256};
use revm::bytecode::opcode::*;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use types::Transaction;

fn hashes(transactions: &[Arc<Transaction>]) -> Vec<alloy_primitives::B256> {
    transactions.iter().map(|transaction| transaction.hash()).collect()
}

fn limits() -> BuildLimits<fn() -> bool> {
    BuildLimits { bytes_max: usize::MAX, transactions_max: usize::MAX, deadline: || false }
}

#[test]
fn a_built_block_executes_to_the_same() {
    let mut world = World::new();
    let contract = world.deploy(&proxy(CALL, SCRIPT, Then::Report));
    let call = |number, nonce| {
        Envelope {
            nonce,
            to: TxKind::Call(contract),
            gas_limit: 300_000,
            input: vec![SSTORE, number, 3, LOG1, 4, number].into(),
            ..Default::default()
        }
        .sign(number)
    };
    let mut candidates = vec![];
    for nonce in 0..3 {
        for number in 1..6 {
            candidates.push(if number % 2 == 0 { call(number, nonce) } else { transfer(number, nonce, account(9), 5) });
        }
    }
    // Wrong nonces and fees in between.
    candidates.insert(2, transfer(7, 5, account(1), 1));
    candidates.insert(9, Envelope { max_fee: 10, priority_fee: 1, ..Default::default() }.sign(8));
    let built = world.build(candidates);
    assert_eq!(built.transactions.len(), 15);
    assert_eq!(world.execute(&built.transactions).unwrap(), built.outcome);
    let rejected: Vec<_> = built.rejected.iter().map(|(_, rejection)| rejection.clone()).collect();
    assert_eq!(
        rejected,
        [TransactionRejection::NonceTooHigh { transaction: 5, account: 0 }, TransactionRejection::FeeBelowBaseFee]
    );
    assert!(rejected.iter().all(|rejection| !rejection.is_permanent()));
}

#[test]
fn senders_are_left_out_from_their_first_bad_transaction_on() {
    let world = World::new();
    let bad = Envelope { nonce: 1, chain_id: 1, ..Default::default() }.sign(1);
    let candidates =
        vec![transfer(1, 0, account(2), 1), bad.clone(), transfer(1, 2, account(2), 1), transfer(2, 0, account(3), 1)];
    let built = world.build(candidates.clone());
    assert_eq!(hashes(&built.transactions), [candidates[0].hash(), candidates[3].hash()]);
    assert_eq!(built.rejected, [(bad.hash(), TransactionRejection::WrongChain)]);
    assert!(built.rejected[0].1.is_permanent());
}

#[test]
fn limits_hold_and_the_rest_is_not_looked_at() {
    let world = World::new();
    let candidates: Vec<_> = (0..500).map(|nonce| transfer(1, nonce, account(2), 1)).collect();
    let build =
        |limits| wait(world.executor.build(&world.next, candidates.iter().cloned(), limits, &world.memory)).unwrap();
    assert_eq!(build(BuildLimits { transactions_max: 7, ..limits() }).transactions.len(), 7);
    let bytes: usize = candidates[..5].iter().map(|transaction| transaction.raw().len()).sum();
    let built = build(BuildLimits { bytes_max: bytes, ..limits() });
    assert_eq!((built.transactions.len(), built.rejected.len()), (5, 0));

    let asked = AtomicUsize::new(0);
    let deadline = || asked.fetch_add(1, Ordering::Relaxed) >= 11;
    let limits = BuildLimits { bytes_max: usize::MAX, transactions_max: usize::MAX, deadline };
    let taken = AtomicUsize::new(0);
    let counted = candidates.iter().cloned().inspect(|_| _ = taken.fetch_add(1, Ordering::Relaxed));
    let built = wait(world.executor.build(&world.next, counted, limits, &world.memory)).unwrap();
    assert_eq!(built.transactions.len(), 11);
    assert!(taken.load(Ordering::Relaxed) <= 256, "no further than the chunk at hand");
}

#[test]
fn small_transactions_fill_what_a_large_one_leaves() {
    let mut world = World::new();
    world.next.gas_limit = 1_000_000;
    let large = Envelope { gas_limit: 990_000, ..Default::default() };
    let candidates = vec![
        transfer(2, 0, Address::ZERO, 1),
        large.clone().sign(1),
        Envelope { nonce: 1, ..Default::default() }.sign(1),
        transfer(3, 0, Address::ZERO, 1),
    ];
    let built = world.build(candidates.clone());
    assert_eq!(hashes(&built.transactions), [candidates[0].hash(), candidates[3].hash()]);
    assert!(built.rejected.is_empty());
    // Many that do not fit end the search.
    let mut crowd: Vec<_> = vec![transfer(2, 0, Address::ZERO, 1)];
    crowd.extend((10..100).map(|number| Envelope { value: U256::ZERO, ..large.clone() }.sign(number)));
    crowd.push(transfer(3, 0, Address::ZERO, 1));
    assert_eq!(world.build(crowd).transactions.len(), 1);
}
