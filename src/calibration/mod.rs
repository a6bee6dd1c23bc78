//! Calibrators: from logits to probabilities of the population.

mod apply;
pub mod as_printed;
mod beta;
mod beta_cdf;
mod built_in;
mod chain;
mod clip;
mod cross_fit;
mod fitted;
mod histogram;
mod isotonic;
mod monotone_line;
pub mod multiclass;
mod platt;
mod prior_correction;
mod quadratic_logit;
mod report;
mod set;
mod spline;
mod temperature;
mod training;
mod uncalibrated;
mod venn_abers;

use std::fmt::Debug;

use apply::{apply_each, to_logits};
pub use beta::{BetaCalibration, BetaMap};
pub use beta_cdf::{BetaCdf, BetaCdfMap};
pub use built_in::BuiltInMap;
pub use chain::{Chain, ChainMap};
pub use clip::{Clip, ClipMap};
pub use cross_fit::cross_fit;
pub use fitted::Calibration;
pub(crate) use fitted::{is_probability, no_probability};
pub use histogram::{HistogramBinning, HistogramMap};
pub use isotonic::{Interpolation, IsotonicMap, IsotonicRegression};
pub use platt::{PlattMap, PlattScaling};
pub use prior_correction::{PriorCorrection, PriorMap};
pub use quadratic_logit::{QuadraticLogit, QuadraticMap};
pub use report::{CalibrationReport, Fitness, Parameter};
pub use set::CalibrationSet;
pub use spline::{SplineCalibration, SplineMap};
pub use temperature::{TemperatureMap, TemperatureScaling};
pub use training::TrainingContext;
pub use uncalibrated::Uncalibrated;
pub use venn_abers::{VennAbers, VennAbersMap};

use crate::core::Result;
use crate::numerics::sigmoid;
#[cfg(feature = "serde")]
use crate::saved::Part;

/// Learns or derives a map from logits to probabilities.
///
/// A calibrator of your own that learns a map of your own, the share of positives:
///
/// ```
/// use imbalance::calibration::{
///     Calibration, CalibrationMap, CalibrationSet, Calibrator, TrainingContext,
/// };
///
/// /// One probability for all rows.
/// #[derive(Debug)]
/// struct BaseRate;
///
/// #[derive(Debug)]
/// struct Constant {
///     log_odds: f64,
/// }
///
/// impl CalibrationMap for Constant {
///     fn logit(&self, z: f64) -> f64 {
///         if z.is_nan() { z } else { self.log_odds }
///     }
/// }
///
/// impl Calibrator for BaseRate {
///     type Map = Constant;
///
///     fn needs_rows(&self) -> bool {
///         true
///     }
///
///     fn fit(
///         &self,
///         _: &TrainingContext,
///         rows: Option<&CalibrationSet<'_>>,
///     ) -> imbalance::Result<Calibration<Constant>> {
///         let rows = CalibrationSet::representative(rows, "BaseRate")?;
///         Ok(Calibration::new(Constant { log_odds: rows.totals().log_odds() }))
///     }
/// }
///
/// let set = CalibrationSet::from_logits(&[-1.0, 0.5, 2.0, 3.0], &[false, true, false, false])?;
/// assert!((BaseRate.learn(&set)?.probability(2.0) - 0.25).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub trait Calibrator: Debug + Send + Sync {
    /// The map.
    type Map: CalibrationMap;

    /// Whether [`fit`](Self::fit) learns from rows. If so, a pipeline holds rows out for it.
    fn needs_rows(&self) -> bool;

    /// Whether the map corrects what sampler and loss did to the odds, in closed form or by learning. If not, a
    /// pipeline whose training distorts the odds warns
    /// ([`Warning::NotUndone`](crate::pipeline::Warning::NotUndone)).
    /// Default: if it [needs rows](Self::needs_rows).
    fn corrects_prior(&self) -> bool {
        self.needs_rows()
    }

    /// Whether the population's rate was given by hand, so that the probabilities need not add up to the
    /// positives of the rows trained on. Default: false.
    fn is_rate_given(&self) -> bool {
        false
    }

    /// Whether it can learn from finite scores alone. A [`Chain`] then refuses to give it infinite ones.
    /// Default: false.
    fn needs_finite_scores(&self) -> bool {
        false
    }

    /// Refuses a training that the map cannot undo. A pipeline asks before it fits the model, so that no work
    /// is lost. Default: no training is refused.
    ///
    /// # Errors
    /// Depends on the calibrator; [`Error::NoClosedForm`](crate::Error::NoClosedForm) as a rule.
    fn ensure_reversible(&self, _training: &TrainingContext) -> Result<()> {
        Ok(())
    }

    /// Makes the map for the logits of a model that was trained in this way. A calibrator that
    /// [needs rows](Self::needs_rows) learns it from rows which the model has not seen and which are
    /// representative of the population ([`CalibrationSet::representative`] says so, or refuses). Any other
    /// only reports how its map does on the rows, if there are some.
    ///
    /// # Errors
    /// Depends on the calibrator.
    fn fit(
        &self,
        training: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>>;

    /// Learns from scores of a model trained elsewhere, by log loss on a representative sample.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit).
    fn learn(&self, rows: &CalibrationSet<'_>) -> Result<Calibration<Self::Map>> {
        self.fit(&TrainingContext::default(), Some(rows))
    }

    /// How this calibrator is saved. Default: it cannot be.
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        None
    }

    /// This calibrator followed by another, which is fitted to the outcome of this one.
    ///
    /// ```
    /// use imbalance::calibration::{CalibrationSet, Calibrator, PlattScaling, PriorCorrection};
    ///
    /// let calibrator = PriorCorrection::from_sampling_rate(0.1)?.then(PlattScaling::new());
    /// assert!(calibrator.needs_rows());
    /// let set = CalibrationSet::from_logits(&[-1.0, 0.0, 2.0], &[false, true, true])?;
    /// let calibration = calibrator.learn(&set)?;
    /// assert!(calibration.first().probability(0.0) < 0.1);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    fn then<B: Calibrator>(self, second: B) -> Chain<Self, B>
    where
        Self: Sized,
    {
        Chain::new(self, second)
    }

    /// This calibrator with the type of its map erased, to be chosen while the program runs.
    fn boxed(self) -> BoxCalibrator
    where
        Self: Sized + 'static,
        Self::Map: 'static,
    {
        Box::new(Erased(self))
    }
}

