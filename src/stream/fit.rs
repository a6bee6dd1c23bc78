//! Logistic regression over all rows of a log, with the curvature of a sample.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use super::gradient::{Gradient, GradientPass};
use super::pairs::{Pairs, dot};
use crate::core::{
    ClassTotals, Dataset, Error, Fixed, Progress, Result, Run, Separation, ensure_columns_fit,
};
use crate::data::{Batch, FittedEncoder, Pass, Source, sum};
use crate::loss::Loss;
use crate::model::logistic::{Diagnostics, StopReason};
use crate::model::{FittedLogisticRegression, LogisticRegression};
use crate::sampling::{DrawMode, KeyedSampling, RandomUnderSampler, RowKey};

/// Fits a [`LogisticRegression`] to all rows of a log of any size, in few passes over it.
///
/// A sample in memory, all positives and k negatives for each, weighted by the inverse of their inclusion probability,
/// gives the start (its own fit) and the curvature of every step. Objective and gradient are sums over all rows, one pass
/// each, so the minimum is that of all rows, not of the sample. The steps and the changes of the gradient along them teach
/// what curvature the sample has missed (limited-memory BFGS). At a base rate of 0.1 % a sample of 20 : 1 is 2 % of the
/// rows; the more negatives it has, the fewer passes are needed.
///
/// The objective, the penalties and the loss are those of [`LogisticRegression`]; the coefficients agree with a fit in
/// memory. The encoder is given fitted, because all passes must encode alike; one with a
/// [`TargetEncoding`](crate::data::TargetEncoding) would leak labels and is refused.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::data::Table;
/// use imbalance::stream::SourceFit;
///
/// let part = |part: u32| {
///     let rows = || (0..4_000).map(move |row| row * 5 + part);
///     Table::new(rows().map(|id| id % 97 < 1 + id % 3).collect::<Vec<_>>())?
///         .with_numeric("size", rows().map(|id| f64::from(id % 3)).collect::<Vec<_>>())
/// };
/// let log = (0..5).map(part).collect::<Result<Vec<Table>, _>>()?;
/// let whole = Table::concat(log.iter().cloned())?;
/// let encoder = Encoder::default().fit(&whole)?;
///
/// let fitted = SourceFit::new(LogisticRegression::new()).negatives_per_positive(5.0)?
///     .fit(log.as_slice(), &encoder, &LogLoss, &Run::seeded(7))?;
/// println!("{fitted}"); // passes, and the gap after each
///
/// let data = encoder.encode(&whole)?;
/// let in_memory = LogisticRegression::new().fit(&data, &LogLoss, &Run::default())?;
/// assert!((fitted.model.coefficients()[0] - in_memory.coefficients()[0]).abs() < 1e-7);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Memory: the sample, twice (as read and encoded); 40 vectors of the length of the coefficients, fewer above 2²⁰; a batch
/// and a gradient for each thread.
///
/// Sources: R. H. Byrd, G. M. Chin, W. Neveitt, J. Nocedal, *On the Use of Stochastic Hessian Information in Optimization
/// Methods for Machine Learning*, SIAM Journal on Optimization 21, 2011 (a sample's Hessian with the gradient of all rows);
/// W. Fithian, T. Hastie 2014, and McMahan et al. 2013, §6.1 (all positives and weighted negatives).
#[derive(Debug, Clone)]
pub struct SourceFit {
    model: LogisticRegression,
    key: RowKey,
    ratio: Option<f64>,
    memory: usize,
    gap: f64,
    max_passes: usize,
}

/// A fit to all rows of a log, and how it went.
#[derive(Debug)]
#[non_exhaustive]
pub struct SourceFitted {
    /// The model.
    pub model: FittedLogisticRegression,
    /// All rows.
    pub population: ClassTotals,
    /// The rows whose curvature was used.
    pub sample: ClassTotals,
    /// Negatives in the sample for each positive.
    pub negatives_per_positive: f64,
    /// The points of the fit, with a pass over all rows for each.
    pub passes: Vec<SourcePass>,
    /// How often the log was read: to count, to sample, for each point, and for steps that were too long.
    pub readings: usize,
}

