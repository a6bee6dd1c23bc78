//! Why a prediction is what it is, and which columns matter: a linear model and boosted trees on the same log.
//!
//! ```sh
//! cargo run --release --features gbdt --example explain
//! ```

use imbalance::calibration::IsotonicRegression;
use imbalance::evaluation::PermutationImportance;
use imbalance::metrics;
use imbalance::model::BoostedTrees;
use imbalance::prelude::*;

const COLUMNS: [&str; 5] = ["age", "price", "distance", "hour", "visits"];

fn main() -> imbalance::Result<()> {
    let log = SyntheticClicks::new(60_000, 0.01)?.numeric(5).categorical(&[]).generate(7)?;
    let (train, test) = log.dataset.time_split("day", 0.3)?;

    let sampler = RandomUnderSampler::negatives_per_positive(10.0)?;
    let linear = Pipeline::new(LogisticRegression::new())
        .sampler(sampler)
        .calibrator(PriorCorrection::new())
        .seed(7)
        .fit(&train)?;
    let trees = Pipeline::new(BoostedTrees::new().max_leaves(4)?)
        .sampler(sampler)
        .calibrator(PriorCorrection::new().then(IsotonicRegression::new()))
        .cross_fit(CrossFit::new(5, Cut::Stratified)?)
        .seed(7)
        .fit(&train)?;

    // The test row that the linear model finds most likely.
    let p = linear.probabilities(test.features())?;
    let row = (0..test.rows()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap_or(0);
    let features = test.features().row(row);

    println!("== Row {row}, logistic regression\n{}\n", named(linear.explain(features)?)?);
    println!("== Row {row}, boosted trees\n{}\n", named(trees.explain(features)?)?);
    let table = linear.model().clone().with_feature_names(COLUMNS)?.coefficient_table();
    println!("== Coefficients of the logistic regression\n{table}\n");
    let gain = trees.model().gain_importance().with_feature_names(COLUMNS)?;
    println!("== Gain of the trees, on training rows\n{gain}\n");

    let importance = PermutationImportance::new(metrics::log_loss).feature_names(COLUMNS);
    let report = importance.measure(&linear, &test, &Run::seeded(7))?;
    println!("== Rise of the log loss of the logistic regression, on test rows\n{report}\n");
    let report = importance.measure(&trees, &test, &Run::seeded(7))?;
    println!("== Rise of the log loss of the trees, on test rows\n{report}");
    Ok(())
}

fn named(
    explanation: imbalance::pipeline::Explanation,
) -> imbalance::Result<impl std::fmt::Display> {
    explanation.with_feature_names(COLUMNS)
}
