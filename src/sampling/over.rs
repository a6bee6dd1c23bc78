//! What the over-samplers share: how many rows, from which parents, towards which partners.

use std::collections::HashMap;

use ndarray::{Array2, ArrayView2};
use ndarray_rand::rand::Rng;
use rand_chacha::ChaCha8Rng;
use sprs::{CsMat, CsMatView};

use super::neighbours::Neighbours;
use super::{Distortion, Resample, Synthetic};
use crate::data::{Features, FeaturesView, Scalar, dense, round, sparse_row, sparse_union};
use crate::parallel::{self, BLOCK};
use crate::random::Chosen;
use crate::{ClassTotals, Dataset, Error, Result, Seed};

/// The positives per negative that an over-sampler promises, N₊′/N₋.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Target(f64);

impl Target {
    pub(super) fn new(ratio: f64) -> Result<Self> {
        if ratio > 0.0 && ratio.is_finite() {
            Ok(Self(ratio))
        } else {
            Err(Error::invalid("ratio", ratio, "positive and finite: positives per negative"))
        }
    }

    /// How many positives are missing from round(ratio · N₋). Checks that both classes are there.
    pub(super) fn missing<F: Scalar>(
        self,
        what: &'static str,
        data: &Dataset<'_, F>,
        totals: &ClassTotals,
    ) -> Result<usize> {
        totals.need_both(what)?;
        let ClassTotals { positives, negatives, .. } = *totals;
        let wanted = round(self.0, negatives);
        let missing = wanted.checked_sub(positives).ok_or_else(|| {
            let expected = format!(
                "at least {:.6}: there are {positives} positives for {negatives} negatives already, \
                 and over-sampling takes none away; under-sampling negatives raises the ratio, too",
                positives as f64 / negatives as f64
            );
            Error::invalid("ratio", self.0, expected)
        })?;
        // Past this, asking for the memory would panic instead of failing.
        let cells = wanted.saturating_mul(data.columns().max(1));
        if cells > isize::MAX as usize / (4 * size_of::<usize>()) {
            let expected = format!("small enough that {wanted} rows can be addressed");
            return Err(Error::invalid("ratio", self.0, expected));
        }
        Ok(missing)
    }
}

/// Checks a number of neighbours when it is configured.
pub(super) fn checked_k(argument: &'static str, k: usize) -> Result<usize> {
    if k == 0 { Err(Error::invalid(argument, k, "at least 1")) } else { Ok(k) }
}

/// Checks that each positive has `k` others.
pub(super) fn check_k(k: usize, positives: usize) -> Result<()> {
    if k < positives {
        return Ok(());
    }
    let expected = format!(
        "below the number of positives, {positives}, because each needs {k} others as neighbours; \
         ask for fewer neighbours, or use RandomOverSampler"
    );
    Err(Error::invalid("k", k, expected))
}

/// The rows of a class.
pub(super) fn rows_of(labels: &[bool], class: bool) -> Vec<usize> {
    (0..labels.len()).filter(|&row| labels[row] == class).collect()
}

/// `new` parents, in the order of the rows: each ⌊new/n⌋ times, and a random subset once more.
pub(super) fn spread(candidates: &[usize], new: usize, seed: Seed) -> Vec<usize> {
    let (each, rest) = (new / candidates.len(), new % candidates.len());
    let once_more = Chosen::uniform(candidates.len(), rest, seed.child("parents"));
    let mut parents = Vec::with_capacity(new);
    for (at, &row) in candidates.iter().enumerate() {
        parents.extend(std::iter::repeat_n(row, each + usize::from(once_more.contains(at))));
    }
    parents
}

/// The `k` nearest neighbours of each parent.
#[derive(Debug)]
pub(super) struct Kin {
    k: usize,
    neighbours: Vec<usize>,
    /// For each parent, its place among those searched for.
    places: HashMap<usize, usize>,
}

impl Kin {
    /// Searches for each parent once, though it comes several times. Equal parents follow each other.
    pub(super) fn new<F: Scalar>(
        search: &Neighbours<'_, '_, F>,
        parents: &[usize],
        k: usize,
    ) -> Self {
        let mut queries = parents.to_vec();
        queries.dedup();
        let neighbours = search.nearest(&queries, k);
        Self { k, neighbours, places: queries.into_iter().zip(0..).collect() }
    }

    /// The neighbours of a parent, the nearest first.
    pub(super) fn of(&self, parent: usize) -> &[usize] {
        &self.neighbours[self.places[&parent] * self.k..][..self.k]
    }

    /// A neighbour for each new row, each equally likely.
    pub(super) fn partners(&self, parents: &[usize], seed: Seed) -> Vec<usize> {
        let seed = seed.child("partners");
        let mut partners = vec![0; parents.len()];
        parallel::map_into(&mut partners, 1, BLOCK, |block, range, out| {
            let mut stream = seed.stream(block);
            for (out, &parent) in out.iter_mut().zip(&parents[range]) {
                *out = self.of(parent)[stream.random_range(0..self.k as u64) as usize];
            }
        });
        partners
    }
}

