//! The report as sections of tables, which text and page both print.

use super::{Difference, EvaluationReport, ModelEvaluation, Threshold};
use crate::metrics::{Confusion, Interval, Slice};

/// A part of the report.
#[derive(Debug)]
pub(super) struct Section {
    #[cfg_attr(not(feature = "plot"), expect(dead_code, reason = "only pictures are found by it"))]
    pub(super) topic: Topic,
    pub(super) title: &'static str,
    /// How to read it.
    pub(super) explanation: String,
    pub(super) tables: Vec<Table>,
}

/// What a section is about; pictures are found by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Probabilities,
    Calibration,
    Ranking,
    Comparison,
    Groups,
    Thresholds,
    Slices,
}

/// A table whose first column is text and whose others are numbers.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) caption: Option<String>,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&cell| cell.into()).collect(), ..Self::default() }
    }

    fn captioned(mut self, caption: impl Into<String>) -> Self {
        self.caption = Some(caption.into());
        self
    }
}

impl EvaluationReport {
    /// What the rows are.
    pub(super) fn summary(&self) -> String {
        let weighted = if self.weighted { "weighted, " } else { "" };
        format!(
            "{} rows, {} positive, {weighted}base rate {}",
            self.rows,
            self.positives,
            percent(self.base_rate)
        )
    }

    pub(super) fn sections(&self) -> Vec<Section> {
        let mut sections = vec![self.probabilities(), self.calibration(), self.ranking()];
        if !self.differences.is_empty() {
            sections.push(self.comparison());
        }
        sections.push(self.groups());
        if self.models.iter().any(|model| !model.thresholds.is_empty()) {
            sections.push(self.thresholds());
        }
        if self.models.iter().any(|model| !model.slicings.is_empty()) {
            sections.push(self.slices());
        }
        sections
    }

    /// The level as text: `95 %`, on one line.
    fn level(&self) -> String {
        percent(self.level).replace(' ', "\u{a0}")
    }

    /// What the brackets are, where there are any.
    fn brackets(&self) -> String {
        self.replicates.map_or_else(String::new, |replicates| {
            format!(" Brackets: {} intervals from {replicates} bootstrap replicates.", self.level())
        })
    }

    fn probabilities(&self) -> Section {
        let mut table =
            Table::new(&["", "pred. / obs.", "norm. entropy", "log loss", "Brier score"]);
        for ModelEvaluation { name, scorecard, intervals, .. } in &self.models {
            let ratio = intervals.as_ref().map(|of| of.predicted_over_observed);
            let entropy = intervals.as_ref().and_then(|of| of.normalised_entropy);
            table.rows.push(vec![
                name.clone(),
                estimate(scorecard.predicted_over_observed, ratio, 3),
                estimate(scorecard.normalised_entropy, entropy, 4),
                digits(scorecard.log_loss, 5),
                digits(scorecard.brier, 5),
            ]);
        }
        let explanation = format!(
            "Predicted / observed is 1 if as many positives come as are promised; with {} positives \
             even a perfect model is off by about {}. Normalised entropy is the log loss over that of \
             the constant base rate: below 1 the model knows more than the rate, above 1 it misleads.{}",
            self.positives,
            digits(1.0 / (self.positives as f64).sqrt(), 2),
            self.brackets()
        );
        Section {
            topic: Topic::Probabilities,
            title: "Probabilities",
            explanation,
            tables: vec![table],
        }
    }

    fn calibration(&self) -> Section {
        let mut lines = Table::new(&["", "intercept", "slope", "intercept at slope 1"]);
        let mut parts = Table::new(&["", "ECE", "ECE / base rate", "MCB / UNC", "DSC / UNC"]);
        for ModelEvaluation { name, scorecard, corp, .. } in &self.models {
            let mut row = vec![name.clone()];
            match scorecard.calibration {
                Some(line) => row.extend([
                    with_error(line.intercept, line.intercept_standard_error),
                    with_error(line.slope, line.slope_standard_error),
                    with_error(
                        line.intercept_given_slope_one,
                        line.intercept_given_slope_one_standard_error,
                    ),
                ]),
                None => row.extend(["–"; 3].map(String::from)),
            }
            lines.rows.push(row);
            parts.rows.push(vec![
                name.clone(),
                digits(scorecard.ece, 3),
                digits(scorecard.ece / self.base_rate, 3),
                digits(corp.miscalibration / corp.uncertainty, 3),
                digits(corp.discrimination / corp.uncertainty, 3),
            ]);
        }
        let explanation = "A calibrated model has intercept 0, slope 1 and intercept 0 at slope 1 (± is \
            one standard error; – where a probability of 0 or 1, or too few different ones, leave none). \
            A slope below 1 is too sure of itself. ECE is the mean distance of predicted and observed \
            rates; beside it in units of the base rate, as alone it flatters. MCB is what a monotone \
            recalibration would gain in Brier score, DSC what the ranking is worth, both over that of the \
            base rate; on few positives MCB is above 0 for any model."
            .into();
        Section {
            topic: Topic::Calibration,
            title: "Calibration",
            explanation,
            tables: vec![lines, parts],
        }
    }

