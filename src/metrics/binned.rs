//! Metrics of any number of rows, from sums in bins of the logit.

use std::collections::BTreeMap;
use std::fmt;

use super::rows::{CheckedRows, Domain, Sum};
use super::{RankedScores, Scorecard};
use crate::core::{ClassTotals, Error, Fixed, Result, same_length};
use crate::numerics::{log1p_exp, logit};

/// Bins in a unit of the logit.
const PER_UNIT: f64 = 1024.0;

/// Logits beyond this share a bin: probabilities of 10⁻³⁰⁴ and below.
const FARTHEST: f64 = 700.0;

/// What the metrics need of the probabilities of any number of rows, in a few megabytes: sums over all rows, and the weight
/// of each class in bins of the logit, 1/1024 wide. Rows are [added](Self::add) batch by batch, and the sums of parts of the
/// rows are [merged](Self::merge).
///
/// | metric | |
/// |---|---|
/// | log loss, normalised entropy, Brier score, predicted / observed | exact |
/// | area under the ROC curve, average precision | with bounds: rows of a bin are in an order that is not known |
/// | curves, deciles, thresholds, calibration line of [`ranked`](Self::ranked) | of rows moved within their bins: logits are off by at most 1/1024 |
///
/// Intervals need the rows themselves: [`RankedScores::roc_auc_interval`] takes bins for rows.
///
/// ```
/// use imbalance::metrics::{BinnedScores, log_loss, roc_auc};
///
/// let (labels, p) = ([false, true, false, true], [0.1, 0.2, 0.3, 0.4]);
/// let mut binned = BinnedScores::new();
/// binned.add(&labels[..2], &p[..2], None)?;
/// binned.add(&labels[2..], &p[2..], None)?;
/// assert!((binned.log_loss()? - log_loss(&labels, &p, None)?).abs() < 1e-15);
/// let auc = binned.roc_auc()?;
/// assert_eq!((auc.value, auc.low, auc.high), (0.75, 0.75, 0.75)); // no bin has rows of both classes
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct BinnedScores {
    bins: BTreeMap<i32, Bin>,
    rows: [u64; 2],
    weights: [Sum; 2],
    log_loss: Sum,
    brier: Sum,
    predicted: Sum,
}

/// The rows of a bin: the weight of each class, and Σ w z over both.
#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    weights: [f64; 2],
    logits: f64,
}

/// A metric that is known to lie between two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Bounded {
    /// The metric where the rows of a bin are tied.
    pub value: f64,
    /// The least that the metric of the rows can be.
    pub low: f64,
    /// The most that it can be.
    pub high: f64,
}

impl BinnedScores {
    /// No rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds rows: labels, probabilities, and weights if they have any. Rows of weight 0 are checked and left out.
    ///
    /// # Errors
    /// The [errors common to all metrics](super#errors), for probabilities, but weights may all be 0: those of other rows
    /// may not be. After an error no row was added.
    pub fn add(
        &mut self,
        labels: &[bool],
        probabilities: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<()> {
        if labels.is_empty() && probabilities.is_empty() {
            return Ok(());
        }
        CheckedRows::new(labels, probabilities, Domain::Probabilities, None)?;
        if let Some(weights) = weights {
            same_length("weights", weights.len(), "the probabilities", probabilities.len())?;
            for (row, &value) in weights.iter().enumerate() {
                if !value.is_finite() {
                    return Err(Error::NonFinite {
                        what: "weights".into(),
                        row,
                        column: None,
                        value,
                    });
                }
                if value < 0.0 {
                    return Err(Error::NegativeWeight { row, value });
                }
            }
        }
        for (row, (&label, &p)) in labels.iter().zip(probabilities).enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            if weight > 0.0 {
                self.add_row(label, p, weight);
            }
        }
        Ok(())
    }

