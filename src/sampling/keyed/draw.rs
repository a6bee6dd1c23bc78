//! What a keyed draw counts, collects and accounts for.

use super::super::Pilot;
use super::super::kept::ensure_kept;
use super::KeyedSample;
use super::Rows;
use crate::core::{ClassTotals, Distortion, Error, Result, Rows as CoreRows, Run, Selection};
use crate::data::{Batch, Pass, Table, TableBuilder};

/// Fine enough that the bin in which a pool's limit lies holds few rows, and small enough to be cleared for each part.
const BINS: usize = 1 << 16;

/// How a sampler of this crate decides about each row by itself; see [`KeyedSampling`](super::KeyedSampling).
#[derive(Clone, Copy)]
pub struct Keyed<'s>(pub(in crate::sampling) &'s dyn KeyedBy);

impl std::fmt::Debug for Keyed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").field("pools", &self.0.pools()).finish_non_exhaustive()
    }
}

/// A sampler that puts each row into a pool, and draws from each pool by keys.
pub(in crate::sampling) trait KeyedBy: Sync {
    /// Whether this form of the sampler can draw by keys at all.
    fn ensure_possible(&self) -> Result<()> {
        Ok(())
    }

    /// Number of pools. Default: one, of all rows.
    fn pools(&self) -> usize {
        1
    }

    /// The pool of each row, and how much sooner than others of its pool it is drawn: 1 usually, 0 for never.
    fn pools_of(&self, rows: &CoreRows<'_>) -> Result<Vec<(u16, f64)>> {
        Ok(vec![(0, 1.0); rows.len()])
    }

    /// Whether the draws depend on how many rows the pools have. Default: no.
    fn needs_sizes(&self) -> bool {
        false
    }

    /// How to draw from each pool; `sizes` is empty unless they are needed. Default: every row.
    fn draws(&self, _sizes: &[ClassTotals]) -> Result<Vec<Draw>> {
        Ok(vec![Draw::Each(1.0)])
    }

    /// The pilot whose probabilities decide, row by row, in place of the draws of the pools.
    fn pilot(&self) -> Option<&Pilot> {
        None
    }

    /// What becomes of a row to which the pilot gives the probability `p`.
    fn row(&self, _label: bool, _p: f64) -> RowDraw {
        RowDraw { probability: 1.0, weight: 1.0, offset: 0.0 }
    }

    /// What the draw did: `population` are all rows, `kept` those drawn.
    fn account(&self, population: &ClassTotals, kept: &ClassTotals) -> Result<Account>;
}

/// How rows of a pool are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::sampling) enum Draw {
    /// This number of rows, those of the lowest draws.
    Exactly(usize),
    /// Each row with this probability.
    Each(f64),
}

impl Draw {
    pub(super) fn limit(self, below: f64) -> Limit {
        match self {
            Self::Each(probability) => Limit { below: probability, exactly: None },
            Self::Exactly(rows) => Limit { below, exactly: Some(rows) },
        }
    }
}

/// A row's inclusion probability, the factor on its weight and the term added to its offset.
pub(in crate::sampling) struct RowDraw {
    pub(in crate::sampling) probability: f64,
    pub(in crate::sampling) weight: f64,
    pub(in crate::sampling) offset: f64,
}

/// What a draw did to the rows.
pub(in crate::sampling) struct Account {
    pub(in crate::sampling) distortion: Distortion,
    /// The factor on the weights of each pool, if weights make up for the draw.
    pub(in crate::sampling) weights: Option<Vec<f64>>,
    pub(in crate::sampling) notes: Vec<String>,
}

/// The draws of a pool below which a row is collected, and the number of rows kept in the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    below: f64,
    exactly: Option<usize>,
}

/// The rows of a batch, decided.
struct Decided {
    /// The draw of each row within its pool, above 1 for a row that is never drawn.
    draws: Vec<f64>,
    pools: Vec<u16>,
    /// The draws by which rows are held out.
    held_out: Option<Vec<f64>>,
}

