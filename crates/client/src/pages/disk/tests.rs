use super::*;
use crate::index::SegmentRef;
use alloy_primitives::B256;

fn extent(number: u32, length: u32) -> Extent {
    let segment = SegmentRef { id: B256::with_last_byte(number as u8), volume: 1, length: 1 << 20 };
    Extent { segment, offset: 7, length }
}

fn cache(folder: &std::path::Path, bytes_max: u64) -> DiskCache {
    DiskCache::new(folder.to_owned(), &B256::repeat_byte(1), &PageKey::from_bytes([7; 32]), bytes_max)
}

fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let bucket = fs::read_dir(folder).expect("reads").next().expect("a bucket").expect("an entry");
    fs::read_dir(bucket.path()).expect("reads").map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn a_page_is_read_back_by_the_next_run() {
    let folder = tempfile::tempdir().expect("a folder");
    cache(folder.path(), 1_000).write(&extent(1, 3), 1, b"abc");
    assert_eq!(cache(folder.path(), 1_000).read(&extent(1, 3), 1).as_deref(), Some(&b"abc"[..]));
    assert_eq!(cache(folder.path(), 1_000).read(&extent(1, 3), 2), None, "of another kind");
    assert_eq!(cache(folder.path(), 1_000).read(&extent(2, 3), 1), None);
}

#[test]
fn a_damaged_file_is_no_page() {
    let folder = tempfile::tempdir().expect("a folder");
    for damage in 0..3 {
        let cache = cache(folder.path(), 1_000);
        cache.write(&extent(1, 3), 1, b"abc");
        let [file] = files(folder.path()).try_into().expect("one file");
        let mut bytes = fs::read(&file).expect("reads");
        match damage {
            0 => bytes.truncate(20),
            1 => bytes.truncate(34),
            _ => bytes[33] ^= 1,
        }
        fs::write(&file, bytes).expect("writes");
        assert_eq!(cache.read(&extent(1, 3), 1), None);
        assert!(!file.exists(), "it is gone");
    }
}

#[test]
fn a_page_in_the_place_of_another_is_no_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = cache(folder.path(), 1_000);
    cache.write(&extent(1, 3), 1, b"abc");
    let [first] = files(folder.path()).try_into().expect("one file");
    cache.write(&extent(2, 3), 1, b"xyz");
    let second = files(folder.path()).into_iter().find(|file| *file != first).expect("two files");
    fs::copy(second, first).expect("copies");
    assert_eq!(cache.read(&extent(1, 3), 1), None);
}

#[test]
fn the_oldest_make_room_and_the_folder_can_be_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes_max = 3 * (HASH_BYTES as u64 + 3);
    for number in 0..5 {
        cache(folder.path(), bytes_max).write(&extent(number, 3), 1, b"abc");
    }
    assert!(files(folder.path()).len() <= 3);
    let cache = cache(folder.path(), bytes_max);
    assert!(cache.read(&extent(4, 3), 1).is_some());
    fs::remove_dir_all(folder.path()).expect("removes");
    assert_eq!(cache.read(&extent(4, 3), 1), None);
    cache.write(&extent(4, 3), 1, b"abc");
    assert!(cache.read(&extent(4, 3), 1).is_some());
}
