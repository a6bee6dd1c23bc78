//! Fit and prediction of each calibrator on a million scores of a rare event.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::Seed;
use imbalance::calibration::{
    BetaCalibration, BoxCalibrator, Calibrate, Calibrator, HistogramBinning, IsotonicRegression,
    PlattScaling, Scored, TemperatureScaling, VennAbers,
};
use imbalance::loss::numerics::sigmoid;

const ROWS: usize = 1_000_000;

fn calibration(criterion: &mut Criterion) {
    let uniform = |i: usize| {
        let seed = Seed::new(i as u64).child("uniform").value();
        seed as f64 / 2_f64.powi(64)
    };
    let logits: Vec<f64> = (0..ROWS).map(|i| 8.0 * uniform(2 * i) - 9.0).collect();
    let labels: Vec<bool> =
        (0..ROWS).map(|i| uniform(2 * i + 1) < sigmoid(0.7 * logits[i] - 0.5)).collect();
    let scored = Scored::from_logits(&logits, &labels).unwrap();

    let calibrators: [(&str, BoxCalibrator); 8] = [
        ("platt", PlattScaling::new().boxed()),
        ("isotonic", IsotonicRegression::new().boxed()),
        ("beta_abm", BetaCalibration::abm().boxed()),
        ("beta_am", BetaCalibration::am().boxed()),
        ("beta_ab", BetaCalibration::ab().boxed()),
        ("temperature", TemperatureScaling::new().boxed()),
        ("histogram", HistogramBinning::quantiles(100).unwrap().boxed()),
        ("venn_abers", VennAbers::new().boxed()),
    ];
    let mut group = criterion.benchmark_group("calibration");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    for (name, calibrator) in &calibrators {
        group.bench_function(BenchmarkId::new(format!("{name}/fit"), ROWS), |bencher| {
            bencher.iter(|| calibrator.fit(&scored).unwrap());
        });
        let map = calibrator.fit(&scored).unwrap();
        group.bench_function(BenchmarkId::new(format!("{name}/predict"), ROWS), |bencher| {
            bencher.iter(|| map.probabilities(&logits).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, calibration);
criterion_main!(benches);
