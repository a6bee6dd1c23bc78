//! Corrections in closed form: given rates, the linear form as printed, and folding.

use imbalance::Distortion;
use imbalance::calibration::as_printed::LinearPriorScaling;
use imbalance::calibration::{
    BetaCdf, BoxCalibrator, CalibrationSet, Calibrator, IsotonicRegression, PlattScaling,
    PriorCorrection, TemperatureScaling, TrainingContext, Uncalibrated,
};
use imbalance::loss::{FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted, Loss, WeightedLogLoss};
use imbalance::model::{FtrlProximal, LogisticRegression, Model, Predict};
use imbalance::ndarray::Array2;
use imbalance::numerics::{logit, sigmoid};
use imbalance::{Dataset, Error, Pipeline, Run};

#[test]
fn rates_and_sampling_rate_are_the_same_correction() {
    // 1 % positives; keeping one negative in 20 makes 0.01/(0.01 + 0.99/20).
    let (tau, w): (f64, f64) = (0.01, 0.05);
    let sample = tau / (tau + (1.0 - tau) * w);
    let training = TrainingContext::default();
    let rates = PriorCorrection::from_rates(tau, sample).unwrap().fit(&training, None).unwrap();
    let rate = PriorCorrection::from_sampling_rate(w).unwrap().fit(&training, None).unwrap();
    for p in [1e-9, 0.01, 0.5, 0.999] {
        let bayes = p / (p + (1.0 - p) * ((1.0 - tau) / tau) * (sample / (1.0 - sample)));
        assert!((rates.probability_of(p) / bayes - 1.0).abs() < 1e-13);
        assert!((rate.probability_of(p) / bayes - 1.0).abs() < 1e-13);
    }
    for (population, sample) in [(0.0, 0.5), (0.5, 1.0), (f64::NAN, 0.5), (0.5, -1.0)] {
        assert!(PriorCorrection::from_rates(population, sample).is_err());
        assert!(LinearPriorScaling::from_rates(population, sample).is_err());
    }
    for w in [0.0, 1.5, f64::NAN] {
        assert!(PriorCorrection::from_sampling_rate(w).is_err());
    }
}

#[test]
fn given_rates_replace_the_samplers_report_but_not_its_refusal() {
    let given = PriorCorrection::from_sampling_rate(0.1).unwrap();
    let reported = TrainingContext::new(&LogLoss, Distortion::PriorShift { log_odds: 3.0 });
    assert!((given.fit(&reported, None).unwrap().log_odds() - 10_f64.ln()).abs() < 1e-15);
    let smote = Distortion::FeatureDependent { sampler: "Smote".into(), nominal_log_odds: None };
    let smote = TrainingContext::new(&LogLoss, smote);
    assert!(matches!(given.fit(&smote, None), Err(Error::NoClosedForm { .. })));
    let linear = LinearPriorScaling::from_rates(0.01, 0.5).unwrap();
    assert!(matches!(linear.fit(&smote, None), Err(Error::NoClosedForm { .. })));
}

#[test]
fn the_linear_form_is_as_printed() {
    let (real, train) = (0.02, 0.3);
    let map = LinearPriorScaling::from_rates(real, train)
        .unwrap()
        .fit(&TrainingContext::default(), None)
        .unwrap();
    let factor = train / (train + (1.0 - train) * (1.0 - real) / real);
    for p in [0.0, 0.1, 0.7, 1.0] {
        assert!((map.probability_of(p) - p * factor).abs() < 1e-16);
    }
}

#[test]
fn folding_is_exact_where_the_map_is_a_shift() {
    let x = Array2::from_shape_fn((60, 2), |(i, j)| ((i * (3 + 4 * j)) % 11) as f64 / 5.0);
    let y: Vec<bool> = (0..60).map(|i| (i * 7) % 10 < 3).collect();
    let data = Dataset::new(&x, y).unwrap();
    let correction = PriorCorrection::from_rates(0.004, 0.3).unwrap();
    let losses: [Box<dyn Loss>; 4] = [
        Box::new(LogLoss),
        Box::new(WeightedLogLoss::balanced()),
        Box::new(LogitAdjusted::new(1.0).unwrap()),
        Box::new(FocalLoss::new(2.0).unwrap()),
    ];
    for loss in losses {
        let loss = loss.resolve(&data.totals()).unwrap();
        let shift = loss.posterior().shift();
        let model =
            LogisticRegression::new().l2(1.0).unwrap().fit(&data, &*loss, &Run::default()).unwrap();
        let training = TrainingContext::new(&loss, Distortion::None);
        let map = correction.fit(&training, None).unwrap();
        let Some(shift) = shift else {
            let error = map.fold_into(&model).unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { argument: "loss", .. }), "{error}");
            continue;
        };
        let folded = map.fold_into(&model).unwrap();
        let logits = |model: &dyn Predict| {
            let mut out = vec![0.0; 60];
            model.logits_into(data.features(), &mut out).unwrap();
            out
        };
        for (z, folded) in logits(&model).into_iter().zip(logits(&folded)) {
            assert!((map.logit(z) - folded).abs() < 1e-13);
            assert!((z + shift - logit(0.3) + logit(0.004) - folded).abs() < 1e-13);
        }
    }
}

