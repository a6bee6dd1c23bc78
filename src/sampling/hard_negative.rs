//! Hard negative mining: the negatives a pilot model takes for positives.

use super::kept::{TopK, kept_by_features, poisson};
use super::under::NegativesToKeep;
use super::{Pilot, Resample, Sampler};
use crate::core::{Chosen, Dataset, Error, Meter, Result, Run, round, saved_as_part, stored};
use crate::exec::parallel::{self, BLOCK};
use crate::numerics::root::Bracket;

const MINING: &str = "hard negative mining";
const POISSON: &str = "Poisson sampling of hard negatives";

/// Which negatives are hard, by the pilot's probability p̂ of the **population** (see [`Pilot`]).
///
/// Negatives are ranked by falling p̂, negatives of equal p̂ in the order of their rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HardnessBand(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Kind {
    Window { centre: f64, epsilon: f64 },
    Hardest(usize),
    Quantiles { low: f64, high: f64 },
}

impl HardnessBand {
    /// Negatives with |p̂ − `centre`| < `epsilon` (equation 2, there with `centre` = 0.5).
    ///
    /// Where positives are rare hardly a row has a p̂ near 0.5: look for the centre at the p̂ of
    /// negatives that are hard in your data, or take [`hardest`](Self::hardest) or
    /// [`quantiles`](Self::quantiles), which need no scale.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ `centre` ≤ 1 and `epsilon` is positive and finite.
    pub fn window(centre: f64, epsilon: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&centre) {
            return Err(Error::invalid("centre", centre, "a probability"));
        }
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(Error::invalid("epsilon", epsilon, "positive and finite"));
        }
        Ok(Self(Kind::Window { centre, epsilon }))
    }

    /// The first `count` negatives in rank; all, if there are not more.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0.
    pub fn hardest(count: usize) -> Result<Self> {
        if count == 0 {
            return Err(Error::invalid("count", count, "at least 1"));
        }
        Ok(Self(Kind::Hardest(count)))
    }

    /// Negatives between two quantiles of their p̂: of n negatives round(`high`·n) − round(`low`·n).
    /// `quantiles(0.9, 1.0)` are the hardest tenth; `quantiles(0.9, 0.99)` leaves out the very hardest,
    /// among which mislabelled rows gather.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ `low` < `high` ≤ 1.
    pub fn quantiles(low: f64, high: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&low) {
            return Err(Error::invalid("low", low, "from 0 to 1"));
        }
        if !(high > low && high <= 1.0) {
            return Err(Error::invalid("high", high, format!("above `low`, {low}, and at most 1")));
        }
        Ok(Self(Kind::Quantiles { low, high }))
    }

    /// For each row whether it is a negative in the band.
    fn members(self, labels: &[bool], scores: &[f64]) -> Vec<bool> {
        let negatives = labels.iter().filter(|&&label| !label).count();
        let (first, end) = match self.0 {
            Kind::Window { centre, epsilon } => {
                let inside = |score: f64| (score - centre).abs() < epsilon;
                return scores.iter().zip(labels).map(|(&s, &label)| !label && inside(s)).collect();
            }
            Kind::Hardest(count) => (0, count),
            Kind::Quantiles { low, high } => {
                (negatives - round(high, negatives), negatives - round(low, negatives))
            }
        };
        let rows = || scores.iter().copied().zip(labels.iter().copied());
        let mut of_negatives: Vec<f64> =
            rows().filter(|(_, label)| !label).map(|(s, _)| s).collect();
        let mut before = TopK::new(first, &mut of_negatives);
        let mut within = TopK::new(end, &mut of_negatives);
        // Both count ties, so both are asked about every negative.
        rows().map(|(s, label)| !label && within.admits(s) & !before.admits(s)).collect()
    }
}

