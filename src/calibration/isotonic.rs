//! Isotonic regression.

use super::report::Solution;
use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::metrics::{Tie, ties};
use crate::{Error, Result};

/// Isotonic regression: of all maps that do not fall, the one that minimises Σ w (p − y)², which
/// maximises the likelihood as well. Pool-adjacent-violators, in O(n log n) for the sort.
///
/// Rows of **equal score** are pooled first, so the map is a function of the score and neither the order
/// of the rows nor the number of digits they were rounded to matters. Only exactly equal scores count
/// as equal. Neighbouring scores whose means fall are then pooled into blocks until the block means
/// rise; Σp = Σy on its own rows.
///
/// A score within a block gets the block's mean. Between two blocks the map is linear in the **logit**
/// by default, or constant up to the middle ([`steps`](Self::steps)); beyond the ends it is constant.
/// Next to a score of ±∞ there is no line: logits between such a score and a finite one get the finite
/// one's probability.
///
/// Blocks of negatives alone have the mean 0, and blocks of positives alone 1; a new row of the other
/// class then costs an infinite log loss. [`bounds`](Self::bounds) keeps p away from them, at the price
/// of Σp = Σy.
///
/// It learns, from a fair sample ([`Scored::need_fair_rows`]); with fewer than about a thousand
/// positives prefer a map with fewer degrees of freedom. Scores may be ±∞. Separable scores give a step from 0
/// to 1, reversed ones the constant base rate.
///
/// Sources: Ayer et al. 1955; Zadrozny & Elkan 2002.
///
/// ```
/// use imbalance::calibration::{Calibrate, Calibrator, IsotonicRegression, Scored};
///
/// let scored = Scored::from_logits(&[1.0, 2.0, 3.0, 4.0], &[false, true, false, true])?;
/// let map = IsotonicRegression::new().fit(&scored)?;
/// // 2 and 3 are in the wrong order, so they share a block of mean one half.
/// assert_eq!([1.0, 2.0, 2.7, 3.5, 9.0].map(|z| map.probability(z)), [0.0, 0.5, 0.5, 0.75, 1.0]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IsotonicRegression {
    steps: bool,
    lower: f64,
    upper: f64,
}

impl Default for IsotonicRegression {
    fn default() -> Self {
        Self::new()
    }
}

impl IsotonicRegression {
    /// Linear between blocks, probabilities from 0 to 1.
    #[must_use]
    pub fn new() -> Self {
        Self { steps: false, lower: 0.0, upper: 1.0 }
    }

    /// Constant between blocks, with a step in the middle of the gap (from a middle on, the upper block
    /// counts).
    #[must_use]
    pub fn steps(self) -> Self {
        Self { steps: true, ..self }
    }

    /// Probabilities from `lower` to `upper`: block means outside are moved to the bound, which is the
    /// solution of the bounded problem.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ `lower` ≤ `upper` ≤ 1.
    pub fn bounds(self, lower: f64, upper: f64) -> Result<Self> {
        if 0.0 <= lower && lower <= upper && upper <= 1.0 {
            Ok(Self { lower, upper, ..self })
        } else {
            let expected = "two probabilities in ascending order";
            Err(Error::invalid("bounds", format!("({lower}, {upper})"), expected))
        }
    }
}

impl Calibrator for IsotonicRegression {
    type Fitted = FittedIsotonicRegression;

    fn learns(&self) -> bool {
        true
    }

    /// # Errors
    /// As for [`Scored::need_fair_rows`].
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        held_out.need_fair_rows("IsotonicRegression")?;
        let ties = ties(held_out.labels(), held_out.logits(), held_out.weights())?;
        let blocks = pooled(&ties);
        let values = blocks.iter().map(|block| block.mean().clamp(self.lower, self.upper));
        let map = PiecewiseLinear::through(&blocks, values, self.steps);

        let mut solution = Solution::default();
        for (bound, at, hit) in [
            ("lower", self.lower, blocks.iter().any(|block| block.mean() < self.lower)),
            ("upper", self.upper, blocks.iter().any(|block| block.mean() > self.upper)),
        ] {
            if hit {
                solution.bounds.push(format!("{bound} = {at}"));
            }
        }
        let report =
            CalibrationReport::new("IsotonicRegression", held_out, solution, |z| map.at(z));
        Ok(FittedIsotonicRegression { map, blocks: blocks.len(), report })
    }
}