/// A pass over all rows.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SourcePass {
    /// The objective: weighted sum of losses and penalties.
    pub objective: f64,
    /// The estimated distance of the objective from its minimum.
    pub gap: f64,
    /// The length of the step that led here, in multiples of the model's own; 0 at the start and where no length lowered
    /// the objective.
    pub length: f64,
}

/// The lengths at which a pass looks besides 1.
const LENGTHS: [f64; 4] = [0.5, 0.25, 0.0625, 2.0];

/// The length below which no shorter one is tried.
const SHORTEST: f64 = 1e-9;

/// Share of the predicted decrease that a step must reach; the usual small number.
const ACCEPT: f64 = 1e-4;

/// A change of the objective below this share of it is rounding.
const ROUNDING: f64 = 1e-13;

/// Negatives for each positive that are worth their memory, unless the sample is small anyway.
const MOST_NEGATIVES: f64 = 50.0;

/// Rows of a sample that is small: its own fit takes seconds.
const SMALL_SAMPLE: f64 = 1e6;

impl SourceFit {
    /// This model, with a gap of 10⁻¹⁰, at most 100 passes, a sample of at most 1 GiB, and rows known by their place.
    #[must_use]
    pub fn new(model: LogisticRegression) -> Self {
        let (key, ratio, memory) = (RowKey::default(), None, 1 << 30);
        Self { model, key, ratio, memory, gap: 1e-10, max_passes: 100 }
    }

    /// The key by which the sample is drawn. Default: the [place](RowKey::place) of a row.
    #[must_use]
    pub fn key(mut self, key: RowKey) -> Self {
        self.key = key;
        self
    }

    /// The memory for the sample, in bytes: k is the largest number of negatives for each positive with which it fits, at most 50
    /// or as many as make a million rows. Default: 1 GiB.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// The number k of negatives in the sample for each positive. Default: chosen from the [memory](Self::memory).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless k is positive and finite.
    pub fn negatives_per_positive(mut self, k: f64) -> Result<Self> {
        if !(k > 0.0 && k.is_finite()) {
            return Err(Error::invalid("k", k, "positive and finite: negatives per positive"));
        }
        self.ratio = Some(k);
        Ok(self)
    }

    /// The distance from the minimum, relative to the objective, at which the fit takes one last step and stops. A gap of
    /// 10⁻¹⁰ leaves the coefficients a few digits; with 10⁻¹⁹ they agree with a fit in memory to 10⁻⁹, in more passes.
    /// Default: 10⁻¹⁰.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `gap` < 1.
    pub fn gap(mut self, gap: f64) -> Result<Self> {
        if !(gap > 0.0 && gap < 1.0) {
            return Err(Error::invalid("gap", gap, "above 0 and below 1"));
        }
        self.gap = gap;
        Ok(self)
    }

