//! How often a pipeline's check of itself warns without need, and how often it finds what is wrong: the tables of
//! `docs/reliability.md`.
//!
//! ```sh
//! cargo run --release --example self_check
//! cargo run --release --features gbdt --example self_check # with boosted trees
//! ```

mod options;

use std::process::ExitCode;

use imbalance::FeaturesView;
use imbalance::calibration::{
    Calibration, CalibrationMap, CalibrationSet, TrainingContext, Uncalibrated,
};
use imbalance::data::SyntheticLog;
use imbalance::loss::WeightedLogLoss;
use imbalance::model::RareEvents;
use imbalance::ndarray::Array2;
use imbalance::pipeline::Warning;
use imbalance::prelude::*;
use imbalance::sampling::{
    LocalCaseControl, NoSampling, Pilot, PoissonHardNegatives, PoissonRuleSampler,
    RandomOverSampler, Rule,
};
use options::options;

const USAGE: &str = "\
Prints markdown tables: false alarms of valid pipelines, and detection of wrong ones.

  --seeds N    logs for each cell of the first table [200]
  --logs N     logs for each row of the second [20]";

fn main() -> ExitCode {
    let (seeds, logs) = options(USAGE, |arguments| {
        let seeds = arguments.opt_value_from_str("--seeds")?.unwrap_or(200);
        Ok((seeds, arguments.opt_value_from_str("--logs")?.unwrap_or(20)))
    });
    match false_alarms(seeds).and_then(|()| detections(logs)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Rows that train, rate, numeric columns and levels of categorical columns of a log.
type Rows = (usize, f64, usize, &'static [usize]);

/// A log, of which the first half trains.
fn log((rows, rate, numeric, levels): Rows, seed: u64) -> imbalance::Result<SyntheticLog> {
    SyntheticClicks::new(2 * rows, rate)?.numeric(numeric).categorical(levels).generate(seed)
}

/// The rows from `first` on.
fn half(log: &SyntheticLog, first: usize) -> imbalance::Result<Dataset<'_>> {
    let rows: Vec<usize> = (first..first + log.dataset.rows() / 2).collect();
    log.dataset.select(&rows)
}

/// The warnings of one run, and predicted / true on rows that nothing has seen.
struct Outcome {
    warnings: Vec<Warning>,
    ratio: f64,
}

type Experiment = fn(&DynPipeline, &SyntheticLog) -> imbalance::Result<Outcome>;

/// The warnings of a fit.
fn fit(pipeline: &DynPipeline, log: &SyntheticLog) -> imbalance::Result<Outcome> {
    let rows = log.dataset.rows() / 2;
    let fitted = pipeline.fit(&half(log, 0)?)?;
    let p = fitted.probabilities(half(log, rows)?.features())?;
    let ratio = p.iter().sum::<f64>() / log.probabilities[rows..].iter().sum::<f64>();
    Ok(Outcome { warnings: fitted.report().warnings.clone(), ratio })
}

/// The warnings of a check out of fold.
fn check(pipeline: &DynPipeline, log: &SyntheticLog) -> imbalance::Result<Outcome> {
    let check = pipeline.check(&half(log, 0)?, &Cut::Stratified, 5)?;
    Ok(Outcome { warnings: check.warnings(), ratio: fit(pipeline, log)?.ratio })
}

type Make = fn() -> imbalance::Result<DynPipeline>;

fn under(ratio: f64) -> imbalance::Result<RandomUnderSampler> {
    RandomUnderSampler::negatives_per_positive(ratio)
}

fn model() -> Pipeline<NoSampling, LogLoss, LogisticRegression, Uncalibrated> {
    Pipeline::new(LogisticRegression::new())
}

/// With a small penalty.
fn memorising() -> imbalance::Result<Pipeline<NoSampling, LogLoss, LogisticRegression, Uncalibrated>>
{
    Ok(Pipeline::new(LogisticRegression::new().l2(0.01)?))
}

fn pilot() -> Pilot {
    Pilot::trained(LogisticRegression::new(), LogLoss)
}

/// With the most columns that the positives of the rarest log allow: about ten for each.
const VALID: &[(&str, Experiment, Make)] = &[
    ("no sampling", fit, || Ok(model().boxed())),
    ("10 : 1, `PriorCorrection`", fit, || {
        Ok(model().sampler(under(10.0)?).calibrator(PriorCorrection::new()).boxed())
    }),
    ("10 : 1, reweighted", fit, || Ok(model().sampler(under(10.0)?.reweight(true)).boxed())),
    ("over-sampled 0.1, `PriorCorrection`", fit, || {
        let sampler = RandomOverSampler::positives_per_negative(0.1)?;
        Ok(model().sampler(sampler).calibrator(PriorCorrection::new()).boxed())
    }),
    ("balanced weights, `PriorCorrection`", fit, || {
        let loss = WeightedLogLoss::balanced();
        Ok(model().loss(loss).calibrator(PriorCorrection::new()).boxed())
    }),
    ("Poisson hard negatives 10 : 1, reweighted", fit, || {
        let sampler = PoissonHardNegatives::proportional(pilot(), 10.0, 0.002)?;
        Ok(model().sampler(sampler.reweight(true)).boxed())
    }),
    ("Poisson rules, reweighted", fit, || {
        let recent = Rule::number("last_active_days").at_most(3.0);
        Ok(model().sampler(PoissonRuleSampler::new([(recent, 0.5)], 0.1)?.reweight(true)).boxed())
    }),
    ("local case-control, c = 2", fit, || {
        Ok(model().sampler(LocalCaseControl::new(pilot()).scale(2.0)?).boxed())
    }),
    ("10 : 1, Platt, a fifth held out", fit, || {
        Ok(model().sampler(under(10.0)?).calibrator(PlattScaling::new()).boxed())
    }),
    ("10 : 1, Platt, 5 folds", fit, || {
        let platt = model().sampler(under(10.0)?).calibrator(PlattScaling::new());
        Ok(platt.cross_fit(CrossFit::new(5, Cut::Stratified)?).boxed())
    }),
    ("`check`, 5 folds: 10 : 1, `PriorCorrection`", check, || {
        Ok(model().sampler(under(10.0)?).calibrator(PriorCorrection::new()).boxed())
    }),
];

/// Rows and rate of the logs of the first table.
const LOGS: [(usize, f64); 3] = [(50_000, 0.001), (20_000, 0.01), (10_000, 0.05)];

fn false_alarms(seeds: u32) -> imbalance::Result<()> {
    println!("False alarms in {seeds} logs each, and warnings of runs that are off:\n");
    println!("| valid pipeline | 0.1 % | 1 % | 5 % |\n|---|---|---|---|");
    let mut all = 0;
    for (name, run, make) in VALID {
        let mut cells = Vec::new();
        for (rows, rate) in LOGS {
            let (mut alarms, mut right) = (0, 0);
            for seed in 0..u64::from(seeds) {
                let log = log((rows, rate, 5, &[]), seed)?;
                let outcome = run(&make()?.seed(seed), &log)?;
                for warning in &outcome.warnings {
                    eprintln!("{name}, {rate}, seed {seed}, {:.3}: {warning}", outcome.ratio);
                }
                if outcome.warnings.is_empty() {
                    continue;
                }
                // The positives trained on fix the mean up to their Poisson error.
                let error = (rows as f64 * rate).sqrt().recip();
                let is_off = (outcome.ratio - 1.0).abs() > 2.0 * error;
                *if is_off { &mut right } else { &mut alarms } += 1;
            }
            all += alarms;
            cells.push(format!("{alarms} + {right}"));
        }
        println!("| {name} | {} |", cells.join(" | "));
    }
    let runs = f64::from(seeds) * (VALID.len() * LOGS.len()) as f64;
    println!("\nFalse alarms in {all} of {runs} runs: {:.2} %.\n", 100.0 * f64::from(all) / runs);
    Ok(())
}

/// A calibrator that learns, has no report, and leaves the mean three times too high.
#[derive(Debug)]
struct Inflated;

#[derive(Debug)]
struct Shifted(f64);

impl CalibrationMap for Shifted {
    fn logit(&self, z: f64) -> f64 {
        z + self.0
    }
}

impl Calibrator for Inflated {
    type Map = Shifted;

    fn needs_rows(&self) -> bool {
        true
    }

    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> imbalance::Result<Calibration<Shifted>> {
        CalibrationSet::representative(rows, "Inflated")?;
        Ok(Calibration::new(Shifted(3_f64.ln())))
    }
}

/// A log, whether its rows come in order of a column, and the pipeline that is wrong on it.
type Wrong = (&'static str, Rows, bool, Experiment, Make);

/// Many levels: few rows of each are kept.
const SPARSE: Rows = (30_000, 0.005, 5, &[2_000, 200]);
const DENSE: Rows = (30_000, 0.01, 5, &[]);
const FEW: Rows = (415, 0.015, 11, &[]);

/// A logistic regression by one pass of gradient steps over the rows in their order, from 0: it has not converged.
#[derive(Debug)]
struct OnePass {
    step: f64,
}

/// Intercept and coefficients.
#[derive(Debug)]
struct Line(Vec<f64>);

impl Line {
    fn logit_of(&self, row: Row<'_>) -> f64 {
        self.0[0] + row.entries().map(|(column, value)| self.0[1 + column] * value).sum::<f64>()
    }
}

impl Model for OnePass {
    type Fitted = Line;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, _: &Run) -> imbalance::Result<Line> {
        let mut line = Line(vec![0.0; 1 + train.columns()]);
        for (at, &label) in train.labels().iter().enumerate() {
            let row = train.features().row(at);
            let weight = train.weights().map_or(1.0, |weights| weights[at]);
            let step = self.step * weight * loss.at(line.logit_of(row), label).gradient;
            line.0[0] -= step;
            row.entries().for_each(|(column, value)| line.0[1 + column] -= step * value);
        }
        Ok(line)
    }
}

impl Predict for Line {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> imbalance::Result<()> {
        out.iter_mut().enumerate().for_each(|(row, out)| *out = self.logit_of(x.row(row)));
        Ok(())
    }
}

const WRONG: &[Wrong] = &[
    ("online learner, one short pass", DENSE, false, fit, || {
        Ok(Pipeline::new(OnePass { step: 0.0003 }).sampler(under(10.0)?.reweight(true)).boxed())
    }),
    ("many levels, 5 : 1, reweighted", SPARSE, false, fit, || {
        Ok(model().sampler(under(5.0)?.reweight(true)).boxed())
    }),
    ("many levels, 10 : 1, `PriorCorrection`", SPARSE, false, fit, || {
        Ok(model().sampler(under(10.0)?).calibrator(PriorCorrection::new()).boxed())
    }),
    #[cfg(feature = "gbdt")]
    ("boosted trees, 10 : 1, `PriorCorrection`", DENSE, false, fit, || {
        let trees = Pipeline::new(imbalance::model::BoostedTrees::new());
        Ok(trees.sampler(under(10.0)?).calibrator(PriorCorrection::new()).boxed())
    }),
    ("a calibrator that triples the odds, held out", DENSE, false, fit, || {
        Ok(model().calibrator(Inflated).boxed())
    }),
    ("the same, 5 folds", DENSE, false, fit, || {
        let folds = CrossFit::new(5, Cut::Stratified)?;
        Ok(model().calibrator(Inflated).cross_fit(folds).boxed())
    }),
    ("many levels, balanced weights, λ = 0.01", SPARSE, false, fit, || {
        let balanced = memorising()?.loss(WeightedLogLoss::balanced());
        Ok(balanced.calibrator(PriorCorrection::new()).boxed())
    }),
    ("the same, by `check`, 5 folds", SPARSE, false, check, || {
        let balanced = memorising()?.loss(WeightedLogLoss::balanced());
        Ok(balanced.calibrator(PriorCorrection::new()).boxed())
    }),
    ("many levels, local case-control", SPARSE, false, fit, || {
        Ok(model().sampler(LocalCaseControl::new(pilot())).boxed())
    }),
    ("`RareEvents`, 6 events, 11 columns", FEW, false, fit, || {
        Ok(Pipeline::new(RareEvents::new()).boxed())
    }),
    ("online learner, rows in order of a column", DENSE, true, fit, || {
        Ok(Pipeline::new(OnePass { step: 0.01 }).boxed())
    }),
    ("the same, Platt, 5 folds", DENSE, true, fit, || {
        let platt = Pipeline::new(OnePass { step: 0.01 }).calibrator(PlattScaling::new());
        Ok(platt.cross_fit(CrossFit::new(5, Cut::Stratified)?).boxed())
    }),
    ("the same, by `check`, 5 folds", DENSE, true, check, || {
        let platt = Pipeline::new(OnePass { step: 0.01 }).calibrator(PlattScaling::new());
        Ok(platt.cross_fit(CrossFit::new(5, Cut::Stratified)?).boxed())
    }),
];

/// The log with the rows that train in order of their first column.
fn sorted(mut log: SyntheticLog) -> imbalance::Result<SyntheticLog> {
    let rows = log.dataset.rows() / 2;
    let x = log.dataset.features();
    let mut order: Vec<usize> = (0..rows).collect();
    let key = |row: usize| x.row(row).get(0);
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    order.extend(rows..2 * rows);
    let entry = |(place, column)| x.row(order[place]).get(column);
    let x = Array2::from_shape_fn((2 * rows, log.dataset.columns()), entry);
    let labels: Vec<bool> = order.iter().map(|&row| log.dataset.labels()[row]).collect();
    log.probabilities = order.iter().map(|&row| log.probabilities[row]).collect();
    log.dataset = Dataset::new(x, labels)?;
    Ok(log)
}

fn detections(seeds: u32) -> imbalance::Result<()> {
    println!("In {seeds} logs each:\n");
    println!(
        "| pipeline that is wrong | predicted / true on new rows | off by a fifth | of these, warn |"
    );
    println!("|---|---|---|---|");
    for &(name, rows, in_order, run, make) in WRONG {
        let (mut ratios, mut off, mut found) = (Vec::new(), 0, 0);
        for seed in 0..u64::from(seeds) {
            let mut log = log(rows, seed)?;
            if in_order {
                log = sorted(log)?;
            }
            let outcome = match run(&make()?.seed(seed), &log) {
                Ok(outcome) => outcome,
                // The model says itself that it cannot be fitted.
                Err(error) => {
                    eprintln!("{name}, seed {seed}: {error}");
                    continue;
                }
            };
            eprintln!("{name}, seed {seed}: {:.3}", outcome.ratio);
            outcome.warnings.iter().for_each(|warning| eprintln!("  {warning}"));
            ratios.push(outcome.ratio);
            let is_off = (outcome.ratio - 1.0).abs() > 0.2;
            off += usize::from(is_off);
            found += usize::from(is_off && !outcome.warnings.is_empty());
        }
        ratios.sort_by(f64::total_cmp);
        let at = |share: usize| ratios.get(share * ratios.len().saturating_sub(1) / 2);
        let [least, median, most] = [0, 1, 2].map(|i| at(i).map_or(f64::NAN, |&ratio| ratio));
        println!("| {name} | {least:.2}–{most:.2}, median {median:.2} | {off} | {found} |");
    }
    Ok(())
}
