//! What every sampler promises. A new sampler is one line in [`cases`].

use std::fmt::Debug;

use crate::common::to_sparse;
use imbalance::Precision;
use imbalance::model::Predict;
use imbalance::ndarray::Array2;
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, DrawMode, EditedNearestNeighbours, HardnessBand, NearMiss,
    NearMissVersion, NeighbourhoodCleaning, PoissonHardNegatives, PoissonRuleSampler,
    RandomOverSampler, Resample, Rows, Rule, Smote, SmoteNc, TomekLinks, VotingRule,
};
use imbalance::sampling::{HardNegativeMining, LocalCaseControl, NoSampling, Pilot, RuleSampler};
use imbalance::{Attribute, Features, Scalar};
use imbalance::{Error, FeaturesView};

/// A sampler and what the laws below need to know of it.
struct Case {
    sampler: Box<dyn Sampler>,
    /// The seed changes nothing.
    deterministic: bool,
    /// It makes new rows.
    makes_rows: bool,
    /// What it does with sparse rows.
    sparse: Sparse,
    /// Rows of `f32` give the rows of `f64`, rounded.
    rounds_once: bool,
    /// It trains a model, whose sums are in another order in other storage: rows at an edge may differ.
    trains: bool,
    /// It needs rows of both classes.
    needs_both_classes: bool,
    /// Where nothing is distorted, each class stands for its whole weight, and not for another share of it.
    keeps_totals: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Sparse {
    /// Sparse rows give the rows of dense ones.
    AsDense,
    /// As dense ones, but with other random numbers: one for each element that is stored.
    OtherDraws,
    /// Sparse rows are an error.
    Refused,
}

/// A sampler that draws rows of the input and takes any rows of both classes.
fn case(sampler: impl Sampler + 'static) -> Case {
    Case {
        sampler: Box::new(sampler),
        deterministic: false,
        makes_rows: false,
        sparse: Sparse::AsDense,
        rounds_once: true,
        trains: false,
        needs_both_classes: true,
        keeps_totals: true,
    }
}

/// A sampler that chooses rows by a rule, with no draw.
fn fixed(sampler: impl Sampler + 'static) -> Case {
    Case { deterministic: true, ..case(sampler) }
}

/// A sampler that makes rows.
fn maker(sampler: impl Sampler + 'static) -> Case {
    Case { makes_rows: true, ..case(sampler) }
}

/// Every sampler of the crate, in every form it has. A new one is a line here.
fn cases() -> Vec<Case> {
    let under = || RandomUnderSampler::rate(0.25).unwrap();
    let given = || Pilot::given(FirstColumn);
    let trained = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let window = || HardnessBand::window(0.3, 0.12).unwrap();
    let hardest = || HardnessBand::hardest(100).unwrap();
    let hard = |band| HardNegativeMining::new(given(), band);
    let poisson = || PoissonHardNegatives::proportional(given(), 4.0, 0.05).unwrap();
    let banded = || PoissonHardNegatives::band(given(), window(), 0.2).unwrap();
    let local = || LocalCaseControl::new(given());
    let active = || Rule::number("last_active_days").at_most(7.0);
    let seen = || Rule::number("impressions").at_least(5.0);
    let by_rule = || PoissonRuleSampler::new([(active().and(seen()), 0.6)], 0.2).unwrap();
    let shares = || RuleSampler::shares([(active(), 0.5), (seen(), 0.3)], 0.1).unwrap();
    let priorities = || RuleSampler::priorities([(active(), 5.0), (seen(), 2.0)], 0.3).unwrap();
    let enn = || EditedNearestNeighbours::new(3).unwrap();
    // The positives are far apart here: few have another one next to them.
    let enn_both = || EditedNearestNeighbours::new(1).unwrap().both_classes(true);
    let tomek_both = || TomekLinks::new().both_classes(true);
    let near_miss = || NearMiss::negatives_per_positive(2.0).unwrap();
    let over = |ratio| RandomOverSampler::positives_per_negative(ratio).unwrap();
    let smote = |ratio| Smote::positives_per_negative(ratio).unwrap();
    let nc = || SmoteNc::positives_per_negative(0.2, [1]).unwrap();
    let (other_draws, refused) = (Sparse::OtherDraws, Sparse::Refused);
    vec![
        Case { needs_both_classes: false, ..fixed(NoSampling) },
        case(under()),
        case(under().reweight(true)),
        case(under().draw(DrawMode::WithReplacement)),
        case(under().draw(DrawMode::WithReplacement).reweight(true)),
        case(under().draw(DrawMode::Bernoulli)),
        case(under().draw(DrawMode::Bernoulli).reweight(true)),
        case(RandomUnderSampler::negatives_per_positive(3.0).unwrap()),
        case(RandomUnderSampler::positives_per_negative(0.4).unwrap()),
        fixed(hard(window())),
        fixed(hard(hardest())),
        fixed(hard(HardnessBand::quantiles(0.8, 0.95).unwrap())),
        case(hard(hardest()).random_share(0.5).unwrap()),
        Case { trains: true, ..case(HardNegativeMining::new(trained(), hardest())) },
        case(poisson()),
        case(poisson().reweight(true)),
        case(banded()),
        case(banded().reweight(true)),
        case(local()),
        Case { keeps_totals: false, ..case(local().scale(4.0).unwrap()) },
        Case { keeps_totals: false, ..case(local().scale(0.5).unwrap()) },
        Case { trains: true, ..case(LocalCaseControl::new(trained())) },
        fixed(RuleSampler::filter(active().and(seen())).unwrap()),
        fixed(RuleSampler::filter(active()).unwrap().on_all_rows(true)),
        case(shares()),
        case(shares().on_all_rows(true)),
        case(priorities()),
        case(priorities().on_all_rows(true)),
        case(by_rule()),
        case(by_rule().reweight(true)),
        case(by_rule().reweight(true).on_all_rows(true)),
        case(over(0.3)),
        fixed(TomekLinks::new()),
        fixed(tomek_both()),
        fixed(enn()),
        fixed(enn_both()),
        fixed(enn().vote(VotingRule::Mode)),
        fixed(enn().repeated(5).unwrap()),
        fixed(enn().all_knn(true)),
        fixed(NeighbourhoodCleaning::new(3).unwrap()),
        fixed(near_miss()),
        fixed(near_miss().version(NearMissVersion::FarthestPositives)),
        fixed(near_miss().version(NearMissVersion::AroundPositives)),
        case(under().then(under())),
        case(under().reweight(true).then(local())),
        case(by_rule().reweight(true).then(under().reweight(true))),
        case(under().then(RuleSampler::filter(active()).unwrap())),
        maker(smote(0.2)),
        Case { sparse: other_draws, ..maker(smote(0.2).per_element(true)) },
        maker(BorderlineSmote::borderline1(0.2).unwrap()),
        maker(BorderlineSmote::borderline2(0.2).unwrap()),
        maker(Adasyn::positives_per_negative(0.2).unwrap()),
        maker(smote(0.2).then(enn())),
        maker(smote(0.2).then(enn_both())),
        maker(smote(0.2).then(tomek_both())),
        maker(under().then(smote(0.6))),
        Case {
            sparse: other_draws,
            ..maker(under().reweight(true).then(smote(0.6).per_element(true)))
        },
        // The second makes rows of rows that the first made, and sees them rounded.
        Case {
            rounds_once: false,
            ..maker(smote(0.15).then(BorderlineSmote::borderline1(0.2).unwrap()))
        },
        Case { sparse: refused, ..maker(over(0.2).shrinkage(1.0).unwrap()) },
        Case { sparse: refused, ..maker(nc()) },
        Case { sparse: refused, ..maker(nc().then(tomek_both())) },
    ]
}

/// A pilot whose logit is the first column less one: a little below the base rate of the data.
#[derive(Debug)]
struct FirstColumn;

impl Predict for FirstColumn {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> imbalance::Result<()> {
        for (row, out) in out.iter_mut().enumerate() {
            *out = entry(&x, row, 0) - 1.0;
        }
        Ok(())
    }
}

fn entry(x: &FeaturesView<'_>, row: usize, column: usize) -> f64 {
    x.row(row).get(column)
}

const ROWS: usize = 5_000;

/// The columns of a data set, in an order of its rows.
struct Columns {
    x: Array2<f64>,
    labels: Vec<bool>,
    weights: Option<Vec<f64>>,
    days: Vec<f64>,
    impressions: Vec<f64>,
}

impl Columns {
    fn new(weighted: bool) -> Self {
        let clicks = SyntheticClicks::new(ROWS, 0.08).unwrap().numeric(3).categorical(&[]);
        let data = clicks.precision(Precision::F32).generate(5).unwrap().dataset;
        let x = data.features();
        let mut x = Array2::from_shape_fn((x.nrows(), x.ncols()), |(i, j)| x.row(i).get(j));
        // Zeros, for the sparse form, and a column that tells the rows apart.
        x.column_mut(1).mapv_inplace(|value| if value < 0.5 { 0.0 } else { value });
        x.column_mut(2).iter_mut().enumerate().for_each(|(row, value)| *value = row as f64 + 1.0);
        let numbers = |name| data.numbers(name).unwrap().to_vec();
        Self {
            x,
            labels: data.labels().to_vec(),
            weights: weighted.then(|| (0..ROWS).map(|row| 0.5 + (row % 4) as f64).collect()),
            days: numbers("last_active_days"),
            impressions: numbers("impressions"),
        }
    }

