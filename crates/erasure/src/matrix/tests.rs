use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_rows_of_the_generator_invert(
        (data, parity, rows) in (1usize..=24, 0usize..=24).prop_flat_map(|(data, parity)| {
            let all: Vec<usize> = (0..data + parity).collect();
            (Just(data), Just(parity), proptest::sample::subsequence(all, data).prop_shuffle())
        })
    ) {
        let square = Matrix::generator(data, parity).select(rows);
        let inverse = square.inverse().expect("a Cauchy code is maximum distance separable");
        let identity = Matrix::generator(data, 0);
        prop_assert_eq!(square.times(&inverse), identity.clone());
        prop_assert_eq!(inverse.times(&square), identity);
    }
}

#[test]
fn a_singular_matrix_has_no_inverse() {
    let twice = Matrix::generator(2, 1).select([2, 2]);
    assert_eq!(twice.inverse(), None);
}

#[test]
fn the_widest_codes_have_distinct_labels() {
    for data in [1, 16, 128, 255] {
        let generator = Matrix::generator(data, 256 - data);
        assert!((data..256).all(|i| generator.row(i).iter().all(|&cell| cell != 0)));
    }
}
