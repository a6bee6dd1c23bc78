//! Rows sorted once by score, from which every metric and curve is read.

use super::calibration::{
    CalibrationLine, calibration_line_of, check_bins, ece_of, predicted_over_observed_of,
};
use super::probability::{base_rate_entropy_of, brier_score_of, log_loss_of};
use super::ranking::{auc_of, average_precision_of};
use super::rows::{Domain, Rows, Sum, Weighted, binade, class_weights};
use crate::exec::parallel;
use crate::{Error, Result};

/// A row as it is sorted: its score, and its weight with the sign of its label.
///
/// Two numbers a row keep the array to sort small.
pub(super) type Scored = (f64, f64);

/// Labelled, weighted rows sorted by their score: everything that [`metrics`](super) computes, from
/// one check of the rows and one sort.
///
/// The free functions are this for a single metric. Metrics that rank take any scores; metrics that
/// judge probabilities return an error unless all scores (of rows with weight) lie in \[0, 1\]. Rows
/// of weight 0 are checked, then left out.
///
/// Costs one parallel sort of 16 bytes a row, and each method a pass.
///
/// ```
/// use imbalance::metrics::Ranked;
///
/// let labels = [false, false, true, false, true, false];
/// let ranked = Ranked::new(&labels, &[0.1, 0.2, 0.3, 0.4, 0.6, 0.1], None)?;
/// assert_eq!(ranked.roc_auc()?, 0.875);
/// assert_eq!(ranked.confusion(0.3)?.recall(), Some(1.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ranked {
    /// In rising order of score, then of signed weight, so that every order of the caller's rows gives
    /// the same sums, to the bit.
    sorted: Vec<Scored>,
    /// Weight of the negatives and of the positives, in the unit of the weights.
    class_weights: [f64; 2],
    unit: f64,
}

impl Ranked {
    /// Checks and sorts rows.
    ///
    /// # Errors
    ///
    /// The [errors common to all metrics](super#errors), for scores.
    pub fn new(labels: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        Ok(Self::of(&Rows::new(labels, scores, Domain::Scores, weights)?))
    }

    /// Sorts checked rows.
    pub(super) fn of(rows: &Rows<'_>) -> Self {
        let mut sorted = vec![(0.0, 0.0); rows.labels.len()];
        let dropped = parallel::map_into(&mut sorted, 1, parallel::BLOCK, |_, range, out| {
            let mut dropped = false;
            for (row, place) in range.zip(out) {
                *place = scored(rows, row);
                dropped |= place.1 == 0.0;
            }
            dropped
        });
        if dropped.contains(&true) {
            sorted.retain(|row| row.1 != 0.0);
        }
        parallel::sort_by(&mut sorted, |a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        Self { sorted, class_weights: [rows.negative, rows.positive], unit: rows.weights.unit }
    }

    /// Rows that are sorted already, of weights in `unit`.
    pub(super) fn presorted(sorted: Vec<Scored>, unit: f64) -> Self {
        let mut ranked = Self { sorted, class_weights: [0.0; 2], unit };
        ranked.class_weights = class_weights(&ranked);
        ranked
    }

    /// Some of other rows that are sorted already, with a unit of their own, as if they were all there
    /// is; `None` if there are none.
    pub(super) fn part(mut sorted: Vec<Scored>, unit: f64) -> Option<Self> {
        let largest = sorted.iter().fold(0.0_f64, |largest, row| largest.max(row.1.abs()));
        if largest == 0.0 {
            return None;
        }
        let scale = binade(largest);
        if scale != 1.0 {
            sorted.iter_mut().for_each(|row| row.1 /= scale);
        }
        Some(Self::presorted(sorted, scale * unit))
    }

    /// The rows, sorted; weights are in [`unit`](Weighted::unit).
    pub(super) fn sorted(&self) -> &[Scored] {
        &self.sorted
    }

    /// Rows of equal score as one, from the lowest score up.
    pub(super) fn ties(&self) -> impl DoubleEndedIterator<Item = Tie> + '_ {
        self.sorted.chunk_by(|a, b| a.0 == b.0).map(Tie::of)
    }

    /// Number of rows that have weight.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.sorted.len()
    }

    /// Number of positive rows that have weight.
    #[must_use]
    pub fn positives(&self) -> usize {
        self.counts()[1]
    }

    /// Total weight of the rows.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.total() * self.unit
    }

    /// The weighted share of positives, in \[0, 1\].
    #[must_use]
    pub fn base_rate(&self) -> f64 {
        self.positive() / self.total()
    }

    /// Relative standard error of the weight of the positives, √Σw²y / Σwy.
    pub(crate) fn positives_relative_error(&self) -> f64 {
        let squares = self.sorted.iter().map(|row| row.1.max(0.0).powi(2)).collect::<Sum>();
        squares.value().sqrt() / self.positive()
    }

    /// The smallest and the largest score.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        // There is always a row with weight: all weights 0 is an error.
        let end = |row: Option<&Scored>| row.map_or(0.0, |row| row.0);
        (end(self.sorted.first()), end(self.sorted.last()))
    }

    /// `Ok` if all scores are probabilities.
    pub(super) fn need_probabilities(&self) -> Result<()> {
        let (least, most) = self.range();
        let outside = [least, most].into_iter().find(|end| !(0.0..=1.0).contains(end));
        outside.map_or(Ok(()), |value| {
            Err(Error::invalid("probabilities", value, "between 0 and 1 in every row"))
        })
    }
}

