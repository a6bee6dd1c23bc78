//! Functions of numbers: exponentials and logarithms, the incomplete beta function, small linear algebra, roots.

pub(crate) mod bucket_index;
pub(crate) mod incomplete_beta;
pub(crate) mod isotonic;
pub(crate) mod linalg;
mod logistic;
pub(crate) mod root;
pub(crate) mod sum;
pub(crate) mod vector;

pub use logistic::*;

/// The largest power of two that is at most `x`, for a positive finite `x`.
///
/// Dividing by it brings numbers of any size near 1 without rounding them.
pub(crate) fn power_of_two_below(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff0_0000_0000_0000;
    f64::from_bits(x.to_bits() & EXPONENT).max(f64::MIN_POSITIVE)
}
