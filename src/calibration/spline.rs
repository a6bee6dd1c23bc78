//! Spline calibration.

use super::apply::{apply_log_odds, finite, times};
use super::monotone_line::{ensure_finite, ensure_overlap, ensure_overlap_both_ways};
use super::report::{Parameter, Solution};
use super::{
    BuiltInMap, Calibration, CalibrationMap, CalibrationReport, CalibrationSet, Calibrator, Scale,
    TrainingContext,
};
use crate::core::{Error, Meter, Result, saved_as_part, stored};
use crate::fit::{
    BoundedLogit, Cubic, Logit, LogitForm, MAX_COLUMNS, NaturalSpline, Penalised, interval, value,
};
use crate::numerics::vector::{logit, sigmoid};

/// Spline calibration: log-odds f(z) that are a natural cubic spline of the logit z, by penalised maximum likelihood.
///
/// ```text
/// minimise  Σ w ℓ(f(z), y) / Σ w + (λ/2) ∫ f''(z)² dz
/// ```
///
/// λ → ∞ is Platt's line with plain targets, λ → 0 a regression spline. In a comparison of 2026 (arXiv 2605.30188) it was,
/// with the quadratic logit and beta calibration, among the best three of two classes. Σp = Σy.
///
/// **Knots** lie at the quantiles (k − ½)/K of the positives' scores, weighted, for k = 1 … K: the positives, which
/// are rare, say where the map can bend. Equal ones count once; with fewer than three different knots the map is a
/// line. Beyond the outermost knots it is linear.
///
/// **λ** is chosen by generalised cross-validation for a Bernoulli likelihood (the approximation of Gu and Xiang),
/// among the 31 values p̄(1 − p̄) L³ 10^(k/2), k = −18 … 12, with p̄ the base rate and L the distance of the outermost
/// knots. The criterion for normal errors, deviance · n/(n − df)², would take the deviance
/// for an estimate of the noise: with rare positives it is far below 1, and the map would bend with every positive.
/// From 65,536 rows on, λ is chosen for a summary of the rows in bins, and the map then fitted to all.
/// [`lambda`](Self::lambda) gives it instead, on the scale of z.
///
/// **Where it is not monotone** the report says ([`CalibrationReport::falls`]). [`monotone`](Self::monotone) keeps it
/// from falling: the slope is a combination of B-splines with coefficients of 0 or above, so that the map is one of
/// Ramsay's I-splines. That is sufficient for a rising cubic spline, and all but necessary.
///
/// - Scores that a threshold splits by class are refused, as the penalty leaves lines free and the likelihood has no
///   maximum. In the monotone form scores that rank the wrong way round give the base rate.
/// - A score of ±∞ gets 0 or 1, by the sign of the slope at that end, or the constant if the slope is 0.
///
/// It learns, from representative rows ([`CalibrationSet::representative`]). Logits of ±∞ are refused in learning.
///
/// Sources: Green & Silverman 1994 (natural splines, roughness); Gu & Xiang 2001, "Cross-validating non-Gaussian
/// data: generalized approximate cross-validation revisited"; Ramsay 1988, "Monotone regression splines in action";
/// the comparison: arXiv 2605.30188 (2026).
///
/// ```
/// use imbalance::calibration::{CalibrationSet, Calibrator, SplineCalibration};
///
/// let z: Vec<f64> = (0..4_000).map(|i| f64::from(i % 400) * 0.02 - 4.0).collect();
/// let labels: Vec<bool> = (0..4_000).map(|i| i / 400 < if z[i as usize] > 0.0 { 6 } else { 1 }).collect();
/// let map = SplineCalibration::new().learn(&CalibrationSet::from_logits(&z, &labels)?)?;
/// // A step from 0.1 to 0.6, which no line follows.
/// assert!(map.effective_df() > 4.0);
/// assert!((map.probability(-2.5) - 0.1).abs() < 0.05 && (map.probability(2.5) - 0.6).abs() < 0.05);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplineCalibration {
    knots: usize,
    lambda: Option<f64>,
    monotone: bool,
}

const NAME: &str = "SplineCalibration";

