//! Logistic regression on a few functions of a score, with free coefficients or coefficients of 0 or above.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use std::ops::Range as Rows;

use ndarray::Array2;

use super::Sample;
use super::newton::{At, Minimum, newton};
use crate::core::{Error, Meter, Result, Run, attempted};
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel;
use crate::exec::simd::{LANES, Work, lanes, total, vectorised};
use crate::numerics::linalg::sandwich;
use crate::numerics::power_of_two_below;
use crate::numerics::vector::{exp_of_negative, ln_1p_of_share};

/// The functions of a score that make the columns.
pub(crate) trait Features: Sync {
    /// Number of columns.
    fn columns(&self) -> usize;

    /// Writes the columns of some scores; `#[inline(always)]`, to run on vectors.
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]);
}

/// The score itself.
pub(crate) struct Logit;

impl Features for Logit {
    fn columns(&self) -> usize {
        1
    }

    #[inline(always)]
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
        x[0] = *z;
    }
}

/// The maximum of the likelihood of log-odds Σ θⱼ xⱼ + c, over all θ or over θ ≥ 0.
#[derive(Debug, Clone)]
pub(crate) struct BoundedLogit {
    pub(crate) coefficients: Vec<f64>,
    /// 0 where the form has none.
    pub(crate) intercept: f64,
    /// Which coefficients are at 0, and would be below if they could.
    pub(crate) at_bound: Vec<bool>,
    /// Of the coefficients, then of the intercept.
    pub(crate) covariance: Array2<f64>,
    pub(crate) iterations: usize,
}

/// What is fitted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogitForm {
    /// The target is the first number for negatives and 1 less the second for positives (Platt's smoothing).
    /// Stored as distances from 0 and 1, because a target near 1 would round them away.
    pub(crate) target_offsets: [f64; 2],
    pub(crate) intercept: bool,
    /// Whether coefficients may be below 0.
    pub(crate) free: bool,
}

impl LogitForm {
    /// Targets 0 and 1, an intercept, and coefficients of 0 or above.
    pub(crate) const RISING: Self = Self { target_offsets: [0.0; 2], intercept: true, free: false };
}

impl BoundedLogit {
    /// Fits the columns that the features make of the scores. Columns must be finite, and not all proportional.
    ///
    /// Where rows are many, the passes over them start at the maximum for a [`Summary`] of them, which leaves
    /// two passes.
    pub(crate) fn fit(
        sample: Sample<'_>,
        form: LogitForm,
        features: &impl Features,
    ) -> Result<Self> {
        let rows = Standardised::new(sample, form, features)?;
        let (cold, mut found) = (rows.start(), None);
        if let Some(summary) = Summary::of(&rows)?
            && let Some(near) = attempted(rows.minimise(&summary, cold.clone(), None))?
        {
            found = attempted(rows.minimise(&rows, near.theta, None))?;
        }
        let found = found.map_or_else(|| rows.minimise(&rows, cold, None), Ok)?;
        rows.in_columns(&found).ensure_finite()
    }

    /// Refuses coefficients that f64 does not hold, because the columns differ by too little.
    pub(super) fn ensure_finite(self) -> Result<Self> {
        let all = self.coefficients.iter().copied().chain([self.intercept]);
        let bad = { all }.find(|c| !c.is_finite());
        match bad {
            None => Ok(self),
            Some(value) => Err(Error::Numerical {
                what: "a coefficient of the score".into(),
                value,
                remedy: "the scores differ by too little for f64: multiply them by a constant",
            }),
        }
    }

    /// The standard error of a coefficient or, after the last, of the intercept; none at a bound.
    pub(crate) fn standard_error(&self, j: usize) -> Option<f64> {
        let at_bound = self.at_bound.get(j) == Some(&true);
        (!at_bound).then(|| self.covariance[(j, j)].sqrt()).filter(|error| error.is_finite())
    }
}

