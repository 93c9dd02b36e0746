//! Tests of the cache: memory, disk, restarts, damage.

use super::*;
use proptest::prelude::*;
use std::fs;

const MIB: usize = 1 << 20;

fn place(number: u32) -> Place {
    Place { segment: SegmentId::repeat_byte(number as u8), start: number }
}

fn noise(number: u32, length: usize) -> Vec<u8> {
    (0..length as u32).map(|index| (index.wrapping_mul(2_654_435_761).wrapping_add(number * 97) >> 13) as u8).collect()
}

async fn open(folder: Option<&Path>, memory_bytes: usize) -> Cache {
    let disk = folder.map(|folder| DiskConfig { folder: folder.into(), bytes: DISK_BYTES_MIN });
    Cache::open(&CacheConfig { memory_bytes, disk }).await.expect("opens")
}

#[tokio::test]
async fn a_piece_is_found_where_it_was_put_and_nowhere_else() {
    let cache = open(None, MIB).await;
    assert_eq!(cache.get(&place(1), 4).await, None);
    cache.insert(place(1), b"here");
    assert_eq!(cache.get(&place(1), 4).await.as_deref(), Some(&b"here"[..]));
    assert_eq!(cache.get(&place(1), 3).await, None, "another length is another piece");
    assert_eq!(cache.get(&Place { start: 2, ..place(1) }, 4).await, None);
    cache.insert(place(3), &vec![0; PIECE_BYTES_MAX + 1]);
    assert_eq!(cache.get(&place(3), PIECE_BYTES_MAX + 1).await, None);
    cache.remove(&place(1));
    assert_eq!(cache.get(&place(1), 4).await, None);
    let counts = cache.counts();
    assert_eq!((counts.memory_hits, counts.disk_hits, counts.misses, counts.hit_bytes), (1, 0, 5, 4));
    assert_eq!(counts.hit_ratio(), 1.0 / 6.0);
}

#[tokio::test]
async fn memory_is_bounded_and_what_is_asked_for_often_stays() {
    let cache = open(None, 4 * MIB).await;
    for number in 0..200 {
        cache.insert(place(number), &noise(number, 64 << 10));
        cache.get(&place(0), 64 << 10).await.expect("what everybody reads stays");
        assert!(cache.counts().memory_bytes <= 4 * MIB as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_memory_is_on_disk_and_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(Some(folder.path()), MIB).await;
    for number in 0..100 {
        cache.insert(place(number), &noise(number, 64 << 10));
        // The disk takes pieces as fast as it can, and gives up those that come faster.
        while cache.counts().memory_bytes > MIB as u64 {
            tokio::task::yield_now().await;
        }
    }
    cache.close().await;
    drop(cache);
    let cache = open(Some(folder.path()), MIB).await;
    for number in 0..100 {
        if let Some(bytes) = cache.get(&place(number), 64 << 10).await {
            assert!(*bytes == *noise(number, 64 << 10), "{number}");
        }
    }
    let counts = cache.counts();
    assert!(counts.disk_hits > 50, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_disk_is_a_miss() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = open(Some(folder.path()), MIB).await;
    (0..10).for_each(|number| cache.insert(place(number), &noise(number, 64 << 10)));
    cache.close().await;
    drop(cache);
    let mut damaged = 0;
    for file in fs::read_dir(folder.path()).expect("reads") {
        let path = file.expect("an entry").path();
        let mut bytes = fs::read(&path).expect("reads");
        // Behind the first page, which says what is where.
        for at in (5 << 10..bytes.len()).step_by(16 << 10) {
            bytes[at] ^= 1;
            damaged += 1;
        }
        fs::write(&path, bytes).expect("writes");
    }
    assert!(damaged > 0);
    let cache = open(Some(folder.path()), MIB).await;
    for number in 0..10 {
        let found = cache.get(&place(number), 64 << 10).await;
        assert!(found.is_none_or(|bytes| *bytes == *noise(number, 64 << 10)), "{number}");
    }
    assert!(cache.counts().misses > 0);
    cache.insert(place(3), b"new");
    assert_eq!(cache.get(&place(3), 3).await.as_deref(), Some(&b"new"[..]));
}

#[tokio::test]
async fn a_folder_that_is_none_and_a_size_of_no_use_are_refused() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let disk = Some(DiskConfig { folder: file.path().join("below"), bytes: DISK_BYTES_MIN });
    let refused = Cache::open(&CacheConfig { memory_bytes: MIB, disk }).await.expect_err("it is a file");
    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");
    let disk = Some(DiskConfig { folder: "nowhere".into(), bytes: DISK_BYTES_MIN - 1 });
    let refused = Cache::open(&CacheConfig { memory_bytes: MIB, disk }).await.expect_err("it is too small");
    assert!(matches!(refused, OpenError::TooSmall { .. }), "{refused}");
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_refused(start: u32, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use foyer::Code;
        let (place, piece) = (Place { segment: SegmentId::repeat_byte(7), start }, Piece(bytes.into()));
        let mut written = Vec::new();
        place.encode(&mut written).unwrap();
        piece.encode(&mut written).unwrap();
        prop_assert_eq!(written.len(), place.estimated_size() + piece.estimated_size());
        let mut reader = &written[..];
        prop_assert_eq!(Place::decode(&mut reader).unwrap(), place);
        prop_assert_eq!(Piece::decode(&mut reader).unwrap(), piece);
        let mut cut = &written[36..written.len() - 1];
        prop_assert!(Piece::decode(&mut cut).is_err());
    }

    #[test]
    fn whatever_a_disk_says_ends(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        use foyer::Code;
        let _ = Piece::decode(&mut &bytes[..]);
    }
}
