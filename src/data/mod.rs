//! Rows and where they come from: feature matrices, data sets, splits, readers, synthetic click logs.

mod column;
#[cfg(feature = "csv")]
mod csv;
mod dataset;
mod encoder;
mod features;
mod folds;
mod scalar;
mod split;
mod synthetic;
mod table;

#[cfg(feature = "csv")]
pub use self::csv::CsvReader;
pub use column::{Attribute, Categories, IntoColumn};
pub(crate) use column::{Attributes, Selection};
pub use dataset::{ClassTotals, Dataset};
pub(crate) use dataset::{check_finite, check_offsets, check_weights};
pub use encoder::{EncodedRow, Encoder, FittedEncoder};
pub(crate) use features::{CsrRows, dense, gather_into, sparse_row, sparse_union};
pub use features::{Features, FeaturesView, Row};
pub use folds::Folds;
pub(crate) use folds::check_count;
pub use scalar::Scalar;
pub use split::Split;
pub(crate) use split::round;
pub use synthetic::{SyntheticClicks, SyntheticLog};
pub use table::Table;

/// Most numbers of 8 bytes that a list can hold: asking for the memory of more would panic.
pub(crate) const ADDRESSABLE: usize = isize::MAX as usize / size_of::<f64>();
