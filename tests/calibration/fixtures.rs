//! Calibrators against exact optima; see `fixtures/generate_calibration.py`.

use approx::relative_eq;
use imbalance::calibration::multiclass::ClassSet;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, CalibrationReport, CalibrationSet, Calibrator, Interpolation,
    IsotonicRegression, PlattScaling, QuadraticLogit, SplineCalibration, TemperatureScaling,
    VennAbers,
};
use imbalance::ndarray::Array2;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn booleans(value: &Value) -> Vec<bool> {
    value.as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect()
}

/// The agreement that is promised. The optimum itself is known to far less than that: a Newton step of
/// 1e-10 of the parameters changes the likelihood by less than its rounding.
const OPTIMUM: f64 = 1e-8;
/// Means of at most some hundred numbers, rounded once each.
const MEAN: f64 = 1e-13;

#[track_caller]
fn assert_all(name: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (&found, &expected) in found.iter().zip(expected) {
        let error = (found - expected).abs();
        // Parameters near 0 are compared with the size that parameters have, about 1.
        assert!(error <= OPTIMUM * expected.abs().max(1e-3), "{name}: {found} for {expected}");
        // A bound that holds is reached exactly.
        assert_eq!(found == 0.0, expected == 0.0, "{name}: {found} for {expected}");
    }
}

/// Parameters, standard errors and bounds of a report against a solution.
#[track_caller]
fn assert_solved(name: &str, report: &CalibrationReport, expected: &Value, bounded: usize) {
    assert_parameters(name, &report.parameters, expected);
    let theta = numbers(&expected["theta"]);
    let held = theta[..bounded].iter().filter(|&&theta| theta == 0.0).count();
    assert_eq!(report.bounds.len(), held, "{name}: {:?}", report.bounds);
    // Newton's method on a hundred rows; none where the start is the solution.
    assert!(report.iterations <= 30, "{name}: {}", report.iterations);
    assert!(report.iterations > 0 || held == bounded, "{name}");
}

#[track_caller]
fn assert_parameters(
    name: &str,
    parameters: &[imbalance::calibration::Parameter],
    expected: &Value,
) {
    let found: Vec<f64> = parameters.iter().map(|parameter| parameter.value).collect();
    assert_all(name, &found, &numbers(&expected["theta"]));
    let errors = expected["errors"].as_array().unwrap();
    for (parameter, expected) in parameters.iter().zip(errors) {
        match (parameter.standard_error, expected.as_f64()) {
            (None, None) => {}
            (Some(found), Some(expected)) => {
                assert!(relative_eq!(found, expected, max_relative = OPTIMUM), "{name}: {found}");
            }
            other => panic!("{name}, {}: {other:?}", parameter.name),
        }
    }
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/calibration.json")).unwrap()
}

fn set(case: &Value) -> CalibrationSet<'static> {
    CalibrationSet::from_logits(numbers(&case["logits"]), booleans(&case["labels"]))
        .unwrap()
        .with_weights(numbers(&case["weights"]))
        .unwrap()
}

