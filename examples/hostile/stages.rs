//! Samplers, models under every loss, and whole pipelines on hostile data sets.

use imbalance::calibration::Calibrator;
use imbalance::loss::{LogLoss, Loss};
use imbalance::model::logistic::{Covariance, Objective};
use imbalance::model::{
    BoostedLeaves, BoostedTrees, BoxModel, FnPredict, FtrlProximal, LogisticRegression, Model,
    Predict, RareEvents,
};
use imbalance::ndarray::Array2;
use imbalance::sampling::{
    BorderlineSmote, DrawMode, EditedNearestNeighbours, HardNegativeMining, HardnessBand,
    LocalCaseControl, NearMiss, NearMissVersion, NeighbourhoodCleaning, NoSampling, Pilot,
    RandomOverSampler, RandomUnderSampler, Rule, RuleSampler, Sampler, Smote, SmoteNc, TomekLinks,
    VotingRule,
};
use imbalance::sprs::CsMat;
use imbalance::{
    Attribute, CrossFit, Cut, Dataset, FeaturesView, HoldOut, Pipeline, Result, Row, Run, plot,
};

use crate::combinations::{CALIBRATORS, LOSSES, SAMPLERS};
use crate::rows::{COLUMNS, Hostile, ROWS, data_sets, noise};
use crate::tally::Tally;

type MakeSampler = fn() -> Result<Box<dyn Sampler>>;

/// Forms of the samplers that `combinations` lacks.
const MORE_SAMPLERS: &[(&str, MakeSampler)] = &[
    ("with replacement", || {
        let draw = DrawMode::WithReplacement;
        Ok(Box::new(RandomUnderSampler::rate(0.5)?.draw(draw).reweight(true)))
    }),
    ("Bernoulli", || Ok(Box::new(RandomUnderSampler::rate(0.5)?.draw(DrawMode::Bernoulli)))),
    ("1:1", || Ok(Box::new(RandomUnderSampler::negatives_per_positive(1.0)?))),
    ("over-sampled with noise", || {
        Ok(Box::new(RandomOverSampler::positives_per_negative(1.0)?.shrinkage(1.0)?))
    }),
    ("SMOTE k = 1", || Ok(Box::new(Smote::positives_per_negative(1.0)?.neighbours(1)?))),
    ("SMOTE per element", || {
        Ok(Box::new(Smote::positives_per_negative(1.0)?.neighbours(2)?.per_element(true)))
    }),
    ("Borderline-SMOTE 2", || Ok(Box::new(BorderlineSmote::borderline2(1.0)?.neighbours(1)?))),
    ("SMOTE-NC, all columns", || Ok(Box::new(SmoteNc::positives_per_negative(1.0, 0..6)?))),
    ("Tomek, both", || Ok(Box::new(TomekLinks::new().both_classes(true)))),
    ("ENN, mode, repeated", || {
        Ok(Box::new(EditedNearestNeighbours::new(1)?.vote(VotingRule::Mode).repeated(20)?))
    }),
    ("AllKNN, both", || {
        Ok(Box::new(EditedNearestNeighbours::new(3)?.all_knn(true).both_classes(true)))
    }),
    ("cleaning", || Ok(Box::new(NeighbourhoodCleaning::new(3)?))),
    ("NearMiss 1", || Ok(Box::new(NearMiss::negatives_per_positive(1.0)?))),
    ("NearMiss 2", || {
        Ok(Box::new(NearMiss::rate(0.5)?.version(NearMissVersion::FarthestPositives)))
    }),
    ("NearMiss 3", || Ok(Box::new(NearMiss::rate(0.5)?.version(NearMissVersion::AroundPositives)))),
    ("hard window", || {
        let pilot = Pilot::trained(LogisticRegression::new(), LogLoss);
        Ok(Box::new(HardNegativeMining::new(pilot, HardnessBand::window(0.2, 0.1)?)))
    }),
    ("local case-control × 4", || {
        let pilot = Pilot::trained(FtrlProximal::new(), LogLoss);
        Ok(Box::new(LocalCaseControl::new(pilot).scale(4.0)?))
    }),
    ("priorities", || {
        let recent = Rule::number("last_active_days").at_most(4.0);
        Ok(Box::new(RuleSampler::priorities([(recent, 1e300)], 0.3)?))
    }),
];

fn all_samplers() -> impl Iterator<Item = (&'static str, MakeSampler)> {
    let shared = SAMPLERS.iter().map(|&(name, _, make)| (name, make as MakeSampler));
    shared.chain(MORE_SAMPLERS.iter().copied())
}

