//! Read idle content, and show chunks of it under a lot's idle root.

use crate::idle::{
    IdleSpace, Shared, UnitPlace,
    books::{Books, Unit},
    record,
};
use alloy_primitives::B256;
use proofs::{chunk::CHUNK_BYTES, idle::UnitHashes};
use std::io::ErrorKind;
use store::StoreError;
use types::merkle::Tree;

/// Whether bytes are checked after they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Hash what was read and compare it with what was plotted.
    Hash,
    /// Take it as it is.
    Trust,
}

/// Idle content cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// The miner has no such lot.
    #[error("lot {0} is not one of this miner's")]
    UnknownLot(u32),
    /// It is past the end of the lot, the unit or the slot.
    #[error("the lot or the slot has no such part")]
    OutOfRange,
    /// It is not plotted yet.
    #[error("unit {} of lot {} is not plotted yet", .0.unit, .0.lot)]
    NotPlotted(UnitPlace),
    /// It gave way to the log.
    #[error("slot {slot} of lot {lot} gave way to the log")]
    GivenUp {
        /// The lot.
        lot: u32,
        /// The slot.
        slot: u32,
    },
    /// The file is damaged or gone; the unit will be plotted again.
    #[error("unit {} of lot {} is damaged on disk: it will be plotted again", .0.unit, .0.lot)]
    Damaged(UnitPlace),
    /// The disk failed.
    #[error("the idle folder failed: {0}; look at the disk")]
    Disk(String),
    /// What was noted of the unit cannot be read.
    #[error("the notes about idle units are damaged: move the data folder away")]
    Notes,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What its owner knows of a unit without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitWitness {
    /// BLAKE3 of the unit.
    pub root: B256,
    /// The root's siblings under the lot's idle root, from below.
    pub path: Vec<B256>,
    /// Chaining values of the unit's slots, also of those that were given up.
    pub slots: Vec<B256>,
}

/// A chunk of idle content under a lot's idle root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkOpening {
    /// BLAKE3 of the unit.
    pub unit_root: B256,
    /// The root's siblings under the idle root, from below.
    pub unit_path: Vec<B256>,
    /// 1 KiB.
    pub chunk: Vec<u8>,
    /// The chunk's siblings under the unit root, from below.
    pub chunk_path: Vec<B256>,
}

/// Where a slot lies.
#[derive(Clone, Copy, Debug)]
struct Located {
    place: UnitPlace,
    /// Its number in the unit.
    number: u32,
    /// Its first byte in the file.
    offset: u64,
}

/// All of these may block.
impl IdleSpace {
    /// Commits to all idle content of a lot: nothing until all of its units are plotted.
    pub fn idle_root(&self, lot: u32) -> Option<B256> {
        self.tree(lot).map(|tree| tree.root())
    }

    /// The tree over a lot's unit roots, once all are known.
    pub(super) fn tree(&self, lot: u32) -> Option<Tree> {
        let roots = self.0.books.lock().roots(lot)?;
        Some(Tree::new(&roots))
    }