    /// The same rows in another order.
    fn permuted(&self) -> Self {
        // 1,787 and 5,000 have no common factor.
        let order: Vec<usize> = (0..ROWS).map(|row| (row * 1_787 + 13) % ROWS).collect();
        let of = |values: &[f64]| order.iter().map(|&row| values[row]).collect::<Vec<_>>();
        Self {
            x: self.x.select(imbalance::ndarray::Axis(0), &order),
            labels: order.iter().map(|&row| self.labels[row]).collect(),
            weights: self.weights.as_deref().map(of),
            days: of(&self.days),
            impressions: of(&self.impressions),
        }
    }

    fn data<F: Scalar>(&self, sparse: bool) -> Dataset<'static> {
        let x = self.x.mapv(F::from_f64);
        let features = if sparse { Features::from(to_sparse(&x)) } else { x.into() };
        let mut data = Dataset::new(features, self.labels.clone())
            .unwrap()
            .with_attribute("last_active_days", Attribute::numbers(self.days.clone()))
            .unwrap()
            .with_attribute("impressions", Attribute::numbers(self.impressions.clone()))
            .unwrap();
        if let Some(weights) = &self.weights {
            data = data.with_weights(weights.clone()).unwrap();
        }
        data
    }
}

/// Everything that comes out, to the bit.
fn bits(sample: &Dataset<'_>) -> (Vec<u64>, Vec<bool>, Vec<u64>, Vec<u64>) {
    let x = sample.features();
    let features = (0..x.nrows())
        .flat_map(|row| (0..x.ncols()).map(move |column| (row, column)))
        .map(|(row, column)| entry(&x, row, column).to_bits())
        .collect();
    let column = |values: Option<&[f64]>| {
        values.unwrap_or_default().iter().map(|value| value.to_bits()).collect()
    };
    (features, sample.labels().to_vec(), column(sample.weights()), column(sample.offsets()))
}

