//! From a click log to calibrated probabilities in four ways, compared on one set of test rows.
//!
//! ```sh
//! cargo run --release --example click_through
//! cargo run --release --example click_through -- --synthetic 1000000 0.002
//! cargo run --release --example click_through -- --csv log.csv.gz --label click \
//!     --numeric price,age --categorical site,device --time timestamp
//! ```

mod options;

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use imbalance::FittedPipeline;
use imbalance::Precision;
use imbalance::calibration::CalibrationMap;
use imbalance::data::{CsvReader, Encoder, SyntheticClicks, TimeFormat};
use imbalance::metrics::Scorecard;
use imbalance::prelude::*;
use imbalance::{Progress, progress};
use options::{options, rows_and_rate};

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Arguments {
    synthetic: Option<(usize, f64)>,
    csv: Option<CsvArguments>,
    negatives: f64,
    test_share: f64,
    l2: Option<f64>,
    seed: u64,
}

struct CsvArguments {
    file: PathBuf,
    label: String,
    numeric: Vec<String>,
    categorical: Vec<String>,
    time: Option<String>,
    time_format: Option<String>,
    delimiter: char,
}

const USAGE: &str = "\
Compares no sampling, under-sampling, its correction, and its weighting on a click log.
Without options: on the Open Bandit log that comes with the crate.

  --synthetic ROWS RATE  a synthetic log of ROWS rows and base rate RATE, whose true probabilities are known
  --csv FILE             your own log: a CSV file with a header, plain or gzipped
    --label COL            the column that says whether the row is positive: 0 or 1, false or true
    --numeric COLS         numeric columns, separated by commas
    --categorical COLS     categorical columns, separated by commas
    --time COL             a column of times: the latest rows test, without it random ones
    --time-format PATTERN  how times are written, such as %y%m%d%H [found: numbers, or from the year to the day]
    --delimiter C          the character between the columns [,]
  --negatives N          negatives kept per positive [10]
  --test-share S         share of the rows that test [0.3]
  --l2 L                 penalty on the squared coefficients [100 for the Open Bandit log, otherwise 1]
  --seed N               seed of all randomness [7]";

impl Arguments {
    fn read() -> Self {
        options(USAGE, |arguments| {
            let columns = |text: &str| -> Result<Vec<String>, Infallible> {
                Ok(text.split(',').map(str::to_owned).collect())
            };
            let csv: Option<CsvArguments> = match arguments.opt_value_from_str("--csv")? {
                None => None,
                Some(file) => Some(CsvArguments {
                    file,
                    label: arguments.value_from_str("--label")?,
                    numeric: arguments.opt_value_from_fn("--numeric", columns)?.unwrap_or_default(),
                    categorical: arguments
                        .opt_value_from_fn("--categorical", columns)?
                        .unwrap_or_default(),
                    time: arguments.opt_value_from_str("--time")?,
                    time_format: arguments.opt_value_from_str("--time-format")?,
                    delimiter: arguments.opt_value_from_str("--delimiter")?.unwrap_or(','),
                }),
            };
            Ok(Self {
                negatives: arguments.opt_value_from_str("--negatives")?.unwrap_or(10.0),
                test_share: arguments.opt_value_from_str("--test-share")?.unwrap_or(0.3),
                l2: arguments.opt_value_from_str("--l2")?,
                seed: arguments.opt_value_from_str("--seed")?.unwrap_or(7),
                // Not with a file: it is then an option too many.
                synthetic: if csv.is_none() { rows_and_rate(arguments)? } else { None },
                csv,
            })
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let outcome = match (&arguments.synthetic, &arguments.csv) {
        (&Some((rows, rate)), _) => synthetic(&arguments, rows, rate),
        (None, Some(log)) => own_log(&arguments, log),
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

/// The log in `examples/data`: 60,000 impressions, 0.48 % clicks, in order of time.
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
        "\nThese features carry almost no signal: the AUC is about 0.5, and no model beats the constant \
         rate\nby more than noise. A good model is then calibrated and predicts close to the rate.\nFor a \
         strong signal and known true probabilities: --synthetic 1000000 0.002"
    );
    Ok(())
}

fn own_log(arguments: &Arguments, log: &CsvArguments) -> Outcome<()> {
    let mut reader = CsvReader::new()
        .label(&log.label)
        .numeric(&log.numeric)
        .categorical(&log.categorical)
        .delimiter(u8::try_from(log.delimiter)?);
    if let Some(time) = &log.time {
        let format = log.time_format.as_ref().map_or_else(TimeFormat::default, TimeFormat::pattern);
        reader = reader.time_as(time, format);
    }
    explain(&csv(arguments, &reader, &log.file, log.time.as_deref(), 1.0)?);
    Ok(())
}

/// Reads and splits the log, then encodes it with means, deviations and missing columns of the training rows.
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
    let cut = time.map_or(Cut::Stratified, Cut::by_time);
    let (train, test) = announced("encoding", table.rows(), || {
        let (train, test) = table.cut(&cut, arguments.test_share, arguments.seed)?;
        let encoder = Encoder::default().precision(Precision::F32).fit(&train)?;
        Ok((encoder.encode(&train)?, encoder.encode(&test)?))
    })?;
    compare(arguments, &train, &test, None, l2)
}

fn synthetic(arguments: &Arguments, rows: usize, rate: f64) -> Outcome<()> {
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
         After the\ncorrection it shows the error of an estimate from {} positives; the row \"truth\" \
         shows a perfect model.",
        train.totals().positives
    );
    Ok(())
}

/// Does work that reports no progress itself, under a progress line that names it.
fn announced<T>(
    name: &'static str,
    rows: usize,
    work: impl FnOnce() -> imbalance::Result<T>,
) -> imbalance::Result<T> {
    let bar = progress::bar();
    // The bar never stops the work.
    let _ = bar(&Progress::Stage { name, rows });
    work()
}

/// The numbers in the explanation.
struct Results {
    /// The factor on the odds of a positive by the sampler.
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

/// A fitted pipeline and the time of the fit.
struct Timed<P, K> {
    pipeline: FittedPipeline<P, K>,
    seconds: f64,
}

/// Fits with a progress bar, which is removed before the results are printed.
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

/// Explains the table by its numbers.
fn explain(results: &Results) {
    let Results { factor, uncorrected, corrected, error } = results;
    println!(
        "\nUnder-sampling multiplied the odds of a positive by {factor:.1}. Uncorrected, the model predicts \
         {uncorrected:.1}\npositives for each observed one (less than the factor, because the factor changes large \
         probabilities less).\nCorrected, it predicts {corrected:.2}; on these test rows a perfect model has \
         1.00 ± {error:.2} (one standard error).\nThe weighted model needs no correction, but large weights on few \
         rows add noise to it.\nThe correction does not change the ranking (AUC)."
    );
    let off = (corrected - 1.0).abs() / error;
    if off > 3.0 {
        println!(
            "Here it is {off:.1} standard errors away: did the rate change between training and test rows?"
        );
    }
}
