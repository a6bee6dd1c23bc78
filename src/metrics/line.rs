//! The two-parameter logistic regression on one score, behind Cox recalibration and Platt scaling.

use super::rows::{Sum, Weights, binade};
use crate::core::{Error, Result};
use crate::exec::parallel;

/// Newton's method has converged when the pulls up and down on each parameter cancel to this share.
const BALANCE: f64 = 1e-12;
/// Far more than a well-posed fit needs (5 to 30).
const MAX_ITERATIONS: usize = 200;

/// The maximum-likelihood line logit P(y = 1) = intercept + slope · score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LineFit {
    /// The log-odds at score 0.
    pub(crate) intercept: f64,
    /// The log-odds per unit of score.
    pub(crate) slope: f64,
    /// The inverse Fisher information of (intercept, slope), weights taken as counts of rows.
    pub(crate) covariance: [[f64; 2]; 2],
    /// Newton steps taken.
    pub(crate) iterations: usize,
}

/// Fits a line to targets in \[0, 1\] by maximum likelihood.
///
/// Newton's method with backtracking. The line is held by its height and slope at the mean score
/// of the rows that are still undecided (weighted by p (1 − p)); there the two parameters are
/// orthogonal, so that neither the origin nor the unit of the scores affects the conditioning.
/// Rows of weight 0 are not looked at.
///
/// # Errors
///
/// - [`Error::NonFinite`] for a score, [`Error::InvalidArgument`] for a target outside \[0, 1\],
///   and the errors of [`Weights::new`].
/// - [`Error::OneClass`] if all targets are 0 or all are 1.
/// - [`Error::InvalidArgument`] if all scores are equal.
/// - [`Error::Separation`] if a threshold on the score splits the targets into zeros and ones, so
///   that the likelihood has no maximum.
/// - [`Error::Numerical`] if the optimum is finite, but out of reach of the arithmetic.
pub(crate) fn fit_line(
    scores: &[f64],
    targets: impl Fn(usize) -> f64,
    weights: Option<&[f64]>,
) -> Result<LineFit> {
    let sample = Sample::new(scores, targets, weights)?;
    sample.check_overlap()?;

    let start = Line { centre: 0.0, height: sample.base_logit(), slope: 0.0 };
    let mut fit = Fit::at(&sample, start);
    let mut iterations = 0;
    while !fit.converged() {
        if iterations == MAX_ITERATIONS {
            return Err(no_convergence(fit.line.slope / sample.unit));
        }
        fit = fit.improve(&sample)?;
        iterations += 1;
    }

    // Back to the caller's units, and from the centre to score 0.
    let (count, slope) = (sample.weight_unit, fit.line.slope / sample.unit);
    let centre = fit.line.centre * sample.unit;
    let height_variance = 1.0 / fit.height_information / count;
    let slope_variance = 1.0 / fit.slope_information / count / sample.unit / sample.unit;
    let covariance = -centre * slope_variance;
    let intercept_variance = height_variance - centre * covariance;
    // With weights or scores some 1e300 times apart.
    if !(intercept_variance.is_finite() && slope_variance.is_finite() && slope.is_finite()) {
        return Err(no_convergence(slope));
    }
    Ok(LineFit {
        intercept: fit.line.height - slope * centre,
        slope,
        covariance: [[intercept_variance, covariance], [covariance, slope_variance]],
        iterations,
    })
}

