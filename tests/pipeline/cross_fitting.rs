//! Cross-fitting: every row calibrates, none by a model that has seen it.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use imbalance::Matrix;
use imbalance::calibration::{Calibration, PlattMap, TrainingContext, cross_fit};
use imbalance::calibration::{CalibrationSet, Uncalibrated};
use imbalance::data::SyntheticLog;
use imbalance::loss::WeightedLogLoss;
use imbalance::metrics::{log_loss, predicted_over_observed, roc_auc};
use imbalance::ndarray::Array2;
use imbalance::pipeline::DynPipeline;
use imbalance::prelude::*;
use imbalance::sampling::Resample;
use imbalance::sampling::{NoSampling, RuleSampler};
use imbalance::{Attribute, Folds};
use imbalance::{Error, FeaturesView, Progress, Result};
use proptest::prelude::*;

fn log(rows: usize, rate: f64, seed: u64) -> SyntheticLog {
    SyntheticClicks::new(rows, rate).unwrap().categorical(&[]).generate(seed).unwrap()
}

fn five() -> CrossFit {
    CrossFit::new(5, Cut::Stratified).unwrap()
}

fn under(ratio: f64) -> RandomUnderSampler {
    RandomUnderSampler::negatives_per_positive(ratio).unwrap()
}

type Rows = (Vec<f64>, Vec<bool>, Option<Vec<f64>>);

/// A calibrator that keeps the rows it was given at first, and maps like another.
#[derive(Debug, Clone)]
struct Recorder<C>(C, Arc<Mutex<Option<Rows>>>);

impl<C> Recorder<C> {
    fn new(inner: C) -> Self {
        Self(inner, Arc::default())
    }
    fn rows(&self) -> Rows {
        self.1.lock().unwrap().clone().unwrap()
    }
}

