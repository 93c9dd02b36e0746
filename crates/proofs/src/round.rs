//! Say what a round asks of a miner: which slots, which chunks, under which keys.
//!
//! # Design
//! All lots of a miner, in the order in which they were pledged, are one row of `lots × lot_slots` places. Beacon A
//! permutes that row; the first places of the permuted row are *covered*, and the first of these are *deep*. Then one
//! *fresh* entry follows for each lot. So the number of entries and what each asks follow from the beacon, the miner and
//! the number of its lots alone: a commitment needs no list, the chain computes any one entry by itself, and a miner does
//! work for covered places only.
//!
//! # Format
//! ```text
//! beacon  = BLAKE3-derive("cess audit beacon v1", round (8) ‖ phase (1: 0 for A, 1 for B) ‖ seed)
//! covered = ⌈lots × lot_slots / light_divisor⌉        deep = ⌈lots × lot_slots / deep_divisor⌉
//! entry i = i < covered: place π(i), deep if i < deep;  else fresh, lot number i − covered
//! π       = Feistel network on Z_a × Z_b, a = ⌈√size⌉, b = ⌈size / a⌉, walked until below size:
//!           x = l·b + r;  four rounds, even: l += F(round, r) mod a;  odd: r += F(round, l) mod b
//!           F(round, v) = first 8 bytes (BE) of keyed_hash(K, round (1) ‖ v (8)),
//!           K = BLAKE3-derive("cess audit coverage v1", beacon A ‖ miner (4))
//! place x = lot x / lot_slots, slot x mod lot_slots
//! key     = BLAKE3-derive("cess audit light v1" | "cess audit deep v1", beacon A ‖ miner (4) ‖ lot (4) ‖ slot (4))
//! chunk   = first 8 bytes (BE) of BLAKE3-derive("cess audit chunk v1", beacon A ‖ miner (4) ‖ lot (4) ‖ slot (4))
//!           mod chunks of a slot                                                     of a light or fresh response
//! fresh   = slots that hold bytes of [fresh_from, column length): the one with the number, from the first on,
//!           first 8 bytes (BE) of BLAKE3-derive("cess audit fresh v1", beacon A ‖ miner (4) ‖ lot (4)) mod their count
//! ```
//! Lots are numbered within the miner, from 0. All integers big endian.

use crate::chunk::CHUNK_BYTES;
use alloy_primitives::B256;
use types::{
    hash::derive,
    spec::{AuditSpec, StorageSpec},
};

const BEACON: &str = "cess audit beacon v1";
const COVERAGE: &str = "cess audit coverage v1";
const LIGHT: &str = "cess audit light v1";
const DEEP: &str = "cess audit deep v1";
const CHUNK: &str = "cess audit chunk v1";
const FRESH: &str = "cess audit fresh v1";
const FEISTEL_ROUNDS: u8 = 4;

/// Sizes that all rounds of a chain have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of a slot, a multiple of 1 KiB.
    pub slot_bytes: u64,
    /// Slots of a lot.
    pub lot_slots: u32,
    /// Slots of an idle unit.
    pub unit_slots: u32,
    /// One of so many slots is covered.
    pub light_divisor: u32,
    /// One of so many slots is answered whole.
    pub deep_divisor: u32,
}

impl Shape {
    /// The sizes of a chain.
    pub fn of(storage: &StorageSpec, audits: &AuditSpec) -> Self {
        Self {
            slot_bytes: storage.slot_bytes,
            lot_slots: storage.lot_slots,
            unit_slots: storage.unit_slots,
            light_divisor: audits.light_divisor,
            deep_divisor: audits.deep_divisor,
        }
    }

    /// Chunks of a slot.
    pub fn slot_chunks(&self) -> u64 {
        self.slot_bytes / CHUNK_BYTES as u64
    }

    /// Bytes of an idle unit.
    pub fn unit_bytes(&self) -> u64 {
        self.slot_bytes.saturating_mul(self.unit_slots.into())
    }
}

/// Which beacon of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Says what is to be answered.
    A = 0,
    /// Says what is to be opened.
    B = 1,
}

/// The beacon of a round from the seed that a header brought.
pub fn beacon(round: u64, phase: Phase, seed: &[u8]) -> B256 {
    derive(BEACON, &[&round.to_be_bytes(), &[phase as u8], seed])
}

/// What one round asks of one miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Sizes.
    pub shape: Shape,
    /// Beacon A.
    pub beacon: B256,
    /// The miner.
    pub miner: u32,
    /// Its lots at beacon A, withdrawn ones too.
    pub lots: u32,
}

/// A slot of a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the lot within the miner.
    pub lot: u32,
    /// Slot of the lot.
    pub slot: u32,
}

/// What one entry of the responses answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// All bytes of a slot.
    Deep(Place),
    /// One chunk of a slot.
    Light(Place),
    /// One chunk of what was written to this lot lately.
    Fresh(u32),
}

