//! Logistic regression on one or two functions of a score, with coefficients held at 0 or above.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use faer::Mat;

use super::newton::{At, Minimum, minimise, sum};
use super::{Parameter, Scored};
use crate::linalg::sandwich;
use crate::metrics::binade;
use crate::vector::{LANES, Work, exp_of_negative, ln_1p_of_share, total, vectorised};
use crate::{Result, parallel};

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
    /// Fits the columns `of` the logits; rows without weight are left out. Columns must be finite, and
    /// not all proportional.
    pub(super) fn fit(
        scored: &Scored<'_>,
        targets: Targets,
        of: impl Fn(f64) -> [f64; D] + Sync,
    ) -> Result<Self> {
        let table = Table::new(scored, targets, of);
        let parameters = D + usize::from(targets.intercept);
        let mut start = vec![0.0; parameters];
        let mut lower = vec![0.0; parameters];
        if targets.intercept {
            let [positive, negative] =
                table.sums(|_, weight| [weight.max(0.0), (-weight).max(0.0)]);
            start[D] = (positive / negative).ln();
            lower[D] = f64::NEG_INFINITY;
        }
        let all = |start: Vec<f64>| minimise(start, &lower, |theta| table.objective(theta));
        let sampled = table.sample().and_then(|sample| {
            minimise(start.clone(), &lower, |theta| sample.objective(theta)).ok()
        });
        let found = sampled.map_or_else(
            || all(start.clone()),
            |sampled| all(sampled.theta).or_else(|_| all(start.clone())),
        )?;
        Ok(table.in_units(&found))
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

/// The rows, and the units in which Newton's arithmetic is at ease: its steps do not depend on units,
/// but their rounding does.
struct Table<const D: usize> {
    chunks: Vec<Chunk<D>>,
    targets: Targets,
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
    #[inline(always)]
    fn standard(self, x: f64) -> f64 {
        (x * self.scale - self.centre) / self.deviation
    }
}

/// The extremes of a column and of the weights.
#[derive(Clone, Copy)]
struct Range<const D: usize> {
    least: [f64; D],
    most: [f64; D],
    weight: f64,
}

impl<const D: usize> Range<D> {
    const NONE: Self =
        Self { least: [f64::INFINITY; D], most: [f64::NEG_INFINITY; D], weight: 0.0 };

    fn with(mut self, other: Self) -> Self {
        for j in 0..D {
            self.least[j] = self.least[j].min(other.least[j]);
            self.most[j] = self.most[j].max(other.most[j]);
        }
        Self { weight: self.weight.max(other.weight), ..self }
    }
}

/// Chunks to be summed up at θ.
struct Block<'a, const D: usize> {
    table: &'a Table<D>,
    chunks: &'a [Chunk<D>],
    theta: &'a [f64],
}

impl<const D: usize> Work for Block<'_, D> {
    type Output = At;

    #[inline(always)]
    fn run(self) -> At {
        self.table.block(self.chunks, self.theta)
    }
}

/// Of so many chunks one is in the sample from which a start is found, if that leaves so many rows of each
/// class that the sample's solution is near. It saves half the passes over all rows.
const SAMPLED: usize = 16;
const SAMPLE: f64 = 200.0;

/// Chunks in a block of a sum.
fn chunk_block(chunks: usize) -> usize {
    parallel::sum_block(chunks * LANES, 1).div_ceil(LANES)
}

