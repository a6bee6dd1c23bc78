//! Scores with their labels: what calibrators learn from.

use std::borrow::Cow;

use super::apply::to_logits;
use crate::core::{
    ClassTotals, Distortion, Error, IntoColumn, Meter, Result, Run, ensure_weights, same_length,
};
use crate::exec::parallel::{self, BLOCK, position_in};
use crate::exec::simd::{LANES, lanes};
use crate::fit::Sample;

/// Scores of rows with their labels, weights, and what was done to the rows since they left the population.
///
/// Whether scores are logits or probabilities is said, never guessed. Rows are taken to be untouched, unless
/// said otherwise. How the model behind the scores was trained is not here but in
/// [`TrainingContext`](super::TrainingContext).
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, PlattScaling};
///
/// let set = CalibrationSet::from_probabilities(&[0.9, 0.6, 0.7, 0.2], &[true, false, true, false])?;
/// let calibration = PlattScaling::new().learn(&set)?;
/// assert!(calibration.probability(2.0) > calibration.probability(-2.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CalibrationSet<'a> {
    logits: Cow<'a, [f64]>,
    labels: Cow<'a, [bool]>,
    weights: Option<Cow<'a, [f64]>>,
    distortion: Distortion,
    run: Run,
}

impl<'a> CalibrationSet<'a> {
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
        let (distortion, run) = (Distortion::None, Run::default());
        Ok(Self { logits, labels, weights: None, distortion, run })
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

    /// These scores with sample weights.
    ///
    /// # Errors
    /// As for [`Dataset::with_weights`](crate::Dataset::with_weights).
    pub fn with_weights(mut self, weights: impl IntoColumn<'a, f64>) -> Result<Self> {
        let weights = weights.into_column();
        ensure_weights(&weights, "the scores", self.rows())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// These scores, of rows to which this was done since they left the population.
    #[must_use]
    pub fn with_distortion(mut self, distortion: Distortion) -> Self {
        self.distortion = distortion;
        self
    }

    /// These scores in a run, whose observer hears of the passes over them and may stop the fit with
    /// [`Error::Cancelled`]. A pipeline passes its own on. Default: no observer.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use imbalance::calibration::{CalibrationSet, Calibrator, PlattScaling};
    /// use imbalance::{Error, Run};
    ///
    /// let run = Run::default().observed(|progress| {
    ///     eprintln!("{progress}");
    ///     ControlFlow::Break(())
    /// });
    /// let set = CalibrationSet::from_logits(&[-1.0, 0.0, 2.0], &[false, true, true])?.with_run(&run);
    /// assert!(matches!(PlattScaling::new().learn(&set), Err(Error::Cancelled { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn with_run(mut self, run: &Run) -> Self {
        self.run = run.clone();
        self
    }

    /// The run, for [`Run::report`] in a calibrator of your own.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// A task of so many passes over the rows.
    pub(super) fn meter(&self, task: &'static str, passes: usize) -> Meter<'_> {
        Meter::new(&self.run, task, "rows", passes * self.rows())
    }

    /// These rows with each logit replaced by its image under `map`.
    pub(super) fn mapped(&self, map: impl Fn(f64) -> f64 + Sync) -> Result<CalibrationSet<'_>> {
        let meter = self.meter("scores of the chain", 1);
        let mut logits = self.logits.to_vec();
        parallel::map_into(&mut logits, 1, BLOCK, |_, rows, logits| {
            if meter.goes_on(rows.len()) {
                logits.iter_mut().for_each(|logit| *logit = map(*logit));
            }
        });
        meter.finish()?;
        let mut mapped = CalibrationSet::from_logits(logits, &self.labels[..])?
            .with_distortion(self.distortion.clone())
            .with_run(&self.run);
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

    /// Scores, labels and weights alone.
    pub(super) fn sample(&self) -> Sample<'_> {
        let Self { logits, labels, run, .. } = self;
        Sample { scores: logits, labels, weights: self.weights(), run }
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

    /// The scores of the given rows, in the given order, with what belongs to them.
    pub(super) fn select(&self, rows: &[usize]) -> Result<CalibrationSet<'static>> {
        let pick = |column: &[f64]| -> Vec<f64> { rows.iter().map(|&row| column[row]).collect() };
        let labels: Vec<bool> = rows.iter().map(|&row| self.labels[row]).collect();
        let selected = CalibrationSet::from_logits(pick(&self.logits), labels)?
            .with_distortion(self.distortion.clone())
            .with_run(&self.run);
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

    /// The rows that a calibrator may learn from: that there are some, of both classes, and that they are
    /// representative of the population. The check for [`Calibrator::fit`](super::Calibrator::fit).
    ///
    /// # Errors
    /// [`Error::NoRows`], or as for [`ensure_representative`](Self::ensure_representative).
    pub fn representative<'s>(
        rows: Option<&'s Self>,
        calibrator: &'static str,
    ) -> Result<&'s Self> {
        let rows = rows.ok_or(Error::NoRows { what: "the calibration data" })?;
        rows.ensure_representative(calibrator).map(|()| rows)
    }

    /// Checks that these rows hold both classes and are representative of the population.
    ///
    /// # Errors
    /// [`Error::DistortedCalibration`], [`Error::NoRows`] or [`Error::OneClass`].
    pub fn ensure_representative(&self, calibrator: &'static str) -> Result<()> {
        if !self.distortion.is_none() {
            let distortion = self.distortion.to_string();
            return Err(Error::DistortedCalibration { calibrator, distortion });
        }
        if self.labels.is_empty() {
            return Err(Error::NoRows { what: "the calibration data" });
        }
        self.totals().ensure_both(calibrator)
    }
}

/// The logits of probabilities, checked to be in \[0, 1\].
fn logits_of(probabilities: &[f64]) -> Result<Vec<f64>> {
    let mut logits = probabilities.to_vec();
    let wrong = parallel::map_into(&mut logits, 1, BLOCK, |_, rows, logits| {
        to_logits(logits);
        position_in(logits, |logit| logit.is_nan()).map(|row| rows.start + row)
    });
    match wrong.into_iter().flatten().next() {
        None => Ok(logits),
        Some(row) => Err(not_in_unit(row, probabilities[row])),
    }
}

/// The refusal of a NaN in place of a logit.
pub(super) fn no_logit(what: &str, row: usize) -> Error {
    Error::NonFinite { what: what.into(), row, column: None, value: f64::NAN }
}

/// The refusal of a number outside \[0, 1\] in place of a probability.
pub(super) fn not_in_unit(row: usize, value: f64) -> Error {
    Error::invalid("probabilities", format!("{value} at row {row}"), "between 0 and 1")
}
