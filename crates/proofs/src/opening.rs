//! Open one response: show the chunk, that the miner owes it, and that the commitment has it.
//!
//! # Format
//! ```text
//! opening  = content ‖ path (deep response: of the chunk in the slot, keyed; else empty) ‖ path (of the response)
//! content  = 0                                                                the chunk lies above the column's end
//!          | 1 ‖ stripe ‖ fragment root (32) ‖ path (fragment) ‖ chunk (1024) ‖ path (chunk in the fragment)
//!          | 2 ‖ stripe                                         the seat does not owe this stripe: the chunk is zeros
//!          | 3 ‖ unit root (32) ‖ path (unit root) ‖ chunk (1024) ‖ path (chunk in the unit)
//! stripe   = index (4) ‖ leaf (80: the fields of types::stripe in their order) ‖ path (leaf in the log)
//! path     = number of siblings (1) ‖ siblings (32 each), from the bottom up
//! ```
//! All integers big endian. The path of a leaf stops where only empty subtrees are left. Every length is checked, so a
//! valid opening has one encoding.
//!
//! # Invariants
//! [`verify`] is a pure function of its arguments: no panic, no allocation beyond the encoding's length, at most
//! 5 × 54 hashes.

mod encoding;

use crate::{
    chunk::{self, CHUNK_BYTES, Hash},
    response::{Duty, Owed, Responses, Service, Source},
    round::{Entry, Place, Round, Shape},
};
use alloy_primitives::B256;
use types::{
    StripeLeaf,
    merkle::{self, EMPTY, LOG_DEPTH},
    segment::FragmentProof,
};

/// Longest encoding.
pub const OPENING_BYTES_MAX: usize = 4096;
/// What lies at a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: the column ends below.
    Unfilled,
    /// A chunk of a fragment.
    Stripe(Stripe, FragmentChunk),
    /// Zeros, because the seat does not owe this stripe.
    NotOwed(Stripe),
    /// A chunk of an idle unit.
    Idle(UnitChunk),
}

/// A stripe in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripe {
    /// Its index.
    pub index: u32,
    /// Its leaf.
    pub leaf: StripeLeaf,
    /// The leaf's siblings.
    pub path: Vec<B256>,
}

/// A chunk under a fragment root, and that under a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FragmentChunk {
    /// BLAKE3 of the fragment.
    pub root: B256,
    /// The root's siblings under the fragments root.
    pub root_path: Vec<B256>,
    /// 1 KiB.
    pub chunk: Vec<u8>,
    /// The chunk's siblings.
    pub path: Vec<B256>,
}

/// A chunk under a unit root, and that under a lot's idle root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitChunk {
    /// BLAKE3 of the unit.
    pub root: B256,
    /// The root's siblings under the idle root.
    pub root_path: Vec<B256>,
    /// 1 KiB.
    pub chunk: Vec<u8>,
    /// The chunk's siblings.
    pub path: Vec<B256>,
}

/// An opening, decoded but not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// What lies at the chunk.
    pub content: Content,
    /// The chunk's siblings in the slot, hashed with the deep key.
    pub deep_path: Vec<B256>,
    /// The response's siblings.
    pub response_path: Vec<B256>,
}

/// What a valid opening shows. The chain still has to compare `Stripe` and `NotOwed` with what it knows of the stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The seat holds a chunk of this stripe.
    Stripe(u32, StripeLeaf),
    /// The chunk is zeros because the seat does not owe this stripe.
    NotOwed(u32),
    /// The chunk is zeros because the seat's newcomer has not taken this stripe over yet.
    Absent,
    /// The chunk lies above the column's end.
    Unfilled,
    /// The lot holds idle content.
    Idle,
}

/// Why an opening is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    #[error("the bytes are no opening")]
    Malformed,
    #[error("the entry is not among the responses, or owes nothing")]
    NothingAsked,
    #[error("it shows another kind of content than the slot owes")]
    WrongKind,
    #[error("the stripe is not in the log or does not cover the position")]
    WrongStripe,
    #[error("the chunk is not under the fragment root, or that not under the segment")]
    WrongFragment,
    #[error("the chunk is not under the unit root, or that not under the lot's idle root")]
    WrongUnit,
    #[error("the commitment has another response")]
    WrongResponse,
}

/// The entry that an opening must open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its index.
    pub index: u64,
    /// The slot.
    pub place: Place,
    /// The chunk of the slot.
    pub chunk: u64,
    /// Whether the response is over the whole slot.
    pub is_deep: bool,
}

