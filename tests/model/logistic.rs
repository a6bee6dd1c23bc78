//! Logistic regression against independent high-precision solutions, and on every input that has
//! tripped such solvers before. The fixtures and their generators are described in
//! `tests/fixtures/README.md`.

use std::sync::Arc;

use approx::{assert_abs_diff_eq, assert_relative_eq};
use imbalance::loss::{
    AsymmetricLoss, Derivatives, FocalLoss, LabelSmoothing, LogLoss, Loss, WeightedLogLoss,
};
use imbalance::model::logistic::{Collinearity, Covariance, Objective, StopReason};
use imbalance::model::{FittedLogisticRegression, LogisticRegression, Model, Predict, RareEvents};
use imbalance::ndarray::{Array2, ShapeBuilder};
use imbalance::sprs::{CsMat, TriMat};
use imbalance::{Dataset, Error, Features, Row, Run, Separation};
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
        let text = include_str!("../fixtures/logistic.json");
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

    fn fit(&self, data: &Dataset<'_>) -> FittedLogisticRegression {
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
        // Sparse rows, whose most frequent columns precondition the rest, and dense ones.
        let sparse = case.widened();
        let dense = sparse.to_dense();
        for fitted in [case.fit(&case.data(&sparse)), case.fit(&case.data(&dense))] {
            // The promise is 1e-9 of the objective, which leaves the coefficients about half the digits.
            let best = case.solution["objective"].as_f64().unwrap();
            let excess = fitted.diagnostics().objective - best;
            assert!(excess.abs() <= 1e-10 * best, "{}: {:e} above", case.name, excess / best);
            assert!(fitted.coefficients()[case.dense.ncols()..].iter().all(|&c| c == 0.0));
        }
    }
}

#[test]
fn every_loss_has_the_same_minimum_by_conjugate_gradients() {
    // Steps are searched along there, with the second derivatives of losses that are not convex, too.
    let losses: [&dyn Loss; 5] = [
        &LogLoss,
        &WeightedLogLoss::balanced(),
        &FocalLoss::new(2.0).unwrap(),
        &AsymmetricLoss::new(1.0, 3.0, 0.05).unwrap(),
        &LabelSmoothing::new(LogLoss, 0.1).unwrap(),
    ];
    for case in Case::all().iter().filter(|case| case.dense.ncols() < 100) {
        let wide = case.widened();
        for loss in losses {
            let model = case.model.clone().l2(case.l2.max(0.5)).unwrap();
            let fit = |data: &Dataset<'_>| model.fit(data, loss, &Run::default()).unwrap();
            let (formed, searched) = (fit(&case.data(&case.dense)), fit(&case.data(&wide)));
            let (one, other) = (formed.diagnostics(), searched.diagnostics());
            assert!(one.converged() && other.converged(), "{} {loss:?}: {other}", case.name);
            assert_relative_eq!(one.objective, other.objective, max_relative = 1e-9);
        }
    }
}

/// The rows of `logistic_wide.json`, as its generator makes them.
fn wide_rows(name: &str) -> (CsMat<f64>, Vec<bool>) {
    let (rows, columns) = if name == "kernels" { (3000, 300) } else { (4000, 651) };
    let mut x = TriMat::new((rows, columns));
    let mut labels = Vec::with_capacity(rows);
    for i in 0..rows {
        let promising = if name == "kernels" {
            for j in 0..columns {
                let u = (i as f64 / 300.0 - j as f64 / 30.0) / 0.4;
                x.add_triplet(i, j, 1.0 / (1.0 + u * u));
            }
            (i / 250) % 2 == 0
        } else {
            let draw = |k: usize| ((i * i * 31 + i * k) % 10_007) as f64 / 10_007.0;
            let mut start = 0;
            for (levels, k) in [(50, 7919), (200, 104_729), (400, 1_299_709)] {
                let u = draw(k);
                x.add_triplet(i, start + (f64::from(levels) * u * u * u) as usize, 1.0);
                start += levels as usize;
            }
            x.add_triplet(i, start, draw(15_485_863) - 0.5);
            let u = draw(7919);
            ((50.0 * u * u * u) as usize).is_multiple_of(3)
        };
        let most = match (name, promising) {
            ("kernels", true) => 300,
            ("kernels", false) => 60,
            (_, true) => 130,
            (_, false) => 50,
        };
        labels.push(i * 7919 % 1000 < most);
    }
    (x.to_csr(), labels)
}

