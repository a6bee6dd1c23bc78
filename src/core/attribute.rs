//! Columns beside the features: labels, weights, offsets, attributes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, ArrayView1};

use super::{Error, Result, same_length};

/// Whatever can be read as one value per row: a `Vec`, a slice, or a one-dimensional `ndarray` array.
///
/// Borrowed contiguous values are not copied.
pub trait IntoColumn<'a, T: Clone> {
    /// The values, row by row.
    fn into_column(self) -> Cow<'a, [T]>;
}

impl<'a, T: Clone> IntoColumn<'a, T> for Vec<T> {
    fn into_column(self) -> Cow<'a, [T]> {
        Cow::Owned(self)
    }
}

impl<'a, T: Clone> IntoColumn<'a, T> for &'a Vec<T> {
    fn into_column(self) -> Cow<'a, [T]> {
        Cow::Borrowed(self)
    }
}

impl<'a, T: Clone> IntoColumn<'a, T> for &'a [T] {
    fn into_column(self) -> Cow<'a, [T]> {
        Cow::Borrowed(self)
    }
}

impl<'a, T: Clone, const N: usize> IntoColumn<'a, T> for &'a [T; N] {
    fn into_column(self) -> Cow<'a, [T]> {
        Cow::Borrowed(self)
    }
}

impl<'a, T: Clone> IntoColumn<'a, T> for Cow<'a, [T]> {
    fn into_column(self) -> Cow<'a, [T]> {
        self
    }
}

impl<'a, T: Clone> IntoColumn<'a, T> for ArrayView1<'a, T> {
    fn into_column(self) -> Cow<'a, [T]> {
        self.to_slice().map_or_else(|| Cow::Owned(self.to_vec()), Cow::Borrowed)
    }
}

impl<'a, T: Clone> IntoColumn<'a, T> for &'a Array1<T> {
    fn into_column(self) -> Cow<'a, [T]> {
        self.view().into_column()
    }
}

impl<'a, T: Clone> IntoColumn<'a, T> for Array1<T> {
    fn into_column(self) -> Cow<'a, [T]> {
        Cow::Owned(self.to_vec())
    }
}

/// A named column that travels with the rows but is no feature: a time stamp, the days since the
/// last visit, a campaign. Splits and business rules read it.
#[derive(Debug, Clone)]
pub enum Attribute<'a> {
    /// Numbers; NaN stands for a missing one.
    Numbers(Cow<'a, [f64]>),
    /// One of a few texts per row.
    Categories(Categories<'a>),
}

/// A text per row, each distinct text stored once.
#[derive(Debug, Clone)]
pub struct Categories<'a> {
    codes: Cow<'a, [u32]>,
    levels: Arc<[String]>,
}

impl<'a> Attribute<'a> {
    /// A column of numbers; NaN stands for a missing one.
    pub fn numbers(values: impl IntoColumn<'a, f64>) -> Self {
        Self::Numbers(values.into_column())
    }

    /// A column of texts.
    ///
    /// ```
    /// use imbalance::Attribute;
    /// let campaign = Attribute::categories(["men", "women", "men"]);
    /// assert_eq!(campaign.len(), 3);
    /// ```
    pub fn categories<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Self {
        let mut column = Texts::default();
        texts.into_iter().for_each(|text| column.push(text.as_ref()));
        column.finish()
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Categories(texts) => texts.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "numbers",
            Self::Categories(_) => "texts",
        }
    }

    /// Some entries of this column, then those of `parents`.
    pub(crate) fn grown(&self, kept: &Selection<'_>, parents: &[usize]) -> Attribute<'static> {
        match self {
            Self::Numbers(values) => Attribute::Numbers(kept.column_and(values, parents).into()),
            Self::Categories(Categories { codes, levels }) => Attribute::Categories(Categories {
                codes: kept.column_and(codes, parents).into(),
                levels: Arc::clone(levels),
            }),
        }
    }

    pub(crate) fn select(&self, rows: &Selection<'_>) -> Attribute<'_> {
        match self {
            Self::Numbers(values) => Attribute::Numbers(rows.column(values)),
            Self::Categories(Categories { codes, levels }) => Attribute::Categories(Categories {
                codes: rows.column(codes),
                levels: Arc::clone(levels),
            }),
        }
    }

    pub(crate) fn into_owned(self) -> Attribute<'static> {
        match self {
            Self::Numbers(values) => Attribute::Numbers(owned(values)),
            Self::Categories(Categories { codes, levels }) => {
                Attribute::Categories(Categories { codes: owned(codes), levels })
            }
        }
    }
}

fn owned<T: Clone>(column: Cow<'_, [T]>) -> Cow<'static, [T]> {
    Cow::Owned(column.into_owned())
}

/// A column of texts while it is read, one text after the other.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    codes: Vec<u32>,
    levels: Vec<String>,
    known: HashMap<String, u32>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: &str) {
        let code = self.known.get(text).copied().unwrap_or_else(|| {
            let code = self.levels.len() as u32;
            self.levels.push(text.to_owned());
            self.known.insert(text.to_owned(), code);
            code
        });
        self.codes.push(code);
    }

    pub(crate) fn finish(self) -> Attribute<'static> {
        let (codes, levels) = (self.codes.into(), self.levels.into());
        Attribute::Categories(Categories { codes, levels })
    }
}

