//! Classes that the features separate, so that no finite coefficients minimise the loss.

use super::objective::{At, Objective};
use crate::core::{Dataset, Error, Result, Separation};
use crate::loss::Loss;
use crate::model::row_sums::Extremes;

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
    pub(super) fn ensure_not_complete(&self, objective: &Objective<'_>, at: &At) -> Result<()> {
        if self.possible && at.margin > 0.0 {
            let column = separating_column(objective.data(), |low, high| low < high);
            return Err(Error::Separation { kind: Separation::Complete, column });
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
            let column = separating_column(objective.data(), |low, high| low <= high);
            return Err(Error::Separation { kind: Separation::QuasiComplete, column });
        }
        Ok(())
    }
}

/// The first column whose entries of one class all lie `below` those of the other, over rows with a weight.
fn separating_column(data: &Dataset<'_>, below: fn(f64, f64) -> bool) -> Option<usize> {
    let columns = data.columns();
    let mut rows = [0_usize; 2];
    let mut stored = [vec![0_usize; columns], vec![0_usize; columns]];
    let none = Extremes { least: f64::INFINITY, greatest: f64::NEG_INFINITY };
    let mut ranges = [vec![none; columns], vec![none; columns]];
    let weighted = |row: usize| data.weights().is_none_or(|weights| weights[row] > 0.0);
    for (row, entries) in data.features().rows().enumerate().filter(|(row, _)| weighted(*row)) {
        let class = usize::from(data.labels()[row]);
        rows[class] += 1;
        for (column, value) in entries.entries() {
            stored[class][column] += 1;
            ranges[class][column].include(value);
        }
    }
    for class in 0..2 {
        // Entries that are not stored are zeros.
        let absent = (0..columns).filter(|&column| stored[class][column] < rows[class]);
        absent.for_each(|column| ranges[class][column].include(0.0));
    }
    let [negatives, positives] = &ranges;
    (0..columns).find(|&column| {
        let [a, b] = [negatives[column], positives[column]];
        let constant = a.least.min(b.least) == a.greatest.max(b.greatest);
        !constant && (below(a.greatest, b.least) || below(b.greatest, a.least))
    })
}
