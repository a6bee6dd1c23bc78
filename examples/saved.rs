//! Trains in this process, saves, and scores in another process that only loads: the same bits, for every model and
//! every calibration and every encoding. Prints the size of the file and the time it takes to load.
//!
//! ```text
//! cargo run --release --example saved -- --rows 1000000
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs, process};

use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, Clip, HistogramBinning, IsotonicRegression,
    QuadraticLogit, SplineCalibration, TemperatureScaling, Uncalibrated, VennAbers,
};
use imbalance::data::{
    Bins, DatePart, DateParts, Encoding, NumberForm, OneHot, Ordinal, TargetEncoding,
};
use imbalance::model::{BoxModel, FtrlProximal, RareEvents};
use imbalance::prelude::*;
use imbalance::saved::Saved;
use imbalance::{Attribute, DynFittedPipeline, Scorer};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Rows to train on.
const TRAIN: usize = 20_000;

/// The rows to score, the same in both processes.
fn rows(n: usize, seed: u64) -> Outcome<Dataset<'static>> {
    let clicks = SyntheticClicks::new(n, 0.02)?.numeric(4).categorical(&[]);
    Ok(clicks.generate(seed)?.dataset)
}

/// Raw rows, the same in both processes: numbers, of which some are missing, texts and times.
fn table(n: usize, seed: u64) -> Outcome<Table> {
    let draw = |i: usize| {
        Seed::new(seed).child("row").value() ^ (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let draw = |i: usize, below: u64| (draw(i).wrapping_mul(0xd134_2543_de82_ef95) >> 33) % below;
    let rows = 0..n;
    let price = |i| draw(3 * i, 10_000) as f64 * 0.01 - 10.0;
    let age = |i| if draw(3 * i, 9) == 0 { f64::NAN } else { draw(5 * i, 80) as f64 };
    let table =
        Table::new(rows.clone().map(|i| draw(7 * i, 100) < 2 + draw(i, 4)).collect::<Vec<_>>())?
            .with_numeric("price", rows.clone().map(price).collect::<Vec<_>>())?
            .with_numeric("age", rows.clone().map(age).collect::<Vec<_>>())?
            .with_categorical("country", rows.clone().map(|i| format!("c{}", draw(i, 12))))?
            .with_categorical(
                "shop",
                rows.clone().map(|i| format!("shop {}", draw(11 * i, 3_000))),
            )?;
    let times = rows.map(|i| 1.7e9 + 60.0 * i as f64);
    Ok(table.with_attribute("time", Attribute::numbers(times.collect::<Vec<_>>()))?)
}

fn encoders() -> Outcome<Vec<(&'static str, Encoder)>> {
    let only = Encoder::only;
    let parts = DateParts::new([DatePart::Hour, DatePart::Weekday])?;
    Ok(vec![
        ("numbers", only().columns(["price", "age"], NumberForm::Standardised)),
        ("plain numbers", only().columns(["price", "age"], NumberForm::Plain)),
        ("logarithms", only().columns(["price", "age"], NumberForm::Log)),
        ("bins", only().columns(["price", "age"], Bins::quantiles(10)?)),
        ("one-hot", only().column("country", OneHot::new().drop_first(true))),
        ("ordinal", only().columns(["country", "shop"], Ordinal::new())),
        ("frequency", only().columns(["country", "shop"], Encoding::Frequency)),
        ("target", only().columns(["country", "shop"], TargetEncoding::new())),
        ("crossed", only().cross(["country", "shop"], TargetEncoding::new())),
        ("hashed to 2^18", Encoder::hashing(18)?.date("time", parts.clone().cyclic(true))),
        ("dates", only().date("time", parts)),
    ])
}

fn models() -> Outcome<Vec<(&'static str, BoxModel)>> {
    Ok(vec![
        ("logistic", LogisticRegression::new().boxed()),
        ("rare events", RareEvents::new().corrected_probabilities(true).boxed()),
        ("ftrl", FtrlProximal::new().boxed()),
        #[cfg(feature = "gbdt")]
        ("200 trees", imbalance::model::BoostedTrees::new().trees(200)?.boxed()),
    ])
}

fn calibrators() -> Outcome<Vec<(&'static str, BoxCalibrator)>> {
    let prior = PriorCorrection::new;
    Ok(vec![
        ("none", Uncalibrated.boxed()),
        ("prior", prior().boxed()),
        ("platt", PlattScaling::new().boxed()),
        ("temperature", TemperatureScaling::new().boxed()),
        ("beta", BetaCalibration::abm().boxed()),
        ("beta cdf", BetaCdf.boxed()),
        ("quadratic", QuadraticLogit::new().boxed()),
        ("spline", SplineCalibration::new().boxed()),
        ("isotonic", IsotonicRegression::new().boxed()),
        ("histogram", HistogramBinning::quantiles(20)?.boxed()),
        ("venn-abers", VennAbers.boxed()),
        ("clip, platt", Clip::new(1e-6)?.then(PlattScaling::new()).boxed()),
        ("prior, isotonic", prior().then(IsotonicRegression::new()).boxed()),
    ])
}

/// A number that two sets of probabilities share only if all their bits are equal, up to a chance of 2⁻⁶⁴.
fn fingerprint(probabilities: &[f64]) -> String {
    let mix = |sum: u64, p: &f64| Seed::new(sum ^ p.to_bits()).child("p").value();
    format!("{:016x}", probabilities.iter().fold(0, mix))
}

/// Microseconds to load a file, and the bytes of what it holds in the compact form.
fn load<T: Saved>(file: &Path) -> Outcome<(f64, usize)> {
    let start = Instant::now();
    let loaded = T::load(file)?;
    Ok((start.elapsed().as_secs_f64() * 1e6, loaded.to_bytes()?.len()))
}

fn main() -> Outcome<()> {
    let mut args = pico_args::Arguments::from_env();
    let n: usize = args.opt_value_from_str("--rows")?.unwrap_or(1_000_000);
    if let Some(folder) = args.opt_value_from_str::<_, PathBuf>("--score")? {
        let (data, table) = (rows(n, 8)?, table(n, 8)?);
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let p = match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => DynFittedPipeline::load(&path)?.probabilities(data.features())?,
                Some("scorer") => Scorer::load(&path)?.probabilities(&table)?,
                _ => continue,
            };
            fs::write(path.with_extension("bits"), fingerprint(&p))?;
        }
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let (train, data) = (rows(TRAIN, 7)?, rows(n, 8)?);
    let mut saved = Vec::new();
    for (m, (model, _)) in models()?.iter().enumerate() {
        for (calibration, calibrator) in calibrators()? {
            let own = models()?.swap_remove(m).1;
            let sampler = RandomUnderSampler::negatives_per_positive(10.0)?;
            let pipeline = Pipeline::new(own).sampler(sampler).calibrator(calibrator).seed(7);
            let fitted = pipeline.fit(&train)?;
            let file = folder.path().join(format!("{}.json", saved.len()));
            fitted.save(&file)?;
            let expected = fingerprint(&fitted.probabilities(data.features())?);
            saved.push((format!("{model}, {calibration}"), file, expected));
        }
    }
    let (train, data) = (table(TRAIN, 7)?, table(n, 8)?);
    for (encoding, encoder) in encoders()? {
        let (encoder, rows) = encoder.fit_encode(&train, 7)?;
        let pipeline = Pipeline::new(LogisticRegression::new().l2(1.0)?)
            .sampler(RandomUnderSampler::negatives_per_positive(10.0)?)
            .calibrator(PriorCorrection::new());
        let scorer = Scorer::new(encoder, pipeline.seed(7).fit(&rows)?)?;
        let file = folder.path().join(format!("{}.scorer", saved.len()));
        scorer.save(&file)?;
        let expected = fingerprint(&scorer.probabilities(&data)?);
        saved.push((format!("scorer, {encoding}"), file, expected));
    }
    let child = Command::new(env::current_exe()?)
        .args(["--rows", &n.to_string(), "--score"])
        .arg(folder.path())
        .status()?;
    if !child.success() {
        return Err("the process that loads has failed".into());
    }
    println!("{n} rows scored by a process that loads\n");
    println!(
        "{:<30} {:>10} {:>12} {:>12}  bits",
        "pipeline", "file, kB", "load, µs", "compact, kB"
    );
    let mut different = 0;
    for (name, file, expected) in &saved {
        let kilobytes = fs::metadata(file)?.len() as f64 / 1e3;
        let is_scorer = file.extension().is_some_and(|extension| extension == "scorer");
        let (micros, compact) =
            if is_scorer { load::<Scorer>(file)? } else { load::<DynFittedPipeline>(file)? };
        let compact = compact as f64 / 1e3;
        let same = fs::read_to_string(file.with_extension("bits"))? == *expected;
        different += usize::from(!same);
        let word = if same { "same" } else { "DIFFERENT" };
        println!("{name:<30} {kilobytes:>10.1} {micros:>12.0} {compact:>12.1}  {word}");
    }
    if different > 0 {
        eprintln!("{different} of {} differ", saved.len());
        process::exit(1);
    }
    println!("\nall {} the same", saved.len());
    Ok(())
}