/// The largest distance between two fits' logits, relative above 1.
fn largest_distance(
    data: &Dataset<'_>,
    one: &FittedLogisticRegression,
    other: &FittedLogisticRegression,
) -> f64 {
    let logits = |fit: &FittedLogisticRegression| {
        let mut logits = vec![0.0; data.rows()];
        fit.logits_into(data.features(), &mut logits).unwrap();
        logits
    };
    let pairs = logits(one).into_iter().zip(logits(other));
    pairs.map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max)
}

#[test]
fn many_columns_reach_the_optimum_however_ill_conditioned_cold_and_warm() {
    let cases: Value =
        serde_json::from_str(include_str!("../fixtures/logistic_wide.json")).unwrap();
    let mut warm: Option<(String, FittedLogisticRegression)> = None;
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (l2, best) = (case["l2"].as_f64().unwrap(), case["objective"].as_f64().unwrap());
        let (x, labels) = wide_rows(name);
        let dense = x.to_dense();
        let mut cold: Option<FittedLogisticRegression> = None;
        for (form, data) in [
            ("sparse", Dataset::new(&x, &labels).unwrap()),
            ("dense", Dataset::new(&dense, &labels).unwrap()),
        ] {
            assert_eq!(data.totals().positives as u64, case["positives"].as_u64().unwrap());
            let model = LogisticRegression::new().l2(l2).unwrap();
            let fit =
                |model: &LogisticRegression| model.fit(&data, &LogLoss, &Run::default()).unwrap();
            let from_zero = fit(&model);
            // Warm from the last penalty, and from the minimum itself.
            let mut fits = vec![("at the minimum", fit(&model.clone().start_from(&from_zero)))];
            if let Some((_, near)) = warm.as_ref().filter(|(of, _)| of == name) {
                fits.push(("warm", fit(&model.clone().start_from(near))));
            }
            fits.push(("cold", from_zero.clone()));
            if let Some(sparse) = &cold {
                let distance = largest_distance(&data, sparse, &from_zero);
                println!("{name} λ = {l2}: logits of both layouts {distance:e} apart");
                assert!(distance <= 1e-10, "{name} λ = {l2}: {distance:e}");
            }
            cold = Some(from_zero);
            for (how, fitted) in fits {
                let reached = fitted.diagnostics();
                let excess = reached.objective / best - 1.0;
                println!("{name} {form} λ = {l2} {how}: {excess:e} above, {reached}");
                assert_eq!(reached.stop, StopReason::Converged, "{name} {form} {l2} {how}");
                // The promise is 1e-9; rounding of thousands of terms may leave the sum 1e-13 too low.
                assert!((-1e-13..1e-9).contains(&excess), "{name} {form} {l2} {how}: {excess:e}");
            }
        }
        warm = cold.map(|cold| (name.into(), cold));
    }
}

