//! Reach the chain through the weather, and bend what a liar says to it.
//!
//! `call` takes no time: auditors ask it from within work that holds this thread (`offload::wait`). Everything else does.

use crate::{
    chance::Chance,
    weather::{HUB, Weather},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolCall, SolError};
use async_trait::async_trait;
use client::chain::{
    AccountState, CallRequest, ChainApi, ChainError, Head, LogEntry, LogFilter, Proved, TransactionReceipt,
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use types::{
    ChainSpec, Transaction,
    abi::{AUDITS, IAudits},
    state::StateKey,
};

/// What becomes of a miner's transactions on their way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    #[default]
    None,
    /// Commitments are held back for this time.
    CommitLate(Duration),
    /// After beacon B nothing is opened.
    Withhold,
    /// What the chain would refuse is not shown, nor taken for a reason to rebuild.
    HideDamage,
}

/// A way to the chain.
pub struct Link {
    chain: Arc<dyn ChainApi>,
    weather: Weather,
    region: usize,
    chance: Mutex<Chance>,
    lie: Mutex<Lie>,
}

fn unreachable(reason: &str) -> ChainError {
    ChainError::Unreachable { node: "simulated".into(), reason: reason.into() }
}

impl Link {
    /// A way from a region to the chain.
    pub fn new(chain: Arc<dyn ChainApi>, weather: Weather, region: usize, chance: Chance) -> Self {
        Self { chain, weather, region, chance: Mutex::new(chance), lie: Mutex::default() }
    }

    /// Lies from now on.
    pub fn set_lie(&self, lie: Lie) {
        *self.lie.lock() = lie;
    }

    fn lie(&self) -> Lie {
        *self.lie.lock()
    }

    fn reach(&self) -> Result<(), ChainError> {
        match self.weather.connects(self.region, HUB) {
            true if self.weather.loses(&mut self.chance.lock()) => Err(unreachable("lost")),
            true => Ok(()),
            false => Err(unreachable("in the dark")),
        }
    }

    /// One way.
    async fn travel(&self) -> Result<(), ChainError> {
        let latency = self.weather.latency(&mut self.chance.lock());
        tokio::time::sleep(latency).await;
        self.reach()
    }
}

fn is_call<C: SolCall>(to: Option<Address>, input: &[u8]) -> bool {
    to == Some(AUDITS) && input.starts_with(&C::SELECTOR)
}

#[async_trait]
impl ChainApi for Link {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        self.chain.spec().await
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.travel().await?;
        self.chain.head().await
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        let head = self.chain.wait_above(height).await?;
        self.travel().await?;
        Ok(head)
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.reach()?;
        self.chain.call(to, data).await
    }

    async fn call_many(&self, calls: Vec<(Address, Bytes)>) -> Result<Vec<Bytes>, ChainError> {
        self.travel().await?;
        self.chain.call_many(calls).await
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.travel().await?;
        let is_opening = is_call::<IAudits::openCall>(Some(request.to), &request.data);
        match self.chain.estimate_gas(request).await {
            Err(ChainError::Reverted { data })
                if is_opening
                    && self.lie() == Lie::HideDamage
                    && IAudits::InvalidOpening::abi_decode(&data).is_ok() =>
            {
                Err(unreachable("kept to itself"))
            }
            other => other,
        }
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        self.travel().await?;
        self.chain.logs(filter).await
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        self.travel().await?;
        self.chain.account(address).await
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        self.travel().await?;
        let transaction = Transaction::decode(raw.clone());
        let envelope = transaction.as_ref().ok().map(Transaction::envelope);
        let (to, input) = envelope.map_or((None, &[][..]), |envelope| (envelope.to(), envelope.input()));
        match self.lie() {
            Lie::CommitLate(by) if is_call::<IAudits::commitCall>(to, input) => tokio::time::sleep(by).await,
            Lie::Withhold if is_call::<IAudits::openCall>(to, input) => return Err(unreachable("kept to itself")),
            _ => {}
        }
        self.chain.send_raw(raw).await
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        self.reach()?;
        self.chain.receipt(hash).await
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        self.travel().await?;
        self.chain.state(keys).await
    }
}
