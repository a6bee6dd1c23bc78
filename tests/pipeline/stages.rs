//! The thread from the sampler to the probability, end to end.

use std::ops::ControlFlow;
use std::sync::Arc;

use imbalance::FittedPipeline;
use imbalance::Matrix;
use imbalance::Precision;
use imbalance::calibration::as_printed::LinearPriorScaling;
use imbalance::calibration::{Calibration, CalibrationMap, PriorMap, TrainingContext};
use imbalance::calibration::{
    CalibrationSet, IsotonicRegression, TemperatureScaling, Uncalibrated,
};
use imbalance::loss::{FocalLoss, WeightedLogLoss};
use imbalance::metrics::{normalised_entropy, predicted_over_observed};
use imbalance::model::{FittedLogisticRegression, RareEvents};
use imbalance::ndarray::Array2;
use imbalance::pipeline::Report;
use imbalance::prelude::*;
use imbalance::sampling::Resample;
use imbalance::sampling::{LocalCaseControl, NoSampling, Pilot};
use imbalance::sprs::CsMat;
use imbalance::{FeaturesView, Progress};

type Corrected = Pipeline<RandomUnderSampler, LogLoss, LogisticRegression, PriorCorrection>;

fn corrected(negatives: f64) -> Corrected {
    Pipeline::new(LogisticRegression::new())
        .sampler(RandomUnderSampler::negatives_per_positive(negatives).unwrap())
        .calibrator(PriorCorrection::new())
        .seed(7)
}

fn small_log() -> Dataset<'static> {
    let clicks = SyntheticClicks::new(20_000, 0.02).unwrap().categorical(&[12, 40]);
    clicks.generate(3).unwrap().dataset
}

fn dense_log() -> Dataset<'static> {
    let clicks = SyntheticClicks::new(20_000, 0.02).unwrap().numeric(9).categorical(&[]);
    clicks.generate(3).unwrap().dataset
}

/// The promise of the crate, on a million rows at 0.2 %.
#[test]
fn corrected_probabilities_are_right_for_the_population() {
    for seed in [1, 2, 3] {
        let log = SyntheticClicks::new(1_000_000, 0.002)
            .unwrap()
            .precision(Precision::F32)
            .generate(seed)
            .unwrap();
        let split = Split::stratified(log.dataset.labels(), 0.3, seed).unwrap();
        let (train, test) = log.dataset.split(&split).unwrap();
        let pipeline = corrected(10.0).seed(seed);
        let fitted = pipeline.fit(&train).unwrap();
        let p = fitted.probabilities(test.features()).unwrap();

        // The relative variance of predicted / observed is 1/n₊ from the clicks that came among the
        // test rows (Poisson, as they are rare), 1/n₊ from those among the training rows, which fix
        // the model's mean, and 1/n₋ from the negatives kept. About 600, 1,400 and 14,000: 5 %.
        let [came, learned] = [test.totals(), train.totals()].map(|t| t.positives as f64);
        let kept = fitted.report().sample.negatives as f64;
        let error = (1.0 / came + 1.0 / learned + 1.0 / kept).sqrt();
        let ratio = predicted_over_observed(test.labels(), &p, None).unwrap();
        assert!((ratio - 1.0).abs() < 3.0 * error, "seed {seed}: {ratio} ± {error}");

        // Against the true probabilities the first term is gone.
        let truth: f64 = split.test().iter().map(|&row| log.probabilities[row]).sum();
        let ratio = p.iter().sum::<f64>() / truth;
        let error = (1.0 / learned + 1.0 / kept).sqrt();
        assert!((ratio - 1.0).abs() < 3.0 * error, "seed {seed}: {ratio} ± {error} of the truth");

        let everything = Pipeline::new(LogisticRegression::new()).fit(&train).unwrap();
        let full = everything.probabilities(test.features()).unwrap();
        let [full, sampled] =
            [full, p].map(|p| normalised_entropy(test.labels(), &p, None).unwrap());
        assert!(full < 0.95, "seed {seed}: the log has a signal, NE {full}");
        assert!((sampled / full - 1.0).abs() < 0.02, "seed {seed}: NE {sampled} against {full}");

        // And what all this is for: uncorrected, the promise is many times too high.
        let logits = fitted.logits(test.features()).unwrap();
        let uncorrected: f64 = logits.iter().map(|&z| Uncalibrated.probability(z)).sum();
        assert!(uncorrected > 10.0 * truth);
    }
}

#[test]
fn weighting_needs_no_correction_and_correcting_it_changes_nothing() {
    let data = small_log();
    let (train, test) = data.stratified_split(0.5, 5).unwrap();
    let sampler = RandomUnderSampler::rate(0.2).unwrap().reweight(true);
    let weighted = Pipeline::new(LogisticRegression::new()).sampler(sampler).seed(1);
    let fitted = weighted.fit(&train).unwrap();
    let p = fitted.probabilities(test.features()).unwrap();
    let [came, learned] = [test.totals(), train.totals()].map(|t| t.positives as f64);
    // As above, with the 20 % of negatives that were kept: about 2,000.
    let error = (1.0 / came + 1.0 / learned + 1.0 / fitted.report().sample.negatives as f64).sqrt();
    let ratio = predicted_over_observed(test.labels(), &p, None).unwrap();
    assert!((ratio - 1.0).abs() < 3.0 * error, "{ratio} ± {error}");

    let both = weighted.calibrator(PriorCorrection::new()).fit(&train).unwrap();
    assert_eq!(both.probabilities(test.features()).unwrap(), p);
    assert_eq!(both.calibration().log_odds(), 0.0);
}

