//! Reach peers on the network: over TCP where they take it, else over QUIC.

use crate::{
    config::{BindError, PeerConfig},
    message::{Request, Response},
    quic::Quic,
    serve::{Server, Serving},
    tcp::Tcp,
    transport::{Service, Transport, TransportError},
    wire::{WireError, encode_request},
};
use alloy_primitives::B256;
use async_trait::async_trait;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use types::{
    Endpoint,
    endpoint::{ADDRESSES_MAX, EndpointError},
};

/// Attempts at a port that is free for UDP and TCP.
const BIND_ATTEMPTS: usize = 8;

/// A peer on the network.
#[derive(Clone)]
pub struct PeerTransport {
    quic: Quic,
    tcp: Tcp,
    listener: Option<Arc<TcpListener>>,
    config: Arc<PeerConfig>,
}

impl PeerTransport {
    /// Opens sockets at `bind` (port 0 for any) under the ed25519 key `secret_key`.
    pub async fn bind(secret_key: [u8; 32], bind: SocketAddr, config: PeerConfig) -> Result<Self, BindError> {
        let tcp = Tcp::new(secret_key, &config);
        let attempts = if bind.port() == 0 { BIND_ATTEMPTS } else { 1 };
        let mut attempt = 1;
        let (quic, listener) = loop {
            let quic = Quic::bind(secret_key, bind, &config).await?;
            if !config.tcp {
                break (quic, None);
            }
            let address = quic.addresses().first().copied().unwrap_or(bind);
            match TcpListener::bind(address).await {
                Ok(listener) => break (quic, Some(Arc::new(listener))),
                Err(error) if attempt == attempts => {
                    return Err(BindError::Address { address, reason: error.to_string() });
                }
                Err(_) => attempt += 1,
            }
            quic.close().await;
        };
        Ok(Self { quic, tcp, listener, config: Arc::new(config) })
    }

    /// The addresses that are bound, with the port chosen by the system.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.quic.addresses()
    }

    /// Where peers on this machine or network reach this side, if it is bound to an address of its own.
    pub fn local_endpoint(&self) -> Result<Endpoint, EndpointError> {
        let mut addresses = self.local_addresses();
        addresses.retain(|address| !address.ip().is_unspecified());
        addresses.truncate(ADDRESSES_MAX);
        let endpoint = Endpoint::new(self.local_id(), addresses, self.config.relay.clone())?;
        Ok(endpoint.with_tcp(self.config.tcp))
    }

    /// Answers requests with `service` until the handle is dropped.
    pub fn serve(&self, service: Arc<dyn Service>) -> Serving {
        let server = Arc::new(Server::new(service, self.config.clone()));
        let mut tasks = JoinSet::new();
        if let Some(listener) = &self.listener {
            tasks.spawn(self.tcp.clone().accept(listener.clone(), server.clone()));
        }
        tasks.spawn(self.quic.clone().accept(server));
        Serving::new(tasks)
    }

    /// Closes all connections and the sockets.
    pub async fn close(&self) {
        self.quic.close().await;
    }
}

#[async_trait]
impl Transport for PeerTransport {
    fn local_id(&self) -> B256 {
        self.quic.id()
    }

    async fn request(&self, to: &Endpoint, request: Request, deadline: Duration) -> Result<Response, TransportError> {
        if self.quic.is_closed() {
            return Err(TransportError::Closed);
        }
        let message = encode_request(&request).map_err(|WireError(why)| TransportError::InvalidRequest(why))?;
        let until = Instant::now() + deadline;
        if self.tcp.suits(to) {
            match tokio::time::timeout_at(until, self.tcp.request(to, &request, &message)).await {
                Ok(Err(TransportError::Unreachable(reason))) => {
                    tracing::debug!(peer = %to.id(), reason, "not over TCP: trying QUIC");
                }
                Ok(answer) => return answer,
                Err(_) => return Err(TransportError::Deadline),
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        self.quic.request(to, &request, &message, left).await
    }
}

#[cfg(test)]
mod tests;
