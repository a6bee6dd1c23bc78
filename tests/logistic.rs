//! Logistic regression against independent high-precision solutions, and on every input that has
//! tripped such solvers before. The fixtures and their generators are described in
//! `tests/fixtures/README.md`.

use imbalance::loss::{LogLoss, Loss};
use imbalance::model::logistic::{Objective, StopReason};
use imbalance::model::{FittedLogisticRegression, LogisticRegression, Model, Predict};
use imbalance::ndarray::{Array2, ShapeBuilder};
use imbalance::sprs::{CsMat, TriMat};
use imbalance::{Dataset, Error, Features, Run, Scalar};
use proptest::prelude::*;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

struct Case {
    name: String,
    dense: Array2<f64>,
    labels: Vec<bool>,
    weights: Option<Vec<f64>>,
    offsets: Option<Vec<f64>>,
    model: LogisticRegression,
    l2: f64,
    intercept: bool,
    solution: Value,
}

impl Case {
    fn all() -> Vec<Self> {
        let text = include_str!("fixtures/logistic.json");
        let cases: Value = serde_json::from_str(text).unwrap();
        cases.as_array().unwrap().iter().map(Self::read).collect()
    }

    fn read(case: &Value) -> Self {
        let dense = match case.get("x") {
            Some(x) => {
                let rows: Vec<Vec<f64>> = x.as_array().unwrap().iter().map(numbers).collect();
                Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
            }
            None => {
                let sparse = &case["sparse"];
                let size = |key: &str| sparse[key].as_u64().unwrap() as usize;
                let mut x = Array2::zeros((size("n_rows"), size("n_cols")));
                let (rows, columns) = (numbers(&sparse["rows"]), numbers(&sparse["cols"]));
                for ((row, column), value) in
                    rows.into_iter().zip(columns).zip(numbers(&sparse["values"]))
                {
                    x[(row as usize, column as usize)] = value;
                }
                x
            }
        };
        let l2 = case["l2"].as_f64().unwrap();
        let intercept = case["fit_intercept"].as_bool().unwrap();
        Self {
            name: case["name"].as_str().unwrap().into(),
            dense,
            labels: case["labels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|label| label.as_bool().unwrap())
                .collect(),
            weights: case.get("weights").map(numbers),
            offsets: case.get("offsets").map(numbers),
            model: LogisticRegression::new().l2(l2).unwrap().intercept(intercept),
            l2,
            intercept,
            solution: case["solution"].clone(),
        }
    }

    fn data<'a, F: Scalar>(&'a self, x: impl Into<Features<'a, F>>) -> Dataset<'a, F> {
        let mut data = Dataset::new(x, &self.labels).unwrap();
        if let Some(weights) = &self.weights {
            data = data.with_weights(weights).unwrap();
        }
        if let Some(offsets) = &self.offsets {
            data = data.with_offsets(offsets).unwrap();
        }
        data
    }

    fn fit<F: Scalar>(&self, data: &Dataset<'_, F>) -> FittedLogisticRegression {
        self.model.fit(data, &LogLoss, &Run::default()).unwrap()
    }

    /// The same rows with columns of zeros appended, so that the Hessian is too large to be formed.
    fn widened(&self) -> CsMat<f64> {
        let mut x = TriMat::new((self.dense.nrows(), self.dense.ncols() + 300));
        for ((row, column), &value) in self.dense.indexed_iter() {
            if value != 0.0 {
                x.add_triplet(row, column, value);
            }
        }
        x.to_csr()
    }

    fn assert_solved(&self, fitted: &FittedLogisticRegression, tolerance: f64, form: &str) {
        let name = &self.name;
        let reached = fitted.diagnostics().objective;
        let best = self.solution["objective"].as_f64().unwrap();
        assert!((reached - best).abs() <= 1e-13 * best, "{name} {form}: {reached} against {best}");
        assert_eq!(fitted.diagnostics().stop, StopReason::Converged, "{name} {form}");
        // Coefficients are compared by what they do to a logit: scaled by their column.
        let expected = numbers(&self.solution["coefficients"]);
        for (j, (&found, &expected)) in fitted.coefficients().iter().zip(&expected).enumerate() {
            let column = self.dense.column(j);
            let scale = (column.dot(&column) / column.len() as f64).sqrt();
            let distance = (found - expected).abs() * scale;
            assert!(distance <= tolerance, "{name} {form}, column {j}: {found} for {expected}");
        }
        let expected = self.solution["intercept"].as_f64().unwrap();
        let distance = (fitted.intercept() - expected).abs();
        assert!(
            distance <= tolerance * expected.abs().max(1.0),
            "{name} {form}: intercept off by {distance}"
        );
    }
}

#[test]
fn reaches_the_optimum_on_every_reference_problem() {
    let cases = Case::all();
    assert!(cases.len() >= 12);
    for case in &cases {
        case.assert_solved(&case.fit(&case.data(&case.dense)), 1e-9, "formed");
        let sparse = CsMat::csr_from_dense(case.dense.view(), 0.0);
        case.assert_solved(&case.fit(&case.data(&sparse)), 1e-9, "sparse");
    }
}

#[test]
fn conjugate_gradients_reach_it_too() {
    for case in Case::all() {
        let wide = case.widened();
        let fitted = case.fit(&case.data(&wide));
        // The promise is 1e-9 of the objective, which leaves the coefficients about half the digits.
        let best = case.solution["objective"].as_f64().unwrap();
        let excess = fitted.diagnostics().objective - best;
        assert!(excess.abs() <= 1e-10 * best, "{}: {:e} above", case.name, excess / best);
        assert!(fitted.coefficients()[case.dense.ncols()..].iter().all(|&c| c == 0.0));
    }
}

#[test]
fn every_layout_gives_the_same_fit() {
    for case in Case::all().iter().filter(|case| case.name != "badly_scaled") {
        let plain = case.fit(&case.data(&case.dense));
        let (n, d) = case.dense.dim();
        let fortran = Array2::from_shape_fn((n, d).f(), |at| case.dense[at]);
        let padded = Array2::from_shape_fn((n, 2 * d), |(i, j)| case.dense[(i, j / 2)]);
        let every_second = padded
            .slice_axis(imbalance::ndarray::Axis(1), imbalance::ndarray::Slice::new(0, None, 2));
        let sparse = CsMat::csr_from_dense(case.dense.view(), 0.0);
        let fits = [
            case.fit(&case.data(&fortran)),
            case.fit(&case.data(every_second)),
            case.fit(&case.data(&sparse)),
            case.fit(&case.data(sparse.to_csc())),
        ];
        let mut expected = vec![0.0; n];
        plain.logits_into(case.data(&case.dense).features(), &mut expected).unwrap();
        for (form, fit) in fits.iter().enumerate() {
            let mut logits = vec![0.0; n];
            fit.logits_into(case.data(&case.dense).features(), &mut logits).unwrap();
            for (a, b) in logits.iter().zip(&expected) {
                assert!((a - b).abs() <= 1e-10 * b.abs().max(1.0), "{} {form}: {a} {b}", case.name);
            }
        }
    }
}

#[test]
fn single_precision_features_lose_nothing_else() {
    let case = Case::all().into_iter().find(|case| case.name == "f32_values").unwrap();
    let single = case.dense.mapv(|value| value as f32);
    case.assert_solved(&case.fit(&case.data(&single)), 1e-9, "f32");
}

#[test]
fn the_gradient_is_the_slope_of_the_objective() {
    for case in Case::all().iter().filter(|case| case.name != "badly_scaled") {
        let data = case.data(&case.dense);
        let objective = Objective::new(&data, &LogLoss, case.l2, case.intercept).unwrap();
        let theta: Vec<f64> = (0..objective.parameters()).map(|j| 0.1 * (j as f64).sin()).collect();
        let (value, gradient) = objective.value_and_gradient(&theta).unwrap();
        for j in (0..theta.len()).step_by(theta.len().div_ceil(7)) {
            // Fourth-order central differences: the error is h⁴ f⁗/30 plus rounding of f over h.
            let h = 1e-3;
            let at = |by: f64| {
                let mut moved = theta.clone();
                moved[j] += by * h;
                objective.value_and_gradient(&moved).unwrap().0
            };
            let slope = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * h);
            let tolerance = 1e-8 * value.max(1.0);
            assert!(
                (slope - gradient[j]).abs() < tolerance,
                "{}: {slope} {}",
                case.name,
                gradient[j]
            );
        }
    }
    let case = &Case::all()[0];
    let data = case.data(&case.dense);
    let error = Objective::new(&data, &LogLoss, 0.0, true).unwrap().value_and_gradient(&[0.0]);
    assert!(matches!(error, Err(Error::LengthMismatch { .. })));
}

