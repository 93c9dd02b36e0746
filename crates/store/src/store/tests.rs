use super::*;
use crate::disk::{FileDisk, MemoryDisk};
use std::collections::BTreeMap;

const CONFIG: StoreConfig = StoreConfig { capacity_bytes: 1 << 30 };
const FILE_BYTES: u64 = (64 << 10) + 4096;

fn bytes_of(number: u8) -> Bytes {
    (0..64u32 << 10).map(|i| (i % 251) as u8 ^ number).collect::<Vec<_>>().into()
}

fn key(number: u8) -> FragmentKey {
    FragmentKey { segment: B256::repeat_byte(number), volume: u32::from(number) }
}

fn fragment(number: u8) -> NewFragment {
    let bytes = bytes_of(number);
    NewFragment {
        key: key(number),
        seat: 3,
        territory: 1,
        profile: Profile::Devnet,
        length: 100,
        root: B256::from(*blake3::hash(&bytes).as_bytes()),
        path: vec![B256::repeat_byte(9); 3],
        expires_at_height: 10 + u64::from(number),
        hashes: Bytes::from(vec![number; 128]),
        bytes,
    }
}

fn roomy() -> MemoryDisk {
    MemoryDisk::new(4 << 30)
}

fn open(disk: &MemoryDisk) -> (Store, Recovery) {
    Store::open(disk.clone(), CONFIG).unwrap()
}

async fn read(store: &Store, number: u8) -> Option<Bytes> {
    store.read(key(number), None).await.unwrap().map(|read| read.bytes)
}

#[tokio::test]
async fn a_fragment_goes_from_staged_to_kept_to_gone() {
    let (store, _) = open(&roomy());
    assert_eq!(store.stage(fragment(1)).await, Ok(Staged::New));
    assert_eq!(store.stage(fragment(1)).await, Ok(Staged::Already(FragmentState::Staged)));
    let whole = store.read(key(1), None).await.unwrap().unwrap();
    assert_eq!((whole.bytes, whole.hashes), (bytes_of(1), fragment(1).hashes));
    let part = store.read(key(1), Some(100..200)).await.unwrap().unwrap();
    assert_eq!((part.bytes, part.hashes), (bytes_of(1).slice(100..200), fragment(1).hashes));
    store.update(vec![Change::Keep(key(1))]).await.unwrap();
    assert_eq!(store.record(key(1)).await.unwrap().unwrap().state, FragmentState::Kept);
    assert_eq!(store.used_bytes(), FILE_BYTES);
    store.update(vec![Change::Remove(key(1))]).await.unwrap();
    assert_eq!((read(&store, 1).await, store.used_bytes(), store.fragment_count()), (None, 0, 0));
}

#[tokio::test]
async fn ranges_outside_the_fragment_are_refused() {
    let (store, _) = open(&roomy());
    store.stage(fragment(1)).await.unwrap();
    for range in [0..65_537, 65_537..65_538, u64::MAX - 1..u64::MAX] {
        let refused = store.read(key(1), Some(range)).await;
        assert!(matches!(refused, Err(ReadError::Range { fragment_bytes: 65_536 })));
    }
}

#[tokio::test]
async fn a_segment_in_two_volumes_is_found_under_both() {
    let (store, _) = open(&roomy());
    let mut second = fragment(1);
    second.key.volume = 0;
    store.stage(fragment(1)).await.unwrap();
    store.stage(second.clone()).await.unwrap();
    store.stage(fragment(2)).await.unwrap();
    let found: Vec<_> = store.records_of(key(1).segment).await.unwrap().into_iter().map(|r| r.key.volume).collect();
    assert_eq!(found, [0, 1]);
    store.update(vec![Change::Remove(second.key)]).await.unwrap();
    assert_eq!(read(&store, 1).await, Some(bytes_of(1)));
}

