//! What every metric starts from: checked rows, accurate sums, and rows sorted by score.

use std::marker::PhantomData;
use std::ops::Range;

use crate::core::{Error, Result, same_length};
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel;
pub(super) use crate::numerics::sum::NeumaierSum as Sum;
use crate::numerics::{logit, power_of_two_below, sigmoid};

/// Checked sample weights, in a unit that makes the largest lie in \[1, 2).
///
/// In this unit no sum or product of weights overflows or underflows to 0, whatever the scale of the
/// caller's weights. The unit is a power of two, so ordinary weights keep all their bits.
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
        let valid = |weight: &f64| weight.is_finite() && *weight >= 0.0;
        if let Some(row) = parallel::position(weights, |weight| !valid(weight)) {
            let value = weights[row];
            return Err(if value.is_finite() {
                Error::NegativeWeight { row, value }
            } else {
                Error::NonFinite { what: "weights".into(), row, column: None, value }
            });
        }
        let size = parallel::sum_block(rows, 1);
        let sums = accumulate(rows, size, WeightSums::default, |range| &weights[range]);
        let WeightSums { largest, total } = sums.unwrap_or_default();
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
        Ok(Self { given, unit: power_of_two_below(largest) })
    }

    pub(super) fn get(&self, row: usize) -> f64 {
        self.given.map_or(1.0, |weights| weights[row] / self.unit)
    }
}

/// The largest of some weights, and their sum.
#[derive(Default)]
struct WeightSums {
    largest: f64,
    total: Sum,
}

impl Accumulate for WeightSums {
    type Block<'b> = &'b [f64];

    fn add(&mut self, weights: &[f64]) {
        for &weight in weights {
            self.largest = self.largest.max(weight);
            self.total.add(weight);
        }
    }

    fn merge(&mut self, next: Self) {
        self.largest = self.largest.max(next.largest);
        self.total.merge(next.total);
    }
}

/// The rows and the weight of each class, negatives first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classes {
    /// Number of rows, including rows without weight.
    pub(super) rows: [usize; 2],
    /// Weight, in `unit`.
    pub(super) weights: [f64; 2],
    /// One unit of the weights, in the caller's weights.
    pub(super) unit: f64,
}

impl Classes {
    /// Counts rows, given by label and weight.
    pub(super) fn count<I: Iterator<Item = (bool, f64)>>(
        rows: usize,
        unit: f64,
        block: impl Fn(Range<usize>) -> I + Sync + Send,
    ) -> Self {
        let size = parallel::sum_block(rows, 2);
        let sums = accumulate(rows, size, ClassSums::default, block).unwrap_or_default();
        Self { rows: sums.rows, weights: sums.weights.map(Sum::value), unit }
    }

    pub(super) fn positive(&self) -> f64 {
        self.weights[1]
    }

    pub(super) fn negative(&self) -> f64 {
        self.weights[0]
    }

    pub(super) fn total(&self) -> f64 {
        self.positive() + self.negative()
    }

    /// The weighted share of positives.
    pub(super) fn base_rate(&self) -> f64 {
        self.positive() / self.total()
    }

    /// `Ok` if positives have weight; `what` is the metric that needs them.
    pub(super) fn ensure_positives(&self, what: &'static str) -> Result<()> {
        self.ensure_share(self.positive(), what)
    }

    /// `Ok` if positives and negatives have weight; `what` is the metric that needs them.
    pub(super) fn ensure_both(&self, what: &'static str) -> Result<()> {
        self.ensure_positives(what)?;
        self.ensure_share(self.negative(), what)
    }

    fn ensure_share(&self, weight: f64, what: &'static str) -> Result<()> {
        // A weight of 1e-320 among many rows is positive, and its share rounds to 0.
        if weight / self.total() > 0.0 {
            return Ok(());
        }
        let ([negatives, positives], [negative, positive]) = (self.rows, self.weights);
        let (positive_weight, negative_weight) = (positive * self.unit, negative * self.unit);
        Err(Error::OneClass { what, positives, negatives, positive_weight, negative_weight })
    }
}

/// Rows and weight of each class; a block is an iterator over labels and weights.
struct ClassSums<I> {
    rows: [usize; 2],
    weights: [Sum; 2],
    block: PhantomData<fn(I)>,
}

impl<I> Default for ClassSums<I> {
    fn default() -> Self {
        Self { rows: [0; 2], weights: [Sum::default(); 2], block: PhantomData }
    }
}

impl<I: Iterator<Item = (bool, f64)>> Accumulate for ClassSums<I> {
    type Block<'b> = I;

    fn add(&mut self, rows: I) {
        rows.for_each(|(label, weight)| {
            self.rows[usize::from(label)] += 1;
            self.weights[usize::from(label)].add(weight);
        });
    }

    fn merge(&mut self, next: Self) {
        for class in 0..2 {
            self.rows[class] += next.rows[class];
            self.weights[class].merge(next.weights[class]);
        }
    }
}

