//! Exponentials and logarithms without branches, which a compiler turns into vector instructions.
//!
//! The standard library's functions are calls, one for each number. These are polynomials that a loop
//! over a block of numbers evaluates four or eight at a time, at a quarter of the cost. One number at a
//! time they give the same bits, as there are no fused or reordered operations in them.

use std::f64::consts::{LN_2, LOG2_E};

/// 1.5 · 2⁵²: added to a number below 2⁵¹, it leaves that number's nearest integer in the last bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// The upper half of ln 2, whose product with an integer of 11 bits is exact, and the remainder.
const LN_2_HIGH: f64 = f64::from_bits(LN_2.to_bits() >> 21 << 21);
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Below this e^x rounds to 0.
const LEAST_EXPONENT: f64 = -746.0;

/// q(r) = (eʳ − 1 − r)/r² for |r| ≤ ln 2 / 2 as a minimax polynomial (Remez): relative error of eʳ 2⁻⁵⁶.
const EXP: [f64; 10] = [
    0.500_000_000_000_001_1,
    0.166_666_666_666_664_13,
    0.041_666_666_666_530_2,
    0.008_333_333_333_494_551,
    0.001_388_888_894_365_196_7,
    1.984_126_950_639_790_8e-4,
    2.480_149_305_010_611_6e-5,
    2.755_758_643_856_033_5e-6,
    2.763_027_351_241_779e-7,
    2.500_008_875_139_533_4e-8,
];
/// q(s²) = (2 artanh s − 2 s)/s³ for |s| ≤ (√2 − 1)/(√2 + 1) as a minimax polynomial: relative error of the artanh
/// 2⁻⁵⁹.
const ARTANH: [f64; 7] = [
    0.666_666_666_666_673_4,
    0.399_999_999_994_155_9,
    0.285_714_287_424_106_4,
    0.222_221_985_532_892_3,
    0.181_835_661_008_563_08,
    0.153_139_889_840_634,
    0.147_967_081_554_222_53,
];

/// Σ cₙ xⁿ, the even and the odd powers apart: two short chains of dependent operations instead of a long one.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let square = x * x;
    let mut sums = [0.0; 2];
    for n in (0..N).rev() {
        sums[n % 2] = sums[n % 2] * square + coefficients[n];
    }
    sums[0] + x * sums[1]
}

/// e^x for x ≤ 0 or NaN, within 1 unit in the last place.
///
/// x = −n ln 2 + r with |r| ≤ ln 2 / 2, and eʳ = 1 + r + r² q(r).
#[inline(always)]
pub(crate) fn exp_of_negative(x: f64) -> f64 {
    // Written so that NaN stays.
    let x = if x < LEAST_EXPONENT { LEAST_EXPONENT } else { x };
    let shifted = x * LOG2_E + ROUNDER;
    let whole = shifted - ROUNDER;
    let r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let q = polynomial(r, EXP);
    let e = 1.0 + (r + r * r * q);
    // 2⁻ⁿ in two factors, of which each is a normal number also where the product is not.
    let n = ROUNDER.to_bits().wrapping_sub(shifted.to_bits());
    let power = |n: u64| f64::from_bits(1023_u64.wrapping_sub(n) << 52);
    e * power(n >> 1) * power(n.wrapping_sub(n >> 1))
}

/// ln(1 + f) = 2 artanh s with s = f/(2 + f), for √½ ≤ 1 + f ≤ √2.
#[inline(always)]
fn ln_1p_near_0(f: f64) -> f64 {
    let s = f / (2.0 + f);
    let square = s * s;
    let q = polynomial(square, ARTANH);
    // 2 s = f − s f, which keeps the bits of f.
    f - s * (f - square * q)
}

/// ln(1 + x) for 0 ≤ x ≤ 1 or NaN, within 2 units in the last place.
#[inline(always)]
pub(crate) fn ln_1p_of_share(x: f64) -> f64 {
    let large = x > std::f64::consts::SQRT_2 - 1.0;
    let ln = ln_1p_near_0(if large { 0.5 * (x - 1.0) } else { x });
    if large { LN_2 + ln } else { ln }
}

