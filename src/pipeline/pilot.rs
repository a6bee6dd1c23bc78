//! Pilot models that are whole pipelines.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "serde")]
use super::{DynFittedPipeline, DynPipeline};
use super::{FittedPipeline, Pipeline};
use crate::calibration::{CalibrationMap, Calibrator, PriorCorrection};
use crate::core::{Dataset, Distortion, Result, Run};
use crate::loss::Loss;
use crate::model::{Model, Predict};
use crate::sampling::{Pilot, PilotModel, RandomUnderSampler, Sampler};
#[cfg(feature = "serde")]
use crate::saved::{FromPart, Kind, Part};
#[cfg(feature = "serde")]
use erased_serde::Deserializer as Erased;

impl Pilot {
    /// A fitted pipeline, with its calibration.
    pub fn fitted<P, K>(pipeline: impl Into<Arc<FittedPipeline<P, K>>>) -> Self
    where
        P: Predict + 'static,
        K: CalibrationMap + 'static,
    {
        Self::new(Fitted(pipeline.into()))
    }

    /// A model trained under this loss on all positives and five random negatives for each
    /// ([`RandomUnderSampler::default`]), corrected to the population by [`PriorCorrection`].
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
        Self::new(Trained(pipeline))
    }
}

struct Fitted<P, K>(Arc<FittedPipeline<P, K>>);

impl<P: Predict, K: CalibrationMap> PilotModel for Fitted<P, K> {
    fn probabilities(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>> {
        self.0.probabilities_as_sampled(data, run)
    }

    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        Some(Part::of(&*self.0))
    }
}

impl<P, K> fmt::Debug for Fitted<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fitted pipeline")
    }
}

struct Trained<S, L, M, C>(Pipeline<S, L, M, C>);

impl<S, L, M, C> PilotModel for Trained<S, L, M, C>
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
        self.0.fit_in(&rows, run, false)?.probabilities_as_sampled(&rows, run)
    }

    fn is_fitted(&self) -> bool {
        false
    }

    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>> {
        Some(Part::of(&self.0))
    }
}

/// Here, because a sampler knows no pipelines.
#[cfg(feature = "serde")]
impl FromPart for Pilot {
    fn from_part(kind: &str, content: &mut dyn Erased<'_>) -> Result<Self, erased_serde::Error> {
        use serde::de::Error as _;
        if kind == Self::GIVEN {
            Self::read_given(content)
        } else if kind == DynPipeline::KIND {
            erased_serde::deserialize::<DynPipeline>(content).map(Self::pipeline)
        } else if kind == DynFittedPipeline::KIND {
            erased_serde::deserialize::<DynFittedPipeline>(content).map(Self::fitted)
        } else {
            Err(erased_serde::Error::custom(format!("there is no pilot `{kind}`")))
        }
    }
}

impl<S: fmt::Debug, L: fmt::Debug, M: fmt::Debug, C: fmt::Debug> fmt::Debug
    for Trained<S, L, M, C>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trained {:?}", self.0)
    }
}
