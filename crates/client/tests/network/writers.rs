//! Writers of one bucket never lose each other's updates.

use crate::support::{Net, noise};
use client::{Event, Progress, PutOptions, Source};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_write_one_bucket_at_the_same_time() {
    let net = Net::new(8).await;
    let replays = Arc::new(AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..3u8 {
        let client = net.another_client(0xe0 + writer).await;
        let replays = replays.clone();
        tasks.spawn(async move {
            for number in 0..6 {
                let seen = replays.clone();
                let progress = Progress::new(move |event| {
                    if event == Event::Replaying {
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                });
                let source = Source::bytes(noise(u64::from(writer) * 100 + number, 3_000));
                let options = PutOptions { progress, ..PutOptions::default() };
                client.put("bucket", &format!("{writer}/{number}"), source, options).await.expect("puts");
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.expect("writes");
    }
    assert!(replays.load(Ordering::Relaxed) > 0, "they did get in each other's way");
    for writer in 0..3u64 {
        for number in 0..6 {
            assert_eq!(net.read(&format!("{writer}/{number}")).await, noise(writer * 100 + number, 3_000));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_program_writes_many_objects_at_the_same_time() {
    let net = Net::new(8).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12u64 {
        let client = net.client.clone();
        tasks.spawn(async move {
            let source = Source::bytes(noise(number, 10_000));
            client.put("bucket", &format!("{number}"), source, PutOptions::default()).await.expect("puts");
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.expect("writes");
    }
    for number in 0..12 {
        assert_eq!(net.read(&format!("{number}")).await, noise(number, 10_000));
    }
}
