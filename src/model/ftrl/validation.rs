//! Judges of a learner that read each row before it is learned.

#[cfg(feature = "serde")]
use super::stored;
use crate::loss::{Derivatives, LogLoss, Loss};

/// Progressive validation: each row is judged by its score from before it was learned (McMahan et al.
/// 2013, §5.1), so that no rows need to be held out.
///
/// Scores are the class probabilities of the rows as they are given, by [`Loss::posterior`]: after resampling
/// without weights they are those of the resampled rows.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ProgressiveValidation {
    rows: u64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::positive_weight"))]
    positive_weight: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::negative_weight"))]
    negative_weight: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::log_loss"))]
    log_loss: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::predicted"))]
    predicted: f64,
    /// Σ v² p(1 − p), the variance of the weight of the positives.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::variance"))]
    variance: f64,
}

impl ProgressiveValidation {
    #[inline]
    pub(super) fn add(&mut self, logit: f64, label: bool, weight: f64) {
        self.rows = self.rows.saturating_add(1);
        // The smallest positive number stands for a probability of zero, so that sums stay finite.
        let at = LogLoss.at(logit.clamp(-745.0, 745.0), label);
        // The log loss's gradient is p − y.
        if label {
            self.positive_weight += weight;
            self.predicted += weight * (1.0 + at.gradient);
        } else {
            self.negative_weight += weight;
            self.predicted += weight * at.gradient;
        }
        self.log_loss += weight * at.value;
        self.variance += weight * weight * at.hessian;
    }

    /// These rows and those.
    fn plus(mut self, other: &Self) -> Self {
        self.rows = self.rows.saturating_add(other.rows);
        self.positive_weight += other.positive_weight;
        self.negative_weight += other.negative_weight;
        self.log_loss += other.log_loss;
        self.predicted += other.predicted;
        self.variance += other.variance;
        self
    }

    /// Number of rows judged.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Weighted mean log loss; none without weight. A certain answer that was wrong
    /// costs 745.
    #[must_use]
    pub fn log_loss(&self) -> Option<f64> {
        let weight = self.positive_weight + self.negative_weight;
        (weight > 0.0).then(|| self.log_loss / weight)
    }

    /// Log loss over the entropy of the rate of positives so far (He et al. 2014, §3); none before both
    /// classes came.
    #[must_use]
    pub fn normalised_entropy(&self) -> Option<f64> {
        let weight = self.positive_weight + self.negative_weight;
        let part = |class: f64| -class * (class / weight).ln();
        let both = self.positive_weight > 0.0 && self.negative_weight > 0.0;
        both.then(|| self.log_loss / (part(self.positive_weight) + part(self.negative_weight)))
    }

    /// Positives predicted per positive observed; none before a positive came.
    #[must_use]
    pub fn predicted_over_observed(&self) -> Option<f64> {
        (self.positive_weight > 0.0).then(|| self.predicted / self.positive_weight)
    }

    /// By how many standard errors the positives predicted exceed those observed, (Σ v p − Σ v y)/√(Σ v² p(1 − p));
    /// none before a row came whose answer was not certain.
    #[must_use]
    pub fn excess(&self) -> Option<f64> {
        let excess = self.predicted - self.positive_weight;
        (self.variance > 0.0).then(|| excess / self.variance.sqrt())
    }
}

/// Most parts of a [`Curve`].
const PARTS: usize = 16;

/// Progressive validation of a stream in parts of equal length, which doubles as the stream grows.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(super) struct Curve {
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::part_rows"))]
    part_rows: u64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "stored::parts"))]
    parts: Vec<ProgressiveValidation>,
}

impl Default for Curve {
    fn default() -> Self {
        Self { part_rows: 1, parts: Vec::new() }
    }
}

impl Curve {
    /// The part that the next row belongs to.
    #[inline]
    pub(super) fn open(&mut self) -> &mut ProgressiveValidation {
        if self.parts.last().is_none_or(|part| part.rows >= self.part_rows) {
            if self.parts.len() == PARTS {
                let pairs = self.parts.chunks(2);
                self.parts = pairs.map(|pair| pair[0].clone().plus(&pair[1])).collect();
                self.part_rows = self.part_rows.saturating_mul(2);
            }
            self.parts.push(ProgressiveValidation::default());
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    pub(super) fn whole(&self) -> ProgressiveValidation {
        Self::sum(&self.parts)
    }

    /// The later half of the rows, to a sixteenth of them.
    pub(super) fn later(&self) -> ProgressiveValidation {
        Self::sum(&self.parts[self.parts.len() / 2..])
    }

    fn sum(parts: &[ProgressiveValidation]) -> ProgressiveValidation {
        parts.iter().fold(ProgressiveValidation::default(), ProgressiveValidation::plus)
    }

    #[cfg(feature = "serde")]
    pub(super) const MOST: usize = PARTS;
}

/// Whether the last quarter of a pass found that the way the coefficients move there still lowers the loss.
///
/// For the rows of that quarter, each before it is learned, Δ is its logit less the logit it had under the
/// coefficients at the quarter's start. Where the learner has arrived, moves are noise, and S = −Σ v ℓ′ Δ has
/// the mean 0.
#[derive(Debug, Clone)]
pub(super) struct Movement {
    /// The coefficients and the intercept at the start of the quarter.
    pub(super) theta: Vec<f64>,
    score: f64,
    squares: f64,
    curvature: f64,
    loss: f64,
}

impl Movement {
    pub(super) fn from(theta: Vec<f64>) -> Self {
        Self { theta, score: 0.0, squares: 0.0, curvature: 0.0, loss: 0.0 }
    }

    #[inline]
    pub(super) fn add(&mut self, delta: f64, at: Derivatives, weight: f64) {
        let pull = -weight * at.gradient * delta;
        self.score += pull;
        self.squares += pull * pull;
        self.curvature += weight * at.hessian.max(0.0) * delta * delta;
        self.loss += weight * at.value;
    }

    pub(super) fn gain(&self) -> Gain {
        let standard_errors = self.score / self.squares.sqrt();
        let share = 0.5 * self.score * self.score / (self.curvature * self.loss);
        Gain { standard_errors, share }
    }
}

/// What going on as in the last quarter of a pass would gain.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(super) struct Gain {
    /// S over its standard error, √Σ (v ℓ′ Δ)².
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub(super) standard_errors: f64,
    /// The share of the loss that the best step along Δ would gain, S²/(2 Σ v ℓ″ Δ²) over Σ v ℓ.
    #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))]
    pub(super) share: f64,
}

impl Gain {
    /// Whether it is sure by so many standard errors and exceeds this share of the loss.
    pub(super) fn exceeds(&self, standard_errors: f64, share: f64) -> bool {
        self.standard_errors > standard_errors && self.share > share
    }
}
