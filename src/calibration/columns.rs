//! Logistic regression on one or two functions of a score, with coefficients held at 0 or above.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use std::ops::Range;

use faer::Mat;

use super::newton::{At, Minimum, minimise, sum};
use super::{CalibrationSet, Parameter};
use crate::Result;
use crate::exec::parallel;
use crate::exec::simd::{LANES, Work, lanes, total, vectorised};
use crate::metrics::binade;
use crate::numerics::linalg::sandwich;
use crate::numerics::vector::{exp_of_negative, ln_1p_of_share};

/// The functions of a logit that make the columns; `#[inline(always)]`, to run on vectors.
pub(super) trait Features<const D: usize>: Sync {
    fn of(&self, z: f64) -> [f64; D];
}

/// The logit itself.
pub(super) struct Logit;

impl Features<1> for Logit {
    #[inline(always)]
    fn of(&self, z: f64) -> [f64; 1] {
        [z]
    }
}

/// The maximum of the likelihood of log-odds Σ θⱼ xⱼ + c over θ ≥ 0.
pub(super) struct Columns<const D: usize> {
    pub(super) coefficients: [f64; D],
    /// 0 where there is none.
    pub(super) intercept: f64,
    covariance: Mat<f64>,
    held: Vec<bool>,
    pub(super) iterations: usize,
}

/// What the columns are fitted to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets {
    /// By how much the targets of negatives and of positives miss 0 and 1. Kept as the difference, which
    /// a target near 1 would round away.
    pub(super) misses: [f64; 2],
    pub(super) intercept: bool,
}

impl Targets {
    /// 0 and 1.
    pub(super) fn plain(intercept: bool) -> Self {
        Self { misses: [0.0; 2], intercept }
    }
}

impl<const D: usize> Columns<D> {
    /// Fits the columns that the features make of the logits; rows without weight are left out. Columns must
    /// be finite, and not all proportional.
    ///
    /// The passes over all rows start where the maximum for a [`Summary`] of them lies, if there are many: two
    /// passes are left then.
    pub(super) fn fit(
        scored: &CalibrationSet<'_>,
        targets: Targets,
        features: &impl Features<D>,
    ) -> Result<Self> {
        let (rows, [negative, positive]) = Rows::in_units(scored, features, targets.intercept);
        let parameters = D + usize::from(targets.intercept);
        let mut start = vec![0.0; parameters];
        let mut lower = vec![0.0; parameters];
        if targets.intercept {
            start[D] = (positive / negative).ln();
            lower[D] = f64::NEG_INFINITY;
        }
        let all = |start| minimise(start, &lower, |theta| objective(&rows, targets, theta));
        let near = Summary::of(&rows).and_then(|summary| {
            minimise(start.clone(), &lower, |theta| objective(&summary, targets, theta)).ok()
        });
        let found = near.map_or_else(
            || all(start.clone()),
            |near| all(near.theta).or_else(|_| all(start.clone())),
        )?;
        Ok(rows.in_columns(&found))
    }

    /// The coefficient as a parameter of that name.
    pub(super) fn parameter(&self, j: usize, name: &str) -> Parameter {
        let error = (!self.held[j]).then(|| self.covariance[(j, j)].sqrt());
        Parameter::new(name, self.coefficients[j], error.filter(|e| e.is_finite()))
    }

    /// The intercept as a parameter of that name.
    pub(super) fn constant(&self, name: &str) -> Parameter {
        let error = Some(self.covariance[(D, D)].sqrt()).filter(|e| e.is_finite());
        Parameter::new(name, self.intercept, error)
    }

    /// Whether a coefficient is at 0, and would be below if it could.
    pub(super) fn held(&self, j: usize) -> bool {
        self.held[j]
    }
}

/// Some rows, each number of theirs in a lane of its own.
#[derive(Clone, Copy)]
struct Chunk<const D: usize> {
    x: [[f64; LANES]; D],
    /// The sign is the label. 0 in lanes without a row, and for rows without weight.
    weight: [f64; LANES],
}

