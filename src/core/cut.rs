//! Rules that divide rows into training rows and test rows.

use std::collections::HashMap;

use super::{Attribute, Folds, Result, Rows, Seed, Split};

/// How rows are divided into training rows and test rows: for splits
/// ([`Dataset::cut`](super::Dataset::cut)), folds ([`Dataset::folds`](super::Dataset::folds)), hold-outs
/// and cross-fitting.
///
/// ```
/// use imbalance::prelude::*;
///
/// let log = SyntheticClicks::new(4_000, 0.05)?.numeric(2).categorical(&[]).generate(7)?;
/// let (train, test) = log.dataset.cut(&Cut::by_time("day"), 0.25, 7)?;
/// assert!(train.numbers("day")?.last() < test.numbers("day")?.first());
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Cut {
    /// At random, with an equal share of each class: for rows that do not depend on each other.
    Stratified,
    /// The last rows are the test rows: for rows in order of time.
    InOrder,
    /// The latest rows are the test rows, by an attribute column of numbers, the times.
    ByTime(String),
    /// At random in whole groups, such as the rows of one user, by an attribute column: rows with equal
    /// numbers or texts are never separated.
    ByGroup(String),
}

impl Cut {
    /// The latest rows are the test rows, by the times in this attribute column.
    pub fn by_time(attribute: impl Into<String>) -> Self {
        Self::ByTime(attribute.into())
    }

    /// Rows with equal values in this attribute column stay together.
    pub fn by_group(attribute: impl Into<String>) -> Self {
        Self::ByGroup(attribute.into())
    }

    /// Whether training rows always come before their test rows.
    pub(crate) fn is_forward(&self) -> bool {
        matches!(self, Self::InOrder | Self::ByTime(_))
    }

    pub(crate) fn split(&self, rows: &Rows<'_>, share: f64, seed: Seed) -> Result<Split> {
        let labels = rows.labels();
        let split = match self {
            Self::Stratified => Split::stratified(labels, share, seed),
            Self::InOrder => Split::last(rows.len(), share),
            Self::ByTime(attribute) => Split::by_time(rows.attributes().numbers(attribute)?, share),
            Self::ByGroup(attribute) => {
                Split::by_group(labels, &groups(rows, attribute)?, share, seed)
            }
        };
        split?.with_both_classes(labels)
    }

    pub(crate) fn folds(&self, rows: &Rows<'_>, count: usize, seed: Seed) -> Result<Folds> {
        let labels = rows.labels();
        match self {
            Self::Stratified => Folds::stratified(labels, count, seed),
            Self::InOrder => Folds::forward(labels, count),
            Self::ByTime(attribute) => {
                Folds::by_time(labels, rows.attributes().numbers(attribute)?, count)
            }
            Self::ByGroup(attribute) => {
                Folds::by_group(labels, &groups(rows, attribute)?, count, seed)
            }
        }
    }
}

/// A code for each row; rows with equal values of the attribute have equal codes.
fn groups(rows: &Rows<'_>, attribute: &str) -> Result<Vec<u32>> {
    Ok(match rows.attributes().get(attribute)? {
        Attribute::Categories(texts) => texts.codes().to_vec(),
        Attribute::Numbers(values) => {
            let mut codes = HashMap::new();
            // Adding 0 turns −0 into 0, which has other bits.
            let code = |value: &f64| {
                let next = codes.len() as u32;
                *codes.entry((value + 0.0).to_bits()).or_insert(next)
            };
            values.iter().map(code).collect()
        }
    })
}
