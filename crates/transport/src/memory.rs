//! Carry requests within one process, with faults on demand, for tests and simulation.
//!
//! Requests and responses go through the same encoding and the same verification as over a network, so limits and lies
//! behave alike. Nothing here draws randomness or reads a clock but tokio's, which tests can pause.
//!
//! # Example
//! ```
//! # use alloy_primitives::B256;
//! use std::time::Duration;
//! use transport::{MemoryNetwork, StatusQuery, Transport, memory::{Behaviour, Faults}};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let network = MemoryNetwork::new();
//! let (alice, bob) = (network.join(B256::repeat_byte(1)), network.join(B256::repeat_byte(2)));
//! network.set_faults(bob.id(), Faults { behaviour: Behaviour::Stall, ..Faults::default() });
//! let answer = alice.status(&bob.endpoint(), StatusQuery::default(), Duration::from_secs(5)).await;
//! assert!(answer.is_err());
//! # }
//! ```

use crate::{
    message::{FragmentReply, Request, Response, Stage},
    transport::{Service, Transport, TransportError, answers},
    verify::Claim,
    wire::{
        Message, PREFIX_BYTES, RequestHead, ResponseHead, WireError, decode_prefix, decode_request, decode_response,
        encode_request, encode_response,
    },
};
use alloy_primitives::B256;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;
use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};
use types::Endpoint;

/// What a peer does to the requests it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers.
    #[default]
    Honest,
    /// Cannot be reached.
    Gone,
    /// The request takes effect, its answer is lost.
    LoseAnswer,
    /// Never answers; the request takes no effect.
    Stall,
    /// Answers wrongly: says that it staged what it threw away, changes one bit of fragments, signatures and leaves.
    Lie,
}

/// The faults of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Time that every answer takes.
    pub latency: Duration,
    /// What else goes wrong.
    pub behaviour: Behaviour,
}

#[derive(Default)]
struct Peer {
    service: Option<Arc<dyn Service>>,
    faults: Faults,
}

/// A network within this process.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    peers: Arc<RwLock<HashMap<B256, Peer>>>,
}

impl MemoryNetwork {
    /// An empty network.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a peer, or gives another handle of one that is there.
    pub fn join(&self, id: B256) -> MemoryTransport {
        self.peers.write().entry(id).or_default();
        MemoryTransport { network: self.clone(), id }
    }

    /// Where a peer is reached; the address in it means nothing.
    pub fn endpoint(id: B256) -> Endpoint {
        Endpoint::new(id, vec![SocketAddr::from(([127, 0, 0, 1], 1))], None).expect("one address is within limits")
    }

    /// Sets what a peer does from now on.
    pub fn set_faults(&self, id: B256, faults: Faults) {
        self.peers.write().entry(id).or_default().faults = faults;
    }

    /// Sets how a peer behaves from now on, and leaves its latency.
    pub fn set_behaviour(&self, id: B256, behaviour: Behaviour) {
        self.peers.write().entry(id).or_default().faults.behaviour = behaviour;
    }

    fn peer(&self, id: B256) -> Option<(Arc<dyn Service>, Faults)> {
        let peers = self.peers.read();
        let peer = peers.get(&id)?;
        Some((peer.service.clone()?, peer.faults))
    }
}

/// One peer's side of a [`MemoryNetwork`].
#[derive(Clone)]
pub struct MemoryTransport {
    network: MemoryNetwork,
    id: B256,
}

impl MemoryTransport {
    /// The peer's key.
    pub fn id(&self) -> B256 {
        self.id
    }

    /// Where others reach this peer.
    pub fn endpoint(&self) -> Endpoint {
        MemoryNetwork::endpoint(self.id)
    }

    /// Answers requests with `service` from now on.
    pub fn serve(&self, service: Arc<dyn Service>) {
        self.network.peers.write().entry(self.id).or_default().service = Some(service);
    }

