//! Decisions at a threshold, and among the highest scores.

use super::ranked::RankedScores;
use super::rows::{CheckedRows, Classes, Domain, Sum, WeightedRows};
use crate::core::{Error, Result};

/// The weights of positives and negatives among flagged and unflagged rows.
///
/// The ratios are `None` where they are 0 / 0: precision if nothing is flagged, recall if there are no
/// positives. None is ever NaN.
///
/// ```
/// use imbalance::metrics::confusion;
///
/// let labels = [false, true, false, true, true];
/// let at = confusion(&labels, &[0.1, 0.2, 0.5, 0.5, 0.9], None, 0.5)?;
/// assert_eq!((at.true_positives, at.false_positives), (2.0, 1.0));
/// assert_eq!((at.precision(), at.recall()), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Confusion {
    /// Weight of the positives that are flagged.
    pub true_positives: f64,
    /// Weight of the negatives that are flagged.
    pub false_positives: f64,
    /// Weight of the positives that are not flagged.
    pub false_negatives: f64,
    /// Weight of the negatives that are not flagged.
    pub true_negatives: f64,
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).min(1.0))
}

impl Confusion {
    /// Weight of the rows that are flagged.
    #[must_use]
    pub fn flagged(&self) -> f64 {
        self.true_positives + self.false_positives
    }

    /// Weight of the positives.
    #[must_use]
    pub fn positives(&self) -> f64 {
        self.true_positives + self.false_negatives
    }

    /// Weight of the negatives.
    #[must_use]
    pub fn negatives(&self) -> f64 {
        self.false_positives + self.true_negatives
    }

    /// Weight of all rows.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.positives() + self.negatives()
    }

    /// Share of the rows that are flagged, in \[0, 1\].
    #[must_use]
    pub fn flagged_share(&self) -> Option<f64> {
        ratio(self.flagged(), self.total())
    }

    /// Share of positives among the flagged rows, TP / (TP + FP), in \[0, 1\]; `None` if nothing is
    /// flagged. At a rare base rate it is small for any threshold that finds much.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.flagged())
    }

    /// Share of the positives that are flagged, TP / (TP + FN), in \[0, 1\]: sensitivity, true positive
    /// rate, gain; `None` without positives.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.positives())
    }

    /// Share of the negatives that are not flagged, TN / (TN + FP), in \[0, 1\]; `None` without
    /// negatives.
    #[must_use]
    pub fn specificity(&self) -> Option<f64> {
        ratio(self.true_negatives, self.negatives())
    }

    /// `F_β = (1 + β²) TP / ((1 + β²) TP + β² FN + FP)`, in \[0, 1\]: the harmonic mean of precision and
    /// recall, in which recall counts β times as much. `None` if there are no positives and nothing is
    /// flagged.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless β is positive and finite.
    pub fn f_beta(&self, beta: f64) -> Result<Option<f64>> {
        ensure_beta(beta)?;
        Ok(self.f(beta))
    }

    /// F₁, the [`f_beta`](Self::f_beta) of β = 1.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        self.f(1.0)
    }

    /// `F_β` of a β that was checked.
    pub(super) fn f(&self, beta: f64) -> Option<f64> {
        // Divided by 1 + β², so that no β overflows.
        let share = 1.0 / (1.0 + beta * beta);
        let missed = (1.0 - share) * self.false_negatives + share * self.false_positives;
        ratio(self.true_positives, self.true_positives + missed)
    }

    /// The mean of recall and specificity, in \[0, 1\]; ½ for random flags. `None` if a
    /// class is missing.
    #[must_use]
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some(0.5 * (self.recall()? + self.specificity()?))
    }

    /// √(recall · specificity), in \[0, 1\]; `None` if a class is missing. Kubat & Matwin 1997.
    #[must_use]
    pub fn g_mean(&self) -> Option<f64> {
        Some((self.recall()? * self.specificity()?).sqrt())
    }

    /// The share of rows decided rightly, (TP + TN) / W, in \[0, 1\]. At a base rate of 0.1 % flagging
    /// nothing has 0.999.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.true_positives + self.true_negatives, self.total())
    }

    /// Matthews' correlation of label and flag, in \[−1, 1\],
    ///
    /// ```text
    /// MCC = (TP·TN − FP·FN) / √( (TP + FP)(TP + FN)(TN + FP)(TN + FN) )
    /// ```
    ///
    /// 0 for random flags; `None` if all rows have one label or one flag, for which
    /// scikit-learn says 0. Matthews 1975.
    #[must_use]
    pub fn mcc(&self) -> Option<f64> {
        let total = self.total();
        let margins = [
            self.flagged(),
            self.positives(),
            self.negatives(),
            self.true_negatives + self.false_negatives,
        ];
        let [tp, fp, fn_, tn] =
            [self.true_positives, self.false_positives, self.false_negatives, self.true_negatives]
                .map(|weight| weight / total);
        // The product of roots, as that of margins far below 1 would vanish.
        let scale: f64 = margins.iter().map(|margin| (margin / total).sqrt()).product();
        (scale > 0.0).then(|| ((tp * tn - fp * fn_) / scale).clamp(-1.0, 1.0))
    }

    /// Precision over base rate, in \[0, 1 / base rate\]: how many times more positives are among the
    /// flagged rows than among as many rows drawn at random. `None` without positives, or if nothing is
    /// flagged.
    #[must_use]
    pub fn lift(&self) -> Option<f64> {
        let lift = self.precision()? / ratio(self.positives(), self.total())?;
        lift.is_finite().then_some(lift)
    }

    /// The sum over several sets of rows.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            true_positives: self.true_positives + other.true_positives,
            false_positives: self.false_positives + other.false_positives,
            false_negatives: self.false_negatives + other.false_negatives,
            true_negatives: self.true_negatives + other.true_negatives,
        }
    }
}