#[tokio::test]
async fn only_what_is_staged_and_past_its_height_expires() {
    let (store, _) = open(&roomy());
    for number in 1..=4 {
        store.stage(fragment(number)).await.unwrap();
    }
    let hold = |number, until_height| Change::Hold { key: key(number), until_height };
    store.update(vec![Change::Keep(key(1)), hold(2, 100), hold(3, 5)]).await.unwrap();
    assert_eq!(store.expired(13, 10), []);
    assert_eq!(store.expired(15, 10), [key(3), key(4)]);
    assert_eq!(store.expired(15, 1), [key(3)]);
    assert_eq!(store.expired(101, 10), [key(3), key(4), key(2)]);
    store.update(vec![Change::Return(key(1))]).await.unwrap();
    assert_eq!(store.expired(12, 10), [key(1)]);
    assert_eq!(store.record(key(1)).await.unwrap().unwrap().territory, 0);
}

#[tokio::test]
async fn capacity_is_shared_with_what_is_being_written() {
    let config = StoreConfig { capacity_bytes: 3 * FILE_BYTES };
    let (store, _) = Store::open(roomy(), config).unwrap();
    let stages = (1..=5u8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.stage(fragment(number)).await })
    });
    let mut staged = 0;
    for stage in stages.collect::<Vec<_>>() {
        match stage.await.unwrap() {
            Ok(Staged::New) => staged += 1,
            other => assert!(matches!(other, Err(StageError::NoSpace { .. })), "{other:?}"),
        }
    }
    assert_eq!((staged, store.free_bytes().unwrap()), (3, 0));
}

#[tokio::test]
async fn capacity_is_shared_with_what_is_elsewhere() {
    let (store, _) = Store::open(roomy(), StoreConfig { capacity_bytes: 2 * FILE_BYTES }).unwrap();
    store.set_elsewhere_bytes(FILE_BYTES);
    assert_eq!(store.free_bytes(), Ok(FILE_BYTES));
    store.stage(fragment(1)).await.unwrap();
    let full = StageError::NoSpace { needed_bytes: FILE_BYTES, free_bytes: 0 };
    assert_eq!(store.stage(fragment(2)).await, Err(full));
    store.set_elsewhere_bytes(u64::MAX);
    assert_eq!(store.free_bytes(), Ok(0));
    store.set_elsewhere_bytes(0);
    store.stage(fragment(2)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_no_fatal_failure() {
    let disk = MemoryDisk::new(DISK_RESERVE_BYTES + FILE_BYTES);
    let (store, _) = Store::open(disk, CONFIG).unwrap();
    store.stage(fragment(1)).await.unwrap();
    assert!(matches!(store.stage(fragment(2)).await, Err(StageError::NoSpace { .. })));
    store.update(vec![Change::Remove(key(1))]).await.unwrap();
    assert_eq!(store.stage(fragment(2)).await, Ok(Staged::New));
}

#[tokio::test]
async fn the_same_fragment_twice_at_once_is_written_once() {
    let (store, _) = open(&roomy());
    let stages: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.stage(fragment(1)).await })
        })
        .collect();
    let mut new = 0;
    for stage in stages {
        match stage.await.unwrap() {
            Ok(Staged::New) => new += 1,
            other => assert!(matches!(other, Ok(Staged::Already(_)) | Err(StageError::InProgress)), "{other:?}"),
        }
    }
    assert_eq!((new, store.used_bytes()), (1, FILE_BYTES));
}

#[tokio::test]
async fn fragments_of_the_wrong_shape_are_refused() {
    let (store, _) = open(&roomy());
    let mut short = fragment(1);
    short.bytes = short.bytes.slice(1..);
    assert_eq!(store.stage(short).await, Err(StageError::Shape));
    let mut winding = fragment(1);
    winding.path = vec![B256::ZERO; 256];
    assert_eq!(store.stage(winding).await, Err(StageError::Shape));
    assert_eq!(store.free_bytes().unwrap(), CONFIG.capacity_bytes, "nothing stays reserved");
}

