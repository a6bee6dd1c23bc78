//! The fused pass for value and gradient, whole fits, dense and sparse, and each solver.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::loss::LogLoss;
use imbalance::model::RareEvents;
use imbalance::model::logistic::{Covariance, Objective};
use imbalance::prelude::*;

/// (name, data): 32 dense columns, and 6 numeric with 3 one-hot columns of 1,124 levels in all.
fn logs(rows: usize) -> Vec<(String, Dataset<'static, f64>)> {
    let clicks = SyntheticClicks::new(rows, 0.01).unwrap();
    let dense = clicks.clone().numeric(32).categorical(&[]).generate(1).unwrap();
    let sparse = clicks.generate(1).unwrap();
    [("dense", dense), ("sparse", sparse)]
        .map(|(name, log)| {
            let data = log.dataset;
            (format!("{name}/{rows}x{}", data.columns()), data)
        })
        .into()
}

fn gradient(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("value_and_gradient");
    for (name, data) in logs(10_000).into_iter().chain(logs(1_000_000)) {
        let objective = Objective::new(&data, &LogLoss, 1.0, true).unwrap();
        let theta = vec![0.01; objective.parameters()];
        group.throughput(Throughput::Elements(data.rows() as u64));
        group.sample_size(20).bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| objective.value_and_gradient(&theta).unwrap());
        });
    }
    group.finish();
}

fn fit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logistic_fit");
    for (name, data) in logs(10_000).into_iter().chain(logs(1_000_000)) {
        let model = LogisticRegression::new();
        group.sample_size(10).bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| model.fit(&data, &LogLoss, &Run::default()).unwrap());
        });
    }
    group.finish();
}

/// Every other solver, on ten thousand rows: L1 with the Hessian formed and by columns, inference, the
/// finite-sample correction, and Firth's likelihood without and with profile intervals.
fn solvers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logistic_solvers");
    group.sample_size(10);
    for (name, data) in logs(10_000) {
        let model = LogisticRegression::new().l1(5.0).unwrap().l2(0.0).unwrap();
        group.bench_function(BenchmarkId::new("l1", name), |bencher| {
            bencher.iter(|| model.fit(&data, &LogLoss, &Run::default()).unwrap());
        });
    }
    let clicks = SyntheticClicks::new(10_000, 0.01).unwrap().numeric(8).categorical(&[]);
    let data = clicks.generate::<f64>(1).unwrap().dataset;
    let fitted = LogisticRegression::new().l2(0.0).unwrap();
    let fitted = fitted.fit(&data, &LogLoss, &Run::default()).unwrap();
    group.bench_function("inference/10000x8", |bencher| {
        bencher.iter(|| fitted.inference(&data, &LogLoss, Covariance::Hc1).unwrap());
    });
    for (name, model) in [
        ("bias_correction", RareEvents::new()),
        ("firth", RareEvents::new().firth_with_intervals(None).unwrap()),
        ("firth_with_intervals", RareEvents::new().firth()),
    ] {
        group.bench_function(BenchmarkId::new(name, "10000x8"), |bencher| {
            bencher.iter(|| model.fit(&data, &LogLoss, &Run::default()).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, gradient, fit, solvers);
criterion_main!(benches);
