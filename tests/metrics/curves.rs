//! Curves, thresholds, intervals and slices against scikit-learn and DeLong's definition, against their
//! own laws, and against simulated truth.

use imbalance::metrics::{
    Bootstrap, Interval, ProbabilityScale, RankedScores, RocPoint, ThresholdRule, brier_score,
    calibration_line, compare_roc_auc, confusion, ece, lift_at, log_loss, normalised_entropy,
    precision_at_k, predicted_over_observed, quantile_bins, recall_at_k, roc_auc_interval,
    roc_auc_wald_interval, slices_by_category, slices_by_period, smooth_ece,
};
use imbalance::{Attribute, Error, Folds};
use proptest::prelude::*;
use serde_json::Value;

#[track_caller]
fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= tolerance, "{what}: {found}, expected {expected}, error {error:e}");
}

/// `SplitMix64`: enough to simulate rows with, in a stream that no dependency can change.
struct Stream(u64);

impl Stream {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

mod reference {
    use super::*;

    fn fixture() -> Value {
        serde_json::from_str(include_str!("../fixtures/curves.json")).unwrap()
    }

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    fn labels(case: &Value) -> Vec<bool> {
        numbers(&case["labels"]).iter().map(|&v| v == 1.0).collect()
    }

    fn for_each_case(check: impl Fn(&Value, &[bool], &[f64], &[f64], &str)) {
        let fixture = fixture();
        let cases = fixture["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let name = case["name"].as_str().unwrap();
            check(case, &labels(case), &numbers(&case["values"]), &numbers(&case["weights"]), name);
        }
    }

    #[test]
    fn confusion_matrices() {
        for_each_case(|case, y, p, w, name| {
            for expected in case["thresholds"].as_array().unwrap() {
                let at = confusion(y, p, Some(w), expected["threshold"].as_f64().unwrap()).unwrap();
                let ranked = RankedScores::new(y, p, Some(w)).unwrap();
                let sorted = ranked.confusion(expected["threshold"].as_f64().unwrap()).unwrap();
                assert_close(at.true_positives, sorted.true_positives, 1e-12, name);
                let counts = numbers(&expected["counts"]);
                for (found, expected) in
                    [at.true_positives, at.false_positives, at.false_negatives, at.true_negatives]
                        .into_iter()
                        .zip(counts)
                {
                    assert_close(found, expected, 1e-12 * expected.max(1.0), name);
                }
                for (found, key) in [
                    (at.precision(), "precision"),
                    (at.recall(), "recall"),
                    (at.f1(), "f1"),
                    (at.f_beta(2.0).unwrap(), "f2"),
                    (at.f_beta(0.5).unwrap(), "f_half"),
                    (at.mcc(), "mcc"),
                    (at.balanced_accuracy(), "balanced_accuracy"),
                    (at.accuracy(), "accuracy"),
                    (at.g_mean(), "g_mean"),
                ] {
                    let what = format!("{key} of {name}");
                    assert_close(found.unwrap(), expected[key].as_f64().unwrap(), 1e-12, &what);
                }
            }
        });
    }

    #[test]
    fn curves() {
        for_each_case(|case, y, p, w, name| {
            let ranked = RankedScores::new(y, p, Some(w)).unwrap();
            let roc = ranked.roc_curve().unwrap();
            let expected = case["roc"].as_array().unwrap();
            assert_eq!(roc.points.len(), expected.len());
            assert_eq!(roc.points[0].threshold, f64::INFINITY);
            for (point, expected) in roc.points.iter().zip(expected) {
                let expected = numbers(expected);
                assert_close(point.false_positive_rate, expected[0], 1e-12, name);
                assert_close(point.true_positive_rate, expected[1], 1e-12, name);
                // scikit-learn's first threshold is infinite too; JSON has no such number.
                assert_eq!(point.threshold, *expected.get(2).unwrap_or(&f64::INFINITY), "{name}");
            }
            let curve = ranked.precision_recall_curve().unwrap();
            let expected = case["precision_recall"].as_array().unwrap();
            // scikit-learn stops at full recall in some versions; what it has must agree.
            assert_eq!(curve.points.len(), expected.len());
            for (point, expected) in curve.points.iter().zip(expected) {
                let expected = numbers(expected);
                assert_eq!(point.threshold, expected[0]);
                assert_close(point.recall, expected[1], 1e-12, name);
                assert_close(point.precision, expected[2], 1e-12, name);
            }
        });
    }

    #[test]
    fn corp() {
        for_each_case(|case, y, p, w, name| {
            let corp = RankedScores::new(y, p, Some(w)).unwrap().corp().unwrap();
            let expected = &case["corp"];
            for (found, key) in [
                (corp.brier, "brier"),
                (corp.miscalibration, "miscalibration"),
                (corp.discrimination, "discrimination"),
                (corp.uncertainty, "uncertainty"),
            ] {
                assert_close(
                    found,
                    expected[key].as_f64().unwrap(),
                    1e-12,
                    &format!("{key}, {name}"),
                );
            }
            for (p, recalibrated) in p.iter().zip(numbers(&expected["recalibrated"])) {
                let block = corp.blocks.iter().find(|block| *p <= block.upper).unwrap();
                assert_close(block.observed, recalibrated, 1e-12, name);
            }
        });
    }

    #[test]
    fn binned() {
        for_each_case(|case, y, p, w, name| {
            let ranked = RankedScores::new(y, p, Some(w)).unwrap();
            let expected = &case["binned"];
            let number = |key: &str| expected[key].as_f64().unwrap();
            assert_close(ranked.mce(5).unwrap(), number("mce"), 1e-12, name);
            let parts = ranked.brier_decomposition(5).unwrap();
            assert_close(parts.reliability, number("reliability"), 1e-12, name);
            assert_close(parts.resolution, number("resolution"), 1e-12, name);
            let test = ranked.hosmer_lemeshow(5).unwrap();
            let values = numbers(&expected["hosmer_lemeshow"]);
            assert_close(test.statistic, values[0], 1e-11 * values[0], name);
            assert_eq!(test.degrees_of_freedom as f64, values[1]);
            assert_close(test.p_value, values[2], 1e-11, name);
            assert_close(test.on_training_rows().unwrap().1, values[3], 1e-11, name);
        });
    }

    #[test]
    fn delong() {
        for_each_case(|case, y, p, w, name| {
            let other = numbers(&case["other"]);
            let expected = &case["delong"];
            let pair = |key: &str| numbers(&expected[key]);
            for (scores, model) in [(p, 0), (&other[..], 1)] {
                let auc = roc_auc_interval(y, scores, Some(w), 0.95).unwrap();
                assert_close(auc.estimate, pair("auc")[model], 1e-12, name);
                assert_close(
                    auc.standard_error.unwrap(),
                    pair("standard_error")[model],
                    1e-12,
                    name,
                );
            }
            let auc = roc_auc_interval(y, p, Some(w), 0.95).unwrap();
            // Student's quantile is statrs', to 1e-11 or better.
            assert_close(auc.lower, pair("interval")[0], 1e-10, name);
            assert_close(auc.upper, pair("interval")[1], 1e-10, name);
            let auc = roc_auc_wald_interval(y, p, Some(w), 0.95).unwrap().interval;
            assert_close(auc.lower, pair("wald_interval")[0], 1e-10, name);
            assert_close(auc.upper, pair("wald_interval")[1], 1e-10, name);
            let paired = compare_roc_auc(y, p, &other, Some(w), 0.95).unwrap();
            let error = expected["difference_error"].as_f64().unwrap();
            assert_close(paired.difference.standard_error.unwrap(), error, 1e-12, name);
            assert_close(paired.difference.estimate, pair("auc")[0] - pair("auc")[1], 1e-12, name);
            assert_close(
                paired.p_value.unwrap(),
                expected["p_value"].as_f64().unwrap(),
                1e-10,
                name,
            );
        });
    }

    #[test]
    fn smooth_calibration_error() {
        for_each_case(|case, y, p, w, name| {
            let expected = case["smooth_ece"].as_f64().unwrap();
            // The grid of σ/16 moves the kernel's variance by up to h²/6 + h²/12 = 1/1024 of it, and the
            // mean of an absolute value by no more.
            assert_close(smooth_ece(y, p, Some(w)).unwrap(), expected, 1e-3 * expected, name);
        });
    }

    #[test]
    fn smooth_calibration_error_where_it_does_not_depend_on_the_bandwidth() {
        for case in fixture()["smooth_ece"].as_array().unwrap() {
            let (y, p) = (labels(case), numbers(&case["values"]));
            let expected = case["smooth_ece"].as_f64().unwrap();
            let name = case["name"].as_str().unwrap();
            assert_close(smooth_ece(&y, &p, None).unwrap(), expected, 1e-3 * expected, name);
        }
    }

