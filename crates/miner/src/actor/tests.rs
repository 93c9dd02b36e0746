mod lies;

use super::*;
use crate::fixture::{
    DEADLINE, FRAGMENT_BYTES, Net, Segment, chain, config, keys, open, operator, peer, reason, signer, start,
};
use alloy_primitives::{B256, Bytes, U256};
use async_trait::async_trait;
use client::{
    Sender,
    chain::{AccountState, CallRequest, Head, LogEntry, LogFilter, MemoryChain, Network, Proved, TransactionReceipt},
};
use std::sync::atomic::{AtomicBool, Ordering};
use store::MemoryDisk;
use transport::{MemoryNetwork, RefusalReason};
use types::{ChainSpec, Endpoint, ReceiptKey, state::StateKey};

const DAY_MS: u64 = 24 * 3_600_000;
/// A write quorum without seat 0.
const OTHERS: [usize; 6] = [1, 2, 3, 4, 5, 6];
const WITH_ZERO: [usize; 6] = [0, 1, 2, 3, 4, 5];

async fn leased() -> Net {
    let mut net = Net::new().await;
    net.lease(1, 20 * FRAGMENT_BYTES, DAY_MS / 2).await;
    net
}

/// What seat 0 of volume 1 has of a segment.
async fn fetched(net: &Net, segment: &Segment) -> Option<Bytes> {
    let to = MemoryNetwork::endpoint(peer(net.member(1, 0).await));
    let fetched = net.uploader.fetch(&to, segment.fetch(0, None), DEADLINE).await;
    fetched.ok().map(|fragment| fragment.bytes.into())
}

fn held(segment: &Segment) -> Option<Bytes> {
    Some(segment.fragments[0].1.bytes().clone().into())
}

#[tokio::test]
async fn a_miner_registers_and_pledges_once() {
    let mut net = Net::new().await;
    let record = Network(&*net.chain).miner(1).await.unwrap();
    assert_eq!((record.lots, &record.region[..]), (4, &b"DE\0\0\0\0"[..]));
    assert_eq!(Endpoint::decode(&record.endpoint), Ok(config(0).endpoint));
    let sent = net.chain.account(operator(0).address()).await.unwrap().nonce;
    net.crash(0, 1).await;
    assert_eq!(net.miners[0].registered().await, Ok(1));
    assert_eq!(net.chain.account(operator(0).address()).await.unwrap().nonce, sent);
}

#[tokio::test]
async fn a_changed_configuration_is_told_to_the_chain() {
    let chain = chain(vec![operator(0).address()]);
    let network = MemoryNetwork::new();
    let disk = MemoryDisk::new(4 << 30);
    start(chain.clone(), &network, &disk, 0).await.registered().await.unwrap();
    let mut changed = config(0);
    changed.lots = 7;
    changed.endpoint = MemoryNetwork::endpoint(B256::repeat_byte(99));
    let (transport, store) = (Arc::new(network.join(peer(0))), open(&MemoryDisk::new(4 << 30)));
    let mut again = Miner::start(changed.clone(), chain.clone(), transport, store, keys(0)).await.unwrap();
    again.registered().await.unwrap();
    let record = Network(&*chain).miner(1).await.unwrap();
    assert_eq!((record.lots, Endpoint::decode(&record.endpoint)), (7, Ok(changed.endpoint)));
}

#[tokio::test]
async fn a_miner_waits_for_funds() {
    let rich = signer("rich");
    let chain = chain(vec![rich.address()]);
    let mut miner = start(chain.clone(), &MemoryNetwork::new(), &MemoryDisk::new(4 << 30), 0).await;
    chain.advance();
    let lots = chain.spec().await.unwrap().storage.lot_collateral * U256::from(5);
    Sender::new(chain.clone(), rich).send(operator(0).address(), lots, Bytes::new()).await.unwrap();
    assert_eq!(miner.registered().await, Ok(1));
    assert_eq!(Network(&*chain).miner(1).await.unwrap().lots, 4);
}

#[tokio::test]
async fn another_receipt_key_ends_the_miner() {
    let net = Net::new().await;
    let other = Keys { receipt: ReceiptKey::derive(&[77; 32]), ..keys(0) };
    let (transport, store) = (Arc::new(net.network.join(peer(0))), open(&MemoryDisk::new(4 << 30)));
    let mut miner = Miner::start(config(0), net.chain.clone(), transport, store, other).await.unwrap();
    assert_eq!(miner.ended().await, MinerError::ReceiptKey { miner: 1 });
}