impl<const D: usize> Table<D> {
    fn new(scored: &Scored<'_>, targets: Targets, of: impl Fn(f64) -> [f64; D] + Sync) -> Self {
        let empty = Chunk { x: [[0.0; LANES]; D], weight: [0.0; LANES] };
        let mut chunks = vec![empty; scored.rows().div_ceil(LANES)];
        let size = chunk_block(chunks.len());
        let ranges = parallel::map_into(&mut chunks, 1, size, |_, range, chunks| {
            let mut block = Range::NONE;
            for (index, chunk) in range.zip(chunks) {
                block = block.with(chunk.fill(scored, index * LANES, &of));
            }
            block
        });
        let range = ranges.into_iter().fold(Range::NONE, Range::with);
        let weight_unit = binade(range.weight);
        let mut table = Self {
            chunks,
            targets,
            units: [Unit { scale: 1.0, centre: 0.0, deviation: 1.0 }; D],
            weight_unit,
        };
        for (j, unit) in table.units.iter_mut().enumerate() {
            unit.scale = 1.0 / binade(range.most[j].abs().max(range.least[j].abs()));
        }
        let rows = table.sums(|_, weight| [weight.abs()])[0];
        // Only where an intercept can take up the mean.
        if targets.intercept {
            let means = table.sums(|x, weight| x.map(|x| weight.abs() * x));
            for (unit, sum) in table.units.iter_mut().zip(means) {
                unit.centre = sum / rows;
            }
        }
        let squares = table.sums(|x, weight| x.map(|x| weight.abs() * x * x));
        for (j, unit) in table.units.iter_mut().enumerate() {
            if range.least[j] == range.most[j] && targets.intercept {
                // Equal scores: exactly 0 in the unit, so that no slope is seen in rounding.
                unit.centre = range.least[j] * unit.scale;
            } else if squares[j] > 0.0 {
                unit.deviation = (squares[j] / rows).sqrt();
            }
        }
        table
    }

    /// Every sixteenth chunk, if that is a sample worth the name.
    fn sample(&self) -> Option<Self> {
        let chunks = self.chunks.iter().step_by(SAMPLED).copied().collect();
        let Self { targets, units, weight_unit, .. } = *self;
        let sample = Self { chunks, targets, units, weight_unit };
        let counts =
            sample.sums(|_, weight| [weight > 0.0, weight < 0.0].map(|is| f64::from(u8::from(is))));
        counts.iter().all(|&rows| rows >= SAMPLE).then_some(sample)
    }

    /// Sums over the rows, of their columns in units and their weight, whose sign is the label.
    fn sums<const N: usize>(
        &self,
        of: impl Fn([f64; D], f64) -> [f64; N] + Sync + Send,
    ) -> [f64; N] {
        let (chunks, units) = (&self.chunks, &self.units);
        let blocks = parallel::map(chunks.len(), chunk_block(chunks.len()), |_, range| {
            let mut sums = [[0.0; LANES]; N];
            for chunk in &chunks[range] {
                for lane in 0..LANES {
                    let x = std::array::from_fn(|j| units[j].standard(chunk.x[j][lane]));
                    let terms = of(x, chunk.weight[lane] / self.weight_unit);
                    for n in 0..N {
                        sums[n][lane] += terms[n];
                    }
                }
            }
            sums.map(|lanes| total(&lanes))
        });
        blocks.into_iter().fold([0.0; N], |mut sums, block| {
            sums.iter_mut().zip(block).for_each(|(sum, term)| *sum += term);
            sums
        })
    }

    /// The negative log-likelihood in units.
    fn objective(&self, theta: &[f64]) -> At {
        let chunks = &self.chunks;
        let blocks = parallel::map(chunks.len(), chunk_block(chunks.len()), |_, range| {
            vectorised(Block { table: self, chunks: &chunks[range], theta })
        });
        sum(theta.len(), blocks)
    }

