//! The report: its numbers are the metric functions', its texts fit, its page stands alone.

use imbalance::Precision;
use imbalance::data::SyntheticClicks;
use imbalance::metrics::{
    self, Bootstrap, Interval, Period, RankedScores, Scorecard, Slice, ThresholdRule,
};
use imbalance::plot::Options;
use imbalance::{Attribute, Error, Evaluation, EvaluationReport, Folds};
use proptest::prelude::*;

struct Rows {
    labels: Vec<bool>,
    truth: Vec<f64>,
    doubled: Vec<f64>,
    days: Vec<f64>,
}

fn rows() -> Rows {
    let log =
        SyntheticClicks::new(30_000, 0.01).unwrap().precision(Precision::F32).generate(7).unwrap();
    let doubled = log.probabilities.iter().map(|p| (2.0 * p).min(0.99)).collect();
    let days = log.dataset.numbers("day").unwrap().to_vec();
    Rows { labels: log.dataset.labels().to_vec(), truth: log.probabilities, doubled, days }
}

const WICKED: &str = "<script>alert('x')</script> & \"co\"";

fn report(rows: &Rows) -> EvaluationReport {
    let colours = Attribute::categories(
        (0..rows.labels.len()).map(|row| if row % 3 == 0 { "<red>" } else { "blue" }),
    );
    let Attribute::Categories(colours) = &colours else { unreachable!() };
    Evaluation::new(&rows.labels, &rows.truth)
        .name("truth")
        .against(WICKED, &rows.doubled)
        .bootstrap(100)
        .threshold("a miss costs 30 alarms", ThresholdRule::cost(1.0, 30.0).unwrap())
        .threshold("nine in ten right", ThresholdRule::precision_floor(0.9).unwrap())
        .by_period("day", &rows.days, 1.0)
        .by_category("colour", colours)
        .report()
        .unwrap()
}

