//! Features and weights of extreme sizes, whose squares leave the range of `f64`, brought near 1 by powers of two.
//!
//! Division by a power of two rounds nothing, so the fit is the one that arithmetic of any range would find.

use std::ops::Range;

use crate::core::{Dataset, Error, Features, FeaturesView, Matrix, Result, sparse_row};
use crate::exec::parallel::{self, sum_block};
use crate::model::LinearModel;
use crate::numerics::power_of_two_below;

/// Sizes that are left as they are: products of squares of them, a weight and a count of rows are ordinary.
const ORDINARY: Range<f64> = 1e-60..1e60;

/// What columns and weights are to be divided by; 1 where they are ordinary.
pub(in crate::model) struct Units {
    columns: Vec<f64>,
    pub(super) weight: f64,
}

impl Units {
    /// `None` if columns and weights are all ordinary.
    pub(in crate::model) fn of(data: &Dataset<'_>) -> Option<Self> {
        let largest_weight = data.weights().map_or(1.0, |w| w.iter().copied().fold(0.0, f64::max));
        let largest = match data.features() {
            FeaturesView::F32(_) => Vec::new(), // whose squares are ordinary in f64
            FeaturesView::F64(x) => largest_entries(x),
        };
        let ordinary = |size: &f64| *size == 0.0 || ORDINARY.contains(size);
        if largest.iter().chain([&largest_weight]).all(ordinary) {
            return None;
        }
        let unit = |size: f64| if ordinary(&size) { 1.0 } else { power_of_two_below(size) };
        let mut columns: Vec<f64> = largest.into_iter().map(unit).collect();
        columns.resize(data.columns(), 1.0);
        Some(Self { columns, weight: unit(largest_weight) })
    }

    /// One unit for all columns, that of the largest entry, or none where they are too far apart for one: a penalty on
    /// their coefficients then has a unit too.
    pub(super) fn in_common(mut self) -> Self {
        let least = self.columns.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = self.columns.iter().copied().fold(0.0, f64::max);
        self.columns.fill(if least > largest * ORDINARY.start { largest } else { 1.0 });
        self
    }

    /// The penalties on squared and on absolute coefficients in these units, where all columns have one. `None` where
    /// they leave the range of f64.
    pub(super) fn penalties(&self, l2: f64, l1: f64) -> Option<[f64; 2]> {
        let unit = self.columns.first().copied().unwrap_or(1.0);
        let inside = [l2 / unit / self.weight / unit, l1 / unit / self.weight];
        let kept = |(outside, inside): (f64, f64)| {
            inside.is_finite() && (outside == 0.0) == (inside == 0.0)
        };
        [(l2, inside[0]), (l1, inside[1])].into_iter().all(kept).then_some(inside)
    }

    /// The first column that is not ordinary, with its size to a factor of two.
    pub(in crate::model) fn extreme_column(&self) -> Option<(usize, f64)> {
        self.columns.iter().copied().enumerate().find(|&(_, unit)| unit != 1.0)
    }

    /// The rows in these units.
    pub(super) fn divide(&self, data: &Dataset<'_>) -> Result<Dataset<'static>> {
        let features: Features<'static> = match data.features() {
            FeaturesView::F32(x) => match x {
                Matrix::Dense(x) => x.to_owned().into(),
                Matrix::Sparse(x) => x.to_owned().into(),
            },
            FeaturesView::F64(Matrix::Dense(x)) => {
                let mut x = x.to_owned();
                for (mut column, unit) in x.columns_mut().into_iter().zip(&self.columns) {
                    column.mapv_inplace(|value| value / unit);
                }
                x.into()
            }
            FeaturesView::F64(Matrix::Sparse(x)) => {
                let mut divided = x.to_owned();
                let columns = x.indices().iter();
                let entries = divided.data_mut().iter_mut().zip(columns);
                entries.for_each(|(value, &column)| *value /= self.columns[column]);
                divided.into()
            }
        };
        let mut divided = Dataset::new(features, data.labels().to_vec())?;
        if let Some(offsets) = data.offsets() {
            divided = divided.with_offsets(offsets.to_vec())?;
        }
        if let Some(weights) = data.weights() {
            let weights: Vec<f64> = weights.iter().map(|weight| weight / self.weight).collect();
            divided = divided.with_weights(weights)?;
        }
        Ok(divided)
    }

    /// The coefficients of the columns in these units, from those of the columns given.
    pub(super) fn enter(&self, model: &LinearModel) -> Result<LinearModel> {
        let coefficients = model.coefficients().iter().zip(&self.columns);
        LinearModel::new(coefficients.map(|(c, unit)| c * unit).collect(), model.intercept())
    }

    /// The coefficients of the columns given, from those of the columns in these units.
    pub(super) fn leave(&self, theta: &mut [f64]) -> Result<()> {
        for (column, (coefficient, unit)) in theta.iter_mut().zip(&self.columns).enumerate() {
            *coefficient /= unit;
            if !coefficient.is_finite() {
                return Err(Error::Numerical {
                    what: format!("the coefficient of column {column}"),
                    value: *coefficient,
                    remedy: "scale the column up",
                });
            }
        }
        Ok(())
    }
}

/// The largest size of an entry in each column.
fn largest_entries(x: Matrix<'_, f64>) -> Vec<f64> {
    let (n, d) = (x.nrows(), x.ncols());
    let blocks = parallel::map(n, sum_block(n, d), |_, rows| {
        let mut largest = vec![0.0_f64; d];
        match x {
            Matrix::Dense(x) => {
                for row in rows {
                    let entries = largest.iter_mut().zip(x.row(row));
                    entries.for_each(|(most, value)| *most = most.max(value.abs()));
                }
            }
            Matrix::Sparse(x) => {
                for row in rows {
                    let (columns, values) = sparse_row(&x, row);
                    let entries = columns.iter().zip(values);
                    entries.for_each(|(&c, value)| largest[c] = largest[c].max(value.abs()));
                }
            }
        }
        largest
    });
    let mut largest = vec![0.0_f64; d];
    for block in blocks {
        largest.iter_mut().zip(block).for_each(|(most, other)| *most = most.max(other));
    }
    largest
}
