//! One law for every fit: features, weights, penalties and losses in other units give the same predictions, or a typed
//! error, to the ends of `f64`.

use imbalance::loss::{Derivatives, LogLoss, Loss, Posterior, WeightedLogLoss};
use imbalance::model::logistic::Objective;
use imbalance::model::{FitWarning, FtrlProximal, LogisticRegression, Model, Predict, RareEvents};
use imbalance::ndarray::Array2;
use imbalance::sprs::CsMat;
use imbalance::{Dataset, Error, Run};
use std::sync::Arc;

const ROWS: usize = 48;

/// Powers of ten, dense where squares leave the range of `f64`.
fn powers() -> impl Iterator<Item = f64> {
    let all = (-305..=305).step_by(20).chain(-165..=-145).chain(145..=165).chain([-308, -322, 307]);
    all.map(|k| 10_f64.powi(k)).filter(|&c| c > 0.0)
}

fn x(scale: f64) -> Array2<f64> {
    Array2::from_shape_fn((ROWS, 2), |(i, j)| {
        // Eighths, which a power of ten as factor rounds alike.
        let value = ((i * (3 + 2 * j) + 5 * j) % 17) as f64 / 8.0 - 1.0;
        if j == 0 { scale * value } else { value }
    })
}

fn labels() -> Vec<bool> {
    (0..ROWS).map(|i| (i * 7 + i / 5) % 4 == 0).collect()
}

fn data(scale: f64, sparse: bool) -> Dataset<'static> {
    match sparse {
        true => Dataset::new(CsMat::csr_from_dense(x(scale).view(), 0.0), labels()).unwrap(),
        false => Dataset::new(x(scale), labels()).unwrap(),
    }
}

fn logits<M: Model>(model: &M, data: &Dataset<'_>, loss: &dyn Loss) -> Result<Vec<f64>, Error> {
    let fitted = model.fit(data, loss, &Run::default())?;
    let mut out = vec![0.0; data.rows()];
    fitted.logits_into(data.features(), &mut out)?;
    assert!(out.iter().all(|z| z.is_finite()), "{out:?}");
    Ok(out)
}

/// Equal logits to `tolerance`, or an error of the arithmetic. Returns whether there were logits.
fn same(found: Result<Vec<f64>, Error>, expected: &[f64], tolerance: f64, case: &str) -> bool {
    match found {
        Ok(found) => {
            for (found, expected) in found.iter().zip(expected) {
                let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
                assert!(close, "{case}: {found} {expected}");
            }
            true
        }
        Err(Error::Numerical { .. } | Error::InvalidArgument { .. }) => false,
        Err(error) => panic!("{case}: {error}"),
    }
}

#[test]
fn the_unit_of_a_column_changes_no_fit() {
    let plain = LogisticRegression::new().l2(0.0).unwrap();
    let expected = logits(&plain, &data(1.0, false), &LogLoss).unwrap();
    for c in powers() {
        for sparse in [false, true] {
            // Where c · x is below the normal numbers it has lost digits before the fit.
            let tolerance = if c < 1e-300 { 0.1 } else { 1e-8 };
            let found = logits(&plain, &data(c, sparse), &LogLoss);
            let fits = same(found, &expected, tolerance, &format!("λ = 0, {c:e}"));
            assert!(fits || !(1e-305..=1e305).contains(&c), "{c:e}");
        }
        // λ and λ₁ are on the coefficients: they take the squared unit, and the unit.
        for (l2, l1) in [(1.0, 0.0), (0.0, 0.5)] {
            let both = |c: f64| Array2::from_shape_fn((ROWS, 2), |at| x(1.0)[at] * c);
            let model = |l2: f64, l1: f64| LogisticRegression::new().l2(l2)?.l1(l1);
            let expected = logits(&model(l2, l1).unwrap(), &data(1.0, false), &LogLoss).unwrap();
            let (l2, l1) = (l2 * c * c, l1 * c);
            let lost = (l2 == 0.0) == (l1 == 0.0)
                || [l2, l1].iter().any(|l| (0.0..1e-290).contains(l) && *l > 0.0);
            let Ok(model) = model(l2, l1) else { continue };
            if !lost {
                let data = Dataset::new(both(c), labels()).unwrap();
                same(
                    logits(&model, &data, &LogLoss),
                    &expected,
                    1e-6,
                    &format!("{l2:e} {l1:e} {c:e}"),
                );
            }
        }
    }
}

