//! The dense linear algebra the crate needs, on one thread.
//!
//! `faer`'s operators ask a global setting for the number of threads: the host may have changed it or
//! forbidden to ask, and a sum cut for another number of threads is another sum. Everything here says
//! one thread.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::{factor, solve};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};

/// A = L Lᵀ for a symmetric positive definite A.
pub(crate) struct Llt(Mat<f64>);

impl Llt {
    /// Factors a matrix of which the lower triangle is read. The error is the first column whose pivot is
    /// not positive.
    pub(crate) fn new(mut lower: Mat<f64>) -> Result<Self, usize> {
        let n = lower.nrows();
        let scratch = factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
        factor::cholesky_in_place(
            lower.as_mut(),
            Default::default(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        )
        .map_err(|factor::LltError::NonPositivePivot { index }| index.min(n - 1))?;
        Ok(Self(lower))
    }

    /// The entry (j, j) of L.
    pub(crate) fn pivot(&self, j: usize) -> f64 {
        self.0[(j, j)]
    }

    /// Replaces B by A⁻¹ B.
    pub(crate) fn solve_in_place(&self, b: MatMut<'_, f64>) {
        let scratch = solve::solve_in_place_scratch::<f64>(b.nrows(), b.ncols(), Par::Seq);
        let mut memory = MemBuffer::new(scratch);
        solve::solve_in_place(self.0.as_ref(), b, Par::Seq, MemStack::new(&mut memory));
    }

    /// A⁻¹ b.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut solved = b.to_vec();
        self.solve_in_place(MatMut::from_column_major_slice_mut(&mut solved, b.len(), 1));
        solved
    }

    /// A⁻¹.
    pub(crate) fn inverse(&self) -> Mat<f64> {
        let mut inverse = Mat::identity(self.0.nrows(), self.0.nrows());
        self.solve_in_place(inverse.as_mut());
        inverse
    }
}

/// A M Aᵀ.
pub(crate) fn sandwich(a: &Mat<f64>, m: &Mat<f64>) -> Mat<f64> {
    product(product(a.as_ref(), m.as_ref()).as_ref(), a.transpose())
}

fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut product = Mat::zeros(a.nrows(), b.ncols());
    matmul(product.as_mut(), Accum::Replace, a, b, 1.0, Par::Seq);
    product
}
