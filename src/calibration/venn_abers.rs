//! Venn–Abers prediction.

use super::isotonic::ensure_ascending;
use super::report::Solution;
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator,
    TrainingContext,
};
use crate::core::{Error, Meter, Result, saved_as_part, stored};
use crate::metrics::{ScoreGroup, score_groups};
use crate::numerics::bucket_index::BucketIndex;
use crate::numerics::logit;

/// Inductive Venn–Abers prediction: two isotonic fits per score, one with the score added as a
/// negative, one as a positive. They give the interval \[p₀, p₁\], one end of which is calibrated whatever
/// the scores' distribution (if rows are exchangeable), and
/// p = p₁/(1 − p₀ + p₁), the minimax probability under log loss over \[p₀, p₁\].
///
/// The interval is wide where there are few calibration rows; p is never 0 or 1 beside rows of the
/// other class, which plain isotonic regression is. The fits are not repeated: both ends change only at
/// the scores of calibration rows, and all their values come from two walks along a convex
/// hull, O(n log n) with the sort; a prediction is two binary searches. p₀, p₁ and p never fall.
/// Σp is close to Σy, not equal. The added row has weight 1, so weights count as numbers of rows.
///
/// It learns from representative rows ([`CalibrationSet::representative`]). Scores may be ±∞.
///
/// Source: V. Vovk, I. Petej and V. Fedorova, *Large-scale probabilistic predictors with and without
/// guarantees of validity*, NIPS 2015, algorithms 1 to 4.
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, VennAbers};
///
/// let set = CalibrationSet::from_logits(&[1.0, 2.0, 3.0, 4.0], &[false, true, false, true])?;
/// let map = VennAbers.learn(&set)?;
/// // Added at 2.5 as a negative, it pools with 2 and 3: 1 in 3. As a positive: 2 in 3.
/// let (p0, p1) = map.interval(2.5);
/// assert!((p0 - 1.0 / 3.0).abs() < 1e-15 && (p1 - 2.0 / 3.0).abs() < 1e-15);
/// assert_eq!(map.probability(2.5), p1 / (1.0 - p0 + p1));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VennAbers;

const NAME: &str = "VennAbers";

impl Calibrator for VennAbers {
    type Map = VennAbersMap;

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
        let (ties, unit) = score_groups(rows.sample())?;
        let meter = rows.meter("Venn–Abers", 6);
        let map = VennAbersMap::of(&ties, 1.0 / unit, &meter);
        meter.finish()?;
        let probability = |z| map.probability(z);
        let report =
            CalibrationReport::of_probabilities(NAME, rows, Solution::default(), probability)?;
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

/// The map of [`VennAbers`]: p₀ and p₁ as functions of the score.
#[derive(Debug, Clone, PartialEq)]
pub struct VennAbersMap {
    p0: Levels,
    p1: Levels,
}

/// The values of a step function, with the numbers at which it steps.
#[derive(Debug, Clone, PartialEq)]
struct Levels {
    /// One fewer than values.
    edges: BucketIndex,
    values: Vec<f64>,
}

/// A step function that rises, in the making.
struct Steps {
    /// Where the next value begins; one fewer than values.
    edges: Vec<f64>,
    values: Vec<f64>,
}

#[cfg(feature = "serde")]
impl Levels {
    fn stored(&self) -> (Vec<crate::saved::number::Number>, &[f64]) {
        let edges = self.edges.edges().iter().copied().map(crate::saved::number::Number);
        (edges.collect(), &self.values)
    }
}

impl VennAbersMap {
    /// The map of two step functions of the logit, p₀ and p₁, each given by its ascending edges and its values, one
    /// more than edges. A logit at an edge of p₀ has the value above it, at an edge of p₁ the value below it.
    ///
    /// ```
    /// use imbalance::calibration::VennAbersMap;
    ///
    /// let map = VennAbersMap::new((vec![0.0], vec![0.0, 0.2]), (vec![0.0], vec![0.3, 1.0]))?;
    /// assert_eq!(map.interval(0.0), (0.2, 0.3));
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless edges and values ascend, values are
    /// probabilities, p₀ ≤ p₁ everywhere, and nowhere are p₀ = 1 and p₁ = 0.
    pub fn new(p0: (Vec<f64>, Vec<f64>), p1: (Vec<f64>, Vec<f64>)) -> Result<Self> {
        let levels = |argument, (edges, values): (Vec<f64>, Vec<f64>)| {
            ensure_ascending(argument, &edges, f64::NEG_INFINITY, f64::INFINITY)?;
            ensure_ascending(argument, &values, 0.0, 1.0)?;
            if values.len() != edges.len() + 1 {
                let found = format!("{} edges and {} values", edges.len(), values.len());
                return Err(Error::invalid(argument, found, "one value more than edges"));
            }
            Ok(Levels { edges: BucketIndex::new(edges), values })
        };
        let map = Self { p0: levels("p0", p0)?, p1: levels("p1", p1)? };
        // Both functions are constant between these logits.
        let edges = map.p0.edges.edges().iter().chain(map.p1.edges.edges());
        let beside = edges.flat_map(|edge| [*edge, edge.next_up(), edge.next_down()]);
        for logit in beside.chain([f64::NEG_INFINITY, f64::INFINITY]) {
            let (low, high) = map.interval(logit);
            if low > high {
                let found = format!("{low} at the logit {logit}");
                return Err(Error::invalid("p0", found, format!("at most p1, which is {high}")));
            }
        }
        Ok(map)
    }

