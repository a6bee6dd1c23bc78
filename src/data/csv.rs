//! Click logs from delimited files.

use std::io::Read;
use std::path::Path;

use super::Table;
use super::records::{Layout, Observe, Records, read_file, shorten, utf8};
use super::texts::{NAMED_VALUES, TextsBuilder};
use super::time::{TimeFormat, Times};
use crate::core::{Attribute, CategoriesBuilder, Error, Result, Run, ensure_new_name};

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
    columns: Vec<(Role, String)>,
    unlabelled: bool,
    labels: Labels,
    /// The formats of times, by their columns' names.
    times: Vec<(String, TimeFormat)>,
    missing: Vec<String>,
    named_values: usize,
    layout: Layout,
}

/// Which labels are positive.
#[derive(Debug, Clone)]
enum Labels {
    Usual,
    /// The texts of negatives and of positives.
    Texts([String; 2]),
    /// Positive if it is one of these texts.
    OneOf(Vec<String>),
    /// Positive if it is a number above this.
    Above(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Label,
    Weight,
    Offset,
    Numeric,
    Categorical,
    Numbers,
    Texts,
    Time,
}

impl Role {
    /// The kind of column: within a kind, names are unique.
    fn kind(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Weight => "weight",
            Self::Offset => "offset",
            Self::Numeric => "numeric",
            Self::Categorical => "categorical",
            Self::Numbers | Self::Texts | Self::Time => "attribute",
        }
    }
}

impl Default for CsvReader {
    fn default() -> Self {
        let missing = ["", "NA", "NaN", "nan", "null", "NULL", "None", "\\N"];
        Self {
            columns: Vec::new(),
            unlabelled: false,
            labels: Labels::Usual,
            times: Vec::new(),
            missing: missing.map(Into::into).into(),
            named_values: NAMED_VALUES,
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

    /// The column with the labels. Either this or [`unlabelled`](Self::unlabelled) is required.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>) -> Self {
        self.unlabelled = false;
        self.only(Role::Label, name.into())
    }

    /// Reads rows that are to be scored, without a label: the table is [unlabelled](Table::unlabelled).
    #[must_use]
    pub fn unlabelled(mut self) -> Self {
        self.unlabelled = true;
        self.columns.retain(|(role, _)| *role != Role::Label);
        self
    }

    /// The texts of negative and of positive labels; other texts are then refused. Default: the texts listed
    /// [above](Self#the-cells).
    #[must_use]
    pub fn labels(mut self, negative: impl Into<String>, positive: impl Into<String>) -> Self {
        self.labels = Labels::Texts([negative.into(), positive.into()]);
        self
    }

    /// The texts of positive labels; all others are negative.
    #[must_use]
    pub fn positive_texts<S: Into<String>>(mut self, texts: impl IntoIterator<Item = S>) -> Self {
        self.labels = Labels::OneOf(texts.into_iter().map(Into::into).collect());
        self
    }

    /// Labels are numbers, such as counts of clicks, and positive above `threshold`; a missing number is refused.
    ///
    /// ```
    /// use imbalance::data::CsvReader;
    ///
    /// let reader = CsvReader::new().label("clicks").positive_above(0.0);
    /// let table = reader.read_from("clicks\n0\n2\n".as_bytes(), "log.csv")?;
    /// assert_eq!(table.labels(), [false, true]);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn positive_above(mut self, threshold: f64) -> Self {
        self.labels = Labels::Above(threshold);
        self
    }

    /// The column with the sample weights: numbers of zero or more, never missing.
    #[must_use]
    pub fn weight(self, name: impl Into<String>) -> Self {
        self.only(Role::Weight, name.into())
    }

    /// The column with the offsets, known additive logits: finite numbers, never missing.
    #[must_use]
    pub fn offset(self, name: impl Into<String>) -> Self {
        self.only(Role::Offset, name.into())
    }

