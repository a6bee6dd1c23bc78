//! How a column becomes features.

use crate::core::{Cut, Error, Result};

/// The least k of a target encoding, in rows.
pub(super) const MIN_SHRINKAGE: f64 = 1e-3;

/// How a column becomes features, for [`Encoder::column`](super::Encoder::column) and its siblings.
///
/// | encoding | of | features | a value that training did not see |
/// |---|---|---|---|
/// | [`Number`](Self::Number) | a numeric column | the number: as it is, standardised, or its logarithm | as any other; a missing number is 0 |
/// | [`Bins`] | a numeric column | an indicator of each range between quantiles | the first or the last range |
/// | [`OneHot`] | a categorical column, or several crossed | an indicator of each level | `other`, if there is that level, else none |
/// | [`Ordinal`] | the same | the level's place in an order, 0, 1, 2, … | −1 |
/// | [`Frequency`](Self::Frequency) | the same | the share of the training weight that has the level | 0 |
/// | [`TargetEncoding`] | the same | the rate of positives of the level, shrunk to that of all rows | the rate of all rows |
/// | [`Hashed`](Self::Hashed) | the same | ±1 in one of 2ᵇ columns, which all hashed columns share | as any other |
/// | [`DateParts`] | a column of times | hour, weekday, … | none is missing; a missing time has none |
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Encoding {
    /// A number; where numbers are missing in training, an indicator of that besides.
    Number(NumberForm),
    /// Ranges between quantiles.
    Bins(Bins),
    /// An indicator of each level.
    OneHot(OneHot),
    /// The level's place in an order.
    Ordinal(Ordinal),
    /// The share of the training weight that has the level.
    Frequency,
    /// The shrunk rate of positives of the level.
    Target(TargetEncoding),
    /// One of 2ᵇ columns, with a random sign.
    Hashed,
    /// Parts of a time.
    Date(DateParts),
}

/// The form of a number x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NumberForm {
    /// (x − μ)/σ.
    #[default]
    Standardised,
    /// x.
    Plain,
    /// sign(x) ln(1 + |x|), then standardised: for amounts and counts, whose orders of magnitude matter.
    Log,
}

impl NumberForm {
    /// The number before it is standardised.
    #[inline(always)]
    pub(super) fn of(self, x: f64) -> f64 {
        if self == Self::Log { x.abs().ln_1p().copysign(x) } else { x }
    }
}

/// The order of a column's levels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LevelOrder {
    /// By name.
    #[default]
    Name,
    /// By falling number of training rows, then by name.
    Count,
    /// As given. Levels that are not named here are as if training had not seen them.
    Given(Vec<String>),
}

/// An indicator of each level of a column: `country=FR`.
///
/// Levels with fewer training rows than [`min_count`](Self::min_count) share the level `other`; so does, if there is
/// that level, every level that training did not see. A missing category is the empty text, a level like any other.
///
/// ```
/// use imbalance::data::{Encoder, OneHot, Table};
///
/// let train = Table::new(vec![false, true, false, true])?
///     .with_categorical("country", ["FR", "DE", "FR", "IT"])?;
/// let encoder = Encoder::only().column("country", OneHot::new().min_count(2)).fit(&train)?;
/// assert_eq!(encoder.column_names().collect::<Vec<_>>(), ["country=FR", "country other"]);
/// assert!(!encoder.encode(&train)?.features().is_sparse());
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Odds ratios by level, straight from the reader: the first level, `DE`, is what the others are compared with.
///
#[cfg_attr(feature = "csv", doc = "```")]
#[cfg_attr(not(feature = "csv"), doc = "```ignore")]
/// use imbalance::data::{CsvReader, Encoder, OneHot};
/// use imbalance::{Run, loss::LogLoss, model::{Model, RareEvents}};
///
/// let rows = (0..200).map(|i| format!("{},{}\n", u8::from(i % 17 < 1 + i % 2), ["FR", "DE"][i % 2]));
/// let file = "click,country\n".to_owned() + &rows.collect::<String>();
/// let log = CsvReader::new().label("click").categorical(["country"]);
/// let log = log.read_from(file.as_bytes(), "log.csv")?;
/// let encoder = Encoder::only().column("country", OneHot::new().drop_first(true)).fit(&log)?;
/// let fitted = RareEvents::new().firth().fit(&encoder.encode(&log)?, &LogLoss, &Run::seeded(7))?;
/// assert_eq!(encoder.column_names().collect::<Vec<_>>(), ["country=FR"]);
/// println!("{}", fitted.inference());
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct OneHot {
    pub(super) min_count: usize,
    pub(super) other: Option<bool>,
    pub(super) drop_first: bool,
    pub(super) order: LevelOrder,
}

