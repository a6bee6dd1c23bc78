//! Click logs from delimited files.

use std::io::Read;
use std::iter;
use std::path::Path;

use super::Table;
use super::csv_batches::CsvBatches;
use super::files::find_files;
use super::records::{Layout, Observe, Records, read_file};
use super::roles::{
    Cells, Column, Labels, Role, Roles, assemble, is_missing, name_columns, parse_number,
    parse_offset, parse_weight, utf8,
};
use super::time::{FoundTimes, TimeFormat};
use crate::core::{Error, Result, Run, ensure_weights};

/// Reads a click log from a delimited file, plain or gzipped, into a [`Table`].
///
/// The caller names the columns and their roles. The reader finds the columns by the header, or by the names given
/// for a file [without a header](Self::column_names), and skips the others. A column may have several roles.
///
/// ```
/// use imbalance::data::{CsvReader, Encoder};
///
/// let log = "time,device,price,click\n\
///            2019-11-24 00:00:17+00:00,phone,3.5,0\n\
///            2019-11-24 00:00:19+00:00,tablet,,1\n";
/// let table = CsvReader::new()
///     .label("click")
///     .numeric(["price"])
///     .categorical(["device"])
///     .time("time")
///     .read_from(log.as_bytes(), "log.csv")?;
/// assert_eq!(table.labels(), [false, true]);
/// assert_eq!(table.numbers("time")?, [1574553617.0, 1574553619.0]);
/// let data = Encoder::default().fit(&table)?.encode(&table)?;
/// assert_eq!(data.columns(), 1 + 1 + (1 << 18)); // price, price missing, hashes of devices
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// # The file
///
/// * UTF-8, with or without a byte order mark. Gzip is recognised by its first bytes, not by the file's
///   name, and may consist of several members.
/// * Records end with a line feed, or a carriage return and a line feed; blank lines are skipped. (A
///   carriage return at the end of a record is always a part of the line break.) The first record is the
///   header.
/// * Quotes are those of RFC 4180: a cell that starts with `"` ends with the closing `"` and may contain
///   delimiters and line breaks; `""` within it is one `"`, and text behind the closing quote is refused. In other
///   cells a `"` is text. [`quotes(false)`](Self::quotes) makes it text everywhere.
/// * A record has at most 16 MiB, and a column's name at most 4096 bytes; blanks around names do not count.
///
/// # The cells
///
/// * A **label** is `0`, `0.0` or `false` for a negative row and `1`, `1.0` or `true`, upper or lower
///   case, for a positive one, unless [`labels`](Self::labels), [`positive_texts`](Self::positive_texts) or
///   [`positive_above`](Self::positive_above) says otherwise; blanks around it are ignored.
/// * A **number** has the syntax of Rust's `f64` and is finite; blanks around it are ignored. The texts
///   given to [`missing`](Self::missing) stand for a missing number or time, which becomes NaN.
/// * A **categorical** value is any text, also the empty text; texts are equal if all bytes are equal.
/// * A **time** is a number, or a time stamp such as `2019-11-24T00:00:17.004Z`, which becomes seconds since
///   1970-01-01T00:00:00Z; [`TimeFormat`] lists what is found, and what must be [named](Self::time_as).
///
/// ```
/// use imbalance::data::{CsvReader, TimeFormat};
///
/// let reader = CsvReader::new()
///     .label("clicks")
///     .positive_above(0.0)
///     .time_as("hour", TimeFormat::pattern("%y%m%d%H"));
/// let table = reader.read_from("clicks,hour\n0,14102100\n2,14102101\n".as_bytes(), "log.csv")?;
/// assert_eq!(table.labels(), [false, true]);
/// assert_eq!(table.numbers("hour")?, [1413849600.0, 1413853200.0]);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// # Errors of reading
///
/// A cell that breaks these rules is an [`Error::Cell`] with file, line, column and value; a file or a record
/// that breaks them is an [`Error::Malformed`] with file and line. Lines are counted as in an editor, also
/// in quoted cells. A table is returned only after the whole file was read.
///
/// Memory: the named columns, at 8 bytes a row (1 for the label, 4 for an attribute of texts), and one
/// record.
#[derive(Debug, Clone)]
pub struct CsvReader {
    pub(super) roles: Roles,
    missing: Vec<String>,
    pub(super) layout: Layout,
}

impl Default for CsvReader {
    fn default() -> Self {
        let missing = ["", "NA", "NaN", "nan", "null", "NULL", "None", "\\N"];
        Self {
            roles: Roles::default(),
            missing: missing.map(Into::into).into(),
            layout: Layout { delimiter: b',', quotes: true, names: None },
        }
    }
}

