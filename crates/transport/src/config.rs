//! Choose the limits of a peer on the network.

use crate::{limits::FRAGMENT_BYTES_MAX, quota::QuotaLimits, wire::ALPN};
use iroh::{
    RelayMode, RelayUrl, SecretKey,
    endpoint::{IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets},
};
use std::{net::SocketAddr, time::Duration};

/// Bytes in flight on one stream: a fragment of 2 MiB never waits for credit.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// Bytes in flight on one connection: 1 Gbit/s over 130 ms.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The transport cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken or not ours.
    #[error("cannot bind {address}: {reason}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The relay's URL is none.
    #[error("not a relay URL: {0}")]
    Relay(String),
}

/// Limits and addresses of an [`PeerTransport`](crate::PeerTransport).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Relay to be reached through, a URL; none by default.
    pub relay: Option<String>,
    /// Whether to take in TCP with TLS as well, on the same port: half the work per byte, where nothing is in the way.
    pub tcp: bool,
    /// Longest fragment to take in: the chain's slot.
    pub fragment_bytes_max: u64,
    /// Longest time until a connection is up.
    pub connect_timeout: Duration,
    /// A connection without a sign of life is given up after this.
    pub idle_timeout: Duration,
    /// Longest time until a request's header is here.
    pub header_timeout: Duration,
    /// Longest time to work on a request.
    pub handle_timeout: Duration,
    /// Slowest peer that is served, bytes per second of a body.
    pub body_rate_min: u64,
    /// Requests of one connection that are worked on at the same time; more wait at the peer.
    pub requests_per_connection_max: u32,
    /// Connections to serve.
    pub connections_max: usize,
    /// Connections of one peer to serve.
    pub connections_per_peer_max: usize,
    /// Bytes of fragments in memory, of all peers that are served.
    pub bytes_in_flight_max: u64,
    /// Bytes of fragments in memory, of one peer that is served.
    pub bytes_in_flight_per_peer_max: u64,
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            relay: None,
            tcp: false,
            fragment_bytes_max: 2 << 20,
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(15),
            header_timeout: Duration::from_secs(5),
            handle_timeout: Duration::from_secs(60),
            body_rate_min: 64 << 10,
            requests_per_connection_max: 32,
            connections_max: 1024,
            connections_per_peer_max: 12,
            bytes_in_flight_max: 256 << 20,
            bytes_in_flight_per_peer_max: 64 << 20,
        }
    }
}

impl PeerConfig {
    /// Longest fragment to take in, whatever was configured.
    pub(crate) fn fragment_bytes_max(&self) -> u64 {
        self.fragment_bytes_max.min(FRAGMENT_BYTES_MAX)
    }

    /// Time that a body of this length may take.
    pub(crate) fn body_timeout(&self, bytes: u64) -> Duration {
        self.header_timeout + Duration::from_secs(bytes / self.body_rate_min.max(1))
    }

    pub(crate) fn quota_limits(&self) -> QuotaLimits {
        QuotaLimits {
            bytes_max: self.bytes_in_flight_max,
            bytes_per_peer_max: self.bytes_in_flight_per_peer_max,
            connections_max: self.connections_max,
            connections_per_peer_max: self.connections_per_peer_max,
        }
    }

    pub(crate) async fn open_quic(&self, secret_key: [u8; 32], bind: SocketAddr) -> Result<iroh::Endpoint, BindError> {
        let failed = |reason: String| BindError::Address { address: bind, reason };
        iroh::Endpoint::builder(presets::Minimal)
            .relay_mode(self.relay_mode()?)
            .portmapper_config(PortmapperConfig::Disabled)
            .secret_key(SecretKey::from_bytes(&secret_key))
            .alpns(vec![ALPN.to_vec()])
            .transport_config(self.quic())
            .clear_ip_transports()
            .bind_addr(bind)
            .map_err(|error| failed(error.to_string()))?
            .bind()
            .await
            .map_err(|error| failed(error.to_string()))
    }

    fn relay_mode(&self) -> Result<RelayMode, BindError> {
        match &self.relay {
            None => Ok(RelayMode::Disabled),
            Some(url) => {
                let relay: RelayUrl = url.parse().map_err(|_| BindError::Relay(url.clone()))?;
                Ok(RelayMode::custom([relay]))
            }
        }
    }

    fn quic(&self) -> QuicTransportConfig {
        let idle_ms = u32::try_from(self.idle_timeout.as_millis()).unwrap_or(u32::MAX);
        QuicTransportConfig::builder()
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
            .max_concurrent_bidi_streams(VarInt::from_u32(self.requests_per_connection_max))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
            .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
            .send_window(u64::from(CONNECTION_WINDOW_BYTES))
            .build()
    }
}
