//! What a sampler does to the odds of a positive.

use std::borrow::Cow;
use std::fmt;

/// What was done to a sample of the population, so that a later stage can undo it or refuse.
///
/// Distortions compose with [`then`](Self::then); [`Distortion::None`] is the identity and the
/// composition is associative.
///
/// ```
/// use imbalance::sampling::Distortion;
/// let thinned = Distortion::PriorShift { log_odds: 10_f64.ln() };
/// let twice = thinned.clone().then(thinned);
/// assert_eq!(twice.log_odds(), Some(2.0 * 10_f64.ln()));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Distortion {
    /// The population's odds survive, perhaps through weights or offsets.
    #[default]
    None,
    /// P(x | y) is kept and the odds of a positive are multiplied by e^`log_odds`, the same for every
    /// row. For under-sampling it is ln\[(N̂₊/N₊) / (N̂₋/N₋)\] from the realised, weighted counts.
    PriorShift {
        /// Logarithm of the factor on the odds.
        log_odds: f64,
    },
    /// Rows were chosen or made by their features: no closed form undoes that.
    FeatureDependent {
        /// The sampler that did it, or several joined by `then`.
        sampler: Cow<'static, str>,
        /// The shift of the overall log-odds, where it is known.
        nominal_log_odds: Option<f64>,
    },
}

impl Distortion {
    /// This distortion followed by another.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        use Distortion::{FeatureDependent, None, PriorShift};
        match (self, later) {
            (None, other) | (other, None) => other,
            (PriorShift { log_odds: a }, PriorShift { log_odds: b }) => {
                PriorShift { log_odds: a + b }
            }
            (first, second) => {
                let nominal_log_odds =
                    first.log_odds().and_then(|a| second.log_odds().map(|b| a + b));
                let sampler = match (first, second) {
                    (FeatureDependent { sampler: a, .. }, FeatureDependent { sampler: b, .. }) => {
                        format!("{a} then {b}").into()
                    }
                    (FeatureDependent { sampler, .. }, _)
                    | (_, FeatureDependent { sampler, .. }) => sampler,
                    // Every pair without a feature-dependent part is matched above.
                    _ => Cow::Borrowed("unknown"),
                };
                FeatureDependent { sampler, nominal_log_odds }
            }
        }
    }

    /// By how much the overall log-odds moved, where that is known.
    #[must_use]
    pub fn log_odds(&self) -> Option<f64> {
        match self {
            Self::None => Some(0.0),
            Self::PriorShift { log_odds } => Some(*log_odds),
            Self::FeatureDependent { nominal_log_odds, .. } => *nominal_log_odds,
        }
    }

    /// Whether the population's odds survive.
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
        }
    }
}
