//! Logs at once and by polling.

use crate::{LOGGER, Net, OTHER};
use alloy_primitives::keccak256;
use serde_json::json;

const TOPIC: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";

#[tokio::test]
async fn logs_are_found_by_range_hash_address_and_topic() {
    let net = Net::start().await;
    let contract = net.deploy(0, &LOGGER).await;
    let call = net.call(1, contract);
    let block = net.mine(&call).await;
    let expected = json!([{
        "address": contract,
        "topics": [TOPIC],
        "data": "0x",
        "blockHash": block.hash,
        "blockNumber": "0x3",
        "blockTimestamp": format!("{:#x}", block.block.header.timestamp_ms / 1000),
        "transactionHash": keccak256(&call),
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": false,
    }]);
    for filter in [
        json!({ "fromBlock": "0x0", "toBlock": "latest" }),
        json!({ "fromBlock": "earliest", "address": contract }),
        json!({ "fromBlock": "0x3", "toBlock": "0x3", "address": [OTHER, contract], "topics": [[TOPIC]] }),
        json!({ "blockHash": block.hash }),
        json!({ "address": contract, "topics": [null] }),
        json!({ "fromBlock": "0x1", "toBlock": "0xffff" }),
    ] {
        assert_eq!(net.ask("eth_getLogs", json!([filter])).await, expected, "{filter}");
    }
    for filter in [
        json!({ "fromBlock": "0x0", "toBlock": "0x2" }),
        json!({ "fromBlock": "0x0", "address": OTHER }),
        json!({ "fromBlock": "0x0", "topics": [null, TOPIC] }),
        json!({ "fromBlock": "0xffff" }),
    ] {
        assert_eq!(net.ask("eth_getLogs", json!([filter])).await, json!([]), "{filter}");
    }
}

#[tokio::test]
async fn impossible_filters_are_refused() {
    let net = Net::start().await;
    net.solo.step().await.expect("a block");
    let backwards = json!([{ "fromBlock": "0x1", "toBlock": "0x0" }]);
    assert_eq!(net.refusal("eth_getLogs", backwards).await.0, -32602);
    let unknown = json!([{ "blockHash": keccak256("nothing") }]);
    assert_eq!(net.refusal("eth_getLogs", unknown).await.0, -32001);
    let many: Vec<_> = (0..300u64).map(|number| keccak256(number.to_be_bytes())).collect();
    assert_eq!(net.refusal("eth_getLogs", json!([{ "topics": [many] }])).await.0, -32602);
}

#[tokio::test]
async fn a_log_filter_brings_each_log_once() {
    let net = Net::start().await;
    let contract = net.deploy(0, &LOGGER).await;
    net.mine(&net.call(1, contract)).await;
    let filter = net.ask("eth_newFilter", json!([{ "address": contract }])).await;
    assert_eq!(net.ask("eth_getFilterChanges", json!([filter])).await, json!([]), "what was before is not new");
    let block = net.mine(&net.call(2, contract)).await;
    let changes = net.ask("eth_getFilterChanges", json!([filter])).await;
    assert_eq!(changes[0]["blockHash"], json!(block.hash));
    assert_eq!(net.ask("eth_getFilterLogs", json!([filter])).await, changes);
    assert_eq!(net.ask("eth_getFilterChanges", json!([filter])).await, json!([]));
}

#[tokio::test]
async fn block_and_transaction_filters_bring_hashes() {
    let net = Net::start().await;
    let blocks = net.ask("eth_newBlockFilter", json!([])).await;
    let pending = net.ask("eth_newPendingTransactionFilter", json!([])).await;
    let raw = net.transfer(0);
    let block = net.mine(&raw).await;
    assert_eq!(net.ask("eth_getFilterChanges", json!([blocks])).await, json!([block.hash]));
    assert_eq!(net.ask("eth_getFilterChanges", json!([blocks])).await, json!([]));
    assert_eq!(net.ask("eth_getFilterChanges", json!([pending])).await, json!([keccak256(&raw)]));
    assert_eq!(net.ask("eth_getFilterChanges", json!([pending])).await, json!([]));
}

#[tokio::test]
async fn an_uninstalled_filter_is_gone() {
    let net = Net::start().await;
    let filter = net.ask("eth_newBlockFilter", json!([])).await;
    assert_eq!(net.ask("eth_uninstallFilter", json!([filter])).await, true);
    assert_eq!(net.ask("eth_uninstallFilter", json!([filter])).await, false);
    let (code, message, _) = net.refusal("eth_getFilterChanges", json!([filter])).await;
    assert_eq!((code, message.as_str()), (-32000, "filter not found"));
}
