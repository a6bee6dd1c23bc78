//! How informative are the probabilities, row by row?

use super::ranked::RankedScores;
use super::rows::{CheckedRows, Classes, Domain, WeightedRows};
use crate::core::Result;
use crate::numerics::log1p_exp;

/// The log loss: the mean negative log-likelihood, in nats.
///
/// ```text
/// LL = −Σ w ( y ln p + (1 − y) ln(1 − p) ) / Σ w
/// ```
///
/// - **Range** 0 (every row certain and right) to +∞.
/// - **p = 0 or 1**: nothing is clipped. A row that was called impossible and happened anyway, and
///   has weight, makes the loss **+∞**, which is what the likelihood says; a row that was called
///   certain and right adds 0.
/// - **One class** is no obstacle.
/// - **Rare positives**: a small number whatever the model does, as predicting the base rate
///   already gives its entropy, 0.0079 at 0.1 %. [`normalised_entropy`] divides by it.
///
/// Ties have no meaning here. [`log_loss_from_logits`] is the accurate way for logits, as a
/// probability cannot come closer to 1 than 1 − 1.1e-16.
///
/// # Errors
/// The [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::log_loss;
///
/// let loss = log_loss(&[true, false], &[0.5, 0.0], None)?;
/// assert!((loss - std::f64::consts::LN_2 / 2.0).abs() < 1e-15);
/// assert_eq!(log_loss(&[true, false], &[0.0, 0.0], None)?, f64::INFINITY);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn log_loss(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    Ok(log_loss_of(&CheckedRows::new(labels, probabilities, Domain::Probabilities, weights)?))
}

/// The [`log_loss`] of p = 1 / (1 + e⁻ᶻ), computed from the logits z.
///
/// ```text
/// LL = Σ w ( y ln(1 + e⁻ᶻ) + (1 − y) ln(1 + eᶻ) ) / Σ w
/// ```
///
/// - **Range** 0 to +∞.
/// - **Logits** are any real numbers: z = −10000 costs a positive 10000 nats, where the
///   probability would have underflowed to 0. ±∞ stand for p = 0 and 1.
/// - **One class** is no obstacle, and ties have no meaning here.
///
/// # Errors
/// The [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::log_loss_from_logits;
///
/// assert_eq!(log_loss_from_logits(&[true, false], &[-1e4, -1e4], None)?, 5e3);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn log_loss_from_logits(
    labels: &[bool],
    logits: &[f64],
    weights: Option<&[f64]>,
) -> Result<f64> {
    Ok(log_loss_of(&CheckedRows::new(labels, logits, Domain::Logits, weights)?))
}

/// Normalised entropy: the log loss as a share of what predicting the base rate costs.
///
/// ```text
/// NE = LL / −( r ln r + (1 − r) ln(1 − r) ),   r = Σ w y / Σ w
/// ```
///
/// - **Range** 0 to +∞; **1** for the constant p = r, less for a model that knows
///   something, more for one that is worse than the average. 1 − NE is the relative information
///   gain (the pseudo-R² of logistic regression).
/// - **p = 0 or 1** as in [`log_loss`]: a certain miss gives +∞.
/// - **One class**: the entropy is 0 and the ratio undefined, an error. Ties have no meaning here.
/// - **Rare positives**: made for them, as the base rate is divided out. It still judges ranking
///   and calibration together.
///
/// Source: He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", 2014.
///
/// # Errors
/// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight, and the
/// [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::normalised_entropy;
///
/// let labels = [false, false, false, true];
/// assert!((normalised_entropy(&labels, &[0.25; 4], None)? - 1.0).abs() < 1e-15);
/// assert!(normalised_entropy(&labels, &[0.1, 0.1, 0.1, 0.7], None)? < 1.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn normalised_entropy(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
) -> Result<f64> {
    let rows = CheckedRows::new(labels, probabilities, Domain::Probabilities, weights)?;
    rows.classes.ensure_both("normalised entropy")?;
    Ok(log_loss_of(&rows) / rows.classes.entropy())
}

/// The Brier score: the mean squared error of the probabilities.
///
/// ```text
/// BS = Σ w (p − y)² / Σ w
/// ```
///
/// - **Range** 0 to 1; p = 0 and p = 1 are ordinary values.
/// - **One class** is no obstacle, and ties have no meaning here.
/// - **Rare positives**: predicting 0 everywhere scores the base rate r, and predicting r scores
///   r (1 − r), almost the same. The differences that matter are in digits few people print.
///
/// Source: Brier, "Verification of forecasts expressed in terms of probability", 1950, for two
/// classes counted once, hence half of Brier's original.
///
/// # Errors
/// The [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::brier_score;
///
/// assert_eq!(brier_score(&[true, false], &[0.5, 0.0], None)?, 0.125);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn brier_score(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    Ok(brier_score_of(&CheckedRows::new(labels, probabilities, Domain::Probabilities, weights)?))
}

impl RankedScores {
    /// See [`log_loss`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if a score is no probability.
    pub fn log_loss(&self) -> Result<f64> {
        self.ensure_probabilities()?;
        Ok(log_loss_of(self))
    }

    /// See [`normalised_entropy`].
    ///
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight,
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if a score is no probability.
    pub fn normalised_entropy(&self) -> Result<f64> {
        self.classes.ensure_both("normalised entropy")?;
        Ok(self.log_loss()? / self.classes.entropy())
    }

    /// See [`brier_score`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if a score is no probability.
    pub fn brier_score(&self) -> Result<f64> {
        self.ensure_probabilities()?;
        Ok(brier_score_of(self))
    }
}

impl Classes {
    /// The entropy of the base rate, in nats; both classes must have weight.
    pub(super) fn entropy(&self) -> f64 {
        // The entropy is symmetric, and the share of the rarer class is the one without cancellation.
        let rarer = self.positive().min(self.negative()) / self.total();
        -(rarer * rarer.ln() + (1.0 - rarer) * (-rarer).ln_1p())
    }
}

fn log_loss_of(rows: &impl WeightedRows) -> f64 {
    match rows.domain() {
        Domain::Logits => rows.mean(|label, z| log1p_exp(if label { -z } else { z })),
        // `ln_1p` keeps the digits of a small p, which 1 − p rounds away.
        Domain::Scores | Domain::Probabilities => {
            rows.mean(|label, p| if label { -p.ln() } else { -(-p).ln_1p() })
        }
    }
}

fn brier_score_of(rows: &impl WeightedRows) -> f64 {
    rows.mean_over_p(|label, p| (p - f64::from(u8::from(label))).powi(2))
}