    /// Adds columns that are numeric features.
    #[must_use]
    pub fn numeric<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.all(Role::Numeric, names)
    }

    /// Adds columns that are categorical features.
    #[must_use]
    pub fn categorical<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.all(Role::Categorical, names)
    }

    /// Adds columns that are attributes of numbers.
    #[must_use]
    pub fn attribute_numbers<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.all(Role::Numbers, names)
    }

    /// Adds columns that are attributes of texts.
    #[must_use]
    pub fn attribute_texts<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        self.all(Role::Texts, names)
    }

    /// Adds a column of times, which becomes an attribute of numbers. Their format is
    /// [found](TimeFormat::Found).
    #[must_use]
    pub fn time(self, name: impl Into<String>) -> Self {
        self.time_as(name, TimeFormat::Found)
    }

    /// Adds a column of times in this format, which becomes an attribute of numbers.
    ///
    /// ```
    /// use imbalance::data::{CsvReader, TimeFormat};
    ///
    /// let reader = CsvReader::new().label("click").time_as("hour", TimeFormat::pattern("%y%m%d%H"));
    /// let table = reader.read_from("click,hour\n0,14102100\n1,14102101\n".as_bytes(), "log.csv")?;
    /// assert_eq!(table.numbers("hour")?, [1413849600.0, 1413853200.0]);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    #[must_use]
    pub fn time_as(mut self, name: impl Into<String>, format: TimeFormat) -> Self {
        let name = name.into();
        self.times.push((name.clone(), format));
        self.all(Role::Time, [name])
    }

    /// The texts that stand for a missing number or time. Default: the empty text, `NA`, `NaN`, `nan`, `null`, `NULL`,
    /// `None` and `\N`.
    #[must_use]
    pub fn missing<S: Into<String>>(mut self, texts: impl IntoIterator<Item = S>) -> Self {
        self.missing = texts.into_iter().map(Into::into).collect();
        self
    }

    /// The most different values of a categorical column whose names are kept, for the names of features such as
    /// `country=FR`. A column with more of them keeps none: its levels are named by their hashes, and encoded as well.
    /// Default: 100,000; 0 keeps no names, and no memory is needed for them.
    #[must_use]
    pub fn named_values(mut self, values: usize) -> Self {
        self.named_values = values;
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

    fn only(mut self, role: Role, name: String) -> Self {
        self.columns.retain(|(other, _)| *other != role);
        self.all(role, [name])
    }

    fn all<S: Into<String>>(mut self, role: Role, names: impl IntoIterator<Item = S>) -> Self {
        self.columns.extend(names.into_iter().map(|name| (role, name.into())));
        self
    }

    /// Checks the settings before a file is opened.
    fn ensure_complete(&self) -> Result<()> {
        if !self.unlabelled && !self.columns.iter().any(|(role, _)| *role == Role::Label) {
            let expected = "the name of a column, unless the rows are `unlabelled`";
            return Err(Error::invalid("label", "not named", expected));
        }
        match &self.labels {
            Labels::Texts([negative, positive]) if negative.trim() == positive.trim() => {
                let value = format!("`{}` for both classes", shorten(negative));
                return Err(Error::invalid("labels", value, "a text for each class"));
            }
            Labels::OneOf(texts) if texts.is_empty() => {
                return Err(Error::invalid("positive_texts", "an empty list", "one text or more"));
            }
            Labels::Above(threshold) if !threshold.is_finite() => {
                return Err(Error::invalid("positive_above", threshold, "a finite number"));
            }
            _ => {}
        }
        let delimiter = self.layout.delimiter;
        if !delimiter.is_ascii() || b"\"\r\n".contains(&delimiter) {
            let value = format!("{:?}", char::from(delimiter));
            return Err(Error::invalid("delimiter", value, "ASCII, but no quote or line break"));
        }
        self.times.iter().try_for_each(|(_, format)| format.ensure_valid())?;
        for (i, (role, name)) in self.columns.iter().enumerate() {
            let same_kind =
                self.columns[..i].iter().filter(|(other, _)| other.kind() == role.kind());
            ensure_new_name(role.kind(), name, same_kind.map(|(_, name)| name.as_str()))?;
        }
        Ok(())
    }

    fn table(
        &self,
        source: Box<dyn Read + '_>,
        file: &Path,
        observe: &mut Observe<'_>,
    ) -> Result<Table> {
        let mut records = Records::open(source, file, &self.layout)?;
        let mut columns = self.columns(&records)?;
        let mut rows = 0;
        while records.next()? {
            for column in &mut columns {
                let read = column.cells.push(records.cell(column.field), self);
                read.map_err(|problem| records.bad_cell(column.field, problem))?;
            }
            rows += 1;
            observe(rows, false)?;
        }
        if rows == 0 {
            return Err(records.no_rows());
        }
        observe(rows, true)?;
        assemble(columns, rows, &records)
    }

    /// Finds the named columns.
    fn columns(&self, records: &Records<'_>) -> Result<Vec<Column<'_>>> {
        let column = |named| {
            let (role, name): &(Role, String) = named;
            let field = records.find(name, role.kind())?;
            Ok(Column { name, field, cells: Cells::new(*role, name, self) })
        };
        self.columns.iter().map(column).collect()
    }

    fn parse_label(&self, cell: &[u8]) -> Result<bool, String> {
        let cell = cell.trim_ascii();
        let is = |text: &String| text.trim().as_bytes() == cell;
        match &self.labels {
            Labels::Usual => match cell {
                b"0" | b"0.0" => Ok(false),
                b"1" | b"1.0" => Ok(true),
                _ if cell.eq_ignore_ascii_case(b"false") => Ok(false),
                _ if cell.eq_ignore_ascii_case(b"true") => Ok(true),
                _ => Err("is no label: write 0, 0.0, false, 1, 1.0 or true, or name the two texts with \
                          `labels`, the positive ones with `positive_texts`, or a count with `positive_above`"
                    .into()),
            },
            Labels::Texts([negative, _]) if is(negative) => Ok(false),
            Labels::Texts([_, positive]) if is(positive) => Ok(true),
            Labels::Texts([negative, positive]) => {
                let (negative, positive) = (shorten(negative), shorten(positive));
                Err(format!("is no label: write `{negative}` or `{positive}`"))
            }
            Labels::OneOf(texts) => Ok(texts.iter().any(is)),
            Labels::Above(threshold) => match self.parse_number(cell)? {
                number if number.is_nan() => Err("is missing, but every row needs a label".into()),
                number => Ok(number > *threshold),
            },
        }
    }

    fn is_missing(&self, cell: &[u8]) -> bool {
        self.missing.iter().any(|text| text.as_bytes() == cell)
    }

    /// A finite number, or NaN if it is missing.
    fn parse_number(&self, cell: &[u8]) -> Result<f64, String> {
        let cell = cell.trim_ascii();
        if self.is_missing(cell) {
            return Ok(f64::NAN);
        }
        let number = utf8(cell)?.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| {
            let missing: Vec<_> = self.missing.iter().map(|text| format!("`{text}`")).collect();
            let known = if missing.is_empty() { "in no way".into() } else { missing.join(", ") };
            format!("is not a finite number (missing numbers are written {known})")
        })
    }
}

