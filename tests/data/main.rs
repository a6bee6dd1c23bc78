//! Data sets, splits and readers.

#[path = "../common/mod.rs"]
mod common;
mod csv;
mod dataset;
