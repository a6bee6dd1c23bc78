//! Which calibrator is best for the scores of a model trained elsewhere?
//!
//! ```sh
//! cargo run --release --example calibrate_scores
//! cargo run --release --example calibrate_scores -- --csv scores.csv.gz --score score --label click \
//!     --kind logits
//! cargo run --release --example calibrate_scores -- --generate scores.csv
//! cargo run --release --example calibrate_scores -- --csv scores.csv --score score --label click \
//!     --kind logits --time day
//! ```

mod options;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, CalibrationSet, Calibrator, Clip, HistogramBinning,
    IsotonicRegression, PlattScaling, TemperatureScaling, TrainingContext, Uncalibrated, VennAbers,
    cross_fit,
};
use imbalance::data::{CsvReader, SyntheticClicks, SyntheticLog};
use imbalance::metrics::{Scorecard, log_loss};
use imbalance::numerics::{logit, sigmoid};
use imbalance::{Folds, Run};
use options::options;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Constructs a calibrator.
type Make = fn() -> imbalance::Result<BoxCalibrator>;

/// The calibrators, from the least to the most flexible.
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
    // As in other programs: a later positive at p = 0 costs an infinite log loss.
    ("isotonic, 0 to 1", || Ok(IsotonicRegression::new().bounds(0.0, 1.0)?.boxed())),
];

struct Arguments {
    scores: Scores,
    /// Scores are clipped to probabilities from here to 1 − this.
    clip: Option<f64>,
    folds: usize,
    seed: u64,
}

enum Scores {
    /// Written to the file `generate`, where there is one.
    Synthetic {
        rows: usize,
        generate: Option<PathBuf>,
    },
    File(Columns),
}

struct Columns {
    file: PathBuf,
    score: String,
    label: String,
    kind: Kind,
    weight: Option<String>,
    time: Option<String>,
}

const USAGE: &str = "\
Compares calibrators by cross-fitting on scores and labels, and recommends one.
Without a file: on synthetic scores that are bent and too high, of clicks whose truth is known.

  --csv FILE       a CSV file with a header, plain or gzipped
    --score COL      the column of the scores
    --label COL      the column that says whether the row is positive: 0 or 1, false or true
    --kind KIND      what the scores are, which is never guessed: logits or probabilities
    --weight COL     a column of weights
    --time COL       a column of times, as numbers or as dates: each row is judged by a map of earlier rows only
  --generate FILE  write the synthetic scores (columns `day`, `score`, which is a logit, and `click`), and stop
  --rows N         rows of the synthetic scores [100000]
  --clip P         clip probabilities to [P, 1 − P] first: scores of exactly 0 and 1 lie on no curve of the logit
  --folds K        folds of the cross-fit [5]
  --seed N         seed of all randomness [7]";