fn sampled<'a>(case: &Case, data: &'a Dataset<'_>, seed: u64) -> Dataset<'a> {
    let resample = case.sampler.resample(data, &Run::seeded(seed)).unwrap();
    resample.apply(data).unwrap_or_else(|error| panic!("{:?}: {error}", case.sampler))
}

fn kept_rows(resample: &Resample) -> Vec<usize> {
    match &resample.rows {
        Rows::All => (0..ROWS).collect(),
        Rows::Kept(rows) => rows.clone(),
    }
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn rows_weights_and_offsets_fit_together() {
    for weighted in [false, true] {
        let data = Columns::new(weighted).data::<f64>(false);
        for Case { sampler, makes_rows, .. } in cases() {
            let resample = sampler.resample(&data, &Run::seeded(3)).unwrap();
            let kept = kept_rows(&resample);
            let parents: Vec<usize> = resample.parents().collect();
            let rows = kept.len() + parents.len();
            assert_eq!(makes_rows, !parents.is_empty(), "{sampler:?}");
            for values in [&resample.weights, &resample.offsets].into_iter().flatten() {
                assert_eq!(values.len(), rows, "{sampler:?}");
                assert!(values.iter().all(|value| value.is_finite()), "{sampler:?}");
            }
            let sample = resample.clone().apply(&data).unwrap();
            assert_eq!(sample.rows(), rows);
            assert!(sample.totals().ensure_both("this test").is_ok(), "{sampler:?}");
            // Provenance reproduces the kept rows bit for bit, in any kind of column, and new rows have
            // all but their features from a positive.
            let (x, before) = (sample.features(), data.features());
            assert!(parents.iter().all(|&row| data.labels()[row]), "{sampler:?}");
            let origins = kept.iter().chain(&parents);
            let [days_before, days] =
                [&data, &sample].map(|data| data.numbers("last_active_days").unwrap());
            let own = |data: &Dataset<'_>, row: usize| data.weights().map_or(1.0, |w| w[row]);
            for (at, &row) in origins.enumerate() {
                assert_eq!(sample.labels()[at], data.labels()[row]);
                assert_eq!(days[at].to_bits(), days_before[row].to_bits());
                let factor = resample.weights.as_ref().map_or(1.0, |weights| weights[at]);
                assert_eq!(own(&sample, at).to_bits(), (factor * own(&data, row)).to_bits());
                let offset = resample.offsets.as_ref().map(|offsets| offsets[at].to_bits());
                assert_eq!(sample.offsets().map(|offsets| offsets[at].to_bits()), offset);
                let same = |c| entry(&x, at, c).to_bits() == entry(&before, row, c).to_bits();
                assert!(at >= kept.len() || (0..3).all(same), "{sampler:?}");
            }
        }
    }
}

#[test]
fn a_seed_gives_the_same_bits_on_any_number_of_threads() {
    let data = Columns::new(true).data::<f64>(false);
    for case in cases() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&sampled(&case, &data, 3)))
        };
        let one = on(1);
        for threads in [1, 2, 3, 7] {
            assert!(on(threads) == one, "{:?} on {threads} threads", case.sampler);
        }
    }
}

