//! Blocks and accounts as wallets see them.

use crate::{Net, OTHER};
use serde_json::json;

#[tokio::test]
async fn a_block_has_ethereums_fields() {
    let net = Net::start().await;
    let (genesis, _) = net.solo.archive.header(0).expect("reads").expect("there is a genesis");
    let (hash, header) = net.solo.archive.header(1).expect("reads").expect("there is a block");
    let zeros = |bytes: usize| format!("0x{}", "00".repeat(bytes));
    let expected = json!({
        "hash": hash,
        "parentHash": genesis,
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "miner": header.beneficiary,
        "stateRoot": header.state_root,
        "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "logsBloom": header.logs_bloom,
        "difficulty": "0x0",
        "number": "0x1",
        "gasLimit": "0x3938700",
        "gasUsed": "0x0",
        "timestamp": format!("{:#x}", header.timestamp_ms / 1000),
        "timestampMs": format!("{:#x}", header.timestamp_ms),
        "extraData": "0x",
        "mixHash": header.prevrandao(),
        "nonce": zeros(8),
        "baseFeePerGas": "0x3b9aca00",
        "withdrawalsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": genesis,
        "requestsHash": "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "size": format!("{:#x}", header.encoded_bytes()),
        "uncles": [],
        "transactions": [],
        "withdrawals": [],
    });
    assert_eq!(hash, header.hash());
    assert_eq!(net.ask("eth_getBlockByNumber", json!(["0x1", false])).await, expected);
    assert_eq!(net.ask("eth_getBlockByHash", json!([hash, true])).await, expected);
    for tag in ["latest", "safe", "finalized", "pending"] {
        assert_eq!(net.ask("eth_getBlockByNumber", json!([tag, false])).await, expected, "{tag}");
    }
}

#[tokio::test]
async fn the_genesis_is_served() {
    let net = Net::start().await;
    let genesis = net.ask("eth_getBlockByNumber", json!(["earliest", false])).await;
    assert_eq!(genesis["number"], "0x0");
    assert_eq!(genesis["parentHash"], format!("0x{}", "00".repeat(32)));
    assert_eq!(net.ask("eth_getBlockByHash", json!([genesis["hash"], false])).await, genesis);
    assert_eq!(net.ask("eth_getBlockReceipts", json!(["0x0"])).await, json!([]));
}

#[tokio::test]
async fn what_does_not_exist_is_null() {
    let net = Net::start().await;
    let nobody = format!("0x{}", "11".repeat(32));
    for (method, parameters) in [
        ("eth_getBlockByNumber", json!(["0x1000", false])),
        ("eth_getBlockByHash", json!([nobody, false])),
        ("eth_getBlockReceipts", json!(["0x1000"])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x1000"])),
        ("eth_getTransactionByHash", json!([nobody])),
        ("eth_getTransactionReceipt", json!([nobody])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getUncleCountByBlockHash", json!([nobody])),
    ] {
        assert!(net.ask(method, parameters).await.is_null(), "{method}");
    }
    assert_eq!(net.ask("eth_getUncleCountByBlockNumber", json!(["latest"])).await, "0x0");
}

#[tokio::test]
async fn old_state_is_read_by_number_and_by_hash() {
    let net = Net::start().await;
    let first = net.mine(&net.transfer(0)).await;
    net.mine(&net.transfer(1)).await;
    for (block, balance, nonce) in [
        (json!("0x1"), "0x0", "0x0"),
        (json!("0x2"), "0x5", "0x1"),
        (json!({ "blockHash": first.hash }), "0x5", "0x1"),
        (json!({ "blockNumber": "0x2" }), "0x5", "0x1"),
        (json!("latest"), "0xa", "0x2"),
    ] {
        assert_eq!(net.ask("eth_getBalance", json!([OTHER, block])).await, balance, "{block}");
        let sender = net.signer.address();
        assert_eq!(net.ask("eth_getTransactionCount", json!([sender, block])).await, nonce, "{block}");
    }
    assert_eq!(net.ask("eth_getBalance", json!([OTHER])).await, "0xa", "without a block it is the latest");
}

#[tokio::test]
async fn code_and_storage_are_read() {
    let net = Net::start().await;
    let contract = net.deploy(0, &crate::LOGGER).await;
    assert_eq!(net.ask("eth_getCode", json!([contract, "latest"])).await, "0x60015f5fa100");
    assert_eq!(net.ask("eth_getCode", json!([OTHER, "latest"])).await, "0x");
    assert_ne!(
        net.ask("eth_getCode", json!([types::abi::VOLUMES, "latest"])).await,
        "0x",
        "modules look like contracts"
    );
    let zero = format!("0x{}", "00".repeat(32));
    assert_eq!(net.ask("eth_getStorageAt", json!([contract, "0x0", "latest"])).await, zero);
}