/// One row in four is positive, whatever the features say.
fn quarter(x: &Array2<f64>) -> Dataset<'_, f64> {
    let labels: Vec<bool> = (0..x.nrows()).map(|row| row % 4 == 0).collect();
    Dataset::new(x, labels).unwrap()
}

fn plain_fit(data: &Dataset<'_, f64>, l2: f64) -> Result<FittedLogisticRegression, Error> {
    LogisticRegression::new().l2(l2).unwrap().fit(data, &LogLoss, &Run::default())
}

#[test]
fn without_features_the_intercept_is_the_log_odds() {
    let x = Array2::zeros((40, 0));
    for l2 in [0.0, 1.0] {
        let fitted = plain_fit(&quarter(&x), l2).unwrap();
        assert!((fitted.intercept() + 3_f64.ln()).abs() < 1e-12);
        assert!(fitted.coefficients().is_empty());
    }
}

#[test]
fn collinear_columns_without_a_penalty_are_fitted_and_reported() {
    // Column 1 is all zero, column 2 constant, column 3 repeats column 0.
    let x = Array2::from_shape_fn((400, 4), |(i, j)| match j {
        0 | 3 => ((i * 7919) % 31) as f64 / 31.0,
        1 => 0.0,
        _ => 2.0,
    });
    let fitted = plain_fit(&quarter(&x), 0.0).unwrap();
    assert!(fitted.diagnostics().rank_deficient);
    assert!(fitted.diagnostics().to_string().contains("collinear"));
    assert_eq!(fitted.coefficients()[1], 0.0);

    let alone = Array2::from_shape_fn((400, 1), |(i, _)| x[(i, 0)]);
    let reference = plain_fit(&quarter(&alone), 0.0).unwrap();
    assert!(!reference.diagnostics().rank_deficient);
    let gap = fitted.diagnostics().objective / reference.diagnostics().objective - 1.0;
    assert!(gap.abs() < 1e-12, "{gap:e}");
    let both = fitted.coefficients()[0] + fitted.coefficients()[3];
    assert!((both - reference.coefficients()[0]).abs() < 1e-6);
}

