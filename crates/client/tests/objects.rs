//! Store and read objects through the real protocol, code and seals.

mod support;

use client::{Condition, Event, GetOptions, Progress, PutOptions, Source};
use support::{KIB, Net, SEGMENT, SEGMENT_PLAIN, noise};

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
    }
    for (seed, size) in sizes.into_iter().enumerate() {
        assert!(net.read(&format!("object-{size}")).await == noise(seed as u64, size), "{size} bytes come back");
    }
}
