//! What a calibrator learned.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use std::fmt;
use std::ops::Range;

use super::Scored;
use super::log_odds::LogOdds;
use crate::exec::parallel;
use crate::exec::simd::{LANES, Work, lanes, total, vectorised};
use crate::numerics::vector::probability_and_loss;

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
    /// Mean −ln of the probability given to what happened, in nats; ∞ if something impossible did. A map
    /// with log-odds of its own is judged by them, so its loss is finite also where p rounds to 1.
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
    /// Measures a map to log-odds on the rows it was learned from, which hold both classes.
    pub(super) fn of_logits(
        calibrator: &'static str,
        scored: &Scored<'_>,
        solution: Solution,
        map: &impl LogOdds,
    ) -> Self {
        Self::from_tally(calibrator, solution, &Tally::over(scored, &OfLogOdds(map)))
    }

    /// The same for a map that has no log-odds of its own, but probabilities.
    pub(super) fn of_probabilities(
        calibrator: &'static str,
        scored: &Scored<'_>,
        solution: Solution,
        map: impl Fn(f64) -> f64 + Sync,
    ) -> Self {
        Self::from_tally(calibrator, solution, &Tally::over(scored, &OfProbability(map)))
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

/// The probability that a map makes of a logit, and minus the logarithm of what it gives to the label.
trait Outcome: Sync {
    fn of(&self, z: f64, positive: bool) -> (f64, f64);
}

struct OfLogOdds<'a, M>(&'a M);

impl<M: LogOdds> Outcome for OfLogOdds<'_, M> {
    #[inline(always)]
    fn of(&self, z: f64, positive: bool) -> (f64, f64) {
        probability_and_loss(self.0.logit(z), positive)
    }
}

struct OfProbability<F>(F);

impl<F: Fn(f64) -> f64 + Sync> Outcome for OfProbability<F> {
    fn of(&self, z: f64, positive: bool) -> (f64, f64) {
        let p = self.0(z);
        // `ln_1p` keeps the small p that 1 − p would round away.
        (p, if positive { -p.ln() } else { -(-p).ln_1p() })
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

/// Rows to be summed up, from a multiple of [`LANES`] on.
struct Rows<'a, O> {
    scored: &'a Scored<'a>,
    rows: Range<usize>,
    after: &'a O,
}

impl<O: Outcome> Work for Rows<'_, O> {
    type Output = Tally;

    #[inline(always)]
    fn run(self) -> Tally {
        let (logits, labels) = (self.scored.logits(), self.scored.labels());
        let mut sums = [[0.0; LANES]; 6];
        let mut counted = 0;
        for first in self.rows.step_by(LANES) {
            // Lanes without a row have no weight.
            let weight = self.scored.weights_in_lanes(first);
            let z = lanes(&logits[first..], 0.0);
            let positive = lanes(&labels[first..], false);
            let mut terms = [[0.0; LANES]; 6];
            for lane in 0..LANES {
                let (p_before, loss_before) = probability_and_loss(z[lane], positive[lane]);
                let (p, loss) = self.after.of(z[lane], positive[lane]);
                let share = if positive[lane] { 1.0 } else { 0.0 };
                let all = [1.0, share, p_before, loss_before, p, loss];
                (0..6).for_each(|n| terms[n][lane] = all[n]);
            }
            for (sums, terms) in sums.iter_mut().zip(&terms) {
                for lane in 0..LANES {
                    // What has no weight may have lost infinitely much, and 0 · ∞ is no number.
                    sums[lane] += if weight[lane] > 0.0 { weight[lane] * terms[lane] } else { 0.0 };
                }
            }
            counted += weight.iter().filter(|&&weight| weight > 0.0).count();
        }
        let [weight, observed, sums @ ..] = sums.map(|lanes| total(&lanes));
        Tally { rows: counted, weight, observed, sums }
    }
}

impl Tally {
    /// Sums over the rows that have weight, before and `after` the map.
    fn over(scored: &Scored<'_>, after: &impl Outcome) -> Self {
        let n = scored.rows();
        let size = parallel::sum_block(n, 1).next_multiple_of(LANES);
        let blocks = parallel::map(n, size, |_, rows| vectorised(Rows { scored, rows, after }));
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
        write_solution(f, &self.parameters, &self.bounds)?;
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

/// Writes the parameters, one a line, and the bounds that were hit.
pub(super) fn write_solution(
    f: &mut fmt::Formatter<'_>,
    parameters: &[Parameter],
    bounds: &[String],
) -> fmt::Result {
    for Parameter { name, value, standard_error } in parameters {
        write!(f, "\n  {name} = {value:.6}")?;
        if let Some(error) = standard_error {
            write!(f, " ± {error:.6}")?;
        }
    }
    if !bounds.is_empty() {
        write!(f, "\n  at a bound: {}", bounds.join(", "))?;
    }
    Ok(())
}
