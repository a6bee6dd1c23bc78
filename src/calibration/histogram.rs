//! Histogram binning.

use super::isotonic::middle;
use super::report::Solution;
use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::metrics::{Tie, ties};
use crate::numerics::bucket_index::Lookup;
use crate::numerics::logit;
use crate::{Error, Result};

/// Histogram binning: the share of positives among the calibration rows in the score's bin.
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
/// It learns, from a fair sample ([`Scored::need_fair_rows`]). Scores may be ±∞.
///
/// Source: Zadrozny & Elkan 2001.
///
/// ```
/// use imbalance::calibration::{Calibrate, Calibrator, HistogramBinning, Scored};
///
/// let scored = Scored::from_logits(&[1.0, 2.0, 3.0, 4.0], &[false, true, true, true])?;
/// let map = HistogramBinning::quantiles(2)?.fit(&scored)?;
/// assert_eq!([0.0, 2.4, 2.6, 9.0].map(|z| map.probability(z)), [0.5, 0.5, 1.0, 1.0]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistogramBinning {
    bins: usize,
    equal_width: bool,
}

/// More bins than this are a mistake.
const MOST_BINS: usize = 1 << 20;

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
        if (1..=MOST_BINS).contains(&bins) {
            Ok(Self { bins, equal_width })
        } else {
            Err(Error::invalid("bins", bins, "from 1 to 1048576"))
        }
    }
}

impl Calibrator for HistogramBinning {
    type Fitted = FittedHistogramBinning;

    fn learns(&self) -> bool {
        true
    }

    /// # Errors
    /// As for [`Scored::need_fair_rows`].
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        held_out.need_fair_rows("HistogramBinning")?;
        // In the unit of the weights no sum or product of theirs overflows.
        let (ties, _) = ties(held_out.labels(), held_out.logits(), held_out.weights())?;
        let map = if self.equal_width {
            Histogram::equal_width(&ties, self.bins)
        } else {
            Histogram::quantiles(&ties, self.bins)
        };
        let at = |z| map.at(z);
        let report = CalibrationReport::of_probabilities(
            "HistogramBinning",
            held_out,
            Solution::default(),
            at,
        );
        Ok(FittedHistogramBinning { map, report })
    }
}

/// A fitted [`HistogramBinning`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedHistogramBinning {
    map: Histogram,
    report: CalibrationReport,
}

impl FittedHistogramBinning {
    /// The logits at which a new bin begins; one fewer than bins. A bin holds its lower edge.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        self.map.edges.edges()
    }

    /// The probability of each bin, in ascending order of the scores.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.map.values
    }
}

impl Calibrate for FittedHistogramBinning {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        self.map.at(logit)
    }

    fn report(&self) -> Option<&CalibrationReport> {
        Some(&self.report)
    }

    fn describe(&self) -> String {
        format!("histogram binning: {} bins", self.map.values.len())
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Histogram {
    edges: Lookup,
    values: Vec<f64>,
}

/// The share of positives; none without rows.
fn share(ties: &[Tie]) -> Option<f64> {
    let positive: f64 = ties.iter().map(|tie| tie.positive).sum();
    let weight: f64 = ties.iter().map(Tie::weight).sum();
    (weight > 0.0).then(|| (positive / weight).min(1.0))
}

impl Histogram {
    fn quantiles(ties: &[Tie], bins: usize) -> Self {
        let total: f64 = ties.iter().map(Tie::weight).sum();
        let mut below = 0.0;
        let placed: Vec<usize> = ties
            .iter()
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
            values.extend(share(&ties[start..start + bin.len()]));
            start += bin.len();
        }
        Self { edges: Lookup::new(edges), values }
    }

    fn equal_width(ties: &[Tie], bins: usize) -> Self {
        let edges: Vec<f64> = (1..bins).map(|k| logit(k as f64 / bins as f64)).collect();
        let mut rest = ties;
        let values = (0..bins)
            .map(|bin| {
                let inside = edges
                    .get(bin)
                    .map_or(rest.len(), |&edge| rest.partition_point(|tie| tie.score < edge));
                let (own, above) = rest.split_at(inside);
                rest = above;
                share(own).unwrap_or((bin as f64 + 0.5) / bins as f64)
            })
            .collect();
        Self { edges: Lookup::new(edges), values }
    }

    #[inline]
    fn at(&self, z: f64) -> f64 {
        if z.is_nan() { f64::NAN } else { self.values[self.edges.up_to(z)] }
    }
}