/// Rows that come in chunks.
trait Source<const D: usize>: Sync {
    /// Number of chunks.
    fn chunks(&self) -> usize;

    /// `#[inline(always)]`, to run on vectors.
    fn chunk(&self, index: usize) -> Chunk<D>;
}

/// What is gathered from chunks.
trait Gather<const D: usize>: Send {
    /// `#[inline(always)]`, to run on vectors.
    fn add(&mut self, chunk: &Chunk<D>);
}

/// A block of chunks to be gathered from.
struct Block<'a, S, G, const D: usize> {
    source: &'a S,
    chunks: Range<usize>,
    gathered: G,
}

impl<S: Source<D>, G: Gather<D>, const D: usize> Work for Block<'_, S, G, D> {
    type Output = G;

    #[inline(always)]
    fn run(mut self) -> G {
        for index in self.chunks {
            self.gathered.add(&self.source.chunk(index));
        }
        self.gathered
    }
}

/// What was gathered from each block, in their order; each starts `empty`.
fn gathered<G: Gather<D>, const D: usize>(
    source: &impl Source<D>,
    empty: impl Fn() -> G + Sync + Send,
) -> Vec<G> {
    let chunks = source.chunks();
    let size = parallel::sum_block(chunks * LANES, 1).div_ceil(LANES);
    parallel::map(chunks, size, |_, chunks| vectorised(Block { source, chunks, gathered: empty() }))
}

/// All rows, in units in which Newton's arithmetic is at ease: its steps do not depend on units, but their
/// rounding does. Columns are made anew in every pass; to read them from memory would take as long.
struct Rows<'a, F, const D: usize> {
    scored: &'a CalibrationSet<'a>,
    features: &'a F,
    units: [Unit; D],
    weight_unit: f64,
}

/// x · scale, with scale a power of two so that nothing overflows, has mean `centre` and standard
/// deviation `deviation`.
#[derive(Clone, Copy)]
struct Unit {
    scale: f64,
    centre: f64,
    deviation: f64,
}

impl Unit {
    const ONE: Self = Self { scale: 1.0, centre: 0.0, deviation: 1.0 };
}

impl<const D: usize, F: Features<D>> Source<D> for Rows<'_, F, D> {
    fn chunks(&self) -> usize {
        self.scored.rows().div_ceil(LANES)
    }

    #[inline(always)]
    fn chunk(&self, index: usize) -> Chunk<D> {
        let first = index * LANES;
        let z = lanes(&self.scored.logits()[first..], 0.0);
        let positive = lanes(&self.scored.labels()[first..], false);
        let mut weight = self.scored.weights_in_lanes(first);
        let per_unit = 1.0 / self.weight_unit;
        let mut x = [[0.0; LANES]; D];
        for lane in 0..LANES {
            let columns = self.features.of(z[lane]);
            for j in 0..D {
                let Unit { scale, centre, deviation } = self.units[j];
                let standard = (columns[j] * scale - centre) * (1.0 / deviation);
                // What has no weight may be infinite, and 0 · ∞ is no number.
                x[j][lane] = if weight[lane] > 0.0 { standard } else { 0.0 };
            }
            let signed = if positive[lane] { per_unit } else { -per_unit };
            weight[lane] *= signed;
        }
        Chunk { x, weight }
    }
}

impl<'a, const D: usize, F: Features<D>> Rows<'a, F, D> {
    /// The rows in their units, and the weight of each class, negatives first.
    fn in_units(
        scored: &'a CalibrationSet<'a>,
        features: &'a F,
        intercept: bool,
    ) -> (Self, [f64; 2]) {
        let mut rows = Self { scored, features, units: [Unit::ONE; D], weight_unit: 1.0 };
        let limits = Limits::of(&rows);
        rows.weight_unit = binade(limits.weight);
        for (unit, [least, most]) in rows.units.iter_mut().zip(limits.ends) {
            unit.scale = 1.0 / binade(most.abs().max(least.abs()));
        }
        let Moments { weights, firsts, .. } = Moments::of(&rows);
        let [negative, positive] = weights;
        // Only where an intercept can take up the mean.
        if intercept {
            for (unit, sum) in rows.units.iter_mut().zip(firsts) {
                unit.centre = sum / (negative + positive);
            }
        }
        let squares = Moments::of(&rows).seconds;
        for (j, unit) in rows.units.iter_mut().enumerate() {
            let [least, most] = limits.ends[j];
            if least == most && intercept {
                // Equal scores: exactly 0 in the unit, so that no slope is seen in rounding.
                unit.centre = least * unit.scale;
            } else if squares[j] > 0.0 {
                unit.deviation = (squares[j] / (negative + positive)).sqrt();
            }
        }
        (rows, weights)
    }

