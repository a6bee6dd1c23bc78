//! Calibrators: what each undoes, what each refuses.

use imbalance::Distortion;
use imbalance::calibration::{
    CalibrationMap, CalibrationSet, Calibrator, Clip, HistogramBinning, Interpolation,
    IsotonicRegression, PlattScaling, PriorCorrection, TrainingContext, Uncalibrated, VennAbers,
};
use imbalance::loss::LogLoss;
use imbalance::numerics::{logit, sigmoid};
use imbalance::{Error, Seed};
use proptest::prelude::*;

fn trained_on(distortion: Distortion) -> TrainingContext {
    TrainingContext::new(&LogLoss, distortion)
}

#[test]
fn prior_correction_is_the_bayes_form() {
    // He et al. 2014: q = p / (p + (1 − p)/w) for negatives kept at rate w.
    for w in [1.0, 0.5, 0.1, 0.025, 1e-3, 1e-6] {
        let distortion = Distortion::PriorShift { log_odds: -f64::ln(w) };
        let map = PriorCorrection::new().fit(&trained_on(distortion), None).unwrap();
        for p in [1e-12, 1e-6, 0.01, 0.3, 0.5, 0.9, 0.999] {
            let q = p / (p + (1.0 - p) / w);
            let found = map.probability(logit(p));
            // A dozen roundings of log-odds up to 28, whose last bit is 4e-15 of the odds.
            assert!((found / q - 1.0).abs() < 1e-13, "w = {w}, p = {p}: {found} for {q}");
        }
        assert_eq!(map.probability(f64::NEG_INFINITY), 0.0);
        assert_eq!(map.probability(f64::INFINITY), 1.0);
        assert!(map.probability(-700.0) > 0.0);
    }
}

#[test]
fn prior_correction_of_nothing_is_the_identity() {
    let map = PriorCorrection::new().fit(&TrainingContext::default(), None).unwrap();
    for z in [-1e4, -40.0, -1.0, 0.0, 3.0, 1e4] {
        assert_eq!(map.probability(z), Uncalibrated.probability(z));
        assert_eq!(map.probability(z), sigmoid(z));
    }
}

#[test]
fn prior_correction_refuses_what_has_no_closed_form_and_names_it() {
    let distortion =
        Distortion::FeatureDependent { sampler: "Smote".into(), nominal_log_odds: Some(2.0) };
    let error = PriorCorrection::new().fit(&trained_on(distortion), None).unwrap_err();
    assert!(matches!(&error, Error::NoClosedForm { sampler, .. } if sampler == "Smote"));
    assert!(error.to_string().starts_with("`PriorCorrection` cannot undo `Smote`"), "{error}");
}

#[test]
fn learning_from_distorted_rows_is_refused() {
    let scored = CalibrationSet::from_logits(&[0.0, 1.0, 2.0], &[false, true, true])
        .unwrap()
        .with_distortion(Distortion::PriorShift { log_odds: 1.0 });
    let error = PlattScaling::new().learn(&scored).unwrap_err();
    assert!(matches!(error, Error::DistortedCalibration { calibrator: "PlattScaling", .. }));
    assert!(error.to_string().contains("untouched rows"), "{error}");
    assert!(Uncalibrated.learn(&scored).is_ok() && !Uncalibrated.needs_rows());
}

#[test]
fn scores_are_checked_and_their_kind_is_explicit() {
    let error = CalibrationSet::from_logits(&[0.0, f64::NAN], &[true, false]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 1, .. }));
    assert!(
        CalibrationSet::from_logits(&[f64::INFINITY, f64::NEG_INFINITY], &[true, false]).is_ok()
    );
    let error = CalibrationSet::from_probabilities(&[0.5, 1.5], &[true, false]).unwrap_err();
    assert!(error.to_string().contains("1.5 at row 1"), "{error}");
    assert!(CalibrationSet::from_probabilities(&[f64::NAN], &[true]).is_err());
    assert!(matches!(
        CalibrationSet::from_logits(&[0.0], &[true, false]),
        Err(Error::LengthMismatch { found: 2, expected: 1, .. })
    ));
    let scored =
        CalibrationSet::from_probabilities(&[0.0, 0.25, 1.0], &[false, false, true]).unwrap();
    assert_eq!(scored.logits()[0], f64::NEG_INFINITY);
    assert!((scored.logits()[1] + 3_f64.ln()).abs() < 1e-15);
    assert!(matches!(
        scored.with_weights(vec![1.0, -1.0, 0.0]),
        Err(Error::NegativeWeight { row: 1, .. })
    ));
}

