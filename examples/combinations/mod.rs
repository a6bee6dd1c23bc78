//! Every sampler, loss and calibrator, and what theory promises of each combination. Shared by the
//! example `calibration_table` and the test `combinations`; a new method is one line in a list.

use imbalance::calibration::{
    BetaCalibration, BoxCalibrator, Calibrator, HistogramBinning, IsotonicRegression, PlattScaling,
    PriorCorrection, TemperatureScaling, Uncalibrated, VennAbers,
};
use imbalance::data::{SyntheticClicks, SyntheticLog};
use imbalance::loss::{
    AsymmetricLoss, FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted, Loss, WeightedLogLoss,
};
use imbalance::model::LogisticRegression;
use imbalance::sampling::{
    Band, Distortion, HardNegativeMining, LocalCaseControl, NoSampling, Pilot,
    PoissonHardNegatives, PoissonRuleSampler, RandomOverSampler, RandomUnderSampler, Rule,
    RuleSampler, Sampler, Smote,
};
use imbalance::{CrossFit, Dataset, Error, Pipeline, Result, Run, Seed, Split};

type MakeSampler = fn() -> Result<Box<dyn Sampler<f64>>>;
type MakeLoss = fn() -> Result<Box<dyn Loss>>;
type MakeCalibrator = fn() -> Result<BoxCalibrator>;

fn pilot() -> Pilot<f64> {
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
    ("effective number", Odds::Shifted, || Ok(Box::new(WeightedLogLoss::effective_number(0.999)?))),
    ("logit-adjusted", Odds::Shifted, || Ok(Box::new(LogitAdjusted::new(1.0)?))),
    ("focal γ = 2", Odds::Bent, || Ok(Box::new(FocalLoss::new(2.0)?))),
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
    /// Nowhere, though it learns: temperature has no intercept to set the mean with, and the merged
    /// probability of Venn–Abers leans towards one half, the more the fewer positives there are.
    LearnedLoosely,
    /// From rows, after the closed form.
    ClosedFormThenLearned,
    /// Likewise, by a map whose scores must be finite.
    ClosedFormThenLine,
}

