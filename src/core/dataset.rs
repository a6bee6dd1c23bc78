//! Rows to train or to test on.

use std::fmt;

use super::attribute::{Attributes, Selection};
use super::selected::SelectedFeatures;
use super::{
    Attribute, Categories, ClassTotals, Cut, Distortion, Error, Features, FeaturesView, Folds,
    IntoColumn, MAX_LEN, Result, Rows, Seed, Split, columns_without, same_length,
};

/// Features and labels, with weights, offsets and attributes of the rows.
///
/// Labels are `bool` and never inferred from the data. A weight says how many rows of the population a
/// row stands for. Offsets are known additive logits: a model learns only the part of the logit that
/// the offsets do not explain. Attributes travel with the rows without being features. The data set also
/// remembers its [`Distortion`]: how sampling changed the odds of a positive.
///
/// All values are checked here, once; later stages rely on it.
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
    features: SelectedFeatures<'a>,
    rows: Rows<'a>,
}

impl<'a> Dataset<'a> {
    /// Rows of features (rows × columns) and one label per row.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::LengthMismatch`], [`Error::NonFinite`] for a feature that is NaN or
    /// infinite, or [`Error::InvalidArgument`] for more columns than a `Vec` of coefficients can have.
    pub fn new(
        features: impl Into<Features<'a>>,
        labels: impl IntoColumn<'a, bool>,
    ) -> Result<Self> {
        let (features, labels) = (features.into(), labels.into_column());
        same_length("labels", labels.len(), "the feature matrix", features.nrows())?;
        Self::of(features, Rows::new("the data set", labels)?)
    }

    /// Features of rows whose other properties are already checked.
    pub(crate) fn of(features: Features<'a>, mut rows: Rows<'a>) -> Result<Self> {
        rows.what = "the data set";
        if features.ncols() > MAX_LEN {
            return Err(Error::invalid("columns", features.ncols(), format!("at most {MAX_LEN}")));
        }
        features.view().ensure_finite()?;
        Ok(Self { features: features.into(), rows })
    }

    /// Adds sample weights, each zero or more.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::NonFinite`], [`Error::NegativeWeight`],
    /// [`Error::InvalidArgument`] if all weights are zero, or [`Error::Numerical`] if their sum
    /// overflows.
    pub fn with_weights(self, weights: impl IntoColumn<'a, f64>) -> Result<Self> {
        Ok(Self { rows: self.rows.with_weights(weights)?, ..self })
    }

    /// Adds offsets: known additive logits.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::NonFinite`].
    pub fn with_offsets(self, offsets: impl IntoColumn<'a, f64>) -> Result<Self> {
        Ok(Self { rows: self.rows.with_offsets(offsets)?, ..self })
    }

    /// Adds an attribute column.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], or [`Error::DuplicateColumn`] if the name is taken.
    pub fn with_attribute(self, name: impl Into<String>, attribute: Attribute<'a>) -> Result<Self> {
        Ok(Self { rows: self.rows.with_attribute(name.into(), attribute)?, ..self })
    }

