//! Ask several nodes as if they were one: when one does not answer, or proves nothing, the next is asked.

use crate::pin;
use alloy_primitives::{Address, B256, Bytes};
use anyhow::{Result, ensure};
use async_trait::async_trait;
use client::chain::{
    AccountState, CallRequest, ChainApi, ChainError, Head, LogEntry, LogFilter, Proved, RpcChain, RpcOptions,
    TransactionReceipt, Trust,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::OnceCell;
use types::{Beacon, ChainSpec, state::StateKey};

/// How often all nodes are asked before we give up.
const ROUNDS: usize = 4;
/// Pause after each round.
const PAUSE: Duration = Duration::from_millis(250);

/// Where the chain's specification comes from, and with it the key of the committee that is believed.
#[derive(Clone, Debug)]
pub enum Chain {
    /// From here.
    Known(Arc<ChainSpec>),
    /// From this file; if there is none, from the node that answers first, and from then on from the file.
    Pinned(PathBuf),
}

/// Nodes of one chain, in the order in which they are tried.
pub struct Nodes {
    urls: Vec<String>,
    chain: Chain,
    /// As soon as the chain is known.
    nodes: OnceCell<Vec<RpcChain>>,
    /// The one that answered last.
    current: AtomicUsize,
    /// Whether to go on by an old state, with a warning, when no node proves a newer one.
    reads_old: bool,
}

/// Puts a question to one node after the other until one answers.
macro_rules! ask {
    ($nodes:ident, $node:ident => $question:expr) => {{
        let all = $nodes.nodes().await?;
        let mut attempt = 1;
        loop {
            let index = $nodes.current.load(Ordering::Relaxed);
            let $node = &all[index];
            match $question.await {
                Err(error) if error.is_of_node() && attempt < $nodes.attempts() => {
                    match error {
                        ChainError::Unverified { .. } | ChainError::Old { .. } => tracing::warn!(%error, "asking the next node"),
                        _ => tracing::debug!(%error, "asking the next node"),
                    }
                    $nodes.leave(index, attempt).await;
                    attempt += 1;
                }
                answer => break answer,
            }
        }
    }};
}

impl Nodes {
    /// Nodes by the URLs of their RPC, at least one.
    pub fn new(urls: &[String], chain: Chain) -> Result<Self> {
        ensure!(!urls.is_empty(), "no node is named: give the URL of one's RPC");
        let spec = match &chain {
            Chain::Known(spec) => Some(spec.clone()),
            Chain::Pinned(path) => pin::read(path)?.map(Arc::new),
        };
        let nodes = OnceCell::new();
        match spec {
            Some(spec) => nodes.set(trusting(urls, spec)?).unwrap_or_else(|_| unreachable!("it is new")),
            // A URL that is none is told at once.
            None => drop(urls.iter().map(|url| connect(url)).collect::<Result<Vec<_>, _>>()?),
        }
        Ok(Self { urls: urls.to_vec(), chain, nodes, current: AtomicUsize::new(0), reads_old: false })
    }

    /// The same for who only reads what was stored: when the chain stands still, its last state counts.
    pub fn reading(self) -> Self {
        Self { reads_old: true, ..self }
    }

    /// The nodes, none of which is believed without proof.
    async fn nodes(&self) -> Result<&[RpcChain], ChainError> {
        Ok(self.nodes.get_or_try_init(|| self.meet()).await?)
    }

    /// Asks for the specification and keeps it.
    async fn meet(&self) -> Result<Vec<RpcChain>, ChainError> {
        let mut last = None;
        for url in &self.urls {
            let spec = match connect(url)?.spec().await {
                Ok(spec) => spec,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let nodes = trusting(&self.urls, spec.clone())?;
            if let Chain::Pinned(path) = &self.chain {
                pin::write(path, &spec, url).map_err(|error| ChainError::Invalid(format!("{error:#}")))?;
                tracing::info!(chain = spec.name, chain_id = spec.chain_id, path = %path.display(), "chain pinned");
            }
            return Ok(nodes);
        }
        Err(last.expect("there is at least one node"))
    }

    async fn proved(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        ask!(self, node => node.state(keys))
    }

    /// Goes on by the last state there is, and says so once.
    async fn allow_old(&self, age_s: u64) -> Result<(), ChainError> {
        for node in self.nodes().await? {
            if node.trust().is_some_and(|trust| !trust.allow_old()) {
                eprintln!("warning: no node proves a block of the last {age_s} s: this is how things were then");
            }
        }
        Ok(())
    }

    /// Says what to do where the reason may be that the pinned chain is gone.
    fn explain(&self, error: ChainError) -> ChainError {
        match (error, &self.chain) {
            (ChainError::Unverified { node, reason }, Chain::Pinned(path)) => {
                let advice = "holds the chain that it served at first; delete that file if the chain was replaced";
                ChainError::Unverified { node, reason: format!("{reason}; {} {advice}", path.display()) }
            }
            (error, _) => error,
        }
    }

    fn attempts(&self) -> usize {
        self.urls.len() * ROUNDS
    }

    /// Turns to the next node, pausing after each round.
    async fn leave(&self, index: usize, attempt: usize) {
        let next = (index + 1) % self.urls.len();
        // If somebody else has turned already, their choice stands.
        let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
        if attempt.is_multiple_of(self.urls.len()) {
            tokio::time::sleep(PAUSE).await;
        }
    }
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

    async fn transaction(&self, hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        ask!(self, node => node.transaction(hash))
    }

    async fn beacon(&self, height: u64) -> Result<Option<Beacon>, ChainError> {
        ask!(self, node => node.beacon(height))
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        let answer = match self.proved(keys).await {
            Err(ChainError::Old { age_s, .. }) if self.reads_old => {
                self.allow_old(age_s).await?;
                self.proved(keys).await
            }
            answer => answer,
        };
        answer.map_err(|error| self.explain(error))
    }
}

fn connect(url: &str) -> Result<RpcChain, ChainError> {
    // Going to the next node is our way of trying again.
    RpcChain::with_options(url, RpcOptions { attempts: 1, ..RpcOptions::default() })
}

/// The nodes as far as they prove what they say under this specification.
fn trusting(urls: &[String], spec: Arc<ChainSpec>) -> Result<Vec<RpcChain>, ChainError> {
    let trust = Trust::new(spec).map_err(|error| ChainError::Invalid(format!("the chain's specification: {error}")))?;
    believing(urls, trust)
}

fn believing(urls: &[String], trust: Trust) -> Result<Vec<RpcChain>, ChainError> {
    let trust = Arc::new(trust);
    urls.iter().map(|url| Ok(connect(url)?.with_trust(trust.clone()))).collect()
}

#[cfg(test)]
mod tests;
