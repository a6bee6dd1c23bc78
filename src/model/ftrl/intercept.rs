//! The intercept at which a loss is least, all other coefficients given.

use std::ops::Range;

use crate::core::Dataset;
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel;
use crate::loss::{Block, Loss};
use crate::numerics::root::Bracket;

/// Logits further out than this are certain under every loss.
const CERTAIN: f64 = 1e3;

/// The shift b of all `logits` at which Σ v ℓ′(z + b, y) = 0. `prior` rows of each class and of the mean weight
/// are added at z = 0, so that rows of one class have a shift too.
pub(super) fn best_shift(loss: &dyn Loss, data: &Dataset<'_>, logits: &[f64], prior: f64) -> f64 {
    let range = |(low, high): (f64, f64), &z: &f64| (low.min(z), high.max(z));
    let (low, high) = logits.iter().fold((0.0, 0.0), range);
    let mut bracket = Bracket::new(-CERTAIN - high, CERTAIN - low);
    let prior = prior * data.totals().weight() / data.rows().max(1) as f64;
    let mut b = 0.0;
    for _ in 0..200 {
        let Slope([mut value, mut slope]) = Slope::at(loss, data, logits, b);
        for label in [false, true] {
            let at = loss.at(b, label);
            value += prior * at.gradient;
            slope += prior * at.hessian;
        }
        bracket.narrow(b, value);
        let next = bracket.newton(b, value, slope).or_else(|| bracket.middle());
        match next {
            Some(next) if (next - b).abs() > 1e-12 * b.abs().max(1.0) => b = next,
            Some(next) => return next,
            None => return b,
        }
    }
    b
}

/// Σ v ℓ′ and Σ v ℓ″.
struct Slope([f64; 2]);

impl Slope {
    fn at(loss: &dyn Loss, data: &Dataset<'_>, logits: &[f64], b: f64) -> Self {
        let n = logits.len();
        let block = |rows| (loss, data, logits, b, rows);
        accumulate(n, parallel::sum_block(n, 1), || Self([0.0; 2]), block).unwrap_or(Self([0.0; 2]))
    }
}

impl Accumulate for Slope {
    type Block<'b> = (&'b dyn Loss, &'b Dataset<'b>, &'b [f64], f64, Range<usize>);

    fn add(&mut self, (loss, data, logits, b, rows): Self::Block<'_>) {
        let (mut gradients, mut hessians) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        let shifted: Vec<f64> = logits[rows.clone()].iter().map(|z| z + b).collect();
        loss.block(Block {
            logits: &shifted,
            labels: &data.labels()[rows.clone()],
            weights: data.weights().map(|weights| &weights[rows]),
            gradients: &mut gradients,
            hessians: &mut hessians,
        });
        self.0[0] += gradients.iter().sum::<f64>();
        self.0[1] += hessians.iter().sum::<f64>();
    }

    fn merge(&mut self, next: Self) {
        self.0[0] += next.0[0];
        self.0[1] += next.0[1];
    }
}
