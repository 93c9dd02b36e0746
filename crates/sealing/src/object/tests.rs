use super::*;
use crate::layout::CHUNK_LENGTH;
use proptest::prelude::*;

fn key(seed: u8) -> ContentKey {
    ContentKey::from_bytes([seed; 32])
}

fn plaintext(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"plaintext").finalize_xof().fill(&mut bytes);
    bytes
}

fn seal(length: usize) -> Vec<u8> {
    seal_object(&key(1), &plaintext(length)).expect("not too long")
}

fn arbitrary_length() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..300usize,
        CHUNK_LENGTH - 2..CHUNK_LENGTH + 3,
        3 * CHUNK_LENGTH - 2..3 * CHUNK_LENGTH + 3,
        0..500_000usize
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn objects_of_any_length_come_back(length in arbitrary_length(), seed: u8) {
        let sealed = seal_object(&key(seed), &plaintext(length)).expect("not too long");
        prop_assert_eq!(sealed.len() as u64, crate::sealed_length(length as u64));
        prop_assert!(open_object(&key(seed), sealed).expect("untouched") == plaintext(length));
    }

    #[test]
    fn all_ways_to_seal_and_open_agree(length in arbitrary_length()) {
        let (whole, plain) = (seal(length), plaintext(length));
        let mut sealer = Sealer::new(&key(1), length as u64).expect("not too long");
        let opener = Opener::new(&key(1), sealer.header()).expect("its own header");
        let mut in_turn = sealer.header().to_vec();
        for index in 0..sealer.layout().chunk_count() {
            let start = index as usize * CHUNK_LENGTH;
            let chunk = &plain[start..length.min(start + CHUNK_LENGTH)];
            let mut buffer = [chunk, &[0; TAG_LENGTH]].concat();
            sealer.seal_in_place(index, &mut buffer).expect("a chunk and room for its tag");
            let mut appended = chunk.to_vec();
            sealer.seal_chunk(&mut appended).expect("the next chunk");
            prop_assert!(appended == buffer);
            let mut opened = vec![0; chunk.len()];
            opener.open_into(index, &appended, &mut opened).expect("untouched");
            prop_assert!(opened == chunk);
            in_turn.extend(appended);
        }
        prop_assert!(sealer.is_complete());
        prop_assert!(in_turn == whole);
    }

    #[test]
    fn any_range_opens_from_its_span((length, a, b) in arbitrary_length().prop_flat_map(|n| (Just(n), 0..=n, 0..=n))) {
        let (sealed, plain, range) = (seal(length), plaintext(length), a.min(b)..a.max(b));
        let opener = Opener::new(&key(1), &sealed).expect("untouched");
        let span = opener.layout().span(range.start as u64..range.end as u64).expect("a range of the object");
        let mut fetched = sealed[span.sealed.start as usize..span.sealed.end as usize].to_vec();
        let mut opened = Vec::new();
        for (index, chunk) in span.chunks.clone().zip(fetched.chunks_mut(SEALED_CHUNK_LENGTH)) {
            opened.extend_from_slice(opener.open_chunk(index, chunk).expect("untouched"));
        }
        prop_assert!(opened[span.skip..][..span.length as usize] == plain[range]);
    }

    #[test]
    fn a_flipped_bit_anywhere_fails(length in arbitrary_length(), at: prop::sample::Index, bit in 0u32..8) {
        let mut sealed = seal(length);
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(open_object(&key(1), sealed).is_err(), "bit {} of byte {}", bit, at);
    }

    #[test]
    fn any_truncation_is_told_before_anything_is_opened(length in arbitrary_length(), at: prop::sample::Index) {
        let mut sealed = seal(length);
        let (whole, found) = (sealed.len(), at.index(sealed.len()));
        sealed.truncate(found);
        let expected = if found < HEADER_LENGTH { HEADER_LENGTH } else { whole } as u64;
        let truncated = OpenError::Truncated { expected, found: found as u64 };
        prop_assert_eq!(open_object(&key(1), sealed), Err(truncated));
    }
}

#[test]
fn every_bit_of_a_small_object_counts() {
    for length in [0, 1, 40] {
        let sealed = seal(length);
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1 << bit;
                let error = open_object(&key(1), flipped).expect_err("altered");
                let expected = match at {
                    0..4 => matches!(error, OpenError::NotSealed),
                    4..8 => matches!(error, OpenError::Unsupported { .. }),
                    8..16 => {
                        matches!(
                            error,
                            OpenError::TooLong(_) | OpenError::Truncated { .. } | OpenError::Overlong { .. }
                        )
                    }
                    16..32 => matches!(error, OpenError::WrongKey),
                    _ => error == OpenError::Corrupt { chunk: 0 },
                };
                assert!(expected, "bit {bit} of byte {at}: {error:?}");
            }
        }
    }
}

#[test]
fn every_truncation_of_a_small_object_is_told() {
    let sealed = seal(40);
    for found in 0..sealed.len() {
        let error = open_object(&key(1), sealed[..found].to_vec()).expect_err("cut off");
        assert!(matches!(error, OpenError::Truncated { .. }), "{found}: {error:?}");
    }
}

