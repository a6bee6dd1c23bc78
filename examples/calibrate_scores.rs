//! Scores of a model trained elsewhere: which calibrator serves them best?
//!
//! ```sh
//! cargo run --release --example calibrate_scores
//! cargo run --release --example calibrate_scores -- --csv scores.csv.gz --score score --label click \
//!     --kind logits
//! cargo run --release --example calibrate_scores -- --generate scores.csv
//! cargo run --release --example calibrate_scores -- --csv scores.csv --score score --label click \
//!     --kind logits --time day
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, CalibrationSet, Calibrator, HistogramBinning,
    IsotonicRegression, PlattScaling, TemperatureScaling, TrainingContext, Uncalibrated, VennAbers,
    cross_fit,
};
use imbalance::data::{CsvReader, SyntheticClicks, SyntheticLog};
use imbalance::metrics::{Scorecard, log_loss};
use imbalance::numerics::{logit, sigmoid};
use imbalance::{Folds, Run};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Makes a calibrator.
type Make = fn() -> imbalance::Result<BoxCalibrator>;

/// The calibrators, from the one that bends least to the one that bends most.
const CALIBRATORS: &[(&str, Make)] = &[
    ("none", || Ok(Uncalibrated.boxed())),
    ("temperature", || Ok(TemperatureScaling::new().boxed())),
    ("Platt", || Ok(PlattScaling::new().boxed())),
    ("Platt, plain targets", || Ok(PlattScaling::new().plain_targets(true).boxed())),
    ("Platt, as printed", || Ok(PlattScaling::new().on_probabilities(true).boxed())),
    ("temperature, bias c.", || Ok(TemperatureScaling::new().bias_corrected(true).boxed())),
    ("beta am", || Ok(BetaCalibration::am().boxed())),
    ("beta ab", || Ok(BetaCalibration::ab().boxed())),
    ("beta CDF", || Ok(BetaCdf.boxed())),
    ("beta abm", || Ok(BetaCalibration::abm().boxed())),
    ("histogram", || Ok(HistogramBinning::quantiles(10)?.boxed())),
    ("histogram, eq. width", || Ok(HistogramBinning::equal_width(10)?.boxed())),
    ("Venn–Abers", || Ok(VennAbers.boxed())),
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
    /// A column of times, as numbers or as dates: each row is judged by a map of earlier rows only.
    #[arg(long, value_name = "COL", requires = "csv")]
    time: Option<String>,
    /// Write the synthetic scores to a file (columns `day`, `score`, which is a logit, and `click`), and stop.
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
    let (scored, times) = match &arguments.csv {
        Some(file) => read(arguments, file)?,
        None => {
            let log = SyntheticClicks::new(arguments.rows, 0.02)?.categorical(&[]);
            let log = log.generate(arguments.seed)?;
            if let Some(file) = &arguments.generate {
                return write(&log, file);
            }
            println!("Synthetic scores: logits of a click log's truth, bent and too high.");
            (CalibrationSet::from_logits(scores(&log), log.dataset.labels().to_vec())?, None)
        }
    };
    let folds = match &times {
        None => Folds::stratified(scored.labels(), arguments.folds, arguments.seed)?,
        Some(times) => Folds::by_time(scored.labels(), times, arguments.folds)?,
    };
    compare(&scored, &folds, times.is_some())
}

