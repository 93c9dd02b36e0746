use super::fixture::*;
use crate::{BlockError, TransactionRejection, next_base_fee, recover_all, transactions_root};
use alloy_consensus::TxReceipt;
use alloy_primitives::{Address, B256, Bloom, Bytes, TxKind, U256, b256, keccak256};
use revm::bytecode::opcode::*;
use types::{Header, state::StateKey};

fn rejection(world: &World, envelope: Envelope) -> TransactionRejection {
    match world.execute(&[envelope.sign(1)]) {
        Err(BlockError::Transaction { index: 0, rejection, .. }) => rejection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn transfer_moves_value_and_pays_the_beneficiary() {
    let mut world = World::new();
    let to = Address::repeat_byte(0x77);
    let outcome = world.block(vec![transfer(1, 0, to, 5), transfer(2, 0, to, 6)]);
    assert_eq!(outcome.gas_used, 42_000);
    assert_eq!(world.balance(to), U256::from(11));
    assert_eq!(world.balance(BENEFICIARY), U256::from(42_000 * 10));
    // The base fee is burned.
    assert_eq!(world.balance(account(1)), U256::from(10 * ETHER - 5 - 21_000 * (BASE_FEE + 10)));
    assert_eq!(world.nonce(1), 1);
    let gas: Vec<_> = outcome.receipts.iter().map(TxReceipt::cumulative_gas_used).collect();
    assert_eq!(gas, [21_000, 42_000]);
}

#[test]
fn changes_are_sorted_and_hold_no_entry_that_stayed_as_it_was() {
    let mut world = World::new();
    // Sends to itself at no price: only nonces, balances and the openings' slots differ.
    let outcome = world.block(vec![transfer(1, 0, account(1), 5)]);
    assert!(outcome.changes.is_sorted_by(|a, b| a.0 < b.0));
    // Writes a slot and clears it again.
    let code = [PUSH1, 1, PUSH0, SSTORE, PUSH0, PUSH0, SSTORE];
    let contract = world.deploy(&code);
    let sent = world.send(1, TxKind::Call(contract), 0, 100_000, []);
    assert!(sent.success);
    assert!(
        sent.outcome.changes.iter().all(|(key, _)| !matches!(key, StateKey::Slot(address, _) if *address == contract))
    );
    assert!(!sent.outcome.changes.iter().any(|(key, _)| *key == StateKey::Account(contract)), "only touched");
}

#[test]
fn all_transaction_types_run_and_roots_are_ethereums() {
    let mut world = World::new();
    let transactions: Vec<_> =
        (0..3).map(|kind| Envelope { kind, nonce: u64::from(kind), ..Default::default() }.sign(1)).collect();
    let root = transactions_root(&transactions);
    let outcome = world.block(transactions.clone());
    let kinds: Vec<_> = outcome.receipts.iter().map(alloy_consensus::Typed2718::ty).collect();
    assert_eq!(kinds, [0, 1, 2]);
    // Ethereum's root of nothing.
    let empty = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    assert_eq!((transactions_root(&[]), world.block(vec![]).receipts_root), (empty, empty));
    assert_ne!(root, empty);
    let raws: Vec<_> = transactions.iter().map(|transaction| transaction.raw().clone()).collect();
    let envelopes: Vec<_> = transactions.iter().map(|transaction| transaction.envelope().clone()).collect();
    assert_eq!(root, alloy_consensus::proofs::calculate_transaction_root(&envelopes));
    let recovered = recover_all(raws.iter().cycle().take(30).cloned().collect()).unwrap();
    assert!(
        recovered
            .iter()
            .zip(transactions.iter().cycle())
            .all(|(a, b)| (a.hash(), a.sender()) == (b.hash(), b.sender()))
    );
    let bad = [&raws[..], &[Bytes::from_static(b"nothing")]].concat();
    assert_eq!(recover_all(bad).unwrap_err().0, 3);
}

#[test]
fn authorizations_delegate_an_account_to_code() {
    use alloy_consensus::TxEip7702;
    use alloy_eips::eip7702::Authorization;
    use alloy_signer::SignerSync;
    let mut world = World::new();
    let contract = world.deploy(&[PUSH1, 7, PUSH0, SSTORE]);
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: contract, nonce: 0 };
    let signature = signer(2).sign_hash_sync(&authorization.signature_hash()).unwrap();
    let transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 0,
        gas_limit: 200_000,
        max_fee_per_gas: 10_000,
        max_priority_fee_per_gas: 1,
        to: account(2),
        value: U256::ZERO,
        access_list: Default::default(),
        authorization_list: vec![authorization.into_signed(signature)],
        input: Bytes::new(),
    };
    let transaction = std::sync::Arc::new(types::Transaction::from_envelope(sealed(transaction, 1)).unwrap());
    let outcome = world.block(vec![transaction]);
    assert!(outcome.receipts[0].status());
    assert_eq!(world.memory.slot(account(2), 0), U256::from(7));
    assert_eq!(
        outcome.code,
        [(world.memory.account(account(2)).code_hash, [&[0xef, 1, 0], &contract[..]].concat().into())]
    );
    // It still sends, and what is sent to it runs the code.
    assert!(world.send(2, TxKind::Call(account(3)), 1, 21_000, []).success);
    assert!(world.send(1, TxKind::Call(account(2)), 1, 100_000, []).success);
}

