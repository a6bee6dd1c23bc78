//! What the over-samplers share: how many rows, from which parents, towards which partners.

use ndarray_rand::rand::Rng;

use super::{Resample, Synthetic};
use crate::core::{Chosen, ClassTotals, Dataset, Distortion, Error, Result, Seed, round, visit};
use crate::exec::parallel::{self, BLOCK};
use crate::knn::Neighbours;

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
    pub(super) fn missing(
        self,
        what: &'static str,
        data: &Dataset<'_>,
        totals: &ClassTotals,
    ) -> Result<usize> {
        totals.need_both(what)?;
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
        need_memory(data, missing).map(|()| missing).ok_or_else(|| {
            let expected = format!("small enough that {wanted} positives fit into memory");
            Error::invalid("ratio", self.0, expected)
        })
    }
}

/// Whether the system would give the memory for all rows and `new` more, asked before anything is made:
/// an allocation that fails later ends the process.
fn need_memory(data: &Dataset<'_>, new: usize) -> Option<()> {
    let rows = data.rows().checked_add(new)?;
    let x = data.features();
    let number = visit!(x, |x| x.entry_size());
    let entry = number + if x.is_sparse() { size_of::<usize>() } else { 0 };
    let stored = data.features().stored().div_ceil(data.rows());
    // Parent and partner; label, weight, offset and the attributes.
    let columns = 5 + data.attribute_names().count();
    let width = stored.checked_mul(entry)?.checked_add(columns * size_of::<f64>())?;
    Vec::<u8>::new().try_reserve_exact(rows.checked_mul(width)?).ok()
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
    /// For each new row, the place of its parent among those searched for.
    pub(super) places: Vec<usize>,
}

impl Kin {
    /// Searches for each parent once, though it comes several times. Equal parents follow each other.
    pub(super) fn new(search: &Neighbours<'_, '_>, parents: &[usize], k: usize) -> Self {
        let mut queries = parents.to_vec();
        queries.dedup();
        let neighbours = search.nearest(&queries, k);
        let mut place = 0;
        let step = |&parent: &usize| {
            if queries[place] != parent {
                place += 1;
            }
            place
        };
        Self { k, neighbours, places: parents.iter().map(step).collect() }
    }

    /// The neighbours of each parent searched for, the nearest first.
    pub(super) fn of_parents(&self) -> std::slice::ChunksExact<'_, usize> {
        self.neighbours.chunks_exact(self.k)
    }

    /// A neighbour for each new row, each equally likely.
    pub(super) fn partners(&self, seed: Seed) -> Vec<usize> {
        let seed = seed.child("partners");
        let mut partners = vec![0; self.places.len()];
        parallel::map_into(&mut partners, 1, BLOCK, |block, range, out| {
            let mut stream = seed.stream(block);
            for (out, &place) in out.iter_mut().zip(&self.places[range]) {
                let drawn = stream.random_range(0..self.k as u64) as usize;
                *out = self.neighbours[place * self.k + drawn];
            }
        });
        partners
    }
}

/// ln(W₊′/W₊), where each new row has its parent's weight.
pub(super) fn gain(data: &Dataset<'_>, totals: &ClassTotals, parents: &[usize]) -> Result<f64> {
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
pub(super) fn grown(
    sampler: &'static str,
    data: &Dataset<'_>,
    totals: &ClassTotals,
    synthetic: Synthetic,
) -> Result<Resample> {
    let nominal_log_odds = Some(gain(data, totals, synthetic.parents())?);
    let distortion = Distortion::FeatureDependent { sampler: sampler.into(), nominal_log_odds };
    Ok(Resample { synthetic: Some(synthetic), distortion, ..Resample::identity() })
}
