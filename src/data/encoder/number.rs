//! Numbers, standardised or cut into ranges.

use std::ops::Range;

use super::encoding::NumberForm;
use crate::core::{Error, Result};
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel;

/// (x − mean)/scale of a number in some form.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(super) struct Scaled {
    pub(super) form: NumberForm,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::finite"))]
    pub(super) mean: f64,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::saved::number::positive"))]
    pub(super) scale: f64,
    /// Whether numbers were missing in training, so that there is an indicator of that.
    pub(super) indicator: bool,
}

/// What rows say of a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberSums {
    known: Option<Known>,
    missing: bool,
}

impl NumberSums {
    pub(super) fn of(values: &[f64], weights: Option<&[f64]>, form: NumberForm) -> Self {
        let size = parallel::sum_block(values.len(), 1);
        let rows = Rows { values, weights, form };
        let moments = accumulate(values.len(), size, || Moments::of(&rows), |range| range);
        let known = moments.and_then(|moments| moments.known);
        Self { known, missing: values.iter().any(|value| value.is_nan()) }
    }

    /// Adds what the rows that come next say.
    pub(super) fn merge(&mut self, next: Self) {
        self.known = merged(self.known, next.known);
        self.missing |= next.missing;
    }
}

impl Scaled {
    pub(super) fn fit(name: &str, sums: NumberSums, form: NumberForm) -> Result<Self> {
        let known = sums.known.ok_or_else(|| {
            let value = format!("`{name}`, which is missing in every training row");
            Error::invalid("numeric column", value, "a column with a number in some of them")
        })?;
        let indicator = sums.missing;
        if form == NumberForm::Plain {
            return Ok(Self { form, mean: 0.0, scale: 1.0, indicator });
        }
        let (mean, deviation) = (known.mean, known.deviation());
        if !(mean + deviation).is_finite() {
            return Err(Error::Numerical {
                what: format!("the mean or standard deviation of the numeric column `{name}`"),
                value: mean + deviation,
                remedy: "scale the column down",
            });
        }
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        Ok(Self { form, mean, scale, indicator })
    }

    #[inline(always)]
    pub(super) fn at(&self, x: f64) -> f64 {
        (self.form.of(x) - self.mean) / self.scale
    }
}

/// The numbers of a column.
struct Rows<'a> {
    values: &'a [f64],
    weights: Option<&'a [f64]>,
    form: NumberForm,
}

/// Weight, mean and sum of squared deviations of the numbers that are not missing, if there are any.
struct Moments<'a> {
    rows: &'a Rows<'a>,
    known: Option<Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    weight: f64,
    mean: f64,
    squares: f64,
}

impl Known {
    fn deviation(&self) -> f64 {
        let variance = self.squares / self.weight;
        // Not `variance.max(0.0)`, which would turn the NaN of an overflow into 0.
        if variance < 0.0 { 0.0 } else { variance.sqrt() }
    }
}

impl<'a> Moments<'a> {
    fn of(rows: &'a Rows<'a>) -> Self {
        Self { rows, known: None }
    }
}

impl Accumulate for Moments<'_> {
    type Block<'b> = Range<usize>;

    /// Sums are taken over differences from the first value, then over differences from that mean: so a constant
    /// column has exactly its constant as mean and exactly 0 as deviation, and no digits cancel in the squares.
    fn add(&mut self, range: Range<usize>) {
        let Rows { values, weights, form } = *self.rows;
        let weighted = range.map(|row| (form.of(values[row]), weights.map_or(1.0, |w| w[row])));
        let present = weighted.filter(|(value, weight)| !value.is_nan() && *weight > 0.0);
        let Some((origin, _)) = present.clone().next() else { return };
        let (mut weight, mut sum) = (0.0, 0.0);
        for (x, w) in present.clone() {
            weight += w;
            sum += w * (x - origin);
        }
        let centre = origin + sum / weight;
        let (mut sum, mut squares) = (0.0, 0.0);
        for (x, w) in present {
            let deviation = x - centre;
            sum += w * deviation;
            squares += w * deviation * deviation;
        }
        let correction = sum / weight;
        let (mean, squares) = (centre + correction, squares - weight * correction * correction);
        self.merge(Self { rows: self.rows, known: Some(Known { weight, mean, squares }) });
    }

    fn merge(&mut self, next: Self) {
        self.known = merged(self.known, next.known);
    }
}

