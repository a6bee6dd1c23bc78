//! Histogram binning.

use super::fitted::is_probability;
use super::isotonic::{Shrinkage, ensure_ascending, middle};
use super::report::Solution;
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator,
    TrainingContext,
};
use crate::core::{Error, Meter, Result, saved_as_part, stored};
use crate::metrics::{ScoreGroup, score_groups};
use crate::numerics::bucket_index::BucketIndex;
use crate::numerics::logit;

/// Histogram binning: the share of positives among the calibration rows in the score's bin, drawn towards that
/// of all rows as in [`IsotonicRegression`](super::IsotonicRegression), so that no bin promises 0 or 1.
///
/// Bins are of equal weight ([`quantiles`](Self::quantiles)) or of equal width in the probability
/// ([`equal_width`](Self::equal_width)). Rows of equal score share a bin. Σp = Σy on its own rows.
/// **The map may fall** from one bin to the next, and loses the order within a bin; it is the simplest
/// map to explain, and a poor one to rank by.
///
/// - **Equal weight**: a score goes to bin ⌊bins (C + w/2)/W⌋, with C the weight below it, w its own and
///   W all (as in [`quantile_bins`](crate::metrics::quantile_bins)). Bins that ties leave empty do not
///   exist; edges lie midway between the scores of neighbouring bins, on the logit.
/// - **Equal width**: bin ⌊bins σ(z)⌋; a bin without rows gets its own middle as probability. With rare
///   positives almost all rows fall into the first bin: prefer equal weight.
///
/// It learns from representative rows ([`CalibrationSet::representative`]). Scores may be ±∞. Weights count as
/// numbers of rows.
///
/// Source: B. Zadrozny and C. Elkan, *Obtaining calibrated probability estimates from decision trees and
/// naive Bayesian classifiers*, ICML 2001.
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, HistogramBinning};
///
/// let set = CalibrationSet::from_logits(&[1.0, 2.0, 3.0, 4.0], &[false, true, true, true])?;
/// let map = HistogramBinning::quantiles(2)?.learn(&set)?;
/// // Shares of ½ and 1, drawn to ¾ by s = 1/(1 + 3 · 1/4) = 4/7.
/// let expected = [9.0 / 14.0, 9.0 / 14.0, 6.0 / 7.0, 6.0 / 7.0];
/// for (z, p) in [0.0, 2.4, 2.6, 9.0].into_iter().zip(expected) {
///     assert!((map.probability(z) - p).abs() < 1e-15);
/// }
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistogramBinning {
    bins: usize,
    equal_width: bool,
}

const NAME: &str = "HistogramBinning";

/// More bins than this are a mistake.
const MAX_BINS: usize = 1 << 20;

impl HistogramBinning {
    /// At most that many bins of equal weight.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `bins` is from 1 to 2²⁰.
    pub fn quantiles(bins: usize) -> Result<Self> {
        Self::new(bins, false)
    }

    /// That many bins of equal width in the probability.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `bins` is from 1 to 2²⁰.
    pub fn equal_width(bins: usize) -> Result<Self> {
        Self::new(bins, true)
    }

    fn new(bins: usize, equal_width: bool) -> Result<Self> {
        if (1..=MAX_BINS).contains(&bins) {
            Ok(Self { bins, equal_width })
        } else {
            Err(Error::invalid("bins", bins, "from 1 to 1048576"))
        }
    }
}

impl Calibrator for HistogramBinning {
    type Map = HistogramMap;

    fn needs_rows(&self) -> bool {
        true
    }

