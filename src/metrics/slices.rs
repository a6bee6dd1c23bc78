//! The same metrics for each value of an attribute and each period of time, so that drift shows.

use super::calibration::predicted_over_observed_of;
use super::probability::{base_rate_entropy_of, brier_score_of, log_loss_of};
use super::ranked::Ranked;
use super::ranking::{auc_of, average_precision_of};
use super::rows::{Domain, Rows, Weighted};
use crate::data::Categories;
use crate::error::same_length;
use crate::{Error, Result, parallel};

/// A metric that a [`Slice`] does not have, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Missing {
    /// The name of the field of [`Slice`] that is `None`.
    pub metric: &'static str,
    /// Why it cannot be computed.
    pub reason: String,
}

/// The metrics of some of the rows.
///
/// What the rows of a slice do not determine is `None`, with the reason in
/// [`missing`](Self::missing); the other metrics are there.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Slice {
    /// The value of the attribute, or the start of the period.
    pub name: String,
    /// The start of the period; `None` for categories and for rows without a time.
    pub start: Option<f64>,
    /// Number of rows that have weight.
    pub rows: usize,
    /// Number of positive rows that have weight.
    pub positives: usize,
    /// Total weight.
    pub weight: f64,
    /// The weighted share of positives.
    pub base_rate: f64,
    /// The weighted mean of the probabilities.
    pub mean_predicted: f64,
    /// See [`brier_score`](super::brier_score).
    pub brier: f64,
    /// See [`log_loss`](super::log_loss); +∞ for a certain miss.
    pub log_loss: f64,
    /// See [`normalised_entropy`](super::normalised_entropy), against the slice's own base rate.
    pub normalised_entropy: Option<f64>,
    /// See [`predicted_over_observed`](super::predicted_over_observed).
    pub predicted_over_observed: Option<f64>,
    /// Relative standard error of the number of positives, √Σw²y / Σwy: predicted / observed is no
    /// drift as long as it is within two or three of these of 1.
    pub observed_relative_error: Option<f64>,
    /// See [`roc_auc`](super::roc_auc).
    pub roc_auc: Option<f64>,
    /// See [`average_precision`](super::average_precision).
    pub average_precision: Option<f64>,
    /// What is `None`, and why.
    pub missing: Vec<Missing>,
}

/// The metrics of the rows of each category, in the order of
/// [`levels`](crate::data::Categories::levels); categories without a row of positive weight are left
/// out.
///
/// Slices with too few positives keep what can be computed.
///
/// # Errors
///
/// [`Error::LengthMismatch`] if the categories are not one per row, and the [errors common to all
/// metrics](super#errors).
///
/// ```
/// use imbalance::Attribute;
/// use imbalance::metrics::slices_by_category;
///
/// let Attribute::Categories(campaign) = Attribute::categories(["men", "women", "men", "men"]) else {
///     unreachable!()
/// };
/// let slices = slices_by_category(&campaign, &[true, false, false, false], &[0.5, 0.1, 0.2, 0.3], None)?;
/// assert_eq!((slices[0].name.as_str(), slices[0].roc_auc), ("men", Some(1.0)));
/// assert_eq!((slices[1].name.as_str(), slices[1].roc_auc), ("women", None));
/// assert!(slices[1].missing.iter().any(|missing| missing.metric == "roc_auc"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn slices_by_category(
    categories: &Categories<'_>,
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
) -> Result<Vec<Slice>> {
    let rows = Rows::new(labels, probabilities, Domain::Probabilities, weights)?;
    same_length("the categories", categories.len(), "labels", labels.len())?;
    let names: Vec<_> = categories.levels().iter().map(|level| (level.clone(), None)).collect();
    Ok(slices_of(&rows, |row| categories.codes()[row] as usize, &names))
}

