//! Where rows come from: tables, encoders, files, synthetic click logs.

#[cfg(feature = "arrow")]
mod arrow;
#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "csv")]
mod csv_batches;
#[cfg(feature = "csv")]
mod csv_writer;
mod encoder;
#[cfg(any(feature = "csv", feature = "parquet"))]
mod files;
#[cfg(any(feature = "arrow", feature = "csv"))]
mod frame;
#[cfg(feature = "csv")]
mod libsvm;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_writer;
mod pass;
#[cfg(feature = "csv")]
mod records;
#[cfg(any(feature = "arrow", feature = "csv"))]
mod roles;
mod source;
mod synthetic;
mod table;
mod table_builder;
mod texts;
#[cfg(any(feature = "arrow", feature = "csv"))]
mod time;

#[cfg(feature = "arrow")]
pub use self::arrow::ArrowReader;
#[cfg(feature = "csv")]
pub use self::csv::CsvReader;
#[cfg(feature = "parquet")]
pub use self::parquet::{ParquetBatches, ParquetReader};
#[cfg(feature = "csv")]
pub use csv_batches::CsvBatches;
#[cfg(feature = "csv")]
pub use csv_writer::CsvWriter;
pub use encoder::{
    Bins, DatePart, DateParts, EncodedRow, Encoder, Encoding, FittedEncoder, LevelOrder,
    NumberForm, OneHot, Ordinal, TargetEncoding, Value,
};
#[cfg(any(feature = "arrow", feature = "csv"))]
pub use frame::Frame;
#[cfg(feature = "csv")]
pub use libsvm::LibSvmReader;
#[cfg(feature = "parquet")]
pub use parquet_writer::ParquetWriter;
pub(crate) use pass::{Pass, in_order, sum};
pub use source::{Batch, Source};
pub use synthetic::{SyntheticClicks, SyntheticLog};
pub use table::Table;
#[cfg(feature = "onnx")]
pub(crate) use table::{column_seed, value_hash};
pub(crate) use table_builder::TableBuilder;
#[cfg(any(feature = "arrow", feature = "csv"))]
pub use time::TimeFormat;
