//! Read what one validator has: its archive, its pool, and calls on its state. No time passes meanwhile.

use super::refusal;
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256};
use chain::committee::SeatView;
use client::chain::{AccountState, CallRequest, ChainError, Head, LogEntry, LogFilter, Proved, TransactionReceipt};
use execution::{BlockContext, CallOutcome, CallStatus, EstimateError};
use std::sync::Arc;
use types::{
    ChainSpec, Header,
    state::{Account, StateKey, Value},
};

/// A look at a validator.
pub struct Window {
    view: SeatView,
    spec: Arc<ChainSpec>,
}

fn failed(error: impl std::fmt::Display) -> ChainError {
    ChainError::Invalid(error.to_string())
}

impl Window {
    /// Looks at a validator.
    pub fn new(view: SeatView, spec: Arc<ChainSpec>) -> Self {
        Self { view, spec }
    }

    fn tip(&self) -> Result<u64, ChainError> {
        Ok(self.view.archive.tip().ok_or_else(|| failed("an archive has a first block"))?.height)
    }

    fn header(&self, height: u64) -> Result<(B256, Header), ChainError> {
        self.view.archive.header(height).map_err(failed)?.ok_or_else(|| failed("blocks up to the tip are there"))
    }

    /// The newest block.
    pub fn head(&self) -> Result<Head, ChainError> {
        let (hash, header) = self.header(self.tip()?)?;
        let Header { height, timestamp_ms, base_fee_per_gas, .. } = header;
        Ok(Head { height, hash, timestamp_ms, base_fee_per_gas })
    }

    /// The header of the newest block.
    pub fn newest(&self) -> Result<Header, ChainError> {
        Ok(self.header(self.tip()?)?.1)
    }

    /// The header at a height, if there is one by now.
    pub fn header_at(&self, height: u64) -> Result<Option<Header>, ChainError> {
        Ok(self.view.archive.header(height).map_err(failed)?.map(|(_, header)| header))
    }

    /// The block at a height with what came of it.
    pub fn block(&self, height: u64) -> Result<Option<Arc<archive::Finalized>>, ChainError> {
        self.view.archive.finalized(height).map_err(failed)
    }

    /// Runs a call on the newest state.
    pub async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        let request = execution::CallRequest { to: Some(to), data, ..Default::default() };
        let height = self.tip()?;
        let context = BlockContext::of(&self.header(height)?.1, &self.spec);
        let state = self.view.archive.state_at(height).map_err(failed)?;
        let outcome = self.view.executor.call(&context, request, &state).await.map_err(failed)?;
        let CallOutcome { output, status, .. } = outcome;
        match status {
            CallStatus::Success => Ok(output),
            CallStatus::Revert => Err(ChainError::Reverted { data: output }),
            CallStatus::Halt(reason) => Err(refusal(&format!("{reason:?}"))),
        }
    }

    /// Gas that a transaction would take.
    pub async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        let CallRequest { from, to, value, data } = request;
        let request = execution::CallRequest { from, to: Some(to), value, data, ..Default::default() };
        let height = self.tip()?;
        let context = BlockContext::of(&self.header(height)?.1, &self.spec);
        let state = self.view.archive.state_at(height).map_err(failed)?;
        let estimate = self.view.executor.estimate_gas(&context, request, &state).await;
        estimate.map_err(|error| match error {
            EstimateError::Reverted { output } => ChainError::Reverted { data: output },
            error => refusal(&error),
        })
    }

    /// Logs in their order.
    pub fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        let LogFilter { from, to, address, topics } = filter;
        let to = to.unwrap_or(u64::MAX).min(self.tip()?);
        if from > to {
            return Ok(Vec::new());
        }
        let filter = archive::LogFilter { from, to, addresses: vec![address], topics };
        let records = self.view.archive.logs(&filter).map_err(failed)?;
        let entry = |record: archive::LogRecord| LogEntry {
            height: record.height,
            block_hash: record.block_hash,
            transaction_hash: record.transaction_hash,
            log_index: record.log_index.into(),
            log: record.log,
        };
        Ok(records.into_iter().map(entry).collect())
    }

    fn value(&self, key: &StateKey) -> Result<Option<Value>, ChainError> {
        self.view.archive.state_at(self.tip()?).map_err(failed)?.get(key).map_err(failed)
    }

    /// What an account has.
    pub fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        let value = self.value(&StateKey::Account(address))?;
        let Account { nonce, balance, .. } = value.as_ref().map(Account::decode).unwrap_or_default();
        let waiting = self.view.pool.pending_nonce(address).unwrap_or_default();
        Ok(AccountState { nonce, pending_nonce: nonce.max(waiting), balance })
    }

    /// What all of these accounts have together.
    pub fn balances<'a>(&self, accounts: impl IntoIterator<Item = &'a Address>) -> Result<U256, ChainError> {
        let state = self.view.archive.state_at(self.tip()?).map_err(failed)?;
        let mut sum = U256::ZERO;
        for account in accounts {
            let value = state.get(&StateKey::Account(*account)).map_err(failed)?;
            sum += value.as_ref().map(Account::decode).unwrap_or_default().balance;
        }
        Ok(sum)
    }

    /// What became of a transaction.
    pub fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        let Some((height, index)) = self.view.archive.locate(&hash).map_err(failed)? else { return Ok(None) };
        let block = self.block(height)?.ok_or_else(|| failed("a block with a transaction is there"))?;
        let index = index as usize;
        let used = |index: usize| block.receipts[index].cumulative_gas_used();
        let before = index.checked_sub(1).map_or(0, used);
        Ok(Some(TransactionReceipt {
            transaction_hash: hash,
            succeeded: block.receipts[index].status(),
            height,
            gas_used: used(index) - before,
            logs: block.logs_of(index).map(|record| record.log.clone()).collect(),
        }))
    }

    /// Receiver and input of a transaction.
    pub fn transaction(&self, hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        let found = self.view.archive.transaction(&hash).map_err(failed)?;
        Ok(found.and_then(|found| {
            let envelope = found.transaction.envelope();
            envelope.to().map(|to| (to, envelope.input().clone()))
        }))
    }

    /// Entries of the newest state, which nobody proves.
    pub fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        let Head { height, timestamp_ms, .. } = self.head()?;
        let state = self.view.archive.state_at(height).map_err(failed)?;
        let values = keys.iter().map(|key| state.get(key)).collect::<Result<_, _>>().map_err(failed)?;
        Ok(Proved { height, timestamp_ms, values })
    }
}
