//! What every model promises. A new model is one line in [`cases`].

use std::sync::atomic::{AtomicUsize, Ordering};

use imbalance::loss::Loss;
use imbalance::model::{BoxModel, FtrlProximal, LogisticRegression, Model, Predict, RareEvents};
use imbalance::testing::{Law, ModelSuite};
use imbalance::{Dataset, FeaturesView, Run};
use rayon::prelude::*;

fn cases() -> Vec<(ModelSuite, BoxModel)> {
    let plain = ModelSuite::default;
    let logistic = |l2: f64, l1: f64| LogisticRegression::new().l2(l2).unwrap().l1(l1).unwrap();
    let rare = RareEvents::new;
    // A penalty has the unit of the weights and that of the squared features; a fit without one has none.
    let balanced = || ModelSuite { is_balanced: true, ..plain() };
    let (features_scale_free_to, weights_scale_free_to) = (Some(1e150), Some(1e150));
    let free = || ModelSuite { features_scale_free_to, weights_scale_free_to, ..balanced() };
    // A weight counts observations, and covariances have the square of a feature.
    let counted = || ModelSuite { features_scale_free_to: Some(1e59), ..plain() };
    // Each row is a step, in the unit of the step size.
    let steps = || ModelSuite {
        ignores_row_order: false,
        weights_are_repeats: false,
        takes_offsets: false,
        ..plain()
    };
    vec![
        (free(), logistic(0.0, 0.0).boxed()),
        (balanced(), LogisticRegression::new().boxed()),
        (balanced(), logistic(0.5, 0.0).boxed()),
        (balanced(), logistic(0.5, 0.5).boxed()),
        (counted(), rare().maximum_likelihood().boxed()),
        (counted(), rare().boxed()),
        (counted(), rare().weighting(0.1).unwrap().boxed()),
        (counted(), rare().firth_with_intervals(None).unwrap().boxed()),
        (steps(), FtrlProximal::new().boxed()),
        (steps(), FtrlProximal::new().in_order(true).boxed()),
    ]
}

#[cfg(feature = "gbdt")]
fn trees() -> Vec<(ModelSuite, BoxModel)> {
    use imbalance::model::{BoostedLeaves, BoostedTrees};

    // Logits differ by the single precision of gradients, summed over 30 trees. Zeros of sparse rows are missing.
    let suite = || ModelSuite {
        tolerance: 1e-4,
        sparse_as_dense: false,
        features_scale_free_to: Some(1e150),
        weights_scale_free_to: Some(1e150),
        ..ModelSuite::default()
    };
    let trees = || BoostedTrees::new().trees(30).unwrap();
    let leaves = BoostedLeaves::new(trees(), LogisticRegression::new().l2(10.0).unwrap());
    vec![
        (suite(), trees().boxed()),
        // The regression has a penalty.
        (ModelSuite { weights_scale_free_to: None, ..suite() }, leaves.boxed()),
    ]
}

#[cfg(not(feature = "gbdt"))]
fn trees() -> Vec<(ModelSuite, BoxModel)> {
    Vec::new()
}

#[test]
fn every_model_holds_every_law() {
    let broken: Vec<String> = cases()
        .into_iter()
        .chain(trees())
        .collect::<Vec<_>>()
        .into_par_iter()
        .flat_map_iter(|(suite, model)| {
            let broken = suite.run(&model);
            broken.into_iter().map(move |law| format!("{model:?}: {law}"))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// A regression with something that is not right.
#[derive(Debug)]
enum Broken {
    /// It learns from the first half of the rows.
    First,
    /// It ignores the weights.
    Unweighted,
    /// It ignores the offsets.
    NoOffsets,
    /// It takes the first column for the intercept's.
    Column,
    /// Every fit differs.
    Fits(AtomicUsize),
    /// It depends on the number of threads.
    Threads,
    /// Its logits are NaN for rows of one class.
    OneClass,
}

#[derive(Debug)]
struct Shifted<P>(P, f64);

impl<P: Predict> Predict for Shifted<P> {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> imbalance::Result<()> {
        self.0.logits_into(x, out)?;
        out.iter_mut().for_each(|z| *z += self.1);
        Ok(())
    }
}

impl Model for Broken {
    type Fitted = Shifted<Box<dyn Predict>>;

    fn fit(
        &self,
        train: &Dataset<'_>,
        loss: &dyn Loss,
        run: &Run,
    ) -> imbalance::Result<Self::Fitted> {
        let half: Vec<usize> = (0..train.rows() / 2).collect();
        let plain = Dataset::new(train.features(), train.labels())?;
        let model = LogisticRegression::new().l2(1.0)?.boxed();
        let fit = |data: &Dataset<'_>| model.fit(data, loss, run);
        Ok(match self {
            Self::First => Shifted(fit(&train.select(&half)?)?, 0.0),
            Self::Unweighted => Shifted(fit(&plain)?, 0.0),
            Self::NoOffsets => {
                let weights = train.weights().map_or(vec![1.0; train.rows()], <[f64]>::to_vec);
                Shifted(fit(&plain.with_weights(weights)?)?, 0.0)
            }
            Self::Column => {
                let mean = train.features().rows().map(|row| row.get(0)).sum::<f64>();
                Shifted(fit(train)?, mean / train.rows() as f64)
            }
            Self::Fits(fits) => {
                Shifted(fit(train)?, 1e-9 * fits.fetch_add(1, Ordering::Relaxed) as f64)
            }
            Self::Threads => Shifted(fit(train)?, 1e-9 * rayon::current_num_threads() as f64),
            Self::OneClass if train.totals().positives == 0 => {
                let all = [true, false].repeat(train.rows() / 2);
                Shifted(fit(&Dataset::new(train.features(), all)?)?, f64::NAN)
            }
            Self::OneClass => Shifted(fit(train)?, 0.0),
        })
    }
}

#[test]
fn a_broken_model_is_caught_by_the_law_that_it_breaks() {
    for (model, law) in [
        (Broken::First, Law::RowOrder),
        (Broken::Unweighted, Law::Weights),
        (Broken::NoOffsets, Law::Offsets),
        (Broken::Column, Law::ColumnOrder),
        (Broken::Fits(AtomicUsize::new(0)), Law::Seed),
        (Broken::Threads, Law::Threads),
        (Broken::OneClass, Law::Finite),
    ] {
        let broken = ModelSuite::default().run(&model);
        let found = broken.iter().find(|broken| broken.law == law);
        let found = found.unwrap_or_else(|| panic!("{model:?}: {broken:#?}"));
        println!("{model:?}: {found}");
    }
}