#[test]
fn separable_classes_are_an_error_without_a_penalty_and_fine_with_one() {
    // Complete: the sign of x is the label. In part: rows with x = 1 are all positive, and rows with
    // x = 0 are mixed. More columns than rows: random ones separate anything.
    let complete = Array2::from_shape_fn((40, 1), |(i, _)| if i % 4 == 0 { 1.0 } else { -1.0 });
    let in_part = Array2::from_shape_fn((40, 1), |(i, _)| if i % 8 == 0 { 1.0 } else { 0.0 });
    let wide = Array2::from_shape_fn((12, 30), |(i, j)| {
        ((i * i * 7919 + j * j * 104_729 + i * j * 31) as f64).sin()
    });
    let wider = Array2::from_shape_fn((12, 400), |(i, j)| {
        ((i * i * 7919 + j * j * 104_729 + i * j * 31) as f64).sin()
    });
    for (x, kind) in [
        (&complete, "completely"),
        (&in_part, "in part"),
        (&wide, "completely"),
        (&wider, "completely"),
    ] {
        let error = plain_fit(&quarter(x), 0.0).unwrap_err();
        assert!(matches!(error, Error::Separation { kind: found } if found == kind), "{error}");
        assert!(error.to_string().contains("set a positive `l2`"));
        let fitted = plain_fit(&quarter(x), 1.0).unwrap();
        assert!(fitted.diagnostics().converged() && fitted.intercept().is_finite());
    }
}

