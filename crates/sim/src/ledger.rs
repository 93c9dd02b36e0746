//! Say what a simulation wants of its chain, whoever makes it.

use crate::Broken;
use alloy_primitives::U256;
use client::chain::{ChainApi, MemoryChain};
use std::sync::Arc;

/// A chain as the simulation sees it: without any weather, and without having to believe anybody.
pub trait Ledger: ChainApi {
    /// All wei that there are, with what was burned for gas.
    fn supply(&self) -> Result<U256, Broken>;

    /// The way to the chain of a miner or client, but for the weather.
    fn reader(self: Arc<Self>, index: usize) -> Result<Arc<dyn ChainApi>, Broken>;
}

impl Ledger for MemoryChain {
    fn supply(&self) -> Result<U256, Broken> {
        Ok(MemoryChain::supply(self))
    }

    fn reader(self: Arc<Self>, _: usize) -> Result<Arc<dyn ChainApi>, Broken> {
        Ok(self)
    }
}
