//! Rows to learn from or to be judged on.

use std::borrow::Cow;
use std::fmt;

use ndarray::Array2;

use super::attribute::{Attributes, Selection};
use super::{
    ADDRESSABLE, Attribute, Categories, ClassTotals, Distortion, Error, Features, FeaturesView,
    IntoColumn, Result, Seed, Split, same_length,
};

/// Features and labels, with what else is known of each row.
///
/// Labels are `bool` and never inferred from the data. Weights say how many rows of the population a
/// row stands for. Offsets are known additive logits: a model learns what is left. Attributes travel
/// with the rows without being features. And the data set remembers its [`Distortion`]: what was done
/// to its rows since they left the population.
///
/// Everything is validated here, once; no later stage checks again.
///
/// ```
/// use imbalance::{Attribute, Dataset};
/// use imbalance::ndarray::array;
///
/// let x = array![[0.5, 1.0], [0.1, -1.0], [0.9, 0.0]];
/// let data = Dataset::new(&x, vec![true, false, false])?
///     .with_weights(vec![1.0, 10.0, 10.0])?
///     .with_attribute("impressions", Attribute::numbers(vec![7.0, 3.0, 12.0]))?;
/// assert_eq!(data.rows(), 3);
/// assert!((data.totals().rate() - 1.0 / 21.0).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone)]
pub struct Dataset<'a> {
    features: Features<'a>,
    labels: Cow<'a, [bool]>,
    weights: Option<Cow<'a, [f64]>>,
    offsets: Option<Cow<'a, [f64]>>,
    attributes: Attributes<'a>,
    distortion: Distortion,
}

impl<'a> Dataset<'a> {
    /// Rows with their labels.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::LengthMismatch`], [`Error::NonFinite`] for a feature that is NaN or
    /// infinite, or [`Error::InvalidArgument`] for more columns than a list of coefficients can have.
    pub fn new(
        features: impl Into<Features<'a>>,
        labels: impl IntoColumn<'a, bool>,
    ) -> Result<Self> {
        let features = features.into();
        let labels = labels.into_column();
        same_length("labels", labels.len(), "the feature matrix", features.nrows())?;
        if labels.is_empty() {
            return Err(Error::NoRows { what: "the data set" });
        }
        if features.ncols() > ADDRESSABLE {
            return Err(Error::invalid("columns", features.ncols(), "few enough to be addressed"));
        }
        if let Some((row, column, value)) = features.view().first_non_finite() {
            let what = "the feature matrix".into();
            return Err(Error::NonFinite { what, row, column: Some(column), value });
        }
        Ok(Self {
            features,
            labels,
            weights: None,
            offsets: None,
            attributes: Attributes::default(),
            distortion: Distortion::None,
        })
    }

    /// The same rows with sample weights, each zero or more.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::NonFinite`], [`Error::NegativeWeight`],
    /// [`Error::InvalidArgument`] if all weights are zero, or [`Error::Numerical`] if their sum
    /// overflows.
    pub fn with_weights(mut self, weights: impl IntoColumn<'a, f64>) -> Result<Self> {
        let weights = weights.into_column();
        check_weights(&weights, self.rows())?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// The same rows with offsets: known additive logits.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::NonFinite`].
    pub fn with_offsets(mut self, offsets: impl IntoColumn<'a, f64>) -> Result<Self> {
        let offsets = offsets.into_column();
        check_offsets(&offsets, "the data set", self.rows())?;
        self.offsets = Some(offsets);
        Ok(self)
    }

    /// The same rows with one more attribute column.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], or [`Error::DuplicateColumn`] if the name is taken.
    pub fn with_attribute(
        mut self,
        name: impl Into<String>,
        attribute: Attribute<'a>,
    ) -> Result<Self> {
        let rows = self.rows();
        self.attributes.push(name.into(), attribute, "the data set", rows)?;
        Ok(self)
    }

    /// The same rows, declared to be distorted already: for a log whose negatives were thinned out
    /// before it reached you. It takes the place of what was known before: for rows that were resampled
    /// here too, give the composition, `distortion().clone().then(…)`.
    ///
    /// A shift that is not finite is refused where it is first used.
    ///
    /// ```
    /// # use imbalance::{Dataset, ndarray::array};
    /// use imbalance::Distortion;
    /// # let x = array![[0.5], [0.1]];
    /// // One in ten negatives was kept, so the odds of a click are ten times the population's.
    /// let data = Dataset::new(&x, vec![true, false])?
    ///     .with_distortion(Distortion::PriorShift { log_odds: 10_f64.ln() });
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn with_distortion(mut self, distortion: Distortion) -> Self {
        self.distortion = distortion;
        self
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Number of feature columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.features.ncols()
    }

    /// The features.
    #[must_use]
    pub fn features(&self) -> FeaturesView<'_> {
        self.features.view()
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &[bool] {
        &self.labels
    }

    /// The sample weights, if there are any.
    #[must_use]
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// The offsets, if there are any.
    #[must_use]
    pub fn offsets(&self) -> Option<&[f64]> {
        self.offsets.as_deref()
    }

    /// What was done to the rows since they left the population.
    #[must_use]
    pub fn distortion(&self) -> &Distortion {
        &self.distortion
    }

    /// The names of the attribute columns.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes.names()
    }

