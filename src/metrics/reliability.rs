//! Reliability by bins: curve with confidence bands, decile table, decomposition, tests.

use statrs::function::gamma::{gamma_lr, gamma_ur};

use super::calibration::Bin;
use super::interval::{ensure_level, two_sided_quantile};
use super::ranked::RankedScores;
use super::rows::Sum;
use crate::core::Result;

/// One bin of a [`ReliabilityCurve`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ReliabilityPoint {
    /// Rows, weight, mean prediction and observed rate of the bin.
    pub bin: Bin,
    /// Lower end of the confidence interval of the observed rate.
    pub observed_lower: f64,
    /// Upper end of it.
    pub observed_upper: f64,
}

/// Observed against predicted rate on [`quantile_bins`](super::quantile_bins), with a confidence band.
///
/// The interval of a bin contains the true rate of its rows with the given level: where the mean
/// prediction lies outside, the predictions are doubtful. It is Wilson's (1927),
///
/// ```text
/// ( ȳ + z²/2n ± z √( ȳ(1 − ȳ)/n + z²/4n² ) ) / (1 + z²/n),   ȳ the observed rate
/// ```
///
/// with the lower end of Brown et al. (2001) for 1 to 3 positives, where Wilson's is too high (and with
/// the corresponding upper end for 1 to 3 negatives): λ/n, the rate at which at least the observed number
/// of positives has a probability of 1 − level. It lies in \[0, 1\], and has some width for ȳ = 0 and 1 too
/// (unless the bin has 10³⁰⁰ times the weight of its typical row).
///
/// How often a 95 % interval contains the truth can be computed exactly (2,000 rows in the bin;
/// `cargo test --test metrics exact_coverage -- --nocapture`):
///
/// | Positives expected in the bin | Contains the truth |
/// |---|---|
/// | 7 and more | 93.5 % to 96.8 % |
/// | 3 to 7 | 92.8 % to 97.7 % |
/// | 1 to 3 | 92.7 % to 98.1 % |
/// | fewer than 1 | 95.0 % and more |
///
/// With few positives no interval stays near 95 %, as counts are whole numbers: where 2.21 are expected,
/// for example, no run of counts has a probability between 92.8 % and 97.5 %. Jeffreys' interval falls to
/// 89.8 %, Clopper and Pearson's is always above 95 % and mostly above 97.5 % for fewer than 3.
///
/// n is the number of rows, and with weights the effective number, ȳ(1 − ȳ) / Var(ȳ) with the
/// linearised variance Σ w²(y − ȳ)² / W² (Korn & Graubard 1998); so weights that undo a sampling widen
/// the band as they must. A bin of one class alone has no such variance; there n is W / w̄, with w̄ the
/// weight Σw²/Σw of a typical row of the absent class in the whole sample, or in the bin if there is
/// none anywhere.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ReliabilityCurve {
    /// In rising order of prediction.
    pub points: Vec<ReliabilityPoint>,
    /// The level of each interval on its own.
    pub level: f64,
}

/// One group of a [`DecileTable`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Decile {
    /// Rows, weight, mean prediction and observed rate of the group.
    pub bin: Bin,
    /// Weight of its positives.
    pub positives: f64,
    /// Its observed rate over the base rate.
    pub lift: f64,
    /// Share of all rows in this group and those above it.
    pub cumulative_share: f64,
    /// Share of all positives in this group and those above it.
    pub cumulative_gain: f64,
    /// `cumulative_gain` / `cumulative_share`.
    pub cumulative_lift: f64,
}

/// The rows in groups of equal weight, from the highest predictions down.
///
/// Groups are [`quantile_bins`](super::quantile_bins), so rows of equal probability stay together and a
/// group can be missing.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DecileTable {
    /// From the highest predictions to the lowest.
    pub groups: Vec<Decile>,
}

/// Murphy's decomposition of the Brier score on bins; see [`brier_decomposition`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct BrierDecomposition {
    /// The Brier score itself.
    pub brier: f64,
    /// `Σ_b (W_b/W)(p̄_b − ȳ_b)²`, in \[0, 1\]: how far predicted and observed rates differ; 0 is best.
    pub reliability: f64,
    /// `Σ_b (W_b/W)(ȳ_b − r)²`, from 0 to the uncertainty: how far the bins' rates differ; more is better.
    pub resolution: f64,
    /// r(1 − r), the Brier score of predicting the base rate r.
    pub uncertainty: f64,
    /// The loss by binning, of either sign: `mean((p − p̄_b)²) − 2 mean((p − p̄_b)(y − ȳ_b))`, 0 if all
    /// predictions in a bin are equal. Stephenson, Coelho & Jolliffe 2008.
    pub within_bin: f64,
}