/// A column of the file in one of its roles.
#[derive(Debug)]
struct Column<'c> {
    name: &'c str,
    field: usize,
    cells: Cells,
}

#[derive(Debug)]
enum Cells {
    Labels(Vec<bool>),
    Weights(Vec<f64>),
    Offsets(Vec<f64>),
    Numeric(Vec<f64>),
    Categorical(TextsBuilder),
    Numbers(Vec<f64>),
    Texts(CategoriesBuilder),
    Times(Times),
}

impl Cells {
    fn new(role: Role, name: &str, reader: &CsvReader) -> Self {
        match role {
            Role::Label => Self::Labels(Vec::new()),
            Role::Weight => Self::Weights(Vec::new()),
            Role::Offset => Self::Offsets(Vec::new()),
            Role::Numeric => Self::Numeric(Vec::new()),
            Role::Categorical => Self::Categorical(TextsBuilder::new(name, reader.named_values)),
            Role::Numbers => Self::Numbers(Vec::new()),
            Role::Texts => Self::Texts(CategoriesBuilder::default()),
            Role::Time => {
                let format = reader.times.iter().find(|(column, _)| column == name);
                Self::Times(Times::new(
                    format.map(|(_, format)| format.clone()).unwrap_or_default(),
                ))
            }
        }
    }

    /// Adds the cell of the next row; the error says what is wrong with it.
    fn push(&mut self, cell: &[u8], reader: &CsvReader) -> Result<(), String> {
        match self {
            Self::Labels(labels) => labels.push(reader.parse_label(cell)?),
            Self::Weights(weights) => weights.push(parse_weight(reader.parse_number(cell)?)?),
            Self::Offsets(offsets) => offsets.push(parse_offset(reader.parse_number(cell)?)?),
            Self::Numeric(numbers) | Self::Numbers(numbers) => {
                numbers.push(reader.parse_number(cell)?);
            }
            Self::Categorical(texts) => texts.push(cell),
            Self::Texts(texts) => texts.push(utf8(cell)?),
            Self::Times(times) => match cell.trim_ascii() {
                cell if reader.is_missing(cell) => times.push_missing(),
                cell => times.push(utf8(cell)?)?,
            },
        }
        Ok(())
    }
}

/// The table of the columns.
fn assemble(mut columns: Vec<Column<'_>>, rows: usize, records: &Records<'_>) -> Result<Table> {
    let labels = columns.iter_mut().find_map(|column| match &mut column.cells {
        Cells::Labels(labels) => Some(std::mem::take(labels)),
        _ => None,
    });
    columns.into_iter().try_fold(
        labels.map_or_else(|| Table::unlabelled(rows), Table::new)?,
        |table, Column { name, cells, .. }| {
            match cells {
                Cells::Labels(_) => Ok(table), // it has them already
                // Every single weight is valid, but all are zero, or their sum overflows.
                Cells::Weights(weights) => table.with_weights(weights).map_err(|error| {
                    records.bad_header(format!("the weight column `{name}`: {error}"))
                }),
                Cells::Offsets(offsets) => table.with_offsets(offsets),
                Cells::Numeric(numbers) => table.with_numeric(name, numbers),
                Cells::Categorical(texts) => table.with_texts(name.into(), texts.finish()),
                Cells::Numbers(values) => table.with_attribute(name, Attribute::numbers(values)),
                Cells::Times(times) => {
                    let times = times.finish().map_err(|problem| {
                        records.bad_header(format!("the time column `{name}`: {problem}"))
                    })?;
                    table.with_attribute(name, Attribute::numbers(times))
                }
                Cells::Texts(texts) => table.with_attribute(name, texts.finish()),
            }
        },
    )
}

fn parse_weight(weight: f64) -> Result<f64, String> {
    if weight >= 0.0 { Ok(weight) } else { Err("is no weight: it must be zero or more".into()) }
}

fn parse_offset(offset: f64) -> Result<f64, String> {
    if offset.is_nan() {
        Err("is missing, but every row needs an offset".into())
    } else {
        Ok(offset)
    }
}
