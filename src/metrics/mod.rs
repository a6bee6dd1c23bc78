//! Metrics for rare positives: ranking, probabilities and calibration.
//!
//! Every metric takes labels, scores or probabilities, and optional **weights**: in an estimate a row
//! of weight 2 counts as two rows, a row of weight 0 is absent, and without weights every row counts
//! once. Weights that undo a resampling therefore give the metrics of the population. The intervals
//! ([`roc_auc_interval`], [`compare_roc_auc`], [`Bootstrap`], [`ReliabilityCurve`]) take a row for one row
//! whatever its weight, as one row carries less information than two; only the standard errors of
//! [`calibration_line`] and the p-value of [`hosmer_lemeshow`] take weights for counts. Sums are
//! compensated, so results do not depend on the order of the rows beyond the last digits.
//!
//! | Metric | Range | Best | At a rare base rate, watch out |
//! |---|---|---|---|
//! | [`roc_auc`] | 0 to 1 | 1 | ignores the base rate: 0.95 can be useless at the top |
//! | [`average_precision`] | 0 to 1 | 1 | chance level is the base rate; compare on the same rows |
//! | [`log_loss`], [`log_loss_from_logits`] | 0 to ∞ | 0 | tiny for any model; +∞ for one certain miss |
//! | [`normalised_entropy`] | 0 to ∞ | 0 | 1 is the constant base rate; mixes ranking and calibration |
//! | [`brier_score`] | 0 to 1 | 0 | predicting 0 everywhere scores the base rate |
//! | [`predicted_over_observed`] | 0 to ∞ | 1 | errors in different places cancel |
//! | [`calibration_line`] | all reals | (0, 1) | as uncertain as the positives are few |
//! | [`ece`], [`mce`], [`smooth_ece`], [`quantile_bins`] | 0 to 1 | 0 | a rate of 0.1 % doubled is only 0.001 |
//! | [`brier_decomposition`], [`RankedScores::corp`] | 0 to 1 | | read the parts as shares of the uncertainty |
//! | [`hosmer_lemeshow`] | 0 to ∞ | groups | with millions of rows it rejects every model |
//! | [`confusion`] and the ratios of [`Confusion`] | 0 to 1 | 1 | a threshold of ½ flags nothing; see [`ThresholdRule`] |
//! | [`precision_at_k`], [`recall_at_k`], [`lift_at`] | 0 to 1, lift to 1 / base rate | | the fewer positives, the noisier |
//!
//! [`RankedScores`] sorts the rows once and has the curves and tables: ROC, precision–recall, gain,
//! reliability with bands, CORP, deciles, histogram. [`roc_auc_interval`], [`compare_roc_auc`] and
//! [`Bootstrap`] give the uncertainty of a metric, [`ThresholdRule`] chooses a threshold,
//! [`slices_by_category`] and [`slices_by_period`] show drift.
//!
//! No single metric suffices. [`Scorecard`] computes the first eight; a good first look is
//! [`predicted_over_observed`] and [`normalised_entropy`] for the probabilities, and
//! [`average_precision`] for the ranking.
//!
//! # Errors
//! All metrics check their input in full, also in rows of weight 0, and return
//!
//! - [`Error::LengthMismatch`](crate::Error::LengthMismatch) if the inputs differ in length, and
//!   [`Error::NoRows`](crate::Error::NoRows) if they are empty;
//! - [`Error::NonFinite`](crate::Error::NonFinite) for a NaN anywhere, and for an infinite
//!   probability or weight;
//! - [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a probability outside \[0, 1\],
//!   with its row and value, and for weights that are all zero;
//! - [`Error::NegativeWeight`](crate::Error::NegativeWeight) for a weight below zero;
//! - [`Error::Numerical`](crate::Error::Numerical) if the total weight overflows.
//!
//! Further needs of a metric, such as both classes, are in its own documentation. No metric panics or
//! returns NaN.
//!
//! With the feature `serde` all results can be written and read back. A number that can be +∞, such as a
//! log loss or the threshold that flags nothing, is `null` where the format has no infinity, as in JSON.

mod binned;
mod bootstrap;
mod calibration;
mod confusion;
mod corp;
mod curves;
mod delong;
mod histogram;
#[cfg(feature = "serde")]
mod infinite;
mod interval;
mod mean_test;
mod period;
mod probability;
mod ranked;
mod ranking;
mod reliability;
mod rows;
mod scorecard;
mod slices;
mod smooth_ece;
mod sorted_rows;
mod threshold;

pub use binned::{BinnedScores, Bounded};
pub use bootstrap::Bootstrap;
pub use calibration::{
    Bin, CalibrationLine, calibration_line, ece, predicted_over_observed, quantile_bins,
};
pub use confusion::{Confusion, confusion, lift_at, precision_at_k, recall_at_k};
pub use corp::{CorpBlock, CorpDecomposition};
pub use curves::{
    GainCurve, GainPoint, PrecisionRecallCurve, PrecisionRecallPoint, RocCurve, RocPoint,
};
pub use delong::{PairedAuc, WaldAuc, compare_roc_auc, roc_auc_interval, roc_auc_wald_interval};
pub use histogram::{ProbabilityScale, ScoreHistogram};
pub use interval::Interval;
pub use period::Period;
pub use probability::{brier_score, log_loss, log_loss_from_logits, normalised_entropy};
pub use ranked::RankedScores;
pub use ranking::{average_precision, roc_auc};
pub use reliability::{
    BrierDecomposition, Decile, DecileTable, HosmerLemeshow, ReliabilityCurve, ReliabilityPoint,
    brier_decomposition, hosmer_lemeshow, mce,
};
pub use scorecard::Scorecard;
pub use slices::{Missing, Slice, slices_by_category, slices_by_period};
pub use smooth_ece::smooth_ece;
pub use threshold::{CrossFittedThreshold, Threshold, ThresholdRule};

pub(crate) use bootstrap::Replicates;
pub(crate) use delong::compare;
pub(crate) use interval::{ensure_level, student_quantile};
pub(crate) use ranked::{ScoreGroup, score_groups};
pub(crate) use rows::Domain;
pub(crate) use slices::Partition;
pub(crate) use sorted_rows::SortedRows;
