//! Remember what clients poll for, within a bound and for a time.
//!
//! A filter keeps only where it has got to, never what it found: the archive is asked again at every poll. Pending
//! transactions are the exception; they come from the pool's announcements, whose buffer is bounded and shared.

use crate::error::RpcError;
use alloy_primitives::B128;
use alloy_rpc_types_eth::Filter;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::broadcast;
use types::Transaction;

/// Names a filter; nobody else can guess it.
pub(crate) type FilterId = B128;

/// What a client polls for.
#[derive(Debug)]
pub(crate) enum Watch {
    /// Hashes of blocks above a height.
    Blocks { after: u64 },
    /// Logs in blocks above a height.
    Logs { filter: Box<Filter>, after: u64 },
    /// Transactions that enter the pool.
    Pending(broadcast::Receiver<Arc<Transaction>>),
}

#[derive(Debug)]
struct Entry {
    watch: Watch,
    asked_ms: u64,
}

/// All filters of all clients.
#[derive(Debug)]
pub(crate) struct Filters {
    filters_max: usize,
    expiry_ms: u64,
    entries: HashMap<FilterId, Entry>,
}

impl Filters {
    pub fn new(filters_max: usize, expiry_ms: u64) -> Self {
        Self { filters_max, expiry_ms, entries: HashMap::new() }
    }

    /// Remembers a filter under `id`.
    pub fn install(&mut self, id: FilterId, watch: Watch, now_ms: u64) -> Result<(), RpcError> {
        self.expire(now_ms);
        if self.entries.len() >= self.filters_max {
            let limit = self.filters_max;
            return Err(RpcError::Limit(format!("too many filters: the limit is {limit}, use eth_subscribe instead")));
        }
        self.entries.insert(id, Entry { watch, asked_ms: now_ms });
        Ok(())
    }

    /// The filter, which lives on because somebody asks for it.
    pub fn find(&mut self, id: &FilterId, now_ms: u64) -> Result<&mut Watch, RpcError> {
        self.expire(now_ms);
        let entry = self.entries.get_mut(id).ok_or(RpcError::UnknownFilter)?;
        entry.asked_ms = now_ms;
        Ok(&mut entry.watch)
    }

    /// Forgets a filter; says whether there was one.
    pub fn uninstall(&mut self, id: &FilterId) -> bool {
        self.entries.remove(id).is_some()
    }

    fn expire(&mut self, now_ms: u64) {
        self.entries.retain(|_, entry| entry.asked_ms.saturating_add(self.expiry_ms) > now_ms);
    }
}

#[cfg(test)]
mod tests;
