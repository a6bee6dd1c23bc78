//! Scores of a model trained elsewhere: which calibrator serves them best?
//!
//! ```sh
//! cargo run --release --example calibrate_scores
//! cargo run --release --example calibrate_scores -- --csv scores.csv.gz --score score --label click \
//!     --kind logits
//! cargo run --release --example calibrate_scores -- --generate scores.csv
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use imbalance::calibration::{
    BetaCalibration, BoxCalibrator, Calibrator, HistogramBinning, IsotonicRegression, PlattScaling,
    Scored, TemperatureScaling, Uncalibrated, VennAbers, cross_fit,
};
use imbalance::data::{CsvReader, SyntheticClicks};
use imbalance::loss::numerics::{logit, sigmoid};
use imbalance::metrics::{Scorecard, log_loss};
use imbalance::{Folds, Run};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Makes a calibrator.
type Make = fn() -> imbalance::Result<BoxCalibrator>;

/// The calibrators, from the one that bends least to the one that bends most.
const CALIBRATORS: &[(&str, Make)] = &[
    ("none", || Ok(Uncalibrated.boxed())),
    ("temperature", || Ok(TemperatureScaling::new().boxed())),
    ("Platt", || Ok(PlattScaling::new().boxed())),
    ("beta am", || Ok(BetaCalibration::am().boxed())),
    ("beta abm", || Ok(BetaCalibration::abm().boxed())),
    ("histogram", || Ok(HistogramBinning::quantiles(10)?.boxed())),
    ("Venn–Abers", || Ok(VennAbers::new().boxed())),
    ("isotonic", || Ok(IsotonicRegression::new().boxed())),
    // The same, but certain of nothing: a miss at p = 0 costs an infinite log loss.
    ("isotonic*", || Ok(IsotonicRegression::new().bounds(1e-6, 1.0 - 1e-6)?.boxed())),
];

/// Compares calibrators by cross-fitting on scores and labels, and recommends one.
///
/// Without a file: on synthetic scores that are bent and too high, of clicks whose truth is known.
#[derive(Parser)]
struct Arguments {
    /// A CSV file with a header, plain or gzipped.
    #[arg(long, value_name = "FILE", requires = "score", requires = "label", requires = "kind")]
    csv: Option<PathBuf>,
    /// The column of the scores.
    #[arg(long, value_name = "COL", requires = "csv")]
    score: Option<String>,
    /// The column that says whether the row is positive: 0 or 1, false or true.
    #[arg(long, value_name = "COL", requires = "csv")]
    label: Option<String>,
    /// What the scores are. Never guessed.
    #[arg(long, value_enum, requires = "csv")]
    kind: Option<Kind>,
    /// A column of weights.
    #[arg(long, value_name = "COL", requires = "csv")]
    weight: Option<String>,
    /// Write the synthetic scores to a file (columns `score`, logits, and `click`), and stop.
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    generate: Option<PathBuf>,
    /// Rows of the synthetic scores.
    #[arg(long, default_value_t = 100_000, conflicts_with = "csv")]
    rows: usize,
    /// Folds of the cross-fit.
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Seed of all randomness.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Log-odds, any number.
    Logits,
    /// Numbers between 0 and 1.
    Probabilities,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Outcome<()> {
    let scored = match &arguments.csv {
        Some(file) => read(arguments, file)?,
        None => {
            let (logits, labels) = synthetic(arguments.rows, arguments.seed)?;
            if let Some(file) = &arguments.generate {
                let mut text = String::from("score,click\n");
                for (score, &click) in logits.iter().zip(&labels) {
                    writeln!(text, "{score},{}", u8::from(click))?;
                }
                std::fs::write(file, text)?;
                return Ok(());
            }
            println!("Synthetic scores: logits of a click log's truth, bent and too high.");
            Scored::from_logits(logits, labels)?
        }
    };
    compare(arguments, &scored)
}

fn read(arguments: &Arguments, file: &PathBuf) -> Outcome<Scored<'static>> {
    let column = |name: &Option<String>| name.clone().unwrap_or_default();
    let score = column(&arguments.score);
    let mut reader = CsvReader::new().label(column(&arguments.label)).attribute_numbers([&score]);
    if let Some(weight) = &arguments.weight {
        reader = reader.weight(weight);
    }
    let table = reader.read(file, &Run::default())?;
    let (scores, labels) = (table.numbers(&score)?.to_vec(), table.labels().to_vec());
    let scored = match arguments.kind {
        Some(Kind::Probabilities) => Scored::from_probabilities(scores, labels)?,
        _ => Scored::from_logits(scores, labels)?,
    };
    Ok(match table.weights() {
        None => scored,
        Some(weights) => scored.with_weights(weights.to_vec())?,
    })
}

