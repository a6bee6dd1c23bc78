//! Writing Parquet files.

use std::path::{Path, PathBuf};

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;

use super::frame::{Frame, ensure_same_header};
use super::parquet::unreadable;
use crate::core::{Error, NewFile, Result};

/// Writes rows to a Parquet file, batch by batch.
///
/// The file is written beside its place and gets its name when [`finish`](Self::finish) is called; if the writer is dropped
/// before, it is removed, and what was there stays.
///
/// Numbers are written as `Float64`, and a missing one as null; labels as `Boolean`; texts as `Utf8` with dictionaries. Columns
/// are compressed by Snappy. [`ParquetReader`](super::ParquetReader) has an example.
///
/// Memory: a row group, encoded.
#[derive(Debug)]
pub struct ParquetWriter {
    path: PathBuf,
    row_group_rows: usize,
    out: Out,
}

#[derive(Debug)]
enum Out {
    /// No rows yet, whose columns a Parquet file begins with.
    Empty(Option<NewFile>),
    Rows(Box<ArrowWriter<NewFile>>, Vec<(String, &'static str)>),
}

impl ParquetWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file =
            NewFile::create(&path).map_err(|source| Error::Io { file: path.clone(), source })?;
        Ok(Self { path, row_group_rows: 1 << 18, out: Out::Empty(Some(file)) })
    }

    /// The most rows of a row group, of those that are begun from now on. Default: 262,144.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0, or if rows were written already.
    pub fn row_group_rows(self, rows: usize) -> Result<Self> {
        if rows == 0 || matches!(self.out, Out::Rows(..)) {
            return Err(Error::invalid(
                "row_group_rows",
                rows,
                "1 or more, before rows are written",
            ));
        }
        Ok(Self { row_group_rows: rows, ..self })
    }

    /// Writes rows, which all have the same columns.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no columns, or others than those of earlier rows; [`Error::Io`], for instance of a
    /// full disk.
    pub fn write(&mut self, rows: &Frame<'_>) -> Result<()> {
        let batch = rows.to_record_batch()?;
        let header = rows.header();
        if let Out::Empty(file) = &mut self.out
            && let Some(file) = file.take()
        {
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_max_row_group_row_count(Some(self.row_group_rows))
                .build();
            let writer = ArrowWriter::try_new(file, batch.schema(), Some(properties));
            let writer = writer.map_err(|error| unreadable(&self.path, None, error))?;
            self.out = Out::Rows(Box::new(writer), header);
        }
        let Out::Rows(writer, header) = &mut self.out else {
            return Err(Error::NoRows { what: "the file" });
        };
        ensure_same_header(header, rows)?;
        writer.write(&batch).map_err(|error| unreadable(&self.path, None, error))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::NoRows`] if nothing was written, not even a [`Frame`] without rows.
    pub fn finish(mut self) -> Result<()> {
        let Out::Rows(writer, _) = &mut self.out else {
            return Err(Error::NoRows { what: "the file" });
        };
        let finished = writer.finish().map(drop);
        finished
            .and_then(|()| writer.inner_mut().finish().map_err(ParquetError::from))
            .map_err(|error| unreadable(&self.path, None, error))
    }
}
