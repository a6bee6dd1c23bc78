//! Logit adjustment.

use std::sync::Arc;

use super::{Derivatives, LogLoss, Loss, Posterior};
use crate::core::{ClassTotals, Error, Result, saved_as_part, stored};

/// Logit-adjusted cross-entropy, ℓ(z + τ ln(π₁/π₀), y) with π the class shares of the rows trained on
/// (Menon et al. 2021, equation 10, for two classes).
///
/// The model learns the part of the log-odds that the base rate does not explain, so that z > 0 is the
/// decision for balanced error at τ = 1. [`Loss::resolve`], which models and pipelines call, fills in the
/// shares; before that π₁ = π₀, and [`Loss::is_resolved`] is false. Domain: z ∈ ℝ. Convex.
///
/// **Posterior**: σ(z + τ ln(π₁/π₀)).
///
/// ```
/// use imbalance::ClassTotals;
/// use imbalance::loss::{LogitAdjusted, Loss};
///
/// let loss = LogitAdjusted::new(1.0)?;
/// assert_eq!(loss.posterior().probability(0.0), 0.5); // no rows seen yet
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitAdjusted {
    tau: f64,
    /// τ ln(π₁/π₀).
    shift: f64,
    /// Whether the shift is that of rows.
    resolved: bool,
}

impl LogitAdjusted {
    /// Adjustment by τ times the log-odds of the rows trained on. Usual: τ = 1; 0 is cross-entropy.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless τ is finite and not negative.
    pub fn new(tau: f64) -> Result<Self> {
        if tau >= 0.0 && tau.is_finite() {
            Ok(Self { tau, shift: 0.0, resolved: tau == 0.0 })
        } else {
            Err(Error::invalid("tau", tau, "finite and not negative"))
        }
    }

    /// This loss with the shift of the rows it was resolved for.
    #[cfg(feature = "serde")]
    fn resolved_as(self, shift: Option<f64>) -> Result<Self> {
        match shift {
            None => Ok(self),
            Some(shift) if shift.is_finite() => Ok(Self { shift, resolved: true, ..self }),
            Some(shift) => Err(Error::invalid("shift", shift, "finite")),
        }
    }
}

impl Loss for LogitAdjusted {
    #[inline]
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        LogLoss.at(logit + self.shift, label)
    }

    fn posterior(&self) -> Posterior {
        Posterior::Identity.shifted(self.shift)
    }

    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(*self)
    }

    fn resolve(&self, train: &ClassTotals) -> Result<Arc<dyn Loss>> {
        train.ensure_both("logit adjustment")?;
        let shift = self.tau * train.log_odds();
        Ok(Arc::new(Self { tau: self.tau, shift, resolved: true }))
    }

    fn is_resolved(&self) -> bool {
        self.resolved
    }

    saved_as_part!();
}

stored!(LogitAdjusted as "logit_adjusted", |loss| {
    tau: f64 = loss.tau,
    shift: Option<f64> = loss.resolved.then_some(loss.shift),
} => Self::new(tau).and_then(|loss| loss.resolved_as(shift)));