#[test]
fn a_model_of_one_pass_folds_too() {
    let x = Array2::from_shape_fn((60, 2), |(i, j)| ((i * (3 + 4 * j)) % 11) as f64 / 5.0);
    let y: Vec<bool> = (0..60).map(|i| (i * 7) % 10 < 3).collect();
    let data = Dataset::new(&x, y).unwrap();
    let fitted = Pipeline::new(FtrlProximal::new())
        .calibrator(PriorCorrection::from_rates(0.004, 0.3).unwrap())
        .fit(&data)
        .unwrap();
    let folded = fitted.calibration().fold_into(fitted.model()).unwrap();
    for row in x.outer_iter() {
        let row = row.to_slice().unwrap();
        let served = sigmoid(Predict::logit(&folded, row.into()).unwrap());
        assert!((served / fitted.probability(row).unwrap() - 1.0).abs() < 1e-13);
    }
}

#[test]
fn a_chain_whose_line_is_given_certain_answers_says_so() {
    // Under smoothing by 0.1 a probability below 0.05 is one of no positive at all.
    let loss = LabelSmoothing::new(LogLoss, 0.1).unwrap();
    let training = TrainingContext::new(&loss, Distortion::None);
    let scored = CalibrationSet::from_logits(&[1.0, -4.0, 2.0], &[true, false, false]).unwrap();
    let fit = |chain: BoxCalibrator| chain.fit(&training, Some(&scored));
    let corrected = PriorCorrection::new;
    for second in [PlattScaling::new().boxed(), BetaCdf.boxed(), TemperatureScaling::new().boxed()]
    {
        let error = fit(corrected().then(second).boxed()).unwrap_err();
        let log_odds = f64::NEG_INFINITY;
        assert_eq!(
            error.to_string(),
            Error::CertainScore { row: 1, score: -4.0, log_odds }.to_string()
        );
    }
    // Isotonic regression takes them, and so does a line on probabilities.
    assert!(fit(corrected().then(IsotonicRegression::new()).boxed()).is_ok());
    assert!(fit(corrected().then(PlattScaling::new().on_probabilities(true)).boxed()).is_ok());
    // Scores that were certain from the start are another matter.
    let certain = CalibrationSet::from_logits(&[1.0, f64::NEG_INFINITY], &[true, false]).unwrap();
    let error = Uncalibrated.then(PlattScaling::new()).learn(&certain).unwrap_err();
    assert!(matches!(error, Error::CertainScores { row: 1, .. }), "{error}");
}

#[test]
fn a_chain_maps_by_the_first_then_by_the_second() {
    let z = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0];
    let y = [false, true, false, false, true, true];
    let scored = CalibrationSet::from_logits(&z, &y).unwrap();
    let correction = PriorCorrection::from_sampling_rate(0.1).unwrap();
    let chain = correction.then(PlattScaling::new()).learn(&scored).unwrap();
    // A shift of the logits is absorbed by Platt scaling, so the chain is Platt scaling alone.
    let alone = PlattScaling::new().learn(&scored).unwrap();
    for z in z {
        assert!((chain.probability(z) - alone.probability(z)).abs() < 1e-10);
        let first = chain.first().logit(z);
        assert!((first - (z - 10_f64.ln())).abs() < 1e-14);
        assert_eq!(chain.probability(z), chain.second().probability(first));
    }
    assert!(chain.report().is_some() && chain.describe().contains("; then Platt"));
    let neither = Uncalibrated.then(correction);
    assert!(!neither.needs_rows());
    let map = neither.fit(&TrainingContext::default(), None).unwrap();
    assert!((map.probability(0.0) - sigmoid(-10_f64.ln())).abs() < 1e-15);
}
