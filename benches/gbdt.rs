//! Boosted trees and the regression on their leaves: 20,000 rows of 8 columns, 1 % positives, ten trees.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{Criterion, criterion_group, criterion_main};
use imbalance::model::{BoostedLeaves, BoostedTrees};
use imbalance::prelude::*;

fn fits(criterion: &mut Criterion) {
    let log = SyntheticClicks::new(20_000, 0.01).expect("a rate in range").numeric(8);
    let log = log.categorical(&[]).generate(7).expect("a log");
    let trees = BoostedTrees::new().trees(10).expect("some trees");
    let hybrid = BoostedLeaves::new(trees.clone(), LogisticRegression::new());
    let run = Run::default();
    let mut group = criterion.benchmark_group("gbdt_20000x8");
    group.sample_size(10);
    group.bench_function("trees", |bencher| {
        bencher.iter(|| trees.fit(&log.dataset, &LogLoss, &run).expect("a fit"));
    });
    group.bench_function("leaves", |bencher| {
        bencher.iter(|| hybrid.fit(&log.dataset, &LogLoss, &run).expect("a fit"));
    });
    group.finish();
}

criterion_group!(benches, fits);
criterion_main!(benches);
