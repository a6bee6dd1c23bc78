//! Estimates with their uncertainty.

use statrs::function::erf::erfc_inv;

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
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
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
pub(super) fn ensure_level(level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 {
        Ok(())
    } else {
        Err(Error::invalid("level", level, "between 0 and 1, both excluded; 0.95 is usual"))
    }
}

/// z with P(|Z| ≤ z) = `level` for a standard normal Z.
pub(super) fn two_sided_quantile(level: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv(1.0 - level)
}
