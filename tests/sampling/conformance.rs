//! What every sampler promises. A new sampler is one line in [`samplers`].

use std::fmt::Debug;

use crate::common::to_sparse;
use imbalance::Precision;
use imbalance::model::Predict;
use imbalance::ndarray::Array2;
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, Band, BorderlineSmote, Draw, EditedNearestNeighbours, PoissonHardNegatives,
    PoissonRuleSampler, RandomOverSampler, Resample, Rows, Rule, Smote, SmoteNc, TomekLinks, Vote,
};
use imbalance::{Error, FeaturesView};

type Boxed = Box<dyn Sampler>;

/// Every sampler of the crate, in every form it has.
fn samplers() -> Vec<Boxed> {
    [choosing(), making(), for_dense_rows()].into_iter().flatten().collect()
}

/// Those that make new rows, and the chains with one of them.
fn making() -> Vec<Boxed> {
    let smote = |ratio| Smote::positives_per_negative(ratio).unwrap();
    let enn = || EditedNearestNeighbours::new(3).unwrap();
    let under = RandomUnderSampler::rate(0.25).unwrap();
    vec![
        Box::new(smote(0.2)),
        Box::new(smote(0.2).per_element(true)),
        Box::new(BorderlineSmote::first(0.2).unwrap()),
        Box::new(BorderlineSmote::second(0.2).unwrap()),
        Box::new(Adasyn::positives_per_negative(0.2).unwrap()),
        Box::new(smote(0.2).then(enn())),
        Box::new(smote(0.2).then(EditedNearestNeighbours::new(1).unwrap().both_classes(true))),
        Box::new(smote(0.2).then(TomekLinks::new().both_classes(true))),
        Box::new(under.then(smote(0.6))),
        Box::new(under.reweight(true).then(smote(0.6).per_element(true))),
        // The second makes rows of rows that the first made.
        Box::new(smote(0.15).then(BorderlineSmote::first(0.2).unwrap())),
    ]
}

/// Those that do not take sparse rows.
fn for_dense_rows() -> Vec<Boxed> {
    let smoothed = RandomOverSampler::positives_per_negative(0.2).unwrap().shrinkage(1.0).unwrap();
    let nc = SmoteNc::positives_per_negative(0.2, [1]).unwrap();
    let tomek = TomekLinks::new().both_classes(true);
    vec![Box::new(smoothed), Box::new(nc.clone()), Box::new(nc.then(tomek))]
}