/// The attribute columns of a data set or a table, in the order they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes<'a>(Vec<(String, Attribute<'a>)>);

impl<'a> Attributes<'a> {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Attribute<'a>)> + Clone {
        self.0.iter().map(|(name, attribute)| (name.as_str(), attribute))
    }

    /// Adds a column of `rows` entries, the number of rows of `reference`.
    pub(crate) fn push(
        &mut self,
        name: String,
        attribute: Attribute<'a>,
        reference: &'static str,
        rows: usize,
    ) -> Result<()> {
        same_length(&format!("attribute column `{name}`"), attribute.len(), reference, rows)?;
        new_name("attribute", &name, self.names())?;
        self.0.push((name, attribute));
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Attribute<'a>> {
        find("attribute", name, self.iter())
    }

    pub(crate) fn numbers(&self, name: &str) -> Result<&[f64]> {
        match self.get(name)? {
            Attribute::Numbers(values) => Ok(values),
            other => Err(wrong_kind(name, other, "numbers")),
        }
    }

    pub(crate) fn categories(&self, name: &str) -> Result<&Categories<'a>> {
        match self.get(name)? {
            Attribute::Categories(texts) => Ok(texts),
            other => Err(wrong_kind(name, other, "texts")),
        }
    }

    pub(crate) fn select(&self, rows: &Selection<'_>) -> Attributes<'_> {
        let columns = self.0.iter();
        Attributes(columns.map(|(name, column)| (name.clone(), column.select(rows))).collect())
    }

    /// Some rows of these columns, then the rows of `parents`.
    pub(crate) fn grown(&self, kept: &Selection<'_>, parents: &[usize]) -> Attributes<'static> {
        let grow =
            |(name, column): &(String, Attribute<'_>)| (name.clone(), column.grown(kept, parents));
        Attributes(self.0.iter().map(grow).collect())
    }

    pub(crate) fn into_owned(self) -> Attributes<'static> {
        let columns = self.0.into_iter();
        Attributes(columns.map(|(name, column)| (name, column.into_owned())).collect())
    }
}

/// The column of that name.
pub(crate) fn find<'c, C>(
    kind: &'static str,
    name: &str,
    columns: impl Iterator<Item = (&'c str, C)> + Clone,
) -> Result<C> {
    let found = columns.clone().find(|(known, _)| *known == name);
    found.map(|(_, column)| column).ok_or_else(|| Error::UnknownColumn {
        kind,
        column: name.into(),
        known: columns.map(|(known, _)| known.into()).collect(),
    })
}

/// Checks that a new column's name is not taken.
pub(crate) fn new_name<'c>(
    kind: &'static str,
    name: &str,
    mut taken: impl Iterator<Item = &'c str>,
) -> Result<()> {
    if taken.any(|known| known == name) {
        return Err(Error::DuplicateColumn { kind, column: name.into() });
    }
    Ok(())
}

pub(crate) fn wrong_kind(column: &str, found: &Attribute<'_>, expected: &'static str) -> Error {
    Error::ColumnKind { column: column.into(), found: found.kind(), expected }
}

impl Categories<'_> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The text of a row, if there is such a row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        self.codes.get(row).map(|&code| self.levels[code as usize].as_str())
    }

    /// For each row, the position of its text in [`levels`](Self::levels).
    #[must_use]
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The distinct texts, in order of first appearance.
    #[must_use]
    pub fn levels(&self) -> &[String] {
        &self.levels
    }
}

/// Rows picked from a data set: a range can stay borrowed, a list must be copied.
#[derive(Debug, Clone)]
pub(crate) enum Selection<'r> {
    Range(Range<usize>),
    List(&'r [usize]),
}

impl<'r> Selection<'r> {
    /// A list of rows, as the range it is, if it is one.
    pub(crate) fn of(rows: &'r [usize]) -> Self {
        match rows {
            [first, ..] if rows.windows(2).all(|pair| pair[1] == pair[0] + 1) => {
                Self::Range(*first..first + rows.len())
            }
            [] => Self::Range(0..0),
            _ => Self::List(rows),
        }
    }

    /// A list of some of `n` rows, checked.
    pub(crate) fn checked(rows: &'r [usize], n: usize) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::NoRows { what: "the selection" });
        }
        match rows.iter().find(|&&row| row >= n) {
            Some(&row) => Err(Error::RowOutOfRange { what: "the selection".into(), row, rows: n }),
            None => Ok(Self::of(rows)),
        }
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(rows) => rows.len(),
        }
    }

    /// The row at a place.
    pub(crate) fn row(&self, at: usize) -> usize {
        match self {
            Self::Range(range) => range.start + at,
            Self::List(rows) => rows[at],
        }
    }

    /// The entries of a column, then those of `more` rows.
    pub(crate) fn column_and<T: Copy>(&self, column: &[T], more: &[usize]) -> Vec<T> {
        let mut entries = Vec::with_capacity(self.len() + more.len());
        entries.extend((0..self.len()).map(|at| column[self.row(at)]));
        entries.extend(more.iter().map(|&row| column[row]));
        entries
    }

    pub(crate) fn column<'a, T: Copy>(&self, column: &'a [T]) -> Cow<'a, [T]> {
        match self {
            Self::Range(range) => Cow::Borrowed(&column[range.clone()]),
            Self::List(rows) => Cow::Owned(rows.iter().map(|&row| column[row]).collect()),
        }
    }
}
