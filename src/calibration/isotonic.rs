//! Isotonic regression.

use super::report::Solution;
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator,
    TrainingContext,
};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::metrics::{ScoreGroup, score_groups};
use crate::numerics::bucket_index::BucketIndex;
use crate::numerics::isotonic::{Pool, pool_adjacent_violators};
use crate::numerics::{logit, sigmoid};

/// Isotonic regression: of all maps that do not fall, the one that minimises Σ w (p − y)², which
/// maximises the likelihood as well. Pool-adjacent-violators, in O(n log n) for the sort.
///
/// Rows of **equal score** are pooled first, so the map is a function of the score, and the order of the rows
/// does not matter. Only scores whose **logits** are exactly equal count as equal, with no tolerance;
/// a few neighbouring probabilities, which differ by less than 10⁻¹⁵ of themselves, may share a logit.
/// Neighbouring scores whose shares of positives fall are then pooled into blocks until the shares rise.
///
/// A block gets its share r of positives, drawn towards the share ȳ of all rows by the weight of one row of
/// each class,
///
/// ```text
/// p = r + s (ȳ − r),   s = 1 / (1 + W₊W₋/(W₊ + W₋)),   W₊, W₋ the weights of the classes
/// ```
///
/// so that p is neither 0 nor 1: below the first positive it is about 1/W₋ where positives are rare. A later
/// positive there costs a finite log loss. Σp = Σy on its own rows; weights count as numbers of rows.
/// [`bounds`](Self::bounds) replaces the formula: `bounds(0.0, 1.0)` is isotonic regression as in other
/// programs, with p = r.
///
/// A score within a block gets the block's probability. Between two blocks the map is linear in the **logit**
/// unless [`interpolation`](Self::interpolation) says otherwise; beyond the ends it is constant. Next to a score
/// of ±∞ there is no line in the logit: logits between such a score and a finite one get the finite one's
/// probability.
///
/// It learns from representative rows ([`CalibrationSet::representative`]); with fewer than about a thousand
/// positives prefer a map with fewer degrees of freedom. Scores may be ±∞. Separable scores give one step,
/// reversed ones the constant base rate.
///
/// Sources: M. Ayer et al., *An empirical distribution function for sampling with incomplete information*,
/// Annals of Mathematical Statistics 26, 1955; B. Zadrozny and C. Elkan, *Transforming classifier scores into
/// accurate multiclass probability estimates*, KDD 2002.
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, IsotonicRegression};
///
/// let set = CalibrationSet::from_logits(&[1.0, 2.0, 3.0, 4.0], &[false, true, false, true])?;
/// let map = IsotonicRegression::new().learn(&set)?;
/// // 2 and 3 are in the wrong order, so they share a block. Two rows of each class make s = ½.
/// assert_eq!([1.0, 2.0, 2.7, 3.5, 9.0].map(|z| map.probability(z)), [0.25, 0.5, 0.5, 0.625, 0.75]);
/// let map = IsotonicRegression::new().bounds(0.0, 1.0)?.learn(&set)?;
/// assert_eq!([1.0, 2.0, 2.7, 3.5, 9.0].map(|z| map.probability(z)), [0.0, 0.5, 0.5, 0.75, 1.0]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct IsotonicRegression {
    interpolation: Interpolation,
    bounds: Option<[f64; 2]>,
}

/// The map of an [`IsotonicRegression`] between two blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Interpolation {
    /// Linear in the logit.
    #[default]
    LinearInLogit,
    /// Linear in the probability σ(z), as in other programs.
    LinearInProbability,
    /// Constant, with a step in the middle of the gap; from the middle on, the upper block counts.
    Steps,
}

const NAME: &str = "IsotonicRegression";

impl IsotonicRegression {
    /// Linear in the logit between blocks, never 0 or 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The map between two blocks. Default: linear in the logit.
    #[must_use]
    pub fn interpolation(self, interpolation: Interpolation) -> Self {
        Self { interpolation, ..self }
    }

    /// Probabilities from `lower` to `upper`: blocks get their share of positives, or the nearer bound if it lies
    /// outside, which is the solution of the bounded problem. Σp = Σy holds only if no bound is hit. With 0 or 1
    /// as a bound a later row may cost an infinite log loss. Default: no bounds, but the formula
    /// [above](Self).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ `lower` ≤ `upper` ≤ 1.
    pub fn bounds(self, lower: f64, upper: f64) -> Result<Self> {
        if 0.0 <= lower && lower <= upper && upper <= 1.0 {
            Ok(Self { bounds: Some([lower, upper]), ..self })
        } else {
            let expected = "two probabilities in ascending order";
            Err(Error::invalid("bounds", format!("({lower}, {upper})"), expected))
        }
    }
}

