//! Lay out sets of numbers, a bit for each.

use super::{Layout, Mapping, Slot};
use crate::{Fault, Ledger};
use alloy_primitives::U256;

/// Bits of a word.
pub const WORD_BITS: u64 = 256;

/// `mapping(uint64 => uint256)`: number `i` is bit `i % 256` of word `i / 256`.
#[derive(Clone, Copy, Debug)]
pub struct Bitmap(Mapping<u64, Slot<U256>>);

impl Bitmap {
    /// Whether `number` is in the set.
    pub fn contains(&self, ledger: &mut dyn Ledger, number: u64) -> Result<bool, Fault> {
        let word = self.0.at(ledger, &(number / WORD_BITS))?.get(ledger)?;
        Ok(word.bit((number % WORD_BITS) as usize))
    }

    /// The word that `number` has its bit in.
    pub fn word(&self, ledger: &mut dyn Ledger, number: u64) -> Result<U256, Fault> {
        self.0.at(ledger, &(number / WORD_BITS))?.get(ledger)
    }

    /// Takes all numbers of the word of `number` out.
    pub fn clear_word(&self, ledger: &mut dyn Ledger, number: u64) -> Result<(), Fault> {
        self.0.at(ledger, &(number / WORD_BITS))?.set(ledger, U256::ZERO)
    }

    /// Puts `number` into the set; false if it was there.
    pub fn insert(&self, ledger: &mut dyn Ledger, number: u64) -> Result<bool, Fault> {
        let slot = self.0.at(ledger, &(number / WORD_BITS))?;
        let mut word = slot.get(ledger)?;
        let bit = (number % WORD_BITS) as usize;
        if word.bit(bit) {
            return Ok(false);
        }
        word.set_bit(bit, true);
        slot.set(ledger, word)?;
        Ok(true)
    }
}

impl Layout for Bitmap {
    const SLOTS: u64 = 1;

    fn at(base: U256) -> Self {
        Self(Layout::at(base))
    }
}
