//! Feed what is final to archive and pool, and fill the archive from consensus where it is behind.

use crate::{application::FinalBlock, block::Block, engine::Marshal};
use alloy_consensus::EMPTY_ROOT_HASH;
use archive::Archive;
use commonware_consensus::{marshal::Identifier, types::Height};
use commonware_runtime::Clock;
use execution::{BlockContext, Executor, Outcome, recover_all};
use mempool::Mempool;
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::mpsc;
use tracing::{error, info};
use types::{
    ChainSpec,
    state::{Account, StateKey},
};

/// Time between two looks for a block that consensus has yet to fetch.
const RETRY: Duration = Duration::from_millis(200);

/// Why the archive cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum IndexerError {
    #[error("the archive failed: {0}")]
    Archive(#[from] archive::ArchiveError),
    #[error("the archive cannot show the state before: {0}")]
    State(#[from] archive::StateError),
    #[error("final block {height} does not execute on the archive: {reason}; delete the archive, it is rebuilt")]
    Diverged { height: u64, reason: String },
}

/// Keeps archive and pool at the tip.
pub struct Indexer {
    pub spec: Arc<ChainSpec>,
    pub executor: Executor,
    pub archive: Archive,
    pub pool: Mempool,
    pub marshal: Marshal,
}

impl Indexer {
    /// Appends the first block to an empty archive.
    pub fn begin(archive: &Archive, genesis: &Block) -> Result<(), IndexerError> {
        if archive.tip().is_none() {
            archive.append(&genesis.with_transactions(Vec::new()), &empty_outcome())?;
        }
        Ok(())
    }

    /// Catches up with consensus, then follows it.
    pub async fn run<E: Clock>(self, clock: E, mut finals: mpsc::Receiver<FinalBlock>) {
        let result = async {
            let processed = self.marshal.get_processed().await.map_or(0, |processed| processed.height().get());
            self.catch_up(&clock, processed).await?;
            while let Some(next) = finals.recv().await {
                self.follow(&clock, next).await?;
            }
            Ok::<_, IndexerError>(())
        };
        if let Err(error) = result.await {
            error!(%error, "the archive stopped");
        }
    }

    fn next_height(&self) -> u64 {
        self.archive.tip().map_or(0, |tip| tip.height + 1)
    }

    async fn catch_up<E: Clock>(&self, clock: &E, height: u64) -> Result<(), IndexerError> {
        let behind = (height + 1).saturating_sub(self.next_height());
        if behind > 0 {
            info!(behind, "filling the archive");
        }
        while self.next_height() <= height {
            let wanted = Identifier::Height(Height::new(self.next_height()));
            match self.marshal.get_block(wanted).await {
                Some(block) => self.replay(clock, block.inner()).await?,
                None => clock.sleep(RETRY).await,
            }
        }
        Ok(())
    }

    async fn follow<E: Clock>(&self, clock: &E, next: FinalBlock) -> Result<(), IndexerError> {
        let height = next.block.header().height;
        if height < self.next_height() {
            return Ok(());
        }
        if let Some(before) = height.checked_sub(1) {
            self.catch_up(clock, before).await?;
        }
        match next.executed {
            Some(executed) => self.append(clock, &executed.block, &executed.outcome),
            None => self.replay(clock, &next.block).await,
        }
    }

    /// Executes a block again, on the archive's own state.
    async fn replay<E: Clock>(&self, clock: &E, block: &Block) -> Result<(), IndexerError> {
        let header = block.header();
        let diverged = |reason: String| IndexerError::Diverged { height: header.height, reason };
        let raw = block.transactions().iter().cloned().map(Into::into).collect();
        let transactions = recover_all(raw).map_err(|(_, error)| diverged(error.to_string()))?;
        let state = self.archive.state_at(header.height.saturating_sub(1))?;
        let context = BlockContext::of(header, &self.spec);
        let outcome = self.executor.execute(&context, &transactions, &state).await;
        let outcome = outcome.map_err(|error| diverged(error.to_string()))?;
        if outcome.receipts_root != header.receipts_root {
            return Err(diverged("other receipts".into()));
        }
        self.append(clock, &block.with_transactions(transactions), &outcome)
    }

    fn append<E: Clock>(&self, clock: &E, block: &types::Block, outcome: &Outcome) -> Result<(), IndexerError> {
        self.archive.append(block, outcome)?;
        let accounts = outcome.changes.iter().filter_map(|(key, value)| match key {
            StateKey::Account(address) => Some((*address, value.as_ref().map(Account::decode).unwrap_or_default())),
            StateKey::Slot(..) => None,
        });
        let base_fee = execution::next_base_fee(&block.header, &self.spec);
        let now = clock.current().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let accounts: Vec<_> = accounts.collect();
        self.pool.on_block(&block.transactions, &accounts, base_fee, now);
        Ok(())
    }
}

/// What comes of a block that nobody executed: genesis.
fn empty_outcome() -> Outcome {
    Outcome {
        receipts: Vec::new(),
        system_logs: Vec::new(),
        receipts_root: EMPTY_ROOT_HASH,
        logs_bloom: Default::default(),
        gas_used: 0,
        changes: Vec::new(),
        code: Vec::new(),
    }
}