impl<C: Calibrator> Calibrator for Recorder<C> {
    type Map = C::Map;
    fn needs_rows(&self) -> bool {
        true
    }
    fn fit(
        &self,
        training: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> Result<Calibration<C::Map>> {
        let set = rows.unwrap();
        let weights = set.weights().map(Into::into);
        let kept = (set.logits().into(), set.labels().into(), weights);
        self.1.lock().unwrap().get_or_insert(kept);
        self.0.fit(training, rows)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn stratified_folds_judge_every_row_once(
        positives in 2_usize..40, negatives in 2_usize..300, k in 2_usize..9, seed in 0_u64..1000,
    ) {
        prop_assume!(k <= positives.min(negatives));
        let rows = positives + negatives;
        let mut labels = vec![false; rows];
        (0..positives).for_each(|i| labels[i * rows / positives] = true);
        let folds = Folds::stratified(&labels, k, seed).unwrap();
        prop_assert_eq!(folds.clone(), Folds::stratified(&labels, k, seed).unwrap());
        let mut judged = vec![0; labels.len()];
        for split in folds.splits() {
            let of = |rows: &[usize]| rows.iter().filter(|&&row| labels[row]).count();
            prop_assert!(split.test().is_sorted() && split.train().is_sorted());
            prop_assert_eq!(split.test().len() + split.train().len(), labels.len());
            prop_assert!(split.test().iter().all(|row| split.train().binary_search(row).is_err()));
            prop_assert!(split.test().len().abs_diff(labels.len() / k) <= 1);
            let ceiling = positives.div_ceil(k);
            prop_assert!((ceiling - 1..=ceiling).contains(&of(split.test())));
            split.test().iter().for_each(|&row| judged[row] += 1);
        }
        prop_assert!(judged.iter().all(|&times| times == 1));
    }

    #[test]
    fn grouped_folds_keep_groups_whole_and_even(
        rows in prop::collection::vec((any::<bool>(), 0_u32..25), 40..200),
        k in 2_usize..6,
        seed in 0_u64..1000,
    ) {
        let (labels, groups): (Vec<bool>, Vec<u32>) = rows.into_iter().unzip();
        let Ok(folds) = Folds::by_group(&labels, &groups, k, seed) else { return Ok(()) };
        prop_assert_eq!(folds.clone(), Folds::by_group(&labels, &groups, k, seed).unwrap());
        let mut judged = vec![0; labels.len()];
        let mut positives = Vec::new();
        for split in folds.splits() {
            let apart = |row: &usize| split.train().iter().all(|&other| groups[other] != groups[*row]);
            prop_assert!(split.test().iter().all(apart));
            split.test().iter().for_each(|&row| judged[row] += 1);
            positives.push(split.test().iter().filter(|&&row| labels[row]).count());
        }
        prop_assert!(judged.iter().all(|&times| times == 1));
        // The last group that came into the fullest fold came there as it was the emptiest.
        let of = |code: u32| (0..labels.len()).filter(|&row| labels[row] && groups[row] == code).count();
        let largest = (0..25).map(of).max().unwrap();
        let (most, least) = (positives.iter().max().unwrap(), positives.iter().min().unwrap());
        prop_assert!(most - least <= largest);
    }

    #[test]
    fn forward_folds_never_look_ahead(rows in 40_usize..200, k in 2_usize..6, seed in 0_u64..1000) {
        // Few times, in no order: many rows share one.
        let draw = |i: usize| Seed::new(seed).child(&i.to_string()).value();
        let times: Vec<f64> = (0..rows).map(|i| (draw(i) % 30) as f64).collect();
        let labels: Vec<bool> = (0..rows).map(|i| draw(i) >> 40 & 1 == 1).collect();
        let Ok(folds) = Folds::by_time(&labels, &times, k) else { return Ok(()) };
        let mut judged = vec![0; rows];
        for split in folds.splits() {
            let last = split.train().iter().map(|&row| times[row]).fold(f64::MIN, f64::max);
            prop_assert!(split.test().iter().all(|&row| times[row] > last));
            split.test().iter().for_each(|&row| judged[row] += 1);
        }
        prop_assert!(judged.iter().all(|&times| times <= 1));

        // Rows in order need no times.
        let ordered: Vec<f64> = (0..rows).map(|row| row as f64).collect();
        if let Ok(folds) = Folds::forward(&labels, k) {
            prop_assert_eq!(folds, Folds::by_time(&labels, &ordered, k).unwrap());
        }
    }
}

#[test]
fn folds_that_cannot_be_are_refused_by_name_and_counts() {
    let mut labels = vec![false; 100];
    labels[..3].fill(true);
    for k in [0, 1] {
        for refused in [CrossFit::new(k, Cut::Stratified), CrossFit::new(k, Cut::InOrder)] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { argument: "folds", .. }), "{error}");
        }
        assert!(Folds::stratified(&labels, k, 1).is_err() && Folds::forward(&labels, k).is_err());
    }
    assert!(matches!(Folds::stratified(&labels, 101, 1), Err(Error::InvalidArgument { .. })));
    assert!(matches!(Folds::stratified(&[], 2, 1), Err(Error::InvalidArgument { .. })));
    assert!(Folds::stratified(&labels, 3, 1).is_ok());
    let groups: Vec<u32> = (0..100).map(|row| row % 4).collect();
    assert!(matches!(
        Folds::by_group(&labels, &groups, 5, 1),
        Err(Error::InvalidArgument { argument: "folds", expected, .. })
            if expected == "at most 4, the number of groups"
    ));
    assert!(matches!(
        Folds::by_group(&labels, &groups, 4, 1),
        Err(Error::FoldOfOneClass { training: false, positives: 0, .. })
    ));
    assert!(matches!(
        Folds::by_group(&labels, &groups[1..], 2, 1),
        Err(Error::LengthMismatch { .. })
    ));
    assert!(Folds::by_group(&labels, &groups, 3, 1).is_ok());

    let error = Folds::stratified(&labels, 4, 1).unwrap_err();
    assert!(
        matches!(
            error,
            Error::FoldOfOneClass { fold: 4, of: 4, training: false, positives: 0, negatives: 25 }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.starts_with("fold 4 of 4 tests on 0 positive and 25 negative rows"), "{text}");

    // All positives come early: later blocks have none. All late: the first has none to learn from.
    assert!(matches!(
        Folds::forward(&labels, 3),
        Err(Error::FoldOfOneClass { fold: 1, training: false, positives: 0, .. })
    ));
    labels.reverse();
    assert!(matches!(
        Folds::forward(&labels, 3),
        Err(Error::FoldOfOneClass { fold: 1, training: true, positives: 0, negatives: 25, .. })
    ));
    let times = vec![f64::NAN; 100];
    assert!(matches!(Folds::by_time(&labels, &times, 3), Err(Error::NonFinite { .. })));
    assert!(matches!(Folds::by_time(&labels, &times[1..], 3), Err(Error::LengthMismatch { .. })));
    assert!(Folds::by_time(&labels, &vec![1.0; 100], 3).is_err());

    // An ensemble of models that knew the oldest rows only is no forward chaining.
    let error = CrossFit::new(3, Cut::InOrder).unwrap().ensemble().unwrap_err();
    assert!(error.to_string().contains("forward chaining"), "{error}");

    let x = Array2::<f64>::zeros((100, 1));
    let data = Dataset::new(&x, &labels).unwrap();
    let pipeline = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    let error = pipeline.cross_fit(five()).fit(&data).unwrap_err();
    assert!(matches!(error, Error::FoldOfOneClass { fold: 4, of: 5, .. }), "{error}");
}

/// Knows every row it has seen, and guesses for the others.
#[derive(Debug, Clone)]
struct Memoriser;

#[derive(Debug)]
struct Memory(HashMap<Vec<u64>, bool>);

fn key(x: FeaturesView<'_>, row: usize) -> Vec<u64> {
    let FeaturesView::F64(Matrix::Dense(x)) = x else { panic!("dense rows only") };
    x.row(row).iter().map(|value| value.to_bits()).collect()
}

