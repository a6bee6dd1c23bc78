//! One call from labels and probabilities to a report: every metric with its uncertainty, curves,
//! tables and slices, for the terminal, as data, and as a page with pictures.
//!
//! With the feature `serde` a report can be written and read back, for example to compare with an
//! earlier one; see [`metrics`](crate::metrics#errors) for how infinite numbers are written.

#[cfg(feature = "plot")]
mod html;
mod sections;
mod text;

use crate::core::{Categories, Folds};
use crate::metrics::{
    Axis, Bootstrap, BrierDecomposition, Choice, Confusion, Corp, DecileTable, GainCurve, Goal,
    HonestChoice, HosmerLemeshow, Interval, Ordered, Partition, PrecisionRecallCurve,
    ReliabilityCurve, Replicates, RocCurve, ScoreHistogram, Scorecard, Slice, compare,
};
use crate::{Error, Result, Seed};

/// Probabilities judged against labels, for one model or several on the same rows.
///
/// ```
/// use imbalance::Evaluation;
/// use imbalance::data::SyntheticClicks;
/// use imbalance::evaluation::ModelEvaluation;
/// use imbalance::metrics::Goal;
///
/// let log = SyntheticClicks::new(20_000, 0.01)?.generate(7)?;
/// let doubled: Vec<f64> = log.probabilities.iter().map(|p| (2.0 * p).min(0.99)).collect();
///
/// let report = Evaluation::new(log.dataset.labels(), &log.probabilities)
///     .name("truth")
///     .against("doubled", &doubled)
///     .goal("one in ten", Goal::precision_floor(0.1)?)
///     .by_period("day", log.dataset.numbers("day")?, 7.0)
///     .report()?;
/// println!("{report}");
///
/// let [truth, doubled] = &report.models[..] else { unreachable!() };
/// // Both rank alike, so they flag the same rows, the second from twice the threshold.
/// let flagged = |model: &ModelEvaluation| model.thresholds[0].choice.as_ref().map(|c| c.confusion.flagged());
/// assert_eq!(flagged(truth), flagged(doubled));
/// let ratio = doubled.scorecard.predicted_over_observed / truth.scorecard.predicted_over_observed;
/// assert!((ratio - 2.0).abs() < 0.05);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    labels: &'a [bool],
    weights: Option<&'a [f64]>,
    models: Vec<(String, &'a [f64])>,
    replicates: Option<usize>,
    seed: Seed,
    groups: Option<&'a [u32]>,
    level: f64,
    bins: usize,
    goals: Vec<(String, Goal)>,
    slicings: Vec<(String, By<'a>)>,
}

/// What cuts the rows into slices.
#[derive(Debug, Clone)]
enum By<'a> {
    Category(&'a Categories<'a>),
    Period(&'a [f64], f64),
    /// Seconds since 1970, cut into days of UTC.
    Day(&'a [f64]),
}

/// Steps of the report's curves: no finer than a picture can show.
const STEPS: usize = 2000;
/// Intervals of the report's histograms.
const HISTOGRAM: usize = 40;
/// Folds in which thresholds are tried on rows they were not chosen on.
const FOLDS: usize = 5;
/// Replicates unless another number is asked for: enough for the ends of a 95 % interval to lie within a
/// fifth of its half width.
const REPLICATES: usize = 200;
/// Slices of one attribute in the report, at most.
const SLICES: usize = 50;
/// Shares of the rows, from the top, whose recall and precision are told.
const TOP: [f64; 5] = [0.001, 0.01, 0.05, 0.1, 0.2];

impl<'a> Evaluation<'a> {
    /// An evaluation of a model's probabilities.
    #[must_use]
    pub fn new(labels: &'a [bool], probabilities: &'a [f64]) -> Self {
        Self {
            labels,
            weights: None,
            models: vec![("model".into(), probabilities)],
            replicates: Some(REPLICATES),
            seed: Seed::new(0),
            groups: None,
            level: 0.95,
            bins: 10,
            goals: Vec::new(),
            slicings: Vec::new(),
        }
    }

    /// The name of the model, `model` unless it is given.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.models[0].0 = name.into();
        self
    }

    /// Sample weights: how many rows of the population each row stands for.
    #[must_use]
    pub fn weights(mut self, weights: impl Into<Option<&'a [f64]>>) -> Self {
        self.weights = weights.into();
        self
    }

    /// Another model on the same rows. The first model is compared with each other one.
    #[must_use]
    pub fn against(mut self, name: impl Into<String>, probabilities: &'a [f64]) -> Self {
        self.models.push((name.into(), probabilities));
        self
    }

    /// The number of bootstrap replicates, 200 by default, from which come the intervals of average
    /// precision, normalised entropy and predicted / observed, and of their differences between models.
    /// Each replicate is a pass over all rows, so with millions of rows this is what takes the time;
    /// `None` leaves these intervals out. AUC has an [interval](crate::metrics::roc_auc_interval) in any
    /// case.
    #[must_use]
    pub fn bootstrap(mut self, replicates: impl Into<Option<usize>>) -> Self {
        self.replicates = replicates.into();
        self
    }

    /// The seed of the bootstrap and of the folds of [`goal`](Self::goal). Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Seed>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Rows of one code, such as those of one user, belong together: the bootstrap draws whole groups,
    /// thresholds are tried on other groups than they were chosen on, and AUC gets its intervals from the
    /// bootstrap, as DeLong's method takes rows for independent. [`Categories::codes`] are such codes.
    #[must_use]
    pub fn by_group(mut self, codes: &'a [u32]) -> Self {
        self.groups = Some(codes);
        self
    }

    /// The level of all intervals. Default: 0.95.
    #[must_use]
    pub fn level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// The number of groups in the reliability curve and the table of groups. Default: 10.
    #[must_use]
    pub fn bins(mut self, bins: usize) -> Self {
        self.bins = bins;
        self
    }

    /// A threshold for this goal, with what it does [out of sample](Goal::choose_cross_fitted): on five
    /// folds of rows, or of groups [if there are any](Self::by_group).
    #[must_use]
    pub fn goal(mut self, name: impl Into<String>, goal: Goal) -> Self {
        self.goals.push((name.into(), goal));
        self
    }

    /// The same metrics for each value of an attribute. Of more than 50 values, those of the most rows
    /// have a slice each and all others one; [`slices_by_category`](crate::metrics::slices_by_category)
    /// has no such limit.
    #[must_use]
    pub fn by_category(mut self, name: impl Into<String>, values: &'a Categories<'a>) -> Self {
        self.slicings.push((name.into(), By::Category(values)));
        self
    }

    /// The same metrics for each period of time, in the unit of the times. Of more than 50 periods, the
    /// latest have a slice each and all earlier ones one;
    /// [`slices_by_period`](crate::metrics::slices_by_period) has no such limit.
    #[must_use]
    pub fn by_period(mut self, name: impl Into<String>, times: &'a [f64], period: f64) -> Self {
        self.slicings.push((name.into(), By::Period(times, period)));
        self
    }

    /// The same metrics for each day of UTC, from times in seconds since 1970 (as
    /// [`CsvReader`](crate::data::CsvReader) reads time stamps). Slices are named by their date, and as
    /// many as with [`by_period`](Self::by_period).
    #[must_use]
    pub fn by_day(mut self, name: impl Into<String>, times: &'a [f64]) -> Self {
        self.slicings.push((name.into(), By::Day(times)));
        self
    }

    /// Judges the models. The probabilities of each model are sorted once, whatever is asked for.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`] for two models of one name, a `level` not between 0 and 1, 0
    ///   `bins`, fewer than 2 replicates, or groups without a bootstrap.
    /// - [`Error::OneClass`] if positives or negatives have no weight.
    /// - [`Error::LengthMismatch`], [`Error::NonFinite`], [`Error::NegativeWeight`],
    ///   [`Error::NoRows`], [`Error::Numerical`] and [`Error::InvalidArgument`] as in
    ///   [`metrics`](crate::metrics#errors).
    pub fn report(&self) -> Result<EvaluationReport> {
        for (place, (name, _)) in self.models.iter().enumerate() {
            if self.models[..place].iter().any(|(other, _)| other == name) {
                return Err(Error::invalid("name", name, "another name for each model"));
            }
        }
        if self.groups.is_some() && self.replicates.is_none() {
            return Err(Error::invalid("by_group", "given", "given with `bootstrap`"));
        }
        let sort = |&(_, probabilities): &(String, &[f64])| {
            Ordered::probabilities(self.labels, probabilities, self.weights)
        };
        let models = self.models.iter().map(sort).collect::<Result<Vec<Ordered>>>()?;
        let rows = models[0].ranked();
        let resampled = self.resample(&models)?;
        let folds = if self.goals.is_empty() { None } else { self.folds()? };
        let slicings = self.slicings.iter().map(|(name, by)| Ok((&name[..], by.partition()?)));
        let slicings = slicings.collect::<Result<Vec<(&str, Partition)>>>()?;
        let (resampled, folds) = (resampled.as_ref(), folds.as_ref());
        let report = |(model, rows)| self.model(model, rows, resampled, folds, &slicings);
        let differences = (1..models.len()).map(|other| self.difference(&models, other, resampled));
        Ok(EvaluationReport {
            rows: rows.rows(),
            positives: rows.positives(),
            weighted: self.weights.is_some(),
            base_rate: rows.base_rate(),
            positives_relative_error: rows.positives_relative_error(),
            level: self.level,
            replicates: self.replicates,
            grouped: self.groups.is_some(),
            differences: differences.collect::<Result<_>>()?,
            models: models.iter().enumerate().map(report).collect::<Result<_>>()?,
        })
    }

    fn resample(&self, models: &[Ordered]) -> Result<Option<Resampled>> {
        let Some(replicates) = self.replicates else { return Ok(None) };
        let rows = Bootstrap::new(replicates, self.seed)?.level(self.level)?;
        let bootstrap = match self.groups {
            Some(codes) => rows.by_group(codes),
            None => rows,
        };
        let resampled = bootstrap.resample(models, |rows| {
            let mut metrics = [0.0; 4];
            if self.groups.is_some() {
                metrics[AUC] = rows.roc_auc()?;
            }
            metrics[PRECISION] = rows.average_precision()?;
            metrics[RATIO] = rows.predicted_over_observed()?;
            metrics[ENTROPY] = rows.normalised_entropy()?;
            Ok(metrics)
        });
        resampled.map(Some)
    }

    /// Folds for thresholds, two if there are too few positives for more, and none if for two.
    fn folds(&self) -> Result<Option<Folds>> {
        let of = |count| match self.groups {
            Some(groups) => Folds::by_group(self.labels, groups, count, self.seed),
            None => Folds::stratified(self.labels, count, self.seed),
        };
        match reached(of(FOLDS))? {
            None => reached(of(2)),
            folds => Ok(folds),
        }
    }

    fn model(
        &self,
        model: usize,
        rows: &Ordered,
        resampled: Option<&Resampled>,
        folds: Option<&Folds>,
        slicings: &[(&str, Partition)],
    ) -> Result<ModelEvaluation> {
        let ranked = rows.ranked();
        let thresholds = self.goals.iter().map(|(name, goal)| {
            let honest = folds.map(|folds| reached(goal.cross_fitted(rows, folds))).transpose()?;
            let calibrated = match reached(goal.choose_calibrated_ranked(ranked))? {
                Some(choice) => {
                    let confusion = ranked.confusion(choice.threshold)?;
                    Some(CalibratedChoice { choice, confusion, value: goal.value(&confusion) })
                }
                None => None,
            };
            Ok(Threshold { goal: name.clone(), choice: honest.flatten(), calibrated })
        });
        let slicings = slicings.iter().map(|(by, partition)| {
            let slices = partition.slices(rows, self.level)?;
            Ok(Slicing { by: (*by).into(), slices })
        });
        let intervals = resampled.map(|of| {
            let interval = |metric: usize| of.interval(|models| models[model][metric]);
            Ok(Intervals {
                average_precision: interval(PRECISION)?,
                predicted_over_observed: interval(RATIO)?,
                normalised_entropy: finite(interval(ENTROPY))?,
            })
        });
        let roc_auc = match resampled {
            Some(of) if self.groups.is_some() => of.interval(|models| models[model][AUC]),
            _ => ranked.roc_auc_interval(self.level),
        };
        let top = TOP.map(|share| Ok(Top { share, confusion: ranked.top_share(share)? }));
        Ok(ModelEvaluation {
            name: self.models[model].0.clone(),
            scorecard: ranked.scorecard()?,
            roc_auc: roc_auc?,
            intervals: intervals.transpose()?,
            reliability: ranked.reliability_curve(self.bins, self.level)?,
            corp: ranked.corp()?,
            murphy: ranked.brier_decomposition(self.bins)?,
            mce: ranked.mce(self.bins)?,
            smooth_ece: ranked.smooth_ece()?,
            hosmer_lemeshow: ranked.hosmer_lemeshow(self.bins)?,
            deciles: ranked.deciles(self.bins)?,
            top: top.into_iter().collect::<Result<_>>()?,
            roc: ranked.thinned_roc_curve(STEPS)?,
            precision_recall: ranked.thinned_precision_recall_curve(STEPS)?,
            gain: ranked.thinned_gain_curve(STEPS)?,
            histogram: ranked.score_histogram(HISTOGRAM, Axis::Logit)?,
            thresholds: thresholds.collect::<Result<_>>()?,
            slicings: slicings.collect::<Result<_>>()?,
        })
    }

    /// The first model less another.
    fn difference(
        &self,
        models: &[Ordered],
        other: usize,
        resampled: Option<&Resampled>,
    ) -> Result<Difference> {
        let bootstrap = |metric: usize| {
            let difference = |of: &Resampled| {
                finite(of.interval(|models| models[0][metric] - models[other][metric]))
            };
            resampled.map(difference).transpose().map(Option::flatten)
        };
        let (roc_auc, p_value) = match bootstrap(AUC)? {
            Some(difference) if self.groups.is_some() => (difference, None),
            _ => {
                let delong = compare(&models[0], &models[other], self.level)?;
                (delong.difference, delong.p_value)
            }
        };
        Ok(Difference {
            first: self.models[0].0.clone(),
            second: self.models[other].0.clone(),
            roc_auc,
            p_value,
            average_precision: bootstrap(PRECISION)?,
            predicted_over_observed: bootstrap(RATIO)?,
            normalised_entropy: bootstrap(ENTROPY)?,
        })
    }
}

impl By<'_> {
    /// The slice of each row, the same for all models.
    fn partition(&self) -> Result<Partition> {
        let whole = match *self {
            By::Category(values) => Partition::by_category(values),
            By::Period(times, period) => Partition::by_period(times, period)?,
            By::Day(seconds) => Partition::by_day(seconds)?,
        };
        Ok(whole.at_most(SLICES))
    }
}

