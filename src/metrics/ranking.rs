//! Does the score put positives above negatives?

use super::ranked::RankedScores;
use super::rows::Sum;
use crate::core::Result;

/// The area under the ROC curve: how often a positive outranks a negative.
///
/// ```text
/// AUC = Σᵢ Σⱼ wᵢ wⱼ ( [sᵢ > sⱼ] + ½ [sᵢ = sⱼ] ) / (W₊ W₋),   i positive, j negative
/// ```
///
/// - **Range** 0 to 1; random scores have ½, and negating the scores gives 1 − AUC.
/// - **Scores** are any real numbers, higher meaning more likely positive; ±∞ are the ends of the
///   order. Only their order counts, so it says nothing about calibration.
/// - **Ties** count one half, which is the trapezoidal area under the curve.
/// - **One class**: undefined, an error.
/// - **Rare positives**: the base rate does not enter, so 0.9 can go with a precision of 1 % at
///   every useful threshold. Read [`average_precision`] next to it.
///
/// Source: Bamber, "The area above the ordinal dominance graph and the area below the receiver
/// operating characteristic graph", 1975. Costs one sort.
///
/// # Errors
/// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight, and the
/// [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::roc_auc;
///
/// let labels = [false, true, false, true];
/// assert_eq!(roc_auc(&labels, &[0.1, 0.3, 0.3, 0.8], None)?, 0.875);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn roc_auc(labels: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    RankedScores::new(labels, scores, weights)?.roc_auc()
}

/// Average precision: the precision at every threshold, averaged over the positives it finds.
///
/// ```text
/// AP = Σₖ (Rₖ − Rₖ₋₁) Pₖ,   k over the distinct scores from the highest down,
/// Pₖ = weight of positives with s ≥ sₖ / weight of all rows with s ≥ sₖ
/// Rₖ = weight of positives with s ≥ sₖ / weight of all positives
/// ```
///
/// - **Range** above 0, up to 1; random scores have the base rate, not ½.
/// - **Scores** are any real numbers and ±∞; only their order counts.
/// - **Ties** are one threshold: rows of equal score are found together. The steps are not
///   interpolated, so this is the definition of scikit-learn's `average_precision_score`, which
///   the trapezoidal area under the precision-recall curve overstates.
/// - **One class**: without positives there is no recall, an error; without negatives it is 1.
/// - **Rare positives**: proportional to the base rate where precision is low. Compare two models
///   on the same rows only, and never a resampled set with the population.
///
/// # Errors
/// [`Error::OneClass`](crate::Error::OneClass) if positives have no weight, and the [errors common
/// to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::average_precision;
///
/// let labels = [false, true, false, true];
/// // Half of the positives at precision 1, the other half at precision 2/3.
/// let precision = average_precision(&labels, &[-3.0, -1.0, -1.0, 5.0], None)?;
/// assert!((precision - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn average_precision(labels: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    RankedScores::new(labels, scores, weights)?.average_precision()
}

impl RankedScores {
    /// See [`roc_auc`].
    ///
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight.
    pub fn roc_auc(&self) -> Result<f64> {
        self.classes.ensure_both("ROC AUC")?;
        let (mut below, mut won) = (Sum::default(), Sum::default());
        for group in self.groups() {
            won.add(group.positive * (below.value() + 0.5 * group.negative));
            below.add(group.negative);
        }
        // Rounding must not carry a perfect ranking past 1.
        Ok((won.value() / (self.classes.positive() * self.classes.negative())).min(1.0))
    }

    /// See [`average_precision`].
    ///
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass) if positives have no weight.
    pub fn average_precision(&self) -> Result<f64> {
        self.classes.ensure_positives("average precision")?;
        let (mut found, mut flagged, mut area) = (Sum::default(), Sum::default(), Sum::default());
        for group in self.groups().rev() {
            found.add(group.positive);
            flagged.add(group.weight());
            area.add(group.positive * (found.value() / flagged.value()));
        }
        Ok((area.value() / self.classes.positive()).min(1.0))
    }
}