    /// The most passes that sum a gradient. Default: 100.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn max_passes(mut self, passes: usize) -> Result<Self> {
        if passes == 0 {
            return Err(Error::invalid("max_passes", 0, "at least 1"));
        }
        self.max_passes = passes;
        Ok(self)
    }

    /// Counts, samples, and fits.
    ///
    /// # Errors
    /// Those of the source and the encoder; [`Error::OneClass`]; [`Error::InvalidArgument`] where the positives alone need
    /// more memory than was given; [`Error::Separation`]; [`Error::Numerical`] where sums overflow;
    /// [`Error::Unsupported`] for an encoder with a target encoding, and for λ = 0 with more than 256 columns, of which
    /// the sample may lack some, or where the features separate the classes of the sample; [`Error::Cancelled`].
    pub fn fit(
        &self,
        source: &(impl Source + ?Sized),
        encoder: &FittedEncoder,
        loss: &dyn Loss,
        run: &Run,
    ) -> Result<SourceFitted> {
        self.ensure_possible(encoder)?;
        let counts = sum(source, &Counting { encoder }, "counting", run)?;
        let totals = counts.totals;
        totals.ensure_both("the fit to a source")?;
        let loss = loss.resolve(&totals)?;
        let negatives_per_positive = self.ratio(&counts)?;

        let rate =
            (negatives_per_positive * totals.positives as f64 / totals.negatives as f64).min(1.0);
        let sampler = RandomUnderSampler::rate(rate)?.draw(DrawMode::Bernoulli).reweight(true);
        let sampling = KeyedSampling::new(&sampler).key(self.key.clone());
        let table = sampling.draw(source, run)?.table;
        let sample = encoder.encode(&table)?;
        drop(table);
        run.report(&Progress::Stage { name: "fitting", rows: totals.rows() })?;
        let start = match self.model.fit_sample(&sample, &*loss, run) {
            // The classes of the rows left out may overlap.
            Err(Error::Separation { .. }) if sample.rows() < totals.rows() => {
                return unsupported(
                    "λ = 0 where the features separate the classes of the sample".into(),
                    "set `l2`, even if small, or give the sample more memory",
                );
            }
            start => start?,
        };
        // The log was read to count and to sample.
        let readings = Cell::new(2);
        let solver = Solver { fit: self, source, encoder, loss: &loss, run, readings };
        let mut theta = start.coefficients().to_vec();
        let (_, _, intercept) = self.model.penalties();
        theta.extend(intercept.then(|| start.intercept()));
        let (end, passes, stop) = solver.minimise(&sample, &theta)?;

        let mut model = start;
        let last = passes.last().copied();
        model.replace(end.theta, &end.gradient, |diagnostics: &mut Diagnostics| {
            diagnostics.stop = stop;
            diagnostics.passes = solver.readings.get();
            diagnostics.iterations = passes.len();
            diagnostics.objective = last.map_or(f64::NAN, |pass| pass.objective);
        });
        Ok(SourceFitted {
            model,
            population: totals,
            sample: sample.totals(),
            negatives_per_positive,
            passes,
            readings: solver.readings.get(),
        })
    }

    fn ensure_possible(&self, encoder: &FittedEncoder) -> Result<()> {
        const WIDE: usize = 256;
        ensure_columns_fit(encoder.columns(), 1024)?;
        let (l2, _, _) = self.model.penalties();
        if encoder.has_target_encoding() {
            let remedy = "a model trained on it would learn its own labels; encode the column otherwise, or fit to a \
                          sample by `Pipeline::fit_source`, which encodes out of fold";
            return unsupported("an encoder with a target encoding".into(), remedy);
        }
        if l2 == 0.0 && encoder.columns() > WIDE {
            let remedy = "set `l2`, even if small: a sample may lack columns, and nothing would hold their coefficients";
            return unsupported(format!("λ = 0 with {} columns", encoder.columns()), remedy);
        }
        Ok(())
    }

    /// The number of negatives for each positive for which there is memory.
    fn ratio(&self, counts: &Counts) -> Result<f64> {
        let available = counts.totals.negatives as f64 / counts.totals.positives as f64;
        if let Some(ratio) = self.ratio {
            return Ok(ratio.min(available));
        }
        let rows = self.memory as f64 / counts.bytes_of_row();
        let positives = counts.totals.positives as f64;
        let most = MOST_NEGATIVES.max(SMALL_SAMPLE / positives);
        let ratio = (rows / positives - 1.0).min(most);
        if ratio < 1.0 {
            let needed = 2.0 * counts.totals.positives as f64 * counts.bytes_of_row();
            let expected = format!(
                "at least {needed:.0}: {} positives and a negative for each",
                counts.totals.positives
            );
            return Err(Error::invalid("memory", self.memory, expected));
        }
        Ok(ratio.min(available))
    }
}

fn unsupported<T>(what: String, remedy: &'static str) -> Result<T> {
    Err(Error::Unsupported { stage: "the fit to a source", what, remedy })
}

/// Counts rows, and how much memory one takes.
struct Counting<'e> {
    encoder: &'e FittedEncoder,
}

struct Counts {
    totals: ClassTotals,
    /// Bytes of the encoded rows of the first batch of each part, and the number of these rows.
    bytes: f64,
    measured: f64,
}

