//! Measure adding to a pool of 10,000 transactions and taking a block's worth out of it.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mempool::{Mempool, MempoolConfig};
use std::{hint::black_box, sync::Arc};
use types::{Transaction, state::Account};

const CHAIN_ID: u64 = 1_337;
const BASE_FEE: u64 = 1_000;
const SENDERS: u64 = 1_000;
const PER_SENDER: u64 = 10;
const BLOCK: usize = 400;

fn transactions() -> Vec<Arc<Transaction>> {
    let senders = (0..SENDERS).map(|number| {
        let key: B256 = keccak256(number.to_be_bytes());
        (number, PrivateKeySigner::from_bytes(&key).expect("a key"))
    });
    senders.flat_map(|(number, signer)| (0..PER_SENDER).map(move |nonce| transfer(&signer, number, nonce))).collect()
}

fn transfer(signer: &PrivateKeySigner, number: u64, nonce: u64) -> Arc<Transaction> {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(2_000 + (number * 7_919 + nonce * 104_729) % 5_000),
        max_priority_fee_per_gas: u128::from((number * 31 + nonce * 17) % 2_000),
        to: TxKind::Call(Address::ZERO),
        value: U256::ONE,
        input: Bytes::new(),
        access_list: Default::default(),
    };
    let signature = signer.sign_hash_sync(&transaction.signature_hash()).expect("signs");
    Arc::new(Transaction::from_envelope(transaction.into_signed(signature).into()).expect("valid"))
}

fn account() -> Account {
    Account { balance: U256::from(u128::MAX), ..Account::default() }
}

fn filled(transactions: &[Arc<Transaction>]) -> Mempool {
    let pool = Mempool::new(MempoolConfig::new(CHAIN_ID, 30_000_000), BASE_FEE);
    for transaction in transactions {
        pool.add(transaction.clone(), account(), 0).expect("enters");
    }
    pool
}

fn pool(criterion: &mut Criterion) {
    let transactions = transactions();
    let mut group = criterion.benchmark_group("mempool");
    group.sample_size(10);
    group.bench_function("add/count=10000", |bencher| {
        bencher.iter(|| filled(black_box(&transactions)));
    });
    let full = filled(&transactions);
    group.bench_function("best/count=10000 taken=400", |bencher| {
        bencher.iter(|| full.best(BASE_FEE).take(BLOCK).count());
    });
    group.bench_function("best/count=10000 taken=400 base fee moves", |bencher| {
        let mut base_fee = BASE_FEE;
        bencher.iter(|| {
            base_fee = if base_fee == BASE_FEE { BASE_FEE * 9 / 8 } else { BASE_FEE };
            full.best(base_fee).take(BLOCK).count()
        });
    });
    group.bench_function("on_block/count=10000 taken=400", |bencher| {
        bencher.iter_batched(
            || {
                let pool = filled(&transactions);
                let block: Vec<_> = pool.best(BASE_FEE).take(BLOCK).collect();
                (pool, block)
            },
            |(pool, block)| {
                pool.on_block(&block, &[], BASE_FEE, 0);
                // Handed back, so that dropping the pool is not measured.
                (pool, block)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, pool);
criterion_main!(benches);