    /// From units back to the columns given: θⱼ = θ̃ⱼ sⱼ/dⱼ and c = c̃ − Σ θ̃ⱼ mⱼ/dⱼ.
    fn in_columns(&self, found: &Minimum) -> Columns<D> {
        let n = found.theta.len();
        let back = Mat::from_fn(n, n, |i, j| match (i == D, j == D) {
            (true, false) => -self.units[j].centre / self.units[j].deviation,
            (false, false) if i == j => self.units[j].scale / self.units[j].deviation,
            (true, true) => 1.0,
            _ => 0.0,
        });
        let theta = |i: usize| (0..n).map(|j| back[(i, j)] * found.theta[j]).sum::<f64>();
        let covariance = sandwich(&back, &found.covariance);
        Columns {
            coefficients: std::array::from_fn(theta),
            intercept: if n > D { theta(D) } else { 0.0 },
            covariance: Mat::from_fn(n, n, |i, j| covariance[(i, j)] / self.weight_unit),
            held: found.held.clone(),
            iterations: found.iterations,
        }
    }
}

/// The least and the largest number of each column, and the largest weight.
struct Limits<const D: usize> {
    ends: [[f64; 2]; D],
    weight: f64,
}

impl<const D: usize> Limits<D> {
    fn of(source: &impl Source<D>) -> Self {
        let mut limits = Self { ends: [[f64::INFINITY, f64::NEG_INFINITY]; D], weight: 0.0 };
        for block in gathered(source, LimitLanes::default) {
            let largest =
                |most: f64, lanes: &[f64; LANES]| lanes.iter().copied().fold(most, f64::max);
            for ([least, most], (low, high)) in
                limits.ends.iter_mut().zip(block.least.iter().zip(&block.most))
            {
                *least = low.iter().copied().fold(*least, f64::min);
                *most = largest(*most, high);
            }
            limits.weight = largest(limits.weight, &block.weight);
        }
        limits
    }
}

struct LimitLanes<const D: usize> {
    least: [[f64; LANES]; D],
    most: [[f64; LANES]; D],
    weight: [f64; LANES],
}

impl<const D: usize> Default for LimitLanes<D> {
    fn default() -> Self {
        Self {
            least: [[f64::INFINITY; LANES]; D],
            most: [[f64::NEG_INFINITY; LANES]; D],
            weight: [0.0; LANES],
        }
    }
}

impl<const D: usize> Gather<D> for LimitLanes<D> {
    #[inline(always)]
    fn add(&mut self, chunk: &Chunk<D>) {
        for lane in 0..LANES {
            let weight = chunk.weight[lane].abs();
            self.weight[lane] = self.weight[lane].max(weight);
            for j in 0..D {
                let (least, most) = (&mut self.least[j][lane], &mut self.most[j][lane]);
                let x = chunk.x[j][lane];
                *least = if weight > 0.0 { least.min(x) } else { *least };
                *most = if weight > 0.0 { most.max(x) } else { *most };
            }
        }
    }
}

/// Sums over the weights of each class, negatives first, and over the columns and their squares.
struct Moments<const D: usize> {
    weights: [f64; 2],
    firsts: [f64; D],
    seconds: [f64; D],
}

