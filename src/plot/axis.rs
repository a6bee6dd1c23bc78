//! Axes: how a number becomes a place, and which numbers are written beside it.

use crate::numerics::logit;

/// How an axis measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Linear,
    Log,
    Logit,
}

impl Measure {
    /// The number as it is laid out; infinite at the open ends of a logarithmic or logit axis.
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.ln(),
            Self::Logit => logit(value.clamp(0.0, 1.0)),
        }
    }

    fn back(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => place.exp(),
            Self::Logit => 1.0 / (1.0 + (-place).exp()),
        }
    }
}

/// What the numbers on an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Shares, written in percent.
    Percent,
    /// Plain numbers.
    Plain,
}

/// One side of a panel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) measure: Measure,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Where to write what.
    pub(super) ticks: Vec<(f64, String)>,
}

/// The smallest share a logarithmic or logit axis reaches: beyond it lies rounding, not data.
const SMALLEST: f64 = 1e-9;

impl Axis {
    /// An axis from `low` to `high`.
    pub(super) fn new(label: &str, measure: Measure, unit: Unit, low: f64, high: f64) -> Self {
        let values = match measure {
            Measure::Linear => linear_ticks(low, high),
            Measure::Log | Measure::Logit => decade_ticks(measure, low, high),
        };
        let ticks = labelled(&values, unit, measure);
        Self { label: label.into(), measure, low, high, ticks }
    }

    /// All shares from 0 to 100 %, linear.
    pub(super) fn shares(label: &str) -> Self {
        Self::new(label, Measure::Linear, Unit::Percent, 0.0, 1.0)
    }

    /// An axis that shows all `values` that it can: from 0 if it is linear, otherwise those that are
    /// not at its open ends.
    pub(super) fn around(
        label: &str,
        measure: Measure,
        unit: Unit,
        values: impl Iterator<Item = f64>,
    ) -> Self {
        let shown = |value: &f64| match measure {
            Measure::Linear => value.is_finite(),
            Measure::Log => *value >= SMALLEST && value.is_finite(),
            Measure::Logit => (SMALLEST..=1.0 - SMALLEST).contains(value),
        };
        let (low, high) = values
            .filter(shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if measure == Measure::Linear {
            let high = if high > 0.0 { high * 1.05 } else { 1.0 };
            return Self::new(label, measure, unit, 0.0, if high < 1e-300 { 1.0 } else { high });
        }
        let (low, high) =
            if low <= high { (measure.of(low), measure.of(high)) } else { (-3.0, 0.0) };
        // At least a factor of 3 either way, so that a single value has an axis too.
        let pad = (0.05 * (high - low)).max(0.5 * (9_f64.ln() - (high - low)));
        let top =
            if measure == Measure::Log && unit == Unit::Percent { 0.0 } else { f64::INFINITY };
        Self::new(
            label,
            measure,
            unit,
            measure.back(low - pad),
            measure.back((high + pad).min(top)),
        )
    }

    /// Which of the ticks' texts to write, given where each begins and ends along the axis: as many as keep
    /// a distance. On a linear axis every k-th, otherwise the round numbers first.
    pub(super) fn written(&self, extents: &[(f64, f64)], distance: f64) -> Vec<bool> {
        let apart = |a: (f64, f64), b: (f64, f64)| a.0 >= b.1 + distance || b.0 >= a.1 + distance;
        let mut written = vec![false; extents.len()];
        if self.measure == Measure::Linear {
            let fits = |every: &usize| {
                let kept: Vec<_> = extents.iter().step_by(*every).collect();
                kept.windows(2).all(|pair| apart(*pair[0], *pair[1]))
            };
            let every = (1..extents.len()).find(fits).unwrap_or(extents.len().max(1));
            written.iter_mut().step_by(every).for_each(|one| *one = true);
            return written;
        }
        let mut order: Vec<usize> = (0..extents.len()).collect();
        order.sort_by_key(|&tick| std::cmp::Reverse(roundness(self.ticks[tick].0, self.measure)));
        for tick in order {
            let free =
                |(other, &there): (usize, &bool)| !there || apart(extents[tick], extents[other]);
            written[tick] = written.iter().enumerate().all(free);
        }
        written
    }

    /// The number at a place from 0 (low) to 1 (high).
    pub(super) fn at(&self, place: f64) -> f64 {
        let (low, high) = (self.measure.of(self.low), self.measure.of(self.high));
        self.measure.back(low + place * (high - low))
    }

    /// The place of a number from 0 (low) to 1 (high), and whether it is on the axis at all; if not,
    /// its place is the nearer end.
    pub(super) fn place(&self, value: f64) -> (f64, bool) {
        let (low, high) = (self.measure.of(self.low), self.measure.of(self.high));
        let place = (self.measure.of(value) - low) / (high - low);
        (place.clamp(0.0, 1.0), (-1e-9..=1.0 + 1e-9).contains(&place))
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, about six of them.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|multiple| multiple * power)
        .find(|&step| step >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|k| k as f64 * step).collect()
}

/// 0.01 %, 0.1 %, 1 %, 10 %, … and on a logit axis 50 %, 90 %, 99 %, …; with 2 and 5 times these, or
/// all multiples, where few of them are in range.
fn decade_ticks(measure: Measure, low: f64, high: f64) -> Vec<f64> {
    let within = |value: &f64| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9);
    let candidates = |multiples: &[f64]| -> Vec<f64> {
        let mut values = Vec::new();
        let decades = if measure == Measure::Logit { -9..=-1 } else { -9..=9 };
        for decade in decades {
            for &multiple in multiples {
                values.push(multiple * 10_f64.powi(decade));
            }
        }
        if measure == Measure::Logit {
            values.retain(|&value| value < 0.5);
            let mirrored: Vec<f64> = values.iter().rev().map(|value| 1.0 - value).collect();
            values.push(0.5);
            values.extend(mirrored);
        }
        values.retain(within);
        values
    };
    const EVERY: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let sets: [&[f64]; 3] = [&[1.0], &[1.0, 2.0, 5.0], &EVERY];
    let values = sets.into_iter().map(candidates).find(|values| values.len() >= 4);
    values.unwrap_or_else(|| linear_ticks(low, high))
}

