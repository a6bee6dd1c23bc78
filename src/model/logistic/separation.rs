//! Classes that the features separate, so that no finite coefficients minimise the loss.

use super::objective::{At, Objective};
use crate::core::{Error, Result, Separation};
use crate::loss::Loss;

/// Whether a loss falls for ever as the logit of a row grows towards the row's own label, so that separated
/// classes leave it without a minimum. Cross-entropy does; smoothed labels and squares rise again far out, and
/// a hinge becomes flat.
fn falls_for_ever(loss: &dyn Loss) -> bool {
    // The slope by the signed logit, which is positive on the row's own side.
    let slope = |signed: f64, label: bool| match label {
        true => loss.at(signed, label).gradient,
        false => -loss.at(-signed, label).gradient,
    };
    // At 700, the end of the range of e⁻ˢ, the loss rises for no label; at 30, where a steep loss has not yet
    // underflowed, it falls for one. Beyond its margin an asymmetric loss does neither for a negative.
    let labels = [false, true];
    labels.iter().all(|&label| slope(700.0, label) <= 0.0)
        && labels.iter().any(|&label| slope(30.0, label) < 0.0)
}

/// Looks for separated classes in the course of a fit.
pub(super) struct SeparationCheck {
    possible: bool,
}

impl SeparationCheck {
    pub(super) fn new(objective: &Objective<'_>) -> Self {
        Self { possible: objective.l2() == 0.0 && falls_for_ever(objective.loss()) }
    }

    /// Whether separated classes would draw the coefficients to infinity: neither a penalty nor the loss
    /// prevents it.
    pub(super) fn is_possible(&self) -> bool {
        self.possible
    }

    /// Refuses coefficients that predict the label of every row: they prove that the minimum is at infinity.
    pub(super) fn ensure_not_complete(&self, at: &At) -> Result<()> {
        if self.possible && at.margin > 0.0 {
            return Err(Error::Separation { kind: Separation::Complete });
        }
        Ok(())
    }

    /// Refuses a fit whose last Newton step still moves logits, and none of them against its label: the
    /// minimum is at infinity in that direction. At a finite minimum the last step moves no logit visibly.
    pub(super) fn ensure_not_quasi_complete(
        &self,
        objective: &Objective<'_>,
        last_step: &[f64],
    ) -> Result<()> {
        // Newton's method moves a diverging logit by about 1 in each step (1/(1 + γ) under focal loss);
        // a converging one by far less than a hundredth once the objective is known to ten digits.
        const VISIBLE: f64 = 0.01;
        if !self.possible {
            return Ok(());
        }
        let moves = objective.design.logit_moves(last_step);
        if moves.greatest > VISIBLE && -moves.least < 1e-3 * moves.greatest {
            return Err(Error::Separation { kind: Separation::QuasiComplete });
        }
        Ok(())
    }
}
