//! A stage inside a file: an object with one entry, its kind and its content.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{LazyLock, PoisonError, RwLock};

use erased_serde::Deserializer as Erased;
use serde::de::{self, DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::ser::{self, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Kind, Saved};
use crate::core::{Error, Result};

/// How deep a file may go, so that none exhausts the 2 MB of stack of a thread: 16 stages inside one another, such
/// as a chain of chains (60 kB each without optimisation), or 48 rules, or less of both. `serde_json` stops
/// at 128 levels of its own, of which a rule takes two.
const DEEPEST: u32 = 48;

/// The part of [`DEEPEST`] that a stage takes; a rule takes 1.
const STAGE: u32 = 3;

/// How a stage is saved: what the method `saved` of its trait returns.
///
/// ```
/// use imbalance::loss::{Derivatives, LogLoss, Loss};
/// use imbalance::saved::{Kind, Part};
/// use std::sync::Arc;
///
/// /// Log loss, counted twice.
/// #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
/// struct Twice;
///
/// impl Kind for Twice {
///     const KIND: &'static str = "twice";
/// }
///
/// impl Loss for Twice {
///     fn at(&self, logit: f64, label: bool) -> Derivatives {
///         LogLoss.at(logit, label).scaled(2.0)
///     }
///     fn shared(&self) -> Arc<dyn Loss> {
///         Arc::new(self.clone())
///     }
///     fn saved(&self) -> Option<Part<'_>> {
///         Some(Part::of(self))
///     }
/// }
///
/// imbalance::loss::register::<Twice>()?;
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Part<'a> {
    kind: &'static str,
    content: &'a dyn erased_serde::Serialize,
}

