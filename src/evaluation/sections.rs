//! The report as sections of tables, which the text and the page both print.

use super::text::{NAME, cut};
use super::{EvaluationReport, ModelReport, ThresholdReport};
use crate::core::Fixed;
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
    fn new(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Self {
        let head = head.iter().map(|&cell| cell.into()).collect();
        Self { caption: None, head, rows: rows.collect() }
    }

    fn captioned(mut self, caption: impl Into<String>) -> Self {
        self.caption = Some(caption.into());
        self
    }
}

const CALIBRATION_LINE: &str = "\
    A calibrated model has intercept 0, slope 1 and intercept 0 at slope 1 (± is one standard error; – where \
    a probability of 0 or 1, or too few different probabilities, leave no line). A slope below 1 shows \
    probabilities that are too extreme.";
const ERRORS_OF_GROUPS: &str = "\
    These errors and the p-value assume independent rows: with groups they are too small.";
const ERRORS_OF_WEIGHTS: &str = "\
    These errors take weights for counts of rows; for other weights they are only a guide, and so is the \
    p-value.";
const CALIBRATION_ERRORS: &str = "\
    ECE is the mean distance of predicted and observed rates over bins. The column beside it has ECE in units \
    of the base rate, as ECE alone is small wherever positives are rare; MCE is the largest distance, and \
    smooth ECE needs no bins. Hosmer and Lemeshow's statistic is about its degrees of freedom for a \
    calibrated model, and rejects any model on enough rows.";
const BRIER_PARTS: &str = "\
    The last table has the parts of the Brier score over the Brier score of the base rate: MCB is what a \
    monotone recalibration would gain, DSC what the ranking is worth; on few positives MCB is above 0 for any \
    model. Reliability and resolution are the corresponding parts on bins, and the last column is what \
    the bins lose.";
const GROUPS: &str = "\
    Rows in groups of equal size, highest predictions first; rows of equal probability stay together, so \
    groups can differ in size. Lift is the observed rate over the base rate; share and gain are the shares of \
    all rows and of all positives from the top down to this group.";

impl EvaluationReport {
    /// One line about the rows.
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

    /// The meaning of the brackets, if there are any.
    fn brackets(&self) -> String {
        let Some(replicates) = self.replicates else { return String::new() };
        let of = if self.grouped { " of groups" } else { "" };
        let level = self.level();
        format!(" Brackets: {level} intervals from {replicates} bootstrap replicates{of}.")
    }

    /// A table with a row for each model: its name and these cells.
    fn table(&self, head: &[&str], cells: impl Fn(&ModelReport) -> Vec<String>) -> Table {
        let row = |model: &ModelReport| [vec![model.name.clone()], cells(model)].concat();
        Table::new(head, self.models.iter().map(row))
    }

    fn probabilities(&self) -> Section {
        let head = ["", "pred. / obs.", "SE off", "norm. entropy", "log loss", "Brier score"];
        let table = self.table(&head, |model| {
            let ModelReport { scorecard, intervals, .. } = model;
            let ratio = intervals.as_ref().map(|of| of.predicted_over_observed);
            let entropy = intervals.as_ref().and_then(|of| of.normalised_entropy);
            vec![
                estimate(scorecard.predicted_over_observed, ratio, 3),
                self.standard_errors_off(model)
                    .map_or_else(|| "–".into(), |off| format!("{off:+.1}")),
                estimate(scorecard.normalised_entropy, entropy, 4),
                digits(scorecard.log_loss, 5),
                digits(scorecard.brier, 5),
            ]
        });
        let by =
            if self.grouped { "of the bootstrap of groups" } else { "if rows are independent" };
        let explanation = format!(
            "{}Predicted / observed is 1 if there are as many positives as predicted; with {} positives even a \
             perfect model is off by about {}. SE off is the difference in standard errors, {by}: + for too \
             many predicted. Normalised entropy is the log loss over that of the constant \
             base rate: below 1 the model is better than the rate, above 1 worse.{}",
            self.findings(),
            self.positives,
            percent_roughly(self.positives_relative_error),
            self.brackets()
        );
        let tables = vec![table];
        Section { topic: Topic::Probabilities, title: "Probabilities", explanation, tables }
    }

