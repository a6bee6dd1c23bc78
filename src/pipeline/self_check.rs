//! Do the probabilities of a fitted pipeline agree with its own rows?

use std::fmt;
use std::ops::Range;

use super::Warning;
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel::sum_block;
use crate::numerics::power_of_two_below;
use crate::sampling::{Inclusion, Resample, Rows};

/// Standard errors by which an overall figure may be off without a warning. With normal errors chance exceeds it
/// in 0.27 % of fits (predicted against observed, in either direction) and in 0.13 % (left out against kept, which
/// memorised rows can only raise).
const LIMIT: f64 = 3.0;
/// The same for the worst of ten deciles: with normal errors in 0.06 % of fits.
const DECILE_LIMIT: f64 = 4.0;
/// Positives from which on a ranking is judged.
const FEW_POSITIVES: f64 = 50.0;
const DECILES: usize = 10;
/// Most rows from which the limits between the deciles are taken.
const SAMPLE: usize = 1 << 16;

/// The agreement of a pipeline's probabilities with rows whose labels it holds, with standard errors, overall
/// and by decile of the probability.
///
/// With p the probability, y the label and w the weight of a row (1 without weights):
///
/// * **Predicted against observed**, Σ w p − Σ w y. Its variance is that of the labels, the larger of Σ w² p(1 − p)
///   and the mean of that and Σ w² y (the Poisson variance of the positives that came), plus that of the
///   sampling, Σ w² (p − y)² (1 − π)/π with π the probability that a row was kept (for negatives with
///   p − p̄ in place of p − y, as their number is known).
/// * **Negatives left out against negatives kept** ([`LeftOut`]), on training rows, where the sampler draws at
///   random and says how ([`Inclusion`]).
///
/// Rows are taken as independent: where the rows of one user go together, standard errors are too small.
/// `docs/reliability.md` has the derivation, and the simulated rates of false alarms and of detection.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SelfCheck {
    /// The rows.
    pub on: CheckedOn,
    /// All rows.
    pub overall: Agreement,
    /// The rows by decile of the probability, lowest first. Rows of equal probability stay together, so a
    /// decile may be missing. Of more than 65,536 rows the limits are those of evenly spaced ones.
    pub deciles: Vec<Agreement>,
    /// The area under the ROC curve by deciles, and its standard error if the probabilities told nothing.
    pub ranking: (f64, f64),
    /// Whether the population's rate was given by hand: then predicted and observed may differ on these rows,
    /// and only negatives left out are compared with negatives kept.
    pub is_rate_given: bool,
    /// Positives, as their effective number (Σ w)²/Σ w².
    positives: f64,
}

/// The rows of a [`SelfCheck`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckedOn {
    /// The rows that went into the sampler: those it kept taught the model.
    Training,
    /// Rows that the model has not seen. If the calibrator learns, it has.
    Calibration,
    /// All rows that were judged in a fold, by a model and a calibrator of other folds.
    OutOfFold,
}

/// Predicted and observed positives among some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Agreement {
    /// Number of rows.
    pub rows: usize,
    /// The probabilities are at most this; those of the next decile are above it.
    pub up_to: f64,
    /// Σ w p.
    pub predicted: f64,
    /// Σ w y.
    pub observed: f64,
    /// Standard error of their difference.
    pub standard_error: f64,
    /// Negatives left out by the sampler against negatives kept, if they can be compared.
    pub left_out: Option<LeftOut>,
}

/// Negatives that the sampler left out against negatives that it kept. Given labels and inclusion probabilities π,
/// which of them are kept is chance, so their mean probabilities agree, unless the model has memorised the rows
/// it saw.
///
/// The mean over kept negatives weighs each with (1 − π)/π, so that they stand for the negatives left out
/// (Horvitz & Thompson 1952; as a ratio: Hájek 1971). The standard error of the difference is
/// √Σ w²(p − p̄)²(1 − π)/π / W, over all negatives, with W the weight of those left out; where all π are equal,
/// that is s√(1/k + 1/m) for k kept and m left out with the common standard deviation s. In a decile, the
/// numbers are its share of the two means.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LeftOut {
    /// The mean probability of negatives kept.
    pub kept: f64,
    /// The mean probability of negatives left out.
    pub left_out: f64,
    /// Standard error of their difference.
    pub standard_error: f64,
}

impl Agreement {
    /// Predicted / observed; ∞ if no positives came.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.predicted / self.observed
    }

    fn scaled(self, unit: f64) -> Self {
        let [predicted, observed, standard_error] =
            [self.predicted, self.observed, self.standard_error].map(|sum| sum * unit);
        Self { predicted, observed, standard_error, ..self }
    }

    /// By how many standard errors there is more predicted than observed.
    #[must_use]
    pub fn standard_errors(&self) -> f64 {
        in_units(self.predicted - self.observed, self.standard_error)
    }
}