#[test]
fn another_key_is_told_from_corruption() {
    assert_eq!(open_object(&key(2), seal(100)), Err(OpenError::WrongKey));
}

#[test]
fn swapped_chunks_are_corrupt() {
    let mut sealed = seal(3 * CHUNK_LENGTH);
    let (first, rest) = sealed[HEADER_LENGTH..].split_at_mut(SEALED_CHUNK_LENGTH);
    first.swap_with_slice(&mut rest[..SEALED_CHUNK_LENGTH]);
    assert_eq!(open_object(&key(1), sealed), Err(OpenError::Corrupt { chunk: 0 }));
}

#[test]
fn a_dropped_chunk_under_a_shortened_header_is_corrupt() {
    let whole = seal(3 * CHUNK_LENGTH);
    let shorter = Sealer::new(&key(1), 2 * CHUNK_LENGTH as u64).expect("not too long");
    let forged = [&shorter.header()[..], &whole[HEADER_LENGTH..HEADER_LENGTH + 2 * SEALED_CHUNK_LENGTH]].concat();
    assert_eq!(open_object(&key(1), forged), Err(OpenError::Corrupt { chunk: 0 }));
}

#[test]
fn appended_bytes_are_told() {
    let mut sealed = seal(5);
    sealed.push(0);
    assert_eq!(open_object(&key(1), sealed), Err(OpenError::Overlong { expected: 53, found: 54 }));
}

#[test]
fn objects_of_different_lengths_share_no_nonce() {
    let [short, long] = [1, 2].map(|length| Sealer::new(&key(1), length).expect("not too long"));
    assert_ne!(short.chunks.nonce(0), long.chunks.nonce(0));
}

#[test]
fn an_absurd_length_is_refused_before_anything_is_reserved() {
    let mut sealed = seal(5);
    sealed[8..16].fill(0xff);
    assert_eq!(open_object(&key(1), sealed), Err(TooLong { length: u64::MAX }.into()));
    assert!(matches!(Sealer::new(&key(1), u64::MAX), Err(SealError::TooLong(_))));
}

#[test]
fn chunks_of_the_wrong_shape_are_refused() {
    let mut sealer = Sealer::new(&key(1), CHUNK_LENGTH as u64 + 5).expect("not too long");
    let no_chunk = SealError::NoSuchChunk { index: 2, count: 2 };
    let chunk_length = SealError::ChunkLength { chunk: 1, expected: 5, found: 6 };
    assert_eq!(sealer.seal_into(2, &[], &mut [0; 16]), Err(no_chunk));
    assert_eq!(sealer.seal_into(1, &[0; 6], &mut [0; 22]), Err(chunk_length));
    assert_eq!(sealer.seal_in_place(1, &mut [0; 22]), Err(chunk_length));
    let buffer_length = |expected, found| SealError::BufferLength { chunk: 1, expected, found };
    assert_eq!(sealer.seal_into(1, &[0; 5], &mut [0; 22]), Err(buffer_length(21, 22)));
    assert_eq!(sealer.seal_in_place(1, &mut [0; 15]), Err(buffer_length(16, 15)));
    let first = SealError::ChunkLength { chunk: 0, expected: CHUNK_LENGTH, found: 5 };
    assert_eq!(sealer.seal_chunk(&mut vec![0; 5]), Err(first));
    assert!(!sealer.is_complete());
    sealer.seal_chunk(&mut vec![0; CHUNK_LENGTH]).expect("the first chunk");
    sealer.seal_chunk(&mut vec![0; 5]).expect("the last chunk");
    assert!(sealer.is_complete());
    assert_eq!(sealer.seal_chunk(&mut vec![]), Err(no_chunk));
}

#[test]
fn opening_the_wrong_shape_is_refused() {
    let opener = Opener::new(&key(1), &seal(5)).expect("untouched");
    assert_eq!(opener.open_chunk(1, &mut [0; 16]), Err(OpenError::NoSuchChunk { index: 1, count: 1 }));
    let chunk_length = OpenError::ChunkLength { chunk: 0, expected: 21, found: 3 };
    assert_eq!(opener.open_chunk(0, &mut [0; 3]), Err(chunk_length));
    let buffer_length = OpenError::BufferLength { chunk: 0, expected: 5, found: 6 };
    assert_eq!(opener.open_into(0, &[0; 21], &mut [0; 6]), Err(buffer_length));
}

#[test]
fn chunks_are_sealed_in_parallel_as_in_turn() {
    let (plain, sealer) = (plaintext(4 * CHUNK_LENGTH), Sealer::new(&key(1), 4 * CHUNK_LENGTH as u64).expect("short"));
    let mut sealed = vec![0; 4 * SEALED_CHUNK_LENGTH];
    std::thread::scope(|scope| {
        for (index, out) in (0..).zip(sealed.chunks_mut(SEALED_CHUNK_LENGTH)) {
            let (sealer, chunk) = (&sealer, &plain[index as usize * CHUNK_LENGTH..][..CHUNK_LENGTH]);
            scope.spawn(move || sealer.seal_into(index, chunk, out).expect("a whole chunk"));
        }
    });
    assert!(sealed == seal(4 * CHUNK_LENGTH)[HEADER_LENGTH..]);
}
