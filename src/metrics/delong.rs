//! How sure is the area under the ROC curve?

use statrs::function::erf::erfc;

use super::interval::{Interval, check_level, two_sided_quantile};
use super::ordered::Ordered;
use super::ranked::Ranked;
use super::ranking::auc_of;
use super::rows::{Domain, Rows, Sum, Weighted};
use crate::Result;

/// The [`roc_auc`](super::roc_auc) with its standard error and interval by DeLong's method.
///
/// ```text
/// Var = Σᵢ wᵢ²(Vᵢ − AUC)² / W₊² · m/(m − 1) + Σⱼ wⱼ²(Vⱼ − AUC)² / W₋² · n/(n − 1)
/// ```
///
/// where Vᵢ is the share of the negatives that positive i outranks, and Vⱼ the share of the positives
/// that outrank negative j (ties count ½), of m positives and n negatives that have weight. With equal
/// weights this is DeLong, DeLong & Clarke-Pearson 1988, exactly. For other weights it is its linearised
/// extension, right for rows drawn independently that stand for more or fewer rows of the population;
/// so **a weight of 2 is not two rows** here, as one row knows less than two. With a single row of a
/// class that class adds no variance, which is not known.
///
/// The interval is symmetric in logit(AUC), so that it stays within \[0, 1\] and covers well near 1. At
/// an AUC of exactly 0 or 1 the method knows no variance: the standard error is 0 and the interval
/// the point. The cost is one sort.
///
/// # Errors
///
/// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight,
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless 0 < `level` < 1, and the [errors
/// common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::roc_auc_interval;
///
/// let labels = [false, false, true, false, true, true];
/// let auc = roc_auc_interval(&labels, &[0.1, 0.2, 0.3, 0.4, 0.6, 0.7], None, 0.95)?;
/// assert!((auc.estimate - 8.0 / 9.0).abs() < 1e-15);
/// // Placements: positives 2/3, 1, 1 and negatives 1, 1, 2/3; both of variance 1/27.
/// assert!((auc.standard_error - (2.0_f64 / 27.0 / 3.0).sqrt()).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn roc_auc_interval(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    level: f64,
) -> Result<Interval> {
    Ranked::new(labels, scores, weights)?.roc_auc_interval(level)
}

/// Two AUCs on the same rows; see [`compare_roc_auc`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PairedAuc {
    /// AUC of the first model.
    pub first: f64,
    /// AUC of the second model.
    pub second: f64,
    /// First less second.
    pub difference: Interval,
    /// Two-sided p-value of no difference; 1 where neither difference nor variance is seen.
    pub p_value: f64,
}

/// DeLong's test of two models on the same rows: the difference of their AUCs, with the covariance that
/// comes from judging them on the same rows.
///
/// Weights as in [`roc_auc_interval`]. The interval is symmetric in the difference and the p-value
/// that of a normal z = difference / standard error. Two sorts.
///
/// # Errors
///
/// As [`roc_auc_interval`].
///
/// ```
/// use imbalance::metrics::compare_roc_auc;
///
/// let labels = [false, false, true, false, true, true];
/// let scores = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7];
/// let same = compare_roc_auc(&labels, &scores, &scores, None, 0.95)?;
/// assert_eq!((same.difference.estimate, same.p_value), (0.0, 1.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn compare_roc_auc(
    labels: &[bool],
    first: &[f64],
    second: &[f64],
    weights: Option<&[f64]>,
    level: f64,
) -> Result<PairedAuc> {
    let rows = Rows::new(labels, first, Domain::Scores, weights)?;
    rows.need_both_classes("the comparison of ROC AUCs")?;
    compare(&Ordered::of(&rows), &Ordered::new(labels, second, Domain::Scores, weights)?, level)
}