impl Model for Memoriser {
    type Fitted = Memory;
    fn fit(&self, train: &Dataset<'_>, _: &dyn Loss, _: &Run) -> Result<Memory> {
        let x = train.features();
        Ok(Memory((0..train.rows()).map(|row| (key(x, row), train.labels()[row])).collect()))
    }
}

impl Predict for Memory {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        for (row, out) in out.iter_mut().enumerate() {
            let key = key(x, row);
            let guess = Seed::new(1).child(&format!("{key:?}")).value() as f64 / 2_f64.powi(64);
            *out = match self.0.get(&key) {
                Some(true) => 6.0,
                Some(false) => -6.0,
                None => 12.0 * guess - 6.0,
            };
        }
        Ok(())
    }
}

#[test]
fn a_model_that_memorises_rows_looks_random_out_of_fold() {
    let data = log(6_000, 0.1, 1).dataset;
    let [positives, negatives] = [data.totals().positives, data.totals().negatives];
    // The standard error of the AUC of scores that say nothing (Mann–Whitney).
    let (p, n) = (positives as f64, negatives as f64);
    let error = ((p + n + 1.0) / (12.0 * p * n)).sqrt();
    let configs = [five(), five().ensemble().unwrap(), CrossFit::new(4, Cut::InOrder).unwrap()];
    for config in configs {
        let recorder = Recorder::new(PlattScaling::new());
        let pipeline =
            Pipeline::new(Memoriser).calibrator(recorder.clone()).cross_fit(config.clone());
        let fitted = pipeline.fit(&data).unwrap();
        let (logits, labels, _) = recorder.rows();
        let auc = roc_auc(&labels, &logits, None).unwrap();
        // Forward chaining judges 4 of 5 blocks.
        let error = error * (data.rows() as f64 / labels.len() as f64).sqrt();
        assert!((auc - 0.5).abs() < 3.0 * error, "{config:?}: {auc} ± {error}");
        // So the map knows that the logits say nothing: all probabilities are near the rate, though the
        // model itself knows the training rows.
        let map = fitted.calibration();
        assert!(map.slope().abs() < 0.1, "{config:?}: {}", map.slope());
        let in_sample = fitted.logits(data.features()).unwrap();
        assert!(roc_auc(data.labels(), &in_sample, None).unwrap() > 0.85);
    }
    // What would have happened without folds: a map that believes in the memory.
    let leaked =
        Pipeline::new(Memoriser).calibrator(PlattScaling::new()).fit_with(&data, &data).unwrap();
    assert!(leaked.calibration().slope() > 0.5);
}

/// Under-samples, and notes the ids of the rows it was shown: attributes travel into the folds.
#[derive(Debug, Clone)]
struct Watched(RandomUnderSampler, Arc<Mutex<Vec<Vec<f64>>>>);

impl Sampler for Watched {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        self.1.lock().unwrap().push(data.numbers("id")?.to_vec());
        self.0.resample(data, run)
    }
}

#[test]
fn the_sampler_acts_inside_the_training_folds_only() {
    let data = log(10_000, 0.03, 2).dataset;
    let ids: Vec<f64> = (0..data.rows()).map(|row| row as f64).collect();
    // A weight that tells the row, to see it again at the calibrator.
    let weights: Vec<f64> = ids.iter().map(|id| 1.0 + id / 1e4).collect();
    let data = data.with_attribute("id", Attribute::numbers(ids)).unwrap();
    let data = data.with_weights(&weights).unwrap();
    let all = data.totals();

    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorder = Recorder::new(PlattScaling::new());
    let fitted = Pipeline::new(LogisticRegression::new())
        .sampler(Watched(under(4.0), Arc::clone(&seen)))
        .calibrator(recorder.clone())
        .cross_fit(five())
        .seed(3)
        .fit(&data)
        .unwrap();

    let report = fitted.report();
    assert_eq!((report.folds.len(), report.members), (5, 1));
    assert_eq!(report.train, all);
    for fold in &report.folds {
        assert_eq!(fold.train.rows() + fold.judged.rows(), all.rows());
        assert_eq!(fold.train.positives + fold.judged.positives, all.positives);
        // Sampled where it trains, untouched where it judges.
        assert_eq!(fold.sample.positives, fold.train.positives);
        assert_eq!(fold.sample.negatives, 4 * fold.train.positives);
        assert!(fold.judged.negatives.abs_diff(all.negatives / 5) <= 1);
    }
    let judged: usize = report.folds.iter().map(|fold| fold.judged.rows()).sum();
    assert_eq!(judged, data.rows());
    let pooled = report.calibration.unwrap();
    assert_eq!((pooled.positives, pooled.negatives), (all.positives, all.negatives));
    assert!((pooled.weight() / all.weight() - 1.0).abs() < 1e-12);

    // Each row calibrates once, with its own label and weight.
    let (_, labels, used) = recorder.rows();
    let mut rows: Vec<(f64, bool)> = used.unwrap().into_iter().zip(labels).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert!(rows.iter().map(|row| row.0).eq(weights.iter().copied()));
    assert!(rows.iter().map(|row| row.1).eq(data.labels().iter().copied()));

    // Six samplings: five folds', disjoint from what the fold judges, and the refit's.
    let seen = seen.lock().unwrap();
    let folds = Folds::stratified(data.labels(), 5, Seed::new(3).child("folds")).unwrap();
    assert_eq!(seen.len(), 6);
    for (split, seen) in folds.splits().zip(seen.iter()) {
        assert!(seen.iter().map(|id| *id as usize).eq(split.train().iter().copied()));
    }
    assert_eq!(seen[5].len(), data.rows());
}

