//! Write plotted units, so that they count only when they survive a crash.

use super::{Plotter, session::Filled};
use crate::idle::{
    Shared, Trouble,
    books::{Job, Unit},
    record,
};
use memmap2::MmapMut;
use proofs::idle::UnitHashes;
use std::{
    io,
    sync::mpsc::{Receiver, Sender},
};
use store::StoreError;

enum PutError {
    Disk(io::Error),
    Store(StoreError),
}

impl From<io::Error> for PutError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<StoreError> for PutError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Writes what comes until no more does, or plotting is to stop. A unit that the disk refuses waits with its buffer.
pub(super) fn run(plotter: &Plotter, filled: Receiver<Filled>, give_back: Sender<MmapMut>) {
    super::give_precedence(plotter.config.nice);
    // Gone when plotting is to stop: the other end waits for buffers, and must not wait for ever.
    let mut give_back = Some(give_back);
    for unit in filled {
        give_back = give_back.filter(|_| write(plotter, &unit));
        plotter.shared.update(|books| books.put_back(unit.job.place));
        if let Some(give_back) = &give_back {
            // Nobody needs it any more when the other end is gone.
            drop(give_back.send(unit.content));
        }
    }
}

/// Writes a unit, however often it takes; false when plotting is to stop.
fn write(plotter: &Plotter, unit: &Filled) -> bool {
    loop {
        match plotter.put(unit) {
            Ok(()) => return true,
            Err(PutError::Store(error)) => {
                plotter.stop_for_good(&error);
                return false;
            }
            Err(PutError::Disk(error)) => plotter.shared.tell(Some(Trouble::Disk(error.to_string()))),
        }
        if !plotter.pause() {
            return false;
        }
    }
}

impl Plotter {
    fn put(&self, unit: &Filled) -> Result<(), PutError> {
        let Filled { job, content, hashes } = unit;
        let shared = &self.shared;
        let Some(first_held) = shared.first_held(job) else { return Ok(()) };
        if let Some(known) = job.known.filter(|known| *known != hashes.root) {
            shared.tell(Some(Trouble::Unequal(job.place)));
            shared.update(|books| books.set(job.place, Unit::Wrong(known)));
            return Ok(());
        }
        let parts = shared.layout.parts(content, first_held);
        if !parts.is_empty() {
            shared.files.write(job.place, &parts)?;
            shared.files.publish(job.place)?;
        }
        self.runtime.block_on(shared.acknowledge(job, hashes, first_held))?;
        shared.tell(None);
        Ok(())
    }
}

impl Shared {
    /// What is held of a unit; nothing if its lot is gone.
    fn first_held(&self, job: &Job) -> Option<u32> {
        let books = self.books.lock();
        let beacon = books.record(job.place.lot)?.beacon;
        (beacon == job.beacon).then(|| books.first_held(job.place))
    }

    /// Notes a unit whose file survives a crash, from slot `first_held` on.
    async fn acknowledge(&self, job: &Job, hashes: &UnitHashes, first_held: u32) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let place = job.place;
        if self.first_held(job).is_some() {
            if job.known.is_none() {
                self.store.update(vec![record::put_unit(place, hashes)]).await?;
            }
            self.update(|books| {
                books.set(place, Unit::Held(hashes.root));
                // It has been refilled since.
                if books.first_held(place) < first_held {
                    books.damage(place);
                }
            });
        }
        // More may have been given up since, or the whole lot.
        let file_bytes = self.books.lock().file_bytes_kept(place);
        if file_bytes < self.layout.file_bytes(first_held) {
            self.cut_now(place, file_bytes);
        }
        Ok(())
    }
}
