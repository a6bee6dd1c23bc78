//! Focal loss.

use std::sync::Arc;

use super::{Derivatives, Loss, Posterior};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::numerics::Logistic;

/// Focal loss, `−α_t (1 − p_t)^γ ln p_t` (equations 11–13; Lin et al. 2017), with `p_t` the probability of
/// the row's own class: rows that the model gets right count little.
///
/// `α_t` is 1 unless [`alpha`](Self::alpha) (α on positives, 1 − α on negatives) or
/// [`uniform_alpha`](Self::uniform_alpha) is set. γ = 0 is cross-entropy.
///
/// Domain: z ∈ ℝ. With the signed logit s (z for a positive, −z for a negative) p = σ(s) and α the row's `α_t`,
/// - dL/ds = α (1 − p)^γ \[γ p ln p − (1 − p)\],
/// - d²L/ds² = α (1 − p)^γ p \[(1 + 2γ)(1 − p) + γ ln p (1 − p − γ p)\].
///
/// **Not convex** for γ > 0: the second derivative is negative for badly classified rows (p < 0.058 at
/// γ = 2), where every positive starts at a rate of 0.1 %. `LogisticRegression` takes that: it never
/// steps along a negative curvature without a bound.
///
/// **Posterior** (Charoenphakdee et al. 2021): with A(p) = (1 − p)^γ/p − γ(1 − p)^{γ−1} ln p, the class
/// probability is (1 − α)A(1 − p) / (αA(p) + (1 − α)A(1 − p)); computed in logarithms, so it holds for
/// every finite logit. σ(z) itself is wrong: too close to one half.
///
/// ```
/// use imbalance::loss::{FocalLoss, LogLoss, Loss};
///
/// let focal = FocalLoss::new(2.0)?;
/// assert!(focal.at(3.0, true).value < 0.01 * LogLoss.at(3.0, true).value);
/// assert!(focal.posterior().probability(-3.0) < 0.047); // where σ(z) is 0.047
/// assert!(FocalLoss::new(-1.0).is_err());
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FocalLoss {
    gamma: f64,
    positive: f64,
    negative: f64,
}

impl FocalLoss {
    /// Focal loss with focusing parameter γ, without α. Usual: γ = 2.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ γ ≤ 1e100, so that γ² is a number.
    pub fn new(gamma: f64) -> Result<Self> {
        if (0.0..=1e100).contains(&gamma) {
            Ok(Self { gamma, positive: 1.0, negative: 1.0 })
        } else {
            Err(Error::invalid("gamma", gamma, "from 0 to 1e100"))
        }
    }

    /// α on positives and 1 − α on negatives. Usual with γ = 2: α = 0.25.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < α < 1.
    pub fn alpha(self, alpha: f64) -> Result<Self> {
        if alpha > 0.0 && alpha < 1.0 {
            Ok(Self { positive: alpha, negative: 1.0 - alpha, ..self })
        } else {
            Err(Error::invalid("alpha", alpha, "between 0 and 1, both excluded"))
        }
    }

    /// α on every row, which only scales the loss (as many listings have it).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless α is positive and finite.
    pub fn uniform_alpha(self, alpha: f64) -> Result<Self> {
        if alpha > 0.0 && alpha.is_finite() {
            Ok(Self { positive: alpha, negative: alpha, ..self })
        } else {
            Err(Error::invalid("alpha", alpha, "positive and finite"))
        }
    }

    /// The two factors, as they are stored.
    #[cfg(feature = "serde")]
    fn weighted(self, positive: f64, negative: f64) -> Result<Self> {
        let positive = self.uniform_alpha(positive)?.positive;
        let negative = self.uniform_alpha(negative)?.negative;
        Ok(Self { positive, negative, ..self })
    }

    pub(super) fn gamma(&self) -> f64 {
        self.gamma
    }

    /// qᵞ. Usual γ by multiplication, which is exact to a few ulp; others from ln q, which holds where
    /// q itself has left the range of floats.
    #[inline]
    fn focus(&self, q: f64, log_q: f64) -> f64 {
        if self.gamma == 2.0 {
            q * q
        } else if self.gamma == 1.0 {
            q
        } else if self.gamma == 0.0 {
            1.0
        } else {
            (self.gamma * log_q).exp()
        }
    }

    /// The logarithm of the steepness −dL/ds, without α, over q^(1 + γ): ln(1 − γ p ln(p)/q).
    pub(super) fn log_excess(&self, at: &Logistic) -> f64 {
        // ln(1 − q)/q = −1 − q/2 − …, which keeps its value where q leaves the range of floats.
        let ratio = if at.q < 1e-8 { -1.0 - 0.5 * at.q } else { at.log_p / at.q };
        (-self.gamma * at.p * ratio).ln_1p()
    }

    /// ln(−dL/ds) without α.
    pub(super) fn log_slope(&self, at: &Logistic) -> f64 {
        (1.0 + self.gamma) * at.log_q + self.log_excess(at)
    }

    /// The log-odds of the class probability that a logit stands for.
    pub(super) fn log_odds(&self, logit: f64) -> f64 {
        // Certain logits stay certain: ∞ · 0 would be NaN.
        let logit = logit.clamp(f64::MIN, f64::MAX);
        self.log_slope(&Logistic::of(-logit))
            - self.log_slope(&Logistic::of(logit))
            - (self.positive / self.negative).ln()
    }
}

impl Loss for FocalLoss {
    #[inline]
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        let (signed, alpha) = if label { (logit, self.positive) } else { (-logit, self.negative) };
        let gamma = self.gamma;
        let Logistic { p, q, log_p, log_q } = Logistic::of(signed);
        let focus = alpha * self.focus(q, log_q);
        let slope = focus * (gamma * p * log_p - q);
        Derivatives {
            value: -focus * log_p,
            gradient: if label { slope } else { -slope },
            // p ln p is finite where γ ln p is not.
            hessian: focus * ((1.0 + 2.0 * gamma) * p * q + gamma * (p * log_p) * (q - gamma * p)),
        }
    }

    /// A shift for γ = 0, which is log loss with class weights.
    fn posterior(&self) -> Posterior {
        if self.gamma == 0.0 {
            return Posterior::Identity.shifted(-(self.positive / self.negative).ln());
        }
        Posterior::Focal(*self)
    }

    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(*self)
    }

    saved_as_part!();
}

stored!(FocalLoss as "focal_loss", |loss| {
    gamma: f64 = loss.gamma,
    positive: f64 = loss.positive,
    negative: f64 = loss.negative,
} => Self::new(gamma).and_then(|loss| loss.weighted(positive, negative)));
