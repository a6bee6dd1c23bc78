//! Temperature scaling.

use super::beta::{need_overlap_at_half, one_sided};
use super::columns::{Columns, Logit, Targets};
use super::log_odds::{Line, LogOdds};
use super::rising::{RisingLine, need_finite};
use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::Result;
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
/// share of every class. With two classes that is Platt's line with plain targets.
/// [`fit_classes`](Self::fit_classes) is the form for K classes.
///
/// It learns, from a fair sample ([`Scored::need_fair_rows`]). Logits of ±∞ are refused in learning.
///
/// Sources: Guo et al. 2017; bias correction: Alexandari, Kundaje & Shrikumar 2020.
///
/// ```
/// use imbalance::calibration::{Calibrate, Calibrator, Scored, TemperatureScaling};
///
/// // Three in four are right where nine in ten are promised: σ(ln 9/T) = 3/4 at T = 2.
/// let logits = [9_f64.ln(); 4];
/// let scored = Scored::from_logits(&logits, &[true, true, true, false])?;
/// let map = TemperatureScaling::new().fit(&scored)?;
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
        Self { bias_corrected: false }
    }

    /// A temperature and an offset per class.
    #[must_use]
    pub fn bias_corrected(self) -> Self {
        Self { bias_corrected: true }
    }
}

impl Calibrator for TemperatureScaling {
    type Fitted = FittedTemperatureScaling;

    fn learns(&self) -> bool {
        true
    }

    /// # Errors
    /// - As for [`Scored::need_fair_rows`].
    /// - [`NonFinite`](crate::Error::NonFinite) for an infinite logit in a row with weight.
    /// - [`SeparatedScores`](crate::Error::SeparatedScores) if the likelihood rises without end as T → 0.
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        const NAME: &str = "TemperatureScaling";
        held_out.need_fair_rows(NAME)?;
        need_finite(held_out)?;
        let (map, solution) = if self.bias_corrected {
            let line = RisingLine::fit(NAME, held_out, [0.0; 2], ["1/T", "b"], &Logit)?;
            (Line { slope: line.slope, intercept: line.intercept }, line.solution)
        } else {
            need_overlap_at_half(NAME, held_out)?;
            let fit = Columns::fit(held_out, Targets::plain(false), &Logit)?;
            (Line { slope: fit.coefficients[0], intercept: 0.0 }, one_sided(&fit, "1/T"))
        };
        let report = CalibrationReport::of_logits(NAME, held_out, solution, &map);
        Ok(FittedTemperatureScaling { map, report })
    }
}

/// A fitted [`TemperatureScaling`] of two classes.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedTemperatureScaling {
    /// 1/T and the offset.
    map: Line,
    report: CalibrationReport,
}

impl FittedTemperatureScaling {
    /// T; ∞ if the optimum lies at that bound.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        1.0 / self.map.slope
    }

    /// The offset of the positive class; 0 without bias correction.
    #[must_use]
    pub fn offset(&self) -> f64 {
        self.map.intercept
    }
}

impl Calibrate for FittedTemperatureScaling {
    #[inline(always)]
    fn probability(&self, logit: f64) -> f64 {
        sigmoid(self.map.logit(logit))
    }

    #[inline(always)]
    fn calibrated_logit(&self, score: f64) -> f64 {
        self.map.logit(score)
    }

    fn report(&self) -> Option<&CalibrationReport> {
        Some(&self.report)
    }

    fn describe(&self) -> String {
        format!("temperature scaling: σ(z/{:.4} {:+.4})", self.temperature(), self.map.intercept)
    }
}
