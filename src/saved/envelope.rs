//! What stands around the content of a file.

use std::borrow::Cow;

use postcard::take_from_bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use twox_hash::XxHash64;

use super::Saved;
use crate::core::{Error, Result, SavedProblem};

const FORMAT: &str = "imbalance";

/// Raised when the meaning of what is stored changes.
const VERSION: u32 = 1;

/// A value in its [envelope](super), for any format of `serde`. A reader learns only the text of an error; the
/// methods of [`Saved`] return typed ones.
///
/// ```
/// use imbalance::loss::FocalLoss;
/// use imbalance::saved::Envelope;
///
/// let loss = FocalLoss::new(2.0)?;
/// let text = serde_json::to_string(&Envelope(loss)).expect("JSON");
/// let Envelope::<FocalLoss>(same) = serde_json::from_str(&text).expect("the same loss");
/// assert_eq!(same, loss);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<T>(pub T);

/// The fields, in their order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a, C> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u32,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    crate_version: Cow<'a, str>,
    #[serde(borrow)]
    fingerprint: Cow<'a, str>,
    content: C,
}

/// The fields before the content. `postcard` writes nothing for `()`.
type Head<'a> = Fields<'a, ()>;

impl<'a, C> Fields<'a, C> {
    /// The head, and the content apart.
    fn split(self) -> (Head<'a>, C) {
        let Self { format, version, kind, crate_version, fingerprint, content } = self;
        (Head { format, version, kind, crate_version, fingerprint, content: () }, content)
    }
}

impl<'a> Head<'a> {
    fn before<C>(self, content: C) -> Fields<'a, C> {
        let Self { format, version, kind, crate_version, fingerprint, .. } = self;
        Fields { format, version, kind, crate_version, fingerprint, content }
    }
}

impl Head<'static> {
    fn of<T: Saved>(content: &T) -> Result<Self, postcard::Error> {
        Ok(Self {
            format: FORMAT.into(),
            version: VERSION,
            kind: T::KIND.into(),
            crate_version: env!("CARGO_PKG_VERSION").into(),
            fingerprint: fingerprint(content)?.into(),
            content: (),
        })
    }
}

impl Head<'_> {
    /// Checks everything but the fingerprint.
    fn ensure_of<T: Saved>(&self) -> Result<(), SavedProblem> {
        if self.format != FORMAT {
            return Err(SavedProblem::Format { found: self.format.clone().into_owned() });
        }
        if self.version != VERSION {
            return Err(SavedProblem::Version { found: self.version, known: VERSION });
        }
        if self.kind != T::KIND {
            let found = self.kind.clone().into_owned();
            return Err(SavedProblem::Kind { found, expected: T::KIND });
        }
        Ok(())
    }

    fn ensure_fingerprint<T: Saved>(&self, content: &T) -> Result<(), SavedProblem> {
        let computed = fingerprint(content).map_err(SavedProblem::content)?;
        if self.fingerprint == computed {
            return Ok(());
        }
        let found = self.fingerprint.clone().into_owned();
        Err(SavedProblem::Fingerprint { found, computed })
    }
}

fn fingerprint<T: Saved>(content: &T) -> Result<String, postcard::Error> {
    let bytes = postcard::to_allocvec(content)?;
    Ok(format!("{:016x}", XxHash64::oneshot(0, &bytes)))
}

impl<T: Saved> Serialize for Envelope<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let head = Head::of(&self.0).map_err(serde::ser::Error::custom)?;
        head.before(&self.0).serialize(to)
    }
}

impl<'de, T: Saved> Deserialize<'de> for Envelope<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (head, content) = Fields::<T>::deserialize(from)?.split();
        head.ensure_of::<T>().map_err(D::Error::custom)?;
        head.ensure_fingerprint(&content).map_err(D::Error::custom)?;
        Ok(Self(content))
    }
}

pub(super) fn to_json<T: Saved>(content: &T) -> Result<String> {
    let head = Head::of(content).map_err(|_| not_savable(content))?;
    serde_json::to_string(&head.before(content)).map_err(|_| not_savable(content))
}

/// The reason why a value cannot be written. Only JSON has it in words.
fn not_savable<T: Saved>(content: &T) -> Error {
    let written = serde_json::to_writer(std::io::sink(), content);
    let why = written
        .err()
        .map_or_else(|| "it does not fit the format".into(), |error| error.to_string());
    Error::NotSavable { kind: T::KIND, why }
}

pub(super) fn from_json<T: Saved>(text: &str, place: &str) -> Result<T> {
    let read = || -> Result<T, SavedProblem> {
        let fields = serde_json::from_str::<Fields<'_, &RawValue>>(text);
        let (head, content) = fields.map_err(SavedProblem::syntax)?.split();
        head.ensure_of::<T>()?;
        let content = serde_json::from_str(content.get()).map_err(SavedProblem::content)?;
        head.ensure_fingerprint(&content)?;
        Ok(content)
    };
    read().map_err(|problem| Error::Saved { place: place.into(), problem })
}

pub(super) fn to_bytes<T: Saved>(content: &T) -> Result<Vec<u8>> {
    let written = Head::of(content).and_then(|head| postcard::to_allocvec(&head.before(content)));
    written.map_err(|_| not_savable(content))
}

pub(super) fn from_bytes<T: Saved>(bytes: &[u8]) -> Result<T> {
    let read = || -> Result<T, SavedProblem> {
        // `postcard` writes the fields of a structure one after the other, so the head can be read alone.
        let (head, content) = take_from_bytes::<Head<'_>>(bytes).map_err(SavedProblem::syntax)?;
        head.ensure_of::<T>()?;
        let (content, left) = take_from_bytes(content).map_err(SavedProblem::content)?;
        if !left.is_empty() {
            return Err(SavedProblem::content(format!("{} bytes follow the content", left.len())));
        }
        head.ensure_fingerprint(&content)?;
        Ok(content)
    };
    read().map_err(|problem| Error::Saved { place: "the bytes".into(), problem })
}
