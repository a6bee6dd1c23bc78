//! What a sampler did, and the data set that results.

use std::borrow::Cow;

use super::Synthetic;
use super::synthetic::stack;
use crate::core::{Dataset, Distortion, Error, Result, Selection, ensure_finite, same_length};
use crate::exec::parallel;

/// What a sampler did: which rows it kept, which it made, how it weighted them, and what that
/// distorted. Never just `(X, y)`.
///
/// The result has the kept rows first, in the order of [`rows`](Self::rows), and then the rows of each
/// [`Synthetic`] in turn; weights and offsets follow that order. A resample lists rows and does not hold
/// their features, so that of several choices, one after the other, only the last is copied.
#[derive(Debug, Clone)]
pub struct Resample {
    /// Provenance of the kept rows.
    pub rows: Rows,
    /// New rows, if any: one entry for each sampler that made some.
    pub synthetic: Vec<Synthetic>,
    /// A factor on each row's own weight, finite and ≥ 0.
    pub weights: Option<Vec<f64>>,
    /// A term added to each row's own offset, finite: what the choice of rows did to its log-odds, with the
    /// opposite sign, so that a model learns the population's.
    pub offsets: Option<Vec<f64>>,
    /// What the resampling did to the odds, from realised (weighted) counts. Where there are offsets,
    /// [`Distortion::Offset`]; a resample with offsets that does not say so is taken for one.
    pub distortion: Distortion,
    /// How the kept rows were drawn, so that a pipeline can compare them with the rows left out.
    pub inclusion: Inclusion,
    /// What the user should know of this draw, a sentence each, as that fewer rows exist than were asked for.
    pub notes: Vec<String>,
}

/// How likely a sampler was to keep each row of its input.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Inclusion {
    /// Not known, or 0 for some rows: the rows left out are of another kind than the kept ones.
    #[default]
    Unknown,
    /// Equal for all rows of a class: the kept rows of a class and those left out are exchangeable.
    Uniform,
    /// πᵢ, above 0 and at most 1, of each row of the input; each row was drawn on its own.
    Each(Vec<f64>),
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
            synthetic: Vec::new(),
            weights: None,
            offsets: None,
            distortion: Distortion::None,
            inclusion: Inclusion::Unknown,
            notes: Vec::new(),
        }
    }

    /// These rows of the input and no others.
    #[must_use]
    pub fn kept(rows: Vec<usize>, distortion: Distortion) -> Self {
        Self { rows: Rows::Kept(rows), distortion, ..Self::identity() }
    }

    /// This resample, drawn in this way.
    #[must_use]
    pub fn drawn(self, inclusion: Inclusion) -> Self {
        Self { inclusion, ..self }
    }

    /// This resample with another note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The input row that each new row was made from.
    pub fn parents(&self) -> impl Iterator<Item = usize> {
        self.synthetic.iter().flat_map(Synthetic::parents).copied()
    }

    /// The input row behind a row of the result, of a new row its parent, for an input of `rows` rows.
    pub(super) fn origin(&self, row: usize, rows: usize) -> usize {
        let kept = self.rows.len(rows);
        match &self.rows {
            Rows::All if row < kept => return row,
            Rows::Kept(rows) if row < kept => return rows[row],
            _ => {}
        }
        let mut at = row.saturating_sub(kept);
        let parent = self.synthetic.iter().find_map(|made| {
            let parent = made.parents().get(at);
            at = at.saturating_sub(made.parents().len());
            parent
        });
        parent.map_or(row, |&parent| parent)
    }

    /// The distortion on record. Rows that need offsets to be right are no fair sample, even where a sampler
    /// does not say so.
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
    /// It has no run and cannot be stopped: chosen rows are copied when their features are first read, and new rows are made
    /// here, in about the time that it takes to copy them.
    ///
    /// # Errors
    /// Whatever breaks the contract of the fields: rows out of range, lengths that differ, weights,
    /// offsets or a shift of the odds that are not finite.
    pub fn apply<'a>(self, data: &'a Dataset<'_>) -> Result<Dataset<'a>> {
        let rows = self.take("the sampler", data)?;
        finish(rows, self.weights.map(Cow::Owned), self.offsets.map(Cow::Owned))
    }

    /// [`apply`](Self::apply) for a resample that is needed afterwards.
    pub(super) fn view<'a>(&'a self, data: &'a Dataset<'_>) -> Result<Dataset<'a>> {
        let borrowed = |values: &'a Option<Vec<f64>>| values.as_deref().map(Cow::Borrowed);
        let rows = self.take("the first sampler", data)?;
        finish(rows, borrowed(&self.weights), borrowed(&self.offsets))
    }

    /// Checks that a sampler can have done this to a data set.
    pub(super) fn ensure_valid(&self, sampler: &'static str, data: &Dataset<'_>) -> Result<()> {
        if let Rows::Kept(kept) = &self.rows {
            let rows = data.rows();
            if let Some(&row) = kept.iter().find(|&&row| row >= rows) {
                return Err(Error::RowOutOfRange { what: sampler.into(), row, rows });
            }
        }
        for made in &self.synthetic {
            made.ensure_valid(sampler, data.rows(), data.columns())?;
        }
        let rows = self.rows.len(data.rows()) + self.parents().count();
        if rows == 0 {
            return Err(Error::NoRows { what: "the resampled data set" });
        }
        let columns = [("sampler weights", &self.weights), ("sampler offsets", &self.offsets)];
        for (what, values) in columns {
            if let Some(values) = values {
                same_length(what, values.len(), "the resampled data set", rows)?;
                ensure_finite(what, values)?;
            }
        }
        if let Inclusion::Each(inclusion) = &self.inclusion {
            let what = "the inclusion probabilities";
            same_length(what, inclusion.len(), "the sampler's input", data.rows())?;
            if let Some(row) = parallel::position(inclusion, |p| !(*p > 0.0 && *p <= 1.0)) {
                let problem = format!("it kept row {row} with the probability {}", inclusion[row]);
                return Err(Error::Contract { stage: sampler.into(), problem });
            }
        }
        Ok(())
    }

    /// The kept rows and the new ones below them, without this resample's weights and offsets.
    fn take<'a>(&self, sampler: &'static str, data: &'a Dataset<'_>) -> Result<Dataset<'a>> {
        self.ensure_valid(sampler, data)?;
        let kept = match &self.rows {
            Rows::All => Selection::Range(0..data.rows()),
            Rows::Kept(rows) => Selection::of(rows),
        };
        let rows = match &self.synthetic[..] {
            made if made.iter().all(Synthetic::is_empty) => data.selected(&kept),
            made => {
                let parents: Vec<usize> = self.parents().collect();
                data.grown(stack(data, &kept, made)?, &kept, &parents)
            }
        };
        let distortion = data.distortion().clone().then(self.recorded()).checked()?;
        Ok(rows.with_distortion(distortion))
    }
}