/// The Hosmer–Lemeshow test of calibration; see [`hosmer_lemeshow`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct HosmerLemeshow {
    /// The statistic, 0 to +∞.
    #[cfg_attr(feature = "serde", serde(with = "super::infinite"))]
    pub statistic: f64,
    /// Number of groups g.
    pub groups: usize,
    /// Degrees of freedom on rows that the model was not fitted on: g.
    pub degrees_of_freedom: usize,
    /// P(χ² ≥ statistic) with those degrees of freedom.
    pub p_value: f64,
}

impl HosmerLemeshow {
    /// Degrees of freedom g − 2 and p-value on the rows that the model was fitted on, where two degrees
    /// go into the fit; `None` for fewer than three groups.
    #[must_use]
    pub fn on_training_rows(&self) -> Option<(usize, f64)> {
        let degrees = self.groups.checked_sub(2).filter(|&degrees| degrees > 0)?;
        Some((degrees, chi_squared_tail(self.statistic, degrees)))
    }
}

/// The largest calibration error over [`quantile_bins`](super::quantile_bins).
///
/// ```text
/// MCE = max_b | mean p in b − mean y in b |
/// ```
///
/// - **Range** 0 to 1, in units of probability. p = 0 or 1 are ordinary values; ties share a bin; one
///   class is no obstacle.
/// - **Rare positives**: as with [`ece`](super::ece), an absolute error: a doubled rate of 0.1 % is
///   0.001. The worst of many bins is noisy; a [`ReliabilityCurve`] shows by how much.
///
/// Source: Naeini, Cooper and Hauskrecht 2015, there with bins of equal width.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `bins` is 0, and the [errors common to
/// all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::mce;
///
/// let labels = [false, true, false, true];
/// assert_eq!(mce(&labels, &[0.25, 0.5, 0.25, 1.0], None, 2)?, 0.25);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn mce(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
    bins: usize,
) -> Result<f64> {
    RankedScores::of_probabilities(labels, probabilities, weights)?.mce(bins)
}

/// The Brier score as reliability − resolution + uncertainty, on
/// [`quantile_bins`](super::quantile_bins).
///
/// ```text
/// BS = reliability − resolution + uncertainty + within bin
/// ```
///
/// Exactly, with the last term for predictions that differ within a bin. p = 0 or 1 are ordinary values,
/// ties share a bin, one class is no obstacle. [`RankedScores::corp`] has a decomposition without bins.
///
/// Source: Murphy, "A new vector partition of the probability score", 1973.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `bins` is 0, and the [errors common to
/// all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::brier_decomposition;
///
/// let parts = brier_decomposition(&[false, true, true, true], &[0.2, 0.2, 0.8, 0.8], None, 2)?;
/// assert!((parts.uncertainty - 0.1875).abs() < 1e-15);
/// assert!((parts.resolution - 0.0625).abs() < 1e-15);
/// assert!((parts.reliability - 0.065).abs() < 1e-15);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn brier_decomposition(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
    bins: usize,
) -> Result<BrierDecomposition> {
    RankedScores::of_probabilities(labels, probabilities, weights)?.brier_decomposition(bins)
}

/// The Hosmer–Lemeshow goodness-of-fit test on [`quantile_bins`](super::quantile_bins).
///
/// ```text
/// H = Σ_b ( O_b − E_b )² / ( E_b (1 − E_b / W_b) ),   O_b = Σ w y, E_b = Σ w p
/// ```
///
/// - **Range** 0 to +∞; about the number of groups if the model is calibrated. +∞ if a bin of
///   probabilities 0 holds a positive, or one of probabilities 1 a negative; certain and right adds 0.
/// - **Weights** count rows: they scale the statistic, so the p-value needs weights that are counts.
/// - **Ties** share a bin; **one class** is no obstacle.
/// - **Rare positives**: trust the p-value only with about 5 expected positives in each group. With
///   millions of rows it rejects every model; look at the [`ReliabilityCurve`].
///
/// Source: Hosmer & Lemeshow, "Goodness of fit tests for the multiple logistic regression model", 1980.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) if `bins` is 0, and the [errors common to
/// all metrics](super#errors).
///
/// ```
/// use imbalance::metrics::hosmer_lemeshow;
///
/// let test = hosmer_lemeshow(&[false, true, true, true], &[0.5, 0.5, 0.75, 0.75], None, 2)?;
/// // (1 − 1)² / 0.5 + (2 − 1.5)² / 0.375
/// assert!((test.statistic - 2.0 / 3.0).abs() < 1e-15);
/// assert!((test.p_value - (-1.0_f64 / 3.0).exp()).abs() < 1e-12);
/// # Ok::<(), imbalance::Error>(())
/// ```
pub fn hosmer_lemeshow(
    labels: &[bool],
    probabilities: &[f64],
    weights: Option<&[f64]>,
    bins: usize,
) -> Result<HosmerLemeshow> {
    RankedScores::of_probabilities(labels, probabilities, weights)?.hosmer_lemeshow(bins)
}

