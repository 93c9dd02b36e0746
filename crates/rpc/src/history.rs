//! Read finalised blocks, logs and state; the one file that knows the archive's interface.

use crate::error::{Answer, RpcError};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256};
use alloy_rpc_types_eth::{Filter, FilterSet};
use archive::{
    Archive, ArchiveError, Finalized, Head, LocatedTransaction, LogFilter, LogRecord, LogsError, StateError, StateView,
};
use execution::StateReader;
use std::{hash::Hash, sync::Arc};
use tokio::sync::watch;
use types::{
    Header,
    state::{Account, StateKey},
};

/// Blocks that the archive keeps decoded.
const RECENT_BLOCKS: u64 = 16;

/// The chain up to its last block.
#[derive(Clone)]
pub(crate) struct History(Archive);

impl History {
    pub fn new(archive: Archive) -> Self {
        Self(archive)
    }

    /// The last block.
    pub fn tip(&self) -> Answer<Head> {
        self.0.tip().ok_or_else(|| RpcError::Internal("the node has no block yet".into()))
    }

    /// Follows the last block.
    pub fn tips(&self) -> watch::Receiver<Option<Head>> {
        self.0.watch_tip()
    }

    /// The height that `block` names, if there is such a block. Every tag but `earliest` names the last one.
    pub fn height_of(&self, block: BlockId) -> Answer<Option<u64>> {
        match block {
            BlockId::Hash(hash) => Ok(self.0.height_of(&hash.block_hash)?),
            BlockId::Number(BlockNumberOrTag::Number(height)) => {
                Ok(self.header(height)?.map(|(_, header)| header.height))
            }
            BlockId::Number(BlockNumberOrTag::Earliest) => Ok(Some(0)),
            BlockId::Number(_) => Ok(Some(self.tip()?.height)),
        }
    }

    /// Hash and header of the block at `height`.
    pub fn header(&self, height: u64) -> Answer<Option<(B256, Header)>> {
        Ok(self.0.header(height)?)
    }

    /// Hash and header of a block that must be there.
    pub fn known_header(&self, height: u64) -> Answer<(B256, Header)> {
        self.header(height)?.ok_or_else(|| RpcError::UnknownBlock(height.to_string()))
    }

    /// The block at `height` with its receipts and logs.
    pub fn block(&self, height: u64) -> Answer<Option<Arc<Finalized>>> {
        Ok(self.0.finalized(height)?)
    }

    /// Whether the archive has the block at `height` in memory. Others cost the recovery of all their senders.
    pub fn is_recent(&self, height: u64) -> Answer<bool> {
        Ok(self.tip()?.height.saturating_sub(height) < RECENT_BLOCKS)
    }

    /// Hashes of the transactions of the block at `height`.
    pub fn transaction_hashes(&self, height: u64) -> Answer<Option<Vec<B256>>> {
        Ok(self.0.transaction_hashes(height)?)
    }

    /// Height and index of a transaction.
    pub fn locate(&self, hash: &B256) -> Answer<Option<(u64, u32)>> {
        Ok(self.0.locate(hash)?)
    }

    /// The transaction at `index` of the block at `height`.
    pub fn transaction_at(&self, height: u64, index: u32) -> Answer<Option<LocatedTransaction>> {
        Ok(self.0.transaction_at(height, index)?)
    }

    /// The state after the block at `height`.
    pub fn state(&self, height: u64) -> Answer<StateView> {
        Ok(self.0.state_at(height)?)
    }

    /// The logs that pass `filter` in the blocks `from` to `to`; none if that is no range.
    pub fn logs(&self, filter: &Filter, from: u64, to: u64) -> Answer<Vec<LogRecord>> {
        if from > to {
            return Ok(Vec::new());
        }
        Ok(self.0.logs(&LogFilter { from, to, ..wanted(filter) })?)
    }

    /// The logs that pass `filter`, or the last height up to which they can be had at once.
    pub fn logs_or_less(&self, filter: &LogFilter) -> Answer<Result<Vec<LogRecord>, u64>> {
        match self.0.logs(filter) {
            Ok(logs) => Ok(Ok(logs)),
            Err(LogsError::TooMany { to, .. } | LogsError::TooSlow { to, .. }) => Ok(Err(to)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Addresses and topics of a filter, for all heights.
pub(crate) fn wanted(filter: &Filter) -> LogFilter {
    let topics = filter.topics.each_ref().map(|topics| (!topics.is_empty()).then(|| values(topics)));
    LogFilter { from: 0, to: u64::MAX, addresses: values::<Address>(&filter.address), topics }
}

fn values<T: Eq + Hash + Copy>(set: &FilterSet<T>) -> Vec<T> {
    set.iter().copied().collect()
}

/// An account as `state` has it.
pub(crate) async fn account(state: &StateView, address: Address) -> Answer<Account> {
    let values = state.read(&[StateKey::Account(address)]).await?;
    Ok(values.first().copied().flatten().map(|value| Account::decode(&value)).unwrap_or_default())
}

impl From<ArchiveError> for RpcError {
    fn from(error: ArchiveError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<StateError> for RpcError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Pruned { height, oldest } => Self::StateNotKept { height, oldest },
            StateError::Unknown { height } => Self::UnknownBlock(height.to_string()),
            StateError::Archive(error) => error.into(),
        }
    }
}

impl From<LogsError> for RpcError {
    fn from(error: LogsError) -> Self {
        match error {
            LogsError::Archive(error) => error.into(),
            LogsError::EmptyRange { .. } | LogsError::TooManyValues { .. } => Self::InvalidParams(error.to_string()),
            LogsError::TooMany { .. } | LogsError::TooManyInBlock { .. } | LogsError::TooSlow { .. } => {
                Self::Limit(error.to_string())
            }
        }
    }
}
