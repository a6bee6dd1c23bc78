//! How much memory each sampler, in each of its forms, needs above its input and its output, and whether
//! that is within the bound of 64 MiB; if not, the program fails.
//!
//! `cargo run --release --example sampler_memory -- --rows 2000000 --columns 32`
//!
//! `docs/evidence/sampling.md` has the table.
//!
//! Reads the high-water mark of the process from `/proc/self/status`, so it runs on Linux. Each sampler
//! gets a process of its own, because memory that is freed is not given back at once.

use std::fs;
use std::process::Command;

use clap::Parser;
use imbalance::Error;
use imbalance::Precision;
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, Band, BorderlineSmote, Draw, EditedNearestNeighbours, PoissonHardNegatives,
    PoissonRuleSampler, RandomOverSampler, Rule, Smote, SmoteNc, TomekLinks, Vote,
};

#[derive(Parser)]
struct Arguments {
    /// Rows of the log.
    #[arg(long, default_value_t = 2_000_000)]
    rows: usize,
    /// Numeric columns, `f32`.
    #[arg(long, default_value_t = 32)]
    columns: usize,
    /// Share of positives.
    #[arg(long, default_value_t = 0.005)]
    rate: f64,
    /// Most MiB above input and output.
    #[arg(long, default_value_t = 64.0)]
    most: f64,
    /// One sampler, by name; all of them if left out.
    #[arg(long)]
    sampler: Option<String>,
}

type Named = (&'static str, Box<dyn Sampler>);

/// Each sampler under its name. A new one is a line here.
fn samplers() -> Result<Vec<Named>, Error> {
    let pilot = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let engaged = || {
        let active = Rule::number("last_active_days").at_most(7.0);
        active.and(Rule::number("impressions").at_least(5.0))
    };
    let half = || RandomUnderSampler::rate(0.5);
    // From 10,000 positives of two million to a million: the new rows are half as large as the input.
    let over = RandomOverSampler::positives_per_negative(0.5)?;
    let smote = Smote::positives_per_negative(0.5)?;
    // Cleaning compares positives with negatives, so there must not be too many of both.
    let few = Smote::positives_per_negative(0.01)?;
    let enn = EditedNearestNeighbours::new(3)?;
    Ok(vec![
        ("none", Box::new(NoSampling)),
        ("random", Box::new(half()?)),
        ("random, with replacement", Box::new(half()?.draw(Draw::WithReplacement))),
        ("random, Bernoulli, weighted", Box::new(half()?.draw(Draw::Bernoulli).reweight(true))),
        ("hardest", Box::new(HardNegativeMining::new(pilot(), Band::hardest(1_000_000)?))),
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
        ("Borderline-SMOTE 1", Box::new(BorderlineSmote::first(0.5)?)),
        ("Borderline-SMOTE 2", Box::new(BorderlineSmote::second(0.5)?)),
        ("ADASYN", Box::new(Adasyn::positives_per_negative(0.5)?)),
        ("SMOTE-NC", Box::new(SmoteNc::positives_per_negative(0.5, [0, 1, 2, 3])?)),
        ("Tomek links", Box::new(TomekLinks::new())),
        ("ENN, all", Box::new(enn)),
        ("ENN, mode", Box::new(enn.vote(Vote::Mode))),
        ("ENN, repeated", Box::new(enn.repeated(2)?)),
        ("AllKNN", Box::new(EditedNearestNeighbours::new(2)?.all_knn())),
        ("SMOTE then ENN", Box::new(few.then(enn))),
        ("SMOTE then Tomek links", Box::new(few.then(TomekLinks::new()))),
        ("random under then SMOTE", Box::new(half()?.then(smote))),
        ("rule then random under", Box::new(RuleSampler::filter(engaged())?.then(half()?))),
    ])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
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
        return Err(format!("these need more, or failed: {}", failed.join("; ")).into());
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

    // Sets the high-water mark back to what is in use now.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = status("VmRSS:")?;
    let sample = sampler.resample(&data, &Run::seeded(7))?.apply(&data)?;
    let peak = status("VmHWM:")? - before;

    let rows = sample.rows();
    // A label, four attributes (a code of four bytes for the texts), and weights or offsets.
    let columns = [sample.weights(), sample.offsets()].iter().flatten().count();
    let width = sample.columns() * size_of::<f32>() + 1 + 3 * 8 + 4 + 8 * columns;
    let output = if rows == data.rows() { 0.0 } else { (rows * width) as f64 / 1_048_576.0 };
    let above = peak - output;
    println!("{name:<30} {rows:>10} {output:>12.1} {above:>12.1}");
    if above > arguments.most {
        let most = arguments.most;
        return Err(format!("`{name}` needs {above:.1} MiB above its output, not {most}").into());
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
