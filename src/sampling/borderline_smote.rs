//! SMOTE at the border between the classes.

use super::over::{Kin, Target, check_k, checked_k, grown, rows_of, spread};
use super::{Resample, Sampler, Synthetic};
use crate::core::{Dataset, Error, Result, Run};
use crate::knn::Neighbours;

/// Borderline-SMOTE: new positives only from those in danger of being taken for negatives.
///
/// Of the m nearest rows of a positive, of either class, let m′ be negative. The positive is *noise* if
/// m′ = m, *in danger* if m/2 ≤ m′ < m and *safe* otherwise ([`regions`](Self::regions)). Parents are
/// the positives in danger, each equally often as in [`Smote`](super::Smote); partners are
///
/// * kind 1 ([`first`](Self::first)): the k nearest positives,
/// * kind 2 ([`second`](Self::second)): the k nearest rows of either class, each equally likely; towards
///   a negative λ is uniform on \[0, ½), so that the new row stays nearer to its parent.
///
/// Everything else, the distortion too, is as in [`Smote`](super::Smote).
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
/// let sampler = BorderlineSmote::first(0.5)?;
/// let regions = sampler.regions(&log.dataset)?;
/// let made = sampler.resample(&log.dataset, &Run::seeded(7))?.synthetic;
/// assert!(made.is_some_and(|made| made.parents().iter().all(|row| regions.danger.contains(row))));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BorderlineSmote {
    target: Target,
    kind: Kind,
    k: usize,
    m: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    First,
    Second,
}

/// The positives by how many negatives surround them. Each list rises.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Regions {
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
    /// [`Error::InvalidArgument`] unless `ratio` is positive and finite.
    pub fn first(ratio: f64) -> Result<Self> {
        Ok(Self { target: Target::new(ratio)?, kind: Kind::First, k: 5, m: 10 })
    }

    /// Kind 2, until there are `ratio` positives for each negative. With k = 5 and m = 10.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `ratio` is positive and finite.
    pub fn second(ratio: f64) -> Result<Self> {
        Ok(Self { kind: Kind::Second, ..Self::first(ratio)? })
    }

    /// How many of the nearest rows may be the partner, k. Default: 5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `k` is zero.
    pub fn neighbours(mut self, k: usize) -> Result<Self> {
        self.k = checked_k("k", k)?;
        Ok(self)
    }

    /// How many of the nearest rows tell whether a positive is in danger, m. Default: 10.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `m` is zero.
    pub fn surroundings(mut self, m: usize) -> Result<Self> {
        self.m = checked_k("m", m)?;
        Ok(self)
    }

    /// Which positives are safe, in danger, and noise.
    ///
    /// # Errors
    /// [`Error::OneClass`], or [`Error::InvalidArgument`] if there are no more than m rows.
    pub fn regions(&self, data: &Dataset<'_>) -> Result<Regions> {
        data.totals().need_both("Borderline-SMOTE")?;
        need_rows("m", self.m, data.rows())?;
        let labels = data.labels();
        let positives = rows_of(labels, true);
        let all: Vec<usize> = (0..data.rows()).collect();
        let around = Neighbours::new(data.features(), &all).nearest(&positives, self.m);
        let mut regions = Regions::default();
        for (&row, around) in positives.iter().zip(around.chunks_exact(self.m)) {
            let negatives = around.iter().filter(|&&row| !labels[row]).count();
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

/// Checks that each row has `neighbours` others.
fn need_rows(argument: &'static str, neighbours: usize, rows: usize) -> Result<()> {
    if neighbours < rows {
        return Ok(());
    }
    let others = rows - 1;
    let expected = format!(
        "below the number of rows, {rows}: each has {others} others; ask for fewer neighbours"
    );
    Err(Error::invalid(argument, neighbours, expected))
}

impl Sampler for BorderlineSmote {
    /// # Errors
    /// [`Error::OneClass`]; [`Error::InvalidArgument`] if there are more positives than the ratio asks
    /// for, no more positives than k (for kind 2, no more rows than k), or no more rows than m; [`Error::Unsuitable`] if no positive is in
    /// danger.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        let missing = self.target.missing("Borderline-SMOTE", data, &totals)?;
        if missing == 0 {
            return Ok(Resample::identity());
        }
        match self.kind {
            Kind::First => check_k(self.k, totals.positives)?,
            Kind::Second => need_rows("k", self.k, data.rows())?,
        }
        let Regions { safe, danger, noise } = self.regions(data)?;
        if danger.is_empty() {
            let found = format!(
                "with m = {} none of {} positives is in danger: {} are safe and {} are noise",
                self.m,
                totals.positives,
                safe.len(),
                noise.len()
            );
            let remedy = "ask for more surroundings where they are noise and fewer where they are \
                          safe, or use Smote";
            return Err(Error::Unsuitable { sampler: "Borderline-SMOTE", found, remedy });
        }
        let candidates = match self.kind {
            Kind::First => rows_of(data.labels(), true),
            Kind::Second => (0..data.rows()).collect(),
        };
        let parents = spread(&danger, missing, run.seed());
        let search = Neighbours::new(data.features(), &candidates);
        let partners = Kin::new(&search, &parents, self.k).partners(run.seed());
        let ends = (parents, partners);
        let made = Synthetic::between(data.columns(), ends, false, run.seed());
        grown("Borderline-SMOTE", data, &totals, made)
    }
}
