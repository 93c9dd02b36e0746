//! Hold every format of this crate against `vectors/types.json`, which other languages read too.
//!
//! `UPDATE_VECTORS=1 cargo test -p types` writes the file anew: only for a format that is meant to change.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::{Value, json};
use std::path::Path;
use types::{
    Beacon, Endpoint, Header, Profile, ReceiptKey, StripeLeaf, SyncTarget,
    bls::ReceiptSignature,
    bucket::bucket_id,
    merkle::{Frontier, Tree},
    permit::{Permit, signing_hash},
    receipt::{Receipt, batch_root},
    repair::{Ghost, Help},
    segment::segment_id,
    state::{Account, StateKey},
};

fn byte(value: u8) -> B256 {
    B256::repeat_byte(value)
}

fn header() -> Header {
    Header {
        parent_hash: byte(1),
        height: 7,
        epoch: 0,
        view: 9,
        parent_view: 8,
        leader: byte(2),
        timestamp_ms: 1_790_000_000_123,
        state_root: byte(3),
        state_log: SyncTarget { root: byte(4), start: 5, end: 600 },
        code_log: SyncTarget { root: byte(5), start: 0, end: 2 },
        transactions_root: byte(6),
        receipts_root: byte(7),
        logs_bloom: Default::default(),
        gas_used: 21_000,
        gas_limit: 60_000_000,
        base_fee_per_gas: 1_000_000_000,
        beneficiary: Address::repeat_byte(8),
        seed: Bytes::from(vec![9; 48]),
        outbox_root: B256::ZERO,
        resharing_hash: B256::ZERO,
        beacon: Some(Beacon { epoch: 0, view: 6, seed: Bytes::from(vec![10; 48]) }),
    }
}

fn repairs() -> Value {
    let help = Help { chain_id: 1, volume: 2, seat: 3, lot: 4, helper_seat: 5, helper: 6, bytes: 7 };
    let ghost = Ghost { chain_id: 1, volume: 2, index: 3, segment: byte(4), rebuilt: byte(6) };
    json!({ "help_message": help.message(), "ghost_message": ghost.message() })
}

fn receipts() -> Value {
    let receipt = Receipt {
        chain_id: 1,
        volume: 2,
        territory: 3,
        sequence: 4,
        batch_root: batch_root(&[byte(1), byte(2), byte(3)]),
        expires_at_height: 5,
    };
    let keys = [ReceiptKey::derive(&[1; 32]), ReceiptKey::derive(&[2; 32])];
    let signatures = keys.each_ref().map(|key| key.sign(&receipt.message()));
    let operator = Address::repeat_byte(4);
    json!({
        "batch_root_of_1_2_3": receipt.batch_root,
        "message": receipt.message(),
        "public_keys": keys.each_ref().map(|key| hex::encode(key.public().to_bytes())),
        "signatures": signatures.map(|signature| hex::encode(signature.to_bytes())),
        "aggregate": hex::encode(ReceiptSignature::aggregate(&signatures).unwrap().to_bytes()),
        "possession": hex::encode(keys[0].prove_possession(1, operator).to_bytes()),
    })
}

fn vectors() -> Value {
    let endpoint =
        Endpoint::new(byte(1), vec!["127.0.0.1:80".parse().unwrap(), "[::1]:443".parse().unwrap()], None).unwrap();
    let leaf = StripeLeaf {
        segment: byte(1),
        territory: 2,
        offset: 3 << 20,
        fragment_bytes: 2 << 20,
        length: 8 << 20,
        committed_at_ms: 4,
        term_end_ms: 5,
    };
    let mut log = Frontier::default();
    for value in 1..=5 {
        log.push(&byte(value)).unwrap();
    }
    let account = Account { nonce: 1, balance: U256::from(2), code_hash: byte(3) };
    let address = Address::repeat_byte(1);
    let fragment_bytes = [0, 1, 262_144, 262_145, 8 << 20].map(|length| Profile::Devnet.fragment_bytes(length));
    let permit = Permit { territory: 1, uploader: byte(2), expiresMs: 3 };
    json!({
        "header": { "bytes": hex::encode(header().encode()), "hash": header().hash() },
        "merkle": {
            "root_of_1_2_3": Tree::new(&[byte(1), byte(2), byte(3)]).root(),
            "log_root_of_1_to_5": log.root(),
        },
        "segment": {
            "standard_5000000": segment_id(Profile::Standard, 5_000_000, &byte(1)),
            "fragment_bytes": fragment_bytes,
        },
        "stripe_leaf": leaf.hash(),
        "receipt": receipts(),
        "repair": repairs(),
        "endpoint": hex::encode(endpoint.encode()),
        "endpoint_with_tcp": hex::encode(endpoint.clone().with_tcp(true).encode()),
        "bucket_id": bucket_id(address, &byte(2)),
        "permit_hash": signing_hash(&permit, 1),
        "state": {
            "account_key": StateKey::Account(address).hashed(),
            "slot_key": StateKey::Slot(address, U256::from(2)).hashed(),
            "account": hex::encode(account.encode()),
        },
    })
}

#[test]
fn every_format_has_the_pinned_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/types.json");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&vectors()).unwrap() + "\n").unwrap();
    }
    let pinned: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(pinned, vectors());
}

#[test]
fn a_header_has_one_encoding() {
    let bytes = header().encode();
    assert_eq!(Header::decode(&bytes).unwrap(), header());
    for end in 0..bytes.len() {
        assert!(Header::decode(&bytes[..end]).is_err());
    }
    assert!(Header::decode(&[bytes, vec![0]].concat()).is_err());
    let without = Header { beacon: None, ..header() };
    assert_eq!(Header::decode(&without.encode()).unwrap(), without);
    assert!(header().encoded_bytes() <= Header::ENCODED_BYTES_MAX);
}

#[test]
fn values_of_accounts_read_back() {
    let account = Account { nonce: u64::MAX, balance: U256::MAX, code_hash: byte(9) };
    assert_eq!(Account::decode(&account.encode()), account);
}
