//! The importance of columns by the gain of their splits.

use std::fmt;

use super::{FittedBoostedTrees, Tree};
use crate::core::{Result, aligned, column_name, rename};
use crate::model::PRINTED;

/// How much the splits of each column lowered the loss of the training rows; made by
/// [`FittedBoostedTrees::gain_importance`].
///
/// The gain of a split is ½ (G<sub>l</sub>²/(H<sub>l</sub> + λ) + G<sub>r</sub>²/(H<sub>r</sub> + λ) − G²/(H + λ)) up to
/// a common factor, with G the sum of the gradients and H that of the curvatures in a node and its children; shares are
/// normalised to 1. It is measured on the rows that the trees learned from, so columns with many different values gain
/// more than they are worth on other rows: [`PermutationImportance`](crate::evaluation::PermutationImportance) measures
/// that. Printed, it has the first 20 columns; [`text`](Self::text) has any number.
///
/// Source: Breiman, Friedman, Olshen & Stone 1984, §5.3; Chen & Guestrin 2016, equation 7.
#[derive(Debug, Clone, PartialEq)]
pub struct GainImportance {
    columns: usize,
    entries: Vec<ColumnGain>,
}

/// The splits of a column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ColumnGain {
    /// The column.
    pub column: usize,
    /// Its name: `x0`, `x1`, … unless others were given.
    pub name: String,
    /// Its share of the gain of all splits.
    pub share: f64,
    /// Number of splits.
    pub splits: usize,
}

impl GainImportance {
    pub(super) fn new(model: &FittedBoostedTrees) -> Self {
        let mut gains = vec![(0.0, 0); model.columns];
        for (column, gain) in model.trees.iter().flat_map(Tree::splits) {
            gains[column].0 += gain;
            gains[column].1 += 1;
        }
        let total: f64 = gains.iter().map(|gain| gain.0).sum();
        let used = gains.into_iter().enumerate().filter(|(_, (_, splits))| *splits > 0);
        let share = |gain: f64| if total > 0.0 { gain / total } else { 0.0 };
        let mut entries: Vec<ColumnGain> = used
            .map(|(column, (gain, splits))| ColumnGain {
                column,
                name: column_name(None, column),
                share: share(gain),
                splits,
            })
            .collect();
        entries.sort_by(|a, b| b.share.total_cmp(&a.share));
        Self { columns: model.columns, entries }
    }

    /// The columns with splits, the largest share first.
    #[must_use]
    pub fn entries(&self) -> &[ColumnGain] {
        &self.entries
    }

    /// Number of columns without a split.
    #[must_use]
    pub fn unused_columns(&self) -> usize {
        self.columns - self.entries.len()
    }

    /// This table with names for the columns, in their order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless there is one name per column.
    pub fn with_feature_names<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let places = self.entries.iter_mut().map(|entry| (entry.column, &mut entry.name));
        rename(places, names, self.columns)?;
        Ok(self)
    }

    /// The first `rows` columns as lines, and the number of the others.
    #[must_use]
    pub fn text(&self, rows: usize) -> String {
        let shown = &self.entries[..rows.min(self.entries.len())];
        let mut lines = vec![vec!["column".into(), "gain".into(), "splits".into()]];
        lines.extend(shown.iter().map(|entry| {
            vec![entry.name.clone(), format!("{:.4}", entry.share), entry.splits.to_string()]
        }));
        let more = self.entries.len() - shown.len();
        let (unused, columns) = (self.unused_columns(), self.columns);
        format!("{}\n{more} more; {unused} of {columns} columns have no split", aligned(&lines))
    }
}

impl fmt::Display for GainImportance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(PRINTED))
    }
}
