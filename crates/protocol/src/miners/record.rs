//! Lay out what is stored of a miner and of a lot.

use super::ENDPOINT_BYTES_MAX;
use crate::{
    Ledger, Result, layout,
    storage::{ByteString, Slot},
};
use alloy_primitives::{Address, B256, Bytes, U256};
pub use types::layout::miners::{Identity, Lot, Tally};
use types::{bls::PUBLIC_KEY_BYTES, packed};

packed! {
    /// Collateral of lots that left, until the round that held them is over.
    pub struct Parting {
        amount: u128,
        round: u64,
    }
}

packed! {
    /// A miner's places in the trees of its regions, and whose policies may name it.
    pub struct Places {
        country: u32,
        /// Zero for a miner that declared a country only.
        subdivision: u32,
        patron: Address,
    }
}

/// States that the interface shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LotState {
    /// In the pool.
    Free = 0,
    /// In a volume.
    Member = 1,
    /// Taken out by its operator, or gone from its seat.
    Withdrawn = 2,
}

layout! {
    /// A miner.
    pub struct MinerRecord {
        identity: Slot<Identity>,
        tally: Slot<Tally>,
        collateral: Slot<U256>,
        receipt_key: KeySlots,
        endpoint: ByteString<ENDPOINT_BYTES_MAX>,
        places: Slot<Places>,
        parting: Slot<Parting>,
    }
}

layout! {
    /// `struct { bytes32 head; bytes16 tail; }`: a compressed receipt key.
    pub struct KeySlots {
        head: Slot<B256>,
        tail: Slot<u128>,
    }
}

impl KeySlots {
    /// Reads the key.
    pub fn load(&self, ledger: &mut dyn Ledger) -> Result<Bytes> {
        let (head, tail) = (self.head.get(ledger)?, self.tail.get(ledger)?);
        Ok([head.as_slice(), &tail.to_be_bytes()].concat().into())
    }

    /// Writes a key, which must have the right length.
    pub fn store(&self, ledger: &mut dyn Ledger, key: &[u8]) -> Result<()> {
        debug_assert_eq!(key.len(), PUBLIC_KEY_BYTES);
        let (head, tail) = key.split_at_checked(32).unwrap_or_default();
        self.head.set(ledger, B256::try_from(head).unwrap_or_default())?;
        let tail = tail.first_chunk().map(|bytes| u128::from_be_bytes(*bytes)).unwrap_or_default();
        Ok(self.tail.set(ledger, tail)?)
    }
}
