//! One call from labels and probabilities to a report: every metric with its uncertainty, curves,
//! tables and slices, for the terminal, as data, and as a page with pictures.

#[cfg(feature = "plot")]
mod html;
mod sections;
mod text;

use crate::data::Categories;
use crate::metrics::{
    Axis, Bootstrap, Choice, Corp, DecileTable, GainCurve, Goal, HonestChoice, Interval, PairedAuc,
    PrecisionRecallCurve, Ranked, ReliabilityCurve, RocCurve, ScoreHistogram, Scorecard, Slice,
    compare_roc_auc, probabilities_ranked, slices_by_category, slices_by_period,
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
/// let log = SyntheticClicks::new(20_000, 0.01)?.generate::<f32>(7)?;
/// let doubled: Vec<f64> = log.probabilities.iter().map(|p| (2.0 * p).min(0.99)).collect();
///
/// let report = Evaluation::new(log.dataset.labels(), &log.probabilities)
///     .name("truth")
///     .against("doubled", &doubled)
///     .bootstrap(100)
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
const DAY: f64 = 86_400.0;
/// Folds in which thresholds are tried on rows they were not chosen on.
const FOLDS: usize = 5;

impl<'a> Evaluation<'a> {
    /// An evaluation of a model's probabilities.
    #[must_use]
    pub fn new(labels: &'a [bool], probabilities: &'a [f64]) -> Self {
        Self {
            labels,
            weights: None,
            models: vec![("model".into(), probabilities)],
            replicates: None,
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

    /// Bootstrap intervals of average precision, normalised entropy and predicted / observed, and of
    /// the differences between models, from that many replicates. By default there are none: each
    /// replicate is a pass over all rows. AUC has an
    /// [interval](crate::metrics::roc_auc_interval) in any case.
    #[must_use]
    pub fn bootstrap(mut self, replicates: usize) -> Self {
        self.replicates = Some(replicates);
        self
    }

    /// The seed of the bootstrap and of the folds of [`goal`](Self::goal). Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Seed>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Draws whole groups in the bootstrap: rows of one code, such as those of one user, are drawn
    /// together. [`Categories::codes`] are such codes.
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

    /// A threshold for this goal, with what it does [out of sample](Goal::choose_cross_fitted).
    #[must_use]
    pub fn goal(mut self, name: impl Into<String>, goal: Goal) -> Self {
        self.goals.push((name.into(), goal));
        self
    }

    /// The same metrics for each value of an attribute.
    #[must_use]
    pub fn by_category(mut self, name: impl Into<String>, values: &'a Categories<'a>) -> Self {
        self.slicings.push((name.into(), By::Category(values)));
        self
    }

    /// The same metrics for each period of time, in the unit of the times.
    #[must_use]
    pub fn by_period(mut self, name: impl Into<String>, times: &'a [f64], period: f64) -> Self {
        self.slicings.push((name.into(), By::Period(times, period)));
        self
    }

    /// The same metrics for each day of UTC, from times in seconds since 1970 (as
    /// [`CsvReader`](crate::data::CsvReader) reads time stamps). Slices are named by their date.
    #[must_use]
    pub fn by_day(mut self, name: impl Into<String>, times: &'a [f64]) -> Self {
        self.slicings.push((name.into(), By::Day(times)));
        self
    }

    /// Judges the models: for each of them one sort of its probabilities, and what bootstrap,
    /// comparison and slices need beyond that.
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
        let bootstrap = match (self.replicates, self.groups) {
            (Some(replicates), groups) => {
                let rows = Bootstrap::new(replicates, self.seed)?.level(self.level)?;
                Some(groups.map_or(rows.clone(), |codes| rows.by_group(codes)))
            }
            (None, Some(_)) => {
                return Err(Error::invalid("by_group", "given", "given with `bootstrap`"));
            }
            (None, None) => None,
        };
        let mut models = Vec::new();
        for (name, probabilities) in &self.models {
            models.push(self.model(name, probabilities, bootstrap.as_ref())?);
        }
        let (first, others) = models.split_at(1);
        let mut differences = Vec::new();
        for (other, (_, probabilities)) in others.iter().zip(&self.models[1..]) {
            let bootstrap = bootstrap.as_ref();
            differences.push(self.difference(&first[0], other, probabilities, bootstrap)?);
        }
        Ok(EvaluationReport {
            rows: first[0].scorecard.rows,
            positives: first[0].scorecard.positives,
            weighted: self.weights.is_some(),
            base_rate: first[0].scorecard.base_rate,
            level: self.level,
            replicates: self.replicates,
            models,
            differences,
        })
    }

    fn model(
        &self,
        name: &str,
        probabilities: &[f64],
        bootstrap: Option<&Bootstrap<'_>>,
    ) -> Result<ModelEvaluation> {
        // Errors about one row name it, which the sorted rows no longer know.
        let ranked = probabilities_ranked(self.labels, probabilities, self.weights)?;
        let scorecard = ranked.scorecard()?;
        let mut intervals = None;
        if let Some(bootstrap) = bootstrap {
            let (labels, weights) = (self.labels, self.weights);
            intervals = Some(if scorecard.normalised_entropy.is_finite() {
                let metrics = |rows: &Ranked| {
                    let (ap, ratio) = (rows.average_precision()?, rows.predicted_over_observed()?);
                    Ok([ap, ratio, rows.normalised_entropy()?])
                };
                let [average_precision, predicted_over_observed, normalised_entropy] =
                    bootstrap.intervals(labels, probabilities, weights, metrics)?;
                let normalised_entropy = Some(normalised_entropy);
                Intervals { average_precision, predicted_over_observed, normalised_entropy }
            } else {
                let metrics = |rows: &Ranked| {
                    Ok([rows.average_precision()?, rows.predicted_over_observed()?])
                };
                let [average_precision, predicted_over_observed] =
                    bootstrap.intervals(labels, probabilities, weights, metrics)?;
                let normalised_entropy = None;
                Intervals { average_precision, predicted_over_observed, normalised_entropy }
            });
        }
        let thresholds = self.goals.iter().map(|(name, goal)| {
            let calibrated = reached(goal.choose_calibrated(probabilities, self.weights))?;
            let choice = reached(goal.choose_cross_fitted(
                self.labels,
                probabilities,
                self.weights,
                FOLDS,
                self.seed,
            ))?;
            Ok(Threshold { goal: name.clone(), choice, calibrated })
        });
        let thresholds = thresholds.collect::<Result<_>>()?;
        let slicings = self.slicings.iter().map(|(by, how)| {
            Ok(Slicing { by: by.clone(), slices: self.slices(how, probabilities)? })
        });
        Ok(ModelEvaluation {
            name: name.into(),
            scorecard,
            roc_auc: ranked.roc_auc_interval(self.level)?,
            intervals,
            reliability: ranked.reliability_curve(self.bins, self.level)?,
            corp: ranked.corp()?,
            deciles: ranked.deciles(self.bins)?,
            roc: ranked.roc_curve()?.thinned(STEPS)?,
            precision_recall: ranked.precision_recall_curve()?.thinned(STEPS)?,
            gain: ranked.gain_curve()?.thinned(STEPS)?,
            histogram: ranked.score_histogram(HISTOGRAM, Axis::Logit)?,
            thresholds,
            slicings: slicings.collect::<Result<_>>()?,
        })
    }

    fn slices(&self, by: &By<'_>, probabilities: &[f64]) -> Result<Vec<Slice>> {
        let (labels, weights) = (self.labels, self.weights);
        match *by {
            By::Category(values) => slices_by_category(values, labels, probabilities, weights),
            By::Period(times, period) => {
                slices_by_period(times, period, labels, probabilities, weights)
            }
            By::Day(times) => {
                let mut slices = slices_by_period(times, DAY, labels, probabilities, weights)?;
                for slice in &mut slices {
                    if let Some(date) = slice.start.and_then(|start| date(start / DAY)) {
                        slice.name = date;
                    }
                }
                Ok(slices)
            }
        }
    }

    fn difference(
        &self,
        first: &ModelEvaluation,
        other: &ModelEvaluation,
        probabilities: &[f64],
        bootstrap: Option<&Bootstrap<'_>>,
    ) -> Result<Difference> {
        let (labels, weights, models) =
            (self.labels, self.weights, [self.models[0].1, probabilities]);
        let finite = |model: &ModelEvaluation| model.scorecard.normalised_entropy.is_finite();
        let mut average_precision = None;
        let mut normalised_entropy = None;
        if let Some(bootstrap) = bootstrap {
            if finite(first) && finite(other) {
                let metrics =
                    |rows: &Ranked| Ok([rows.average_precision()?, rows.normalised_entropy()?]);
                let [ap, ne] = bootstrap.differences(labels, models, weights, metrics)?;
                (average_precision, normalised_entropy) = (Some(ap), Some(ne));
            } else {
                let metric = |rows: &Ranked| Ok([rows.average_precision()?]);
                let [ap] = bootstrap.differences(labels, models, weights, metric)?;
                average_precision = Some(ap);
            }
        }
        Ok(Difference {
            first: first.name.clone(),
            second: other.name.clone(),
            roc_auc: compare_roc_auc(labels, models[0], models[1], weights, self.level)?,
            average_precision,
            normalised_entropy,
        })
    }
}

/// What [`Evaluation::report`] found. Print it for the terminal; with the feature `serde` it is data,
/// and with the feature `plot` [`to_html`](Self::to_html) makes a page of it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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
    /// The level of all intervals.
    pub level: f64,
    /// Replicates of the bootstrap, if there was one.
    pub replicates: Option<usize>,
    /// The models, in the order they were given.
    pub models: Vec<ModelEvaluation>,
    /// The first model compared with each other one.
    pub differences: Vec<Difference>,
}

/// Everything about one model.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ModelEvaluation {
    /// Its name.
    pub name: String,
    /// All metrics at a glance.
    pub scorecard: Scorecard,
    /// AUC with its [interval](crate::metrics::roc_auc_interval).
    pub roc_auc: Interval,
    /// Bootstrap intervals, if asked for.
    pub intervals: Option<Intervals>,
    /// Observed against predicted rate, by bins.
    pub reliability: ReliabilityCurve,
    /// The same without bins, and the parts of the Brier score.
    pub corp: Corp,
    /// Groups of equal weight, those of the highest predictions first.
    pub deciles: DecileTable,
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
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Intervals {
    /// Of [`average_precision`](crate::metrics::average_precision).
    pub average_precision: Interval,
    /// Of [`predicted_over_observed`](crate::metrics::predicted_over_observed).
    pub predicted_over_observed: Interval,
    /// Of [`normalised_entropy`](crate::metrics::normalised_entropy); `None` if that is infinite.
    pub normalised_entropy: Option<Interval>,
}

/// Two models on the same rows: the first less the second.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Difference {
    /// Name of the first model.
    pub first: String,
    /// Name of the second model.
    pub second: String,
    /// AUC, by a [test for paired models](crate::metrics::compare_roc_auc).
    pub roc_auc: PairedAuc,
    /// Average precision, by the bootstrap, if asked for.
    pub average_precision: Option<Interval>,
    /// Normalised entropy, by the bootstrap, if asked for; `None` also if one of them is infinite.
    pub normalised_entropy: Option<Interval>,
}

