//! Curves over all thresholds: ROC, precision–recall, gain and lift.

use super::ranked::RankedScores;
use super::rows::Sum;
use crate::core::{Error, Result};

/// One threshold of a [`RocCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RocPoint {
    /// Rows with score ≥ this are flagged; +∞ (`null` in JSON) in the first point.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub threshold: f64,
    /// Share of the negatives that are flagged.
    pub false_positive_rate: f64,
    /// Share of the positives that are flagged.
    pub true_positive_rate: f64,
}

/// The ROC curve: a point per distinct score, from (0, 0) at threshold +∞ to (1, 1).
///
/// Both rates are in \[0, 1\] and never fall along the curve. Rows of equal score are one point, so the
/// line between two points is the expectation over the orders of tied rows, and the area below it is
/// [`roc_auc`](super::roc_auc).
///
/// ```
/// use imbalance::metrics::RankedScores;
///
/// let curve = RankedScores::new(&[false, true, true], &[0.1, 0.8, 0.3], None)?.roc_curve()?;
/// assert_eq!(curve.points.len(), 4);
/// assert_eq!(curve.points[2].true_positive_rate, 1.0);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RocCurve {
    /// From the highest threshold to the lowest.
    pub points: Vec<RocPoint>,
}

/// One threshold of a [`PrecisionRecallCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PrecisionRecallPoint {
    /// Rows with score ≥ this are flagged.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub threshold: f64,
    /// Share of the positives that are flagged.
    pub recall: f64,
    /// Share of positives among the flagged rows.
    pub precision: f64,
}

/// The precision–recall curve: a point per distinct score, from the highest score to recall 1.
///
/// Precision and recall are in \[0, 1\]. The last precision is the base rate. There is no point at
/// recall 0, where no precision is defined (scikit-learn adds one of precision 1). Between two points
/// precision does not follow the straight line: draw steps, whose area is
/// [`average_precision`](super::average_precision).
///
/// ```
/// use imbalance::metrics::RankedScores;
///
/// let curve = RankedScores::new(&[false, true, true], &[0.5, 0.8, 0.3], None)?.precision_recall_curve()?;
/// let precision: Vec<f64> = curve.points.iter().map(|point| point.precision).collect();
/// assert_eq!(precision, [1.0, 0.5, 2.0 / 3.0]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PrecisionRecallCurve {
    /// From the highest threshold to the lowest.
    pub points: Vec<PrecisionRecallPoint>,
    /// The weighted share of positives: the precision of random scores.
    pub base_rate: f64,
}

/// One threshold of a [`GainCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct GainPoint {
    /// Rows with score ≥ this are flagged.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub threshold: f64,
    /// Share of all rows that are flagged, in (0, 1\].
    pub share: f64,
    /// Share of the positives among them: the gain, equal to the recall, in \[0, 1\].
    pub gain: f64,
    /// gain / share, in \[0, 1 / base rate\].
    pub lift: f64,
}

/// Cumulative gain and lift: a point per distinct score, from the highest to all rows.
///
/// ```
/// use imbalance::metrics::RankedScores;
///
/// let curve = RankedScores::new(&[false, true, false, false], &[0.5, 0.8, 0.3, 0.1], None)?.gain_curve()?;
/// assert_eq!((curve.points[0].share, curve.points[0].gain, curve.points[0].lift), (0.25, 1.0, 4.0));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct GainCurve {
    /// From the highest threshold to the lowest.
    pub points: Vec<GainPoint>,
    /// The weighted share of positives: a perfect ranking has gain 1 from this share on.
    pub base_rate: f64,
}

impl RankedScores {
    /// The ROC curve.
    ///
    /// # Errors
    /// [`Error::OneClass`] if positives or negatives have no weight.
    pub fn roc_curve(&self) -> Result<RocCurve> {
        Ok(RocCurve { points: self.roc_points()?.collect() })
    }

    /// [`RocCurve::thinned`] of [`roc_curve`](Self::roc_curve), without the full curve in memory.
    pub(crate) fn thinned_roc_curve(&self, steps: usize) -> Result<RocCurve> {
        Ok(RocCurve { points: thin(self.roc_points()?, steps, RocPoint::place)? })
    }