/// The probabilities of pipelines that sample, fit and calibrate many blocks of rows.
fn probabilities_of_many_blocks(data: &Dataset<'_>) -> [Vec<f64>; 2] {
    // Blocks have 4,096 rows, whatever the threads: at least 16 of them are sampled, so that sums in another
    // order would show.
    let sampler = RandomUnderSampler::rate(0.8).unwrap();
    let fitted = Pipeline::new(LogisticRegression::new())
        .sampler(sampler)
        .calibrator(PriorCorrection::new())
        .seed(7)
        .fit(data)
        .unwrap();
    assert!(fitted.report().sample.rows() >= 16 * 4096);
    let held_out = Pipeline::new(LogisticRegression::new())
        .sampler(sampler)
        .calibrator(PlattScaling::new())
        .fit(data)
        .unwrap();
    assert!(held_out.report().sample.rows() >= 16 * 4096);
    let x = data.features();
    [fitted.probabilities(x).unwrap(), held_out.probabilities(x).unwrap()]
}

/// `.ci/run` compares what this prints in builds with and without the `rayon` feature. (Between machines the
/// last bits may differ, by their `exp` and `ln`.)
#[test]
fn bits_are_printed_to_compare_builds() {
    let clicks = SyntheticClicks::new(110_000, 0.02).unwrap().categorical(&[12, 40]);
    let data = clicks.generate(5).unwrap().dataset;
    let hash = |p: [Vec<f64>; 2]| {
        let mut hash = Seed::new(0);
        for p in p.iter().flatten() {
            hash = Seed::new(hash.value() ^ p.to_bits()).child("next");
        }
        hash.value()
    };
    let bits = hash(probabilities_of_many_blocks(&data));
    assert_ne!(bits, hash(probabilities_of_many_blocks(&dense_blocks())));
    println!("bits {bits:016x}");
}

fn dense_blocks() -> Dataset<'static> {
    let clicks = SyntheticClicks::new(110_000, 0.02).unwrap().numeric(9).categorical(&[]);
    clicks.generate(3).unwrap().dataset
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let sparse = SyntheticClicks::new(110_000, 0.02).unwrap().categorical(&[12, 40]);
    for data in [sparse.generate(3).unwrap().dataset, dense_blocks()] {
        let run = || probabilities_of_many_blocks(&data);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(run)
        };
        let one = on(1);
        for threads in [2, 3, 7] {
            assert!(on(threads) == one, "{threads} threads");
        }
    }
}

#[test]
fn large_hessians_give_the_same_bits_on_any_number_of_threads() {
    // More than 256 columns and several blocks of rows: the sums of the conjugate gradients.
    let clicks = SyntheticClicks::new(30_000, 0.05).unwrap().categorical(&[300, 500]);
    let data = clicks.precision(Precision::F32).generate(1).unwrap().dataset;
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| LogisticRegression::new().fit(&data, &LogLoss, &Run::default()).unwrap())
    };
    let one = fit(1);
    for threads in [2, 3, 7] {
        assert!(fit(threads) == one, "{threads} threads");
    }
}

#[test]
fn dense_and_sparse_agree() {
    let data = dense_log();
    let FeaturesView::F64(Matrix::Dense(x)) = data.features() else {
        panic!("no categorical columns")
    };
    // Zeros in place of small values, so that the sparse matrix really is one.
    let x = x.mapv(|value| if value.abs() < 0.5 { 0.0 } else { value });
    let sparse = CsMat::csr_from_dense(x.view(), 0.0);
    let p = |data: &Dataset<'_>| {
        corrected(5.0).fit(data).unwrap().probabilities(data.features()).unwrap()
    };
    let dense = p(&Dataset::new(&x, data.labels()).unwrap());
    let sparse = p(&Dataset::new(&sparse, data.labels()).unwrap());
    for (a, b) in dense.iter().zip(&sparse) {
        assert!((a - b).abs() <= 1e-10 * a, "{a} {b}");
    }
}

#[test]
fn boxed_stages_are_the_same_pipeline() {
    let data = small_log();
    let fixed = corrected(5.0).fit(&data).unwrap();
    let boxed: DynPipeline = corrected(5.0).boxed();
    let erased = boxed.fit(&data).unwrap();
    assert_eq!(
        fixed.probabilities(data.features()).unwrap(),
        erased.probabilities(data.features()).unwrap()
    );
    assert_eq!(fixed.report(), erased.report());

    // Stages chosen while the program runs share one type.
    let chosen: Vec<DynPipeline> = [true, false]
        .map(|correct| {
            // The type of the features is found from the pipeline's.
            Pipeline::new(LogisticRegression::new().boxed())
                .sampler(Box::new(NoSampling) as Box<dyn Sampler>)
                .loss(Box::new(LogLoss) as Box<dyn Loss>)
                .calibrator(if correct {
                    PriorCorrection::new().boxed()
                } else {
                    Uncalibrated.boxed()
                })
        })
        .into();
    let [a, b] = [&chosen[0], &chosen[1]].map(|pipeline| pipeline.fit(&data).unwrap());
    assert_eq!(
        a.probability(Row::sparse(58, &[0], &[1.0]).unwrap()).unwrap(),
        b.probability(Row::sparse(58, &[0], &[1.0]).unwrap()).unwrap()
    );
}

