//! How sure is the area under the ROC curve?

use super::interval::{
    Interval, ensure_level, logit_interval, normal_share, student_p_value, student_quantile,
    unanimous_interval,
};
use super::ranked::RankedScores;
use super::rows::{Domain, Sum, WeightedRows};
use super::sorted_rows::SortedRows;
use crate::core::{Result, Run};

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
/// so **a weight of 2 is not two rows** here, as one row carries less information than two.
///
/// The interval is symmetric in logit(AUC), so that it stays within \[0, 1\] and covers well near 1;
/// [`roc_auc_wald_interval`] is symmetric in the AUC. Few positives show too little of how placements vary: those of a
/// good model are all near 1, until one is not. So the interval adds to the m placements of the positives one more of
/// the largest variance that placements of this mean can have, AUC(1 − AUC); likewise to the n of the negatives; and takes
/// Student's t with min(m, n) degrees of freedom. Without that, an interval at 95 % misses in 15 % of the samples for
/// 3 to 12 positives and an AUC of 0.95; `docs/reliability.md` has the shares with it. The standard error is DeLong's.
///
/// Where the sample has no variance, as at an AUC of exactly 0 or 1, the population has some, and the
/// standard error is `None`. There all pairs of a positive and a negative are ranked alike, among them
/// k = min(m, n) pairs that share no row and so are independent. By Clopper and Pearson's bound a pair is
/// ranked this way with a probability of at least q = ((1 − `level`)/2)^(1/k), so the interval reaches from
/// q · AUC to q · AUC + 1 − q: for 50 positives that are all ranked above the negatives, \[0.929, 1\] at
/// 95 %. With weights, m and n are the effective numbers (Σw)²/Σw². A class of one row has no variance
/// either and gives no bound: the interval is \[0, 1\]. The cost is one sort.
///
/// # Errors
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
/// let standard_error = auc.standard_error.unwrap();
/// assert!((standard_error - (2.0_f64 / 27.0 / 3.0).sqrt()).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn roc_auc_interval(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    level: f64,
) -> Result<Interval> {
    RankedScores::new(labels, scores, weights)?.roc_auc_interval(level)
}

/// The [`roc_auc`](super::roc_auc) with its standard error, and the interval AUC ± t · SE within \[0, 1\], with t of
/// Student's distribution with min(m, n) − 1 degrees of freedom: DeLong's interval without a logit, as pROC's `ci.auc`
/// prints it, where t is the normal quantile.
///
/// It misses more often than its level says for a good model and few rows of a class, in up to 31 % of the samples in
/// place of 5 %, as placements near 1 are skewed: [`WaldAuc::is_reliable`] says where. [`roc_auc_interval`] has no such limit.
/// Where the sample has no variance, as there.
///
/// # Errors
/// As [`roc_auc_interval`].
///
/// ```
/// use imbalance::metrics::roc_auc_wald_interval;
///
/// let labels = [false, false, true, false, true, true];
/// let auc = roc_auc_wald_interval(&labels, &[0.1, 0.2, 0.3, 0.4, 0.6, 0.7], None, 0.5)?;
/// // t of 2 degrees of freedom at 50 % is √(2/3).
/// let margin = (2.0_f64 / 3.0).sqrt() * auc.interval.standard_error.unwrap();
/// assert!((auc.interval.lower - (auc.interval.estimate - margin)).abs() < 1e-12);
/// assert!(!auc.is_reliable);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn roc_auc_wald_interval(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
    level: f64,
) -> Result<WaldAuc> {
    RankedScores::new(labels, scores, weights)?.roc_auc_wald_interval(level)
}

/// An AUC's interval by Wald's approximation; see [`roc_auc_wald_interval`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct WaldAuc {
    /// AUC ± t · standard error within \[0, 1\].
    pub interval: Interval,
    /// Whether the interval can be relied on to miss about as often as its level says: min(m, n) · AUC(1 − AUC) ≥ 5, the
    /// usual bound of a normal approximation to a share. `docs/reliability.md` has the misses.
    pub is_reliable: bool,
}

impl std::fmt::Display for WaldAuc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.interval.fmt(f)?;
        if self.is_reliable { Ok(()) } else { f.write_str(" (too few rows for this AUC)") }
    }
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
    /// Two-sided p-value of no difference; `None` where a difference was seen whose standard error is not known.
    pub p_value: Option<f64>,
}

