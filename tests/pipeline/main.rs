//! Stages composed.

mod combinations;
mod cross_fitting;
mod losses;
mod stages;
#[path = "../../examples/combinations/mod.rs"]
mod table;
