//! Scores with their labels and weights.

use crate::core::Run;
use crate::exec::simd::{LANES, lanes};

/// Scores with their labels and weights, and the run in which they are read. Rows of weight 0 do not count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub(crate) scores: &'a [f64],
    pub(crate) labels: &'a [bool],
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) run: &'a Run,
}

impl Sample<'_> {
    /// The weights of the rows from `first` on; 0 in lanes without a row.
    #[inline(always)]
    pub(super) fn weights_in_lanes(&self, first: usize) -> [f64; LANES] {
        match self.weights {
            Some(weights) => lanes(&weights[first..], 0.0),
            None => {
                let rows = self.scores.len() - first;
                std::array::from_fn(|lane| if lane < rows { 1.0 } else { 0.0 })
            }
        }
    }

    /// The score and the label of each row with weight.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (f64, bool)> {
        let weight = |row: usize| self.weights.map_or(1.0, |weights| weights[row]);
        let rows = self.scores.iter().zip(self.labels).enumerate();
        rows.filter(move |&(row, _)| weight(row) > 0.0).map(|(_, (&z, &label))| (z, label))
    }

    /// Whether at least `n` different scores satisfy the condition.
    pub(crate) fn at_least_distinct(&self, n: usize, condition: impl Fn(f64) -> bool) -> bool {
        let mut seen: Vec<f64> = Vec::with_capacity(n);
        for (z, _) in self.rows() {
            if seen.len() < n && condition(z) && !seen.contains(&z) {
                seen.push(z);
            }
            if seen.len() == n {
                return true;
            }
        }
        false
    }

    /// The ranges of a function of the scores over the negatives and over the positives. The pass ends early,
    /// with the ranges so far, once they satisfy `until`.
    pub(crate) fn class_ranges(
        &self,
        of: impl Fn(f64) -> f64,
        until: impl Fn(&[Range; 2]) -> bool,
    ) -> [Range; 2] {
        let mut ranges = [Range::EMPTY; 2];
        for (z, label) in self.rows() {
            ranges[usize::from(label)].extend(of(z));
            if until(&ranges) {
                break;
            }
        }
        ranges
    }
}

/// The range of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Range {
    pub(crate) const EMPTY: Self = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };

    /// The smallest range that holds both.
    pub(crate) fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    pub(crate) fn extend(&mut self, number: f64) {
        self.low = self.low.min(number);
        self.high = self.high.max(number);
    }
}
