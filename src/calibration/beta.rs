//! Beta calibration.

use std::f64::consts::LN_2;

use super::apply::{Line, LogOdds, apply_log_odds, finite, times};
use super::monotone_line::{MonotoneLine, ensure_finite, ensure_overlap};
use super::report::{Solution, says_nothing};
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator, Scale,
    TrainingContext,
};
use crate::core::{Error, Result, saved_as_part, stored};
use crate::exec::simd::LANES;
use crate::fit::{BoundedLogit, Features, Logit, LogitForm};
use crate::numerics::vector::{ln, ln_1m, log_parts, sigmoid};

/// Beta calibration: log-odds q = a ln p − b ln(1 − p) + c of the score p = σ(z), with a, b ≥ 0, by
/// maximum likelihood.
///
/// The map that is right if the scores of each class follow a beta distribution. With a = b = 1, c = 0
/// it is the identity, which no Platt scaling of probabilities is; a sets the slope near p = 0, b near p = 1. For rare events b is hardly determined, as the report's standard errors show.
///
/// | form | constraint | free |
/// |---|---|---|
/// | [`abm`](Self::abm) | | a, b, c |
/// | [`am`](Self::am) | a = b: Platt's line on the logit with plain targets | a, c |
/// | [`ab`](Self::ab) | ½ maps to ½: c = (a − b) ln 2 | a, b |
///
/// In place of c the source has the point m that maps to ½: c = b ln(1 − m) − a ln m. The bounds a, b ≥ 0
/// keep the map from falling. They belong to the problem that is **solved** (an active-set Newton method;
/// the log-likelihood is concave), where other programs solve without them, and drop a variable
/// if its coefficient came out negative. Bounds that hold are in the report. Where c is free, Σp = Σy.
///
/// - Scores that rank the wrong way round, or that are all equal, give a = b = 0, the constant base rate.
///   The form `ab` has no constant but ½: reversed scores get that, and scores that are all equal the
///   base rate only if it lies on their side of ½.
/// - With fewer different scores than it takes to tell a from b (three for `abm`, for `ab` two other than
///   ½), a = b.
/// - Scores that a threshold splits into those of the negatives and, above, those of the positives are
///   refused, as the likelihood has no maximum (for `ab`, if the threshold is p = ½).
///
/// It learns from representative rows ([`CalibrationSet::representative`]). Logits of ±∞ are refused in
/// learning and mapped to 0 or 1 afterwards (unless a or b is 0).
///
/// Source: M. Kull, T. Silva Filho and P. Flach, *Beta calibration: a well-founded and easily implemented
/// improvement on logistic calibration for binary classifiers*, AISTATS 2017.
///
/// ```
/// use imbalance::calibration::{BetaCalibration, CalibrationSet, Calibrator};
///
/// let p = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// let labels = [false, false, true, false, false, true, false, true, true];
/// let set = CalibrationSet::from_probabilities(&p, &labels)?;
/// let map = BetaCalibration::abm().learn(&set)?;
/// let (a, b) = (map.a(), map.b());
/// assert!(a >= 0.0 && b >= 0.0);
/// let predicted: f64 = map.probabilities_of(&p)?.iter().sum();
/// assert!((predicted - 4.0).abs() < 1e-9);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BetaCalibration {
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
enum Form {
    Abm,
    Am,
    Ab,
}

const NAME: &str = "BetaCalibration";

impl BetaCalibration {
    /// Three parameters: a, b and c free.
    #[must_use]
    pub fn abm() -> Self {
        Self { form: Form::Abm }
    }

    /// Two parameters: a = b.
    #[must_use]
    pub fn am() -> Self {
        Self { form: Form::Am }
    }

    /// Two parameters: the map goes through (½, ½).
    #[must_use]
    pub fn ab() -> Self {
        Self { form: Form::Ab }
    }
}

impl Default for BetaCalibration {
    /// [`abm`](Self::abm).
    fn default() -> Self {
        Self::abm()
    }
}

impl Calibrator for BetaCalibration {
    type Map = BetaMap;

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
        let (map, solution) = match self.form {
            Form::Abm if rows.sample().at_least_distinct(3, |_| true) => abm(rows)?,
            Form::Abm | Form::Am => am(rows)?,
            Form::Ab => ab(rows)?,
        };
        let report = match map.line() {
            Some(line) => CalibrationReport::of_logits(NAME, rows, solution, move |z| line.at(z))?,
            None => CalibrationReport::of_logits(NAME, rows, solution, Bent(map))?,
        };
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

fn abm(rows: &CalibrationSet<'_>) -> Result<(BetaMap, Solution)> {
    ensure_overlap(NAME, rows, |z| z)?;
    let fit = BoundedLogit::fit(rows.sample(), LogitForm::RISING, &Logs)?;
    let map = BetaMap { a: fit.coefficients[0], b: fit.coefficients[1], c: fit.intercept };
    Ok((map, Solution::of(&fit, &["a", "b", "c"])))
}

fn am(rows: &CalibrationSet<'_>) -> Result<(BetaMap, Solution)> {
    let line = MonotoneLine::fit(NAME, rows, [0.0; 2], ["a", "c"], &Logit, |z| z)?;
    Ok((BetaMap { a: line.slope, b: line.slope, c: line.intercept }, line.solution))
}

fn ab(rows: &CalibrationSet<'_>) -> Result<(BetaMap, Solution)> {
    ensure_overlap_at_half(NAME, rows)?;
    let (sample, form) = (rows.sample(), LogitForm { intercept: false, ..LogitForm::RISING });
    // At p = ½ both columns are 0, whatever a and b.
    let (a, b, solution) = if sample.at_least_distinct(2, |z| z != 0.0) {
        let fit = BoundedLogit::fit(sample, form, &LogsFromHalf)?;
        (fit.coefficients[0], fit.coefficients[1], Solution::of(&fit, &["a", "b"]))
    } else {
        let fit = BoundedLogit::fit(sample, form, &Logit)?;
        (fit.coefficients[0], fit.coefficients[0], Solution::of(&fit, &["a"]))
    };
    Ok((BetaMap { a, b, c: (a - b) * LN_2 }, solution))
}

/// ln p and −ln(1 − p).
struct Logs;

impl Features for Logs {
    fn columns(&self) -> usize {
        2
    }