impl Arguments {
    fn read() -> Self {
        options(USAGE, |arguments| {
            let folds = arguments.opt_value_from_str("--folds")?.unwrap_or(5);
            let seed = arguments.opt_value_from_str("--seed")?.unwrap_or(7);
            let clip = arguments.opt_value_from_str("--clip")?;
            let scores = match arguments.opt_value_from_str("--csv")? {
                None => Scores::Synthetic {
                    rows: arguments.opt_value_from_str("--rows")?.unwrap_or(100_000),
                    generate: arguments.opt_value_from_str("--generate")?,
                },
                Some(file) => Scores::File(Columns {
                    file,
                    score: arguments.value_from_str("--score")?,
                    label: arguments.value_from_str("--label")?,
                    kind: arguments.value_from_fn("--kind", Kind::parse)?,
                    weight: arguments.opt_value_from_str("--weight")?,
                    time: arguments.opt_value_from_str("--time")?,
                }),
            };
            Ok(Self { scores, clip, folds, seed })
        })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Logits,
    Probabilities,
}

impl Kind {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "logits" => Ok(Self::Logits),
            "probabilities" => Ok(Self::Probabilities),
            _ => Err(format!("{name}: logits or probabilities")),
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Outcome<()> {
    let (scored, times) = match &arguments.scores {
        Scores::File(columns) => read(columns)?,
        Scores::Synthetic { rows, generate } => {
            let log = SyntheticClicks::new(*rows, 0.02)?.categorical(&[]);
            let log = log.generate(arguments.seed)?;
            if let Some(file) = generate {
                return write(&log, file);
            }
            println!(
                "Synthetic scores: a nonlinear function of the true logits of a click log, and too high."
            );
            (CalibrationSet::from_logits(scores(&log), log.dataset.labels().to_vec())?, None)
        }
    };
    let folds = match &times {
        None => Folds::stratified(scored.labels(), arguments.folds, arguments.seed)?,
        Some(times) => Folds::by_time(scored.labels(), times, arguments.folds)?,
    };
    compare(&scored, &folds, times.is_some(), arguments.clip)
}

/// Scores and, if asked for, their times.
fn read(columns: &Columns) -> Outcome<(CalibrationSet<'static>, Option<Vec<f64>>)> {
    let mut reader = CsvReader::new().label(&columns.label).attribute_numbers([&columns.score]);
    if let Some(weight) = &columns.weight {
        reader = reader.weight(weight);
    }
    if let Some(time) = &columns.time {
        reader = reader.time(time);
    }
    let table = reader.read(&columns.file, &Run::default())?;
    let times = match &columns.time {
        None => None,
        Some(time) => Some(table.numbers(time)?.to_vec()),
    };
    let (scores, labels) = (table.numbers(&columns.score)?.to_vec(), table.labels().to_vec());
    let scored = match columns.kind {
        Kind::Probabilities => CalibrationSet::from_probabilities(scores, labels)?,
        Kind::Logits => CalibrationSet::from_logits(scores, labels)?,
    };
    let scored = match table.weights() {
        None => scored,
        Some(weights) => scored.with_weights(weights.to_vec())?,
    };
    Ok((scored, times))
}

/// A nonlinear, increasing function of the true logits, whose odds are at least three times too high.
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

/// The result of a calibrator on rows that its map has not seen.
struct Tested {
    name: &'static str,
    card: Scorecard,
    /// The difference of predicted and observed positives, in standard errors.
    deviation: f64,
    /// The loss of each row.
    losses: Vec<f64>,
    weights: Option<Vec<f64>>,
}

fn compare(
    scored: &CalibrationSet<'_>,
    folds: &Folds,
    in_time: bool,
    clip: Option<f64>,
) -> Outcome<()> {
    let clip = clip.map(Clip::new).transpose()?;
    let totals = scored.totals();
    println!(
        "{} rows, {} positive ({:.3} %); {} folds; each map is tested on rows it has not seen{}.\n",
        totals.rows(),
        totals.positives,
        100.0 * totals.rate(),
        folds.count(),
        if in_time { ", which are later than its own (the first block is not tested)" } else { "" }
    );
    println!(
        "{:<22}{:>8}{:>11}{:>10}{:>12}{:>9}{:>16}",
        "", "NE", "log loss", "ECE", "pred./obs.", "dev., SE", "slope"
    );
    let mut tested = Vec::new();
    for (name, calibrator) in CALIBRATORS {
        let calibrator = calibrator().map(|calibrator| match clip {
            Some(clip) => clip.then(calibrator).boxed(),
            None => calibrator,
        });
        match calibrator.and_then(|calibrator| test(name, &calibrator, scored, folds)) {
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
                    line.deviation
                );
                tested.push(line);
            }
            Err(error) => println!("{name:<22}refused: {error}"),
        }
    }
    recommend(&tested);
    Ok(())
}