/// DeLong's test of two models on the same rows: the difference of their AUCs, with the covariance of
/// two AUCs on the same rows.
///
/// Weights as in [`roc_auc_interval`]. The interval is symmetric about the difference, and the p-value is
/// that of t = difference / standard error, both by Student's t with min(m, n) − 1 degrees of freedom; m and n are the
/// rows of each class, with weights their effective numbers. (Degrees of freedom by Welch and Satterthwaite's formula are
/// more than that, and give 11 % of false alarms in place of 5 % for 2 positives: where the rarer class shows little
/// variance by chance, they count the other class's rows.)
///
/// Two models that rank all rows alike differ by exactly 0: the interval is \[0, 0\], and the p-value is 1. Where the
/// difference d has no variance in the sample for another reason, the standard error is `None`, the interval is
/// q · d ± (1 − q), with q as in [`roc_auc_interval`], and the p-value is 1 for d = 0 and else `None`. Two sorts.
///
/// # Errors
/// As [`roc_auc_interval`].
///
/// ```
/// use imbalance::metrics::compare_roc_auc;
///
/// let labels = [false, false, true, false, true, true];
/// let scores = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7];
/// let other = [0.1, 0.5, 0.3, 0.2, 0.4, 0.7];
/// let auc = compare_roc_auc(&labels, &scores, &other, None, 0.95)?;
/// assert!((auc.difference.estimate - 1.0 / 9.0).abs() < 1e-15);
/// assert!(auc.difference.contains(0.0) && auc.p_value > Some(0.05));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn compare_roc_auc(
    labels: &[bool],
    first: &[f64],
    second: &[f64],
    weights: Option<&[f64]>,
    level: f64,
) -> Result<PairedAuc> {
    let sort =
        |scores: &[f64]| SortedRows::new(labels, scores, Domain::Scores, weights, &Run::default());
    compare(&sort(first)?, &sort(second)?, level)
}

/// [`compare_roc_auc`] of two models on the same rows that are sorted already.
pub(crate) fn compare(one: &SortedRows, other: &SortedRows, level: f64) -> Result<PairedAuc> {
    ensure_level(level)?;
    one.ranked().classes.ensure_both("the comparison of ROC AUCs")?;
    let (first, mut influence) = influences(one)?;
    let (second, subtracted) = influences(other)?;
    influence.iter_mut().zip(subtracted).for_each(|(own, other)| *own -= other);

    // Σ(difference of influences)² is the variance of the difference, covariance included.
    let mut seen = [Spread::default(); 2];
    for ((_, weight), row) in one.rows() {
        seen[usize::from(weight > 0.0)].add(weight.abs(), influence[row]);
    }
    let estimate = first - second;
    let standard_error = standard_error(&seen);
    let degrees = fewest(&seen) - 1.0;
    let (lower, upper) = match standard_error {
        Some(error) => wald(estimate, error, -1.0, level, degrees),
        None if estimate == 0.0 && ranks(one) == ranks(other) => (0.0, 0.0),
        None => unanimous(estimate, -1.0, &seen, level),
    };
    let p_value = match standard_error {
        Some(error) => Some(student_p_value(estimate / error, degrees.max(1.0))),
        None => (estimate == 0.0).then_some(1.0),
    };
    let difference = Interval { estimate, standard_error, lower, upper, level };
    Ok(PairedAuc { first, second, difference, p_value })
}

/// The rank of each row of the caller; rows of equal score share one.
fn ranks(rows: &SortedRows) -> Vec<usize> {
    let mut ranks = vec![0; rows.len()];
    let (mut rank, mut last) = (0, f64::NAN);
    for ((score, _), row) in rows.rows() {
        rank += usize::from(score != last);
        (ranks[row], last) = (rank, score);
    }
    ranks
}

impl RankedScores {
    /// See [`roc_auc_interval`].
    ///
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass) if positives or negatives have no weight, and
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless 0 < `level` < 1.
    pub fn roc_auc_interval(&self, level: f64) -> Result<Interval> {
        let (auc, standard_error, seen) = self.delong(level)?;
        let (lower, upper) = match standard_error {
            Some(_) => {
                let error = cautious_error(auc, &seen);
                logit_interval(auc, error, student_quantile(level, fewest(&seen)))
            }
            None => unanimous(auc, 0.0, &seen, level),
        };
        Ok(Interval { estimate: auc, standard_error, lower, upper, level })
    }

    /// See [`roc_auc_wald_interval`].
    ///
    /// # Errors
    /// As [`roc_auc_interval`](Self::roc_auc_interval).
    pub fn roc_auc_wald_interval(&self, level: f64) -> Result<WaldAuc> {
        let (auc, standard_error, seen) = self.delong(level)?;
        let k = fewest(&seen);
        let (lower, upper) = match standard_error {
            Some(error) => wald(auc, error, 0.0, level, k - 1.0),
            None => unanimous(auc, 0.0, &seen, level),
        };
        let interval = Interval { estimate: auc, standard_error, lower, upper, level };
        Ok(WaldAuc { interval, is_reliable: normal_share(auc, k) })
    }

    /// The AUC, its standard error, and what each class contributes to it.
    fn delong(&self, level: f64) -> Result<(f64, Option<f64>, [Spread; 2])> {
        ensure_level(level)?;
        self.classes.ensure_both("the interval of ROC AUC")?;
        let auc = self.roc_auc()?;
        let mut seen = [Spread::default(); 2];
        placements(self, |row, placement| {
            let (label, _, weight) = self.row(row);
            let class = usize::from(label);
            seen[class].add(weight, weight * (placement - auc) / self.classes.weights[class]);
        });
        // Next to weights of 1e160 a row can move the variance, and not the AUC.
        let standard_error = standard_error(&seen).filter(|_| 0.0 < auc && auc < 1.0);
        Ok((auc, standard_error, seen))
    }
}