/// Logits that rise with the truth, but by a curve, three times too high, and with noise.
fn synthetic(rows: usize, seed: u64) -> Outcome<(Vec<f64>, Vec<bool>)> {
    let log = SyntheticClicks::new(rows, 0.02)?.categorical(&[]).generate::<f64>(seed)?;
    let bend = |&p: &f64| {
        let p = logit(p);
        p + 3_f64.ln() + 1.5 * sigmoid(2.0 * (p + 3.0))
    };
    Ok((log.probabilities.iter().map(bend).collect(), log.dataset.labels().to_vec()))
}

/// A calibrator, judged on rows its map has not seen.
struct Judged {
    name: &'static str,
    card: Scorecard,
    /// Its loss on each row.
    losses: Vec<f64>,
}

fn compare(arguments: &Arguments, scored: &Scored<'_>) -> Outcome<()> {
    let folds = Folds::stratified(scored.labels(), arguments.folds, arguments.seed)?;
    let totals = scored.totals();
    println!(
        "{} rows, {} positive ({:.3} %); each row is judged by a map that has not seen it, {} folds.\n",
        totals.rows(),
        totals.positives,
        100.0 * totals.rate(),
        folds.count()
    );
    println!(
        "{:<12}{:>9}{:>11}{:>10}{:>12}{:>16}",
        "", "NE", "log loss", "ECE", "pred./obs.", "slope"
    );
    let mut judged = Vec::new();
    for (name, calibrator) in CALIBRATORS {
        match calibrator().and_then(|calibrator| judge(name, &calibrator, scored, &folds)) {
            Ok(line) => {
                let card = &line.card;
                let slope = card.calibration.map_or_else(
                    || "none".into(),
                    |line| format!("{:.3} ± {:.3}", line.slope, line.slope_standard_error),
                );
                println!(
                    "{name:<12}{:>9.4}{:>11.6}{:>10.5}{:>12.4}{slope:>16}",
                    card.normalised_entropy, card.log_loss, card.ece, card.predicted_over_observed
                );
                judged.push(line);
            }
            Err(error) => println!("{name:<12} refused: {error}"),
        }
    }
    println!("* with probabilities held in [1e-6, 1 − 1e-6]");
    recommend(&judged, scored.weights());
    Ok(())
}

fn judge(
    name: &'static str,
    calibrator: &BoxCalibrator,
    scored: &Scored<'_>,
    folds: &Folds,
) -> imbalance::Result<Judged> {
    let (rows, out_of_fold) = cross_fit(calibrator, scored, folds)?;
    let mut p = vec![0.0; scored.rows()];
    rows.iter().zip(out_of_fold).for_each(|(&row, probability)| p[row] = probability);
    let labels = scored.labels();
    let card = Scorecard::new(labels, &p, scored.weights())?;
    let losses = labels
        .iter()
        .zip(&p)
        .map(|(&label, &p)| log_loss(&[label], &[p], None))
        .collect::<imbalance::Result<_>>()?;
    Ok(Judged { name, card, losses })
}

/// The first in the list whose log loss is within one standard error of the least: of those that the rows
/// cannot tell apart, the one that bends least. The standard error is that of the *difference* on the
/// same rows, which is far smaller than that of either loss.
fn recommend(judged: &[Judged], weights: Option<&[f64]>) {
    let Some(best) = judged.iter().min_by(|a, b| a.card.log_loss.total_cmp(&b.card.log_loss))
    else {
        println!("\nNo calibrator could be judged.");
        return;
    };
    for candidate in judged {
        let difference = candidate.card.log_loss - best.card.log_loss;
        let error = error_of_difference(candidate, best, weights);
        if difference <= error {
            println!("\nRecommended: {}.", candidate.name);
            if candidate.name == best.name {
                println!(
                    "It has the least log loss on rows its map has not seen, and every calibrator \
                     that bends less\nis worse by more than one standard error."
                );
            } else {
                println!(
                    "Its log loss is {difference:.2e} ± {error:.2e} above the least ({}): these rows \
                     cannot tell\nthem apart, and of equals the one that bends less is the safer.",
                    best.name
                );
            }
            println!(
                "It promises {:.3} positives for each one that comes.",
                candidate.card.predicted_over_observed
            );
            return;
        }
    }
}

/// The standard error of the weighted mean of the differences between two calibrators' losses.
fn error_of_difference(a: &Judged, b: &Judged, weights: Option<&[f64]>) -> f64 {
    let mean = a.card.log_loss - b.card.log_loss;
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, (a, b)) in a.losses.iter().zip(&b.losses).enumerate() {
        let weight = weights.map_or(1.0, |weights| weights[row]);
        // Two certain misses are no difference, though ∞ − ∞ is no number.
        let difference = if a == b { 0.0 } else { a - b };
        sum += (weight * (difference - mean)).powi(2);
        total += weight;
    }
    sum.sqrt() / total
}
