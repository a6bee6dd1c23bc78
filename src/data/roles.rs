//! The columns of a log and their roles, which every reader is told.

use super::Table;
use super::texts::{NAMED_VALUES, TextsBuilder};
use super::time::{FoundTimes, TimeFormat, Times};
use crate::core::{Attribute, CategoriesBuilder, Error, Result, ensure_new_name};

/// Most characters of a cell that a message quotes.
const QUOTED: usize = 60;

/// The named columns of a log, their roles, and how labels and times are read.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    pub(super) columns: Vec<(Role, String)>,
    pub(super) unlabelled: bool,
    pub(super) labels: Labels,
    /// The formats of times, by their columns' names.
    pub(super) times: Vec<(String, TimeFormat)>,
    pub(super) named_values: usize,
}

impl Default for Roles {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            unlabelled: false,
            labels: Labels::Usual,
            times: Vec::new(),
            named_values: NAMED_VALUES,
        }
    }
}

/// Which labels are positive.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    Usual,
    /// The texts of negatives and of positives.
    Texts([String; 2]),
    /// Positive if it is one of these texts.
    OneOf(Vec<String>),
    /// Positive if it is a number above this.
    Above(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Label,
    Weight,
    Offset,
    Numeric,
    Categorical,
    Numbers,
    Texts,
    Time,
}

impl Role {
    /// The kind of column: within a kind, names are unique.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Weight => "weight",
            Self::Offset => "offset",
            Self::Numeric => "numeric",
            Self::Categorical => "categorical",
            Self::Numbers | Self::Texts | Self::Time => "attribute",
        }
    }
}

impl Roles {
    /// Gives a role to one column in place of others.
    pub(super) fn only(&mut self, role: Role, name: String) {
        self.columns.retain(|(other, _)| *other != role);
        self.columns.push((role, name));
    }

    pub(super) fn all<S: Into<String>>(&mut self, role: Role, names: impl IntoIterator<Item = S>) {
        self.columns.extend(names.into_iter().map(|name| (role, name.into())));
    }

    /// Checks what was said before a file is opened.
    pub(super) fn ensure_complete(&self) -> Result<()> {
        if !self.unlabelled && !self.columns.iter().any(|(role, _)| *role == Role::Label) {
            let expected = "the name of a column, unless the rows are `unlabelled`";
            return Err(Error::invalid("label", "not named", expected));
        }
        match &self.labels {
            Labels::Texts([negative, positive]) if negative.trim() == positive.trim() => {
                let value = format!("`{}` for both classes", shorten(negative));
                return Err(Error::invalid("labels", value, "a text for each class"));
            }
            Labels::OneOf(texts) if texts.is_empty() => {
                return Err(Error::invalid("positive_texts", "an empty list", "one text or more"));
            }
            Labels::Above(threshold) if !threshold.is_finite() => {
                return Err(Error::invalid("positive_above", threshold, "a finite number"));
            }
            _ => {}
        }
        self.times.iter().try_for_each(|(_, format)| format.ensure_valid())?;
        for (i, (role, name)) in self.columns.iter().enumerate() {
            let same_kind =
                self.columns[..i].iter().filter(|(other, _)| other.kind() == role.kind());
            ensure_new_name(role.kind(), name, same_kind.map(|(_, name)| name.as_str()))?;
        }
        Ok(())
    }

    /// The format of a column of times.
    pub(super) fn time_format(&self, name: &str) -> TimeFormat {
        let named = self.times.iter().find(|(column, _)| column == name);
        named.map(|(_, format)| format.clone()).unwrap_or_default()
    }
}