/// Keeps every positive and the negatives in a [`HardnessBand`] of a pilot's probabilities (equation 2), mixed
/// with a share of random ones. Rows stay in their order.
///
/// **Distortion.** Rows are chosen by their features, so [`Distortion::FeatureDependent`] with the
/// realised shift of the overall log-odds, and
/// [`PriorCorrection`](crate::calibration::PriorCorrection) refuses. Nor can it be reweighted: a negative
/// outside the band has no chance to be kept, so no weight of the others makes up for it. For
/// probabilities that are right, draw by [`PoissonHardNegatives`], where every negative has a chance, by
/// [`LocalCaseControl`](super::LocalCaseControl), or calibrate on untouched rows.
///
/// [`Distortion::FeatureDependent`]: crate::Distortion::FeatureDependent
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::{HardnessBand, HardNegativeMining, Pilot};
///
/// let log = SyntheticClicks::new(20_000, 0.02)?.numeric(4).categorical(&[]).generate(7)?;
/// let rows = &log.dataset;
/// let pilot = Pilot::trained(LogisticRegression::new(), LogLoss);
///
/// // The 1,500 hardest negatives, and a quarter of random ones.
/// let hard = HardNegativeMining::new(pilot.clone(), HardnessBand::hardest(1_500)?).random_share(0.25)?;
/// let sample = hard.resample(rows, &Run::seeded(7))?.apply(rows)?;
/// assert_eq!(sample.totals().negatives, 1_500 + 500);
///
/// // At a base rate of 2 % hardly anything is close to one half; the error says what there is.
/// let window = HardNegativeMining::new(pilot, HardnessBand::window(0.5, 1e-6)?);
/// let error = window.resample(rows, &Run::seeded(7)).unwrap_err();
/// assert!(error.to_string().contains("range from"));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct HardNegativeMining {
    pilot: Pilot,
    band: HardnessBand,
    random_share: f64,
}

impl HardNegativeMining {
    /// Keeps the negatives in the band.
    #[must_use]
    pub fn new(pilot: Pilot, band: HardnessBand) -> Self {
        Self { pilot, band, random_share: 0.0 }
    }

    /// Which share of the kept negatives is drawn at random from those outside the band. Default: 0.
    ///
    /// To h negatives in the band come round(h·s/(1 − s)) others, or all there are.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 ≤ `share` < 1.
    pub fn random_share(mut self, share: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&share) {
            return Err(Error::invalid("share", share, "at least 0 and below 1"));
        }
        self.random_share = share;
        Ok(self)
    }
}

impl Sampler for HardNegativeMining {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        totals.ensure_both(MINING)?;
        let scores = self.pilot.probabilities(data, run)?;
        let hard = self.band.members(data.labels(), &scores);
        let found = hard.iter().filter(|&&hard| hard).count();
        if found == 0 {
            return Err(empty_band(MINING, data.labels(), &scores, self.band));
        }
        let others = totals.negatives - found;
        let share = self.random_share;
        let random = round(share / (1.0 - share), found).min(others);
        let chosen = Chosen::uniform(others, random, run.seed().child("random"));
        let mut other = 0;
        let mut keep = |row: usize| {
            data.labels()[row] || hard[row] || {
                other += 1;
                chosen.contains(other - 1)
            }
        };
        let mut rows = Vec::with_capacity(totals.positives + found + random);
        rows.extend((0..data.rows()).filter(|&row| keep(row)));
        kept_by_features(data, rows, MINING, |_| String::new())
    }

    fn name(&self) -> String {
        MINING.into()
    }

    saved_as_part!();
}

/// Keeps every positive and draws each negative on its own (Poisson sampling), hard negatives with a higher
/// inclusion probability πᵢ, every negative at least with a floor above 0. Rows stay in their order.
///
/// **Distortion.** [`FeatureDependent`](crate::Distortion::FeatureDependent); with
/// [`reweight`](Self::reweight) each kept negative weighs 1/πᵢ times its own weight (Horvitz & Thompson
/// 1952), every weighted total is unbiased, and nothing is distorted.
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::sampling::{Pilot, PoissonHardNegatives};
///
/// let log = SyntheticClicks::new(50_000, 0.02)?.numeric(4).categorical(&[]).generate(7)?;
/// let pilot = Pilot::trained(LogisticRegression::new(), LogLoss);
/// let sampler = PoissonHardNegatives::proportional(pilot, 5.0, 0.02)?.reweight(true);
/// let fitted = Pipeline::new(LogisticRegression::new()).sampler(sampler).fit(&log.dataset)?;
/// // Right without any correction.
/// let p = fitted.probabilities(log.dataset.features())?;
/// let ratio = p.iter().sum::<f64>() / log.probabilities.iter().sum::<f64>();
/// assert!((ratio - 1.0).abs() < 0.15);
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PoissonHardNegatives {
    pilot: Pilot,
    inclusion: Inclusion,
    floor: f64,
    reweight: bool,
}

