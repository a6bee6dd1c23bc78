//! Every sampler × loss × calibrator on a synthetic log with known truth, as the tables of
//! `docs/evidence/calibration.md`.
//!
//! ```sh
//! cargo run --release --example calibration_table
//! cargo run --release --example calibration_table -- --rows 20000
//! ```

mod combinations;
mod options;

use std::process::ExitCode;

use combinations::{CALIBRATORS, Experiment, LOSSES, Outcome, Promise, SAMPLERS, fit_all};
use imbalance::sampling::Sampler;
use imbalance::{Progress, Run, progress};
use options::options;

struct Arguments {
    rows: usize,
    rate: f64,
    folds: usize,
    seed: u64,
}

const USAGE: &str = "\
Prints markdown tables: mean predicted / true, and distance to the true probability.

  --rows N    rows of the log, of which half train [40000]
  --rate R    its base rate [0.02]
  --folds K   folds of the cross-fit [5]
  --seed N    seed of all randomness [7]";

impl Arguments {
    fn read() -> Self {
        options(USAGE, |arguments| {
            Ok(Self {
                rows: arguments.opt_value_from_str("--rows")?.unwrap_or(40_000),
                rate: arguments.opt_value_from_str("--rate")?.unwrap_or(0.02),
                folds: arguments.opt_value_from_str("--folds")?.unwrap_or(5),
                seed: arguments.opt_value_from_str("--seed")?.unwrap_or(7),
            })
        })
    }
}

