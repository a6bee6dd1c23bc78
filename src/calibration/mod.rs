//! Calibrators: from logits to probabilities of the population.

mod beta;
mod beta_cdf;
mod class_temperature;
mod columns;
mod cross_fit;
mod histogram;
mod isotonic;
mod log_odds;
mod newton;
mod platt;
mod prior_correction;
mod report;
mod rising;
mod scored;
mod temperature;
mod then;
mod training;
mod uncalibrated;
mod venn_abers;

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use beta::{BetaCalibration, FittedBetaCalibration};
pub use beta_cdf::{BetaCdf, FittedBetaCdf};
pub use class_temperature::{ClassFitness, ClassReport, FittedClassTemperature, ScoredClasses};
pub use cross_fit::cross_fit;
pub use histogram::{FittedHistogramBinning, HistogramBinning};
pub use isotonic::{FittedIsotonicRegression, IsotonicRegression};
pub use platt::{FittedPlattScaling, PlattScaling};
pub use prior_correction::{
    FittedLinearPriorScaling, FittedPriorCorrection, LinearPriorScaling, PriorCorrection,
};
pub use report::{CalibrationReport, Fitness, Parameter};
pub use scored::Scored;
pub use temperature::{FittedTemperatureScaling, TemperatureScaling};
pub use then::{FittedThen, Then};
pub use training::Training;
pub use uncalibrated::Uncalibrated;
pub use venn_abers::{FittedVennAbers, VennAbers};

use crate::Result;
use crate::core::same_length;
use crate::exec::parallel::{self, BLOCK};
use crate::exec::simd::{PIECE, Work, vectorised};
use crate::numerics::logit;
use crate::numerics::vector::Logits;

/// Learns or derives a map from logits to probabilities.
pub trait Calibrator: Debug + Send + Sync {
    /// The map.
    type Fitted: Calibrate;

    /// Whether [`fit`](Self::fit) reads rows. If so, a pipeline holds rows out for it.
    fn learns(&self) -> bool;

    /// Whether the map undoes what sampler and loss did, in closed form or by learning. If not, a pipeline
    /// whose training distorts the odds warns ([`Warning::NotUndone`](crate::pipeline::Warning::NotUndone)).
    /// Default: if it [`learns`](Self::learns).
    fn undoes_training(&self) -> bool {
        self.learns()
    }

    /// Makes the map. One that learns does so from rows the model has not seen, and refuses rows that
    /// are no fair sample of the population ([`Scored::need_fair_rows`]).
    ///
    /// # Errors
    /// Depends on the calibrator.
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted>;

    /// This calibrator followed by another, which is fitted on the outcome of this one.
    ///
    /// ```
    /// use imbalance::calibration::{Calibrate, Calibrator, PlattScaling, PriorCorrection, Scored};
    ///
    /// let calibrator = PriorCorrection::from_sampling_rate(0.1)?.then(PlattScaling::new());
    /// assert!(calibrator.learns());
    /// let map = calibrator.fit(&Scored::from_logits(&[-1.0, 0.0, 2.0], &[false, true, true])?)?;
    /// assert!(map.first().probability(0.0) < 0.1);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    fn then<B: Calibrator>(self, second: B) -> Then<Self, B>
    where
        Self: Sized,
    {
        Then::new(self, second)
    }

    /// This calibrator with its fitted type erased, to be chosen while the program runs.
    fn boxed(self) -> BoxCalibrator
    where
        Self: Sized + 'static,
        Self::Fitted: 'static,
    {
        Box::new(Erased(self))
    }
}

/// A calibrator chosen while the program runs; made by [`Calibrator::boxed`].
pub type BoxCalibrator = Box<dyn Calibrator<Fitted = Box<dyn Calibrate>>>;

/// A map from a logit to a probability, defined on \[−∞, ∞\]. NaN gives NaN.
pub trait Calibrate: Debug + Send + Sync {
    /// The probability.
    fn probability(&self, logit: f64) -> f64;

    /// The log-odds of [`probability`](Self::probability), without the rounding of a probability near 1
    /// where the map has log-odds of its own.
    fn calibrated_logit(&self, score: f64) -> f64 {
        logit(self.probability(score))
    }

    /// The probability for a score that is a probability; NaN outside \[0, 1\].
    fn probability_of(&self, probability: f64) -> f64 {
        self.probability(logit(probability))
    }

    /// Writes the probability of each logit: one pass, on the calling thread, without allocation. The bits are
    /// those of [`probability`](Self::probability).
    ///
    /// This is the work that [`probabilities`](Self::probabilities) spreads over the cores, to be replaced where
    /// a block of scores takes less time than one score after the other. Nothing is checked; of slices that
    /// differ in length, the end of the longer one is left alone.
    fn map_block(&self, logits: &[f64], out: &mut [f64]) {
        vectorised(EachScore { map: self, scores: logits, out });
    }

    /// The same for scores that are probabilities; the bits are those of
    /// [`probability_of`](Self::probability_of).
    fn map_block_of(&self, probabilities: &[f64], out: &mut [f64]) {
        let mut logits = [0.0; PIECE];
        for (p, out) in probabilities.chunks(PIECE).zip(out.chunks_mut(PIECE)) {
            let logits = &mut logits[..p.len()];
            vectorised(Logits { probabilities: p, logits });
            self.map_block(logits, out);
        }
    }