#[test]
fn the_objective_of_tiny_features_is_that_of_ordinary_ones() {
    // Finding A6: 24.5635 for 24.0334, and 24.24 at 1e-155.
    let fit = |c: f64| {
        let model = LogisticRegression::new().l2(0.0).unwrap();
        model.fit(&data(c, false), &LogLoss, &Run::default()).unwrap().diagnostics().clone()
    };
    let expected = fit(1.0).objective;
    for c in [1e-150, 1e-155, 1e-160, 1e-162, 1e-200, 1e-290, 1e160, 1e290] {
        let found = fit(c);
        assert!(
            (found.objective / expected - 1.0).abs() < 1e-10 && found.converged(),
            "{c:e}: {found}"
        );
    }
}

#[test]
fn rare_events_are_the_same_or_refused() {
    let firth = || RareEvents::new().firth_with_intervals(None).unwrap();
    let models = [
        RareEvents::new(),
        RareEvents::new().maximum_likelihood(),
        RareEvents::new().weighting(0.1).unwrap(),
        RareEvents::new().prior_correction(0.1).unwrap().corrected_probabilities(true),
        firth(),
        RareEvents::new().firth(),
    ];
    for model in models {
        let expected = logits(&model, &data(1.0, false), &LogLoss).unwrap();
        for c in powers().chain([1e-59, 1e59]) {
            let fits = same(
                logits(&model, &data(c, false), &LogLoss),
                &expected,
                1e-7,
                &format!("{model:?} {c:e}"),
            );
            assert!(fits || !(1e-59..=1e59).contains(&c), "{model:?} {c:e}");
        }
    }
}

#[test]
fn the_unit_of_weights_and_losses_changes_no_fit() {
    for (l2, l1) in [(0.0, 0.0), (1.0, 0.0), (0.5, 0.5)] {
        let model = |c: f64| LogisticRegression::new().l2(l2 * c)?.l1(l1 * c);
        let expected = logits(&model(1.0).unwrap(), &data(1.0, false), &LogLoss).unwrap();
        for c in powers() {
            let case = format!("λ = {l2}, λ₁ = {l1}, {c:e}");
            let Ok(model) = model(c) else { continue };
            let tolerance = if c < 1e-300 { 0.1 } else { 1e-6 };
            let Ok(weighted) = data(1.0, false).with_weights(vec![c; ROWS]) else { continue };
            same(logits(&model, &weighted, &LogLoss), &expected, tolerance, &case);
            if let Ok(loss) = WeightedLogLoss::given(c, c) {
                same(
                    logits(&model, &data(1.0, false), &loss),
                    &expected,
                    tolerance,
                    &format!("loss, {case}"),
                );
            }
        }
    }
}

#[test]
fn ftrl_and_offsets_of_any_size_stay_finite() {
    let (ftrl, plain) = (FtrlProximal::new(), LogisticRegression::new());
    for c in powers() {
        for model in [ftrl, ftrl.l1(0.1).unwrap(), ftrl.in_order(true)] {
            // The step sizes have a unit, so other units are another learner.
            let _ = logits(&model, &data(c, true), &LogLoss);
            if let Ok(data) = data(1.0, false).with_weights(vec![c; ROWS]) {
                let _ = logits(&model, &data, &LogLoss);
            }
        }
        let labels = labels();
        let offsets = labels.iter().zip(0..).map(|(&y, i)| if y { c } else { f64::from(i) * 0.1 });
        let data = data(1.0, false).with_offsets(offsets.collect::<Vec<_>>()).unwrap();
        for found in [logits(&ftrl, &data, &LogLoss), logits(&plain, &data, &LogLoss)] {
            assert!(matches!(found, Ok(_) | Err(Error::Numerical { .. })), "{c:e}: {found:?}");
        }
    }
}

/// A loss whose derivatives are not numbers.
#[derive(Debug, Clone)]
struct Broken {
    gradient: f64,
    hessian: f64,
}

impl Loss for Broken {
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        let Derivatives { value, gradient, hessian } = LogLoss.at(logit, label);
        Derivatives { value, gradient: gradient + self.gradient, hessian: hessian + self.hessian }
    }
    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(self.clone())
    }
    fn posterior(&self) -> Posterior {
        Posterior::Identity
    }
}

#[test]
fn derivatives_that_are_no_numbers_are_refused() {
    let models = [(1.0, 0.0), (0.0, 0.0), (0.5, 0.5)]
        .map(|(l2, l1)| LogisticRegression::new().l2(l2).unwrap().l1(l1).unwrap());
    for model in models {
        for (gradient, hessian) in [(f64::NAN, 0.0), (0.0, f64::NAN)] {
            let found = logits(&model, &data(1.0, false), &Broken { gradient, hessian });
            assert!(
                matches!(found, Err(Error::Contract { .. } | Error::Numerical { .. })),
                "{model:?} {gradient} {hessian}: {found:?}"
            );
        }
    }
    let found = logits(
        &FtrlProximal::new(),
        &data(1.0, false),
        &Broken { gradient: f64::NAN, hessian: 0.0 },
    );
    assert!(matches!(found, Err(Error::Numerical { .. })), "{found:?}");
}