/// Ends of estimate ± t · standard error, in a range from `least` to 1.
fn wald(estimate: f64, error: f64, least: f64, level: f64, degrees: f64) -> (f64, f64) {
    let margin = student_quantile(level, degrees.max(1.0)) * error;
    ((estimate - margin).max(least), (estimate + margin).min(1.0))
}

/// The part of the variance that the rows of a class contribute.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    rows: usize,
    weights: Sum,
    squared_weights: Sum,
    squared_influences: Sum,
}

impl Spread {
    fn add(&mut self, weight: f64, influence: f64) {
        self.rows += usize::from(weight > 0.0);
        self.weights.add(weight);
        self.squared_weights.add(weight * weight);
        self.squared_influences.add(influence * influence);
    }

    /// The sum of squares with n / (n − 1); unknown for a single row.
    fn variance(&self) -> Option<f64> {
        let n = self.rows as f64;
        (self.rows > 1).then(|| self.squared_influences.value() * n / (n - 1.0))
    }

    /// The number of rows of equal weight with the same information.
    fn effective_rows(&self) -> f64 {
        let weight = self.weights.value();
        // Squares of extreme weights leave the range of f64.
        (weight / self.squared_weights.value() * weight).min(self.rows as f64).max(1.0)
    }
}

/// The rows of the class that has fewer of them.
fn fewest(seen: &[Spread; 2]) -> f64 {
    seen.iter().map(Spread::effective_rows).fold(f64::INFINITY, f64::min)
}

/// The standard error with one more placement of the largest variance in each class; see [`roc_auc_interval`].
fn cautious_error(auc: f64, seen: &[Spread; 2]) -> f64 {
    let variance = seen.iter().map(|class| {
        let m = class.effective_rows();
        ((m - 1.0) * class.variance().unwrap_or(0.0) + auc * (1.0 - auc) / m) / m
    });
    variance.sum::<f64>().sqrt()
}

/// The standard error from negatives and positives; `None` where they have no variance.
fn standard_error([negative, positive]: &[Spread; 2]) -> Option<f64> {
    let variance = negative.variance()? + positive.variance()?;
    (variance > 0.0).then(|| variance.sqrt())
}

/// The interval where all pairs of a positive and a negative have the same value, in a range from `least`
/// to 1; see [`roc_auc_interval`].
fn unanimous(value: f64, least: f64, seen: &[Spread; 2], level: f64) -> (f64, f64) {
    if seen.iter().any(|class| class.rows < 2) {
        return (least, 1.0);
    }
    let (lower, upper) = unanimous_interval((value - least) / (1.0 - least), fewest(seen), level);
    (least + (1.0 - least) * lower, least + (1.0 - least) * upper)
}

/// Calls `each(sorted row, placement)`; a placement is the share of the other class that is ranked on the
/// correct side of the row.
fn placements(rows: &RankedScores, mut each: impl FnMut(usize, f64)) {
    let [all_negative, all_positive] = rows.classes.weights;
    let (mut positive, mut negative) = (Sum::default(), Sum::default());
    let mut row = 0;
    for group in rows.groups() {
        let of_positive = (negative.value() + 0.5 * group.negative) / all_negative;
        let of_negative = 1.0 - (positive.value() + 0.5 * group.positive) / all_positive;
        for place in row..row + group.rows {
            let positive = rows.sorted()[place].1 > 0.0;
            each(place, if positive { of_positive } else { of_negative });
        }
        positive.add(group.positive);
        negative.add(group.negative);
        row += group.rows;
    }
}

/// The AUC, and the influence of each row of the caller on it: w (V − AUC) / W of its class.
fn influences(rows: &SortedRows) -> Result<(f64, Vec<f64>)> {
    let ranked = rows.ranked();
    let auc = ranked.roc_auc()?;
    let mut influence = vec![0.0; rows.len()];
    placements(ranked, |sorted, placement| {
        let (label, _, weight) = ranked.row(sorted);
        let whole = ranked.classes.weights[usize::from(label)];
        influence[rows.index(sorted)] = weight * (placement - auc) / whole;
    });
    Ok((auc, influence))
}
