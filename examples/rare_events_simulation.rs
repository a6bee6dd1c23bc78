//! Bias and coverage of the estimators for rare events, by simulation.
//!
//! ```sh
//! cargo run --release --example rare_events_simulation
//! cargo run --release --example rare_events_simulation -- --replications 100
//! ```
//!
//! Two tables: the bias of maximum likelihood, of the finite-sample correction and of Firth's
//! likelihood with 500 rows and about 25 events, and the coverage of their 95 % intervals with 2,000 rows
//! and 5 % events.

use clap::Parser;
use imbalance::loss::numerics::sigmoid;
use imbalance::model::{FittedRareEvents, RareEvents};
use imbalance::ndarray::Array2;
use imbalance::prelude::*;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand_distr::StandardNormal;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// The true slopes; the features are independent standard normal numbers.
const SLOPES: [f64; 2] = [1.0, -1.0];
/// The true intercept: about 5 % events.
const INTERCEPT: f64 = -3.75;

/// Bias and coverage of the estimators for rare events.
#[derive(Parser)]
struct Arguments {
    /// Replications for the table of coverage; the table of bias has ten times as many.
    #[arg(long, default_value_t = 4000)]
    replications: u64,
    /// Seed of all randomness.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> imbalance::Result<()> {
    let arguments = Arguments::parse();
    let truth = [SLOPES[0], SLOPES[1], INTERCEPT];
    println!("truth: slopes {SLOPES:?}, intercept {INTERCEPT}; seed {}\n", arguments.seed);
    bias(&arguments, &truth)?;
    coverage(&arguments, &truth)
}

fn draw(rows: usize, seed: Seed) -> imbalance::Result<Dataset<'static, f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed.value());
    let x = Array2::from_shape_fn((rows, SLOPES.len()), |_| random.sample(StandardNormal));
    let labels: Vec<bool> = x
        .outer_iter()
        .map(|row| {
            let z = INTERCEPT + row.iter().zip(SLOPES).map(|(x, slope)| x * slope).sum::<f64>();
            random.random::<f64>() < sigmoid(z)
        })
        .collect();
    Dataset::new(x, labels)
}

fn fit(model: &RareEvents, data: &Dataset<'_, f64>) -> imbalance::Result<FittedRareEvents> {
    model.fit(data, &LogLoss, &Run::default())
}

/// Mean error of each coefficient, with its standard error.
fn bias(arguments: &Arguments, truth: &[f64; 3]) -> imbalance::Result<()> {
    let replications = 10 * arguments.replications;
    let methods = [
        ("maximum likelihood", RareEvents::new().maximum_likelihood()),
        ("bias correction", RareEvents::new()),
        ("Firth", RareEvents::new().firth_with_intervals(None)?),
    ];
    let drawn: Vec<_> = (0..replications)
        .into_par_iter()
        .map(|i| {
            let data = draw(500, Seed::new(arguments.seed).child(&format!("bias {i}")))?;
            let estimates = methods
                .iter()
                .map(|(_, model)| Ok(fit(model, &data)?.inference().estimates().to_vec()))
                .collect::<imbalance::Result<Vec<_>>>()?;
            Ok((data.totals().positives, estimates))
        })
        .collect::<imbalance::Result<_>>()?;
    let n = replications as f64;
    let events = drawn.iter().map(|(events, _)| *events as f64).sum::<f64>() / n;
    println!("Bias, 500 rows, {events:.1} events on average, {replications} replications\n");
    println!("| method | slope 1 | slope 2 | intercept |\n|---|---:|---:|---:|");
    for (m, (name, _)) in methods.iter().enumerate() {
        let cells = (0..3).map(|j| {
            let errors = drawn.iter().map(|(_, estimates)| estimates[m][j] - truth[j]);
            let mean = errors.clone().sum::<f64>() / n;
            let variance = errors.map(|e| (e - mean).powi(2)).sum::<f64>() / (n - 1.0);
            format!("{mean:+.4} ± {:.4}", (variance / n).sqrt())
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    println!();
    Ok(())
}

/// Share of the 95 % intervals that hold the truth.
fn coverage(arguments: &Arguments, truth: &[f64; 3]) -> imbalance::Result<()> {
    let replications = arguments.replications;
    let methods = [
        ("maximum likelihood", RareEvents::new().maximum_likelihood(), false),
        ("weighting, robust", RareEvents::new().maximum_likelihood(), true),
        ("bias correction", RareEvents::new(), false),
        ("Firth, profile", RareEvents::new().firth(), false),
    ];
    let drawn: Vec<_> = (0..replications)
        .into_par_iter()
        .map(|i| {
            let data = draw(2000, Seed::new(arguments.seed).child(&format!("coverage {i}")))?;
            // The rate of the design, E σ(−3.75 + √2 Z), by quadrature.
            let tau = 0.0502;
            let hits = methods
                .iter()
                .map(|(_, model, weigh)| {
                    let model = if *weigh { model.clone().weighting(tau)? } else { model.clone() };
                    let fitted = fit(&model, &data)?;
                    let inference = fitted.inference();
                    let intervals = match inference.profile_intervals() {
                        Some(intervals) => intervals.to_vec(),
                        None => inference.intervals(0.95)?,
                    };
                    let inside =
                        |([low, high], truth): (&[f64; 2], &f64)| (*low..=*high).contains(truth);
                    Ok(intervals.iter().zip(truth).map(inside).collect::<Vec<bool>>())
                })
                .collect::<imbalance::Result<Vec<_>>>()?;
            Ok((data.totals().positives, hits))
        })
        .collect::<imbalance::Result<_>>()?;
    let n = replications as f64;
    let events = drawn.iter().map(|(events, _)| *events as f64).sum::<f64>() / n;
    println!(
        "Coverage of 95 % intervals, 2,000 rows, {events:.1} events on average, {replications} \
         replications\n(standard error {:.2} %)\n",
        100.0 * (0.95 * 0.05 / n).sqrt()
    );
    println!("| method | slope 1 | slope 2 | intercept |\n|---|---:|---:|---:|");
    for (m, (name, ..)) in methods.iter().enumerate() {
        let cells = (0..3).map(|j| {
            let inside = drawn.iter().filter(|(_, hits)| hits[m][j]).count();
            format!("{:.2} %", 100.0 * inside as f64 / n)
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    Ok(())
}