/// The methods of a reader that name columns, for a reader with a field `roles`. They need `Labels`, `Role` and
/// `TimeFormat` in scope.
macro_rules! name_columns {
    ($reader:ident) => {
        impl $reader {
            /// The column with the labels. Either this or [`unlabelled`](Self::unlabelled) is required.
            #[must_use]
            pub fn label(mut self, name: impl Into<String>) -> Self {
                self.roles.unlabelled = false;
                self.roles.only(Role::Label, name.into());
                self
            }

            /// Reads rows that are to be scored, without a label: the table is
            /// [unlabelled](crate::data::Table::unlabelled).
            #[must_use]
            pub fn unlabelled(mut self) -> Self {
                self.roles.unlabelled = true;
                self.roles.columns.retain(|(role, _)| *role != Role::Label);
                self
            }

            /// The texts of negative and of positive labels; other texts are then refused. Default: the texts listed
            /// [above](Self#the-cells).
            #[must_use]
            pub fn labels(
                mut self,
                negative: impl Into<String>,
                positive: impl Into<String>,
            ) -> Self {
                self.roles.labels = Labels::Texts([negative.into(), positive.into()]);
                self
            }

            /// The texts of positive labels; all others are negative.
            #[must_use]
            pub fn positive_texts<S: Into<String>>(
                mut self,
                texts: impl IntoIterator<Item = S>,
            ) -> Self {
                self.roles.labels = Labels::OneOf(texts.into_iter().map(Into::into).collect());
                self
            }

            /// Labels are numbers, such as counts of clicks, and positive above `threshold`; a missing number is refused.
            #[must_use]
            pub fn positive_above(mut self, threshold: f64) -> Self {
                self.roles.labels = Labels::Above(threshold);
                self
            }

            /// The column with the sample weights: numbers of zero or more, never missing.
            #[must_use]
            pub fn weight(mut self, name: impl Into<String>) -> Self {
                self.roles.only(Role::Weight, name.into());
                self
            }

            /// The column with the offsets, known additive logits: finite numbers, never missing.
            #[must_use]
            pub fn offset(mut self, name: impl Into<String>) -> Self {
                self.roles.only(Role::Offset, name.into());
                self
            }

            /// Adds columns that are numeric features.
            #[must_use]
            pub fn numeric<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
                self.roles.all(Role::Numeric, names);
                self
            }

            /// Adds columns that are categorical features.
            #[must_use]
            pub fn categorical<S: Into<String>>(
                mut self,
                names: impl IntoIterator<Item = S>,
            ) -> Self {
                self.roles.all(Role::Categorical, names);
                self
            }

            /// Adds columns that are attributes of numbers.
            #[must_use]
            pub fn attribute_numbers<S: Into<String>>(
                mut self,
                names: impl IntoIterator<Item = S>,
            ) -> Self {
                self.roles.all(Role::Numbers, names);
                self
            }

            /// Adds columns that are attributes of texts.
            #[must_use]
            pub fn attribute_texts<S: Into<String>>(
                mut self,
                names: impl IntoIterator<Item = S>,
            ) -> Self {
                self.roles.all(Role::Texts, names);
                self
            }

            /// Adds a column of times, which becomes an attribute of numbers. Their format is
            /// [found](crate::data::TimeFormat::Found).
            #[must_use]
            pub fn time(self, name: impl Into<String>) -> Self {
                self.time_as(name, TimeFormat::Found)
            }

            /// Adds a column of times in this format, which becomes an attribute of numbers.
            #[must_use]
            pub fn time_as(mut self, name: impl Into<String>, format: TimeFormat) -> Self {
                let name = name.into();
                self.roles.times.push((name.clone(), format));
                self.roles.all(Role::Time, [name]);
                self
            }

            /// The most different values of a categorical column whose names are kept, for the names of features such as
            /// `country=FR`. A column with more of them keeps none: its levels are named by their hashes, and encoded as well.
            /// Default: 100,000; 0 keeps no names, and no memory is needed for them.
            #[must_use]
            pub fn named_values(mut self, values: usize) -> Self {
                self.roles.named_values = values;
                self
            }
        }
    };
}
pub(super) use name_columns;

impl Labels {
    /// Whether a cell is a positive label; the error says what is wrong with it.
    pub(super) fn parse(&self, cell: &[u8], missing: &[String]) -> Result<bool, String> {
        let cell = cell.trim_ascii();
        let is = |text: &String| text.trim().as_bytes() == cell;
        match self {
            Self::Usual => match cell {
                b"0" | b"0.0" => Ok(false),
                b"1" | b"1.0" => Ok(true),
                _ if cell.eq_ignore_ascii_case(b"false") => Ok(false),
                _ if cell.eq_ignore_ascii_case(b"true") => Ok(true),
                _ => Err("is no label: write 0, 0.0, false, 1, 1.0 or true, or name the two texts with \
                          `labels`, the positive ones with `positive_texts`, or a count with `positive_above`"
                    .into()),
            },
            Self::Texts([negative, _]) if is(negative) => Ok(false),
            Self::Texts([_, positive]) if is(positive) => Ok(true),
            Self::Texts([negative, positive]) => {
                let (negative, positive) = (shorten(negative), shorten(positive));
                Err(format!("is no label: write `{negative}` or `{positive}`"))
            }
            Self::OneOf(texts) => Ok(texts.iter().any(is)),
            Self::Above(threshold) => match parse_number(cell, missing)? {
                number if number.is_nan() => Err(NO_LABEL.into()),
                number => Ok(number > *threshold),
            },
        }
    }
}

/// What is wrong with a missing label.
pub(super) const NO_LABEL: &str = "is missing, but every row needs a label";

/// A finite number, or NaN if it is one of the texts for a missing one.
pub(super) fn parse_number(cell: &[u8], missing: &[String]) -> Result<f64, String> {
    let cell = cell.trim_ascii();
    if is_missing(cell, missing) {
        return Ok(f64::NAN);
    }
    if let Some(number) = plain_number(cell) {
        return Ok(number);
    }
    let number = utf8(cell)?.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| {
        let missing: Vec<_> = missing.iter().map(|text| format!("`{text}`")).collect();
        let known = if missing.is_empty() { "in no way".into() } else { missing.join(", ") };
        format!("is not a finite number (missing numbers are written {known})")
    })
}

