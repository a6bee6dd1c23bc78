//! Times as they are written in files.

use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use crate::core::{Error, Result};

/// How the times of a column are written; see `CsvReader::time_as`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TimeFormat {
    /// All cells are time stamps, or all are numbers; which, is found.
    ///
    /// A **time stamp** is a date from the year to the day, then perhaps a time and an offset, as ISO 8601 has them
    /// and as programs write them: `2019-11-24T00:00:17.004Z`, `2019-11-24 0:00:17 UTC`, `2019/11/24 09:30 +0100`,
    /// `20191124T000017`, `2019-W47-7`, `2019-328`. It becomes seconds since 1970-01-01T00:00:00Z; without an
    /// offset it is in UTC, and `24:00` and a second 60 are the next midnight and the next second.
    ///
    /// A **number** stays as it is, but if the median of the column is 10¹¹ or more, the numbers are milliseconds
    /// since 1970, from 10¹⁴ on microseconds, from 10¹⁷ on nanoseconds, and become seconds. Numbers that all read
    /// as dates, such as `20191124` or `14102100`, are refused: name their format.
    #[default]
    Found,
    /// Numbers that stay as they are: seconds since 1970, days since the start of a log, …
    Number,
    /// Milliseconds since 1970, which become seconds.
    Milliseconds,
    /// Microseconds since 1970, which become seconds.
    Microseconds,
    /// Nanoseconds since 1970, which become seconds.
    Nanoseconds,
    /// A pattern of `strptime`, such as `%d/%b/%Y:%H:%M:%S %z`, with a date; without `%z` it is in UTC. Two-digit
    /// years (`%y`) are those from 1969 to 2068.
    Pattern(String),
}

impl TimeFormat {
    /// A [`Pattern`](Self::Pattern).
    pub fn pattern(pattern: impl Into<String>) -> Self {
        Self::Pattern(pattern.into())
    }

    /// The seconds since 1970 of one time, such as that of a record, read as in a column that holds nothing else.
    ///
    /// ```
    /// use imbalance::data::{TimeFormat, Value};
    ///
    /// let time = TimeFormat::Found.seconds("1970-01-02 01:00 +0100")?;
    /// assert_eq!(time, 86_400.0);
    /// let record = [("time", Value::from(time))];
    /// assert_eq!(TimeFormat::pattern("%d.%m.%Y").seconds("02.01.1970")?, 86_400.0);
    /// # assert_eq!(record.len(), 1);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a text that is no time of this format, and for a pattern that holds no date.
    pub fn seconds(&self, text: &str) -> Result<f64> {
        self.ensure_valid()?;
        let mut times = Times::new(self.clone(), None);
        let wrong = |what: String| Error::invalid("time", what, "a time of this format");
        times.push(text.trim()).map_err(|problem| wrong(format!("`{text}`, which {problem}")))?;
        let seconds = times.finish().map_err(|problem| wrong(format!("`{text}`: {problem}")))?;
        Ok(seconds[0])
    }

    /// Checks that a pattern can be read and holds a date.
    pub(super) fn ensure_valid(&self) -> Result<()> {
        let Self::Pattern(pattern) = self else { return Ok(()) };
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let written = BrokenDownTime::from(&now).to_string(pattern);
        if written.is_ok_and(|text| by_pattern(pattern, &text).is_some()) {
            return Ok(());
        }
        let expected = "a pattern of `strptime` that holds a date, such as `%d/%m/%Y %H:%M`";
        Err(Error::invalid("time_as", format!("`{pattern}`"), expected))
    }
}

/// What the cells of a column of times are, where that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FoundTimes {
    /// Whether they are numbers, and not time stamps.
    numbers: bool,
    /// How many of the units of numbers make a second.
    per_second: f64,
}

/// A date `2019-11-24` by the days since 1970-01-01; beyond the years -9999 to 9999 the number of days.
#[cfg(feature = "arrow")]
pub(super) fn civil_date(days: i64) -> String {
    let since = jiff::SignedDuration::from_hours(days.saturating_mul(24).clamp(-1 << 40, 1 << 40));
    civil::date(1970, 1, 1)
        .checked_add(since)
        .map_or_else(|_| days.to_string(), |date| date.to_string())
}

/// The times of a column, read cell by cell.
#[derive(Debug)]
pub(super) struct Times {
    format: TimeFormat,
    /// What was found in earlier rows.
    found: Option<FoundTimes>,
    /// Where the format is to be found: whether the times are numbers, after the first.
    numbers: Option<bool>,
    /// Ways to read all numbers so far as dates.
    calendars: Vec<&'static Calendar>,
    /// A number that reads as a date.
    example: String,
    seconds: Vec<f64>,
}

