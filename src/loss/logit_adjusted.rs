//! Logit adjustment.

use std::sync::Arc;

use super::{Derivatives, LogLoss, Loss};
use crate::{ClassTotals, Error, Result};

/// Logit-adjusted cross-entropy, ℓ(z + τ ln(π₁/π₀), y) with π the class shares of the rows trained on
/// (Menon et al. 2021, equation 10, for two classes).
///
/// The model learns what is left beside the base rate, so that z > 0 is the decision for balanced error
/// at τ = 1. The shares are filled in by [`Loss::adapted`], which models and pipelines call; until then
/// π₁ = π₀, and [`Loss::pending`] says so. Domain: z ∈ ℝ. Convex.
///
/// **Posterior**: σ(z + τ ln(π₁/π₀)).
///
/// ```
/// use imbalance::ClassTotals;
/// use imbalance::loss::{LogitAdjusted, Loss};
///
/// let loss = LogitAdjusted::new(1.0)?;
/// assert_eq!(loss.posterior(0.0), 0.5); // no rows seen yet
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitAdjusted {
    tau: f64,
    /// τ ln(π₁/π₀).
    shift: f64,
    /// Whether the shift is still to come from the rows.
    pending: bool,
}

impl LogitAdjusted {
    /// Adjustment by τ times the log-odds of the rows trained on. Usual: τ = 1; 0 is cross-entropy.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless τ is finite and not negative.
    pub fn new(tau: f64) -> Result<Self> {
        if tau >= 0.0 && tau.is_finite() {
            Ok(Self { tau, shift: 0.0, pending: tau > 0.0 })
        } else {
            Err(Error::invalid("tau", tau, "finite and not negative"))
        }
    }
}

impl Loss for LogitAdjusted {
    #[inline]
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        LogLoss.at(logit + self.shift, label)
    }

    fn adapted(&self, train: &ClassTotals) -> Result<Arc<dyn Loss>> {
        train.need_both("logit adjustment")?;
        let shift = self.tau * train.log_odds();
        Ok(Arc::new(Self { tau: self.tau, shift, pending: false }))
    }

    fn pending(&self) -> bool {
        self.pending
    }

    #[inline]
    fn posterior_logit(&self, logit: f64) -> f64 {
        logit + self.shift
    }

    fn posterior_shift(&self) -> Option<f64> {
        Some(self.shift)
    }
}
