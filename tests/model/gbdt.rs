//! Boosted trees and the regression on their leaves.

#![cfg(feature = "gbdt")]

use imbalance::loss::{AsymmetricLoss, FocalLoss, LogLoss, Loss, WeightedLogLoss};
use imbalance::metrics::{predicted_over_observed, roc_auc};
use imbalance::model::{
    BoostedLeaves, BoostedTrees, FittedBoostedTrees, LogisticRegression, Model, Predict,
};
use imbalance::ndarray::Array2;
use imbalance::prelude::{Pipeline, PriorCorrection, RandomUnderSampler};
use imbalance::{Dataset, Error, FeaturesView, Run};

/// An even spread of numbers in (−1, 1), without a generator: the fractional parts of multiples of an
/// irrational number.
fn spread(i: usize, step: f64) -> f64 {
    2.0 * (i as f64 * step).fract() - 1.0
}

/// Two columns and a constant one; the odds depend on the sign of the product alone: 3 % against
/// 0.75 %.
fn interaction(rows: usize, first: usize) -> (Array2<f64>, Vec<bool>) {
    let x = Array2::from_shape_fn((rows, 3), |(i, j)| match j {
        0 => spread(first + i, 2_f64.sqrt()),
        1 => spread(first + i, 3_f64.sqrt()),
        _ => 1.0,
    });
    let labels = (0..rows)
        .map(|i| {
            let rate = if x[[i, 0]] * x[[i, 1]] > 0.0 { 0.03 } else { 0.0075 };
            (((first + i) as f64) * 5_f64.sqrt() * 7.3).fract() < rate
        })
        .collect();
    (x, labels)
}

fn logits(model: &impl Predict, x: &Array2<f64>) -> Vec<f64> {
    let mut out = vec![0.0; x.nrows()];
    model.logits_into(FeaturesView::from(x.view()), &mut out).unwrap();
    out
}

fn trees() -> BoostedTrees {
    BoostedTrees::new().max_trees(300).unwrap()
}

#[test]
fn an_interaction_that_no_line_finds() {
    let (x, labels) = interaction(20_000, 0);
    let (x_test, labels_test) = interaction(20_000, 50_000);
    let data = Dataset::new(&x, &labels).unwrap();
    let run = Run::seeded(7);
    let auc = |scores: &[f64]| roc_auc(&labels_test, scores, None).unwrap();

    let linear = LogisticRegression::new().fit(&data, &LogLoss, &run).unwrap();
    let boosted = trees().fit(&data, &LogLoss, &run).unwrap();
    let hybrid = BoostedLeaves::new(trees(), LogisticRegression::new().l2(10.0).unwrap());
    let hybrid = hybrid.fit(&data, &LogLoss, &run).unwrap();
    // 375 positives: the standard error of the AUC is about 0.015. The truth's is 0.8·0.5 + 0.5·0.2 +
    // 0.3 × … ≈ 0.65: four in five positives, and half of the negatives, are on the right side.
    assert!((auc(&logits(&linear, &x_test)) - 0.5).abs() < 0.045);
    assert!(auc(&logits(&boosted, &x_test)) > 0.65 - 0.045);
    assert!(auc(&logits(&hybrid, &x_test)) > 0.65 - 0.045);

    // Leaves are one-hot, the same for a row whenever asked, and their scores are the prediction.
    let leaves = boosted.leaves(FeaturesView::from(x.view())).unwrap();
    assert_eq!(leaves.shape(), (x.nrows(), boosted.leaf_count()));
    assert!(leaves.outer_iterator().all(|row| row.nnz() == boosted.trees()));
    let mut scores = std::collections::HashMap::new();
    for (row, logit) in leaves.outer_iterator().zip(logits(&boosted, &x)) {
        let same = *scores.entry(row.indices().to_vec()).or_insert(logit);
        assert_eq!(same, logit, "rows of the same leaves");
    }
    assert!(scores.len() > 3);
    // A row by itself falls where it fell among the others.
    let alone: f64 = Predict::logit(&hybrid, (&[x[[5, 0]], x[[5, 1]], 1.0]).into()).unwrap();
    assert_eq!(alone, logits(&hybrid, &x)[5]);
    assert_eq!(hybrid.trees().leaf_count(), hybrid.regression().coefficients().len());
}