impl Times {
    pub(super) fn new(format: TimeFormat, found: Option<FoundTimes>) -> Self {
        let numbers = found.map(|found| found.numbers);
        let calendars = CALENDARS.iter().filter(|_| found.is_none()).collect();
        Self { format, found, numbers, calendars, example: String::new(), seconds: Vec::new() }
    }

    pub(super) fn push_missing(&mut self) {
        self.seconds.push(f64::NAN);
    }

    /// Adds times that need no format; whether they may be here, where a format was named or other times were found.
    #[cfg(feature = "arrow")]
    pub(super) fn push_known(&mut self, seconds: &[f64]) -> bool {
        let fits = self.format == TimeFormat::Found && self.numbers != Some(true);
        self.numbers = Some(false);
        self.seconds.extend_from_slice(seconds);
        fits
    }

    /// Adds a time that is a finite number, or a missing one; as [`push`](Self::push) does with its digits.
    #[cfg(feature = "arrow")]
    pub(super) fn push_number(&mut self, number: f64) -> Result<(), String> {
        let is_plain = match self.format {
            TimeFormat::Found => self.numbers == Some(true) && self.calendars.is_empty(),
            TimeFormat::Pattern(_) => false,
            _ => true,
        };
        if is_plain || number.is_nan() {
            self.seconds.push(number);
            return Ok(());
        }
        self.push(&number.to_string())
    }

    /// Adds a time; the error says what is wrong with it.
    pub(super) fn push(&mut self, cell: &str) -> Result<(), String> {
        let number = || cell.parse().ok().filter(|number: &f64| number.is_finite());
        let (time, problem) = match (&self.format, self.numbers) {
            (TimeFormat::Found, Some(true)) => {
                (number(), "is not a finite number, as earlier times are".into())
            }
            (TimeFormat::Found, Some(false)) => {
                (time_stamp(cell), "is no time stamp, as earlier times are".into())
            }
            (TimeFormat::Found, None) => {
                let found = number();
                self.numbers = Some(found.is_some());
                let problem = "is neither a finite number nor a time stamp from the year to the day (such as \
                               2019-11-24 00:00:17 +0100); name its format with `time_as`";
                (found.or_else(|| time_stamp(cell)), problem.into())
            }
            (TimeFormat::Pattern(pattern), _) => {
                (by_pattern(pattern, cell), format!("is no time of the pattern `{pattern}`"))
            }
            _ => (number(), "is not a finite number".into()),
        };
        if self.numbers == Some(true) && !self.calendars.is_empty() {
            self.calendars.retain(|calendar| calendar.reads(cell.as_bytes()));
            self.example = cell.into();
        }
        self.seconds.push(time.ok_or(problem)?);
        Ok(())
    }

    /// Whether their format is to be found, and no time was seen yet.
    #[cfg(any(feature = "csv", feature = "parquet"))]
    pub(super) fn are_unknown(&self) -> bool {
        self.format == TimeFormat::Found && self.numbers.is_none()
    }

    /// What was found, if anything; or why the numbers are ambiguous.
    pub(super) fn found(&self) -> Result<Option<FoundTimes>, String> {
        match (self.found, self.numbers, self.calendars.first()) {
            (Some(found), ..) => Ok(Some(found)),
            (None, None, _) => Ok(None),
            (None, Some(false), _) => Ok(Some(FoundTimes { numbers: false, per_second: 1.0 })),
            (None, Some(true), None) => {
                Ok(Some(FoundTimes { numbers: true, per_second: unit_of(&self.seconds) }))
            }
            (None, Some(true), Some(calendar)) => Err(format!(
                "all numbers read as dates, as `{}` by the pattern `{}`; say with `time_as` whether \
                 they are `TimeFormat::Number` or `TimeFormat::pattern(\"{}\")`",
                self.example, calendar.pattern, calendar.pattern
            )),
        }
    }

    /// The times in seconds, or why their numbers are ambiguous.
    pub(super) fn finish(mut self) -> Result<Vec<f64>, String> {
        let per_second = match self.format {
            TimeFormat::Milliseconds => 1e3,
            TimeFormat::Microseconds => 1e6,
            TimeFormat::Nanoseconds => 1e9,
            _ => self.found()?.map_or(1.0, |found| found.per_second),
        };
        if per_second != 1.0 {
            self.seconds.iter_mut().for_each(|time| *time /= per_second);
        }
        Ok(self.seconds)
    }
}

