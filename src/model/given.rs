//! Scorers that come from elsewhere.

use std::fmt;
use std::marker::PhantomData;

use ndarray::Axis;

use super::Predict;
use crate::core::same_length;
use crate::core::{FeaturesView, Scalar, sparse_row};
use crate::exec::parallel::{self, BLOCK};
use crate::numerics::logit;
use crate::{Error, Result, Row};

/// A closure that gives the logit of a row: a model of your own, as the pilot of a sampler or to be
/// calibrated.
///
/// The closure is given each row as a slice of all columns; a row of a sparse matrix is spread out for it,
/// once for each block of rows. It must not return NaN; ±∞ are certain answers.
///
/// ```
/// use imbalance::model::{FnPredict, Predict};
///
/// let rule = FnPredict::new(2, |row: &[f64]| 3.0 * row[0] - row[1] - 4.6);
/// assert_eq!(rule.logit((&[1.0, 0.0]).into())?, 3.0 - 4.6);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone)]
pub struct FnPredict<F, T> {
    columns: usize,
    function: T,
    feature: PhantomData<fn(F)>,
}

impl<F: Scalar, T: Fn(&[F]) -> f64 + Send + Sync> FnPredict<F, T> {
    /// A scorer of rows of `columns` columns.
    pub fn new(columns: usize, function: T) -> Self {
        Self { columns, function, feature: PhantomData }
    }

    /// The first row of `x` whose score is NaN, after writing all scores.
    fn score(&self, x: FeaturesView<'_, F>, out: &mut [f64]) -> Option<usize> {
        match x {
            FeaturesView::Dense(x) => {
                for (row, out) in x.axis_iter(Axis(0)).zip(out.iter_mut()) {
                    *out = match row.as_slice() {
                        Some(row) => (self.function)(row),
                        None => (self.function)(&row.to_vec()),
                    };
                }
            }
            FeaturesView::Sparse(x) => {
                let mut spread = vec![F::default(); self.columns];
                for (row, out) in out.iter_mut().enumerate() {
                    let (columns, values) = sparse_row(&x, row);
                    columns.iter().zip(values).for_each(|(&c, &value)| spread[c] = value);
                    *out = (self.function)(&spread);
                    columns.iter().for_each(|&c| spread[c] = F::default());
                }
            }
        }
        out.iter().position(|logit| logit.is_nan())
    }
}

impl<F: Scalar, T: Fn(&[F]) -> f64 + Send + Sync> Predict<F> for FnPredict<F, T> {
    fn logits_into(&self, x: FeaturesView<'_, F>, out: &mut [f64]) -> Result<()> {
        x.check_columns(self.columns)?;
        same_length("the output", out.len(), "the feature matrix", x.nrows())?;
        if let Some((row, column, value)) = x.first_non_finite() {
            let what = "the feature matrix".into();
            return Err(Error::NonFinite { what, row, column: Some(column), value });
        }
        let first_bad = parallel::map_into(out, 1, BLOCK, |_, rows, out| {
            self.score(x.slice(rows.clone()), out).map(|row| rows.start + row)
        });
        match first_bad.into_iter().flatten().next() {
            None => Ok(()),
            Some(row) => {
                let what = "the scores of the closure".into();
                Err(Error::NonFinite { what, row, column: None, value: f64::NAN })
            }
        }
    }
}

impl<F, T> fmt::Debug for FnPredict<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnPredict").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// Logits that were computed elsewhere, one for each row of one matrix, in its order.
///
/// They stand for those rows and no others: a matrix of another number of rows is refused, and so is a
/// single row. For rows that are selected or split, select the logits alike.
///
/// ```
/// use imbalance::FeaturesView;
/// use imbalance::model::{GivenLogits, Predict};
/// use imbalance::ndarray::array;
///
/// let x = array![[0.5], [0.1]];
/// let scores = GivenLogits::from_probabilities(&[0.5, 0.0])?;
/// let mut out = [0.0; 2];
/// scores.logits_into(FeaturesView::Dense(x.view()), &mut out)?;
/// assert_eq!(out, [0.0, f64::NEG_INFINITY]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GivenLogits {
    logits: Vec<f64>,
}

impl GivenLogits {
    /// These logits, in \[−∞, ∞\].
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a NaN.
    pub fn new(logits: Vec<f64>) -> Result<Self> {
        match logits.iter().position(|logit| logit.is_nan()) {
            None => Ok(Self { logits }),
            Some(row) => {
                let what = "the logits".into();
                Err(Error::NonFinite { what, row, column: None, value: f64::NAN })
            }
        }
    }

    /// The logits of these probabilities.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a number outside \[0, 1\].
    pub fn from_probabilities(probabilities: &[f64]) -> Result<Self> {
        if let Some(row) = probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
            let value = format!("{} at row {row}", probabilities[row]);
            return Err(Error::invalid("probabilities", value, "between 0 and 1"));
        }
        Ok(Self { logits: probabilities.iter().map(|&p| logit(p)).collect() })
    }
}

impl<F: Scalar> Predict<F> for GivenLogits {
    fn logits_into(&self, x: FeaturesView<'_, F>, out: &mut [f64]) -> Result<()> {
        same_length("the given logits", self.logits.len(), "the feature matrix", x.nrows())?;
        same_length("the output", out.len(), "the feature matrix", x.nrows())?;
        out.copy_from_slice(&self.logits);
        Ok(())
    }

    fn logit(&self, row: Row<'_, F>) -> Result<f64> {
        let _ = row;
        Err(Error::Unsupported {
            stage: "GivenLogits",
            what: "a single row".into(),
            remedy: "it cannot be told which of the rows it is; pass the whole matrix",
        })
    }

    fn describe(&self) -> String {
        format!("{} logits computed elsewhere", self.logits.len())
    }
}
