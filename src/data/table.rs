//! Rows of a log before they are encoded as features.

use std::fmt;

use twox_hash::XxHash64;

use super::table_builder::TableBuilder;
use super::texts::{NAMED_VALUES, Texts, TextsBuilder};
use crate::core::{
    Attribute, ClassTotals, Columns, Cut, Distortion, Error, IntoColumn, Result, Rows, Seed,
    Selection, Split, fits_memory,
};

/// Labelled rows of a log, read but not yet encoded: the input of an [`Encoder`](super::Encoder).
///
/// Each column has a role: *numeric* columns (NaN stands for a missing number) and *categorical* columns
/// become features; *attributes*, weights and offsets travel with the rows. Names are unique within a role;
/// one name may appear in several roles.
///
/// A categorical value is stored as its hash h(value; s) with s = h(column name; 0), where h(·; seed) is
/// XXH64 of the UTF-8 bytes. Because of the seed, equal values of different columns have different hashes.
/// The empty text is a value like any other, so a missing category is a category of its own. The values themselves are
/// kept beside the hashes, for names, in columns of up to 100,000 different ones (`CsvReader::named_values`).
///
/// `CsvReader` (feature `csv`) reads tables from files; in memory they are built like this:
///
/// ```
/// use imbalance::data::Table;
/// use imbalance::{Attribute, Split};
///
/// let table = Table::new(vec![false, true, false])?
///     .with_numeric("recency", vec![3.0, f64::NAN, 7.0])?
///     .with_categorical("channel", ["web", "phone", "web"])?
///     .with_attribute("time", Attribute::numbers(vec![1.0, 2.0, 3.0]))?;
/// let (train, test) = table.split(&Split::by_time(table.numbers("time")?, 0.3)?)?;
/// assert_eq!((train.rows(), test.rows()), (2, 1));
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Source: XXH64 is specified in Y. Collet, *xxHash fast digest algorithm*, version 0.1.1, 2018.
#[derive(Clone)]
pub struct Table {
    pub(crate) rows: Rows<'static>,
    pub(super) numeric: Columns<Vec<f64>>,
    pub(super) categorical: Columns<Texts>,
}