#[test]
fn the_same_seed_gives_the_same_sample_and_another_gives_another() {
    let data = small_log();
    let p = |seed: u64| {
        corrected(5.0).seed(seed).fit(&data).unwrap().probabilities(data.features()).unwrap()
    };
    assert_eq!(p(1), p(1));
    assert_ne!(p(1), p(2));
}

#[test]
fn a_calibrator_that_learns_gets_untouched_rows_the_model_has_not_seen() {
    let data = small_log();
    let pipeline = Pipeline::new(LogisticRegression::new())
        .sampler(RandomUnderSampler::negatives_per_positive(4.0).unwrap())
        .calibrator(PlattScaling::new())
        .hold_out(HoldOut::new(0.25, Cut::Stratified).unwrap());
    let fitted = pipeline.fit(&data).unwrap();
    let report = fitted.report();
    let held_out = report.calibration.unwrap();
    let all = data.totals();
    assert_eq!(held_out.positives, (0.25 * all.positives as f64).round() as usize);
    assert_eq!(held_out.negatives, (0.25 * all.negatives as f64).round() as usize);
    assert_eq!(report.train.rows() + held_out.rows(), data.rows());
    assert_eq!(report.sample.negatives, 4 * report.train.positives);

    // Platt scaling has undone the sampling without being told of it: on its own rows Σp is the sum
    // of its targets, which is that of the labels but for two rows' worth.
    let split = Split::stratified(data.labels(), 0.25, Seed::new(0).child("hold-out")).unwrap();
    let rows = data.select(split.test()).unwrap();
    assert_eq!(rows.totals(), held_out);
    let p: f64 = fitted.probabilities(rows.features()).unwrap().iter().sum();
    assert!((p - held_out.positives as f64).abs() < 2.0, "{p} for {}", held_out.positives);

    // In order of time, the last rows.
    let fitted =
        pipeline.clone().hold_out(HoldOut::new(0.1, Cut::InOrder).unwrap()).fit(&data).unwrap();
    let last = data.select(&(18_000..20_000).collect::<Vec<_>>()).unwrap();
    assert_eq!(fitted.report().calibration, Some(last.totals()));

    // Given rows: all training rows train.
    let (train, calibration) = data.stratified_split(0.3, 9).unwrap();
    let error = pipeline.fit_with(&train, &calibration).unwrap_err();
    assert!(error.to_string().contains("and `hold_out` too"), "{error}");
    let given = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    let folds = given.clone().cross_fit(CrossFit::new(2, Cut::Stratified).unwrap());
    let error = folds.fit_with(&train, &calibration).unwrap_err();
    assert!(error.to_string().contains("and `cross_fit` too"), "{error}");
    let fitted = given.fit_with(&train, &calibration).unwrap();
    assert_eq!(fitted.report().train, train.totals());
    assert_eq!(fitted.report().calibration, Some(calibration.totals()));

    for share in [0.0, 1.0, f64::NAN] {
        assert!(matches!(HoldOut::new(share, Cut::InOrder), Err(Error::InvalidArgument { .. })));
        assert!(matches!(HoldOut::new(share, Cut::Stratified), Err(Error::InvalidArgument { .. })));
    }
}

/// Gives offsets and says nothing of them.
#[derive(Debug, Clone)]
struct Tacit;

impl Sampler for Tacit {
    fn resample(&self, data: &Dataset<'_>, _: &Run) -> imbalance::Result<Resample> {
        Ok(Resample { offsets: Some(vec![1.0; data.rows()]), ..Resample::identity() })
    }
}