#[test]
fn deployed_code_runs_and_is_stored_by_hash() {
    let mut world = World::new();
    // Counts its calls in slot 0 and logs the count under topic 5.
    let code = [PUSH0, SLOAD, PUSH1, 1, ADD, DUP1, PUSH0, SSTORE, PUSH0, MSTORE, PUSH1, 5, PUSH1, 32, PUSH0, LOG1];
    let contract = world.deploy(&code);
    assert_eq!(world.memory.code[&keccak256(code)], Bytes::copy_from_slice(&code));
    assert_eq!(world.memory.account(contract).nonce, 1);
    let call = |nonce| Envelope {
        nonce,
        to: TxKind::Call(contract),
        value: U256::ZERO,
        gas_limit: 100_000,
        ..Default::default()
    };
    let outcome = world.block(vec![call(0).sign(1), call(1).sign(1)]);
    assert_eq!(world.memory.slot(contract, 0), U256::from(2));
    assert!(outcome.code.is_empty(), "nothing new");
    let logs = outcome.receipts[1].logs();
    assert_eq!((logs[0].address, logs[0].topics()), (contract, &[B256::with_last_byte(5)][..]));
    assert_eq!(logs[0].data.data[..], U256::from(2).to_be_bytes::<32>());
    let mut bloom = Bloom::ZERO;
    bloom.accrue_log(&logs[0]);
    assert_eq!(outcome.logs_bloom, bloom);
    assert_eq!(outcome.receipts_root, alloy_consensus::proofs::calculate_receipt_root(&outcome.receipts));
}

#[test]
fn reverts_and_halts_keep_the_fee_and_nothing_else() {
    let mut world = World::new();
    let reverting = world.deploy(&[PUSH1, 1, PUSH0, SSTORE, PUSH0, PUSH0, LOG0, PUSH0, PUSH0, REVERT]);
    let endless = world.deploy(&[JUMPDEST, PUSH1, 1, PUSH0, SSTORE, PUSH0, JUMP]);
    for (contract, gas_used) in [(reverting, None), (endless, Some(100_000))] {
        let before = world.balance(account(1));
        let sent = world.send(1, TxKind::Call(contract), 9, 100_000, []);
        let used = sent.outcome.gas_used;
        assert!(!sent.success && gas_used.is_none_or(|gas| gas == used) && used <= 100_000);
        assert!(sent.outcome.receipts[0].logs().is_empty());
        assert_eq!(world.balance(account(1)), before - U256::from(used * (BASE_FEE + 10)));
        assert_eq!((world.balance(contract), world.memory.slot(contract, 0)), (U256::ZERO, U256::ZERO));
    }
    assert_eq!(world.nonce(1), 2);
}

