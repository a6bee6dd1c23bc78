//! The neighbourhood cleaning rule.

use super::kept::cleaned;
use super::over::{rows_of, valid_k};
use super::{EditedNearestNeighbours, Resample, Sampler, VotingRule};
use crate::core::{Dataset, Result, Run, saved_as_part, stored};
use crate::knn::Search;

const NAME: &str = "neighbourhood cleaning rule";

/// Removes negatives that are taken for positives, and negatives that make positives be taken for negatives.
///
/// * A negative goes if more than half of its k nearest rows are positive: [`EditedNearestNeighbours`] with
///   [`VotingRule::Mode`].
/// * A positive is misclassified if at least half of k rows are negative: the positive itself and its k − 1
///   nearest. The negatives among its k nearest rows go.
///
/// Both look at all rows, so neither depends on what the other removes. Of equally near rows the first ones
/// count. Rows stay in their order, and every positive is kept. Neighbours ignore weights. Nothing is random.
///
/// **Distortion.** [`FeatureDependent`](crate::Distortion::FeatureDependent), with
/// ln\[(W₊′/W₊)/(W₋′/W₋)\] from the realised weights as the nominal shift; none if nothing is removed.
///
/// Source: J. Laurikkala, *Improving identification of difficult small classes by balancing class
/// distribution*, AIME 2001, with k = 3. The rows are those of imbalanced-learn's `NeighbourhoodCleaningRule`,
/// which differs from the paper in one point: in the paper a positive has no vote on itself, so the k nearest
/// other rows classify it. Its `threshold_cleaning` spares small classes, of which two classes have none: the
/// larger one is always cleaned.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::array};
/// use imbalance::sampling::{NeighbourhoodCleaning, Rows, Sampler};
///
/// let x = array![[0.0], [1.0], [2.2], [10.0], [11.0], [12.1], [13.3]];
/// let data = Dataset::new(&x, vec![false, true, false, false, false, false, false])?;
/// // The positive is surrounded by negatives.
/// let cleaned = NeighbourhoodCleaning::new(3)?.resample(&data, &Run::default())?;
/// assert_eq!(cleaned.rows, Rows::Kept(vec![1, 4, 5, 6]));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourhoodCleaning {
    k: usize,
}

impl NeighbourhoodCleaning {
    /// Asks `k` neighbours. Usual: 3.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `k` is zero.
    pub fn new(k: usize) -> Result<Self> {
        Ok(Self { k: valid_k("k", k)? })
    }
}

impl Sampler for NeighbourhoodCleaning {
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass),
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if there are no more rows than neighbours, or
    /// [`Error::NothingSelected`](crate::Error::NothingSelected) if no negative would be left.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let (k, labels) = (self.k, data.labels());
        data.totals().ensure_both(NAME)?;
        let all: Vec<usize> = (0..data.rows()).collect();
        let editing = EditedNearestNeighbours::new(k)?.vote(VotingRule::Mode);
        let mut removed = vec![true; data.rows()];
        for row in editing.pass(data.features(), labels, (&all, k), run)? {
            removed[row] = false;
        }
        let near = Search::new(data.features(), all, run)?.nearest(&rows_of(labels, true), k)?;
        for near in near.chunks_exact(k) {
            let negatives = near[..k - 1].iter().filter(|near| !labels[near.row]).count();
            if 2 * negatives >= k {
                near.iter().for_each(|near| removed[near.row] |= !labels[near.row]);
            }
        }
        cleaned(data, &removed, NAME)
    }

    fn name(&self) -> String {
        NAME.into()
    }

    saved_as_part!();
}

stored!(NeighbourhoodCleaning as "neighbourhood_cleaning", |cleaning| {
    neighbours: usize = cleaning.k,
} => Self::new(neighbours));
