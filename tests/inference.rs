//! Standard errors and the corrections for rare events against independent implementations; see
//! `tests/fixtures/README.md`.

use imbalance::loss::{FocalLoss, LogLoss, WeightedLogLoss};
use imbalance::model::logistic::Covariance;
use imbalance::model::{
    FittedLogisticRegression, FittedRareEvents, LogisticRegression, Model, Predict, RareEvents,
};
use imbalance::ndarray::Array2;
use imbalance::sprs::CsMat;
use imbalance::{Dataset, Error, Features, Pipeline, Run};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn file(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn fixtures() -> Value {
    file(include_str!("fixtures/inference.json"))
}

struct Rows {
    x: Array2<f64>,
    labels: Vec<bool>,
    weights: Option<Vec<f64>>,
    offsets: Option<Vec<f64>>,
    intercept: bool,
}

impl Rows {
    fn read(case: &Value) -> Self {
        let rows: Vec<Vec<f64>> = case["x"].as_array().unwrap().iter().map(numbers).collect();
        let labels = case["labels"].as_array().unwrap().iter().map(|y| y.as_bool().unwrap());
        Self {
            x: Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j]),
            labels: labels.collect(),
            weights: case.get("weights").map(numbers),
            offsets: case.get("offsets").map(numbers),
            intercept: case.get("fit_intercept").is_none_or(|b| b.as_bool().unwrap()),
        }
    }

    /// The rows of a case of `logistic.json`, or the computed ones.
    fn named(name: &str) -> Self {
        if name == "rare_20_of_20000" {
            return Self::rare();
        }
        let name = if name == "weighted_mle" { "weighted" } else { name };
        let cases = file(include_str!("fixtures/logistic.json"));
        Self::read(cases.as_array().unwrap().iter().find(|case| case["name"] == name).unwrap())
    }

    /// 20 positives among 20,000 rows, as `rare_rows` in the generator.
    fn rare() -> Self {
        let n = 20_000_usize;
        let parts = [(7919, 1009), (104_729, 2003), (1_299_709, 997)];
        let share = |i: usize, (a, m): (usize, usize)| ((i * a) % m) as f64 / m as f64;
        let x = Array2::from_shape_fn((n, 3), |(i, j)| share(i, parts[j]));
        let key = |i: usize| -(x[(i, 0)] + 0.7 * share(i, (15_485_863, 4001)));
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        let mut labels = vec![false; n];
        order[..4000].iter().step_by(200).for_each(|&i| labels[i] = true);
        Self { x, labels, weights: None, offsets: None, intercept: true }
    }

    fn data<'a>(&'a self, x: impl Into<Features<'a, f64>>) -> Dataset<'a, f64> {
        let mut data = Dataset::new(x, &self.labels).unwrap();
        if let Some(weights) = &self.weights {
            data = data.with_weights(weights).unwrap();
        }
        if let Some(offsets) = &self.offsets {
            data = data.with_offsets(offsets).unwrap();
        }
        data
    }

    fn maximum_likelihood(&self, data: &Dataset<'_, f64>) -> FittedLogisticRegression {
        let model = LogisticRegression::new().l2(0.0).unwrap().intercept(self.intercept);
        model.fit(data, &LogLoss, &Run::default()).unwrap()
    }
}

/// Relative to the expected value.
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        let gap = (found - expected).abs();
        assert!(
            gap <= tolerance * expected.abs(),
            "{what}: {found} for {expected}, off by {gap:e}"
        );
    }
}