impl Default for OneHot {
    fn default() -> Self {
        Self { min_count: 1, other: None, drop_first: false, order: LevelOrder::Name }
    }
}

impl OneHot {
    /// Every level, by name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Levels with fewer rows of positive weight share the level `other`. Default: 1.
    #[must_use]
    pub fn min_count(self, min_count: usize) -> Self {
        Self { min_count, ..self }
    }

    /// Whether there is a level `other`. Default: if some level has too few rows.
    #[must_use]
    pub fn other(self, other: bool) -> Self {
        Self { other: Some(other), ..self }
    }

    /// Whether the first level has no column, so that the columns of a variable are not a constant together: for
    /// models without a penalty, such as [`RareEvents`](crate::model::RareEvents). Default: no.
    #[must_use]
    pub fn drop_first(self, drop_first: bool) -> Self {
        Self { drop_first, ..self }
    }

    /// The order of the levels. Default: by name.
    #[must_use]
    pub fn order(self, order: LevelOrder) -> Self {
        Self { order, ..self }
    }
}

/// A level's place in an order, 0, 1, 2, …; −1 for a level that training did not see. For trees, and for levels whose
/// order means something.
///
#[cfg_attr(all(feature = "csv", feature = "gbdt"), doc = "```")]
#[cfg_attr(not(all(feature = "csv", feature = "gbdt")), doc = "```ignore")]
/// use imbalance::data::{CsvReader, Encoder, NumberForm, Ordinal};
/// use imbalance::{Run, loss::LogLoss, model::{BoostedTrees, Model}};
///
/// let rows = (0..400).map(|i| format!("{},{},{}\n", u8::from(i % 20 == 3), ["FR", "DE"][i % 2], i % 10));
/// let file = "click,country,price\n".to_owned() + &rows.collect::<String>();
/// let log = CsvReader::new().label("click").categorical(["country"]).numeric(["price"]);
/// let log = log.read_from(file.as_bytes(), "log.csv")?;
/// let encoder = Encoder::only().column("country", Ordinal::new()).column("price", NumberForm::Plain);
/// let encoder = encoder.fit(&log)?;
/// let trees = BoostedTrees::new().fit(&encoder.encode(&log)?, &LogLoss, &Run::seeded(7))?;
/// assert_eq!(encoder.column_names().collect::<Vec<_>>(), ["country code", "price"]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Ordinal {
    pub(super) order: LevelOrder,
}

impl Ordinal {
    /// By name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The order of the levels. Default: by name.
    #[must_use]
    pub fn order(self, order: LevelOrder) -> Self {
        Self { order }
    }
}

