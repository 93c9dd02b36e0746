//! Errors with the codes and texts that wallets know.

use crate::{GWEI, Net, OTHER, REVERTER, sign, unsigned};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{Revert, SolError};
use serde_json::json;

#[tokio::test]
async fn a_revert_has_code_3_with_reason_and_data() {
    let net = Net::start().await;
    let contract = net.deploy(0, &REVERTER).await;
    let data = Bytes::from(Revert::from("not today").abi_encode());
    let call = json!({ "to": contract, "data": data });
    let expected = (3, "execution reverted: not today".to_owned(), json!(data));
    assert_eq!(net.refusal("eth_call", json!([call, "latest"])).await, expected);
    assert_eq!(net.refusal("eth_estimateGas", json!([call])).await, expected);
    let custom = json!({ "to": contract, "input": "0xdeadbeef" });
    let expected = (3, "execution reverted".to_owned(), json!("0xdeadbeef"));
    assert_eq!(net.refusal("eth_call", json!([custom, "latest"])).await, expected);
}

#[tokio::test]
async fn refused_transactions_say_why() {
    let net = Net::start().await;
    net.mine(&net.transfer(0)).await;
    net.ask("eth_sendRawTransaction", json!([net.transfer(1)])).await;
    let poor = PrivateKeySigner::random();
    let cheap = TxEip1559 { max_fee_per_gas: GWEI - 1, max_priority_fee_per_gas: 0, ..unsigned(2) };
    let foreign = TxEip1559 { chain_id: 1, ..unsigned(2) };
    let short = TxEip1559 { gas_limit: 20_000, ..unsigned(2) };
    for (raw, beginning) in [
        (net.transfer(0), "nonce too low"),
        (net.transfer(1), "already known"),
        (net.sign(TxEip1559 { value: U256::from(6), ..unsigned(1) }), "replacement transaction underpriced"),
        (sign(&poor, unsigned(0)), "insufficient funds for gas * price + value"),
        (net.sign(cheap), "max fee per gas less than block base fee"),
        (net.sign(foreign), "invalid chain id"),
        (net.sign(short), "intrinsic gas too low"),
    ] {
        let (code, message, _) = net.refusal("eth_sendRawTransaction", json!([raw])).await;
        assert_eq!(code, -32000, "{message}");
        assert!(message.starts_with(beginning), "{message}");
    }
}

#[tokio::test]
async fn malformed_requests_are_bad_parameters() {
    let net = Net::start().await;
    for (method, parameters) in [
        ("eth_sendRawTransaction", json!(["0x02c0"])),
        ("eth_sendRawTransaction", json!(["not hex"])),
        ("eth_sendRawTransaction", json!([])),
        ("eth_getBalance", json!(["0x12"])),
        ("eth_getBlockByNumber", json!(["newest", false])),
        ("eth_feeHistory", json!([1, "latest", [200]])),
        ("eth_call", json!([{ "to": OTHER, "data": "0x01", "input": "0x02" }, "latest"])),
        ("eth_call", json!([{ "to": OTHER, "gasPrice": "0x1", "maxFeePerGas": "0x1" }, "latest"])),
        ("eth_call", json!([{ "to": OTHER }, "latest", { OTHER.to_string(): { "balance": "0x1" } }])),
        ("cess_getMiners", json!([1, 257])),
        ("cess_getProof", json!([[]])),
    ] {
        let (code, message, _) = net.refusal(method, parameters.clone()).await;
        assert_eq!(code, -32602, "{method} {parameters}: {message}");
    }
}

#[tokio::test]
async fn blob_transactions_are_refused_with_a_hint() {
    let net = Net::start().await;
    let (code, message, _) = net.refusal("eth_sendRawTransaction", json!(["0x03c0"])).await;
    assert_eq!(code, -32000);
    assert!(message.contains("blob transactions"), "{message}");
}

#[tokio::test]
async fn unknown_blocks_and_methods_have_codes_of_their_own() {
    let net = Net::start().await;
    let (code, message, _) = net.refusal("eth_getBalance", json!([OTHER, "0x1000"])).await;
    assert_eq!((code, message.starts_with("header not found")), (-32001, true), "{message}");
    assert_eq!(net.refusal("eth_call", json!([{ "to": OTHER }, "0x1000"])).await.0, -32001);
    assert_eq!(net.refusal("eth_sign", json!([])).await.0, -32601);
}

#[tokio::test]
async fn a_call_that_needs_more_gas_than_it_may_have_fails_cleanly() {
    let net = Net::start().await;
    // Deploys nothing: it jumps back to its beginning until the gas is gone.
    let endless = json!({ "data": "0x5b5f56" });
    let (code, message, _) = net.refusal("eth_call", json!([endless, "latest"])).await;
    assert_eq!((code, message.as_str()), (-32000, "out of gas"));
    let (code, message, _) = net.refusal("eth_estimateGas", json!([endless])).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with("gas required exceeds allowance"), "{message}");
}
