//! Samplers.

#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod neighbours;
mod over;
mod statistics;
mod under;
