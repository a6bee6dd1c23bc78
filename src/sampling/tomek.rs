//! Tomek links.

use super::kept::cleaned;
use super::over::rows_of;
use super::{Resample, Sampler};
use crate::core::{Dataset, Result, Run, saved_as_part, stored};
use crate::knn::Search;

const NAME: &str = "Tomek links";

/// Removes the negatives of Tomek links: pairs of a positive and a negative, each of which is the
/// other's nearest neighbour among all rows.
///
/// Of equally near rows the first is the nearest, so with ties the order of the rows matters, and a
/// positive is linked to one of several equal negatives at most. Rows stay in their order. Neighbours
/// ignore weights. Nothing is random.
///
/// Only the positives and the negatives next to them are searched for, so with few positives it costs
/// about N₊ · N distances, not N².
///
/// **Distortion.** [`FeatureDependent`](crate::Distortion::FeatureDependent), with
/// ln\[(W₊′/W₊)/(W₋′/W₋)\] from the realised weights as the nominal shift; none if there is no link.
///
/// Source: I. Tomek, *Two modifications of CNN*, IEEE Transactions on Systems, Man, and Cybernetics 6,
/// 1976.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::array};
/// use imbalance::sampling::{Resample, Rows, Sampler, TomekLinks};
///
/// let x = array![[0.0], [1.0], [1.1], [5.0]];
/// let data = Dataset::new(&x, vec![false, false, true, false])?;
/// let cleaned = TomekLinks::new().resample(&data, &Run::default())?;
/// assert_eq!(cleaned.rows, Rows::Kept(vec![0, 2, 3]));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TomekLinks {
    both_classes: bool,
}

impl TomekLinks {
    /// Removes the negatives of links.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the positives of links go, too. Default: no.
    #[must_use]
    pub fn both_classes(mut self, both: bool) -> Self {
        self.both_classes = both;
        self
    }
}

impl Sampler for TomekLinks {
    /// # Errors
    /// [`Error::OneClass`](crate::Error::OneClass), or
    /// [`Error::NothingSelected`](crate::Error::NothingSelected) if no row of a class would be left.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        data.totals().ensure_both(NAME)?;
        let labels = data.labels();
        let all: Vec<usize> = (0..data.rows()).collect();
        let search = Search::new(data.features(), &all, run)?;
        let positives = rows_of(labels, true);
        let nearest = search.nearest(&positives, 1)?.into_iter().map(|neighbour| neighbour.row);
        let pairs: Vec<(usize, usize)> =
            positives.into_iter().zip(nearest).filter(|&(_, nearest)| !labels[nearest]).collect();
        let negatives: Vec<usize> = pairs.iter().map(|&(_, negative)| negative).collect();
        let back = search.nearest(&negatives, 1)?;

        let mut linked = vec![false; data.rows()];
        for ((positive, negative), back) in pairs.into_iter().zip(back) {
            if back.row == positive {
                linked[negative] = true;
                linked[positive] = self.both_classes;
            }
        }
        cleaned(data, &linked, NAME)
    }

    fn name(&self) -> String {
        NAME.into()
    }

    saved_as_part!();
}

stored!(TomekLinks as "tomek_links", |tomek| {
    both_classes: bool = tomek.both_classes,
} => Ok(Self { both_classes }));