#[test]
fn rows_told_by_offsets_teach_no_calibrator() {
    let log = SyntheticClicks::new(40_000, 0.02).unwrap().numeric(4).categorical(&[]);
    let log = log.generate(11).unwrap();
    let split = Split::stratified(log.dataset.labels(), 0.5, 1).unwrap();
    let (train, rest) = log.dataset.split(&split).unwrap();
    let by_offsets = || LocalCaseControl::new(Pilot::trained(LogisticRegression::new(), LogLoss));
    let thin = RandomUnderSampler::rate(0.5).unwrap();
    let samplers: [Box<dyn Sampler>; 5] = [
        Box::new(by_offsets()),
        Box::new(by_offsets().then(NoSampling)),
        Box::new(thin.then(by_offsets())),
        Box::new(by_offsets().then(thin.reweight(true))),
        Box::new(Tacit),
    ];
    let learning = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    for sampler in samplers {
        let sample = sampler.resample(&rest, &Run::seeded(1)).unwrap().apply(&rest).unwrap();
        assert!(matches!(sample.distortion(), Distortion::Offset { .. }), "{sampler:?}");
        for refused in [
            learning.fit_with(&train, &sample),
            learning.fit(&sample),
            learning.clone().cross_fit(CrossFit::new(3, Cut::Stratified).unwrap()).fit(&sample),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::DistortedCalibration { .. }), "{sampler:?}: {error}");
        }
        // With their own offsets, answers would be the sample's.
        let fitted = Pipeline::new(LogisticRegression::new()).fit(&train).unwrap();
        let error = fitted.probabilities_of(&sample).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{sampler:?}: {error}");
        // A loss that bends log-odds bends offsets, whenever the rows were chosen.
        let bent = Pipeline::new(LogisticRegression::new()).loss(FocalLoss::new(2.0).unwrap());
        let error = bent.calibrator(PriorCorrection::new()).fit(&sample).unwrap_err();
        assert!(
            matches!(&error, Error::BentOffsets { loss, .. } if loss.starts_with("FocalLoss")),
            "{sampler:?}: {error}"
        );
    }

    // A model needs no correction for it, and one for what was done besides.
    for (sampler, odds) in [
        (Box::new(by_offsets()) as Box<dyn Sampler>, 1.0),
        (Box::new(thin.then(by_offsets())), 2.0),
        (Box::new(by_offsets().then(thin)), 2.0),
    ] {
        let fitted = Pipeline::new(LogisticRegression::new())
            .sampler(sampler)
            .calibrator(PriorCorrection::new())
            .fit(&train)
            .unwrap();
        // Half of the negatives, to the nearest row.
        assert!((fitted.calibration().log_odds().exp() / odds - 1.0).abs() < 5e-3);
        let p: f64 = fitted.probabilities(rest.features()).unwrap().iter().sum();
        let truth: f64 = split.test().iter().map(|&row| log.probabilities[row]).sum();
        // Local case-control sampling doubles the variance of the fit to its rows: about 400 clicks and as
        // many negatives were kept.
        let kept = fitted.report().sample;
        let error = (1.0 / kept.positives as f64 + 1.0 / kept.negatives as f64).sqrt();
        assert!((p / truth - 1.0).abs() < 3.0 * error, "{} ± {error}", p / truth);
    }
}

#[test]
fn a_shift_that_is_no_number_is_refused() {
    let data = dense_log();
    let pipeline = corrected(5.0);
    for log_odds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for distortion in [
            Distortion::PriorShift { log_odds },
            Distortion::FeatureDependent { sampler: "S".into(), nominal_log_odds: Some(log_odds) },
            Distortion::Offset { sampler: "S".into(), log_odds },
        ] {
            let error = pipeline.fit(&data.view().with_distortion(distortion.clone())).unwrap_err();
            assert!(
                matches!(error, Error::InvalidArgument { argument: "log_odds", .. }),
                "{distortion}: {error}"
            );
            let training = TrainingContext::new(&LogLoss, distortion);
            let error = PriorCorrection::new().fit(&training, None).unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { argument: "log_odds", .. }));
        }
    }
}

/// A map of a user's own, which answers what it was told to.
#[derive(Debug, Clone)]
struct Says(f64);

impl Calibrator for Says {
    type Map = Self;
    fn needs_rows(&self) -> bool {
        false
    }
    fn fit(
        &self,
        _: &TrainingContext,
        _: Option<&CalibrationSet<'_>>,
    ) -> imbalance::Result<Calibration<Self>> {
        Ok(Calibration::new(self.clone()))
    }
}

impl CalibrationMap for Says {
    fn logit(&self, _: f64) -> f64 {
        f64::NAN
    }
    fn probability(&self, _: f64) -> f64 {
        self.0
    }
}

/// A calibrator that answers something else for logits above 5.
#[derive(Debug, Clone)]
struct OnlyBelow {
    known: f64,
    elsewhere: f64,
}

impl Calibrator for OnlyBelow {
    type Map = Self;
    fn needs_rows(&self) -> bool {
        false
    }
    fn fit(
        &self,
        _: &TrainingContext,
        _: Option<&CalibrationSet<'_>>,
    ) -> imbalance::Result<Calibration<Self>> {
        Ok(Calibration::new(self.clone()))
    }
}

impl CalibrationMap for OnlyBelow {
    fn logit(&self, z: f64) -> f64 {
        z
    }
    fn probability(&self, z: f64) -> f64 {
        if z > 5.0 { self.elsewhere } else { self.known }
    }
}

/// A model whose logit is the first column, and NaN below 0.
#[derive(Debug)]
struct Column;

impl Model for Column {
    type Fitted = Self;
    fn fit(&self, _: &Dataset<'_>, _: &dyn Loss, _: &Run) -> imbalance::Result<Self> {
        Ok(Self)
    }
}

impl Predict for Column {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> imbalance::Result<()> {
        for (row, out) in out.iter_mut().enumerate() {
            let value = x.row(row).get(0);
            *out = if value < 0.0 { f64::NAN } else { value };
        }
        Ok(())
    }
}

#[test]
fn what_is_no_probability_never_leaves_the_pipeline() {
    let data = dense_log();
    for answer in [f64::NAN, 1.7, -0.1, f64::INFINITY] {
        // Fitted to rows on which it behaves, and used on others.
        let late = OnlyBelow { known: 0.5, elsewhere: answer };
        let x = Array2::from_shape_fn((4, 1), |(row, _)| (row % 2) as f64);
        let rows = Dataset::new(&x, vec![true, false, false, true]).unwrap();
        let fitted = Pipeline::new(Column).calibrator(late).fit(&rows).unwrap();
        let far = Array2::from_elem((1, 1), 9.0);
        let mut out = [0.0];
        for error in [
            Pipeline::new(LogisticRegression::new())
                .calibrator(Says(answer))
                .fit(&data)
                .unwrap_err(),
            fitted.probabilities(&far).unwrap_err(),
            fitted.probabilities_into(&far, &mut out).unwrap_err(),
            fitted.probabilities_of(&Dataset::new(&far, vec![true]).unwrap()).unwrap_err(),
            fitted.probability(&[9.0]).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, Error::Contract { .. }), "{text}");
            assert!(text.contains(&format!("row 0 the probability {answer}")), "{text}");
        }
    }
    let fitted = Pipeline::new(LogisticRegression::new()).calibrator(Says(1.0)).fit(&data).unwrap();
    assert_eq!(fitted.probability(&[0.0; 9]).unwrap(), 1.0);
}

