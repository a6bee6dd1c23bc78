//! All samplers, losses and calibrators, and the promise of theory for each combination. The example
//! `calibration_table` and the test `combinations` use them; a new method is one more line in a list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use imbalance::Cut;
use imbalance::Distortion;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, Calibrator, HistogramBinning, Interpolation,
    IsotonicRegression, PlattScaling, PriorCorrection, QuadraticLogit, SplineCalibration,
    TemperatureScaling, Uncalibrated, VennAbers, as_printed::LinearPriorScaling,
};
use imbalance::data::{SyntheticClicks, SyntheticLog};
use imbalance::loss::{
    AsymmetricLoss, ClassWeighted, ClassWeights, FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted,
    Loss, WeightedLogLoss,
};
use imbalance::model::{FittedLogisticRegression, LogisticRegression, Model};
use imbalance::pipeline::Warning;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, EditedNearestNeighbours, HardNegativeMining, HardnessBand,
    LocalCaseControl, NoSampling, Pilot, PoissonHardNegatives, PoissonRuleSampler,
    RandomOverSampler, RandomUnderSampler, Resample, Rule, RuleSampler, Sampler, Smote, SmoteNc,
    TomekLinks,
};
use imbalance::{CrossFit, Dataset, Error, Pipeline, Result, Run, Seed, Split};

type MakeSampler = fn() -> Result<Box<dyn Sampler>>;
type MakeLoss = fn() -> Result<Box<dyn Loss>>;
type MakeCalibrator = fn() -> Result<BoxCalibrator>;

fn pilot() -> Pilot {
    Pilot::trained(LogisticRegression::new(), LogLoss)
}

fn recent() -> Rule {
    Rule::number("last_active_days").at_most(3.0)
}

/// How a sampler reports its effect: as a distortion, or as offsets. Offsets are log-odds, so they need a loss
/// whose logits are log-odds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tells {
    Distortion,
    Offsets,
}

pub(crate) const SAMPLERS: &[(&str, Tells, MakeSampler)] = &[
    ("none", Tells::Distortion, || Ok(Box::new(NoSampling))),
    ("random 10:1", Tells::Distortion, || {
        Ok(Box::new(RandomUnderSampler::negatives_per_positive(10.0)?))
    }),
    ("random 10:1, weighted", Tells::Distortion, || {
        Ok(Box::new(RandomUnderSampler::negatives_per_positive(10.0)?.reweight(true)))
    }),
    ("over-sampled 0.1", Tells::Distortion, || {
        Ok(Box::new(RandomOverSampler::positives_per_negative(0.1)?))
    }),
    ("SMOTE 0.1", Tells::Distortion, || Ok(Box::new(Smote::positives_per_negative(0.1)?))),
    ("Borderline-SMOTE 0.1", Tells::Distortion, || {
        Ok(Box::new(BorderlineSmote::borderline1(0.1)?))
    }),
    ("ADASYN 0.1", Tells::Distortion, || Ok(Box::new(Adasyn::positives_per_negative(0.1)?))),
    // The last column is treated as a column of codes, so that new rows copy it from their neighbours.
    ("SMOTE-NC 0.1", Tells::Distortion, || {
        Ok(Box::new(SmoteNc::positives_per_negative(0.1, [5])?))
    }),
    ("Tomek links", Tells::Distortion, || Ok(Box::new(TomekLinks::new()))),
    ("edited neighbours", Tells::Distortion, || Ok(Box::new(EditedNearestNeighbours::new(3)?))),
    ("SMOTE 0.1, then Tomek", Tells::Distortion, || {
        Ok(Box::new(Smote::positives_per_negative(0.1)?.then(TomekLinks::new().both_classes(true))))
    }),
    ("random 20:1, then over-sampled 0.1", Tells::Distortion, || {
        let thinned = RandomUnderSampler::negatives_per_positive(20.0)?;
        Ok(Box::new(thinned.then(RandomOverSampler::positives_per_negative(0.1)?)))
    }),
    ("hard negatives", Tells::Distortion, || {
        Ok(Box::new(HardNegativeMining::new(pilot(), HardnessBand::quantiles(0.7, 1.0)?)))
    }),
    ("hard negatives, Poisson, weighted", Tells::Distortion, || {
        Ok(Box::new(PoissonHardNegatives::proportional(pilot(), 10.0, 0.02)?.reweight(true)))
    }),
    ("local case-control", Tells::Offsets, || Ok(Box::new(LocalCaseControl::new(pilot())))),
    ("rule", Tells::Distortion, || Ok(Box::new(RuleSampler::filter(recent())?))),
    ("rule, Poisson, weighted", Tells::Distortion, || {
        Ok(Box::new(PoissonRuleSampler::new([(recent(), 0.5)], 0.1)?.reweight(true)))
    }),
];

