use super::*;
use crate::chain::trust::tests::{recorded, trust};
use jsonrpsee::{
    RpcModule,
    server::{Server, ServerHandle},
    types::ErrorObjectOwned,
};
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicU64, Ordering};

struct FakeNode {
    height: AtomicU64,
    reverted: Bytes,
}

async fn serve(register: impl FnOnce(&mut RpcModule<FakeNode>)) -> (RpcChain, ServerHandle) {
    let reverted = "0x08c379a0".parse().expect("hex");
    let mut module = RpcModule::new(FakeNode { height: AtomicU64::new(7), reverted });
    module
        .register_method("cess_status", |_, node, _| status(node.height.load(Ordering::Relaxed)))
        .expect("a new name");
    register(&mut module);
    let server = Server::builder().build("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", server.local_addr().expect("bound"));
    (RpcChain::new(&url).expect("a valid URL"), server.start(module))
}

fn status(height: u64) -> Json {
    let hash = B256::with_last_byte(height as u8);
    json!({ "height": height, "hash": hash, "timestampMs": 1_000 * height, "baseFeePerGas": "0x9", "chainId": 5 })
}

fn revert(data: &Bytes) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(3, "execution reverted", Some(data))
}

#[tokio::test]
async fn reads_the_head() {
    let (chain, _server) = serve(|_| ()).await;
    let head = chain.head().await.expect("an answer");
    let expected = Head { height: 7, hash: B256::with_last_byte(7), timestamp_ms: 7_000, base_fee_per_gas: 9 };
    assert_eq!(head, expected);
}

#[tokio::test]
async fn waits_through_polls_that_time_out() {
    let (chain, _server) = serve(|module| {
        let poll = |_: jsonrpsee::types::Params<'_>, node: &FakeNode, _: &_| {
            status(node.height.fetch_add(1, Ordering::Relaxed))
        };
        module.register_method("cess_waitHeight", poll).expect("a new name");
    })
    .await;
    assert_eq!(chain.wait_above(9).await.expect("an answer").height, 10);
}

#[tokio::test]
async fn tells_reverts_from_refusals() {
    let (chain, _server) = serve(|module| {
        let call = |_: jsonrpsee::types::Params<'_>, node: &FakeNode, _: &_| Err::<Bytes, _>(revert(&node.reverted));
        module.register_method("eth_call", call).expect("a new name");
    })
    .await;
    let reverted = chain.call(Address::ZERO, Bytes::new()).await;
    assert_eq!(reverted, Err(ChainError::Reverted { data: "0x08c379a0".parse().expect("hex") }));
    let refused = chain.estimate_gas(CallRequest::default()).await;
    assert!(matches!(refused, Err(ChainError::Rpc { code: -32601, .. })), "{refused:?}");
}

#[tokio::test]
async fn batches_keep_their_order() {
    let (chain, _server) = serve(|module| {
        let echo = |params: jsonrpsee::types::Params<'_>, _: &FakeNode, _: &_| {
            let call: Json = params.sequence().next().expect("a call");
            call["input"].clone()
        };
        module.register_method("eth_call", echo).expect("a new name");
    })
    .await;
    let calls: Vec<_> = (0..120u8).map(|n| (Address::ZERO, Bytes::from(vec![n]))).collect();
    let expected: Vec<_> = calls.iter().map(|(_, data)| data.clone()).collect();
    assert_eq!(chain.call_many(calls).await.expect("answers"), expected);
}

#[tokio::test]
async fn asks_again_until_a_node_answers_and_says_which_did_not() {
    let options = RpcOptions { retry_pause: Duration::from_millis(1), ..RpcOptions::default() };
    let (gone, server) = serve(|_| ()).await;
    server.stop().expect("running");
    server.stopped().await;
    let chain = RpcChain::with_options(&gone.node, options).expect("a valid URL");
    let Err(ChainError::Unreachable { node, .. }) = chain.head().await else { panic!("nobody can have answered") };
    assert_eq!(node, gone.node);
}

#[tokio::test]
async fn knows_its_own_transactions() {
    let (chain, _server) = serve(|module| {
        let known = |_: jsonrpsee::types::Params<'_>, _: &FakeNode, _: &_| {
            Err::<B256, _>(ErrorObjectOwned::owned(-32000, "already known", None::<()>))
        };
        module.register_method("eth_sendRawTransaction", known).expect("a new name");
    })
    .await;
    let raw = Bytes::from_static(b"transaction");
    assert_eq!(chain.send_raw(raw.clone()).await, Ok(keccak256(raw)));
}