pub(super) fn ensure_beta(beta: f64) -> Result<()> {
    if beta > 0.0 && beta.is_finite() {
        Ok(())
    } else {
        Err(Error::invalid("beta", beta, "positive and finite; 1 is usual, 2 prizes recall"))
    }
}

/// The confusion matrix of flagging the rows with score ≥ `threshold`.
///
/// Precision, recall, `F_β`, MCC, G-mean and balanced accuracy are methods of the [`Confusion`]. Rows that
/// tie with the threshold are flagged together; a threshold of +∞ flags only scores of +∞, one of −∞
/// flags everything. Scores are any real numbers, and p = 0 and 1 ordinary ones. One class is no
/// obstacle. No sort.
///
/// # Errors
/// [`Error::InvalidArgument`] if the threshold is NaN, and the [errors common to all
/// metrics](super#errors).
///
/// ```
/// use imbalance::metrics::confusion;
///
/// let at = confusion(&[true, false, false], &[0.9, 0.9, 0.1], Some(&[1.0, 2.0, 1.0]), 0.5)?;
/// assert_eq!(at.precision(), Some(1.0 / 3.0));
/// assert_eq!(at.balanced_accuracy(), Some(2.0 / 3.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn confusion(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    threshold: f64,
) -> Result<Confusion> {
    ensure_threshold(threshold)?;
    Ok(at_threshold(&CheckedRows::new(labels, scores, Domain::Scores, weights)?, threshold))
}

/// The share of the positives among the k rows of highest score.
///
/// ```text
/// recall@k = weight of positives among the top k / weight of all positives
/// ```
///
/// - **Range** 0 to 1; random scores have k / W.
/// - **k** is a weight: a row of weight 2 takes two places. Beyond the total weight it is the total.
/// - **Ties**: of the rows that share the last score among the top k, the share that fits counts, which is
///   the mean over all orders of the tied rows.
/// - **One class**: without positives undefined, an error.
///
/// # Errors
/// [`Error::OneClass`] if positives have no weight, [`Error::InvalidArgument`] unless k is positive, and
/// the [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::recall_at_k;
///
/// // One of the two rows of score 0.5 fits: half a positive of two.
/// assert_eq!(recall_at_k(&[true, false, true, false], &[0.9, 0.5, 0.5, 0.1], None, 2.0)?, 0.75);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn recall_at_k(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    k: f64,
) -> Result<f64> {
    let rows = RankedScores::new(labels, scores, weights)?;
    rows.classes.ensure_positives("recall at k")?;
    Ok(rows.top(k)?.recall().unwrap_or(0.0))
}

