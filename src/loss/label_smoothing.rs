//! Label smoothing.

use std::sync::Arc;

use super::{Block, Derivatives, Loss, Posterior, TILE};
use crate::core::{ClassTotals, Error, Result, saved_as_part, stored};

/// Any loss with smoothed labels: (1 − ε/2) ℓ(z, y) + (ε/2) ℓ(z, 1 − y), that is targets ε/2 and
/// 1 − ε/2 in place of 0 and 1 (Szegedy et al. 2016, §7, for two classes). Domain: that of ℓ. Convex
/// where ℓ is.
///
/// **Posterior.** Smoothing moves a class probability η to η(1 − ε) + ε/2, and ℓ's own map gives that; so
/// η = (posterior of ℓ − ε/2)/(1 − ε). A logit whose probability falls outside \[ε/2, 1 − ε/2\], where
/// no class probability has its minimum, maps to 0 or 1. With ε/2 above the base rate most rows end
/// there, so choose ε well below twice the base rate.
///
/// ```
/// use imbalance::loss::{LabelSmoothing, LogLoss, Loss};
///
/// let loss = LabelSmoothing::new(LogLoss, 0.2)?;
/// // Targets are 0.1 and 0.9: σ(z) = 0.1 means never, σ(z) = 0.5 means one half.
/// let posterior = loss.posterior();
/// assert_eq!(posterior.probability(-9_f64.ln() - 1e-9), 0.0);
/// assert!((posterior.probability(0.0) - 0.5).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelSmoothing<L> {
    loss: L,
    epsilon: f64,
}

impl<L: Loss> LabelSmoothing<L> {
    /// This loss with labels smoothed by ε.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ ε < 1.
    pub fn new(loss: L, epsilon: f64) -> Result<Self> {
        Ok(Self { loss, epsilon: valid_epsilon(epsilon)? })
    }
}

pub(super) fn valid_epsilon(epsilon: f64) -> Result<f64> {
    if (0.0..1.0).contains(&epsilon) {
        Ok(epsilon)
    } else {
        Err(Error::invalid("epsilon", epsilon, "at least 0 and below 1"))
    }
}

impl<L: Loss> Loss for LabelSmoothing<L> {
    #[inline]
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        let half = 0.5 * self.epsilon;
        let own = self.loss.at(logit, label).scaled(1.0 - half);
        let other = self.loss.at(logit, !label).scaled(half);
        Derivatives {
            value: own.value + other.value,
            gradient: own.gradient + other.gradient,
            hessian: own.hessian + other.hessian,
        }
    }

    fn posterior(&self) -> Posterior {
        self.loss.posterior().smoothed(self.epsilon)
    }

    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(LabelSmoothing { loss: self.loss.shared(), epsilon: self.epsilon })
    }

    fn resolve(&self, train: &ClassTotals) -> Result<Arc<dyn Loss>> {
        let loss = self.loss.resolve(train)?;
        Ok(Arc::new(LabelSmoothing { loss, epsilon: self.epsilon }))
    }

    fn is_resolved(&self) -> bool {
        self.loss.is_resolved()
    }

    fn block(&self, rows: Block<'_>) -> f64 {
        // Each row once with its own label and once with the other, a tile of rows at a time, so that a
        // loss behind a pointer is called for tiles and not for rows.
        let half = 0.5 * self.epsilon;
        let (mut scaled, mut others) = ([0.0; TILE], [false; TILE]);
        let (mut other_gradients, mut other_hessians) = ([0.0; TILE], [0.0; TILE]);
        let mut total = 0.0;
        for Block { logits, labels, weights, gradients, hessians } in rows.tiles(TILE) {
            let n = logits.len();
            let scaled = &mut scaled[..n];
            let scale = |factor: f64, out: &mut [f64]| match weights {
                None => out.fill(factor),
                Some(weights) => {
                    out.iter_mut().zip(weights).for_each(|(out, weight)| *out = factor * weight);
                }
            };
            scale(1.0 - half, scaled);
            total += self.loss.block(Block {
                logits,
                labels,
                weights: Some(&*scaled),
                gradients: &mut *gradients,
                hessians: &mut *hessians,
            });
            scale(half, scaled);
            others.iter_mut().zip(labels).for_each(|(other, label)| *other = !label);
            total += self.loss.block(Block {
                logits,
                labels: &others[..n],
                weights: Some(&*scaled),
                gradients: &mut other_gradients[..n],
                hessians: &mut other_hessians[..n],
            });
            for i in 0..n {
                gradients[i] += other_gradients[i];
                hessians[i] += other_hessians[i];
            }
        }
        total
    }

    saved_as_part!();
}

stored!(<L: Loss> LabelSmoothing<L> as "label_smoothing", |this| {
    loss: PartOf<L> = as_part(this.loss.saved(), &this.loss),
    epsilon: f64 = this.epsilon,
} => Self::new(loss.0, epsilon));
