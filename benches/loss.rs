//! The block of rows through each loss: value, gradient and Hessian.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::ClassTotals;
use imbalance::loss::{
    AsymmetricLoss, Block, FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted, Loss, WeightedLogLoss,
};

/// As a model sees them: resolved for the rows.
fn losses() -> imbalance::Result<Vec<(&'static str, Arc<dyn Loss>)>> {
    let totals = ClassTotals {
        positives: 10,
        negatives: 990,
        positive_weight: 10.0,
        negative_weight: 990.0,
    };
    let losses: [(&'static str, Box<dyn Loss>); 8] = [
        ("log", Box::new(LogLoss)),
        ("weighted_log", Box::new(WeightedLogLoss::balanced())),
        ("focal_gamma_2", Box::new(FocalLoss::new(2.0)?.alpha(0.25)?)),
        ("focal_gamma_1.5", Box::new(FocalLoss::new(1.5)?)),
        ("logit_adjusted", Box::new(LogitAdjusted::new(1.0)?)),
        ("asymmetric_0_4", Box::new(AsymmetricLoss::new(0.0, 4.0, 0.0)?)),
        ("asymmetric_margin", Box::new(AsymmetricLoss::new(0.0, 4.0, 0.0005)?)),
        ("smoothed_log", Box::new(LabelSmoothing::new(LogLoss, 0.001)?)),
    ];
    losses.into_iter().map(|(name, loss)| Ok((name, loss.resolve(&totals)?))).collect()
}

fn block(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loss_block");
    for rows in [256, 65_536] {
        // Logits of a rare event, −7 ± 4, and one label in a hundred.
        let logits: Vec<f64> = (0..rows).map(|i| -7.0 + 4.0 * (i as f64).sin()).collect();
        let labels: Vec<bool> = (0..rows).map(|i| i % 100 == 0).collect();
        let (mut gradients, mut hessians) = (vec![0.0; rows], vec![0.0; rows]);
        for (name, loss) in losses().expect("parameters in range") {
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(BenchmarkId::new(name, rows), |bencher| {
                bencher.iter(|| {
                    let (gradients, hessians) = (&mut gradients, &mut hessians);
                    let rows = Block::new(&logits, &labels, None, gradients, hessians);
                    loss.block(rows.expect("slices of one length"))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, block);
criterion_main!(benches);
