use super::*;
use jsonrpsee::{
    RpcModule,
    server::{Server, ServerHandle},
};
use serde_json::{Value, json};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../vectors/light.json")).expect("vectors")
}

fn spec() -> ChainSpec {
    ChainSpec::from_toml(vectors()["genesis"].as_str().expect("text")).expect("a specification")
}

/// A node that says it is of this chain, and answers every question for a proof with this one.
async fn node(spec: ChainSpec, proof: Value) -> (String, ServerHandle) {
    let mut module = RpcModule::new(());
    let spec = json!(spec);
    module.register_method("cess_spec", move |_, (), _| spec.clone()).expect("a new name");
    module.register_method("cess_getProof", move |_, (), _| proof.clone()).expect("a new name");
    let server = Server::builder().build("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", server.local_addr().expect("bound"));
    (url, server.start(module))
}

/// A proof with the value of something else in it.
fn lie() -> Value {
    let mut lie = vectors()["newer"].clone();
    lie["entries"][1]["value"] = lie["entries"][0]["value"].clone();
    lie
}

fn keys() -> Vec<StateKey> {
    let proof: types::proof::StateProof = serde_json::from_value(vectors()["newer"].clone()).expect("a proof");
    proof.entries.iter().map(|entry| entry.key()).collect()
}

#[tokio::test]
async fn the_first_answer_is_kept_and_no_other_believed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chain.toml");
    let (url, _server) = node(spec(), vectors()["newer"].clone()).await;
    let nodes = Nodes::new(&[url], Chain::Pinned(path.clone())).unwrap();
    assert!(!path.exists(), "nobody was asked yet");
    assert_eq!(*nodes.spec().await.unwrap(), spec());
    assert_eq!(pin::read(&path).unwrap(), Some(spec()));

    let other = ChainSpec { chain_id: 5, name: "another".into(), ..spec() };
    let (url, _server) = node(other, lie()).await;
    let nodes = Nodes::new(std::slice::from_ref(&url), Chain::Pinned(path.clone())).unwrap();
    assert_eq!(*nodes.spec().await.unwrap(), spec(), "what was kept counts, not what the node says");
    let Err(ChainError::Unverified { node, reason }) = nodes.state(&keys()).await else { panic!("believed") };
    assert_eq!(node, url);
    assert!(reason.contains(path.to_str().unwrap()), "{reason}");
}

#[tokio::test]
async fn only_who_reads_goes_on_by_an_old_state() {
    let (url, _server) = node(spec(), vectors()["newer"].clone()).await;
    let nodes = || Nodes::new(std::slice::from_ref(&url), Chain::Known(Arc::new(spec()))).unwrap();
    let Err(ChainError::Old { node, age_s }) = nodes().state(&keys()).await else { panic!("believed") };
    assert!(node == url && age_s > 30, "{node}, {age_s} s");
    let reader = nodes().reading();
    assert_eq!(reader.state(&keys()).await.expect("as it was").timestamp_ms, vectors()["timestamp_ms"]);
    // What is not proved is not believed at any age.
    let (url, _server) = self::node(spec(), lie()).await;
    let reader = Nodes::new(&[url], Chain::Known(Arc::new(spec()))).unwrap().reading();
    assert!(matches!(reader.state(&keys()).await, Err(ChainError::Unverified { .. })));
}

#[tokio::test]
async fn after_a_node_that_proves_nothing_the_next_is_asked() {
    let (liar, _liar) = node(spec(), lie()).await;
    let (honest, _honest) = node(spec(), vectors()["newer"].clone()).await;
    let then = || vectors()["timestamp_ms"].as_u64().expect("a time") + 1_000;
    let of = |urls: Vec<String>| {
        let trust = Trust::with_clock(Arc::new(spec()), then).unwrap();
        let nodes = OnceCell::new_with(Some(believing(&urls, trust).unwrap()));
        Nodes { urls, chain: Chain::Known(Arc::new(spec())), nodes, current: AtomicUsize::new(0), reads_old: false }
    };
    let nodes = of(vec![liar.clone(), honest]);
    let proved = nodes.state(&keys()).await.expect("the second node proves it");
    assert_eq!(proved.timestamp_ms, vectors()["timestamp_ms"]);
    assert_eq!(nodes.current.load(Ordering::Relaxed), 1, "the liar is not asked first again");
    let Err(ChainError::Unverified { node, .. }) = of(vec![liar.clone()]).state(&keys()).await else {
        panic!("there is nobody else to ask")
    };
    assert_eq!(node, liar);
}