/// How many of the units of numbers since 1970 make a second, by their median: 1973 is 10¹¹ ms, and 5138 is 10¹¹ s.
fn unit_of(numbers: &[f64]) -> f64 {
    let mut sizes: Vec<f64> =
        numbers.iter().filter(|number| !number.is_nan()).map(|number| number.abs()).collect();
    if sizes.is_empty() {
        return 1.0;
    }
    let middle = sizes.len() / 2;
    let (_, &mut median, _) = sizes.select_nth_unstable_by(middle, f64::total_cmp);
    [(1e17, 1e9), (1e14, 1e6), (1e11, 1e3)]
        .into_iter()
        .find(|&(least, _)| median >= least)
        .map_or(1.0, |(_, unit)| unit)
}

/// A way to write a date as a whole number.
#[derive(Debug)]
struct Calendar {
    pattern: &'static str,
    year_digits: usize,
    digits: usize,
}

const CALENDARS: [Calendar; 5] = [
    Calendar { pattern: "%Y%m%d", year_digits: 4, digits: 8 },
    Calendar { pattern: "%y%m%d%H", year_digits: 2, digits: 8 },
    Calendar { pattern: "%Y%m%d%H", year_digits: 4, digits: 10 },
    Calendar { pattern: "%Y%m%d%H%M", year_digits: 4, digits: 12 },
    Calendar { pattern: "%Y%m%d%H%M%S", year_digits: 4, digits: 14 },
];

impl Calendar {
    /// Whether a cell is such a number, of the years 1900 to 2099.
    fn reads(&self, cell: &[u8]) -> bool {
        if cell.len() != self.digits || !cell.iter().all(u8::is_ascii_digit) {
            return false;
        }
        let number = |digits: &[u8]| {
            digits.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0'))
        };
        let (year, rest) = cell.split_at(self.year_digits);
        let year = number(year) + if self.year_digits == 2 { 2000 } else { 0 };
        let mut parts = rest.chunks(2).map(number);
        let date = days(year, parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        let time = parts.zip([23, 59, 59]).all(|(part, most)| part <= most);
        (1900..2100).contains(&year) && date.is_some() && time
    }
}

/// The seconds since 1970 of a text by a pattern; without an offset in UTC.
fn by_pattern(pattern: &str, text: &str) -> Option<f64> {
    let parsed = BrokenDownTime::parse(pattern, text).ok()?;
    if let Some(instant) = parsed.timestamp() {
        return Some(instant.as_second() as f64 + f64::from(instant.subsec_nanosecond()) / 1e9);
    }
    if parsed.iana_time_zone().is_some() {
        // `Europe/Berlin` needs a time zone database.
        return None;
    }
    let since = parsed.to_datetime().ok()?.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    let seconds = since.as_secs() - parsed.offset().map_or(0, |offset| i64::from(offset.seconds()));
    Some(seconds as f64 + f64::from(since.subsec_nanos()) / 1e9)
}

/// The seconds since 1970 of a time stamp as [`TimeFormat::Found`] has it.
fn time_stamp(text: &str) -> Option<f64> {
    let mut rest = Cursor(text.as_bytes());
    let days = rest.date()?;
    let blank = rest.blanks();
    let mut seconds = 0;
    let mut fraction = 0.0;
    if rest.eat(b"Tt") || blank && rest.0.first().is_some_and(u8::is_ascii_digit) {
        (seconds, fraction) = rest.time_of_day()?;
        rest.blanks();
        seconds -= rest.offset()?;
    }
    rest.0.is_empty().then(|| (86_400 * days + seconds) as f64 + fraction)
}

/// What is left of a text.
struct Cursor<'t>(&'t [u8]);

