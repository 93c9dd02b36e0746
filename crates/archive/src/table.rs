//! Lay out the archive's tables in one ordered key space.
//!
//! # Format
//! One tree holds everything, so that a crash can only ever take whole blocks off its end. The first byte of a key names
//! the table; heights and indices are big endian.
//! ```text
//! table        key                                     value
//! 0 meta       name                                    format (4), chain id (8), tip (8), oldest state (8)
//! 1 header     height (8)                              hash (32) ‖ RLP header
//! 2 body       height (8)                              RLP list of encoded transactions
//! 3 receipts   height (8)                              per receipt: type (1) ‖ status (1) ‖ cumulative gas (8) ‖ logs (4)
//! 4 hash       block hash (32)                         height (8)
//! 5 transaction transaction hash (32)                  height (8) ‖ index (4)
//! 6 log        height (8) ‖ log index (4)              transaction index (4) ‖ transaction hash (32) ‖ RLP log
//! 7 posting    field (1) ‖ word (32) ‖ height ‖ index  nothing; field 0 is the address, 1 to 4 are the topics
//! 8 state      entry                                   value (72)
//! 9 history    entry ‖ height (8)                      value before that block (72), or nothing
//! 10 touched   height (8)                              the entries that the block changed
//! 11 code      hash (32)                               code
//!
//! entry = address (20) ‖ 0   or   address (20) ‖ 1 ‖ slot (32)
//! ```

use alloy_primitives::{Address, B256, U256};
use types::state::StateKey;

/// Version of this layout.
pub(crate) const FORMAT: u32 = 1;

/// Position of a log: height, then index in the block.
pub(crate) type Position = (u64, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    Meta = 0,
    Header = 1,
    Body = 2,
    Receipts = 3,
    Hash = 4,
    Transaction = 5,
    Log = 6,
    Posting = 7,
    State = 8,
    History = 9,
    Touched = 10,
    Code = 11,
}

/// Names of the entries of [`Table::Meta`].
pub(crate) mod meta {
    pub(crate) const FORMAT: &[u8] = b"format";
    pub(crate) const CHAIN: &[u8] = b"chain";
    pub(crate) const TIP: &[u8] = b"tip";
    pub(crate) const OLDEST: &[u8] = b"oldest";
}

impl Table {
    /// The key of `parts`, one after the other.
    pub(crate) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
        key.push(self as u8);
        parts.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    pub(crate) fn at_height(self, height: u64) -> Vec<u8> {
        self.key(&[&height.to_be_bytes()])
    }

    pub(crate) fn of_hash(self, hash: &B256) -> Vec<u8> {
        self.key(&[hash.as_slice()])
    }
}

/// The key of a log.
pub(crate) fn log_key((height, index): Position) -> Vec<u8> {
    Table::Log.key(&[&height.to_be_bytes(), &index.to_be_bytes()])
}

/// What logs are found by: the address, or the topic at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term {
    field: u8,
    word: B256,
}

impl Term {
    pub(crate) fn address(address: Address) -> Self {
        Self { field: 0, word: address.into_word() }
    }

    /// The topic at `place`, from 0.
    pub(crate) fn topic(place: usize, topic: B256) -> Self {
        Self { field: 1 + u8::try_from(place).expect("a log has four topics at most"), word: topic }
    }

    pub(crate) fn key(&self, (height, index): Position) -> Vec<u8> {
        Table::Posting.key(&[&[self.field], self.word.as_slice(), &height.to_be_bytes(), &index.to_be_bytes()])
    }
}

/// The position at the end of a log's or posting's key.
pub(crate) fn position_of(key: &[u8]) -> Option<Position> {
    let (rest, index) = key.split_last_chunk::<4>()?;
    let (_, height) = rest.split_last_chunk::<8>()?;
    Some((u64::from_be_bytes(*height), u32::from_be_bytes(*index)))
}

/// A state key as bytes.
pub(crate) fn entry(key: &StateKey) -> Vec<u8> {
    match key {
        StateKey::Account(address) => [address.as_slice(), &[0]].concat(),
        StateKey::Slot(address, slot) => [address.as_slice(), &[1], &slot.to_be_bytes::<32>()].concat(),
    }
}

/// Reads one entry from the front of `bytes`.
pub(crate) fn read_entry(bytes: &mut &[u8]) -> Option<StateKey> {
    let address = Address::from(take::<20>(bytes)?);
    match take::<1>(bytes)? {
        [0] => Some(StateKey::Account(address)),
        [1] => Some(StateKey::Slot(address, U256::from_be_bytes(take::<32>(bytes)?))),
        _ => None,
    }
}

/// Takes `N` bytes from the front of `bytes`.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}
