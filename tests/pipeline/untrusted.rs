//! What is loaded is checked as the constructors check it: random changes of saved bytes, and processes that are
//! killed while they save.

use std::fmt::Debug;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use imbalance::calibration::as_printed::LinearPriorScaling;
use imbalance::calibration::multiclass::{ClassSet, ClassTemperature};
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, Calibration, CalibrationMap, CalibrationSet, Clip,
    HistogramBinning, IsotonicRegression, PriorMap, QuadraticLogit, SplineCalibration,
    TemperatureScaling, Uncalibrated, VennAbers,
};
use imbalance::evaluation::EvaluationReport;
use imbalance::loss::{
    AsymmetricLoss, ClassWeighted, ClassWeights, FocalLoss, LabelSmoothing, LogitAdjusted,
    WeightedLogLoss,
};
use imbalance::model::{BoxModel, FtrlLearner, FtrlProximal, GivenLogits, LinearModel, RareEvents};
use imbalance::ndarray::Array2;
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, EditedNearestNeighbours, HardNegativeMining, HardnessBand,
    LocalCaseControl, NearMiss, NeighbourhoodCleaning, NoSampling, Pilot, PoissonHardNegatives,
    PoissonRuleSampler, RandomOverSampler, Rule, RuleSampler, Smote, SmoteNc, TomekLinks,
};
use imbalance::saved::Saved;
use imbalance::{DynFittedPipeline, Evaluation, FeaturesView};

/// Random changes of each kind, half of them of JSON and half of `postcard`.
const CHANGES: u64 = 10_000;

fn rows() -> Dataset<'static> {
    let clicks = SyntheticClicks::new(120, 0.3).unwrap().numeric(3).categorical(&[]);
    clicks.generate(7).unwrap().dataset
}

/// Reads saved bytes with one to three bytes replaced, inserted or left out, without the envelope, whose fingerprint
/// would refuse them all. Returns how many were read as a value; `use_it` is called with each.
fn damage<T: Saved + Debug>(value: &T, use_it: impl Fn(&T)) -> u64 {
    let json = serde_json::to_vec(value).unwrap();
    let bytes = postcard::to_allocvec(value).unwrap();
    assert!(
        serde_json::from_slice::<T>(&json).is_ok() && postcard::from_bytes::<T>(&bytes).is_ok()
    );
    let mut valid = 0;
    for change in 0..CHANGES {
        let seed = Seed::new(change).child(T::KIND);
        let random =
            |what: &str, below: usize| (seed.child(what).value() % below.max(1) as u64) as usize;
        let mut changed = if change % 2 == 0 { json.clone() } else { bytes.clone() };
        for k in 0..=random("changes", 3) {
            let at = random(&format!("place {k}"), changed.len());
            // Digits and signs in JSON, so that many changes leave a number there.
            let byte = match change % 4 {
                0 => b"0123456789-.eE"[random(&format!("digit {k}"), 14)],
                _ => random(&format!("byte {k}"), 256) as u8,
            };
            match random(&format!("kind {k}"), 4) {
                0 => changed.insert(at, byte),
                1 if at < changed.len() => drop(changed.remove(at)),
                _ if at < changed.len() => changed[at] = byte,
                _ => {}
            }
        }
        let read = if change % 2 == 0 {
            serde_json::from_slice::<T>(&changed).ok()
        } else {
            postcard::from_bytes::<T>(&changed).ok()
        };
        if let Some(read) = read {
            use_it(&read);
            valid += 1;
        }
    }
    valid
}

const LOGITS: [f64; 9] =
    [f64::NEG_INFINITY, -1e300, -40.0, -2.0, 0.0, 0.7, 40.0, 1e300, f64::INFINITY];

fn use_map(map: &impl CalibrationMap) {
    for z in LOGITS {
        let p = map.probability(z);
        assert!((0.0..=1.0).contains(&p), "{map:?} gives {p} for {z}");
        assert!(!map.logit(z).is_nan(), "{map:?} gives NaN for {z}");
    }
    map.describe();
}

fn use_model(model: &impl Predict) {
    let data = rows();
    let x: FeaturesView<'_> = data.features();
    let mut out = vec![0.0; data.rows()];
    if model.logits_into(x, &mut out).is_ok() {
        assert!(out.iter().all(|z| !z.is_nan()), "{model:?}");
    }
    model.describe();
    model.warning();
}