impl LeftOut {
    /// By how many standard errors the mean of negatives left out is above that of negatives kept.
    #[must_use]
    pub fn standard_errors(&self) -> f64 {
        in_units(self.left_out - self.kept, self.standard_error)
    }
}

/// A difference in standard errors; 0 for none at all.
fn in_units(difference: f64, unit: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference / unit }
}

impl SelfCheck {
    /// Whether some of the rows were seen by neither sampler nor model.
    #[must_use]
    pub fn has_unseen_rows(&self) -> bool {
        self.on != CheckedOn::Training || self.overall.left_out.is_some()
    }

    /// What is off: empty unless a figure is off by more than chance explains.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let (on, overall) = (self.on, &self.overall);
        let ratios = |figure: &Agreement| (figure.ratio(), figure.standard_error / figure.observed);
        let mut warnings = Vec::new();
        if !self.is_rate_given && overall.standard_errors().abs() > LIMIT {
            let (predicted_over_observed, standard_error) = ratios(overall);
            warnings.push(Warning::MeanOff { on, predicted_over_observed, standard_error });
        }
        if let Some(means) = overall.left_out.filter(|means| means.standard_errors() > LIMIT) {
            warnings.push(Warning::Memorised { means });
        }
        if on == CheckedOn::Training {
            return warnings;
        }
        let worst = self.deciles.iter().enumerate().max_by(|(_, a), (_, b)| {
            a.standard_errors().abs().total_cmp(&b.standard_errors().abs())
        });
        if let Some((decile, &figure)) = worst
            && warnings.is_empty()
            && figure.standard_errors().abs() > DECILE_LIMIT
        {
            warnings.push(Warning::DecileOff { on, decile: decile + 1, figure });
        }
        let (area, standard_error) = self.ranking;
        if self.positives >= FEW_POSITIVES && area < 0.5 + standard_error {
            warnings.push(Warning::NoRanking { on, area, standard_error });
        }
        warnings
    }
}

/// Rows with their probabilities, to be checked.
pub(super) struct Judged<'a> {
    pub(super) on: CheckedOn,
    pub(super) probabilities: &'a [f64],
    pub(super) labels: &'a [bool],
    pub(super) weights: Option<&'a [f64]>,
    /// Which of the rows the sampler kept, if it left some out.
    pub(super) drawn: Option<&'a Drawn>,
    /// Variance of what is predicted, as a share of its square, beyond that of the labels of these rows.
    pub(super) relative_variance: f64,
    pub(super) is_rate_given: bool,
}

/// Which rows a sampler kept, and how likely it was to do so.
#[derive(Debug)]
pub(super) struct Drawn {
    kept: Vec<bool>,
    inclusion: Inclusion,
    /// The share of the negatives and of the positives that was kept.
    shares: [f64; 2],
}

impl Drawn {
    /// None if every row was kept.
    pub(super) fn of(resample: &Resample, labels: &[bool]) -> Option<Self> {
        let Rows::Kept(rows) = &resample.rows else { return None };
        let mut kept = vec![false; labels.len()];
        for &row in rows {
            // A row out of range is refused when the resample is applied.
            *kept.get_mut(row)? = true;
        }
        let (mut counts, mut all) = ([0.0; 2], [0.0; 2]);
        for (&kept, &label) in kept.iter().zip(labels) {
            counts[usize::from(label)] += f64::from(u8::from(kept));
            all[usize::from(label)] += 1.0;
        }
        let shares = [0, 1].map(|class| counts[class] / all[class]);
        let inclusion = resample.inclusion.clone();
        (counts != all).then_some(Self { kept, inclusion, shares })
    }

    /// Whether negatives left out can be compared with negatives kept.
    fn is_comparable(&self) -> bool {
        self.inclusion != Inclusion::Unknown && self.shares[0] < 1.0
    }

    /// (1 − π)/π of a row, the odds against its being kept. Where π is not known, that of its class.
    fn odds_against(&self, row: usize, label: bool) -> f64 {
        let inclusion = match &self.inclusion {
            Inclusion::Each(inclusion) => inclusion[row],
            _ => self.shares[usize::from(label)],
        };
        (1.0 - inclusion) / inclusion
    }
}

