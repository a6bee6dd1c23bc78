//! A weight for each class, on any loss.

use std::sync::Arc;

use super::{Block, Derivatives, LogLoss, Loss, Posterior, TILE};
use crate::core::{ClassTotals, Error, Result, saved_as_part, stored};

/// Any loss with a weight for each class: α ℓ(z, 1) on positives, β ℓ(z, 0) on negatives
/// (equations 8–10, where ℓ is the cross-entropy: [`WeightedLogLoss`]).
///
/// The weights are given, or come from the rows trained on, by [`ClassWeights`]. [`Loss::resolve`], which
/// models and pipelines call, fills in weights from the rows; before that both are 1, and
/// [`Loss::is_resolved`] is false. Domain: that of ℓ.
///
/// **Posterior.** The odds g₀/(−g₁) are divided by α/β, so the log-odds are those of ℓ less ln(α/β): for
/// cross-entropy, σ(z − ln(α/β)). Convex where ℓ is.
///
/// ```
/// use imbalance::loss::{Loss, WeightedLogLoss};
///
/// let loss = WeightedLogLoss::given(10.0, 1.0)?;
/// assert_eq!(loss.at(0.0, true).value, 10.0 * 2_f64.ln());
/// // Where a weighted model says one half, the truth is one in eleven.
/// assert!((loss.posterior().probability(0.0) - 1.0 / 11.0).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassWeighted<L> {
    loss: L,
    from: ClassWeights,
    positive: f64,
    negative: f64,
    /// Whether α and β are given, or those of rows.
    resolved: bool,
}

/// Cross-entropy with a weight for each class: −α y ln p − β (1 − y) ln(1 − p), p = σ(z) (equation 8).
///
/// Domain: z ∈ ℝ. Gradient α(p − 1) for a positive and βp for a negative, Hessian αp(1 − p) and
/// βp(1 − p): convex, with no constant dropped.
///
/// **Posterior**: σ(z − ln(α/β)), as the weights multiply the odds the model learns by α/β (King & Zeng
/// 2001, §4.2; Elkan 2001, theorem 2).
pub type WeightedLogLoss = ClassWeighted<LogLoss>;

/// Where the class weights α (positives) and β (negatives) come from.
///
/// W₊, W₋ and W are the weights of the positive, the negative and all rows trained on (their numbers,
/// without sample weights).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum ClassWeights {
    /// α and β as given, both positive.
    Given {
        /// Weight of positives, α.
        positive: f64,
        /// Weight of negatives, β.
        negative: f64,
    },
    /// α = W/(2W₊), β = W/(2W₋): each class weighs half (equations 9, 10).
    Balanced,
    /// α = τ/ȳ, β = (1 − τ)/(1 − ȳ) with ȳ = W₊/W: a case-control sample is weighted back to a
    /// population with the rate τ (King & Zeng 2001, §4.2).
    Population {
        /// The population's rate of positives, τ.
        rate: f64,
    },
    /// In proportion to 1/E with E = (1 − bᴺ)/(1 − b) the effective number of N rows, scaled to
    /// α + β = 2 (Cui et al. 2019). Here N is the number of rows of the class.
    EffectiveNumber {
        /// The share of new information that a further row does not overlap, b, in \[0, 1).
        beta: f64,
    },
}

impl ClassWeights {
    fn ensure_valid(self) -> Result<()> {
        let positive = |argument, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(Error::invalid(argument, value, "positive and finite"))
            }
        };
        match self {
            Self::Given { positive: alpha, negative: beta } => {
                positive("positive", alpha).and(positive("negative", beta))
            }
            Self::Population { rate } if !(rate > 0.0 && rate < 1.0) => {
                Err(Error::invalid("rate", rate, "between 0 and 1, both excluded"))
            }
            Self::EffectiveNumber { beta } if !(0.0..1.0).contains(&beta) => {
                Err(Error::invalid("beta", beta, "at least 0 and below 1"))
            }
            _ => Ok(()),
        }
    }

    /// (α, β) for rows of these totals.
    fn of(self, train: &ClassTotals) -> Result<(f64, f64)> {
        if let Self::Given { positive, negative } = self {
            return Ok((positive, negative));
        }
        train.ensure_both("weighting the classes")?;
        let rate = train.rate();
        Ok(match self {
            Self::Given { positive, negative } => (positive, negative),
            Self::Balanced => (0.5 / rate, 0.5 / (train.negative_weight / train.weight())),
            Self::Population { rate: tau } => {
                (tau / rate, (1.0 - tau) / (train.negative_weight / train.weight()))
            }
            Self::EffectiveNumber { beta } => {
                // 1 − bᴺ without cancellation for b close to 1.
                let share = |n: usize| (1.0 - beta) / -(n as f64 * beta.ln()).exp_m1();
                let (a, b) = (share(train.positives), share(train.negatives));
                (2.0 * a / (a + b), 2.0 * b / (a + b))
            }
        })
    }
}

