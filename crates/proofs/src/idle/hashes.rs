//! Hash a unit so that each of its slots can be checked and opened without the others.

use crate::chunk::{self, Hash};
use alloy_primitives::B256;
use blake3::hazmat::{Mode, merge_subtrees_root};
use rayon::prelude::*;

/// The root of a unit, and the chaining values of its slots: what is left of slots that were given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitHashes {
    /// BLAKE3 of the unit.
    pub root: B256,
    /// The slots as subtrees of that hash.
    pub slots: Vec<B256>,
}

impl UnitHashes {
    /// Hashes a unit of `slots` slots, all of them at a time in the caller's `rayon` pool. Nothing unless slots are a
    /// power of two of chunks each, and a power of two of them fill the unit.
    pub fn new(content: &[u8], slots: usize) -> Option<Self> {
        let slot_bytes = content.len().checked_div(slots)?;
        let fits = slots.is_power_of_two() && slot_bytes.is_power_of_two() && slot_bytes >= chunk::CHUNK_BYTES;
        if !fits || slot_bytes * slots != content.len() {
            return None;
        }
        let value = |(number, slot): (usize, &[u8])| Hash::Plain.chaining_value((number * slot_bytes) as u64, slot);
        let values: Vec<B256> = content.par_chunks(slot_bytes).enumerate().map(value).collect();
        let root = root(&values).unwrap_or_else(|| Hash::Plain.root(content));
        Some(Self { root, slots: values })
    }

    /// Whether `bytes` are slot `number` of the unit.
    pub fn has_slot(&self, number: usize, bytes: &[u8]) -> bool {
        let offset = (number as u64).checked_mul(bytes.len() as u64);
        let value = offset.filter(|_| bytes.len().is_power_of_two()).map(|at| Hash::Plain.chaining_value(at, bytes));
        value.is_some() && self.slots.get(number) == value.as_ref()
    }

    /// The siblings of chunk `index` of the unit under its root, from the slot that holds the chunk.
    pub fn path(&self, slot: &[u8], index: u64) -> Option<Vec<B256>> {
        chunk::path_in_part(Hash::Plain, slot, &self.slots, index)
    }
}

/// The root over the chaining values of a power of two of subtrees; nothing for a single one, which is hashed as a root
/// from the start.
fn root(values: &[B256]) -> Option<B256> {
    let (left, right) = values.split_at(values.len() / 2);
    let root = merge_subtrees_root(&fold(left)?.0, &fold(right)?.0, Mode::Hash);
    Some(B256::from(*root.as_bytes()))
}

fn fold(values: &[B256]) -> Option<B256> {
    match values {
        [] => None,
        [one] => Some(*one),
        _ => {
            let (left, right) = values.split_at(values.len() / 2);
            Some(Hash::Plain.merge(&fold(left)?, &fold(right)?))
        }
    }
}

#[cfg(test)]
mod tests;
