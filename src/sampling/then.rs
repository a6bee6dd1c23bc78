//! One sampler after another.

use std::fmt;
use std::ops::{Add, Mul};

use super::{Resample, Rows, Sampler, Synthetic};
use crate::core::{Dataset, Result, Run, saved_as_part, stored};

/// One sampler, then another on the rows that result; made by [`Sampler::then`].
///
/// The second sampler sees a data set like any other, synthetic rows of the first included. The result
/// refers to the original rows: kept rows by their position there, then the synthetic rows of the first
/// sampler that the second keeps, then the synthetic rows of the second, each with a parent among the
/// original rows. Weights multiply, offsets add, and distortions compose: each sampler reports its
/// distortion relative to the rows it was given. Rows that the first sampler keeps are copied only if the
/// second reads their features.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Then<A, B> {
    first: A,
    second: B,
}

impl<A, B> Then<A, B> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: fmt::Debug, B: fmt::Debug> fmt::Debug for Then<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} then {:?}", self.first, self.second)
    }
}

impl<A: Sampler, B: Sampler> Sampler for Then<A, B> {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let first = self.first.resample(data, &run.child("first"))?;
        let sample = first.view(data)?;
        let second = self.second.resample(&sample, &run.child("second"))?;
        second.ensure_valid("the second sampler", &sample)?;
        composed(&first, second, data, &sample)
    }

    fn name(&self) -> String {
        format!("{} then {}", self.first.name(), self.second.name())
    }

    saved_as_part!();
}

/// Both resamples as one of the original data; `sample` is the result of the first.
fn composed(
    first: &Resample,
    second: Resample,
    data: &Dataset<'_>,
    sample: &Dataset<'_>,
) -> Result<Resample> {
    let distortion = first.recorded().then(second.recorded());
    let origin = |row: usize| first.origin(row, data.rows());
    let kept_all = first.rows == Rows::All && second.rows == Rows::All;
    let inclusion = first.inclusion.then(&first.rows, second.inclusion, &second.rows, data.rows());
    let notes = [first.notes.clone(), second.notes].concat();

    // The pieces of the first sampler, kept rows and then each generator's, as ranges of the sample's rows.
    let mut ends = vec![first.rows.len(data.rows())];
    for made in &first.synthetic {
        ends.push(ends[ends.len() - 1] + made.parents().len());
    }
    let piece_of = |row: usize| ends.partition_point(|&end| end <= row);

    // For each resulting row its row in the sample, for one made by the second the row of its parent. Rows of
    // one piece come together: `order` says from where, unless they are in that order already.
    let mut of_sample = second.rows.into_vec(sample.rows());
    let kept = of_sample.len();
    let made = second.synthetic.iter().flat_map(Synthetic::parents);
    let order = (!of_sample.is_sorted_by_key(|&row| piece_of(row))).then(|| {
        let mut order: Vec<usize> = (0..kept + made.clone().count()).collect();
        order[..kept].sort_by_key(|&at| piece_of(of_sample[at]));
        of_sample = order[..kept].iter().map(|&at| of_sample[at]).collect();
        order
    });
    of_sample.extend(made);

    let weights = combined(first.weights.as_deref(), &of_sample, second.weights, &order, f64::mul);
    let offsets = combined(first.offsets.as_deref(), &of_sample, second.offsets, &order, f64::add);
    let mut synthetic = Vec::new();
    let mut from = of_sample[..kept].partition_point(|&row| row < ends[0]);
    let kept_rows = from;
    for (made, bounds) in first.synthetic.iter().zip(ends.windows(2)) {
        let rows = of_sample[from..kept].iter().take_while(|&&row| row < bounds[1]);
        let places: Vec<usize> = rows.map(|&row| row - bounds[0]).collect();
        from += places.len();
        if !places.is_empty() {
            synthetic.push(made.select(&places));
        }
    }
    for made in second.synthetic.into_iter().filter(|made| !made.is_empty()) {
        // Of rows that the first sampler made, the second may have made others, which need them as they are.
        let made = if first.synthetic.is_empty() { made } else { made.evaluated(sample)? };
        synthetic.push(made.relabelled(origin));
    }
    let rows = if kept_all {
        Rows::All
    } else {
        of_sample.truncate(kept_rows);
        of_sample.iter_mut().for_each(|row| *row = origin(*row));
        Rows::Kept(of_sample)
    };
    Ok(Resample { rows, synthetic, weights, offsets, distortion, inclusion, notes })
}

/// The numbers that both samplers give the resulting rows: the first's by rows of the sample, the second's
/// in its own order.
fn combined(
    first: Option<&[f64]>,
    of_sample: &[usize],
    second: Option<Vec<f64>>,
    order: &Option<Vec<usize>>,
    combine: impl Fn(f64, f64) -> f64,
) -> Option<Vec<f64>> {
    let gather = |values: &[f64], rows: &[usize]| rows.iter().map(|&row| values[row]).collect();
    let first: Option<Vec<f64>> = first.map(|values| gather(values, of_sample));
    let second = second.map(|values| match order {
        Some(order) => gather(&values, order),
        None => values,
    });
    match (first, second) {
        (Some(mut first), Some(second)) => {
            first.iter_mut().zip(second).for_each(|(a, b)| *a = combine(*a, b));
            Some(first)
        }
        (first, second) => first.or(second),
    }
}

stored!(<A: Sampler, B: Sampler> Then<A, B> as "then", |then| {
    first: PartOf<A> = as_part(then.first.saved(), &then.first),
    second: PartOf<B> = as_part(then.second.saved(), &then.second),
} => Ok(Self::new(first.0, second.0)));