#[test]
fn almost_separable_classes_have_a_finite_answer() {
    // One negative among the thousand rows with x = 1: the slope is large, but it exists.
    let x = Array2::from_shape_fn((2000, 1), |(i, _)| (i % 2) as f64);
    let labels: Vec<bool> = (0..2000).map(|i| i % 2 == 1 && i != 1 || i % 100 == 0).collect();
    let data = Dataset::new(&x, labels).unwrap();
    let fitted = plain_fit(&data, 0.0).unwrap();
    let (low, high) = ((20.0 / 980.0_f64).ln(), 999_f64.ln());
    assert!((fitted.intercept() - low).abs() < 1e-9);
    assert!((fitted.coefficients()[0] - (high - low)).abs() < 1e-9);
}

#[test]
fn one_class_or_no_weight_is_an_error() {
    let x = Array2::from_shape_fn((6, 1), |(i, _)| i as f64);
    for label in [true, false] {
        let data = Dataset::new(&x, vec![label; 6]).unwrap();
        let error = plain_fit(&data, 1.0).unwrap_err();
        assert!(matches!(error, Error::OneClass { .. }), "{error}");
    }
    let data = quarter(&x).with_weights(vec![0.0, 1.0, 1.0, 1.0, 0.0, 1.0]).unwrap();
    let error = plain_fit(&data, 1.0).unwrap_err();
    assert!(matches!(error, Error::OneClass { positives: 2, .. }), "{error}");
}

#[test]
fn bad_settings_and_bad_rows_are_named() {
    for l2 in [-1.0, f64::NAN, f64::INFINITY] {
        let error = LogisticRegression::new().l2(l2).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`l2` is {l2}")), "{error}");
    }
    assert!(LogisticRegression::new().max_iterations(0).is_err());

    let x = Array2::from_shape_fn((40, 2), |(i, j)| ((i * 7 + j * 3) % 11) as f64);
    let fitted = plain_fit(&quarter(&x), 1.0).unwrap();
    let mut out = vec![0.0; 40];
    let narrow = Array2::<f64>::zeros((40, 1));
    let error = fitted.logits_into(Features::from(&narrow).view(), &mut out).unwrap_err();
    assert!(matches!(error, Error::ColumnMismatch { found: 1, expected: 2 }));
    let error = fitted.logits_into(Features::from(&x).view(), &mut out[1..]).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { found: 39, expected: 40, .. }));
    let mut bad = x.clone();
    bad[(17, 1)] = f64::NAN;
    let error = fitted.logits_into(Features::from(&bad).view(), &mut out).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 17, column: Some(1), .. }), "{error}");
    bad[(17, 1)] = f64::MAX;
    bad[(17, 0)] = f64::MAX;
    let scaled = bad.mapv(|value| value * 1e3);
    let error = fitted.logits_into(Features::from(&scaled).view(), &mut out).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 17, .. }), "{error}");
}

#[test]
fn an_iteration_limit_is_reported_not_hidden() {
    let case = Case::all().into_iter().find(|case| case.name == "rare").unwrap();
    let model = case.model.clone().max_iterations(1).unwrap();
    let fitted = model.fit(&case.data(&case.dense), &LogLoss, &Run::default()).unwrap();
    assert_eq!(fitted.diagnostics().stop, StopReason::IterationLimit);
    assert!(!fitted.diagnostics().converged());
    assert!(fitted.describe_as_text().contains("NOT converged"));
}