/// The share of positives among the k rows of highest score.
///
/// ```text
/// precision@k = weight of positives among the top k / k
/// ```
///
/// - **Range** 0 to 1; random scores have the base rate.
/// - **k** and **ties** as in [`recall_at_k`]; one class is no obstacle.
///
/// # Errors
/// [`Error::InvalidArgument`] unless k is positive, and the [errors common to all
/// metrics](super#errors).
///
/// ```
/// use imbalance::metrics::precision_at_k;
///
/// assert_eq!(precision_at_k(&[true, false, true, false], &[0.9, 0.5, 0.5, 0.1], None, 2.0)?, 0.75);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn precision_at_k(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    k: f64,
) -> Result<f64> {
    Ok(RankedScores::new(labels, scores, weights)?.top(k)?.precision().unwrap_or(0.0))
}

/// How many times more positives are in the top share of the rows than in the same number of random rows.
///
/// ```text
/// lift = precision among the top share · W / base rate
/// ```
///
/// - **Range** 0 to 1 / max(share, base rate); 1 for random scores.
/// - **Ties** as in [`recall_at_k`], of which it is the multiple 1 / share.
/// - **One class**: without positives undefined, an error.
///
/// # Errors
/// [`Error::OneClass`] if positives have no weight, [`Error::InvalidArgument`] unless 0 < share ≤ 1, and
/// the [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::lift_at;
///
/// assert_eq!(lift_at(&[true, false, false, false], &[0.9, 0.5, 0.2, 0.1], None, 0.25)?, 4.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn lift_at(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    share: f64,
) -> Result<f64> {
    let rows = RankedScores::new(labels, scores, weights)?;
    rows.classes.ensure_positives("lift")?;
    Ok(rows.top_share(share)?.recall().unwrap_or(0.0) / share)
}

impl RankedScores {
    /// The confusion matrix of flagging score ≥ `threshold`; see [`confusion`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the threshold is NaN.
    pub fn confusion(&self, threshold: f64) -> Result<Confusion> {
        ensure_threshold(threshold)?;
        Ok(at_threshold(self, threshold))
    }

    /// The confusion matrix of flagging the `k` rows (by weight) of highest score, of which
    /// [`recall_at_k`] and [`precision_at_k`] are read.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `k` is positive.
    pub fn top(&self, k: f64) -> Result<Confusion> {
        if k.is_nan() || k <= 0.0 {
            return Err(Error::invalid("k", k, "a positive number of rows"));
        }
        Ok(self.top_weight(k / self.classes.unit))
    }

    /// The confusion matrix of flagging the `share` of the rows (by weight) of highest score: its
    /// recall is the gain, and its [`lift`](Confusion::lift) the lift at that share.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `share` ≤ 1.
    pub fn top_share(&self, share: f64) -> Result<Confusion> {
        ensure_share("share", share)?;
        Ok(self.top_weight(share * self.classes.total()))
    }

    /// The rows of highest score up to a weight in the unit of the weights.
    fn top_weight(&self, capacity: f64) -> Confusion {
        let (mut true_positive, mut false_positive) = (Sum::default(), Sum::default());
        for group in self.groups().rev() {
            let left = capacity - (true_positive.value() + false_positive.value());
            if left <= 0.0 {
                break;
            }
            let share = (left / group.weight()).min(1.0);
            true_positive.add(share * group.positive);
            false_positive.add(share * group.negative);
        }
        self.classes.confusion(true_positive.value(), false_positive.value())
    }
}

pub(super) fn ensure_share(argument: &'static str, share: f64) -> Result<()> {
    if share > 0.0 && share <= 1.0 {
        Ok(())
    } else {
        Err(Error::invalid(argument, share, "above 0 and at most 1"))
    }
}

fn ensure_threshold(threshold: f64) -> Result<()> {
    if threshold.is_nan() {
        return Err(Error::invalid("threshold", threshold, "a number"));
    }
    Ok(())
}

fn at_threshold(rows: &impl WeightedRows, threshold: f64) -> Confusion {
    let flagged = |class: bool| {
        rows.sum(move |label, score| f64::from(u8::from(label == class && score >= threshold)))
    };
    rows.classes().confusion(flagged(true), flagged(false))
}

impl Classes {
    /// The confusion matrix of flagged weights, in the unit of the weights.
    pub(super) fn confusion(&self, true_positive: f64, false_positive: f64) -> Confusion {
        // Rounding must not make a weight negative.
        let unflagged = |whole: f64, flagged: f64| (whole - flagged).max(0.0) * self.unit;
        Confusion {
            true_positives: true_positive * self.unit,
            false_positives: false_positive * self.unit,
            false_negatives: unflagged(self.positive(), true_positive),
            true_negatives: unflagged(self.negative(), false_positive),
        }
    }
}
