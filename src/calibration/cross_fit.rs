//! Cross-fitting of a calibrator on plain scores.

use super::{CalibrationSet, Calibrator, TrainingContext};
use crate::core::{Folds, Result, same_length};

/// Calibrated probabilities of scored rows, each by a map that has not seen the row: a comparison of
/// calibrators that does not favour the most flexible ones.
///
/// For each fold the calibrator learns from the training rows and maps the scores of the test rows. The
/// indices of the test rows come first, in the order of the folds, then their probabilities; with
/// [`Folds::stratified`] it is every row once, with [`Folds::forward`] all but the earliest block.
///
/// ```
/// use imbalance::Folds;
/// use imbalance::calibration::{CalibrationSet, PlattScaling, TrainingContext, cross_fit};
/// use imbalance::metrics::predicted_over_observed;
///
/// // Scores of a model trained elsewhere, which promises 9 in 10 where 3 in 4 come.
/// let logits: Vec<f64> = (0..2400).map(|i| if i < 1200 { -1.0 } else { 1.0 } * 9_f64.ln()).collect();
/// let labels: Vec<bool> = (0..2400).map(|i| (i < 1200) == (i % 12 < 3)).collect();
/// let set = CalibrationSet::from_logits(&logits, &labels)?;
///
/// let folds = Folds::stratified(&labels, 5, 7)?;
/// let training = TrainingContext::default();
/// let (rows, p) = cross_fit(&PlattScaling::new(), &training, &set, &folds)?;
/// let judged: Vec<bool> = rows.iter().map(|&row| labels[row]).collect();
/// assert!((predicted_over_observed(&judged, &p, None)? - 1.0).abs() < 0.01);
/// # Ok::<(), imbalance::Error>(())
/// ```
///
/// # Errors
/// [`Error::LengthMismatch`](crate::Error::LengthMismatch) if the folds are of another number of rows, and
/// those of the calibrator.
pub fn cross_fit<C: Calibrator>(
    calibrator: &C,
    training: &TrainingContext,
    set: &CalibrationSet<'_>,
    folds: &Folds,
) -> Result<(Vec<usize>, Vec<f64>)> {
    same_length("the folds", folds.rows(), "the scores", set.rows())?;
    let (mut rows, mut probabilities) = (Vec::new(), Vec::new());
    for split in folds.splits() {
        let map = calibrator.fit(training, Some(&set.select(split.train())?))?;
        let logits: Vec<f64> = split.test().iter().map(|&row| set.logits()[row]).collect();
        probabilities.append(&mut map.probabilities(&logits)?);
        rows.extend_from_slice(split.test());
    }
    Ok((rows, probabilities))
}