impl Default for SplineCalibration {
    fn default() -> Self {
        Self::new()
    }
}

impl SplineCalibration {
    /// Eight knots, λ by cross-validation, free to fall.
    #[must_use]
    pub fn new() -> Self {
        Self { knots: 8, lambda: None, monotone: false }
    }

    /// The number of knots. Default: 8.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless it is from 3 to 17.
    pub fn knots(mut self, knots: usize) -> Result<Self> {
        if !(3..=MAX_COLUMNS + 1).contains(&knots) {
            return Err(Error::invalid("knots", knots, format!("from 3 to {}", MAX_COLUMNS + 1)));
        }
        self.knots = knots;
        Ok(self)
    }

    /// The weight λ of the roughness. Default: by cross-validation.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless it is positive and finite.
    pub fn lambda(mut self, lambda: f64) -> Result<Self> {
        if !(lambda > 0.0 && lambda.is_finite()) {
            return Err(Error::invalid("lambda", lambda, "positive and finite"));
        }
        self.lambda = Some(lambda);
        Ok(self)
    }

    /// Whether the map is monotone: its slope is 0 or above. Default: false.
    #[must_use]
    pub fn monotone(mut self, monotone: bool) -> Self {
        self.monotone = monotone;
        self
    }
}

impl Calibrator for SplineCalibration {
    type Map = SplineMap;

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
        if self.monotone {
            ensure_overlap(NAME, rows, |z| z)?;
        } else {
            ensure_overlap_both_ways(NAME, rows)?;
        }
        let (map, mut solution) = match quantiles(rows, self.knots)? {
            knots if knots.len() > 2 => {
                self.spline(rows, &NaturalSpline::new(knots, !self.monotone))?
            }
            _ => self.line(rows)?,
        };
        // Knots that lie orders of magnitude closer to each other than to the next take coefficients beyond f64.
        let logits = rows.logits().iter().enumerate().filter(|&(row, _)| rows.weight(row) > 0.0);
        if let Some(value) = logits.map(|(_, &z)| map.at(z)).find(|q| !q.is_finite()) {
            return Err(Error::Numerical {
                what: "the calibrated logit of a row".into(),
                value,
                remedy: "the scores differ by many orders of magnitude: take fewer `knots`, or `PlattScaling`",
            });
        }
        if !self.monotone {
            solution.falls = map.falls();
        }
        let report = CalibrationReport::of_logits(NAME, rows, solution, |z| map.at(z))?;
        Ok(Calibration::learned(map, report))
    }

    saved_as_part!();
}

