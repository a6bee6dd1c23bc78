//! The map from the logit of a trained model to a class probability.

use std::convert::Infallible;
use std::fmt::{self, Debug};
use std::sync::Arc;

use super::{AsymmetricLoss, FocalLoss, Loss};
use crate::numerics::{root, sigmoid};

/// The class probability η at which a logit minimises the expected loss η ℓ(z, 1) + (1 − η) ℓ(z, 0), as a
/// plain value: [`Loss::posterior`] makes it, and calibrators keep it.
///
/// From the stationarity condition η g₁ + (1 − η) g₀ = 0, with g₁ and g₀ the gradients at label 1 and 0,
/// η = g₀/(g₀ − g₁), and its odds are g₀/(−g₁), for every differentiable loss. The built-in losses have
/// formulas of their own for that; all others take the gradients ([`of_gradients`](Self::of_gradients)).
/// Where a gradient has left its side of zero, no η has its minimum there: the log-odds are −∞ or +∞.
///
/// Logits are in \[−∞, ∞\], and NaN stays NaN. The map rises.
///
/// Source: N. Charoenphakdee et al., *On focal loss for class-posterior probability estimation*, CVPR 2021.
///
/// ```
/// use imbalance::loss::{Loss, Posterior, WeightedLogLoss};
///
/// let posterior = WeightedLogLoss::given(10.0, 1.0)?.posterior();
/// assert_eq!(posterior, Posterior::Shift(-10_f64.ln()));
/// // Where a weighted model says one half, the truth is one in eleven.
/// assert!((posterior.probability(0.0) - 1.0 / 11.0).abs() < 1e-15);
/// assert!(posterior.logit(posterior.log_odds(3.0)) - 3.0 < 1e-14);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Posterior {
    /// The logit itself: log loss.
    Identity,
    /// The logit plus a constant: class weights and logit adjustment of log loss.
    Shift(
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::finite"))]
        f64,
    ),
    /// The map of this focal loss, with its weights of the classes.
    Focal(FocalLoss),
    /// The map of this asymmetric loss.
    Asymmetric(AsymmetricLoss),
    /// The map of a loss whose labels were smoothed by ε, which turned η into η(1 − ε) + ε/2.
    Smoothed {
        /// The map of the loss that was smoothed.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "stored_inner"))]
        inner: Box<Posterior>,
        /// ε.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "stored_epsilon"))]
        epsilon: f64,
    },
    /// Another map plus a constant: class weights on any loss.
    Shifted {
        /// The other map.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "stored_inner"))]
        inner: Box<Posterior>,
        /// The constant.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::finite"))]
        by: f64,
    },
    /// A map of your own. Equal to itself and its clones alone. It cannot be saved.
    #[cfg_attr(feature = "serde", serde(skip))]
    Custom(Arc<dyn PosteriorMap>),
}

/// A map from logits to log-odds of your own, for [`Posterior::custom`].
pub trait PosteriorMap: Debug + Send + Sync {
    /// The log-odds of the class probability that a logit stands for; it rises with the logit.
    fn log_odds(&self, logit: f64) -> f64;

    /// The constant that [`log_odds`](Self::log_odds) adds to every logit, if it does that and no more.
    fn shift(&self) -> Option<f64> {
        None
    }
}

impl PartialEq for dyn PosteriorMap {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self, other)
    }
}

impl Posterior {
    /// A map of your own.
    pub fn custom(map: impl PosteriorMap + 'static) -> Self {
        Self::Custom(Arc::new(map))
    }

    /// The map that follows from the gradients of a loss; what [`Loss::posterior`] gives by default.
    #[must_use]
    pub fn of_gradients(loss: Arc<dyn Loss>) -> Self {
        Self::custom(OfGradients(loss))
    }

    /// This map of a loss whose labels were smoothed by ε in \[0, 1).
    #[must_use]
    pub fn smoothed(self, epsilon: f64) -> Self {
        if epsilon == 0.0 { self } else { Self::Smoothed { inner: Box::new(self), epsilon } }
    }

    /// This map plus a constant.
    #[must_use]
    pub fn shifted(self, by: f64) -> Self {
        match self {
            unchanged if by == 0.0 => unchanged,
            Self::Identity => Self::Shift(by),
            Self::Shift(shift) => Self::Shift(shift + by),
            Self::Shifted { inner, by: first } => Self::Shifted { inner, by: first + by },
            inner => Self::Shifted { inner: Box::new(inner), by },
        }
    }

    /// The log-odds of the class probability that a logit stands for.
    #[inline]
    #[must_use]
    pub fn log_odds(&self, logit: f64) -> f64 {
        match self {
            Self::Identity => logit,
            Self::Shift(shift) => logit + shift,
            Self::Focal(loss) => loss.log_odds(logit),
            Self::Asymmetric(loss) => loss.log_odds(logit),
            Self::Smoothed { inner, epsilon } => unsmoothed(inner.log_odds(logit), *epsilon),
            Self::Shifted { inner, by } => inner.log_odds(logit) + by,
            Self::Custom(map) => map.log_odds(logit),
        }
    }