/// The effect of a loss on the log-odds: none, a constant shift, a nonlinear map, or a nonlinear map onto a
/// bounded range, so that some logits mean probability 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Odds {
    Kept,
    Shifted,
    Bent,
    Cut,
}

pub(crate) const LOSSES: &[(&str, Odds, MakeLoss)] = &[
    ("log loss", Odds::Kept, || Ok(Box::new(LogLoss))),
    ("balanced", Odds::Shifted, || Ok(Box::new(WeightedLogLoss::balanced()))),
    ("given 10 : 1", Odds::Shifted, || Ok(Box::new(WeightedLogLoss::given(10.0, 1.0)?))),
    ("population 0.02", Odds::Shifted, || Ok(Box::new(WeightedLogLoss::population(0.02)?))),
    ("effective number", Odds::Shifted, || Ok(Box::new(WeightedLogLoss::effective_number(0.999)?))),
    ("logit-adjusted", Odds::Shifted, || Ok(Box::new(LogitAdjusted::new(1.0)?))),
    ("focal γ = 2", Odds::Bent, || Ok(Box::new(FocalLoss::new(2.0)?))),
    ("focal γ = 2, α = 0.25", Odds::Bent, || Ok(Box::new(FocalLoss::new(2.0)?.alpha(0.25)?))),
    ("focal γ = 2, balanced", Odds::Bent, || {
        Ok(Box::new(ClassWeighted::new(FocalLoss::new(2.0)?, ClassWeights::Balanced)?))
    }),
    ("asymmetric 0, 2", Odds::Bent, || Ok(Box::new(AsymmetricLoss::new(0.0, 2.0, 0.0)?))),
    ("smoothed 0.002", Odds::Cut, || Ok(Box::new(LabelSmoothing::new(LogLoss, 0.002)?))),
];

/// The source of a calibrator's mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mean {
    /// The model: σ(z) is taken unchanged.
    Taken,
    /// A closed form of the sampler's distortion and the loss.
    ClosedForm,
    /// Rows, by a map with a free intercept.
    Learned,
    /// Rows, but not exactly: temperature, beta `ab` and beta CDF have no intercept that sets the mean, and the
    /// merged probability of Venn–Abers is closer to ½ the fewer positives there are.
    LearnedLoosely,
    /// A closed form that is not Bayes' rule: equation (15) as printed.
    Scaled,
    /// Rows, after the closed form.
    ClosedFormThenLearned,
    /// Rows, after the closed form, by a map that needs finite scores.
    ClosedFormThenLine,
}

