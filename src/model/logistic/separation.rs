//! Classes that the features separate, so that no finite coefficients minimise the loss.

use super::objective::{At, Objective};
use crate::core::{Error, Result};
use crate::loss::Loss;

/// Whether a loss draws each row towards its own side without end, so that it has no finite minimum where
/// the features let it. Cross-entropy does; smoothed labels and squares push back from far out, and a
/// hinge stops.
fn pulls_for_ever(loss: &dyn Loss) -> bool {
    // The slope by the signed logit, which is positive on the row's own side.
    let slope = |signed: f64, label: bool| match label {
        true => loss.at(signed, label).gradient,
        false => -loss.at(-signed, label).gradient,
    };
    // At 700, the end of the range of e⁻ˢ, no label pushes back; at 30, where a steep loss has not yet
    // underflowed, one still pulls. A negative below the margin of an asymmetric loss does neither.
    let labels = [false, true];
    labels.iter().all(|&label| slope(700.0, label) <= 0.0)
        && labels.iter().any(|&label| slope(30.0, label) < 0.0)
}

/// Looks for separation in the course of a fit, where nothing holds the coefficients.
pub(super) struct Separation {
    possible: bool,
}

impl Separation {
    pub(super) fn new(objective: &Objective<'_>) -> Self {
        Self { possible: objective.l2() == 0.0 && pulls_for_ever(objective.loss()) }
    }

    /// Whether nothing keeps separated classes from drawing coefficients to infinity.
    pub(super) fn is_possible(&self) -> bool {
        self.possible
    }

    /// Coefficients that rank every row on its own side prove that larger ones are better yet.
    pub(super) fn refuse_complete(&self, at: &At) -> Result<()> {
        if self.possible && at.margin > 0.0 {
            return Err(Error::Separation { kind: "completely" });
        }
        Ok(())
    }

    /// At a finite minimum the last Newton step moves no logit visibly. Where it still moves some, and
    /// none of them against its label, the minimum lies at infinity in that direction.
    pub(super) fn refuse_in_part(
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
        let (against, favour) = objective.logit_moves(last_step);
        if favour > VISIBLE && -against < 1e-3 * favour {
            return Err(Error::Separation { kind: "in part" });
        }
        Ok(())
    }
}
