use super::*;
use proptest::{prelude::*, sample::subsequence};

fn segment(length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"segment").finalize_xof().fill(&mut bytes);
    bytes.into()
}

fn arbitrary_survivors() -> impl Strategy<Value = (Code, Vec<usize>)> {
    (1usize..=16, 0usize..=24).prop_flat_map(|(data, parity)| {
        let all: Vec<usize> = (0..data + parity).collect();
        let code = Just(Code::new(data, parity).expect("a small code"));
        (code, subsequence(all, data..=data + parity).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_k_fragments_decode((code, survivors) in arbitrary_survivors(), length in 1usize..1_500_000) {
        let segment = segment(length);
        let encoded = encode_segment(&code, segment.clone()).expect("not empty");
        let fragments: Vec<_> = survivors.iter().map(|&j| (j, encoded.fragments[j].clone())).collect();
        prop_assert!(decode_segment(&code, length as u64, &fragments).expect("k fragments") == segment);
    }

    #[test]
    fn fragments_are_the_padded_segment_and_its_parity(
        data in 1usize..=16, parity in 0usize..=8, length in 1usize..1_500_000
    ) {
        let code = Code::new(data, parity).expect("a small code");
        let segment = segment(length);
        let encoded = encode_segment(&code, segment.clone()).expect("not empty");
        let (data_fragments, parity_fragments) = encoded.fragments.split_at(data);
        let mut padded = segment.to_vec();
        padded.resize(encoded.fragment_length as usize * data, 0);
        prop_assert!(data_fragments.concat() == padded);
        let sources: Vec<&[u8]> = data_fragments.iter().map(|fragment| &fragment[..]).collect();
        let mut expected = vec![vec![0; encoded.fragment_length as usize]; parity];
        let mut outputs: Vec<_> = expected.iter_mut().map(|fragment| &mut fragment[..]).collect();
        code.encode(&sources, &mut outputs).expect("one length");
        prop_assert!(parity_fragments == expected);
        let roots: Vec<_> = encoded.fragments.iter().map(|fragment| blake3::hash(fragment)).collect();
        prop_assert_eq!(encoded.roots, roots);
    }

    #[test]
    fn fragments_hold_the_segment_with_less_than_a_unit_each_to_spare(length in 1u64..=1 << 48, data in 1u32..=255) {
        let bytes = fragment_length(length, data);
        let units = u64::from(data) * FRAGMENT_LENGTH_UNIT;
        prop_assert!(bytes.is_multiple_of(FRAGMENT_LENGTH_UNIT) && bytes >= FRAGMENT_LENGTH_MIN);
        prop_assert!(bytes * u64::from(data) >= length);
        prop_assert!(bytes == FRAGMENT_LENGTH_MIN || bytes * u64::from(data) - length < units);
    }
}

#[test]
fn fragment_lengths_at_the_edges() {
    const MIB: u64 = 1 << 20;
    let expected = [
        (1, 16, 64 << 10),
        (MIB, 16, 64 << 10),
        (MIB + 1, 16, 68 << 10),
        (32 * MIB, 16, 2 * MIB),
        (32 * MIB - 1, 16, 2 * MIB),
        (8 * MIB, 4, 2 * MIB),
        (1 << 40, 0, 1 << 40),
        (u64::MAX, 1, u64::MAX),
    ];
    for (length, data, bytes) in expected {
        assert_eq!(fragment_length(length, data), bytes, "{length} over {data}");
    }
}

#[test]
fn data_fragments_without_padding_share_the_segment() {
    let code = Code::new(4, 4).expect("a small code");
    let segment = segment(3 * (64 << 10) + 5);
    let encoded = encode_segment(&code, segment.clone()).expect("not empty");
    for j in 0..3 {
        assert_eq!(encoded.fragments[j].as_ptr(), segment[j * (64 << 10)..].as_ptr());
    }
}

#[test]
fn wrong_fragments_are_refused() {
    let code = Code::new(2, 2).expect("a small code");
    let encoded = encode_segment(&code, segment(1000)).expect("not empty");
    let take = |indices: &[usize]| indices.iter().map(|&j| (j, encoded.fragments[j].clone())).collect::<Vec<_>>();
    let refused = |length, fragments: &[(usize, Bytes)]| decode_segment(&code, length, fragments).unwrap_err();
    assert_eq!(refused(0, &take(&[0, 1])), DecodeError::Empty);
    assert_eq!(refused(1000, &take(&[2])), ReconstructError::TooFew { present: 1, needed: 2 }.into());
    assert_eq!(refused(1000, &take(&[2, 2])), ReconstructError::Repeated { index: 2 }.into());
    let stranger = (4, encoded.fragments[0].clone());
    assert_eq!(refused(1000, &[stranger]), ReconstructError::OutOfRange { index: 4, total: 4 }.into());
    let expected = fragment_length(u64::MAX, 2);
    let claim = DecodeError::FragmentLength { index: 0, length: u64::MAX, expected, found: 64 << 10 };
    assert_eq!(refused(u64::MAX, &take(&[0, 1])), claim);
    assert_eq!(encode_segment(&code, Bytes::new()), Err(EncodeError::Empty));
}