    fn add_row(&mut self, label: bool, p: f64, weight: f64) {
        let class = usize::from(label);
        self.rows[class] += 1;
        self.weights[class].add(weight);
        let loss = if label { -p.ln() } else { -(-p).ln_1p() };
        self.log_loss.add(weight * loss);
        let off = p - f64::from(u8::from(label));
        self.brier.add(weight * off * off);
        self.predicted.add(weight * p);
        let z = logit(p).clamp(-FARTHEST, FARTHEST);
        let bin = self.bins.entry((z * PER_UNIT).floor() as i32).or_default();
        bin.weights[class] += weight;
        bin.logits += weight * z;
    }

    /// Adds the sums over other rows.
    pub fn merge(&mut self, other: Self) {
        for class in 0..2 {
            self.rows[class] += other.rows[class];
            self.weights[class].merge(other.weights[class]);
        }
        self.log_loss.merge(other.log_loss);
        self.brier.merge(other.brier);
        self.predicted.merge(other.predicted);
        for (place, bin) in other.bins {
            let all = self.bins.entry(place).or_default();
            all.weights[0] += bin.weights[0];
            all.weights[1] += bin.weights[1];
            all.logits += bin.logits;
        }
    }

    /// Rows and weight of each class.
    #[must_use]
    pub fn totals(&self) -> ClassTotals {
        let [negatives, positives] =
            self.rows.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
        let [negative_weight, positive_weight] = self.weights.map(Sum::value);
        ClassTotals { positives, negatives, positive_weight, negative_weight }
    }

    /// As [`log_loss`](super::log_loss); exact.
    ///
    /// # Errors
    /// [`Error::NoRows`] without rows of positive weight.
    pub fn log_loss(&self) -> Result<f64> {
        Ok(self.log_loss.value() / self.weight()?)
    }

    /// As [`normalised_entropy`](super::normalised_entropy); exact.
    ///
    /// # Errors
    /// [`Error::OneClass`].
    pub fn normalised_entropy(&self) -> Result<f64> {
        let totals = self.totals();
        totals.ensure_both("normalised entropy")?;
        let z = totals.log_odds();
        let rate = totals.rate();
        let entropy = rate * log1p_exp(-z) + (1.0 - rate) * log1p_exp(z);
        Ok(self.log_loss()? / entropy)
    }

    /// As [`brier_score`](super::brier_score); exact.
    ///
    /// # Errors
    /// [`Error::NoRows`] without rows of positive weight.
    pub fn brier_score(&self) -> Result<f64> {
        Ok(self.brier.value() / self.weight()?)
    }

    /// As [`predicted_over_observed`](super::predicted_over_observed); exact.
    ///
    /// # Errors
    /// [`Error::OneClass`] without positives of positive weight.
    pub fn predicted_over_observed(&self) -> Result<f64> {
        let totals = self.totals();
        if totals.positive_weight > 0.0 {
            return Ok(self.predicted.value() / totals.positive_weight);
        }
        Err(totals.ensure_both("predicted / observed").err().unwrap_or(NO_ROWS))
    }

    /// As [`roc_auc`](super::roc_auc), with the bounds ± ½ Σ p·n/(P N), where p and n are the weights of a bin's classes, and P
    /// and N those of all rows.
    ///
    /// # Errors
    /// [`Error::OneClass`].
    pub fn roc_auc(&self) -> Result<Bounded> {
        let (mut below, mut pairs, mut tied) = (0.0, Sum::default(), Sum::default());
        for Bin { weights: [negative, positive], .. } in self.bins.values() {
            pairs.add(positive * below);
            tied.add(positive * negative);
            below += negative;
        }
        let totals = self.totals();
        totals.ensure_both("the area under the ROC curve")?;
        let all = totals.positive_weight * totals.negative_weight;
        let (low, tied) = (pairs.value() / all, tied.value() / all);
        Ok(Bounded { value: low + 0.5 * tied, low, high: low + tied })
    }

