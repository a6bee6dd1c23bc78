//! Stages composed.

mod combinations;
mod cross_fitting;
mod explanation;
mod export;
mod files;
mod losses;
mod saved;
mod scorer;
mod self_check;
mod stages;
mod stream;
#[path = "../../examples/combinations/mod.rs"]
mod table;
mod untrusted;