pub(super) fn boxed_losses() -> Vec<Box<dyn Loss>> {
    let given = ClassWeights::Given { positive: 3.0, negative: 1.5 };
    let losses: Vec<Box<dyn Loss>> = vec![
        Box::new(LogLoss),
        Box::new(WeightedLogLoss::balanced()),
        Box::new(ClassWeighted::new(FocalLoss::new(2.0).unwrap(), given).unwrap()),
        Box::new(FocalLoss::new(1.5).unwrap().alpha(0.25).unwrap()),
        Box::new(AsymmetricLoss::new(1.0, 4.0, 0.05).unwrap()),
        Box::new(LogitAdjusted::new(1.0).unwrap()),
        Box::new(LabelSmoothing::new(LogLoss, 0.1).unwrap()),
    ];
    losses
}

pub(super) fn boxed_samplers() -> Vec<Box<dyn Sampler>> {
    let recent = || Rule::number("last_active_days").at_most(7.0);
    let rule = || recent().and(!Rule::text("channel").is_one_of(["web", "phone"]));
    let model = || LinearModel::new(vec![1.0, 0.5, -0.5], -1.0).unwrap();
    let trained = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let band = || HardnessBand::quantiles(0.5, 0.9).unwrap();
    vec![
        Box::new(NoSampling),
        Box::new(RandomUnderSampler::negatives_per_positive(1.5).unwrap().reweight(true)),
        Box::new(HardNegativeMining::new(Pilot::given(model()), band())),
        Box::new(PoissonHardNegatives::proportional(trained(), 2.0, 0.1).unwrap()),
        Box::new(LocalCaseControl::new(Pilot::given(model()))),
        Box::new(RuleSampler::shares([(rule(), 0.5)], 0.25).unwrap()),
        Box::new(PoissonRuleSampler::new([(recent(), 0.5)], 0.25).unwrap()),
        Box::new(RandomOverSampler::positives_per_negative(0.9).unwrap()),
        Box::new(Smote::positives_per_negative(0.8).unwrap()),
        Box::new(BorderlineSmote::borderline2(0.8).unwrap()),
        Box::new(Adasyn::positives_per_negative(0.8).unwrap()),
        Box::new(SmoteNc::positives_per_negative(0.8, [1]).unwrap()),
        Box::new(TomekLinks::new()),
        Box::new(EditedNearestNeighbours::new(3).unwrap().repeated(4).unwrap()),
        Box::new(NeighbourhoodCleaning::new(3).unwrap()),
        Box::new(NearMiss::negatives_per_positive(1.0).unwrap()),
        Box::new(TomekLinks::new().then(RandomUnderSampler::rate(0.5).unwrap())),
    ]
}

pub(super) fn boxed_calibrators() -> Vec<BoxCalibrator> {
    let prior = PriorCorrection::from_sampling_rate(0.3).unwrap();
    vec![
        Uncalibrated.boxed(),
        Clip::new(0.01).unwrap().boxed(),
        prior.boxed(),
        PlattScaling::new().boxed(),
        TemperatureScaling::new().boxed(),
        BetaCalibration::abm().boxed(),
        BetaCdf.boxed(),
        QuadraticLogit::new().boxed(),
        SplineCalibration::new().boxed(),
        IsotonicRegression::new().bounds(0.01, 0.9).unwrap().boxed(),
        HistogramBinning::quantiles(4).unwrap().boxed(),
        VennAbers.boxed(),
        LinearPriorScaling::from_rates(0.05, 0.2).unwrap().boxed(),
        prior.then(IsotonicRegression::new()).boxed(),
    ]
}

pub(super) fn boxed_models() -> Vec<BoxModel> {
    vec![
        LogisticRegression::new().boxed(),
        RareEvents::new().corrected_probabilities(true).boxed(),
        RareEvents::new().firth().boxed(),
        FtrlProximal::new().boxed(),
        #[cfg(feature = "gbdt")]
        imbalance::model::BoostedTrees::new().trees(3).unwrap().boxed(),
        #[cfg(feature = "gbdt")]
        imbalance::model::BoostedLeaves::new(
            imbalance::model::BoostedTrees::new().trees(2).unwrap(),
            LogisticRegression::new(),
        )
        .boxed(),
    ]
}

fn pipeline() -> DynPipeline {
    Pipeline::new(LogisticRegression::new()).seed(7).boxed()
}

/// A configuration fits, or refuses; every tenth is tried, because fits take longer than reading.
fn use_pipeline(tried: &AtomicU64, data: &Dataset<'_>, pipeline: &DynPipeline) {
    if tried.fetch_add(1, Ordering::Relaxed).is_multiple_of(10)
        && let Ok(fitted) = pipeline.fit(data)
    {
        use_fitted(&fitted);
    }
}

fn use_fitted(fitted: &DynFittedPipeline) {
    let data = rows();
    if let Ok(p) = fitted.probabilities(data.features()) {
        assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{fitted:?}");
    }
    fitted.report().to_string();
}

