//! Where rows come from: tables, encoders, CSV files, synthetic click logs.

#[cfg(feature = "csv")]
mod csv;
mod encoder;
#[cfg(feature = "csv")]
mod libsvm;
mod pass;
#[cfg(feature = "csv")]
mod records;
mod source;
mod synthetic;
mod table;
mod table_builder;
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
pub(crate) use pass::{Pass, sum};
pub use source::{Batch, Source};
pub use synthetic::{SyntheticClicks, SyntheticLog};
pub use table::Table;
pub(crate) use table_builder::TableBuilder;
#[cfg(feature = "csv")]
pub use time::TimeFormat;
