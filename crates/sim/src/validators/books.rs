//! Count all wei there are: what accounts have, and what blocks burned for gas.

use super::{beneficiary, window::Window};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};
use client::ChainError;
use protocol::SYSTEM;
use std::collections::BTreeSet;
use types::{ChainSpec, abi::MODULES};

/// What left the world with each block, and who may have what is in it.
pub struct Fees {
    height: u64,
    burned: U256,
    accounts: BTreeSet<Address>,
    first: U256,
}

impl Fees {
    /// Before the first block.
    pub fn new(spec: &ChainSpec) -> Self {
        let accounts = spec.alloc.iter().map(|allocation| allocation.address);
        let others = (0..spec.validators.len()).map(beneficiary).chain(MODULES).chain([SYSTEM, Address::ZERO]);
        let first = spec.alloc.iter().map(|allocation| allocation.balance).sum();
        Self { height: 0, burned: U256::ZERO, accounts: accounts.chain(others).collect(), first }
    }

    /// What all accounts have and what was burned for gas, after the newest block.
    pub fn supply(&mut self, window: &Window) -> Result<U256, ChainError> {
        while let Some(block) = window.block(self.height + 1)? {
            self.height += 1;
            let mut used_before = 0;
            for (transaction, receipt) in block.block.transactions.iter().zip(&block.receipts) {
                let used = receipt.cumulative_gas_used();
                // Calls in the audit lane pay nothing.
                if transaction.lane().is_none() {
                    self.burned += U256::from(used - used_before) * U256::from(block.block.header.base_fee_per_gas);
                }
                used_before = used;
                self.accounts.extend(transaction.envelope().to());
                self.accounts.insert(transaction.sender());
            }
        }
        match self.height {
            // The first block hands out what there is.
            0 => Ok(self.first),
            _ => Ok(window.balances(&self.accounts)? + self.burned),
        }
    }
}