#[test]
fn standard_errors_and_deviances_equal_the_references() {
    let fixtures = fixtures();
    let cases = fixtures["inference"].as_array().unwrap();
    assert!(cases.len() >= 8);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let rows = Rows::named(name);
        let sparse = CsMat::csr_from_dense(rows.x.view(), 0.0);
        for data in [rows.data(&rows.x), rows.data(&sparse)] {
            let fitted = rows.maximum_likelihood(&data);
            for (kind, key) in [
                (Covariance::Fisher, "fisher"),
                (Covariance::Hc0, "hc0"),
                (Covariance::Hc1, "hc1"),
                (Covariance::WithinClasses, "within_classes"),
            ] {
                let inference = fitted.inference(&data, &LogLoss, kind).unwrap();
                let what = format!("{name} {key}");
                assert_close(inference.estimates(), &numbers(&case["estimates"]), 1e-8, &what);
                assert_close(&inference.standard_errors(), &numbers(&case[key]), 1e-8, &what);
                let likelihood = case["log_likelihood"].as_f64().unwrap();
                assert_close(&[inference.log_likelihood()], &[likelihood], 1e-12, &what);
                assert_close(&[inference.deviance()], &[-2.0 * likelihood], 1e-12, &what);
                let null = case["null_deviance"].as_f64().unwrap();
                assert_close(&[inference.null_deviance()], &[null], 1e-10, &what);
                let k = inference.estimates().len() as f64;
                assert_close(&[inference.aic()], &[2.0 * k - 2.0 * likelihood], 1e-12, &what);
                if let Some(covariance) = case.get(format!("{key}_01")) {
                    let expected = covariance.as_f64().unwrap();
                    let errors = inference.standard_errors();
                    let gap = (inference.covariance()[(0, 1)] - expected).abs();
                    assert!(
                        gap <= 1e-8 * errors[0] * errors[1],
                        "{what}: covariance off by {gap:e}"
                    );
                    assert_eq!(inference.covariance()[(0, 1)], inference.covariance()[(1, 0)]);
                }
            }
        }
    }
}

#[test]
fn tests_and_intervals_are_the_normal_distributions() {
    let rows = Rows::named("dense_mle");
    let data = rows.data(&rows.x);
    let inference =
        rows.maximum_likelihood(&data).inference(&data, &LogLoss, Covariance::Fisher).unwrap();
    let (errors, z) = (inference.standard_errors(), inference.z());
    for (j, [low, high]) in inference.intervals(0.95).unwrap().into_iter().enumerate() {
        let estimate = inference.estimates()[j];
        // Φ⁻¹(0.975) from tables.
        assert!((high - estimate - 1.959963984540054 * errors[j]).abs() < 1e-12);
        assert!((estimate - low - (high - estimate)).abs() < 1e-12);
        assert_eq!(z[j], estimate / errors[j]);
    }
    // p < 0.05 exactly where 0 lies outside of the 95 % interval.
    for (p, [low, high]) in inference.p_values().iter().zip(inference.intervals(0.95).unwrap()) {
        assert_eq!(*p < 0.05, low > 0.0 || high < 0.0);
    }
    for level in [0.0, 1.0, f64::NAN, -0.5] {
        let error = inference.intervals(level).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "level", .. }), "{error}");
    }

    let table = inference.with_feature_names(["age", "price", "distance", "hour"]).unwrap();
    assert_eq!(table.names(), ["age", "price", "distance", "hour", "intercept"]);
    let text = table.summary();
    for word in ["maximum likelihood", "frequencies", "AIC", "std. error", "distance", "intercept"]
    {
        assert!(text.contains(word), "{word} is not in\n{text}");
    }
    let error = table.with_feature_names(["age"]).unwrap_err();
    assert!(error.to_string().contains("4 names, one per column"), "{error}");
}