/// The intercept of a line whose slope is held at 1, and its standard error.
///
/// The total prediction rises with the intercept, so the root is unique; Newton steps that do not
/// halve the imbalance give way to bisection. The same errors as [`fit_line`], apart from those
/// about the slope.
pub(crate) fn fit_intercept(
    scores: &[f64],
    targets: impl Fn(usize) -> f64,
    weights: Option<&[f64]>,
) -> Result<(f64, f64)> {
    let sample = Sample::new(scores, targets, weights)?;
    sample.check_classes()?;
    let (least, most) = sample.range(|_| true);
    // With all rows at the lowest score, `high` would predict the base rate; as they have more, it
    // predicts too much. Likewise for `low`.
    let mut low = sample.base_logit() - most * sample.unit;
    let mut high = sample.base_logit() - least * sample.unit;

    let (mut intercept, mut last) = (low + 0.5 * (high - low), f64::INFINITY);
    loop {
        let line = Line { centre: 0.0, height: intercept, slope: sample.unit };
        let (mut gradient, mut pull, mut information) =
            (Sum::default(), Sum::default(), Sum::default());
        for row in &sample.rows {
            let pulls = Pulls::on(row, line.at(row.score));
            gradient.add(row.weight * (pulls.up - pulls.down));
            pull.add(row.weight * (pulls.up + pulls.down));
            information.add(row.weight * pulls.information);
        }
        let (gradient, information) = (gradient.value(), information.value());
        if gradient > 0.0 {
            low = intercept;
        } else {
            high = intercept;
        }

        let middle = low + 0.5 * (high - low);
        let exhausted = middle <= low || middle >= high;
        if gradient.abs() <= BALANCE * pull.value() || exhausted {
            let variance = 1.0 / information / sample.weight_unit;
            if !variance.is_finite() {
                return Err(Error::Numerical {
                    what: "the variance of the intercept".into(),
                    value: variance,
                    remedy: "weights and scores must not differ by hundreds of orders of magnitude",
                });
            }
            return Ok((intercept, variance.sqrt()));
        }
        let newton = intercept + gradient / information;
        let quick = gradient.abs() <= 0.5 * last && low < newton && newton < high;
        last = gradient.abs();
        intercept = if quick { newton } else { middle };
    }
}

fn no_convergence(slope: f64) -> Error {
    Error::Numerical {
        what: "the slope of the line on the score".into(),
        value: slope,
        remedy: "the score all but separates the classes; more rows in the overlap are needed",
    }
}

/// The rows that have weight, with scores in \[−2, 2\] and weights in \[0, 2).
struct Sample {
    rows: Vec<Row>,
    /// One unit of the scores below, in the caller's scores: a power of two, so nothing is rounded.
    unit: f64,
    /// One unit of the weights below, in the caller's weights.
    weight_unit: f64,
}

#[derive(Clone, Copy)]
struct Row {
    score: f64,
    target: f64,
    weight: f64,
}

impl Sample {
    fn new(
        scores: &[f64],
        targets: impl Fn(usize) -> f64,
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        if scores.is_empty() {
            return Err(Error::NoRows { what: "the sample to fit a line to" });
        }
        let weights = Weights::new(weights, "scores", scores.len())?;
        let mut rows = Vec::with_capacity(scores.len());
        let mut largest = f64::MIN_POSITIVE;
        for (row, &score) in scores.iter().enumerate() {
            let weight = weights.get(row);
            if weight == 0.0 {
                continue;
            }
            if !score.is_finite() {
                let what = "scores".into();
                return Err(Error::NonFinite { what, row, column: None, value: score });
            }
            let target = targets(row);
            if !(0.0..=1.0).contains(&target) {
                let found = format!("{target} at row {row}");
                return Err(Error::invalid("targets", found, "between 0 and 1"));
            }
            largest = largest.max(score.abs());
            rows.push(Row { score, target, weight });
        }
        let unit = binade(largest);
        rows.iter_mut().for_each(|row| row.score /= unit);
        Ok(Self { rows, unit, weight_unit: weights.unit })
    }

    /// Sums over the rows, on all cores.
    fn sums<const N: usize>(&self, of: impl Fn(&Row) -> [f64; N] + Sync) -> [f64; N] {
        let n = self.rows.len();
        let blocks = parallel::map(n, parallel::sum_block(n, N), |_, rows| {
            let mut sums = [Sum::default(); N];
            for row in &self.rows[rows] {
                sums.iter_mut().zip(of(row)).for_each(|(sum, term)| sum.add(term));
            }
            sums
        });
        let mut total = [Sum::default(); N];
        for sums in blocks {
            total.iter_mut().zip(sums).for_each(|(total, sum)| total.merge(sum));
        }
        total.map(Sum::value)
    }

    /// Weight of the targets, and of what they leave to 1.
    fn class_weights(&self) -> (f64, f64) {
        let positive = self.rows.iter().map(|row| row.weight * row.target).collect::<Sum>();
        let negative = self.rows.iter().map(|row| row.weight * (1.0 - row.target)).collect::<Sum>();
        (positive.value(), negative.value())
    }