    #[test]
    fn as_scikit_learn_has_it_with_ghosts_and_certain_rows() {
        for case in fixture()["scikit"].as_array().unwrap() {
            let (y, p) = (labels(case), numbers(&case["values"]));
            let weights = case["weights"].is_array().then(|| numbers(&case["weights"]));
            let w = weights.as_deref();
            let name = case["name"].as_str().unwrap();
            let ranked = RankedScores::new(&y, &p, w).unwrap();
            let entropy = ranked.normalised_entropy().unwrap();
            // D² of the log loss and of the Brier score: the share of the constant's loss that is gone.
            if let Some(d2) = case["d2_log_loss"].as_f64() {
                assert_close(1.0 - entropy, d2, 1e-12, name);
            } else {
                assert_eq!(entropy, f64::INFINITY, "scikit-learn clips");
            }
            let corp = ranked.corp().unwrap();
            let d2 = case["d2_brier"].as_f64().unwrap();
            assert_close(1.0 - corp.brier / corp.uncertainty, d2, 1e-12, name);
            for (key, found) in [("auc", ranked.roc_auc()), ("ap", ranked.average_precision())] {
                assert_close(found.unwrap(), case[key].as_f64().unwrap(), 1e-12, name);
            }
            let at = ranked.confusion(0.5).unwrap();
            assert_close(at.g_mean().unwrap(), case["g_mean"].as_f64().unwrap(), 1e-12, name);
            if let Some(curve) = case["calibration_curve"].as_array() {
                let points = ranked.reliability_curve(5, 0.95).unwrap().points;
                assert_eq!(points.len(), curve.len());
                for (point, expected) in points.iter().zip(curve) {
                    let expected = numbers(expected);
                    assert_close(point.bin.mean_predicted, expected[0], 1e-12, name);
                    assert_close(point.bin.observed, expected[1], 1e-12, name);
                }
            }
        }
    }

    #[test]
    fn rate_intervals() {
        for case in fixture()["rate_intervals"].as_array().unwrap() {
            let number = |key: &str| case[key].as_u64().unwrap() as usize;
            let (count, rows) = (number("count"), number("rows"));
            let labels: Vec<bool> = (0..rows).map(|row| row < count).collect();
            let ranked = RankedScores::new(&labels, &vec![0.5; rows], None).unwrap();
            let level = case["level"].as_f64().unwrap();
            let point = ranked.reliability_curve(1, level).unwrap().points[0];
            let expected = numbers(&case["interval"]);
            assert_close(point.observed_lower, expected[0], 1e-10, "lower");
            assert_close(point.observed_upper, expected[1], 1e-10, "upper");
        }
    }
}

mod laws {
    use super::*;

    fn rows() -> impl Strategy<Value = (Vec<bool>, Vec<f64>, Vec<f64>)> {
        let p = prop_oneof![(0..=10_u32).prop_map(|k| f64::from(k) / 10.0), 0.0..=1.0_f64];
        let row = (any::<bool>(), p, (1..9_u32).prop_map(|k| f64::from(k) / 4.0));
        prop::collection::vec(row, 0..50).prop_map(|mut rows| {
            rows.extend([(true, 0.5, 1.0), (false, 0.5, 0.5)]);
            let (y, (p, w)) = rows.into_iter().map(|(y, p, w)| (y, (p, w))).unzip();
            (y, p, w)
        })
    }

    proptest! {
        #[test]
        fn decompositions_add_up((y, p, w) in rows(), bins in 1..12_usize) {
            let ranked = RankedScores::new(&y, &p, Some(&w)).unwrap();
            let brier = brier_score(&y, &p, Some(&w)).unwrap();
            let corp = ranked.corp().unwrap();
            let sum = corp.miscalibration - corp.discrimination + corp.uncertainty;
            prop_assert!((sum - brier).abs() < 1e-14);
            prop_assert!(corp.miscalibration >= 0.0 && corp.discrimination >= 0.0);
            prop_assert!(corp.blocks.windows(2).all(|pair| pair[0].observed < pair[1].observed));
            let parts = ranked.brier_decomposition(bins).unwrap();
            let sum = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bin;
            prop_assert!((sum - brier).abs() < 1e-14);
        }

        #[test]
        fn recalibrated_rows_have_no_miscalibration((y, p, w) in rows()) {
            let corp = RankedScores::new(&y, &p, Some(&w)).unwrap().corp().unwrap();
            let fixed: Vec<f64> = p
                .iter()
                .map(|p| corp.blocks.iter().find(|block| *p <= block.upper).unwrap().observed)
                .collect();
            let again = RankedScores::new(&y, &fixed, Some(&w)).unwrap().corp().unwrap();
            prop_assert!(again.miscalibration < 1e-15);
            prop_assert!((again.discrimination - corp.discrimination).abs() < 1e-14);
        }

        #[test]
        fn curves_hold_their_areas((y, p, w) in rows()) {
            let ranked = RankedScores::new(&y, &p, Some(&w)).unwrap();
            let roc = ranked.roc_curve().unwrap().points;
            let area: f64 = roc
                .windows(2)
                .map(|pair| {
                    (pair[1].false_positive_rate - pair[0].false_positive_rate)
                        * 0.5
                        * (pair[0].true_positive_rate + pair[1].true_positive_rate)
                })
                .sum();
            prop_assert!((area - ranked.roc_auc().unwrap()).abs() < 1e-13);
            let (mut before, mut area) = (0.0, 0.0);
            for point in ranked.precision_recall_curve().unwrap().points {
                area += (point.recall - before) * point.precision;
                before = point.recall;
            }
            prop_assert!((area - ranked.average_precision().unwrap()).abs() < 1e-13);
            let last = *ranked.gain_curve().unwrap().points.last().unwrap();
            prop_assert_eq!((last.share, last.gain, last.lift), (1.0, 1.0, 1.0));
        }

        #[test]
        fn ranked_scores_and_free_functions_agree((y, p, w) in rows()) {
            let ranked = RankedScores::new(&y, &p, Some(&w)).unwrap();
            let w = Some(&w[..]);
            prop_assert_eq!(ranked.ece(7).unwrap(), ece(&y, &p, w, 7).unwrap());
            prop_assert_eq!(ranked.quantile_bins(7).unwrap(), quantile_bins(&y, &p, w, 7).unwrap());
            // Sums over rows in another order: equal to rounding, or both infinite.
            for (a, b) in [
                (ranked.log_loss().unwrap(), log_loss(&y, &p, w).unwrap()),
                (ranked.brier_score().unwrap(), brier_score(&y, &p, w).unwrap()),
                (ranked.normalised_entropy().unwrap(), normalised_entropy(&y, &p, w).unwrap()),
                (
                    ranked.predicted_over_observed().unwrap(),
                    predicted_over_observed(&y, &p, w).unwrap(),
                ),
            ] {
                prop_assert!(a == b || (a - b).abs() <= 1e-13 * a);
            }
        }

        #[test]
        fn groups_partition_the_rows((y, p, w) in rows(), groups in 1..15_usize) {
            let ranked = RankedScores::new(&y, &p, Some(&w)).unwrap();
            let table = ranked.deciles(groups).unwrap().groups;
            let total: f64 = w.iter().sum();
            prop_assert!((table.iter().map(|group| group.bin.weight).sum::<f64>() - total).abs() < 1e-12);
            let last = table.last().unwrap();
            prop_assert!((last.cumulative_share - 1.0).abs() < 1e-14);
            prop_assert!((last.cumulative_gain - 1.0).abs() < 1e-14);
            for axis in [ProbabilityScale::Linear, ProbabilityScale::Logit] {
                let histogram = ranked.score_histogram(groups, axis).unwrap();
                let sum = histogram.positives.iter().chain(&histogram.negatives).sum::<f64>();
                prop_assert!((sum - total).abs() < 1e-12);
                prop_assert_eq!(histogram.edges.len(), groups + 1);
                prop_assert!(histogram.edges.windows(2).all(|pair| pair[0] <= pair[1]));
            }
            for point in ranked.reliability_curve(groups, 0.9).unwrap().points {
                prop_assert!(point.observed_lower <= point.bin.observed);
                prop_assert!(point.bin.observed <= point.observed_upper);
                prop_assert!(point.observed_upper - point.observed_lower > 0.0);
            }
        }

        #[test]
        fn the_top_is_the_mean_over_orders_of_ties((y, p, w) in rows(), share in 0.01..1.0_f64) {
            // Between two thresholds what is found rises in proportion to what is let in.
            let gain = RankedScores::new(&y, &p, Some(&w)).unwrap().gain_curve().unwrap().points;
            let above = gain.iter().position(|point| point.share >= share).unwrap_or(gain.len() - 1);
            let (x0, y0) = if above == 0 { (0.0, 0.0) } else { (gain[above - 1].share, gain[above - 1].gain) };
            let expected = y0 + (gain[above].gain - y0) * (share - x0) / (gain[above].share - x0);
            let lift = lift_at(&y, &p, Some(&w), share).unwrap();
            prop_assert!((lift * share - expected).abs() < 1e-12);
            let total: f64 = w.iter().sum();
            let k = share * total;
            let recall = recall_at_k(&y, &p, Some(&w), k).unwrap();
            prop_assert!((recall - expected).abs() < 1e-12);
            let positive: f64 = y.iter().zip(&w).filter(|row| *row.0).map(|row| row.1).sum();
            let precision = precision_at_k(&y, &p, Some(&w), k).unwrap();
            prop_assert!((precision - recall * positive / k).abs() < 1e-12);
        }

        #[test]
        fn chosen_thresholds_are_the_best_of_all((y, p, w) in rows(), x in 0.05..1.0_f64) {
            let w = Some(&w[..]);
            let all: Vec<_> = p.iter().map(|&t| (t, confusion(&y, &p, w, t).unwrap())).collect();
            let best = |of: &dyn Fn(&imbalance::metrics::Confusion) -> f64| {
                all.iter().map(|(_, at)| of(at)).fold(f64::NEG_INFINITY, f64::max)
            };
            let f = ThresholdRule::f_beta(2.0).unwrap().choose(&y, &p, w).unwrap();
            prop_assert!((f.value.unwrap() - best(&|at| at.f_beta(2.0).unwrap().unwrap())).abs() < 1e-13);
            let cost = ThresholdRule::cost(x, 1.0).unwrap().choose(&y, &p, w).unwrap();
            let total = all[0].1.total();
            let of = |at: &imbalance::metrics::Confusion| -(x * at.false_positives + at.false_negatives) / total;
            let nothing = -all[0].1.positives() / total;
            prop_assert!((-cost.value.unwrap() - best(&of).max(nothing)).abs() < 1e-13);
            let recall = ThresholdRule::recall_floor(x).unwrap().choose(&y, &p, w).unwrap();
            prop_assert!(recall.value.unwrap() >= x - 1e-11);
            prop_assert!(all.iter().all(|(t, at)| *t <= recall.threshold || at.recall().unwrap() < x));
            let share = ThresholdRule::share(x).unwrap().choose(&y, &p, w).unwrap();
            prop_assert!(share.value.unwrap() <= x + 1e-11);
            prop_assert!(all.iter().all(|(t, at)| *t >= share.threshold || at.flagged_share().unwrap() > x));
            match ThresholdRule::precision_floor(x).unwrap().choose(&y, &p, w) {
                Ok(at) => {
                    prop_assert!(at.value.unwrap() >= x - 1e-11);
                    let most = best(&|at| if at.precision().unwrap() >= x { at.recall().unwrap() } else { 0.0 });
                    prop_assert!(at.confusion.recall().unwrap() >= most - 1e-13);
                }
                Err(error) => {
                    prop_assert!(all.iter().all(|(_, at)| at.precision().unwrap() < x), "{error}");
                }
            }
        }

        #[test]
        fn odd_but_legal_rows_never_give_nan(
            rows in prop::collection::vec(
                (
                    any::<bool>(),
                    prop_oneof![
                        prop::sample::select(vec![0.0, 5e-324, 1e-200, 0.5, 1.0 - 1e-16, 1.0]),
                        0.0..=1.0_f64,
                    ],
                    0.0..=1.0_f64,
                    prop::sample::select(vec![0.0, 5e-324, 1e-160, 1.0, 3.0, 1e300]),
                ),
                1..8,
            ),
            bins in 1..12_usize,
            level in prop::sample::select(vec![1e-9, 0.5, 0.95, 1.0 - 1e-9]),
        ) {
            let y: Vec<bool> = rows.iter().map(|row| row.0).collect();
            let p: Vec<f64> = rows.iter().map(|row| row.1).collect();
            let other: Vec<f64> = rows.iter().map(|row| row.2).collect();
            let given: Vec<f64> = rows.iter().map(|row| row.3).collect();
            for w in [None, Some(&given[..])] {
                let Ok(ranked) = RankedScores::new(&y, &p, w) else { continue };
                check_bins_and_blocks(&ranked, bins, level)?;
                check_curves(&ranked)?;
                check_thresholds(&y, &p, w)?;
                for interval in [
                    roc_auc_interval(&y, &p, w, level),
                    compare_roc_auc(&y, &p, &other, w, level).map(|pair| pair.difference),
                ].into_iter().flatten() {
                    prop_assert!(interval.contains(interval.estimate), "{interval:?}");
                    prop_assert!(interval.standard_error.is_none_or(|error| error > 0.0));
                }
                let folds = Folds::stratified(&y, 2, 1);
                for rule in [ThresholdRule::f_beta(1e200).unwrap(), ThresholdRule::recall_floor(1.0).unwrap()] {
                    let fitted = folds.as_ref().ok().and_then(|folds| {
                        rule.choose_cross_fitted(&y, &p, w, folds).ok()
                    });
                    let value = fitted.and_then(|fitted| fitted.value);
                    prop_assert!(value.is_none_or(|value| !value.is_nan()));
                }
                let Attribute::Categories(texts) =
                    Attribute::categories(y.iter().map(|y| if *y { "a" } else { "b" }))
                else { unreachable!() };
                let by_category = slices_by_category(&texts, &y, &p, w).unwrap();
                let by_period = slices_by_period(&other, 0.25, &y, &p, w).unwrap();
                for slice in by_category.iter().chain(&by_period) {
                    prop_assert!((0.0..=1.0).contains(&slice.mean_predicted), "{slice:?}");
                    let optional = [
                        slice.average_precision, slice.normalised_entropy,
                        slice.predicted_over_observed, Some(slice.p_value), Some(slice.log_loss),
                    ];
                    prop_assert!(optional.into_iter().flatten().all(|value| value >= 0.0), "{slice:?}");
                    let auc = slice.roc_auc;
                    prop_assert!(auc.is_none_or(|auc| auc.contains(auc.estimate)), "{slice:?}");
                }
            }
        }

        #[test]
        fn calibrated_thresholds_are_the_best_on_expected_labels((_, p, w) in rows(), x in 0.05..1.0_f64) {
            // Each row as p of a positive and 1 − p of a negative.
            let doubled: Vec<f64> = p.iter().chain(&p).copied().collect();
            let labels: Vec<bool> = (0..doubled.len()).map(|row| row < p.len()).collect();
            let halves: Vec<f64> = p
                .iter()
                .zip(&w)
                .map(|(p, w)| p * w)
                .chain(p.iter().zip(&w).map(|(p, w)| (1.0 - p) * w))
                .collect();
            for rule in [ThresholdRule::f_beta(1.0).unwrap(), ThresholdRule::share(x).unwrap(), ThresholdRule::cost(x, 1.0).unwrap()] {
                let without = rule.choose_calibrated(&p, Some(&w)).unwrap();
                let with = rule.choose(&labels, &doubled, Some(&halves)).unwrap();
                prop_assert!((without.value.unwrap() - with.value.unwrap()).abs() < 1e-12);
            }
        }
    }

