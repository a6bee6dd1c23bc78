//! Every sampler × loss × calibrator on a synthetic log with known truth, as the tables of
//! `docs/calibration.md`.
//!
//! ```sh
//! cargo run --release --example calibration_table
//! cargo run --release --example calibration_table -- --rows 20000
//! ```

mod combinations;

use std::process::ExitCode;

use clap::Parser;
use combinations::{CALIBRATORS, Combination, Experiment, LOSSES, Promise, SAMPLERS};

/// Prints markdown tables: mean predicted / true, and distance to the true probability.
#[derive(Parser)]
struct Arguments {
    /// Rows of the log; half of them train.
    #[arg(long, default_value_t = 40_000)]
    rows: usize,
    /// Its base rate.
    #[arg(long, default_value_t = 0.02)]
    rate: f64,
    /// Folds of the cross-fit.
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Seed of all randomness.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> ExitCode {
    match print(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(arguments: &Arguments) -> imbalance::Result<()> {
    let experiment = Experiment::new(arguments.rows, arguments.rate, arguments.seed)?;
    let train = experiment.train()?.totals();
    println!(
        "{} training rows, {} of them positive, seed {}.\n",
        train.rows(),
        train.positives,
        arguments.seed
    );
    let head: Vec<&str> = CALIBRATORS.iter().map(|line| line.0).collect();
    println!("| sampler | loss | {} |", head.join(" | "));
    println!("|---|---|{}", "---|".repeat(head.len()));
    let (mut promised, mut kept, mut largest) = (0, 0, 0.0_f64);
    for sampler in SAMPLERS {
        for loss in LOSSES {
            let mut cells = Vec::new();
            for calibrator in CALIBRATORS {
                let combination = Combination { sampler, loss, calibrator };
                let outcome = combination.fit(&experiment, arguments.folds)?;
                cells.push(match (outcome.result, outcome.promise) {
                    (Err(refusal), _) => format!("refused: {refusal:?}"),
                    (Ok(measured), promise) => {
                        let (ratio, distance) = (measured.ratio, 100.0 * measured.distance);
                        if promise == Promise::Right {
                            promised += 1;
                            let off = (ratio - 1.0).abs() / measured.error;
                            kept += usize::from(off <= 3.0);
                            largest = largest.max(off);
                            format!("{ratio:.3} · {distance:.0} %")
                        } else {
                            format!("({ratio:.3} · {distance:.0} %)")
                        }
                    }
                });
            }
            println!("| {} | {} | {} |", sampler.0, loss.0, cells.join(" | "));
        }
    }
    println!(
        "\nOf {promised} combinations whose mean is promised, {kept} are within 3 standard errors; the \
         largest deviation is {largest:.2}."
    );
    Ok(())
}
