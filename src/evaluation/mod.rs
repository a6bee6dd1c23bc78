//! One call from labels and probabilities to a report: every metric with its uncertainty, curves,
//! tables and slices, for the terminal, as data, and as a page with pictures.
//!
//! With the feature `serde` a report can be written and read back, for example to compare with an
//! earlier one; see [`metrics`](crate::metrics#errors) for how infinite numbers are written.

#[cfg(feature = "plot")]
mod html;
mod permutation;
mod sections;
mod text;

use std::ops::ControlFlow;

pub use permutation::{GroupImportance, PermutationImportance, PermutationReport};

use crate::core::{Categories, Error, Folds, Meter, Progress, Result, Run, Seed};
use crate::metrics::{
    Bootstrap, BrierDecomposition, Confusion, CorpDecomposition, CrossFittedThreshold, DecileTable,
    Domain, GainCurve, HosmerLemeshow, Interval, Partition, Period, PrecisionRecallCurve,
    ProbabilityScale, ReliabilityCurve, Replicates, RocCurve, ScoreHistogram, Scorecard, Slice,
    SortedRows, Threshold, ThresholdRule, compare,
};

/// Evaluates the probabilities of one model, or of several models on the same rows, against labels.
///
/// ```
/// use imbalance::Evaluation;
/// use imbalance::data::SyntheticClicks;
/// use imbalance::evaluation::ModelReport;
/// use imbalance::metrics::ThresholdRule;
///
/// let log = SyntheticClicks::new(20_000, 0.01)?.generate(7)?;
/// let doubled: Vec<f64> = log.probabilities.iter().map(|p| (2.0 * p).min(0.99)).collect();
///
/// let report = Evaluation::new(log.dataset.labels(), &log.probabilities)
///     .name("truth")
///     .against("doubled", &doubled)
///     .threshold("one in ten", ThresholdRule::precision_floor(0.1)?)
///     .by_period("day", log.dataset.numbers("day")?, 7.0)
///     .report()?;
/// println!("{report}");
///
/// let [truth, doubled] = &report.models[..] else { unreachable!() };
/// // Both rank alike, so they flag the same rows, the second model from twice the threshold.
/// let flagged = |model: &ModelReport| {
///     model.thresholds[0].cross_fitted.as_ref().map(|threshold| threshold.confusion.flagged())
/// };
/// assert_eq!(flagged(truth), flagged(doubled));
/// let ratio = doubled.scorecard.predicted_over_observed / truth.scorecard.predicted_over_observed;
/// assert!((ratio - 2.0).abs() < 0.05);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluation<'a> {
    labels: &'a [bool],
    weights: Option<&'a [f64]>,
    models: Vec<Model<'a>>,
    replicates: Option<usize>,
    run: Run,
    groups: Option<&'a [u32]>,
    level: f64,
    bins: usize,
    rules: Vec<(String, ThresholdRule)>,
    slicings: Vec<(String, By<'a>)>,
}

/// The scores of a model.
#[derive(Debug, Clone)]
struct Model<'a> {
    name: String,
    scores: &'a [f64],
    domain: Domain,
}

/// How the rows are cut into slices.
#[derive(Debug, Clone)]
enum By<'a> {
    Category(&'a Categories<'a>),
    Period(&'a [f64], Period),
}

/// Steps of the report's curves: as fine as a picture can show.
const STEPS: usize = 2000;
/// Intervals of the report's histograms.
const HISTOGRAM: usize = 40;
/// Folds of the cross-fitted thresholds.
const FOLDS: usize = 5;
/// Default number of replicates: the ends of a 95 % interval then lie within a fifth of its half width.
const REPLICATES: usize = 200;
/// Most slices of one attribute in the report.
const SLICES: usize = 50;
/// Sections on each model besides thresholds and slices.
const SECTIONS: usize = 13;
/// Shares of the rows, from the top, whose recall and precision the report shows.
const TOP: [f64; 5] = [0.001, 0.01, 0.05, 0.1, 0.2];

