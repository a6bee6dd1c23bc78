//! How sure is any metric? Resample the rows and see.

use std::ops::ControlFlow;

use ndarray_rand::rand::Rng;
use statrs::function::erf::erfc;

use super::interval::{
    Interval, ensure_level, logit_interval, normal_share, student_quantile, unanimous_interval,
};
use super::ranked::RankedScores;
use super::rows::{Domain, SortedRow};
use super::sorted_rows::SortedRows;
use crate::core::{Error, Meter, Progress, Result, Run, Seed, same_length};
use crate::exec::parallel;

/// The bootstrap: intervals for any metric, from the metric on rows drawn with replacement.
///
/// Each replicate draws as many rows as there are (or groups as there are, with
/// [`by_group`](Self::by_group)) and computes the metric on them. A drawn row is a weight: each row's
/// weight is multiplied by how often it was drawn, so rows are sorted once, not once per replicate. The
/// interval reaches from the α quantile of the replicates to the 1 − α quantile, the standard error is
/// their standard deviation. α is a little less than (1 − level)/2:
///
/// ```text
/// α = Φ(−√(m / (m − 1)) · t),   t the (1 + level)/2 quantile of Student's t with m − 1 degrees of freedom
/// ```
///
/// with m the number of positives or of negatives, whichever is less, or of groups that have any, as it is the rarer
/// class that makes a metric uncertain. This is the expanded percentile interval (Hesterberg, "What Teachers
/// Should Know About the Bootstrap", 2015): a percentile interval is narrower than it should be by the
/// ratio of a normal distribution to Student's t. Quantiles are at place (replicates + 1)·share, so that few
/// replicates do not make it narrower either (Davison & Hinkley 1997; R's type 6).
///
/// **Few rows of a class.** From a handful of positives the replicates cannot show what other positives would do: those of
/// a good model all have high scores, until one has not. So [`intervals`](Self::intervals) also computes each metric with
/// one more of the m units of the rarer class, once at the lowest score of all rows and once at the highest. If every unit
/// were there, the metric would be about estimate + a and estimate + b, with a and b the (m + 1)-fold changes. Where
/// a ≤ 0 ≤ b, and m s(1 − s) < 5 with s = −a/(b − a), the share of the way from one end to the other, the interval also contains
///
/// ```text
/// the interval symmetric in logit(s), of t standard errors √(standard error² − ab/m²), t of m degrees of freedom
/// ```
///
/// as −ab is the largest variance that units between a and b with mean 0 can have. For an AUC this is what
/// [`roc_auc_interval`](super::roc_auc_interval) does. Where the estimate is one of the ends itself (an AUC of 1), the interval
/// reaches over 1 − ((1 − level)/2)^(1/m) of the way to the other one, by Clopper and Pearson's bound. Metrics
/// for which a and b have one sign (predicted / observed), are infinite or undefined, and
/// [`differences`](Self::differences), contain with fewer than 20 units
///
/// ```text
/// estimate ± t · √(m / (m − 1)) · standard error,   t of max(m − 2, 1) degrees of freedom
/// ```
///
/// With one unit, standard error and interval are unknown: `None`, and \[−∞, ∞\]. `docs/reliability.md` has the misses and
/// false alarms of 1, 2, 3, … positives.
///
/// Rows of weight 0 are drawn too, and add nothing to a metric: a row that a sampler did not choose is
/// also a draw from the population. Remove rows that are not part of the sample.
///
/// Replicates run in parallel with a random stream each: the same seed gives the same bits for any
/// number of threads. A replicate in which the metric is undefined (no positives drawn) is drawn again;
/// if it stays undefined, its error is returned.
///
/// Draw groups wherever rows come in groups: impressions of one user or one page view are not
/// independent, and a bootstrap of rows then promises too much.
///
/// Where 0.5 % of 10,000 to 20,000 rows are positive, intervals at 95 % from 150 replicates contained the
/// truth in 93.3 % to 96.2 % of 2,000 simulated samples, for normalised entropy, average precision,
/// predicted / observed, differences of entropy, and groups of 40 rows
/// (`COVERAGE_SAMPLES=2000 cargo test --test metrics bootstrap -- --nocapture` prints them).
///
/// ```
/// use imbalance::metrics::{Bootstrap, RankedScores};
///
/// let labels: Vec<bool> = (0..400).map(|i| i % 8 == 0).collect();
/// let p: Vec<f64> = (0..400).map(|i| if i % 8 == 0 { 0.2 } else { 0.1 } + f64::from(i % 37) / 200.0).collect();
/// let bootstrap = Bootstrap::new(200, 7)?;
/// let [auc, ne] = bootstrap.intervals(&labels, &p, None, |sample| {
///     Ok([sample.roc_auc()?, sample.normalised_entropy()?])
/// })?;
/// assert!(auc.lower < auc.estimate && auc.estimate < auc.upper);
/// assert!(ne.standard_error > Some(0.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bootstrap<'a> {
    replicates: usize,
    level: f64,
    run: Run,
    groups: Option<&'a [u32]>,
}