#[test]
fn probabilities_are_right_after_sampling_under_any_loss() {
    let (x, labels) = interaction(40_000, 0);
    let (x_test, labels_test) = interaction(40_000, 50_000);
    let data = Dataset::new(&x, &labels).unwrap();
    let losses: [(&str, Box<dyn Loss>); 4] = [
        ("log", Box::new(LogLoss)),
        ("balanced", Box::new(WeightedLogLoss::balanced())),
        ("focal", Box::new(FocalLoss::new(2.0).unwrap())),
        ("asymmetric", Box::new(AsymmetricLoss::new(0.0, 2.0, 0.0).unwrap())),
    ];
    for (name, loss) in losses {
        let fitted = Pipeline::new(trees())
            .sampler(RandomUnderSampler::negatives_per_positive(5.0).unwrap())
            .loss(loss)
            .calibrator(PriorCorrection::new())
            .seed(7)
            .fit(&data)
            .unwrap();
        let p = fitted.probabilities(&x_test).unwrap();
        let ratio = predicted_over_observed(&labels_test, &p, None).unwrap();
        // 750 positives in the training rows, 3,750 sampled negatives, 750 test positives: a relative
        // standard error of √(1/750 + 1/3750 + 1/750) = 0.054.
        println!("{name}: {ratio:.4}; {}", fitted.report().model);
        assert!((ratio - 1.0).abs() < 3.0 * 0.054, "{name}: {ratio}");
        let auc = roc_auc(&labels_test, &p, None).unwrap();
        assert!(auc > 0.6, "{name}: {auc}");
    }
}

#[test]
fn weights_and_offsets_are_honoured() {
    let (x, labels) = interaction(4_000, 0);
    let data = Dataset::new(&x, &labels).unwrap();
    let fit = |data: &Dataset<'_>| -> FittedBoostedTrees {
        trees().fit(data, &LogLoss, &Run::seeded(1)).unwrap()
    };
    // Equal weights are no weights; a constant offset is taken off again.
    let plain = fit(&data);
    let doubled = fit(&data.view().with_weights(vec![2.0; 4_000]).unwrap());
    assert_eq!(plain, doubled);
    let shifted = fit(&data.view().with_offsets(vec![1.5; 4_000]).unwrap());
    let mean = |v: Vec<f64>| v.iter().sum::<f64>() / v.len() as f64;
    assert!((mean(logits(&shifted, &x)) + 1.5 - mean(logits(&plain, &x))).abs() < 1e-3);
    // Positives ten times as heavy: ten times the odds. Boosting ends near the weighted mean, not at it.
    let weights: Vec<f64> = labels.iter().map(|&label| if label { 10.0 } else { 1.0 }).collect();
    let heavy = fit(&data.view().with_weights(&weights).unwrap());
    let p: Vec<f64> =
        logits(&heavy, &x).iter().map(|&z| LogLoss.posterior().probability(z)).collect();
    let ratio = predicted_over_observed(&labels, &p, Some(&weights)).unwrap();
    assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
    let constant = Array2::from_elem((4_000, 1), 1.0);
    let weighted = Dataset::new(&constant, &labels).unwrap().with_weights(&weights).unwrap();
    let base = fit(&weighted);
    assert_eq!(base.trees(), 0);
    let expected = weighted.totals().log_odds();
    let found: f64 = Predict::logit(&base, (&[1.0]).into()).unwrap();
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

/// Log-odds of `interaction`'s rows.
fn true_logits(x: &Array2<f64>) -> Vec<f64> {
    x.outer_iter()
        .map(|row| {
            let rate: f64 = if row[0] * row[1] > 0.0 { 0.03 } else { 0.0075 };
            (rate / (1.0 - rate)).ln()
        })
        .collect()
}

