//! Clicks as rare events: plain and corrected fits side by side.
//!
//! ```sh
//! cargo run --release --example rare_events
//! ```
//!
//! The rows are the impressions of the Open Bandit log in the campaign `men` under the random policy:
//! 10,000 impressions, 46 clicks. The log is public and may be redistributed under the Apache License 2.0
//! (`examples/data/README.md` names the source and the changes). The program draws a case-control sample of
//! them, all clicks and one other impression in ten, and compares fits on the sample with fits on all rows.

use std::error::Error;
use std::path::Path;

use imbalance::Attribute;
use imbalance::Categories;
use imbalance::data::CsvReader;
use imbalance::model::{FittedRareEvents, RareEvents};
use imbalance::ndarray::Array2;
use imbalance::prelude::*;

const FEATURES: [&str; 3] = ["left", "centre", "item_feature_0"];

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/open_bandit.csv.gz");
    let table = CsvReader::new()
        .label("click")
        .attribute_numbers(["item_feature_0", "position"])
        .attribute_texts(["campaign", "policy"])
        .read(&file, &Run::default())?;
    let [campaign, policy] = [texts(&table, "campaign")?, texts(&table, "policy")?];
    let rows: Vec<usize> = (0..table.rows())
        .filter(|&i| campaign.get(i) == Some("men") && policy.get(i) == Some("random"))
        .collect();
    let [position, number] = [table.numbers("position")?, table.numbers("item_feature_0")?];
    let indicator = |i: usize, place: f64| f64::from(u8::from(position[i] == place));
    let x = Array2::from_shape_fn((rows.len(), FEATURES.len()), |(i, j)| match j {
        0 => indicator(rows[i], 1.0),
        1 => indicator(rows[i], 2.0),
        _ => number[rows[i]],
    });
    let labels: Vec<bool> = rows.iter().map(|&i| table.labels()[i]).collect();
    let all = Dataset::new(x, labels)?;
    let tau = all.totals().rate();

    println!("Open Bandit log (ZOZO, Inc.; Saito et al. 2020; Apache License 2.0)\n");
    let on_all = [
        fit("all rows: maximum likelihood", &RareEvents::new().maximum_likelihood(), &all)?,
        fit("all rows: bias correction", &RareEvents::new(), &all)?,
        fit("all rows: Firth", &RareEvents::new().firth(), &all)?,
    ];
    let sampled = RandomUnderSampler::rate(0.1)?.resample(&all, &Run::seeded(7))?.apply(&all)?;
    println!(
        "== A case-control sample: {} clicks, {} others\n",
        sampled.totals().positives,
        sampled.totals().negatives
    );
    let plain = || RareEvents::new().maximum_likelihood();
    let on_sample = [
        fit("sample: maximum likelihood, uncorrected", &plain(), &sampled)?,
        fit(
            "sample: prior correction, bias correction",
            &RareEvents::new().prior_correction(tau)?,
            &sampled,
        )?,
        fit("sample: weighting, bias correction", &RareEvents::new().weighting(tau)?, &sampled)?,
        fit(
            "sample: prior correction, Firth",
            &RareEvents::new().firth().prior_correction(tau)?,
            &sampled,
        )?,
    ];
    side_by_side(&on_all);
    side_by_side(&on_sample);
    Ok(())
}

fn texts<'t>(table: &'t Table, name: &str) -> imbalance::Result<&'t Categories<'static>> {
    match table.attribute(name)? {
        Attribute::Categories(texts) => Ok(texts),
        _ => Err(imbalance::Error::invalid("column", name, "a column of texts")),
    }
}

type Named = (&'static str, FittedRareEvents);

/// Fits and prints the summary.
fn fit(name: &'static str, model: &RareEvents, data: &Dataset<'_>) -> imbalance::Result<Named> {
    let fitted = model.fit(data, &LogLoss, &Run::default())?.with_feature_names(FEATURES)?;
    println!("== {name}\n{fitted}\n");
    Ok((name, fitted))
}

/// Estimates with standard errors, a column per fit.
fn side_by_side(fits: &[Named]) {
    for (number, (name, _)) in fits.iter().enumerate() {
        println!("({}) {name}", number + 1);
    }
    let heading: String = (1..=fits.len()).map(|n| format!("{:>20}", format!("({n})"))).collect();
    println!("{:16}{heading}", "");
    for (j, name) in fits[0].1.inference().names().iter().enumerate() {
        let cells: String = fits
            .iter()
            .map(|(_, fitted)| {
                let inference = fitted.inference();
                let error = inference.standard_errors()[j];
                format!("{:>20}", format!("{:.4} ({error:.4})", inference.estimates()[j]))
            })
            .collect();
        println!("{name:16}{cells}");
    }
    println!();
}