#[tokio::test]
async fn a_region_that_is_none_ends_the_miner() {
    let chain = chain(vec![operator(0).address()]);
    for region in ["", "Deutschland", "ÄÖ"] {
        let config = MinerConfig { region: region.into(), ..config(0) };
        let (transport, store) = (Arc::new(MemoryNetwork::new().join(peer(0))), open(&MemoryDisk::new(4 << 30)));
        let mut miner = Miner::start(config, chain.clone(), transport, store, keys(0)).await.unwrap();
        assert_eq!(miner.ended().await, MinerError::Region(region.into()));
    }
}

#[tokio::test]
async fn a_committed_fragment_is_kept_and_a_released_one_goes() {
    let mut net = leased().await;
    let segments = [Segment::new(1), Segment::new(2)];
    net.put(1, 1, &segments[0], &WITH_ZERO).await;
    net.put(1, 2, &segments[1], &WITH_ZERO).await;
    net.advance(200).await;
    net.release(1, 0).await;
    assert_eq!(fetched(&net, &segments[0]).await, None);
    assert_eq!(fetched(&net, &segments[1]).await, held(&segments[1]));
    assert_eq!(net.leaves(1, 0).await.len(), 2, "leaves stay");
}

#[tokio::test]
async fn e3_what_was_signed_for_is_held_until_no_commit_can_use_it() {
    let mut net = leased().await;
    let segment = Segment::new(1);
    for seat in WITH_ZERO {
        net.stage(1, &segment, seat).await.unwrap();
    }
    let expires = net.height().await + 200;
    let batch = net.batch(&WITH_ZERO, 1, 1, expires, &[&segment]).await;
    // The lease ends long before the receipts do, and the member is killed in between.
    net.chain.skip(std::time::Duration::from_millis(DAY_MS));
    net.advance(100).await;
    let member = net.member(1, 0).await;
    net.crash(member, 3).await;
    net.advance(50).await;
    net.commit(batch).await;
    assert_eq!(fetched(&net, &segment).await, held(&segment));
    net.advance(400).await;
    assert_eq!(fetched(&net, &segment).await, held(&segment));
}

