//! Every sampler, loss and calibrator, and what theory promises of each combination. Shared by the
//! example `calibration_table` and the test `combinations`; a new method is one line in a list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use imbalance::Cut;
use imbalance::Distortion;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, Calibrator, HistogramBinning, Interpolation,
    IsotonicRegression, PlattScaling, PriorCorrection, TemperatureScaling, Uncalibrated, VennAbers,
    as_printed::LinearPriorScaling,
};
use imbalance::data::{SyntheticClicks, SyntheticLog};
use imbalance::loss::{
    AsymmetricLoss, ClassWeighted, ClassWeights, FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted,
    Loss, WeightedLogLoss,
};
use imbalance::model::{FittedLogisticRegression, LogisticRegression, Model};
use imbalance::pipeline::Warning;
use imbalance::sampling::{
    Adasyn, Band, BorderlineSmote, EditedNearestNeighbours, HardNegativeMining, LocalCaseControl,
    NoSampling, Pilot, PoissonHardNegatives, PoissonRuleSampler, RandomOverSampler,
    RandomUnderSampler, Resample, Rule, RuleSampler, Sampler, Smote, SmoteNc, TomekLinks,
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

/// How a sampler tells the model what it did: by its distortion, or by offsets, whose argument is about
/// log-odds and so needs a loss that keeps them.
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
    ("Borderline-SMOTE 0.1", Tells::Distortion, || Ok(Box::new(BorderlineSmote::first(0.1)?))),
    ("ADASYN 0.1", Tells::Distortion, || Ok(Box::new(Adasyn::positives_per_negative(0.1)?))),
    // The last column is taken for one of codes, so that new rows copy it from their kin.
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
        Ok(Box::new(HardNegativeMining::new(pilot(), Band::quantiles(0.7, 1.0)?)))
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

/// What a loss does to the log-odds: nothing, a shift by a constant, a bend, or a bend with logits that
/// stand for certain answers, whose log-odds are infinite.
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

/// Where a calibrator gets the mean from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Mean {
    /// Nowhere: σ(z) must be right as it is.
    Taken,
    /// In closed form, from what sampler and loss say.
    ClosedForm,
    /// From rows, by a map with a free intercept.
    Learned,
    /// Nowhere, though it learns: temperature, beta `ab` and beta CDF have no intercept to set the mean with,
    /// and the merged probability of Venn–Abers leans towards one half, the more the fewer positives there are.
    LearnedLoosely,
    /// In a closed form that is no Bayes' rule: equation (15) as printed.
    Scaled,
    /// From rows, after the closed form.
    ClosedFormThenLearned,
    /// Likewise, by a map whose scores must be finite.
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
    ("temperature", Mean::LearnedLoosely, || Ok(TemperatureScaling::new().boxed())),
    ("temperature, bias-corrected", Mean::Learned, || {
        Ok(TemperatureScaling::new().bias_corrected(true).boxed())
    }),
    ("isotonic", Mean::Learned, || Ok(IsotonicRegression::new().boxed())),
    ("isotonic, steps", Mean::Learned, || {
        Ok(IsotonicRegression::new().interpolation(Interpolation::Steps).boxed())
    }),
    // So low a bound adds at most half a percent to a mean of 2 %.
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

/// A line of each list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Combination {
    pub(crate) sampler: &'static (&'static str, Tells, MakeSampler),
    pub(crate) loss: &'static (&'static str, Odds, MakeLoss),
    pub(crate) calibrator: &'static (&'static str, Mean, MakeCalibrator),
}

/// What theory promises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Promise {
    /// The mean is right.
    Right,
    /// The pipeline refuses.
    Refused(Refusal),
    /// It runs, and theory promises the mean only for a function better than a linear model can be: it is
    /// measured here, and held to what was measured.
    Near,
    /// It runs, and nothing is promised.
    Nothing(&'static str),
}

/// Why a pipeline refuses a combination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Refusal {
    /// Rows were chosen by their features, and no closed form undoes that.
    NoClosedForm,
    /// The loss's map ends in certain answers, which a line through log-odds cannot take.
    CertainScores,
    /// Offsets are log-odds, which the loss bends, and nothing learns from rows.
    BentOffsets,
}

const SAMPLER_STAYS: &str = "nothing undoes the sampler";
const LOSS_STAYS: &str = "nothing undoes the loss";

impl Promise {
    /// Whether a pipeline must warn that nothing undoes what its training did.
    pub(crate) fn is_not_undone(self) -> bool {
        matches!(self, Self::Nothing(why) if why == SAMPLER_STAYS || why == LOSS_STAYS)
    }
}

impl Combination {
    /// What theory promises, given what the sampler distorts.
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
        // The rows that a model on all of `train` learns from: the pipeline's own draw.
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

/// Fits the combinations that are wanted, in the order of the lists, and passes each outcome on.
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

/// A stage that does its work once for each seed. In one experiment a seed stands for the rows it is used
/// on, so pipelines that differ in later stages alone need not do the work of the earlier ones again.
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

/// The standard error of predicted / true on other rows.
///
/// Against the truth, test clicks add no noise. The model's intercept is the log-odds of the rows it
/// learned from: relative variance 1/n₊ + 1/n₋, with the effective numbers (Σw)²/Σw² where rows weigh
/// differently, and no more than there were: repeated and synthetic rows tell nothing new. A map that
/// learns sets the mean anew, to the clicks it learned from: 1/n₊ of all training rows. The refitted
/// model's draw of negatives is another than the folds': 1/n₋ stays.
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

/// What came of a combination.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) promise: Promise,
    pub(crate) result: Result<Measured, Refusal>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Mean predicted / mean of the true probabilities, on rows that nothing has seen.
    pub(crate) ratio: f64,
    /// Its standard error.
    pub(crate) error: f64,
    /// Mean |p − true| / mean of the true probabilities.
    pub(crate) distance: f64,
    /// Whether the pipeline warned that nothing undoes what its training did.
    pub(crate) warned: bool,
}

/// A synthetic log, half of which trains.
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
