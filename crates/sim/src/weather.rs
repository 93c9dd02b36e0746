//! Say what lies between two ends: latency, loss, regions in the dark.

use crate::chance::Chance;
use alloy_primitives::B256;
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

/// The region of the chain's nodes and of the client: never in the dark.
pub const HUB: usize = usize::MAX;

/// How the network is at the moment; clones are the same.
#[derive(Clone)]
pub struct Weather(Arc<RwLock<Inner>>);

struct Inner {
    latency_ms: Range<u64>,
    loss_per_million: u64,
    dark: BTreeSet<usize>,
    regions: BTreeMap<B256, usize>,
}

impl Default for Weather {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Inner {
            latency_ms: 5..120,
            loss_per_million: 2_000,
            dark: BTreeSet::new(),
            regions: BTreeMap::new(),
        })))
    }
}

impl Weather {
    /// Places a peer in a region.
    pub fn place(&self, peer: B256, region: usize) {
        self.0.write().regions.insert(peer, region);
    }

    /// Cuts a region off, or connects it again.
    pub fn set_dark(&self, region: usize, dark: bool) {
        let mut inner = self.0.write();
        match dark {
            true => inner.dark.insert(region),
            false => inner.dark.remove(&region),
        };
    }

    /// Changes latency, one way, and loss.
    pub fn set(&self, latency_ms: Range<u64>, loss_per_million: u64) {
        let mut inner = self.0.write();
        (inner.latency_ms, inner.loss_per_million) = (latency_ms, loss_per_million);
    }

    /// Where a peer is.
    pub fn region(&self, peer: &B256) -> usize {
        self.0.read().regions.get(peer).copied().unwrap_or(HUB)
    }

    /// Whether anything gets from one region to another. Within a dark region everything does.
    pub fn connects(&self, from: usize, to: usize) -> bool {
        let inner = self.0.read();
        from == to || (!inner.dark.contains(&from) && !inner.dark.contains(&to))
    }

    /// The time of one way.
    pub fn latency(&self, chance: &mut Chance) -> Duration {
        Duration::from_millis(chance.within(self.0.read().latency_ms.clone()))
    }

    /// Whether what is sent now is lost.
    pub fn loses(&self, chance: &mut Chance) -> bool {
        chance.happens(self.0.read().loss_per_million)
    }
}