    /// p₀ ≤ p₁: the probabilities if a score that is a logit is added as a negative and as a positive. NaN for
    /// NaN.
    #[must_use]
    pub fn interval(&self, logit: f64) -> (f64, f64) {
        if logit.is_nan() {
            return (f64::NAN, f64::NAN);
        }
        let (p0, p1) = (&self.p0, &self.p1);
        // An edge of p₀ belongs to the value above it, one of p₁ to the value below.
        let below = p0.edges.up_to(logit);
        let above = p1.edges.below(logit);
        (p0.values[below], p1.values[above])
    }

    /// p₀ ≤ p₁ for a score that is a probability; NaN outside \[0, 1\]. A probability that occurs among the
    /// calibration rows meets its own step: a logit computed by other means may be off by a rounding, and
    /// fall on the other side of it.
    #[must_use]
    pub fn interval_of(&self, probability: f64) -> (f64, f64) {
        self.interval(logit(probability))
    }

    /// From rows whose weights are in a unit, in which an added row weighs `one`.
    fn of(ties: &[ScoreGroup], one: f64, meter: &Meter<'_>) -> Self {
        // An added positive pools with the next score above, an added negative with the next below:
        // so the values at the scores tell those between them.
        let upward = meter.parts(ties).flatten().map(|tie| [tie.negative, tie.positive]);
        let mut p1 = Steps { edges: Vec::new(), values: Vec::new() };
        for ([negative, positive], tie) in added_at_each(upward, one, meter).into_iter().zip(ties) {
            p1.push_until(tie.score, positive / (negative + positive));
        }
        p1.values.push(1.0);

        // Seen from above with the classes exchanged, an added negative is an added positive.
        let downward = meter.parts_from_the_end(ties).flat_map(|part| part.iter().rev());
        let downward = downward.map(|tie| [tie.positive, tie.negative]);
        let mut p0 = Steps { edges: Vec::new(), values: vec![0.0] };
        let found = added_at_each(downward, one, meter);
        for ([positive, negative], tie) in found.into_iter().rev().zip(ties) {
            p0.push_from(tie.score, positive / (negative + positive));
        }
        Self { p0: p0.into_levels(), p1: p1.into_levels() }
    }
}

impl CalibrationMap for VennAbersMap {
    fn logit(&self, z: f64) -> f64 {
        logit(self.probability(z))
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        let (p0, p1) = self.interval(z);
        p1 / (1.0 - p0 + p1)
    }

