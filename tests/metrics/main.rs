//! Metrics.

mod binned;
mod curves;
mod numbers;
