use super::*;
use proptest::prelude::*;

fn random_bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Multiply with one kernel; the sources start `skew` bytes into their buffers.
fn run(kernel: Kernel, matrix: &Matrix, length: usize, skew: usize) -> Vec<Vec<u8>> {
    let buffers: Vec<_> = (0..matrix.columns()).map(|j| random_bytes(length + skew, j as u64)).collect();
    let sources: Vec<_> = buffers.iter().map(|buffer| &buffer[skew..]).collect();
    let mut outputs = vec![vec![0xaa; length + skew]; matrix.rows()];
    let mut views: Vec<_> = outputs.iter_mut().map(|output| &mut output[skew..]).collect();
    Product::new(matrix.clone(), kernel).apply(&sources, &mut views).expect("one length");
    outputs
}

fn arbitrary_matrix() -> impl Strategy<Value = Matrix> {
    let shape = (1usize..=30, 1usize..=40);
    shape.prop_map(|(columns, rows)| Matrix::generator(columns, rows).select(columns..columns + rows))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_kernels_agree(matrix in arbitrary_matrix(), length in 0usize..9000, skew in 0usize..64) {
        let expected = run(Kernel::Scalar, &matrix, length, skew);
        for kernel in Kernel::available() {
            prop_assert!(run(kernel, &matrix, length, skew) == expected, "{kernel:?}");
        }
    }
}

#[test]
fn every_kernel_multiplies_every_pair() {
    let sources: Vec<u8> = (0..=255).collect();
    for factor in 0..=255 {
        let matrix = Matrix::single(factor);
        for kernel in Kernel::available() {
            let mut output = vec![0; 256];
            Product::new(matrix.clone(), kernel).apply(&[&sources], &mut [&mut output]).expect("one length");
            let expected: Vec<u8> = sources.iter().map(|&byte| crate::field::multiply(factor, byte)).collect();
            assert_eq!(output, expected, "{kernel:?} × {factor}");
        }
    }
}

#[test]
fn groups_are_even_and_bounded() {
    assert_eq!(groups(24, 12), [12, 12]);
    assert_eq!(groups(13, 12), [6, 7]);
    assert_eq!(groups(0, 12), []);
}
