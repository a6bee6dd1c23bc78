//! Where rows come from: tables, encoders, CSV files, synthetic click logs.

#[cfg(feature = "csv")]
mod csv;
mod encoder;
mod synthetic;
mod table;

#[cfg(feature = "csv")]
pub use self::csv::CsvReader;
pub use encoder::{EncodedRow, Encoder, FittedEncoder};
pub use synthetic::{SyntheticClicks, SyntheticLog};
pub use table::Table;
