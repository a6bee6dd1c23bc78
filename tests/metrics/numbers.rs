//! The metrics against scikit-learn, against 50-digit arithmetic, and against their own laws.

use imbalance::metrics::{
    Scorecard, average_precision, brier_score, calibration_line, ece, log_loss,
    log_loss_from_logits, normalised_entropy, predicted_over_observed, quantile_bins, roc_auc,
};
use imbalance::{Error, Result, Separation};
use proptest::prelude::*;
use serde_json::Value;

type Metric = fn(&[bool], &[f64], Option<&[f64]>) -> Result<f64>;

fn ece_10(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    ece(labels, probabilities, weights, 10)
}

fn slope(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    Ok(calibration_line(labels, probabilities, weights)?.slope)
}

fn intercept(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    Ok(calibration_line(labels, probabilities, weights)?.intercept_given_slope_one)
}

fn card_brier(labels: &[bool], probabilities: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    Ok(Scorecard::new(labels, probabilities, weights)?.brier)
}

/// Metrics of any scores.
const RANKING: [Metric; 2] = [roc_auc, average_precision];
/// Metrics that need both classes, or at least positives.
const CLASSES: [Metric; 7] = [
    roc_auc,
    average_precision,
    normalised_entropy,
    predicted_over_observed,
    slope,
    intercept,
    card_brier,
];
/// Metrics that need probabilities.
const PROBABILITY: [Metric; 8] = [
    log_loss,
    normalised_entropy,
    brier_score,
    predicted_over_observed,
    ece_10,
    slope,
    intercept,
    card_brier,
];
/// The plain functions of rows with both classes, defined for all probabilities.
const ALWAYS: [Metric; 7] = [
    roc_auc,
    average_precision,
    log_loss,
    normalised_entropy,
    brier_score,
    predicted_over_observed,
    ece_10,
];

fn everywhere() -> impl Iterator<Item = Metric> {
    PROBABILITY.into_iter().chain(RANKING).chain([log_loss_from_logits as Metric])
}

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    if found == expected {
        return; // Infinities and zeros.
    }
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{what}: {found}, expected {expected}, relative error {error:e}");
}

mod reference {
    use super::*;

    fn fixture() -> Value {
        serde_json::from_str(include_str!("../fixtures/metrics.json")).unwrap()
    }

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    fn labels(value: &Value) -> Vec<bool> {
        numbers(&value["labels"]).iter().map(|&v| v == 1.0).collect()
    }

    /// The fixture's number; `null` stands for infinity.
    fn number(value: &Value) -> f64 {
        if value.is_null() { f64::INFINITY } else { value.as_f64().unwrap() }
    }

    #[test]
    fn all_cases() {
        for case in fixture()["cases"].as_array().unwrap() {
            let (y, v) = (labels(case), numbers(&case["values"]));
            let weights = case["weights"].is_array().then(|| numbers(&case["weights"]));
            let w = weights.as_deref();
            let check = |metric: Metric, key: &str| {
                let what = format!("{key} of {}", case["name"]);
                assert_close(metric(&y, &v, w).unwrap(), number(&case[key]), 1e-12, &what);
            };
            check(roc_auc, "roc_auc");
            check(average_precision, "average_precision");
            if case["kind"] == "scores" {
                continue;
            }
            check(log_loss, "log_loss");
            check(normalised_entropy, "normalised_entropy");
            check(brier_score, "brier_score");
            check(predicted_over_observed, "predicted_over_observed");
            check(ece_10, "ece");
            check_bins(&quantile_bins(&y, &v, w, 10).unwrap(), &case["bins"]);

            if case["line"].is_null() {
                assert!(matches!(
                    calibration_line(&y, &v, w),
                    Err(Error::InvalidArgument { argument: "probabilities", .. })
                ));
            } else {
                check_line(&y, &v, w, &case["line"]);
            }
            check_scorecard(&y, &v, w);
        }
    }