/// Numbers that are spread evenly over \[0, 1).
fn spread(i: usize, j: usize) -> f64 {
    let steps = [
        0.618_033_988_749_894_9,
        0.414_213_562_373_095_1,
        0.732_050_807_568_877_2,
        0.645_751_311_064_590_6,
        0.162_277_660_168_379_5,
        0.316_624_790_355_399_8,
        0.605_551_275_463_989_3,
        0.123_105_625_617_660_6,
        0.358_898_943_540_673_6,
        0.795_831_523_312_719_5,
    ];
    ((i + 1) as f64 * steps[j]).fract()
}

#[test]
fn a_correction_that_exceeds_its_estimate_is_a_warning() {
    // 6 events among 400 rows of 10 columns. By an independent program the correction is 1.149221565 times as large as
    // the estimate, and predicts 59 times as many events as there were.
    let x = Array2::from_shape_fn((400, 10), |(i, j)| spread(i, j));
    let mut order: Vec<usize> = (0..400).collect();
    let score = |i: usize| 4.0 * spread(i, 0) + 3.0 * spread(i, 1) + 2.0 * spread(i, 2);
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let few: Vec<bool> =
        (0..400).map(|i| [0, 8, 22, 34, 43, 50].iter().any(|&place| order[place] == i)).collect();
    let many: Vec<bool> =
        (0..400).map(|i| ((i * 7919) % 1000) as f64 / 1000.0 < 0.1 + 0.3 * spread(i, 0)).collect();
    let warning = |labels: &[bool], model: RareEvents| {
        let data = Dataset::new(&x, labels).unwrap();
        model.fit(&data, &LogLoss, &Run::default()).unwrap().warning()
    };
    let found = warning(&few, RareEvents::new());
    let Some(FitWarning::CorrectionExceedsEstimate { share, positives: 6 }) = found else {
        panic!("{found:?}");
    };
    assert!((share - 1.149_221_565).abs() < 1e-6, "{share}");
    assert_eq!(warning(&few, RareEvents::new().maximum_likelihood()), None);
    assert_eq!(warning(&few, RareEvents::new().firth_with_intervals(None).unwrap()), None);
    assert_eq!(warning(&many, RareEvents::new()), None);
}