/// How far new rows go from their parent towards their partner.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'a> {
    pub(super) parents: &'a [usize],
    pub(super) partners: &'a [usize],
    /// One λ for each element instead of one for each row.
    pub(super) per_element: bool,
    pub(super) seed: Seed,
}

impl Steps<'_> {
    /// x + λ(x′ − x) with λ uniform on \[0, `reach`(partner)).
    pub(super) fn take<F: Scalar>(
        &self,
        x: &FeaturesView<'_, F>,
        reach: impl Fn(usize) -> f64 + Sync + Send,
    ) -> Features<'static, F> {
        match x {
            FeaturesView::Dense(x) => self.dense(x, reach).into(),
            FeaturesView::Sparse(x) => self.sparse(x, reach).into(),
        }
    }

    pub(super) fn dense<F: Scalar>(
        &self,
        x: &ArrayView2<'_, F>,
        reach: impl Fn(usize) -> f64 + Sync + Send,
    ) -> Array2<F> {
        let (n, width) = (self.parents.len(), x.ncols());
        let mut values = vec![F::default(); n * width];
        parallel::map_into(&mut values, width.max(1), BLOCK, |block, range, out| {
            let mut stream = self.stream(block);
            for (row, out) in range.zip(out.chunks_exact_mut(width)) {
                let (parent, partner) = (self.parents[row], self.partners[row]);
                let mut lambda = self.lambda(&mut stream, reach(partner));
                for ((out, &a), &b) in out.iter_mut().zip(x.row(parent)).zip(x.row(partner)) {
                    *out = between(a, b, lambda());
                }
            }
        });
        dense(values, n, width)
    }

    fn sparse<F: Scalar>(
        &self,
        x: &CsMatView<'_, F>,
        reach: impl Fn(usize) -> f64 + Sync + Send,
    ) -> CsMat<F> {
        let n = self.parents.len();
        let blocks = parallel::map(n, BLOCK, |block, range| {
            let mut stream = self.stream(block);
            let (mut ends, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for row in range {
                let (parent, partner) = (self.parents[row], self.partners[row]);
                let mut lambda = self.lambda(&mut stream, reach(partner));
                for (column, a, b) in sparse_union(sparse_row(x, parent), sparse_row(x, partner)) {
                    let value = between(a, b, lambda());
                    if value != F::default() {
                        columns.push(column);
                        values.push(value);
                    }
                }
                ends.push(columns.len());
            }
            (ends, columns, values)
        });
        let (mut indptr, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for (ends, columns, block) in blocks {
            let before = indices.len();
            indptr.extend(ends.into_iter().map(|end| before + end));
            indices.extend(columns);
            values.extend(block);
        }
        CsMat::new((n, x.cols()), indptr, indices, values)
    }

    fn stream(&self, block: usize) -> ChaCha8Rng {
        self.seed.child("steps").stream(block)
    }

    /// The λ of each element of a row in turn.
    fn lambda<'s>(&self, stream: &'s mut ChaCha8Rng, reach: f64) -> impl FnMut() -> f64 + use<'s> {
        let (row, per_element) = (reach * stream.random::<f64>(), self.per_element);
        move || if per_element { reach * stream.random::<f64>() } else { row }
    }
}

/// a + λ(b − a), rounded to the type of the ends, never outside them and without overflow.
pub(super) fn between<F: Scalar>(a: F, b: F, lambda: f64) -> F {
    let (a, b) = (a.to_f64(), b.to_f64());
    F::from_f64(((1.0 - lambda) * a + lambda * b).clamp(a.min(b), a.max(b)))
}

/// ln(W₊′/W₊), where each new row has its parent's weight.
pub(super) fn gain<F: Scalar>(
    data: &Dataset<'_, F>,
    totals: &ClassTotals,
    parents: &[usize],
) -> f64 {
    let added = match data.weights() {
        None => parents.len() as f64,
        Some(weights) => parents.iter().map(|&row| weights[row]).sum(),
    };
    (added / totals.positive_weight).ln_1p()
}

/// All rows, and the new ones below them.
pub(super) fn grown<F: Scalar>(
    sampler: &'static str,
    data: &Dataset<'_, F>,
    totals: &ClassTotals,
    synthetic: Synthetic<F>,
) -> Resample<F> {
    let nominal_log_odds = Some(gain(data, totals, &synthetic.parents));
    let distortion = Distortion::FeatureDependent { sampler: sampler.into(), nominal_log_odds };
    Resample { synthetic: Some(synthetic), distortion, ..Resample::identity() }
}