#[test]
fn damaged_samplers_and_losses_are_refused_or_valid() {
    let (data, tried) = (rows(), AtomicU64::new(0));
    for sampler in boxed_samplers() {
        let name = sampler.name();
        let valid = damage(&pipeline().sampler(sampler), |p| use_pipeline(&tried, &data, p));
        assert!(valid < CHANGES, "{name}");
    }
    for loss in boxed_losses() {
        damage(&pipeline().loss(loss), |p| use_pipeline(&tried, &data, p));
    }
}

#[test]
fn damaged_calibrators_and_models_are_refused_or_valid() {
    let (data, tried) = (rows(), AtomicU64::new(0));
    for calibrator in boxed_calibrators() {
        damage(&pipeline().calibrator(calibrator), |p| use_pipeline(&tried, &data, p));
    }
    for model in boxed_models() {
        // Not fitted: a billion trees are a valid configuration.
        damage(&Pipeline::new(model).boxed(), |p| drop(format!("{p:?}")));
    }
}

#[test]
fn damaged_maps_are_refused_or_valid() {
    let data = rows();
    let z: Vec<f64> = (0..data.rows()).map(|i| ((i * 37) % 100) as f64 / 20.0 - 2.5).collect();
    let set = CalibrationSet::from_logits(&z, data.labels()).unwrap();
    for calibrator in boxed_calibrators() {
        let learned = calibrator.learn(&set).unwrap();
        damage(&learned, |calibration| {
            use_map(calibration.map());
            calibration.report().map(ToString::to_string);
        });
        damage(&Calibration::new(learned.into_map()), |calibration| use_map(calibration.map()));
    }
}

#[test]
fn damaged_models_are_refused_or_valid() {
    let (data, run) = (rows(), Run::seeded(7));
    let logistic = LogisticRegression::new().fit(&data, &LogLoss, &run).unwrap();
    damage(&logistic, use_model);
    damage(logistic.linear(), use_model);
    let averaged = RareEvents::new().corrected_probabilities(true);
    damage(&averaged.fit(&data, &LogLoss, &run).unwrap(), use_model);
    let firth = RareEvents::new().firth().fit(&data, &LogLoss, &run).unwrap();
    damage(&firth, |model| {
        use_model(model);
        model.inference().to_string();
    });
    damage(&FtrlProximal::new().fit(&data, &LogLoss, &run).unwrap(), use_model);
    let given = GivenLogits::new(vec![f64::NEG_INFINITY, 0.5, 3.0]).unwrap();
    damage(&given, |model| drop(model.describe()));
    let mut learner = FtrlProximal::new().learner(data.columns(), LogLoss).unwrap();
    learner.partial_fit(&data).unwrap();
    let go_on = |learner: &FtrlLearner| {
        if learner.state().columns() < 1 << 20 {
            let _ = learner.clone().partial_fit(&data);
        }
    };
    damage(&learner, go_on);
}

#[cfg(feature = "gbdt")]
#[test]
fn damaged_trees_are_refused_or_valid() {
    use imbalance::model::{BoostedLeaves, BoostedTrees};
    let (data, run) = (rows(), Run::seeded(7));
    let trees = BoostedTrees::new().trees(2).unwrap();
    damage(&trees.fit(&data, &LogLoss, &run).unwrap(), use_model);
    let leaves = BoostedLeaves::new(trees, LogisticRegression::new());
    damage(&leaves.fit(&data, &LogLoss, &run).unwrap(), use_model);
}

#[test]
fn damaged_pipelines_are_refused_or_valid() {
    let data = rows();
    let learned = pipeline().calibrator(PlattScaling::new().boxed());
    damage(&learned.fit(&data).unwrap(), use_fitted);
    let cross_fit = CrossFit::new(2, Cut::Stratified).unwrap().ensemble().unwrap();
    damage(&learned.cross_fit(cross_fit).fit(&data).unwrap(), use_fitted);
    let under = RandomUnderSampler::negatives_per_positive(1.0).unwrap();
    let corrected = pipeline().sampler(Box::new(under) as Box<dyn Sampler>);
    damage(&corrected.calibrator(PriorCorrection::new().boxed()).fit(&data).unwrap(), use_fitted);
}

