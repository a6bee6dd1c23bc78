//! Losses on logits, each with the map from its logits to class probabilities.

mod asymmetric;
mod class_weighted;
mod focal;
mod label_smoothing;
mod log_loss;
mod logit_adjusted;
mod posterior;

use std::fmt::Debug;
use std::sync::Arc;

pub use asymmetric::AsymmetricLoss;
pub use class_weighted::{ClassWeighted, ClassWeights, WeightedLogLoss};
pub use focal::FocalLoss;
pub use label_smoothing::LabelSmoothing;
pub use log_loss::LogLoss;
pub use logit_adjusted::LogitAdjusted;
pub use posterior::{Posterior, PosteriorMap};

use crate::core::{ClassTotals, Error, Result, same_length};
use crate::exec::simd::{LANES, TILE, Work, total, vectorised};
#[cfg(feature = "serde")]
use crate::saved::Part;

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
/// A loss of your own says what one row costs, and how to copy itself behind a pointer. The map from its
/// logits to class probabilities follows from its gradients:
///
/// ```
/// use std::sync::Arc;
/// use imbalance::loss::{Derivatives, Loss};
/// use imbalance::numerics::sigmoid;
/// use imbalance::prelude::*;
///
/// /// The squared error of the probability, (σ(z) − y)².
/// #[derive(Debug, Clone)]
/// struct Brier;
///
/// impl Loss for Brier {
///     fn at(&self, logit: f64, label: bool) -> Derivatives {
///         let (p, q) = (sigmoid(logit), sigmoid(-logit));
///         let miss = if label { -q } else { p };
///         Derivatives {
///             value: miss * miss,
///             gradient: 2.0 * miss * p * q,
///             hessian: 2.0 * p * q * (p * q + miss * (q - p)),
///         }
///     }
///
///     fn shared(&self) -> Arc<dyn Loss> {
///         Arc::new(self.clone())
///     }
/// }
///
/// // The squared error is proper: σ(z) is the class probability.
/// assert!((Brier.posterior().probability(-2.0) - sigmoid(-2.0)).abs() < 1e-15);
/// let log = SyntheticClicks::new(4_000, 0.1)?.numeric(2).categorical(&[]).generate(7)?;
/// let fitted = Pipeline::new(LogisticRegression::new().l2(1.0)?)
///     .loss(Brier)
///     .calibrator(PriorCorrection::new())
///     .fit(&log.dataset)?;
/// # assert!(fitted.report().warnings.is_empty());
/// # Ok::<(), imbalance::Error>(())
/// ```
pub trait Loss: Debug + Send + Sync {
    /// The loss of one row and its derivatives, finite for every finite logit.
    fn at(&self, logit: f64, label: bool) -> Derivatives;

    /// A copy of this loss, behind a pointer.
    fn shared(&self) -> Arc<dyn Loss>;

    /// The map from logits to class probabilities, which calibrators use.
    /// Default: the one that follows from the gradients, [`Posterior::of_gradients`]. A loss that knows a
    /// formula gives it by [`Posterior::custom`].
    fn posterior(&self) -> Posterior {
        Posterior::of_gradients(self.shared())
    }

    /// Σ wᵢ ℓ(zᵢ, yᵢ) over a block of rows; `wᵢ ∂ℓ/∂z` and `wᵢ ∂²ℓ/∂z²` go into the block's outputs.
    /// One virtual call serves the whole block. Default: [`at`](Self::at) for each row.
    fn block(&self, rows: Block<'_>) -> f64 {
        rows.fill(|logit, label| self.at(logit, label))
    }

    /// This loss with the constants that depend on the training rows, such as balanced class weights, taken
    /// from the totals of their classes. Default: a copy of itself.
    ///
    /// # Errors
    /// [`Error::OneClass`] if the constants need both classes.
    fn resolve(&self, _train: &ClassTotals) -> Result<Arc<dyn Loss>> {
        Ok(self.shared())
    }

    /// Whether all constants are known. If not, the loss must be [resolved](Self::resolve) first. Default: true.
    fn is_resolved(&self) -> bool {
        true
    }

    /// How this loss is saved. Default: it cannot be.
    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        None
    }
}

