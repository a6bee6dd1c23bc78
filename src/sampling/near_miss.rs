//! `NearMiss`: the negatives next to the positives.

use super::kept::{TopK, kept_by_features};
use super::over::{ensure_neighbours, rows_of, valid_k};
use super::under::NegativesToKeep;
use super::{Resample, Sampler};
use crate::core::{Dataset, Result, Run, saved_as_part, stored};
use crate::knn::{Neighbour, QUERIES, Search};

const NAME: &str = "NearMiss";

/// Keeps every positive and the negatives that are nearest to positives.
///
/// By Euclidean distance, with d̄ the mean distance of a negative to some positives,
///
/// * [`NearMissVersion::NearestPositives`] (version 1) keeps the negatives of smallest d̄ to their k nearest
///   positives,
/// * [`NearMissVersion::FarthestPositives`] (version 2) keeps the negatives of smallest d̄ to their k farthest
///   positives,
/// * [`NearMissVersion::AroundPositives`] (version 3) considers the m nearest negatives of each positive alone,
///   and keeps those of largest d̄ to their k nearest positives.
///
/// Of equal d̄ the first rows are kept. Rows stay in their order. Version 3 keeps fewer negatives than asked for
/// if it considers fewer. Neighbours ignore weights. Nothing is random. Scale the columns first: distances add
/// them up as they are.
///
/// **Distortion.** [`FeatureDependent`](crate::Distortion::FeatureDependent), with
/// ln\[(W₊′/W₊)/(W₋′/W₋)\] from the realised weights as the nominal shift; none if every row is kept. The kept
/// negatives lie where positives do, so probabilities of the population need a calibrator that learns.
///
/// Source: I. Mani and J. Zhang, *kNN approach to unbalanced data distributions: a case study involving
/// information extraction*, ICML 2003 workshop on learning from imbalanced datasets. The rows are those of
/// imbalanced-learn's `NearMiss`.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::array};
/// use imbalance::sampling::{NearMiss, Rows, Sampler};
///
/// let x = array![[0.0], [0.5], [1.1], [2.0], [9.0]];
/// let data = Dataset::new(&x, vec![true, false, false, false, false])?;
/// let near = NearMiss::negatives_per_positive(2.0)?.neighbours(1)?;
/// assert_eq!(near.resample(&data, &Run::default())?.rows, Rows::Kept(vec![0, 1, 2]));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearMiss {
    keep: NegativesToKeep,
    version: NearMissVersion,
    k: usize,
    m: usize,
}

/// Which negatives [`NearMiss`] takes for near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
pub enum NearMissVersion {
    /// Version 1: nearest on average to their k nearest positives.
    #[default]
    NearestPositives,
    /// Version 2: nearest on average to their k farthest positives.
    FarthestPositives,
    /// Version 3: of the m nearest negatives of each positive the farthest on average from their k nearest
    /// positives.
    AroundPositives,
}

impl NearMiss {
    /// Keeps `ratio` negatives for each positive row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless `ratio` is positive and finite.
    pub fn negatives_per_positive(ratio: f64) -> Result<Self> {
        NegativesToKeep::per_positive(ratio).map(Self::new)
    }

    /// Keeps the share `rate` of the negative rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless 0 < `rate` ≤ 1.
    pub fn rate(rate: f64) -> Result<Self> {
        NegativesToKeep::rate(rate).map(Self::new)
    }

    /// Keeps N₊ / ratio negatives, as imbalanced-learn's `sampling_strategy`; see
    /// [`RandomUnderSampler::positives_per_negative`](super::RandomUnderSampler::positives_per_negative).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless `ratio` is positive and finite.
    pub fn positives_per_negative(ratio: f64) -> Result<Self> {
        NegativesToKeep::positives_per_negative(ratio).map(Self::new)
    }

    fn new(keep: NegativesToKeep) -> Self {
        Self { keep, version: NearMissVersion::default(), k: 3, m: 3 }
    }

    /// Which negatives are near. Default: version 1.
    #[must_use]
    pub fn version(mut self, version: NearMissVersion) -> Self {
        self.version = version;
        self
    }

    /// How many positives the distance is averaged over, k. Default: 3.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `k` is zero.
    pub fn neighbours(mut self, k: usize) -> Result<Self> {
        self.k = valid_k("k", k)?;
        Ok(self)
    }

    /// How many negatives around each positive version 3 considers, m (imbalanced-learn's `n_neighbors_ver3`).
    /// Default: 3.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `m` is zero.
    pub fn m_neighbours(mut self, m: usize) -> Result<Self> {
        self.m = valid_k("m", m)?;
        Ok(self)
    }
}

impl Sampler for NearMiss {
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass), or
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if there are fewer positives than k or, in
    /// version 3, fewer negatives than m, or if the ratio cannot be reached or leaves no negative.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        totals.ensure_both(NAME)?;
        let wanted = self.keep.rounded(&totals)?;
        ensure_neighbours("k", self.k, totals.positives, "positives")?;
        let (positives, mut near) = (rows_of(data.labels(), true), rows_of(data.labels(), false));
        let search = Search::new(data.features(), &positives, run)?;
        if self.version == NearMissVersion::AroundPositives {
            ensure_neighbours("m", self.m, totals.negatives, "negatives")?;
            let around = Search::new(data.features(), near, run)?.nearest(&positives, self.m)?;
            near = around.iter().map(|negative| negative.row).collect();
            near.sort_unstable();
            near.dedup();
        }
        // The sum of distances, or its opposite where the smallest come first.
        let mut scores = Vec::with_capacity(near.len());
        for queries in near.chunks(QUERIES) {
            let (found, sign) = match self.version {
                NearMissVersion::NearestPositives => (search.nearest(queries, self.k)?, -1.0),
                NearMissVersion::FarthestPositives => (search.farthest(queries, self.k)?, -1.0),
                NearMissVersion::AroundPositives => (search.nearest(queries, self.k)?, 1.0),
            };
            let distance = |near: &Neighbour| near.squared_distance.sqrt();
            scores.extend(
                found
                    .chunks_exact(self.k)
                    .map(|found| sign * found.iter().map(distance).sum::<f64>()),
            );
        }
        let mut top = TopK::new(wanted, &mut scores.clone());
        let mut kept = data.labels().to_vec();
        for (row, score) in near.into_iter().zip(scores) {
            kept[row] = top.admits(score);
        }
        let rows = (0..data.rows()).filter(|&row| kept[row]).collect();
        let kept = kept_by_features(data, rows, NAME, |_| String::new())?;
        Ok(self.keep.note_shortage(&totals, kept))
    }

    fn name(&self) -> String {
        NAME.into()
    }

    saved_as_part!();
}

stored!(NearMiss as "near_miss", |near| {
    keep: NegativesToKeep = near.keep,
    version: NearMissVersion = near.version,
    neighbours: usize = near.k,
    m_neighbours: usize = near.m,
} => keep.checked().and_then(|keep| {
    let near = Self { keep, version, k: neighbours, m: m_neighbours };
    near.neighbours(neighbours)?.m_neighbours(m_neighbours)
}));
