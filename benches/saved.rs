//! Saving and loading, with the sizes of the files, and one record through a scorer.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use imbalance::data::Value;
use imbalance::model::LinearModel;
use imbalance::prelude::*;
use imbalance::saved::Saved;
use imbalance::{DynFittedPipeline, Scorer};

/// A log with five categorical columns and two numbers.
fn log(rows: usize) -> Table {
    let level =
        |i: usize, column: usize| (i * (7 + 12 * column) % (10 << (2 * column))).to_string();
    let mut table = Table::new((0..rows).map(|i| i % 37 == 0).collect::<Vec<_>>()).expect("rows");
    for column in 0..5 {
        let values = (0..rows).map(|i| level(i, column));
        table = table.with_categorical(format!("c{column}"), values).expect("a column");
    }
    for column in 0..2 {
        let values: Vec<f64> = (0..rows).map(|i| ((i * (3 + column)) % 101) as f64).collect();
        table = table.with_numeric(format!("x{column}"), values).expect("a column");
    }
    table
}

fn loading<T: Saved>(criterion: &mut Criterion, name: &str, value: &T) {
    let (json, bytes) = (value.to_json().expect("JSON"), value.to_bytes().expect("bytes"));
    println!("{name}: JSON {} kB, compact {} kB", json.len() / 1_000, bytes.len() / 1_000);
    let mut group = criterion.benchmark_group("saved_load");
    group.sample_size(10);
    group.bench_function(BenchmarkId::new("json", name), |bencher| {
        bencher.iter(|| T::from_json(black_box(&json)).expect("the same"));
    });
    group.bench_function(BenchmarkId::new("compact", name), |bencher| {
        bencher.iter(|| T::from_bytes(black_box(&bytes)).expect("the same"));
    });
    group.finish();
}

fn load(criterion: &mut Criterion) {
    let table = log(20_000);
    let encoder = Encoder::default().fit(&table).expect("an encoder");
    let data = encoder.encode(&table).expect("rows");
    let fitted = Pipeline::new(LogisticRegression::new()).fit(&data).expect("a fit");
    loading(criterion, "2^18 hashed columns", &Scorer::new(encoder, fitted).expect("a scorer"));
    let dense: Vec<f64> = (0..1 << 18).map(|i| (f64::from(i) + 0.5).sin()).collect();
    loading(
        criterion,
        "2^18 coefficients that are not 0",
        &LinearModel::new(dense, 0.0).expect("finite"),
    );
    let log = SyntheticClicks::new(20_000, 0.05).expect("a rate").numeric(8).categorical(&[]);
    let data = log.generate(7).expect("a log").dataset;
    #[cfg(feature = "gbdt")]
    {
        let trees = imbalance::model::BoostedTrees::new().trees(200).expect("a number");
        let fitted = Pipeline::new(trees).fit(&data).expect("a fit").boxed();
        loading::<DynFittedPipeline>(criterion, "200 trees", &fitted);
    }
    let fitted = Pipeline::new(LogisticRegression::new()).fit(&data).expect("a fit").boxed();
    loading::<DynFittedPipeline>(criterion, "8 columns", &fitted);
}

fn one_record(criterion: &mut Criterion) {
    let table = log(20_000);
    let mut group = criterion.benchmark_group("scorer_record");
    for (name, encoder) in [
        ("hashed", Encoder::default()),
        ("one_hot", {
            let columns = (0..5).map(|column| format!("c{column}"));
            Encoder::default().columns(columns, imbalance::data::OneHot::new().min_count(20))
        }),
    ] {
        let (encoder, data) = encoder.fit_encode(&table, 7).expect("rows");
        let pipeline = Pipeline::new(LogisticRegression::new())
            .sampler(RandomUnderSampler::negatives_per_positive(10.0).expect("a ratio"))
            .calibrator(PriorCorrection::new());
        let scorer = Scorer::new(encoder, pipeline.fit(&data).expect("a fit")).expect("a scorer");
        let record: [(&str, Value<'_>); 7] = [
            ("x0", 4.0.into()),
            ("x1", 9.0.into()),
            ("c0", "3".into()),
            ("c1", "17".into()),
            ("c2", "101".into()),
            ("c3", "7".into()),
            ("c4", "999".into()),
        ];
        let json = r#"{"x0":4.0,"x1":9.0,"c0":"3","c1":"17","c2":"101","c3":"7","c4":"999"}"#;
        group.bench_function(BenchmarkId::new("values", name), |bencher| {
            bencher.iter(|| scorer.probability(black_box(&record)).expect("a probability"));
        });
        group.bench_function(BenchmarkId::new("json", name), |bencher| {
            bencher.iter(|| scorer.probability_of_json(black_box(json)).expect("a probability"));
        });
    }
    group.finish();
}

criterion_group!(benches, load, one_record);
criterion_main!(benches);
