//! The stored form of a type, in one place: its kind, its fields, and the checked constructor that takes them back.

/// Makes a type savable, with the feature `serde`; without it, nothing.
///
/// ```ignore
/// stored!(PlattMap as "platt", |map| {
///     slope: f64 = map.line.slope,
///     intercept: f64 = map.line.intercept,
/// } => PlattMap::new(slope, intercept));
/// ```
///
/// Stages inside are `loss: PartOf<L> = as_part(this.loss.saved(), &this.loss)`. The last expression is a
/// `Result<Self>`, which may use the fields by their names.
#[cfg(feature = "serde")]
macro_rules! stored {
    (<$($generic:ident: $bound:path),+> $type:ty as $($form:tt)*) => {
        $crate::core::stored!(@ [$($generic: $bound),+] $type as $($form)*);
    };
    (
        @ [$($generic:ident: $bound:path),*] $type:ty as $kind:literal,
        |$this:pat_param| { $($field:ident: $of:ty = $get:expr),* $(,)? } => $make:expr
    ) => {
        #[allow(non_camel_case_types)]
        const _: () = {
            #[allow(unused_imports)]
            use $crate::saved::{PartOf, as_part, number::Number};

            // The types of the fields are parameters, so that the derive asks nothing of others.
            #[derive(serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Stored<$($field),*> { $($field: $field),* }

            impl<$($generic: $bound),*> serde::Serialize for $type {
                fn serialize<Z: serde::Serializer>(&self, to: Z) -> Result<Z::Ok, Z::Error> {
                    #[allow(unused_imports)]
                    use serde::ser::SerializeStruct as _;
                    let fields: &[&str] = &[$(stringify!($field)),*];
                    #[allow(unused_mut)]
                    let mut to = to.serialize_struct($kind, fields.len())?;
                    let $this = self;
                    $(to.serialize_field(stringify!($field), &$get)?;)*
                    to.end()
                }
            }

            impl<'de, $($generic: $bound + $crate::saved::FromPart),*> serde::Deserialize<'de> for $type {
                fn deserialize<Z: serde::Deserializer<'de>>(from: Z) -> Result<Self, Z::Error> {
                    let Stored { $($field),* } = Stored::<$($of),*>::deserialize(from)?;
                    let made: $crate::Result<Self> = $make;
                    made.map_err(serde::de::Error::custom)
                }
            }

            impl<$($generic: $bound),*> $crate::saved::Kind for $type {
                const KIND: &'static str = $kind;
            }
        };
    };
    ($type:ty as $($form:tt)*) => {
        $crate::core::stored!(@ [] $type as $($form)*);
    };
}

#[cfg(not(feature = "serde"))]
macro_rules! stored {
    ($($of:tt)*) => {};
}

/// The method `saved` of a stage whose type is [`stored!`].
macro_rules! saved_as_part {
    () => {
        #[cfg(feature = "serde")]
        fn saved(&self) -> Option<$crate::saved::Part<'_>> {
            Some($crate::saved::Part::of(self))
        }
    };
}

pub(crate) use {saved_as_part, stored};