    /// The log-odds of the mean target.
    fn base_logit(&self) -> f64 {
        let (positive, negative) = self.class_weights();
        positive.ln() - negative.ln()
    }

    /// The least and the largest score of the rows that `belong`.
    fn range(&self, belong: impl Fn(&Row) -> bool) -> (f64, f64) {
        let scores = self.rows.iter().filter(|row| belong(row)).map(|row| row.score);
        scores.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), score| {
            (least.min(score), most.max(score))
        })
    }

    fn check_classes(&self) -> Result<()> {
        let (positive, negative) = self.class_weights();
        let total = positive + negative;
        if positive / total > 0.0 && negative / total > 0.0 {
            return Ok(());
        }
        Err(Error::OneClass {
            what: "the fit of a line to a score",
            positives: self.rows.iter().filter(|row| row.target > 0.0).count(),
            negatives: self.rows.iter().filter(|row| row.target < 1.0).count(),
            positive_weight: positive * self.weight_unit,
            negative_weight: negative * self.weight_unit,
        })
    }

    /// `Ok` if the likelihood has exactly one maximum.
    ///
    /// On one score that is simple to decide. A row with a target between 0 and 1 counts as both a
    /// positive and a negative. The likelihood rises without end along a rising line if no
    /// positive lies below a negative, along a falling one if none lies above.
    fn check_overlap(&self) -> Result<()> {
        self.check_classes()?;
        let (least, most) = self.range(|_| true);
        if least == most {
            let found = format!("{} in every row", least * self.unit);
            let expected = "at least two different numbers, as a constant has no slope";
            return Err(Error::invalid("scores", found, expected));
        }
        let (least_positive, most_positive) = self.range(|row| row.target > 0.0);
        let (least_negative, most_negative) = self.range(|row| row.target < 1.0);
        if least_positive > most_negative || most_positive < least_negative {
            return Err(Error::Separation { kind: "completely" });
        }
        if least_positive == most_negative || most_positive == least_negative {
            return Err(Error::Separation { kind: "in part" });
        }
        Ok(())
    }
}

/// A line through (centre, height).
#[derive(Clone, Copy)]
struct Line {
    centre: f64,
    height: f64,
    slope: f64,
}

impl Line {
    fn at(self, score: f64) -> f64 {
        self.height + self.slope * (score - self.centre)
    }
}

/// A probability and what it leaves to 1, both exact where they are small, from one exponential.
struct Decided {
    p: f64,
    not_p: f64,
    /// e^−|η|.
    e: f64,
}

impl Decided {
    #[inline]
    fn at(eta: f64) -> Self {
        let e = (-eta.abs()).exp();
        let (likely, unlikely) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (p, not_p) = if eta >= 0.0 { (likely, unlikely) } else { (unlikely, likely) };
        Self { p, not_p, e }
    }
}

/// What one row does to the line at its score, per unit of weight.
struct Pulls {
    up: f64,
    down: f64,
    information: f64,
}

impl Pulls {
    fn on(row: &Row, eta: f64) -> Self {
        let Decided { p, not_p, .. } = Decided::at(eta);
        Self { up: row.target * not_p, down: (1.0 - row.target) * p, information: p * not_p }
    }
}

/// The log-likelihood of a line with its derivatives in height and slope.
#[derive(Clone, Copy)]
struct Fit {
    /// Centred where the information about height and slope separates.
    line: Line,
    log_likelihood: f64,
    height_gradient: f64,
    height_pull: f64,
    height_information: f64,
    slope_gradient: f64,
    slope_pull: f64,
    slope_information: f64,
}

