//! Multiply with AVX-512 and AVX2, by `GF2P8AFFINEQB` where there is GFNI and by `PSHUFB` where there is not.

use super::{Kernel, Span};
use std::arch::x86_64::*;

/// Vectors per row and step: two of them make one factor load serve twice.
const WIDTH: usize = 2;
pub(super) const AVX512_STEP: usize = 64 * WIDTH;
pub(super) const AVX2_STEP: usize = 32 * WIDTH;
/// 12 rows × 2 accumulators, 2 sources and 1 factor of 32 registers.
pub(super) const AVX512_ROWS_MAX: usize = 12;
/// 6 rows × 2 accumulators, 2 sources and 1 factor of 16 registers.
pub(super) const AVX2_ROWS_MAX: usize = 6;

/// The kernels this processor can run, fastest first.
pub(super) fn available() -> impl Iterator<Item = Kernel> {
    let gfni = is_x86_feature_detected!("gfni");
    let avx2 = is_x86_feature_detected!("avx2");
    let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    [(Kernel::Avx512Gfni, avx512 && gfni), (Kernel::Avx2Gfni, avx2 && gfni), (Kernel::Avx2, avx2)]
        .into_iter()
        .filter_map(|(kernel, runs)| runs.then_some(kernel))
}

/// Call `$pass` with the row count as a constant, so that its accumulators are registers.
macro_rules! by_rows {
    ($pass:ident($span:expr, $factors:expr) for $($rows:literal)*) => {
        match $span.outputs.len() {
            // SAFETY: the caller's promises are those of the pass.
            $($rows => unsafe { $pass::<$rows>($span, $factors) },)*
            rows => unreachable!("no pass of {rows} rows"),
        }
    };
}

/// # Safety
/// All of `span` is in bounds, and the processor has AVX-512 F and BW and GFNI.
pub(super) unsafe fn avx512_gfni(span: &Span, factors: &[u64]) {
    by_rows!(avx512_gfni_pass(span, factors) for 1 2 3 4 5 6 7 8 9 10 11 12);
}

/// # Safety
/// All of `span` is in bounds, and the processor has AVX2 and GFNI.
pub(super) unsafe fn avx2_gfni(span: &Span, factors: &[u64]) {
    by_rows!(avx2_gfni_pass(span, factors) for 1 2 3 4 5 6);
}

/// # Safety
/// All of `span` is in bounds, and the processor has AVX2.
pub(super) unsafe fn avx2(span: &Span, factors: &[[u8; 32]]) {
    by_rows!(avx2_pass(span, factors) for 1 2 3 4 5 6);
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
unsafe fn avx512_gfni_pass<const ROWS: usize>(span: &Span, factors: &[u64]) {
    // SAFETY: the caller promises that positions `start..end` of all pointers are in bounds; loads and stores need no
    // alignment.
    unsafe {
        for at in (span.start..span.end).step_by(AVX512_STEP) {
            let mut sums = [[_mm512_setzero_si512(); WIDTH]; ROWS];
            for (source, factors) in span.sources.iter().zip(factors.as_chunks::<ROWS>().0) {
                let bytes: [_; WIDTH] = std::array::from_fn(|v| _mm512_loadu_si512(source.add(at + 64 * v).cast()));
                for (sums, &factor) in sums.iter_mut().zip(factors) {
                    let factor = _mm512_set1_epi64(factor.cast_signed());
                    for (sum, bytes) in sums.iter_mut().zip(bytes) {
                        *sum = _mm512_xor_si512(*sum, _mm512_gf2p8affine_epi64_epi8::<0>(bytes, factor));
                    }
                }
            }
            for (output, sums) in span.outputs.iter().zip(sums) {
                for (v, sum) in sums.into_iter().enumerate() {
                    _mm512_storeu_si512(output.add(at + 64 * v).cast(), sum);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2,gfni")]
unsafe fn avx2_gfni_pass<const ROWS: usize>(span: &Span, factors: &[u64]) {
    // SAFETY: as above.
    unsafe {
        for at in (span.start..span.end).step_by(AVX2_STEP) {
            let mut sums = [[_mm256_setzero_si256(); WIDTH]; ROWS];
            for (source, factors) in span.sources.iter().zip(factors.as_chunks::<ROWS>().0) {
                let bytes: [_; WIDTH] = std::array::from_fn(|v| _mm256_loadu_si256(source.add(at + 32 * v).cast()));
                for (sums, &factor) in sums.iter_mut().zip(factors) {
                    let factor = _mm256_set1_epi64x(factor.cast_signed());
                    for (sum, bytes) in sums.iter_mut().zip(bytes) {
                        *sum = _mm256_xor_si256(*sum, _mm256_gf2p8affine_epi64_epi8::<0>(bytes, factor));
                    }
                }
            }
            for (output, sums) in span.outputs.iter().zip(sums) {
                for (v, sum) in sums.into_iter().enumerate() {
                    _mm256_storeu_si256(output.add(at + 32 * v).cast(), sum);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn avx2_pass<const ROWS: usize>(span: &Span, factors: &[[u8; 32]]) {
    // SAFETY: as above; a factor is 32 bytes, two tables of 16.
    unsafe {
        let nibble = _mm256_set1_epi8(0x0f);
        for at in (span.start..span.end).step_by(32) {
            let mut sums = [_mm256_setzero_si256(); ROWS];
            for (source, factors) in span.sources.iter().zip(factors.as_chunks::<ROWS>().0) {
                let bytes = _mm256_loadu_si256(source.add(at).cast());
                let low = _mm256_and_si256(bytes, nibble);
                let high = _mm256_and_si256(_mm256_srli_epi64::<4>(bytes), nibble);
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    let lows = _mm256_broadcastsi128_si256(_mm_loadu_si128(factor.as_ptr().cast()));
                    let highs = _mm256_broadcastsi128_si256(_mm_loadu_si128(factor.as_ptr().add(16).cast()));
                    let product = _mm256_xor_si256(_mm256_shuffle_epi8(lows, low), _mm256_shuffle_epi8(highs, high));
                    *sum = _mm256_xor_si256(*sum, product);
                }
            }
            for (output, sum) in span.outputs.iter().zip(sums) {
                _mm256_storeu_si256(output.add(at).cast(), sum);
            }
        }
    }
}