#[test]
fn weights_mean_what_the_covariance_says() {
    // Weight 3 once, or the row three times.
    let rows = Rows::read(
        fixtures()["rare_events"]
            .as_array()
            .unwrap()
            .iter()
            .find(|case| case["name"] == "counted")
            .unwrap(),
    );
    let weights = rows.weights.as_ref().unwrap();
    let repeated: Vec<usize> =
        (0..rows.labels.len()).flat_map(|i| std::iter::repeat_n(i, weights[i] as usize)).collect();
    let data = rows.data(&rows.x);
    let once = Dataset::new(&rows.x, &rows.labels).unwrap();
    let thrice = once.select(&repeated).unwrap();
    let errors = |data: &Dataset<'_, f64>, kind| {
        let fitted = rows.maximum_likelihood(data);
        fitted.inference(data, &LogLoss, kind).unwrap().standard_errors()
    };
    let fisher = errors(&data, Covariance::Fisher);
    assert_close(&fisher, &errors(&thrice, Covariance::Fisher), 1e-9, "frequencies");
    // As sampling weights their scale is nothing.
    let doubled: Vec<f64> = weights.iter().map(|w| 2.0 * w).collect();
    let doubled = once.view().with_weights(doubled).unwrap();
    let robust = errors(&data, Covariance::Hc1);
    assert_close(&errors(&doubled, Covariance::Hc1), &robust, 1e-9, "sampling weights");
    assert!(errors(&doubled, Covariance::Fisher)[0] < 0.75 * fisher[0]);

    // And RareEvents counts weights as rows, in every mode.
    let tau = 0.02;
    for model in [
        RareEvents::new(),
        RareEvents::new().maximum_likelihood(),
        RareEvents::new().weighting(tau).unwrap(),
        RareEvents::new().firth().prior_correction(tau).unwrap(),
    ] {
        let [a, b] = [&data, &thrice].map(|data| fit(&model, data));
        assert_close(a.inference().estimates(), b.inference().estimates(), 1e-8, "estimates");
        let errors = |fitted: &FittedRareEvents| fitted.inference().standard_errors();
        assert_close(&errors(&a), &errors(&b), 1e-8, "errors");
        assert_close(&a.inference().p_values(), &b.inference().p_values(), 1e-6, "p-values");
    }
    let halves = once.view().with_weights(vec![0.5; once.rows()]).unwrap();
    let error = RareEvents::new().fit(&halves, &LogLoss, &Run::default()).unwrap_err();
    assert!(error.to_string().contains("whole numbers"), "{error}");
}

#[test]
fn inference_is_refused_where_it_would_mislead() {
    let rows = Rows::named("dense_mle");
    let data = rows.data(&rows.x);
    let fit = |l2: f64| {
        LogisticRegression::new().l2(l2).unwrap().fit(&data, &LogLoss, &Run::default()).unwrap()
    };
    let error = fit(1.0).inference(&data, &LogLoss, Covariance::Fisher).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "l2", .. }), "{error}");

    let fitted = fit(0.0);
    let half = data.select(&(0..100).collect::<Vec<_>>()).unwrap();
    let error = fitted.inference(&half, &LogLoss, Covariance::Fisher).unwrap_err();
    assert!(error.to_string().contains("standard errors away"), "{error}");
    let narrow = Array2::from_shape_fn((200, 1), |(i, _)| rows.x[(i, 0)]);
    let error = fitted.inference(&rows.data(&narrow), &LogLoss, Covariance::Hc0).unwrap_err();
    assert!(matches!(error, Error::ColumnMismatch { found: 1, expected: 4 }), "{error}");

    // Weighted and focal losses have sandwiches, but no information.
    let weighted = WeightedLogLoss::given(5.0, 1.0).unwrap();
    let model = LogisticRegression::new().l2(0.0).unwrap();
    let fitted = model.fit(&data, &weighted, &Run::default()).unwrap();
    let error = fitted.inference(&data, &weighted, Covariance::Fisher).unwrap_err();
    assert!(error.to_string().contains("no log-likelihood"), "{error}");
    assert!(fitted.inference(&data, &weighted, Covariance::Hc1).is_ok());

    // Column 4 repeats column 1, and column 5 is constant beside an intercept.
    for extra in [true, false] {
        let x = Array2::from_shape_fn((200, 5), |(i, j)| match j {
            4 if extra => rows.x[(i, 1)],
            4 => 2.0,
            _ => rows.x[(i, j)],
        });
        let data = rows.data(&x);
        let fitted = rows.maximum_likelihood(&data);
        let error = fitted.inference(&data, &LogLoss, Covariance::Fisher).unwrap_err();
        let named = if extra { "x4" } else { "intercept" };
        assert!(
            matches!(&error, Error::RankDeficient { column, .. } if column == named),
            "{error}"
        );
    }
}