/// P(χ² ≥ x) with some degrees of freedom.
fn chi_squared_tail(x: f64, degrees: usize) -> f64 {
    // Half of the smallest positive number is 0.
    let half = 0.5 * x;
    if half == 0.0 {
        1.0
    } else if half.is_infinite() {
        0.0
    } else {
        gamma_ur(0.5 * degrees as f64, half)
    }
}

impl RankedScores {
    /// See [`mce`].
    ///
    /// # Errors
    /// As [`quantile_bins`](Self::quantile_bins).
    pub fn mce(&self, bins: usize) -> Result<f64> {
        let bins = self.bins(bins)?;
        let gaps = bins.iter().map(|bin| (bin.mean_predicted - bin.observed).abs());
        Ok(gaps.fold(0.0, f64::max))
    }

    /// The reliability curve on `bins` bins, with intervals of that level.
    ///
    /// # Errors
    /// As [`quantile_bins`](Self::quantile_bins), and
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) unless 0 < `level` < 1.
    ///
    /// ```
    /// use imbalance::metrics::RankedScores;
    ///
    /// let labels: Vec<bool> = (0..1000).map(|i| i % 20 == 0).collect();
    /// let curve = RankedScores::new(&labels, &[0.05; 1000], None)?.reliability_curve(10, 0.95)?;
    /// let point = curve.points[0];
    /// assert!(point.observed_lower < 0.05 && 0.05 < point.observed_upper);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn reliability_curve(&self, bins: usize, level: f64) -> Result<ReliabilityCurve> {
        ensure_level(level)?;
        let typical = typical_weights(self.sorted());
        let mut rest = self.sorted();
        let mut points = self.bins(bins)?;
        let points = points.iter_mut().map(|bin| {
            let (rows, above) = rest.split_at(bin.rows);
            rest = above;
            let n = effective_rows(rows, bin, typical);
            bin.weight *= self.classes.unit;
            let (observed_lower, observed_upper) = rate_interval(bin.observed, n, level);
            ReliabilityPoint { bin: *bin, observed_lower, observed_upper }
        });
        Ok(ReliabilityCurve { points: points.collect(), level })
    }

    /// The table of `groups` groups; 10 makes deciles.
    ///
    /// # Errors
    /// As [`quantile_bins`](Self::quantile_bins), and
    /// [`Error::OneClass`](crate::Error::OneClass) if positives have no weight.
    ///
    /// ```
    /// use imbalance::metrics::RankedScores;
    ///
    /// let labels: Vec<bool> = (0..100).map(|i| i >= 95).collect();
    /// let p: Vec<f64> = (0..100).map(|i| f64::from(i) / 1000.0).collect();
    /// let table = RankedScores::new(&labels, &p, None)?.deciles(10)?;
    /// assert_eq!((table.groups[0].lift, table.groups[0].cumulative_gain), (10.0, 1.0));
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    pub fn deciles(&self, groups: usize) -> Result<DecileTable> {
        self.classes.ensure_positives("the decile table")?;
        let (mut rows, mut positives) = (Sum::default(), Sum::default());
        let groups = self.bins(groups)?.into_iter().rev().map(|mut bin| {
            rows.add(bin.weight);
            positives.add(bin.weight * bin.observed);
            let cumulative_share = (rows.value() / self.classes.total()).min(1.0);
            let cumulative_gain = (positives.value() / self.classes.positive()).min(1.0);
            bin.weight *= self.classes.unit;
            Decile {
                bin,
                positives: bin.weight * bin.observed,
                lift: bin.observed / self.base_rate(),
                cumulative_share,
                cumulative_gain,
                cumulative_lift: positives.value() / rows.value() / self.base_rate(),
            }
        });
        Ok(DecileTable { groups: groups.collect() })
    }

    /// See [`brier_decomposition`].
    ///
    /// # Errors
    /// As [`quantile_bins`](Self::quantile_bins).
    pub fn brier_decomposition(&self, bins: usize) -> Result<BrierDecomposition> {
        let bins = self.bins(bins)?;
        let (rate, total) = (self.base_rate(), self.classes.total());
        let over_bins = |of: &dyn Fn(&Bin) -> f64| {
            bins.iter().map(|bin| bin.weight * of(bin)).collect::<Sum>().value() / total
        };
        let mut rows = self.probabilities();
        let mut within = Sum::default();
        for bin in &bins {
            for (p, weight) in rows.by_ref().take(bin.rows) {
                let label = f64::from(u8::from(weight > 0.0));
                let (p, y) = (p - bin.mean_predicted, label - bin.observed);
                within.add(weight.abs() * p * (p - 2.0 * y));
            }
        }
        Ok(BrierDecomposition {
            brier: self.brier_score()?,
            reliability: over_bins(&|bin| (bin.mean_predicted - bin.observed).powi(2)),
            resolution: over_bins(&|bin| (bin.observed - rate).powi(2)),
            uncertainty: self.uncertainty(),
            within_bin: within.value() / total,
        })
    }

    /// r(1 − r) of the base rate r.
    pub(super) fn uncertainty(&self) -> f64 {
        (self.classes.positive() / self.classes.total())
            * (self.classes.negative() / self.classes.total())
    }

    /// See [`hosmer_lemeshow`].
    ///
    /// # Errors
    /// As [`quantile_bins`](Self::quantile_bins).
    pub fn hosmer_lemeshow(&self, bins: usize) -> Result<HosmerLemeshow> {
        let bins = self.bins(bins)?;
        let terms = bins.iter().map(|bin| {
            let gap = bin.observed - bin.mean_predicted;
            let variance = bin.mean_predicted * (1.0 - bin.mean_predicted);
            // Certain and right: 0 / 0 of no variance and no gap. The square of a gap can vanish where
            // the gap does not, so it is divided first.
            if gap == 0.0 { 0.0 } else { bin.weight * gap * (gap / variance) }
        });
        let statistic = terms.collect::<Sum>().value() * self.classes.unit;
        let groups = bins.len();
        let p_value = chi_squared_tail(statistic, groups);
        Ok(HosmerLemeshow { statistic, groups, degrees_of_freedom: groups, p_value })
    }
}

