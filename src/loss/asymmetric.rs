//! Asymmetric loss.

use std::sync::Arc;

use super::{Derivatives, FocalLoss, Loss, Posterior};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::numerics::Logistic;

/// Asymmetric loss (Ridnik et al. 2021): focal with a γ for each class, and a margin below which
/// negatives have no loss.
///
/// - positives: −(1 − p)ᵞ⁺ ln p,
/// - negatives: −rᵞ⁻ ln(1 − r), with r = max(p − m, 0).
///
/// Domain: z ∈ ℝ. Not convex, but for γ₊ = γ₋ = 0, which is cross-entropy. For p ≤ m a negative has
/// neither loss, slope nor curvature. Slopes are continuous at p = m; the curvature jumps there for
/// γ₋ = 1 and is continuous for more.
///
/// **Posterior**: g₀/(g₀ − g₁) for p > m, and 0 below, where no class probability has its minimum: the
/// model's σ(z) says nothing about rates there. A margin above the base rate still gives calibrated
/// probabilities, because the minimum for η > 0 always lies above m. With a margin the loss of a negative
/// is bounded, so that certain positives outweigh it: for γ₊ = 0 the posterior stays below C/(1 + C)
/// with C = γ₋(1 − m)^(γ₋ − 1) ln(1/m) + (1 − m)^γ₋/m (0.964 for γ₋ = 4 and m = 0.05), and for η above
/// that the expected loss has its minimum at z = ∞.
///
/// ```
/// use imbalance::loss::{AsymmetricLoss, Loss};
///
/// let loss = AsymmetricLoss::new(0.0, 4.0, 0.05)?;
/// assert_eq!(loss.at(-4.0, false).value, 0.0); // σ(−4) = 0.018 is below the margin
/// assert_eq!(loss.posterior().probability(-4.0), 0.0);
/// assert!(loss.posterior().probability(-2.0) > 0.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AsymmetricLoss {
    positive: FocalLoss,
    negative: FocalLoss,
    margin: f64,
}

impl AsymmetricLoss {
    /// γ₊ for positives, γ₋ for negatives, and the margin m. Usual: 0, 4 and 0.05.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ γ₊, γ₋ ≤ 1e100 and 0 ≤ m < 1; with m > 0,
    /// γ₋ must be at least 1, as otherwise the curvature is unbounded above the margin.
    pub fn new(gamma_positive: f64, gamma_negative: f64, margin: f64) -> Result<Self> {
        let focal = |argument, gamma| {
            FocalLoss::new(gamma).map_err(|_| Error::invalid(argument, gamma, "from 0 to 1e100"))
        };
        let positive = focal("gamma_positive", gamma_positive)?;
        let negative = focal("gamma_negative", gamma_negative)?;
        if !(0.0..1.0).contains(&margin) {
            return Err(Error::invalid("margin", margin, "at least 0 and below 1"));
        }
        if margin > 0.0 && gamma_negative < 1.0 {
            return Err(Error::invalid(
                "gamma_negative",
                gamma_negative,
                "at least 1 with a margin",
            ));
        }
        Ok(Self { positive, negative, margin })
    }

    /// The derivative by p of a negative's loss above the margin, u = p − m > 0, with ln(1 − u).
    #[inline]
    fn slope_in_p(&self, above: f64, rest: f64, log_rest: f64) -> f64 {
        let power = above.powf(self.negative.gamma());
        -self.negative.gamma() * power / above * log_rest + power / rest
    }

    /// u = p − m, 1 − u and ln(1 − u), without cancellation at either end.
    #[inline]
    fn above(&self, at: &Logistic) -> (f64, f64, f64) {
        let above = at.p - self.margin;
        let rest = at.q + self.margin;
        (above, rest, if above < 0.5 { (-above).ln_1p() } else { rest.ln() })
    }

    /// The log-odds of the class probability that a logit stands for.
    pub(super) fn log_odds(&self, logit: f64) -> f64 {
        // Certain logits stay certain: ∞ · 0 would be NaN.
        let logit = logit.clamp(f64::MIN, f64::MAX);
        let at = Logistic::of(logit);
        if self.margin == 0.0 {
            return self.negative.log_slope(&Logistic::of(-logit)) - self.positive.log_slope(&at);
        }
        let (above, rest, log_rest) = self.above(&at);
        if above <= 0.0 {
            return f64::NEG_INFINITY;
        }
        // ln g₀ = ln(dL/du · p · q) and ln(−g₁) = (1 + γ₊) ln q + excess. One ln q cancels; without it no
        // digit is lost where it is large.
        self.slope_in_p(above, rest, log_rest).ln() + at.log_p
            - self.positive.gamma() * at.log_q
            - self.positive.log_excess(&at)
    }

    #[inline]
    fn negative_above_margin(&self, logit: f64) -> Derivatives {
        let at = Logistic::of(logit);
        let (above, rest, log_rest) = self.above(&at);
        if above <= 0.0 {
            return Derivatives { value: 0.0, gradient: 0.0, hessian: 0.0 };
        }
        let gamma = self.negative.gamma();
        // In u = p − m: L = −uᵞ ln(1 − u), and u changes with the logit as p does.
        let power = above.powf(gamma);
        let first = self.slope_in_p(above, rest, log_rest);
        let second = -gamma * (gamma - 1.0) * power / (above * above) * log_rest
            + 2.0 * gamma * power / above / rest
            + power / (rest * rest);
        let step = at.p * at.q;
        Derivatives {
            value: -power * log_rest,
            gradient: first * step,
            hessian: second * step * step + first * step * (at.q - at.p),
        }
    }
}

impl Loss for AsymmetricLoss {
    #[inline]
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        if label {
            self.positive.at(logit, true)
        } else if self.margin == 0.0 {
            self.negative.at(logit, false)
        } else {
            self.negative_above_margin(logit)
        }
    }

    fn posterior(&self) -> Posterior {
        Posterior::Asymmetric(*self)
    }

    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(*self)
    }

    saved_as_part!();
}

stored!(AsymmetricLoss as "asymmetric_loss", |loss| {
    gamma_positive: f64 = loss.positive.gamma(),
    gamma_negative: f64 = loss.negative.gamma(),
    margin: f64 = loss.margin,
} => Self::new(gamma_positive, gamma_negative, margin));
