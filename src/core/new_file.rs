//! Files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file in the making. It is written beside its place and gets its name when it is finished, so that the name never
/// stands for half a file; if it is dropped before, it is removed. A name that is no regular file, such as a pipe, is
/// written to directly.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
    /// Where it is now, unless it has its name.
    beside: Option<PathBuf>,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            let file = File::options().write(true).open(path)?;
            return Ok(Self { file, path: path.into(), beside: None });
        }
        let beside = beside(path);
        Ok(Self { file: File::create_new(&beside)?, path: path.into(), beside: Some(beside) })
    }

    /// Brings the content to the disk and gives it its name.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let Some(beside) = &self.beside else { return Ok(()) };
        self.file.sync_all()?;
        fs::rename(beside, &self.path)?;
        self.beside = None;
        sync_folder(&self.path)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            // Whether it goes away or not, the error that is told is an earlier one.
            let _ = fs::remove_file(beside);
        }
    }
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
