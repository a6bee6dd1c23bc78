//! Samplers: which rows to learn from, and what choosing them distorts.

mod adasyn;
mod borderline_smote;
mod enn;
mod hard_negative;
mod kept;
mod keyed;
mod local_case_control;
mod near_miss;
mod neighbourhood_cleaning;
mod none;
mod over;
mod pilot;
mod random_over;
mod random_under;
mod resample;
mod rule;
mod rule_sampler;
mod smote;
mod smote_nc;
mod synthetic;
mod then;
mod tomek;
mod under;

use std::fmt::Debug;

pub use adasyn::Adasyn;
pub use borderline_smote::{BorderlineRegions, BorderlineSmote};
pub use enn::{EditedNearestNeighbours, VotingRule};
pub use hard_negative::{HardNegativeMining, HardnessBand, PoissonHardNegatives};
pub(crate) use keyed::HeldOut;
pub use keyed::{Keyed, KeyedSample, KeyedSampling, RowKey};
pub use local_case_control::LocalCaseControl;
pub use near_miss::{NearMiss, NearMissVersion};
pub use neighbourhood_cleaning::NeighbourhoodCleaning;
pub use none::NoSampling;
pub use pilot::Pilot;
pub(crate) use pilot::PilotModel;
pub use random_over::RandomOverSampler;
pub use random_under::{DrawMode, RandomUnderSampler};
pub use resample::{Inclusion, Resample, Rows};
pub use rule::{NumberColumn, Rule, RuleRow, TextColumn};
pub use rule_sampler::{PoissonRuleSampler, RuleSampler};
pub use smote::Smote;
pub use smote_nc::SmoteNc;
pub use synthetic::Synthetic;
pub use then::Then;
pub use tomek::TomekLinks;

use crate::core::{Dataset, Result, Run};
#[cfg(feature = "serde")]
use crate::saved::Part;

/// Chooses, repeats or makes rows, and says what that did to the odds.
///
/// An implementation reports its [`Distortion`](crate::Distortion) from what really happened (realised, weighted
/// counts), draws only from the seed of `run`, and gives the same rows for any number of threads.
pub trait Sampler: Debug + Send + Sync {
    /// Resamples the rows.
    ///
    /// # Errors
    /// Depends on the sampler; all need both classes.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample>;

    /// The name of the method in the literature, for reports, distortions and errors. Default: the text of
    /// [`Debug`].
    fn name(&self) -> String {
        format!("{self:?}")
    }

    /// How this sampler decides about each row of a log by itself, for [`KeyedSampling`]. Default: it cannot, it needs all
    /// rows at once.
    fn keyed(&self) -> Option<Keyed<'_>> {
        None
    }

    /// How this sampler is saved. Default: it cannot be.
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        None
    }

    /// This sampler, then another on the rows that result.
    ///
    /// ```
    /// use imbalance::prelude::*;
    /// use imbalance::sampling::{Rule, RuleSampler};
    ///
    /// let log = SyntheticClicks::new(20_000, 0.02)?.generate(7)?;
    /// let recent = RuleSampler::filter(Rule::number("last_active_days").at_most(7.0))?;
    /// let sampler = recent.then(RandomUnderSampler::negatives_per_positive(5.0)?);
    ///
    /// // Provenance, weights and distortion are those of both.
    /// let sample = sampler.resample(&log.dataset, &Run::seeded(7))?.apply(&log.dataset)?;
    /// assert_eq!(sample.totals().negatives, 5 * sample.totals().positives);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    fn then<B: Sampler>(self, second: B) -> Then<Self, B>
    where
        Self: Sized,
    {
        Then::new(self, second)
    }
}

impl<S: Sampler + ?Sized> Sampler for Box<S> {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        (**self).resample(data, run)
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn keyed(&self) -> Option<Keyed<'_>> {
        (**self).keyed()
    }

    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        (**self).saved()
    }
}

#[cfg(feature = "serde")]
crate::saved::stage!(Sampler, Box<dyn Sampler>, "sampler", |sampler| Box::new(sampler) as _, [
    NoSampling,
    RandomUnderSampler,
    HardNegativeMining,
    PoissonHardNegatives,
    LocalCaseControl,
    RuleSampler,
    PoissonRuleSampler,
    RandomOverSampler,
    Smote,
    BorderlineSmote,
    Adasyn,
    SmoteNc,
    TomekLinks,
    EditedNearestNeighbours,
    NeighbourhoodCleaning,
    NearMiss,
    Then<Box<dyn Sampler>, Box<dyn Sampler>>,
]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::assert_observed;
    use ndarray::Array2;
    use sprs::CsMat;

    #[test]
    fn samplers_that_search_neighbours_are_observed_and_can_be_stopped() -> Result<()> {
        let labels: Vec<bool> = (0..3_000).map(|row| row % 8 < 3).collect();
        let enn = EditedNearestNeighbours::new(3)?.vote(VotingRule::Mode);
        let near = || NearMiss::negatives_per_positive(1.0);
        let samplers: [Box<dyn Sampler>; 13] = [
            Box::new(Smote::positives_per_negative(1.0)?),
            Box::new(BorderlineSmote::borderline1(1.0)?),
            Box::new(BorderlineSmote::borderline2(1.0)?),
            Box::new(Adasyn::positives_per_negative(1.0)?),
            Box::new(SmoteNc::positives_per_negative(1.0, [0])?),
            Box::new(TomekLinks::new()),
            Box::new(enn),
            Box::new(enn.repeated(3)?),
            Box::new(enn.all_knn(true)),
            Box::new(NeighbourhoodCleaning::new(3)?),
            Box::new(near()?),
            Box::new(near()?.version(NearMissVersion::FarthestPositives)),
            Box::new(near()?.version(NearMissVersion::AroundPositives)),
        ];
        for columns in [3, 12] {
            let x = Array2::from_shape_fn((3_000, columns), |(row, column)| {
                ((row * (column + 3) * 7919) % 1009) as f64 + f64::from(u8::from(row % 8 < 3))
            });
            let sparse = CsMat::csr_from_dense(x.view(), 0.0);
            let (dense, sparse) = (Dataset::new(&x, &labels)?, Dataset::new(&sparse, &labels)?);
            for sampler in &samplers {
                let resample = |run: &Run| sampler.resample(&dense, run).map(drop);
                assert_observed(&format!("{}, dense", sampler.name()), resample);
                if sampler.name() != "SMOTE-NC" {
                    let resample = |run: &Run| sampler.resample(&sparse, run).map(drop);
                    assert_observed(&format!("{}, sparse", sampler.name()), resample);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn samplers_by_rules_are_observed_and_can_be_stopped() -> Result<()> {
        let log = crate::data::SyntheticClicks::new(20_000, 0.05)?.generate(1)?;
        let recent = || Rule::number("last_active_days").at_most(7.0);
        let samplers: [Box<dyn Sampler>; 4] = [
            Box::new(RuleSampler::filter(recent())?),
            Box::new(RuleSampler::shares([(recent(), 0.5)], 0.1)?),
            Box::new(RuleSampler::priorities([(recent(), 3.0)], 0.2)?),
            Box::new(PoissonRuleSampler::new([(recent(), 0.5)], 0.1)?.reweight(true)),
        ];
        for sampler in &samplers {
            assert_observed(&sampler.name(), |run| sampler.resample(&log.dataset, run).map(drop));
        }
        Ok(())
    }
}
