//! Pin the records to the byte: `vectors/gateway.json`.

use super::{keys::*, *};
use crate::view::Key;
use serde_json::{Value, json};
use std::path::Path;

fn bytes(key: &Key) -> String {
    match key {
        Key::Record(bytes) => hex::encode(bytes),
        Key::Object(key) => key.clone(),
    }
}

fn vectors() -> Value {
    let id: UploadId = *b"0123456789abcdef";
    let version = Version {
        sequence: 1_750_000_000_000_000,
        etag: "0cc175b9c0f1b6a831c399e269772661".into(),
        tags: vec![("colour".into(), "blue".into())],
        checksum: Some(Checksum { algorithm: Algorithm::Crc32, value: "6Le+Qw==".into(), kind: ChecksumKind::Full }),
        retention: Some(Retention { mode: RetentionMode::Governance, until_ms: 1_760_000_000_000 }),
        ..Version::default()
    };
    let marker = Version { sequence: 7, null: true, marker: true, ..Version::default() };
    let settings = Settings {
        owner: Some("alice".into()),
        created_ms: 1_750_000_000_000,
        versioning: Versioning::Enabled,
        lock: true,
        grants: vec![Grant { grantee: Grantee::All, permission: Permission::Read }],
        retention: Some(DefaultRetention { mode: RetentionMode::Compliance, period: Period::Days(3) }),
        ..Settings::default()
    };
    let upload = Upload {
        version: Version::default(),
        initiator: Some("alice".into()),
        algorithm: Some((Algorithm::Sha256, ChecksumKind::Composite)),
    };
    let part = Part { etag: "0cc175b9c0f1b6a831c399e269772661".into(), checksum: None };
    let finished_parts = vec![FinishedPart { number: 1, size: 5_242_880, checksum: None }];
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    json!({
        "keys": {
            "document": bytes(&document("policy", 1)),
            "version": bytes(&keys::version("a/b", 1_750_000_000_000_000)),
            "null": bytes(&null("a/b")),
            "upload": bytes(&keys::upload("a/b", &id)),
            "part": bytes(&keys::part(&id, 10_000)),
            "completed": bytes(&completed(&id)),
            "finished": bytes(&finished(&id, 2)),
        },
        "attributes": {
            "version": text(encode(&version).unwrap()),
            "marker": text(encode(&marker).unwrap()),
            "settings": text(encode(&settings).unwrap()),
            "upload": text(encode(&upload).unwrap()),
            "part": text(encode(&part).unwrap()),
            "completed": text(encode(&Completed { key: "a/b".into(), version: marker.clone() }).unwrap()),
            "finished": text(encode(&finished_parts).unwrap()),
        },
        "version_id": version_id(1_750_000_000_000_000),
    })
}

#[test]
fn records_are_as_pinned() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/gateway.json");
    let now = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    let pinned = std::fs::read_to_string(&path).unwrap_or_default();
    if pinned.is_empty() {
        std::fs::write(&path, now).unwrap();
        panic!("there were no vectors: look at vectors/gateway.json, then run the test again");
    }
    assert_eq!(now, pinned, "the records of buckets that exist would not be understood any more");
}

#[test]
fn attributes_are_read_back_and_unknown_ones_are_none() {
    let version: Version = decode(vectors()["attributes"]["version"].as_str().unwrap().as_bytes());
    assert_eq!(version.id(), version_id(1_750_000_000_000_000));
    assert_eq!(sequence(&version.id()), Some(version.sequence));
    assert_eq!(decode::<Version>(b"\xff"), Version::default());
    let large = Version { tags: vec![("k".into(), "v".repeat(9000))], ..Version::default() };
    assert!(encode(&large).is_err());
}

#[test]
fn keys_sort_like_the_objects_in_them_and_newest_first() {
    let order = [
        keys::version("a", 2),
        keys::version("a", 1),
        keys::version("a\u{1}", 9),
        keys::version("a/b", 9),
        keys::version("b", 9),
    ];
    assert!(order.is_sorted());
    assert_eq!(read_version(&order[3]), Some(("a/b".into(), 9)));
    assert!(versions_from("a") <= order[0] && versions_of_end("a") > order[1] && versions_of_end("a") <= order[2]);
}
