//! Metrics.

mod curves;
mod numbers;