#[test]
fn two_classes() {
    for case in fixture()["binary"].as_array().unwrap() {
        let case_name = case["name"].as_str().unwrap();
        let scored = set(case);
        let name = |method: &str| format!("{case_name}, {method}");

        for (key, platt) in [
            ("platt", PlattScaling::new()),
            ("platt_plain", PlattScaling::new().plain_targets(true)),
            ("platt_on_probabilities", PlattScaling::new().on_probabilities(true)),
        ] {
            let map = platt.learn(&scored).unwrap();
            let report = map.report().unwrap();
            assert_solved(&name(key), report, &case[key], 1);
            assert_eq!(report.parameter("a"), Some(map.slope()));
            assert_eq!(report.parameter("b"), Some(map.intercept()));
            let before = &case["before"];
            let [ratio, loss] =
                ["predicted_over_observed", "log_loss"].map(|key| before[key].as_f64().unwrap());
            assert!(relative_eq!(
                report.before.predicted_over_observed,
                ratio,
                max_relative = MEAN
            ));
            assert!(relative_eq!(report.before.log_loss, loss, max_relative = MEAN));
        }

        let beta = |form: BetaCalibration| form.learn(&scored).unwrap();
        let map = beta(BetaCalibration::abm());
        assert_solved(&name("abm"), map.report().unwrap(), &case["abm"], 2);
        assert_all(&name("abm"), &[map.a(), map.b(), map.c()], &numbers(&case["abm"]["theta"]));
        // Two parameters on the logit: Platt's line with plain targets, under three names.
        let map = beta(BetaCalibration::am());
        assert_solved(&name("am"), map.report().unwrap(), &case["platt_plain"], 1);
        assert_eq!(map.a(), map.b());
        let map = TemperatureScaling::new().bias_corrected(true).learn(&scored).unwrap();
        assert_solved(&name("bias corrected"), map.report().unwrap(), &case["platt_plain"], 1);
        assert_eq!(map.report().unwrap().parameter("b"), Some(map.offset()));
        let map = beta(BetaCalibration::ab());
        assert_solved(&name("ab"), map.report().unwrap(), &case["ab"], 2);
        let ab = numbers(&case["ab"]["theta"]);
        assert_all(&name("ab's c"), &[map.c()], &[(ab[0] - ab[1]) * std::f64::consts::LN_2]);

        let map = TemperatureScaling::new().learn(&scored).unwrap();
        assert_solved(&name("temperature"), map.report().unwrap(), &case["temperature"], 1);
        let inverse = map.report().unwrap().parameter("1/T").unwrap();
        assert!(relative_eq!(inverse, 1.0 / map.temperature(), max_relative = MEAN), "{case_name}");

        let map = BetaCdf.learn(&scored).unwrap();
        let report = map.report().unwrap();
        assert_parameters(&name("beta CDF"), &report.parameters, &case["cdf"]);
        assert_eq!([map.alpha(), map.beta()], [0, 1].map(|i| report.parameters[i].value));
        let constant = map.alpha() == 0.0;
        assert_eq!(report.bounds.len(), if constant { 2 } else { 0 });
        // Scoring gains about a digit in each iteration.
        assert!(report.iterations <= 60 && (report.iterations > 0) != constant);
    }
}

/// Isotonic regression as in other programs, without the shrinkage that keeps p away from 0 and 1.
fn plain_isotonic() -> IsotonicRegression {
    IsotonicRegression::new().bounds(0.0, 1.0).unwrap()
}

#[test]
fn isotonic_and_venn_abers() {
    for case in fixture()["binary"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let scored = set(case);
        let queries = numbers(&case["queries"]);
        for (key, isotonic) in [
            ("isotonic", plain_isotonic()),
            (
                "isotonic_in_probability",
                plain_isotonic().interpolation(Interpolation::LinearInProbability),
            ),
        ] {
            let map = isotonic.learn(&scored).unwrap();
            for (&z, expected) in queries.iter().zip(numbers(&case[key])) {
                let found = map.probability(z);
                assert!((found - expected).abs() < MEAN, "{name}, {key}: {found} for {expected}");
            }
        }
        let map = VennAbers.learn(&scored).unwrap();
        let expected = case["venn_abers"].as_array().unwrap();
        for (&z, expected) in queries[20..70].iter().zip(expected) {
            let (p0, p1) = map.interval(z);
            for (found, expected) in [p0, p1].into_iter().zip(numbers(expected)) {
                assert!((found - expected).abs() < MEAN, "{name}: {found} for {expected} at {z}");
            }
        }
    }
    let case = &fixture()["neighbours"];
    let map = plain_isotonic().learn(&set(case)).unwrap();
    for (z, expected) in numbers(&case["logits"]).into_iter().zip(numbers(&case["isotonic"])) {
        let found = map.probability(z);
        assert!((found - expected).abs() < MEAN, "{found} for {expected} at {z}");
    }
}

