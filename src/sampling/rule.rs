//! Predicates on attribute columns.

use std::fmt;
use std::ops::Not;
use std::sync::Arc;

use crate::core::{Attributes, Error, Meter, Result, Rows};
use crate::exec::parallel::{self, BLOCK};

/// A predicate on the attributes of a row, for [`RuleSampler`](super::RuleSampler).
///
/// Comparisons, ranges and membership are made from a column's name, and combined by
/// [`and`](Self::and), [`or`](Self::or) and `!`. Anything else is a closure ([`Rule::custom`]).
///
/// A missing number (NaN) makes every comparison false, so its negation is true;
/// [`NumberColumn::is_missing`] asks for it.
///
/// ```
/// use imbalance::sampling::Rule;
///
/// let engaged = Rule::number("last_active_days").at_most(7.0)
///     .and(Rule::number("impressions").at_least(5.0));
/// let rule = engaged.or(!Rule::text("device").is_one_of(["phone", "tablet"]));
/// assert_eq!(
///     rule.to_string(),
///     "((last_active_days <= 7 and impressions >= 5) or not device in [phone, tablet])"
/// );
/// ```
#[derive(Clone)]
pub struct Rule(Arc<Node>);

type Custom = dyn Fn(&RuleRow<'_>) -> Result<bool> + Send + Sync;

#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Node {
    Number {
        column: String,
        test: Test,
    },
    Numbers {
        column: String,
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number::list"))]
        any_of: Vec<f64>,
    },
    Text {
        column: String,
        any_of: Vec<String>,
    },
    And(Rule, Rule),
    Or(Rule, Rule),
    Not(Rule),
    #[cfg_attr(feature = "serde", serde(skip))]
    Custom {
        name: String,
        holds: Box<Custom>,
    },
}

