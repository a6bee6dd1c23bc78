//! The report as sections of tables, which text and page both print.

use super::{Difference, EvaluationReport, ModelEvaluation, Slicing, Threshold};
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
        let of = if self.grouped { " of groups" } else { "" };
        self.replicates.map_or_else(String::new, |replicates| {
            format!(
                " Brackets: {} intervals from {replicates} bootstrap replicates{of}.",
                self.level()
            )
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
            percent_roughly(self.positives_relative_error),
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
        let mut errors = Table::new(&[
            "",
            "ECE",
            "ECE / base rate",
            "MCE",
            "smooth ECE",
            "Hosmer–Lemeshow",
            "p-value",
        ]);
        let mut parts = Table::new(&["", "MCB", "DSC", "reliability", "resolution", "in bins"]);
        for model in &self.models {
            let ModelEvaluation { scorecard, corp, murphy, hosmer_lemeshow: test, .. } = model;
            let row = |cells: Vec<String>| [vec![model.name.clone()], cells].concat();
            lines.rows.push(row(match scorecard.calibration {
                Some(line) => vec![
                    with_error(line.intercept, line.intercept_standard_error),
                    with_error(line.slope, line.slope_standard_error),
                    with_error(
                        line.intercept_given_slope_one,
                        line.intercept_given_slope_one_standard_error,
                    ),
                ],
                None => vec!["–".into(); 3],
            }));
            errors.rows.push(row(vec![
                digits(scorecard.ece, 3),
                digits(scorecard.ece / self.base_rate, 3),
                digits(model.mce, 3),
                digits(model.smooth_ece, 3),
                format!("{} on {}", digits(test.statistic, 3), test.degrees_of_freedom),
                digits(test.p_value, 2),
            ]));
            let share = |part: f64| digits(part / corp.uncertainty, 3);
            parts.rows.push(row(vec![
                share(corp.miscalibration),
                share(corp.discrimination),
                share(murphy.reliability),
                share(murphy.resolution),
                share(murphy.within_bins),
            ]));
        }
        let guide = match (self.grouped, self.weighted) {
            (true, _) => {
                " These errors and the p-value take rows for independent: with groups they are too small."
            }
            (false, true) => {
                " These errors take weights for counts of rows; for other weights they are only a guide, \
                 and so is the p-value."
            }
            (false, false) => "",
        };
        let explanation = format!(
            "A calibrated model has intercept 0, slope 1 and intercept 0 at slope 1 (± is one standard \
             error; – where a probability of 0 or 1, or too few different ones, leave none). A slope below \
             1 is too sure of itself.{guide} ECE is the mean distance of predicted and observed rates over \
             bins, beside it in units of the base rate, as alone it flatters; MCE is the largest, and \
             smooth ECE needs no bins. Hosmer and Lemeshow's statistic is about its degrees of freedom for \
             a calibrated model, and rejects any model on enough rows. The last table has the parts of the \
             Brier score over that of the base rate: MCB is what a monotone recalibration would gain, DSC \
             what the ranking is worth; on few positives MCB is above 0 for any model. Reliability and \
             resolution are the same on bins, and the last column what these lose."
        );
        Section {
            topic: Topic::Calibration,
            title: "Calibration",
            explanation,
            tables: vec![
                lines.captioned("Calibration line"),
                errors.captioned("Calibration errors"),
                parts.captioned("Parts of the Brier score, over that of the base rate"),
            ],
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
        let shares = self.models[0].top.iter().map(|top| percent(top.share));
        let head: Vec<String> = std::iter::once(String::new()).chain(shares).collect();
        let top = |caption: &str, of: &dyn Fn(&Confusion) -> Option<f64>| {
            let rows = self.models.iter().map(|model| {
                let cells = model.top.iter().map(|top| share(of(&top.confusion)));
                std::iter::once(model.name.clone()).chain(cells).collect()
            });
            Table { head: head.clone(), rows: rows.collect(), ..Table::default() }
                .captioned(caption)
        };
        let method = if self.grouped { "the bootstrap of groups" } else { "DeLong's method" };
        let explanation = format!(
            "AUC is the chance that a positive gets a higher probability than a negative (½ by chance; \
             {} interval by {method}). Average precision is the precision averaged over the positives from \
             the top; chance gives the base rate. Neither sees whether the probabilities are right.{}",
            self.level(),
            self.brackets()
        );
        let tables = vec![
            table,
            top("Recall: share of the positives in the top rows", &Confusion::recall),
            top("Precision: share of positives in the top rows", &Confusion::precision),
        ];
        Section { topic: Topic::Ranking, title: "Ranking", explanation, tables }
    }

    fn comparison(&self) -> Section {
        let tables = self.differences.iter().map(|difference| {
            let mut table = Table::new(&["", "difference", "p-value"]);
            let mut add = |name: &str, interval: Option<Interval>, p_value: Option<f64>| {
                if let Some(interval) = interval {
                    let text = estimate(interval.estimate, Some(interval), 3);
                    let p_value = p_value.map_or_else(String::new, |p_value| digits(p_value, 2));
                    table.rows.push(vec![name.into(), text, p_value]);
                }
            };
            add("ROC AUC", Some(difference.roc_auc), difference.p_value);
            add("average precision", difference.average_precision, None);
            add("normalised entropy", difference.normalised_entropy, None);
            add("predicted / observed", difference.predicted_over_observed, None);
            let Difference { first, second, .. } = difference;
            table.captioned(format!("{first} less {second}"))
        });
        let tables = tables.collect();
        let methods = match (self.grouped, self.replicates) {
            (true, _) => "the bootstrap of groups",
            (false, Some(_)) => "DeLong's test (AUC) and the bootstrap",
            (false, None) => "DeLong's test",
        };
        let explanation = format!(
            "The first model less each other one on the same rows, with {} intervals by {methods}: where \
             an interval contains 0, these rows do not tell the models apart. More AUC and average \
             precision is better, and less entropy.",
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
                "flagged",
                "precision",
                "recall",
                "F1",
                "MCC",
                "GM",
                "BA",
                "value",
            ]);
            table.rows = model.thresholds.iter().flat_map(threshold_rows).collect();
            table.captioned(&model.name)
        });
        let others = if self.grouped { "groups" } else { "rows" };
        let explanation = format!(
            "Rows of at least this probability are flagged. The threshold is the best on all rows; what it \
             does is told by thresholds that were chosen without the {others} they decide, as it flatters \
             itself on its own. Below it stand the threshold that the probabilities alone would choose if \
             they were calibrated, and what that does: it saw no labels. GM and BA are the geometric mean \
             and the mean of recall and specificity (balanced accuracy); value is the mean cost, F, or what \
             else the goal is about. – stands where no threshold reaches the goal, or there are too few \
             positives to try it, and where nothing is flagged."
        );
        let tables = tables.collect();
        Section { topic: Topic::Thresholds, title: "Thresholds", explanation, tables }
    }

    fn slices(&self) -> Section {
        let mut tables = Vec::new();
        for model in &self.models {
            for Slicing { by, slices } in &model.slicings {
                let mut rates = Table::new(&[
                    by,
                    "rows",
                    "positives",
                    "predicted",
                    "observed",
                    "pred. / obs.",
                    "p-value",
                    "NE",
                ]);
                let mut rest = Table::new(&[
                    by,
                    "ROC AUC",
                    "AP",
                    "log loss",
                    "Brier",
                    "ECE",
                    "intercept",
                    "slope",
                ]);
                rates.rows = slices.iter().map(slice_rates).collect();
                rest.rows = slices.iter().map(slice_rest).collect();
                tables.push(rates.captioned(format!("{}, by {by}", model.name)));
                tables.push(rest.captioned(format!("{}, by {by}: ranking and losses", model.name)));
            }
        }
        let grouped = if self.grouped {
            " Intervals and p-values of slices take rows for independent: with groups they are too small."
        } else {
            ""
        };
        let explanation = format!(
            "The same metrics on parts of the rows, to see where and when a model fails, with {} intervals. \
             The p-value is the chance of so many positives more or fewer if the probabilities are right \
             and rows independent; {FLAG} marks those below {}. Of many slices a few are marked by \
             chance.{grouped} – stands where the rows of a slice do not determine the metric.",
            self.level(),
            percent(DRIFT).replace(' ', "\u{a0}")
        );
        Section { topic: Topic::Slices, title: "Slices", explanation, tables }
    }
}

