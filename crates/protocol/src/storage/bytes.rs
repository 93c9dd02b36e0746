//! Lay out byte strings.

use super::Layout;
use crate::{Ledger, Result};
use alloy_primitives::{Bytes, U256};
use types::{
    abi::IModule::Overflow,
    layout::{elements, offset},
};

/// Longest inline string.
const INLINE_BYTES_MAX: usize = 31;

/// `bytes`, at most `MAX` of them. Up to 31 stand in the slot with twice their number in the low-order byte; more stand
/// from keccak256 of the slot's number on, and the slot holds twice their number plus one.
#[derive(Clone, Copy, Debug)]
pub struct ByteString<const MAX: usize>(U256);

impl<const MAX: usize> ByteString<MAX> {
    /// Reads the string.
    pub fn load(&self, ledger: &mut dyn Ledger) -> Result<Bytes> {
        let head = ledger.sload(self.0)?;
        let length = long_bytes(head);
        let Some(length) = length else {
            let count = usize::from(head.byte(0) >> 1);
            return Ok(Bytes::copy_from_slice(head.to_be_bytes::<32>().get(..count).ok_or(Overflow {})?));
        };
        let start = self.start(ledger)?;
        let mut bytes = Vec::with_capacity(length.min(MAX));
        for index in 0..length.min(MAX).div_ceil(32) {
            bytes.extend(ledger.sload(offset(start, index as u64))?.to_be_bytes::<32>());
        }
        bytes.truncate(length);
        Ok(bytes.into())
    }

    /// Writes the string and clears what a longer one left; reverts above `MAX` bytes.
    pub fn store(&self, ledger: &mut dyn Ledger, bytes: &[u8]) -> Result<()> {
        if bytes.len() > MAX {
            return Err(Overflow {}.into());
        }
        let before = long_bytes(ledger.sload(self.0)?).unwrap_or_default().min(MAX).div_ceil(32);
        let is_long = bytes.len() > INLINE_BYTES_MAX;
        let words: Vec<U256> = if is_long { bytes.chunks(32).map(left_aligned).collect() } else { Vec::new() };
        let twice = U256::from(bytes.len().saturating_mul(2));
        ledger.sstore(self.0, if is_long { twice | U256::ONE } else { left_aligned(bytes) | twice })?;
        if words.is_empty() && before == 0 {
            return Ok(());
        }
        let start = self.start(ledger)?;
        for index in 0..words.len().max(before) {
            let word = words.get(index).copied().unwrap_or_default();
            ledger.sstore(offset(start, index as u64), word)?;
        }
        Ok(())
    }

    fn start(&self, ledger: &mut dyn Ledger) -> Result<U256> {
        ledger.charge_hashes(1, 32)?;
        Ok(elements(self.0))
    }
}

impl<const MAX: usize> Layout for ByteString<MAX> {
    const SLOTS: u64 = 1;

    fn at(base: U256) -> Self {
        Self(base)
    }
}

/// The length that a head slot gives, if the string stands elsewhere.
fn long_bytes(head: U256) -> Option<usize> {
    head.bit(0).then(|| head.wrapping_shr(1).saturating_to())
}

fn left_aligned(bytes: &[u8]) -> U256 {
    let mut word = [0; 32];
    for (place, byte) in word.iter_mut().zip(bytes) {
        *place = *byte;
    }
    U256::from_be_bytes(word)
}