pub(crate) const CALIBRATORS: &[(&str, Mean, MakeCalibrator)] = &[
    ("none", Mean::Taken, || Ok(Uncalibrated.boxed())),
    ("prior", Mean::ClosedForm, || Ok(PriorCorrection::new().boxed())),
    ("linear scaling (15)", Mean::Scaled, || {
        Ok(LinearPriorScaling::from_rates(0.02, 1.0 / 11.0)?.boxed())
    }),
    ("Platt", Mean::Learned, || Ok(PlattScaling::new().boxed())),
    ("Platt, plain targets", Mean::Learned, || Ok(PlattScaling::new().plain_targets(true).boxed())),
    ("Platt on p", Mean::Learned, || Ok(PlattScaling::new().on_probabilities(true).boxed())),
    ("beta abm", Mean::Learned, || Ok(BetaCalibration::abm().boxed())),
    ("beta am", Mean::Learned, || Ok(BetaCalibration::am().boxed())),
    ("beta ab", Mean::LearnedLoosely, || Ok(BetaCalibration::ab().boxed())),
    ("beta CDF", Mean::LearnedLoosely, || Ok(BetaCdf.boxed())),
    ("quadratic logit", Mean::Learned, || Ok(QuadraticLogit::new().boxed())),
    ("spline", Mean::Learned, || Ok(SplineCalibration::new().boxed())),
    ("temperature", Mean::LearnedLoosely, || Ok(TemperatureScaling::new().boxed())),
    ("temperature, bias-corrected", Mean::Learned, || {
        Ok(TemperatureScaling::new().bias_corrected(true).boxed())
    }),
    ("isotonic", Mean::Learned, || Ok(IsotonicRegression::new().boxed())),
    ("isotonic, steps", Mean::Learned, || {
        Ok(IsotonicRegression::new().interpolation(Interpolation::Steps).boxed())
    }),
    // The lower bound adds at most half a percent to a mean of 2 %.
    ("isotonic, bounds", Mean::Learned, || {
        Ok(IsotonicRegression::new().bounds(1e-4, 0.99)?.boxed())
    }),
    ("histogram, quantiles", Mean::Learned, || Ok(HistogramBinning::quantiles(10)?.boxed())),
    ("histogram, equal width", Mean::Learned, || Ok(HistogramBinning::equal_width(10)?.boxed())),
    ("Venn–Abers", Mean::LearnedLoosely, || Ok(VennAbers.boxed())),
    ("prior → Platt", Mean::ClosedFormThenLine, || {
        Ok(PriorCorrection::new().then(PlattScaling::new()).boxed())
    }),
    ("prior → beta", Mean::ClosedFormThenLine, || {
        Ok(PriorCorrection::new().then(BetaCalibration::abm()).boxed())
    }),
    ("prior → isotonic", Mean::ClosedFormThenLearned, || {
        Ok(PriorCorrection::new().then(IsotonicRegression::new()).boxed())
    }),
];

/// One line of each list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Combination {
    pub(crate) sampler: &'static (&'static str, Tells, MakeSampler),
    pub(crate) loss: &'static (&'static str, Odds, MakeLoss),
    pub(crate) calibrator: &'static (&'static str, Mean, MakeCalibrator),
}

/// The promise of theory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Promise {
    /// The mean is right.
    Right,
    /// The pipeline refuses.
    Refused(Refusal),
    /// It runs, but theory promises the mean only for the best function of all, which no linear model is: the
    /// mean is compared with an earlier measurement.
    Near,
    /// It runs, and theory promises nothing.
    Nothing(&'static str),
}

/// Why a pipeline refuses a combination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Refusal {
    /// Rows were chosen by their features, and no closed form undoes that.
    NoClosedForm,
    /// The loss maps some logits to probability 0 or 1, whose log-odds are infinite.
    CertainScores,
    /// Offsets are log-odds, but the logits of the loss are not, and the calibrator does not learn from rows.
    BentOffsets,
}

const SAMPLER_STAYS: &str = "nothing undoes the sampler";
const LOSS_STAYS: &str = "nothing undoes the loss";

impl Promise {
    /// Whether a pipeline must warn that nothing corrects the sampler or the loss.
    pub(crate) fn is_not_undone(self) -> bool {
        matches!(self, Self::Nothing(why) if why == SAMPLER_STAYS || why == LOSS_STAYS)
    }
}

