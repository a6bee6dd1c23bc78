//! Estimates with their uncertainty.

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};
use statrs::function::erf::{erfc, erfc_inv};

use crate::core::{Error, Result};

/// An estimate with a confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Interval {
    /// The metric on the rows themselves.
    pub estimate: f64,
    /// Its standard error; `None` where the rows do not determine it.
    pub standard_error: Option<f64>,
    /// Lower end of the interval; −∞ where the rows do not bound it.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite::negative"))]
    pub lower: f64,
    /// Upper end of the interval; +∞ where the rows do not bound it.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub upper: f64,
    /// How often such an interval contains the truth, for example 0.95.
    pub level: f64,
}

impl Interval {
    /// Whether the value lies in the interval, ends included.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.lower..=self.upper).contains(&value)
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(5);
        let Self { estimate, lower, upper, .. } = self;
        write!(f, "{estimate:.digits$} [{lower:.digits$}, {upper:.digits$}]")
    }
}

/// `Ok` for a level strictly between 0 and 1.
pub(crate) fn ensure_level(level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(Error::invalid("level", level, "between 0 and 1, both excluded; 0.95 is usual"))
    }
}

/// Ends, in \[0, 1\], of the interval that is symmetric in logit(estimate).
pub(super) fn logit_interval(estimate: f64, standard_error: f64, z: f64) -> (f64, f64) {
    let factor = (z * standard_error / (estimate * (1.0 - estimate))).exp();
    let odds = |factor: f64| estimate / (estimate + (1.0 - estimate) * factor);
    (odds(factor), odds(1.0 / factor))
}

/// Whether a share among k units is far enough from 0 and 1 to be about normal, by the usual bound.
pub(super) fn normal_share(share: f64, k: f64) -> bool {
    k * share * (1.0 - share) >= 5.0
}

/// Ends, in \[0, 1\], of the interval of a share where k independent draws all had the value `estimate`.
pub(super) fn unanimous_interval(estimate: f64, k: f64, level: f64) -> (f64, f64) {
    let same = (0.5 * (1.0 - level)).powf(1.0 / k);
    (same * estimate, same * estimate + (1.0 - same))
}

/// z with P(|Z| ≤ z) = `level` for a standard normal Z.
pub(super) fn two_sided_quantile(level: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv(1.0 - level)
}

/// t with P(|T| ≤ t) = `level` for Student's T.
pub(crate) fn student_quantile(level: f64, degrees: f64) -> f64 {
    /// The inverse of the incomplete beta function loses digits as the degrees grow, and beyond 10⁷ it
    /// does not end. From here on the first term left out below is 10⁻¹¹ or less at a level of 99 %.
    const MANY: f64 = 1e4;
    if degrees < MANY {
        let quantile = |law: StudentsT| match level {
            // The density is level near 0, and the inverse has lost its digits there.
            ..1e-6 => 0.5 * level / law.pdf(0.0),
            _ => law.inverse_cdf(0.5 * (1.0 + level)),
        };
        return StudentsT::new(0.0, 1.0, degrees).map_or(f64::INFINITY, quantile);
    }
    // Cornish and Fisher's expansion, Abramowitz & Stegun 26.7.5.
    let z = two_sided_quantile(level);
    let square = z * z;
    let first = (square + 1.0) * z / 4.0;
    let second = ((5.0 * square + 16.0) * square + 3.0) * z / 96.0;
    z + (first + second / degrees) / degrees
}

/// P(|T| ≥ t) for Student's T.
pub(super) fn student_p_value(t: f64, degrees: f64) -> f64 {
    /// From here on Student's T is a normal variable to the terms below: Abramowitz & Stegun 26.7.8, whose error is
    /// below 10⁻⁸.
    const MANY: f64 = 1e4;
    let t = t.abs();
    if degrees < MANY {
        return StudentsT::new(0.0, 1.0, degrees).map_or(1.0, |law| 2.0 * law.cdf(-t));
    }
    let z = t * (1.0 - 0.25 / degrees) / (1.0 + t * t / (2.0 * degrees)).sqrt();
    erfc(z / std::f64::consts::SQRT_2)
}