#[test]
fn firth_converges_where_a_threshold_separates_the_classes() {
    // The first column alone separates 12 events from 588 others, and the others follow it. The values are those of an
    // independent program: tests/fixtures/generate_firth.py.
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/firth.json")).unwrap();
    for case in fixture.as_array().unwrap() {
        let columns = case["columns"].as_u64().unwrap() as usize;
        let x = Array2::from_shape_fn((600, columns), |(i, j)| match j {
            0 => spread(i, 0),
            _ => spread(i, j) + 2.0 * spread(i, 0),
        });
        let y: Vec<bool> = (0..600).map(|i| spread(i, 0) > 0.98).collect();
        let data = Dataset::new(x, y).unwrap();
        let model = RareEvents::new().firth_with_intervals(None).unwrap();
        let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
        let value = case["log_likelihood"].as_f64().unwrap();
        assert!((fitted.diagnostics().objective + value).abs() < 1e-8, "{}", fitted.diagnostics());
        let expected =
            case["theta"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap());
        let found = fitted.coefficients().iter().copied().chain([fitted.intercept()]);
        for (found, expected) in found.zip(expected) {
            // Steps end at a millionth of a standard error, which is of the order of the coefficient.
            assert!(
                (found - expected).abs() < 1e-5 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
        assert!(fitted.diagnostics().iterations < 100, "{}", fitted.diagnostics());
    }
}

/// One positive, and offsets that make most rows certain: the values are those of an independent program,
/// `tests/fixtures/generate_firth.py`.
#[test]
fn firth_starts_where_rows_have_information() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/firth_offsets.json")).unwrap();
    let x = Array2::from_shape_fn((200, 2), |(i, j)| {
        ((i * (7 + 4 * j) + 3 * j) % 31) as f64 / 15.0 - 1.0
    });
    let numbers = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let labels: Vec<bool> = (0..200).map(|i| i == 20).collect();
    let fit = |offsets: Vec<f64>| {
        let data = Dataset::new(&x, &labels).unwrap().with_offsets(offsets).unwrap();
        RareEvents::new().firth_with_intervals(None).unwrap().fit(&data, &LogLoss, &Run::default())
    };
    for case in fixture.as_array().unwrap() {
        let fitted = fit(numbers(&case["offsets"])).unwrap();
        let found = fitted.coefficients().iter().copied().chain([fitted.intercept()]);
        for (found, expected) in found.zip(numbers(&case["theta"])) {
            let name = &case["name"];
            assert!((found - expected).abs() < 1e-6, "{name}: {found} {expected}");
        }
    }
    // Where it still cannot be computed, the offsets are named.
    let found = fit((0..200).map(|i| -7e3 * f64::from(i % 101)).collect());
    match found {
        Ok(fitted) => assert!(fitted.coefficients().iter().all(|beta| beta.is_finite())),
        Err(error) => assert!(error.to_string().contains("offsets"), "{error}"),
    }
}

#[test]
fn separation_names_the_column_that_does_it() {
    let labels: Vec<bool> = (0..40).map(|i| i % 5 == 0).collect();
    let column = |x: Array2<f64>| {
        for sparse in [false, true] {
            let data = match sparse {
                false => Dataset::new(x.clone(), &labels),
                true => Dataset::new(CsMat::csr_from_dense(x.view(), 0.0), &labels),
            };
            let found =
                logits(&LogisticRegression::new().l2(0.0).unwrap(), &data.unwrap(), &LogLoss);
            let Err(error @ Error::Separation { column, .. }) = found else { panic!("{found:?}") };
            assert_eq!(error.to_string().contains("does so alone"), column.is_some());
            assert_eq!(column, x[[0, 3]].is_sign_positive().then_some(1), "{error}");
        }
    };
    // Column 1 is above 1 for positives; then it is 1 for some of them and 0 elsewhere; then columns 1 and 2 do it
    // together, which the sign of column 3 tells the check.
    let base = |i: usize, j: usize| if j == 3 { 1.0 } else { spread(i, j) };
    column(Array2::from_shape_fn((40, 4), |(i, j)| match j {
        1 => spread(i, 1) + 2.0 * f64::from(u8::from(labels[i])),
        _ => base(i, j),
    }));
    column(Array2::from_shape_fn((40, 4), |(i, j)| match j {
        1 => f64::from(u8::from(labels[i] && i < 20)),
        _ => base(i, j),
    }));
    column(Array2::from_shape_fn((40, 4), |(i, j)| match j {
        1 => spread(i, 1) + 0.5 * f64::from(u8::from(labels[i])),
        2 => -spread(i, 1) + 0.5 * f64::from(u8::from(labels[i])),
        3 => -1.0,
        _ => base(i, j),
    }));
}

/// So many columns that no machine has memory for a number each.
#[test]
fn more_columns_than_memory_are_refused_before_anything_is_made() {
    for columns in [1 << 45, 1 << 59, (1 << 60) - 1] {
        let x = CsMat::new((4, columns), vec![0, 1, 1, 1, 1], vec![columns - 1], vec![1.0]);
        let data = Dataset::new(x, vec![true, false, false, true]).unwrap();
        let is_named =
            |error: Error| matches!(error, Error::InvalidArgument { argument: "columns", .. });
        let run = Run::default();
        let ridge = LogisticRegression::new();
        let lasso = LogisticRegression::new().l1(0.1).unwrap();
        assert!(is_named(ridge.fit(&data, &LogLoss, &run).unwrap_err()), "{columns}");
        assert!(is_named(lasso.fit(&data, &LogLoss, &run).unwrap_err()), "{columns}");
        assert!(is_named(FtrlProximal::new().fit(&data, &LogLoss, &run).unwrap_err()));
        assert!(is_named(FtrlProximal::new().learner(columns, LogLoss).unwrap_err()));
        assert!(is_named(data.zero_columns().unwrap_err()));
        assert!(is_named(data.drop_columns(&[0]).unwrap_err()));
        assert!(is_named(RareEvents::new().fit(&data, &LogLoss, &run).unwrap_err()));
    }
}

#[test]
fn an_objective_that_overflows_is_an_error() {
    let x = Array2::from_shape_fn((8, 1), |(i, _)| if i % 2 == 0 { f64::MAX } else { f64::MIN });
    let labels: Vec<bool> = (0..8).map(|i| i < 3).collect();
    let data = Dataset::new(&x, labels).unwrap().with_weights(vec![1e300; 8]).unwrap();
    let objective = Objective::new(&data, &LogLoss, 1.0, true).unwrap();
    // The terms of the gradient are ∞ and −∞.
    let found = objective.value_and_gradient(&[0.0, 0.0]);
    assert!(matches!(found, Err(Error::Numerical { .. })), "{found:?}");
    for bad in [f64::NAN, f64::INFINITY] {
        let found = objective.value_and_gradient(&[0.0, bad]);
        assert!(matches!(found, Err(Error::NonFinite { row: 1, .. })), "{found:?}");
    }
}
