//! SMOTE for numeric and categorical columns.

use super::over::{
    NeighbourTable, TargetRatio, all_and, allocate_parents, ensure_neighbours, rows_of, valid_k,
};
use super::random_over::deviation;
use super::synthetic::Categories;
use super::{Resample, Sampler, Synthetic};
use crate::core::{Dataset, Error, Matrix, Result, Run, Scalar, saved_as_part, stored, visit};
use crate::exec::parallel::{self, BLOCK};
use crate::knn::{Metric, Search};

const NAME: &str = "SMOTE-NC";

/// SMOTE-NC: SMOTE where some columns hold categories, as codes.
///
/// * The squared distance of two positives is Σ(xⱼ − x′ⱼ)² over the numeric columns, plus M² for each
///   categorical column in which they differ. M is the median of the standard deviations (divided by
///   N₊) of the numeric columns over the positives; of an even number of columns the mean of the two in
///   the middle. If M = 0, because most numeric columns are constant, a differing category adds 1.
/// * The numeric columns of a new row are those of [`Smote`](super::Smote), with one λ for the row. In a
///   categorical column it has the value most frequent among the k nearest positives of its parent; of
///   equally frequent values the one met first, coming from the nearest.
///
/// Codes are compared and copied, never calculated with, so any numbers will do. Rows must be dense:
/// one-hot columns are taken by [`Smote`](super::Smote), though that makes fractions of them.
///
/// Everything else, the distortion too, is as in [`Smote`](super::Smote).
///
/// Source: N. V. Chawla et al., *SMOTE*, JAIR 16, 2002, §6.1.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::array};
/// use imbalance::sampling::{Sampler, SmoteNc};
///
/// // The second column is a category.
/// let x = array![[0.0, 7.0], [1.0, 7.0], [0.5, 3.0], [5.0, 3.0], [6.0, 3.0], [9.0, 7.0], [8.0, 7.0]];
/// let data = Dataset::new(&x, vec![true, true, true, false, false, false, false])?;
/// let sampler = SmoteNc::positives_per_negative(1.0, [1])?.neighbours(2)?;
/// let sample = sampler.resample(&data, &Run::seeded(7))?.apply(&data)?;
/// assert_eq!(sample.totals().positives, 4);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SmoteNc {
    target: TargetRatio,
    categorical: Vec<usize>,
    k: usize,
}

impl SmoteNc {
    /// Makes positives until there are `ratio` for each negative. The columns `categorical`, counted
    /// from 0, hold categories. With 5 neighbours.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `ratio` is positive and finite, or if no column is categorical.
    pub fn positives_per_negative(
        ratio: f64,
        categorical: impl IntoIterator<Item = usize>,
    ) -> Result<Self> {
        let categorical: Vec<usize> = categorical.into_iter().collect();
        if categorical.is_empty() {
            let expected = "at least one column; without any, use Smote";
            return Err(Error::invalid("categorical", "empty", expected));
        }
        Ok(Self { target: TargetRatio::new(ratio)?, categorical, k: 5 })
    }

    /// How many of the nearest positives may be the partner, and vote on categories. Default: 5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `k` is zero.
    pub fn neighbours(mut self, k: usize) -> Result<Self> {
        self.k = valid_k("k", k)?;
        Ok(self)
    }

    /// For each of the columns, whether it is categorical.
    fn mask(&self, columns: usize) -> Result<Vec<bool>> {
        let mut mask = vec![false; columns];
        for &column in &self.categorical {
            *mask.get_mut(column).ok_or_else(|| {
                let expected = format!("below the number of columns, {columns}; they count from 0");
                Error::invalid("categorical", column, expected)
            })? = true;
        }
        if mask.iter().all(|&is| is) {
            let expected = format!(
                "fewer than all {columns} columns: distances need a numeric one; for categories alone take \
                     RandomOverSampler, or Smote on one-hot columns"
            );
            return Err(Error::invalid("categorical", format!("{:?}", self.categorical), expected));
        }
        Ok(mask)
    }
}

impl Sampler for SmoteNc {
    /// # Errors
    /// [`Error::OneClass`], or [`Error::InvalidArgument`] if there are more positives than the ratio
    /// asks for, or no more than neighbours, if a categorical column does not exist or all columns are
    /// categorical, or if the rows are sparse.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let x = data.features();
        if x.is_sparse() {
            let expected = "dense: category codes as numbers; for sparse one-hot columns use Smote";
            return Err(Error::invalid("features", "sparse", expected));
        }
        let mask = self.mask(x.ncols())?;
        let totals = data.totals();
        let missing = self.target.n_missing(NAME, data, &totals)?;
        if missing == 0 {
            return Ok(Resample::identity());
        }
        ensure_neighbours("k", self.k, totals.positives - 1, "other positives")?;
        let positives = rows_of(data.labels(), true);
        let penalty = visit!(x, |x| penalty(x, &mask, &positives));
        let search = Search::by_metric(x, &positives, Metric::mixed(mask.clone(), penalty), run)?;
        let parents = allocate_parents(&positives, missing, run.seed());
        let table = NeighbourTable::new(&search, &parents, self.k)?;
        let partners = table.partners(run.seed());
        let categories = visit!(x, |x| modes(x, &mask, table));
        let made = Synthetic::interpolated(x.ncols(), parents, partners, run.seed());
        all_and(made.with_categories(categories), NAME, data, &totals)
    }

    fn name(&self) -> String {
        NAME.into()
    }

    saved_as_part!();
}

/// The values that new rows have in columns of categories: the most frequent among the neighbours of their
/// parent.
fn modes<F: Scalar>(x: Matrix<'_, F>, mask: &[bool], table: NeighbourTable) -> Categories {
    let columns: Vec<usize> = (0..x.ncols()).filter(|&column| mask[column]).collect();
    let neighbours: Vec<&[usize]> = table.of_parents().collect();
    let mut values = vec![0.0; neighbours.len() * columns.len()];
    parallel::map_into(&mut values, columns.len(), BLOCK, |_, parents, out| {
        for (near, out) in neighbours[parents].iter().zip(out.chunks_exact_mut(columns.len())) {
            for (&column, out) in columns.iter().zip(out) {
                *out = mode(&near.iter().map(|&row| x.get(row, column)));
            }
        }
    });
    Categories { columns, values, parent_index: table.parent_index }
}

/// The most frequent value; of equally frequent ones the one met first.
fn mode(values: &(impl Iterator<Item = f64> + Clone)) -> f64 {
    let mut best = (0, 0.0);
    for value in values.clone() {
        let count = values.clone().filter(|&other| other == value).count();
        if count > best.0 {
            best = (count, value);
        }
    }
    best.1
}

/// What a differing category adds to the squared distance.
fn penalty<F: Scalar>(x: Matrix<'_, F>, mask: &[bool], positives: &[usize]) -> f64 {
    let numeric = (0..x.ncols()).filter(|&column| !mask[column]);
    let mut deviations: Vec<f64> = numeric.map(|column| deviation(x, column, positives)).collect();
    deviations.sort_by(f64::total_cmp);
    let n = deviations.len();
    let median = f64::midpoint(deviations[(n - 1) / 2], deviations[n / 2]);
    if median > 0.0 { median * median } else { 1.0 }
}

stored!(SmoteNc as "smote_nc", |smote| {
    ratio: f64 = smote.target.ratio(),
    categorical: Vec<usize> = smote.categorical,
    neighbours: usize = smote.k,
} => Self::positives_per_negative(ratio, categorical).and_then(|smote| smote.neighbours(neighbours)));
