//! The sums behind a pipeline's check of itself: one pass over rows with their probabilities.

use std::ops::Range;

use super::{Agreement, CheckedOn, LeftOut, SelfCheck};
use crate::exec::accumulate::{Accumulate, accumulate};
use crate::exec::parallel::sum_block;
use crate::numerics::power_of_two_below;
use crate::sampling::{Inclusion, Resample, Rows};

const DECILES: usize = 10;
/// Most rows from which the limits between the deciles are taken.
const SAMPLE: usize = 1 << 16;

/// Rows with their probabilities, to be checked.
pub(super) struct Judged<'a> {
    pub(super) on: CheckedOn,
    pub(super) probabilities: &'a [f64],
    pub(super) labels: &'a [bool],
    pub(super) weights: Option<&'a [f64]>,
    /// Which of the rows the sampler kept, if it left some out.
    pub(super) drawn: Option<&'a Drawn>,
    /// Standard error of what is predicted, as a share of it, beyond that of the labels of these rows.
    pub(super) relative_error: f64,
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
        let model = (self.relative_error * sums.predicted).powi(2);
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
