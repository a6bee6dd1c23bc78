//! Standard errors and the corrections for rare events against independent implementations; see
//! `tests/fixtures/README.md`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use approx::assert_relative_eq;
use imbalance::Distortion;
use imbalance::calibration::Uncalibrated;
use imbalance::loss::{FocalLoss, LogLoss, WeightedLogLoss};
use imbalance::model::logistic::{Collinearity, Covariance, Inference, Note};
use imbalance::model::{
    FittedLogisticRegression, FittedRareEvents, LogisticRegression, Model, Predict, RareEvents,
};
use imbalance::ndarray::Array2;
use imbalance::prelude::{PriorCorrection, RandomUnderSampler};
use imbalance::saved::Saved;
use imbalance::sprs::CsMat;
use imbalance::{Dataset, Error, Features, Pipeline, Progress, Run, Seed};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn file(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn fixtures() -> Value {
    file(include_str!("../fixtures/inference.json"))
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
        let cases = file(include_str!("../fixtures/logistic.json"));
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

    fn data<'a>(&'a self, x: impl Into<Features<'a>>) -> Dataset<'a> {
        let mut data = Dataset::new(x, &self.labels).unwrap();
        if let Some(weights) = &self.weights {
            data = data.with_weights(weights).unwrap();
        }
        if let Some(offsets) = &self.offsets {
            data = data.with_offsets(offsets).unwrap();
        }
        data
    }

    fn maximum_likelihood(&self, data: &Dataset<'_>) -> FittedLogisticRegression {
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
    let errors = |data: &Dataset<'_>, kind| {
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

fn fit(model: &RareEvents, data: &Dataset<'_>) -> FittedRareEvents {
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
                    (
                        "prior_whole",
                        RareEvents::new()
                            .prior_correction(tau)
                            .unwrap()
                            .covariance(Covariance::Fisher),
                    ),
                    (
                        "weighted_hc0",
                        RareEvents::new().weighting(tau).unwrap().covariance(Covariance::Hc0),
                    ),
                    ("weighted", RareEvents::new().weighting(tau).unwrap()),
                    ("weighted_plain", plain().weighting(tau).unwrap()),
                ] {
                    check_king_zeng(&case[key], &model, &data, &format!("{name} {key}"));
                }
            }
            check_firth(&case["firth"], &data, name);
            if let (Some(tau), Some(prior)) = (case.get("tau"), case["firth"].get("prior")) {
                check_corrected_firth(prior, tau.as_f64().unwrap(), &data, name);
            }
        }
    }
}

