//! How often intervals of permutation importance contain the importance in the population.
//!
//! ```sh
//! cargo run --release --example permutation_coverage -- 400 # samples; with fewer the truth is coarser too
//! ```
//!
//! A fixed linear model of two correlated columns and one without a coefficient, which is nearly right: samples of rows
//! are drawn, importance is measured on each, and the truth comes from 1,000 rows for each sample.

use imbalance::calibration::{Calibration, Uncalibrated};
use imbalance::evaluation::PermutationImportance;
use imbalance::metrics::{log_loss, roc_auc};
use imbalance::model::LinearModel;
use imbalance::ndarray::Array2;
use imbalance::numerics::sigmoid;
use imbalance::prelude::*;
use imbalance::{FittedPipeline, Result};

type Metric = fn(&[bool], &[f64], Option<&[f64]>) -> Result<f64>;
type Fitted = FittedPipeline<LinearModel, Uncalibrated>;

/// Rows whose logit is intercept + x₀ + ½x₁, with x₁ = ½x₀ + noise.
fn rows(n: usize, intercept: f64, seed: u64) -> Result<Dataset<'static>> {
    // Uniform numbers by a multiplicative hash, normal ones as sums of twelve.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut x = Array2::zeros((n, 2));
    let mut labels = Vec::with_capacity(n);
    for mut row in x.rows_mut() {
        let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let (a, b) = (normal(), normal());
        (row[0], row[1]) = (a, 0.5 * a + b);
        labels.push(uniform() < sigmoid(intercept + row[0] + 0.5 * row[1]));
    }
    Dataset::new(x, labels)
}

fn importance(
    metric: Metric,
    higher: bool,
    repetitions: usize,
) -> Result<PermutationImportance<Metric>> {
    PermutationImportance::new(metric).higher_is_better(higher).repetitions(repetitions)
}

fn main() -> Result<()> {
    let samples: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(400);
    let population = 1_000 * samples;
    let metrics: [(&str, Metric, bool); 2] =
        [("log loss", log_loss, false), ("ROC AUC", roc_auc, true)];
    println!("rows  positives  metric    orders  column  coverage  mean SE / spread");
    for (n, intercept) in [(2_000, -2.7), (2_000, -5.0), (20_000, -5.0)] {
        let model = LinearModel::new(vec![1.0, 0.5], intercept)?;
        let fitted: Fitted = FittedPipeline::from_parts([(model, Calibration::new(Uncalibrated))])?;
        for (name, metric, higher) in metrics {
            let many = rows(population, intercept, 1)?;
            let truth = importance(metric, higher, 5)?.measure(&fitted, &many, &Run::seeded(1))?;
            let positives = many.totals().positives * n / population;
            for repetitions in [1, 5] {
                let measure = importance(metric, higher, repetitions)?;
                let mut found = [Vec::new(), Vec::new()];
                for seed in 0..samples as u64 {
                    let sample = rows(n, intercept, 1_000 + seed)?;
                    let report = measure.measure(&fitted, &sample, &Run::seeded(seed))?;
                    for entry in report.entries {
                        found[entry.columns[0]].push(entry.importance);
                    }
                }
                for (column, found) in found.iter().enumerate() {
                    let truth = truth.entries.iter().find(|entry| entry.columns == [column]);
                    let truth = truth.map_or(f64::NAN, |entry| entry.importance.estimate);
                    let k = found.len() as f64;
                    let covered = found.iter().filter(|interval| interval.contains(truth)).count();
                    let mean = found.iter().map(|interval| interval.estimate).sum::<f64>() / k;
                    let spread: f64 =
                        found.iter().map(|interval| (interval.estimate - mean).powi(2)).sum();
                    let errors = found.iter().filter_map(|interval| interval.standard_error);
                    let ratio = errors.sum::<f64>() / k / (spread / (k - 1.0)).sqrt();
                    println!(
                        "{n:<5} {positives:>10}  {name:<8}  {repetitions:>6}  {column:>6}  {:>7.1} %  {ratio:.2}",
                        100.0 * covered as f64 / k
                    );
                }
            }
        }
    }
    Ok(())
}
