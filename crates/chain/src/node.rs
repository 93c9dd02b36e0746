//! Answer for a running validator: take transactions, prove state, show certificates.

use crate::{engine::Marshal, epochs::Schemes, proof::prove, seeds::round, state::Databases};
use alloy_primitives::{B256, Bytes};
use archive::Archive;
use commonware_codec::Encode;
use commonware_consensus::types::Height;
use commonware_runtime::{Clock, Spawner, tokio::Context};
use commonware_storage::Context as StorageContext;
use execution::{Executor, StateReader};
use mempool::{Mempool, PoolError};
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::{mpsc, watch};
use types::{
    ChainSpec, Header, Transaction,
    abi::MINERS,
    layout::{Query, miners::OperatorQuery},
    proof::StateProof,
    state::{Account, StateKey},
};

/// Longest wait for a certificate of exactly the block whose state is at hand.
const PROOF_WAIT_MAX: Duration = Duration::from_secs(5);
const PROOF_RETRY: Duration = Duration::from_millis(5);
/// Most entries of one proof.
const PROOF_ENTRIES_MAX: usize = 256;

/// A handle to a running validator, in whatever runtime it runs.
pub struct Node<E: Clock + StorageContext + Spawner = Context> {
    pub(crate) inner: Arc<NodeInner<E>>,
}

impl<E: Clock + StorageContext + Spawner> Clone for Node<E> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

pub(crate) struct NodeInner<E: Clock + StorageContext + Spawner> {
    pub spec: Arc<ChainSpec>,
    pub clock: E,
    pub archive: Archive,
    pub pool: Mempool,
    pub executor: Executor,
    pub marshal: Marshal,
    pub databases: Databases<E>,
    pub applied: watch::Receiver<Option<Header>>,
    pub submitted: mpsc::Sender<Arc<Transaction>>,
    pub group_key: Bytes,
    pub schemes: Schemes,
}

/// What a validator says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Consensus epoch of the last block.
    pub epoch: u64,
    /// View of the last block.
    pub view: u64,
    /// Keys of the committee.
    pub committee: Vec<B256>,
    /// The group key, compressed.
    pub group_key: Bytes,
}

/// A transaction is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The pool refuses it.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The state cannot be read.
    #[error("the node cannot read its state: {0}")]
    State(String),
}

/// State cannot be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Too much at once.
    #[error("a proof has at most {PROOF_ENTRIES_MAX} entries")]
    TooMany,
    /// The chain stands still, or this node is behind.
    #[error("no certificate for the current state within {} s; try again", PROOF_WAIT_MAX.as_secs())]
    NoCertificate,
    /// The store failed.
    #[error("the state store failed: {0}")]
    State(String),
}

/// A certificate is not there.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The height is not final yet, or its block has no certificate of its own.
    #[error("no certificate at or above height {0}")]
    NotFound(u64),
}

impl<E: Clock + StorageContext + Spawner> Node<E> {
    /// The chain's specification.
    pub fn spec(&self) -> Arc<ChainSpec> {
        self.inner.spec.clone()
    }

    /// Blocks, receipts and state by height.
    pub fn archive(&self) -> Archive {
        self.inner.archive.clone()
    }

    /// Waiting transactions.
    pub fn mempool(&self) -> Mempool {
        self.inner.pool.clone()
    }

    /// Runs calls.
    pub fn executor(&self) -> Executor {
        self.inner.executor.clone()
    }

    /// Takes a transaction into the pool and passes it on.
    pub async fn submit(&self, transaction: Transaction) -> Result<B256, SubmitError> {
        let transaction = Arc::new(transaction);
        admit(&self.inner.clock, &self.inner.pool, &self.inner.archive, transaction.clone()).await?;
        let hash = transaction.hash();
        // A full queue only means that this validator includes it itself.
        let _ = self.inner.submitted.try_send(transaction);
        Ok(hash)
    }

