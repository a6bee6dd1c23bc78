//! A click log whose true probabilities are known.

use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::{Exp1, StandardNormal};
use rand_chacha::ChaCha8Rng;
use sprs::CsMat;

use crate::core::{
    Attribute, Dataset, Error, Features, Matrix, Precision, Result, Scalar, Seed, dense,
    fits_memory, sparse_row, visit,
};
use crate::exec::parallel::{self, BLOCK};
use crate::fit::intercept;
use crate::numerics::{logit, sigmoid};

/// A synthetic click log with **known true probabilities**: numeric and categorical effects, and a
/// base rate of your choice. For tests and examples.
///
/// A row with features x is clicked with the probability p of
///
/// logit p = b + Σⱼ βⱼ xⱼ
///
/// where xⱼ are the stored features, rounded to the [`precision`](Self::precision). So logistic regression is
/// the right model, and the errors of its probabilities can be measured instead of estimated.
///
/// * Numeric columns come first. They are independent with mean 0 and variance 1: every third is a skewed
///   log-normal, the others are standard normal.
/// * Each level of each categorical column has an indicator column, which is 1 in rows of that level.
///   Level k has a probability proportional to 1/k (Zipf's law), so the last levels are rare. The
///   indicators of a categorical column add up to 1, so only a penalised fit has unique coefficients.
///   With categorical columns the matrix is sparse, without them it is dense.
/// * The effects β are normal draws, centred within each categorical column and then scaled so that the
///   logit has the standard deviation [`signal`](Self::signal) over the population.
/// * The intercept b is the root at which the mean of the true probabilities is the base rate. Clicks are
///   drawn, so their number varies around the mean; a small log may have none.
///
/// There are four attributes for splits and business rules: `day` (0, 1, …, in ascending order, so that a
/// split by time is a range), `last_active_days` (counts, lower where clicks are likely), `impressions`
/// (counts, higher where clicks are likely) and `device` (texts, independent of clicks).
///
/// The bits depend on the seed, but not on the number of threads.
///
/// ```
/// use imbalance::data::SyntheticClicks;
///
/// let log = SyntheticClicks::new(10_000, 0.01)?.numeric(4).categorical(&[10, 200]).generate(7)?;
/// let data = &log.dataset;
/// assert_eq!((data.rows(), data.columns()), (10_000, 4 + 10 + 200));
///
/// let mean = log.probabilities.iter().sum::<f64>() / 10_000.0;
/// assert!((mean - 0.01).abs() < 1e-12);
///
/// let (train, test) = data.time_split("day", 0.25)?;
/// assert!(train.numbers("day")?.last() < test.numbers("day")?.first());
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticClicks {
    rows: usize,
    base_rate: f64,
    numeric: usize,
    levels: Vec<usize>,
    signal: f64,
    days: usize,
    precision: Precision,
}

/// A synthetic click log with its true probabilities and coefficients.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SyntheticLog {
    /// The rows of the log.
    pub dataset: Dataset<'static>,
    /// The true probability of a click in each row.
    pub probabilities: Vec<f64>,
    /// The effect of each feature column on the logit.
    pub coefficients: Vec<f64>,
    /// The intercept b: the logit of a row whose features are all zero.
    pub intercept: f64,
}

/// Shape of the log-normal columns: a skewness of 1.75.
const LOG_NORMAL_SIGMA: f64 = 0.5;

const DEVICES: [&str; 3] = ["phone", "desktop", "tablet"];

impl SyntheticClicks {
    /// A log of `rows` rows, of which the share `base_rate` is clicked on average.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `rows` is zero, or unless 0 < `base_rate` < 1.
    pub fn new(rows: usize, base_rate: f64) -> Result<Self> {
        if rows == 0 {
            return Err(Error::invalid("rows", rows, "at least 1"));
        }
        if !(base_rate > 0.0 && base_rate < 1.0) {
            return Err(Error::invalid("base_rate", base_rate, "between 0 and 1, both excluded"));
        }
        Ok(Self {
            rows,
            base_rate,
            numeric: 6,
            levels: vec![24, 100, 1000],
            signal: 1.5,
            days: 14,
            precision: Precision::F64,
        })
    }