impl CsvReader {
    /// A reader of comma-separated files, without columns yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader of the click logs of Criteo: tab-separated without header and quotes, a label, 13 numbers and 26
    /// categories. Columns are named `label`, `I1` to `I13` and `C1` to `C26`, and all have their roles.
    ///
    /// ```
    /// use imbalance::data::CsvReader;
    ///
    /// let row = |label: &str| format!("{label}\t1{}\t68fd1e64{}\n", "\t".repeat(12), "\t".repeat(25));
    /// let table = CsvReader::criteo().read_from((row("0") + &row("1")).as_bytes(), "train.txt")?;
    /// assert_eq!((table.numeric_names().count(), table.categorical_names().count()), (13, 26));
    /// assert!(table.numeric("I2")?[0].is_nan());
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn criteo() -> Self {
        let numbers = || (1..=13).map(|column| format!("I{column}"));
        let categories = || (1..=26).map(|column| format!("C{column}"));
        Self::new()
            .column_names(["label".into()].into_iter().chain(numbers()).chain(categories()))
            .delimiter(b'\t')
            .quotes(false)
            .label("label")
            .numeric(numbers())
            .categorical(categories())
    }

    /// The names of all columns, from left to right, of a file without a header. With an empty list the columns
    /// are named by their number, `1`, `2`, … Default: the first record is the header.
    ///
    /// ```
    /// use imbalance::data::CsvReader;
    ///
    /// let reader = CsvReader::new().label("1").numeric(["2"]).column_names([""; 0]);
    /// assert_eq!(reader.read_from("1,0.5\n0,0.7\n".as_bytes(), "log.csv")?.rows(), 2);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn column_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.layout.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The texts that stand for a missing number or time. Default: the empty text, `NA`, `NaN`, `nan`, `null`, `NULL`,
    /// `None` and `\N`.
    #[must_use]
    pub fn missing<S: Into<String>>(mut self, texts: impl IntoIterator<Item = S>) -> Self {
        self.missing = texts.into_iter().map(Into::into).collect();
        self
    }

