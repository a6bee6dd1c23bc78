//! Synthetic minority over-sampling.

use super::over::{
    TargetRatio, all_and, allocate_parents, ensure_neighbours, interpolated, rows_of, valid_k,
};
use super::{Resample, Sampler};
use crate::core::{Dataset, Result, Run, saved_as_part, stored};

const NAME: &str = "SMOTE";

/// SMOTE: makes new positives between each positive and its nearest positives (equations 3–6).
///
/// For a parent xᵢ and one of its k nearest positives xⱼ, by Euclidean distance (4),
///
/// x = xᵢ + λ(xⱼ − xᵢ), λ ~ U\[0, 1)
///
/// with one λ for the row (3, 5), so that x lies on the segment between the two, or with
/// [`per_element`](Self::per_element) one for each element (6: X + Λ ⊙ (X′ − X)), so that it lies in
/// their box.
///
/// * round(ratio · N₋) positives come out, the old ones included.
/// * Every positive is a parent equally often; where that does not come out even, a random subset
///   is once more. The partner is drawn anew for each row. New rows are in the order of their parents.
/// * A positive is never its own neighbour, but an equal row may be. Equally near ones are taken in
///   their order. Neighbours ignore weights; a new row has its parent's weight, offset and attributes.
/// * Scale the columns first: distances add them up as they are.
/// * `f32` stays `f32`. Sparse stays sparse, and a new row stores no column that neither end stores.
///
/// **Distortion.** New rows fill the space between the positives, so P(x | y) changes and no closed form
/// undoes that: [`FeatureDependent`](crate::Distortion::FeatureDependent), with ln(W₊′/W₊) from the
/// realised weights as the nominal shift.
///
/// Source: N. V. Chawla et al., *SMOTE: Synthetic Minority Over-sampling Technique*, JAIR 16, 2002.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::Smote;
///
/// let log = SyntheticClicks::new(5_000, 0.02)?.categorical(&[]).generate(7)?;
/// let data = &log.dataset;
/// let sampler = Smote::positives_per_negative(0.5)?.neighbours(5)?;
/// let sample = sampler.resample(data, &Run::seeded(7))?.apply(data)?;
/// let promised = (0.5 * data.totals().negatives as f64).round() as usize;
/// assert_eq!(sample.totals().positives, promised);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smote {
    target: TargetRatio,
    k: usize,
    per_element: bool,
}

impl Smote {
    /// Makes positives until there are `ratio` for each negative. With 5 neighbours, one λ for each row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless `ratio` is positive and finite.
    pub fn positives_per_negative(ratio: f64) -> Result<Self> {
        Ok(Self { target: TargetRatio::new(ratio)?, k: 5, per_element: false })
    }

    /// How many of the nearest positives may be the partner. Default: 5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `k` is zero.
    pub fn neighbours(mut self, k: usize) -> Result<Self> {
        self.k = valid_k("k", k)?;
        Ok(self)
    }

    /// Whether λ is drawn for each element (equation 6) instead of for each row. Default: no.
    #[must_use]
    pub fn per_element(mut self, per_element: bool) -> Self {
        self.per_element = per_element;
        self
    }
}

impl Sampler for Smote {
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass), or
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if there are more positives than the
    /// ratio asks for, or no more than neighbours.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        let missing = self.target.n_missing(NAME, data, &totals)?;
        if missing == 0 {
            return Ok(Resample::identity());
        }
        ensure_neighbours("k", self.k, totals.positives - 1, "other positives")?;
        let positives = rows_of(data.labels(), true);
        let parents = allocate_parents(&positives, missing, run.seed());
        let made = interpolated(data, parents, &positives, self.k, run)?;
        all_and(if self.per_element { made.per_element() } else { made }, NAME, data, &totals)
    }

    fn name(&self) -> String {
        NAME.into()
    }

    saved_as_part!();
}

stored!(Smote as "smote", |smote| {
    ratio: f64 = smote.target.ratio(),
    neighbours: usize = smote.k,
    per_element: bool = smote.per_element,
} => Self::positives_per_negative(ratio)
    .and_then(|smote| Ok(smote.neighbours(neighbours)?.per_element(per_element))));
