//! How often intervals at 95 % leave out the truth when there are few positives: of coefficients, of predicted / observed
//! and of average precision.
//!
//! `cargo run --release --example few_events_intervals -- 2000`, with the number of samples for each row of the table.

use imbalance::loss::LogLoss;
use imbalance::metrics::Bootstrap;
use imbalance::model::logistic::{Covariance, Inference};
use imbalance::model::{FittedRareEvents, RareEvents};
use imbalance::ndarray::Array2;
use imbalance::numerics::sigmoid;
use imbalance::prelude::*;

const ROWS: usize = 500;
/// Coefficients of a normal column and of an indicator of half the rows.
const SLOPES: [f64; 2] = [1.0, 0.7];
const NEGATIVES: usize = 300;
/// Shift of the normal scores of positives: an AUC of 0.8.
const SHIFT: f64 = 1.190_232_3;

/// Uniform and normal numbers from a counter.
struct Stream(Seed, u64);

impl Stream {
    fn uniform(&mut self) -> f64 {
        self.1 += 1;
        (Seed::new(self.0.value() ^ self.1).child("u").value() >> 11) as f64 / 2_f64.powi(53)
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// The intercept with which this many positives are expected.
fn intercept(positives: f64) -> f64 {
    let expected = |b: f64| {
        let steps = (-400..400).map(|i| f64::from(i) * 0.02 + 0.01);
        let density = |x: f64| 0.02 * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let rate = |x: f64, u: f64| sigmoid(b + SLOPES[0] * x + SLOPES[1] * u);
        let mean: f64 = steps.map(|x| density(x) * 0.5 * (rate(x, 0.0) + rate(x, 1.0))).sum();
        mean * ROWS as f64
    };
    let (mut low, mut high) = (-30.0, 5.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if expected(middle) < positives { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// ∫ precision d recall in the population, with these positives for 300 negatives.
fn average_precision(positives: f64) -> f64 {
    // Of a normal number, the mass above t, by its density on a grid.
    let grid: Vec<f64> = (0..20_000).map(|i| 10.0 - f64::from(i) * 0.001).collect();
    let density = |x: f64| 0.001 * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let (mut found, mut flagged, mut area) = (0.0, 0.0, 0.0);
    for t in grid {
        let more = density(t - SHIFT);
        found += 0.5 * more;
        flagged += 0.5 * density(t);
        let precision = positives * found / (positives * found + NEGATIVES as f64 * flagged);
        area += precision * more;
        found += 0.5 * more;
        flagged += 0.5 * density(t);
    }
    area
}

/// Misses of each interval, and samples in which there was an interval.
#[derive(Default, Clone, Copy)]
struct Count(u32, u32);

impl Count {
    fn add(&mut self, interval: Option<[f64; 2]>, truth: f64) {
        if let Some([low, high]) = interval {
            self.0 += u32::from(!(low <= truth && truth <= high));
            self.1 += 1;
        }
    }

    /// Percent of misses, with percent of samples without an interval.
    fn text(self, samples: u32) -> String {
        let missed = 100.0 * f64::from(self.0) / f64::from(self.1.max(1));
        match samples - self.1 {
            0 => format!("{missed:.1}"),
            none => format!("{missed:.1} ({:.0})", 100.0 * f64::from(none) / f64::from(samples)),
        }
    }
}

fn main() -> imbalance::Result<()> {
    let samples: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1000);
    println!(
        "Percent of {samples} samples in which an interval misses; in brackets percent of samples without one.\n"
    );
    println!(
        "| positives | MLE, Wald | bias-corrected, Wald | Firth, Wald | Firth, profile | pred./obs. | average precision |"
    );
    println!("|---|---|---|---|---|---|---|");
    for positives in [1_u32, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60] {
        let mut counts = [Count::default(); 10];
        let b = intercept(f64::from(positives));
        let truth = average_precision(f64::from(positives));
        for sample in 0..samples {
            let mut stream = Stream(Seed::new(u64::from(positives)), u64::from(sample) << 32);
            coefficients(b, &mut stream, &mut counts[..8])?;
            metrics(positives as usize, truth, (b, sample), &mut stream, &mut counts[8..])?;
        }
        let cells: Vec<String> = counts.iter().map(|count| count.text(samples)).collect();
        let pairs = cells[..8].chunks(2).map(|pair| pair.join(", "));
        let all: Vec<String> = pairs.chain(cells[8..].iter().cloned()).collect();
        println!("| {positives} | {} |", all.join(" | "));
    }
    Ok(())
}

fn drawn(b: f64, stream: &mut Stream) -> (Array2<f64>, Vec<f64>, Vec<bool>) {
    let mut x = Array2::zeros((ROWS, 2));
    let (mut p, mut labels) = (Vec::new(), Vec::new());
    for mut row in x.rows_mut() {
        (row[0], row[1]) = (stream.normal(), f64::from(u8::from(stream.uniform() < 0.5)));
        p.push(sigmoid(b + SLOPES[0] * row[0] + SLOPES[1] * row[1]));
        labels.push(stream.uniform() < p[p.len() - 1]);
    }
    (x, p, labels)
}

/// Both slopes by each method.
fn coefficients(b: f64, stream: &mut Stream, counts: &mut [Count]) -> imbalance::Result<()> {
    let (x, _, labels) = drawn(b, stream);
    let data = Dataset::new(&x, labels)?;
    let run = Run::default();
    let likelihood = LogisticRegression::new()
        .l2(0.0)?
        .fit(&data, &LogLoss, &run)
        .and_then(|fitted| fitted.inference(&data, &LogLoss, Covariance::Fisher));
    let corrected = RareEvents::new().fit(&data, &LogLoss, &run);
    let firth = RareEvents::new().firth_with_intervals(Some(0.95))?.fit(&data, &LogLoss, &run);
    let wald = |inference: &Inference, j: usize| {
        inference.intervals(0.95).ok().map(|intervals| intervals[j])
    };
    for (j, truth) in SLOPES.into_iter().enumerate() {
        let likelihood = likelihood.as_ref().ok();
        counts[j].add(likelihood.and_then(|found| wald(found, j)), truth);
        let corrected = corrected.as_ref().ok();
        counts[2 + j].add(corrected.and_then(|fitted| wald(fitted.inference(), j)), truth);
        let firth = firth.as_ref().ok().map(FittedRareEvents::inference);
        counts[4 + j].add(firth.and_then(|inference| wald(inference, j)), truth);
        let profile = firth.and_then(|inference| inference.profile_intervals());
        counts[6 + j].add(profile.map(|intervals| intervals[j]), truth);
    }
    Ok(())
}

/// Predicted / observed of the true probabilities, and average precision.
fn metrics(
    positives: usize,
    truth: f64,
    (b, sample): (f64, u32),
    stream: &mut Stream,
    counts: &mut [Count],
) -> imbalance::Result<()> {
    let bootstrap = Bootstrap::new(200, u64::from(sample))?;
    let (_, p, labels) = drawn(b, stream);
    let ratio =
        bootstrap.intervals(&labels, &p, None, |rows| Ok([rows.predicted_over_observed()?]));
    counts[0].add(ratio.ok().map(|[ratio]| [ratio.lower, ratio.upper]), 1.0);
    let labels: Vec<bool> = (0..positives + NEGATIVES).map(|row| row < positives).collect();
    let scores: Vec<f64> =
        labels.iter().map(|&label| stream.normal() + if label { SHIFT } else { 0.0 }).collect();
    let precision =
        bootstrap.intervals(&labels, &scores, None, |rows| Ok([rows.average_precision()?]));
    counts[1].add(precision.ok().map(|[precision]| [precision.lower, precision.upper]), truth);
    Ok(())
}
