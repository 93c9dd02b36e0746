//! Lay out queues: first in, first out.

use super::{Layout, Mapping, Slot, Word};
use crate::{Checked, Ledger, Result};
use alloy_primitives::U256;
use types::{layout::offset, packed};

packed! {
    /// Where a queue begins and ends, by running numbers.
    pub struct Ends {
        first: u64,
        end: u64,
    }
}

/// `struct { uint64 first; uint64 end; mapping(uint64 => T) entries; }`: what was taken out is zero again.
#[derive(Clone, Copy, Debug)]
pub struct Ring<T> {
    ends: Slot<Ends>,
    entries: Mapping<u64, Slot<T>>,
}

impl<T: Word> Ring<T> {
    /// Puts an entry at the end.
    pub fn push(&self, ledger: &mut dyn Ledger, entry: T) -> Result<()> {
        let ends = self.ends.get(ledger)?;
        self.entries.at(ledger, &ends.end)?.set(ledger, entry)?;
        Ok(self.ends.set(ledger, Ends { end: ends.end.plus(1)?, ..ends })?)
    }

    /// Number of entries.
    pub fn len(&self, ledger: &mut dyn Ledger) -> Result<u64> {
        let ends = self.ends.get(ledger)?;
        Ok(ends.end.saturating_sub(ends.first))
    }

    /// The first entry, which stays.
    pub fn first(&self, ledger: &mut dyn Ledger) -> Result<Option<T>> {
        let ends = self.ends.get(ledger)?;
        if ends.first == ends.end {
            return Ok(None);
        }
        Ok(Some(self.entries.at(ledger, &ends.first)?.get(ledger)?))
    }

    /// Takes the first entry out.
    pub fn pop(&self, ledger: &mut dyn Ledger) -> Result<Option<T>> {
        let entry = self.first(ledger)?;
        if entry.is_some() {
            let ends = self.ends.get(ledger)?;
            let slot = self.entries.at(ledger, &ends.first)?.position();
            ledger.sstore(slot, U256::ZERO)?;
            // Numbers start over with an empty queue, so that its slot is free again.
            let first = ends.first.plus(1)?;
            let ends = if first == ends.end { Ends::default() } else { Ends { first, ..ends } };
            self.ends.set(ledger, ends)?;
        }
        Ok(entry)
    }
}

impl<T> Layout for Ring<T> {
    const SLOTS: u64 = 2;

    fn at(base: U256) -> Self {
        Self { ends: Layout::at(base), entries: Layout::at(offset(base, 1)) }
    }
}
