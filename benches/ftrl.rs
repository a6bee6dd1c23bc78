//! One pass of FTRL-Proximal over sparse rows.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::Precision;
use imbalance::data::{Encoder, Table};
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

/// 39 categories a row, as in the logs of Criteo, hashed to 2¹⁸ and 2²⁰ columns.
fn hashed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ftrl_hashed");
    group.sample_size(10);
    let rows = 200_000;
    let levels = [100, 10_000, 1_000_000].repeat(13);
    let random = |row: usize, column: usize| {
        let mut z = (row * 39 + column) as u64;
        z = (z ^ (z >> 30)).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
    };
    let table = Table::new((0..rows).map(|row| random(row, 40) % 100 == 0).collect::<Vec<_>>());
    let table = levels.iter().enumerate().try_fold(table.unwrap(), |table, (column, levels)| {
        let texts = (0..rows).map(|row| (random(row, column) % levels).to_string());
        table.with_categorical(format!("c{column}"), texts)
    });
    let table = table.unwrap();
    for bits in [18, 20] {
        let data = Encoder::hashing(bits).unwrap().fit(&table).unwrap().encode(&table).unwrap();
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("39", format!("2^{bits}")), |bencher| {
            let mut learner = FtrlProximal::new()
                .base_rate(0.01)
                .unwrap()
                .learner(data.columns(), LogLoss)
                .unwrap();
            bencher.iter(|| learner.partial_fit(&data).expect("finite features"));
        });
    }
    group.finish();
}

criterion_group!(benches, pass, hashed);
criterion_main!(benches);