/// A number of at most 15 digits without exponent: both its digits and the power of ten are exact, so that their quotient is
/// the nearest number (Clinger 1990). None for other texts.
fn plain_number(cell: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match cell.split_first()? {
        (b'-', digits) => (true, digits),
        _ => (false, cell),
    };
    let (mut number, mut point) = (0_u64, None);
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = 10 * number + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
        if at >= 16 {
            return None;
        }
    }
    let count = digits.len() - usize::from(point.is_some());
    if count == 0 || count > 15 {
        return None;
    }
    let decimals = point.map_or(0, |point| digits.len() - 1 - point);
    let size = number as f64 / POWERS[decimals];
    Some(if negative { -size } else { size })
}

pub(super) fn is_missing(cell: &[u8], missing: &[String]) -> bool {
    missing.iter().any(|text| text.as_bytes() == cell)
}

pub(super) fn parse_weight(weight: f64) -> Result<f64, String> {
    if weight >= 0.0 { Ok(weight) } else { Err("is no weight: it must be zero or more".into()) }
}

pub(super) fn parse_offset(offset: f64) -> Result<f64, String> {
    if offset.is_nan() {
        Err("is missing, but every row needs an offset".into())
    } else {
        Ok(offset)
    }
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".into())
}

/// At most [`QUOTED`] characters of a text, for a message.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// A column in one of its roles, in the making.
#[derive(Debug)]
pub(super) struct Column<'r> {
    pub(super) name: &'r str,
    pub(super) cells: Cells,
}

#[derive(Debug)]
pub(super) enum Cells {
    Labels(Vec<bool>),
    Weights(Vec<f64>),
    Offsets(Vec<f64>),
    Numeric(Vec<f64>),
    Categorical(TextsBuilder),
    Numbers(Vec<f64>),
    Texts(CategoriesBuilder),
    Times(Times),
}

impl<'r> Column<'r> {
    /// A column without rows; `found` is what was found of its times in earlier rows.
    pub(super) fn new(
        (role, name): &'r (Role, String),
        roles: &Roles,
        found: Option<FoundTimes>,
    ) -> Self {
        let cells = match role {
            Role::Label => Cells::Labels(Vec::new()),
            Role::Weight => Cells::Weights(Vec::new()),
            Role::Offset => Cells::Offsets(Vec::new()),
            Role::Numeric => Cells::Numeric(Vec::new()),
            Role::Categorical => Cells::Categorical(TextsBuilder::new(name, roles.named_values)),
            Role::Numbers => Cells::Numbers(Vec::new()),
            Role::Texts => Cells::Texts(CategoriesBuilder::default()),
            Role::Time => Cells::Times(Times::new(roles.time_format(name), found)),
        };
        Self { name, cells }
    }

    /// What was found of its times; None for another column, or if it is not known yet.
    #[cfg(any(feature = "csv", feature = "parquet"))]
    pub(super) fn found_times(&self) -> Result<Option<FoundTimes>, String> {
        match &self.cells {
            Cells::Times(times) => times.found().map_err(|problem| bad_times(self.name, &problem)),
            _ => Ok(None),
        }
    }

    /// Whether it is a column of times in a format that is to be found, and not known yet.
    #[cfg(any(feature = "csv", feature = "parquet"))]
    pub(super) fn times_are_unknown(&self) -> bool {
        matches!(&self.cells, Cells::Times(times) if times.are_unknown())
    }
}

fn bad_times(name: &str, problem: &str) -> String {
    format!("the time column `{name}`: {problem}")
}

/// The table of the columns, whose weights may all be zero; `refuse` makes an error of what is wrong with all values of a column.
pub(super) fn assemble(
    mut columns: Vec<Column<'_>>,
    rows: usize,
    refuse: impl Fn(String) -> Error,
) -> Result<Table> {
    let labels = columns.iter_mut().find_map(|column| match &mut column.cells {
        Cells::Labels(labels) => Some(std::mem::take(labels)),
        _ => None,
    });
    let table = labels.map_or_else(|| Table::unlabelled(rows), Table::new)?;
    columns.into_iter().try_fold(table, |table, column| {
        let name = column.name;
        match column.cells {
            Cells::Labels(_) => Ok(table), // it has them already
            Cells::Weights(weights) => table.with_weights_of_batch(weights),
            Cells::Offsets(offsets) => table.with_offsets(offsets),
            Cells::Numeric(numbers) => table.with_numeric(name, numbers),
            Cells::Categorical(texts) => table.with_texts(name.into(), texts.finish()),
            Cells::Numbers(values) => table.with_attribute(name, Attribute::numbers(values)),
            Cells::Times(times) => {
                let times = times.finish().map_err(|problem| refuse(bad_times(name, &problem)))?;
                table.with_attribute(name, Attribute::numbers(times))
            }
            Cells::Texts(texts) => table.with_attribute(name, texts.finish()),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Short numbers are read by the fast way, and others by the usual one: to the same bits.
        #[test]
        fn numbers_are_those_of_the_standard_library(text in "-?[0-9]{0,12}[.]?[0-9]{0,9}(e-?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|number| number.is_finite());
            prop_assert_eq!(
                parse_number(text.as_bytes(), &[]).ok().map(f64::to_bits),
                expected.map(f64::to_bits)
            );
            if let Some(number) = plain_number(text.as_bytes()) {
                prop_assert_eq!(Some(number.to_bits()), expected.map(f64::to_bits));
            }
        }
    }
}
