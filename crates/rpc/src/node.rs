//! Ask a running validator for what the archive does not have.

use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use mempool::PoolError;
use types::{Transaction, proof::StateProof, state::StateKey};

/// A validator as RPC needs it.
#[async_trait]
pub trait Node: Send + Sync + 'static {
    /// Takes a transaction into the pool and passes it on to the other validators.
    async fn submit(&self, transaction: Transaction) -> Result<B256, SubmitError>;

    /// Proves current values, or their absence, with the finality certificate of their block.
    async fn prove(&self, keys: Vec<StateKey>) -> Result<StateProof, String>;

    /// What the validator knows of consensus.
    fn status(&self) -> NodeStatus;

    /// The header at `height`, or the newest, with its certificate.
    async fn certificate(&self, height: Option<u64>) -> Result<Option<(Bytes, Bytes)>, String>;
}

/// Where consensus is, and who takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// Consensus epoch.
    pub epoch: u64,
    /// Consensus view.
    pub view: u64,
    /// Ed25519 keys of the committee, in the order of their seats.
    pub committee: Vec<B256>,
    /// The group's public key.
    pub group_key: Bytes,
    /// Peers that this validator is connected to.
    pub peers: usize,
}

/// Why a validator does not take a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The transaction, or the pool, is at fault.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The validator is.
    #[error("the node cannot take transactions now: {0}")]
    Unavailable(String),
}
