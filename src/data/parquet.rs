//! Parquet files.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use ::parquet::errors::ParquetError;
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use twox_hash::XxHash64;

use super::arrow::{Kind, find_times, place, table};
use super::files::{BATCH_ROWS, SameFile, ensure_batch_rows, find_files};
use super::roles::{Labels, Role, Roles, name_columns};
use super::source::{Batch, Source};
use super::table_builder::TableBuilder;
use super::time::FoundTimes;
use super::{Table, TimeFormat};
use crate::core::{Error, Progress, Result, Run, Selection};

/// Bytes at the end of a file by which it is known again: its footer, or the end of it.
const TAIL: u64 = 1 << 16;

/// Reads a log from Parquet files into a [`Table`], or batch by batch.
///
/// The caller names the columns and their roles, as for [`CsvReader`](super::CsvReader), and the tables are the same as
/// from a CSV file of the data: equal hashes and equal numbers. [`ArrowReader`](super::ArrowReader#the-cells) lists the
/// types that each role can use. Columns that are not named are not read. Texts are read with their dictionaries, and
/// each is hashed once a batch.
///
/// Compression: none, Snappy, LZ4 and Zstandard.
///
/// The `parquet` crate panics on some damaged files. Such a panic is caught and becomes an [`Error::Unreadable`]; the
/// program's panic hook sees it, and a program that aborts on panics ends.
///
/// ```
/// use imbalance::Run;
/// use imbalance::data::{Frame, ParquetReader, ParquetWriter};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("log.parquet");
/// let mut writer = ParquetWriter::create(&file)?;
/// let rows = Frame::new(2)
///     .with_labels("click", &[false, true])?
///     .with_texts("device", ["phone", "tablet"])?;
/// writer.write(&rows)?;
/// writer.finish()?;
///
/// let reader = ParquetReader::new().label("click").categorical(["device"]);
/// let table = reader.read(&file, &Run::default())?;
/// assert_eq!(table.labels(), [false, true]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ParquetReader {
    roles: Roles,
}

name_columns!(ParquetReader);

impl ParquetReader {
    /// A reader without columns yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file. Reports [`Progress::Read`] after every batch of 65,536 rows, with the share of the file's bytes that
    /// is the share of its rows.
    ///
    /// # Errors
    /// As for [`batches`](Self::batches) and for reading them; [`Error::InvalidArgument`] if all weights are zero or their
    /// sum overflows; [`Error::Cancelled`].
    pub fn read(&self, path: impl AsRef<Path>, run: &Run) -> Result<Table> {
        self.roles.ensure_complete()?;
        let source = ParquetBatches::open(self.roles.clone(), vec![path.as_ref().into()])?;
        let of = source.files[0].same.bytes;
        let total: u64 = (0..source.parts()).map(|part| source.size(part)).sum();
        let (mut rows, mut all) = (0, TableBuilder::default());
        for part in 0..source.parts() {
            source.read(part, &mut |batch| {
                let here = batch.table.rows();
                all.append(&batch.table, &Selection::Range(0..here))?;
                rows += here;
                let bytes = (u128::from(of) * rows as u128 / u128::from(total)) as u64;
                run.report(&Progress::Read { bytes, of, rows })
            })?;
        }
        all.finish()?.ok_or(Error::NoRows { what: "the table" })
    }

    /// Files that are read batch by batch, as often as needed: for logs that do not fit into memory. They are named as
    /// for `CsvReader::batches`, by paths and patterns.
    ///
    /// The formats of times that are neither dates nor timestamps are [found](TimeFormat::Found) in the first 65,536
    /// rows (or in later ones, where those have no times), and hold for all batches.
    ///
    /// ```
    /// use imbalance::data::{ParquetReader, Source};
    ///
    /// # use imbalance::data::{Frame, ParquetWriter};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let folder = folder.path();
    /// # let mut writer = ParquetWriter::create(folder.join("day-1.parquet"))?;
    /// # writer.write(&Frame::new(1).with_labels("click", &[true])?.with_numbers("price", &[3.5])?)?;
    /// # writer.finish()?;
    /// let log = ParquetReader::new()
    ///     .label("click")
    ///     .numeric(["price"])
    ///     .batches([folder.join("day-*.parquet")])?;
    /// for part in 0..log.parts() {
    ///     log.read(part, &mut |batch| {
    ///         println!("{} rows of {}", batch.table.rows(), batch.file);
    ///         Ok(())
    ///     })?;
    /// }
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] and [`Error::DuplicateColumn`] for settings that `CsvReader::read` refuses too, for no
    /// files, a pattern that is malformed or matches no file, or a file named twice; [`Error::Io`] for a file that cannot
    /// be opened or read; [`Error::Unreadable`] for one that is damaged, cut off, or of a kind that is not supported;
    /// [`Error::InFile`] with [`Error::UnknownColumn`], [`Error::DuplicateColumn`] or [`Error::ColumnType`] for a file
    /// that lacks a named column, has it twice, or has it in a type that its role cannot use or that is of another kind
    /// than in the first file; with [`Error::Value`] for a value that is not what its role needs; with
    /// [`Error::NoRows`] if no file has rows; [`Error::FileChanged`].
    pub fn batches<P: AsRef<Path>>(
        &self,
        files: impl IntoIterator<Item = P>,
    ) -> Result<ParquetBatches> {
        self.roles.ensure_complete()?;
        ParquetBatches::open(self.roles.clone(), find_files(files)?)
    }
}

