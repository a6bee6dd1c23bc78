//! Logs that are read batch by batch.

use std::fmt::Debug;
use std::sync::Arc;

use super::Table;
use crate::core::Result;

/// A log that is read in batches, as often as it is needed: files, or tables in memory.
///
/// A source consists of parts, such as files or row groups, that threads read side by side; a thread holds one batch of
/// a part at a time. The parts, their batches and the rows of a batch have an order, which is the order of the rows, and
/// each reading returns the same batches.
pub trait Source: Debug + Send + Sync {
    /// Number of parts.
    fn parts(&self) -> usize;

    /// The size of a part in the [unit](Self::unit) of this source: it tells how much work is left.
    fn size(&self, part: usize) -> u64;

    /// The unit of sizes, such as `bytes`. Default: `rows`.
    fn unit(&self) -> &'static str {
        "rows"
    }

    /// Reads a part: calls `each` with its batches, in their order, until it returns an error, which is passed on. A
    /// part may have no batches.
    ///
    /// # Errors
    /// Those of reading, with the file and the place in it, and those of `each`.
    fn read(&self, part: usize, each: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()>;
}

/// A table is a source of one part with one batch, whose rows are numbered in the file `table`.
impl Source for Table {
    fn parts(&self) -> usize {
        1
    }

    fn size(&self, _: usize) -> u64 {
        self.rows() as u64
    }

    fn read(&self, _: usize, each: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        each(Batch::new(self.clone(), "table", 0, self.rows() as u64))
    }
}

/// Tables are parts of a source, each with one batch. Their rows are numbered from the first table to the last, in the
/// file `table`: however rows are divided into tables, they have the same numbers.
impl Source for [Table] {
    fn parts(&self) -> usize {
        self.len()
    }

    fn size(&self, part: usize) -> u64 {
        self[part].rows() as u64
    }

    fn read(&self, part: usize, each: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let table = &self[part];
        let first_row = self[..part].iter().map(|table| table.rows() as u64).sum();
        each(Batch::new(table.clone(), "table", first_row, table.rows() as u64))
    }
}

/// Consecutive rows of a [`Source`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Batch {
    /// The rows. All batches of a source have the same columns.
    pub table: Table,
    /// The file, or another name of what the rows are numbered in.
    pub file: Arc<str>,
    /// The number of the first row in the file, counted from 0.
    pub first_row: u64,
    /// How much of its part was read when this batch was complete, in the unit of [`Source::size`].
    pub read: u64,
}

impl Batch {
    /// Rows from `first_row` on of `file`, after which `read` of the part was read.
    #[must_use]
    pub fn new(table: Table, file: impl Into<Arc<str>>, first_row: u64, read: u64) -> Self {
        Self { table, file: file.into(), first_row, read }
    }
}
