//! The cumulative beta distribution as a calibration map.

use std::ops::{Add, Div, Mul, Sub};

use faer::Mat;
use statrs::function::gamma::{digamma, ln_gamma};

use super::columns::at_least_distinct;
use super::newton::{At, minimise_within, sum};
use super::report::{Parameter, Solution};
use super::rising::{need_finite, need_overlap};
use super::{Calibrate, CalibrationReport, Calibrator, Scored};
use crate::loss::numerics::sigmoid;
use crate::vector::log_parts;
use crate::{Result, parallel};

/// The beta distribution's cumulative function, q = `I_p(α, β)` of the score p = σ(z), with α, β > 0 by
/// maximum likelihood (equation 17).
///
/// With α = β = 1 it is the identity. It rises from q = 0 at p = 0 to q = 1 at p = 1; near 0 it goes like
/// p^α, near 1 as 1 − q goes like (1 − p)^β. It has no free intercept, so Σp is not Σy: the report says by
/// how much. [`BetaCalibration`](super::BetaCalibration) bends as well and keeps the mean.
///
/// Both ln q and ln(1 − q) are computed from the logit by the continued fraction of the incomplete beta
/// function, on the side where it converges fast, in logarithms: neither a p of 10⁻⁶ nor one of 1 − 10⁻⁹
/// loses digits to a difference. The likelihood is maximised in (ln α, ln β) by Fisher scoring with
/// backtracking, the derivatives being those of the continued fraction itself; standard errors are from
/// the expected information. A row costs some 20 terms of the fraction in every iteration: seconds for a million
/// rows.
///
/// - Scores whose positives have no higher mean logit than the negatives (ranked the wrong way round, or
///   all equal) give the limit α, β → 0 at the best ratio, which is the constant base rate. The report has
///   `alpha = 0` and `beta = 0` as bounds then.
/// - Scores that a threshold splits into those of the negatives and, above, those of the positives are
///   refused, as the likelihood rises without end as α, β → ∞.
///
/// It learns, from a fair sample ([`Scored::need_fair_rows`]). Logits of ±∞, p = 0 and 1, are refused in
/// learning, as no α and β change what they get, and mapped to 0 and 1 afterwards (or to the constant).
///
/// Source of the continued fraction: DLMF 8.17.22.
///
/// ```
/// use imbalance::calibration::{BetaCdf, Calibrate, Calibrator, Scored};
///
/// // Half, a quarter and an eighth come where a quarter, 1/16 and 1/64 are promised: q = √p, I_p(½, 1).
/// let p: Vec<f64> = (0..24).map(|i| [0.25, 1.0 / 16.0, 1.0 / 64.0][i / 8]).collect();
/// let labels: Vec<bool> = (0..24).map(|i| i % 8 < [4, 2, 1][i / 8]).collect();
/// let map = BetaCdf::new().fit(&Scored::from_probabilities(&p, &labels)?)?;
/// assert!((map.alpha() - 0.5).abs() < 1e-8 && (map.beta() - 1.0).abs() < 1e-8);
/// assert!((map.probability_of(0.01) - 0.1).abs() < 1e-9);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BetaCdf(());

const NAME: &str = "BetaCdf";

/// The largest change of ln α and ln β in a step: from far away the information says little about how far.
const REACH: f64 = 1.5;

impl BetaCdf {
    /// The map with α and β free.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl Calibrator for BetaCdf {
    type Fitted = FittedBetaCdf;

    fn learns(&self) -> bool {
        true
    }

