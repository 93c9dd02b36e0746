//! Bound what clients may ask of a server.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// Where a server listens, and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcConfig {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Most connections at a time.
    pub connections_max: u32,
    /// Longest request, or batch of requests.
    pub request_bytes_max: u32,
    /// Longest response, or batch of responses.
    pub response_bytes_max: u32,
    /// Most requests of a batch.
    pub batch_max: u32,
    /// Most subscriptions of a WebSocket connection.
    pub subscriptions_per_connection_max: u32,
    /// Most filters of all clients together.
    pub filters_max: usize,
    /// How long a filter lives without being asked.
    pub filter_expiry_ms: u64,
    /// Most calls and estimates that run at a time; others queue.
    pub calls_max: usize,
    /// Most clients that wait for a block or a receipt.
    pub waits_max: usize,
}

impl RpcConfig {
    /// The default limits at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connections_max: 1_000,
            request_bytes_max: 15 << 20,
            response_bytes_max: 64 << 20,
            batch_max: 1_000,
            subscriptions_per_connection_max: 128,
            filters_max: 1_024,
            filter_expiry_ms: 5 * 60_000,
            calls_max: 8,
            waits_max: 1_024,
        }
    }
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self::new((Ipv4Addr::LOCALHOST, 8545).into())
    }
}
