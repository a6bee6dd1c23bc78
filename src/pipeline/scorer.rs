//! From a named record to a probability.

use std::cell::RefCell;
use std::fmt;

use super::{DynFittedPipeline, FittedPipeline, RecordExplanation};
use crate::calibration::CalibrationMap;
use crate::core::{Error, Result, Row, stored};
use crate::data::{EncodedRow, FittedEncoder, Table, Value};
use crate::model::Predict;

/// An encoder and the pipeline that was trained on what it encodes: one value, and with the feature `serde` one file,
/// from a named record to a probability.
///
/// ```
/// use imbalance::Scorer;
/// use imbalance::prelude::*;
///
/// let train = Table::new((0..300).map(|i| i % 9 == 0).collect::<Vec<_>>())?
///     .with_numeric("price", (0..300).map(|i| f64::from(i % 7)).collect::<Vec<_>>())?
///     .with_categorical("country", (0..300).map(|i| if i % 3 == 0 { "FR" } else { "DE" }))?;
/// let encoder = Encoder::hashing(8)?.fit(&train)?;
/// let fitted = Pipeline::new(LogisticRegression::new()).fit(&encoder.encode(&train)?)?;
///
/// let scorer = Scorer::new(encoder, fitted)?;
/// let p = scorer.probability(&[("country", "FR".into()), ("price", 3.5.into())])?;
/// assert!(p > 0.2);
/// // A column that is missing is an error that names it.
/// let error = scorer.probability(&[("country", "FR".into())]).unwrap_err();
/// assert!(error.to_string().contains("price"));
/// # Ok::<(), imbalance::Error>(())
/// ```
#[derive(Debug)]
pub struct Scorer {
    encoder: FittedEncoder,
    pipeline: DynFittedPipeline,
}

thread_local! {
    /// Reused from record to record, so that the steady state allocates nothing.
    static BUFFER: RefCell<EncodedRow> = RefCell::default();
}

impl Scorer {
    /// A scorer that encodes a record with this encoder and gives the row to this pipeline.
    ///
    /// # Errors
    /// [`Error::ColumnMismatch`] for a pipeline that was trained on other columns than the encoder makes;
    /// [`Error::Unsupported`] for a model that cannot predict one row, as [`GivenLogits`](crate::model::GivenLogits).
    pub fn new<P, K>(encoder: FittedEncoder, pipeline: FittedPipeline<P, K>) -> Result<Self>
    where
        P: Predict + 'static,
        K: CalibrationMap + 'static,
    {
        Self::of(encoder, pipeline.boxed())
    }

    fn of(encoder: FittedEncoder, pipeline: DynFittedPipeline) -> Result<Self> {
        for (model, _) in pipeline.members() {
            // Other errors are of the row: a model may refuse one of zeros.
            if let Err(error @ (Error::ColumnMismatch { .. } | Error::Unsupported { .. })) =
                model.logit(Row::sparse::<f64>(encoder.columns(), &[], &[])?)
            {
                return Err(error);
            }
        }
        Ok(Self { encoder, pipeline })
    }

    /// The encoder.
    #[must_use]
    pub fn encoder(&self) -> &FittedEncoder {
        &self.encoder
    }

    /// The pipeline, with its report.
    #[must_use]
    pub fn pipeline(&self) -> &DynFittedPipeline {
        &self.pipeline
    }