/// Inclusion probabilities of the negatives.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case", deny_unknown_fields))]
enum Inclusion {
    Band(HardnessBand),
    Proportional { negatives_per_positive: f64 },
}

impl PoissonHardNegatives {
    /// Keeps all negatives in the band, πᵢ = 1, and each negative outside of it with πᵢ = `floor`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `floor` ≤ 1.
    pub fn band(pilot: Pilot, band: HardnessBand, floor: f64) -> Result<Self> {
        Self::checked(pilot, Inclusion::Band(band), floor)
    }

    /// Keeps about `negatives_per_positive` negatives for each positive, with
    /// πᵢ = min(1, max(`floor`, c p̂ᵢ)), where c is such that Σᵢ πᵢ is that number.
    ///
    /// If that is more negatives than there are, all are kept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless `negatives_per_positive` is positive and finite and
    /// 0 < `floor` ≤ 1.
    pub fn proportional(pilot: Pilot, negatives_per_positive: f64, floor: f64) -> Result<Self> {
        if !(negatives_per_positive > 0.0 && negatives_per_positive.is_finite()) {
            let expected = "positive and finite";
            return Err(Error::invalid("negatives_per_positive", negatives_per_positive, expected));
        }
        Self::checked(pilot, Inclusion::Proportional { negatives_per_positive }, floor)
    }

    fn checked(pilot: Pilot, inclusion: Inclusion, floor: f64) -> Result<Self> {
        if !(floor > 0.0 && floor <= 1.0) {
            let expected = "above 0 and at most 1: every negative needs a chance";
            return Err(Error::invalid("floor", floor, expected));
        }
        Ok(Self { pilot, inclusion, floor, reweight: false })
    }

    /// Whether kept negatives weigh 1/πᵢ, so that nothing is distorted. Default: no.
    #[must_use]
    pub fn reweight(mut self, reweight: bool) -> Self {
        self.reweight = reweight;
        self
    }

    /// c of [`proportional`](Self::proportional), for fewer negatives than there are.
    fn factor(&self, labels: &[bool], scores: &[f64], wanted: f64) -> Result<f64> {
        let negatives = sum(labels, scores, |_| 1.0);
        if wanted < self.floor * negatives {
            let expected = format!(
                "at most {}: {wanted} of {negatives} negatives are asked for",
                wanted / negatives
            );
            return Err(Error::invalid("floor", self.floor, expected));
        }
        let most = sum(labels, scores, |p| if p > 0.0 { 1.0 } else { self.floor });
        if wanted > most {
            let value = format!("{wanted} negatives in all");
            let expected = format!("at most {most}: the pilot gives the others a probability of 0");
            return Err(Error::invalid("negatives_per_positive", value, expected));
        }
        // Σ πᵢ rises with c, in straight pieces between the points where a row leaves the floor or
        // reaches 1, so Newton's method ends on the right piece.
        let mut bracket = Bracket::new(0.0, f64::MAX);
        let mut c = (wanted / sum(labels, scores, |p| p)).min(f64::MAX);
        for _ in 0..MAX_STEPS {
            let excess = sum(labels, scores, |p| self.proportional_to(c, p)) - wanted;
            if excess.abs() <= TOLERANCE * wanted {
                return Ok(c);
            }
            bracket.narrow(c, excess);
            let between = |p: f64| if (self.floor..1.0).contains(&(c * p)) { p } else { 0.0 };
            let slope = sum(labels, scores, between);
            // In the logarithm, as c may be anything from 1 to the inverse of a tiny score.
            c = bracket.newton(c, excess, slope).unwrap_or_else(|| {
                match (bracket.low, bracket.high) {
                    (low, f64::MAX) => (low * 16.0).min(f64::MAX),
                    (0.0, high) => high / 16.0,
                    // Apart, because the product of the two may overflow.
                    (low, high) => low.sqrt() * high.sqrt(),
                }
            });
        }
        Err(Error::Numerical {
            what: "the factor c of πᵢ = min(1, max(floor, c p̂ᵢ))".into(),
            value: c,
            remedy: "probabilities of the pilot so near to 0 that no factor tells them apart; ask for \
                     fewer negatives, raise the floor, or take a `HardnessBand`",
        })
    }

    fn proportional_to(&self, c: f64, p: f64) -> f64 {
        (c * p).max(self.floor).min(1.0)
    }
}

