//! Everything fitted, and every configuration, is the same after it was saved and loaded; and nothing that is loaded
//! is trusted.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{env, fs};

use imbalance::calibration::as_printed::LinearPriorScaling;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, Clip, HistogramBinning, IsotonicRegression,
    QuadraticLogit, SplineCalibration, TemperatureScaling, Uncalibrated, VennAbers,
};
use imbalance::loss::{Derivatives, FocalLoss, LabelSmoothing, WeightedLogLoss};
use imbalance::model::{BoxModel, FtrlProximal, RareEvents};
use imbalance::prelude::*;
use imbalance::saved::{Kind, Part, Saved};
use imbalance::{DynFittedPipeline, SavedProblem};
use serde::{Deserialize, Serialize};

pub(super) fn log() -> Dataset<'static> {
    let clicks = SyntheticClicks::new(4_000, 0.05).unwrap().numeric(3).categorical(&[]);
    clicks.generate(7).unwrap().dataset
}

pub(super) fn models() -> Vec<(&'static str, BoxModel)> {
    vec![
        ("logistic regression", LogisticRegression::new().boxed()),
        ("rare events", RareEvents::new().corrected_probabilities(true).boxed()),
        ("firth", RareEvents::new().firth().boxed()),
        ("ftrl", FtrlProximal::new().boxed()),
        #[cfg(feature = "gbdt")]
        ("trees", imbalance::model::BoostedTrees::new().trees(5).unwrap().boxed()),
        #[cfg(feature = "gbdt")]
        (
            "leaves",
            imbalance::model::BoostedLeaves::new(
                imbalance::model::BoostedTrees::new().trees(3).unwrap(),
                LogisticRegression::new(),
            )
            .boxed(),
        ),
    ]
}

pub(super) fn calibrators() -> Vec<(&'static str, BoxCalibrator)> {
    let prior = PriorCorrection::new;
    vec![
        ("none", Uncalibrated.boxed()),
        ("prior", prior().boxed()),
        ("given rate", PriorCorrection::from_sampling_rate(0.3).unwrap().boxed()),
        ("linear", LinearPriorScaling::from_rates(0.05, 0.2).unwrap().boxed()),
        ("clip", Clip::new(0.01).unwrap().boxed()),
        ("platt", PlattScaling::new().boxed()),
        ("platt on probabilities", PlattScaling::new().on_probabilities(true).boxed()),
        ("temperature", TemperatureScaling::new().bias_corrected(true).boxed()),
        ("beta", BetaCalibration::abm().boxed()),
        ("beta cdf", BetaCdf.boxed()),
        ("quadratic", QuadraticLogit::new().boxed()),
        ("spline", SplineCalibration::new().boxed()),
        ("isotonic", IsotonicRegression::new().boxed()),
        ("histogram", HistogramBinning::quantiles(7).unwrap().boxed()),
        ("venn-abers", VennAbers.boxed()),
        ("prior then isotonic", prior().then(IsotonicRegression::new()).boxed()),
        ("clip then platt", Clip::new(1e-6).unwrap().then(PlattScaling::new()).boxed()),
    ]
}

fn losses() -> Vec<Box<dyn Loss>> {
    vec![
        Box::new(LogLoss),
        Box::new(WeightedLogLoss::balanced()),
        Box::new(FocalLoss::new(2.0).unwrap().alpha(0.25).unwrap()),
        Box::new(LabelSmoothing::new(LogLoss, 0.01).unwrap()),
    ]
}

/// Every model with every calibrator, and every loss with the first of both.
pub(super) fn fitted(data: &Dataset<'_>) -> Vec<(String, DynFittedPipeline)> {
    let sampler = RandomUnderSampler::negatives_per_positive(5.0).unwrap();
    let mut all = Vec::new();
    for (model_name, model) in models() {
        let model: Arc<dyn Model<Fitted = Box<dyn Predict>>> = Arc::from(model);
        for (calibrator_name, calibrator) in calibrators() {
            let pipeline = Pipeline::new(Arc::clone(&model));
            let pipeline = pipeline.sampler(sampler).calibrator(calibrator).seed(7);
            all.push((format!("{model_name}, {calibrator_name}"), pipeline.fit(data).unwrap()));
        }
    }
    for loss in losses() {
        let name = format!("{loss:?}");
        let model = LogisticRegression::new().boxed();
        let pipeline = Pipeline::new(model).loss(loss).calibrator(PriorCorrection::new().boxed());
        all.push((name, pipeline.fit(data).unwrap()));
    }
    let cross_fit = CrossFit::new(3, Cut::Stratified).unwrap().ensemble().unwrap();
    let pipeline = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    all.push(("ensemble".into(), pipeline.boxed().cross_fit(cross_fit).fit(data).unwrap()));
    all
}

