//! Rows sorted once, each with its index among the caller's rows.

use super::ranked::RankedScores;
use super::rows::{CheckedRows, Domain, SortedRow, WeightedRows};
use crate::core::{Meter, Result, Run};
use crate::exec::parallel;

/// Rows sorted by score, each with its index among the caller's rows: what bootstrap, comparison,
/// cross-fitting and slices start from, as they select the same rows in all models. Rows without weight
/// are left out.
#[derive(Debug)]
pub(crate) struct SortedRows {
    ranked: RankedScores,
    /// The index of each sorted row among the caller's rows.
    order: Vec<usize>,
    /// Number of the caller's rows, including rows without weight.
    len: usize,
}

impl SortedRows {
    pub(crate) fn new(
        labels: &[bool],
        values: &[f64],
        domain: Domain,
        weights: Option<&[f64]>,
        run: &Run,
    ) -> Result<Self> {
        let rows = CheckedRows::new(labels, values, domain, weights)?;
        let mut indexed = vec![((0.0, 0.0), 0); rows.len()];
        let meter = Meter::new(run, "sort by score", "rows", 2 * rows.len());
        parallel::map_into(&mut indexed, 1, parallel::BLOCK, |_, range, out| {
            if meter.goes_on(range.len()) {
                range.zip(out).for_each(|(row, slot)| *slot = (rows.signed(row), row));
            }
        });
        indexed.retain(|row| row.0.1 != 0.0);
        meter.sort_by(&mut indexed, |(a, i), (b, j)| {
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(i.cmp(j))
        });
        meter.finish()?;
        let order = indexed.iter().map(|row| row.1).collect();
        let sorted = indexed.into_iter().map(|row| row.0).collect();
        let mut ranked = RankedScores::presorted(sorted, rows.classes.unit, domain);
        ranked.classes.rows = rows.classes.rows;
        Ok(Self { ranked, order, len: rows.len() })
    }

    pub(crate) fn of_probabilities(
        labels: &[bool],
        probabilities: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        Self::new(labels, probabilities, Domain::Probabilities, weights, &Run::default())
    }

    pub(crate) fn ranked(&self) -> &RankedScores {
        &self.ranked
    }

    /// Number of the caller's rows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The sorted rows, each with its index among the caller's rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = (SortedRow, usize)> + '_ {
        self.ranked.sorted().iter().copied().zip(self.order.iter().copied())
    }

    /// The index of a sorted row among the caller's rows.
    pub(super) fn index(&self, sorted: usize) -> usize {
        self.order[sorted]
    }

    /// The caller's rows for which `keep` is true, sorted; `None` if none of them has weight.
    pub(super) fn select(&self, keep: impl Fn(usize) -> bool) -> Option<RankedScores> {
        let kept = self.rows().filter(|&(_, row)| keep(row)).map(|(sorted, _)| sorted).collect();
        RankedScores::part(kept, self.ranked.classes.unit, self.ranked.domain)
    }

    /// The rows split into `count` parts, each sorted; `part` maps the index of a caller's row to its part.
    pub(super) fn parts(&self, count: usize, part: impl Fn(usize) -> usize) -> Vec<Vec<SortedRow>> {
        let mut sizes = vec![0; count];
        self.order.iter().for_each(|&row| sizes[part(row)] += 1);
        let mut parts: Vec<Vec<SortedRow>> = sizes.into_iter().map(Vec::with_capacity).collect();
        self.rows().for_each(|(sorted, row)| parts[part(row)].push(sorted));
        parts
    }
}
