//! What leaves the probabilities of a pipeline off the population's.

use std::fmt;

use crate::calibration::TrainingContext;
use crate::core::{ClassTotals, Distortion};

/// Why the probabilities of a pipeline are not those of the population.
///
/// Whoever leaves out the calibrator gets what was asked for, σ of the model's logit, and this.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The calibrator undoes nothing, though sampler or loss distort the odds.
    NotUndone {
        /// The odds of a positive over the population's; none where the shift is not known.
        odds: Option<f64>,
        /// Whether that is the factor for every row; otherwise it is the one at the sample's mean rate.
        constant: bool,
    },
    /// The probabilities of the rows that the calibrator was given do not add up to their positives, by more
    /// than three standard errors: the calibrator cannot move the mean, or the rate is another there.
    MeanOff {
        /// Predicted / observed on those rows.
        predicted_over_observed: f64,
        /// The standard error of that ratio around 1, from the numbers of rows of each class; weights are
        /// not taken into account.
        standard_error: f64,
    },
}

impl Warning {
    /// What a model trained in this way on rows of these totals leaves to be undone, if anything.
    pub(super) fn not_undone(training: &TrainingContext, sample: &ClassTotals) -> Option<Self> {
        let by_features = matches!(training.distortion, Distortion::FeatureDependent { .. });
        let loss_shift = training.posterior.shift();
        let constant = !by_features && loss_shift.is_some();
        // σ(z) has the log-odds z, the population has g(z) − δ, with g the posterior of the loss.
        let over = match loss_shift {
            Some(shift) => -shift,
            None => training.posterior.logit(sample.log_odds()) - sample.log_odds(),
        };
        let excess = training.distortion.log_odds().map(|shift| over + shift);
        // Class weights from counts sum to their log-odds up to rounding.
        if constant && excess.is_some_and(|excess| excess.abs() < 1e-12) {
            return None;
        }
        let odds = excess.map(f64::exp).filter(|odds| odds.is_finite());
        Some(Self::NotUndone { odds, constant })
    }

    pub(super) fn mean_off(predicted_over_observed: f64, standard_error: f64) -> Option<Self> {
        ((predicted_over_observed - 1.0).abs() > 3.0 * standard_error)
            .then_some(Self::MeanOff { predicted_over_observed, standard_error })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUndone { odds, constant } => {
                write!(f, "nothing undoes what sampler and loss did: the odds of a positive are ")?;
                match odds {
                    Some(odds) => write!(f, "{odds:.4} times the population's")?,
                    None => write!(f, "not the population's, by an unknown factor")?,
                }
                if !constant {
                    write!(f, " on the whole, and not by one factor for all rows")?;
                }
                write!(
                    f,
                    "; take `PriorCorrection`, if there is a closed form, or a calibrator that learns"
                )
            }
            Self::MeanOff { predicted_over_observed, standard_error } => write!(
                f,
                "on the rows given to the calibrator predicted / observed is \
                 {predicted_over_observed:.4}, not 1 ± {standard_error:.4}; take a calibrator with a \
                 free intercept, and look whether the rate changed"
            ),
        }
    }
}
