//! The report: its numbers are the metric functions', its texts fit, its page stands alone.

use imbalance::data::SyntheticClicks;
use imbalance::metrics::{self, Goal, Scorecard};
use imbalance::plot::Options;
use imbalance::{Attribute, Error, Evaluation, EvaluationReport};
use proptest::prelude::*;

struct Rows {
    labels: Vec<bool>,
    truth: Vec<f64>,
    doubled: Vec<f64>,
    days: Vec<f64>,
}

fn rows() -> Rows {
    let log = SyntheticClicks::new(30_000, 0.01).unwrap().generate::<f32>(7).unwrap();
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
        .goal("a miss costs 30 alarms", Goal::cost(1.0, 30.0).unwrap())
        .goal("nine in ten right", Goal::precision_floor(0.9).unwrap())
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
    }
    let [difference] = &report.differences[..] else { unreachable!() };
    let entropy = difference.normalised_entropy.unwrap();
    let [a, b] = [truth, doubled].map(|model| model.scorecard.normalised_entropy);
    assert!((entropy.estimate - (a - b)).abs() < 1e-12);
    // Doubling costs entropy beyond doubt.
    assert!(entropy.upper < 0.0);

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
}

#[test]
fn thresholds_are_those_of_the_goals() {
    let rows = rows();
    let report = report(&rows);
    let cost = Goal::cost(1.0, 30.0).unwrap();
    for (model, p) in report.models.iter().zip([&rows.truth, &rows.doubled]) {
        let [miss, precision] = &model.thresholds[..] else { unreachable!() };
        let seed = imbalance::Seed::new(0);
        let honest = cost.choose_cross_fitted(&rows.labels, p, None, 5, seed).unwrap();
        assert_eq!(miss.choice.as_ref(), Some(&honest));
        assert_eq!(miss.calibrated, Some(cost.choose_calibrated(p, None).unwrap()));
        assert_eq!(miss.calibrated.unwrap().threshold, 1.0 / 31.0);
        // At a base rate of 1 % nothing is nine tenths sure, whatever the second model promises.
        assert_eq!(precision.goal, "nine in ten right");
        assert!(precision.choice.is_none() || precision.choice.as_ref().unwrap().value < Some(0.9));
    }
    let text = report.to_string();
    assert!(text.contains("Thresholds") && text.contains("a miss costs 30 alarms"), "{text}");
}

#[test]
fn days_are_named_by_their_date() {
    let times = [1_574_553_617.0, 1_574_640_000.0, 1_574_553_600.0, f64::NAN];
    let labels = [true, false, false, true];
    let p = [0.5, 0.1, 0.2, 0.3];
    let report = Evaluation::new(&labels, &p).by_day("day", &times).report().unwrap();
    let slices = &report.models[0].slicings[0].slices;
    let names: Vec<&str> = slices.iter().map(|slice| slice.name.as_str()).collect();
    assert_eq!(names, ["2019-11-24", "2019-11-25", "missing"]);
    assert!(report.to_html().unwrap().contains("2019-11-25"));
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
    assert!(!counted.to_string().contains("weighted"));
}

#[test]
fn mistakes_are_named() {
    let labels = [true, false];
    let p = [0.5, 0.1];
    let twice = Evaluation::new(&labels, &p).name("a").against("a", &p).report().unwrap_err();
    assert!(matches!(twice, Error::InvalidArgument { argument: "name", .. }), "{twice}");
    let groups = Evaluation::new(&labels, &p).by_group(&[0, 1]).report().unwrap_err();
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
            .goal("cost", Goal::cost(1.0, 30.0).unwrap())
            .goal("precision", Goal::precision_floor(0.9).unwrap())
            .goal("budget", Goal::budget(3.0).unwrap())
            .by_day(&name, &times)
            .report()
            .unwrap();
        let text = report.to_string();
        prop_assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        prop_assert!(!text.contains("NaN"), "{text}");
        let html = report.to_html().unwrap();
        prop_assert!(!html.contains("NaN"), "{html}");
    }
}
