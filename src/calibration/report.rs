//! The report of a calibrator's fit.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use std::fmt;
use std::ops::Range;

use super::CalibrationSet;
use super::apply::LogOdds;
use crate::core::{Fixed, Meter, Result};
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel;
use crate::exec::simd::{LANES, Work, lanes, total, vectorised};
use crate::numerics::sigmoid;
use crate::numerics::vector::probability_and_loss;

/// The parameters that a calibrator learned, and how well its map fits the rows it learned from.
///
/// `before` and `after` are measured on the **calibration rows themselves**: they show whether the fit
/// succeeded, not how well the map will do on new rows. A map with a free intercept has
/// `after.predicted_over_observed` = 1 there by construction.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct CalibrationReport {
    /// The calibrator's name.
    pub calibrator: String,
    /// The parameters of the map, if they are few.
    pub parameters: Vec<Parameter>,
    /// The bounds at which the optimum lies, such as `a = 0`.
    pub bounds: Vec<String>,
    /// Iterations of the solver; 0 where the solution is direct.
    pub iterations: usize,
    /// Intervals of logits, which may be infinite, on which the map falls; none for a monotone map. In a chain they are
    /// those of both maps, each on the scale of its own scores.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number::pairs"))]
    pub falls: Vec<(f64, f64)>,
    /// Rows that have weight.
    pub rows: usize,
    /// Rows that have weight whose score a [`Clip`](super::Clip) moved.
    pub clipped: usize,
    /// The scores as they came: σ(z).
    pub before: Fitness,
    /// The probabilities made of them.
    pub after: Fitness,
}

/// One parameter of a calibration map.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Parameter {
    /// Its name in the calibrator's formula.
    pub name: String,
    /// Its value.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub value: f64,
    /// Its standard error from the Fisher information, weights taken as counts of rows: a row of weight 10
    /// counts as ten. Where weights correct a resampling instead, as 1/π of the few rows kept, it is too small by a factor
    /// of about √(W/n̂), with W = Σw and n̂ = (Σw)²/Σw² the effective number of rows. None for
    /// a parameter at a bound.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number::option"))]
    pub standard_error: Option<f64>,
}

/// How well probabilities agree with the labels.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Fitness {
    /// Σ w p / Σ w y; 1 is right on the whole.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub predicted_over_observed: f64,
    /// Mean −ln of the probability given to what happened, in nats; ∞ if something impossible did. The
    /// loss of a map with log-odds of its own is computed from them, so it is finite also where p rounds to 1.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub log_loss: f64,
}

/// The solution of a fit, without its effect on the rows.
#[derive(Debug, Default)]
pub(super) struct Solution {
    pub(super) parameters: Vec<Parameter>,
    pub(super) bounds: Vec<String>,
    pub(super) iterations: usize,
    /// Intervals on which the map falls.
    pub(super) falls: Vec<(f64, f64)>,
    /// Rows that have weight whose score was clipped.
    pub(super) clipped: usize,
}

impl Parameter {
    pub(super) fn new(name: impl Into<String>, value: f64, standard_error: Option<f64>) -> Self {
        Self { name: name.into(), value, standard_error }
    }
}

impl CalibrationReport {
    /// Measures a map to log-odds on the rows it was learned from, which hold both classes.
    pub(super) fn of_logits(
        calibrator: &str,
        rows: &CalibrationSet<'_>,
        solution: Solution,
        log_odds: impl LogOdds,
    ) -> Result<Self> {
        Self::measure(calibrator, rows, solution, &OfLogOdds(log_odds))
    }

    /// Measures a map that has probabilities of its own, and no log-odds.
    pub(super) fn of_probabilities(
        calibrator: &str,
        rows: &CalibrationSet<'_>,
        solution: Solution,
        probability: impl Fn(f64) -> f64 + Sync,
    ) -> Result<Self> {
        Self::measure(calibrator, rows, solution, &OfProbability(probability))
    }

    fn measure(
        calibrator: &str,
        rows: &CalibrationSet<'_>,
        solution: Solution,
        after: &impl Outcome,
    ) -> Result<Self> {
        let (n, meter) = (rows.rows(), &rows.meter("calibration report", 1));
        let size = parallel::sum_block(n, 1).next_multiple_of(LANES);
        let empty = || Tally { rows, after, meter, counted: 0, sums: [0.0; 6] };
        let Tally { counted, sums, .. } =
            accumulate(n, size, empty, |range| range).unwrap_or_else(empty);
        meter.finish()?;
        let [weight, observed, p_before, loss_before, p_after, loss_after] = sums;
        let fitness = |predicted: f64, loss: f64| Fitness {
            predicted_over_observed: predicted / observed,
            log_loss: loss / weight,
        };
        let Solution { parameters, bounds, iterations, falls, clipped } = solution;
        Ok(Self {
            calibrator: calibrator.into(),
            parameters,
            bounds,
            iterations,
            falls,
            rows: counted,
            clipped,
            before: fitness(p_before, loss_before),
            after: fitness(p_after, loss_after),
        })
    }

