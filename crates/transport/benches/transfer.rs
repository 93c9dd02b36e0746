//! Measure how fast fragments move between two peers on loopback.

use alloy_primitives::{B256, Signature, U256};
use async_trait::async_trait;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::{sync::Arc, time::Duration};
use transport::{
    Fetch, Fragment, FragmentReply, PeerConfig, PeerTransport, Request, Response, Service, StageHeader, Transport,
};
use types::{
    Endpoint, Profile,
    merkle::Tree,
    permit::Permit,
    segment::{FragmentProof, segment_id},
};

const FRAGMENT_BYTES: usize = 2 << 20;
const DEADLINE: Duration = Duration::from_secs(30);

/// Takes every fragment and always sends the same one.
struct One(FragmentReply);

#[async_trait]
impl Service for One {
    async fn handle(&self, _: B256, request: Request) -> Response {
        match request {
            Request::Stage(stage) if stage.fragment.root() == self.0.proof.root => Response::Staged,
            _ => Response::Fragment(self.0.clone()),
        }
    }
}

struct Peers {
    asker: PeerTransport,
    to: Endpoint,
    header: StageHeader,
    fragment: Fragment,
    _serving: transport::Serving,
}

impl Peers {
    fn fetch(&self) -> Fetch {
        Fetch { segment: self.header.segment, index: 0, range: None }
    }
}

async fn peers() -> Peers {
    let bytes: Vec<u8> = (0..FRAGMENT_BYTES).map(|i| (i * 31 % 251) as u8).collect();
    let fragment = Fragment::new(Bytes::from(bytes));
    let tree = Tree::new(&[fragment.root(); 8]);
    let profile = Profile::Devnet;
    let length = (FRAGMENT_BYTES * 4) as u64;
    let proof = FragmentProof { index: 0, root: fragment.root(), path: tree.path(0).expect("eight leaves") };
    let header = StageHeader {
        permit: Permit { territory: 1, uploader: B256::ZERO, expiresMs: 0 },
        signature: Signature::new(U256::from(1), U256::from(1), false),
        volume: 1,
        segment: segment_id(profile, length, &tree.root()),
        profile,
        length,
        proof: proof.clone(),
    };
    let (groups, bytes) = (fragment.groups().clone(), fragment.bytes().clone());
    let any = "127.0.0.1:0".parse().expect("an address");
    let asker = PeerTransport::bind([1; 32], any, PeerConfig::default()).await.expect("a port is free");
    let server = PeerTransport::bind([2; 32], any, PeerConfig::default()).await.expect("a port is free");
    let reply = FragmentReply { profile, length, proof, groups, offset: 0, bytes };
    let _serving = server.serve(Arc::new(One(reply)));
    Peers { asker, to: server.local_endpoint().expect("bound to loopback"), header, fragment, _serving }
}

fn transfer(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads start");
    let peers = runtime.block_on(peers());
    for parallel in [1, 8] {
        let mut group = criterion.benchmark_group("transport");
        group.sample_size(20).throughput(Throughput::Bytes((parallel * FRAGMENT_BYTES) as u64));
        group.bench_function(format!("fetch/size=2MiB parallel={parallel}"), |bench| {
            bench.to_async(&runtime).iter(|| async {
                let fetches = (0..parallel).map(|_| peers.asker.fetch(&peers.to, peers.fetch(), DEADLINE));
                futures::future::try_join_all(fetches).await.expect("the peer answers")
            });
        });
        group.bench_function(format!("stage/size=2MiB parallel={parallel}"), |bench| {
            bench.to_async(&runtime).iter(|| async {
                let stages = (0..parallel)
                    .map(|_| peers.asker.stage(&peers.to, peers.header.clone(), peers.fragment.clone(), DEADLINE));
                futures::future::try_join_all(stages).await.expect("the peer answers")
            });
        });
    }
}

criterion_group!(benches, transfer);
criterion_main!(benches);