/// As `interaction`, but drawn at random.
fn drawn(rows: usize, seed: u64) -> (Array2<f64>, Vec<bool>) {
    use ndarray_rand::rand::{Rng, SeedableRng};

    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let x = Array2::from_shape_fn((rows, 3), |_| random.random::<f64>() * 2.0 - 1.0);
    let rate = |z: f64| 1.0 / (1.0 + (-z).exp());
    let labels = true_logits(&x).into_iter().map(|z| random.random::<f64>() < rate(z)).collect();
    (x, labels)
}

#[test]
fn offsets_that_know_everything_leave_nothing_to_learn() {
    let (x, labels) = drawn(20_000, 1);
    let (x_test, _) = drawn(20_000, 2);
    let data = Dataset::new(&x, &labels).unwrap().with_offsets(true_logits(&x)).unwrap();
    let run = Run::seeded(1);
    let truth = true_logits(&x_test);
    let regression = LogisticRegression::new().l2(10.0).unwrap();
    let hybrid = BoostedLeaves::new(trees(), regression).fit(&data, &LogLoss, &run).unwrap();
    let trees = trees().fit(&data, &LogLoss, &run).unwrap();
    for learned in [logits(&trees, &x_test), logits(&hybrid, &x_test)] {
        let both: Vec<f64> = truth.iter().zip(&learned).map(|(z, by)| z + by).collect();
        assert_levels(&x_test, &both, 1.0);
    }
}

/// The mean probability on either side of the product's sign is right: 3 % and 0.75 %, known by
/// 300 and 75 positives whose weights are worth `per_row` rows each. Three standard errors, and a tenth
/// for a short boosting.
fn assert_levels(x: &Array2<f64>, logits: &[f64], per_row: f64) {
    for (side, rate, positives) in [(true, 0.03, 300.0), (false, 0.0075, 75.0)] {
        let rows = x.outer_iter().zip(logits).filter(|(row, _)| (row[0] * row[1] > 0.0) == side);
        let mean = rows.clone().map(|(_, z)| LogLoss.posterior().probability(*z)).sum::<f64>()
            / rows.count() as f64;
        let off: f64 = (mean / rate).ln();
        let error = 1.0 / f64::sqrt(positives * per_row);
        assert!(off.abs() < 3.0 * error + 0.1, "{mean} for {rate}");
    }
}

#[test]
fn offsets_that_differ_change_what_is_learned() {
    // The offsets say the opposite of the truth: twice the difference must be learned.
    let (x, labels) = interaction(20_000, 0);
    let against: Vec<f64> = true_logits(&x).iter().map(|z| -z).collect();
    let data = Dataset::new(&x, &labels).unwrap().with_offsets(&against).unwrap();
    let trees = BoostedTrees::new().trees(150).unwrap();
    let fitted = trees.fit(&data, &LogLoss, &Run::seeded(1)).unwrap();
    let learned = logits(&fitted, &x);
    let apart = |of: &[f64]| {
        let sum = |inside: bool| {
            let rows = x.outer_iter().zip(of).filter(|(row, _)| (row[0] * row[1] > 0.0) == inside);
            rows.clone().map(|(_, z)| z).sum::<f64>() / rows.count() as f64
        };
        sum(true) - sum(false)
    };
    // ln(0.03 / 0.0075) = 1.4 between the truth's two levels; 300 and 75 positives know it to
    // √(1/300 + 1/75) = 0.13, and 150 trees go most of the way.
    let expected = 2.0 * apart(&true_logits(&x));
    assert!((apart(&learned) - expected).abs() < 0.2 * expected, "{} {expected}", apart(&learned));
}

