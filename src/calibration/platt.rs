//! Platt scaling.

use super::columns::{Features, Logit};
use super::log_odds::{Line, LogOdds, map_block};
use super::rising::{RisingLine, need_finite};
use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::Result;
use crate::numerics::vector::sigmoid;

/// Platt scaling: p = σ(a s + b) by maximum likelihood, on logits s = z by default (equation 16).
///
/// The targets are Platt's smoothed ones, (W₊ + 1)/(W₊ + 2) for positives and 1/(W₋ + 2) for negatives,
/// so a finite solution exists even for scores that separate the classes; Σp equals the sum of these
/// targets. With [`plain_targets`](Self::plain_targets), 0 and 1, Σp = Σy, and scores that separate the
/// classes are refused. The likelihood is maximised by Newton's method with backtracking (Lin, Lin &
/// Weng 2007).
///
/// The map never falls: scores that rank the classes the wrong way round, or are all equal, get the
/// constant map, the mean of the targets.
///
/// It learns, so it needs rows that are a fair sample of the population, which the model has not
/// seen. What sampler and loss did to the logits is learned with the rest. Logits of ±∞ are refused in
/// learning, as no line holds them, and mapped to 0 or 1 afterwards.
///
/// [`on_probabilities`](Self::on_probabilities) is the form as printed, with s = σ(z) in \[0, 1\]. For
/// rare positives it is a poor one: all scores crowd at 0, and no line through them follows log-odds.
/// It takes logits of ±∞ too, as s = 0 and 1.
///
/// Source: Platt 1999.
///
/// ```
/// use imbalance::calibration::{Calibrate, Calibrator, PlattScaling, Scored};
///
/// // Scores that are twice too sure: 9 in 12 come true where 9 in 10 are promised.
/// let logits: Vec<f64> = (0..2400).map(|i| if i < 1200 { -1.0 } else { 1.0 } * 9_f64.ln()).collect();
/// let labels: Vec<bool> = (0..2400).map(|i| (i < 1200) == (i % 12 < 3)).collect();
/// let map = PlattScaling::new().fit(&Scored::from_logits(&logits, &labels)?)?;
/// // Half the slope, but for the smoothing of the targets.
/// assert!((map.slope() - 0.5).abs() < 2e-3);
/// assert!((map.probability(9_f64.ln()) - 0.75).abs() < 2e-3);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlattScaling {
    on_probabilities: bool,
    plain_targets: bool,
}

const NAME: &str = "PlattScaling";

impl PlattScaling {
    /// Platt scaling on logits, with smoothed targets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As printed: a line on the probability s = σ(z) in place of the logit.
    #[must_use]
    pub fn on_probabilities(self) -> Self {
        Self { on_probabilities: true, ..self }
    }

    /// Targets 0 and 1 in place of the smoothed ones.
    #[must_use]
    pub fn plain_targets(self) -> Self {
        Self { plain_targets: true, ..self }
    }
}

impl Calibrator for PlattScaling {
    type Fitted = FittedPlattScaling;

    fn learns(&self) -> bool {
        true
    }

    /// # Errors
    /// - As for [`Scored::need_fair_rows`].
    /// - [`NonFinite`](crate::Error::NonFinite) for an infinite logit in a row with weight, unless on
    ///   probabilities.
    /// - [`SeparatedScores`](crate::Error::SeparatedScores) with plain targets, if a threshold splits the
    ///   scores into those of the negatives and, above, those of the positives.
    /// - [`Numerical`](crate::Error::Numerical) if weights or scores are hundreds of orders of magnitude
    ///   apart.
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        held_out.need_fair_rows(NAME)?;
        if !self.on_probabilities {
            need_finite(held_out)?;
        }
        let totals = held_out.totals();
        let misses = if self.plain_targets {
            [0.0; 2]
        } else {
            [totals.negative_weight, totals.positive_weight].map(|weight| 1.0 / (weight + 2.0))
        };
        let Self { on_probabilities, .. } = *self;
        let names = ["a", "b"];
        let line = if on_probabilities {
            RisingLine::fit(NAME, held_out, misses, names, &Probability)?
        } else {
            RisingLine::fit(NAME, held_out, misses, names, &Logit)?
        };
        let map = Line { slope: line.slope, intercept: line.intercept };
        let report = if on_probabilities {
            CalibrationReport::of_logits(NAME, held_out, line.solution, &OnProbabilities(map))
        } else {
            CalibrationReport::of_logits(NAME, held_out, line.solution, &map)
        };
        Ok(FittedPlattScaling { map, on_probabilities, report })
    }
}

/// A fitted [`PlattScaling`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedPlattScaling {
    map: Line,
    on_probabilities: bool,
    report: CalibrationReport,
}

impl FittedPlattScaling {
    /// The slope a ≥ 0; below 1, the scores were too sure of themselves.
    #[must_use]
    pub fn slope(&self) -> f64 {
        self.map.slope
    }

    /// The intercept b.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.map.intercept
    }
}

impl Calibrate for FittedPlattScaling {
    #[inline]
    fn probability(&self, logit: f64) -> f64 {
        sigmoid(self.calibrated_logit(logit))
    }

    #[inline]
    fn calibrated_logit(&self, score: f64) -> f64 {
        if self.on_probabilities {
            OnProbabilities(self.map).logit(score)
        } else {
            self.map.logit(score)
        }
    }

    /// The form is asked for once a block: vector instructions would compute both for every score.
    fn map_block(&self, logits: &[f64], out: &mut [f64]) {
        if self.on_probabilities {
            map_block(&OnProbabilities(self.map), logits, out);
        } else {
            map_block(&self.map, logits, out);
        }
    }

    fn report(&self) -> Option<&CalibrationReport> {
        Some(&self.report)
    }

    fn describe(&self) -> String {
        let Line { slope, intercept } = self.map;
        let score = if self.on_probabilities { "σ(z)" } else { "z" };
        let iterations = self.report.iterations;
        format!("Platt scaling: σ({slope:.4} {score} {intercept:+.4}), {iterations} iterations")
    }
}

/// s = σ(z).
struct Probability;

impl Features<1> for Probability {
    #[inline(always)]
    fn of(&self, z: f64) -> [f64; 1] {
        [sigmoid(z)]
    }
}

/// slope · σ(z) + intercept.
struct OnProbabilities(Line);

impl LogOdds for OnProbabilities {
    #[inline(always)]
    fn logit(&self, z: f64) -> f64 {
        self.0.logit(sigmoid(z))
    }
}
