//! A pipeline with each loss gives the population's probabilities, because the loss's own map is applied.

use std::sync::Arc;

use imbalance::Matrix;
use imbalance::loss::{
    AsymmetricLoss, ClassWeighted, ClassWeights, FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted,
    Loss, WeightedLogLoss,
};
use imbalance::model::logistic::Covariance;
use imbalance::ndarray::Array2;
use imbalance::numerics::sigmoid;
use imbalance::prelude::{
    LogisticRegression, Pipeline, PriorCorrection, RandomUnderSampler, Sampler, SyntheticClicks,
};
use imbalance::sampling::NoSampling;
use imbalance::{Dataset, FeaturesView};

const ROWS: usize = 60_000;

/// How far the posterior of a linear logit may stay from a true logit that is linear: not at all where
/// the loss's map is a shift; where it bends, no coefficients give the truth, and the best are this far
/// off in the mean.
const BENT: f64 = 0.05;

fn losses() -> Vec<(&'static str, Arc<dyn Loss>)> {
    let focal = FocalLoss::new(2.0).unwrap();
    let asymmetric = |positive, negative, margin| {
        Arc::new(AsymmetricLoss::new(positive, negative, margin).unwrap())
    };
    vec![
        ("log", Arc::new(LogLoss)),
        ("given", Arc::new(WeightedLogLoss::given(5.0, 0.5).unwrap())),
        ("balanced", Arc::new(WeightedLogLoss::balanced())),
        ("population", Arc::new(WeightedLogLoss::population(0.001).unwrap())),
        ("effective", Arc::new(WeightedLogLoss::effective_number(0.9999).unwrap())),
        ("adjusted", Arc::new(LogitAdjusted::new(1.0).unwrap())),
        ("focal", Arc::new(focal)),
        ("focal, α", Arc::new(focal.alpha(0.25).unwrap())),
        ("focal, uniform α", Arc::new(focal.uniform_alpha(0.25).unwrap())),
        ("balanced focal", Arc::new(ClassWeighted::new(focal, ClassWeights::Balanced).unwrap())),
        ("asymmetric", asymmetric(0.0, 1.0, 0.0)),
        ("asymmetric, margin", asymmetric(0.0, 4.0, 0.05)),
        ("asymmetric, γ₊ and margin", asymmetric(1.0, 2.0, 0.01)),
        // ε/2 is a tenth of the base rate; much more would leave only noise of the rest.
        ("smoothed", Arc::new(LabelSmoothing::new(LogLoss, 0.004).unwrap())),
    ]
}

/// The truth on the rows to be judged, and what training is done on.
struct Log {
    train: Dataset<'static>,
    test: Array2<f64>,
    truth: Vec<f64>,
    /// Each row of `train` twice: as a click with the weight of its probability, and as none.
    expected: Dataset<'static>,
}

impl Log {
    /// Numeric columns alone: the true logit is linear in them.
    fn new() -> Self {
        let clicks = SyntheticClicks::new(2 * ROWS, 0.02).unwrap().numeric(6).categorical(&[]);
        let log = clicks.generate(11).unwrap();
        let FeaturesView::F64(Matrix::Dense(x)) = log.dataset.features() else {
            panic!("dense features")
        };
        let part = |from: usize, rows: usize| {
            Array2::from_shape_fn((rows, x.ncols()), |(i, j)| x[(from + i % ROWS, j)])
        };
        let clicked: Vec<bool> = (0..2 * ROWS).map(|i| i < ROWS).collect();
        let weights: Vec<f64> = log.probabilities[..ROWS]
            .iter()
            .copied()
            .chain(log.probabilities[..ROWS].iter().map(|p| 1.0 - p))
            .collect();
        Self {
            train: Dataset::new(part(0, ROWS), log.dataset.labels()[..ROWS].to_vec()).unwrap(),
            test: part(ROWS, ROWS),
            truth: log.probabilities[ROWS..].to_vec(),
            expected: Dataset::new(part(0, 2 * ROWS), clicked)
                .unwrap()
                .with_weights(weights)
                .unwrap(),
        }
    }
}

fn pipeline(
    sampler: Box<dyn Sampler>,
    loss: &Arc<dyn Loss>,
) -> Pipeline<Box<dyn Sampler>, Arc<dyn Loss>, LogisticRegression, PriorCorrection> {
    Pipeline::new(LogisticRegression::new().l2(0.0).unwrap())
        .sampler(sampler)
        .loss(Arc::clone(loss))
        .calibrator(PriorCorrection::new())
        .seed(11)
}

