//! Advance the network: territories, volumes, audits, rewards, staking.
//!
//! Modules are called like contracts at fixed addresses, through the interfaces of `contracts/Cess.sol`. They see the
//! world through a [`Ledger`]; whoever executes blocks implements it.
//!
//! # Invariants
//! No virtual machine, no async, no clock, no entropy, no float, no panic. All state is slots of the module's own
//! account. No work grows with the number of accounts, miners or stripes but by its logarithm, and all of it is paid for.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod call;
#[cfg(test)]
mod fixture;
mod internal;
mod ledger;
mod math;
mod storage;

pub mod audits;
pub mod buckets;
pub mod memory;
pub mod miners;
pub mod policies;
pub mod territories;
pub mod volumes;

pub use call::Module;
pub use internal::SYSTEM;
pub use ledger::{BlockFacts, Error, Fault, Ledger, Result, hash_gas, words};
pub(crate) use math::Checked;
pub(crate) use storage::layout;
/// Reverts that every module may answer with.
pub use types::abi::IModule as errors;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use std::collections::BTreeMap;
use types::{Beacon, abi, spec::StorageSpec, state::StateKey};

/// The placement policy of whoever chooses none: whoever pledged lots, wherever, under the caps of public policies.
pub const PUBLIC_POLICY: u32 = 0;

/// All modules of this protocol version.
pub fn modules(spec: &StorageSpec) -> BTreeMap<Address, Box<dyn Module>> {
    BTreeMap::from([
        (abi::TERRITORIES, Box::new(territories::Territories::new(spec)) as Box<dyn Module>),
        (abi::MINERS, Box::new(miners::Miners::new(spec))),
        (abi::VOLUMES, Box::new(volumes::Volumes::new(spec))),
        (abi::BUCKETS, Box::new(buckets::Buckets::new(spec))),
        (abi::AUDITS, Box::new(audits::Audits::new(spec))),
        (abi::POLICIES, Box::new(policies::Policies::new(spec))),
    ])
}

/// The call that [`SYSTEM`] makes at the start of every block, with the beacon if the header brings one. It reverts
/// never.
pub fn begin_block_input(beacon: Option<&Beacon>) -> (Address, Bytes) {
    let call = match beacon {
        Some(Beacon { epoch, view, seed }) => {
            internal::IBlockHook::beginBlockCall { epoch: *epoch, view: *view, seed: seed.clone() }
        }
        None => internal::IBlockHook::beginBlockCall { epoch: 0, view: 0, seed: Bytes::new() },
    };
    (abi::VOLUMES, call.abi_encode().into())
}

/// Where state says which view's seed it waits for.
pub fn beacon_target_slot() -> StateKey {
    StateKey::Slot(abi::VOLUMES, volumes::target_position())
}

/// Epoch and view of the seed that [`beacon_target_slot`] waits for, if it waits for one.
pub fn decode_beacon_target(word: U256) -> Option<(u64, u64)> {
    volumes::target(word)
}

#[cfg(test)]
mod tests;