const FLAG: &str = "!";
/// The p-value below which a slice is marked: three standard errors.
const DRIFT: f64 = 0.003;

/// The threshold from labels, and the one from probabilities.
fn threshold_rows(of: &Threshold) -> [Vec<String>; 2] {
    let row = |name: String, threshold: Option<f64>, at: Option<&Confusion>, value| {
        vec![
            name,
            optional(threshold, 4),
            share(at.and_then(Confusion::flagged_share)),
            share(at.and_then(Confusion::precision)),
            share(at.and_then(Confusion::recall)),
            decimals(at.and_then(Confusion::f1)),
            decimals(at.and_then(Confusion::mcc)),
            decimals(at.and_then(Confusion::g_mean)),
            decimals(at.and_then(Confusion::balanced_accuracy)),
            optional(value, 4),
        ]
    };
    let (honest, calibrated) = (of.choice.as_ref(), of.calibrated.as_ref());
    [
        row(
            of.goal.clone(),
            honest.map(|found| found.choice.threshold),
            honest.map(|found| &found.confusion),
            honest.and_then(|found| found.value),
        ),
        row(
            "↳ if calibrated".into(),
            calibrated.map(|found| found.choice.threshold),
            calibrated.map(|found| &found.confusion),
            calibrated.and_then(|found| found.value),
        ),
    ]
}

