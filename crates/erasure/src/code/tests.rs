use super::*;
use proptest::{prelude::*, sample::subsequence};

fn random_bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn random_fragments(code: &Code, length: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut fragments: Vec<_> = (0..code.data()).map(|j| random_bytes(length, seed + j as u64)).collect();
    let parity = encode(code, &fragments, 0..length);
    fragments.extend(parity);
    fragments
}

fn encode(code: &Code, data: &[Vec<u8>], range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    let sources: Vec<_> = data[..code.data()].iter().map(|fragment| &fragment[range.clone()]).collect();
    let mut parity = vec![vec![0; range.len()]; code.parity()];
    let mut outputs: Vec<_> = parity.iter_mut().map(|fragment| &mut fragment[..]).collect();
    code.encode(&sources, &mut outputs).expect("one length");
    parity
}

/// A code, at least `k` of its fragments in any order, and any fragments wanted.
fn arbitrary_losses() -> impl Strategy<Value = (Code, Vec<usize>, Vec<usize>)> {
    (1usize..=20, 0usize..=30).prop_flat_map(|(data, parity)| {
        let all: Vec<usize> = (0..data + parity).collect();
        let code = Just(Code::new(data, parity).expect("a small code"));
        let present = subsequence(all.clone(), data..=data + parity).prop_shuffle();
        let wanted = subsequence(all, 0..=data + parity).prop_shuffle();
        (code, present, wanted)
    })
}

proptest! {
    #[test]
    fn any_fragments_rebuild_from_any_k(
        (code, present, wanted) in arbitrary_losses(), length in 0usize..2000, seed: u64
    ) {
        let fragments = random_fragments(&code, length, seed >> 1);
        let plan = code.reconstruct(&present, &wanted).expect("k fragments are present");
        prop_assert_eq!(plan.sources(), &present[..code.data()]);
        prop_assert_eq!(plan.wanted(), &wanted[..]);
        let sources: Vec<_> = plan.sources().iter().map(|&j| &fragments[j][..]).collect();
        let mut rebuilt = vec![vec![0; length]; wanted.len()];
        let mut outputs: Vec<_> = rebuilt.iter_mut().map(|fragment| &mut fragment[..]).collect();
        plan.apply(&sources, &mut outputs).expect("one length");
        for (j, fragment) in wanted.into_iter().zip(rebuilt) {
            prop_assert!(fragment == fragments[j], "fragment {}", j);
        }
    }

    #[test]
    fn column_ranges_encode_to_the_same_parity_as_the_whole(
        data in 1usize..20, parity in 0usize..30, length in 1usize..3000, cut in 0.0..1.0, seed: u32
    ) {
        let code = Code::new(data, parity).expect("a small code");
        let fragments = random_fragments(&code, length, u64::from(seed));
        let cut = (length as f64 * cut) as usize;
        let (left, right) = (encode(&code, &fragments, 0..cut), encode(&code, &fragments, cut..length));
        for (i, (left, right)) in left.into_iter().zip(right).enumerate() {
            prop_assert!([left, right].concat() == fragments[data + i]);
        }
    }
}

#[test]
fn the_widest_code_survives_the_loss_of_all_data() {
    let code = Code::new(128, 128).expect("256 fragments");
    let fragments = random_fragments(&code, 100, 7);
    let (parity, data): (Vec<_>, Vec<_>) = ((128..256).collect(), (0..128).collect());
    let plan = code.reconstruct(&parity, &data).expect("enough");
    let sources: Vec<_> = fragments[128..].iter().map(|fragment| &fragment[..]).collect();
    let mut rebuilt = vec![vec![0; 100]; 128];
    let mut outputs: Vec<_> = rebuilt.iter_mut().map(|fragment| &mut fragment[..]).collect();
    plan.apply(&sources, &mut outputs).expect("one length");
    assert!(rebuilt == fragments[..128]);
}

#[test]
fn impossible_codes_are_refused() {
    assert_eq!(Code::new(0, 4).err(), Some(CodeError::NoData));
    for (data, parity) in [(256, 0), (255, 2), (1, 256), (usize::MAX, 1), (1, usize::MAX)] {
        assert_eq!(Code::new(data, parity).err(), Some(CodeError::TooManyFragments { data, parity }));
    }
    for (data, parity) in [(255, 1), (1, 255), (255, 0)] {
        assert_eq!(Code::new(data, parity).map(|code| code.total()), Ok(data + parity));
    }
}

#[test]
fn wrong_shapes_are_refused() {
    let code = Code::new(2, 1).expect("a small code");
    let (four, five) = ([0; 4], [0; 5]);
    let encode = |data: &[&[u8]], parity: &mut [&mut [u8]]| code.encode(data, parity).unwrap_err();
    assert_eq!(encode(&[&four], &mut [&mut [0; 4]]), ShapeError::Sources { expected: 2, found: 1 });
    assert_eq!(encode(&[], &mut [&mut [0; 4]]), ShapeError::Sources { expected: 2, found: 0 });
    assert_eq!(encode(&[&four, &four], &mut []), ShapeError::Outputs { expected: 1, found: 0 });
    assert_eq!(encode(&[&four, &five], &mut [&mut [0; 4]]), ShapeError::Length { expected: 4, found: 5 });
    assert_eq!(encode(&[&four, &four], &mut [&mut [0; 3]]), ShapeError::Length { expected: 4, found: 3 });
}

#[test]
fn impossible_reconstructions_are_refused() {
    let code = Code::new(2, 2).expect("a small code");
    let refused = |present: &[usize], wanted: &[usize]| code.reconstruct(present, wanted).unwrap_err();
    assert_eq!(refused(&[3], &[0]), ReconstructError::TooFew { present: 1, needed: 2 });
    assert_eq!(refused(&[3, 3], &[0]), ReconstructError::Repeated { index: 3 });
    assert_eq!(refused(&[3, 4], &[0]), ReconstructError::OutOfRange { index: 4, total: 4 });
    assert_eq!(refused(&[2, 3], &[9]), ReconstructError::OutOfRange { index: 9, total: 4 });
    assert_eq!(refused(&[2, 3], &[0, 0]), ReconstructError::Repeated { index: 0 });
}
