//! The number types features may be stored in.

use std::fmt::Debug;

use ndarray::{Array2, ArrayView1};
use sprs::CsMat;

use super::features::{Entries, RowKind, Storage};
use super::{Features, FeaturesView, Matrix, Row};

/// How precisely features are stored. All arithmetic is done in `f64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// `f32`: half the memory, 7 digits.
    F32,
    /// `f64`.
    #[default]
    F64,
}

mod sealed {
    use super::{Array2, ArrayView1, CsMat, Features, FeaturesView, Matrix, Row};

    /// The way from a number type that is known to the compiler to one that is known when the program runs.
    pub trait Sealed: Sized {
        fn view(x: Matrix<'_, Self>) -> FeaturesView<'_>;
        fn row<'a>(
            columns: usize,
            indices: Option<&'a [usize]>,
            values: ArrayView1<'a, Self>,
        ) -> Row<'a>;
        /// The matrix of a view that holds this type.
        fn matrix(x: FeaturesView<'_>) -> Option<Matrix<'_, Self>>;
        fn dense(x: Array2<Self>) -> Features<'static>;
        fn sparse(x: CsMat<Self>) -> Features<'static>;
    }
}

/// `f32` or `f64`: the type features are stored in. All arithmetic is done in `f64`.
pub trait Scalar:
    sealed::Sealed + Copy + Debug + Default + PartialEq + Send + Sync + 'static
{
    /// This type.
    const PRECISION: Precision;
    /// The value, exactly.
    fn to_f64(self) -> f64;
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The slice itself, if it already holds `f64`.
    fn as_f64(slice: &[Self]) -> Option<&[f64]>;
}

impl sealed::Sealed for f64 {
    fn view(x: Matrix<'_, Self>) -> FeaturesView<'_> {
        FeaturesView::F64(x)
    }
    fn row<'a>(
        columns: usize,
        indices: Option<&'a [usize]>,
        values: ArrayView1<'a, Self>,
    ) -> Row<'a> {
        Row(RowKind::F64(Entries { columns, indices, values }))
    }
    fn matrix(x: FeaturesView<'_>) -> Option<Matrix<'_, Self>> {
        if let FeaturesView::F64(x) = x { Some(x) } else { None }
    }
    fn dense(x: Array2<Self>) -> Features<'static> {
        Features(Storage::DenseF64(x))
    }
    fn sparse(x: CsMat<Self>) -> Features<'static> {
        Features(Storage::SparseF64(x))
    }
}

impl Scalar for f64 {
    const PRECISION: Precision = Precision::F64;

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

impl sealed::Sealed for f32 {
    fn view(x: Matrix<'_, Self>) -> FeaturesView<'_> {
        FeaturesView::F32(x)
    }
    fn row<'a>(
        columns: usize,
        indices: Option<&'a [usize]>,
        values: ArrayView1<'a, Self>,
    ) -> Row<'a> {
        Row(RowKind::F32(Entries { columns, indices, values }))
    }
    fn matrix(x: FeaturesView<'_>) -> Option<Matrix<'_, Self>> {
        if let FeaturesView::F32(x) = x { Some(x) } else { None }
    }
    fn dense(x: Array2<Self>) -> Features<'static> {
        Features(Storage::DenseF32(x))
    }
    fn sparse(x: CsMat<Self>) -> Features<'static> {
        Features(Storage::SparseF32(x))
    }
}

impl Scalar for f32 {
    const PRECISION: Precision = Precision::F32;

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
