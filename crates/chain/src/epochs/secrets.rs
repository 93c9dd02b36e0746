//! Keep a validator's secrets through crashes, and none of them longer than it is needed.
//!
//! # Design
//! Shares, the seeds of dealings and what other dealers sent are entries of one small store with two copies, of which
//! one is always whole. What is put is on disk before anyone acts on it: a dealer that forgot its seed would deal a second
//! time, otherwise, and be taken for a cheat. Shares of past epochs are as good as the group's secret when a quorum of
//! them meets, so pruning writes both copies anew.

use commonware_codec::{DecodeExt, Encode, RangeCfg};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    PublicKey,
    bls12381::{dkg::feldman_desmedt::DealerPrivMsg, primitives::group::Share},
    transcript::Summary,
};
use commonware_glue::dkg::SecretStore;
use commonware_storage::{
    Context as StorageContext,
    metadata::{self, Metadata},
};
use commonware_utils::sequence::FixedBytes;
use futures::lock::Mutex;
use std::sync::Arc;

/// Kind of secret, epoch, dealer.
const KEY_BYTES: usize = 1 + 8 + 32;
/// Longest secret.
const VALUE_BYTES_MAX: usize = 4_096;
const BROKEN_OFF: &str = "no write of this validator's secrets was broken off";

type Key = FixedBytes<KEY_BYTES>;
type Store<E> = Metadata<E, Key, Vec<u8>>;

#[derive(Clone, Copy)]
enum Kind {
    /// Changes when something is pruned, so that the other copy is written as well.
    Pruned,
    Share,
    Seed,
    Dealing,
}

impl Kind {
    fn key(self, epoch: Epoch, dealer: &[u8]) -> Key {
        let mut key = [0; KEY_BYTES];
        key[0] = self as u8;
        key[1..9].copy_from_slice(&epoch.get().to_be_bytes());
        key[9..9 + dealer.len()].copy_from_slice(dealer);
        Key::new(key)
    }
}

/// The secrets of one validator; clones share them.
pub struct Secrets<E: StorageContext> {
    /// Nothing after a write that was broken off.
    store: Arc<Mutex<Option<Store<E>>>>,
}

impl<E: StorageContext> Clone for Secrets<E> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone() }
    }
}

impl<E: StorageContext> Secrets<E> {
    /// Opens the secrets under a name.
    pub async fn open(context: E, prefix: &str) -> Self {
        let config = metadata::Config {
            partition: format!("{prefix}-secrets"),
            codec_config: (RangeCfg::from(0..=VALUE_BYTES_MAX), ()),
        };
        let store = Metadata::init(context, config).await;
        let store = store.unwrap_or_else(|error| panic!("cannot open this validator's secrets: {error}"));
        Self { store: Arc::new(Mutex::new(Some(store))) }
    }

    /// Takes the share that the chain begins with, if nothing was ever taken before.
    pub async fn begin(&self, share: Share) {
        let key = Kind::Share.key(Epoch::zero(), &[]);
        self.change(|store| {
            if store.keys().next().is_none() {
                store.put(key, share.encode().to_vec());
            }
        })
        .await;
    }

    /// Changes the store; the change is durable when this returns.
    async fn change(&self, change: impl FnOnce(&mut Store<E>)) {
        let mut guard = self.store.lock().await;
        let mut store = guard.take().expect(BROKEN_OFF);
        change(&mut store);
        let store = store.sync().await;
        *guard = Some(store.unwrap_or_else(|error| panic!("cannot write this validator's secrets: {error}")));
    }

    async fn put(&self, key: Key, value: &impl Encode) {
        let value = value.encode().to_vec();
        assert!(value.len() <= VALUE_BYTES_MAX, "a secret of {} bytes", value.len());
        self.change(|store| {
            store.put(key, value);
        })
        .await;
    }

    async fn get<T: DecodeExt<()>>(&self, key: Key) -> Option<T> {
        let guard = self.store.lock().await;
        let value = guard.as_ref().expect(BROKEN_OFF).get(&key)?;
        let value = T::decode(bytes::Bytes::copy_from_slice(value));
        Some(value.unwrap_or_else(|error| panic!("a secret of this validator cannot be read: {error}")))
    }
}

impl<E: StorageContext + Send + Sync + 'static> SecretStore for Secrets<E> {
    async fn put_share(&mut self, epoch: Epoch, share: Share) {
        self.put(Kind::Share.key(epoch, &[]), &share).await;
    }

    async fn get_share(&mut self, epoch: Epoch) -> Option<Share> {
        self.get(Kind::Share.key(epoch, &[])).await
    }

    async fn put_seed(&mut self, epoch: Epoch, seed: Summary) {
        self.put(Kind::Seed.key(epoch, &[]), &seed).await;
    }

    async fn get_seed(&mut self, epoch: Epoch) -> Option<Summary> {
        self.get(Kind::Seed.key(epoch, &[])).await
    }

    async fn put_dealing<P: PublicKey>(&mut self, epoch: Epoch, dealer: P, private: DealerPrivMsg) {
        self.put(Kind::Dealing.key(epoch, &dealer.encode()), &private).await;
    }

    async fn get_dealing<P: PublicKey>(&mut self, epoch: Epoch, dealer: &P) -> Option<DealerPrivMsg> {
        self.get(Kind::Dealing.key(epoch, &dealer.encode())).await
    }

    async fn prune(&mut self, min: Epoch) {
        let least = Kind::Share.key(min, &[]);
        let is_old = |key: &Key| key.as_ref()[0] != Kind::Pruned as u8 && key.as_ref()[1..9] < least.as_ref()[1..9];
        if !self.store.lock().await.as_ref().expect(BROKEN_OFF).keys().any(is_old) {
            return;
        }
        for copy in 0..2u8 {
            let mark = Kind::Pruned.key(Epoch::zero(), &[]);
            self.change(|store| {
                store.retain(|key, _| !is_old(key));
                store.put(mark, [&min.get().to_be_bytes()[..], &[copy]].concat());
            })
            .await;
        }
    }
}
