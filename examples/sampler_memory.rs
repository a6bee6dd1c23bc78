//! The memory that each sampler, in each of its forms, needs above its input and its output. The program fails
//! if a sampler needs more than a bound, 64 MiB by default.
//!
//! `cargo run --release --example sampler_memory -- --rows 2000000 --columns 32`
//!
//! `docs/evidence/sampling.md` has the table.
//!
//! Reads the peak memory of the process from `/proc/self/status`, so it needs Linux. Each sampler runs in its
//! own process, because freed memory is not returned to the system at once.

mod options;

use std::fs;
use std::process::Command;

use imbalance::Error;
use imbalance::Precision;
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, DrawMode, EditedNearestNeighbours, HardnessBand, NearMiss,
    NeighbourhoodCleaning, PoissonHardNegatives, PoissonRuleSampler, RandomOverSampler, Rule,
    Smote, SmoteNc, TomekLinks, VotingRule,
};
use imbalance::sampling::{HardNegativeMining, LocalCaseControl, NoSampling, Pilot, RuleSampler};
use options::options;

struct Arguments {
    rows: usize,
    columns: usize,
    rate: f64,
    most: f64,
    sampler: Option<String>,
}

const USAGE: &str = "\
How much memory each sampler needs above its input and its output.

  --rows N        rows of the log [2000000]
  --columns N     numeric columns, stored as f32 [32]
  --rate R        share of positives [0.005]
  --most M        most MiB above input and output [64]
  --sampler NAME  one sampler; all of them without it";

impl Arguments {
    fn read() -> Self {
        options(USAGE, |arguments| {
            Ok(Self {
                rows: arguments.opt_value_from_str("--rows")?.unwrap_or(2_000_000),
                columns: arguments.opt_value_from_str("--columns")?.unwrap_or(32),
                rate: arguments.opt_value_from_str("--rate")?.unwrap_or(0.005),
                most: arguments.opt_value_from_str("--most")?.unwrap_or(64.0),
                sampler: arguments.opt_value_from_str("--sampler")?,
            })
        })
    }
}

