//! Record batches of Arrow.

mod columns;
mod write;

use arrow_array::RecordBatch;
#[cfg(feature = "parquet")]
use arrow_schema::DataType;

use self::columns::{Wrong, extend};
use super::roles::{Column, Labels, Role, Roles, assemble, name_columns};
use super::time::FoundTimes;
use super::{Table, TimeFormat};
use crate::core::{Dataset, Error, Features, Result, dense, fits_memory};

/// Makes a [`Table`] or a [`Dataset`] of record batches of Arrow.
///
/// The caller names the columns and their roles, as for [`CsvReader`](super::CsvReader), and the tables are the same as
/// from a CSV file of the data: equal hashes and equal numbers. `arrow_array` and `arrow_schema` are those of major
/// version 59.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow_array::{BooleanArray, Float32Array, RecordBatch, StringArray};
/// use imbalance::data::{ArrowReader, Encoder};
///
/// let batch = RecordBatch::try_from_iter([
///     ("click", Arc::new(BooleanArray::from(vec![false, true])) as arrow_array::ArrayRef),
///     ("price", Arc::new(Float32Array::from(vec![Some(3.5), None]))),
///     ("device", Arc::new(StringArray::from(vec!["phone", "tablet"]))),
/// ])?;
/// let table = ArrowReader::new()
///     .label("click")
///     .numeric(["price"])
///     .categorical(["device"])
///     .read(&batch)?;
/// assert_eq!(table.labels(), [false, true]);
/// assert!(table.numeric("price")?[1].is_nan());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The cells
///
/// * A **label** is a boolean, or a number 0 or 1, or a text as in a CSV file.
///   [`positive_above`](Self::positive_above) needs numbers; [`labels`](Self::labels) and
///   [`positive_texts`](Self::positive_texts) need texts, or whole numbers, booleans and dates, which they compare as
///   texts.
/// * A **number** is of any integer, floating-point or decimal type, or a boolean (0 and 1); it is finite. A missing
///   number is null or NaN. A value of a `Float32` column is the exact number it holds: 0.1 there is
///   0.10000000149011612, where a CSV file has 0.1.
/// * A **categorical** value is a text (`Utf8`, `LargeUtf8`, `Utf8View`), a whole number, written in decimal digits
///   (`-3`), a boolean (`true`, `false`) or a date (`2019-11-24`): what pyarrow and polars write into CSV files. A null
///   is the empty text. Floating-point numbers, decimals and timestamps are refused, because programs write them
///   in different ways.
/// * A **time** is a date or a timestamp of any unit, which becomes seconds since 1970-01-01T00:00:00Z (without a
///   time zone it is in UTC), or a number or a text as in a CSV file; a null is NaN.
///
/// All these may be in a dictionary with keys of any type. A null label, weight or offset is an error. Other types are an
/// [`Error::ColumnType`].
#[derive(Debug, Clone, Default)]
pub struct ArrowReader {
    roles: Roles,
}

name_columns!(ArrowReader);

impl ArrowReader {
    /// A reader without columns yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The table of a batch of rows. Formats of times that are to be [found](TimeFormat::Found) are found in this batch
    /// alone; weights may all be zero.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::DuplicateColumn`] for settings that
    /// [`CsvReader::read`](super::CsvReader::read) refuses too; [`Error::UnknownColumn`] for a column that the batch
    /// lacks, [`Error::DuplicateColumn`] for one that it has twice; [`Error::ColumnType`] for a type that the role cannot
    /// use; [`Error::Value`] for a value that is not what its role needs; [`Error::InvalidArgument`] for times whose
    /// numbers read as dates; [`Error::NoRows`].
    pub fn read(&self, batch: &RecordBatch) -> Result<Table> {
        self.roles.ensure_complete()?;
        table(&self.roles, batch, &[])
    }