#[test]
fn calibrated_probabilities_under_every_loss() {
    let log = Log::new();
    let sum = |p: &[f64]| p.iter().sum::<f64>();
    let totals = log.train.totals();
    for (name, loss) in losses() {
        let resolved = loss.resolve(&totals).unwrap();
        // What infinitely many clicks on these rows would teach. Constants that come from the number of
        // rows of a class would come from the wrong number here.
        let limit = pipeline(Box::new(NoSampling), &resolved);
        let limit = match name {
            "effective" => {
                let weight = |label| resolved.at(0.0, label).value / LogLoss.at(0.0, label).value;
                let given = WeightedLogLoss::given(weight(true), weight(false)).unwrap();
                pipeline(Box::new(NoSampling), &(Arc::new(given) as Arc<dyn Loss>))
            }
            _ => limit,
        };
        let limit = limit.fit(&log.expected).unwrap().probabilities(&log.test).unwrap();
        let bias = sum(&limit) / sum(&log.truth) - 1.0;
        // A shift is exact, to the root of the 1e-9 that the objective is known to.
        let most = if resolved.posterior().shift().is_some() { 1e-4 } else { BENT };
        assert!(bias.abs() < most, "{name}: biased by {bias}");

        let fitted = pipeline(Box::new(NoSampling), &loss).fit(&log.train).unwrap();
        let inference = fitted.model().inference(&log.train, &*resolved, Covariance::Hc0).unwrap();
        let covariance = inference.covariance();
        let p = fitted.probabilities(&log.test).unwrap();
        let logits = fitted.logits(&log.test).unwrap();
        // The delta method: how the sum of the probabilities moves with the coefficients, and how far a
        // single one is likely to be off.
        let k = covariance.nrows();
        let mut slope = vec![0.0; k];
        let mut likely = 0.0;
        for (row, &z) in log.test.rows().into_iter().zip(&logits) {
            let posterior = |z: f64| sigmoid(resolved.posterior().log_odds(z));
            let by_logit = (posterior(z + 1e-5) - posterior(z - 1e-5)) / 2e-5;
            let x: Vec<f64> = row.iter().copied().chain([1.0]).collect();
            slope.iter_mut().zip(&x).for_each(|(slope, x)| *slope += by_logit * x);
            let x = imbalance::ndarray::ArrayView1::from(&x);
            likely += by_logit * x.dot(&covariance.dot(&x)).sqrt();
        }
        let slope = imbalance::ndarray::ArrayView1::from(&slope);
        let variance = slope.dot(&covariance.dot(&slope)) / sum(&p).powi(2);

        let off = sum(&p) / sum(&limit) - 1.0;
        let distance: f64 = p.iter().zip(&limit).map(|(a, b)| (a - b).abs()).sum();
        println!(
            "{name}: limit {bias:+.4}, fit {off:+.4} ± {:.4}, rows {:.4} of {:.4}",
            variance.sqrt(),
            distance / sum(&p),
            likely / sum(&p)
        );
        assert!(off.abs() < 4.0 * variance.sqrt(), "{name}: {off} ± {}", variance.sqrt());
        // The errors of the rows hang together by k coefficients; their mean is twice the likely one with
        // a probability below that of a χ² of one degree of freedom above 2.5² (1.2 %); three times, of
        // one above 3.7² (0.02 %).
        assert!(distance < 3.0 * likely, "{name}: {distance} for {likely}");
        // No loss may cost so much that the tolerances mean nothing: log loss has 1/√1200 = 0.029.
        assert!(variance.sqrt() < 3.0 * 0.029, "{name}: {}", variance.sqrt());

        // Ten negatives for each of the 1,200 positives add 1/12,000 to the variance.
        let sampler = RandomUnderSampler::negatives_per_positive(10.0).unwrap();
        let fitted = pipeline(Box::new(sampler), &loss).fit(&log.train).unwrap();
        let p = fitted.probabilities(&log.test).unwrap();
        let off = sum(&p) / sum(&log.truth) - 1.0;
        let error = (variance + 1.0 / 12_000.0).sqrt();
        println!("{name}, under-sampled: {off:+.4} ± {error:.4}");
        assert!(off.abs() < most + 4.0 * error, "{name}, under-sampled: {off} ± {error}");
    }
}
