//! Functions of numbers: exponentials and logarithms, the incomplete beta function, small linear algebra.

pub(crate) mod bucket_index;
pub(crate) mod incomplete_beta;
pub(crate) mod linalg;
mod logistic;
pub(crate) mod vector;

pub use logistic::*;