impl Fit {
    fn at(sample: &Sample, line: Line) -> Self {
        let [loss, height_information, moment] = sample.sums(|row| {
            let eta = line.at(row.score);
            let odds = Decided::at(eta);
            // −t ln p − (1 − t) ln(1 − p) without a difference of large numbers.
            let miss = if eta > 0.0 { 1.0 - row.target } else { row.target };
            let undecided = row.weight * odds.p * odds.not_p;
            [
                row.weight * (odds.e.ln_1p() + miss * eta.abs()),
                undecided,
                undecided * (row.score - line.centre),
            ]
        });
        let shift = moment / height_information;
        // A line so steep that no row is undecided has no such centre; `usable` refuses it.
        let centre = if shift.is_finite() { line.centre + shift } else { line.centre };
        let line = Line { centre, height: line.at(centre), slope: line.slope };

        let sums = sample.sums(|row| {
            let arm = row.score - line.centre;
            let pulls = Pulls::on(row, line.at(row.score));
            let (net, gross) = (pulls.up - pulls.down, pulls.up + pulls.down);
            [
                row.weight * net,
                row.weight * gross,
                row.weight * net * arm,
                row.weight * gross * arm.abs(),
                row.weight * pulls.information * arm * arm,
            ]
        });
        let [height_gradient, height_pull, slope_gradient, slope_pull, slope_information] = sums;
        Self {
            line,
            log_likelihood: -loss,
            height_gradient,
            height_pull,
            height_information,
            slope_gradient,
            slope_pull,
            slope_information,
        }
    }

    fn usable(&self) -> bool {
        self.height_information > 0.0
            && self.slope_information > 0.0
            && self.log_likelihood.is_finite()
    }

    fn height_step(&self) -> f64 {
        self.height_gradient / self.height_information
    }

    fn slope_step(&self) -> f64 {
        self.slope_gradient / self.slope_information
    }

    /// The pulls cancel, or the step is too small to change the parameters.
    fn converged(&self) -> bool {
        let balanced = self.height_gradient.abs() <= BALANCE * self.height_pull
            && self.slope_gradient.abs() <= BALANCE * self.slope_pull;
        let negligible = self.height_step().abs() <= f64::EPSILON * self.line.height.abs()
            && self.slope_step().abs() <= f64::EPSILON * self.line.slope.abs();
        balanced || negligible
    }