impl<L: Loss> ClassWeighted<L> {
    /// This loss with these class weights.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a weight that is not positive and finite, a rate outside (0, 1),
    /// or a β outside \[0, 1).
    pub fn new(loss: L, weights: ClassWeights) -> Result<Self> {
        weights.ensure_valid()?;
        let (positive, negative, resolved) = match weights {
            ClassWeights::Given { positive, negative } => (positive, negative, true),
            _ => (1.0, 1.0, false),
        };
        Ok(Self { loss, from: weights, positive, negative, resolved })
    }

    /// This loss with the weights of the rows it was resolved for.
    #[cfg(feature = "serde")]
    fn resolved_as(self, weights: Option<(f64, f64)>) -> Result<Self> {
        let Some((positive, negative)) = weights else { return Ok(self) };
        ClassWeights::Given { positive, negative }.ensure_valid()?;
        Ok(Self { positive, negative, resolved: true, ..self })
    }

    /// The weights α and β.
    #[must_use]
    pub fn weights(&self) -> (f64, f64) {
        (self.positive, self.negative)
    }
}

impl WeightedLogLoss {
    /// Weights α on positives and β on negatives.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless both are positive and finite.
    pub fn given(positive: f64, negative: f64) -> Result<Self> {
        Self::new(LogLoss, ClassWeights::Given { positive, negative })
    }

    /// Each class weighs half; see [`ClassWeights::Balanced`].
    #[must_use]
    pub fn balanced() -> Self {
        let from = ClassWeights::Balanced;
        Self { loss: LogLoss, from, positive: 1.0, negative: 1.0, resolved: false }
    }

    /// Weighted back to a population of that rate; see [`ClassWeights::Population`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `rate` < 1.
    pub fn population(rate: f64) -> Result<Self> {
        Self::new(LogLoss, ClassWeights::Population { rate })
    }

    /// Weights by effective number of rows; see [`ClassWeights::EffectiveNumber`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ `beta` < 1.
    pub fn effective_number(beta: f64) -> Result<Self> {
        Self::new(LogLoss, ClassWeights::EffectiveNumber { beta })
    }
}

impl<L: Loss> Loss for ClassWeighted<L> {
    #[inline]
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        self.loss.at(logit, label).scaled(if label { self.positive } else { self.negative })
    }

    fn block(&self, rows: Block<'_>) -> f64 {
        // Class and sample weights are multiplied first, a tile of rows at a time, so that a loss behind a
        // pointer is called once per tile and not once per row.
        let mut both = [0.0; TILE];
        rows.tiles(TILE)
            .map(|rows| {
                let both = &mut both[..rows.labels.len()];
                for (weight, &label) in both.iter_mut().zip(rows.labels) {
                    *weight = if label { self.positive } else { self.negative };
                }
                if let Some(weights) = rows.weights {
                    both.iter_mut().zip(weights).for_each(|(both, weight)| *both *= weight);
                }
                self.loss.block(Block { weights: Some(both), ..rows })
            })
            .sum()
    }

    fn posterior(&self) -> Posterior {
        self.loss.posterior().shifted(-(self.positive / self.negative).ln())
    }

    fn shared(&self) -> Arc<dyn Loss> {
        let Self { from, positive, negative, resolved, .. } = *self;
        Arc::new(ClassWeighted { loss: self.loss.shared(), from, positive, negative, resolved })
    }

    fn resolve(&self, train: &ClassTotals) -> Result<Arc<dyn Loss>> {
        let (positive, negative) = self.from.of(train)?;
        let loss = self.loss.resolve(train)?;
        Ok(Arc::new(ClassWeighted { loss, from: self.from, positive, negative, resolved: true }))
    }

    fn is_resolved(&self) -> bool {
        self.resolved && self.loss.is_resolved()
    }

    saved_as_part!();
}

stored!(<L: Loss> ClassWeighted<L> as "class_weighted", |this| {
    loss: PartOf<L> = as_part(this.loss.saved(), &this.loss),
    weights: ClassWeights = this.from,
    resolved: Option<(f64, f64)> = this.resolved.then_some((this.positive, this.negative)),
} => Self::new(loss.0, weights).and_then(|loss| loss.resolved_as(resolved)));