    fn check_bins_and_blocks(
        ranked: &RankedScores,
        bins: usize,
        level: f64,
    ) -> Result<(), TestCaseError> {
        let unit = 0.0..=1.0;
        let corp = ranked.corp().unwrap();
        let blocks = corp.blocks.iter().map(|block| block.observed);
        let parts = ranked.brier_decomposition(bins).unwrap();
        prop_assert!(parts.within_bin.abs() <= 1.0, "{parts:?}");
        let shares = [
            ranked.smooth_ece().unwrap(),
            ranked.mce(bins).unwrap(),
            ranked.ece(bins).unwrap(),
            corp.brier,
            corp.miscalibration,
            corp.discrimination,
            corp.uncertainty,
            parts.reliability,
            parts.resolution,
        ];
        for value in shares.into_iter().chain(blocks) {
            prop_assert!(unit.contains(&value), "{value}");
        }
        let test = ranked.hosmer_lemeshow(bins).unwrap();
        prop_assert!(test.statistic >= 0.0 && unit.contains(&test.p_value), "{test:?}");
        let trained = test.on_training_rows();
        prop_assert!(trained.is_none_or(|(_, p_value)| unit.contains(&p_value)), "{test:?}");
        for point in ranked.reliability_curve(bins, level).unwrap().points {
            let ends = [0.0, point.observed_lower, point.bin.observed, point.observed_upper, 1.0];
            prop_assert!(ends.is_sorted(), "{point:?}");
        }
        Ok(())
    }

    fn check_curves(ranked: &RankedScores) -> Result<(), TestCaseError> {
        let unit = 0.0..=1.0;
        for axis in [ProbabilityScale::Linear, ProbabilityScale::Logit] {
            let histogram = ranked.score_histogram(5, axis).unwrap();
            prop_assert!(
                histogram.edges.is_sorted() && histogram.edges.iter().all(|p| unit.contains(p))
            );
            let weights = histogram.positives.iter().chain(&histogram.negatives);
            prop_assert!(weights.clone().all(|weight| *weight >= 0.0), "{histogram:?}");
        }
        if let Ok(roc) = ranked.roc_curve() {
            let inside = |point: &RocPoint| {
                unit.contains(&point.false_positive_rate)
                    && unit.contains(&point.true_positive_rate)
            };
            prop_assert!(roc.points.iter().all(inside), "{roc:?}");
            prop_assert!(roc.thinned(10).unwrap().points.len() <= roc.points.len());
        }
        if let Ok(curve) = ranked.precision_recall_curve() {
            for point in curve.thinned(10).unwrap().points {
                prop_assert!(
                    unit.contains(&point.recall) && unit.contains(&point.precision),
                    "{point:?}"
                );
            }
            for point in ranked.gain_curve().unwrap().thinned(10).unwrap().points {
                prop_assert!(
                    unit.contains(&point.share) && unit.contains(&point.gain),
                    "{point:?}"
                );
                prop_assert!(point.lift >= 0.0, "{point:?}");
            }
            for group in ranked.deciles(3).unwrap().groups {
                prop_assert!(group.lift >= 0.0 && group.cumulative_lift >= 0.0, "{group:?}");
                prop_assert!(unit.contains(&group.cumulative_gain), "{group:?}");
            }
        }
        Ok(())
    }