#[test]
fn rows_forty_times_over_with_forty_times_the_penalty_are_the_same_problem() {
    // Up to 60,000 rows, which are summed in fifteen blocks.
    for case in Case::all().iter().filter(|case| case.name != "badly_scaled") {
        let times = |values: &[f64]| -> Vec<f64> {
            values.iter().copied().cycle().take(40 * values.len()).collect()
        };
        let (n, d) = case.dense.dim();
        let many = Case {
            name: case.name.clone(),
            dense: Array2::from_shape_fn((40 * n, d), |(i, j)| case.dense[(i % n, j)]),
            labels: case.labels.iter().copied().cycle().take(40 * n).collect(),
            weights: case.weights.as_deref().map(times),
            offsets: case.offsets.as_deref().map(times),
            model: LogisticRegression::new().l2(40.0 * case.l2).unwrap().intercept(case.intercept),
            l2: 40.0 * case.l2,
            intercept: case.intercept,
            solution: case.solution.clone(),
        };
        let sparse = CsMat::csr_from_dense(many.dense.view(), 0.0);
        let wide = many.widened();
        // Above 256 columns the objective is known to 1e-10, and a logit to its root.
        let formed = if d <= 256 { 1e-9 } else { 1e-4 };
        for (form, fitted, digits) in [
            ("dense", many.fit(&many.data(&many.dense)), formed),
            ("sparse", many.fit(&many.data(&sparse)), formed),
            ("wide", many.fit(&many.data(&wide)), 1e-4),
        ] {
            let best = 40.0 * case.solution["objective"].as_f64().unwrap();
            assert_relative_eq!(fitted.diagnostics().objective, best, max_relative = 1e-9);
            let expected = numbers(&case.solution["coefficients"]);
            for (j, (found, expected)) in fitted.coefficients().iter().zip(expected).enumerate() {
                let what = format!("{} {form}, column {j}: {found} for {expected}", case.name);
                assert!((found - expected).abs() <= digits * expected.abs().max(1.0), "{what}");
            }
        }
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
        for (form, fit) in fits.iter().enumerate() {
            let distance = largest_distance(&case.data(&case.dense), fit, &plain);
            assert!(distance <= 1e-10, "{} {form}: {distance:e}", case.name);
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
fn quarter(x: &Array2<f64>) -> Dataset<'_> {
    let labels: Vec<bool> = (0..x.nrows()).map(|row| row % 4 == 0).collect();
    Dataset::new(x, labels).unwrap()
}

fn plain_fit(data: &Dataset<'_>, l2: f64) -> Result<FittedLogisticRegression, Error> {
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
    assert_eq!(fitted.diagnostics().collinearity, Collinearity::Present);
    assert!(fitted.diagnostics().to_string().contains("columns are collinear"));
    assert_eq!(fitted.coefficients()[1], 0.0);

    let alone = Array2::from_shape_fn((400, 1), |(i, _)| x[(i, 0)]);
    let reference = plain_fit(&quarter(&alone), 0.0).unwrap();
    assert_eq!(reference.diagnostics().collinearity, Collinearity::Absent);
    assert!(!reference.diagnostics().to_string().contains("collinear"));
    let gap = fitted.diagnostics().objective / reference.diagnostics().objective - 1.0;
    assert!(gap.abs() < 1e-12, "{gap:e}");
    let both = fitted.coefficients()[0] + fitted.coefficients()[3];
    assert!((both - reference.coefficients()[0]).abs() < 1e-6);

    // A penalty chooses.
    let penalised = plain_fit(&quarter(&x), 1e-3).unwrap();
    assert_eq!(penalised.diagnostics().collinearity, Collinearity::Absent);
}

#[test]
fn collinear_columns_are_reported_under_l1_and_above_256_columns_or_not_looked_for() {
    let x = Array2::from_shape_fn((400, 3), |(i, j)| match j {
        0 | 2 => ((i * 7919) % 31) as f64 / 31.0,
        _ => ((i * 104_729) % 17) as f64 / 17.0,
    });
    let collinearity = |x: Features<'_>, l1: f64, l2: f64| {
        let model = LogisticRegression::new().l1(l1).unwrap().l2(l2).unwrap();
        let labels: Vec<bool> = (0..x.nrows()).map(|i| (i * 7) % 20 < 2 + i % 31 / 6).collect();
        let data = Dataset::new(x, labels).unwrap();
        let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
        assert!(fitted.diagnostics().converged());
        (fitted.diagnostics().collinearity, fitted.diagnostics().to_string())
    };
    let two = Array2::from_shape_fn((400, 2), |at| x[at]);
    assert_eq!(collinearity((&two).into(), 0.1, 0.0).0, Collinearity::Absent);
    assert_eq!(collinearity((&x).into(), 0.1, 0.0).0, Collinearity::Present);
    assert_eq!(collinearity((&x).into(), 0.1, 0.1).0, Collinearity::Absent);
    // A column that repeats another, but far from being chosen, leaves nothing open.
    assert_eq!(collinearity((&x).into(), 1e3, 0.0).0, Collinearity::Absent);

    // One-hot columns of 300 levels, five rows of each level; all levels sum to the intercept.
    let one_hot = |columns: usize| {
        let mut x = TriMat::new((1500, columns));
        (0..1500).for_each(|i| x.add_triplet(i, i % 300, 1.0));
        x.to_csr::<usize>()
    };
    let (found, text) = collinearity((&one_hot(300)).into(), 0.0, 1e-3);
    assert_eq!(found, Collinearity::Absent, "{text}");
    let labels: Vec<bool> = (0..1500).map(|i| i / 300 < 1 + i % 3).collect();
    let fit = |columns: usize, rows: usize| {
        let x = one_hot(columns);
        let weights: Vec<f64> = (0..1500).map(|i| if i < rows { 1.0 } else { 0.0 }).collect();
        let data = Dataset::new(&x, &labels).unwrap().with_weights(weights).unwrap();
        plain_fit(&data, 0.0).unwrap().diagnostics().clone()
    };
    assert_eq!(fit(300, 1500).collinearity, Collinearity::NotLookedFor);
    assert!(fit(300, 1500).to_string().contains("not looked for"));
    // A column of zeros, and more columns than rows that weigh something, are plain.
    assert_eq!(fit(301, 1500).collinearity, Collinearity::Present);
    assert_eq!(fit(1600, 1500).collinearity, Collinearity::Present);
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
        (&complete, Separation::Complete),
        (&in_part, Separation::QuasiComplete),
        (&wide, Separation::Complete),
        (&wider, Separation::Complete),
    ] {
        let error = plain_fit(&quarter(x), 0.0).unwrap_err();
        assert!(matches!(error, Error::Separation { kind: found, .. } if found == kind), "{error}");
        assert!(error.to_string().contains("set a positive `l2`"));
        let fitted = plain_fit(&quarter(x), 1.0).unwrap();
        assert!(fitted.diagnostics().converged() && fitted.intercept().is_finite());
    }
}