impl Table {
    /// Rows with their labels and without columns.
    ///
    /// # Errors
    /// [`Error::NoRows`].
    pub fn new<'a>(labels: impl IntoColumn<'a, bool>) -> Result<Self> {
        let rows = Rows::new("the table", labels.into_column().into_owned())?;
        let (numeric, categorical) = (Columns::of("numeric", []), Columns::of("categorical", []));
        Ok(Self { rows, numeric, categorical })
    }

    /// Rows that are to be scored, without labels. Every label is `false`, so a stage that needs both classes
    /// refuses them; [`FittedEncoder::features`](super::FittedEncoder::features) has what a model predicts from.
    ///
    /// # Errors
    /// [`Error::NoRows`], or [`Error::InvalidArgument`] for more rows than a `Vec` can hold.
    pub fn unlabelled(rows: usize) -> Result<Self> {
        if !fits_memory(Some(rows)) {
            return Err(Error::invalid("rows", rows, "few enough for memory"));
        }
        Self::new(vec![false; rows])
    }

    /// Adds a numeric column; NaN stands for a missing number.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::DuplicateColumn`], or [`Error::NonFinite`] for an infinity.
    pub fn with_numeric<'a>(
        mut self,
        name: impl Into<String>,
        values: impl IntoColumn<'a, f64>,
    ) -> Result<Self> {
        let (name, values) = (name.into(), values.into_column().into_owned());
        if let Some(row) = values.iter().position(|value| value.is_infinite()) {
            let what = format!("numeric column `{name}`");
            return Err(Error::NonFinite { what, row, column: None, value: values[row] });
        }
        let entries = values.len();
        self.numeric.push(name, (values, entries), ("the table", self.rows.len()))?;
        Ok(self)
    }

    /// Adds a categorical column.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::DuplicateColumn`].
    pub fn with_categorical<S: AsRef<str>>(
        self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let name = name.into();
        let mut texts = TextsBuilder::new(&name, NAMED_VALUES);
        for value in values {
            texts.push(value.as_ref().as_bytes());
        }
        self.with_texts(name, texts.finish())
    }

    pub(super) fn with_texts(mut self, name: String, texts: Texts) -> Result<Self> {
        let entries = texts.hashes.len();
        self.categorical.push(name, (texts, entries), ("the table", self.rows.len()))?;
        Ok(self)
    }

    /// Adds an attribute column.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::DuplicateColumn`].
    pub fn with_attribute(self, name: impl Into<String>, attribute: Attribute<'_>) -> Result<Self> {
        let rows = self.rows.with_attribute(name.into(), attribute.into_owned())?;
        Ok(Self { rows, ..self })
    }

    /// Adds sample weights, each zero or more.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::NonFinite`], [`Error::NegativeWeight`], or
    /// [`Error::InvalidArgument`] if all weights are zero.
    pub fn with_weights<'a>(self, weights: impl IntoColumn<'a, f64>) -> Result<Self> {
        let weights = weights.into_column().into_owned();
        Ok(Self { rows: self.rows.with_weights(weights)?, ..self })
    }

    /// Adds the sample weights of a batch, which may all be zero if those of other batches are not.
    #[cfg(any(feature = "arrow", feature = "csv"))]
    pub(super) fn with_weights_of_batch(self, weights: Vec<f64>) -> Result<Self> {
        Ok(Self { rows: self.rows.with_weights_of_batch(weights)?, ..self })
    }

    /// Adds offsets: known additive logits.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::NonFinite`].
    pub fn with_offsets<'a>(self, offsets: impl IntoColumn<'a, f64>) -> Result<Self> {
        let offsets = offsets.into_column().into_owned();
        Ok(Self { rows: self.rows.with_offsets(offsets)?, ..self })
    }

    /// Declares how these rows were sampled before they came here.
    ///
    /// A log that was thinned out is not the population; [`Encoder`](super::Encoder) hands this on, so that a
    /// pipeline corrects it.
    #[must_use]
    pub fn with_distortion(mut self, distortion: Distortion) -> Self {
        self.rows.distortion = distortion;
        self
    }

    /// How sampling changed the odds of these rows.
    #[must_use]
    pub fn distortion(&self) -> &Distortion {
        &self.rows.distortion
    }

    /// The rows of all these tables, one below the other.
    ///
    /// ```
    /// use imbalance::data::Table;
    ///
    /// let part = |label: bool, device: &str| {
    ///     Table::new(vec![label])?.with_numeric("price", vec![3.5])?.with_categorical("device", [device])
    /// };
    /// let table = Table::concat([part(false, "phone")?, part(true, "tablet")?])?;
    /// assert_eq!(table.labels(), [false, true]);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoRows`] without tables; [`Error::InvalidArgument`] for tables whose columns or distortions differ.
    pub fn concat(tables: impl IntoIterator<Item = Self>) -> Result<Self> {
        let mut all = TableBuilder::default();
        for table in tables {
            all.append(&table, &Selection::Range(0..table.rows()))?;
        }
        all.finish()?.ok_or(Error::NoRows { what: "the table" })
    }

    /// Without the numeric and categorical columns of these names. Attributes of the same name stay.
    ///
    /// ```
    /// use imbalance::data::Table;
    ///
    /// let table = Table::new(vec![false, true])?
    ///     .with_numeric("recency", vec![3.0, 7.0])?
    ///     .with_categorical("channel", ["web", "phone"])?;
    /// assert_eq!(table.clone().drop_features(["recency"])?.numeric_names().count(), 0);
    /// assert_eq!(table.pick_features(["recency"])?.categorical_names().count(), 0);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn drop_features<S: AsRef<str>>(self, names: impl IntoIterator<Item = S>) -> Result<Self> {
        self.retain_features(names, false)
    }

    /// With no numeric and categorical columns but those of these names, in the table's order. Attributes stay.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn pick_features<S: AsRef<str>>(self, names: impl IntoIterator<Item = S>) -> Result<Self> {
        self.retain_features(names, true)
    }

    fn retain_features<S: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = S>,
        keep: bool,
    ) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(|name| name.as_ref().into()).collect();
        let known = || self.numeric_names().chain(self.categorical_names());
        if let Some(column) = names.iter().find(|name| !known().any(|known| known == *name)) {
            let (column, known) = (column.clone(), known().map(Into::into).collect());
            return Err(Error::UnknownColumn { kind: "feature", column, known });
        }
        let kept = |name: &str| names.iter().any(|named| named == name) == keep;
        self.numeric.retain(kept);
        self.categorical.retain(kept);
        Ok(self)
    }

    /// Without the attribute columns of these names.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn drop_attributes<S: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        for name in names {
            self.rows.attributes().get(name.as_ref())?;
            self.rows.attributes_mut().retain(|known| known != name.as_ref());
        }
        Ok(self)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
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

    /// The names of the numeric columns, in the order they were added.
    pub fn numeric_names(&self) -> impl Iterator<Item = &str> {
        self.numeric.names()
    }

    /// The names of the categorical columns, in the order they were added.
    pub fn categorical_names(&self) -> impl Iterator<Item = &str> {
        self.categorical.names()
    }

    /// The names of the attribute columns, in the order they were added.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.rows.attributes().names()
    }

    /// A numeric column; NaN stands for a missing number.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn numeric(&self, name: &str) -> Result<&[f64]> {
        self.numeric.get(name).map(Vec::as_slice)
    }

    /// The hashes of a categorical column, if there is one of this name.
    pub(crate) fn hashes(&self, name: &str) -> Option<&[u64]> {
        self.categorical.get(name).ok().map(|texts| texts.hashes.as_slice())
    }

    /// An attribute column.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn attribute(&self, name: &str) -> Result<&Attribute<'static>> {
        self.rows.attributes().get(name)
    }

    /// An attribute column of numbers, for instance the times to split by.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], or [`Error::ColumnKind`] if it holds texts.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        self.rows.attributes().numbers(name)
    }

    /// Rows and weight of each class.
    #[must_use]
    pub fn totals(&self) -> ClassTotals {
        self.rows.totals()
    }

    /// A copy of the given rows in the given order; repeats are allowed.
    ///
    /// # Errors
    /// [`Error::NoRows`] or [`Error::RowOutOfRange`].
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        let rows = Selection::checked(rows, self.rows())?;
        Ok(Self {
            rows: self.rows.select(&rows).into_owned(),
            numeric: self.numeric.map(|values| rows.column(values).into_owned()),
            categorical: self.categorical.map(|texts| texts.select(&rows)),
        })
    }

    /// Copies of the training rows and the test rows, divided by a rule.
    ///
    /// # Errors
    /// As for [`Dataset::cut`](crate::Dataset::cut).
    pub fn cut(&self, cut: &Cut, test_share: f64, seed: impl Into<Seed>) -> Result<(Self, Self)> {
        self.split(&cut.split(&self.rows, test_share, seed.into())?)
    }

    /// Copies of both sides of a split.
    ///
    /// # Errors
    /// As for [`select`](Self::select).
    pub fn split(&self, split: &Split) -> Result<(Self, Self)> {
        Ok((self.select(split.train())?, self.select(split.test())?))
    }
}

impl fmt::Debug for Table {
    /// A line about the table; the rows themselves are too many to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("rows", &self.rows())
            .field("totals", &self.totals())
            .field("numeric", &self.numeric_names().collect::<Vec<_>>())
            .field("categorical", &self.categorical_names().collect::<Vec<_>>())
            .field("attributes", &self.attribute_names().collect::<Vec<_>>())
            .field("weights", &self.weights().is_some())
            .field("offsets", &self.offsets().is_some())
            .finish()
    }
}

/// The seed for the hashes of a column's values: the hash of its name.
pub(crate) fn column_seed(name: &str) -> u64 {
    XxHash64::oneshot(0, name.as_bytes())
}

/// The hash of a categorical value, given its column's seed.
pub(crate) fn value_hash(seed: u64, value: &[u8]) -> u64 {
    XxHash64::oneshot(seed, value)
}
