//! One sampler after another.

use std::fmt;
use std::marker::PhantomData;

use super::{Resample, Rows, Sampler, Synthetic};
use crate::data::Scalar;
use crate::error::same_length;
use crate::{Dataset, Error, Result, Run};

/// One sampler, then another on the rows that result; made by [`Sampler::then`].
///
/// The second sees a data set like any other, synthetic rows of the first included. What comes out
/// refers to the original rows: kept rows by their position there, and synthetic rows that the second
/// keeps by their parents there, after the kept ones. Weights multiply, offsets add, and distortions
/// compose: what each reports is relative to the rows it was given. The rows between the two are made for
/// the time of the call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Then<A, B, F> {
    first: A,
    second: B,
    // The scalar for which both are samplers, so that it is found from the data they are used on.
    scalar: PhantomData<fn() -> F>,
}

impl<A, B, F> Then<A, B, F> {
    pub(super) fn new(first: A, second: B) -> Self {
        Self { first, second, scalar: PhantomData }
    }
}

impl<A: fmt::Debug, B: fmt::Debug, F> fmt::Debug for Then<A, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} then {:?}", self.first, self.second)
    }
}

impl<F: Scalar, A: Sampler<F>, B: Sampler<F>> Sampler<F> for Then<A, B, F> {
    fn resample(&self, data: &Dataset<'_, F>, run: &Run) -> Result<Resample<F>> {
        let first = self.first.resample(data, &run.child("first"))?;
        let origins = Origins::of(&first, data.rows());
        let (weights, offsets) = (first.weights.clone(), first.offsets.clone());
        let distortion = first.recorded();

        // Not the data's distortion: each stage reports its own alone.
        let sample = first.apply(data)?;
        let second = self.second.resample(&sample, &run.child("second"))?;

        let plan = Plan::of(&second, &origins, &sample)?;
        let distortion = distortion.then(second.recorded());
        Ok(Resample {
            rows: plan.rows(&second, &origins),
            weights: plan.combine(weights, second.weights, |a, b| a * b),
            offsets: plan.combine(offsets, second.offsets, |a, b| a + b),
            distortion,
            synthetic: plan.synthetic(&sample, second.synthetic, &origins),
        })
    }
}

/// Where the rows between two samplers come from: first kept rows of the data, then synthetic ones.
struct Origins {
    /// The rows kept by the first sampler; `None` for all of them.
    kept: Option<Vec<usize>>,
    /// Their number.
    kept_rows: usize,
    /// The parents of its synthetic rows.
    parents: Vec<usize>,
}

impl Origins {
    fn of<F: Scalar>(first: &Resample<F>, rows: usize) -> Self {
        let kept = match &first.rows {
            Rows::All => None,
            Rows::Kept(rows) => Some(rows.clone()),
        };
        let kept_rows = kept.as_ref().map_or(rows, Vec::len);
        let parents = first.synthetic.as_ref().map_or_else(Vec::new, |made| made.parents.clone());
        Self { kept, kept_rows, parents }
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
    /// For each resulting row its place among the second's weights and offsets.
    place: Vec<usize>,
    /// Where the first's synthetic rows start, and where the second's do.
    starts: [usize; 2],
}

impl Plan {
    fn of<F: Scalar>(
        second: &Resample<F>,
        origins: &Origins,
        sample: &Dataset<'_, F>,
    ) -> Result<Self> {
        let rows = sample.rows();
        let (n, given) = match &second.rows {
            Rows::All => (rows, &[][..]),
            Rows::Kept(kept) => (kept.len(), &kept[..]),
        };
        let kept = |at: usize| given.get(at).copied().unwrap_or(at);
        let parents = second.synthetic.as_ref().map_or(&[][..], |made| &made.parents);
        if let Some(&row) = given.iter().chain(parents).find(|&&row| row >= rows) {
            return Err(Error::RowOutOfRange { what: "the second sampler".into(), row, rows });
        }
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
        if let Some(made) = &second.synthetic {
            same_length("synthetic rows", made.features.nrows(), "their parents", parents.len())?;
            let (made, given) = (made.features.ncols(), sample.columns());
            if made != given && !parents.is_empty() {
                let problem = format!("it made rows of {made} columns from rows of {given}");
                return Err(Error::Contract { stage: "the second sampler".into(), problem });
            }
        }
        let (made, mut place): (Vec<usize>, Vec<usize>) =
            (0..n).partition(|&at| origins.is_synthetic(kept(at)));
        let starts = [place.len(), n];
        place.extend(made);
        let mut between: Vec<usize> = place.iter().map(|&at| kept(at)).collect();
        between.extend(parents);
        place.extend(n..n + parents.len());
        Ok(Self { between, place, starts })
    }

    fn rows<F: Scalar>(&self, second: &Resample<F>, origins: &Origins) -> Rows {
        if second.rows == Rows::All && origins.kept.is_none() {
            return Rows::All;
        }
        let kept = &self.between[..self.starts[0]];
        Rows::Kept(kept.iter().map(|&row| origins.of_row(row)).collect())
    }

    /// What both samplers say of each resulting row.
    fn combine(
        &self,
        first: Option<Vec<f64>>,
        second: Option<Vec<f64>>,
        combine: impl Fn(f64, f64) -> f64,
    ) -> Option<Vec<f64>> {
        let of = |values: &[f64], places: &[usize]| places.iter().map(|&at| values[at]).collect();
        let first: Option<Vec<f64>> = first.map(|values| of(&values, &self.between));
        let second: Option<Vec<f64>> = second.map(|values| of(&values, &self.place));
        match (first, second) {
            (Some(mut first), Some(second)) => {
                first.iter_mut().zip(second).for_each(|(a, b)| *a = combine(*a, b));
                Some(first)
            }
            (first, second) => first.or(second),
        }
    }

    fn synthetic<F: Scalar>(
        &self,
        sample: &Dataset<'_, F>,
        second: Option<Synthetic<F>>,
        origins: &Origins,
    ) -> Option<Synthetic<F>> {
        let [from, to] = self.starts;
        let survivors = &self.between[from..to];
        let parents = self.between[from..].iter().map(|&row| origins.of_row(row)).collect();
        let second = second.map(|made| made.features).filter(|made| made.nrows() > 0);
        let features = match (survivors.is_empty(), second) {
            (true, None) => return None,
            (true, Some(made)) => made,
            (false, None) => sample.features().gather(survivors),
            (false, Some(made)) => sample.features().gather(survivors).view().stack(made.view()),
        };
        Some(Synthetic { features, parents })
    }
}