#[test]
fn one_row_that_is_no_number_is_refused() {
    let fitted = corrected(5.0).fit(&dense_log()).unwrap();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut row = [0.0; 9];
        row[3] = value;
        for refused in [fitted.probability(&row), fitted.logit(&row)] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::NonFinite { column: Some(3), .. }), "{error}");
        }
        let error = fitted.probability_with_offset(&[0.0; 9], value).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "offset", .. }), "{error}");
    }
}

#[test]
fn a_row_with_an_offset_is_predicted_like_many() {
    let data = dense_log();
    let known: Vec<f64> = (0..data.rows()).map(|row| 0.5 * (row as f64).sin()).collect();
    let data = data.with_offsets(&known).unwrap();
    let fitted = corrected(5.0).fit(&data).unwrap();
    let (p, z) = (fitted.probabilities_of(&data).unwrap(), fitted.logits(data.features()).unwrap());
    let FeaturesView::F64(Matrix::Dense(x)) = data.features() else { panic!("dense") };
    for row in [0, 7, 19_999] {
        let features = Row::from(x.row(row).to_slice().unwrap());
        assert_eq!(fitted.probability_with_offset(features, known[row]).unwrap(), p[row]);
        assert_eq!(fitted.logit(features).unwrap(), z[row]);
    }
}

#[test]
fn without_features_the_rate_is_what_is_left() {
    let labels: Vec<bool> = (0..3_000).map(|row| row % 30 == 0).collect();
    let x = Array2::<f64>::zeros((3_000, 0));
    let data = Dataset::new(&x, &labels).unwrap();
    for fitted in [
        corrected(5.0).boxed().fit(&data),
        Pipeline::new(LogisticRegression::new()).boxed().fit(&data),
        Pipeline::new(LogisticRegression::new())
            .sampler(RandomUnderSampler::rate(0.2).unwrap())
            .calibrator(IsotonicRegression::new())
            .cross_fit(CrossFit::new(4, Cut::Stratified).unwrap())
            .boxed()
            .fit(&data),
    ] {
        let p = fitted.unwrap().probabilities(data.features()).unwrap();
        // The solver stops within 1e-9 of the objective; the correction's shift is exact.
        assert!(p.iter().all(|p| (p - 1.0 / 30.0).abs() < 1e-6), "{}", p[0]);
    }
}

#[test]
fn one_class_is_refused_whatever_the_stages_are() {
    let x = Array2::from_shape_fn((40, 2), |(i, j)| (i * (j + 1)) as f64);
    for label in [false, true] {
        let data = Dataset::new(&x, vec![label; 40]).unwrap();
        let model = || Pipeline::new(LogisticRegression::new());
        let pipelines: [DynPipeline; 5] = [
            model().boxed(),
            model().sampler(RandomUnderSampler::default()).boxed(),
            model().loss(WeightedLogLoss::balanced()).boxed(),
            model().calibrator(PriorCorrection::new()).boxed(),
            model().calibrator(PlattScaling::new()).boxed(),
        ];
        for pipeline in pipelines {
            let error = pipeline.fit(&data).unwrap_err();
            assert!(matches!(error, Error::OneClass { .. }), "{pipeline:?}: {error}");
        }
    }
    // Nor do rows of both classes help that weigh nothing.
    let labels: Vec<bool> = (0..40).map(|row| row % 4 == 0).collect();
    let weights: Vec<f64> = (0..40).map(|row| f64::from(u8::from(row >= 8))).collect();
    let data = Dataset::new(&x, &labels).unwrap().with_weights(&weights).unwrap();
    let weightless = data.select(&[0, 1, 2, 3, 4]).unwrap();
    assert_eq!(weightless.totals().weight(), 0.0);
    let error = corrected(1.0).fit(&weightless).unwrap_err();
    assert!(matches!(error, Error::OneClass { positive_weight: 0.0, .. }), "{error}");
}

