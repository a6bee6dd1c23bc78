//! Random negative under-sampling.

use ndarray_rand::rand::Rng;

use super::kept::{ensure_kept, independently, kept_totals};
use super::keyed::{Account, Draw, Keyed, KeyedBy};
use super::under::NegativesToKeep;
use super::{Inclusion, Resample, Sampler};
use crate::core::{
    Chosen, ClassTotals, Dataset, Distortion, Error, Result, Rows, Run, Seed, saved_as_part, stored,
};

const NAME: &str = "random under-sampling";

/// Keeps every positive and a random subset of the negatives.
///
/// How many negatives stay, N̂₋, is given
/// * per positive, N̂₋ = α N₊ (equation 1; α is typically 5–10):
///   [`negatives_per_positive`](Self::negatives_per_positive),
/// * as a rate, N̂₋ = w N₋ (He et al. 2014, §6.3): [`rate`](Self::rate), or
/// * as imbalanced-learn's `sampling_strategy`, N̂₋ = N₊ / ratio:
///   [`positives_per_negative`](Self::positives_per_negative).
///
/// Each is rounded to the nearest whole number. There are never more negatives than before: where α asks
/// for more, all are kept. Rows stay in their order, repeated ones next to each other. [`DrawMode`] says how they
/// are drawn.
///
/// **Distortion.** P(x | y) is kept and the odds are multiplied, so the distortion is a prior shift of
/// ln\[(Ŵ₊/W₊) / (Ŵ₋/W₋)\] from the realised weights Ŵ and W (counts, without weights) — not from the
/// nominal rate, which is a noisier estimate of what happened. With [`reweight`](Self::reweight) each
/// kept negative weighs W₋/Ŵ₋ times its own weight instead, and nothing is distorted (McMahan et al.
/// 2013, §6.1). A negative drawn twice counts and weighs twice.
///
/// ```
/// use imbalance::{Dataset, Run, ndarray::Array2};
/// use imbalance::Distortion;
/// use imbalance::sampling::{RandomUnderSampler, Sampler};
///
/// let x = Array2::<f64>::zeros((1000, 1));
/// let labels: Vec<bool> = (0..1000).map(|row| row % 100 == 0).collect(); // 10 positives
/// let data = Dataset::new(&x, &labels)?;
///
/// let sampler = RandomUnderSampler::negatives_per_positive(5.0)?;
/// let sample = sampler.resample(&data, &Run::seeded(7))?.apply(&data)?;
/// assert_eq!((sample.totals().positives, sample.totals().negatives), (10, 50));
/// // 50 of 990 negatives: the odds of a positive are 19.8 times the population's.
/// assert!(matches!(sample.distortion(), Distortion::PriorShift { log_odds }
///     if (log_odds.exp() - 19.8).abs() < 1e-12));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomUnderSampler {
    keep: NegativesToKeep,
    draw: DrawMode,
    reweight: bool,
}

/// How [`RandomUnderSampler`] draws negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum DrawMode {
    /// Exactly N̂₋ of the negatives, each subset of that size equally likely.
    #[default]
    WithoutReplacement,
    /// N̂₋ draws, each from all negatives: some come several times.
    WithReplacement,
    /// Each negative on its own with probability N̂₋/N₋, unrounded: one pass, in parallel. The number
    /// kept is binomial.
    Bernoulli,
}

impl RandomUnderSampler {
    /// Keeps `ratio` negatives for each positive row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `ratio` is positive and finite.
    pub fn negatives_per_positive(ratio: f64) -> Result<Self> {
        NegativesToKeep::per_positive(ratio).map(Self::new)
    }

    /// Keeps the share `rate` of the negative rows.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `rate` ≤ 1.
    pub fn rate(rate: f64) -> Result<Self> {
        NegativesToKeep::rate(rate).map(Self::new)
    }