impl Judged<'_> {
    pub(super) fn check(&self) -> SelfCheck {
        let limits = self.limits();
        // Squares of weights must not overflow.
        let largest =
            self.weights.map_or(1.0, |weights| weights.iter().copied().fold(0.0, f64::max));
        let unit = if largest > 0.0 { power_of_two_below(largest) } else { 1.0 };
        let bins = vec![Sums::default(); DECILES];
        let empty = || Tally { rows: self, limits: &limits, unit, bins: bins.clone() };
        let rows = self.labels.len();
        let size = sum_block(rows, DECILES * SUMS);
        let bins = accumulate(rows, size, empty, |rows| rows).unwrap_or_else(empty).bins;
        let mut all = Sums::default();
        bins.iter().for_each(|bin| all.merge(bin));
        let compared = self.drawn.is_some_and(Drawn::is_comparable);
        let figure = |sums: &Sums| self.agreement(sums, &all, compared).scaled(unit);
        SelfCheck {
            on: self.on,
            overall: figure(&all),
            deciles: bins.iter().filter(|bin| bin.rows > 0).map(figure).collect(),
            ranking: ranking(&bins, &all),
            is_rate_given: self.is_rate_given,
            positives: effective(all.observed, all.observed_squares),
        }
    }

    /// The nine limits between the deciles.
    fn limits(&self) -> [f64; DECILES - 1] {
        let step = self.probabilities.len().div_ceil(SAMPLE).max(1);
        let mut sample: Vec<f64> = self.probabilities.iter().copied().step_by(step).collect();
        sample.sort_unstable_by(f64::total_cmp);
        std::array::from_fn(|i| {
            let limit = (i + 1) * sample.len() / DECILES;
            sample.get(limit.saturating_sub(1)).copied().unwrap_or_default()
        })
    }

    fn agreement(&self, sums: &Sums, all: &Sums, compared: bool) -> Agreement {
        let labels = sums.spread.max(0.5 * (sums.spread + sums.observed_squares));
        // Σ w² r (p − m)² by its terms, with r = (1 − π)/π and m the part of the mean that is in this decile.
        let around = |m: f64| {
            let [all_r, r_p, r_pp] = [all.odds[0], sums.odds[1], sums.odds[2]];
            (r_pp - 2.0 * m * r_p + m * m * all_r).max(0.0)
        };
        let negatives = all.weight - all.observed;
        let mean = if negatives > 0.0 {
            (sums.predicted - sums.predicted_positives) / negatives
        } else {
            0.0
        };
        // Where each row was drawn on its own, their number varies too.
        let by_row = self.drawn.is_some_and(|drawn| matches!(drawn.inclusion, Inclusion::Each(_)));
        let sampling = around(if by_row { 0.0 } else { mean }) + sums.odds_of_positives;
        let model = self.relative_variance * sums.predicted.powi(2);
        let left_out = compared.then(|| {
            let left_out = sums.left_out[1] / all.left_out[0];
            LeftOut {
                kept: sums.kept[1] / all.kept[0],
                left_out,
                standard_error: around(left_out).sqrt() / all.left_out[0],
            }
        });
        Agreement {
            rows: sums.rows,
            up_to: sums.up_to,
            predicted: sums.predicted,
            observed: sums.observed,
            standard_error: (labels + sampling + model).sqrt(),
            left_out: left_out.filter(|means| means.kept.is_finite() && means.left_out.is_finite()),
        }
    }
}

/// The area under the ROC curve of the deciles, and its standard error for equal distributions of both classes.
fn ranking(bins: &[Sums], all: &Sums) -> (f64, f64) {
    let (mut below, mut area) = (0.0, 0.0);
    for bin in bins {
        let negatives = bin.weight - bin.observed;
        area += bin.observed * (below + 0.5 * negatives);
        below += negatives;
    }
    let positives = effective(all.observed, all.observed_squares);
    let negatives = effective(below, all.squares - all.observed_squares);
    (area / (all.observed * below), ((1.0 / positives + 1.0 / negatives) / 12.0).sqrt())
}

/// (Σ w)²/Σ w².
fn effective(weight: f64, squares: f64) -> f64 {
    if squares > 0.0 { weight * weight / squares } else { 0.0 }
}

/// Numbers in [`Sums`].
const SUMS: usize = 20;

/// Sums over the rows of a decile; r = (1 − π)/π.
#[derive(Debug, Clone, Default)]
struct Sums {
    rows: usize,
    up_to: f64,
    /// Σ w and Σ w².
    weight: f64,
    squares: f64,
    /// Σ w y and Σ w² y.
    observed: f64,
    observed_squares: f64,
    /// Σ w p, that over positives, and Σ w² p(1 − p).
    predicted: f64,
    predicted_positives: f64,
    spread: f64,
    /// Σ w² r p⁰, p¹ and p² over negatives, and Σ w² r (1 − p)² over positives.
    odds: [f64; 3],
    odds_of_positives: f64,
    /// Σ w r and Σ w r p over kept negatives, Σ w and Σ w p over negatives left out.
    kept: [f64; 2],
    left_out: [f64; 2],
}

