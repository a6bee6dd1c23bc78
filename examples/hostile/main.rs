//! Hostile inputs at every public entry point: NaN, infinities, subnormals, 1e308, no rows, one row, one class,
//! constant columns, repeated rows, weights and offsets of any size, 2³¹ columns and more, lengths that differ.
//!
//! Each cell is one call on one input. Its outcome is a value, a typed error, a panic, or a NaN inside a value; the
//! last two are faults, and the program ends with exit code 1 if there is one.
//!
//! ```sh
//! cargo run --profile test --example hostile                # about a minute
//! cargo run --profile test --example hostile -- --every 1   # all cells
//! ```

#![allow(clippy::type_complexity)] // Tables of functions.

#[path = "../combinations/mod.rs"]
#[allow(dead_code)] // What theory promises for a combination is not asked here.
mod combinations;
mod readers;
mod rows;
mod scores;
mod settings;
mod stages;
mod tally;

use std::process::ExitCode;

use tally::Tally;

fn main() -> ExitCode {
    let mut args = pico_args::Arguments::from_env();
    let every = args.opt_value_from_str("--every").expect("a number of cells").unwrap_or(7);
    let only: Option<String> = args.opt_value_from_str("--only").expect("the name of a part");
    let parts: [(&str, fn(&mut Tally)); 11] = [
        ("rows and splits", rows::drive),
        ("samplers", stages::samplers),
        ("models", stages::models),
        ("boosted trees", stages::trees),
        ("pipelines", stages::pipelines),
        ("pictures", stages::pictures),
        ("calibrators", scores::calibrators),
        ("metrics", scores::metrics),
        ("readers", readers::drive),
        ("settings", settings::drive),
        ("many columns", stages::many_columns),
    ];
    tally::silence_panics();
    println!(
        "{:16}{:>9}{:>9}{:>9}{:>8}{:>6}{:>7}",
        "", "cells", "values", "errors", "panics", "NaN", "sec."
    );
    let mut all = Tally::new(every);
    for (name, part) in
        parts.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|o| o == *name))
    {
        let mut tally = Tally::new(every);
        part(&mut tally);
        tally.print(name);
        all.merge(tally);
    }
    all.print("total");
    all.print_faults();
    if all.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