impl<'a> Part<'a> {
    /// A value with the name of its kind.
    pub fn of<T: Kind + Serialize>(value: &'a T) -> Self {
        Self { kind: T::KIND, content: value }
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A stage that can be read from its [`Part`]: any [`Saved`] type, which is one kind, and boxed stages, which are every
/// kind that is registered.
pub trait FromPart: Sized {
    /// Reads the content of a part of this kind.
    ///
    /// # Errors
    /// A text that says what is wrong.
    #[doc(hidden)]
    fn from_part(kind: &str, content: &mut dyn Erased<'_>) -> Result<Self, erased_serde::Error>;
}

impl<T: Saved> FromPart for T {
    fn from_part(kind: &str, content: &mut dyn Erased<'_>) -> Result<Self, erased_serde::Error> {
        if kind == T::KIND {
            erased_serde::deserialize(content)
        } else {
            Err(de::Error::custom(format!("`{kind}` stands where `{}` is needed", T::KIND)))
        }
    }
}

type Read<T> = fn(&mut dyn Erased<'_>) -> Result<T, erased_serde::Error>;

/// The kinds of a boxed stage.
pub(crate) struct Registry<T> {
    stage: &'static str,
    kinds: LazyLock<RwLock<BTreeMap<&'static str, Read<T>>>>,
}

impl<T> Registry<T> {
    /// The kinds of the library.
    pub(crate) const fn new(
        stage: &'static str,
        kinds: fn() -> RwLock<BTreeMap<&'static str, Read<T>>>,
    ) -> Self {
        Self { stage, kinds: LazyLock::new(kinds) }
    }

    /// Adds a kind.
    pub(crate) fn add(&self, kind: &'static str, read: Read<T>) -> Result<()> {
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        if kinds.contains_key(kind) {
            return Err(Error::invalid("KIND", kind, "a name that no other kind has"));
        }
        kinds.insert(kind, read);
        Ok(())
    }

    /// Reads a part of any of the kinds.
    pub(crate) fn read(
        &self,
        kind: &str,
        content: &mut dyn Erased<'_>,
    ) -> Result<T, erased_serde::Error> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let read = kinds.get(kind).copied();
        let known = || kinds.keys().copied().collect::<Vec<_>>().join(", ");
        let Some(read) = read else {
            return Err(de::Error::custom(format!(
                "there is no {} `{kind}`; there are: {}; one of your own is registered by `register`",
                self.stage,
                known()
            )));
        };
        drop(kinds);
        read(content)
    }
}

/// Gives a boxed stage its kinds, and its module `register`.
macro_rules! stage {
    ($trait:path, $boxed:ty, $stage:literal, $boxing:expr, [$($(#[$when:meta])? $kind:ty),* $(,)?]) => {
        static KINDS: $crate::saved::Registry<$boxed> = $crate::saved::Registry::new($stage, || {
            std::sync::RwLock::new(std::collections::BTreeMap::from([
                $($(#[$when])? (<$kind as $crate::saved::Kind>::KIND, read::<$kind> as _)),*
            ]))
        });

        fn read<T: $crate::saved::Saved + $trait>(
            content: &mut dyn erased_serde::Deserializer<'_>,
        ) -> Result<$boxed, erased_serde::Error> {
            erased_serde::deserialize::<T>(content).map($boxing)
        }

        #[doc = concat!("Makes a ", $stage, " of your own known to files, so that a boxed one can be read.")]
        ///
        /// # Errors
        /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a kind that is known already.
        pub fn register<T: $crate::saved::Saved + $trait>() -> $crate::Result<()> {
            KINDS.add(T::KIND, read::<T>)
        }

        impl $crate::saved::FromPart for $boxed {
            fn from_part(
                kind: &str,
                content: &mut dyn erased_serde::Deserializer<'_>,
            ) -> Result<Self, erased_serde::Error> {
                KINDS.read(kind, content)
            }
        }
    };
}
pub(crate) use stage;

/// A stage that is written as its part.
pub(crate) struct AsPart<'a> {
    part: Option<Part<'a>>,
    stage: &'a dyn fmt::Debug,
}

/// A stage, and what its method `saved` returned.
pub(crate) fn as_part<'a>(part: Option<Part<'a>>, stage: &'a dyn fmt::Debug) -> AsPart<'a> {
    AsPart { part, stage }
}

impl Serialize for AsPart<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Some(Part { kind, content }) = self.part else {
            let stage: String = format!("{:?}", self.stage).chars().take(100).collect();
            return Err(<S::Error as ser::Error>::custom(format!(
                "`{stage}` does not say how it is saved; give its type a `Kind`, and let the method `saved` return \
                 `Part::of(self)`"
            )));
        };
        // What is written can be read again.
        nested(STAGE, <S::Error as ser::Error>::custom, || {
            let mut map = to.serialize_map(Some(1))?;
            map.serialize_entry(kind, content)?;
            map.end()
        })
    }
}

/// A stage that is read from its part.
pub(crate) struct PartOf<T>(pub(crate) T);

impl<'de, T: FromPart> Deserialize<'de> for PartOf<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        nested(STAGE, D::Error::custom, || from.deserialize_map(OneEntry(PhantomData))).map(Self)
    }
}

/// Reads or writes something that may hold others of its kind, and takes this part of the depth that files may have.
pub(crate) fn nested<T, E>(
    part: u32,
    error: impl FnOnce(&'static str) -> E,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    thread_local!(static DEPTH: Cell<u32> = const { Cell::new(0) });
    let before = DEPTH.get();
    if before + part > DEEPEST {
        return Err(error("more than 16 stages or 48 rules stand inside one another"));
    }
    DEPTH.set(before + part);
    let done = work();
    DEPTH.set(before);
    done
}

struct OneEntry<T>(PhantomData<T>);

impl<'de, T: FromPart> Visitor<'de> for OneEntry<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one entry, whose key is a kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let Some(kind) = map.next_key::<String>()? else {
            return Err(A::Error::custom("an empty object stands where a kind is needed"));
        };
        let value = map.next_value_seed(Content { kind: &kind, of: PhantomData })?;
        match map.next_key::<String>()? {
            None => Ok(value),
            Some(other) => Err(A::Error::custom(format!(
                "`{other}` stands beside `{kind}`, but one kind is needed"
            ))),
        }
    }
}

struct Content<'a, T> {
    kind: &'a str,
    of: PhantomData<T>,
}

impl<'de, T: FromPart> DeserializeSeed<'de> for Content<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        T::from_part(self.kind, &mut <dyn Erased<'_>>::erase(from)).map_err(D::Error::custom)
    }
}
