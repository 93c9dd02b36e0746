//! Hold together what all operations of a user share.

use crate::{
    ChainApi, ChainError, ClientConfig, Sender,
    bucket::Bucket,
    directory::Directory,
    keys::Keys,
    peers::{Scoreboard, Standing},
    read::Fetcher,
    write::{Allocator, Session},
};
use alloy_primitives::Address;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicU64},
};
use transport::Transport;
use types::{BucketId, ChainSpec, Profile};

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
        let fetcher = Arc::new(Fetcher {
            transport: transport.clone(),
            directory: directory.clone(),
            peers: peers.clone(),
            config: config.read,
        });
        let (buckets, sessions) = (Mutex::default(), Mutex::default());
        let shared =
            Shared { chain, transport, keys, config, spec, sender, directory, peers, fetcher, buckets, sessions };
        Ok(Self(Arc::new(shared)))
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
        let make = || Arc::new(Bucket::new(id, name, &self.0.keys.storage, self.0.fetcher.clone()));
        buckets.entry(id).or_insert_with(make).clone()
    }

    pub(crate) fn forget_bucket(&self, id: &BucketId) {
        self.0.buckets.lock().remove(id);
    }

    /// What writes that a territory pays for share: leases, the permit, sequences.
    pub(crate) fn session(&self, territory: u64, policy: u32, profile: Profile) -> Arc<Session> {
        let Shared { transport, config, spec, sender, directory, peers, .. } = &*self.0;
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
