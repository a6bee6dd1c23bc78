//! Binary classification when positives are rare: clicks, fraud, disputes, defects.
//!
//! Samplers, losses, models and calibrators that compose into a [`Pipeline`], and one promise:
//! **whatever you do to the training set or to the loss, the probabilities that come out are right for
//! the population.** A sampler says what it distorted ([`Distortion`]), a loss
//! knows its own map to a probability ([`Loss::posterior`](loss::Loss::posterior)), and the calibrator
//! undoes exactly that, or refuses with an error that says why. The condition is that the model is right for the rows
//! it saw; every fit checks it on the rows at hand ([`pipeline::SelfCheck`]) and warns, and [`Pipeline::check`] measures it
//! where no row is unseen.
//!
//! ```
//! use imbalance::prelude::*;
//! use imbalance::metrics::{normalised_entropy, predicted_over_observed};
//!
//! // A click log with 1 % positives; your own comes from `Dataset::new` or `CsvReader`.
//! let log = SyntheticClicks::new(40_000, 0.01)?.generate(7)?;
//! let (train, test) = log.dataset.stratified_split(0.5, 7)?;
//!
//! // Ten negatives per positive, a logistic regression, and Bayes' rule to undo the sampling.
//! let fitted = Pipeline::new(LogisticRegression::new())
//!     .sampler(RandomUnderSampler::negatives_per_positive(10.0)?)
//!     .calibrator(PriorCorrection::new())
//!     .seed(7)
//!     .fit(&train)?;
//! println!("{}", fitted.report());
//!
//! // As many clicks are promised as come, up to 3 standard errors for 200 of them.
//! let p = fitted.probabilities(test.features())?;
//! let ratio = predicted_over_observed(test.labels(), &p, None)?;
//! assert!((ratio - 1.0).abs() < 3.0 / 200_f64.sqrt());
//! assert!(normalised_entropy(test.labels(), &p, None)? < 0.9);
//! # Ok::<(), imbalance::Error>(())
//! ```
//!
//! | stage | trait | identity | implementations |
//! |---|---|---|---|
//! | [`sampling`] | [`Sampler`](sampling::Sampler) | [`NoSampling`](sampling::NoSampling) | [`RandomUnderSampler`](sampling::RandomUnderSampler), [`HardNegativeMining`](sampling::HardNegativeMining), [`PoissonHardNegatives`](sampling::PoissonHardNegatives), [`LocalCaseControl`](sampling::LocalCaseControl), [`RuleSampler`](sampling::RuleSampler), [`PoissonRuleSampler`](sampling::PoissonRuleSampler), [`RandomOverSampler`](sampling::RandomOverSampler), [`Smote`](sampling::Smote), [`BorderlineSmote`](sampling::BorderlineSmote), [`Adasyn`](sampling::Adasyn), [`SmoteNc`](sampling::SmoteNc), [`TomekLinks`](sampling::TomekLinks), [`EditedNearestNeighbours`](sampling::EditedNearestNeighbours), [`NeighbourhoodCleaning`](sampling::NeighbourhoodCleaning), [`NearMiss`](sampling::NearMiss); chained by [`then`](sampling::Sampler::then) |
//! | [`loss`] | [`Loss`](loss::Loss) | [`LogLoss`](loss::LogLoss), [`WeightedLogLoss`](loss::WeightedLogLoss), [`FocalLoss`](loss::FocalLoss), [`LogitAdjusted`](loss::LogitAdjusted), [`AsymmetricLoss`](loss::AsymmetricLoss); around any: [`ClassWeighted`](loss::ClassWeighted), [`LabelSmoothing`](loss::LabelSmoothing) |
//! | [`model`] | [`Model`](model::Model), [`Predict`](model::Predict) | | [`LogisticRegression`](model::LogisticRegression), [`RareEvents`](model::RareEvents), [`FtrlProximal`](model::FtrlProximal); with the feature `gbdt`: `BoostedTrees`, `BoostedLeaves` |
//! | [`calibration`] | [`Calibrator`](calibration::Calibrator), [`CalibrationMap`](calibration::CalibrationMap) | [`Uncalibrated`](calibration::Uncalibrated) | [`PriorCorrection`](calibration::PriorCorrection), [`PlattScaling`](calibration::PlattScaling), [`IsotonicRegression`](calibration::IsotonicRegression), [`BetaCalibration`](calibration::BetaCalibration), [`BetaCdf`](calibration::BetaCdf), [`QuadraticLogit`](calibration::QuadraticLogit), [`SplineCalibration`](calibration::SplineCalibration), [`TemperatureScaling`](calibration::TemperatureScaling), [`HistogramBinning`](calibration::HistogramBinning), [`VennAbers`](calibration::VennAbers), [`Clip`](calibration::Clip) |
//!
//! Logs that do not fit in memory are [sources](data::Source): [`Pipeline::fit_source`] draws a sample by keys and fits,
//! [`Scorer::score`] and [`Scorer::evaluate`] read all rows, and [`stream`] fits to all of them.
//!
//! [`data`] holds feature matrices, data sets, splits and readers; [`metrics`] judges the result, and
//! [`Evaluation`] makes one report of it, as text and, with the feature `plot`, with pictures. All
//! take sample weights. The same seed gives the same bits for any number of threads.

// Rules for the library alone; tests, benches and examples may unwrap and print.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr))]

pub mod calibration;
mod core;
pub mod data;
pub mod evaluation;
mod exec;
#[cfg(feature = "serde")]
pub mod export;
mod fit;
mod knn;
pub mod loss;
pub mod metrics;
pub mod model;
pub mod numerics;
pub mod pipeline;
#[cfg(feature = "plot")]
pub mod plot;
#[cfg(feature = "progress")]
pub mod progress;
pub mod sampling;
#[cfg(feature = "serde")]
pub mod saved;
pub mod stream;
#[cfg(feature = "testing")]
pub mod testing;

pub use ndarray;
pub use sprs;

pub use crate::core::{
    Attribute, Categories, ClassTotals, Cut, Dataset, Distortion, Error, Features, FeaturesView,
    Folds, IntoColumn, Matrix, Precision, Progress, Result, Row, Run, SavedProblem, Scalar, Seed,
    Separation, Split,
};
pub use evaluation::{Evaluation, EvaluationReport};
pub use pipeline::{
    CrossFit, DynFittedPipeline, DynPipeline, FittedPipeline, FromSource, HoldOut, Pipeline, Scorer,
};

#[cfg(all(doctest, feature = "csv"))]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "csv", feature = "serde"))]
#[doc = include_str!("../docs/guide/ship.md")]
struct Ship;

#[cfg(all(doctest, feature = "csv"))]
#[doc = include_str!("../docs/guide/large.md")]
struct Large;

#[cfg(all(doctest, feature = "csv", feature = "parquet"))]
#[doc = include_str!("../docs/guide/data.md")]
struct Data;

/// What most programs need: the traits, the types of a pipeline, and the plainest method of each trait.
pub mod prelude {
    pub use crate::calibration::{Calibrator, PlattScaling, PriorCorrection};
    #[cfg(feature = "csv")]
    pub use crate::data::CsvReader;
    pub use crate::data::{Encoder, SyntheticClicks, Table};
    pub use crate::loss::{LogLoss, Loss};
    pub use crate::model::{LogisticRegression, Model, Predict};
    pub use crate::sampling::{RandomUnderSampler, Sampler};
    pub use crate::{
        CrossFit, Cut, Dataset, Distortion, DynPipeline, Error, Evaluation, HoldOut, Pipeline, Row,
        Run, Seed, Split,
    };
}
