use super::fixture::*;
use crate::modules::STUB;
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{B256, TxKind, U256, keccak256};
use revm::bytecode::opcode::*;
use types::{
    Beacon,
    state::{Account, StateKey},
};

#[test]
fn first_block_lays_the_genesis() {
    let mut world = World::before_genesis();
    // Its transactions find the balances already there.
    let outcome = world.block(vec![transfer(1, 0, account(2), 5)]);
    assert_eq!(world.balance(account(2)), U256::from(10 * ETHER + 5));
    for module in types::abi::MODULES {
        assert_eq!(world.memory.account(module), Account { nonce: 1, balance: U256::ZERO, code_hash: keccak256(STUB) });
    }
    assert_eq!(world.memory.code[&keccak256(STUB)][..], *STUB);
    assert_eq!(
        world.memory.account(HISTORY_STORAGE_ADDRESS).code_hash,
        keccak256(&*alloy_eips::eip2935::HISTORY_STORAGE_CODE)
    );
    assert!(outcome.code.is_sorted_by(|a, b| a.0 < b.0));
    let accounts = world.memory.state.keys().filter(|key| matches!(key, StateKey::Account(_))).count();
    let second = world.block(vec![]);
    assert!(second.code.is_empty());
    let after = world.memory.state.keys().filter(|key| matches!(key, StateKey::Account(_))).count();
    assert_eq!(accounts, after, "later blocks lay nothing, and the system's own account stays without an entry");
}

#[test]
fn hashes_of_past_blocks_come_from_state() {
    let mut world = World::new();
    // Returns BLOCKHASH of the height in its calldata, through slot 0.
    let contract = world.deploy(&[PUSH0, CALLDATALOAD, BLOCKHASH, PUSH0, SSTORE]);
    // Asks the history contract for the same, into slot 1.
    let mut code = vec![PUSH1, 32, PUSH0, PUSH1, 32, PUSH0, PUSH0, PUSH0, CALLDATALOAD, PUSH0, MSTORE, PUSH20];
    code.extend(HISTORY_STORAGE_ADDRESS);
    code.extend([GAS, CALL, POP, PUSH0, MLOAD, PUSH0, SSTORE]);
    let history = world.deploy(&code);
    for _ in 0..300 {
        world.block(vec![]);
    }
    let head = world.next.height;
    for height in [0, 1, head - 256, head - 2, head - 1] {
        let input = U256::from(height).to_be_bytes::<32>();
        let expected = U256::from_be_bytes(keccak256(height.to_be_bytes()).0);
        let now = world.next.height;
        world.send(1, TxKind::Call(contract), 0, 100_000, input);
        let of_opcode = if now - height <= 256 { expected } else { U256::ZERO };
        assert_eq!(world.memory.slot(contract, 0), of_opcode, "BLOCKHASH of {height} in {now}");
        world.send(1, TxKind::Call(history), 0, 100_000, input);
        assert_eq!(world.memory.slot(history, 0), expected, "history of {height}");
    }
}

#[test]
fn beacon_root_is_the_parents_hash() {
    let mut world = World::new();
    let time = world.next.timestamp_ms / 1000;
    let parent = world.next.parent_hash;
    world.block(vec![]);
    assert_eq!(world.memory.slot(BEACON_ROOTS_ADDRESS, time % 8191), U256::from(time));
    assert_eq!(B256::from(world.memory.slot(BEACON_ROOTS_ADDRESS, time % 8191 + 8191)), parent);
}

#[test]
fn a_beacon_that_nobody_waits_for_changes_nothing() {
    let mut world = World::new();
    let without = world.execute(&[]).unwrap();
    world.next.beacon = Some(Beacon { epoch: 3, view: 4, seed: vec![1; 48].into() });
    assert_eq!(world.execute(&[]).unwrap(), without);
}
