//! Bring files and notes together again after a crash.

use crate::{
    idle::{
        IdleError, IdleLayout, UnitFiles, UnitPlace,
        books::{Books, Unit},
        record,
    },
    notes,
};
use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    sync::Arc,
};
use store::{Store, StoreError};

/// What opening an idle space found and put right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdleRecovery {
    /// Files without a note, removed: units that were not acknowledged, or of lots that were let go.
    pub orphan_count: u64,
    /// Unfinished files, removed.
    pub unfinished_count: u64,
    /// Units whose file is gone or too short: they will be plotted again.
    pub damaged: Vec<UnitPlace>,
}

/// Compares notes with files, removes what has no counterpart, and counts the rest.
pub(crate) async fn recover(
    layout: IdleLayout,
    files: &Arc<dyn UnitFiles>,
    store: &Store,
) -> Result<(Books, IdleRecovery), IdleError> {
    let mut recovery = IdleRecovery::default();
    let mut found: HashMap<UnitPlace, u64>;
    (recovery.unfinished_count, found) = on_disk(files, |files| {
        let unfinished_count = files.remove_unfinished()?;
        Ok((unfinished_count, files.list()?.into_iter().collect()))
    })
    .await?;
    let mut books = Books::new(layout);
    for (key, value) in notes::all(store, record::lot_keys()).await? {
        let (lot, record) = record::read_lot(&key, &value).ok_or(IdleError::Notes)?;
        books.add(lot, record);
    }
    let mut too_long = Vec::new();
    let mut keys = record::unit_keys();
    loop {
        let page = notes::next_page(store, &mut keys).await?;
        if page.is_empty() {
            break;
        }
        for (key, value) in page {
            let place = record::read_place(&key).ok_or(IdleError::Notes)?;
            let hashes = record::read_unit(&value, layout.unit_slots()).ok_or(IdleError::Notes)?;
            books.unit(place).ok_or(IdleError::Notes)?;
            let (needed, bytes) = (books.file_bytes(place), found.remove(&place).unwrap_or_default());
            if bytes < needed {
                recovery.damaged.push(place);
                books.set(place, Unit::Damaged(hashes.root));
            } else {
                books.set(place, Unit::Held(hashes.root));
            }
            if bytes > needed {
                too_long.push((place, needed));
            }
        }
    }
    recovery.orphan_count = found.len() as u64;
    too_long.extend(found.into_keys().map(|place| (place, 0)));
    on_disk(files, |files| too_long.into_iter().try_for_each(|(place, bytes)| cut(files, place, bytes))).await?;
    Ok((books, recovery))
}

/// Brings a file to a length, or removes it if that is nothing.
pub(crate) fn cut(files: &dyn UnitFiles, place: UnitPlace, bytes: u64) -> io::Result<()> {
    match if bytes == 0 { files.remove(place) } else { files.truncate(place, bytes) } {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        cut => cut,
    }
}

async fn on_disk<T: Send + 'static>(
    files: &Arc<dyn UnitFiles>,
    work: impl FnOnce(&dyn UnitFiles) -> io::Result<T> + Send + 'static,
) -> Result<T, IdleError> {
    let files = files.clone();
    let done = tokio::task::spawn_blocking(move || work(&*files)).await;
    let done = done.map_err(|_| IdleError::Store(StoreError::Stopped))?;
    done.map_err(|error| IdleError::Disk(error.to_string()))
}
