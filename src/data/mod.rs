//! Where rows come from: tables, encoders, CSV files, synthetic click logs.

#[cfg(feature = "csv")]
mod csv;
mod encoder;
#[cfg(feature = "csv")]
mod libsvm;
#[cfg(feature = "csv")]
mod records;
mod synthetic;
mod table;
mod texts;
#[cfg(feature = "csv")]
mod time;

#[cfg(feature = "csv")]
pub use self::csv::CsvReader;
pub use encoder::{
    Bins, DatePart, DateParts, EncodedRow, Encoder, Encoding, FittedEncoder, LevelOrder,
    NumberForm, OneHot, Ordinal, TargetEncoding, Value,
};
#[cfg(feature = "csv")]
pub use libsvm::LibSvmReader;
pub use synthetic::{SyntheticClicks, SyntheticLog};
pub use table::Table;
#[cfg(feature = "onnx")]
pub(crate) use table::{column_seed, value_hash};
#[cfg(feature = "csv")]
pub use time::TimeFormat;
