//! The vocabulary of all stages: rows, features, distortion, splits, seeds, errors.

mod attribute;
mod cut;
mod dataset;
mod display;
mod distortion;
mod error;
mod features;
mod folds;
mod meter;
mod names;
#[cfg(any(feature = "csv", feature = "parquet", feature = "serde"))]
mod new_file;
mod rows;
mod run;
mod scalar;
mod seed;
mod selected;
mod split;
mod stored;
mod totals;

#[cfg(any(feature = "arrow", feature = "csv"))]
pub(crate) use attribute::ensure_new_name;
pub use attribute::{Attribute, Categories, IntoColumn};
pub(crate) use attribute::{Attributes, CategoriesBuilder, Columns, Selection};
pub use cut::Cut;
pub use dataset::Dataset;
pub(crate) use display::{Fixed, aligned, brief, number, signed};
pub use distortion::Distortion;
pub use error::{Error, Result, SavedProblem, Separation};
pub(crate) use error::{attempted, same_length};
pub(crate) use features::{
    CsrRows, columns_without, dense, gather_into, sparse_row, sparse_union, visit,
};
pub use features::{Features, FeaturesView, Matrix, Row};
pub use folds::Folds;
pub(crate) use folds::ensure_fold_count;
pub(crate) use meter::{Meter, PART};
pub(crate) use names::{column_name, rename, valid_names};
#[cfg(any(feature = "csv", feature = "parquet", feature = "serde"))]
pub(crate) use new_file::NewFile;
pub(crate) use rows::{Rows, ensure_finite, ensure_weights};
#[cfg(test)]
pub(crate) use run::tests::assert_observed;
pub use run::{Progress, Run};
pub use scalar::{Precision, Scalar};
pub use seed::Seed;
pub(crate) use seed::{RandomSubset, RandomSubset as Chosen};
pub use split::Split;
pub(crate) use split::round;
pub(crate) use stored::{saved_as_part, stored};
pub use totals::ClassTotals;

/// Whether the system would give so many bytes; `None` is a number above `usize`. An allocation that fails ends
/// the process, so large ones are asked for first.
pub(crate) fn fits_memory(bytes: Option<usize>) -> bool {
    bytes.is_some_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok())
}

/// Refuses columns whose vectors, together of so many bytes a column, do not fit into memory.
pub(crate) fn ensure_columns_fit(columns: usize, bytes: usize) -> Result<()> {
    if fits_memory(columns.checked_mul(bytes)) {
        return Ok(());
    }
    let expected = format!("fewer: there is no memory for {bytes} bytes a column");
    Err(Error::invalid("columns", columns, expected))
}

/// Largest length of a `Vec<f64>`, which has at most `isize::MAX` bytes.
pub(crate) const MAX_LEN: usize = isize::MAX as usize / size_of::<f64>();
