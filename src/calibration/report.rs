//! What a calibrator learned.

use std::fmt;

use super::Scored;
use crate::loss::numerics::{log1p_exp, sigmoid};
use crate::parallel;

/// What a calibrator learned, and what it did to the rows it learned from.
///
/// `before` and `after` are measured on the **calibration rows themselves**: they show whether the fit
/// did its work, not how well it will do on new rows. A map with a free intercept has
/// `after.predicted_over_observed` = 1 there by construction.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CalibrationReport {
    /// The calibrator's name.
    pub calibrator: &'static str,
    /// The numbers that make the map, if they are few.
    pub parameters: Vec<Parameter>,
    /// The bounds at which the optimum lies, such as `a = 0`.
    pub bounds: Vec<String>,
    /// Iterations of the solver; 0 where the solution is direct.
    pub iterations: usize,
    /// Rows that have weight.
    pub rows: usize,
    /// The scores as they came: σ(z).
    pub before: Fitness,
    /// The probabilities made of them.
    pub after: Fitness,
}

/// One parameter of a calibration map.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name in the calibrator's formula.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its standard error from the Fisher information, weights taken as counts of rows: a row of weight 10
    /// counts as ten. Where weights undo a resampling instead, as 1/π of the few rows kept, it is too small, and
    /// about √(W/n̂) times it is right, with W = Σw and n̂ = (Σw)²/Σw² the effective number of rows. None for
    /// a parameter at a bound.
    pub standard_error: Option<f64>,
}

/// How well probabilities fit the labels.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Fitness {
    /// Σ w p / Σ w y; 1 is right on the whole.
    pub predicted_over_observed: f64,
    /// Mean −ln of the probability given to what happened, in nats; ∞ if something impossible did.
    pub log_loss: f64,
}

/// What the solver found, without its effect on the rows.
#[derive(Debug, Default)]
pub(super) struct Solution {
    pub(super) parameters: Vec<Parameter>,
    pub(super) bounds: Vec<String>,
    pub(super) iterations: usize,
}

impl Parameter {
    pub(super) fn new(name: impl Into<String>, value: f64, standard_error: Option<f64>) -> Self {
        Self { name: name.into(), value, standard_error }
    }
}

impl CalibrationReport {
    /// Measures a map on the rows it was learned from, which hold both classes.
    pub(super) fn new(
        calibrator: &'static str,
        scored: &Scored<'_>,
        solution: Solution,
        map: impl Fn(f64) -> f64 + Sync,
    ) -> Self {
        let sums = Tally::over(scored, |row| {
            let (z, positive) = (scored.logits()[row], scored.labels()[row]);
            let p = map(z);
            // `ln_1p` keeps the small p that 1 − p would round away.
            let loss = if positive { -p.ln() } else { -(-p).ln_1p() };
            [sigmoid(z), log1p_exp(if positive { -z } else { z }), p, loss]
        });
        Self::from_tally(calibrator, solution, &sums)
    }

    fn from_tally(calibrator: &'static str, solution: Solution, tally: &Tally) -> Self {
        let fitness = |predicted: f64, loss: f64| Fitness {
            predicted_over_observed: predicted / tally.observed,
            log_loss: loss / tally.weight,
        };
        let [p_before, loss_before, p_after, loss_after] = tally.sums;
        let Solution { parameters, bounds, iterations } = solution;
        Self {
            calibrator,
            parameters,
            bounds,
            iterations,
            rows: tally.rows,
            before: fitness(p_before, loss_before),
            after: fitness(p_after, loss_after),
        }
    }

    /// The value of the parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<f64> {
        self.parameters.iter().find(|known| known.name == name).map(|known| known.value)
    }
}

/// Weighted sums over the rows.
#[derive(Default)]
struct Tally {
    rows: usize,
    weight: f64,
    observed: f64,
    /// Probability and loss before and after.
    sums: [f64; 4],
}

impl Tally {
    fn over(scored: &Scored<'_>, of: impl Fn(usize) -> [f64; 4] + Sync) -> Self {
        let n = scored.rows();
        let blocks = parallel::map(n, parallel::sum_block(n, 1), |_, rows| {
            let mut block = Self::default();
            for row in rows {
                let weight = scored.weight(row);
                if weight > 0.0 {
                    block.rows += 1;
                    block.weight += weight;
                    block.observed += if scored.labels()[row] { weight } else { 0.0 };
                    block
                        .sums
                        .iter_mut()
                        .zip(of(row))
                        .for_each(|(sum, term)| *sum += weight * term);
                }
            }
            block
        });
        blocks.into_iter().fold(Self::default(), |mut total, block| {
            total.rows += block.rows;
            total.weight += block.weight;
            total.observed += block.observed;
            total.sums.iter_mut().zip(block.sums).for_each(|(sum, term)| *sum += term);
            total
        })
    }
}

impl fmt::Display for CalibrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} rows", self.calibrator, self.rows)?;
        if self.iterations > 0 {
            write!(f, ", {} iterations", self.iterations)?;
        }
        for Parameter { name, value, standard_error } in &self.parameters {
            write!(f, "\n  {name} = {value:.6}")?;
            if let Some(error) = standard_error {
                write!(f, " ± {error:.6}")?;
            }
        }
        if !self.bounds.is_empty() {
            write!(f, "\n  at a bound: {}", self.bounds.join(", "))?;
        }
        let (before, after) = (self.before, self.after);
        write!(
            f,
            "\n  predicted / observed {:.4} before, {:.4} after\n  log loss {:.6} before, {:.6} after",
            before.predicted_over_observed,
            after.predicted_over_observed,
            before.log_loss,
            after.log_loss
        )
    }
}