/// Data sets that pass the checks of their constructor.
fn valid_data_sets() -> impl Iterator<Item = (Hostile, Dataset<'static>)> {
    data_sets().into_iter().filter_map(|hostile| Some((hostile, hostile.build().ok()?)))
}

/// What a sampler returns, as numbers.
fn resample(sampler: &dyn Sampler, data: &Dataset<'_>) -> Result<impl std::fmt::Debug + use<>> {
    let resample = sampler.resample(data, &Run::seeded(7))?;
    let sample = resample.apply(data)?;
    let numbers: Vec<_> =
        sample.features().rows().flat_map(|row| row.entries().collect::<Vec<_>>()).collect();
    let columns = (sample.weights().map(<[f64]>::to_vec), sample.offsets().map(<[f64]>::to_vec));
    Ok((sample.totals(), sample.distortion().clone(), numbers, columns))
}

pub(crate) fn samplers(tally: &mut Tally) {
    for (hostile, data) in valid_data_sets() {
        for (name, make) in all_samplers() {
            let sampler = make().expect("valid settings");
            tally.cell(|| format!("{name}, {}", hostile.name()), || resample(&*sampler, &data));
        }
    }
}

/// Few and small trees, as they take longer than the other models.
const TREES: &[(&str, fn() -> Result<BoxModel>)] = &[
    ("boosted trees", || Ok(BoostedTrees::new().max_trees(8)?.boxed())),
    ("boosted trees, 3 trees", || Ok(BoostedTrees::new().trees(3)?.max_leaves(4)?.boxed())),
    ("boosted leaves", || {
        Ok(BoostedLeaves::new(BoostedTrees::new().trees(3)?, LogisticRegression::new()).boxed())
    }),
];

const MODELS: &[(&str, fn() -> Result<BoxModel>)] = &[
    ("logistic", || Ok(LogisticRegression::new().boxed())),
    ("logistic, no penalty", || Ok(LogisticRegression::new().l2(0.0)?.boxed())),
    ("logistic, no intercept", || {
        Ok(LogisticRegression::new().l2(1e-300)?.intercept(false).boxed())
    }),
    ("logistic, l2 1e300", || Ok(LogisticRegression::new().l2(1e300)?.boxed())),
    ("logistic, l1", || Ok(LogisticRegression::new().l2(0.0)?.l1(0.5)?.boxed())),
    ("FTRL", || Ok(FtrlProximal::new().boxed())),
    ("FTRL, 3 passes, l1", || {
        Ok(FtrlProximal::new().passes(3)?.l1(0.1)?.alpha(1e6)?.in_order(true).boxed())
    }),
    ("maximum likelihood", || Ok(RareEvents::new().maximum_likelihood().boxed())),
    ("King & Zeng", || {
        Ok(RareEvents::new().prior_correction(1e-3)?.corrected_probabilities(true).boxed())
    }),
    ("weighted", || Ok(RareEvents::new().weighting(1e-3)?.boxed())),
    ("Firth", || Ok(RareEvents::new().firth().boxed())),
];

/// Rows that a fitted model may meet.
fn strangers() -> Vec<Vec<f64>> {
    vec![
        vec![0.0; COLUMNS],
        vec![f64::MAX; COLUMNS],
        (0..COLUMNS).map(|c| if c % 2 == 0 { 1e308 } else { -1e308 }).collect(),
        vec![5e-324; COLUMNS],
        vec![f64::NAN; COLUMNS],
        vec![f64::INFINITY; COLUMNS],
        vec![1.0; COLUMNS + 1],
        vec![],
    ]
}

/// The fit in words, and logits of the rows trained on.
fn fit(
    model: &BoxModel,
    loss: &dyn Loss,
    data: &Dataset<'_>,
) -> Result<(Box<dyn Predict>, impl std::fmt::Debug + use<>)> {
    let fitted = model.fit(data, loss, &Run::seeded(7))?;
    let mut logits = vec![0.0; data.rows()];
    fitted.logits_into(data.features(), &mut logits)?;
    let text = (fitted.describe(), fitted.warning(), logits);
    Ok((fitted, text))
}

pub(crate) fn models(tally: &mut Tally) {
    for (hostile, data) in valid_data_sets() {
        for &(model_name, make) in MODELS {
            let model = make().expect("valid settings");
            for &(loss_name, _, loss) in LOSSES {
                let loss = loss().expect("valid settings");
                let name = || format!("{model_name}, {loss_name}, {}", hostile.name());
                tally.cell(name, || fit(&model, &*loss, &data).map(|(_, text)| text));
            }
            let Ok(Ok((fitted, _))) = guarded(|| fit(&model, &LogLoss, &data)) else { continue };
            for row in strangers() {
                let name = || format!("{model_name} at {row:?}, {}", hostile.name());
                tally.cell(name, || fitted.logit((&row).into()));
                let one = Array2::from_shape_fn((1, row.len()), |(_, c)| row[c]);
                tally.cell(name, || {
                    let mut out = [0.0];
                    fitted.logits_into((&one).into(), &mut out).map(|()| out)
                });
                tally.cell(name, || fitted.logits_into((&one).into(), &mut [0.0; 2]));
            }
        }
        inference(tally, hostile, &data);
        given_scores(tally, hostile, &data);
    }
}

