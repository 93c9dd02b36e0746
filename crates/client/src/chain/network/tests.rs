use super::*;
use crate::chain::{AccountState, CallRequest, Head, LogEntry, LogFilter, TransactionReceipt};
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::Arc;
use types::ChainSpec;

/// A chain that holds nothing, of growing height, and counts the entries of each question.
#[derive(Default)]
struct Empty(Mutex<Vec<usize>>);

fn never<T>() -> Result<T, ChainError> {
    Err(ChainError::Invalid("this is not what decisions are made on".into()))
}

#[async_trait]
impl ChainApi for Empty {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        never()
    }
    async fn head(&self) -> Result<Head, ChainError> {
        never()
    }
    async fn wait_above(&self, _: u64) -> Result<Head, ChainError> {
        never()
    }
    async fn call(&self, _: Address, _: Bytes) -> Result<Bytes, ChainError> {
        never()
    }
    async fn estimate_gas(&self, _: CallRequest) -> Result<u64, ChainError> {
        never()
    }
    async fn logs(&self, _: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        never()
    }
    async fn account(&self, _: Address) -> Result<AccountState, ChainError> {
        never()
    }
    async fn send_raw(&self, _: Bytes) -> Result<B256, ChainError> {
        never()
    }
    async fn receipt(&self, _: B256) -> Result<Option<TransactionReceipt>, ChainError> {
        never()
    }
    async fn state(&self, keys: &[StateKey]) -> Result<Proved, ChainError> {
        assert!(keys.len() <= STATE_KEYS_MAX);
        let mut asked = self.0.lock();
        asked.push(keys.len());
        let height = asked.len() as u64;
        Ok(Proved { height, timestamp_ms: 1_000 * height, values: vec![None; keys.len()] })
    }
}

#[tokio::test]
async fn many_queries_are_put_in_groups_and_stamped_with_the_oldest() {
    let chain = Empty::default();
    let queries: Vec<_> = (1..=150).map(TerritoryQuery).collect();
    let (stamp, records) = Network(&chain).query_many(&queries).await.expect("answers");
    assert_eq!((stamp, records), (Stamp { height: 1, timestamp_ms: 1_000 }, vec![None; 150]));
    assert_eq!(*chain.0.lock(), [256, 44]);
}

#[tokio::test]
async fn what_does_not_exist_is_refused_as_the_module_would() {
    let chain = Empty::default();
    let network = Network(&chain);
    let unknown = network.territory(7).await;
    assert_eq!(unknown.err(), Some(super::unknown(ITerritories::UnknownTerritory { territory: 7 })));
    assert!(matches!(network.bucket(B256::ZERO).await, Err(ChainError::Reverted { .. })));
    assert!(matches!(network.miner(1).await, Err(ChainError::Reverted { .. })));
    assert_eq!(network.miner_of(Address::ZERO).await, Ok(0));
    assert_eq!(network.open_volumes(0).await, Ok(Vec::new()));
}
