use super::fixture::*;
use crate::modules::STUB;
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use revm::bytecode::opcode::*;
use types::abi::{IModule, ITerritories, TERRITORIES};

fn call(world: &World, to: Address, input: impl Into<Bytes>) -> crate::CallOutcome {
    let request = crate::CallRequest { from: account(1), to: Some(to), data: input.into(), ..Default::default() };
    wait(world.executor.call(&world.next, request, &world.memory)).unwrap()
}

fn report(output: &Bytes) -> (bool, Bytes) {
    (output[31] == 1, output.slice(32..))
}

#[test]
fn accounts_call_the_protocols_modules() {
    let mut world = World::new();
    let quote = ITerritories::quoteCall { size: 1 << 30, daysCount: 30 };
    let price =
        ITerritories::quoteCall::abi_decode_returns(&call(&world, TERRITORIES, quote.abi_encode()).output).unwrap();
    let before = world.balance(account(1));
    let buy = ITerritories::buyCall { size: 1 << 30, daysCount: 30 }.abi_encode();
    let value = price.to::<u64>() + 9;
    let sent = world.send(1, TxKind::Call(TERRITORIES), value, 1_000_000, buy.clone());
    assert!(sent.success);
    let log = ITerritories::Bought::decode_log(&sent.outcome.receipts[0].logs()[0]).unwrap();
    assert_eq!((log.address, log.owner, log.size), (TERRITORIES, account(1), 1 << 30));
    let fee = U256::from(sent.outcome.gas_used * (BASE_FEE + 10));
    assert_eq!(world.balance(account(1)), before - price - fee, "the excess came back");
    let territory = ITerritories::territoryCall { id: log.territory }.abi_encode();
    let territory =
        ITerritories::territoryCall::abi_decode_returns(&call(&world, TERRITORIES, territory).output).unwrap();
    assert_eq!(territory.owner, account(1));

    let short = world.send(1, TxKind::Call(TERRITORIES), 1, 1_000_000, buy);
    assert!(!short.success);
}

#[test]
fn a_contract_that_reverts_takes_the_module_with_it() {
    let mut world = World::new();
    let inner = world.deploy(&proxy(CALL, SCRIPT, Then::Revert));
    let outer = world.deploy(&proxy(CALL, inner, Then::Report));
    let steps = [SSTORE, 1, 5, LOG1, 2, 2, CALL, 0xb1, 3];
    for to in [inner, outer] {
        let sent = world.send(1, TxKind::Call(to), 9, 500_000, steps);
        assert_eq!(sent.success, to == outer);
        assert!(sent.outcome.receipts[0].logs().is_empty());
        assert_eq!(world.memory.slot(SCRIPT, 1), U256::ZERO);
        assert_eq!((world.balance(SCRIPT), world.balance(Address::repeat_byte(0xb1))), (U256::ZERO, U256::ZERO));
    }
    let keeping = world.deploy(&proxy(CALL, SCRIPT, Then::Report));
    let sent = world.send(1, TxKind::Call(keeping), 9, 500_000, steps);
    assert!(sent.success);
    assert_eq!(sent.outcome.receipts[0].logs()[0].address, SCRIPT);
    assert_eq!(world.memory.slot(SCRIPT, 1), U256::from(5));
    assert_eq!((world.balance(SCRIPT), world.balance(Address::repeat_byte(0xb1))), (U256::from(6), U256::from(3)));
}

#[test]
fn static_calls_read_and_do_not_write() {
    let mut world = World::new();
    let reading = world.deploy(&proxy(STATICCALL, SCRIPT, Then::Report));
    for steps in [[SSTORE, 1, 1], [LOG1, 1, 1], [CALL, 0xb1, 0]] {
        assert_eq!(report(&call(&world, reading, steps).output), (false, Bytes::new()), "{steps:?}");
    }
    assert!(report(&call(&world, reading, [SLOAD, 1, 0]).output).0);
    // Inherited through a plain call, and by the module that a module calls.
    let inner = world.deploy(&proxy(CALL, SCRIPT, Then::Report));
    let outer = world.deploy(&proxy(STATICCALL, inner, Then::Report));
    let (success, output) = report(&call(&world, outer, [SSTORE, 1, 1]).output);
    assert!(success && !report(&output).0);
    assert!(!report(&call(&world, reading, [STATICCALL, 0, 0, SSTORE, 1, 1]).output).0);
    // The protocol's modules refuse by name.
    let territories = world.deploy(&proxy(STATICCALL, TERRITORIES, Then::Report));
    let (success, output) =
        report(&call(&world, territories, ITerritories::buyCall { size: 1 << 30, daysCount: 30 }.abi_encode()).output);
    assert_eq!((success, output), (false, IModule::StaticCallNotAllowed {}.abi_encode().into()));
}