impl Counts {
    fn bytes_of_row(&self) -> f64 {
        self.bytes / self.measured.max(1.0)
    }
}

impl Pass for Counting<'_> {
    type Sum = Counts;

    fn empty(&self) -> Counts {
        Counts { totals: ClassTotals::of(&[], None), bytes: 0.0, measured: 0.0 }
    }

    fn add(&self, sum: &mut Counts, batch: &Batch) -> Result<()> {
        sum.totals = sum.totals.plus(&batch.table.totals());
        if sum.measured == 0.0 {
            let data = self.encoder.encode(&batch.table)?;
            let features = data.features();
            // An index and a value of each entry; and the row as it was read.
            let columns =
                batch.table.numeric_names().count() + batch.table.categorical_names().count();
            sum.bytes = (16 * features.stored() + 8 * (columns + 4) * data.rows()) as f64;
            sum.measured = data.rows() as f64;
        }
        Ok(())
    }

    fn merge(&self, sum: &mut Counts, next: Counts) -> Result<()> {
        sum.totals = sum.totals.plus(&next.totals);
        sum.bytes += next.bytes;
        sum.measured += next.measured;
        Ok(())
    }
}

struct Solver<'f, S: Source + ?Sized> {
    fit: &'f SourceFit,
    source: &'f S,
    encoder: &'f FittedEncoder,
    loss: &'f Arc<dyn Loss>,
    run: &'f Run,
    readings: Cell<usize>,
}

/// The objective of all rows at a point.
struct Point {
    theta: Vec<f64>,
    /// With the penalties.
    value: f64,
    /// Of its smooth part.
    gradient: Vec<f64>,
}

