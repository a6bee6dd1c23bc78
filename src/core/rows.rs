//! Labels, weights, offsets, attributes and distortion of rows.

use std::borrow::Cow;

use super::attribute::{Attributes, Columns, Selection};
use super::{Attribute, ClassTotals, Distortion, Error, IntoColumn, Result, same_length};

/// All properties of rows but their features.
#[derive(Clone)]
pub(crate) struct Rows<'a> {
    /// The name of these rows in error messages.
    pub(super) what: &'static str,
    labels: Cow<'a, [bool]>,
    weights: Option<Cow<'a, [f64]>>,
    offsets: Option<Cow<'a, [f64]>>,
    attributes: Attributes<'a>,
    pub(crate) distortion: Distortion,
}

impl<'a> Rows<'a> {
    /// Labelled rows of `what`, at least one.
    pub(crate) fn new(what: &'static str, labels: impl IntoColumn<'a, bool>) -> Result<Self> {
        let labels = labels.into_column();
        if labels.is_empty() {
            return Err(Error::NoRows { what });
        }
        let (weights, offsets, attributes) = (None, None, Columns::of("attribute", []));
        Ok(Self { what, labels, weights, offsets, attributes, distortion: Distortion::None })
    }

    pub(crate) fn with_weights(mut self, weights: impl IntoColumn<'a, f64>) -> Result<Self> {
        let weights = weights.into_column();
        ensure_weights(&weights, self.what, self.len())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// Weights of rows that are a part of a log: they may all be zero.
    #[cfg(any(feature = "arrow", feature = "csv"))]
    pub(crate) fn with_weights_of_batch(mut self, weights: Vec<f64>) -> Result<Self> {
        ensure_each_weight(&weights, self.what, self.len())?;
        self.weights = Some(weights.into());
        Ok(self)
    }

    pub(crate) fn with_offsets(mut self, offsets: impl IntoColumn<'a, f64>) -> Result<Self> {
        let offsets = offsets.into_column();
        same_length("offsets", offsets.len(), self.what, self.len())?;
        ensure_finite("offsets", &offsets)?;
        self.offsets = Some(offsets);
        Ok(self)
    }

    pub(crate) fn with_attribute(mut self, name: String, column: Attribute<'a>) -> Result<Self> {
        let (entries, rows) = (column.len(), self.len());
        self.attributes.push(name, (column, entries), (self.what, rows))?;
        Ok(self)
    }

    pub(crate) fn attributes_mut(&mut self) -> &mut Attributes<'a> {
        &mut self.attributes
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn labels(&self) -> &[bool] {
        &self.labels
    }

    pub(crate) fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    pub(crate) fn offsets(&self) -> Option<&[f64]> {
        self.offsets.as_deref()
    }

    pub(crate) fn attributes(&self) -> &Attributes<'a> {
        &self.attributes
    }

    pub(crate) fn totals(&self) -> ClassTotals {
        ClassTotals::of(&self.labels, self.weights())
    }

    /// The selected rows: borrowed if they are consecutive, else copied.
    pub(crate) fn select(&self, rows: &Selection<'_>) -> Rows<'_> {
        Rows {
            what: self.what,
            labels: rows.column(&self.labels),
            weights: self.weights().map(|weights| rows.column(weights)),
            offsets: self.offsets().map(|offsets| rows.column(offsets)),
            attributes: self.attributes.map(|column| column.select(rows)),
            distortion: self.distortion.clone(),
        }
    }

    /// The selected rows and, below them, new positive ones with everything from their parents.
    pub(crate) fn grown(&self, kept: &Selection<'_>, parents: &[usize]) -> Rows<'static> {
        let column = |values: &[f64]| kept.column_and(values, parents).into();
        let mut labels = kept.column_and(&self.labels, parents);
        labels[kept.len()..].fill(true);
        Rows {
            what: self.what,
            labels: labels.into(),
            weights: self.weights().map(column),
            offsets: self.offsets().map(column),
            attributes: self.attributes.map(|column| column.grown(kept, parents)),
            distortion: self.distortion.clone(),
        }
    }

    pub(crate) fn into_owned(self) -> Rows<'static> {
        Rows {
            what: self.what,
            labels: Cow::Owned(self.labels.into_owned()),
            weights: self.weights.map(|weights| Cow::Owned(weights.into_owned())),
            offsets: self.offsets.map(|offsets| Cow::Owned(offsets.into_owned())),
            attributes: self.attributes.into_owned(),
            distortion: self.distortion,
        }
    }
}

/// Checks sample weights: one for each of the `rows` rows of `reference`, finite, not negative, not all
/// zero, with a finite sum.
pub(crate) fn ensure_weights(weights: &[f64], reference: &'static str, rows: usize) -> Result<()> {
    ensure_each_weight(weights, reference, rows)?;
    let total: f64 = weights.iter().sum();
    if total == 0.0 {
        return Err(Error::invalid("weights", "zero for every row", "positive for some row"));
    }
    if total.is_infinite() {
        let what = "the total weight".into();
        return Err(Error::Numerical { what, value: total, remedy: "scale all weights down" });
    }
    Ok(())
}

/// Checks that each weight is finite and not negative.
fn ensure_each_weight(weights: &[f64], reference: &'static str, rows: usize) -> Result<()> {
    same_length("weights", weights.len(), reference, rows)?;
    ensure_finite("weights", weights)?;
    match weights.iter().enumerate().find(|(_, weight)| **weight < 0.0) {
        Some((row, &value)) => Err(Error::NegativeWeight { row, value }),
        None => Ok(()),
    }
}

/// Checks that all values are finite.
pub(crate) fn ensure_finite(what: &str, values: &[f64]) -> Result<()> {
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((row, &value)) => {
            Err(Error::NonFinite { what: what.into(), row, column: None, value })
        }
        None => Ok(()),
    }
}