#[test]
fn what_nothing_undoes_is_reported_with_its_factor() {
    use imbalance::pipeline::Warning;
    use imbalance::sampling::{Rule, RuleSampler};

    let data = dense_log();
    let all = data.totals();
    let model = || Pipeline::new(LogisticRegression::new());
    let under = || RandomUnderSampler::negatives_per_positive(5.0).unwrap();
    let warnings = |pipeline: DynPipeline| pipeline.fit(&data).unwrap().report().warnings.clone();
    let balanced = all.negatives as f64 / all.positives as f64;
    for (pipeline, expected) in [
        (model().sampler(under()).boxed(), balanced / 5.0),
        (model().loss(WeightedLogLoss::balanced()).boxed(), balanced),
        // Balanced weights on the sample end where they would on all rows.
        (model().sampler(under()).loss(WeightedLogLoss::balanced()).boxed(), balanced),
        // What comes second in a chain takes its scores for the population's.
        (
            model().sampler(under()).calibrator(Uncalibrated.then(PriorCorrection::new())).boxed(),
            balanced / 5.0,
        ),
    ] {
        let found = warnings(pipeline);
        let [Warning::NotUndone { odds: Some(odds), constant: true }] = found[..] else {
            panic!("{found:?}")
        };
        assert!((odds / expected - 1.0).abs() < 1e-9, "{odds} for {expected}");
    }
    // Chosen by features: the factor on the whole. Bent by the loss: the factor at the mean.
    let recent = || Rule::number("last_active_days").at_most(3.0);
    let rule = model().sampler(RuleSampler::filter(recent()).unwrap());
    let focal = model().loss(FocalLoss::new(2.0).unwrap());
    for pipeline in [rule.boxed(), focal.boxed()] {
        let found = warnings(pipeline);
        let [warning @ Warning::NotUndone { odds: Some(odds), constant: false }] = found[..] else {
            panic!("{found:?}")
        };
        assert!(odds > 1.1, "{odds}");
        assert!(warning.to_string().contains("not by one factor for all rows"));
    }
    // Temperature learns, and cannot move the mean.
    let temperature = model().sampler(under()).calibrator(TemperatureScaling::new());
    let found = warnings(temperature.boxed());
    assert!(
        matches!(found[..], [Warning::MeanOff { predicted_over_observed, .. }]
            if predicted_over_observed > 1.3),
        "{found:?}"
    );

    // Nothing to undo, or undone, in closed form, by rates from elsewhere, or by learning.
    for pipeline in [
        model().boxed(),
        model().sampler(under().reweight(true)).boxed(),
        corrected(5.0).boxed(),
        model().calibrator(PriorCorrection::from_rates(0.01, 0.02).unwrap()).boxed(),
        model().calibrator(LinearPriorScaling::from_rates(0.01, 0.02).unwrap()).boxed(),
        model().sampler(under()).calibrator(PlattScaling::new()).boxed(),
    ] {
        assert_eq!(warnings(pipeline), []);
    }
    let fitted = model().sampler(under()).fit(&data).unwrap();
    let text = fitted.to_string();
    assert!(text.contains("WARNING"), "{text}");
    assert!(text.contains(&format!("{:.4} times the population's", balanced / 5.0)), "{text}");
}

#[test]
fn a_correction_is_judged_on_the_rows_it_was_given() {
    let data = dense_log();
    let (train, rest) = data.stratified_split(0.3, 9).unwrap();
    let fitted = corrected(5.0).fit_with(&train, &rest).unwrap();
    let report = fitted.report();
    assert!(!report.learned && report.calibration == Some(rest.totals()));
    let judged = report.calibration_report.as_ref().unwrap();
    let p = fitted.probabilities(rest.features()).unwrap();
    let ratio = predicted_over_observed(rest.labels(), &p, None).unwrap();
    // The same sums in blocks.
    assert!((judged.after.predicted_over_observed - ratio).abs() < 1e-12);
    assert!(judged.before.predicted_over_observed > 2.0 && judged.parameters.is_empty());
    let text = report.to_string();
    for part in ["judged on    6001 rows", "PriorCorrection on 6001 rows", "before, "] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }

    // Resampled rows cannot tell, and are not read.
    let thinned = RandomUnderSampler::rate(0.5).unwrap().resample(&rest, &Run::seeded(1));
    let thinned = thinned.unwrap().apply(&rest).unwrap();
    let text = corrected(5.0).fit_with(&train, &thinned).unwrap().to_string();
    assert!(text.contains("not read     "), "{text}");

    // One that learned: parameters with standard errors.
    let platt = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    let text = platt.fit_with(&train, &rest).unwrap().to_string();
    for part in ["learned from 6001 rows", "  a = ", " ± "] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn resampled_calibration_rows_are_refused() {
    let data = small_log();
    let (train, rest) = data.stratified_split(0.3, 9).unwrap();
    let sampler = RandomUnderSampler::rate(0.5).unwrap();
    let thinned = sampler.resample(&rest, &Run::seeded(1)).unwrap().apply(&rest).unwrap();
    let pipeline = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    let error = pipeline.fit_with(&train, &thinned).unwrap_err();
    assert!(matches!(error, Error::DistortedCalibration { .. }), "{error}");

    // With weights that undo it, they are a fair sample again.
    let sampler = sampler.reweight(true);
    let weighted = sampler.resample(&rest, &Run::seeded(1)).unwrap().apply(&rest).unwrap();
    assert!(pipeline.fit_with(&train, &weighted).is_ok());
}

/// Keeps the rows whose first feature is positive: chosen by their features.
#[derive(Debug, Clone)]
struct Choosy;

impl Sampler for Choosy {
    fn resample(&self, data: &Dataset<'_>, _: &Run) -> imbalance::Result<Resample> {
        let FeaturesView::F64(Matrix::Dense(x)) = data.features() else {
            panic!("dense rows only")
        };
        let rows = (0..data.rows()).filter(|&row| x[(row, 0)] > 0.0).collect();
        let sampler = "Choosy".into();
        Ok(Resample::kept(rows, Distortion::FeatureDependent { sampler, nominal_log_odds: None }))
    }
}