impl Decided {
    fn of(rows: &Rows<'_>, batch: &Batch) -> Result<Self> {
        let [draw, hold_out] = rows.seeds;
        let mut draws = rows.key.draws(batch, draw)?;
        let pools = rows.keyed.pools_of(&batch.table.rows)?;
        for (draw, (_, priority)) in draws.iter_mut().zip(&pools) {
            if *priority == 0.0 {
                *draw = f64::INFINITY;
            } else if *priority != 1.0 {
                // The exponential waiting time −ln(1 − u)/w, brought back to [0, 1).
                *draw = -((-*draw).ln_1p() / priority).exp_m1();
            }
        }
        let held_out = rows.held_out.map(|_| rows.key.draws(batch, hold_out)).transpose()?;
        Ok(Self { draws, pools: pools.into_iter().map(|(pool, _)| pool).collect(), held_out })
    }

    fn is_held_out(&self, rows: &Rows<'_>, row: usize) -> bool {
        match (&self.held_out, rows.held_out) {
            (Some(draws), Some(held_out)) => draws[row] < held_out.share,
            _ => false,
        }
    }
}

/// Counts the rows of each pool, and how their draws are distributed.
pub(super) struct Counting<'r>(pub(super) &'r Rows<'r>);

pub(super) struct Sizes {
    pools: Vec<ClassTotals>,
    /// For each pool the number of draws in each bin of [0, 1).
    bins: Vec<Vec<u64>>,
}

impl Sizes {
    fn new(pools: usize, bins: usize) -> Self {
        Self { pools: vec![ClassTotals::of(&[], None); pools], bins: vec![vec![0; bins]; pools] }
    }

    pub(super) fn rows(&self) -> usize {
        self.pools.iter().map(ClassTotals::rows).sum()
    }

    pub(super) fn of_pools(&self) -> Vec<ClassTotals> {
        self.pools.clone()
    }

    fn add(&mut self, pool: u16, label: bool, weight: f64) {
        let totals = &mut self.pools[usize::from(pool)];
        if label {
            totals.positives += 1;
            totals.positive_weight += weight;
        } else {
            totals.negatives += 1;
            totals.negative_weight += weight;
        }
    }

    fn merge(&mut self, next: Self) {
        for (all, more) in self.pools.iter_mut().zip(next.pools) {
            *all = all.plus(&more);
        }
        for (all, more) in self.bins.iter_mut().zip(next.bins) {
            all.iter_mut().zip(more).for_each(|(all, more)| *all += more);
        }
    }

    fn total(&self) -> ClassTotals {
        self.pools.iter().fold(ClassTotals::of(&[], None), |all, pool| all.plus(pool))
    }

    /// The draws with the limits below which rows are collected: the end of the bin in which the wanted number is
    /// reached.
    pub(super) fn limits(&self, draws: Vec<Draw>) -> Vec<Limit> {
        let limit = |(draw, bins): (Draw, &Vec<u64>)| {
            let Draw::Exactly(wanted) = draw else { return draw.limit(1.0) };
            let mut found = 0;
            let enough = bins.iter().position(|rows| {
                found += rows;
                found >= wanted as u64
            });
            draw.limit(enough.map_or(1.0, |bin| (bin + 1) as f64 / bins.len() as f64))
        };
        draws.into_iter().zip(&self.bins).map(limit).collect()
    }
}

impl Pass for Counting<'_> {
    type Sum = Sizes;

    fn empty(&self) -> Sizes {
        let pools = self.0.keyed.pools();
        Sizes::new(pools, (BINS / pools).max(256))
    }

    fn add(&self, sizes: &mut Sizes, batch: &Batch) -> Result<()> {
        let decided = Decided::of(self.0, batch)?;
        let weights = batch.table.weights();
        for (row, &label) in batch.table.labels().iter().enumerate() {
            if decided.is_held_out(self.0, row) {
                continue;
            }
            let pool = decided.pools[row];
            sizes.add(pool, label, weights.map_or(1.0, |weights| weights[row]));
            let bins = &mut sizes.bins[usize::from(pool)];
            let bin = (decided.draws[row] * bins.len() as f64) as usize;
            if let Some(rows) = bins.get_mut(bin) {
                *rows += 1;
            }
        }
        Ok(())
    }

    fn merge(&self, sizes: &mut Sizes, next: Sizes) -> Result<()> {
        sizes.merge(next);
        Ok(())
    }
}

/// Collects the rows whose draws are below the limits of their pools.
pub(super) struct Collecting<'r> {
    pub(super) rows: &'r Rows<'r>,
    pub(super) limits: &'r [Limit],
}

pub(super) struct Collected {
    table: TableBuilder,
    /// Of each collected row.
    pools: Vec<u16>,
    draws: Vec<f64>,
    /// What the pilot says of each collected row, if there is one.
    by_pilot: Option<Columns>,
    held_out: Held,
    pub(super) sizes: Sizes,
}