/// The formula of Chan, Golub & `LeVeque` 1979.
fn merged(first: Option<Known>, next: Option<Known>) -> Option<Known> {
    match (first, next) {
        (None, known) | (known, None) => known,
        (Some(a), Some(b)) => {
            let (weight, apart) = (a.weight + b.weight, b.mean - a.mean);
            let share = b.weight / weight;
            Some(Known {
                weight,
                mean: a.mean + apart * share,
                squares: a.squares + b.squares + apart * apart * a.weight * share,
            })
        }
    }
}

/// Ranges of numbers: below the first edge, from each edge to the next, from the last on; and missing.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub(super) struct Ranges {
    /// Ascending and finite.
    pub(super) edges: Vec<f64>,
    /// Whether numbers were missing in training, so that there is an indicator of that.
    pub(super) missing: bool,
}

impl Ranges {
    pub(super) fn fit(
        name: &str,
        values: &[f64],
        weights: Option<&[f64]>,
        bins: usize,
    ) -> Result<Self> {
        let weighted = values.iter().copied().enumerate();
        let weighted = weighted.map(|(row, value)| (value, weights.map_or(1.0, |w| w[row])));
        let mut present: Vec<(f64, f64)> =
            weighted.filter(|(value, weight)| !value.is_nan() && *weight > 0.0).collect();
        if present.is_empty() {
            let value = format!("`{name}`, which is missing in every training row");
            return Err(Error::invalid(
                "numeric column",
                value,
                "a column with a number in some of them",
            ));
        }
        present.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let total: f64 = present.iter().map(|(_, weight)| weight).sum();
        let (mut edges, mut at_most, mut begun) = (Vec::with_capacity(bins - 1), 0.0, 1);
        let mut least_is_heavy = false;
        for (place, equal) in present.chunk_by(|a, b| a.0 == b.0).enumerate() {
            at_most += equal.iter().map(|(_, weight)| weight).sum::<f64>();
            // The first number with more than k/bins of the weight at or below it begins a range.
            let before = begun;
            while begun < bins && at_most * bins as f64 > total * begun as f64 {
                begun += 1;
            }
            let begins = begun > before;
            match place {
                0 => least_is_heavy = begins,
                1 if least_is_heavy => edges.push(equal[0].0),
                _ if begins => edges.push(equal[0].0),
                _ => {}
            }
        }
        Ok(Self { edges, missing: values.iter().any(|value| value.is_nan()) })
    }

    /// What the constructor guarantees.
    #[cfg(feature = "serde")]
    pub(super) fn checked(self) -> Result<Self> {
        let ascending = self.edges.windows(2).all(|pair| pair[0] < pair[1]);
        if ascending && self.edges.iter().all(|edge| edge.is_finite()) {
            Ok(self)
        } else {
            Err(Error::invalid("edges", format!("{:?}", self.edges), "finite and ascending"))
        }
    }

    pub(super) fn width(&self) -> usize {
        self.edges.len() + 1 + usize::from(self.missing)
    }

    /// The place of the range that holds a number; none for a missing number where training had none.
    #[inline]
    pub(super) fn at(&self, x: f64) -> Option<usize> {
        if x.is_nan() {
            return self.missing.then_some(self.edges.len() + 1);
        }
        Some(self.edges.partition_point(|&edge| edge <= x))
    }

    pub(super) fn names(&self, column: &str) -> Vec<String> {
        let mut names = match (self.edges.first(), self.edges.last()) {
            (Some(first), Some(last)) => {
                let between = self.edges.windows(2);
                let between = between.map(|pair| format!("{column} in [{}, {})", pair[0], pair[1]));
                let mut names = vec![format!("{column} < {first}")];
                names.extend(between);
                names.push(format!("{column} >= {last}"));
                names
            }
            _ => vec![format!("{column} known")],
        };
        names.extend(self.missing.then(|| format!("{column} missing")));
        names
    }
}
