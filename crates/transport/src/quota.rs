//! Share what a server can take in among its peers.
//!
//! Bodies are counted before there is memory for them. One peer gets at most a part of the whole, so that it cannot
//! keep the others out; who gets nothing now is told when to ask again.

use alloy_primitives::B256;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// How much may be in flight at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotaLimits {
    /// Bytes of bodies of all peers.
    pub(crate) bytes_max: u64,
    /// Bytes of bodies of one peer.
    pub(crate) bytes_per_peer_max: u64,
    /// Connections of all peers.
    pub(crate) connections_max: usize,
    /// Connections of one peer.
    pub(crate) connections_per_peer_max: usize,
}

#[derive(Debug, Default)]
struct Use {
    bytes: u64,
    connections: usize,
}

#[derive(Debug, Default)]
struct Books {
    all: Use,
    /// Peers that use something: bounded by the connections.
    peers: HashMap<B256, Use>,
}

/// What is in flight now, by peer.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    limits: QuotaLimits,
    books: Arc<Mutex<Books>>,
}

impl Quota {
    pub(crate) fn new(limits: QuotaLimits) -> Self {
        Self { limits, books: Arc::default() }
    }

    /// Counts a connection until the lease is dropped; nothing if there are too many.
    pub(crate) fn connect(&self, peer: B256) -> Option<Lease> {
        let mut books = self.books.lock();
        let held = books.peers.get(&peer).map_or(0, |used| used.connections);
        if books.all.connections >= self.limits.connections_max || held >= self.limits.connections_per_peer_max {
            return None;
        }
        Some(self.take(&mut books, peer, 0, 1))
    }

    /// Counts the bytes of a body until the lease is dropped; nothing if there are too many.
    pub(crate) fn reserve(&self, peer: B256, bytes: u64) -> Option<Lease> {
        let mut books = self.books.lock();
        let held = books.peers.get(&peer).map_or(0, |used| used.bytes);
        let fits = |used: u64, max: u64| used.checked_add(bytes).is_some_and(|sum| sum <= max);
        if !fits(books.all.bytes, self.limits.bytes_max) || !fits(held, self.limits.bytes_per_peer_max) {
            return None;
        }
        Some(self.take(&mut books, peer, bytes, 0))
    }

    fn take(&self, books: &mut Books, peer: B256, bytes: u64, connections: usize) -> Lease {
        books.all.bytes += bytes;
        books.all.connections += connections;
        let used = books.peers.entry(peer).or_default();
        used.bytes += bytes;
        used.connections += connections;
        Lease { books: self.books.clone(), peer, bytes, connections }
    }
}

/// A share that is in use until this is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    books: Arc<Mutex<Books>>,
    peer: B256,
    bytes: u64,
    connections: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut books = self.books.lock();
        books.all.bytes -= self.bytes;
        books.all.connections -= self.connections;
        if let Some(used) = books.peers.get_mut(&self.peer) {
            used.bytes -= self.bytes;
            used.connections -= self.connections;
            if used.bytes == 0 && used.connections == 0 {
                books.peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QuotaLimits =
        QuotaLimits { bytes_max: 100, bytes_per_peer_max: 40, connections_max: 3, connections_per_peer_max: 2 };

    fn peer(number: u8) -> B256 {
        B256::repeat_byte(number)
    }

    #[test]
    fn one_peer_cannot_take_the_share_of_others() {
        let quota = Quota::new(LIMITS);
        let _held = quota.reserve(peer(1), 40).unwrap();
        assert!(quota.reserve(peer(1), 1).is_none());
        assert!(quota.reserve(peer(2), 40).is_some());
    }

    #[test]
    fn the_total_is_bounded_and_comes_back() {
        let quota = Quota::new(LIMITS);
        let held: Vec<_> = (1..=3).filter_map(|number| quota.reserve(peer(number), 40)).collect();
        assert_eq!(held.len(), 2);
        drop(held);
        assert!(quota.reserve(peer(3), 40).is_some());
        assert!(quota.books.lock().peers.is_empty(), "idle peers cost nothing");
    }

    #[test]
    fn connections_are_bounded_by_peer_and_in_all() {
        let quota = Quota::new(LIMITS);
        let mut held: Vec<_> = (0..3).filter_map(|_| quota.connect(peer(1))).collect();
        assert_eq!(held.len(), 2);
        held.extend(quota.connect(peer(2)));
        assert!(quota.connect(peer(3)).is_none());
    }

    #[test]
    fn sums_do_not_overflow() {
        let quota = Quota::new(QuotaLimits { bytes_max: u64::MAX, bytes_per_peer_max: u64::MAX, ..LIMITS });
        let _held = quota.reserve(peer(1), 1).unwrap();
        assert!(quota.reserve(peer(1), u64::MAX).is_none());
    }
}