/// Knows the log-odds of the rows it was trained on, under the weights of its loss, and nothing else.
#[derive(Debug, Clone)]
struct BaseRate;

impl Predict for BaseRateOf {
    fn logits_into(&self, _: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        out.fill(self.0);
        Ok(())
    }
}

#[derive(Debug)]
struct BaseRateOf(f64);

impl Model for BaseRate {
    type Fitted = BaseRateOf;
    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, _: &Run) -> Result<BaseRateOf> {
        // The maps of the losses below are shifts: z = log-odds less the shift.
        Ok(BaseRateOf(train.totals().log_odds() - loss.posterior().log_odds(0.0)))
    }
}

#[test]
fn logits_of_all_folds_are_on_the_scale_of_the_model_served() {
    // The rate falls with time, so that in forward chaining the constants of sampler and loss differ
    // between the folds.
    let rows = 12_000;
    let labels: Vec<bool> = (0..rows).map(|row| row % (10 + row / 100) == 0).collect();
    let x = Array2::<f64>::zeros((rows, 1));
    let data = Dataset::new(&x, &labels).unwrap();
    for (sampled, weighted) in [(true, false), (false, true), (true, true)] {
        let sampler: Box<dyn Sampler> =
            if sampled { Box::new(under(3.0)) } else { Box::new(NoSampling) };
        let loss: Box<dyn Loss> =
            if weighted { Box::new(WeightedLogLoss::balanced()) } else { Box::new(LogLoss) };
        let recorder = Recorder::new(PlattScaling::new());
        let fitted = Pipeline::new(BaseRate)
            .sampler(sampler)
            .loss(loss)
            .calibrator(recorder.clone())
            .cross_fit(CrossFit::new(3, Cut::InOrder).unwrap())
            .fit(&data)
            .unwrap();
        let (logits, ..) = recorder.rows();
        let served = fitted.model().0;
        for (part, logits) in logits.chunks_exact(3_000).enumerate() {
            // A fold's logit stands for the log-odds of the rows before it, in the terms of the model
            // served, which stands for those of all rows.
            let before = data.select(&(0..3_000 * (part + 1)).collect::<Vec<_>>()).unwrap();
            let expected = served + before.totals().log_odds() - data.totals().log_odds();
            for logit in logits {
                assert!((logit - expected).abs() < 1e-12, "{part}: {logit} for {expected}");
            }
        }
        // Untranslated they would all be the sample's log-odds: ln(1/3), or 0 with balanced weights.
        let raw = if weighted { 0.0 } else { (1.0_f64 / 3.0).ln() };
        assert!((served - raw).abs() < 1e-12);
    }
}

#[test]
fn calibrated_means_are_right_for_refit_ensemble_and_forward_chaining() {
    for seed in [1, 2] {
        let log = log(60_000, 0.02, seed);
        let split = Split::stratified(log.dataset.labels(), 0.5, seed).unwrap();
        let (train, test) = log.dataset.split(&split).unwrap();
        let truth: f64 = split.test().iter().map(|&row| log.probabilities[row]).sum();
        let configs = [five(), five().ensemble().unwrap(), CrossFit::new(3, Cut::InOrder).unwrap()];
        let losses = || [Box::new(LogLoss) as Box<dyn Loss>, Box::new(WeightedLogLoss::balanced())];
        for (config, loss) in configs.iter().flat_map(|config| losses().map(|loss| (config, loss)))
        {
            let name = format!("seed {seed}, {config:?}, {loss:?}");
            let fitted = Pipeline::new(LogisticRegression::new())
                .sampler(under(5.0))
                .loss(loss)
                .calibrator(PlattScaling::new())
                .cross_fit(config.clone())
                .seed(seed)
                .fit(&train)
                .unwrap();
            let p: f64 = fitted.probabilities(test.features()).unwrap().iter().sum();
            let report = fitted.report();
            // The map's mean is that of the clicks it learned from (Poisson: relative variance 1/n₊),
            // measured on other rows against their truth. Where a model is refitted, its intercept
            // differs from the folds' by their drawing of negatives: 1/n₋ kept, at most.
            let learned = report.calibration.unwrap().positives as f64;
            let error = (1.0 / learned + 1.0 / report.sample.negatives as f64).sqrt();
            let ratio = p / truth;
            assert!((ratio - 1.0).abs() < 3.0 * error, "{name}: {ratio} ± {error}");

            // Each fold was judged by a map of others: those clicks and its own vary.
            for (i, fold) in report.folds.iter().enumerate() {
                let own = fold.judged.positives as f64;
                let Ok(ratio) = fold.predicted_over_observed else {
                    assert!(i == 0 && report.folds.len() == 3, "{name}: fold {i} was not judged");
                    continue;
                };
                let others = if report.folds.len() == 3 { own * i as f64 } else { learned - own };
                let kept = fold.sample.negatives as f64;
                let error = (1.0 / own + 1.0 / others + 1.0 / kept).sqrt();
                // 28 folds in all: 3.5 standard errors keep a false alarm at 1 %; the seeds are fixed.
                assert!((ratio - 1.0).abs() < 3.5 * error, "{name}, fold {i}: {ratio} ± {error}");
            }
        }
    }
}