    fn check_bins(found: &[imbalance::metrics::Bin], expected: &Value) {
        let expected = expected.as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (bin, expected) in found.iter().zip(expected) {
            assert_eq!(bin.rows as u64, expected["rows"].as_u64().unwrap());
            for (found, key) in [
                (bin.weight, "weight"),
                (bin.mean_predicted, "mean_predicted"),
                (bin.observed, "observed"),
                (bin.lower, "lower"),
                (bin.upper, "upper"),
            ] {
                assert_close(found, number(&expected[key]), 1e-12, key);
            }
        }
    }

    fn check_line(y: &[bool], p: &[f64], w: Option<&[f64]>, expected: &Value) {
        let line = calibration_line(y, p, w).unwrap();
        let covariance = &expected["covariance"];
        for (found, expected, what) in [
            (line.intercept, number(&expected["intercept"]), "intercept"),
            (line.slope, number(&expected["slope"]), "slope"),
            (
                line.intercept_given_slope_one,
                number(&expected["intercept_given_slope_one"]),
                "intercept given slope 1",
            ),
            (line.intercept_standard_error, number(&covariance[0][0]).sqrt(), "se(intercept)"),
            (line.slope_standard_error, number(&covariance[1][1]).sqrt(), "se(slope)"),
            (
                line.intercept_given_slope_one_standard_error,
                number(&expected["intercept_given_slope_one_variance"]).sqrt(),
                "se(intercept given slope 1)",
            ),
        ] {
            assert_close(found, expected, 1e-11, what);
        }
    }

    fn check_scorecard(y: &[bool], p: &[f64], w: Option<&[f64]>) {
        let card = Scorecard::new(y, p, w).unwrap();
        assert_eq!(card.roc_auc, roc_auc(y, p, w).unwrap());
        assert_eq!(card.average_precision, average_precision(y, p, w).unwrap());
        assert_eq!(card.log_loss, log_loss(y, p, w).unwrap());
        assert_eq!(card.normalised_entropy, normalised_entropy(y, p, w).unwrap());
        assert_eq!(card.brier, brier_score(y, p, w).unwrap());
        assert_eq!(card.predicted_over_observed, predicted_over_observed(y, p, w).unwrap());
        assert_eq!(card.ece, ece(y, p, w, Scorecard::BINS).unwrap());
        assert_eq!(card.calibration, calibration_line(y, p, w).ok());
    }

    #[test]
    fn expected_calibration_error_by_hand() {
        let case = &fixture()["ece_by_hand"];
        let (y, p) = (labels(case), numbers(&case["values"]));
        assert_close(ece(&y, &p, None, 2).unwrap(), number(&case["ece"]), 1e-15, "ECE");
        let bins = quantile_bins(&y, &p, None, 2).unwrap();
        check_bins(&bins, &case["bins"]);
        assert_eq!(bins[1].upper, 1.0);
    }

    #[test]
    fn a_million_rows() {
        let case = &fixture()["large"];
        let step = |i: u64| i * 7919 % 100_003;
        let rows = 0..case["rows"].as_u64().unwrap();
        let p: Vec<f64> = rows.clone().map(|i| (step(i) + 1) as f64 / 2_097_152.0).collect();
        let y: Vec<bool> =
            rows.clone().map(|i| i * 104_729 % 1_000_003 < step(i) * 48_000 / 100_003).collect();
        let w: Vec<f64> = rows.map(|i| (i % 7 + 1) as f64 / 4.0).collect();
        let positives = y.iter().filter(|&&label| label).count();
        assert_eq!(positives as u64, case["positives"].as_u64().unwrap());
        for (metric, key) in [
            (roc_auc as Metric, "roc_auc"),
            (average_precision, "average_precision"),
            (brier_score, "brier_score"),
            (log_loss, "log_loss"),
        ] {
            assert_close(metric(&y, &p, Some(&w)).unwrap(), number(&case[key]), 1e-12, key);
        }
    }
}

mod laws {
    use super::*;