#[test]
fn a_rare_column_without_a_positive_separates_in_part_among_many_columns() {
    // Level 299 of 300 has five rows, all negative; every other level is mixed.
    let mut x = TriMat::new((1500, 300));
    (0..1500).for_each(|i| x.add_triplet(i, i % 300, 1.0));
    let x: CsMat<f64> = x.to_csr();
    let mixed = |i: usize| i / 300 < 1 + i % 3;
    let fit = |positive: &dyn Fn(usize) -> bool, l2: f64| {
        let data = Dataset::new(&x, (0..1500).map(positive).collect::<Vec<_>>()).unwrap();
        plain_fit(&data, l2)
    };
    let error = fit(&|i| i % 300 != 299 && mixed(i), 0.0).unwrap_err();
    assert!(matches!(error, Error::Separation { kind: Separation::QuasiComplete, .. }), "{error}");
    assert!(fit(&|i| i % 300 != 299 && mixed(i), 1.0).unwrap().diagnostics().converged());
    // With all levels mixed the rates are each level's own.
    let fitted = fit(&mixed, 0.0).unwrap();
    for level in [0, 1, 2, 299] {
        let rate = (1.0 + (level % 3) as f64) / 5.0;
        let z = fitted.coefficients()[level] + fitted.intercept();
        // An objective of 1e3 known to 1e-9, and a curvature of 5 · 0.16: √(2 · 1e-6 / 0.8).
        assert_abs_diff_eq!(z, (rate / (1.0 - rate)).ln(), epsilon = 2e-3);
    }
}

/// A loss with its minimum at ±3, (z − 3)² for positives: it pushes back.
#[derive(Debug, Clone, Copy)]
struct Squares;

/// max(0, 1 − z)² for positives: it has its minimum, zero, from 1 on.
#[derive(Debug, Clone, Copy)]
struct SquaredHinge;

fn mirrored(z: f64, label: bool, at: impl Fn(f64) -> [f64; 3]) -> Derivatives {
    let sign = if label { 1.0 } else { -1.0 };
    let [value, slope, hessian] = at(sign * z);
    Derivatives { value, gradient: sign * slope, hessian }
}

