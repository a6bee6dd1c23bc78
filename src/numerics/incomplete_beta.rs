//! The regularised incomplete beta function `I_p(a, b)` of p = σ(z) in logarithms, with derivatives.

#![allow(clippy::needless_range_loop, reason = "a lane is an index into several arrays at once")]

use std::f64::consts::TAU;

use statrs::function::gamma::{digamma, ln_gamma};

use crate::numerics::vector::{exp_of_negative, ln, ln_1m, log_parts, sigmoid};

/// Numbers in a chunk: few enough that a step of the continued fraction stays in the registers of a processor.
pub(crate) const WIDTH: usize = 8;

/// ln `I_p(a, b)` for p = σ(z) below about the mean of the beta distribution, where the continued fraction converges
/// fast. Above it, 1 − `I_p(a, b)` = `I_{1−p}(b, a)`: the same function of −z with a and b exchanged.
///
/// ln I = −D − ln c + ln F. D = a ln(μ/p) + b ln((1 − μ)/(1 − p)) ≥ 0 with the mean μ = a/(a + b) is 0 where p
/// is μ, and c = a B(a, b)/(μᵃ(1 − μ)ᵇ), the normaliser, is of the size of √a: no large numbers cancel where a and b
/// are large. F is the continued fraction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LnBetaReg {
    a: f64,
    b: f64,
    /// The logit of the mean.
    centre: f64,
    /// The logit of (a + 1)/(a + b + 2), up to which the continued fraction converges fast.
    limit: f64,
    /// μ and 1 − μ, and their logarithms.
    mean: [f64; 2],
    ln_mean: [f64; 2],
    ln_normaliser: f64,
    /// The derivatives of `ln_normaliser` by ln a and ln b.
    normaliser_slopes: [f64; 2],
}

impl LnBetaReg {
    pub(crate) fn new(a: f64, b: f64) -> Self {
        let mean = [a / (a + b), b / (a + b)];
        let [of_a, of_b, of_both] = [a, b, a + b].map(stirling);
        Self {
            a,
            b,
            centre: a.ln() - b.ln(),
            limit: (a + 1.0).ln() - (b + 1.0).ln(),
            mean,
            ln_mean: [-(b / a).ln_1p(), -(a / b).ln_1p()],
            ln_normaliser: of_a.0 + of_b.0 - of_both.0 + (a / b).ln_1p(),
            normaliser_slopes: [
                a * (of_a.1 - of_both.1) + mean[0],
                b * (of_b.1 - of_both.1) - mean[0],
            ],
        }
    }

    /// a and b.
    pub(crate) fn parameters(&self) -> [f64; 2] {
        [self.a, self.b]
    }

    /// The logit up to which the fraction converges fast.
    #[cfg(feature = "serde")]
    pub(crate) fn limit(&self) -> f64 {
        self.limit
    }

    /// ln(a B(a, b)), so that `I_p(a, b)` = pᵃ(1 − p)ᵇ/(a B(a, b)) times the continued fraction.
    #[cfg(feature = "serde")]
    pub(crate) fn ln_size(&self) -> f64 {
        self.a * self.ln_mean[0] + self.b * self.ln_mean[1] + self.ln_normaliser
    }

    /// The factors d₁, d₂, … of the continued fraction that the limit, and every smaller number, needs.
    #[cfg(feature = "serde")]
    pub(crate) fn factors(&self) -> Vec<f64> {
        self.terms(self.limit).iter().map(|term| term.d).collect()
    }

    /// Whether the fraction converges fast at p = σ(z).
    pub(crate) fn contains(&self, z: f64) -> bool {
        z < self.limit
    }

    /// ln `I_p(a, b)`; the bits do not depend on N.
    #[inline(always)]
    pub(crate) fn ln<const N: usize>(&self, z: &[f64; N]) -> [f64; N] {
        let (fraction, _) = self.fraction(&z.map(sigmoid));
        let mut value = [0.0; N];
        for lane in 0..N {
            let [own, other] = self.deviance_terms(z[lane]);
            let far = self.a * own + self.b * other;
            value[lane] = (ln(fraction[lane]) - far - self.ln_normaliser).min(0.0);
        }
        value
    }