    /// By how many standard errors a model predicts too many positives.
    fn standard_errors_off(&self, model: &ModelReport) -> Option<f64> {
        if !self.grouped {
            return model.scorecard.standard_errors_off;
        }
        let ratio = model.intervals.as_ref()?.predicted_over_observed;
        ratio
            .standard_error
            .filter(|&error| error > 0.0)
            .map(|error| (ratio.estimate - 1.0) / error)
    }

    /// What is wrong with the models' probabilities, in sentences.
    fn findings(&self) -> String {
        let mut sentences = String::new();
        for model in &self.models {
            let (name, card) = (cut(&model.name, NAME), &model.scorecard);
            let beyond_chance =
                |off: &f64| if self.grouped { off.abs() > 3.0 } else { card.p_value < DRIFT };
            if let Some(off) = self.standard_errors_off(model).filter(beyond_chance) {
                let ratio = digits(card.predicted_over_observed, 3);
                let (off, sign) = (digits(off.abs(), 2), if off > 0.0 { "more" } else { "fewer" });
                sentences += &format!(
                    "{name} predicts {ratio} times the positives that came, {off} standard errors {sign}. "
                );
            }
            if card.is_worse_than_base_rate() && card.normalised_entropy.is_finite() {
                let entropy = digits(card.normalised_entropy, 4);
                sentences += &format!(
                    "{name} has a normalised entropy of {entropy}, above 1: the constant base rate predicts \
                     better. "
                );
            }
            if card.rows_at_zero + card.rows_at_one > 0 {
                let (zero, one) = (card.rows_at_zero, card.rows_at_one);
                sentences += &format!(
                    "{name} gives {zero} rows the probability 0 and {one} rows 1, which leave no calibration \
                     line, and an infinite loss where they are wrong; if they were rounded, evaluate the \
                     logits. "
                );
            }
        }
        sentences
    }

    fn calibration(&self) -> Section {
        let head = ["", "intercept", "slope", "intercept at slope 1"];
        let lines = self.table(&head, |model| match model.scorecard.calibration {
            Some(line) => vec![
                with_error(line.intercept, line.intercept_standard_error),
                with_error(line.slope, line.slope_standard_error),
                with_error(
                    line.intercept_given_slope_one,
                    line.intercept_given_slope_one_standard_error,
                ),
            ],
            None => vec!["–".into(); 3],
        });
        let head =
            ["", "ECE", "ECE / base rate", "MCE", "smooth ECE", "Hosmer–Lemeshow", "p-value"];
        let errors = self.table(&head, |model| {
            let (ece, test) = (model.scorecard.ece, model.hosmer_lemeshow);
            vec![
                digits(ece, 3),
                digits(ece / self.base_rate, 3),
                digits(model.mce, 3),
                digits(model.smooth_ece, 3),
                format!("{} on {}", digits(test.statistic, 3), test.degrees_of_freedom),
                digits(test.p_value, 2),
            ]
        });
        let head = ["", "MCB", "DSC", "reliability", "resolution", "within-bin"];
        let parts = self.table(&head, |ModelReport { corp, brier_decomposition: bins, .. }| {
            let parts = [corp.miscalibration, corp.discrimination];
            let parts =
                parts.into_iter().chain([bins.reliability, bins.resolution, bins.within_bin]);
            parts.map(|part| digits(part / corp.uncertainty, 3)).collect()
        });
        let mut sentences = vec![CALIBRATION_LINE];
        match (self.grouped, self.weighted) {
            (true, _) => sentences.push(ERRORS_OF_GROUPS),
            (false, true) => sentences.push(ERRORS_OF_WEIGHTS),
            (false, false) => {}
        }
        sentences.extend([CALIBRATION_ERRORS, BRIER_PARTS]);
        let tables = vec![
            lines.captioned("Calibration line"),
            errors.captioned("Calibration errors"),
            parts.captioned("Parts of the Brier score, over that of the base rate"),
        ];
        let explanation = sentences.join(" ");
        Section { topic: Topic::Calibration, title: "Calibration", explanation, tables }
    }