#[test]
fn a_choice_by_features_has_no_closed_form_but_can_be_learned() {
    let data = dense_log();
    let pipeline = Pipeline::new(LogisticRegression::new()).sampler(Choosy);
    let error = pipeline.clone().calibrator(PriorCorrection::new()).fit(&data).unwrap_err();
    assert!(
        matches!(&error, Error::NoClosedForm { sampler, .. } if sampler == "Choosy"),
        "{error}"
    );
    assert!(pipeline.calibrator(PlattScaling::new()).fit(&data).is_ok());
}

#[test]
fn a_log_that_was_thinned_out_before_is_corrected_too() {
    // Somebody kept one in four negatives; the pipeline keeps a third of those.
    let data = small_log();
    let first = RandomUnderSampler::rate(0.25).unwrap();
    let thinned = first.resample(&data, &Run::seeded(1)).unwrap().apply(&data).unwrap();
    let fitted = Pipeline::new(LogisticRegression::new())
        .sampler(RandomUnderSampler::rate(1.0 / 3.0).unwrap())
        .calibrator(PriorCorrection::new())
        .fit(&thinned)
        .unwrap();
    let (all, kept) = (data.totals(), fitted.report().sample);
    let expected = (all.negatives as f64 / kept.negatives as f64).ln();
    assert!((fitted.calibration().log_odds() - expected).abs() < 1e-12);
    assert!((expected - 12_f64.ln()).abs() < 1e-3);
}

#[test]
fn offsets_shift_logits_in_training_and_in_prediction() {
    let data = dense_log();
    let known: Vec<f64> = (0..data.rows()).map(|row| 0.5 * (row as f64).sin()).collect();
    let with = Dataset::new(data.features(), data.labels()).unwrap().with_offsets(&known).unwrap();
    let fitted = Pipeline::new(LogisticRegression::new()).fit(&with).unwrap();
    let p = fitted.probabilities_of(&with).unwrap();
    // With a free intercept Σp = Σy on the training rows, offsets included.
    let positives = data.totals().positives as f64;
    assert!((p.iter().sum::<f64>() / positives - 1.0).abs() < 1e-9);
    let logits = fitted.logits(with.features()).unwrap();
    for ((p, logit), offset) in p.iter().zip(&logits).zip(&known) {
        assert_eq!(*p, Uncalibrated.probability(logit + offset));
    }
    let plain = Dataset::new(data.features(), data.labels()).unwrap();
    let without = fitted.probabilities_of(&plain).unwrap();
    assert_eq!(without, fitted.probabilities(data.features()).unwrap());
}

#[test]
fn one_row_is_predicted_like_many_and_allocates_nothing() {
    let check = |fitted: &FittedPipeline<FittedLogisticRegression, PriorMap>,
                 row: Row<'_>,
                 expected: f64| {
        assert_eq!(fitted.probability(row).unwrap(), expected);
        let allocations = allocation_counter::measure(|| {
            std::hint::black_box(fitted.probability(row).unwrap());
        });
        assert_eq!(allocations.count_total, 0);
    };
    let data = dense_log();
    let fitted = corrected(5.0).fit(&data).unwrap();
    let all = fitted.probabilities(data.features()).unwrap();
    let FeaturesView::F64(Matrix::Dense(x)) = data.features() else { panic!("dense") };
    for row in [0, 7, 19_999] {
        check(&fitted, Row::from(x.row(row).to_slice().unwrap()), all[row]);
    }

    let data = small_log();
    let fitted = corrected(5.0).fit(&data).unwrap();
    let all = fitted.probabilities(data.features()).unwrap();
    let FeaturesView::F64(Matrix::Sparse(x)) = data.features() else { panic!("sparse") };
    for row in [0, 7, 19_999] {
        let stored = x.outer_view(row).unwrap();
        let row_view = Row::sparse(x.cols(), stored.indices(), stored.data()).unwrap();
        check(&fitted, row_view, all[row]);
    }
    assert!(matches!(
        fitted.probability(&[1.0, 2.0]),
        Err(Error::ColumnMismatch { found: 2, expected: 58 })
    ));
    let mut out = vec![0.0; 5];
    assert!(matches!(
        fitted.probabilities_into(data.features(), &mut out),
        Err(Error::LengthMismatch { found: 5, expected: 20_000, .. })
    ));
}

#[test]
fn a_nan_never_leaves_the_pipeline() {
    let data = dense_log();
    let is_nan =
        |error: Error| matches!(error, Error::NonFinite { row: 0, value, .. } if value.is_nan());
    let rows = |sign: f64| Array2::from_shape_fn((40, 1), |(row, _)| sign * (1 + row % 2) as f64);
    let labels: Vec<bool> = (0..40).map(|row| row % 4 < 2).collect();
    let (below, above) = (rows(-1.0), rows(1.0));
    // Fitted to rows that it can answer, and used on others.
    let fitted = Pipeline::new(Column).fit(&Dataset::new(&above, &labels).unwrap()).unwrap();
    assert!(is_nan(fitted.probabilities(&below).unwrap_err()));
    assert!(is_nan(fitted.probability(&[-1.0]).unwrap_err()));
    // The fit itself reads the probabilities of its rows.
    let broken = Dataset::new(&below, &labels).unwrap();
    assert!(is_nan(Pipeline::new(Column).fit(&broken).unwrap_err()));
    let learning = Pipeline::new(Column).calibrator(PlattScaling::new());
    assert!(is_nan(learning.fit(&broken).unwrap_err()));

    let mut x = Array2::zeros((3, 9));
    x[(2, 4)] = f64::INFINITY;
    let fitted = corrected(5.0).fit(&data).unwrap();
    let error = fitted.probabilities(&x).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 2, column: Some(4), .. }), "{error}");
}

