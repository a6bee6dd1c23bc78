//! Click logs from delimited files.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ::csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use flate2::read::MultiGzDecoder;
use jiff::civil::Time;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use super::Table;
use super::table::{column_seed, value_hash};
use crate::core::{Attribute, CategoriesBuilder, Error, Progress, Result, Run, ensure_new_name};

/// Bytes on disk, and rows, after which progress is reported.
const REPORT_BYTES: u64 = 1 << 20;
const REPORT_ROWS: usize = 1 << 14;

/// Most characters of a cell that a message quotes.
const QUOTED: usize = 60;

/// Appended to every file. If the last record is this text, the file ended where a record may end; if the
/// last cell ends with it, the cell's quote was never closed. No text in UTF-8 contains it.
const END: &[u8] = b"\n\xff\xff\xff\xff";

const BOM: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";

/// Reads a click log from a delimited file with a header, plain or gzipped, into a [`Table`].
///
/// The caller names the columns and their roles; nothing is inferred. The reader finds the columns by the
/// header and skips the others. A column may have several roles.
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
/// * A cell that starts with `"` ends with the closing `"` and may contain delimiters and line breaks; `""`
///   within it is one `"`.
///
/// # The cells
///
/// * A **label** is `0`, `0.0` or `false` for a negative row and `1`, `1.0` or `true`, upper or lower
///   case, for a positive one, or one of the two texts given to [`labels`](Self::labels).
/// * A **number** has the syntax of Rust's `f64` and is finite; blanks around it are ignored. The texts
///   given to [`missing`](Self::missing) stand for a missing number, which becomes NaN.
/// * A **categorical** value is any text, also the empty text; texts are equal if all bytes are equal.
/// * A **time** is a number, or a time stamp in ISO 8601 such as `2019-11-24T00:00:17.004Z`,
///   `2019-11-24 00:00:17+01:00`, `2019-11-24 00:00:17` or `2019-11-24`, which becomes seconds since
///   1970-01-01T00:00:00Z; without an offset it is in UTC. All times of a column are numbers,
///   or all are time stamps.
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
    labels: Option<[String; 2]>,
    missing: Vec<String>,
    delimiter: u8,
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
            labels: None,
            missing: missing.map(Into::into).into(),
            delimiter: b',',
        }
    }
}

impl CsvReader {
    /// A reader of comma-separated files, without columns yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The column with the labels (required).
    #[must_use]
    pub fn label(self, name: impl Into<String>) -> Self {
        self.only(Role::Label, name.into())
    }

    /// The texts of negative and of positive labels; other texts are then refused. Default: the texts listed
    /// [above](Self#the-cells).
    #[must_use]
    pub fn labels(mut self, negative: impl Into<String>, positive: impl Into<String>) -> Self {
        self.labels = Some([negative.into(), positive.into()]);
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

    /// Adds a column of times, which becomes an attribute of numbers.
    #[must_use]
    pub fn time(self, name: impl Into<String>) -> Self {
        self.all(Role::Time, [name])
    }

    /// The texts that stand for a missing number. Default: the empty text, `NA`, `NaN`, `nan`, `null`, `NULL`,
    /// `None` and `\N`.
    #[must_use]
    pub fn missing<S: Into<String>>(mut self, texts: impl IntoIterator<Item = S>) -> Self {
        self.missing = texts.into_iter().map(Into::into).collect();
        self
    }

    /// The byte between the cells. Default: a comma.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Reads a file. Reports [`Progress::Read`] after every MiB of the file and after every 16 384 rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without a label column, for two equal label texts, or for a delimiter
    /// that is a quote, a line break or not ASCII; [`Error::DuplicateColumn`] for a column named twice
    /// in one role; [`Error::Io`] for a file that cannot be opened or read; [`Error::Malformed`] for a
    /// header that lacks or repeats a named column, a record of another length than the header, a quote
    /// that is never closed, a damaged gzip stream, no rows; [`Error::Cell`] for a cell that is not what
    /// its role needs or not UTF-8; [`Error::Malformed`] if all weights are zero or their sum overflows;
    /// [`Error::Cancelled`].
    pub fn read(&self, path: impl AsRef<Path>, run: &Run) -> Result<Table> {
        self.ensure_complete()?;
        let path = path.as_ref();
        let io = |source| Error::Io { file: path.into(), source };
        let file = File::open(path).map_err(io)?;
        let of = file.metadata().map_err(io)?.len();
        let bytes = Cell::new(0);
        let mut reported = 0;
        let mut observe = |rows: usize, done: bool| {
            let bytes = bytes.get();
            if !done && bytes < reported + REPORT_BYTES && !rows.is_multiple_of(REPORT_ROWS) {
                return Ok(());
            }
            reported = bytes;
            run.report(&Progress::Read { bytes, of, rows })
        };
        self.table(Counted { inner: file, bytes: &bytes }, path, &mut observe)
    }

    /// Reads from any source; `name` replaces the file's name in messages.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_from(&self, source: impl Read, name: impl AsRef<Path>) -> Result<Table> {
        self.ensure_complete()?;
        self.table(source, name.as_ref(), &mut |_, _| Ok(()))
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
        if !self.columns.iter().any(|(role, _)| *role == Role::Label) {
            return Err(Error::invalid("label", "not named", "the name of a column"));
        }
        if let Some([negative, positive]) = &self.labels
            && negative == positive
        {
            let value = format!("`{}` for both classes", shorten(negative));
            return Err(Error::invalid("labels", value, "a text for each class"));
        }
        if !self.delimiter.is_ascii() || b"\"\r\n".contains(&self.delimiter) {
            let value = format!("{:?}", char::from(self.delimiter));
            return Err(Error::invalid("delimiter", value, "ASCII, but no quote or line break"));
        }
        for (i, (role, name)) in self.columns.iter().enumerate() {
            let same_kind =
                self.columns[..i].iter().filter(|(other, _)| other.kind() == role.kind());
            ensure_new_name(role.kind(), name, same_kind.map(|(_, name)| name.as_str()))?;
        }
        Ok(())
    }