#[test]
fn delegated_calls_are_refused() {
    let mut world = World::new();
    for opcode in [DELEGATECALL, CALLCODE] {
        let contract = world.deploy(&proxy(opcode, SCRIPT, Then::Report));
        let (success, output) = report(&call(&world, contract, [SSTORE, 1, 1]).output);
        assert_eq!((success, output), (false, IModule::DelegateCallNotAllowed {}.abi_encode().into()));
    }
}

#[test]
fn solidity_sees_a_contract() {
    let mut world = World::new();
    let mut code = vec![];
    for (opcode, offset) in [(EXTCODESIZE, 0), (EXTCODEHASH, 32)] {
        code.push(PUSH20);
        code.extend(TERRITORIES);
        code.extend([opcode, PUSH1, offset, MSTORE]);
    }
    code.extend([PUSH1, 64, PUSH0, RETURN]);
    let contract = world.deploy(&code);
    let output = call(&world, contract, []).output;
    assert_eq!(output[..32], U256::from(STUB.len()).to_be_bytes::<32>());
    assert_eq!(output[32..], keccak256(STUB)[..]);
}

#[test]
fn modules_call_modules() {
    let mut world = World::new();
    // The caller of the second is the first; facts of the block are there.
    let output = call(&world, SCRIPT, [CALLER, 0, 0, STATICCALL, 0, 0, CALLER, 0, 0, TIMESTAMP, 0, 0]).output;
    let expected = [account(1).into_word(), SCRIPT.into_word(), U256::from(world.next.timestamp_ms).into()];
    assert_eq!(output[..], expected.concat());
    // Both write, each its own.
    let sent =
        world.send(1, TxKind::Call(SCRIPT), 0, 500_000, [SSTORE, 1, 2, STATICCALL, 0, 0, SSTORE, 1, 3, LOG1, 7, 7]);
    assert!(sent.success);
    assert_eq!((world.memory.slot(SCRIPT, 1), world.memory.slot(OTHER_SCRIPT, 1)), (U256::from(2), U256::from(3)));
    assert_eq!(sent.outcome.receipts[0].logs()[0].address, OTHER_SCRIPT);
    // The second fails: what it did is undone, what the first did stays, also gas refunds are forgotten.
    let steps = [SSTORE, 2, 9, STATICCALL, 0, 0, SSTORE, 1, 0, LOG1, 8, 8, REVERT, 1, 2];
    let sent = world.send(1, TxKind::Call(SCRIPT), 0, 500_000, steps);
    assert!(sent.success && sent.outcome.receipts[0].logs().is_empty());
    assert_eq!((world.memory.slot(SCRIPT, 2), world.memory.slot(OTHER_SCRIPT, 1)), (U256::from(9), U256::from(3)));
    // The first passes the failure on.
    let steps = [SSTORE, 2, 1, STATICCALL, 0, 1, REVERT, 1, 2];
    let outcome = call(&world, SCRIPT, steps);
    assert_eq!((outcome.status, outcome.output), (crate::CallStatus::Revert, Bytes::from_static(&[1, 2])));
    assert!(!world.send(1, TxKind::Call(SCRIPT), 0, 500_000, steps).success);
    assert_eq!(world.memory.slot(SCRIPT, 2), U256::from(9));
    // They may not call each other for ever.
    let deep = [STATICCALL, 0, 1].repeat(20);
    assert_eq!(call(&world, SCRIPT, deep).status, crate::CallStatus::Revert);
}

