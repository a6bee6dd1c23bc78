//! All metrics of one set of predictions at a glance.

use std::fmt;

use super::calibration::CalibrationLine;
use super::ranked::RankedScores;
use crate::core::Result;

/// All metrics of one set of predictions, from a single sort.
///
/// ```
/// use imbalance::metrics::Scorecard;
///
/// let labels = [false, false, true, false, true, false];
/// let card = Scorecard::new(&labels, &[0.1, 0.2, 0.3, 0.4, 0.6, 0.1], None)?;
/// assert_eq!(card.positives, 2);
/// assert_eq!(card.roc_auc, 0.875);
/// assert!(card.to_string().contains("ROC AUC"));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Scorecard {
    /// Number of rows that have weight.
    pub rows: usize,
    /// Number of positive rows that have weight.
    pub positives: usize,
    /// The weighted share of positives.
    pub base_rate: f64,
    /// See [`roc_auc`](super::roc_auc).
    pub roc_auc: f64,
    /// See [`average_precision`](super::average_precision).
    pub average_precision: f64,
    /// See [`log_loss`](super::log_loss).
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub log_loss: f64,
    /// See [`normalised_entropy`](super::normalised_entropy).
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub normalised_entropy: f64,
    /// See [`brier_score`](super::brier_score).
    pub brier: f64,
    /// See [`predicted_over_observed`](super::predicted_over_observed).
    pub predicted_over_observed: f64,
    /// See [`ece`](super::ece), with [`Scorecard::BINS`] bins.
    pub ece: f64,
    /// See [`calibration_line`](super::calibration_line), whose errors tell why there is none:
    /// a probability of 0 or 1, a constant probability, or classes that are separated.
    pub calibration: Option<CalibrationLine>,
}

impl Scorecard {
    /// Number of bins of the expected calibration error.
    pub const BINS: usize = 10;

    /// Measures probabilities against labels.
    ///
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight, and
    /// the [errors common to all metrics](super#errors).
    pub fn new(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        RankedScores::of_probabilities(labels, probabilities, weights)?.scorecard()
    }
}

impl RankedScores {
    /// All metrics of probabilities at a glance.
    ///
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight, and
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if a score is no probability.
    pub fn scorecard(&self) -> Result<Scorecard> {
        self.classes.ensure_both("the scorecard")?;
        self.ensure_probabilities()?;
        let log_loss = self.log_loss()?;
        Ok(Scorecard {
            rows: self.rows(),
            positives: self.positives(),
            base_rate: self.classes.base_rate(),
            roc_auc: self.roc_auc()?,
            average_precision: self.average_precision()?,
            log_loss,
            normalised_entropy: log_loss / self.classes.entropy(),
            brier: self.brier_score()?,
            predicted_over_observed: self.predicted_over_observed()?,
            ece: self.ece(Scorecard::BINS)?,
            // The rows are valid here, so an error means that they determine no line.
            calibration: self.calibration_line().ok(),
        })
    }
}

impl fmt::Display for Scorecard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24}{:>13}", "rows", self.rows)?;
        writeln!(f, "{:<24}{:>13}", "positives", self.positives)?;
        for (name, value) in [
            ("base rate", self.base_rate),
            ("ROC AUC", self.roc_auc),
            ("average precision", self.average_precision),
            ("log loss", self.log_loss),
            ("normalised entropy", self.normalised_entropy),
            ("Brier score", self.brier),
            ("predicted / observed", self.predicted_over_observed),
            ("ECE", self.ece),
        ] {
            writeln!(f, "{name:<24}{value:>13.8}")?;
        }
        let Some(line) = self.calibration else {
            return write!(f, "{:<24}{:>13}", "calibration line", "none");
        };
        let rows = [
            ("calibration intercept", line.intercept, line.intercept_standard_error),
            ("calibration slope", line.slope, line.slope_standard_error),
            (
                "intercept at slope 1",
                line.intercept_given_slope_one,
                line.intercept_given_slope_one_standard_error,
            ),
        ];
        let lines =
            rows.map(|(name, value, error)| format!("{name:<24}{value:>13.8} ± {error:.8}"));
        write!(f, "{}", lines.join("\n"))
    }
}