    /// An attribute column.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn attribute(&self, name: &str) -> Result<&Attribute<'a>> {
        self.attributes.get(name)
    }

    /// An attribute column of numbers.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], or [`Error::ColumnKind`] if it holds texts.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        self.attributes.numbers(name)
    }

    /// An attribute column of texts.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], or [`Error::ColumnKind`] if it holds numbers.
    pub fn categories(&self, name: &str) -> Result<&Categories<'a>> {
        self.attributes.categories(name)
    }

    /// All attribute columns.
    pub(crate) fn attributes(&self) -> &Attributes<'a> {
        &self.attributes
    }

    /// Rows and weight of each class.
    #[must_use]
    pub fn totals(&self) -> ClassTotals {
        ClassTotals::of(&self.labels, self.weights())
    }

    /// The given rows in the given order, with everything that belongs to them; repeats are allowed.
    /// Consecutive rows stay borrowed, others are copied. Rows that all have zero weight may be selected;
    /// what needs weight of a class says so ([`Error::OneClass`]).
    ///
    /// # Errors
    /// [`Error::NoRows`] or [`Error::RowOutOfRange`].
    pub fn select(&self, rows: &[usize]) -> Result<Dataset<'_>> {
        let selection = Selection::checked(rows, self.rows())?;
        let features = match &selection {
            Selection::Range(range) => self.features().slice(range.clone()).into(),
            Selection::List(rows) => self.features().gather(rows),
        };
        Ok(Dataset {
            features,
            labels: selection.column(&self.labels),
            weights: self.weights().map(|weights| selection.column(weights)),
            offsets: self.offsets().map(|offsets| selection.column(offsets)),
            attributes: self.attributes.select(&selection),
            distortion: self.distortion.clone(),
        })
    }

    /// The same rows, borrowed from this data set.
    #[must_use]
    pub fn view(&self) -> Dataset<'_> {
        let all = Selection::Range(0..self.rows());
        Dataset {
            features: self.features().into(),
            labels: Cow::Borrowed(&self.labels),
            weights: self.weights().map(Cow::Borrowed),
            offsets: self.offsets().map(Cow::Borrowed),
            attributes: self.attributes.select(&all),
            distortion: self.distortion.clone(),
        }
    }

    /// The same with no columns, for what labels, weights and attributes decide.
    pub(crate) fn without_features(&self) -> Dataset<'_> {
        Dataset { features: Array2::<f64>::default((self.rows(), 0)).into(), ..self.view() }
    }

    /// Both sides of a split.
    ///
    /// # Errors
    /// As for [`select`](Self::select).
    pub fn split(&self, split: &Split) -> Result<(Dataset<'_>, Dataset<'_>)> {
        Ok((self.select(split.train())?, self.select(split.test())?))
    }

    /// Training and test rows: a random share of each class goes to the test rows. See
    /// [`Split::stratified`].
    ///
    /// # Errors
    /// As for [`Split::stratified`].
    pub fn stratified_split(
        &self,
        test_share: f64,
        seed: impl Into<Seed>,
    ) -> Result<(Dataset<'_>, Dataset<'_>)> {
        self.split(&Split::stratified(&self.labels, test_share, seed)?)
    }

    /// Training and test rows: the latest share, by an attribute column of numbers, goes to the test
    /// rows. See [`Split::by_time`].
    ///
    /// # Errors
    /// As for [`numbers`](Self::numbers) and [`Split::by_time`].
    pub fn time_split(
        &self,
        attribute: &str,
        test_share: f64,
    ) -> Result<(Dataset<'_>, Dataset<'_>)> {
        self.split(&Split::by_time(self.numbers(attribute)?, test_share)?)
    }

    /// Rows of this data set and, below them, new positive ones that have all but their features from
    /// their parents; `features` are those of all of them.
    pub(crate) fn grown(
        &self,
        features: Features<'static>,
        kept: &Selection<'_>,
        parents: &[usize],
    ) -> Dataset<'static> {
        let column = |values: &[f64]| kept.column_and(values, parents).into();
        let mut labels = kept.column_and(&self.labels, parents);
        labels[kept.len()..].fill(true);
        Dataset {
            features,
            labels: labels.into(),
            weights: self.weights().map(column),
            offsets: self.offsets().map(column),
            attributes: self.attributes.grown(kept, parents),
            distortion: self.distortion.clone(),
        }
    }
}

/// Checks sample weights: one per row, finite, not negative, not all zero, with a finite sum.
pub(crate) fn check_weights(weights: &[f64], rows: usize) -> Result<()> {
    same_length("weights", weights.len(), "the data set", rows)?;
    check_finite("weights", weights)?;
    if let Some((row, &value)) = weights.iter().enumerate().find(|(_, weight)| **weight < 0.0) {
        return Err(Error::NegativeWeight { row, value });
    }
    let total: f64 = weights.iter().sum();
    if total == 0.0 {
        return Err(Error::invalid("weights", "zero for every row", "positive for some row"));
    }
    if total.is_infinite() {
        let what = "the total weight".into();
        return Err(Error::Numerical { what, value: total, remedy: "scale all weights down" });
    }
    Ok(())
}

/// Checks offsets: one per row, finite.
pub(crate) fn check_offsets(offsets: &[f64], reference: &'static str, rows: usize) -> Result<()> {
    same_length("offsets", offsets.len(), reference, rows)?;
    check_finite("offsets", offsets)
}

/// Checks that all values are finite.
pub(crate) fn check_finite(what: &str, values: &[f64]) -> Result<()> {
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((row, &value)) => {
            Err(Error::NonFinite { what: what.into(), row, column: None, value })
        }
        None => Ok(()),
    }
}

impl fmt::Debug for Dataset<'_> {
    /// A line about the data set; the rows themselves are too many to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("rows", &self.rows())
            .field("columns", &self.columns())
            .field("sparse", &self.features().is_sparse())
            .field("totals", &self.totals())
            .field("weights", &self.weights.is_some())
            .field("offsets", &self.offsets.is_some())
            .field("attributes", &self.attribute_names().collect::<Vec<_>>())
            .field("distortion", &self.distortion)
            .finish()
    }
}
