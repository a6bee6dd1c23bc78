//! This crate's side of a comparison with its peers; `peers.py` beside this file is the other, and starts
//! this program.
//!
//! Started with a folder of arrays and a group of tasks, it loads the arrays, then reads the name of a
//! task a line, runs it, and answers with the seconds it took and a number by which the peers check that
//! the same was computed. So both sides can take turns on the same arrays, and loading is not timed.
#![allow(clippy::print_stdout, reason = "the answers go to standard output")]

use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use imbalance::Features;
use imbalance::calibration::{
    BetaCalibration, BoxCalibrator, CalibrationSet, Calibrator, IsotonicRegression, PlattScaling,
};
use imbalance::loss::LogLoss;
use imbalance::metrics::{average_precision, log_loss, roc_auc};
use imbalance::model::FtrlProximal;
use imbalance::ndarray::{Array2, ArrayView1};
use imbalance::prelude::*;
use imbalance::sampling::Smote;
use imbalance::sprs::CsMat;

type Outcome<T> = Result<T, Box<dyn Error>>;
/// A task: what is timed. It returns numbers, whose sum is compared.
type Task = Box<dyn Fn() -> Outcome<Vec<f64>>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [folder, group] = arguments.as_slice() else {
        println!("nothing to do here; the comparison is: python benches/peers/peers.py");
        return Ok(());
    };
    let folder = Path::new(folder);
    let tasks = match group.as_str() {
        "sampling" => sampling(folder)?,
        "dense" => logistic(dense(folder, "x", 32)?, &labels(folder, "y")?)?,
        "sparse" => logistic(sparse(folder)?, &labels(folder, "y")?)?,
        "ftrl" => ftrl(sparse(folder)?, labels(folder, "y")?)?,
        "calibration" => calibration(folder)?,
        "metrics" => metrics(folder)?,
        other => return Err(format!("there is no group {other}").into()),
    };
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let task = tasks.iter().find(|task| task.0 == line);
        let (_, task) = task.ok_or_else(|| format!("there is no task {line}"))?;
        let start = Instant::now();
        let values = task()?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{seconds} {:e}", ArrayView1::from(&values).sum());
    }
    Ok(())
}

fn sampling(folder: &Path) -> Outcome<Vec<(String, Task)>> {
    let mut tasks: Vec<(String, Task)> = Vec::new();
    for (name, columns) in
        [("smote 20000x32", 32), ("smote 10000x8", 8), ("smote 20000x8", 8), ("smote 200000x8", 8)]
    {
        let x: Features<'static> = dense(folder, name, columns)?.into();
        let data = Dataset::new(x, labels(folder, &format!("{name} y"))?)?;
        let sampler = Smote::positives_per_negative(1.0)?.neighbours(5)?;
        tasks.push((name.into(), resample(data, sampler)));
    }
    let data = Dataset::new(dense(folder, "x", 32)?, labels(folder, "y")?)?;
    let sampler = RandomUnderSampler::negatives_per_positive(10.0)?;
    tasks.push(("under-sampling 1000000x32".into(), resample(data, sampler)));
    Ok(tasks)
}

/// Choosing, making and gathering rows. The number: rows in the result.
fn resample(data: Dataset<'static>, sampler: impl Sampler + 'static) -> Task {
    Box::new(move || {
        let resampled = sampler.resample(&data, &Run::seeded(7))?.apply(&data)?;
        Ok(vec![black_box(resampled).rows() as f64])
    })
}

/// The number: the objective that was reached.
fn logistic(x: impl Into<Features<'static>>, y: &[bool]) -> Outcome<Vec<(String, Task)>> {
    let data = Dataset::new(x, y.to_vec())?;
    let model = LogisticRegression::new().l2(1.0)?;
    let fit = move || {
        let fitted = model.fit(&data, &LogLoss, &Run::default())?;
        Ok(vec![fitted.diagnostics().objective])
    };
    Ok(vec![("fit".into(), Box::new(fit))])
}

/// The number: the progressive log loss.
fn ftrl(x: CsMat<f64>, y: Vec<bool>) -> Outcome<Vec<(String, Task)>> {
    let data = Dataset::new(x, y)?;
    let pass = move || {
        let mut learner = FtrlProximal::new().learner(data.columns(), LogLoss)?;
        learner.partial_fit(&data)?;
        Ok(vec![learner.validation().log_loss().unwrap_or(f64::NAN)])
    };
    Ok(vec![("pass".into(), Box::new(pass))])
}

