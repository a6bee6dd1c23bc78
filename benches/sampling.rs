//! The samplers that choose rows, and chains: choosing the rows, and gathering or making them. Those that
//! look at neighbours, each alone, are in `neighbours`.
#![allow(missing_docs, reason = "the macros of criterion make undocumented functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use imbalance::prelude::*;
use imbalance::sampling::{
    DrawMode, EditedNearestNeighbours, HardnessBand, PoissonHardNegatives, PoissonRuleSampler,
    RandomOverSampler, Rule, Smote, TomekLinks,
};
use imbalance::sampling::{HardNegativeMining, LocalCaseControl, Pilot, RuleSampler};

/// The entries of the resampled features: selected rows are copied when they are read.
fn chosen_and_copied(sampler: &dyn Sampler, data: &Dataset<'_>, run: &Run) -> usize {
    sampler.resample(data, run).unwrap().apply(data).unwrap().features().stored()
}

fn under_sampling(criterion: &mut Criterion) {
    let sampler = RandomUnderSampler::negatives_per_positive(10.0).unwrap();
    let run = Run::seeded(7);
    for rows in [100_000, 1_000_000] {
        let clicks = SyntheticClicks::new(rows, 0.01).unwrap().numeric(32).categorical(&[]);
        let data = clicks.generate(1).unwrap().dataset;
        let size = format!("{rows}x{}", data.columns());

        let mut group = criterion.benchmark_group("random_under_sampler");
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("choose", &size), |bencher| {
            bencher.iter(|| sampler.resample(&data, &run).unwrap());
        });
        group.bench_function(BenchmarkId::new("choose_and_gather", &size), |bencher| {
            bencher.iter(|| chosen_and_copied(&sampler, &data, &run));
        });
        group.finish();
    }
}

/// Choosing the rows, and gathering them, a million rows of 32 columns each time.
fn choosing_rows(criterion: &mut Criterion) {
    let clicks = SyntheticClicks::new(1_000_000, 0.01).unwrap().numeric(32).categorical(&[]);
    let data = clicks.generate(1).unwrap().dataset;
    // Yesterday's model, so that its training is not measured.
    let model = Pipeline::new(LogisticRegression::new())
        .sampler(RandomUnderSampler::default())
        .calibrator(PriorCorrection::new())
        .fit(&data)
        .unwrap();
    let pilot = Pilot::fitted(model);
    let under = RandomUnderSampler::negatives_per_positive(10.0).unwrap();
    let engaged = || {
        let active = Rule::number("last_active_days").at_most(7.0);
        active.and(Rule::number("impressions").at_least(5.0))
    };
    let hardest = HardnessBand::hardest(100_000).unwrap();
    let samplers: Vec<(&str, Box<dyn Sampler>)> = vec![
        ("with_replacement", Box::new(under.draw(DrawMode::WithReplacement))),
        ("bernoulli", Box::new(under.draw(DrawMode::Bernoulli))),
        ("hard_negative_mining", Box::new(HardNegativeMining::new(pilot.clone(), hardest))),
        (
            "poisson_hard_negatives",
            Box::new(PoissonHardNegatives::proportional(pilot.clone(), 10.0, 0.02).unwrap()),
        ),
        ("local_case_control", Box::new(LocalCaseControl::new(pilot.clone()))),
        (
            "local_case_control_5",
            Box::new(LocalCaseControl::new(pilot.clone()).scale(5.0).unwrap()),
        ),
        ("random_over", Box::new(RandomOverSampler::positives_per_negative(0.5).unwrap())),
        ("rule_filter", Box::new(RuleSampler::filter(engaged()).unwrap())),
        ("rule_shares", Box::new(RuleSampler::shares([(engaged(), 0.2)], 0.05).unwrap())),
        ("rule_priorities", Box::new(RuleSampler::priorities([(engaged(), 5.0)], 0.1).unwrap())),
        ("rule_poisson", Box::new(PoissonRuleSampler::new([(engaged(), 0.2)], 0.05).unwrap())),
        ("rule_then_random_under", Box::new(RuleSampler::filter(engaged()).unwrap().then(under))),
    ];
    let run = Run::seeded(7);
    let mut group = criterion.benchmark_group("samplers");
    group.throughput(Throughput::Elements(1_000_000)).sample_size(20);
    for (name, sampler) in samplers {
        group.bench_function(BenchmarkId::new(name, "1000000x32"), |bencher| {
            bencher.iter(|| chosen_and_copied(&sampler, &data, &run));
        });
    }
    group.finish();
}

/// The chains that are named after what they do, 1,000 positives of 20,000 rows.
fn chains(criterion: &mut Criterion) {
    let clicks = SyntheticClicks::new(20_000, 0.05).unwrap().numeric(8).categorical(&[]);
    let data = clicks.generate(1).unwrap().dataset;
    let smote = Smote::positives_per_negative(0.5).unwrap();
    let enn = EditedNearestNeighbours::new(3).unwrap().both_classes(true);
    let under = RandomUnderSampler::negatives_per_positive(10.0).unwrap();
    let samplers: [(&str, &dyn Sampler); 3] = [
        ("smote_then_enn", &smote.then(enn)),
        ("smote_then_tomek_links", &smote.then(TomekLinks::new().both_classes(true))),
        ("random_under_then_smote", &under.then(smote)),
    ];
    let mut group = criterion.benchmark_group("chains");
    group.throughput(Throughput::Elements(20_000)).sample_size(10);
    for (name, sampler) in samplers {
        group.bench_function(BenchmarkId::new(name, "20000x8"), |bencher| {
            let run = Run::seeded(7);
            bencher.iter(|| chosen_and_copied(sampler, &data, &run));
        });
    }
    group.finish();
}

criterion_group!(benches, under_sampling, choosing_rows, chains);
criterion_main!(benches);