/// f and k of x = 2ᵏ (1 + f) with √½ ≤ 1 + f < √2, for a normal x > 0.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    const LEAST: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
    const MANTISSA: u64 = (1 << 52) - 1;
    /// 2⁵²: its last bits are an integer.
    const INTEGER: f64 = 4_503_599_627_370_496.0;
    // A mantissa above √½ gets the next exponent.
    let raised = x.to_bits().wrapping_add(1_f64.to_bits() - LEAST);
    let k = f64::from_bits(raised >> 52 | INTEGER.to_bits()) - (INTEGER + 1023.0);
    (f64::from_bits((raised & MANTISSA) + LEAST) - 1.0, k)
}

/// ln x from the [`split`] of x.
#[inline(always)]
fn ln_of_split((f, k): (f64, f64)) -> f64 {
    k * LN_2_HIGH + (ln_1p_near_0(f) + k * LN_2_LOW)
}

/// The logarithm within 2 units in the last place: −∞ of 0, NaN of negative numbers, and ∞ of ∞.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    // A subnormal number is made a normal one first.
    let subnormal = x < f64::MIN_POSITIVE;
    let (f, k) = split(if subnormal { x * 18_014_398_509_481_984.0 } else { x });
    let ln = ln_of_split((f, if subnormal { k - 54.0 } else { k }));
    if x > 0.0 && x < f64::INFINITY { ln } else { ln_of_end(x) }
}

/// The logarithm of 0 and ∞; NaN of NaN and of negative numbers.
#[inline(always)]
fn ln_of_end(x: f64) -> f64 {
    let of_0 = if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    if x > 0.0 { x } else { of_0 }
}

/// ln(1 − p) of a probability within 2 units in the last place; −∞ of 1, and NaN above.
#[inline(always)]
pub(crate) fn ln_1m(p: f64) -> f64 {
    let rest = 1.0 - p;
    let (f, k) = split(rest);
    // From ½ on 1 − p is exact. Below, f comes from p itself, because the rounding of 1 − p would show in it.
    let f = if p < 0.5 { 1.0 - 2.0 * p } else { f };
    let ln = ln_of_split((if k == 0.0 { -p } else { f }, k));
    if rest > 0.0 { ln } else { ln_of_end(rest) }
}

/// ln(p/(1 − p)) of a probability; −∞ of 0, ∞ of 1, NaN outside \[0, 1\].
///
/// One logarithm of the odds: 1 − p and the division round by 2⁻⁵³ each at most, beside odds of 1, and by less than
/// the last place of the result elsewhere.
#[inline(always)]
pub(crate) fn logit(p: f64) -> f64 {
    ln(p / (1.0 - p))
}