/// The metrics of the rows of each period of time, in the order of time.
///
/// Period k holds times from `k · period` to before `(k + 1) · period`; with times in seconds and a
/// period of 86,400 these are the days of UTC. Periods without a row of positive weight are left out.
/// Rows whose time is missing (NaN) make a last slice named `missing`. Slices with too few positives
/// keep what can be computed.
///
/// # Errors
///
/// [`Error::InvalidArgument`] unless the period is positive and finite, [`Error::NonFinite`] for an
/// infinite time, [`Error::LengthMismatch`] if the times are not one per row, and the [errors common
/// to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::slices_by_period;
///
/// let times = [10.0, 90_000.0, 86_399.0];
/// let days = slices_by_period(&times, 86_400.0, &[true, true, false], &[0.5, 0.1, 0.2], None)?;
/// assert_eq!((days.len(), days[0].rows, days[1].start), (2, 2, Some(86_400.0)));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn slices_by_period(
    times: &[f64],
    period: f64,
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
) -> Result<Vec<Slice>> {
    if !(period > 0.0 && period.is_finite()) {
        return Err(Error::invalid("period", period, "positive and finite"));
    }
    let rows = Rows::new(labels, probabilities, Domain::Probabilities, weights)?;
    same_length("the times", times.len(), "labels", labels.len())?;
    if let Some(row) = times.iter().position(|time| time.is_infinite()) {
        let what = "the times".into();
        return Err(Error::NonFinite { what, row, column: None, value: times[row] });
    }
    // Adding 0.0 turns −0.0 into 0.0.
    let number = |row: usize| (times[row] / period).floor() + 0.0;
    let mut present: Vec<f64> = (0..times.len()).map(number).collect();
    if present.iter().any(|number| number.is_infinite()) {
        return Err(Error::invalid(
            "period",
            period,
            "long enough to count periods up to each time",
        ));
    }
    present.sort_unstable_by(f64::total_cmp);
    present.dedup_by(|a, b| a.total_cmp(b).is_eq() || *a == *b);
    // A NaN sorts first or last, by its sign; either way it goes to the end.
    let missing = present.iter().any(|number| number.is_nan());
    present.retain(|number| !number.is_nan());
    let mut names: Vec<(String, Option<f64>)> = present
        .iter()
        .map(|number| number * period)
        .map(|start| (start.to_string(), Some(start)))
        .collect();
    if missing {
        names.push(("missing".into(), None));
    }
    let place = |row: usize| {
        let number = number(row);
        // NaN is below nothing, so it lands behind the last period.
        present.partition_point(|&other| number.is_nan() || other < number)
    };
    Ok(slices_of(&rows, place, &names))
}

fn slices_of(
    rows: &Rows<'_>,
    place: impl Fn(usize) -> usize,
    names: &[(String, Option<f64>)],
) -> Vec<Slice> {
    // A stable counting sort: the rows of each slice, one slice after the other.
    let places: Vec<usize> = (0..rows.len()).map(place).collect();
    let mut ends = vec![0; names.len() + 1];
    places.iter().for_each(|&place| ends[place + 1] += 1);
    for place in 0..names.len() {
        ends[place + 1] += ends[place];
    }
    let (mut members, mut next) = (vec![0; rows.len()], ends.clone());
    for (row, &place) in places.iter().enumerate() {
        members[next[place]] = row;
        next[place] += 1;
    }
    let slices = parallel::map(names.len(), 1, |place, _| {
        let (name, start) = names[place].clone();
        Slice::of(rows, &members[ends[place]..ends[place + 1]], name, start)
    });
    slices.into_iter().flatten().collect()
}

impl Slice {
    /// `None` if no row has weight.
    fn of(rows: &Rows<'_>, members: &[usize], name: String, start: Option<f64>) -> Option<Self> {
        let labels: Vec<bool> = members.iter().map(|&row| rows.row(row).0).collect();
        let values: Vec<f64> = members.iter().map(|&row| rows.row(row).1).collect();
        let weights: Vec<f64> = members.iter().map(|&row| rows.row(row).2 * rows.unit()).collect();
        // Of all errors only weights of 0 everywhere are left.
        let rows = Rows::new(&labels, &values, Domain::Probabilities, Some(&weights)).ok()?;
        let ranked = Ranked::of(&rows);
        let mut missing = Vec::new();
        let mut keep = |metric: &'static str, needs: Result<()>, of: &dyn Fn() -> f64| match needs {
            Ok(()) => Some(of()),
            Err(error) => {
                missing.push(Missing { metric, reason: error.to_string() });
                None
            }
        };
        let both = || ranked.need_both_classes("it");
        let positives = || ranked.need_positives("it");
        let log_loss = log_loss_of(&ranked);
        let [_, positive_rows] = ranked.counts();
        let squares = || ranked.sorted().iter().map(|row| row.1.max(0.0).powi(2)).sum::<f64>();
        Some(Self {
            name,
            start,
            rows: ranked.rows(),
            positives: positive_rows,
            weight: ranked.weight(),
            base_rate: ranked.base_rate(),
            mean_predicted: ranked.mean(|_, p| p),
            brier: brier_score_of(&ranked),
            log_loss,
            normalised_entropy: keep("normalised_entropy", both(), &|| {
                log_loss / base_rate_entropy_of(&ranked)
            }),
            predicted_over_observed: keep("predicted_over_observed", positives(), &|| {
                predicted_over_observed_of(&ranked)
            }),
            observed_relative_error: keep("observed_relative_error", positives(), &|| {
                squares().sqrt() / ranked.positive()
            }),
            roc_auc: keep("roc_auc", both(), &|| auc_of(&ranked)),
            average_precision: keep("average_precision", positives(), &|| {
                average_precision_of(&ranked)
            }),
            missing,
        })
    }
}