impl Sums {
    fn add(&mut self, w: f64, p: f64, label: bool) {
        self.rows += 1;
        self.up_to = self.up_to.max(p);
        self.weight += w;
        self.squares += w * w;
        self.predicted += w * p;
        self.spread += w * w * p * (1.0 - p);
        if label {
            self.observed += w;
            self.observed_squares += w * w;
            self.predicted_positives += w * p;
        }
    }

    fn add_draw(&mut self, w: f64, p: f64, label: bool, kept: bool, r: f64) {
        let variance = w * w * r;
        if label {
            self.odds_of_positives += variance * (1.0 - p) * (1.0 - p);
            return;
        }
        self.odds[0] += variance;
        self.odds[1] += variance * p;
        self.odds[2] += variance * p * p;
        let (sums, weight) = if kept { (&mut self.kept, w * r) } else { (&mut self.left_out, w) };
        sums[0] += weight;
        sums[1] += weight * p;
    }

    fn merge(&mut self, next: &Self) {
        self.rows += next.rows;
        self.up_to = self.up_to.max(next.up_to);
        self.weight += next.weight;
        self.squares += next.squares;
        self.observed += next.observed;
        self.observed_squares += next.observed_squares;
        self.predicted += next.predicted;
        self.predicted_positives += next.predicted_positives;
        self.spread += next.spread;
        self.odds_of_positives += next.odds_of_positives;
        let pairs = [(&mut self.kept, &next.kept), (&mut self.left_out, &next.left_out)];
        for (sums, next) in pairs {
            sums.iter_mut().zip(next).for_each(|(sum, term)| *sum += term);
        }
        self.odds.iter_mut().zip(next.odds).for_each(|(sum, term)| *sum += term);
    }
}

/// The sums of each decile.
struct Tally<'a> {
    rows: &'a Judged<'a>,
    limits: &'a [f64; DECILES - 1],
    /// What weights are divided by.
    unit: f64,
    bins: Vec<Sums>,
}

impl Accumulate for Tally<'_> {
    type Block<'b> = Range<usize>;

    fn add(&mut self, block: Range<usize>) {
        let Judged { probabilities, labels, weights, drawn, .. } = *self.rows;
        for row in block {
            let (p, label) = (probabilities[row], labels[row]);
            let weight = weights.map_or(1.0, |weights| weights[row] / self.unit);
            let decile = self.limits.iter().filter(|&&limit| p > limit).count();
            self.bins[decile].add(weight, p, label);
            if let Some(drawn) = drawn {
                let odds = drawn.odds_against(row, label);
                self.bins[decile].add_draw(weight, p, label, drawn.kept[row], odds);
            }
        }
    }

    fn merge(&mut self, next: Self) {
        self.bins.iter_mut().zip(&next.bins).for_each(|(sums, next)| sums.merge(next));
    }
}

impl fmt::Display for CheckedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "training rows",
            Self::Calibration => "rows given to the calibrator",
            Self::OutOfFold => "rows out of fold",
        })
    }
}

/// Figures of one line: predicted / observed, and left out / kept.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, predicted, observed, .. } = self;
        let error = self.standard_error / observed;
        write!(
            f,
            "{rows:>9} {predicted:>11.1} {observed:>10.1} {:>7.3} ± {error:<7.3}",
            self.ratio()
        )?;
        if let Some(means) = self.left_out {
            let error = means.standard_error / means.kept;
            write!(f, " {:>7.3} ± {error:<7.3}", means.left_out / means.kept)?;
        }
        Ok(())
    }
}

impl fmt::Display for SelfCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.on)?;
        if !self.has_unseen_rows() {
            write!(f, "; not checked on unseen rows (`Pipeline::check` does that)")?;
        }
        if self.is_rate_given {
            write!(f, "; the population's rate was given, so predicted may differ from observed")?;
        }
        write!(f, "\ndecile, p up to    rows   predicted   observed    pred./observed")?;
        if self.overall.left_out.is_some() {
            write!(f, "   left out/kept")?;
        }
        for (i, decile) in self.deciles.iter().enumerate() {
            write!(f, "\n{:>2}  {:>9.2e} {decile}", i + 1, decile.up_to)?;
        }
        write!(f, "\nall           {}", self.overall)?;
        write!(f, "\nin standard errors: predicted {:+.1}", self.overall.standard_errors())?;
        if let Some(means) = self.overall.left_out {
            write!(f, ", left out {:+.1}", means.standard_errors())?;
        }
        Ok(())
    }
}
