//! The records of a delimited file, and the text of any file.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ::csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use flate2::read::MultiGzDecoder;

use super::roles::{shorten, utf8};
use crate::core::{Error, Progress, Result, Run};

/// Bytes on disk, and rows, after which progress is reported.
const REPORT_BYTES: u64 = 1 << 20;
const REPORT_ROWS: usize = 1 << 14;

/// Most columns that a message lists.
const LISTED: usize = 50;

/// Most bytes of a record: a quote that is never closed must not take the memory of the whole file.
pub(super) const MAX_RECORD: usize = 16 << 20;
/// Most bytes of a column's name.
const MAX_NAME: usize = 4096;

/// Appended to every file. If the last record is this text, the file ended where a record may end; if the
/// last cell ends with it, the cell's quote was never closed. No text in UTF-8 contains it.
const END: &[u8] = b"\n\xff\xff\xff\xff";

const BOM: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";

/// Told the number of rows read so far, and whether all were read.
pub(super) type Observe<'o> = dyn FnMut(usize, bool) -> Result<()> + 'o;

/// Opens a file and reads it with progress; see [`CsvReader::read`](super::CsvReader::read).
pub(super) fn read_file<T>(
    path: &Path,
    run: &Run,
    read: impl FnOnce(Box<dyn Read + '_>, &mut Observe<'_>) -> Result<T>,
) -> Result<T> {
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
    read(Box::new(Counted { inner: file, bytes: &bytes }), &mut observe)
}

/// The text of a source without its byte order mark, decompressed if it begins as gzip does, which is told too.
pub(super) fn text<'r>(
    mut source: Box<dyn Read + 'r>,
    file: &Path,
) -> Result<(Box<dyn Read + 'r>, bool)> {
    let magic = take(&mut source, GZIP.len()).map_err(|error| unreadable(file, 1, false, error))?;
    let gzip = magic == GZIP;
    let source = io::Cursor::new(magic).chain(source);
    let mut text: Box<dyn Read + 'r> =
        if gzip { Box::new(MultiGzDecoder::new(source)) } else { Box::new(source) };
    let mut start = take(&mut text, BOM.len()).map_err(|error| unreadable(file, 1, gzip, error))?;
    if start == BOM {
        start.clear();
    }
    Ok((Box::new(io::Cursor::new(start).chain(text)), gzip))
}

/// How a file is divided into records and cells.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) delimiter: u8,
    pub(super) quotes: bool,
    /// The columns' names in a file without a header; numbers from 1 on if there are none.
    pub(super) names: Option<Vec<String>>,
}

/// The checked text, then [`END`].
type Text<'r> = io::Chain<Checked<Box<dyn Read + 'r>>, &'static [u8]>;

/// The records of a file after its header, one at a time in a reused buffer.
pub(super) struct Records<'r> {
    reader: Reader<Text<'r>>,
    record: ByteRecord,
    /// Whether the record was read to learn the number of columns, and is still to be returned.
    pending: bool,
    pub(super) header: Vec<String>,
    has_header: bool,
    header_line: u64,
    file: &'r Path,
    gzip: bool,
}

impl<'r> Records<'r> {
    pub(super) fn open(
        source: Box<dyn Read + 'r>,
        file: &'r Path,
        layout: &Layout,
    ) -> Result<Self> {
        let (text, gzip) = text(source, file)?;
        let reader = ReaderBuilder::new()
            .delimiter(layout.delimiter)
            .quoting(layout.quotes)
            .has_headers(false)
            .flexible(true) // lengths are checked in `next`, which knows the line
            // With the default, the "\n" of "\r\n" would belong to the next record, and its line number would
            // be wrong.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(1 << 16)
            .from_reader(Checked::new(text, layout).chain(END));
        let (record, header) = (ByteRecord::new(), Vec::new());
        let mut records = Self {
            reader,
            record,
            pending: false,
            header,
            has_header: layout.names.is_none(),
            header_line: 1,
            file,
            gzip,
        };
        records.header = match &layout.names {
            None => records.read_header()?,
            Some(names) if names.is_empty() => {
                records.pending = records.advance()?;
                if !records.pending {
                    return Err(records.no_rows());
                }
                (1..=records.record.len()).map(|column| column.to_string()).collect()
            }
            Some(names) => names.iter().map(|name| name.trim().into()).collect(),
        };
        Ok(records)
    }

    fn read_header(&mut self) -> Result<Vec<String>> {
        if !self.advance()? {
            return Err(self.bad_header("the file is empty: a header is needed"));
        }
        self.header_line = self.line_of(0);
        let name = |field| {
            let problem =
                |problem| self.bad_header(format!("the name of column {} {problem}", field + 1));
            let name = utf8(self.cell(field)).map_err(problem)?.trim();
            if name.len() > MAX_NAME {
                let found = format!(
                    "has {} bytes: is this line a header, and the delimiter right?",
                    name.len()
                );
                return Err(problem(found));
            }
            Ok(name.into())
        };
        (0..self.record.len()).map(name).collect()
    }

    /// The place of a column.
    pub(super) fn find(&self, name: &str, kind: &str) -> Result<usize> {
        let mut places = (0..self.header.len()).filter(|&i| self.header[i] == name.trim());
        let problem = match (places.next(), places.next()) {
            (Some(place), None) => return Ok(place),
            (None, _) => format!("there is no column `{}` for the {kind} role", shorten(name)),
            (Some(_), Some(_)) => format!("the header has two columns `{}`", shorten(name)),
        };
        let listed: Vec<_> = self.header.iter().take(LISTED).map(|name| shorten(name)).collect();
        let more = match self.header.len() - listed.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Err(self.bad_header(format!("{problem}; the columns are: {}{more}", listed.join(", "))))
    }