/// The scalar metrics; each is the free function of its name, on rows that are sorted already.
impl Ranked {
    /// See [`roc_auc`](super::roc_auc).
    ///
    /// # Errors
    ///
    /// [`Error::OneClass`] if positives or negatives have no weight.
    pub fn roc_auc(&self) -> Result<f64> {
        self.need_both_classes("ROC AUC")?;
        Ok(auc_of(self))
    }

    /// See [`average_precision`](super::average_precision).
    ///
    /// # Errors
    ///
    /// [`Error::OneClass`] if positives have no weight.
    pub fn average_precision(&self) -> Result<f64> {
        self.need_positives("average precision")?;
        Ok(average_precision_of(self))
    }

    /// See [`log_loss`](super::log_loss).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if a score is no probability.
    pub fn log_loss(&self) -> Result<f64> {
        self.need_probabilities()?;
        Ok(log_loss_of(self))
    }

    /// See [`normalised_entropy`](super::normalised_entropy).
    ///
    /// # Errors
    ///
    /// [`Error::OneClass`] if positives or negatives have no weight, [`Error::InvalidArgument`] if a
    /// score is no probability.
    pub fn normalised_entropy(&self) -> Result<f64> {
        self.need_both_classes("normalised entropy")?;
        Ok(self.log_loss()? / base_rate_entropy_of(self))
    }

    /// See [`brier_score`](super::brier_score).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if a score is no probability.
    pub fn brier_score(&self) -> Result<f64> {
        self.need_probabilities()?;
        Ok(brier_score_of(self))
    }

    /// See [`predicted_over_observed`](super::predicted_over_observed).
    ///
    /// # Errors
    ///
    /// [`Error::OneClass`] if positives have no weight, [`Error::InvalidArgument`] if a score is no
    /// probability.
    pub fn predicted_over_observed(&self) -> Result<f64> {
        self.need_positives("predicted over observed")?;
        self.need_probabilities()?;
        Ok(predicted_over_observed_of(self))
    }

    /// See [`ece`](super::ece).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if `bins` is 0 or a score is no probability.
    pub fn ece(&self, bins: usize) -> Result<f64> {
        check_bins(bins)?;
        self.need_probabilities()?;
        Ok(ece_of(self, bins))
    }

    /// See [`calibration_line`](super::calibration_line), whose errors name rows in the order of their
    /// scores here.
    ///
    /// # Errors
    ///
    /// As [`calibration_line`](super::calibration_line).
    pub fn calibration_line(&self) -> Result<CalibrationLine> {
        self.need_probabilities()?;
        calibration_line_of(self)
    }
}

/// Score and signed weight of a row. Adding 0.0 turns −0.0 into 0.0, its equal.
pub(super) fn scored(rows: &Rows<'_>, row: usize) -> Scored {
    let (label, value, weight) = rows.row(row);
    (value + 0.0, if label { weight } else { -weight } + 0.0)
}

impl Weighted for Ranked {
    fn len(&self) -> usize {
        self.sorted.len()
    }

    fn row(&self, row: usize) -> (bool, f64, f64) {
        let (value, signed) = self.sorted[row];
        (signed > 0.0, value, signed.abs())
    }

    fn class_weights(&self) -> [f64; 2] {
        self.class_weights
    }

    fn unit(&self) -> f64 {
        self.unit
    }
}

/// The rows sorted by score, those of equal score as one, with the unit of their weights. Rows without
/// weight are left out.
///
/// # Errors
///
/// Those common to all metrics.
pub(crate) fn ties(
    labels: &[bool],
    scores: &[f64],
    weights: Option<&[f64]>,
) -> Result<(Vec<Tie>, f64)> {
    let ranked = Ranked::new(labels, scores, weights)?;
    let mut ties = Vec::with_capacity(ranked.rows());
    ties.extend(ranked.ties());
    Ok((ties, ranked.unit))
}

/// All rows that share one score. Weights are in the unit of [`Weights`](super::rows::Weights).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tie {
    pub(crate) score: f64,
    pub(crate) rows: usize,
    pub(crate) positive: f64,
    pub(crate) negative: f64,
}

impl Tie {
    fn of(rows: &[Scored]) -> Self {
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