    fn ranking(&self) -> Section {
        let mut table = Table::new(&["", "ROC AUC", "average precision", "AP / base rate"]);
        for ModelEvaluation { name, scorecard, roc_auc, intervals, .. } in &self.models {
            let precision = intervals.as_ref().map(|of| of.average_precision);
            table.rows.push(vec![
                name.clone(),
                estimate(scorecard.roc_auc, Some(*roc_auc), 4),
                estimate(scorecard.average_precision, precision, 4),
                digits(scorecard.average_precision / self.base_rate, 3),
            ]);
        }
        let explanation = format!(
            "AUC is the chance that a positive gets a higher probability than a negative (½ by chance; \
             {} interval by DeLong's method). Average precision is the precision averaged over the \
             positives from the top; chance gives the base rate. Neither sees whether the probabilities \
             are right.{}",
            self.level(),
            self.brackets()
        );
        Section { topic: Topic::Ranking, title: "Ranking", explanation, tables: vec![table] }
    }

    fn comparison(&self) -> Section {
        let tables = self.differences.iter().map(|difference| {
            let Difference { first, second, roc_auc, average_precision, normalised_entropy } =
                difference;
            let mut table = Table::new(&["", "difference", "p-value"]);
            let mut add = |name: &str, interval: Option<Interval>, p_value: String| {
                if let Some(interval) = interval {
                    let text = estimate(interval.estimate, Some(interval), 3);
                    table.rows.push(vec![name.into(), text, p_value]);
                }
            };
            add("ROC AUC", Some(roc_auc.difference), digits(roc_auc.p_value, 2));
            add("average precision", *average_precision, String::new());
            add("normalised entropy", *normalised_entropy, String::new());
            table.captioned(format!("{first} less {second}"))
        });
        let tables = tables.collect();
        let bootstrap = if self.replicates.is_some() { " and the bootstrap" } else { "" };
        let explanation = format!(
            "The first model less each other one on the same rows, with {} intervals by DeLong's \
             test{bootstrap}: where an interval contains 0, these rows do not tell the models apart. More \
             AUC and average precision is better, and less entropy.",
            self.level()
        );
        Section { topic: Topic::Comparison, title: "Differences", explanation, tables }
    }

    fn groups(&self) -> Section {
        let tables = self.models.iter().map(|model| {
            let mut table = Table::new(&[
                "",
                "rows",
                "positives",
                "predicted",
                "observed",
                "lift",
                "share",
                "gain",
            ]);
            for (place, group) in model.deciles.groups.iter().enumerate() {
                table.rows.push(vec![
                    format!("group {}", place + 1),
                    group.bin.rows.to_string(),
                    count(group.positives),
                    percent(group.bin.mean_predicted),
                    percent(group.bin.observed),
                    digits(group.lift, 3),
                    percent(group.cumulative_share),
                    percent(group.cumulative_gain),
                ]);
            }
            table.captioned(&model.name)
        });
        let explanation = "Rows in groups of equal size, highest predictions first; rows of equal \
            probability stay together, so groups can differ in size. Lift is the observed rate over the \
            base rate; share and gain are the shares of all rows and of all positives from the top to \
            here."
            .into();
        let tables = tables.collect();
        Section { topic: Topic::Groups, title: "Groups of predictions", explanation, tables }
    }

    fn thresholds(&self) -> Section {
        let tables = self.models.iter().map(|model| {
            let mut table = Table::new(&[
                "",
                "threshold",
                "if calibrated",
                "flagged",
                "precision",
                "recall",
                "value",
            ]);
            table.rows = model.thresholds.iter().map(threshold_row).collect();
            table.captioned(&model.name)
        });
        let explanation = "Rows of at least this probability are flagged. The threshold is the best on all \
            rows; what it does is told by thresholds that were chosen without the rows they decide, as it \
            flatters itself on its own. If the probabilities are calibrated, they alone would choose the \
            threshold beside it. Value is the mean cost, F, or what else the goal is about. – stands \
            where no threshold reaches the goal, and where nothing is flagged."
            .into();
        let tables = tables.collect();
        Section { topic: Topic::Thresholds, title: "Thresholds", explanation, tables }
    }

