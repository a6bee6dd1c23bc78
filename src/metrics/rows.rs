//! What every metric starts from: checked rows, accurate sums, and rows sorted by score.

use crate::core::{Error, Result, same_length};
use crate::exec::parallel;

/// A running sum with Neumaier's compensation: its error does not grow with the number of terms,
/// so the order of the rows does not show in the result.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    rounded: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, term: f64) {
        let next = self.rounded + term;
        self.lost += if self.rounded.abs() >= term.abs() {
            (self.rounded - next) + term
        } else {
            (term - next) + self.rounded
        };
        self.rounded = next;
    }

    /// Adds what another sum holds.
    pub(super) fn merge(&mut self, other: Self) {
        self.add(other.rounded);
        if other.rounded.is_finite() {
            self.lost += other.lost;
        }
    }

    pub(super) fn value(self) -> f64 {
        // After an infinite term (the log loss of a certain miss) `lost` is ∞ − ∞.
        if self.rounded.is_finite() { self.rounded + self.lost } else { self.rounded }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(terms: I) -> Self {
        let mut sum = Self::default();
        terms.into_iter().for_each(|term| sum.add(term));
        sum
    }
}

/// The largest power of two that is at most `x`, for a positive finite `x`.
///
/// Dividing by it brings numbers of any size near 1 without rounding them.
pub(crate) fn binade(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    f64::from_bits(x.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}

/// Checked sample weights, in a unit that makes the largest lie in \[1, 2).
///
/// In this unit no sum or product of weights overflows, nor vanishes, however the caller scaled
/// them. The unit is a power of two, so ordinary weights keep all their bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights<'a> {
    given: Option<&'a [f64]>,
    /// One unit, measured in the caller's weights.
    pub(super) unit: f64,
}

impl<'a> Weights<'a> {
    /// Weights for `rows` rows: finite, not negative, and with a total that is positive and finite.
    pub(super) fn new(
        given: Option<&'a [f64]>,
        reference: &'static str,
        rows: usize,
    ) -> Result<Self> {
        let Some(weights) = given else { return Ok(Self { given, unit: 1.0 }) };
        same_length("weights", weights.len(), reference, rows)?;
        let blocks = parallel::map(rows, parallel::sum_block(rows, 1), |_, range| {
            let (mut largest, mut total) = (0.0_f64, Sum::default());
            for (row, &value) in range.clone().zip(&weights[range]) {
                if !value.is_finite() {
                    let what = "weights".into();
                    return Err(Error::NonFinite { what, row, column: None, value });
                }
                if value < 0.0 {
                    return Err(Error::NegativeWeight { row, value });
                }
                largest = largest.max(value);
                total.add(value);
            }
            Ok((largest, total))
        });
        let (mut largest, mut total) = (0.0_f64, Sum::default());
        for block in blocks {
            let (most, sum) = block?;
            largest = largest.max(most);
            total.merge(sum);
        }
        if largest == 0.0 {
            return Err(Error::invalid("weights", "0 in every row", "positive in some row"));
        }
        let total = total.value();
        if !total.is_finite() {
            return Err(Error::Numerical {
                what: "the total weight".into(),
                value: total,
                remedy: "divide all weights by the same large number",
            });
        }
        Ok(Self { given, unit: binade(largest) })
    }

    pub(super) fn get(&self, row: usize) -> f64 {
        self.given.map_or(1.0, |weights| weights[row] / self.unit)
    }
}

/// Which numbers a metric accepts next to the labels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Domain {
    /// Anything that can be ordered: all but NaN.
    Scores,
    /// As [`Domain::Scores`], under the name the caller knows.
    Logits,
    /// Numbers in \[0, 1\].
    Probabilities,
}

impl Domain {
    fn name(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
        }
    }

    fn check(self, row: usize, value: f64) -> Result<()> {
        let probability = matches!(self, Self::Probabilities);
        if value.is_nan() || (probability && value.is_infinite()) {
            return Err(Error::NonFinite { what: self.name().into(), row, column: None, value });
        }
        if probability && !(0.0..=1.0).contains(&value) {
            let found = format!("{value} at row {row}");
            return Err(Error::invalid(self.name(), found, "between 0 and 1"));
        }
        Ok(())
    }
}

