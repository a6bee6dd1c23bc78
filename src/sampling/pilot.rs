//! The model that tells a sampler which rows are hard.

use std::fmt;
use std::sync::Arc;

use crate::core::{Dataset, Error, Result, Run, saved_as_part, stored};
use crate::model::{Predict, logits_of};
use crate::numerics::sigmoid;
#[cfg(feature = "serde")]
use crate::saved::{Kind, Part};
#[cfg(feature = "serde")]
use erased_serde::Deserializer as Erased;

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
#[derive(Clone)]
pub struct Pilot(Arc<dyn PilotModel>);

impl Pilot {
    /// A model whose σ(logit) is the population's probability.
    pub fn given(model: impl Predict + 'static) -> Self {
        Self::new(Given(model))
    }

    pub(crate) fn new(model: impl PilotModel + 'static) -> Self {
        Self(Arc::new(model))
    }

    /// Refuses a pilot that is yet to be trained, for rows that are read batch by batch.
    pub(super) fn ensure_fitted(&self) -> Result<()> {
        if self.0.is_fitted() {
            return Ok(());
        }
        Err(Error::Unsupported {
            stage: "keyed sampling",
            what: "a pilot that is trained inside".into(),
            remedy: "train it on a sample first, and give it by `Pilot::fitted`",
        })
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

#[cfg(feature = "serde")]
impl Pilot {
    pub(super) fn saved(&self) -> Option<Part<'_>> {
        self.0.saved()
    }

    /// Reads the model of [`given`](Self::given).
    pub(crate) fn read_given(content: &mut dyn Erased<'_>) -> Result<Self, erased_serde::Error> {
        erased_serde::deserialize::<Given<Box<dyn Predict>>>(content).map(Self::new)
    }

    /// The kind of such a pilot.
    pub(crate) const GIVEN: &str = <Given<Box<dyn Predict>> as Kind>::KIND;
}

impl fmt::Debug for Pilot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pilot({:?})", self.0)
    }
}

/// Gives each row its probability in the population.
pub(crate) trait PilotModel: fmt::Debug + Send + Sync {
    fn probabilities(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>>;

    /// Whether it was fitted before, and learns nothing from the rows.
    fn is_fitted(&self) -> bool {
        true
    }

    #[cfg(feature = "serde")]
    fn saved(&self) -> Option<Part<'_>>;
}

stored!(<P: Predict> Given<P> as "given_model", |given| {
    model: PartOf<P> = as_part(given.0.saved(), given),
} => Ok(Self(model.0)));

struct Given<P>(P);

impl<P: Predict> PilotModel for Given<P> {
    fn probabilities(&self, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>> {
        let mut out = logits_of(&self.0, data, run)?;
        out.iter_mut().for_each(|z| *z = sigmoid(*z));
        Ok(out)
    }

    saved_as_part!();
}

// A fitted model may hold millions of coefficients, so the model is not printed.
impl<P> fmt::Debug for Given<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("given model")
    }
}