/// Refuses a loss whose constants depend on training rows, where there are none to take them from.
pub(crate) fn ensure_resolved(loss: &dyn Loss) -> Result<()> {
    if loss.is_resolved() {
        return Ok(());
    }
    let expected = "resolved for the training rows: `loss.resolve(&totals)`";
    Err(Error::invalid("loss", format!("{loss:?}"), expected))
}

/// A block of rows for [`Loss::block`]: logits, labels and weights, and the outputs for the derivatives, with
/// one entry per row in each.
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
    /// Rows with their logits, labels and weights (None: all 1), and the outputs.
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

    /// Σ wᵢ `at(zᵢ, yᵢ)`, with the weighted derivatives written to the outputs: for a [`Loss::block`] that
    /// differs from the default only in how it computes a row.
    pub fn fill(self, at: impl Fn(f64, bool) -> Derivatives) -> f64 {
        vectorised(Fill { rows: self, at })
    }

    /// The rows in tiles of at most `size`.
    #[inline(always)]
    fn tiles(self, size: usize) -> impl Iterator<Item = Block<'a>> {
        let outputs = self.gradients.chunks_mut(size).zip(self.hessians.chunks_mut(size));
        outputs.enumerate().map(move |(i, (gradients, hessians))| {
            let rows = i * size..i * size + gradients.len();
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

/// The loop of [`Block::fill`].
struct Fill<'a, A> {
    rows: Block<'a>,
    at: A,
}

impl<A: Fn(f64, bool) -> Derivatives> Work for Fill<'_, A> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0.0; LANES];
        for tile in self.rows.tiles(LANES) {
            // The compiler turns the loop into vectors where it knows the length.
            match (tile.logits.len(), tile.weights) {
                (LANES, None) => add(&self.at, tile, LANES, |_| 1.0, &mut sums),
                (LANES, Some(w)) => add(&self.at, tile, LANES, |lane| w[..LANES][lane], &mut sums),
                (n, w) => add(&self.at, tile, n, |lane| w.map_or(1.0, |w| w[lane]), &mut sums),
            }
        }
        total(&sums)
    }
}

/// Adds the losses of `n` rows, each to its own sum.
#[inline(always)]
#[allow(clippy::needless_pass_by_value, reason = "it holds the outputs, which are written")]
fn add(
    at: &impl Fn(f64, bool) -> Derivatives,
    rows: Block<'_>,
    n: usize,
    weight: impl Fn(usize) -> f64,
    sums: &mut [f64; LANES],
) {
    let (logits, labels) = (&rows.logits[..n], &rows.labels[..n]);
    let (gradients, hessians) = (&mut rows.gradients[..n], &mut rows.hessians[..n]);
    for lane in 0..n {
        let at = at(logits[lane], labels[lane]).scaled(weight(lane));
        sums[lane] += at.value;
        gradients[lane] = at.gradient;
        hessians[lane] = at.hessian;
    }
}

/// A loss behind a pointer is that loss.
macro_rules! delegate {
    ($($pointer:ident),*) => {$(
        impl<L: Loss + ?Sized> Loss for $pointer<L> {
            fn at(&self, logit: f64, label: bool) -> Derivatives {
                (**self).at(logit, label)
            }
            fn shared(&self) -> Arc<dyn Loss> {
                (**self).shared()
            }
            fn posterior(&self) -> Posterior {
                (**self).posterior()
            }
            fn block(&self, rows: Block<'_>) -> f64 {
                (**self).block(rows)
            }
            fn resolve(&self, train: &ClassTotals) -> Result<Arc<dyn Loss>> {
                (**self).resolve(train)
            }
            fn is_resolved(&self) -> bool {
                (**self).is_resolved()
            }
            #[cfg(feature = "serde")]
            fn saved(&self) -> Option<Part<'_>> {
                (**self).saved()
            }
        }
    )*};
}

delegate!(Box, Arc);

#[cfg(feature = "serde")]
crate::saved::stage!(Loss, Box<dyn Loss>, "loss", |loss| Box::new(loss) as _, [
    LogLoss,
    ClassWeighted<Box<dyn Loss>>,
    FocalLoss,
    LogitAdjusted,
    AsymmetricLoss,
    LabelSmoothing<Box<dyn Loss>>,
]);
