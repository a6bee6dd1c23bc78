//! Quadratic logistic calibration.

use ndarray::{Array1, Array2, array};

use super::apply::{apply_log_odds, finite, times};
use super::monotone_line::{ensure_finite, ensure_overlap, ensure_overlap_both_ways};
use super::report::{Parameter, Solution};
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator, Scale,
    TrainingContext,
};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::exec::simd::LANES;
use crate::fit::{BoundedLogit, Features, Logit, LogitForm, Range, Sample, mean_and_deviation};
use crate::numerics::linalg::sandwich;
use crate::numerics::vector::{logit, sigmoid};

/// Quadratic logistic calibration: log-odds q = a z² + b z + c of the logit z, by maximum likelihood.
///
/// The map that is right if the scores of each class follow normal distributions of different variance; with a = 0
/// it is Platt's line with plain targets. In a comparison of 2026 (arXiv 2605.30188) it was, with splines and beta
/// calibration, among the best three of two classes. Signs are free: where the data say so the map falls, and the
/// report says [where](CalibrationReport::falls). Σp = Σy.
///
/// [`monotone`](Self::monotone) keeps the map from falling: of all maps whose slope b + 2 a z is 0 or above at the
/// lowest and at the highest score, which is all between, it takes the most likely one. That problem is solved as
/// it is, with the two slopes as parameters and 0 as their bound; bounds that hold are in the report.
///
/// **Beyond the scores it learned from** the map goes on along its tangent: a parabola would return to the middle,
/// and give p = 0 to a score of +∞. So a score of ±∞ gets 0 or 1, by the sign of the slope at that end, and the
/// value at that end if the slope is 0.
///
/// - With two different scores a = 0, and with one a = b = 0, the constant base rate.
/// - Scores of one class that lie within a gap of the other's, or on one side of them all, are refused, as the
///   likelihood has no maximum. The monotone form refuses only scores that a threshold splits into those of the
///   negatives and, above, those of the positives; scores that rank the wrong way round give the base rate.
///
/// It learns, from representative rows ([`CalibrationSet::representative`]). Logits of ±∞ are refused in learning.
///
/// Sources: Cox 1958 (the line); Anderson 1975 (the quadratic form, for two normal distributions of different
/// variance); the comparison: arXiv 2605.30188 (2026).
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, QuadraticLogit};
///
/// // Rates whose log-odds are −2, 0 and 4 at z = −1, 0 and 1: z² + 3 z.
/// let sigma = |q: f64| 1.0 / (1.0 + (-q).exp());
/// let rates = [sigma(-2.0), sigma(0.0), sigma(4.0)];
/// let z = [-1.0, -1.0, 0.0, 0.0, 1.0, 1.0];
/// let labels = [true, false, true, false, true, false];
/// let weights: Vec<f64> = rates.iter().flat_map(|rate| [*rate, 1.0 - rate]).collect();
/// let rows = CalibrationSet::from_logits(&z, &labels)?.with_weights(&weights)?;
/// let map = QuadraticLogit::new().learn(&rows)?;
/// assert!((map.a() - 1.0).abs() < 1e-9 && (map.b() - 3.0).abs() < 1e-9 && map.c().abs() < 1e-9);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuadraticLogit {
    monotone: bool,
}

const NAME: &str = "QuadraticLogit";

impl QuadraticLogit {
    /// Free signs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the map is monotone: its slope is 0 or above. Default: false.
    #[must_use]
    pub fn monotone(mut self, monotone: bool) -> Self {
        self.monotone = monotone;
        self
    }
}

impl Calibrator for QuadraticLogit {
    type Map = QuadraticMap;

    fn needs_rows(&self) -> bool {
        true
    }

    fn needs_finite_scores(&self) -> bool {
        true
    }

    /// # Errors
    /// - As for [`CalibrationSet::representative`].
    /// - [`Error::CertainScores`] for an infinite logit in a row with weight.
    /// - [`Error::SeparatedScores`] if the likelihood has no maximum.
    /// - [`Error::Numerical`] if weights or scores are hundreds of orders of magnitude apart.
    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<Self::Map>> {
        let rows = CalibrationSet::representative(rows, NAME)?;
        ensure_finite(NAME, rows)?;
        let sample = rows.sample();
        let [negatives, positives] = sample.class_ranges(|z| z, |_| false);
        let range = negatives.with(positives);
        let parabola = if self.monotone {
            ensure_overlap(NAME, rows, |z| z)?;
            Parabola::rising(sample, range)?
        } else if sample.at_least_distinct(3, |_| true) {
            ensure_no_gap(rows)?;
            Parabola::free(sample, range)?
        } else {
            ensure_overlap_both_ways(NAME, rows)?;
            Parabola::line(sample, true)?
        };
        let (map, solution) = parabola.map(range)?;
        let report = CalibrationReport::of_logits(NAME, rows, solution, move |z| map.at(z))?;
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

/// A fitted parabola of t = (z − centre)/scale.
struct Parabola {
    fit: BoundedLogit,
    /// Of the coefficients that have a bound.
    names: &'static [&'static str],
    /// Centre and scale.
    units: [f64; 2],
    /// From the coefficients and the intercept to those of t², t and 1.
    powers: Array2<f64>,
    /// At the lowest and at the highest score.
    slopes: [f64; 2],
}

impl Parabola {
    fn line(sample: Sample<'_>, free: bool) -> Result<Self> {
        let fit = BoundedLogit::fit(sample, LogitForm { free, ..LogitForm::RISING }, &Logit)?;
        let powers = array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        let slopes = [fit.coefficients[0]; 2];
        Ok(Self { fit, names: &["b"], units: [0.0, 1.0], powers, slopes })
    }