    #[derive(Clone, Debug)]
    struct Sample {
        labels: Vec<bool>,
        probabilities: Vec<f64>,
        weights: Vec<f64>,
    }

    impl Sample {
        fn of(rows: &[(bool, f64, f64)]) -> Self {
            Self {
                labels: rows.iter().map(|row| row.0).collect(),
                probabilities: rows.iter().map(|row| row.1).collect(),
                weights: rows.iter().map(|row| row.2).collect(),
            }
        }

        fn measure(&self, metric: Metric) -> f64 {
            metric(&self.labels, &self.probabilities, Some(&self.weights)).unwrap()
        }

        fn map(&self, of: impl Fn(f64) -> f64) -> Self {
            let probabilities = self.probabilities.iter().map(|&p| of(p)).collect();
            Self { probabilities, ..self.clone() }
        }
    }

    /// Rows with ties and both classes. Weights are multiples of 1/4, so that sums of them are
    /// exact and no tie moves to another bin by rounding.
    fn rows() -> impl Strategy<Value = Vec<(bool, f64, f64)>> {
        let probability = prop_oneof![
            (1..20_u32).prop_map(|k| f64::from(k) / 20.0),
            1e-6..1e-2_f64,
            0.001..0.999_f64,
        ];
        let row = (any::<bool>(), probability, (1..12_u32).prop_map(|k| f64::from(k) / 4.0));
        prop::collection::vec(row, 0..60).prop_map(|mut rows| {
            rows.extend([(true, 0.25, 1.0), (false, 0.25, 0.5)]);
            rows
        })
    }

    fn assert_same(a: &Sample, b: &Sample) {
        for metric in ALWAYS {
            assert_close(a.measure(metric), b.measure(metric), 1e-12, "the same metric");
        }
        // Where one has a line, so has the other. Its digits are those of the optimum's condition.
        let line = |s: &Sample| calibration_line(&s.labels, &s.probabilities, Some(&s.weights));
        match (line(a), line(b)) {
            (Ok(a), Ok(b)) => {
                assert!((a.slope - b.slope).abs() <= 1e-9 * a.slope_standard_error.max(1.0));
                assert_close(
                    a.slope_standard_error,
                    b.slope_standard_error,
                    1e-8,
                    "the same standard error",
                );
            }
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
            (a, b) => panic!("{a:?} and {b:?}"),
        }
    }

