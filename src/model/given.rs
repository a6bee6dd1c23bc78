//! Scorers that come from elsewhere.

use std::fmt;

use super::Predict;
use crate::core::{Error, FeaturesView, Result, Row, same_length, saved_as_part, stored};
use crate::exec::parallel::{self, BLOCK};
use crate::numerics::logit;

/// A closure that gives the logit of a row: a model of your own, as the pilot of a sampler or to be
/// calibrated.
///
/// It must not return NaN; ±∞ are certain answers.
///
/// ```
/// use imbalance::Row;
/// use imbalance::model::{FnPredict, Predict};
///
/// let rule = FnPredict::new(2, |row: Row<'_>| 3.0 * row.get(0) - row.get(1) - 4.6);
/// assert_eq!(rule.logit((&[1.0, 0.0]).into())?, 3.0 - 4.6);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone)]
pub struct FnPredict<T> {
    columns: usize,
    function: T,
}

impl<T: Fn(Row<'_>) -> f64 + Send + Sync> FnPredict<T> {
    /// A scorer of rows of `columns` columns.
    pub fn new(columns: usize, function: T) -> Self {
        Self { columns, function }
    }
}

impl<T: Fn(Row<'_>) -> f64 + Send + Sync> Predict for FnPredict<T> {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        x.ensure_columns(self.columns)?;
        same_length("the output", out.len(), "the feature matrix", x.nrows())?;
        if let Some((row, column, value)) = x.first_non_finite() {
            let what = "the feature matrix".into();
            return Err(Error::NonFinite { what, row, column: Some(column), value });
        }
        let first_bad = parallel::map_into(out, 1, BLOCK, |_, rows, out| {
            for (row, out) in rows.clone().zip(&mut *out) {
                *out = (self.function)(x.row(row));
            }
            out.iter().position(|logit| logit.is_nan()).map(|row| rows.start + row)
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

impl<T> fmt::Debug for FnPredict<T> {
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
/// use imbalance::Features;
/// use imbalance::model::{GivenLogits, Predict};
/// use imbalance::ndarray::array;
///
/// let x = array![[0.5], [0.1]];
/// let scores = GivenLogits::from_probabilities(&[0.5, 0.0])?;
/// let mut out = [0.0; 2];
/// scores.logits_into(Features::from(&x).view(), &mut out)?;
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

impl Predict for GivenLogits {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        same_length("the given logits", self.logits.len(), "the feature matrix", x.nrows())?;
        same_length("the output", out.len(), "the feature matrix", x.nrows())?;
        out.copy_from_slice(&self.logits);
        Ok(())
    }

    fn logit(&self, row: Row<'_>) -> Result<f64> {
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

    saved_as_part!();
}

stored!(GivenLogits as "given_logits", |given| {
    logits: Vec<Number> = given.logits.iter().copied().map(Number).collect::<Vec<_>>(),
} => Self::new(logits.into_iter().map(|logit| logit.0).collect()));