    fn table(
        &self,
        source: impl Read,
        file: &Path,
        observe: &mut dyn FnMut(usize, bool) -> Result<()>,
    ) -> Result<Table> {
        let mut records = Records::open(source, file, self.delimiter)?;
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
            return Err(records.bad_header("no rows follow the header"));
        }
        observe(rows, true)?;
        assemble(columns, &records)
    }

    /// Finds the named columns in the header.
    fn columns(&self, records: &Records<'_>) -> Result<Vec<Column<'_>>> {
        let find = |(role, name): &'_ (Role, String)| -> Result<usize> {
            let mut places = (0..records.header.len()).filter(|&i| records.header[i] == *name);
            let problem = match (places.next(), places.next()) {
                (Some(place), None) => return Ok(place),
                (None, _) => format!("there is no column `{name}` for the {} role", role.kind()),
                (Some(_), Some(_)) => format!("the header has two columns `{name}`"),
            };
            let known = records.header.join(", ");
            Err(records.bad_header(format!("{problem}; the columns are: {known}")))
        };
        let column = |named| {
            let (role, name): &(Role, String) = named;
            Ok(Column { name, field: find(named)?, cells: Cells::new(*role, name) })
        };
        self.columns.iter().map(column).collect()
    }

    fn parse_label(&self, cell: &[u8]) -> Result<bool, String> {
        let class = match &self.labels {
            Some(texts) => texts.iter().position(|text| text.as_bytes() == cell),
            None => match cell {
                b"0" | b"0.0" => Some(0),
                b"1" | b"1.0" => Some(1),
                _ if cell.eq_ignore_ascii_case(b"false") => Some(0),
                _ if cell.eq_ignore_ascii_case(b"true") => Some(1),
                _ => None,
            },
        };
        class.map(|class| class == 1).ok_or_else(|| match &self.labels {
            Some([negative, positive]) => {
                format!("is no label: write `{}` or `{}`", shorten(negative), shorten(positive))
            }
            None => "is no label: write 0, 0.0, false, 1, 1.0 or true, or name the two texts with \
                     `labels`"
                .into(),
        })
    }

    /// A finite number, or NaN if it is missing.
    fn parse_number(&self, cell: &[u8]) -> Result<f64, String> {
        let cell = cell.trim_ascii();
        if self.missing.iter().any(|text| text.as_bytes() == cell) {
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
    Categorical { seed: u64, hashes: Vec<u64> },
    Numbers(Vec<f64>),
    Texts(CategoriesBuilder),
    Times { kind: Option<TimeKind>, times: Vec<f64> },
}

impl Cells {
    fn new(role: Role, name: &str) -> Self {
        match role {
            Role::Label => Self::Labels(Vec::new()),
            Role::Weight => Self::Weights(Vec::new()),
            Role::Offset => Self::Offsets(Vec::new()),
            Role::Numeric => Self::Numeric(Vec::new()),
            Role::Categorical => Self::Categorical { seed: column_seed(name), hashes: Vec::new() },
            Role::Numbers => Self::Numbers(Vec::new()),
            Role::Texts => Self::Texts(CategoriesBuilder::default()),
            Role::Time => Self::Times { kind: None, times: Vec::new() },
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
            Self::Categorical { seed, hashes } => hashes.push(value_hash(*seed, cell)),
            Self::Texts(texts) => texts.push(utf8(cell)?),
            Self::Times { kind, times } => times.push(parse_time(utf8(cell.trim_ascii())?, kind)?),
        }
        Ok(())
    }
}

/// The table of the columns.
fn assemble(mut columns: Vec<Column<'_>>, records: &Records<'_>) -> Result<Table> {
    let labels = columns.iter_mut().find_map(|column| match &mut column.cells {
        Cells::Labels(labels) => Some(std::mem::take(labels)),
        _ => None,
    });
    columns.into_iter().try_fold(
        Table::new(labels.unwrap_or_default())?,
        |table, Column { name, cells, .. }| {
            match cells {
                Cells::Labels(_) => Ok(table), // it has them already
                // Every single weight is valid, but all are zero, or their sum overflows.
                Cells::Weights(weights) => table.with_weights(weights).map_err(|error| {
                    records.bad_header(format!("the weight column `{name}`: {error}"))
                }),
                Cells::Offsets(offsets) => table.with_offsets(offsets),
                Cells::Numeric(numbers) => table.with_numeric(name, numbers),
                Cells::Categorical { hashes, .. } => table.with_hashes(name.into(), hashes),
                Cells::Numbers(values) | Cells::Times { times: values, .. } => {
                    table.with_attribute(name, Attribute::numbers(values))
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeKind {
    Number,
    Stamp,
}

/// A time of the kind of the column's first time.
fn parse_time(cell: &str, kind: &mut Option<TimeKind>) -> Result<f64, String> {
    let number = || cell.parse().ok().filter(|number: &f64| number.is_finite());
    let stamp = || seconds_since_epoch(cell);
    let (time, problem) = match kind {
        Some(TimeKind::Number) => (number(), "is not a finite number, as earlier times are"),
        Some(TimeKind::Stamp) => (stamp(), "is no ISO 8601 time stamp, as earlier times are"),
        None => {
            let number = number();
            *kind = Some(if number.is_some() { TimeKind::Number } else { TimeKind::Stamp });
            (number.or_else(stamp), "is neither a finite number nor an ISO 8601 time stamp")
        }
    };
    time.ok_or_else(|| problem.into())
}

/// The seconds since 1970 of an ISO 8601 time stamp; without a time at midnight, without an offset in UTC.
fn seconds_since_epoch(stamp: &str) -> Option<f64> {
    let pieces = Pieces::parse(stamp).ok()?;
    if pieces.time_zone_annotation().is_some() {
        // `[Europe/Berlin]` cannot be checked against the offset without a time zone database.
        return None;
    }
    let local = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let instant = pieces.to_numeric_offset().unwrap_or(Offset::UTC).to_timestamp(local).ok()?;
    Some(instant.as_second() as f64 + f64::from(instant.subsec_nanosecond()) / 1e9)
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}

/// At most [`QUOTED`] characters of a text, for a message.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// The decompressed text: its first bytes (read to look for a byte order mark), the rest, and [`END`].
type Text<'r> = io::Chain<io::Chain<io::Cursor<Vec<u8>>, Box<dyn Read + 'r>>, &'static [u8]>;

/// The records of a file after its header, one at a time in a reused buffer.
struct Records<'r> {
    reader: Reader<Text<'r>>,
    record: ByteRecord,
    header: Vec<String>,
    header_line: u64,
    file: &'r Path,
    gzip: bool,
}

impl<'r> Records<'r> {
    fn open(mut source: impl Read + 'r, file: &'r Path, delimiter: u8) -> Result<Self> {
        let magic =
            take(&mut source, GZIP.len()).map_err(|error| unreadable(file, 1, false, error))?;
        let gzip = magic == GZIP;
        let source = io::Cursor::new(magic).chain(source);
        let mut text: Box<dyn Read + 'r> =
            if gzip { Box::new(MultiGzDecoder::new(source)) } else { Box::new(source) };
        let mut start =
            take(&mut text, BOM.len()).map_err(|error| unreadable(file, 1, gzip, error))?;
        if start == BOM {
            start.clear();
        }
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true) // lengths are checked in `next`, which knows the line
            // With the default, the "\n" of "\r\n" would belong to the next record, and its line number would
            // be wrong.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(1 << 16)
            .from_reader(io::Cursor::new(start).chain(text).chain(END));
        let record = ByteRecord::new();
        let mut records = Self { reader, record, header: Vec::new(), header_line: 1, file, gzip };
        records.read_header()?;
        Ok(records)
    }

    fn read_header(&mut self) -> Result<()> {
        if !self.advance()? {
            return Err(self.bad_header("the file is empty: a header is needed"));
        }
        self.header_line = self.line_of(0);
        let name = |field| {
            let name = utf8(self.cell(field)).map(Into::into);
            name.map_err(|problem| {
                self.bad_header(format!("the name of column {} {problem}", field + 1))
            })
        };
        self.header = (0..self.record.len()).map(name).collect::<Result<_>>()?;
        Ok(())
    }

    /// Reads the next record, if there is one, and checks its length and encoding.
    fn next(&mut self) -> Result<bool> {
        if !self.advance()? {
            return Ok(false);
        }
        let (found, expected) = (self.record.len(), self.header.len());
        if found != expected {
            let problem = format!("{found} cells, but the header has {expected}");
            return Err(self.malformed(self.line_of(0), problem));
        }
        if !self.record.as_slice().is_ascii() {
            for field in 0..found {
                utf8(self.cell(field)).map_err(|problem| self.bad_cell(field, problem))?;
            }
        }
        Ok(true)
    }

    /// Reads the next record that is not a blank line, if there is one.
    fn advance(&mut self) -> Result<bool> {
        loop {
            if !self.read()? {
                return Ok(false);
            }
            let text = self.record.as_slice();
            if self.record.len() == 1 && text == &END[1..] {
                let line = self.line_of(0);
                return match self.read()? {
                    false => Ok(false),
                    true => Err(self.malformed(line, "the text is not UTF-8")),
                };
            }
            if text.ends_with(END) {
                // The line feed of this record is the line feed of `END`.
                let line = self.line_of(self.record.len() - 1) + 1;
                return Err(self.malformed(line, "the quote that opens a cell is never closed"));
            }
            if self.record.len() > 1 || text != b"\r" {
                return Ok(true);
            }
        }
    }

    fn read(&mut self) -> Result<bool> {
        self.reader.read_byte_record(&mut self.record).map_err(|error| self.unreadable(error))
    }

    /// A cell of the current record.
    fn cell(&self, field: usize) -> &[u8] {
        let cell = &self.record[field];
        if field + 1 < self.record.len() { cell } else { cell.strip_suffix(b"\r").unwrap_or(cell) }
    }

    /// The line on which a cell of the current record begins.
    fn line_of(&self, field: usize) -> u64 {
        // The reader is past the record's line feed, and the cells contain the quoted line feeds.
        let later = self.record.iter().skip(field).flatten().filter(|&&byte| byte == b'\n').count();
        self.reader.position().line() - 1 - later as u64
    }

    fn bad_cell(&self, field: usize, problem: String) -> Error {
        Error::Cell {
            file: self.file.into(),
            line: self.line_of(field),
            column: self.header[field].clone(),
            value: shorten(&String::from_utf8_lossy(self.cell(field))),
            problem,
        }
    }

    fn bad_header(&self, problem: impl Into<String>) -> Error {
        self.malformed(self.header_line, problem)
    }

    fn malformed(&self, line: u64, problem: impl Into<String>) -> Error {
        Error::Malformed { file: self.file.into(), line, problem: problem.into() }
    }

    fn unreadable(&self, error: ::csv::Error) -> Error {
        let source = match error.into_kind() {
            ::csv::ErrorKind::Io(source) => source,
            other => io::Error::other(format!("{other:?}")),
        };
        unreadable(self.file, self.reader.position().line(), self.gzip, source)
    }
}

/// Takes the first `n` bytes off a source, or all if there are fewer.
fn take(source: &mut impl Read, n: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(n);
    source.take(n as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The error of a failed read of `file` at `line`.
fn unreadable(file: &Path, line: u64, gzip: bool, source: io::Error) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let file = file.into();
    if gzip && matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof) {
        let problem = format!("the gzip stream is damaged or cut off ({source})");
        return Error::Malformed { file, line, problem };
    }
    Error::Io { file, source }
}

/// Counts the bytes read.
struct Counted<'c, R> {
    inner: R,
    bytes: &'c Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + read as u64);
        Ok(read)
    }
}