/// Labelled, scored, weighted rows that passed every check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) labels: &'a [bool],
    pub(super) values: &'a [f64],
    pub(super) weights: Weights<'a>,
    /// Weight of the positives, in the unit of `weights`.
    pub(super) positive: f64,
    /// Weight of the negatives, in the unit of `weights`.
    pub(super) negative: f64,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        labels: &'a [bool],
        values: &'a [f64],
        domain: Domain,
        weights: Option<&'a [f64]>,
    ) -> Result<Self> {
        same_length(domain.name(), values.len(), "labels", labels.len())?;
        if labels.is_empty() {
            return Err(Error::NoRows { what: "the sample to measure" });
        }
        let n = labels.len();
        let checks = parallel::map(n, parallel::sum_block(n, 1), |_, range| {
            range.clone().zip(&values[range]).try_for_each(|(row, &value)| domain.check(row, value))
        });
        checks.into_iter().collect::<Result<()>>()?;
        let mut rows = Self {
            labels,
            values,
            weights: Weights::new(weights, "labels", n)?,
            positive: 0.0,
            negative: 0.0,
        };
        let [negative, positive] = class_weights(&rows);
        (rows.positive, rows.negative) = (positive, negative);
        Ok(rows)
    }
}

impl Weighted for Rows<'_> {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn row(&self, row: usize) -> (bool, f64, f64) {
        (self.labels[row], self.values[row], self.weights.get(row))
    }

    fn class_weights(&self) -> [f64; 2] {
        [self.negative, self.positive]
    }

    fn unit(&self) -> f64 {
        self.weights.unit
    }
}

/// Weight of the negatives and of the positives, counted from the rows.
pub(super) fn class_weights(rows: &impl Weighted) -> [f64; 2] {
    let n = rows.len();
    let blocks = parallel::map(n, parallel::sum_block(n, 2), |_, range| {
        let mut sums = [Sum::default(); 2];
        for row in range {
            let (label, _, weight) = rows.row(row);
            sums[usize::from(label)].add(weight);
        }
        sums
    });
    let mut total = [Sum::default(); 2];
    for sums in blocks {
        total[0].merge(sums[0]);
        total[1].merge(sums[1]);
    }
    total.map(Sum::value)
}

/// Checked rows in any order: what the metrics that are sums over rows need.
pub(super) trait Weighted: Sync {
    /// Number of rows, those without weight included.
    fn len(&self) -> usize;

    /// Label, value and weight of a row. Weights are in the unit of [`Weights`].
    fn row(&self, row: usize) -> (bool, f64, f64);

    /// Weight of the negatives and of the positives.
    fn class_weights(&self) -> [f64; 2];

    /// One unit of the weights, in the caller's weights.
    fn unit(&self) -> f64;

    /// Weight of the positives.
    fn positive(&self) -> f64 {
        self.class_weights()[1]
    }

    /// Weight of the negatives.
    fn negative(&self) -> f64 {
        self.class_weights()[0]
    }

    /// Weight of all rows.
    fn total(&self) -> f64 {
        self.positive() + self.negative()
    }

    /// The weighted sum of a function of label and value.
    ///
    /// Rows without weight are absent in every respect: 0 · ∞ never enters a sum.
    fn sum(&self, of: impl Fn(bool, f64) -> f64 + Sync) -> f64 {
        let n = self.len();
        let blocks = parallel::map(n, parallel::sum_block(n, 1), |_, range| {
            let mut sum = Sum::default();
            for row in range {
                let (label, value, weight) = self.row(row);
                if weight > 0.0 {
                    sum.add(weight * of(label, value));
                }
            }
            sum
        });
        let mut total = Sum::default();
        blocks.into_iter().for_each(|sum| total.merge(sum));
        total.value()
    }

    /// The weighted mean of a function of label and value.
    fn mean(&self, of: impl Fn(bool, f64) -> f64 + Sync) -> f64 {
        self.sum(of) / self.total()
    }

    /// Number of negative and of positive rows that have weight.
    fn counts(&self) -> [usize; 2] {
        let mut counts = [0; 2];
        for (label, _, weight) in (0..self.len()).map(|row| self.row(row)) {
            counts[usize::from(label)] += usize::from(weight > 0.0);
        }
        counts
    }

    /// `Ok` if positives have weight.
    fn need_positives(&self, what: &'static str) -> Result<()> {
        // The share, not the weight: a weight of 1e-320 among many rows is no weight at all.
        if self.positive() / self.total() > 0.0 { Ok(()) } else { Err(self.one_class(what)) }
    }

    /// `Ok` if positives and negatives have weight.
    fn need_both_classes(&self, what: &'static str) -> Result<()> {
        self.need_positives(what)?;
        if self.negative() / self.total() > 0.0 { Ok(()) } else { Err(self.one_class(what)) }
    }

    /// The error of a metric for which a class is missing.
    fn one_class(&self, what: &'static str) -> Error {
        let mut counts = [0; 2];
        (0..self.len()).for_each(|row| counts[usize::from(self.row(row).0)] += 1);
        Error::OneClass {
            what,
            positives: counts[1],
            negatives: counts[0],
            positive_weight: self.positive() * self.unit(),
            negative_weight: self.negative() * self.unit(),
        }
    }
}
