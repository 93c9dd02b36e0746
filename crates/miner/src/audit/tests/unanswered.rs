//! Leave a miner's questions to the chain unanswered while a round is on.

use super::*;
use crate::fixture::start;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use async_trait::async_trait;
use client::chain::{AccountState, CallRequest, Head, LogEntry, MemoryChain, Proved, TransactionReceipt};
use std::sync::atomic::{AtomicBool, Ordering};
use types::{ChainSpec, state::StateKey};

/// A node that does not say whether a stripe is owed.
struct Mute {
    chain: Arc<MemoryChain>,
    is_mute: AtomicBool,
}

#[async_trait]
impl ChainApi for Mute {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        self.chain.spec().await
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.chain.head().await
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        self.chain.wait_above(height).await
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        if self.is_mute.load(Ordering::Relaxed) && data.starts_with(&IAudits::owesCall::SELECTOR) {
            return Err(ChainError::Unreachable { node: "here".into(), reason: "it is mute".into() });
        }
        self.chain.call(to, data).await
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.chain.estimate_gas(request).await
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        self.chain.logs(filter).await
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        self.chain.account(address).await
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        self.chain.send_raw(raw).await
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        self.chain.receipt(hash).await
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        self.chain.state(keys).await
    }
}

/// Neither before the commitment nor while it opens: what it has is there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_went_unanswered_is_no_loss() {
    let mut net = net().await;
    net.put(1, 1, &Segment::new(1), &OTHERS).await;
    let member = net.member(1, 0).await;
    let mute = Arc::new(Mute { chain: net.chain.clone(), is_mute: AtomicBool::new(true) });
    let again = start(mute.clone(), &net.network, &net.disks[member].after_crash(1), member).await;
    std::mem::replace(&mut net.miners[member], again).stop().await;
    net.settle().await;
    commit_round(&mut net, 2, 1).await;
    mute.is_mute.store(false, Ordering::Relaxed);
    commit_round(&mut net, 2, 0).await;
    go_to(&mut net, 2, Stage::Open, STEP).await;
    mute.is_mute.store(true, Ordering::Relaxed);
    net.chain.skip(A_LOOK);
    net.settle().await;
    mute.is_mute.store(false, Ordering::Relaxed);
    let opened = finish_round(&mut net, 2, 0).await;
    assert!(opened > 10, "{opened} samples hit something");
    assert_eq!(logs::<IAudits::DeclaredLost>(&net).await.len(), 0);
    assert_eq!(logs::<IAudits::Faulted>(&net).await.len(), 0);
}