/// `f32` stays `f32`, whose rows are those of `f64`, rounded; sparse stays sparse, and stores nothing that
/// no row of the input stores.
#[test]
fn rows_are_the_same_in_any_storage() {
    for weighted in [false, true] {
        let columns = Columns::new(weighted);
        // Values that both types hold.
        let columns = Columns { x: columns.x.mapv(|value| f64::from(value as f32)), ..columns };
        let (double, single) = (columns.data::<f64>(false), columns.data::<f32>(false));
        let (sparse, sparse_single) = (columns.data::<f64>(true), columns.data::<f32>(true));
        for case in cases() {
            let sampler = &case.sampler;
            let from_double = sampled(&case, &double, 3);
            let from_single = sampled(&case, &single, 3);
            assert_eq!(from_single.features().precision(), Precision::F32);
            assert!(!from_double.features().is_sparse() && !from_single.features().is_sparse());
            let same = |a: &Dataset<'_>, b: &Dataset<'_>, round: bool| {
                let (x, labels, weights, offsets) = bits(b);
                let rounded = |bits: u64| f64::from(f64::from_bits(bits) as f32).to_bits();
                let x =
                    x.into_iter().map(|bits| if round { rounded(bits) } else { bits }).collect();
                bits(a) == (x, labels, weights, offsets)
            };
            if case.rounds_once {
                assert!(same(&from_single, &from_double, true), "{sampler:?}");
            }
            if case.sparse == Sparse::Refused {
                let refused = sampler.resample(&sparse, &Run::seeded(3)).unwrap_err();
                assert!(matches!(refused, Error::InvalidArgument { .. }), "{sampler:?}: {refused}");
                continue;
            }
            let from_sparse = sampled(&case, &sparse, 3);
            let from_sparse_single = sampled(&case, &sparse_single, 3);
            assert!(
                from_sparse.features().is_sparse() && from_sparse_single.features().is_sparse()
            );
            assert_eq!(from_sparse_single.features().precision(), Precision::F32);
            if !case.trains {
                assert_eq!(from_sparse.rows(), from_double.rows(), "{sampler:?}");
                assert_eq!(from_sparse.features().stored(), from_sparse_single.features().stored());
            }
            if !case.makes_rows {
                let x = from_sparse.features();
                let zeros = (0..x.nrows()).filter(|&row| entry(&x, row, 1) == 0.0).count();
                assert_eq!(x.stored(), 3 * x.nrows() - zeros, "{sampler:?}");
            }
            if case.sparse == Sparse::AsDense && !case.trains {
                assert!(same(&from_sparse, &from_double, false), "{sampler:?}");
                assert!(same(&from_sparse_single, &from_single, false), "{sampler:?}");
            }
        }
    }
}

