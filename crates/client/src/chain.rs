//! Reach the chain: what clients and miners ask of a node, behind one trait.
//!
//! [`RpcChain`] asks over JSON-RPC and believes what the committee of its [`Trust`] has signed; a simulation answers in
//! the same process. [`Network`] adds typed reads of the protocol's modules to either.

#[cfg(any(test, feature = "memory"))]
mod memory;
mod network;
mod rpc;
mod trust;

#[cfg(any(test, feature = "memory"))]
pub use memory::MemoryChain;

pub use network::{Member, Network, OpenVolume, Stamp};
pub use rpc::{RpcChain, RpcOptions};
pub use trust::{AGE_MAX_MS, Distrust, Trust};

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use async_trait::async_trait;
use std::sync::Arc;
use types::{
    Beacon, ChainSpec,
    state::{StateKey, Value},
};

/// Most entries of the state that are read at once.
pub const STATE_KEYS_MAX: usize = 256;

/// The newest finalised block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Blocks since genesis.
    pub height: u64,
    /// Hash of the header.
    pub hash: B256,
    /// The block's time, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// EIP-1559 base fee, wei.
    pub base_fee_per_gas: u64,
}

/// What an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Transactions of it that are in blocks.
    pub nonce: u64,
    /// Nonce of its next transaction, counting those that wait in the node's pool.
    pub pending_nonce: u64,
    /// Wei.
    pub balance: U256,
}

/// A call to estimate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Who calls.
    pub from: Address,
    /// What is called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// Input.
    pub data: Bytes,
}

/// Which logs to return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// First height.
    pub from: u64,
    /// Last height; the newest block if absent.
    pub to: Option<u64>,
    /// The contract that logged.
    pub address: Address,
    /// For each topic, the values that match; anything if absent.
    pub topics: [Option<Vec<B256>>; 4],
}

/// A log and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Height of its block.
    pub height: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Hash of its transaction.
    pub transaction_hash: B256,
    /// Position among the block's logs.
    pub log_index: u64,
    /// Address, topics and data.
    pub log: Log,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionReceipt {
    /// Hash of the transaction.
    pub transaction_hash: B256,
    /// Whether it had its effect; a failed one only paid gas.
    pub succeeded: bool,
    /// Height of its block.
    pub height: u64,
    /// Gas used.
    pub gas_used: u64,
    /// Its logs.
    pub logs: Vec<Log>,
}

/// Entries of the state after one block, for which the chain's committee vouches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The block.
    pub height: u64,
    /// The block's time, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The values in the order asked for; nothing where there is no entry.
    pub values: Vec<Option<Value>>,
}

/// A question to the chain went unanswered or was answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No answer arrived.
    #[error("the node at {node} cannot be reached ({reason}): check that it runs and that --rpc names it")]
    Unreachable {
        /// Where we asked.
        node: String,
        /// What happened.
        reason: String,
    },
    /// The node refused.
    #[error("the node answered with error {code}: {message}")]
    Rpc {
        /// JSON-RPC error code.
        code: i32,
        /// The node's words.
        message: String,
    },
    /// The call ran and reverted.
    #[error("{}", crate::account::explain(data))]
    Reverted {
        /// Revert data.
        data: Bytes,
    },
    /// The node cannot prove what it says.
    #[error("what the node at {node} says is not believed: {reason} (if it goes on, name another node with --rpc)")]
    Unverified {
        /// Where we asked.
        node: String,
        /// What is wrong.
        reason: String,
    },
    /// The node proves how things were, but not lately.
    #[error("{}", old(node, *age_s))]
    Old {
        /// Where we asked.
        node: String,
        /// Seconds between the newest block that it proves and now.
        age_s: u64,
    },
    /// The node's answer cannot be right.
    #[error("the node's answer is invalid: {0}")]
    Invalid(String),
}

impl ChainError {
    /// Whether another node may do better.
    pub fn is_of_node(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unverified { .. } | Self::Old { .. })
    }
}

fn old(node: &str, age_s: u64) -> String {
    format!(
        "the newest block that the node at {node} proves is {age_s} s old: the chain stands still, the node lags behind, \
         or this clock is wrong (what was stored can be read all the same; nothing can be changed)"
    )
}

/// What clients and miners ask of the chain.
///
/// Only [`spec`](Self::spec), [`state`](Self::state) and [`beacon`](Self::beacon) are to be believed. Everything else is what one node says: good
/// for finding out where to look and for what does no harm when it is wrong.
#[async_trait]
pub trait ChainApi: Send + Sync + 'static {
    /// The chain's specification.
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError>;

    /// The newest finalised block.
    async fn head(&self) -> Result<Head, ChainError>;

    /// Waits until a block above `height` is final and returns the newest.
    async fn wait_above(&self, height: u64) -> Result<Head, ChainError>;

    /// Runs a read-only call on the newest state.
    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError>;

    /// Runs several read-only calls, in one round trip where that is possible.
    async fn call_many(&self, calls: Vec<(Address, Bytes)>) -> Result<Vec<Bytes>, ChainError> {
        let mut outputs = Vec::with_capacity(calls.len());
        for (to, data) in calls {
            outputs.push(self.call(to, data).await?);
        }
        Ok(outputs)
    }

    /// Gas that a transaction would take; fails as the transaction would.
    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError>;

    /// Logs in their order on the chain.
    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError>;

    /// Nonce and balance of an account.
    async fn account(&self, address: Address) -> Result<AccountState, ChainError>;

    /// Hands a signed transaction to the pool and returns its hash. Sending the same again is no error.
    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError>;

    /// The receipt, once the transaction is in a finalised block.
    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError>;

    /// Receiver and input of a transaction in a finalised block, if the node still has it.
    async fn transaction(&self, _hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        Err(ChainError::Invalid("this chain keeps no transactions".into()))
    }

    /// The beacon that the block at `height` brought, if it brought one, for which the chain's committee vouches.
    async fn beacon(&self, _height: u64) -> Result<Option<Beacon>, ChainError> {
        Err(ChainError::Invalid("this chain shows no certificates".into()))
    }

    /// Entries of the newest state, at most [`STATE_KEYS_MAX`], all of one block.
    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError>;
}
