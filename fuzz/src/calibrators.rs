//! Isotonic regression and the small fits.

use bolero::check;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, CalibrationMap, CalibrationSet, Calibrator, Clip,
    IsotonicRegression, PlattScaling, QuadraticLogit, SplineCalibration, TemperatureScaling,
};

use crate::cursor::Cursor;

const MET: &[f64] = &[
    f64::NEG_INFINITY,
    f64::MIN,
    -1e4,
    -3.0,
    -1e-310,
    0.0,
    5e-324,
    0.25,
    1.0,
    7.0,
    1e160,
    f64::MAX,
    f64::INFINITY,
];

/// Fits the calibrators to scores, labels and weights, and asks each for probabilities, of rising scores.
fn drive(input: &[u8], calibrators: Vec<BoxCalibrator>, monotone: bool) {
    let mut cursor = Cursor(input);
    let weighted = cursor.byte() % 2 == 1;
    let (mut scores, mut labels, mut weights) = (vec![], vec![], vec![]);
    while !cursor.is_empty() && scores.len() < 64 {
        labels.push(cursor.byte() % 3 == 0);
        scores.push(cursor.number());
        weights.push(if weighted { cursor.number().abs() } else { 1.0 });
    }
    let Ok(set) = CalibrationSet::from_logits(&scores, &labels) else { return };
    let Ok(set) = (if weighted { set.with_weights(&weights) } else { Ok(set) }) else { return };
    for calibrator in calibrators {
        let Ok(calibration) = calibrator.learn(&set) else { continue };
        let report = calibration.report().map(ToString::to_string).unwrap_or_default();
        assert!(!report.contains("NaN"), "{report}");
        assert!(calibration.map().logit(0.5) <= f64::INFINITY, "{calibrator:?}");
        let p = calibration.probabilities(MET).expect("no score is NaN");
        assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{calibrator:?}: {p:?}");
        if monotone {
            // Equal to the rounding of an incomplete beta function.
            let rises = |pair: &[f64]| pair[1] >= pair[0] - 1e-12;
            assert!(p.windows(2).all(rises), "{calibrator:?}: {p:?}");
        }
    }
}

#[test]
fn isotonic() {
    check!().for_each(|input| {
        let isotonic = IsotonicRegression::new;
        let bounded = isotonic().bounds(1e-6, 0.9).unwrap();
        drive(input, vec![isotonic().boxed(), bounded.boxed()], true);
    });
}

#[test]
fn platt() {
    check!().for_each(|input| {
        let platt = PlattScaling::new;
        let clipped = Clip::new(1e-6).unwrap().then(platt());
        let plain = platt().plain_targets(true).boxed();
        let on_probabilities = platt().on_probabilities(true).boxed();
        drive(input, vec![platt().boxed(), plain, on_probabilities, clipped.boxed()], true);
    });
}

#[test]
fn temperature() {
    check!().for_each(|input| {
        let temperature = TemperatureScaling::new;
        let corrected = temperature().bias_corrected(true);
        drive(input, vec![temperature().boxed(), corrected.boxed()], true);
    });
}

#[test]
fn beta() {
    check!().for_each(|input| {
        let forms = [BetaCalibration::abm(), BetaCalibration::am(), BetaCalibration::ab()];
        drive(input, forms.map(Calibrator::boxed).into(), true);
    });
}

#[test]
fn beta_cdf() {
    check!().for_each(|input| drive(input, vec![BetaCdf.boxed()], true));
}

#[test]
fn quadratic() {
    check!().for_each(|input| {
        drive(input, vec![QuadraticLogit::new().boxed()], false);
        drive(input, vec![QuadraticLogit::new().monotone(true).boxed()], false);
    });
}

#[test]
fn spline() {
    check!().for_each(|input| {
        let few = SplineCalibration::new().knots(4).unwrap().monotone(true);
        drive(input, vec![SplineCalibration::new().boxed(), few.boxed()], false);
    });
}