pub(crate) fn trees(tally: &mut Tally) {
    for (hostile, data) in valid_data_sets() {
        for &(model_name, make) in TREES {
            let model = make().expect("valid settings");
            for &(loss_name, _, loss) in LOSSES {
                let loss = loss().expect("valid settings");
                let name = || format!("{model_name}, {loss_name}, {}", hostile.name());
                tally.cell(name, || {
                    let (fitted, text) = fit(&model, &*loss, &data)?;
                    let at_strangers: Vec<_> =
                        strangers().iter().map(|row| fitted.logit(row.into())).collect();
                    Ok((text, format!("{at_strangers:?}").replace("value: NaN", "")))
                });
            }
        }
    }
}

/// Scorers of one's own, with answers of all kinds.
fn given_scores(tally: &mut Tally, hostile: Hostile, data: &Dataset<'_>) {
    let sum = |row: Row<'_>| row.entries().map(|(_, value)| value).sum::<f64>();
    let certain = |row: Row<'_>| match row.entries().next() {
        Some((_, value)) if value > 0.0 => f64::INFINITY,
        _ => f64::NEG_INFINITY,
    };
    let not_a_number = |_: Row<'_>| f64::NAN;
    let scorers: [Box<dyn Predict>; 4] = [
        Box::new(FnPredict::new(data.columns(), sum)),
        Box::new(FnPredict::new(data.columns(), certain)),
        Box::new(FnPredict::new(data.columns(), not_a_number)),
        Box::new(FnPredict::new(data.columns() + 1, sum)),
    ];
    for (number, scorer) in scorers.iter().enumerate() {
        let name = || format!("scorer {number}, {}", hostile.name());
        tally.cell(name, || {
            let mut logits = vec![0.0; data.rows()];
            scorer.logits_into(data.features(), &mut logits).map(|()| logits)
        });
    }
}

/// Pictures of rows.
pub(crate) fn pictures(tally: &mut Tally) {
    for (hostile, data) in valid_data_sets() {
        for columns in [[0, 1], [5, 5], [0, COLUMNS]] {
            tally.cell(
                || format!("rows by {columns:?}, {}", hostile.name()),
                || {
                    let samples = [("before", &data), ("<after>", &data)];
                    let picture = plot::rows(&samples, columns, &plot::Options::default())?;
                    Ok(picture.svg().to_owned())
                },
            );
        }
    }
}

/// A cell that is judged elsewhere.
fn guarded<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call))
}

fn inference(tally: &mut Tally, hostile: Hostile, data: &Dataset<'_>) {
    let covariances =
        [Covariance::Fisher, Covariance::Hc0, Covariance::Hc1, Covariance::WithinClasses];
    let Ok(model) = LogisticRegression::new().l2(0.0) else { return };
    let Ok(Ok(fitted)) = guarded(|| model.fit(data, &LogLoss, &Run::default())) else { return };
    for kind in covariances {
        tally.cell(
            || format!("{kind:?}, {}", hostile.name()),
            || {
                let found = fitted.inference(data, &LogLoss, kind)?;
                let tests =
                    (found.standard_errors(), found.p_values(), found.aic(), found.null_deviance());
                Ok((found.intervals(0.95)?, found.summary(), tests))
            },
        );
    }
    for value in [0.0, 1.0, 1e308, f64::NAN, f64::INFINITY] {
        tally.cell(
            || format!("objective at {value:e}, {}", hostile.name()),
            || {
                let objective = Objective::new(data, &LogLoss, 1.0, true)?;
                objective.value_and_gradient(&vec![value; objective.parameters()])
            },
        );
    }
}