fn bits(probabilities: &[f64]) -> Vec<u64> {
    probabilities.iter().map(|p| p.to_bits()).collect()
}

/// Run by the test below in a process of its own: loads each file and writes its probabilities beside it.
#[test]
fn a_process_that_only_loads() {
    let Ok(folder) = env::var("IMBALANCE_LOADS_FROM") else { return };
    let data = log();
    for number in 0.. {
        let file = Path::new(&folder).join(format!("{number}.json"));
        if !file.exists() {
            break;
        }
        let loaded = DynFittedPipeline::load(&file).unwrap();
        let p = loaded.probabilities(data.features()).unwrap();
        let text: Vec<String> = bits(&p).iter().map(|bits| format!("{bits:x}")).collect();
        fs::write(file.with_extension("bits"), text.join("\n")).unwrap();
    }
}

#[test]
fn every_fitted_pipeline_gives_the_same_bits_in_another_process() {
    let (data, folder) = (log(), tempfile::tempdir().unwrap());
    let all = fitted(&data);
    for (number, (name, fitted)) in all.iter().enumerate() {
        fitted.save(folder.path().join(format!("{number}.json"))).unwrap();
        let json = DynFittedPipeline::from_json(&fitted.to_json().unwrap()).unwrap();
        let bytes = DynFittedPipeline::from_bytes(&fitted.to_bytes().unwrap()).unwrap();
        for again in [json, bytes] {
            assert_eq!(again.report(), fitted.report(), "{name}");
            assert_eq!(again.to_string(), fitted.to_string(), "{name}");
            assert_eq!(again.to_json().unwrap(), fitted.to_json().unwrap(), "{name}");
        }
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "saved::a_process_that_only_loads"])
        .env("IMBALANCE_LOADS_FROM", folder.path())
        .stdout(Stdio::null())
        .status();
    assert!(child.unwrap().success());
    for (number, (name, fitted)) in all.iter().enumerate() {
        let found = fs::read_to_string(folder.path().join(format!("{number}.bits"))).unwrap();
        let p = fitted.probabilities(data.features()).unwrap();
        let expected: Vec<String> = bits(&p).iter().map(|bits| format!("{bits:x}")).collect();
        assert_eq!(found, expected.join("\n"), "{name}");
    }
}

#[test]
fn static_and_boxed_pipelines_read_each_others_files() {
    let data = log();
    let pipeline = Pipeline::new(LogisticRegression::new()).calibrator(PlattScaling::new());
    let (own, boxed) = (pipeline.fit(&data).unwrap(), pipeline.clone().boxed().fit(&data).unwrap());
    assert_eq!(own.to_json().unwrap(), boxed.to_json().unwrap());
    let p = bits(&own.probabilities(data.features()).unwrap());
    let read = DynFittedPipeline::from_json(&own.to_json().unwrap()).unwrap();
    assert_eq!(bits(&read.probabilities(data.features()).unwrap()), p);
    let mut same = own.clone();
    assert_eq!(bits(&same.probabilities(data.features()).unwrap()), p);
    same = Saved::from_json(&boxed.to_json().unwrap()).unwrap();
    assert_eq!(bits(&same.probabilities(data.features()).unwrap()), p);
}

#[test]
fn a_configuration_fits_the_same_pipeline_after_loading() {
    let data = log();
    let sampler = RandomUnderSampler::negatives_per_positive(5.0).unwrap();
    let hold_out = HoldOut::new(0.3, Cut::Stratified).unwrap();
    let pipeline = Pipeline::new(FtrlProximal::new().alpha(0.2).unwrap())
        .sampler(sampler)
        .loss(WeightedLogLoss::given(2.0, 1.0).unwrap())
        .calibrator(PriorCorrection::new().then(PlattScaling::new()))
        .hold_out(hold_out)
        .seed(11)
        .boxed();
    let again = DynPipeline::from_json(&pipeline.to_json().unwrap()).unwrap();
    let (one, two) = (pipeline.fit(&data).unwrap(), again.fit(&data).unwrap());
    assert_eq!(one.to_json().unwrap(), two.to_json().unwrap());
}

