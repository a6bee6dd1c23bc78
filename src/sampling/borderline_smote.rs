//! SMOTE at the border between the classes.

use super::over::{
    TargetRatio, all_and, allocate_parents, ensure_neighbours, interpolated, rows_of, valid_k,
};
use super::{Resample, Sampler};
use crate::core::{Dataset, Result, Run, saved_as_part, stored};
use crate::knn::Search;

const NAME: &str = "Borderline-SMOTE";

/// Borderline-SMOTE: new positives only from those in danger of being taken for negatives.
///
/// Of the m nearest rows of a positive, of either class, let m′ be negative. The positive is *noise* if
/// m′ = m, *in danger* if m/2 ≤ m′ < m and *safe* otherwise ([`regions`](Self::regions)). Parents are
/// the positives in danger, each equally often as in [`Smote`](super::Smote); partners are
///
/// * kind 1 ([`borderline1`](Self::borderline1)): the k nearest positives,
/// * kind 2 ([`borderline2`](Self::borderline2)): the k nearest rows of either class, each equally likely; towards
///   a negative λ is uniform on \[0, ½), so that the new row stays nearer to its parent.
///
/// Everything else, the distortion too, is as in [`Smote`](super::Smote). If no positive is in danger, the rows stay as
/// they are, and the report says so.
///
/// Source: H. Han, W.-Y. Wang and B.-H. Mao, *Borderline-SMOTE*, ICIC 2005. Two things differ from the
/// paper. There each row in danger makes a whole number of new ones; here as many as the ratio asks for,
/// spread evenly. And the paper's kind 2 goes towards the k nearest positives and, with λ on \[0, ½),
/// towards the nearest negative; here, as in imbalanced-learn, towards the k nearest rows whichever their
/// class, so the more negatives surround a row, the more of its new ones lie towards them, and other
/// positives need not be near at all. (imbalanced-learn multiplies λ towards a negative by a second
/// number on \[0, 1).)
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::BorderlineSmote;
///
/// let log = SyntheticClicks::new(5_000, 0.1)?.categorical(&[]).generate(7)?;
/// let sampler = BorderlineSmote::borderline1(0.5)?;
/// let regions = sampler.regions(&log.dataset, &Run::default())?;
/// let made = sampler.resample(&log.dataset, &Run::seeded(7))?;
/// assert!(made.parents().all(|row| regions.danger.contains(&row)));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BorderlineSmote {
    target: TargetRatio,
    kind: Kind,
    k: usize,
    m: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Kind {
    Borderline1,
    Borderline2,
}

/// The positives by how many negatives surround them. Each list rises.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BorderlineRegions {
    /// Fewer than half of the neighbours are negative.
    pub safe: Vec<usize>,
    /// At least half of them are, but not all.
    pub danger: Vec<usize>,
    /// All of them are.
    pub noise: Vec<usize>,
}

impl BorderlineSmote {
    /// Kind 1, until there are `ratio` positives for each negative. With k = 5 and m = 10.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless `ratio` is positive and finite.
    pub fn borderline1(ratio: f64) -> Result<Self> {
        Ok(Self { target: TargetRatio::new(ratio)?, kind: Kind::Borderline1, k: 5, m: 10 })
    }

    /// Kind 2, until there are `ratio` positives for each negative. With k = 5 and m = 10.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless `ratio` is positive and finite.
    pub fn borderline2(ratio: f64) -> Result<Self> {
        Ok(Self { kind: Kind::Borderline2, ..Self::borderline1(ratio)? })
    }

    /// How many of the nearest rows may be the partner, k. Default: 5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `k` is zero.
    pub fn neighbours(mut self, k: usize) -> Result<Self> {
        self.k = valid_k("k", k)?;
        Ok(self)
    }

    /// How many of the nearest rows tell whether a positive is in danger, m. Default: 10.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `m` is zero.
    pub fn m_neighbours(mut self, m: usize) -> Result<Self> {
        self.m = valid_k("m", m)?;
        Ok(self)
    }

    /// Which positives are safe, in danger, and noise.
    ///
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass), [`Error::InvalidArgument`](crate::Error::InvalidArgument) if there are no more than m rows, or
    /// [`Error::Cancelled`](crate::Error::Cancelled) if the run's observer stops the search.
    pub fn regions(&self, data: &Dataset<'_>, run: &Run) -> Result<BorderlineRegions> {
        data.totals().ensure_both(NAME)?;
        ensure_neighbours("m", self.m, data.rows() - 1, "other rows")?;
        let labels = data.labels();
        let positives = rows_of(labels, true);
        let all: Vec<usize> = (0..data.rows()).collect();
        let around = Search::new(data.features(), &all, run)?.nearest(&positives, self.m)?;
        let mut regions = BorderlineRegions::default();
        for (&row, around) in positives.iter().zip(around.chunks_exact(self.m)) {
            let negatives = around.iter().filter(|near| !labels[near.row]).count();
            if negatives == self.m {
                regions.noise.push(row);
            } else if 2 * negatives >= self.m {
                regions.danger.push(row);
            } else {
                regions.safe.push(row);
            }
        }
        Ok(regions)
    }
}

impl Sampler for BorderlineSmote {
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass); [`Error::InvalidArgument`](crate::Error::InvalidArgument) if there are more positives than the ratio asks
    /// for, no more positives than k (for kind 2, no more rows than k), or no more rows than m.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        let missing = self.target.n_missing(NAME, data, &totals)?;
        if missing == 0 {
            return Ok(Resample::identity());
        }
        match self.kind {
            Kind::Borderline1 => {
                ensure_neighbours("k", self.k, totals.positives - 1, "other positives")?;
            }
            Kind::Borderline2 => ensure_neighbours("k", self.k, data.rows() - 1, "other rows")?,
        }
        let BorderlineRegions { safe, danger, noise } = self.regions(data, run)?;
        if danger.is_empty() {
            return Ok(Resample::identity().note(format!(
                "{NAME} made no rows: with m = {} none of {} positives is in danger, as {} are safe and {} are \
                 noise; raise m where they are noise and lower it where they are safe, or use `Smote`",
                self.m,
                totals.positives,
                safe.len(),
                noise.len()
            )));
        }
        let candidates = match self.kind {
            Kind::Borderline1 => rows_of(data.labels(), true),
            Kind::Borderline2 => (0..data.rows()).collect(),
        };
        let parents = allocate_parents(&danger, missing, run.seed());
        let made = interpolated(data, parents, &candidates, self.k, run)?;
        let made = match self.kind {
            Kind::Borderline1 => made,
            // A new row stays nearer to its parent than to a negative.
            Kind::Borderline2 => made.with_reach(|row| if data.labels()[row] { 1.0 } else { 0.5 }),
        };
        all_and(made, NAME, data, &totals)
    }

    fn name(&self) -> String {
        NAME.into()
    }

    saved_as_part!();
}

stored!(BorderlineSmote as "borderline_smote", |smote| {
    kind: Kind = smote.kind,
    ratio: f64 = smote.target.ratio(),
    neighbours: usize = smote.k,
    m_neighbours: usize = smote.m,
} => match kind {
    Kind::Borderline1 => Self::borderline1(ratio),
    Kind::Borderline2 => Self::borderline2(ratio),
}
.and_then(|smote| smote.neighbours(neighbours)?.m_neighbours(m_neighbours)));
