//! From a click log to calibrated probabilities, four ways, on the same test rows.
//!
//! ```sh
//! cargo run --release --example click_through
//! cargo run --release --example click_through -- --synthetic 1000000 0.002
//! cargo run --release --example click_through -- --csv log.csv.gz --label click \
//!     --numeric price,age --categorical site,device --time timestamp
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use imbalance::Precision;
use imbalance::calibration::CalibrationMap;
use imbalance::data::{CsvReader, Encoder, SyntheticClicks};
use imbalance::metrics::Scorecard;
use imbalance::prelude::*;
use imbalance::{Progress, progress};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Compares no sampling, under-sampling, its correction, and its weighting on a click log.
///
/// Without options: on the Open Bandit log that comes with the crate.
#[derive(Parser)]
struct Arguments {
    /// Use a synthetic log of that many rows and that base rate, whose true probabilities are known.
    #[arg(long, num_args = 2, value_names = ["ROWS", "RATE"], conflicts_with = "csv")]
    synthetic: Option<Vec<String>>,
    /// Read your own log: a CSV file with a header, plain or gzipped.
    #[arg(long, value_name = "FILE", requires = "label")]
    csv: Option<PathBuf>,
    /// The column that says whether the row is positive: 0 or 1, false or true.
    #[arg(long, value_name = "COL", requires = "csv")]
    label: Option<String>,
    /// Numeric columns, separated by commas.
    #[arg(long, value_name = "COLS", value_delimiter = ',', requires = "csv")]
    numeric: Vec<String>,
    /// Categorical columns, separated by commas.
    #[arg(long, value_name = "COLS", value_delimiter = ',', requires = "csv")]
    categorical: Vec<String>,
    /// A column of times (numbers or ISO 8601): the latest rows test. Without it, random ones do.
    #[arg(long, value_name = "COL", requires = "csv")]
    time: Option<String>,
    /// The character between the columns.
    #[arg(long, default_value = ",", requires = "csv")]
    delimiter: char,
    /// Negatives kept per positive.
    #[arg(long, default_value_t = 10.0)]
    negatives: f64,
    /// Share of the rows that test.
    #[arg(long, default_value_t = 0.3)]
    test_share: f64,
    /// Penalty on the squared coefficients. Default: 100 for the Open Bandit log, otherwise 1.
    #[arg(long)]
    l2: Option<f64>,
    /// Seed of all randomness.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (&arguments.synthetic, &arguments.csv) {
        (Some(numbers), _) => synthetic(&arguments, numbers),
        (None, Some(file)) => own_log(&arguments, file),
        (None, None) => open_bandit(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The log that comes with the crate: 60,000 impressions, 0.48 % clicks, in order of time.
fn open_bandit(arguments: &Arguments) -> Outcome<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/open_bandit.csv.gz");
    println!("Open Bandit log (ZOZO, Inc.; Saito et al. 2020; see examples/data/README.md)");
    let reader = CsvReader::new()
        .label("click")
        .numeric(["item_feature_0"])
        .categorical(["campaign", "position", "item_id"])
        .categorical(["user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3"])
        .time("timestamp");
    let results = csv(arguments, &reader, &file, Some("timestamp"), 100.0)?;
    explain(&results);
    println!(
        "\nThese features carry almost no signal: the AUC is that of a coin, and no model beats the \
         constant\nrate by more than noise. The right answer is a model that stays calibrated and \
         admits it.\nFor a strong signal and known true probabilities: --synthetic 1000000 0.002"
    );
    Ok(())
}

fn own_log(arguments: &Arguments, file: &Path) -> Outcome<()> {
    let delimiter = u8::try_from(arguments.delimiter)?;
    let mut reader = CsvReader::new()
        .label(arguments.label.as_deref().unwrap_or_default())
        .numeric(&arguments.numeric)
        .categorical(&arguments.categorical)
        .delimiter(delimiter);
    if let Some(time) = &arguments.time {
        reader = reader.time(time);
    }
    explain(&csv(arguments, &reader, file, arguments.time.as_deref(), 1.0)?);
    Ok(())
}

/// Reads, splits, and only then encodes: means, deviations and missing columns are the training rows'.
fn csv(
    arguments: &Arguments,
    reader: &CsvReader,
    file: &Path,
    time: Option<&str>,
    l2: f64,
) -> Outcome<Results> {
    let start = Instant::now();
    let table = reader.read(file, &Run::default().observed(progress::bar()))?;
    println!("{} rows read in {:.2} s", table.rows(), start.elapsed().as_secs_f64());
    let split = match time {
        Some(time) => Split::by_time(table.numbers(time)?, arguments.test_share)?,
        None => Split::stratified(table.labels(), arguments.test_share, arguments.seed)?,
    };
    let (train, test) = announced("encoding", table.rows(), || {
        let (train, test) = table.split(&split)?;
        let encoder = Encoder::default().precision(Precision::F32).fit(&train)?;
        Ok((encoder.encode(&train)?, encoder.encode(&test)?))
    })?;
    compare(arguments, &train, &test, None, l2)
}

fn synthetic(arguments: &Arguments, numbers: &[String]) -> Outcome<()> {
    let [rows, rate] = numbers else { return Err("--synthetic takes ROWS and RATE".into()) };
    let rows: usize =
        rows.parse().map_err(|_| format!("ROWS is `{rows}`, but a whole number is needed"))?;
    let rate: f64 =
        rate.parse().map_err(|_| format!("RATE is `{rate}`, but it must be a number"))?;
    println!("Synthetic log with known true probabilities");
    let log = announced("drawing the log", rows, || {
        SyntheticClicks::new(rows, rate)?.precision(Precision::F32).generate(arguments.seed)
    })?;
    let split = Split::by_time(log.dataset.numbers("day")?, arguments.test_share)?;
    let (train, test) = log.dataset.split(&split)?;
    let truth: Vec<f64> = split.test().iter().map(|&row| log.probabilities[row]).collect();
    let results = compare(arguments, &train, &test, Some(&truth), 1.0)?;
    explain(&results);
    println!(
        "\n|p − true| is the mean distance to the true probability, in percent of the base rate. \
         What is left\nafter the correction is what {} positives cannot tell; \"truth\" shows what a \
         perfect model scores.",
        train.totals().positives
    );
    Ok(())
}

/// Does work that tells of no progress under a line that names it.
fn announced<T>(
    name: &'static str,
    rows: usize,
    work: impl FnOnce() -> imbalance::Result<T>,
) -> imbalance::Result<T> {
    let bar = progress::bar();
    // The bar never asks to stop.
    let _ = bar(&Progress::Stage { name, rows });
    work()
}

/// The numbers that the explanation is about.
struct Results {
    /// By how much the sampler multiplied the odds.
    factor: f64,
    uncorrected: f64,
    corrected: f64,
    /// Standard error of a ratio of 1, from the number of test positives.
    error: f64,
}

fn compare(
    arguments: &Arguments,
    train: &Dataset<'_>,
    test: &Dataset<'_>,
    truth: Option<&[f64]>,
    default_l2: f64,
) -> Outcome<Results> {
    let model = LogisticRegression::new().l2(arguments.l2.unwrap_or(default_l2))?;
    let sampler = RandomUnderSampler::negatives_per_positive(arguments.negatives)?;
    let plain = Pipeline::new(model).seed(arguments.seed);
    let sampled = plain.clone().sampler(sampler);
    let corrected = sampled.clone().calibrator(PriorCorrection::new());
    let weighted = plain.clone().sampler(sampler.reweight(true));

    let print = |name: &str, rows: usize, probabilities: &[f64], seconds: f64| -> Outcome<f64> {
        let card = Scorecard::new(test.labels(), probabilities, test.weights())?;
        print!(
            "{name:<28}{rows:>9}{:>8.3}{:>8.3}{:>12.3}{:>10.5}",
            card.roc_auc, card.normalised_entropy, card.predicted_over_observed, card.ece
        );
        if let Some(truth) = truth {
            let distance: f64 =
                truth.iter().zip(probabilities).map(|(t, p)| (t - p).abs()).sum::<f64>();
            print!("{:>10.1} %", 100.0 * distance / truth.iter().sum::<f64>());
        }
        println!("{seconds:>8.2}");
        Ok(card.predicted_over_observed)
    };

    let totals = test.totals();
    println!(
        "train: {} rows, {} positive; test: {} rows, {} positive ({:.3} %)\n",
        train.rows(),
        train.totals().positives,
        totals.rows(),
        totals.positives,
        100.0 * totals.rate()
    );
    let last = if truth.is_some() { "  |p − true|" } else { "" };
    println!(
        "{:<28}{:>9}{:>8}{:>8}{:>12}{:>10}{last}{:>8}",
        "", "rows", "AUC", "NE", "pred./obs.", "ECE", "sec."
    );
    print("constant training rate", train.rows(), &vec![train.totals().rate(); test.rows()], 0.0)?;
    if let Some(truth) = truth {
        print("truth", test.rows(), truth, 0.0)?;
    }

    let fitted = fit(&plain, train)?;
    print("no sampling", train.rows(), &predict(&fitted, test)?, fitted.seconds)?;

    let fitted = fit(&sampled, train)?;
    let rows = fitted.pipeline.report().sample.rows();
    let factor = fitted.pipeline.report().distortion.log_odds().unwrap_or(0.0).exp();
    let p = predict(&fitted, test)?;
    let uncorrected = print("under-sampled, uncorrected", rows, &p, fitted.seconds)?;
    let warnings = fitted.pipeline.report().warnings.clone();

    let fitted = fit(&corrected, train)?;
    let p = predict(&fitted, test)?;
    let corrected = print("under-sampled, corrected", rows, &p, fitted.seconds)?;
    let report = fitted.pipeline.to_string();

    let fitted = fit(&weighted, train)?;
    print("under-sampled, weighted", rows, &predict(&fitted, test)?, fitted.seconds)?;

    for warning in warnings {
        println!("\nThe uncorrected pipeline warns:\n{warning}.");
    }
    println!("\nThe corrected pipeline:\n{report}");
    let error = 1.0 / (totals.positives as f64).sqrt();
    Ok(Results { factor, uncorrected, corrected, error })
}

/// A fitted pipeline, and how long that took.
struct Timed<P, K> {
    pipeline: FittedPipeline<P, K>,
    seconds: f64,
}

/// Fits with a progress bar of its own, which is gone when the results are printed.
fn fit<S, L, M, C>(
    pipeline: &Pipeline<S, L, M, C>,
    train: &Dataset<'_>,
) -> imbalance::Result<Timed<M::Fitted, C::Map>>
where
    S: Sampler + Clone,
    L: Loss + Clone,
    M: Model + Clone,
    C: Calibrator + Clone,
{
    let start = Instant::now();
    let pipeline = pipeline.clone().observer(progress::bar()).fit(train)?;
    Ok(Timed { pipeline, seconds: start.elapsed().as_secs_f64() })
}

fn predict<P: Predict, K: CalibrationMap>(
    fitted: &Timed<P, K>,
    test: &Dataset<'_>,
) -> imbalance::Result<Vec<f64>> {
    announced("predicting", test.rows(), || fitted.pipeline.probabilities_of(test))
}

/// Says in words what the table shows, from its numbers.
fn explain(results: &Results) {
    let Results { factor, uncorrected, corrected, error } = results;
    println!(
        "\nUnder-sampling multiplied the odds of a positive by {factor:.1}. Uncorrected, the model promises \
         {uncorrected:.1}\npositives for each one that comes (somewhat less than the factor: large odds \
         move a probability less).\nCorrected, it promises {corrected:.2}; with so many test positives a \
         perfect model would show 1.00 ± {error:.2}\n(one standard error). Weighted, it needs no correction, but \
         pays for large weights on few rows with noise.\nThe ranking (AUC) is not touched by the correction."
    );
    let off = (corrected - 1.0).abs() / error;
    if off > 3.0 {
        println!(
            "Here it is {off:.1} standard errors off: did the rate change between training and test?"
        );
    }
}
