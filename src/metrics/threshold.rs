//! Where to put the threshold.

use super::confusion::{Confusion, ensure_beta, ensure_share};
use super::curves::Flagged;
use super::ranked::RankedScores;
use super::rows::{Classes, Domain, Sum, WeightedRows};
use super::sorted_rows::SortedRows;
use crate::core::{Error, Folds, Result, Run, same_length};
use crate::numerics::power_of_two_below;

/// What a threshold is to achieve. Rows with score ≥ threshold are flagged.
///
/// A threshold is chosen [from labels](Self::choose), on the empirical curve;
/// [by cross-fitting](Self::choose_cross_fitted), with an out-of-sample estimate of what it does; or
/// [without labels](Self::choose_calibrated), from probabilities that are assumed to be calibrated.
///
/// ```
/// use imbalance::metrics::ThresholdRule;
///
/// let labels = [false, false, true, false, true];
/// let scores = [0.1, 0.2, 0.3, 0.6, 0.9];
/// // A miss costs ten false alarms: better to flag one negative than to miss the positive at 0.3.
/// let rule = ThresholdRule::cost(1.0, 10.0)?;
/// let best = rule.choose(&labels, &scores, None)?;
/// assert_eq!((best.threshold, best.value), (0.3, Some(0.2)));
/// // Calibrated probabilities need no labels: flag where 10 p ≥ 1 − p.
/// assert_eq!(rule.choose_calibrated(&scores, None)?.threshold, 1.0 / 11.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Kind", try_from = "Kind")
)]
pub struct ThresholdRule(Kind);

#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Kind {
    /// `costs[label][flag]`.
    Cost([[f64; 2]; 2]),
    FBeta(f64),
    Share(f64),
    Budget(f64),
    PrecisionFloor(f64),
    RecallFloor(f64),
}

/// A threshold and what it does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Threshold {
    /// Flag rows with score ≥ this; +∞ (`null` in JSON) if flagging nothing is best.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub threshold: f64,
    /// The quantity of the rule, on these rows: the mean cost per unit of weight, `F_β`, the share flagged,
    /// the weight flagged, the precision, or the recall. `None` where it is 0 / 0.
    pub value: Option<f64>,
    /// The confusion matrix on the rows that the threshold was chosen on.
    pub confusion: Confusion,
}

/// A threshold with an estimate of what it does on other rows; see [`ThresholdRule::choose_cross_fitted`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CrossFittedThreshold {
    /// The threshold chosen on all rows, with its optimistic results on the same rows.
    pub in_sample: Threshold,
    /// The threshold chosen without each fold; their spread shows how stable the choice is.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite::list"))]
    pub fold_thresholds: Vec<f64>,
    /// The confusion matrix in which each row is decided by the threshold chosen without its fold.
    pub confusion: Confusion,
    /// [`Threshold::value`] of this confusion matrix.
    pub value: Option<f64>,
}

impl ThresholdRule {
    /// Least cost, where only mistakes cost.
    ///
    /// On calibrated probabilities the best threshold is `c_fp / (c_fp + c_fn)`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless both costs are positive and finite.
    pub fn cost(false_positive: f64, false_negative: f64) -> Result<Self> {
        for (argument, cost) in
            [("false_positive", false_positive), ("false_negative", false_negative)]
        {
            if !(cost > 0.0 && cost.is_finite()) {
                return Err(Error::invalid(argument, cost, "positive and finite"));
            }
        }
        Self::cost_matrix([[0.0, false_positive], [false_negative, 0.0]])
    }

    /// Least cost, `costs[label][flag]`: \[\[true negative, false positive\], \[false negative, true
    /// positive\]\]. Negative costs are gains.
    ///
    /// On calibrated probabilities the best threshold is
    /// `(c_fp − c_tn) / (c_fp − c_tn + c_fn − c_tp)` (Elkan 2001, equation 2).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless all are finite and each mistake costs more than the right
    /// decision.
    pub fn cost_matrix(costs: [[f64; 2]; 2]) -> Result<Self> {
        let [[true_negative, false_positive], [false_negative, true_positive]] = costs;
        let finite = costs.as_flattened().iter().all(|cost| cost.is_finite());
        if !(finite && false_positive > true_negative && false_negative > true_positive) {
            let expected =
                "finite, and for each label a mistake must cost more than the right decision";
            return Err(Error::invalid("costs", format!("{costs:?}"), expected));
        }
        Ok(Self(Kind::Cost(costs)))
    }

    /// Largest `F_β`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless β is positive and finite.
    pub fn f_beta(beta: f64) -> Result<Self> {
        ensure_beta(beta)?;
        Ok(Self(Kind::FBeta(beta)))
    }

