//! Saved models: everything fitted, and every configuration, as JSON or in any other format of `serde`.
//!
//! [`Saved::save`] writes a file and [`Saved::load`] reads it; [`Envelope`] does the same for any format. A file
//! says what it holds, in this order:
//!
//! | field | content |
//! |---|---|
//! | `format` | `imbalance` |
//! | `version` | the number of this form of files, 1 |
//! | `kind` | what the content is, such as `fitted_pipeline` ([`Kind`]) |
//! | `crate_version` | the version of the crate that wrote the file; only told |
//! | `fingerprint` | XXH64 of the content as `postcard` writes it, 16 hexadecimal digits |
//! | `content` | the value |
//!
//! Inside the content, each stage (sampler, loss, model, calibrator, fitted model, calibration map) is an object with
//! one entry: its kind and its values. So a pipeline whose types are known when the program is compiled and one whose
//! stages are boxed write the same file, and each reads the other's.
//!
//! Nothing that is read is trusted. Every value passes the checks of the constructor it belongs to; unknown versions,
//! kinds and fields are errors; lengths are compared with what is stored before memory is asked for.
//!
//! # Your own stages
//! Let `serde` derive its `Serialize` and `Deserialize`, give the type a [`Kind`], return [`Part::of(self)`](Part::of) from the trait's method `saved`, and, for
//! boxed stages, call `register` of its folder once before the first file is read, such as
//! [`loss::register`](crate::loss::register). A stage without that is refused when it is to be saved
//! ([`Error::NotSavable`](crate::Error::NotSavable)).

mod envelope;
mod file;
pub(crate) mod number;
mod part;

use std::path::Path;

pub use envelope::Envelope;
pub use part::{FromPart, Part};
pub(crate) use part::{PartOf, Registry, as_part, nested, stage};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::Result;

/// A type with a name in files.
pub trait Kind {
    /// The name, such as `platt`. Files hold it, so it must not change.
    const KIND: &'static str;
}

/// Something that can be written to a file and read back: every [`Kind`] that `serde` writes and reads.
pub trait Saved: Kind + Serialize + DeserializeOwned + 'static {
    /// This value in its [envelope](self), as JSON.
    ///
    /// # Errors
    /// [`Error::NotSavable`](crate::Error::NotSavable) for a stage of your own that does not say how it is saved;
    /// [`Error::Saved`](crate::Error::Saved) for a number that JSON cannot hold.
    fn to_json(&self) -> Result<String> {
        envelope::to_json(self)
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`Error::Saved`](crate::Error::Saved), which says what is wrong.
    fn from_json(text: &str) -> Result<Self> {
        envelope::from_json(text, "the text")
    }

    /// This value in its [envelope](self), in the compact format of the crate `postcard`.
    ///
    /// # Errors
    /// As for [`to_json`](Self::to_json).
    fn to_bytes(&self) -> Result<Vec<u8>> {
        envelope::to_bytes(self)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// As for [`from_json`](Self::from_json).
    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        envelope::from_bytes(bytes)
    }

    /// Writes this value to a JSON file. The file is written beside, read back, brought to the disk and then renamed: under
    /// the final name there is the old content or the new content, whenever the process ends.
    ///
    /// # Errors
    /// As for [`to_json`](Self::to_json), and [`Error::Io`](crate::Error::Io).
    fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let text = self.to_json()?;
        Self::from_json(&text)?;
        file::replace(path.as_ref(), text.as_bytes())
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), and as for [`from_json`](Self::from_json).
    fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        envelope::from_json(&file::read(path)?, &path.display().to_string())
    }
}

impl<T: Kind + Serialize + DeserializeOwned + 'static> Saved for T {}
