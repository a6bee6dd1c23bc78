//! Reports and pictures.

mod plot;
mod report;
