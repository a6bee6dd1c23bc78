//! Two pipelines judged on the same later rows: report in the terminal, a page, and pictures.
//!
//! ```sh
//! cargo run --release --example evaluate
//! cargo run --release --example evaluate -- --synthetic 200000 0.002 --out target/synthetic
//! ```

mod options;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use imbalance::Evaluation;
use imbalance::Precision;
use imbalance::data::{CsvReader, Encoder, SyntheticClicks};
use imbalance::metrics::{Period, ThresholdRule};
use imbalance::plot::Options;
use imbalance::prelude::*;
use options::{options, rows_and_rate};

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Arguments {
    synthetic: Option<(usize, f64)>,
    out: PathBuf,
    replicates: usize,
    seed: u64,
}

const USAGE: &str = "\
Judges the same model after mild under-sampling that is corrected, and after balancing the classes.
Without options: on the Open Bandit log that comes with the crate.

  --synthetic ROWS RATE  a synthetic log of ROWS rows and base rate RATE, with a strong signal
  --out DIR              where the page and the pictures go [target/evaluation]
  --replicates N         replicates of the bootstrap [300]
  --seed N               seed of all randomness [7]";

impl Arguments {
    fn read() -> Self {
        options(USAGE, |arguments| {
            Ok(Self {
                out: arguments
                    .opt_value_from_str("--out")?
                    .unwrap_or_else(|| "target/evaluation".into()),
                replicates: arguments.opt_value_from_str("--replicates")?.unwrap_or(300),
                seed: arguments.opt_value_from_str("--seed")?.unwrap_or(7),
                synthetic: rows_and_rate(arguments)?,
            })
        })
    }
}

fn main() -> Outcome<()> {
    let arguments = Arguments::read();
    match &arguments.synthetic {
        &Some((rows, rate)) => synthetic(&arguments, rows, rate),
        None => open_bandit(&arguments),
    }
}

/// The log that comes with the crate: 60,000 impressions, 0.48 % clicks, in order of time.
fn open_bandit(arguments: &Arguments) -> Outcome<()> {
    println!("Open Bandit log (ZOZO, Inc.; Saito et al. 2020; see examples/data/README.md)\n");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/open_bandit.csv.gz");
    let table = CsvReader::new()
        .label("click")
        .numeric(["item_feature_0"])
        .categorical(["campaign", "position", "item_id"])
        .categorical(["user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3"])
        .attribute_texts(["campaign"])
        .time("timestamp")
        .read(&file, &Run::default())?;
    let split = Split::by_time(table.numbers("timestamp")?, 0.3)?;
    let (train, test) = table.split(&split)?;
    let encoder = Encoder::default().precision(Precision::F32).fit(&train)?;
    let (train, test) = (encoder.encode(&train)?, encoder.encode(&test)?);
    let probabilities = fit(arguments, &train, &test, 100.0)?;
    let evaluation = compare(arguments, &test, &probabilities)?
        .by_period("day", test.numbers("timestamp")?, Period::Day)
        .by_period("hour of day", test.numbers("timestamp")?, Period::HourOfDay)
        .by_category("campaign", test.categories("campaign")?);
    write(arguments, &evaluation)
}

fn synthetic(arguments: &Arguments, rows: usize, rate: f64) -> Outcome<()> {
    println!("Synthetic log\n");
    let log =
        SyntheticClicks::new(rows, rate)?.precision(Precision::F32).generate(arguments.seed)?;
    let split = Split::by_time(log.dataset.numbers("day")?, 0.3)?;
    let (train, test) = log.dataset.split(&split)?;
    let probabilities = fit(arguments, &train, &test, 1.0)?;
    let evaluation =
        compare(arguments, &test, &probabilities)?.by_period("day", test.numbers("day")?, 1.0);
    write(arguments, &evaluation)
}

/// Probabilities of the test rows from two pipelines: one keeps ten negatives for each positive and
/// corrects for it; the other balances the classes, as is often advised, and believes the result.
fn fit(
    arguments: &Arguments,
    train: &Dataset<'_>,
    test: &Dataset<'_>,
    l2: f64,
) -> Outcome<[Vec<f64>; 2]> {
    let under_sampled = |negatives_per_positive| -> Outcome<_> {
        let sampler = RandomUnderSampler::negatives_per_positive(negatives_per_positive)?;
        let pipeline = Pipeline::new(LogisticRegression::new().l2(l2)?).sampler(sampler);
        Ok(pipeline.seed(arguments.seed))
    };
    let corrected = under_sampled(10.0)?.calibrator(PriorCorrection::new());
    let balanced = under_sampled(1.0)?;
    let corrected = corrected.fit(train)?.probabilities_of(test)?;
    Ok([corrected, balanced.fit(train)?.probabilities_of(test)?])
}

fn compare<'a>(
    arguments: &Arguments,
    test: &'a Dataset<'a>,
    [corrected, balanced]: &'a [Vec<f64>; 2],
) -> Outcome<Evaluation<'a>> {
    Ok(Evaluation::new(test.labels(), corrected)
        .name("10 to 1, corrected")
        .against("balanced, as it is", balanced)
        .weights(test.weights())
        .bootstrap(arguments.replicates)
        .seed(arguments.seed)
        // What a threshold would be for: a click worth 100 impressions, a tenth of the traffic.
        .threshold("click worth 100", ThresholdRule::cost(1.0, 100.0)?)
        .threshold("best tenth", ThresholdRule::share(0.1)?)
        .threshold("half of the clicks", ThresholdRule::recall_floor(0.5)?))
}

fn write(arguments: &Arguments, evaluation: &Evaluation<'_>) -> Outcome<()> {
    let report = evaluation.report()?;
    println!("{report}\n");
    fs::create_dir_all(&arguments.out)?;
    let page = arguments.out.join("report.html");
    fs::write(&page, report.to_html()?)?;
    println!("Written: {}", page.display());
    for (name, picture) in report.pictures(&Options::default())? {
        for ending in ["svg", "png"] {
            picture.save(arguments.out.join(format!("{name}.{ending}")))?;
        }
        println!("         {}, .png", arguments.out.join(format!("{name}.svg")).display());
    }
    Ok(())
}
