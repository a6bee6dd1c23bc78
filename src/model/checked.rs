//! A model's logits, checked and with the offsets of the rows.

use super::Predict;
use crate::core::{Dataset, Error, FeaturesView, Meter, PART, Result, Run, same_length};

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
pub(crate) fn logits_of(model: &impl Predict, data: &Dataset<'_>, run: &Run) -> Result<Vec<f64>> {
    scores_of(
        data,
        || scores_any_row(model, data),
        run,
        |x, offsets, out| {
            logits_into(model, x, out)?;
            add(out, offsets);
            Ok(())
        },
    )
}

/// What `write` makes of features and offsets: of many rows part by part for an observer, who may stop it, unless it cannot
/// score a part of them.
pub(crate) fn scores_of(
    data: &Dataset<'_>,
    by_parts: impl FnOnce() -> bool,
    run: &Run,
    write: impl Fn(FeaturesView<'_>, Option<&[f64]>, &mut [f64]) -> Result<()>,
) -> Result<Vec<f64>> {
    let mut out = vec![0.0; data.rows()];
    if !run.is_observed() || data.rows() <= PART || !by_parts() {
        write(data.features(), data.offsets(), &mut out)?;
        return Ok(out);
    }
    let meter = Meter::new(run, "scoring", "rows", data.rows());
    for rows in meter.ranges(data.rows()) {
        let offsets = data.offsets().map(|offsets| &offsets[rows.clone()]);
        let x = data.features().slice(rows.clone());
        write(x, offsets, &mut out[rows.clone()]).map_err(|error| match error {
            Error::NonFinite { what, row, column, value } => {
                Error::NonFinite { what, row: rows.start + row, column, value }
            }
            error => error,
        })?;
    }
    meter.finish()?;
    Ok(out)
}

/// Whether a model scores rows on their own, and not only those that it was given.
pub(crate) fn scores_any_row(model: &impl Predict, data: &Dataset<'_>) -> bool {
    data.rows() > 0
        && !matches!(model.logit(data.features().row(0)), Err(Error::Unsupported { .. }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::assert_observed;
    use crate::model::{GivenLogits, LinearModel};

    #[test]
    fn scoring_is_observed_and_stops_and_parts_have_the_bits_of_the_whole() -> Result<()> {
        let rows = 300_000;
        let x = ndarray::Array2::from_shape_fn((rows, 2), |(i, j)| (i * (j + 3) % 1009) as f64);
        let labels = (0..rows).map(|i| i % 7 == 0).collect::<Vec<_>>();
        let data = Dataset::new(&x, labels)?.with_offsets(vec![0.25; rows])?;
        let model = LinearModel::new(vec![0.01, -0.02], -1.0)?;
        assert_observed("scoring", |run| logits_of(&model, &data, run).map(drop));
        let watched = Run::default().observed(|_| std::ops::ControlFlow::Continue(()));
        assert_eq!(logits_of(&model, &data, &watched)?, logits_of(&model, &data, &Run::default())?);
        // Logits of given rows have no parts.
        let given = GivenLogits::new(vec![0.5; rows])?;
        assert_eq!(logits_of(&given, &data, &watched)?, vec![0.75; rows]);
        Ok(())
    }
}
