//! The design matrix, and sums over its rows.

use std::cmp::Reverse;
use std::ops::Range;

use ndarray::Array2;
use ndarray::{ArrayView1, ArrayView2, Axis};

use super::compact::CompactColumns;
use super::outer_products::{self, Scratch};
use crate::core::{Dataset, FeaturesView, Matrix, Result, Scalar, visit};
use crate::exec::parallel::{self, sum_block};
use crate::model::products::{self, TILE, for_tiles};
use crate::model::row_sums::{Extremes, sum_rows};

/// The features of a data set, with a 1 at the end of each row xᵢ if there is an intercept.
#[derive(Debug)]
pub(in crate::model) struct Design<'a> {
    data: &'a Dataset<'a>,
    intercept: bool,
    /// Sparse rows have their columns numbered anew; then θ has an entry for each column that occurs.
    compact: Option<CompactColumns>,
}

/// Most columns whose Hessian preconditions that of many columns. The levels of small categorical fields sum
/// to the intercept, which makes the Hessian ill-conditioned; they are among the most frequent columns.
const MAX_FREQUENT: usize = 512;

impl<'a> Design<'a> {
    pub(in crate::model) fn new(data: &'a Dataset<'a>, intercept: bool) -> Self {
        Self { data, intercept, compact: None }
    }

    /// This matrix with the columns of sparse rows numbered anew.
    pub(super) fn compacted(self) -> Self {
        let compact = visit!(self.features(), |x| match x {
            Matrix::Sparse(x) => CompactColumns::of(&x),
            Matrix::Dense(_) => None,
        });
        Self { compact, ..self }
    }

    /// Dense rows with the mean of each column taken off, and the means, if an intercept takes them up. Beside columns
    /// that are far from 0 by their spread, an intercept seems to depend on them, where it does not.
    pub(super) fn centred(&self) -> Result<Option<(Dataset<'a>, Vec<f64>)>> {
        let data = self.data;
        let centred = visit!(data.features(), |x| match x {
            Matrix::Dense(x) if self.intercept => {
                let mut x = x.mapv(Scalar::to_f64);
                let n = x.nrows() as f64;
                let means: Vec<f64> = x
                    .columns()
                    .into_iter()
                    .map(|column| column.iter().map(|v| v / n).sum())
                    .collect();
                x.rows_mut().into_iter().for_each(|mut row| row -= &ArrayView1::from(&means));
                Some((x, means))
            }
            _ => None,
        });
        let Some((x, means)) = centred else { return Ok(None) };
        let mut rows = Dataset::new(x, data.labels())?;
        if let Some(weights) = data.weights() {
            rows = rows.with_weights(weights)?;
        }
        if let Some(offsets) = data.offsets() {
            rows = rows.with_offsets(offsets)?;
        }
        Ok(Some((rows, means)))
    }