/// The numbers: of a fit, the log loss of the map on its rows; of a prediction, all of it.
fn calibration(folder: &Path) -> Outcome<Vec<(String, Task)>> {
    let p = Arc::new(numbers(folder, "scores")?);
    let logits = Arc::new(p.iter().map(|p| (p / (1.0 - p)).ln()).collect::<Vec<_>>());
    let y = Arc::new(labels(folder, "scores y")?);
    let calibrators: [(&str, BoxCalibrator); 5] = [
        ("isotonic", IsotonicRegression::new().boxed()),
        ("platt", PlattScaling::new().boxed()),
        ("beta abm", BetaCalibration::abm().boxed()),
        ("beta am", BetaCalibration::am().boxed()),
        ("beta ab", BetaCalibration::ab().boxed()),
    ];
    let mut tasks: Vec<(String, Task)> = Vec::new();
    for (name, calibrator) in calibrators {
        // The peers' Platt scaling is given logits, the others probabilities.
        let on_logits = name == "platt";
        let scores = if on_logits { logits.clone() } else { p.clone() };
        let y = y.clone();
        let given = scores.clone();
        let fit = move || {
            let scored = if on_logits {
                CalibrationSet::from_logits(&given[..], &y[..])?
            } else {
                CalibrationSet::from_probabilities(&given[..], &y[..])?
            };
            Ok::<_, Box<dyn Error>>(calibrator.learn(&scored)?)
        };
        let map = fit()?;
        let fit = move || Ok(fit()?.report().iter().map(|report| report.after.log_loss).collect());
        let predict = move || {
            Ok(if on_logits { map.probabilities(&scores)? } else { map.probabilities_of(&scores)? })
        };
        tasks.push((format!("{name} fit"), Box::new(fit)));
        tasks.push((format!("{name} predict"), Box::new(predict)));
    }
    Ok(tasks)
}

fn metrics(folder: &Path) -> Outcome<Vec<(String, Task)>> {
    let (p, y) = (Arc::new(numbers(folder, "p")?), Arc::new(labels(folder, "p y")?));
    type Metric = fn(&[bool], &[f64], Option<&[f64]>) -> imbalance::Result<f64>;
    let metrics: [(&str, Metric); 3] =
        [("roc auc", roc_auc), ("average precision", average_precision), ("log loss", log_loss)];
    let task = |(name, metric): (&str, Metric)| {
        let (p, y) = (p.clone(), y.clone());
        let task: Task = Box::new(move || Ok(vec![metric(&y, &p, None)?]));
        (name.to_owned(), task)
    };
    Ok(metrics.map(task).into())
}

fn bytes(folder: &Path, name: &str) -> Outcome<Vec<u8>> {
    Ok(std::fs::read(folder.join(format!("{name}.bin")))?)
}

/// `f64`, little-endian.
fn numbers(folder: &Path, name: &str) -> Outcome<Vec<f64>> {
    let bytes = bytes(folder, name)?;
    let (words, _) = bytes.as_chunks();
    Ok(words.iter().map(|word| f64::from_le_bytes(*word)).collect())
}

/// `u64`, little-endian.
fn integers(folder: &Path, name: &str) -> Outcome<Vec<usize>> {
    let bytes = bytes(folder, name)?;
    let (words, _) = bytes.as_chunks();
    Ok(words.iter().map(|word| u64::from_le_bytes(*word) as usize).collect())
}

/// A byte a row, 0 or 1.
fn labels(folder: &Path, name: &str) -> Outcome<Vec<bool>> {
    Ok(bytes(folder, name)?.iter().map(|&label| label == 1).collect())
}

fn dense(folder: &Path, name: &str, columns: usize) -> Outcome<Array2<f64>> {
    let values = numbers(folder, name)?;
    Ok(Array2::from_shape_vec((values.len() / columns, columns), values)?)
}

/// A million rows of 20 hashed columns of 2²⁰.
fn sparse(folder: &Path) -> Outcome<CsMat<f64>> {
    let starts = integers(folder, "sparse starts")?;
    let shape = (starts.len() - 1, 1 << 20);
    let columns = integers(folder, "sparse columns")?;
    let matrix = CsMat::try_new(shape, starts, columns, numbers(folder, "sparse values")?);
    Ok(matrix.map_err(|(.., error)| error)?)
}