/// Which numbers a metric accepts next to the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    /// All numbers except NaN.
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

    /// The probability that a value stands for; scores are taken for probabilities.
    pub(super) fn probability(self, value: f64) -> f64 {
        if self == Self::Logits { sigmoid(value) } else { value }
    }

    /// The logit that a value stands for.
    pub(super) fn logit(self, value: f64) -> f64 {
        if self == Self::Logits { value } else { logit(value) }
    }

    /// The value that stands for a probability.
    pub(super) fn of_probability(self, p: f64) -> f64 {
        if self == Self::Logits { logit(p) } else { p }
    }

    /// The values that stand for the probabilities 0 and 1.
    pub(super) fn certain(self) -> [f64; 2] {
        [0.0, 1.0].map(|p| self.of_probability(p))
    }

    fn ensure_contains(self, values: &[f64]) -> Result<()> {
        let invalid = match self {
            Self::Probabilities => parallel::position(values, |p| !(0.0..=1.0).contains(p)),
            Self::Scores | Self::Logits => parallel::position(values, |value| value.is_nan()),
        };
        let Some(row) = invalid else { return Ok(()) };
        let value = values[row];
        if value.is_finite() {
            let found = format!("{value} at row {row}");
            return Err(Error::invalid(self.name(), found, "between 0 and 1"));
        }
        Err(Error::NonFinite { what: self.name().into(), row, column: None, value })
    }
}

/// A row as it is sorted: its score, and its weight with the sign of its label.
///
/// Two numbers a row keep the array to sort small.
pub(super) type SortedRow = (f64, f64);

/// Labelled, scored, weighted rows that passed every check, in the caller's order.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedRows<'a> {
    labels: &'a [bool],
    values: &'a [f64],
    domain: Domain,
    weights: Weights<'a>,
    pub(super) classes: Classes,
}

impl<'a> CheckedRows<'a> {
    pub(super) fn new(
        labels: &'a [bool],
        values: &'a [f64],
        domain: Domain,
        weights: Option<&'a [f64]>,
    ) -> Result<Self> {
        let n = labels.len();
        same_length(domain.name(), values.len(), "labels", n)?;
        if n == 0 {
            return Err(Error::NoRows { what: "the sample to measure" });
        }
        domain.ensure_contains(values)?;
        let weights = Weights::new(weights, "labels", n)?;
        let rows = |range: Range<usize>| range.map(|row| (labels[row], weights.get(row)));
        let classes = Classes::count(n, weights.unit, rows);
        Ok(Self { labels, values, domain, weights, classes })
    }

    /// Score and signed weight of a row. Adding 0.0 turns −0.0 into 0.0, its equal.
    pub(super) fn signed(&self, row: usize) -> SortedRow {
        let (label, value, weight) = self.row(row);
        (value + 0.0, if label { weight } else { -weight } + 0.0)
    }
}

/// Checked rows in any order, which is all that a sum over rows needs.
pub(super) trait WeightedRows: Sync {
    /// Number of rows, including rows without weight.
    fn len(&self) -> usize;

    /// Label, value and weight of a row. Weights are in the unit of [`classes`](Self::classes).
    fn row(&self, row: usize) -> (bool, f64, f64);

    /// Rows and weight of each class.
    fn classes(&self) -> &Classes;

    /// What the values are.
    fn domain(&self) -> Domain;

    /// The weighted sum of a function of label and value.
    ///
    /// Rows without weight are left out: 0 · ∞ never enters a sum.
    fn sum(&self, of: impl Fn(bool, f64) -> f64 + Sync) -> f64 {
        let of = &of;
        let terms = |range: Range<usize>| {
            let rows = range.map(|row| self.row(row)).filter(|row| row.2 > 0.0);
            rows.map(move |(label, value, weight)| weight * of(label, value))
        };
        let (n, size) = (self.len(), parallel::sum_block(self.len(), 1));
        accumulate(n, size, TermSum::default, terms).unwrap_or_default().sum.value()
    }

    /// The weighted mean of a function of label and value.
    fn mean(&self, of: impl Fn(bool, f64) -> f64 + Sync) -> f64 {
        self.sum(of) / self.classes().total()
    }

    /// The weighted sum of a function of label and probability.
    fn sum_over_p(&self, of: impl Fn(bool, f64) -> f64 + Sync) -> f64 {
        match self.domain() {
            Domain::Logits => self.sum(|label, z| of(label, sigmoid(z))),
            Domain::Scores | Domain::Probabilities => self.sum(of),
        }
    }

    /// The weighted mean of a function of label and probability.
    fn mean_over_p(&self, of: impl Fn(bool, f64) -> f64 + Sync) -> f64 {
        self.sum_over_p(of) / self.classes().total()
    }
}

impl WeightedRows for CheckedRows<'_> {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn row(&self, row: usize) -> (bool, f64, f64) {
        (self.labels[row], self.values[row], self.weights.get(row))
    }

    fn classes(&self) -> &Classes {
        &self.classes
    }

    fn domain(&self) -> Domain {
        self.domain
    }
}

/// A sum; a block is an iterator over terms.
pub(super) struct TermSum<I> {
    pub(super) sum: Sum,
    block: PhantomData<fn(I)>,
}

impl<I> Default for TermSum<I> {
    fn default() -> Self {
        Self { sum: Sum::default(), block: PhantomData }
    }
}

impl<I: Iterator<Item = f64>> Accumulate for TermSum<I> {
    type Block<'b> = I;

    fn add(&mut self, terms: I) {
        terms.for_each(|term| self.sum.add(term));
    }

    fn merge(&mut self, next: Self) {
        self.sum.merge(next.sum);
    }
}