#[test]
fn out_of_gas_at_any_point_changes_nothing() {
    let mut world = World::new();
    let steps = [SSTORE, 1, 5, CALL, 0xb1, 3, STATICCALL, 0, 0, SSTORE, 1, 1, LOG1, 2, 2];
    let used = world.clone().send(1, TxKind::Call(SCRIPT), 9, 500_000, steps).outcome.gas_used;
    for gas_limit in (22_000..used).step_by(97).chain([used - 1, used]) {
        let mut world = world.clone();
        let sent = world.send(1, TxKind::Call(SCRIPT), 9, gas_limit, steps);
        assert_eq!(sent.success, gas_limit == used, "{gas_limit} of {used}");
        if gas_limit < used {
            assert_eq!((sent.outcome.gas_used, sent.outcome.receipts[0].logs().len()), (gas_limit, 0));
            assert_eq!((world.memory.slot(SCRIPT, 1), world.memory.slot(OTHER_SCRIPT, 1)), (U256::ZERO, U256::ZERO));
            assert_eq!(world.balance(SCRIPT), U256::ZERO);
        }
    }
    assert!(world.send(1, TxKind::Call(SCRIPT), 9, used, steps).success);
}

#[test]
fn faults_count_where_a_module_ignores_them() {
    let mut world = World::new();
    assert!(!world.send(1, TxKind::Call(CARELESS), 0, 50_000, []).success);
    assert!(world.send(1, TxKind::Call(CARELESS), 0, 500_000, []).success);
    // It cannot pay what it does not have.
    assert!(!world.send(1, TxKind::Call(SCRIPT), 1, 500_000, [CALL, 0xb1, 2]).success);
}

#[test]
fn work_costs_what_the_opcodes_cost() {
    let mut world = World::new();
    // Slot 9 is set and account 0xb1 exists.
    let code = [PUSH1, 5, PUSH1, 9, SSTORE];
    world.send(1, TxKind::Call(SCRIPT), 0, 100_000, [SSTORE, 9, 5]);
    world.block(vec![transfer(2, 0, Address::repeat_byte(0xb1), 1)]);
    let scripts: [&[u8]; 9] = [
        &[CALL, 0xb1, 1],
        &[CALL, 0xb1, 0, CALL, 0xb1, 1],
        &[CALL, 0xb2, 0, CALL, 0xb2, 1, CALL, 0xb2, 1],
        &[SLOAD, 1, 0, SLOAD, 1, 0, SLOAD, 9, 0],
        &[SSTORE, 1, 1],
        &[SSTORE, 9, 0],
        &[SSTORE, 9, 0, SSTORE, 9, 5],
        &[SSTORE, 1, 1, SSTORE, 1, 0],
        &[SLOAD, 9, 0, SSTORE, 9, 9, SSTORE, 1, 2, SSTORE, 1, 3, SLOAD, 1, 0],
    ];
    for script in scripts {
        // The same steps as opcodes, behind a first call that sets slot 9.
        let (mut body, mut overhead) = (vec![], 0);
        for step in script.chunks_exact(3) {
            match step[0] {
                SLOAD => body.extend([PUSH1, step[1], SLOAD, POP]),
                CALL => {
                    body.extend([PUSH0, PUSH0, PUSH0, PUSH0, PUSH1, step[2], PUSH20]);
                    body.extend([step[1]; 20]);
                    body.extend([PUSH0, CALL, POP]);
                }
                _ => body.extend([PUSH1, step[2], PUSH1, step[1], SSTORE]),
            }
            overhead += match step[0] {
                SLOAD => 5,
                CALL => 18,
                _ => 6,
            };
        }
        // Without calldata it sets slot 9; with any it runs the steps.
        let head = [CALLDATASIZE, PUSH1, (5 + code.len()) as u8, JUMPI];
        let contract = world.deploy(&[&head[..], &code, &[STOP, JUMPDEST], &body].concat());
        world.send(1, TxKind::Call(contract), 0, 100_000, []);
        let [module, contract] =
            [SCRIPT, contract].map(|to| world.clone().send(1, TxKind::Call(to), 100, 1_000_000, script.to_vec()));
        assert!(module.success && contract.success, "{script:?}");
        let entry = 100 + 3 * (script.len() as u64).div_ceil(32);
        // CALLDATASIZE, PUSH1, JUMPI and JUMPDEST.
        let (module, contract) =
            (module.outcome.gas_used - entry, contract.outcome.gas_used - overhead - (2 + 3 + 10 + 1));
        // Refunds are at most a fifth of the gas spent, which differs by the entry.
        assert!(module.abs_diff(contract) <= entry.max(overhead + 16) / 5, "{script:?}: {module} and {contract}");
        if !script.windows(3).any(|step| step[0] == SSTORE && (step[1] == 9 || step[2] == 0)) {
            assert_eq!(module, contract, "{script:?}");
        }
    }
}
