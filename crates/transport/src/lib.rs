//! Move fragments between peers.
//!
//! A peer asks another through a [`Transport`] and answers through a [`Service`]. Fragments are verified while they
//! arrive: nobody is handed bytes that do not belong to the segment asked for. Peers are named by their ed25519 key and
//! dialled by [`types::Endpoint`]. `docs/spec/transport.md` draws the bytes.

mod config;
#[cfg(test)]
mod contract;
pub mod fragment;
pub mod limits;
pub mod memory;
pub mod message;
mod peer;
mod quic;
mod quota;
mod serve;
mod stream;
mod tcp;
mod transport;
mod verify;
pub mod wire;

pub use config::{BindError, PeerConfig};
pub use fragment::{Fragment, GroupHashes};
pub use memory::{MemoryNetwork, MemoryTransport};
pub use message::{
    Acknowledge, Disown, Fetch, FragmentReply, LeavesQuery, MinerStatus, Rebuild, Refusal, RefusalReason, Request,
    Response, Sign, SignSegment, Stage, StageHeader, StatusQuery, VolumeStatus,
};
pub use peer::PeerTransport;
pub use serve::Serving;
pub use transport::{FetchError, RequestError, Service, Transport, TransportError};
pub use verify::{FetchedFragment, Lie};