#[test]
fn the_report_tells_the_whole_story() {
    let data = small_log();
    let fitted = corrected(10.0).fit(&data).unwrap();
    let text = fitted.report().to_string();
    let (all, kept) = (data.totals(), fitted.report().sample);
    for part in [
        format!("rows in      20000 rows, {} positive", all.positives),
        format!("rows kept    {} rows, {} positive", 11 * all.positives, all.positives),
        format!("rate {:.4} %", 100.0 * all.rate()),
        format!("rate {:.4} %", 100.0 * kept.rate()),
        format!("odds of a positive × {:.4}", all.negatives as f64 / kept.negatives as f64),
        "converged after".into(),
        "prior correction".into(),
        "LogLoss".into(),
        "RandomUnderSampler".into(),
    ] {
        assert!(text.contains(&part), "no `{part}` in\n{text}");
    }
}

#[test]
fn the_observer_follows_all_stages_and_can_stop_them() {
    let data = dense_log();
    let stages = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&stages);
    let pipeline = corrected(5.0).observer(move |progress| {
        if let Progress::Stage { name, .. } = progress {
            seen.lock().unwrap().push(*name);
        }
        ControlFlow::Continue(())
    });
    pipeline.fit(&data).unwrap();
    assert_eq!(*stages.lock().unwrap(), ["sampling", "fitting", "calibrating", "checking"]);

    let stop = pipeline.observer(|progress| match progress {
        Progress::Iteration { iteration: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stop.fit(&data), Err(Error::Cancelled { .. })));
}

#[test]
fn the_observer_of_a_pipeline_follows_its_calibrator_and_can_stop_it() {
    let data = dense_log();
    let stop_in = |stage: &'static str, nth: usize| {
        let calibrating = std::sync::Mutex::new(0);
        move |progress: &Progress| {
            let mut begun = calibrating.lock().unwrap();
            match progress {
                Progress::Stage { name, .. } if *name == stage => *begun += 1,
                Progress::Work { .. } if *begun > 0 => *begun += 1,
                _ => {}
            }
            if *begun > nth { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    };
    let learned = || corrected(5.0).calibrator(IsotonicRegression::new());
    let held_out = || learned().hold_out(HoldOut::new(0.3, Cut::Stratified).unwrap());
    let crossed = || learned().cross_fit(CrossFit::new(2, Cut::Stratified).unwrap());
    // The task in which the second report on work after the stage began arrives.
    for nth in [1, 2] {
        for error in [
            held_out().observer(stop_in("calibrating", nth)).fit(&data).unwrap_err(),
            crossed().observer(stop_in("calibrating", nth)).fit(&data).unwrap_err(),
        ] {
            assert!(
                matches!(&error, Error::Cancelled { during } if during.contains("sort by score")),
                "{error}"
            );
        }
    }
}

#[test]
fn pipelines_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Corrected>();
    crosses::<FittedPipeline<FittedLogisticRegression, PriorMap>>();
    crosses::<DynPipeline>();
    crosses::<FittedPipeline<Box<dyn Predict>, Box<dyn CalibrationMap>>>();
    crosses::<(Report, Error, Dataset<'static>, Run)>();
}

#[test]
fn a_shift_given_by_hand_is_refused_where_the_model_has_corrected_it() {
    let data = dense_log();
    let sampler = || RandomUnderSampler::negatives_per_positive(4.0).unwrap();
    let told = || RareEvents::new().prior_correction(0.02).unwrap();
    let given = PriorCorrection::from_rates(0.02, 0.2).unwrap();
    let linear = LinearPriorScaling::from_rates(0.02, 0.2).unwrap();
    for calibrator in [given.boxed(), linear.boxed()] {
        let fitted = Pipeline::new(told()).sampler(sampler()).calibrator(calibrator).fit(&data);
        let error = fitted.unwrap_err();
        assert!(matches!(error, Error::PriorCorrectedTwice { .. }), "{error}");
        assert!(error.to_string().contains("PriorCorrection::new()"), "{error}");
    }
    // By itself the correction sees that nothing is left, and a model that was not told takes the shift.
    let mean = |p: Vec<f64>| p.iter().sum::<f64>() / p.len() as f64;
    let rate = data.totals().rate();
    let fitted = Pipeline::new(told()).sampler(sampler()).calibrator(PriorCorrection::new());
    let told = mean(fitted.fit(&data).unwrap().probabilities(data.features()).unwrap());
    let fitted = Pipeline::new(RareEvents::new()).sampler(sampler()).calibrator(given);
    let plain = mean(fitted.fit(&data).unwrap().probabilities(data.features()).unwrap());
    // About 400 positives have a relative standard error of 0.05.
    assert!(
        (told / rate - 1.0).abs() < 0.15 && (plain / rate - 1.0).abs() < 0.15,
        "{told} {plain}"
    );
}