    /// ln `I_p(a, b)` and its derivatives by ln a and ln b, from the [terms](Self::terms) for the largest z.
    #[inline(always)]
    pub(crate) fn ln_and_slopes(
        &self,
        z: &[f64; WIDTH],
        terms: &[Term],
    ) -> ([f64; WIDTH], [[f64; WIDTH]; 2]) {
        let (mut x, mut own, mut other) = ([0.0; WIDTH], [0.0; WIDTH], [0.0; WIDTH]);
        for lane in 0..WIDTH {
            x[lane] = sigmoid(z[lane]);
            [own[lane], other[lane]] = self.deviance_terms(z[lane]);
        }
        let (inverse, [d_ln_a, d_ln_b]) = fraction_and_slopes(&x, terms);
        let (mut value, mut slopes) = ([0.0; WIDTH], [[0.0; WIDTH]; 2]);
        for lane in 0..WIDTH {
            let (far_a, far_b) = (self.a * own[lane], self.b * other[lane]);
            value[lane] = (-ln(inverse[lane]) - (far_a + far_b) - self.ln_normaliser).min(0.0);
            let share = 1.0 / inverse[lane];
            slopes[0][lane] = -far_a - self.normaliser_slopes[0] - d_ln_a[lane] * share;
            slopes[1][lane] = -far_b - self.normaliser_slopes[1] - d_ln_b[lane] * share;
        }
        (value, slopes)
    }

    /// ln(μ/p) and ln((1 − μ)/(1 − p)).
    ///
    /// Near the mean from δ = z − logit μ, as ln(1 + (1 − μ)(e^−δ − 1)) and ln(1 + μ(e^δ − 1)): both are
    /// multiplied by what may be large, and add up to next to nothing.
    #[inline(always)]
    fn deviance_terms(&self, z: f64) -> [f64; 2] {
        let off = z - self.centre;
        let [up, down] = exp_m1_near_0(off);
        let near = [ln_1p(self.mean[1] * down), ln_1p(self.mean[0] * up)];
        let (ln_p, minus_ln_q) = log_parts(z);
        let far = [self.ln_mean[0] - ln_p, self.ln_mean[1] + minus_ln_q];
        if off.abs() <= 1.0 { near } else { far }
    }

    /// The terms of the continued fraction that σ(z), and every smaller number, needs.
    pub(crate) fn terms(&self, z: f64) -> Vec<Term> {
        // Where b is a whole number the fraction ends early, but its derivatives do not.
        let endless = Self { b: self.b.floor() + 0.5, ..*self };
        let (_, steps) = endless.fraction(&[sigmoid(z)]);
        // Derivatives converge as the fraction does, a little later.
        let enough = steps + steps / 4 + 4;
        (1..=enough).map(|n| self.term(n)).collect()
    }

    /// The continued fraction 1/(1 + d₁x/(1 + d₂x/(1 + …))) in `I_x(a, b)` = xᵃ(1 − x)ᵇ/(a B(a, b)) times it,
    /// and how many terms it took. By Steed's method: the sum of the differences of successive convergents.
    #[inline(always)]
    fn fraction<const N: usize>(&self, x: &[f64; N]) -> ([f64; N], u32) {
        let (mut share, mut difference, mut sum) = ([1.0; N], [1.0; N], [1.0; N]);
        for n in 1..MAX_TERMS {
            let factor = self.factor(n);
            let mut settled = true;
            for lane in 0..N {
                let ratio = factor * x[lane] * share[lane];
                share[lane] = 1.0 / (1.0 + ratio);
                let change = difference[lane] * (-ratio * share[lane]);
                sum[lane] += change;
                // Differences may fall slowly, so that many more count. What is NaN stays NaN.
                let counts = change.abs() > 0.01 * f64::EPSILON * sum[lane];
                difference[lane] = if counts { change } else { 0.0 };
                settled &= !counts;
            }
            if settled {
                return (sum, n);
            }
        }
        (sum, MAX_TERMS)
    }

