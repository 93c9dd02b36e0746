//! Transactions from the pool to the receipt, and what they cost.

use crate::{GWEI, LOGGER, Net, OTHER, unsigned};
use alloy_consensus::TxEip1559;
use alloy_primitives::{TxKind, keccak256};
use serde_json::json;

#[tokio::test]
async fn a_transaction_waits_and_then_has_a_receipt() {
    let net = Net::start().await;
    let raw = net.transfer(0);
    let sender = net.signer.address();
    let hash = keccak256(&raw);
    assert_eq!(net.ask("eth_sendRawTransaction", json!([raw])).await, json!(hash));

    let waiting = net.ask("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!((&waiting["blockHash"], &waiting["from"]), (&json!(null), &json!(sender)));
    assert!(net.ask("eth_getTransactionReceipt", json!([hash])).await.is_null());
    assert_eq!(net.ask("eth_getTransactionCount", json!([sender, "pending"])).await, "0x1");
    assert_eq!(net.ask("eth_getTransactionCount", json!([sender, "latest"])).await, "0x0");
    assert_eq!(net.ask("eth_getRawTransactionByHash", json!([hash])).await, json!(raw));

    let block = net.solo.step().await.expect("a block");
    let receipt = net.ask("eth_getTransactionReceipt", json!([hash])).await;
    let expected = json!({
        "type": "0x2",
        "status": "0x1",
        "cumulativeGasUsed": "0x5208",
        "logs": [],
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "transactionHash": hash,
        "transactionIndex": "0x0",
        "blockHash": block.hash,
        "blockNumber": "0x2",
        "gasUsed": "0x5208",
        "effectiveGasPrice": format!("{:#x}", GWEI + GWEI / 2),
        "from": sender,
        "to": OTHER,
        "contractAddress": null,
    });
    assert_eq!(receipt, expected);
    assert_eq!(net.ask("eth_getBlockReceipts", json!(["latest"])).await, json!([expected]));

    let found = net.ask("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!((&found["blockHash"], &found["transactionIndex"]), (&json!(block.hash), &json!("0x0")));
    assert_eq!(net.ask("eth_getTransactionByBlockHashAndIndex", json!([block.hash, "0x0"])).await, found);
    assert_eq!(net.ask("eth_getTransactionByBlockNumberAndIndex", json!(["0x2", "0x0"])).await, found);
    assert_eq!(net.ask("eth_getBlockByNumber", json!(["0x2", true])).await["transactions"], json!([found]));
    assert_eq!(net.ask("eth_getBlockByNumber", json!(["0x2", false])).await["transactions"], json!([hash]));
    assert_eq!(net.ask("eth_getBlockTransactionCountByHash", json!([block.hash])).await, "0x1");
    assert_eq!(net.ask("eth_getRawTransactionByHash", json!([hash])).await, json!(raw));
}

#[tokio::test]
async fn receipts_of_one_block_count_gas_and_logs_together() {
    let net = Net::start().await;
    let contract = net.deploy(0, &LOGGER).await;
    for nonce in 1..=3 {
        net.ask("eth_sendRawTransaction", json!([net.call(nonce, contract)])).await;
    }
    net.solo.step().await.expect("a block");
    let receipts = net.ask("eth_getBlockReceipts", json!(["latest"])).await;
    let used = receipts[0]["gasUsed"].as_str().map(|gas| u64::from_str_radix(&gas[2..], 16).expect("a quantity"));
    let used = used.expect("a receipt");
    for (index, receipt) in receipts.as_array().expect("a list").iter().enumerate() {
        assert_eq!(receipt["gasUsed"], format!("{used:#x}"));
        assert_eq!(receipt["cumulativeGasUsed"], format!("{:#x}", used * (index as u64 + 1)));
        assert_eq!(receipt["logs"][0]["logIndex"], format!("{index:#x}"));
        assert_eq!(net.ask("eth_getTransactionReceipt", json!([receipt["transactionHash"]])).await, *receipt);
    }
    assert_eq!(receipts.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_deployment_names_its_contract() {
    let net = Net::start().await;
    let raw = net.sign(TxEip1559 { to: TxKind::Create, input: LOGGER.into(), ..unsigned(0) });
    net.mine(&raw).await;
    let receipt = net.ask("eth_getTransactionReceipt", json!([keccak256(&raw)])).await;
    assert_eq!(receipt["contractAddress"], json!(net.signer.address().create(0)));
    assert!(receipt["to"].is_null());
}

#[tokio::test]
async fn sending_synchronously_answers_with_the_receipt() {
    let net = Net::start().await;
    let mut added = net.solo.pool.subscribe();
    let raw = net.transfer(0);
    let answer = net.ask("eth_sendRawTransactionSync", json!([raw, 60_000]));
    let block = async {
        added.recv().await.expect("it enters the pool");
        net.solo.step().await.expect("a block")
    };
    let (receipt, block) = tokio::join!(answer, block);
    assert_eq!((&receipt["status"], &receipt["blockHash"]), (&json!("0x1"), &json!(block.hash)));
    let (code, _, data) = net.refusal("eth_sendRawTransactionSync", json!([net.transfer(1), 1])).await;
    assert_eq!((code, data), (4, json!(keccak256(net.transfer(1)))));
}

#[tokio::test]
async fn estimates_and_calls_run_on_the_state() {
    let net = Net::start().await;
    let contract = net.deploy(0, &LOGGER).await;
    let sender = net.signer.address();
    assert_eq!(net.ask("eth_estimateGas", json!([{ "from": sender, "to": OTHER, "value": "0x1" }])).await, "0x5208");
    let call = json!({ "from": sender, "to": contract });
    let gas = net.ask("eth_estimateGas", json!([call, "latest"])).await;
    assert_ne!(gas, "0x5208");
    assert_eq!(net.ask("eth_call", json!([call, "latest"])).await, "0x");
    let fees = json!({ "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x1" });
    let with = |extra: serde_json::Value| {
        let mut call = call.clone();
        call.as_object_mut().expect("a call").extend(extra.as_object().expect("fields").clone());
        call
    };
    assert_eq!(net.ask("eth_estimateGas", json!([with(fees)])).await, gas, "fees change nothing");
    let list = json!({ "accessList": [{ "address": OTHER, "storageKeys": [] }] });
    let listed = net.ask("eth_estimateGas", json!([with(list)])).await;
    let number =
        |gas: &serde_json::Value| u64::from_str_radix(&gas.as_str().expect("a quantity")[2..], 16).expect("a quantity");
    assert!(number(&listed) >= number(&gas) + 2_400, "{listed}, {gas} without an access list");
    // Precompile 2 is SHA-256; here of nothing.
    let sha256 = json!({ "to": "0x0000000000000000000000000000000000000002", "data": "0x" });
    let expected = "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(net.ask("eth_call", json!([sha256, "latest"])).await, expected);
    assert_eq!(
        net.ask("eth_call", json!([sha256, "latest", {}, null])).await,
        expected,
        "no overrides are no overrides"
    );
}

#[tokio::test]
async fn fees_follow_the_chain() {
    let net = Net::start().await;
    net.mine(&net.transfer(0)).await;
    assert_eq!(net.ask("eth_maxPriorityFeePerGas", json!([])).await, "0xf4240");
    assert_eq!(net.ask("eth_gasPrice", json!([])).await, format!("{:#x}", GWEI + 1_000_000));
    let history = net.ask("eth_feeHistory", json!(["0x2", "latest", [0, 100]])).await;
    let tip = format!("{:#x}", GWEI / 2);
    assert_eq!(history["oldestBlock"], "0x1");
    assert_eq!(history["baseFeePerGas"], json!(["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"]));
    assert_eq!(history["gasUsedRatio"], json!([0.0, 21_000.0 / 60_000_000.0]));
    assert_eq!(history["reward"], json!([["0x0", "0x0"], [tip, tip]]));
    let long = net.ask("eth_feeHistory", json!([5_000, "latest", null])).await;
    assert_eq!(long["oldestBlock"], "0x0", "a history ends at the genesis");
    assert!(long.get("reward").is_none_or(|reward| reward.is_null()));
}

#[tokio::test]
async fn the_server_says_who_it_is() {
    let net = Net::start().await;
    assert_eq!(net.ask("eth_chainId", json!([])).await, "0x539");
    assert_eq!(net.ask("net_version", json!([])).await, "1337");
    assert_eq!(net.ask("eth_blockNumber", json!([])).await, "0x1");
    assert_eq!(net.ask("eth_syncing", json!([])).await, false);
    assert_eq!(net.ask("eth_accounts", json!([])).await, json!([]));
    assert_eq!(net.ask("net_listening", json!([])).await, true);
    assert_eq!(net.ask("net_peerCount", json!([])).await, "0x0");
    assert_eq!(net.ask("web3_sha3", json!(["0x"])).await, json!(keccak256([])));
    let version = net.ask("web3_clientVersion", json!([])).await;
    assert!(version.as_str().is_some_and(|version| version.starts_with("cess/v")), "{version}");
}
