//! Say which slots lie in which idle unit, and where in its file.

use alloy_primitives::B256;
use proofs::idle::{ShapeError, UnitId, UnitShape};
use types::spec::StorageSpec;

/// A unit by its lot and its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitPlace {
    /// Number of the lot on the chain.
    pub lot: u32,
    /// Position in the lot, in units.
    pub unit: u32,
}

/// A chain's idle units cannot be plotted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Units do not fill lots, or slots cannot be opened alone.
    #[error("the chain's slots and units are not powers of two that fill a lot")]
    Sizes,
    /// No unit has this size or depth.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Sizes of a miner's lots and units.
///
/// # Format
/// ```text
/// file of a unit = slot n−1 ‖ … ‖ slot first held        the last slot first
/// ```
/// The log grows from a lot's first slot on: what gives way is the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleLayout {
    chain_id: u64,
    miner: u32,
    slot_bytes: u64,
    lot_slots: u32,
    unit_slots: u32,
    shape: UnitShape,
}

impl IdleLayout {
    /// The layout of a miner's lots on a chain.
    pub fn new(chain_id: u64, miner: u32, storage: &StorageSpec) -> Result<Self, LayoutError> {
        if !storage.units_fit() || storage.lot_slots == 0 || storage.slot_bytes < proofs::chunk::CHUNK_BYTES as u64 {
            return Err(LayoutError::Sizes);
        }
        let shape = UnitShape::new(storage.unit_bytes(), storage.unit_layers)?;
        let StorageSpec { slot_bytes, lot_slots, unit_slots, .. } = *storage;
        Ok(Self { chain_id, miner, slot_bytes, lot_slots, unit_slots, shape })
    }

    /// Number of the miner.
    pub fn miner(&self) -> u32 {
        self.miner
    }

    /// Bytes of a slot.
    pub fn slot_bytes(&self) -> u64 {
        self.slot_bytes
    }

    /// Slots of a unit.
    pub fn unit_slots(&self) -> u32 {
        self.unit_slots
    }

    /// Units of a lot.
    pub fn lot_units(&self) -> u32 {
        self.lot_slots / self.unit_slots
    }

    /// Bytes of a unit.
    pub fn unit_bytes(&self) -> u64 {
        self.shape.bytes() as u64
    }

    /// Size and depth of the units.
    pub fn shape(&self) -> UnitShape {
        self.shape
    }

    pub(crate) fn unit_id(&self, place: UnitPlace, beacon: B256) -> UnitId {
        let UnitPlace { lot, unit } = place;
        UnitId { chain_id: self.chain_id, miner: self.miner, lot, unit, beacon }
    }

    /// The unit of a slot and the slot's number there; nothing past the lot's end.
    pub(crate) fn unit_of(&self, lot: u32, slot: u32) -> Option<(UnitPlace, u32)> {
        let place = UnitPlace { lot, unit: slot / self.unit_slots };
        (slot < self.lot_slots).then_some((place, slot % self.unit_slots))
    }

    /// Slots of a lot that lie wholly below `column_bytes`.
    pub(crate) fn slots_below(&self, column_bytes: u64) -> u32 {
        u32::try_from(column_bytes / self.slot_bytes).unwrap_or(u32::MAX).min(self.lot_slots)
    }

    /// The first slot of a unit that is held when a lot has given up its first `given_up` slots.
    pub(crate) fn first_held(&self, unit: u32, given_up: u32) -> u32 {
        given_up.saturating_sub(unit * self.unit_slots).min(self.unit_slots)
    }

    /// Bytes of a unit's file from which the first slots are gone.
    pub(crate) fn file_bytes(&self, first_held: u32) -> u64 {
        u64::from(self.unit_slots - first_held) * self.slot_bytes
    }

    /// Where a unit's slot begins in its file.
    pub(crate) fn offset(&self, number: u32) -> u64 {
        self.file_bytes(number + 1)
    }

    /// What a unit's file holds of its content, in the file's order.
    pub(crate) fn parts<'a>(&self, content: &'a [u8], first_held: u32) -> Vec<&'a [u8]> {
        content.chunks(self.slot_bytes as usize).skip(first_held as usize).rev().collect()
    }
}
