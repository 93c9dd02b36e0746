//! Let members rebuild a column together, honestly or not.

use super::*;
use crate::{
    RepairConfig,
    fixture::{operator, peer},
};
use client::Sender;
use std::{sync::atomic::Ordering, time::Duration};
use transport::{Acknowledge, FetchError, Rebuild, Refusal};
use types::{repair::Help, spec::RepairSpec};

const ALL: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const STRIPES: u8 = 30;
const COLUMN: u64 = STRIPES as u64 * FRAGMENT_BYTES;
/// The seat that is lost, and rebuilt by a newcomer.
const SEAT: usize = 2;

/// Commits so many stripes in volume 1 that all members have.
async fn fill(net: &mut Net) -> Vec<Segment> {
    let segments: Vec<_> = (0..STRIPES).map(|number| Segment::encoded(number, |_| {})).collect();
    for segment in &segments {
        for seat in ALL {
            net.stage(1, segment, seat).await.expect("stages");
        }
    }
    let expires = net.height().await + 100;
    let all: Vec<_> = segments.iter().collect();
    let batch = net.batch(&ALL, 1, 1, expires, &all).await;
    net.commit(batch).await;
    segments
}

async fn seat(net: &Net) -> IVolumes::Seat {
    let call = IVolumes::seatOfCall { volume: 1, seat: SEAT as u16 };
    Network(&*net.chain).read(VOLUMES, &call).await.expect("answers")
}

/// The member in the seat leaves at once; returns the newcomer, by its place here.
async fn replace(net: &mut Net) -> usize {
    let leaver = net.member(1, SEAT).await;
    let call = IVolumes::leaveCall { volume: 1, seat: SEAT as u16 };
    Sender::new(net.chain.clone(), operator(leaver)).call(VOLUMES, U256::ZERO, &call).await.expect("leaves");
    let drawn = net.until("another is drawn", async |net| net.told::<IVolumes::SeatDrawn>().await.pop()).await;
    drawn.miner as usize - 1
}

async fn is_whole(net: &Net) -> Option<()> {
    (seat(net).await.watermark == COLUMN || matches!(seat(net).await.state, 0 | 5)).then_some(())
}

/// Bytes of fragments that some miners were sent.
fn received(net: &Net, of: impl Fn(usize) -> bool) -> u64 {
    (0..).zip(&net.received).filter(|(index, _)| of(*index)).map(|(_, bytes)| bytes.load(Ordering::Relaxed)).sum()
}

/// Everything the newcomer has of the column is right.
async fn check(net: &Net, newcomer: usize, segments: &[Segment]) {
    let endpoint = MemoryNetwork::endpoint(peer(newcomer));
    for segment in segments {
        let got = net.uploader.fetch(&endpoint, segment.fetch(SEAT as u16, None), DEADLINE).await.expect("it is there");
        assert_eq!(got.bytes, segment.fragments[SEAT].1.bytes());
    }
}

/// Bytes that were paid for, by helper.
async fn helped(net: &Net) -> std::collections::BTreeMap<u32, u64> {
    net.told::<IVolumes::HelpPaid>().await.iter().map(|paid| (paid.miner, paid.totalBytes)).collect()
}