    fn ranking(&self) -> Section {
        let head = ["", "ROC AUC", "average precision", "AP / base rate"];
        let table = self.table(&head, |ModelReport { scorecard, roc_auc, intervals, .. }| {
            let precision = intervals.as_ref().map(|of| of.average_precision);
            vec![
                estimate(scorecard.roc_auc, Some(*roc_auc), 4),
                estimate(scorecard.average_precision, precision, 4),
                digits(scorecard.average_precision / self.base_rate, 3),
            ]
        });
        let shares: Vec<String> = self
            .models
            .iter()
            .take(1)
            .flat_map(|model| &model.top)
            .map(|top| percent(top.share))
            .collect();
        let head: Vec<&str> =
            std::iter::once("").chain(shares.iter().map(String::as_str)).collect();
        let top = |caption: &str, of: fn(&Confusion) -> Option<f64>| {
            let cells = |model: &ModelReport| {
                model.top.iter().map(|top| share(of(&top.confusion))).collect()
            };
            self.table(&head, cells).captioned(caption)
        };
        let method = if self.grouped { "the bootstrap of groups" } else { "DeLong's method" };
        let explanation = format!(
            "AUC is the chance that a positive gets a higher probability than a negative (½ by chance; \
             {} interval by {method}). Average precision is the precision averaged over the positives from \
             the top; chance gives the base rate. Neither shows whether the probabilities are right.{}",
            self.level(),
            self.brackets()
        );
        let tables = vec![
            table,
            top("Recall: share of the positives in the top rows", Confusion::recall),
            top("Precision: share of positives in the top rows", Confusion::precision),
        ];
        Section { topic: Topic::Ranking, title: "Ranking", explanation, tables }
    }

    fn comparison(&self) -> Section {
        let tables = self.differences.iter().map(|difference| {
            let rows = [
                ("ROC AUC", Some(difference.roc_auc), difference.p_value),
                ("average precision", difference.average_precision, None),
                ("normalised entropy", difference.normalised_entropy, None),
                ("predicted / observed", difference.predicted_over_observed, None),
            ];
            let rows = rows.into_iter().filter_map(|(name, interval, p_value)| {
                let interval = estimate(interval?.estimate, interval, 3);
                let p_value = p_value.map_or_else(String::new, |p_value| digits(p_value, 2));
                Some(vec![name.into(), interval, p_value])
            });
            let caption = format!("{} less {}", difference.first, difference.second);
            Table::new(&["", "difference", "p-value"], rows).captioned(caption)
        });
        let tables = tables.collect();
        let methods = match (self.grouped, self.replicates) {
            (true, _) => "the bootstrap of groups",
            (false, Some(_)) => "DeLong's test (AUC) and the bootstrap",
            (false, None) => "DeLong's test",
        };
        let explanation = format!(
            "The first model less each other model on the same rows, with {} intervals by {methods}: where \
             an interval contains 0, these rows do not tell the models apart. More AUC and average \
             precision is better, and less entropy.",
            self.level()
        );
        Section { topic: Topic::Comparison, title: "Differences", explanation, tables }
    }

    fn groups(&self) -> Section {
        let head = ["", "rows", "positives", "predicted", "observed", "lift", "share", "gain"];
        let tables = self.models.iter().map(|model| {
            let rows = model.deciles.groups.iter().enumerate().map(|(place, group)| {
                vec![
                    format!("group {}", place + 1),
                    group.bin.rows.to_string(),
                    count(group.positives),
                    percent(group.bin.mean_predicted),
                    percent(group.bin.observed),
                    digits(group.lift, 3),
                    percent(group.cumulative_share),
                    percent(group.cumulative_gain),
                ]
            });
            Table::new(&head, rows).captioned(&model.name)
        });
        let (tables, explanation) = (tables.collect(), GROUPS.into());
        Section { topic: Topic::Groups, title: "Groups of predictions", explanation, tables }
    }

