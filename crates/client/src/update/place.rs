//! Give the parts of bodies their places in the segments of an update.

use crate::{
    body::{Body, Held, NewPart, Piece, Source, StagedSegment},
    index::{Extent, Part},
    write::{Assembler, Place, Staged, WriteError},
};
use sealing::{HEADER_LENGTH, SEALED_CHUNK_LENGTH};
use std::{collections::HashMap, sync::Arc};

/// Where sealed bytes lie.
#[derive(Clone, Copy, Debug)]
enum Spot {
    /// In a segment of this update.
    Here(Place),
    /// In a stripe.
    Stored(Extent),
}

/// The parts that have a place.
#[derive(Default)]
pub(crate) struct Placement {
    /// By the address of the part, with the spots of each of its pieces.
    parts: HashMap<usize, (Arc<NewPart>, Vec<Vec<Spot>>)>,
    adopted: Vec<(Arc<StagedSegment>, usize)>,
}

fn address(part: &Arc<NewPart>) -> usize {
    Arc::as_ptr(part) as usize
}

impl Placement {
    /// Notes a part that was written with the update's own assembler.
    pub(crate) fn insert(&mut self, part: &Arc<NewPart>, places: Vec<Place>) {
        let spots = places.into_iter().map(|place| vec![Spot::Here(place)]).collect();
        self.parts.insert(address(part), (part.clone(), spots));
    }

    /// Gives every new part of a body a place.
    pub(crate) async fn place(&mut self, body: &Body, assembler: &mut Assembler) -> Result<(), WriteError> {
        for source in &body.sources {
            let Source::Part(part) = source else { continue };
            if self.parts.contains_key(&address(part)) {
                continue;
            }
            let pieces = part.pieces.lock().clone();
            let mut spots = Vec::with_capacity(pieces.len());
            let mut is_first = true;
            for piece in pieces {
                spots.push(match piece {
                    Piece::Held(held) => append(assembler, &held, is_first).await?,
                    Piece::Staged { segment, offset, length } => {
                        vec![Spot::Here(Place { number: self.adopt(&segment, assembler)?, offset, length })]
                    }
                    Piece::Stored(extent) => vec![Spot::Stored(extent)],
                });
                is_first = false;
            }
            self.parts.insert(address(part), (part.clone(), spots));
        }
        Ok(())
    }

    /// A part that has its place, as the index knows it.
    pub(crate) fn part(&self, part: &Arc<NewPart>, assembler: &Assembler) -> Part {
        let (_, spots) = &self.parts[&address(part)];
        let extent = |spot: &Spot| match spot {
            Spot::Here(place) => assembler.extent(place),
            Spot::Stored(extent) => *extent,
        };
        Part {
            generation: part.generation,
            key: part.key.clone(),
            plain_length: part.plain_length,
            extents: spots.iter().flatten().map(extent).collect(),
        }
    }

    /// Extents of a part.
    pub(crate) fn extent_count(&self, part: &Arc<NewPart>) -> usize {
        self.parts[&address(part)].1.iter().map(Vec::len).sum()
    }

    /// Tells the parts where they are now, and gives back what was not committed.
    pub(crate) fn finish(self, assembler: &mut Assembler) {
        for (part, spots) in self.parts.into_values() {
            let mut pieces = part.pieces.lock();
            // A part of the update's own assembler keeps no pieces: nobody puts it again.
            let before = std::mem::take(&mut *pieces);
            *pieces =
                before.into_iter().zip(spots).flat_map(|(piece, spots)| settled(piece, &spots, assembler)).collect();
        }
        let mut staged: HashMap<usize, Staged> =
            assembler.take_staged().into_iter().map(|staged| (staged.number, staged)).collect();
        for (segment, number) in self.adopted {
            *segment.0.lock() = staged.remove(&number);
        }
    }

    fn adopt(&mut self, segment: &Arc<StagedSegment>, assembler: &mut Assembler) -> Result<usize, WriteError> {
        if let Some((_, number)) = self.adopted.iter().find(|(other, _)| Arc::ptr_eq(other, segment)) {
            return Ok(*number);
        }
        let staged = segment.0.lock().take();
        let staged = staged.ok_or_else(|| WriteError::Stuck("a staged segment was lost on its way".into()))?;
        let number = assembler.adopt_staged(staged);
        self.adopted.push((segment.clone(), number));
        Ok(number)
    }
}

/// A piece after the update: stored, if all of it was committed.
fn settled(piece: Piece, spots: &[Spot], assembler: &Assembler) -> Vec<Piece> {
    let stored: Option<Vec<Piece>> = spots
        .iter()
        .map(|spot| match spot {
            Spot::Stored(extent) => Some(Piece::Stored(*extent)),
            Spot::Here(place) => {
                let segment = assembler.committed_segment(place.number)?;
                Some(Piece::Stored(Extent { segment, offset: place.offset, length: place.length }))
            }
        })
        .collect();
    stored.unwrap_or_else(|| vec![piece])
}

/// Appends bytes, cut between chunks where the segment being filled has no room for all.
async fn append(assembler: &mut Assembler, held: &Arc<Held>, is_first: bool) -> Result<Vec<Spot>, WriteError> {
    let mut rest = &held.bytes[..];
    let mut header = if is_first { HEADER_LENGTH } else { 0 };
    let mut spots = Vec::new();
    while !rest.is_empty() {
        let first_chunk = rest.len().min(header + SEALED_CHUNK_LENGTH);
        assembler.make_room(first_chunk).await?;
        let room = assembler.room();
        let length = match room.checked_sub(header) {
            _ if rest.len() <= room => rest.len(),
            Some(room) => header + room / SEALED_CHUNK_LENGTH * SEALED_CHUNK_LENGTH,
            None => first_chunk,
        };
        let (now, later) = rest.split_at(length);
        spots.push(Spot::Here(assembler.append_object(now)));
        (rest, header) = (later, 0);
    }
    Ok(spots)
}
