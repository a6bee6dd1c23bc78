//! Fit and prediction of each calibrator on a million scores of a rare event; as well with heavy ties and
//! with weights, on probabilities, of one value, and for K classes.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::Seed;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, CalibrationSet, Calibrator, HistogramBinning,
    Interpolation, IsotonicRegression, PlattScaling, PriorCorrection, QuadraticLogit,
    SplineCalibration, TemperatureScaling, VennAbers, as_printed::LinearPriorScaling,
    multiclass::ClassSet,
};
use imbalance::ndarray::Array2;
use imbalance::numerics::sigmoid;

const ROWS: usize = 1_000_000;

fn uniform(i: usize) -> f64 {
    Seed::new(i as u64).child("uniform").value() as f64 / 2_f64.powi(64)
}

fn calibrators() -> Vec<(&'static str, BoxCalibrator)> {
    vec![
        ("prior_correction", PriorCorrection::from_sampling_rate(0.1).unwrap().boxed()),
        ("linear_prior_scaling", LinearPriorScaling::from_rates(0.01, 0.1).unwrap().boxed()),
        ("platt", PlattScaling::new().boxed()),
        ("platt_on_probabilities", PlattScaling::new().on_probabilities(true).boxed()),
        ("isotonic", IsotonicRegression::new().boxed()),
        (
            "isotonic_in_probability",
            IsotonicRegression::new().interpolation(Interpolation::LinearInProbability).boxed(),
        ),
        ("isotonic_steps", IsotonicRegression::new().interpolation(Interpolation::Steps).boxed()),
        ("beta_abm", BetaCalibration::abm().boxed()),
        ("beta_am", BetaCalibration::am().boxed()),
        ("beta_ab", BetaCalibration::ab().boxed()),
        ("beta_cdf", BetaCdf.boxed()),
        ("quadratic_logit", QuadraticLogit::new().boxed()),
        ("spline", SplineCalibration::new().boxed()),
        ("temperature", TemperatureScaling::new().boxed()),
        ("temperature_bias_corrected", TemperatureScaling::new().bias_corrected(true).boxed()),
        ("histogram", HistogramBinning::quantiles(100).unwrap().boxed()),
        ("histogram_equal_width", HistogramBinning::equal_width(100).unwrap().boxed()),
        ("venn_abers", VennAbers.boxed()),
        (
            "prior_then_isotonic",
            PriorCorrection::from_sampling_rate(0.1)
                .unwrap()
                .then(IsotonicRegression::new())
                .boxed(),
        ),
    ]
}

fn two_classes(criterion: &mut Criterion) {
    let logits: Vec<f64> = (0..ROWS).map(|i| 8.0 * uniform(2 * i) - 9.0).collect();
    let probabilities: Vec<f64> = logits.iter().map(|&z| sigmoid(z)).collect();
    let labels: Vec<bool> =
        (0..ROWS).map(|i| uniform(2 * i + 1) < sigmoid(0.7 * logits[i] - 0.5)).collect();
    let rounded: Vec<f64> = logits.iter().map(|z| (z * 1e3).round() / 1e3).collect();
    let weights: Vec<f64> = (0..ROWS).map(|i| 0.5 + uniform(3 * i)).collect();
    let scored = CalibrationSet::from_logits(&logits, &labels).unwrap();
    let ties = CalibrationSet::from_logits(&rounded, &labels).unwrap();
    let weighted = scored.clone().with_weights(&weights).unwrap();

    let mut group = criterion.benchmark_group("calibration");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    for (name, calibrator) in calibrators() {
        for (kind, rows) in [("fit", &scored), ("fit_ties", &ties), ("fit_weighted", &weighted)] {
            group.bench_function(BenchmarkId::new(format!("{name}/{kind}"), ROWS), |bencher| {
                bencher.iter(|| calibrator.learn(rows).unwrap());
            });
        }
        let map = calibrator.learn(&scored).unwrap();
        group.bench_function(BenchmarkId::new(format!("{name}/predict"), ROWS), |bencher| {
            bencher.iter(|| map.probabilities(&logits).unwrap());
        });
        let kind = format!("{name}/predict_probabilities");
        group.bench_function(BenchmarkId::new(kind, ROWS), |bencher| {
            bencher.iter(|| map.probabilities_of(&probabilities).unwrap());
        });
        let mut out = vec![0.0; ROWS];
        group.bench_function(BenchmarkId::new(format!("{name}/predict_into"), ROWS), |bencher| {
            bencher.iter(|| map.probabilities_into(&logits, &mut out).unwrap());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("calibration_of_one");
    for (name, calibrator) in calibrators() {
        let map = calibrator.learn(&scored).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| map.probability(black_box(-4.5)));
        });
    }
    group.finish();
}

fn many_classes(criterion: &mut Criterion) {
    let (rows, width) = (100_000, 10);
    let logits = Array2::from_shape_fn((rows, width), |(i, k)| 6.0 * uniform(width * i + k));
    let classes: Vec<usize> = (0..rows).map(|i| (10.0 * uniform(i).powi(2)) as usize).collect();
    let scored = ClassSet::new(logits.view(), &classes).unwrap();
    let mut group = criterion.benchmark_group("calibration_of_classes");
    group.sample_size(10).throughput(Throughput::Elements(rows as u64));
    for (name, temperature) in [
        ("temperature", TemperatureScaling::new()),
        ("temperature_bias_corrected", TemperatureScaling::new().bias_corrected(true)),
    ] {
        group.bench_function(BenchmarkId::new(format!("{name}/fit"), rows), |bencher| {
            bencher.iter(|| temperature.fit_classes(&scored).unwrap());
        });
        let map = temperature.fit_classes(&scored).unwrap();
        group.bench_function(BenchmarkId::new(format!("{name}/predict"), rows), |bencher| {
            bencher.iter(|| map.probabilities(&logits.view()).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, two_classes, many_classes);
criterion_main!(benches);