    /// # Errors
    /// As for [`CalibrationSet::representative`].
    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        let rows = CalibrationSet::representative(rows, NAME)?;
        // In the unit of the weights no sum or product of theirs overflows.
        let (ties, unit) = score_groups(rows.sample())?;
        let shrinkage = Shrinkage::of(&ties, unit);
        let meter = rows.meter("histogram", 1);
        let map = if self.equal_width {
            HistogramMap::equal_width(&ties, self.bins, &shrinkage)
        } else {
            HistogramMap::quantiles(&ties, self.bins, &shrinkage, &meter)
        };
        meter.finish()?;
        let probability = |z| map.probability(z);
        let report =
            CalibrationReport::of_probabilities(NAME, rows, Solution::default(), probability)?;
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

/// The map of a [`HistogramBinning`].
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramMap {
    edges: BucketIndex,
    values: Vec<f64>,
}

/// The share of positives, drawn towards that of all rows; None without rows.
fn share(ties: &[ScoreGroup], shrinkage: &Shrinkage) -> Option<f64> {
    let positive: f64 = ties.iter().map(|tie| tie.positive).sum();
    let weight: f64 = ties.iter().map(ScoreGroup::weight).sum();
    (weight > 0.0).then(|| shrinkage.of_share((positive / weight).min(1.0)))
}

impl HistogramMap {
    /// The map that gives the logits from each of the ascending `edges` on, and those below the first, one of `values`.
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, HistogramMap};
    ///
    /// let calibration = Calibration::new(HistogramMap::new(vec![0.0], vec![0.1, 0.3])?);
    /// assert_eq!((calibration.probability(-1.0), calibration.probability(0.0)), (0.1, 0.3));
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless edges, which may be infinite, ascend, and there is one probability more than edges.
    pub fn new(edges: Vec<f64>, values: Vec<f64>) -> Result<Self> {
        ensure_ascending("edges", &edges, f64::NEG_INFINITY, f64::INFINITY)?;
        if values.len() != edges.len() + 1 {
            let expected = format!("{}, one more than edges", edges.len() + 1);
            return Err(Error::invalid("values", values.len(), expected));
        }
        if let Some(value) = values.iter().find(|value| !is_probability(**value)) {
            return Err(Error::invalid("values", value, "from 0 to 1"));
        }
        Ok(Self { edges: BucketIndex::new(edges), values })
    }

    /// The logits at which a new bin begins; one fewer than bins. A bin holds its lower edge.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        self.edges.edges()
    }

    /// The probability of each bin, in ascending order of the scores.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    fn quantiles(
        ties: &[ScoreGroup],
        bins: usize,
        shrinkage: &Shrinkage,
        meter: &Meter<'_>,
    ) -> Self {
        let total: f64 = ties.iter().map(ScoreGroup::weight).sum();
        let mut below = 0.0;
        let placed: Vec<usize> = meter
            .parts(ties)
            .flatten()
            .map(|tie| {
                let centre = below + 0.5 * tie.weight();
                below += tie.weight();
                ((centre * bins as f64 / total) as usize).min(bins - 1)
            })
            .collect();
        let (mut edges, mut values, mut start) = (Vec::new(), Vec::new(), 0);
        for bin in placed.chunk_by(|a, b| a == b) {
            if start > 0 {
                edges.push(middle(ties[start - 1].score, ties[start].score));
            }
            values.extend(share(&ties[start..start + bin.len()], shrinkage));
            start += bin.len();
        }
        Self { edges: BucketIndex::new(edges), values }
    }

    fn equal_width(ties: &[ScoreGroup], bins: usize, shrinkage: &Shrinkage) -> Self {
        let edges: Vec<f64> = (1..bins).map(|k| logit(k as f64 / bins as f64)).collect();
        let mut rest = ties;
        let values = (0..bins)
            .map(|bin| {
                let inside = edges
                    .get(bin)
                    .map_or(rest.len(), |&edge| rest.partition_point(|tie| tie.score < edge));
                let (own, above) = rest.split_at(inside);
                rest = above;
                share(own, shrinkage).unwrap_or((bin as f64 + 0.5) / bins as f64)
            })
            .collect();
        Self { edges: BucketIndex::new(edges), values }
    }
}

impl CalibrationMap for HistogramMap {
    fn logit(&self, z: f64) -> f64 {
        logit(self.probability(z))
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        if z.is_nan() { f64::NAN } else { self.values[self.edges.up_to(z)] }
    }

    fn describe(&self) -> String {
        format!("histogram binning: {} bins", self.values.len())
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some(self.clone().into())
    }

    saved_as_part!();
}

stored!(HistogramBinning as "histogram_binning", |binning| {
    bins: usize = binning.bins,
    equal_width: bool = binning.equal_width,
} => Self::new(bins, equal_width));

stored!(HistogramMap as "histogram", |map| {
    edges: Vec<Number> = map.edges().iter().copied().map(Number).collect::<Vec<_>>(),
    values: Vec<f64> = map.values,
} => Self::new(edges.into_iter().map(|edge| edge.0).collect(), values));