impl<const D: usize> Moments<D> {
    fn of(source: &impl Source<D>) -> Self {
        let mut sums = Self { weights: [0.0; 2], firsts: [0.0; D], seconds: [0.0; D] };
        for block in gathered(source, MomentLanes::default) {
            let add = |sum: &mut f64, lanes: &[f64; LANES]| *sum += total(lanes);
            (0..2).for_each(|class| add(&mut sums.weights[class], &block.weights[class]));
            for j in 0..D {
                add(&mut sums.firsts[j], &block.firsts[j]);
                add(&mut sums.seconds[j], &block.seconds[j]);
            }
        }
        sums
    }
}

struct MomentLanes<const D: usize> {
    weights: [[f64; LANES]; 2],
    firsts: [[f64; LANES]; D],
    seconds: [[f64; LANES]; D],
}

impl<const D: usize> Default for MomentLanes<D> {
    fn default() -> Self {
        let zeros = [[0.0; LANES]; D];
        Self { weights: [[0.0; LANES]; 2], firsts: zeros, seconds: zeros }
    }
}

impl<const D: usize> Gather<D> for MomentLanes<D> {
    #[inline(always)]
    fn add(&mut self, chunk: &Chunk<D>) {
        for lane in 0..LANES {
            let weight = chunk.weight[lane];
            self.weights[0][lane] += (-weight).max(0.0);
            self.weights[1][lane] += weight.max(0.0);
            for j in 0..D {
                let x = chunk.x[j][lane];
                self.firsts[j][lane] += weight.abs() * x;
                self.seconds[j][lane] += weight.abs() * x * x;
            }
        }
    }
}

/// A few rows that stand for all: the mean of each class in each of many narrow bins, with the weight of the
/// bin. The maximum of their likelihood is near that of all.
struct Summary<const D: usize>(Vec<Chunk<D>>);

impl<const D: usize> Source<D> for Summary<D> {
    fn chunks(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn chunk(&self, index: usize) -> Chunk<D> {
        self.0[index]
    }
}

impl<const D: usize> Summary<D> {
    /// The summary of rows in units, if it is worth making.
    fn of(rows: &impl Source<D>) -> Option<Self> {
        if rows.chunks() * LANES < 32 * BINS {
            return None;
        }
        let bins = gathered(rows, Bins::<D>::default).into_iter().map(|bins| bins.0).collect();
        let bins = parallel::merge(bins);
        let empty = Chunk { x: [[0.0; LANES]; D], weight: [0.0; LANES] };
        let cells = bins.chunks_exact(D + 1).enumerate().filter(|(_, sums)| sums[0] > 0.0);
        let cells: Vec<(usize, &[f64])> = cells.collect();
        let chunks = cells.chunks(LANES).map(|cells| {
            let mut chunk = empty;
            for (lane, &(cell, sums)) in cells.iter().enumerate() {
                chunk.weight[lane] = if cell % 2 == 1 { sums[0] } else { -sums[0] };
                (0..D).for_each(|j| chunk.x[j][lane] = sums[1 + j] / sums[0]);
            }
            chunk
        });
        Some(Self(chunks.collect()))
    }
}

/// Bins of the mean of a row's columns, which rises with the score, and bins in a unit of it. The outermost
/// have no end.
const BINS: usize = 2048;
const FINENESS: f64 = 128.0;

/// The weight and the weighted columns of the negatives and of the positives in each bin.
struct Bins<const D: usize>(Vec<f64>);

impl<const D: usize> Default for Bins<D> {
    fn default() -> Self {
        Self(vec![0.0; BINS * 2 * (D + 1)])
    }
}

impl<const D: usize> Gather<D> for Bins<D> {
    #[inline(always)]
    fn add(&mut self, chunk: &Chunk<D>) {
        let mut cells = [0; LANES];
        for lane in 0..LANES {
            let mut mean = 0.0;
            for j in 0..D {
                mean += chunk.x[j][lane] / D as f64;
            }
            // As an integer, what is below the first bin is 0.
            let bin = ((mean * FINENESS + (BINS / 2) as f64) as usize).min(BINS - 1);
            cells[lane] = 2 * bin + usize::from(chunk.weight[lane] > 0.0);
        }
        for lane in 0..LANES {
            let weight = chunk.weight[lane].abs();
            let sums = &mut self.0[cells[lane] * (D + 1)..][..D + 1];
            sums[0] += weight;
            for j in 0..D {
                sums[1 + j] += weight * chunk.x[j][lane];
            }
        }
    }
}

/// The negative log-likelihood in units.
fn objective<const D: usize>(source: &impl Source<D>, targets: Targets, theta: &[f64]) -> At {
    let blocks = gathered(source, || Likelihood::new(targets, theta));
    let at = |block: Likelihood<D>| block.at(theta.len());
    sum(theta.len(), blocks.into_iter().map(at).collect())
}

/// The negative log-likelihood with its derivatives, lane by lane.
struct Likelihood<const D: usize> {
    misses: [f64; 2],
    slopes: [f64; D],
    intercept: f64,
    value: [f64; LANES],
    gradient: [[f64; LANES]; D],
    hessian: [[[f64; LANES]; D]; D],
    // Those of the intercept, whose column is 1.
    gradient_1: [f64; LANES],
    hessian_1: [f64; LANES],
    mixed_1: [[f64; LANES]; D],
}

impl<const D: usize> Likelihood<D> {
    fn new(targets: Targets, theta: &[f64]) -> Self {
        let zeros = [0.0; LANES];
        Self {
            misses: targets.misses,
            slopes: std::array::from_fn(|j| theta[j]),
            intercept: theta.get(D).copied().unwrap_or(0.0),
            value: zeros,
            gradient: [zeros; D],
            hessian: [[zeros; D]; D],
            gradient_1: zeros,
            hessian_1: zeros,
            mixed_1: [zeros; D],
        }
    }

