//! An upload that was cut off goes on where it was, and never seals two plaintexts under one key.

use crate::support::{Net, SEGMENT_PLAIN, noise};
use client::{Event, Progress, PutOptions, PutReport, Source};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// Puts a file, and drops the upload as a crash would after some bytes were committed.
pub async fn crash_after(net: &Net, file: &Path, folder: &Path, committed_bytes: u64) {
    let client = net.another_client(0xf0).await;
    let reached = Arc::new(Notify::new());
    let (notify, committed) = (reached.clone(), AtomicU64::new(0));
    let progress = Progress::new(move |event| {
        if let Event::Committed(bytes) = event
            && committed.fetch_add(bytes, Ordering::Relaxed) + bytes >= committed_bytes
        {
            notify.notify_one();
        }
    });
    let options = PutOptions { resume_folder: Some(folder.to_owned()), progress, ..PutOptions::default() };
    let put = client.put("bucket", "file", Source::File(file.to_owned()), options);
    tokio::select! {
        result = put => panic!("it was to be cut off, but ended: {result:?}"),
        () = reached.notified() => {}
    }
}

pub async fn go_on(net: &Net, file: &Path, folder: &Path) -> (PutReport, u64) {
    let client = net.another_client(0xf1).await;
    let resumed = Arc::new(AtomicU64::new(0));
    let counter = resumed.clone();
    let progress = Progress::new(move |event| {
        if let Event::Resumed(bytes) = event {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    });
    let options = PutOptions { resume_folder: Some(folder.to_owned()), progress, ..PutOptions::default() };
    let report = client.put("bucket", "file", Source::File(file.to_owned()), options).await.expect("puts");
    (report, resumed.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_not_sent_again() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let bytes = noise(1, 100 * SEGMENT_PLAIN + 5);
    std::fs::write(&file, &bytes).expect("writes");
    crash_after(&net, &file, folder.path(), 16 << 20).await;
    let (report, resumed) = go_on(&net, &file, folder.path()).await;
    assert!(resumed >= 8 << 20, "{resumed} bytes were found stored");
    assert_eq!(report.bytes, bytes.len() as u64);
    assert!(net.read("file").await == bytes);
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("reads").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["file"], "the journal is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changed_is_sealed_under_a_new_key() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    // Two parts of 64 segments.
    let mut bytes = noise(2, 100 * SEGMENT_PLAIN);
    std::fs::write(&file, &bytes).expect("writes");
    crash_after(&net, &file, folder.path(), 30 << 20).await;
    bytes[10] ^= 1;
    std::fs::write(&file, &bytes).expect("writes");
    let (_, resumed) = go_on(&net, &file, folder.path()).await;
    assert!(resumed < 36 * SEGMENT_PLAIN as u64 + 1, "nothing of the first part counts any more: {resumed}");
    assert!(net.read("file").await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_can_be_cut_off_again_and_again() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let bytes = noise(3, 90 * SEGMENT_PLAIN + 1);
    std::fs::write(&file, &bytes).expect("writes");
    for _ in 0..3 {
        crash_after(&net, &file, folder.path(), 1).await;
    }
    go_on(&net, &file, folder.path()).await;
    assert!(net.read("file").await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_after_the_end_changes_nothing() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    let bytes = noise(4, 5 * SEGMENT_PLAIN + 1);
    std::fs::write(&file, &bytes).expect("writes");
    let client = net.another_client(0xf2).await;
    let journals = folder.path().join("journals");
    // The crash comes after the commit, before the journal is removed: keep a copy and put it back.
    let keep = folder.path().join("kept");
    let (from, to) = (journals.clone(), keep.clone());
    let progress = Progress::new(move |event| {
        if matches!(event, Event::Committed(_)) {
            let journal = std::fs::read_dir(&from).expect("reads").next().expect("a journal").expect("an entry");
            std::fs::copy(journal.path(), &to).expect("copies");
            std::fs::write(to.with_extension("name"), journal.file_name().to_string_lossy().as_bytes())
                .expect("writes");
        }
    });
    let options = PutOptions { resume_folder: Some(journals.clone()), progress, ..PutOptions::default() };
    client.put("bucket", "file", Source::File(file.clone()), options).await.expect("puts");
    let name = std::fs::read_to_string(keep.with_extension("name")).expect("reads");
    std::fs::copy(&keep, journals.join(name)).expect("copies");
    let (_, resumed) = go_on(&net, &file, &journals).await;
    assert_eq!(resumed, bytes.len() as u64);
    for round in 0..20 {
        net.put("other", &noise(round, 10)).await;
    }
    assert!(net.read("file").await == bytes, "its segments are still in use");
}