impl Cursor<'_> {
    /// Takes the next byte if it is one of these.
    fn eat(&mut self, bytes: &[u8]) -> bool {
        let eaten = self.0.first().is_some_and(|byte| bytes.contains(byte));
        self.0 = &self.0[usize::from(eaten)..];
        eaten
    }

    fn blanks(&mut self) -> bool {
        let before = self.0.len();
        self.0 = self.0.trim_ascii_start();
        self.0.len() < before
    }

    /// Takes at most `most` digits: their number, and how many there were.
    fn digits(&mut self, most: usize) -> (i64, usize) {
        let count = self.0.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        (digits.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')), count)
    }

    /// One or two digits of a number up to `most`.
    fn part(&mut self, most: i64) -> Option<i64> {
        let (number, count) = self.digits(2);
        (count > 0 && number <= most).then_some(number)
    }

    /// The days since 1970 of a date.
    fn date(&mut self) -> Option<i64> {
        let (year, count) = self.digits(8);
        if count == 8 {
            let date = days(year / 10_000, year / 100 % 100, year % 100);
            // Eight digits alone are a number.
            return date.filter(|_| self.0.first().is_some_and(|byte| b"Tt ".contains(byte)));
        }
        let separator = *self.0.first().filter(|byte| b"-/".contains(byte) && count == 4)?;
        self.eat(&[separator]);
        if self.eat(b"Ww") {
            let week = self.part(53).filter(|&week| week > 0 && self.eat(b"-"))?;
            let day = self.part(7).filter(|&day| day > 0)?;
            // January 4 is in the first week, which begins with a Monday; 1970-01-05 was one.
            let fourth = days(year, 1, 4)?;
            let date = fourth - (fourth - 4).rem_euclid(7) + 7 * (week - 1) + day - 1;
            // Week 53 exists if its Thursday is in the year.
            let thursday = date - (date - 4).rem_euclid(7) + 3;
            return (thursday < days(year + 1, 1, 1)?).then_some(date);
        }
        let (month, count) = self.digits(3);
        if count == 3 {
            let (first, next) = (days(year, 1, 1)?, days(year + 1, 1, 1)?);
            return (month > 0 && first + month - 1 < next).then_some(first + month - 1);
        }
        if count == 0 || !self.eat(&[separator]) {
            return None;
        }
        let day = self.part(31)?;
        days(year, month, day)
    }

    /// Whole seconds and their fraction.
    fn time_of_day(&mut self) -> Option<(i64, f64)> {
        let hour = self.part(24)?;
        let compact = self.0.first().is_some_and(u8::is_ascii_digit);
        let (mut minute, mut second, mut fraction) = (0, 0, 0.0);
        if compact || self.eat(b":") {
            minute = self.part(59)?;
            if compact && self.0.first().is_some_and(u8::is_ascii_digit) || self.eat(b":") {
                second = self.part(60).filter(|&second| second < 60 || minute == 59)?;
                if self.eat(b".,") {
                    let (digits, count) = self.digits(15);
                    fraction = digits as f64 / 10_f64.powi(count as i32);
                    while self.digits(15).1 > 0 {}
                    if count == 0 {
                        return None;
                    }
                }
            }
        }
        let midnight = minute == 0 && second == 0 && fraction == 0.0;
        (hour < 24 || midnight).then_some((3600 * hour + 60 * minute + second, fraction))
    }

    /// The offset from UTC in seconds.
    fn offset(&mut self) -> Option<i64> {
        if ["", "Z", "UTC", "GMT"].iter().any(|zone| self.0.eq_ignore_ascii_case(zone.as_bytes())) {
            self.0 = &[];
            return Some(0);
        }
        let sign = if self.eat(b"+") {
            1
        } else if self.eat(b"-") {
            -1
        } else {
            return None;
        };
        let mut seconds = 3600 * self.part(23)?;
        for unit in [60, 1] {
            if self.eat(b":") || self.0.first().is_some_and(u8::is_ascii_digit) {
                seconds += unit * self.part(59)?;
            }
        }
        Some(sign * seconds)
    }
}

/// The days since 1970-01-01 of a date of the calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let [year, month, day] = [year, month, day].map(i16::try_from);
    let (month, day) = (i8::try_from(month.ok()?).ok()?, i8::try_from(day.ok()?).ok()?);
    let date = civil::Date::new(year.ok()?, month, day).ok()?;
    Some(date.duration_since(civil::date(1970, 1, 1)).as_secs() / 86_400)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What another program writes is read back, by whatever usual form; so is a prefix of it, or nothing.
        #[test]
        fn time_stamps_are_those_of_the_calendar(seconds in -30_610_224_000..253_370_000_000_i64, end in 0_usize..30) {
            let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
            let time = epoch.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            for pattern in [
                "%Y-%m-%dT%H:%M:%SZ",
                "%Y-%m-%d %H:%M:%S UTC",
                "%Y/%-m/%-d %-H:%M:%S",
                "%Y%m%dT%H%M%S",
                "%G-W%V-%u %H:%M:%S",
                "%Y-%j %H:%M:%S+00:00",
            ] {
                let text = time.strftime(pattern).to_string();
                prop_assert_eq!(time_stamp(&text), Some(seconds as f64), "{}", text);
                let east = format!("{}+0130", text.trim_end_matches(['Z', ' ', 'U', 'T', 'C']));
                if !text.contains('+') {
                    prop_assert_eq!(time_stamp(&east), Some((seconds - 5400) as f64), "{}", east);
                }
                let _ = time_stamp(&text[..end.min(text.len())]);
            }
        }

        #[test]
        fn any_text_is_a_time_or_none(text in any::<String>(), digits in "[-0-9TWZ:/ .,+]{0,24}") {
            for text in [text, digits] {
                prop_assert!(time_stamp(&text).is_none_or(f64::is_finite));
            }
        }
    }
}