    fn describe(&self) -> String {
        format!("Venn–Abers: {} and {} values", self.p0.values.len(), self.p1.values.len())
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some(self.clone().into())
    }

    saved_as_part!();
}

impl Steps {
    fn into_levels(self) -> Levels {
        Levels { edges: BucketIndex::new(self.edges), values: self.values }
    }

    /// The value from `edge` on.
    fn push_from(&mut self, edge: f64, value: f64) {
        if self.values.last() != Some(&value) {
            self.edges.push(edge);
            self.values.push(value);
        }
    }

    /// The value up to and with `edge`.
    fn push_until(&mut self, edge: f64, value: f64) {
        if self.values.last() == Some(&value) {
            if let Some(last) = self.edges.last_mut() {
                *last = edge;
            }
        } else {
            self.edges.push(edge);
            self.values.push(value);
        }
    }
}

/// For each of the groups, given as \[negative, positive\] weights in ascending order of score: the
/// weights of the block that holds a positive of weight `one` added to it, in the isotonic fit with that
/// positive. (Or a part of the block, in the same proportion.)
///
/// The fit's blocks are the edges of the greatest convex minorant of the cumulative weights. The added
/// row is a piece (0, `one`) of that path, first before group 1, then behind it, and so on: points behind
/// it stay, points before it are lower by that piece. Each move lowers one point, so a stack holds the
/// hull, and every point enters and leaves it once.
///
/// A part of the groups only, of no use, if the observer stops the work.
fn added_at_each(
    groups: impl Iterator<Item = [f64; 2]>,
    one: f64,
    meter: &Meter<'_>,
) -> Vec<[f64; 2]> {
    let mut points = Vec::new();
    let mut at = [0.0; 2];
    points.push(at);
    for [negative, positive] in groups {
        at = [at[0] + negative, at[1] + positive];
        points.push(at);
    }
    let lowered = |[negative, positive]: [f64; 2]| [negative, positive - one];
    // The minorant from the right, its leftmost corner on top.
    let mut hull: Vec<[f64; 2]> = Vec::new();
    for &point in meter.parts_from_the_end(&points).flat_map(|part| part.iter().rev()) {
        push_corner(&mut hull, point);
    }
    push_corner(&mut hull, lowered(points[0]));

    let mut found = Vec::with_capacity(points.len() - 1);
    for &point in meter.parts(&points[1..]).flatten() {
        let (left, right) = (hull[hull.len() - 1], hull[hull.len() - 2]);
        found.push(difference(right, left));
        let next = lowered(point);
        // Below the edge that holds the added row, it is the edge's new left end.
        if cross(difference(right, left), difference(next, left)) < 0.0 {
            hull.pop();
            push_corner(&mut hull, next);
        }
    }
    found
}

/// Puts a corner on the left end of a hull, dropping those it makes superfluous.
fn push_corner(hull: &mut Vec<[f64; 2]>, corner: [f64; 2]) {
    while let [.., next, top] = hull[..] {
        if cross(difference(top, corner), difference(next, corner)) > 0.0 {
            break;
        }
        hull.pop();
    }
    hull.push(corner);
}

fn difference(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] - b[0], a[1] - b[1]]
}

/// Positive where `b` is steeper than `a`.
fn cross(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

stored!(VennAbers as "venn_abers_calibration", |_| {} => Ok(Self));

stored!(VennAbersMap as "venn_abers", |map| {
    p0: (Vec<Number>, Vec<f64>) = map.p0.stored(),
    p1: (Vec<Number>, Vec<f64>) = map.p1.stored(),
} => {
    let edges = |edges: Vec<Number>| edges.into_iter().map(|edge| edge.0).collect();
    Self::new((edges(p0.0), p0.1), (edges(p1.0), p1.1))
});