impl Loss for Squares {
    fn at(&self, z: f64, label: bool) -> Derivatives {
        mirrored(z, label, |s| [(s - 3.0).powi(2), 2.0 * (s - 3.0), 2.0])
    }
    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(*self)
    }
}

impl Loss for SquaredHinge {
    fn at(&self, z: f64, label: bool) -> Derivatives {
        mirrored(z, label, |s| {
            let short = (1.0 - s).max(0.0);
            [short * short, -2.0 * short, if short > 0.0 { 2.0 } else { 0.0 }]
        })
    }
    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(*self)
    }
}

#[test]
fn a_loss_that_does_not_pull_for_ever_has_a_minimum_on_separable_classes() {
    let x = Array2::from_shape_fn((40, 1), |(i, _)| if i % 2 == 0 { 1.0 } else { -1.0 });
    let wide = CsMat::csr_from_dense(
        Array2::from_shape_fn((40, 300), |(i, j)| if j == 0 { x[(i, 0)] } else { 0.0 }).view(),
        0.0,
    );
    let labels: Vec<bool> = (0..40).map(|i| i % 2 == 0).collect();
    let fit = |loss: &dyn Loss| {
        [Dataset::new(&x, &labels).unwrap(), Dataset::new(&wide, &labels).unwrap()].map(|data| {
            let model = LogisticRegression::new().l2(0.0).unwrap();
            model.fit(&data, loss, &Run::default()).unwrap()
        })
    };
    // Targets of 0.1 and 0.9: z = ±ln 9.
    let smoothed = LabelSmoothing::new(LogLoss, 0.2).unwrap();
    for (loss, minimum) in [(&smoothed as &dyn Loss, 9_f64.ln()), (&Squares, 3.0)] {
        for fitted in fit(loss) {
            assert_eq!(fitted.diagnostics().stop, StopReason::Converged, "{loss:?}");
            // Four times the root of the 1e-10 that the objective is known to.
            assert_abs_diff_eq!(fitted.coefficients()[0], minimum, epsilon = 4e-5);
            assert_abs_diff_eq!(fitted.intercept(), 0.0, epsilon = 4e-5);
        }
    }
    for fitted in fit(&SquaredHinge) {
        assert!(fitted.diagnostics().converged());
        assert_abs_diff_eq!(fitted.diagnostics().objective, 0.0, epsilon = 1e-12);
    }
    // The others pull for ever: no minimum.
    let data = Dataset::new(&x, &labels).unwrap();
    let losses: [&dyn Loss; 3] = [
        &FocalLoss::new(2.0).unwrap(),
        &WeightedLogLoss::balanced(),
        &AsymmetricLoss::new(0.0, 4.0, 0.05).unwrap(),
    ];
    for loss in losses {
        let model = LogisticRegression::new().l2(0.0).unwrap();
        let error = model.fit(&data, loss, &Run::default()).unwrap_err();
        assert!(matches!(error, Error::Separation { .. }), "{loss:?}: {error}");
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

    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for row in [Row::from(&[1.0, value]), Row::sparse(2, &[1], &[value]).unwrap()] {
            let error = fitted.logit(row).unwrap_err();
            assert!(
                matches!(error, Error::NonFinite { row: 0, column: Some(1), .. }),
                "{value} {row:?}: {error}"
            );
        }
    }
    // Finite features whose logit is not.
    let steep = quarter(&x.mapv(|value| value * 1e-6)).steep();
    let error = steep.logit(Row::from(&[f64::MAX, f64::MAX])).unwrap_err();
    assert!(matches!(error, Error::Numerical { .. }), "{error}");
}

trait Steep {
    fn steep(&self) -> FittedLogisticRegression;
}

impl Steep for Dataset<'_> {
    /// A fit whose coefficients are far above 1.
    fn steep(&self) -> FittedLogisticRegression {
        let fitted = plain_fit(self, 0.0).unwrap();
        assert!(fitted.coefficients().iter().all(|c| c.abs() > 100.0), "{fitted:?}");
        fitted
    }
}

