//! How far to go along a step, where a try costs no pass over the features.
//!
//! Along a step s the logits move on a line, z + t Xs, and conjugate gradients have worked out Xs on their
//! way. So the slope of the objective in t costs one evaluation of the loss per row. With rare positives it
//! pays: at the log-odds of the base rate a positive's curvature is tiny, and Newton's step overshoots until
//! it is bent up a hundredfold.

use super::objective::{At, Objective};
use crate::numerics::root::Bracket;

/// Share of the slope at the start below which the search ends: the next step does the rest.
const FLAT: f64 = 0.01;

/// Farthest, in steps.
pub(super) const FARTHEST: f64 = 4.0;

/// Most tries; two or three are usual.
const TRIES: usize = 12;

/// The length t of about the least objective at θ + t·`step`, up to `farthest` ≥ 1: Newton's method on the slope,
/// held between a point where it falls and one where it rises.
pub(super) fn best_length(
    objective: &Objective<'_>,
    at: &At,
    theta: &[f64],
    step: &[f64],
    moves: &[f64],
    farthest: f64,
) -> f64 {
    let mut bracket = Bracket::new(0.0, farthest);
    let start: f64 = at.gradient.iter().zip(step).map(|(g, s)| g * s).sum();
    let mut length = 1.0;
    for _ in 0..TRIES {
        let (slope, curvature) = objective.slope_along(at, theta, step, moves, length);
        if slope.abs() <= FLAT * start.abs() {
            return length;
        }
        bracket.narrow(length, slope);
        match bracket.newton(length, slope, curvature).or_else(|| bracket.middle()) {
            Some(next) => length = next,
            None => return bracket.low,
        }
    }
    if bracket.low > 0.0 { bracket.low } else { length }
}
