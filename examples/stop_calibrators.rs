//! How long calibrators go on after an observer was asked to stop them.
//!
//! `cargo run --release --example stop_calibrators -- 10000000`, with the number of scores.
//!
//! Each calibrator is fitted once to its end, then stopped at ten times evenly spread over that time.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, CalibrationSet, Calibrator, HistogramBinning,
    IsotonicRegression, PlattScaling, QuadraticLogit, SplineCalibration, TemperatureScaling,
    VennAbers,
};
use imbalance::{Error, Run, Seed};

const REQUESTS: u32 = 10;

fn main() -> imbalance::Result<()> {
    let rows = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let uniform = |row: u64| Seed::new(row).child("uniform").value() as f64 / 2_f64.powi(64);
    let logits: Vec<f64> = (0..rows).map(|row| 10.0 * uniform(2 * row) - 8.0).collect();
    let labels: Vec<bool> = (0..rows)
        .zip(&logits)
        .map(|(row, z)| uniform(2 * row + 1) < 1.0 / (1.0 + (0.5 - 0.7 * z).exp()))
        .collect();
    let set = CalibrationSet::from_logits(&logits, &labels)?;
    println!("{rows} scores, {REQUESTS} requests; milliseconds from a request to the return\n");
    println!("| calibrator | whole fit | mean | longest |\n|---|---|---|---|");
    let calibrators: [(&str, BoxCalibrator); 11] = [
        ("Platt", PlattScaling::new().boxed()),
        ("temperature", TemperatureScaling::new().boxed()),
        ("beta", BetaCalibration::abm().boxed()),
        ("quadratic logit", QuadraticLogit::new().boxed()),
        ("spline", SplineCalibration::new().boxed()),
        ("spline, monotone", SplineCalibration::new().monotone(true).boxed()),
        ("beta CDF", BetaCdf.boxed()),
        ("isotonic", IsotonicRegression::new().boxed()),
        ("histogram", HistogramBinning::quantiles(20)?.boxed()),
        ("Venn–Abers", VennAbers.boxed()),
        ("isotonic, then Platt", IsotonicRegression::new().then(PlattScaling::new()).boxed()),
    ];
    for (name, calibrator) in calibrators {
        let fit = |request: Duration| {
            let (asked, stop) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::new(false)));
            let (at, flag) = (Arc::clone(&asked), Arc::clone(&stop));
            thread::spawn(move || {
                thread::sleep(request);
                let _ = at.set(Instant::now());
                flag.store(true, Ordering::Relaxed);
            });
            let run = Run::default().observed(move |_| match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            });
            let set = set.clone().with_run(&run);
            let result = calibrator.learn(&set);
            let end = Instant::now();
            match result {
                Err(Error::Cancelled { .. }) => {
                    Ok(asked.get().map(|&asked| (end - asked).as_secs_f64() * 1e3))
                }
                result => {
                    result.map(|_| asked.get().map(|&asked| (end - asked).as_secs_f64() * 1e3))
                }
            }
        };
        let begin = Instant::now();
        fit(Duration::from_secs(3600))?;
        let whole = begin.elapsed();
        let delays = (0..REQUESTS).map(|request| fit(whole * (2 * request + 1) / (2 * REQUESTS)));
        let delays: Vec<f64> =
            delays.collect::<imbalance::Result<Vec<_>>>()?.into_iter().flatten().collect();
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        let longest = delays.iter().copied().fold(0.0, f64::max);
        println!("| {name} | {:.0} | {mean:.0} | {longest:.0} |", whole.as_secs_f64() * 1e3);
    }
    Ok(())
}
