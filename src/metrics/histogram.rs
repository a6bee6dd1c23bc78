//! Where the predictions of each class lie.

use super::ranked::RankedScores;
use super::rows::Sum;
use crate::core::{Error, Result};
use crate::numerics::{logit, sigmoid};

/// The scale on which an axis of probabilities is even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ProbabilityScale {
    /// Even in p.
    Linear,
    /// Even in ln(p / (1 − p)), which shows the rare end.
    Logit,
}

/// More intervals than a picture or a table needs; their sums fit into memory.
const MAX_BINS: usize = 1 << 20;

/// The weight of each class in intervals of the predicted probability; see
/// [`RankedScores::score_histogram`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ScoreHistogram {
    /// On which scale the intervals are even.
    pub scale: ProbabilityScale,
    /// Ends of the intervals, as probabilities: one more than there are intervals.
    pub edges: Vec<f64>,
    /// Weight of the positives in each interval.
    pub positives: Vec<f64>,
    /// Weight of the negatives in each interval.
    pub negatives: Vec<f64>,
}

impl RankedScores {
    /// The histogram of the predictions of each class, in `bins` intervals of equal width on the axis,
    /// from the smallest prediction to the largest.
    ///
    /// An interval holds its lower end, the last one also its upper end. On the logit axis the ends are
    /// those of the predictions strictly between 0 and 1; rows predicted at 0 and 1 belong to the first
    /// and the last interval. If all predictions are equal, they lie in the middle of an axis that
    /// reaches one logit to either side, or 5 % of the prediction.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `bins` is between 1 and 2²⁰, or if a score is no probability.
    ///
    /// ```
    /// use imbalance::metrics::{ProbabilityScale, RankedScores};
    ///
    /// let ranked = RankedScores::new(&[false, false, true], &[0.001, 0.002, 0.5], None)?;
    /// let histogram = ranked.score_histogram(4, ProbabilityScale::Logit)?;
    /// assert_eq!(histogram.negatives, [2.0, 0.0, 0.0, 0.0]);
    /// assert_eq!(histogram.positives, [0.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn score_histogram(&self, bins: usize, scale: ProbabilityScale) -> Result<ScoreHistogram> {
        if !(1..=MAX_BINS).contains(&bins) {
            return Err(Error::invalid("bins", bins, format!("between 1 and {MAX_BINS}")));
        }
        self.ensure_probabilities()?;
        let edges = self.edges(bins, scale);
        let mut sums = vec![[Sum::default(); 2]; bins];
        let mut bin = 0;
        for (p, weight) in self.probabilities() {
            while bin + 1 < bins && p >= edges[bin + 1] {
                bin += 1;
            }
            sums[bin][usize::from(weight > 0.0)].add(weight.abs());
        }
        let of =
            |class: usize| sums.iter().map(|sum| sum[class].value() * self.classes.unit).collect();
        Ok(ScoreHistogram { scale, positives: of(1), negatives: of(0), edges })
    }

    fn edges(&self, bins: usize, scale: ProbabilityScale) -> Vec<f64> {
        let inner = |p: f64| scale == ProbabilityScale::Linear || (0.0 < p && p < 1.0);
        let mut inside = self.probabilities().map(|row| row.0).filter(|&p| inner(p));
        // Only predictions of 0 and 1, on a logit axis: ½ separates them.
        let least = inside.next().unwrap_or(0.5);
        let most = inside.next_back().unwrap_or(least);
        let place = |p: f64| if scale == ProbabilityScale::Logit { logit(p) } else { p };
        let back =
            |x: f64| if scale == ProbabilityScale::Logit { sigmoid(x) } else { x.clamp(0.0, 1.0) };
        let (mut low, mut high) = (place(least), place(most));
        if low == high {
            let margin = if scale == ProbabilityScale::Logit { 1.0 } else { 0.05 * most.max(0.01) };
            (low, high) = (low - margin, high + margin);
        }
        let even = |k: usize| back(low + (high - low) * k as f64 / bins as f64);
        let mut edges: Vec<f64> = (0..=bins).map(even).collect();
        // The exact outer ends, without the rounding of the scale.
        if least < most {
            (edges[0], edges[bins]) = (least, most);
        }
        edges
    }
}
