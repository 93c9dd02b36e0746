use super::*;
use alloy_consensus::{Eip658Value, SignableTransaction, TxEnvelope, TxLegacy};
use alloy_primitives::{Address, Bytes, TxKind};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use serde_json::json;
use std::sync::Arc;
use types::SyncTarget;

fn a_header() -> Header {
    Header {
        parent_hash: B256::ZERO,
        height: 5,
        epoch: 0,
        view: 9,
        parent_view: 8,
        leader: B256::ZERO,
        timestamp_ms: 1_999,
        state_root: B256::ZERO,
        state_log: SyncTarget::default(),
        code_log: SyncTarget::default(),
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        logs_bloom: Default::default(),
        gas_used: 30_000,
        gas_limit: 60_000_000,
        base_fee_per_gas: 7,
        beneficiary: Address::ZERO,
        seed: Bytes::new(),
        outbox_root: B256::ZERO,
        resharing_hash: B256::ZERO,
        beacon: None,
    }
}

fn legacy() -> Transaction {
    let unsigned = TxLegacy {
        chain_id: Some(1),
        gas_price: 9,
        gas_limit: 50_000,
        to: TxKind::Call(Address::repeat_byte(2)),
        ..TxLegacy::default()
    };
    let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).expect("a key");
    let signature = signer.sign_hash_sync(&unsigned.signature_hash()).expect("signs");
    Transaction::from_envelope(TxEnvelope::from(unsigned.into_signed(signature))).expect("valid")
}

/// A block that logged once when it was opened, and once in its only transaction.
fn a_block() -> Finalized {
    let header = a_header();
    let (hash, transaction) = (header.hash(), Arc::new(legacy()));
    let log = alloy_primitives::Log::empty();
    let record = |transaction_index, transaction_hash, log_index| LogRecord {
        height: header.height,
        block_hash: hash,
        timestamp_ms: header.timestamp_ms,
        transaction_hash,
        transaction_index,
        log_index,
        log: log.clone(),
    };
    let receipt = Receipt { status: Eip658Value::Eip658(true), cumulative_gas_used: 30_000, logs: vec![log.clone()] };
    Finalized {
        hash,
        receipts: vec![ReceiptEnvelope::Legacy(receipt.with_bloom())],
        logs: vec![record(1, hash, 0), record(0, transaction.hash(), 1)],
        block: Block { header, transactions: vec![transaction] },
    }
}

#[test]
fn a_receipt_counts_the_logs_that_opened_the_block() {
    let found = a_block();
    let receipt = serde_json::to_value(receipt(&found, 0).expect("a receipt")).expect("JSON");
    assert_eq!(receipt["logs"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&receipt["logs"][0]["logIndex"], &receipt["logs"][0]["transactionIndex"]),
        (&json!("0x1"), &json!("0x0"))
    );
    assert_eq!((&receipt["effectiveGasPrice"], &receipt["type"]), (&json!("0x9"), &json!("0x0")));
    assert_eq!(receipt["gasUsed"], "0x7530");
    assert!(super::receipt(&found, 1).is_none());
}

#[test]
fn a_log_without_a_transaction_has_the_blocks_hash() {
    let found = a_block();
    let log = serde_json::to_value(log(found.logs[0].clone())).expect("JSON");
    assert_eq!((&log["transactionHash"], &log["transactionIndex"]), (&json!(found.hash), &json!("0x1")));
    assert_eq!((&log["blockTimestamp"], &log["logIndex"]), (&json!("0x1"), &json!("0x0")));
}

#[test]
fn a_block_shows_seconds_and_milliseconds() {
    let block = serde_json::to_value(block(&a_block(), Detail::Full)).expect("JSON");
    assert_eq!((&block["timestamp"], &block["timestampMs"]), (&json!("0x1"), &json!("0x7cf")));
    assert_eq!(block["mixHash"], json!(B256::ZERO));
    let inside = &block["transactions"][0];
    assert_eq!(
        (&inside["gasPrice"], &inside["type"], &inside["chainId"]),
        (&json!("0x9"), &json!("0x0"), &json!("0x1"))
    );
    assert_eq!((&inside["from"], &inside["blockNumber"]), (&json!(legacy().sender()), &json!("0x5")));
}

#[test]
fn a_waiting_transaction_has_no_block() {
    let waiting = serde_json::to_value(transaction(&legacy(), None)).expect("JSON");
    for field in ["blockHash", "blockNumber", "transactionIndex"] {
        assert_eq!(waiting.get(field), Some(&json!(null)), "{field}");
    }
}
