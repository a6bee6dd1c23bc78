//! A model's logits, checked and with the offsets of the rows.

use super::Predict;
use crate::core::{Dataset, Error, FeaturesView, Result, same_length};

/// Writes the model's logits of all rows.
pub(crate) fn logits_into(
    model: &impl Predict,
    x: FeaturesView<'_>,
    out: &mut [f64],
) -> Result<()> {
    same_length("the output", out.len(), "the feature matrix", x.nrows())?;
    model.logits_into(x, out)?;
    ensure_numbers(out)
}

/// The model's logits plus the offsets of the rows.
pub(crate) fn logits_of(model: &impl Predict, data: &Dataset<'_>) -> Result<Vec<f64>> {
    let mut out = vec![0.0; data.rows()];
    logits_into(model, data.features(), &mut out)?;
    add(&mut out, data.offsets());
    Ok(out)
}

/// Adds a term to each logit, if there are terms.
pub(crate) fn add(out: &mut [f64], terms: Option<&[f64]>) {
    if let Some(terms) = terms {
        out.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
}

/// Infinite logits are certain answers; NaN is none.
pub(crate) fn ensure_numbers(logits: &[f64]) -> Result<()> {
    match logits.iter().position(|logit| logit.is_nan()) {
        None => Ok(()),
        Some(row) => {
            let what = "the model's logits".into();
            Err(Error::NonFinite { what, row, column: None, value: f64::NAN })
        }
    }
}