/// A calibrator chosen while the program runs; made by [`Calibrator::boxed`].
pub type BoxCalibrator = Box<dyn Calibrator<Map = Box<dyn CalibrationMap>>>;

/// The scale of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A logit, in \[−∞, ∞\].
    Logit,
    /// A probability, in \[0, 1\].
    Probability,
}

/// A map from a logit to a probability, defined on \[−∞, ∞\]. NaN gives NaN.
///
/// [`logit`](Self::logit) is all that a map needs. [`Calibration`] adds checks, work on all cores and the
/// report of the fit.
pub trait CalibrationMap: Debug + Send + Sync {
    /// The calibrated log-odds of a logit.
    fn logit(&self, z: f64) -> f64;

    /// The calibrated probability of a logit. Default: σ of the calibrated log-odds. A map whose values are
    /// probabilities gives them here, without the rounding of the way over log-odds.
    fn probability(&self, z: f64) -> f64 {
        sigmoid(self.logit(z))
    }

    /// Replaces scores by their probabilities: one pass, on the calling thread, without allocation. The bits
    /// are those of [`probability`](Self::probability). Scores are not checked; a number outside their scale
    /// gives NaN. Default: one score after the other; a map replaces that where a block takes less time.
    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        if scale == Scale::Probability {
            to_logits(scores);
        }
        apply_each(scores, |z| self.probability(z));
    }

    /// A line on what the map does, for the pipeline's summary. Default: its `Debug` form.
    fn describe(&self) -> String {
        format!("{self:?}")
    }

    /// This map as a plain value, if it is one of the library's. Default: None.
    fn built_in(&self) -> Option<BuiltInMap> {
        None
    }

    /// How this map is saved. Default: it cannot be.
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        None
    }
}

impl<C: Calibrator + ?Sized> Calibrator for Box<C> {
    type Map = C::Map;

