//! What a sampler did, and the data set that results.

use std::borrow::Cow;

use super::Synthetic;
use crate::core::{Dataset, Distortion, Result, Selection, check_finite, same_length};

/// What a sampler did: which rows it kept, which it made, how it weighted them, and what that
/// distorted. Never just `(X, y)`.
///
/// The resampled rows are the kept ones, in the order of [`rows`](Self::rows), then the synthetic
/// ones; weights and offsets follow that order.
#[derive(Debug, Clone)]
pub struct Resample {
    /// Provenance of the kept rows.
    pub rows: Rows,
    /// New rows, if any.
    pub synthetic: Option<Synthetic>,
    /// A factor on each row's own weight, finite and ≥ 0.
    pub weights: Option<Vec<f64>>,
    /// An addition to each row's own offset, finite: what the choice of rows did to its log-odds, with the
    /// opposite sign, so that a model learns the population's.
    pub offsets: Option<Vec<f64>>,
    /// What the resampling did to the odds, from realised (weighted) counts. Where there are offsets,
    /// [`Distortion::Offset`]; a resample that does not say so is taken for one.
    pub distortion: Distortion,
}

/// Rows kept by a sampler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Every row, in order. Nothing is copied.
    All,
    /// These rows of the input, in this order; repeats are allowed.
    Kept(Vec<usize>),
}

impl Resample {
    /// Every row as it is.
    #[must_use]
    pub fn identity() -> Self {
        Self {
            rows: Rows::All,
            synthetic: None,
            weights: None,
            offsets: None,
            distortion: Distortion::None,
        }
    }

    /// These rows of the input and no others.
    #[must_use]
    pub fn kept(rows: Vec<usize>, distortion: Distortion) -> Self {
        Self { rows: Rows::Kept(rows), distortion, ..Self::identity() }
    }

    /// The distortion on record. Rows that need offsets to be right are no fair sample, whatever a sampler
    /// says of them.
    pub(super) fn recorded(&self) -> Distortion {
        let distortion = self.distortion.clone();
        match distortion {
            Distortion::None | Distortion::PriorShift { .. } if self.offsets.is_some() => {
                let sampler = "a sampler that gives offsets".into();
                distortion.then(Distortion::Offset { sampler, log_odds: 0.0 })
            }
            distortion => distortion,
        }
    }

    /// The resampled data set. Its distortion is that of `data` followed by this one's.
    ///
    /// # Errors
    /// Whatever breaks the contract of the fields: rows out of range, lengths that differ, weights,
    /// offsets or a shift of the odds that are not finite.
    pub fn apply<'a>(self, data: &'a Dataset<'_>) -> Result<Dataset<'a>> {
        let distortion = data.distortion().clone().then(self.recorded()).checked()?;
        let rows = take(data, &self.rows, self.synthetic.as_ref())?;
        finish(rows, self.weights.map(Cow::Owned), self.offsets.map(Cow::Owned), distortion)
    }

    /// The same, where what the sampler did is still needed.
    pub(super) fn view<'a>(&'a self, data: &'a Dataset<'_>) -> Result<Dataset<'a>> {
        let distortion = data.distortion().clone().then(self.recorded()).checked()?;
        let rows = take(data, &self.rows, self.synthetic.as_ref())?;
        let borrowed = |values: &'a Option<Vec<f64>>| values.as_deref().map(Cow::Borrowed);
        finish(rows, borrowed(&self.weights), borrowed(&self.offsets), distortion)
    }
}

/// The kept rows, and the new ones below them.
fn take<'a>(
    data: &'a Dataset<'_>,
    rows: &Rows,
    synthetic: Option<&Synthetic>,
) -> Result<Dataset<'a>> {
    let Some(synthetic) = synthetic.filter(|made| !made.is_empty()) else {
        return match rows {
            Rows::All => Ok(data.view()),
            Rows::Kept(rows) => data.select(rows),
        };
    };
    synthetic.check("the sampler", data.rows(), data.columns())?;
    let kept = match rows {
        Rows::All => Selection::Range(0..data.rows()),
        Rows::Kept(rows) => Selection::checked(rows, data.rows())?,
    };
    Ok(data.grown(synthetic.below(data, &kept)?, &kept, synthetic.parents()))
}

/// Rows with what the sampler says of them.
fn finish<'a>(
    mut rows: Dataset<'a>,
    weights: Option<Cow<'a, [f64]>>,
    offsets: Option<Cow<'a, [f64]>>,
    distortion: Distortion,
) -> Result<Dataset<'a>> {
    if let Some(mut weights) = weights {
        check("sampler weights", &weights, rows.rows())?;
        if let Some(own) = rows.weights() {
            weights.to_mut().iter_mut().zip(own).for_each(|(weight, own)| *weight *= own);
        }
        rows = rows.with_weights(weights)?;
    }
    if let Some(mut offsets) = offsets {
        check("sampler offsets", &offsets, rows.rows())?;
        if let Some(own) = rows.offsets() {
            offsets.to_mut().iter_mut().zip(own).for_each(|(offset, own)| *offset += own);
        }
        rows = rows.with_offsets(offsets)?;
    }
    Ok(rows.with_distortion(distortion))
}

/// Checks what a sampler says of each row before it is combined with what the row carries.
fn check(what: &'static str, values: &[f64], rows: usize) -> Result<()> {
    same_length(what, values.len(), "the resampled data set", rows)?;
    check_finite(what, values)
}
