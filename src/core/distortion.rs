//! What a sampler does to the odds of a positive.

use std::borrow::Cow;
use std::fmt;

use super::{Error, Result};

/// How sampling changed the odds of a positive, so that a later stage can undo it or refuse.
///
/// Distortions compose with [`then`](Self::then); [`Distortion::None`] is the identity and the
/// composition is associative.
///
/// ```
/// use imbalance::Distortion;
/// let thinned = Distortion::PriorShift { log_odds: 10_f64.ln() };
/// let twice = thinned.clone().then(thinned);
/// assert_eq!(twice.log_odds(), Some(2.0 * 10_f64.ln()));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Distortion {
    /// The rows are a representative sample of the population, perhaps through their weights.
    #[default]
    None,
    /// P(x | y) is unchanged, and the odds of a positive are multiplied by e^`log_odds` in every row. For
    /// under-sampling `log_odds` is ln\[(N̂₊/N₊) / (N̂₋/N₋)\] from the realised, weighted counts.
    PriorShift {
        /// Logarithm of the factor on the odds.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::finite"))]
        log_odds: f64,
    },
    /// Rows were chosen or made by their features: no closed form undoes the change of the odds.
    FeatureDependent {
        /// The sampler that did it, or several joined by `then`.
        sampler: Cow<'static, str>,
        /// The shift of the overall log-odds, where it is known.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number::option"))]
        nominal_log_odds: Option<f64>,
    },
    /// Rows were chosen by their features, and their offsets say how. A model that learns with the offsets
    /// sees the population's odds times e^`log_odds` in every row, so one shift corrects its logits. The
    /// rows themselves are **not representative**: their rates differ from the population's, and logits
    /// with these offsets added are logits of the sample.
    Offset {
        /// The sampler that did it, or several joined by `then`.
        sampler: Cow<'static, str>,
        /// Logarithm of the factor on the odds, given the offsets.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::finite"))]
        log_odds: f64,
    },
}

impl Distortion {
    /// This distortion followed by another.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        use Distortion::{FeatureDependent, None, Offset, PriorShift};
        let (first, second) = match (self, later) {
            (None, other) | (other, None) => return other,
            both => both,
        };
        let known = !first.is_by_features() && !second.is_by_features();
        let nominal_log_odds = first.log_odds().zip(second.log_odds()).map(|(a, b)| a + b);
        let sampler = match (first.into_sampler(), second.into_sampler()) {
            (Some(a), Some(b)) => Some(format!("{a} then {b}").into()),
            (a, b) => a.or(b),
        };
        match (sampler, nominal_log_odds) {
            (Some(sampler), Some(log_odds)) if known => Offset { sampler, log_odds },
            (Some(sampler), _) => FeatureDependent { sampler, nominal_log_odds },
            // Two prior shifts, which are both known.
            (Option::None, shift) => PriorShift { log_odds: shift.unwrap_or_default() },
        }
    }

    pub(crate) fn is_by_features(&self) -> bool {
        matches!(self, Self::FeatureDependent { .. })
    }

    /// The sampler that chose rows by their features.
    fn into_sampler(self) -> Option<Cow<'static, str>> {
        match self {
            Self::None | Self::PriorShift { .. } => None,
            Self::FeatureDependent { sampler, .. } | Self::Offset { sampler, .. } => Some(sampler),
        }
    }

    /// This distortion, checked to have a finite shift.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the shift is known but not finite.
    pub(crate) fn checked(self) -> Result<Self> {
        match self.log_odds() {
            Some(shift) if !shift.is_finite() => Err(Error::invalid(
                "log_odds",
                shift,
                "finite, so the sample needs weight in both classes",
            )),
            _ => Ok(self),
        }
    }

    /// The shift of the overall log-odds, if it is known; for [`Offset`](Self::Offset), the shift given the
    /// offsets.
    #[must_use]
    pub fn log_odds(&self) -> Option<f64> {
        match self {
            Self::None => Some(0.0),
            Self::PriorShift { log_odds } | Self::Offset { log_odds, .. } => Some(*log_odds),
            Self::FeatureDependent { nominal_log_odds, .. } => *nominal_log_odds,
        }
    }

    /// Whether the rows are a representative sample of the population.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl fmt::Display for Distortion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "none"),
            Self::PriorShift { log_odds } => {
                write!(f, "prior shift, odds of a positive × {:.4}", log_odds.exp())
            }
            Self::FeatureDependent { sampler, nominal_log_odds: Some(shift) } => {
                write!(f, "rows chosen by features ({sampler}), overall odds × {:.4}", shift.exp())
            }
            Self::FeatureDependent { sampler, nominal_log_odds: None } => {
                write!(f, "rows chosen by features ({sampler})")
            }
            Self::Offset { sampler, log_odds } => {
                write!(f, "rows chosen by features ({sampler}), corrected by offsets, ")?;
                write!(f, "odds given the offsets × {:.4}", log_odds.exp())
            }
        }
    }
}
