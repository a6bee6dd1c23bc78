//! The whole fit of a pipeline, and its predictions: all rows at once and one at a time.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::prelude::*;

fn pipeline() -> Pipeline<RandomUnderSampler, LogLoss, LogisticRegression, PriorCorrection> {
    Pipeline::new(LogisticRegression::new())
        .sampler(RandomUnderSampler::negatives_per_positive(10.0).unwrap())
        .calibrator(PriorCorrection::new())
}

fn log(rows: usize, sparse: bool) -> Dataset<'static> {
    let clicks = SyntheticClicks::new(rows, 0.01).unwrap();
    let clicks = if sparse { clicks } else { clicks.numeric(32).categorical(&[]) };
    clicks.generate(1).unwrap().dataset
}

fn fit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline_fit");
    for (name, sparse) in [("dense", false), ("sparse", true)] {
        for rows in [100_000, 1_000_000] {
            let data = log(rows, sparse);
            group.sample_size(10).throughput(Throughput::Elements(rows as u64)).bench_function(
                BenchmarkId::new(name, format!("{rows}x{}", data.columns())),
                |bencher| bencher.iter(|| pipeline().fit(&data).unwrap()),
            );
        }
    }
    group.finish();
}

fn predict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("predict");
    for (name, sparse) in [("dense", false), ("sparse", true)] {
        let data = log(1_000_000, sparse);
        let fitted = pipeline().fit(&data).unwrap();
        let mut out = vec![0.0; data.rows()];
        group.sample_size(20).throughput(Throughput::Elements(data.rows() as u64));
        let size = format!("{}x{}", data.rows(), data.columns());
        group.bench_function(BenchmarkId::new(name, size), |bencher| {
            bencher.iter(|| fitted.probabilities_into(data.features(), &mut out).unwrap());
        });
        group.throughput(Throughput::Elements(1));
        let columns = data.columns();
        group.bench_function(BenchmarkId::new(name, format!("1x{columns}")), |bencher| {
            let dense = vec![0.5_f32; columns];
            let (indices, values) = ([0, 1, 2, 3, 4, 5, 20, 100, 1000], [0.5_f32; 9]);
            if sparse {
                bencher.iter(|| {
                    let row = Row::sparse(columns, &indices, &values).unwrap();
                    fitted.probability(row).unwrap()
                });
            } else {
                bencher.iter(|| fitted.probability(&dense).unwrap());
            }
        });
    }
    group.finish();
}

criterion_group!(benches, fit, predict);
criterion_main!(benches);
