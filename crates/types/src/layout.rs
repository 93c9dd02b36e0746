//! Find what modules store, and read it: slots in, records out.
//!
//! # Design
//! A [`Query`] names the slots that a record is likely to stand in, and reads the record from the [`Words`] in them. Where
//! the content of one slot says that others matter (a long endpoint, a list of writers), reading answers with what is
//! [`Missing`]: whoever has the state, or proofs of it, adds those words and reads again. The modules write the same words
//! ([`word`]), and `vectors/protocol.json` pins where.

pub mod audits;
pub mod buckets;
pub mod miners;
pub mod territories;
pub mod volumes;
pub mod word;

use crate::state::StateKey;
use alloy_primitives::{Address, U256, keccak256};
use std::collections::BTreeMap;
use word::{MapKey, Word};

/// Elements of `uint32` in a slot.
pub const LANES: usize = 8;

/// The slot of an entry of the mapping at `slot`.
pub fn entry(key: &impl MapKey, slot: U256) -> U256 {
    keccak256([key.to_key().0, slot.to_be_bytes::<32>()].as_flattened()).into()
}

/// The first slot of what an array or a long string at `slot` holds.
pub fn elements(slot: U256) -> U256 {
    keccak256(slot.to_be_bytes::<32>()).into()
}

/// The slot `index` after `base`. Solidity's slot numbers wrap as well.
pub fn offset(base: U256, index: u64) -> U256 {
    base.wrapping_add(U256::from(index))
}

/// The eight `uint32` of a slot.
pub fn lanes(word: U256) -> impl Iterator<Item = u32> {
    (0..LANES).map(move |lane| Word::decode(word.wrapping_shr(lane * 32)))
}

/// Slots that must be known before a record can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} slots of the record are not known", .0.len())]
pub struct Missing(pub Vec<StateKey>);

/// Slots with their content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(BTreeMap<StateKey, U256>);

impl Words {
    /// Notes what a slot holds; zero where there is no entry.
    pub fn insert(&mut self, slot: StateKey, word: U256) {
        self.0.insert(slot, word);
    }

    fn one<T: Word>(&self, module: Address, slot: U256) -> Result<T, Missing> {
        self.many(module, [slot]).map(|words| T::decode(words[0]))
    }

    /// The content of all these slots, in order; or all that are missing.
    fn many(&self, module: Address, slots: impl IntoIterator<Item = U256>) -> Result<Vec<U256>, Missing> {
        let (mut words, mut missing) = (Vec::new(), Vec::new());
        for slot in slots {
            let key = StateKey::Slot(module, slot);
            match self.0.get(&key) {
                Some(word) => words.push(*word),
                None => missing.push(key),
            }
        }
        if missing.is_empty() { Ok(words) } else { Err(Missing(missing)) }
    }

    /// The first `count` elements of packed `uint32` that begin at `base`.
    fn lanes(&self, module: Address, base: U256, count: usize) -> Result<Vec<u32>, Missing> {
        let words = self.many(module, lane_slots(base, count))?;
        Ok(words.into_iter().flat_map(lanes).take(count).collect())
    }
}

/// Slots of `count` packed `uint32`.
fn lane_slots(base: U256, count: usize) -> impl Iterator<Item = U256> {
    (0..count.div_ceil(LANES) as u64).map(move |index| offset(base, index))
}

/// A question to a module's storage.
pub trait Query {
    /// The answer.
    type Record;

    /// The module that stores it.
    const MODULE: Address;

    /// Slots that the answer most likely takes.
    fn slots(&self) -> Vec<U256>;

    /// Reads the answer, or says which slots it takes beside those that are known.
    fn read(&self, words: &Words) -> Result<Self::Record, Missing>;
}

#[cfg(test)]
mod tests;