/// Those that keep or repeat rows.
fn choosing() -> Vec<Boxed> {
    let under = || RandomUnderSampler::rate(0.25).unwrap();
    let hard = |band| HardNegativeMining::new(Pilot::given(FirstColumn), band);
    let window = || Band::window(0.3, 0.12).unwrap();
    let poisson =
        || PoissonHardNegatives::proportional(Pilot::given(FirstColumn), 4.0, 0.05).unwrap();
    let banded = || PoissonHardNegatives::band(Pilot::given(FirstColumn), window(), 0.2).unwrap();
    let local = || LocalCaseControl::new(Pilot::given(FirstColumn));
    let trained = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let active = || Rule::number("last_active_days").at_most(7.0);
    let seen = || Rule::number("impressions").at_least(5.0);
    let by_rule = || PoissonRuleSampler::new([(active().and(seen()), 0.6)], 0.2).unwrap();
    let shares = || RuleSampler::shares([(active(), 0.5), (seen(), 0.3)], 0.1).unwrap();
    let priorities = || RuleSampler::priorities([(active(), 5.0), (seen(), 2.0)], 0.3).unwrap();
    let enn = || EditedNearestNeighbours::new(3).unwrap();
    vec![
        Box::new(NoSampling),
        Box::new(under()),
        Box::new(under().reweight(true)),
        Box::new(under().draw(Draw::WithReplacement)),
        Box::new(under().draw(Draw::WithReplacement).reweight(true)),
        Box::new(under().draw(Draw::Bernoulli)),
        Box::new(under().draw(Draw::Bernoulli).reweight(true)),
        Box::new(RandomUnderSampler::negatives_per_positive(3.0).unwrap()),
        Box::new(RandomUnderSampler::positives_per_negative(0.4).unwrap()),
        Box::new(hard(window())),
        Box::new(hard(Band::hardest(100).unwrap())),
        Box::new(hard(Band::quantiles(0.8, 0.95).unwrap())),
        Box::new(hard(Band::hardest(100).unwrap()).random_share(0.5).unwrap()),
        Box::new(HardNegativeMining::new(trained(), Band::hardest(100).unwrap())),
        Box::new(poisson()),
        Box::new(poisson().reweight(true)),
        Box::new(banded()),
        Box::new(banded().reweight(true)),
        Box::new(local()),
        Box::new(local().scale(4.0).unwrap()),
        Box::new(local().scale(0.5).unwrap()),
        Box::new(LocalCaseControl::new(trained())),
        Box::new(RuleSampler::filter(active().and(seen())).unwrap()),
        Box::new(RuleSampler::filter(active()).unwrap().on_all_rows(true)),
        Box::new(shares()),
        Box::new(shares().on_all_rows(true)),
        Box::new(priorities()),
        Box::new(priorities().on_all_rows(true)),
        Box::new(by_rule()),
        Box::new(by_rule().reweight(true)),
        Box::new(by_rule().reweight(true).on_all_rows(true)),
        Box::new(RandomOverSampler::positives_per_negative(0.3).unwrap()),
        Box::new(TomekLinks::new()),
        Box::new(TomekLinks::new().both_classes(true)),
        Box::new(enn()),
        // The positives are far apart here: few have another one next to them.
        Box::new(EditedNearestNeighbours::new(1).unwrap().both_classes(true)),
        Box::new(enn().vote(Vote::Mode)),
        Box::new(enn().repeated(5).unwrap()),
        Box::new(enn().all_knn()),
        Box::new(under().then(under())),
        Box::new(under().reweight(true).then(local())),
        Box::new(by_rule().reweight(true).then(under().reweight(true))),
        Box::new(under().then(RuleSampler::filter(active()).unwrap())),
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

fn sampled<'a>(sampler: &Boxed, data: &'a Dataset<'_>, seed: u64) -> Dataset<'a> {
    let resample = sampler.resample(data, &Run::seeded(seed)).unwrap();
    resample.apply(data).unwrap_or_else(|error| panic!("{sampler:?}: {error}"))
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
        for sampler in samplers() {
            let resample = sampler.resample(&data, &Run::seeded(3)).unwrap();
            let kept = kept_rows(&resample);
            let made = resample.synthetic.as_ref().map_or(0, |made| made.parents().len());
            let rows = kept.len() + made;
            for values in [&resample.weights, &resample.offsets].into_iter().flatten() {
                assert_eq!(values.len(), rows, "{sampler:?}");
                assert!(values.iter().all(|value| value.is_finite()), "{sampler:?}");
            }
            let sample = resample.clone().apply(&data).unwrap();
            assert_eq!(sample.rows(), rows);
            assert!(sample.totals().need_both("this test").is_ok(), "{sampler:?}");
            // Provenance reproduces the kept rows bit for bit, in any kind of column, and new rows have
            // all but their features from a positive.
            let (x, before) = (sample.features(), data.features());
            let parents = resample.synthetic.as_ref().map_or(&[][..], |made| made.parents());
            assert!(parents.iter().all(|&row| data.labels()[row]), "{sampler:?}");
            let origins = kept.iter().chain(parents);
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
    for sampler in samplers() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bits(&sampled(&sampler, &data, 3)))
        };
        let one = on(1);
        for threads in [1, 2, 3, 7] {
            assert!(on(threads) == one, "{sampler:?} on {threads} threads");
        }
    }
}

#[test]
fn single_precision_and_sparsity_change_nothing() {
    let columns = Columns::new(false);
    // Values that both types hold.
    let columns = Columns { x: columns.x.mapv(|value| f64::from(value as f32)), ..columns };
    let (double, single) = (columns.data::<f64>(false), columns.data::<f32>(false));
    let (sparse, sparse_single) = (columns.data::<f64>(true), columns.data::<f32>(true));
    for (sampler, sampler_single) in choosing().iter().zip(&choosing()) {
        // The types say that f32 stays f32; its values must be those of f64.
        let expected = sampled(sampler, &double, 3);
        let sample = sampled(sampler, &sparse, 3);
        assert!(sample.features().is_sparse(), "{sampler:?}");
        let kept = |x: FeaturesView<'_>| (0..x.nrows()).filter(|&r| entry(&x, r, 1) != 0.0).count();
        let zeros = sample.rows() - kept(sample.features());
        assert_eq!(sample.features().stored(), 3 * sample.rows() - zeros, "{sampler:?}");
        let single = sampled(sampler_single, &single, 3);
        let sparse_single = sampled(sampler_single, &sparse_single, 3);
        assert!(!single.features().is_sparse() && sparse_single.features().is_sparse());
        // A pilot trained inside sums in another order in sparse rows, so rows at the edge may differ.
        if !format!("{sampler:?}").contains("trained") {
            let expected = bits(&expected);
            assert!(bits(&sample) == expected, "{sampler:?}");
            assert!(bits(&single) == expected, "{sampler:?}");
            assert!(bits(&sparse_single) == expected, "{sampler:?}");
        }
    }
}

