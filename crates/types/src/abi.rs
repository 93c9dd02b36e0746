//! Speak to the protocol's modules: the interfaces of `contracts/Cess.sol`, and where they live.

// Events have as many fields as they need.
#![allow(clippy::too_many_arguments)]

use alloy_primitives::{Address, address};

alloy_sol_types::sol! {
    #![sol(all_derives)]
    "../../contracts/Cess.sol"
}

/// Buys and accounts for space.
pub const TERRITORIES: Address = address!("000000000000000000000000000000000000ce01");
/// Registers miners and their lots.
pub const MINERS: Address = address!("000000000000000000000000000000000000ce02");
/// Forms volumes and keeps their logs.
pub const VOLUMES: Address = address!("000000000000000000000000000000000000ce03");
/// Keeps the roots of buckets.
pub const BUCKETS: Address = address!("000000000000000000000000000000000000ce04");
/// Audits what miners hold, pays and fines them.
pub const AUDITS: Address = address!("000000000000000000000000000000000000ce05");
/// Keeps placement policies.
pub const POLICIES: Address = address!("000000000000000000000000000000000000ce06");

/// Every module's address, in order.
pub const MODULES: [Address; 6] = [TERRITORIES, MINERS, VOLUMES, BUCKETS, AUDITS, POLICIES];

/// Most stripes in one batch of a commit.
pub const BATCH_STRIPES_MAX: usize = 64;
/// Most accounts that may write a bucket beside its owner.
pub const WRITERS_MAX: usize = 16;
/// Most entries that one commitment declares lost.
pub const DECLARED_MAX: usize = 8;
/// Longest sealed name of a bucket.
pub const SEALED_NAME_BYTES_MAX: usize = 512;