    /// The dense data set of a batch whose features are all numeric, in the order in which they were named, as `f64`.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use arrow_array::{ArrayRef, Int8Array, RecordBatch, UInt16Array};
    /// use imbalance::data::ArrowReader;
    ///
    /// let batch = RecordBatch::try_from_iter([
    ///     ("click", Arc::new(Int8Array::from(vec![0, 1])) as ArrayRef),
    ///     ("age", Arc::new(UInt16Array::from(vec![31, 47]))),
    /// ])?;
    /// let data = ArrowReader::new().label("click").numeric(["age"]).dataset(&batch)?;
    /// assert_eq!((data.columns(), data.features().row(1).get(0)), (1, 47.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`read`](Self::read); [`Error::InvalidArgument`] for categorical columns, which an
    /// [`Encoder`](super::Encoder) makes numbers of; [`Error::NonFinite`] for a missing number.
    pub fn dataset(&self, batch: &RecordBatch) -> Result<Dataset<'static>> {
        let table = self.read(batch)?;
        if let Some(name) = table.categorical_names().next() {
            let expected = "numeric columns alone; encode the table of `read` with an `Encoder`";
            return Err(Error::invalid("categorical", format!("`{name}`"), expected));
        }
        let columns: Vec<&Vec<f64>> = table.numeric.iter().map(|(_, values)| values).collect();
        let (rows, width) = (table.rows(), columns.len());
        let bytes = rows.checked_mul(width).and_then(|values| values.checked_mul(size_of::<f64>()));
        if !fits_memory(bytes) {
            let found = format!("{rows} rows of {width} columns");
            return Err(Error::invalid("batch", found, "rows that fit into memory"));
        }
        let mut values = vec![0.0; rows * width];
        for (column, of) in columns.into_iter().enumerate() {
            for (row, value) in of.iter().enumerate() {
                values[row * width + column] = *value;
            }
        }
        Dataset::of(Features::from(dense(values, rows, width)), table.rows)
    }
}

/// The table of a batch; `found` is what was found of the times of each column in earlier batches.
pub(super) fn table(
    roles: &Roles,
    batch: &RecordBatch,
    found: &[Option<FoundTimes>],
) -> Result<Table> {
    let columns = columns(roles, batch, found)?;
    assemble(columns, batch.num_rows(), ambiguous)
}

fn ambiguous(problem: String) -> Error {
    Error::invalid("time_as", "not named", problem)
}

fn columns<'r>(
    roles: &'r Roles,
    batch: &RecordBatch,
    found: &[Option<FoundTimes>],
) -> Result<Vec<Column<'r>>> {
    let schema = batch.schema_ref();
    let mut columns = Vec::with_capacity(roles.columns.len());
    for (at, named) in roles.columns.iter().enumerate() {
        let (role, name) = named;
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let array = batch.column(place(name, role.kind(), names)?);
        let mut column = Column::new(named, roles, found.get(at).copied().flatten());
        extend(&mut column.cells, array, roles).map_err(|wrong| match wrong {
            Wrong::Type(expected) => Error::ColumnType {
                column: name.clone(),
                found: array.data_type().to_string(),
                expected: format!("for the {} role {expected}", role.kind()),
            },
            Wrong::Value { row, value, problem } => {
                Error::Value { column: name.clone(), row: row as u64, value, problem }
            }
        })?;
        columns.push(column);
    }
    Ok(columns)
}

/// The place of a column among all.
pub(super) fn place<'n>(
    name: &str,
    kind: &'static str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Result<usize> {
    let mut places = names.clone().enumerate().filter(|(_, known)| *known == name);
    match (places.next(), places.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some(_), Some(_)) => Err(Error::DuplicateColumn { kind, column: name.into() }),
        (None, _) => {
            let known = names.map(Into::into).collect();
            Err(Error::UnknownColumn { kind, column: name.into(), known })
        }
    }
}

/// Types whose values mean the same in a role.
#[cfg(feature = "parquet")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Text,
    Whole,
    Number,
    Boolean,
    Instant,
    Other,
}

#[cfg(feature = "parquet")]
impl Kind {
    pub(super) fn of(role: Role, of: &DataType) -> Self {
        let as_texts = matches!(role, Role::Categorical | Role::Texts | Role::Time);
        match of {
            DataType::Dictionary(_, values) => Self::of(role, values),
            DataType::Null => Self::Null,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Boolean if as_texts => Self::Boolean,
            whole if whole.is_integer() && as_texts && role != Role::Time => Self::Whole,
            number if number.is_numeric() || *number == DataType::Boolean => Self::Number,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Self::Instant,
            _ => Self::Other,
        }
    }
}

/// Adds to `found` what batches show of the formats of times; whether all are known then.
#[cfg(feature = "parquet")]
pub(super) fn find_times(
    roles: &Roles,
    batch: &RecordBatch,
    found: &mut [Option<FoundTimes>],
) -> Result<bool> {
    let mut complete = true;
    let columns = columns(roles, batch, found)?;
    for (found, column) in found.iter_mut().zip(columns) {
        *found = column.found_times().map_err(ambiguous)?;
        complete &= !column.times_are_unknown();
    }
    Ok(complete)
}