fn main() -> ExitCode {
    match print(&Arguments::read()) {
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
    print_samples(&experiment)?;

    let mut outcomes = Vec::new();
    let bar = progress::bar();
    fit_all(
        &experiment,
        arguments.folds,
        |_| true,
        |combination, outcome| {
            outcomes.push(outcome);
            // The bar never stops the work.
            let _ = bar(&Progress::Stage { name: combination.sampler.0, rows: train.rows() });
        },
    )?;
    drop(bar);
    let outcomes = outcomes.into_iter().collect::<imbalance::Result<Vec<Outcome>>>()?;
    for first in (0..CALIBRATORS.len()).step_by(COLUMNS) {
        let columns = first..CALIBRATORS.len().min(first + COLUMNS);
        let head: Vec<&str> = CALIBRATORS[columns.clone()].iter().map(|line| line.0).collect();
        println!("\n| sampler | loss | {} |", head.join(" | "));
        println!("|---|---|{}", "---|".repeat(head.len()));
        for (row, line) in outcomes.chunks(CALIBRATORS.len()).enumerate() {
            let (sampler, loss) = (SAMPLERS[row / LOSSES.len()].0, LOSSES[row % LOSSES.len()].0);
            let cells: Vec<String> = line[columns.clone()].iter().map(cell).collect();
            println!("| {sampler} | {loss} | {} |", cells.join(" | "));
        }
    }
    print_summary(&outcomes);
    for (promise, words) in
        [(Promise::Right, "whose mean is promised"), (Promise::Near, "of a closed form and a bend")]
    {
        let errors: Vec<f64> = outcomes
            .iter()
            .filter(|outcome| outcome.promise == promise)
            .filter_map(|outcome| outcome.result.ok())
            .map(|measured| (measured.ratio - 1.0).abs() / measured.error)
            .collect();
        let kept = errors.iter().filter(|&&off| off <= 3.0).count();
        let largest = errors.iter().copied().fold(0.0, f64::max);
        println!(
            "\nOf {} combinations {words}, {kept} are within 3 standard errors; the largest deviation is \
             {largest:.2}.",
            errors.len()
        );
    }
    let undone = outcomes.iter().filter(|outcome| outcome.promise.is_not_undone());
    let warned = undone.clone().filter(|outcome| outcome.result.is_ok_and(|m| m.warned)).count();
    println!(
        "\nOf {} combinations in which nothing undoes the training, {warned} warn.",
        undone.count()
    );
    let closer = closer_than_prior(&outcomes);
    println!(
        "\nOf {} rows in which `prior` is promised or near, a calibrator that learns is closer to the \
              truth in {}.",
        closer.len(),
        closer.iter().filter(|closer| **closer).count()
    );
    Ok(())
}

/// Columns of calibrators in one table.
const COLUMNS: usize = 7;

/// The rows and the distortion of each sampler.
fn print_samples(experiment: &Experiment) -> imbalance::Result<()> {
    println!("| sampler | rows | of all | per positive | distortion |\n|---|---|---|---|---|");
    let train = experiment.train()?;
    for (name, _, make) in SAMPLERS {
        let run = Run::seeded(experiment.seed).child("sampler");
        let sample = make()?.resample(&train, &run)?.apply(&train)?;
        let rows = sample.rows() as f64;
        println!(
            "| {name} | {rows} | {:.1} % | {:.1} | {} |",
            100.0 * rows / train.rows() as f64,
            rows / train.totals().positives as f64,
            sample.distortion()
        );
    }
    Ok(())
}

/// The distance to the truth by sampler and by calibrator.
fn print_summary(outcomes: &[Outcome]) {
    let distance = |outcome: &Outcome| {
        let measured = outcome.result.ok()?;
        matches!(outcome.promise, Promise::Right | Promise::Near).then_some(measured.distance)
    };
    let number =
        |distance: Option<f64>| distance.map_or("–".into(), |d| format!("{:.0} %", 100.0 * d));
    let column = |name| CALIBRATORS.iter().position(|line| line.0 == name).unwrap_or_default();
    println!(
        "\n| sampler, under log loss | none | prior | Platt | isotonic |\n|---|---|---|---|---|"
    );
    for (sampler, rows) in SAMPLERS.iter().zip(outcomes.chunks(LOSSES.len() * CALIBRATORS.len())) {
        let cells = ["none", "prior", "Platt", "isotonic"]
            .map(|name| number(distance(&rows[column(name)])));
        println!("| {} | {} |", sampler.0, cells.join(" | "));
    }
    println!("\n| calibrator | mean promised or near | refused | least | median | most |");
    println!("|---|---|---|---|---|---|");
    for (i, calibrator) in CALIBRATORS.iter().enumerate() {
        let own = outcomes.iter().skip(i).step_by(CALIBRATORS.len());
        let refused = own.clone().filter(|outcome| outcome.result.is_err()).count();
        let mut distances: Vec<f64> = own.filter_map(distance).collect();
        distances.sort_by(f64::total_cmp);
        let [least, median, most] =
            [distances.first(), distances.get(distances.len() / 2), distances.last()]
                .map(|distance| number(distance.copied()));
        let promised = distances.len();
        println!("| {} | {promised} | {refused} | {least} | {median} | {most} |", calibrator.0);
    }
}

/// Mean predicted / true and distance, in brackets if theory does not promise the mean.
fn cell(outcome: &Outcome) -> String {
    match (outcome.result, outcome.promise) {
        (Err(refusal), _) => format!("{refusal:?}"),
        (Ok(measured), promise) => {
            let text = format!("{:.3} · {:.0} %", measured.ratio, 100.0 * measured.distance);
            match promise {
                Promise::Right => text,
                Promise::Near => format!("{text} ≈"),
                _ => format!("({text})"),
            }
        }
    }
}

/// For each sampler and loss with a closed form: whether a learned calibrator is closer to the truth than
/// the closed form.
fn closer_than_prior(outcomes: &[Outcome]) -> Vec<bool> {
    let at = |name| CALIBRATORS.iter().position(|line| line.0 == name).unwrap_or_default();
    let (prior, first_learned) = (at("prior"), at("Platt"));
    outcomes
        .chunks(CALIBRATORS.len())
        .filter_map(|line| {
            let prior = line[prior].result.ok()?.distance;
            let learned = line[first_learned..].iter().filter(|o| o.promise == Promise::Right);
            let best = learned.filter_map(|outcome| Some(outcome.result.ok()?.distance));
            Some(best.fold(f64::INFINITY, f64::min) < prior)
        })
        .collect()
}
