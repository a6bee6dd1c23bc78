//! Two calibrators, one after the other.

use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::Result;

/// A calibrator that works on the outcome of another; made by [`Calibrator::then`].
///
/// The second is fitted on the scores as mapped by the first. To it they are scores of a model trained
/// by log loss on a fair sample: undoing sampler and loss is up to the first. It learns if either does.
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

    /// # Errors
    /// Those of the two.
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        let first = self.first.fit(held_out)?;
        let second = self.second.fit(&held_out.mapped(|z| first.calibrated_logit(z))?)?;
        Ok(FittedThen { first, second })
    }
}

/// A fitted [`Then`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FittedThen<A, B> {
    first: A,
    second: B,
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

impl<A: Calibrate, B: Calibrate> Calibrate for FittedThen<A, B> {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        self.second.probability(self.first.calibrated_logit(logit))
    }

    #[inline]
    fn calibrated_logit(&self, logit: f64) -> f64 {
        self.second.calibrated_logit(self.first.calibrated_logit(logit))
    }

    /// The report of the second if it learned, otherwise of the first. `before` in the second's are the
    /// probabilities of the first.
    fn report(&self) -> Option<&CalibrationReport> {
        self.second.report().or_else(|| self.first.report())
    }

    fn describe(&self) -> String {
        format!("{}; then {}", self.first.describe(), self.second.describe())
    }
}
