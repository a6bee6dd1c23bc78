//! How a model was trained, and what its logits would have been after another training.

use crate::core::Distortion;
use crate::exec::parallel::{self, BLOCK};
use crate::loss::{LogLoss, Loss, Posterior};

/// How the model behind the scores was trained: all that a calibrator must know of it.
///
/// ```
/// use imbalance::Distortion;
/// use imbalance::calibration::{Calibrator, PriorCorrection, TrainingContext};
/// use imbalance::loss::LogLoss;
///
/// // One in ten negatives was kept.
/// let distortion = Distortion::PriorShift { log_odds: 10_f64.ln() };
/// let training = TrainingContext::new(&LogLoss, distortion);
/// let correction = PriorCorrection::new().fit(&training, None)?;
/// assert!((correction.probability(0.0) - 1.0 / 11.0).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingContext {
    /// The map of the loss that it minimised, from logits to class probabilities.
    pub posterior: Posterior,
    /// That loss in words, for reports.
    pub loss: String,
    /// The distortion of the rows it was trained on, which is in its logits.
    pub distortion: Distortion,
    /// Whether the model was told the population's rate and corrected the shift itself
    /// ([`Predict::is_prior_corrected`](crate::model::Predict::is_prior_corrected)). A shift that is given by
    /// hand would then be subtracted twice, and is refused.
    pub prior_corrected: bool,
}

impl Default for TrainingContext {
    /// Log loss on a representative sample.
    fn default() -> Self {
        Self::new(&LogLoss, Distortion::None)
    }
}

impl TrainingContext {
    /// Training under a loss, resolved if its constants depend on the rows, on rows to which this was done, by
    /// a model that corrected none of it.
    #[must_use]
    pub fn new(loss: &dyn Loss, distortion: Distortion) -> Self {
        let (posterior, loss) = (loss.posterior(), format!("{loss:?}"));
        Self { posterior, loss, distortion, prior_corrected: false }
    }

    /// Replaces the logits of a model trained in this way by those that stand for the same log-odds in
    /// the population after the `other` training: z′ with g′(z′) − δ′ = g(z) − δ, where g is the posterior of
    /// the loss and δ the shift of the log-odds by the sampler.
    ///
    /// Where a shift is unknown, that of the other training is taken for it; logits which the loss
    /// takes for certain answers stay. The same training leaves every logit as it is.
    pub(crate) fn translate(&self, other: &Self, logits: &mut [f64]) {
        let shifts = other.distortion.log_odds().zip(self.distortion.log_odds());
        let shift = shifts.map_or(0.0, |(theirs, own)| theirs - own);
        parallel::map_into(logits, 1, BLOCK, |_, _, logits| {
            for logit in logits {
                let target = self.posterior.log_odds(*logit) + shift;
                if target.is_finite() {
                    *logit = other.posterior.logit_near(*logit, target);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{ClassWeighted, ClassWeights, FocalLoss, LabelSmoothing, WeightedLogLoss};

    fn training(loss: &dyn Loss, log_odds: f64) -> TrainingContext {
        TrainingContext::new(loss, Distortion::PriorShift { log_odds })
    }

    #[test]
    fn the_same_training_changes_no_bit_and_others_keep_the_populations_log_odds() {
        let logits: Vec<f64> = (-400..=400).map(|i| f64::from(i) * 0.05).collect();
        let weighted = |positive| WeightedLogLoss::given(positive, 1.0).unwrap();
        let focal = |positive| {
            let weights = ClassWeights::Given { positive, negative: 1.0 };
            ClassWeighted::new(FocalLoss::new(2.0).unwrap(), weights).unwrap()
        };
        let pairs = [
            (training(&LogLoss, 2.0), training(&LogLoss, 2.25)),
            (training(&weighted(10.0), 0.0), training(&weighted(12.5), -0.5)),
            (training(&focal(10.0), 2.0), training(&focal(12.5), 2.5)),
            (training(&focal(10.0), 2.0), training(&LogLoss, 0.0)),
        ];
        for (from, to) in pairs {
            let mut same = logits.clone();
            from.translate(&from, &mut same);
            assert_eq!(same, logits);
            let mut moved = logits.clone();
            from.translate(&to, &mut moved);
            for (&before, &after) in logits.iter().zip(&moved) {
                let population = |t: &TrainingContext, z| {
                    t.posterior.log_odds(z) - t.distortion.log_odds().unwrap()
                };
                let (before, after) = (population(&from, before), population(&to, after));
                // The tolerance of the inversion, a few units in the last place of numbers up to 60.
                assert!((before - after).abs() < 1e-13 * (1.0 + before.abs()), "{before} {after}");
            }
        }
    }

    #[test]
    fn certain_answers_stay() {
        let smoothed = |log_odds| training(&LabelSmoothing::new(LogLoss, 0.1).unwrap(), log_odds);
        let mut logits = [f64::NEG_INFINITY, -50.0, f64::INFINITY];
        smoothed(0.0).translate(&smoothed(1.0), &mut logits);
        assert_eq!(logits, [f64::NEG_INFINITY, -50.0, f64::INFINITY]);
    }
}
