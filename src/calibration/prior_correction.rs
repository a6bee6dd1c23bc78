//! The closed-form correction of sampling and loss.

use super::apply::finite;
use super::report::Solution;
use super::{BuiltInMap, Calibration, CalibrationMap, CalibrationSet, Calibrator, TrainingContext};
use crate::core::{Distortion, Error, Result, saved_as_part, stored};
use crate::loss::Posterior;
use crate::model::ShiftLogits;
use crate::numerics::logit;

/// Undoes the loss, then the sampling, by Bayes' rule; learns nothing and needs no rows.
///
/// 1. The posterior of the loss ([`Posterior`]) maps the logit to log-odds in the rows trained on: the identity
///    for log loss.
/// 2. The prior shift is subtracted: z − ln\[((1 − τ)/τ)(ȳ/(1 − ȳ))\], with τ the
///    population's rate and ȳ the sample's. As a probability this is
///    p / (p + (1 − p)·((1 − τ)/τ)·(ȳ/(1 − ȳ))) (equation 14; King & Zeng 2001, equation LR 3), and for
///    under-sampling at rate w it is q = p / (p + (1 − p)/w) (He et al. 2014, §6.3).
///
/// The shift is what the sampler reports ([`new`](Self::new)), or is given by the two rates
/// ([`from_rates`](Self::from_rates)) or by the share of negatives kept
/// ([`from_sampling_rate`](Self::from_sampling_rate)). A given shift **replaces** the sampler's report: it is
/// never added to it, as a pipeline's sampling would then be corrected twice.
///
/// It learns nothing from rows. If it is given labelled, untouched ones, the report says how the correction does
/// on them.
///
/// It refuses a sampler that chose rows by their features: no shift restores the population then. With a given
/// shift it also refuses a model that was told the population's rate and has corrected the shift itself
/// ([`TrainingContext::prior_corrected`]).
///
/// ```
/// use imbalance::Distortion;
/// use imbalance::calibration::{Calibrator, PriorCorrection, TrainingContext};
/// use imbalance::loss::LogLoss;
///
/// // One in ten negatives was kept.
/// let distortion = Distortion::PriorShift { log_odds: 10_f64.ln() };
/// let training = TrainingContext::new(&LogLoss, distortion);
/// let correction = PriorCorrection::new().fit(&training, None)?;
/// let p: f64 = 0.5;
/// assert!((correction.probability(0.0) - p / (p + (1.0 - p) / 0.1)).abs() < 1e-15);
///
/// // A model of unknown make, trained on 20 % positives where the population has 1 %.
/// let unknown = TrainingContext::default();
/// let correction = PriorCorrection::from_rates(0.01, 0.2)?.fit(&unknown, None)?;
/// assert!((correction.probability_of(0.2) - 0.01).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PriorCorrection {
    /// The shift of the log-odds that was given.
    given: Option<f64>,
}

impl PriorCorrection {
    /// A correction that takes its shift from the sampler.
    #[must_use]
    pub fn new() -> Self {
        Self { given: None }
    }

    /// A correction from the rate of positives in the population, τ, and in the sample trained on, ȳ.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless both are strictly between 0 and 1.
    pub fn from_rates(population: f64, sample: f64) -> Result<Self> {
        let log_odds = |argument, rate| Ok(logit(valid_rate(argument, rate)?));
        let shift = log_odds("sample", sample)? - log_odds("population", population)?;
        Ok(Self { given: Some(shift) })
    }

    /// A correction from w, the share of the negatives that was kept, all positives being kept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < w ≤ 1.
    pub fn from_sampling_rate(w: f64) -> Result<Self> {
        if w > 0.0 && w <= 1.0 {
            Ok(Self { given: Some(-w.ln()) })
        } else {
            Err(Error::invalid("w", w, "above 0 and at most 1"))
        }
    }
}

pub(super) fn valid_rate(argument: &'static str, rate: f64) -> Result<f64> {
    if rate > 0.0 && rate < 1.0 {
        Ok(rate)
    } else {
        Err(Error::invalid(argument, rate, "between 0 and 1, both excluded"))
    }
}

/// The sampler's shift, or a refusal if it chose rows by their features and gave no offsets that say how.
pub(super) fn valid_shift(training: &TrainingContext, calibrator: &'static str) -> Result<f64> {
    match training.distortion.clone().checked()? {
        Distortion::None => Ok(0.0),
        Distortion::PriorShift { log_odds } | Distortion::Offset { log_odds, .. } => Ok(log_odds),
        Distortion::FeatureDependent { sampler, .. } => {
            Err(Error::NoClosedForm { calibrator, sampler: sampler.to_string() })
        }
    }
}

/// Refuses a shift given by hand where the model has corrected it.
pub(super) fn ensure_not_corrected(
    training: &TrainingContext,
    calibrator: &'static str,
) -> Result<()> {
    if training.prior_corrected {
        return Err(Error::PriorCorrectedTwice { calibrator });
    }
    Ok(())
}