    /// Number of numeric columns. Default: 6.
    #[must_use]
    pub fn numeric(mut self, count: usize) -> Self {
        self.numeric = count;
        self
    }

    /// Number of levels of each categorical column, at least 2. Default: 24, 100 and 1000; an empty
    /// list makes a dense matrix.
    #[must_use]
    pub fn categorical(mut self, levels: &[usize]) -> Self {
        self.levels = levels.to_vec();
        self
    }

    /// The standard deviation of the logit over the population, from 0 to 100. Default: 1.5, a strong
    /// signal: the odds of two rows one standard deviation apart differ by a factor of 4.5.
    #[must_use]
    pub fn signal(mut self, deviation: f64) -> Self {
        self.signal = deviation;
        self
    }

    /// Number of days the rows are spread over, at least 1. Default: 14.
    #[must_use]
    pub fn days(mut self, days: usize) -> Self {
        self.days = days;
        self
    }

    /// How precisely features are stored. Default: `f64`.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Draws the log.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a setting is out of its range, or if there are neither numeric
    /// nor categorical columns.
    pub fn generate(&self, seed: impl Into<Seed>) -> Result<SyntheticLog> {
        self.generate_from(seed.into())
    }

    fn generate_from(&self, seed: Seed) -> Result<SyntheticLog> {
        self.check()?;
        let rows = self.rows;
        let laws: Vec<_> = self.levels.iter().map(|&levels| zipf(levels)).collect();
        let coefficients = self.coefficients(&laws, seed.child("coefficients"));
        let features = match self.precision {
            Precision::F32 => self.features::<f32>(&laws, seed),
            Precision::F64 => self.features::<f64>(&laws, seed),
        };

        let scores = visit!(features.view(), |x| scores(x, &coefficients));
        let intercept = intercept(&scores, None, logit(self.base_rate)).value;
        let mut probabilities = scores.clone();
        parallel::map_into(&mut probabilities, 1, BLOCK, |_, _, out| {
            out.iter_mut().for_each(|p| *p = sigmoid(intercept + *p));
        });
        let labels = draw(rows, seed.child("labels"), |row, stream| {
            stream.random::<f64>() < probabilities[row]
        });

        let day = |row| (row as f64 * self.days as f64 / rows as f64).floor();
        // Counts with a geometric law whose mean leans on the standardised logit.
        let count = |name, mean: f64, lean: f64| {
            Attribute::numbers(draw(rows, seed.child(name), |row, stream| {
                let score = if self.signal > 0.0 { scores[row] / self.signal } else { 0.0 };
                let waiting: f64 = stream.sample(Exp1);
                (mean * (lean * score).exp() * waiting).floor()
            }))
        };
        let devices = draw(rows, seed.child("device"), |_, stream| {
            let u: f64 = stream.random();
            usize::from(u >= 0.6) + usize::from(u >= 0.9)
        });
        let dataset = Dataset::new(features, labels)?
            .with_attribute("day", Attribute::numbers((0..rows).map(day).collect::<Vec<_>>()))?
            .with_attribute("last_active_days", count("last_active_days", 7.0, -0.3))?
            .with_attribute("impressions", count("impressions", 20.0, 0.3))?
            .with_attribute(
                "device",
                Attribute::categories(devices.into_iter().map(|device| DEVICES[device])),
            )?;
        Ok(SyntheticLog { dataset, probabilities, coefficients, intercept })
    }

