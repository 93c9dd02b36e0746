//! Read the state as it was after a recent block.

use crate::{
    archive::{Archive, View},
    error::{ArchiveError, StateError},
    table::{Table, entry, meta},
};
use alloy_primitives::{B256, Bytes};
use execution::{ReadError, StateReader};
use fjall::{Readable, Snapshot};
use types::state::{StateKey, Value};

/// The state after one block. It holds on to what it reads: keep it for a call, not for longer.
#[derive(Clone)]
pub struct StateView {
    archive: Archive,
    snapshot: Snapshot,
    height: u64,
    /// Whether later blocks have overwritten some of it.
    is_past: bool,
}

impl Archive {
    /// The state after the block at `height`.
    pub fn state_at(&self, height: u64) -> Result<StateView, StateError> {
        let view = self.view();
        let tip = view.number(meta::TIP)?.ok_or(StateError::Unknown { height })?;
        let oldest = view.number(meta::OLDEST)?.ok_or(ArchiveError::Damaged("meta"))?;
        if height > tip {
            return Err(StateError::Unknown { height });
        }
        if height < oldest {
            return Err(StateError::Pruned { height, oldest });
        }
        let snapshot = view.snapshot;
        Ok(StateView { archive: self.clone(), snapshot, height, is_past: height < tip })
    }

    /// The lowest height whose state can be read.
    pub fn oldest_state(&self) -> Result<Option<u64>, ArchiveError> {
        self.view().number(meta::OLDEST)
    }
}

impl StateView {
    /// The height whose state this is.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The value of `key`, without a future around it.
    pub fn get(&self, key: &StateKey) -> Result<Option<Value>, ArchiveError> {
        let entry = entry(key);
        let view = View { tree: &self.archive.0.tree, snapshot: self.snapshot.clone() };
        if self.is_past {
            // The first block after this height that changed the entry knows what it overwrote.
            let after = Table::History.key(&[&entry, &self.height.saturating_add(1).to_be_bytes()]);
            let end = Table::History.key(&[&entry, &u64::MAX.to_be_bytes()]);
            if let Some(item) = self.snapshot.range(view.tree, after..=end).next() {
                return decode(&item.value()?);
            }
        }
        match view.get(Table::State.key(&[&entry]))? {
            Some(value) => decode(&value),
            None => Ok(None),
        }
    }

    /// The code with this hash, without a future around it.
    pub fn get_code(&self, hash: &B256) -> Result<Option<Bytes>, ArchiveError> {
        let code = self.snapshot.get(&self.archive.0.tree, Table::Code.of_hash(hash))?;
        Ok(code.map(|code| Bytes::copy_from_slice(&code)))
    }
}

/// Reads a value; nothing stands for no entry.
fn decode(bytes: &[u8]) -> Result<Option<Value>, ArchiveError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Value::try_from(bytes).map(Some).map_err(|_| ArchiveError::Damaged("state"))
}

impl StateReader for StateView {
    async fn read(&self, keys: &[StateKey]) -> Result<Vec<Option<Value>>, ReadError> {
        keys.iter().map(|key| self.get(key)).collect::<Result<_, _>>().map_err(read_error)
    }

    async fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadError> {
        self.get_code(hash).map_err(read_error)
    }
}

fn read_error(error: ArchiveError) -> ReadError {
    ReadError(error.to_string())
}