    fn needs_rows(&self) -> bool {
        (**self).needs_rows()
    }
    fn corrects_prior(&self) -> bool {
        (**self).corrects_prior()
    }
    fn is_rate_given(&self) -> bool {
        (**self).is_rate_given()
    }
    fn needs_finite_scores(&self) -> bool {
        (**self).needs_finite_scores()
    }
    fn ensure_reversible(&self, training: &TrainingContext) -> Result<()> {
        (**self).ensure_reversible(training)
    }
    fn fit(
        &self,
        training: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        (**self).fit(training, rows)
    }
    fn learn(&self, rows: &CalibrationSet<'_>) -> Result<Calibration<Self::Map>> {
        (**self).learn(rows)
    }
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        (**self).saved()
    }
}

impl<M: CalibrationMap + ?Sized> CalibrationMap for Box<M> {
    fn logit(&self, z: f64) -> f64 {
        (**self).logit(z)
    }
    fn probability(&self, z: f64) -> f64 {
        (**self).probability(z)
    }
    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        (**self).apply(scale, scores);
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
    fn built_in(&self) -> Option<BuiltInMap> {
        (**self).built_in()
    }
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        (**self).saved()
    }
}

/// Adapter behind [`Calibrator::boxed`].
#[derive(Debug)]
struct Erased<C>(C);

impl<C: Calibrator> Calibrator for Erased<C>
where
    C::Map: 'static,
{
    type Map = Box<dyn CalibrationMap>;

    fn needs_rows(&self) -> bool {
        self.0.needs_rows()
    }
    fn corrects_prior(&self) -> bool {
        self.0.corrects_prior()
    }
    fn is_rate_given(&self) -> bool {
        self.0.is_rate_given()
    }
    fn needs_finite_scores(&self) -> bool {
        self.0.needs_finite_scores()
    }
    fn ensure_reversible(&self, training: &TrainingContext) -> Result<()> {
        self.0.ensure_reversible(training)
    }
    fn fit(
        &self,
        training: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        Ok(self.0.fit(training, rows)?.boxed())
    }
    fn learn(&self, rows: &CalibrationSet<'_>) -> Result<Calibration<Self::Map>> {
        Ok(self.0.learn(rows)?.boxed())
    }
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        self.0.saved()
    }
}

/// The calibrators that files know.
#[cfg(feature = "serde")]
mod kinds {
    use super::as_printed::LinearPriorScaling;
    use super::{
        BetaCalibration, BetaCdf, BoxCalibrator, Calibrator, Chain, Clip, HistogramBinning,
        IsotonicRegression, PlattScaling, PriorCorrection, QuadraticLogit, SplineCalibration,
        TemperatureScaling, Uncalibrated, VennAbers,
    };

    crate::saved::stage!(Calibrator<Map: 'static>, BoxCalibrator, "calibrator", Calibrator::boxed, [
        Uncalibrated,
        Clip,
        PriorCorrection,
        PlattScaling,
        TemperatureScaling,
        BetaCalibration,
        BetaCdf,
        QuadraticLogit,
        SplineCalibration,
        IsotonicRegression,
        HistogramBinning,
        VennAbers,
        LinearPriorScaling,
        Chain<BoxCalibrator, BoxCalibrator>,
    ]);
}

/// The maps that files know.
#[cfg(feature = "serde")]
mod map_kinds {
    use super::as_printed::LinearPriorMap;
    use super::{
        BetaCdfMap, BetaMap, CalibrationMap, ChainMap, ClipMap, HistogramMap, IsotonicMap,
        PlattMap, PriorMap, QuadraticMap, SplineMap, TemperatureMap, Uncalibrated, VennAbersMap,
    };

    type BoxMap = Box<dyn CalibrationMap>;

    crate::saved::stage!(CalibrationMap, BoxMap, "calibration map", |map| Box::new(map) as _, [
        Uncalibrated,
        ClipMap,
        PriorMap,
        PlattMap,
        TemperatureMap,
        BetaMap,
        BetaCdfMap,
        QuadraticMap,
        SplineMap,
        IsotonicMap,
        HistogramMap,
        VennAbersMap,
        LinearPriorMap,
        ChainMap<BoxMap, BoxMap>,
    ]);
}

#[cfg(feature = "serde")]
pub use kinds::register;
#[cfg(feature = "serde")]
pub use map_kinds::register as register_map;
