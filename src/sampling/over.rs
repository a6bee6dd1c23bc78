//! What the over-samplers share: how many rows they make, from which parents, towards which partners.

use ndarray_rand::rand::Rng;

use super::{Resample, Synthetic};
use crate::core::{
    Chosen, ClassTotals, Dataset, Distortion, Error, Result, Run, Seed, fits_memory, round, visit,
};
use crate::exec::parallel::{self, BLOCK};
use crate::knn::Search;

/// The ratio N₊′/N₋ of positives to negatives that a sampler promises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TargetRatio(f64);

impl TargetRatio {
    pub(super) fn new(ratio: f64) -> Result<Self> {
        if ratio > 0.0 && ratio.is_finite() {
            Ok(Self(ratio))
        } else {
            Err(Error::invalid("ratio", ratio, "positive and finite: positives per negative"))
        }
    }

    #[cfg(feature = "serde")]
    pub(super) fn ratio(self) -> f64 {
        self.0
    }

    /// How many positives are missing from round(ratio · N₋). Checks that there are rows of both classes.
    pub(super) fn n_missing(
        self,
        sampler: &'static str,
        data: &Dataset<'_>,
        totals: &ClassTotals,
    ) -> Result<usize> {
        totals.ensure_both(sampler)?;
        let ClassTotals { positives, negatives, .. } = *totals;
        let wanted = round(self.0, negatives);
        let missing = wanted.checked_sub(positives).ok_or_else(|| {
            let expected = format!(
                "at least {}: there are {positives} positives for {negatives} negatives already, and \
                 over-sampling takes none away; under-sampling negatives raises the ratio, too",
                positives as f64 / negatives as f64
            );
            Error::invalid("ratio", self.0, expected)
        })?;
        if !has_room(data, missing) {
            let expected = format!("small enough that {wanted} positives fit into memory");
            return Err(Error::invalid("ratio", self.0, expected));
        }
        Ok(missing)
    }
}

/// Whether there is memory for all rows and `new` more.
fn has_room(data: &Dataset<'_>, new: usize) -> bool {
    let x = data.source();
    let number = visit!(x, |x| x.entry_size());
    let entry = number + if x.is_sparse() { size_of::<usize>() } else { 0 };
    let stored = x.stored().div_ceil(x.nrows());
    // Parent and partner; label, weight, offset and the attributes.
    let columns = 5 + data.attribute_names().count();
    let width = stored.checked_mul(entry).and_then(|width| width.checked_add(columns * 8));
    let rows = data.rows().checked_add(new);
    let bytes = rows.zip(width).and_then(|(rows, width)| rows.checked_mul(width));
    fits_memory(bytes)
}

/// A configured number of neighbours, at least 1.
pub(super) fn valid_k(argument: &'static str, k: usize) -> Result<usize> {
    if k == 0 { Err(Error::invalid(argument, k, "at least 1")) } else { Ok(k) }
}

/// Checks that there are `k` of the `n` rows, such as "other positives", in which neighbours are looked for.
pub(super) fn ensure_neighbours(
    argument: &'static str,
    k: usize,
    n: usize,
    rows: &str,
) -> Result<()> {
    if k <= n {
        return Ok(());
    }
    let expected = format!("at most {n}, the number of {rows}; ask for fewer neighbours");
    Err(Error::invalid(argument, k, expected))
}

/// The rows of a class.
pub(super) fn rows_of(labels: &[bool], class: bool) -> Vec<usize> {
    (0..labels.len()).filter(|&row| labels[row] == class).collect()
}

/// `new` parents, in the order of the rows: each candidate ⌊new/n⌋ times, and a random subset once more.
pub(super) fn allocate_parents(candidates: &[usize], new: usize, seed: Seed) -> Vec<usize> {
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
pub(super) struct NeighbourTable {
    k: usize,
    neighbours: Vec<usize>,
    /// For each new row, the place of its parent among the distinct parents.
    pub(super) parent_index: Vec<usize>,
}

impl NeighbourTable {
    /// Searches for each distinct parent once. Equal parents follow each other.
    pub(super) fn new(search: &Search<'_>, parents: &[usize], k: usize) -> Result<Self> {
        let mut queries = parents.to_vec();
        queries.dedup();
        let nearest = search.nearest(&queries, k)?;
        let neighbours = nearest.into_iter().map(|neighbour| neighbour.row).collect();
        let mut place = 0;
        let step = |&parent: &usize| {
            if queries[place] != parent {
                place += 1;
            }
            place
        };
        Ok(Self { k, neighbours, parent_index: parents.iter().map(step).collect() })
    }

    /// The neighbours of each distinct parent, the nearest first.
    pub(super) fn of_parents(&self) -> std::slice::ChunksExact<'_, usize> {
        self.neighbours.chunks_exact(self.k)
    }

    /// A neighbour of the parent of each new row, each equally likely.
    pub(super) fn partners(&self, seed: Seed) -> Vec<usize> {
        let seed = seed.child("partners");
        let mut partners = vec![0; self.parent_index.len()];
        parallel::map_into(&mut partners, 1, BLOCK, |block, range, out| {
            let mut stream = seed.stream(block);
            for (out, &parent) in out.iter_mut().zip(&self.parent_index[range]) {
                let drawn = stream.random_range(0..self.k as u64) as usize;
                *out = self.neighbours[parent * self.k + drawn];
            }
        });
        partners
    }
}

/// New rows between each parent and one of its `k` nearest `candidates`, each equally likely.
pub(super) fn interpolated(
    data: &Dataset<'_>,
    parents: Vec<usize>,
    candidates: &[usize],
    k: usize,
    run: &Run,
) -> Result<Synthetic> {
    let search = Search::new(data.features(), candidates, run)?;
    let partners = NeighbourTable::new(&search, &parents, k)?.partners(run.seed());
    Ok(Synthetic::interpolated(data.columns(), parents, partners, run.seed()))
}

/// ln(W₊′/W₊), where each new row has its parent's weight.
pub(super) fn log_gain(data: &Dataset<'_>, totals: &ClassTotals, parents: &[usize]) -> Result<f64> {
    let added = match data.weights() {
        None => parents.len() as f64,
        Some(weights) => parents.iter().map(|&row| weights[row]).sum(),
    };
    if added.is_finite() {
        return Ok((added / totals.positive_weight).ln_1p());
    }
    let what = "the weight of the new positives".into();
    Err(Error::Numerical { what, value: added, remedy: "scale all weights down" })
}

/// All rows, and the new ones below them.
pub(super) fn all_and(
    synthetic: Synthetic,
    sampler: &'static str,
    data: &Dataset<'_>,
    totals: &ClassTotals,
) -> Result<Resample> {
    let nominal_log_odds = Some(log_gain(data, totals, synthetic.parents())?);
    let distortion = Distortion::FeatureDependent { sampler: sampler.into(), nominal_log_odds };
    Ok(Resample { synthetic: vec![synthetic], distortion, ..Resample::identity() })
}
