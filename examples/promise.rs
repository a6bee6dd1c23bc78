//! Predicted / observed on test rows for each kind of pipeline, and whether a pipeline that is off has said so.
//!
//! ```sh
//! cargo run --release --features csv,gbdt --example promise
//! cargo run --release --features csv,gbdt --example promise -- --csv log.csv.gz --label click \
//!     --numeric price,age --categorical site,device
//! ```
//!
//! Each run cuts the rows into halves by another seed. "Off" is a mean more than three standard errors from the observed
//! one, by the positives of both halves.

mod options;

use std::process::ExitCode;

use imbalance::calibration::Uncalibrated;
use imbalance::loss::WeightedLogLoss;
use imbalance::model::{FtrlProximal, RareEvents};
use imbalance::prelude::*;
use imbalance::sampling::{LocalCaseControl, NoSampling, Pilot, PoissonHardNegatives};
use options::options;

struct Arguments {
    runs: u64,
    synthetic: Option<(usize, f64)>,
    csv: Option<String>,
    label: String,
    numeric: Vec<String>,
    categorical: Vec<String>,
}

const USAGE: &str = "\
Predicted / observed of each kind of pipeline on test rows, and its warnings.

  --runs N             cuts into halves [10]
  --synthetic N RATE   dense synthetic log of N rows [100000 0.002]
  --csv FILE           rows of a CSV file with a header
    --label COL          the label: a number above 0 is positive [label]
    --numeric COLS       numeric columns, separated by commas
    --categorical COLS   categorical columns, hashed to 2^18";

fn main() -> ExitCode {
    let arguments = options(USAGE, |arguments| {
        let list = |text: Option<String>| -> Vec<String> {
            text.map(|text| text.split(',').map(Into::into).collect()).unwrap_or_default()
        };
        Ok(Arguments {
            runs: arguments.opt_value_from_str("--runs")?.unwrap_or(10),
            csv: arguments.opt_value_from_str("--csv")?,
            label: arguments.opt_value_from_str("--label")?.unwrap_or_else(|| "label".into()),
            numeric: list(arguments.opt_value_from_str("--numeric")?),
            categorical: list(arguments.opt_value_from_str("--categorical")?),
            synthetic: options::rows_and_rate(arguments)?,
        })
    });
    match read(&arguments).and_then(|data| table(&data, arguments.runs)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(arguments: &Arguments) -> imbalance::Result<Dataset<'static>> {
    let Some(file) = &arguments.csv else {
        let (rows, rate) = arguments.synthetic.unwrap_or((100_000, 0.002));
        let log = SyntheticClicks::new(rows, rate)?.numeric(6).categorical(&[]).generate(5)?;
        return Ok(log.dataset);
    };
    let reader = CsvReader::new()
        .label(&arguments.label)
        .positive_above(0.0)
        .numeric(arguments.numeric.clone())
        .categorical(arguments.categorical.clone());
    let table = reader.read(file, &Run::default())?;
    Encoder::hashing(18)?.fit(&table)?.encode(&table)
}

type Make = fn() -> imbalance::Result<DynPipeline>;

fn linear() -> Pipeline<NoSampling, LogLoss, LogisticRegression, Uncalibrated> {
    Pipeline::new(LogisticRegression::new())
}

fn under() -> imbalance::Result<RandomUnderSampler> {
    RandomUnderSampler::negatives_per_positive(10.0)
}

fn pilot() -> Pilot {
    Pilot::trained(LogisticRegression::new(), LogLoss)
}

const PIPELINES: &[(&str, Make)] = &[
    ("logistic regression", || Ok(linear().boxed())),
    ("10 : 1, `PriorCorrection`", || {
        Ok(linear().sampler(under()?).calibrator(PriorCorrection::new()).boxed())
    }),
    ("10 : 1, reweighted", || Ok(linear().sampler(under()?.reweight(true)).boxed())),
    ("balanced weights, `PriorCorrection`", || {
        let balanced = linear().loss(WeightedLogLoss::balanced());
        Ok(balanced.calibrator(PriorCorrection::new()).boxed())
    }),
    ("Poisson hard negatives", || {
        let sampler = PoissonHardNegatives::proportional(pilot(), 10.0, 0.002)?;
        Ok(linear().sampler(sampler.reweight(true)).boxed())
    }),
    ("local case-control", || Ok(linear().sampler(LocalCaseControl::new(pilot())).boxed())),
    ("10 : 1, Platt, 5 folds", || {
        let platt = linear().sampler(under()?).calibrator(PlattScaling::new());
        Ok(platt.cross_fit(CrossFit::new(5, Cut::Stratified)?).boxed())
    }),
    ("FTRL, one pass", || Ok(Pipeline::new(FtrlProximal::new().passes(1)?).boxed())),
    ("FTRL, one pass, 10 : 1 reweighted", || {
        Ok(Pipeline::new(FtrlProximal::new().passes(1)?).sampler(under()?.reweight(true)).boxed())
    }),
    ("`RareEvents`", || Ok(Pipeline::new(RareEvents::new()).boxed())),
    #[cfg(feature = "gbdt")]
    ("boosted trees", || Ok(Pipeline::new(imbalance::model::BoostedTrees::new()).boxed())),
    #[cfg(feature = "gbdt")]
    ("boosted trees, 10 : 1, `PriorCorrection`", || {
        let trees = Pipeline::new(imbalance::model::BoostedTrees::new());
        Ok(trees.sampler(under()?).calibrator(PriorCorrection::new()).boxed())
    }),
];

fn table(data: &Dataset<'_>, runs: u64) -> imbalance::Result<()> {
    let totals = data.totals();
    println!(
        "{} rows, {} positive, {} columns, {runs} runs\n",
        data.rows(),
        totals.positives,
        data.columns()
    );
    println!(
        "| pipeline | predicted / observed: least, median, most | off | of these, warned | warned, not off | refused |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, make) in PIPELINES {
        let (mut ratios, mut off, mut found, mut alarms, mut refused) = (Vec::new(), 0, 0, 0, 0);
        for seed in 0..runs {
            let (train, test) = data.cut(&Cut::Stratified, 0.5, seed)?;
            let fitted = match make()?.seed(seed).fit(&train) {
                Ok(fitted) => fitted,
                Err(error) => {
                    eprintln!("{name}, seed {seed}: {error}");
                    refused += 1;
                    continue;
                }
            };
            let p = fitted.probabilities(test.features())?;
            let observed = test.totals().positives as f64;
            let ratio = p.iter().sum::<f64>() / observed;
            let error = (1.0 / observed + 1.0 / train.totals().positives as f64).sqrt();
            let warned = !fitted.report().warnings.is_empty();
            for warning in &fitted.report().warnings {
                eprintln!("{name}, seed {seed}, {ratio:.3}: {warning}");
            }
            let is_off = (ratio - 1.0).abs() > 3.0 * error;
            off += usize::from(is_off);
            found += usize::from(is_off && warned);
            alarms += usize::from(!is_off && warned);
            ratios.push(ratio);
        }
        ratios.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let last = ratios.len().saturating_sub(1) as f64;
            ratios.get((share * last) as usize).map_or("–".into(), |ratio| format!("{ratio:.2}"))
        };
        println!(
            "| {name} | {}, {}, {} | {off} | {found} | {alarms} | {refused} |",
            at(0.0),
            at(0.5),
            at(1.0)
        );
    }
    Ok(())
}
