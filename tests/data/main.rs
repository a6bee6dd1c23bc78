//! Data sets, splits, tables, encoders, readers and synthetic logs.

mod batches;
#[path = "../common/mod.rs"]
mod common;
mod csv;
mod dataset;
mod encoder;
mod encodings;
mod synthetic;
mod table;
#[cfg(feature = "csv")]
mod tables;