    fn roc_points(&self) -> Result<impl Iterator<Item = RocPoint> + '_> {
        self.classes.ensure_both("the ROC curve")?;
        let origin = RocPoint {
            threshold: f64::INFINITY,
            false_positive_rate: 0.0,
            true_positive_rate: 0.0,
        };
        let points = self.flagged().map(|at| RocPoint {
            threshold: at.threshold,
            false_positive_rate: (at.negative / self.classes.negative()).min(1.0),
            true_positive_rate: (at.positive / self.classes.positive()).min(1.0),
        });
        Ok(std::iter::once(origin).chain(points))
    }

    /// The precision–recall curve.
    ///
    /// # Errors
    /// [`Error::OneClass`] if positives have no weight.
    pub fn precision_recall_curve(&self) -> Result<PrecisionRecallCurve> {
        let points = self.precision_recall_points()?.collect();
        Ok(PrecisionRecallCurve { points, base_rate: self.base_rate() })
    }

    /// [`PrecisionRecallCurve::thinned`] of the curve, without the full curve in memory.
    pub(crate) fn thinned_precision_recall_curve(
        &self,
        steps: usize,
    ) -> Result<PrecisionRecallCurve> {
        let points = thin(self.precision_recall_points()?, steps, PrecisionRecallPoint::place)?;
        Ok(PrecisionRecallCurve { points, base_rate: self.base_rate() })
    }

    fn precision_recall_points(&self) -> Result<impl Iterator<Item = PrecisionRecallPoint> + '_> {
        self.classes.ensure_positives("the precision-recall curve")?;
        Ok(self.flagged().map(|at| PrecisionRecallPoint {
            threshold: at.threshold,
            recall: (at.positive / self.classes.positive()).min(1.0),
            precision: (at.positive / (at.positive + at.negative)).min(1.0),
        }))
    }

    /// Cumulative gain and lift.
    ///
    /// # Errors
    /// [`Error::OneClass`] if positives have no weight.
    pub fn gain_curve(&self) -> Result<GainCurve> {
        Ok(GainCurve { points: self.gain_points()?.collect(), base_rate: self.base_rate() })
    }

    /// [`GainCurve::thinned`] of the curve, without the full curve in memory.
    pub(crate) fn thinned_gain_curve(&self, steps: usize) -> Result<GainCurve> {
        let points = thin(self.gain_points()?, steps, GainPoint::place)?;
        Ok(GainCurve { points, base_rate: self.base_rate() })
    }

    fn gain_points(&self) -> Result<impl Iterator<Item = GainPoint> + '_> {
        self.classes.ensure_positives("the gain curve")?;
        Ok(self.flagged().map(|at| {
            let share = ((at.positive + at.negative) / self.classes.total()).min(1.0);
            let gain = (at.positive / self.classes.positive()).min(1.0);
            // Not gain / share: the share of a row of almost no weight rounds to 0.
            let lift = at.positive / (at.positive + at.negative) / self.base_rate();
            GainPoint { threshold: at.threshold, share, gain, lift }
        }))
    }

    /// The weights flagged at each distinct score, from the highest down.
    pub(super) fn flagged(&self) -> impl Iterator<Item = Flagged> + '_ {
        let (mut positive, mut negative) = (Sum::default(), Sum::default());
        self.groups().rev().map(move |group| {
            positive.add(group.positive);
            negative.add(group.negative);
            Flagged {
                threshold: group.score,
                positive: positive.value(),
                negative: negative.value(),
            }
        })
    }
}

/// The weights of the rows at or above a threshold, in the unit of the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flagged {
    pub(super) threshold: f64,
    pub(super) positive: f64,
    pub(super) negative: f64,
}

impl RocCurve {
    /// A curve that looks the same in a picture: without the points closer to the last point kept than
    /// 1 / `steps` in both rates and 10 / `steps` in the logarithm of the false positive rate, so that it
    /// looks the same on a linear and on a logarithmic axis; the first and the last point stay.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `steps` is 0.
    pub fn thinned(&self, steps: usize) -> Result<Self> {
        Ok(Self { points: thin(self.points.iter().copied(), steps, RocPoint::place)? })
    }
}

impl PrecisionRecallCurve {
    /// A curve that looks the same in a picture: without the points closer to the last point kept than
    /// 1 / `steps` in recall and 10 / `steps` in the logarithm of precision, so that it looks the same on a
    /// linear and on a logit axis, however rare the positives; the first and the last point stay.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `steps` is 0.
    pub fn thinned(&self, steps: usize) -> Result<Self> {
        let points = thin(self.points.iter().copied(), steps, PrecisionRecallPoint::place)?;
        Ok(Self { points, ..*self })
    }
}

impl GainCurve {
    /// A curve that looks the same in a picture: without the points closer to the last point kept than
    /// 1 / `steps` in share and gain and 10 / `steps` in the logarithm of the share, so that it looks the
    /// same on a linear and on a logarithmic axis; the first and the last point stay.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `steps` is 0.
    pub fn thinned(&self, steps: usize) -> Result<Self> {
        Ok(Self { points: thin(self.points.iter().copied(), steps, GainPoint::place)?, ..*self })
    }
}

/// Coordinates of a point, in units of pictures.
impl RocPoint {
    fn place(&self) -> [f64; 3] {
        let rate = self.false_positive_rate;
        [rate, logarithmic(rate), self.true_positive_rate]
    }
}

impl PrecisionRecallPoint {
    fn place(&self) -> [f64; 2] {
        [self.recall, logarithmic(self.precision)]
    }
}

impl GainPoint {
    fn place(&self) -> [f64; 3] {
        [self.share, logarithmic(self.share), self.gain]
    }
}

/// Where a rate lies on a logarithmic axis on which ten decades are 2.3 long.
fn logarithmic(rate: f64) -> f64 {
    0.1 * rate.max(f64::MIN_POSITIVE).ln()
}

/// The first point, the last, and every point that is a step or more from the last point kept, in any of
/// its coordinates.
fn thin<P: Copy, const N: usize>(
    points: impl Iterator<Item = P>,
    steps: usize,
    place: impl Fn(&P) -> [f64; N],
) -> Result<Vec<P>> {
    if steps == 0 {
        return Err(Error::invalid("steps", steps, "at least 1; 1000 is fine for a picture"));
    }
    let step = 1.0 / steps as f64;
    let (mut kept, mut end): (Vec<P>, Option<P>) = (Vec::new(), None);
    for point in points {
        let far = kept.last().is_none_or(|last| {
            let moved = |(a, b): (f64, f64)| (a - b).abs() >= step;
            place(&point).into_iter().zip(place(last)).any(moved)
        });
        // The last point stays, however near.
        end = Some(point).filter(|_| !far);
        if far {
            kept.push(point);
        }
    }
    kept.extend(end);
    Ok(kept)
}