#[tokio::test]
async fn notes_come_back_in_order() {
    let (store, _) = open(&roomy());
    let note = |key: &[u8], value: Option<&[u8]>| Change::Note { key: key.into(), value: value.map(Vec::from) };
    store.update(vec![note(b"b1", Some(b"x")), note(b"b2", Some(b"y")), note(b"c", Some(b"z"))]).await.unwrap();
    store.update(vec![note(b"b1", Some(b"xx")), note(b"c", None)]).await.unwrap();
    assert_eq!(store.note(b"b1".to_vec()).await.unwrap(), Some(b"xx".to_vec()));
    assert_eq!(store.note(b"c".to_vec()).await.unwrap(), None);
    let all = store.notes(b"a".to_vec()..b"z".to_vec(), 10).await.unwrap();
    assert_eq!(all, [(b"b1".to_vec(), b"xx".to_vec()), (b"b2".to_vec(), b"y".to_vec())]);
    assert_eq!(store.notes(b"a".to_vec()..b"z".to_vec(), 1).await.unwrap().len(), 1);
    assert!(store.notes(b"z".to_vec()..b"a".to_vec(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn scrubbing_finds_rot_and_loss() {
    let disk = roomy();
    let (store, _) = open(&disk);
    for number in 1..=5 {
        store.stage(fragment(number)).await.unwrap();
    }
    disk.rot(store.record(key(2)).await.unwrap().unwrap().file, 40_000);
    disk.lose(store.record(key(4)).await.unwrap().unwrap().file);
    let (mut damaged, mut after, mut checked) = (Vec::new(), None, 0);
    loop {
        let page = store.scrub(after, 2).await.unwrap();
        damaged.extend(page.damaged);
        checked += page.checked_count;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((checked, damaged), (5, vec![key(2), key(4)]));
    assert!(matches!(store.read(key(4), None).await, Err(ReadError::Lost(_))));
}

#[tokio::test]
async fn a_lost_file_is_reported_when_the_store_opens() {
    let disk = roomy();
    let (store, _) = open(&disk);
    for number in 1..=3 {
        store.stage(fragment(number)).await.unwrap();
    }
    store.update(vec![Change::Keep(key(1))]).await.unwrap();
    disk.lose(store.record(key(1)).await.unwrap().unwrap().file);
    disk.lose(store.record(key(2)).await.unwrap().unwrap().file);
    drop(store);
    let (store, recovery) = open(&disk.after_crash(1));
    assert_eq!(recovery, Recovery { orphan_count: 0, lost: vec![key(1)], lost_staged: vec![key(2)] });
    assert_eq!((store.fragment_count(), store.used_bytes()), (1, FILE_BYTES));
}

#[tokio::test]
async fn a_store_on_a_real_disk_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(FileDisk::open(folder.path()).unwrap(), CONFIG).unwrap();
    for number in 1..=3 {
        store.stage(fragment(number)).await.unwrap();
    }
    store.update(vec![Change::Keep(key(1)), Change::Remove(key(2))]).await.unwrap();
    let stray = FileDisk::open(folder.path()).unwrap();
    stray.write(FileId::new(99), &[b"never acknowledged"]).unwrap();
    drop(store);
    // The thread that commits ends soon, and lets go of the index.
    let (store, recovery) = loop {
        match Store::open(FileDisk::open(folder.path()).unwrap(), CONFIG) {
            Err(StoreError::Index(why)) if why.contains("already open") => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(recovery, Recovery { orphan_count: 1, ..Recovery::default() });
    assert_eq!(store.staged(), [key(3)]);
    assert_eq!((read(&store, 1).await, read(&store, 2).await), (Some(bytes_of(1)), None));
    assert_eq!(store.stage(fragment(2)).await, Ok(Staged::New));
}

/// What a caller was told. `None` where the answer did not come: either may be true after the crash.
type Told = BTreeMap<u8, Option<Option<FragmentState>>>;

/// Stages, keeps, releases and notes until the disk fails.
async fn work(store: &Store, told: &mut Told, noted: &mut Vec<u8>) -> Result<(), StageError> {
    for round in 0..3u8 {
        let numbers: Vec<u8> = (1..=4).map(|i| round * 4 + i).collect();
        let stages = numbers.iter().map(|number| {
            let (store, fragment) = (store.clone(), fragment(*number));
            (*number, tokio::spawn(async move { store.stage(fragment).await }))
        });
        let mut failure = None;
        for (number, stage) in stages.collect::<Vec<_>>() {
            match stage.await.unwrap() {
                Ok(_) => drop(told.insert(number, Some(Some(FragmentState::Staged)))),
                Err(error) => {
                    told.insert(number, None);
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)?;
        let note = Change::Note { key: b"round".to_vec(), value: Some(vec![round]) };
        let (kept, gone) = (numbers[0], numbers[1]);
        told.insert(kept, None);
        told.insert(gone, None);
        store.update(vec![Change::Keep(key(kept)), Change::Remove(key(gone)), note]).await?;
        told.insert(kept, Some(Some(FragmentState::Kept)));
        told.insert(gone, Some(None));
        noted.push(round);
    }
    Ok(())
}

async fn check_after_crash(disk: &MemoryDisk, told: &Told, noted: &[u8], context: &str) {
    let (store, recovery) = Store::open(disk.clone(), CONFIG).unwrap();
    assert!(recovery.lost.is_empty() && recovery.lost_staged.is_empty(), "{context}: {recovery:?}");
    let mut present = 0;
    for number in 1..=12 {
        let record = store.record(key(number)).await.unwrap();
        if let Some(expected) = told.get(&number).copied().flatten() {
            assert_eq!(record.as_ref().map(|record| record.state), expected, "{context}: fragment {number}");
        }
        if record.is_some() {
            present += 1;
            assert_eq!(read(&store, number).await, Some(bytes_of(number)), "{context}: fragment {number}");
        }
    }
    assert_eq!(disk.list().unwrap().len(), present, "{context}: garbage stays");
    assert_eq!(store.used_bytes(), present as u64 * FILE_BYTES, "{context}");
    let note = store.note(b"round".to_vec()).await.unwrap();
    if let Some(round) = noted.last() {
        assert!(note.is_some_and(|note| note[0] >= *round), "{context}: a note was lost");
    }
    // One update is all or nothing: the note of a round says what became of its fragments.
    let note = store.note(b"round".to_vec()).await.unwrap();
    for round in 0..note.map_or(0, |note| note[0] + 1) {
        let state = store.record(key(round * 4 + 1)).await.unwrap().map(|record| record.state);
        assert_eq!(state, Some(FragmentState::Kept), "{context}: half an update");
        assert_eq!(store.record(key(round * 4 + 2)).await.unwrap(), None, "{context}: half an update");
    }
    store.stage(fragment(200)).await.unwrap();
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_acknowledged_and_leaves_no_garbage() {
    let rehearsal = roomy();
    let (store, _) = open(&rehearsal);
    work(&store, &mut Told::new(), &mut Vec::new()).await.unwrap();
    let steps = rehearsal.steps();
    assert!(steps > 50, "the work takes {steps} steps");
    for crash in 0..=steps {
        let disk = roomy();
        disk.crash_after(crash);
        let (mut told, mut noted) = (Told::new(), Vec::new());
        if let Ok((store, _)) = Store::open(disk.clone(), CONFIG) {
            drop(work(&store, &mut told, &mut noted).await);
        }
        for seed in 0..3 {
            let survivor = disk.after_crash(seed * 1000 + crash);
            check_after_crash(&survivor, &told, &noted, &format!("crash after step {crash}, seed {seed}")).await;
        }
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged() {
    let disk = roomy();
    let (store, _) = open(&disk);
    store.stage(fragment(1)).await.unwrap();
    disk.crash_after(disk.steps() + 2);
    assert!(store.stage(fragment(2)).await.is_err());
    assert!(disk.is_crashed());
    assert!(store.update(vec![Change::Keep(key(1))]).await.is_err());
    assert_eq!(read(&store, 1).await, Some(bytes_of(1)), "reading goes on");
}