#[test]
fn many_classes() {
    let fixture = fixture();
    let cases = fixture["classes"].as_array().unwrap();
    assert!(cases.iter().any(|case| numbers(&case["temperature"]["theta"]) == [0.0]));
    for case in cases {
        let rows: Vec<Vec<f64>> = case["logits"].as_array().unwrap().iter().map(numbers).collect();
        let shape = (rows.len(), rows[0].len());
        let logits = Array2::from_shape_vec(shape, rows.concat()).unwrap();
        let classes: Vec<usize> = numbers(&case["classes"]).iter().map(|&k| k as usize).collect();
        let weights = numbers(&case["weights"]);
        let scored =
            ClassSet::new(logits.view(), &classes).unwrap().with_weights(&weights).unwrap();
        let total: f64 = weights.iter().sum();
        for (key, temperature) in [
            ("temperature", TemperatureScaling::new()),
            ("bias_corrected", TemperatureScaling::new().bias_corrected(true)),
        ] {
            let name = format!("{} classes, {key}", shape.1);
            let map = temperature.fit_classes(&scored).unwrap();
            let (report, expected) = (map.report(), &case[key]);
            assert_parameters(&name, &report.parameters, expected);
            let inverse = 1.0 / map.temperature();
            assert!(
                relative_eq!(report.parameters[0].value, inverse, max_relative = MEAN),
                "{name}"
            );
            let held = report.parameters[0].value == 0.0;
            assert_eq!(report.bounds, if held { vec!["1/T = 0"] } else { vec![] }, "{name}");
            assert_eq!(report.rows, shape.0);
            let losses = [report.before.log_loss, report.after.log_loss];
            assert_all(&name, &losses, &numbers(&expected["log_loss"]));
            assert!(losses[1] <= losses[0]);

            let p = map.probabilities(&logits.view()).unwrap();
            for (class, column) in p.columns().into_iter().enumerate() {
                let predicted =
                    column.iter().zip(&weights).map(|(p, w)| p * w).sum::<f64>() / total;
                let members = classes.iter().zip(&weights).filter(|(k, _)| **k == class);
                let observed = members.map(|(_, w)| w).sum::<f64>() / total;
                let reported = (report.after.predicted[class], report.observed[class]);
                assert!(relative_eq!(reported.0, predicted, max_relative = MEAN), "{name}");
                assert!(relative_eq!(reported.1, observed, max_relative = MEAN), "{name}");
                // Offsets restore the weight of every class.
                if temperature == TemperatureScaling::new().bias_corrected(true) {
                    assert!(relative_eq!(predicted, observed, max_relative = 1e-9), "{name}");
                }
            }
            // A transposed view is the same matrix in another order of memory.
            let columns = Array2::from_shape_fn((shape.1, shape.0), |(k, i)| logits[[i, k]]);
            assert_eq!(map.probabilities(&columns.t()).unwrap(), p, "{name}");
        }
    }
}

#[test]
fn isotonic_knows_infinite_scores_bounds_and_steps() {
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    let z = [low, low, 1.0, 2.0, high, high];
    let y = [false, true, true, true, true, true];
    let scored = CalibrationSet::from_logits(&z, &y).unwrap();
    let map = plain_isotonic().learn(&scored).unwrap();
    assert_eq!([low, -1e300, 1.0, high].map(|z| map.probability(z)), [0.5, 1.0, 1.0, 1.0]);
    // On the scale of the probability there is a line from p = 0: ½ + σ(0)/σ(1) · ½.
    let map =
        plain_isotonic().interpolation(Interpolation::LinearInProbability).learn(&scored).unwrap();
    let middle = 0.5 + 0.25 * (1.0 + (-1_f64).exp());
    assert!((map.probability(0.0) - middle).abs() < 1e-15);
    let map = IsotonicRegression::new().bounds(0.1, 0.8).unwrap().learn(&scored).unwrap();
    assert_eq!([low, 1.0, high].map(|z| map.probability(z)), [0.5, 0.8, 0.8]);
    assert_eq!(map.report().unwrap().bounds, ["upper = 0.8"]);
    assert!(IsotonicRegression::new().bounds(0.6, 0.5).is_err());

    let scored = CalibrationSet::from_logits(&[1.0, 3.0], &[false, true]).unwrap();
    let map = plain_isotonic().interpolation(Interpolation::Steps).learn(&scored).unwrap();
    assert_eq!([0.0, 1.9, 2.0, 9.0].map(|z| map.probability(z)), [0.0, 0.0, 1.0, 1.0]);
}

