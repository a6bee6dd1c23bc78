//! The line of log-odds on one score, held from falling.

use super::CalibrationSet;
use super::columns::{Columns, Features, Targets};
use super::report::Solution;
use crate::exec::parallel;
use crate::{Error, Result};

/// log-odds = slope · score + intercept with slope ≥ 0, by maximum likelihood.
pub(super) struct RisingLine {
    pub(super) slope: f64,
    pub(super) intercept: f64,
    /// The parameters under the names given.
    pub(super) solution: Solution,
}

impl RisingLine {
    /// Fits a score made of the logits to targets that miss 0 and 1 by `misses`, for negatives and
    /// positives.
    pub(super) fn fit(
        calibrator: &'static str,
        scored: &CalibrationSet<'_>,
        misses: [f64; 2],
        names: [&str; 2],
        score: &impl Features<1>,
    ) -> Result<Self> {
        if misses == [0.0; 2] {
            ensure_overlap(calibrator, scored, |z| score.of(z)[0])?;
        }
        let fit = Columns::fit(scored, Targets { misses, intercept: true }, score)?;
        let bounds = if fit.held(0) { vec![format!("{} = 0", names[0])] } else { Vec::new() };
        let parameters = vec![fit.parameter(0, names[0]), fit.constant(names[1])];
        let solution = Solution { parameters, bounds, iterations: fit.iterations };
        Ok(Self { slope: fit.coefficients[0], intercept: fit.intercept, solution })
    }
}

/// Refuses scores that a threshold splits into those of the negatives and, above, those of the
/// positives: the likelihood rises without end as a map gets steeper. Scores that are all equal pass.
pub(super) fn ensure_overlap(
    calibrator: &'static str,
    scored: &CalibrationSet<'_>,
    of: impl Fn(f64) -> f64,
) -> Result<()> {
    let (mut negatives, mut positives) = (Extent::NONE, Extent::NONE);
    for (row, (&z, &label)) in scored.logits().iter().zip(scored.labels()).enumerate() {
        if scored.weight(row) > 0.0 {
            let class = if label { &mut positives } else { &mut negatives };
            class.add(of(z));
            if positives.least < negatives.most {
                return Ok(());
            }
        }
    }
    if positives.most > negatives.least {
        return Err(Error::SeparatedScores { calibrator, kind: "" });
    }
    Ok(())
}

/// The range of some scores.
struct Extent {
    least: f64,
    most: f64,
}

impl Extent {
    const NONE: Self = Self { least: f64::INFINITY, most: f64::NEG_INFINITY };

    fn add(&mut self, score: f64) {
        self.least = self.least.min(score);
        self.most = self.most.max(score);
    }
}

/// The first row with weight whose logit is infinite, as an error.
pub(super) fn ensure_finite(rows: &CalibrationSet<'_>) -> Result<()> {
    if parallel::position(rows.logits(), |logit| !logit.is_finite()).is_none() {
        return Ok(());
    }
    let mut logits = rows.logits().iter().enumerate();
    match logits.find(|&(row, logit)| !logit.is_finite() && rows.weight(row) > 0.0) {
        None => Ok(()),
        Some((row, &value)) => {
            Err(Error::NonFinite { what: "the scores".into(), row, column: None, value })
        }
    }
}