impl Calibrator for IsotonicRegression {
    type Map = IsotonicMap;

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
        let meter = rows.meter("isotonic regression", 1);
        let groups = meter.parts(&ties).flatten().map(|tie| [tie.positive, tie.negative]);
        let pools = pool_adjacent_violators(groups);
        meter.finish()?;
        let block = |pool: &Pool| Block {
            first: ties[pool.groups.start].score,
            last: ties[pool.groups.end - 1].score,
            mean: pool.rate(),
        };
        let blocks: Vec<Block> = pools.iter().map(block).collect();
        let shrinkage = Shrinkage::of(&ties, unit);
        let value = |block: &Block| match self.bounds {
            Some([lower, upper]) => block.mean.clamp(lower, upper),
            None => shrinkage.of_share(block.mean),
        };
        let map = IsotonicMap::through(&blocks, blocks.iter().map(value), self.interpolation);

        let [lower, upper] = self.bounds.unwrap_or([0.0, 1.0]);
        let mut solution = Solution::default();
        for (bound, at, hit) in [
            ("lower", lower, blocks.iter().any(|block| block.mean < lower)),
            ("upper", upper, blocks.iter().any(|block| block.mean > upper)),
        ] {
            if hit {
                solution.bounds.push(format!("{bound} = {at}"));
            }
        }
        let probability = |z| map.probability(z);
        let report = CalibrationReport::of_probabilities(NAME, rows, solution, probability)?;
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

/// Draws shares of positives towards that of all rows by the weight of one row of each class: so a share of few
/// rows is neither 0 nor 1, and the sum over all rows stays.
pub(super) struct Shrinkage {
    rate: f64,
    /// What a share and the rate are multiplied with.
    factors: [f64; 2],
}

impl Shrinkage {
    /// From rows of both classes with weights in `unit`.
    pub(super) fn of(ties: &[ScoreGroup], unit: f64) -> Self {
        let [positive, negative] = ties.iter().fold([0.0; 2], |[positive, negative], tie| {
            [positive + tie.positive, negative + tie.negative]
        });
        let rate = positive / (positive + negative);
        let rows = rate * negative * unit;
        let kept = if rows.is_finite() { rows / (1.0 + rows) } else { 1.0 };
        Self { rate, factors: [kept, 1.0 / (1.0 + rows)] }
    }

    pub(super) fn of_share(&self, share: f64) -> f64 {
        // A sum of products rises with the share, where a difference cancels.
        let [kept, drawn] = self.factors;
        (kept * share + drawn * self.rate).min(1.0)
    }
}

/// Neighbouring scores that share one probability.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: f64,
    last: f64,
    mean: f64,
}

/// The map of an [`IsotonicRegression`]: linear between corners, and constant beyond the first and the last.
#[derive(Debug, Clone, PartialEq)]
pub struct IsotonicMap {
    /// Ascending.
    x: BucketIndex,
    y: Vec<f64>,
    in_probability: bool,
    blocks: usize,
}

impl IsotonicMap {
    /// The map through corners (logit, probability).
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, Interpolation, IsotonicMap};
    ///
    /// let map = IsotonicMap::new([(-1.0, 0.1), (1.0, 0.3)], Interpolation::LinearInLogit)?;
    /// assert!((Calibration::new(map).probability(0.0) - 0.2).abs() < 1e-15);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is a corner and neither logits, which may be infinite, nor probabilities
    /// fall.
    pub fn new(
        corners: impl IntoIterator<Item = (f64, f64)>,
        interpolation: Interpolation,
    ) -> Result<Self> {
        let (x, y): (Vec<f64>, Vec<f64>) = corners.into_iter().unzip();
        let blocks = y.chunk_by(|a, b| a == b).count();
        Self::of(x, y, interpolation == Interpolation::LinearInProbability, blocks)
    }

    fn of(x: Vec<f64>, y: Vec<f64>, in_probability: bool, blocks: usize) -> Result<Self> {
        if x.is_empty() || x.len() != y.len() {
            let found = format!("{} logits and {} probabilities", x.len(), y.len());
            return Err(Error::invalid("corners", found, "one probability for each logit"));
        }
        ensure_ascending("logits", &x, f64::NEG_INFINITY, f64::INFINITY)?;
        ensure_ascending("probabilities", &y, 0.0, 1.0)?;
        if !(1..=x.len()).contains(&blocks) {
            return Err(Error::invalid("blocks", blocks, format!("from 1 to {}", x.len())));
        }
        Ok(Self { x: BucketIndex::new(x), y, in_probability, blocks })
    }

    /// Number of blocks, that is of distinct means.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The corners of the map, (logit, probability), in ascending order. The map is linear between them
    /// (with [`Interpolation::Steps`], two corners share each step's logit).
    pub fn corners(&self) -> impl ExactSizeIterator<Item = (f64, f64)> + '_ {
        self.x.edges().iter().copied().zip(self.y.iter().copied())
    }

    fn through(
        blocks: &[Block],
        values: impl Iterator<Item = f64>,
        interpolation: Interpolation,
    ) -> Self {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let mut corner = |at: f64, value: f64| {
            x.push(at);
            y.push(value);
        };
        for (i, (block, value)) in blocks.iter().zip(values).enumerate() {
            let neighbours = (i.checked_sub(1).map(|i| &blocks[i]), blocks.get(i + 1));
            let (first, last) = match (interpolation, neighbours) {
                (Interpolation::Steps, (below, above)) => (
                    below.map_or(block.first, |below| middle(below.last, block.first)),
                    above.map_or(block.last, |above| middle(block.last, above.first)),
                ),
                _ => (block.first, block.last),
            };
            corner(first, value);
            if last > first {
                corner(last, value);
            }
        }
        let in_probability = interpolation == Interpolation::LinearInProbability;
        Self { x: BucketIndex::new(x), y, in_probability, blocks: blocks.len() }
    }
}