    fn free(sample: Sample<'_>, range: Range) -> Result<Self> {
        let [centre, scale] = mean_and_deviation(sample)?;
        let form = LogitForm { free: true, ..LogitForm::RISING };
        let fit = BoundedLogit::fit(sample, form, &Powers { centre, scale })?;
        let [linear, square] = [fit.coefficients[0], fit.coefficients[1]];
        let slopes = [range.low, range.high]
            .map(|z| (linear + 2.0 * square * ((z - centre) / scale)) / scale);
        let powers = array![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
        Ok(Self { fit, names: &[], units: [centre, scale], powers, slopes })
    }

    /// With slopes of 0 or above; a line if there are only two different scores.
    fn rising(sample: Sample<'_>, Range { low, high }: Range) -> Result<Self> {
        if !sample.at_least_distinct(3, |_| true) {
            return Self::line(sample, false);
        }
        let length = high - low;
        let fit = BoundedLogit::fit(sample, LogitForm::RISING, &EndSlopes { low, length })?;
        let slopes = [fit.coefficients[0] / length, fit.coefficients[1] / length];
        let powers = array![[-0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [-0.5, 0.0, 1.0]];
        let names = &["slope at the lowest score", "slope at the highest score"];
        Ok(Self { fit, names, units: [low, length], powers, slopes })
    }

    fn map(self, range: Range) -> Result<(QuadraticMap, Solution)> {
        let Self { fit, names, units, powers, slopes } = self;
        let found: Array1<f64> = fit.coefficients.iter().chain([&fit.intercept]).copied().collect();
        let in_units = powers.dot(&found);
        let map =
            QuadraticMap { units, powers: [in_units[0], in_units[1], in_units[2]], range, slopes };
        if let Some(value) = [map.a(), map.b(), map.c()].into_iter().find(|x| x.is_nan()) {
            return Err(Error::Numerical {
                what: "a parameter of the parabola".into(),
                value,
                remedy: "the scores differ by too much for f64: multiply them by a constant, or clip them",
            });
        }
        let covariance = sandwich(&powers.t(), &fit.covariance.view());
        let covariance = sandwich(&map.units_to_scores().t(), &covariance.view());
        let parameter = |(i, (name, value)): (usize, (&str, f64))| {
            let error = covariance[(i, i)].sqrt();
            Parameter::new(name, value, Some(error).filter(|error| error.is_finite()))
        };
        let named = [("a", map.a()), ("b", map.b()), ("c", map.c())];
        let parameters = named.into_iter().enumerate().map(parameter).collect();
        let solution = Solution { parameters, falls: map.falls(), ..Solution::of(&fit, names) };
        Ok((map, solution))
    }
}

/// Refuses rows that a parabola separates: one class has no score strictly between those of the other.
fn ensure_no_gap(rows: &CalibrationSet<'_>) -> Result<()> {
    let sample = rows.sample();
    let ranges = sample.class_ranges(|z| z, |_| false);
    let between = |class: usize| {
        let Range { low, high } = ranges[1 - class];
        sample.rows().any(|(z, label)| usize::from(label) == class && low < z && z < high)
    };
    if between(0) && between(1) {
        return Ok(());
    }
    let kind = " (or two of them, with one class between)";
    Err(Error::SeparatedScores { calibrator: NAME, kind })
}

/// t and t² of t = (z − centre)/scale.
struct Powers {
    centre: f64,
    scale: f64,
}

impl Features for Powers {
    fn columns(&self) -> usize {
        2
    }

    #[inline(always)]
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
        for lane in 0..LANES {
            let t = (z[lane] - self.centre) / self.scale;
            (x[0][lane], x[1][lane]) = (t, t * t);
        }
    }
}

/// The parabola of t = (z − low)/length whose slopes at t = 0 and 1 are the coefficients: the integrals of 1 − t, less
/// ½, and of t.
struct EndSlopes {
    low: f64,
    length: f64,
}

impl Features for EndSlopes {
    fn columns(&self) -> usize {
        2
    }

    #[inline(always)]
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
        for lane in 0..LANES {
            let t = (z[lane] - self.low) / self.length;
            (x[0][lane], x[1][lane]) = (-0.5 * (1.0 - t) * (1.0 - t), 0.5 * t * t);
        }
    }
}

/// The map of a [`QuadraticLogit`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuadraticMap {
    /// Centre and scale.
    units: [f64; 2],
    /// a, b and c in these units.
    powers: [f64; 3],
    /// The scores it was learned from, and its slopes at their ends.
    range: Range,
    slopes: [f64; 2],
}

