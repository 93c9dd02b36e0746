//! List, look up, overwrite and remove; what falls out of use is released.

use crate::support::{Net, SEGMENT, SEGMENT_PLAIN, noise};
use alloy_sol_types::SolEvent;
use client::{
    BucketError, ChainApi, Condition, Conflict, PutOptions, Source,
    chain::{LogFilter, Network},
};
use std::collections::BTreeSet;
use types::abi::{IVolumes, VOLUMES};

async fn released(net: &Net) -> usize {
    let topics = [Some(vec![IVolumes::Released::SIGNATURE_HASH]), None, None, None];
    let filter = LogFilter { address: VOLUMES, topics, ..LogFilter::default() };
    net.chain.logs(filter).await.expect("answers").len()
}

async fn live(net: &Net) -> u32 {
    let network = Network(&*net.chain);
    let mut stripes = 0;
    for volume in 1..=network.volume_count().await.expect("answers") {
        stripes += network.volume(volume).await.expect("answers").stripeCount;
    }
    stripes - released(net).await as u32
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_by_prefix_page_and_delimiter() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a/1", "a/2", "a/b/3", "c", "d/4", "ä/5"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
        std::fs::write(path, name).expect("writes");
    }
    net.client.put_folder("bucket", "", folder.path(), PutOptions::default()).await.expect("puts");
    let list = |prefix: &'static str, after: Option<String>, delimiter, limit| {
        let client = net.client.clone();
        async move {
            let listing = client.list("bucket", prefix, after.as_deref(), delimiter, limit).await.expect("lists");
            let keys: Vec<String> = listing.objects.iter().map(|object| object.key.clone()).collect();
            (keys, listing.prefixes, listing.next)
        }
    };
    let (keys, _, next) = list("", None, None, 100).await;
    assert_eq!(keys, ["a/1", "a/2", "a/b/3", "c", "d/4", "ä/5"]);
    assert_eq!(next, None);
    let (keys, prefixes, _) = list("", None, Some('/'), 100).await;
    assert_eq!(
        (keys.as_slice(), prefixes.as_slice()),
        (["c".to_owned()].as_slice(), ["a/", "d/", "ä/"].map(str::to_owned).as_slice())
    );
    let (keys, prefixes, _) = list("a/", None, Some('/'), 100).await;
    assert_eq!((keys, prefixes), (vec!["a/1".to_owned(), "a/2".to_owned()], vec!["a/b/".to_owned()]));
    assert_eq!(list("zzz", None, None, 100).await, (vec![], vec![], None));
    for delimiter in [None, Some('/')] {
        let (all, all_prefixes, _) = list("", None, delimiter, 100).await;
        let (mut keys, mut prefixes, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let (some, some_prefixes, next) = list("", after, delimiter, 1).await;
            assert!(some.len() + some_prefixes.len() == 1);
            keys.extend(some);
            prefixes.extend(some_prefixes);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((keys, prefixes), (all, all_prefixes), "page by page with {delimiter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn overwriting_and_removing_give_the_space_back() {
    let net = Net::new(8).await;
    net.put("object", &noise(1, 6 * SEGMENT_PLAIN)).await;
    let full = live(&net).await;
    net.put("object", &noise(2, 10)).await;
    assert_eq!(net.read("object").await, noise(2, 10));
    net.client.remove("bucket", &["object"], Condition::Present).await.expect("removes");
    assert_eq!(net.client.stat("bucket", "object").await.expect("answers"), None);
    // What is left is the segment with the newest root page.
    assert_eq!(live(&net).await, 1, "of {full}");
    let usage = net.client.list_territories().await.expect("lists")[0].bytes_used;
    net.put("object", &noise(3, 10)).await;
    assert_eq!(net.read("object").await, noise(3, 10));
    assert!(usage > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_shares_its_segment_survives_the_others() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["one", "two", "three"] {
        std::fs::write(folder.path().join(name), noise(name.len() as u64, 5_000)).expect("writes");
    }
    net.client.put_folder("bucket", "", folder.path(), PutOptions::default()).await.expect("puts");
    net.client.remove("bucket", &["one", "three"], Condition::Any).await.expect("removes");
    for round in 0..20 {
        net.put("other", &noise(round, 100)).await;
    }
    assert_eq!(net.read("two").await, noise(3, 5_000));
    assert!(released(&net).await > 10, "root pages and overwritten objects are released in batches");
    assert!(live(&net).await <= 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_hold_or_nothing_changes() {
    let net = Net::new(8).await;
    let put = |bytes: Vec<u8>, when| {
        let client = net.client.clone();
        async move {
            let options = PutOptions { when, ..PutOptions::default() };
            client.put("bucket", "object", Source::bytes(bytes), options).await
        }
    };
    let first = put(noise(1, 50), Condition::Absent).await.expect("there is none");
    let second = put(noise(2, 50), Condition::Absent).await.expect_err("there is one");
    assert!(matches!(second.conflict(), Some(Conflict::Exists { .. })), "{second}");
    put(noise(3, 50), Condition::Etag(first.etag)).await.expect("it is that one");
    let stale = put(noise(4, 50), Condition::Etag(first.etag)).await.expect_err("it is another one");
    assert!(matches!(stale.conflict(), Some(Conflict::Changed { .. })), "{stale}");
    assert_eq!(net.read("object").await, noise(3, 50));
    let missing = net.client.remove("bucket", &["nothing"], Condition::Present).await.expect_err("there is none");
    assert!(matches!(missing.conflict(), Some(Conflict::NotFound { .. })), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_index_is_folded_and_everything_is_found() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    let name = |number: u32| format!("file-{number:05}-{}", "x".repeat(80));
    for round in 0..4u32 {
        for number in round * 500..(round + 1) * 500 {
            std::fs::write(folder.path().join(name(number)), number.to_be_bytes()).expect("writes");
        }
    }
    net.client.put_folder("bucket", "", folder.path(), PutOptions::default()).await.expect("puts");
    let reader = net.another_client(0xc2).await;
    for number in [0, 1, 499, 777, 1_999] {
        let bytes = reader.read("bucket", &name(number), None).await.expect("reads");
        assert_eq!(bytes, number.to_be_bytes());
    }
    let (mut seen, mut after) = (BTreeSet::new(), None);
    loop {
        let page = reader.list("bucket", "file-", after.as_deref(), None, 300).await.expect("lists");
        seen.extend(page.objects.into_iter().map(|object| object.key));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 2_000);
    let names: Vec<String> = (0..2_000).filter(|number| number % 3 == 0).map(name).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    net.client.remove("bucket", &keys, Condition::Present).await.expect("removes");
    assert!(net.client.stat("bucket", &name(0)).await.expect("answers").is_none());
    assert!(net.client.stat("bucket", &name(1)).await.expect("answers").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_many_segments_lists_its_parts_apart() {
    let net = Net::new(8).await;
    let bytes = noise(9, 60 * SEGMENT_PLAIN);
    net.put("large", &bytes).await;
    let reader = net.another_client(0xc3).await;
    let at = 41 * SEGMENT_PLAIN as u64 - 5;
    let read = reader.read("bucket", "large", Some(at..at + 10)).await.expect("reads");
    assert_eq!(read, bytes[at as usize..at as usize + 10]);
    net.client.remove("bucket", &["large"], Condition::Present).await.expect("removes");
    assert_eq!(live(&net).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_come_and_go() {
    let net = Net::new(8).await;
    net.client.create_bucket("photos", net.territory).await.expect("creates");
    assert!(net.client.create_bucket("photos", net.territory).await.is_err(), "there is one");
    let names = |buckets: Vec<client::BucketSummary>| buckets.into_iter().map(|bucket| bucket.name).collect::<Vec<_>>();
    assert_eq!(names(net.client.list_buckets().await.expect("lists")), ["bucket", "photos"]);
    net.client.put("photos", "one", Source::bytes(&b"1"[..]), PutOptions::default()).await.expect("puts");
    let full = net.client.remove_bucket("photos").await;
    assert!(matches!(full, Err(BucketError::NotEmpty { .. })), "{full:?}");
    net.client.remove("photos", &["one"], Condition::Any).await.expect("removes");
    net.client.remove_bucket("photos").await.expect("removes");
    assert_eq!(names(net.client.list_buckets().await.expect("lists")), ["bucket"]);
    assert_eq!(live(&net).await, 0);
    let unknown = net.client.stat("photos", "one").await.expect_err("gone");
    assert!(unknown.to_string().contains("cess bucket create photos"), "{unknown}");
    assert!(net.client.create_bucket("a/b", net.territory).await.is_err());
    net.client.create_bucket("photos", net.territory).await.expect("creates again");
    net.client.put("photos", "two", Source::bytes(noise(1, SEGMENT)), PutOptions::default()).await.expect("puts");
    assert_eq!(net.client.read("photos", "two", None).await.expect("reads"), noise(1, SEGMENT));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_private() {
    let net = Net::new(8).await;
    net.client.create_bucket("secret-name", net.territory).await.expect("creates");
    net.client
        .put("secret-name", "secret-key", Source::bytes(&b"secret"[..]), PutOptions::default())
        .await
        .expect("puts");
    let filter = |address| LogFilter { address, ..LogFilter::default() };
    for address in types::abi::MODULES {
        for entry in net.chain.logs(filter(address)).await.expect("answers") {
            let text = String::from_utf8_lossy(&entry.log.data.data).into_owned();
            assert!(!text.contains("secret"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_sizes_become_billed_sizes() {
    let net = Net::new(8).await;
    let territory = net.client.buy_territory(10 << 20, 30).await.expect("buys");
    let all = net.client.list_territories().await.expect("lists");
    let bought = all.iter().find(|one| one.id == territory).expect("listed");
    assert_eq!(bought.bytes_bought, 20 << 20);
    let before = bought.paid_until_ms;
    net.client.extend_territory(territory, 10).await.expect("extends");
    let all = net.client.list_territories().await.expect("lists");
    let extended = all.iter().find(|one| one.id == territory).expect("listed");
    assert_eq!(extended.paid_until_ms, before + 10 * 24 * 3_600_000);
}
