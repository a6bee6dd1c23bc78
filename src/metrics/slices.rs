//! The metrics of each value of an attribute and of each period of time, which show drift.

use super::calibration::CalibrationLine;
use super::interval::{Interval, ensure_level};
use super::period::Period;
use super::ranked::RankedScores;
use super::rows::WeightedRows;
use super::scorecard::Scorecard;
use super::sorted_rows::SortedRows;
use crate::core::{Categories, Error, Result, same_length};
use crate::exec::parallel;

/// A metric that a [`Slice`] does not have, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Missing {
    /// The name of the field of [`Slice`] that is `None`.
    pub metric: String,
    /// Why it cannot be computed.
    pub reason: String,
}

/// The metrics of some of the rows.
///
/// A metric that the rows of the slice do not determine is `None`, with the reason in
/// [`missing`](Self::missing).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    /// Lower end of the interval of the base rate, as in a
    /// [`ReliabilityCurve`](super::ReliabilityCurve) of one bin.
    pub observed_lower: f64,
    /// Upper end of it.
    pub observed_upper: f64,
    /// The level of the intervals.
    pub level: f64,
    /// The weighted mean of the probabilities.
    pub mean_predicted: f64,
    /// How likely the number of positives is to be at least this far from the prediction of a calibrated
    /// model: small where the model drifts, also where positives were predicted and none came.
    ///
    /// Two-sided, from a Poisson number scaled to the mean Σwp and the variance Σw²p(1 − p) of the
    /// weight of the positives: twice its smaller tail, at most 1. For rare positives of equal weight
    /// that is exact. Rows must be independent.
    pub p_value: f64,
    /// See [`predicted_over_observed`](super::predicted_over_observed).
    pub predicted_over_observed: Option<f64>,
    /// See [`brier_score`](super::brier_score).
    pub brier: f64,
    /// See [`log_loss`](super::log_loss); +∞ for a certain miss.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub log_loss: f64,
    /// See [`normalised_entropy`](super::normalised_entropy), against the slice's own base rate; `None`
    /// also where it is +∞.
    pub normalised_entropy: Option<f64>,
    /// See [`ece`](super::ece), with [`Scorecard::BINS`](super::Scorecard::BINS) bins.
    pub ece: f64,
    /// See [`calibration_line`](super::calibration_line).
    pub calibration: Option<CalibrationLine>,
    /// See [`roc_auc_interval`](super::roc_auc_interval).
    pub roc_auc: Option<Interval>,
    /// See [`average_precision`](super::average_precision).
    pub average_precision: Option<f64>,
    /// The metrics that are `None`, and why.
    pub missing: Vec<Missing>,
}

/// The metrics of the rows of each category, in the order of
/// [`levels`](crate::core::Categories::levels); categories without a row of positive weight are left
/// out.
///
/// Slices with too few positives have the metrics that can be computed. Intervals are at 95 %. One sort
/// serves all slices.
///
/// # Errors
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
/// assert_eq!((slices[0].name.as_str(), slices[0].average_precision), ("men", Some(1.0)));
/// assert_eq!((slices[1].name.as_str(), slices[1].average_precision), ("women", None));
/// assert!(slices[1].missing.iter().any(|missing| missing.metric == "average_precision"));
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn slices_by_category(
    categories: &Categories<'_>,
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
) -> Result<Vec<Slice>> {
    let rows = SortedRows::of_probabilities(labels, probabilities, weights)?;
    Partition::by_category(categories).slices(&rows, LEVEL)
}

