//! The identity among the samplers.

use super::{Resample, Sampler};
use crate::core::{Dataset, Result, Run, saved_as_part, stored};

/// Keeps every row as it is. Nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoSampling;

impl Sampler for NoSampling {
    fn resample(&self, _: &Dataset<'_>, _: &Run) -> Result<Resample> {
        Ok(Resample::identity())
    }

    fn name(&self) -> String {
        "no sampling".into()
    }

    saved_as_part!();
}

stored!(NoSampling as "no_sampling", |_| {} => Ok(Self));
