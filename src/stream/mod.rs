//! Fits to all rows of a log that does not fit in memory.

mod fit;
mod gradient;
mod pairs;

pub use fit::{SourceFit, SourceFitted, SourcePass};
