//! Why a record's prediction is what it is: the share of each of its columns.

use std::collections::BTreeMap;
use std::fmt;

use super::{Explanation, Scales};
use crate::core::number;
use crate::data::{EncodedRow, FittedEncoder, Value};
use crate::model::PRINTED;

/// The probability of one record as a base and the share of each of its columns, on the scales of an [`Explanation`];
/// made by [`Scorer::explain`](super::Scorer::explain).
///
/// A column's share is the sum over its features. Columns that were crossed have a share as a cross, `country × device`.
/// Where several hashed columns of the record fall into one feature, each has as much of it as it adds to its value. A hashed
/// feature in which the record has nothing, but which a tree asks for, belongs to all hashed columns together: `city, shop`.
///
/// Printed, it has the 20 columns with the largest shares; `features` has the encoded features in the same form.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct RecordExplanation {
    /// The prediction, its base, and the share of each encoded feature, by [name](FittedEncoder::column_names).
    pub features: Explanation,
    /// The share of each column of the record, the largest of the probability first.
    pub columns: Vec<RecordShare>,
}

/// What one column of a record, or a cross of several, adds to a prediction.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct RecordShare {
    /// The column: `country`, `country × device`.
    pub name: String,
    /// Its value in the record: `FR`, `FR × phone`; empty for several columns that are not crossed.
    pub value: String,
    /// What it adds.
    pub share: Scales,
}

impl RecordExplanation {
    /// Adds up the features of a record, which the buffer holds encoded.
    pub(super) fn new(
        features: Explanation,
        encoder: &FittedEncoder,
        record: &[(&str, Value<'_>)],
        encoded: &EncodedRow,
    ) -> Self {
        let value = |column: &str| {
            let value = record.iter().find(|(name, _)| *name == column).map(|(_, value)| value);
            match value {
                Some(Value::Number(x)) if !x.is_nan() => number(*x),
                Some(Value::Text(text)) => (*text).to_owned(),
                _ => "missing".into(),
            }
        };
        let mut shares: BTreeMap<String, RecordShare> = BTreeMap::new();
        for term in &features.terms {
            for source in encoder.sources(term.column, encoded) {
                let none = Scales {
                    logit: 0.0,
                    log_odds: term.share.log_odds.map(|_| 0.0),
                    probability: 0.0,
                };
                let values: Vec<String> = source.columns.into_iter().map(value).collect();
                let of = shares.entry(source.name.clone()).or_insert_with(|| RecordShare {
                    name: source.name,
                    value: values.join(" × "),
                    share: none,
                });
                of.share = of.share.plus(&term.share, source.part);
            }
        }
        let mut columns: Vec<RecordShare> = shares.into_values().collect();
        columns.sort_by(|a, b| a.share.by_size(&b.share));
        Self { features, columns }
    }

    /// The prediction, its base, the first `rows` columns and the sum of the others as lines.
    #[must_use]
    pub fn text(&self, rows: usize) -> String {
        let line = |of: &RecordShare| (of.name.clone(), of.value.clone(), of.share);
        self.features.table(&self.columns.iter().map(line).collect::<Vec<_>>(), rows)
    }
}

impl fmt::Display for RecordExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(PRINTED))
    }
}