#[test]
fn a_loaded_pipeline_refuses_what_the_fitted_one_refused() {
    let data = log().with_distortion(imbalance::Distortion::PriorShift { log_odds: 1.0 });
    let fitted = Pipeline::new(LogisticRegression::new()).fit(&data).unwrap();
    assert!(!fitted.report().warnings.is_empty());
    let loaded = DynFittedPipeline::from_json(&fitted.to_json().unwrap()).unwrap();
    assert_eq!(loaded.report(), fitted.report());
    let wrong = imbalance::ndarray::array![[1.0, 2.0]];
    assert_eq!(
        loaded.probabilities(&wrong).unwrap_err().to_string(),
        fitted.probabilities(&wrong).unwrap_err().to_string()
    );
}

/// Log loss, twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Twice;

impl Kind for Twice {
    const KIND: &'static str = "twice the log loss";
}

impl Loss for Twice {
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        LogLoss.at(logit, label).scaled(2.0)
    }
    fn shared(&self) -> Arc<dyn Loss> {
        Arc::new(self.clone())
    }
    fn saved(&self) -> Option<Part<'_>> {
        Some(Part::of(self))
    }
}

#[test]
fn stages_of_ones_own_are_registered_or_refused() {
    let pipeline = Pipeline::new(LogisticRegression::new()).loss(Twice).boxed();
    let text = pipeline.to_json().unwrap();
    let unknown = DynPipeline::from_json(&text).unwrap_err().to_string();
    assert!(unknown.contains("there is no loss `twice the log loss`"), "{unknown}");
    assert!(unknown.contains("log_loss") && unknown.contains("register"), "{unknown}");
    imbalance::loss::register::<Twice>().unwrap();
    assert_eq!(DynPipeline::from_json(&text).unwrap().to_json().unwrap(), text);
    let twice = imbalance::loss::register::<Twice>().unwrap_err().to_string();
    assert!(twice.contains("no other kind has"), "{twice}");

    // A fitted pipeline holds no loss, but the map of one.
    let data = log();
    let fitted = pipeline.fit(&data).unwrap();
    assert!(DynFittedPipeline::from_json(&fitted.to_json().unwrap()).is_ok());
    let corrected = pipeline.calibrator(PriorCorrection::new().boxed()).fit(&data).unwrap();
    let refused = corrected.to_json().unwrap_err().to_string();
    assert!(refused.contains("fitted_pipeline cannot be saved"), "{refused}");
}

#[test]
fn wrong_files_are_told_apart() {
    let loss = FocalLoss::new(2.0).unwrap();
    let text = loss.to_json().unwrap();
    let problem = |text: &str| match FocalLoss::from_json(text).unwrap_err() {
        Error::Saved { problem, .. } => problem,
        other => panic!("{other}"),
    };
    assert!(matches!(problem("{"), SavedProblem::Syntax { .. }));
    assert!(matches!(problem(&text[..text.len() - 4]), SavedProblem::Syntax { .. }));
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        problem(&text.replace(from, to))
    };
    assert!(matches!(changed("\"imbalance\"", "\"other\""), SavedProblem::Format { .. }));
    let version = changed("\"version\":1", "\"version\":2");
    assert_eq!(version, SavedProblem::Version { found: 2, known: 1 });
    assert!(matches!(changed("\"focal_loss\"", "\"log_loss\""), SavedProblem::Kind { .. }));
    assert!(matches!(changed("\"gamma\":2.0", "\"gamma\":3.0"), SavedProblem::Fingerprint { .. }));
    let message = changed("\"gamma\":2.0", "\"gamma\":-3.0").to_string();
    assert!(message.contains("`gamma` is -3"), "{message}");
    let message = changed("\"gamma\":2.0", "\"gamma\":2.0,\"more\":1").to_string();
    assert!(message.contains("unknown field `more`"), "{message}");
    assert!(matches!(
        changed("\"version\":1", "\"version\":1,\"x\":1"),
        SavedProblem::Syntax { .. }
    ));
    let bytes = loss.to_bytes().unwrap();
    assert!(FocalLoss::from_bytes(&[bytes.clone(), vec![0]].concat()).is_err());
    assert!(FocalLoss::from_bytes(&bytes[..bytes.len() - 1]).is_err());
}
