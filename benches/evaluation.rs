//! The whole report.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::Evaluation;
use imbalance::Precision;
use imbalance::metrics::ThresholdRule;
use imbalance::prelude::SyntheticClicks;

/// Two models on a click log at 0.5 %, with goals and slices; with and without a bootstrap.
fn report(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluation");
    let n = 1_000_000;
    let log = SyntheticClicks::new(n, 0.005).unwrap().numeric(1).categorical(&[]);
    let log = log.precision(Precision::F32).generate(1).unwrap();
    let doubled: Vec<f64> = log.probabilities.iter().map(|p| (2.0 * p).min(0.99)).collect();
    let evaluation = Evaluation::new(log.dataset.labels(), &log.probabilities)
        .against("doubled", &doubled)
        .threshold("cost", ThresholdRule::cost(1.0, 100.0).unwrap())
        .threshold("share", ThresholdRule::share(0.01).unwrap())
        .by_period("day", log.dataset.numbers("day").unwrap(), 1.0);
    group.sample_size(10).throughput(Throughput::Elements(n as u64));
    for (name, replicates) in [("report", None), ("report, 10 replicates", Some(10))] {
        let evaluation = evaluation.clone().bootstrap(replicates);
        group.bench_function(BenchmarkId::new(name, n), |bencher| {
            bencher.iter(|| black_box(evaluation.report().unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, report);
criterion_main!(benches);