#[test]
fn platt_needs_both_classes_and_finite_scores() {
    let fit = |logits: &[f64], labels: &[bool]| {
        PlattScaling::new().learn(&CalibrationSet::from_logits(logits, labels).unwrap())
    };
    assert!(matches!(fit(&[0.0, 1.0], &[true, true]), Err(Error::OneClass { .. })));
    assert!(matches!(fit(&[], &[]), Err(Error::NoRows { .. })));
    assert!(matches!(
        fit(&[f64::INFINITY, 1.0], &[true, false]),
        Err(Error::CertainScores { row: 0, .. })
    ));
    // Separated scores have a finite answer, thanks to the smoothed targets.
    let map = fit(&[-1e4, -2.0, 2.0, 1e4], &[false, false, true, true]).unwrap();
    assert!(map.slope() > 0.0 && map.probability(1.0) > 0.5);
    // Equal or reversed scores: the constant map of the mean target, 2·(2+1)/(2+2) of 4.
    for logits in [[3.0; 4], [2.0, 1.0, -1.0, -2.0]] {
        let map = fit(&logits, &[false, false, true, true]).unwrap();
        for z in [f64::NEG_INFINITY, -5.0, 0.0, 7.0, f64::INFINITY] {
            // Two logarithms and their difference.
            assert!((map.probability(z) - 0.5).abs() < 1e-15);
        }
    }
}

/// Scores with labels drawn from σ(0.7 z − 4).
fn drawn(seed: u64, rows: usize) -> (Vec<f64>, Vec<bool>) {
    let uniform = |i: u64| Seed::new(seed).child(&i.to_string()).value() as f64 / 2_f64.powi(64);
    let mut logits: Vec<f64> = (0..rows as u64).map(|i| 8.0 * uniform(2 * i) - 3.0).collect();
    let mut labels: Vec<bool> = (0..rows as u64)
        .map(|i| uniform(2 * i + 1) < sigmoid(0.7 * logits[i as usize] - 4.0))
        .collect();
    logits.extend([0.0, 0.0]);
    labels.extend([true, false]);
    (logits, labels)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn platt_laws(seed in 0_u64..1000, scale in 0.1..20.0, shift in -50.0..50.0) {
        let (logits, labels) = drawn(seed, 400);
        let fit = |logits: &[f64], labels: &[bool], weights: Option<&[f64]>| {
            let mut scored = CalibrationSet::from_logits(logits, labels).unwrap();
            if let Some(weights) = weights {
                scored = scored.with_weights(weights).unwrap();
            }
            PlattScaling::new().learn(&scored).unwrap()
        };
        let map = fit(&logits, &labels, None);

        // Σp = Σ targets, to 1e-9, and the map does not fall.
        let positives = labels.iter().filter(|&&y| y).count() as f64;
        let negatives = labels.len() as f64 - positives;
        let targets = positives * (positives + 1.0) / (positives + 2.0) + negatives / (negatives + 2.0);
        let predicted: f64 = logits.iter().map(|&z| map.probability(z)).sum();
        prop_assert!((predicted / targets - 1.0).abs() < 1e-9);
        prop_assert!(map.slope() >= 0.0);

        // A shift and scale of the scores is absorbed. A score of 100 rounds to 1e-14, which is as much of
        // the original at a scale of 0.1; what is left of 1e-8 is the solver's.
        let moved: Vec<f64> = logits.iter().map(|z| scale * z + shift).collect();
        let other = fit(&moved, &labels, None);
        for (&z, &m) in logits.iter().zip(&moved) {
            let (a, b) = (map.probability(z), other.probability(m));
            prop_assert!((a - b).abs() < 1e-8 * a, "{a} {b}");
        }

        // Row order is nothing; equal weights that leave the totals alone are nothing.
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by_key(|&i| Seed::new(seed).child(&i.to_string()).value());
        let logits2: Vec<f64> = order.iter().map(|&i| logits[i]).collect();
        let labels2: Vec<bool> = order.iter().map(|&i| labels[i]).collect();
        let permuted = fit(&logits2, &labels2, None);
        let ones = vec![1.0; labels.len()];
        let weighted = fit(&logits, &labels, Some(&ones));
        for other in [permuted, weighted] {
            // The same sums in another order.
            prop_assert!((other.slope() - map.slope()).abs() < 1e-9);
            prop_assert!((other.intercept() - map.intercept()).abs() < 1e-9);
        }
    }
}

