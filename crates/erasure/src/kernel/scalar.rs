//! Multiply byte by byte with tables: the reference for the other kernels, and their tail.

use crate::{field::PRODUCTS, matrix::Matrix};

/// Write `matrix × sources` to `outputs` from position `start` on.
pub(super) fn apply(matrix: &Matrix, sources: &[&[u8]], outputs: &mut [&mut [u8]], start: usize) {
    for (i, output) in outputs.iter_mut().enumerate() {
        let output = &mut output[start..];
        output.fill(0);
        for (&factor, source) in matrix.row(i).iter().zip(sources) {
            add_scaled(output, &source[start..], factor);
        }
    }
}

fn add_scaled(output: &mut [u8], source: &[u8], factor: u8) {
    let products = &PRODUCTS[usize::from(factor)];
    output.iter_mut().zip(source).for_each(|(out, &byte)| *out ^= products[usize::from(byte)]);
}
