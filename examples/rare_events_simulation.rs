//! Bias and coverage of the estimators for rare events, by simulation.
//!
//! ```sh
//! cargo run --release --example rare_events_simulation
//! cargo run --release --example rare_events_simulation -- --replications 100
//! cargo run --release --example rare_events_simulation -- --write docs/evidence/rare_events.md
//! ```
//!
//! Two tables: the bias of maximum likelihood, King & Zeng's corrections and Firth's likelihood, and the share
//! of their 95 % intervals that contain the truth, both on rows drawn at random and on case-control samples
//! of a known population. With `--write` they replace the old tables in a file, between two marker lines.

mod options;
#[path = "rare_events_study/mod.rs"]
mod study;

use std::error::Error;
use std::fmt::Write;
use std::path::PathBuf;

use imbalance::Seed;
use options::options;
use study::{TRUTH, bias_studies, coverage_studies, mean, population_rate};

/// The marker lines around the tables in a file.
const BEGIN: &str = "<!-- tables by rare_events_simulation -->\n";
const END: &str = "<!-- end of tables -->\n";

struct Arguments {
    replications: u64,
    seed: u64,
    write: Option<PathBuf>,
}

const USAGE: &str = "\
Bias and coverage of the estimators for rare events.

  --replications N  replications for the table of coverage; the table of bias has five times as many [4000]
  --seed N          seed of all randomness [7]
  --write FILE      the file whose tables are replaced";

impl Arguments {
    fn read() -> Self {
        options(USAGE, |arguments| {
            Ok(Self {
                replications: arguments.opt_value_from_str("--replications")?.unwrap_or(4000),
                seed: arguments.opt_value_from_str("--seed")?.unwrap_or(7),
                write: arguments.opt_value_from_str("--write")?,
            })
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let text = tables(&arguments)?;
    print!("{text}");
    if let Some(file) = &arguments.write {
        let old = std::fs::read_to_string(file)?;
        let parts = old
            .split_once(BEGIN)
            .and_then(|(before, rest)| rest.split_once(END).map(|(_, after)| (before, after)));
        let Some((before, after)) = parts else {
            return Err(format!("{} has no lines `{BEGIN}` and `{END}`", file.display()).into());
        };
        std::fs::write(file, format!("{before}{BEGIN}\n{text}\n{END}{after}"))?;
    }
    Ok(())
}

fn tables(arguments: &Arguments) -> Result<String, Box<dyn Error>> {
    let seed = Seed::new(arguments.seed);
    let heading = "slope 1 | slope 2 | intercept |\n|---|---:|---:|---:|\n";
    let mut text = String::new();
    writeln!(text, "Truth: slopes {} and {}, intercept {};", TRUTH[0], TRUTH[1], TRUTH[2])?;
    writeln!(text, "population's rate {:.6}; seed {}.\n", population_rate(), arguments.seed)?;

    let replications = 5 * arguments.replications;
    writeln!(text, "**Bias**, mean ± standard error of {replications} replications\n")?;
    for study in bias_studies()? {
        write!(text, "| {} | {heading}", study.design.name())?;
        let errors = study.errors(replications, seed.child("bias"))?;
        for ((name, _), errors) in study.methods.iter().zip(errors) {
            write!(text, "| {name} |")?;
            for j in 0..TRUTH.len() {
                let (bias, noise) = mean(errors.iter().map(|error| error[j]));
                write!(text, " {bias:+.4} ± {noise:.4} |")?;
            }
            writeln!(text)?;
        }
        writeln!(text)?;
    }

    let replications = arguments.replications;
    let noise = 100.0 * (0.95 * 0.05 / replications as f64).sqrt();
    writeln!(
        text,
        "**Coverage** of 95 % intervals in {replications} replications (standard error {noise:.2} %); \
         \\* with\nKing & Zeng's own covariance\n"
    )?;
    for study in coverage_studies()? {
        write!(text, "| {} | {heading}", study.design.name())?;
        let shares = study.coverage(replications, seed.child("coverage"))?;
        for ((name, _), shares) in study.methods.iter().zip(shares) {
            let cells = shares.map(|share| format!("{:.2} %", 100.0 * share)).join(" | ");
            writeln!(text, "| {} | {cells} |", name.replace('*', "\\*"))?;
        }
        writeln!(text)?;
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    Ok(text)
}
