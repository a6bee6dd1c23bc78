//! The importance of columns for any metric, on rows out of sample.

use std::fmt;

use crate::calibration::CalibrationMap;
use crate::core::{
    Dataset, Error, Meter, Result, Run, Seed, aligned, column_name, number, same_length, signed,
};
use crate::exec::parallel::{self, BLOCK};
use crate::metrics::{Interval, ensure_level, student_quantile};
use crate::model::{PRINTED, Predict};
use crate::pipeline::FittedPipeline;

/// How much worse a metric gets if the values of a column, or of a group of columns, come from other rows.
///
/// With m any metric, p the probabilities of a fitted pipeline and π<sub>r</sub> a random order of the rows, the
/// importance of a group of columns is
///
/// ```text
/// (1/R) Σᵣ [m(y, p of the rows with the group's values of row πᵣ(i), w wᵣ) − m(y, p, w wᵣ)],   wᵣ(i) = w(πᵣ(i))
/// ```
///
/// An estimate for a population in which the group tells nothing about label and other columns, and has its
/// distribution. Rows must be **out of sample**: on training rows a model that has memorised them needs every column.
/// Offsets of the rows are added to the logits. Weights are sampling weights, so row and donor count by both of theirs;
/// rows of weight 0 are absent.
///
/// **Groups.** Columns that say the same stand in for each other, and each alone seems unimportant; the columns of one
/// variable, as of a one-hot encoding, give impossible rows if they are permuted alone. Name them as
/// [groups](Self::groups). Columns that are zero in every row have no importance and are left out.
///
/// **Intervals** are for the importance in the population, of the model as it is. They come from a jackknife: the rows
/// are cut at random into G parts of equal size, as many as there are rows of the rarer class, at most 20. Without the pairs
/// whose row or donor is in part g the importance is I<sub>g</sub>, and
///
/// ```text
/// SE² = R/(R + 1) · ((G − 1)/G)³ · Σ (I_g − Ī)²,   interval: importance ± t · SE, Student's t with G − 1 degrees of freedom
/// ```
///
/// In Efron & Stein's formula (1981) the factor is (G − 1)/G. As a part is left out in two roles, (1 − 1/G)² of the pairs
/// stay in place of 1 − 1/G; and the influence of a row is seen in R pairs for either role, to which the partners add
/// 1/R of theirs. SE contains what the draw of the rows and what the orders add. With fewer than 2 rows of a
/// class, or where the metric is undefined without a part, it is unknown: `None` and \[−∞, ∞\].
/// `docs/reliability.md` has how often intervals contain the importance.
///
/// The same seed gives the same bits on any number of threads. Only rows that change are predicted again, a block at a
/// time, so memory is a number a row for each thread.
///
/// ```
/// use imbalance::evaluation::PermutationImportance;
/// use imbalance::metrics;
/// use imbalance::prelude::*;
///
/// let log = SyntheticClicks::new(20_000, 0.02)?.numeric(4).categorical(&[]).generate(7)?;
/// let (train, test) = log.dataset.stratified_split(0.3, 7)?;
/// let fitted = Pipeline::new(LogisticRegression::new()).fit(&train)?;
///
/// let report = PermutationImportance::new(metrics::log_loss).measure(&fitted, &test, &Run::seeded(7))?;
/// println!("{report}");
///
/// let report = PermutationImportance::new(metrics::roc_auc)
///     .higher_is_better(true)
///     .groups([("first two", vec![0, 1]), ("others", vec![2, 3])])?
///     .measure(&fitted, &test, &Run::seeded(7))?;
/// assert!(report.entries[0].importance.estimate > 0.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Source: Breiman 2001 (Random Forests, §10); Fisher, Rudin & Dominici 2019 (JMLR 20, model reliance, as a
/// difference).
#[derive(Clone)]
pub struct PermutationImportance<M> {
    metric: M,
    higher_is_better: bool,
    groups: Option<Vec<Group>>,
    names: Option<Vec<String>>,
    repetitions: usize,
    level: f64,
}

/// Columns, ascending, and their name.
type Group = (String, Vec<usize>);

/// Most parts of the jackknife.
const MAX_PARTS: usize = 20;