#[test]
fn one_model_is_refitted_on_all_rows_or_the_folds_models_are_served() {
    let data = log(8_000, 0.05, 4).dataset;
    let pipeline = Pipeline::new(LogisticRegression::new())
        .sampler(under(5.0))
        .calibrator(PlattScaling::new())
        .seed(9);

    // The refit is the model that the pipeline without calibration fits.
    let refit = pipeline.clone().cross_fit(five()).fit(&data).unwrap();
    let plain = pipeline.clone().calibrator(Uncalibrated).fit(&data).unwrap();
    assert_eq!(refit.model(), plain.model());
    assert_eq!(refit.members().count(), 1);
    assert!(refit.report().to_string().contains("one model, refitted on all rows"));

    // An ensemble: the mean of its members' probabilities, for many rows and for one.
    let ensemble = pipeline.clone().cross_fit(five().ensemble().unwrap()).fit(&data).unwrap();
    assert_eq!((ensemble.members().count(), ensemble.report().members), (5, 5));
    let p = ensemble.probabilities(data.features()).unwrap();
    let z = ensemble.logits(data.features()).unwrap();
    let FeaturesView::F64(Matrix::Dense(x)) = data.features() else { panic!("dense") };
    for row in [0, 4095, 4096, 7_999] {
        let features = x.row(row);
        let features = Row::from(features.to_slice().unwrap());
        let logits: Vec<f64> =
            ensemble.members().map(|(model, _)| model.logit(features).unwrap()).collect();
        let mean: f64 = ensemble
            .members()
            .zip(&logits)
            .map(|((_, map), &logit)| map.probability(logit))
            .sum::<f64>()
            / 5.0;
        assert_eq!(p[row], mean);
        assert_eq!(ensemble.probability(features).unwrap(), mean);
        assert!((z[row] - logits.iter().sum::<f64>() / 5.0).abs() < 1e-12);
    }
    let mut out = vec![0.0; data.rows()];
    ensemble.probabilities_into(data.features(), &mut out).unwrap();
    assert_eq!(out, p);
    assert_eq!(ensemble.probabilities_of(&data).unwrap(), p);

    // By convexity the ensemble's log loss is at most its members' on average, on any rows.
    let members: f64 = ensemble
        .members()
        .map(|(model, map)| {
            let mut logits = vec![0.0; data.rows()];
            model.logits_into(data.features(), &mut logits).unwrap();
            let p = map.probabilities(&logits).unwrap();
            log_loss(data.labels(), &p, None).unwrap() / 5.0
        })
        .sum();
    assert!(log_loss(data.labels(), &p, None).unwrap() <= members);
}

#[test]
fn a_calibrator_that_does_not_learn_needs_folds_only_for_an_ensemble() {
    let data = log(8_000, 0.05, 4).dataset;
    let pipeline = Pipeline::new(LogisticRegression::new())
        .sampler(under(5.0))
        .calibrator(PriorCorrection::new());
    let plain = pipeline.fit(&data).unwrap();
    let refit = pipeline.clone().cross_fit(five()).fit(&data).unwrap();
    assert_eq!(refit.report(), plain.report());
    assert_eq!(
        refit.probabilities(data.features()).unwrap(),
        plain.probabilities(data.features()).unwrap()
    );

    // Each member undoes its own sampling, whose realised shift differs from the others'.
    let ensemble = pipeline.cross_fit(five().ensemble().unwrap()).fit(&data).unwrap();
    for ((_, map), fold) in ensemble.members().zip(&ensemble.report().folds) {
        let shift = (fold.train.negatives as f64 / fold.sample.negatives as f64).ln();
        assert!((map.log_odds() - shift).abs() < 1e-12);
    }
    let p = ensemble.probabilities(data.features()).unwrap();
    let ratio = predicted_over_observed(data.labels(), &p, None).unwrap();
    // On its own training rows: only the negatives left out by each member vary, about 1,600 kept.
    assert!((ratio - 1.0).abs() < 3.0 / 1600_f64.sqrt(), "{ratio}");
}

