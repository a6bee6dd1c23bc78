//! Samplers: which rows to learn from, and what choosing them distorts.

mod adasyn;
mod borderline_smote;
mod enn;
mod hard_negative;
mod kept;
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
}
