//! Decide what is to be plotted, what is held, and how much space it takes.

use crate::idle::{IdleLayout, UnitPlace, record::LotRecord};
use alloy_primitives::B256;
use std::collections::{BTreeMap, BTreeSet};

/// How far a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Never plotted: its root is not known.
    New,
    /// Its file holds what its lot has not given up.
    Held(B256),
    /// Its file is damaged, too short, or gone: to be plotted again.
    Damaged(B256),
    /// Plotted again, it had another root than was noted: it cannot be had any more.
    Wrong(B256),
}

impl Unit {
    pub(crate) fn root(self) -> Option<B256> {
        match self {
            Self::New => None,
            Self::Held(root) | Self::Damaged(root) | Self::Wrong(root) => Some(root),
        }
    }
}

/// A unit to plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) place: UnitPlace,
    pub(crate) beacon: B256,
    /// The root that it had the first time.
    pub(crate) known: Option<B256>,
}

#[derive(Debug)]
struct Lot {
    record: LotRecord,
    units: Vec<Unit>,
}

/// What is known of a miner's lots. It follows from the notes and the files, apart from what is in hand.
#[derive(Debug)]
pub(crate) struct Books {
    layout: IdleLayout,
    lots: BTreeMap<u32, Lot>,
    /// Units to plot: those that are owed already first, then lot by lot.
    todo: BTreeSet<(bool, UnitPlace)>,
    /// Units that are being plotted or written.
    in_hand: BTreeSet<UnitPlace>,
    held_bytes: u64,
}

impl Books {
    pub(crate) fn new(layout: IdleLayout) -> Self {
        let (lots, todo, in_hand) = Default::default();
        Self { layout, lots, todo, in_hand, held_bytes: 0 }
    }

    /// Counts a new lot in.
    pub(crate) fn add(&mut self, lot: u32, record: LotRecord) {
        let units = vec![Unit::New; self.layout.lot_units() as usize];
        self.lots.insert(lot, Lot { record, units });
        self.places(lot).for_each(|place| self.count(place, true));
    }

    /// Forgets a lot; returns its units.
    pub(crate) fn remove(&mut self, lot: u32) -> Vec<UnitPlace> {
        let places: Vec<_> = self.places(lot).collect();
        places.iter().for_each(|place| self.set(*place, Unit::New));
        self.lots.remove(&lot);
        self.todo.retain(|(_, place)| place.lot != lot);
        places
    }

    fn places(&self, lot: u32) -> impl Iterator<Item = UnitPlace> + use<> {
        let units = if self.lots.contains_key(&lot) { self.layout.lot_units() } else { 0 };
        (0..units).map(move |unit| UnitPlace { lot, unit })
    }

    pub(crate) fn lots(&self) -> impl Iterator<Item = u32> {
        self.lots.keys().copied()
    }

    pub(crate) fn record(&self, lot: u32) -> Option<LotRecord> {
        self.lots.get(&lot).map(|lot| lot.record)
    }

    pub(crate) fn unit(&self, place: UnitPlace) -> Option<Unit> {
        self.lots.get(&place.lot)?.units.get(place.unit as usize).copied()
    }

    /// Notes how far a unit is.
    pub(crate) fn set(&mut self, place: UnitPlace, unit: Unit) {
        self.count(place, false);
        if let Some(slot) = self.lots.get_mut(&place.lot).and_then(|lot| lot.units.get_mut(place.unit as usize)) {
            *slot = unit;
        }
        self.count(place, true);
    }

    /// A unit's file does not hold what it should.
    pub(crate) fn damage(&mut self, place: UnitPlace) {
        if let Some(Unit::Held(root)) = self.unit(place) {
            self.set(place, Unit::Damaged(root));
        }
    }

    /// Notes how many of a lot's first slots are given up; returns the units whose files that changes.
    pub(crate) fn give_up(&mut self, lot: u32, given_up: u32) -> Vec<UnitPlace> {
        let Some(before) = self.record(lot) else { return Vec::new() };
        let held = |unit, given_up| self.layout.first_held(unit, given_up);
        let changed = |place: &UnitPlace| held(place.unit, before.given_up) != held(place.unit, given_up);
        let changed: Vec<_> = self.places(lot).filter(changed).collect();
        changed.iter().for_each(|place| self.count(*place, false));
        if let Some(lot) = self.lots.get_mut(&lot) {
            lot.record.given_up = given_up;
        }
        changed.iter().for_each(|place| self.count(*place, true));
        changed
    }