const NAME: &str = "PriorCorrection";

impl Calibrator for PriorCorrection {
    type Map = PriorMap;

    fn needs_rows(&self) -> bool {
        false
    }

    fn corrects_prior(&self) -> bool {
        true
    }

    fn is_rate_given(&self) -> bool {
        self.given.is_some()
    }

    /// # Errors
    /// As for [`fit`](Self::fit).
    fn ensure_reversible(&self, training: &TrainingContext) -> Result<()> {
        if self.given.is_some() {
            ensure_not_corrected(training, NAME)?;
        }
        valid_shift(training, NAME).map(|_| ())
    }

    /// # Errors
    /// [`Error::NoClosedForm`] if the sampler chose rows by their features, unless their offsets say how
    /// ([`Distortion::Offset`]); [`Error::InvalidArgument`] for a shift that is not finite;
    /// [`Error::PriorCorrectedTwice`] for a given shift that the model has corrected.
    fn fit(
        &self,
        training: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        self.ensure_reversible(training)?;
        let log_odds = self.given.map_or_else(|| valid_shift(training, NAME), Ok)?;
        let map = PriorMap { posterior: training.posterior.clone(), log_odds };
        Calibration::in_closed_form(NAME, map, Solution::default(), rows)
    }

    saved_as_part!();
}

/// The map of a [`PriorCorrection`]: the posterior of the loss, then the shift.
#[derive(Debug, Clone, PartialEq)]
pub struct PriorMap {
    posterior: Posterior,
    log_odds: f64,
}

impl PriorMap {
    /// The map from a logit to the log-odds of the posterior less a shift.
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, PriorMap};
    /// use imbalance::loss::Posterior;
    ///
    /// let calibration = Calibration::new(PriorMap::new(Posterior::Identity, 10_f64.ln())?);
    /// assert!((calibration.probability(0.0) - 1.0 / 11.0).abs() < 1e-15);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless the shift is finite.
    pub fn new(posterior: Posterior, log_odds: f64) -> Result<Self> {
        Ok(Self { posterior, log_odds: finite("log_odds", log_odds)? })
    }

    /// The map of the loss that the model minimised.
    #[must_use]
    pub fn posterior(&self) -> &Posterior {
        &self.posterior
    }

    /// The shift that is subtracted from the log-odds.
    #[must_use]
    pub fn log_odds(&self) -> f64 {
        self.log_odds
    }

    /// The model with this correction in its intercept, b − ln\[((1 − τ)/τ)(ȳ/(1 − ȳ))\] (LR 3): σ of
    /// its logits are the probabilities, so that serving costs nothing.
    ///
    /// ```
    /// use imbalance::prelude::*;
    /// use imbalance::numerics::sigmoid;
    /// # let x = imbalance::ndarray::array![[0.0], [1.0], [0.2], [0.7], [0.3], [0.5]];
    /// # let data = Dataset::new(&x, vec![false, true, false, false, true, false])?;
    /// let fitted = Pipeline::new(LogisticRegression::new())
    ///     .calibrator(PriorCorrection::from_rates(0.01, 1.0 / 3.0)?)
    ///     .fit(&data)?;
    /// let folded = fitted.calibration().fold_into(fitted.model())?;
    /// let logit = Predict::logit(&folded, (&[0.4]).into())?;
    /// assert!((sigmoid(logit) / fitted.probability(&[0.4])? - 1.0).abs() < 1e-14);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the posterior of the loss is no shift ([`Posterior::shift`]), as for the
    /// focal loss: no linear model has those log-odds.
    pub fn fold_into<M: ShiftLogits>(&self, model: &M) -> Result<M> {
        let shift = self.posterior.shift().ok_or_else(|| {
            let expected = "a loss whose posterior is a shift (log loss, with class weights or logit \
                            adjustment) to fold it into an intercept";
            Error::invalid("loss", &self.posterior, expected)
        })?;
        Ok(model.shifted(shift - self.log_odds))
    }
}

impl CalibrationMap for PriorMap {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        self.posterior.log_odds(z) - self.log_odds
    }

    fn describe(&self) -> String {
        format!(
            "prior correction: {}, then log-odds {:+.4} (odds × {:.6})",
            self.posterior,
            -self.log_odds,
            (-self.log_odds).exp()
        )
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some(self.clone().into())
    }

    saved_as_part!();
}

stored!(PriorCorrection as "prior_correction", |correction| {
    shift: Option<f64> = correction.given,
} => shift.map(|shift| finite("shift", shift)).transpose().map(|given| Self { given }));

stored!(PriorMap as "prior", |map| {
    posterior: Posterior = map.posterior,
    log_odds: f64 = map.log_odds,
} => Self::new(posterior, log_odds));