    proptest! {
        #[test]
        fn row_order_is_irrelevant(
            (original, shuffled) in
                rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))
        ) {
            let (a, b) = (Sample::of(&original), Sample::of(&shuffled));
            assert_same(&a, &b);
            // The metrics that sort are equal to the bit.
            for metric in [ece_10 as Metric, roc_auc, average_precision] {
                prop_assert_eq!(a.measure(metric), b.measure(metric));
            }
        }

        #[test]
        fn a_weight_of_two_is_the_row_twice(rows in rows()) {
            let doubled: Vec<_> =
                rows.iter().enumerate().map(|(i, r)| (r.0, r.1, r.2 * [1.0, 2.0][i % 2])).collect();
            let repeated: Vec<_> = rows
                .iter()
                .enumerate()
                .flat_map(|(i, &r)| std::iter::repeat_n(r, 1 + i % 2))
                .collect();
            assert_same(&Sample::of(&doubled), &Sample::of(&repeated));
        }

        #[test]
        fn a_weight_of_zero_is_no_row(
            rows in rows(),
            ghosts in prop::collection::vec((any::<bool>(), 0.0..=1.0_f64), 1..9),
        ) {
            let mut haunted = rows.clone();
            haunted.extend(ghosts.iter().map(|&(label, p)| (label, p, 0.0)));
            // Ghosts that contradict their label, or have no logit.
            haunted.extend([(true, 0.0, 0.0), (false, 1.0, 0.0)]);
            haunted.rotate_left(rows.len() / 2);
            assert_same(&Sample::of(&rows), &Sample::of(&haunted));
            let (y, p, w) = {
                let s = Sample::of(&haunted);
                (s.labels, s.probabilities, s.weights)
            };
            let bins = quantile_bins(&y, &p, Some(&w), 5).unwrap();
            prop_assert_eq!(bins.iter().map(|bin| bin.rows).sum::<usize>(), rows.len());
        }

        #[test]
        fn the_scale_of_the_weights_is_irrelevant(rows in rows(), exponent in -900..900_i32) {
            let scaled: Vec<_> =
                rows.iter().map(|r| (r.0, r.1, r.2 * 2.0_f64.powi(exponent))).collect();
            for metric in ALWAYS {
                prop_assert_eq!(
                    Sample::of(&rows).measure(metric),
                    Sample::of(&scaled).measure(metric)
                );
            }
        }

        #[test]
        fn negated_scores_have_the_complementary_auc(rows in rows()) {
            let sample = Sample::of(&rows);
            let (auc, flipped) = (sample.measure(roc_auc), sample.map(|p| -p).measure(roc_auc));
            prop_assert!((auc + flipped - 1.0).abs() < 1e-14);
        }

        #[test]
        fn auc_counts_pairs(rows in rows()) {
            let (mut won, mut pairs) = (0.0, 0.0);
            for (_, s, w) in rows.iter().filter(|row| row.0) {
                for (_, other_s, other_w) in rows.iter().filter(|row| !row.0) {
                    let share = if s > other_s { 1.0 } else if s == other_s { 0.5 } else { 0.0 };
                    won += w * other_w * share;
                    pairs += w * other_w;
                }
            }
            prop_assert!((Sample::of(&rows).measure(roc_auc) - won / pairs).abs() < 1e-13);
        }

        #[test]
        fn monotone_transforms_leave_the_ranking(rows in rows()) {
            let sample = Sample::of(&rows);
            let stretched = sample.map(|p| 1e3 * (p - 0.5));
            for metric in RANKING {
                prop_assert_eq!(sample.measure(metric), stretched.measure(metric));
            }
        }

        #[test]
        fn the_base_rate_is_the_origin(rows in rows()) {
            let sample = Sample::of(&rows);
            let positive: f64 = rows.iter().filter(|r| r.0).map(|r| r.2).sum();
            let rate = positive / rows.iter().map(|r| r.2).sum::<f64>();
            let constant = sample.map(|_| rate);
            prop_assert!((constant.measure(normalised_entropy) - 1.0).abs() < 1e-13);
            prop_assert!((constant.measure(predicted_over_observed) - 1.0).abs() < 1e-14);
            prop_assert!(constant.measure(ece_10) < 1e-15);
            prop_assert_eq!(constant.measure(roc_auc), 0.5);
            prop_assert!((constant.measure(average_precision) - rate).abs() < 1e-15);
            prop_assert!((constant.measure(brier_score) - rate * (1.0 - rate)).abs() < 1e-15);
        }

        #[test]
        fn logits_and_probabilities_agree(rows in rows()) {
            let sample = Sample::of(&rows);
            let logits = sample.map(imbalance::numerics::logit);
            let (a, b) = (sample.measure(log_loss), logits.measure(log_loss_from_logits));
            assert_close(a, b, 1e-13, "log loss");
        }

        #[test]
        fn the_line_repairs_the_probabilities(rows in rows()) {
            let sample = Sample::of(&rows);
            use imbalance::numerics::{logit, sigmoid};
            let Sample { labels, probabilities, weights } = &sample;
            let Ok(line) = calibration_line(labels, probabilities, Some(weights)) else {
                return Ok(());
            };
            let repaired = sample.map(|p| sigmoid(line.intercept + line.slope * logit(p)));
            prop_assert!((repaired.measure(predicted_over_observed) - 1.0).abs() < 1e-9);
            prop_assert!(repaired.measure(log_loss) <= sample.measure(log_loss) * (1.0 + 1e-12));
            let shifted = sample.map(|p| sigmoid(line.intercept_given_slope_one + logit(p)));
            prop_assert!((shifted.measure(predicted_over_observed) - 1.0).abs() < 1e-9);
        }

        #[test]
        fn bins_partition_the_rows(rows in rows(), bins in 1..80_usize) {
            let s = Sample::of(&rows);
            let found = quantile_bins(&s.labels, &s.probabilities, Some(&s.weights), bins).unwrap();
            prop_assert!(!found.is_empty() && found.len() <= bins);
            prop_assert_eq!(found.iter().map(|b| b.rows).sum::<usize>(), rows.len());
            prop_assert_eq!(
                found.iter().map(|b| b.weight).sum::<f64>(),
                s.weights.iter().sum::<f64>()
            );
            prop_assert!(found.windows(2).all(|pair| pair[0].upper < pair[1].lower));
            for bin in found {
                prop_assert!((bin.lower..=bin.upper).contains(&bin.mean_predicted));
            }
        }

        #[test]
        fn nothing_panics_and_nothing_is_nan(
            rows in prop::collection::vec(
                (
                    any::<bool>(),
                    prop_oneof![any::<f64>(), 0.0..=1.0_f64],
                    prop_oneof![any::<f64>(), 0.0..2.0_f64],
                ),
                0..6,
            ),
            weighted in any::<bool>(),
            bins in any::<usize>(),
        ) {
            let s = Sample::of(&rows);
            let weights = weighted.then_some(&s.weights[..]);
            for metric in everywhere() {
                if let Ok(value) = metric(&s.labels, &s.probabilities, weights) {
                    prop_assert!(!value.is_nan());
                }
            }
            if let Ok(value) = ece(&s.labels, &s.probabilities, weights, bins) {
                prop_assert!((0.0..=1.0).contains(&value));
            }
        }

        #[test]
        fn odd_but_legal_rows_never_give_nan(
            rows in prop::collection::vec(
                (
                    any::<bool>(),
                    prop_oneof![
                        prop::sample::select(vec![0.0, 5e-324, 0.5, 1.0 - 1e-16, 1.0]),
                        0.0..=1.0_f64,
                    ],
                    prop::sample::select(vec![0.0, 5e-324, 1e-160, 1.0, 1e300]),
                ),
                1..8,
            ),
        ) {
            let s = Sample::of(&rows);
            for metric in PROBABILITY.into_iter().chain(RANKING) {
                for weights in [None, Some(&s.weights[..])] {
                    if let Ok(value) = metric(&s.labels, &s.probabilities, weights) {
                        prop_assert!(!value.is_nan(), "{value}");
                    }
                }
            }
            if let Ok(line) = calibration_line(&s.labels, &s.probabilities, Some(&s.weights)) {
                prop_assert!(!line.intercept_standard_error.is_nan());
                prop_assert!(!line.intercept_given_slope_one_standard_error.is_nan());
                prop_assert!(!line.slope_standard_error.is_nan());
            }
        }
    }
}