impl QuadraticMap {
    /// The map σ(a z² + b z + c) for logits z from `range.0` to `range.1`, continued by its tangents beyond them.
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, QuadraticMap};
    ///
    /// let calibration = Calibration::new(QuadraticMap::new(0.5, 1.0, 0.0, (-1.0, 2.0))?);
    /// assert_eq!(calibration.logit(2.0), 4.0);
    /// assert_eq!(calibration.logit(3.0), 4.0 + 3.0); // the slope at 2 is 3
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless all numbers, the slopes and the values at both ends are finite and the range ascends.
    pub fn new(a: f64, b: f64, c: f64, range: (f64, f64)) -> Result<Self> {
        let slopes = [range.0, range.1].map(|z| 2.0 * a * z + b);
        Self::from_units([0.0, 1.0], [a, b, c], range, slopes)
    }

    /// The same, in units (z − centre)/scale.
    fn from_units(
        units: [f64; 2],
        powers: [f64; 3],
        (low, high): (f64, f64),
        slopes: [f64; 2],
    ) -> Result<Self> {
        finite("centre", units[0])?;
        if !(units[1] > 0.0 && units[1].is_finite()) {
            return Err(Error::invalid("scale", units[1], "positive and finite"));
        }
        if !(low <= high && low.is_finite() && high.is_finite()) {
            let expected = "two finite numbers in ascending order";
            return Err(Error::invalid("range", format!("({low}, {high})"), expected));
        }
        let map = Self { units, powers, range: Range { low, high }, slopes };
        let ends = [map.at(low), map.at(high)];
        powers.iter().try_for_each(|power| finite("coefficients", *power).map(drop))?;
        slopes.iter().try_for_each(|slope| finite("slopes", *slope).map(drop))?;
        ends.iter().try_for_each(|end| finite("value at an end", *end).map(drop))?;
        Ok(map)
    }

    /// The coefficient of z².
    #[must_use]
    pub fn a(&self) -> f64 {
        self.coefficient(0)
    }

    /// The coefficient of z.
    #[must_use]
    pub fn b(&self) -> f64 {
        self.coefficient(1)
    }

    /// The constant.
    #[must_use]
    pub fn c(&self) -> f64 {
        self.coefficient(2)
    }

    /// The lowest and the highest score it was learned from, beyond which it is linear.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        (self.range.low, self.range.high)
    }

    fn coefficient(&self, i: usize) -> f64 {
        let to_z = self.units_to_scores();
        (0..3).map(|j| to_z[(i, j)] * self.powers[j]).sum()
    }

    /// From the coefficients of t = (z − centre)/scale to those of z.
    fn units_to_scores(&self) -> Array2<f64> {
        let [m, s] = self.units;
        array![
            [1.0 / s / s, 0.0, 0.0],
            [-2.0 * m / s / s, 1.0 / s, 0.0],
            [m / s * (m / s), -m / s, 1.0],
        ]
    }

    /// Where the slope, which is linear between its ends and constant beyond them, is negative.
    fn falls(&self) -> Vec<(f64, f64)> {
        let [first, last] = self.slopes;
        let turn = self.range.low + (self.range.high - self.range.low) * (first / (first - last));
        match (first < 0.0, last < 0.0) {
            (false, false) => Vec::new(),
            (true, true) => vec![(f64::NEG_INFINITY, f64::INFINITY)],
            (true, false) => vec![(f64::NEG_INFINITY, turn)],
            (false, true) => vec![(turn, f64::INFINITY)],
        }
    }

    #[inline(always)]
    fn at(&self, z: f64) -> f64 {
        let Range { low, high } = self.range;
        let (inside, [centre, scale], [a, b, c]) = (z.clamp(low, high), self.units, self.powers);
        let t = (inside - centre) / scale;
        c + t * (b + a * t)
            + times(if z > high { self.slopes[1] } else { self.slopes[0] }, z - inside)
    }
}

impl CalibrationMap for QuadraticMap {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        self.at(z)
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        sigmoid(self.at(z))
    }

    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        let map = *self;
        match scale {
            Scale::Logit => apply_log_odds(scores, move |z| map.at(z)),
            Scale::Probability => apply_log_odds(scores, move |p| map.at(logit(p))),
        }
    }

    fn describe(&self) -> String {
        format!("quadratic logit: σ({:.4} z² {:+.4} z {:+.4})", self.a(), self.b(), self.c())
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some((*self).into())
    }

    saved_as_part!();
}

stored!(QuadraticLogit as "quadratic_logit", |quadratic| {
    monotone: bool = quadratic.monotone,
} => Ok(Self { monotone }));

stored!(QuadraticMap as "quadratic", |map| {
    centre: f64 = map.units[0],
    scale: f64 = map.units[1],
    powers: [f64; 3] = map.powers,
    range: (f64, f64) = map.range(),
    slopes: [f64; 2] = map.slopes,
} => Self::from_units([centre, scale], powers, range, slopes));
