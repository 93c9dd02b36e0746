//! Multiply a matrix by columns of bytes with the fastest instructions the processor has.
//!
//! # Design
//! A product is computed in tiles: a stretch of all sources that fits the first-level cache is read once from memory
//! and then serves every group of output rows. Within a tile, a pass keeps one accumulator register per row of its
//! group, so each source vector is loaded once per group and each output vector is written once.

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::{code::ShapeError, matrix::Matrix};
use std::sync::LazyLock;

/// Bytes of all sources together in one tile: half of a common first-level data cache.
const TILE_BYTES: usize = 24 * 1024;

/// A way to multiply; each gives the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// 64 bytes at a time, products by affine bit matrices.
    #[cfg(target_arch = "x86_64")]
    Avx512Gfni,
    /// 32 bytes at a time, products by affine bit matrices.
    #[cfg(target_arch = "x86_64")]
    Avx2Gfni,
    /// 32 bytes at a time, products by two look-ups of half a byte each.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 16 bytes at a time, products by two look-ups of half a byte each.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// One byte at a time, products by table; runs everywhere.
    Scalar,
}

impl Kernel {
    /// The kernels this processor can run, fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        kernels.extend(x86::available());
        #[cfg(target_arch = "aarch64")]
        kernels.push(Self::Neon);
        kernels.push(Self::Scalar);
        kernels
    }

    /// The fastest of them.
    pub(crate) fn best() -> Self {
        static BEST: LazyLock<Kernel> = LazyLock::new(|| Kernel::available()[0]);
        *BEST
    }

    /// Bytes of each source per step of the vector kernels; the scalar one has no steps, only a tail.
    fn step(self) -> Option<usize> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gfni => Some(x86::AVX512_STEP),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Gfni | Self::Avx2 => Some(x86::AVX2_STEP),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Some(neon::STEP),
            Self::Scalar => None,
        }
    }

    /// Most rows in one pass, bounded by the registers there are.
    fn rows_max(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gfni => x86::AVX512_ROWS_MAX,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Gfni | Self::Avx2 => x86::AVX2_ROWS_MAX,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::ROWS_MAX,
            Self::Scalar => 1,
        }
    }
}

/// What a kernel multiplies by: one entry per cell, ordered by group of rows, column, row.
#[derive(Debug)]
enum Factors {
    #[cfg(target_arch = "x86_64")]
    Affine(Vec<u64>),
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    Nibbles(Vec<[u8; 32]>),
    Cells,
}

/// A matrix prepared for multiplication with columns of bytes.
#[derive(Debug)]
pub(crate) struct Product {
    matrix: Matrix,
    kernel: Kernel,
    factors: Factors,
    /// Row counts of the groups.
    groups: Vec<usize>,
}

/// The stretch of sources and outputs that one pass works on.
struct Span<'a> {
    sources: &'a [*const u8],
    outputs: &'a [*mut u8],
    start: usize,
    end: usize,
}

impl Product {
    pub(crate) fn new(matrix: Matrix, kernel: Kernel) -> Self {
        let groups = groups(matrix.rows(), kernel.rows_max());
        let factors = match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Gfni | Kernel::Avx2Gfni => Factors::Affine(arrange(&matrix, &groups, crate::field::affine)),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => Factors::Nibbles(arrange(&matrix, &groups, crate::field::nibbles)),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => Factors::Nibbles(arrange(&matrix, &groups, crate::field::nibbles)),
            Kernel::Scalar => Factors::Cells,
        };
        Self { matrix, kernel, factors, groups }
    }

    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Write `matrix × sources` to `outputs`, position by position.
    pub(crate) fn apply(&self, sources: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), ShapeError> {
        let length = self.check_shape(sources, outputs)?;
        let tail = match self.kernel.step() {
            Some(step) => {
                let whole = length - length % step;
                self.apply_tiles(sources, outputs, whole, (TILE_BYTES / self.matrix.columns()).next_multiple_of(step));
                whole
            }
            None => 0,
        };
        scalar::apply(&self.matrix, sources, outputs, tail);
        Ok(())
    }

    /// Run the vector kernel over the first `length` positions, which are whole steps, in tiles of whole steps.
    fn apply_tiles(&self, sources: &[&[u8]], outputs: &mut [&mut [u8]], length: usize, tile: usize) {
        let sources: Vec<_> = sources.iter().map(|source| source.as_ptr()).collect();
        let outputs: Vec<_> = outputs.iter_mut().map(|output| output.as_mut_ptr()).collect();
        for start in (0..length).step_by(tile) {
            let end = length.min(start + tile);
            self.apply_tile(&Span { sources: &sources, outputs: &outputs, start, end });
        }
    }

    /// The one length of all slices, of which there is one per column and row.
    fn check_shape(&self, sources: &[&[u8]], outputs: &[&mut [u8]]) -> Result<usize, ShapeError> {
        let (rows, columns) = (self.matrix.rows(), self.matrix.columns());
        if sources.len() != columns {
            return Err(ShapeError::Sources { expected: columns, found: sources.len() });
        }
        if outputs.len() != rows {
            return Err(ShapeError::Outputs { expected: rows, found: outputs.len() });
        }
        let expected = sources[0].len();
        let lengths = sources.iter().map(|source| source.len()).chain(outputs.iter().map(|output| output.len()));
        match lengths.into_iter().find(|&length| length != expected) {
            Some(found) => Err(ShapeError::Length { expected, found }),
            None => Ok(expected),
        }
    }

    fn apply_tile(&self, span: &Span) {
        let (mut row, mut cell) = (0, 0);
        for &rows in &self.groups {
            let outputs = &span.outputs[row..row + rows];
            let group = Span { outputs, ..*span };
            let cells = cell..cell + rows * self.matrix.columns();
            // SAFETY: `apply` checked that every source and output holds the span, and kernels are chosen only from
            // those the processor has.
            match &self.factors {
                #[cfg(target_arch = "x86_64")]
                Factors::Affine(all) if self.kernel == Kernel::Avx512Gfni => unsafe {
                    x86::avx512_gfni(&group, &all[cells.clone()]);
                },
                #[cfg(target_arch = "x86_64")]
                Factors::Affine(all) => unsafe { x86::avx2_gfni(&group, &all[cells.clone()]) },
                #[cfg(target_arch = "x86_64")]
                Factors::Nibbles(all) => unsafe { x86::avx2(&group, &all[cells.clone()]) },
                #[cfg(target_arch = "aarch64")]
                Factors::Nibbles(all) => unsafe { neon::nibbles(&group, &all[cells.clone()]) },
                _ => {}
            }
            row += rows;
            cell = cells.end;
        }
    }
}

/// Cut `rows` rows into as few groups of at most `rows_max` as possible, as even as possible.
fn groups(rows: usize, rows_max: usize) -> Vec<usize> {
    let count = rows.div_ceil(rows_max);
    (0..count).map(|i| rows * (i + 1) / count - rows * i / count).collect()
}

fn arrange<T>(matrix: &Matrix, groups: &[usize], factor: impl Fn(u8) -> T) -> Vec<T> {
    let mut all = Vec::with_capacity(matrix.rows() * matrix.columns());
    let mut row = 0;
    for &rows in groups {
        for column in 0..matrix.columns() {
            all.extend((row..row + rows).map(|i| factor(matrix.row(i)[column])));
        }
        row += rows;
    }
    all
}

#[cfg(test)]
mod tests;