    /// The sums over the lanes, with or without an intercept.
    fn at(&self, parameters: usize) -> At {
        let gradient_of =
            |j: usize| total(if j < D { &self.gradient[j] } else { &self.gradient_1 });
        At {
            value: total(&self.value),
            gradient: (0..parameters).map(gradient_of).collect(),
            hessian: Mat::from_fn(parameters, parameters, |i, j| {
                let (i, j) = (i.max(j), i.min(j));
                total(match (i < D, j < D) {
                    (true, _) => &self.hessian[i][j],
                    (false, true) => &self.mixed_1[j],
                    (false, false) => &self.hessian_1,
                })
            }),
        }
    }
}

impl<const D: usize> Gather<D> for Likelihood<D> {
    #[inline(always)]
    fn add(&mut self, Chunk { x, weight }: &Chunk<D>) {
        let mut eta = [self.intercept; LANES];
        for j in 0..D {
            for lane in 0..LANES {
                eta[lane] += self.slopes[j] * x[j][lane];
            }
        }
        let [miss_of_negatives, miss_of_positives] = self.misses;
        let (mut toward, mut e) = (eta, [0.0; LANES]);
        for lane in 0..LANES {
            toward[lane] = if weight[lane] > 0.0 { eta[lane] } else { -eta[lane] };
            // One exponential for the value and both derivatives.
            e[lane] = exp_of_negative(-toward[lane].abs());
        }
        let (mut pull, mut curve) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let (weight, toward, e) = (weight[lane], toward[lane], e[lane]);
            let miss = if weight > 0.0 { miss_of_positives } else { miss_of_negatives };
            let likely = 1.0 / (1.0 + e);
            let wrong = if toward >= 0.0 { e * likely } else { likely };
            let loss = (-toward).max(0.0) + ln_1p_of_share(e) + miss * toward;
            self.value[lane] += weight.abs() * loss;
            pull[lane] = -weight * (wrong - miss);
            curve[lane] = weight.abs() * e * likely * likely;
            self.gradient_1[lane] += pull[lane];
            self.hessian_1[lane] += curve[lane];
        }
        for j in 0..D {
            for lane in 0..LANES {
                self.gradient[j][lane] += pull[lane] * x[j][lane];
                self.mixed_1[j][lane] += curve[lane] * x[j][lane];
            }
            for k in 0..=j {
                for lane in 0..LANES {
                    self.hessian[j][k][lane] += curve[lane] * x[j][lane] * x[k][lane];
                }
            }
        }
    }
}