/// What the bootstrap computes of each model, and where it stands. All models are on the same replicates,
/// so their differences are too.
type Resampled = Replicates<4>;
const AUC: usize = 0;
const PRECISION: usize = 1;
const RATIO: usize = 2;
const ENTROPY: usize = 3;

/// The interval, unless the metric is infinite in some replicate.
fn finite(interval: Result<Interval>) -> Result<Option<Interval>> {
    match interval {
        Ok(interval) => Ok(Some(interval)),
        Err(Error::Numerical { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What [`Evaluation::report`] found. Print it for the terminal; with the feature `serde` it is data,
/// and with the feature `plot` [`to_html`](Self::to_html) makes a page of it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct EvaluationReport {
    /// Number of rows that have weight.
    pub rows: usize,
    /// Number of positive rows that have weight.
    pub positives: usize,
    /// Whether the rows have weights.
    pub weighted: bool,
    /// The weighted share of positives.
    pub base_rate: f64,
    /// Relative standard error of the number of positives, √Σw²y / Σwy: by so much predicted / observed
    /// is off for a perfect model too.
    pub positives_relative_error: f64,
    /// The level of all intervals.
    pub level: f64,
    /// Replicates of the bootstrap, if there was one.
    pub replicates: Option<usize>,
    /// Whether the rows belong to groups.
    pub grouped: bool,
    /// The models, in the order they were given.
    pub models: Vec<ModelEvaluation>,
    /// The first model compared with each other one.
    pub differences: Vec<Difference>,
}

/// Everything about one model.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ModelEvaluation {
    /// Its name.
    pub name: String,
    /// All metrics at a glance.
    pub scorecard: Scorecard,
    /// AUC with its [interval](crate::metrics::roc_auc_interval), with groups that of the bootstrap.
    pub roc_auc: Interval,
    /// Bootstrap intervals, unless left out.
    pub intervals: Option<Intervals>,
    /// Observed against predicted rate, by bins.
    pub reliability: ReliabilityCurve,
    /// The same without bins, and the parts of the Brier score.
    pub corp: Corp,
    /// Murphy's parts of the Brier score, on the bins of the reliability curve.
    pub murphy: BrierDecomposition,
    /// The [largest calibration error](crate::metrics::mce) of these bins.
    pub mce: f64,
    /// The [calibration error without bins](crate::metrics::smooth_ece).
    pub smooth_ece: f64,
    /// The [test of calibration](crate::metrics::hosmer_lemeshow) on these bins.
    pub hosmer_lemeshow: HosmerLemeshow,
    /// Groups of equal weight, those of the highest predictions first.
    pub deciles: DecileTable,
    /// What the top 0.1 %, 1 %, 5 %, 10 % and 20 % of the rows hold.
    pub top: Vec<Top>,
    /// The ROC curve, as fine as a picture can show.
    pub roc: RocCurve,
    /// The precision–recall curve, likewise.
    pub precision_recall: PrecisionRecallCurve,
    /// Gain and lift, likewise.
    pub gain: GainCurve,
    /// The predictions of each class.
    pub histogram: ScoreHistogram,
    /// A threshold for each goal, in the order they were asked for.
    pub thresholds: Vec<Threshold>,
    /// The same metrics by attribute and by time, in the order they were asked for.
    pub slicings: Vec<Slicing>,
}

/// Bootstrap intervals of one model.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Intervals {
    /// Of [`average_precision`](crate::metrics::average_precision).
    pub average_precision: Interval,
    /// Of [`predicted_over_observed`](crate::metrics::predicted_over_observed).
    pub predicted_over_observed: Interval,
    /// Of [`normalised_entropy`](crate::metrics::normalised_entropy); `None` if that is infinite.
    pub normalised_entropy: Option<Interval>,
}

/// The rows of the highest probabilities; see [`Ranked::top_share`](crate::metrics::Ranked::top_share).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Top {
    /// Their share of all rows, by weight.
    pub share: f64,
    /// What flagging them does.
    pub confusion: Confusion,
}