mod errors {
    use super::*;

    const LABELS: [bool; 3] = [true, false, true];
    const HALVES: [f64; 3] = [0.5; 3];

    #[test]
    fn lengths() {
        for metric in everywhere() {
            assert!(matches!(
                metric(&LABELS, &HALVES[..2], None),
                Err(Error::LengthMismatch { found: 2, expected: 3, .. })
            ));
            assert!(matches!(
                metric(&LABELS, &HALVES, Some(&[1.0])),
                Err(Error::LengthMismatch { found: 1, expected: 3, .. })
            ));
            assert!(matches!(metric(&[], &[], None), Err(Error::NoRows { .. })));
            assert!(matches!(metric(&[], &[], Some(&[])), Err(Error::NoRows { .. })));
        }
    }

    #[test]
    fn not_a_number() {
        for metric in everywhere() {
            assert!(matches!(
                metric(&LABELS, &[0.1, f64::NAN, 0.3], None),
                Err(Error::NonFinite { row: 1, column: None, value, .. }) if value.is_nan()
            ));
        }
    }

    #[test]
    fn not_a_probability() {
        for metric in PROBABILITY {
            assert!(matches!(
                metric(&LABELS, &[0.1, 0.2, f64::INFINITY], None),
                Err(Error::NonFinite { row: 2, .. })
            ));
            for wrong in [-1e-300, 1.0 + f64::EPSILON, -5.0] {
                let Err(Error::InvalidArgument { argument, value, .. }) =
                    metric(&LABELS, &[0.1, 0.2, wrong], None)
                else {
                    panic!("{wrong} was accepted");
                };
                assert_eq!((argument, value), ("probabilities", format!("{wrong} at row 2")));
            }
        }
    }