fn fit(model: &RareEvents, data: &Dataset<'_, f64>) -> FittedRareEvents {
    model.fit(data, &LogLoss, &Run::default()).unwrap()
}

#[test]
fn the_corrections_equal_an_independent_implementation() {
    for case in fixtures()["rare_events"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let rows = if case.get("x").is_some() { Rows::read(case) } else { Rows::named(name) };
        let sparse = CsMat::csr_from_dense(rows.x.view(), 0.0);
        for data in [rows.data(&rows.x), rows.data(&sparse)] {
            if let Some(tau) = case.get("tau") {
                let tau = tau.as_f64().unwrap();
                let plain = || RareEvents::new().maximum_likelihood();
                for (key, model) in [
                    ("corrected", RareEvents::new()),
                    ("prior", RareEvents::new().prior_correction(tau).unwrap()),
                    ("prior_plain", plain().prior_correction(tau).unwrap()),
                    ("weighted", RareEvents::new().weighting(tau).unwrap()),
                    ("weighted_plain", plain().weighting(tau).unwrap()),
                ] {
                    check_king_zeng(&case[key], &model, &data, &format!("{name} {key}"));
                }
            }
            check_firth(&case["firth"], &data, name);
        }
    }
}

fn check_king_zeng(expected: &Value, model: &RareEvents, data: &Dataset<'_, f64>, what: &str) {
    let fitted = fit(model, data);
    let inference = fitted.inference();
    assert_close(inference.estimates(), &numbers(&expected["estimates"]), 1e-9, what);
    assert_close(&inference.standard_errors(), &numbers(&expected["standard_errors"]), 1e-9, what);
    match fitted.bias() {
        Some(bias) => assert_close(bias, &numbers(&expected["bias"]), 1e-8, what),
        None => assert!(numbers(&expected["bias"]).iter().all(|&bias| bias == 0.0), "{what}"),
    }
    for (corrected, key) in [(false, "probabilities"), (true, "corrected")] {
        let fitted = fit(&model.clone().corrected_probabilities(corrected), data);
        let mut logits = vec![0.0; data.rows()];
        fitted.logits_into(data.features(), &mut logits).unwrap();
        let p: Vec<f64> = logits[..10].iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
        // A frequency of 0 or 2 leaves the rows of the reference elsewhere.
        if data.weights().is_none() {
            assert_close(&p, &numbers(&expected[key]), 1e-9, what);
        }
    }
}

fn check_firth(expected: &Value, data: &Dataset<'_, f64>, name: &str) {
    let fitted = fit(&RareEvents::new().firth(), data);
    let inference = fitted.inference();
    // Errors are measured in standard errors: the reference's own solvers stop there.
    let errors = numbers(&expected["standard_errors"]);
    assert_close(&inference.standard_errors(), &errors, 1e-7, name);
    let near = |found: f64, expected: f64, j: usize, what: &str| {
        let gap = (found - expected).abs() / errors[j];
        assert!(gap < 1e-7, "{name}, {what} {j}: {found} for {expected}");
    };
    let estimates = numbers(&expected["estimates"]);
    let intervals = expected["intervals"].as_array().unwrap();
    for j in 0..errors.len() {
        near(inference.estimates()[j], estimates[j], j, "estimate");
        let [low, high] = inference.profile_intervals().unwrap()[j];
        let ends = numbers(&intervals[j]);
        near(low, ends[0], j, "lower end");
        near(high, ends[1], j, "upper end");
    }
    assert_close(&inference.p_values(), &numbers(&expected["p_values"]), 1e-6, name);
    let value = |key: &str| expected[key].as_f64().unwrap();
    assert_close(&[inference.log_likelihood()], &[value("log_likelihood")], 1e-11, name);
    assert_close(&[inference.null_deviance()], &[-2.0 * value("null_log_likelihood")], 1e-10, name);
}

