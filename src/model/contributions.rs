//! The share of each column in one prediction.

use std::collections::BTreeMap;

use crate::core::{Error, Result, ensure_finite, stored};
use crate::numerics::sum::NeumaierSum;

/// What each column adds to one prediction: a base value and one number per column, whose sum is the prediction, up to
/// rounding.
///
/// Columns that add nothing are left out. Made by [`Predict::contributions`](super::Predict::contributions), for the
/// model's logit; a fitted pipeline takes them to the probability
/// ([`FittedPipeline::explain`](crate::FittedPipeline::explain)).
///
/// ```
/// use imbalance::model::{LinearModel, Predict};
///
/// let model = LinearModel::new(vec![2.0, -1.0, 0.5], -4.0)?;
/// let row = model.contributions((&[3.0, 1.0, 0.0]).into())?;
/// assert_eq!((row.base(), row.terms(), row.sum()), (-4.0, &[(0, 6.0), (1, -1.0)][..], 1.0));
///
/// // βⱼ(xⱼ − mⱼ): against the mean row m instead of the row of zeros.
/// let mean = model.contributions((&[1.0, 1.0, 2.0]).into())?;
/// let against_mean = row.relative_to(&mean)?;
/// assert_eq!((against_mean.base(), against_mean.terms()), (-2.0, &[(0, 4.0), (2, -1.0)][..]));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    columns: usize,
    base: f64,
    terms: Vec<(usize, f64)>,
}

/// Where contributions cancel to a smaller share of their sizes, [`Contributions::through`] takes the slope of a map
/// over this share of them.
const SHORTEST: f64 = 1e-6;

impl Contributions {
    /// The contributions of some of `columns` columns, as (column, number), to a prediction that is their sum and
    /// `base`. Numbers of one column are added.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a number that is not finite, [`Error::InvalidArgument`] for a column that does not
    /// exist.
    pub fn new(
        columns: usize,
        base: f64,
        terms: impl IntoIterator<Item = (usize, f64)>,
    ) -> Result<Self> {
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        terms.into_iter().for_each(|(column, term)| *sums.entry(column).or_default() += term);
        let terms: Vec<(usize, f64)> = sums.into_iter().filter(|term| term.1 != 0.0).collect();
        ensure_finite("the base of contributions", &[base])?;
        match terms.last() {
            Some(&(column, _)) if column >= columns => {
                Err(Error::invalid("terms", format!("column {column}"), format!("below {columns}")))
            }
            _ => match terms.iter().find(|term| !term.1.is_finite()) {
                None => Ok(Self { columns, base, terms }),
                Some(&(column, value)) => Err(Error::NonFinite {
                    what: "the contributions".into(),
                    row: 0,
                    column: Some(column),
                    value,
                }),
            },
        }
    }

    /// Number of columns of the model.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The prediction where no column adds anything.
    #[must_use]
    pub fn base(&self) -> f64 {
        self.base
    }

    /// Each column that adds something, ascending, with what it adds.
    #[must_use]
    pub fn terms(&self) -> &[(usize, f64)] {
        &self.terms
    }

    /// What a column adds.
    #[must_use]
    pub fn of(&self, column: usize) -> f64 {
        let place = self.terms.binary_search_by_key(&column, |term| term.0);
        place.map_or(0.0, |place| self.terms[place].1)
    }

    /// The base and all columns: the prediction, up to rounding.
    #[must_use]
    pub fn sum(&self) -> f64 {
        let terms = self.terms.iter().map(|term| term.1);
        std::iter::once(self.base).chain(terms).collect::<NeumaierSum>().value()
    }

    /// These contributions less those of another row: what each column adds to the difference between the predictions.
    /// The base is the prediction for the other row. For a linear model a column adds β<sub>j</sub>(x<sub>j</sub> −
    /// m<sub>j</sub>), with m the other row.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`]; [`Error::NonFinite`] for a difference that is not finite.
    pub fn relative_to(&self, other: &Self) -> Result<Self> {
        if other.columns != self.columns {
            return Err(Error::ColumnMismatch { found: other.columns, expected: self.columns });
        }
        // Models whose base depends on the row have a difference that belongs to no column.
        let base = other.sum() + (self.base - other.base);
        let others = other.terms.iter().map(|&(column, term)| (column, -term));
        Self::new(self.columns, base, self.terms.iter().copied().chain(others))
    }

    /// These contributions to a prediction z, taken to the prediction g(z).
    ///
    /// The prediction goes on a straight line from the base z₀ to z, on which all columns grow alike, and each step of g
    /// is shared among the columns as they grow (Aumann & Shapley 1974, for a function of a sum):
    ///
    /// ```text
    /// cⱼ (g(z) − g(z₀)) / (z − z₀),   on the base g(z₀)
    /// ```
    ///
    /// So an affine g scales the contributions, and where g is constant between z₀ and z no column adds anything.
    /// Where the columns cancel, |z − z₀| < 10⁻⁶ Σ|cⱼ|, the slope of g is taken over an interval of that length around
    /// both, so that rounding is not enlarged, and the base is g(z) less all columns.
    ///
    /// # Errors
    /// Those of `g`; [`Error::Numerical`] where g is not finite.
    pub fn through(&self, z: f64, mut g: impl FnMut(f64) -> Result<f64>) -> Result<Self> {
        let (end, size) = (g(z)?, self.terms.iter().map(|term| term.1.abs()).sum::<f64>());
        let mut slope = |from: f64, to: f64| -> Result<f64> {
            if from == to { Ok(0.0) } else { Ok((g(to)? - g(from)?) / (to - from)) }
        };
        let mut found = None;
        if (z - self.base).abs() < SHORTEST * size {
            let (middle, half) = (f64::midpoint(self.base, z), 0.5 * SHORTEST * size);
            // An interval that leaves the domain of g is not used.
            found = slope(middle - half, middle + half).ok().filter(|slope| slope.is_finite());
        }
        let slope = found.map_or_else(|| slope(self.base, z), Ok)?;
        let terms = self.terms.iter().map(|&(column, term)| (column, slope * term));
        let added: NeumaierSum = terms.clone().map(|term| term.1).collect();
        let base = end - added.value();
        if base.is_finite() {
            return Self::new(self.columns, base, terms);
        }
        Err(Error::Numerical {
            what: "the explained prediction, or that of the base,".into(),
            value: base,
            remedy: "take the contributions on another scale, such as the probability",
        })
    }

    /// The mean of the contributions of several models of the same columns.
    pub(crate) fn mean(of: &[Self]) -> Result<Self> {
        let share = 1.0 / of.len().max(1) as f64;
        let base = of.iter().map(|one| one.base).sum::<f64>() * share;
        let columns = of.first().map_or(0, |one| one.columns);
        let terms = of.iter().flat_map(|one| &one.terms);
        Self::new(columns, base, terms.map(|&(column, term)| (column, term * share)))
    }

    /// These contributions on another base.
    pub(crate) fn with_base(self, base: f64) -> Self {
        Self { base, ..self }
    }
}

stored!(Contributions as "contributions", |this| {
    columns: usize = this.columns,
    base: f64 = this.base,
    terms: Vec<(usize, f64)> = this.terms,
} => Self::new(columns, base, terms));
