//! Rows sorted once by score, from which every metric and curve is computed.

use std::ops::Range;

use super::rows::{CheckedRows, Classes, Domain, SortedRow, Sum, WeightedRows};
use crate::core::{Error, Meter, Result, Run};
use crate::exec::parallel;
use crate::fit::Sample;
use crate::numerics::power_of_two_below;

/// Labelled, weighted rows sorted by their score: every metric of [`metrics`](super), from one check of
/// the rows and one sort.
///
/// Each free function is this with a single metric. Metrics of ranking take any scores; metrics of
/// probabilities return an error unless all scores (of rows with weight) lie in \[0, 1\]. Rows of weight 0
/// are checked, then left out.
///
/// Costs one parallel sort of 16 bytes a row, and a pass for each method.
///
/// ```
/// use imbalance::metrics::RankedScores;
///
/// let labels = [false, false, true, false, true, false];
/// let ranked = RankedScores::new(&labels, &[0.1, 0.2, 0.3, 0.4, 0.6, 0.1], None)?;
/// assert_eq!(ranked.roc_auc()?, 0.875);
/// assert_eq!(ranked.confusion(0.3)?.recall(), Some(1.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RankedScores {
    /// In rising order of score, then of signed weight, so that every order of the caller's rows gives
    /// the same sums, to the bit.
    sorted: Vec<SortedRow>,
    pub(super) classes: Classes,
    pub(super) domain: Domain,
}

impl RankedScores {
    /// Checks and sorts rows.
    ///
    /// # Errors
    /// The [errors common to all metrics](super#errors), for scores.
    pub fn new(labels: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        Self::of(labels, scores, Domain::Scores, weights, &Run::default())
    }

    /// Checks and sorts rows whose scores are logits, also ±∞. Metrics of probabilities take them for σ(z), but the
    /// log loss and the calibration line are computed from the logits themselves, and rows whose
    /// probabilities round to the same number keep their order. Thresholds are logits, too.
    ///
    /// # Errors
    /// The [errors common to all metrics](super#errors), for logits.
    ///
    /// ```
    /// use imbalance::metrics::RankedScores;
    ///
    /// // As probabilities both logits are 1.
    /// let ranked = RankedScores::from_logits(&[true, false, false], &[70.0, 68.0, -9.0], None)?;
    /// assert_eq!(ranked.roc_auc()?, 1.0);
    /// assert!((ranked.log_loss()? - 68.0 / 3.0).abs() < 1e-3);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn from_logits(labels: &[bool], logits: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        Self::of(labels, logits, Domain::Logits, weights, &Run::default())
    }

    /// Checks and sorts rows whose scores must be probabilities; an error names the row.
    pub(super) fn of_probabilities(
        labels: &[bool],
        probabilities: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        Self::of(labels, probabilities, Domain::Probabilities, weights, &Run::default())
    }

    fn of(
        labels: &[bool],
        values: &[f64],
        domain: Domain,
        weights: Option<&[f64]>,
        run: &Run,
    ) -> Result<Self> {
        let rows = CheckedRows::new(labels, values, domain, weights)?;
        let mut sorted = vec![(0.0, 0.0); rows.len()];
        let meter = Meter::new(run, "sort by score", "rows", 2 * sorted.len());
        let dropped = parallel::map_into(&mut sorted, 1, parallel::BLOCK, |_, range, out| {
            let mut dropped = false;
            if !meter.goes_on(range.len()) {
                return dropped;
            }
            for (row, slot) in range.zip(out) {
                *slot = rows.signed(row);
                dropped |= slot.1 == 0.0;
            }
            dropped
        });
        if dropped.contains(&true) {
            sorted.retain(|row| row.1 != 0.0);
        }
        meter.sort_by(&mut sorted, |a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        meter.finish()?;
        Ok(Self { sorted, classes: rows.classes, domain })
    }

    /// Rows that are sorted already, of weights in `unit`.
    pub(super) fn presorted(sorted: Vec<SortedRow>, unit: f64, domain: Domain) -> Self {
        let rows = |range: Range<usize>| sorted[range].iter().map(|row| (row.1 > 0.0, row.1.abs()));
        let classes = Classes::count(sorted.len(), unit, rows);
        Self { sorted, classes, domain }
    }

    /// A part of rows that are sorted already, of weights in `unit`, as a sample of its own; `None` if
    /// the part is empty.
    pub(super) fn part(mut sorted: Vec<SortedRow>, unit: f64, domain: Domain) -> Option<Self> {
        let largest = sorted.iter().fold(0.0_f64, |largest, row| largest.max(row.1.abs()));
        if largest == 0.0 {
            return None;
        }
        let scale = power_of_two_below(largest);
        if scale != 1.0 {
            sorted.iter_mut().for_each(|row| row.1 /= scale);
        }
        Some(Self::presorted(sorted, scale * unit, domain))
    }

    /// The rows that have weight, in rising order of score.
    pub(super) fn sorted(&self) -> &[SortedRow] {
        &self.sorted
    }

    /// Probability and signed weight of the rows, in rising order.
    pub(super) fn probabilities(&self) -> impl DoubleEndedIterator<Item = (f64, f64)> + '_ {
        self.sorted.iter().map(|&(score, weight)| (self.domain.probability(score), weight))
    }

    /// Rows of equal score as one group, from the lowest score up.
    pub(super) fn groups(&self) -> impl DoubleEndedIterator<Item = ScoreGroup> + '_ {
        self.sorted.chunk_by(|a, b| a.0 == b.0).map(ScoreGroup::of)
    }

    /// Number of rows that have weight.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.sorted.len()
    }

    /// Number of positive rows that have weight.
    #[must_use]
    pub fn positives(&self) -> usize {
        self.sorted.iter().filter(|row| row.1 > 0.0).count()
    }

    /// Total weight of the rows.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.classes.total() * self.classes.unit
    }

    /// The weighted share of positives, in \[0, 1\].
    #[must_use]
    pub fn base_rate(&self) -> f64 {
        self.classes.base_rate()
    }

    /// Relative standard error of the weight of the positives, √Σw²y / Σwy.
    pub(crate) fn positives_relative_error(&self) -> f64 {
        let squares = self.sorted.iter().map(|row| row.1.max(0.0).powi(2)).collect::<Sum>();
        squares.value().sqrt() / self.classes.positive()
    }

    /// The smallest and the largest score.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        // There is always a row with weight: weights that are all 0 are an error.
        let score = |row: Option<&SortedRow>| row.map_or(0.0, |row| row.0);
        (score(self.sorted.first()), score(self.sorted.last()))
    }

    /// `Ok` if all scores are probabilities.
    pub(super) fn ensure_probabilities(&self) -> Result<()> {
        if self.domain == Domain::Logits {
            return Ok(());
        }
        let (least, most) = self.range();
        let outside = [least, most].into_iter().find(|score| !(0.0..=1.0).contains(score));
        outside.map_or(Ok(()), |value| {
            let expected = "between 0 and 1 in every row, as this metric needs probabilities";
            Err(Error::invalid("scores", value, expected))
        })
    }
}

