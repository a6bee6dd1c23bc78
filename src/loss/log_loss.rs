//! Binary cross-entropy.

use std::sync::Arc;

use super::{Derivatives, Loss, Posterior};
use crate::core::{saved_as_part, stored};
use crate::numerics::vector::{exp_of_negative, ln_1p_of_share};

/// Binary cross-entropy on logits, ℓ(z, y) = ln(1 + eᶻ) − y z (equation 7): the negative
/// log-likelihood of logistic regression, and the identity among the losses.
///
/// Domain: z ∈ ℝ. Gradient σ(z) − y, Hessian σ(z)(1 − σ(z)); convex; no constant is dropped. It is
/// proper, so its [`posterior`](Loss::posterior) is the identity.
///
/// Sources: Good 1952 (the logarithmic score of a forecast); Cox 1958 (the regression); Hastie, Tibshirani
/// & Friedman 2009, §4.4.1 (this form and its derivatives).
///
/// ```
/// use imbalance::loss::{LogLoss, Loss};
/// let at = LogLoss.at(0.0, true);
/// assert_eq!((at.value, at.gradient, at.hessian), (2_f64.ln(), -0.5, 0.25));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogLoss;

impl Loss for LogLoss {
    #[inline(always)]
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        // In the signed logit s (z for a positive, −z for a negative) both classes are one formula
        // and nothing cancels: ℓ = ln(1 + e⁻ˢ). One exponential serves all three.
        let signed = if label { logit } else { -logit };
        let e = exp_of_negative(-signed.abs());
        let wrong = (if signed >= 0.0 { e } else { 1.0 }) / (1.0 + e);
        Derivatives {
            value: (-signed).max(0.0) + ln_1p_of_share(e),
            gradient: if label { -wrong } else { wrong },
            hessian: e / ((1.0 + e) * (1.0 + e)),
        }
    }

    fn posterior(&self) -> Posterior {
        Posterior::Identity
    }

    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(*self)
    }

    saved_as_part!();
}

stored!(LogLoss as "log_loss", |_| {} => Ok(LogLoss));
