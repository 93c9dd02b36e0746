//! Try uploads: parts in any order, again, too small, and requests that come twice.

use super::*;
use crate::{
    checksum::Hasher,
    record::Algorithm,
    rules::versions::find as find_version,
    view::{Key, memory::Memory},
};
use base64::Engine;

const ID: UploadId = [9; 16];

fn begin_with(view: &mut Memory, algorithm: Option<(Algorithm, ChecksumKind)>) {
    let upload = Upload { algorithm, ..Upload::default() };
    begin(view, "k", &ID, &upload, Record { content_type: "text/plain".into(), ..Record::default() }).unwrap();
}

fn send(view: &mut Memory, number: u16, bytes: &[u8], algorithm: Option<Algorithm>) -> NamedPart {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    let hashes = hasher.finish();
    let part = Part { etag: hex::encode(hashes.md5), checksum: hashes.checksum.clone() };
    let record = Record { size: bytes.len() as u64, content: bytes.to_vec(), ..Record::default() };
    put_part(view, "k", &ID, number, &part, record).unwrap();
    NamedPart { number, etag: part.etag, checksum: hashes.checksum.map(|checksum| checksum.value) }
}

fn finish(view: &mut Memory, parts: Vec<NamedPart>) -> Result<Version, Stop> {
    complete(view, Versioning::Off, "k", &ID, &Completion { parts, ..Completion::default() }, 1)
}

fn code<T>(result: Result<T, Stop>) -> String {
    match result {
        Err(Stop::Refused(error)) => error.code().as_str().into(),
        _ => "none".into(),
    }
}

#[test]
fn parts_come_in_any_order_and_again() {
    let (large, last) = (vec![1; PART_BYTES_MIN as usize], vec![2; 10]);
    let mut view = Memory::default();
    begin_with(&mut view, None);
    let second = send(&mut view, 7, &last, None);
    send(&mut view, 2, b"not this", None);
    let first = send(&mut view, 2, &large, None);
    let version = finish(&mut view, vec![first.clone(), second.clone()]).unwrap();
    let found = find_version(&mut view, "k", None).unwrap();
    assert_eq!(found.record.content, [large, last].concat());
    assert_eq!(found.record.content_type, "text/plain");
    assert!(version.etag.ends_with("-2"));
    let parts = finished(&mut view, &hex::encode(ID)).unwrap();
    assert_eq!(parts.iter().map(|part| (part.number, part.size)).collect::<Vec<_>>(), [(2, PART_BYTES_MIN), (7, 10)]);
    assert_eq!(finish(&mut view, vec![first, second]).unwrap(), version, "the same request again");
    assert_eq!(code(abort(&mut view, "k", &ID)), "NoSuchUpload");
}

#[test]
fn wrong_requests_leave_the_upload_as_it_is() {
    let mut view = Memory::default();
    begin_with(&mut view, None);
    let (first, second) = (send(&mut view, 1, b"small", None), send(&mut view, 2, b"last", None));
    let before = view.clone();
    let other = NamedPart { etag: second.etag.clone(), ..first.clone() };
    assert_eq!(code(finish(&mut view, vec![first.clone(), second.clone()])), "EntityTooSmall");
    assert_eq!(code(finish(&mut view, vec![second.clone(), first.clone()])), "InvalidPartOrder");
    assert_eq!(code(finish(&mut view, vec![first.clone(), first.clone()])), "InvalidPartOrder");
    assert_eq!(code(finish(&mut view, vec![other])), "InvalidPart");
    assert_eq!(code(finish(&mut view, vec![NamedPart { number: 3, ..first }])), "InvalidPart");
    assert_eq!(code(finish(&mut view, vec![])), "MalformedXML");
    assert_eq!(view.0, before.0);
    abort(&mut view, "k", &ID).unwrap();
    assert!(view.0.is_empty());
}

#[test]
fn checksums_of_parts_make_the_objects() {
    let (large, last) = (vec![1; PART_BYTES_MIN as usize], vec![2; 10]);
    for (algorithm, kind) in [
        (Algorithm::Crc64nvme, ChecksumKind::Full),
        (Algorithm::Crc32c, ChecksumKind::Full),
        (Algorithm::Sha256, ChecksumKind::Composite),
    ] {
        let mut view = Memory::default();
        begin_with(&mut view, Some((algorithm, kind)));
        let parts = vec![send(&mut view, 1, &large, Some(algorithm)), send(&mut view, 2, &last, Some(algorithm))];
        let checksum = finish(&mut view, parts).unwrap().checksum.unwrap();
        let mut whole = Hasher::new(Some(algorithm));
        whole.update(&large);
        whole.update(&last);
        let full = whole.finish().checksum.unwrap().value;
        match kind {
            ChecksumKind::Full => assert_eq!(checksum.value, full),
            ChecksumKind::Composite => assert!(checksum.value.ends_with("-2") && checksum.value != full),
        }
        assert!(base64::prelude::BASE64_STANDARD.decode(checksum.value.trim_end_matches("-2")).is_ok());
    }
}

#[test]
fn ten_thousand_parts_fit_and_go_with_their_object() {
    let mut view = Memory::default();
    begin_with(&mut view, None);
    let part = Part { etag: "d41d8cd98f00b204e9800998ecf8427e".into(), checksum: None };
    let mut named = Vec::new();
    for number in 1..=PARTS_MAX {
        let record = Record { size: PART_BYTES_MIN, ..Record::default() };
        put_part(&mut view, "k", &ID, number, &part, record).unwrap();
        named.push(NamedPart { number, etag: part.etag.clone(), checksum: None });
    }
    let version = finish(&mut view, named).unwrap();
    assert_eq!(finished(&mut view, &hex::encode(ID)).unwrap().len(), usize::from(PARTS_MAX));
    assert!(version.etag.ends_with("-10000"));
    versions::delete(&mut view, Versioning::Off, "k", None, &Condition::default(), 2).unwrap();
    assert_eq!(view.0.keys().collect::<Vec<&Key>>(), [&keys::completed(&ID)]);
}
