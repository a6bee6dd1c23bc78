//! The laws that every sampler, loss, model and calibrator of the crate holds, to be run on your own (feature
//! `testing`).
//!
//! A suite holds one implementation against the contract of its trait and returns a list of [`BrokenLaw`]s: which law,
//! on which rows, with which numbers. An empty list is a pass. The fields of a suite say what the implementation
//! promises beyond its trait; the defaults suit most. The crate's own implementations pass the same suites.
//!
//! ```
//! use imbalance::loss::LogLoss;
//! use imbalance::testing::LossSuite;
//!
//! assert_eq!(LossSuite::default().run(&LogLoss), []);
//! ```
//!
//! Inputs are made from fixed seeds, so a result repeats. Laws in which chance has a part allow 4.5 standard errors; a
//! right implementation breaks one with a probability of 10⁻⁵. A panic of the implementation is not caught.

mod calibrator;
mod findings;
mod inputs;
mod loss;
mod model;
mod sampler;

pub use calibrator::{CalibratorSuite, ReversedScores, SecondFit};
pub use findings::{BrokenLaw, Law};
pub use loss::LossSuite;
pub use model::ModelSuite;
pub use sampler::{SamplerSuite, SparseRows};
