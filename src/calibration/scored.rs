//! Scores with their labels: what calibrators learn from.

use std::borrow::Cow;

use super::{Training, map_into};
use crate::core::Distortion;
use crate::core::same_length;
use crate::core::{IntoColumn, check_weights};
use crate::exec::parallel;
use crate::exec::simd::{LANES, lanes, vectorised};
use crate::numerics::vector::Logits;
use crate::{ClassTotals, Error, Result};

/// Scores of rows with their labels, and the thread back to the population: under which loss and on
/// what sort of sample the model was trained, and whether these rows themselves are a fair sample.
///
/// Whether scores are logits or probabilities is said, never guessed. Rows are taken to be untouched
/// and the model to be trained by log loss on an undistorted sample, unless said otherwise.
///
/// ```
/// use imbalance::calibration::{Calibrate, Calibrator, PlattScaling, Scored};
///
/// let scored = Scored::from_probabilities(&[0.9, 0.6, 0.7, 0.2], &[true, false, true, false])?;
/// let map = PlattScaling::new().fit(&scored)?;
/// assert!(map.probability(2.0) > map.probability(-2.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scored<'a> {
    logits: Cow<'a, [f64]>,
    labels: Cow<'a, [bool]>,
    weights: Option<Cow<'a, [f64]>>,
    distortion: Distortion,
    training: Training,
}

impl<'a> Scored<'a> {
    /// Scores that are logits, in \[−∞, ∞\].
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], or [`Error::NonFinite`] for a NaN.
    pub fn from_logits(
        logits: impl IntoColumn<'a, f64>,
        labels: impl IntoColumn<'a, bool>,
    ) -> Result<Self> {
        let (logits, labels) = (logits.into_column(), labels.into_column());
        same_length("labels", labels.len(), "the scores", logits.len())?;
        if let Some(row) = parallel::position(&logits, |logit| logit.is_nan()) {
            return Err(no_logit("the scores", row));
        }
        Ok(Self {
            logits,
            labels,
            weights: None,
            distortion: Distortion::None,
            training: Training::default(),
        })
    }

    /// Scores that are probabilities, in \[0, 1\]; 0 and 1 become logits of ∓∞.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], or [`Error::InvalidArgument`] for a number outside \[0, 1\].
    pub fn from_probabilities(
        probabilities: impl IntoColumn<'a, f64>,
        labels: impl IntoColumn<'a, bool>,
    ) -> Result<Self> {
        Self::from_logits(logits_of(&probabilities.into_column())?, labels)
    }

    /// No rows, but the training they would have been scored by: enough for a calibrator that does not
    /// learn.
    #[must_use]
    pub fn no_rows(training: Training) -> Self {
        Self {
            logits: Cow::Borrowed(&[]),
            labels: Cow::Borrowed(&[]),
            weights: None,
            distortion: Distortion::None,
            training,
        }
    }

    /// The same scores with sample weights.
    ///
    /// # Errors
    /// As for [`Dataset::with_weights`](crate::Dataset::with_weights).
    pub fn with_weights(mut self, weights: impl IntoColumn<'a, f64>) -> Result<Self> {
        let weights = weights.into_column();
        check_weights(&weights, "the scores", self.rows())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// The same scores, of rows to which this was done since they left the population.
    #[must_use]
    pub fn with_distortion(mut self, distortion: Distortion) -> Self {
        self.distortion = distortion;
        self
    }

    /// The same scores, by a model trained in this way.
    #[must_use]
    pub fn with_training(mut self, training: Training) -> Self {
        self.training = training;
        self
    }

    /// The same rows with scores that undo the training: each logit mapped by `map`.
    pub(super) fn mapped(&self, map: impl Fn(f64) -> f64) -> Result<Scored<'_>> {
        let logits: Vec<f64> = self.logits.iter().map(|&logit| map(logit)).collect();
        let mut mapped =
            Scored::from_logits(logits, &self.labels[..])?.with_distortion(self.distortion.clone());
        mapped.weights = self.weights.as_deref().map(Cow::Borrowed);
        Ok(mapped)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The scores as logits.
    #[must_use]
    pub fn logits(&self) -> &[f64] {
        &self.logits
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }

    /// The sample weights, if there are any.
    #[must_use]
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// The weight of a row.
    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights().map_or(1.0, |weights| weights[row])
    }

    /// The weights of the rows from `first` on; 0 in lanes without a row.
    #[inline(always)]
    pub(super) fn weights_in_lanes(&self, first: usize) -> [f64; LANES] {
        match self.weights() {
            Some(weights) => lanes(&weights[first..], 0.0),
            None => {
                let rows = self.rows() - first;
                std::array::from_fn(|lane| if lane < rows { 1.0 } else { 0.0 })
            }
        }
    }

    /// How the model behind the scores was trained.
    #[must_use]
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// The scores of the given rows, in the given order, with what belongs to them.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Scored<'static>> {
        let pick = |column: &[f64]| -> Vec<f64> { rows.iter().map(|&row| column[row]).collect() };
        let labels: Vec<bool> = rows.iter().map(|&row| self.labels[row]).collect();
        let selected = Scored::from_logits(pick(&self.logits), labels)?
            .with_distortion(self.distortion.clone())
            .with_training(self.training.clone());
        match self.weights() {
            None => Ok(selected),
            Some(weights) => selected.with_weights(pick(weights)),
        }
    }

    /// Rows and weight of each class.
    #[must_use]
    pub fn totals(&self) -> ClassTotals {
        ClassTotals::of(&self.labels, self.weights())
    }

    /// Checks that a calibrator may learn from these rows: that there are some, of both classes, and
    /// that they are a fair sample of the population.
    ///
    /// # Errors
    /// [`Error::DistortedCalibration`], [`Error::NoRows`] or [`Error::OneClass`].
    pub fn need_fair_rows(&self, calibrator: &'static str) -> Result<()> {
        if !self.distortion.is_none() {
            let distortion = self.distortion.to_string();
            return Err(Error::DistortedCalibration { calibrator, distortion });
        }
        if self.labels.is_empty() {
            return Err(Error::NoRows { what: "the calibration data" });
        }
        self.totals().need_both(calibrator)
    }
}

/// The logits of probabilities, checked to be such.
fn logits_of(probabilities: &[f64]) -> Result<Vec<f64>> {
    let mut logits = vec![0.0; probabilities.len()];
    let bad = map_into(probabilities, &mut logits, |probabilities, logits| {
        vectorised(Logits { probabilities, logits });
    });
    bad.map_or(Ok(logits), |row| Err(no_probability(row, probabilities[row])))
}

/// The refusal of a score that is no logit.
pub(super) fn no_logit(what: &str, row: usize) -> Error {
    Error::NonFinite { what: what.into(), row, column: None, value: f64::NAN }
}

/// The refusal of a score that is no probability.
pub(super) fn no_probability(row: usize, value: f64) -> Error {
    Error::invalid("probabilities", format!("{value} at row {row}"), "between 0 and 1")
}
