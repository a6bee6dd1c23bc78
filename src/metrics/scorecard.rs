//! All metrics of one set of predictions at a glance.

use std::fmt;

use super::calibration::CalibrationLine;
use super::ranked::RankedScores;
use crate::core::{Fixed, Result};

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
    /// (Σwp − Σwy) / √Σw²p(1 − p): by how many standard errors more positives were predicted than came, if the
    /// probabilities are right and the rows independent. Beyond ±3 the mean is off. `None` if all probabilities
    /// are 0 or 1.
    pub standard_errors_off: Option<f64>,
    /// The p-value of the same difference, exact also for few positives; see
    /// [`Slice::p_value`](super::Slice::p_value).
    pub p_value: f64,
    /// Number of rows that have weight and are predicted at exactly 0, as a logit at −∞. Each positive among
    /// them costs an infinite log loss, and none of them is on the calibration line.
    pub rows_at_zero: usize,
    /// Number of rows that have weight and are predicted at exactly 1, as a logit at +∞.
    pub rows_at_one: usize,
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

    /// Measures logits against labels. Logits keep what probabilities round away: two logits of 68 and 70 are both
    /// p = 1, so as probabilities they are ties, and certain.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_logits(labels: &[bool], logits: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        RankedScores::from_logits(labels, logits, weights)?.scorecard()
    }

    /// Whether the constant base rate predicts better: a normalised entropy that is above 1 when rounded to four
    /// decimals.
    #[must_use]
    pub fn is_worse_than_base_rate(&self) -> bool {
        self.normalised_entropy >= 1.000_05
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
        let mean = self.mean_test();
        let [rows_at_zero, rows_at_one] = self
            .domain
            .certain()
            .map(|score| self.sorted().iter().filter(|row| row.0 == score).count());
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
            standard_errors_off: mean.standard_errors_off,
            p_value: mean.p_value,
            rows_at_zero,
            rows_at_one,
            ece: self.ece(Scorecard::BINS)?,
            // The rows are valid here, so an error means that they determine no line.
            calibration: self.calibration_line().ok(),
        })
    }
}

impl fmt::Display for Scorecard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, rows) in [
            ("rows", self.rows),
            ("positives", self.positives),
            ("predicted at 0", self.rows_at_zero),
            ("predicted at 1", self.rows_at_one),
        ] {
            writeln!(f, "{name:<24}{rows:>13}")?;
        }
        for (name, value) in [
            ("base rate", self.base_rate),
            ("ROC AUC", self.roc_auc),
            ("average precision", self.average_precision),
            ("log loss", self.log_loss),
        ] {
            writeln!(f, "{name:<24}{:>13}", Fixed(value, 8))?;
        }
        write!(f, "{:<24}{:>13}", "normalised entropy", Fixed(self.normalised_entropy, 8))?;
        let worse = self.is_worse_than_base_rate();
        writeln!(
            f,
            "{}",
            if worse { "  above 1: the constant base rate predicts better" } else { "" }
        )?;
        writeln!(f, "{:<24}{:>13}", "Brier score", Fixed(self.brier, 8))?;
        let ratio = Fixed(self.predicted_over_observed, 8);
        write!(f, "{:<24}{ratio:>13}", "predicted / observed")?;
        match self.standard_errors_off {
            Some(off) => {
                let direction = if off > 0.0 { "too many" } else { "too few" };
                let (off, p_value) = (Fixed(off.abs(), 1), self.p_value);
                writeln!(f, "  {off} standard errors {direction}, p-value {p_value:.2e}")?;
            }
            None => writeln!(f)?,
        }
        writeln!(f, "{:<24}{:>13}", "ECE", Fixed(self.ece, 8))?;
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
        let lines = rows.map(|(name, value, error)| {
            format!("{name:<24}{:>13} ± {}", Fixed(value, 8), Fixed(error, 8))
        });
        write!(f, "{}", lines.join("\n"))
    }
}