    /// Reads bytes of a slot from `offset` on, unchecked.
    pub fn read(&self, lot: u32, slot: u32, offset: u64, out: &mut [u8]) -> Result<(), SlotError> {
        let layout = self.0.layout;
        let end = offset.checked_add(out.len() as u64);
        end.filter(|end| *end <= layout.slot_bytes()).ok_or(SlotError::OutOfRange)?;
        let located = self.0.locate(lot, slot)?;
        let Err(error) = self.0.files.read(located.place, located.offset + offset, out) else { return Ok(()) };
        // It may have been given up meanwhile.
        self.0.locate(lot, slot)?;
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::UnexpectedEof => Err(self.0.damaged(located.place)),
            _ => Err(SlotError::Disk(error.to_string())),
        }
    }

    /// Reads a slot.
    pub fn read_slot(&self, lot: u32, slot: u32, verify: Verify) -> Result<Vec<u8>, SlotError> {
        let mut bytes = vec![0; self.0.layout.slot_bytes() as usize];
        self.read(lot, slot, 0, &mut bytes)?;
        if verify == Verify::Hash {
            let located = self.0.locate(lot, slot)?;
            if !self.0.hashes(located.place)?.has_slot(located.number as usize, &bytes) {
                return Err(self.0.damaged(located.place));
            }
        }
        Ok(bytes)
    }

    /// What is known of a unit, given up or not.
    pub fn unit(&self, lot: u32, unit: u32) -> Result<UnitWitness, SlotError> {
        let place = UnitPlace { lot, unit };
        let UnitHashes { root, slots } = self.0.hashes(place)?;
        let missing = || self.0.books.lock().first_new(lot).map_or(SlotError::UnknownLot(lot), SlotError::NotPlotted);
        let path = self.tree(lot).ok_or_else(missing)?.path(unit as usize).ok_or(SlotError::OutOfRange)?;
        Ok(UnitWitness { root, path, slots })
    }

    /// Opens one chunk of a slot under the lot's idle root. The slot is read and checked.
    pub fn open_chunk(&self, lot: u32, slot: u32, chunk: u64) -> Result<ChunkOpening, SlotError> {
        let layout = self.0.layout;
        let slot_chunks = layout.slot_bytes() / CHUNK_BYTES as u64;
        if chunk >= slot_chunks {
            return Err(SlotError::OutOfRange);
        }
        let bytes = self.read_slot(lot, slot, Verify::Hash)?;
        let (place, number) = layout.unit_of(lot, slot).ok_or(SlotError::OutOfRange)?;
        let UnitWitness { root, path, slots } = self.unit(lot, place.unit)?;
        let index = u64::from(number) * slot_chunks + chunk;
        let chunk_path = UnitHashes { root, slots }.path(&bytes, index).ok_or(SlotError::Notes)?;
        let chunk = bytes[chunk as usize * CHUNK_BYTES..][..CHUNK_BYTES].to_vec();
        Ok(ChunkOpening { unit_root: root, unit_path: path, chunk, chunk_path })
    }
}

impl Shared {
    fn locate(&self, lot: u32, slot: u32) -> Result<Located, SlotError> {
        let books = self.books.lock();
        let record = books.record(lot).ok_or(SlotError::UnknownLot(lot))?;
        let (place, number) = self.layout.unit_of(lot, slot).ok_or(SlotError::OutOfRange)?;
        match books.unit(place) {
            Some(Unit::New) | None => Err(SlotError::NotPlotted(place)),
            Some(_) if slot < record.given_up => Err(SlotError::GivenUp { lot, slot }),
            Some(_) => Ok(Located { place, number, offset: self.layout.offset(number) }),
        }
    }

    /// What was noted when a unit was plotted.
    pub(super) fn hashes(&self, place: UnitPlace) -> Result<UnitHashes, SlotError> {
        self.plotted(&self.books.lock(), place)?;
        let note = self.store.blocking_note(&record::unit_key(place))?.ok_or(SlotError::NotPlotted(place))?;
        record::read_unit(&note, self.layout.unit_slots()).ok_or(SlotError::Notes)
    }

    fn plotted(&self, books: &Books, place: UnitPlace) -> Result<(), SlotError> {
        books.record(place.lot).ok_or(SlotError::UnknownLot(place.lot))?;
        match books.unit(place).ok_or(SlotError::OutOfRange)? {
            Unit::New => Err(SlotError::NotPlotted(place)),
            Unit::Held(_) | Unit::Damaged(_) | Unit::Wrong(_) => Ok(()),
        }
    }

    /// Has a unit plotted again whose file is not what it should be.
    pub(super) fn damaged(&self, place: UnitPlace) -> SlotError {
        tracing::warn!(place.lot, place.unit, "an idle unit is damaged on disk: it will be plotted again");
        self.update(|books| books.damage(place));
        SlotError::Damaged(place)
    }
}
