//! Calibrators.

mod calibrators;
mod conformance;
mod fixtures;
mod prior_correction;
mod scale;