/// The mean and the standard deviation of scores that are not all equal.
pub(crate) fn mean_and_deviation(sample: Sample<'_>) -> Result<[f64; 2]> {
    let Unit { scale, centre, deviation } =
        Standardised::new(sample, LogitForm::RISING, &Logit)?.units[0];
    Ok([centre / scale, deviation / scale])
}

/// The most columns.
pub(crate) const MAX_COLUMNS: usize = 16;

/// Rows that come in chunks, each number in a lane of its own.
pub(super) trait Source: Sync {
    /// The run in which they are read.
    fn run(&self) -> &Run;

    /// Number of rows.
    fn rows(&self) -> usize;

    /// Number of chunks.
    fn chunks(&self) -> usize {
        self.rows().div_ceil(LANES)
    }

    /// Number of columns.
    fn columns(&self) -> usize;

    /// Writes the columns of a chunk and returns its weights: their sign is the label, and they are 0 in lanes
    /// without a row. `#[inline(always)]`, to run on vectors.
    fn read(&self, chunk: usize, x: &mut [[f64; LANES]]) -> [f64; LANES];
}

/// Sums over rows, and maxima, that are gathered from their chunks, lane by lane.
pub(super) trait Statistic: Sync {
    /// How many numbers there are.
    fn len(&self) -> usize;

    /// How many of them, the first ones, are maxima.
    fn maxima(&self) -> usize {
        0
    }

    /// Adds a chunk; `#[inline(always)]`, to run on vectors.
    fn add(&self, x: &[[f64; LANES]], weight: &[f64; LANES], gathered: &mut [[f64; LANES]]);
}

/// The statistic of all rows.
pub(super) fn gather<T: Statistic>(statistic: &T, source: &impl Source) -> Result<Vec<f64>> {
    let (meter, chunks) = (&pass_over(source), source.chunks());
    let size = parallel::sum_block(chunks * LANES, 1).div_ceil(LANES);
    let mut numbers = vec![0.0; statistic.len()];
    numbers[..statistic.maxima()].fill(f64::NEG_INFINITY);
    let empty = || Gathered { statistic, source, meter, numbers: numbers.clone() };
    let found = accumulate(chunks, size, empty, |chunks| chunks).unwrap_or_else(empty).numbers;
    meter.finish().map(|()| found)
}

fn pass_over(source: &impl Source) -> Meter<'_> {
    Meter::new(source.run(), "calibration", "rows", source.rows())
}

/// Chunks between two questions whether to go on: some milliseconds of work.
const PART: usize = 512;

/// The parts of a range of chunks, until the observer stops the work.
fn parts(meter: &Meter<'_>, chunks: Rows<usize>) -> impl Iterator<Item = Rows<usize>> {
    let end = chunks.end;
    let parts = chunks.step_by(PART).map(move |first| first..(first + PART).min(end));
    parts.take_while(|part| meter.goes_on(part.len() * LANES))
}

struct Gathered<'a, T, S> {
    statistic: &'a T,
    source: &'a S,
    meter: &'a Meter<'a>,
    numbers: Vec<f64>,
}

impl<T: Statistic, S: Source> Accumulate for Gathered<'_, T, S> {
    type Block<'b> = Rows<usize>;

    fn add(&mut self, chunks: Rows<usize>) {
        let Self { statistic, source, meter, .. } = *self;
        let mut lanes = vec![[0.0; LANES]; self.numbers.len()];
        lanes[..statistic.maxima()].fill([f64::NEG_INFINITY; LANES]);
        for chunks in parts(meter, chunks) {
            vectorised(Pass { statistic, source, chunks, gathered: &mut lanes });
        }
        let (maxima, sums) = lanes.split_at(statistic.maxima());
        let largest =
            maxima.iter().map(|lanes| lanes.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let numbers = largest.chain(sums.iter().map(total)).collect();
        self.merge(Self { statistic, source, meter, numbers });
    }

    fn merge(&mut self, next: Self) {
        let maxima = self.statistic.maxima();
        for (j, (number, next)) in self.numbers.iter_mut().zip(next.numbers).enumerate() {
            *number = if j < maxima { number.max(next) } else { *number + next };
        }
    }
}

