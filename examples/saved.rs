//! Trains in this process, saves, and scores in another process that only loads: the same bits, for every model and
//! every calibration. Prints the size of the file and the time it takes to load.
//!
//! ```text
//! cargo run --release --example saved -- --rows 1000000
//! ```

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use std::{env, fs, process};

use imbalance::DynFittedPipeline;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, Clip, HistogramBinning, IsotonicRegression,
    QuadraticLogit, SplineCalibration, TemperatureScaling, Uncalibrated, VennAbers,
};
use imbalance::model::{BoxModel, FtrlProximal, RareEvents};
use imbalance::prelude::*;
use imbalance::saved::Saved;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Rows to train on.
const TRAIN: usize = 20_000;

/// The rows to score, the same in both processes.
fn rows(n: usize, seed: u64) -> Outcome<Dataset<'static>> {
    let clicks = SyntheticClicks::new(n, 0.02)?.numeric(4).categorical(&[]);
    Ok(clicks.generate(seed)?.dataset)
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

fn main() -> Outcome<()> {
    let mut args = pico_args::Arguments::from_env();
    let n: usize = args.opt_value_from_str("--rows")?.unwrap_or(1_000_000);
    if let Some(folder) = args.opt_value_from_str::<_, PathBuf>("--score")? {
        let data = rows(n, 8)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let p = DynFittedPipeline::load(&path)?.probabilities(data.features())?;
                fs::write(path.with_extension("bits"), fingerprint(&p))?;
            }
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
        let start = Instant::now();
        let loaded = DynFittedPipeline::load(file)?;
        let micros = start.elapsed().as_secs_f64() * 1e6;
        let compact = loaded.to_bytes()?.len() as f64 / 1e3;
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