impl Target {
    /// What an opening of entry `index` must show; `deep_chunk` is asked of a deep response. Nothing if the entry owes
    /// nothing.
    pub fn new(round: &Round, duty_of: impl FnOnce(u32) -> Duty, index: u64, deep_chunk: u64) -> Option<Self> {
        let target = match round.entry(index)? {
            Entry::Deep(place) => Self { index, place, chunk: deep_chunk, is_deep: true },
            Entry::Light(place) => Self { index, place, chunk: round.chunk(place), is_deep: false },
            Entry::Fresh(lot) => {
                let place = duty_of(lot).fresh_place(round, lot)?;
                return Some(Self { index, place, chunk: round.chunk(place), is_deep: false });
            }
        };
        (duty_of(target.place.lot).of(&round.shape, target.place.slot) != Owed::Nothing).then_some(target)
    }
}

/// Checks an encoded opening of `target` against the miner's commitment and the duty of the lot.
pub fn verify(
    round: &Round,
    duty: &Duty,
    commitment: &B256,
    target: &Target,
    encoded: &[u8],
) -> Result<Shown, OpeningError> {
    let opening = Opening::decode(encoded)?;
    let Target { index, place, chunk, is_deep } = *target;
    let shown = opening.content.verify(&round.shape, duty.of(&round.shape, place.slot), place.slot, chunk)?;
    let bytes = opening.content.bytes();
    let response = if is_deep {
        let key = round.deep_key(place);
        chunk::root_of(Hash::Keyed(&key), round.shape.slot_bytes, chunk, bytes, &opening.deep_path)
    } else {
        opening.deep_path.is_empty().then(|| Hash::Keyed(&round.light_key(place)).root(bytes))
    };
    let path = &opening.response_path;
    let depth_fits = path.len() == depth(round.entries());
    let root = response.filter(|_| depth_fits).and_then(|response| merkle::root_of(&response, index, path));
    if root == Some(*commitment) { Ok(shown) } else { Err(OpeningError::WrongResponse) }
}

/// Depth of a tree over so many values.
fn depth(count: u64) -> usize {
    count.checked_next_power_of_two().map_or(usize::MAX, |width| width.trailing_zeros() as usize)
}

impl Content {
    /// The chunk.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Unfilled | Self::NotOwed(_) => &[0; CHUNK_BYTES],
            Self::Stripe(_, FragmentChunk { chunk, .. }) | Self::Idle(UnitChunk { chunk, .. }) => chunk,
        }
    }

    /// Checks that a slot which owes `owed` has this at `chunk`.
    pub fn verify(&self, shape: &Shape, owed: Owed, slot: u32, chunk: u64) -> Result<Shown, OpeningError> {
        let position = shape
            .slot_bytes
            .checked_mul(slot.into())
            .zip(chunk.checked_mul(CHUNK_BYTES as u64))
            .and_then(|(start, offset)| start.checked_add(offset))
            .ok_or(OpeningError::NothingAsked)?;
        match (owed, self) {
            (Owed::Service(service), Self::Unfilled) if position >= service.column_bytes => Ok(Shown::Unfilled),
            (Owed::Service(service), Self::NotOwed(stripe)) => {
                stripe.verify(&service, position)?;
                let is_absent = service.is_absent(&stripe.leaf);
                Ok(if is_absent { Shown::Absent } else { Shown::NotOwed(stripe.index) })
            }
            (Owed::Service(service), Self::Stripe(stripe, fragment)) if !service.is_absent(&stripe.leaf) => {
                stripe.verify(&service, position)?;
                fragment.verify(&service, &stripe.leaf, position)?;
                Ok(Shown::Stripe(stripe.index, stripe.leaf))
            }
            (Owed::Idle(root), Self::Idle(unit)) => unit.verify(shape, &root, slot, chunk).map(|()| Shown::Idle),
            _ => Err(OpeningError::WrongKind),
        }
    }
}

impl Stripe {
    /// Checks that the log has this stripe, and that it covers a position of the column.
    pub fn verify(&self, service: &Service, position: u64) -> Result<(), OpeningError> {
        let StripeLeaf { offset, fragment_bytes, .. } = self.leaf;
        let covers = position >= offset && position - offset < fragment_bytes;
        let fits = self.index < service.stripe_count && self.path.len() == depth(service.stripe_count.into());
        if !covers || !fits || self.path.len() > LOG_DEPTH {
            return Err(OpeningError::WrongStripe);
        }
        let partial = merkle::root_of(&self.leaf.hash(), self.index.into(), &self.path);
        let root = partial.map(|root| {
            EMPTY[self.path.len()..LOG_DEPTH].iter().fold(root, |left, right| {
                // Above the leaves that there are, everything to the right is empty.
                merkle::node(&left, right)
            })
        });
        if root == Some(service.stripes_root) { Ok(()) } else { Err(OpeningError::WrongStripe) }
    }
}

