//! What the samplers that keep rows of the input share: draws, ranks, and the account of the kept rows.

use std::ops::Range;

use ndarray_rand::rand::Rng;

use super::{Inclusion, Resample};
use crate::core::{ClassTotals, Dataset, Distortion, Error, Meter, Result, Seed};
use crate::exec::parallel::{self, BLOCK};

/// Rows of `0..n` kept each on its own, row i with probability `probability(i)`.
///
/// There is a stream for each fixed block of rows.
pub(super) fn independently(
    n: usize,
    seed: Seed,
    probability: impl Fn(usize) -> f64 + Sync + Send,
) -> Vec<usize> {
    parallel::map(n, BLOCK, |block, rows| drawn(block, rows, seed, &probability)).concat()
}

/// The rows of a block that are drawn.
fn drawn(
    block: usize,
    rows: Range<usize>,
    seed: Seed,
    probability: impl Fn(usize) -> f64,
) -> Vec<usize> {
    let mut stream = seed.stream(block);
    // A draw is in [0, 1), so a probability of 1 keeps and one of 0 drops, always.
    rows.filter(|&row| stream.random::<f64>() < probability(row)).collect()
}

/// The `k` largest of some scores, of equal scores the first ones.
///
/// It holds a threshold and how many of the scores equal to it belong to the k largest, so that the members
/// are found in one pass, in their order, without a sort of positions.
#[derive(Debug)]
pub(super) struct TopK {
    threshold: f64,
    ties: usize,
}

impl TopK {
    /// `scores` may come in any order and is left in another.
    pub(super) fn new(k: usize, scores: &mut [f64]) -> Self {
        match k.checked_sub(1) {
            None => Self { threshold: f64::INFINITY, ties: 0 },
            Some(_) if k >= scores.len() => {
                Self { threshold: f64::NEG_INFINITY, ties: scores.len() }
            }
            Some(last) => {
                let (above, &mut threshold, _) =
                    scores.select_nth_unstable_by(last, |a, b| b.total_cmp(a));
                // `above` may hold scores equal to the threshold.
                let larger = above.iter().filter(|&&score| score > threshold).count();
                Self { threshold, ties: k - larger }
            }
        }
    }

    /// Whether the next score is among the k largest. Call it once for each score, in order: it counts ties.
    pub(super) fn admits(&mut self, score: f64) -> bool {
        if score == self.threshold && self.ties > 0 {
            self.ties -= 1;
            return true;
        }
        score > self.threshold
    }
}

/// Rows and weight of each class among some rows of a data set.
pub(super) fn totals_of(data: &Dataset<'_>, rows: &[usize]) -> ClassTotals {
    let (mut counts, mut sums) = ([0; 2], [0.0; 2]);
    for &row in rows {
        let class = usize::from(data.labels()[row]);
        counts[class] += 1;
        sums[class] += data.weights().map_or(1.0, |weights| weights[row]);
    }
    let ([negatives, positives], [negative_weight, positive_weight]) = (counts, sums);
    ClassTotals { positives, negatives, positive_weight, negative_weight }
}

/// The totals of the kept rows; an error unless both classes have rows and weight among them. `why` gets the
/// totals.
pub(super) fn kept_totals(
    data: &Dataset<'_>,
    rows: &[usize],
    sampler: &'static str,
    why: impl Fn(&ClassTotals) -> String,
) -> Result<ClassTotals> {
    let kept = totals_of(data, rows);
    ensure_kept(&kept, sampler, why)?;
    Ok(kept)
}

/// Checks that both classes have rows and weight among the kept rows.
pub(super) fn ensure_kept(
    kept: &ClassTotals,
    sampler: &'static str,
    why: impl Fn(&ClassTotals) -> String,
) -> Result<()> {
    let classes = [
        ("negative", kept.negatives, kept.negative_weight),
        ("positive", kept.positives, kept.positive_weight),
    ];
    for (class, count, weight) in classes {
        if count == 0 {
            return Err(Error::NothingSelected { sampler, class, why: why(kept) });
        }
        if weight <= 0.0 {
            return Err(Error::Numerical {
                what: format!("the weight of the kept {class}s"),
                value: weight,
                remedy: "every row kept has weight zero; drop such rows, or keep more",
            });
        }
    }
    Ok(())
}

