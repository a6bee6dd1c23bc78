//! Number and weight of the rows of each class.

use super::{Error, Result};

/// Number and weight of the rows of each class.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ClassTotals {
    /// Number of positive rows.
    pub positives: usize,
    /// Number of negative rows.
    pub negatives: usize,
    /// Total weight of the positive rows; without weights, their number.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::not_negative"))]
    pub positive_weight: f64,
    /// Total weight of the negative rows; without weights, their number.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::not_negative"))]
    pub negative_weight: f64,
}

impl ClassTotals {
    /// Totals of labels; without weights, each row weighs 1.
    pub(crate) fn of(labels: &[bool], weights: Option<&[f64]>) -> Self {
        let positives = labels.iter().filter(|&&label| label).count();
        let negatives = labels.len() - positives;
        let (mut positive_weight, mut negative_weight) = (positives as f64, negatives as f64);
        if let Some(weights) = weights {
            let mut sums = [0.0; 2];
            for (&label, weight) in labels.iter().zip(weights) {
                sums[usize::from(label)] += weight;
            }
            [negative_weight, positive_weight] = sums;
        }
        Self { positives, negatives, positive_weight, negative_weight }
    }

    /// These rows and others.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            positives: self.positives + other.positives,
            negatives: self.negatives + other.negatives,
            positive_weight: self.positive_weight + other.positive_weight,
            negative_weight: self.negative_weight + other.negative_weight,
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.positives.saturating_add(self.negatives)
    }

    /// Total weight.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.positive_weight + self.negative_weight
    }

    /// Weighted share of positives, in \[0, 1\]; NaN if the total weight is 0.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.positive_weight / self.weight()
    }

    /// Weighted log-odds of a positive, ln(W₊ / W₋).
    #[must_use]
    pub fn log_odds(&self) -> f64 {
        self.positive_weight.ln() - self.negative_weight.ln()
    }

    /// Checks that both classes have positive weight.
    ///
    /// # Errors
    /// [`Error::OneClass`], naming the stage `what` that needs them.
    pub fn ensure_both(&self, what: &'static str) -> Result<()> {
        if self.positive_weight > 0.0 && self.negative_weight > 0.0 {
            return Ok(());
        }
        let Self { positives, negatives, positive_weight, negative_weight } = *self;
        Err(Error::OneClass { what, positives, negatives, positive_weight, negative_weight })
    }
}
