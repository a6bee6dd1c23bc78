//! The identity among the samplers.

use super::keyed::{Account, Draw, Keyed, KeyedBy};
use super::{Resample, Sampler};
use crate::core::{ClassTotals, Dataset, Distortion, Result, Rows, Run, saved_as_part, stored};

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
    fn pools(&self) -> usize {
        1
    }

    fn pools_of(&self, rows: &Rows<'_>) -> Result<Vec<(u16, f64)>> {
        Ok(vec![(0, 1.0); rows.len()])
    }

    fn needs_sizes(&self) -> bool {
        false
    }

    fn draws(&self, _: &[ClassTotals]) -> Result<Vec<Draw>> {
        Ok(vec![Draw::Each(1.0)])
    }

    fn account(&self, _: &ClassTotals, _: &ClassTotals) -> Result<Account> {
        Ok(Account { distortion: Distortion::None, weights: None, notes: Vec::new() })
    }
}

stored!(NoSampling as "no_sampling", |_| {} => Ok(Self));