trait Describe {
    fn describe_as_text(&self) -> String;
}

impl Describe for FittedLogisticRegression {
    fn describe_as_text(&self) -> String {
        Predict::<f64>::describe(self)
    }
}

#[test]
fn progress_is_told_and_can_stop_the_fit() {
    use std::ops::ControlFlow;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let case = &Case::all()[0];
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let run = Run::seeded(1).observed(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    let fitted = case.model.fit(&case.data(&case.dense), &LogLoss, &run).unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), fitted.diagnostics().iterations);

    let run = Run::seeded(1).observed(|_| ControlFlow::Break(()));
    let error = case.model.fit(&case.data(&case.dense), &LogLoss, &run).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }));
}

fn l1_cases() -> Vec<(Case, Value)> {
    let text = include_str!("fixtures/l1.json");
    let cases: Value = serde_json::from_str(text).unwrap();
    let find = |name: &Value| Case::all().into_iter().find(|case| *name == case.name).unwrap();
    cases.as_array().unwrap().iter().map(|case| (find(&case["name"]), case.clone())).collect()
}

fn l1_model(expected: &Value) -> LogisticRegression {
    let penalty = |key: &str| expected[key].as_f64().unwrap();
    LogisticRegression::new().l1(penalty("l1")).unwrap().l2(penalty("l2")).unwrap()
}

#[test]
fn l1_and_elastic_net_reach_the_certified_optimum_with_its_zeros() {
    let cases = l1_cases();
    assert!(cases.len() >= 9);
    for (case, expected) in &cases {
        let coefficients = numbers(&expected["coefficients"]);
        let best = expected["objective"].as_f64().unwrap();
        let fit = |data: &Dataset<'_, f64>| {
            l1_model(expected).fit(data, &LogLoss, &Run::default()).unwrap()
        };
        // Formed for up to 256 columns, by columns for more.
        let sparse = CsMat::csr_from_dense(case.dense.view(), 0.0);
        let wide = case.widened();
        for (form, fitted, tolerance) in [
            ("dense", fit(&case.data(&case.dense)), 1e-7),
            ("sparse", fit(&case.data(&sparse)), 1e-7),
            ("by columns", fit(&case.data(&wide)), 1e-4),
        ] {
            let what = format!("{} {form} l1 = {}", case.name, expected["l1"]);
            assert_eq!(fitted.diagnostics().stop, StopReason::Converged, "{what}");
            let excess = fitted.diagnostics().objective / best - 1.0;
            assert!(excess.abs() < 1e-10, "{what}: {excess:e} above the optimum");
            for (j, (found, expected)) in
                fitted.coefficients().iter().zip(&coefficients).enumerate()
            {
                assert_eq!(*found == 0.0, *expected == 0.0, "{what}: column {j} is {found}");
                assert!((found - expected).abs() < tolerance, "{what}: {j}: {found} {expected}");
            }
        }
    }
}

#[test]
fn a_large_l1_leaves_the_intercept_alone() {
    let case = &Case::all()[0];
    let data = case.data(&case.dense);
    let fitted = LogisticRegression::new().l1(1e4).unwrap().fit(&data, &LogLoss, &Run::default());
    let fitted = fitted.unwrap();
    assert!(fitted.coefficients().iter().all(|&c| c == 0.0));
    assert!((fitted.intercept() - data.totals().log_odds()).abs() < 1e-10);
    assert!(LogisticRegression::new().l1(-1.0).is_err());
    assert!(LogisticRegression::new().l1(f64::NAN).is_err());
}

