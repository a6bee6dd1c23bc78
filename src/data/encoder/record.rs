//! Values of a record.

/// A value of a record, for [`FittedEncoder::encode_record`](super::FittedEncoder::encode_record).
///
/// ```
/// use imbalance::data::Value;
///
/// let record: [(&str, Value<'_>); 3] =
///     [("country", "FR".into()), ("price", 3.5.into()), ("age", None::<f64>.into())];
/// assert_eq!(record[2].1, Value::Missing);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number, or a time in seconds since 1970. NaN is a missing one. Times that are written as texts are read by
    /// `TimeFormat::seconds` (feature `csv`), in the format that the reader of the training rows was told or found: a text of
    /// its own does not say which.
    Number(f64),
    /// A category.
    Text(&'a str),
    /// A missing number, or the empty text.
    Missing,
}

macro_rules! from_numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Value<'_> {
            fn from(number: $number) -> Self {
                Self::Number(number.into())
            }
        }
    )*};
}

from_numbers!(f64, f32, i8, i16, i32, u8, u16, u32);

macro_rules! from_large_numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Value<'_> {
            /// The nearest `f64`; beyond 2⁵³ not every whole number is one.
            fn from(number: $number) -> Self {
                Self::Number(number as f64)
            }
        }
    )*};
}

from_large_numbers!(i64, u64, usize);

impl From<bool> for Value<'_> {
    /// 1 or 0.
    fn from(is: bool) -> Self {
        Self::Number(f64::from(u8::from(is)))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}