impl<S: Source + ?Sized> Solver<'_, S> {
    fn minimise(
        &self,
        sample: &Dataset<'_>,
        theta: &[f64],
    ) -> Result<(Point, Vec<SourcePass>, StopReason)> {
        let (_, l1, _) = self.fit.model.penalties();
        let surrogate = self.fit.model.surrogate(sample, self.loss);
        let mut pairs = Pairs::new(theta.len());
        let nowhere = vec![0.0; theta.len()];
        let (mut at, _) = self.pass(theta, &nowhere, &[])?;
        let mut passes = vec![SourcePass { objective: at.value, gap: f64::NAN, length: 0.0 }];
        loop {
            let step = if l1 > 0.0 {
                let minimum = surrogate.proximal_minimum(&at.theta, &at.gradient);
                minimum.iter().zip(&at.theta).map(|(to, from)| to - from).collect::<Vec<_>>()
            } else {
                let mut curvature = surrogate.curvature(&at.theta)?;
                let product = pairs.times(&at.gradient, |gradient| curvature.solve(gradient));
                product.into_iter().map(|s| -s).collect()
            };
            // The slope along the step, twice the gap of a quadratic objective.
            let slope = dot(&at.gradient, &step)
                + l1 * (self.norm1(&at.theta, &step) - self.norm1(&at.theta, &nowhere));
            let gap = -0.5 * slope;
            let target = self.fit.gap * at.value.abs();
            if let Some(last) = passes.last_mut() {
                last.gap = gap;
            }
            let iteration = passes.len();
            self.run.report(&Progress::Iteration {
                iteration,
                objective: at.value,
                gap,
                target,
            })?;
            if !gap.is_finite() || gap < 0.0 {
                return Ok((at, passes, StopReason::Stalled));
            }
            if passes.len() >= self.fit.max_passes && gap > target {
                return Ok((at, passes, StopReason::IterationLimit));
            }
            // Near the minimum the whole step is right, and other lengths would cost a third of the pass.
            let is_far = passes.len() < 3 || passes.last().is_some_and(|last| last.length != 1.0);
            let (next, mut values) =
                self.pass(&at.theta, &step, if is_far { &LENGTHS } else { &[] })?;
            let rounding = ROUNDING * at.value.abs();
            let enough = |value: f64, length: f64| {
                value <= at.value + ACCEPT * length * slope
                    || (gap <= rounding && value <= at.value + rounding)
            };
            let (next, length) = if enough(next.value, 1.0) {
                (next, 1.0)
            } else {
                if values.is_empty() {
                    values = self.pass(&at.theta, &step, &LENGTHS)?.1;
                }
                let mut lengths = LENGTHS;
                let best = loop {
                    let others = lengths.iter().zip(&values);
                    let others = others.filter(|(length, value)| enough(**value, **length));
                    let best = others.min_by(|a, b| a.1.total_cmp(b.1)).map(|(length, _)| *length);
                    if best.is_some() || gap <= rounding || lengths[0] < SHORTEST {
                        break best;
                    }
                    // Where rows outside the sample contradict a large logit, the sample's curvature is far too small.
                    lengths = lengths.map(|length| length / 32.0);
                    values = self.pass(&at.theta, &step, &lengths)?.1;
                };
                let Some(length) = best else {
                    let stop =
                        if gap <= rounding { StopReason::Rounding } else { StopReason::Stalled };
                    return Ok((at, passes, stop));
                };
                let shorter: Vec<f64> = step.iter().map(|s| length * s).collect();
                (self.pass(&at.theta, &shorter, &[])?.0, length)
            };
            let moved: Vec<f64> =
                next.theta.iter().zip(&at.theta).map(|(to, from)| to - from).collect();
            let change =
                next.gradient.iter().zip(&at.gradient).map(|(to, from)| to - from).collect();
            pairs.add(moved, change);
            at = next;
            passes.push(SourcePass { objective: at.value, gap: f64::NAN, length });
            if gap <= target {
                // This gap was estimated before the last step, which has made it smaller.
                if let Some(last) = passes.last_mut() {
                    last.gap = gap;
                }
                return Ok((at, passes, StopReason::Converged));
            }
        }
    }

    fn norm1(&self, theta: &[f64], step: &[f64]) -> f64 {
        let columns = self.encoder.columns();
        theta[..columns].iter().zip(step).map(|(t, s)| (t + s).abs()).sum()
    }

    /// The objective at θ + step, and its values at other lengths of the step.
    fn pass(&self, theta: &[f64], step: &[f64], lengths: &[f64]) -> Result<(Point, Vec<f64>)> {
        self.readings.set(self.readings.get() + 1);
        let (l2, l1, intercept) = self.fit.model.penalties();
        let pass = GradientPass {
            encoder: self.encoder,
            loss: self.loss,
            intercept,
            theta,
            step,
            lengths,
        };
        let Gradient { value, mut gradient, values, margin, .. } =
            sum(self.source, &pass, "gradient", self.run)?;
        if l2 == 0.0 && l1 == 0.0 && margin > 0.0 {
            return Err(Error::Separation { kind: Separation::Complete, column: None });
        }
        let columns = self.encoder.columns();
        let penalty = |length: f64| {
            let beta = theta[..columns].iter().zip(step).map(|(t, s)| t + length * s);
            beta.map(|c| 0.5 * l2 * c * c + l1 * c.abs()).sum::<f64>()
        };
        let to: Vec<f64> = theta.iter().zip(step).map(|(t, s)| t + s).collect();
        gradient.iter_mut().zip(&to[..columns]).for_each(|(slope, c)| *slope += l2 * c);
        let values = values.iter().zip(lengths).map(|(value, &length)| value + penalty(length));
        let values = values.collect();
        Ok((Point { value: value + penalty(1.0), gradient, theta: to }, values))
    }
}

impl fmt::Display for SourceFitted {
    /// The rows, and a line for each pass.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rows, {} positive; curvature of {} rows, {} negatives for each positive; \
             read {} times",
            self.population.rows(),
            self.population.positives,
            self.sample.rows(),
            Fixed(self.negatives_per_positive, 3),
            self.readings,
        )?;
        writeln!(f, "{:>4}  {:>20}  {:>10}  {:>6}", "pass", "objective", "gap", "length")?;
        for (number, pass) in self.passes.iter().enumerate() {
            let SourcePass { objective, gap, length } = pass;
            writeln!(f, "{:>4}  {objective:>20.10e}  {gap:>10.2e}  {length:>6}", number + 1)?;
        }
        Ok(())
    }
}