    /// Declares how the rows were sampled before, for instance that a log keeps one negative in ten.
    /// It replaces the present distortion: for rows that were resampled here too, give the composition,
    /// `distortion().clone().then(…)`.
    ///
    /// A shift that is not finite is refused by the stage that first uses it.
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
        self.rows.distortion = distortion;
        self
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Number of feature columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.source().ncols()
    }

    /// The features. Those of selected rows are copied when they are first read.
    #[must_use]
    pub fn features(&self) -> FeaturesView<'_> {
        self.features.view()
    }

    /// The matrix that the rows come from: it has the columns and the storage of these features. Nothing is
    /// copied.
    pub(crate) fn source(&self) -> FeaturesView<'_> {
        self.features.source()
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &[bool] {
        self.rows.labels()
    }

    /// The sample weights, if there are any.
    #[must_use]
    pub fn weights(&self) -> Option<&[f64]> {
        self.rows.weights()
    }

    /// The offsets, if there are any.
    #[must_use]
    pub fn offsets(&self) -> Option<&[f64]> {
        self.rows.offsets()
    }

    /// How sampling changed the odds of a positive.
    #[must_use]
    pub fn distortion(&self) -> &Distortion {
        &self.rows.distortion
    }

    /// The names of the attribute columns.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes().names()
    }

    /// An attribute column.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn attribute(&self, name: &str) -> Result<&Attribute<'a>> {
        self.attributes().get(name)
    }

    /// An attribute column of numbers.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], or [`Error::ColumnKind`] if it holds texts.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        self.attributes().numbers(name)
    }

    /// An attribute column of texts.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], or [`Error::ColumnKind`] if it holds numbers.
    pub fn categories(&self, name: &str) -> Result<&Categories<'a>> {
        self.attributes().categories(name)
    }

    /// All attribute columns.
    /// Everything but the features.
    pub(crate) fn row_columns(&self) -> &Rows<'a> {
        &self.rows
    }

    pub(crate) fn attributes(&self) -> &Attributes<'a> {
        self.rows.attributes()
    }

    /// Rows and weight of each class.
    #[must_use]
    pub fn totals(&self) -> ClassTotals {
        self.rows.totals()
    }

    /// The given rows in the given order, with everything that belongs to them; repeats are allowed.
    /// Consecutive rows stay borrowed. Of other rows labels, weights, offsets and attributes are copied, and
    /// the features when they are first [read](Self::features): rows of selected rows are copied once. Rows
    /// that all have zero weight may be selected; what needs weight of a class says so
    /// ([`Error::OneClass`]).
    ///
    /// # Errors
    /// [`Error::NoRows`] or [`Error::RowOutOfRange`].
    pub fn select(&self, rows: &[usize]) -> Result<Dataset<'_>> {
        Ok(self.selected(&Selection::checked(rows, self.rows())?))
    }

    /// Rows of a checked selection.
    pub(crate) fn selected(&self, rows: &Selection<'_>) -> Dataset<'_> {
        Dataset { features: self.features.select(rows), rows: self.rows.select(rows) }
    }

    /// These rows without the given feature columns, which are copied. A model that is fitted on them predicts from
    /// rows without these columns too; [`FittedEncoder::drop_columns`](crate::data::FittedEncoder::drop_columns)
    /// drops them where rows are encoded.
    ///
    /// ```
    /// use imbalance::Dataset;
    /// use imbalance::ndarray::array;
    ///
    /// let x = array![[0.5, 0.0, 1.0], [0.1, 0.0, -1.0]];
    /// let data = Dataset::new(&x, vec![true, false])?;
    /// assert_eq!(data.zero_columns()?, [1]);
    /// assert_eq!(data.drop_columns(&data.zero_columns()?)?.features().row(0).to_vec()?, [0.5, 1.0]);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a column that does not exist, or for more columns than a list in memory can
    /// name.
    pub fn drop_columns(&self, columns: &[usize]) -> Result<Dataset<'_>> {
        let kept = columns_without(columns, self.columns())?;
        Ok(Dataset { features: self.features().pick_columns(&kept).into(), ..self.view() })
    }

    /// The feature columns that are zero in every row of positive weight, which no model without a penalty can use.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more columns than a list in memory can name.
    pub fn zero_columns(&self) -> Result<Vec<usize>> {
        let used = self.features().used_columns(self.weights())?;
        Ok((0..used.len()).filter(|&column| !used[column]).collect())
    }

    /// A data set that borrows all rows of this one.
    #[must_use]
    pub fn view(&self) -> Dataset<'_> {
        self.selected(&Selection::Range(0..self.rows()))
    }

    /// Both sides of a split.
    ///
    /// # Errors
    /// As for [`select`](Self::select).
    pub fn split(&self, split: &Split) -> Result<(Dataset<'_>, Dataset<'_>)> {
        Ok((self.select(split.train())?, self.select(split.test())?))
    }

    /// Training and test rows, divided by a rule; about the share `test_share` of the rows tests.
    ///
    /// # Errors
    /// As for [`Split::stratified`], [`Split::last`], [`Split::by_time`] or [`Split::by_group`];
    /// [`Error::UnknownColumn`] or [`Error::ColumnKind`] for the attribute column;
    /// [`Error::SplitOfOneClass`] if one side lacks a class that the other has ([`split`](Self::split) by a
    /// [`Split`] does not ask).
    pub fn cut(
        &self,
        cut: &Cut,
        test_share: f64,
        seed: impl Into<Seed>,
    ) -> Result<(Dataset<'_>, Dataset<'_>)> {
        self.split(&self.split_rows(cut, test_share, seed.into())?)
    }

    /// The rows on either side of a [`cut`](Self::cut).
    pub(crate) fn split_rows(&self, cut: &Cut, test_share: f64, seed: Seed) -> Result<Split> {
        cut.split(&self.rows, test_share, seed)
    }

    /// `count` folds of the rows by a rule; forward chaining where the rule goes by time or order.
    ///
    /// # Errors
    /// As for [`Folds::stratified`], [`Folds::forward`], [`Folds::by_time`] or [`Folds::by_group`];
    /// [`Error::UnknownColumn`] or [`Error::ColumnKind`] for the attribute column.
    pub fn folds(&self, cut: &Cut, count: usize, seed: impl Into<Seed>) -> Result<Folds> {
        cut.folds(&self.rows, count, seed.into())
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
        self.cut(&Cut::Stratified, test_share, seed)
    }

    /// Training and test rows: the latest share, by an attribute column of numbers, goes to the test
    /// rows. See [`Split::by_time`].
    ///
    /// # Errors
    /// As for [`cut`](Self::cut).
    pub fn time_split(
        &self,
        attribute: &str,
        test_share: f64,
    ) -> Result<(Dataset<'_>, Dataset<'_>)> {
        self.cut(&Cut::by_time(attribute), test_share, 0)
    }

    /// Some rows of this data set and, below them, new positive rows, whose weights, offsets and attributes
    /// are copied from their parents. `features` has all these rows.
    pub(crate) fn grown(
        &self,
        features: Features<'static>,
        kept: &Selection<'_>,
        parents: &[usize],
    ) -> Dataset<'static> {
        Dataset { features: features.into(), rows: self.rows.grown(kept, parents) }
    }
}

impl fmt::Debug for Dataset<'_> {
    /// A line about the data set; the rows themselves are too many to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("rows", &self.rows())
            .field("columns", &self.columns())
            .field("sparse", &self.source().is_sparse())
            .field("totals", &self.totals())
            .field("weights", &self.weights().is_some())
            .field("offsets", &self.offsets().is_some())
            .field("attributes", &self.attribute_names().collect::<Vec<_>>())
            .field("distortion", self.distortion())
            .finish()
    }
}
