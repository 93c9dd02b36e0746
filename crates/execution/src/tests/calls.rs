use super::fixture::*;
use crate::{CallError, CallRequest, CallStatus, EstimateError, HaltReason, TransactionRejection};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::bytecode::opcode::*;

fn request(to: Address, data: impl Into<Bytes>) -> CallRequest {
    CallRequest { from: account(1), to: Some(to), data: data.into(), ..Default::default() }
}

fn estimate(world: &World, request: CallRequest) -> Result<u64, EstimateError> {
    wait(world.executor.estimate_gas(&world.next, request, &world.memory))
}

#[test]
fn calls_need_neither_money_nor_nonce_and_leave_nothing() {
    let mut world = World::new();
    // Keeps the value and answers caller, value and base fee.
    let code = [
        PUSH1, 1, PUSH0, SSTORE, CALLER, PUSH0, MSTORE, CALLVALUE, PUSH1, 32, MSTORE, BASEFEE, PUSH1, 64, MSTORE,
        PUSH1, 96, PUSH0, RETURN,
    ];
    let contract = world.deploy(&code);
    let poor = Address::repeat_byte(0xee);
    let call = CallRequest { from: poor, value: U256::from(ETHER), ..request(contract, []) };
    let outcome = wait(world.executor.call(&world.next, call, &world.memory)).unwrap();
    let words = [poor.into_word(), U256::from(ETHER).into(), U256::from(BASE_FEE).into()];
    assert_eq!((outcome.status, &outcome.output[..]), (CallStatus::Success, &words.concat()[..]));
    assert_eq!(world.memory.slot(contract, 0), U256::ZERO);
    // With fees of either kind, and entries charged for in advance.
    let dynamic = CallRequest { gas_price: Some(2_000), priority_fee: Some(1), ..request(contract, []) };
    let listing = alloy_eips::eip2930::AccessListItem { address: contract, storage_keys: vec![B256::ZERO] };
    let listed = CallRequest { gas_price: Some(2_000), access_list: vec![listing].into(), ..request(contract, []) };
    for call in [dynamic, listed] {
        assert_eq!(wait(world.executor.call(&world.next, call, &world.memory)).unwrap().status, CallStatus::Success);
    }
    // From a contract, and as a deployment.
    let call = CallRequest { from: contract, ..request(contract, []) };
    assert_eq!(wait(world.executor.call(&world.next, call, &world.memory)).unwrap().status, CallStatus::Success);
    let call = CallRequest { from: poor, to: None, data: deployment(&code).into(), ..Default::default() };
    assert_eq!(wait(world.executor.call(&world.next, call, &world.memory)).unwrap().output[..], code);
    // The same on state that has to be awaited.
    let slow = world.memory.slow();
    assert_eq!(
        wait(world.executor.call(&world.next, request(contract, []), &slow)).unwrap().gas_used,
        outcome.gas_used
    );
}

#[test]
fn calls_say_how_they_ended() {
    let mut world = World::new();
    let call = |world: &World, request| wait(world.executor.call(&world.next, request, &world.memory));
    let reverting = world.deploy(&[PUSH1, 7, PUSH0, MSTORE, PUSH1, 32, PUSH0, REVERT]);
    let outcome = call(&world, request(reverting, [])).unwrap();
    assert_eq!((outcome.status, outcome.output[31]), (CallStatus::Revert, 7));
    let endless = world.deploy(&[JUMPDEST, PUSH0, JUMP]);
    let outcome = call(&world, CallRequest { gas: Some(100_000), ..request(endless, []) }).unwrap();
    assert!(matches!(outcome.status, CallStatus::Halt(HaltReason::OutOfGas(_))));
    assert_eq!(outcome.gas_used, 100_000);
    let outcome = call(&world, CallRequest { gas: Some(u64::MAX), ..request(endless, []) }).unwrap();
    assert_eq!(outcome.gas_used, crate::CALL_GAS_MAX);
    // Hostile numbers are refused.
    let hostile = [
        CallRequest { gas_price: Some(u128::MAX), value: U256::MAX, ..request(reverting, []) },
        CallRequest { gas_price: Some(1), priority_fee: Some(2), ..request(reverting, []) },
        CallRequest { gas: Some(1), ..request(reverting, []) },
    ];
    for request in hostile {
        assert!(matches!(call(&world, request), Err(CallError::Rejected(_))));
    }
    // A value that overflows the balance of the callee.
    let everything = CallRequest { value: U256::MAX, to: Some(account(2)), ..request(reverting, []) };
    assert!(call(&world, everything).is_ok_and(|outcome| outcome.status != CallStatus::Success));
}

#[test]
fn estimates_suffice_and_are_not_far_above() {
    let mut world = World::new();
    assert_eq!(estimate(&world, CallRequest { value: U256::from(1), ..request(account(2), []) }), Ok(21_000));
    // Refunds come last, and each call keeps a sixty-fourth.
    let inner = world.deploy(&proxy(CALL, SCRIPT, Then::Require));
    let deep = world.deploy(&proxy(CALL, inner, Then::Require));
    world.send(1, TxKind::Call(SCRIPT), 0, 500_000, [SSTORE, 5, 5, SSTORE, 6, 6]);
    for (to, steps) in [
        (SCRIPT, vec![SSTORE, 1, 1]),
        (SCRIPT, vec![SSTORE, 5, 0, SSTORE, 6, 0]),
        (deep, vec![SSTORE, 1, 1, SSTORE, 2, 1, SSTORE, 5, 0]),
    ] {
        let gas = estimate(&world, request(to, steps.clone())).unwrap();
        assert!(world.clone().send(1, TxKind::Call(to), 0, gas, steps.clone()).success);
        let least = (21_000..=gas).rev().find(|gas| {
            let request = CallRequest { gas: Some(gas - 1), ..request(to, steps.clone()) };
            match wait(world.executor.call(&world.next, request, &world.memory)) {
                Ok(outcome) => outcome.status != CallStatus::Success,
                Err(_) => true,
            }
        });
        let least = least.unwrap();
        assert!(gas <= least + least / 32, "{gas} for {least}");
    }
}

#[test]
fn estimates_fail_with_the_reason() {
    let mut world = World::new();
    let reverting = world.deploy(&[PUSH1, 7, PUSH0, MSTORE, PUSH1, 32, PUSH0, REVERT]);
    let reason = U256::from(7).to_be_bytes::<32>().into();
    assert_eq!(estimate(&world, request(reverting, [])), Err(EstimateError::Reverted { output: reason }));
    let endless = world.deploy(&[JUMPDEST, PUSH0, JUMP]);
    assert!(matches!(estimate(&world, request(endless, [])), Err(EstimateError::Failed { gas_limit: 16_777_216, .. })));
    // What the sender cannot pay for.
    let dear = CallRequest { gas_price: Some(u128::from(ETHER)), ..request(account(2), []) };
    assert!(matches!(
        estimate(&world, dear),
        Err(EstimateError::Call(CallError::Rejected(TransactionRejection::GasLimitTooLow { .. })))
    ));
}
