//! Look through idle units for what has rotted on disk.

use crate::idle::{IdleSpace, SlotError, UnitPlace, Verify};

/// What a part of a scrub found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdleScrub {
    /// Slots that were read and hashed.
    pub checked_count: usize,
    /// Units that are not what was plotted; they will be plotted again.
    pub damaged: Vec<UnitPlace>,
    /// Where to go on; nothing at the end.
    pub next: Option<UnitPlace>,
}

impl IdleSpace {
    /// Reads and hashes what is held of at most `limit` units after one, and has damaged ones plotted again. Blocks.
    pub fn scrub(&self, after: Option<UnitPlace>, limit: usize) -> Result<IdleScrub, SlotError> {
        let places = self.0.books.lock().plotted_after(after, limit);
        let mut found = IdleScrub::default();
        for place in &places {
            self.scrub_unit(*place, &mut found)?;
        }
        found.next = places.last().copied().filter(|_| places.len() == limit);
        Ok(found)
    }

    fn scrub_unit(&self, place: UnitPlace, found: &mut IdleScrub) -> Result<(), SlotError> {
        let unit_slots = self.0.layout.unit_slots();
        let first = place.unit * unit_slots;
        for slot in first..first + unit_slots {
            match self.read_slot(place.lot, slot, Verify::Hash) {
                Ok(_) => found.checked_count += 1,
                // One damaged slot has the whole unit plotted again.
                Err(SlotError::Damaged(_)) => {
                    found.damaged.push(place);
                    return Ok(());
                }
                // It gave way, also while this went on, or its lot was let go.
                Err(SlotError::GivenUp { .. } | SlotError::UnknownLot(_) | SlotError::NotPlotted(_)) => {}
                // One unreadable sector must not hide what else is wrong, and a unit that is written anew lies elsewhere.
                Err(SlotError::Disk(error)) => {
                    tracing::warn!(%error, place.lot, place.unit, "idle content cannot be read");
                    self.0.damaged(place);
                    found.damaged.push(place);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
