//! The line of log-odds on one score, held from falling.

use super::Scored;
use super::report::{Parameter, Solution};
use crate::metrics::fit_line;
use crate::{Error, Result};

/// log-odds = slope · score + intercept with slope ≥ 0, by maximum likelihood.
pub(super) struct RisingLine {
    pub(super) slope: f64,
    pub(super) intercept: f64,
    slope_error: Option<f64>,
    intercept_error: f64,
    iterations: usize,
}

impl RisingLine {
    /// Fits targets for negatives and positives.
    ///
    /// The likelihood is concave, so where the free line falls, the best one that does not is flat.
    pub(super) fn fit(scores: &[f64], rows: &Scored<'_>, targets: [f64; 2]) -> Result<Self> {
        let target = |row: usize| targets[usize::from(rows.labels()[row])];
        match fit_line(scores, target, rows.weights()) {
            Ok(line) if line.slope > 0.0 => Ok(Self {
                slope: line.slope,
                intercept: line.intercept,
                slope_error: Some(line.covariance[1][1].sqrt()),
                intercept_error: line.covariance[0][0].sqrt(),
                iterations: line.iterations,
            }),
            // A falling line, or equal scores.
            Ok(_) | Err(Error::InvalidArgument { argument: "scores", .. }) => {
                Ok(Self::flat(rows, targets))
            }
            Err(Error::Separation { .. }) if !separated(scores, rows) => {
                Ok(Self::flat(rows, targets))
            }
            Err(error) => Err(error),
        }
    }

    /// The line of slope 0, at the mean target.
    fn flat(rows: &Scored<'_>, targets: [f64; 2]) -> Self {
        let totals = rows.totals();
        let (negatives, positives) = (totals.negative_weight, totals.positive_weight);
        let up = positives * targets[1] + negatives * targets[0];
        let down = positives * (1.0 - targets[1]) + negatives * (1.0 - targets[0]);
        Self {
            slope: 0.0,
            intercept: up.ln() - down.ln(),
            slope_error: None,
            intercept_error: (1.0 / up + 1.0 / down).sqrt(),
            iterations: 0,
        }
    }

    pub(super) fn solution(&self, slope: &str, intercept: &str) -> Solution {
        let flat = self.slope_error.is_none();
        Solution {
            parameters: vec![
                Parameter::new(slope, self.slope, self.slope_error),
                Parameter::new(intercept, self.intercept, Some(self.intercept_error)),
            ],
            bounds: if flat { vec![format!("{slope} = 0")] } else { Vec::new() },
            iterations: self.iterations,
        }
    }
}

/// Whether no positive has a lower score than a negative, so that the likelihood rises without end as
/// a map gets steeper. Rows without weight are absent.
pub(super) fn separated(scores: &[f64], rows: &Scored<'_>) -> bool {
    let (mut least_positive, mut most_negative) = (f64::INFINITY, f64::NEG_INFINITY);
    for (row, &score) in scores.iter().enumerate() {
        if rows.weight(row) > 0.0 {
            if rows.labels()[row] {
                least_positive = least_positive.min(score);
            } else {
                most_negative = most_negative.max(score);
            }
        }
    }
    least_positive >= most_negative
}

/// The first row with weight whose logit is infinite, as an error.
pub(super) fn need_finite(rows: &Scored<'_>) -> Result<()> {
    let mut logits = rows.logits().iter().enumerate();
    match logits.find(|&(row, logit)| !logit.is_finite() && rows.weight(row) > 0.0) {
        None => Ok(()),
        Some((row, &value)) => {
            Err(Error::NonFinite { what: "the scores".into(), row, column: None, value })
        }
    }
}

/// A term of log-odds, which is none where its coefficient is 0: there 0 · ∞ would be NaN.
#[inline]
pub(super) fn times(coefficient: f64, score: f64) -> f64 {
    if coefficient == 0.0 && !score.is_nan() { 0.0 } else { coefficient * score }
}
