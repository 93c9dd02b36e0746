//! Make up chains to archive: what is archived need not make sense to a virtual machine.

use crate::{Archive, ArchiveConfig, record::Finalized};
use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxReceipt, TxType};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, LogData, Signature, TxKind, U256, keccak256};
use execution::{Outcome, receipts_root};
use std::{path::Path, sync::Arc};
use types::{
    Block, ChainSpec, Header, Transaction,
    spec::StorageSpec,
    state::{StateKey, Value},
};

pub fn spec() -> ChainSpec {
    ChainSpec {
        name: "test".into(),
        chain_id: 7777,
        genesis_timestamp_ms: 0,
        heartbeat_ms: 1_000,
        block_interval_min_ms: 100,
        clock_drift_max_ms: 1_000,
        timestamp_step_max_ms: 60_000,
        gas_limit: 60_000_000,
        base_fee_min: 1_000,
        storage: StorageSpec::devnet(),
        validators: Vec::new(),
        output: Bytes::new(),
        epoch_blocks: 600,
        alloc: Vec::new(),
    }
}

pub fn open(path: &Path) -> Archive {
    open_with(path, 1024)
}

pub fn open_with(path: &Path, history_blocks: u64) -> Archive {
    let config = ArchiveConfig { history_blocks, cache_bytes: 4 << 20 };
    Archive::open_with(path, &spec(), config).unwrap()
}

/// A transaction that differs from others by `number`. Its signature is made up, and still recovers to someone.
pub fn transaction(number: u64) -> Arc<Transaction> {
    let transaction =
        TxEip1559 { chain_id: 7777, nonce: number, to: TxKind::Call(Address::ZERO), ..Default::default() };
    let signed = (1u64..).find_map(|attempt| {
        let signature = Signature::new(U256::from(attempt), U256::from(7), false);
        Transaction::from_envelope(transaction.clone().into_signed(signature).into()).ok()
    });
    Arc::new(signed.unwrap())
}

/// The genesis block and its empty outcome.
pub fn genesis() -> (Block, Outcome) {
    let header = Header {
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
        gas_limit: 60_000_000,
        base_fee_per_gas: 1_000,
        beneficiary: Address::ZERO,
        seed: Bytes::new(),
        outbox_root: B256::ZERO,
        resharing_hash: B256::ZERO,
        beacon: None,
    };
    (Block { header, transactions: Vec::new() }, Outcome::default())
}

/// What happens in a made-up block.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Logs of the calls that open it.
    pub system_logs: Vec<Log>,
    /// Logs by transaction.
    pub logs: Vec<Vec<Log>>,
    pub changes: Vec<(StateKey, Option<Value>)>,
    pub code: Vec<Bytes>,
}

/// A block after `parent` with `content`.
pub fn child(parent: &Header, content: Content) -> (Block, Outcome) {
    let height = parent.height + 1;
    let transactions: Vec<_> =
        (0..content.logs.len()).map(|index| transaction(height * 1_000 + index as u64)).collect();
    let receipts: Vec<_> = (1u64..)
        .zip(content.logs)
        .map(|(index, logs)| {
            let receipt =
                Receipt { status: Eip658Value::Eip658(index % 3 != 0), cumulative_gas_used: index * 21_000, logs };
            ReceiptEnvelope::from_typed(TxType::Eip1559, receipt.with_bloom())
        })
        .collect();
    let mut logs_bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    content.system_logs.iter().for_each(|log| logs_bloom.accrue_log(log));
    let outcome = Outcome {
        receipts_root: receipts_root(&receipts),
        logs_bloom,
        gas_used: receipts.len() as u64 * 21_000,
        receipts,
        system_logs: content.system_logs,
        changes: content.changes,
        code: content.code.into_iter().map(|code| (keccak256(&code), code)).collect(),
    };
    let header = Header {
        parent_hash: parent.hash(),
        height,
        view: parent.view + 1,
        timestamp_ms: height * 500,
        receipts_root: outcome.receipts_root,
        logs_bloom,
        gas_used: outcome.gas_used,
        ..genesis().0.header
    };
    (Block { header, transactions }, outcome)
}

/// Appends the genesis and a block for each of `contents`; returns all of them.
pub fn fill(archive: &Archive, contents: impl IntoIterator<Item = Content>) -> Vec<(Block, Outcome)> {
    let mut chain = vec![genesis()];
    for content in contents {
        chain.push(child(&chain.last().unwrap().0.header, content));
    }
    chain.iter().for_each(|(block, outcome)| drop(archive.append(block, outcome).unwrap()));
    chain
}

pub fn log(address: u8, topics: &[u8], data: u8) -> Log {
    let topics = topics.iter().map(|topic| B256::with_last_byte(*topic)).collect();
    Log { address: Address::repeat_byte(address), data: LogData::new_unchecked(topics, vec![data].into()) }
}

pub fn account(number: u8) -> StateKey {
    StateKey::Account(Address::repeat_byte(number))
}

pub fn slot(account: u8, slot: u64) -> StateKey {
    StateKey::Slot(Address::repeat_byte(account), U256::from(slot))
}

pub fn value(number: u8) -> Value {
    [number; 72]
}

/// Whether two reports of a block say the same.
pub fn same(a: &Finalized, b: &Finalized) -> bool {
    let hashes = |finalized: &Finalized| -> Vec<_> {
        finalized.block.transactions.iter().map(|transaction| (transaction.hash(), transaction.sender())).collect()
    };
    (a.hash, &a.block.header, hashes(a), &a.receipts, &a.logs)
        == (b.hash, &b.block.header, hashes(b), &b.receipts, &b.logs)
}
