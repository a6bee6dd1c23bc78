//! Temperature scaling.

use super::apply::Line;
use super::beta::ensure_overlap_at_half;
use super::monotone_line::{MonotoneLine, ensure_finite};
use super::report::{Solution, says_nothing};
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator, Scale,
    TrainingContext,
};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::fit::{BoundedLogit, Logit, LogitForm};
use crate::numerics::vector::sigmoid;

/// Temperature scaling: p = σ(z/T), or softmax(z/T) over classes, with T > 0 minimising the negative
/// log-likelihood (equation 18).
///
/// Solved in s = 1/T ≥ 0, in which the problem is convex: Newton's method, to the optimum. T = ∞ (the
/// bound s = 0, all classes alike) is reported as a bound: scores rank the wrong way round then.
/// Where every row's label has the highest logit, the likelihood rises without end as T → 0, and the
/// fit is refused ([`SeparatedScores`](crate::Error::SeparatedScores)).
///
/// **T alone moves the mean of rare events**, as it pulls every probability towards ½ or away from it: Σp is
/// not Σy, and the report's predicted / observed says how far off it is.
/// [`bias_corrected`](Self::bias_corrected) adds an offset per class, softmax(z/T + b), and restores the
/// share of every class. With two classes that is Platt's line with plain targets. For more classes there is
/// [`fit_classes`](Self::fit_classes), see [`multiclass`](super::multiclass).
///
/// It learns from representative rows ([`CalibrationSet::representative`]). Logits of ±∞ are refused in
/// learning.
///
/// Sources: C. Guo et al., *On calibration of modern neural networks*, ICML 2017; bias correction:
/// A. Alexandari, A. Kundaje and A. Shrikumar, *Maximum likelihood with bias-corrected calibration is
/// hard-to-beat at label shift adaptation*, ICML 2020.
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, TemperatureScaling};
///
/// // Three in four are right where nine in ten are promised: σ(ln 9/T) = 3/4 at T = 2.
/// let logits = [9_f64.ln(); 4];
/// let set = CalibrationSet::from_logits(&logits, &[true, true, true, false])?;
/// let map = TemperatureScaling::new().learn(&set)?;
/// assert!((map.temperature() - 2.0).abs() < 1e-9);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TemperatureScaling {
    pub(super) bias_corrected: bool,
}

impl TemperatureScaling {
    /// A temperature alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is an offset per class beside the temperature. Default: false.
    #[must_use]
    pub fn bias_corrected(self, bias_corrected: bool) -> Self {
        Self { bias_corrected }
    }
}

const NAME: &str = "TemperatureScaling";

impl Calibrator for TemperatureScaling {
    type Map = TemperatureMap;

    fn needs_rows(&self) -> bool {
        true
    }

    fn needs_finite_scores(&self) -> bool {
        true
    }

    /// # Errors
    /// - As for [`CalibrationSet::representative`].
    /// - [`CertainScores`](crate::Error::CertainScores) for an infinite logit in a row with weight.
    /// - [`SeparatedScores`](crate::Error::SeparatedScores) if the likelihood rises without end as T → 0.
    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        let rows = CalibrationSet::representative(rows, NAME)?;
        ensure_finite(NAME, rows)?;
        let (line, solution) = if self.bias_corrected {
            let line = MonotoneLine::fit(NAME, rows, [0.0; 2], ["1/T", "b"], &Logit, |z| z)?;
            (Line { slope: line.slope, intercept: line.intercept }, line.solution)
        } else {
            ensure_overlap_at_half(NAME, rows)?;
            let form = LogitForm { intercept: false, ..LogitForm::RISING };
            let fit = BoundedLogit::fit(rows.sample(), form, &Logit)?;
            let line = Line { slope: fit.coefficients[0], intercept: 0.0 };
            (line, Solution::of(&fit, &["1/T"]))
        };
        let report = CalibrationReport::of_logits(NAME, rows, solution, move |z| line.at(z))?;
        Ok(Calibration::learned(TemperatureMap { line }, report))
    }

    saved_as_part!();
}

/// The map of a [`TemperatureScaling`] of two classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemperatureMap {
    /// Of slope 1/T.
    line: Line,
}

impl TemperatureMap {
    /// The map σ(z/T + b).
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, TemperatureMap};
    ///
    /// let calibration = Calibration::new(TemperatureMap::new(2.0, 0.0)?);
    /// assert_eq!(calibration.logit(3.0), 1.5);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless T is positive and b is finite. T = ∞ is the constant σ(b).
    pub fn new(temperature: f64, offset: f64) -> Result<Self> {
        if !(temperature > 0.0 && (1.0 / temperature).is_finite()) {
            return Err(Error::invalid("temperature", temperature, "positive"));
        }
        Ok(Self { line: Line::rising(1.0 / temperature, offset)? })
    }

    /// T; ∞ if the optimum lies at that bound.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        1.0 / self.line.slope
    }

    /// The offset of the positive class; 0 without bias correction.
    #[must_use]
    pub fn offset(&self) -> f64 {
        self.line.intercept
    }
}

impl CalibrationMap for TemperatureMap {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        self.line.at(z)
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        sigmoid(self.logit(z))
    }

    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        self.line.apply(scale, scores);
    }

    fn describe(&self) -> String {
        if self.line.slope == 0.0 {
            return format!("temperature scaling: {}", says_nothing(self.line.intercept));
        }
        format!("temperature scaling: σ(z/{:.4} {:+.4})", self.temperature(), self.offset())
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some((*self).into())
    }

    saved_as_part!();
}

stored!(TemperatureScaling as "temperature_scaling", |scaling| {
    bias_corrected: bool = scaling.bias_corrected,
} => Ok(Self { bias_corrected }));

stored!(TemperatureMap as "temperature", |map| {
    slope: f64 = map.line.slope,
    offset: f64 = map.line.intercept,
} => Line::rising(slope, offset).map(|line| Self { line }));