    /// # Errors
    /// - As for [`Scored::need_fair_rows`].
    /// - [`NonFinite`](crate::Error::NonFinite) for an infinite logit in a row with weight.
    /// - [`SeparatedScores`](crate::Error::SeparatedScores) if the likelihood has no maximum.
    /// - [`Numerical`](crate::Error::Numerical) if the scores all but separate the classes.
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        held_out.need_fair_rows(NAME)?;
        need_finite(held_out)?;
        let (map, solution) = if rises(held_out) {
            need_overlap(NAME, held_out, |z| z)?;
            fitted(held_out)?
        } else {
            let bounds = vec!["alpha = 0".into(), "beta = 0".into()];
            let parameters = ["alpha", "beta"].map(|name| Parameter::new(name, 0.0, None)).to_vec();
            let solution = Solution { parameters, bounds, iterations: 0 };
            let totals = held_out.totals();
            (
                Map::Constant { logit: (totals.positive_weight / totals.negative_weight).ln() },
                solution,
            )
        };
        let report = CalibrationReport::of_logits(NAME, held_out, solution, &|z| map.logit(z));
        Ok(FittedBetaCdf { map, report })
    }
}

/// Whether the positives have the higher mean logit, which decides if any map of the family is better
/// than a constant one nearby: for small α and β it is q ≈ β/(α + β) · (1 + α (z + const.)).
fn rises(scored: &Scored<'_>) -> bool {
    if !at_least_distinct(scored, 2, |_| true) {
        return false;
    }
    let largest = scored.logits().iter().enumerate();
    let largest = largest
        .filter(|&(row, _)| scored.weight(row) > 0.0)
        .fold(f64::MIN_POSITIVE, |most, (_, z)| most.max(z.abs()));
    let totals = scored.totals();
    let weights = [totals.negative_weight, totals.positive_weight];
    let mut means = [0.0; 2];
    for (row, (&z, &label)) in scored.logits().iter().zip(scored.labels()).enumerate() {
        let weight = scored.weight(row);
        if weight > 0.0 {
            let class = usize::from(label);
            means[class] += weight / weights[class] * (z / largest);
        }
    }
    means[1] > means[0]
}

/// The maximum of the likelihood, which lies at finite α and β.
fn fitted(scored: &Scored<'_>) -> Result<(Map, Solution)> {
    let free = [f64::NEG_INFINITY; 2];
    let found = minimise_within(REACH, vec![0.0; 2], &free, |theta| objective(scored, theta))?;
    let [alpha, beta] = [0, 1].map(|i| found.theta[i].exp());
    let parameter = |name: &str, i: usize, value: f64| {
        let error = Some(value * found.covariance[(i, i)].sqrt()).filter(|e| e.is_finite());
        Parameter::new(name, value, error)
    };
    let parameters = vec![parameter("alpha", 0, alpha), parameter("beta", 1, beta)];
    let solution = Solution { parameters, bounds: Vec::new(), iterations: found.iterations };
    Ok((Map::Beta(Beta::new(alpha, beta)), solution))
}

/// The negative log-likelihood at (ln α, ln β), with the expected information as curvature.
fn objective(scored: &Scored<'_>, theta: &[f64]) -> At {
    let beta = Beta::with_derivatives(theta[0].exp(), theta[1].exp());
    let n = scored.rows();
    let blocks = parallel::map(n, parallel::sum_block(n, 1), |_, rows| {
        let mut value = 0.0;
        let (mut gradient, mut information) = ([0.0; 2], [0.0; 3]);
        for row in rows.filter(|&row| scored.weight(row) > 0.0) {
            let weight = scored.weight(row);
            let (lower, ln_tail) = beta.ln_tail(scored.logits()[row]);
            let ln_rest = ln_complement(ln_tail.value);
            let [u, v] = ln_tail.slope;
            let odds = (ln_tail.value - ln_rest).exp();
            let (loss, pull) = if lower == scored.labels()[row] {
                (-ln_tail.value, -weight)
            } else {
                (-ln_rest, weight * odds)
            };
            value += weight * loss;
            gradient[0] += pull * u;
            gradient[1] += pull * v;
            let curve = weight * odds;
            information[0] += curve * u * u;
            information[1] += curve * u * v;
            information[2] += curve * v * v;
        }
        let hessian = Mat::from_fn(2, 2, |i, j| information[i + j]);
        At { value, gradient: gradient.to_vec(), hessian }
    });
    sum(2, blocks)
}

