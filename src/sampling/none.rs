//! The identity among the samplers.

use super::keyed::{Account, Keyed, KeyedBy};
use super::{Resample, Sampler};
use crate::core::{ClassTotals, Dataset, Distortion, Result, Run, saved_as_part, stored};

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

    fn keyed(&self) -> Option<Keyed<'_>> {
        Some(Keyed(self))
    }

    saved_as_part!();
}

impl KeyedBy for NoSampling {
    fn account(&self, _: &ClassTotals, _: &ClassTotals) -> Result<Account> {
        Ok(Account { distortion: Distortion::None, weights: None, notes: Vec::new() })
    }
}

stored!(NoSampling as "no_sampling", |_| {} => Ok(Self));
