//! Calibration error without bins.

use std::convert::Infallible;
use std::ops::Range;

use super::ranked::RankedScores;
use super::rows::{Sum, TermSum};
use crate::core::Result;
use crate::exec::accumulate::accumulate;
use crate::exec::parallel;
use crate::numerics::root;

/// Grid cells per standard deviation of the kernel.
const CELLS_PER_SIGMA: f64 = 16.0;
/// Standard deviations after which the kernel is cut off: beyond lies a mass of 2e-9.
const REACH: f64 = 6.0;
/// Most cells of the grid, which bounds time and memory. It is too coarse for bandwidths below
/// 16/2¹⁹ = 3e-5 only.
const MAX_CELLS: usize = 1 << 19;
/// Where the search stops: an error that small is none.
const SMALLEST: f64 = 1e-9;
/// Relative accuracy to which the bandwidth is found, below that of the grid.
const TOLERANCE: f64 = 1e-6;

/// The smooth expected calibration error.
///
/// ```text
/// smECE_σ = ∫₀¹ | Σ w (y − p) K_σ(t, p) / Σ w | dt,   smECE = the σ at which smECE_σ = σ
/// ```
///
/// with `K_σ` the Gaussian kernel reflected at 0 and 1. No bins to choose: the bandwidth chooses itself,
/// and a small change of the probabilities changes the value little.
///
/// - **Range** 0 to 1: nearly 0 for a calibrated model, up to sampling noise. Where every prediction
///   is too high, or every one too low, no bandwidth hides that: it is |mean p − mean y|.
/// - **p = 0 or 1** are ordinary values, ties are nothing special, one class is no obstacle.
/// - **Rare positives**: as with [`ece`](super::ece), an absolute error in units of probability; a
///   doubled rate of 0.1 % has about 0.001. Read
///   [`predicted_over_observed`](super::predicted_over_observed) next to it.
/// - **Accuracy**: about three digits above 3e-5; below, the value is only known to be that small.
///
/// Source: Błasiok & Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing", 2023.
/// Costs a sort and, for each of about 8 bandwidths σ, a convolution on a grid of spacing σ/16.
///
/// # Errors
/// The [errors common to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::smooth_ece;
///
/// // Far from 0 and 1, a constant gap of 0.1 is an error of nearly 0.1.
/// let labels: Vec<bool> = (0..1000).map(|i| i % 2 == 0).collect();
/// let error = smooth_ece(&labels, &[0.6; 1000], None)?;
/// assert!((error - 0.1).abs() < 1e-4);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn smooth_ece(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    RankedScores::of_probabilities(labels, probabilities, weights)?.smooth_ece()
}

impl RankedScores {
    /// See [`smooth_ece`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if a score is no probability.
    pub fn smooth_ece(&self) -> Result<f64> {
        self.ensure_probabilities()?;
        let residuals: Vec<(f64, f64)> = self
            .groups()
            .map(|group| {
                let p = self.domain.probability(group.score);
                let residual = group.positive * (1.0 - p) - group.negative * p;
                (p, residual / self.classes.total())
            })
            .collect();
        // No bandwidth gives more than the mean absolute residual.
        let most = mean_absolute(&residuals);
        if most <= SMALLEST {
            return Ok(most);
        }
        // smECE_σ falls with σ, so the fixed point lies between any σ and the value there: at ln σ = ln most − t
        // ln smECE_σ − ln σ is negative for t = 0 and rises with t, and a step as long as that value reaches the
        // other side.
        let excess = |t: f64| {
            let sigma = most * (-t).exp();
            Ok::<f64, Infallible>((smoothed(&residuals, sigma).max(SMALLEST) / sigma).ln())
        };
        let Ok(first) = excess(0.0);
        let Ok(t) = root::search(first, -first, 1.0, [TOLERANCE, 0.0], excess);
        let sigma = most * (-t.unwrap_or(0.0)).exp();
        // Rounding must not carry an error that is always 1 past it.
        Ok(sigma.min(1.0))
    }
}

/// The mean of the absolute residuals, which are shares of the total weight.
fn mean_absolute(residuals: &[(f64, f64)]) -> f64 {
    residuals.iter().map(|row| row.1.abs()).collect::<Sum>().value()
}

/// `smECE_σ` of residuals in order of their probability.
fn smoothed(residuals: &[(f64, f64)], sigma: f64) -> f64 {
    let cells = (CELLS_PER_SIGMA / sigma).ceil().min(MAX_CELLS as f64) as usize;
    let h = 1.0 / cells as f64;
    let mut nodes = vec![0.0; cells + 1];
    for &(p, residual) in residuals {
        let place = p * cells as f64;
        let node = (place as usize).min(cells - 1);
        let share = place - node as f64;
        nodes[node] += residual * (1.0 - share);
        nodes[node + 1] += residual * share;
    }
    let reach = ((REACH * sigma / h).ceil() as usize).max(1);
    let kernel: Vec<f64> = {
        // Splitting a residual between two nodes spreads it by h²/6 on average, which the kernel lacks.
        let variance = (sigma * sigma - h * h / 6.0).max(0.25 * sigma * sigma);
        let bell = |k: usize| (-0.5 * (k as f64 * h).powi(2) / variance).exp();
        let half: Vec<f64> = (0..=reach).map(bell).collect();
        let mass = half[0] + 2.0 * half[1..].iter().sum::<f64>();
        let sides = half[1..].iter().rev().chain(&half);
        sides.map(|value| value / mass).collect()
    };
    // Mirrored at both ends, as often as the kernel reaches. A node at the end is its own image, so its
    // image adds to it: there the kernel is doubled.
    let period = 2 * cells;
    let image = |k: usize| {
        let place = (k + period * reach.div_ceil(period) - reach) % period;
        place.min(period - place)
    };
    let doubled = |node: usize| if node == 0 || node == cells { 2.0 } else { 1.0 };
    let mirrored: Vec<f64> =
        (0..=cells + 2 * reach).map(image).map(|node| doubled(node) * nodes[node]).collect();
    let block = |range: Range<usize>| {
        let mut sum = 0.0;
        for node in range {
            let window = &mirrored[node..node + kernel.len()];
            let value: f64 = window.iter().zip(&kernel).map(|(a, b)| a * b).sum();
            // The trapezoidal rule; the spacing is in the kernel's normalisation.
            sum += value.abs() / doubled(node);
        }
        std::iter::once(sum)
    };
    let total = accumulate(cells + 1, parallel::BLOCK, TermSum::default, block);
    total.unwrap_or_default().sum.value()
}