    fn check_thresholds(y: &[bool], p: &[f64], w: Option<&[f64]>) -> Result<(), TestCaseError> {
        let rules = [
            ThresholdRule::f_beta(1e-200),
            ThresholdRule::f_beta(1.0),
            ThresholdRule::cost(1e-300, 1e300),
            ThresholdRule::cost_matrix([[-1e308, 1e308], [1.7e308, -1.7e308]]),
            ThresholdRule::share(0.3),
            ThresholdRule::budget(1e-3),
            ThresholdRule::precision_floor(0.4),
            ThresholdRule::recall_floor(0.6),
        ];
        for rule in rules.map(Result::unwrap) {
            let found = [rule.choose(y, p, w), rule.choose_calibrated(p, w)];
            for found in found.into_iter().flatten() {
                prop_assert!(!found.threshold.is_nan(), "{rule:?} {found:?}");
                prop_assert!(found.value.is_none_or(f64::is_finite), "{rule:?} {found:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn thresholds_by_hand() {
        let labels = [true, false, true, false];
        let scores = [0.9, 0.6, 0.5, 0.1];
        let choose =
            |rule: imbalance::Result<ThresholdRule>| rule.unwrap().choose(&labels, &scores, None);
        assert_eq!(choose(ThresholdRule::budget(2.0)).unwrap().threshold, 0.6);
        assert_eq!(choose(ThresholdRule::share(0.75)).unwrap().threshold, 0.5);
        assert_eq!(choose(ThresholdRule::share(0.2)).unwrap().threshold, f64::INFINITY);
        assert_eq!(choose(ThresholdRule::precision_floor(0.6)).unwrap().threshold, 0.5);
        assert_eq!(choose(ThresholdRule::recall_floor(0.5)).unwrap().threshold, 0.9);
        assert_eq!(choose(ThresholdRule::cost(5.0, 1.0)).unwrap().threshold, 0.9);
        let lonely = ThresholdRule::precision_floor(0.9).unwrap().choose(&labels, &[0.5; 4], None);
        assert!(matches!(lonely, Err(Error::InvalidArgument { argument: "precision", .. })));
        for (rule, name) in [
            (ThresholdRule::cost(0.0, 1.0), "false_positive"),
            (ThresholdRule::cost(1.0, f64::INFINITY), "false_negative"),
            (ThresholdRule::share(1.1), "share"),
        ] {
            assert!(
                matches!(rule, Err(Error::InvalidArgument { argument, .. }) if argument == name)
            );
        }
        assert!(ThresholdRule::cost_matrix([[0.0, -1.0], [1.0, 0.0]]).is_err());
        // Elkan 2001, equation 2, with gains: (5 − 1) / (5 − 1 + 20 + 2) = 4/26.
        let rule = ThresholdRule::cost_matrix([[1.0, 5.0], [20.0, -2.0]]).unwrap();
        assert_close(
            rule.choose_calibrated(&scores, None).unwrap().threshold,
            4.0 / 26.0,
            1e-15,
            "t",
        );
    }

    #[test]
    fn slices_say_what_is_missing() {
        let texts = ["a", "b", "a", "c", "a", "b"];
        let Attribute::Categories(texts) = Attribute::categories(texts) else { unreachable!() };
        let labels = [true, false, false, true, true, false];
        let p = [0.9, 0.1, 0.2, 0.7, 0.3, 0.2];
        let weights = [1.0, 1.0, 2.0, 0.0, 1.0, 1.0];
        let slices = slices_by_category(&texts, &labels, &p, Some(&weights)).unwrap();
        // The only row of "c" has no weight.
        assert_eq!(slices.iter().map(|slice| &slice.name[..]).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((slices[0].rows, slices[0].positives, slices[0].weight), (3, 2, 4.0));
        // The positives lie above the negative: no line has the greatest likelihood.
        assert_eq!(slices[0].roc_auc.map(|auc| auc.estimate), Some(1.0));
        assert_eq!(slices[0].missing.len(), 1);
        assert_eq!(slices[0].missing[0].metric, "calibration");
        assert_close(slices[0].mean_predicted, 1.6 / 4.0, 1e-15, "mean");
        assert_eq!((slices[1].roc_auc, slices[1].average_precision), (None, None));
        assert_close(slices[1].brier, 0.025, 1e-15, "Brier");
        assert_eq!(slices[1].missing.len(), 5);
        assert!(slices[1].missing.iter().all(|missing| missing.reason.contains("positive")));

        // What is expected rounds to nothing: certain if there is none, impossible if there is some.
        for (label, p_value) in [(false, 1.0), (true, 0.0)] {
            let weights = Some(&[1e-160][..]);
            let slices = slices_by_period(&[0.0], 1.0, &[label], &[5e-324], weights).unwrap();
            assert_eq!(slices[0].p_value, p_value);
        }

        let times = [f64::NAN, 3.0, -1.0, 7.0, 8.0, -f64::NAN];
        let slices = slices_by_period(&times, 4.0, &labels, &p, None).unwrap();
        let starts: Vec<_> = slices.iter().map(|slice| (slice.start, slice.rows)).collect();
        assert_eq!(
            starts,
            [(Some(-4.0), 1), (Some(0.0), 1), (Some(4.0), 1), (Some(8.0), 1), (None, 2)]
        );
        assert_eq!(slices[4].name, "missing");
        assert!(slices_by_period(&[f64::INFINITY; 6], 4.0, &labels, &p, None).is_err());
        assert!(slices_by_period(&times[1..], 4.0, &labels, &p, None).is_err());
    }

    #[test]
    fn scores_that_are_no_probabilities() {
        let ranked = RankedScores::new(&[true, false], &[-1.0, 3.0], None).unwrap();
        assert_eq!(ranked.roc_auc().unwrap(), 0.0);
        for result in [
            ranked.log_loss().map(drop),
            ranked.corp().map(drop),
            ranked.scorecard().map(drop),
            ranked.reliability_curve(3, 0.95).map(drop),
            ranked.score_histogram(3, ProbabilityScale::Logit).map(drop),
            ranked.smooth_ece().map(drop),
        ] {
            assert!(matches!(result, Err(Error::InvalidArgument { argument: "scores", .. })));
        }
    }

    #[test]
    fn certain_and_constant_rows() {
        let ranked = RankedScores::new(&[true, false, false], &[1.0, 0.0, 0.0], None).unwrap();
        assert_eq!(ranked.smooth_ece().unwrap(), 0.0);
        assert_eq!(ranked.hosmer_lemeshow(3).unwrap().statistic, 0.0);
        assert_eq!(ranked.corp().unwrap().miscalibration, 0.0);
        let wrong = RankedScores::new(&[true, false], &[0.0, 0.0], None).unwrap();
        assert_eq!(wrong.hosmer_lemeshow(3).unwrap().p_value, 0.0);
        assert_eq!(
            wrong
                .score_histogram(3, ProbabilityScale::Logit)
                .unwrap()
                .negatives
                .iter()
                .sum::<f64>(),
            1.0
        );
        // One class, no threshold.
        let none = RankedScores::new(&[false, false], &[0.1, 0.2], None).unwrap();
        assert_eq!(none.confusion(0.15).unwrap().recall(), None);
        assert_eq!(none.confusion(0.9).unwrap().precision(), None);
        assert_eq!(none.confusion(0.15).unwrap().mcc(), None);
        assert!(none.roc_curve().is_err() && none.deciles(10).is_err());
        assert!(none.reliability_curve(2, 0.95).is_ok() && none.corp().is_ok());
    }

    #[test]
    fn intervals_where_rows_show_no_variance() {
        // 50 positives above 950 negatives. Clopper and Pearson: 0.025^(1/50) of the pairs.
        let labels: Vec<bool> = (0..1000).map(|row| row >= 950).collect();
        let rising: Vec<f64> = (0..1000).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().map(|s| -s).collect();
        let bound = 0.025_f64.powf(1.0 / 50.0);
        for (scores, ends) in [
            (&rising, (bound, 1.0)),
            (&falling, (0.0, 1.0 - bound)),
            (&vec![0.0; 1000], (0.5 * bound, 1.0 - 0.5 * bound)),
        ] {
            let auc = roc_auc_interval(&labels, scores, None, 0.95).unwrap();
            assert_eq!(auc.standard_error, None);
            assert_close(auc.lower, ends.0, 1e-15, "lower");
            assert_close(auc.upper, ends.1, 1e-15, "upper");
            assert!(auc.contains(auc.estimate));
        }
        let pair = compare_roc_auc(&labels, &rising, &falling, None, 0.95).unwrap();
        assert_eq!((pair.difference.standard_error, pair.p_value), (None, None));
        assert_close(pair.difference.lower, 2.0 * bound - 1.0, 1e-15, "lower");
        assert_eq!((pair.difference.estimate, pair.difference.upper), (1.0, 1.0));
        // The same ranking twice, by other scores, and ties that differ.
        let stretched: Vec<f64> = rising.iter().map(|s| s * s).collect();
        let same = compare_roc_auc(&labels, &rising, &stretched, None, 0.95).unwrap();
        let Interval { estimate, standard_error, lower, upper, .. } = same.difference;
        assert_eq!((estimate, standard_error, lower, upper), (0.0, None, 0.0, 0.0));
        assert_eq!(same.p_value, Some(1.0));
        let tied: Vec<f64> = labels.iter().map(|&y| f64::from(u8::from(y))).collect();
        let other = compare_roc_auc(&labels, &rising, &tied, None, 0.95).unwrap();
        assert_eq!((other.difference.estimate, other.p_value), (0.0, Some(1.0)));
        assert_close(other.difference.upper, 1.0 - bound, 1e-15, "upper");
        assert_eq!(other.difference.lower, -other.difference.upper);

        // Weights that do not differ within a class change nothing, others leave fewer rows.
        let halves: Vec<f64> = labels.iter().map(|&y| if y { 0.5 } else { 8.0 }).collect();
        let auc = roc_auc_interval(&labels, &rising, Some(&halves), 0.95).unwrap();
        assert_close(auc.lower, bound, 1e-15, "lower");
        let uneven: Vec<f64> = (0..1000).map(|row| if row == 999 { 49.0 } else { 1.0 }).collect();
        let auc = roc_auc_interval(&labels, &rising, Some(&uneven), 0.95).unwrap();
        assert_close(auc.lower, 0.025_f64.powf(2450.0 / 9604.0), 1e-15, "lower");

        // One row of a class says nothing of its kind.
        for (labels, scores, other) in [
            (vec![true, false], vec![1.0, 0.0], vec![0.0, 1.0]),
            (vec![true, false, false], vec![0.5, 0.0, 1.0], vec![0.0, 1.0, 2.0]),
        ] {
            let auc = roc_auc_interval(&labels, &scores, None, 0.95).unwrap();
            assert_eq!((auc.standard_error, auc.lower, auc.upper), (None, 0.0, 1.0));
            let pair = compare_roc_auc(&labels, &scores, &other, None, 0.95).unwrap();
            assert_eq!((pair.difference.lower, pair.difference.upper), (-1.0, 1.0));
            assert_eq!(pair.p_value, None);
        }
    }

    #[test]
    fn smooth_error_of_one_sign() {
        for (labels, p, expected) in [
            (vec![false; 10], 0.5, 0.5),
            (vec![false; 10], 1.0, 1.0),
            (vec![true; 10], 0.0, 1.0),
            (vec![true; 10], 0.75, 0.25),
            (vec![false; 10], 0.001, 0.001),
            (vec![false; 10], 0.0, 0.0),
            (vec![true, false, false, false], 0.25, 0.0),
            (vec![true, false, false, false], 0.35, 0.1),
        ] {
            let error = smooth_ece(&labels, &vec![p; labels.len()], None).unwrap();
            // The kernel's sum is 1 to rounding, and the search ends at 1e-6.
            assert_close(error, expected, 2e-6 * expected, &format!("{p}"));
        }
        // Different predictions, all too high.
        let p: Vec<f64> = (0..100).map(|row| f64::from(row) / 99.0).collect();
        assert_close(smooth_ece(&[false; 100], &p, None).unwrap(), 0.5, 1e-6, "mean");
    }

    #[test]
    fn hosmer_lemeshow_at_the_ends_of_the_numbers() {
        let test = |labels: &[bool], p: &[f64], weights: &[f64]| {
            let test =
                RankedScores::new(labels, p, Some(weights)).unwrap().hosmer_lemeshow(1).unwrap();
            (test.statistic, test.p_value)
        };
        // A positive of almost no weight where none can be.
        assert_eq!(test(&[true, false], &[0.0, 0.0], &[1e-200, 1.0]), (f64::INFINITY, 0.0));
        assert_eq!(test(&[true], &[0.5], &[5e-324]), (5e-324, 1.0));
    }

    #[test]
    fn costs_of_any_size() {
        let choose = |rule: imbalance::Result<ThresholdRule>| {
            rule.unwrap().choose(&[true, false], &[0.1, 0.9], None).unwrap().value.unwrap()
        };
        // Flagging both, or none, is one mistake in two rows.
        assert_eq!(choose(ThresholdRule::cost(1e308, 1e308)), 0.5e308);
        assert_eq!(choose(ThresholdRule::cost(1e-320, 1e-320)), 0.5e-320);
        // The difference of these costs is no finite number.
        let rule = ThresholdRule::cost_matrix([[-1.5e308, 1.5e308], [1.5e308, -1.5e308]]).unwrap();
        assert_eq!(choose(Ok(rule)), 0.0);
        assert_eq!(rule.choose_calibrated(&[0.2, 0.7], None).unwrap().threshold, 0.5);
        assert!(
            ThresholdRule::cost(f64::INFINITY, 1.0).is_err()
                && ThresholdRule::cost(1.0, f64::NAN).is_err()
        );
    }

    #[test]
    fn numbers_too_large_to_hold_are_refused() {
        let (labels, p) = ([true, false, true, false], [0.1, 0.2, 0.3, 0.4]);
        let ranked = RankedScores::new(&labels, &p, None).unwrap();
        assert!(Folds::stratified(&labels, usize::MAX, 1).is_err());
        for (result, name) in [
            (ranked.score_histogram(usize::MAX, ProbabilityScale::Linear).map(drop), "bins"),
            (ranked.score_histogram(0, ProbabilityScale::Logit).map(drop), "bins"),
            (Bootstrap::new(usize::MAX, 1).map(drop), "replicates"),
            (Bootstrap::new(1, 1).map(drop), "replicates"),
        ] {
            let Err(Error::InvalidArgument { argument, .. }) = result else { panic!("{name}") };
            assert_eq!(argument, name);
        }
        // These only ever hold as many as there are rows.
        assert_eq!(ranked.deciles(usize::MAX).unwrap().groups.len(), 4);
        assert_eq!(ranked.reliability_curve(usize::MAX, 0.9).unwrap().points.len(), 4);
        assert_eq!(ranked.roc_curve().unwrap().thinned(usize::MAX).unwrap().points.len(), 5);
    }

    #[test]
    fn thinned_curves_keep_their_ends_and_shape() {
        let mut stream = Stream(3);
        let p: Vec<f64> = (0..20_000).map(|_| stream.uniform()).collect();
        let y: Vec<bool> = p.iter().map(|p| stream.uniform() < *p).collect();
        let full = RankedScores::new(&y, &p, None).unwrap().roc_curve().unwrap();
        let thin = full.thinned(200).unwrap();
        // 200 steps up, 200 to the right, and 20 for each factor of e on the logarithmic axis.
        assert!((201..=600).contains(&thin.points.len()), "{}", thin.points.len());
        assert_eq!(thin.points.first(), full.points.first());
        assert_eq!(thin.points.last(), full.points.last());
        assert!(full.thinned(0).is_err());

        // Between the thresholds kept nothing moves far, on a linear or a logarithmic axis.
        let rates = |point: &RocPoint| (point.false_positive_rate, point.true_positive_rate);
        let mut kept = thin.points.iter().peekable();
        let mut last = rates(&thin.points[0]);
        for point in &full.points {
            if kept.next_if_eq(&point).is_some() {
                last = rates(point);
            }
            let (x, y) = rates(point);
            assert!((x - last.0).abs() <= 1.0 / 200.0 && (y - last.1).abs() <= 1.0 / 200.0);
            assert!(x == last.0 || (x / last.0).ln().abs() <= 10.0 / 200.0, "{x} {}", last.0);
        }
        let full = RankedScores::new(&y, &p, None).unwrap().gain_curve().unwrap();
        let thin = full.thinned(200).unwrap().points;
        assert!(thin.len() < 600, "{}", thin.len());
        let steps = thin.windows(2).map(|pair| pair[1].share / pair[0].share);
        // A row more is a step of its own, as long as there are few.
        assert!(steps.clone().take(20).all(|step| step < 2.01));
        // Then a row less than twice a step of 10/200.
        assert!(steps.skip(20).all(|step| step.ln() < 20.0 / 200.0));

        // Where positives are rare, precision moves by less than a step and yet by a factor.
        let p: Vec<f64> = p.iter().map(|p| p / 100.0).collect();
        let y: Vec<bool> = p.iter().map(|p| stream.uniform() < *p).collect();
        let full = RankedScores::new(&y, &p, None).unwrap().precision_recall_curve().unwrap();
        let thin = full.thinned(200).unwrap().points;
        assert!(thin.len() < 1000, "{}", thin.len());
        let mut kept = thin.iter().peekable();
        let mut last = thin[0];
        for point in &full.points {
            if kept.peek() == Some(&point) {
                last = *kept.next().unwrap();
            }
            let far =
                point.precision > 0.0 && (point.precision / last.precision).ln().abs() > 0.051;
            assert!(
                !far && (point.recall - last.recall).abs() <= 1.0 / 200.0,
                "{point:?} {last:?}"
            );
        }
    }
}

mod uncertainty {
    use super::*;

    /// Rows at a base rate of 0.5 %: logits −6 + 1.2·N(0, 1), labels drawn from the probabilities.
    fn simulate(rows: usize, stream: &mut Stream) -> (Vec<bool>, Vec<f64>) {
        let p: Vec<f64> =
            (0..rows).map(|_| 1.0 / (1.0 + (6.0 - 1.2 * stream.normal()).exp())).collect();
        (p.iter().map(|p| stream.uniform() < *p).collect(), p)
    }

    /// Rows of a bin in the exact computations.
    const ROWS: usize = 2000;

    /// The 95 % interval for a rate of which `count` of [`ROWS`] rows are seen, for the counts that matter.
    fn bands() -> Vec<(f64, f64)> {
        let band = |count: usize| {
            let labels: Vec<bool> = (0..ROWS).map(|row| row < count).collect();
            let ranked = RankedScores::new(&labels, &[0.5; ROWS], None).unwrap();
            let point = ranked.reliability_curve(1, 0.95).unwrap().points[0];
            (point.observed_lower, point.observed_upper)
        };
        (0..=160).map(band).collect()
    }

    /// The binomial probabilities of these counts, where that many are expected of [`ROWS`].
    fn probabilities(expected: f64) -> Vec<f64> {
        let p = expected / ROWS as f64;
        let mut at = (ROWS as f64 * (-p).ln_1p()).exp();
        let next = |count: usize| {
            let now = at;
            at *= (ROWS - count) as f64 / (count + 1) as f64 * p / (1.0 - p);
            now
        };
        (0..=160).map(next).collect()
    }

    fn exact_coverage_of(bands: &[(f64, f64)], expected: f64) -> f64 {
        let p = expected / ROWS as f64;
        let inside = bands.iter().map(|(lower, upper)| *lower <= p && p <= *upper);
        probabilities(expected).iter().zip(inside).filter(|row| row.1).map(|row| row.0).sum()
    }

    #[test]
    fn exact_coverage_of_bands() {
        let bands = bands();
        // What the documentation of `ReliabilityCurve` says.
        for (from, to, least, most) in [
            (0.02, 1.0, 0.950, 1.0),
            (1.0, 3.0, 0.927, 0.981),
            (3.0, 7.0, 0.928, 0.977),
            (7.0, 80.0, 0.935, 0.968),
        ] {
            let (mut low, mut high) = (1.0_f64, 0.0_f64);
            let mut expected: f64 = from;
            while expected < to {
                let share = exact_coverage_of(&bands, expected);
                (low, high) = (low.min(share), high.max(share));
                expected *= 1.001;
            }
            println!("{from} to {to} expected positives: {low:.4} to {high:.4}");
            // Rounded to three digits in the documentation.
            assert!(low >= least - 5e-4 && high <= most + 5e-4, "{from} {to}: {low} {high}");
        }
    }

    /// The positives expected in each decile of [`simulate`]'s population.
    fn deciles() -> [f64; 10] {
        let (mut above, mut deciles) = (0.0, [0.0; 10]);
        for (p, share) in population() {
            // From the highest down.
            deciles[9 - ((10.0 * above) as usize).min(9)] += 10.0 * share * p * ROWS as f64;
            above += share;
        }
        deciles
    }

    #[test]
    fn bands_cover_in_every_decile_where_counts_allow_it() {
        // The range: 93 % to 97 %, at a base rate of 0.5 % in ten bins of 2,000 rows.
        let bands = bands();
        let possible = |expected: f64| {
            let chances = probabilities(expected);
            (0..chances.len()).any(|from| {
                let mut sum = 0.0;
                chances[from..].iter().any(|chance| {
                    sum += chance;
                    (0.93..0.97).contains(&sum)
                })
            })
        };
        let coverage = deciles().map(|expected| {
            let share = exact_coverage_of(&bands, expected);
            println!("{expected:.2} positives expected: {share:.4} contain the truth");
            (share, possible(expected))
        });
        assert!(coverage.iter().all(|(share, possible)| {
            (0.93..0.97).contains(share) || (!possible && (0.92..0.98).contains(share))
        }));
        // 2.21 expected positives.
        assert_eq!(coverage.iter().filter(|bin| !bin.1).count(), 1);
    }

    /// Shares of 2,000 simulated samples in which the band of each of ten bins contains the truth, which
    /// is the mean of the rows' probabilities, the predictions.
    fn band_shares(mut sample: impl FnMut() -> (Vec<bool>, Vec<f64>, Vec<f64>)) -> [f64; 10] {
        let mut covered = [0; 10];
        for _ in 0..2000 {
            let (y, p, w) = sample();
            let ranked = RankedScores::new(&y, &p, Some(&w)).unwrap();
            let points = ranked.reliability_curve(10, 0.95).unwrap().points;
            assert_eq!(points.len(), 10);
            for (covered, point) in covered.iter_mut().zip(points) {
                let truth = point.bin.mean_predicted;
                *covered +=
                    u32::from(point.observed_lower <= truth && truth <= point.observed_upper);
            }
        }
        let shares = covered.map(|covered| f64::from(covered) / 2000.0);
        println!("{shares:?}");
        shares
    }

    #[test]
    fn bands_cover() {
        let mut stream = Stream(1);
        let shares = band_shares(|| {
            let (y, p) = simulate(20_000, &mut stream);
            let w = vec![1.0; y.len()];
            (y, p, w)
        });
        let bands = bands();
        for (share, expected) in shares.into_iter().zip(deciles()) {
            // 4 standard errors of 2,000 samples are 1.95 %; and where the coverage jumps within the
            // scatter of the bins' rates, it is between those on either side.
            let near: Vec<f64> =
                [0.97, 1.0, 1.03].map(|factor| exact_coverage_of(&bands, factor * expected)).into();
            let (low, high) =
                near.iter().fold((1.0_f64, 0.0_f64), |(low, high), &x| (low.min(x), high.max(x)));
            assert!((low - 0.0195..high + 0.0195).contains(&share), "{expected}: {share}");
        }
    }

    #[test]
    fn weighted_bands_cover() {
        // Negatives are kept at 1 in 10 with weight 10.
        let mut stream = Stream(2);
        let shares = band_shares(|| {
            let (y, p) = simulate(20_000, &mut stream);
            let kept: Vec<usize> =
                (0..y.len()).filter(|&row| y[row] || stream.uniform() < 0.1).collect();
            let labels: Vec<bool> = kept.iter().map(|&row| y[row]).collect();
            let weights: Vec<f64> = labels.iter().map(|&y| if y { 1.0 } else { 10.0 }).collect();
            (labels, kept.iter().map(|&row| p[row]).collect(), weights)
        });
        // Where 3 or more positives are expected, exact intervals cover 92.8 % to 97.7 %; 1.95 % are 4
        // standard errors.
        assert!(shares[3..].iter().all(|share| (0.9085..0.9965).contains(share)));
        // And the bins together in the range of the issue.
        assert!((0.93..0.97).contains(&(shares.iter().sum::<f64>() / 10.0)), "{shares:?}");
    }

    /// 0.5 % positives with scores N(1, 1), negatives N(0, 1): the AUC is Φ(1/√2).
    fn shifted(rows: usize, stream: &mut Stream) -> (Vec<bool>, Vec<f64>) {
        (0..rows)
            .map(|_| {
                let label = stream.uniform() < 0.005;
                (label, stream.normal() + f64::from(u8::from(label)))
            })
            .unzip()
    }

    #[test]
    fn delong_covers() {
        // 2000 samples: the standard error of a coverage of 95 % is 0.49 %, so ±2 % are 4 of them.
        let truth = 0.760_249_938_906_523_7;
        let mut stream = Stream(4);
        let mut covered = 0;
        for _ in 0..2000 {
            let (y, s) = shifted(8_000, &mut stream);
            covered += u32::from(roc_auc_interval(&y, &s, None, 0.95).unwrap().contains(truth));
        }
        let share = f64::from(covered) / 2000.0;
        assert!((0.93..0.97).contains(&share), "{share}");
    }

    #[test]
    fn weighted_delong_covers() {
        // The higher the score, the more negatives are kept; the weights undo it. 4 standard errors.
        let truth = 0.760_249_938_906_523_7;
        let mut stream = Stream(14);
        let [share] = coverage(2000, [truth], |_| {
            let (y, s) = shifted(20_000, &mut stream);
            let chance = |label: bool, s: f64| {
                if label { 1.0 } else { 0.02 + 0.3 / (1.0 + (2.0 - 2.0 * s).exp()) }
            };
            let rows = y.into_iter().zip(s).map(|(y, s)| (y, s, chance(y, s)));
            let kept: Vec<_> = rows.filter(|row| stream.uniform() < row.2).collect();
            let y: Vec<bool> = kept.iter().map(|row| row.0).collect();
            let s: Vec<f64> = kept.iter().map(|row| row.1).collect();
            let w: Vec<f64> = kept.iter().map(|row| 1.0 / row.2).collect();
            [roc_auc_interval(&y, &s, Some(&w), 0.95).unwrap()]
        });
        assert!((0.93..0.97).contains(&share), "{share}");
    }

    #[test]
    fn paired_delong_covers() {
        // The second score is the first with noise of variance 1/4: Φ(1/√2) − Φ(1/√2.5).
        let truth = 0.760_249_938_906_523_7 - 0.736_455_371_567_231;
        let mut stream = Stream(15);
        let mut rejected = 0;
        let [share] = coverage(2000, [truth], |_| {
            let (y, s) = shifted(8_000, &mut stream);
            let noisy = |size: f64, stream: &mut Stream| -> Vec<f64> {
                s.iter().map(|s| s + size * stream.normal()).collect()
            };
            let (worse, alike, also) =
                (noisy(0.5, &mut stream), noisy(0.7, &mut stream), noisy(0.7, &mut stream));
            let same = compare_roc_auc(&y, &alike, &also, None, 0.95).unwrap();
            rejected += u32::from(same.p_value.unwrap() < 0.05);
            [compare_roc_auc(&y, &s, &worse, None, 0.95).unwrap().difference]
        });
        assert!((0.93..0.97).contains(&share), "{share}");
        // Two models that are equally good are told apart in 5 % of the samples.
        let rejected = f64::from(rejected) / 2000.0;
        assert!((0.03..0.07).contains(&rejected), "{rejected}");
    }

    #[test]
    fn calibration_line_covers() {
        // Predictions of half the odds: the line is ln 2 + 1 · logit(p).
        let truth = std::f64::consts::LN_2;
        let mut stream = Stream(16);
        let mut covered = [0; 3];
        for _ in 0..2000 {
            let (y, p) = simulate(10_000, &mut stream);
            let half: Vec<f64> = p.iter().map(|p| 1.0 / (2.0 / p - 1.0)).collect();
            let line = calibration_line(&y, &half, None).unwrap();
            let at_one = line.intercept_given_slope_one_standard_error;
            let estimates = [
                (line.slope, 1.0, line.slope_standard_error),
                (line.intercept, truth, line.intercept_standard_error),
                (line.intercept_given_slope_one, truth, at_one),
            ];
            for (covered, (estimate, truth, error)) in covered.iter_mut().zip(estimates) {
                *covered += u32::from((estimate - truth).abs() <= 1.96 * error);
            }
        }
        let shares = covered.map(|covered| f64::from(covered) / 2000.0);
        println!("slope, intercept, intercept at slope 1: {shares:?}");
        assert!(shares.iter().all(|share| (0.93..0.97).contains(share)), "{shares:?}");
    }

    /// How often the intervals that `of` makes of a simulated sample contain the truth.
    fn coverage<const N: usize>(
        samples: u32,
        truth: [f64; N],
        mut of: impl FnMut(u32) -> [Interval; N],
    ) -> [f64; N] {
        let mut covered = [0; N];
        for sample in 0..samples {
            let intervals = of(sample);
            for ((count, truth), interval) in covered.iter_mut().zip(truth).zip(intervals) {
                *count += u32::from(interval.contains(truth));
            }
        }
        let shares = covered.map(|count| f64::from(count) / f64::from(samples));
        println!("of {samples} intervals, shares of {shares:?} contain the truth, {truth:?}");
        shares
    }

    /// How many samples to bootstrap: as many as take seconds, at a fixed seed, or 2,000 and minutes with
    /// `COVERAGE_SAMPLES=2000`, whose coverage of 95 % has a standard error of 0.49 %, so that ±2 % are 4
    /// of them.
    fn samples(quick: u32) -> u32 {
        thorough().unwrap_or(quick)
    }

    fn thorough() -> Option<u32> {
        std::env::var("COVERAGE_SAMPLES").ok().map(|number| number.parse().unwrap())
    }

    /// The bootstrap of a sample: 150 replicates in a thorough run, else 75. A sample is one trial of a
    /// coverage of 95 % with either number, so the standard error of the coverage is the same; and the
    /// quantiles are those that keep the coverage for few replicates.
    fn bootstrap_of(sample: u32) -> Bootstrap<'static> {
        let replicates = if thorough().is_some() { 150 } else { 75 };
        Bootstrap::new(replicates, u64::from(sample)).unwrap()
    }

    /// The population that [`simulate`] draws from: probabilities from the highest down, with their shares.
    fn population() -> Vec<(f64, f64)> {
        const STEP: f64 = 1e-4;
        let at = |place: i32| {
            let z = -STEP * f64::from(place);
            let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
            (1.0 / (1.0 + (6.0 - 1.2 * z).exp()), STEP * density)
        };
        (-90_000..=90_000).map(at).collect()
    }

    fn mean(population: &[(f64, f64)], of: impl Fn(f64) -> f64) -> f64 {
        population.iter().map(|&(p, share)| share * of(p)).sum()
    }

    /// −E ln p̂(y) for labels of probability `p` and predictions `q`.
    fn cross_entropy(p: f64, q: f64) -> f64 {
        -(p * q.ln() + (1.0 - p) * (-q).ln_1p())
    }

    #[test]
    fn bootstrap_covers() {
        // Calibrated predictions: Σp − Σy is 0 on average, so predicted / observed is about 1.
        let mut stream = Stream(5);
        let [share] = coverage(samples(400), [1.0], |sample| {
            let (y, p) = simulate(10_000, &mut stream);
            let metric = |rows: &RankedScores| Ok([rows.predicted_over_observed()?]);
            bootstrap_of(sample).intervals(&y, &p, None, metric).unwrap()
        });
        assert!((0.93..0.97).contains(&share), "{share}");
    }

    #[test]
    fn bootstrap_of_entropy_and_average_precision_covers() {
        let mut stream = Stream(8);
        let population = population();
        // The population's mean entropy over the entropy of its rate.
        let rate = mean(&population, |p| p);
        let entropy = mean(&population, |p| cross_entropy(p, p)) / cross_entropy(rate, rate);
        // A threshold at one of its predictions finds Σp of the positives among the rows above.
        let (mut found, mut rows, mut area) = (0.0, 0.0, 0.0);
        for (p, share) in population {
            found += 0.5 * share * p;
            rows += 0.5 * share;
            area += share * p * found / rows;
            found += 0.5 * share * p;
            rows += 0.5 * share;
        }

        // Half of the rows of a thorough run have half of the positives, for which coverage is harder.
        let rows = if thorough().is_some() { 20_000 } else { 10_000 };
        let shares = coverage(samples(1000), [entropy, area / found], |sample| {
            let (y, p) = simulate(rows, &mut stream);
            let metrics =
                |rows: &RankedScores| Ok([rows.normalised_entropy()?, rows.average_precision()?]);
            bootstrap_of(sample).intervals(&y, &p, None, metrics).unwrap()
        });
        assert!(shares.iter().all(|share| (0.93..0.97).contains(share)), "{shares:?}");
    }

    #[test]
    fn bootstrap_of_a_difference_covers() {
        // The true probabilities against twice their odds.
        let twice = |p: f64| 1.0 / (0.5 / p + 0.5);
        let population = population();
        let rate = mean(&population, |p| p);
        let lost = mean(&population, |p| cross_entropy(p, p) - cross_entropy(p, twice(p)));
        let truth = lost / cross_entropy(rate, rate);

        let mut stream = Stream(11);
        let [share] = coverage(samples(600), [truth], |sample| {
            let (y, p) = simulate(10_000, &mut stream);
            let q: Vec<f64> = p.iter().map(|&p| twice(p)).collect();
            let metric = |rows: &RankedScores| Ok([rows.normalised_entropy()?]);
            bootstrap_of(sample).differences(&y, [&p, &q], None, metric).unwrap()
        });
        assert!((0.93..0.97).contains(&share), "{share}");
    }

    #[test]
    fn bootstrap_by_group_covers() {
        // Each user's 40 rows share a taste of N(0, 1) on the logit, of which the model knows nothing.
        let users = |users: usize, stream: &mut Stream| -> (Vec<f64>, Vec<f64>) {
            let taste = |_| stream.normal();
            let tastes: Vec<f64> = (0..users).map(taste).collect();
            let row = |taste: f64| {
                let known = -5.5 + 0.7 * stream.normal();
                (1.0 / (1.0 + (-known - taste).exp()), 1.0 / (1.0 + (-known).exp()))
            };
            tastes.into_iter().flat_map(|taste| [taste; 40]).map(row).unzip()
        };
        let mut stream = Stream(12);
        // Two million rows stand for the population, a hundred times a sample.
        let (p, q) = users(50_000, &mut stream);
        let truth = q.iter().sum::<f64>() / p.iter().sum::<f64>();
        let groups: Vec<u32> = (0..16_000).map(|row| row / 40).collect();

        let mut by_row = 0;
        let [share] = coverage(samples(600), [truth], |sample| {
            let (p, q) = users(400, &mut stream);
            let y: Vec<bool> = p.iter().map(|&p| stream.uniform() < p).collect();
            let metric = |rows: &RankedScores| Ok([rows.predicted_over_observed()?]);
            let rows = bootstrap_of(sample);
            if sample % 3 == 0 {
                let interval = rows.intervals(&y, &q, None, metric).unwrap()[0];
                by_row += u32::from(interval.contains(truth));
            }
            rows.by_group(&groups).intervals(&y, &q, None, metric).unwrap()
        });
        assert!((0.93..0.97).contains(&share), "{share}");
        // Drawing rows ignores that users differ, which a third of the samples shows.
        let by_row = f64::from(by_row) / f64::from(samples(600).div_ceil(3));
        println!("by row: {by_row}");
        assert!(by_row < 0.93, "{by_row}");
    }

    #[test]
    fn bootstrap_agrees_with_delong() {
        let mut stream = Stream(6);
        let (y, s) = shifted(20_000, &mut stream);
        let noisy: Vec<f64> = s.iter().map(|s| s + 0.5 * stream.normal()).collect();
        let delong = roc_auc_interval(&y, &s, None, 0.95).unwrap();
        let bootstrap = Bootstrap::new(600, 1).unwrap();
        let [auc] = bootstrap.intervals(&y, &s, None, |rows| Ok([rows.roc_auc()?])).unwrap();
        assert_eq!(auc.estimate, delong.estimate);
        // A standard deviation of 600 replicates has a relative error of 1/√1200 = 2.9 %: 4 of them.
        let error = |interval: &Interval| interval.standard_error.unwrap();
        assert_close(error(&auc) / error(&delong), 1.0, 0.12, "standard error");
        let paired = compare_roc_auc(&y, &s, &noisy, None, 0.95).unwrap();
        let [difference] =
            bootstrap.differences(&y, [&s, &noisy], None, |rows| Ok([rows.roc_auc()?])).unwrap();
        assert_close(difference.estimate, paired.difference.estimate, 1e-12, "difference");
        let ratio = error(&difference) / error(&paired.difference);
        assert_close(ratio, 1.0, 0.12, "standard error of the difference");
        assert!(error(&difference) < 0.7 * error(&auc));
    }

    #[test]
    fn groups_widen_the_interval() {
        // Every row four times: as groups the copies add nothing, as rows they pretend to.
        let mut stream = Stream(7);
        let (y, p) = simulate(8_000, &mut stream);
        let labels: Vec<bool> = y.iter().flat_map(|&y| [y; 4]).collect();
        let values: Vec<f64> = p.iter().flat_map(|&p| [p; 4]).collect();
        let groups: Vec<u32> = (0..labels.len()).map(|row| 7 * (row / 4) as u32).collect();
        let bootstrap = Bootstrap::new(400, 2).unwrap();
        let error = |bootstrap: &Bootstrap<'_>, y: &[bool], p: &[f64]| {
            let metric = |rows: &RankedScores| Ok([rows.predicted_over_observed()?]);
            bootstrap.intervals(y, p, None, metric).unwrap()[0].standard_error.unwrap()
        };
        let single = error(&bootstrap, &y, &p);
        let rows = error(&bootstrap, &labels, &values);
        let grouped = error(&bootstrap.by_group(&groups), &labels, &values);
        // Two standard deviations of 400 replicates: relative error of their ratio 5 %, 4 of them.
        assert_close(grouped / single, 1.0, 0.2, "groups");
        assert_close(rows / single, 0.5, 0.1, "rows");
        assert_eq!(
            bootstrap_lengths(&labels, &values),
            "the length of groups is 1, but labels has 32000: one entry per row is needed"
        );
    }

    fn bootstrap_lengths(labels: &[bool], values: &[f64]) -> String {
        let bootstrap = Bootstrap::new(2, 2).unwrap().by_group(&[1]);
        let result = bootstrap.intervals(labels, values, None, |rows| Ok([rows.roc_auc()?]));
        result.unwrap_err().to_string()
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let mut stream = Stream(8);
        let (y, p) = simulate(30_000, &mut stream);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let bootstrap = Bootstrap::new(20, 3).unwrap();
                let intervals = bootstrap.intervals(&y, &p, None, |rows| {
                    Ok([rows.roc_auc()?, rows.average_precision()?, rows.normalised_entropy()?])
                });
                let card = RankedScores::new(&y, &p, None).unwrap().scorecard().unwrap();
                (intervals.unwrap(), card, smooth_ece(&y, &p, None).unwrap().to_bits())
            })
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn undefined_replicates() {
        // Three positives: a replicate has none with probability e⁻³, and is drawn again.
        let labels: Vec<bool> = (0..300).map(|row| row < 3).collect();
        let p: Vec<f64> = (0..300).map(|row| f64::from(row % 29) / 30.0).collect();
        let bootstrap = Bootstrap::new(300, 4).unwrap();
        let auc = bootstrap.intervals(&labels, &p, None, |rows| Ok([rows.roc_auc()?])).unwrap();
        assert!(auc[0].standard_error > Some(0.0));
        let none = bootstrap.intervals(&[false; 300], &p, None, |rows| Ok([rows.roc_auc()?]));
        assert!(matches!(none, Err(Error::OneClass { .. })));
        let infinite = bootstrap.intervals(&labels, &p, None, |rows| Ok([rows.log_loss()?]));
        assert!(matches!(infinite, Err(Error::Numerical { .. })));
    }

    /// Five positives above all negatives, and above most: replicates show no spread, or next to none. The ends are
    /// those of a sixth positive at the lowest score and at the highest; numbers from numpy and scipy.
    #[test]
    fn few_units_reach_as_far_as_one_unlike_them() {
        let p: Vec<f64> = (0..305).map(f64::from).collect();
        let bootstrap = Bootstrap::new(200, 5).unwrap();
        let auc = |labels: &[bool]| {
            bootstrap.intervals(labels, &p, None, |rows| Ok([rows.roc_auc()?])).unwrap()[0]
        };
        let above: Vec<bool> = (0..305).map(|row| row >= 300).collect();
        let perfect = auc(&above);
        // (0.025)^(1/5), from 0 to 1 but for half a negative's tie at the lowest score.
        let tie = 0.5 / 300.0;
        assert_close(perfect.lower, tie + 0.025_f64.powf(0.2) * (1.0 - tie), 1e-12, "lower");
        assert_eq!((perfect.estimate, perfect.upper), (1.0, 1.0));
        let mirrored: Vec<f64> = p.iter().map(|p| -p).collect();
        let flipped: Vec<bool> = above.iter().map(|y| !y).collect();
        let metric = |rows: &RankedScores| Ok([rows.roc_auc()?]);
        let [negatives] = bootstrap.intervals(&flipped, &mirrored, None, metric).unwrap();
        assert_close(negatives.lower, perfect.lower, 1e-12, "five negatives");
        // Placements 1, 1, 1, 1, 0.9; DeLong's interval has the same addition.
        let nearly: Vec<bool> = (0..305).map(|row| row > 300 || row == 270).collect();
        let found = auc(&nearly);
        let delong = roc_auc_interval(&nearly, &p, None, 0.95).unwrap();
        // The standard error of the replicates has no n/(n − 1), and the sixth positive ties at the ends.
        assert!(
            found.lower < 0.4 && (found.lower - delong.lower).abs() < 0.05,
            "{found}, {delong}"
        );
        assert!(found.upper <= 1.0, "{found}");
        // A difference of the two is not extended: both models rank the same rows.
        let noisy: Vec<f64> = p.iter().map(|p| p + 40.0 * (p * 0.7).sin()).collect();
        let [difference] = bootstrap.differences(&nearly, [&p, &noisy], None, metric).unwrap();
        assert!(difference.upper - difference.lower < 0.3, "{difference}");
    }

    #[test]
    fn wald_intervals_say_where_they_are_not_reliable() {
        let mut stream = Stream(9);
        let (y, s) = shifted(20_000, &mut stream);
        let many = roc_auc_wald_interval(&y, &s, None, 0.95).unwrap();
        assert!(many.is_reliable && many.to_string() == many.interval.to_string());
        let few = roc_auc_wald_interval(&y[..60], &s[..60], None, 0.95).unwrap();
        assert!(!few.is_reliable && few.to_string().ends_with("(too few rows for this AUC)"));
    }

    #[test]
    fn one_unit_of_a_class_bounds_nothing() {
        // Finding A5: one positive, row 7, among 400 rows; then one negative, then all positives in one group.
        let p: Vec<f64> = (0..400)
            .map(|i| if i == 7 { 0.009 } else { 1e-5 + f64::from(7919 * i % 400) * 2.5e-5 })
            .collect();
        let bootstrap = Bootstrap::new(100, 5).unwrap();
        let auc = |bootstrap: &Bootstrap<'_>, labels: &[bool]| {
            bootstrap.intervals(labels, &p, None, |rows| Ok([rows.roc_auc()?])).unwrap()[0]
        };
        let labels: Vec<bool> = (0..400).map(|i| i == 7).collect();
        let flipped: Vec<bool> = labels.iter().map(|y| !y).collect();
        let four: Vec<bool> = (0..400).map(|i| i < 4).collect();
        let groups: Vec<u32> = (0..400).map(|i| i / 10).collect();
        let grouped = bootstrap.clone().by_group(&groups);
        for interval in [auc(&bootstrap, &labels), auc(&bootstrap, &flipped), auc(&grouped, &four)]
        {
            assert_eq!(interval.standard_error, None);
            assert_eq!((interval.lower, interval.upper), (f64::NEG_INFINITY, f64::INFINITY));
            let text = serde_json::to_string(&interval).unwrap();
            assert_eq!(serde_json::from_str::<Interval>(&text).unwrap(), interval);
        }
        assert_close(auc(&bootstrap, &labels).estimate, 0.8997, 1e-4, "AUC");
        let delong = roc_auc_interval(&labels, &p, None, 0.95).unwrap();
        assert_eq!((delong.lower, delong.upper), (0.0, 1.0));
        // The four as rows: replicates show their spread.
        assert!(auc(&bootstrap, &four).standard_error.unwrap() > 0.0);
    }

