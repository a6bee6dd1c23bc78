//! The identity among the samplers.

use super::{Resample, Sampler};
use crate::core::Scalar;
use crate::{Dataset, Result, Run};

/// Keeps every row as it is. Nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoSampling;

impl<F: Scalar> Sampler<F> for NoSampling {
    fn resample(&self, _: &Dataset<'_, F>, _: &Run) -> Result<Resample<F>> {
        Ok(Resample::identity())
    }

    fn reads_features(&self) -> bool {
        false
    }
}
