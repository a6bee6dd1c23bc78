//! Single metrics, the scorecard, curves and intervals.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::Folds;
use imbalance::Precision;
use imbalance::metrics::{
    Bootstrap, ProbabilityScale, RankedScores, ThresholdRule, average_precision, brier_score,
    calibration_line, compare_roc_auc, confusion, ece, log_loss, normalised_entropy, roc_auc,
    roc_auc_interval, slices_by_period, smooth_ece,
};
use imbalance::prelude::SyntheticClicks;

/// Labels and true probabilities of a click log at 0.5 %.
fn rows(n: usize) -> (Vec<bool>, Vec<f64>) {
    let log = SyntheticClicks::new(n, 0.005).unwrap().numeric(1).categorical(&[]);
    let log = log.precision(Precision::F32).generate(1).unwrap();
    (log.dataset.labels().to_vec(), log.probabilities)
}

fn scalars(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metric");
    let n = 1_000_000;
    let (y, p) = rows(n);
    let w: Vec<f64> = (0..n).map(|row| (row % 7 + 1) as f64 / 4.0).collect();
    group.sample_size(10).throughput(Throughput::Elements(n as u64));
    for (kind, weights) in [("unweighted", None), ("weighted", Some(&w[..]))] {
        let mut bench = |name: &str, metric: &dyn Fn() -> f64| {
            group.bench_function(BenchmarkId::new(name, format!("{n} {kind}")), |bencher| {
                bencher.iter(metric);
            });
        };
        bench("roc_auc", &|| roc_auc(&y, &p, weights).unwrap());
        bench("average_precision", &|| average_precision(&y, &p, weights).unwrap());
        bench("log_loss", &|| log_loss(&y, &p, weights).unwrap());
        bench("normalised_entropy", &|| normalised_entropy(&y, &p, weights).unwrap());
        bench("ece", &|| ece(&y, &p, weights, 10).unwrap());
        bench("calibration_line", &|| calibration_line(&y, &p, weights).unwrap().slope);
        bench("brier_score", &|| brier_score(&y, &p, weights).unwrap());
        bench("confusion", &|| confusion(&y, &p, weights, 0.01).unwrap().true_positives);
        bench("smooth_ece", &|| smooth_ece(&y, &p, weights).unwrap());
        bench("roc_auc_interval", &|| roc_auc_interval(&y, &p, weights, 0.95).unwrap().lower);
        bench("compare_roc_auc", &|| compare_roc_auc(&y, &p, &w, weights, 0.95).unwrap().second);
    }
    group.finish();
}

/// What the comparison with scikit-learn measures: 10 million rows.
fn ten_million(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metric");
    let n = 10_000_000;
    let (y, p) = rows(n);
    group.sample_size(10).throughput(Throughput::Elements(n as u64));
    type Metric = fn(&[bool], &[f64], Option<&[f64]>) -> imbalance::Result<f64>;
    let metrics: [(&str, Metric); 3] =
        [("roc_auc", roc_auc), ("average_precision", average_precision), ("log_loss", log_loss)];
    for (name, metric) in metrics {
        group.bench_function(BenchmarkId::new(name, n), |bencher| {
            bencher.iter(|| metric(&y, &p, None).unwrap());
        });
    }
    group.finish();
}

fn ranked(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ranked");
    let n = 1_000_000;
    let (y, p) = rows(n);
    let sorted = RankedScores::new(&y, &p, None).unwrap();
    group.sample_size(10).throughput(Throughput::Elements(n as u64));
    group.bench_function(BenchmarkId::new("sort", n), |bencher| {
        bencher.iter(|| RankedScores::new(&y, &p, None).unwrap());
    });
    let mut bench = |name: &str, of: &dyn Fn()| {
        group.bench_function(BenchmarkId::new(name, n), |bencher| bencher.iter(of));
    };
    bench("scorecard", &|| {
        black_box(sorted.scorecard().unwrap());
    });
    bench("roc_curve", &|| {
        black_box(sorted.roc_curve().unwrap());
    });
    bench("precision_recall_curve", &|| {
        black_box(sorted.precision_recall_curve().unwrap());
    });
    bench("gain_curve", &|| {
        black_box(sorted.gain_curve().unwrap());
    });
    bench("reliability_curve", &|| {
        black_box(sorted.reliability_curve(10, 0.95).unwrap());
    });
    bench("corp", &|| {
        black_box(sorted.corp().unwrap());
    });
    bench("deciles", &|| {
        black_box(sorted.deciles(10).unwrap());
    });
    bench("score_histogram", &|| {
        black_box(sorted.score_histogram(50, ProbabilityScale::Logit).unwrap());
    });
    let rule = ThresholdRule::f_beta(1.0).unwrap();
    bench("choose", &|| {
        black_box(rule.choose_ranked(&sorted).unwrap());
    });
    let folds = Folds::stratified(&y, 5, 1).unwrap();
    bench("choose_cross_fitted", &|| {
        black_box(rule.choose_cross_fitted(&y, &p, None, &folds).unwrap());
    });
    let days: Vec<f64> = (0..n).map(|row| (row * 30 / n) as f64).collect();
    bench("slices_by_period", &|| {
        black_box(slices_by_period(&days, 1.0, &y, &p, None).unwrap());
    });
    group.finish();
}

fn bootstrap(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bootstrap");
    let n = 100_000;
    let (y, p) = rows(n);
    let groups: Vec<u32> = (0..n as u32).map(|row| row / 10).collect();
    let rows = Bootstrap::new(100, 1).unwrap();
    let grouped = rows.clone().by_group(&groups);
    group.sample_size(10).throughput(Throughput::Elements(100 * n as u64));
    for (name, bootstrap) in [("rows", rows), ("groups", grouped)] {
        group.bench_function(BenchmarkId::new(name, format!("100x{n}")), |bencher| {
            bencher.iter(|| {
                bootstrap
                    .intervals(&y, &p, None, |rows| {
                        Ok([rows.roc_auc()?, rows.average_precision()?, rows.normalised_entropy()?])
                    })
                    .unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scalars, ten_million, ranked, bootstrap);
criterion_main!(benches);
