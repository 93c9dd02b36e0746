//! Answer a round: a response for each entry, and a tree over all of them.
//!
//! # Format
//! ```text
//! light, fresh:  keyed_hash(light key of the place, chunk)            1 KiB of the slot's bytes
//! deep:          keyed_hash(deep key of the place, slot)              all of the slot's bytes
//! not owed:      32 zero bytes
//! commitment:    root of types::merkle over the responses, in the order of the entries
//! ```
//! A slot's bytes are those that lie there by the rules, whatever fragments they belong to:
//! - the slot begins below the column's length at beacon A: the column's bytes, where what was released or was never owed
//!   by this seat, what a newcomer has not taken over yet, and everything above the column's length, reads as zeros;
//! - otherwise, and the lot has an idle root: the slot's idle content;
//! - otherwise nothing is owed.

use crate::{
    chunk::{CHUNK_BYTES, Hash},
    round::{Entry, Place, Round, Shape},
};
use alloy_primitives::B256;
use rayon::prelude::*;
use types::{Profile, StripeLeaf, merkle::Tree};

/// What the chain holds a lot to, as of beacon A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duty {
    /// Its seat in a volume.
    pub service: Option<Service>,
    /// Merkle root over its idle units' roots.
    pub idle_root: Option<B256>,
}

/// What a seat owes, as of beacon A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// The volume's code.
    pub profile: Profile,
    /// Which fragment of each stripe.
    pub seat: u16,
    /// Length of the column.
    pub column_bytes: u64,
    /// Stripes in the log.
    pub stripe_count: u32,
    /// Root of the log.
    pub stripes_root: B256,
    /// What lies in the column from here on was committed lately.
    pub fresh_from: u64,
    /// Where the part of the column begins that a newcomer has not taken over yet.
    pub gap_from: u64,
    /// Where that part ends; no later than it begins where nothing is missing.
    pub gap_to: u64,
}

impl Service {
    /// Whether a stripe is, or touches, what a newcomer has not taken over yet: it owes nothing of it.
    pub fn is_absent(&self, leaf: &StripeLeaf) -> bool {
        let end = leaf.offset.saturating_add(leaf.fragment_bytes);
        self.gap_from < self.gap_to && leaf.offset < self.gap_to && end > self.gap_from
    }
}

/// What one slot owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    /// The column's bytes.
    Service(Service),
    /// Idle content under this root of the lot.
    Idle(B256),
    /// Nothing.
    Nothing,
}

impl Duty {
    /// What a slot of the lot owes.
    pub fn of(&self, shape: &Shape, slot: u32) -> Owed {
        let start = shape.slot_bytes.saturating_mul(slot.into());
        match (self.service.filter(|service| start < service.column_bytes), self.idle_root) {
            (Some(service), _) => Owed::Service(service),
            (None, Some(root)) => Owed::Idle(root),
            (None, None) => Owed::Nothing,
        }
    }

    /// The place that the lot's fresh entry asks for, if anything is fresh.
    pub fn fresh_place(&self, round: &Round, lot: u32) -> Option<Place> {
        let service = self.service?;
        round.fresh_place(lot, service.fresh_from, service.column_bytes)
    }
}

/// A stripe as the owner of a seat knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its index in the log.
    pub index: u32,
    /// Its leaf.
    pub leaf: StripeLeaf,
    /// The leaf's siblings under the log's root at beacon A, from the leaf up, without the empty ones above.
    pub log_path: Vec<B256>,
    /// The fragment, if the seat owes it: its root, and that root's siblings under the fragments root.
    pub fragment: Option<(B256, Vec<B256>)>,
}

/// An idle unit as its owner knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// BLAKE3 of the unit.
    pub root: B256,
    /// The root's siblings under the lot's idle root.
    pub path: Vec<B256>,
    /// Chaining values of the unit's slots, also of those that were given up.
    pub slots: Vec<B256>,
}

/// A miner's bytes and what it knows about them.
pub trait Source: Sync {
    /// Why bytes could not be had.
    type Error: Send;

    /// What the lot owes, as of beacon A.
    fn duty(&self, lot: u32) -> Duty;
    /// Reads a slot's bytes from `offset` on, as *Format* says.
    fn read(&self, place: Place, offset: u64, bytes: &mut [u8]) -> Result<(), Self::Error>;
    /// The stripe that covers a position of the column.
    fn stripe(&self, lot: u32, position: u64) -> Result<Witness, Self::Error>;
    /// The whole fragment of a stripe.
    fn fragment(&self, lot: u32, leaf: &StripeLeaf) -> Result<Vec<u8>, Self::Error>;
    /// An idle unit.
    fn unit(&self, lot: u32, unit: u32) -> Result<Unit, Self::Error>;
}

/// All responses of a miner in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responses {
    tree: Tree,
}

impl Responses {
    /// Reads what the round asks and answers it.
    pub fn collect<S: Source>(round: &Round, source: &S) -> Result<Self, S::Error> {
        let entries: Vec<Entry> = round.all().collect();
        let values: Result<Vec<B256>, S::Error> =
            entries.par_iter().map(|entry| respond(round, source, *entry)).collect();
        Ok(Self::of(&values?))
    }

    /// The tree over given responses.
    pub fn of(values: &[B256]) -> Self {
        Self { tree: Tree::new(values) }
    }

    /// The commitment.
    pub fn root(&self) -> B256 {
        self.tree.root()
    }

    /// The siblings of one response.
    pub fn path(&self, index: u64) -> Option<Vec<B256>> {
        self.tree.path(usize::try_from(index).ok()?)
    }
}

/// The response to one entry.
pub fn respond<S: Source>(round: &Round, source: &S, entry: Entry) -> Result<B256, S::Error> {
    let (place, is_deep) = match entry {
        Entry::Deep(place) => (place, true),
        Entry::Light(place) => (place, false),
        Entry::Fresh(lot) => match source.duty(lot).fresh_place(round, lot) {
            Some(place) => (place, false),
            None => return Ok(B256::ZERO),
        },
    };
    if source.duty(place.lot).of(&round.shape, place.slot) == Owed::Nothing {
        return Ok(B256::ZERO);
    }
    if is_deep {
        let mut slot = vec![0; round.shape.slot_bytes as usize];
        source.read(place, 0, &mut slot)?;
        return Ok(Hash::Keyed(&round.deep_key(place)).root(&slot));
    }
    let mut chunk = [0; CHUNK_BYTES];
    source.read(place, round.chunk(place) * CHUNK_BYTES as u64, &mut chunk)?;
    Ok(Hash::Keyed(&round.light_key(place)).root(&chunk))
}