/// Two models on the same rows: the first less the second.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Difference {
    /// Name of the first model.
    pub first: String,
    /// Name of the second model.
    pub second: String,
    /// AUC, by a [test for paired models](crate::metrics::compare_roc_auc), with groups by the bootstrap.
    pub roc_auc: Interval,
    /// The p-value of that test; the bootstrap has none.
    pub p_value: Option<f64>,
    /// Average precision, by the bootstrap, if there is one.
    pub average_precision: Option<Interval>,
    /// Predicted / observed, likewise.
    pub predicted_over_observed: Option<Interval>,
    /// Normalised entropy, likewise; `None` also if one of them is infinite.
    pub normalised_entropy: Option<Interval>,
}

/// The threshold for one goal.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Threshold {
    /// The name of the goal.
    pub goal: String,
    /// The best threshold on the labelled rows, with what it does out of sample. `None` where no
    /// threshold reaches the goal, or there are too few positives to leave any out.
    pub choice: Option<HonestChoice>,
    /// What the probabilities alone would choose, if they were calibrated. `None` where they promise
    /// that no threshold reaches the goal.
    pub calibrated: Option<CalibratedChoice>,
}

/// A threshold chosen without labels, and what it does on those there are.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct CalibratedChoice {
    /// The threshold, with what the probabilities promise of it.
    pub choice: Choice,
    /// What it does. As no label took part in the choice, nothing is flattered.
    pub confusion: Confusion,
    /// [`Choice::value`] of that.
    pub value: Option<f64>,
}

