//! Let a miner follow a node that lies in all that is not proved.

use super::*;
use alloy_primitives::{Address, Log};
use alloy_sol_types::SolEvent;
use types::abi::{
    IVolumes::{Formed, Released},
    VOLUMES,
};

/// A node that is ahead of the truth by as many blocks, and adds logs.
struct Liar {
    chain: Arc<MemoryChain>,
    ahead: u64,
    logs: Mutex<Vec<Log>>,
    hides_volumes: AtomicBool,
}

impl Liar {
    fn head(&self, head: Head) -> Head {
        let (height, timestamp_ms) = (head.height + self.ahead, head.timestamp_ms + self.ahead * DAY_MS);
        Head { height, timestamp_ms, ..head }
    }
}

#[async_trait]
impl ChainApi for Liar {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        self.chain.spec().await
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.chain.head().await.map(|head| self.head(head))
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        self.chain.wait_above(height).await.map(|head| self.head(head))
    }

    async fn call(&self, _: Address, _: Bytes) -> Result<Bytes, ChainError> {
        Err(ChainError::Invalid("a miner decides nothing by a call".into()))
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.chain.estimate_gas(request).await
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        let mut logs = self.chain.logs(filter.clone()).await?;
        let kinds = filter.topics[0].clone().unwrap_or_default();
        if self.hides_volumes.load(Ordering::Relaxed) {
            logs.retain(|entry| entry.log.topics()[0] != Formed::SIGNATURE_HASH);
        }
        let lies = self.logs.lock().clone();
        let lies = lies.into_iter().filter(|log| kinds.contains(&log.topics()[0])).map(|log| LogEntry {
            height: filter.to.unwrap_or(filter.from),
            block_hash: B256::ZERO,
            transaction_hash: B256::ZERO,
            log_index: 1_000,
            log,
        });
        logs.extend(lies);
        Ok(logs)
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

/// Starts the miner in seat 0 of volume 1 again, behind a node that lies.
async fn behind(net: &mut Net, ahead: u64) -> Arc<Liar> {
    let member = net.member(1, 0).await;
    let liar = Arc::new(Liar {
        chain: net.chain.clone(),
        ahead,
        logs: Mutex::default(),
        hides_volumes: AtomicBool::new(false),
    });
    let disk = net.disks[member].after_crash(1);
    let again = start(liar.clone(), &net.network, &disk, member).await;
    std::mem::replace(&mut net.miners[member], again).stop().await;
    net.settle().await;
    liar
}

#[tokio::test]
async fn a_release_that_the_state_denies_deletes_nothing() {
    let mut net = leased().await;
    let liar = behind(&mut net, 0).await;
    let segments = [Segment::new(1), Segment::new(2)];
    net.put(1, 1, &segments[0], &WITH_ZERO).await;
    net.put(1, 2, &segments[1], &WITH_ZERO).await;
    // No receipt calls for it any more: a release would delete it.
    net.advance(200).await;
    let lie = Released { volume: 1, territory: 1, segment: segments[0].id, index: 0 };
    liar.logs.lock().push(Log { address: VOLUMES, data: lie.encode_log_data() });
    net.advance(20).await;
    assert_eq!(fetched(&net, &segments[0]).await, held(&segments[0]));
    net.release(1, 1).await;
    assert_eq!(fetched(&net, &segments[1]).await, None, "a true release is believed");
    assert_eq!(fetched(&net, &segments[0]).await, held(&segments[0]));
}

#[tokio::test]
async fn a_seat_that_the_state_denies_is_not_taken() {
    let mut net = leased().await;
    let member = net.member(1, 0).await as u32 + 1;
    let liar = behind(&mut net, 0).await;
    let others = (1..=8).filter(|miner| *miner != member);
    let elsewhere: Vec<u32> = others.chain([member]).collect();
    for volume in [1, 9] {
        let lie = Formed { volume, policy: 0, lots: vec![1; 8], miners: elsewhere.clone() };
        liar.logs.lock().push(Log { address: VOLUMES, data: lie.encode_log_data() });
    }
    net.advance(20).await;
    let place = member as usize - 1;
    let seats: Vec<_> = {
        let state = net.miners[place].service.state.lock();
        state.volumes.iter().map(|(volume, log)| (*volume, log.seat)).collect()
    };
    assert!(seats.contains(&(1, 0)) && seats.iter().all(|(volume, _)| *volume < 9), "{seats:?}");
}

#[tokio::test]
async fn a_node_that_runs_ahead_makes_nothing_expire() {
    let mut net = leased().await;
    behind(&mut net, 1_000_000).await;
    let member = net.member(1, 0).await;
    let segment = Segment::new(1);
    for seat in WITH_ZERO {
        net.stage(1, &segment, seat).await.unwrap();
    }
    let expires = net.height().await + 200;
    let batch = net.batch(&WITH_ZERO, 1, 1, expires, &[&segment]).await;
    net.advance(100).await;
    let followed = net.miners[member].service.state.lock().height;
    assert_eq!(followed, net.height().await, "not a block further than proved");
    assert_eq!(fetched(&net, &segment).await, held(&segment));
    net.commit(batch).await;
    assert_eq!(net.leaves(1, 0).await.len(), 1);
}

#[tokio::test]
async fn volumes_that_a_node_hid_are_found_when_it_tells() {
    let mut net = leased().await;
    let segment = Segment::new(1);
    net.put(1, 1, &segment, &OTHERS).await;
    let member = net.member(1, 0).await;
    // An empty disk: all is learned anew, from a node that hides what was formed.
    let liar = Arc::new(Liar {
        chain: net.chain.clone(),
        ahead: 0,
        logs: Mutex::default(),
        hides_volumes: AtomicBool::new(true),
    });
    let disk = MemoryDisk::new(4 << 30);
    let again = start(liar.clone(), &net.network, &disk, member).await;
    std::mem::replace(&mut net.miners[member], again).stop().await;
    net.advance(40).await;
    assert!(net.miners[member].service.state.lock().volumes.is_empty());
    liar.hides_volumes.store(false, Ordering::Relaxed);
    net.advance(40).await;
    // A log is compared with the chain's in the block after.
    net.advance(1).await;
    assert_eq!(net.leaves(1, 0).await, net.leaves(1, 1).await);
    net.stage(1, &segment, 0).await.unwrap();
    assert_eq!(fetched(&net, &segment).await, held(&segment));
}