#[test]
fn offsets_and_given_distortions_flow() {
    let data = log(8_000, 0.05, 5).dataset;
    let known: Vec<f64> = (0..data.rows()).map(|row| (row as f64).sin()).collect();
    let with = data.view().with_offsets(&known).unwrap();
    let recorder = Recorder::new(PlattScaling::new());
    let pipeline = Pipeline::new(BaseRate)
        .calibrator(recorder.clone())
        .cross_fit(CrossFit::new(3, Cut::InOrder).unwrap());
    pipeline.fit(&with).unwrap();
    let (logits, ..) = recorder.rows();
    // The model says one number in each fold; the rest is the offset of the row.
    for fold in [0..2_000, 2_000..4_000, 4_000..6_000] {
        let own = logits[fold.start] - known[2_000 + fold.start];
        for row in fold {
            assert!((logits[row] - own - known[2_000 + row]).abs() < 1e-12);
        }
    }

    // Rows that were thinned out before teach no calibrator, in folds or not.
    let thinned = data.with_distortion(Distortion::PriorShift { log_odds: 1.0 });
    let error = pipeline.fit(&thinned).unwrap_err();
    assert!(matches!(error, Error::DistortedCalibration { .. }), "{error}");
}

#[test]
fn boxed_stages_and_any_number_of_threads_give_the_same_bits() {
    let data = log(8_000, 0.05, 6).dataset;
    for config in [five(), five().ensemble().unwrap(), CrossFit::new(3, Cut::InOrder).unwrap()] {
        let fit = || {
            let fitted = Pipeline::new(LogisticRegression::new())
                .sampler(under(5.0))
                .loss(WeightedLogLoss::balanced())
                .calibrator(PlattScaling::new())
                .cross_fit(config.clone())
                .fit(&data)
                .unwrap();
            (fitted.probabilities(data.features()).unwrap(), fitted.report().clone())
        };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(fit)
        };
        let one = on(1);
        for threads in [2, 3, 7] {
            assert!(on(threads) == one, "{config:?}, {threads} threads");
        }
        let boxed: DynPipeline = Pipeline::new(Model::boxed(LogisticRegression::new()))
            .sampler(Box::new(under(5.0)) as Box<_>)
            .loss(Box::new(WeightedLogLoss::balanced()) as Box<_>)
            .calibrator(PlattScaling::new().boxed())
            .cross_fit(config.clone());
        let boxed = boxed.fit(&data).unwrap();
        assert_eq!(boxed.probabilities(data.features()).unwrap(), one.0);
        assert_eq!(boxed.report().to_string(), one.1.to_string());
    }
}

