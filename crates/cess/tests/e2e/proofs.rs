//! Ask real validators for proofs, hold the answers against calls, and keep some for the tests of readers.

use crate::harness::Devnet;
use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use client::chain::{ChainApi, ChainError, Network, RpcChain, Trust};
use jsonrpsee::{core::client::ClientT, http_client::HttpClientBuilder, rpc_params};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc, time::Instant};
use tokio::runtime::Runtime;
use types::{
    ChainSpec, Profile,
    abi::{BUCKETS, IBuckets, IMiners, ITerritories, IVolumes, MINERS, TERRITORIES, VOLUMES},
    layout::{
        Query,
        buckets::BucketQuery,
        miners::ContactQuery,
        territories::TerritoryQuery,
        volumes::{LogQuery, SeatsQuery},
    },
    state::StateKey,
};

/// Proved reads that are timed.
const TIMED: u32 = 50;

fn keys<Q: Query>(query: Q) -> Vec<StateKey> {
    query.slots().into_iter().map(|slot| StateKey::Slot(Q::MODULE, slot)).collect()
}

/// What a reader of an object asks: who sits in a volume, its log, a member, the territory, the bucket.
fn asked(volume: u32, miner: u32, bucket: B256) -> Vec<StateKey> {
    [
        keys(SeatsQuery { volume, profile: Profile::Devnet }),
        keys(LogQuery { volume, stripe_count: 1 })[1..].to_vec(),
        keys(ContactQuery(miner)),
        keys(TerritoryQuery(1)),
        keys(BucketQuery(bucket)),
        // Nobody is there.
        keys(SeatsQuery { volume: 9, profile: Profile::Devnet })[..1].to_vec(),
    ]
    .concat()
}

async fn raw_proof(url: &str, keys: &[StateKey]) -> Value {
    let shown = |key: &StateKey| match key {
        StateKey::Account(address) => json!({ "address": address }),
        StateKey::Slot(address, slot) => json!({ "address": address, "slot": slot }),
    };
    let keys: Vec<Value> = keys.iter().map(shown).collect();
    let client = HttpClientBuilder::default().build(url).unwrap();
    client.request("cess_getProof", rpc_params![keys]).await.unwrap()
}

#[test]
fn proved_reads_are_what_calls_answer_and_cost_little() {
    let devnet = Devnet::start(4, 8);
    devnet.must(&["territory", "buy", "--size", "64MiB", "--days", "30"]);
    devnet.must(&["bucket", "create", "photos"]);
    fs::write(devnet.home.path().join("cat"), vec![7; 100_000]).unwrap();
    devnet.must(&["put", "cat", "cess://photos/cat"]);
    let listed = devnet.must(&["bucket", "list", "--json"]).json();
    let bucket: B256 = listed[0]["id"].as_str().unwrap().parse().unwrap();
    let genesis = fs::read_to_string(devnet.dir().join("genesis.toml")).unwrap();
    let spec = Arc::new(ChainSpec::from_toml(&genesis).unwrap());
    let url = devnet.description().unwrap()["rpc_url"].as_str().unwrap().to_string();
    Runtime::new().unwrap().block_on(async {
        let chain = RpcChain::new(&url).unwrap().with_trust(Arc::new(Trust::new(spec.clone()).unwrap()));
        let network = Network(&chain);
        let seats = (1..=3).map(|id| IVolumes::volumeCall { id });
        let volumes = network.read_many(VOLUMES, &seats.collect::<Vec<_>>()).await.unwrap();
        let written = 1 + volumes.iter().position(|volume| volume.stripeCount > 0).unwrap() as u32;
        let volume = &volumes[written as usize - 1];
        assert_eq!(&network.volume(written).await.unwrap(), volume);
        let miner = volume.miners[0];
        assert_eq!(network.miner(miner).await, network.read(MINERS, &IMiners::minerCall { id: miner }).await);
        assert_eq!(network.bucket(bucket).await, network.read(BUCKETS, &IBuckets::bucketCall { id: bucket }).await);
        let territory = ITerritories::territoryCall { id: 1 };
        assert_eq!(network.territory(1).await, network.read(TERRITORIES, &territory).await);
        let unknown = network.territory(9).await;
        assert!(matches!(unknown, Err(ChainError::Reverted { .. })), "{unknown:?}");

        let keys = asked(written, miner, bucket);
        measure(&chain, written, &keys).await;
        if std::env::var_os("UPDATE_VECTORS").is_some() {
            record(&chain, &url, &genesis, (written, miner, bucket), &keys).await;
        }
    });
}

/// Says what reads take; the machine is busy with the devnet meanwhile.
async fn measure(chain: &RpcChain, volume: u32, keys: &[StateKey]) {
    let network = Network(chain);
    let call = IVolumes::volumeCall { id: volume };
    for (name, count) in [("call", 1), ("one slot", 1), ("record", 1), ("volume with its members", 1)] {
        let began = Instant::now();
        for _ in 0..TIMED {
            match name {
                "call" => drop(chain.call(VOLUMES, call.abi_encode().into()).await.unwrap()),
                "one slot" => drop(chain.state(&keys[..count]).await.unwrap()),
                "record" => drop(chain.state(keys).await.unwrap()),
                _ => drop(network.volume_with_members(volume).await.unwrap()),
            }
        }
        eprintln!("{name}: {:?}", began.elapsed() / TIMED);
    }
}

/// Keeps two proofs of different blocks in `vectors/light.json`.
async fn record(chain: &RpcChain, url: &str, genesis: &str, of: (u32, u32, B256), keys: &[StateKey]) {
    let (volume, miner, bucket) = of;
    let older = raw_proof(url, keys).await;
    let head = chain.head().await.unwrap();
    chain.wait_above(head.height + 1).await.unwrap();
    let newer = raw_proof(url, keys).await;
    let proved = chain.state(keys).await.unwrap();
    let vectors = json!({
        "genesis": genesis, "volume": volume, "miner": miner, "bucket": bucket,
        "timestamp_ms": proved.timestamp_ms, "older": older, "newer": newer,
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/light.json");
    fs::write(path, serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
}
