//! Bring files and records together again after a crash.

use crate::{
    books::Books,
    disk::{FileId, Files},
    index::{Index, Step},
    record::{FragmentKey, FragmentState},
    store::{Change, StoreError},
};
use std::collections::HashMap;

/// Records that are read at once.
const PAGE: usize = 4096;

/// What opening a store found and put right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Files without a record, removed: fragments that were not acknowledged, or released.
    pub orphan_count: u64,
    /// Kept fragments whose file is gone or too short: their records were removed; they must be rebuilt.
    pub lost: Vec<FragmentKey>,
    /// Staged fragments whose file is gone or too short; their records were removed.
    pub lost_staged: Vec<FragmentKey>,
}

/// Compares files with records, removes what has no counterpart, and counts the rest.
pub(crate) fn recover(files: &dyn Files, index: &Index) -> Result<(Books, Recovery), StoreError> {
    let disk = |error: std::io::Error| StoreError::Disk(error.to_string());
    let mut found: HashMap<FileId, u64> = files.list().map_err(disk)?.into_iter().collect();
    let (mut books, mut recovery) = (Books::default(), Recovery::default());
    let mut after = None;
    loop {
        let page = index.records_after(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        for record in &page {
            // A file may be of any length if this record's was lost; longer than needed does no harm.
            let intact = found.remove(&record.file).is_some_and(|bytes| bytes >= record.file_bytes());
            match record.state {
                _ if intact => books.add(record),
                FragmentState::Kept => recovery.lost.push(record.key),
                FragmentState::Staged => recovery.lost_staged.push(record.key),
            }
        }
    }
    let lost = recovery.lost.iter().chain(&recovery.lost_staged);
    let steps: Vec<_> = lost.map(|key| Step::Change(Change::Remove(*key))).collect();
    if !steps.is_empty() {
        index.commit(steps)?;
    }
    for file in found.into_keys() {
        files.remove(file).map_err(disk)?;
        recovery.orphan_count += 1;
    }
    Ok((books, recovery))
}
