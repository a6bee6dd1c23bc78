//! Every setting that takes a number, and what uses it afterwards.

use imbalance::calibration::as_printed::LinearPriorScaling;
use imbalance::calibration::{
    CalibrationSet, Calibrator, Clip, HistogramBinning, IsotonicRegression, PriorCorrection,
    SplineCalibration,
};
use imbalance::data::SyntheticClicks;
use imbalance::loss::{
    AsymmetricLoss, FocalLoss, LabelSmoothing, LogLoss, LogitAdjusted, Loss, WeightedLogLoss,
};
use imbalance::model::{
    BoxModel, FtrlProximal, GivenLogits, LinearModel, LogisticRegression, Model, RareEvents,
};
use imbalance::numerics::{log_sigmoid, log1p_exp, sigmoid};
use imbalance::sampling::{
    Adasyn, BorderlineSmote, EditedNearestNeighbours, HardNegativeMining, HardnessBand,
    LocalCaseControl, NearMiss, NeighbourhoodCleaning, Pilot, PoissonHardNegatives,
    PoissonRuleSampler, RandomOverSampler, RandomUnderSampler, Rule, RuleSampler, Sampler, Smote,
    SmoteNc,
};
use imbalance::{CrossFit, Cut, Dataset, Distortion, HoldOut, Pipeline, Result, Run};

use crate::rows::{COUNTS, NUMBERS, data_sets};
use crate::tally::Tally;

fn pilot() -> Pilot {
    Pilot::trained(LogisticRegression::new(), LogLoss)
}

fn recent() -> Rule {
    Rule::number("last_active_days").at_most(4.0)
}

const SAMPLERS: &[fn(f64) -> Result<Box<dyn Sampler>>] = &[
    |x| Ok(Box::new(RandomUnderSampler::rate(x)?)),
    |x| Ok(Box::new(RandomUnderSampler::negatives_per_positive(x)?.reweight(true))),
    |x| Ok(Box::new(RandomUnderSampler::positives_per_negative(x)?)),
    |x| Ok(Box::new(RandomOverSampler::positives_per_negative(x)?)),
    |x| Ok(Box::new(RandomOverSampler::positives_per_negative(1.0)?.shrinkage(x)?)),
    |x| Ok(Box::new(Smote::positives_per_negative(x)?)),
    |x| Ok(Box::new(BorderlineSmote::borderline1(x)?)),
    |x| Ok(Box::new(Adasyn::positives_per_negative(x)?)),
    |x| Ok(Box::new(SmoteNc::positives_per_negative(x, [1])?)),
    |x| Ok(Box::new(NearMiss::negatives_per_positive(x)?)),
    |x| Ok(Box::new(NearMiss::positives_per_negative(x)?)),
    |x| Ok(Box::new(NearMiss::rate(x)?)),
    |x| Ok(Box::new(HardNegativeMining::new(pilot(), HardnessBand::window(x, 0.1)?))),
    |x| Ok(Box::new(HardNegativeMining::new(pilot(), HardnessBand::window(0.2, x)?))),
    |x| Ok(Box::new(HardNegativeMining::new(pilot(), HardnessBand::quantiles(x, 1.0)?))),
    |x| Ok(Box::new(HardNegativeMining::new(pilot(), HardnessBand::hardest(5)?).random_share(x)?)),
    |x| Ok(Box::new(PoissonHardNegatives::proportional(pilot(), x, 0.1)?)),
    |x| Ok(Box::new(PoissonHardNegatives::proportional(pilot(), 2.0, x)?.reweight(true))),
    |x| Ok(Box::new(LocalCaseControl::new(pilot()).scale(x)?)),
    |x| Ok(Box::new(RuleSampler::shares([(recent(), x)], 0.5)?)),
    |x| Ok(Box::new(RuleSampler::priorities([(recent(), x)], 0.5)?)),
    |x| Ok(Box::new(RuleSampler::priorities([(recent(), 2.0)], x)?)),
    |x| Ok(Box::new(RuleSampler::filter(Rule::number("last_active_days").between(x, 3.0))?)),
    |x| Ok(Box::new(PoissonRuleSampler::new([(recent(), x)], 0.5)?.reweight(true))),
];

const COUNTED: &[fn(usize) -> Result<Box<dyn Sampler>>] = &[
    |n| Ok(Box::new(Smote::positives_per_negative(1.0)?.neighbours(n)?)),
    |n| Ok(Box::new(SmoteNc::positives_per_negative(1.0, [n])?)),
    |n| Ok(Box::new(SmoteNc::positives_per_negative(1.0, [1])?.neighbours(n)?)),
    |n| Ok(Box::new(BorderlineSmote::borderline1(1.0)?.m_neighbours(n)?)),
    |n| Ok(Box::new(Adasyn::positives_per_negative(1.0)?.neighbours(n)?)),
    |n| Ok(Box::new(EditedNearestNeighbours::new(n)?)),
    |n| Ok(Box::new(EditedNearestNeighbours::new(1)?.repeated(n)?)),
    |n| Ok(Box::new(NeighbourhoodCleaning::new(n)?)),
    |n| Ok(Box::new(NearMiss::rate(0.5)?.neighbours(n)?)),
    |n| Ok(Box::new(NearMiss::rate(0.5)?.m_neighbours(n)?)),
    |n| Ok(Box::new(HardNegativeMining::new(pilot(), HardnessBand::hardest(n)?))),
];