impl Combination {
    /// The promise of theory for a sampler with this distortion.
    pub(crate) fn promise(&self, distortion: &Distortion) -> Promise {
        let (tells, odds, mean) = (self.sampler.1, self.loss.1, self.calibrator.1);
        let by_features = matches!(distortion, Distortion::FeatureDependent { .. });
        let bent = matches!(odds, Odds::Bent | Odds::Cut);
        match mean {
            Mean::Taken | Mean::ClosedForm | Mean::Scaled if bent && tells == Tells::Offsets => {
                Promise::Refused(Refusal::BentOffsets)
            }
            Mean::Learned => Promise::Right,
            Mean::LearnedLoosely => Promise::Nothing("the map does not hold the mean"),
            Mean::Taken if by_features || distortion.log_odds() != Some(0.0) => {
                Promise::Nothing(SAMPLER_STAYS)
            }
            Mean::Taken if odds != Odds::Kept => Promise::Nothing(LOSS_STAYS),
            Mean::Taken => Promise::Right,
            _ if by_features => Promise::Refused(Refusal::NoClosedForm),
            Mean::ClosedFormThenLine if odds == Odds::Cut => {
                Promise::Refused(Refusal::CertainScores)
            }
            Mean::ClosedFormThenLearned | Mean::ClosedFormThenLine => Promise::Right,
            Mean::Scaled => {
                Promise::Nothing("a constant factor on probabilities is no Bayes' rule")
            }
            // The loss's map is exact for the best function of all, which no linear model is.
            Mean::ClosedForm if bent => Promise::Near,
            Mean::ClosedForm => Promise::Right,
        }
    }

    /// Fits the combination, cross-fitted where the calibrator learns.
    fn fit(&self, experiment: &Experiment, trained: &Trained, folds: usize) -> Result<Outcome> {
        let train = &experiment.train()?;
        // The sample on which the pipeline fits its final model.
        let run = Run::seeded(experiment.seed).child("sampler");
        let sample = trained.sampler.resample(train, &run)?.apply(train)?;
        let promise = self.promise(sample.distortion());
        let fitted = Pipeline::new(trained.model.clone())
            .sampler(trained.sampler.clone())
            .loss((self.loss.2)()?)
            .calibrator((self.calibrator.2)()?)
            .cross_fit(CrossFit::new(folds, Cut::Stratified)?)
            .seed(experiment.seed)
            .fit(train);
        let refused = |refusal| Ok(Outcome { promise, result: Err(refusal) });
        let fitted = match fitted {
            Err(Error::NoClosedForm { .. }) => return refused(Refusal::NoClosedForm),
            Err(Error::BentOffsets { .. }) => return refused(Refusal::BentOffsets),
            Err(Error::CertainScore { .. }) => return refused(Refusal::CertainScores),
            fitted => fitted?,
        };
        let test = experiment.log.dataset.select(experiment.split.test())?;
        let p = fitted.probabilities_of(&test)?;
        let truth: Vec<f64> =
            experiment.split.test().iter().map(|&row| experiment.log.probabilities[row]).collect();
        let total: f64 = truth.iter().sum();
        let report = fitted.report();
        let learned = report.calibration.map(|rows| rows.positives);
        Ok(Outcome {
            promise,
            result: Ok(Measured {
                ratio: p.iter().sum::<f64>() / total,
                error: standard_error(&sample, train, learned),
                distance: p.iter().zip(&truth).map(|(p, t)| (p - t).abs()).sum::<f64>() / total,
                warned: report.warnings.iter().any(|w| matches!(w, Warning::NotUndone { .. })),
            }),
        })
    }
}

/// Fits the combinations that `wanted` selects, in the order of the lists, and calls `each` with every outcome.
pub(crate) fn fit_all(
    experiment: &Experiment,
    folds: usize,
    wanted: impl Fn(&Combination) -> bool,
    mut each: impl FnMut(&Combination, Result<Outcome>),
) -> Result<()> {
    for sampler in SAMPLERS {
        let samples = Remembering::new((sampler.2)()?);
        for loss in LOSSES {
            let model = Remembering::new(LogisticRegression::new());
            let trained = Trained { sampler: samples.clone(), model };
            for calibrator in CALIBRATORS {
                let combination = Combination { sampler, loss, calibrator };
                if wanted(&combination) {
                    let outcome = combination.fit(experiment, &trained, folds);
                    each(&combination, outcome);
                }
            }
        }
    }
    Ok(())
}

/// The stages that combinations share.
struct Trained {
    sampler: Remembering<Box<dyn Sampler>, Resample>,
    model: Remembering<LogisticRegression, Arc<FittedLogisticRegression>>,
}