    fn thresholds(&self) -> Section {
        let head =
            ["", "threshold", "flagged", "precision", "recall", "F1", "MCC", "GM", "BA", "value"];
        let tables = self.models.iter().map(|model| {
            let rows = model.thresholds.iter().flat_map(threshold_rows);
            Table::new(&head, rows).captioned(&model.name)
        });
        let others = if self.grouped { "groups" } else { "rows" };
        let scale = if self.models.iter().any(|model| model.logits) {
            " (of this logit, for models given by their logits)"
        } else {
            ""
        };
        let found = self.models.iter().flat_map(|model| &model.thresholds);
        let fitted = found.filter_map(|threshold| threshold.cross_fitted.as_ref());
        let none = if fitted.into_iter().any(|found| found.in_sample.threshold.is_infinite()) {
            " Where the threshold is none, flagging nothing is best on all rows; the results beside it are of the \
             folds' thresholds, some of which may flag rows."
        } else {
            ""
        };
        let explanation = format!(
            "Rows of at least this probability{scale} are flagged. The threshold is the best on all rows; its results \
             are those of thresholds that were chosen without the {others} they decide, as results on the \
             same rows are optimistic. The second line has the threshold that would be best if the \
             probabilities were calibrated, and its results: it used no labels. GM and BA are the geometric \
             mean and the mean of recall and specificity (balanced accuracy); value is the mean cost, F, or \
             another quantity of the rule. – stands where no threshold meets the rule, where there are too \
             few positives for two folds, and where nothing is flagged.{none}"
        );
        let tables = tables.collect();
        Section { topic: Topic::Thresholds, title: "Thresholds", explanation, tables }
    }

    fn slices(&self) -> Section {
        let mut tables = Vec::new();
        for model in &self.models {
            for slicing in &model.slicings {
                let (name, by) = (&model.name, &slicing.by[..]);
                let head = [
                    by,
                    "rows",
                    "positives",
                    "predicted",
                    "observed",
                    "pred. / obs.",
                    "p-value",
                    "NE",
                ];
                let rates = Table::new(&head, slicing.slices.iter().map(slice_rates));
                tables.push(rates.captioned(format!("{name}, by {by}")));
                let head = [by, "ROC AUC", "AP", "log loss", "Brier", "ECE", "intercept", "slope"];
                let others = Table::new(&head, slicing.slices.iter().map(slice_ranking_and_losses));
                tables.push(others.captioned(format!("{name}, by {by}: ranking and losses")));
            }
        }
        let grouped = if self.grouped {
            " Intervals and p-values of slices assume independent rows: with groups they are too small."
        } else {
            ""
        };
        let explanation = format!(
            "The metrics on parts of the rows, which show where and when a model fails, with {} intervals. \
             The p-value is the chance of a number of positives at least as far from the predicted one, if \
             the probabilities are right and rows independent; {FLAG} marks p-values below {}. Of many \
             slices a few are marked by chance.{grouped} – stands where the rows of a slice do not determine \
             the metric.",
            self.level(),
            percent(DRIFT).replace(' ', "\u{a0}")
        );
        Section { topic: Topic::Slices, title: "Slices", explanation, tables }
    }
}

const FLAG: &str = "!";
/// The p-value below which a slice is marked: three standard errors.
const DRIFT: f64 = 0.003;

/// The threshold from labels, and the threshold from probabilities.
fn threshold_rows(of: &ThresholdReport) -> [Vec<String>; 2] {
    let row = |name: &str, threshold: Option<f64>, at: Option<&Confusion>, value| {
        vec![
            name.into(),
            threshold.map_or_else(
                || "–".into(),
                |at| if at == f64::INFINITY { "none".into() } else { digits(at, 4) },
            ),
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
    let (fitted, calibrated) = (of.cross_fitted.as_ref(), of.calibrated.as_ref());
    [
        row(
            &of.rule,
            fitted.map(|found| found.in_sample.threshold),
            fitted.map(|found| &found.confusion),
            fitted.and_then(|found| found.value),
        ),
        row(
            "↳ if calibrated",
            calibrated.map(|found| found.expected.threshold),
            calibrated.map(|found| &found.confusion),
            calibrated.and_then(|found| found.value),
        ),
    ]
}

/// A number between −1 and 1 with three decimals, or – for none.
fn decimals(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.3}"))
}

/// A share in percent, or – for none.
fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), percent)
}

/// A number with `places` significant digits, or – for none.
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

fn slice_ranking_and_losses(slice: &Slice) -> Vec<String> {
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

/// A number with `places` significant digits.
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
    format!("{} ± {}", Fixed(value, 3), Fixed(error, 3))
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