/// A fitted [`BetaCdf`].
#[derive(Debug, Clone, PartialEq)]
pub struct FittedBetaCdf {
    map: Map,
    report: CalibrationReport,
}

impl FittedBetaCdf {
    /// α; 0 in the limit that is constant.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.map.parameters()[0]
    }

    /// β; 0 in the limit that is constant.
    #[must_use]
    pub fn beta(&self) -> f64 {
        self.map.parameters()[1]
    }
}

impl Calibrate for FittedBetaCdf {
    fn probability(&self, logit: f64) -> f64 {
        self.map.at(logit)
    }

    fn calibrated_logit(&self, score: f64) -> f64 {
        self.map.logit(score)
    }

    fn report(&self) -> Option<&CalibrationReport> {
        Some(&self.report)
    }

    fn describe(&self) -> String {
        match self.map {
            Map::Constant { logit } => format!("beta CDF: constant {:.6}", sigmoid(logit)),
            Map::Beta(Beta { alpha, beta, .. }) => {
                let iterations = self.report.iterations;
                format!("beta CDF: I_p({alpha:.4}, {beta:.4}), {iterations} iterations")
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Map {
    Constant { logit: f64 },
    Beta(Beta<f64>),
}

impl Map {
    fn parameters(&self) -> [f64; 2] {
        match *self {
            Self::Constant { .. } => [0.0; 2],
            Self::Beta(Beta { alpha, beta, .. }) => [alpha, beta],
        }
    }

    /// ln q and ln(1 − q).
    fn logs(&self, z: f64) -> (f64, f64) {
        match self {
            Self::Constant { logit } => {
                let (ln_p, minus_ln_q) = log_parts(*logit);
                (ln_p, -minus_ln_q)
            }
            Self::Beta(beta) => {
                let (lower, ln_tail) = beta.ln_tail(z);
                let ln_rest = ln_complement(ln_tail);
                if lower { (ln_tail, ln_rest) } else { (ln_rest, ln_tail) }
            }
        }
    }

    fn at(&self, z: f64) -> f64 {
        if z.is_nan() { z } else { self.logs(z).0.exp() }
    }

    fn logit(&self, z: f64) -> f64 {
        if z.is_nan() {
            return z;
        }
        let (ln_q, ln_rest) = self.logs(z);
        ln_q - ln_rest
    }
}

/// ln(1 − eˣ) for x ≤ 0, without a difference of near numbers.
fn ln_complement(x: f64) -> f64 {
    if x < -std::f64::consts::LN_2 { (-x.exp()).ln_1p() } else { (-x.exp_m1()).ln() }
}

/// α and β with what the two tails have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Beta<T> {
    alpha: T,
    beta: T,
    /// ln(α B(α, β)) and ln(β B(α, β)).
    ln_scale: [T; 2],
}

impl Beta<f64> {
    fn new(alpha: f64, beta: f64) -> Self {
        // By Γ(1 + α) = α Γ(α): no logarithm of a small α is added and taken away again.
        let common = ln_gamma(1.0 + alpha) + ln_gamma(1.0 + beta) - ln_gamma(1.0 + alpha + beta);
        let ln_scale = [common + (alpha / beta).ln_1p(), common + (beta / alpha).ln_1p()];
        Self { alpha, beta, ln_scale }
    }
}

impl Beta<Jet> {
    /// With derivatives by ln α and ln β.
    fn with_derivatives(alpha: f64, beta: f64) -> Self {
        let plain = Beta::new(alpha, beta);
        let both = digamma(1.0 + alpha + beta);
        let common = [alpha * (digamma(1.0 + alpha) - both), beta * (digamma(1.0 + beta) - both)];
        // ln(1 + α/β) has the derivatives ± α/(α + β), and ln(1 + β/α) those of β/(α + β).
        let share = alpha / (alpha + beta);
        let scale = |value: f64, by_alpha: f64| Jet {
            value,
            slope: [common[0] + by_alpha, common[1] - by_alpha],
        };
        Self {
            alpha: Jet { value: alpha, slope: [alpha, 0.0] },
            beta: Jet { value: beta, slope: [0.0, beta] },
            ln_scale: [scale(plain.ln_scale[0], share), scale(plain.ln_scale[1], share - 1.0)],
        }
    }
}

impl<T: Number> Beta<T> {
    /// Whether the tail is the lower one, `I_p`, or the upper, `1 − I_p`; and its logarithm, at most 0. It is the one
    /// on this side of the distribution's mean, where the continued fraction converges fast.
    fn ln_tail(&self, z: f64) -> (bool, T) {
        let (p, q) = (sigmoid(z), sigmoid(-z));
        let (ln_p, minus_ln_q) = log_parts(z);
        let (a, b) = (self.alpha, self.beta);
        let powers = a * T::from(ln_p) - b * T::from(minus_ln_q);
        let lower = p * (a.value() + b.value() + 2.0) < a.value() + 1.0;
        let (ln_scale, fraction) = if lower {
            (self.ln_scale[0], fraction(p, a, b))
        } else {
            (self.ln_scale[1], fraction(q, b, a))
        };
        (lower, (powers - ln_scale + fraction.ln()).at_most_0())
    }
}

/// The continued fraction 1/(1 + d₁/(1 + d₂/(1 + …))) in `I_x(a, b)` = xᵃ(1 − x)ᵇ/(a B(a, b)) times it, with
/// d₂ₘ = m(b − m)x/((a + 2m − 1)(a + 2m)) and d₂ₘ₊₁ = −(a + m)(a + b + m)x/((a + 2m)(a + 2m + 1)).
///
/// By Lentz's method: the product of the ratios of successive convergents.
fn fraction<T: Number>(x: f64, a: T, b: T) -> T {
    let (one, x) = (T::from(1.0), T::from(x));
    let mut numerators = one;
    let mut denominators = one / (one - (a + b) * x / (a + one));
    let mut product = denominators;
    for m in 1..MOST_TERMS {
        let m = T::from(f64::from(m));
        let twice = a + m + m;
        let even = m * (b - m) * x / ((twice - one) * twice);
        let odd = T::from(-1.0) * (a + m) * (a + b + m) * x / (twice * (twice + one));
        let mut settled = true;
        for d in [even, odd] {
            denominators = one / (one + d * denominators);
            numerators = one + d / numerators;
            let ratio = denominators * numerators;
            product = product * ratio;
            settled = ratio.is_one();
        }
        if settled {
            break;
        }
    }
    product
}

/// Far more than √max(α, β) times a few, which it takes, for parameters that data can tell from infinite ones.
const MOST_TERMS: u32 = 100_000;

/// Plain numbers, and numbers that carry derivatives.
trait Number:
    Copy + From<f64> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn value(self) -> f64;
    fn ln(self) -> Self;
    fn at_most_0(self) -> Self;
    /// Whether multiplying by this changes nothing but the last bits. (True as well for NaN, which ends the
    /// search for a better value.)
    fn is_one(self) -> bool;
}

impl Number for f64 {
    fn value(self) -> f64 {
        self
    }
    fn ln(self) -> Self {
        Self::ln(self)
    }
    fn at_most_0(self) -> Self {
        self.min(0.0)
    }
    fn is_one(self) -> bool {
        let off = (self - 1.0).abs();
        off <= 2.0 * f64::EPSILON || off.is_nan()
    }
}

/// A number with its derivatives by ln α and ln β, carried through every operation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Jet {
    value: f64,
    slope: [f64; 2],
}

impl Jet {
    /// f of this number, given f and f′ there.
    fn through(self, value: f64, derivative: f64) -> Self {
        Self { value, slope: self.slope.map(|slope| derivative * slope) }
    }

