//! FTRL-Proximal against its published update rule, its laws and the batch optimum.

use imbalance::Precision;
use imbalance::loss::{FocalLoss, LogLoss, Loss, WeightedLogLoss};
use imbalance::metrics::{normalised_entropy, predicted_over_observed};
use imbalance::model::{
    FitWarning, FittedFtrl, FnPredict, FtrlLearner, FtrlProximal, FtrlState, GivenLogits,
    LogisticRegression, Model, Predict,
};
use imbalance::ndarray::{Array2, array};
use imbalance::prelude::{Pipeline, PriorCorrection, RandomUnderSampler, SyntheticClicks};
use imbalance::{Dataset, Error, Features, FeaturesView, Row, Run};
use proptest::prelude::*;

/// Algorithm 1 of McMahan et al. 2013, written down as it is printed, with n rather than its root; the
/// intercept is the last coordinate, with λ₁ = λ₂ = 0.
struct Published {
    alpha: f64,
    beta: f64,
    l1: f64,
    l2: f64,
    z: Vec<f64>,
    n: Vec<f64>,
}

impl Published {
    fn weight(&self, i: usize) -> f64 {
        let last = i + 1 == self.z.len();
        let (l1, l2) = if last { (0.0, 0.0) } else { (self.l1, self.l2) };
        if self.z[i].abs() <= l1 {
            0.0
        } else {
            -(self.z[i] - self.z[i].signum() * l1)
                / ((self.beta + self.n[i].sqrt()) / self.alpha + l2)
        }
    }

    fn learn(&mut self, x: &[f64], label: bool, weight: f64, offset: f64) -> f64 {
        let w: Vec<f64> = (0..self.z.len()).map(|i| self.weight(i)).collect();
        let logit: f64 = x.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>() + offset;
        let p = 1.0 / (1.0 + (-logit).exp());
        for i in 0..x.len() {
            if x[i] == 0.0 {
                continue;
            }
            let g = weight * (p - f64::from(label)) * x[i];
            let sigma = ((self.n[i] + g * g).sqrt() - self.n[i].sqrt()) / self.alpha;
            self.z[i] += g - sigma * w[i];
            self.n[i] += g * g;
        }
        p
    }
}

/// Algorithm 1 starts with all coefficients at 0.
fn from_one_half() -> FtrlProximal {
    FtrlProximal::new().base_rate(0.5).unwrap()
}

fn settings() -> FtrlProximal {
    from_one_half().alpha(0.3).unwrap().beta(0.7).unwrap().l1(0.05).unwrap().l2(0.2).unwrap()
}

#[test]
fn the_first_two_rows_by_hand() {
    // α = 0.5, β = 1, λ₁ = 0.1, λ₂ = 0.5, no intercept, x = 2 and y = 1: p = ½, g = −1, σ = 1/α = 2,
    // z = −1, n = 1, w = (1 − 0.1) / ((1 + 1)/0.5 + 0.5) = 0.2.
    let ftrl = from_one_half().alpha(0.5).unwrap().l1(0.1).unwrap().l2(0.5).unwrap();
    let mut learner = ftrl.intercept(false).learner(1, LogLoss).unwrap();
    let row = |x: f64, label| Dataset::new(array![[x]], vec![label]).unwrap();
    learner.partial_fit(&row(2.0, true)).unwrap();
    assert_eq!(learner.fitted().unwrap().coefficients(), [0.9 / 4.5]);
    // x = 1 and y = 0: p = σ(0.2), g = p, σ = 2(√(1 + p²) − 1), z = −1 + p − 0.2 σ.
    learner.partial_fit(&row(1.0, false)).unwrap();
    let p = 1.0 / (1.0 + (-0.2_f64).exp());
    let root = (1.0 + p * p).sqrt();
    let z = -1.0 + p - 0.2 * 2.0 * (root - 1.0);
    let w = (-z - 0.1) / ((1.0 + root) / 0.5 + 0.5);
    assert!((learner.fitted().unwrap().coefficients()[0] - w).abs() < 1e-15);
    let validation = learner.validation();
    let losses = [2_f64.ln(), -(1.0 - p).ln()];
    assert!((validation.log_loss().unwrap() - 0.5 * (losses[0] + losses[1])).abs() < 1e-15);
    assert!((validation.predicted_over_observed().unwrap() - (0.5 + p)).abs() < 1e-15);
    let ne = (losses[0] + losses[1]) / (2.0 * 2_f64.ln());
    assert!((validation.normalised_entropy().unwrap() - ne).abs() < 1e-15);
    assert_eq!(validation.rows(), 2);
}