#[test]
fn a_weight_of_two_is_the_row_twice() {
    let (x, labels) = drawn(20_000, 11);
    let once = Dataset::new(&x, &labels).unwrap();
    // Rows count one, two or three times.
    let times: Vec<usize> = (0..20_000).map(|i| 1 + (i * 7) % 3).collect();
    let weights: Vec<f64> = times.iter().map(|&t| t as f64).collect();
    let weighted = once.view().with_weights(&weights).unwrap();
    let repeated: Vec<usize> = (0..20_000).flat_map(|i| std::iter::repeat_n(i, times[i])).collect();
    let repeated = once.select(&repeated).unwrap();
    for loss in [&LogLoss as &dyn Loss, &WeightedLogLoss::given(5.0, 1.0).unwrap()] {
        let run = Run::seeded(1);
        let constant = |labels: &[bool], weights: Option<&[f64]>| -> f64 {
            let ones = Array2::from_elem((labels.len(), 1), 1.0);
            let mut rows = Dataset::new(&ones, labels).unwrap();
            if let Some(weights) = weights {
                rows = rows.with_weights(weights).unwrap();
            }
            Predict::logit(&trees().fit(&rows, loss, &run).unwrap(), (&[1.0]).into()).unwrap()
        };
        let base = [constant(&labels, Some(&weights)), constant(repeated.labels(), None)];
        assert!((base[0] - base[1]).abs() < 1e-9, "{base:?}");
        // Twins may fall on either side of the rows to stop on, which then praise too many trees. No leaf may run
        // away all the same, and weights find the two levels.
        let twins = logits(&trees().fit(&repeated, loss, &run).unwrap(), &x);
        assert!(twins.iter().all(|z| z.abs() < 20.0));
        let found = logits(&trees().fit(&weighted, loss, &run).unwrap(), &x);
        let found: Vec<f64> = found.iter().map(|&z| loss.posterior().log_odds(z)).collect();
        // Weights of 1, 2 and 3 are worth (Σw)²/Σw² = 6/7 of the rows.
        assert_levels(&x, &found, 6.0 / 7.0);
    }
}

#[test]
fn the_hybrid_takes_weights_offsets_losses_and_calibrators() {
    let (x, labels) = interaction(40_000, 0);
    let (x_test, labels_test) = interaction(40_000, 50_000);
    let hybrid = || BoostedLeaves::new(trees(), LogisticRegression::new().l2(10.0).unwrap());
    // Weights of 2 with a constant offset of 1.5: known, so taken off again.
    let data = Dataset::new(&x, &labels).unwrap();
    let marked = data.view().with_weights(vec![2.0; 40_000]).unwrap();
    let marked = marked.with_offsets(vec![1.5; 40_000]).unwrap();
    let fitted = hybrid().fit(&marked, &FocalLoss::new(1.0).unwrap(), &Run::seeded(2)).unwrap();
    let loss = FocalLoss::new(1.0).unwrap();
    let p: Vec<f64> =
        logits(&fitted, &x_test).iter().map(|z| loss.posterior().probability(z + 1.5)).collect();
    let ratio = predicted_over_observed(&labels_test, &p, None).unwrap();
    // 750 positives in the training rows and 750 in the test rows: 0.052.
    assert!((ratio - 1.0).abs() < 3.0 * 0.052, "{ratio}");

    let fitted = Pipeline::new(hybrid())
        .sampler(RandomUnderSampler::negatives_per_positive(5.0).unwrap())
        .loss(WeightedLogLoss::balanced())
        .calibrator(PriorCorrection::new())
        .seed(7)
        .fit(&data)
        .unwrap();
    let p = fitted.probabilities(&x_test).unwrap();
    let ratio = predicted_over_observed(&labels_test, &p, None).unwrap();
    // As in `probabilities_are_right_after_sampling_under_any_loss`.
    assert!((ratio - 1.0).abs() < 3.0 * 0.054, "{ratio}");
    assert!(roc_auc(&labels_test, &p, None).unwrap() > 0.6);
}