pub(crate) fn pipelines(tally: &mut Tally) {
    // One combination in so many for each data set; the cells differ from one data set to the next.
    const STRIDE: usize = 3001;
    let mut number = 0;
    for (hostile, data) in valid_data_sets() {
        for (sampler_name, sampler) in all_samplers() {
            for &(loss_name, _, loss) in LOSSES {
                for &(model_name, model) in MODELS {
                    for &(calibrator_name, _, calibrator) in CALIBRATORS {
                        number += 1;
                        if number % STRIDE != 0 {
                            continue;
                        }
                        let cross_fit = number / STRIDE % 3;
                        let name = || {
                            format!(
                                "{sampler_name}, {loss_name}, {model_name}, {calibrator_name}, {}",
                                hostile.name()
                            )
                        };
                        tally.cell(name, || {
                            let pipeline = Pipeline::new(model()?)
                                .sampler(sampler()?)
                                .loss(loss()?)
                                .calibrator(calibrator()?);
                            let pipeline = match cross_fit {
                                0 => pipeline.hold_out(HoldOut::new(0.4, Cut::Stratified)?),
                                1 => pipeline.cross_fit(CrossFit::new(2, Cut::Stratified)?),
                                _ => pipeline.cross_fit(
                                    CrossFit::new(2, Cut::by_group("user"))?.ensemble()?,
                                ),
                            };
                            judge(&pipeline, &data)
                        });
                    }
                }
            }
        }
    }
}

/// The probabilities of a pipeline, and the text of its report.
fn judge<S, L, M, C>(
    pipeline: &Pipeline<S, L, M, C>,
    data: &Dataset<'_>,
) -> Result<impl std::fmt::Debug + use<S, L, M, C>>
where
    S: Sampler,
    L: Loss,
    M: Model,
    C: Calibrator,
{
    let fitted = pipeline.fit(data)?;
    let report = (fitted.report().to_string(), format!("{:?}", fitted.report()));
    let probabilities = fitted.probabilities(data.features())?;
    assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "a probability outside 0 … 1");
    let plain = NoSampling.resample(data, &Run::default()).is_ok();
    Ok((
        probabilities,
        report,
        plain,
        pipeline.check(data, &Cut::InOrder, 2).ok().map(|check| format!("{check:?}")),
    ))
}

/// Sparse rows with a few entries in very many columns.
pub(crate) fn many_columns(tally: &mut Tally) {
    for columns in
        [1 << 20, (1 << 31) + 1, 1 << 40, 1 << 59, (1 << 60) - 1, 1 << 61, usize::MAX >> 1]
    {
        let build = || wide(columns);
        tally.cell(|| format!("{columns} columns"), || build().map(|data| data.rows()));
        let Ok(data) = build() else { continue };
        for (name, make) in all_samplers() {
            let name = || format!("{name}, {columns} columns");
            tally.cell(name, || resample(&*make()?, &data));
        }
        for &(name, make) in MODELS {
            tally.cell(
                || format!("{name}, {columns} columns"),
                || make()?.fit(&data, &LogLoss, &Run::default()).map(drop),
            );
        }
        tally.cell(
            || format!("learner of {columns} columns"),
            || FtrlProximal::new().learner(columns, LogLoss).map(drop),
        );
        tally.cell(
            || format!("row of {columns} columns"),
            || Row::sparse(columns, &[0, columns - 1], &[1.0, 2.0]).map(|row| row.get(columns - 1)),
        );
        tally.cell(
            || format!("values of a row of {columns} columns"),
            || Row::sparse(columns, &[0], &[1.0])?.to_vec().map(|values| values.len()),
        );
        tally.cell(
            || format!("objective of {columns} columns"),
            || Objective::new(&data, &LogLoss, 1.0, true).map(|o| o.parameters()),
        );
        tally.cell(
            || format!("zero columns of {columns}"),
            || data.zero_columns().map(|zero| zero.len()),
        );
        tally.cell(
            || format!("drop of {columns} columns"),
            || data.drop_columns(&[0, columns - 1]).map(|data| data.columns()),
        );
    }
    // As many rows, none of which is stored: only a view of the other orientation can have them.
    for rows in [1_usize << 31, 1 << 61, usize::MAX >> 1] {
        tally.cell(
            || format!("CSC of {rows} rows"),
            || {
                let x = CsMat::<f64>::new_csc((rows, 1), vec![0, 0], vec![], vec![]);
                let view = FeaturesView::from(&x);
                view.ensure_columns(1)?;
                Dataset::new(&x, vec![true; 3]).map(|data| data.rows())
            },
        );
    }
}

fn wide(columns: usize) -> Result<Dataset<'static>> {
    let (mut indptr, mut indices, mut values) = (vec![0], vec![], vec![]);
    for row in 0..ROWS {
        for place in 0..3 {
            indices.push(columns / 4 * place + row % 5);
            values.push(noise(row * 3 + place));
        }
        indptr.push(indices.len());
    }
    let x = CsMat::new((ROWS, columns), indptr, indices, values);
    Dataset::new(x, (0..ROWS).map(|r| r % 5 == 0).collect::<Vec<_>>())?.with_attribute(
        "last_active_days",
        Attribute::numbers((0..ROWS).map(|r| (r % 9) as f64).collect::<Vec<_>>()),
    )
}
