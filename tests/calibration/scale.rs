//! Scores in any unit: the same probabilities, or a typed error, and never a NaN.

use imbalance::Error;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, CalibrationSet, Calibrator, IsotonicRegression, QuadraticLogit,
    SplineCalibration, TemperatureScaling,
};
use imbalance::metrics::calibration_line;

fn powers() -> impl Iterator<Item = f64> {
    let all = (-320..=300).step_by(20).chain([-323, -310, -308, -305, -292, -290, -162, -155]);
    all.chain([-8, -6, -4, -2, 0, 2, 155, 162, 305]).map(|k| 10_f64.powi(k)).filter(|&c| c > 0.0)
}

/// 200 scores between −7 and 5, whose positives have the higher ones on average.
fn rows() -> (Vec<f64>, Vec<bool>) {
    let z: Vec<f64> = (0..200).map(|i| f64::from(i) * 0.06 - 7.0).collect();
    let labels = (0..200).map(|i| (7919 * i) % 200 < i).collect();
    (z, labels)
}

#[test]
fn scores_that_nearly_coincide_end_at_once() {
    // No end within 100 s at 1e-8. A line of log-odds has a maximum, −99.22327510 by an independent program.
    let (_, labels) = rows();
    for step in [1e-8, 1e-7, 1e-6] {
        let z: Vec<f64> = (0..200).map(|i| f64::from(i - 100) * step - 7.0).collect();
        let set = CalibrationSet::from_logits(z.clone(), &labels).unwrap();
        let error = BetaCdf.learn(&set).unwrap_err();
        assert!(matches!(error, Error::Numerical { .. }), "{error}");
        assert!(error.to_string().contains("standard deviation of the scores"), "{error}");
        let line = BetaCalibration::am().learn(&set).unwrap();
        let log_likelihood: f64 = z
            .iter()
            .zip(&labels)
            .map(|(&z, &y)| {
                let p = line.probability(z);
                if y { p.ln() } else { (1.0 - p).ln() }
            })
            .sum();
        // The scores have 16 digits, of which the step leaves 7 or more.
        assert!((log_likelihood + 99.223_275_1).abs() < 1e-5, "{step:e}: {log_likelihood}");
    }
}

#[test]
fn a_map_that_says_nothing_says_so() {
    // 2 % positives, and scores that expect half: T → ∞.
    let z: Vec<f64> = (0..500).map(|i| 1.0 + f64::from(i % 7)).collect();
    let labels: Vec<bool> = (0..500).map(|i| i % 50 == 0).collect();
    let set = CalibrationSet::from_logits(z, &labels).unwrap();
    for calibrator in [TemperatureScaling::new().boxed(), BetaCalibration::ab().boxed()] {
        let map = calibrator.learn(&set).unwrap();
        assert_eq!(map.probability(3.0), 0.5);
        assert!(map.describe().contains("every probability is 0.5"), "{}", map.describe());
    }
}

#[test]
fn a_calibration_line_of_weights_and_probabilities_of_any_size() {
    let (z, labels) = rows();
    let p: Vec<f64> = z.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
    let expected = calibration_line(&labels, &p, Some(&[1.0; 200])).unwrap();
    for c in powers().filter(|&c| (1e-290..1e290).contains(&c)) {
        let line = calibration_line(&labels, &p, Some(&[c; 200])).unwrap();
        assert!((line.slope - expected.slope).abs() < 1e-9, "{c:e}");
        assert!((line.intercept - expected.intercept).abs() < 1e-9, "{c:e}");
    }
    for c in powers().filter(|&c| c < 1e-2) {
        // Probabilities near one half, and near zero.
        for p in [
            p.iter().map(|p| 0.5 + c * (p - 0.5)).collect::<Vec<_>>(),
            p.iter().map(|p| c * p).collect(),
        ] {
            match calibration_line(&labels, &p, None) {
                Ok(line) => assert!(line.slope.is_finite() && line.intercept.is_finite(), "{c:e}"),
                Err(error) => assert!(
                    matches!(
                        error,
                        Error::Numerical { .. }
                            | Error::SeparatedScores { .. }
                            | Error::InvalidArgument { .. }
                    ),
                    "{c:e}: {error}"
                ),
            }
        }
    }
}

#[test]
fn a_spline_of_weights_and_scores_far_apart_has_finite_degrees_of_freedom() {
    let scores: Vec<f64> = (0..40)
        .map(|i| if i == 3 { 1e308 } else { f64::from((i * 7919 + 13) % 1009) / 504.0 - 1.0 })
        .collect();
    let labels: Vec<bool> = (0..40).map(|i| i % 5 == 0).collect();
    for weight in [1.0, 1e-300, 1e300] {
        let set = CalibrationSet::from_logits(&scores, &labels).unwrap();
        let set = set.with_weights(vec![weight; 40]).unwrap();
        match SplineCalibration::new().learn(&set) {
            Ok(fitted) => assert!(fitted.map().effective_df().is_finite(), "{weight:e}"),
            Err(error) => assert!(matches!(error, Error::Numerical { .. }), "{error}"),
        }
    }
}

/// Found by fuzzing: tiny weights let the difference of a share and the rate cancel.
#[test]
fn shrunk_shares_rise_with_the_score_whatever_the_weights() {
    let scores = [0.0, 1.0, 2.0, 3.0];
    let labels = [false, true, false, true];
    for weights in [[1e-3, 1e-307, 1e-3, 1e-250], [1e-300; 4], [5e-324, 1.0, 1e-200, 1e-320]] {
        let set = CalibrationSet::from_logits(&scores, &labels).unwrap();
        let set = set.with_weights(weights.to_vec()).unwrap();
        let p = IsotonicRegression::new().learn(&set).unwrap().probabilities(&scores).unwrap();
        assert!(p.is_sorted() && p.iter().all(|&p| p > 0.0 && p <= 1.0), "{weights:?}: {p:?}");
    }
}

/// Found by fuzzing: the length of the range overflowed, and b was 0 · ∞.
#[test]
fn a_parabola_over_all_of_f64_is_an_error() {
    let scores = [f64::MIN, 0.0, f64::MAX, 1.0];
    let set = CalibrationSet::from_logits(&scores, &[true, false, false, true]).unwrap();
    for monotone in [false, true] {
        match QuadraticLogit::new().monotone(monotone).learn(&set) {
            Ok(fitted) => {
                let map = fitted.map();
                assert!([map.a(), map.b(), map.c()].iter().all(|x| !x.is_nan()), "{map:?}");
                let text = fitted.report().unwrap().to_string();
                assert!(text.lines().all(|line| line.len() < 200), "{text}");
            }
            Err(error) => assert!(
                matches!(error, Error::Numerical { .. } | Error::SeparatedScores { .. }),
                "{error}"
            ),
        }
    }
}