#[test]
fn separation_ends_maximum_likelihood_but_not_firths() {
    let fixtures = fixtures();
    let cases = fixtures["rare_events"].as_array().unwrap();
    let rows = Rows::read(cases.iter().find(|case| case["name"] == "separated").unwrap());
    let data = rows.data(&rows.x);
    let error = RareEvents::new().fit(&data, &LogLoss, &Run::default()).unwrap_err();
    assert!(matches!(error, Error::Separation { .. }) && error.to_string().contains("Firth"));
    let fitted = fit(&RareEvents::new().firth(), &data);
    assert!(fitted.coefficients().iter().all(|c| c.abs() < 10.0));
    assert!(fitted.diagnostics().converged());
}

#[test]
fn the_summary_says_what_was_applied() {
    let rows = Rows::named("rare");
    let data = rows.data(&rows.x);
    let model = RareEvents::new().prior_correction(0.002).unwrap().corrected_probabilities(true);
    let fitted = fit(&model, &data).with_feature_names(["a", "b", "c"]).unwrap();
    let text = fitted.to_string();
    for words in ["King & Zeng", "prior correction", "0.002", "π̃ + C", "Wald", "intercept"] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    let text = fit(&RareEvents::new().weighting(0.002).unwrap(), &data).to_string();
    assert!(text.contains("weighting") && text.contains("within classes"), "{text}");
    let text = fit(&RareEvents::new().firth(), &data).to_string();
    assert!(text.contains("Firth") && text.contains("95 % profile interval"), "{text}");
    let fitted = Pipeline::new(model).fit(&data).unwrap();
    assert!(fitted.report().model.contains("finite-sample bias correction"));
    // The two ways to the population's rate predict about that rate.
    for model in [
        RareEvents::new().maximum_likelihood().prior_correction(0.002).unwrap(),
        RareEvents::new().maximum_likelihood().weighting(0.002).unwrap(),
    ] {
        let fitted = Pipeline::new(model).fit(&data).unwrap();
        let p = fitted.probabilities(&rows.x).unwrap();
        let share = |label: bool| {
            let chosen = p.iter().zip(&rows.labels).filter(|(_, y)| **y == label);
            chosen.clone().map(|(p, _)| p).sum::<f64>() / chosen.count() as f64
        };
        // E[p] in the population: the classes' means, mixed at its rate.
        let mean = 0.002 * share(true) + 0.998 * share(false);
        assert!((mean / 0.002 - 1.0).abs() < 0.1, "{mean}");
    }
}

#[test]
fn settings_and_losses_that_do_not_fit_are_named() {
    for rate in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(RareEvents::new().prior_correction(rate).is_err());
        assert!(RareEvents::new().weighting(rate).is_err());
    }
    assert!(RareEvents::new().firth_with_intervals(Some(1.0)).is_err());
    let rows = Rows::named("rare");
    let data = rows.data(&rows.x);
    let both = RareEvents::new().firth().weighting(0.01).unwrap();
    let error = both.fit(&data, &LogLoss, &Run::default()).unwrap_err();
    assert!(error.to_string().contains("penalised likelihood"), "{error}");
    let focal = FocalLoss::new(2.0).unwrap();
    let error = RareEvents::new().fit(&data, &focal, &Run::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "loss", .. }), "{error}");
    let x = Array2::from_shape_fn((1500, 2), |(i, _)| rows.x[(i, 0)]);
    for model in [RareEvents::new(), RareEvents::new().firth()] {
        let error = model.fit(&rows.data(&x), &LogLoss, &Run::default()).unwrap_err();
        assert!(matches!(&error, Error::RankDeficient { column, .. } if column == "x1"), "{error}");
    }
    // So far away, at a logit of −1, that π̃ + C is no probability.
    let fitted = fit(&RareEvents::new().corrected_probabilities(true), &data);
    let (b, squares) =
        (fitted.coefficients(), fitted.coefficients().iter().map(|c| c * c).sum::<f64>());
    let along = (-1.0 - fitted.intercept()) / squares;
    let across = [500.0 * b[1], -500.0 * b[0], 0.0];
    let far = Array2::from_shape_fn((1, 3), |(_, j)| along * b[j] + across[j]);
    let error = fitted.logits_into(Features::from(&far).view(), &mut [0.0]).unwrap_err();
    assert!(matches!(error, Error::Numerical { .. }), "{error}");
}