    /// How often intervals of two models of noise leave out 0, and how often the interval of an AUC of 0.95 leaves it out
    /// by DeLong: [bootstrap, DeLong's test, DeLong's interval].
    fn false_alarms(positives: usize, samples: u32, stream: &mut Stream) -> [f64; 3] {
        let labels: Vec<bool> = (0..positives + 200).map(|row| row < positives).collect();
        let mut alarms = [0; 3];
        for sample in 0..samples {
            let mut noise = || -> Vec<f64> { labels.iter().map(|_| stream.normal()).collect() };
            let (first, second, third) = (noise(), noise(), noise());
            // Φ(2.326/√2) = 0.95.
            let good: Vec<f64> = third
                .iter()
                .zip(&labels)
                .map(|(z, &y)| z + 2.326_174_3 * f64::from(u8::from(y)))
                .collect();
            let bootstrap = Bootstrap::new(99, u64::from(sample)).unwrap();
            let auc = |rows: &RankedScores| Ok([rows.roc_auc()?]);
            let [difference] =
                bootstrap.differences(&labels, [&first, &second], None, auc).unwrap();
            let pair = compare_roc_auc(&labels, &first, &second, None, 0.95).unwrap();
            let single = roc_auc_interval(&labels, &good, None, 0.95).unwrap();
            assert_eq!(pair.p_value.is_some_and(|p| p < 0.05), !pair.difference.contains(0.0));
            alarms[0] += u32::from(!difference.contains(0.0));
            alarms[1] += u32::from(!pair.difference.contains(0.0));
            alarms[2] += u32::from(!single.contains(0.95));
        }
        alarms.map(|count| f64::from(count) / f64::from(samples))
    }

