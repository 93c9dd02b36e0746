//! Hold the bytes of rounds, samples and openings to `vectors/audits.json`.

use super::openings::{WORLD, kinds};
use crate::{
    chunk::{self, Hash},
    round::{Entry, Phase, Round, beacon},
    sample::Sample,
};
use alloy_primitives::B256;
use serde_json::{Value, json};

fn entry(round: &Round, index: u64) -> Value {
    match round.entry(index) {
        Some(Entry::Deep(place)) => {
            json!({ "deep": [place.lot, place.slot], "key": hex::encode(round.deep_key(place)) })
        }
        Some(Entry::Light(place)) => json!({
            "light": [place.lot, place.slot], "key": hex::encode(round.light_key(place)), "chunk": round.chunk(place)
        }),
        Some(Entry::Fresh(lot)) => {
            json!({ "fresh": lot, "slot": round.fresh_place(lot, 300_000, 1_900_000).map(|place| place.slot) })
        }
        None => Value::Null,
    }
}

fn vectors() -> Value {
    let round = WORLD.lots.round;
    let coverage = Round { shape: crate::round::Shape { light_divisor: 3, deep_divisor: 12, ..round.shape }, ..round };
    let samples = (0..6).map(|number| {
        let sample = Sample { beacon: B256::repeat_byte(0xb), number };
        let aim = sample.aim();
        json!({
            "lots": [sample.lot(0, 1_000_000), sample.lot(7, 1_000_000)], "aim": format!("{aim:?}"),
            "entry": sample.entry(&coverage, aim), "chunk": sample.chunk(256)
        })
    });
    let openings = kinds().into_values().map(|case| {
        json!({
            "entry": case.target.index, "lot": case.target.place.lot, "slot": case.target.place.slot,
            "chunk": case.target.chunk, "deep": case.target.is_deep,
            "bytes": case.opening.len(), "opening": hex::encode(blake3::hash(&case.opening).as_bytes())
        })
    });
    let content = super::lot::bytes(b"chunk", 5_000);
    let path = chunk::path(Hash::Keyed(&[1; 32]), &content, 4).expect("a chunk");
    json!({
        "beacons": [beacon(1, Phase::A, &[1, 2, 3]), beacon(1, Phase::B, &[1, 2, 3])],
        "chunk_path": { "content": "XOF(\"chunk\"), 5000 bytes", "key": "01 × 32", "index": 4, "path": path,
            "root": Hash::Keyed(&[1; 32]).root(&content) },
        "entries": (0..coverage.entries()).map(|index| entry(&coverage, index)).collect::<Vec<_>>(),
        "samples": samples.collect::<Vec<_>>(),
        "commitment": WORLD.root,
        "openings": openings.collect::<Vec<_>>(),
        "whole_opening": hex::encode(&kinds()[&(0, true)].opening),
    })
}

#[test]
fn bytes_are_as_pinned() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/audits.json");
    let made = vectors();
    if std::env::var_os("CESS_WRITE_VECTORS").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
    }
    let pinned: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(made, pinned);
}