fn check_king_zeng(expected: &Value, model: &RareEvents, data: &Dataset<'_>, what: &str) {
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

fn check_firth(expected: &Value, data: &Dataset<'_>, name: &str) {
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

/// The intercept after prior correction, of whose variance the counts' part is taken out.
fn check_corrected_firth(prior: &Value, tau: f64, data: &Dataset<'_>, name: &str) {
    let fitted = fit(&RareEvents::new().firth().prior_correction(tau).unwrap(), data);
    let inference = fitted.inference();
    let error = prior["standard_error"].as_f64().unwrap();
    let last = inference.estimates().len() - 1;
    assert_close(&[inference.standard_errors()[last]], &[error], 1e-7, name);
    let [low, high] = inference.profile_intervals().unwrap()[last];
    let ends = numbers(&prior["interval"]);
    let estimate = prior["estimate"].as_f64().unwrap();
    for (found, expected) in
        [(inference.estimates()[last], estimate), (low, ends[0]), (high, ends[1])]
    {
        assert!((found - expected).abs() < 1e-7 * error, "{name}: {found} for {expected}");
    }
    let p = prior["p_value"].as_f64().unwrap();
    // Far from 0 the tail's relative error is that of the likelihoods' difference, which is of thousands.
    assert_close(&inference.p_values()[last..], &[p], 1e-6, name);
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

/// Rows separated by a threshold of their first feature, of this scale.
fn separated(rows: usize, events: usize, scale: f64) -> (Array2<f64>, Vec<bool>) {
    let x = Array2::from_shape_fn((rows, 2), |(i, j)| match j {
        0 => scale * i as f64 / rows as f64,
        _ => ((i * 7919) % 101) as f64 / 101.0,
    });
    (x, (0..rows).map(|i| i >= rows - events).collect())
}

#[test]
fn firths_likelihood_is_finite_however_the_classes_are_separated() {
    for (rows, events, scale) in [(12, 3, 1.0), (40, 20, 1.0), (300, 1, 1.0), (300, 3, 1000.0)] {
        let what = format!("{events} of {rows} rows, scale {scale}");
        let (x, labels) = separated(rows, events, scale);
        let data = Dataset::new(&x, labels).unwrap();
        let error = RareEvents::new().fit(&data, &LogLoss, &Run::default()).unwrap_err();
        assert!(matches!(error, Error::Separation { .. }), "{what}: {error}");
        let fitted = RareEvents::new().firth().fit(&data, &LogLoss, &Run::default());
        let fitted = fitted.unwrap_or_else(|error| panic!("{what}: {error}"));
        let inference = fitted.inference();
        let intervals = inference.profile_intervals().unwrap();
        for (j, [low, high]) in intervals.iter().enumerate() {
            let estimate = inference.estimates()[j];
            assert!(low.is_finite() && high.is_finite(), "{what}: {low} {high}");
            assert!(*low < estimate && estimate < *high, "{what}: {low} {estimate} {high}");
            // 0 is outside of the interval where the test says so.
            let outside = *low > 0.0 || *high < 0.0;
            assert_eq!(outside, inference.p_values()[j] < 0.05, "{what}: coefficient {j}");
        }
        // At the maximum, in units of the standard errors.
        assert!(
            fitted.diagnostics().gradient_norm * inference.standard_errors()[0] < 1e-6,
            "{what}"
        );
    }
}

#[test]
fn the_sampling_is_undone_once() {
    let rows = Rows::named("rare_20_of_20000");
    let all = rows.data(&rows.x);
    let tau = all.totals().rate();
    for model in [
        RareEvents::new().prior_correction(tau).unwrap(),
        RareEvents::new().weighting(tau).unwrap(),
        RareEvents::new().firth_with_intervals(None).unwrap().prior_correction(tau).unwrap(),
    ] {
        let pipeline = || {
            let sampler = RandomUnderSampler::negatives_per_positive(20.0).unwrap();
            Pipeline::new(model.clone()).sampler(sampler).seed(3)
        };
        let bare = pipeline().calibrator(Uncalibrated).fit(&all).unwrap();
        let corrected = pipeline().calibrator(PriorCorrection::new()).fit(&all).unwrap();
        let boxed = Pipeline::new(Model::boxed(model.clone()))
            .sampler(RandomUnderSampler::negatives_per_positive(20.0).unwrap())
            .seed(3)
            .calibrator(PriorCorrection::new())
            .fit(&all)
            .unwrap();
        let p = bare.probabilities(&rows.x).unwrap();
        assert_eq!(p, corrected.probabilities(&rows.x).unwrap());
        assert_eq!(p, boxed.probabilities(&rows.x).unwrap());
        // The report still says what the sampler did.
        assert!(!corrected.report().distortion.is_none());
        // Undone twice, the mean would be a fiftieth of the rate; 20 events know it to 22 %.
        let mean = p.iter().sum::<f64>() / p.len() as f64;
        assert!((mean / tau - 1.0).abs() < 0.67, "{mean}");

        // No rate makes up for rows that were chosen by their features, or that offsets tell about.
        let chosen =
            Distortion::FeatureDependent { sampler: "some".into(), nominal_log_odds: None };
        let chosen = rows.data(&rows.x).with_distortion(chosen);
        let error = model.fit(&chosen, &LogLoss, &Run::default()).unwrap_err();
        assert!(matches!(error, Error::NoClosedForm { .. }), "{error}");
        let told = Distortion::Offset { sampler: "some".into(), log_odds: 0.0 };
        let told = rows.data(&rows.x).with_distortion(told);
        let error = model.fit(&told, &LogLoss, &Run::default()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}

#[test]
fn covariances_that_do_not_exist_or_fit_in_no_memory_are_refused() {
    let rows = Rows::named("rare");
    let data = rows.data(&rows.x);
    for model in [
        RareEvents::new().weighting(0.01).unwrap().covariance(Covariance::Fisher),
        RareEvents::new().firth().covariance(Covariance::Hc0),
    ] {
        let error = model.fit(&data, &LogLoss, &Run::default()).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "covariance", .. }), "{error}");
    }
    // 5,000 columns that are all in use.
    let wide = Array2::from_shape_fn((2, 5_000), |(i, j)| 1.0 + ((i + 1) * j % 7) as f64);
    let data = Dataset::new(&wide, vec![true, false]).unwrap();
    for model in [RareEvents::new(), RareEvents::new().firth()] {
        let error = model.fit(&data, &LogLoss, &Run::default()).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
    let model = LogisticRegression::new().l2(0.0).unwrap().max_iterations(1).unwrap();
    let short = Array2::from_elem((3, 5_000), 1.0);
    let data = Dataset::new(&short, vec![true, false, false]).unwrap();
    let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
    let error = fitted.inference(&data, &LogLoss, Covariance::Fisher).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[test]
fn without_features_a_known_rate_leaves_nothing_uncertain() {
    let none = Array2::<f64>::zeros((100, 0));
    let data = Dataset::new(&none, (0..100).map(|i| i < 10).collect::<Vec<_>>()).unwrap();
    for model in [RareEvents::new().maximum_likelihood(), RareEvents::new().firth()] {
        let fitted = fit(&model.prior_correction(0.5).unwrap(), &data);
        let inference = fitted.inference();
        // 10⁻⁷ is the root of the rounding of a variance of 0.
        assert!(inference.standard_errors()[0] < 1e-7);
        assert!(inference.p_values()[0].is_finite());
        let [low, high] = inference.intervals(0.95).unwrap()[0];
        assert!(high - low < 1e-6, "{low} {high}");
    }
    let fitted =
        fit(&RareEvents::new().maximum_likelihood().prior_correction(0.02).unwrap(), &data);
    assert!((fitted.intercept() - (0.02_f64 / 0.98).ln()).abs() < 1e-12);
}

#[test]
fn a_feature_may_be_called_intercept() {
    let rows = Rows::named("weighted_offset_no_intercept");
    let data = rows.data(&rows.x);
    let fitted = rows.maximum_likelihood(&data);
    let inference = fitted.inference(&data, &LogLoss, Covariance::Hc0).unwrap();
    let named = inference.with_feature_names(["a", "b", "intercept"]).unwrap();
    let named = named.with_feature_names(["c", "d", "e"]).unwrap();
    assert_eq!(named.names(), ["c", "d", "e"]);
}

#[test]
fn the_search_for_intervals_is_reported_and_can_be_stopped() {
    use std::ops::ControlFlow;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let rows = Rows::named("rare");
    let data = rows.data(&rows.x);
    let reports = |model: RareEvents, most: usize| {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let run = Run::default().observed(move |progress| {
            assert!(matches!(progress, Progress::Iteration { .. }));
            if counter.fetch_add(1, Ordering::Relaxed) + 1 < most {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        (model.fit(&data, &LogLoss, &run), seen.load(Ordering::Relaxed))
    };
    let (fitted, short) =
        reports(RareEvents::new().firth_with_intervals(None).unwrap(), usize::MAX);
    assert!(fitted.is_ok());
    let (fitted, whole) = reports(RareEvents::new().firth(), usize::MAX);
    assert!(
        fitted.is_ok() && whole > short + 8 * 3,
        "{whole} reports, {short} before the intervals"
    );
    let (stopped, seen) = reports(RareEvents::new().firth(), short + 5);
    assert!(matches!(stopped, Err(Error::Cancelled { .. })));
    assert_eq!(seen, short + 5);
}

/// The studies of `examples/rare_events_simulation.rs`, whose tables are in `docs/evidence/rare_events.md`.
#[test]
fn the_corrections_remove_two_thirds_of_the_bias() {
    const REPLICATIONS: u64 = 4000;
    for study in crate::study::bias_studies().unwrap() {
        let errors = study.errors(REPLICATIONS, Seed::new(20)).unwrap();
        let plain = &errors[0];
        for j in 0..3 {
            // All methods see the same samples, so what a correction leaves beyond a third of the bias is
            // a mean of differences. Uncorrected, two thirds of the bias are left beyond that: the
            // study must be large enough to see them.
            let sign = crate::study::mean(plain.iter().map(|error| error[j])).0.signum();
            let beyond = |method: &Vec<[f64; 3]>, side: f64| {
                let pairs = method.iter().zip(plain);
                crate::study::mean(
                    pairs.map(|(left, plain)| sign * (side * left[j] - plain[j] / 3.0)),
                )
            };
            let (excess, noise) = beyond(plain, 1.0);
            assert!(excess > 4.0 * noise, "{j}: no bias to remove: {excess} ± {noise}");
            for ((name, _), method) in study.methods.iter().zip(&errors).skip(1) {
                for side in [1.0, -1.0] {
                    let (excess, noise) = beyond(method, side);
                    assert!(excess < 3.0 * noise, "{name}, {j}: {excess} ± {noise} beyond a third");
                }
            }
        }
    }
}

#[test]
fn intervals_cover_as_often_as_they_say() {
    const REPLICATIONS: u64 = 2000;
    for study in crate::study::coverage_studies().unwrap() {
        let shares = study.coverage(REPLICATIONS, Seed::new(21)).unwrap();
        for ((name, _), shares) in study.methods.iter().zip(shares) {
            for (j, share) in shares.into_iter().enumerate() {
                // King & Zeng's own covariances are too wide for the intercept.
                if name.ends_with('*') && j == 2 {
                    assert!(share > 0.97, "{name}: {share}");
                } else {
                    assert!((0.93..=0.97).contains(&share), "{name}, {j}: {share}");
                }
            }
        }
    }
}

#[test]
fn a_column_far_from_zero_is_not_taken_for_the_intercept() {
    let n = 400;
    let label = |i: usize| (i * i + 3 * i) % 11 < 2 + i / 150;
    let labels: Vec<bool> = (0..n).map(label).collect();
    let other = |i: usize| (i * 37 % 101) as f64 / 50.0 - 1.0;
    // Milliseconds since 1970, a second apart, and the same from the middle row on in seconds.
    let far = Array2::from_shape_fn((n, 2), |(i, j)| [1.7e12 + 1000.0 * i as f64, other(i)][j]);
    let near = Array2::from_shape_fn((n, 2), |(i, j)| [i as f64 - 200.0, other(i)][j]);
    let model = LogisticRegression::new().l2(0.0).unwrap();
    let table = |x: &Array2<f64>| {
        let data = Dataset::new(x, &labels).unwrap();
        let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
        assert_eq!(fitted.diagnostics().collinearity, Collinearity::Absent);
        fitted.inference(&data, &LogLoss, Covariance::Fisher).unwrap()
    };
    let (far, near) = (table(&far), table(&near));
    let (found, expected) = (far.standard_errors(), near.standard_errors());
    assert_relative_eq!(found[0], expected[0] / 1000.0, max_relative = 1e-6);
    assert_relative_eq!(found[1], expected[1], max_relative = 1e-6);
    // The solver stops where a step is worth less than that in standard errors.
    assert!((far.z()[0] - near.z()[0]).abs() < 1e-4);
    // The intercept is a logit of the year 1970: its error is that of the slope times 1.7e9 s.
    assert_relative_eq!(found[2], expected[0] * 1.7e9, max_relative = 1e-3);
    // A column that does not vary is one with the intercept, wherever it is.
    let flat = Array2::from_shape_fn((n, 2), |(i, j)| [1.7e12, other(i)][j]);
    let data = Dataset::new(&flat, &labels).unwrap();
    let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
    assert_eq!(fitted.diagnostics().collinearity, Collinearity::Present);
    let error = fitted.inference(&data, &LogLoss, Covariance::Fisher).unwrap_err();
    assert!(matches!(error, Error::RankDeficient { .. }), "{error}");
}

/// Offsets of 30 and more take the intercept so far from the hypothesis 0 that the likelihood cannot be computed
/// there. It took 10,000 iterations to say so.
#[test]
fn firths_p_values_are_quick_where_the_hypothesis_is_far_away() {
    let noise = |i: usize| ((i * 7919 + 13) % 1009) as f64 / 504.0 - 1.0;
    let x = Array2::from_shape_fn((40, 6), |(row, column)| noise(row * 31 + column));
    let labels: Vec<bool> = (0..40).map(|row| row % 5 == 0).collect();
    let fit = |offset: f64| {
        let data = Dataset::new(&x, &labels[..]).unwrap().with_offsets(vec![offset; 40]).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        let run = Run::seeded(7).observed(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Continue(())
        });
        let fitted = RareEvents::new().firth().fit(&data, &LogLoss, &run).unwrap();
        assert!(count.load(Ordering::Relaxed) < 1000, "{offset}: {count:?} iterations");
        (fitted.coefficients().to_vec(), fitted.inference().p_values())
    };
    let (plain, plain_p) = fit(0.0);
    for offset in [30.0, 700.0, -700.0, 1e4] {
        let (coefficients, p) = fit(offset);
        // The other coefficients' are those without offsets, but for the rounding of logits of this size.
        for j in 0..6 {
            assert_relative_eq!(coefficients[j], plain[j], max_relative = 1e-9);
            assert_relative_eq!(p[j], plain_p[j], max_relative = 1e-6);
        }
        assert!(p[6] < 3e-10, "{offset}: {}", p[6]);
    }
}

/// The columns of the rows at places 1, 2, 4 and 5 of six; the first and the fourth of the six are zero, but in a row of
/// weight 0.
fn with_zero_columns(rows: &Rows, weights: &[f64]) -> Array2<f64> {
    let place = [None, Some(0), Some(1), None, Some(2), Some(3)];
    Array2::from_shape_fn((rows.labels.len(), 6), |(i, j)| match place[j] {
        Some(column) => rows.x[(i, column)],
        None => f64::from(u8::from(j == 3 && weights[i] == 0.0)),
    })
}

#[test]
fn columns_that_are_zero_in_every_row_are_left_out_and_named() {
    let mut rows = Rows::named("dense_mle");
    let weights: Vec<f64> = (0..rows.labels.len()).map(|i| (i % 5) as f64).collect();
    rows.weights = Some(weights.clone());
    let wide = with_zero_columns(&rows, &weights);
    let sparse = CsMat::csr_from_dense(wide.view(), 0.0);
    let narrow = rows.data(&rows.x);
    for data in [rows.data(&wide), rows.data(&sparse)] {
        let [all, used] = [&data, &narrow].map(|data| rows.maximum_likelihood(data));
        for kind in
            [Covariance::Fisher, Covariance::Hc0, Covariance::Hc1, Covariance::WithinClasses]
        {
            let inference = all.inference(&data, &LogLoss, kind).unwrap();
            let expected = used.inference(&narrow, &LogLoss, kind).unwrap();
            assert_eq!(inference.columns(), [1, 2, 4, 5]);
            assert_eq!(inference.names(), ["x1", "x2", "x4", "x5", "intercept"]);
            assert_eq!(inference.left_out(), [(0, "x0".to_string()), (3, "x3".to_string())]);
            assert_close(inference.estimates(), expected.estimates(), 1e-9, "estimates");
            let errors = |inference: &Inference| inference.standard_errors();
            assert_close(&errors(&inference), &errors(&expected), 1e-9, "errors");
            assert_close(&[inference.aic()], &[expected.aic()], 1e-12, "AIC");
            let named = inference.with_feature_names(["a", "b", "c", "d", "e", "f"]).unwrap();
            assert_eq!(named.names(), ["b", "c", "e", "f", "intercept"]);
            let text = named.to_string();
            assert!(text.contains("- left out, zero in every row: `a`, `d`"), "{text}");
            assert!(text.contains("\nd           left out: zero in every row"), "{text}");
            assert!(named.notes().contains(&Note::LeftOut(vec!["a".into(), "d".into()])));
        }
    }
}

#[test]
fn rare_events_leave_out_columns_that_are_zero_in_every_row() {
    let mut rows = Rows::named("dense_mle");
    let weights: Vec<f64> = (0..rows.labels.len()).map(|i| (i % 3) as f64).collect();
    rows.weights = Some(weights.clone());
    let wide = with_zero_columns(&rows, &weights);
    let (data, narrow) = (rows.data(&wide), rows.data(&rows.x));
    for model in [
        RareEvents::new(),
        RareEvents::new().maximum_likelihood().corrected_probabilities(true),
        RareEvents::new().weighting(0.05).unwrap(),
        RareEvents::new().firth().prior_correction(0.05).unwrap(),
    ] {
        let [all, used] = [&data, &narrow].map(|data| fit(&model, data));
        let (inference, expected) = (all.inference(), used.inference());
        // The copy of the columns has another layout in memory, which changes the last digits.
        let near = |found: &[f64], expected: &[f64], what| {
            assert_eq!(found.len(), expected.len(), "{what}");
            let size = expected.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
            for (found, expected) in found.iter().zip(expected) {
                let gap = (found - expected).abs();
                assert!(gap <= 1e-12 * size, "{what}: {found}, {expected}");
            }
        };
        near(inference.estimates(), expected.estimates(), "estimates");
        near(&inference.standard_errors(), &expected.standard_errors(), "errors");
        near(&inference.p_values(), &expected.p_values(), "p-values");
        near(&[inference.log_likelihood()], &[expected.log_likelihood()], "likelihood");
        near(all.bias().unwrap_or_default(), used.bias().unwrap_or_default(), "bias");
        let coefficients = all.coefficients();
        assert_eq!((coefficients[0], coefficients[3]), (0.0, 0.0));
        near(&coefficients[4..], &used.coefficients()[2..], "coefficients");
        // Rows with an entry in a column that was left out are predicted without it.
        for row in [0, 3, 77] {
            let z = all.logit(wide.row(row).into()).unwrap();
            near(&[z], &[used.logit(rows.x.row(row).into()).unwrap()], "logits");
        }
        let named = all.with_feature_names(["a", "b", "c", "d", "e", "f"]).unwrap();
        assert_eq!(named.inference().left_out()[1], (3, "d".to_string()));
        assert!(named.inference().to_string().contains("left out: zero in every row"));
        let json = named.to_json().unwrap();
        assert_eq!(FittedRareEvents::from_json(&json).unwrap(), named);
    }
    // Errors name the columns as they are: x5 repeats x4.
    let twice = Array2::from_shape_fn(wide.dim(), |(i, j)| wide[(i, if j == 5 { 4 } else { j })]);
    let data = rows.data(&twice);
    for model in [RareEvents::new(), RareEvents::new().firth()] {
        let error = model.fit(&data, &LogLoss, &Run::default()).unwrap_err();
        assert!(matches!(&error, Error::RankDeficient { column, .. } if column == "x5"), "{error}");
    }
}

#[test]
fn a_hashed_table_of_many_columns_has_an_inference_of_those_in_use() {
    let n = 400;
    let width = 1 << 18;
    let indices: Vec<usize> = (0..n).map(|i| [11, 70_000, 200_001][(i * 7) % 3]).collect();
    let x = CsMat::new((n, width), (0..=n).collect(), indices, vec![1.0; n]);
    let labels: Vec<bool> = (0..n).map(|i| (i * 7919) % 11 < 2 + (i * 7) % 3).collect();
    let data = Dataset::new(&x, labels).unwrap();
    let model = LogisticRegression::new().l2(0.0).unwrap().intercept(false);
    let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
    let inference = fitted.inference(&data, &LogLoss, Covariance::Fisher).unwrap();
    assert_eq!(inference.columns(), [11, 70_000, 200_001]);
    assert_eq!(inference.left_out().len(), width - 3);
    let text = inference.to_string();
    assert!(text.contains("262131 more columns left out: zero in every row"), "{text}");
    assert!(text.lines().count() < 30, "{text}");
}