/// The same for samplers that make rows: those of `f32` are those of `f64`, rounded; sparse ones are the
/// same too, unless λ is drawn for each element that is stored.
#[test]
fn new_rows_are_the_same_in_any_storage() {
    let columns = Columns::new(true);
    // Values that both types hold.
    let columns = Columns { x: columns.x.mapv(|value| f64::from(value as f32)), ..columns };
    let (double, single) = (columns.data::<f64>(false), columns.data::<f32>(false));
    let (sparse, sparse_single) = (columns.data::<f64>(true), columns.data::<f32>(true));
    let takes_sparse = making().len();
    let of_double = making().into_iter().chain(for_dense_rows());
    let of_single = making().into_iter().chain(for_dense_rows());
    for (at, (sampler, sampler_single)) in of_double.zip(of_single).enumerate() {
        let name = format!("{sampler:?}");
        let dense = sampled(&sampler, &double, 3);
        let round = |(x, labels, weights, offsets): (Vec<u64>, Vec<bool>, Vec<u64>, Vec<u64>)| {
            let round = |bits: u64| f64::from(f64::from_bits(bits) as f32).to_bits();
            (x.into_iter().map(round).collect::<Vec<_>>(), labels, weights, offsets)
        };
        let rounded = round(bits(&dense));
        let sample = sampled(&sampler_single, &single, 3);
        // A second sampler that makes rows sees those of the first rounded, so it rounds twice.
        if !name.contains("then BorderlineSmote") {
            assert!(bits(&sample) == rounded, "{name}");
        }
        if at >= takes_sparse {
            let refused = sampler.resample(&sparse, &Run::seeded(3)).unwrap_err();
            assert!(matches!(refused, Error::InvalidArgument { .. }), "{name}: {refused}");
            continue;
        }
        let from_sparse = sampled(&sampler, &sparse, 3);
        let from_sparse_single = sampled(&sampler_single, &sparse_single, 3);
        assert!(from_sparse.features().is_sparse() && from_sparse_single.features().is_sparse());
        if !name.contains("per_element: true") {
            assert!(bits(&from_sparse) == bits(&dense), "{name}");
            assert!(bits(&from_sparse_single) == bits(&sample), "{name}");
        }
        assert_eq!(from_sparse.features().stored(), from_sparse_single.features().stored());
        assert_eq!(from_sparse.rows(), dense.rows());
    }
}

