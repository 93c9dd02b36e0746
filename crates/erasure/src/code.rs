//! Define the code: make parity from data, and any fragments from any `k` others.

use crate::{
    kernel::{Kernel, Product},
    matrix::Matrix,
    pool::Pool,
};
use std::{collections::BTreeSet, fmt, sync::Arc};
use thiserror::Error;

/// Most fragments of a code: the number of distinct row and column labels in GF(2^8).
const TOTAL_MAX: usize = 256;

/// A systematic Cauchy Reed–Solomon code with `data` + `parity` fragments; cheap to clone.
///
/// Fragment `j < data` is the data itself. Parity fragment `data + i` is, at each position, the sum over `j` of
/// `data[j] / ((data + i) ^ j)` in GF(2^8) modulo `0x11d`. Any `data` fragments determine all others.
#[derive(Clone)]
pub struct Code(Arc<Inner>);

struct Inner {
    parity: usize,
    generator: Matrix,
    encode: Product,
    pool: Pool,
}

/// Why there is no such code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodeError {
    /// Without data there is nothing to encode.
    #[error("a code needs at least one data fragment")]
    NoData,
    /// The field has labels for 256 fragments, of which one at least is not data.
    #[error("a code has at most 255 data and 256 fragments in total, not {data} + {parity}")]
    TooManyFragments {
        /// Data fragments asked for.
        data: usize,
        /// Parity fragments asked for.
        parity: usize,
    },
}

/// Why slices do not fit the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// There must be one source per column of the matrix.
    #[error("give {expected} sources, not {found}")]
    Sources {
        /// Sources the product takes.
        expected: usize,
        /// Sources given.
        found: usize,
    },
    /// There must be one output per row of the matrix.
    #[error("give {expected} outputs, not {found}")]
    Outputs {
        /// Outputs the product writes.
        expected: usize,
        /// Outputs given.
        found: usize,
    },
    /// All slices must have the length of the first source.
    #[error("give slices of one length: the first has {expected} bytes, another {found}")]
    Length {
        /// Bytes of the first source.
        expected: usize,
        /// Bytes of the slice that differs.
        found: usize,
    },
}

/// Why the wanted fragments cannot be planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReconstructError {
    /// Fewer fragments are present than the code has data fragments.
    #[error("{needed} fragments are needed to reconstruct, only {present} are present")]
    TooFew {
        /// Fragments present.
        present: usize,
        /// Fragments needed.
        needed: usize,
    },
    /// The code has no fragment of this index.
    #[error("fragment {index} does not exist in a code of {total} fragments")]
    OutOfRange {
        /// The index given.
        index: usize,
        /// Fragments of the code.
        total: usize,
    },
    /// A fragment counts once.
    #[error("fragment {index} is named twice")]
    Repeated {
        /// The index given twice.
        index: usize,
    },
}

impl Code {
    /// The code with `data` (1 to 255) data and `parity` parity fragments, 256 at most together.
    pub fn new(data: usize, parity: usize) -> Result<Self, CodeError> {
        Self::with_kernel(data, parity, Kernel::best())
    }

    fn with_kernel(data: usize, parity: usize, kernel: Kernel) -> Result<Self, CodeError> {
        if data == 0 {
            return Err(CodeError::NoData);
        }
        if data >= TOTAL_MAX || parity > TOTAL_MAX - data {
            return Err(CodeError::TooManyFragments { data, parity });
        }
        let generator = Matrix::generator(data, parity);
        let encode = Product::new(generator.select(data..data + parity), kernel);
        Ok(Self(Arc::new(Inner { parity, generator, encode, pool: Pool::default() })))
    }

    /// Number of data fragments, `k`: as many as reconstruct everything.
    pub fn data(&self) -> usize {
        self.0.generator.columns()
    }

    /// Number of parity fragments, `m`: as many as may be lost.
    pub fn parity(&self) -> usize {
        self.0.parity
    }

    /// Number of all fragments, `n = k + m`.
    pub fn total(&self) -> usize {
        self.data() + self.parity()
    }

    /// Compute a range of columns of all parity fragments from the same range of all data fragments.
    ///
    /// Positions are independent: the parity of two ranges is the parity of their concatenation. The slices have one
    /// length, any length.
    pub fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<(), ShapeError> {
        self.0.encode.apply(data, parity)
    }

    /// Plan how to make the `wanted` fragments from the first `data` of those `present`; each index at most once.
    ///
    /// The plan costs a matrix inversion, so make it once per pattern of losses and apply it to many column ranges.
    pub fn reconstruct(&self, present: &[usize], wanted: &[usize]) -> Result<Reconstruction, ReconstructError> {
        self.check_indices(present)?;
        self.check_indices(wanted)?;
        let sources = present
            .get(..self.data())
            .ok_or(ReconstructError::TooFew { present: present.len(), needed: self.data() })?;
        let generator = &self.0.generator;
        let to_data = generator.select(sources.iter().copied()).inverse().expect("any k rows of the generator invert");
        let matrix = generator.select(wanted.iter().copied()).times(&to_data);
        let product = Product::new(matrix, self.0.encode.kernel());
        Ok(Reconstruction { sources: sources.to_vec(), wanted: wanted.to_vec(), product })
    }

    /// Where the memory of parity fragments and decoded segments comes from and goes to.
    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    fn check_indices(&self, indices: &[usize]) -> Result<(), ReconstructError> {
        let mut seen = BTreeSet::new();
        for &index in indices {
            if index >= self.total() {
                return Err(ReconstructError::OutOfRange { index, total: self.total() });
            }
            if !seen.insert(index) {
                return Err(ReconstructError::Repeated { index });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Code({} + {})", self.data(), self.parity())
    }
}

/// A plan that makes some fragments from `k` others, for one pattern of losses.
#[derive(Debug)]
pub struct Reconstruction {
    sources: Vec<usize>,
    wanted: Vec<usize>,
    product: Product,
}

impl Reconstruction {
    /// Indices of the `k` fragments it reads, in the order [`apply`](Self::apply) takes them.
    pub fn sources(&self) -> &[usize] {
        &self.sources
    }

    /// Indices of the fragments it makes, in the order [`apply`](Self::apply) writes them.
    pub fn wanted(&self) -> &[usize] {
        &self.wanted
    }

    /// Compute a range of columns of the wanted fragments from the same range of the sources.
    pub fn apply(&self, sources: &[&[u8]], wanted: &mut [&mut [u8]]) -> Result<(), ShapeError> {
        self.product.apply(sources, wanted)
    }
}

#[cfg(test)]
mod tests;