    #[inline(always)]
    fn block(&self, chunks: &[Chunk<D>], theta: &[f64]) -> At {
        let (mut value, mut gradient, mut hessian) =
            ([0.0; LANES], [[0.0; LANES]; D], [[[0.0; LANES]; D]; D]);
        // Those of the intercept, whose column is 1.
        let (mut gradient_1, mut hessian_1, mut mixed_1) =
            ([0.0; LANES], [0.0; LANES], [[0.0; LANES]; D]);
        let intercept = theta.get(D).copied().unwrap_or(0.0);
        let [miss_of_negatives, miss_of_positives] = self.targets.misses;
        let weight_scale = 1.0 / self.weight_unit;
        for Chunk { x, weight: signed } in chunks {
            let (mut eta, mut standard) = ([intercept; LANES], [[0.0; LANES]; D]);
            for j in 0..D {
                for lane in 0..LANES {
                    standard[j][lane] = self.units[j].standard(x[j][lane]);
                    eta[lane] += theta[j] * standard[j][lane];
                }
            }
            let (mut pull, mut curve) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                let weight = signed[lane] * weight_scale;
                let positive = weight > 0.0;
                let toward = if positive { eta[lane] } else { -eta[lane] };
                let miss = if positive { miss_of_positives } else { miss_of_negatives };
                // One exponential for the value and both derivatives.
                let e = exp_of_negative(-toward.abs());
                let likely = 1.0 / (1.0 + e);
                let wrong = if toward >= 0.0 { e * likely } else { likely };
                let loss = (-toward).max(0.0) + ln_1p_of_share(e) + miss * toward;
                value[lane] += weight.abs() * loss;
                pull[lane] = -weight * (wrong - miss);
                curve[lane] = weight.abs() * e * likely * likely;
                gradient_1[lane] += pull[lane];
                hessian_1[lane] += curve[lane];
            }
            for j in 0..D {
                for lane in 0..LANES {
                    gradient[j][lane] += pull[lane] * standard[j][lane];
                    mixed_1[j][lane] += curve[lane] * standard[j][lane];
                }
                for k in 0..=j {
                    for lane in 0..LANES {
                        hessian[j][k][lane] += curve[lane] * standard[j][lane] * standard[k][lane];
                    }
                }
            }
        }
        let n = theta.len();
        let gradient_of = |j: usize| total(if j < D { &gradient[j] } else { &gradient_1 });
        At {
            value: total(&value),
            gradient: (0..n).map(gradient_of).collect(),
            hessian: Mat::from_fn(n, n, |i, j| {
                let (i, j) = (i.max(j), i.min(j));
                total(match (i < D, j < D) {
                    (true, _) => &hessian[i][j],
                    (false, true) => &mixed_1[j],
                    (false, false) => &hessian_1,
                })
            }),
        }
    }

    /// From units back to the columns given: θⱼ = θ̃ⱼ sⱼ/dⱼ and c = c̃ − Σ θ̃ⱼ mⱼ/dⱼ.
    fn in_units(&self, found: &Minimum) -> Columns<D> {
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

impl<const D: usize> Chunk<D> {
    /// Reads the rows from `first` on.
    #[inline(always)]
    fn fill(
        &mut self,
        scored: &Scored<'_>,
        first: usize,
        of: &impl Fn(f64) -> [f64; D],
    ) -> Range<D> {
        let rows = LANES.min(scored.rows() - first);
        let mut z = [0.0; LANES];
        z[..rows].copy_from_slice(&scored.logits()[first..first + rows]);
        for lane in 0..rows {
            let weight = scored.weight(first + lane);
            self.weight[lane] = if scored.labels()[first + lane] { weight } else { -weight };
        }
        for lane in 0..LANES {
            let columns = of(z[lane]);
            for j in 0..D {
                self.x[j][lane] = columns[j];
            }
        }
        let mut range = Range::NONE;
        for lane in 0..LANES {
            let weight = self.weight[lane].abs();
            if weight > 0.0 {
                let x = std::array::from_fn(|j| self.x[j][lane]);
                range = range.with(Range { least: x, most: x, weight });
            } else {
                // What has no weight may be infinite, and 0 · ∞ is no number.
                (0..D).for_each(|j| self.x[j][lane] = 0.0);
            }
        }
        range
    }
}

/// Whether the scores take at least `n` different values that `count`.
pub(super) fn at_least_distinct(
    scored: &Scored<'_>,
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
