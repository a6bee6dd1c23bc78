//! Passes over all rows until the fit to a log is within 10⁻⁴, 10⁻⁶ and 10⁻⁹ of its minimum: the curvature of a sample,
//! beside L-BFGS, which knows no curvature at the start.
//!
//! `cargo run --release --example passes -- --rows 400000`

use std::collections::VecDeque;
use std::error::Error;

use imbalance::Seed;
use imbalance::loss::LogLoss;
use imbalance::model::logistic::Objective;
use imbalance::prelude::*;
use imbalance::stream::SourceFit;

const COLUMNS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = pico_args::Arguments::from_env();
    let rows: usize = arguments.opt_value_from_str("--rows")?.unwrap_or(400_000);
    println!(
        "{rows} rows, {COLUMNS} categorical columns hashed to 2^16, λ = 1; passes until a gap of 1e-4, 1e-6, 1e-9\n"
    );
    for intercept in [-7.5, -10.1] {
        let log = log(rows, intercept)?;
        let whole = Table::concat(log.iter().cloned())?;
        let encoder = Encoder::hashing(16)?.fit(&whole)?;
        let data = encoder.encode(&whole)?;
        let objective = Objective::new(&data, &LogLoss, 1.0, true)?;
        let fitted = LogisticRegression::new().fit(&data, &LogLoss, &Run::default())?;
        let mut theta = fitted.coefficients().to_vec();
        theta.push(fitted.intercept());
        let least = objective.value_and_gradient(&theta)?.0;
        println!("{:.3} % positive", 100.0 * data.totals().rate());

        let mut start = vec![0.0; theta.len()];
        start[theta.len() - 1] = data.totals().log_odds();
        let objectives = lbfgs(&objective, start, least)?;
        report("L-BFGS, 10 pairs", &objectives, least, 0.0);
        for k in [5.0, 20.0, 50.0] {
            let fit =
                SourceFit::new(LogisticRegression::new()).negatives_per_positive(k)?.gap(1e-14)?;
            let fitted = fit.fit(log.as_slice(), &encoder, &LogLoss, &Run::seeded(7))?;
            let objectives: Vec<f64> = fitted.passes.iter().map(|pass| pass.objective).collect();
            let moved = fitted.model.coefficients().iter().zip(&theta).map(|(a, b)| (a - b).abs());
            report(
                &format!("{k} negatives a positive"),
                &objectives,
                least,
                moved.fold(0.0, f64::max),
            );
        }
        println!();
    }
    Ok(())
}

/// The first passes after which the gap is small enough.
fn report(name: &str, objectives: &[f64], least: f64, farthest: f64) {
    let passes = |gap: f64| {
        let found = objectives.iter().position(|value| value / least - 1.0 <= gap);
        found.map_or("–".into(), |pass| (pass + 1).to_string())
    };
    let [a, b, c] = [1e-4, 1e-6, 1e-9].map(passes);
    println!(
        "{name:<24} {a:>4} {b:>4} {c:>4}   largest difference of a coefficient {farthest:.1e}"
    );
}

/// The objective after each pass of L-BFGS.
fn lbfgs(
    objective: &Objective<'_>,
    mut theta: Vec<f64>,
    least: f64,
) -> Result<Vec<f64>, imbalance::Error> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut value, mut gradient) = objective.value_and_gradient(&theta)?;
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>)> = VecDeque::new();
    let mut values = vec![value];
    while value / least - 1.0 > 1e-10 && values.len() < 600 {
        let mut step: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::new();
        for (s, y) in pairs.iter().rev() {
            let share = dot(s, &step) / dot(s, y);
            step.iter_mut().zip(y).for_each(|(d, y)| *d -= share * y);
            shares.push(share);
        }
        let scale = pairs
            .back()
            .map_or(1.0 / dot(&gradient, &gradient).sqrt(), |(s, y)| dot(s, y) / dot(y, y));
        step.iter_mut().for_each(|d| *d *= scale);
        for ((s, y), share) in pairs.iter().zip(shares.iter().rev()) {
            let by = share - dot(y, &step) / dot(s, y);
            step.iter_mut().zip(s).for_each(|(d, s)| *d += by * s);
        }
        let slope = dot(&step, &gradient);
        let mut length = 1.0;
        loop {
            let to: Vec<f64> = theta.iter().zip(&step).map(|(t, d)| t + length * d).collect();
            let (next, slopes) = objective.value_and_gradient(&to)?;
            values.push(next.min(value));
            if next <= value + 1e-4 * length * slope || length < 1e-10 {
                let moved = step.iter().map(|d| length * d).collect();
                pairs
                    .push_back((moved, slopes.iter().zip(&gradient).map(|(a, b)| a - b).collect()));
                if pairs.len() > 10 {
                    pairs.pop_front();
                }
                (theta, value, gradient) = (to, next, slopes);
                break;
            }
            length *= 0.5;
        }
    }
    Ok(values)
}

/// A log in 8 tables: the columns have 10 to 20,000 levels, of Zipf's frequencies, each with an effect of its own.
fn log(rows: usize, intercept: f64) -> Result<Vec<Table>, imbalance::Error> {
    let uniform =
        |seed: Seed, what: &str| (seed.child(what).value() >> 11) as f64 / (1_u64 << 53) as f64;
    let levels = [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 300.0];
    let part = |part: usize| {
        let ids = || (part * rows / 8..(part + 1) * rows / 8).map(|id| Seed::new(id as u64));
        // The logarithm of the rank is uniform: frequencies of 1/rank.
        let level = |id: Seed, column: usize| {
            f64::powf(levels[column], uniform(id, &format!("column {column}"))) as u64
        };
        let effect = |column: usize, level: u64| {
            let seed = Seed::new(level).child(&format!("effect {column}"));
            0.6 * (0..4).map(|k| uniform(seed, &k.to_string()) - 0.5).sum::<f64>() * 3_f64.sqrt()
        };
        let labels: Vec<bool> = ids()
            .map(|id| {
                let logit =
                    (0..COLUMNS).map(|column| effect(column, level(id, column))).sum::<f64>();
                uniform(id, "label") < 1.0 / (1.0 + (-intercept - logit).exp())
            })
            .collect();
        (0..COLUMNS).try_fold(Table::new(labels)?, |table, column| {
            table.with_categorical(
                format!("c{column}"),
                ids().map(|id| level(id, column).to_string()),
            )
        })
    };
    (0..8).map(part).collect()
}
