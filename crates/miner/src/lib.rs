//! Hold fragments, answer audits, rebuild what is lost.
//!
//! A miner registers, pledges lots, and becomes a member of volumes. It takes fragments in on the account of a
//! territory's lease, signs that it holds them, follows the logs of its volumes, and serves what it holds. It knows the
//! chain only through [`client::chain::ChainApi`]: it runs no node.
//!
//! # Design
//! `staging` and `state` hold the rules, without one `async` in them; `follow` performs what they say about the
//! chain's events, `service` what they say about peers' requests. All that matters is in the [`store::Store`]: one
//! update carries a block's leaves, what becomes of its fragments, and the height, so that a kill at any moment costs
//! nothing but a repetition. What members owe stands in `docs/spec/miner.md`. [`idle`] fills what they pledged and do not
//! yet owe to anyone.

mod actor;
mod audit;
mod disown;
mod follow;
mod help;
pub mod idle;
mod notes;
mod pledges;
mod rebuild;
mod repair;
mod resync;
mod service;
mod setup;
mod sign;
mod space;
mod staging;
mod state;
mod views;

#[cfg(test)]
mod fixture;

pub use actor::{Miner, MinerError, MinerHandle};
pub use setup::{Keys, MinerConfig, RepairConfig};