type Drawn = Vec<([f64; 3], bool, f64, f64)>;

fn drawn() -> impl Strategy<Value = Drawn> {
    let value = prop_oneof![Just(0.0), -2.0..2.0_f64];
    let row = ([value.clone(), value.clone(), value], prop::bool::ANY, 0.0..3.0, -1.0..1.0);
    prop::collection::vec(row, 2..60)
}

fn dataset(rows: &Drawn, sparse: bool) -> Dataset<'static> {
    let x = Array2::from_shape_fn((rows.len(), 3), |(i, j)| rows[i].0[j]);
    let features: Features<'static> = if sparse {
        imbalance::sprs::CsMat::csr_from_dense(x.view(), 0.0).into()
    } else {
        x.into()
    };
    Dataset::new(features, rows.iter().map(|row| row.1).collect::<Vec<_>>())
        .unwrap()
        .with_offsets(rows.iter().map(|row| row.3).collect::<Vec<_>>())
        .unwrap()
        .with_weights(rows.iter().map(|row| row.2 + 0.01).collect::<Vec<_>>())
        .unwrap()
}

fn learned(data: &Dataset<'_>) -> FtrlLearner {
    let mut learner = settings().learner(3, LogLoss).unwrap();
    learner.partial_fit(data).unwrap();
    learner
}

proptest! {
    #[test]
    fn every_step_is_the_published_one(rows in drawn()) {
        let learner = learned(&dataset(&rows, true));
        let mut published = Published {
            alpha: 0.3, beta: 0.7, l1: 0.05, l2: 0.2, z: vec![0.0; 4], n: vec![0.0; 4],
        };
        let mut predicted = 0.0;
        for (x, label, weight, offset) in &rows {
            let x = [x[0], x[1], x[2], 1.0];
            predicted += (weight + 0.01) * published.learn(&x, *label, weight + 0.01, *offset);
        }
        let fitted = learner.fitted().unwrap();
        // 60 steps of a few roundings each, on numbers of order ten, that are contracted, not amplified.
        for i in 0..3 {
            prop_assert!((fitted.coefficients()[i] - published.weight(i)).abs() < 1e-12);
        }
        prop_assert!((fitted.intercept() - published.weight(3)).abs() < 1e-12);
        if let Some(ratio) = learner.validation().predicted_over_observed() {
            let observed: f64 = rows.iter().filter(|row| row.1).map(|row| row.2 + 0.01).sum();
            prop_assert!((ratio - predicted / observed).abs() < 1e-9 * ratio);
        }
    }

    #[test]
    fn dense_is_sparse_and_batches_are_one_stream(rows in drawn(), cut in 1_usize..59) {
        let whole = learned(&dataset(&rows, true));
        let dense = learned(&dataset(&rows, false));
        prop_assert_eq!(whole.state(), dense.state());
        let data = dataset(&rows, true);
        let cut = cut.min(rows.len() - 1);
        let mut parts = settings().learner(3, LogLoss).unwrap();
        for range in [0..cut, cut..rows.len()] {
            parts.partial_fit(&data.select(&range.collect::<Vec<_>>()).unwrap()).unwrap();
        }
        prop_assert_eq!(whole.state(), parts.state());
    }

    #[test]
    fn a_saved_state_goes_on_with_the_same_bits(rows in drawn()) {
        let data = dataset(&rows, true);
        let mut learner = learned(&data);
        let text = serde_json::to_string(learner.state()).unwrap();
        let state: FtrlState = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&state, learner.state());
        let mut resumed = FtrlLearner::resume(state, LogLoss).unwrap();
        learner.partial_fit(&data).unwrap();
        resumed.partial_fit(&data).unwrap();
        prop_assert_eq!(resumed.state(), learner.state());

        let mut rounded = learner.clone().precision(Precision::F32);
        let text = serde_json::to_string(rounded.state()).unwrap();
        let mut resumed = FtrlLearner::resume(serde_json::from_str(&text).unwrap(), LogLoss).unwrap();
        rounded.partial_fit(&data).unwrap();
        resumed.partial_fit(&data).unwrap();
        learner.partial_fit(&data).unwrap();
        prop_assert_eq!(resumed.state(), rounded.state());
        let (rounded, exact) = (rounded.fitted().unwrap(), learner.fitted().unwrap());
        for (a, b) in rounded.coefficients().iter().zip(exact.coefficients()) {
            prop_assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{} and {}", a, b);
        }
    }
}

