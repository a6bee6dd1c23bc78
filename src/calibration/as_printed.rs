//! Formulas as they are printed in the sources although they are wrong: **not for use**, but to reproduce
//! results that were obtained with them.

use super::prior_correction::{ensure_not_corrected, valid_rate, valid_shift};
use super::report::Solution;
use super::{BuiltInMap, Calibration, CalibrationMap, CalibrationSet, Calibrator, TrainingContext};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::loss::Posterior;
use crate::numerics::logit;

/// Equation (15) as printed: ŷ · ȳ / (ȳ + (1 − ȳ)(1 − τ)/τ), with ŷ the model's probability, τ the
/// population's rate (printed with the index "real") and ȳ the sample's (index "train").
///
/// The factor is that of Bayes' rule for odds, but it multiplies the probability: it is right at no score but by
/// chance, and even a certain ŷ = 1 becomes τ at ȳ = ½.
///
/// The posterior of the loss comes first, as in [`PriorCorrection`](super::PriorCorrection), and a sampler that
/// chose rows by their features is refused.
///
/// ```
/// use imbalance::calibration::as_printed::LinearPriorScaling;
/// use imbalance::calibration::{Calibrator, TrainingContext};
///
/// let scaling = LinearPriorScaling::from_rates(0.01, 0.5)?.fit(&TrainingContext::default(), None)?;
/// assert!((scaling.probability(f64::INFINITY) - 0.01).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearPriorScaling {
    factor: f64,
}

impl LinearPriorScaling {
    /// Scaling from the population's rate τ and the sample's ȳ.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) unless both are strictly between 0 and 1.
    pub fn from_rates(population: f64, sample: f64) -> Result<Self> {
        let real = valid_rate("population", population)?;
        let train = valid_rate("sample", sample)?;
        Ok(Self { factor: train / (train + (1.0 - train) * (1.0 - real) / real) })
    }
}

const NAME: &str = "LinearPriorScaling";

impl Calibrator for LinearPriorScaling {
    type Map = LinearPriorMap;

    fn needs_rows(&self) -> bool {
        false
    }

    fn corrects_prior(&self) -> bool {
        true
    }

    fn is_rate_given(&self) -> bool {
        true
    }

    /// # Errors
    /// As for [`PriorCorrection`](super::PriorCorrection) with given rates.
    fn ensure_reversible(&self, training: &TrainingContext) -> Result<()> {
        ensure_not_corrected(training, NAME)?;
        valid_shift(training, NAME).map(|_| ())
    }

    /// # Errors
    /// As for [`PriorCorrection`](super::PriorCorrection) with given rates.
    fn fit(
        &self,
        training: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        self.ensure_reversible(training)?;
        let map = LinearPriorMap { posterior: training.posterior.clone(), factor: self.factor };
        Calibration::in_closed_form(NAME, map, Solution::default(), rows)
    }

    saved_as_part!();
}

/// The map of a [`LinearPriorScaling`].
#[derive(Debug, Clone, PartialEq)]
pub struct LinearPriorMap {
    posterior: Posterior,
    factor: f64,
}

fn valid_factor(factor: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&factor) {
        Ok(factor)
    } else {
        Err(Error::invalid("factor", factor, "from 0 to 1"))
    }
}

impl LinearPriorMap {
    /// The map that multiplies the probability of the posterior by a factor.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) unless 0 ≤ `factor` ≤ 1.
    pub fn new(posterior: Posterior, factor: f64) -> Result<Self> {
        Ok(Self { posterior, factor: valid_factor(factor)? })
    }

    /// The factor on the probabilities.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }
}

impl CalibrationMap for LinearPriorMap {
    fn logit(&self, z: f64) -> f64 {
        logit(self.probability(z))
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        self.factor * self.posterior.probability(z)
    }

    fn describe(&self) -> String {
        format!("linear prior scaling (15): {}, then × {:.6}", self.posterior, self.factor)
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some(self.clone().into())
    }

    saved_as_part!();
}

stored!(LinearPriorScaling as "linear_prior_scaling", |scaling| {
    factor: f64 = scaling.factor,
} => valid_factor(factor).map(|factor| Self { factor }));

stored!(LinearPriorMap as "linear_prior", |map| {
    posterior: Posterior = map.posterior,
    factor: f64 = map.factor,
} => Self::new(posterior, factor));
