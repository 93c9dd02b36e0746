//! Hold transactions until a block takes them.
//!
//! The pool is a state machine without I/O: accounts, blocks and the time come in as arguments. A transaction is offered
//! to a block only when every lower nonce of its sender is, when its fee covers the base fee, and the best payer goes
//! first. See `docs/spec/mempool.md` for the rules.
//!
//! # Invariants
//! - A sender's offered transactions have consecutive nonces from the account's nonce on.
//! - Neither the count nor the bytes of [`MempoolConfig`] are ever exceeded, in total and per sender.
//! - Eviction takes a sender's highest nonce first, so it never opens a gap.

mod best;
mod check;
mod config;
mod error;
mod handle;
mod pool;
mod ranking;
mod sender;

pub use best::Best;
pub use config::MempoolConfig;
pub use error::PoolError;
pub use handle::Mempool;
pub use pool::{Added, Placement, PoolStatus};

#[cfg(test)]
mod fixture;