    /// The byte between the cells. Default: a comma.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.layout.delimiter = delimiter;
        self
    }

    /// Whether a cell may be quoted. Default: true. Without quotes, `"` is text.
    #[must_use]
    pub fn quotes(mut self, quotes: bool) -> Self {
        self.layout.quotes = quotes;
        self
    }

    /// Reads a file. Reports [`Progress::Read`](crate::Progress::Read) after every MiB of the file and after every 16 384 rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without a label column and without [`unlabelled`](Self::unlabelled), for two
    /// equal label texts, none, or a threshold of labels that is not finite, for a pattern of times without a date, or
    /// for a delimiter that is a quote, a line break or not ASCII; [`Error::DuplicateColumn`] for a column named
    /// twice in one role; [`Error::Io`] for a file that cannot be opened or read; [`Error::Malformed`] for a
    /// header that lacks or repeats a named column, a record of another length than the header or of more than
    /// 16 MiB, a quote that is never closed or has text behind it, times whose numbers read as dates, a damaged
    /// gzip stream, no rows; [`Error::Cell`] for a cell that is not what its role needs or not UTF-8;
    /// [`Error::Malformed`] if all weights are zero or their sum overflows; [`Error::Cancelled`].
    pub fn read(&self, path: impl AsRef<Path>, run: &Run) -> Result<Table> {
        self.ensure_complete()?;
        let path = path.as_ref();
        read_file(path, run, |source, observe| self.table(source, path, observe))
    }

    /// Reads from any source; `name` replaces the file's name in messages.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_from(&self, source: impl Read, name: impl AsRef<Path>) -> Result<Table> {
        self.ensure_complete()?;
        self.table(Box::new(source), name.as_ref(), &mut |_, _| Ok(()))
    }

    /// Files that are read batch by batch, as often as needed: for logs that do not fit into memory.
    ///
    /// A file is named by its path or by a pattern: `*` and `?` stand for any characters and for one character of a
    /// name, `[..]` for one of several, `**` for any folders. The files of a pattern are sorted by name. All need the
    /// named columns, in any place; a file may lack rows, if another has some.
    ///
    /// The formats of times are [found](TimeFormat::Found) in the first 65,536 rows (or in later ones, where those
    /// have no times), and hold for all batches.
    ///
    /// ```
    /// use imbalance::data::{CsvReader, Source};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let folder = folder.path();
    /// std::fs::write(folder.join("day-1.csv"), "click,device\n0,phone\n1,tablet\n")?;
    /// std::fs::write(folder.join("day-2.csv"), "device,click\nphone,0\n")?;
    /// let log = CsvReader::new()
    ///     .label("click")
    ///     .categorical(["device"])
    ///     .batches([folder.join("day-*.csv")])?;
    /// let mut rows = 0;
    /// for part in 0..log.parts() {
    ///     log.read(part, &mut |batch| {
    ///         rows += batch.table.rows();
    ///         Ok(())
    ///     })?;
    /// }
    /// assert_eq!((log.parts(), rows), (2, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`read`](Self::read), from the header of each file and from the rows in which formats are found;
    /// [`Error::InvalidArgument`] for no files, a pattern that is malformed or matches no file, or a file named twice.
    pub fn batches<P: AsRef<Path>>(
        &self,
        files: impl IntoIterator<Item = P>,
    ) -> Result<CsvBatches> {
        self.ensure_complete()?;
        CsvBatches::open(self.clone(), find_files(files)?)
    }

    /// Checks the settings before a file is opened.
    fn ensure_complete(&self) -> Result<()> {
        let delimiter = self.layout.delimiter;
        if !delimiter.is_ascii() || b"\"\r\n".contains(&delimiter) {
            let value = format!("{:?}", char::from(delimiter));
            return Err(Error::invalid("delimiter", value, "ASCII, but no quote or line break"));
        }
        self.roles.ensure_complete()
    }

    fn table(
        &self,
        source: Box<dyn Read + '_>,
        file: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Table> {
        let mut records = Records::open(source, file, &self.layout)?;
        let fields = self.fields(&records)?;
        let mut columns = self.columns(&[]);
        let rows = self.fill(&mut columns, &fields, &mut records, usize::MAX, observe)?;
        if rows == 0 {
            return Err(records.no_rows());
        }
        observe(rows, true)?;
        let table = assemble(columns, rows, |problem| records.bad_header(problem))?;
        let weight = self.roles.columns.iter().find(|(role, _)| *role == Role::Weight);
        if let Some(((_, name), weights)) = weight.zip(table.weights()) {
            // Every single weight is valid, but all are zero, or their sum overflows.
            ensure_weights(weights, "the table", rows).map_err(|error| {
                records.bad_header(format!("the weight column `{name}`: {error}"))
            })?;
        }
        Ok(table)
    }

    /// The places of the named columns in a file.
    pub(super) fn fields(&self, records: &Records<'_>) -> Result<Vec<usize>> {
        self.roles.columns.iter().map(|(role, name)| records.find(name, role.kind())).collect()
    }

    /// The named columns without rows; `found` is what was found of the times of each in earlier rows.
    pub(super) fn columns(&self, found: &[Option<FoundTimes>]) -> Vec<Column<'_>> {
        let found = found.iter().copied().chain(iter::repeat(None));
        let columns = self.roles.columns.iter().zip(found);
        columns.map(|(named, found)| Column::new(named, &self.roles, found)).collect()
    }

    /// Reads the next rows, at most so many; their number.
    pub(super) fn fill(
        &self,
        columns: &mut [Column<'_>],
        fields: &[usize],
        records: &mut Records<'_>,
        most: usize,
        observe: &mut Observe<'_>,
    ) -> Result<usize> {
        let mut rows = 0;
        while rows < most && records.next()? {
            for (column, &field) in columns.iter_mut().zip(fields) {
                let read = column.cells.push(records.cell(field), self);
                read.map_err(|problem| records.bad_cell(field, problem))?;
            }
            rows += 1;
            observe(rows, false)?;
        }
        Ok(rows)
    }
}

name_columns!(CsvReader);

impl Cells {
    /// Adds the cell of the next row; the error says what is wrong with it.
    fn push(&mut self, cell: &[u8], reader: &CsvReader) -> Result<(), String> {
        let missing = &reader.missing;
        match self {
            Self::Labels(labels) => labels.push(reader.roles.labels.parse(cell, missing)?),
            Self::Weights(weights) => weights.push(parse_weight(parse_number(cell, missing)?)?),
            Self::Offsets(offsets) => offsets.push(parse_offset(parse_number(cell, missing)?)?),
            Self::Numeric(numbers) | Self::Numbers(numbers) => {
                numbers.push(parse_number(cell, missing)?);
            }
            Self::Categorical(texts) => {
                texts.push(cell);
            }
            Self::Texts(texts) => {
                texts.push(utf8(cell)?);
            }
            Self::Times(times) => match cell.trim_ascii() {
                cell if is_missing(cell, missing) => times.push_missing(),
                cell => times.push(utf8(cell)?)?,
            },
        }
        Ok(())
    }
}
