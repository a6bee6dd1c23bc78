//! Parts of times.

use std::f64::consts::TAU;

use super::encoding::{DatePart, DateParts};

const DAY: f64 = 86_400.0;
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl DatePart {
    /// Number of its values, and of seconds in its whole cycle.
    pub(crate) fn cycle(self) -> (usize, f64) {
        match self {
            Self::Hour => (24, DAY),
            Self::Weekday => (7, 7.0 * DAY),
        }
    }

    /// Seconds from the beginning of a cycle to 1970, which began on a Thursday.
    pub(crate) fn before_1970(self) -> f64 {
        if self == Self::Weekday { 3.0 * DAY } else { 0.0 }
    }

    /// Seconds since its cycle began, for seconds since 1970.
    fn since(self, time: f64) -> f64 {
        (time + self.before_1970()).rem_euclid(self.cycle().1)
    }
}

impl DateParts {
    pub(super) fn width(&self) -> usize {
        let width = |part: &DatePart| if self.cyclic { 2 } else { part.cycle().0 };
        self.parts.iter().map(width).sum()
    }

    pub(super) fn names(&self, column: &str) -> Vec<String> {
        let names = self.parts.iter().flat_map(|part| {
            let (name, values): (_, Vec<String>) = match part {
                DatePart::Hour => ("hour", (0..24).map(|hour| hour.to_string()).collect()),
                DatePart::Weekday => ("weekday", WEEKDAYS.map(Into::into).to_vec()),
            };
            if self.cyclic {
                ["sine", "cosine"].map(|of| format!("{column} {name} {of}")).to_vec()
            } else {
                values.into_iter().map(|value| format!("{column} {name}={value}")).collect()
            }
        });
        names.collect()
    }

    /// Calls `out` with each feature that is not 0, from 0 on. A missing time has none.
    pub(super) fn write(&self, time: f64, mut out: impl FnMut(usize, f64)) {
        if !time.is_finite() {
            return;
        }
        let local = time + 3_600.0 * self.utc_offset;
        let mut start = 0;
        for part in &self.parts {
            let (values, seconds) = part.cycle();
            let share = part.since(local) / seconds;
            if self.cyclic {
                let (sine, cosine) = (TAU * share).sin_cos();
                out(start, sine);
                out(start + 1, cosine);
                start += 2;
            } else {
                // Rounding may reach the end of the cycle.
                out(start + ((share * values as f64) as usize).min(values - 1), 1.0);
                start += values;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Python's `datetime`: 2024-02-29 23:59:59 UTC was a Thursday, 1969-12-31 22:00 a Wednesday.
    #[test]
    fn hours_and_weekdays_are_those_of_the_calendar() {
        let parts = DateParts::new([DatePart::Hour, DatePart::Weekday]).unwrap();
        let places = |parts: &DateParts, time: f64| {
            let mut places = Vec::new();
            parts.write(time, |place, value| places.push((place, value)));
            places
        };
        assert_eq!(places(&parts, 1_709_251_199.0), [(23, 1.0), (24 + 3, 1.0)]);
        assert_eq!(places(&parts, -7_200.0), [(22, 1.0), (24 + 2, 1.0)]);
        assert_eq!(places(&parts, 0.0), [(0, 1.0), (24 + 3, 1.0)]);
        assert_eq!(places(&parts, f64::NAN), []);
        let ahead = parts.utc_offset(5.5).unwrap();
        assert_eq!(places(&ahead, 1_709_251_199.0), [(5, 1.0), (24 + 4, 1.0)]);
        let cyclic = DateParts::new([DatePart::Hour]).unwrap().cyclic(true);
        let six = places(&cyclic, 6.0 * 3_600.0);
        assert!((six[0].1 - 1.0).abs() < 1e-15 && six[1].1.abs() < 1e-15);
    }
}
