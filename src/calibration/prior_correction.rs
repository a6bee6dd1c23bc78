//! The closed-form correction of sampling and loss.

use std::sync::Arc;

use super::report::Solution;
use super::{Calibrate, CalibrationReport, Calibrator, Scored, Training};
use crate::core::Distortion;
use crate::loss::Loss;
use crate::model::ShiftLogits;
use crate::numerics::{logit, sigmoid};
use crate::{Error, Result};

/// Undoes the loss, then the sampling, by Bayes' rule; learns nothing and needs no rows.
///
/// 1. The loss's own map takes the logit to the log-odds of the class it was trained to tell
///    ([`Loss::posterior_logit`]): the identity for log loss.
/// 2. The prior shift is subtracted: z − ln\[((1 − τ)/τ)(ȳ/(1 − ȳ))\], with τ the
///    population's rate and ȳ the sample's. As a probability this is
///    p / (p + (1 − p)·((1 − τ)/τ)·(ȳ/(1 − ȳ))) (equation 14; King & Zeng 2001, equation LR 3), and for
///    under-sampling at rate w it is q = p / (p + (1 − p)/w) (He et al. 2014, §6.3).
///
/// The shift is what the sampler reports ([`new`](Self::new)), or is given by the two rates
/// ([`from_rates`](Self::from_rates)) or by the share of negatives kept
/// ([`from_sampling_rate`](Self::from_sampling_rate)). What is given **replaces** the sampler's report:
/// it is never added to it, or a pipeline's sampling would be undone twice.
///
/// Rows are not read. If labelled, untouched ones are given all the same, its report
/// says how the correction does on them.
///
/// Given or not, it refuses a sampler that chose rows by their features: no shift restores the
/// population then. Given, it refuses a model that was told the population's rate and has undone the shift
/// ([`Training::undone`]).
///
/// ```
/// use std::sync::Arc;
/// use imbalance::calibration::{Calibrate, Calibrator, PriorCorrection, Scored, Training};
/// use imbalance::loss::LogLoss;
/// use imbalance::Distortion;
///
/// // One in ten negatives was kept.
/// let distortion = Distortion::PriorShift { log_odds: 10_f64.ln() };
/// let training = Training::new(Arc::new(LogLoss), distortion);
/// let map = PriorCorrection::new().fit(&Scored::no_rows(training))?;
/// let p: f64 = 0.5;
/// assert!((map.probability(0.0) - p / (p + (1.0 - p) / 0.1)).abs() < 1e-15);
///
/// // A model of unknown make, trained on 20 % positives where the population has 1 %.
/// let map = PriorCorrection::from_rates(0.01, 0.2)?.fit(&Scored::no_rows(Training::default()))?;
/// assert!((map.probability_of(0.2) - 0.01).abs() < 1e-15);
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
        let log_odds = |argument, rate| Ok(logit(open_rate(argument, rate)?));
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

fn open_rate(argument: &'static str, rate: f64) -> Result<f64> {
    if rate > 0.0 && rate < 1.0 {
        Ok(rate)
    } else {
        Err(Error::invalid(argument, rate, "between 0 and 1, both excluded"))
    }
}

/// The sampler's shift, or a refusal if it chose rows by their features and left no offsets that say so.
fn shift_of(training: &Training, calibrator: &'static str) -> Result<f64> {
    match training.distortion.clone().checked()? {
        Distortion::None => Ok(0.0),
        Distortion::PriorShift { log_odds } | Distortion::Offset { log_odds, .. } => Ok(log_odds),
        Distortion::FeatureDependent { sampler, .. } => {
            Err(Error::NoClosedForm { calibrator, sampler: sampler.to_string() })
        }
    }
}

/// Refuses a shift given by hand where the model has undone it.
fn need_shift_left(training: &Training, stage: &'static str) -> Result<()> {
    if !training.undone {
        return Ok(());
    }
    Err(Error::Unsupported {
        stage,
        what: "rates for a model that was told the population's rate itself".into(),
        remedy: "its logits are the population's already; take `PriorCorrection::new()`, which sees that, \
                 or a model that is not told the rate",
    })
}

impl Calibrator for PriorCorrection {
    type Fitted = FittedPriorCorrection;

    fn learns(&self) -> bool {
        false
    }

    fn undoes_training(&self) -> bool {
        true
    }

    /// # Errors
    /// [`Error::NoClosedForm`] if the sampler chose rows by their features, unless their offsets say so
    /// ([`Distortion::Offset`]); [`Error::InvalidArgument`] for a shift that is not finite;
    /// [`Error::Unsupported`] for a given shift that the model has undone.
    fn fit(&self, scored: &Scored<'_>) -> Result<Self::Fitted> {
        let training = scored.training();
        let reported = shift_of(training, "PriorCorrection")?;
        if self.given.is_some() {
            need_shift_left(training, "PriorCorrection")?;
        }
        let log_odds = self.given.unwrap_or(reported);
        let map = Bayes { loss: Arc::clone(&training.loss), log_odds };
        let report = judged("PriorCorrection", scored, |z| sigmoid(map.log_odds_of(z)));
        Ok(FittedPriorCorrection { map, report })
    }
}