/// A test of a number; false for NaN, but for `Missing`.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Test {
    AtMost(#[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))] f64),
    AtLeast(#[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))] f64),
    Below(#[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))] f64),
    Above(#[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))] f64),
    Equals(#[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))] f64),
    Between(
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))] f64,
        #[cfg_attr(feature = "serde", serde(with = "crate::saved::number"))] f64,
    ),
    Missing,
}

impl Test {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Below(bound) => value < bound,
            Self::Above(bound) => value > bound,
            Self::Equals(other) => value == other,
            Self::Between(low, high) => (low..=high).contains(&value),
            Self::Missing => value.is_nan(),
        }
    }

    /// Whether some number could pass.
    fn check(self, column: &str) -> Result<()> {
        match self {
            Self::AtMost(bound)
            | Self::AtLeast(bound)
            | Self::Below(bound)
            | Self::Above(bound)
            | Self::Equals(bound)
                if bound.is_nan() =>
            {
                let expected = format!("a number to compare `{column}` with, or `is_missing`");
                Err(Error::invalid("rule", bound, expected))
            }
            Self::Between(low, high) if low.is_nan() || high.is_nan() || low > high => {
                let value = format!("`{column}` between {low} and {high}");
                Err(Error::invalid("rule", value, "a range from a number to one not below it"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        if let Node::Custom { name, .. } = &*self.0 {
            let why = format!(
                "the rule `{name}` is a closure; make it of comparisons, which can be saved"
            );
            return Err(serde::ser::Error::custom(why));
        }
        let error = <S::Error as serde::ser::Error>::custom;
        crate::saved::nested(1, error, || self.0.serialize(to))
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Rule {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let error = <D::Error as serde::de::Error>::custom;
        crate::saved::nested(1, error, || Node::deserialize(from)).map(Self::of)
    }
}

/// An attribute column of numbers, to make a [`Rule`] of; see [`Rule::number`].
#[derive(Debug, Clone)]
pub struct NumberColumn(String);

/// An attribute column of texts, to make a [`Rule`] of; see [`Rule::text`].
#[derive(Debug, Clone)]
pub struct TextColumn(String);

impl NumberColumn {
    /// value ≤ `bound`.
    #[must_use]
    pub fn at_most(self, bound: f64) -> Rule {
        self.test(Test::AtMost(bound))
    }

    /// value ≥ `bound`.
    #[must_use]
    pub fn at_least(self, bound: f64) -> Rule {
        self.test(Test::AtLeast(bound))
    }

    /// value < `bound`.
    #[must_use]
    pub fn below(self, bound: f64) -> Rule {
        self.test(Test::Below(bound))
    }

    /// value > `bound`.
    #[must_use]
    pub fn above(self, bound: f64) -> Rule {
        self.test(Test::Above(bound))
    }

    /// value = `other`, exactly.
    #[must_use]
    pub fn equals(self, other: f64) -> Rule {
        self.test(Test::Equals(other))
    }

    /// The value is one of these, exactly.
    #[must_use]
    pub fn is_one_of(self, values: impl IntoIterator<Item = f64>) -> Rule {
        Rule::of(Node::Numbers { column: self.0, any_of: values.into_iter().collect() })
    }

    /// `low` ≤ value ≤ `high`.
    #[must_use]
    pub fn between(self, low: f64, high: f64) -> Rule {
        self.test(Test::Between(low, high))
    }

    /// The value is missing (NaN).
    #[must_use]
    pub fn is_missing(self) -> Rule {
        self.test(Test::Missing)
    }

    fn test(self, test: Test) -> Rule {
        Rule::of(Node::Number { column: self.0, test })
    }
}

impl TextColumn {
    /// The text is this one.
    #[must_use]
    pub fn is(self, text: impl Into<String>) -> Rule {
        self.is_one_of([text])
    }

    /// The text is one of these.
    #[must_use]
    pub fn is_one_of<T: Into<String>>(self, texts: impl IntoIterator<Item = T>) -> Rule {
        Rule::of(Node::Text { column: self.0, any_of: texts.into_iter().map(Into::into).collect() })
    }
}

impl Rule {
    /// A column of numbers, to be compared with something.
    #[must_use]
    pub fn number(column: impl Into<String>) -> NumberColumn {
        NumberColumn(column.into())
    }

    /// A column of texts, to be compared with something.
    #[must_use]
    pub fn text(column: impl Into<String>) -> TextColumn {
        TextColumn(column.into())
    }

    /// Any predicate, under the name by which it is printed.
    ///
    /// ```
    /// use imbalance::sampling::Rule;
    /// let rule = Rule::custom("more than one a day", |row| {
    ///     Ok(row.number("impressions")? > row.number("last_active_days")?)
    /// });
    /// assert_eq!(rule.to_string(), "more than one a day");
    /// ```
    pub fn custom(
        name: impl Into<String>,
        holds: impl Fn(&RuleRow<'_>) -> Result<bool> + Send + Sync + 'static,
    ) -> Self {
        Self::of(Node::Custom { name: name.into(), holds: Box::new(holds) })
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::of(Node::And(self, other))
    }

    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::of(Node::Or(self, other))
    }

    fn of(node: Node) -> Self {
        Self(Arc::new(node))
    }

    /// Checks all bounds.
    pub(super) fn check(&self) -> Result<()> {
        match &*self.0 {
            Node::Number { column, test } => test.check(column),
            Node::Text { column, any_of } if any_of.is_empty() => {
                let value = format!("`{column}` in an empty list");
                Err(Error::invalid("rule", value, "a list of at least one text"))
            }
            Node::Numbers { column, any_of } if any_of.is_empty() => {
                let value = format!("`{column}` in an empty list");
                Err(Error::invalid("rule", value, "a list of at least one number"))
            }
            Node::Numbers { column, any_of } => {
                any_of.iter().try_for_each(|&value| Test::Equals(value).check(column))
            }
            Node::And(a, b) | Node::Or(a, b) => a.check().and_then(|()| b.check()),
            Node::Not(rule) => rule.check(),
            Node::Text { .. } | Node::Custom { .. } => Ok(()),
        }
    }

    /// The rule with its columns looked up.
    fn bind<'d>(&'d self, attributes: &'d Attributes<'_>) -> Result<Bound<'d>> {
        let both = |a: &'d Self, b: &'d Self| {
            Ok::<_, Error>(Box::new((a.bind(attributes)?, b.bind(attributes)?)))
        };
        Ok(match &*self.0 {
            Node::Number { column, test } => Bound::Number(attributes.numbers(column)?, *test),
            Node::Numbers { column, any_of } => {
                let mut any_of = any_of.clone();
                any_of.sort_by(f64::total_cmp);
                Bound::Numbers(attributes.numbers(column)?, any_of)
            }
            Node::Text { column, any_of } => {
                let texts = attributes.categories(column)?;
                let passes = texts.levels().iter().map(|level| any_of.contains(level)).collect();
                Bound::Text(texts.codes(), passes)
            }
            Node::And(a, b) => Bound::And(both(a, b)?),
            Node::Or(a, b) => Bound::Or(both(a, b)?),
            Node::Not(rule) => Bound::Not(Box::new(rule.bind(attributes)?)),
            Node::Custom { holds, .. } => Bound::Custom(holds, attributes),
        })
    }
}

impl Not for Rule {
    type Output = Self;

    /// The rule does not hold.
    fn not(self) -> Self {
        Self::of(Node::Not(self))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Node::Number { column, test } => match test {
                Test::AtMost(bound) => write!(f, "{column} <= {bound}"),
                Test::AtLeast(bound) => write!(f, "{column} >= {bound}"),
                Test::Below(bound) => write!(f, "{column} < {bound}"),
                Test::Above(bound) => write!(f, "{column} > {bound}"),
                Test::Equals(other) => write!(f, "{column} = {other}"),
                Test::Between(low, high) => write!(f, "{low} <= {column} <= {high}"),
                Test::Missing => write!(f, "{column} is missing"),
            },
            Node::Numbers { column, any_of } => write!(f, "{column} in {any_of:?}"),
            Node::Text { column, any_of } => match &any_of[..] {
                [text] => write!(f, "{column} = {text}"),
                texts => write!(f, "{column} in [{}]", texts.join(", ")),
            },
            Node::And(a, b) => write!(f, "({a} and {b})"),
            Node::Or(a, b) => write!(f, "({a} or {b})"),
            Node::Not(rule) => write!(f, "not {rule}"),
            Node::Custom { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Debug for Rule {
    /// As it is displayed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a [`Rule::custom`] sees of a row.
#[derive(Debug)]
pub struct RuleRow<'d> {
    attributes: &'d Attributes<'d>,
    label: bool,
    row: usize,
}

impl RuleRow<'_> {
    /// Its number in an attribute column; NaN if it is missing.
    ///
    /// # Errors
    /// As for [`Dataset::numbers`](crate::Dataset::numbers).
    pub fn number(&self, column: &str) -> Result<f64> {
        Ok(self.attributes.numbers(column)?[self.row])
    }

    /// Its text in an attribute column.
    ///
    /// # Errors
    /// As for [`Dataset::categories`](crate::Dataset::categories).
    pub fn text(&self, column: &str) -> Result<&str> {
        Ok(self.attributes.categories(column)?.get(self.row).unwrap_or_default())
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> bool {
        self.label
    }

    /// Its position, counted from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.row
    }
}

/// A rule with its columns looked up.
enum Bound<'d> {
    Number(&'d [f64], Test),
    /// Any of these, which rise.
    Numbers(&'d [f64], Vec<f64>),
    Text(&'d [u32], Vec<bool>),
    And(Box<(Self, Self)>),
    Or(Box<(Self, Self)>),
    Not(Box<Self>),
    Custom(&'d Custom, &'d Attributes<'d>),
}

impl Bound<'_> {
    fn holds(&self, row: usize, label: bool) -> Result<bool> {
        Ok(match self {
            Self::Number(values, test) => test.holds(values[row]),
            Self::Numbers(values, any_of) => {
                // −0 equals 0, which the total order of the list tells apart; NaN equals nothing.
                let value = values[row];
                let first = any_of.partition_point(|&other| other < value);
                any_of.get(first) == Some(&value)
            }
            Self::Text(codes, passes) => passes[codes[row] as usize],
            Self::And(rules) => rules.0.holds(row, label)? && rules.1.holds(row, label)?,
            Self::Or(rules) => rules.0.holds(row, label)? || rules.1.holds(row, label)?,
            Self::Not(rule) => !rule.holds(row, label)?,
            Self::Custom(holds, attributes) => holds(&RuleRow { attributes, label, row })?,
        })
    }
}

/// For each row the position of the first rule that holds; their number, where none does.
pub(super) fn first_that_holds<'r>(
    rules: impl Iterator<Item = &'r Rule>,
    data: &Rows<'_>,
    meter: &Meter<'_>,
) -> Result<Vec<u16>> {
    let bound = rules.map(|rule| rule.bind(data.attributes())).collect::<Result<Vec<_>>>()?;
    let mut first = vec![0; data.len()];
    let results = parallel::map_into(&mut first, 1, BLOCK, |_, rows, out| {
        if !meter.goes_on(rows.len()) {
            return Ok(());
        }
        for (row, first) in rows.zip(out) {
            let mut position = 0;
            while position < bound.len() && !bound[position].holds(row, data.labels()[row])? {
                position += 1;
            }
            *first = position as u16;
        }
        Ok(())
    });
    results.into_iter().collect::<Result<()>>()?;
    Ok(first)
}