#[test]
fn trees_are_reported_and_can_be_stopped() {
    use imbalance::Progress;
    use std::ops::ControlFlow;
    use std::sync::{Arc, Mutex};

    let (x, labels) = interaction(6_000, 0);
    let data = Dataset::new(&x, &labels).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observe = |most: usize| {
        let seen = Arc::clone(&seen);
        seen.lock().unwrap().clear();
        Run::seeded(3).observed(move |progress| {
            let Progress::Boosted { trees, loss } = progress else {
                return ControlFlow::Continue(());
            };
            seen.lock().unwrap().push((*trees, *loss));
            if *trees < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    };
    let fitted = trees().fit(&data, &LogLoss, &observe(usize::MAX)).unwrap();
    {
        let seen = seen.lock().unwrap();
        // First the trees that find the number to stop at, then those of all rows.
        let again = seen.iter().rposition(|(trees, _)| *trees == 0).unwrap();
        let (search, seen) = seen.split_at(again);
        assert!(fitted.trees() > 0 && fitted.trees() <= seen.last().unwrap().0 + 1);
        assert!(search.len() >= seen.len());
        assert!(seen.iter().enumerate().all(|(i, (trees, _))| *trees == i));
        // The first mean loss is the best constant's.
        let rate = data.totals().rate();
        let entropy = -rate * rate.ln() - (1.0 - rate) * (1.0 - rate).ln();
        assert!((seen[0].1 - entropy).abs() < 1e-9 && seen.last().unwrap().1 < entropy);
    }
    let error = trees().fit(&data, &LogLoss, &observe(2)).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[test]
fn the_same_on_any_number_of_threads() {
    let (x, labels) = interaction(6_000, 0);
    let data = Dataset::new(&x, &labels).unwrap();
    let fit = || trees().fit(&data, &FocalLoss::new(2.0).unwrap(), &Run::seeded(3)).unwrap();
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = pool(1).install(fit);
    assert!(one.trees() > 0);
    assert_eq!(one, pool(3).install(fit));
    assert_eq!(one, fit());
}

/// A number of trees that is given, on columns of 100 levels, which have a bin each.
fn levelled(rows: usize) -> (Array2<f64>, Vec<bool>, BoostedTrees) {
    let (x, labels) = drawn(rows, 5);
    let x = x.mapv(|value| (50.0 * value).floor() / 50.0);
    (x, labels, BoostedTrees::new().trees(30).unwrap())
}

/// Logits that differ by the single precision of gradients, summed over 30 trees.
fn assert_near(found: &[f64], expected: &[f64], law: &str) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "{law}: {found}, not {expected}");
    }
}

/// The other laws of invariance are those of [`imbalance::testing::ModelSuite`].
#[test]
fn an_increasing_function_and_a_constant_column_change_nothing() {
    let (x, labels, trees) = levelled(6_000);
    let fit = |x: &Array2<f64>| -> Vec<f64> {
        let data = Dataset::new(x, &labels).unwrap();
        logits(&trees.fit(&data, &LogLoss, &Run::seeded(1)).unwrap(), x)
    };
    let expected = fit(&x);
    assert!(expected.iter().any(|z| (z - expected[0]).abs() > 0.5));
    assert_near(&fit(&x.mapv(f64::exp)), &expected, "an increasing function");
    let order = [2, 0, 1];
    let other =
        Array2::from_shape_fn((6_000, 4), |(i, j)| order.get(j).map_or(3.5, |&j| x[[i, j]]));
    assert_near(&fit(&other), &expected, "a constant column, and the order of columns");
}