struct Pass<'a, T, S> {
    statistic: &'a T,
    source: &'a S,
    chunks: Rows<usize>,
    gathered: &'a mut [[f64; LANES]],
}

impl<T: Statistic, S: Source> Work for Pass<'_, T, S> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut x = [[0.0; LANES]; MAX_COLUMNS];
        let x = &mut x[..self.source.columns()];
        for chunk in self.chunks {
            let weight = self.source.read(chunk, x);
            self.statistic.add(x, &weight, self.gathered);
        }
    }
}

/// Rows standardised to mean 0 and deviation 1: Newton's steps are scale-free, their rounding is not. Columns are
/// computed in every pass, which takes no longer than to read them from memory.
pub(super) struct Standardised<'a, F> {
    sample: Sample<'a>,
    form: LogitForm,
    features: &'a F,
    pub(super) units: Vec<Unit>,
    pub(super) weight_unit: f64,
    /// The weight of each class, negatives first.
    pub(super) class_weights: [f64; 2],
}

/// x · scale, with scale a power of two so that nothing overflows, has mean `centre` and standard
/// deviation `deviation`.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    pub(super) scale: f64,
    pub(super) centre: f64,
    pub(super) deviation: f64,
}

impl<F: Features> Source for Standardised<'_, F> {
    fn run(&self) -> &Run {
        self.sample.run
    }

    fn rows(&self) -> usize {
        self.sample.scores.len()
    }

    fn columns(&self) -> usize {
        self.features.columns()
    }

    #[inline(always)]
    fn read(&self, chunk: usize, x: &mut [[f64; LANES]]) -> [f64; LANES] {
        let first = chunk * LANES;
        let z = lanes(&self.sample.scores[first..], 0.0);
        let positive = lanes(&self.sample.labels[first..], false);
        let mut weight = self.sample.weights_in_lanes(first);
        let per_unit = 1.0 / self.weight_unit;
        self.features.write(&z, x);
        for (x, &Unit { scale, centre, deviation }) in x.iter_mut().zip(&self.units) {
            for lane in 0..LANES {
                let standard = (x[lane] * scale - centre) * (1.0 / deviation);
                // Rows of weight 0 may have infinite scores, and 0 · ∞ is NaN.
                x[lane] = if weight[lane] > 0.0 { standard } else { 0.0 };
            }
        }
        for lane in 0..LANES {
            weight[lane] *= if positive[lane] { per_unit } else { -per_unit };
        }
        weight
    }
}

impl<'a, F: Features> Standardised<'a, F> {
    pub(super) fn new(sample: Sample<'a>, form: LogitForm, features: &'a F) -> Result<Self> {
        let columns = features.columns();
        let unit = Unit { scale: 1.0, centre: 0.0, deviation: 1.0 };
        let units = vec![unit; columns];
        let mut rows =
            Self { sample, form, features, units, weight_unit: 1.0, class_weights: [0.0; 2] };
        let mut gathered = gather(&Limits { columns }, &rows)?;
        let (largest, ends) = (gathered[0], gathered[1..=2 * columns].to_vec());
        rows.weight_unit = power_of_two_below(largest);
        for (unit, ends) in rows.units.iter_mut().zip(ends.chunks_exact(2)) {
            unit.scale = 1.0 / power_of_two_below(ends[0].abs().max(ends[1].abs()));
        }
        // Units are powers of two: sums without them are multiples of sums with them, where nothing overflows.
        let ordinary = |x: &f64| *x == 0.0 || (1e-100..1e100).contains(&x.abs());
        let mut factors = vec![1.0; columns + 2];
        if ends.iter().chain([&largest]).all(ordinary) {
            factors.fill(1.0 / rows.weight_unit);
            factors[2..].iter_mut().zip(&rows.units).for_each(|(f, unit)| *f *= unit.scale);
        } else {
            gathered = gather(&Limits { columns }, &rows)?;
        }
        let sums = gathered[1 + 2 * columns..].iter().zip(factors).map(|(sum, f)| sum * f);
        let sums: Vec<f64> = sums.collect();
        let (negative, positive) = (sums[0], sums[1]);
        rows.class_weights = [negative, positive];
        // Only where an intercept can take up the mean.
        if form.intercept {
            for (unit, sum) in rows.units.iter_mut().zip(&sums[2..]) {
                unit.centre = sum / (negative + positive);
            }
        }
        let squares = gather(&Squares { columns }, &rows)?;
        for (j, unit) in rows.units.iter_mut().enumerate() {
            let [low, high] = [-ends[2 * j], ends[2 * j + 1]];
            if low == high && form.intercept {
                // Equal scores: exactly 0 in the unit, so that no slope is seen in rounding.
                unit.centre = low * unit.scale;
            } else if squares[j] > 0.0 {
                unit.deviation = (squares[j] / (negative + positive)).sqrt();
            }
        }
        Ok(rows)
    }