#[test]
fn a_head_start_on_a_quarter_of_the_rows_leads_to_the_same_minimum() {
    // 70,000 rows are enough for it, 60,000 are not: the last 10,000 weigh nothing.
    let rows = 70_000;
    let x = Array2::from_shape_fn((rows, 3), |(i, j)| {
        ((i * i * 31 + i * [7919, 104_729, 1_299_709][j]) % 10_007) as f64 / 10_007.0 - 0.5
    });
    let labels: Vec<bool> =
        (0..rows).map(|i| i * 7919 % 1000 < if x[(i, 0)] > 0.0 { 60 } else { 20 }).collect();
    let weights: Vec<f64> = (0..rows).map(|i| if i < 60_000 { 1.0 } else { 0.0 }).collect();
    let few = Array2::from_shape_fn((60_000, 3), |at| x[at]);
    let all = Dataset::new(&x, &labels).unwrap().with_weights(weights).unwrap();
    let few = Dataset::new(&few, &labels[..60_000]).unwrap();
    for loss in [&LogLoss as &dyn Loss, &FocalLoss::new(2.0).unwrap()] {
        let fit = |data: &Dataset<'_>| {
            LogisticRegression::new().fit(data, loss, &Run::default()).unwrap()
        };
        let (found, expected) = (fit(&all), fit(&few));
        assert_eq!(found.diagnostics().stop, StopReason::Converged);
        assert!(found.diagnostics().iterations < expected.diagnostics().iterations);
        let (found_at, expected_at) = (found.diagnostics(), expected.diagnostics());
        assert_relative_eq!(found_at.objective, expected_at.objective, max_relative = 1e-12);
        for (a, b) in found.coefficients().iter().zip(expected.coefficients()) {
            assert_abs_diff_eq!(a, b, epsilon = 1e-6);
        }
    }
}

#[test]
fn no_features_and_no_intercept_are_no_parameters() {
    let x = Array2::zeros((40, 0));
    let model = LogisticRegression::new().intercept(false);
    for model in [model.clone(), model.l1(1.0).unwrap()] {
        let fitted = model.fit(&quarter(&x), &LogLoss, &Run::default()).unwrap();
        assert!(fitted.coefficients().is_empty() && fitted.intercept() == 0.0);
        assert!(fitted.diagnostics().converged());
        assert_relative_eq!(
            fitted.diagnostics().objective,
            40.0 * 2_f64.ln(),
            max_relative = 1e-14
        );
    }
}

#[test]
fn statistics_leave_out_a_million_columns_of_zeros() {
    let x = CsMat::csr_from_dense(
        Array2::from_shape_fn((40, 2), |(i, j)| ((i * 7 + j * 3) % 11) as f64).view(),
        0.0,
    );
    let (_, indptr, indices, values) =
        (0, x.indptr().raw_storage().to_vec(), x.indices(), x.data());
    let x = CsMat::new((40, 1 << 20), indptr, indices.to_vec(), values.to_vec());
    let data = Dataset::new(&x, (0..40).map(|i| i % 4 == 0).collect::<Vec<_>>()).unwrap();
    let fitted = plain_fit(&data, 0.0).unwrap();
    let inference = fitted.inference(&data, &LogLoss, Covariance::Fisher).unwrap();
    assert_eq!((inference.estimates().len(), inference.left_out().len()), (3, (1 << 20) - 2));
    for model in [RareEvents::new(), RareEvents::new().firth()] {
        let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
        assert_eq!(fitted.inference().estimates().len(), 3);
        assert!(fitted.inference().to_string().len() < 5_000);
    }
}