/// [`compare_roc_auc`] of two models on the same rows that are sorted already.
pub(crate) fn compare(one: &Ordered, other: &Ordered, level: f64) -> Result<PairedAuc> {
    check_level(level)?;
    one.ranked().need_both_classes("the comparison of ROC AUCs")?;
    let (first, mut influence) = influences(one);
    let (second, subtracted) = influences(other);
    influence.iter_mut().zip(subtracted).for_each(|(own, other)| *own -= other);

    // Σ(difference of influences)² is the variance of the difference, covariance included.
    let mut squares = [Sum::default(); 2];
    for ((_, weight), row) in one.rows() {
        squares[usize::from(weight > 0.0)].add(influence[row] * influence[row]);
    }
    let standard_error = standard_error(squares.map(Sum::value), one.ranked().counts());
    let estimate = first - second;
    let margin = two_sided_quantile(level) * standard_error;
    let p_value = match (estimate == 0.0, standard_error == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        _ => erfc((estimate / standard_error).abs() / std::f64::consts::SQRT_2),
    };
    let (lower, upper) = ((estimate - margin).max(-1.0), (estimate + margin).min(1.0));
    let difference = Interval { estimate, standard_error, lower, upper, level };
    Ok(PairedAuc { first, second, difference, p_value })
}

impl Ranked {
    /// See [`roc_auc_interval`].
    ///
    /// # Errors
    ///
    /// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight, and
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless 0 < `level` < 1.
    pub fn roc_auc_interval(&self, level: f64) -> Result<Interval> {
        check_level(level)?;
        self.need_both_classes("the interval of ROC AUC")?;
        let auc = auc_of(self);
        let mut squares = [Sum::default(); 2];
        placements(self, |row, placement| {
            let weight = self.sorted()[row].1;
            let class = usize::from(weight > 0.0);
            let influence = weight * (placement - auc) / self.class_weights()[class];
            squares[class].add(influence * influence);
        });
        let standard_error = standard_error(squares.map(Sum::value), self.counts());
        let (lower, upper) = logit_interval(auc, standard_error, two_sided_quantile(level));
        Ok(Interval { estimate: auc, standard_error, lower, upper, level })
    }
}

/// Ends of the interval that is symmetric in logit(estimate).
fn logit_interval(estimate: f64, standard_error: f64, z: f64) -> (f64, f64) {
    let variance = estimate * (1.0 - estimate);
    if standard_error == 0.0 || variance == 0.0 {
        return (estimate, estimate);
    }
    let factor = (z * standard_error / variance).exp();
    let odds = |factor: f64| estimate / (estimate + (1.0 - estimate) * factor);
    (odds(factor), odds(1.0 / factor))
}

/// Root of the two classes' sums of squares, with n / (n − 1) each.
fn standard_error(squares: [f64; 2], counts: [usize; 2]) -> f64 {
    let of = |class: usize| {
        let n = counts[class] as f64;
        if n > 1.0 { squares[class] * n / (n - 1.0) } else { 0.0 }
    };
    (of(0) + of(1)).sqrt()
}

/// Calls `each(sorted row, placement)`: the share of the other class that lies on the right side.
fn placements(rows: &Ranked, mut each: impl FnMut(usize, f64)) {
    let [all_negative, all_positive] = rows.class_weights();
    let (mut positive, mut negative) = (Sum::default(), Sum::default());
    let mut row = 0;
    for tie in rows.ties() {
        let of_positive = (negative.value() + 0.5 * tie.negative) / all_negative;
        let of_negative = 1.0 - (positive.value() + 0.5 * tie.positive) / all_positive;
        for place in row..row + tie.rows {
            let positive = rows.sorted()[place].1 > 0.0;
            each(place, if positive { of_positive } else { of_negative });
        }
        positive.add(tie.positive);
        negative.add(tie.negative);
        row += tie.rows;
    }
}

/// The AUC, and what each row of the caller adds to it: w (V − AUC) / W of its class.
fn influences(rows: &Ordered) -> (f64, Vec<f64>) {
    let ranked = rows.ranked();
    let auc = auc_of(ranked);
    let mut influence = vec![0.0; rows.len()];
    placements(ranked, |sorted, placement| {
        let (label, _, weight) = ranked.row(sorted);
        let whole = ranked.class_weights()[usize::from(label)];
        influence[rows.place(sorted)] = weight * (placement - auc) / whole;
    });
    (auc, influence)
}
