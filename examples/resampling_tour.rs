//! What every sampler does to one click log.
//!
//! ```sh
//! cargo run --release --example resampling_tour
//! ```

use std::time::Instant;

use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, EditedNearestNeighbours, RandomOverSampler, Smote, SmoteNc,
    TomekLinks, Vote,
};

/// A log of 20,000 rows at 2 % whose columns are few, so that neighbours mean something.
fn main() -> imbalance::Result<()> {
    let clicks = SyntheticClicks::new(20_000, 0.02)?.numeric(4).categorical(&[]);
    let log = clicks.generate::<f32>(7)?;
    let data = &log.dataset;
    let totals = data.totals();
    println!(
        "{} rows, {} positive ({:.2} %), {} columns\n",
        totals.rows(),
        totals.positives,
        100.0 * totals.rate(),
        data.columns()
    );

    let enn = EditedNearestNeighbours::new(3)?;
    let under = RandomUnderSampler::negatives_per_positive(5.0)?;
    let over = RandomOverSampler::positives_per_negative(0.2)?;
    let smote = Smote::positives_per_negative(0.2)?;
    let samplers: Vec<(&str, Box<dyn Sampler<f32>>)> = vec![
        ("no sampling", Box::new(NoSampling)),
        ("random under", Box::new(under)),
        ("random under, reweighted", Box::new(under.reweight(true))),
        ("random over", Box::new(over)),
        ("random over, shrinkage 1", Box::new(over.shrinkage(1.0)?)),
        ("SMOTE", Box::new(smote)),
        ("SMOTE, λ per element", Box::new(smote.per_element(true))),
        ("Borderline-SMOTE 1", Box::new(BorderlineSmote::first(0.2)?)),
        ("Borderline-SMOTE 2", Box::new(BorderlineSmote::second(0.2)?)),
        ("ADASYN", Box::new(Adasyn::positives_per_negative(0.2)?)),
        // The last column plays the part of a category.
        ("SMOTE-NC", Box::new(SmoteNc::positives_per_negative(0.2, [3])?)),
        ("Tomek links", Box::new(TomekLinks::new())),
        ("ENN, all", Box::new(enn)),
        ("ENN, mode", Box::new(enn.vote(Vote::Mode))),
        ("repeated ENN", Box::new(enn.repeated(100)?)),
        ("AllKNN", Box::new(enn.all_knn())),
    ];

    println!(
        "{:<26}{:>10}{:>10}{:>10}{:>9}  distortion",
        "", "positives", "negatives", "rate", "ms"
    );
    for (name, sampler) in &samplers {
        let start = Instant::now();
        let sample = sampler.resample(data, &Run::seeded(7))?.apply(data)?;
        let milliseconds = 1000.0 * start.elapsed().as_secs_f64();
        let totals = sample.totals();
        println!(
            "{name:<26}{:>10}{:>10}{:>8.2} %{milliseconds:>9.1}  {}",
            totals.positives,
            totals.negatives,
            100.0 * totals.rate(),
            sample.distortion()
        );
    }
    println!(
        "\nThe rate is the weighted share of positives. A prior shift can be undone in closed form; \
         after rows\nwere chosen or made by their features, calibrate on untouched rows."
    );
    Ok(())
}