#[test]
fn a_warm_start_ends_at_the_same_minimum_sooner() {
    let cases = Case::all();
    let case = cases.iter().find(|case| case.name == "wide_ridge").unwrap();
    let data = case.data(&case.dense);
    let fit = |model: &LogisticRegression| model.fit(&data, &LogLoss, &Run::default()).unwrap();
    for l1 in [0.0, 0.3] {
        let model = |l2: f64| LogisticRegression::new().l1(l1).unwrap().l2(l2).unwrap();
        let near = fit(&model(1.0));
        let cold = fit(&model(1.01));
        let warm = fit(&model(1.01).start_from(&near));
        assert!(warm.diagnostics().iterations < cold.diagnostics().iterations);
        for (a, b) in warm.coefficients().iter().zip(cold.coefficients()) {
            assert!((a - b).abs() < 1e-7, "{a} {b}");
        }
        let narrow =
            quarter(&Array2::zeros((8, 2))).view().fit_error(&model(1.0).start_from(&near));
        assert!(matches!(narrow, Error::ColumnMismatch { found: 2, expected: 60 }), "{narrow}");
    }
}

trait FitError {
    fn fit_error(&self, model: &LogisticRegression) -> Error;
}

impl FitError for Dataset<'_, f64> {
    fn fit_error(&self, model: &LogisticRegression) -> Error {
        model.fit(self, &LogLoss, &Run::default()).unwrap_err()
    }
}

