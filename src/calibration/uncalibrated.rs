//! The identity among the calibrators.

use super::{Calibrate, Calibrator, Scored};
use crate::Result;
use crate::numerics::sigmoid;

/// Undoes nothing: the probability is σ(z), right or wrong.
///
/// Right for log loss on an undistorted (or reweighted) sample, and wrong by the sampling factor after
/// an under-sampling that nothing else undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uncalibrated;

impl Calibrator for Uncalibrated {
    type Fitted = Self;

    fn learns(&self) -> bool {
        false
    }

    fn fit(&self, _: &Scored<'_>) -> Result<Self> {
        Ok(*self)
    }
}

impl Calibrate for Uncalibrated {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        sigmoid(logit)
    }

    /// The score itself, which 1 − p would round away from about 37 on.
    #[inline]
    fn calibrated_logit(&self, score: f64) -> f64 {
        score
    }

    fn describe(&self) -> String {
        "none".into()
    }
}
