//! One pass of FTRL-Proximal over sparse rows.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::Precision;
use imbalance::loss::LogLoss;
use imbalance::model::FtrlProximal;
use imbalance::prelude::SyntheticClicks;

fn pass(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ftrl_pass");
    group.sample_size(10);
    for rows in [10_000, 100_000] {
        let log = SyntheticClicks::new(rows, 0.01).expect("a rate in range");
        let log = log.precision(Precision::F32).generate(7).expect("a log");
        let columns = log.dataset.columns();
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("sparse", rows), |bencher| {
            bencher.iter(|| {
                let mut learner = FtrlProximal::new().learner(columns, LogLoss).unwrap();
                learner.partial_fit(&log.dataset).expect("finite features");
                learner
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pass);
criterion_main!(benches);