    fn slices(&self) -> Section {
        let mut tables = Vec::new();
        for model in &self.models {
            for slicing in &model.slicings {
                let mut table = Table::new(&[
                    &slicing.by,
                    "rows",
                    "positives",
                    "predicted",
                    "observed",
                    "pred. / obs.",
                    "",
                    "NE",
                    "AUC",
                ]);
                table.rows = slicing.slices.iter().map(slice_row).collect();
                tables.push(table.captioned(format!("{}, by {}", model.name, slicing.by)));
            }
        }
        let explanation = format!(
            "The same metrics on parts of the rows, to see where and when a model fails. After \
             predicted / observed stands one standard error of a ratio of 1, from the number of \
             positives; {FLAG} marks a ratio more than {DRIFT} of them from 1. Of many slices a few are \
             marked by chance. – stands where a slice holds one class only."
        );
        Section { topic: Topic::Slices, title: "Slices", explanation, tables }
    }
}

const FLAG: &str = "!";
/// Standard errors from which a slice is marked: one in 370 by chance.
const DRIFT: f64 = 3.0;

fn threshold_row(of: &Threshold) -> Vec<String> {
    let share = |value: Option<f64>| value.map_or_else(|| "–".into(), percent);
    let (choice, confusion) =
        of.choice.as_ref().map(|found| (&found.choice, &found.confusion)).unzip();
    vec![
        of.goal.clone(),
        optional(choice.map(|choice| choice.threshold), 4),
        optional(of.calibrated.map(|choice| choice.threshold), 4),
        share(confusion.and_then(Confusion::flagged_share)),
        share(confusion.and_then(Confusion::precision)),
        share(confusion.and_then(Confusion::recall)),
        optional(of.choice.as_ref().and_then(|found| found.value), 4),
    ]
}

/// A number with that many significant digits, if there is one.
fn optional(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "–".into(), |value| digits(value, places))
}

fn slice_row(slice: &Slice) -> Vec<String> {
    let ratio = match (slice.predicted_over_observed, slice.observed_relative_error) {
        (Some(ratio), Some(error)) => {
            let flag = if drifts(ratio, error) { FLAG } else { "" };
            [digits(ratio, 3), format!("± {}{flag}", digits(error, 2))]
        }
        _ => ["–".into(), String::new()],
    };
    let [ratio, error] = ratio;
    vec![
        slice.name.clone(),
        slice.rows.to_string(),
        slice.positives.to_string(),
        percent(slice.mean_predicted),
        percent(slice.base_rate),
        ratio,
        error,
        optional(slice.normalised_entropy, 4),
        optional(slice.roc_auc, 4),
    ]
}

/// Whether so many positives less or more than promised are hardly chance. The relative error is that
/// of the observed number; what a calibrated model would see differs by the root of the ratio.
fn drifts(ratio: f64, error: f64) -> bool {
    (ratio - 1.0).abs() > DRIFT * error * ratio.sqrt()
}

/// A number with that many significant digits.
pub(super) fn digits(value: f64, places: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return if value > 0.0 { "∞" } else { "–" }.into();
    }
    let exponent = value.abs().log10().floor();
    if !(-5.0..7.0).contains(&exponent) {
        return format!("{value:.*e}", places.saturating_sub(1));
    }
    let decimals = (places as f64 - 1.0 - exponent).max(0.0) as usize;
    format!("{value:.decimals$}")
}

/// A sum of weights: whole if it is.
fn count(weight: f64) -> String {
    if weight.fract() == 0.0 && weight < 1e9 { format!("{weight}") } else { digits(weight, 6) }
}

/// A share in percent, with three significant digits.
pub(super) fn percent(share: f64) -> String {
    let text = digits(100.0 * share, 3);
    let text = if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text} %")
}

fn with_error(value: f64, error: f64) -> String {
    format!("{value:.3} ± {error:.3}")
}

/// An estimate with its interval, if there is one, to as many decimals as the estimate has.
fn estimate(value: f64, interval: Option<Interval>, places: usize) -> String {
    let text = digits(value, places);
    let Some(Interval { lower, upper, .. }) = interval else { return text };
    if text.contains('e') || !text.contains('.') {
        return format!("{text} [{}, {}]", digits(lower, places), digits(upper, places));
    }
    let decimals = text.split('.').nth(1).map_or(0, str::len);
    format!("{text} [{lower:.decimals$}, {upper:.decimals$}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_significant_digits() {
        for (value, places, expected) in [
            (0.0, 3, "0"),
            (0.001_234_5, 3, "0.00123"),
            (123.456, 2, "123"),
            (1.0, 3, "1.00"),
            (1e-9, 3, "1.00e-9"),
            (f64::INFINITY, 3, "∞"),
            (-0.5, 3, "-0.500"),
        ] {
            assert_eq!(digits(value, places), expected);
        }
        assert_eq!(percent(0.0048), "0.48 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.000_012), "0.0012 %");
    }
}