impl<'a> Evaluation<'a> {
    /// An evaluation of a model's probabilities.
    #[must_use]
    pub fn new(labels: &'a [bool], probabilities: &'a [f64]) -> Self {
        Self::of(labels, probabilities, Domain::Probabilities)
    }

    /// An evaluation of a model's logits. They keep what probabilities round away: where a model is sure, its
    /// logits still differ and cost a finite loss, while its probabilities may all be 1. Its thresholds are
    /// logits.
    #[must_use]
    pub fn from_logits(labels: &'a [bool], logits: &'a [f64]) -> Self {
        Self::of(labels, logits, Domain::Logits)
    }

    fn of(labels: &'a [bool], scores: &'a [f64], domain: Domain) -> Self {
        Self {
            labels,
            weights: None,
            models: vec![Model { name: "model".into(), scores, domain }],
            replicates: Some(REPLICATES),
            run: Run::default(),
            groups: None,
            level: 0.95,
            bins: 10,
            rules: Vec::new(),
            slicings: Vec::new(),
        }
    }

    /// The name of the model. Default: `model`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.models[0].name = name.into();
        self
    }

    /// Sample weights: how many rows of the population each row stands for.
    #[must_use]
    pub fn weights(mut self, weights: impl Into<Option<&'a [f64]>>) -> Self {
        self.weights = weights.into();
        self
    }

    /// Another model on the same rows. The first model is compared with every other model.
    #[must_use]
    pub fn against(mut self, name: impl Into<String>, probabilities: &'a [f64]) -> Self {
        let (name, domain) = (name.into(), Domain::Probabilities);
        self.models.push(Model { name, scores: probabilities, domain });
        self
    }

    /// [`against`](Self::against) a model whose scores are [logits](Self::from_logits).
    #[must_use]
    pub fn against_logits(mut self, name: impl Into<String>, logits: &'a [f64]) -> Self {
        let (name, domain) = (name.into(), Domain::Logits);
        self.models.push(Model { name, scores: logits, domain });
        self
    }

    /// The number of bootstrap replicates, which give the intervals of average precision, normalised
    /// entropy and predicted / observed, and of their differences between models. Default: 200.
    ///
    /// Each replicate is a pass over all rows, so with millions of rows the bootstrap takes most of the
    /// time; `None` leaves these intervals out. AUC has an [interval](crate::metrics::roc_auc_interval)
    /// with or without a bootstrap.
    #[must_use]
    pub fn bootstrap(mut self, replicates: impl Into<Option<usize>>) -> Self {
        self.replicates = replicates.into();
        self
    }

    /// The seed of the bootstrap and of the folds of [`threshold`](Self::threshold). Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Seed>) -> Self {
        self.run = self.run.reseeded(seed);
        self
    }

    /// Reports to an observer ([`Progress::Work`]) the replicates of the bootstrap, then the sections of the report.
    /// The observer may stop the evaluation between two of them.
    #[must_use]
    pub fn observer(
        mut self,
        observer: impl Fn(&Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.run = self.run.observed(observer);
        self
    }

    /// A group for each row: rows of one code, for example the rows of one user, belong together. The
    /// bootstrap draws whole groups, thresholds are tested on other groups than they were chosen on, and the
    /// bootstrap gives the intervals of AUC, as DeLong's method assumes independent rows.
    /// [`Categories::codes`] are such codes.
    #[must_use]
    pub fn by_group(mut self, groups: &'a [u32]) -> Self {
        self.groups = Some(groups);
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

    /// A threshold by this rule, with its results [out of sample](ThresholdRule::choose_cross_fitted): on
    /// five folds of rows, or of [groups](Self::by_group).
    #[must_use]
    pub fn threshold(mut self, name: impl Into<String>, rule: ThresholdRule) -> Self {
        self.rules.push((name.into(), rule));
        self
    }

    /// The metrics of each category of an attribute. Of more than 50 categories, the most frequent have a
    /// slice each and the others share one; [`slices_by_category`](crate::metrics::slices_by_category) has
    /// no such limit.
    #[must_use]
    pub fn by_category(mut self, name: impl Into<String>, categories: &'a Categories<'a>) -> Self {
        self.slicings.push((name.into(), By::Category(categories)));
        self
    }

    /// The metrics of each period of time: a [`Period`], or a length in the unit of the times. Of more than 50
    /// periods, the latest have a slice each and the earlier periods share one;
    /// [`slices_by_period`](crate::metrics::slices_by_period) has no such limit.
    #[must_use]
    pub fn by_period(
        mut self,
        name: impl Into<String>,
        times: &'a [f64],
        period: impl Into<Period>,
    ) -> Self {
        self.slicings.push((name.into(), By::Period(times, period.into())));
        self
    }

    /// Evaluates the models. The probabilities of each model are sorted once for all metrics.
    ///
    /// # Errors
    /// - [`Error::InvalidArgument`] for two models of one name, a `level` not between 0 and 1, 0
    ///   `bins`, fewer than 2 replicates, or groups without a bootstrap.
    /// - [`Error::OneClass`] if positives or negatives have no weight.
    /// - [`Error::Cancelled`] if the observer stops it.
    /// - The [errors common to all metrics](crate::metrics#errors).
    pub fn report(&self) -> Result<EvaluationReport> {
        for (place, Model { name, .. }) in self.models.iter().enumerate() {
            if self.models[..place].iter().any(|other| other.name == *name) {
                return Err(Error::invalid("name", name, "another name for each model"));
            }
        }
        if self.groups.is_some() && self.replicates.is_none() {
            return Err(Error::invalid("by_group", "given", "given with `bootstrap`"));
        }
        let sort = |model: &Model<'_>| {
            SortedRows::new(self.labels, model.scores, model.domain, self.weights, &self.run)
        };
        let models = self.models.iter().map(sort).collect::<Result<Vec<SortedRows>>>()?;
        let rows = models[0].ranked();
        let resampled = self.resample(&models)?;
        let folds = if self.rules.is_empty() { None } else { self.folds()? };
        let slicings = self.slicings.iter().map(|(name, by)| Ok((&name[..], by.partition()?)));
        let slicings = slicings.collect::<Result<Vec<(&str, Partition)>>>()?;
        let (resampled, folds) = (resampled.as_ref(), folds.as_ref());
        let of_model = SECTIONS + self.rules.len() + slicings.len();
        let sections = models.len() * of_model + models.len() - 1;
        let meter = &Meter::new(&self.run, "evaluation", "sections", sections);
        let report =
            |(model, rows)| self.model((model, rows), (resampled, folds), &slicings, meter);
        let differences = (1..models.len())
            .map(|other| meter.unit(|| self.difference(&models, other, resampled)));
        let report = EvaluationReport {
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
        };
        meter.finish()?;
        Ok(report)
    }

    fn resample(&self, models: &[SortedRows]) -> Result<Option<Resampled>> {
        let Some(replicates) = self.replicates else { return Ok(None) };
        let mut bootstrap =
            Bootstrap::new(replicates, self.run.seed())?.level(self.level)?.in_run(&self.run);
        if let Some(groups) = self.groups {
            bootstrap = bootstrap.by_group(groups);
        }
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

    /// The folds of the thresholds: two if there are too few positives for five, `None` if too few for two.
    fn folds(&self) -> Result<Option<Folds>> {
        let of = |count| match self.groups {
            Some(groups) => Folds::by_group(self.labels, groups, count, self.run.seed()),
            None => Folds::stratified(self.labels, count, self.run.seed()),
        };
        match possible(of(FOLDS))? {
            None => possible(of(2)),
            folds => Ok(folds),
        }
    }

    fn model(
        &self,
        (model, rows): (usize, &SortedRows),
        (resampled, folds): (Option<&Resampled>, Option<&Folds>),
        slicings: &[(&str, Partition)],
        meter: &Meter<'_>,
    ) -> Result<ModelReport> {
        let ranked = rows.ranked();
        let thresholds = self.rules.iter().map(|(name, rule)| {
            let cross_fitted =
                folds.map(|folds| meter.unit(|| possible(rule.cross_fitted(rows, folds))));
            let calibrated = possible(rule.choose_calibrated_ranked(ranked))?.map(|expected| {
                let confusion = ranked.confusion(expected.threshold)?;
                Ok(CalibratedThreshold { expected, confusion, value: rule.value(&confusion) })
            });
            Ok(ThresholdReport {
                rule: name.clone(),
                cross_fitted: cross_fitted.transpose()?.flatten(),
                calibrated: calibrated.transpose()?,
            })
        });
        let slicings = slicings.iter().map(|(by, partition)| {
            let slices = meter.unit(|| partition.slices(rows, self.level))?;
            Ok(Slicing { by: (*by).into(), slices })
        });
        let intervals = resampled.map(|of| {
            let interval = |metric: usize| of.interval(model, metric);
            Ok(Intervals {
                average_precision: interval(PRECISION)?,
                predicted_over_observed: interval(RATIO)?,
                normalised_entropy: finite(interval(ENTROPY))?,
            })
        });
        let roc_auc = match resampled {
            Some(of) if self.groups.is_some() => of.interval(model, AUC),
            _ => meter.unit(|| ranked.roc_auc_interval(self.level)),
        };
        let top = TOP.map(|share| Ok(Top { share, confusion: ranked.top_share(share)? }));
        Ok(ModelReport {
            name: self.models[model].name.clone(),
            logits: self.models[model].domain == Domain::Logits,
            scorecard: meter.unit(|| ranked.scorecard())?,
            roc_auc: roc_auc?,
            intervals: intervals.transpose()?,
            reliability: meter.unit(|| ranked.reliability_curve(self.bins, self.level))?,
            corp: meter.unit(|| ranked.corp())?,
            brier_decomposition: meter.unit(|| ranked.brier_decomposition(self.bins))?,
            mce: meter.unit(|| ranked.mce(self.bins))?,
            smooth_ece: meter.unit(|| ranked.smooth_ece())?,
            hosmer_lemeshow: meter.unit(|| ranked.hosmer_lemeshow(self.bins))?,
            deciles: meter.unit(|| ranked.deciles(self.bins))?,
            top: top.into_iter().collect::<Result<_>>()?,
            roc: meter.unit(|| ranked.thinned_roc_curve(STEPS))?,
            precision_recall: meter.unit(|| ranked.thinned_precision_recall_curve(STEPS))?,
            gain: meter.unit(|| ranked.thinned_gain_curve(STEPS))?,
            histogram: meter.unit(|| ranked.score_histogram(HISTOGRAM, ProbabilityScale::Logit))?,
            thresholds: thresholds.collect::<Result<_>>()?,
            slicings: slicings.collect::<Result<_>>()?,
        })
    }

    /// The first model less another.
    fn difference(
        &self,
        models: &[SortedRows],
        other: usize,
        resampled: Option<&Resampled>,
    ) -> Result<Difference> {
        let bootstrap = |metric: usize| {
            let difference = |of: &Resampled| finite(of.difference([0, other], metric));
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
            first: self.models[0].name.clone(),
            second: self.models[other].name.clone(),
            roc_auc,
            p_value,
            average_precision: bootstrap(PRECISION)?,
            predicted_over_observed: bootstrap(RATIO)?,
            normalised_entropy: bootstrap(ENTROPY)?,
        })
    }
}