    pub(in crate::model) fn features(&self) -> FeaturesView<'_> {
        self.data.features()
    }

    /// Columns that have a coefficient.
    pub(in crate::model) fn columns(&self) -> usize {
        self.compact.as_ref().map_or(self.data.columns(), CompactColumns::len)
    }

    /// Length of θ.
    pub(in crate::model) fn parameters(&self) -> usize {
        self.columns() + usize::from(self.intercept)
    }

    /// Whether a column was left out because no row has an entry in it.
    pub(super) fn omits_columns(&self) -> bool {
        self.columns() < self.data.columns()
    }

    /// Whether a row has a weight above zero.
    pub(super) fn has_weight(&self, row: usize) -> bool {
        self.data.weights().is_none_or(|weights| weights[row] > 0.0)
    }

    /// Number of rows with a weight above zero.
    pub(super) fn weighted_rows(&self) -> usize {
        (0..self.data.rows()).filter(|&row| self.has_weight(row)).count()
    }

    /// θ, from the coefficients of all columns and the intercept.
    pub(super) fn theta(&self, coefficients: &[f64], intercept: f64) -> Vec<f64> {
        let mut theta = match &self.compact {
            Some(compact) => compact.narrow(coefficients),
            None => coefficients.to_vec(),
        };
        theta.extend(self.intercept.then_some(intercept));
        theta
    }

    /// The coefficients of all columns and then the intercept, if there is one, from θ.
    pub(super) fn full_theta(&self, mut theta: Vec<f64>) -> Vec<f64> {
        let Some(compact) = &self.compact else { return theta };
        let intercept = theta.split_off(compact.len());
        let mut full = compact.widen(&theta, self.data.columns());
        full.extend(intercept);
        full
    }

    /// The coefficients and the intercept (or 0) of θ.
    pub(super) fn split<'t>(&self, theta: &'t [f64]) -> (&'t [f64], f64) {
        let (beta, intercept) = theta.split_at(self.columns());
        (beta, intercept.first().copied().unwrap_or(0.0))
    }

    /// `out[i] = xᵢθ`.
    pub(super) fn products(&self, rows: Range<usize>, theta: &[f64], out: &mut [f64]) {
        let (beta, b) = self.split(theta);
        out.fill(b);
        match &self.compact {
            Some(compact) => compact.add_products(self.features(), rows, beta, out),
            None => products::add_products(self.features().slice(rows), beta, out),
        }
    }

    /// `sums += Σᵢ factors[i] · map(xᵢ)`, with `map` applied to each entry; `map(0)` must be 0 and `map(1)` 1.
    pub(super) fn add_rows(
        &self,
        rows: Range<usize>,
        factors: &[f64],
        map: impl Fn(f64) -> f64,
        sums: &mut [f64],
    ) {
        match &self.compact {
            Some(compact) => compact.add_rows(self.features(), rows, factors, map, sums),
            None => products::add_rows(self.features().slice(rows), factors, map, sums),
        }
        if self.intercept {
            sums[self.columns()] += factors.iter().sum::<f64>();
        }
    }

    /// `sum += Σᵢ factors[i] · xᵢ xᵢᵀ` (lower triangle).
    pub(super) fn add_outer_products(
        &self,
        rows: Range<usize>,
        factors: &[f64],
        scratch: &mut Scratch,
        sum: &mut Array2<f64>,
    ) {
        visit!(self.features().slice(rows), |x| match x {
            Matrix::Dense(x) => outer_products::add_dense(&x, None, factors, scratch, sum),
            Matrix::Sparse(x) => outer_products::add_sparse(&x, factors, sum),
        });
    }

    /// Σ f(i) xᵢ.
    pub(in crate::model) fn sum_of_rows(&self, f: impl Fn(usize) -> f64 + Sync + Send) -> Vec<f64> {
        self.sum_of_mapped_rows(f, |value| value)
    }

    /// Σ f(i) xᵢⱼ² for each j.
    pub(in crate::model) fn sum_of_squares(
        &self,
        f: impl Fn(usize) -> f64 + Sync + Send,
    ) -> Vec<f64> {
        self.sum_of_mapped_rows(f, |value| value * value)
    }

    fn sum_of_mapped_rows(
        &self,
        f: impl Fn(usize) -> f64 + Sync + Send,
        map: impl Fn(f64) -> f64 + Sync + Send,
    ) -> Vec<f64> {
        let (n, p) = (self.data.rows(), self.parameters());
        let zero = || vec![0.0; p];
        sum_rows(n, sum_block(n, p), zero, |sums, rows| {
            let mut buffer = [0.0; TILE];
            for_tiles(rows, |tile| {
                let factors = &mut buffer[..tile.len()];
                factors.iter_mut().zip(tile.clone()).for_each(|(factor, row)| *factor = f(row));
                self.add_rows(tile, factors, &map, sums);
            });
        })
    }

    /// Σ f(i) xᵢ xᵢᵀ (lower triangle).
    pub(in crate::model) fn sum_of_outer_products(
        &self,
        f: impl Fn(usize) -> f64 + Sync + Send,
    ) -> Array2<f64> {
        let (n, p) = (self.data.rows(), self.parameters());
        let zero = || Array2::zeros((p, p));
        sum_rows(n, sum_block(n, p * p), zero, |sum, rows| {
            let (mut buffer, mut scratch) = ([0.0; TILE], Scratch::default());
            for_tiles(rows, |tile| {
                let factors = &mut buffer[..tile.len()];
                factors.iter_mut().zip(tile.clone()).for_each(|(factor, row)| *factor = f(row));
                self.add_outer_products(tile, factors, &mut scratch, sum);
            });
        })
    }

    /// The columns with the most entries that are not zero, up to [`MAX_FREQUENT`] of them; of equals the
    /// first. Sparse and dense rows have the same frequent columns in the same order, so that a fit does not
    /// depend on how its rows are stored.
    pub(super) fn frequent_columns(&self) -> Vec<usize> {
        if let Some(compact) = &self.compact {
            return (0..compact.len().min(MAX_FREQUENT)).collect();
        }
        let counts = visit!(self.features(), |x| match x {
            Matrix::Dense(x) => nonzero_entries(&x),
            Matrix::Sparse(_) => return Vec::new(),
        });
        let mut columns: Vec<usize> = (0..counts.len()).filter(|&j| counts[j] > 0).collect();
        columns.sort_by_key(|&column| Reverse(counts[column]));
        columns.truncate(MAX_FREQUENT);
        columns
    }

    /// Σ factors[i] xᵢ xᵢᵀ (lower triangle) over the [frequent columns](Self::frequent_columns) and the
    /// intercept behind them.
    pub(super) fn frequent_outer_products(
        &self,
        frequent: &[usize],
        factors: &[f64],
    ) -> Array2<f64> {
        let k = frequent.len() + usize::from(self.intercept);
        let n = factors.len();
        let zero = || Array2::zeros((k, k));
        sum_rows(n, sum_block(n, k * k), zero, |sum, rows| {
            visit!(self.features(), |x| match (x, &self.compact) {
                (Matrix::Sparse(x), Some(compact)) => {
                    let (factors, k) = (&factors[rows.clone()], frequent.len());
                    compact.add_outer_products(&x, rows, factors, k, self.intercept, sum);
                }
                (Matrix::Dense(x), _) => {
                    let mut scratch = Scratch::default();
                    for_tiles(rows, |tile| {
                        let factors = &factors[tile.clone()];
                        let x = x.slice_axis(Axis(0), tile.into());
                        outer_products::add_dense(&x, Some(frequent), factors, &mut scratch, sum);
                    });
                }
                (Matrix::Sparse(_), None) => {} // has no frequent columns
            });
        })
    }

    /// How a step `v` of θ moves the logits: the largest move against a row's own label (`least`) and the
    /// largest in its favour (`greatest`), over rows with a weight.
    pub(super) fn logit_moves(&self, v: &[f64]) -> Extremes {
        let labels = self.data.labels();
        let zero = || Extremes { least: 0.0, greatest: 0.0 };
        sum_rows(self.data.rows(), parallel::BLOCK, zero, |extremes, rows| {
            let mut moves = vec![0.0; rows.len()];
            self.products(rows.clone(), v, &mut moves);
            rows.zip(moves)
                .filter(|(row, _)| self.has_weight(*row))
                .for_each(|(row, by)| extremes.include(signed(by, labels[row])));
        })
    }
}

/// A logit in the direction of its label.
pub(super) fn signed(logit: f64, label: bool) -> f64 {
    if label { logit } else { -logit }
}

/// The number of entries of each column that are not zero.
fn nonzero_entries<F: Scalar>(x: &ArrayView2<'_, F>) -> Vec<usize> {
    let (n, d) = x.dim();
    let zero = || vec![0; d];
    sum_rows(n, sum_block(n, d), zero, |counts, rows| {
        for row in x.slice_axis(Axis(0), rows.into()).outer_iter() {
            for (count, value) in counts.iter_mut().zip(row) {
                *count += usize::from(value.to_f64() != 0.0);
            }
        }
    })
}