    /// Proves entries of the current state.
    pub async fn prove(&self, keys: Vec<StateKey>) -> Result<StateProof, ProveError> {
        if keys.len() > PROOF_ENTRIES_MAX {
            return Err(ProveError::TooMany);
        }
        let deadline = self.inner.clock.current() + PROOF_WAIT_MAX;
        while self.inner.clock.current() < deadline {
            if let Some(proof) = self.try_prove(&keys).await? {
                return Ok(proof);
            }
            self.inner.clock.sleep(PROOF_RETRY).await;
        }
        Err(ProveError::NoCertificate)
    }

    /// Proves on the applied block, if it is one with a certificate.
    pub(crate) async fn try_prove(&self, keys: &[StateKey]) -> Result<Option<StateProof>, ProveError> {
        let Some(header) = self.inner.applied.borrow().clone() else { return Ok(None) };
        let entries = prove(&self.inner.databases, &header, keys).await;
        let entries = entries.map_err(|error| ProveError::State(error.to_string()))?;
        let certificate = self.certificate_of(header.height).await;
        Ok(entries.zip(certificate).map(|(entries, certificate)| StateProof {
            header: header.encode().into(),
            certificate,
            entries,
        }))
    }

    async fn certificate_of(&self, height: u64) -> Option<Bytes> {
        let finalization = self.inner.marshal.get_finalization(Height::new(height)).await?;
        Some(finalization.encode().to_vec().into())
    }

    /// The header and certificate of the first certified block at or above `height`; of the last one without a height.
    /// A block may be final through its child's certificate alone.
    pub async fn certificate(&self, height: Option<u64>) -> Result<(Bytes, Bytes), CertificateError> {
        let tip = self.inner.archive.tip().map_or(0, |tip| tip.height);
        let candidates: Vec<u64> = match height {
            Some(height) => (height..=tip).take(PROOF_ENTRIES_MAX).collect(),
            None => (0..=tip).rev().take(PROOF_ENTRIES_MAX).collect(),
        };
        for candidate in candidates {
            if let Some(certificate) = self.certificate_of(candidate).await
                && let Ok(Some((_, header))) = self.inner.archive.header(candidate)
            {
                return Ok((header.encode().into(), certificate));
            }
        }
        Err(CertificateError::NotFound(height.unwrap_or_default()))
    }

    /// The committee and where it is.
    pub fn status(&self) -> NodeStatus {
        let applied = self.inner.applied.borrow();
        let round = applied.as_ref().map_or(round(0, 0), |header| round(header.epoch, header.view));
        NodeStatus {
            epoch: round.epoch().get(),
            view: round.view().get(),
            committee: self.inner.schemes.signers(round.epoch()).unwrap_or_default(),
            group_key: self.inner.group_key.clone(),
        }
    }
}

/// Checks a transaction against its sender's account and takes it into the pool.
pub(crate) async fn admit<E: Clock>(
    clock: &E,
    pool: &Mempool,
    archive: &Archive,
    transaction: Arc<Transaction>,
) -> Result<(), SubmitError> {
    let failed = |error: &dyn std::fmt::Display| SubmitError::State(error.to_string());
    let height = archive.tip().map_or(0, |tip| tip.height);
    let state = archive.state_at(height).map_err(|error| failed(&error))?;
    let values = state.read(&[StateKey::Account(transaction.sender())]).await.map_err(|error| failed(&error))?;
    let account = values.into_iter().next().flatten().map(|value| Account::decode(&value)).unwrap_or_default();
    if transaction.lane().is_some() {
        // Accounts cost nothing, but a miner has collateral.
        let keys: Vec<_> =
            OperatorQuery(transaction.sender()).slots().into_iter().map(|slot| StateKey::Slot(MINERS, slot)).collect();
        let registered = state.read(&keys).await.map_err(|error| failed(&error))?;
        if registered.iter().all(Option::is_none) {
            return Err(PoolError::NotMiner { sender: transaction.sender() }.into());
        }
    }
    let now = clock.current().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    pool.add(transaction, account, now)?;
    Ok(())
}
