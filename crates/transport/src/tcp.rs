//! Carry requests over TCP with TLS 1.3 between ed25519 keys: half the work per byte of QUIC, for peers in the open.
//!
//! # Design
//! One request at a time on a connection, its answer behind it; several connections to a peer, kept while they are of
//! use. A receiver that refuses a body unread says so and hangs up after it. Messages are those of QUIC streams.

mod accept;
mod frame;
mod identity;

use crate::{
    config::PeerConfig,
    message::{Request, Response},
    serve::Server,
    stream::{AskError, StreamError, read_response},
    transport::{TransportError, answers},
    wire::Message,
};
use alloy_primitives::B256;
use frame::Frames;
use identity::Identity;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::{TlsConnector, TlsStream};
use types::Endpoint;

/// Connections to one peer, each for one request at a time.
const CONNECTIONS_PER_PEER_MAX: usize = 6;
/// Most peers to remember connections to.
const PEERS_MAX: usize = 4096;
/// How long a peer that could not be reached over TCP is left to QUIC.
const SHUNNED: Duration = Duration::from_secs(60);

type Stream = TlsStream<TcpStream>;

/// A connection that nothing is under way on.
struct Idle {
    read: Frames<ReadHalf<Stream>>,
    write: WriteHalf<Stream>,
    since: Instant,
}

/// What is known of one peer.
struct Peer {
    slots: Arc<Semaphore>,
    idle: Vec<Idle>,
    shunned_until: Option<Instant>,
}

impl Default for Peer {
    fn default() -> Self {
        let slots = Arc::new(Semaphore::new(CONNECTIONS_PER_PEER_MAX));
        Self { slots, idle: Vec::new(), shunned_until: None }
    }
}

/// The TCP side of a peer.
#[derive(Clone)]
pub(crate) struct Tcp {
    identity: Arc<Identity>,
    connector: TlsConnector,
    connect_timeout: Duration,
    idle_timeout: Duration,
    peers: Arc<Mutex<HashMap<B256, Peer>>>,
}

impl Tcp {
    pub(crate) fn new(secret_key: [u8; 32], config: &PeerConfig) -> Self {
        let identity = Arc::new(Identity::new(secret_key));
        let connector = TlsConnector::from(identity.client());
        let (connect_timeout, idle_timeout) = (config.connect_timeout, config.idle_timeout);
        Self { identity, connector, connect_timeout, idle_timeout, peers: Arc::default() }
    }

    /// Takes connections in until the task is dropped.
    pub(crate) async fn accept(self, listener: Arc<TcpListener>, server: Arc<Server>) {
        accept::accept(listener, self.identity.server(), server).await;
    }

    /// Whether a peer should be asked this way.
    pub(crate) fn suits(&self, to: &Endpoint) -> bool {
        let peers = self.peers.lock();
        let shunned_until = peers.get(&to.id()).and_then(|peer| peer.shunned_until);
        to.takes_tcp() && shunned_until.is_none_or(|until| until <= Instant::now())
    }

    /// Sends a request, once more if the connection that was kept turns out to be dead.
    pub(crate) async fn request(
        &self,
        to: &Endpoint,
        request: &Request,
        message: &Message,
    ) -> Result<Response, TransportError> {
        let _slot = self.slot(to.id()).await;
        while let Some(kept) = self.kept(to.id()) {
            match self.ask(to.id(), kept, request, message).await {
                Err(AskError::Connection(_)) => {}
                answer => return answer.map_err(AskError::into_transport),
            }
        }
        let fresh = self.dial(to).await?;
        self.ask(to.id(), fresh, request, message).await.map_err(AskError::into_transport)
    }

    /// Connections to a peer that wait for a request.
    #[cfg(test)]
    pub(crate) fn kept_count(&self, peer: B256) -> usize {
        self.peers.lock().get(&peer).map_or(0, |peer| peer.idle.len())
    }

    async fn slot(&self, peer: B256) -> OwnedSemaphorePermit {
        let slots = {
            let mut peers = self.peers.lock();
            if peers.len() >= PEERS_MAX && !peers.contains_key(&peer) {
                peers.retain(|_, peer| peer.slots.available_permits() < CONNECTIONS_PER_PEER_MAX);
            }
            peers.entry(peer).or_default().slots.clone()
        };
        slots.acquire_owned().await.expect("the semaphore is never closed")
    }

    /// The connection that was used last, if the peer has not hung up long ago.
    fn kept(&self, peer: B256) -> Option<Idle> {
        let mut peers = self.peers.lock();
        let idle = &mut peers.get_mut(&peer)?.idle;
        idle.retain(|idle| idle.since.elapsed() < self.idle_timeout);
        idle.pop()
    }

    /// Uses a connection; it is kept if the answer was complete, and closed whatever else happens, also if nobody waits
    /// for the answer any more.
    async fn ask(
        &self,
        peer: B256,
        mut idle: Idle,
        request: &Request,
        message: &Message,
    ) -> Result<Response, AskError> {
        let (response, reusable) = exchange(&mut idle, request, message).await?;
        if !answers(request, &response) {
            return Err(AskError::Final(TransportError::UnexpectedResponse));
        }
        if reusable {
            idle.since = Instant::now();
            if let Some(peer) = self.peers.lock().get_mut(&peer) {
                peer.idle.push(idle);
            }
        }
        Ok(response)
    }

    async fn dial(&self, to: &Endpoint) -> Result<Idle, TransportError> {
        let mut reason = String::from("no address");
        for address in to.addresses() {
            match tokio::time::timeout(self.connect_timeout, self.connect(*address, to.id())).await {
                Ok(Ok(stream)) => {
                    let (read, write) = tokio::io::split(stream);
                    return Ok(Idle { read: Frames::new(read), write, since: Instant::now() });
                }
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => reason = "no connection in time".into(),
            }
        }
        self.peers.lock().entry(to.id()).or_default().shunned_until = Some(Instant::now() + SHUNNED);
        Err(TransportError::Unreachable(reason))
    }

    async fn connect(&self, address: SocketAddr, id: B256) -> std::io::Result<Stream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsStream::from(self.connector.connect(address.ip().into(), stream).await?);
        match identity::peer(&stream) {
            Some(peer) if peer == id => Ok(stream),
            _ => Err(std::io::Error::other("the peer has another key")),
        }
    }
}

/// Sends and receives at the same time: a refusal may come before the body is sent. Says whether another request may
/// follow.
async fn exchange(idle: &mut Idle, request: &Request, message: &Message) -> Result<(Response, bool), StreamError> {
    let (read, write) = (&mut idle.read, &mut idle.write);
    let sending = async {
        write.write_all(&message.head).await?;
        write.write_all(&message.body).await?;
        write.flush().await
    };
    let receiving = read_response(read, request);
    tokio::pin!(sending, receiving);
    tokio::select! {
        biased;
        sent = &mut sending => {
            // If the peer has hung up, its last words say why.
            let response = receiving.await?;
            // A refused fragment was perhaps not read, and the connection ends then.
            let ends = matches!((request, &response), (Request::Stage(_), Response::Refused(_)));
            Ok((response, sent.is_ok() && !ends))
        }
        response = &mut receiving => Ok((response?, false)),
    }
}
