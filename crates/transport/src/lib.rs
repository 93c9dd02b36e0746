//! Move fragments between peers.
//!
//! A peer asks another through a [`Transport`] and answers through a [`Service`]. Fragments are verified while they
//! arrive: nobody is handed bytes that do not belong to the segment asked for. Peers are named by their ed25519 key and
//! dialled by [`types::Endpoint`]. `docs/spec/transport.md` draws the bytes.

#[cfg(test)]
mod contract;
pub mod fragment;
pub mod limits;
pub mod memory;
pub mod message;
pub mod quic;
mod quota;
mod transport;
mod verify;
pub mod wire;

pub use fragment::{Fragment, GroupHashes};
pub use memory::{MemoryNetwork, MemoryTransport};
pub use message::{
    Fetch, FragmentReply, LeavesQuery, MinerStatus, Refusal, RefusalReason, Request, Response, Sign, SignSegment,
    Stage, StageHeader, StatusQuery, VolumeStatus,
};
pub use quic::{IrohConfig, IrohTransport, Serving};
pub use transport::{FetchError, RequestError, Service, Transport, TransportError};
pub use verify::{FetchedFragment, Lie};