/// A thousand times more replicates than an interval needs; their metrics fit into memory.
const MAX_REPLICATES: usize = 1 << 20;

/// With fewer units of the rarer class than this, replicates are not trusted alone.
const FEW: usize = 20;

/// How often an undefined replicate is drawn again before its error is returned. Where positives are
/// absent from half of all replicates, a false alarm has probability 2⁻³².
const ATTEMPTS: usize = 32;

impl<'a> Bootstrap<'a> {
    /// A bootstrap of rows with this number of replicates.
    ///
    /// A thousand replicates suffice for the ends of a 95 % interval, fewer for a standard error.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `replicates` is between 2 and 2²⁰.
    pub fn new(replicates: usize, seed: impl Into<Seed>) -> Result<Self> {
        if !(2..=MAX_REPLICATES).contains(&replicates) {
            let expected = format!("between 2 and {MAX_REPLICATES}; 1000 is usual");
            return Err(Error::invalid("replicates", replicates, expected));
        }
        Ok(Self { replicates, level: 0.95, run: Run::seeded(seed), groups: None })
    }

    /// The level of the intervals. Default: 0.95.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `level` < 1.
    pub fn level(mut self, level: f64) -> Result<Self> {
        ensure_level(level)?;
        self.level = level;
        Ok(self)
    }

    /// Reports the replicates to an observer ([`Progress::Work`]), which may stop the bootstrap.
    #[must_use]
    pub fn observer(
        mut self,
        observer: impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.run = self.run.observed(observer);
        self
    }

    /// With the seed and the observer of a run.
    pub(crate) fn in_run(self, run: &Run) -> Self {
        Self { run: run.clone(), ..self }
    }

    /// Draws whole groups: rows of one code are drawn together. Default: every row is a group.
    ///
    /// [`Categories::codes`](crate::core::Categories::codes) are such codes.
    #[must_use]
    pub fn by_group(mut self, groups: &'a [u32]) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Estimate and interval of each of `N` metrics on the same replicates.
    ///
    /// # Errors
    /// The errors of the metric, [`Error::LengthMismatch`] if the groups are not one per row,
    /// [`Error::Numerical`] if a metric is NaN or infinite in a replicate, [`Error::Cancelled`] if the observer stops
    /// it, and the [errors common to all
    /// metrics](super#errors).
    pub fn intervals<const N: usize>(
        &self,
        labels: &[bool],
        scores: &[f64],
        weights: Option<&[f64]>,
        metrics: impl Fn(&RankedScores) -> Result<[f64; N]> + Sync,
    ) -> Result<[Interval; N]> {
        let rows = SortedRows::new(labels, scores, Domain::Scores, weights, &self.run)?;
        let resampled = self.resample(&[rows], metrics)?;
        all_metrics(|metric| resampled.interval(0, metric))
    }

    /// Estimate and interval of the differences, first model less second, of each of `N` metrics on the
    /// same replicates of the same rows.
    ///
    /// The interval contains 0 unless the models differ. Much tighter than two intervals apart, as both
    /// models are lucky or unlucky together.
    ///
    /// # Errors
    /// As [`intervals`](Self::intervals).
    ///
    /// ```
    /// use imbalance::metrics::{Bootstrap, RankedScores};
    ///
    /// let labels: Vec<bool> = (0..400).map(|i| i % 8 == 0).collect();
    /// let good: Vec<f64> = (0..400).map(|i| f64::from(u8::from(i % 8 == 0)) + f64::from(i % 37) / 20.0).collect();
    /// let none: Vec<f64> = (0..400).map(|i| f64::from(i % 37)).collect();
    /// let [auc] = Bootstrap::new(200, 7)?.differences(&labels, [&good, &none], None, |sample| {
    ///     Ok([sample.roc_auc()?])
    /// })?;
    /// assert!(auc.lower > 0.0);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn differences<const N: usize>(
        &self,
        labels: &[bool],
        models: [&[f64]; 2],
        weights: Option<&[f64]>,
        metrics: impl Fn(&RankedScores) -> Result<[f64; N]> + Sync,
    ) -> Result<[Interval; N]> {
        let [first, second] = models
            .map(|scores| SortedRows::new(labels, scores, Domain::Scores, weights, &self.run));
        let resampled = self.resample(&[first?, second?], metrics)?;
        all_metrics(|metric| resampled.difference([0, 1], metric))
    }