    /// Writes the probabilities of logits, in one pass on all cores, without allocation.
    ///
    /// # Errors
    /// [`NonFinite`](crate::Error::NonFinite) for a NaN (±∞ are certain scores), and
    /// [`LengthMismatch`](crate::Error::LengthMismatch) for an output of another length.
    fn probabilities_into(&self, logits: &[f64], out: &mut [f64]) -> Result<()> {
        same_length("the output", out.len(), "the scores", logits.len())?;
        let bad = map_into(logits, out, |logits, out| self.map_block(logits, out));
        bad.map_or(Ok(()), |row| Err(scored::no_logit("the logits", row)))
    }

    /// The probabilities of logits, in one pass on all cores.
    ///
    /// # Errors
    /// [`NonFinite`](crate::Error::NonFinite) for a NaN; ±∞ are certain scores.
    fn probabilities(&self, logits: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; logits.len()];
        self.probabilities_into(logits, &mut out)?;
        Ok(out)
    }

    /// The probabilities of scores that are probabilities, in one pass on all cores.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) for a number outside \[0, 1\].
    fn probabilities_of(&self, probabilities: &[f64]) -> Result<Vec<f64>> {
        let mut out = vec![0.0; probabilities.len()];
        let bad = map_into(probabilities, &mut out, |p, out| self.map_block_of(p, out));
        bad.map_or(Ok(out), |row| Err(scored::no_probability(row, probabilities[row])))
    }

    /// What was learned; none for a map that was not learned from rows.
    fn report(&self) -> Option<&CalibrationReport> {
        None
    }

    /// A line on what the map does, for the pipeline's summary.
    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// The probabilities of a block of scores, one after the other.
struct EachScore<'a, C: ?Sized> {
    map: &'a C,
    scores: &'a [f64],
    out: &'a mut [f64],
}

impl<C: Calibrate + ?Sized> Work for EachScore<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (score, out) in self.scores.iter().zip(self.out) {
            *out = self.map.probability(*score);
        }
    }
}

/// As many of both as the shorter one has.
fn in_step<'a>(scores: &'a [f64], out: &'a mut [f64]) -> (&'a [f64], &'a mut [f64]) {
    let rows = scores.len().min(out.len());
    (&scores[..rows], &mut out[..rows])
}

/// Maps the scores on all cores, block by block. The first row of which NaN was made, if there is one.
fn map_into(
    scores: &[f64],
    out: &mut [f64],
    map: impl Fn(&[f64], &mut [f64]) + Sync + Send,
) -> Option<usize> {
    let bad = FirstRow::default();
    parallel::map_into(out, 1, BLOCK, |_, rows, out| {
        let first = rows.start;
        map(&scores[rows], out);
        bad.note_nan(first, out);
    });
    bad.found()
}

/// The first of the rows that threads note.
#[derive(Debug)]
struct FirstRow(AtomicUsize);

impl Default for FirstRow {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl FirstRow {
    fn note(&self, row: usize) {
        self.0.fetch_min(row, Ordering::Relaxed);
    }

    /// Notes the first NaN of a block whose rows count from `first`.
    fn note_nan(&self, first: usize, block: &[f64]) {
        if let Some(row) = parallel::position_in(block, |p| p.is_nan()) {
            self.note(first + row);
        }
    }

    fn found(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&row| row != usize::MAX)
    }
}

impl<C: Calibrator + ?Sized> Calibrator for Box<C> {
    type Fitted = C::Fitted;

    fn learns(&self) -> bool {
        (**self).learns()
    }
    fn undoes_training(&self) -> bool {
        (**self).undoes_training()
    }
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        (**self).fit(held_out)
    }
}

impl<C: Calibrate + ?Sized> Calibrate for Box<C> {
    fn probability(&self, logit: f64) -> f64 {
        (**self).probability(logit)
    }
    fn probability_of(&self, probability: f64) -> f64 {
        (**self).probability_of(probability)
    }
    fn map_block(&self, logits: &[f64], out: &mut [f64]) {
        (**self).map_block(logits, out);
    }
    fn map_block_of(&self, probabilities: &[f64], out: &mut [f64]) {
        (**self).map_block_of(probabilities, out);
    }
    fn calibrated_logit(&self, score: f64) -> f64 {
        (**self).calibrated_logit(score)
    }
    fn report(&self) -> Option<&CalibrationReport> {
        (**self).report()
    }
    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// Adapter behind [`Calibrator::boxed`].
#[derive(Debug)]
struct Erased<C>(C);

impl<C: Calibrator> Calibrator for Erased<C>
where
    C::Fitted: 'static,
{
    type Fitted = Box<dyn Calibrate>;

    fn learns(&self) -> bool {
        self.0.learns()
    }
    fn undoes_training(&self) -> bool {
        self.0.undoes_training()
    }
    fn fit(&self, held_out: &Scored<'_>) -> Result<Self::Fitted> {
        Ok(Box::new(self.0.fit(held_out)?))
    }
}
