//! Random over-sampling, plain or smoothed.

use super::over::{TargetRatio, all_and, allocate_parents, log_gain, rows_of};
use super::{Inclusion, Resample, Sampler, Synthetic};
use crate::core::{
    Dataset, Distortion, Error, Matrix, Result, Run, Scalar, saved_as_part, stored, visit,
};

/// Repeats positives, as they are or with noise.
///
/// round(ratio · N₋) positives come out, the old ones included. Every positive is repeated equally
/// often; where that does not come out even, a random subset is once more.
///
/// With [`shrinkage`](Self::shrinkage) s > 0 a repeat is the row plus independent normal noise
/// (smoothed bootstrap). For the N₊ positives in d columns the standard deviation of the noise in
/// column j is
///
/// s · (4/((d + 2)N₊))^(1/(d + 4)) · σⱼ
///
/// where σⱼ² = Σ(xᵢⱼ − x̄ⱼ)²/N₊ over the positives. With one positive or equal ones σⱼ = 0: plain repeats.
///
/// **Distortion.** Plain repeats keep P(x | y), so it is a prior shift of ln(W₊′/W₊) from the realised
/// weights (counts, without weights; a repeat has its row's weight), and
/// [`PriorCorrection`](crate::calibration::PriorCorrection) undoes it. With noise it is
/// [`FeatureDependent`](Distortion::FeatureDependent) with that nominal shift.
///
/// Source: G. Menardi and N. Torelli, *Training and assessing classification rules with imbalanced
/// data*, Data Mining and Knowledge Discovery 28, 2014, whose default is s = 1.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::Array2};
/// use imbalance::Distortion;
/// use imbalance::sampling::{RandomOverSampler, Sampler};
///
/// let x = Array2::<f64>::zeros((1000, 1));
/// let labels: Vec<bool> = (0..1000).map(|row| row % 100 == 0).collect(); // 10 positives
/// let data = Dataset::new(&x, &labels)?;
///
/// let sampler = RandomOverSampler::positives_per_negative(0.1)?;
/// let sample = sampler.resample(&data, &Run::seeded(7))?.apply(&data)?;
/// assert_eq!((sample.totals().positives, sample.totals().negatives), (99, 990));
/// assert!(matches!(sample.distortion(), Distortion::PriorShift { log_odds }
///     if (log_odds.exp() - 9.9).abs() < 1e-12));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomOverSampler {
    target: TargetRatio,
    shrinkage: f64,
}

impl RandomOverSampler {
    /// Repeats positives until there are `ratio` for each negative, without noise.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `ratio` is positive and finite.
    pub fn positives_per_negative(ratio: f64) -> Result<Self> {
        Ok(Self { target: TargetRatio::new(ratio)?, shrinkage: 0.0 })
    }

    /// How much noise a repeat gets, s. Default: 0, none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `shrinkage` is zero or positive, and finite.
    pub fn shrinkage(mut self, shrinkage: f64) -> Result<Self> {
        if !(shrinkage >= 0.0 && shrinkage.is_finite()) {
            return Err(Error::invalid("shrinkage", shrinkage, "zero or positive, and finite"));
        }
        self.shrinkage = shrinkage;
        Ok(self)
    }

    fn method(&self) -> &'static str {
        if self.shrinkage == 0.0 { "random over-sampling" } else { "smoothed random over-sampling" }
    }
}

impl Sampler for RandomOverSampler {
    /// # Errors
    /// [`Error::OneClass`], or [`Error::InvalidArgument`] if there are more positives than the ratio
    /// asks for, or for noise on sparse rows.
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        let missing = self.target.n_missing(self.method(), data, &totals)?;
        if missing == 0 {
            return Ok(Resample::identity());
        }
        let positives = rows_of(data.labels(), true);
        let parents = allocate_parents(&positives, missing, run.seed());
        if self.shrinkage == 0.0 {
            let log_odds = log_gain(data, &totals, &parents)?;
            let rows = (0..data.rows()).chain(parents).collect();
            let shift = Distortion::PriorShift { log_odds };
            return Ok(Resample::kept(rows, shift).drawn(Inclusion::Uniform));
        }
        if data.features().is_sparse() {
            let expected = "0 for sparse rows, which noise would make dense; pass a dense matrix, or \
                            use Smote, which keeps them sparse";
            return Err(Error::invalid("shrinkage", self.shrinkage, expected));
        }
        let noise = visit!(data.features(), |x| deviations(x, &positives, self.shrinkage));
        let made = Synthetic::jittered(parents, noise, run.seed());
        all_and(made, self.method(), data, &totals)
    }

    fn name(&self) -> String {
        self.method().into()
    }

    saved_as_part!();
}

/// The standard deviation of the noise in each column.
fn deviations<F: Scalar>(x: Matrix<'_, F>, positives: &[usize], shrinkage: f64) -> Vec<f64> {
    let (n, d) = (positives.len() as f64, x.ncols() as f64);
    let bandwidth = shrinkage * (4.0 / ((d + 2.0) * n)).powf(1.0 / (d + 4.0));
    (0..x.ncols()).map(|column| bandwidth * deviation(x, column, positives)).collect()
}

/// The standard deviation of some entries of a column, divided by their number.
pub(super) fn deviation<F: Scalar>(x: Matrix<'_, F>, column: usize, rows: &[usize]) -> f64 {
    let n = rows.len() as f64;
    let mean = rows.iter().map(|&row| x.get(row, column) / n).sum::<f64>();
    let variance = rows.iter().map(|&row| (x.get(row, column) - mean).powi(2)).sum::<f64>() / n;
    variance.sqrt()
}

stored!(RandomOverSampler as "random_over_sampler", |over| {
    ratio: f64 = over.target.ratio(),
    shrinkage: f64 = over.shrinkage,
} => Self::positives_per_negative(ratio).and_then(|over| over.shrinkage(shrinkage)));
