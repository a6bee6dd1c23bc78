//! Reports and pictures.

mod permutation;
mod plot;
mod report;