impl CalibrationMap for IsotonicMap {
    fn logit(&self, z: f64) -> f64 {
        logit(self.probability(z))
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        if z.is_nan() {
            return f64::NAN;
        }
        let x = self.x.edges();
        let above = self.x.up_to(z);
        if above == 0 || above == x.len() {
            return self.y[above.max(1) - 1];
        }
        let (x0, x1) = (x[above - 1], x[above]);
        let (y0, y1) = (self.y[above - 1], self.y[above]);
        if y0 == y1 || z == x0 {
            return y0;
        }
        if self.in_probability {
            return between(y0, y1, share_of_probability(x0, z, x1));
        }
        match (x0.is_finite(), x1.is_finite()) {
            (true, true) => between(y0, y1, share(x0, z, x1)),
            (true, false) => y0,
            (false, true) => y1,
            (false, false) => 0.5 * (y0 + y1),
        }
    }

    fn describe(&self) -> String {
        format!("isotonic regression: {} blocks", self.blocks)
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some(self.clone().into())
    }

    saved_as_part!();
}

/// Checks that numbers lie between two others and do not fall.
pub(super) fn ensure_ascending(
    argument: &'static str,
    numbers: &[f64],
    least: f64,
    most: f64,
) -> Result<()> {
    if let Some(number) = numbers.iter().find(|number| !(least..=most).contains(*number)) {
        return Err(Error::invalid(argument, number, format!("from {least} to {most}")));
    }
    match numbers.windows(2).find(|pair| pair[0] > pair[1]) {
        None => Ok(()),
        Some(pair) => {
            let found = format!("{} then {}", pair[0], pair[1]);
            Err(Error::invalid(argument, found, "in ascending order"))
        }
    }
}

/// The share of the way from `x0` to `x1` at which `z` lies.
fn share(x0: f64, z: f64, x1: f64) -> f64 {
    // Halved, so that a span of 1e308 does not overflow.
    (0.5 * z - 0.5 * x0) / (0.5 * x1 - 0.5 * x0)
}

/// The share of the way on the scale of the probability.
fn share_of_probability(x0: f64, z: f64, x1: f64) -> f64 {
    // Near 1 the differences are those of 1 − p.
    let [p0, p, p1] =
        if x0 > 0.0 { [x0, z, x1].map(|x| -sigmoid(-x)) } else { [x0, z, x1].map(sigmoid) };
    // Beyond ±745 all probabilities are alike.
    if p1 > p0 { (p - p0) / (p1 - p0) } else { 0.5 }
}

fn between(y0: f64, y1: f64, share: f64) -> f64 {
    // Rounding may overshoot by the last bit.
    (y0 + share * (y1 - y0)).min(y1)
}

/// The middle of two scores; beside an infinite score, the number next to it.
pub(super) fn middle(below: f64, above: f64) -> f64 {
    match (below.is_finite(), above.is_finite()) {
        // Of neighbouring floats the upper one.
        (true, true) => Some(0.5 * below + 0.5 * above).filter(|&x| x > below).unwrap_or(above),
        (false, true) => f64::MIN,
        (true, false) => f64::INFINITY,
        (false, false) => 0.0,
    }
}

stored!(IsotonicRegression as "isotonic_regression", |isotonic| {
    interpolation: Interpolation = isotonic.interpolation,
    bounds: Option<(f64, f64)> = isotonic.bounds.map(|[lower, upper]| (lower, upper)),
} => {
    let isotonic = Self::new().interpolation(interpolation);
    bounds.map_or(Ok(isotonic), |(lower, upper)| isotonic.bounds(lower, upper))
});

stored!(IsotonicMap as "isotonic", |map| {
    logits: Vec<Number> = map.x.edges().iter().copied().map(Number).collect::<Vec<_>>(),
    probabilities: Vec<f64> = map.y,
    in_probability: bool = map.in_probability,
    blocks: usize = map.blocks,
} => Self::of(logits.into_iter().map(|x| x.0).collect(), probabilities, in_probability, blocks));
