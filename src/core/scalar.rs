//! The number types of stored features.

use std::fmt::Debug;

use ndarray::{Array2, ArrayView1};
use sprs::CsMat;

use super::features::{Entries, RowKind, Storage};
use super::{Features, FeaturesView, Matrix, Row};

/// How precisely features are stored. All arithmetic is done in `f64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Precision {
    /// `f32`: half the memory, 7 decimal digits.
    F32,
    /// `f64`: 15 decimal digits.
    #[default]
    F64,
}

mod sealed {
    use super::{Array2, ArrayView1, CsMat, Features, FeaturesView, Matrix, Row};

    /// Conversions between a number type in the code and the same type as a variant at run time.
    pub trait Sealed: Sized {
        fn view(x: Matrix<'_, Self>) -> FeaturesView<'_>;
        fn row<'a>(
            columns: usize,
            indices: Option<&'a [usize]>,
            values: ArrayView1<'a, Self>,
        ) -> Row<'a>;
        /// The matrix of a view, if it holds this type.
        fn matrix(x: FeaturesView<'_>) -> Option<Matrix<'_, Self>>;
        fn dense(x: Array2<Self>) -> Features<'static>;
        fn sparse(x: CsMat<Self>) -> Features<'static>;
    }
}

/// `f32` or `f64`: a type of stored features. All arithmetic is done in `f64`.
pub trait Scalar:
    sealed::Sealed + Copy + Debug + Default + PartialEq + Send + Sync + 'static
{
    /// This type.
    const PRECISION: Precision;
    /// The value, exactly.
    fn to_f64(self) -> f64;
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// The slice itself, if this type is `f64`.
    fn as_f64(slice: &[Self]) -> Option<&[f64]>;
}

macro_rules! scalar {
    ($float:ident, $variant:ident, $dense:ident, $sparse:ident, $as_f64:expr) => {
        impl sealed::Sealed for $float {
            fn view(x: Matrix<'_, Self>) -> FeaturesView<'_> {
                FeaturesView::$variant(x)
            }
            fn row<'a>(
                columns: usize,
                indices: Option<&'a [usize]>,
                values: ArrayView1<'a, Self>,
            ) -> Row<'a> {
                Row(RowKind::$variant(Entries { columns, indices, values }))
            }
            fn matrix(x: FeaturesView<'_>) -> Option<Matrix<'_, Self>> {
                if let FeaturesView::$variant(x) = x { Some(x) } else { None }
            }
            fn dense(x: Array2<Self>) -> Features<'static> {
                Features(Storage::$dense(x))
            }
            fn sparse(x: CsMat<Self>) -> Features<'static> {
                Features(Storage::$sparse(x))
            }
        }

        impl Scalar for $float {
            const PRECISION: Precision = Precision::$variant;

            fn to_f64(self) -> f64 {
                self.into()
            }
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            fn as_f64(slice: &[Self]) -> Option<&[f64]> {
                $as_f64(slice)
            }
        }
    };
}

scalar!(f32, F32, DenseF32, SparseF32, |_| None);
scalar!(f64, F64, DenseF64, SparseF64, Some);
