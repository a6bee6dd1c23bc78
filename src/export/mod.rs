//! Fitted pipelines for other programs: SQL, and ONNX with the feature `onnx`.
//!
//! | | models | calibrations | needs |
//! |---|---|---|---|
//! | [`sql()`] | linear | all, but a beta CDF with parameters above 1,000 | a database with `EXP` and `LN` |
//! | `onnx`, `onnx_scorer` (feature `onnx`) | all, but given logits; encoders that neither hash nor cross | as for SQL | an ONNX runtime |
//! | [saved JSON](crate::saved) | all | all | `docs/scoring.md`, which has every formula, or `docs/scorer.py`, in Python |

#[cfg(feature = "onnx")]
mod encoder;
mod form;
mod formula;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "onnx")]
mod protobuf;
mod sql;

#[cfg(feature = "onnx")]
pub use onnx::{onnx, onnx_scorer};
pub use sql::{sql, sql_with_columns};