/// A fitted [`IsotonicRegression`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedIsotonicRegression {
    map: PiecewiseLinear,
    blocks: usize,
    report: CalibrationReport,
}

impl FittedIsotonicRegression {
    /// Number of blocks, that is of distinct means.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The corners of the map, (logit, probability), in ascending order. The map is linear between them
    /// (with [`IsotonicRegression::steps`], two corners share each step's logit).
    pub fn corners(&self) -> impl ExactSizeIterator<Item = (f64, f64)> + '_ {
        self.map.x.iter().copied().zip(self.map.y.iter().copied())
    }
}

impl Calibrate for FittedIsotonicRegression {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        self.map.at(logit)
    }

    fn report(&self) -> Option<&CalibrationReport> {
        Some(&self.report)
    }

    fn describe(&self) -> String {
        format!("isotonic regression: {} blocks", self.blocks)
    }
}

/// Neighbouring scores that share one probability.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: f64,
    last: f64,
    positive: f64,
    negative: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.positive / (self.positive + self.negative)
    }

    /// Whether the mean is at least that of `other`: by odds, as a product, which rounds least.
    fn reaches(&self, other: &Self) -> bool {
        self.positive * other.negative >= other.positive * self.negative
    }
}

/// The blocks of the isotonic fit; their means rise strictly.
fn pooled(ties: &[Tie]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for tie in ties {
        let &Tie { score, positive, negative, .. } = tie;
        let mut block = Block { first: score, last: score, positive, negative };
        while let Some(below) = blocks.last() {
            if !below.reaches(&block) {
                break;
            }
            block.first = below.first;
            block.positive += below.positive;
            block.negative += below.negative;
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks
}

/// A map that is linear between corners and constant beyond the first and the last.
#[derive(Debug, Clone, PartialEq)]
struct PiecewiseLinear {
    /// Ascending.
    x: Vec<f64>,
    y: Vec<f64>,
}

impl PiecewiseLinear {
    fn through(blocks: &[Block], values: impl Iterator<Item = f64>, steps: bool) -> Self {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        let mut corner = |at: f64, value: f64| {
            x.push(at);
            y.push(value);
        };
        for (i, (block, value)) in blocks.iter().zip(values).enumerate() {
            let last = i + 1 == blocks.len();
            if steps {
                if i > 0 {
                    corner(middle(blocks[i - 1].last, block.first), value);
                } else {
                    corner(block.first, value);
                }
                corner(
                    if last { block.last } else { middle(block.last, blocks[i + 1].first) },
                    value,
                );
            } else {
                corner(block.first, value);
                if block.last > block.first {
                    corner(block.last, value);
                }
            }
        }
        Self { x, y }
    }

    #[inline]
    fn at(&self, z: f64) -> f64 {
        if z.is_nan() {
            return f64::NAN;
        }
        // Corners at or below z: a binary search without branches, in a table that fits a cache.
        let below = self.x.partition_point(|&corner| corner <= z);
        if below == 0 {
            return self.y[0];
        }
        let (x0, y0) = (self.x[below - 1], self.y[below - 1]);
        let (Some(&x1), Some(&y1)) = (self.x.get(below), self.y.get(below)) else { return y0 };
        if y0 == y1 || z == x0 {
            return y0;
        }
        match (x0.is_finite(), x1.is_finite()) {
            (true, true) => {
                // Halved, so that a span of 1e308 does not overflow.
                let share = (0.5 * z - 0.5 * x0) / (0.5 * x1 - 0.5 * x0);
                y0 + share * (y1 - y0)
            }
            (true, false) => y0,
            (false, true) => y1,
            (false, false) => 0.5 * (y0 + y1),
        }
    }
}

/// Between two scores; an infinite one's step is right beside it.
pub(super) fn middle(below: f64, above: f64) -> f64 {
    match (below.is_finite(), above.is_finite()) {
        // Of neighbouring floats the upper one.
        (true, true) => Some(0.5 * below + 0.5 * above).filter(|&x| x > below).unwrap_or(above),
        (false, true) => f64::MIN,
        (true, false) => f64::INFINITY,
        (false, false) => 0.0,
    }
}