    #[test]
    fn weights() {
        for metric in everywhere() {
            let with = |weights: [f64; 3]| metric(&LABELS, &HALVES, Some(&weights));
            assert!(matches!(
                with([1.0, -2.0, 1.0]),
                Err(Error::NegativeWeight { row: 1, value: -2.0 })
            ));
            for value in [f64::NAN, f64::INFINITY] {
                assert!(matches!(
                    with([1.0, 1.0, value]),
                    Err(Error::NonFinite { row: 2, what, .. }) if what == "weights"
                ));
            }
            assert!(matches!(
                with([0.0, -0.0, 0.0]),
                Err(Error::InvalidArgument { argument: "weights", .. })
            ));
            assert!(matches!(with([f64::MAX; 3]), Err(Error::Numerical { .. })));
        }
    }

    #[test]
    fn one_class() {
        for metric in CLASSES {
            assert!(matches!(
                metric(&[false; 3], &[0.1, 0.2, 0.3], None),
                Err(Error::OneClass { positives: 0, negatives: 3, .. })
            ));
            // A positive without weight is none.
            assert!(matches!(
                metric(&LABELS, &[0.1, 0.2, 0.3], Some(&[0.0, 3.0, 0.0])),
                Err(Error::OneClass { positives: 2, negative_weight: 3.0, .. })
            ));
        }
        for metric in [roc_auc as Metric, normalised_entropy, slope, card_brier] {
            assert!(matches!(
                metric(&[true; 3], &[0.1, 0.2, 0.3], None),
                Err(Error::OneClass { positives: 3, negatives: 0, .. })
            ));
        }
        assert_eq!(average_precision(&[true; 3], &[3.0, 2.0, 1.0], None).unwrap(), 1.0);
        assert_eq!(predicted_over_observed(&[true; 3], &HALVES, None).unwrap(), 0.5);
        assert_eq!(brier_score(&[true; 3], &HALVES, None).unwrap(), 0.25);
        assert_eq!(ece(&[true; 3], &HALVES, None, 4).unwrap(), 0.5);
        assert_eq!(log_loss(&[false; 3], &[0.0; 3], None).unwrap(), 0.0);
    }

    #[test]
    fn bins() {
        for result in [
            ece(&LABELS, &HALVES, None, 0).map(drop),
            quantile_bins(&LABELS, &HALVES, None, 0).map(drop),
        ] {
            assert!(matches!(result, Err(Error::InvalidArgument { argument: "bins", .. })));
        }
    }

    #[test]
    fn no_calibration_line() {
        let complete = calibration_line(&[false, false, true], &[0.1, 0.2, 0.3], None);
        assert!(matches!(complete, Err(Error::Separation { kind: Separation::Complete, .. })));
        let falling = calibration_line(&[true, false, false], &[0.1, 0.2, 0.3], None);
        assert!(matches!(falling, Err(Error::Separation { kind: Separation::Complete, .. })));
        let quasi = calibration_line(&[false, false, true, true], &[0.1, 0.2, 0.2, 0.3], None);
        assert!(matches!(quasi, Err(Error::Separation { kind: Separation::QuasiComplete, .. })));
        let quasi = calibration_line(&LABELS, &[0.2, 0.2, 0.3], None);
        assert!(matches!(quasi, Err(Error::Separation { kind: Separation::QuasiComplete, .. })));

        let constant = calibration_line(&LABELS, &HALVES, None).unwrap_err();
        assert!(matches!(constant, Error::InvalidArgument { argument: "probabilities", .. }));
        assert!(constant.to_string().contains("constant"), "{constant}");

        for certain in [0.0, -0.0, 1.0] {
            let error = calibration_line(&LABELS, &[0.4, 0.5, certain], None).unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { argument: "probabilities", .. }));
            assert!(error.to_string().contains("at row 2"), "{error}");
        }
        let card = Scorecard::new(&LABELS, &HALVES, None).unwrap();
        assert_eq!(card.calibration, None);
    }
}

