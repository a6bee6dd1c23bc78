//! How work runs: cut into blocks of rows, on all cores, on vector registers.

pub(crate) mod accumulate;
pub(crate) mod parallel;
pub(crate) mod simd;
