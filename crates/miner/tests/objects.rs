//! Put and get objects with the real client, against real miners on disks in memory.

use alloy_primitives::B256;
use alloy_signer_local::PrivateKeySigner;
use client::{
    ChainApi, Client, ClientConfig, Event, Progress, PutOptions, Source,
    chain::{MemoryChain, Network},
};
use miner::{Keys, Miner, MinerConfig, MinerHandle};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use store::{MemoryDisk, Store, StoreConfig};
use tokio::sync::Notify;
use transport::{MemoryNetwork, memory::Behaviour};
use types::{ReceiptKey, spec::StorageSpec};

const MINERS: usize = 8;
/// Time between blocks while nothing is sent, for each that waits.
const HEARTBEAT: Duration = Duration::from_millis(50);

fn operator(index: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(index as u8 + 1)).expect("a key")
}

fn peer(index: usize) -> B256 {
    B256::repeat_byte(index as u8 + 1)
}

fn storage() -> StorageSpec {
    StorageSpec { slot_bytes: 128 << 10, lot_slots: 64, open_target: 2, ..StorageSpec::devnet() }
}

async fn start(chain: &Arc<MemoryChain>, network: &MemoryNetwork, disk: &MemoryDisk, index: usize) -> MinerHandle {
    let transport = network.join(peer(index));
    let (store, _) = Store::open(disk.clone(), StoreConfig { capacity_bytes: 1 << 30 }).expect("the disk works");
    let config = MinerConfig { region: "DE".into(), lots: 4, endpoint: transport.endpoint() };
    let keys = Keys { operator: operator(index), receipt: ReceiptKey::derive(&[index as u8 + 1; 32]) };
    let miner = Miner::start(config, chain.clone(), Arc::new(transport.clone()), store, keys).await.expect("starts");
    transport.serve(miner.service());
    miner
}

/// A network with open volumes, and a client that owns a territory and a bucket.
struct Net {
    chain: Arc<MemoryChain>,
    network: MemoryNetwork,
    disks: Vec<MemoryDisk>,
    miners: Vec<MinerHandle>,
    client: Client,
}

impl Net {
    async fn new() -> Self {
        let accounts = (0..MINERS).map(|index| operator(index).address()).chain([client::Keys::devnet(0).address()]);
        let chain = Arc::new(MemoryChain::funding(storage(), accounts, HEARTBEAT));
        let network = MemoryNetwork::new();
        let disks: Vec<_> = (0..MINERS).map(|_| MemoryDisk::new(4 << 30)).collect();
        let mut miners = Vec::new();
        for (index, disk) in disks.iter().enumerate() {
            miners.push(start(&chain, &network, disk, index).await);
            miners[index].registered().await.expect("it has funds");
        }
        while Network(&*chain).open_volumes(0).await.expect("answers").len() < 2 {
            chain.advance();
        }
        let client = connect(&chain, &network, 0xcc).await;
        let territory = client.buy_territory(1 << 30, 30).await.expect("buys");
        client.create_bucket("bucket", territory).await.expect("creates");
        Self { chain, network, disks, miners, client }
    }
}

/// A program of the owner's.
async fn connect(chain: &Arc<MemoryChain>, network: &MemoryNetwork, id: u8) -> Client {
    let transport = Arc::new(network.join(B256::repeat_byte(id)));
    let owner = client::Keys::devnet(0);
    Client::new(chain.clone(), transport, owner, ClientConfig::default()).await.expect("connects")
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut object = vec![0; bytes];
    blake3::Hasher::new().finalize_xof().fill(&mut object);
    object
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_survive_a_restart_of_all_miners_and_the_loss_of_half() {
    let Net { chain, network, disks, mut miners, client } = Net::new().await;
    let object = noise(3_000_000);
    client.put("bucket", "key", Source::bytes(object.clone()), PutOptions::default()).await.expect("puts");

    // All are killed, and lose what was not synced.
    let height = chain.head().await.expect("answers").height;
    let disks: Vec<_> = disks.iter().map(|disk| disk.after_crash(7)).collect();
    for (index, disk) in disks.iter().enumerate() {
        let again = start(&chain, &network, disk, index).await;
        std::mem::replace(&mut miners[index], again).stop().await;
        miners[index].followed(height).await.expect("it runs");
    }
    assert_eq!(client.read("bucket", "key", None).await.expect("reads"), object);
    for index in 0..MINERS / 2 {
        network.set_behaviour(peer(index), Behaviour::Gone);
    }
    assert_eq!(client.read("bucket", "key", None).await.expect("reads from the rest"), object);
}

/// What a program staged that was killed is on the books of the lease until that ends: others must get by.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_were_killed_while_staging_leave_room_for_the_next() {
    let net = Net::new().await;
    let object = noise(3_000_000);
    for id in 0..3 {
        let client = connect(&net.chain, &net.network, id).await;
        let (staged, reached) = (AtomicU64::new(0), Arc::new(Notify::new()));
        let notify = reached.clone();
        let progress = Progress::new(move |event| {
            if let Event::Staged(bytes) = event
                && staged.fetch_add(bytes, Ordering::Relaxed) + bytes > 2_500_000
            {
                notify.notify_one();
            }
        });
        // Every attempt seals under a key of its own.
        let options = PutOptions { progress, ..PutOptions::default() };
        tokio::select! {
            result = client.put("bucket", "killed", Source::bytes(object.clone()), options) => {
                panic!("it was to be cut off, but ended: {result:?}")
            }
            () = reached.notified() => {}
        }
    }
    let client = connect(&net.chain, &net.network, 9).await;
    let report = client.put("bucket", "key", Source::bytes(object.clone()), PutOptions::default()).await;
    assert!(!report.expect("puts").degraded);
    assert_eq!(client.read("bucket", "key", None).await.expect("reads"), object);
}
