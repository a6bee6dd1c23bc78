//! t
use imbalance::calibration::*;
use std::time::Instant;
fn best<T>(name: &str, k: usize, mut f: impl FnMut() -> T) -> T {
    let mut out = None;
    let mut least = f64::INFINITY;
    for _ in 0..k {
        let a = Instant::now();
        out = Some(f());
        least = least.min(a.elapsed().as_secs_f64());
    }
    println!("{name:28} {:9.2} ms", least * 1e3);
    out.unwrap()
}
fn main() {
    let bytes = std::fs::read("/tmp/calwork/z.f64").unwrap();
    let z: Vec<f64> =
        bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
    let y: Vec<bool> =
        std::fs::read("/tmp/calwork/y.u8").unwrap().iter().map(|&b| b != 0).collect();
    let p: Vec<f64> = z.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
    let scored = Scored::from_logits(&z, &y).unwrap();
    let cases: Vec<(&str, BoxCalibrator)> = vec![
        ("isotonic", IsotonicRegression::new().boxed()),
        ("platt", PlattScaling::new().boxed()),
        ("platt p", PlattScaling::new().on_probabilities().boxed()),
        ("abm", BetaCalibration::abm().boxed()),
        ("am", BetaCalibration::am().boxed()),
        ("ab", BetaCalibration::ab().boxed()),
        ("temperature", TemperatureScaling::new().boxed()),
        ("histogram", HistogramBinning::quantiles(100).unwrap().boxed()),
        ("venn", VennAbers::new().boxed()),
        ("cdf", BetaCdf::new().boxed()),
    ];
    let only = std::env::args().nth(1);
    let mut out = vec![0.0; z.len()];
    for (name, c) in &cases {
        if only.as_ref().is_some_and(|o| o != name) {
            continue;
        }
        let k = if *name == "cdf" { 1 } else { 4 };
        let map = best(&format!("{name} fit"), k, || c.fit(&scored).unwrap());
        best(&format!("{name} predict"), 6, || map.probabilities(&z).unwrap());
        best(&format!("{name} into"), 6, || map.probabilities_into(&z, &mut out).unwrap());
        best(&format!("{name} predict_of"), 6, || map.probabilities_of(&p).unwrap());
        println!("   {}", map.describe());
    }
    best("logits_of", 4, || Scored::from_probabilities(&p, &y).unwrap());
}