    /// The best constant.
    pub(super) fn start(&self) -> Vec<f64> {
        let mut start = vec![0.0; self.units.len()];
        if self.form.intercept {
            start.push((self.class_weights[1] / self.class_weights[0]).ln());
        }
        start
    }

    /// The minimum of the negative log-likelihood of these rows or of a summary of them, plus ½ |Dθ|² for a D if there
    /// is one. The product `DᵀD` itself would round away the directions that it leaves free, where λ is large.
    pub(super) fn minimise(
        &self,
        source: &impl Source,
        start: Vec<f64>,
        penalty: Option<&Array2<f64>>,
    ) -> Result<Minimum> {
        let columns = self.units.len();
        let bound = if self.form.free { f64::NEG_INFINITY } else { 0.0 };
        let mut lower = vec![bound; columns];
        lower.resize(start.len(), f64::NEG_INFINITY);
        newton(start, &lower, |theta| {
            let offsets = self.form.target_offsets;
            let mut at = Likelihood { columns, offsets, theta }.at(source)?;
            for row in penalty.iter().flat_map(|penalty| penalty.rows()) {
                let product: f64 = row.iter().zip(theta).map(|(d, theta)| d * theta).sum();
                at.value += 0.5 * product * product;
                for i in 0..columns {
                    at.gradient[i] += product * row[i];
                    (0..=i).for_each(|j| at.hessian[(i, j)] += row[i] * row[j]);
                }
            }
            Ok(at)
        })
    }

    /// From units back to the columns given: θⱼ = θ̃ⱼ sⱼ/dⱼ and c = c̃ − Σ θ̃ⱼ mⱼ/dⱼ.
    pub(super) fn in_columns(&self, found: &Minimum) -> BoundedLogit {
        let (n, columns) = (found.theta.len(), self.units.len());
        let back = Array2::from_shape_fn((n, n), |(i, j)| match (i == columns, j == columns) {
            (true, false) => -self.units[j].centre / self.units[j].deviation,
            (false, false) if i == j => self.units[j].scale / self.units[j].deviation,
            (true, true) => 1.0,
            _ => 0.0,
        });
        let theta = |i: usize| (0..n).map(|j| back[(i, j)] * found.theta[j]).sum::<f64>();
        let covariance = sandwich(&back.t(), &found.covariance.view());
        BoundedLogit {
            coefficients: (0..columns).map(theta).collect(),
            intercept: if n > columns { theta(columns) } else { 0.0 },
            covariance: Array2::from_shape_fn((n, n), |(i, j)| {
                covariance[(i, j)] / self.weight_unit
            }),
            at_bound: found.at_bound.clone(),
            iterations: found.iterations,
        }
    }
}

/// The largest weight; minus the smallest and the largest number of each column; the weight of each class,
/// negatives first; the weighted sum of each column.
struct Limits {
    columns: usize,
}

impl Statistic for Limits {
    fn len(&self) -> usize {
        3 + 3 * self.columns
    }

    fn maxima(&self) -> usize {
        1 + 2 * self.columns
    }

