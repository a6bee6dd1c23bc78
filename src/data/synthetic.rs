//! A click log whose true probabilities are known.

use ndarray::Array2;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand_distr::{Exp1, StandardNormal};
use rand_chacha::ChaCha8Rng;
use sprs::CsMat;

use crate::core::{
    ADDRESSABLE, Attribute, Dataset, Error, Features, Matrix, Precision, Result, Scalar, Seed,
    sparse_row, visit,
};
use crate::exec::parallel::{self, BLOCK};
use crate::numerics::{logit, sigmoid};

/// A synthetic click log with **known true probabilities**: numeric and categorical effects, and a
/// base rate of your choice. For tests and examples.
///
/// A row with features x is clicked with the probability p of
///
/// logit p = b + Σⱼ βⱼ xⱼ
///
/// for the features as they are stored, rounded to `F`. So a logistic regression is the right model,
/// and how far its probabilities are off can be measured instead of estimated.
///
/// * The numeric columns come first. They are independent with mean 0 and variance 1: standard
///   normals, but for every third, which is a skewed log-normal.
/// * Then comes a column for each level of each categorical column, 1 in rows of that level. Level k
///   is drawn with a probability proportional to 1/k (Zipf's law), so the last ones are rare. For each
///   categorical column these columns add up to 1, so only a penalised fit has unique coefficients.
///   With categorical columns the matrix is sparse, without any it is dense.
/// * The effects β are normal draws, centred within each categorical column and scaled together, so
///   that over the population the logit has the standard deviation [`signal`](Self::signal).
/// * The intercept b is solved for, so that the true probabilities of the rows have the base rate as
///   their mean. The clicks are drawn, so their number varies around it; a small log may well have
///   none.
///
/// There are four attributes for splits and business rules: `day` (0, 1, …, never falling, so that a
/// split by time is a range), `last_active_days` and `impressions` (counts that lean towards fewer
/// days and more impressions where clicks are likely) and `device` (texts that say nothing).
///
/// The same seed gives the same bits for any number of threads.
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

/// A synthetic click log and the truth behind it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SyntheticLog {
    /// What a click log would hold.
    pub dataset: Dataset<'static>,
    /// The true probability of a click in each row.
    pub probabilities: Vec<f64>,
    /// The effect of each feature column on the logit.
    pub coefficients: Vec<f64>,
    /// The logit of a row whose features are all zero.
    pub intercept: f64,
}

/// Shape of the log-normal columns: a skewness of 1.75.
const LOG_NORMAL_SIGMA: f64 = 0.5;

const DEVICES: [&str; 3] = ["phone", "desktop", "tablet"];