/// The slices of one attribute or of time.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Slicing {
    /// What the rows were sliced by.
    pub by: String,
    /// A slice for each of its values.
    pub slices: Vec<Slice>,
}

/// The choice, unless the rows cannot have one. Errors of the rows themselves were met before.
fn reached<T>(choice: Result<T>) -> Result<Option<T>> {
    match choice {
        Ok(choice) => Ok(Some(choice)),
        Err(
            Error::InvalidArgument { .. } | Error::OneClass { .. } | Error::FoldOfOneClass { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SyntheticClicks;
    use crate::exec::parallel;

    #[test]
    fn one_sort_per_model_does_for_everything() {
        let log = SyntheticClicks::new(5_000, 0.02).unwrap().generate(1).unwrap();
        let days = log.dataset.numbers("day").unwrap();
        let groups: Vec<u32> = (0..5_000).map(|row| row / 5).collect();
        let halved: Vec<f64> = log.probabilities.iter().map(|p| 0.5 * p).collect();
        let root: Vec<f64> = log.probabilities.iter().map(|p| p.sqrt()).collect();
        let evaluation = Evaluation::new(log.dataset.labels(), &log.probabilities)
            .against("halved", &halved)
            .against("root", &root)
            .bootstrap(10)
            .goal("cost", Goal::cost(1.0, 30.0).unwrap())
            .goal("share", Goal::share(0.1).unwrap())
            .by_period("day", days, 1.0)
            .by_period("week", days, 7.0);
        for evaluation in [evaluation.clone(), evaluation.by_group(&groups)] {
            let (report, sorts) = parallel::sorts_during(|| evaluation.report());
            assert_eq!(report.unwrap().models.len(), 3);
            assert_eq!(sorts, 3);
        }
    }
}
