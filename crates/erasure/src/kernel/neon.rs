//! Multiply with NEON: two table look-ups of half a byte each.

use super::Span;
use std::arch::aarch64::*;

pub(super) const STEP: usize = 16;
/// 8 accumulators, 8 tables in flight and the source's halves of 32 registers.
pub(super) const ROWS_MAX: usize = 8;

/// # Safety
/// All of `span` is in bounds. (NEON is part of every AArch64 target with an operating system.)
pub(super) unsafe fn nibbles(span: &Span, factors: &[[u8; 32]]) {
    // SAFETY: the caller's promise is that of the pass.
    unsafe {
        match span.outputs.len() {
            1 => pass::<1>(span, factors),
            2 => pass::<2>(span, factors),
            3 => pass::<3>(span, factors),
            4 => pass::<4>(span, factors),
            5 => pass::<5>(span, factors),
            6 => pass::<6>(span, factors),
            7 => pass::<7>(span, factors),
            8 => pass::<8>(span, factors),
            rows => unreachable!("no pass of {rows} rows"),
        }
    }
}

#[target_feature(enable = "neon")]
unsafe fn pass<const ROWS: usize>(span: &Span, factors: &[[u8; 32]]) {
    // SAFETY: the caller promises that positions `start..end` of all pointers are in bounds; a factor is 32 bytes.
    unsafe {
        let nibble = vdupq_n_u8(0x0f);
        for at in (span.start..span.end).step_by(STEP) {
            let mut sums = [vdupq_n_u8(0); ROWS];
            for (source, factors) in span.sources.iter().zip(factors.as_chunks::<ROWS>().0) {
                let bytes = vld1q_u8(source.add(at));
                let (low, high) = (vandq_u8(bytes, nibble), vshrq_n_u8::<4>(bytes));
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    let lows = vqtbl1q_u8(vld1q_u8(factor.as_ptr()), low);
                    let highs = vqtbl1q_u8(vld1q_u8(factor.as_ptr().add(16)), high);
                    *sum = veorq_u8(*sum, veorq_u8(lows, highs));
                }
            }
            for (output, sum) in span.outputs.iter().zip(sums) {
                vst1q_u8(output.add(at), sum);
            }
        }
    }
}