/// A number between −1 and 1 with three decimals, if there is one.
fn decimals(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.3}"))
}

/// A share, if there is one.
fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), percent)
}

/// A number with that many significant digits, if there is one.
fn optional(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "–".into(), |value| digits(value, places))
}

fn slice_rates(slice: &Slice) -> Vec<String> {
    let flag = if slice.p_value < DRIFT { FLAG } else { "" };
    let ends = [slice.observed_lower, slice.observed_upper].map(|end| digits(100.0 * end, 2));
    vec![
        slice.name.clone(),
        slice.rows.to_string(),
        slice.positives.to_string(),
        percent(slice.mean_predicted),
        format!("{} [{}, {}]", percent(slice.base_rate), ends[0], ends[1]),
        optional(slice.predicted_over_observed, 3),
        format!("{}{flag}", digits(slice.p_value, 2)),
        optional(slice.normalised_entropy, 4),
    ]
}

fn slice_rest(slice: &Slice) -> Vec<String> {
    let line = slice.calibration;
    vec![
        slice.name.clone(),
        slice.roc_auc.map_or_else(|| "–".into(), |auc| estimate(auc.estimate, Some(auc), 3)),
        optional(slice.average_precision, 3),
        digits(slice.log_loss, 4),
        digits(slice.brier, 4),
        digits(slice.ece, 3),
        optional(line.map(|line| line.intercept), 3),
        optional(line.map(|line| line.slope), 3),
    ]
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

/// A sum of weights: whole if it is, up to rounding.
fn count(weight: f64) -> String {
    let whole = weight.round();
    let is_whole = (weight - whole).abs() <= 1e-9 * whole && whole < 1e9;
    if is_whole { format!("{whole}") } else { digits(weight, 6) }
}

/// A share in percent, with two significant digits, on one line.
fn percent_roughly(share: f64) -> String {
    format!("{}\u{a0}%", digits(100.0 * share, 2))
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
        assert_eq!(count(3.0 * (1.0 - 2e-16)), "3");
        assert_eq!(count(0.0), "0");
        assert_eq!(count(2.5), "2.50000");
        assert_eq!(percent(0.0048), "0.48 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.000_012), "0.0012 %");
    }
}