/// The rows of Parquet files, batch by batch; see [`ParquetReader::batches`].
///
/// A part is a row group, and its size is its number of rows. A batch has consecutive rows of one row group. The weights
/// of a batch may all be zero. Files are opened anew for each part; one that is not as it was when this was made is an
/// error ([`FileChanged`](crate::Error::FileChanged)).
///
/// Memory: one batch for each thread that reads, and of each named column a page and its dictionary.
#[derive(Debug, Clone)]
pub struct ParquetBatches {
    roles: Roles,
    files: Vec<ParquetFile>,
    parts: Vec<Part>,
    batch_rows: usize,
    /// What was found of the times of each column.
    found: Vec<Option<FoundTimes>>,
}

#[derive(Debug, Clone)]
struct ParquetFile {
    same: SameFile,
    /// The hash of its last bytes.
    tail: u64,
    metadata: ArrowReaderMetadata,
    projection: ProjectionMask,
}

/// A row group with rows.
#[derive(Debug, Clone, Copy)]
struct Part {
    file: usize,
    row_group: usize,
    first_row: u64,
    rows: u64,
}

impl ParquetBatches {
    /// Reads all footers, checks their columns, and finds the formats of times.
    fn open(roles: Roles, paths: Vec<PathBuf>) -> Result<Self> {
        let files: Vec<_> =
            paths.into_iter().map(|path| ParquetFile::open(path, &roles)).collect::<Result<_>>()?;
        let mut parts = Vec::new();
        for (file, of) in files.iter().enumerate() {
            let mut first_row = 0;
            for (row_group, of) in of.metadata.metadata().row_groups().iter().enumerate() {
                let rows = u64::try_from(of.num_rows()).unwrap_or_default();
                parts.extend((rows > 0).then_some(Part { file, row_group, first_row, rows }));
                first_row += rows;
            }
        }
        if parts.is_empty() {
            return Err(in_file(&files[0].same, None)(Error::NoRows { what: "the file" }));
        }
        let (batch_rows, found) = (BATCH_ROWS, vec![None; roles.columns.len()]);
        let mut source = Self { roles, files, parts, batch_rows, found };
        source.ensure_same_kinds()?;
        source.find_times()?;
        Ok(source)
    }

