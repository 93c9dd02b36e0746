use super::*;
use crate::write::Chunk;
use sealing::Sealer;
use std::sync::Arc;

fn upload() -> Upload {
    Upload::new(B256::repeat_byte(1), "a/key", 1_000, Profile::Devnet, 2 << 20)
}

fn note(part: u32, segment: u32) -> Note {
    Note { part, segment, key: ContentKey::from_bytes([7; 32]) }
}

fn filled(plaintext: &[u8]) -> Filled {
    let sealer = Arc::new(Sealer::new(&ContentKey::from_bytes([7; 32]), plaintext.len() as u64).expect("short"));
    let mut buffer = plaintext.to_vec();
    buffer.extend([0; sealing::TAG_LENGTH]);
    let chunks = vec![Chunk { sealer, index: 0, range: 0..buffer.len() }];
    Filled { buffer, chunks }
}

fn segment(number: u8) -> SegmentRef {
    SegmentRef { id: B256::repeat_byte(number), volume: 3, length: 99 }
}

#[test]
fn remembers_what_was_sealed_and_where_it_went() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, before) = Journal::open(folder.path(), &upload()).expect("opens");
    assert_eq!(before, Recorded::default());
    journal.part(0, &[5; 146]).expect("writes");
    journal.sealing(&note(0, 0), &filled(b"plain")).expect("writes");
    journal.sealing(&note(0, 1), &filled(b"more")).expect("writes");
    journal.staged(&note(0, 0), segment(9)).expect("writes");
    drop(journal);
    let (_, recorded) = Journal::open(folder.path(), &upload()).expect("opens");
    let part = &recorded.parts[&0];
    assert_eq!(part.wrapped_key.as_ref(), [5; 146]);
    assert_eq!(part.segments[&0].staged, Some(segment(9)));
    assert_eq!(part.segments[&0].plaintext, filled(b"plain").plaintext_hash(&[7; 32]));
    assert_eq!(part.segments[&1].staged, None);
}

#[test]
fn a_part_begun_anew_leaves_its_old_segments_to_be_released() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(folder.path(), &upload()).expect("opens");
    journal.part(0, &[5; 146]).expect("writes");
    journal.sealing(&note(0, 0), &filled(b"plain")).expect("writes");
    journal.staged(&note(0, 0), segment(9)).expect("writes");
    journal.part(0, &[6; 146]).expect("writes");
    let (_, recorded) = Journal::open(folder.path(), &upload()).expect("opens");
    assert_eq!(recorded.void, [segment(9)]);
    assert!(recorded.parts[&0].segments.is_empty());
}

#[test]
fn survives_a_cut_at_every_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(folder.path(), &upload()).expect("opens");
    journal.part(0, &[5; 146]).expect("writes");
    journal.sealing(&note(0, 0), &filled(b"plain")).expect("writes");
    let path = journal.path.clone();
    drop(journal);
    let whole = fs::read(&path).expect("reads");
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).expect("writes");
        let (journal, recorded) = Journal::open(folder.path(), &upload()).expect("opens");
        assert!(recorded.parts.len() <= 1 && recorded.void.is_empty());
        // What follows a torn line is read again.
        journal.part(4, &[8; 146]).expect("writes");
        let (_, recorded) = Journal::open(folder.path(), &upload()).expect("opens");
        assert!(recorded.parts.contains_key(&4), "cut at {cut}");
    }
}

#[test]
fn another_upload_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(folder.path(), &upload()).expect("opens");
    journal.part(0, &[5; 146]).expect("writes");
    let other = Upload { size: 1_001, ..upload() };
    let (_, recorded) = Journal::open(folder.path(), &other).expect("opens");
    assert_eq!(recorded, Recorded::default());
}

#[test]
fn tells_nothing_about_the_plaintext() {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(folder.path(), &upload()).expect("opens");
    journal.part(0, &[5; 146]).expect("writes");
    journal.sealing(&note(0, 0), &filled(b"plain")).expect("writes");
    let text = fs::read_to_string(&journal.path).expect("reads");
    assert!(!text.contains(&blake3::hash(b"plain").to_hex().to_string()));
}
