//! The line of log-odds on one score, held from falling, and the checks of the scores it is fitted to.

use super::CalibrationSet;
use super::report::{Parameter, Solution};
use crate::core::{Error, Result};
use crate::exec::parallel;
use crate::fit::{BoundedLogit, Features, LogitForm, Range};

/// log-odds = slope · score + intercept with slope ≥ 0, by maximum likelihood.
pub(super) struct MonotoneLine {
    pub(super) slope: f64,
    pub(super) intercept: f64,
    /// The parameters under the names given.
    pub(super) solution: Solution,
}

impl MonotoneLine {
    /// Fits a line on a function of the logits to targets that miss 0 and 1 by `target_offsets`, for negatives and
    /// positives.
    pub(super) fn fit(
        calibrator: &'static str,
        rows: &CalibrationSet<'_>,
        target_offsets: [f64; 2],
        names: [&str; 2],
        score: &impl Features,
        of: impl Fn(f64) -> f64,
    ) -> Result<Self> {
        if target_offsets == [0.0; 2] {
            ensure_overlap(calibrator, rows, of)?;
        }
        let form = LogitForm { target_offsets, ..LogitForm::RISING };
        let fit = BoundedLogit::fit(rows.sample(), form, score)?;
        let solution = Solution::of(&fit, &names);
        Ok(Self { slope: fit.coefficients[0], intercept: fit.intercept, solution })
    }
}

impl Solution {
    /// The coefficients, then the intercept if it has a name.
    pub(super) fn of(fit: &BoundedLogit, names: &[&str]) -> Self {
        let values = fit.coefficients.iter().chain([&fit.intercept]);
        let parameters = names.iter().zip(values).enumerate();
        let bounds = names.iter().zip(&fit.at_bound).filter(|(_, at_bound)| **at_bound);
        Self {
            parameters: parameters
                .map(|(j, (name, &value))| Parameter::new(*name, value, fit.standard_error(j)))
                .collect(),
            bounds: bounds.map(|(name, _)| format!("{name} = 0")).collect(),
            iterations: fit.iterations,
            falls: Vec::new(),
            clipped: 0,
        }
    }
}

/// Refuses scores that a threshold splits into those of the negatives and, above, those of the
/// positives: the likelihood rises without end as a map gets steeper. Scores that are all equal pass.
pub(super) fn ensure_overlap(
    calibrator: &'static str,
    rows: &CalibrationSet<'_>,
    of: impl Fn(f64) -> f64,
) -> Result<()> {
    let overlap = |[negatives, positives]: &[Range; 2]| positives.low < negatives.high;
    let ranges @ [negatives, positives] = rows.sample().class_ranges(of, overlap);
    if !overlap(&ranges) && positives.high > negatives.low {
        return Err(Error::SeparatedScores { calibrator, kind: "" });
    }
    Ok(())
}

/// Refuses scores that a threshold splits into those of one class and those of the other, whichever is above: a line
/// that may fall has no likeliest slope then. Scores that are all equal pass.
pub(super) fn ensure_overlap_both_ways(
    calibrator: &'static str,
    rows: &CalibrationSet<'_>,
) -> Result<()> {
    ensure_overlap(calibrator, rows, |z| z)?;
    let [negatives, positives] = rows.sample().class_ranges(|z| z, |_| false);
    if positives.high <= negatives.low && positives.low < negatives.high {
        return Err(Error::SeparatedScores { calibrator, kind: ", the wrong way round" });
    }
    Ok(())
}

/// Scores that differ from 0 or among each other by less than this have no slope in the range of `f64`.
const TINY: f64 = 1e-290;

/// Refuses infinite logits in rows with weight, naming the first, and logits too small to be told apart.
pub(super) fn ensure_finite(calibrator: &'static str, rows: &CalibrationSet<'_>) -> Result<()> {
    if parallel::position(rows.logits(), |logit| !logit.is_finite()).is_none() {
        return ensure_apart(rows);
    }
    let logits = rows.logits().iter().enumerate();
    let mut certain = logits.filter(|&(row, z)| z.is_infinite() && rows.weight(row) > 0.0);
    certain.next().map_or(Ok(()), |(row, &logit)| {
        let rows = 1 + certain.count();
        Err(Error::CertainScores { calibrator, rows, row, logit })
    })
}

/// Refuses logits that differ, from 0 or among each other, by too little for the slope of a map.
fn ensure_apart(rows: &CalibrationSet<'_>) -> Result<()> {
    let sizes = |[negatives, positives]: &[Range; 2]| {
        let Range { low, high } = negatives.with(*positives);
        [high - low, high.max(-low)]
    };
    let apart = |ranges: &[Range; 2]| sizes(ranges).iter().all(|&size| size >= TINY);
    let ranges = rows.sample().class_ranges(|z| z, apart);
    match sizes(&ranges)
        .into_iter()
        .find(|size| (f64::MIN_POSITIVE * f64::EPSILON..TINY).contains(size))
    {
        None => Ok(()),
        Some(value) => Err(Error::Numerical {
            what: "the largest difference of the scores".into(),
            value,
            remedy: "no slope within the range of f64 tells them apart: multiply them by a constant",
        }),
    }
}
