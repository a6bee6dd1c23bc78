//! Sampling of logs that are read batch by batch: each row is kept or left out by its key.

mod draw;
mod key;

pub use draw::Keyed;
pub(super) use draw::{Account, Draw, KeyedBy, RowDraw, by_features};
pub use key::RowKey;

use draw::{Collecting, Counting, Sizes};

use super::Sampler;
use crate::core::{ClassTotals, Error, Result, Run};
use crate::data::{FittedEncoder, Source, Table, sum};

/// Draws a sample of a log of any size into memory, by keys.
///
/// A row is kept if a [draw from its key](RowKey) is below its inclusion probability: the same rows for any division into
/// files, batches and threads. The source is read once where the inclusion probabilities are known, and twice where they
/// follow from counts, such as five negatives for each positive. Weights, offsets and the [`Distortion`] come from what
/// really happened, as in memory.
///
/// | sampler | passes |
/// |---|---|
/// | [`NoSampling`](super::NoSampling), [`PoissonRuleSampler`](super::PoissonRuleSampler), [`RuleSampler::filter`](super::RuleSampler::filter), [`RandomUnderSampler`](super::RandomUnderSampler) at a rate by [`DrawMode::Bernoulli`](super::DrawMode::Bernoulli), [`LocalCaseControl`](super::LocalCaseControl) with a given pilot | 1 |
/// | the other forms of [`RandomUnderSampler`](super::RandomUnderSampler) and [`RuleSampler`](super::RuleSampler) | 2 |
/// | with replacement, over-sampling, neighbours, hard negatives by rank | refused: draw a sample first, then resample it |
///
/// ```
/// use imbalance::prelude::*;
/// use imbalance::data::Table;
/// use imbalance::sampling::{KeyedSampling, RowKey};
///
/// let table = Table::new((0..10_000).map(|row| row % 100 == 0).collect::<Vec<_>>())?
///     .with_numeric("id", (0..10_000).map(f64::from).collect::<Vec<_>>())?;
/// let sampler = RandomUnderSampler::negatives_per_positive(5.0)?;
/// let drawn = KeyedSampling::new(&sampler).key(RowKey::column("id")).draw(&table, &Run::seeded(7))?;
///
/// assert_eq!(drawn.table.totals().negatives, 500);
/// assert_eq!(drawn.population.negatives, 9_900);
/// assert!((drawn.table.distortion().log_odds().unwrap() - 19.8_f64.ln()).abs() < 1e-12);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// Memory: the kept rows; of each pool of rows drawn exactly, a bin of its draws more, of 65,536 bins that the pools share; a
/// batch for each thread.
///
/// [`Distortion`]: crate::Distortion
#[derive(Debug, Clone)]
pub struct KeyedSampling<'s> {
    sampler: &'s dyn Sampler,
    key: RowKey,
    encoder: Option<&'s FittedEncoder>,
    held_out: Option<HeldOut>,
}

/// Which rows are held out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldOut {
    share: f64,
    most: usize,
}

impl HeldOut {
    pub(crate) fn new(share: f64, most: usize) -> Result<Self> {
        if !(share > 0.0 && share < 1.0) {
            return Err(Error::invalid("share", share, "above 0 and below 1"));
        }
        if most == 0 {
            return Err(Error::invalid("most", most, "at least 1"));
        }
        Ok(Self { share, most })
    }
}

impl Default for HeldOut {
    /// A tenth, and at most a million rows.
    fn default() -> Self {
        Self { share: 0.1, most: 1_000_000 }
    }
}

/// A sample of a log, drawn by keys.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeyedSample {
    /// The kept rows in the order of the source, with their weights, offsets and [distortion](Table::distortion).
    pub table: Table,
    /// The rows that were [held out](KeyedSampling::hold_out), as they were; none if none were asked for.
    pub held_out: Option<Table>,
    /// All rows that could be kept: those of the source, without those held out.
    pub population: ClassTotals,
    /// What the user should know of this draw, a sentence each.
    pub notes: Vec<String>,
}

impl<'s> KeyedSampling<'s> {
    /// Draws by this sampler, with the [place](RowKey::place) of a row as its key.
    #[must_use]
    pub fn new(sampler: &'s dyn Sampler) -> Self {
        Self { sampler, key: RowKey::default(), encoder: None, held_out: None }
    }

    /// The key of the rows. Default: their place.
    #[must_use]
    pub fn key(mut self, key: RowKey) -> Self {
        self.key = key;
        self
    }

    /// The encoder whose features the sampler's pilot predicts from. Default: none; only pilots need one.
    #[must_use]
    pub fn encoder(mut self, encoder: &'s FittedEncoder) -> Self {
        self.encoder = Some(encoder);
        self
    }

    /// Holds a share of all rows out, by another draw from their keys, before the sampler acts: a fair sample, to
    /// calibrate and to judge on. At most `most` of them are kept in memory, the rows of the lowest draws; the others are
    /// not used. Default: none are held out.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `share` < 1 and `most` is positive.
    pub fn hold_out(mut self, share: f64, most: usize) -> Result<Self> {
        self.held_out = Some(HeldOut::new(share, most)?);
        Ok(self)
    }

    pub(crate) fn holding_out(mut self, held_out: HeldOut) -> Self {
        self.held_out = Some(held_out);
        self
    }

    /// Reads the source and collects the sample.
    ///
    /// # Errors
    /// Those of the source and of the sampler; [`Error::Unsupported`] for a sampler that needs all rows at once;
    /// [`Error::UnknownColumn`] for a key that is no column, and [`Error::NonFinite`] for a key that is missing;
    /// [`Error::NoRows`]; [`Error::NothingSelected`]; [`Error::Cancelled`].
    pub fn draw(&self, source: &(impl Source + ?Sized), run: &Run) -> Result<KeyedSample> {
        let Keyed(keyed) = self.sampler.keyed().ok_or_else(|| self.refusal())?;
        keyed.ensure_possible()?;
        let seeds = [run.seed().child("draw"), run.seed().child("hold-out")];
        let rows =
            Rows { keyed, key: &self.key, encoder: self.encoder, held_out: self.held_out, seeds };
        let draws = if keyed.needs_sizes() {
            let sizes = sum(source, &Counting(&rows), "counting", run)?;
            ensure_rows(&sizes)?;
            sizes.limits(keyed.draws(&sizes.of_pools())?)
        } else {
            keyed.draws(&[])?.into_iter().map(|draw| draw.limit(1.0)).collect()
        };
        let collected = sum(source, &Collecting { rows: &rows, limits: &draws }, "sampling", run)?;
        ensure_rows(&collected.sizes)?;
        collected.finish(keyed, &draws)
    }

    fn refusal(&self) -> Error {
        Error::Unsupported {
            stage: "keyed sampling",
            what: format!("{}, which needs all rows at once", self.sampler.name()),
            remedy: "draw a sample into memory first, for instance by `RandomUnderSampler`, and resample that",
        }
    }
}

/// What decides about rows.
struct Rows<'r> {
    keyed: &'r dyn KeyedBy,
    key: &'r RowKey,
    encoder: Option<&'r FittedEncoder>,
    held_out: Option<HeldOut>,
    seeds: [crate::core::Seed; 2],
}

fn ensure_rows(sizes: &Sizes) -> Result<()> {
    if sizes.rows() == 0 { Err(Error::NoRows { what: "the source" }) } else { Ok(()) }
}