/// Whether the scores take at least `n` different values that `count`.
pub(super) fn at_least_distinct(
    scored: &CalibrationSet<'_>,
    n: usize,
    count: impl Fn(f64) -> bool,
) -> bool {
    let mut seen: Vec<f64> = Vec::with_capacity(n);
    for (row, &z) in scored.logits().iter().enumerate() {
        if scored.weight(row) > 0.0 && count(z) && !seen.contains(&z) {
            seen.push(z);
            if seen.len() == n {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::numerics::sigmoid;
    use crate::numerics::vector::log_parts;

    struct Logs;

    impl Features<2> for Logs {
        #[inline(always)]
        fn of(&self, z: f64) -> [f64; 2] {
            log_parts(z).into()
        }
    }

    fn uniform(i: usize) -> f64 {
        Seed::new(i as u64).child("uniform").value() as f64 / 2_f64.powi(64)
    }

    /// The maximum and the passes to it, from the summary's start and from none.
    fn both<const D: usize>(
        scored: &CalibrationSet<'_>,
        features: &impl Features<D>,
    ) -> [Columns<D>; 2] {
        let targets = Targets::plain(true);
        let near = Columns::fit(scored, targets, features).unwrap();
        let (rows, [negative, positive]) = Rows::in_units(scored, features, true);
        let mut start = vec![0.0; D + 1];
        start[D] = (positive / negative).ln();
        let mut lower = vec![0.0; D + 1];
        lower[D] = f64::NEG_INFINITY;
        let cold = minimise(start, &lower, |theta| objective(&rows, targets, theta)).unwrap();
        [near, rows.in_columns(&cold)]
    }

    fn agree<const D: usize>(case: &str, scored: &CalibrationSet<'_>, features: &impl Features<D>) {
        let [near, cold] = both(scored, features);
        let ends = |fit: &Columns<D>| {
            let numbers = fit.coefficients.into_iter().chain([fit.intercept]);
            numbers.collect::<Vec<f64>>()
        };
        for (near, cold) in ends(&near).into_iter().zip(ends(&cold)) {
            assert!((near - cold).abs() <= 1e-10 * (1.0 + cold.abs()), "{case}: {near} {cold}");
        }
        assert!(near.iterations <= cold.iterations, "{case}");
    }

    #[test]
    fn the_start_from_a_summary_leads_to_the_same_maximum_in_fewer_passes() {
        let n = 100_000;
        let z: Vec<f64> = (0..n).map(|i| 8.0 * uniform(3 * i) - 7.0).collect();
        let labels: Vec<bool> =
            (0..n).map(|i| uniform(3 * i + 1) < sigmoid(0.7 * z[i] - 0.5)).collect();
        let weights: Vec<f64> = (0..n).map(|i| (4.0 * uniform(3 * i + 2) - 1.0).max(0.0)).collect();
        let scored = CalibrationSet::from_logits(&z, &labels).unwrap();
        agree("plain", &scored, &Logit);
        agree("plain", &scored, &Logs);
        let [near, cold] = both(&scored, &Logit);
        assert!(near.iterations <= 1 && cold.iterations > 3);
        let weighted = scored.with_weights(&weights).unwrap();
        agree("weighted", &weighted, &Logit);
        agree("weighted", &weighted, &Logs);
        // Bins that tell little: scores far out, and scores that are all but equal beside one.
        let mut far = z.clone();
        (far[7], far[8]) = (-900.0, 700.0);
        let scored = CalibrationSet::from_logits(&far, &labels).unwrap();
        agree("far", &scored, &Logit);
        agree("far", &scored, &Logs);
        let mut crowded: Vec<f64> = z.iter().map(|z| 1e-3 * z).collect();
        crowded[7] = 1e5;
        agree("crowded", &CalibrationSet::from_logits(&crowded, &labels).unwrap(), &Logit);
    }
}
