//! The records of a delimited file, and the text of any file.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

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

/// Bytes that are read at once.
const BUFFER: usize = 1 << 17;

const TOO_LONG: &str = "a record of more than 16 MiB: is a quote never closed, or does the file have other line breaks?";

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

/// The records of a file after its header, one at a time in a reused buffer.
pub(super) struct Records<'r> {
    source: Box<dyn Read + 'r>,
    delimiter: u8,
    quotes: bool,
    /// Bytes that were read; those of `unread` belong to later records.
    buffer: Vec<u8>,
    unread: Range<usize>,
    is_at_end: bool,
    /// The line on which the next record begins.
    next_line: u64,
    record: Record,
    /// Whether the record was read to learn the number of columns, and is still to be returned.
    pending: bool,
    pub(super) header: Vec<String>,
    has_header: bool,
    header_line: u64,
    file: &'r Path,
    gzip: bool,
}

/// The current record. A cell begins behind the end of the one before it and a byte between them.
#[derive(Debug, Default)]
struct Record {
    /// The line on which it begins.
    line: u64,
    /// Its place in the buffer, if no cell is quoted.
    place: Range<usize>,
    /// Its cells without their quotes, if some are quoted.
    unquoted: Option<Vec<u8>>,
    /// The end of each cell, from the beginning of the record on.
    ends: Vec<usize>,
}

/// Whether a whole record was read, or more bytes are needed.
enum Parsed {
    Record,
    Incomplete,
}