    /// Both slopes, each times its factor, added up.
    fn combined(self, by: f64, other: Self, other_by: f64, value: f64) -> Self {
        let slope = [0, 1].map(|i| by * self.slope[i] + other_by * other.slope[i]);
        Self { value, slope }
    }
}

impl From<f64> for Jet {
    fn from(value: f64) -> Self {
        Self { value, slope: [0.0; 2] }
    }
}

impl Add for Jet {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.combined(1.0, other, 1.0, self.value + other.value)
    }
}

impl Sub for Jet {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.combined(1.0, other, -1.0, self.value - other.value)
    }
}

impl Mul for Jet {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.combined(other.value, other, self.value, self.value * other.value)
    }
}

impl Div for Jet {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let ratio = self.value / other.value;
        self.combined(1.0 / other.value, other, -ratio / other.value, ratio)
    }
}

impl Number for Jet {
    fn value(self) -> f64 {
        self.value
    }
    fn ln(self) -> Self {
        self.through(self.value.ln(), 1.0 / self.value)
    }
    fn at_most_0(self) -> Self {
        Self { value: self.value.min(0.0), ..self }
    }
    fn is_one(self) -> bool {
        // What is left of the derivatives is of the size of the last ratio's.
        self.value.is_one() && self.slope.iter().all(|slope| slope.abs() <= 1e-14 || slope.is_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tails_agree_with_mpmath() {
        let fixture = include_str!("../../tests/fixtures/calibration.json");
        let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
        for case in fixture["cdf_tails"].as_array().unwrap() {
            let case: Vec<f64> =
                case.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
            let [alpha, beta, z, lower, upper] = case[..] else { panic!("{case:?}") };
            let beta_function = Beta::new(alpha, beta);
            let (is_lower, _) = beta_function.ln_tail(z);
            let (found_lower, found_upper) = Map::Beta(beta_function).logs(z);
            // The fraction's tail is a sum of logarithms: of the powers, of Γ, and of the fraction. An absolute error in
            // its logarithm is a relative one in the tail, and the other tail has it times the odds.
            let (ln_p, minus_ln_q) = log_parts(z);
            let size =
                1.0 + (alpha * ln_p).abs() + (beta * minus_ln_q).abs() + 5.0 * (alpha + beta);
            let rounding = 4.0 * f64::EPSILON * size;
            let odds = if is_lower { lower - upper } else { upper - lower }.exp();
            let allowed = if is_lower { [1.0, odds] } else { [odds, 1.0] };
            for (found, expected, times) in
                [(found_lower, lower, allowed[0]), (found_upper, upper, allowed[1])]
            {
                let error = (found - expected).abs();
                assert!(
                    error <= times * rounding + f64::EPSILON * expected.abs(),
                    "{alpha} {beta} {z}: {found} for {expected}, {error:e}"
                );
            }
        }
    }

    #[test]
    fn derivatives_are_those_of_the_tails() {
        for (alpha, beta) in [(0.3_f64, 2.0_f64), (1.0, 1.0), (5.0, 0.05), (40.0, 70.0)] {
            for z in [-13.0, -2.0, -0.5, 0.1, 4.0] {
                let (lower, jet) = Beta::with_derivatives(alpha, beta).ln_tail(z);
                let at = |u: f64, v: f64| {
                    let map = Map::Beta(Beta::new(alpha * u.exp(), beta * v.exp()));
                    let logs = map.logs(z);
                    if lower { logs.0 } else { logs.1 }
                };
                assert!((jet.value - at(0.0, 0.0)).abs() < 1e-14 * (1.0 + jet.value.abs()));
                // Central differences of fourth order: h⁴ and rounding over h, both of the size of the terms.
                let h = 1e-3;
                let slope = |f: &dyn Fn(f64) -> f64| {
                    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
                };
                for (found, expected) in
                    jet.slope.into_iter().zip([slope(&|u| at(u, 0.0)), slope(&|v| at(0.0, v))])
                {
                    let size = 1.0 + (alpha + beta) * z.abs();
                    assert!((found - expected).abs() < 1e-9 * size, "{found} {expected}");
                }
            }
        }
    }
}