#[test]
fn seven_digits_are_enough_for_a_log() {
    let log = SyntheticClicks::new(60_000, 0.02).unwrap().generate(7).unwrap();
    let learn = |precision: Precision| {
        let learner = FtrlProximal::new().base_rate(0.02).unwrap();
        let mut learner =
            learner.learner(log.dataset.columns(), LogLoss).unwrap().precision(precision);
        learner.partial_fit(&log.dataset).unwrap();
        learner.validation().log_loss().unwrap()
    };
    let (single, double) = (learn(Precision::F32), learn(Precision::F64));
    assert!((single / double - 1.0).abs() < 1e-5, "{single} and {double}");
    // What seven digits cannot hold is refused before a coordinate moves.
    let mut learner = FtrlProximal::new().learner(1, LogLoss).unwrap().precision(Precision::F32);
    let x = array![[1e18]];
    let error = learner.partial_fit(&Dataset::new(&x, vec![true]).unwrap()).unwrap_err();
    assert!(matches!(error, Error::Numerical { .. }), "{error}");
    assert_eq!(learner.fitted().unwrap().coefficients(), [0.0]);
}

#[test]
fn a_corrupt_state_is_refused() {
    let rows = vec![([1.0, 0.0, -1.0], true, 1.0, 0.0), ([0.5, 2.0, 0.0], false, 1.0, 0.0)];
    let text = serde_json::to_string(learned(&dataset(&rows, true)).state()).unwrap();
    let good: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(serde_json::from_value::<FtrlState>(good.clone()).is_ok());
    for (object, key, value, says) in [
        ("", "version", serde_json::json!(1), "version"),
        ("/settings", "alpha", serde_json::json!(-1.0), "alpha"),
        ("/settings", "beta", serde_json::json!(0.0), "beta"),
        ("/settings", "passes", serde_json::json!(0), "passes"),
        ("", "precision", serde_json::json!("f16"), "f16"),
        ("", "columns", serde_json::json!(2), "below the 2 columns"),
        ("", "columns", serde_json::json!(1_u64 << 60), "columns"),
        ("/coordinates/1", "0", serde_json::json!(0), "strictly rising"),
        ("/coordinates/1", "1", serde_json::json!({ "z": 1.0 }), "root_n"),
        ("/coordinates/1/1", "root_n", serde_json::json!(-1.0), "root_n"),
        ("/coordinates/1/1", "surplus", serde_json::json!(1), "surplus"),
        ("/bias", "root_n", serde_json::json!(-1.0), "root_n"),
        ("/validation/parts/0", "log_loss", serde_json::json!(-1.0), "log_loss"),
        ("/validation", "part_rows", serde_json::json!(0), "part_rows"),
        ("/settings", "base_rate", serde_json::json!(1.5), "base_rate"),
        ("", "start", serde_json::json!("x"), "invalid type"),
        ("", "surplus", serde_json::json!(1), "surplus"),
    ] {
        let mut bad = good.clone();
        match bad.pointer_mut(object).unwrap() {
            serde_json::Value::Array(values) => values[key.parse::<usize>().unwrap()] = value,
            object => object[key] = value,
        }
        let error = serde_json::from_value::<FtrlState>(bad).unwrap_err().to_string();
        assert!(error.contains(says), "{object}/{key}: {error}");
    }
    assert!(serde_json::from_str::<FtrlState>(&text[..text.len() / 2]).is_err());
    let state: FtrlState = serde_json::from_value(good).unwrap();
    let error = FtrlLearner::resume(state, FocalLoss::new(2.0).unwrap()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "loss", .. }), "{error}");
}

