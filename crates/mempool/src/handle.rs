//! Share one pool between the chain, RPC and gossip.

use crate::{Added, Best, MempoolConfig, PoolError, PoolStatus, pool::Pool};
use alloy_primitives::{Address, B256};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::broadcast;
use types::{Transaction, state::Account};

/// A handle on a pool; clones share it. Calls are short and never wait for anything but each other.
///
/// # Example
/// ```
/// use mempool::{Mempool, MempoolConfig};
///
/// let pool = Mempool::new(MempoolConfig::new(1_337, 30_000_000), 1_000_000_000);
/// assert_eq!(pool.best(1_000_000_000).count(), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Mempool {
    pool: Arc<Mutex<Pool>>,
    announcements: broadcast::Sender<Arc<Transaction>>,
}

impl Mempool {
    /// An empty pool for a chain whose base fee never falls below `base_fee_floor`, in wei.
    pub fn new(config: MempoolConfig, base_fee_floor: u64) -> Self {
        let (announcements, _) = broadcast::channel(config.announcements_max.max(1));
        Self { pool: Arc::new(Mutex::new(Pool::new(config, base_fee_floor))), announcements }
    }

    /// Takes a transaction whose sender's account was `sender` when the caller last looked.
    pub fn add(&self, transaction: Arc<Transaction>, sender: Account, now_ms: u64) -> Result<Added, PoolError> {
        let added = self.pool.lock().add(transaction.clone(), &sender, now_ms)?;
        // Nobody may be listening, which is no error.
        let _ = self.announcements.send(transaction);
        Ok(added)
    }

    /// Transactions for the next block, best payer first.
    pub fn best(&self, base_fee: u64) -> Best {
        Best::new(self.pool.clone(), base_fee)
    }

    /// Follows a finalised block: what it included, the accounts it changed, and the next block's base fee.
    pub fn on_block(&self, included: &[Arc<Transaction>], changed: &[(Address, Account)], base_fee: u64, now_ms: u64) {
        self.pool.lock().on_block(included, changed, base_fee, now_ms);
    }

    /// Drops transactions, such as those that the builder of a block found invalid.
    pub fn remove(&self, hashes: &[B256]) {
        self.pool.lock().remove(hashes);
    }

    /// A transaction of the pool.
    pub fn get(&self, hash: &B256) -> Option<Arc<Transaction>> {
        self.pool.lock().get(hash).cloned()
    }

    /// The nonce after an account's executable transactions, if it has any transaction here.
    pub fn pending_nonce(&self, address: Address) -> Option<u64> {
        self.pool.lock().pending_nonce(address)
    }

    /// How full the pool is.
    pub fn status(&self) -> PoolStatus {
        self.pool.lock().status()
    }

    /// All transactions in the order of their arrival.
    pub fn contents(&self) -> Vec<Arc<Transaction>> {
        self.pool.lock().contents()
    }

    /// Every transaction that enters from now on; a subscriber that falls far behind misses the oldest.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Transaction>> {
        self.announcements.subscribe()
    }
}

#[cfg(test)]
mod tests;
