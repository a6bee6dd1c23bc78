//! Columns beside the features: labels, weights, offsets, attributes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, ArrayView1};

use super::{Error, Result, same_length};

/// A column of one value per row: a `Vec`, a slice, or a one-dimensional `ndarray` array.
///
/// Borrowed contiguous values are not copied.
pub trait IntoColumn<'a, T: Clone> {
    /// The values, row by row.
    fn into_column(self) -> Cow<'a, [T]>;
}

macro_rules! into_column {
    ($($list:ty),*) => {$(
        impl<'a, T: Clone> IntoColumn<'a, T> for $list {
            fn into_column(self) -> Cow<'a, [T]> {
                self.into()
            }
        }
    )*};
}

into_column!(Vec<T>, &'a Vec<T>, &'a [T], Cow<'a, [T]>);

impl<'a, T: Clone, const N: usize> IntoColumn<'a, T> for &'a [T; N] {
    fn into_column(self) -> Cow<'a, [T]> {
        self.as_slice().into()
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

/// A column that travels with the rows but is no feature: time stamps, the days since the last visit,
/// campaigns. Splits and business rules read it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Attribute<'a> {
    /// Numbers; NaN stands for a missing one.
    Numbers(Cow<'a, [f64]>),
    /// Texts, each of which usually stands in many rows.
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
        let mut column = CategoriesBuilder::default();
        for text in texts {
            column.push(text.as_ref());
        }
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

    /// The error for a column of another kind than `expected`.
    fn is_not(&self, column: &str, expected: &'static str) -> Error {
        let found = match self {
            Self::Numbers(_) => "numbers",
            Self::Categories(_) => "texts",
        };
        Error::ColumnKind { column: column.into(), found, expected }
    }

    /// The entries of the selected rows, then the entries of `parents`.
    pub(crate) fn grown(&self, kept: &Selection<'_>, parents: &[usize]) -> Attribute<'static> {
        match self {
            Self::Numbers(values) => Attribute::Numbers(kept.column_and(values, parents).into()),
            Self::Categories(Categories { codes, levels }) => Attribute::Categories(Categories {
                codes: kept.column_and(codes, parents).into(),
                levels: Arc::clone(levels),
            }),
        }
    }

    /// The entries of the selected rows: borrowed if the rows are consecutive, else copied.
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

/// Builds a column of texts, one text after the other.
#[derive(Debug, Default)]
pub(crate) struct CategoriesBuilder {
    codes: Vec<u32>,
    levels: Vec<String>,
    code_of: HashMap<String, u32>,
}

impl CategoriesBuilder {
    /// Adds the text of the next row; its code.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        let code = self.code_of.get(text).copied().unwrap_or_else(|| {
            let code = self.levels.len() as u32;
            self.levels.push(text.to_owned());
            self.code_of.insert(text.to_owned(), code);
            code
        });
        self.codes.push(code);
        code
    }

    /// Adds a text again, given its code.
    #[cfg(any(feature = "arrow", feature = "csv"))]
    pub(crate) fn push_code(&mut self, code: u32) {
        self.codes.push(code);
    }

    /// Adds the texts of these rows.
    pub(crate) fn append(&mut self, texts: &Categories<'_>, rows: &Selection<'_>) {
        const NEW: u32 = u32::MAX;
        let mut code_of = vec![NEW; texts.levels.len()];
        self.codes.reserve(rows.len());
        for row in (0..rows.len()).map(|at| rows.row(at)) {
            let theirs = texts.codes[row] as usize;
            if code_of[theirs] == NEW {
                code_of[theirs] = self.push(&texts.levels[theirs]);
            } else {
                self.codes.push(code_of[theirs]);
            }
        }
    }

    pub(crate) fn finish(self) -> Attribute<'static> {
        let (codes, levels) = (self.codes.into(), self.levels.into());
        Attribute::Categories(Categories { codes, levels })
    }
}

/// Named columns of one kind, in the order they were added.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Columns<C> {
    /// The kind of column, for errors: `attribute`, `numeric`, …
    kind: &'static str,
    columns: Vec<(String, C)>,
}

