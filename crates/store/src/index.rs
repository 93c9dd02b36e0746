//! Look up and change records in redb.

use crate::{
    disk::Disk,
    record::{FragmentKey, FragmentRecord, FragmentState},
    store::{Change, StoreError},
};
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use std::{collections::BTreeMap, ops::Bound};

const FRAGMENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("fragments");
const NOTES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("notes");

/// Memory for pages of the index.
const CACHE_BYTES: usize = 16 << 20;

/// Key and value of something a miner wrote down.
pub type Note = (Vec<u8>, Vec<u8>);

/// The records, and the notes that commit with them.
pub(crate) struct Index(Database);

/// What a commit did to the records: the effect on books and files.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Records before and after, for each key that changed.
    pub(crate) records: BTreeMap<FragmentKey, (Option<FragmentRecord>, Option<FragmentRecord>)>,
}

/// One request to the index.
#[derive(Debug)]
pub(crate) enum Step {
    Insert(Box<FragmentRecord>),
    Change(Change),
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Index(error.to_string())
}

fn decode(key: FragmentKey, bytes: &[u8]) -> Result<FragmentRecord, StoreError> {
    FragmentRecord::decode(key, bytes).ok_or_else(|| failed(format!("the record of {} is damaged", key.segment)))
}

impl Index {
    /// Opens the disk's index, or makes an empty one.
    pub(crate) fn open<D: Disk>(disk: &D) -> Result<Self, StoreError> {
        let failed_disk = |error: std::io::Error| StoreError::Disk(error.to_string());
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        if let Some(storage) = disk.open_index().map_err(failed_disk)? {
            return builder.create_with_backend(storage).map(Self).map_err(failed);
        }
        let storage = disk.create_index().map_err(failed_disk)?;
        let database = builder.create_with_backend(storage).map_err(failed)?;
        let transaction = database.begin_write().map_err(failed)?;
        transaction.open_table(FRAGMENTS).map_err(failed)?;
        transaction.open_table(NOTES).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        disk.finish_index().map_err(failed_disk)?;
        Ok(Self(database))
    }

    /// Does all steps, or none of them, and makes them survive a crash.
    pub(crate) fn commit(&self, steps: Vec<Step>) -> Result<Effects, StoreError> {
        let mut effects = Effects::default();
        let transaction = self.0.begin_write().map_err(failed)?;
        {
            let mut fragments = transaction.open_table(FRAGMENTS).map_err(failed)?;
            let mut notes = transaction.open_table(NOTES).map_err(failed)?;
            for step in steps {
                match step {
                    Step::Insert(record) => effects.set(&mut fragments, record.key, Some(*record))?,
                    Step::Change(Change::Note { key, value: Some(value) }) => {
                        notes.insert(&key[..], &value[..]).map_err(failed)?;
                    }
                    Step::Change(Change::Note { key, value: None }) => {
                        notes.remove(&key[..]).map_err(failed)?;
                    }
                    Step::Change(change) => effects.change(&mut fragments, change)?,
                }
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(effects)
    }

    pub(crate) fn record(&self, key: FragmentKey) -> Result<Option<FragmentRecord>, StoreError> {
        let transaction = self.0.begin_read().map_err(failed)?;
        let fragments = transaction.open_table(FRAGMENTS).map_err(failed)?;
        let found = fragments.get(&key.encode()[..]).map_err(failed)?;
        found.map(|bytes| decode(key, bytes.value())).transpose()
    }

    /// At most `limit` records after a key, in order.
    pub(crate) fn records_after(
        &self,
        after: Option<FragmentKey>,
        limit: usize,
    ) -> Result<Vec<FragmentRecord>, StoreError> {
        let transaction = self.0.begin_read().map_err(failed)?;
        let fragments = transaction.open_table(FRAGMENTS).map_err(failed)?;
        let start = after.map(|key| key.encode());
        let from = start.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(&key[..]));
        let range = fragments.range::<&[u8]>((from, Bound::Unbounded)).map_err(failed)?;
        range
            .take(limit)
            .map(|entry| {
                let (key, bytes) = entry.map_err(failed)?;
                let key = FragmentKey::decode(key.value()).ok_or_else(|| failed("a key is damaged"))?;
                decode(key, bytes.value())
            })
            .collect()
    }

    pub(crate) fn note(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.0.begin_read().map_err(failed)?;
        let notes = transaction.open_table(NOTES).map_err(failed)?;
        Ok(notes.get(key).map_err(failed)?.map(|value| value.value().to_vec()))
    }

    /// At most `limit` notes from one key up to but without another, in order.
    pub(crate) fn notes(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Note>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let transaction = self.0.begin_read().map_err(failed)?;
        let notes = transaction.open_table(NOTES).map_err(failed)?;
        let range = notes.range::<&[u8]>(from..to).map_err(failed)?;
        range
            .take(limit)
            .map(|entry| {
                let (key, value) = entry.map_err(failed)?;
                Ok((key.value().to_vec(), value.value().to_vec()))
            })
            .collect()
    }
}

impl Effects {
    fn change(&mut self, fragments: &mut Table<'_, &[u8], &[u8]>, change: Change) -> Result<(), StoreError> {
        let key = match &change {
            Change::Keep(key) | Change::Return(key) | Change::Remove(key) | Change::Hold { key, .. } => *key,
            Change::Note { .. } => return Ok(()),
        };
        let found = fragments.get(&key.encode()[..]).map_err(failed)?;
        // What is not there needs no change: a repeated update has no further effect.
        let Some(mut record) = found.map(|bytes| decode(key, bytes.value())).transpose()? else { return Ok(()) };
        let after = match change {
            Change::Keep(_) => {
                record.state = FragmentState::Kept;
                Some(record)
            }
            Change::Return(_) => {
                (record.state, record.territory) = (FragmentState::Staged, 0);
                Some(record)
            }
            Change::Hold { until_height, .. } => {
                record.expires_at_height = record.expires_at_height.max(until_height);
                Some(record)
            }
            Change::Remove(_) | Change::Note { .. } => None,
        };
        self.set(fragments, key, after)
    }

    fn set(
        &mut self,
        fragments: &mut Table<'_, &[u8], &[u8]>,
        key: FragmentKey,
        after: Option<FragmentRecord>,
    ) -> Result<(), StoreError> {
        let encoded = key.encode();
        let before = match &after {
            Some(record) => fragments.insert(&encoded[..], &record.encode()[..]).map_err(failed)?,
            None => fragments.remove(&encoded[..]).map_err(failed)?,
        };
        let before = before.map(|bytes| decode(key, bytes.value())).transpose()?;
        self.records.entry(key).or_insert((before, None)).1 = after;
        Ok(())
    }
}