/// Who overwrites objects again and again must not run out of leases while old receipts last.
#[tokio::test]
async fn what_was_released_under_a_receipt_takes_nothing_of_the_lease() {
    let mut net = Net::new().await;
    net.lease(1, 2 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let segments = [Segment::new(1), Segment::new(2), Segment::new(3)];
    net.put(1, 1, &segments[0], &WITH_ZERO).await;
    net.release(1, 0).await;
    assert_eq!(fetched(&net, &segments[0]).await, held(&segments[0]), "its receipt may be used again");
    net.lease(1, FRAGMENT_BYTES, DAY_MS / 2).await;
    let member = net.member(1, 0).await;
    for crash in [false, true] {
        if crash {
            net.crash(member, 3).await;
        }
        net.stage(1, &segments[1], 0).await.unwrap();
        net.stage(1, &segments[2], 0).await.unwrap();
        assert_eq!(reason(net.stage(1, &Segment::new(4), 0).await), RefusalReason::LeaseExceeded);
    }
}

#[tokio::test]
async fn what_nobody_commits_goes_after_lease_and_receipt() {
    let mut net = leased().await;
    let (signed, staged) = (Segment::new(1), Segment::new(2));
    net.stage(1, &signed, 0).await.unwrap();
    net.stage(1, &staged, 0).await.unwrap();
    let sign = net.sign_request(1, 1, net.height().await + 100, &[&signed]);
    net.sign(0, sign).await.unwrap();
    net.advance(300).await;
    assert!(fetched(&net, &signed).await.is_some() && fetched(&net, &staged).await.is_some(), "the lease lasts");
    net.chain.skip(std::time::Duration::from_millis(DAY_MS));
    net.advance(20).await;
    assert_eq!((fetched(&net, &signed).await, fetched(&net, &staged).await), (None, None));
    let sign = net.sign_request(1, 2, net.height().await + 100, &[&signed]);
    assert_eq!(reason(net.sign(0, sign).await), RefusalReason::NotStaged);
    net.lease(1, FRAGMENT_BYTES, DAY_MS / 2).await;
    net.stage(1, &signed, 0).await.unwrap();
}

/// Two receipts for one staged fragment: commit with the first, release, commit with the second. A member that let the
/// fragment go at the release would owe what it no longer has.
#[tokio::test]
async fn e3_a_second_receipt_outlives_a_release() {
    let mut net = leased().await;
    let segment = Segment::new(1);
    for seat in WITH_ZERO {
        net.stage(1, &segment, seat).await.unwrap();
    }
    let expires = net.height().await + 500;
    let first = net.batch(&WITH_ZERO, 1, 1, expires, &[&segment]).await;
    let second = net.batch(&WITH_ZERO, 1, 2, expires, &[&segment]).await;
    net.commit(first).await;
    net.release(1, 0).await;
    let member = net.member(1, 0).await;
    net.crash(member, 5).await;
    net.advance(50).await;
    net.commit(second).await;
    net.advance(700).await;
    assert_eq!(fetched(&net, &segment).await, held(&segment));
    net.release(1, 1).await;
    assert_eq!(fetched(&net, &segment).await, None);
}

#[tokio::test]
async fn a_fragment_that_comes_after_the_commit_is_kept() {
    let mut net = leased().await;
    let segment = Segment::new(1);
    net.put(1, 1, &segment, &OTHERS).await;
    let member = net.member(1, 0).await;
    let missing = |net: &Net| net.miners[member].service.state.lock().missing.len();
    assert_eq!(missing(&net), 1);
    net.crash(member, 1).await;
    assert_eq!(missing(&net), 1, "it is noted on disk");
    net.stage(1, &segment, 0).await.unwrap();
    assert_eq!(missing(&net), 1, "who had not signed owes nothing before it has healed");
    net.chain.skip(std::time::Duration::from_millis(DAY_MS));
    net.advance(100).await;
    assert_eq!(fetched(&net, &segment).await, held(&segment), "it is kept, not staged");
}

#[tokio::test]
async fn a_miner_that_was_away_catches_up() {
    let mut net = leased().await;
    let member = net.member(1, 0).await;
    let staged = Segment::new(1);
    net.stage(1, &staged, 0).await.unwrap();
    let sign = net.sign_request(1, 1, net.height().await + 500, &[&staged]);
    net.sign(0, sign).await.unwrap();
    let away = net.miners.remove(member);
    away.stop().await;
    net.put(1, 1, &staged, &OTHERS).await;
    net.put(1, 2, &Segment::new(2), &OTHERS).await;
    net.advance(100).await;
    net.miners.insert(member, start(net.chain.clone(), &net.network, &net.disks[member].after_crash(1), member).await);
    net.settle().await;
    assert_eq!(net.leaves(1, 0).await, net.leaves(1, 1).await);
    assert_eq!(fetched(&net, &staged).await, held(&staged));
    // One is not here, and one is not owed before it is healed: both were committed without this seat.
    assert_eq!(net.miners[member].service.state.lock().missing.len(), 2);
}

#[tokio::test]
async fn a_kill_at_any_step_of_the_disk_breaks_no_promise() {
    let mut net = Net::new().await;
    net.lease(1, 100 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let member = net.member(1, 0).await;
    for crash in 0..24u8 {
        let segment = Segment::new(crash + 1);
        let sequence = u64::from(crash) + 1;
        let before = net.disks[member].steps();
        net.disks[member].crash_after(before + u64::from(crash));
        let expires = net.height().await + 500;
        let mut promised = net.stage(1, &segment, 0).await.is_ok();
        let sign = net.sign_request(1, sequence, expires, &[&segment]);
        promised = promised && net.sign(0, sign).await.is_ok();
        net.crash(member, u64::from(crash)).await;
        for seat in OTHERS {
            net.stage(1, &segment, seat).await.unwrap();
        }
        // With the receipt that it gave before, if it gave one.
        let seats: Vec<_> = if promised { (0..7).collect() } else { OTHERS.to_vec() };
        let batch = net.batch(&seats, 1, sequence, expires, &[&segment]).await;
        net.commit(batch).await;
        net.crash(member, u64::from(crash) + 100).await;
        assert_eq!(net.leaves(1, 0).await, net.leaves(1, 1).await, "crash after {crash}");
        if promised {
            assert_eq!(fetched(&net, &segment).await, held(&segment), "crash after {crash}");
        }
        let state = net.miners[member].service.state.clone();
        for number in 0..=crash {
            let segment = Segment::new(number + 1);
            if fetched(&net, &segment).await.is_none() {
                let key = FragmentKey { segment: segment.id, volume: 1 };
                let is_known = state.lock().missing.contains_key(&key);
                assert!(is_known, "crash after {crash}: what is not here is known to be missing");
            }
        }
    }
}

/// A node that does not tell of some stripes.
struct Forgetful {
    chain: Arc<MemoryChain>,
    forgets: AtomicBool,
}

#[async_trait]
impl ChainApi for Forgetful {
    async fn spec(&self) -> Result<Arc<ChainSpec>, ChainError> {
        self.chain.spec().await
    }

    async fn head(&self) -> Result<Head, ChainError> {
        self.chain.head().await
    }

    async fn wait_above(&self, height: u64) -> Result<Head, ChainError> {
        self.chain.wait_above(height).await
    }

    async fn call(&self, to: alloy_primitives::Address, data: Bytes) -> Result<Bytes, ChainError> {
        self.chain.call(to, data).await
    }

    async fn estimate_gas(&self, request: CallRequest) -> Result<u64, ChainError> {
        self.chain.estimate_gas(request).await
    }

    async fn logs(&self, filter: LogFilter) -> Result<Vec<LogEntry>, ChainError> {
        let forgotten = Segment::new(2).id;
        let mut logs = self.chain.logs(filter).await?;
        if self.forgets.load(Ordering::Relaxed) {
            logs.retain(|entry| entry.log.topics().get(3) != Some(&forgotten));
        }
        Ok(logs)
    }

    async fn account(&self, address: alloy_primitives::Address) -> Result<AccountState, ChainError> {
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

#[tokio::test]
async fn a_log_that_the_node_does_not_tell_comes_from_other_members() {
    let mut net = leased().await;
    let member = net.member(1, 0).await;
    let forgetful = Arc::new(Forgetful { chain: net.chain.clone(), forgets: AtomicBool::new(true) });
    let disk = net.disks[member].after_crash(1);
    let again = start(forgetful, &net.network, &disk, member).await;
    std::mem::replace(&mut net.miners[member], again).stop().await;
    net.settle().await;
    for number in 1..=3 {
        net.put(1, u64::from(number), &Segment::new(number), &[0, 1, 2, 3, 4, 5, 6]).await;
    }
    assert_eq!(net.leaves(1, 0).await, net.leaves(1, 1).await);
    for number in 1..=3 {
        assert_eq!(fetched(&net, &Segment::new(number)).await, held(&Segment::new(number)));
    }
    net.chain.skip(std::time::Duration::from_millis(DAY_MS));
    net.advance(700).await;
    assert!(fetched(&net, &Segment::new(2)).await.is_some(), "it is owed, and was not swept");
}

#[tokio::test]
async fn while_no_true_log_can_be_had_nothing_is_signed() {
    let mut net = leased().await;
    let member = net.member(1, 0).await;
    let forgetful = Arc::new(Forgetful { chain: net.chain.clone(), forgets: AtomicBool::new(true) });
    let disk = net.disks[member].after_crash(1);
    let again = start(forgetful.clone(), &net.network, &disk, member).await;
    std::mem::replace(&mut net.miners[member], again).stop().await;
    net.settle().await;
    let others: Vec<_> = (0..8).filter(|index| *index != member).collect();
    net.put(1, 1, &Segment::new(1), &OTHERS).await;
    for seat in OTHERS {
        net.stage(1, &Segment::new(2), seat).await.unwrap();
    }
    net.stage(1, &Segment::new(3), 0).await.unwrap();
    let batch = net.batch(&OTHERS, 1, 2, net.height().await + 100, &[&Segment::new(2)]).await;
    for index in &others {
        net.network.set_behaviour(peer(*index), transport::memory::Behaviour::Gone);
    }
    net.commit(batch).await;
    net.advance(16).await;
    let sign = net.sign_request(1, 9, net.height().await + 100, &[&Segment::new(3)]);
    assert_eq!(reason(net.sign(0, sign.clone()).await), RefusalReason::Unavailable);
    forgetful.forgets.store(false, Ordering::Relaxed);
    net.advance(16).await;
    net.sign(0, sign).await.unwrap();
}
