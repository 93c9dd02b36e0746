//! Remember for a moment what the chain said, so that a burst of requests asks once.

use crate::staging::Account;
use alloy_primitives::{Address, B256, Signature};
use client::chain::{ChainApi, ChainError, Network};
use parking_lot::Mutex;
use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};
use tokio::time::Instant;
pub(crate) use types::layout::volumes::Lease;
use types::permit::{self, Permit};

/// How long an answer may be used.
const FRESH: Duration = Duration::from_secs(2);
/// Answers of a kind to remember.
const ENTRIES_MAX: usize = 4096;

/// Whether an answer given a moment ago will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Remembered,
    New,
}

struct Memory<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K: Eq + Hash, V: Copy> Memory<K, V> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn recall(&self, key: &K, freshness: Freshness) -> Option<V> {
        let entries = self.0.lock();
        let (since, value) = entries.get(key)?;
        (freshness == Freshness::Remembered && since.elapsed() < FRESH).then_some(*value)
    }

    fn learn(&self, key: K, value: V) -> V {
        let mut entries = self.0.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, (since, _)| since.elapsed() < FRESH);
        }
        if entries.len() < ENTRIES_MAX {
            entries.insert(key, (Instant::now(), value));
        }
        value
    }
}

/// What the chain says, remembered for [`FRESH`].
pub(crate) struct Views {
    chain: Arc<dyn ChainApi>,
    owners: Memory<u64, Address>,
    leases: Memory<(Account, u64), Lease>,
    /// Who signed a permit, by the permit and the signature: to recover it costs more than to hash it.
    signers: Memory<(B256, [u8; 65]), Option<Address>>,
}

impl Views {
    pub(crate) fn new(chain: Arc<dyn ChainApi>) -> Self {
        Self { chain, owners: Memory::new(), leases: Memory::new(), signers: Memory::new() }
    }

    /// The owner of a territory; nobody if there is no such territory.
    pub(crate) async fn owner(&self, territory: u64, freshness: Freshness) -> Result<Option<Address>, ChainError> {
        if let Some(owner) = self.owners.recall(&territory, freshness) {
            return Ok(Some(owner));
        }
        match Network(&*self.chain).territory(territory).await {
            Ok(record) => Ok(Some(self.owners.learn(territory, record.owner))),
            Err(ChainError::Reverted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The lease of a territory on a volume. What was remembered before fragments moved out of staging (`moves`) does
    /// not count: the commit that moved them has drawn on the lease.
    pub(crate) async fn lease(&self, account: Account, moves: u64, freshness: Freshness) -> Result<Lease, ChainError> {
        if let Some(lease) = self.leases.recall(&(account, moves), freshness) {
            return Ok(lease);
        }
        let lease = Network(&*self.chain).lease(account.territory, account.volume).await?;
        Ok(self.leases.learn((account, moves), lease))
    }

    /// Who signed a permit.
    pub(crate) fn signer(&self, permit: &Permit, chain_id: u64, signature: &Signature) -> Option<Address> {
        let key = (permit::signing_hash(permit, chain_id), signature.as_bytes());
        self.signers
            .recall(&key, Freshness::Remembered)
            .unwrap_or_else(|| self.signers.learn(key, permit::recover(permit, chain_id, signature)))
    }
}