    /// As many rows as possible, but at most this share (by weight).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `share` ≤ 1.
    pub fn share(share: f64) -> Result<Self> {
        ensure_share("share", share)?;
        Ok(Self(Kind::Share(share)))
    }

    /// As many rows as possible, but at most `rows` (by weight). Cross-fitting uses the share that `rows`
    /// is of all rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `rows` is positive and finite.
    pub fn budget(rows: f64) -> Result<Self> {
        if rows > 0.0 && rows.is_finite() {
            Ok(Self(Kind::Budget(rows)))
        } else {
            Err(Error::invalid("rows", rows, "positive and finite"))
        }
    }

    /// Largest recall with at least this precision.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `precision` ≤ 1.
    pub fn precision_floor(precision: f64) -> Result<Self> {
        ensure_share("precision", precision)?;
        Ok(Self(Kind::PrecisionFloor(precision)))
    }

    /// Fewest flagged rows with at least this recall.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `recall` ≤ 1.
    pub fn recall_floor(recall: f64) -> Result<Self> {
        ensure_share("recall", recall)?;
        Ok(Self(Kind::RecallFloor(recall)))
    }

    /// The best threshold on labelled rows, among their scores. Of equally good thresholds, the highest.
    ///
    /// Its results on these rows are optimistic; see [`choose_cross_fitted`](Self::choose_cross_fitted).
    /// Rows of equal score are flagged together, so a share or a budget may not be used up.
    ///
    /// # Errors
    /// [`Error::OneClass`] if positives have no weight, [`Error::InvalidArgument`] if no threshold
    /// reaches the precision, and the [errors common to all metrics](super#errors).
    pub fn choose(
        &self,
        labels: &[bool],
        scores: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Threshold> {
        self.choose_ranked(&RankedScores::new(labels, scores, weights)?)
    }

    /// [`choose`](Self::choose) on rows that are sorted already.
    ///
    /// # Errors
    /// As [`choose`](Self::choose).
    pub fn choose_ranked(&self, rows: &RankedScores) -> Result<Threshold> {
        rows.classes.ensure_positives("the choice of a threshold")?;
        self.threshold(None, rows.flagged(), &rows.classes)
    }

    /// The best threshold if probabilities are calibrated: each row counts as p of a positive and 1 − p
    /// of a negative, so no labels are needed, and there is no optimism.
    ///
    /// For a cost it is the closed form, which does not depend on the rows. The confusion matrix holds
    /// expected weights.
    ///
    /// # Errors
    /// [`Error::OneClass`] if all probabilities are 0, [`Error::InvalidArgument`] if no threshold reaches
    /// the precision, and the [errors common to all metrics](super#errors).
    pub fn choose_calibrated(
        &self,
        probabilities: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Threshold> {
        let labels = vec![false; probabilities.len()];
        let rows = RankedScores::of_probabilities(&labels, probabilities, weights)?;
        self.choose_calibrated_ranked(&rows)
    }

    /// [`choose_calibrated`](Self::choose_calibrated) on rows that are sorted already, whatever their
    /// labels.
    ///
    /// # Errors
    /// As [`choose_calibrated`](Self::choose_calibrated).
    pub fn choose_calibrated_ranked(&self, rows: &RankedScores) -> Result<Threshold> {
        rows.ensure_probabilities()?;
        let classes = rows.expected_classes();
        classes.ensure_positives("the choice of a threshold")?;
        let closed_form = match self.0 {
            Kind::Cost(costs) => {
                let [false_positive, false_negative] = cost_of_mistakes(costs);
                Some(rows.domain.of_probability(false_positive / (false_positive + false_negative)))
            }
            _ => None,
        };
        self.threshold(closed_form, rows.expected_flagged(), &classes)
    }

    /// The best threshold on all rows, with an estimate of its results on new rows.
    ///
    /// The test rows of each fold are decided by the threshold that is best on its training rows. The folds
    /// define what new rows are: rows like these with [`Folds::stratified`], new groups (users, page views)
    /// with [`Folds::by_group`], later rows with [`Folds::by_time`]. One sort.
    ///
    /// # Errors
    /// As [`choose`](Self::choose), [`Error::LengthMismatch`] if the folds are of another number of rows, and
    /// [`Error::OneClass`] if the positives among the training rows of a fold have no weight.
    ///
    /// ```
    /// use imbalance::Folds;
    /// use imbalance::metrics::ThresholdRule;
    ///
    /// let labels: Vec<bool> = (0..1000).map(|i| i % 10 == 0).collect();
    /// let scores: Vec<f64> = (0..1000).map(|i| f64::from(i * 7919 % 1000) / 1000.0).collect();
    /// // The scores carry no information, and still the best threshold on the same rows seems useful.
    /// let folds = Folds::stratified(&labels, 2, 7)?;
    /// let rule = ThresholdRule::f_beta(1.0)?;
    /// let cross_fitted = rule.choose_cross_fitted(&labels, &scores, None, &folds)?;
    /// assert_eq!(cross_fitted.fold_thresholds.len(), 2);
    /// assert!(cross_fitted.value <= cross_fitted.in_sample.value);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn choose_cross_fitted(
        &self,
        labels: &[bool],
        scores: &[f64],
        weights: Option<&[f64]>,
        folds: &Folds,
    ) -> Result<CrossFittedThreshold> {
        self.cross_fitted(
            &SortedRows::new(labels, scores, Domain::Scores, weights, &Run::default())?,
            folds,
        )
    }

    /// [`choose_cross_fitted`](Self::choose_cross_fitted) on rows that are sorted already.
    pub(crate) fn cross_fitted(
        &self,
        rows: &SortedRows,
        folds: &Folds,
    ) -> Result<CrossFittedThreshold> {
        same_length("folds", folds.rows(), "labels", rows.len())?;
        let in_sample = self.choose_ranked(rows.ranked())?;
        let rule = self.relative_to(rows.ranked());
        let mut confusion = Confusion::default();
        let mut fold_thresholds = Vec::with_capacity(folds.count());
        for split in folds.splits() {
            let select = |side: &[usize]| {
                let mut inside = vec![false; rows.len()];
                side.iter().for_each(|&row| inside[row] = true);
                rows.select(|row| inside[row])
            };
            let Some(train) = select(split.train()) else {
                return Err(Error::NoRows { what: "the training rows of a fold, by weight," });
            };
            train.classes.ensure_positives("the choice of a threshold without one fold")?;
            let threshold = match rule.best(train.flagged(), &train.classes) {
                // A rule that no threshold meets on the training rows flags none of the test rows.
                Err(Error::InvalidArgument { .. }) => f64::INFINITY,
                best => best?.threshold,
            };
            fold_thresholds.push(threshold);
            if let Some(test) = select(split.test()) {
                confusion = confusion.merge(test.confusion(threshold)?);
            }
        }
        let value = self.value(&confusion);
        Ok(CrossFittedThreshold { in_sample, fold_thresholds, confusion, value })
    }

    /// The rule as it applies to a part of the rows.
    fn relative_to(self, rows: &RankedScores) -> Self {
        match self.0 {
            Kind::Budget(budget) => Self(Kind::Share((budget / rows.weight()).min(1.0))),
            _ => self,
        }
    }

    /// The given threshold or the best one, with its results on the rows whose thresholds are `flagged`,
    /// from the highest down.
    fn threshold(
        &self,
        given: Option<f64>,
        flagged: impl Iterator<Item = Flagged>,
        classes: &Classes,
    ) -> Result<Threshold> {
        let (threshold, at) = match given {
            Some(given) => (given, flagged.take_while(|at| at.threshold >= given).last()),
            None => {
                let best = self.best(flagged, classes)?;
                (best.threshold, Some(best))
            }
        };
        let at = at.unwrap_or(Flagged::NOTHING);
        let confusion = classes.confusion(at.positive, at.negative);
        Ok(Threshold { threshold, value: self.value(&confusion), confusion })
    }

    /// The quantity of the rule for these decisions; see [`Threshold::value`].
    pub(crate) fn value(&self, at: &Confusion) -> Option<f64> {
        match self.0 {
            Kind::Cost(costs) => {
                let weights = [
                    [at.true_negatives, at.false_positives],
                    [at.false_negatives, at.true_positives],
                ];
                // Shares, as costs times weights can overflow; and rounding must not carry their mean
                // past the largest cost.
                let (costs, weights) = (costs.as_flattened(), weights.as_flattened());
                let shares = weights.iter().map(|weight| weight / at.total());
                let mean: f64 = costs.iter().zip(shares).map(|(cost, share)| cost * share).sum();
                let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
                let most = costs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (at.total() > 0.0).then(|| mean.clamp(least, most))
            }
            Kind::FBeta(beta) => at.f(beta),
            Kind::Share(_) => at.flagged_share(),
            Kind::Budget(_) => Some(at.flagged()),
            Kind::PrecisionFloor(_) => at.precision(),
            Kind::RecallFloor(_) => at.recall(),
        }
    }

    /// The best of the thresholds, given from the highest down; weights in the unit of the rows.
    fn best(
        &self,
        mut thresholds: impl Iterator<Item = Flagged>,
        classes: &Classes,
    ) -> Result<Flagged> {
        let positive = classes.positive();
        // Rounding must not reject a share of exactly one in ten, or a recall of exactly 0.9.
        const SLACK: f64 = 1e-12;
        let best = match self.0 {
            Kind::Cost(costs) => {
                let [false_positive, false_negative] = cost_of_mistakes(costs);
                largest(thresholds, Some(Flagged::NOTHING), |at| {
                    false_negative * at.positive - false_positive * at.negative
                })
            }
            Kind::FBeta(beta) => {
                let share = 1.0 / (1.0 + beta * beta);
                largest(thresholds, None, |at| {
                    at.positive / ((1.0 - share) * positive + share * at.weight())
                })
            }
            Kind::Share(share) => within(thresholds, share * classes.total() * (1.0 + SLACK)),
            Kind::Budget(weight) => within(thresholds, weight / classes.unit * (1.0 + SLACK)),
            Kind::PrecisionFloor(floor) => {
                let (mut best, mut most) = (None, 0.0_f64);
                for at in thresholds {
                    let precision = at.positive / at.weight();
                    most = most.max(precision);
                    // A lower threshold that finds no more positives is no better.
                    let more = best.is_none_or(|best: Flagged| at.positive > best.positive);
                    if precision >= floor * (1.0 - SLACK) && more {
                        best = Some(at);
                    }
                }
                if best.is_none() {
                    let expected =
                        format!("at most {most}, the highest precision of any threshold");
                    return Err(Error::invalid("precision", floor, expected));
                }
                best
            }
            Kind::RecallFloor(floor) => {
                thresholds.find(|at| at.positive >= floor * positive * (1.0 - SLACK))
            }
        };
        Ok(best.unwrap_or(Flagged::NOTHING))
    }
}

#[cfg(feature = "serde")]
impl From<ThresholdRule> for Kind {
    fn from(rule: ThresholdRule) -> Self {
        rule.0
    }
}

/// Deserialisation goes through the constructors, which check.
#[cfg(feature = "serde")]
impl TryFrom<Kind> for ThresholdRule {
    type Error = Error;

