//! Scalar functions of logits that stay exact where the textbook formulas overflow or cancel.

use crate::numerics::vector::{self, exp_of_negative, ln_1p_of_share};

/// The logistic function σ(z) = 1 / (1 + e⁻ᶻ).
///
/// Domain: all of ℝ and ±∞; range \[0, 1\]. Relative error of a few ulp on both sides, so that
/// `sigmoid(-z)` is the exact complement where `1.0 - sigmoid(z)` would cancel.
///
/// ```
/// use imbalance::numerics::sigmoid;
/// assert_eq!(sigmoid(0.0), 0.5);
/// assert!(sigmoid(-700.0) > 0.0);
/// ```
#[inline]
#[must_use]
pub fn sigmoid(z: f64) -> f64 {
    // Never exponentiate a positive number: e⁷¹⁰ overflows.
    let e = (-z.abs()).exp();
    if z >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

/// ln(1 + eᶻ), the softplus function.
///
/// Domain ℝ and ±∞; range \[0, ∞\]. `max(z, 0) + ln(1 + e^{-|z|})` is accurate to a few ulp
/// everywhere: the exponential is at most 1, `ln_1p` keeps its small values, and for z < −37
/// (where 1 + eᶻ rounds to 1) it returns eᶻ itself.
#[inline]
#[must_use]
pub fn log1p_exp(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// ln σ(z) = −ln(1 + e⁻ᶻ).
#[inline]
#[must_use]
pub fn log_sigmoid(z: f64) -> f64 {
    -log1p_exp(-z)
}

/// The log-odds ln(p / (1 − p)) of a probability; −∞ at 0 and +∞ at 1, NaN outside \[0, 1\].
///
/// ```
/// use imbalance::numerics::{logit, sigmoid};
/// assert!((logit(sigmoid(-6.9)) + 6.9).abs() < 1e-14);
/// assert_eq!(logit(0.0), f64::NEG_INFINITY);
/// ```
#[inline]
#[must_use]
pub fn logit(p: f64) -> f64 {
    vector::logit(p)
}

/// σ(z), σ(−z) and their logarithms, from one exponential and one logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Logistic {
    pub(crate) p: f64,
    pub(crate) q: f64,
    pub(crate) log_p: f64,
    pub(crate) log_q: f64,
}

impl Logistic {
    #[inline(always)]
    pub(crate) fn of(z: f64) -> Self {
        let e = exp_of_negative(-z.abs());
        let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
        let log_large = -ln_1p_of_share(e);
        let log_small = log_large - z.abs();
        if z >= 0.0 {
            Self { p: large, q: small, log_p: log_large, log_q: log_small }
        } else {
            Self { p: small, q: large, log_p: log_small, log_q: log_large }
        }
    }
}
