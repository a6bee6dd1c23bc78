//! Calibrators against exact optima; see `fixtures/generate_calibration.py`.

use imbalance::calibration::{
    BetaCalibration, Calibrate, Calibrator, IsotonicRegression, PlattScaling, Scored,
    TemperatureScaling,
};
use imbalance::ndarray::Array2;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[track_caller]
fn assert_all(name: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (&found, &expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        assert!(error <= 1e-8 * expected.abs().max(1e-3), "{name}: {found} for {expected}");
        // A bound that holds is reached exactly.
        assert_eq!(found == 0.0, expected == 0.0, "{name}: {found} for {expected}");
    }
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/calibration.json")).unwrap()
}

#[test]
fn two_classes() {
    for case in fixture()["binary"].as_array().unwrap() {
        let case_name = case["name"].as_str().unwrap();
        let labels: Vec<bool> =
            case["labels"].as_array().unwrap().iter().map(|y| y.as_bool().unwrap()).collect();
        let scored = Scored::from_logits(numbers(&case["logits"]), labels)
            .unwrap()
            .with_weights(numbers(&case["weights"]))
            .unwrap();

        for (key, platt) in [
            ("platt", PlattScaling::new()),
            ("platt_plain", PlattScaling::new().plain_targets()),
            ("platt_on_probabilities", PlattScaling::new().on_probabilities()),
        ] {
            let map = platt.fit(&scored).unwrap();
            let name = format!("{case_name}, {key}");
            assert_all(&name, &[map.slope(), map.intercept()], &numbers(&case[key]));
            assert_eq!(map.report().unwrap().bounds.len(), usize::from(map.slope() == 0.0));
        }

        let name = |form: &str| format!("{case_name}, beta {form}");
        let beta = |form: BetaCalibration| form.fit(&scored).unwrap();
        let map = beta(BetaCalibration::abm());
        assert_all(&name("abm"), &[map.a(), map.b(), map.c()], &numbers(&case["abm"]));
        let bounds = usize::from(map.a() == 0.0) + usize::from(map.b() == 0.0);
        assert_eq!(map.report().unwrap().bounds.len(), bounds);
        let map = beta(BetaCalibration::am());
        assert_all(&name("am"), &[map.a(), map.c()], &numbers(&case["am"]));
        let map = beta(BetaCalibration::ab());
        assert_all(&name("ab"), &[map.a(), map.b()], &numbers(&case["ab"]));

        let map = TemperatureScaling::new().fit(&scored).unwrap();
        let name = format!("{case_name}, temperature");
        assert_all(&name, &[1.0 / map.temperature()], &numbers(&case["temperature"]));

        let map = IsotonicRegression::new().fit(&scored).unwrap();
        for (z, expected) in numbers(&case["queries"]).iter().zip(numbers(&case["isotonic"])) {
            let found = map.probability(*z);
            assert!((found - expected).abs() < 1e-12, "{case_name}: {found} for {expected} at {z}");
        }
    }
}

#[test]
fn many_classes() {
    for case in fixture()["classes"].as_array().unwrap() {
        let rows: Vec<Vec<f64>> = case["logits"].as_array().unwrap().iter().map(numbers).collect();
        let shape = (rows.len(), rows[0].len());
        let logits = Array2::from_shape_vec(shape, rows.concat()).unwrap();
        let classes: Vec<usize> = numbers(&case["classes"]).iter().map(|&k| k as usize).collect();
        let weights = numbers(&case["weights"]);
        let fit = |temperature: TemperatureScaling| {
            temperature.fit_classes(&logits.view(), &classes, Some(&weights)).unwrap()
        };
        let name = format!("{} classes", shape.1);

        let map = fit(TemperatureScaling::new());
        assert_all(&name, &[1.0 / map.temperature()], &numbers(&case["temperature"]));

        let map = fit(TemperatureScaling::new().bias_corrected());
        let mut found = vec![1.0 / map.temperature()];
        found.extend(&map.offsets()[1..]);
        assert_all(&format!("{name}, bias corrected"), &found, &numbers(&case["bias_corrected"]));
        // Offsets restore the weight of every class.
        let p = map.probabilities(&logits.view()).unwrap();
        for (class, column) in p.columns().into_iter().enumerate() {
            let predicted: f64 = column.iter().zip(&weights).map(|(p, w)| p * w).sum();
            let members = classes.iter().zip(&weights).filter(|(k, _)| **k == class);
            let observed: f64 = members.map(|(_, w)| w).sum();
            assert!((predicted / observed - 1.0).abs() < 1e-9, "{predicted} {observed}");
        }
    }
}

#[test]
fn isotonic_knows_infinite_scores_bounds_and_steps() {
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    let z = [low, low, 1.0, 2.0, high, high];
    let y = [false, true, true, true, true, true];
    let scored = Scored::from_logits(&z, &y).unwrap();
    let map = IsotonicRegression::new().fit(&scored).unwrap();
    assert_eq!([low, -1e300, 1.0, high].map(|z| map.probability(z)), [0.5, 1.0, 1.0, 1.0]);
    let map = IsotonicRegression::new().bounds(0.1, 0.8).unwrap().fit(&scored).unwrap();
    assert_eq!([low, 1.0, high].map(|z| map.probability(z)), [0.5, 0.8, 0.8]);
    assert_eq!(map.report().unwrap().bounds, ["upper = 0.8"]);
    assert!(IsotonicRegression::new().bounds(0.6, 0.5).is_err());

    let scored = Scored::from_logits(&[1.0, 3.0], &[false, true]).unwrap();
    let map = IsotonicRegression::new().steps().fit(&scored).unwrap();
    assert_eq!([0.0, 1.9, 2.0, 9.0].map(|z| map.probability(z)), [0.0, 0.0, 1.0, 1.0]);
}
