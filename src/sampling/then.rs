//! One sampler after another.

use std::fmt;

use super::{Resample, Rows, Sampler, Synthetic};
use crate::core::{Dataset, Error, Result, Run, Selection, same_length};

/// One sampler, then another on the rows that result; made by [`Sampler::then`].
///
/// The second sees a data set like any other, synthetic rows of the first included. What comes out
/// refers to the original rows: kept rows by their position there, and synthetic rows that the second
/// keeps by their parents there, after the kept ones. Weights multiply, offsets add, and distortions
/// compose: what each reports is relative to the rows it was given. The rows between the two are made for
/// the time of the call; without their features, where the second does not
/// [read them](Sampler::reads_features).
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
        // Rows that the first made have features of their own, which are checked against the data's.
        let blind = !self.second.reads_features() && first.synthetic.is_none();
        let seen = if blind { data.without_features() } else { data.view() };
        let sample = first.view(&seen)?;
        let mut second = self.second.resample(&sample, &run.child("second"))?;

        let origins = Origins::of(&first, data.rows());
        // Not the sample's distortion: each stage reports its own alone.
        let distortion = first.recorded().then(second.recorded());
        let plan = Plan::of(&mut second, &origins, &sample)?;
        let weights = plan.combine(first.weights.as_deref(), second.weights, |a, b| a * b);
        let offsets = plan.combine(first.offsets.as_deref(), second.offsets, |a, b| a + b);
        let synthetic = plan.synthetic(&first, second.synthetic, &origins, &sample)?;
        Ok(Resample { rows: plan.into_rows(&origins), synthetic, weights, offsets, distortion })
    }

    fn reads_features(&self) -> bool {
        self.first.reads_features() || self.second.reads_features()
    }
}

/// Where the rows between two samplers come from: first kept rows of the data, then synthetic ones.
struct Origins<'r> {
    /// The rows kept by the first sampler; `None` for all of them.
    kept: Option<&'r [usize]>,
    /// Their number.
    kept_rows: usize,
    /// The parents of its synthetic rows.
    parents: &'r [usize],
}

impl<'r> Origins<'r> {
    fn of(first: &'r Resample, rows: usize) -> Self {
        let kept = match &first.rows {
            Rows::All => None,
            Rows::Kept(rows) => Some(&rows[..]),
        };
        let parents = first.synthetic.as_ref().map_or(&[][..], Synthetic::parents);
        Self { kept, kept_rows: kept.map_or(rows, <[_]>::len), parents }
    }

    fn is_synthetic(&self, row: usize) -> bool {
        row >= self.kept_rows
    }

    /// The original row, or that of the parent.
    fn of_row(&self, row: usize) -> usize {
        match &self.kept {
            _ if self.is_synthetic(row) => self.parents[row - self.kept_rows],
            None => row,
            Some(kept) => kept[row],
        }
    }
}

/// The resulting rows in the order in which a [`Resample`] lists them: kept rows of the data, then
/// synthetic rows of the first sampler, then those of the second.
struct Plan {
    /// For each resulting row its row between the samplers (for one made by the second its parent).
    between: Vec<usize>,
    /// For each resulting row its place among the second's weights and offsets; `None` where they are in
    /// that order already.
    place: Option<Vec<usize>>,
    /// Whether the second kept all rows.
    all: bool,
    /// Where the first's synthetic rows start, and where the second's do.
    starts: [usize; 2],
}

impl Plan {
    /// Takes the rows of the second: of millions there should not be two lists.
    fn of(second: &mut Resample, origins: &Origins<'_>, sample: &Dataset<'_>) -> Result<Self> {
        let rows = sample.rows();
        let (all, kept) = match std::mem::replace(&mut second.rows, Rows::All) {
            Rows::All => (true, (0..rows).collect()),
            Rows::Kept(kept) => (false, kept),
        };
        if let Some(&row) = kept.iter().find(|&&row| row >= rows) {
            return Err(Error::RowOutOfRange { what: "the second sampler".into(), row, rows });
        }
        if let Some(made) = &second.synthetic {
            made.check("the second sampler", rows, sample.columns())?;
        }
        let parents = second.synthetic.as_ref().map_or(&[][..], Synthetic::parents);
        let n = kept.len();
        if n + parents.len() == 0 {
            return Err(Error::NoRows { what: "what the second sampler kept" });
        }
        for (what, values) in
            [("sampler weights", &second.weights), ("sampler offsets", &second.offsets)]
        {
            if let Some(values) = values {
                same_length(what, values.len(), "the resampled data set", n + parents.len())?;
            }
        }
        let in_order = kept.is_sorted_by_key(|&row| origins.is_synthetic(row));
        let (place, mut between, first) = if in_order {
            let first = kept.partition_point(|&row| !origins.is_synthetic(row));
            (None, kept, first)
        } else {
            let (mut place, made): (Vec<usize>, Vec<usize>) =
                (0..n).partition(|&at| !origins.is_synthetic(kept[at]));
            let first = place.len();
            place.extend(made);
            let between = place.iter().map(|&at| kept[at]).collect();
            place.extend(n..n + parents.len());
            (Some(place), between, first)
        };
        between.extend(parents);
        Ok(Self { between, place, all, starts: [first, n] })
    }

    /// The rows of the data that are kept.
    fn into_rows(self, origins: &Origins<'_>) -> Rows {
        if self.all && origins.kept.is_none() {
            return Rows::All;
        }
        let mut rows = self.between;
        rows.truncate(self.starts[0]);
        rows.iter_mut().for_each(|row| *row = origins.of_row(*row));
        Rows::Kept(rows)
    }

    /// What both samplers say of each resulting row.
    fn combine(
        &self,
        first: Option<&[f64]>,
        second: Option<Vec<f64>>,
        combine: impl Fn(f64, f64) -> f64,
    ) -> Option<Vec<f64>> {
        let of = |values: &[f64], places: &[usize]| places.iter().map(|&at| values[at]).collect();
        let first: Option<Vec<f64>> = first.map(|values| of(values, &self.between));
        let second = second.map(|values| match &self.place {
            Some(place) => of(&values, place),
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

    /// The surviving synthetic rows of the first sampler, and those of the second below them.
    fn synthetic(
        &self,
        first: &Resample,
        second: Option<Synthetic>,
        origins: &Origins<'_>,
        sample: &Dataset<'_>,
    ) -> Result<Option<Synthetic>> {
        let [from, to] = self.starts;
        let survivors = &self.between[from..to];
        let second = second.filter(|made| !made.is_empty());
        let first = first.synthetic.as_ref().filter(|made| !made.is_empty());
        Ok(match (first, second) {
            (_, None) if survivors.is_empty() => None,
            (None, second) => second.map(|made| made.relabelled(|row| origins.of_row(row))),
            (Some(first), None) => {
                let places: Vec<usize> =
                    survivors.iter().map(|&row| row - origins.kept_rows).collect();
                Some(first.select(&places))
            }
            // The second may have made rows of the first's rows, which the data do not hold.
            (Some(_), Some(second)) => {
                let features = second.below(sample, &Selection::of(survivors))?;
                let of_row = |&row: &usize| origins.of_row(row);
                Some(Synthetic::new(features, self.between[from..].iter().map(of_row).collect()))
            }
        })
    }
}
