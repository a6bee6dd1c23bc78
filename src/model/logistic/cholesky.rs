//! The Cholesky factor of a Hessian, scaled to a unit diagonal first.

use ndarray::Array2;

use crate::numerics::linalg::Llt;

/// A pivot of the scaled matrix (unit diagonal) below this counts as zero: the column is, to within
/// a millionth of its length, a combination of the ones before it, and f64 leaves few digits of it.
const SINGULAR: f64 = 1e-12;

/// H = D L Lᵀ D with D² the diagonal of H, so that columns of very different scales do no harm.
pub(in crate::model) struct Cholesky {
    scale: Vec<f64>,
    factor: Llt,
}

impl Cholesky {
    /// Factors a symmetric matrix, given by its lower triangle. The error is the first column that is a
    /// combination of the ones before it.
    pub(in crate::model) fn new(lower: &Array2<f64>) -> Result<Self, usize> {
        let p = lower.nrows();
        if let Some(column) = (0..p).find(|&j| lower[(j, j)] <= 0.0 || lower[(j, j)].is_nan()) {
            return Err(column);
        }
        let scale: Vec<f64> = (0..p).map(|j| lower[(j, j)].sqrt()).collect();
        let entry = |i: usize, j: usize| lower[(i, j)] / (scale[i] * scale[j]);
        let factor =
            Llt::new(Array2::from_shape_fn(
                (p, p),
                |(i, j)| if i >= j { entry(i, j) } else { 0.0 },
            ))?;
        match (0..p).find(|&j| factor.pivot(j).powi(2) <= SINGULAR) {
            Some(column) => Err(column),
            None => Ok(Self { scale, factor }),
        }
    }

    /// H⁻¹ r.
    pub(in crate::model) fn solve(&self, r: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = r.iter().zip(&self.scale).map(|(r, scale)| r / scale).collect();
        let mut solved = self.factor.solve(&scaled);
        solved.iter_mut().zip(&self.scale).for_each(|(z, scale)| *z /= scale);
        solved
    }

    /// H⁻¹, exactly symmetric.
    pub(in crate::model) fn inverse(&self) -> Array2<f64> {
        let p = self.scale.len();
        let inverse = self.factor.inverse();
        Array2::from_shape_fn((p, p), |(i, j)| {
            let (i, j) = (i.max(j), i.min(j));
            inverse[(i, j)] / (self.scale[i] * self.scale[j])
        })
    }

    /// ln det H.
    pub(in crate::model) fn log_determinant(&self) -> f64 {
        let diagonal = self.scale.iter().enumerate();
        2.0 * diagonal.map(|(j, d)| (d * self.factor.pivot(j)).ln()).sum::<f64>()
    }
}
