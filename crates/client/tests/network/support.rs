//! Set up a network in this process: the real protocol modules, erasure code and sealing, and simple miners.

pub mod miner;

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy_signer_local::PrivateKeySigner;
use client::{
    ChainApi, Client, ClientConfig, Keys, PutOptions, PutReport, ReadConfig, Sender, Source, StoreConfig, WriteConfig,
    chain::{MemoryChain, Network},
};
use miner::TestMiner;
use std::{sync::Arc, time::Duration};
use transport::{MemoryNetwork, memory::Behaviour};
use types::{
    ReceiptKey,
    abi::{IMiners, MINERS},
    spec::StorageSpec,
};

pub const KIB: usize = 1024;
/// Bytes of a full segment in these tests.
pub const SEGMENT: usize = 512 * KIB;
/// Plaintext that fills a segment by itself: seven chunks.
pub const SEGMENT_PLAIN: usize = 7 * 64 * KIB;

pub struct Net {
    pub chain: Arc<MemoryChain>,
    pub network: MemoryNetwork,
    pub miners: Vec<Arc<TestMiner>>,
    pub client: Client,
    pub territory: u64,
}

pub fn storage() -> StorageSpec {
    StorageSpec { slot_bytes: 128 << 10, lot_slots: 256, ..StorageSpec::devnet() }
}

pub fn config() -> ClientConfig {
    ClientConfig {
        put_memory_bytes: 16 << 20,
        get_memory_bytes: 4 << 20,
        volumes_in_parallel: 3,
        cache: None,
        read: ReadConfig {
            request_timeout: Duration::from_secs(30),
            hedge_after_min: Duration::from_millis(20),
            hedge_after_max: Duration::from_millis(100),
        },
        write: WriteConfig {
            request_timeout: Duration::from_secs(5),
            straggler_timeout: Duration::from_millis(500),
            volume_timeout: Duration::from_secs(5),
            lease_timeout: Duration::from_secs(2),
            replays_max: 50,
        },
        store: StoreConfig { group_window: Duration::from_millis(10), ..StoreConfig::default() },
    }
}

impl Net {
    /// A network with as many miners, of which each may hold as many lots as the volumes need.
    pub async fn new(miner_count: usize) -> Self {
        Self::with(miner_count, storage()).await
    }

    pub async fn with(miner_count: usize, storage: StorageSpec) -> Self {
        let operators: Vec<PrivateKeySigner> = (0..miner_count).map(operator).collect();
        let users: Vec<Address> = (0..3).map(|index| Keys::devnet(index).address()).collect();
        let accounts = operators.iter().map(PrivateKeySigner::address).chain(users);
        let chain = Arc::new(MemoryChain::funding(storage, accounts, Duration::from_millis(2)));
        let network = MemoryNetwork::new();
        let mut miners = Vec::new();
        for (index, operator) in operators.into_iter().enumerate() {
            miners.push(start_miner(&chain, &network, index, operator).await);
        }
        let open = u64::from(chain.spec().await.expect("a spec").storage.open_target);
        while (Network(&*chain).open_volumes(0).await.expect("answers").len() as u64) < open {
            chain.advance();
        }
        let client = Self::client_of(&chain, &network, 0, 0xc0).await;
        let territory = client.buy_territory(1 << 30, 30).await.expect("buys");
        client.create_bucket("bucket", territory).await.expect("creates");
        Self { chain, network, miners, client, territory }
    }

    /// Another program with the keys of account `index`.
    pub async fn another_client(&self, id: u8) -> Client {
        Self::client_of(&self.chain, &self.network, 0, id).await
    }

    async fn client_of(chain: &Arc<MemoryChain>, network: &MemoryNetwork, index: u32, id: u8) -> Client {
        let transport = Arc::new(network.join(B256::repeat_byte(id)));
        Client::new(chain.clone(), transport, Keys::devnet(index), config()).await.expect("connects")
    }

    /// The miners in the seats of a volume.
    pub async fn members(&self, volume: u32) -> Vec<Arc<TestMiner>> {
        let volume = Network(&*self.chain).volume(volume).await.expect("answers");
        volume.miners.iter().map(|id| self.miners[*id as usize - 1].clone()).collect()
    }

    pub fn behave(&self, miner: &TestMiner, behaviour: Behaviour) {
        self.network.set_behaviour(miner.peer, behaviour);
    }

    pub async fn put(&self, key: &str, bytes: &[u8]) -> PutReport {
        let source = Source::bytes(bytes.to_vec());
        self.client.put("bucket", key, source, PutOptions::default()).await.expect("puts")
    }

    pub async fn read(&self, key: &str) -> Vec<u8> {
        self.client.read("bucket", key, None).await.expect("reads")
    }
}

fn operator(index: usize) -> PrivateKeySigner {
    let secret = blake3::hash(&[b'o', index as u8]);
    PrivateKeySigner::from_bytes(&B256::from(*secret.as_bytes())).expect("a key")
}

async fn start_miner(
    chain: &Arc<MemoryChain>,
    network: &MemoryNetwork,
    index: usize,
    operator: PrivateKeySigner,
) -> Arc<TestMiner> {
    let peer = B256::repeat_byte(index as u8 + 1);
    let transport = network.join(peer);
    let key = ReceiptKey::derive(&[index as u8 + 1; 32]);
    let sender = Sender::new(chain.clone(), operator);
    let chain_id = chain.spec().await.expect("a spec").chain_id;
    let proof = key.prove_possession(chain_id, sender.address()).to_bytes();
    let register = IMiners::registerCall {
        receiptKey: Bytes::copy_from_slice(&key.public().to_bytes()),
        proofOfPossession: Bytes::copy_from_slice(&proof),
        endpoint: transport.endpoint().encode().into(),
        region: FixedBytes(*b"DE\0\0\0\0"),
    };
    sender.call(MINERS, U256::ZERO, &register).await.expect("registers");
    let lots = 16u32;
    let due = chain.spec().await.expect("a spec").storage.lot_collateral * U256::from(lots);
    sender.call(MINERS, due, &IMiners::pledgeCall { lots }).await.expect("pledges");
    let miner = Arc::new(TestMiner::new(chain.clone(), peer, index as u32 + 1, key));
    transport.serve(miner.clone());
    miner
}

/// Bytes that look random and are the same each time.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_be_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}