    #[inline(always)]
    fn add(&self, x: &[[f64; LANES]], weight: &[f64; LANES], gathered: &mut [[f64; LANES]]) {
        let (maxima, sums) = gathered.split_at_mut(1 + 2 * x.len());
        let Some((weights, sums)) = sums.split_first_chunk_mut::<2>() else { return };
        let [largest, ends @ ..] = maxima else { return };
        for lane in 0..LANES {
            largest[lane] = largest[lane].max(weight[lane].abs());
            weights[0][lane] += (-weight[lane]).max(0.0);
            weights[1][lane] += weight[lane].max(0.0);
        }
        for ((x, ends), sum) in x.iter().zip(ends.as_chunks_mut::<2>().0).zip(sums) {
            for lane in 0..LANES {
                let counts = weight[lane] != 0.0;
                ends[0][lane] =
                    ends[0][lane].max(if counts { -x[lane] } else { f64::NEG_INFINITY });
                ends[1][lane] = ends[1][lane].max(if counts { x[lane] } else { f64::NEG_INFINITY });
                sum[lane] += weight[lane].abs() * x[lane];
            }
        }
    }
}

/// The weighted sum of the square of each column.
struct Squares {
    columns: usize,
}

impl Statistic for Squares {
    fn len(&self) -> usize {
        self.columns
    }

    #[inline(always)]
    fn add(&self, x: &[[f64; LANES]], weight: &[f64; LANES], gathered: &mut [[f64; LANES]]) {
        for (x, sum) in x.iter().zip(gathered) {
            for lane in 0..LANES {
                sum[lane] += weight[lane].abs() * x[lane] * x[lane];
            }
        }
    }
}

/// A few rows that stand for all: the mean of each class in each of many narrow bins, with the weight of the
/// bin. The maximum of their likelihood is near that of all.
pub(super) struct Summary<'r> {
    run: &'r Run,
    columns: usize,
    /// The columns of each chunk, then its weights.
    chunks: Vec<[f64; LANES]>,
}

impl Source for Summary<'_> {
    fn run(&self) -> &Run {
        self.run
    }

    fn rows(&self) -> usize {
        self.chunks.len() / (self.columns + 1) * LANES
    }

    fn columns(&self) -> usize {
        self.columns
    }

    #[inline(always)]
    fn read(&self, chunk: usize, x: &mut [[f64; LANES]]) -> [f64; LANES] {
        let numbers = &self.chunks[chunk * (self.columns + 1)..][..self.columns + 1];
        x.copy_from_slice(&numbers[..self.columns]);
        numbers[self.columns]
    }
}

impl<'r> Summary<'r> {
    /// The summary of standardised rows, if it is worth making.
    pub(super) fn of(rows: &'r impl Source) -> Result<Option<Self>> {
        let (chunks, columns) = (rows.chunks(), rows.columns());
        if chunks * LANES < 32 * BINS {
            return Ok(None);
        }
        let size = parallel::sum_block(chunks * LANES, 1).div_ceil(LANES);
        let meter = &pass_over(rows);
        let empty = || Bins { rows, meter, sums: vec![0.0; BINS * 2 * (columns + 1)] };
        let bins = accumulate(chunks, size, empty, |chunks| chunks).unwrap_or_else(empty);
        meter.finish()?;
        let cells = bins.sums.chunks_exact(columns + 1).enumerate();
        let cells: Vec<(usize, &[f64])> = cells.filter(|(_, sums)| sums[0] > 0.0).collect();
        let mut summary = Vec::new();
        for cells in cells.chunks(LANES) {
            let mut chunk = vec![[0.0; LANES]; columns + 1];
            for (lane, &(cell, sums)) in cells.iter().enumerate() {
                (0..columns).for_each(|j| chunk[j][lane] = sums[1 + j] / sums[0]);
                chunk[columns][lane] = if cell % 2 == 1 { sums[0] } else { -sums[0] };
            }
            summary.append(&mut chunk);
        }
        Ok(Some(Self { run: rows.run(), columns, chunks: summary }))
    }
}