impl By<'_> {
    /// The slice of each row, which is the same for all models.
    fn partition(&self) -> Result<Partition> {
        let whole = match *self {
            By::Category(values) => Partition::by_category(values),
            By::Period(times, period) => Partition::by_period(times, period)?,
        };
        Ok(whole.at_most(SLICES))
    }
}

/// The metrics that the bootstrap computes of each model, at these places. All models share the replicates,
/// so each replicate has a difference of two models.
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

/// The results of [`Evaluation::report`]. Print it for the terminal; with the feature `serde` it can be
/// [saved](crate::saved) and loaded, and with the feature `plot` [`to_html`](Self::to_html) makes a page of it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
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
    /// Relative standard error of the number of positives, √Σw²y / Σwy: the error of predicted / observed
    /// of a perfect model.
    pub positives_relative_error: f64,
    /// The level of all intervals.
    pub level: f64,
    /// Replicates of the bootstrap, if there was one.
    pub replicates: Option<usize>,
    /// Whether the rows belong to groups.
    pub grouped: bool,
    /// The models, in the caller's order.
    pub models: Vec<ModelReport>,
    /// The first model compared with every other model.
    pub differences: Vec<Difference>,
}

#[cfg(feature = "serde")]
impl crate::saved::Kind for EvaluationReport {
    const KIND: &'static str = "evaluation_report";
}

