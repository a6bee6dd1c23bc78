//! The vocabulary of every stage: rows and their features, what was done to them, splits, seeds, errors.

mod attribute;
mod cut;
mod dataset;
mod distortion;
mod error;
mod features;
mod folds;
mod rows;
mod run;
mod scalar;
mod seed;
mod split;
mod totals;

pub use attribute::{Attribute, Categories, IntoColumn};
pub(crate) use attribute::{Attributes, Selection, Texts, find, new_name};
pub use cut::Cut;
pub use dataset::Dataset;
pub use distortion::Distortion;
pub(crate) use error::same_length;
pub use error::{Error, Result};
pub(crate) use features::{CsrRows, dense, gather_into, sparse_row, sparse_union, visit};
pub use features::{Features, FeaturesView, Matrix, Row};
pub use folds::Folds;
pub(crate) use folds::check_count;
pub(crate) use rows::{Rows, check_finite, check_weights};
pub use run::{Progress, Run};
pub use scalar::{Precision, Scalar};
pub(crate) use seed::Chosen;
pub use seed::Seed;
pub use split::Split;
pub(crate) use split::round;
pub use totals::ClassTotals;

/// Most numbers of 8 bytes that a list can hold: asking for the memory of more would panic.
pub(crate) const ADDRESSABLE: usize = isize::MAX as usize / size_of::<f64>();