impl<M> PermutationImportance<M>
where
    M: Fn(&[bool], &[f64], Option<&[f64]>) -> Result<f64> + Sync,
{
    /// The importance for a metric of labels, probabilities and weights that is lower for better models, such as
    /// [`log_loss`](crate::metrics::log_loss); each column alone, in five orders, with intervals at 95 %.
    pub fn new(metric: M) -> Self {
        let (groups, names) = (None, None);
        Self { metric, higher_is_better: false, groups, names, repetitions: 5, level: 0.95 }
    }

    /// Whether the metric is higher for better models, as [`roc_auc`](crate::metrics::roc_auc): importance is then how
    /// much it falls. Default: false.
    #[must_use]
    pub fn higher_is_better(self, higher_is_better: bool) -> Self {
        Self { higher_is_better, ..self }
    }

    /// Groups of columns, whose values come from one other row together. A column may be in several groups, or in none.
    /// Default: each column is one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no group, or for one without columns.
    pub fn groups<S: Into<String>>(
        self,
        groups: impl IntoIterator<Item = (S, Vec<usize>)>,
    ) -> Result<Self> {
        let mut groups: Vec<Group> =
            groups.into_iter().map(|(name, columns)| (name.into(), columns)).collect();
        for (_, columns) in &mut groups {
            columns.sort_unstable();
            columns.dedup();
        }
        match groups.iter().find(|(_, columns)| columns.is_empty()) {
            Some((name, _)) => {
                Err(Error::invalid("groups", format!("`{name}` without columns"), "columns"))
            }
            None if groups.is_empty() => Err(Error::invalid("groups", 0, "at least 1")),
            None => Ok(Self { groups: Some(groups), ..self }),
        }
    }

    /// Names for the columns, in their order, where each is a group. Default: the model's, or `x0`, `x1`, ….
    #[must_use]
    pub fn feature_names<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        Self { names: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// Number of orders R. Default: 5.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn repetitions(self, repetitions: usize) -> Result<Self> {
        if repetitions == 0 {
            return Err(Error::invalid("repetitions", 0, "at least 1"));
        }
        Ok(Self { repetitions, ..self })
    }

    /// How often intervals contain the importance. Default: 0.95.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless between 0 and 1.
    pub fn level(self, level: f64) -> Result<Self> {
        ensure_level(level)?;
        Ok(Self { level, ..self })
    }

    /// Measures the importance for a fitted pipeline on rows that it has not learned from.
    ///
    /// # Errors
    /// As for [`FittedPipeline::probabilities_of`]; [`Error::InvalidArgument`] for a column that does not exist;
    /// [`Error::LengthMismatch`] for another number of names than columns; [`Error::NoRows`] if no row has weight;
    /// [`Error::Numerical`] for a metric that is not finite; [`Error::Cancelled`]; whatever the metric refuses.
    pub fn measure<P: Predict, K: CalibrationMap>(
        &self,
        fitted: &FittedPipeline<P, K>,
        data: &Dataset<'_>,
        run: &Run,
    ) -> Result<PermutationReport> {
        if let Some(weights) = data.weights().filter(|weights| weights.contains(&0.0)) {
            let counted: Vec<usize> = (0..data.rows()).filter(|&row| weights[row] > 0.0).collect();
            return self.measure(fitted, &data.select(&counted)?, run);
        }
        let groups = self.groups_of(data, fitted.model().feature_names())?;
        let p = fitted.probabilities_of(data)?;
        let (parts, part_of) = parts(data, run.seed().child("parts"));
        let rows = Rows { data, parts, part_of };
        let metric = self.finite(data.labels(), &p, data.weights())?;
        let orders: Vec<Vec<usize>> = (0..self.repetitions)
            .map(|repetition| {
                let mut order: Vec<usize> = (0..data.rows()).collect();
                run.seed().child(&format!("order {repetition}")).shuffle(&mut order);
                order
            })
            .collect();
        let before = parallel::map(self.repetitions, 1, |repetition, _| {
            self.measured(&rows, &p, &orders[repetition])
        });
        let before = before.into_iter().collect::<Result<Vec<_>>>()?;
        let units = groups.len() * self.repetitions;
        let meter = Meter::new(run, "permutation importance", "rows", units * data.rows());
        let measured = parallel::map(units, 1, |unit, _| {
            let (group, order) = (unit / self.repetitions, &orders[unit % self.repetitions]);
            let mut p = p.clone();
            permute(fitted, data, order, &groups[group].1, &mut p, &meter)?;
            self.measured(&rows, &p, order)
        });
        meter.finish()?;
        let measured = measured.into_iter().collect::<Result<Vec<_>>>()?;
        let mut entries: Vec<GroupImportance> = groups
            .into_iter()
            .zip(measured.chunks(self.repetitions))
            .map(|((name, columns), of_group)| GroupImportance {
                name,
                columns,
                importance: self.importance(&before, of_group),
            })
            .collect();
        entries.sort_by(|a, b| b.importance.estimate.total_cmp(&a.importance.estimate));
        let totals = data.totals();
        let (rows, positives) = (totals.rows(), totals.positives);
        let repetitions = self.repetitions;
        Ok(PermutationReport { metric, rows, positives, repetitions, entries })
    }

    /// The groups, or each column that is not zero in every row, by name.
    fn groups_of(&self, data: &Dataset<'_>, names: Option<&[String]>) -> Result<Vec<Group>> {
        if let Some(names) = &self.names {
            same_length("names", names.len(), "the feature columns", data.columns())?;
        }
        let Some(groups) = &self.groups else {
            let names = self.names.as_deref().or(names);
            let used = data.features().used_columns(None)?;
            let used = used.into_iter().enumerate().filter(|(_, used)| *used);
            return Ok(used
                .map(|(column, _)| (column_name(names, column), vec![column]))
                .collect());
        };
        let columns = groups.iter().flat_map(|(_, columns)| columns);
        match columns.copied().find(|&column| column >= data.columns()) {
            Some(column) => {
                let expected = format!("below {}, the number of columns", data.columns());
                Err(Error::invalid("groups", format!("column {column}"), expected))
            }
            None => Ok(groups.clone()),
        }
    }

    fn finite(&self, labels: &[bool], p: &[f64], weights: Option<&[f64]>) -> Result<f64> {
        let value = (self.metric)(labels, p, weights)?;
        if value.is_finite() {
            return Ok(value);
        }
        Err(Error::Numerical {
            what: "the metric whose change is the importance".into(),
            value,
            remedy: "take one that is finite, such as `brier_score`",
        })
    }

    /// The metric of pairs of a row and its donor: of all, and without those of each part.
    fn measured(&self, rows: &Rows<'_>, p: &[f64], donors: &[usize]) -> Result<Measured> {
        let (labels, weights) = (rows.data.labels(), rows.data.weights());
        let weight =
            |row: usize| weights.map_or(1.0, |weights| weights[row] * weights[donors[row]]);
        let all: Option<Vec<f64>> = weights.map(|_| (0..p.len()).map(weight).collect());
        let without = |part: usize| {
            let is_in = |row: usize| usize::from(rows.part_of[row]) == part;
            let weight = |row| if is_in(row) || is_in(donors[row]) { 0.0 } else { weight(row) };
            let weights: Vec<f64> = (0..p.len()).map(weight).collect();
            self.finite(labels, p, Some(&weights)).ok()
        };
        let without = (0..rows.parts).map(without).collect();
        Ok(Measured { whole: self.finite(labels, p, all.as_deref())?, without })
    }

    fn importance(&self, before: &[Measured], after: &[Measured]) -> Interval {
        let sign = if self.higher_is_better { -1.0 } else { 1.0 };
        let orders = after.len() as f64;
        // The mean over orders of the change of a metric, if it is defined in all.
        let change = |of: &dyn Fn(&Measured) -> Option<f64>| {
            let pairs = before.iter().zip(after);
            let sum: Option<f64> =
                pairs.map(|(before, after)| Some(of(after)? - of(before)?)).sum();
            sum.map(|sum| sign * sum / orders)
        };
        let estimate = change(&|measured| Some(measured.whole)).unwrap_or_default();
        let parts = before.first().map_or(0, |before| before.without.as_ref().map_or(0, Vec::len));
        let without: Option<Vec<f64>> = (0..parts)
            .map(|part| change(&|measured| Some(measured.without.as_ref()?[part])))
            .collect();
        let (standard_error, margin) = match without.filter(|without| without.len() > 1) {
            None => (None, f64::INFINITY),
            Some(without) => {
                let n = without.len() as f64;
                let mean = without.iter().sum::<f64>() / n;
                let spread: f64 = without.iter().map(|without| (without - mean).powi(2)).sum();
                let factor = orders / (orders + 1.0) * ((n - 1.0) / n).powi(3);
                let error = (factor * spread).sqrt();
                (Some(error), student_quantile(self.level, n - 1.0) * error)
            }
        };
        let (lower, upper) = (estimate - margin, estimate + margin);
        Interval { estimate, standard_error, lower, upper, level: self.level }
    }
}

