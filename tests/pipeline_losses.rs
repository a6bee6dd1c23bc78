//! A pipeline with each loss promises as many clicks as come, because the loss's own map is applied.

use std::sync::Arc;

use imbalance::loss::{
    AsymmetricLoss, ClassWeighted, ClassWeights, FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted,
    Loss, WeightedLogLoss,
};
use imbalance::metrics::predicted_over_observed;
use imbalance::prelude::{
    LogisticRegression, NoSampling, Pipeline, PriorCorrection, RandomUnderSampler, Sampler,
    SyntheticClicks,
};

#[test]
fn calibrated_means_under_every_loss() {
    let log = SyntheticClicks::new(120_000, 0.02).unwrap().generate::<f64>(11).unwrap();
    let (train, test) = log.dataset.stratified_split(0.5, 11).unwrap();
    let focal = FocalLoss::new(2.0).unwrap();
    let losses: Vec<(&str, Arc<dyn Loss>)> = vec![
        ("log", Arc::new(LogLoss)),
        ("given", Arc::new(WeightedLogLoss::given(5.0, 0.5).unwrap())),
        ("balanced", Arc::new(WeightedLogLoss::balanced())),
        ("population", Arc::new(WeightedLogLoss::population(0.001).unwrap())),
        ("effective", Arc::new(WeightedLogLoss::effective_number(0.9999).unwrap())),
        ("focal", Arc::new(focal)),
        ("focal, α", Arc::new(focal.alpha(0.25).unwrap())),
        ("balanced focal", Arc::new(ClassWeighted::new(focal, ClassWeights::Balanced).unwrap())),
        ("adjusted", Arc::new(LogitAdjusted::new(1.0).unwrap())),
        ("asymmetric", Arc::new(AsymmetricLoss::new(0.0, 1.0, 0.0).unwrap())),
        // ε/2 is a tenth of the base rate; much more would leave only noise of the rest.
        ("smoothed", Arc::new(LabelSmoothing::new(LogLoss, 0.004).unwrap())),
    ];
    for (name, loss) in losses {
        for under in [false, true] {
            let sampler: Box<dyn Sampler<f64>> = if under {
                Box::new(RandomUnderSampler::negatives_per_positive(10.0).unwrap())
            } else {
                Box::new(NoSampling)
            };
            let fitted = Pipeline::new(LogisticRegression::new().l2(1.0).unwrap())
                .sampler(sampler)
                .loss(Arc::clone(&loss))
                .calibrator(PriorCorrection::new())
                .seed(11)
                .fit(&train)
                .unwrap();
            let p = fitted.probabilities(test.features()).unwrap();
            let ratio = predicted_over_observed(test.labels(), &p, None).unwrap();
            // Both halves hold 1,200 positives, the sample 12,000 negatives: a relative standard error
            // of √(1/1200 + 1/1200 + 1/12000) = 0.042. Losses other than log loss do not reproduce the
            // mean of their own rows, and estimate it with a larger variance.
            println!("{name}, under-sampled {under}: {ratio:.4}");
            assert!((ratio - 1.0).abs() < 3.0 * 0.042, "{name}, {under}: {ratio}");
        }
    }
}
