//! How work runs: cut into blocks of rows, on all cores, with vector instructions.
//!
//! A **row** is one observation. **Lanes** ([`simd::LANES`] rows) are the rows that one vector loop works on
//! side by side. A **tile** ([`simd::TILE`] rows) is a part of a block that stays in the first-level cache
//! while several loops pass over it. A **block** ([`parallel::BLOCK`] rows, or [`parallel::sum_block`] for sums)
//! is the part of the rows that one thread works on at a time.

pub(crate) mod accumulate;
pub(crate) mod parallel;
pub(crate) mod simd;
