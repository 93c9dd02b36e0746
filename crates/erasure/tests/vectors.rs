//! Hold the crate against `vectors/erasure.json`, which other implementations read too.

use erasure::{Code, encode_segment, fragment_length};
use serde::Deserialize;

const VECTORS: &str = include_str!("../../../vectors/erasure.json");

#[derive(Deserialize)]
struct Vectors {
    fragment_lengths: Vec<FragmentLength>,
    codes: Vec<CodeVector>,
    segments: Vec<SegmentVector>,
}

#[derive(Deserialize)]
struct FragmentLength {
    length: u64,
    data: u32,
    fragment_length: u64,
}

/// Data byte `x` of fragment `j` is `(37·j + 11·x + x²/7) mod 256`.
#[derive(Deserialize)]
struct CodeVector {
    data: usize,
    parity: usize,
    length: usize,
    first_parity: String,
    last_parity: String,
    parity_blake3: String,
}

/// The segment is the first `length` bytes of BLAKE3's extended output for `seed`.
#[derive(Deserialize)]
struct SegmentVector {
    data: usize,
    parity: usize,
    seed: String,
    length: usize,
    fragment_length: u64,
    roots: Vec<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(VECTORS).expect("the vectors are well-formed")
}

#[test]
fn fragment_lengths_are_pinned() {
    for vector in vectors().fragment_lengths {
        assert_eq!(fragment_length(vector.length, vector.data), vector.fragment_length);
    }
}

#[test]
fn parity_is_pinned() {
    for vector in vectors().codes {
        let byte = |j: usize, x: usize| (37 * j + 11 * x + x * x / 7) as u8;
        let data: Vec<Vec<u8>> = (0..vector.data).map(|j| (0..vector.length).map(|x| byte(j, x)).collect()).collect();
        let sources: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
        let mut parity = vec![vec![0; vector.length]; vector.parity];
        let mut outputs: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
        let code = Code::new(vector.data, vector.parity).expect("a pinned code");
        code.encode(&sources, &mut outputs).expect("one length");
        assert_eq!(hex::encode(&parity[0][..16]), vector.first_parity);
        assert_eq!(hex::encode(&parity[vector.parity - 1][..16]), vector.last_parity);
        assert_eq!(blake3::hash(&parity.concat()).to_string(), vector.parity_blake3);
    }
}

#[test]
fn fragment_roots_are_pinned() {
    for vector in vectors().segments {
        let mut segment = vec![0; vector.length];
        blake3::Hasher::new().update(vector.seed.as_bytes()).finalize_xof().fill(&mut segment);
        let code = Code::new(vector.data, vector.parity).expect("a pinned code");
        let encoded = encode_segment(&code, segment.into()).expect("not empty");
        assert_eq!(encoded.fragment_length, vector.fragment_length);
        let roots: Vec<String> = encoded.roots.iter().map(ToString::to_string).collect();
        assert_eq!(roots, vector.roots);
    }
}