    /// The full Newton step, halved until it gains a fair part of what the gradient promises.
    fn improve(&self, sample: &Sample) -> Result<Self> {
        let (height_step, slope_step) = (self.height_step(), self.slope_step());
        let promise = self.height_gradient * height_step + self.slope_gradient * slope_step;
        // Near the optimum the gain drowns in the rounding of the likelihood.
        let rounding = 1e-14 * self.log_likelihood.abs();
        // From a line so steep that hardly a row is undecided, the full step can be 1e50 times too
        // long: halving goes on to the end of the numbers.
        let mut fraction = 1.0;
        while fraction > 0.0 {
            let candidate = Self::at(
                sample,
                Line {
                    height: self.line.height + fraction * height_step,
                    slope: self.line.slope + fraction * slope_step,
                    ..self.line
                },
            );
            let gain = candidate.log_likelihood - self.log_likelihood;
            if candidate.usable() && gain >= 1e-4 * fraction * promise - rounding {
                return Ok(candidate);
            }
            fraction *= 0.5;
        }
        Err(no_convergence(self.line.slope / sample.unit))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::numerics::sigmoid;

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    #[track_caller]
    fn assert_close(found: f64, expected: f64, what: &str) {
        let error = (found - expected).abs() / expected.abs();
        assert!(error <= 1e-10, "{what}: {found}, expected {expected}, relative error {error:e}");
    }

    #[test]
    fn fits_in_fifty_digits() {
        let fixture: Value =
            serde_json::from_str(include_str!("../../tests/fixtures/metrics.json")).unwrap();
        for line in fixture["lines"].as_array().unwrap() {
            let (scores, targets) = (numbers(&line["scores"]), numbers(&line["targets"]));
            let weights = numbers(&line["weights"]);
            let fit = fit_line(&scores, |row| targets[row], Some(&weights)).unwrap();
            let name = line["name"].as_str().unwrap();
            let number = |key: &str| line[key].as_f64().unwrap();
            assert_close(fit.intercept, number("intercept"), name);
            assert_close(fit.slope, number("slope"), name);
            let covariance = fit.covariance.as_flattened();
            for (i, &found) in covariance.iter().enumerate() {
                let expected = line["covariance"][i / 2][i % 2].as_f64().unwrap();
                // A correlation near 0 or 1 takes digits from what it is computed of.
                let scale = (covariance[0] * covariance[3]).sqrt().max(expected.abs());
                assert!((found - expected).abs() <= 1e-9 * scale, "{name}: {found} {expected}");
            }
            assert!(fit.iterations < 40, "{name}: {} iterations", fit.iterations);
        }
    }

    #[test]
    fn exact_soft_targets_are_found() {
        // Targets on a line are their own fit, however steep the line or far away its zero.
        for (intercept, slope) in [(-7.0, 1.0), (0.0, 1e-6), (3.0, -2.0), (-1e4, 1.0)] {
            let scores: Vec<f64> =
                (-20..=20).map(|k| (f64::from(k) / 4.0 - intercept) / slope).collect();
            let target = |row: usize| sigmoid(intercept + slope * scores[row]);
            let fit = fit_line(&scores, target, None).unwrap();
            assert!((fit.slope - slope).abs() <= 1e-9 * slope.abs(), "{fit:?}");
            assert!(
                (fit.intercept - intercept).abs() <= 1e-9 * intercept.abs().max(1.0),
                "{fit:?}"
            );
        }
    }

    #[test]
    fn one_overlap_among_distant_rows() {
        // Rows at ±1e4 say nothing once the few at ±1 are fitted: 3 of 4 right, slope ln 3.
        let (mut scores, mut targets) = (vec![-1e4; 50], vec![0.0; 50]);
        scores.extend([1e4; 50]);
        targets.extend([1.0; 50]);
        scores.extend([-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0]);
        targets.extend([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        let fit = fit_line(&scores, |row| targets[row], None).unwrap();
        assert!((fit.slope - 3.0_f64.ln()).abs() < 1e-11, "{fit:?}");
        assert!(fit.intercept.abs() < 1e-11, "{fit:?}");
    }

    #[test]
    fn rare_positives() {
        // 1e-4 and 3e-4 in two groups: the fit goes through both log-odds.
        let scores: Vec<f64> = (0..200_000).map(|i| if i < 100_000 { -2.0 } else { 5.0 }).collect();
        let target = |row: usize| {
            let rate = if row < 100_000 { 10 } else { 30 };
            f64::from(u8::from(row % 100_000 < rate))
        };
        let fit = fit_line(&scores, target, None).unwrap();
        let log_odds = |rate: f64| (rate / (1.0 - rate)).ln();
        assert_close(fit.slope, (log_odds(3e-4) - log_odds(1e-4)) / 7.0, "slope");
        assert_close(fit.intercept - 2.0 * fit.slope, log_odds(1e-4), "the log-odds at −2");
    }

    #[test]
    fn what_has_no_line() {
        let hard = [0.0, 0.0, 1.0, 1.0];
        let fit = |scores: &[f64], targets: &[f64]| fit_line(scores, |row| targets[row], None);
        assert!(matches!(
            fit(&[1.0, 2.0, 3.0, 4.0], &hard),
            Err(Error::Separation { kind: "completely" })
        ));
        assert!(matches!(
            fit(&[4.0, 3.0, 3.0, 1.0], &hard),
            Err(Error::Separation { kind: "in part" })
        ));
        // One soft target between the classes does not hold the slope, one beyond them does.
        assert!(matches!(
            fit(&[1.0, 2.0, 3.0], &[0.0, 0.5, 1.0]),
            Err(Error::Separation { kind: "in part" })
        ));
        assert!(fit(&[1.0, 2.0, 3.0], &[0.5, 0.0, 1.0]).is_ok());
        assert!(matches!(fit(&[1.0, 2.0], &[1.0, 1.0]), Err(Error::OneClass { .. })));
        assert!(matches!(
            fit(&[7.0; 4], &hard),
            Err(Error::InvalidArgument { argument: "scores", .. })
        ));
        assert!(matches!(
            fit(&[1.0, 2.0], &[0.0, 1.5]),
            Err(Error::InvalidArgument { argument: "targets", .. })
        ));
        assert!(matches!(fit(&[1.0, f64::NAN], &hard), Err(Error::NonFinite { row: 1, .. })));
        assert!(matches!(fit(&[], &[]), Err(Error::NoRows { .. })));
        // A row without weight neither separates nor holds anything.
        let weighted =
            fit_line(&[1.0, 2.0, 3.0, 0.0], |row| hard[row], Some(&[1.0, 1.0, 1.0, 0.0]));
        assert!(matches!(weighted, Err(Error::Separation { kind: "completely" })));
    }
}