/// In another order of the rows, a random sampler gives other rows by the same law, and a deterministic one
/// gives the same rows. Columns tell rows apart here, so no two are equally near to a third, where the order
/// would decide.
#[test]
fn the_order_of_the_rows_changes_nothing_but_provenance() {
    const SEEDS: u64 = 200;
    let columns = Columns::new(false);
    let (data, permuted) = (columns.data::<f64>(false), columns.permuted().data::<f64>(false));
    for case in cases() {
        let sampler = &case.sampler;
        // Rows are told apart by their last column.
        let ids = |data: &Dataset<'_>, seed| {
            let sample = sampled(&case, data, seed);
            let mut ids: Vec<u64> =
                (0..sample.rows()).map(|row| entry(&sample.features(), row, 2) as u64).collect();
            ids.sort_unstable();
            ids
        };
        let fixed = ids(&data, 0) == ids(&data, 1);
        assert_eq!(fixed, case.deterministic, "{sampler:?} and its seed");
        if fixed {
            assert!(ids(&permuted, 0) == ids(&data, 0), "{sampler:?}");
            continue;
        }
        // Random: the same law. Three statistics, each over 200 seeds in either order: how many rows, the
        // mean of their first column, and its variance, which new rows between two others lower. Within
        // 4.5 standard errors of their difference: of the 150 comparisons below one fails for a fair
        // sampler with probability 150 × 7e-6 = 0.1 %; seeds are fixed.
        let mut statistics = [const { Vec::new() }; 6];
        for seed in 0..SEEDS {
            for (order, data) in [&data, &permuted].into_iter().enumerate() {
                let sample = sampled(&case, data, seed + 1_000 * order as u64);
                let rows = sample.rows() as f64;
                let x = sample.features();
                let moment = |power| {
                    let powers = (0..sample.rows()).map(|row| entry(&x, row, 0).powi(power));
                    powers.sum::<f64>() / rows
                };
                statistics[order].push(rows);
                statistics[2 + order].push(moment(1));
                statistics[4 + order].push(moment(2) - moment(1).powi(2));
            }
        }
        for pair in statistics.chunks(2) {
            let [(a, error_a), (b, error_b)] = [&pair[0], &pair[1]].map(|v| mean_and_error(v));
            let error = error_a.hypot(error_b);
            assert!((a - b).abs() <= 4.5 * error + 1e-9, "{sampler:?}: {a} and {b} ± {error}");
        }
    }
}

