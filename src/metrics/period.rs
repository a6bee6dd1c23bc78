//! Periods of time, and their names.

use crate::core::brief;

/// The periods into which times are cut.
///
/// All but [`Length`](Self::Length) take times in seconds since 1970-01-01T00:00:00Z, as
/// [`CsvReader`](crate::data::CsvReader) reads time stamps, and are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Period {
    /// Period k holds times from k · length to before (k + 1) · length, in the unit of the times. It is named by its
    /// start: by date and time if that is a second of 1973 or later (10⁸ and more) and the length is a whole
    /// number of minutes, else as a number.
    Length(f64),
    /// Hours in the order of time, such as `2019-11-24 05:00`.
    Hour,
    /// Days, such as `2019-11-24`.
    Day,
    /// Weeks from Monday to Sunday, named by their Monday.
    Week,
    /// The 24 hours of the day, whatever the day, such as `05:00`.
    HourOfDay,
}

impl From<f64> for Period {
    fn from(length: f64) -> Self {
        Self::Length(length)
    }
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
/// Days from a Monday to 1970-01-01, a Thursday.
const MONDAY: f64 = 3.0;

impl Period {
    /// The length of a period.
    pub(super) fn length(self) -> f64 {
        match self {
            Self::Length(length) => length,
            Self::Hour | Self::HourOfDay => HOUR,
            Self::Day => DAY,
            Self::Week => 7.0 * DAY,
        }
    }

    /// The number of the period that a time lies in.
    pub(super) fn number(self, time: f64) -> f64 {
        let time = match self {
            Self::Week => time + MONDAY * DAY,
            Self::HourOfDay => time.rem_euclid(DAY),
            _ => time,
        };
        // Adding 0.0 turns −0.0 into 0.0.
        (time / self.length()).floor() + 0.0
    }

    /// Name and start of the periods of these numbers.
    pub(super) fn names(self, numbers: &[f64]) -> Vec<(String, Option<f64>)> {
        let length = self.length();
        let dated = match self {
            Self::Length(_) => {
                let first = numbers.first().map_or(0.0, |number| number * length);
                first >= 1e8 && length % MINUTE == 0.0
            }
            _ => true,
        };
        let name = |&number: &f64| {
            let start = number * length;
            match self {
                Self::HourOfDay => (format!("{number:02}:00"), Some(start)),
                Self::Week => {
                    let start = start - MONDAY * DAY;
                    (date_time(start, length).unwrap_or_else(|| brief(start)), Some(start))
                }
                _ => {
                    let name = date_time(start, length).filter(|_| dated);
                    (name.unwrap_or_else(|| brief(start)), Some(start))
                }
            }
        };
        numbers.iter().map(name).collect()
    }
}

/// The date of a second since 1970, and the time of day unless periods of this length begin at midnight.
fn date_time(second: f64, length: f64) -> Option<String> {
    let date = date((second / DAY).floor())?;
    if length % DAY == 0.0 {
        return Some(date);
    }
    let minutes = second.rem_euclid(DAY) / MINUTE;
    Some(format!("{date} {:02}:{:02}", (minutes / 60.0).floor(), (minutes % 60.0).floor()))
}

/// The date of a day counted from 1970-01-01; `None` beyond the years 0 to 9999.
///
/// Howard Hinnant's `civil_from_days`: the calendar repeats after 146,097 days, and years that begin
/// with March have their leap day at the end.
fn date(day: f64) -> Option<String> {
    if !(-719_528.0..2_932_897.0).contains(&day) {
        return None;
    }
    let day = day.floor() as i64 + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * era + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        // From Python's datetime.date.fromordinal(719163 + day).
        for (day, expected) in [
            (0.0, "1970-01-01"),
            (-1.0, "1969-12-31"),
            (11_016.0, "2000-02-29"),
            (18_224.0, "2019-11-24"),
            (19_782.0, "2024-02-29"),
            (47_540.0, "2100-02-28"),
            (47_541.0, "2100-03-01"),
            (2_932_896.0, "9999-12-31"),
            (-719_162.0, "0001-01-01"),
        ] {
            assert_eq!(date(day).as_deref(), Some(expected));
        }
        assert_eq!(date(f64::NAN), None);
        assert_eq!(date(1e300), None);
    }

    #[test]
    fn periods_are_named_by_their_start() {
        let names = |period: Period, time: f64| {
            let (name, start) = period.names(&[period.number(time)]).swap_remove(0);
            (name, start.unwrap())
        };
        // Sunday, 2019-11-24T05:59:59.5Z.
        let (midnight, time) = (1_574_553_600.0, 1_574_553_600.0 + 5.0 * HOUR + 3599.5);
        assert_eq!(names(Period::Day, time), ("2019-11-24".into(), midnight));
        assert_eq!(names(Period::Hour, time), ("2019-11-24 05:00".into(), midnight + 5.0 * HOUR));
        assert_eq!(names(Period::Week, time), ("2019-11-18".into(), midnight - 6.0 * DAY));
        assert_eq!(names(Period::Week, midnight + DAY), ("2019-11-25".into(), midnight + DAY));
        assert_eq!(names(Period::HourOfDay, time), ("05:00".into(), 5.0 * HOUR));
        assert_eq!(names(Period::HourOfDay, -1.0), ("23:00".into(), 23.0 * HOUR));
        assert_eq!(names(DAY.into(), time).0, "2019-11-24");
        assert_eq!(names((15.0 * MINUTE).into(), time).0, "2019-11-24 05:45");
        // Numbers that are no seconds since 1970 stay numbers.
        assert_eq!(names(7.0.into(), 15.0), ("14".into(), 14.0));
        assert_eq!(names(1000.0.into(), time).0, "1574575000");
        assert_eq!(names(1e300.into(), 1.5e300).0, "1e300");
    }
}