    /// As [`average_precision`](super::average_precision), with the bounds for the positives of each bin at its end and at
    /// its beginning.
    ///
    /// # Errors
    /// [`Error::OneClass`].
    pub fn average_precision(&self) -> Result<Bounded> {
        let totals = self.totals();
        totals.ensure_both("average precision")?;
        let (mut hits, mut flagged) = (0.0, 0.0);
        let [mut value, mut low, mut high] = [Sum::default(); 3];
        for Bin { weights: [negative, positive], .. } in self.bins.values().rev() {
            if *positive > 0.0 {
                let all = flagged + positive + negative;
                value.add(positive * (hits + positive) / all);
                high.add(positive * (hits + positive) / (flagged + positive));
                // The order within the bin is not known: all its negatives may stand before its first positive.
                low.add(
                    positive
                        * if flagged + negative > 0.0 { hits / (flagged + negative) } else { 1.0 },
                );
            }
            hits += positive;
            flagged += positive + negative;
        }
        let share = |sum: Sum| sum.value() / totals.positive_weight;
        Ok(Bounded { value: share(value), low: share(low), high: share(high) })
    }

    /// The bins as rows: a row for each class that has weight in a bin, at the mean logit of the bin. Of these, any metric
    /// and curve.
    ///
    /// # Errors
    /// [`Error::NoRows`] without rows of positive weight.
    pub fn ranked(&self) -> Result<RankedScores> {
        let (labels, logits, weights) = self.rows_of_bins()?;
        RankedScores::from_logits(&labels, &logits, Some(&weights))
    }

    /// The metrics of a [`Scorecard`], of the [bins as rows](Self::ranked): ranking and calibration are those of rows moved
    /// within their bins.
    ///
    /// # Errors
    /// As for [`Scorecard::new`].
    pub fn scorecard(&self) -> Result<Scorecard> {
        let (labels, logits, weights) = self.rows_of_bins()?;
        Scorecard::from_logits(&labels, &logits, Some(&weights))
    }

    fn rows_of_bins(&self) -> Result<(Vec<bool>, Vec<f64>, Vec<f64>)> {
        self.weight()?;
        let (mut labels, mut logits, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for bin in self.bins.values() {
            let z = bin.logits / (bin.weights[0] + bin.weights[1]);
            for (label, weight) in [false, true].into_iter().zip(bin.weights) {
                if weight > 0.0 {
                    labels.push(label);
                    logits.push(z);
                    weights.push(weight);
                }
            }
        }
        Ok((labels, logits, weights))
    }

    /// The total weight, which is positive.
    fn weight(&self) -> Result<f64> {
        let weight = self.weights[0].value() + self.weights[1].value();
        if weight > 0.0 { Ok(weight) } else { Err(NO_ROWS) }
    }
}

const NO_ROWS: Error = Error::NoRows { what: "the scores" };

impl fmt::Display for Bounded {
    /// The value, and half the width of the bounds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(5);
        write!(f, "{:.digits$} (within {:.0e})", self.value, 0.5 * (self.high - self.low))
    }
}

impl fmt::Display for BinnedScores {
    /// A line for each metric that the rows have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClassTotals { positives, negatives, .. } = self.totals();
        writeln!(f, "{:<24} {} rows, {positives} positive", "rows", positives + negatives)?;
        let numbers = [
            ("log loss", self.log_loss()),
            ("normalised entropy", self.normalised_entropy()),
            ("Brier score", self.brier_score()),
            ("predicted / observed", self.predicted_over_observed()),
        ];
        for (name, number) in numbers {
            if let Ok(number) = number {
                writeln!(f, "{name:<24} {}", Fixed(number, 6))?;
            }
        }
        for (name, number) in
            [("ROC AUC", self.roc_auc()), ("average precision", self.average_precision())]
        {
            if let Ok(number) = number {
                writeln!(f, "{name:<24} {number}")?;
            }
        }
        Ok(())
    }
}
