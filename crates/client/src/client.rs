//! Hold together what all operations of a user share.

use crate::{
    ChainApi, ChainError, ClientConfig, Sender,
    bucket::Bucket,
    directory::Directory,
    keys::Keys,
    peers::{Scoreboard, Standing},
    read::Fetcher,
    write::{Allocator, Memory, Session},
};
use alloy_primitives::Address;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
};
use tokio::sync::Semaphore;
use transport::Transport;
use types::{BucketId, ChainSpec, Profile};

/// Unit in which memory of reads is counted.
pub(crate) const MEMORY_UNIT: usize = 64 << 10;
/// What reads may hold at least: one run of the greatest length.
const MEMORY_UNITS_MIN: usize = 128;

/// A user of the network: keys, a way to the chain, a way to the miners. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    chain: Arc<dyn ChainApi>,
    transport: Arc<dyn Transport>,
    keys: Keys,
    config: ClientConfig,
    spec: Arc<ChainSpec>,
    sender: Arc<Sender>,
    directory: Arc<Directory>,
    peers: Arc<Scoreboard>,
    fetcher: Arc<Fetcher>,
    buckets: Mutex<HashMap<BucketId, Arc<Bucket>>>,
    sessions: Mutex<HashMap<(u64, u32), Arc<Session>>>,
    /// For bytes that come from a source.
    put_memory: Memory,
    /// For groups of changes: these never wait for a source.
    commit_memory: Memory,
    /// For bytes that were read ahead.
    get_memory: Arc<Semaphore>,
}

impl Client {
    /// A client of the chain behind `chain`, whose specification is asked for at once.
    pub async fn new(
        chain: Arc<dyn ChainApi>,
        transport: Arc<dyn Transport>,
        keys: Keys,
        config: ClientConfig,
    ) -> Result<Self, ChainError> {
        let spec = chain.spec().await?;
        let sender = Arc::new(Sender::new(chain.clone(), keys.signer.clone()));
        let directory = Arc::new(Directory::new(chain.clone()));
        let peers = Arc::new(Scoreboard::default());
        let fetcher =
            Fetcher::new(transport.clone(), directory.clone(), peers.clone(), config.read, config.cache.clone());
        let memory = |bytes| Memory::new(bytes, spec.storage.profile, spec.storage.slot_bytes);
        let put_memory = memory(config.put_memory_bytes);
        let commit_memory = memory(config.put_memory_bytes / 4);
        let get_memory = Arc::new(Semaphore::new((config.get_memory_bytes / MEMORY_UNIT).max(MEMORY_UNITS_MIN)));
        let (buckets, sessions) = (Mutex::default(), Mutex::default());
        Ok(Self(Arc::new(Shared {
            chain,
            transport,
            keys,
            config,
            spec,
            sender,
            directory,
            peers,
            fetcher,
            buckets,
            sessions,
            put_memory,
            commit_memory,
            get_memory,
        })))
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.0.keys.address()
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<dyn ChainApi> {
        &self.0.chain
    }

    /// The chain's specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.0.spec
    }

    /// What sends this account's transactions. There must be no other for the same account in this process.
    pub fn sender(&self) -> &Arc<Sender> {
        &self.0.sender
    }

    /// How the members did that this client asked.
    pub fn standings(&self) -> Vec<Standing> {
        self.0.peers.standings()
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.0.config
    }

    pub(crate) fn put_memory(&self) -> &Memory {
        &self.0.put_memory
    }

    pub(crate) fn commit_memory(&self) -> &Memory {
        &self.0.commit_memory
    }

    pub(crate) fn get_memory(&self) -> &Arc<Semaphore> {
        &self.0.get_memory
    }

    pub(crate) fn fetcher(&self) -> &Arc<Fetcher> {
        &self.0.fetcher
    }

    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.0.transport
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.0.directory
    }

    pub(crate) fn bucket_handle(&self, id: BucketId, name: &str) -> Arc<Bucket> {
        let mut buckets = self.0.buckets.lock();
        let make =
            || Arc::new(Bucket::new(id, name, &self.0.keys.storage, self.0.fetcher.clone(), &self.0.config.store));
        buckets.entry(id).or_insert_with(make).clone()
    }

    pub(crate) fn forget_bucket(&self, id: &BucketId) {
        self.0.buckets.lock().remove(id);
    }

    /// What writes that a territory pays for share: leases, the permit, sequences.
    pub(crate) fn session(&self, territory: u64, policy: u32, profile: Profile) -> Arc<Session> {
        let Shared { transport, config, spec, sender, directory, peers, fetcher, .. } = &*self.0;
        let make = || {
            let allocator = Allocator::new(
                sender.clone(),
                directory.clone(),
                peers.clone(),
                spec.storage.clone(),
                profile,
                policy,
                territory,
                config.volumes_in_parallel,
                config.write.volume_timeout,
            );
            Arc::new(Session {
                sender: sender.clone(),
                transport: transport.clone(),
                directory: directory.clone(),
                peers: peers.clone(),
                fetcher: fetcher.clone(),
                allocator,
                spec: spec.clone(),
                profile,
                territory,
                config: config.write,
                sequence: AtomicU64::new(rand::random::<u64>() & !0xff),
                permit: Mutex::default(),
            })
        };
        self.0.sessions.lock().entry((territory, policy)).or_insert_with(make).clone()
    }
}