/// The number of rows is random with a relative deviation of about 1/√Σπ, so 10⁻⁶ is exact.
const TOLERANCE: f64 = 1e-6;
/// Newton's method needs about five; bisection of the whole range of `f64` needs sixty.
const MAX_STEPS: usize = 100;

/// Σ f(p̂) over the negatives.
fn sum(labels: &[bool], scores: &[f64], f: impl Fn(f64) -> f64 + Sync + Send) -> f64 {
    parallel::map(scores.len(), BLOCK, |_, rows| {
        let negatives = rows.filter(|&row| !labels[row]);
        negatives.map(|row| f(scores[row])).sum::<f64>()
    })
    .into_iter()
    .sum()
}

impl Sampler for PoissonHardNegatives {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        let totals = data.totals();
        totals.ensure_both(POISSON)?;
        let labels = data.labels();
        let scores = self.pilot.probabilities(data, run)?;
        let seed = run.seed().child("inclusion");
        let meter = Meter::new(run, POISSON, "rows", data.rows());
        match self.inclusion {
            Inclusion::Band(band) => {
                let hard = band.members(labels, &scores);
                if !hard.contains(&true) {
                    return Err(empty_band(POISSON, labels, &scores, band));
                }
                let inclusion =
                    |row: usize| if labels[row] || hard[row] { 1.0 } else { self.floor };
                poisson(data, inclusion, self.reweight, seed, POISSON, &meter)
            }
            Inclusion::Proportional { negatives_per_positive } => {
                let wanted = negatives_per_positive * totals.positives as f64;
                if wanted >= totals.negatives as f64 {
                    let asked = NegativesToKeep::PerPositive(negatives_per_positive);
                    return Ok(asked.note_shortage(&totals, Resample::identity()));
                }
                let c = self.factor(labels, &scores, wanted)?;
                let inclusion = |row: usize| {
                    if labels[row] { 1.0 } else { self.proportional_to(c, scores[row]) }
                };
                poisson(data, inclusion, self.reweight, seed, POISSON, &meter)
            }
        }
    }

    fn name(&self) -> String {
        POISSON.into()
    }

    saved_as_part!();
}

/// The band is empty: says where the scores are, and what to do.
fn empty_band(sampler: &'static str, labels: &[bool], scores: &[f64], band: HardnessBand) -> Error {
    let negatives = || scores.iter().zip(labels).filter(|(_, label)| !**label).map(|(s, _)| *s);
    let (low, high) = negatives().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), score| {
        (low.min(score), high.max(score))
    });
    let wanted = match band.0 {
        Kind::Window { centre, epsilon } => format!("within {epsilon} of {centre}"),
        Kind::Hardest(count) => format!("among the {count} hardest"),
        Kind::Quantiles { low, high } => format!("between the quantiles {low} and {high}"),
    };
    let why = format!(
        "none of the {} has a probability {wanted}: theirs range from {low:.4e} to {high:.4e}; move or \
         widen the band, or take `HardnessBand::hardest` or wider `HardnessBand::quantiles`",
        negatives().count()
    );
    Error::NothingSelected { sampler, class: "negative", why }
}

stored!(HardnessBand as "hardness_band", |band| { band: Kind = band.0 } => match band {
    Kind::Window { centre, epsilon } => Self::window(centre, epsilon),
    Kind::Hardest(count) => Self::hardest(count),
    Kind::Quantiles { low, high } => Self::quantiles(low, high),
});

stored!(HardNegativeMining as "hard_negative_mining", |mining| {
    pilot: PartOf<Pilot> = as_part(mining.pilot.saved(), &mining.pilot),
    band: HardnessBand = mining.band,
    random_share: f64 = mining.random_share,
} => Self::new(pilot.0, band).random_share(random_share));

stored!(PoissonHardNegatives as "poisson_hard_negatives", |poisson| {
    pilot: PartOf<Pilot> = as_part(poisson.pilot.saved(), &poisson.pilot),
    inclusion: Inclusion = poisson.inclusion,
    floor: f64 = poisson.floor,
    reweight: bool = poisson.reweight,
} => match inclusion {
    Inclusion::Band(band) => Self::band(pilot.0, band, floor),
    Inclusion::Proportional { negatives_per_positive } => {
        Self::proportional(pilot.0, negatives_per_positive, floor)
    }
}
.map(|poisson| poisson.reweight(reweight)));