/// Everything about one model.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// Whether its scores were given as logits; its thresholds are then logits.
    pub logits: bool,
    /// All metrics at a glance.
    pub scorecard: Scorecard,
    /// AUC with its [interval](crate::metrics::roc_auc_interval), for groups from the bootstrap.
    pub roc_auc: Interval,
    /// Bootstrap intervals; `None` without a bootstrap.
    pub intervals: Option<Intervals>,
    /// Observed against predicted rate, by bins.
    pub reliability: ReliabilityCurve,
    /// Observed against predicted rate without bins, and the CORP decomposition of the Brier score.
    pub corp: CorpDecomposition,
    /// Murphy's decomposition of the Brier score, on the bins of the reliability curve.
    pub brier_decomposition: BrierDecomposition,
    /// The [largest calibration error](crate::metrics::mce) of these bins.
    pub mce: f64,
    /// The [calibration error without bins](crate::metrics::smooth_ece).
    pub smooth_ece: f64,
    /// The [test of calibration](crate::metrics::hosmer_lemeshow) on these bins.
    pub hosmer_lemeshow: HosmerLemeshow,
    /// Groups of equal weight, from the highest predictions down.
    pub deciles: DecileTable,
    /// Recall and precision in the top 0.1 %, 1 %, 5 %, 10 % and 20 % of the rows.
    pub top: Vec<Top>,
    /// The ROC curve, thinned to the points that a picture can show.
    pub roc: RocCurve,
    /// The precision–recall curve, thinned in the same way.
    pub precision_recall: PrecisionRecallCurve,
    /// Gain and lift, thinned in the same way.
    pub gain: GainCurve,
    /// The predictions of each class.
    pub histogram: ScoreHistogram,
    /// A threshold for each rule, in the caller's order.
    pub thresholds: Vec<ThresholdReport>,
    /// The metrics of slices by attribute and by time, in the caller's order.
    pub slicings: Vec<Slicing>,
}

