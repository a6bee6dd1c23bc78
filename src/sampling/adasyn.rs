//! Adaptive synthetic sampling.

use super::over::{TargetRatio, all_and, ensure_neighbours, interpolated, rows_of, valid_k};
use super::{Resample, Sampler};
use crate::core::{Chosen, Dataset, Result, Run, Seed, saved_as_part, stored};
use crate::knn::Search;

const NAME: &str = "ADASYN";

/// ADASYN: the more negatives surround a positive, the more new positives it is the parent of.
///
/// Of the k nearest rows of positive i, of either class, let Δᵢ be negative. Of the G rows to be made,
/// i is the parent of G · Δᵢ/ΣΔ. These shares are rounded down, and the rows still missing go to the
/// positives of the largest remainders (of equal remainders to a random subset), so that G rows are made. Partners are drawn from
/// the k nearest positives; everything else, the distortion too, is as in [`Smote`](super::Smote).
///
/// The paper draws the partner from the positives among the k nearest rows of *either* class, and leaves
/// open what to do where there are none, which for rare positives is the rule. The k nearest positives are
/// always there, and are what imbalanced-learn takes.
///
/// Source: H. He, Y. Bai, E. A. Garcia and S. Li, *ADASYN: Adaptive Synthetic Sampling Approach for
/// Imbalanced Learning*, IJCNN 2008. (imbalanced-learn rounds each share by itself, so that their sum
/// may differ from G.)
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::Adasyn;
///
/// let log = SyntheticClicks::new(5_000, 0.05)?.categorical(&[]).generate(7)?;
/// let sample = Adasyn::positives_per_negative(0.4)?.resample(&log.dataset, &Run::seeded(7))?;
/// let totals = sample.apply(&log.dataset)?.totals();
/// assert_eq!(totals.positives, (0.4 * totals.negatives as f64).round() as usize);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adasyn {
    target: TargetRatio,
    k: usize,
}

impl Adasyn {
    /// Makes positives until there are `ratio` for each negative. With 5 neighbours.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless `ratio` is positive and finite.
    pub fn positives_per_negative(ratio: f64) -> Result<Self> {
        Ok(Self { target: TargetRatio::new(ratio)?, k: 5 })
    }

    /// How many of the nearest rows are counted, and how many of the nearest positives may be the
    /// partner. Default: 5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `k` is zero.
    pub fn neighbours(mut self, k: usize) -> Result<Self> {
        self.k = valid_k("k", k)?;
        Ok(self)
    }
}

impl Sampler for Adasyn {
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass); [`Error::InvalidArgument`](crate::Error::InvalidArgument) if there are more positives than the ratio asks
    /// for, or no more than neighbours.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        let missing = self.target.n_missing(NAME, data, &totals)?;
        if missing == 0 {
            return Ok(Resample::identity());
        }
        ensure_neighbours("k", self.k, totals.positives - 1, "other positives")?;
        let labels = data.labels();
        let positives = rows_of(labels, true);
        let around = {
            let all: Vec<usize> = (0..data.rows()).collect();
            Search::new(data.features(), all, run)?.nearest(&positives, self.k)?
        };
        let negatives: Vec<usize> = around
            .chunks_exact(self.k)
            .map(|around| around.iter().filter(|near| !labels[near.row]).count())
            .collect();
        if negatives.iter().all(|&count| count == 0) {
            return Ok(Resample::identity().note(format!(
                "{NAME} made no rows: none of {} positives has a negative among its {} nearest rows; ask for more \
                 neighbours, or use `Smote`, which needs none",
                totals.positives, self.k
            )));
        }
        let mut parents = Vec::with_capacity(missing);
        for (&row, count) in positives.iter().zip(shares(&negatives, missing, run.seed())) {
            parents.extend(std::iter::repeat_n(row, count));
        }
        let made = interpolated(data, parents, &positives, self.k, run)?;
        all_and(made, NAME, data, &totals)
    }

    fn name(&self) -> String {
        NAME.into()
    }

    saved_as_part!();
}

/// `total` in proportion to `parts`, by the method of largest remainders, in whole numbers.
fn shares(parts: &[usize], total: usize, seed: Seed) -> Vec<usize> {
    let sum: u128 = parts.iter().map(|&part| part as u128).sum();
    let product = |part: usize| part as u128 * total as u128;
    let mut shares: Vec<usize> = parts.iter().map(|&part| (product(part) / sum) as usize).collect();
    let left = total - shares.iter().sum::<usize>();
    let remainder = |at: usize| product(parts[at]) % sum;
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(remainder(at)));
    // The smallest remainder that is still served, and those that share it.
    let Some(&last) = left.checked_sub(1).and_then(|last| order.get(last)) else { return shares };
    let above = order.partition_point(|&at| remainder(at) > remainder(last));
    let equal = order[above..].partition_point(|&at| remainder(at) == remainder(last));
    let chosen = Chosen::uniform(equal, left - above, seed.child("remainders"));
    let ties = order[above..].iter().take(equal).enumerate();
    let served = ties.filter(|(tie, _)| chosen.contains(*tie)).map(|(_, &at)| at);
    order[..above].iter().copied().chain(served).for_each(|at| shares[at] += 1);
    shares
}

stored!(Adasyn as "adasyn", |adasyn| {
    ratio: f64 = adasyn.target.ratio(),
    neighbours: usize = adasyn.k,
} => Self::positives_per_negative(ratio).and_then(|adasyn| adasyn.neighbours(neighbours)));
