//! Batches, limits, web pages and long waits.

use crate::Net;
use jsonrpsee::core::{
    client::{BatchResponse, ClientT},
    params::BatchRequestBuilder,
};
use rpc::RpcConfig;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends a request as it stands and reads what comes until the server closes.
async fn exchange(net: &Net, request: String) -> String {
    let mut stream = TcpStream::connect(net.server.local_address()).await.expect("connects");
    stream.write_all(request.as_bytes()).await.expect("writes");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

fn local() -> RpcConfig {
    RpcConfig::new((Ipv4Addr::LOCALHOST, 0).into())
}

#[tokio::test]
async fn a_batch_is_answered_in_order_with_its_errors() {
    let net = Net::start().await;
    let mut batch = BatchRequestBuilder::new();
    batch.insert("eth_chainId", crate::array(json!([]))).expect("JSON");
    batch.insert("eth_nonsense", crate::array(json!([]))).expect("JSON");
    batch.insert("eth_blockNumber", crate::array(json!([]))).expect("JSON");
    let answers: BatchResponse<Value> = net.http.batch_request(batch).await.expect("an answer");
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.code())).collect();
    assert_eq!(answers, [Ok(json!("0x539")), Err(-32601), Ok(json!("0x1"))]);
}

#[tokio::test]
async fn batches_and_bodies_are_bounded() {
    let net = Net::start_with(RpcConfig { batch_max: 2, request_bytes_max: 1_000, ..local() }).await;
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    assert!(exchange(&net, post(&format!("[{one},{one}]"))).await.contains("0x539"));
    let refused = exchange(&net, post(&format!("[{one},{one},{one}]"))).await;
    assert!(refused.contains("-32010") && !refused.contains("0x539"), "{refused}");
    let long = exchange(&net, post(&format!("{one}{}", " ".repeat(1_000)))).await;
    assert!(long.starts_with("HTTP/1.1 413"), "{long}");
}

#[tokio::test]
async fn filters_are_bounded() {
    let net = Net::start_with(RpcConfig { filters_max: 1, ..local() }).await;
    net.ask("eth_newBlockFilter", json!([])).await;
    assert_eq!(net.refusal("eth_newPendingTransactionFilter", json!([])).await.0, -32005);
}

#[tokio::test]
async fn web_pages_of_any_origin_may_ask() {
    let net = Net::start().await;
    let preflight = "OPTIONS / HTTP/1.1\r\nhost: localhost\r\norigin: https://example.org\r\nconnection: close\r\n\
         access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n\r\n";
    let answer = exchange(&net, preflight.into()).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
    assert!(answer.contains("access-control-allow-headers: *"), "{answer}");
}

#[tokio::test]
async fn garbage_is_answered_and_the_server_goes_on() {
    let net = Net::start().await;
    for body in ["{", "[]", "null", r#"{"jsonrpc":"2.0","id":1}"#, &"[".repeat(10_000)] {
        let answer = exchange(&net, post(body)).await;
        assert!(answer.contains(r#""error""#), "{answer}");
    }
    assert_eq!(net.ask("eth_chainId", json!([])).await, "0x539");
}

#[tokio::test]
async fn waiting_for_a_height_ends_with_it_or_with_the_time() {
    let net = Net::start().await;
    assert_eq!(net.ask("cess_waitHeight", json!([0, 60_000])).await["height"], 1);
    assert_eq!(net.ask("cess_waitHeight", json!([1, 1])).await["height"], 1, "the time is up");
    let waiting = net.ask("cess_waitHeight", json!([1, 60_000]));
    let (status, block) = tokio::join!(waiting, net.solo.step());
    assert_eq!(status["hash"], json!(block.expect("a block").hash));
}

#[tokio::test]
async fn those_who_wait_are_bounded() {
    let net = Net::start_with(RpcConfig { waits_max: 0, ..local() }).await;
    assert_eq!(net.refusal("cess_waitHeight", json!([1, 1])).await.0, -32005);
}