const LOSSES: &[fn(f64) -> Result<Box<dyn Loss>>] = &[
    |x| Ok(Box::new(WeightedLogLoss::given(x, 1.0)?)),
    |x| Ok(Box::new(WeightedLogLoss::given(1.0, x)?)),
    |x| Ok(Box::new(WeightedLogLoss::population(x)?)),
    |x| Ok(Box::new(WeightedLogLoss::effective_number(x)?)),
    |x| Ok(Box::new(LogitAdjusted::new(x)?)),
    |x| Ok(Box::new(FocalLoss::new(x)?)),
    |x| Ok(Box::new(FocalLoss::new(2.0)?.alpha(x)?)),
    |x| Ok(Box::new(FocalLoss::new(2.0)?.uniform_alpha(x)?)),
    |x| Ok(Box::new(AsymmetricLoss::new(x, 1.0, 0.1)?)),
    |x| Ok(Box::new(AsymmetricLoss::new(1.0, x, 0.1)?)),
    |x| Ok(Box::new(AsymmetricLoss::new(1.0, 1.0, x)?)),
    |x| Ok(Box::new(LabelSmoothing::new(LogLoss, x)?)),
];

const MODELS: &[fn(f64) -> Result<BoxModel>] = &[
    |x| Ok(LogisticRegression::new().l2(x)?.boxed()),
    |x| Ok(LogisticRegression::new().l1(x)?.boxed()),
    |x| Ok(FtrlProximal::new().alpha(x)?.boxed()),
    |x| Ok(FtrlProximal::new().beta(x)?.boxed()),
    |x| Ok(FtrlProximal::new().l1(x)?.boxed()),
    |x| Ok(FtrlProximal::new().l2(x)?.boxed()),
    |x| Ok(FtrlProximal::new().base_rate(x)?.boxed()),
    |x| Ok(RareEvents::new().prior_correction(x)?.boxed()),
    |x| Ok(RareEvents::new().weighting(x)?.boxed()),
    |x| Ok(RareEvents::new().firth_with_intervals(Some(x))?.boxed()),
];

/// The logits of the rows trained on.
fn logits(model: &BoxModel, loss: &dyn Loss, data: &Dataset<'_>) -> Result<Vec<f64>> {
    let fitted = model.fit(data, loss, &Run::default())?;
    let mut out = vec![0.0; data.rows()];
    fitted.logits_into(data.features(), &mut out).map(|()| out)
}

fn sizes(sampler: &dyn Sampler, data: &Dataset<'_>) -> Result<impl std::fmt::Debug + use<>> {
    let resample = sampler.resample(data, &Run::seeded(1))?;
    let sample = resample.apply(data)?;
    Ok((sample.totals(), sample.distortion().clone(), sample.weights().map(<[f64]>::to_vec)))
}

