//! Agree on blocks and persist them.
//!
//! A validator is a set of actors of the consensus library around one [`application`]: it builds blocks from the pool,
//! re-executes those of others, and hands what is final to the [`indexer`], which feeds archive and pool. Everything
//! but [`network`] and [`validator`] runs under any runtime, so that a seed replays a whole committee.

mod application;
mod block;
pub mod ceremony;
#[cfg(any(test, feature = "simulation"))]
pub mod committee;
#[cfg(any(test, feature = "simulation"))]
pub mod dealer;
mod engine;
mod epochs;
mod gossip;
mod identity;
mod indexer;
mod network;
mod node;
mod proof;
mod seat;
mod seeds;
mod state;
#[cfg(test)]
mod tests;
mod validator;
mod wall;

pub use identity::identity;
pub use node::{CertificateError, Node, NodeStatus, ProveError, SubmitError};
pub use validator::{RunError, ValidatorConfig, run};