/// Rows that are drawn or made at random come out in another order of the rows as other rows, by the same
/// law; rows that are chosen by a rule come out as the same rows. Columns tell rows apart here, so no two
/// are equally near to a third, where the order would decide.
#[test]
fn the_order_of_the_rows_changes_nothing_but_provenance() {
    const SEEDS: u64 = 200;
    let columns = Columns::new(false);
    let (data, permuted) = (columns.data::<f64>(false), columns.permuted().data::<f64>(false));
    for sampler in samplers() {
        // Rows are told apart by their last column.
        let ids = |data: &Dataset<'_>, seed| {
            let sample = sampled(&sampler, data, seed);
            let mut ids: Vec<u64> =
                (0..sample.rows()).map(|row| entry(&sample.features(), row, 2) as u64).collect();
            ids.sort_unstable();
            ids
        };
        if ids(&data, 0) == ids(&data, 1) {
            // Deterministic: exactly the same rows. A seed that changes nothing would fail below.
            assert!(ids(&permuted, 0) == ids(&data, 0), "{sampler:?}");
            let name = format!("{sampler:?}");
            let fixed =
                ["NoSampling", "Filter", "HardNegativeMining", "TomekLinks", "EditedNearest"];
            assert!(fixed.iter().any(|fixed| name.contains(fixed)), "{name} ignores its seed");
            continue;
        }
        // Random: the same law. Three statistics, each over 200 seeds in either order: how many rows, the
        // mean of their first column, and its variance, which new rows between two others lower. Within
        // 4.5 standard errors of their difference: of the 150 comparisons below one fails for a fair
        // sampler with probability 150 × 7e-6 = 0.1 %; seeds are fixed.
        let mut statistics = [const { Vec::new() }; 6];
        for seed in 0..SEEDS {
            for (order, data) in [&data, &permuted].into_iter().enumerate() {
                let sample = sampled(&sampler, data, seed + 1_000 * order as u64);
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

#[test]
fn the_distortion_is_the_truth() {
    const SEEDS: u64 = 200;
    for weighted in [false, true] {
        let data = Columns::new(weighted).data::<f64>(false);
        let before = data.totals();
        for sampler in samplers() {
            let name = format!("{sampler:?}");
            // Of those that are deterministic a few seeds are enough: their shift is checked exactly.
            let cleans = name.contains("TomekLinks") || name.contains("EditedNearest");
            let seeds = if cleans { 10 } else { SEEDS };
            let mut shares = [vec![], vec![]];
            for seed in 0..seeds {
                let sample = sampled(&sampler, &data, seed);
                let after = sample.totals();
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
                    Distortion::PriorShift { log_odds } => {
                        let moved = after.log_odds() - before.log_odds();
                        assert!(
                            (log_odds - moved).abs() < 1e-12,
                            "{sampler:?}: {log_odds}, {moved}"
                        );
                    }
                    distortion => {
                        let moved = after.log_odds() - before.log_odds();
                        let nominal = distortion.log_odds().unwrap();
                        assert!((nominal - moved).abs() < 1e-12, "{sampler:?}: {nominal}, {moved}");
                    }
                }
            }
            if shares[0].len() < seeds as usize {
                assert!(shares[0].is_empty(), "{sampler:?} reports now this, now that");
                continue;
            }
            // The odds survive: both classes are represented by the same multiple of their weight.
            // 4.5 standard errors over 200 seeds: a false alarm in about 40 comparisons has
            // probability 40 × 7e-6; seeds are fixed. 1e-9 is for sums that do not vary at all.
            let differences: Vec<f64> = shares[0]
                .iter()
                .zip(&shares[1])
                .map(|(negative, positive)| negative - positive)
                .collect();
            let (mean, error) = mean_and_error(&differences);
            assert!(mean.abs() <= 4.5 * error + 1e-9, "{sampler:?}: {mean} ± {error}");
            // And it is 1, unless a scale thins out or multiplies both.
            if !format!("{sampler:?}").contains("scale: ")
                || format!("{sampler:?}").contains("scale: 1.0")
            {
                for values in &shares {
                    let (mean, error) = mean_and_error(values);
                    assert!(
                        (mean - 1.0).abs() <= 4.5 * error + 1e-9,
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
        // The identity needs nothing.
        for sampler in samplers().into_iter().skip(1) {
            let error = sampler.resample(&data, &Run::seeded(3)).unwrap_err();
            assert!(matches!(error, Error::OneClass { .. }), "{sampler:?}: {error}");
        }
    }
}

#[test]
fn earlier_distortions_are_not_forgotten() {
    let earlier = Distortion::PriorShift { log_odds: 0.7 };
    let data = Columns::new(false).data::<f64>(false);
    let shifted = data.clone().with_distortion(earlier.clone());
    for sampler in samplers() {
        let own = sampler.resample(&data, &Run::seeded(3)).unwrap().distortion;
        let both = sampled(&sampler, &shifted, 3).distortion().clone();
        assert_eq!(both, earlier.clone().then(own), "{sampler:?}");
    }
}

#[test]
fn samplers_say_what_they_are() {
    fn auto<T: Debug + Send + Sync>(_: &T) {}
    for sampler in samplers() {
        auto(&sampler);
        let text = format!("{sampler:?}");
        assert!((10..600).contains(&text.len()), "{text}");
        assert!(!text.contains("0x"), "an address says nothing: {text}");
    }
    let names: std::collections::BTreeSet<_> =
        samplers().iter().map(|sampler| format!("{sampler:?}")).collect();
    assert_eq!(names.len(), samplers().len(), "two samplers look the same");
}