/// The rows, and the part of the jackknife that each is in.
struct Rows<'a> {
    data: &'a Dataset<'a>,
    parts: usize,
    part_of: Vec<u8>,
}

/// A metric, and its values without each part, if all are defined.
struct Measured {
    whole: f64,
    without: Option<Vec<f64>>,
}

/// Random parts of equal size: as many as rows of the rarer class, at most 20. Not by class, as the number of positives
/// is left to chance in the sample too.
fn parts(data: &Dataset<'_>, seed: Seed) -> (usize, Vec<u8>) {
    let totals = data.totals();
    let parts = totals.positives.min(totals.negatives).min(MAX_PARTS);
    let mut part_of: Vec<u8> = (0..data.rows()).map(|row| (row % parts.max(1)) as u8).collect();
    seed.shuffle(&mut part_of);
    (parts, part_of)
}

/// Replaces the probabilities of rows whose columns differ from their donor's.
fn permute<P: Predict, K: CalibrationMap>(
    fitted: &FittedPipeline<P, K>,
    data: &Dataset<'_>,
    donors: &[usize],
    columns: &[usize],
    p: &mut [f64],
    meter: &Meter<'_>,
) -> Result<()> {
    for start in (0..data.rows()).step_by(BLOCK) {
        let block = start..(start + BLOCK).min(data.rows());
        if !meter.goes_on(block.len()) {
            return meter.finish();
        }
        let (rows, x) = data.features().with_columns_from(block, donors, columns);
        let offsets = data.offsets().map(|offsets| rows.iter().map(|&row| offsets[row]).collect());
        let offsets: Option<Vec<f64>> = offsets;
        let mut changed = vec![0.0; rows.len()];
        fitted.write(x.view(), offsets.as_deref(), &mut changed)?;
        rows.into_iter().zip(changed).for_each(|(row, changed)| p[row] = changed);
    }
    Ok(())
}