#[test]
fn bad_settings_and_rows_are_refused() {
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        for (argument, made) in [
            ("alpha", FtrlProximal::new().alpha(bad)),
            ("beta", FtrlProximal::new().beta(bad)),
            ("l1", FtrlProximal::new().l1(bad)),
            ("l2", FtrlProximal::new().l2(bad)),
        ] {
            let error = made.unwrap_err();
            assert!(
                matches!(error, Error::InvalidArgument { argument: found, .. } if found == argument),
                "{error}"
            );
        }
    }
    for bad in [0.0, 1.0, -1.0, f64::NAN] {
        let error = FtrlProximal::new().base_rate(bad).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "base_rate", .. }), "{error}");
    }
    for columns in [1 << 59, usize::MAX] {
        let error = FtrlProximal::new().learner(columns, LogLoss).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "columns", .. }), "{error}");
    }
    let wide = imbalance::sprs::CsMat::new((4, 1 << 59), vec![0; 5], vec![], vec![0.0; 0]);
    let wide = Dataset::new(wide, vec![true, false, false, false]).unwrap();
    let error = FtrlProximal::new().fit(&wide, &LogLoss, &Run::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "columns", .. }), "{error}");
    let error = FtrlProximal::new().passes(0).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "passes", .. }));
    let mut learner = settings().learner(3, LogLoss).unwrap();
    let narrow = Dataset::new(array![[1.0]], vec![true]).unwrap();
    let error = learner.partial_fit(&narrow).unwrap_err();
    assert!(matches!(error, Error::ColumnMismatch { found: 1, expected: 3 }), "{error}");
    // A row that overflows is refused, and leaves no trace.
    let good = Dataset::new(array![[1.0, 2.0, 0.0]], vec![true]).unwrap();
    learner.partial_fit(&good).unwrap();
    let before = learner.state().clone();
    let huge = Dataset::new(array![[1e200, 1.0, 1.0]], vec![false]).unwrap();
    let error = learner.partial_fit(&huge).unwrap_err();
    assert!(matches!(error, Error::Numerical { .. }), "{error}");
    assert_eq!(learner.state(), &before);
    let error = Model::fit(&settings(), &good, &LogLoss, &Run::default()).unwrap_err();
    assert!(matches!(error, Error::OneClass { .. }), "{error}");
}

fn ne(fitted: &impl Predict, data: &Dataset<'_>) -> f64 {
    let mut logits = vec![0.0; data.rows()];
    fitted.logits_into(data.features(), &mut logits).unwrap();
    let p: Vec<f64> = logits.iter().map(|&z| LogLoss.posterior().probability(z)).collect();
    normalised_entropy(data.labels(), &p, None).unwrap()
}

/// A million training rows, and a quarter as many that neither model has seen: on its own rows the batch
/// fit looks better than it is.
fn million(test: impl FnOnce(&Dataset<'_>, &Dataset<'_>)) {
    let log = SyntheticClicks::new(1_250_000, 0.01)
        .unwrap()
        .precision(Precision::F32)
        .generate(7)
        .unwrap();
    let (train, held_out) = log.dataset.stratified_split(0.2, 7).unwrap();
    test(&train, &held_out);
}

fn batch(l2: f64, train: &Dataset<'_>) -> impl Predict {
    LogisticRegression::new().l2(l2).unwrap().fit(train, &LogLoss, &Run::default()).unwrap()
}

fn online(alpha: f64, train: &Dataset<'_>) -> FittedFtrl {
    FtrlProximal::new().alpha(alpha).unwrap().fit(train, &LogLoss, &Run::default()).unwrap()
}

