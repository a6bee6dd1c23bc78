//! What the samplers that remove rows by their neighbours share.

use super::Resample;
use crate::core::{ClassTotals, Dataset, Distortion, Error, Result};

/// Whether both classes are cleaned, or the negatives alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clean {
    Negatives,
    Both,
}

impl Clean {
    pub(super) fn both(both: bool) -> Self {
        if both { Self::Both } else { Self::Negatives }
    }

    pub(super) fn includes(self, class: bool) -> bool {
        self == Self::Both || !class
    }
}

/// The rows `kept`, in order, with ln\[(W₊′/W₊)/(W₋′/W₋)\] as the nominal shift.
pub(super) fn cleaned(
    sampler: &'static str,
    data: &Dataset<'_>,
    kept: Vec<usize>,
) -> Result<Resample> {
    if kept.len() == data.rows() {
        return Ok(Resample::identity());
    }
    let before = data.totals();
    let labels: Vec<bool> = kept.iter().map(|&row| data.labels()[row]).collect();
    let weights: Option<Vec<f64>> =
        data.weights().map(|weights| kept.iter().map(|&row| weights[row]).collect());
    let after = ClassTotals::of(&labels, weights.as_deref());
    if !(after.positive_weight > 0.0 && after.negative_weight > 0.0) {
        let found = format!(
            "of {} positives and {} negatives it would leave {} and {}, of weight {} and {}",
            before.positives,
            before.negatives,
            after.positives,
            after.negatives,
            after.positive_weight,
            after.negative_weight
        );
        let remedy = "the classes overlap too much to be cleaned so strictly; ask for fewer \
                      neighbours or the majority's vote, or under-sample at random";
        return Err(Error::Unsuitable { sampler, found, remedy });
    }
    let nominal_log_odds = Some(after.log_odds() - before.log_odds());
    let distortion = Distortion::FeatureDependent { sampler: sampler.into(), nominal_log_odds };
    Ok(Resample::kept(kept, distortion))
}