    /// Takes a unit in or out of the count.
    fn count(&mut self, place: UnitPlace, is_in: bool) {
        let Some(unit) = self.unit(place) else { return };
        let file_bytes = self.file_bytes(place);
        if unit != Unit::New {
            self.held_bytes = if is_in { self.held_bytes + file_bytes } else { self.held_bytes - file_bytes };
        }
        let is_due = match unit {
            Unit::New => true,
            // What is given up entirely is owed no more.
            Unit::Damaged(_) => file_bytes > 0,
            Unit::Held(_) | Unit::Wrong(_) => false,
        };
        let entry = (unit == Unit::New, place);
        if is_in && is_due && !self.in_hand.contains(&place) {
            self.todo.insert(entry);
        } else {
            self.todo.remove(&entry);
        }
    }

    /// First slot of a unit that is held.
    pub(crate) fn first_held(&self, place: UnitPlace) -> u32 {
        let given_up = self.record(place.lot).map_or(0, |record| record.given_up);
        self.layout.first_held(place.unit, given_up)
    }

    /// Bytes that the unit's file has.
    pub(crate) fn file_bytes(&self, place: UnitPlace) -> u64 {
        self.layout.file_bytes(self.first_held(place))
    }

    /// Bytes that a file of this name keeps: none where there is no such unit.
    pub(crate) fn file_bytes_kept(&self, place: UnitPlace) -> u64 {
        if self.unit(place).is_some_and(|unit| unit != Unit::New) { self.file_bytes(place) } else { 0 }
    }

    /// The next unit to plot.
    pub(crate) fn next(&self) -> Option<Job> {
        let (_, place) = *self.todo.first()?;
        let beacon = self.record(place.lot)?.beacon;
        Some(Job { place, beacon, known: self.unit(place)?.root() })
    }

    /// Takes a unit in hand.
    pub(crate) fn take(&mut self, place: UnitPlace) {
        self.in_hand.insert(place);
        self.todo.remove(&(false, place));
        self.todo.remove(&(true, place));
    }

    /// Puts a unit back that was in hand.
    pub(crate) fn put_back(&mut self, place: UnitPlace) {
        self.count(place, false);
        self.in_hand.remove(&place);
        self.count(place, true);
    }

    /// Units in all.
    pub(crate) fn units_total(&self) -> u64 {
        self.lots.len() as u64 * u64::from(self.layout.lot_units())
    }

    /// Units that are to be plotted, or being so.
    pub(crate) fn units_left(&self) -> u64 {
        (self.todo.len() + self.in_hand.len()) as u64
    }

    /// The lot that is being plotted, or the next one.
    pub(crate) fn current_lot(&self) -> Option<u32> {
        let in_hand = self.in_hand.first().map(|place| place.lot);
        in_hand.or_else(|| self.todo.first().map(|(_, place)| place.lot))
    }

    /// Bytes of all files, and of those to come of what is in hand.
    pub(crate) fn bytes(&self) -> u64 {
        self.held_bytes + self.in_hand.len() as u64 * self.layout.unit_bytes()
    }

    /// Units after one, in order, that have been plotted.
    pub(crate) fn plotted_after(&self, after: Option<UnitPlace>, limit: usize) -> Vec<UnitPlace> {
        let first = after.map_or(0, |place| place.lot);
        let places = self.lots.range(first..).flat_map(|(lot, _)| self.places(*lot));
        let plotted = places.filter(|place| after.is_none_or(|after| *place > after));
        plotted.filter(|place| self.unit(*place).is_some_and(|unit| unit != Unit::New)).take(limit).collect()
    }

    /// The first unit of a lot that was never plotted.
    pub(crate) fn first_new(&self, lot: u32) -> Option<UnitPlace> {
        self.places(lot).find(|place| self.unit(*place) == Some(Unit::New))
    }

    /// The unit roots of a lot, once all are known.
    pub(crate) fn roots(&self, lot: u32) -> Option<Vec<B256>> {
        self.lots.get(&lot)?.units.iter().map(|unit| unit.root()).collect()
    }
}

#[cfg(test)]
mod tests;
