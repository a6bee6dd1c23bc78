//! Rows of a log before they are features.

use std::fmt;

use twox_hash::XxHash64;

use crate::core::{
    Attribute, Attributes, ClassTotals, Cut, Error, IntoColumn, Result, Rows, Seed, Selection,
    Split, find, new_name, same_length,
};

/// Labelled rows of a log, read but not yet encoded: the input of an [`Encoder`](super::Encoder).
///
/// A column has a role: *numeric* columns (NaN stands for a missing number) and *categorical* columns
/// become features, *attributes* travel with the rows, as do weights and offsets. Names are unique within a role,
/// and the same name may appear in several roles.
///
/// Of a categorical value only its hash is kept: h(value; s) with s = h(column name; 0), where
/// h(·; seed) is XXH64 of the UTF-8 bytes. The seed tells equal values of different columns apart. The
/// empty text is a value like any other, so a missing category is a category of its own.
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
    rows: Rows<'static>,
    numeric: Vec<(String, Vec<f64>)>,
    categorical: Vec<(String, Vec<u64>)>,
}

impl Table {
    /// Rows of which only the labels are known so far.
    ///
    /// # Errors
    /// [`Error::NoRows`].
    pub fn new<'a>(labels: impl IntoColumn<'a, bool>) -> Result<Self> {
        let rows = Rows::new("the table", labels.into_column().into_owned())?;
        Ok(Self { rows, numeric: Vec::new(), categorical: Vec::new() })
    }

    /// The same rows with one more numeric column; NaN stands for a missing number.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::DuplicateColumn`], or [`Error::NonFinite`] for an infinity.
    pub fn with_numeric<'a>(
        mut self,
        name: impl Into<String>,
        values: impl IntoColumn<'a, f64>,
    ) -> Result<Self> {
        let (name, values) = (name.into(), values.into_column().into_owned());
        let what = format!("numeric column `{name}`");
        same_length(&what, values.len(), "the table", self.rows())?;
        new_name("numeric", &name, self.numeric_names())?;
        if let Some(row) = values.iter().position(|value| value.is_infinite()) {
            return Err(Error::NonFinite { what, row, column: None, value: values[row] });
        }
        self.numeric.push((name, values));
        Ok(self)
    }

    /// The same rows with one more categorical column.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::DuplicateColumn`].
    pub fn with_categorical<S: AsRef<str>>(
        self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let name = name.into();
        let seed = column_seed(&name);
        let hashes = values.into_iter().map(|value| value_hash(seed, value.as_ref().as_bytes()));
        self.with_hashes(name, hashes.collect())
    }

    pub(crate) fn with_hashes(mut self, name: String, hashes: Vec<u64>) -> Result<Self> {
        let what = format!("categorical column `{name}`");
        same_length(&what, hashes.len(), "the table", self.rows())?;
        new_name("categorical", &name, self.categorical_names())?;
        self.categorical.push((name, hashes));
        Ok(self)
    }

    /// The same rows with one more attribute column.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::DuplicateColumn`].
    pub fn with_attribute(self, name: impl Into<String>, attribute: Attribute<'_>) -> Result<Self> {
        let rows = self.rows.with_attribute(name.into(), attribute.into_owned())?;
        Ok(Self { rows, ..self })
    }

    /// The same rows with sample weights, each zero or more.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`], [`Error::NonFinite`], [`Error::NegativeWeight`], or
    /// [`Error::InvalidArgument`] if all weights are zero.
    pub fn with_weights<'a>(self, weights: impl IntoColumn<'a, f64>) -> Result<Self> {
        let weights = weights.into_column().into_owned();
        Ok(Self { rows: self.rows.with_weights(weights)?, ..self })
    }

    /// The same rows with offsets: known additive logits.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] or [`Error::NonFinite`].
    pub fn with_offsets<'a>(self, offsets: impl IntoColumn<'a, f64>) -> Result<Self> {
        let offsets = offsets.into_column().into_owned();
        Ok(Self { rows: self.rows.with_offsets(offsets)?, ..self })
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
        self.numeric.iter().map(|(name, _)| name.as_str())
    }

    /// The names of the categorical columns, in the order they were added.
    pub fn categorical_names(&self) -> impl Iterator<Item = &str> {
        self.categorical.iter().map(|(name, _)| name.as_str())
    }

    /// The names of the attribute columns, in the order they were added.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes().names()
    }

    /// A numeric column; NaN stands for a missing number.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn numeric(&self, name: &str) -> Result<&[f64]> {
        let columns = self.numeric.iter().map(|(name, values)| (name.as_str(), values));
        find("numeric", name, columns).map(Vec::as_slice)
    }

    /// The hashes of a categorical column.
    pub(crate) fn hashes(&self, name: &str) -> Result<&[u64]> {
        let columns = self.categorical.iter().map(|(name, hashes)| (name.as_str(), hashes));
        find("categorical", name, columns).map(Vec::as_slice)
    }

    /// An attribute column.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], which lists the known ones.
    pub fn attribute(&self, name: &str) -> Result<&Attribute<'static>> {
        self.attributes().get(name)
    }

    /// An attribute column of numbers, for instance the times to split by.
    ///
    /// # Errors
    /// [`Error::UnknownColumn`], or [`Error::ColumnKind`] if it holds texts.
    pub fn numbers(&self, name: &str) -> Result<&[f64]> {
        self.attributes().numbers(name)
    }

    pub(crate) fn attributes(&self) -> &Attributes<'static> {
        self.rows.attributes()
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
        fn all<T: Copy>(
            rows: &Selection<'_>,
            columns: &[(String, Vec<T>)],
        ) -> Vec<(String, Vec<T>)> {
            let select = |values: &[T]| rows.column(values).into_owned();
            columns.iter().map(|(name, values)| (name.clone(), select(values))).collect()
        }
        let rows = Selection::checked(rows, self.rows())?;
        Ok(Self {
            rows: self.rows.select(&rows).into_owned(),
            numeric: all(&rows, &self.numeric),
            categorical: all(&rows, &self.categorical),
        })
    }

    /// Copies of the training and the test rows, told apart by a rule.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(vec![true, false, false])
            .unwrap()
            .with_numeric("x", vec![1.0, f64::NAN, 3.0])
            .unwrap()
            .with_categorical("c", ["a", "", "a"])
            .unwrap()
            .with_attribute("x", Attribute::numbers(vec![7.0, 8.0, 9.0]))
            .unwrap()
            .with_attribute("t", Attribute::categories(["p", "q", "p"]))
            .unwrap()
            .with_weights(vec![1.0, 2.0, 3.0])
            .unwrap()
    }

    #[test]
    fn selected_rows_keep_what_belongs_to_them() {
        for rows in [vec![1, 2], vec![2, 0, 2]] {
            let (all, some) = (table(), table().select(&rows).unwrap());
            for (i, &row) in rows.iter().enumerate() {
                let bits = |table: &Table, row: usize| table.numeric("x").unwrap()[row].to_bits();
                assert_eq!(some.labels()[i], all.labels()[row]);
                assert_eq!(bits(&some, i), bits(&all, row));
                assert_eq!(some.hashes("c").unwrap()[i], all.hashes("c").unwrap()[row]);
                assert_eq!(some.numbers("x").unwrap()[i], all.numbers("x").unwrap()[row]);
                assert_eq!(some.weights().unwrap()[i], all.weights().unwrap()[row]);
                let text = |table: &Table, row| match table.attribute("t").unwrap() {
                    Attribute::Categories(texts) => texts.get(row).unwrap().to_owned(),
                    Attribute::Numbers(_) => unreachable!(),
                };
                assert_eq!(text(&some, i), text(&all, row));
            }
        }
        assert!(matches!(table().select(&[]), Err(Error::NoRows { .. })));
        assert!(matches!(table().select(&[3]), Err(Error::RowOutOfRange { row: 3, .. })));
        let (train, test) = table().split(&Split::last(3, 0.3).unwrap()).unwrap();
        assert_eq!((train.rows(), test.rows()), (2, 1));
        assert_eq!(train.totals().negative_weight, 2.0);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let message = |result: Result<Table>| result.unwrap_err().to_string();
        assert_eq!(message(Table::new(Vec::new())), "the table has no rows");
        assert_eq!(
            message(table().with_numeric("y", vec![1.0])),
            "the length of numeric column `y` is 1, but the table has 3: one entry per row is needed"
        );
        assert_eq!(
            message(table().with_numeric("x", vec![0.0; 3])),
            "the numeric column `x` is named twice"
        );
        assert_eq!(
            message(table().with_numeric("y", vec![0.0, f64::NAN, f64::NEG_INFINITY])),
            "numeric column `y` holds -inf at row 2: finite numbers are needed; replace it, \
             or drop the row"
        );
        assert_eq!(
            message(table().with_categorical("c", ["", "", ""])),
            "the categorical column `c` is named twice"
        );
        assert_eq!(
            message(table().with_categorical("d", [""])),
            "the length of categorical column `d` is 1, but the table has 3: one entry per row is needed"
        );
        assert_eq!(
            message(table().with_attribute("t", Attribute::numbers(vec![0.0; 3]))),
            "the attribute column `t` is named twice"
        );
        let error = table().with_weights(vec![1.0, -1.0, 0.0]).unwrap_err();
        assert!(matches!(error, Error::NegativeWeight { row: 1, .. }), "{error}");
        assert_eq!(
            table().numeric("z").unwrap_err().to_string(),
            "there is no numeric column `z`; there are: x"
        );
        assert!(matches!(table().numbers("t"), Err(Error::ColumnKind { .. })));
    }

    #[test]
    fn equal_values_of_different_columns_differ() {
        let table = table().with_categorical("d", ["a", "", "b"]).unwrap();
        let (c, d) = (table.hashes("c").unwrap(), table.hashes("d").unwrap());
        assert_eq!(c[0], c[2]);
        assert!(c[0] != c[1] && c[0] != d[0] && c[1] != d[1] && d[0] != d[2]);
        // Only a summary is printed, however many rows there are.
        assert!(format!("{table:?}").starts_with("Table { rows: 3,"));
    }
}
