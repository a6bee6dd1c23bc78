//! The coefficients of a linear model by name.

use std::fmt;

use super::LinearModel;
use crate::core::{aligned, column_name, number};

/// The coefficients of a linear model with their names; made by [`LinearModel::coefficient_table`].
///
/// Printed, it has the 20 largest coefficients; [`text`](Self::text) has any number of them. Sizes compare only columns
/// of one scale, such as standardised ones.
#[derive(Debug, Clone, PartialEq)]
pub struct CoefficientTable {
    intercept: f64,
    columns: usize,
    entries: Vec<Coefficient>,
}

/// A coefficient that is not 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Coefficient {
    /// The column.
    pub column: usize,
    /// Its name: `x0`, `x1`, … unless others were given.
    pub name: String,
    /// The coefficient: log-odds per unit of the column.
    pub value: f64,
}

/// Rows that tables print if not asked for another number.
pub(crate) const PRINTED: usize = 20;

impl CoefficientTable {
    pub(super) fn new(model: &LinearModel) -> Self {
        let coefficients = model.coefficients();
        let used = coefficients.iter().enumerate().filter(|(_, value)| **value != 0.0);
        let mut entries: Vec<Coefficient> = used
            .map(|(column, &value)| Coefficient {
                column,
                name: column_name(model.feature_names(), column),
                value,
            })
            .collect();
        entries.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        Self { intercept: model.intercept(), columns: coefficients.len(), entries }
    }

    /// The intercept; 0 if there is none.
    #[must_use]
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// The coefficients that are not 0, the largest first, and of equal sizes the first column first.
    #[must_use]
    pub fn entries(&self) -> &[Coefficient] {
        &self.entries
    }

    /// Number of coefficients that are 0.
    #[must_use]
    pub fn zero_coefficients(&self) -> usize {
        self.columns - self.entries.len()
    }

    /// This table with the coefficients in the order of the columns.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.entries.sort_by_key(|entry| entry.column);
        self
    }

    /// The intercept and the first `rows` coefficients as lines, and the number of the others.
    #[must_use]
    pub fn text(&self, rows: usize) -> String {
        let line = |name: &str, value: f64| vec![name.to_string(), number(value)];
        let mut lines = vec![vec!["column".into(), "coefficient".into()]];
        lines.push(line("(intercept)", self.intercept));
        let shown = &self.entries[..rows.min(self.entries.len())];
        lines.extend(shown.iter().map(|entry| line(&entry.name, entry.value)));
        let (zero, columns) = (self.zero_coefficients(), self.columns);
        let more = self.entries.len() - shown.len();
        format!("{}\n{more} more; {zero} of {columns} coefficients are 0", aligned(&lines))
    }
}

impl fmt::Display for CoefficientTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(PRINTED))
    }
}