    /// The metrics of each model, which are all of the same rows, on the same replicates.
    pub(crate) fn resample<const N: usize>(
        &self,
        models: &[SortedRows],
        metrics: impl Fn(&RankedScores) -> Result<[f64; N]> + Sync,
    ) -> Result<Replicates<N>> {
        let first = models.first().ok_or(Error::NoRows { what: "the models" })?;
        if let Some(groups) = self.groups {
            same_length("groups", groups.len(), "labels", first.len())?;
        }
        let units = Units::of(self.groups, first.len());
        let rarer = units.of_rarer_class(first);
        let estimates = models.iter().map(|rows| metrics(rows.ranked())).collect::<Result<_>>()?;
        let with_one_more = models.iter().map(|rows| {
            // A metric that is undefined there says nothing about how far it can reach.
            [false, true].map(|highest| metrics(&with_one_more(rows, rarer, highest)).ok())
        });
        let with_one_more = with_one_more.collect();
        let meter = Meter::new(&self.run, "bootstrap", "replicates", self.replicates);
        let replicates = parallel::map(self.replicates, 1, |replicate, _| {
            let mut stream = self.run.seed().stream(replicate);
            let mut attempt = || {
                let times = units.draw(&mut stream, &meter)?;
                let metrics = |rows| metrics(&resampled(rows, &times, &meter)?);
                models.iter().map(metrics).collect::<Result<_>>()
            };
            let mut result = attempt();
            for _ in 1..ATTEMPTS {
                match result {
                    // Of all errors only these depend on which rows were drawn.
                    Err(Error::OneClass { .. } | Error::NoRows { .. }) => result = attempt(),
                    _ => break,
                }
            }
            meter.skip(1);
            result
        });
        meter.finish()?;
        let replicates = replicates.into_iter().collect::<Result<_>>()?;
        Ok(Replicates { estimates, with_one_more, replicates, level: self.level, units: rarer.1 })
    }
}

/// `N` metrics of each model, on the rows themselves and on each replicate of them.
#[derive(Debug)]
pub(crate) struct Replicates<const N: usize> {
    estimates: Vec<[f64; N]>,
    /// With one more unit of the rarer class at the lowest score, and at the highest.
    with_one_more: Vec<[Option<[f64; N]>; 2]>,
    replicates: Vec<Vec<[f64; N]>>,
    level: f64,
    /// Units that have rows of the rarer class.
    units: usize,
}

impl<const N: usize> Replicates<N> {
    /// Estimate and interval of a metric of a model.
    pub(crate) fn interval(&self, model: usize, metric: usize) -> Result<Interval> {
        let with_one_more = self.with_one_more[model].map(|metrics| Some(metrics?[metric]));
        self.extended(|models| models[model][metric], with_one_more)
    }

    /// Estimate and interval of the difference of a metric of two models.
    pub(crate) fn difference(
        &self,
        [first, second]: [usize; 2],
        metric: usize,
    ) -> Result<Interval> {
        self.extended(|models| models[first][metric] - models[second][metric], [None; 2])
    }

    /// The interval of the replicates, extended where units are few.
    fn extended(
        &self,
        of: impl Fn(&[[f64; N]]) -> f64,
        with_one_more: [Option<f64>; 2],
    ) -> Result<Interval> {
        let mut interval = self.replicated(of)?;
        let Some(error) = interval.standard_error else { return Ok(interval) };
        let reach = match with_one_more {
            [Some(low), Some(high)] => self.reach(interval.estimate, error, [low, high]),
            _ => None,
        };
        let margin = || {
            let m = self.units as f64;
            let t = student_quantile(self.level, (m - 2.0).max(1.0));
            let margin = t * (m / (m - 1.0)).sqrt() * error;
            (interval.estimate - margin, interval.estimate + margin)
        };
        if let Some((lower, upper)) = reach.or_else(|| (self.units < FEW).then(margin)) {
            interval.lower = interval.lower.min(lower);
            interval.upper = interval.upper.max(upper);
        }
        Ok(interval)
    }