    /// The most rows of a batch. Default: 65,536.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn batch_rows(self, rows: usize) -> Result<Self> {
        ensure_batch_rows(rows)?;
        Ok(Self { batch_rows: rows, ..self })
    }

    /// Refuses files whose columns are of different kinds.
    fn ensure_same_kinds(&self) -> Result<()> {
        for (role, name) in &self.roles.columns {
            let mut first: Option<(Kind, &DataType)> = None;
            for file in &self.files {
                let found = file.metadata.schema().field_with_name(name);
                let Some(found) = found.ok().map(Field::data_type) else { continue };
                match (first, Kind::of(*role, found)) {
                    (_, Kind::Null) => {}
                    (None, kind) => first = Some((kind, found)),
                    (Some((first, _)), kind) if first == kind => {}
                    (Some((_, first)), _) => {
                        return Err(in_file(&file.same, None)(Error::ColumnType {
                            column: name.clone(),
                            found: found.to_string(),
                            expected: format!("it is of the type {first} in an earlier file"),
                        }));
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads batches until each column of times has had a time; one in any case, which shows whether types are right.
    fn find_times(&mut self) -> Result<()> {
        let mut found = self.found.clone();
        'parts: for part in &self.parts {
            let mut row = part.first_row;
            for batch in self.record_batches(part)? {
                let batch = batch?;
                if find_times(&self.roles, &batch, &mut found).map_err(self.at(part, row))? {
                    break 'parts;
                }
                row += batch.num_rows() as u64;
            }
        }
        self.found = found;
        Ok(())
    }

    /// The batches of a row group.
    fn record_batches(&self, part: &Part) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let file = &self.files[part.file];
        let (path, row_group) = (file.same.path.clone(), Some(part.row_group));
        let opened = file.open_again()?;
        let mut reader = decoded(&path, row_group, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(opened, file.metadata.clone())
                .with_row_groups(vec![part.row_group])
                .with_batch_size(self.batch_rows)
                .with_projection(file.projection.clone())
                .build()
                .map_err(|error| unreadable(&path, row_group, error))
        })?;
        let next = move || {
            let batch = decoded(&path, row_group, || {
                reader.next().transpose().map_err(|error| {
                    let file = path.clone();
                    match error {
                        ArrowError::IoError(_, source) => Error::Io { file, source },
                        error => Error::Unreadable { file, row_group, problem: error.to_string() },
                    }
                })
            });
            batch.transpose()
        };
        Ok(iter::from_fn(next))
    }

    /// Adds the place to an error in a batch from row `first_row` of the file on.
    fn at(&self, part: &Part, first_row: u64) -> impl Fn(Error) -> Error {
        let wrap = in_file(&self.files[part.file].same, Some(part.row_group));
        move |error| match error {
            Error::Value { column, row, value, problem } => {
                wrap(Error::Value { column, row: first_row + row, value, problem })
            }
            error => wrap(error),
        }
    }
}

impl Source for ParquetBatches {
    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn size(&self, part: usize) -> u64 {
        self.parts[part].rows
    }

    fn read(&self, part: usize, each: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let part = &self.parts[part];
        let same = &self.files[part.file].same;
        let mut read = 0;
        for batch in self.record_batches(part)? {
            let (batch, first_row) = (batch?, part.first_row + read);
            if batch.num_rows() == 0 {
                continue;
            }
            let table =
                table(&self.roles, &batch, &self.found).map_err(self.at(part, first_row))?;
            read += batch.num_rows() as u64;
            each(Batch::new(table, same.name.clone(), first_row, read))?;
        }
        if read == part.rows {
            return Ok(());
        }
        Err(Error::Unreadable {
            file: same.path.clone(),
            row_group: Some(part.row_group),
            problem: format!("it has {read} rows, but the file's footer says {}", part.rows),
        })
    }
}

impl ParquetFile {
    /// Reads the footer, and finds the named columns.
    fn open(path: PathBuf, roles: &Roles) -> Result<Self> {
        let (same, mut file) = SameFile::open(path)?;
        let tail = tail(&same, &mut file)?;
        let plain = decoded(&same.path, None, || {
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
                .map_err(|error| unreadable(&same.path, None, error))
        })?;
        let schema = plain.schema();
        let mut named = vec![false; schema.fields().len()];
        let mut fields: Vec<Field> =
            schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        for (role, name) in &roles.columns {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let at = place(name, role.kind(), names).map_err(in_file(&same, None))?;
            named[at] = true;
            let many_rows_have_a_text =
                matches!(role, Role::Categorical | Role::Texts | Role::Label);
            if many_rows_have_a_text && Kind::of(*role, fields[at].data_type()) == Kind::Text {
                let keys = Box::new(DataType::Int32);
                let dictionary = DataType::Dictionary(keys, Box::new(DataType::Utf8));
                fields[at] = fields[at].clone().with_data_type(dictionary);
            }
        }
        let wanted = Schema::new_with_metadata(fields, schema.metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(wanted));
        // What cannot be read with a dictionary is read as it is.
        let metadata =
            ArrowReaderMetadata::try_new(plain.metadata().clone(), options).unwrap_or(plain);
        let named = (0..named.len()).filter(|at| named[*at]);
        let projection = ProjectionMask::roots(metadata.parquet_schema(), named);
        Ok(Self { same, tail, metadata, projection })
    }

    fn open_again(&self) -> Result<File> {
        let mut file = self.same.open_again()?;
        if tail(&self.same, &mut file)? == self.tail {
            Ok(file)
        } else {
            Err(Error::FileChanged { file: self.same.path.clone() })
        }
    }
}

/// What the decoder makes of a file. It panics on some damaged files; that is an error like others.
fn decoded<T>(
    file: &Path,
    row_group: Option<usize>,
    decode: impl FnOnce() -> Result<T>,
) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let problem = "it is damaged: its decoder panicked".into();
        Err(Error::Unreadable { file: file.into(), row_group, problem })
    })
}

/// The hash of a file's last bytes.
fn tail(same: &SameFile, file: &mut File) -> Result<u64> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(same.bytes.saturating_sub(TAIL)))
        .and_then(|_| file.take(TAIL).read_to_end(&mut bytes))
        .map_err(|source| Error::Io { file: same.path.clone(), source })?;
    Ok(XxHash64::oneshot(0, &bytes))
}

/// Adds the file to an error.
fn in_file(same: &SameFile, row_group: Option<usize>) -> impl Fn(Error) -> Error + use<> {
    let file = same.path.clone();
    move |error| Error::InFile { file: file.clone(), row_group, source: Box::new(error) }
}

/// The error of a file that cannot be read or written.
pub(super) fn unreadable(file: &Path, row_group: Option<usize>, error: ParquetError) -> Error {
    let file = file.into();
    match error {
        ParquetError::External(error) => match error.downcast() {
            Ok(source) => Error::Io { file, source: *source },
            Err(other) => Error::Unreadable { file, row_group, problem: other.to_string() },
        },
        error => Error::Unreadable { file, row_group, problem: error.to_string() },
    }
}