    #[inline(always)]
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
        // An array of a known length, for vector instructions.
        let mut logs = [[0.0; LANES]; 2];
        for lane in 0..LANES {
            (logs[0][lane], logs[1][lane]) = log_parts(z[lane]);
        }
        x.copy_from_slice(&logs);
    }
}

/// ln 2p and −ln 2(1 − p), which are 0 at p = ½.
struct LogsFromHalf;

impl Features for LogsFromHalf {
    fn columns(&self) -> usize {
        2
    }

    #[inline(always)]
    fn write(&self, z: &[f64; LANES], x: &mut [[f64; LANES]]) {
        Logs.write(z, x);
        x[0].iter_mut().for_each(|x| *x += LN_2);
        x[1].iter_mut().for_each(|x| *x -= LN_2);
    }
}

/// Refuses rows whose classes p = ½ separates: without an intercept the likelihood is unbounded. Rows that
/// are all at ½ pass.
pub(super) fn ensure_overlap_at_half(
    calibrator: &'static str,
    rows: &CalibrationSet<'_>,
) -> Result<()> {
    let mut decided = false;
    for (row, (&z, &label)) in rows.logits().iter().zip(rows.labels()).enumerate() {
        if rows.weight(row) > 0.0 && z != 0.0 {
            if label != (z > 0.0) {
                return Ok(());
            }
            decided = true;
        }
    }
    if decided {
        return Err(Error::SeparatedScores { calibrator, kind: " at p = ½" });
    }
    Ok(())
}

/// The map of a [`BetaCalibration`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaMap {
    a: f64,
    b: f64,
    c: f64,
}

impl BetaMap {
    /// The map σ(a ln p − b ln(1 − p) + c) of the probability p.
    ///
    /// ```
    /// use imbalance::calibration::{BetaMap, Calibration};
    ///
    /// let calibration = Calibration::new(BetaMap::new(1.0, 1.0, 0.5)?);
    /// assert_eq!(calibration.logit(-2.0), -1.5);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless a and b are finite and not negative and c is finite.
    pub fn new(a: f64, b: f64, c: f64) -> Result<Self> {
        let coefficient = |argument, value: f64| {
            if value >= 0.0 && value.is_finite() {
                Ok(value)
            } else {
                Err(Error::invalid(argument, value, "finite and not negative"))
            }
        };
        Ok(Self { a: coefficient("a", a)?, b: coefficient("b", b)?, c: finite("c", c)? })
    }

    /// The coefficient of ln p, at least 0.
    #[must_use]
    pub fn a(&self) -> f64 {
        self.a
    }

    /// The coefficient of −ln(1 − p), at least 0.
    #[must_use]
    pub fn b(&self) -> f64 {
        self.b
    }

    /// The constant.
    #[must_use]
    pub fn c(&self) -> f64 {
        self.c
    }

    /// The line on the logit z = ln p − ln(1 − p), if the map is one.
    fn line(&self) -> Option<Line> {
        (self.a == self.b).then_some(Line { slope: self.a, intercept: self.c })
    }

    #[inline(always)]
    fn combine(&self, ln_p: f64, minus_ln_q: f64) -> f64 {
        times(self.a, ln_p) + times(self.b, minus_ln_q) + self.c
    }
}

/// The log-odds of a map that is no line.
struct Bent(BetaMap);

impl LogOdds for Bent {
    #[inline(always)]
    fn log_odds(&self, z: f64) -> f64 {
        let (ln_p, minus_ln_q) = log_parts(z);
        self.0.combine(ln_p, minus_ln_q)
    }
}

impl CalibrationMap for BetaMap {
    #[inline]
    fn logit(&self, z: f64) -> f64 {
        self.line().map_or_else(|| Bent(*self).log_odds(z), |line| line.at(z))
    }

    #[inline]
    fn probability(&self, z: f64) -> f64 {
        sigmoid(self.logit(z))
    }

    /// For probabilities from the logarithms of p and 1 − p themselves, unless the map is a line.
    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        let map = *self;
        match (self.line(), scale) {
            (Some(line), scale) => line.apply(scale, scores),
            (None, Scale::Logit) => apply_log_odds(scores, Bent(map)),
            (None, Scale::Probability) => {
                apply_log_odds(scores, move |p| map.combine(ln(p), -ln_1m(p)));
            }
        }
    }

    fn describe(&self) -> String {
        let Self { a, b, c } = self;
        if *a == 0.0 && *b == 0.0 {
            return format!("beta calibration: {}", says_nothing(*c));
        }
        format!("beta calibration: {a:.4} ln p − {b:.4} ln(1 − p) {c:+.4}")
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some((*self).into())
    }

    saved_as_part!();
}

stored!(BetaCalibration as "beta_calibration", |beta| {
    form: Form = beta.form,
} => Ok(Self { form }));

stored!(BetaMap as "beta", |map| {
    a: f64 = map.a,
    b: f64 = map.b,
    c: f64 = map.c,
} => Self::new(a, b, c));
