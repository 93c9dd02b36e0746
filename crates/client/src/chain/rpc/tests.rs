use super::*;
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

struct Distrust;

impl Verifier for Distrust {
    fn verify(&self, _: &StateProof) -> Result<(Header, Vec<Option<Value>>), String> {
        Err("the certificate is not the committee's".into())
    }
}

#[tokio::test]
async fn believes_no_proof_that_the_verifier_rejects() {
    let (chain, _server) = serve(|module| {
        let prove = |_: jsonrpsee::types::Params<'_>, _: &FakeNode, _: &_| {
            json!({ "header": "0x", "certificate": "0x",
                "entries": [{ "address": Address::ZERO, "slot": null, "value": null, "proof": "0x" }] })
        };
        module.register_method("cess_getProof", prove).expect("a new name");
    })
    .await;
    let key = StateKey::Account(Address::ZERO);
    assert!(chain.proof(&[key]).await.is_ok());
    let other = StateKey::Account(Address::with_last_byte(1));
    assert!(matches!(chain.proof(&[other]).await, Err(ChainError::Invalid(_))));
    let chain = chain.with_verifier(Arc::new(Distrust));
    assert!(matches!(chain.proof(&[key]).await, Err(ChainError::Invalid(_))));
}
