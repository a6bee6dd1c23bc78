//! The effect of each sampler, in each of its forms, on a click log, and pictures of its effect on a small one.
//!
//! ```sh
//! cargo run --release --example resampling_tour
//! ```
//!
//! Pictures of two columns, before and after, go to `target/resampling_tour`.

use std::fs;
use std::path::Path;
use std::time::Instant;

use imbalance::Precision;
use imbalance::plot::{self, Options};
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, DrawMode, EditedNearestNeighbours, HardnessBand, NearMiss,
    NeighbourhoodCleaning, PoissonHardNegatives, PoissonRuleSampler, RandomOverSampler, Rule,
    Smote, SmoteNc, TomekLinks, VotingRule,
};
use imbalance::sampling::{HardNegativeMining, LocalCaseControl, NoSampling, Pilot, RuleSampler};

type Named = (&'static str, Box<dyn Sampler>);

/// Each sampler with its name; a new sampler is one more line. `last` is the last column, which SMOTE-NC takes
/// as a column of codes, and `hard` is the number of hard negatives.
fn samplers(last: usize, hard: usize) -> imbalance::Result<Vec<Named>> {
    let enn = EditedNearestNeighbours::new(3)?;
    let under = RandomUnderSampler::negatives_per_positive(5.0)?;
    let over = RandomOverSampler::positives_per_negative(0.2)?;
    let smote = Smote::positives_per_negative(0.2)?;
    let pilot = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let mining = |band| HardNegativeMining::new(pilot(), band);
    let poisson = || PoissonHardNegatives::proportional(pilot(), 5.0, 0.02);
    let local = || LocalCaseControl::new(pilot());
    // Two rules: active within seven days, and at least five impressions.
    let active = || Rule::number("last_active_days").at_most(7.0);
    let engaged = || active().and(Rule::number("impressions").at_least(5.0));
    let by_rule = || PoissonRuleSampler::new([(engaged(), 0.5)], 0.05);
    Ok(vec![
        ("no sampling", Box::new(NoSampling)),
        ("random under", Box::new(under)),
        ("random under, reweighted", Box::new(under.reweight(true))),
        ("random under, with replacement", Box::new(under.draw(DrawMode::WithReplacement))),
        ("random under, Bernoulli", Box::new(under.draw(DrawMode::Bernoulli))),
        ("hard negatives, k hardest", Box::new(mining(HardnessBand::hardest(hard)?))),
        ("hard negatives, window", Box::new(mining(HardnessBand::window(0.1, 0.08)?))),
        ("hard negatives, quantiles", Box::new(mining(HardnessBand::quantiles(0.9, 0.99)?))),
        (
            "hard and random negatives",
            Box::new(mining(HardnessBand::hardest(hard)?).random_share(0.5)?),
        ),
        ("hard negatives, Poisson", Box::new(poisson()?)),
        ("hard negatives, Poisson, reweighted", Box::new(poisson()?.reweight(true))),
        ("local case-control", Box::new(local())),
        ("local case-control, c = 5", Box::new(local().scale(5.0)?)),
        ("rule, filter", Box::new(RuleSampler::filter(engaged())?)),
        ("rule, shares", Box::new(RuleSampler::shares([(engaged(), 0.5)], 0.05)?)),
        ("rule, priorities", Box::new(RuleSampler::priorities([(engaged(), 5.0)], 0.1)?)),
        ("rule, Poisson", Box::new(by_rule()?)),
        ("rule, Poisson, reweighted", Box::new(by_rule()?.reweight(true))),
        ("random over", Box::new(over)),
        ("random over, shrinkage 1", Box::new(over.shrinkage(1.0)?)),
        ("SMOTE", Box::new(smote)),
        ("SMOTE, λ per element", Box::new(smote.per_element(true))),
        ("Borderline-SMOTE 1", Box::new(BorderlineSmote::borderline1(0.2)?)),
        ("Borderline-SMOTE 2", Box::new(BorderlineSmote::borderline2(0.2)?)),
        ("ADASYN", Box::new(Adasyn::positives_per_negative(0.2)?)),
        ("SMOTE-NC", Box::new(SmoteNc::positives_per_negative(0.2, [last])?)),
        ("Tomek links", Box::new(TomekLinks::new())),
        ("ENN, all", Box::new(enn)),
        ("ENN, mode", Box::new(enn.vote(VotingRule::Mode))),
        ("repeated ENN", Box::new(enn.repeated(100)?)),
        ("AllKNN", Box::new(enn.all_knn(true))),
        ("neighbourhood cleaning", Box::new(NeighbourhoodCleaning::new(3)?)),
        ("NearMiss 1", Box::new(NearMiss::negatives_per_positive(5.0)?)),
        ("SMOTE then ENN", Box::new(smote.then(enn.both_classes(true)))),
        ("SMOTE then Tomek links", Box::new(smote.then(TomekLinks::new().both_classes(true)))),
        ("random under then SMOTE", Box::new(under.then(Smote::positives_per_negative(0.5)?))),
    ])
}

/// A log of 20,000 rows at 2 %, with few columns, so that neighbours are similar.
fn main() -> imbalance::Result<()> {
    let clicks = SyntheticClicks::new(20_000, 0.02)?.numeric(4).categorical(&[]);
    let log = clicks.precision(Precision::F32).generate(7)?;
    let data = &log.dataset;
    let totals = data.totals();
    println!(
        "{} rows, {} positive ({:.2} %), {} columns\n",
        totals.rows(),
        totals.positives,
        100.0 * totals.rate(),
        data.columns()
    );
    println!(
        "{:<36}{:>10}{:>10}{:>10}{:>9}  distortion",
        "", "positives", "negatives", "rate", "ms"
    );
    for (name, sampler) in samplers(3, 2_000)? {
        let start = Instant::now();
        let sample = sampler.resample(data, &Run::seeded(7))?.apply(data)?;
        let milliseconds = 1000.0 * start.elapsed().as_secs_f64();
        let totals = sample.totals();
        println!(
            "{name:<36}{:>10}{:>10}{:>8.2} %{milliseconds:>9.1}  {}",
            totals.positives,
            totals.negatives,
            100.0 * totals.rate(),
            sample.distortion()
        );
    }
    println!(
        "\nThe rate is the weighted share of positives. A prior shift can be undone in closed form; if \
         rows were\nchosen or made by their features, calibrate on untouched rows."
    );
    pictures(Path::new("target/resampling_tour"))
}

/// A picture of each sampler on a log of 400 rows, which stay visible as single points.
fn pictures(folder: &Path) -> imbalance::Result<()> {
    let io = |source| imbalance::Error::Io { file: folder.into(), source };
    fs::create_dir_all(folder).map_err(io)?;
    let clicks = SyntheticClicks::new(400, 0.08)?.numeric(2).categorical(&[]);
    let log = clicks.precision(Precision::F32).generate(7)?;
    let before = &log.dataset;
    let mut drawn = 0;
    for (name, sampler) in samplers(1, 60)? {
        let after = sampler.resample(before, &Run::seeded(7))?.apply(before)?;
        let options = Options::default().title(name);
        let picture = plot::rows(&[("before", before), ("after", &after)], [0, 1], &options)?;
        let file = name.replace(", ", "-").replace([' ', ','], "-").replace('=', "is");
        picture.save(folder.join(&file).with_extension("svg"))?;
        picture.save(folder.join(&file).with_extension("png"))?;
        drawn += 1;
    }
    println!("\n{drawn} pictures of {} rows in {}", before.rows(), folder.display());
    Ok(())
}
