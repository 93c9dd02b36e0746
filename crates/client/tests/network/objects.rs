//! Every size and every range comes back, whole folders too.

use crate::support::{KIB, Net, SEGMENT, SEGMENT_PLAIN, noise, storage};
use client::{Event, GetOptions, Progress, PutOptions, Source};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use types::spec::StorageSpec;

#[tokio::test(flavor = "multi_thread")]
async fn every_size_comes_back() {
    let net = Net::new(8).await;
    let sizes = [
        0,
        1,
        64 * KIB - 1,
        64 * KIB,
        64 * KIB + 1,
        SEGMENT_PLAIN - 1,
        SEGMENT_PLAIN,
        SEGMENT_PLAIN + 1,
        SEGMENT,
        5 * SEGMENT + 123,
    ];
    for (seed, size) in sizes.into_iter().enumerate() {
        let bytes = noise(seed as u64, size);
        let report = net.put(&format!("object-{size}"), &bytes).await;
        assert!(!report.degraded, "{size} bytes: every member signs");
        assert_eq!(report.transactions.len(), 1, "{size} bytes: one transaction");
        assert_eq!(report.etag.as_slice(), blake3::hash(&bytes).as_bytes());
        assert_eq!(report.bytes, size as u64);
    }
    let reader = net.another_client(0xc1).await;
    for (seed, size) in sizes.into_iter().enumerate() {
        let bytes = reader.read("bucket", &format!("object-{size}"), None).await.expect("reads");
        assert!(bytes == noise(seed as u64, size), "{size} bytes come back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_come_back_and_touch_only_what_they_need() {
    let net = Net::new(8).await;
    let bytes = noise(1, 3 * SEGMENT + 77);
    net.put("object", &bytes).await;
    let size = bytes.len() as u64;
    let edges = [0, 1, 65_535, 65_536, 65_537, SEGMENT_PLAIN as u64, SEGMENT_PLAIN as u64 + 1, size - 1, size];
    for start in edges {
        for end in edges.into_iter().filter(|end| *end >= start) {
            let read = net.client.read("bucket", "object", Some(start..end)).await.expect("reads");
            assert!(read == bytes[start as usize..end as usize], "bytes {start} to {end}");
        }
    }
    let beyond = net.client.read("bucket", "object", Some(5..u64::MAX)).await.expect("reads");
    assert!(beyond == bytes[5..]);
    assert!(net.client.read("bucket", "object", Some(size + 1..size + 2)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_unknown_length_comes_back() {
    let net = Net::new(8).await;
    for size in [0, 1, SEGMENT_PLAIN, 4 * SEGMENT_PLAIN, 4 * SEGMENT + 1] {
        let bytes = noise(2, size);
        let source = Source::Stream { reader: Box::new(std::io::Cursor::new(bytes.clone())), size: None };
        let report = net.client.put("bucket", "stream", source, PutOptions::default()).await.expect("puts");
        assert_eq!(report.bytes, size as u64);
        assert!(net.read("stream").await == bytes, "{size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_longer_or_shorter_than_it_said_is_no_object() {
    let net = Net::new(8).await;
    for claimed in [99, 101] {
        let reader = Box::new(std::io::Cursor::new(noise(3, 100)));
        let source = Source::Stream { reader, size: Some(claimed) };
        let result = net.client.put("bucket", "object", source, PutOptions::default()).await;
        assert!(matches!(result, Err(client::PutError::SourceChanged)), "{result:?}");
    }
    assert_eq!(net.client.stat("bucket", "object").await.expect("answers"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_segments_go_to_several_volumes_within_bounded_memory() {
    let net = Net::new(8).await;
    let bytes = noise(4, 64 * SEGMENT_PLAIN);
    let seen = Arc::new(AtomicU64::new(0));
    let counter = seen.clone();
    let progress = Progress::new(move |event| {
        if let Event::Committed(bytes) = event {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    });
    let options = PutOptions { progress, ..PutOptions::default() };
    let report = net.client.put("bucket", "large", Source::bytes(bytes.clone()), options).await.expect("puts");
    assert_eq!(report.volumes.len(), 3);
    assert!(report.transactions.len() > 1, "what is staged is committed before memory runs out");
    assert!(seen.load(Ordering::Relaxed) > bytes.len() as u64);
    assert!(net.read("large").await == bytes);
    let stat = net.client.stat("bucket", "large").await.expect("answers").expect("there");
    assert_eq!(stat.size, bytes.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn full_volumes_make_way_for_new_ones() {
    // Each volume takes 16 segments.
    let net = Net::with(8, StorageSpec { lot_slots: 16, open_target: 1, ..storage() }).await;
    let bytes = noise(5, 40 * SEGMENT_PLAIN);
    let report = net.client.put("bucket", "large", Source::bytes(bytes.clone()), PutOptions::default()).await;
    let report = report.expect("puts");
    assert!(report.volumes.len() >= 3, "{:?}", report.volumes);
    assert!(net.read("large").await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_shares_segments_and_one_update() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("sub/deeper")).expect("creates");
    let file = |number: u64| (format!("sub/{number}.txt"), noise(number, (number * 97) as usize));
    for number in 0..100 {
        let (name, bytes) = file(number);
        std::fs::write(folder.path().join(name), bytes).expect("writes");
    }
    std::fs::write(folder.path().join("sub/deeper/big"), noise(7, 3 * SEGMENT)).expect("writes");
    let report = net.client.put_folder("bucket", "in/", folder.path(), PutOptions::default()).await.expect("puts");
    assert_eq!((report.objects, report.transactions.len()), (101, 1));
    assert!(report.segments <= 7, "{} segments", report.segments);
    for number in 0..100 {
        let (name, bytes) = file(number);
        assert!(net.read(&format!("in/{name}")).await == bytes, "{name}");
    }
    assert!(net.read("in/sub/deeper/big").await == noise(7, 3 * SEGMENT));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_noted_beside_an_object_is_known_again() {
    let net = Net::new(8).await;
    let metadata = [("colour".to_owned(), "blue".to_owned())].into();
    let options = PutOptions { content_type: "text/plain".into(), metadata, ..PutOptions::default() };
    net.client.put("bucket", "noted", Source::bytes(&b"words"[..]), options).await.expect("puts");
    let mut out = Vec::new();
    let report = net.client.get("bucket", "noted", &mut out, GetOptions::default()).await.expect("gets");
    assert_eq!((report.bytes, report.object.content_type.as_str()), (5, "text/plain"));
    assert_eq!(report.object.metadata["colour"], "blue");
    assert_eq!(out, b"words");
}
