//! How much memory each sampler needs above its input and its output.
//!
//! `cargo run --release --example sampler_memory -- --rows 2000000 --columns 32`
//!
//! Reads the high-water mark of the process from `/proc/self/status`, so it runs on Linux. Each sampler
//! gets a process of its own, because memory that is freed is not given back at once.

use std::fs;
use std::process::Command;

use clap::Parser;
use imbalance::Error;
use imbalance::prelude::*;
use imbalance::sampling::{Band, Draw, PoissonHardNegatives, PoissonRuleSampler, Rule};

#[derive(Parser)]
struct Arguments {
    /// Rows of the log.
    #[arg(long, default_value_t = 2_000_000)]
    rows: usize,
    /// Numeric columns, `f32`.
    #[arg(long, default_value_t = 32)]
    columns: usize,
    /// Share of positives.
    #[arg(long, default_value_t = 0.01)]
    rate: f64,
    /// One sampler, by name; all of them if left out.
    #[arg(long)]
    sampler: Option<String>,
}

type Named = (&'static str, Box<dyn Sampler<f32>>);

/// Each sampler under its name. A new one is a line here.
fn samplers() -> Result<Vec<Named>, Error> {
    let pilot = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let engaged = || {
        let active = Rule::number("last_active_days").at_most(7.0);
        active.and(Rule::number("impressions").at_least(5.0))
    };
    let half = || RandomUnderSampler::rate(0.5);
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
    ])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let Some(name) = &arguments.sampler else {
        println!("{:<30} {:>10} {:>12} {:>12}", "sampler", "rows out", "output MiB", "above, MiB");
        for (name, _) in samplers()? {
            let mut child = Command::new(std::env::current_exe()?);
            child.args(std::env::args_os().skip(1)).args(["--sampler", name]);
            let status = child.status()?;
            if !status.success() {
                return Err(format!("`{name}` failed: {status}").into());
            }
        }
        return Ok(());
    };
    let known = samplers()?;
    let (_, sampler) = known
        .iter()
        .find(|(known, _)| known == name)
        .ok_or_else(|| format!("there is no sampler `{name}`"))?;
    let clicks = SyntheticClicks::new(arguments.rows, arguments.rate)?;
    let data = clicks.numeric(arguments.columns).categorical(&[]).generate::<f32>(7)?.dataset;

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
    println!("{name:<30} {rows:>10} {output:>12.1} {:>12.1}", peak - output);
    Ok(())
}

/// A line of `/proc/self/status`, in MiB.
fn status(key: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).ok_or("no such line")?;
    let number = line.split_whitespace().next().ok_or("no number")?;
    Ok(number.parse::<f64>()? / 1024.0)
}