mod extremes {
    use super::*;

    #[test]
    fn infinite_scores_are_the_ends_of_the_order() {
        let labels = [false, false, true, true];
        let scores = [f64::NEG_INFINITY, 0.0, -0.0, f64::INFINITY];
        assert_eq!(roc_auc(&labels, &scores, None).unwrap(), 0.875);
        let everything = [f64::INFINITY; 4];
        assert_eq!(roc_auc(&labels, &everything, None).unwrap(), 0.5);
        assert_eq!(average_precision(&labels, &everything, None).unwrap(), 0.5);
    }

    #[test]
    fn certain_rows() {
        let labels = [true, false];
        assert_eq!(log_loss(&labels, &[1.0, 0.0], None).unwrap(), 0.0);
        assert_eq!(normalised_entropy(&labels, &[1.0, 0.0], None).unwrap(), 0.0);
        assert_eq!(log_loss(&labels, &[0.5, 1.0], None).unwrap(), f64::INFINITY);
        assert_eq!(normalised_entropy(&labels, &[0.0, 0.5], None).unwrap(), f64::INFINITY);
        // The miss has no weight.
        let loss = log_loss(&[true, true], &[0.0, 0.5], Some(&[0.0, 3.0])).unwrap();
        assert_close(loss, std::f64::consts::LN_2, 1e-15, "log loss");
        let infinite = [f64::INFINITY, f64::NEG_INFINITY];
        assert_eq!(log_loss_from_logits(&labels, &infinite, None).unwrap(), 0.0);
        let wrong = [f64::NEG_INFINITY, f64::NEG_INFINITY];
        assert_eq!(log_loss_from_logits(&labels, &wrong, None).unwrap(), f64::INFINITY);
    }

    #[test]
    fn large_logits() {
        for z in [1e-300, 1.0, 40.0, 800.0, 1e4] {
            let loss = log_loss_from_logits(&[true, false], &[-z, -z], None).unwrap();
            let expected = 0.5 * (z + 2.0 * (-z).exp().ln_1p());
            assert_close(loss, expected, 1e-15, "log loss");
        }
    }

    #[test]
    fn probabilities_near_the_ends() {
        // Logits of about −700 and −230 in one line, as extreme floating-point numbers have them.
        let labels = [false, true, false, true, false, true];
        let probabilities = [1e-304, 1e-304, 1e-100, 1e-100, 0.5, 1.0 - 1e-16];
        let line = calibration_line(&labels, &probabilities, None).unwrap();
        assert!(line.slope > 0.0 && line.slope < 0.1);
        assert!(line.intercept_given_slope_one > 200.0);
    }

    #[test]
    fn a_doubled_rare_rate() {
        // 0.1 %, predicted as 0.2 %: the case that the documentation of `ece` warns of.
        let labels: Vec<bool> = (0..10_000).map(|i| i % 1000 == 0).collect();
        let doubled = vec![0.002; labels.len()];
        assert_close(ece_10(&labels, &doubled, None).unwrap(), 0.001, 1e-12, "ECE");
        assert_close(predicted_over_observed(&labels, &doubled, None).unwrap(), 2.0, 1e-12, "P/O");
        assert!(normalised_entropy(&labels, &doubled, None).unwrap() > 1.03);
    }

