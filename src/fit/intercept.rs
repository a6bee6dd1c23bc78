//! The intercept of log-odds whose slope on the score is 1.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use std::ops::Range as Rows;

use super::{Range, Sample};
use crate::core::Run;
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel;
use crate::exec::simd::{LANES, Work, lanes, total, vectorised};
use crate::numerics::root::Bracket;
use crate::numerics::vector::exp_of_negative;

/// An intercept with the Fisher information about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Intercept {
    pub(crate) value: f64,
    pub(crate) information: f64,
}

/// The b at which the weighted mean of σ(b + score) has the log-odds `base_logit`.
///
/// Newton's method on the log-odds of the mean, which are almost a straight line in b and are one where all scores
/// are equal; inside a bracket, and by bisection where a step would leave it.
pub(crate) fn intercept(scores: &[f64], weights: Option<&[f64]>, base_logit: f64) -> Intercept {
    let sample = Sample { scores, labels: &[], weights, run: &Run::default() };
    let mut range = Range::EMPTY;
    let counted = (0..scores.len()).filter(|&row| weights.is_none_or(|weights| weights[row] > 0.0));
    counted.for_each(|row| range.extend(scores[row]));
    // With every score at its highest the mean is at most the base rate, with every one at its lowest at least.
    let mut bracket = Bracket::new(base_logit - range.high, base_logit - range.low);
    let mut b = base_logit.clamp(bracket.low, bracket.high.max(bracket.low));
    loop {
        let Sums([positive, negative, information]) = Sums::at(sample, b);
        let excess = positive.ln() - negative.ln() - base_logit;
        let slope = information / positive + information / negative;
        let step = excess / slope;
        bracket.narrow(b, excess);
        // Means of so many terms are rounded about as much.
        if step.abs() <= 4.0 * f64::EPSILON * b.abs().max(1.0) {
            return Intercept { value: b - step, information };
        }
        match bracket.newton(b, excess, slope).or_else(|| bracket.middle()) {
            Some(next) => b = next,
            None => return Intercept { value: b, information },
        }
    }
}

/// Σ w p, Σ w (1 − p) and Σ w p (1 − p).
struct Sums([f64; 3]);

impl Sums {
    fn at(sample: Sample<'_>, b: f64) -> Self {
        let n = sample.scores.len();
        let size = parallel::sum_block(n, 1).next_multiple_of(LANES);
        let sums = accumulate(n, size, || Self([0.0; 3]), |rows| (sample, b, rows));
        sums.unwrap_or(Self([0.0; 3]))
    }
}

impl Accumulate for Sums {
    type Block<'b> = (Sample<'b>, f64, Rows<usize>);

    fn add(&mut self, (sample, b, rows): Self::Block<'_>) {
        self.merge(vectorised(Pass { sample, b, rows }));
    }

    fn merge(&mut self, next: Self) {
        self.0.iter_mut().zip(next.0).for_each(|(sum, next)| *sum += next);
    }
}

struct Pass<'a> {
    sample: Sample<'a>,
    b: f64,
    rows: Rows<usize>,
}

impl Work for Pass<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run(self) -> Sums {
        let mut sums = [[0.0; LANES]; 3];
        for first in self.rows.step_by(LANES) {
            let z = lanes(&self.sample.scores[first..], 0.0);
            let weight = self.sample.weights_in_lanes(first);
            for lane in 0..LANES {
                let eta = self.b + z[lane];
                let e = exp_of_negative(-eta.abs());
                let (likely, unlikely) = (1.0 / (1.0 + e), e / (1.0 + e));
                let (p, q) = if eta >= 0.0 { (likely, unlikely) } else { (unlikely, likely) };
                sums[0][lane] += weight[lane] * p;
                sums[1][lane] += weight[lane] * q;
                sums[2][lane] += weight[lane] * (p * q);
            }
        }
        Sums(sums.map(|lanes| total(&lanes)))
    }
}