impl Round {
    fn places(&self) -> u64 {
        u64::from(self.lots) * u64::from(self.shape.lot_slots)
    }

    /// Number of places that are answered.
    pub fn covered(&self) -> u64 {
        self.places().div_ceil(self.shape.light_divisor.max(1).into())
    }

    /// How many of them are answered whole.
    pub fn deep(&self) -> u64 {
        self.places().div_ceil(self.shape.deep_divisor.max(1).into()).min(self.covered())
    }

    /// Number of entries.
    pub fn entries(&self) -> u64 {
        self.covered().saturating_add(self.lots.into())
    }

    /// What entry `index` asks; nothing past the end.
    pub fn entry(&self, index: u64) -> Option<Entry> {
        self.entry_by(&self.coverage(), index)
    }

    /// All entries in order.
    pub fn all(&self) -> impl Iterator<Item = Entry> {
        let coverage = self.coverage();
        (0..self.entries()).filter_map(move |index| self.entry_by(&coverage, index))
    }

    fn entry_by(&self, coverage: &Permutation, index: u64) -> Option<Entry> {
        if let Some(lot) = index.checked_sub(self.covered()) {
            return u32::try_from(lot).ok().filter(|lot| *lot < self.lots).map(Entry::Fresh);
        }
        let place = coverage.apply(index)?;
        let slots = u64::from(self.shape.lot_slots);
        // Both are below 2^32 because the permutation stays below `places`.
        let place = Place { lot: (place / slots) as u32, slot: (place % slots) as u32 };
        Some(if index < self.deep() { Entry::Deep(place) } else { Entry::Light(place) })
    }

    fn coverage(&self) -> Permutation {
        Permutation::new(derive(COVERAGE, &[self.beacon.as_slice(), &self.miner.to_be_bytes()]), self.places())
    }

    fn at_place(&self, domain: &str, place: Place) -> B256 {
        let Place { lot, slot } = place;
        derive(domain, &[self.beacon.as_slice(), &self.miner.to_be_bytes(), &lot.to_be_bytes(), &slot.to_be_bytes()])
    }

    /// The key of a response over one chunk.
    pub fn light_key(&self, place: Place) -> [u8; 32] {
        self.at_place(LIGHT, place).0
    }

    /// The key of a response over a whole slot.
    pub fn deep_key(&self, place: Place) -> [u8; 32] {
        self.at_place(DEEP, place).0
    }

    /// The chunk that a light or fresh response covers.
    pub fn chunk(&self, place: Place) -> u64 {
        number(&self.at_place(CHUNK, place)).checked_rem(self.shape.slot_chunks()).unwrap_or_default()
    }

    /// The slot that the fresh entry of a lot asks for, when bytes from `from` to `end` of its column are fresh.
    pub fn fresh_place(&self, lot: u32, from: u64, end: u64) -> Option<Place> {
        let last = end.checked_sub(1).filter(|last| from <= *last)? / self.shape.slot_bytes;
        let first = from / self.shape.slot_bytes;
        let hash = derive(FRESH, &[self.beacon.as_slice(), &self.miner.to_be_bytes(), &lot.to_be_bytes()]);
        let slot = first + number(&hash) % (last - first + 1);
        let slot = u32::try_from(slot).ok().filter(|slot| *slot < self.shape.lot_slots)?;
        Some(Place { lot, slot })
    }
}

fn number(hash: &B256) -> u64 {
    hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A pseudo-random permutation of the numbers below a size.
#[derive(Clone, Copy, Debug)]
struct Permutation {
    key: B256,
    size: u64,
    left: u64,
    right: u64,
}

impl Permutation {
    fn new(key: B256, size: u64) -> Self {
        let root = size.isqrt();
        let left = if root * root < size { root + 1 } else { root.max(1) };
        Self { key, size, left, right: size.div_ceil(left) }
    }

    fn apply(&self, index: u64) -> Option<u64> {
        let mut value = Some(index).filter(|index| *index < self.size)?;
        // left × right exceeds the size by less than left: hardly ever a second step. The walk comes back below the
        // size, because it began there.
        loop {
            value = self.once(value);
            if value < self.size {
                return Some(value);
            }
        }
    }

    fn once(&self, value: u64) -> u64 {
        let (mut left, mut right) = (value / self.right, value % self.right);
        for round in 0..FEISTEL_ROUNDS {
            if round % 2 == 0 {
                left = (left + self.mix(round, right) % self.left) % self.left;
            } else {
                right = (right + self.mix(round, left) % self.right) % self.right;
            }
        }
        left * self.right + right
    }

    fn mix(&self, round: u8, value: u64) -> u64 {
        let mut input = [round; 9];
        input[1..].copy_from_slice(&value.to_be_bytes());
        number(&B256::from(*blake3::keyed_hash(&self.key.0, &input).as_bytes()))
    }
}

#[cfg(test)]
mod tests;
