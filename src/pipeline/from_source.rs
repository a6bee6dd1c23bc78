//! From a log of any size to a fitted pipeline, and from a log to its probabilities.

use super::{Pipeline, Scorer};
use crate::calibration::Calibrator;
use crate::core::{Error, Result, Run};
use crate::data::{Batch, Encoder, FittedEncoder, Pass, Source, in_order, sum};
use crate::loss::Loss;
use crate::metrics::BinnedScores;
use crate::model::Model;
use crate::sampling::{HeldOut, KeyedSample, KeyedSampling, RowKey, Sampler};

/// How [`Pipeline::fit_source`] reads a log: the encoder, the key of a row, and how many rows are held out.
#[derive(Debug, Clone)]
pub struct FromSource {
    encoder: EncoderOf,
    key: RowKey,
    held_out: HeldOut,
}

#[derive(Debug, Clone)]
enum EncoderOf {
    Sample(Encoder),
    Fitted(Box<FittedEncoder>),
}

impl FromSource {
    /// An encoder that is fitted to the sample.
    #[must_use]
    pub fn new(encoder: Encoder) -> Self {
        Self::of(EncoderOf::Sample(encoder))
    }

    /// An encoder that was fitted before; the sampler's pilot predicts from its features, too.
    #[must_use]
    pub fn encoded_by(encoder: FittedEncoder) -> Self {
        Self::of(EncoderOf::Fitted(Box::new(encoder)))
    }

    fn of(encoder: EncoderOf) -> Self {
        Self { encoder, key: RowKey::default(), held_out: HeldOut::default() }
    }

    /// The key by which rows are drawn and held out. Default: their [place](RowKey::place).
    #[must_use]
    pub fn key(mut self, key: RowKey) -> Self {
        self.key = key;
        self
    }

    /// The share of all rows that is held out before the sampler acts, and the most of them that are kept in memory.
    /// Default: a tenth, and a million.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless 0 < `share` < 1 and `most` is positive.
    pub fn hold_out(mut self, share: f64, most: usize) -> Result<Self> {
        self.held_out = HeldOut::new(share, most)?;
        Ok(self)
    }
}

impl<S: Sampler, L: Loss, M: Model, C: Calibrator> Pipeline<S, L, M, C> {
    /// Fits all stages to a log that need not fit in memory. The sampler draws rows by their keys
    /// ([`KeyedSampling`]: one or two passes over the log), the sample is encoded, the model learns from it, and the
    /// calibrator learns from rows held out, or is judged on them. What comes out scores records and logs.
    ///
    /// The result is that of the [`fit_with`](Self::fit_with) of a sample in memory: the sample's weights, offsets and
    /// distortion are known, so the calibrator undoes what the draw did, or refuses.
    ///
    /// ```
    /// use imbalance::prelude::*;
    /// use imbalance::data::Table;
    /// use imbalance::FromSource;
    ///
    /// // A log in 7 tables; `CsvReader::batches` reads one from files.
    /// let part = |part: u32| {
    ///     let rows = || (0..5_000).map(move |row| row * 7 + part);
    ///     Table::new(rows().map(|id| id % 97 == 0).collect::<Vec<_>>())?
    ///         .with_numeric("size", rows().map(|id| f64::from(id % 11)).collect::<Vec<_>>())
    /// };
    /// let log = (0..7).map(part).collect::<Result<Vec<Table>, _>>()?;
    ///
    /// let scorer = Pipeline::new(LogisticRegression::new())
    ///     .sampler(RandomUnderSampler::negatives_per_positive(5.0)?)
    ///     .calibrator(PriorCorrection::new())
    ///     .fit_source(log.as_slice(), &FromSource::new(Encoder::default()))?;
    /// let p = scorer.probability(&[("size", 3.0.into())])?;
    /// assert!((p - 1.0 / 97.0).abs() < 0.005);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`KeyedSampling::draw`], [`Encoder::fit`] and [`fit_with`](Self::fit_with).
    /// [`Error::InvalidArgument`] if the pipeline was told to hold rows out or to cross-fit: rows of a log are held out
    /// by their keys, as [`FromSource::hold_out`] says.
    pub fn fit_source(&self, source: &(impl Source + ?Sized), how: &FromSource) -> Result<Scorer>
    where
        M::Fitted: 'static,
        C::Map: 'static,
    {
        if self.calibration_rows.is_some() {
            let expected =
                "said by `FromSource::hold_out`, since rows of a log are held out by their keys";
            return Err(Error::invalid("calibration", "rows of the pipeline's own", expected));
        }
        let run = &self.run;
        let mut sampling =
            KeyedSampling::new(&self.sampler).key(how.key.clone()).holding_out(how.held_out);
        if let EncoderOf::Fitted(encoder) = &how.encoder {
            sampling = sampling.encoder(encoder);
        }
        let drawn = sampling.draw(source, &run.child("sampler"))?;
        let KeyedSample { table, held_out, population, notes } = drawn;
        let (encoder, sample) = match &how.encoder {
            EncoderOf::Sample(encoder) => {
                encoder.fit_encode(&table, run.seed().child("encoder"))?
            }
            EncoderOf::Fitted(encoder) => ((**encoder).clone(), encoder.encode(&table)?),
        };
        drop(table);
        let held_out = held_out.ok_or(Error::NoRows { what: "the rows held out" })?;
        let held_out = encoder.encode(&held_out)?;

        let trained = self.train_on(&sample, population, (None, notes), run)?;
        Scorer::new(encoder, self.calibrate(trained, &sample, Some(&held_out), run, true)?)
    }
}