    /// Reads the next record, if there is one, and checks its length and encoding.
    pub(super) fn next(&mut self) -> Result<bool> {
        if !std::mem::take(&mut self.pending) && !self.advance()? {
            return Ok(false);
        }
        let (found, expected) = (self.record.len(), self.header.len());
        if found != expected {
            let columns = if self.has_header { "the header has" } else { "the columns are" };
            let problem = format!("{found} cells, but {columns} {expected}");
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
    pub(super) fn cell(&self, field: usize) -> &[u8] {
        let cell = &self.record[field];
        if field + 1 < self.record.len() { cell } else { cell.strip_suffix(b"\r").unwrap_or(cell) }
    }

    /// The line on which a cell of the current record begins.
    fn line_of(&self, field: usize) -> u64 {
        // The reader is past the record's line feed, and the cells contain the quoted line feeds.
        let later = self.record.iter().skip(field).flatten().filter(|&&byte| byte == b'\n').count();
        self.reader.position().line() - 1 - later as u64
    }

    pub(super) fn bad_cell(&self, field: usize, problem: String) -> Error {
        Error::Cell {
            file: self.file.into(),
            line: self.line_of(field),
            column: shorten(&self.header[field]),
            value: shorten(&String::from_utf8_lossy(self.cell(field))),
            problem,
        }
    }

    pub(super) fn no_rows(&self) -> Error {
        let problem =
            if self.has_header { "no rows follow the header" } else { "the file has no rows" };
        self.bad_header(problem)
    }

    pub(super) fn bad_header(&self, problem: impl Into<String>) -> Error {
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
pub(super) fn unreadable(file: &Path, line: u64, gzip: bool, source: io::Error) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let file = file.into();
    let broken = source.get_ref().and_then(|source| source.downcast_ref::<Broken>());
    if let Some(&Broken { line, problem }) = broken {
        return Error::Malformed { file, line, problem: problem.into() };
    }
    if gzip && matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof) {
        let problem = format!("the gzip stream is damaged or cut off ({source})");
        return Error::Malformed { file, line, problem };
    }
    Error::Io { file, source }
}

/// Counts the bytes read.
pub(super) struct Counted<'c, R> {
    pub(super) inner: R,
    pub(super) bytes: &'c Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + read as u64);
        Ok(read)
    }
}

/// A text that is checked for what the parser of cells would let pass: text behind a closing quote, and records
/// without end.
struct Checked<R> {
    inner: R,
    delimiter: u8,
    quotes: bool,
    place: Place,
    line: u64,
    /// Bytes of the current record so far.
    record: usize,
    broken: Option<Broken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Unquoted,
    Quoted,
    /// Behind a quote within a quoted cell: it closes the cell, or the next byte is a quote too.
    Quote,
    /// Behind the carriage return after a closing quote.
    Return,
}

/// What is wrong with a text, and where.
#[derive(Debug, Clone, Copy)]
struct Broken {
    line: u64,
    problem: &'static str,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for Broken {}

impl<R: Read> Checked<R> {
    fn new(inner: R, layout: &Layout) -> Self {
        let Layout { delimiter, quotes, .. } = *layout;
        Self { inner, delimiter, quotes, place: Place::Start, line: 1, record: 0, broken: None }
    }

    /// Checks the next bytes; the position of the first that is wrong.
    fn check(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let quoted = !matches!(self.place, Place::Start | Place::Unquoted) || bytes.contains(&b'"');
        if self.quotes && quoted { self.check_quotes(bytes) } else { self.check_length(bytes) }
    }

    /// Without quotes a line is a record.
    fn check_length(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let Some(&last) = bytes.last() else { return Ok(()) };
        self.line += bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.record = match bytes.iter().rposition(|&byte| byte == b'\n') {
            Some(end) => bytes.len() - 1 - end,
            None => self.record + bytes.len(),
        };
        self.place =
            if last == b'\n' || last == self.delimiter { Place::Start } else { Place::Unquoted };
        if self.record > MAX_RECORD { Err(0) } else { Ok(()) }
    }

    fn check_quotes(&mut self, bytes: &[u8]) -> Result<(), usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            let ends = byte == b'\n' || byte == self.delimiter;
            self.place = match self.place {
                Place::Start if byte == b'"' => Place::Quoted,
                Place::Start | Place::Unquoted => {
                    if ends {
                        Place::Start
                    } else {
                        Place::Unquoted
                    }
                }
                Place::Quoted if byte == b'"' => Place::Quote,
                Place::Quoted => Place::Quoted,
                Place::Quote if byte == b'"' => Place::Quoted,
                Place::Quote if ends => Place::Start,
                Place::Quote if byte == b'\r' => Place::Return,
                Place::Return if byte == b'\n' => Place::Start,
                Place::Quote | Place::Return => return Err(at),
            };
            self.record += 1;
            if byte == b'\n' {
                self.line += 1;
                if self.place == Place::Start {
                    self.record = 0;
                }
            }
            if self.record > MAX_RECORD {
                return Err(at);
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(broken) = self.broken {
            return Err(io::Error::new(io::ErrorKind::InvalidData, broken));
        }
        let read = self.inner.read(buffer)?;
        let Err(good) = self.check(&buffer[..read]) else { return Ok(read) };
        let problem = if self.record > MAX_RECORD {
            "a record of more than 16 MiB: is a quote never closed, or does the file have other line breaks?"
        } else {
            "text follows the quote that closes a cell; a quote within a cell is written twice, unless the file \
             is read with `quotes(false)`"
        };
        self.broken = Some(Broken { line: self.line, problem });
        // The parser may refuse what stands before.
        if good > 0 { Ok(good) } else { self.read(buffer) }
    }
}
