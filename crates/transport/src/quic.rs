//! Carry requests over iroh: QUIC between ed25519 keys, by address, without relay or discovery unless configured.
//!
//! # Design
//! One connection per peer, one stream per request: streams do not block each other, and QUIC's flow control is the
//! back-pressure. A connection that breaks is dialled again, and the request is sent once more on it: every request may
//! be repeated without harm. Whoever is slower than [`PeerConfig::body_rate_min`] is cut off.

mod accept;
mod connections;
mod receive;

use crate::{
    config::{BindError, PeerConfig},
    message::{Request, Response},
    serve::Server,
    stream::{AskError, read_response},
    transport::{TransportError, answers},
    wire::Message,
};
use alloy_primitives::B256;
use connections::Connections;
use iroh::endpoint::{Connection, WriteError};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use types::Endpoint;

/// The QUIC side of a peer.
#[derive(Clone)]
pub(crate) struct Quic {
    pub(crate) endpoint: iroh::Endpoint,
    connections: Arc<Connections>,
}

impl Quic {
    pub(crate) async fn bind(secret_key: [u8; 32], bind: SocketAddr, config: &PeerConfig) -> Result<Self, BindError> {
        let endpoint = config.open_quic(secret_key, bind).await?;
        let connections = Arc::new(Connections::new(endpoint.clone(), config.connect_timeout));
        Ok(Self { endpoint, connections })
    }

    pub(crate) fn id(&self) -> B256 {
        B256::from(*self.endpoint.id().as_bytes())
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.endpoint.bound_sockets()
    }

    #[cfg(test)]
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.count()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.endpoint.is_closed()
    }

    pub(crate) async fn close(&self) {
        self.endpoint.close().await;
    }

    /// Takes connections in until it is closed.
    pub(crate) async fn accept(self, server: Arc<Server>) {
        accept::accept(self.endpoint, server).await;
    }

    /// Sends a request within the deadline, once more if the connection turns out to be dead.
    pub(crate) async fn request(
        &self,
        to: &Endpoint,
        request: &Request,
        message: &Message,
        deadline: Duration,
    ) -> Result<Response, TransportError> {
        let silent_since = self.connections.received(to.id());
        match tokio::time::timeout(deadline, self.exchange(to, request, message)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.connections.forget_if_silent(to.id(), silent_since);
                Err(TransportError::Deadline)
            }
        }
    }

    async fn exchange(&self, to: &Endpoint, request: &Request, message: &Message) -> Result<Response, TransportError> {
        let (connection, fresh) = self.connections.to(to).await?;
        match ask(&connection, request, message).await {
            Err(AskError::Connection(_)) if !fresh => {
                self.connections.forget(to.id(), &connection);
                let (connection, _) = self.connections.to(to).await?;
                ask(&connection, request, message).await.map_err(AskError::into_transport)
            }
            answer => answer.map_err(AskError::into_transport),
        }
    }
}

async fn ask(connection: &Connection, request: &Request, message: &Message) -> Result<Response, AskError> {
    let (mut send, mut receive) =
        connection.open_bi().await.map_err(|error| AskError::Connection(error.to_string()))?;
    let mut parts = [message.head.clone(), message.body.clone()];
    match send.write_all_chunks(&mut parts).await {
        Ok(()) => drop(send.finish()),
        // The peer has refused without reading on: its answer says why.
        Err(WriteError::Stopped(_)) => {}
        Err(error) => return Err(AskError::Connection(error.to_string())),
    }
    let response = read_response(&mut receive, request).await?;
    if answers(request, &response) { Ok(response) } else { Err(AskError::Final(TransportError::UnexpectedResponse)) }
}
