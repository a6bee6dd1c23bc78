//! Samplers.

#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod keyed;
mod neighbours;
mod over;
mod statistics;
mod under;