/// The metrics of the rows of each period of time, in the order of time: a [`Period`], or a length in the unit of
/// the times.
///
/// Periods without a row of positive weight are left out.
/// Rows whose time is missing (NaN) make a last slice named `missing`. Slices with too few positives
/// have the metrics that can be computed.
///
/// # Errors
/// [`Error::InvalidArgument`] unless the period is positive and finite, [`Error::NonFinite`] for an
/// infinite time, [`Error::LengthMismatch`] if the times are not one per row, and the [errors common
/// to all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::{Period, slices_by_period};
///
/// let times = [10.0, 90_000.0, 86_399.0]; // seconds since 1970
/// let (labels, p) = ([true, true, false], [0.5, 0.1, 0.2]);
/// let days = slices_by_period(&times, Period::Day, &labels, &p, None)?;
/// assert_eq!((days.len(), days[0].rows, days[1].start), (2, 2, Some(86_400.0)));
/// assert_eq!(days[1].name, "1970-01-02");
/// let halves = slices_by_period(&times, 43_200.0, &labels, &p, None)?;
/// assert_eq!(halves[1].name, "43200");
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn slices_by_period(
    times: &[f64],
    period: impl Into<Period>,
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
) -> Result<Vec<Slice>> {
    let rows = SortedRows::of_probabilities(labels, probabilities, weights)?;
    Partition::by_period(times, period.into())?.slices(&rows, LEVEL)
}

/// The level of the intervals of the free functions.
const LEVEL: f64 = 0.95;

/// Which slice each row belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Partition {
    what: &'static str,
    /// The index of the slice of each row.
    places: Vec<u32>,
    /// Name and start of each slice.
    names: Vec<(String, Option<f64>)>,
}

impl Partition {
    pub(crate) fn by_category(categories: &Categories<'_>) -> Self {
        let names = categories.levels().iter().map(|level| (level.clone(), None)).collect();
        Self { what: "categories", places: categories.codes().to_vec(), names }
    }

    pub(crate) fn by_period(times: &[f64], period: Period) -> Result<Self> {
        let length = period.length();
        if !(length > 0.0 && length.is_finite()) {
            return Err(Error::invalid("period", length, "positive and finite"));
        }
        if let Some(row) = times.iter().position(|time| time.is_infinite()) {
            let what = "times".into();
            return Err(Error::NonFinite { what, row, column: None, value: times[row] });
        }
        let mut present: Vec<f64> = times.iter().map(|&time| period.number(time)).collect();
        if present.iter().any(|number| number.is_infinite()) {
            let expected = "long enough to count periods up to each time";
            return Err(Error::invalid("period", length, expected));
        }
        let missing = present.iter().any(|number| number.is_nan());
        present.retain(|number| !number.is_nan());
        // Rows mostly come in order of time: removing repeated periods first leaves few to sort.
        present.dedup();
        present.sort_unstable_by(f64::total_cmp);
        present.dedup();
        let mut names = period.names(&present);
        if missing {
            names.push(("missing".into(), None));
        }
        let place = |&time: &f64| {
            let number = period.number(time);
            // NaN is below nothing, so it lands behind the last period.
            present.partition_point(|&other| number.is_nan() || other < number) as u32
        };
        Ok(Self { what: "times", places: times.iter().map(place).collect(), names })
    }

    /// At most `most` slices: the most frequent categories and one slice of all others, or the latest
    /// periods and one slice of all earlier periods.
    pub(crate) fn at_most(mut self, most: usize) -> Self {
        let others = match self.names.len() {
            count if count <= most => return self,
            count => count - (most - 1),
        };
        let in_time = self.names[0].1.is_some();
        let mut rows = vec![0_usize; self.names.len()];
        self.places.iter().for_each(|&place| rows[place as usize] += 1);
        let mut rank: Vec<usize> = (0..self.names.len()).collect();
        if !in_time {
            // The smallest first; of equally large categories the later.
            rank.sort_by_key(|&place| (rows[place], std::cmp::Reverse(place)));
        }
        let mut merged = vec![false; self.names.len()];
        rank[..others].iter().for_each(|&place| merged[place] = true);

        let kept = (0..self.names.len()).filter(|&place| !merged[place]);
        let kept: Vec<usize> = kept.collect();
        // Earlier periods stand before the others, smaller categories behind them.
        let (first, rest) = if in_time { (1, 0) } else { (0, most as u32 - 1) };
        let mut place_of = vec![rest; self.names.len()];
        (first..).zip(&kept).for_each(|(place, &old)| place_of[old] = place);
        self.places.iter_mut().for_each(|place| *place = place_of[*place as usize]);
        let start = self.names[0].1;
        let mut names: Vec<_> =
            kept.iter().map(|&place| std::mem::take(&mut self.names[place])).collect();
        let name = format!("{others} {}", if in_time { "earlier" } else { "others" });
        names.insert(rest as usize, (name, start));
        Self { names, ..self }
    }

