//! The network's own methods over real miners, volumes and commits.

use crate::{Net, sign, unsigned};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, TxKind, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use serde_json::{Value, json};
use types::{
    Endpoint, Profile, ReceiptKey, ReceiptSignature,
    abi::{Batch, IMiners, ITerritories, IVolumes, MINERS, Stripe, TERRITORIES, VOLUMES},
    proof::StateProof,
    receipt::{Receipt, batch_root},
    segment::segment_id,
    state::Account,
};

const SEATS: u8 = 8;

/// Calls a module from the funded account, and makes the block.
async fn transact(net: &Net, signer: &PrivateKeySigner, nonce: u64, to: Address, value: U256, call: impl SolCall) {
    let raw = module_call(signer, nonce, to, value, call);
    net.mine(&raw).await;
    let receipt = net.ask("eth_getTransactionReceipt", json!([alloy_primitives::keccak256(&raw)])).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
}

fn module_call(signer: &PrivateKeySigner, nonce: u64, to: Address, value: U256, call: impl SolCall) -> Bytes {
    let input = call.abi_encode().into();
    sign(signer, TxEip1559 { to: TxKind::Call(to), value, input, gas_limit: 5_000_000, ..unsigned(nonce) })
}

fn operator(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number + 10)).expect("a key")
}

fn receipt_key(number: u8) -> ReceiptKey {
    ReceiptKey::derive(&[number + 1; 32])
}

/// Registers eight miners with four lots each.
async fn miners(net: &Net) {
    let ether = U256::from(10).pow(U256::from(18));
    for number in 0..SEATS {
        let to = TxKind::Call(operator(number).address());
        let fund = TxEip1559 { to, value: ether * U256::from(10), ..unsigned(number.into()) };
        net.mine(&net.sign(fund)).await;
        let operator = operator(number);
        let key = receipt_key(number);
        let address = format!("127.0.0.1:{}", 4_000 + u16::from(number)).parse().expect("an address");
        let endpoint = Endpoint::new(B256::repeat_byte(number + 1), vec![address], None).expect("valid");
        let register = IMiners::registerCall {
            receiptKey: key.public().to_bytes().to_vec().into(),
            proofOfPossession: key.prove_possession(1_337, operator.address()).to_bytes().to_vec().into(),
            endpoint: endpoint.encode().into(),
            region: FixedBytes(*b"DE\0\0\0\0"),
        };
        transact(net, &operator, 0, MINERS, U256::ZERO, register).await;
        transact(net, &operator, 1, MINERS, ether * U256::from(4), IMiners::pledgeCall { lots: 4 }).await;
    }
}

/// Makes blocks until there is a volume.
async fn volume(net: &Net) -> Value {
    for _ in 0..64 {
        let page = net.ask("cess_getVolumes", json!([])).await;
        if page["total"] != 0 {
            return page["volumes"][0].clone();
        }
        net.solo.step().await.expect("a block");
    }
    panic!("no volume was formed");
}

/// A batch that all members but the last signed.
fn batch(volume: &Value, territory: u64, sequence: u64, height: u64) -> Batch {
    let stripes = (0..2)
        .map(|number| Stripe { fragmentsRoot: B256::with_last_byte((10 * sequence + number) as u8), length: 300_000 });
    let stripes: Vec<_> = stripes.collect();
    let segment = |stripe: &Stripe| segment_id(Profile::Devnet, stripe.length, &stripe.fragmentsRoot);
    let message = Receipt {
        chain_id: 1_337,
        volume: 1,
        territory,
        sequence,
        batch_root: batch_root(&stripes.iter().map(segment).collect::<Vec<_>>()),
        expires_at_height: height + 100,
    }
    .message();
    let members = volume["miners"].as_array().expect("members").iter().take(7);
    let keys = members.map(|miner| receipt_key(miner.as_u64().expect("a number") as u8 - 1));
    let signatures: Vec<_> = keys.map(|key| key.sign(&message)).collect();
    let signature = ReceiptSignature::aggregate(&signatures).expect("there are some");
    Batch {
        volume: 1,
        territory,
        sequence,
        expiresAtHeight: height + 100,
        stripes,
        signers: vec![0x7f].into(),
        signature: signature.to_bytes().to_vec().into(),
    }
}