impl<M> fmt::Debug for PermutationImportance<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermutationImportance")
            .field("higher_is_better", &self.higher_is_better)
            .field("groups", &self.groups)
            .field("repetitions", &self.repetitions)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// The importance of groups of columns; made by [`PermutationImportance::measure`]. Printed, it has the 20 most important
/// ones; [`text`](Self::text) has any number.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct PermutationReport {
    /// The metric on the rows as they are.
    pub metric: f64,
    /// Rows of positive weight.
    pub rows: usize,
    /// Positives among them.
    pub positives: usize,
    /// Number of orders R.
    pub repetitions: usize,
    /// The groups, the most important first.
    pub entries: Vec<GroupImportance>,
}

/// The importance of a group of columns.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct GroupImportance {
    /// The name of the group, or of its only column.
    pub name: String,
    /// Its columns, ascending.
    pub columns: Vec<usize>,
    /// How much worse the metric gets without it.
    pub importance: Interval,
}

#[cfg(feature = "serde")]
impl crate::saved::Kind for PermutationReport {
    const KIND: &'static str = "permutation_report";
}

impl PermutationReport {
    /// The metric and the first `rows` groups as lines.
    #[must_use]
    pub fn text(&self, rows: usize) -> String {
        let Self { rows: all, positives, repetitions, .. } = self;
        let metric = number(self.metric);
        let level = self.entries.first().map_or(0.95, |entry| entry.importance.level);
        let head = ["column", "importance", "std. error", "lower", "upper"];
        let mut lines = vec![head.map(String::from).to_vec()];
        let shown = &self.entries[..rows.min(self.entries.len())];
        lines.extend(shown.iter().map(|GroupImportance { name, importance, .. }| {
            let Interval { estimate, standard_error, lower, upper, .. } = *importance;
            let error = standard_error.map_or("–".into(), number);
            vec![name.clone(), signed(estimate), error, signed(lower), signed(upper)]
        }));
        let more = self.entries.len() - shown.len();
        format!(
            "metric {metric} on {all} rows, {positives} positive; mean of {repetitions} random orders, \
             intervals at {} %\n{}\n{more} more",
            number(100.0 * level).trim_end_matches('0').trim_end_matches('.'),
            aligned(&lines)
        )
    }
}

impl fmt::Display for PermutationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(PRINTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::{Calibration, Uncalibrated};
    use crate::core::assert_observed;
    use crate::metrics::log_loss;
    use crate::model::LinearModel;
    use ndarray::Array2;

    #[test]
    fn permutation_importance_is_observed_and_stops_within_a_block() {
        let x = Array2::from_shape_fn((9_000, 2), |(i, j)| ((i * (7 + j)) % 10) as f64);
        let data = Dataset::new(&x, (0..9_000).map(|i| i % 9 == 0).collect::<Vec<_>>()).unwrap();
        let model = LinearModel::new(vec![1.0, -1.0], -2.0).unwrap();
        let parts = [(model, Calibration::new(Uncalibrated))];
        let fitted = FittedPipeline::from_parts(parts).unwrap();
        let step = assert_observed("permutation importance", |run| {
            PermutationImportance::new(log_loss).measure(&fitted, &data, run).map(drop)
        });
        assert!(step <= BLOCK as u64, "{step}");
    }
}