/// Two standard normal features, slopes 1 and −1, intercept −3.75: about 5 % events.
const TRUTH: [f64; 3] = [1.0, -1.0, -3.75];

fn draw(rows: usize, seed: u64) -> Dataset<'static, f64> {
    use ndarray_rand::rand::{Rng, SeedableRng};
    use ndarray_rand::rand_distr::StandardNormal;

    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let x = Array2::from_shape_fn((rows, 2), |_| random.sample(StandardNormal));
    let labels: Vec<bool> = x
        .outer_iter()
        .map(|row| {
            let z: f64 = TRUTH[0] * row[0] + TRUTH[1] * row[1] + TRUTH[2];
            random.random::<f64>() < 1.0 / (1.0 + (-z).exp())
        })
        .collect();
    Dataset::new(x, labels).unwrap()
}

/// A small form of `examples/rare_events_simulation.rs`, whose tables are in `docs/rare_events.md`.
#[test]
fn the_corrections_remove_most_of_the_bias() {
    const REPLICATIONS: u64 = 1000;
    let methods = [
        RareEvents::new().maximum_likelihood(),
        RareEvents::new(),
        RareEvents::new().firth_with_intervals(None).unwrap(),
    ];
    let mut errors = [[0.0; 3]; 3];
    let mut squares = [0.0; 3];
    for seed in 0..REPLICATIONS {
        let data = draw(500, seed);
        for (sums, model) in errors.iter_mut().zip(&methods) {
            let fitted = fit(model, &data);
            for j in 0..3 {
                sums[j] += fitted.inference().estimates()[j] - TRUTH[j];
            }
        }
        let plain = fit(&methods[1], &data);
        for j in 0..3 {
            squares[j] += (plain.inference().estimates()[j] - TRUTH[j]).powi(2);
        }
    }
    let n = REPLICATIONS as f64;
    for j in 0..3 {
        let [plain, corrected, firth] = errors.map(|sums| (sums[j] / n).abs());
        // The error of a mean over the replications; three of them on top of the bound.
        let noise = (squares[j] / n / n).sqrt();
        assert!(plain > 3.0 * noise, "no bias to remove: {plain} ± {noise}");
        for left in [corrected, firth] {
            assert!(left <= plain / 3.0 + 3.0 * noise, "{j}: {left} of {plain} ± {noise} is left");
        }
    }
}

#[test]
fn intervals_cover_as_often_as_they_say() {
    const REPLICATIONS: u64 = 250;
    let methods = [
        RareEvents::new().maximum_likelihood(),
        RareEvents::new().maximum_likelihood().weighting(0.0502).unwrap(),
        RareEvents::new(),
        RareEvents::new().firth(),
    ];
    let mut inside = [[0_u32; 3]; 4];
    for seed in 0..REPLICATIONS {
        let data = draw(2000, 10_000 + seed);
        for (counts, model) in inside.iter_mut().zip(&methods) {
            let fitted = fit(model, &data);
            let inference = fitted.inference();
            let intervals = match inference.profile_intervals() {
                Some(intervals) => intervals.to_vec(),
                None => inference.intervals(0.95).unwrap(),
            };
            for j in 0..3 {
                counts[j] += u32::from((intervals[j][0]..=intervals[j][1]).contains(&TRUTH[j]));
            }
        }
    }
    // Between 93 % and 97 %, and three standard errors of a share of 0.95.
    let n = REPLICATIONS as f64;
    let noise = 3.0 * (0.95 * 0.05 / n).sqrt();
    for (method, counts) in inside.iter().enumerate() {
        for (j, &count) in counts.iter().enumerate() {
            let covered = f64::from(count) / n;
            assert!((0.93 - noise..=0.97 + noise).contains(&covered), "{method}, {j}: {covered}");
        }
    }
}