/// How a map that learned nothing does on the rows it was given, if they can tell: labelled rows of both
/// classes, as the population left them.
fn judged(
    calibrator: &'static str,
    scored: &Scored<'_>,
    map: impl Fn(f64) -> f64 + Sync,
) -> Option<CalibrationReport> {
    scored.need_fair_rows(calibrator).ok()?;
    Some(CalibrationReport::of_probabilities(calibrator, scored, Solution::default(), map))
}

/// A fitted [`PriorCorrection`].
#[derive(Debug, Clone)]
pub struct FittedPriorCorrection {
    map: Bayes,
    report: Option<CalibrationReport>,
}

/// The loss's map, then the shift.
#[derive(Debug, Clone)]
struct Bayes {
    loss: Arc<dyn Loss>,
    log_odds: f64,
}

impl Bayes {
    #[inline]
    fn log_odds_of(&self, logit: f64) -> f64 {
        self.loss.posterior_logit(logit) - self.log_odds
    }
}

impl FittedPriorCorrection {
    /// The shift that is subtracted from the log-odds.
    #[must_use]
    pub fn log_odds(&self) -> f64 {
        self.map.log_odds
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
    /// [`Error::InvalidArgument`] if the loss's map is no shift ([`Loss::posterior_shift`]), as for the
    /// focal loss: no linear model has those log-odds.
    pub fn fold_into<M: ShiftLogits>(&self, model: &M) -> Result<M> {
        let Bayes { loss, log_odds } = &self.map;
        let shift = loss.posterior_shift().ok_or_else(|| {
            let expected = "a loss whose map to log-odds is a shift (log loss, with class weights or \
                            logit adjustment) to fold it into an intercept";
            Error::invalid("loss", format!("{loss:?}"), expected)
        })?;
        Ok(model.shifted(shift - log_odds))
    }
}

impl Calibrate for FittedPriorCorrection {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        sigmoid(self.calibrated_logit(logit))
    }

    #[inline]
    fn calibrated_logit(&self, logit: f64) -> f64 {
        self.map.log_odds_of(logit)
    }

    /// How the correction does on the rows it was given, if there were any; it learned nothing from them.
    fn report(&self) -> Option<&CalibrationReport> {
        self.report.as_ref()
    }

    fn describe(&self) -> String {
        let Bayes { loss, log_odds } = &self.map;
        format!(
            "prior correction: the map of {loss:?}, then log-odds {:+.4} (odds × {:.6})",
            -log_odds,
            (-log_odds).exp()
        )
    }
}

/// Equation (15) as printed: ŷ · ȳ / (ȳ + (1 − ȳ)(1 − τ)/τ), with ŷ the model's probability, τ the
/// population's rate (printed with the index "real") and ȳ the sample's (index "train").
///
/// **Not for use**, but to reproduce what was done with it. A constant factor is no Bayes' rule: it is
/// right at no score but by chance, and even a certain ŷ = 1 becomes τ at ȳ = ½. Use
/// [`PriorCorrection`], whose odds carry the factor.
///
/// The loss's own map comes first, as in [`PriorCorrection`], and a sampler that chose rows by their
/// features is refused.
///
/// ```
/// use imbalance::calibration::{Calibrate, Calibrator, LinearPriorScaling, Scored, Training};
///
/// let map = LinearPriorScaling::from_rates(0.01, 0.5)?.fit(&Scored::no_rows(Training::default()))?;
/// assert!((map.probability(f64::INFINITY) - 0.01).abs() < 1e-15);
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
    /// [`Error::InvalidArgument`] unless both are strictly between 0 and 1.
    pub fn from_rates(population: f64, sample: f64) -> Result<Self> {
        let real = open_rate("population", population)?;
        let train = open_rate("sample", sample)?;
        Ok(Self { factor: train / (train + (1.0 - train) * (1.0 - real) / real) })
    }
}

impl Calibrator for LinearPriorScaling {
    type Fitted = FittedLinearPriorScaling;

    fn learns(&self) -> bool {
        false
    }

    fn undoes_training(&self) -> bool {
        true
    }

    /// # Errors
    /// [`Error::NoClosedForm`] if the sampler chose rows by their features, unless their offsets say so
    /// ([`Distortion::Offset`]); [`Error::InvalidArgument`] for a shift that is not finite;
    /// [`Error::Unsupported`] for a shift that the model has undone.
    fn fit(&self, scored: &Scored<'_>) -> Result<Self::Fitted> {
        shift_of(scored.training(), "LinearPriorScaling")?;
        need_shift_left(scored.training(), "LinearPriorScaling")?;
        let loss = Arc::clone(&scored.training().loss);
        let report = judged("LinearPriorScaling", scored, |z| self.factor * loss.posterior(z));
        Ok(FittedLinearPriorScaling { loss, factor: self.factor, report })
    }
}

/// A fitted [`LinearPriorScaling`].
#[derive(Debug, Clone)]
pub struct FittedLinearPriorScaling {
    loss: Arc<dyn Loss>,
    factor: f64,
    report: Option<CalibrationReport>,
}

impl FittedLinearPriorScaling {
    /// What probabilities are multiplied by.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }
}

impl Calibrate for FittedLinearPriorScaling {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        self.factor * self.loss.posterior(logit)
    }

    /// How the scaling does on the rows it was given, if there were any; it learned nothing from them.
    fn report(&self) -> Option<&CalibrationReport> {
        self.report.as_ref()
    }

    fn describe(&self) -> String {
        format!("linear prior scaling (15): the map of {:?}, then × {:.6}", self.loss, self.factor)
    }
}
