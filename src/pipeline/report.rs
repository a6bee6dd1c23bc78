//! What a pipeline did, in words and numbers.

use std::fmt;

use super::{FoldReport, SelfCheck, Warning};
use crate::calibration::CalibrationReport;
use crate::core::{ClassTotals, Distortion, Fixed};

/// What each stage of a pipeline did; printed as a table.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Report {
    /// The rows that went into the sampler.
    pub train: ClassTotals,
    /// The rows the model was trained on.
    pub sample: ClassTotals,
    /// The rows the calibrator was given, if any.
    pub calibration: Option<ClassTotals>,
    /// Whether it learned from them.
    pub learned: bool,
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
    /// What the calibrator learned from its rows, or how it does on them.
    pub calibration_report: Option<CalibrationReport>,
    /// What the sampler says of its draw, a sentence each.
    pub notes: Vec<String>,
    /// How the probabilities agree with the rows at hand. None of rows that were chosen by their features.
    pub checks: Vec<SelfCheck>,
    /// What leaves the probabilities off the population's.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Of parts that were made elsewhere.
    pub(super) fn of_parts(members: usize, model: String, calibrator: String) -> Self {
        let none = ClassTotals::of(&[], None);
        let unknown = || "unknown: the pipeline was made from parts".to_owned();
        Self {
            train: none,
            sample: none,
            calibration: None,
            learned: false,
            folds: Vec::new(),
            members,
            sampler: unknown(),
            distortion: Distortion::None,
            loss: unknown(),
            model,
            calibrator,
            calibration_report: None,
            notes: Vec::new(),
            checks: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Adds a check, and warnings of it.
    pub(super) fn add_check(&mut self, check: SelfCheck) {
        // That the mean is off is known where nothing undoes the training.
        let known = self.warnings.iter().any(|known| matches!(known, Warning::NotUndone { .. }));
        let of_mean = |warning: &Warning| {
            matches!(warning, Warning::MeanOff { .. } | Warning::DecileOff { .. })
        };
        let new = check.warnings().into_iter().filter(|warning| !(known && of_mean(warning)));
        self.warnings.extend(new);
        self.checks.push(check);
    }

    /// What became of the rows that the calibrator was given.
    fn use_of_rows(&self) -> &'static str {
        if !self.folds.is_empty() {
            "out of fold"
        } else if self.learned {
            "learned from"
        } else if self.calibration_report.is_some() {
            "judged on"
        } else {
            "not read"
        }
    }

    /// One line for each part of the report.
    fn lines(&self) -> Vec<(String, String)> {
        let mut lines = vec![
            ("rows in".into(), rows(&self.train)),
            ("sampler".into(), self.sampler.clone()),
            ("rows kept".into(), rows(&self.sample)),
        ];
        lines.extend(self.notes.iter().map(|note| (String::new(), note.clone())));
        lines.extend([
            ("distortion".into(), self.distortion.to_string()),
            ("loss".into(), self.loss.clone()),
            ("model".into(), self.model.clone()),
        ]);
        if let Some(calibration) = &self.calibration {
            lines.push((self.use_of_rows().into(), rows(calibration)));
        }
        for (fold, report) in self.folds.iter().enumerate() {
            lines.push((format!("  fold {}", fold + 1), report.to_string()));
        }
        if !self.folds.is_empty() {
            let served = match self.members {
                1 => "one model, refitted on all rows".into(),
                members => {
                    format!("mean of the probabilities of {members} models, one a fold; the first:")
                }
            };
            lines.push(("served".into(), served));
        }
        lines.push(("calibration".into(), self.calibrator.clone()));
        if let Some(report) = &self.calibration_report {
            let text = report.to_string();
            lines.extend(text.lines().map(|line| (String::new(), line.to_owned())));
        }
        for check in &self.checks {
            let name = std::iter::once("checked on").chain(std::iter::repeat(""));
            let text = check.to_string();
            lines.extend(name.zip(text.lines()).map(|(name, line)| (name.into(), line.to_owned())));
        }
        if self.checks.is_empty() {
            lines.push(("checked on".into(), "no rows: not checked on unseen rows".into()));
        }
        lines.extend(self.warnings.iter().map(|warning| ("WARNING".into(), warning.to_string())));
        lines
    }
}

fn rows(totals: &ClassTotals) -> String {
    let ClassTotals { positives, negatives, .. } = totals;
    let rate = 100.0 * totals.rate();
    let weighted = if totals.weight() == totals.rows() as f64 {
        String::new()
    } else {
        format!(", weight {}", Fixed(totals.weight(), 6))
    };
    let all = totals.rows();
    format!("{all} rows, {positives} positive, {negatives} negative{weighted}, rate {rate:.4} %")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, text)) in self.lines().into_iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{name:<12} {text}")?;
        }
        Ok(())
    }
}