#[test]
fn damaged_results_are_refused_or_valid() {
    let data = rows();
    let logits = Array2::from_shape_fn((120, 3), |(i, k)| ((i * (k + 2)) % 7) as f64 * 0.3);
    let classes: Vec<usize> = (0..120).map(|i| (i * 5) % 3).collect();
    let set = ClassSet::new(&logits, &classes).unwrap();
    let fitted = TemperatureScaling::new().bias_corrected(true).fit_classes(&set).unwrap();
    damage(&fitted, |fitted| {
        fitted.report().to_string();
        if let Ok(p) = fitted.probabilities(&logits.view()) {
            assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{fitted:?}");
        }
    });
    assert_eq!(ClassTemperature::from_json(&fitted.to_json().unwrap()).unwrap(), fitted);
    let p: Vec<f64> = (0..120).map(|i| 0.01 + f64::from(i % 40) / 50.0).collect();
    let evaluation = Evaluation::new(data.labels(), &p).against("half", &p);
    let report = evaluation.bootstrap(Some(3)).report().unwrap();
    damage(&report, |report| drop(report.to_string()));
    assert_eq!(EvaluationReport::from_bytes(&report.to_bytes().unwrap()).unwrap(), report);
}

/// Stages inside stages, without end: the stack does not overflow.
#[test]
fn what_is_written_is_not_too_deep_to_be_read() {
    let pipeline = |smoothings: usize, rules: usize| {
        let loss = (0..smoothings).fold(Box::new(LogLoss) as Box<dyn Loss>, |loss, _| {
            Box::new(LabelSmoothing::new(loss, 0.1).unwrap())
        });
        let first = Rule::number("age").at_most(1.0);
        let rule = (0..rules).fold(first, |rule, _| rule.or(Rule::text("from").is("elsewhere")));
        let sampler = RuleSampler::shares([(rule, 0.5)], 0.25).unwrap();
        Pipeline::new(LogisticRegression::new()).loss(loss).sampler(sampler).boxed()
    };
    for (smoothings, rules, fits) in
        [(15, 44, true), (16, 0, false), (0, 45, false), (100, 0, false), (0, 1000, false)]
    {
        match serde_json::to_string(&pipeline(smoothings, rules)) {
            Ok(text) => {
                assert!(fits, "{smoothings} losses, {rules} rules");
                serde_json::from_str::<DynPipeline>(&text).unwrap();
            }
            Err(error) => {
                assert!(!fits, "{smoothings} losses, {rules} rules: {error}");
                assert!(error.to_string().contains("stand inside one another"), "{error}");
            }
        }
    }
}

#[test]
fn depth_is_bounded() {
    let deep = |open: &str, close: &str| {
        let levels = 100_000;
        format!("{}{}{}", open.repeat(levels), r#"{"log_loss":{}}"#, close.repeat(levels))
    };
    let loss = deep(r#"{"label_smoothing":{"loss":"#, r#","epsilon":0.1}}"#);
    let text = serde_json::to_string(&pipeline()).unwrap();
    let text = text.replace(r#"{"log_loss":{}}"#, &loss);
    assert!(serde_json::from_str::<DynPipeline>(&text).is_err());
    // A variant of `Posterior` that holds another takes two bytes of `postcard`.
    let map =
        Calibration::new(PriorMap::new(FocalLoss::new(1.0).unwrap().posterior(), 1.0).unwrap());
    let bytes = postcard::to_allocvec(&map).unwrap();
    let shifted = (0..bytes.len()).map(|at| [&bytes[..at], &[5; 200_000], &bytes[at..]].concat());
    for bytes in shifted {
        let _ = postcard::from_bytes::<Calibration<PriorMap>>(&bytes);
    }
    // A length that is not there asks for no memory.
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for at in 0..bytes.len() {
        let _ =
            postcard::from_bytes::<LinearModel>(&[&bytes[..at], &huge[..], &bytes[at..]].concat());
    }
}

fn large(intercept: f64) -> LinearModel {
    LinearModel::new(vec![0.123_456_789; 100_000], intercept).unwrap()
}

/// Run by the test below in a process of its own, until it is killed.
#[test]
fn a_process_that_saves_for_ever() {
    let Ok(file) = env::var("IMBALANCE_SAVES_TO") else { return };
    for i in 0.. {
        large(f64::from(i % 2)).save(&file).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.json");
    large(0.0).save(&file).unwrap();
    for kill in 0..30_u64 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "untrusted::a_process_that_saves_for_ever"])
            .env("IMBALANCE_SAVES_TO", &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(40 + 7 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        let loaded = LinearModel::load(&file).unwrap();
        assert!([0.0, 1.0].contains(&loaded.intercept()));
    }
}

#[test]
fn what_cannot_be_written_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.json");
    large(0.0).save(&file).unwrap();
    let missing = folder.path().join("missing").join("model.json");
    assert!(matches!(large(1.0).save(&missing).unwrap_err(), Error::Io { .. }));
    assert!(matches!(LinearModel::load(&missing).unwrap_err(), Error::Io { .. }));
    // A folder cannot be replaced by a file, and nothing is left beside it.
    assert!(large(1.0).save(folder.path()).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(LinearModel::load(&file).unwrap().intercept(), 0.0);
}