type Named = (&'static str, Box<dyn Sampler>);

/// Each sampler with its name; a new sampler is one more line.
fn samplers() -> Result<Vec<Named>, Error> {
    let pilot = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let engaged = || {
        let active = Rule::number("last_active_days").at_most(7.0);
        active.and(Rule::number("impressions").at_least(5.0))
    };
    let half = || RandomUnderSampler::rate(0.5);
    // From 10,000 positives among two million rows to a million: the new rows are half as many as the input.
    let over = RandomOverSampler::positives_per_negative(0.5)?;
    let smote = Smote::positives_per_negative(0.5)?;
    // Cleaning compares positives with negatives, so its time grows with the number of new positives.
    let few = Smote::positives_per_negative(0.01)?;
    let enn = EditedNearestNeighbours::new(3)?;
    Ok(vec![
        ("none", Box::new(NoSampling)),
        ("random", Box::new(half()?)),
        ("random, with replacement", Box::new(half()?.draw(DrawMode::WithReplacement))),
        ("random, Bernoulli, weighted", Box::new(half()?.draw(DrawMode::Bernoulli).reweight(true))),
        ("hardest", Box::new(HardNegativeMining::new(pilot(), HardnessBand::hardest(1_000_000)?))),
        (
            "hard, Poisson, weighted",
            Box::new(PoissonHardNegatives::proportional(pilot(), 50.0, 0.1)?.reweight(true)),
        ),
        ("local case-control", Box::new(LocalCaseControl::new(pilot()))),
        ("rule, filter", Box::new(RuleSampler::filter(engaged())?)),
        ("rule, shares", Box::new(RuleSampler::shares([(engaged(), 0.9)], 0.3)?)),
        ("rule, priorities", Box::new(RuleSampler::priorities([(engaged(), 5.0)], 0.5)?)),
        (
            "rule, Poisson, weighted",
            Box::new(PoissonRuleSampler::new([(engaged(), 0.9)], 0.3)?.reweight(true)),
        ),
        ("random over", Box::new(over)),
        ("random over, shrinkage", Box::new(over.shrinkage(1.0)?)),
        ("SMOTE", Box::new(smote)),
        ("SMOTE, per element", Box::new(smote.per_element(true))),
        ("Borderline-SMOTE 1", Box::new(BorderlineSmote::borderline1(0.5)?)),
        ("Borderline-SMOTE 2", Box::new(BorderlineSmote::borderline2(0.5)?)),
        ("ADASYN", Box::new(Adasyn::positives_per_negative(0.5)?)),
        ("SMOTE-NC", Box::new(SmoteNc::positives_per_negative(0.5, [0, 1, 2, 3])?)),
        ("Tomek links", Box::new(TomekLinks::new())),
        ("ENN, all", Box::new(enn)),
        ("ENN, mode", Box::new(enn.vote(VotingRule::Mode))),
        ("ENN, repeated", Box::new(enn.repeated(2)?)),
        ("AllKNN", Box::new(EditedNearestNeighbours::new(2)?.all_knn(true))),
        ("neighbourhood cleaning", Box::new(NeighbourhoodCleaning::new(3)?)),
        ("NearMiss 1", Box::new(NearMiss::negatives_per_positive(10.0)?)),
        ("SMOTE then ENN", Box::new(few.then(enn))),
        ("SMOTE then Tomek links", Box::new(few.then(TomekLinks::new()))),
        ("random under then SMOTE", Box::new(half()?.then(smote))),
        ("rule then random under", Box::new(RuleSampler::filter(engaged())?.then(half()?))),
    ])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let Some(name) = &arguments.sampler else {
        println!("{:<30} {:>10} {:>12} {:>12}", "sampler", "rows out", "output MiB", "above, MiB");
        let mut failed = Vec::new();
        for (name, _) in samplers()? {
            let mut child = Command::new(std::env::current_exe()?);
            child.args(std::env::args_os().skip(1)).args(["--sampler", name]);
            if !child.status()?.success() {
                failed.push(name);
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        return Err(
            format!("these samplers need more memory, or failed: {}", failed.join("; ")).into()
        );
    };
    let known = samplers()?;
    let (_, sampler) = known
        .iter()
        .find(|(known, _)| known == name)
        .ok_or_else(|| format!("there is no sampler `{name}`"))?;
    let clicks = SyntheticClicks::new(arguments.rows, arguments.rate)?;
    let data = clicks
        .numeric(arguments.columns)
        .categorical(&[])
        .precision(Precision::F32)
        .generate(7)?
        .dataset;

    // Resets the peak to the memory in use now.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = status("VmRSS:")?;
    let sample = sampler.resample(&data, &Run::seeded(7))?.apply(&data)?;
    // Selected rows are copied when they are read.
    let _ = sample.features();
    let peak = status("VmHWM:")? - before;

    let rows = sample.rows();
    // A label, four attributes (a code of four bytes for the texts), and weights or offsets.
    let columns = [sample.weights(), sample.offsets()].iter().flatten().count();
    let width = sample.columns() * size_of::<f32>() + 1 + 3 * 8 + 4 + 8 * columns;
    let output = if rows == data.rows() { 0.0 } else { (rows * width) as f64 / 1_048_576.0 };
    let above = peak - output;
    println!("{name:<30} {rows:>10} {output:>12.1} {above:>12.1}");
    if above > arguments.most {
        let max_above = arguments.most;
        return Err(format!(
            "`{name}` needs {above:.1} MiB above its output, not at most {max_above}"
        )
        .into());
    }
    Ok(())
}

/// A line of `/proc/self/status`, in MiB.
fn status(key: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).ok_or("no such line")?;
    let number = line.split_whitespace().next().ok_or("no number")?;
    Ok(number.parse::<f64>()? / 1024.0)
}