    /// d₂ₘ = m(b − m)/((a + 2m − 1)(a + 2m)), d₂ₘ₊₁ = −(a + m)(a + b + m)/((a + 2m)(a + 2m + 1)).
    fn factor(&self, n: u32) -> f64 {
        let (a, b, m, n) = (self.a, self.b, f64::from(n / 2), f64::from(n));
        // In this order, as 1 swallows the digits of a small a.
        let below = (a + (n - 1.0)) * (a + n);
        if n > 2.0 * m { -(a + m) * (a + b + m) / below } else { m * (b - m) / below }
    }

    /// dₙ with its derivatives.
    fn term(&self, n: u32) -> Term {
        let d = self.factor(n);
        let (a, b, m, n) = (self.a, self.b, f64::from(n / 2), f64::from(n));
        let below = 1.0 / (a + (n - 1.0)) + 1.0 / (a + n);
        if n > 2.0 * m {
            let sum = a + b + m;
            Term { d, d_ln_a: d * (a / (a + m) + a / sum - a * below), d_ln_b: d * b / sum }
        } else {
            Term { d, d_ln_a: -d * a * below, d_ln_b: m * b / ((a + (n - 1.0)) * (a + n)) }
        }
    }
}

/// Far more than a few times √max(a, b), which the fraction takes, for parameters that data can tell from infinite
/// ones.
const MAX_TERMS: u32 = 200_000;

/// A term of the continued fraction without its x, with its derivatives by ln a and ln b.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    d: f64,
    d_ln_a: f64,
    d_ln_b: f64,
}

/// 1 + d₁x/(1 + d₂x/(1 + …)) from the last term to the first, and its derivatives by ln a and ln b.
#[inline(always)]
fn fraction_and_slopes(x: &[f64; WIDTH], terms: &[Term]) -> ([f64; WIDTH], [[f64; WIDTH]; 2]) {
    let (mut value, mut d_ln_a, mut d_ln_b) = ([1.0; WIDTH], [0.0; WIDTH], [0.0; WIDTH]);
    for term in terms.iter().rev() {
        for lane in 0..WIDTH {
            let inverse = 1.0 / value[lane];
            let share = x[lane] * inverse;
            let ratio = term.d * share;
            let rest = ratio * inverse;
            d_ln_a[lane] = term.d_ln_a * share - rest * d_ln_a[lane];
            d_ln_b[lane] = term.d_ln_b * share - rest * d_ln_b[lane];
            value[lane] = 1.0 + ratio;
        }
    }
    (value, [d_ln_a, d_ln_b])
}

/// The remainder of Stirling's formula, ln Γ(1 + x) − x ln x + x, and its derivative ψ(1 + x) − ln x; by Stirling's
/// series where x is large.
fn stirling(x: f64) -> (f64, f64) {
    if x < 10.0 {
        return (ln_gamma(1.0 + x) - x * x.ln() + x, digamma(1.0 + x) - x.ln());
    }
    // The next term is below 10⁻¹⁶.
    const LN_GAMMA: [f64; 7] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    let square = 1.0 / (x * x);
    let (mut value, mut slope) = (0.0, 0.0);
    for (n, coefficient) in LN_GAMMA.iter().enumerate().rev() {
        value = value * square + coefficient;
        slope = slope * square - (2 * n + 1) as f64 * coefficient;
    }
    (0.5 * (TAU * x).ln() + value / x, 0.5 / x + slope * square)
}

