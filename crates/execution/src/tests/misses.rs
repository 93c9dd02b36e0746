use super::fixture::*;
use crate::{BlockError, ReadError, StateReader};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use proptest::prelude::*;
use revm::bytecode::opcode::*;
use std::sync::{Arc, atomic::Ordering};
use types::{
    Transaction,
    state::{StateKey, Value},
};

/// A world with contracts of every kind of reading.
fn world() -> (World, Vec<Address>) {
    let mut world = World::new();
    // Follows pointers: slot 0 names the next slot, and so on, eight times; then counts in slot 99.
    let mut chase = vec![PUSH0];
    chase.extend([SLOAD].repeat(8));
    chase.extend([POP, PUSH1, 99, SLOAD, PUSH1, 1, ADD, PUSH1, 99, SSTORE]);
    let chase = world.deploy(&chase);
    // Stores calldata's first word plus the caller's balance at the slot of the caller.
    let store = world.deploy(&[CALLER, BALANCE, PUSH0, CALLDATALOAD, ADD, CALLER, SSTORE, CALLER, PUSH0, PUSH0, LOG1]);
    let calling = world.deploy(&proxy(CALL, store, Then::Report));
    let reverting = world.deploy(&proxy(CALL, SCRIPT, Then::Revert));
    let module = world.deploy(&proxy(CALL, SCRIPT, Then::Report));
    // Slots 0, 3, 6, … of the pointer contract lead onwards.
    for step in 0..8u64 {
        let value = types::state::encode_slot(U256::from(3 * step + 3));
        world.memory.state.insert(StateKey::Slot(chase, U256::from(3 * step)), value);
    }
    (world, vec![chase, store, calling, reverting, module, SCRIPT, CARELESS, Address::repeat_byte(0x55)])
}

fn transactions(picks: &[(u8, usize, u8)], targets: &[Address]) -> Vec<Arc<Transaction>> {
    let mut nonces = [0; 5];
    let transaction = |&(sender, target, argument): &(u8, usize, u8)| {
        let nonce = nonces[sender as usize];
        nonces[sender as usize] += 1;
        Envelope {
            nonce,
            to: TxKind::Call(targets[target % targets.len()]),
            value: U256::from(argument),
            gas_limit: 400_000,
            input: vec![
                SSTORE,
                argument % 8,
                argument,
                SLOAD,
                argument / 8,
                0,
                CALL,
                argument,
                1,
                STATICCALL,
                0,
                0,
                SSTORE,
                1,
                argument,
            ]
            .into(),
            ..Default::default()
        }
        .sign(sender)
    };
    picks.iter().map(transaction).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn outcomes_do_not_depend_on_misses(picks in prop::collection::vec((1u8..5, 0usize..8, any::<u8>()), 1..12)) {
        let (world, targets) = world();
        let transactions = transactions(&picks, &targets);
        let ready = world.execute(&transactions).unwrap();
        // A fresh executor has no code cached, and every read has to be awaited.
        let slow = World { memory: world.memory.slow(), executor: World::before_genesis().executor, next: world.next.clone() };
        prop_assert_eq!(&slow.execute(&transactions).unwrap(), &ready);
        prop_assert!(slow.memory.waits.as_ref().unwrap().load(Ordering::Relaxed) > 0);
        // Run again, and built.
        prop_assert_eq!(&world.execute(&transactions).unwrap(), &ready);
        prop_assert_eq!(&slow.build(transactions).outcome, &ready);
    }
}

#[test]
fn what_later_transactions_read_is_fetched_with_the_first_miss() {
    let (world, targets) = world();
    // Forty senders' slots of one contract: unknown beforehand, and all found by one guess.
    let transactions: Vec<_> = (0..40)
        .map(|nonce| {
            let mut input = vec![];
            input.extend([SSTORE, nonce + 100, 1]);
            Envelope {
                nonce: nonce.into(),
                to: TxKind::Call(targets[4]),
                gas_limit: 150_000,
                value: U256::ZERO,
                input: input.into(),
                ..Default::default()
            }
            .sign(1)
        })
        .collect();
    let slow = World { memory: world.memory.slow(), ..world };
    slow.execute(&transactions).unwrap();
    let waits = slow.memory.waits.unwrap().load(Ordering::Relaxed);
    assert!(waits < 12, "{waits} waits for 40 slots");
}

#[test]
fn a_store_that_fails_or_lies_says_nothing_about_the_block() {
    struct Failing;
    impl StateReader for Failing {
        async fn read(&self, _: &[StateKey]) -> Result<Vec<Option<Value>>, ReadError> {
            Err(ReadError("disk gone".into()))
        }
        async fn code(&self, _: &B256) -> Result<Option<Bytes>, ReadError> {
            Err(ReadError("disk gone".into()))
        }
    }
    struct Short;
    impl StateReader for Short {
        async fn read(&self, _: &[StateKey]) -> Result<Vec<Option<Value>>, ReadError> {
            Ok(vec![])
        }
        async fn code(&self, _: &B256) -> Result<Option<Bytes>, ReadError> {
            Ok(None)
        }
    }
    let (mut world, targets) = world();
    let error = wait(world.executor.execute(&world.next, &[], &Failing)).unwrap_err();
    assert_eq!(error, BlockError::Read(ReadError("disk gone".into())));
    assert!(matches!(wait(world.executor.execute(&world.next, &[], &Short)), Err(BlockError::Read(_))));
    // Code that is missing, or is other code.
    let executor = World::before_genesis().executor;
    let transactions = transactions(&[(1, 0, 0)], &targets[..1]);
    let hash = world.memory.account(targets[0]).code_hash;
    world.memory.code.insert(hash, Bytes::from_static(&[STOP]));
    assert!(matches!(wait(executor.execute(&world.next, &transactions, &world.memory)), Err(BlockError::Read(_))));
    world.memory.code.remove(&hash);
    assert!(matches!(wait(executor.execute(&world.next, &transactions, &world.memory)), Err(BlockError::Read(_))));
}
