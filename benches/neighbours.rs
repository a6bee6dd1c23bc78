//! The neighbour search, through SMOTE with one new row per positive, and the samplers built on it.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, EditedNearestNeighbours, RandomOverSampler, Smote, SmoteNc, TomekLinks,
};

/// As many positives as negatives, so that the positives to be searched are half of the rows.
fn log(positives: usize, columns: usize) -> Dataset<'static> {
    let clicks = SyntheticClicks::new(2 * positives, 0.5).unwrap().numeric(columns);
    clicks.categorical(&[]).generate(1).unwrap().dataset
}

/// Few columns are searched by the tree, many by blocked products, one-hot ones by sparse products.
fn search(criterion: &mut Criterion) {
    let smote = Smote::positives_per_negative(2.0).unwrap();
    for (method, columns, largest) in [
        ("tree", 2, 200_000),
        ("tree", 8, 200_000),
        ("tree", 12, 50_000),
        ("blocks", 13, 50_000),
        ("blocks", 32, 50_000),
    ] {
        let mut group = criterion.benchmark_group(format!("neighbours/{method}"));
        group.sample_size(10);
        for positives in [2_000, 20_000, largest] {
            let data = log(positives, columns);
            group.throughput(Throughput::Elements(positives as u64));
            let id = BenchmarkId::from_parameter(format!("{positives}x{columns}"));
            group
                .bench_function(id, |b| b.iter(|| smote.resample(&data, &Run::seeded(7)).unwrap()));
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("neighbours/sparse");
    group.sample_size(10);
    for positives in [1_000, 5_000, 10_000] {
        let clicks = SyntheticClicks::new(2 * positives, 0.5).unwrap();
        let data = clicks.generate(1).unwrap().dataset;
        group.throughput(Throughput::Elements(positives as u64));
        let id = BenchmarkId::from_parameter(format!("{positives}x{}", data.columns()));
        group.bench_function(id, |b| b.iter(|| smote.resample(&data, &Run::seeded(7)).unwrap()));
    }
    group.finish();
}

/// Every sampler on rows of which 5 % are positive.
fn samplers(criterion: &mut Criterion) {
    for rows in [2_000, 20_000, 100_000] {
        let clicks = SyntheticClicks::new(rows, 0.05).unwrap().numeric(8).categorical(&[]);
        let data = clicks.generate(1).unwrap().dataset;
        let enn = EditedNearestNeighbours::new(3).unwrap();
        let over = RandomOverSampler::positives_per_negative(0.5).unwrap();
        let samplers: [(&str, &dyn Sampler); 12] = [
            ("random_over", &over),
            ("smoothed_random_over", &over.shrinkage(1.0).unwrap()),
            ("smote", &Smote::positives_per_negative(0.5).unwrap()),
            ("smote_per_element", &Smote::positives_per_negative(0.5).unwrap().per_element(true)),
            ("borderline_smote_1", &BorderlineSmote::borderline1(0.5).unwrap()),
            ("borderline_smote_2", &BorderlineSmote::borderline2(0.5).unwrap()),
            ("adasyn", &Adasyn::positives_per_negative(0.5).unwrap()),
            ("smote_nc", &SmoteNc::positives_per_negative(0.5, [7]).unwrap()),
            ("tomek_links", &TomekLinks::new()),
            ("enn", &enn),
            ("repeated_enn", &enn.repeated(100).unwrap()),
            ("all_knn", &enn.all_knn(true)),
        ];
        for (name, sampler) in samplers {
            let mut group = criterion.benchmark_group(name);
            group.sample_size(10);
            group.throughput(Throughput::Elements(rows as u64));
            let id = BenchmarkId::from_parameter(format!("{rows}x8"));
            group.bench_function(id, |b| {
                b.iter(|| sampler.resample(&data, &Run::seeded(7)).unwrap());
            });
            group.finish();
        }
    }
}

criterion_group!(benches, search, samplers);
criterion_main!(benches);