    /// How far a unit unlike those seen could move a metric; see [`Bootstrap`].
    fn reach(&self, estimate: f64, error: f64, with_one_more: [f64; 2]) -> Option<(f64, f64)> {
        let m = self.units as f64;
        let [a, b] = with_one_more.map(|value| (m + 1.0) * (value - estimate));
        let (a, b) = (a.min(b), a.max(b));
        let share = -a / (b - a);
        if !(a <= 0.0 && b >= 0.0 && share.is_finite()) || normal_share(share, m) {
            return None;
        }
        let (lower, upper) = if a < 0.0 && b > 0.0 {
            let error = error.hypot((-a * b).sqrt() / m) / (b - a);
            logit_interval(share, error, student_quantile(self.level, m))
        } else {
            unanimous_interval(share, m, self.level)
        };
        let value = |share: f64| estimate + a + share * (b - a);
        Some((value(lower), value(upper)))
    }

    /// Estimate and interval of a function of the models' metrics.
    fn replicated(&self, of: impl Fn(&[[f64; N]]) -> f64) -> Result<Interval> {
        let estimate = of(&self.estimates);
        let mut values: Vec<f64> = self.replicates.iter().map(|models| of(models)).collect();
        let all = std::iter::once(&estimate).chain(&values);
        if let Some(value) = all.copied().find(|value| !value.is_finite()) {
            return Err(Error::Numerical {
                what: "a bootstrapped metric".into(),
                value,
                remedy: "only finite metrics can be bootstrapped; clip probabilities of 0 and 1",
            });
        }
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_error = (squares / (n - 1.0)).sqrt();
        let level = self.level;
        let mut interval = Interval {
            estimate,
            standard_error: (self.units > 1).then_some(standard_error),
            lower: f64::NEG_INFINITY,
            upper: f64::INFINITY,
            level,
        };
        if self.units > 1 {
            let tail = expanded_tail(level, self.units);
            (interval.lower, interval.upper) =
                (quantile(&values, tail), quantile(&values, 1.0 - tail));
        }
        Ok(interval)
    }
}

/// The intervals of all metrics.
fn all_metrics<const N: usize>(of: impl Fn(usize) -> Result<Interval>) -> Result<[Interval; N]> {
    let found = (0..N).map(of).collect::<Result<Vec<Interval>>>()?;
    Ok(std::array::from_fn(|metric| found[metric]))
}

/// The units that are drawn: rows, or groups of rows.
enum Units {
    Rows(usize),
    /// The group of each row, numbered without gaps, and the number of groups.
    Groups(Vec<u32>, usize),
}

impl Units {
    fn of(codes: Option<&[u32]>, rows: usize) -> Self {
        let Some(codes) = codes else { return Self::Rows(rows) };
        // Codes that no row carries must not be drawn.
        let mut present: Vec<u32> = codes.to_vec();
        present.sort_unstable();
        present.dedup();
        let place = |code: &u32| present.binary_search(code).unwrap_or(0) as u32;
        Self::Groups(codes.iter().map(place).collect(), present.len())
    }

    /// The class that fewer units have rows of, and how many have. A class without rows does not count, as the metric
    /// does not depend on it.
    fn of_rarer_class(&self, rows: &SortedRows) -> (bool, usize) {
        let of = |positive: bool| {
            let rows = rows.rows().filter(|((_, weight), _)| (*weight > 0.0) == positive);
            match self {
                Self::Rows(_) => rows.count(),
                Self::Groups(groups, count) => {
                    let mut any = vec![false; *count];
                    rows.for_each(|(_, row)| any[groups[row] as usize] = true);
                    any.into_iter().filter(|&any| any).count()
                }
            }
        };
        let classes = [true, false].map(|class| (class, of(class)));
        let present = classes.into_iter().filter(|&(_, units)| units > 0);
        present.min_by_key(|&(_, units)| units).unwrap_or((true, 0))
    }

