//! Boosted trees on CSV files: the log loss on test rows, beside that of the base rate.
//!
//! `cargo run --release --features csv,gbdt --example boosted_trees -- --train train.csv --test test.csv`
//!
//! The column `label` holds 0 and 1, all other columns are numbers. `benches/peers/trees.py` calls it for several data
//! sets, beside scikit-learn.

mod options;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Instant;

use imbalance::metrics::{log_loss, predicted_over_observed, roc_auc};
use imbalance::model::BoostedTrees;
use imbalance::prelude::*;
use options::options;

const USAGE: &str = "\
Boosted trees on CSV files with a column `label`.

  --train FILE     training rows
  --test FILE      test rows
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [train, test]: [String; 2] = options(USAGE, |arguments| {
        Ok([arguments.value_from_str("--train")?, arguments.value_from_str("--test")?])
    });
    let mut header = String::new();
    BufReader::new(File::open(&train)?).read_line(&mut header)?;
    let names = header.trim().split(',').filter(|&name| name != "label");
    let reader = CsvReader::new().label("label").numeric(names);
    let run = Run::seeded(7);
    let (train, test) = (reader.read(train, &run)?, reader.read(test, &run)?);
    let encoder = Encoder::hashing(1)?.fit(&train)?;
    let (train, test) = (encoder.encode(&train)?, encoder.encode(&test)?);

    let start = Instant::now();
    let fitted = Pipeline::new(BoostedTrees::new()).seed(7).fit(&train)?;
    let seconds = start.elapsed().as_secs_f64();
    let p = fitted.probabilities(test.features())?;
    let labels = test.labels();
    let constant = vec![train.totals().rate(); labels.len()];
    println!("{}", fitted.report().model);
    println!(
        "log loss {:.5}, of the base rate {:.5}; AUC {:.4}; predicted / observed {:.4}; {seconds:.2} s",
        log_loss(labels, &p, None)?,
        log_loss(labels, &constant, None)?,
        roc_auc(labels, &p, None)?,
        predicted_over_observed(labels, &p, None)?,
    );
    Ok(())
}
