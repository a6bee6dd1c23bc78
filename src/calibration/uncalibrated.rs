//! The identity among the calibrators.

use super::{BuiltInMap, Calibration, CalibrationMap, CalibrationSet, Calibrator, TrainingContext};
use crate::core::{Result, saved_as_part, stored};

/// Undoes nothing: the probability is σ(z), right or wrong. It is its own map.
///
/// Right for log loss on an undistorted (or reweighted) sample, and wrong by the sampling factor after
/// an under-sampling that nothing else undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uncalibrated;

impl Calibrator for Uncalibrated {
    type Map = Self;

    fn needs_rows(&self) -> bool {
        false
    }

    fn fit(
        &self,
        _: &TrainingContext,
        _: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self>> {
        Ok(Calibration::new(*self))
    }

    saved_as_part!();
}

impl CalibrationMap for Uncalibrated {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        z
    }

    fn describe(&self) -> String {
        "none".into()
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some((*self).into())
    }

    saved_as_part!();
}

stored!(Uncalibrated as "uncalibrated", |_| {} => Ok(Self));