#[test]
fn one_pass_over_a_million_sparse_rows_is_within_half_a_percent_of_the_batch() {
    // λ and α are the best of those that `the_scan_behind_it` tries.
    million(|train, test| {
        let fitted = online(0.2, train);
        let (batch, after) = (ne(&batch(3.0, train), test), ne(&fitted, test));
        let during = fitted.validation().normalised_entropy().unwrap();
        println!("NE: batch {batch:.5}, FTRL after its pass {after:.5}, during it {during:.5}");
        assert!(after < 1.005 * batch, "{after} after one pass, {batch} in batch");
        // Rows judged before they are learned are as good as held out. 2,500 held-out positives, whose
        // losses scatter by about half their mean, give the entropy a relative standard error of 0.01.
        assert!((during / after - 1.0).abs() < 0.03, "{during} during the pass, {after} after it");
    });
}

/// The setting of the least entropy; each is printed.
fn best(what: &str, settings: &[f64], ne: impl Fn(f64) -> f64) -> f64 {
    let tried = settings.iter().map(|&setting| {
        let ne = ne(setting);
        println!("{what} = {setting}: NE {ne:.5}");
        (ne, setting)
    });
    tried.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1
}

#[test]
#[ignore = "fourteen fits: cargo test --release --test ftrl the_scan -- --ignored --nocapture"]
fn the_scan_behind_it() {
    million(|train, test| {
        let penalties = [0.1, 1.0, 3.0, 10.0, 30.0, 100.0];
        assert_eq!(best("batch, λ", &penalties, |l2| ne(&batch(l2, train), test)), 3.0);
        let rates = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0];
        assert_eq!(best("FTRL, α", &rates, |alpha| ne(&online(alpha, train), test)), 0.2);
    });
}

#[test]
fn more_passes_come_closer_and_l1_makes_zeros() {
    let log =
        SyntheticClicks::new(30_000, 0.02).unwrap().precision(Precision::F32).generate(3).unwrap();
    let data = &log.dataset;
    let fit =
        |model: FtrlProximal| -> FittedFtrl { model.fit(data, &LogLoss, &Run::default()).unwrap() };
    let best =
        LogisticRegression::new().l2(0.01).unwrap().fit(data, &LogLoss, &Run::default()).unwrap();
    let one = ne(&fit(FtrlProximal::new()), data);
    let ten = ne(&fit(FtrlProximal::new().passes(10).unwrap()), data);
    assert!(ne(&best, data) < ten && ten < one, "{one} {ten}");
    let zeros = |fitted: &FittedFtrl| fitted.coefficients().iter().filter(|w| **w == 0.0).count();
    let some = FtrlProximal::new().l1(1.0).unwrap();
    assert!(zeros(&fit(some)) > zeros(&fit(FtrlProximal::new())));
    // With all coefficients at zero the unpenalised intercept still finds the base rate.
    let none = fit(FtrlProximal::new().l1(1e9).unwrap().alpha(1.0).unwrap());
    assert_eq!(zeros(&none), data.columns());
    let p = vec![LogLoss.posterior().probability(none.intercept()); data.rows()];
    let ratio = predicted_over_observed(data.labels(), &p, None).unwrap();
    // The last steps are of size α/√n with n ≈ 600 positives, so the intercept wanders around its optimum
    // with a variance of half that: 0.14 standard deviations, of which three are allowed.
    assert!((ratio - 1.0).abs() < 0.43, "{ratio}");
}

#[test]
fn any_loss_in_a_pipeline_and_weights_undo_sampling() {
    let log =
        SyntheticClicks::new(200_000, 0.02).unwrap().precision(Precision::F32).generate(5).unwrap();
    let (train, test) = log.dataset.stratified_split(0.5, 5).unwrap();
    let positives = test.totals().positives as f64;
    let sampler = || RandomUnderSampler::negatives_per_positive(5.0).unwrap();
    let losses: [(&str, Box<dyn Loss>); 3] = [
        ("log", Box::new(LogLoss)),
        ("balanced", Box::new(WeightedLogLoss::balanced())),
        ("focal", Box::new(FocalLoss::new(1.0).unwrap())),
    ];
    for (name, loss) in losses {
        let fitted = Pipeline::new(FtrlProximal::new().passes(3).unwrap())
            .sampler(sampler())
            .loss(loss)
            .calibrator(PriorCorrection::new())
            .seed(5)
            .fit(&train)
            .unwrap();
        let p = fitted.probabilities(test.features()).unwrap();
        let ratio = predicted_over_observed(test.labels(), &p, None).unwrap();
        // Three standard errors of the clicks of test and training rows, and 3 % for a learner that
        // ends near the optimum, not at it.
        assert!((ratio - 1.0).abs() < 3.0 * (2.0 / positives).sqrt() + 0.03, "{name}: {ratio}");
    }
}

