//! Lay the state that the first block starts from.
//!
//! State stores start empty, so the first block itself brings the balances of the specification, the contracts that
//! Ethereum expects, and a stub in place of each module.

use crate::{
    cache::Cache,
    modules::{Modules, STUB},
};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
};
use alloy_primitives::{Address, Bytes};
use types::{
    ChainSpec,
    state::{Account, StateKey},
};

/// Height of the block that lays it.
pub(crate) const FIRST_HEIGHT: u64 = 1;

/// The entries that [`lay`] sets.
pub(crate) fn keys<'a>(spec: &'a ChainSpec, modules: &'a Modules) -> impl Iterator<Item = StateKey> + 'a {
    let alloc = spec.alloc.iter().map(|allocation| allocation.address);
    let contracts = contracts(modules).map(|(address, _)| address);
    alloc.chain(contracts).map(StateKey::Account)
}

/// Sets balances and code. The accounts must be in memory.
pub(crate) fn lay(cache: &mut Cache<'_>, spec: &ChainSpec, modules: &Modules) {
    for allocation in &spec.alloc {
        // An account that is listed twice gets both.
        cache.set_account(allocation.address, |account| {
            account.balance = account.balance.saturating_add(allocation.balance);
        });
    }
    for (address, code) in contracts(modules) {
        let code_hash = cache.add_code(code);
        cache.set_account(address, |account| *account = Account { nonce: 1, code_hash, ..*account });
    }
}

fn contracts(modules: &Modules) -> impl Iterator<Item = (Address, Bytes)> {
    let ethereum =
        [(HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()), (BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone())];
    modules.keys().map(|address| (*address, Bytes::from_static(STUB))).chain(ethereum)
}