#[test]
fn the_default_does_not_overfit() {
    // Three normal columns, as the logit is −3 + 1.2 x₀ + x₁ x₂.
    use ndarray_rand::rand::{Rng, SeedableRng};
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let mut rows = |n: usize| -> (Array2<f64>, Vec<bool>) {
        // Sums of twelve uniform numbers.
        let x = Array2::from_shape_fn((n, 3), |_| {
            (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
        });
        let truth = |i: usize| -3.0 + 1.2 * x[[i, 0]] + x[[i, 1]] * x[[i, 2]];
        let labels =
            (0..n).map(|i| random.random::<f64>() < 1.0 / (1.0 + (-truth(i)).exp())).collect();
        (x, labels)
    };
    let ((x, labels), (x_test, labels_test)) = (rows(4_000), rows(20_000));
    let data = Dataset::new(&x, &labels).unwrap();
    let fitted = BoostedTrees::new().fit(&data, &LogLoss, &Run::seeded(1)).unwrap();
    let loss = |logits: &[f64]| {
        let losses = logits.iter().zip(&labels_test).map(|(&z, &y)| LogLoss.at(z, y).value);
        losses.sum::<f64>() / labels_test.len() as f64
    };
    let constant = loss(&vec![data.totals().log_odds(); 20_000]);
    let found = loss(&logits(&fitted, &x_test));
    println!("{found:.4} where a constant has {constant:.4}; {}", fitted.describe());
    assert!(found < 0.87 * constant, "{found} {constant}");
}

#[test]
fn sparse_rows_are_missing_where_they_are_zero() {
    let (x, labels, trees) = levelled(6_000);
    let mut x = x.mapv(|value| if value > 0.3 { value } else { 0.0 });
    let sparse = imbalance::sprs::CsMat::csr_from_dense(x.view(), 0.0);
    let run = Run::seeded(1);
    let fitted = trees.fit(&Dataset::new(&sparse, &labels).unwrap(), &LogLoss, &run).unwrap();
    let mut out = vec![0.0; 6_000];
    fitted.logits_into(FeaturesView::from(sparse.view()), &mut out).unwrap();
    assert_eq!(out, logits(&fitted, &x), "one prediction for sparse and dense rows");
    assert!(out.iter().any(|z| (z - out[0]).abs() > 0.3));
    x.fill(0.0);
    assert!(logits(&fitted, &x).iter().all(|z| *z == logits(&fitted, &x)[0]));
}

#[test]
fn the_rows_to_stop_on_are_cut_as_asked() {
    use imbalance::{Attribute, Cut};
    let (x, labels) = drawn(6_000, 9);
    let times: Vec<f64> = (0..6_000).map(f64::from).collect();
    let data = Dataset::new(&x, &labels).unwrap();
    let data = data.with_attribute("day", Attribute::Numbers(times.into())).unwrap();
    let by = |cut: Cut| {
        let trees = BoostedTrees::new().stop_on(0.3, cut, 5).unwrap();
        trees.fit(&data, &LogLoss, &Run::seeded(1))
    };
    assert!(by(Cut::by_time("day")).unwrap().trees() < 200);
    assert!(by(Cut::by_group("day")).unwrap().trees() < 200);
    let error = by(Cut::by_time("hour")).unwrap_err();
    assert!(matches!(error, Error::UnknownColumn { .. }), "{error}");
}

#[test]
fn refusals_are_typed() {
    let (x, labels) = interaction(500, 0);
    let error = Dataset::new(&x, vec![false; 500])
        .and_then(|data| trees().fit(&data, &LogLoss, &Run::default()))
        .unwrap_err();
    assert!(matches!(error, Error::OneClass { .. }), "{error}");
    let fitted =
        trees().fit(&Dataset::new(&x, &labels).unwrap(), &LogLoss, &Run::default()).unwrap();
    let error = Predict::logit(&fitted, (&[1.0]).into()).unwrap_err();
    assert!(matches!(error, Error::ColumnMismatch { found: 1, expected: 3 }), "{error}");
    let error = Predict::logit(&fitted, (&[1.0, f64::NAN, 0.0]).into()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { column: Some(1), .. }), "{error}");
    let refused = |trees: Result<BoostedTrees, Error>, expected: &str| {
        let error = trees.unwrap_err();
        assert!(
            matches!(error, Error::InvalidArgument { argument, .. } if argument == expected),
            "{error}"
        );
    };
    let new = BoostedTrees::new;
    for bad in [0.0, -1.0, 1.5, f64::NAN] {
        refused(new().learning_rate(bad), "learning_rate");
        refused(new().stop_on(bad, imbalance::Cut::Stratified, 5), "share");
    }
    refused(new().max_trees(0), "max_trees");
    refused(new().trees(0), "trees");
    refused(new().max_leaves(1), "max_leaves");
    refused(new().least_share(1.0), "least_share");
    refused(new().l2(-1.0), "l2");
    refused(new().stop_on(0.2, imbalance::Cut::InOrder, 0), "patience");
    // A handful of rows is a fit, if not a good one.
    for rows in [2, 3, 7] {
        let labels: Vec<bool> = (0..rows).map(|i| i % 2 == 0).collect();
        let few = x.slice_axis(imbalance::ndarray::Axis(0), (0..rows).into());
        let fitted = trees().fit(&Dataset::new(few, labels).unwrap(), &LogLoss, &Run::default());
        assert!(logits(&fitted.unwrap(), &x).iter().all(|logit| logit.is_finite()));
    }
}
