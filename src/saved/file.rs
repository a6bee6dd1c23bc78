//! Files that are read and written as a whole.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::core::{Error, NewFile, Result};

/// Reads a text.
pub(super) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::Io { file: path.into(), source })
}

/// Writes a file, whose name never stands for half of it.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    NewFile::create(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.finish()))
        .map_err(|source| Error::Io { file: path.into(), source })
}
