//! Corrected fits of rare events: 20,000 rows of 8 columns, 1 % events.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{Criterion, criterion_group, criterion_main};
use imbalance::model::RareEvents;
use imbalance::prelude::*;

fn fits(criterion: &mut Criterion) {
    let log = SyntheticClicks::new(20_000, 0.01).expect("a rate in range").numeric(8);
    let log = log.categorical(&[]).generate(7).expect("a log");
    let mut group = criterion.benchmark_group("rare_events_20000x8");
    group.sample_size(10);
    let tau = 0.002;
    for (name, model) in [
        ("bias_correction", RareEvents::new()),
        ("weighting", RareEvents::new().weighting(tau).expect("a rate")),
        ("prior_correction", RareEvents::new().prior_correction(tau).expect("a rate")),
        ("firth", RareEvents::new().firth_with_intervals(None).expect("no level")),
        ("firth_profile", RareEvents::new().firth()),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| model.fit(&log.dataset, &LogLoss, &Run::default()).expect("a fit"));
        });
    }
    group.finish();
}

criterion_group!(benches, fits);
criterion_main!(benches);