#[derive(Default)]
struct Columns {
    weights: Vec<f64>,
    offsets: Vec<f64>,
}

impl Pass for Collecting<'_> {
    type Sum = Collected;

    fn empty(&self) -> Collected {
        let keyed = self.rows.keyed;
        Collected {
            table: TableBuilder::default(),
            pools: Vec::new(),
            draws: Vec::new(),
            by_pilot: keyed.pilot().map(|_| Columns::default()),
            held_out: Held::default(),
            sizes: Sizes::new(keyed.pools(), 0),
        }
    }

    fn add(&self, all: &mut Collected, batch: &Batch) -> Result<()> {
        let decided = Decided::of(self.rows, batch)?;
        let by_pilot = self.by_pilot(batch)?;
        let (labels, weights) = (batch.table.labels(), batch.table.weights());
        let (mut kept, mut held_out) = (Vec::new(), Vec::new());
        for (row, &label) in labels.iter().enumerate() {
            if decided.is_held_out(self.rows, row) {
                held_out.push(row);
                continue;
            }
            let (pool, draw) = (decided.pools[row], decided.draws[row]);
            all.sizes.add(pool, label, weights.map_or(1.0, |weights| weights[row]));
            let limit = match &by_pilot {
                Some(draws) => draws[row].probability,
                None => self.limits[usize::from(pool)].below,
            };
            if draw < limit {
                kept.push(row);
                all.pools.push(pool);
                all.draws.push(draw);
                if let (Some(columns), Some(draws)) = (&mut all.by_pilot, &by_pilot) {
                    columns.weights.push(draws[row].weight);
                    columns.offsets.push(draws[row].offset);
                }
            }
        }
        all.table.append(&batch.table, &Selection::of(&kept))?;
        if let (Some(draws), Some(bound)) = (&decided.held_out, self.rows.held_out) {
            all.held_out.add(&batch.table, &held_out, draws, bound.most)?;
        }
        Ok(())
    }

    fn merge(&self, all: &mut Collected, next: Collected) -> Result<()> {
        all.table.append_all(next.table)?;
        all.pools.extend(next.pools);
        all.draws.extend(next.draws);
        if let (Some(all), Some(next)) = (&mut all.by_pilot, next.by_pilot) {
            all.weights.extend(next.weights);
            all.offsets.extend(next.offsets);
        }
        all.sizes.merge(next.sizes);
        match self.rows.held_out {
            Some(bound) => all.held_out.merge(next.held_out, bound.most),
            None => Ok(()),
        }
    }
}

impl Collecting<'_> {
    fn by_pilot(&self, batch: &Batch) -> Result<Option<Vec<RowDraw>>> {
        let Some(pilot) = self.rows.keyed.pilot() else { return Ok(None) };
        let encoder = self.rows.encoder.ok_or_else(|| {
            Error::invalid(
                "encoder",
                "none",
                "that of the pilot's features: the sampler has a pilot",
            )
        })?;
        let data = encoder.encode(&batch.table)?;
        let probabilities = pilot.probabilities(&data, &Run::default())?;
        let rows = data.labels().iter().zip(probabilities);
        Ok(Some(rows.map(|(&label, p)| self.rows.keyed.row(label, p)).collect()))
    }
}

impl Collected {
    /// The sample, cut to the wanted number in each pool, with weights, offsets and distortion.
    pub(super) fn finish(self, keyed: &dyn KeyedBy, limits: &[Limit]) -> Result<KeyedSample> {
        let population = self.sizes.total();
        let kept = within(&self.pools, &self.draws, limits);
        let Some(collected) = self.table.finish()? else { return Err(nothing(&population)) };
        if kept.is_empty() {
            return Err(nothing(&population));
        }
        let mut table =
            if kept.len() == collected.rows() { collected } else { collected.select(&kept)? };
        let account = keyed.account(&population, &table.totals())?;
        let of_kept = |values: &[f64]| kept.iter().map(|&row| values[row]).collect::<Vec<_>>();
        let (mut factors, mut terms) = (None, None);
        if let Some(columns) = &self.by_pilot {
            factors = Some(of_kept(&columns.weights));
            terms = Some(of_kept(&columns.offsets));
        }
        if let Some(by_pool) = &account.weights {
            factors = Some(kept.iter().map(|&row| by_pool[usize::from(self.pools[row])]).collect());
        }
        if let Some(mut factors) = factors.filter(|all| all.iter().any(|&factor| factor != 1.0)) {
            if let Some(own) = table.weights() {
                factors.iter_mut().zip(own).for_each(|(factor, own)| *factor *= own);
            }
            table = table.with_weights(factors)?;
        }
        if let Some(mut terms) = terms {
            if let Some(own) = table.offsets() {
                terms.iter_mut().zip(own).for_each(|(term, own)| *term += own);
            }
            table = table.with_offsets(terms)?;
        }
        let distortion = table.distortion().clone().then(account.distortion).checked()?;
        Ok(KeyedSample {
            table: table.with_distortion(distortion),
            held_out: self.held_out.finish()?,
            population,
            notes: account.notes,
        })
    }
}

