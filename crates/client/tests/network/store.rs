//! Many callers write and read one bucket that is held open.

use crate::support::{KIB, Net, SEGMENT, SEGMENT_PLAIN, config, noise};
use cache::{Cache, CacheConfig, Place};
use client::{
    Body, ChainApi, ChangeError, Client, ClientConfig, Condition, Conflict, Entry, Key, Keys, Snapshot, Store,
    StoreConfig, UpdateError, View, ViewError, chain::Network,
};
use futures::{StreamExt, TryStreamExt, future::join_all};
use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use transport::memory::Behaviour;

async fn stage(store: &Store, bytes: &[u8]) -> Body {
    store.stage(bytes, Some(bytes.len() as u64)).await.expect("stages")
}

async fn put_body(store: &Store, key: Key, body: Body) -> Result<(), ChangeError<ViewError>> {
    store.change(move |view: &mut View<'_>| view.put(key.clone(), Entry::default(), Some(&body))).await
}

async fn put(store: &Store, key: &str, bytes: &[u8]) {
    let body = stage(store, bytes).await;
    put_body(store, Key::object(key), body).await.expect("commits");
}

async fn read(store: &Store, entry: &Entry, range: Option<Range<u64>>) -> Vec<u8> {
    let stream = store.read(entry, range).expect("a range");
    stream.try_collect::<Vec<_>>().await.expect("reads").concat()
}

async fn get(store: &Store, key: &Key) -> Option<Entry> {
    store.snapshot().await.expect("a root").get(key).await.expect("answers")
}

/// Bytes that the territory is billed for.
async fn billed(net: &Net) -> u64 {
    Network(&*net.chain).territory(net.territory).await.expect("answers").bytesUsed
}

async fn open(net: &Net, id: u8, config: ClientConfig) -> Store {
    let transport = Arc::new(net.network.join(alloy_primitives::B256::repeat_byte(id)));
    let client = Client::new(net.chain.clone(), transport, Keys::devnet(0), config).await.expect("connects");
    client.open("bucket").await.expect("opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_all_lengths_come_back_whole_and_in_parts() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    let lengths = [0, 1, 4 * KIB, 64 * KIB, 64 * KIB + 1, SEGMENT / 2 - 100, SEGMENT / 2 + 1, 3 * SEGMENT_PLAIN + 5];
    for (number, length) in lengths.into_iter().enumerate() {
        let bytes = noise(number as u64, length);
        for size in [Some(length as u64), None] {
            let key = format!("{length}/{}", size.is_some());
            let body = store.stage(&bytes[..], size).await.expect("stages");
            let etag = alloy_primitives::B256::from(*blake3::hash(&bytes).as_bytes());
            assert_eq!((body.size(), body.etag()), (length as u64, etag));
            put_body(&store, Key::object(&key), body).await.expect("commits");
            let entry = get(&store, &Key::object(&key)).await.expect("it is there");
            assert!(read(&store, &entry, None).await == bytes, "{key}");
            let (from, to) = (length / 3, length - length / 4);
            assert!(read(&store, &entry, Some(from as u64..to as u64)).await == bytes[from..to], "{key}");
            assert!(store.read(&entry, Some(length as u64 + 1..length as u64 + 2)).is_err());
            assert!(net.read(&key).await == bytes, "other ways in see it too");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_another_length_is_refused() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    for length in [1_000, SEGMENT] {
        let bytes = noise(1, length);
        assert!(store.stage(&bytes[..], Some(length as u64 + 1)).await.is_err());
        assert!(store.stage(&bytes[..], Some(length as u64 - 1)).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_many_callers_are_one_update_and_one_that_fails_spoils_nothing() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    put(&store, "there", b"before").await;
    let before = store.snapshot().await.expect("a root").version();
    let changes = (0..40u32).map(|number| {
        let store = store.clone();
        async move {
            let body = stage(&store, &noise(number.into(), 3_000)).await;
            let change = move |view: &mut View<'_>| {
                view.put(Key::object(format!("{number}")), Entry::default(), Some(&body))?;
                let when = if number % 4 == 0 { Condition::Absent } else { Condition::Any };
                when.check("there", view.get(&Key::object("there"))?)?;
                Ok::<_, UpdateError>(number)
            };
            store.change(change).await
        }
    });
    for (number, result) in join_all(changes).await.into_iter().enumerate() {
        let exists = UpdateError::Conflict(Conflict::Exists { key: "there".into() });
        let expected = if number % 4 == 0 { Err(ChangeError::Refused(exists)) } else { Ok(number as u32) };
        assert_eq!(result, expected);
    }
    let snapshot = store.snapshot().await.expect("a root");
    assert!(snapshot.version() - before <= 4, "{} updates for 40 changes", snapshot.version() - before);
    for number in 0..40u32 {
        match snapshot.get(&Key::object(format!("{number}"))).await.expect("answers") {
            Some(entry) => assert!(read(&store, &entry, None).await == noise(number.into(), 3_000)),
            None => assert_eq!(number % 4, 0),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_sees_what_it_and_those_before_it_wrote() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    let record = |number: u8| Key::record(vec![number]);
    let changes = (0..30u8).map(|_| {
        store.change(move |view: &mut View<'_>| {
            let next = view.scan(record(0).., 1_000)?.len() as u8;
            view.put(record(next), Entry { attributes: vec![next].into(), ..Entry::default() }, None)?;
            let last = view.scan(.., 1_000)?.pop().expect("what was just put");
            assert_eq!((last.0, &last.1.attributes[..]), (record(next), &[next][..]));
            Ok::<_, ViewError>(next)
        })
    });
    let numbers: BTreeSet<u8> = join_all(changes).await.into_iter().map(|result| result.expect("commits")).collect();
    assert_eq!(numbers, (0..30).collect(), "each took a number of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_that_count_lose_nothing() {
    let net = Net::new(8).await;
    let stores = [open(&net, 0xe0, config()).await, open(&net, 0xe1, config()).await];
    let count = |view: &mut View<'_>| {
        let key = Key::record("count");
        let before = view.get(&key)?.map_or(0, |entry| entry.attributes[0]);
        view.put(key, Entry { attributes: vec![before + 1].into(), ..Entry::default() }, None)?;
        Ok::<_, ViewError>(before + 1)
    };
    let programs = stores.iter().map(|store| async move {
        for _ in 0..10 {
            join_all([store.change(count), store.change(count)]).await.into_iter().for_each(|result| {
                result.expect("commits");
            });
        }
    });
    join_all(programs).await;
    let fresh = open(&net, 0xe2, config()).await;
    assert_eq!(get(&fresh, &Key::record("count")).await.expect("counted").attributes[..], [40]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_programs_one_wins_and_they_are_never_mixed() {
    let net = Net::new(8).await;
    let stores = [open(&net, 0xe0, config()).await, open(&net, 0xe1, config()).await];
    for round in 0..5u64 {
        let writers = stores.iter().zip(0u64..).map(|(store, writer)| async move {
            let (one, two) = (stage(store, &noise(writer, 3_000)).await, stage(store, &noise(writer, 3_000)).await);
            let both = move |view: &mut View<'_>| {
                view.put(Key::object("one"), Entry::default(), Some(&one))?;
                view.put(Key::object("two"), Entry::default(), Some(&two))
            };
            store.change(both).await.expect("commits");
            let body = stage(store, &noise(writer, 100)).await;
            let key = format!("first/{round}");
            let claim = move |view: &mut View<'_>| {
                Condition::Absent.check(&key, view.get(&Key::object(&key))?)?;
                view.put(Key::object(&key), Entry::default(), Some(&body))?;
                Ok::<_, UpdateError>(())
            };
            store.change(claim).await.is_ok()
        });
        let won = join_all(writers).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "exactly one was the first");
        let fresh = open(&net, 0xe8 + round as u8, config()).await;
        let (one, two) = (get(&fresh, &Key::object("one")).await, get(&fresh, &Key::object("two")).await);
        let (one, two) = (one.expect("written"), two.expect("written"));
        assert_eq!(one.etag, two.etag, "both are of one writer");
        assert_eq!(read(&fresh, &one, None).await, read(&fresh, &two, None).await);
        let first = get(&fresh, &Key::object(format!("first/{round}"))).await.expect("claimed");
        let winner = won.iter().position(|won| *won).expect("one");
        assert_eq!(read(&fresh, &first, None).await, noise(winner as u64, 100));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_and_never_put_costs_nothing() {
    let net = Net::new(8).await;
    let crashing = open(&net, 0xe0, config()).await;
    put(&crashing, "there", b"bytes").await;
    let before = billed(&net).await;
    for length in [4 * KIB, 5 * SEGMENT] {
        drop(stage(&crashing, &noise(7, length)).await);
    }
    drop(crashing);
    assert_eq!(billed(&net).await, before);
    let store = net.client.open("bucket").await.expect("opens");
    let all = store.snapshot().await.expect("a root").scan(.., 10).await.expect("scans");
    assert_eq!(all.len(), 1);
    put(&store, "later", &noise(8, 2 * SEGMENT)).await;
    assert!(net.read("later").await == noise(8, 2 * SEGMENT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_goes_on_when_its_caller_is_gone() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    let mut asked = Some(asked);
    let change = store.change(move |view: &mut View<'_>| {
        asked.take().map(|asked| asked.send(()));
        view.put(Key::record("kept"), Entry::default(), None)
    });
    tokio::select! {
        result = change => panic!("it was to be dropped, but ended: {result:?}"),
        asked = was_asked => asked.expect("it was asked"),
    }
    // Groups of a bucket follow one another.
    put(&store, "behind", b"x").await;
    assert!(get(&store, &Key::record("kept")).await.is_some());
}

async fn joined_of(net: &Net, store: &Store, part_bytes: usize, part_count: u32) -> Vec<u8> {
    let upload = |number: u32| Key::record(format!("upload/{number:05}"));
    let mut all = Vec::new();
    for number in 0..part_count {
        let bytes = noise(number.into(), part_bytes + number as usize);
        let body = stage(store, &bytes).await;
        put_body(store, upload(number), body).await.expect("commits");
        all.extend(bytes);
    }
    let billed_before = billed(net).await;
    let complete = move |view: &mut View<'_>| {
        let parts = view.scan(upload(0).., usize::MAX)?;
        let joined = Body::join(parts.iter().map(|(_, part)| Body::of(part)));
        view.put(Key::object("joined"), Entry { modified_ms: 5, ..Entry::default() }, Some(&joined))?;
        parts.iter().try_for_each(|(key, _)| view.remove(key))?;
        Ok::<_, ViewError>(joined.size())
    };
    assert_eq!(store.change(complete).await, Ok(all.len() as u64));
    let more = billed(net).await - billed_before;
    assert!(more <= 4 * SEGMENT as u64, "no byte was copied: {more} more are billed");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_joined_without_being_copied() {
    for (part_bytes, part_count) in [(10_000, 3), (SEGMENT + 100, 3), (3_000, 60)] {
        let net = Net::new(8).await;
        let store = net.client.open("bucket").await.expect("opens");
        let all = joined_of(&net, &store, part_bytes, part_count).await;
        let entry = get(&store, &Key::object("joined")).await.expect("completed");
        assert!(read(&store, &entry, None).await == all, "{part_count} parts");
        let middle = all.len() / 2;
        assert!(
            read(&store, &entry, Some(middle as u64 - 50..middle as u64 + 50)).await == all[middle - 50..middle + 50]
        );
        let left = store.snapshot().await.expect("a root").scan(Key::record("a").., 10).await.expect("scans");
        assert!(left.is_empty(), "the upload is gone");
        // What was joined can be joined again, also where its list lies in pieces.
        let twice = |view: &mut View<'_>| {
            let entry = view.get(&Key::object("joined"))?.expect("completed").clone();
            view.put(Key::object("twice"), Entry::default(), Some(&Body::join([Body::of(&entry), Body::of(&entry)])))?;
            view.put(Key::object("copy"), entry, None)?;
            view.remove(&Key::object("joined"))
        };
        store.change(twice).await.expect("commits");
        let snapshot = store.snapshot().await.expect("a root");
        let twice = snapshot.get(&Key::object("twice")).await.expect("answers").expect("put");
        assert!(read(&store, &twice, None).await == [all.clone(), all.clone()].concat());
        net.client.remove("bucket", &["twice"], Condition::Present).await.expect("removes");
        assert!(net.read("copy").await == all, "its bytes are still in use");
        net.client.remove("bucket", &["copy"], Condition::Present).await.expect("removes");
        net.client.remove_bucket("bucket").await.expect("everything is known and released");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_gone_are_not_put_again() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    put(&store, "old", &noise(1, SEGMENT)).await;
    let stale = get(&store, &Key::object("old")).await.expect("put");
    store.change(|view: &mut View<'_>| view.remove(&Key::object("old"))).await.expect("commits");
    let again = store.change(move |view: &mut View<'_>| view.put(Key::object("new"), stale.clone(), None));
    let good = put_body(&store, Key::object("good"), stage(&store, b"good").await);
    let (again, good) = futures::join!(again, good);
    assert!(matches!(again, Err(ChangeError::Failed(UpdateError::Gone { .. }))), "{again:?}");
    good.expect("it has no part in that");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_stagings_share_one_bound_of_memory() {
    let net = Net::new(8).await;
    // Room for what three segments take.
    let store = open(&net, 0xe0, ClientConfig { put_memory_bytes: 0, ..config() }).await;
    let uploads = (0..40u64).map(|number| {
        let store = &store;
        async move {
            let body = stage(store, &noise(number, SEGMENT + 1_000)).await;
            put_body(store, Key::object(format!("{number}")), body).await.expect("commits");
        }
    });
    join_all(uploads).await;
    for number in 0..40 {
        assert!(net.read(&format!("{number}")).await == noise(number, SEGMENT + 1_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_share_segments() {
    let net = Net::new(8).await;
    let wide = StoreConfig { group_window: Duration::from_millis(500), ..config().store };
    let store = open(&net, 0xe0, ClientConfig { store: wide, put_memory_bytes: 64 << 20, ..config() }).await;
    let before = billed(&net).await;
    let count = 1_000;
    let bodies = join_all((0..count).map(|number| async move { noise(number, 4 * KIB) })).await;
    let staged = join_all(bodies.iter().map(|bytes| stage(&store, bytes))).await;
    let puts =
        staged.into_iter().zip(0u64..).map(|(body, number)| put_body(&store, Key::object(format!("{number}")), body));
    join_all(puts).await.into_iter().for_each(|result| result.expect("commits"));
    let each = (billed(&net).await - before) / count;
    // 1.2 times what the code takes, and 1 KiB.
    assert!(each <= 4096 * 2 * 12 / 10 + 1024, "{each} bytes for each of 4,096");
    let entry = get(&store, &Key::object("777")).await.expect("put");
    assert!(read(&store, &entry, None).await == bodies[777]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_put_is_one_transaction() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    put(&store, "first", b"takes the lease").await;
    let nonce = async || net.chain.account(net.client.address()).await.expect("answers").nonce;
    let before = nonce().await;
    let rounds = 12;
    for number in 0..rounds {
        put(&store, &format!("{number}"), &noise(number, 4 * KIB)).await;
    }
    let taken = nonce().await - before;
    // A lease is taken ahead now and then, beside the puts.
    assert!((rounds..=rounds + 3).contains(&taken), "{taken} transactions for {rounds} puts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_territory_is_named_and_does_not_stop_removals() {
    let net = Net::new(8).await;
    let small = net.client.buy_territory(4 << 20, 30).await.expect("buys");
    net.client.create_bucket("small", small).await.expect("creates");
    let store = net.client.open("small").await.expect("opens");
    let mut keys = Vec::new();
    let full = loop {
        let key = Key::object(format!("{}", keys.len()));
        let body = stage(&store, &noise(keys.len() as u64, 100 * KIB)).await;
        match put_body(&store, key.clone(), body).await {
            Ok(()) => keys.push(key),
            Err(error) => break error.to_string(),
        }
    };
    assert!(full.contains(&format!("territory {small} has")) && full.contains("cess territory buy"), "{full}");
    let body = stage(&store, &noise(99, 100 * KIB)).await;
    let removed = keys[0].clone();
    let remove = store.change(move |view: &mut View<'_>| view.remove(&removed));
    let (put, remove) = futures::join!(put_body(&store, Key::object("more"), body), remove);
    assert!(put.is_err());
    remove.expect("it takes what is kept free for it");
    let left = store.snapshot().await.expect("a root").scan(.., 1_000).await.expect("scans");
    assert_eq!(left.len(), keys.len() - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_lie_or_are_gone_cost_time_only() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    net.behave(&net.miners[1], Behaviour::Gone);
    net.behave(&net.miners[4], Behaviour::Lie);
    let (small, large) = (noise(1, 4 * KIB), noise(2, 4 * SEGMENT));
    put(&store, "small", &small).await;
    put(&store, "large", &large).await;
    net.behave(&net.miners[6], Behaviour::Lie);
    net.behave(&net.miners[7], Behaviour::Stall);
    let fresh = open(&net, 0xe0, config()).await;
    for (key, bytes) in [("small", small), ("large", large)] {
        let entry = get(&fresh, &Key::object(key)).await.expect("put");
        assert!(read(&fresh, &entry, None).await == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_the_same_bytes_share_one_fetch() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    put(&store, "hot", &noise(1, 4 * KIB)).await;
    let entry = get(&store, &Key::object("hot")).await.expect("put");
    let fetches = || net.miners.iter().map(|miner| miner.fetches.load(Ordering::Relaxed)).sum::<u64>();
    for miner in &net.miners {
        let faults = transport::memory::Faults { latency: Duration::from_millis(10), ..Default::default() };
        net.network.set_faults(miner.peer, faults);
    }
    let before = fetches();
    let reads = join_all((0..50).map(|_| read(&store, &entry, None))).await;
    assert!(reads.iter().all(|bytes| *bytes == noise(1, 4 * KIB)));
    assert!(fetches() - before <= 4, "{} fetches for 50 readers", fetches() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_kept_and_damage_to_it_is_noticed() {
    let net = Net::new(8).await;
    let bytes = noise(1, 300 * KIB);
    put(&net.client.open("bucket").await.expect("opens"), "hot", &bytes).await;
    let cache = Cache::open(&CacheConfig { memory_bytes: 8 << 20, disk: None }).await.expect("opens");
    let cache = Arc::new(cache);
    let store = open(&net, 0xe0, ClientConfig { cache: Some(cache.clone()), ..config() }).await;
    let entry = get(&store, &Key::object("hot")).await.expect("put");
    let fetches = || net.miners.iter().map(|miner| miner.fetches.load(Ordering::Relaxed)).sum::<u64>();
    let middle = 100_000..200_000;
    let check = async |range: Range<u64>| {
        let read = read(&store, &entry, Some(range.clone())).await;
        assert!(read == bytes[range.start as usize..range.end as usize], "{range:?}");
    };
    check(middle.clone()).await;
    let before = fetches();
    check(middle).await;
    assert_eq!(fetches(), before, "all of it was kept");
    check(0..bytes.len() as u64).await;
    let before = fetches();
    for range in [0..1, 65_535..65_537, 0..bytes.len() as u64, 299_999..300_000] {
        check(range).await;
    }
    assert_eq!(fetches(), before, "whatever the range");
    let first = entry.extents().next().expect("it has bytes");
    let start = first.offset + sealing::HEADER_LENGTH as u32;
    cache.insert(Place { segment: first.segment.id, start }, &[7; sealing::SEALED_CHUNK_LENGTH]);
    check(0..1_000).await;
    assert!(fetches() > before, "members are asked instead");
    check(0..1_000).await;
    let before = fetches();
    check(0..1_000).await;
    assert_eq!(fetches(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_mostly_out_of_use_are_packed_anew_and_released() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    let count = 60u64;
    let bytes = |number: u64| noise(number, 60 * KIB);
    // One change at a time, so that what shares a segment does not depend on how busy the machine is.
    for numbers in (0..count).collect::<Vec<_>>().chunks(20) {
        let mut bodies = Vec::new();
        for number in numbers {
            bodies.push((Key::object(format!("{number:02}")), stage(&store, &bytes(*number)).await));
        }
        let change = move |view: &mut View<'_>| {
            bodies.iter().try_for_each(|(key, body)| view.put(key.clone(), Entry::default(), Some(body)))
        };
        store.change(change).await.expect("commits");
    }
    let live = (0..count).filter(|number| number % 6 == 0);
    let gone: Vec<Key> =
        (0..count).filter(|number| number % 6 != 0).map(|number| Key::object(format!("{number:02}"))).collect();
    let prune = move |view: &mut View<'_>| {
        gone.iter().try_for_each(|key| view.remove(key))?;
        // Two refer to the same bytes.
        let twin = view.get(&Key::object("00"))?.expect("it stays").clone();
        view.put(Key::record("twin"), twin, None)
    };
    store.change(prune).await.expect("commits");
    let mut done = client::Repacked::default();
    for calls in 1.. {
        let step = store.repack(client::RepackBudget { bytes: 150_000, entries: 4 }).await.expect("packs");
        (done.bytes, done.entries) = (done.bytes + step.bytes, done.entries + step.entries);
        done.released += step.released;
        if step.complete {
            assert!(calls > 1, "it took several calls");
            break;
        }
    }
    assert!(done.entries >= 8 && done.released >= 3, "{done:?}");
    let most = (count / 6) * (61 * KIB as u64);
    assert!((1..=most).contains(&done.bytes), "what two refer to was moved once: {done:?}");
    let fresh = open(&net, 0xe0, config()).await;
    for number in live {
        let entry = get(&fresh, &Key::object(format!("{number:02}"))).await.expect("it stays");
        assert!(read(&fresh, &entry, None).await == bytes(number));
    }
    let twin = get(&fresh, &Key::record("twin")).await.expect("it stays");
    assert!(read(&fresh, &twin, None).await == bytes(0));
    let again = store.repack(client::RepackBudget { bytes: u64::MAX, entries: usize::MAX }).await.expect("packs");
    assert!(again.complete && again.bytes <= 200_000, "little is left to do: {again:?}");
}

async fn fill(store: &Store, count: u32) {
    for numbers in (0..count).collect::<Vec<_>>().chunks(200) {
        let numbers = numbers.to_vec();
        let body = stage(store, b"shared by all").await;
        let change = move |view: &mut View<'_>| {
            for number in &numbers {
                view.put(Key::object(format!("{number:06}")), Entry::default(), Some(&body))?;
                let note = Entry { attributes: number.to_be_bytes().to_vec().into(), ..Entry::default() };
                view.put(Key::record(format!("{number:06}")), note, None)?;
            }
            Ok::<_, ViewError>(())
        };
        store.change(change).await.expect("commits");
    }
}

async fn check_scans(snapshot: &Snapshot, count: u32) {
    let all = snapshot.scan(.., usize::MAX).await.expect("scans");
    assert_eq!(all.len(), 2 * count as usize);
    assert!(all.is_sorted_by(|(one, _), (other, _)| one < other));
    let key = |number: u32| Key::object(format!("{number:06}"));
    let some = snapshot.scan(key(10)..key(count - 10), usize::MAX).await.expect("scans");
    assert_eq!((some.len(), &some[0].0), (count as usize - 20, &key(10)));
    let paged = snapshot.scan(key(7)..=key(9), 2).await.expect("scans");
    assert_eq!(paged.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), [key(7), key(8)]);
    assert!(snapshot.scan(key(9)..key(9), 5).await.expect("scans").is_empty());
    let backwards = (std::ops::Bound::Included(key(9)), std::ops::Bound::Excluded(key(3)));
    assert!(snapshot.scan(backwards, 5).await.expect("scans").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_many_keys_is_scanned_in_order_with_pages_from_anywhere() {
    let net = Net::new(8).await;
    let folder = tempfile::tempdir().expect("a folder");
    let kept = StoreConfig { page_folder: Some(folder.path().to_owned()), ..config().store };
    let kept = || ClientConfig { store: kept.clone(), ..config() };
    let writer = open(&net, 0xe0, kept()).await;
    let count = 3_000;
    fill(&writer, count).await;
    check_scans(&writer.snapshot().await.expect("a root"), count).await;
    // With nothing kept at all, with what is on disk, and with what is damaged there.
    check_scans(&net.client.open("bucket").await.expect("opens").snapshot().await.expect("a root"), count).await;
    check_scans(&open(&net, 0xe1, kept()).await.snapshot().await.expect("a root"), count).await;
    let bucket = std::fs::read_dir(folder.path()).expect("reads").next().expect("a bucket").expect("an entry");
    for (number, file) in std::fs::read_dir(bucket.path()).expect("reads").enumerate() {
        let path = file.expect("an entry").path();
        // Pages are still being written: a file may have its name only for a moment.
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        match number % 3 {
            0 => bytes.truncate(number),
            1 => bytes.iter_mut().last().into_iter().for_each(|last| *last ^= 1),
            _ => bytes.clear(),
        }
        std::fs::write(path, bytes).expect("writes");
    }
    check_scans(&open(&net, 0xe2, kept()).await.snapshot().await.expect("a root"), count).await;
    while folder.path().exists() {
        drop(std::fs::remove_dir_all(folder.path()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    check_scans(&open(&net, 0xe3, kept()).await.snapshot().await.expect("a root"), count).await;
    let mut stream = writer.read(&get(&writer, &Key::object("000042")).await.expect("put"), None).expect("a range");
    assert_eq!(stream.next().await.expect("some").expect("reads"), &b"shared by all"[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_entries_beyond_the_limits_are_refused() {
    let net = Net::new(8).await;
    let store = net.client.open("bucket").await.expect("opens");
    let body = stage(&store, b"x").await;
    for key in [Key::object(""), Key::object("x".repeat(1025)), Key::record(""), Key::record(vec![0; 1301])] {
        let refused = put_body(&store, key, body.clone()).await;
        assert!(matches!(refused, Err(ChangeError::Refused(ViewError::Key { .. }))), "{refused:?}");
    }
    let segment = Key::Segment(alloy_primitives::B256::ZERO);
    assert!(put_body(&store, segment, body.clone()).await.is_err());
    let large = Entry { attributes: vec![0; 8193].into(), ..Entry::default() };
    let refused = store.change(move |view: &mut View<'_>| view.put(Key::record("a"), large.clone(), None)).await;
    assert!(matches!(refused, Err(ChangeError::Refused(ViewError::Entry(_)))), "{refused:?}");
    let empty = store.change(|view: &mut View<'_>| view.put(Key::object("a"), Entry::default(), None)).await;
    assert!(matches!(empty, Err(ChangeError::Refused(ViewError::Key { .. }))), "an object is staged, even of no bytes");
    net.client.create_bucket("other", net.territory).await.expect("creates");
    let other = net.client.open("other").await.expect("opens");
    let foreign = put_body(&other, Key::object("a"), body).await;
    assert!(matches!(foreign, Err(ChangeError::Refused(ViewError::ForeignBody))), "{foreign:?}");
}
