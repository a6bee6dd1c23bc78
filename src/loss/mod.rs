//! Losses on logits, each with its own map from a logit to a class probability.

mod asymmetric;
mod class_weighted;
mod focal;
mod label_smoothing;
mod log_loss;
mod logit_adjusted;

use std::fmt::Debug;
use std::sync::Arc;

pub use asymmetric::AsymmetricLoss;
pub use class_weighted::{ClassWeighted, ClassWeights, WeightedLogLoss};
pub use focal::FocalLoss;
pub use label_smoothing::LabelSmoothing;
pub use log_loss::LogLoss;
pub use logit_adjusted::LogitAdjusted;

use crate::core::same_length;
use crate::exec::simd::{LANES, Work, total, vectorised};
use crate::{ClassTotals, Error, Result};

/// A loss at one logit, with its first two derivatives there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Derivatives {
    /// The loss.
    pub value: f64,
    /// Its derivative by the logit.
    pub gradient: f64,
    /// Its second derivative by the logit; negative where the loss is not convex.
    pub hessian: f64,
}

impl Derivatives {
    /// The loss times a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            value: factor * self.value,
            gradient: factor * self.gradient,
            hessian: factor * self.hessian,
        }
    }
}

/// A differentiable loss of a logit and a label.
///
/// The loss knows its own map back to a probability, [`posterior_logit`](Self::posterior_logit), so a
/// calibrator can undo what the loss bends.
pub trait Loss: Debug + Send + Sync {
    /// The loss of one row and its derivatives, finite for every finite logit.
    fn at(&self, logit: f64, label: bool) -> Derivatives;

    /// This loss as trained on rows of these class totals.
    ///
    /// A loss whose constants come from the data (balanced class weights) returns itself with the
    /// constants filled in; all others return a copy of themselves. A fitted pipeline keeps the
    /// result, because its map to a probability is needed for every prediction.
    ///
    /// # Errors
    /// Depends on the loss.
    fn adapted(&self, train: &ClassTotals) -> Result<Arc<dyn Loss>>;

    /// Whether constants of this loss are still to come from the rows trained on: it must be
    /// [`adapted`](Self::adapted) before it is the loss it is named after.
    fn pending(&self) -> bool {
        false
    }

    /// Σ wᵢ ℓ(zᵢ, yᵢ) over a block of rows; `wᵢ ∂ℓ/∂z` and `wᵢ ∂²ℓ/∂z²` go into the block's outputs.
    ///
    /// One virtual call serves the whole block.
    fn block(&self, rows: Block<'_>) -> f64 {
        rows.fill(|logit, label| self.at(logit, label))
    }

    /// The log-odds of the class probability η at which `logit` minimises the expected loss
    /// η ℓ(z, 1) + (1 − η) ℓ(z, 0).
    ///
    /// From the stationarity condition η g₁ + (1 − η) g₀ = 0, with g₁ and g₀ the gradients at label 1
    /// and 0, the odds are η / (1 − η) = g₀ / (−g₁). This holds for every differentiable loss. Where a
    /// gradient has left its side of zero, no η has its minimum there: the answer is −∞ or +∞.
    fn posterior_logit(&self, logit: f64) -> f64 {
        // A certain logit is answered by the largest one, where ∞ · 0 could be NaN.
        let logit = logit.clamp(f64::MIN, f64::MAX);
        let down = self.at(logit, false).gradient.max(0.0);
        let up = (-self.at(logit, true).gradient).max(0.0);
        down.ln() - up.ln()
    }

    /// By how much [`posterior_logit`](Self::posterior_logit) moves every logit, where it moves all by
    /// the same: 0 for log loss, −ln(α/β) under class weights. `None` where its map bends.
    ///
    /// A shift can be folded into the intercept of a linear model.
    fn posterior_shift(&self) -> Option<f64> {
        None
    }

    /// The class probability at which `logit` minimises the expected loss: g₀ / (g₀ − g₁).
    fn posterior(&self, logit: f64) -> f64 {
        crate::numerics::sigmoid(self.posterior_logit(logit))
    }
}

/// Refuses a loss whose constants are still to come from rows, where there are none to take them from.
pub(crate) fn need_adapted(loss: &dyn Loss) -> Result<()> {
    if loss.pending() {
        let expected = "adapted to the rows trained on: `loss.adapted(&totals)`";
        return Err(Error::invalid("loss", format!("{loss:?}"), expected));
    }
    Ok(())
}

/// A block of rows for [`Loss::block`]: what goes in and where the derivatives go, one entry per row in
/// each.
///
/// ```
/// use imbalance::loss::{Block, LogLoss, Loss};
///
/// let (logits, labels) = ([0.0, 3.0], [true, false]);
/// let (mut gradients, mut hessians) = ([0.0; 2], [0.0; 2]);
/// let total = LogLoss.block(Block::new(&logits, &labels, None, &mut gradients, &mut hessians)?);
/// assert_eq!(total, LogLoss.at(0.0, true).value + LogLoss.at(3.0, false).value);
/// assert_eq!(gradients[0], -0.5);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug)]
pub struct Block<'a> {
    pub(crate) logits: &'a [f64],
    pub(crate) labels: &'a [bool],
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) gradients: &'a mut [f64],
    pub(crate) hessians: &'a mut [f64],
}