pub(crate) const CALIBRATORS: &[(&str, Mean, MakeCalibrator)] = &[
    ("none", Mean::Taken, || Ok(Uncalibrated.boxed())),
    ("prior", Mean::ClosedForm, || Ok(PriorCorrection::new().boxed())),
    ("Platt", Mean::Learned, || Ok(PlattScaling::new().boxed())),
    ("isotonic", Mean::Learned, || Ok(IsotonicRegression::new().boxed())),
    ("beta", Mean::Learned, || Ok(BetaCalibration::abm().boxed())),
    ("histogram", Mean::Learned, || Ok(HistogramBinning::quantiles(10)?.boxed())),
    ("Venn–Abers", Mean::LearnedLoosely, || Ok(VennAbers::new().boxed())),
    ("temperature", Mean::LearnedLoosely, || Ok(TemperatureScaling::new().boxed())),
    ("prior → Platt", Mean::ClosedFormThenLine, || {
        Ok(PriorCorrection::new().then(PlattScaling::new()).boxed())
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

impl Combination {
    /// What theory promises, given what the sampler distorts.
    pub(crate) fn promise(&self, distortion: &Distortion) -> Promise {
        let (tells, odds, mean) = (self.sampler.1, self.loss.1, self.calibrator.1);
        let by_features = matches!(distortion, Distortion::FeatureDependent { .. });
        let bent = matches!(odds, Odds::Bent | Odds::Cut);
        match mean {
            Mean::Taken | Mean::ClosedForm if bent && tells == Tells::Offsets => {
                Promise::Refused(Refusal::BentOffsets)
            }
            Mean::Learned => Promise::Right,
            Mean::LearnedLoosely => Promise::Nothing("the map does not hold the mean"),
            Mean::Taken if !distortion.is_none() => Promise::Nothing("nothing undoes the sampler"),
            Mean::Taken if odds != Odds::Kept => Promise::Nothing("nothing undoes the loss"),
            Mean::Taken => Promise::Right,
            _ if by_features => Promise::Refused(Refusal::NoClosedForm),
            Mean::ClosedFormThenLine if odds == Odds::Cut => {
                Promise::Refused(Refusal::CertainScores)
            }
            Mean::ClosedFormThenLearned | Mean::ClosedFormThenLine => Promise::Right,
            Mean::ClosedForm if bent => Promise::Nothing(
                "the loss's map is exact for the best function of all, which no linear model is",
            ),
            Mean::ClosedForm => Promise::Right,
        }
    }

    /// Fits the combination, with 5-fold cross-fitting where the calibrator learns.
    pub(crate) fn fit(&self, experiment: &Experiment, folds: usize) -> Result<Outcome> {
        let train = &experiment.train()?;
        // The rows that a model on all of `train` learns from: the pipeline's own draw.
        let run = Run::seeded(experiment.seed).child("sampler");
        let sample = (self.sampler.2)()?.resample(train, &run)?.apply(train)?;
        let promise = self.promise(sample.distortion());
        let fitted = Pipeline::new(LogisticRegression::new())
            .sampler((self.sampler.2)()?)
            .loss((self.loss.2)()?)
            .calibrator((self.calibrator.2)()?)
            .cross_fit(CrossFit::stratified(folds)?)
            .seed(experiment.seed)
            .fit(train);
        let fitted = match fitted {
            Err(Error::NoClosedForm { .. }) => {
                return Ok(Outcome { promise, result: Err(Refusal::NoClosedForm) });
            }
            Err(Error::Unsupported { .. }) => {
                return Ok(Outcome { promise, result: Err(Refusal::BentOffsets) });
            }
            Err(Error::NonFinite { value, .. }) if value.is_infinite() => {
                return Ok(Outcome { promise, result: Err(Refusal::CertainScores) });
            }
            fitted => fitted?,
        };
        let test = experiment.log.dataset.select(experiment.split.test())?;
        let p = fitted.probabilities_of(&test)?;
        let truth: Vec<f64> =
            experiment.split.test().iter().map(|&row| experiment.log.probabilities[row]).collect();
        let total: f64 = truth.iter().sum();
        let ratio = p.iter().sum::<f64>() / total;
        let distance = p.iter().zip(&truth).map(|(p, t)| (p - t).abs()).sum::<f64>() / total;
        let learned = fitted.report().calibration.map(|rows| rows.positives);
        Ok(Outcome {
            promise,
            result: Ok(Measured {
                ratio,
                error: standard_error(&sample, train, learned),
                distance,
            }),
        })
    }
}

/// The standard error of predicted / true on other rows.
///
/// Against the truth, test clicks add no noise. The model's intercept is the log-odds of the rows it
/// learned from: relative variance 1/n₊ + 1/n₋, with the effective numbers (Σw)²/Σw² where rows weigh
/// differently, and no more than there were: repeated and synthetic rows tell nothing new. A map that
/// learns sets the mean anew, to the clicks it learned from: 1/n₊ of all training rows. The refitted
/// model's draw of negatives is another than the folds': 1/n₋ stays.
fn standard_error(
    sample: &Dataset<'_, f64>,
    train: &Dataset<'_, f64>,
    learned: Option<usize>,
) -> f64 {
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
}

/// A synthetic log, half of which trains.
#[derive(Debug)]
pub(crate) struct Experiment {
    pub(crate) log: SyntheticLog<f64>,
    pub(crate) split: Split,
    pub(crate) seed: Seed,
}

impl Experiment {
    pub(crate) fn new(rows: usize, rate: f64, seed: u64) -> Result<Self> {
        let log = SyntheticClicks::new(rows, rate)?.categorical(&[]).generate(seed)?;
        let split = Split::stratified(log.dataset.labels(), 0.5, seed)?;
        Ok(Self { log, split, seed: Seed::new(seed) })
    }

    pub(crate) fn train(&self) -> Result<Dataset<'_, f64>> {
        self.log.dataset.select(self.split.train())
    }
}