fn splines() -> Value {
    serde_json::from_str(include_str!("../fixtures/splines.json")).unwrap()
}

/// In another basis, by another solver; see `fixtures/generate_splines.py`.
#[test]
fn quadratic_logits() {
    for case in splines().as_array().unwrap() {
        for (key, monotone) in [("quadratic", false), ("quadratic_monotone", true)] {
            let name = format!("{}, {key}", case["name"]);
            let map = QuadraticLogit::new().monotone(monotone).learn(&set(case)).unwrap();
            let expected = &case[key];
            assert_all(&name, &[map.a(), map.b(), map.c()], &numbers(&expected["abc"]));
            let report = map.report().unwrap();
            for (parameter, error) in report.parameters.iter().zip(numbers(&expected["errors"])) {
                let found = parameter.standard_error.unwrap();
                assert!(relative_eq!(found, error, max_relative = OPTIMUM), "{name}: {found}");
            }
            assert_eq!(report.bounds.len() as u64, expected["bounds"].as_u64().unwrap(), "{name}");
            // The slope is b + 2 a z, at the ends too.
            let (low, high) = map.range();
            let falls = |z: f64| map.b() + 2.0 * map.a() * z < -1e-9;
            assert_eq!(!report.falls.is_empty(), falls(low) || falls(high), "{name}");
            for &(first, last) in &report.falls {
                let [first, last] = [first.max(low - 1.0), last.min(high + 1.0)];
                assert!(map.logit(last) < map.logit(first), "{name}");
            }
        }
    }
}

#[test]
fn splines_in_another_basis() {
    for case in splines().as_array().unwrap() {
        for (key, monotone) in [("splines", false), ("splines_monotone", true)] {
            for expected in case[key].as_array().unwrap() {
                let knots = expected["knots"].as_u64().unwrap() as usize;
                let name = format!("{}, {key}, {knots}", case["name"]);
                let mut calibrator =
                    SplineCalibration::new().knots(knots).unwrap().monotone(monotone);
                if let Some(lambda) = expected["given"].as_f64() {
                    calibrator = calibrator.lambda(lambda).unwrap();
                }
                let map = calibrator.learn(&set(case)).unwrap();
                let lambda = expected["lambda"].as_f64().unwrap();
                assert!(relative_eq!(map.lambda(), lambda, max_relative = 1e-12), "{name}");
                let df = expected["df"].as_f64().unwrap();
                assert!(relative_eq!(map.effective_df(), df, max_relative = OPTIMUM), "{name}");
                let bounds = expected["bounds"].as_u64().unwrap();
                assert_eq!(map.report().unwrap().bounds.len() as u64, bounds, "{name}");
                let at = numbers(&expected["at"]);
                let found: Vec<f64> = at.iter().map(|&z| map.logit(z)).collect();
                assert_all(&name, &found, &numbers(&expected["log_odds"]));
                // Where it falls is where it falls.
                let mut z = -12.0;
                while z < 12.0 {
                    let next = z + 0.01;
                    let within = |part: &&(f64, f64)| part.0 <= z && next <= part.1;
                    let beyond = |part: &(f64, f64)| next <= part.0 || part.1 <= z;
                    let falls = &map.report().unwrap().falls;
                    if falls.iter().find(within).is_some() {
                        assert!(map.logit(next) < map.logit(z), "{name} at {z}");
                    } else if falls.iter().all(beyond) {
                        assert!(map.logit(next) >= map.logit(z) - 1e-13, "{name} at {z}");
                    }
                    z = next;
                }
            }
        }
    }
}