    /// Answers no more.
    pub fn stop(&self) {
        if let Some(peer) = self.network.peers.write().get_mut(&self.id) {
            peer.service = None;
        }
    }

    async fn deliver(&self, to: B256, message: Message, request: &Request) -> Result<Response, TransportError> {
        let Some((service, faults)) = self.network.peer(to) else {
            return Err(TransportError::Unreachable("nobody answers there".into()));
        };
        match faults.behaviour {
            Behaviour::Gone => return Err(TransportError::Unreachable("the peer is gone".into())),
            Behaviour::Stall => return std::future::pending().await,
            _ => tokio::time::sleep(faults.latency).await,
        }
        let answer = match (faults.behaviour, request) {
            (Behaviour::Lie, Request::Stage(_)) => Response::Staged,
            _ => handle(&*service, self.id, message).await,
        };
        match faults.behaviour {
            Behaviour::LoseAnswer => Err(TransportError::Broken("the answer was lost".into())),
            Behaviour::Lie => receive(encode_response(&falsify(answer)).map_err(malformed)?, request),
            _ => receive(encode_response(&answer).map_err(malformed)?, request),
        }
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn local_id(&self) -> B256 {
        self.id
    }

    async fn request(&self, to: &Endpoint, request: Request, deadline: Duration) -> Result<Response, TransportError> {
        let message = encode_request(&request).map_err(|WireError(why)| TransportError::InvalidRequest(why))?;
        let delivery = self.deliver(to.id(), message, &request);
        tokio::time::timeout(deadline, delivery).await.unwrap_or(Err(TransportError::Deadline))
    }
}

fn malformed(WireError(why): WireError) -> TransportError {
    TransportError::Malformed(why)
}

fn split(message: &Message) -> Result<(u8, &[u8]), WireError> {
    let (prefix, header) = message.head.split_first_chunk::<PREFIX_BYTES>().ok_or(WireError("no prefix"))?;
    let (kind, _) = decode_prefix(*prefix)?;
    Ok((kind, header))
}

/// The receiving side of a request.
async fn handle(service: &dyn Service, from: B256, message: Message) -> Response {
    let head = split(&message).and_then(|(kind, header)| decode_request(kind, header));
    match head.expect("what was just encoded decodes") {
        RequestHead::Complete(request) => service.handle(from, request).await,
        RequestHead::Stage(header) => match service.admit(from, &header).await {
            Ok(()) => service.handle(from, Request::Stage(Stage { header, fragment: message.body.into() })).await,
            Err(refusal) => refusal.into(),
        },
    }
}

/// The receiving side of a response.
fn receive(message: Message, request: &Request) -> Result<Response, TransportError> {
    let (kind, header) = split(&message).map_err(malformed)?;
    let response = match decode_response(kind, header).map_err(malformed)? {
        ResponseHead::Complete(response) => response,
        ResponseHead::Fragment(claim) => Response::Fragment(reply(claim, message.body)),
    };
    if !answers(request, &response) {
        return Err(TransportError::UnexpectedResponse);
    }
    if let (Some(fetch), Response::Fragment(reply)) = (request.wanted(), &response) {
        reply.verify(&fetch)?;
    }
    Ok(response)
}

fn reply(claim: Claim, bytes: Bytes) -> FragmentReply {
    let Claim { profile, length, proof, groups, offset, .. } = claim;
    FragmentReply { profile, length, proof, groups, offset, bytes }
}

fn falsify(mut answer: Response) -> Response {
    match &mut answer {
        Response::Fragment(reply) => {
            let mut bytes = BytesMut::from(&reply.bytes[..]);
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            reply.bytes = bytes.freeze();
        }
        Response::Signature(signature) => signature[95] ^= 1,
        Response::Leaves(leaves) => leaves.iter_mut().for_each(|leaf| leaf.territory ^= 1),
        Response::Status(status) => status.free_bytes = u64::MAX,
        Response::Staged | Response::Acknowledged | Response::Refused(_) => {}
    }
    answer
}

#[cfg(test)]
mod tests;