impl FragmentChunk {
    fn verify(&self, service: &Service, leaf: &StripeLeaf, position: u64) -> Result<(), OpeningError> {
        let Self { root, root_path, chunk, path } = self;
        let proof = FragmentProof { index: service.seat, root: *root, path: root_path.clone() };
        // The caller made sure that the stripe covers the position.
        let index = position.saturating_sub(leaf.offset) / CHUNK_BYTES as u64;
        if chunk.len() == CHUNK_BYTES
            && proof.verify(service.profile, leaf.length, &leaf.segment)
            && chunk::verify(Hash::Plain, root, leaf.fragment_bytes, index, chunk, path)
        {
            Ok(())
        } else {
            Err(OpeningError::WrongFragment)
        }
    }
}

impl UnitChunk {
    fn verify(&self, shape: &Shape, idle_root: &B256, slot: u32, chunk: u64) -> Result<(), OpeningError> {
        let unit_slots = shape.unit_slots.max(1);
        let (unit, slot) = (slot / unit_slots, slot % unit_slots);
        let units = shape.lot_slots / unit_slots;
        let index = u64::from(slot).saturating_mul(shape.slot_chunks()).saturating_add(chunk);
        let root = merkle::root_of(&self.root, unit.into(), &self.root_path);
        if self.root_path.len() == depth(units.into())
            && root == Some(*idle_root)
            && self.chunk.len() == CHUNK_BYTES
            && chunk::verify(Hash::Plain, &self.root, shape.unit_bytes(), index, &self.chunk, &self.path)
        {
            Ok(())
        } else {
            Err(OpeningError::WrongUnit)
        }
    }
}

/// Makes the opening of `target`; nothing if what the source says does not fit together.
pub fn open<S: Source>(
    round: &Round,
    source: &S,
    responses: &Responses,
    target: &Target,
) -> Result<Option<Opening>, S::Error> {
    let Target { index, place, chunk, is_deep } = *target;
    let Some(content) = content(&round.shape, source, place, chunk)? else { return Ok(None) };
    let mut deep_path = Some(Vec::new());
    if is_deep {
        let mut slot = vec![0; round.shape.slot_bytes as usize];
        source.read(place, 0, &mut slot)?;
        deep_path = chunk::path(Hash::Keyed(&round.deep_key(place)), &slot, chunk);
    }
    let paths = deep_path.zip(responses.path(index));
    Ok(paths.map(|(deep_path, response_path)| Opening { content, deep_path, response_path }))
}

/// What a source has at a chunk, with its proof.
pub fn content<S: Source>(shape: &Shape, source: &S, place: Place, chunk: u64) -> Result<Option<Content>, S::Error> {
    match source.duty(place.lot).of(shape, place.slot) {
        Owed::Nothing => Ok(None),
        Owed::Idle(_) => idle_content(shape, source, place, chunk),
        Owed::Service(service) => {
            let position = u64::from(place.slot) * shape.slot_bytes + chunk * CHUNK_BYTES as u64;
            if position >= service.column_bytes {
                return Ok(Some(Content::Unfilled));
            }
            stripe_content(source, place.lot, position)
        }
    }
}

/// The chunk of a fragment at a position of a lot's column.
pub fn stripe_content<S: Source>(source: &S, lot: u32, position: u64) -> Result<Option<Content>, S::Error> {
    let witness = source.stripe(lot, position)?;
    let stripe = Stripe { index: witness.index, leaf: witness.leaf, path: witness.log_path };
    let Some((root, root_path)) = witness.fragment else { return Ok(Some(Content::NotOwed(stripe))) };
    let fragment = source.fragment(lot, &stripe.leaf)?;
    let Some(start) = position.checked_sub(stripe.leaf.offset) else { return Ok(None) };
    let path = chunk::path(Hash::Plain, &fragment, start / CHUNK_BYTES as u64);
    let bytes = fragment.get(start as usize..start as usize + CHUNK_BYTES);
    Ok(bytes
        .zip(path)
        .map(|(bytes, path)| Content::Stripe(stripe, FragmentChunk { root, root_path, chunk: bytes.to_vec(), path })))
}

fn idle_content<S: Source>(shape: &Shape, source: &S, place: Place, chunk: u64) -> Result<Option<Content>, S::Error> {
    let unit_slots = shape.unit_slots.max(1);
    let unit = source.unit(place.lot, place.slot / unit_slots)?;
    let mut slot = vec![0; shape.slot_bytes as usize];
    source.read(place, 0, &mut slot)?;
    let index = u64::from(place.slot % unit_slots) * shape.slot_chunks() + chunk;
    let path = chunk::path_in_part(Hash::Plain, &slot, &unit.slots, index);
    let start = chunk as usize * CHUNK_BYTES;
    let bytes = slot.get(start..start + CHUNK_BYTES);
    Ok(bytes.zip(path).map(|(bytes, path)| {
        Content::Idle(UnitChunk { root: unit.root, root_path: unit.path, chunk: bytes.to_vec(), path })
    }))
}