#[test]
fn maps_of_shares_promise_neither_0_nor_1() {
    let z: Vec<f64> = (0..1000).map(|row| f64::from(row) / 100.0).collect();
    let y: Vec<bool> = (0..1000).map(|row| row == 600 || row >= 990).collect();
    let histogram = |bins| HistogramBinning::quantiles(bins).unwrap();
    let later = [f64::NEG_INFINITY, -1e3, 0.0, 3.0, 6.0, 9.95, 1e3, f64::INFINITY];
    for calibrator in [
        IsotonicRegression::new().boxed(),
        IsotonicRegression::new().interpolation(Interpolation::Steps).boxed(),
        histogram(100).boxed(),
        HistogramBinning::equal_width(1000).unwrap().boxed(),
        VennAbers.boxed(),
    ] {
        let map = calibrator.learn(&CalibrationSet::from_logits(&z, &y).unwrap()).unwrap();
        for z in later {
            let p = map.probability(z);
            assert!(p > 0.0 && p < 1.0, "{calibrator:?}: {p} at {z}");
        }
    }
    // 11 positives and 989 negatives: s = 1/(1 + 11 · 989/1000), and s · 0.011 below the first positive.
    let map = IsotonicRegression::new().learn(&CalibrationSet::from_logits(&z, &y).unwrap());
    let p = map.unwrap().probability(0.0);
    assert!((p * (1000.0 / 11.0 + 989.0) - 1.0).abs() < 1e-12, "{p}");
}

#[test]
fn clipped_scores_are_counted_and_mapped_by_their_bound() {
    let p = [0.0, 0.0, 1e-9, 0.2, 0.6, 0.7, 1.0];
    let y = [false, true, false, false, true, false, true];
    let set = CalibrationSet::from_probabilities(&p, &y).unwrap();
    let clip = Clip::new(1e-6).unwrap();
    let clipped = clip.then(PlattScaling::new()).learn(&set).unwrap();
    let report = clipped.report().unwrap();
    assert_eq!(report.clipped, 4);
    assert!(report.to_string().contains("4 scores clipped"), "{report}");
    // As the clipped scores themselves.
    let moved = p.map(|p: f64| p.clamp(1e-6, 1.0 - 1e-6));
    let moved = CalibrationSet::from_probabilities(&moved, &y).unwrap();
    let platt = PlattScaling::new().learn(&moved).unwrap();
    for p in [0.0_f64, 1e-300, 1e-6, 0.3, 1.0] {
        let (found, expected) =
            (clipped.probability_of(p), platt.probability_of(p.clamp(1e-6, 1.0 - 1e-6)));
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }
    // Rows of weight 0 are not counted.
    let set = set.with_weights(&[1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]).unwrap();
    assert_eq!(clip.then(PlattScaling::new()).learn(&set).unwrap().report().unwrap().clipped, 3);
    for bound in [0.0, 0.5, -1.0, f64::NAN] {
        assert!(matches!(Clip::new(bound), Err(Error::InvalidArgument { argument: "bound", .. })));
    }
}