/// The threshold for one goal.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Threshold {
    /// The name of the goal.
    pub goal: String,
    /// The best threshold on the labelled rows, with what it does out of sample. `None` where no
    /// threshold reaches the goal, or there are too few positives to leave any out.
    pub choice: Option<HonestChoice>,
    /// What the probabilities alone would choose, if they were calibrated. `None` where they promise
    /// that no threshold reaches the goal.
    pub calibrated: Option<Choice>,
}

/// The slices of one attribute or of time.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
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
        Err(Error::InvalidArgument { .. } | Error::OneClass { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The date of a day counted from 1970-01-01; `None` beyond the years 0 to 9999.
///
/// Howard Hinnant's `civil_from_days`: the calendar repeats after 146,097 days, and years that begin
/// with March have their leap day at the end.
fn date(day: f64) -> Option<String> {
    if !(-719_528.0..2_932_897.0).contains(&day) {
        return None;
    }
    let day = day.floor() as i64 + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * era + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        // From Python's datetime.date.fromordinal(719163 + day).
        for (day, expected) in [
            (0.0, "1970-01-01"),
            (-1.0, "1969-12-31"),
            (11_016.0, "2000-02-29"),
            (18_224.0, "2019-11-24"),
            (19_782.0, "2024-02-29"),
            (47_540.0, "2100-02-28"),
            (47_541.0, "2100-03-01"),
            (2_932_896.0, "9999-12-31"),
            (-719_162.0, "0001-01-01"),
        ] {
            assert_eq!(date(day).as_deref(), Some(expected));
        }
        assert_eq!(date(f64::NAN), None);
        assert_eq!(date(1e300), None);
    }
}