    /// The class probability that a logit stands for, η = g₀/(g₀ − g₁).
    #[inline]
    #[must_use]
    pub fn probability(&self, logit: f64) -> f64 {
        sigmoid(self.log_odds(logit))
    }

    /// The logit that stands for these log-odds, the inverse of [`log_odds`](Self::log_odds). Where none does,
    /// as under smoothed labels, the logit at which the log-odds jump over them.
    #[must_use]
    pub fn logit(&self, log_odds: f64) -> f64 {
        // One half is a class probability that every loss can tell.
        let start = if self.log_odds(log_odds).is_finite() { log_odds } else { 0.0 };
        self.logit_near(start, log_odds)
    }

    /// The same, searched for from a logit nearby.
    pub(crate) fn logit_near(&self, start: f64, log_odds: f64) -> f64 {
        invert(|z| self.log_odds(z), start, log_odds)
    }

    /// The constant that the map adds to every logit, if it does that and no more: 0 for log loss, −ln(α/β)
    /// under class weights. None for any other map. A linear model can hold the shift in its intercept.
    #[must_use]
    pub fn shift(&self) -> Option<f64> {
        match self {
            Self::Identity => Some(0.0),
            Self::Shift(shift) => Some(*shift),
            Self::Shifted { inner, by } => Some(inner.shift()? + by),
            Self::Custom(map) => map.shift(),
            Self::Focal(_) | Self::Asymmetric(_) | Self::Smoothed { .. } => None,
        }
    }
}

impl fmt::Display for Posterior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => write!(f, "the identity"),
            Self::Shift(shift) => write!(f, "a shift by {shift:+.4}"),
            Self::Focal(loss) => write!(f, "the map of {loss:?}"),
            Self::Asymmetric(loss) => write!(f, "the map of {loss:?}"),
            Self::Smoothed { inner, epsilon } => {
                write!(f, "{inner}, then the inverse of label smoothing by {epsilon}")
            }
            Self::Shifted { inner, by } => write!(f, "{inner}, then a shift by {by:+.4}"),
            Self::Custom(map) => write!(f, "the map of {map:?}"),
        }
    }
}

/// The log-odds of η from those of η(1 − ε) + ε/2.
fn unsmoothed(log_odds: f64, epsilon: f64) -> f64 {
    // Odds (η' − ε/2) / (1 − ε/2 − η'), with 1 − η' kept apart so that nothing cancels.
    let half = 0.5 * epsilon;
    (sigmoid(log_odds) - half).max(0.0).ln() - (sigmoid(-log_odds) - half).max(0.0).ln()
}

/// ln g₀ − ln(−g₁).
struct OfGradients(Arc<dyn Loss>);

impl Debug for OfGradients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PosteriorMap for OfGradients {
    fn log_odds(&self, logit: f64) -> f64 {
        // A certain logit is answered by the largest one, where ∞ · 0 could be NaN.
        let logit = logit.clamp(f64::MIN, f64::MAX);
        let down = self.0.at(logit, false).gradient.max(0.0);
        let up = (-self.0.at(logit, true).gradient).max(0.0);
        if down == 0.0 && up == 0.0 {
            // Both are below the range of f64, as those of a squared error far from 0: a certain answer.
            return logit.signum() * f64::INFINITY;
        }
        down.ln() - up.ln()
    }
}

/// z with g(z) = `target` for a rising g, found from a `start` nearby: in one step where g is a shift, as
/// for every weighting of the classes.
fn invert(g: impl Fn(f64) -> f64, start: f64, target: f64) -> f64 {
    let miss = |z: f64| g(z) - target;
    let at_start = miss(start);
    if at_start == 0.0 || !at_start.is_finite() {
        return start;
    }
    let at = |distance: f64| start - at_start.signum() * distance;
    let rising = |distance: f64| Ok::<f64, Infallible>(-at_start.signum() * miss(at(distance)));
    let accuracy = [4.0 * f64::EPSILON * (1.0 + target.abs()), 0.0];
    // A slope below 1 leaves the first step short. Doubled 60 times, it has left any range of logits.
    let Ok(distance) = root::search(-at_start.abs(), at_start.abs(), 2.0, accuracy, rising);
    at(distance.unwrap_or(f64::MAX))
}

#[cfg(feature = "serde")]
fn stored_inner<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Box<Posterior>, D::Error> {
    let error = <D::Error as serde::de::Error>::custom;
    crate::saved::nested(1, error, || serde::Deserialize::deserialize(from)).map(Box::new)
}

#[cfg(feature = "serde")]
fn stored_epsilon<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let epsilon = serde::Deserialize::deserialize(from)?;
    super::label_smoothing::valid_epsilon(epsilon).map_err(serde::de::Error::custom)
}
