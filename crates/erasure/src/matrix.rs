//! Build and invert the matrices of the code.

use crate::field::{invert, multiply};

/// A matrix over GF(2^8), row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matrix {
    columns: usize,
    cells: Vec<u8>,
}

impl Matrix {
    /// A matrix of zeros.
    pub(crate) fn zero(rows: usize, columns: usize) -> Self {
        Self { columns, cells: vec![0; rows * columns] }
    }

    /// The generator of the systematic Cauchy code: `data` unit rows, then the parity rows.
    ///
    /// Parity row `i` holds `1 / ((data + i) ^ j)` in column `j`. The row labels `data..data + parity` and the column
    /// labels `0..data` are distinct bytes, so the lower part is a Cauchy matrix: each of its square submatrices is
    /// invertible, and hence any `data` rows of the whole are.
    pub(crate) fn generator(data: usize, parity: usize) -> Self {
        let mut matrix = Self::zero(data + parity, data);
        for i in 0..data {
            matrix.row_mut(i)[i] = 1;
        }
        for i in data..data + parity {
            for (j, cell) in matrix.row_mut(i).iter_mut().enumerate() {
                *cell = invert((i ^ j) as u8);
            }
        }
        matrix
    }

    /// A matrix of one cell.
    #[cfg(test)]
    pub(crate) fn single(cell: u8) -> Self {
        Self { columns: 1, cells: vec![cell] }
    }

    pub(crate) fn rows(&self) -> usize {
        self.cells.len() / self.columns
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn row(&self, i: usize) -> &[u8] {
        &self.cells[i * self.columns..][..self.columns]
    }

    fn row_mut(&mut self, i: usize) -> &mut [u8] {
        &mut self.cells[i * self.columns..][..self.columns]
    }

    /// The rows with the given indices, in the order given.
    pub(crate) fn select(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        let cells = rows.into_iter().flat_map(|i| self.row(i)).copied().collect();
        Self { columns: self.columns, cells }
    }

    /// The product `self × right`.
    pub(crate) fn times(&self, right: &Self) -> Self {
        let mut product = Self::zero(self.rows(), right.columns);
        for i in 0..self.rows() {
            for (j, &factor) in self.row(i).iter().enumerate() {
                add_scaled(product.row_mut(i), right.row(j), factor);
            }
        }
        product
    }

    /// The inverse of a square matrix by Gauss and Jordan, or `None` if it has none.
    pub(crate) fn inverse(&self) -> Option<Self> {
        let n = self.columns;
        debug_assert_eq!(self.rows(), n);
        let mut left = self.clone();
        let mut right = Self::zero(n, n);
        for i in 0..n {
            right.row_mut(i)[i] = 1;
        }
        for pivot in 0..n {
            let found = (pivot..n).find(|&i| left.row(i)[pivot] != 0)?;
            left.swap_rows(pivot, found);
            right.swap_rows(pivot, found);
            let scale = invert(left.row(pivot)[pivot]);
            scale_row(left.row_mut(pivot), scale);
            scale_row(right.row_mut(pivot), scale);
            left.clear_column(pivot, &mut right);
        }
        Some(right)
    }

    /// Subtract multiples of row `pivot` so that its column is zero everywhere else; do the same to `right`.
    fn clear_column(&mut self, pivot: usize, right: &mut Self) {
        let (pivot_left, pivot_right) = (self.row(pivot).to_vec(), right.row(pivot).to_vec());
        for i in (0..self.rows()).filter(|&i| i != pivot) {
            let factor = self.row(i)[pivot];
            add_scaled(self.row_mut(i), &pivot_left, factor);
            add_scaled(right.row_mut(i), &pivot_right, factor);
        }
    }

    fn swap_rows(&mut self, a: usize, b: usize) {
        for j in 0..self.columns {
            self.cells.swap(a * self.columns + j, b * self.columns + j);
        }
    }
}

fn scale_row(row: &mut [u8], factor: u8) {
    row.iter_mut().for_each(|cell| *cell = multiply(*cell, factor));
}

fn add_scaled(row: &mut [u8], other: &[u8], factor: u8) {
    if factor != 0 {
        row.iter_mut().zip(other).for_each(|(cell, &b)| *cell ^= multiply(b, factor));
    }
}

#[cfg(test)]
mod tests;