/// σ(z) = 1/(1 + e⁻ᶻ), within 2 units in the last place.
#[inline(always)]
pub(crate) fn sigmoid(z: f64) -> f64 {
    let e = exp_of_negative(-z.abs());
    (if z >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// Replaces log-odds by probabilities.
#[inline(always)]
pub(crate) fn sigmoids(log_odds: &mut [f64]) {
    for z in log_odds {
        *z = sigmoid(*z);
    }
}

/// ln p and −ln(1 − p) of the probability p = σ(z), without rounding it.
#[inline(always)]
pub(crate) fn log_parts(z: f64) -> (f64, f64) {
    let rest = ln_1p_of_share(exp_of_negative(-z.abs()));
    (z.min(0.0) - rest, z.max(0.0) + rest)
}

/// σ(z), and minus the logarithm of the probability that it gives to the label.
#[inline(always)]
pub(crate) fn probability_and_loss(z: f64, label: bool) -> (f64, f64) {
    let e = exp_of_negative(-z.abs());
    let p = (if z >= 0.0 { 1.0 } else { e }) / (1.0 + e);
    let against = if label { -z } else { z };
    (p, against.max(0.0) + ln_1p_of_share(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::simd::{Work, vectorised};
    use crate::numerics;

    /// Distance in units in the last place of the expected number.
    fn ulps(found: f64, expected: f64) -> f64 {
        if found == expected {
            return 0.0;
        }
        (found - expected).abs() / (expected.abs().next_up() - expected.abs())
    }

    #[test]
    fn they_agree_with_the_standard_library() {
        // Its own functions are right to 1 unit in the last place, which is allowed for.
        for i in 0..400_000_u32 {
            let x = -f64::from(i) * 0.001_87;
            let e = exp_of_negative(x);
            assert!(ulps(e, x.exp()) <= 2.0, "{e} for e^{x}");
            let share = 0.5 * (-f64::from(i) * 1e-4).exp() + 0.5 * f64::from(i) / 400_000.0;
            for share in [share, e] {
                let ln = ln_1p_of_share(share);
                assert!(ulps(ln, share.ln_1p()) <= 3.0, "{ln} for ln(1 + {share})");
            }
            for z in [x, -x] {
                assert!(ulps(sigmoid(z), numerics::sigmoid(z)) <= 4.0, "sigmoid of {z}");
                let (ln_p, minus_ln_q) = log_parts(z);
                assert!(ulps(-ln_p, numerics::log1p_exp(-z)) <= 4.0, "ln p of {z}");
                assert!(ulps(minus_ln_q, numerics::log1p_exp(z)) <= 4.0, "ln (1 − p) of {z}");
            }
        }
    }

    #[test]
    fn logarithms_agree_with_the_standard_library() {
        for i in 1..400_000_u32 {
            let (low, high) = ((-f64::from(i) * 0.001_87).exp(), f64::from(i) / 400_000.0);
            let near_1 = 1.0 - f64::from(i) * f64::EPSILON;
            for p in [low, high, near_1, 1.0 - low].into_iter().filter(|&p| p > 0.0) {
                assert!(ulps(ln(p), p.ln()) <= 2.0, "{} for ln {p}", ln(p));
                assert!(ulps(ln(1.0 / p), (1.0 / p).ln()) <= 2.0, "ln of 1/{p}");
                if p < 1.0 {
                    assert!(ulps(ln_1m(p), (-p).ln_1p()) <= 2.0, "{} for ln(1 − {p})", ln_1m(p));
                    let (found, expected) = (logit(p), p.ln() - (-p).ln_1p());
                    // Both sides round numbers near ½ and 1, and the result.
                    let allowed = 3.0 * f64::EPSILON * expected.abs().max(1.0);
                    assert!((found - expected).abs() <= allowed, "{found} for logit {p}");
                }
            }
        }
    }

    /// p with ln p, ln(1 − p) and logit p.
    #[rustfmt::skip]
    #[expect(clippy::approx_constant, reason = "some of these numbers are constants by chance")]
    const LOGARITHMS: [(f64, f64, f64, f64); 23] = [
        (5e-324, -744.4400719213812, -5e-324, -744.4400719213812),
        (1e-320, -736.8272408909739, -1e-320, -736.8272408909739),
        (2.2250738585072014e-308, -708.3964185322641, -2.2250738585072014e-308, -708.3964185322641),
        (1e-300, -690.7755278982137, -1e-300, -690.7755278982137),
        (1e-17, -39.14394658089878, -1e-17, -39.14394658089878),
        (1.2e-16, -36.659039931110776, -1.2e-16, -36.659039931110776),
        (1e-09, -20.72326583694641, -1.0000000005000001e-09, -20.72326583594641),
        (1e-06, -13.815510557964274, -1.0000005000003334e-06, -13.815509557963773),
        (0.003, -5.809142990314028, -0.0030045090202987217, -5.806138481293728),
        (0.2, -1.6094379124341003, -0.22314355131420976, -1.3862943611198906),
        (0.29, -1.2378743560016174, -0.3424903089467759, -0.8953840470548415),
        (0.2928932188134524, -1.2279471772995159, -0.3465735902799726, -0.8813735870195433),
        (0.2928932188134525, -1.2279471772995156, -0.34657359027997264, -0.8813735870195429),
        (0.4, -0.916290731874155, -0.5108256237659907, -0.4054651081081643),
        (0.49999999999999994, -0.6931471805599454, -0.6931471805599452, -2.220446049250313e-16),
        (0.5000000000000001, -0.6931471805599451, -0.6931471805599455, 4.440892098500626e-16),
        (0.6, -0.5108256237659907, -0.916290731874155, 0.4054651081081643),
        (0.7071067811865475, -0.34657359027997275, -1.2279471772995154, 0.8813735870195427),
        (0.7071067811865476, -0.3465735902799726, -1.2279471772995159, 0.8813735870195433),
        (0.9, -0.10536051565782628, -2.302585092994046, 2.1972245773362196),
        (0.999999999, -9.999999722180686e-10, -20.723265865228342, 20.723265864228342),
        (0.9999999999999998, -2.2204460492503136e-16, -36.04365338911715, 36.04365338911715),
        (0.9999999999999999, -1.1102230246251565e-16, -36.7368005696771, 36.7368005696771),
    ];

    /// Expected values from mpmath with 700 digits, of the double that the decimal stands for.
    #[test]
    fn logarithms_are_right_at_the_extremes() {
        for (p, ln_p, ln_rest, log_odds) in LOGARITHMS {
            assert!(ulps(ln(p), ln_p) <= 2.0, "{} for ln {p}", ln(p));
            assert!(ulps(ln_1m(p), ln_rest) <= 2.0, "{} for ln(1 − {p})", ln_1m(p));
            let error = (logit(p) - log_odds).abs();
            assert!(
                error <= 2.0 * f64::EPSILON * log_odds.abs().max(0.5),
                "{error:e} in logit {p}"
            );
        }
    }

    #[test]
    fn they_know_the_ends_and_nan() {
        let (infinity, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!([0.0, -0.0, 1.0, infinity].map(ln), [-infinity, -infinity, 0.0, infinity]);
        assert!([-1.0, -infinity, nan].iter().all(|&x| ln(x).is_nan()));
        assert_eq!([0.0, 1.0].map(ln_1m), [0.0, -infinity]);
        assert!([1.1, infinity, nan].iter().all(|&x| ln_1m(x).is_nan()));
        assert_eq!([0.0, -0.0, 0.5, 1.0].map(logit), [-infinity, -infinity, 0.0, infinity]);
        let outside = [-5e-324, -1.0, 1_f64.next_up(), 2.0, infinity, -infinity, nan];
        assert!(outside.iter().all(|&p| logit(p).is_nan()));
        assert_eq!([0.0, -0.0].map(exp_of_negative), [1.0; 2]);
        assert_eq!([-746.0, -1e300, f64::NEG_INFINITY].map(exp_of_negative), [0.0; 3]);
        assert!(exp_of_negative(-745.0) > 0.0);
        assert_eq!([0.0, 1.0].map(ln_1p_of_share), [0.0, LN_2]);
        assert_eq!([f64::NEG_INFINITY, 0.0, f64::INFINITY].map(sigmoid), [0.0, 0.5, 1.0]);
        assert!(sigmoid(f64::NAN).is_nan() && exp_of_negative(f64::NAN).is_nan());
        assert_eq!(log_parts(f64::INFINITY), (0.0, f64::INFINITY));
        assert_eq!(probability_and_loss(f64::NEG_INFINITY, true), (0.0, f64::INFINITY));
    }

    struct Sigmoids<'a>(&'a mut [f64]);

    impl Work for Sigmoids<'_> {
        type Output = ();

        #[inline(always)]
        fn run(self) {
            sigmoids(self.0);
        }
    }

    #[test]
    fn a_block_gives_the_bits_of_single_numbers() {
        let z: Vec<f64> = (-5_000..5_000).map(|i| f64::from(i) * 0.017).collect();
        let mut block = z.clone();
        vectorised(Sigmoids(&mut block));
        assert!(z.iter().zip(&block).all(|(&z, &p)| sigmoid(z) == p));
    }
}
