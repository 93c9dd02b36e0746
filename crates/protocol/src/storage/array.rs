//! Lay out arrays: whole slots, and packed `uint32`.

use super::{Layout, Slot};
use crate::{Error, Fault, Ledger, Result};
use alloy_primitives::U256;
use std::marker::PhantomData;
use types::{
    abi::IModule::Overflow,
    layout::{LANES, elements, lanes, offset},
};

/// `T[N]` where an element fills a slot or more.
#[derive(Clone, Copy, Debug)]
pub struct Array<T, const N: usize> {
    base: U256,
    element: PhantomData<T>,
}

impl<T: Layout, const N: usize> Array<T, N> {
    /// The storage of element `index`; reverts past the end.
    pub fn at(&self, index: usize) -> Result<T> {
        if index >= N {
            return Err(Overflow {}.into());
        }
        Ok(T::at(offset(self.base, T::SLOTS.saturating_mul(index as u64))))
    }
}

impl<T: Layout, const N: usize> Layout for Array<T, N> {
    const SLOTS: u64 = T::SLOTS.saturating_mul(N as u64);

    fn at(base: U256) -> Self {
        Self { base, element: PhantomData }
    }
}

/// `uint32[N]`: eight elements in a slot.
#[derive(Clone, Copy, Debug)]
pub struct U32Array<const N: usize>(U256);

impl<const N: usize> U32Array<N> {
    /// The first `count` elements; reverts past the end.
    pub fn load(&self, ledger: &mut dyn Ledger, count: usize) -> Result<Vec<u32>> {
        if count > N {
            return Err(Overflow {}.into());
        }
        Ok(load(ledger, self.0, count)?)
    }

    /// Writes the first elements; reverts past the end.
    pub fn store(&self, ledger: &mut dyn Ledger, elements: &[u32]) -> Result<()> {
        if elements.len() > N {
            return Err(Overflow {}.into());
        }
        for (index, chunk) in elements.chunks(LANES).enumerate() {
            ledger.sstore(offset(self.0, index as u64), pack(chunk))?;
        }
        Ok(())
    }

    /// Changes one element; reverts past the end.
    pub fn put(&self, ledger: &mut dyn Ledger, index: usize, element: u32) -> Result<()> {
        if index >= N {
            return Err(Overflow {}.into());
        }
        let slot = offset(self.0, (index / LANES) as u64);
        let mut all: Vec<u32> = lanes(ledger.sload(slot)?).collect();
        if let Some(place) = all.get_mut(index % LANES) {
            *place = element;
        }
        Ok(ledger.sstore(slot, pack(&all))?)
    }

    /// One element; reverts past the end.
    pub fn get(&self, ledger: &mut dyn Ledger, index: usize) -> Result<u32> {
        if index >= N {
            return Err(Overflow {}.into());
        }
        let word = ledger.sload(offset(self.0, (index / LANES) as u64))?;
        lanes(word).nth(index % LANES).ok_or_else(|| Error::from(Overflow {}))
    }
}

impl<const N: usize> Layout for U32Array<N> {
    const SLOTS: u64 = N.div_ceil(LANES) as u64;

    fn at(base: U256) -> Self {
        Self(base)
    }
}

/// `uint32[]`: its length in a slot, eight elements in each slot from keccak256 of that slot's number.
#[derive(Clone, Copy, Debug)]
pub struct U32List(U256);

impl U32List {
    /// Number of elements.
    pub fn len(&self, ledger: &mut dyn Ledger) -> std::result::Result<u32, Fault> {
        Slot::<u32>::at(self.0).get(ledger)
    }

    /// All elements.
    pub fn load(&self, ledger: &mut dyn Ledger) -> Result<Vec<u32>> {
        let count = self.len(ledger)?;
        let elements = self.elements(ledger)?;
        Ok(load(ledger, elements, count as usize)?)
    }

    /// Appends an element and returns its position.
    pub fn push(&self, ledger: &mut dyn Ledger, element: u32) -> Result<u32> {
        let position = self.len(ledger)?;
        Slot::at(self.0).set(ledger, position.checked_add(1).ok_or(Overflow {})?)?;
        self.put(ledger, position, element)?;
        Ok(position)
    }

    /// Removes the element at `position` by moving the last one there, and returns that one if it moved.
    pub fn swap_remove(&self, ledger: &mut dyn Ledger, position: u32) -> Result<Option<u32>> {
        let last = self.len(ledger)?.checked_sub(1).filter(|last| position <= *last).ok_or(Overflow {})?;
        let moved = self.get(ledger, last)?;
        self.put(ledger, last, 0)?;
        Slot::at(self.0).set(ledger, last)?;
        if position == last {
            return Ok(None);
        }
        self.put(ledger, position, moved)?;
        Ok(Some(moved))
    }

    fn get(&self, ledger: &mut dyn Ledger, position: u32) -> Result<u32> {
        let (slot, lane) = self.locate(ledger, position)?;
        lanes(ledger.sload(slot)?).nth(lane).ok_or_else(|| Error::from(Overflow {}))
    }

    fn put(&self, ledger: &mut dyn Ledger, position: u32, element: u32) -> Result<()> {
        let (slot, lane) = self.locate(ledger, position)?;
        let mut all: Vec<u32> = lanes(ledger.sload(slot)?).collect();
        if let Some(place) = all.get_mut(lane) {
            *place = element;
        }
        Ok(ledger.sstore(slot, pack(&all))?)
    }

    fn locate(&self, ledger: &mut dyn Ledger, position: u32) -> Result<(U256, usize)> {
        let elements = self.elements(ledger)?;
        let (word, lane) = (position as usize / LANES, position as usize % LANES);
        Ok((offset(elements, word as u64), lane))
    }

    fn elements(&self, ledger: &mut dyn Ledger) -> std::result::Result<U256, Fault> {
        ledger.charge_hashes(1, 32)?;
        Ok(elements(self.0))
    }
}

impl Layout for U32List {
    const SLOTS: u64 = 1;

    fn at(base: U256) -> Self {
        Self(base)
    }
}

/// Reads `count` packed elements that begin at `base`.
fn load(ledger: &mut dyn Ledger, base: U256, count: usize) -> std::result::Result<Vec<u32>, Fault> {
    let mut elements = Vec::with_capacity(count.min(1 << 10));
    for index in 0..count.div_ceil(LANES) {
        elements.extend(lanes(ledger.sload(offset(base, index as u64))?));
    }
    elements.truncate(count);
    Ok(elements)
}

fn pack(lanes: &[u32]) -> U256 {
    lanes.iter().rev().fold(U256::ZERO, |word, lane| word.wrapping_shl(32) | U256::from(*lane))
}