#[test]
fn scorers_from_elsewhere_predict() {
    let rule = FnPredict::new(3, |row: Row<'_>| row.get(0) - 2.0 * row.get(2));
    let dense = array![[1.0, 5.0, 0.0], [0.0, 0.0, 1.5], [2.0, 0.0, 2.0]];
    let sparse = imbalance::sprs::CsMat::csr_from_dense(dense.view(), 0.0);
    for x in [
        FeaturesView::from(dense.view()),
        FeaturesView::from(dense.t().as_standard_layout().to_owned().view().reversed_axes()),
        FeaturesView::from(sparse.view()),
    ] {
        let mut out = [0.0; 3];
        rule.logits_into(x, &mut out).unwrap();
        assert_eq!(out, [1.0, -3.0, -2.0]);
    }
    let one = rule.logit(Row::sparse(3, &[2], &[1.5]).unwrap()).unwrap();
    assert_eq!(one, -3.0);
    let error = rule.logit((&[1.0]).into()).unwrap_err();
    assert!(matches!(error, Error::ColumnMismatch { found: 1, expected: 3 }), "{error}");
    let error = rule.logit((&[1.0, f64::NAN, 0.0]).into()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 0, column: Some(1), .. }), "{error}");
    let nan = FnPredict::new(3, |row: Row<'_>| if row.get(0) == 2.0 { f64::NAN } else { 0.0 });
    let error = nan.logits_into(FeaturesView::from(dense.view()), &mut [0.0; 3]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 2, column: None, .. }), "{error}");

    let given = GivenLogits::new(vec![0.5, -0.5, f64::NEG_INFINITY]).unwrap();
    let mut out = [0.0; 3];
    given.logits_into(FeaturesView::from(dense.view()), &mut out).unwrap();
    assert_eq!(out, [0.5, -0.5, f64::NEG_INFINITY]);
    let two = dense.slice_axis(imbalance::ndarray::Axis(0), (0..2).into());
    let error = given.logits_into(FeaturesView::from(two), &mut out[..2]).unwrap_err();
    assert!(matches!(error, Error::LengthMismatch { found: 3, expected: 2, .. }), "{error}");
    let error = Predict::logit(&given, (&[1.0, 1.0, 1.0]).into()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(matches!(GivenLogits::new(vec![f64::NAN]), Err(Error::NonFinite { row: 0, .. })));
    let error = GivenLogits::from_probabilities(&[0.5, 1.5]).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "probabilities", .. }), "{error}");
}

/// 60,000 rows of two columns, the first of which is their place in the log, sorted by it: 1.2 % positives.
fn sorted_by_age() -> Dataset<'static> {
    let rows = 60_000;
    let uniform = |i: usize, k: u64| {
        // The fractional parts of multiples of the golden ratio and of √2 are spread evenly.
        (i as f64 * [0.618_033_988_749_894_9, 0.414_213_562_373_095_1][k as usize]).fract()
    };
    let x = Array2::from_shape_fn((rows, 2), |(i, j)| match j {
        0 => i as f64 / rows as f64 - 0.5,
        _ => 2.0 * uniform(i, 0) - 1.0,
    });
    let y = (0..rows).map(|i| {
        let logit: f64 = -4.8 + 3.0 * x[[i, 0]] + x[[i, 1]];
        uniform(i, 1) < 1.0 / (1.0 + (-logit).exp())
    });
    Dataset::new(x.clone(), y.collect::<Vec<_>>()).unwrap()
}

fn fit(model: FtrlProximal, data: &Dataset<'_>) -> FittedFtrl {
    model.fit(data, &LogLoss, &Run::seeded(7)).unwrap()
}