/// A stage that works once for each seed. In one experiment equal seeds mean equal rows, so pipelines that
/// differ only in later stages share the results of earlier stages.
#[derive(Debug)]
struct Remembering<S, T> {
    stage: Arc<S>,
    known: Arc<Mutex<HashMap<Seed, T>>>,
}

impl<S, T> Clone for Remembering<S, T> {
    fn clone(&self) -> Self {
        Self { stage: Arc::clone(&self.stage), known: Arc::clone(&self.known) }
    }
}

impl<S, T: Clone> Remembering<S, T> {
    fn new(stage: S) -> Self {
        Self { stage: Arc::new(stage), known: Arc::default() }
    }

    fn recall(&self, seed: Seed, work: impl FnOnce(&S) -> Result<T>) -> Result<T> {
        let mut known = self.known.lock().expect("no holder of the lock panics");
        if let Some(done) = known.get(&seed) {
            return Ok(done.clone());
        }
        let done = work(&self.stage)?;
        known.insert(seed, done.clone());
        Ok(done)
    }
}

impl Sampler for Remembering<Box<dyn Sampler>, Resample> {
    fn resample(&self, data: &Dataset<'_>, run: &Run) -> Result<Resample> {
        self.recall(run.seed(), |sampler| sampler.resample(data, run))
    }
}

impl Model for Remembering<LogisticRegression, Arc<FittedLogisticRegression>> {
    type Fitted = Arc<FittedLogisticRegression>;

    fn fit(&self, train: &Dataset<'_>, loss: &dyn Loss, run: &Run) -> Result<Self::Fitted> {
        self.recall(run.seed(), |model| Ok(Arc::new(model.fit(train, loss, run)?)))
    }
}

/// The standard error of predicted / true on test rows.
///
/// The comparison is with true probabilities, so test clicks add no noise. The model's intercept is the log-odds
/// of its training rows: its relative variance is 1/n₊ + 1/n₋. With weights, n is the effective number
/// (Σw)²/Σw², but at most the number of original rows, because repeated and synthetic rows add no information.
/// A learned map sets the mean to the rate of its own rows: 1/n₊ of all training rows. The final model is
/// fitted to other negatives than the models of the folds: 1/n₋ stays.
fn standard_error(sample: &Dataset<'_>, train: &Dataset<'_>, learned: Option<usize>) -> f64 {
    let effective = |class: bool| {
        let weight = |row: usize| sample.weights().map_or(1.0, |weights| weights[row]);
        let rows = (0..sample.rows()).filter(|&row| sample.labels()[row] == class);
        let (sum, squares) =
            rows.map(weight).fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
        let totals = train.totals();
        let most = if class { totals.positives } else { totals.negatives };
        (sum * sum / squares).min(most as f64)
    };
    let positives = learned.map_or_else(|| effective(true), |positives| positives as f64);
    (1.0 / positives + 1.0 / effective(false)).sqrt()
}

/// The outcome of a combination.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) promise: Promise,
    pub(crate) result: Result<Measured, Refusal>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Mean predicted / mean true probability, on rows that no stage has seen.
    pub(crate) ratio: f64,
    /// Its standard error.
    pub(crate) error: f64,
    /// Mean |p − true| / mean of the true probabilities.
    pub(crate) distance: f64,
    /// Whether the pipeline warned that nothing corrects the sampler or the loss.
    pub(crate) warned: bool,
}

/// A synthetic log; half of its rows train.
#[derive(Debug)]
pub(crate) struct Experiment {
    pub(crate) log: SyntheticLog,
    pub(crate) split: Split,
    pub(crate) seed: Seed,
}

impl Experiment {
    pub(crate) fn new(rows: usize, rate: f64, seed: u64) -> Result<Self> {
        let log = SyntheticClicks::new(rows, rate)?.categorical(&[]).generate(seed)?;
        let split = Split::stratified(log.dataset.labels(), 0.5, seed)?;
        Ok(Self { log, split, seed: Seed::new(seed) })
    }

    pub(crate) fn train(&self) -> Result<Dataset<'_>> {
        self.log.dataset.select(self.split.train())
    }
}