    /// The metrics of each slice; slices without weight are left out.
    pub(crate) fn slices(&self, rows: &SortedRows, level: f64) -> Result<Vec<Slice>> {
        ensure_level(level)?;
        same_length(self.what, self.places.len(), "labels", rows.len())?;
        let parts = rows.parts(self.names.len(), |row| self.places[row] as usize);
        let (unit, domain) = (rows.ranked().classes.unit, rows.ranked().domain);
        let slices = parallel::map(parts.len(), 1, |place, _| {
            let ranked = RankedScores::part(parts[place].clone(), unit, domain)?;
            let (name, start) = self.names[place].clone();
            Some(Slice::of(&ranked, name, start, level))
        });
        slices.into_iter().flatten().collect()
    }
}

impl Slice {
    fn of(ranked: &RankedScores, name: String, start: Option<f64>, level: f64) -> Result<Self> {
        let log_loss = ranked.log_loss()?;
        let entropy = ranked.classes.ensure_both("normalised entropy").and_then(|()| {
            let value = log_loss / ranked.classes.entropy();
            let what = "the normalised entropy".into();
            let remedy = "a row of probability 0 or 1 has the other label";
            if value.is_finite() {
                Ok(value)
            } else {
                Err(Error::Numerical { what, value, remedy })
            }
        });
        // One bin holds all rows.
        let whole = ranked.reliability_curve(1, level)?.points.swap_remove(0);
        let mut missing = Vec::new();
        Ok(Self {
            name,
            start,
            rows: ranked.rows(),
            positives: ranked.positives(),
            weight: ranked.weight(),
            base_rate: ranked.base_rate(),
            observed_lower: whole.observed_lower,
            observed_upper: whole.observed_upper,
            level,
            mean_predicted: ranked.mean_over_p(|_, p| p),
            p_value: ranked.mean_test().p_value,
            predicted_over_observed: ranked
                .predicted_over_observed()
                .or_missing("predicted_over_observed", &mut missing),
            brier: ranked.brier_score()?,
            log_loss,
            normalised_entropy: entropy.or_missing("normalised_entropy", &mut missing),
            ece: ranked.ece(Scorecard::BINS)?,
            calibration: ranked.calibration_line().or_missing("calibration", &mut missing),
            roc_auc: ranked.roc_auc_interval(level).or_missing("roc_auc", &mut missing),
            average_precision: ranked
                .average_precision()
                .or_missing("average_precision", &mut missing),
            missing,
        })
    }
}

/// The value, or an entry of [`Slice::missing`].
trait OrMissing<T> {
    fn or_missing(self, metric: &str, missing: &mut Vec<Missing>) -> Option<T>;
}

impl<T> OrMissing<T> for Result<T> {
    fn or_missing(self, metric: &str, missing: &mut Vec<Missing>) -> Option<T> {
        let reason = |error: Error| Missing { metric: metric.into(), reason: error.to_string() };
        self.map_err(|error| missing.push(reason(error))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_categories_are_merged() {
        // "a" once, "b" three times, "c" twice, "d" twice, "e" once.
        let categories = crate::Attribute::categories("abbbccdde".chars().map(String::from));
        let crate::Attribute::Categories(categories) = &categories else { unreachable!() };
        let all = Partition::by_category(categories);
        assert_eq!(all.clone().at_most(5).names, all.names);
        let capped = all.at_most(3);
        let names: Vec<&str> = capped.names.iter().map(|name| name.0.as_str()).collect();
        assert_eq!(names, ["b", "c", "3 others"]);
        assert_eq!(capped.places, [2, 0, 0, 0, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn the_earliest_periods_are_merged() {
        let capped =
            Partition::by_period(&[5.0, 1.0, f64::NAN, 3.0, 0.0, 4.0], 1.0.into()).unwrap();
        let capped = capped.at_most(4);
        let names: Vec<&str> = capped.names.iter().map(|name| name.0.as_str()).collect();
        assert_eq!(names, ["3 earlier", "4", "5", "missing"]);
        assert_eq!(capped.names[0].1, Some(0.0));
        assert_eq!(capped.places, [2, 0, 3, 0, 0, 1]);
    }
}