/// Bootstrap intervals of one model.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Intervals {
    /// See [`average_precision`](crate::metrics::average_precision).
    pub average_precision: Interval,
    /// See [`predicted_over_observed`](crate::metrics::predicted_over_observed).
    pub predicted_over_observed: Interval,
    /// See [`normalised_entropy`](crate::metrics::normalised_entropy); `None` if it is infinite in a
    /// replicate.
    pub normalised_entropy: Option<Interval>,
}

/// The rows of the highest probabilities; see
/// [`RankedScores::top_share`](crate::metrics::RankedScores::top_share).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Top {
    /// Their share of all rows, by weight.
    pub share: f64,
    /// The confusion matrix of flagging them.
    pub confusion: Confusion,
}

/// Two models on the same rows: the first less the second.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Difference {
    /// Name of the first model.
    pub first: String,
    /// Name of the second model.
    pub second: String,
    /// AUC, by [DeLong's test](crate::metrics::compare_roc_auc), for groups by the bootstrap.
    pub roc_auc: Interval,
    /// The p-value of DeLong's test; the bootstrap has none.
    pub p_value: Option<f64>,
    /// Average precision, by the bootstrap; `None` without a bootstrap.
    pub average_precision: Option<Interval>,
    /// Predicted / observed, by the bootstrap; `None` without a bootstrap.
    pub predicted_over_observed: Option<Interval>,
    /// Normalised entropy, by the bootstrap; `None` without a bootstrap, or if it is infinite in a replicate.
    pub normalised_entropy: Option<Interval>,
}