#[tokio::test]
async fn miners_volumes_and_stripes_are_paged() {
    let net = Net::start().await;
    assert_eq!(net.ask("cess_getMiners", json!([])).await, json!({ "total": 0, "miners": [] }));
    miners(&net).await;
    let page = net.ask("cess_getMiners", json!([7, 256])).await;
    assert_eq!(page["total"], 8);
    assert_eq!(page["miners"].as_array().map(Vec::len), Some(2));
    let endpoint = json!({ "id": B256::repeat_byte(7), "addresses": ["127.0.0.1:4006"], "relay": null });
    let miner = &page["miners"][0];
    assert_eq!((&miner["id"], &miner["operator"]), (&json!(7), &json!(operator(6).address())));
    assert_eq!((&miner["region"], &miner["endpoint"]), (&json!("DE"), &endpoint));

    let volume = volume(&net).await;
    assert_eq!((&volume["id"], &volume["profile"], &volume["open"]), (&json!(1), &json!("devnet"), &json!(true)));
    let mut members: Vec<_> = volume["miners"].as_array().expect("members").iter().map(Value::as_u64).collect();
    members.sort_unstable();
    assert_eq!(members, (1..=8).map(Some).collect::<Vec<_>>());

    assert_eq!(net.ask("cess_getStripes", json!([1])).await, json!({ "total": 0, "stripes": [] }));
    let value = U256::from(10).pow(U256::from(21));
    let buy = ITerritories::buyCall { size: 1 << 30, daysCount: 30 };
    transact(&net, &net.signer, 8, TERRITORIES, value, buy).await;
    let mut heights = Vec::new();
    for sequence in 0..2 {
        let height = net.solo.archive.tip().expect("a tip").height;
        let batches = vec![batch(&volume, 1, sequence, height)];
        let commit = IVolumes::commitCall { batches, roots: Vec::new() };
        transact(&net, &net.signer, 9 + sequence, VOLUMES, value, commit).await;
        heights.push(height + 1);
        // Asked between commits, so that what was remembered has to grow.
        assert_eq!(net.ask("cess_getStripes", json!([1])).await["total"], 2 * (sequence + 1));
    }
    check_stripes(&net, &heights).await;
}

async fn check_stripes(net: &Net, heights: &[u64]) {
    let stripes = net.ask("cess_getStripes", json!([1, 0, 256])).await["stripes"].clone();
    let stripes = stripes.as_array().expect("a list");
    let indexes: Vec<_> = stripes.iter().map(|stripe| (stripe["index"].clone(), stripe["height"].clone())).collect();
    let expected = [(0, heights[0]), (1, heights[0]), (2, heights[1]), (3, heights[1])];
    assert_eq!(indexes, expected.map(|(index, height)| (json!(index), json!(height))));
    let segment = segment_id(Profile::Devnet, 300_000, &B256::with_last_byte(11));
    let third = &stripes[3];
    assert_eq!((&third["segment"], &third["length"]), (&json!(segment), &json!(300_000)));
    assert_eq!((&third["missing"], &third["released"]), (&json!("0x80"), &json!(false)));
    let page = net.ask("cess_getStripes", json!([1, 1, 2])).await;
    assert_eq!(page, json!({ "total": 4, "stripes": stripes[1..3] }));
    assert_eq!(net.ask("cess_getStripes", json!([1, 4])).await["stripes"], json!([]));
    let (code, _, data) = net.refusal("cess_getStripes", json!([2])).await;
    assert_eq!((code, data.is_string()), (3, true), "an unknown volume is the module's own error");
}

#[tokio::test]
async fn the_status_says_where_the_chain_is() {
    let net = Net::start().await;
    let tip = net.solo.archive.tip().expect("a tip");
    let expected = json!({
        "chainId": 1_337,
        "height": 1,
        "hash": tip.hash,
        "timestampMs": tip.timestamp_ms,
        "baseFeePerGas": 1_000_000_000,
        "epoch": 0,
        "view": 1,
        "committee": [B256::repeat_byte(1)],
        "groupKey": "0x",
        "peers": 0,
    });
    assert_eq!(net.ask("cess_status", json!([])).await, expected);
}

#[tokio::test]
async fn the_specification_is_the_one_that_the_chain_runs_on() {
    let net = Net::start().await;
    let spec: types::ChainSpec =
        serde_json::from_value(net.ask("cess_spec", json!([])).await).expect("a specification");
    assert_eq!(spec, *net.solo.spec);
}

#[tokio::test]
async fn proofs_are_for_the_entries_asked_for_in_their_order() {
    let net = Net::start().await;
    let sender = net.signer.address();
    let keys = json!([[{ "address": VOLUMES, "slot": "0x1" }, { "address": sender }]]);
    let proof: StateProof = serde_json::from_value(net.ask("cess_getProof", keys).await).expect("a proof");
    let account = proof.entries[1].value().map(|value| Account::decode(&value)).expect("an account");
    assert_eq!(account.balance, net.solo.spec.alloc[0].balance);
    assert_eq!((proof.entries[0].address, proof.entries[0].slot), (VOLUMES, Some(U256::ONE)));
    assert_eq!((proof.entries[1].address, proof.entries[1].slot), (sender, None));
    assert!(net.ask("cess_getCertificate", json!([null])).await.is_null(), "nobody certifies a chain of one");
}
