//! Data sets, splits, tables, encoders, readers and synthetic logs.

mod arrow_batches;
mod batches;
#[path = "../common/mod.rs"]
mod common;
mod csv;
mod dataset;
mod encoder;
mod encodings;
mod parquet_files;
mod synthetic;
mod table;
#[cfg(any(feature = "arrow", feature = "csv"))]
mod tables;
mod writers;
