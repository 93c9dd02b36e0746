//! Keep one connection to each peer, and dial again when it is gone.

use crate::{transport::TransportError, wire::ALPN};
use alloy_primitives::B256;
use iroh::{EndpointAddr, EndpointId, RelayUrl, endpoint::Connection};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use types::Endpoint;

/// Most peers to stay connected to; the connections of others are closed.
const PEERS_MAX: usize = 4096;

/// The way to one peer. The lock is held while dialling, so that many requests make one connection.
type Way = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
struct Peer {
    connection: Option<Connection>,
    dialling: Way,
}

pub(super) struct Connections {
    endpoint: iroh::Endpoint,
    connect_timeout: Duration,
    peers: Mutex<HashMap<B256, Peer>>,
}

impl Connections {
    pub(super) fn new(endpoint: iroh::Endpoint, connect_timeout: Duration) -> Self {
        Self { endpoint, connect_timeout, peers: Mutex::default() }
    }

    /// A connection, and whether it was made just now.
    pub(super) async fn to(&self, peer: &Endpoint) -> Result<(Connection, bool), TransportError> {
        if let Some(connection) = self.live(peer.id()) {
            return Ok((connection, false));
        }
        let dialling = self.way(peer.id());
        let _alone = dialling.lock().await;
        if let Some(connection) = self.live(peer.id()) {
            return Ok((connection, false));
        }
        let connection = self.dial(peer).await?;
        self.peers.lock().entry(peer.id()).or_default().connection = Some(connection.clone());
        Ok((connection, true))
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.peers.lock().values().filter(|peer| peer.connection.is_some()).count()
    }

    fn live(&self, peer: B256) -> Option<Connection> {
        let peers = self.peers.lock();
        let connection = peers.get(&peer)?.connection.as_ref()?;
        connection.close_reason().is_none().then(|| connection.clone())
    }

    fn way(&self, peer: B256) -> Way {
        let mut peers = self.peers.lock();
        if peers.len() >= PEERS_MAX && !peers.contains_key(&peer) {
            peers.retain(|_, peer| peer.connection.as_ref().is_some_and(|c| c.close_reason().is_none()));
            // All alive: any one must go. Requests on it end; its handle is in their hands.
            let victim = peers.keys().next().copied().filter(|_| peers.len() >= PEERS_MAX);
            victim.and_then(|victim| peers.remove(&victim));
        }
        peers.entry(peer).or_default().dialling.clone()
    }

    async fn dial(&self, peer: &Endpoint) -> Result<Connection, TransportError> {
        let address = address(peer).map_err(|why| TransportError::Unreachable(why.into()))?;
        match tokio::time::timeout(self.connect_timeout, self.endpoint.connect(address, ALPN)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(TransportError::Unreachable(error.to_string())),
            Err(_) => Err(TransportError::Unreachable("no connection in time".into())),
        }
    }

    /// Uses this connection no more, unless another has taken its place.
    pub(super) fn forget(&self, peer: B256, connection: &Connection) {
        if let Some(peer) = self.peers.lock().get_mut(&peer) {
            let same = peer.connection.as_ref().is_some_and(|kept| kept.stable_id() == connection.stable_id());
            peer.connection.take_if(|_| same);
        }
    }

    /// Datagrams that the connection to a peer has brought so far.
    pub(super) fn received(&self, peer: B256) -> u64 {
        self.live(peer).map_or(0, |connection| connection.stats().udp_rx.datagrams)
    }

    /// Drops a connection on which nothing came since `received` was read: the peer is probably gone, and the next
    /// request should not wait for the idle timeout to find out.
    pub(super) fn forget_if_silent(&self, peer: B256, received: u64) {
        if let Some(connection) = self.live(peer)
            && connection.stats().udp_rx.datagrams <= received
        {
            self.forget(peer, &connection);
        }
    }
}

fn address(peer: &Endpoint) -> Result<EndpointAddr, &'static str> {
    let id = EndpointId::from_bytes(&peer.id().0).map_err(|_| "the peer's id is no ed25519 key")?;
    let mut address = peer.addresses().iter().fold(EndpointAddr::new(id), |to, ip| to.with_ip_addr(*ip));
    if let Some(relay) = peer.relay() {
        let relay: RelayUrl = relay.parse().map_err(|_| "the peer's relay is no URL")?;
        address = address.with_relay_url(relay);
    }
    Ok(address)
}