    /// The value of the parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<f64> {
        self.parameters.iter().find(|known| known.name == name).map(|known| known.value)
    }
}

/// The probability that a map gives for a logit, and minus the logarithm of the label's. Like [`LogOdds`] no
/// closure, as it is long.
trait Outcome: Sync {
    fn of(&self, z: f64, positive: bool) -> (f64, f64);
}

struct OfLogOdds<F>(F);

impl<F: LogOdds> Outcome for OfLogOdds<F> {
    #[inline(always)]
    fn of(&self, z: f64, positive: bool) -> (f64, f64) {
        probability_and_loss(self.0.log_odds(z), positive)
    }
}

struct OfProbability<F>(F);

impl<F: Fn(f64) -> f64 + Sync> Outcome for OfProbability<F> {
    #[inline(always)]
    fn of(&self, z: f64, positive: bool) -> (f64, f64) {
        let p = self.0(z);
        // `ln_1p` keeps the small p that 1 − p would round away.
        (p, if positive { -p.ln() } else { -(-p).ln_1p() })
    }
}

/// Sums over rows that have weight: weight, weight of positives, and probability and loss before and after the
/// map.
struct Tally<'a, O> {
    rows: &'a CalibrationSet<'a>,
    after: &'a O,
    meter: &'a Meter<'a>,
    counted: usize,
    sums: [f64; 6],
}

impl<O: Outcome> Accumulate for Tally<'_, O> {
    /// From a multiple of [`LANES`] on.
    type Block<'b> = Range<usize>;

    fn add(&mut self, range: Range<usize>) {
        if !self.meter.goes_on(range.len()) {
            return;
        }
        let (counted, sums) = vectorised(TallyBlock { rows: self.rows, after: self.after, range });
        self.counted += counted;
        self.sums.iter_mut().zip(sums).for_each(|(sum, term)| *sum += term);
    }

    fn merge(&mut self, next: Self) {
        self.counted += next.counted;
        self.sums.iter_mut().zip(next.sums).for_each(|(sum, term)| *sum += term);
    }
}

struct TallyBlock<'a, O> {
    rows: &'a CalibrationSet<'a>,
    after: &'a O,
    range: Range<usize>,
}

impl<O: Outcome> Work for TallyBlock<'_, O> {
    type Output = (usize, [f64; 6]);

    #[inline(always)]
    fn run(self) -> Self::Output {
        let (logits, labels) = (self.rows.logits(), self.rows.labels());
        let mut sums = [[0.0; LANES]; 6];
        let mut counted = 0;
        for first in self.range.step_by(LANES) {
            // Lanes without a row have no weight.
            let weight = self.rows.weights_in_lanes(first);
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
                    // A row of weight 0 may have an infinite loss, and 0 · ∞ is NaN.
                    sums[lane] += if weight[lane] > 0.0 { weight[lane] * terms[lane] } else { 0.0 };
                }
            }
            counted += weight.iter().filter(|&&weight| weight > 0.0).count();
        }
        (counted, sums.map(|lanes| total(&lanes)))
    }
}

impl fmt::Display for CalibrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} rows", self.calibrator, self.rows)?;
        if self.iterations > 0 {
            write!(f, ", {} iterations", self.iterations)?;
        }
        if self.clipped > 0 {
            write!(f, ", {} scores clipped", self.clipped)?;
        }
        write_solution(f, &self.parameters, &self.bounds)?;
        for (low, high) in &self.falls {
            write!(f, "\n  not monotone: the map falls from z = {low:.4} to {high:.4}")?;
        }
        let (before, after) = (self.before, self.after);
        write!(
            f,
            "\n  predicted / observed {} before, {} after\n  log loss {} before, {} after",
            Fixed(before.predicted_over_observed, 4),
            Fixed(after.predicted_over_observed, 4),
            Fixed(before.log_loss, 6),
            Fixed(after.log_loss, 6)
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
        write!(f, "\n  {name} = {}", Fixed(*value, 6))?;
        if let Some(error) = standard_error {
            write!(f, " ± {}", Fixed(*error, 6))?;
        }
    }
    if !bounds.is_empty() {
        write!(f, "\n  at a bound: {}", bounds.join(", "))?;
    }
    Ok(())
}

/// A map that gives every score the same log-odds, in words.
pub(super) fn says_nothing(log_odds: f64) -> String {
    format!(
        "every probability is {:.6}, whatever the score: the scores rank the wrong way round or, for a map without an \
         intercept, are too far off in the mean; see that they are of this model, and take Platt scaling",
        sigmoid(log_odds)
    )
}