    /// How often each row is drawn.
    fn draw(&self, stream: &mut impl Rng, meter: &Meter<'_>) -> Result<Vec<u32>> {
        let (Self::Rows(units) | Self::Groups(_, units)) = self;
        let mut times = vec![0_u32; *units];
        for part in meter.within(*units) {
            for _ in part {
                times[stream.random_range(0..*units as u64) as usize] += 1;
            }
        }
        meter.ensure_not_stopped()?;
        Ok(match self {
            Self::Rows(_) => times,
            Self::Groups(groups, _) => groups.iter().map(|&group| times[group as usize]).collect(),
        })
    }
}

/// The rows with their weights multiplied by how often they were drawn.
fn resampled(rows: &SortedRows, times: &[u32], meter: &Meter<'_>) -> Result<RankedScores> {
    let drawn = |((score, weight), row): (SortedRow, usize)| {
        (times[row] > 0).then(|| (score, weight * f64::from(times[row])))
    };
    let (mut all, mut sorted) = (rows.rows(), Vec::with_capacity(rows.len()));
    for part in meter.within(rows.len()) {
        sorted.extend(all.by_ref().take(part.len()).filter_map(drawn));
    }
    meter.ensure_not_stopped()?;
    if sorted.is_empty() {
        return Err(Error::NoRows { what: "a replicate" });
    }
    let of = rows.ranked();
    Ok(RankedScores::presorted(sorted, of.classes.unit, of.domain))
}

/// The rows and one more of a class, of the mean weight of its `units`, at the lowest or the highest score.
fn with_one_more(rows: &SortedRows, (class, units): (bool, usize), highest: bool) -> RankedScores {
    let of = rows.ranked();
    let mut sorted = of.sorted().to_vec();
    let weight = of.classes.weights[usize::from(class)] / units as f64;
    let weight = if class { weight } else { -weight };
    if let Some(&(score, _)) = if highest { sorted.last() } else { sorted.first() } {
        let before =
            |row: &SortedRow| row.0.total_cmp(&score).then(row.1.total_cmp(&weight)).is_lt();
        sorted.insert(sorted.partition_point(before), (score, weight));
    }
    RankedScores::presorted(sorted, of.classes.unit, of.domain)
}

/// The share of replicates beyond each end of the interval; see [`Bootstrap`].
fn expanded_tail(level: f64, units: usize) -> f64 {
    let m = units as f64;
    let half_width = student_quantile(level, m - 1.0);
    0.5 * erfc((m / (m - 1.0)).sqrt() * half_width / std::f64::consts::SQRT_2)
}

/// The quantile of sorted values at place `share` · (n + 1), counted from 1, interpolated.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let most = (sorted.len() - 1) as f64;
    let place = (share * (most + 2.0) - 1.0).clamp(0.0, most);
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::assert_observed;

    #[test]
    fn the_bootstrap_is_observed_and_stops_within_a_replicate() {
        let labels: Vec<bool> = (0..400).map(|row| row % 8 == 0).collect();
        let scores: Vec<f64> = (0..400).map(|row| f64::from(row % 37)).collect();
        let step = assert_observed("bootstrap", |run| {
            let bootstrap = Bootstrap::new(20, 7)?.in_run(run);
            bootstrap.intervals(&labels, &scores, None, |rows| Ok([rows.roc_auc()?])).map(drop)
        });
        assert_eq!(step, 1);
    }

    #[test]
    fn the_tail_shrinks_with_few_positives() {
        // scipy: stats.norm.cdf(-np.sqrt(m / (m - 1)) * stats.t.ppf((1 + level) / 2, m - 1))
        for (level, m, tail) in [
            (0.95, 2, 1.6952190726058738e-72),
            (0.95, 5, 0.0009541005518824907),
            (0.95, 100, 0.023064387207087644),
            (0.95, 1000, 0.024804305905564303),
            (0.5, 10, 0.22942731473253603),
            (0.99, 30, 0.002527506552649086),
            // Where the quantile of t comes from a series.
            (0.95, 10_000, 0.024980410010934064),
            (0.95, 10_001, 0.024980411969509203),
            (0.95, 100_000, 0.024998040796039497),
            (0.99, 100_000, 0.00499910289755669),
            (0.95, 10_000_000, 0.024999980407734938),
            (0.5, 10_000_000, 0.24999998148697683),
            (0.95, 100_000_000, 0.024999998040773314),
        ] {
            let found = expanded_tail(level, m);
            assert!((found - tail).abs() <= 1e-9 * tail + 1e-14, "{level}, {m}: {found}, {tail}");
        }
    }
}
