//! Carry requests over iroh: QUIC between ed25519 keys, by address, without relay or discovery unless configured.
//!
//! # Design
//! One connection per peer, one stream per request: streams do not block each other, and QUIC's flow control is the
//! back-pressure. A connection that breaks is dialled again, and the request is sent once more on it: every request may
//! be repeated without harm. Whoever is slower than [`IrohConfig::body_rate_min`] is cut off.

mod config;
mod connections;
mod server;
mod stream;

pub use config::IrohConfig;
pub use server::Serving;

use crate::{
    message::{Request, Response},
    transport::{Service, Transport, TransportError, answers},
    verify::CheckedClaim,
    wire::{Message, ResponseHead, WireError, decode_response, encode_request},
};
use alloy_primitives::B256;
use async_trait::async_trait;
use connections::Connections;
use iroh::endpoint::{Connection, RecvStream, WriteError};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use stream::{StreamError, read_body, read_end, read_head};
use types::{
    Endpoint,
    endpoint::{ADDRESSES_MAX, EndpointError},
};

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

/// A peer on the network.
#[derive(Clone)]
pub struct IrohTransport {
    endpoint: iroh::Endpoint,
    connections: Arc<Connections>,
    config: Arc<IrohConfig>,
}

impl IrohTransport {
    /// Opens a socket at `bind` (port 0 for any) under the key `secret_key`.
    pub async fn bind(secret_key: [u8; 32], bind: SocketAddr, config: IrohConfig) -> Result<Self, BindError> {
        let endpoint = config.open(secret_key, bind).await?;
        let connections = Arc::new(Connections::new(endpoint.clone(), config.connect_timeout));
        Ok(Self { endpoint, connections, config: Arc::new(config) })
    }

    /// The addresses that are bound, with the port chosen by the system.
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.endpoint.bound_sockets()
    }

    /// Where peers on this machine or network reach this side, if it is bound to an address of its own.
    pub fn local_endpoint(&self) -> Result<Endpoint, EndpointError> {
        let mut addresses = self.local_addresses();
        addresses.retain(|address| !address.ip().is_unspecified());
        addresses.truncate(ADDRESSES_MAX);
        Endpoint::new(self.local_id(), addresses, self.config.relay.clone())
    }

    /// Answers requests with `service` until the handle is dropped.
    pub fn serve(&self, service: Arc<dyn Service>) -> Serving {
        server::serve(self.endpoint.clone(), service, self.config.clone())
    }

    /// Closes all connections and the socket.
    pub async fn close(&self) {
        self.endpoint.close().await;
    }

    /// Sends a request, once more if the connection turns out to be dead.
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

#[async_trait]
impl Transport for IrohTransport {
    fn local_id(&self) -> B256 {
        B256::from(*self.endpoint.id().as_bytes())
    }

    async fn request(&self, to: &Endpoint, request: Request, deadline: Duration) -> Result<Response, TransportError> {
        if self.endpoint.is_closed() {
            return Err(TransportError::Closed);
        }
        let message = encode_request(&request).map_err(|WireError(why)| TransportError::InvalidRequest(why))?;
        let silent_since = self.connections.received(to.id());
        match tokio::time::timeout(deadline, self.exchange(to, &request, &message)).await {
            Ok(answer) => answer,
            Err(_) => {
                self.connections.forget_if_silent(to.id(), silent_since);
                Err(TransportError::Deadline)
            }
        }
    }
}

/// Why one attempt brought nothing.
enum AskError {
    /// The connection is gone; another may do.
    Connection(String),
    /// No other connection would help.
    Final(TransportError),
}

impl AskError {
    fn into_transport(self) -> TransportError {
        match self {
            Self::Connection(reason) => TransportError::Broken(reason),
            Self::Final(error) => error,
        }
    }
}

impl From<StreamError> for AskError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Connection(reason) => Self::Connection(reason),
            StreamError::Reset => Self::Final(TransportError::Broken("the peer abandoned the stream".into())),
            StreamError::Malformed(why) => Self::Final(TransportError::Malformed(why)),
            StreamError::Lied(lie) => Self::Final(lie.into()),
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

async fn read_response(receive: &mut RecvStream, request: &Request) -> Result<Response, StreamError> {
    let (kind, header) = read_head(receive).await?;
    match decode_response(kind, &header).map_err(|WireError(why)| StreamError::Malformed(why))? {
        ResponseHead::Complete(response) => {
            read_end(receive).await?;
            Ok(response)
        }
        ResponseHead::Fragment(claim) => {
            let Request::Fetch(fetch) = request else {
                return Err(StreamError::Malformed("a fragment that nobody asked for"));
            };
            read_fragment(receive, claim.check(fetch)?).await
        }
    }
}

async fn read_fragment(receive: &mut RecvStream, claim: CheckedClaim) -> Result<Response, StreamError> {
    let check = |position, group: &[u8]| claim.check_group(position, group).map_err(StreamError::Lied);
    let bytes = read_body(receive, claim.byte_count(), check).await?;
    Ok(Response::Fragment(claim.into_reply(bytes)))
}

#[cfg(test)]
mod tests;