/// Waits for the settlement, and checks that all wei were paid and to whom.
async fn settle(net: &mut Net) -> U256 {
    let settled = net.until("it is settled", async |net| net.told::<IVolumes::Settled>().await.pop()).await;
    let total = net.chain.spec().await.expect("answers").storage.rebuild_price(COLUMN).expect("a price");
    let mut before = std::collections::BTreeMap::new();
    let mut paid = U256::ZERO;
    for event in net.told::<IVolumes::HelpPaid>().await {
        let last = before.insert(event.miner, event.totalBytes).unwrap_or_default();
        assert_eq!(event.paid, total * U256::from(event.totalBytes - last) / U256::from(COLUMN));
        paid += event.paid;
    }
    assert_eq!(paid + settled.paid, total, "all of it, and no more");
    settled.paid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_rebuilt_by_all_and_received_once() {
    let mut net = leased(10).await;
    let segments = fill(&mut net).await;
    let newcomer = replace(&mut net).await;
    net.until("the column is here", is_whole).await;
    check(&net, newcomer, &segments).await;
    assert_eq!(received(&net, |index| index == newcomer), COLUMN, "once, not k times");
    assert_eq!(received(&net, |index| index != newcomer), 3 * COLUMN, "each has one fragment itself");
    let left = settle(&mut net).await;
    let helped = helped(&net).await;
    assert_eq!((helped.values().sum::<u64>(), helped.len()), (COLUMN, 7), "all others have helped: {helped:?}");
    assert!(left < U256::from(8), "and have all but what division left: {left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_helps_the_newcomer_rebuilds_alone() {
    let alone = RepairConfig { helps_at_once: 0, ..RepairConfig::default() };
    let mut net = Net::of(10, storage(), None, alone).await;
    net.lease(1, 40 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let segments = fill(&mut net).await;
    let newcomer = replace(&mut net).await;
    net.until("the column is here", is_whole).await;
    check(&net, newcomer, &segments).await;
    assert_eq!(received(&net, |_| true), 4 * COLUMN);
    settle(&mut net).await;
    assert!(helped(&net).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_lose_nobody_its_pay() {
    let mut net = leased(10).await;
    let segments = fill(&mut net).await;
    let newcomer = replace(&mut net).await;
    net.crash(newcomer, 1).await;
    net.until("the column is here", is_whole).await;
    for index in 0..10 {
        net.crash(index, 2 + index as u64).await;
    }
    check(&net, newcomer, &segments).await;
    settle(&mut net).await;
    assert_eq!(helped(&net).await.values().sum::<u64>(), COLUMN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_lies_is_left_out() {
    let mut net = leased(10).await;
    let segments = fill(&mut net).await;
    let liar = net.member(1, 5).await;
    net.network.set_behaviour(peer(liar), Behaviour::Lie);
    let newcomer = replace(&mut net).await;
    net.until("the column is here", is_whole).await;
    check(&net, newcomer, &segments).await;
    settle(&mut net).await;
    let helped = helped(&net).await;
    assert!(!helped.contains_key(&(liar as u32 + 1)), "it did nothing: {helped:?}");
    assert_eq!(helped.values().sum::<u64>(), COLUMN, "others did its share: {helped:?}");
}

#[tokio::test(start_paused = true)]
async fn a_helper_that_stalls_is_left_out() {
    let _in_place = offload::in_place();
    let repair = RepairSpec { deadline_ms: DAY_MS / 4, ..storage().repair };
    let mut net = Net::repairing(10, types::spec::StorageSpec { repair, ..storage() }).await;
    net.lease(1, 40 * FRAGMENT_BYTES, DAY_MS / 2).await;
    net.pace = Duration::from_secs(2);
    let segments = fill(&mut net).await;
    let staller = net.member(1, 5).await;
    net.network.set_behaviour(peer(staller), Behaviour::Stall);
    let newcomer = replace(&mut net).await;
    let began = tokio::time::Instant::now();
    net.until("the column is here", is_whole).await;
    assert!(began.elapsed() < Duration::from_secs(600), "it holds nobody up for long: {:?}", began.elapsed());
    check(&net, newcomer, &segments).await;
    let helped = helped(&net).await;
    assert!(!helped.contains_key(&(staller as u32 + 1)), "it did nothing: {helped:?}");
}

async fn ask_for(net: &Net, who: usize, helper: usize, rebuild: Rebuild) -> Result<u64, RefusalReason> {
    let endpoint = MemoryNetwork::endpoint(peer(net.member(1, helper).await));
    match net.network.join(peer(who)).rebuild(&endpoint, rebuild, DEADLINE).await {
        Ok(fetched) => Ok(fetched.bytes.len() as u64),
        Err(FetchError::Refused(Refusal { reason, .. })) => Err(reason),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impostor_gets_nothing_and_a_newcomer_only_its_own() {
    // Nobody rebuilds by itself here.
    let mut net = Net::idle_hands(10).await;
    net.lease(1, 40 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let segments = fill(&mut net).await;
    let rebuild = Rebuild { volume: 1, index: 3, segment: segments[3].id, seat: SEAT as u16 };
    let first = net.member(1, 0).await;
    assert_eq!(ask_for(&net, first, 1, rebuild).await, Err(RefusalReason::NotMember), "the seat is whole");
    let newcomer = replace(&mut net).await;
    net.settle().await;
    let bystander = (0..10).find(|index| *index != newcomer && !ALL.contains(index)).unwrap_or(first);
    for impostor in [first, bystander, 77] {
        assert_eq!(ask_for(&net, impostor, 1, rebuild).await, Err(RefusalReason::NotMember));
    }
    for wrong in
        [Rebuild { index: 4, ..rebuild }, Rebuild { index: 99, ..rebuild }, Rebuild { segment: B256::ZERO, ..rebuild }]
    {
        assert_eq!(ask_for(&net, newcomer, 1, wrong).await, Err(RefusalReason::Unknown));
    }
    assert_eq!(ask_for(&net, newcomer, 1, Rebuild { seat: 4, ..rebuild }).await, Err(RefusalReason::NotMember));
    assert_eq!(ask_for(&net, newcomer, 1, rebuild).await, Ok(FRAGMENT_BYTES));

    // Acknowledgements count if they are the newcomer's, for this helper, and of what there is.
    let (record, helper) = (seat(&net).await, net.member(1, 1).await);
    let help = Help {
        chain_id: 7_331,
        volume: 1,
        seat: SEAT as u16,
        lot: record.lot,
        helper_seat: 1,
        helper: helper as u32 + 1,
        bytes: FRAGMENT_BYTES,
    };
    let endpoint = MemoryNetwork::endpoint(peer(helper));
    let give = async |who: usize, help: Help, signer: usize| {
        let signature = keys(signer).receipt.sign(&help.message()).to_bytes();
        let acknowledge = Acknowledge { volume: 1, seat: SEAT as u16, bytes: help.bytes, signature };
        net.network.join(peer(who)).acknowledge(&endpoint, acknowledge, DEADLINE).await
    };
    assert_eq!(reason(give(first, help, newcomer).await), RefusalReason::NotMember);
    for (wrong, signer) in [
        (help, first),
        (Help { bytes: COLUMN + 1, ..help }, newcomer),
        (Help { helper_seat: 3, ..help }, newcomer),
        (Help { lot: 99, ..help }, newcomer),
    ] {
        assert_eq!(reason(give(newcomer, wrong, signer).await), RefusalReason::PermitInvalid);
    }
    assert_eq!(give(newcomer, help, newcomer).await, Ok(()));
    assert_eq!(give(newcomer, help, newcomer).await, Ok(()), "once more does no harm");
}

/// A newcomer that never acknowledges gets no more than a bounded number of fragments ahead.
#[tokio::test(flavor = "multi_thread")]
async fn who_acknowledges_nothing_gets_no_more() {
    let mut net = Net::idle_hands(10).await;
    net.lease(1, 40 * FRAGMENT_BYTES, DAY_MS / 2).await;
    let segments = fill(&mut net).await;
    let newcomer = replace(&mut net).await;
    net.settle().await;
    let mut got = 0;
    let refused = loop {
        let index = got % u32::from(STRIPES);
        let rebuild = Rebuild { volume: 1, index, segment: segments[index as usize].id, seat: SEAT as u16 };
        match ask_for(&net, newcomer, 1, rebuild).await {
            Ok(_) => got += 1,
            Err(reason) => break reason,
        }
    };
    assert!(matches!(refused, RefusalReason::Busy { .. }), "{refused:?}");
    // Slots here are of two such fragments.
    assert_eq!(got, 128);
}