    /// Keeps N̂₋ = N₊ / ratio negatives, so that there are `ratio` positives for each. This is
    /// imbalanced-learn's `sampling_strategy` where positives are the rarer class.
    ///
    /// Two things differ: the result is rounded to the nearest number, where imbalanced-learn cuts off
    /// (7 / 0.07 is 99.99999999999999, and it keeps 99), and a ratio above 1 is allowed. As there, a
    /// ratio that the data exceed already is an error when the data are seen: taking negatives away can
    /// only raise it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `ratio` is positive and finite.
    pub fn positives_per_negative(ratio: f64) -> Result<Self> {
        NegativesToKeep::positives_per_negative(ratio).map(Self::new)
    }

    fn new(keep: NegativesToKeep) -> Self {
        Self { keep, draw: DrawMode::default(), reweight: false }
    }

    /// How negatives are drawn. Default: without replacement.
    #[must_use]
    pub fn draw(mut self, draw: DrawMode) -> Self {
        self.draw = draw;
        self
    }

    /// Whether kept negatives weigh W₋/Ŵ₋, so that nothing is distorted. Default: no.
    #[must_use]
    pub fn reweight(mut self, reweight: bool) -> Self {
        self.reweight = reweight;
        self
    }

    /// The rows kept, or `None` for all of them.
    fn rows(
        &self,
        labels: &[bool],
        totals: &ClassTotals,
        seed: Seed,
    ) -> Result<Option<Vec<usize>>> {
        let n = totals.negatives;
        if self.draw == DrawMode::Bernoulli {
            let probability = self.keep.unrounded(totals)? / n as f64;
            let keep = |row: usize| if labels[row] { 1.0 } else { probability };
            let rows = (probability < 1.0).then(|| independently(labels.len(), seed, keep));
            return match rows {
                Some(rows) if rows.len() == totals.positives => {
                    Err(self.keep.too_few(totals, ", which the draws happened not to"))
                }
                rows => Ok(rows),
            };
        }
        let wanted = self.keep.rounded(totals)?;
        let rows = totals.positives + wanted;
        Ok(if self.draw == DrawMode::WithReplacement {
            let mut stream = seed.stream(0);
            let mut times = vec![0_u32; n];
            for _ in 0..wanted {
                times[stream.random_range(0..n as u64) as usize] += 1;
            }
            Some(collect(labels, rows, |negative| times[negative] as usize))
        } else if wanted < n {
            let chosen = Chosen::uniform(n, wanted, seed);
            Some(collect(labels, rows, |negative| usize::from(chosen.contains(negative))))
        } else {
            None
        })
    }
}

impl Default for RandomUnderSampler {
    /// Five negatives per positive.
    fn default() -> Self {
        Self::new(NegativesToKeep::PerPositive(5.0))
    }
}

/// The positives, and each negative (counted from 0) `times(negative)` times, in the order of the rows.
fn collect(labels: &[bool], capacity: usize, times: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut rows = Vec::with_capacity(capacity);
    let mut negatives = 0;
    for (row, &label) in labels.iter().enumerate() {
        let times = if label {
            1
        } else {
            negatives += 1;
            times(negatives - 1)
        };
        rows.extend(std::iter::repeat_n(row, times));
    }
    rows
}

impl Sampler for RandomUnderSampler {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        totals.ensure_both(NAME)?;
        let Some(rows) = self.rows(data.labels(), &totals, run.seed())? else {
            return Ok(self.keep.note_shortage(&totals, Resample::identity()));
        };
        let kept = kept_totals(data, &rows, NAME, |_| String::new())?;
        if !self.reweight {
            let shift = shift(&totals, &kept);
            return Ok(Resample::kept(rows, shift).drawn(Inclusion::Uniform));
        }
        let factor = weight_of_kept(&totals, &kept)?;
        let weigh = |&row: &usize| if data.labels()[row] { 1.0 } else { factor };
        let weights = rows.iter().map(weigh).collect();
        let kept = Resample::kept(rows, Distortion::None).drawn(Inclusion::Uniform);
        Ok(Resample { weights: Some(weights), ..kept })
    }

    fn name(&self) -> String {
        NAME.into()
    }

    fn keyed(&self) -> Option<Keyed<'_>> {
        Some(Keyed(self))
    }

    saved_as_part!();
}

