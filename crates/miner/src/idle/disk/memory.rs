//! Imitate the files of idle units in memory, and what a crash at any step leaves of them.
//!
//! What was not synced may be there after a crash, or as it was before, or in part: a seed decides.

use super::UnitFiles;
use crate::idle::UnitPlace;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<UnitPlace, Vec<u8>>,
    /// The files that a crash cannot change.
    synced: BTreeMap<UnitPlace, Vec<u8>>,
    unfinished: BTreeMap<UnitPlace, Vec<u8>>,
    steps: u64,
    crash_after: Option<u64>,
    failure: Option<io::ErrorKind>,
}

/// Idle units in memory; clones are the same files.
#[derive(Clone, Debug, Default)]
pub struct MemoryUnits(Arc<Mutex<Inner>>);

impl MemoryUnits {
    /// Steps so far: everything that changes files or syncs them.
    pub fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Lets every step fail that comes after this many.
    pub fn crash_after(&self, steps: u64) {
        self.0.lock().crash_after = Some(steps);
    }

    /// Lets every write fail, as on a full or broken disk, until told otherwise.
    pub fn fail(&self, failure: Option<io::ErrorKind>) {
        self.0.lock().failure = failure;
    }

    /// The files that the machine finds when it comes back; `seed` decides about what was not synced.
    pub fn after_crash(&self, seed: u64) -> Self {
        let inner = self.0.lock();
        let coin = |place: &UnitPlace, number: u8| {
            let UnitPlace { lot, unit } = place;
            let bytes = [&seed.to_be_bytes()[..], &lot.to_be_bytes(), &unit.to_be_bytes(), &[number]].concat();
            bytes
                .iter()
                .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
                >> 40
        };
        let places: BTreeSet<_> = inner.files.keys().chain(inner.synced.keys()).collect();
        let survivors = places.into_iter().filter_map(|place| {
            let version = if coin(place, 0) % 2 == 0 { &inner.files } else { &inner.synced };
            version.get(place).map(|content| (*place, content.clone()))
        });
        let files: BTreeMap<_, _> = survivors.collect();
        let unfinished = inner.unfinished.iter().filter(|(place, _)| coin(place, 1) % 2 == 0);
        let unfinished = unfinished.map(|(place, content)| {
            let length = coin(place, 2) as usize % (content.len() + 1);
            (*place, content[..length].to_vec())
        });
        let unfinished = unfinished.collect();
        Self(Arc::new(Mutex::new(Inner { synced: files.clone(), files, unfinished, ..Inner::default() })))
    }

    /// Changes one byte of a file, as rot does.
    pub fn rot(&self, place: UnitPlace, at: usize) {
        if let Some(byte) = self.0.lock().files.get_mut(&place).and_then(|file| file.get_mut(at)) {
            *byte ^= 1;
        }
    }

    /// Takes a file away, as a careless person does.
    pub fn lose(&self, place: UnitPlace) {
        let mut inner = self.0.lock();
        inner.files.remove(&place);
        inner.synced.remove(&place);
    }
}

impl Inner {
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        match self.crash_after {
            Some(limit) if self.steps > limit => Err(io::Error::other("the machine has crashed")),
            _ => Ok(()),
        }
    }
}

impl UnitFiles for MemoryUnits {
    fn write(&self, place: UnitPlace, parts: &[&[u8]]) -> io::Result<()> {
        let mut inner = self.0.lock();
        if let Some(failure) = inner.failure {
            return Err(failure.into());
        }
        inner.unfinished.insert(place, parts.concat());
        inner.step()
    }

    fn publish(&self, place: UnitPlace) -> io::Result<()> {
        let mut inner = self.0.lock();
        let content = inner.unfinished.remove(&place).ok_or(io::ErrorKind::NotFound)?;
        inner.files.insert(place, content);
        inner.step()?;
        let synced: Vec<_> =
            inner.files.iter().filter(|(at, _)| at.lot == place.lot).map(|(at, c)| (*at, c.clone())).collect();
        inner.synced.retain(|at, _| at.lot != place.lot);
        inner.synced.extend(synced);
        inner.step()
    }

    fn read(&self, place: UnitPlace, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.0.lock();
        let file = inner.files.get(&place).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start.checked_add(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(file.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn truncate(&self, place: UnitPlace, bytes: u64) -> io::Result<()> {
        let mut inner = self.0.lock();
        let file = inner.files.get_mut(&place).ok_or(io::ErrorKind::NotFound)?;
        file.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
        inner.step()
    }

    fn remove(&self, place: UnitPlace) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.files.remove(&place);
        inner.step()
    }

    fn list(&self) -> io::Result<Vec<(UnitPlace, u64)>> {
        Ok(self.0.lock().files.iter().map(|(place, content)| (*place, content.len() as u64)).collect())
    }

    fn remove_unfinished(&self) -> io::Result<u64> {
        let mut inner = self.0.lock();
        let count = inner.unfinished.len() as u64;
        inner.unfinished.clear();
        inner.step().map(|()| count)
    }
}
