//! Predicted / observed of FTRL-Proximal on rows that it has not seen, after one pass and after several.
//!
//! `cargo run --release --example ftrl_convergence`

use imbalance::FittedPipeline;
use imbalance::calibration::Uncalibrated;
use imbalance::metrics::{normalised_entropy, predicted_over_observed};
use imbalance::model::FtrlProximal;
use imbalance::prelude::*;

/// A setting's name, the rate at which negatives are kept, and the learner.
type Setting = (&'static str, f64, FtrlProximal);

fn main() -> imbalance::Result<()> {
    let ftrl = FtrlProximal::new();
    let settings: [Setting; 7] = [
        ("one pass, no sampling", 1.0, ftrl),
        ("one pass, negatives at 0.1", 0.1, ftrl),
        ("one pass, negatives at 0.02", 0.02, ftrl),
        ("one pass, α = 0.01", 1.0, ftrl.alpha(0.01)?),
        ("one pass, in order", 1.0, ftrl.in_order(true)),
        ("at most 5 passes", 1.0, ftrl.passes(5)?),
        ("at most 50 passes", 1.0, ftrl.passes(50)?),
    ];
    println!("predicted / observed (standard errors off 1), NE over that of the batch fit, passes");
    for (rate, seeds) in [(0.01, [5, 6]), (0.002, [5, 6])] {
        for seed in seeds {
            let log =
                SyntheticClicks::new(200_000, rate)?.numeric(6).categorical(&[]).generate(seed)?;
            let (train, test) = log.dataset.stratified_split(0.4, 3)?;
            println!("\n{} % positives, log {seed}", 100.0 * rate);
            let (ratio, off, batch) = judged(LogisticRegression::new(), 0.1, &train, &test)?.0;
            println!("{:<28} {ratio:6.3} ({off:+5.1})  1.000", "logistic regression, 0.1");
            for (name, kept, model) in &settings {
                let ((ratio, off, ne), fitted) = judged(*model, *kept, &train, &test)?;
                let passes = fitted.model().passes();
                let warned = if fitted.report().warnings.is_empty() { "" } else { "  warned" };
                let relative = ne / batch;
                println!("{name:<28} {ratio:6.3} ({off:+5.1})  {relative:.3}  {passes:2}{warned}");
            }
        }
    }
    Ok(())
}

type Judged<M> = ((f64, f64, f64), FittedPipeline<<M as Model>::Fitted, Uncalibrated>);

/// Predicted / observed on the test rows, by how many standard errors it is off, and NE.
fn judged<M: Model>(
    model: M,
    kept: f64,
    train: &Dataset<'_>,
    test: &Dataset<'_>,
) -> imbalance::Result<Judged<M>> {
    let fitted = Pipeline::new(model)
        .sampler(RandomUnderSampler::rate(kept)?.reweight(true))
        .seed(7)
        .fit(train)?;
    let p = fitted.probabilities(test.features())?;
    let ratio = predicted_over_observed(test.labels(), &p, None)?;
    // The clicks of the test rows, and those of the training rows, which set the mean.
    let counts = |data: &Dataset<'_>| 1.0 / data.totals().positives as f64;
    let off = (ratio - 1.0) / (counts(test) + counts(train)).sqrt();
    Ok(((ratio, off, normalised_entropy(test.labels(), &p, None)?), fitted))
}
