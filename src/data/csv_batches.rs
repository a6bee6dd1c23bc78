//! Delimited files that are read batch by batch.

use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;

use super::csv::CsvReader;
use super::files::{BATCH_ROWS, SameFile, ensure_batch_rows};
use super::records::{Counted, Records};
use super::roles::{Column, assemble};
use super::source::{Batch, Source};
use super::time::FoundTimes;
use crate::core::Result;

/// The rows of delimited files, batch by batch; see [`CsvReader::batches`].
///
/// A part is a file, and its size is in bytes. A batch has consecutive rows of one file. The weights of a batch may all be
/// zero. A file that is not as it was when this was made is an error
/// ([`FileChanged`](crate::Error::FileChanged)).
///
/// Memory: one batch for each thread that reads.
#[derive(Debug, Clone)]
pub struct CsvBatches {
    reader: CsvReader,
    files: Vec<SameFile>,
    batch_rows: usize,
    /// What was found of the times of each column.
    found: Vec<Option<FoundTimes>>,
}

impl CsvBatches {
    /// Checks all headers, and finds the formats of times.
    pub(super) fn open(reader: CsvReader, paths: Vec<PathBuf>) -> Result<Self> {
        let found = vec![None; reader.columns(&[]).len()];
        let (files, batch_rows) = (Vec::with_capacity(paths.len()), BATCH_ROWS);
        let mut batches = Self { reader, files, batch_rows, found };
        for path in paths {
            let (same, file) = SameFile::open(path)?;
            let bytes = Cell::new(0);
            let records = batches.records(&same, file, &bytes)?;
            batches.reader.fields(&records)?;
            drop(records);
            batches.files.push(same);
        }
        batches.find_times()?;
        Ok(batches)
    }

    /// The most rows of a batch. Default: 65,536.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for 0.
    pub fn batch_rows(self, rows: usize) -> Result<Self> {
        ensure_batch_rows(rows)?;
        Ok(Self { batch_rows: rows, ..self })
    }

    /// Reads rows until there are some, and until each column of times has had a time.
    fn find_times(&mut self) -> Result<()> {
        let (mut found, mut rows) = (self.found.clone(), 0);
        for part in 0..self.files.len() {
            let mut complete = false;
            self.read_columns(part, &found.clone(), |columns, records, read, _| {
                complete = true;
                for (found, column) in found.iter_mut().zip(&columns) {
                    if found.is_none() {
                        *found =
                            column.found_times().map_err(|problem| records.bad_header(problem))?;
                        complete &= !column.times_are_unknown();
                    }
                }
                rows += read;
                Ok(!complete)
            })?;
            if complete {
                break;
            }
        }
        if rows == 0 {
            let (file, bytes) = (&self.files[0], Cell::new(0));
            return Err(self.records(file, file.open_again()?, &bytes)?.no_rows());
        }
        self.found = found;
        Ok(())
    }

    fn records<'r>(
        &self,
        same: &'r SameFile,
        file: File,
        bytes: &'r Cell<u64>,
    ) -> Result<Records<'r>> {
        Records::open(Box::new(Counted { inner: file, bytes }), &same.path, &self.reader.layout)
    }

    /// Calls `each` with the columns of each batch of a file, their rows, and the bytes read, until it returns false.
    fn read_columns(
        &self,
        part: usize,
        found: &[Option<FoundTimes>],
        mut each: impl FnMut(Vec<Column<'_>>, &Records<'_>, usize, u64) -> Result<bool>,
    ) -> Result<()> {
        let (same, bytes) = (&self.files[part], Cell::new(0));
        let mut records = self.records(same, same.open_again()?, &bytes)?;
        let fields = self.reader.fields(&records)?;
        loop {
            let mut columns = self.reader.columns(found);
            let most = self.batch_rows;
            let rows =
                self.reader.fill(&mut columns, &fields, &mut records, most, &mut |_, _| Ok(()))?;
            if rows == 0 || !each(columns, &records, rows, bytes.get())? {
                return Ok(());
            }
        }
    }
}

impl Source for CsvBatches {
    fn parts(&self) -> usize {
        self.files.len()
    }

    fn size(&self, part: usize) -> u64 {
        self.files[part].bytes
    }

    fn read(&self, part: usize, each: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let mut first_row = 0;
        self.read_columns(part, &self.found, |columns, records, rows, bytes| {
            let table = assemble(columns, rows, |problem| records.bad_header(problem))?;
            let batch = Batch::new(table, self.files[part].name.clone(), first_row, bytes);
            first_row += rows as u64;
            each(batch).map(|()| true)
        })
    }
}