impl SyntheticClicks {
    /// A log of so many rows, of which on average the share `base_rate` is clicked.
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
        let intercept = intercept(&scores, self.base_rate);
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
            let expected = format!("at least 2 levels for each column, also for column {column}");
            return Err(Error::invalid("categorical", levels, expected));
        }
        if !(0.0..=100.0).contains(&self.signal) {
            return Err(Error::invalid("signal", self.signal, "from 0 to 100"));
        }
        if self.days == 0 {
            return Err(Error::invalid("days", self.days, "at least 1"));
        }
        // Past this, asking for the memory would panic instead of failing.
        let columns = self.levels.iter().fold(self.numeric, |sum, &n| sum.saturating_add(n));
        let stored = self.rows.saturating_mul(self.numeric.saturating_add(self.levels.len()));
        if columns > ADDRESSABLE || stored > ADDRESSABLE {
            let size = format!("{} × {columns}", self.rows);
            return Err(Error::invalid("rows × columns", size, "small enough to be addressed"));
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
            return Array2::from_shape_vec((rows, width), values)
                .expect("there are rows × width values")
                .into();
        }

        let mut end = numeric;
        let mut categories = Vec::with_capacity(laws.len());
        for law in laws {
            let mut sum = 0.0;
            let cumulative: Vec<f64> = law
                .iter()
                .map(|share| {
                    sum += share;
                    sum
                })
                .collect();
            categories.push((end, cumulative));
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

/// `draw(row, out, stream)` for each row of `width` entries, with a stream for each block of rows.
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

/// `draw(row, stream)` for each row.
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

/// The b at which the mean of σ(b + score) is `rate`.
///
/// Newton's method on the logit of the mean, which is almost a straight line in b and is one where the
/// scores are all the same; inside a bracket, and by bisection where a step would leave it.
fn intercept(scores: &[f64], rate: f64) -> f64 {
    let mean_and_slope = |b: f64| {
        let sums = parallel::map(scores.len(), BLOCK, |_, rows| {
            scores[rows].iter().fold((0.0, 0.0), |(sum, slope), score| {
                let p = sigmoid(b + score);
                (sum + p, slope + p * (1.0 - p))
            })
        });
        let (sum, slope) =
            sums.into_iter().fold((0.0, 0.0), |total, part| (total.0 + part.0, total.1 + part.1));
        (sum / scores.len() as f64, slope / scores.len() as f64)
    };
    // With every score at its highest the mean is at most `rate`, with every one at its lowest at least.
    let target = logit(rate);
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let (mut from, mut to) = (target - highest, target - lowest);
    let mut b = target.clamp(from, to);
    // Bisection alone needs about 60 steps to shrink any bracket to neighbouring numbers.
    for _ in 0..100 {
        let (mean, slope) = mean_and_slope(b);
        if mean > rate {
            to = b;
        } else {
            from = b;
        }
        let newton = b - (logit(mean) - target) * mean * (1.0 - mean) / slope;
        // Also false for NaN, where mean and slope have underflowed.
        let inside = from <= newton && newton <= to;
        let next = if inside { newton } else { f64::midpoint(from, to) };
        let step = (next - b).abs();
        b = next;
        // A mean of so many terms is rounded about as much.
        if step <= 4.0 * f64::EPSILON * b.abs().max(1.0) {
            break;
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tolerances below are this many standard errors: a correct generator fails one such check with
    /// probability 7e-6, and the seeds are fixed.
    const ERRORS: f64 = 4.5;

    fn log(rows: usize, base_rate: f64) -> SyntheticClicks {
        SyntheticClicks::new(rows, base_rate).unwrap()
    }

    fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
        let (mut n, mut sum) = (0.0, 0.0);
        for value in values {
            n += 1.0;
            sum += value;
        }
        sum / n
    }

    /// Mean, standard deviation, and the standard error of each.
    fn moments(values: &[f64]) -> [(f64, f64); 2] {
        let n = values.len() as f64;
        let centre = mean(values.iter().copied());
        let central = |power| mean(values.iter().map(|value| (value - centre).powi(power)));
        let (variance, fourth) = (central(2), central(4));
        let deviation = variance.sqrt();
        // Var(s²) ≈ (μ₄ − σ⁴)/n, and s = √s² moves by half of that relative to it.
        let error = ((fourth - variance * variance) / n).sqrt() / (2.0 * deviation);
        [(centre, (variance / n).sqrt()), (deviation, error)]
    }

    fn the_model_is_exact(settings: &SyntheticClicks) {
        let log = settings.generate(3).unwrap();
        let x = log.dataset.features();
        assert_eq!(log.coefficients.len(), x.ncols());
        for (row, &p) in log.probabilities.iter().enumerate() {
            let terms = x.row(row).to_vec().into_iter().zip(&log.coefficients);
            let z = log.intercept + terms.map(|(x, beta)| x * beta).sum::<f64>();
            // The same sum but for zeros, so the same bits.
            assert_eq!(p, sigmoid(z), "row {row}");
        }
        let rate = mean(log.probabilities.iter().copied());
        assert!((rate / settings.base_rate - 1.0).abs() < 1e-13, "{rate}");
    }

    #[test]
    fn the_probabilities_are_those_of_the_stored_features() {
        // Of either type, dense and sparse, for ordinary and for extreme rates and signals.
        for settings in [
            log(5_000, 0.01).categorical(&[5, 40]),
            log(5_000, 0.3).categorical(&[]),
            log(5_000, 0.999).numeric(0).categorical(&[3]),
            log(5_000, 0.5).signal(0.0).numeric(1).categorical(&[]),
            log(5_000, 1e-9).signal(30.0).categorical(&[7]),
            log(5_000, 0.2).signal(100.0).categorical(&[]),
            log(1, 0.25),
        ] {
            the_model_is_exact(&settings.clone().precision(Precision::F32));
            the_model_is_exact(&settings);
        }
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
                let reached = mean(scores.iter().map(|score| sigmoid(b + score)));
                // b is a number near 10⁵ at most, so its last bit moves the odds by 1.5e-11.
                assert!((reached / rate - 1.0).abs() < 1e-10, "{scores:?}, {rate}: {reached}");
            }
        }
    }

    #[test]
    fn labels_follow_the_probabilities() {
        let log = log(200_000, 0.05).precision(Precision::F32).generate(1).unwrap();
        let mut order: Vec<usize> = (0..log.probabilities.len()).collect();
        order.sort_by(|&a, &b| log.probabilities[a].total_cmp(&log.probabilities[b]));
        // All rows, and each tenth of them from the least to the most likely to be clicked.
        for rows in std::iter::once(&order[..]).chain(order.chunks(20_000)) {
            let expected: f64 = rows.iter().map(|&row| log.probabilities[row]).sum();
            let clicks = rows.iter().filter(|&&row| log.dataset.labels()[row]).count() as f64;
            // Independent draws: the variances p (1 − p) add up.
            let variance: f64 = rows
                .iter()
                .map(|&row| log.probabilities[row] * (1.0 - log.probabilities[row]))
                .sum();
            assert!((clicks - expected).abs() <= ERRORS * variance.sqrt(), "{clicks}, {expected}");
        }
    }

    #[test]
    fn features_and_logits_have_the_law_that_is_documented() {
        for signal in [0.5, 1.5] {
            let settings = log(100_000, 0.05).categorical(&[4, 50]).signal(signal);
            let log = settings.generate(5).unwrap();
            let x = log.dataset.features();
            let logits: Vec<f64> = log.probabilities.iter().map(|&p| logit(p)).collect();
            let [_, (deviation, error)] = moments(&logits);
            assert!((deviation - signal).abs() <= ERRORS * error, "{deviation} ± {error}");

            let rows: Vec<_> = x.rows().map(|row| row.to_vec()).collect();
            for column in 0..6 {
                let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
                let [(centre, centre_error), (deviation, error)] = moments(&values);
                assert!(centre.abs() <= ERRORS * centre_error, "{column}: {centre}");
                assert!((deviation - 1.0).abs() <= ERRORS * error, "{column}: {deviation}");
                // The third moment of standardised values: 0 for a normal, 1.75 for a log-normal
                // with σ = 0.5. Halfway between is dozens of standard errors (√15/n = 0.012) away.
                let skewness = mean(values.iter().map(|value| value.powi(3)));
                assert_eq!(skewness > 0.875, column % 3 == 2, "{column}: {skewness}");
            }
            for (start, levels) in [(6, 4), (10, 50)] {
                for (column, share) in (start..).zip(zipf(levels)) {
                    let found = mean(rows.iter().map(|row| row[column]));
                    let error = (share * (1.0 - share) / rows.len() as f64).sqrt();
                    assert!((found - share).abs() <= ERRORS * error, "{column}: {found}, {share}");
                }
                let effects = &log.coefficients[start..start + levels];
                let centre: f64 = zipf(levels).iter().zip(effects).map(|(p, e)| p * e).sum();
                assert!(centre.abs() < 1e-14, "the effects from column {start} have mean {centre}");
                // One level in each row.
                let levels = start..start + levels;
                assert!(rows.iter().all(|row| row[levels.clone()].iter().sum::<f64>() == 1.0));
            }
        }
        let law = zipf(1_000);
        assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((law[0] / law[999] - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn the_matrix_is_dense_without_categorical_columns() {
        let dense: SyntheticLog = log(100, 0.1).numeric(3).categorical(&[]).generate(1).unwrap();
        assert!(!dense.dataset.features().is_sparse());
        assert_eq!(dense.dataset.columns(), 3);
        let sparse = log(100, 0.1).generate(1).unwrap();
        assert!(sparse.dataset.features().is_sparse());
        assert_eq!(sparse.dataset.columns(), 6 + 24 + 100 + 1000);
        assert_eq!(sparse.dataset.features().stored(), 100 * (6 + 3));
    }

    #[test]
    fn attributes_are_made_for_splits_and_rules() {
        let log = log(20_000, 0.05).days(7).precision(Precision::F32).generate(2).unwrap();
        let data = &log.dataset;
        let days = data.numbers("day").unwrap();
        assert!(days.is_sorted());
        for day in 0..7 {
            let rows = days.iter().filter(|&&d| d == f64::from(day)).count();
            assert!((2_857..=2_858).contains(&rows), "day {day} has {rows} rows");
        }
        // A split by time stays borrowed.
        let (train, test) = data.time_split("day", 0.2).unwrap();
        assert_eq!(train.labels().as_ptr(), data.labels().as_ptr());
        assert_eq!(test.labels().as_ptr(), data.labels()[train.rows()..].as_ptr());

        let logits: Vec<f64> = log.probabilities.iter().map(|&p| logit(p)).collect();
        let centre = mean(logits.iter().copied());
        for (name, sign) in [("last_active_days", -1.0), ("impressions", 1.0)] {
            let counts = data.numbers(name).unwrap();
            assert!(counts.iter().all(|&count| count >= 0.0 && count.fract() == 0.0), "{name}");
            let lean: Vec<f64> =
                counts.iter().zip(&logits).map(|(count, z)| count * (z - centre)).collect();
            let [(covariance, error), _] = moments(&lean);
            assert!(sign * covariance > ERRORS * error, "{name}: {covariance} ± {error}");
        }
        let device = data.categories("device").unwrap();
        let mut levels = device.levels().to_vec();
        levels.sort();
        assert_eq!(levels, ["desktop", "phone", "tablet"]);
        for (code, level) in device.levels().iter().enumerate() {
            let share = match level.as_str() {
                "phone" => 0.6,
                "desktop" => 0.3,
                _ => 0.1,
            };
            let found =
                device.codes().iter().filter(|&&c| c as usize == code).count() as f64 / 20_000.0;
            let error = (share * (1.0 - share) / 20_000_f64).sqrt();
            assert!((found - share).abs() <= ERRORS * error, "{level}: {found}");
        }
    }

    /// Everything in a log, bit by bit.
    fn bits(log: &SyntheticLog) -> Vec<u64> {
        let data = &log.dataset;
        let mut all = vec![log.intercept];
        all.extend(&log.coefficients);
        all.extend(&log.probabilities);
        for (column, value) in data.features().rows().flat_map(|row| row.entries()) {
            all.extend([column as f64, value]);
        }
        all.extend(data.labels().iter().map(|&label| f64::from(u8::from(label))));
        for name in ["day", "last_active_days", "impressions"] {
            all.extend(data.numbers(name).unwrap());
        }
        all.extend(data.categories("device").unwrap().codes().iter().copied().map(f64::from));
        all.into_iter().map(f64::to_bits).collect()
    }

    #[test]
    fn a_log_does_not_depend_on_the_number_of_threads() {
        for levels in [&[][..], &[24, 100]] {
            let settings = log(20_000, 0.02).categorical(levels);
            let generate = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                bits(&pool.install(|| settings.generate(9).unwrap()))
            };
            let one = generate(1);
            for threads in [2, 3, 7] {
                assert!(generate(threads) == one, "{threads} threads, levels {levels:?}");
            }
            assert!(bits(&settings.generate(10).unwrap()) != one, "the seed does nothing");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let message = |result: Result<SyntheticLog>| {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
            error.to_string()
        };
        let error = SyntheticClicks::new(0, 0.1).unwrap_err();
        assert_eq!(error.to_string(), "`rows` is 0, but it must be at least 1");
        for rate in [0.0, 1.0, -0.5, f64::NAN] {
            assert_eq!(
                SyntheticClicks::new(10, rate).unwrap_err().to_string(),
                format!("`base_rate` is {rate}, but it must be between 0 and 1, both excluded")
            );
        }
        for signal in [-1.0, 100.5, f64::NAN, f64::INFINITY] {
            assert_eq!(
                message(log(10, 0.1).signal(signal).generate(1)),
                format!("`signal` is {signal}, but it must be from 0 to 100")
            );
        }
        for levels in [0, 1] {
            assert_eq!(
                message(log(10, 0.1).categorical(&[5, levels]).generate(1)),
                format!(
                    "`categorical` is {levels}, but it must be at least 2 levels for each column, \
                     also for column 1"
                )
            );
        }
        assert_eq!(
            message(log(10, 0.1).numeric(0).categorical(&[]).generate(1)),
            "`numeric` is 0, but it must be at least 1 where there are no categorical columns"
        );
        assert_eq!(
            message(log(10, 0.1).days(0).generate(1)),
            "`days` is 0, but it must be at least 1"
        );
        for (rows, numeric, levels) in
            [(usize::MAX, 6, 5), (10, usize::MAX, 5), (10, 1, usize::MAX), (usize::MAX / 8, 1, 2)]
        {
            let settings = log(rows, 0.1).numeric(numeric).categorical(&[levels]);
            let message = message(settings.generate(1));
            assert!(message.contains("small enough to be addressed"), "{message}");
        }
    }
}