impl WeightedRows for RankedScores {
    fn len(&self) -> usize {
        self.sorted.len()
    }

    fn row(&self, row: usize) -> (bool, f64, f64) {
        let (value, signed) = self.sorted[row];
        (signed > 0.0, value, signed.abs())
    }

    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn domain(&self) -> Domain {
        self.domain
    }
}

/// The rows sorted by score, rows of equal score as one group, and the unit of their weights. Rows
/// without weight are left out.
///
/// # Errors
/// Those common to all metrics, and [`Error::Cancelled`].
pub(crate) fn score_groups(sample: Sample<'_>) -> Result<(Vec<ScoreGroup>, f64)> {
    let Sample { scores, labels, weights, run } = sample;
    let ranked = RankedScores::of(labels, scores, Domain::Scores, weights, run)?;
    let meter = Meter::new(run, "groups of equal scores", "rows", ranked.rows());
    let groups = meter.collect(ranked.groups(), ranked.rows());
    meter.finish().map(|()| (groups, ranked.classes.unit))
}

/// All rows that share one score. Weights are in the unit of [`Weights`](super::rows::Weights).
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreGroup {
    pub(crate) score: f64,
    pub(crate) rows: usize,
    pub(crate) positive: f64,
    pub(crate) negative: f64,
}

impl ScoreGroup {
    fn of(rows: &[SortedRow]) -> Self {
        if let [(score, weight)] = *rows {
            let (positive, negative) = (weight.max(0.0), (-weight).max(0.0));
            return Self { score, rows: 1, positive, negative };
        }
        let sum =
            |sign: f64| rows.iter().map(|row| (sign * row.1).max(0.0)).collect::<Sum>().value();
        Self { score: rows[0].0, rows: rows.len(), positive: sum(1.0), negative: sum(-1.0) }
    }

    pub(crate) fn weight(&self) -> f64 {
        self.positive + self.negative
    }
}
