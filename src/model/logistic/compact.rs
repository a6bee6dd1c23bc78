//! Sparse rows with their columns renumbered by frequency.

use std::cmp::Reverse;
use std::ops::Range;

use ndarray::Array2;
use sprs::CsMatView;

use crate::core::{FeaturesView, Matrix, Scalar, visit};
use crate::exec::parallel;

/// New numbers for the columns of a sparse matrix: the most frequent column is 0, and columns without an entry
/// have no number.
///
/// A pass over hashed rows is bound by memory. Column numbers of four bytes halve its traffic, vectors have one
/// entry for each column that occurs, and the entries that are read most often are neighbours.
#[derive(Debug)]
pub(super) struct CompactColumns {
    /// For each stored entry, the new number of its column.
    columns: Vec<u32>,
    /// For each new number, the old one.
    old: Vec<usize>,
}

impl CompactColumns {
    /// `None` if four bytes cannot number the columns.
    pub(super) fn of<F: Scalar>(x: &CsMatView<'_, F>) -> Option<Self> {
        u32::try_from(x.cols()).ok()?;
        let indices = x.indices();
        let mut count = vec![0_u32; x.cols()];
        indices.iter().for_each(|&column| count[column] = count[column].saturating_add(1));
        let mut old: Vec<usize> = (0..x.cols()).filter(|&column| count[column] > 0).collect();
        old.sort_by_key(|&column| Reverse(count[column]));
        let mut new = count;
        old.iter().zip(0..).for_each(|(&column, number)| new[column] = number);
        let mut columns = vec![0; indices.len()];
        parallel::map_into(&mut columns, 1, parallel::BLOCK, |_, entries, out| {
            out.iter_mut().zip(&indices[entries]).for_each(|(out, &column)| *out = new[column]);
        });
        Some(Self { columns, old })
    }

    /// Number of columns that have a new number.
    pub(super) fn len(&self) -> usize {
        self.old.len()
    }

    /// The coefficients of the columns that have a new number, from those of all columns.
    pub(super) fn narrow(&self, coefficients: &[f64]) -> Vec<f64> {
        self.old.iter().map(|&column| coefficients[column]).collect()
    }

    /// The coefficients of all `columns`, from those that have a new number; the others are 0.
    pub(super) fn widen(&self, coefficients: &[f64], columns: usize) -> Vec<f64> {
        let mut wide = vec![0.0; columns];
        self.old.iter().zip(coefficients).for_each(|(&column, &c)| wide[column] = c);
        wide
    }

    fn row<'x, F: Scalar>(
        &'x self,
        x: &'x CsMatView<'_, F>,
        row: usize,
    ) -> impl Iterator<Item = (usize, f64)> + 'x {
        let stored = x.indptr().outer_inds_sz(row);
        let columns = self.columns[stored.clone()].iter().map(|&column| column as usize);
        columns.zip(x.data()[stored].iter().map(|value| value.to_f64()))
    }

    /// `out[i] += xᵢ · coefficients`.
    pub(super) fn add_products(
        &self,
        x: FeaturesView<'_>,
        rows: Range<usize>,
        coefficients: &[f64],
        out: &mut [f64],
    ) {
        visit!(x, |x| if let Matrix::Sparse(x) = x {
            self.add_products_of(&x, rows, coefficients, out);
        });
    }

    fn add_products_of<F: Scalar>(
        &self,
        x: &CsMatView<'_, F>,
        rows: Range<usize>,
        coefficients: &[f64],
        out: &mut [f64],
    ) {
        for (row, out) in rows.zip(out) {
            *out +=
                self.row(x, row).map(|(column, value)| coefficients[column] * value).sum::<f64>();
        }
    }

    /// `sums += Σᵢ factors[i] · map(xᵢ)`, with `map` applied to each entry; `map(0)` must be 0.
    pub(super) fn add_rows(
        &self,
        x: FeaturesView<'_>,
        rows: Range<usize>,
        factors: &[f64],
        map: impl Fn(f64) -> f64,
        sums: &mut [f64],
    ) {
        visit!(x, |x| if let Matrix::Sparse(x) = x {
            self.add_rows_of(&x, rows, factors, map, sums);
        });
    }

    fn add_rows_of<F: Scalar>(
        &self,
        x: &CsMatView<'_, F>,
        rows: Range<usize>,
        factors: &[f64],
        map: impl Fn(f64) -> f64,
        sums: &mut [f64],
    ) {
        for (row, &factor) in rows.zip(factors) {
            self.row(x, row).for_each(|(column, value)| sums[column] += factor * map(value));
        }
    }

    /// `sum += Σ hᵢ xᵢ xᵢᵀ` (lower triangle) over the first `frequent` columns and, if `intercept`, a 1
    /// behind them.
    pub(super) fn add_outer_products<F: Scalar>(
        &self,
        x: &CsMatView<'_, F>,
        rows: Range<usize>,
        factors: &[f64],
        frequent: usize,
        intercept: bool,
        sum: &mut Array2<f64>,
    ) {
        let mut entries: Vec<(usize, f64)> = Vec::new();
        for (row, &factor) in rows.zip(factors) {
            entries.clear();
            entries.extend(self.row(x, row).filter(|(column, _)| *column < frequent));
            entries.extend(intercept.then_some((frequent, 1.0)));
            for (i, &(column, value)) in entries.iter().enumerate() {
                let scaled = factor * value;
                for &(other, value) in &entries[..=i] {
                    sum[(column.max(other), column.min(other))] += scaled * value;
                }
            }
        }
    }
}
