//! Measure transfers per second through a block, with and without the recovery of their senders.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use execution::{BlockContext, Executor, Outcome, ReadError, StateReader, recover_all};
use std::{collections::HashMap, hint::black_box, sync::Arc};
use types::{
    ChainSpec, Transaction,
    spec::{Allocation, StorageSpec},
    state::{StateKey, Value},
};

const SENDERS: u8 = 200;
const TRANSFERS: usize = 2_000;

#[derive(Default)]
struct Memory {
    state: HashMap<StateKey, Value>,
    code: HashMap<B256, Bytes>,
}

impl Memory {
    fn apply(&mut self, outcome: Outcome) {
        self.state.extend(outcome.changes.into_iter().filter_map(|(key, value)| Some((key, value?))));
        self.code.extend(outcome.code);
    }
}

impl StateReader for Memory {
    async fn read(&self, keys: &[StateKey]) -> Result<Vec<Option<Value>>, ReadError> {
        Ok(keys.iter().map(|key| self.state.get(key).copied()).collect())
    }

    async fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadError> {
        Ok(self.code.get(hash).cloned())
    }
}

fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).expect("a key")
}

fn spec() -> ChainSpec {
    let allocation =
        |number| Allocation { address: signer(number).address(), balance: U256::from(10).pow(U256::from(20)) };
    ChainSpec {
        name: "bench".into(),
        chain_id: 7777,
        genesis_timestamp_ms: 0,
        heartbeat_ms: 1_000,
        block_interval_min_ms: 100,
        clock_drift_max_ms: 1_000,
        timestamp_step_max_ms: 60_000,
        gas_limit: 1_000_000_000,
        base_fee_min: 1_000,
        storage: StorageSpec::devnet(),
        validators: Vec::new(),
        output: Bytes::new(),
        epoch_blocks: 600,
        alloc: (1..=SENDERS).map(allocation).collect(),
    }
}

fn context(height: u64) -> BlockContext {
    BlockContext {
        chain_id: 7777,
        height,
        timestamp_ms: height * 100,
        epoch: 0,
        view: height,
        is_epoch_ending: false,
        beneficiary: Address::repeat_byte(0xbe),
        gas_limit: 1_000_000_000,
        base_fee_per_gas: 1_000,
        parent_hash: B256::repeat_byte(1),
        prevrandao: B256::ZERO,
        lane_bytes: 0,
        beacon: None,
    }
}

fn transfers() -> Vec<Bytes> {
    let transfer = |index: usize| {
        let number = u8::try_from(index % usize::from(SENDERS)).expect("below 256") + 1;
        let transaction = TxEip1559 {
            chain_id: 7777,
            nonce: (index / usize::from(SENDERS)) as u64,
            gas_limit: 21_000,
            max_fee_per_gas: 2_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::left_padding_from(&(index as u64 + 1).to_be_bytes())),
            value: U256::from(1),
            ..Default::default()
        };
        let signature = signer(number).sign_hash_sync(&transaction.signature_hash()).expect("signs");
        Transaction::from_envelope(transaction.into_signed(signature).into()).expect("valid").raw().clone()
    };
    (0..TRANSFERS).map(transfer).collect()
}

fn block(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let executor = Executor::new(Arc::new(spec()));
    let mut memory = Memory::default();
    memory.apply(runtime.block_on(executor.execute(&context(1), &[], &memory)).expect("genesis"));
    let raws = transfers();
    let transactions = recover_all(raws.clone()).expect("valid");

    let mut group = criterion.benchmark_group("execution::execute");
    group.sample_size(20).throughput(Throughput::Elements(TRANSFERS as u64));
    let execute = |transactions: &[Arc<Transaction>]| {
        let outcome = runtime.block_on(executor.execute(&context(2), transactions, &memory)).expect("valid");
        assert_eq!(outcome.receipts.len(), TRANSFERS);
        outcome
    };
    group.bench_function("transfers=2000 recovered", |bencher| bencher.iter(|| execute(black_box(&transactions))));
    group.bench_function("transfers=2000 with recovery", |bencher| {
        bencher.iter(|| execute(&recover_all(black_box(&raws).clone()).expect("valid")));
    });
    group.bench_function("transfers=0", |bencher| {
        bencher.iter(|| runtime.block_on(executor.execute(&context(2), &[], &memory)).expect("valid"));
    });
    group.finish();
}

criterion_group!(benches, block);
criterion_main!(benches);