fn nothing(population: &ClassTotals) -> Error {
    let class = if population.positives > 0 { "positive" } else { "negative" };
    let why = format!(
        "of {} positives and {} negatives none was drawn; raise the rates",
        population.positives, population.negatives
    );
    Error::NothingSelected { sampler: "keyed sampling", class, why }
}

/// The rows whose draws are among the wanted number of the lowest in their pool. Equal draws are of equal keys, which
/// stay together.
fn within(pools: &[u16], draws: &[f64], limits: &[Limit]) -> Vec<usize> {
    let highest: Vec<f64> = limits
        .iter()
        .enumerate()
        .map(|(pool, limit)| {
            let Some(wanted) = limit.exactly else { return f64::INFINITY };
            let of_pool = pools.iter().zip(draws).filter(|(of, _)| usize::from(**of) == pool);
            let mut of_pool: Vec<f64> = of_pool.map(|(_, draw)| *draw).collect();
            match wanted.checked_sub(1) {
                None => f64::NEG_INFINITY,
                Some(last) if last >= of_pool.len() => f64::INFINITY,
                Some(last) => *of_pool.select_nth_unstable_by(last, f64::total_cmp).1,
            }
        })
        .collect();
    let is_within = |&row: &usize| draws[row] <= highest[usize::from(pools[row])];
    (0..draws.len()).filter(is_within).collect()
}

/// Rows held out, of the lowest draws.
#[derive(Default)]
struct Held {
    table: TableBuilder,
    draws: Vec<f64>,
}

impl Held {
    fn add(&mut self, table: &Table, rows: &[usize], draws: &[f64], most: usize) -> Result<()> {
        self.table.append(table, &Selection::of(rows))?;
        self.draws.extend(rows.iter().map(|&row| draws[row]));
        // Twice the rows wait to be cut, so that cutting takes a constant time a row.
        if self.draws.len() > 2 * most { self.cut(most) } else { Ok(()) }
    }

    fn merge(&mut self, next: Self, most: usize) -> Result<()> {
        self.table.append_all(next.table)?;
        self.draws.extend(next.draws);
        self.cut(most)
    }

    /// Keeps the rows of the lowest draws.
    fn cut(&mut self, most: usize) -> Result<()> {
        if self.draws.len() <= most {
            return Ok(());
        }
        let mut sorted = self.draws.clone();
        let highest = *sorted.select_nth_unstable_by(most - 1, f64::total_cmp).1;
        let rows: Vec<usize> =
            (0..self.draws.len()).filter(|&row| self.draws[row] <= highest).collect();
        let table = std::mem::take(&mut self.table).finish()?;
        if let Some(table) = table {
            self.table.append(&table, &Selection::of(&rows))?;
        }
        self.draws = rows.iter().map(|&row| self.draws[row]).collect();
        Ok(())
    }

    fn finish(self) -> Result<Option<Table>> {
        self.table.finish()
    }
}

/// The account of rows chosen by their features.
pub(in crate::sampling) fn by_features(
    population: &ClassTotals,
    kept: &ClassTotals,
    sampler: &'static str,
    why: impl Fn(&ClassTotals) -> String,
) -> Result<Account> {
    ensure_kept(kept, sampler, why)?;
    let nominal_log_odds = Some(kept.log_odds() - population.log_odds());
    let distortion = if kept.rows() == population.rows() {
        Distortion::None
    } else {
        Distortion::FeatureDependent { sampler: sampler.into(), nominal_log_odds }
    };
    Ok(Account { distortion, weights: None, notes: Vec::new() })
}
