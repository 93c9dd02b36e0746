//! Check rounds of real miners again, and see that neither a wrong verdict nor a wrong opening passes.

use crate::fixture::Net;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::{SolCall, SolEvent};
use async_trait::async_trait;
use client::{
    ChainApi, ChainError,
    audits::{Finding, ReviewError, RoundReview},
    chain::{AccountState, CallRequest, Head, LogEntry, LogFilter, MemoryChain, Network, Proved, TransactionReceipt},
};
use std::sync::Arc;
use types::{Beacon, ChainSpec, abi::IAudits, state::StateKey};

/// How far back rounds are looked for.
const BLOCKS: u64 = 1_000_000;

async fn review(chain: &dyn ChainApi, round: u64) -> RoundReview {
    Network(chain).review_round(round, None, BLOCKS).await.expect("the round is over")
}

fn is_contradicted(finding: &Finding) -> bool {
    matches!(finding, Finding::Contradicted(_))
}

/// Every opening of a round holds, and none that was changed.
pub async fn nothing_else_is_opened(net: &Net, round: u64, opened: usize) {
    let honest = review(&*net.chain, round).await;
    assert!(honest.closed && honest.holds() && honest.faults.is_empty(), "{honest:?}");
    assert_eq!((honest.openings.len(), honest.committed), (opened, 8));
    assert_eq!(honest.beacons, [Finding::Holds, Finding::Holds]);
    for opening in &honest.openings {
        assert_eq!(opening.finding, Finding::Holds, "{opening:?}");
    }
    let shown: Vec<&str> = honest.openings.iter().map(|opening| opening.shows.as_str()).collect();
    assert!(shown.iter().any(|shows| shows.contains("its fragment of stripe")), "{shown:?}");

    let one = honest.openings[0].miner;
    let of_one = Network(&*net.chain).review_round(round, Some(one), BLOCKS).await.expect("is over");
    let expected = honest.openings.iter().filter(|opening| opening.miner == one).count();
    assert_eq!(of_one.openings.len(), expected);
    let transaction = honest.openings[0].transaction;
    assert_eq!(Network(&*net.chain).round_of_transaction(transaction).await, Ok(round));
    let unknown = Network(&*net.chain).review_round(99, None, BLOCKS).await;
    assert!(matches!(unknown, Err(ReviewError::UnknownRound { round: 99, .. })), "{unknown:?}");
    let nothing = Network(&*net.chain).round_of_transaction(B256::ZERO).await;
    assert_eq!(nothing, Err(ReviewError::NoOpening { hash: B256::ZERO }));

    let changed = review(&Tampered(net.chain.clone()), round).await;
    assert!(!changed.holds());
    assert!(changed.beacons.iter().all(is_contradicted), "{changed:?}");
    assert!(changed.openings.iter().all(|opening| is_contradicted(&opening.finding)), "{changed:?}");
}

/// Every fault follows from its evidence, and none that names other bytes.
pub async fn faults_follow(net: &Net, round: u64, miner: u32, count: usize) {
    let honest = review(&*net.chain, round).await;
    assert_eq!(honest.faults.len(), count);
    for fault in &honest.faults {
        assert_eq!((fault.miner, &fault.finding), (miner, &Finding::Holds), "{fault:?}");
        let said = fault.evidence.join("; ");
        for part in ["committed to", "beacon B", "beacon A", "no transaction opened it", "owed: "] {
            assert!(said.contains(part), "{said}");
        }
    }
    let changed = review(&Tampered(net.chain.clone()), round).await;
    assert!(changed.faults.iter().all(|fault| is_contradicted(&fault.finding)), "{changed:?}");
}

/// A chain whose verdicts name other slots, whose transactions opened other bytes, and whose headers have other seeds.
struct Tampered(Arc<MemoryChain>);

#[async_trait]
impl ChainApi for Tampered {
    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        let mut logs = self.0.logs(filter).await?;
        for entry in &mut logs {
            if let Ok(mut event) = IAudits::Faulted::decode_log_data(&entry.log.data) {
                event.slot += 1;
                entry.log.data = event.encode_log_data();
            }
        }
        Ok(logs)
    }

    async fn transaction(&self, hash: B256) -> Result<Option<(Address, Bytes)>, ChainError> {
        let Some((to, input)) = self.0.transaction(hash).await? else { return Ok(None) };
        let Ok(mut call) = IAudits::openCall::abi_decode(&input) else { return Ok(Some((to, input))) };
        let mut opening = call.opening.to_vec();
        // The last byte is of the response's path, or the count of one that is empty.
        *opening.last_mut().expect("it is not empty") ^= 1;
        call.opening = opening.into();
        Ok(Some((to, call.abi_encode().into())))
    }

    async fn beacon(&self, height: u64) -> Result<Option<Beacon>, ChainError> {
        let beacon = self.0.beacon(height).await?;
        Ok(beacon.map(|beacon| Beacon { seed: vec![0; 48].into(), ..beacon }))
    }

    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        self.0.spec().await
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.0.head().await
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        self.0.wait_above(height).await
    }

    async fn call(&self, to: Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.0.call(to, data).await
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.0.estimate_gas(request).await
    }

    async fn account(&self, address: Address) -> Result<AccountState, ChainError> {
        self.0.account(address).await
    }

    async fn send_raw(&self, raw: Bytes) -> Result<B256, ChainError> {
        self.0.send_raw(raw).await
    }

    async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        self.0.receipt(hash).await
    }

    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        self.0.state(keys).await
    }
}