/// Scores and, if asked for, their times.
fn read(
    arguments: &Arguments,
    file: &PathBuf,
) -> Outcome<(CalibrationSet<'static>, Option<Vec<f64>>)> {
    let column = |name: &Option<String>| name.clone().unwrap_or_default();
    let score = column(&arguments.score);
    let mut reader = CsvReader::new().label(column(&arguments.label)).attribute_numbers([&score]);
    if let Some(weight) = &arguments.weight {
        reader = reader.weight(weight);
    }
    if let Some(time) = &arguments.time {
        reader = reader.time(time);
    }
    let table = reader.read(file, &Run::default())?;
    let times = match &arguments.time {
        None => None,
        Some(time) => Some(table.numbers(time)?.to_vec()),
    };
    let (scores, labels) = (table.numbers(&score)?.to_vec(), table.labels().to_vec());
    let scored = match arguments.kind {
        Some(Kind::Probabilities) => CalibrationSet::from_probabilities(scores, labels)?,
        _ => CalibrationSet::from_logits(scores, labels)?,
    };
    let scored = match table.weights() {
        None => scored,
        Some(weights) => scored.with_weights(weights.to_vec())?,
    };
    Ok((scored, times))
}

/// Logits that rise with the truth, but by a curve, and three times too high.
fn scores(log: &SyntheticLog) -> Vec<f64> {
    let bend = |&p: &f64| {
        let p = logit(p);
        p + 3_f64.ln() + 1.5 * sigmoid(2.0 * (p + 3.0))
    };
    log.probabilities.iter().map(bend).collect()
}

fn write(log: &SyntheticLog, file: &Path) -> Outcome<()> {
    let mut text = String::from("day,score,click\n");
    let days = log.dataset.numbers("day")?;
    for ((day, score), &click) in days.iter().zip(scores(log)).zip(log.dataset.labels()) {
        writeln!(text, "{day},{score},{}", u8::from(click))?;
    }
    std::fs::write(file, text)?;
    Ok(())
}

/// A calibrator, judged on rows its map has not seen.
struct Judged {
    name: &'static str,
    card: Scorecard,
    /// How far the positives promised are from those that came, in standard errors.
    surprise: f64,
    /// Its loss on each row.
    losses: Vec<f64>,
    weights: Option<Vec<f64>>,
}

fn compare(scored: &CalibrationSet<'_>, folds: &Folds, in_time: bool) -> Outcome<()> {
    let totals = scored.totals();
    println!(
        "{} rows, {} positive ({:.3} %); {} folds; each row is judged by a map that has not seen it{}.\n",
        totals.rows(),
        totals.positives,
        100.0 * totals.rate(),
        folds.count(),
        if in_time { ", but only earlier ones (the first block is not judged)" } else { "" }
    );
    println!(
        "{:<22}{:>8}{:>11}{:>10}{:>12}{:>9}{:>16}",
        "", "NE", "log loss", "ECE", "pred./obs.", "off, SE", "slope"
    );
    let mut judged = Vec::new();
    for (name, calibrator) in CALIBRATORS {
        match calibrator().and_then(|calibrator| judge(name, &calibrator, scored, folds)) {
            Ok(line) => {
                let card = &line.card;
                let slope = card.calibration.map_or_else(
                    || "none".into(),
                    |line| format!("{:.3} ± {:.3}", line.slope, line.slope_standard_error),
                );
                println!(
                    "{name:<22}{:>8.4}{:>11.6}{:>10.5}{:>12.4}{:>+9.1}{slope:>16}",
                    card.normalised_entropy,
                    card.log_loss,
                    card.ece,
                    card.predicted_over_observed,
                    line.surprise
                );
                judged.push(line);
            }
            Err(error) => println!("{name:<22}refused: {error}"),
        }
    }
    println!("* with probabilities held in [1e-6, 1 − 1e-6]");
    recommend(&judged);
    Ok(())
}

