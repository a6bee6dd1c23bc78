//! Platt scaling.

use super::apply::{Line, apply_log_odds};
use super::monotone_line::{MonotoneLine, ensure_finite};
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator, Scale,
    TrainingContext,
};
use crate::core::{Result, saved_as_part, stored};
use crate::exec::simd::LANES;
use crate::fit::{Features, Logit};
use crate::numerics::vector::{logit, sigmoid, sigmoids};

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
/// It learns from rows that are representative of the population and that the model has not seen, and corrects
/// what sampler and loss did to the logits. Logits of ±∞ are refused in learning, as no line goes through
/// them, and mapped to 0 or 1 afterwards.
///
/// [`on_probabilities`](Self::on_probabilities) is the form as printed, with s = σ(z) in \[0, 1\]. For
/// rare positives it is a poor one: all scores lie close to 0, and a line through them does not follow the
/// log-odds. It takes logits of ±∞ too, as s = 0 and 1. Where the form is printed as 1/(1 + e^{A s + B}), as in Platt
/// 1999, both signs are reversed: a = −A and b = −B.
///
/// Source: J. Platt, *Probabilistic outputs for support vector machines and comparisons to regularized
/// likelihood methods*, 1999.
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, PlattScaling};
///
/// // Scores that are twice too sure: 9 in 12 come true where 9 in 10 are promised.
/// let logits: Vec<f64> = (0..2400).map(|i| if i < 1200 { -1.0 } else { 1.0 } * 9_f64.ln()).collect();
/// let labels: Vec<bool> = (0..2400).map(|i| (i < 1200) == (i % 12 < 3)).collect();
/// let set = CalibrationSet::from_logits(&logits, &labels)?;
/// let map = PlattScaling::new().learn(&set)?;
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

    /// Whether the line is on the probability s = σ(z), as printed, and not on the logit. Default: false.
    #[must_use]
    pub fn on_probabilities(self, on_probabilities: bool) -> Self {
        Self { on_probabilities, ..self }
    }

    /// Whether the targets are 0 and 1 and not the smoothed ones. Default: false.
    #[must_use]
    pub fn plain_targets(self, plain_targets: bool) -> Self {
        Self { plain_targets, ..self }
    }
}

impl Calibrator for PlattScaling {
    type Map = PlattMap;

    fn needs_rows(&self) -> bool {
        true
    }

    fn needs_finite_scores(&self) -> bool {
        !self.on_probabilities
    }

    /// # Errors
    /// - As for [`CalibrationSet::representative`].
    /// - [`CertainScores`](crate::Error::CertainScores) for an infinite logit in a row with weight, unless on
    ///   probabilities.
    /// - [`SeparatedScores`](crate::Error::SeparatedScores) with plain targets, if a threshold splits the
    ///   scores into those of the negatives and, above, those of the positives.
    /// - [`Numerical`](crate::Error::Numerical) if weights or scores are hundreds of orders of magnitude
    ///   apart.
    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        let rows = CalibrationSet::representative(rows, NAME)?;
        let totals = rows.totals();
        let offsets = if self.plain_targets {
            [0.0; 2]
        } else {
            [totals.negative_weight, totals.positive_weight].map(|weight| 1.0 / (weight + 2.0))
        };
        let names = ["a", "b"];
        let fit = if self.on_probabilities {
            MonotoneLine::fit(NAME, rows, offsets, names, &Probability, sigmoid)?
        } else {
            ensure_finite(NAME, rows)?;
            MonotoneLine::fit(NAME, rows, offsets, names, &Logit, |z| z)?
        };
        let line = Line { slope: fit.slope, intercept: fit.intercept };
        let report = if self.on_probabilities {
            let log_odds = move |z| line.at(sigmoid(z));
            CalibrationReport::of_logits(NAME, rows, fit.solution, log_odds)?
        } else {
            CalibrationReport::of_logits(NAME, rows, fit.solution, move |z| line.at(z))?
        };
        let map = PlattMap { line, on_probabilities: self.on_probabilities };
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

/// The map of a [`PlattScaling`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlattMap {
    line: Line,
    on_probabilities: bool,
}

impl PlattMap {
    /// The map σ(a z + b) of logits z.
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, PlattMap};
    ///
    /// let calibration = Calibration::new(PlattMap::new(0.5, -1.0)?);
    /// assert_eq!(calibration.logit(2.0), 0.0);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless a is finite and not negative and b is finite.
    pub fn new(slope: f64, intercept: f64) -> Result<Self> {
        Ok(Self { line: Line::rising(slope, intercept)?, on_probabilities: false })
    }

    /// The same line on s = σ(z) in place of z. Default: false.
    #[must_use]
    pub fn on_probabilities(self, on_probabilities: bool) -> Self {
        Self { on_probabilities, ..self }
    }

    /// The slope a ≥ 0; below 1, the scores were too far from one half.
    #[must_use]
    pub fn slope(&self) -> f64 {
        self.line.slope
    }

    /// The intercept b.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.line.intercept
    }
}

impl CalibrationMap for PlattMap {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        self.line.at(if self.on_probabilities { sigmoid(z) } else { z })
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        sigmoid(self.logit(z))
    }

    /// The form is asked for once a block: vector instructions would compute both for every score.
    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        let line = self.line;
        match (self.on_probabilities, scale) {
            (false, scale) => line.apply(scale, scores),
            (true, Scale::Logit) => apply_log_odds(scores, move |z| line.at(sigmoid(z))),
            // By way of the logit, to agree with the map of logits in every bit.
            (true, Scale::Probability) => {
                apply_log_odds(scores, move |p| line.at(sigmoid(logit(p))));
            }
        }
    }

    fn describe(&self) -> String {
        let Line { slope, intercept } = self.line;
        let score = if self.on_probabilities { "σ(z)" } else { "z" };
        format!("Platt scaling: σ({slope:.4} {score} {intercept:+.4})")
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some((*self).into())
    }

    saved_as_part!();
}

/// s = σ(z).
struct Probability;

impl Features for Probability {
    fn columns(&self) -> usize {
        1
    }

    #[inline(always)]
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
        x[0] = *z;
        sigmoids(&mut x[0]);
    }
}

stored!(PlattScaling as "platt_scaling", |platt| {
    on_probabilities: bool = platt.on_probabilities,
    plain_targets: bool = platt.plain_targets,
} => Ok(Self { on_probabilities, plain_targets }));

stored!(PlattMap as "platt", |map| {
    slope: f64 = map.line.slope,
    intercept: f64 = map.line.intercept,
    on_probabilities: bool = map.on_probabilities,
} => Self::new(slope, intercept).map(|map| map.on_probabilities(on_probabilities)));