#[test]
fn a_sorted_log_does_not_mislead_and_the_mean_is_right_after_one_pass() {
    let data = sorted_by_age();
    let batch = ne(&batch(0.0, &data), &data);
    for alpha in [0.02, 0.1, 0.5] {
        let fitted = fit(FtrlProximal::new().alpha(alpha).unwrap(), &data);
        let mut logits = vec![0.0; data.rows()];
        fitted.logits_into(data.features(), &mut logits).unwrap();
        let p: Vec<f64> = logits.iter().map(|&z| LogLoss.posterior().probability(z)).collect();
        let ratio = predicted_over_observed(data.labels(), &p, None).unwrap();
        // The intercept solves Σ(p − y) = 0 to the accuracy of its Newton steps.
        assert!((ratio - 1.0).abs() < 1e-10, "{alpha}: {ratio}");
    }
    // One pass in random order loses little, one in the log's order much.
    let [random, in_order] = [false, true].map(|order| {
        ne(&fit(FtrlProximal::new().alpha(0.5).unwrap().in_order(order), &data), &data)
    });
    assert!(random < 1.01 * batch && in_order > 1.02 * batch, "{batch} {random} {in_order}");
}

#[test]
fn a_fit_that_is_on_its_way_says_so() {
    let data = sorted_by_age();
    let slow = FtrlProximal::new().alpha(0.005).unwrap();
    let fitted = fit(slow, &data);
    assert!(matches!(fitted.warning(), Some(FitWarning::NotConverged { passes: 1, .. })));
    assert!(fitted.describe().contains("not converged"), "{}", fitted.describe());
    // More passes help, and end by themselves.
    let fitted = fit(FtrlProximal::new().passes(100).unwrap(), &data);
    assert_eq!(fitted.warning(), None);
    assert!(fitted.passes() < 100, "{}", fitted.passes());
    let (ne, batch) = (ne(&fitted, &data), ne(&batch(0.0, &data), &data));
    assert!(ne < 1.005 * batch, "{ne} {batch} {}", fitted.passes());
    // From one half, in order, the intercept lags behind, and the later half of the rows shows it.
    let lagging = from_one_half().alpha(0.02).unwrap().in_order(true);
    let report = Pipeline::new(lagging).fit(&data).unwrap();
    let warning = &report.report().warnings[0];
    assert!(warning.to_string().contains("not converged"), "{warning}");
}

#[test]
fn a_constant_stream_keeps_its_rate() {
    // Every 1000th row of 200,000 is positive: from one half, 3.18 times too many are predicted on the way.
    let labels: Vec<bool> = (0..200_000).map(|i| i % 1000 == 999).collect();
    let data = Dataset::new(Array2::<f64>::zeros((labels.len(), 1)), labels).unwrap();
    let mut learner = FtrlProximal::new().learner(1, LogLoss).unwrap();
    for chunk in 0..20 {
        let rows: Vec<usize> = (10_000 * chunk..10_000 * (chunk + 1)).collect();
        learner.partial_fit(&data.select(&rows).unwrap()).unwrap();
    }
    let ratio = learner.validation().predicted_over_observed().unwrap();
    // 200 positives have a standard error of 0.07.
    assert!((ratio - 1.0).abs() < 0.07, "{ratio}");
    assert!(learner.later_validation().excess().unwrap().abs() < 1.0);
    assert_eq!(learner.later_validation().rows(), 6 * 16_384 + 3392);
}

/// Found by fuzzing: the row counts of a saved state may add up to more than `u64` holds.
#[test]
fn counts_of_a_saved_state_that_overflow_do_not_panic() {
    let x = array![[1.0, 0.0], [0.5, 0.1]];
    let data = Dataset::new(&x, vec![true, false]).unwrap();
    let mut learner = FtrlProximal::new().learner(2, LogLoss).unwrap();
    learner.partial_fit(&data).unwrap();
    let saved = serde_json::to_string(learner.state()).unwrap();
    let most = saved.replace("\"rows\":1", &format!("\"rows\":{}", u64::MAX));
    assert_ne!(most, saved, "{saved}");
    if let Ok(state) = serde_json::from_str(&most) {
        let mut learner = FtrlLearner::resume(state, LogLoss).unwrap();
        learner.partial_fit(&data).unwrap();
        assert_eq!(learner.validation().rows(), u64::MAX);
    }
}