/// How much sooner a number is written on a logarithmic or logit axis than others: 1, 10 and 100 % before
/// 5, before 2, before the rest.
fn roundness(value: f64, measure: Measure) -> u8 {
    let rest = if measure == Measure::Logit { value.min(1.0 - value) } else { value };
    let first = (rest / 10_f64.powf((rest.log10() + 1e-9).floor())).round() as i64;
    match first {
        1 => 3,
        5 => 2,
        2 => 1,
        _ => 0,
    }
}

fn labelled(values: &[f64], unit: Unit, measure: Measure) -> Vec<(f64, String)> {
    let factor = if unit == Unit::Percent { 100.0 } else { 1.0 };
    // On a linear axis all numbers get the decimals that the step between them needs.
    let step = values.windows(2).map(|pair| factor * (pair[1] - pair[0])).fold(f64::NAN, f64::min);
    let text = |value: f64| {
        let text = if measure == Measure::Linear && step.is_finite() {
            let decimals = (-(step * (1.0 + 1e-9)).log10().floor()).clamp(0.0, 12.0) as usize;
            format!("{:.decimals$}", factor * value)
        } else {
            short(factor * value)
        };
        if unit == Unit::Percent { format!("{text} %") } else { text }
    };
    values.iter().map(|&value| (value, text(value))).collect()
}

/// A number with as many digits as it has, up to the rounding of its computation.
fn short(value: f64) -> String {
    if value.abs() >= 1.0 {
        let text = format!("{value:.7}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        let exact: f64 = format!("{value:.3e}").parse().unwrap_or(value);
        format!("{exact}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn rare_rates_are_readable() {
        let axis = Axis::new("", Measure::Logit, Unit::Percent, 0.00005, 0.6);
        assert_eq!(texts(&axis), ["0.01 %", "0.1 %", "1 %", "10 %", "50 %"]);
        let axis = Axis::new("", Measure::Logit, Unit::Percent, 0.0004, 0.006);
        assert_eq!(texts(&axis), ["0.05 %", "0.1 %", "0.2 %", "0.5 %"]);
        let axis = Axis::new("", Measure::Logit, Unit::Percent, 0.08, 0.995);
        assert_eq!(texts(&axis), ["10 %", "50 %", "90 %", "99 %"]);
        let axis = Axis::new("", Measure::Linear, Unit::Percent, 0.0, 0.0012);
        assert_eq!(
            texts(&axis),
            ["0.00 %", "0.02 %", "0.04 %", "0.06 %", "0.08 %", "0.10 %", "0.12 %"]
        );
    }

    #[test]
    fn round_numbers_are_written_first() {
        let axis = Axis::new("", Measure::Log, Unit::Plain, 0.45, 1.3);
        assert_eq!(texts(&axis), ["0.5", "0.6", "0.7", "0.8", "0.9", "1"]);
        let extents: Vec<(f64, f64)> = axis
            .ticks
            .iter()
            .map(|&(value, _)| 100.0 * axis.place(value).0)
            .map(|place| (place - 6.0, place + 6.0))
            .collect();
        let written = axis.written(&extents, 0.0);
        assert_eq!(written, [true, true, true, true, false, true]);
    }

    #[test]
    fn any_values_have_an_axis_with_ticks_in_range() {
        for measure in [Measure::Linear, Measure::Log, Measure::Logit] {
            for values in [
                &[][..],
                &[0.0],
                &[1.0],
                &[0.0, 1.0],
                &[1e-300],
                &[0.5],
                &[1e-5, 0.999],
                &[f64::NAN, 0.3],
                &[0.31, 0.311],
            ] {
                let axis = Axis::around("", measure, Unit::Percent, values.iter().copied());
                assert!(axis.low < axis.high, "{axis:?}");
                assert!(axis.ticks.len() >= 2, "{measure:?} {values:?} {axis:?}");
                assert!(axis.ticks.iter().all(|&(at, _)| axis.place(at).1), "{axis:?}");
                for value in [0.0, 1.0, 0.5, 1e-12] {
                    assert!((0.0..=1.0).contains(&axis.place(value).0));
                }
            }
        }
    }
}