fn test(
    name: &'static str,
    calibrator: &BoxCalibrator,
    scored: &CalibrationSet<'_>,
    folds: &Folds,
) -> imbalance::Result<Tested> {
    let (rows, p) = cross_fit(calibrator, &TrainingContext::default(), scored, folds)?;
    let labels: Vec<bool> = rows.iter().map(|&row| scored.labels()[row]).collect();
    let weights: Option<Vec<f64>> =
        scored.weights().map(|weights| rows.iter().map(|&row| weights[row]).collect());
    let card = Scorecard::new(&labels, &p, weights.as_deref())?;
    let losses = labels.iter().zip(&p).map(|(&label, &p)| log_loss(&[label], &[p], None));
    let losses = losses.collect::<imbalance::Result<_>>()?;
    // Twice the variance: the map's mean is itself learned from about as many rows.
    let deviation = card.standard_errors_off.unwrap_or(f64::INFINITY) / 2_f64.sqrt();
    Ok(Tested { name, card, deviation, losses, weights })
}

/// A larger deviation is not explained by chance.
const MAX_DEVIATION: f64 = 3.0;

/// Recommends, among the calibrators whose mean is right within [`MAX_DEVIATION`], the least flexible one whose
/// log loss is within one standard error of the smallest.
///
/// Log loss alone is not enough: with rare positives, a mean that is a few per cent too high hardly changes it,
/// but a budget or a bid computed from the sum of probabilities is wrong by these per cent. Among calibrators
/// whose log losses do not differ significantly, the least flexible one is the safest. The standard error is that
/// of the *difference* on common rows, which is far smaller than that of either loss.
fn recommend(tested: &[Tested]) {
    let (right, wrong): (Vec<&Tested>, Vec<&Tested>) =
        tested.iter().partition(|line| line.deviation.abs() <= MAX_DEVIATION);
    let best = |lines: &[&Tested]| {
        let least = lines.iter().min_by(|a, b| a.card.log_loss.total_cmp(&b.card.log_loss));
        least.map(|line| line.name)
    };
    let find = |name: &str| tested.iter().find(|line| line.name == name);
    let (candidates, least) =
        if right.is_empty() { (&wrong, best(&wrong)) } else { (&right, best(&right)) };
    let Some(least) = least.and_then(find) else {
        println!("\nNo calibrator could be tested.");
        return;
    };
    let chosen = candidates.iter().find_map(|candidate| {
        let (difference, error) = difference(candidate, least);
        (difference <= error).then_some((candidate, difference, error))
    });
    let Some((candidate, difference, error)) = chosen else { return };
    let Tested { name, card, deviation, .. } = candidate;
    println!("\nRecommended: {name}.");
    println!(
        "It predicts {:.3} positives for each observed one (a deviation of {deviation:+.1} standard errors).",
        card.predicted_over_observed
    );
    if right.is_empty() {
        println!(
            "None is better: every calibrator deviates by more than {MAX_DEVIATION} standard errors."
        );
    } else if !wrong.is_empty() {
        let names: Vec<&str> = wrong.iter().map(|line| line.name).collect();
        println!(
            "Excluded, as their means deviate by more than {MAX_DEVIATION} standard errors: {}.",
            names.join("; ")
        );
    }
    if *name == least.name {
        println!(
            "Of the others it has the smallest log loss on rows its map has not seen, and every less flexible \
             one\nis worse by more than one standard error."
        );
    } else {
        println!(
            "Its log loss is {difference:.2e} ± {error:.2e} above the smallest ({}), which is not significant,\n\
             and the less flexible of two equally good maps is the safer one.",
            least.name
        );
    }
}

/// The weighted mean of the differences between two calibrators' losses, and its standard error.
fn difference(a: &Tested, b: &Tested) -> (f64, f64) {
    let mean = a.card.log_loss - b.card.log_loss;
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, (a_loss, b_loss)) in a.losses.iter().zip(&b.losses).enumerate() {
        let weight = a.weights.as_ref().map_or(1.0, |weights| weights[row]);
        // Two infinite losses do not differ, but ∞ − ∞ is NaN.
        let difference = if a_loss == b_loss { 0.0 } else { a_loss - b_loss };
        sum += (weight * (difference - mean)).powi(2);
        total += weight;
    }
    (mean, sum.sqrt() / total)
}