    #[test]
    fn equal_rows_make_equal_bins() {
        let labels: Vec<bool> = (0..1000).map(|i| i % 3 == 0).collect();
        let p: Vec<f64> = (0..1000).map(|i| f64::from(i * 7 % 1000) / 999.0).collect();
        // A weight that is no sum of powers of two must not move a boundary.
        for weights in [None, Some(&[0.1; 1000][..])] {
            for count in [1, 2, 10, 25, 1000] {
                let bins = quantile_bins(&labels, &p, weights, count).unwrap();
                assert_eq!(bins.len(), count);
                assert!(bins.iter().all(|bin| bin.rows == 1000 / count));
            }
        }
        let each = quantile_bins(&labels, &p, None, usize::MAX).unwrap();
        assert_eq!(each.len(), 1000);
    }

    #[test]
    fn the_last_bin_holds_one() {
        let labels = [true, true, false, true, false];
        let bins = quantile_bins(&labels, &[1.0, 1.0, 1.0, 1.0, 0.3], None, 10).unwrap();
        assert_eq!(bins.len(), 2);
        assert_eq!((bins[1].lower, bins[1].upper, bins[1].rows), (1.0, 1.0, 4));
        assert_eq!(bins[1].observed, 0.75);
    }

    #[test]
    fn scorecard_of_logits() {
        let labels = [false, true, false, true, false];
        let logits = [-3.0, 2.0, 0.5, -0.25, -700.0];
        let p = logits.map(imbalance::numerics::sigmoid);
        let [a, b] =
            [Scorecard::from_logits(&labels, &logits, None), Scorecard::new(&labels, &p, None)]
                .map(Result::unwrap);
        for (a, b) in [
            (a.log_loss, b.log_loss),
            (a.brier, b.brier),
            (a.predicted_over_observed, b.predicted_over_observed),
            (a.ece, b.ece),
            (a.roc_auc, b.roc_auc),
            (a.calibration.unwrap().slope, b.calibration.unwrap().slope),
            (a.standard_errors_off.unwrap(), b.standard_errors_off.unwrap()),
        ] {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        let certain = [f64::NEG_INFINITY, f64::INFINITY, 800.0, -800.0, 0.0];
        let card = Scorecard::from_logits(&labels, &certain, None).unwrap();
        assert_eq!((card.rows_at_zero, card.rows_at_one, card.calibration), (1, 1, None));
        assert!((card.log_loss - (1600.0 + 2_f64.ln()) / 5.0).abs() < 1e-12);
        let card = Scorecard::new(&labels, &[0.0, 1.0, 0.0, 1.0, 0.0], None).unwrap();
        assert_eq!((card.standard_errors_off, card.p_value), (None, 1.0));
        assert_eq!((card.rows_at_zero, card.rows_at_one), (3, 2));
        // Ten of 100 predicted, four came.
        let labels: Vec<bool> = (0..100).map(|row| row < 4).collect();
        let card = Scorecard::new(&labels, &[0.1; 100], None).unwrap();
        assert!((card.standard_errors_off.unwrap() - 2.0).abs() < 1e-12);
        let text = card.to_string();
        assert!(text.contains("2.0 standard errors too many"), "{text}");
        assert!(text.contains("above 1: the constant base rate predicts better"), "{text}");
    }

    #[test]
    fn scorecard_as_a_table() {
        let labels = [false, false, true, false, true, false];
        let card = Scorecard::new(&labels, &[0.1, 0.2, 0.3, 0.4, 0.6, 0.1], None).unwrap();
        let table = card.to_string();
        assert_eq!(table.lines().count(), 15);
        assert!(
            table.contains("predicted / observed       0.85000000  0.3 standard errors too few"),
            "{table}"
        );
        assert!(table.lines().all(|line| line.is_char_boundary(37)), "{table}");
        assert!(table.contains("ROC AUC                    0.87500000"), "{table}");
        assert!(!table.contains("NaN"));
    }
}