pub(crate) fn drive(tally: &mut Tally) {
    let data = data_sets()[0].build().expect("the plain data set");
    let scores: Vec<f64> = data.features().rows().map(|row| row.get(0)).collect();
    let set = CalibrationSet::from_logits(&scores, data.labels()).expect("plain scores");
    let ridge = LogisticRegression::new().boxed();
    for &x in NUMBERS {
        let name = |kind: &'static str, at| move || format!("{kind} {at} at {x:e}");
        for (at, make) in SAMPLERS.iter().enumerate() {
            tally.cell(name("sampler", at), || sizes(&*make(x)?, &data));
        }
        for (at, make) in LOSSES.iter().enumerate() {
            tally.cell(name("loss", at), || logits(&ridge, &*make(x)?, &data));
            tally.cell(name("posterior", at), || posterior(&*make(x)?.resolve(&data.totals())?));
        }
        for (at, make) in MODELS.iter().enumerate() {
            tally.cell(name("model", at), || logits(&make(x)?, &LogLoss, &data));
        }
        let calibrators: [fn(f64) -> Result<imbalance::calibration::BoxCalibrator>; 9] = [
            |x| Ok(PriorCorrection::from_rates(x, 0.5)?.boxed()),
            |x| Ok(PriorCorrection::from_rates(1e-3, x)?.boxed()),
            |x| Ok(PriorCorrection::from_sampling_rate(x)?.boxed()),
            |x| Ok(LinearPriorScaling::from_rates(x, 0.5)?.boxed()),
            |x| Ok(LinearPriorScaling::from_rates(0.5, x)?.boxed()),
            |x| Ok(Clip::new(x)?.boxed()),
            |x| Ok(IsotonicRegression::new().bounds(x, 1.0)?.boxed()),
            |x| Ok(IsotonicRegression::new().bounds(0.0, x)?.boxed()),
            |x| Ok(SplineCalibration::new().lambda(x)?.boxed()),
        ];
        for (at, make) in calibrators.iter().enumerate() {
            tally.cell(name("calibrator", at), || make(x)?.learn(&set)?.probabilities(&scores));
        }
        tally.cell(name("shift", 0), || {
            let sampled = data.view().with_distortion(Distortion::PriorShift { log_odds: x });
            let pipeline =
                Pipeline::new(LogisticRegression::new()).calibrator(PriorCorrection::new());
            pipeline.fit(&sampled)?.probabilities(data.features())
        });
        tally.cell(name("hold-out", 0), || {
            let pipeline = Pipeline::new(LogisticRegression::new())
                .hold_out(HoldOut::new(x, Cut::Stratified)?);
            pipeline.fit(&data)?.probabilities(data.features())
        });
        tally.cell(name("linear model", 0), || LinearModel::new(vec![1.0, x], 0.0));
        tally.cell(name("linear model", 1), || LinearModel::new(vec![1.0], x));
        tally.cell(name("given logits", 0), || GivenLogits::new(vec![0.0, x]));
        tally.cell(name("given probabilities", 0), || GivenLogits::from_probabilities(&[0.5, x]));
        tally.cell(name("scores as probabilities", 0), || {
            CalibrationSet::from_probabilities(vec![0.5, x], vec![true, false])
                .map(|set| set.logits().to_vec())
        });
        if !x.is_nan() {
            tally.sure(name("numerics", 0), || (sigmoid(x), log_sigmoid(x), log1p_exp(x)));
        }
        tally.cell(name("synthetic rate", 0), || {
            SyntheticClicks::new(20, x)?.generate(1).map(|log| log.dataset.totals())
        });
        tally.cell(name("synthetic signal", 0), || {
            SyntheticClicks::new(20, 0.3)?.signal(x).generate(1).map(|log| log.dataset.totals())
        });
    }
    for &n in COUNTS {
        let name = |kind: &'static str, at| move || format!("{kind} {at} at {n}");
        for (at, make) in COUNTED.iter().enumerate() {
            tally.cell(name("sampler", at), || sizes(&*make(n)?, &data));
        }
        tally.cell(name("iterations", 0), || {
            logits(&LogisticRegression::new().max_iterations(n)?.boxed(), &LogLoss, &data)
        });
        // Passes end by themselves when they bring nothing.
        tally.cell(name("folds", 0), || {
            let pipeline = Pipeline::new(LogisticRegression::new())
                .cross_fit(CrossFit::new(n, Cut::Stratified)?);
            pipeline.fit(&data)?.probabilities(data.features())
        });
        tally.cell(name("knots", 0), || {
            SplineCalibration::new().knots(n)?.learn(&set)?.probabilities(&scores)
        });
        tally.cell(name("bins", 0), || {
            HistogramBinning::quantiles(n)?.learn(&set)?.probabilities(&scores)
        });
        tally.cell(name("bins", 1), || {
            HistogramBinning::equal_width(n)?.learn(&set)?.probabilities(&scores)
        });
        let synthetic: [fn(usize) -> Result<SyntheticClicks>; 4] = [
            |n| SyntheticClicks::new(if n == 1000 || n < 50 { n } else { n.max(1 << 40) }, 0.3),
            |n| {
                Ok(SyntheticClicks::new(20, 0.3)?.numeric(if n <= 1000 {
                    n
                } else {
                    n.max(1 << 40)
                }))
            },
            |n| {
                Ok(SyntheticClicks::new(20, 0.3)?
                    .categorical(&[3, if n <= 1000 { n } else { n.max(1 << 40) }]))
            },
            |n| Ok(SyntheticClicks::new(20, 0.3)?.days(n)),
        ];
        for (at, make) in synthetic.iter().enumerate() {
            tally.cell(name("synthetic", at), || {
                make(n)?.generate(1).map(|log| log.dataset.totals())
            });
        }
    }
}

/// Derivatives and posterior of a loss at logits of any size.
fn posterior(loss: &dyn Loss) -> Result<impl std::fmt::Debug + use<>> {
    let logits = [-1e308, -1e4, -50.0, -1.0, -5e-324, 0.0, 1e-310, 1.0, 50.0, 1e4, 1e308];
    let posterior = loss.posterior();
    let at: Vec<_> = logits
        .iter()
        .map(|&z| {
            (
                loss.at(z, true),
                loss.at(z, false),
                posterior.log_odds(z),
                posterior.probability(z),
                posterior.logit(z),
            )
        })
        .collect();
    Ok(at)
}
