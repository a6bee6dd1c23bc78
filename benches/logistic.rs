//! The fused pass for value and gradient, whole fits, dense and sparse, and each solver.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::loss::FocalLoss;
use imbalance::loss::LogLoss;
use imbalance::model::RareEvents;
use imbalance::model::logistic::{Covariance, Objective};
use imbalance::numerics::sigmoid;
use imbalance::prelude::*;
use imbalance::sprs::CsMat;

/// (name, data): 32 dense columns, and 6 numeric with 3 one-hot columns of 1,124 levels in all.
fn logs(rows: usize) -> Vec<(String, Dataset<'static>)> {
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
    let data = clicks.generate(1).unwrap().dataset;
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

/// A loss that is not convex, and a fit that starts from one with a penalty nearby.
fn variants(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logistic_variants");
    group.sample_size(10);
    for (name, data) in logs(10_000) {
        let focal = FocalLoss::new(2.0).unwrap();
        let model = LogisticRegression::new();
        group.bench_function(BenchmarkId::new("focal", &name), |bencher| {
            bencher.iter(|| model.fit(&data, &focal, &Run::default()).unwrap());
        });
        let near = model.fit(&data, &LogLoss, &Run::default()).unwrap();
        let warm = model.l2(1.5).unwrap().start_from(&near);
        group.bench_function(BenchmarkId::new("warm_start", &name), |bencher| {
            bencher.iter(|| warm.fit(&data, &LogLoss, &Run::default()).unwrap());
        });
    }
    group.finish();
}

/// Hashed rows: 20 fields of 10 to 300,000 levels, whose frequencies fall off, in 2²⁰ signed columns.
fn hashed(rows: usize) -> Dataset<'static> {
    const BITS: u32 = 20;
    let mix = |value: u64| {
        // The finaliser of SplitMix64.
        let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ (value >> 31)
    };
    let unit = |value: u64| mix(value) as f64 / 2_f64.powi(64);
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    let mut labels = Vec::with_capacity(rows);
    for row in 0..rows as u64 {
        let mut logit = -6.0;
        let mut entries: Vec<(usize, f64)> = (0..20_u64)
            .map(|field| {
                let levels = 10.0 * 30_000_f64.powf(field as f64 / 19.0);
                let level = (levels * unit(row * 20 + field).powi(3)) as u64;
                let hash = mix(field << 32 | level);
                logit += 0.7 * (unit(hash) - 0.5);
                let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
                ((hash >> 8) as usize & ((1 << BITS) - 1), sign)
            })
            .collect();
        entries.sort_by_key(|entry| entry.0);
        entries.dedup_by_key(|entry| entry.0);
        columns.extend(entries.iter().map(|entry| entry.0));
        values.extend(entries.iter().map(|entry| entry.1));
        starts.push(columns.len());
        labels.push(unit(!row) < sigmoid(logit));
    }
    let x = CsMat::new((rows, 1 << BITS), starts, columns, values);
    Dataset::new(x, labels).unwrap()
}

fn many_columns(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logistic_hashed");
    let data = hashed(1_000_000);
    let model = LogisticRegression::new();
    group.sample_size(10).bench_function("1000000x20of2^20", |bencher| {
        bencher.iter(|| model.fit(&data, &LogLoss, &Run::default()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, gradient, fit, solvers, variants, many_columns);
criterion_main!(benches);