#[test]
fn the_report_and_the_observer_tell_of_folds() {
    let data = log(8_000, 0.05, 7).dataset;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&seen);
    let pipeline = Pipeline::new(LogisticRegression::new())
        .sampler(under(5.0))
        .calibrator(PlattScaling::new())
        .cross_fit(CrossFit::new(2, Cut::Stratified).unwrap())
        .observer(move |progress| {
            match progress {
                Progress::Fold { fold, of, .. } => {
                    events.lock().unwrap().push(format!("{fold}/{of}"));
                }
                Progress::Stage { name, .. } => events.lock().unwrap().push((*name).into()),
                _ => {}
            }
            ControlFlow::Continue(())
        });
    let fitted = pipeline.fit(&data).unwrap();
    let text = fitted.report().to_string();
    let fold = &fitted.report().folds[1];
    for part in [
        format!("out of fold  8000 rows, {} positive", data.totals().positives),
        format!(
            "fold 2     {} of {} rows trained, {} judged, {} positive; predicted / observed {:.4}",
            fold.sample.rows(),
            fold.train.rows(),
            fold.judged.rows(),
            fold.judged.positives,
            fold.predicted_over_observed.as_ref().unwrap()
        ),
    ] {
        assert!(text.contains(&part), "no `{part}` in\n{text}");
    }
    let (sampling, fitting) = ("sampling", "fitting");
    let expected =
        ["1/2", sampling, fitting, "2/2", sampling, fitting, sampling, fitting, "calibrating"];
    assert_eq!(*seen.lock().unwrap(), expected);

    let stop = pipeline.observer(|progress| match progress {
        Progress::Fold { fold: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let error = stop.fit(&data).unwrap_err();
    assert!(matches!(&error, Error::Cancelled { during } if during.starts_with("fold 2 of 2")));
}

#[test]
fn rows_in_any_order_are_cut_by_their_times() {
    let ordered = log(8_000, 0.05, 9).dataset;
    // 7 and 8,000 have no common divisor: every row once, far from its place.
    let shuffled: Vec<usize> = (0..8_000).map(|row| row * 7 % 8_000).collect();
    let shuffled = ordered.select(&shuffled).unwrap();
    let pipeline = Pipeline::new(BaseRate).calibrator(PlattScaling::new());
    let fit = |data: &Dataset<'_>| {
        let forward =
            pipeline.clone().cross_fit(CrossFit::new(3, Cut::by_time("day")).unwrap()).fit(data);
        let held_out =
            pipeline.clone().hold_out(HoldOut::new(0.2, Cut::by_time("day")).unwrap()).fit(data);
        (forward.unwrap().report().clone(), held_out.unwrap().report().clone())
    };
    let [(forward, held_out), (forward_shuffled, held_out_shuffled)] =
        [fit(&ordered), fit(&shuffled)];
    for (a, b) in forward.folds.iter().zip(&forward_shuffled.folds) {
        assert_eq!((a.train, a.judged), (b.train, b.judged));
    }
    assert_eq!(held_out.train, held_out_shuffled.train);
    assert_eq!(held_out.calibration, held_out_shuffled.calibration);
    // Days are never cut in two: of 14 the last 2 are held out, as 3 would be more than a fifth.
    let day = ordered.numbers("day").unwrap();
    let last = day.iter().filter(|day| **day >= 12.0).count();
    assert_eq!(held_out.calibration.unwrap().rows(), last);

    let error = CrossFit::new(3, Cut::by_time("day")).unwrap().ensemble().unwrap_err();
    assert!(error.to_string().contains("forward chaining"), "{error}");
    assert!(
        CrossFit::new(1, Cut::by_time("day")).is_err()
            && HoldOut::new(0.0, Cut::by_time("day")).is_err()
    );
    let wrong = |name: &str| {
        let forward = CrossFit::new(3, Cut::by_time(name)).unwrap();
        let held_out = HoldOut::new(0.2, Cut::by_time(name)).unwrap();
        [
            pipeline.clone().cross_fit(forward).fit(&ordered).unwrap_err(),
            pipeline.clone().hold_out(held_out).fit(&ordered).unwrap_err(),
        ]
    };
    assert!(wrong("hour").iter().all(|error| matches!(error, Error::UnknownColumn { .. })));
    assert!(wrong("device").iter().all(|error| matches!(error, Error::ColumnKind { .. })));
}

/// A model whose fit says that it was called.
#[derive(Debug, Clone)]
struct Unwanted;

impl Model for Unwanted {
    type Fitted = BaseRateOf;
    fn fit(&self, _: &Dataset<'_>, _: &dyn Loss, _: &Run) -> Result<BaseRateOf> {
        panic!("the model was fitted, though its rows cannot be calibrated")
    }
}

#[test]
fn what_cannot_be_calibrated_is_refused_before_a_model_is_fitted() {
    let data = log(2_000, 0.1, 1).dataset;
    let thinned = data.view().with_distortion(Distortion::PriorShift { log_odds: 1.0 });
    let learning = Pipeline::new(Unwanted).calibrator(PlattScaling::new());
    for refused in [
        learning.fit(&thinned),
        learning.clone().cross_fit(five()).fit(&thinned),
        learning.fit_with(&data, &thinned),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::DistortedCalibration { .. }), "{error}");
    }
    let recent = imbalance::sampling::Rule::number("last_active_days").at_most(3.0);
    let closed_form = Pipeline::new(Unwanted)
        .sampler(RuleSampler::filter(recent).unwrap())
        .calibrator(PriorCorrection::new());
    assert!(matches!(closed_form.fit(&data), Err(Error::NoClosedForm { .. })));
}

#[test]
fn a_fold_that_cannot_be_judged_says_why() {
    let data = log(4_000, 0.1, 3).dataset;
    let pipeline = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    let forward =
        pipeline.clone().cross_fit(CrossFit::new(3, Cut::InOrder).unwrap()).fit(&data).unwrap();
    let folds = &forward.report().folds;
    assert_eq!(folds[0].predicted_over_observed, Err("no fold comes before it".into()));
    assert!(folds[1..].iter().all(|fold| fold.predicted_over_observed.is_ok()));
    assert!(forward.to_string().contains("not known: no fold comes before it"));

    // A calibrator that fails on small samples: its own words.
    #[derive(Debug, Clone)]
    struct Demanding;
    impl Calibrator for Demanding {
        type Map = PlattMap;
        fn needs_rows(&self) -> bool {
            true
        }
        fn fit(
            &self,
            training: &TrainingContext,
            rows: Option<&CalibrationSet<'_>>,
        ) -> Result<Calibration<PlattMap>> {
            if rows.is_none_or(|rows| rows.rows() < 3_500) {
                return Err(Error::NoRows { what: "a demanding calibrator" });
            }
            PlattScaling::new().fit(training, rows)
        }
    }
    let demanding = pipeline.calibrator(Demanding).cross_fit(five()).fit(&data).unwrap();
    for fold in &demanding.report().folds {
        assert_eq!(fold.predicted_over_observed, Err("a demanding calibrator has no rows".into()));
    }
}