impl<'a> Block<'a> {
    /// Rows with their logits, labels and weights (none: all 1), and the outputs.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] unless all have one entry per row.
    pub fn new(
        logits: &'a [f64],
        labels: &'a [bool],
        weights: Option<&'a [f64]>,
        gradients: &'a mut [f64],
        hessians: &'a mut [f64],
    ) -> Result<Self> {
        let check = |what, found| same_length(what, found, "the logits", logits.len());
        check("the labels", labels.len())?;
        check("the weights", weights.map_or(logits.len(), <[f64]>::len))?;
        check("the gradients", gradients.len())?;
        check("the hessians", hessians.len())?;
        Ok(Self { logits, labels, weights, gradients, hessians })
    }

    /// Σ wᵢ `at(zᵢ, yᵢ)`, with the weighted derivatives put into the outputs: what a loss does that
    /// overrides [`Loss::block`] only to say how a row is worked out.
    pub fn fill(self, at: impl Fn(f64, bool) -> Derivatives) -> f64 {
        vectorised(Fill { rows: self, at })
    }

    /// The same rows in stretches of at most [`STRETCH`].
    fn stretches(self) -> impl Iterator<Item = Block<'a>> {
        let outputs = self.gradients.chunks_mut(STRETCH).zip(self.hessians.chunks_mut(STRETCH));
        outputs.enumerate().map(move |(i, (gradients, hessians))| {
            let rows = i * STRETCH..i * STRETCH + gradients.len();
            Block {
                logits: &self.logits[rows.clone()],
                labels: &self.labels[rows.clone()],
                weights: self.weights.map(|weights| &weights[rows]),
                gradients,
                hessians,
            }
        })
    }
}

/// Rows that a loss around another one passes on at a time.
const STRETCH: usize = 256;

/// The loop of [`Block::fill`].
struct Fill<'a, A> {
    rows: Block<'a>,
    at: A,
}

impl<A: Fn(f64, bool) -> Derivatives> Work for Fill<'_, A> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Block { logits, labels, weights, gradients, hessians } = self.rows;
        let mut sums = [0.0; LANES];
        // In arrays, whose length the compiler knows.
        let (logit_chunks, logits_rest) = logits.as_chunks::<LANES>();
        let (label_chunks, labels_rest) = labels.as_chunks::<LANES>();
        let (gradient_chunks, gradients_rest) = gradients.as_chunks_mut::<LANES>();
        let (hessian_chunks, hessians_rest) = hessians.as_chunks_mut::<LANES>();
        let inputs = logit_chunks.iter().zip(label_chunks);
        let outputs = gradient_chunks.iter_mut().zip(hessian_chunks);
        let chunks = inputs.zip(outputs);
        match weights {
            None => {
                for ((z, y), (g, h)) in chunks {
                    add(&self.at, (z, y), None, (g, h), &mut sums);
                }
            }
            Some(weights) => {
                let (weights, _) = weights.as_chunks::<LANES>();
                for (((z, y), (g, h)), w) in chunks.zip(weights) {
                    add(&self.at, (z, y), Some(w), (g, h), &mut sums);
                }
            }
        }
        let rest = weights.map(|weights| &weights[weights.len() - logits_rest.len()..]);
        let outputs = (gradients_rest, hessians_rest);
        add(&self.at, (logits_rest, labels_rest), rest, outputs, &mut sums);
        total(&sums)
    }
}

/// Works out up to [`LANES`] rows and adds their losses, each to its own sum.
#[inline(always)]
fn add(
    at: &impl Fn(f64, bool) -> Derivatives,
    (logits, labels): (&[f64], &[bool]),
    weights: Option<&[f64]>,
    (gradients, hessians): (&mut [f64], &mut [f64]),
    sums: &mut [f64; LANES],
) {
    for (lane, sum) in sums.iter_mut().enumerate().take(logits.len()) {
        let at = at(logits[lane], labels[lane]);
        let weight = weights.map_or(1.0, |weights| weights[lane]);
        *sum += weight * at.value;
        gradients[lane] = weight * at.gradient;
        hessians[lane] = weight * at.hessian;
    }
}

/// A loss behind a pointer is that loss.
macro_rules! delegate {
    ($($pointer:ident),*) => {$(
        impl<L: Loss + ?Sized> Loss for $pointer<L> {
            fn at(&self, logit: f64, label: bool) -> Derivatives {
                (**self).at(logit, label)
            }
            fn adapted(&self, train: &ClassTotals) -> Result<Arc<dyn Loss>> {
                (**self).adapted(train)
            }
            fn pending(&self) -> bool {
                (**self).pending()
            }
            fn block(&self, rows: Block<'_>) -> f64 {
                (**self).block(rows)
            }
            fn posterior_logit(&self, logit: f64) -> f64 {
                (**self).posterior_logit(logit)
            }
            fn posterior_shift(&self) -> Option<f64> {
                (**self).posterior_shift()
            }
            fn posterior(&self, logit: f64) -> f64 {
                (**self).posterior(logit)
            }
        }
    )*};
}

delegate!(Box, Arc);