#[test]
fn focal_loss_at_one_in_a_thousand_converges_from_zero_and_its_calibrated_mean_is_right() {
    use imbalance::calibration::PriorCorrection;
    use imbalance::loss::FocalLoss;

    // Two groups of 50,000 rows, with 80 and 20 positives: the model can say each group's rate, so each
    // must come out exactly.
    let x = Array2::from_shape_fn((100_000, 1), |(i, _)| (i % 2) as f64);
    let positive = |i: usize| match i % 2 {
        1 => i / 2 < 80,
        _ => i / 2 < 20,
    };
    let data = Dataset::new(&x, (0..100_000).map(positive).collect::<Vec<_>>()).unwrap();
    // Balanced classes under a heavy L1 give the zero to start from, where every positive has a negative
    // second derivative.
    let balanced: Vec<bool> = (0..8).map(|i| i < 4).collect();
    let small = Array2::from_shape_fn((8, 1), |(i, _)| (i % 2) as f64);
    let balanced = Dataset::new(&small, balanced).unwrap();
    let zero = LogisticRegression::new().l1(100.0).unwrap();
    let zero = zero.fit(&balanced, &LogLoss, &Run::default()).unwrap();
    assert!(zero.coefficients() == [0.0] && zero.intercept().abs() < 1e-12);

    let model = LogisticRegression::new().l2(0.0).unwrap();
    for model in [model.clone(), model.start_from(&zero)] {
        let pipeline = imbalance::Pipeline::new(model)
            .loss(FocalLoss::new(2.0).unwrap())
            .calibrator(PriorCorrection::new());
        let fitted = pipeline.fit(&data).unwrap();
        assert_eq!(fitted.model().diagnostics().stop, StopReason::Converged);
        // To the half of the digits that an objective known to ten digits leaves them.
        for (row, rate) in [([1.0], 80.0 / 50_000.0), ([0.0], 20.0 / 50_000.0)] {
            let p = fitted.probability(&row).unwrap();
            assert!((p / rate - 1.0).abs() < 1e-5, "{p} for {rate}");
        }
        let p = fitted.probabilities(&x).unwrap();
        let mean = p.iter().sum::<f64>() / p.len() as f64;
        assert!((mean / 1e-3 - 1.0).abs() < 1e-5, "{mean}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The laws of a weighted likelihood: weight 2 is a row twice, weight 0 is no row, row order is
    /// nothing, and Σp = Σy where the intercept is free.
    #[test]
    fn laws_of_the_likelihood(
        rows in prop::collection::vec((-3.0..3.0, -3.0..3.0, prop::bool::ANY, 0_u8..4), 30..80),
    ) {
        let weight = |w: u8| f64::from(w);
        let positive: f64 = rows.iter().filter(|r| r.2).map(|r| weight(r.3)).sum();
        let negative: f64 = rows.iter().filter(|r| !r.2).map(|r| weight(r.3)).sum();
        prop_assume!(positive > 0.0 && negative > 0.0);
        let matrix = |rows: &[(f64, f64, bool, u8)]| {
            Array2::from_shape_fn((rows.len(), 2), |(i, j)| if j == 0 { rows[i].0 } else { rows[i].1 })
        };
        let labels = |rows: &[(f64, f64, bool, u8)]| rows.iter().map(|r| r.2).collect::<Vec<_>>();
        let weights = |rows: &[(f64, f64, bool, u8)]| rows.iter().map(|r| weight(r.3)).collect::<Vec<_>>();

        let x = matrix(&rows);
        let data = Dataset::new(&x, labels(&rows)).unwrap().with_weights(weights(&rows)).unwrap();
        let weighted = plain_fit(&data, 0.5).unwrap();

        let repeated: Vec<_> =
            rows.iter().flat_map(|row| std::iter::repeat_n(*row, usize::from(row.3))).collect();
        let x2 = matrix(&repeated);
        let twice = plain_fit(&Dataset::new(&x2, labels(&repeated)).unwrap(), 0.5).unwrap();

        let mut reversed = rows.clone();
        reversed.reverse();
        let x3 = matrix(&reversed);
        let data3 = Dataset::new(&x3, labels(&reversed)).unwrap().with_weights(weights(&reversed)).unwrap();
        let backwards = plain_fit(&data3, 0.5).unwrap();

        for other in [&twice, &backwards] {
            for (a, b) in weighted.coefficients().iter().zip(other.coefficients()) {
                prop_assert!((a - b).abs() < 1e-9);
            }
            prop_assert!((weighted.intercept() - other.intercept()).abs() < 1e-9);
        }

        let mut logits = vec![0.0; rows.len()];
        weighted.logits_into(data.features(), &mut logits).unwrap();
        let predicted: f64 = logits.iter().zip(&rows)
            .map(|(&z, row)| weight(row.3) * LogLoss.posterior(z)).sum();
        prop_assert!((predicted / positive - 1.0).abs() < 1e-9, "{predicted} for {positive}");
    }
}

#[test]
fn features_of_any_size_give_a_finite_answer_or_a_typed_error() {
    // Squares of 1e200 overflow and those of 1e-200 vanish, so curvature is lost, not just digits.
    for scale in [1e-308, 1e-200, 1e-100, 1e-8, 1e8, 1e100, 1e154, 1e200, 1e308] {
        for l2 in [0.0, 1.0] {
            let x = Array2::from_shape_fn((80, 2), |(i, j)| {
                if j == 0 { scale * (i as f64 * 0.7).sin() } else { (i as f64 * 1.3).cos() }
            });
            let wide = CsMat::csr_from_dense(
                Array2::from_shape_fn((80, 300), |(i, j)| if j < 2 { x[(i, j)] } else { 0.0 })
                    .view(),
                0.0,
            );
            let labels: Vec<bool> = (0..80).map(|row| row % 4 == 0).collect();
            for data in [Dataset::new(&x, &labels).unwrap(), Dataset::new(&wide, &labels).unwrap()]
            {
                match plain_fit(&data, l2) {
                    Ok(fitted) => {
                        let mut logits = vec![0.0; 80];
                        fitted.logits_into(data.features(), &mut logits).unwrap();
                        let predicted: f64 = logits.iter().map(|&z| LogLoss.posterior(z)).sum();
                        assert!(fitted.diagnostics().converged(), "{scale:e} {l2}: {fitted:?}");
                        assert!(
                            (predicted / 20.0 - 1.0).abs() < 1e-6,
                            "{scale:e} {l2}: {predicted}"
                        );
                    }
                    Err(error) => {
                        assert!(
                            matches!(error, Error::Numerical { .. }),
                            "{scale:e} {l2}: {error}"
                        );
                    }
                }
            }
        }
    }
}
