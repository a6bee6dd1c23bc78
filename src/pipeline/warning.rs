//! What leaves the probabilities of a pipeline off the population's.

use std::fmt;

use super::{Agreement, CheckedOn, LeftOut, SelfCheck};
use crate::calibration::TrainingContext;
use crate::core::{ClassTotals, Distortion};
use crate::model::FitWarning;

/// Standard errors by which an overall figure may be off without a warning. With normal errors chance exceeds it
/// in 0.27 % of fits (predicted against observed, in either direction) and in 0.13 % (left out against kept, which
/// memorised rows can only raise).
const LIMIT: f64 = 3.0;
/// The same for the worst of ten deciles: with normal errors in 0.06 % of fits.
const DECILE_LIMIT: f64 = 4.0;
/// Positives from which on a ranking is judged.
const FEW_POSITIVES: f64 = 50.0;
/// Why the probabilities of a pipeline are not those of the population.
///
/// Whoever leaves out the calibrator gets what was asked for, σ of the model's logit, and this.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Warning {
    /// The model's fit knows that something is wrong.
    Fit(FitWarning),
    /// The calibrator undoes nothing, though sampler or loss distort the odds.
    NotUndone {
        /// The odds of a positive over the population's; none where the shift is not known.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number::option"))]
        odds: Option<f64>,
        /// Whether that is the factor for every row; otherwise it is the one at the sample's mean rate.
        constant: bool,
    },
    /// The probabilities of some rows do not add up to their positives, by more than chance explains.
    MeanOff {
        /// The rows.
        on: CheckedOn,
        /// Predicted / observed on those rows.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        predicted_over_observed: f64,
        /// The standard error of that ratio around 1; see [`SelfCheck`](super::SelfCheck).
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        standard_error: f64,
    },
    /// Negatives that the sampler left out get higher probabilities than negatives that the model was trained on,
    /// by more than chance explains: the model has memorised the rows it saw.
    Memorised {
        /// The mean probabilities of both.
        means: LeftOut,
    },
    /// The probabilities of a decile do not add up to its positives, though those of all rows do.
    DecileOff {
        /// The rows.
        on: CheckedOn,
        /// The decile by probability, the lowest being 1.
        decile: usize,
        /// Its predicted and observed positives.
        figure: Agreement,
    },
    /// The probabilities do not tell positives from negatives better than chance.
    NoRanking {
        /// The rows.
        on: CheckedOn,
        /// The area under the ROC curve, by deciles.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        area: f64,
        /// Its standard error if the probabilities told nothing.
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
        standard_error: f64,
    },
    /// The sampler left more than two positives for each negative, where negatives were the more frequent class.
    FewNegatives {
        /// Negatives kept.
        negatives: usize,
        /// Negatives there were.
        of: usize,
        /// Positives trained on.
        positives: usize,
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

    /// What a sampler that made this of rows of these totals should be asked about.
    pub(super) fn few_negatives(train: &ClassTotals, sample: &ClassTotals) -> Option<Self> {
        let inverted = train.negatives > train.positives && 2 * sample.negatives < sample.positives;
        (inverted && sample.negatives < train.negatives).then_some(Self::FewNegatives {
            negatives: sample.negatives,
            of: train.negatives,
            positives: sample.positives,
        })
    }
}

impl SelfCheck {
    /// What is off: empty unless a figure is off by more than chance explains.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let (on, overall) = (self.on, &self.overall);
        let ratios = |figure: &Agreement| (figure.ratio(), figure.standard_error / figure.observed);
        let mut warnings = Vec::new();
        if !self.is_rate_given && overall.standard_errors().abs() > LIMIT {
            let (predicted_over_observed, standard_error) = ratios(overall);
            warnings.push(Warning::MeanOff { on, predicted_over_observed, standard_error });
        }
        if let Some(means) = overall.left_out.filter(|means| means.standard_errors() > LIMIT) {
            warnings.push(Warning::Memorised { means });
        }
        if on == CheckedOn::Training {
            return warnings;
        }
        let worst = self.deciles.iter().enumerate().max_by(|(_, a), (_, b)| {
            a.standard_errors().abs().total_cmp(&b.standard_errors().abs())
        });
        if let Some((decile, &figure)) = worst
            && warnings.is_empty()
            && figure.standard_errors().abs() > DECILE_LIMIT
        {
            warnings.push(Warning::DecileOff { on, decile: decile + 1, figure });
        }
        let (area, standard_error) = self.ranking;
        if self.positives >= FEW_POSITIVES && area < 0.5 + standard_error {
            warnings.push(Warning::NoRanking { on, area, standard_error });
        }
        warnings
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fit(warning) => warning.fmt(f),
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
            Self::MeanOff { on, predicted_over_observed: ratio, standard_error } => {
                let remedy = match on {
                    CheckedOn::Training => {
                        "the model has not converged, or follows some of its rows too closely: take more \
                         passes, more penalty, or a calibrator that learns"
                    }
                    CheckedOn::Calibration => {
                        "take a calibrator with a free intercept, and look whether the rate changed"
                    }
                    CheckedOn::OutOfFold => {
                        "take a calibrator that learns, with a free intercept, and cross-fit it, or more \
                         penalty; and look whether the rate changed"
                    }
                };
                write!(
                    f,
                    "on the {on} predicted / observed is {ratio:.4}, not 1 ± {standard_error:.4}; {remedy}"
                )
            }
            Self::Memorised { means } => write!(
                f,
                "negatives left out by the sampler get {:.4} times the mean probability of negatives that \
                 the model saw, not 1 ± {:.4}: it has memorised these; take a calibrator that learns from \
                 other rows, cross-fitted, or more penalty, or keep more negatives",
                means.left_out / means.kept,
                means.standard_error / means.kept
            ),
            Self::DecileOff { on, decile, figure } => write!(
                f,
                "in decile {decile} of the {on} predicted / observed is {:.4}, not 1 ± {:.4}, though the \
                 mean of all is right; take a calibrator of a freer form, such as isotonic regression, or \
                 more columns",
                figure.ratio(),
                figure.standard_error / figure.observed
            ),
            Self::NoRanking { on, area, standard_error } => write!(
                f,
                "on the {on} the probabilities tell positives from negatives no better than chance: the area \
                 under the ROC curve is {area:.3}, and 0.5 ± {standard_error:.3} says nothing; look whether \
                 the model has learned (order of rows, passes, penalty) and whether the columns tell anything"
            ),
            Self::FewNegatives { negatives, of, positives } => write!(
                f,
                "the sampler kept {negatives} of {of} negatives beside {positives} positives, too few to \
                 know the odds by; keep more negatives than positives \
                 (`RandomUnderSampler::negatives_per_positive`)"
            ),
        }
    }
}