/// The threshold of one rule.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct ThresholdReport {
    /// The name of the rule.
    pub rule: String,
    /// The best threshold on the labelled rows, with its results out of sample. `None` where no threshold
    /// meets the rule, or where there are too few positives for two folds.
    pub cross_fitted: Option<CrossFittedThreshold>,
    /// The best threshold if the probabilities are calibrated. `None` where by the probabilities no
    /// threshold meets the rule.
    pub calibrated: Option<CalibratedThreshold>,
}

/// A threshold chosen without labels, and its results on the labelled rows.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct CalibratedThreshold {
    /// The threshold, with the results that the probabilities predict.
    pub expected: Threshold,
    /// The confusion matrix on the labelled rows. It is not optimistic, as no label took part in the choice.
    pub confusion: Confusion,
    /// [`Threshold::value`] of this confusion matrix.
    pub value: Option<f64>,
}

/// The slices of one attribute or of time.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Slicing {
    /// The name of the attribute or of the time.
    pub by: String,
    /// A slice for each category or period.
    pub slices: Vec<Slice>,
}

/// The folds or the threshold, or `None` where these rows have none. Invalid rows are an error before.
fn possible<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
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
    fn an_evaluation_is_observed_and_stops_within_a_section() {
        let log = SyntheticClicks::new(5_000, 0.02).unwrap().generate(1).unwrap();
        let halved: Vec<f64> = log.probabilities.iter().map(|p| 0.5 * p).collect();
        let evaluation = Evaluation::new(log.dataset.labels(), &log.probabilities)
            .against("halved", &halved)
            .threshold("share", ThresholdRule::share(0.1).unwrap())
            .by_period("day", log.dataset.numbers("day").unwrap(), 1.0);
        for replicates in [None, Some(10)] {
            let evaluation = evaluation.clone().bootstrap(replicates);
            let step = crate::core::assert_observed("evaluation", |run| {
                Evaluation { run: run.clone(), ..evaluation.clone() }.report().map(drop)
            });
            assert_eq!(step, 1);
        }
    }

    #[test]
    fn one_sort_per_model_serves_all_metrics() {
        let log = SyntheticClicks::new(5_000, 0.02).unwrap().generate(1).unwrap();
        let days = log.dataset.numbers("day").unwrap();
        let groups: Vec<u32> = (0..5_000).map(|row| row / 5).collect();
        let halved: Vec<f64> = log.probabilities.iter().map(|p| 0.5 * p).collect();
        let root: Vec<f64> = log.probabilities.iter().map(|p| p.sqrt()).collect();
        let evaluation = Evaluation::new(log.dataset.labels(), &log.probabilities)
            .against("halved", &halved)
            .against("root", &root)
            .bootstrap(10)
            .threshold("cost", ThresholdRule::cost(1.0, 30.0).unwrap())
            .threshold("share", ThresholdRule::share(0.1).unwrap())
            .by_period("day", days, 1.0)
            .by_period("week", days, 7.0);
        for evaluation in [evaluation.clone(), evaluation.by_group(&groups)] {
            let (report, sorts) = parallel::sorts_during(|| evaluation.report());
            assert_eq!(report.unwrap().models.len(), 3);
            assert_eq!(sorts, 3);
        }
    }
}