#[test]
fn the_numbers_are_those_of_the_metric_functions() {
    let rows = rows();
    let report = report(&rows);
    let [truth, doubled] = &report.models[..] else { unreachable!() };
    for (model, p) in [(truth, &rows.truth), (doubled, &rows.doubled)] {
        assert_eq!(model.scorecard, Scorecard::new(&rows.labels, p, None).unwrap());
        assert_eq!(model.roc_auc.estimate, metrics::roc_auc(&rows.labels, p, None).unwrap());
        let intervals = model.intervals.as_ref().unwrap();
        for (interval, value) in [
            (intervals.average_precision, model.scorecard.average_precision),
            (intervals.predicted_over_observed, model.scorecard.predicted_over_observed),
            (intervals.normalised_entropy.unwrap(), model.scorecard.normalised_entropy),
        ] {
            assert_eq!(interval.estimate, value);
            assert!(interval.lower < value && value < interval.upper);
        }
        // Sorted or not, the slices hold every row once.
        for slicing in &model.slicings {
            assert_eq!(slicing.slices.iter().map(|slice| slice.rows).sum::<usize>(), 30_000);
        }
        let bins = metrics::quantile_bins(&rows.labels, p, None, 10).unwrap();
        assert!(model.reliability.points.iter().map(|point| point.bin).eq(bins));
        let ranked = RankedScores::new(&rows.labels, p, None).unwrap();
        assert_eq!(model.roc, ranked.roc_curve().unwrap().thinned(2000).unwrap());
        let curve = ranked.precision_recall_curve().unwrap();
        assert_eq!(model.precision_recall, curve.thinned(2000).unwrap());
        assert_eq!(model.gain, ranked.gain_curve().unwrap().thinned(2000).unwrap());
        assert_eq!(model.mce, metrics::mce(&rows.labels, p, None, 10).unwrap());
        assert_eq!(model.smooth_ece, metrics::smooth_ece(&rows.labels, p, None).unwrap());
        let test = metrics::hosmer_lemeshow(&rows.labels, p, None, 10).unwrap();
        assert_eq!(model.hosmer_lemeshow, test);
        let parts = metrics::brier_decomposition(&rows.labels, p, None, 10).unwrap();
        assert_eq!(model.brier_decomposition, parts);
        for top in &model.top {
            let k = top.share * 30_000.0;
            let recall = metrics::recall_at_k(&rows.labels, p, None, k).unwrap();
            assert!((top.confusion.recall().unwrap() - recall).abs() < 1e-12);
        }
    }
    let [difference] = &report.differences[..] else { unreachable!() };
    let entropy = difference.normalised_entropy.unwrap();
    let [a, b] = [truth, doubled].map(|model| model.scorecard.normalised_entropy);
    assert!((entropy.estimate - (a - b)).abs() < 1e-12);
    // Doubling costs entropy beyond doubt.
    assert!(entropy.upper < 0.0);
    let ratio = difference.predicted_over_observed.unwrap();
    let [a, b] = [truth, doubled].map(|model| model.scorecard.predicted_over_observed);
    assert!((ratio.estimate - (a - b)).abs() < 1e-12);
    assert!(ratio.upper < 0.0);
    // All models are on the same replicates as those of the free functions.
    let bootstrap = Bootstrap::new(100, 0).unwrap();
    let models = [&rows.truth[..], &rows.doubled[..]];
    let metric = |rows: &RankedScores| Ok([rows.normalised_entropy()?]);
    let [paired] = bootstrap.differences(&rows.labels, models, None, metric).unwrap();
    assert_eq!(entropy, paired);
    let auc = metrics::compare_roc_auc(&rows.labels, models[0], models[1], None, 0.95).unwrap();
    assert_eq!((difference.roc_auc, difference.p_value), (auc.difference, auc.p_value));

    let text = report.to_string();
    let html = report.to_html().unwrap();
    for model in &report.models {
        let card = &model.scorecard;
        // Three significant digits.
        let places = if card.predicted_over_observed < 1.0 { 3 } else { 2 };
        for number in [
            format!("{:.4} [", card.roc_auc),
            format!("{:.1$} [", card.predicted_over_observed, places),
            format!("{:.4} [", card.normalised_entropy),
            format!("{:.4}", card.average_precision),
            format!("{:.6}", card.log_loss).trim_end_matches('0')[..6].to_owned(),
        ] {
            assert!(text.contains(&number), "{number} in\n{text}");
            assert!(html.contains(&number), "{number}");
        }
    }
    assert!(text.starts_with("30000 rows, "), "{text}");
}

#[test]
fn the_text_fits_the_terminal() {
    let rows = rows();
    let text = report(&rows).to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert_eq!(line, line.trim_end());
    }
    for part in ["truth, by day", "truth, by colour", "<red>", "blue", "Differences", "group 10"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    // Columns line up: the header ends where the numbers end.
    let start = text.find("\n                ").unwrap() + 1;
    let table: Vec<&str> = text[start..].lines().take(3).collect();
    let widths: Vec<usize> = table.iter().map(|line| line.chars().count()).collect();
    assert!(widths.iter().all(|&width| width == widths[0]), "{table:?}");
}

#[test]
fn the_page_stands_alone_and_escapes_names() {
    let rows = rows();
    let report = report(&rows);
    let html = report.to_html().unwrap();
    assert!(!html.contains("<script"));
    assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;co&quot;"));
    assert!(html.contains("<td>&lt;red&gt;</td>"));
    for link in ["src=", "href=", "url(", "@import", "<link", "<script", "<iframe", "<img"] {
        assert!(!html.contains(link), "{link}");
    }
    // The only address is the name of the SVG format, which nothing fetches.
    let addresses = html.matches("http").count();
    assert_eq!(addresses, html.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    let pictures = report.pictures(&Options::default()).unwrap();
    let names: Vec<&str> = pictures.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "reliability",
        "histogram",
        "roc",
        "precision-recall",
        "gain",
        "deciles",
        "slices-1",
        "slices-2",
    ];
    assert_eq!(names, expected);
    for (name, picture) in &pictures {
        assert!(html.contains(picture.svg()), "{name}");
    }
    // Apart from its first line and two tags without an end, the page is XML.
    let body = html.replace("<!DOCTYPE html>\n", "").replace("<meta charset=\"utf-8\">", "");
    let viewport = "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";
    let page = body.replace(viewport, "");
    let document = roxmltree::Document::parse(&page).unwrap();
    let sections = document.descendants().filter(|node| node.has_tag_name("h2")).count();
    assert_eq!(sections, 7);
}