/// Σw²/Σw of the negatives and of the positives; `None` where there are none.
fn typical_weights(rows: &[(f64, f64)]) -> [Option<f64>; 2] {
    [-1.0, 1.0].map(|sign| {
        let weights = || rows.iter().map(|row| (sign * row.1).max(0.0));
        let total = weights().collect::<Sum>().value();
        (total > 0.0)
            .then(|| weights().map(|weight| weight * weight).collect::<Sum>().value() / total)
    })
}

/// The number of rows of weight 1 that would determine the rate of a bin equally well.
fn effective_rows(rows: &[(f64, f64)], bin: &Bin, typical: [Option<f64>; 2]) -> f64 {
    let rate = bin.observed;
    let spread =
        |sign: f64| rows.iter().map(|row| (sign * row.1).max(0.0).powi(2)).collect::<Sum>().value();
    let (positive, negative) = (spread(1.0), spread(-1.0));
    let variance = positive * (1.0 - rate).powi(2) + negative * rate.powi(2);
    let n = rate * (1.0 - rate) * bin.weight * bin.weight / variance;
    if n > 0.0 && n.is_finite() {
        return n;
    }
    let absent = typical[usize::from(rate < 0.5)];
    bin.weight / absent.unwrap_or((positive + negative) / bin.weight)
}

/// Wilson's interval for a rate observed in `n` rows, with Brown et al.'s ends for rare classes.
fn rate_interval(rate: f64, n: f64, level: f64) -> (f64, f64) {
    let z = two_sided_quantile(level);
    let shrink = z * z / n;
    if shrink.is_infinite() {
        return (0.0, 1.0);
    }
    let centre = rate + 0.5 * shrink;
    let spread = z * (rate * (1.0 - rate) / n + 0.25 * shrink / n).sqrt();
    let end = |value: f64| (value / (1.0 + shrink)).clamp(0.0, 1.0);
    let bound = |rate: f64| few_lower(rate * n, n, 1.0 - level).unwrap_or(f64::INFINITY);
    let lower = end(centre - spread).min(bound(rate));
    let upper = end(centre + spread).max(1.0 - bound(1.0 - rate));
    (lower, upper)
}

/// The rate at which at least `few` of `n` rows are of the class with this probability; `None` for more
/// than 2 or 3.
fn few_lower(few: f64, n: f64, probability: f64) -> Option<f64> {
    // As in the source; not in whole numbers where rows have weights.
    let most = if n > 50.0 { 3.0 } else { 2.0 };
    // Rounding must not make 3 rows more than 3.
    if few > most * (1.0 + 1e-12) {
        return None;
    }
    let (mut low, mut high) = (0.0, few);
    // To the last digit: P(at least `few`) rises with the mean, and is above ½ where that is `few`.
    while low < 0.5 * (low + high) && 0.5 * (low + high) < high {
        let mean = 0.5 * (low + high);
        *if gamma_lr(few, mean) < probability { &mut low } else { &mut high } = mean;
    }
    Some(low / n)
}
