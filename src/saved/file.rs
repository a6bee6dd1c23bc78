//! Files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::{Error, Result};

/// Reads a text.
pub(super) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::Io { file: path.into(), source })
}

/// Writes a file beside, brings it to the disk and gives it its name, so that the name never stands for half a file.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let beside = beside(path);
    let written = write(&beside, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Whether it goes away or not, the error that is told is the first.
        let _ = fs::remove_file(&beside);
    }
    written
        .and_then(|()| sync_folder(path))
        .map_err(|source| Error::Io { file: path.into(), source })
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A name in the same folder that no other process and no other call takes.
fn beside(path: &Path) -> PathBuf {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{call}.tmp", process::id()));
    path.with_file_name(name)
}

/// Brings the new name to the disk. Only Unix opens folders.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