    fn try_from(kind: Kind) -> Result<Self> {
        match kind {
            Kind::Cost(costs) => Self::cost_matrix(costs),
            Kind::FBeta(beta) => Self::f_beta(beta),
            Kind::Share(share) => Self::share(share),
            Kind::Budget(rows) => Self::budget(rows),
            Kind::PrecisionFloor(precision) => Self::precision_floor(precision),
            Kind::RecallFloor(recall) => Self::recall_floor(recall),
        }
    }
}

/// What a false positive and a false negative cost beyond the right decision, in a unit in which neither
/// overflows; a power of two, so that nothing is rounded.
fn cost_of_mistakes(costs: [[f64; 2]; 2]) -> [f64; 2] {
    let [[true_negative, false_positive], [false_negative, true_positive]] = costs;
    let unit = power_of_two_below(
        costs.as_flattened().iter().fold(0.0, |most, cost| most.max(cost.abs())),
    );
    [false_positive / unit - true_negative / unit, false_negative / unit - true_positive / unit]
}

/// The first of the thresholds for which `of` is largest.
fn largest(
    thresholds: impl Iterator<Item = Flagged>,
    start: Option<Flagged>,
    of: impl Fn(&Flagged) -> f64,
) -> Option<Flagged> {
    let best = thresholds.fold(start.map(|at| (of(&at), at)), |best, at| {
        let value = of(&at);
        if best.is_none_or(|(most, _)| value > most) { Some((value, at)) } else { best }
    });
    best.map(|(_, at)| at)
}

/// The last of the thresholds that flags no more than `capacity`.
fn within(thresholds: impl Iterator<Item = Flagged>, capacity: f64) -> Option<Flagged> {
    thresholds.take_while(|at| at.weight() <= capacity).last()
}

impl Flagged {
    const NOTHING: Self = Self { threshold: f64::INFINITY, positive: 0.0, negative: 0.0 };

    fn weight(&self) -> f64 {
        self.positive + self.negative
    }
}

/// Without labels, each row counts as p of a positive and 1 − p of a negative.
impl RankedScores {
    fn expected_classes(&self) -> Classes {
        let weights = [self.sum_over_p(|_, p| 1.0 - p), self.sum_over_p(|_, p| p)];
        Classes { rows: [self.rows(), 0], weights, unit: self.classes.unit }
    }

    fn expected_flagged(&self) -> impl Iterator<Item = Flagged> + '_ {
        let (mut positive, mut negative) = (Sum::default(), Sum::default());
        self.groups().rev().map(move |group| {
            let p = self.domain.probability(group.score);
            positive.add(group.weight() * p);
            negative.add(group.weight() * (1.0 - p));
            let (positive, negative) = (positive.value(), negative.value());
            Flagged { threshold: group.score, positive, negative }
        })
    }
}
