//! The number types features may be stored in.

use std::fmt::Debug;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`: the type features are stored in. All arithmetic is done in `f64`.
pub trait Scalar:
    sealed::Sealed + Copy + Debug + Default + PartialEq + Send + Sync + 'static
{
    /// The value, exactly.
    fn to_f64(self) -> f64;
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The slice itself, if it already holds `f64`.
    fn as_f64(slice: &[Self]) -> Option<&[f64]>;
}

impl Scalar for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(value: f64) -> Self {
        value
    }
    fn as_f64(slice: &[Self]) -> Option<&[f64]> {
        Some(slice)
    }
}

impl Scalar for f32 {
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    fn as_f64(_: &[Self]) -> Option<&[f64]> {
        None
    }
}