    #[test]
    fn few_positives_raise_few_false_alarms() {
        let mut stream = Stream(21);
        for positives in [1, 2, 3, 5] {
            let shares = false_alarms(positives, 400, &mut stream);
            // At most 7 %, and 3 standard errors of 400 samples at that share, 3.8 %.
            assert!(shares.iter().all(|&share| share < 0.108), "{positives}: {shares:?}");
        }
    }

    #[test]
    fn cross_fitted_results_are_not_optimistic() {
        // Scores that know nothing of 20 positives among 400 rows. Flagging a share q of other rows has
        // F₁ of about 2·0.05·q/(q + 0.05), at most 0.095, with a standard deviation of about 0.03: the
        // mean of 100 stays within 0.012, 4 standard errors. The best of hundreds of thresholds on the
        // rows themselves seems better than that.
        let mut stream = Stream(9);
        let (mut in_sample, mut cross_fitted) = (0.0, 0.0);
        for seed in 0..100 {
            let y: Vec<bool> = (0..400).map(|row| row % 20 == 0).collect();
            let s: Vec<f64> = (0..400).map(|_| stream.uniform()).collect();
            let folds = Folds::stratified(&y, 2, seed).unwrap();
            let found = ThresholdRule::f_beta(1.0)
                .unwrap()
                .choose_cross_fitted(&y, &s, None, &folds)
                .unwrap();
            assert_eq!(found.confusion.total(), 400.0);
            assert_eq!(found.confusion.positives(), 20.0);
            in_sample += found.in_sample.value.unwrap() / 100.0;
            cross_fitted += found.value.unwrap() / 100.0;
        }
        assert!(in_sample > cross_fitted + 0.012, "{in_sample} and {cross_fitted}");
        assert!(cross_fitted < 0.095 + 0.012, "{cross_fitted}");
    }
}