impl Inclusion {
    /// How likely each of `rows` rows is to be kept by two samplers, one after the other, of which the first
    /// kept `first` and the second `second`.
    pub(super) fn then(&self, first: &Rows, later: Self, second: &Rows, rows: usize) -> Self {
        match (first, later, second) {
            (_, _, Rows::All) => self.clone(),
            (Rows::All, Self::Each(mut inclusion), _) => {
                // New rows of the first sampler come behind the rows of the input.
                inclusion.truncate(rows);
                Self::Each(inclusion)
            }
            (Rows::All, Self::Uniform, _) => Self::Uniform,
            (_, Self::Uniform, _) if *self == Self::Uniform => Self::Uniform,
            _ => Self::Unknown,
        }
    }
}

impl Rows {
    /// The number of kept rows, of an input of `rows` rows.
    pub(super) fn len(&self, rows: usize) -> usize {
        match self {
            Self::All => rows,
            Self::Kept(kept) => kept.len(),
        }
    }

    /// The kept rows as a list.
    pub(super) fn into_vec(self, rows: usize) -> Vec<usize> {
        match self {
            Self::All => (0..rows).collect(),
            Self::Kept(kept) => kept,
        }
    }
}

/// Rows whose weights are multiplied by the sampler's factors, and whose offsets get the sampler's terms.
fn finish<'a>(
    mut rows: Dataset<'a>,
    weights: Option<Cow<'a, [f64]>>,
    offsets: Option<Cow<'a, [f64]>>,
) -> Result<Dataset<'a>> {
    if let Some(mut weights) = weights {
        if let Some(own) = rows.weights() {
            weights.to_mut().iter_mut().zip(own).for_each(|(weight, own)| *weight *= own);
        }
        rows = rows.with_weights(weights)?;
    }
    if let Some(mut offsets) = offsets {
        if let Some(own) = rows.offsets() {
            offsets.to_mut().iter_mut().zip(own).for_each(|(offset, own)| *offset += own);
        }
        rows = rows.with_offsets(offsets)?;
    }
    Ok(rows)
}
