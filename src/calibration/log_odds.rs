//! Maps that have log-odds of their own.

use super::in_step;
use crate::exec::simd::{PIECE, Work, vectorised};
use crate::numerics::vector::sigmoids;

/// A map to log-odds; `#[inline(always)]` where it is to run on vectors.
pub(super) trait LogOdds: Sync {
    fn logit(&self, z: f64) -> f64;
}

impl<F: Fn(f64) -> f64 + Sync> LogOdds for F {
    #[inline(always)]
    fn logit(&self, z: f64) -> f64 {
        self(z)
    }
}

/// slope · z + intercept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) slope: f64,
    pub(super) intercept: f64,
}

impl LogOdds for Line {
    #[inline(always)]
    fn logit(&self, z: f64) -> f64 {
        times(self.slope, z) + self.intercept
    }
}

/// A term of log-odds, which is none where its coefficient is 0: there 0 · ∞ would be NaN.
#[inline(always)]
pub(super) fn times(coefficient: f64, score: f64) -> f64 {
    if coefficient == 0.0 && !score.is_nan() { 0.0 } else { coefficient * score }
}

/// Writes the probabilities whose log-odds the map gives for the scores.
pub(super) fn map_block(map: &impl LogOdds, scores: &[f64], out: &mut [f64]) {
    let (scores, out) = in_step(scores, out);
    vectorised(Sigmoids { map, scores, out });
}

struct Sigmoids<'a, M> {
    map: &'a M,
    scores: &'a [f64],
    out: &'a mut [f64],
}

impl<M: LogOdds> Work for Sigmoids<'_, M> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (scores, out) in self.scores.chunks(PIECE).zip(self.out.chunks_mut(PIECE)) {
            for (score, out) in scores.iter().zip(&mut *out) {
                *out = self.map.logit(*score);
            }
            sigmoids(out);
        }
    }
}