/// eˣ − 1 and e⁻ˣ − 1 for |x| ≤ 1: 2 s (s ± √(1 + s²)) with s = sinh(x/2) from its series.
#[inline(always)]
fn exp_m1_near_0(x: f64) -> [f64; 2] {
    /// Each coefficient of the series by the one before.
    const RATIOS: [f64; 7] =
        [1.0 / 6.0, 1.0 / 20.0, 1.0 / 42.0, 1.0 / 72.0, 1.0 / 110.0, 1.0 / 156.0, 1.0 / 210.0];
    let half = 0.5 * x;
    let square = half * half;
    let series = RATIOS.iter().rev().fold(1.0, |series, ratio| 1.0 + square * ratio * series);
    let s = half * series;
    let cosh = (1.0 + s * s).sqrt();
    [2.0 * s * (s + cosh), 2.0 * s * (s - cosh)]
}

/// ln(1 + x), corrected for the rounding of 1 + x.
#[inline(always)]
fn ln_1p(x: f64) -> f64 {
    let sum = 1.0 + x;
    ln(sum) + (x - (sum - 1.0)) / sum
}

/// ln(1 − p) and the odds p/(1 − p) from ln p, without a difference of near numbers; for a p that rounds to 1, the
/// largest finite ones.
#[inline(always)]
pub(crate) fn ln_complement_and_odds(ln_p: f64) -> (f64, f64) {
    let p = exp_of_negative(ln_p);
    if ln_p < -0.5 {
        (ln_1m(p), p / (1.0 - p))
    } else {
        let rest = (-exp_m1_near_0(ln_p)[0]).max(f64::MIN_POSITIVE);
        (ln(rest), p / rest)
    }
}

/// 1 − p from ln p, without a difference of near numbers; 0 and not −0 for p = 1.
#[inline(always)]
pub(crate) fn one_minus_exp(ln_p: f64) -> f64 {
    if ln_p < -0.5 { 1.0 - exp_of_negative(ln_p) } else { exp_m1_near_0(ln_p)[0].abs() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From mpmath with 50 digits, of the doubles that the decimals stand for.
    #[test]
    fn the_remainder_of_stirlings_formula_is_right_for_small_and_large_numbers() {
        for (x, value, slope) in [
            (1e-09, 2.1146050172867347e-8, 20.146_050_173_689_81),
            (0.02, 0.087_021_970_778_792_84, 3.3672336949719662),
            (1.0, 1.0, 0.42278433509846714),
            (9.99, 2.078_069_726_332_638, 0.049_215_880_270_839_05),
            (10.0, 2.0785616431350585, 0.049167496072675424),
            (10.01, 2.0790530765708135, 0.049119206891106443),
            (75.0, 3.0787936944999113, 0.006_651_852_115_204_046),
            (1000.0, 4.372_899_506_026_297, 0.000499916666675),
            (10000000.0, 8.977986367017166, 4.999_999_916_666_667e-8),
        ] {
            let (found, found_slope) = stirling(x);
            // Below 10 they are differences of numbers of up to 23, the largest with an error of its own.
            let size = if x < 10.0 { 80.0 } else { 0.0 };
            for (found, expected) in [(found, value), (found_slope, slope)] {
                let error = (found - expected).abs();
                assert!(error <= f64::EPSILON * (size + 6.0 * expected), "{found} of {x}");
            }
        }
    }

    #[test]
    fn differences_near_0_keep_their_digits() {
        for i in -1_000..=1_000 {
            let x = f64::from(i).powi(3) * 1e-9;
            let [up, down] = exp_m1_near_0(x);
            for (found, expected) in
                [(up, x.exp_m1()), (down, (-x).exp_m1()), (ln_1p(0.9 * x), (0.9 * x).ln_1p())]
            {
                let error = (found - expected).abs();
                assert!(error <= 6.0 * f64::EPSILON * expected.abs(), "{found} {expected} at {x}");
            }
            let ln_p = -x.abs();
            let (ln_rest, odds) = ln_complement_and_odds(ln_p);
            let rest = -ln_p.exp_m1();
            if rest > 0.0 {
                let error = (ln_rest - rest.ln()).abs();
                assert!(error <= 6.0 * f64::EPSILON * rest.ln().abs().max(1.0), "{ln_p}");
                assert!((odds * rest / ln_p.exp() - 1.0).abs() <= 8.0 * f64::EPSILON, "{ln_p}");
            }
        }
    }
}