/// A node that answers every question for a proof with these, in turn; the last one again and again.
async fn proving(answers: Vec<StateProof>) -> (RpcChain, ServerHandle) {
    let (chain, server) = serve(|module| {
        let turn = AtomicU64::new(0);
        let prove = move |_: jsonrpsee::types::Params<'_>, _: &FakeNode, _: &_| {
            let turn = turn.fetch_add(1, Ordering::Relaxed) as usize;
            json!(answers[turn.min(answers.len() - 1)])
        };
        module.register_method("cess_getProof", prove).expect("a new name");
    })
    .await;
    (chain.with_trust(Arc::new(trust())), server)
}

#[tokio::test]
async fn reads_what_is_proved_and_says_which_node_lies() {
    let recorded = recorded();
    let (chain, _server) = proving(vec![recorded.newer.clone()]).await;
    assert_eq!(chain.state(&recorded.keys()).await.map(|proved| proved.values.len()), Ok(recorded.keys().len()));
    assert_eq!(chain.spec().await.map(|spec| spec.chain_id), Ok(recorded.spec().chain_id), "no node is asked for it");

    let mut lie = recorded.newer.clone();
    lie.entries[0].value = None;
    let (liar, _server) = proving(vec![lie]).await;
    let Err(ChainError::Unverified { node, reason }) = liar.state(&recorded.keys()).await else { panic!("believed") };
    assert_eq!(node, liar.node);
    assert!(reason.contains("entry 0"), "{reason}");
}

#[tokio::test]
async fn a_node_that_cannot_prove_is_no_better_than_one_that_lies() {
    let keys = recorded().keys();
    let (silent, _server) = serve(|_| ()).await;
    // Without a committee's key nothing is believed.
    assert!(matches!(silent.state(&keys).await, Err(ChainError::Unverified { .. })));
    let silent = silent.with_trust(Arc::new(trust()));
    assert!(matches!(silent.state(&keys).await, Err(ChainError::Unverified { .. })));
    let (garbled, _server) = serve(|module| {
        let prove = |_: jsonrpsee::types::Params<'_>, _: &FakeNode, _: &_| json!({ "header": "0x" });
        module.register_method("cess_getProof", prove).expect("a new name");
    })
    .await;
    let garbled = garbled.with_trust(Arc::new(trust()));
    assert!(matches!(garbled.state(&keys).await, Err(ChainError::Unverified { .. })));
}

#[tokio::test]
async fn never_goes_back_and_waits_for_a_node_that_is_a_moment_behind() {
    let recorded = recorded();
    let (older, newer) = (recorded.older.clone(), recorded.newer.clone());
    let (chain, _server) = proving(vec![newer.clone(), older.clone(), newer, older]).await;
    let first = chain.state(&recorded.keys()).await.expect("proved");
    let second = chain.state(&recorded.keys()).await.expect("the second answer is as new again");
    assert_eq!(first, second);
    let Err(ChainError::Unverified { reason, .. }) = chain.state(&recorded.keys()).await else { panic!("went back") };
    assert!(reason.contains("after"), "{reason}");
}

#[tokio::test]
async fn a_proof_is_as_new_as_what_the_node_says() {
    let recorded = recorded();
    let ahead = 1 + trust().check(&recorded.keys(), &recorded.newer, 0).expect("proved").height;
    let newer = recorded.newer.clone();
    let (chain, _server) = serve(move |module| {
        let prove = move |_: jsonrpsee::types::Params<'_>, _: &FakeNode, _: &_| json!(newer);
        module.register_method("cess_getProof", prove).expect("a new name");
        let poll = move |_: jsonrpsee::types::Params<'_>, _: &FakeNode, _: &_| status(ahead);
        module.register_method("cess_waitHeight", poll).expect("a new name");
    })
    .await;
    let chain = chain.with_trust(Arc::new(trust()));
    assert!(chain.state(&recorded.keys()).await.is_ok());
    assert_eq!(chain.wait_above(ahead - 1).await.map(|head| head.height), Ok(ahead));
    assert!(matches!(chain.state(&recorded.keys()).await, Err(ChainError::Unverified { .. })));
}
