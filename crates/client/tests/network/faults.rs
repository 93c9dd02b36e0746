//! Members that are gone, slow or lying cost time at most.

use crate::support::{Net, SEGMENT, SEGMENT_PLAIN, noise};
use client::{Condition, PutOptions, Source};
use std::{sync::atomic::Ordering, time::Duration};
use transport::memory::{Behaviour, Faults};

/// Every way of four members to fail.
const FAILURES: [Behaviour; 4] = [Behaviour::Gone, Behaviour::Stall, Behaviour::LoseAnswer, Behaviour::Lie];

#[tokio::test(flavor = "multi_thread")]
async fn half_of_the_members_are_enough_to_read() {
    let net = Net::new(8).await;
    let bytes = noise(1, 3 * SEGMENT);
    let report = net.put("object", &bytes).await;
    for behaviour in FAILURES {
        // A client of its own each time, that knows nothing of its members yet.
        let reader = net.another_client(0xd0 + behaviour as u8).await;
        for miner in net.miners.iter().take(4) {
            net.behave(miner, behaviour);
        }
        let read = reader.read("bucket", "object", None).await.expect("four of eight are enough");
        assert!(read == bytes, "{behaviour:?}");
        net.miners.iter().for_each(|miner| net.behave(miner, Behaviour::Honest));
    }
    assert!(!report.degraded);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_gone_members_are_too_many_and_the_error_says_so() {
    let net = Net::new(8).await;
    net.put("object", &noise(2, SEGMENT)).await;
    let reader = net.another_client(0xd1).await;
    net.miners.iter().take(5).for_each(|miner| net.behave(miner, Behaviour::Gone));
    let error = reader.read("bucket", "object", None).await.expect_err("three are not enough");
    assert!(error.to_string().contains("of 4 fragments"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_recorded_and_avoided() {
    let net = Net::new(8).await;
    let bytes = noise(3, SEGMENT_PLAIN);
    let report = net.put("object", &bytes).await;
    let reader = net.another_client(0xd2).await;
    // The holder of the first data fragment, whom everybody asks.
    let liar = net.members(*report.volumes.first().expect("one")).await.remove(0);
    net.behave(&liar, Behaviour::Lie);
    for _ in 0..3 {
        assert!(reader.read("bucket", "object", None).await.expect("reads") == bytes);
    }
    let standing = reader.standings().into_iter().find(|standing| standing.peer == liar.peer).expect("it was asked");
    assert_eq!(standing.lies, 1, "it is asked no second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_members_are_overtaken() {
    let net = Net::new(8).await;
    let bytes = noise(4, SEGMENT_PLAIN);
    net.put("object", &bytes).await;
    let reader = net.another_client(0xd3).await;
    for miner in net.miners.iter().take(4) {
        let faults = Faults { latency: Duration::from_secs(25), ..Faults::default() };
        net.network.set_faults(miner.peer, faults);
    }
    let started = std::time::Instant::now();
    assert!(reader.read("bucket", "object", None).await.expect("reads") == bytes);
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_at_the_quorum_says_that_it_is_degraded() {
    for behaviour in FAILURES {
        let net = Net::new(8).await;
        net.behave(&net.miners[2], behaviour);
        net.behave(&net.miners[5], behaviour);
        let bytes = noise(5, 2 * SEGMENT);
        let report = net.put("object", &bytes).await;
        assert!(report.degraded, "{behaviour:?}");
        net.behave(&net.miners[2], Behaviour::Honest);
        net.behave(&net.miners[5], Behaviour::Honest);
        assert!(net.read("object").await == bytes, "{behaviour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_on_which_a_lease_is_used_up_takes_part_under_a_larger_one() {
    let net = Net::new(8).await;
    // As much as a lease for a small object gives, and more than one segment too much.
    net.miners[3].left_behind.store(8 * SEGMENT as u64 / 4, Ordering::Relaxed);
    let bytes = noise(10, SEGMENT_PLAIN);
    let report = net.put("object", &bytes).await;
    assert!(!report.degraded, "all members hold it");
    assert!(net.read("object").await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_quorum_nothing_is_written() {
    let net = Net::new(8).await;
    net.miners.iter().take(3).for_each(|miner| net.behave(miner, Behaviour::Gone));
    let source = Source::bytes(noise(6, 1_000));
    let error = net.client.put("bucket", "object", source, PutOptions::default()).await.expect_err("too few");
    assert!(error.to_string().contains("5 of 6 in the last one"), "{error}");
    net.miners.iter().for_each(|miner| net.behave(miner, Behaviour::Honest));
    assert_eq!(net.client.stat("bucket", "object").await.expect("answers"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_volume_takes_what_one_cannot() {
    // With more miners than seats, volumes have different members.
    let net = Net::new(20).await;
    let open = client::chain::Network(&*net.chain).open_volumes(0).await.expect("answers");
    let mut sick = Vec::new();
    for volume in &open {
        let members = net.members(*volume).await;
        // Three members that a healthy volume does not share.
        for other in open.iter().filter(|other| *other != volume) {
            let others: Vec<u32> = net.members(*other).await.iter().map(|miner| miner.id).collect();
            let own: Vec<_> = members.iter().filter(|miner| !others.contains(&miner.id)).take(3).cloned().collect();
            if own.len() == 3 && sick.is_empty() {
                sick = own;
            }
        }
    }
    assert_eq!(sick.len(), 3, "twenty miners give volumes that differ");
    sick.iter().for_each(|miner| net.behave(miner, Behaviour::Gone));
    let bytes = noise(7, 6 * SEGMENT_PLAIN);
    net.put("object", &bytes).await;
    sick.iter().for_each(|miner| net.behave(miner, Behaviour::Honest));
    assert!(net.read("object").await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_territory_is_named() {
    let net = Net::new(8).await;
    let small = net.client.buy_territory(1 << 20, 30).await.expect("buys");
    net.client.create_bucket("small", small).await.expect("creates");
    net.client.put("small", "fits", Source::bytes(noise(8, 1_000)), PutOptions::default()).await.expect("fits");
    let source = Source::bytes(noise(9, 8 * SEGMENT));
    let error = net.client.put("small", "object", source, PutOptions::default()).await.expect_err("too large");
    let message = error.to_string();
    assert!(message.contains(&format!("territory {small} has")) && message.contains("buy more"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_territory_still_takes_removals() {
    let net = Net::new(8).await;
    let small = net.client.buy_territory(4 << 20, 30).await.expect("buys");
    net.client.create_bucket("small", small).await.expect("creates");
    let mut keys = Vec::new();
    loop {
        let key = format!("object {}", keys.len());
        match net.client.put("small", &key, Source::bytes(noise(8, 1_000)), PutOptions::default()).await {
            Ok(_) => keys.push(key),
            Err(error) => break assert!(error.to_string().contains("billed bytes free"), "{error}"),
        }
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(keys.len() > 1);
    net.client.remove("small", &keys, Condition::Present).await.expect("removes");
    assert_eq!(net.client.stat("small", keys[0]).await.expect("answers"), None);
}
