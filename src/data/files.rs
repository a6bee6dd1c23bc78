//! Files by name or by pattern, and whether they are still the same.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::core::{Error, Result};

/// Most rows of a batch, unless another number is asked for.
pub(super) const BATCH_ROWS: usize = 1 << 16;

/// Checks a number of rows of batches.
pub(super) fn ensure_batch_rows(rows: usize) -> Result<()> {
    if rows > 0 { Ok(()) } else { Err(Error::invalid("batch_rows", rows, "1 or more")) }
}

/// The files of these names and patterns, in their order; those of a pattern sorted by name.
pub(super) fn find_files<P: AsRef<Path>>(
    named: impl IntoIterator<Item = P>,
) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in named {
        let name = name.as_ref();
        match name.to_str().filter(|text| text.contains(['*', '?', '[']) && !name.exists()) {
            Some(pattern) => files.extend(matching(pattern)?),
            None => files.push(name.into()),
        }
    }
    if files.is_empty() {
        return Err(Error::invalid("files", "an empty list", "one file or more"));
    }
    let mut known = HashSet::new();
    match files.iter().find(|file| !known.insert(*file)) {
        Some(file) => {
            Err(Error::invalid("files", format!("`{}` twice", file.display()), "each file once"))
        }
        None => Ok(files),
    }
}

/// The files that match a pattern.
fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let refuse = |expected| Error::invalid("files", format!("`{pattern}`"), expected);
    let paths = glob::glob(pattern).map_err(|error| refuse(format!("a pattern ({error})")))?;
    let mut files = Vec::new();
    for path in paths {
        let path =
            path.map_err(|error| Error::Io { file: error.path().into(), source: error.into() })?;
        if !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        Err(refuse("a pattern that some file matches".into()))
    } else {
        Ok(files)
    }
}

/// A file that is opened several times, and must stay the same.
#[derive(Debug, Clone)]
pub(super) struct SameFile {
    pub(super) path: PathBuf,
    /// The path, for [`Batch::file`](super::Batch::file).
    pub(super) name: Arc<str>,
    pub(super) bytes: u64,
    modified: Option<SystemTime>,
}

impl SameFile {
    pub(super) fn open(path: PathBuf) -> Result<(Self, File)> {
        let (file, bytes, modified) = open(&path)?;
        Ok((Self { name: path.display().to_string().into(), path, bytes, modified }, file))
    }

    /// Opens it again.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened, [`Error::FileChanged`] if its size or its time is another.
    pub(super) fn open_again(&self) -> Result<File> {
        let (file, bytes, modified) = open(&self.path)?;
        if (bytes, modified) == (self.bytes, self.modified) {
            Ok(file)
        } else {
            Err(Error::FileChanged { file: self.path.clone() })
        }
    }
}

fn open(path: &Path) -> Result<(File, u64, Option<SystemTime>)> {
    let io = |source| Error::Io { file: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let about = file.metadata().map_err(io)?;
    // Not every system knows when a file was changed.
    Ok((file, about.len(), about.modified().ok()))
}