/// Bins of the mean of a row's columns, which rises with the score, and bins in a unit of it. The outermost
/// have no end.
const BINS: usize = 2048;
const FINENESS: f64 = 128.0;

/// The weight and the weighted columns of the negatives and of the positives in each bin.
struct Bins<'a, S> {
    rows: &'a S,
    meter: &'a Meter<'a>,
    sums: Vec<f64>,
}

impl<S: Source> Accumulate for Bins<'_, S> {
    type Block<'b> = Rows<usize>;

    fn add(&mut self, chunks: Rows<usize>) {
        for chunks in parts(self.meter, chunks) {
            vectorised(Fill { rows: self.rows, chunks, sums: &mut self.sums });
        }
    }

    fn merge(&mut self, next: Self) {
        self.sums.iter_mut().zip(next.sums).for_each(|(sum, next)| *sum += next);
    }
}

struct Fill<'a, S> {
    rows: &'a S,
    chunks: Rows<usize>,
    sums: &'a mut [f64],
}

impl<S: Source> Work for Fill<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut x = [[0.0; LANES]; MAX_COLUMNS];
        let columns = self.rows.columns();
        for chunk in self.chunks {
            let weight = self.rows.read(chunk, &mut x[..columns]);
            let mut cells = [0; LANES];
            for lane in 0..LANES {
                let mut mean = 0.0;
                for x in &x[..columns] {
                    mean += x[lane] / columns as f64;
                }
                // As an integer, a number below the first bin is 0.
                let bin = ((mean * FINENESS + (BINS / 2) as f64) as usize).min(BINS - 1);
                cells[lane] = 2 * bin + usize::from(weight[lane] > 0.0);
            }
            for lane in 0..LANES {
                let weight = weight[lane].abs();
                let sums = &mut self.sums[cells[lane] * (columns + 1)..][..columns + 1];
                sums[0] += weight;
                for j in 0..columns {
                    sums[1 + j] += weight * x[j][lane];
                }
            }
        }
    }
}

/// The negative log-likelihood in units: its value; its derivatives by the intercept, whose column is 1, first and
/// second; for each column the first derivative, the mixed one with the intercept, and those with the columns up to
/// itself.
pub(super) struct Likelihood<'t> {
    pub(super) columns: usize,
    pub(super) offsets: [f64; 2],
    pub(super) theta: &'t [f64],
}

impl Likelihood<'_> {
    pub(super) fn at(&self, source: &impl Source) -> Result<At> {
        let sums = gather(self, source)?;
        let first = |j: usize| 3 + j * (j + 5) / 2;
        let (n, intercept) = (self.theta.len(), self.columns);
        let gradient = |j: usize| if j < intercept { sums[first(j)] } else { sums[1] };
        Ok(At {
            value: sums[0],
            gradient: (0..n).map(gradient).collect(),
            hessian: Array2::from_shape_fn((n, n), |(i, j)| match (i.max(j), i.min(j)) {
                (i, j) if i < intercept => sums[first(i) + 2 + j],
                (_, j) if j < intercept => sums[first(j) + 1],
                _ => sums[2],
            }),
        })
    }
}

