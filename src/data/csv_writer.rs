//! Writing delimited files.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::frame::{Frame, Values, ensure_same_header};
use crate::core::{Error, NewFile, Result};

/// Writes rows to a comma-separated file, batch by batch.
///
/// The file is written beside its place and gets its name when [`finish`](Self::finish) is called; if the writer is dropped
/// before, it is removed, and what was there stays. (A name that is no regular file, such as a pipe, is written to
/// directly.) A file whose name ends with `.gz` is compressed.
///
/// The first record has the names of the columns. Numbers have the fewest digits that are read back to the same bits, and
/// a missing one is the empty text; cells with commas, quotes or line breaks are quoted. [`CsvReader`](super::CsvReader)
/// reads the same values back. [`Frame`] has an example.
#[derive(Debug)]
pub struct CsvWriter {
    path: PathBuf,
    out: Out,
    header: Option<Vec<(String, &'static str)>>,
    text: Vec<u8>,
}

#[derive(Debug)]
enum Out {
    Plain(NewFile),
    Gzip(GzEncoder<NewFile>),
}

impl CsvWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file =
            NewFile::create(&path).map_err(|source| Error::Io { file: path.clone(), source })?;
        let gzip = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
        let out = if gzip {
            Out::Gzip(GzEncoder::new(file, Compression::default()))
        } else {
            Out::Plain(file)
        };
        Ok(Self { path, out, header: None, text: Vec::new() })
    }

    /// Writes rows, which all have the same columns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no columns, or others than those of earlier rows; [`Error::NonFinite`] for an
    /// infinity; [`Error::Io`], for instance of a full disk.
    pub fn write(&mut self, rows: &Frame<'_>) -> Result<()> {
        for (name, values) in rows.columns.iter() {
            if let Values::Numbers(values) = values
                && let Some(row) = values.iter().position(|value| value.is_infinite())
            {
                let what = format!("the column `{name}`");
                return Err(Error::NonFinite { what, row, column: None, value: values[row] });
            }
        }
        self.text.clear();
        let alone = rows.columns.names().count() < 2;
        match &self.header {
            Some(header) => ensure_same_header(header, rows)?,
            None => {
                let header = rows.header();
                if header.is_empty() {
                    return Err(Error::invalid("rows", "without columns", "one column or more"));
                }
                for (column, (name, _)) in header.iter().enumerate() {
                    separate(&mut self.text, column);
                    put_text(&mut self.text, name, alone);
                }
                self.text.push(b'\n');
                self.header = Some(header);
            }
        }
        for row in 0..rows.rows() {
            for (column, (_, values)) in rows.columns.iter().enumerate() {
                separate(&mut self.text, column);
                match values {
                    Values::Numbers(values) if values[row].is_nan() => {
                        put_text(&mut self.text, "", alone);
                    }
                    // A list of bytes takes all.
                    Values::Numbers(values) => {
                        let _ = write!(self.text, "{:?}", values[row]);
                    }
                    Values::Texts(texts) => {
                        put_text(&mut self.text, texts.get(row).unwrap_or_default(), alone);
                    }
                    Values::Labels(labels) => self.text.push(b'0' + u8::from(labels[row])),
                }
            }
            self.text.push(b'\n');
        }
        let written = match &mut self.out {
            Out::Plain(file) => file.write_all(&self.text),
            Out::Gzip(encoder) => encoder.write_all(&self.text),
        };
        written.map_err(|source| self.io(source))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::NoRows`] if nothing was written, not even a [`Frame`] without rows.
    pub fn finish(mut self) -> Result<()> {
        if self.header.is_none() {
            return Err(Error::NoRows { what: "the file" });
        }
        let finished = match &mut self.out {
            Out::Plain(file) => file.finish(),
            Out::Gzip(encoder) => encoder.try_finish().and_then(|()| encoder.get_mut().finish()),
        };
        finished.map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { file: self.path.clone(), source }
    }
}

fn separate(text: &mut Vec<u8>, column: usize) {
    if column > 0 {
        text.push(b',');
    }
}

/// Writes a cell. An empty one that is `alone` in its record is quoted, since a blank line is no record.
fn put_text(text: &mut Vec<u8>, cell: &str, alone: bool) {
    if cell.contains([',', '"', '\n', '\r']) || alone && cell.is_empty() {
        text.push(b'"');
        text.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        text.push(b'"');
    } else {
        text.extend_from_slice(cell.as_bytes());
    }
}