    /// The probability of a record, given as values by column name, in any order; in the order of
    /// [`FittedEncoder::record_names`] columns are found at once. After the first record of a thread nothing is
    /// allocated.
    ///
    /// A level that was not seen in training is encoded as the [encoder](crate::data::Encoder) says.
    ///
    /// # Errors
    /// As for [`FittedEncoder::encode_record`] and [`FittedPipeline::probability`].
    pub fn probability(&self, record: &[(&str, Value<'_>)]) -> Result<f64> {
        // Taken, not borrowed: a model of a user's own may ask another scorer.
        let mut buffer = BUFFER.take();
        let row = self.encoder.encode_record(record, &mut buffer);
        let probability = row.and_then(|row| self.pipeline.probability(row));
        BUFFER.set(buffer);
        probability
    }

    /// The probability of each row of a table, which needs the columns of the training table.
    ///
    /// # Errors
    /// As for [`FittedEncoder::features`] and [`FittedPipeline::probabilities`].
    pub fn probabilities(&self, table: &Table) -> Result<Vec<f64>> {
        self.pipeline.probabilities(&self.encoder.features(table)?)
    }

    /// The share of each column of a record, and of each encoded feature, in its probability.
    ///
    /// ```
    /// # use imbalance::Scorer;
    /// # use imbalance::prelude::*;
    /// # let train = Table::new((0..300).map(|i| i % 9 == 0).collect::<Vec<_>>())?
    /// #     .with_numeric("price", (0..300).map(|i| f64::from(i % 7)).collect::<Vec<_>>())?
    /// #     .with_categorical("country", (0..300).map(|i| if i % 3 == 0 { "FR" } else { "DE" }))?;
    /// # let encoder = Encoder::hashing(8)?.fit(&train)?;
    /// # let fitted = Pipeline::new(LogisticRegression::new()).fit(&encoder.encode(&train)?)?;
    /// # let scorer = Scorer::new(encoder, fitted)?;
    /// let record = [("country", "FR".into()), ("price", 3.5.into())];
    /// let explanation = scorer.explain(&record)?;
    /// println!("{explanation}");
    /// let country = &explanation.columns[0];
    /// assert_eq!((country.name.as_str(), country.value.as_str()), ("country", "FR"));
    ///
    /// let shares: f64 = explanation.columns.iter().map(|column| column.share.probability).sum();
    /// let sum = explanation.features.base.probability + shares;
    /// assert!((sum - scorer.probability(&record)?).abs() < 1e-14);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`probability`](Self::probability) and [`FittedPipeline::explain`].
    pub fn explain(&self, record: &[(&str, Value<'_>)]) -> Result<RecordExplanation> {
        let mut encoded = EncodedRow::default();
        let row = self.encoder.encode_record(record, &mut encoded)?;
        let features = self.pipeline.explain(row)?;
        let features = features.with_feature_names(self.encoder.column_names())?;
        Ok(RecordExplanation::new(features, &self.encoder, record, &encoded))
    }
}

#[cfg(feature = "serde")]
impl Scorer {
    /// The probability of a record that `serde` can write: a structure, or a map from names to numbers, texts,
    /// booleans and nothing, which is missing.
    ///
    /// ```
    /// # use imbalance::Scorer;
    /// # use imbalance::prelude::*;
    /// #[derive(serde::Serialize)]
    /// struct Visit {
    ///     country: &'static str,
    /// }
    /// # let train = Table::new(vec![true, false, false, true])?
    /// #     .with_categorical("country", ["FR", "DE", "FR", "DE"])?;
    /// # let encoder = Encoder::hashing(8)?.fit(&train)?;
    /// # let fitted = Pipeline::new(LogisticRegression::new()).fit(&encoder.encode(&train)?)?;
    /// # let scorer = Scorer::new(encoder, fitted)?;
    /// let p = scorer.probability_of(&Visit { country: "FR" })?;
    /// assert_eq!(p, scorer.probability(&[("country", "FR".into())])?);
    /// assert_eq!(p, scorer.probability_of_json(r#"{"country": "FR"}"#)?);
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`probability`](Self::probability), and [`Error::InvalidArgument`] for
    /// what is no record, or has records inside.
    pub fn probability_of<T: serde::Serialize + ?Sized>(&self, record: &T) -> Result<f64> {
        with_values(serde_json::to_value(record), |record| self.probability(record))
    }

    /// The probability of a record that is a JSON object.
    ///
    /// # Errors
    /// As for [`probability_of`](Self::probability_of).
    pub fn probability_of_json(&self, record: &str) -> Result<f64> {
        with_values(serde_json::from_str(record), |record| self.probability(record))
    }

    /// [`explain`](Self::explain) for a record that `serde` can write, as for [`probability_of`](Self::probability_of).
    ///
    /// # Errors
    /// As for [`explain`](Self::explain) and [`probability_of`](Self::probability_of).
    pub fn explain_of<T: serde::Serialize + ?Sized>(
        &self,
        record: &T,
    ) -> Result<RecordExplanation> {
        with_values(serde_json::to_value(record), |record| self.explain(record))
    }

    /// [`explain`](Self::explain) for a record that is a JSON object.
    ///
    /// # Errors
    /// As for [`explain_of`](Self::explain_of).
    pub fn explain_of_json(&self, record: &str) -> Result<RecordExplanation> {
        with_values(serde_json::from_str(record), |record| self.explain(record))
    }
}

/// What becomes of the values of a JSON object.
#[cfg(feature = "serde")]
fn with_values<T>(
    record: serde_json::Result<serde_json::Value>,
    then: impl FnOnce(&[(&str, Value<'_>)]) -> Result<T>,
) -> Result<T> {
    let record = record.map_err(|error| no_record(&error))?;
    let Some(record) = record.as_object() else { return Err(no_record(&record)) };
    let values = record.iter().map(|(name, value)| {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Missing,
            Json::Bool(is) => (*is).into(),
            Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Value::Text(text),
            Json::Array(_) | Json::Object(_) => return Err(no_record(&format!("{name}: {value}"))),
        };
        Ok((name.as_str(), value))
    });
    then(&values.collect::<Result<Vec<_>>>()?)
}

#[cfg(feature = "serde")]
fn no_record(found: &impl fmt::Display) -> Error {
    Error::invalid("record", found, "values by name: numbers, texts, booleans or null")
}

impl fmt::Display for Scorer {
    /// The encoder in a line, then the pipeline's report.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12} {}\n{}", "encoder", self.encoder, self.pipeline)
    }
}

stored!(Scorer as "scorer", |scorer| {
    encoder: FittedEncoder = scorer.encoder,
    pipeline: DynFittedPipeline = scorer.pipeline,
} => Self::of(encoder, pipeline));