#[test]
fn blocks_with_invalid_transactions_are_refused_for_a_named_reason() {
    let mut world = World::new();
    world.block(vec![transfer(1, 0, account(2), 1)]);
    let good = Envelope { nonce: 1, ..Default::default() };
    use TransactionRejection as R;
    let cases = [
        (Envelope { nonce: 0, ..good.clone() }, R::NonceTooLow { transaction: 0, account: 1 }),
        (Envelope { nonce: 2, ..good.clone() }, R::NonceTooHigh { transaction: 2, account: 1 }),
        (Envelope { chain_id: 1, ..good.clone() }, R::WrongChain),
        (Envelope { max_fee: 999, priority_fee: 1, ..good.clone() }, R::FeeBelowBaseFee),
        (Envelope { priority_fee: 10_001, ..good.clone() }, R::PriorityFeeAboveFee),
        (Envelope { gas_limit: 20_999, ..good.clone() }, R::GasLimitTooLow { gas_limit: 20_999, needed: 21_000 }),
        (
            Envelope { gas_limit: 16_777_217, ..good.clone() },
            R::GasLimitAboveCap { gas_limit: 16_777_217, cap: 16_777_216 },
        ),
        (
            Envelope { gas_limit: 60_000_001, ..good.clone() },
            R::BlockGasExceeded { gas_limit: 60_000_001, left: 60_000_000 },
        ),
        (Envelope { value: U256::MAX, ..good.clone() }, R::Overflow),
        (
            Envelope { to: TxKind::Create, gas_limit: 5_000_000, input: vec![0; 49_153].into(), ..good.clone() },
            R::InitCodeTooLong,
        ),
    ];
    for (envelope, expected) in cases {
        assert_eq!(rejection(&world, envelope), expected);
    }
    assert!(matches!(
        rejection(&world, Envelope { value: U256::from(20) * U256::from(ETHER), ..good.clone() }),
        R::InsufficientFunds { .. }
    ));
    // The position counts.
    let error = world.execute(&[good.clone().sign(1), good.sign(1)]).unwrap_err();
    assert!(matches!(error, BlockError::Transaction { index: 1, rejection: R::NonceTooLow { .. }, .. }), "{error}");
}

#[test]
fn block_gas_counts_limits_before_and_use_after() {
    let world = World::new();
    let limit = |nonce, gas_limit| Envelope { nonce, gas_limit, ..Default::default() }.sign(1);
    // Each may ask for what the others have not used.
    let transactions: Vec<_> = (0..4).map(|nonce| limit(nonce, 16_000_000)).collect();
    assert_eq!(world.execute(&transactions).unwrap().gas_used, 84_000);
    let mut tight = world.clone();
    tight.next.gas_limit = 16_000_000 + 20_999;
    let error = tight.execute(&transactions).unwrap_err();
    let expected = TransactionRejection::BlockGasExceeded { gas_limit: 16_000_000, left: 15_999_999 };
    assert!(matches!(error, BlockError::Transaction { index: 1, rejection, .. } if rejection == expected));
}

