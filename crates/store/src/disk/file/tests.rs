use super::*;

fn open() -> (tempfile::TempDir, FileDisk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = FileDisk::open(folder.path()).unwrap();
    (folder, disk)
}

#[test]
fn files_short_and_long_come_back_as_they_went() {
    let (_folder, disk) = open();
    for (number, bytes) in [(0, 0), (1, 100), (4095, 65_536), (4096, 2 << 20), (u64::MAX, (2 << 20) + 4096)] {
        let content: Vec<u8> = (0..bytes).map(|i| (i % 253) as u8).collect();
        let (front, back) = content.split_at(bytes / 3);
        disk.write(FileId::new(number), &[front, back]).unwrap();
        disk.sync_directory(FileId::new(number).directory()).unwrap();
        let mut read = vec![0; bytes];
        disk.read(FileId::new(number), 0, &mut read).unwrap();
        assert_eq!(read, content);
    }
    assert_eq!(disk.list().unwrap().len(), 5);
}

#[test]
fn a_file_written_again_has_only_the_new_content() {
    let (_folder, disk) = open();
    for content in [vec![1; 2 << 20], vec![2; 1 << 20], vec![3; 10]] {
        disk.write(FileId::new(7), &[&content]).unwrap();
        assert_eq!(disk.list().unwrap(), [(FileId::new(7), content.len() as u64)]);
    }
}

#[test]
fn reading_past_the_end_and_removing_what_is_not_there() {
    let (_folder, disk) = open();
    disk.write(FileId::new(1), &[b"short"]).unwrap();
    assert!(disk.read(FileId::new(1), 1, &mut [0; 5]).is_err());
    assert!(disk.read(FileId::new(2), 0, &mut [0; 1]).is_err());
    disk.remove(FileId::new(2)).unwrap();
    disk.remove(FileId::new(1)).unwrap();
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn names_that_are_not_ours_are_left_alone() {
    let (folder, disk) = open();
    disk.write(FileId::new(1), &[b"ours"]).unwrap();
    let directory = disk.directory(0);
    std::fs::write(directory.join("README"), "theirs").unwrap();
    std::fs::write(directory.join("00000000000000AB"), "theirs").unwrap();
    std::fs::create_dir(folder.path().join("fragments/lost+found")).unwrap();
    assert_eq!(disk.list().unwrap(), [(FileId::new(1), 4)]);
}

#[test]
fn an_index_counts_once_it_is_finished_and_opens_only_once() {
    let (_folder, disk) = open();
    assert!(disk.open_index().unwrap().is_none());
    drop(redb::Database::builder().create_with_backend(disk.create_index().unwrap()).unwrap());
    assert!(disk.open_index().unwrap().is_none());
    let open = |storage| redb::Database::builder().create_with_backend(storage);
    let _database = open(disk.create_index().unwrap()).unwrap();
    disk.finish_index().unwrap();
    assert!(open(disk.open_index().unwrap().unwrap()).is_err());
}