    fn check(&self) -> Result<()> {
        if self.numeric == 0 && self.levels.is_empty() {
            let expected = "at least 1 where there are no categorical columns";
            return Err(Error::invalid("numeric", 0, expected));
        }
        if let Some((column, &levels)) = self.levels.iter().enumerate().find(|(_, n)| **n < 2) {
            let expected = format!("at least 2 levels in each column, also in column {column}");
            return Err(Error::invalid("categorical", levels, expected));
        }
        if !(0.0..=100.0).contains(&self.signal) {
            return Err(Error::invalid("signal", self.signal, "from 0 to 100"));
        }
        if self.days == 0 {
            return Err(Error::invalid("days", self.days, "at least 1"));
        }
        // An effect, a share and their copies for each column; an index and a value for each stored number; score,
        // probability, label and attributes for each row.
        let columns = self.levels.iter().fold(self.numeric, |sum, &n| sum.saturating_add(n));
        let stored = self.rows.saturating_mul(self.numeric.saturating_add(self.levels.len()));
        let bytes = [(columns, 32), (stored, 16), (self.rows, 64)];
        let bytes = bytes.map(|(count, bytes)| count.saturating_mul(bytes));
        if !fits_memory(Some(bytes.into_iter().fold(0, usize::saturating_add))) {
            let size = format!("{} × {columns}", self.rows);
            return Err(Error::invalid("rows × columns", size, "small enough for memory"));
        }
        Ok(())
    }

    /// Effects whose logit has the standard deviation `signal` over the population.
    fn coefficients(&self, laws: &[Vec<f64>], seed: Seed) -> Vec<f64> {
        let mut stream = seed.stream(0);
        let mut normals = |n| (0..n).map(|_| stream.sample(StandardNormal)).collect::<Vec<f64>>();
        let mut effects = normals(self.numeric);
        // The columns are independent, so their variances add up.
        let mut variance: f64 = effects.iter().map(|effect| effect * effect).sum();
        for law in laws {
            let mut column = normals(law.len());
            let mean: f64 = law.iter().zip(&column).map(|(share, effect)| share * effect).sum();
            column.iter_mut().for_each(|effect| *effect -= mean);
            variance += law.iter().zip(&column).map(|(share, e)| share * e * e).sum::<f64>();
            effects.append(&mut column);
        }
        let scale = self.signal / variance.sqrt();
        effects.iter_mut().for_each(|effect| *effect *= scale);
        effects
    }

    fn features<F: Scalar>(&self, laws: &[Vec<f64>], seed: Seed) -> Features<'static> {
        let (rows, numeric, width) = (self.rows, self.numeric, self.numeric + laws.len());
        let sigma = LOG_NORMAL_SIGMA;
        let mut values = vec![F::from_f64(1.0); rows * width];
        draw_into(&mut values, width, seed.child("numeric"), |_, row, stream| {
            for (column, value) in row[..numeric].iter_mut().enumerate() {
                let z: f64 = stream.sample(StandardNormal);
                *value = F::from_f64(if column % 3 == 2 {
                    // e^(σz − σ²/2) has mean 1 and variance e^(σ²) − 1.
                    (sigma * z - sigma * sigma / 2.0).exp_m1() / (sigma * sigma).exp_m1().sqrt()
                } else {
                    z
                });
            }
        });
        if laws.is_empty() {
            return dense(values, rows, width).into();
        }

        let mut end = numeric;
        let mut categories = Vec::with_capacity(laws.len());
        for law in laws {
            let add = |sum: &mut f64, share: &f64| {
                *sum += share;
                Some(*sum)
            };
            categories.push((end, law.iter().scan(0.0, add).collect::<Vec<_>>()));
            end += law.len();
        }
        let mut indices = vec![0; rows * width];
        draw_into(&mut indices, width, seed.child("levels"), |_, row, stream| {
            let (first, levels) = row.split_at_mut(numeric);
            first.iter_mut().enumerate().for_each(|(column, index)| *index = column);
            for (index, (start, cumulative)) in levels.iter_mut().zip(&categories) {
                let u: f64 = stream.random();
                let level = cumulative.partition_point(|&sum| sum <= u);
                // The shares may add up to a little less than 1.
                *index = start + level.min(cumulative.len() - 1);
            }
        });
        let indptr = (0..=rows).map(|row| row * width).collect();
        CsMat::new((rows, end), indptr, indices, values).into()
    }
}