/// The distortion says what happened to the odds. Three kinds of reports, each checked as it allows:
///
/// * A shift is claimed to be the realised one, so each sample is checked exactly. [`FEW`] samples are enough,
///   one of a deterministic sampler: chance has no part in the check.
/// * "None", with weights that make each class weigh what it did: exact too, so after `FEW` samples without
///   any spread there is nothing to estimate.
/// * "None" or "offset" in expectation. The share of its class's weight that a sample stands for is averaged
///   over [`SEEDS`] samples, and must be 1 within 4.5 standard errors. One sample deviates by 2 to 10 %, the
///   mean of 200 by 0.15 to 0.7 %, so an error of 0.7 to 3 % in the odds is found; an omitted or inverted
///   weight, a missing offset or a nominal instead of a realised rate is wrong by 20 % or more. A false alarm
///   in about 40 comparisons has probability 40 × 7e-6; seeds are fixed.
#[test]
fn the_distortion_is_the_truth() {
    const SEEDS: usize = 200;
    const FEW: usize = 8;
    // For sums that do not vary at all.
    const ROUNDING: f64 = 1e-9;
    for weighted in [false, true] {
        let data = Columns::new(weighted).data::<f64>(false);
        let before = data.totals();
        for case in cases() {
            let sampler = &case.sampler;
            // By seed, the share of the negatives' and of the positives' weight that the sample stands for.
            let mut shares: [Vec<f64>; 2] = [vec![], vec![]];
            let mut exact = 0;
            for seed in 0..SEEDS {
                let sample = sampled(&case, &data, seed as u64);
                match sample.distortion() {
                    Distortion::None | Distortion::Offset { .. } => {
                        // Offsets say how much likelier a row's class was to be kept: a row with the
                        // offset o stands for 1/σ(o) positives or 1/σ(−o) negatives.
                        let mut sums = [0.0; 2];
                        for (row, &label) in sample.labels().iter().enumerate() {
                            let weight = sample.weights().map_or(1.0, |weights| weights[row]);
                            let offset = sample.offsets().map(|offsets| offsets[row]);
                            let kept = offset
                                .map_or(1.0, |o| 1.0 / (1.0 + if label { -o } else { o }.exp()));
                            sums[usize::from(label)] += weight / kept;
                        }
                        shares[0].push(sums[0] / before.negative_weight);
                        shares[1].push(sums[1] / before.positive_weight);
                    }
                    distortion => {
                        let moved = sample.totals().log_odds() - before.log_odds();
                        let shift = distortion.log_odds().unwrap();
                        assert!((shift - moved).abs() < 1e-12, "{sampler:?}: {shift}, {moved}");
                        exact += 1;
                    }
                }
                let varies = |share: &f64| (share - 1.0).abs() > ROUNDING;
                let few = if case.deterministic { 1 } else { FEW };
                if seed + 1 == few && (exact == few || !shares.iter().flatten().any(varies)) {
                    break;
                }
            }
            if exact > 0 {
                assert!(shares[0].is_empty(), "{sampler:?} reports now this, now that");
                continue;
            }
            if shares[0].len() < SEEDS {
                continue;
            }
            // The odds survive: both classes stand for the same multiple of their weight.
            let pairs = shares[0].iter().zip(&shares[1]);
            let differences: Vec<f64> =
                pairs.map(|(negative, positive)| negative - positive).collect();
            let (mean, error) = mean_and_error(&differences);
            assert!(mean.abs() <= 4.5 * error + ROUNDING, "{sampler:?}: {mean} ± {error}");
            if case.keeps_totals {
                for values in &shares {
                    let (mean, error) = mean_and_error(values);
                    assert!(
                        (mean - 1.0).abs() <= 4.5 * error + ROUNDING,
                        "{sampler:?}: {mean} ± {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn one_class_is_a_typed_error() {
    let columns = Columns::new(false);
    for label in [false, true] {
        let data =
            Columns { labels: vec![label; ROWS], x: columns.x.clone(), ..Columns::new(false) }
                .data::<f64>(false);
        for Case { sampler, needs_both_classes, .. } in cases() {
            match sampler.resample(&data, &Run::seeded(3)) {
                Ok(_) => assert!(!needs_both_classes, "{sampler:?}"),
                Err(Error::OneClass { .. }) => assert!(needs_both_classes, "{sampler:?}"),
                Err(error) => panic!("{sampler:?}: {error}"),
            }
        }
    }
}

#[test]
fn earlier_distortions_are_not_forgotten() {
    let earlier = Distortion::PriorShift { log_odds: 0.7 };
    let data = Columns::new(false).data::<f64>(false);
    let shifted = data.clone().with_distortion(earlier.clone());
    for case in cases() {
        let own = case.sampler.resample(&data, &Run::seeded(3)).unwrap().distortion;
        let both = sampled(&case, &shifted, 3).distortion().clone();
        assert_eq!(both, earlier.clone().then(own), "{:?}", case.sampler);
    }
}

#[test]
fn samplers_say_what_they_are() {
    fn auto<T: Debug + Send + Sync>(_: &T) {}
    let data = Columns::new(false).data::<f64>(false);
    for Case { sampler, .. } in cases() {
        auto(&sampler);
        let text = format!("{sampler:?}");
        assert!((10..600).contains(&text.len()), "{text}");
        assert!(!text.contains("0x"), "an address says nothing: {text}");
        // A distortion calls a sampler by its name; one that shifts the prior alone is not named there.
        let name = sampler.name();
        assert_ne!(name, text);
        let parts: Vec<&str> = name.split(" then ").collect();
        match sampler.resample(&data, &Run::seeded(3)).unwrap().distortion {
            Distortion::FeatureDependent { sampler, .. } | Distortion::Offset { sampler, .. } => {
                assert!(
                    sampler.split(" then ").all(|part| parts.contains(&part)),
                    "{sampler}, {name}"
                );
            }
            _ => {}
        }
    }
    let names: std::collections::BTreeSet<_> =
        cases().iter().map(|case| format!("{:?}", case.sampler)).collect();
    assert_eq!(names.len(), cases().len(), "two samplers look the same");
}