impl<'r> Records<'r> {
    pub(super) fn open(
        source: Box<dyn Read + 'r>,
        file: &'r Path,
        layout: &Layout,
    ) -> Result<Self> {
        let (source, gzip) = text(source, file)?;
        let mut records = Self {
            source,
            delimiter: layout.delimiter,
            quotes: layout.quotes,
            buffer: vec![0; BUFFER],
            unread: 0..0,
            is_at_end: false,
            next_line: 1,
            record: Record::default(),
            pending: false,
            header: Vec::new(),
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
                (1..=records.record.ends.len()).map(|column| column.to_string()).collect()
            }
            Some(names) => names.iter().map(|name| name.trim().into()).collect(),
        };
        Ok(records)
    }

    fn read_header(&mut self) -> Result<Vec<String>> {
        if !self.advance()? {
            return Err(self.bad_header("the file is empty: a header is needed"));
        }
        self.header_line = self.record.line;
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
        (0..self.record.ends.len()).map(name).collect()
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
        let (found, expected) = (self.record.ends.len(), self.header.len());
        if found != expected {
            let columns = if self.has_header { "the header has" } else { "the columns are" };
            let problem = match utf8(self.bytes()) {
                Ok(_) => format!("{found} cells, but {columns} {expected}"),
                Err(_) => "the text is not UTF-8".into(),
            };
            return Err(self.malformed(self.record.line, problem));
        }
        if !self.bytes().is_ascii() {
            for field in 0..found {
                utf8(self.cell(field)).map_err(|problem| self.bad_cell(field, problem))?;
            }
        }
        Ok(true)
    }

    /// Reads the next record that is not a blank line, if there is one.
    fn advance(&mut self) -> Result<bool> {
        loop {
            let parsed = self.parse()?;
            let unread = self.unread.len();
            if let Parsed::Incomplete = parsed {
                if unread > MAX_RECORD {
                    return Err(self.malformed(self.next_line, TOO_LONG));
                }
                if self.is_at_end {
                    return Ok(false);
                }
                self.fill()?;
            } else if self.record.unquoted.is_some() || !matches!(self.bytes(), b"" | b"\r") {
                return Ok(true);
            }
        }
    }

    /// Reads more bytes behind those that are unread.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if self.unread.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        let read = loop {
            match self.source.read(&mut self.buffer[self.unread.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(self.file, self.next_line, self.gzip, error)),
                Ok(read) => break read,
            }
        };
        self.unread.end += read;
        self.is_at_end = read == 0;
        Ok(())
    }

    /// Takes the next record off the unread bytes, if they hold all of it.
    fn parse(&mut self) -> Result<Parsed> {
        let bytes = &self.buffer[self.unread.clone()];
        let record = &mut self.record;
        record.ends.clear();
        record.unquoted = None;
        if self.quotes && bytes.first() == Some(&b'"') {
            return self.parse_quoted();
        }
        // Eight bytes at once: of those that divide cells and records, the highest bit is set.
        let (delimiters, line_feeds) = (splat(self.delimiter), splat(b'\n'));
        let mut words = bytes.chunks_exact(8);
        let mut length = None;
        'record: for (at, word) in words.by_ref().enumerate() {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            let mut ends = zeros(word ^ delimiters) | zeros(word ^ line_feeds);
            while ends != 0 {
                let end = 8 * at + ends.trailing_zeros() as usize / 8;
                record.ends.push(end);
                if bytes[end] == b'\n' {
                    length = Some(end);
                    break 'record;
                }
                if self.quotes && bytes.get(end + 1) == Some(&b'"') {
                    return self.parse_quoted();
                }
                ends &= ends - 1;
            }
        }
        if length.is_none() {
            let begin = bytes.len() - words.remainder().len();
            for end in begin..bytes.len() {
                let byte = bytes[end];
                if byte == b'\n' || byte == self.delimiter {
                    record.ends.push(end);
                    if byte == b'\n' {
                        length = Some(end);
                        break;
                    }
                    if self.quotes && bytes.get(end + 1) == Some(&b'"') {
                        return self.parse_quoted();
                    }
                }
            }
        }
        let length = match length {
            Some(length) => length,
            None if self.is_at_end && !bytes.is_empty() => {
                record.ends.push(bytes.len());
                bytes.len()
            }
            None => return Ok(Parsed::Incomplete),
        };
        self.take(length, 1)
    }

    /// The same for a record with quoted cells.
    fn parse_quoted(&mut self) -> Result<Parsed> {
        let bytes = &self.buffer[self.unread.clone()];
        let (mut at, mut line, mut cells, mut ends) = (0, self.next_line, Vec::new(), Vec::new());
        let ends_cell = |byte: u8| byte == self.delimiter || byte == b'\n';
        loop {
            if self.quotes && bytes.get(at) == Some(&b'"') {
                let first_line = line;
                loop {
                    at += 1;
                    let Some(length) = bytes[at..].iter().position(|&byte| byte == b'"') else {
                        if !self.is_at_end || bytes.len() > MAX_RECORD {
                            return Ok(Parsed::Incomplete);
                        }
                        let problem = "the quote that opens a cell is never closed";
                        return Err(self.malformed(first_line, problem));
                    };
                    let part = &bytes[at..at + length];
                    line += part.iter().filter(|&&byte| byte == b'\n').count() as u64;
                    cells.extend_from_slice(part);
                    at += length + 1;
                    if bytes.get(at) != Some(&b'"') {
                        break;
                    }
                    cells.push(b'"');
                }
                if bytes[at..].first() == Some(&b'\r')
                    && bytes.get(at + 1).is_none_or(|&next| next == b'\n')
                {
                    // A part of the line break, as in other cells.
                    cells.push(b'\r');
                    at += 1;
                }
            } else {
                let cell = &bytes[at..];
                let length = cell.iter().position(|&byte| ends_cell(byte)).unwrap_or(cell.len());
                cells.extend_from_slice(&cell[..length]);
                at += length;
            }
            ends.push(cells.len());
            match bytes.get(at) {
                Some(b'\n') => break,
                Some(&byte) if byte == self.delimiter => {
                    cells.push(byte);
                    at += 1;
                }
                Some(_) => {
                    let problem = "text follows the quote that closes a cell; a quote within a cell is written \
                                   twice, unless the file is read with `quotes(false)`";
                    return Err(self.malformed(line, problem));
                }
                None if self.is_at_end => break,
                None => return Ok(Parsed::Incomplete),
            }
        }
        self.record.ends = ends;
        self.record.unquoted = Some(cells);
        self.take(at, line + 1 - self.next_line)
    }

    /// Makes the first bytes the current record, of so many lines.
    fn take(&mut self, length: usize, lines: u64) -> Result<Parsed> {
        if length > MAX_RECORD {
            return Err(self.malformed(self.next_line, TOO_LONG));
        }
        self.record.place = self.unread.start..self.unread.start + length;
        self.record.line = self.next_line;
        self.next_line += lines;
        // At the end of the file a line feed may be missing.
        self.unread.start = self.unread.end.min(self.unread.start + length + 1);
        Ok(Parsed::Record)
    }

    /// The cells of the current record, with a byte between them.
    fn bytes(&self) -> &[u8] {
        self.record.unquoted.as_deref().unwrap_or(&self.buffer[self.record.place.clone()])
    }

    /// A cell of the current record.
    pub(super) fn cell(&self, field: usize) -> &[u8] {
        let ends = &self.record.ends;
        let begin = if field == 0 { 0 } else { ends[field - 1] + 1 };
        let cell = &self.bytes()[begin..ends[field]];
        if field + 1 < ends.len() { cell } else { cell.strip_suffix(b"\r").unwrap_or(cell) }
    }

    /// The line on which a cell of the current record begins.
    fn line_of(&self, field: usize) -> u64 {
        let earlier = (0..field).flat_map(|field| self.cell(field));
        self.record.line + earlier.filter(|&&byte| byte == b'\n').count() as u64
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
}

/// A byte eight times.
fn splat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// For each byte that is zero its highest bit, and no other bits.
fn zeros(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
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
