//! What the host program does with the libraries underneath changes nothing here.

use imbalance::calibration::{BetaCalibration, PlattScaling, TemperatureScaling};
use imbalance::model::RareEvents;
use imbalance::model::logistic::Covariance;
use imbalance::ndarray::Array2;
use imbalance::prelude::*;

/// A setting of the whole process, so this file has one test.
#[test]
fn a_host_that_forbids_faers_global_threads_changes_nothing() {
    let results = || {
        let x = Array2::from_shape_fn((600, 40), |(i, j)| {
            ((i * 7919 + j * 104_729 + i * i * j) as f64).sin()
        });
        let labels: Vec<bool> = (0..600).map(|i| (i * 7919) % 100 < 20 + i % 31).collect();
        let data = Dataset::new(&x, &labels).unwrap();
        let model = LogisticRegression::new().l2(0.0).unwrap();
        let fitted = model.fit(&data, &LogLoss, &Run::default()).unwrap();
        let inference = fitted.inference(&data, &LogLoss, Covariance::Hc1).unwrap();
        let rare = RareEvents::new().fit(&data, &LogLoss, &Run::default()).unwrap();
        let mut logits = vec![0.0; 600];
        fitted.logits_into(data.features(), &mut logits).unwrap();
        let scored = CalibrationSet::from_logits(&logits, &labels).unwrap();
        let calibrated = [
            PlattScaling::new().boxed(),
            BetaCalibration::abm().boxed(),
            TemperatureScaling::new().boxed(),
        ]
        .map(|calibrator| calibrator.learn(&scored).unwrap().probability(0.3));
        (
            fitted.coefficients().to_vec(),
            inference.standard_errors(),
            format!("{rare:?}"),
            calibrated,
        )
    };
    let before = results();
    faer::disable_global_parallelism();
    assert_eq!(before, results());
}
