//! Rows sorted once that still know their places among the caller's.

use super::ranked::{Ranked, Scored, scored};
use super::rows::{Domain, Rows, Weighted};
use crate::Result;
use crate::exec::parallel;

/// Rows sorted by score, and where each of them stood among the caller's: what bootstrap, comparison,
/// cross-fitting and slices start from, which treat a row alike in all models. Rows without weight are
/// left out.
#[derive(Debug)]
pub(crate) struct Ordered {
    ranked: Ranked,
    /// The caller's row of each sorted row.
    order: Vec<usize>,
    /// Number of the caller's rows, those without weight included.
    len: usize,
}

impl Ordered {
    pub(super) fn new(
        labels: &[bool],
        values: &[f64],
        domain: Domain,
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        Ok(Self::of(&Rows::new(labels, values, domain, weights)?))
    }

    pub(crate) fn probabilities(
        labels: &[bool],
        probabilities: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        Self::new(labels, probabilities, Domain::Probabilities, weights)
    }

    /// Sorts checked rows.
    pub(super) fn of(rows: &Rows<'_>) -> Self {
        let mut indexed = vec![((0.0, 0.0), 0); rows.len()];
        parallel::map_into(&mut indexed, 1, parallel::BLOCK, |_, range, out| {
            range.zip(out).for_each(|(row, place)| *place = (scored(rows, row), row));
        });
        indexed.retain(|row| row.0.1 != 0.0);
        parallel::sort_by(&mut indexed, |(a, i), (b, j)| {
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(i.cmp(j))
        });
        let order = indexed.iter().map(|row| row.1).collect();
        let sorted = indexed.into_iter().map(|row| row.0).collect();
        Self { ranked: Ranked::presorted(sorted, rows.weights.unit), order, len: rows.len() }
    }

    pub(crate) fn ranked(&self) -> &Ranked {
        &self.ranked
    }

    /// Number of the caller's rows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The sorted rows, each with its place among the caller's.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Scored, usize)> + '_ {
        self.ranked.sorted().iter().copied().zip(self.order.iter().copied())
    }

    /// The place of a sorted row among the caller's.
    pub(super) fn place(&self, sorted: usize) -> usize {
        self.order[sorted]
    }

    /// Those rows of the caller, sorted; `None` if there are none that have weight.
    pub(super) fn select(&self, keep: impl Fn(usize) -> bool) -> Option<Ranked> {
        let kept = self.rows().filter(|&(_, row)| keep(row)).map(|(scored, _)| scored).collect();
        Ranked::part(kept, self.ranked.unit())
    }

    /// The rows dealt into `count` parts, each of them sorted as it is; `part` tells that of a row of
    /// the caller.
    pub(super) fn parts(&self, count: usize, part: impl Fn(usize) -> usize) -> Vec<Vec<Scored>> {
        let mut sizes = vec![0; count];
        self.order.iter().for_each(|&row| sizes[part(row)] += 1);
        let mut parts: Vec<Vec<Scored>> = sizes.into_iter().map(Vec::with_capacity).collect();
        self.rows().for_each(|(scored, row)| parts[part(row)].push(scored));
        parts
    }
}