impl Scorer {
    /// Scores a log batch by batch, in its order: `each` gets every batch with the probabilities of its rows. One batch is
    /// in memory at a time.
    ///
    /// ```
    /// # use imbalance::prelude::*;
    /// # use imbalance::Scorer;
    /// # let train = Table::new(vec![true, false, false, true])?
    /// #     .with_categorical("country", ["FR", "DE", "FR", "DE"])?;
    /// # let encoder = Encoder::hashing(8)?.fit(&train)?;
    /// # let fitted = Pipeline::new(LogisticRegression::new()).fit(&encoder.encode(&train)?)?;
    /// # let scorer = Scorer::new(encoder, fitted)?;
    /// let log = [train.clone(), train];
    /// let mut sum = 0.0;
    /// scorer.score(log.as_slice(), &Run::default(), |_, probabilities| {
    ///     sum += probabilities.iter().sum::<f64>();
    ///     Ok(())
    /// })?;
    /// assert!((sum - 4.0).abs() < 1e-6);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the source, of [`probabilities`](Self::probabilities) and of `each`; [`Error::Cancelled`].
    pub fn score(
        &self,
        source: &(impl Source + ?Sized),
        run: &Run,
        mut each: impl FnMut(&Batch, &[f64]) -> Result<()>,
    ) -> Result<()> {
        in_order(source, "scoring", run, |batch| each(&batch, &self.probabilities(&batch.table)?))
    }

    /// The metrics of this scorer's probabilities on a labelled log, in one pass: parts of the log are scored side by side.
    ///
    /// ```
    /// # use imbalance::prelude::*;
    /// # use imbalance::Scorer;
    /// # let train = Table::new(vec![true, false, false, true])?
    /// #     .with_categorical("country", ["FR", "DE", "FR", "DE"])?;
    /// # let encoder = Encoder::hashing(8)?.fit(&train)?;
    /// # let fitted = Pipeline::new(LogisticRegression::new()).fit(&encoder.encode(&train)?)?;
    /// # let scorer = Scorer::new(encoder, fitted)?;
    /// let log = [train.clone(), train];
    /// let metrics = scorer.evaluate(log.as_slice(), &Run::default())?;
    /// println!("{metrics}");
    /// assert_eq!(metrics.totals().positives, 4);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`score`](Self::score).
    pub fn evaluate(&self, source: &(impl Source + ?Sized), run: &Run) -> Result<BinnedScores> {
        sum(source, &Evaluating(self), "evaluating", run)
    }
}

/// Scores batches and bins their probabilities.
struct Evaluating<'s>(&'s Scorer);

impl Pass for Evaluating<'_> {
    type Sum = BinnedScores;

    fn empty(&self) -> BinnedScores {
        BinnedScores::new()
    }

    fn add(&self, sum: &mut BinnedScores, batch: &Batch) -> Result<()> {
        let probabilities = self.0.probabilities(&batch.table)?;
        sum.add(batch.table.labels(), &probabilities, batch.table.weights())
    }

    fn merge(&self, sum: &mut BinnedScores, next: BinnedScores) -> Result<()> {
        sum.merge(next);
        Ok(())
    }
}