fn judge(
    name: &'static str,
    calibrator: &BoxCalibrator,
    scored: &CalibrationSet<'_>,
    folds: &Folds,
) -> imbalance::Result<Judged> {
    let (rows, p) = cross_fit(calibrator, &TrainingContext::default(), scored, folds)?;
    let labels: Vec<bool> = rows.iter().map(|&row| scored.labels()[row]).collect();
    let weights: Option<Vec<f64>> =
        scored.weights().map(|weights| rows.iter().map(|&row| weights[row]).collect());
    let card = Scorecard::new(&labels, &p, weights.as_deref())?;
    let weight = |row: usize| weights.as_ref().map_or(1.0, |weights| weights[row]);

    let (mut excess, mut variance) = (0.0, 0.0);
    let mut losses = Vec::with_capacity(p.len());
    for (row, (&label, &p)) in labels.iter().zip(&p).enumerate() {
        let weight = weight(row);
        excess += weight * (p - f64::from(u8::from(label)));
        variance += weight * weight * p * (1.0 - p);
        losses.push(log_loss(&[label], &[p], None)?);
    }
    // As much again for the map, whose mean is learned from about as many rows in all.
    let surprise = excess / (2.0 * variance).sqrt();
    Ok(Judged { name, card, surprise, losses, weights })
}

/// What lies further off is no accident.
const MOST_SURPRISE: f64 = 3.0;

/// Of the calibrators whose promise holds on the whole, the first in the list whose log loss is within one standard
/// error of the least.
///
/// Log loss alone will not do: with rare positives a map that promises a few per cent too much loses next to
/// nothing by it, but a budget or a bid made of its sum is wrong by just that. Of those that the rows cannot
/// tell apart by log loss, the one that bends least is the safer. The standard error is that of the
/// *difference* on the same rows, which is far smaller than that of either loss.
fn recommend(judged: &[Judged]) {
    let (right, wrong): (Vec<&Judged>, Vec<&Judged>) =
        judged.iter().partition(|line| line.surprise.abs() <= MOST_SURPRISE);
    let best = |lines: &[&Judged]| {
        let least = lines.iter().min_by(|a, b| a.card.log_loss.total_cmp(&b.card.log_loss));
        least.map(|line| line.name)
    };
    let find = |name: &str| judged.iter().find(|line| line.name == name);
    let (candidates, least) =
        if right.is_empty() { (&wrong, best(&wrong)) } else { (&right, best(&right)) };
    let Some(least) = least.and_then(find) else {
        println!("\nNo calibrator could be judged.");
        return;
    };
    let chosen = candidates.iter().find_map(|candidate| {
        let (difference, error) = difference(candidate, least);
        (difference <= error).then_some((candidate, difference, error))
    });
    let Some((candidate, difference, error)) = chosen else { return };
    let Judged { name, card, surprise, .. } = candidate;
    println!("\nRecommended: {name}.");
    println!(
        "It promises {:.3} positives for each one that comes ({surprise:+.1} standard errors off).",
        card.predicted_over_observed
    );
    if right.is_empty() {
        println!(
            "None does better: every calibrator is off by more than {MOST_SURPRISE} standard errors."
        );
    } else if !wrong.is_empty() {
        let names: Vec<&str> = wrong.iter().map(|line| line.name).collect();
        println!(
            "Left out, as their promise is off by more than {MOST_SURPRISE} standard errors: {}.",
            names.join("; ")
        );
    }
    if *name == least.name {
        println!(
            "Of those left it has the least log loss on rows its map has not seen, and every one that bends \
             less\nis worse by more than one standard error."
        );
    } else {
        println!(
            "Its log loss is {difference:.2e} ± {error:.2e} above the least ({}): these rows cannot tell\n\
             them apart, and of equals the one that bends less is the safer.",
            least.name
        );
    }
}

/// The weighted mean of the differences between two calibrators' losses, and its standard error.
fn difference(a: &Judged, b: &Judged) -> (f64, f64) {
    let mean = a.card.log_loss - b.card.log_loss;
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, (a_loss, b_loss)) in a.losses.iter().zip(&b.losses).enumerate() {
        let weight = a.weights.as_ref().map_or(1.0, |weights| weights[row]);
        // Two certain misses are no difference, though ∞ − ∞ is no number.
        let difference = if a_loss == b_loss { 0.0 } else { a_loss - b_loss };
        sum += (weight * (difference - mean)).powi(2);
        total += weight;
    }
    (mean, sum.sqrt() / total)
}