/// The rate of positives of a level, shrunk to that of all rows: r = (Σw y + k p̄)/(Σw + k), as ln(r/(1 − r)) less the
/// log-odds of p̄.
///
/// **Leaks.** A training row's own label is in its level's rate, and where levels are many and positives rare, that is
/// most of what the rate says. So [`Encoder::fit_encode`](super::Encoder::fit_encode) gives each training row the rate
/// of the other folds, shrunk to *their* p̄, and rows that come later the rate of all training rows.
/// [`FittedEncoder::encode`](super::FittedEncoder::encode) cannot know training rows: it gives any row the latter.
/// A slight bias the other way stays: a positive is missing from the other folds' rate of its level, and a negative is not.
///
/// A level that training did not see has the rate p̄, so 0 as log-odds. The log-odds are what a linear model adds up; [`rate`](Self::rate) is for models that do not care.
///
/// Source: D. Micci-Barreca, *A preprocessing scheme for high-cardinality categorical attributes in classification and
/// prediction problems*, SIGKDD Explorations 2001; with folds as in Pargent et al., *Regularized target encoding
/// outperforms traditional methods in supervised machine learning with high cardinality features*, 2022.
///
/// ```
/// use imbalance::data::{Encoder, Table, TargetEncoding};
///
/// let train = Table::new((0..100).map(|i| i % 10 == 0).collect::<Vec<_>>())?
///     .with_categorical("merchant", (0..100).map(|i| format!("m{}", i % 20)))?;
/// let encoder = Encoder::only().column("merchant", TargetEncoding::new());
/// let (encoder, data) = encoder.fit_encode(&train, 7)?;
/// assert_eq!(encoder.column_names().collect::<Vec<_>>(), ["merchant log-odds"]);
/// # assert_eq!(data.rows(), 100);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct TargetEncoding {
    pub(super) shrinkage: Option<f64>,
    pub(super) folds: usize,
    pub(super) cut: Cut,
    pub(super) rate: bool,
}

impl Default for TargetEncoding {
    fn default() -> Self {
        Self { shrinkage: None, folds: 5, cut: Cut::Stratified, rate: false }
    }
}

impl TargetEncoding {
    /// Log-odds, shrunk by what the levels themselves say, over 5 folds by class.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// k, the weight of p̄ in rows. Default: by moments of the levels' rates (empirical Bayes): k = p̄(1 − p̄)/τ² − 1 with
    /// τ² the variance between levels, so that levels which differ by chance alone are shrunk to p̄ entirely.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 10⁻³ ≤ k < ∞: less would not shrink.
    pub fn shrinkage(self, k: f64) -> Result<Self> {
        if k >= MIN_SHRINKAGE && k.is_finite() {
            Ok(Self { shrinkage: Some(k), ..self })
        } else {
            Err(Error::invalid("shrinkage", k, "finite and at least 0.001"))
        }
    }

    /// The folds from which the others' rows get their rates. Default: 5 by class. Rows of one user should stay
    /// together ([`Cut::by_group`]); with [`Cut::by_time`] a row gets the rates of the time before it, and the first
    /// rows those of no rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for fewer than 2 folds.
    pub fn folds(self, folds: usize, cut: Cut) -> Result<Self> {
        crate::core::ensure_fold_count(folds, usize::MAX)?;
        Ok(Self { folds, cut, ..self })
    }

    /// Whether the feature is the rate itself in place of its log-odds. Default: no.
    #[must_use]
    pub fn rate(self, rate: bool) -> Self {
        Self { rate, ..self }
    }
}

/// An indicator of each range between quantiles of a number; where numbers are missing in training, one of that too.
///
/// ```
/// use imbalance::data::{Bins, Encoder, Table};
///
/// let train = Table::new(vec![false, true, false, true])?
///     .with_numeric("age", vec![20.0, 30.0, 40.0, 50.0])?;
/// let encoder = Encoder::only().column("age", Bins::quantiles(2)?).fit(&train)?;
/// assert_eq!(encoder.column_names().collect::<Vec<_>>(), ["age < 40", "age >= 40"]);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Bins {
    pub(super) bins: usize,
}

