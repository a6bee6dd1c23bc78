//! Rows from fixed seeds, and threads.

use ndarray::{Array2, Axis};
use sprs::CsMat;

use crate::core::{
    Attribute, CsrRows, Dataset, Features, FeaturesView, Matrix, Precision, Result, Scalar, Seed,
    Selection,
};
use crate::data::SyntheticClicks;

/// A number from 0 to 1 of its own for each row of a seed.
pub(super) fn uniform(seed: u64, row: usize) -> f64 {
    Seed::new(seed).child(&row.to_string()).value() as f64 / 2_f64.powi(64)
}

/// The work on so many threads; without the feature `rayon`, on one.
#[cfg(feature = "rayon")]
pub(super) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

#[cfg(not(feature = "rayon"))]
pub(super) fn on_threads<T>(_: usize, work: impl FnOnce() -> T) -> T {
    work()
}

/// An attribute column of numbers that an implementation reads, with the number of each row.
pub(super) type Numbers = (String, fn(usize) -> f64);

pub(super) const ROWS: usize = 5_000;

/// The columns of a data set, in an order of its rows.
#[derive(Clone)]
pub(super) struct Columns {
    pub(super) x: Array2<f64>,
    pub(super) labels: Vec<bool>,
    pub(super) weights: Option<Vec<f64>>,
    pub(super) attributes: Vec<(String, Vec<f64>)>,
}

impl Columns {
    /// A click log of [`ROWS`] rows and three columns, of which the last tells the rows apart.
    pub(super) fn new(weighted: bool, more: &[Numbers]) -> Result<Self> {
        let clicks = SyntheticClicks::new(ROWS, 0.08)?.numeric(3).categorical(&[]);
        let data = clicks.precision(Precision::F32).generate(5)?.dataset;
        let mut x = dense(data.features());
        // Zeros, for the sparse form, and a column that tells the rows apart.
        x.column_mut(1).mapv_inplace(|value| if value < 0.5 { 0.0 } else { value });
        x.column_mut(2).iter_mut().enumerate().for_each(|(row, value)| *value = row as f64 + 1.0);
        let known = ["last_active_days", "impressions"]
            .map(|name| Ok((name.into(), data.numbers(name)?.to_vec())));
        let more = more.iter().map(|(name, of)| Ok((name.clone(), (0..ROWS).map(of).collect())));
        Ok(Self {
            x,
            labels: data.labels().to_vec(),
            weights: weighted.then(|| (0..ROWS).map(|row| 0.5 + (row % 4) as f64).collect()),
            attributes: known.into_iter().chain(more).collect::<Result<_>>()?,
        })
    }

    /// The same rows in another order.
    pub(super) fn permuted(&self) -> Self {
        // 1,787 and 5,000 have no common factor.
        let order: Vec<usize> = (0..ROWS).map(|row| (row * 1_787 + 13) % ROWS).collect();
        let of = |values: &Vec<f64>| order.iter().map(|&row| values[row]).collect::<Vec<_>>();
        Self {
            x: self.x.select(Axis(0), &order),
            labels: order.iter().map(|&row| self.labels[row]).collect(),
            weights: self.weights.as_ref().map(of),
            attributes: self.attributes.iter().map(|(name, v)| (name.clone(), of(v))).collect(),
        }
    }

    pub(super) fn data<F: Scalar>(&self, sparse: bool) -> Result<Dataset<'static>> {
        let x = self.x.mapv(F::from_f64);
        let features: Features<'static> = if sparse { to_sparse(&x).into() } else { x.into() };
        let mut data = Dataset::new(features, self.labels.clone())?;
        for (name, values) in &self.attributes {
            data = data.with_attribute(name, Attribute::numbers(values.clone()))?;
        }
        match &self.weights {
            Some(weights) => data.with_weights(weights.clone()),
            None => Ok(data),
        }
    }
}

/// A matrix in compressed rows, without its zeros.
pub(super) fn to_sparse<F: Scalar>(x: &Array2<F>) -> CsMat<F> {
    let mut sparse = CsrRows::new(x.ncols());
    sparse.push(&Matrix::Dense(x.view()), &Selection::Range(0..x.nrows()));
    sparse.finish()
}

/// All entries of a matrix.
pub(super) fn dense(x: FeaturesView<'_>) -> Array2<f64> {
    let mut out = Array2::zeros((x.nrows(), x.ncols()));
    for (mut out, row) in out.outer_iter_mut().zip(x.rows()) {
        row.entries().for_each(|(column, value)| out[column] = value);
    }
    out
}

pub(super) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}