#[test]
fn contracts_destroyed_where_they_are_made_leave_nothing() {
    let mut world = World::new();
    let heir = Address::repeat_byte(0x99);
    // Sets a slot and gives everything to the heir, all while it is being deployed.
    let code = [&[PUSH1, 1, PUSH0, SSTORE, PUSH20][..], &heir[..], &[SELFDESTRUCT]].concat();
    let contract = account(1).create(0);
    let sent = world.send(1, TxKind::Create, 7, 200_000, code.clone());
    assert!(sent.success);
    assert_eq!(world.balance(heir), U256::from(7));
    let of_contract = |key: &StateKey| matches!(key, StateKey::Account(a) | StateKey::Slot(a, _) if *a == contract);
    assert!(!sent.outcome.changes.iter().any(|(key, _)| of_contract(key)));
    assert!(sent.outcome.code.is_empty());

    // One that had a balance before it was made loses its entry.
    let contract = account(1).create(2);
    world.block(vec![transfer(1, 1, contract, 3)]);
    let sent = world.send(1, TxKind::Create, 0, 200_000, code.clone());
    assert!(sent.success && sent.outcome.changes.contains(&(StateKey::Account(contract), None)));
    assert_eq!(world.balance(heir), U256::from(10));

    // A contract from an earlier transaction only gives its balance away (EIP-6780), even in the same block.
    let made = account(1).create(3);
    let create = Envelope {
        nonce: 3,
        to: TxKind::Create,
        gas_limit: 500_000,
        value: U256::from(5),
        input: deployment(&code).into(),
        ..Default::default()
    };
    let destroy =
        Envelope { nonce: 4, to: TxKind::Call(made), gas_limit: 200_000, value: U256::ZERO, ..Default::default() };
    let outcome = world.block(vec![create.sign(1), destroy.sign(1)]);
    assert!(outcome.receipts.iter().all(TxReceipt::status));
    assert_eq!((world.memory.account(made).nonce, world.memory.slot(made, 0)), (1, U256::from(1)));
    assert_eq!(world.balance(heir), U256::from(15));
}

#[test]
fn empty_accounts_have_no_entry() {
    let mut world = World::new();
    let nobody = Address::repeat_byte(0x31);
    world.send(1, TxKind::Call(nobody), 0, 21_000, []);
    assert!(!world.memory.state.contains_key(&StateKey::Account(nobody)));
    // Signer 20 spends all it has; its nonce keeps the entry. What it sent goes on to nobody else.
    let fee = 21_000 * BASE_FEE;
    world.block(vec![transfer(1, 1, account(20), fee + 1)]);
    let all = Envelope { max_fee: BASE_FEE.into(), priority_fee: 0, to: TxKind::Call(nobody), ..Default::default() };
    world.block(vec![all.sign(20)]);
    let left = world.memory.account(account(20));
    assert_eq!((left.nonce, left.balance), (1, U256::ZERO));
    assert_eq!(world.balance(nobody), U256::from(1));
}

#[test]
fn base_fee_follows_eip_1559_down_to_the_floor() {
    let spec = spec();
    // Base fee, limit and use of the parent, base fee of the child; the first six as in clients' reference tests.
    let vectors = [
        (1_000_000_000, 10_000_000, 10_000_000, 1_125_000_000),
        (1_000_000_000, 10_000_000, 5_000_000, 1_000_000_000),
        (1_000_000_000, 10_000_000, 0, 875_000_000),
        (1_072_671_875, 18_000_000, 9_000_000, 1_072_671_875),
        (1_049_238_967, 18_000_000, 10_000_000, 1_063_811_730),
        (1_049_238_967, 20_000_000, 0, 918_084_097),
        (1_500, 30_000_000, 15_000_001, 1_501),
        (1_000, 30_000_000, 0, 1_000),
        (1_100, 30_000_000, 0, 1_000),
        (u64::MAX, 30_000_000, 30_000_000, u64::MAX),
    ];
    for (base_fee_per_gas, gas_limit, gas_used, expected) in vectors {
        let parent = Header { height: 5, base_fee_per_gas, gas_limit, gas_used, ..header() };
        assert_eq!(next_base_fee(&parent, &spec), expected, "{base_fee_per_gas} {gas_limit} {gas_used}");
    }
    assert_eq!(next_base_fee(&Header { height: 0, ..header() }, &spec), spec.base_fee_min);
}

fn header() -> Header {
    Header {
        parent_hash: B256::ZERO,
        height: 0,
        epoch: 0,
        view: 0,
        parent_view: 0,
        leader: B256::ZERO,
        timestamp_ms: 0,
        state_root: B256::ZERO,
        state_log: Default::default(),
        code_log: Default::default(),
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        logs_bloom: Bloom::ZERO,
        gas_used: 0,
        gas_limit: 0,
        base_fee_per_gas: 0,
        beneficiary: Address::ZERO,
        seed: Bytes::new(),
        outbox_root: B256::ZERO,
        resharing_hash: B256::ZERO,
        beacon: None,
    }
}
