//! Rows that are written to files.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::Table;
use super::texts::{Same, Texts};
use crate::core::{Attribute, Categories, CategoriesBuilder, Columns, Error, IntoColumn, Result};

/// Named columns of rows that are written to a file, such as scored rows: numbers, texts and labels, the columns of a
/// [`Table`] among them.
///
#[cfg_attr(feature = "csv", doc = "```")]
#[cfg_attr(not(feature = "csv"), doc = "```ignore")]
/// use imbalance::data::{CsvWriter, Frame, Table};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("scored.csv");
/// let table = Table::new(vec![false, true])?
///     .with_numeric("price", vec![3.5, f64::NAN])?
///     .with_categorical("device", ["phone", "tablet"])?;
/// let rows = Frame::new(2)
///     .with_table(&table)?
///     .with_labels("click", table.labels())?
///     .with_numbers("probability", &[0.25, 0.125])?;
/// let mut writer = CsvWriter::create(&file)?;
/// writer.write(&rows)?;
/// writer.finish()?;
/// let text = "price,device,click,probability\n3.5,phone,0,0.25\n,tablet,1,0.125\n";
/// assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    rows: usize,
    pub(super) columns: Columns<Values<'a>>,
}

#[derive(Debug, Clone)]
pub(super) enum Values<'a> {
    Numbers(Cow<'a, [f64]>),
    Texts(Cow<'a, Categories<'a>>),
    Labels(Cow<'a, [bool]>),
}

impl Values<'_> {
    /// The kind of values.
    #[cfg(any(feature = "csv", feature = "parquet"))]
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Texts(_) => "texts",
            Self::Labels(_) => "labels",
        }
    }

    fn equals(&self, other: &Values<'_>) -> bool {
        match (self, other) {
            (Self::Numbers(a), Values::Numbers(b)) => {
                a.iter().zip(b.iter()).all(|(a, b)| a == b || a.is_nan() && b.is_nan())
            }
            (Self::Texts(a), Values::Texts(b)) => (0..a.len()).all(|row| a.get(row) == b.get(row)),
            _ => false,
        }
    }
}

impl<'a> Frame<'a> {
    /// Rows without columns. There may be none: a file of them has its columns' names.
    #[must_use]
    pub fn new(rows: usize) -> Self {
        Self { rows, columns: Columns::of("written", []) }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds numbers; NaN is written as a missing one.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::DuplicateColumn`].
    pub fn with_numbers(
        self,
        name: impl Into<String>,
        values: impl IntoColumn<'a, f64>,
    ) -> Result<Self> {
        let values = values.into_column();
        let entries = values.len();
        self.with(name.into(), Values::Numbers(values), entries)
    }

    /// Adds labels, which CSV files have as 0 and 1 and Parquet files as booleans.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::DuplicateColumn`].
    pub fn with_labels(
        self,
        name: impl Into<String>,
        labels: impl IntoColumn<'a, bool>,
    ) -> Result<Self> {
        let labels = labels.into_column();
        let entries = labels.len();
        self.with(name.into(), Values::Labels(labels), entries)
    }

    /// Adds texts.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::DuplicateColumn`].
    pub fn with_texts<S: AsRef<str>>(
        self,
        name: impl Into<String>,
        texts: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        self.with_attribute(name.into(), Cow::Owned(Attribute::categories(texts)))
    }

    /// Adds the columns of a table but its labels: numeric and categorical columns, attributes, and weights and offsets as
    /// `weight` and `offset`. An attribute that is also a feature is written once.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`]; [`Error::DuplicateColumn`] for columns of one name with different values;
    /// [`Error::InvalidArgument`] for a categorical column whose names were not kept.
    pub fn with_table(mut self, table: &'a Table) -> Result<Self> {
        for (name, values) in table.numeric.iter() {
            self = self.with_numbers(name, values)?;
        }
        for (name, texts) in table.categorical.iter() {
            let attribute = Cow::Owned(named(name, texts)?);
            self = self.with_attribute(name.into(), attribute)?;
        }
        for (name, attribute) in table.rows.attributes().iter() {
            let values = Values::of(Cow::Borrowed(attribute));
            let is_known = self.columns.get(name).is_ok_and(|known| known.equals(&values));
            if !is_known || attribute.len() != self.rows {
                self = self.with(name.into(), values, attribute.len())?;
            }
        }
        if let Some(weights) = table.weights() {
            self = self.with_numbers("weight", weights)?;
        }
        match table.offsets() {
            Some(offsets) => self.with_numbers("offset", offsets),
            None => Ok(self),
        }
    }

    fn with_attribute(self, name: String, attribute: Cow<'a, Attribute<'a>>) -> Result<Self> {
        let entries = attribute.len();
        self.with(name, Values::of(attribute), entries)
    }

    fn with(mut self, name: String, values: Values<'a>, entries: usize) -> Result<Self> {
        self.columns.push(name, (values, entries), ("the frame", self.rows))?;
        Ok(self)
    }

    /// Names and kinds of the columns, which are the same for all rows of a file.
    #[cfg(any(feature = "csv", feature = "parquet"))]
    pub(super) fn header(&self) -> Vec<(String, &'static str)> {
        self.columns.iter().map(|(name, values)| (name.to_owned(), values.kind())).collect()
    }
}

impl<'a> Values<'a> {
    fn of(attribute: Cow<'a, Attribute<'a>>) -> Self {
        match attribute {
            Cow::Borrowed(Attribute::Numbers(values)) => Self::Numbers(Cow::Borrowed(values)),
            Cow::Borrowed(Attribute::Categories(texts)) => Self::Texts(Cow::Borrowed(texts)),
            Cow::Owned(Attribute::Numbers(values)) => Self::Numbers(values),
            Cow::Owned(Attribute::Categories(texts)) => Self::Texts(Cow::Owned(texts)),
        }
    }
}

/// The texts of a categorical column.
fn named(column: &str, texts: &Texts) -> Result<Attribute<'static>> {
    let mut codes: HashMap<u64, u32, BuildHasherDefault<Same>> = HashMap::default();
    let mut builder = CategoriesBuilder::default();
    for hash in &texts.hashes {
        if let Some(code) = codes.get(hash) {
            builder.push_code(*code);
        } else {
            let name = texts.names.as_ref().and_then(|names| names.get(*hash)).ok_or_else(|| {
                let expected = "a column whose values are kept; raise `named_values`, or read it as an attribute \
                                of texts too and leave out the feature";
                Error::invalid("categorical column", format!("`{column}`"), expected)
            })?;
            codes.insert(*hash, builder.push(name));
        }
    }
    Ok(builder.finish())
}

/// Refuses rows with other columns than those written before.
#[cfg(any(feature = "csv", feature = "parquet"))]
pub(super) fn ensure_same_header(
    first: &[(String, &'static str)],
    frame: &Frame<'_>,
) -> Result<()> {
    let list = |header: &[(String, &'static str)]| {
        let columns = header.iter().map(|(name, kind)| format!("{name} ({kind})"));
        columns.collect::<Vec<_>>().join(", ")
    };
    let header = frame.header();
    if header == first {
        return Ok(());
    }
    Err(Error::invalid(
        "columns",
        list(&header),
        format!("those of the rows before: {}", list(first)),
    ))
}
