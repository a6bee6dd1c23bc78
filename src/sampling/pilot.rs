//! The model that tells a sampler which rows are hard.

use std::fmt;
use std::sync::Arc;

use super::{RandomUnderSampler, Sampler};
use crate::calibration::{CalibrationMap, Calibrator, PriorCorrection};
use crate::core::{Dataset, Distortion, Error, Result, Run};
use crate::loss::Loss;
use crate::model::{Model, Predict};
use crate::numerics::sigmoid;
use crate::pipeline::{FittedPipeline, Pipeline, logits_of};

/// A pilot model: it gives each row a first guess p̂ of its probability, and a sampler chooses rows by
/// it. It is either given, or trained on the rows to be sampled.
///
/// p̂ is **the population's probability**, whatever sample and loss the pilot was trained with. The
/// score of a model trained on a 1 : 5 sample depends on the 5, and a window on it would move with a
/// setting that has nothing to do with how hard a row is; the population's probability means the same
/// for every pilot. Known offsets of the rows are added to the pilot's logits.
///
/// Where the rows were chosen or made by their features before
/// ([`FeatureDependent`](crate::Distortion::FeatureDependent), as after another sampler of a chain),
/// nothing leads back to the population: a pilot that is trained inside then gives the probability among
/// the rows as they are. A given one still gives the population's.
///
/// ```
/// use std::sync::Arc;
/// use imbalance::prelude::*;
/// use imbalance::sampling::{LocalCaseControl, Pilot};
///
/// let log = SyntheticClicks::new(20_000, 0.02)?.numeric(4).categorical(&[]).generate(7)?;
/// let rows = &log.dataset;
///
/// // Trained inside, on five negatives per positive, with the prior correction of that sample.
/// let trained = Pilot::trained(LogisticRegression::new(), LogLoss);
/// // Yesterday's pipeline; an `Arc` of it or of any `Predict` can be shared.
/// let yesterday = Arc::new(Pipeline::new(LogisticRegression::new()).fit(rows)?);
/// let given = Pilot::fitted(yesterday);
///
/// for pilot in [trained, given] {
///     let sample = LocalCaseControl::new(pilot).resample(rows, &Run::seeded(7))?.apply(rows)?;
///     assert!(sample.rows() < rows.rows() / 10);
/// }
/// # Ok::<(), imbalance::Error>(())
/// ```
pub struct Pilot(Arc<dyn Score>);

impl Pilot {
    /// A model whose σ(logit) is the population's probability.
    pub fn given(model: impl Predict + 'static) -> Self {
        Self(Arc::new(Given(model)))
    }

    /// A fitted pipeline, with its calibration.
    pub fn fitted<P, K>(pipeline: impl Into<Arc<FittedPipeline<P, K>>>) -> Self
    where
        P: Predict + 'static,
        K: CalibrationMap + 'static,
    {
        Self(Arc::new(Fitted(pipeline.into())))
    }

    /// A model trained under this loss on all positives and five random negatives for each
    /// ([`RandomUnderSampler::default`]), with [`PriorCorrection`] from there to the population.
    pub fn trained<M, L>(model: M, loss: L) -> Self
    where
        M: Model + 'static,
        L: Loss + 'static,
    {
        let pipeline = Pipeline::new(model)
            .loss(loss)
            .sampler(RandomUnderSampler::default())
            .calibrator(PriorCorrection::new());
        Self::pipeline(pipeline)
    }

    /// Any pipeline, trained on the rows to be sampled. Its seed and its observer are those of the
    /// sampler.
    pub fn pipeline<S, L, M, C>(pipeline: Pipeline<S, L, M, C>) -> Self
    where
        S: Sampler + 'static,
        L: Loss + 'static,
        M: Model + 'static,
        C: Calibrator + 'static,
    {
        Self(Arc::new(Trained(pipeline)))
    }

    /// p̂ of each row, in \[0, 1\].
    pub(super) fn probabilities(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>> {
        let probabilities = self.0.probabilities(data, &run.child("pilot"))?;
        match probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
            None => Ok(probabilities),
            Some(row) => {
                let p = probabilities[row];
                let problem = format!("it gives row {row} the probability {p}");
                Err(Error::Contract { stage: "the pilot".into(), problem })
            }
        }
    }
}

impl Clone for Pilot {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Pilot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pilot({:?})", self.0)
    }
}

/// What gives rows their probabilities.
trait Score: fmt::Debug + Send + Sync {
    fn probabilities(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>>;
}

struct Given<P>(P);

impl<P: Predict> Score for Given<P> {
    fn probabilities(&self, data: &Dataset<'_>, _: &Run) -> Result<Vec<f64>> {
        let mut out = logits_of(&self.0, data)?;
        out.iter_mut().for_each(|z| *z = sigmoid(*z));
        Ok(out)
    }
}

// A fitted model may hold millions of coefficients, so only that it is given is printed.
impl<P> fmt::Debug for Given<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("given model")
    }
}

struct Fitted<P, K>(Arc<FittedPipeline<P, K>>);

impl<P: Predict, K: CalibrationMap> Score for Fitted<P, K> {
    fn probabilities(&self, data: &Dataset<'_>, _: &Run) -> Result<Vec<f64>> {
        self.0.probabilities_as_sampled(data)
    }
}

impl<P, K> fmt::Debug for Fitted<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fitted pipeline")
    }
}

struct Trained<S, L, M, C>(Pipeline<S, L, M, C>);

impl<S, L, M, C> Score for Trained<S, L, M, C>
where
    S: Sampler,
    L: Loss,
    M: Model,
    C: Calibrator,
{
    fn probabilities(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>> {
        let rows = match data.distortion() {
            // No closed form undoes it, so the rows stand for themselves.
            Distortion::FeatureDependent { .. } => data.view().with_distortion(Distortion::None),
            _ => data.view(),
        };
        self.0.fit_in(&rows, run)?.probabilities_as_sampled(&rows)
    }
}

impl<S: fmt::Debug, L: fmt::Debug, M: fmt::Debug, C: fmt::Debug> fmt::Debug
    for Trained<S, L, M, C>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trained {:?}", self.0)
    }
}