impl<C> Columns<C> {
    /// Columns whose names are known to differ.
    pub(crate) fn of(kind: &'static str, columns: impl IntoIterator<Item = (String, C)>) -> Self {
        Self { kind, columns: columns.into_iter().collect() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &C)> + Clone {
        self.columns.iter().map(|(name, column)| (name.as_str(), column))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut C)> {
        self.columns.iter_mut().map(|(name, column)| (name.as_str(), column))
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = (String, C)> {
        self.columns.into_iter()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.iter().map(|(name, _)| name)
    }

    /// Adds a column of `entries` entries, which needs one for each of the `rows` rows of `reference`.
    pub(crate) fn push(
        &mut self,
        name: String,
        (column, entries): (C, usize),
        (reference, rows): (&'static str, usize),
    ) -> Result<()> {
        same_length(&format!("{} column `{name}`", self.kind), entries, reference, rows)?;
        ensure_new_name(self.kind, &name, self.names())?;
        self.columns.push((name, column));
        Ok(())
    }

    /// The column with a name.
    pub(crate) fn get(&self, name: &str) -> Result<&C> {
        let column = self.iter().find(|(known, _)| *known == name).map(|(_, column)| column);
        column.ok_or_else(|| Error::UnknownColumn {
            kind: self.kind,
            column: name.into(),
            known: self.names().map(Into::into).collect(),
        })
    }

    /// Drops the columns whose names `keep` rejects.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.columns.retain(|(name, _)| keep(name));
    }

    pub(crate) fn map<'c, D>(&'c self, column: impl Fn(&'c C) -> D) -> Columns<D> {
        Columns::of(self.kind, self.iter().map(|(name, of)| (name.to_owned(), column(of))))
    }
}

/// The attribute columns of a data set or a table.
pub(crate) type Attributes<'a> = Columns<Attribute<'a>>;

impl<'a> Attributes<'a> {
    pub(crate) fn numbers(&self, name: &str) -> Result<&[f64]> {
        match self.get(name)? {
            Attribute::Numbers(values) => Ok(values),
            other => Err(other.is_not(name, "numbers")),
        }
    }

    pub(crate) fn categories(&self, name: &str) -> Result<&Categories<'a>> {
        match self.get(name)? {
            Attribute::Categories(texts) => Ok(texts),
            other => Err(other.is_not(name, "texts")),
        }
    }

    pub(crate) fn into_owned(self) -> Attributes<'static> {
        let columns = self.columns.into_iter();
        Columns::of(self.kind, columns.map(|(name, column)| (name, column.into_owned())))
    }
}

/// Checks that no column has the name of a new one yet.
pub(crate) fn ensure_new_name<'c>(
    kind: &'static str,
    name: &str,
    mut taken: impl Iterator<Item = &'c str>,
) -> Result<()> {
    if taken.any(|known| known == name) {
        return Err(Error::DuplicateColumn { kind, column: name.into() });
    }
    Ok(())
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
    /// The range of `rows`, if they are consecutive, else their list.
    pub(crate) fn of(rows: &'r [usize]) -> Self {
        match rows {
            [first, ..] if rows.windows(2).all(|pair| pair[1] == pair[0] + 1) => {
                Self::Range(*first..first + rows.len())
            }
            [] => Self::Range(0..0),
            _ => Self::List(rows),
        }
    }

    /// A selection from `n` rows, checked.
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

    /// The row at position `at`.
    pub(crate) fn row(&self, at: usize) -> usize {
        match self {
            Self::Range(range) => range.start + at,
            Self::List(rows) => rows[at],
        }
    }

    /// The entries of a column in the selected rows, then its entries in the rows `more`.
    pub(crate) fn column_and<T: Copy>(&self, column: &[T], more: &[usize]) -> Vec<T> {
        let mut entries = Vec::with_capacity(self.len() + more.len());
        entries.extend((0..self.len()).map(|at| column[self.row(at)]));
        entries.extend(more.iter().map(|&row| column[row]));
        entries
    }

    /// The entries of a column in the selected rows.
    pub(crate) fn column<'a, T: Copy>(&self, column: &'a [T]) -> Cow<'a, [T]> {
        match self {
            Self::Range(range) => Cow::Borrowed(&column[range.clone()]),
            Self::List(rows) => Cow::Owned(rows.iter().map(|&row| column[row]).collect()),
        }
    }
}
