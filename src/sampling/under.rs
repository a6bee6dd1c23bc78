//! What the under-samplers share: how many negatives they keep.

use super::Resample;
use crate::core::{ClassTotals, Error, Result};

/// How many negatives are kept, N̂₋, of N₋ beside N₊ positives.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
pub(super) enum NegativesToKeep {
    /// ratio · N₊.
    PerPositive(f64),
    /// rate · N₋.
    Rate(f64),
    /// N₊ / ratio.
    PositivesPerNegative(f64),
}

impl NegativesToKeep {
    pub(super) fn per_positive(ratio: f64) -> Result<Self> {
        if ratio > 0.0 && ratio.is_finite() {
            Ok(Self::PerPositive(ratio))
        } else {
            Err(Error::invalid("ratio", ratio, "positive and finite: negatives per positive"))
        }
    }

    pub(super) fn rate(rate: f64) -> Result<Self> {
        if rate > 0.0 && rate <= 1.0 {
            Ok(Self::Rate(rate))
        } else {
            Err(Error::invalid("rate", rate, "above 0 and at most 1: the share of negatives kept"))
        }
    }

    pub(super) fn positives_per_negative(ratio: f64) -> Result<Self> {
        if ratio > 0.0 && ratio.is_finite() {
            Ok(Self::PositivesPerNegative(ratio))
        } else {
            Err(Error::invalid("ratio", ratio, "positive and finite: positives per negative"))
        }
    }

    /// The same, by the constructor that it belongs to.
    #[cfg(feature = "serde")]
    pub(super) fn checked(self) -> Result<Self> {
        match self {
            Self::PerPositive(ratio) => Self::per_positive(ratio),
            Self::Rate(rate) => Self::rate(rate),
            Self::PositivesPerNegative(ratio) => Self::positives_per_negative(ratio),
        }
    }

    /// The number of negatives asked for, whether or not there are so many.
    fn asked(self, totals: &ClassTotals) -> f64 {
        let (positives, negatives) = (totals.positives as f64, totals.negatives as f64);
        match self {
            Self::PerPositive(ratio) => ratio * positives,
            Self::Rate(rate) => rate * negatives,
            Self::PositivesPerNegative(ratio) => positives / ratio,
        }
    }

    /// The resample, with a note if more negatives were asked for than there are.
    pub(super) fn note_shortage(self, totals: &ClassTotals, kept: Resample) -> Resample {
        match self.shortage(totals) {
            Some(note) => kept.note(note),
            None => kept,
        }
    }

    /// The note that more negatives were asked for than there are.
    pub(super) fn shortage(self, totals: &ClassTotals) -> Option<String> {
        let (asked, negatives) = (self.asked(totals).round(), totals.negatives);
        let is_short = asked > negatives as f64;
        is_short.then(|| format!("{asked} negatives were asked for, and there are {negatives}"))
    }

    /// The number of negatives asked for, not rounded, at most the number there are.
    pub(super) fn unrounded(self, totals: &ClassTotals) -> Result<f64> {
        let (positives, negatives) = (totals.positives as f64, totals.negatives as f64);
        let wanted = self.asked(totals);
        if matches!(self, Self::PositivesPerNegative(_)) && wanted.round() > negatives {
            let expected = format!(
                "at least {}: there are {positives} positives and {negatives} negatives, and leaving \
                 out negatives can only raise their ratio; over-sampling positives raises it, too, so \
                 for fewer positives per negative take more rows",
                positives / negatives
            );
            return Err(Error::invalid("ratio", self.argument().1, expected));
        }
        Ok(wanted.min(negatives))
    }

    /// The share of the negatives, where it is known without counting.
    pub(super) fn known_rate(self) -> Option<f64> {
        match self {
            Self::Rate(rate) => Some(rate),
            Self::PerPositive(_) | Self::PositivesPerNegative(_) => None,
        }
    }

    /// The number of negatives to keep, at least 1.
    pub(super) fn rounded(self, totals: &ClassTotals) -> Result<usize> {
        match self.unrounded(totals)?.round() as usize {
            0 => Err(self.too_few(totals, "")),
            wanted => Ok(wanted),
        }
    }

    /// The error that no negative would be kept.
    pub(super) fn too_few(self, totals: &ClassTotals, addition: &str) -> Error {
        let (argument, value) = self.argument();
        let expected = format!(
            "large enough to keep a negative{addition}: there are {} positives and {} negatives",
            totals.positives, totals.negatives
        );
        Error::invalid(argument, value, expected)
    }

    /// The argument that was given, and its value.
    fn argument(self) -> (&'static str, f64) {
        match self {
            Self::PerPositive(ratio) | Self::PositivesPerNegative(ratio) => ("ratio", ratio),
            Self::Rate(rate) => ("rate", rate),
        }
    }
}
