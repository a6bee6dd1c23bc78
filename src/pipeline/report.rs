//! What a pipeline did, in words and numbers.

use std::fmt;

use super::FoldReport;
use crate::ClassTotals;
use crate::sampling::Distortion;

/// What each stage of a pipeline did; printed as a table.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The rows that went into the sampler.
    pub train: ClassTotals,
    /// The rows the model was trained on.
    pub sample: ClassTotals,
    /// The rows the calibrator was given, if any.
    pub calibration: Option<ClassTotals>,
    /// What happened in each fold, if there were any.
    pub folds: Vec<FoldReport>,
    /// Models served: more than one are an ensemble, of which the other fields describe the first.
    pub members: usize,
    /// The sampler's configuration.
    pub sampler: String,
    /// What was done to the training rows since they left the population.
    pub distortion: Distortion,
    /// The loss, with the constants it was trained with.
    pub loss: String,
    /// How the model's fit went.
    pub model: String,
    /// What the calibrator does.
    pub calibrator: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |f: &mut fmt::Formatter<'_>, name: &str, totals: &ClassTotals| {
            let ClassTotals { positives, negatives, .. } = totals;
            let rate = 100.0 * totals.rate();
            let weighted = if totals.weight() == totals.rows() as f64 {
                String::new()
            } else {
                format!(", weight {:.6}", totals.weight())
            };
            let all = totals.rows();
            writeln!(
                f,
                "{name:<12} {all} rows, {positives} positive, {negatives} negative{weighted}, \
                 rate {rate:.4} %"
            )
        };
        rows(f, "rows in", &self.train)?;
        writeln!(f, "{:<12} {}", "sampler", self.sampler)?;
        rows(f, "rows kept", &self.sample)?;
        writeln!(f, "{:<12} {}", "distortion", self.distortion)?;
        writeln!(f, "{:<12} {}", "loss", self.loss)?;
        writeln!(f, "{:<12} {}", "model", self.model)?;
        if let Some(calibration) = &self.calibration {
            let name = if self.folds.is_empty() { "held out" } else { "out of fold" };
            rows(f, name, calibration)?;
        }
        for (fold, report) in self.folds.iter().enumerate() {
            let FoldReport { train, sample, judged, predicted_over_observed } = report;
            write!(
                f,
                "{:<12} {} of {} rows trained, {} judged, {} positive; predicted / observed ",
                format!("  fold {}", fold + 1),
                sample.rows(),
                train.rows(),
                judged.rows(),
                judged.positives
            )?;
            match predicted_over_observed {
                Some(ratio) => writeln!(f, "{ratio:.4}")?,
                None => writeln!(f, "not known: too few other folds")?,
            }
        }
        if !self.folds.is_empty() {
            let served = match self.members {
                1 => "one model, refitted on all rows".into(),
                members => {
                    format!("mean of the probabilities of {members} models, one a fold; the first:")
                }
            };
            writeln!(f, "{:<12} {served}", "served")?;
        }
        write!(f, "{:<12} {}", "calibration", self.calibrator)
    }
}
