//! Ask several nodes as if they were one: when one does not answer, the next is asked.

use alloy_primitives::{Address, B256, Bytes};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use client::chain::{
    AccountState, CallRequest, ChainApi, ChainError, Head, LogEntry, LogFilter, RpcChain, RpcOptions,
    TransactionReceipt,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use types::{ChainSpec, proof::StateProof, state::StateKey};

/// How often all nodes are asked before we give up.
const ROUNDS: usize = 4;
/// Pause after each round.
const PAUSE: Duration = Duration::from_millis(250);

/// Nodes of one chain, in the order in which they are tried.
pub struct Nodes {
    nodes: Vec<RpcChain>,
    /// The one that answered last.
    current: AtomicUsize,
}

impl Nodes {
    /// Nodes by the URLs of their RPC, at least one.
    pub fn new(urls: &[String]) -> Result<Self> {
        ensure!(!urls.is_empty(), "no node is named: give the URL of one's RPC");
        // Going to the next node is our way of trying again.
        let options = RpcOptions { attempts: 1, ..RpcOptions::default() };
        let nodes = urls.iter().map(|url| RpcChain::with_options(url, options)).collect::<Result<_, _>>()?;
        Ok(Self { nodes, current: AtomicUsize::new(0) })
    }

    fn attempts(&self) -> usize {
        self.nodes.len() * ROUNDS
    }

    /// Turns to the next node, pausing after each round.
    async fn leave(&self, index: usize, attempt: usize) {
        let next = (index + 1) % self.nodes.len();
        // If somebody else has turned already, their choice stands.
        let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
        if attempt.is_multiple_of(self.nodes.len()) {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Puts a question to one node after the other until one answers.
macro_rules! ask {
    ($nodes:ident, $node:ident => $question:expr) => {{
        let mut attempt = 1;
        loop {
            let index = $nodes.current.load(Ordering::Relaxed);
            let $node = &$nodes.nodes[index];
            match $question.await {
                Err(ChainError::Unreachable { node, reason }) if attempt < $nodes.attempts() => {
                    tracing::debug!(node, reason, "asking the next node");
                    $nodes.leave(index, attempt).await;
                    attempt += 1;
                }
                answer => break answer,
            }
        }
    }};
}

#[async_trait]
impl ChainApi for Nodes {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        ask!(self, node => node.spec())
    }

    async fn head(&self) -> Result<Head, ChainError> {
        ask!(self, node => node.head())
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        ask!(self, node => node.wait_above(height))
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        ask!(self, node => node.call(to, data.clone()))
    }

    async fn call_many(&self, calls: Vec<(Address, Bytes)>) -> Result<Vec<Bytes>, ChainError> {
        ask!(self, node => node.call_many(calls.clone()))
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        ask!(self, node => node.estimate_gas(request.clone()))
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        ask!(self, node => node.logs(filter.clone()))
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        ask!(self, node => node.account(address))
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        // The same bytes are the same transaction: another node may take them again.
        ask!(self, node => node.send_raw(raw.clone()))
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        ask!(self, node => node.receipt(hash))
    }

    async fn proof(&self, keys: &[StateKey]) -> Result<StateProof, ChainError> {
        ask!(self, node => node.proof(keys))
    }
}
