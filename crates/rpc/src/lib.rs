//! Serve the chain to wallets and tools.
//!
//! Ethereum's JSON-RPC (`eth_*`, `net_*`, `web3_*`) and the network's own methods (`cess_*`), over HTTP and WebSocket on
//! one port. Everything here reads the archive, the pool and the executor; what needs a running validator goes through
//! [`Node`]. Blocks are final when they are seen, so `latest`, `safe`, `finalized` and `pending` name the same block.
//!
//! The methods and their limits are listed in `docs/spec/rpc.md`.

mod cess;
mod config;
mod error;
mod eth;
mod filters;
mod history;
mod node;
mod server;
mod service;
mod shapes;
mod web3;

pub use cess::{
    Certificate, MinerEndpoint, MinerEntry, MinerPage, ProofKey, Status, StripeEntry, StripePage, VolumeEntry,
    VolumePage,
};
pub use config::RpcConfig;
pub use error::codes;
pub use node::{Node, NodeStatus, SubmitError};
pub use server::{RpcHandle, ServeError, serve};
