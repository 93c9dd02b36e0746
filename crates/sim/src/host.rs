//! Run one miner: its machine, its disk, its ways to the chain and to the others.

use crate::{
    Broken,
    chance::Chance,
    disk::SimDisk,
    ledger::Ledger,
    link::{Lie, Link},
    weather::Weather,
    wire::Wire,
};
use alloy_primitives::{B256, Bytes, FixedBytes, U256};
use alloy_signer_local::PrivateKeySigner;
use client::{ChainApi, Sender};
use miner::{Keys, Miner, MinerConfig, MinerHandle, RepairConfig};
use std::sync::Arc;
use store::{FragmentRecord, FragmentState, Store, StoreConfig};
use transport::{MemoryNetwork, MemoryTransport};
use types::{
    ReceiptKey,
    abi::{IMiners, MINERS},
};

/// Bytes of a disk.
const DISK_BYTES: u64 = 256 << 20;
/// Records of a disk that are read at once: more than it has.
const RECORDS_MAX: usize = 1 << 16;

/// Where a miner is and what it offers.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The number of its region.
    pub region: usize,
    /// ISO 3166 code.
    pub code: &'static str,
    /// Number of its network.
    pub network: u32,
    /// Lots that it pledges.
    pub lots: u32,
}

/// A machine with a miner.
pub struct Host {
    /// Its number on the chain.
    pub number: u32,
    /// Where it is.
    pub place: Place,
    /// Whether it died for good.
    pub is_dead: bool,
    index: usize,
    disk: SimDisk,
    store: Store,
    link: Arc<Link>,
    wire: Arc<Wire>,
    transport: MemoryTransport,
    handle: Option<MinerHandle>,
}

/// What all machines share.
#[derive(Clone)]
pub struct Site {
    pub(crate) seed: u64,
    pub(crate) chain: Arc<dyn Ledger>,
    pub(crate) network: MemoryNetwork,
    pub(crate) weather: Weather,
}

/// The operator of a machine.
pub fn operator(index: usize) -> PrivateKeySigner {
    let secret = blake3::hash(&[&b"operator"[..], &index.to_be_bytes()].concat());
    PrivateKeySigner::from_bytes(&B256::from(*secret.as_bytes())).expect("a hash is a key")
}

fn receipt_key(index: usize) -> ReceiptKey {
    ReceiptKey::derive(blake3::hash(&[&b"receipts"[..], &index.to_be_bytes()].concat()).as_bytes())
}

fn peer(index: usize) -> B256 {
    B256::from(*blake3::hash(&[&b"peer"[..], &index.to_be_bytes()].concat()).as_bytes())
}

fn region(code: &str) -> FixedBytes<6> {
    let mut bytes = [0; 6];
    bytes[..code.len()].copy_from_slice(code.as_bytes());
    bytes.into()
}

fn open(disk: &SimDisk) -> Result<Store, Broken> {
    let opened = Store::open(disk.clone(), StoreConfig { capacity_bytes: DISK_BYTES });
    Ok(opened.map_err(|error| Broken::new("disks open", error.to_string()))?.0)
}

impl Host {
    /// Registers a machine, with its network, starts its miner, and waits until it has pledged.
    pub async fn start(site: Site, index: usize, place: Place) -> Result<Self, Broken> {
        site.weather.place(peer(index), place.region);
        let chance = |what: &str| Chance::new(site.seed, &format!("{what} {index}"));
        let reader = site.chain.clone().reader(index)?;
        let link = Link::new(reader.clone(), site.weather.clone(), place.region, chance("link"));
        let transport = site.network.join(peer(index));
        let wire = Wire::new(transport.clone(), site.weather.clone(), chance("wire"));
        let disk = SimDisk::new(DISK_BYTES);
        let store = open(&disk)?;
        let (link, wire) = (Arc::new(link), Arc::new(wire));
        register(&reader, index, place, &transport).await?;
        let (number, is_dead, handle) = (0, false, None);
        let mut host = Self { number, place, is_dead, index, disk, store, link, wire, transport, handle };
        host.boot().await?;
        let handle = host.handle.as_mut().expect("it was just started");
        host.number = match handle.registered().await {
            Ok(number) => number,
            Err(_) => return Err(Broken::new("miners register", handle.ended().await.to_string())),
        };
        Ok(host)
    }

    async fn boot(&mut self) -> Result<(), Broken> {
        let Place { code, lots, .. } = self.place;
        let (endpoint, repair) = (self.transport.endpoint(), RepairConfig::default());
        let config = MinerConfig { region: code.into(), network: 0, lots, endpoint, repair };
        let keys = Keys { operator: operator(self.index), receipt: receipt_key(self.index) };
        let store = self.store.clone();
        let started = Miner::start(config, self.link.clone(), self.wire.clone(), store, keys).await;
        let handle = started.map_err(|error| Broken::new("miners start", error.to_string()))?;
        self.transport.serve(handle.service());
        self.handle = Some(handle);
        Ok(())
    }

    /// Ends at once, for good.
    pub async fn die(&mut self) {
        self.is_dead = true;
        self.transport.stop();
        if let Some(handle) = self.handle.take() {
            handle.stop().await;
        }
    }

    /// Loses power, and with it what was not synced, and starts again.
    pub async fn crash(&mut self, seed: u64) -> Result<(), Broken> {
        self.transport.stop();
        if let Some(handle) = self.handle.take() {
            handle.stop().await;
        }
        self.disk = self.disk.after_crash(seed);
        self.store = open(&self.disk)?;
        self.boot().await
    }

    /// Lies to the chain from now on.
    pub fn set_lie(&self, lie: Lie) {
        self.link.set_lie(lie);
    }

    /// Its disk.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// What it owes and has on its disk, in the order in which it came.
    pub async fn fragments(&self) -> Result<Vec<FragmentRecord>, Broken> {
        let records = self.store.records_after(None, RECORDS_MAX).await;
        let mut records = records.map_err(|error| Broken::new("disks are read", error.to_string()))?;
        records.retain(|record| record.state == FragmentState::Kept);
        // Identities of segments hang on the client's secret keys; the order of files does not.
        records.sort_by_key(FragmentRecord::file);
        Ok(records)
    }
}

/// Registers with a network, which the program cannot say yet.
async fn register(
    chain: &Arc<dyn ChainApi>,
    index: usize,
    place: Place,
    transport: &MemoryTransport,
) -> Result<(), Broken> {
    let sender = Sender::new(chain.clone(), operator(index));
    let chain_id = chain.spec().await.map_err(Broken::chain)?.chain_id;
    let key = receipt_key(index);
    let call = IMiners::registerInCall {
        receiptKey: Bytes::copy_from_slice(&key.public().to_bytes()),
        proofOfPossession: Bytes::copy_from_slice(&key.prove_possession(chain_id, sender.address()).to_bytes()),
        endpoint: transport.endpoint().encode().into(),
        region: region(place.code),
        network: place.network,
    };
    let sent = sender.call(MINERS, U256::ZERO, &call).await;
    sent.map(drop).map_err(|error| Broken::new("miners register", error.to_string()))
}