#[test]
fn the_report_is_data() {
    let rows = rows();
    let report = report(&rows);
    let data = serde_json::to_value(&report).unwrap();
    assert_eq!(data["rows"], 30_000);
    assert_eq!(data["models"][0]["name"], "truth");
    let auc = data["models"][1]["roc_auc"]["estimate"].as_f64().unwrap();
    assert_eq!(auc, report.models[1].roc_auc.estimate);
    let read: EvaluationReport = serde_json::from_str(&data.to_string()).unwrap();
    assert_eq!(read, report);
}

#[test]
fn what_is_infinite_is_read_back() {
    // A certain miss, and a rule for which nothing is flagged.
    let (labels, p) = ([true, false, true, false], [0.0, 0.1, 0.2, 0.3]);
    let rule = ThresholdRule::cost(100.0, 1.0).unwrap();
    let report = Evaluation::new(&labels, &p).threshold("dear", rule).report().unwrap();
    assert_eq!(report.models[0].scorecard.log_loss, f64::INFINITY);
    assert_eq!(rule.choose(&labels, &p, None).unwrap().threshold, f64::INFINITY);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<EvaluationReport>(&text).unwrap(), report);
}

#[test]
fn rules_are_read_back_and_checked() {
    for rule in [
        ThresholdRule::cost(1.0, 30.0).unwrap(),
        ThresholdRule::cost_matrix([[-1.0, 2.0], [3.0, -0.5]]).unwrap(),
        ThresholdRule::f_beta(2.0).unwrap(),
        ThresholdRule::share(0.1).unwrap(),
        ThresholdRule::budget(10.0).unwrap(),
        ThresholdRule::precision_floor(0.9).unwrap(),
        ThresholdRule::recall_floor(0.5).unwrap(),
    ] {
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<ThresholdRule>(&text).unwrap(), rule, "{text}");
    }
    for (text, problem) in [
        (r#"{"Share":1.5}"#, "share"),
        (r#"{"PrecisionFloor":0}"#, "precision"),
        (r#"{"FBeta":-1}"#, "beta"),
        (r#"{"Cost":[[0,-1],[1,0]]}"#, "costs"),
    ] {
        let error = serde_json::from_str::<ThresholdRule>(text).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn thresholds_are_those_of_the_rules() {
    let rows = rows();
    let report = report(&rows);
    let cost = ThresholdRule::cost(1.0, 30.0).unwrap();
    for (model, p) in report.models.iter().zip([&rows.truth, &rows.doubled]) {
        let [miss, precision] = &model.thresholds[..] else { unreachable!() };
        let folds = Folds::stratified(&rows.labels, 5, 0).unwrap();
        let cross_fitted = cost.choose_cross_fitted(&rows.labels, p, None, &folds).unwrap();
        assert_eq!(miss.cross_fitted.as_ref(), Some(&cross_fitted));
        let calibrated = miss.calibrated.as_ref().unwrap();
        assert_eq!(calibrated.expected, cost.choose_calibrated(p, None).unwrap());
        assert_eq!(calibrated.expected.threshold, 1.0 / 31.0);
        // What the probabilities promise of the threshold, and what it does.
        let outcome = metrics::confusion(&rows.labels, p, None, 1.0 / 31.0).unwrap();
        assert_eq!(calibrated.confusion, outcome);
        assert_eq!(outcome.flagged(), calibrated.expected.confusion.flagged());
        let mistakes = outcome.false_positives + 30.0 * outcome.false_negatives;
        assert_eq!(calibrated.value, Some(mistakes / 30_000.0));
        // At a base rate of 1 % nothing is nine tenths sure, whatever the second model promises.
        assert_eq!(precision.rule, "nine in ten right");
        assert!(
            precision.cross_fitted.is_none()
                || precision.cross_fitted.as_ref().unwrap().value < Some(0.9)
        );
    }
    // The truth keeps its promise of the flagged rows, and twice the truth half of it; with at least 25
    // positives among them, to within two standard errors of 20 %.
    for (model, promise) in report.models.iter().zip([1.0, 2.0]) {
        let calibrated = model.thresholds[0].calibrated.as_ref().unwrap();
        assert!(calibrated.confusion.true_positives >= 25.0);
        let promised = calibrated.expected.confusion.precision().unwrap();
        let ratio = promised / calibrated.confusion.precision().unwrap();
        assert!((ratio / promise - 1.0).abs() < 0.4, "{ratio}");
    }
    let text = report.to_string();
    assert!(text.contains("↳ if calibrated"), "{text}");
    assert!(text.contains("Thresholds") && text.contains("a miss costs 30 alarms"), "{text}");
}

#[test]
fn days_are_named_by_their_date() {
    let times = [1_574_553_617.0, 1_574_640_000.0, 1_574_553_600.0, f64::NAN];
    let labels = [true, false, false, true];
    let p = [0.5, 0.1, 0.2, 0.3];
    let report =
        Evaluation::new(&labels, &p).by_period("day", &times, Period::Day).report().unwrap();
    let slices = &report.models[0].slicings[0].slices;
    let names: Vec<&str> = slices.iter().map(|slice| slice.name.as_str()).collect();
    assert_eq!(names, ["2019-11-24", "2019-11-25", "missing"]);
    assert!(report.to_html().unwrap().contains("2019-11-25"));
}

#[test]
fn logits_keep_what_probabilities_round_away() {
    // A good model with two sure mistakes: as probabilities they are certain, as logits they cost 68 and 70 nats.
    let labels: Vec<bool> = (0..10_000).map(|row| row % 100 == 0).collect();
    let z = |row: usize| match row {
        1 => 68.0,
        2 => 70.0,
        _ => f64::from(u8::from(labels[row])) * 8.0 - 6.0 + (row * 7919 % 997) as f64 / 500.0,
    };
    let logits: Vec<f64> = (0..labels.len()).map(z).collect();
    let p: Vec<f64> = logits.iter().map(|&z| imbalance::numerics::sigmoid(z)).collect();
    let report = Evaluation::from_logits(&labels, &logits)
        .name("logits")
        .against("probabilities", &p)
        .against_logits("again", &logits)
        .threshold("cost", ThresholdRule::cost(1.0, 30.0).unwrap())
        .by_period("part", &(0..10_000).map(|row| f64::from(row / 5000)).collect::<Vec<_>>(), 1.0)
        .report()
        .unwrap();
    let [by_logits, by_p, again] = &report.models[..] else { unreachable!() };
    assert_eq!(by_logits.scorecard, again.scorecard);
    assert!(by_logits.logits && !by_p.logits);
    let exact = metrics::log_loss_from_logits(&labels, &logits, None).unwrap();
    assert!((by_logits.scorecard.log_loss / exact - 1.0).abs() < 1e-12);
    assert!(by_logits.scorecard.calibration.is_some());
    assert_eq!((by_logits.scorecard.rows_at_zero, by_logits.scorecard.rows_at_one), (0, 0));
    assert_eq!((by_p.scorecard.log_loss, by_p.scorecard.rows_at_one), (f64::INFINITY, 2));
    assert_eq!(by_p.scorecard.calibration, None);
    let brier = |model: &imbalance::evaluation::ModelReport| model.scorecard.brier;
    assert!((brier(by_logits) - brier(by_p)).abs() < 1e-15);
    // The same rows are flagged, from a logit and from a probability on.
    let threshold = |model: &imbalance::evaluation::ModelReport| {
        model.thresholds[0].calibrated.clone().unwrap().expected.threshold
    };
    assert!((threshold(by_logits) - 1_f64.ln() + 30_f64.ln()).abs() < 1e-12);
    assert!((threshold(by_p) - 1.0 / 31.0).abs() < 1e-12);
    let text = report.to_string().replace('\n', " ");
    assert!(text.contains("gives 0 rows the probability 0 and 2 rows 1"), "{text}");
    assert!(text.contains("of this logit"), "{text}");
    let nan = Evaluation::from_logits(&labels[..2], &[f64::NAN, 0.0]).report().unwrap_err();
    assert!(matches!(nan, Error::NonFinite { row: 0, .. }), "{nan}");
}

#[test]
fn the_report_says_in_words_what_is_wrong() {
    let rows = rows();
    let text = report(&rows).to_string().replace('\n', " ");
    assert!(text.contains("times the positives that came"), "{text}");
    assert!(!text.contains("truth predicts"), "{text}");
    let labels: Vec<bool> = (0..1000).map(|row| row % 50 == 0).collect();
    let p = vec![0.5; 1000];
    let report = Evaluation::new(&labels, &p)
        .name("half")
        .threshold("dear alarms", ThresholdRule::cost(1e6, 1.0).unwrap())
        .report()
        .unwrap();
    // 500 predicted, 20 came: 480 in standard errors of √250.
    let off = report.models[0].scorecard.standard_errors_off.unwrap();
    assert!((off - 480.0 / 250_f64.sqrt()).abs() < 1e-12, "{off}");
    let text = report.to_string().replace('\n', " ");
    assert!(
        text.contains("half predicts 25.0 times the positives that came, 30 standard errors more"),
        "{text}"
    );
    assert!(text.contains("above 1: the constant base rate predicts better"), "{text}");
    // Nothing is flagged: the threshold is no number.
    assert!(text.contains("none") && text.contains("flagging nothing is best"), "{text}");
    assert!(!text.contains("∞"), "{text}");
}

#[test]
fn no_number_of_the_report_is_a_line_long() {
    let labels: Vec<bool> = (0..200).map(|row| row % 10 == 0).collect();
    let p: Vec<f64> = (0..200).map(|row| 0.05 + f64::from(row % 7) / 50.0).collect();
    for weight in [1e304, 1e-300] {
        let weights = vec![weight; 200];
        let times: Vec<f64> = (0..200).map(|row| f64::from(row / 100) * 1e300).collect();
        let report = Evaluation::new(&labels, &p)
            .weights(&weights[..])
            .threshold("budget", ThresholdRule::budget(10.0 * weight).unwrap())
            .by_period("time", &times, 1e299)
            .report()
            .unwrap();
        let card = Scorecard::new(&labels, &p, Some(&weights)).unwrap();
        for text in [report.to_string(), report.to_html().unwrap_or_default(), card.to_string()] {
            let long =
                |word: &str| word.len() > 25 && word.bytes().all(|byte| byte.is_ascii_digit());
            assert!(!text.split(|c: char| !c.is_ascii_alphanumeric()).any(long), "{text}");
        }
    }
    let error = Scorecard::new(&[false; 2], &[0.5; 2], Some(&[1e300; 2])).unwrap_err();
    assert!(error.to_string().contains("2e300"), "{error}");
}

#[test]
fn weights_count_rows() {
    let labels = [true, false, false, true];
    let p = [0.5, 0.1, 0.2, 0.3];
    let twice: Vec<usize> = vec![0, 1, 1, 2, 3];
    let weights = [1.0, 2.0, 1.0, 1.0];
    let (repeated, q): (Vec<bool>, Vec<f64>) =
        twice.iter().map(|&row| (labels[row], p[row])).unzip();
    let weighted = Evaluation::new(&labels, &p).weights(&weights[..]).report().unwrap();
    let counted = Evaluation::new(&repeated, &q).report().unwrap();
    let entropy = |report: &EvaluationReport| report.models[0].scorecard.normalised_entropy;
    assert!((entropy(&weighted) - entropy(&counted)).abs() < 1e-15);
    assert!(weighted.to_string().contains("weighted"));
    assert!(weighted.to_string().contains("only a guide"));
    // One positive that stands for three rows tells less than three: √(9 + 1) / 4, not 1 / √4.
    let heavy = [3.0, 2.0, 1.0, 1.0];
    let heavy = Evaluation::new(&labels, &p).weights(&heavy[..]).report().unwrap();
    assert!((heavy.positives_relative_error - 10_f64.sqrt() / 4.0).abs() < 1e-15);
    assert!(heavy.to_string().contains("off by about 79"), "{heavy}");
    assert!(!counted.to_string().contains("weighted"));
}

#[test]
fn groups_widen_every_interval_of_rows_that_repeat() {
    // Each row ten times over: as many rows, and a tenth of what they know.
    let log =
        SyntheticClicks::new(2_000, 0.05).unwrap().precision(Precision::F32).generate(3).unwrap();
    let repeat = |row: usize| row / 10;
    let labels: Vec<bool> = (0..20_000).map(|row| log.dataset.labels()[repeat(row)]).collect();
    let p: Vec<f64> = (0..20_000).map(|row| log.probabilities[repeat(row)]).collect();
    let other: Vec<f64> = (0..20_000_usize)
        .map(|row| (p[row] * (0.5 + (repeat(row) as f64 * 0.618).fract())).min(1.0))
        .collect();
    let groups: Vec<u32> = (0..20_000).map(|row| row / 10).collect();
    let rows = Evaluation::new(&labels, &p)
        .against("noisy", &other)
        .threshold("F1", ThresholdRule::f_beta(1.0).unwrap());
    let grouped = rows.clone().by_group(&groups).report().unwrap();
    let rows = rows.report().unwrap();
    let width = |interval: Interval| interval.upper - interval.lower;
    let widths = |report: &EvaluationReport| {
        let (model, difference) = (&report.models[0], &report.differences[0]);
        let intervals = model.intervals.as_ref().unwrap();
        [
            model.roc_auc,
            intervals.average_precision,
            intervals.predicted_over_observed,
            intervals.normalised_entropy.unwrap(),
            difference.roc_auc,
            difference.average_precision.unwrap(),
            difference.predicted_over_observed.unwrap(),
            difference.normalised_entropy.unwrap(),
        ]
        .map(width)
    };
    for (by_group, by_row) in widths(&grouped).into_iter().zip(widths(&rows)) {
        // √10 = 3.2; each width is known to about a tenth from 200 replicates, and the two are of
        // different methods.
        let ratio = by_group / by_row;
        assert!((2.2..4.5).contains(&ratio), "{ratio}");
    }
    assert!(rows.differences[0].p_value.is_some() && grouped.differences[0].p_value.is_none());
    let text = grouped.to_string();
    assert!(text.contains("bootstrap of groups") && !text.contains("DeLong"), "{text}");
    assert!(text.replace('\n', " ").contains("with groups they are too small"), "{text}");
    // Thresholds are tried on other groups than they were chosen on.
    let folds = Folds::by_group(&labels, &groups, 5, 0).unwrap();
    let cross_fitted =
        ThresholdRule::f_beta(1.0).unwrap().choose_cross_fitted(&labels, &p, None, &folds).unwrap();
    assert_eq!(grouped.models[0].thresholds[0].cross_fitted.as_ref(), Some(&cross_fitted));
}

/// Each field of a slice against the free function on its rows.
fn check_slice(slice: &Slice, labels: &[bool], p: &[f64], weights: Option<&[f64]>, level: f64) {
    let ranked = RankedScores::new(labels, p, weights).unwrap();
    assert_eq!(slice.rows, ranked.rows());
    assert_eq!(slice.positives, ranked.positives());
    assert_eq!(slice.weight, ranked.weight());
    assert_eq!(slice.base_rate, ranked.base_rate());
    let [whole] = ranked.reliability_curve(1, level).unwrap().points[..] else { unreachable!() };
    // A sum over rows and one over ties.
    assert!((slice.mean_predicted - whole.bin.mean_predicted).abs() < 1e-15);
    assert_eq!(slice.observed_lower, whole.observed_lower);
    assert_eq!(slice.observed_upper, whole.observed_upper);
    assert_eq!(slice.level, level);
    assert_eq!(slice.brier, metrics::brier_score(labels, p, weights).unwrap());
    assert_eq!(slice.log_loss, metrics::log_loss(labels, p, weights).unwrap());
    assert_eq!(slice.ece, metrics::ece(labels, p, weights, 10).unwrap());
    let entropy = metrics::normalised_entropy(labels, p, weights);
    assert_eq!(slice.normalised_entropy, entropy.ok().filter(|value| value.is_finite()));
    let ratio = metrics::predicted_over_observed(labels, p, weights);
    assert_eq!(slice.predicted_over_observed, ratio.ok());
    assert_eq!(slice.roc_auc, metrics::roc_auc_interval(labels, p, weights, level).ok());
    assert_eq!(slice.average_precision, metrics::average_precision(labels, p, weights).ok());
    assert_eq!(slice.calibration, ranked.calibration_line().ok());
    let missing: Vec<&str> = slice.missing.iter().map(|missing| &missing.metric[..]).collect();
    for (name, is_missing) in [
        ("normalised_entropy", slice.normalised_entropy.is_none()),
        ("predicted_over_observed", slice.predicted_over_observed.is_none()),
        ("roc_auc", slice.roc_auc.is_none()),
        ("average_precision", slice.average_precision.is_none()),
        ("calibration", slice.calibration.is_none()),
    ] {
        assert_eq!(missing.contains(&name), is_missing, "{name}");
    }
}

#[test]
fn slices_hold_what_the_free_functions_find_on_their_rows() {
    let rows = rows();
    let weights: Vec<f64> = (0..30_000).map(|row| f64::from(row % 5) / 3.0).collect();
    // The third colour has no weight, the fourth is rare, the fifth has no positives.
    let colour = |row: usize| match row % 100 {
        0..60 => "red",
        60..95 => "blue",
        95 => "none",
        96 => "green",
        _ if !rows.labels[row] => "grey",
        _ => "red",
    };
    let colours = Attribute::categories((0..30_000).map(colour));
    let Attribute::Categories(colours) = &colours else { unreachable!() };
    for weights in [None, Some(&weights[..])] {
        let report = Evaluation::new(&rows.labels, &rows.truth)
            .weights(weights)
            .level(0.9)
            .bootstrap(None)
            .by_category("colour", colours)
            .by_period("day", &rows.days, 7.0)
            .report()
            .unwrap();
        let [by_colour, by_week] = &report.models[0].slicings[..] else { unreachable!() };
        let mut seen = Vec::new();
        for slice in by_colour.slices.iter().chain(&by_week.slices) {
            let inside = |row: &usize| match slice.start {
                Some(start) => (start..start + 7.0).contains(&rows.days[*row]),
                None => colour(*row) == slice.name,
            };
            let members: Vec<usize> = (0..30_000).filter(inside).collect();
            let labels: Vec<bool> = members.iter().map(|&row| rows.labels[row]).collect();
            let p: Vec<f64> = members.iter().map(|&row| rows.truth[row]).collect();
            let part = weights.map(|w| members.iter().map(|&row| w[row]).collect::<Vec<f64>>());
            check_slice(slice, &labels, &p, part.as_deref(), 0.9);
            seen.push(slice.name.as_str());
        }
        let expected = if weights.is_some() { 4 } else { 5 };
        assert_eq!(by_colour.slices.len(), expected, "{seen:?}");
        let text = report.to_string();
        for part in ["ranking and losses", "AP", "Brier", "log loss", "ECE", "slope"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}

#[test]
fn a_slice_that_misses_its_positives_is_marked() {
    // Half of the rows promise 50 positives and have none, the others keep their promise.
    let labels: Vec<bool> = (0..10_000).map(|row| row < 5_000 && row % 100 == 0).collect();
    let p: Vec<f64> = (0..10_000).map(|row| 0.009 + f64::from(row % 3) / 1000.0).collect();
    let halves: Vec<f64> = (0..10_000).map(|row| f64::from(row / 5_000)).collect();
    let report = Evaluation::new(&labels, &p).by_period("half", &halves, 1.0).report().unwrap();
    let [kept, missed] = &report.models[0].slicings[0].slices[..] else { unreachable!() };
    assert!(kept.p_value > 0.5 && missed.p_value < 1e-15, "{} {}", kept.p_value, missed.p_value);
    let text = report.to_string();
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("1 ").contains('!') && !line("0 ").contains('!'), "{text}");
}

#[test]
fn many_values_are_cut_to_fifty() {
    let labels: Vec<bool> = (0..4_000).map(|row| row % 20 == 0).collect();
    let p = vec![0.05; 4_000];
    let names = Attribute::categories((0..4_000).map(|row| (row % 199).to_string()));
    let Attribute::Categories(names) = &names else { unreachable!() };
    let days: Vec<f64> = (0..4_000).map(|row| f64::from(row / 10)).collect();
    let report = Evaluation::new(&labels, &p)
        .by_category("item", names)
        .by_period("day", &days, 1.0)
        .report()
        .unwrap();
    let [items, days] = &report.models[0].slicings[..] else { unreachable!() };
    for slicing in [items, days] {
        assert_eq!(slicing.slices.len(), 50);
        assert_eq!(slicing.slices.iter().map(|slice| slice.rows).sum::<usize>(), 4_000);
    }
    assert_eq!(items.slices[49].name, "150 others");
    assert_eq!((days.slices[0].name.as_str(), days.slices[0].rows), ("351 earlier", 3_510));
    assert_eq!(days.slices[49].name, "399");
}

#[test]
fn mistakes_are_named() {
    let labels = [true, false];
    let p = [0.5, 0.1];
    let twice = Evaluation::new(&labels, &p).name("a").against("a", &p).report().unwrap_err();
    assert!(matches!(twice, Error::InvalidArgument { argument: "name", .. }), "{twice}");
    let groups = Evaluation::new(&labels, &p).bootstrap(None).by_group(&[0, 1]).report();
    let groups = groups.unwrap_err();
    assert!(matches!(groups, Error::InvalidArgument { argument: "by_group", .. }), "{groups}");
    let level = Evaluation::new(&labels, &p).level(1.0).report().unwrap_err();
    assert!(matches!(level, Error::InvalidArgument { argument: "level", .. }), "{level}");
    let bins = Evaluation::new(&labels, &p).bins(0).report().unwrap_err();
    assert!(matches!(bins, Error::InvalidArgument { argument: "bins", .. }), "{bins}");
    let one = Evaluation::new(&[true, true], &p).report().unwrap_err();
    assert!(matches!(one, Error::OneClass { .. }), "{one}");
    let short = Evaluation::new(&labels, &p).against("short", &p[..1]).report().unwrap_err();
    assert!(matches!(short, Error::LengthMismatch { .. }), "{short}");
    let outside = Evaluation::new(&labels, &[0.5, 1.5]).report().unwrap_err();
    let message = outside.to_string();
    assert!(message.contains("1.5 at row 1"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_rows_have_a_report(
        rows in prop::collection::vec(
            (any::<bool>(), prop_oneof![0.0..=1.0, Just(0.0), Just(1.0), 1e-12..1e-3], 0.0..10.0, -1e9..1e9),
            4..60,
        ),
        name in any::<String>(),
    ) {
        let mut labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
        (labels[0], labels[1], labels[2], labels[3]) = (true, false, true, false);
        let p: Vec<f64> = rows.iter().map(|row| row.1).collect();
        let halved: Vec<f64> = p.iter().map(|p| 0.5 * p).collect();
        let weights: Vec<f64> = rows.iter().map(|row| row.2 + 0.01).collect();
        let times: Vec<f64> = rows.iter().map(|row| row.3).collect();
        let report = Evaluation::new(&labels, &p)
            .name(&name)
            .against(format!("half of {name}"), &halved)
            .weights(&weights[..])
            .bootstrap(20)
            .threshold("cost", ThresholdRule::cost(1.0, 30.0).unwrap())
            .threshold("precision", ThresholdRule::precision_floor(0.9).unwrap())
            .threshold("budget", ThresholdRule::budget(3.0).unwrap())
            .by_period(&name, &times, Period::Day)
            .by_period(format!("hours of {name}"), &times, Period::HourOfDay)
            .report()
            .unwrap();
        let text = report.to_string();
        prop_assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        // Nor is there a NaN behind a dash of the text: what is read back would have it infinite.
        let data = serde_json::to_string(&report).unwrap();
        prop_assert_eq!(&serde_json::from_str::<EvaluationReport>(&data).unwrap(), &report);
        // The name can be anything, also "NaN".
        let html = report.to_html().unwrap();
        prop_assert!(name.contains("NaN") || !(text + &html).contains("NaN"), "{html}");
    }
}
