//! Loops that replace scores by probabilities.

use super::Scale;
use crate::core::{Error, Result};
use crate::exec::simd::{TILE, Work, vectorised};
use crate::numerics::vector::{logit, sigmoids};

/// slope · z + intercept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

impl Line {
    /// A line that does not fall.
    pub(super) fn rising(slope: f64, intercept: f64) -> Result<Self> {
        if !(slope >= 0.0 && slope.is_finite()) {
            return Err(Error::invalid("slope", slope, "finite and not negative"));
        }
        Ok(Self { slope, intercept: finite("intercept", intercept)? })
    }

    #[inline(always)]
    pub(super) fn at(self, z: f64) -> f64 {
        times(self.slope, z) + self.intercept
    }

    /// Replaces scores by the probabilities of the log-odds on the line.
    pub(super) fn apply(self, scale: Scale, scores: &mut [f64]) {
        match scale {
            Scale::Logit => apply_log_odds(scores, move |z| self.at(z)),
            Scale::Probability => apply_log_odds(scores, move |p| self.at(logit(p))),
        }
    }
}

pub(super) fn finite(argument: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() { Ok(value) } else { Err(Error::invalid(argument, value, "finite")) }
}

/// A term of log-odds, which is 0 where its coefficient is: 0 · ∞ would be NaN.
#[inline(always)]
pub(super) fn times(coefficient: f64, score: f64) -> f64 {
    if coefficient == 0.0 && !score.is_nan() { 0.0 } else { coefficient * score }
}

/// A function from a logit to log-odds, `#[inline(always)]`, to run on vectors. A short closure is one; a compiler
/// calls a long one, instead of making it part of the loop.
pub(super) trait LogOdds: Sync {
    fn log_odds(&self, z: f64) -> f64;
}

impl<F: Fn(f64) -> f64 + Sync> LogOdds for F {
    #[inline(always)]
    fn log_odds(&self, z: f64) -> f64 {
        self(z)
    }
}

/// Replaces scores by the probabilities that a function gives for them.
pub(super) fn apply_each(scores: &mut [f64], probability: impl Fn(f64) -> f64) {
    vectorised(Each { scores, of: probability });
}

/// Replaces probabilities by their logits.
pub(super) fn to_logits(probabilities: &mut [f64]) {
    vectorised(Each { scores: probabilities, of: logit });
}

/// Replaces scores by the probabilities of the log-odds that a function gives for them. The function holds
/// its coefficients, not references to them: through a reference a compiler must assume that writing a score
/// may change them, and it makes no vector instructions of the loop.
pub(super) fn apply_log_odds(scores: &mut [f64], log_odds: impl LogOdds) {
    vectorised(Sigmoids { scores, log_odds });
}

struct Each<'a, F> {
    scores: &'a mut [f64],
    of: F,
}

impl<F: Fn(f64) -> f64> Work for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for score in self.scores {
            *score = (self.of)(*score);
        }
    }
}

struct Sigmoids<'a, F> {
    scores: &'a mut [f64],
    log_odds: F,
}

impl<F: LogOdds> Work for Sigmoids<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for scores in self.scores.chunks_mut(TILE) {
            for score in &mut *scores {
                *score = self.log_odds.log_odds(*score);
            }
            sigmoids(scores);
        }
    }
}
