//! Two calibrators, one after the other.

use super::report::Solution;
use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::{Error, Result};

/// A calibrator that works on the outcome of another; made by [`Calibrator::then`].
///
/// The second is fitted on the scores as mapped by the first. To it they are scores of a model trained
/// by log loss on a fair sample: undoing sampler and loss is up to the first. It learns if either does.
/// If both do, they learn from the **same rows**, so the second sees the first at its best: the more the
/// first bends, the less the second can tell what it will do on new rows.
///
/// [`FittedThen::report`](Calibrate::report) measures the whole chain, from the scores as they came; the
/// reports of the parts are those of [`first`](FittedThen::first) and [`second`](FittedThen::second).
///
/// A closed form followed by one that learns, such as `PriorCorrection::new().then(IsotonicRegression::new())`,
/// leaves to the second only what the first does not know: errors of the model itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Then<A, B> {
    first: A,
    second: B,
}

impl<A, B> Then<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Calibrator, B: Calibrator> Calibrator for Then<A, B> {
    type Fitted = FittedThen<A::Fitted, B::Fitted>;

    fn learns(&self) -> bool {
        self.first.learns() || self.second.learns()
    }

    fn undoes_training(&self) -> bool {
        self.first.undoes_training() || self.second.undoes_training()
    }

    /// # Errors
    /// Those of the two, and [`Error::Unsupported`] where the first maps a score to a certain answer, which
    /// the second cannot take: a line holds no infinite log-odds.
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        let first = self.first.fit(held_out)?;
        let mapped = held_out.mapped(|z| first.calibrated_logit(z))?;
        let second = self.second.fit(&mapped).map_err(|error| match error {
            Error::NonFinite { row, value, .. } if is_certain(held_out, row, value) => {
                let score = held_out.logits()[row];
                Error::Unsupported {
                    stage: "the second calibrator of a chain",
                    what: format!("{value}, which the first makes of the score {score} of row {row}"),
                    remedy: "the first takes some scores for certain answers; leave it out, or let a \
                             calibrator follow that takes certain scores, such as isotonic regression",
                }
            }
            error => error,
        })?;
        let mut fitted = FittedThen { first, second, report: None };
        // What learns was refused other rows; what does not is judged if the rows can tell.
        if held_out.need_fair_rows("Then").is_ok() {
            let solution = fitted.solution();
            let map = |z| fitted.calibrated_logit(z);
            fitted.report = Some(CalibrationReport::of_logits("Then", held_out, solution, &map));
        }
        Ok(fitted)
    }
}

/// Whether the first calibrator made a certain answer of a score that was none.
fn is_certain(scored: &Scored<'_>, row: usize, value: f64) -> bool {
    value.is_infinite() && scored.logits().get(row).is_some_and(|score| score.is_finite())
}

/// A fitted [`Then`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedThen<A, B> {
    first: A,
    second: B,
    report: Option<CalibrationReport>,
}

impl<A, B> FittedThen<A, B> {
    /// The map that comes first.
    pub fn first(&self) -> &A {
        &self.first
    }

    /// The map of its outcome.
    pub fn second(&self) -> &B {
        &self.second
    }
}

impl<A: Calibrate, B: Calibrate> FittedThen<A, B> {
    /// What both found: parameters and bounds with the place in the chain before their name.
    fn solution(&self) -> Solution {
        let mut both = Solution::default();
        for (place, report) in [("first", self.first.report()), ("second", self.second.report())] {
            let Some(report) = report else { continue };
            both.parameters.extend(report.parameters.iter().map(|parameter| {
                let mut parameter = parameter.clone();
                parameter.name = format!("{place} {}", parameter.name);
                parameter
            }));
            both.bounds.extend(report.bounds.iter().map(|bound| format!("{place} {bound}")));
            both.iterations += report.iterations;
        }
        both
    }
}

impl<A: Calibrate, B: Calibrate> Calibrate for FittedThen<A, B> {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        self.second.probability(self.first.calibrated_logit(logit))
    }

    #[inline]
    fn calibrated_logit(&self, logit: f64) -> f64 {
        self.second.calibrated_logit(self.first.calibrated_logit(logit))
    }

    /// The report of the chain, if the rows could tell. Iterations are those of both.
    fn report(&self) -> Option<&CalibrationReport> {
        self.report.as_ref()
    }

    fn describe(&self) -> String {
        format!("{}; then {}", self.first.describe(), self.second.describe())
    }
}