#[test]
fn plain_scores_are_cross_fitted_row_by_row() {
    let log = log(20_000, 0.05, 8);
    let (truth, labels) = (&log.probabilities, log.dataset.labels());
    let weights: Vec<f64> = (0..labels.len()).map(|row| 1.0 + (row % 3) as f64).collect();
    // A model trained elsewhere: too sure, and shifted.
    let logits: Vec<f64> = truth.iter().map(|p| 2.0 * (p / (1.0 - p)).ln() + 3.0).collect();
    let scored =
        CalibrationSet::from_logits(&logits, labels).unwrap().with_weights(&weights).unwrap();
    let folds = Folds::stratified(labels, 5, 1).unwrap();
    let training = TrainingContext::default();
    let (rows, p) = cross_fit(&PlattScaling::new(), &training, &scored, &folds).unwrap();
    assert_eq!(rows.len(), labels.len());

    // The second fold, by hand.
    let split = folds.splits().nth(1).unwrap();
    let pick = |column: &[f64]| -> Vec<f64> { split.train().iter().map(|&r| column[r]).collect() };
    let own: Vec<bool> = split.train().iter().map(|&row| labels[row]).collect();
    let others = CalibrationSet::from_logits(pick(&logits), own)
        .unwrap()
        .with_weights(pick(&weights))
        .unwrap();
    let map = PlattScaling::new().learn(&others).unwrap();
    let start = rows.iter().position(|row| *row == split.test()[0]).unwrap();
    for (i, &row) in split.test().iter().enumerate() {
        assert_eq!(rows[start + i], row);
        assert_eq!(p[start + i], map.probability(logits[row]));
    }

    // Against the truth of the same rows: two maps' parameters from 1,000 clicks, weighted 1 to 3.
    let predicted: f64 = rows.iter().zip(&p).map(|(&row, p)| weights[row] * p).sum();
    let expected: f64 = truth.iter().zip(&weights).map(|(p, w)| w * p).sum();
    let squares: f64 = truth.iter().zip(&weights).map(|(p, w)| w * w * p).sum();
    let error = squares.sqrt() / expected;
    assert!((predicted / expected - 1.0).abs() < 3.0 * error, "{}", predicted / expected);

    let folds = Folds::stratified(&labels[1..], 5, 1).unwrap();
    assert!(matches!(
        cross_fit(&PlattScaling::new(), &training, &scored, &folds),
        Err(Error::LengthMismatch { .. })
    ));
    let thinned = scored.with_distortion(Distortion::PriorShift { log_odds: 1.0 });
    let folds = Folds::stratified(labels, 5, 1).unwrap();
    assert!(matches!(
        cross_fit(&PlattScaling::new(), &training, &thinned, &folds),
        Err(Error::DistortedCalibration { .. })
    ));
}

/// Rows of a group stay together in splits, hold-outs and cross-fits, whether its name is a text or a number.
#[test]
fn groups_are_never_separated() {
    let rows = 3_000;
    let user = |row: usize| row * 7919 % 300;
    let log = SyntheticClicks::new(rows, 0.1).unwrap().numeric(2).categorical(&[]);
    let data = log.generate(3).unwrap().dataset;
    let texts = Attribute::categories((0..rows).map(|row| format!("user {}", user(row))));
    let numbers = Attribute::numbers((0..rows).map(|row| user(row) as f64).collect::<Vec<_>>());
    let data =
        data.with_attribute("name", texts).unwrap().with_attribute("number", numbers).unwrap();
    let users = |part: &Dataset<'_>| -> HashSet<u64> {
        part.numbers("number").unwrap().iter().map(|user| user.to_bits()).collect()
    };
    for attribute in ["name", "number"] {
        let cut = Cut::by_group(attribute);
        let (train, test) = data.cut(&cut, 0.25, 5).unwrap();
        assert!(users(&train).is_disjoint(&users(&test)));
        // Groups of 10 rows: within one of them of the share, and so are the positives.
        assert!(test.rows().abs_diff(rows / 4) <= 10, "{}", test.rows());
        let share = test.totals().positives as f64 / data.totals().positives as f64;
        assert!((share - 0.25).abs() < 0.03, "{share}");

        for split in data.folds(&cut, 5, 5).unwrap().splits() {
            let (train, test) = data.split(&split).unwrap();
            assert!(users(&train).is_disjoint(&users(&test)));
        }
        let pipeline = || Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
        let held_out = pipeline().hold_out(HoldOut::new(0.2, cut.clone()).unwrap());
        let calibrated = held_out.fit(&data).unwrap().report().calibration.unwrap();
        assert!(calibrated.rows().abs_diff(rows / 5) <= 10, "{}", calibrated.rows());
        let crossed = pipeline().cross_fit(CrossFit::new(4, cut).unwrap().ensemble().unwrap());
        let report = crossed.fit(&data).unwrap().report().clone();
        assert_eq!((report.folds.len(), report.members), (4, 4));
        assert_eq!(report.calibration.unwrap().rows(), rows);
    }
    let error = data.cut(&Cut::by_group("nobody"), 0.25, 5).unwrap_err();
    assert!(matches!(error, Error::UnknownColumn { .. }), "{error}");
    let one = data.with_attribute("one", Attribute::numbers(vec![1.0; rows])).unwrap();
    let error = one.cut(&Cut::by_group("one"), 0.25, 5).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    let error = one.folds(&Cut::by_group("one"), 2, 5).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
}