impl SplineCalibration {
    fn spline(
        &self,
        rows: &CalibrationSet<'_>,
        spline: &NaturalSpline,
    ) -> Result<(SplineMap, Solution)> {
        // f'' in units of the length is length² times f'', and dz length times du.
        let scale = spline.length().powi(3);
        let lambda = self.lambda.map(|lambda| lambda / scale);
        let Penalised { fit, lambda, effective_df } =
            Penalised::fit(rows.sample(), !self.monotone, spline, &spline.roughness(), lambda)?;
        let names: Vec<String> = (1..spline.knots().len()).map(|j| format!("slope {j}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let parameters = [("effective degrees of freedom", effective_df), ("λ", lambda * scale)];
        let solution = Solution {
            parameters: parameters.map(|(name, value)| Parameter::new(name, value, None)).to_vec(),
            ..Solution::of(&fit, &names)
        };
        let map = SplineMap {
            cubics: spline.combine(&fit.coefficients),
            length: spline.length(),
            knots: spline.knots().to_vec(),
            intercept: fit.intercept,
            effective_df,
            lambda: lambda * scale,
        };
        Ok((map, solution))
    }

    /// The map for scores that take too few different values to bend.
    fn line(&self, rows: &CalibrationSet<'_>) -> Result<(SplineMap, Solution)> {
        let form = LogitForm { free: !self.monotone, ..LogitForm::RISING };
        let fit = BoundedLogit::fit(rows.sample(), form, &Logit)?;
        let slope = fit.coefficients[0];
        let map = SplineMap {
            cubics: vec![[0.0, slope, 0.0, 0.0]; 2],
            length: 1.0,
            knots: vec![0.0],
            intercept: fit.intercept,
            effective_df: if slope == 0.0 { 1.0 } else { 2.0 },
            lambda: f64::INFINITY,
        };
        Ok((map, Solution::of(&fit, &["slope", "intercept"])))
    }
}

/// The different numbers among the quantiles (k − ½)/K of the positives' scores, k = 1 … K: each is the lowest score up
/// to which at least that share of the weight lies.
fn quantiles(rows: &CalibrationSet<'_>, n: usize) -> Result<Vec<f64>> {
    let labelled = rows.logits().iter().zip(rows.labels()).enumerate();
    let mut positives: Vec<(f64, f64)> = labelled
        .filter(|&(row, (_, &label))| label && rows.weight(row) > 0.0)
        .map(|(row, (&z, _))| (z, rows.weight(row)))
        .collect();
    let meter = Meter::new(rows.run(), "sort by score", "rows", positives.len());
    meter.sort_by(&mut positives, |a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    meter.finish()?;
    let total: f64 = positives.iter().map(|row| row.1).sum();
    let mut knots: Vec<f64> = Vec::with_capacity(n);
    let mut below = 0.0;
    for (z, weight) in positives {
        below += weight;
        while knots.len() < n && below * 2.0 * n as f64 >= total * (2 * knots.len() + 1) as f64 {
            knots.push(z + 0.0);
        }
    }
    knots.dedup();
    Ok(knots)
}

/// The map of a [`SplineCalibration`].
#[derive(Debug, Clone, PartialEq)]
pub struct SplineMap {
    knots: Vec<f64>,
    /// On each interval between knots, the first and the last without end, in (z − its left knot)/length, and from the
    /// first knot for the first.
    cubics: Vec<Cubic>,
    length: f64,
    intercept: f64,
    effective_df: f64,
    lambda: f64,
}

impl SplineMap {
    /// The map whose log-odds are, on each interval between ascending `knots`, `cubics` in t = z − its left knot: one
    /// before the first knot (from the first knot) and one behind the last, which are lines.
    ///
    /// ```
    /// use imbalance::calibration::{Calibration, SplineMap};
    ///
    /// let map = SplineMap::new(vec![0.0], vec![[0.5, 1.0, 0.0, 0.0], [0.5, 2.0, 0.0, 0.0]])?;
    /// let calibration = Calibration::new(map);
    /// assert_eq!((calibration.logit(-1.0), calibration.logit(1.0)), (-0.5, 2.5));
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there is a knot, knots ascend, there is one cubic more than knots, all numbers
    /// are finite, and the first and the last cubic are lines.
    pub fn new(knots: Vec<f64>, cubics: Vec<[f64; 4]>) -> Result<Self> {
        let effective_df = knots.len() as f64;
        Self { knots, cubics, length: 1.0, intercept: 0.0, effective_df, lambda: 0.0 }.valid()
    }

    fn valid(self) -> Result<Self> {
        let Self { knots, cubics, .. } = &self;
        let ascending = knots.windows(2).all(|pair| pair[0] < pair[1]);
        if knots.is_empty() || !ascending || !knots.iter().all(|knot| knot.is_finite()) {
            return Err(Error::invalid(
                "knots",
                format!("{knots:?}"),
                "finite and ascending, at least one",
            ));
        }
        if cubics.len() != knots.len() + 1 {
            let expected = format!("{}, one more than knots", knots.len() + 1);
            return Err(Error::invalid("cubics", cubics.len(), expected));
        }
        cubics.iter().flatten().try_for_each(|number| finite("cubics", *number).map(drop))?;
        let is_line = |cubic: &Cubic| cubic[2] == 0.0 && cubic[3] == 0.0;
        if !(is_line(&cubics[0]) && is_line(&cubics[knots.len()])) {
            return Err(Error::invalid("cubics", "a curve beyond the knots", "lines there"));
        }
        if !(self.length > 0.0 && self.length.is_finite()) {
            return Err(Error::invalid("length", self.length, "positive and finite"));
        }
        finite("intercept", self.intercept)?;
        if !(self.effective_df >= 0.0 && self.lambda >= 0.0) {
            return Err(Error::invalid("lambda", self.lambda, "not negative"));
        }
        Ok(self)
    }

    /// The knots, ascending, between which the map is cubic; none for a line.
    #[must_use]
    pub fn knots(&self) -> &[f64] {
        if self.knots.len() > 1 { &self.knots } else { &[] }
    }

    /// The effective degrees of freedom, the constant included: 2 for a line.
    #[must_use]
    pub fn effective_df(&self) -> f64 {
        self.effective_df
    }

    /// λ, on the scale of z; ∞ for a line.
    #[must_use]
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    #[inline(always)]
    fn at(&self, z: f64) -> f64 {
        let (interval, distance) = interval(&self.knots, z);
        let cubic = &self.cubics[interval];
        let t = distance / self.length;
        // Lines beyond the knots may be asked for ∞, and 0 · ∞ is NaN.
        let bend = if t.is_finite() { value(cubic, t) } else { cubic[0] + times(cubic[1], t) };
        self.intercept + bend
    }

    /// Where the slope is negative.
    fn falls(&self) -> Vec<(f64, f64)> {
        let last = self.knots.len() - 1;
        let mut falls: Vec<(f64, f64)> = Vec::new();
        for (m, [_, c1, c2, c3]) in self.cubics.iter().enumerate() {
            let origin = self.knots[m.saturating_sub(1)];
            let low = if m == 0 { f64::NEG_INFINITY } else { origin };
            let high = if m > last { f64::INFINITY } else { self.knots[m] };
            // The roots of c₁ + 2 c₂ t + 3 c₃ t² cut the interval into parts of one sign.
            let root = (c2 * c2 - 3.0 * c1 * c3).sqrt();
            let half = -c2 - root.copysign(*c2);
            let roots = [half / (3.0 * c3), c1 / half].map(|t| origin + t * self.length);
            let mut cuts = vec![low, high];
            cuts.extend(roots.into_iter().filter(|z| low < *z && *z < high));
            cuts.sort_by(f64::total_cmp);
            for part in cuts.windows(2) {
                let middle = match (part[0].is_finite(), part[1].is_finite()) {
                    (true, true) => f64::midpoint(part[0], part[1]),
                    _ => origin,
                };
                let t = (middle - origin) / self.length;
                if c1 + t * (2.0 * c2 + t * 3.0 * c3) < 0.0 {
                    match falls.last_mut() {
                        Some(last) if last.1 == part[0] => last.1 = part[1],
                        _ => falls.push((part[0], part[1])),
                    }
                }
            }
        }
        falls
    }
}

impl CalibrationMap for SplineMap {
    fn logit(&self, z: f64) -> f64 {
        self.at(z)
    }

    fn probability(&self, z: f64) -> f64 {
        sigmoid(self.at(z))
    }

    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        match scale {
            Scale::Logit => apply_log_odds(scores, |z| self.at(z)),
            Scale::Probability => apply_log_odds(scores, |p| self.at(logit(p))),
        }
    }

    fn describe(&self) -> String {
        let Self { effective_df, lambda, .. } = self;
        let knots = self.knots().len();
        format!("spline: {knots} knots, {effective_df:.2} degrees of freedom, λ = {lambda:.3e}")
    }

    fn built_in(&self) -> Option<BuiltInMap> {
        Some(self.clone().into())
    }

    saved_as_part!();
}

stored!(SplineCalibration as "spline_calibration", |spline| {
    knots: usize = spline.knots,
    lambda: Option<f64> = spline.lambda,
    monotone: bool = spline.monotone,
} => {
    let spline = Self::new().monotone(monotone).knots(knots);
    lambda.into_iter().fold(spline, |spline, lambda| spline?.lambda(lambda))
});

stored!(SplineMap as "spline", |map| {
    knots: Vec<f64> = map.knots,
    cubics: Vec<Cubic> = map.cubics,
    length: f64 = map.length,
    intercept: f64 = map.intercept,
    effective_df: f64 = map.effective_df,
    lambda: Number = Number(map.lambda),
} => Self { knots, cubics, length, intercept, effective_df, lambda: lambda.0 }.valid());
