//! Record batches of rows that are written.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray,
};
use arrow_schema::{Field, Schema};

use crate::core::{Categories, Error, Result};
use crate::data::Frame;
use crate::data::frame::Values;

impl Frame<'_> {
    /// These rows as a record batch of Arrow: numbers as `Float64`, where null is a missing one, labels as `Boolean`, texts
    /// as `Dictionary(Int32, Utf8)`.
    ///
    /// ```
    /// use imbalance::data::{ArrowReader, Frame, Table};
    ///
    /// let table = Table::new(vec![false, true])?.with_numeric("price", vec![3.5, f64::NAN])?;
    /// let rows = Frame::new(2).with_labels("click", table.labels())?.with_table(&table)?;
    /// let batch = rows.to_record_batch()?;
    /// let again = ArrowReader::new().label("click").numeric(["price"]).read(&batch)?;
    /// assert_eq!(again.labels(), table.labels());
    /// # Ok::<(), imbalance::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without columns.
    pub fn to_record_batch(&self) -> Result<RecordBatch> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (name, values) in self.columns.iter() {
            let array: ArrayRef = match values {
                Values::Numbers(values) => Arc::new(
                    values.iter().map(|x| (!x.is_nan()).then_some(*x)).collect::<Float64Array>(),
                ),
                Values::Labels(labels) => Arc::new(BooleanArray::from(labels.to_vec())),
                Values::Texts(texts) => Arc::new(dictionary(texts)?),
            };
            let nullable = matches!(values, Values::Numbers(_));
            fields.push(Field::new(name, array.data_type().clone(), nullable));
            arrays.push(array);
        }
        if arrays.is_empty() {
            return Err(Error::invalid("rows", "without columns", "one column or more"));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|error| Error::invalid("rows", error, "columns of one length"))
    }
}

fn dictionary(texts: &Categories<'_>) -> Result<DictionaryArray<Int32Type>> {
    let too_many = || Error::invalid("rows", texts.levels().len(), "at most 2^31 different texts");
    let keys = texts.codes().iter().map(|code| i32::try_from(*code).map_err(|_| too_many()));
    let keys = Int32Array::from(keys.collect::<Result<Vec<_>>>()?);
    let levels = StringArray::from_iter_values(texts.levels());
    DictionaryArray::try_new(keys, Arc::new(levels)).map_err(|_| too_many())
}
