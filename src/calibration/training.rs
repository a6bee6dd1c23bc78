//! How a model was trained, and what its logits would have been had it been trained otherwise.

use std::sync::Arc;

use crate::core::Distortion;
use crate::exec::parallel::{self, BLOCK};
use crate::loss::{LogLoss, Loss};

/// How the model behind the scores was trained.
#[derive(Debug, Clone)]
pub struct Training {
    /// The loss it minimised.
    pub loss: Arc<dyn Loss>,
    /// What was done to the rows it was trained on, and is in its logits.
    pub distortion: Distortion,
    /// Whether the model was told the population's rate and undid the shift itself
    /// ([`Predict::undoes_sampling`](crate::model::Predict::undoes_sampling)). A shift that is given by hand
    /// would be undone twice, and is refused.
    pub undone: bool,
}

impl Default for Training {
    /// Log loss on a fair sample.
    fn default() -> Self {
        Self::new(Arc::new(LogLoss), Distortion::None)
    }
}

impl Training {
    /// Training under a loss on rows of which this was done, by a model that undid none of it.
    #[must_use]
    pub fn new(loss: Arc<dyn Loss>, distortion: Distortion) -> Self {
        Self { loss, distortion, undone: false }
    }

    /// The logit which the loss takes for these log-odds.
    pub(crate) fn logit_of(&self, log_odds: f64) -> f64 {
        invert(|z| self.loss.posterior_logit(z), log_odds, log_odds)
    }

    /// Replaces the logits of a model trained in this way by those that stand for the same log-odds in
    /// the population after the `other` training: z′ with g′(z′) − δ′ = g(z) − δ, where g is the map of
    /// the loss ([`Loss::posterior_logit`], which rises) and δ the shift of the log-odds by the sampler.
    ///
    /// Where a shift is unknown, that of the other training is taken for it; logits which the loss
    /// takes for certain answers stay. The same training leaves every logit as it is.
    pub(crate) fn translate(&self, other: &Self, logits: &mut [f64]) {
        let shifts = other.distortion.log_odds().zip(self.distortion.log_odds());
        let shift = shifts.map_or(0.0, |(theirs, own)| theirs - own);
        parallel::map_into(logits, 1, BLOCK, |_, _, logits| {
            for logit in logits {
                let target = self.loss.posterior_logit(*logit) + shift;
                if target.is_finite() {
                    *logit = invert(|z| other.loss.posterior_logit(z), *logit, target);
                }
            }
        });
    }
}

/// z with g(z) = `target` for a rising g, found from a `start` nearby: at once where g is a shift, as
/// for every weighting of the classes.
fn invert(g: impl Fn(f64) -> f64, start: f64, target: f64) -> f64 {
    let miss = |z: f64| g(z) - target;
    let close = |miss: f64| miss.abs() <= 4.0 * f64::EPSILON * (1.0 + target.abs());
    let (mut a, mut at_a) = (start, miss(start));
    let mut step = -at_a;
    if at_a == 0.0 || !step.is_finite() {
        return start;
    }
    let (mut b, mut at_b) = (a + step, miss(a + step));
    // A slope below 1 leaves the first step short. Doubled 60 times, it has left any range of logits.
    for _ in 0..60 {
        if close(at_b) {
            return b;
        }
        if at_a.signum() != at_b.signum() {
            break;
        }
        step *= 2.0;
        (a, at_a, b) = (b, at_b, b + step);
        at_b = miss(b);
    }
    // Bisection halves what is left of at most 2⁶⁰ steps until neighbouring numbers are reached.
    let mut middle = a + 0.5 * (b - a);
    while middle != a && middle != b {
        let here = miss(middle);
        if close(here) {
            break;
        }
        if here.signum() == at_a.signum() {
            a = middle;
        } else {
            b = middle;
        }
        middle = a + 0.5 * (b - a);
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{ClassWeighted, ClassWeights, FocalLoss, LabelSmoothing, WeightedLogLoss};

    fn training(loss: impl Loss + 'static, log_odds: f64) -> Training {
        Training::new(Arc::new(loss), Distortion::PriorShift { log_odds })
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
            (training(LogLoss, 2.0), training(LogLoss, 2.25)),
            (training(weighted(10.0), 0.0), training(weighted(12.5), -0.5)),
            (training(focal(10.0), 2.0), training(focal(12.5), 2.5)),
            (training(focal(10.0), 2.0), training(LogLoss, 0.0)),
        ];
        for (from, to) in pairs {
            let mut same = logits.clone();
            from.translate(&from, &mut same);
            assert_eq!(same, logits);
            let mut moved = logits.clone();
            from.translate(&to, &mut moved);
            for (&before, &after) in logits.iter().zip(&moved) {
                let population =
                    |t: &Training, z| t.loss.posterior_logit(z) - t.distortion.log_odds().unwrap();
                let (before, after) = (population(&from, before), population(&to, after));
                // The tolerance of the inversion, a few units in the last place of numbers up to 60.
                assert!((before - after).abs() < 1e-13 * (1.0 + before.abs()), "{before} {after}");
            }
        }
    }

    #[test]
    fn certain_answers_stay() {
        let smoothed = |log_odds| training(LabelSmoothing::new(LogLoss, 0.1).unwrap(), log_odds);
        let mut logits = [f64::NEG_INFINITY, -50.0, f64::INFINITY];
        smoothed(0.0).translate(&smoothed(1.0), &mut logits);
        assert_eq!(logits, [f64::NEG_INFINITY, -50.0, f64::INFINITY]);
    }
}