impl Statistic for Likelihood<'_> {
    fn len(&self) -> usize {
        3 + self.columns * (self.columns + 5) / 2
    }

    #[inline(always)]
    fn add(&self, x: &[[f64; LANES]], weight: &[f64; LANES], gathered: &mut [[f64; LANES]]) {
        let mut eta = [self.theta.get(x.len()).copied().unwrap_or(0.0); LANES];
        for (x, slope) in x.iter().zip(self.theta) {
            for lane in 0..LANES {
                eta[lane] += slope * x[lane];
            }
        }
        let [offset_of_negatives, offset_of_positives] = self.offsets;
        let (mut toward, mut e) = (eta, [0.0; LANES]);
        for lane in 0..LANES {
            toward[lane] = if weight[lane] > 0.0 { eta[lane] } else { -eta[lane] };
            // One exponential for the value and both derivatives.
            e[lane] = exp_of_negative(-toward[lane].abs());
        }
        // Arrays of a known length, whose lanes a compiler knows to be apart.
        let Some((sums, mut rest)) = gathered.split_first_chunk_mut::<3>() else { return };
        let (mut pull, mut curve) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let (weight, toward, e) = (weight[lane], toward[lane], e[lane]);
            let offset = if weight > 0.0 { offset_of_positives } else { offset_of_negatives };
            let likely = 1.0 / (1.0 + e);
            let wrong = if toward >= 0.0 { e * likely } else { likely };
            let loss = (-toward).max(0.0) + ln_1p_of_share(e) + offset * toward;
            pull[lane] = -weight * (wrong - offset);
            curve[lane] = weight.abs() * e * likely * likely;
            sums[0][lane] += weight.abs() * loss;
            sums[1][lane] += pull[lane];
            sums[2][lane] += curve[lane];
        }
        for (j, own) in x.iter().enumerate() {
            let Some((sums, hessian)) = rest.split_first_chunk_mut::<2>() else { return };
            for lane in 0..LANES {
                sums[0][lane] += pull[lane] * own[lane];
                sums[1][lane] += curve[lane] * own[lane];
            }
            let (hessian, next) = hessian.split_at_mut(j + 1);
            for (other, sums) in x.iter().zip(hessian) {
                for lane in 0..LANES {
                    sums[lane] += curve[lane] * own[lane] * other[lane];
                }
            }
            rest = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::core::Seed;
    use crate::numerics::sigmoid;
    use crate::numerics::vector::log_parts;

    struct Logs;

    impl Features for Logs {
        fn columns(&self) -> usize {
            2
        }

        #[inline(always)]
        fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
            for lane in 0..LANES {
                (x[0][lane], x[1][lane]) = log_parts(z[lane]);
            }
        }
    }

    fn uniform(i: usize) -> f64 {
        Seed::new(i as u64).child("uniform").value() as f64 / 2_f64.powi(64)
    }

    /// The maximum and the passes to it, from the summary's start and from none.
    fn both(sample: Sample<'_>, features: &impl Features) -> [BoundedLogit; 2] {
        let near = BoundedLogit::fit(sample, LogitForm::RISING, features).unwrap();
        let rows = Standardised::new(sample, LogitForm::RISING, features).unwrap();
        let cold = rows.minimise(&rows, rows.start(), None).unwrap();
        [near, rows.in_columns(&cold)]
    }

    fn agree(case: &str, sample: Sample<'_>, features: &impl Features) {
        let [near, cold] = both(sample, features);
        let ends = |fit: &BoundedLogit| [&fit.coefficients[..], &[fit.intercept]].concat();
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
        let run = &Run::default();
        let sample = Sample { scores: &z, labels: &labels, weights: None, run };
        agree("plain", sample, &Logit);
        agree("plain", sample, &Logs);
        let [near, cold] = both(sample, &Logit);
        assert!(near.iterations <= 1 && cold.iterations > 3);
        let weighted = Sample { weights: Some(&weights), ..sample };
        agree("weighted", weighted, &Logit);
        agree("weighted", weighted, &Logs);
        // Bins that tell little: scores far out, and scores that are all but equal beside one.
        let mut far = z.clone();
        (far[7], far[8]) = (-900.0, 700.0);
        let sample = Sample { scores: &far, ..sample };
        agree("far", sample, &Logit);
        agree("far", sample, &Logs);
        let mut crowded: Vec<f64> = z.iter().map(|z| 1e-3 * z).collect();
        crowded[7] = 1e5;
        agree("crowded", Sample { scores: &crowded, ..sample }, &Logit);
    }

    /// A free line. A target between 0 and 1 is a positive of that weight, and a negative of the rest.
    fn line(scores: &[f64], targets: &[f64], weights: &[f64]) -> BoundedLogit {
        let twice = |numbers: &[f64]| [numbers, numbers].concat();
        let labels: Vec<bool> = (0..2 * scores.len()).map(|row| row < scores.len()).collect();
        let positives = weights.iter().zip(targets).map(|(w, t)| w * t);
        let negatives = weights.iter().zip(targets).map(|(w, t)| w * (1.0 - t));
        let weights: Vec<f64> = positives.chain(negatives).collect();
        let (scores, run) = (&twice(scores), &Run::default());
        let sample = Sample { scores, labels: &labels, weights: Some(&weights), run };
        BoundedLogit::fit(sample, LogitForm { free: true, ..LogitForm::RISING }, &Logit).unwrap()
    }

    #[track_caller]
    fn assert_close(found: f64, expected: f64, what: &str) {
        let error = (found - expected).abs() / expected.abs();
        assert!(error <= 1e-10, "{what}: {found}, expected {expected}, relative error {error:e}");
    }

    #[test]
    fn lines_in_fifty_digits() {
        let fixture: Value =
            serde_json::from_str(include_str!("../../tests/fixtures/metrics.json")).unwrap();
        for case in fixture["lines"].as_array().unwrap() {
            let numbers = |key: &str| -> Vec<f64> {
                case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
            };
            let fit = line(&numbers("scores"), &numbers("targets"), &numbers("weights"));
            let name = case["name"].as_str().unwrap();
            assert_close(fit.intercept, case["intercept"].as_f64().unwrap(), name);
            assert_close(fit.coefficients[0], case["slope"].as_f64().unwrap(), name);
            let scale = (fit.covariance[(0, 0)] * fit.covariance[(1, 1)]).sqrt();
            for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                // The fixture has the intercept first.
                let found = fit.covariance[(1 - i, 1 - j)];
                let expected = case["covariance"][i][j].as_f64().unwrap();
                // A correlation near 0 or 1 takes digits from the numbers it is computed of.
                let scale = scale.max(expected.abs());
                assert!((found - expected).abs() <= 1e-9 * scale, "{name}: {found} {expected}");
            }
            assert!(fit.iterations < 40, "{name}: {} iterations", fit.iterations);
        }
    }

    #[test]
    fn exact_soft_targets_are_found() {
        // Targets on a line are their own fit, however steep the line or far away its zero.
        for (intercept, slope) in [(-7.0, 1.0), (0.0, 1e-6), (3.0, -2.0), (-1e4, 1.0)] {
            let scores: Vec<f64> =
                (-20..=20).map(|k| (f64::from(k) / 4.0 - intercept) / slope).collect();
            let targets: Vec<f64> = scores.iter().map(|z| sigmoid(intercept + slope * z)).collect();
            let fit = line(&scores, &targets, &[1.0; 41]);
            let found = fit.coefficients[0];
            assert!((found - slope).abs() <= 1e-9 * slope.abs(), "{fit:?}");
            let error = (fit.intercept - intercept).abs();
            assert!(error <= 1e-9 * intercept.abs().max(1.0), "{fit:?}");
        }
    }

    #[test]
    fn one_overlap_among_distant_rows() {
        // Rows at ±1e4 say nothing once the few at ±1 are fitted: 3 of 4 right, slope ln 3.
        let (mut scores, mut targets) = (vec![-1e4; 50], vec![0.0; 50]);
        scores.extend([1e4; 50]);
        targets.extend([1.0; 50]);
        scores.extend([-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0]);
        targets.extend([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        let fit = line(&scores, &targets, &[1.0; 108]);
        assert!((fit.coefficients[0] - 3.0_f64.ln()).abs() < 1e-11, "{fit:?}");
        assert!(fit.intercept.abs() < 1e-11, "{fit:?}");
    }

    #[test]
    fn rare_positives() {
        // 1e-4 and 3e-4 in two groups: the fit goes through both log-odds.
        let fit = line(&[-2.0, 5.0], &[1e-4, 3e-4], &[1e5; 2]);
        let log_odds = |rate: f64| (rate / (1.0 - rate)).ln();
        let slope = fit.coefficients[0];
        assert_close(slope, (log_odds(3e-4) - log_odds(1e-4)) / 7.0, "slope");
        assert_close(fit.intercept - 2.0 * slope, log_odds(1e-4), "the log-odds at −2");
    }
}