/// Probabilities proportional to 1, 1/2, 1/3, …
fn zipf(levels: usize) -> Vec<f64> {
    let mut law: Vec<f64> = (1..=levels).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = law.iter().sum();
    law.iter_mut().for_each(|share| *share /= total);
    law
}

/// Calls `draw(row, out, stream)` for each row of `width` entries, with a stream for each block of rows.
fn draw_into<T: Send>(
    output: &mut [T],
    width: usize,
    seed: Seed,
    draw: impl Fn(usize, &mut [T], &mut ChaCha8Rng) + Send + Sync,
) {
    parallel::map_into(output, width, BLOCK, |block, rows, out| {
        let mut stream = seed.stream(block);
        for (row, out) in rows.zip(out.chunks_exact_mut(width)) {
            draw(row, out, &mut stream);
        }
    });
}

/// The values of `draw(row, stream)` for all rows.
fn draw<T: Clone + Default + Send>(
    rows: usize,
    seed: Seed,
    draw: impl Fn(usize, &mut ChaCha8Rng) -> T + Send + Sync,
) -> Vec<T> {
    let mut output = vec![T::default(); rows];
    draw_into(&mut output, 1, seed, |row, out, stream| out[0] = draw(row, stream));
    output
}

/// Σⱼ βⱼ xⱼ for each row.
fn scores<F: Scalar>(x: Matrix<'_, F>, coefficients: &[f64]) -> Vec<f64> {
    let mut scores = vec![0.0; x.nrows()];
    parallel::map_into(&mut scores, 1, BLOCK, |_, rows, out| {
        for (row, out) in rows.zip(out) {
            *out = match &x {
                Matrix::Dense(x) => {
                    x.row(row).iter().zip(coefficients).map(|(x, beta)| x.to_f64() * beta).sum()
                }
                Matrix::Sparse(x) => {
                    let (columns, values) = sparse_row(x, row);
                    let betas = columns.iter().map(|&column| coefficients[column]);
                    values.iter().zip(betas).map(|(x, beta)| x.to_f64() * beta).sum()
                }
            };
        }
    });
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intercept(scores: &[f64], rate: f64) -> f64 {
        super::intercept(scores, None, logit(rate)).value
    }

    #[test]
    fn zipf_is_proportional_to_one_over_the_rank() {
        let law = zipf(1_000);
        assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((law[0] / law[999] - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn the_intercept_gives_the_rate_for_any_scores() {
        // A single score has a closed form.
        assert!((intercept(&[2.0], 0.1) - (logit(0.1) - 2.0)).abs() < 1e-14);
        assert_eq!(intercept(&[0.0; 9], 0.5), 0.0);
        // Two scores a apart, rate one half: in the middle, by symmetry.
        assert!((intercept(&[-4.0, 0.0], 0.5) - 2.0).abs() < 1e-14);
        // So far apart that steps of Newton's method leave the bracket or are not a number.
        for scores in [[-800.0, 800.0, 0.0], [0.0, 1e5, 1e5], [-1e4, -1e4, 0.0]] {
            for rate in [1e-300, 1e-6, 0.2, 0.5, 0.9] {
                let b = intercept(&scores, rate);
                let reached = scores.iter().map(|score| sigmoid(b + score)).sum::<f64>() / 3.0;
                // b is a number near 10⁵ at most, so its last bit moves the odds by 1.5e-11.
                assert!((reached / rate - 1.0).abs() < 1e-10, "{scores:?}, {rate}: {reached}");
            }
        }
    }
}
