//! What WebSocket clients are told without asking.

use crate::{LOGGER, Net, array};
use alloy_primitives::keccak256;
use jsonrpsee::core::{
    ClientError,
    client::{Subscription, SubscriptionClientT},
};
use serde_json::{Value, json};

async fn subscribe(client: &impl SubscriptionClientT, parameters: Value) -> Subscription<Value> {
    let told = client.subscribe("eth_subscribe", array(parameters), "eth_unsubscribe").await;
    told.expect("it is accepted")
}

async fn next(subscription: &mut Subscription<Value>) -> Value {
    subscription.next().await.expect("it goes on").expect("JSON")
}

#[tokio::test]
async fn new_heads_come_in_order_and_without_gaps() {
    let net = Net::start().await;
    let client = net.web_socket().await;
    let mut heads = subscribe(&client, json!(["newHeads"])).await;
    for _ in 0..3 {
        net.solo.step().await.expect("a block");
    }
    for height in 2..=4u64 {
        let head = next(&mut heads).await;
        let block = net.ask("eth_getBlockByNumber", json!([format!("{height:#x}"), false])).await;
        for field in ["hash", "parentHash", "number", "timestamp", "baseFeePerGas", "logsBloom"] {
            assert_eq!(head[field], block[field], "{field}");
        }
        assert!(head.get("transactions").is_none());
    }
}

#[tokio::test]
async fn logs_come_through_the_filter() {
    let net = Net::start().await;
    let client = net.web_socket().await;
    let (wanted, other) = (net.deploy(0, &LOGGER).await, net.deploy(1, &LOGGER).await);
    let mut logs = subscribe(&client, json!(["logs", { "address": wanted }])).await;
    net.mine(&net.call(2, other)).await;
    let block = net.mine(&net.call(3, wanted)).await;
    let log = next(&mut logs).await;
    assert_eq!((&log["address"], &log["blockHash"]), (&json!(wanted), &json!(block.hash)));
    let found = net.ask("eth_getLogs", json!([{ "blockHash": block.hash }])).await;
    assert_eq!(found, json!([log]));
}

#[tokio::test]
async fn pending_transactions_are_announced_as_hashes_or_whole() {
    let net = Net::start().await;
    let client = net.web_socket().await;
    let mut hashes = subscribe(&client, json!(["newPendingTransactions"])).await;
    let mut whole = subscribe(&client, json!(["newPendingTransactions", true])).await;
    let raw = net.transfer(0);
    net.ask("eth_sendRawTransaction", json!([raw])).await;
    assert_eq!(next(&mut hashes).await, json!(keccak256(&raw)));
    let told = next(&mut whole).await;
    assert_eq!((&told["hash"], &told["blockHash"]), (&json!(keccak256(&raw)), &json!(null)));
}

#[tokio::test]
async fn subscriptions_have_hexadecimal_names_and_can_be_ended() {
    let net = Net::start().await;
    let client = net.web_socket().await;
    let heads = subscribe(&client, json!(["newHeads"])).await;
    let jsonrpsee::core::client::SubscriptionKind::Subscription(id) = heads.kind() else { panic!("it has a name") };
    let id = serde_json::to_value(id).expect("JSON");
    let digits = id.as_str().and_then(|id| id.strip_prefix("0x")).expect("a hexadecimal text");
    assert!(digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digits}");
    heads.unsubscribe().await.expect("it ends");
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused() {
    let net = Net::start().await;
    let client = net.web_socket().await;
    for parameters in [json!(["syncing"]), json!(["nonsense"]), json!(["newHeads", { "address": "0x12" }])] {
        let refused: Result<Subscription<Value>, _> =
            client.subscribe("eth_subscribe", array(parameters.clone()), "eth_unsubscribe").await;
        match refused {
            Err(ClientError::Call(error)) => assert_eq!(error.code(), -32602, "{error}"),
            other => panic!("{parameters}: {:?}", other.map(|_| "accepted")),
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_its_subscriptions() {
    let net = Net::start().await;
    let client = net.web_socket().await;
    let mut heads = subscribe(&client, json!(["newHeads"])).await;
    net.server.stop().await;
    assert!(heads.next().await.is_none());
}
