use super::*;
use proptest::prelude::*;

const CHUNK: u64 = CHUNK_LENGTH as u64;

fn arbitrary_range() -> impl Strategy<Value = (u64, Range<u64>)> {
    let length = prop_oneof![0..=4 * CHUNK, 0..=PLAIN_LENGTH_MAX];
    length
        .prop_flat_map(|length| (Just(length), 0..=length, 0..=length))
        .prop_map(|(length, a, b)| (length, a.min(b)..a.max(b)))
}

proptest! {
    #[test]
    fn spans_hold_their_range_and_no_chunk_more((length, range) in arbitrary_range()) {
        let layout = Layout::new(length).expect("not too long");
        let span = layout.span(range.clone()).expect("a range of the object");
        let start = span.chunks.start * CHUNK;
        prop_assert_eq!(start + span.skip as u64, range.start);
        prop_assert_eq!(span.length, range.end - range.start);
        prop_assert!(span.chunks.end <= layout.chunk_count() && span.chunks.end * CHUNK >= range.end);
        let needed = (range.end.max(range.start + 1)).div_ceil(CHUNK).min(layout.chunk_count());
        prop_assert_eq!(span.chunks.end, needed);
        let sealed: u64 = (span.chunks.start..span.chunks.end)
            .take(8)
            .map(|index| layout.chunk_length(index).expect("in the object") as u64 + TAG_LENGTH as u64)
            .sum();
        if span.chunks.end - span.chunks.start <= 8 {
            prop_assert_eq!(span.sealed.end - span.sealed.start, sealed);
        }
        prop_assert_eq!(span.sealed.start, HEADER_LENGTH as u64 + span.chunks.start * (CHUNK + TAG_LENGTH as u64));
        prop_assert!(span.sealed.end <= layout.sealed_length());
    }
}

#[test]
fn sealed_lengths_at_the_edges() {
    let expected = [
        (0, 32 + 16),
        (1, 32 + 1 + 16),
        (CHUNK, 32 + CHUNK + 16),
        (CHUNK + 1, 32 + CHUNK + 1 + 32),
        (PLAIN_LENGTH_MAX, 32 + (1 << 48) + (1 << 36)),
        (PLAIN_LENGTH_MAX + 1, u64::MAX),
        (u64::MAX, u64::MAX),
    ];
    for (plain, sealed) in expected {
        assert_eq!(sealed_length(plain), sealed, "{plain}");
    }
    assert_eq!(Layout::new(u64::MAX), Err(TooLong { length: u64::MAX }));
}

#[test]
fn chunks_at_the_edges() {
    let layout = Layout::new(2 * CHUNK + 5).expect("not too long");
    let lengths: Vec<_> = (0..4).map(|index| layout.chunk_length(index)).collect();
    assert_eq!(lengths, [Some(CHUNK_LENGTH), Some(CHUNK_LENGTH), Some(5), None]);
    assert_eq!(layout.chunk_length(u64::MAX), None);
    let empty = Layout::new(0).expect("not too long");
    assert_eq!((empty.chunk_length(0), empty.chunk_length(1)), (Some(0), None));
    assert_eq!(empty.span(0..0), Ok(ChunkSpan { chunks: 0..1, sealed: 32..48, skip: 0, length: 0 }));
}

#[test]
fn impossible_ranges_are_refused() {
    let layout = Layout::new(10).expect("not too long");
    for (start, end) in [(0, 11), (11, 11), (7, 6), (0, u64::MAX), (u64::MAX, 0)] {
        assert_eq!(layout.span(start..end), Err(RangeError { start, end, length: 10 }));
    }
}