#[test]
fn the_objective_takes_the_constants_of_its_loss_from_its_rows() {
    let x = Array2::from_shape_fn((40, 1), |(i, _)| i as f64);
    let (value, _) = Objective::new(&quarter(&x), &WeightedLogLoss::balanced(), 0.0, true)
        .unwrap()
        .value_and_gradient(&[0.0, 0.0])
        .unwrap();
    assert_relative_eq!(value, 40.0 * 2_f64.ln(), max_relative = 1e-14);
    // Weights of 2 and 2/3 on 10 and 30 rows: a weight that is not 1 would show in a slope.
    let (_, gradient) = Objective::new(&quarter(&x), &WeightedLogLoss::balanced(), 0.0, true)
        .unwrap()
        .value_and_gradient(&[0.0, 0.0])
        .unwrap();
    assert_abs_diff_eq!(gradient[1], 0.0, epsilon = 1e-13);
    let one_class = Dataset::new(&x, vec![true; 40]).unwrap();
    let error = Objective::new(&one_class, &WeightedLogLoss::balanced(), 0.0, true).unwrap_err();
    assert!(matches!(error, Error::OneClass { .. }), "{error}");
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
        Predict::describe(self)
    }
}

#[test]
fn progress_is_told_and_can_stop_the_fit() {
    use std::ops::ControlFlow;
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
    let text = include_str!("../fixtures/l1.json");
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
        let fit =
            |data: &Dataset<'_>| l1_model(expected).fit(data, &LogLoss, &Run::default()).unwrap();
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
fn focal_loss_under_l1_ends_where_no_subgradient_is_left() {
    let focal = FocalLoss::new(2.0).unwrap();
    let l1 = 1.0;
    let model = LogisticRegression::new().l1(l1).unwrap().l2(0.0).unwrap();
    for name in ["dense_mle", "rare", "offset"] {
        let case = Case::all().into_iter().find(|case| case.name == name).unwrap();
        let data = case.data(&case.dense);
        let wide = case.widened();
        let formed = model.fit(&data, &focal, &Run::default()).unwrap();
        let by_columns = model.fit(&case.data(&wide), &focal, &Run::default()).unwrap();
        let objective = Objective::new(&data, &focal, 0.0, true).unwrap();
        for (form, fitted) in [("formed", &formed), ("by columns", &by_columns)] {
            assert_eq!(fitted.diagnostics().stop, StopReason::Converged, "{name} {form}");
            let beta = &fitted.coefficients()[..case.dense.ncols()];
            let theta: Vec<f64> = beta.iter().copied().chain([fitted.intercept()]).collect();
            let (value, gradient) = objective.value_and_gradient(&theta).unwrap();
            let total = value + l1 * beta.iter().map(|c| c.abs()).sum::<f64>();
            assert_relative_eq!(total, fitted.diagnostics().objective, max_relative = 1e-12);
            // A slope s costs s²/2h, at most the 1e-9 promised: |s| ≤ √(2 · 1e-9 · f h), with h at most
            // the largest curvature, 0.3, times the squares of a column.
            for (j, (&slope, &c)) in gradient.iter().zip(&theta).enumerate() {
                let squares = if j < beta.len() {
                    case.dense.column(j).dot(&case.dense.column(j))
                } else {
                    data.rows() as f64
                };
                let rest = match j < beta.len() {
                    true if c == 0.0 => (slope.abs() - l1).max(0.0),
                    true => (slope + l1 * c.signum()).abs(),
                    false => slope.abs(),
                };
                let most = (2e-9 * total * 0.3 * squares).sqrt();
                assert!(rest <= most, "{name} {form}, column {j}: {rest:e} above {most:e}");
            }
        }
        assert_relative_eq!(
            formed.diagnostics().objective,
            by_columns.diagnostics().objective,
            max_relative = 1e-9
        );
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

impl FitError for Dataset<'_> {
    fn fit_error(&self, model: &LogisticRegression) -> Error {
        model.fit(self, &LogLoss, &Run::default()).unwrap_err()
    }
}

#[test]
fn focal_loss_at_one_in_a_thousand_converges_from_zero_and_its_calibrated_mean_is_right() {
    use imbalance::calibration::PriorCorrection;

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
        assert_eq!(fitted.model().diagnostics().collinearity, Collinearity::Absent);
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
            .map(|(&z, row)| weight(row.3) * LogLoss.posterior().probability(z)).sum();
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
                        let predicted: f64 =
                            logits.iter().map(|&z| LogLoss.posterior().probability(z)).sum();
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