/// Distinct rows kept by their features, in order, with ln\[(W₊′/W₊)/(W₋′/W₋)\] as the nominal shift.
pub(super) fn kept_by_features(
    data: &Dataset<'_>,
    rows: Vec<usize>,
    sampler: &'static str,
    why: impl Fn(&ClassTotals) -> String,
) -> Result<Resample> {
    if rows.len() == data.rows() {
        return Ok(Resample::identity());
    }
    let kept = kept_totals(data, &rows, sampler, why)?;
    let nominal_log_odds = Some(kept.log_odds() - data.totals().log_odds());
    let distortion = Distortion::FeatureDependent { sampler: sampler.into(), nominal_log_odds };
    Ok(Resample::kept(rows, distortion))
}

/// The rows that are not `removed`, by a sampler that cleans the border between the classes.
pub(super) fn cleaned(
    data: &Dataset<'_>,
    removed: &[bool],
    sampler: &'static str,
) -> Result<Resample> {
    let kept = (0..data.rows()).filter(|&row| !removed[row]).collect();
    kept_by_features(data, kept, sampler, |kept| {
        let before = data.totals();
        format!(
            "of {} positives and {} negatives it would leave {} and {}; the classes overlap too much to be \
             cleaned so strictly; ask for fewer neighbours or the majority's vote, or under-sample at random",
            before.positives, before.negatives, kept.positives, kept.negatives
        )
    })
}

/// Poisson sampling: each row is drawn on its own, row i with the inclusion probability πᵢ = `inclusion(i)` in
/// (0, 1]. With `reweight` a kept row weighs 1/πᵢ times its own weight, and nothing is distorted. The rows are the end of
/// the meter's task.
pub(super) fn poisson(
    data: &Dataset<'_>,
    inclusion: impl Fn(usize) -> f64 + Sync + Send,
    reweight: bool,
    seed: Seed,
    sampler: &'static str,
    meter: &Meter<'_>,
) -> Result<Resample> {
    let blocks = parallel::map(data.rows(), BLOCK, |block, rows| {
        if !meter.goes_on(rows.len()) {
            return Default::default();
        }
        let (first, of_rows) = (rows.start, rows.clone().map(&inclusion).collect::<Vec<_>>());
        let rows = drawn(block, rows, seed, |row| of_rows[row - first]);
        (of_rows, rows)
    });
    meter.finish()?;
    let (inclusion, rows): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
    let (inclusion, rows) = (inclusion.concat(), rows.concat());
    let why = |_: &ClassTotals| {
        "each row is drawn on its own, and none was drawn; raise the inclusion probabilities".into()
    };
    let kept = if reweight {
        kept_totals(data, &rows, sampler, why)?;
        let weights = rows.iter().map(|&row| 1.0 / inclusion[row]).collect();
        Resample { weights: Some(weights), ..Resample::kept(rows, Distortion::None) }
    } else {
        kept_by_features(data, rows, sampler, why)?
    };
    Ok(kept.drawn(Inclusion::Each(inclusion)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_is_that_of_a_stable_sort() {
        let scores = [0.5, 0.9, 0.5, 0.1, 0.9, 0.5, f64::INFINITY, f64::NEG_INFINITY];
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        for k in 0..=scores.len() + 1 {
            let mut expected = order[..k.min(scores.len())].to_vec();
            expected.sort_unstable();
            let mut top = TopK::new(k, &mut scores.to_vec());
            let got: Vec<usize> = (0..scores.len()).filter(|&i| top.admits(scores[i])).collect();
            assert_eq!(got, expected, "k = {k}");
        }
    }
}
