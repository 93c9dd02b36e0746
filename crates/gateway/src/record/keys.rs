//! Form the keys of the gateway's records.
//!
//! # Format
//! ```text
//! 1 ‖ name ‖ 0 ‖ piece (1)                       a document about the bucket, in pieces of 8 KiB
//! 2 ‖ object key ‖ 0 ‖ ones' complement of its place in the order (8)       a version or delete marker
//! 3 ‖ object key ‖ 0                             where the null version of a key is, if that is not the current one
//! 4 ‖ object key ‖ 0 ‖ upload id (16)            an upload under way
//! 5 ‖ upload id (16) ‖ part number (2)           one of its parts
//! 6 ‖ upload id (16)                             an upload that is complete
//! 7 ‖ upload id (16) ‖ piece (2)                 sizes and checksums of the parts of a finished object
//! ```
//! No object key contains a zero byte, so that keys sort like the object keys in them.

use crate::view::Key;

const DOCUMENT: u8 = 1;
const VERSION: u8 = 2;
const NULL: u8 = 3;
const UPLOAD: u8 = 4;
const PART: u8 = 5;
const COMPLETED: u8 = 6;
const FINISHED: u8 = 7;

/// An upload's id.
pub type UploadId = [u8; 16];

/// A piece of a document.
pub fn document(name: &str, piece: u8) -> Key {
    record(DOCUMENT, &[name.as_bytes(), &[0, piece]])
}

/// A version that is not current, or a delete marker.
pub fn version(key: &str, sequence: u64) -> Key {
    record(VERSION, &[key.as_bytes(), &[0], &(!sequence).to_be_bytes()])
}

/// The first version of a key or of one behind it.
pub fn versions_from(key: &str) -> Key {
    record(VERSION, &[key.as_bytes()])
}

/// Behind all versions of all keys.
pub fn versions_end() -> Key {
    Key::Record(vec![VERSION + 1])
}

/// Behind all versions of a key.
pub fn versions_of_end(key: &str) -> Key {
    record(VERSION, &[key.as_bytes(), &[1]])
}

/// Object key and place in the order, out of the key of a version.
pub fn read_version(key: &Key) -> Option<(String, u64)> {
    let (object, rest) = split(key, VERSION)?;
    Some((object, !u64::from_be_bytes(rest.try_into().ok()?)))
}

/// Where the null version is.
pub fn null(key: &str) -> Key {
    record(NULL, &[key.as_bytes(), &[0]])
}

/// An upload.
pub fn upload(key: &str, id: &UploadId) -> Key {
    record(UPLOAD, &[key.as_bytes(), &[0], id])
}

/// The first upload of a key or of one behind it.
pub fn uploads_from(key: &str) -> Key {
    record(UPLOAD, &[key.as_bytes()])
}

/// Behind all uploads.
pub fn uploads_end() -> Key {
    Key::Record(vec![UPLOAD + 1])
}

/// Object key and id, out of the key of an upload.
pub fn read_upload(key: &Key) -> Option<(String, UploadId)> {
    let (object, rest) = split(key, UPLOAD)?;
    Some((object, rest.try_into().ok()?))
}

/// A part of an upload.
pub fn part(id: &UploadId, number: u16) -> Key {
    record(PART, &[id, &number.to_be_bytes()])
}

/// Behind all parts of an upload.
pub fn parts_end(id: &UploadId) -> Key {
    record(PART, &[id, &[0xff, 0xff, 0xff]])
}

/// The number out of the key of a part.
pub fn read_part(key: &Key) -> Option<u16> {
    let Key::Record(bytes) = key else { return None };
    Some(u16::from_be_bytes(bytes.get(17..)?.try_into().ok()?))
}

/// An upload that is complete.
pub fn completed(id: &UploadId) -> Key {
    record(COMPLETED, &[id])
}

/// Where the uploads that are complete begin and end.
pub fn all_completed() -> (Key, Key) {
    (Key::Record(vec![COMPLETED]), Key::Record(vec![COMPLETED + 1]))
}

/// A piece of the list of parts of a finished object.
pub fn finished(id: &UploadId, piece: u16) -> Key {
    record(FINISHED, &[id, &piece.to_be_bytes()])
}

/// Behind the pieces of a finished object.
pub fn finished_end(id: &UploadId) -> Key {
    record(FINISHED, &[id, &[0xff, 0xff, 0xff]])
}

/// Behind all objects.
pub fn objects_end() -> Key {
    Key::Record(Vec::new())
}

fn record(kind: u8, pieces: &[&[u8]]) -> Key {
    let mut bytes = vec![kind];
    pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
    Key::Record(bytes)
}

fn split(key: &Key, kind: u8) -> Option<(String, &[u8])> {
    let Key::Record(bytes) = key else { return None };
    let bytes = bytes.strip_prefix(&[kind])?;
    let end = bytes.iter().position(|&byte| byte == 0)?;
    Some((String::from_utf8(bytes[..end].to_vec()).ok()?, &bytes[end + 1..]))
}

/// Behind all records.
pub fn records_end() -> Key {
    Key::Record(vec![0xff])
}