impl Bins {
    /// This many ranges with equal shares of the training weight, as far as equal numbers allow it: the least number
    /// with more than k/`bins` of the weight at or below it begins a range, k = 1, 2, …. Where that is the least number of
    /// all, such as the 0 of most rows, it has a range of its own.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 2 ≤ `bins` ≤ 10,000.
    pub fn quantiles(bins: usize) -> Result<Self> {
        if (2..=10_000).contains(&bins) {
            Ok(Self { bins })
        } else {
            Err(Error::invalid("bins", bins, "from 2 to 10,000"))
        }
    }
}

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DatePart {
    /// The hour of the day, 0 to 23.
    Hour,
    /// The day of the week, Monday to Sunday.
    Weekday,
}

/// Parts of a time, which is an attribute column of seconds since 1970 (as `CsvReader` reads them): an indicator of
/// each hour and each weekday, or sine and cosine of the way through the day and the week.
///
/// ```
/// use imbalance::Attribute;
/// use imbalance::data::{DatePart, DateParts, Encoder, Table};
///
/// let train = Table::new(vec![false, true])?
///     .with_attribute("time", Attribute::numbers(vec![0.0, 3_600.0]))?; // a Thursday
/// let encoder = Encoder::only().date("time", DateParts::new([DatePart::Hour, DatePart::Weekday])?);
/// let encoder = encoder.fit(&train)?;
/// assert_eq!(encoder.column_names().nth(1).as_deref(), Some("time hour=1"));
/// assert_eq!(encoder.column_names().nth(24 + 3).as_deref(), Some("time weekday=Thursday"));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct DateParts {
    pub(super) parts: Vec<DatePart>,
    pub(super) utc_offset: f64,
    pub(super) cyclic: bool,
}

impl DateParts {
    /// These parts, in UTC, as indicators.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no part.
    pub fn new(parts: impl IntoIterator<Item = DatePart>) -> Result<Self> {
        let parts: Vec<DatePart> = parts.into_iter().collect();
        if parts.is_empty() {
            return Err(Error::invalid("parts", "none", "at least one"));
        }
        Ok(Self { parts, utc_offset: 0.0, cyclic: false })
    }

    /// Hours that local time is ahead of UTC. Default: 0. Summer time is not known here.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless from −24 to 24.
    pub fn utc_offset(self, hours: f64) -> Result<Self> {
        if (-24.0..=24.0).contains(&hours) {
            Ok(Self { utc_offset: hours, ..self })
        } else {
            Err(Error::invalid("utc_offset", hours, "from -24 to 24 hours"))
        }
    }

    /// What the constructors guarantee.
    #[cfg(feature = "serde")]
    pub(super) fn checked(self) -> Result<Self> {
        let Self { parts, utc_offset, cyclic } = self;
        Ok(Self::new(parts)?.utc_offset(utc_offset)?.cyclic(cyclic))
    }

    /// Whether sine and cosine take the place of indicators: two columns for each part, in which 23:59 is near 0:00.
    /// Default: no.
    #[must_use]
    pub fn cyclic(self, cyclic: bool) -> Self {
        Self { cyclic, ..self }
    }
}

#[cfg(feature = "serde")]
impl Encoding {
    /// What the constructors guarantee.
    pub(super) fn ensure_valid(&self) -> Result<()> {
        match self {
            Self::Bins(bins) => Bins::quantiles(bins.bins).map(drop),
            Self::Date(parts) => parts.clone().checked().map(drop),
            Self::Target(TargetEncoding { shrinkage, folds, cut, .. }) => {
                let settings = TargetEncoding::new().folds(*folds, cut.clone())?;
                shrinkage.map_or(Ok(()), |k| settings.shrinkage(k).map(drop))
            }
            Self::Number(_)
            | Self::OneHot(_)
            | Self::Ordinal(_)
            | Self::Frequency
            | Self::Hashed => Ok(()),
        }
    }
}

macro_rules! into_encoding {
    ($($from:ty => $variant:ident),*) => {$(
        impl From<$from> for Encoding {
            fn from(encoding: $from) -> Self {
                Self::$variant(encoding)
            }
        }
    )*};
}

into_encoding!(NumberForm => Number, Bins => Bins, OneHot => OneHot, Ordinal => Ordinal, TargetEncoding => Target);
