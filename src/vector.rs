//! Exponentials and logarithms without branches, which a compiler turns into vector instructions.
//!
//! The standard library's functions are calls, one for each number. These are polynomials that a loop
//! over a block of numbers evaluates four or eight at a time, at a quarter of the cost. One number at a
//! time they give the same bits, as there are no fused or reordered operations in them.

use std::f64::consts::{LN_2, LOG2_E};

/// Numbers that a loop should hold in arrays, so that sums over them need no order between neighbours.
pub(crate) const LANES: usize = 32;

/// A loop over a block of numbers. A closure would not do: it has to be inlined, with all it calls, where
/// the instructions of the machine are known, so `run` is `#[inline(always)]` in every implementation.
pub(crate) trait Work {
    /// What comes of it.
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs a loop with the widest vector instructions of this machine. The bits do not depend on which.
pub(crate) fn vectorised<W: Work>(work: W) -> W::Output {
    struct OnVectors<W>(W);

    impl<W: Work> pulp::WithSimd for OnVectors<W> {
        type Output = W::Output;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> W::Output {
            self.0.run()
        }
    }

    pulp::Arch::new().dispatch(OnVectors(work))
}

/// The lanes as one number, in their order.
pub(crate) fn total(lanes: &[f64; LANES]) -> f64 {
    lanes.iter().sum()
}

/// 1.5 · 2⁵²: added to a number below 2⁵¹, it leaves that number's nearest integer in the last bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// The upper half of ln 2, whose product with an integer of 11 bits is exact, and what it leaves.
const LN_2_HIGH: f64 = f64::from_bits(LN_2.to_bits() >> 21 << 21);
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Below this e^x rounds to 0.
const LEAST_EXPONENT: f64 = -746.0;

/// e^x for x ≤ 0 or NaN, within 1 unit in the last place.
///
/// x = −n ln 2 + r with |r| ≤ ln 2 / 2, and e^r by its Taylor polynomial, of which the first term left
/// out is below 2⁻⁵⁷.
#[inline(always)]
pub(crate) fn exp_of_negative(x: f64) -> f64 {
    // Written so that NaN stays.
    let x = if x < LEAST_EXPONENT { LEAST_EXPONENT } else { x };
    let shifted = x * LOG2_E + ROUNDER;
    let whole = shifted - ROUNDER;
    let r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let mut q = 1.0 / 6_227_020_800.0;
    for factorial in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
    ] {
        q = q * r + 1.0 / factorial;
    }
    let e = 1.0 + (r + r * r * q);
    // 2⁻ⁿ in two factors, of which each is a normal number also where the product is not.
    let n = ROUNDER.to_bits().wrapping_sub(shifted.to_bits());
    let power = |n: u64| f64::from_bits(1023_u64.wrapping_sub(n) << 52);
    e * power(n >> 1) * power(n.wrapping_sub(n >> 1))
}

/// ln(1 + x) for 0 ≤ x ≤ 1 or NaN, within 2 units in the last place.
///
/// 1 + x = 2ᵏ (1 + f) with |f| < √2 − 1, and ln(1 + f) = 2 artanh s by its series in s = f/(2 + f), of
/// which the first term left out is below 2⁻⁵⁷.
#[inline(always)]
pub(crate) fn ln_1p_of_share(x: f64) -> f64 {
    let large = x > std::f64::consts::SQRT_2 - 1.0;
    let f = if large { 0.5 * (x - 1.0) } else { x };
    let s = f / (2.0 + f);
    let square = s * s;
    let mut q = 2.0 / 19.0;
    for odd in [17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        q = q * square + 2.0 / odd;
    }
    // 2 s = f − s f, which keeps the bits of f.
    let ln = f - s * (f - square * q);
    if large { LN_2 + ln } else { ln }
}

/// σ(z) = 1/(1 + e⁻ᶻ), within 2 units in the last place.
#[inline(always)]
pub(crate) fn sigmoid(z: f64) -> f64 {
    let e = exp_of_negative(-z.abs());
    (if z >= 0.0 { 1.0 } else { e }) / (1.0 + e)
}

/// ln p and −ln(1 − p) of the probability p = σ(z), without rounding it.
#[inline(always)]
pub(crate) fn log_parts(z: f64) -> (f64, f64) {
    let rest = ln_1p_of_share(exp_of_negative(-z.abs()));
    (z.min(0.0) - rest, z.max(0.0) + rest)
}

/// σ(z), and minus the logarithm of what it gives to the label.
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
    use crate::loss::numerics;

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
    fn they_know_the_ends_and_nan() {
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
            self.0.iter_mut().for_each(|z| *z = sigmoid(*z));
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