/// All positives are kept, so Ŵ₊/W₊ = 1. Logarithms apart, because the quotient may overflow.
fn shift(all: &ClassTotals, kept: &ClassTotals) -> Distortion {
    Distortion::PriorShift { log_odds: all.negative_weight.ln() - kept.negative_weight.ln() }
}

/// W₋/Ŵ₋.
fn weight_of_kept(all: &ClassTotals, kept: &ClassTotals) -> Result<f64> {
    let factor = all.negative_weight / kept.negative_weight;
    if factor.is_infinite() {
        return Err(Error::Numerical {
            what: "the weight W₋/Ŵ₋ of the kept negatives".into(),
            value: factor,
            remedy: "the weights of the negatives differ too much for one to stand for the others; \
                     cut the largest, or keep more negatives",
        });
    }
    Ok(factor)
}

/// Negatives are pool 0, positives pool 1.
impl KeyedBy for RandomUnderSampler {
    fn ensure_possible(&self) -> Result<()> {
        if self.draw != DrawMode::WithReplacement {
            return Ok(());
        }
        Err(Error::Unsupported {
            stage: "keyed sampling",
            what: "draws with replacement".into(),
            remedy: "draw without replacement: a row of a log is kept once or not at all",
        })
    }

    fn pools(&self) -> usize {
        2
    }

    fn pools_of(&self, rows: &Rows<'_>) -> Result<Vec<(u16, f64)>> {
        Ok(rows.labels().iter().map(|&label| (u16::from(label), 1.0)).collect())
    }

    fn needs_sizes(&self) -> bool {
        self.draw != DrawMode::Bernoulli || self.keep.known_rate().is_none()
    }

    fn draws(&self, sizes: &[ClassTotals]) -> Result<Vec<Draw>> {
        let negatives = match (sizes, self.keep.known_rate()) {
            ([negatives, positives], _) => {
                let ClassTotals { negatives, negative_weight, .. } = *negatives;
                let totals = ClassTotals { negatives, negative_weight, ..*positives };
                totals.ensure_both(NAME)?;
                match self.draw {
                    DrawMode::Bernoulli => {
                        Draw::Each(self.keep.unrounded(&totals)? / negatives as f64)
                    }
                    _ => Draw::Exactly(self.keep.rounded(&totals)?),
                }
            }
            (_, rate) => Draw::Each(rate.unwrap_or(1.0)),
        };
        Ok(vec![negatives, Draw::Each(1.0)])
    }

    fn account(&self, population: &ClassTotals, kept: &ClassTotals) -> Result<Account> {
        population.ensure_both(NAME)?;
        if kept.negatives == 0 {
            return Err(self.keep.too_few(population, ", which the draws happened not to"));
        }
        ensure_kept(kept, NAME, |_| String::new())?;
        let notes = self.keep.shortage(population).into_iter().collect();
        if kept.negatives == population.negatives {
            return Ok(Account { distortion: Distortion::None, weights: None, notes });
        }
        Ok(if self.reweight {
            let factor = weight_of_kept(population, kept)?;
            Account { distortion: Distortion::None, weights: Some(vec![factor, 1.0]), notes }
        } else {
            Account { distortion: shift(population, kept), weights: None, notes }
        })
    }
}

stored!(RandomUnderSampler as "random_under_sampler", |under| {
    keep: NegativesToKeep = under.keep,
    draw: DrawMode = under.draw,
    reweight: bool = under.reweight,
} => keep.checked().map(|keep| Self { keep, draw, reweight }));
