//! Which rows each sampler keeps, exactly, and what it refuses.

use std::sync::Arc;

use crate::common::to_sparse;
use imbalance::Attribute;
use imbalance::Matrix;
use imbalance::Precision;
use imbalance::model::Predict;
use imbalance::ndarray::{Array2, array};
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, DrawMode, EditedNearestNeighbours, HardnessBand, PoissonHardNegatives,
    PoissonRuleSampler, RandomOverSampler, Resample, Rows, Rule, Smote, SmoteNc, Synthetic,
    TomekLinks,
};
use imbalance::sampling::{HardNegativeMining, LocalCaseControl, NoSampling, Pilot, RuleSampler};
use imbalance::sprs::CsMat;
use imbalance::{Error, Features, FeaturesView, Result, Scalar};

/// A pilot whose probability is the first column.
#[derive(Debug)]
struct FirstColumn;

impl Predict for FirstColumn {
    fn logits_into(&self, x: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
        let FeaturesView::F64(Matrix::Dense(x)) = x else {
            unreachable!("the data here are dense")
        };
        for (p, out) in x.column(0).iter().zip(out) {
            *out = p.ln() - (1.0 - p).ln();
        }
        Ok(())
    }
}

/// Rows with these probabilities, the first `positives` of them positive.
fn scored(positives: usize, scores: &[f64]) -> Dataset<'static> {
    let x = Array2::from_shape_fn((scores.len(), 1), |(row, _)| scores[row]);
    Dataset::new(x, (0..scores.len()).map(|row| row < positives).collect::<Vec<_>>()).unwrap()
}

fn kept(sampler: &impl Sampler, data: &Dataset<'_>) -> Vec<usize> {
    match sampler.resample(data, &Run::seeded(5)).unwrap().rows {
        Rows::All => (0..data.rows()).collect(),
        Rows::Kept(rows) => rows,
    }
}

fn refused(sampler: &impl Sampler, data: &Dataset<'_>) -> Error {
    sampler.resample(data, &Run::seeded(5)).unwrap_err()
}

fn invalid<T: std::fmt::Debug>(result: Result<T>) -> (&'static str, String) {
    match result.unwrap_err() {
        Error::InvalidArgument { argument, value, .. } => (argument, value),
        other => panic!("{other}"),
    }
}

fn hard(band: Result<HardnessBand>) -> HardNegativeMining {
    HardNegativeMining::new(Pilot::given(FirstColumn), band.unwrap())
}

// ----------------------------------------------------------------------------- random under-sampling

fn numbered(rows: usize, positives: usize) -> Dataset<'static> {
    let x = Array2::from_shape_fn((rows, 1), |(row, _)| row as f64);
    Dataset::new(x, (0..rows).map(|row| row < positives).collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_ratio_is_that_of_imbalanced_learn_but_rounded() {
    for (ratio, rows, positives, negatives) in [
        (0.1, 1_000, 10, 100),
        // 7 / 0.07 is 99.99999999999999.
        (0.07, 1_000, 7, 100),
        (0.7, 1_000, 3, 4),
        (2.0, 1_000, 10, 5),
        // Just what is there.
        (10.0 / 990.0, 1_000, 10, 990),
    ] {
        let data = numbered(rows, positives);
        let sampler = RandomUnderSampler::positives_per_negative(ratio).unwrap();
        assert_eq!(kept(&sampler, &data).len(), positives + negatives, "{ratio}");
    }
    let sampler = RandomUnderSampler::positives_per_negative(0.01).unwrap();
    assert_eq!(
        refused(&sampler, &numbered(1_000, 100)).to_string(),
        "`ratio` is 0.01, but it must be at least 0.1111111111111111: there are 100 positives and 900 \
         negatives, and leaving out negatives can only raise their ratio; over-sampling positives raises \
         it, too, so for fewer positives per negative take more rows"
    );
    for ratio in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let result = RandomUnderSampler::positives_per_negative(ratio);
        assert_eq!(invalid(result), ("ratio", ratio.to_string()));
    }
}

#[test]
fn draws_with_replacement_repeat_rows_and_weigh_what_was_realised() {
    let weights: Vec<f64> = (0..200).map(|row| 1.0 + f64::from(row % 5)).collect();
    let data = numbered(200, 20).with_weights(weights).unwrap();
    let sampler = RandomUnderSampler::rate(1.0).unwrap().draw(DrawMode::WithReplacement);
    let sample = sampler.resample(&data, &Run::seeded(5)).unwrap().apply(&data).unwrap();
    // As many draws as there are negatives: of 180 about 1/e are never drawn.
    assert_eq!((sample.totals().positives, sample.totals().negatives), (20, 180));
    let rows = kept(&sampler, &data);
    assert!(rows.is_sorted());
    let mut distinct = rows.clone();
    distinct.dedup();
    // 20 + 180 (1 − 1/e) = 133.8, with a standard deviation below √(180/e · (1 − 2/e)) = 4.2.
    assert!((117..=151).contains(&distinct.len()), "{}", distinct.len());
    let moved = sample.totals().log_odds() - data.totals().log_odds();
    let Distortion::PriorShift { log_odds } = *sample.distortion() else { panic!("no shift") };
    assert!((log_odds - moved).abs() < 1e-12 && log_odds != 0.0);

    let resample = sampler.reweight(true).resample(&data, &Run::seeded(5)).unwrap();
    let sample = resample.apply(&data).unwrap();
    let (before, after) = (data.totals(), sample.totals());
    assert!((after.negative_weight / before.negative_weight - 1.0).abs() < 1e-12);
    assert!(sample.distortion().is_none());
    // Never more negatives than before, however many are asked for.
    let many = RandomUnderSampler::negatives_per_positive(f64::MAX).unwrap();
    assert_eq!(kept(&many.draw(DrawMode::WithReplacement), &data).len(), 200);
    assert_eq!(kept(&many.draw(DrawMode::Bernoulli), &data).len(), 200);
}

#[test]
fn independent_draws_may_come_to_nothing() {
    let sampler = RandomUnderSampler::rate(1e-9).unwrap().draw(DrawMode::Bernoulli);
    let error = refused(&sampler, &numbered(100, 10));
    assert!(error.to_string().contains("which the draws happened not to: there are 10 positives"));
}

#[test]
fn weights_of_every_size_give_a_finite_shift_or_an_error() {
    // The one negative that weighs 1e308 is among a thousand; the seed is fixed, and it is not drawn.
    let weight = |row: usize| {
        if row == 0 {
            1.0
        } else if row == 1_000 {
            1e308
        } else {
            1e-320
        }
    };
    let data = numbered(1_001, 1).with_weights((0..1_001).map(weight).collect::<Vec<_>>()).unwrap();
    let sampler = RandomUnderSampler::negatives_per_positive(2.0).unwrap();
    let resample = sampler.resample(&data, &Run::seeded(5)).unwrap();
    let shift = resample.distortion.log_odds().unwrap();
    let sample = resample.apply(&data).unwrap();
    let moved = sample.totals().log_odds() - data.totals().log_odds();
    assert!(
        (1_400.0..1_500.0).contains(&shift) && (shift - moved).abs() < 1e-9,
        "{shift}, {moved}"
    );
    let error = refused(&sampler.reweight(true), &data);
    assert!(matches!(error, Error::Numerical { value: f64::INFINITY, .. }), "{error}");
    // Sums of new rows' weights that overflow.
    let data = numbered(10, 1).with_weights([&[1e307][..], &[1.0; 9]].concat()).unwrap();
    let sampler = RandomOverSampler::positives_per_negative(5.0).unwrap();
    let error = refused(&sampler, &data);
    assert!(error.to_string().starts_with("the weight of the new positives is inf"), "{error}");
}

// -------------------------------------------------------------------------------- hard negative mining

#[test]
fn a_window_is_open_and_holds_only_negatives() {
    // σ(logit 0.5) is 0.5 to the bit, so at ε = 0.25 around 0.25 and 0.75 it is just outside.
    let data = scored(2, &[0.5, 0.01, 0.2, 0.5, 0.8, 0.49, 0.1]);
    assert_eq!(kept(&hard(HardnessBand::window(0.75, 0.25)), &data), [0, 1, 4]);
    assert_eq!(kept(&hard(HardnessBand::window(0.25, 0.25)), &data), [0, 1, 2, 5, 6]);
    assert_eq!(kept(&hard(HardnessBand::window(0.5, 0.25)), &data), [0, 1, 3, 5]);
    assert_eq!(kept(&hard(HardnessBand::window(0.1, 0.01)), &data), [0, 1, 6]);
    // A window that holds every negative changes nothing.
    let resample = hard(HardnessBand::window(0.5, 9.0)).resample(&data, &Run::seeded(1)).unwrap();
    assert_eq!((resample.rows, resample.distortion), (Rows::All, Distortion::None));
}

#[test]
fn the_hardest_are_the_highest_with_ties_in_order() {
    let data = scored(1, &[0.9, 0.2, 0.5, 0.2, 0.5, 0.1, 0.5]);
    for (count, expected) in [
        (1, vec![0, 2]),
        (2, vec![0, 2, 4]),
        (3, vec![0, 2, 4, 6]),
        (4, vec![0, 1, 2, 4, 6]),
        (5, vec![0, 1, 2, 3, 4, 6]),
        (6, vec![0, 1, 2, 3, 4, 5, 6]),
        (usize::MAX, vec![0, 1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(kept(&hard(HardnessBand::hardest(count)), &data), expected, "{count}");
    }
}

#[test]
fn quantile_bands_split_the_negatives() {
    let scores: Vec<f64> = (0..100).map(|row| f64::from(row % 10 + 1) / 20.0).collect();
    let data = scored(3, &scores);
    let mut seen = [0; 100];
    let cuts = [0.0, 0.1, 0.25, 0.5, 0.9, 0.99, 1.0];
    let mut lowest = 0.0;
    for pair in cuts.windows(2) {
        let rows = kept(&hard(HardnessBand::quantiles(pair[0], pair[1])), &data);
        // Of 97 negatives, each cut rounded.
        let count = (pair[1] * 97.0_f64).round() - (pair[0] * 97.0_f64).round();
        assert_eq!(rows.len() - 3, count as usize);
        let band = || rows[3..].iter().map(|&row| scores[row]);
        assert!(band().all(|score| score >= lowest));
        lowest = band().fold(0.0, f64::max);
        rows[3..].iter().for_each(|&row| seen[row] += 1);
    }
    // Every negative is in one band, whatever the ties.
    assert!(seen[3..].iter().all(|&times| times == 1));
}

#[test]
fn random_negatives_come_from_outside_the_band() {
    let scores: Vec<f64> = (1..=100).map(|row| f64::from(row) / 101.0).collect();
    let data = scored(10, &scores);
    let mixed = hard(HardnessBand::hardest(20)).random_share(0.6).unwrap();
    let rows = kept(&mixed, &data);
    assert_eq!(rows.len(), 10 + 20 + 30);
    assert!(rows.is_sorted() && (80..100).all(|row| rows.contains(&row)));
    // All there are, if not enough.
    assert_eq!(
        kept(&hard(HardnessBand::hardest(20)).random_share(0.99).unwrap(), &data).len(),
        100
    );
}

#[test]
fn an_empty_window_says_where_the_scores_are() {
    let data = scored(1, &[0.5, 0.001, 0.02]);
    assert_eq!(
        refused(&hard(HardnessBand::window(0.5, 0.1)), &data).to_string(),
        "hard negative mining keeps no negative row: none of the 2 has a probability within 0.1 of 0.5: \
         theirs range from 1.0000e-3 to 2.0000e-2; move or widen the band, or take `HardnessBand::hardest` or \
         wider `HardnessBand::quantiles`"
    );
    let poisson = PoissonHardNegatives::band(
        Pilot::given(FirstColumn),
        HardnessBand::window(0.5, 0.1).unwrap(),
        0.1,
    );
    assert!(matches!(refused(&poisson.unwrap(), &data), Error::NothingSelected { .. }));
    let narrow = hard(HardnessBand::quantiles(0.5, 0.51));
    assert!(refused(&narrow, &data).to_string().contains("between the quantiles 0.5 and 0.51"));
}

#[test]
fn impossible_settings_are_refused_with_their_numbers() {
    let pilot = || Pilot::given(FirstColumn);
    assert_eq!(invalid(HardnessBand::window(1.5, 0.1)), ("centre", "1.5".into()));
    assert_eq!(invalid(HardnessBand::window(0.5, 0.0)), ("epsilon", "0".into()));
    assert_eq!(invalid(HardnessBand::window(0.5, f64::NAN)), ("epsilon", "NaN".into()));
    assert_eq!(invalid(HardnessBand::hardest(0)), ("count", "0".into()));
    assert_eq!(invalid(HardnessBand::quantiles(f64::NAN, 0.5)), ("low", "NaN".into()));
    assert_eq!(invalid(HardnessBand::quantiles(0.5, 0.5)), ("high", "0.5".into()));
    assert_eq!(invalid(HardnessBand::quantiles(0.5, 1.5)), ("high", "1.5".into()));
    assert_eq!(invalid(hard(HardnessBand::hardest(1)).random_share(1.0)), ("share", "1".into()));
    for floor in [0.0, -0.1, 1.1, f64::NAN] {
        let result = PoissonHardNegatives::proportional(pilot(), 1.0, floor);
        assert_eq!(invalid(result), ("floor", floor.to_string()));
    }
    let ratio = PoissonHardNegatives::proportional(pilot(), f64::INFINITY, 0.1);
    assert_eq!(invalid(ratio), ("negatives_per_positive", "inf".into()));
    for c in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(invalid(LocalCaseControl::new(pilot()).scale(c)), ("c", c.to_string()));
    }
    // What only the data can tell.
    let data = scored(1, &[0.5, 0.1, 0.1, 0.1, 0.1]);
    let floor = PoissonHardNegatives::proportional(pilot(), 1.0, 0.5).unwrap();
    assert_eq!(
        refused(&floor, &data).to_string(),
        "`floor` is 0.5, but it must be at most 0.25: 1 of 4 negatives are asked for"
    );
    let data = scored(1, &[0.5, 0.1, 0.0, 0.0, 0.0]);
    let most = PoissonHardNegatives::proportional(pilot(), 3.0, 0.125).unwrap();
    assert_eq!(
        refused(&most, &data).to_string(),
        "`negatives_per_positive` is 3 negatives in all, but it must be at most 1.375: the pilot gives the \
         others a probability of 0"
    );
    // Asking for more than there are keeps all, and certain negatives are no trouble then.
    let all = PoissonHardNegatives::proportional(pilot(), 4.0, 0.1).unwrap().reweight(true);
    assert_eq!(all.resample(&data, &Run::seeded(1)).unwrap().rows, Rows::All);
}

/// Probabilities down to 1e-300: the factor c is far beyond the square root of the largest number.
#[test]
fn tiny_probabilities_are_scaled_to_the_number_asked_for_or_refused() {
    let tiny = |exponents: std::ops::Range<i32>| {
        let scores: Vec<f64> = exponents.map(|e| 10_f64.powi(-e)).collect();
        scored(1, &[&[0.5][..], &scores].concat())
    };
    let proportional = |wanted| {
        PoissonHardNegatives::proportional(Pilot::given(FirstColumn), wanted, 1e-3).unwrap()
    };
    for (data, wanted) in [
        (tiny(100..300), 150.0),
        (tiny(100..300), 3.5),
        (tiny(1..200), 100.0),
        (tiny(290..300), 9.5),
    ] {
        let sampler = proportional(wanted).reweight(true);
        // Over the seeds each row shows its weight, the inverse of its inclusion probability.
        let mut inclusion = vec![None; data.rows()];
        for seed in 0..400 {
            let sample = sampler
                .resample(&data, &Run::seeded(seed))
                .unwrap_or_else(|_| Resample::kept(vec![], Distortion::None));
            let Rows::Kept(rows) = sample.rows else { panic!("{:?}", sample.rows) };
            for (row, weight) in rows.into_iter().zip(sample.weights.unwrap_or_default()) {
                inclusion[row] = Some(1.0 / weight);
            }
        }
        // Rows never seen are at the floor: at 1/1,000 some of them are missed.
        let total: f64 = inclusion[1..].iter().map(|p| p.unwrap_or(1e-3)).sum();
        assert!((total / wanted - 1.0).abs() < 2e-6, "{total}, not {wanted}");
    }
    // One that is not even a normal number, so that no finite factor reaches it.
    let data = scored(1, &[0.5, 0.0, 1e-310, 0.1]);
    let error = refused(&proportional(2.0 + 5e-4), &data);
    assert!(matches!(error, Error::Numerical { .. }), "{error}");
    assert!(error.to_string().contains("the factor c"), "{error}");
}

#[test]
fn a_pilot_without_probabilities_is_refused() {
    #[derive(Debug)]
    struct Nonsense;
    impl Predict for Nonsense {
        fn logits_into(&self, _: FeaturesView<'_>, out: &mut [f64]) -> Result<()> {
            out.fill(f64::NAN);
            Ok(())
        }
    }
    let data = scored(1, &[0.5, 0.1]);
    let error = refused(&LocalCaseControl::new(Pilot::given(Nonsense)), &data);
    assert!(matches!(error, Error::NonFinite { row: 0, .. }), "{error}");
}

#[test]
fn pilots_may_be_shared_given_fitted_or_trained() {
    let clicks = SyntheticClicks::new(4_000, 0.05).unwrap().numeric(3).categorical(&[]);
    let data = clicks.generate(3).unwrap().dataset;
    let band = || HardnessBand::hardest(50).unwrap();
    let fitted = Arc::new(Pipeline::new(LogisticRegression::new()).fit(&data).unwrap());
    let shared = Arc::new(fitted.model().clone());
    let given = HardNegativeMining::new(Pilot::given(Arc::clone(&shared)), band());
    let pipeline = HardNegativeMining::new(Pilot::fitted(Arc::clone(&fitted)), band());
    let whole = Pilot::pipeline(Pipeline::new(LogisticRegression::new()));
    let trained = HardNegativeMining::new(whole, band());
    let expected = kept(&given, &data);
    assert_eq!(kept(&pipeline, &data), expected);
    assert_eq!(kept(&trained, &data), expected);
    // Boxed stages make a pilot too.
    let boxed = Pipeline::new(Model::boxed(LogisticRegression::new()));
    assert_eq!(kept(&HardNegativeMining::new(Pilot::pipeline(boxed), band()), &data), expected);
    // Trained on a sample, the pilot's probabilities are those of the population: 5 % on average,
    // not the 1 in 6 of its sample.
    let pilot = Pilot::trained(LogisticRegression::new(), LogLoss);
    let local = LocalCaseControl::new(pilot).resample(&data, &Run::seeded(1)).unwrap();
    let rows = local.apply(&data).unwrap().rows() as f64;
    // 2 Σ p(1 − p) rows, at most twice the clicks; a sixth would give far more.
    assert!(rows < 2.2 * data.totals().positives as f64, "{rows}");
}

#[test]
fn a_certain_pilot_gives_finite_offsets() {
    let data = scored(2, &[0.0, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]);
    let local = LocalCaseControl::new(Pilot::given(FirstColumn)).scale(2.0).unwrap();
    let sample = local.resample(&data, &Run::seeded(1)).unwrap();
    // c|y − p̃| is 2 for the first and the third row, 1 for the others: all are kept.
    assert_eq!(sample.rows, Rows::Kept((0..8).collect()));
    let [offsets, weights] = [sample.offsets, sample.weights].map(Option::unwrap);
    assert!((offsets[0] - 30.0).abs() < 1e-9 && (offsets[2] + 30.0).abs() < 1e-9);
    assert!((weights[0] - 2.0).abs() < 1e-9 && (weights[2] - 2.0).abs() < 1e-9);
    assert_eq!((offsets[1].abs(), weights[1]), (0.0, 1.0));
    // A pilot that foresees everything leaves nothing to learn from.
    let data = scored(1, &[1.0 - 1e-13, 1e-13]);
    let error = refused(&LocalCaseControl::new(Pilot::given(FirstColumn)), &data);
    assert!(error.to_string().contains("rows were expected; raise `scale`, now 1"), "{error}");
}

// --------------------------------------------------------------------------------------- business rules

/// Row 0 is positive.
fn visits() -> Dataset<'static> {
    let days = vec![30.0, 7.0, 7.5, f64::NAN, 0.0, 3.0];
    let impressions = vec![1.0, 5.0, 9.0, 9.0, 4.0, 100.0];
    numbered(6, 1)
        .with_attribute("last_active_days", Attribute::numbers(days))
        .unwrap()
        .with_attribute("impressions", Attribute::numbers(impressions))
        .unwrap()
        .with_attribute(
            "device",
            Attribute::categories(["phone", "phone", "desktop", "tablet", "phone", "tablet"]),
        )
        .unwrap()
}

#[test]
fn rules_mean_what_they_say() {
    let days = || Rule::number("last_active_days");
    let seen = || Rule::number("impressions");
    let device = || Rule::text("device");
    for (rule, expected) in [
        (days().at_most(7.0), vec![1, 4, 5]),
        (days().below(7.0), vec![4, 5]),
        (days().at_least(7.0), vec![1, 2]),
        (days().above(7.0), vec![2]),
        (days().equals(7.0), vec![1]),
        (days().between(3.0, 7.0), vec![1, 5]),
        (days().is_one_of([30.0, 7.5, -0.0, 8.0]), vec![2, 4]),
        (!days().is_one_of([7.0]), vec![2, 3, 4, 5]),
        (days().is_missing(), vec![3]),
        // Missing: neither at most 7 nor above it, so its negation holds.
        (!days().at_most(7.0), vec![2, 3]),
        (!days().at_most(7.0).or(days().is_missing()), vec![2]),
        (days().at_most(7.0).and(seen().at_least(5.0)), vec![1, 5]),
        (days().at_most(1.0).or(seen().at_least(9.0)), vec![2, 3, 4, 5]),
        (device().is("phone"), vec![1, 4]),
        (device().is_one_of(["tablet", "desktop", "watch"]), vec![2, 3, 5]),
        (
            Rule::custom("odd tablets", |row| {
                Ok(!row.label() && row.index() % 2 == 1 && row.text("device")? == "tablet")
            }),
            vec![3, 5],
        ),
        (Rule::custom("busy", |row| Ok(row.number("impressions")? > 8.0)), vec![2, 3, 5]),
    ] {
        let name = rule.to_string();
        let sampler = RuleSampler::filter(rule).unwrap();
        let rows = kept(&sampler, &visits());
        assert_eq!(rows, [&[0], &expected[..]].concat(), "{name}");
    }
}

#[test]
fn rules_act_on_negatives_unless_told_otherwise() {
    let recent = || Rule::number("last_active_days").at_most(7.0);
    let on_all = RuleSampler::filter(recent()).unwrap().on_all_rows(true);
    // The only positive was last active 30 days ago.
    assert_eq!(
        refused(&on_all, &visits()).to_string(),
        "sampling by rules keeps no positive row: 3 rows meet `last_active_days <= 7`, 3 rows meet `no rule`; \
         relax the rules, or keep more of their rows"
    );
    assert_eq!(kept(&RuleSampler::filter(recent()).unwrap(), &visits()), [0, 1, 4, 5]);
    let never = RuleSampler::filter(Rule::text("device").is("watch")).unwrap();
    let error = refused(&never, &visits());
    assert!(matches!(error, Error::NothingSelected { class: "negative", .. }), "{error}");
}

#[test]
fn shares_are_kept_exactly() {
    let clicks = SyntheticClicks::new(3_000, 0.05).unwrap().numeric(2).categorical(&[]);
    let data = clicks.generate(3).unwrap().dataset;
    let (days, labels) = (data.numbers("last_active_days").unwrap(), data.labels());
    let tiers = [
        (Rule::number("last_active_days").at_most(2.0), 0.29),
        (Rule::number("last_active_days").at_most(7.0), 0.1),
    ];
    let tier = |row: usize| usize::from(days[row] > 2.0) + usize::from(days[row] > 7.0);
    for on_all in [false, true] {
        let sampler = RuleSampler::shares(tiers.clone(), 0.05).unwrap().on_all_rows(on_all);
        let rows = kept(&sampler, &data);
        for (wanted, share) in [(0, 0.29), (1, 0.1), (2, 0.05)] {
            let acts = |row: &usize| (on_all || !labels[*row]) && tier(*row) == wanted;
            let of = (0..3_000).filter(acts).count();
            let got = rows.iter().filter(|row| acts(row)).count();
            assert_eq!(got, (share * of as f64).round() as usize, "tier {wanted}");
        }
        if !on_all {
            assert_eq!(rows.iter().filter(|&&row| labels[row]).count(), data.totals().positives);
        }
    }
    // Priorities: the count, and none with a priority of 0.
    let tiers = [(Rule::number("last_active_days").at_most(7.0), 0.0)];
    let sampler = RuleSampler::priorities(tiers, 0.2).unwrap();
    let rows = kept(&sampler, &data);
    let n = data.totals().negatives as f64;
    assert_eq!(rows.len() - data.totals().positives, (0.2 * n).round() as usize);
    assert!(rows.iter().all(|&row| labels[row] || days[row] > 7.0));
    let tiers = [(Rule::number("last_active_days").at_most(7.0), 0.0)];
    let rows = kept(&RuleSampler::priorities(tiers, 1.0).unwrap(), &data);
    let others = (0..3_000).filter(|&row| labels[row] || days[row] > 7.0).count();
    assert_eq!(rows.len(), others);
}

#[test]
fn bad_rules_are_refused() {
    let message = |rule| refused(&RuleSampler::filter(rule).unwrap(), &visits()).to_string();
    assert_eq!(
        message(Rule::number("activity").at_most(7.0)),
        "there is no attribute column `activity`; there are: last_active_days, impressions, device"
    );
    assert_eq!(
        message(Rule::number("device").at_most(7.0)),
        "the column `device` holds texts, but numbers are needed here"
    );
    assert_eq!(
        message(Rule::text("impressions").is("5")),
        "the column `impressions` holds numbers, but texts are needed here"
    );
    let custom = Rule::custom("typo", |row| Ok(row.number("impresions")? > 8.0));
    assert!(message(custom).starts_with("there is no attribute column `impresions`"));

    let number = || Rule::number("impressions");
    for rule in [
        number().at_most(f64::NAN),
        number().between(7.0, 5.0),
        number().between(f64::NAN, 5.0),
        Rule::text("device").is_one_of(Vec::<String>::new()),
        number().is_one_of([]),
        number().is_one_of([1.0, f64::NAN]),
        !number().at_most(1.0).and(number().above(0.0).or(number().equals(f64::NAN))),
    ] {
        assert_eq!(invalid(RuleSampler::filter(rule)).0, "rule");
    }
    let rule = || number().at_most(5.0);
    assert_eq!(
        invalid(RuleSampler::shares([(rule(), 1.5)], 0.1)),
        ("share", "1.5 for `impressions <= 5`".into())
    );
    assert_eq!(
        invalid(RuleSampler::shares([(rule(), 0.5)], -0.1)),
        ("share", "-0.1 for rows of no rule".into())
    );
    assert_eq!(invalid(RuleSampler::priorities([(rule(), -1.0)], 0.5)).0, "priority");
    assert_eq!(invalid(RuleSampler::priorities([(rule(), 1.0)], 0.0)).0, "rate");
    assert_eq!(invalid(PoissonRuleSampler::new([(rule(), 0.0)], 0.5)).0, "probability");
    assert_eq!(invalid(PoissonRuleSampler::new([(rule(), 0.5)], f64::NAN)).0, "probability");
}

// --------------------------------------------------------------------------------------------- chaining

/// A sampler that does what it was told when it was made.
#[derive(Debug, Clone)]
struct Scripted(Resample);

impl Sampler for Scripted {
    fn resample(&self, _: &Dataset<'_>, _: &Run) -> Result<Resample> {
        Ok(self.0.clone())
    }
}

fn parents() -> Dataset<'static> {
    Dataset::new(array![[10.0], [11.0], [12.0], [13.0]], vec![true, false, true, false])
        .unwrap()
        .with_weights(vec![1.0, 2.0, 3.0, 4.0])
        .unwrap()
        .with_offsets(vec![0.5, 1.0, 1.5, 2.0])
        .unwrap()
        .with_attribute("day", Attribute::numbers(vec![100.0, 101.0, 102.0, 103.0]))
        .unwrap()
}

/// Keeps rows 3, 0 and 2 and makes two: 20 from row 2 and 21 from row 0.
fn first() -> Resample {
    Resample {
        synthetic: vec![Synthetic::new(array![[20.0], [21.0]], vec![2, 0])],
        weights: Some(vec![1.0, 2.0, 3.0, 4.0, 5.0]),
        offsets: Some(vec![0.1, 0.2, 0.3, 0.4, 0.5]),
        ..Resample::kept(vec![3, 0, 2], Distortion::PriorShift { log_odds: 0.25 })
    }
}

/// What the two do in a row, one data set after the other.
fn stepwise(second: &Resample) -> Vec<[f64; 5]> {
    let data = parents();
    let between = first().apply(&data).unwrap();
    rows(&second.clone().apply(&between).unwrap())
}

/// Feature, label, weight, offset and attribute of each row, in an order that does not matter.
fn rows(data: &Dataset<'_>) -> Vec<[f64; 5]> {
    let FeaturesView::F64(Matrix::Dense(x)) = data.features() else { unreachable!("dense") };
    let mut rows: Vec<_> = (0..data.rows())
        .map(|row| {
            [
                x[[row, 0]],
                f64::from(u8::from(data.labels()[row])),
                data.weights().unwrap()[row],
                data.offsets().unwrap()[row],
                data.numbers("day").unwrap()[row],
            ]
        })
        .collect();
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    rows
}

fn near(a: &[[f64; 5]], b: &[[f64; 5]]) -> bool {
    let pairs = || a.iter().flatten().zip(b.iter().flatten());
    a.len() == b.len() && pairs().all(|(a, b)| (a - b).abs() < 1e-12)
}

#[test]
fn a_chain_is_one_step_after_the_other() {
    let made = |features: &[f64], parents: &[usize]| {
        let features = Array2::from_shape_fn((features.len(), 1), |(row, _)| features[row]);
        vec![Synthetic::new(features, parents.to_vec())]
    };
    let shift = || Distortion::PriorShift { log_odds: 0.5 };
    for second in [
        Resample::identity(),
        // Drops a kept and a synthetic row.
        Resample::kept(vec![0, 2, 3], shift()),
        // A synthetic row before kept ones, in another order, twice, with weights and offsets.
        Resample {
            weights: Some(vec![10.0, 20.0, 30.0, 40.0, 50.0]),
            offsets: Some(vec![1.0, 2.0, 3.0, 4.0, 5.0]),
            ..Resample::kept(vec![4, 1, 3, 0, 4], shift())
        },
        // Makes rows of its own: from a kept row, and from a synthetic one.
        Resample {
            synthetic: made(&[30.0, 31.0], &[1, 4]),
            weights: Some(vec![10.0, 20.0, 30.0, 40.0]),
            ..Resample::kept(vec![3, 0], shift())
        },
        Resample { synthetic: made(&[30.0], &[3]), ..Resample::identity() },
        // No synthetic row survives.
        Resample::kept(vec![2, 1], Distortion::None),
        Resample { synthetic: made(&[], &[]), ..Resample::kept(vec![2], Distortion::None) },
    ] {
        let data = parents();
        let chain = Scripted(first()).then(Scripted(second.clone()));
        let resample = chain.resample(&data, &Run::seeded(1)).unwrap();
        // Synthetic rows name parents among the rows of the data.
        for made in &resample.synthetic {
            let features = made.features(&data).unwrap();
            let FeaturesView::F64(Matrix::Dense(x)) = features.view() else {
                unreachable!("dense")
            };
            for (&feature, &parent) in x.iter().zip(made.parents()) {
                let expected = match feature as usize {
                    20 => 2,
                    21 => 0,
                    // Made by the second from its row 1, 4 or 3.
                    30 if second.rows == Rows::All => 2,
                    30 | 31 => 0,
                    other => panic!("{other}"),
                };
                assert_eq!(parent, expected, "{feature}");
            }
        }
        let sample = resample.apply(&data).unwrap();
        let between = first().apply(&data).unwrap();
        assert_eq!(sample.distortion(), second.clone().apply(&between).unwrap().distortion());
        // The first's offsets are on record, though it reports a prior shift alone.
        let told = matches!(sample.distortion(), Distortion::Offset { log_odds, .. }
            if Some(*log_odds) == second.distortion.log_odds().map(|shift| 0.25 + shift));
        assert!(told, "{}", sample.distortion());
        assert!(near(&rows(&sample), &stepwise(&second)), "{second:?}: {:?}", rows(&sample));
    }
}

#[test]
fn identities_vanish_in_a_chain() {
    let data = parents();
    let both = NoSampling.then(NoSampling).resample(&data, &Run::seeded(1)).unwrap();
    assert_eq!((both.rows, both.distortion), (Rows::All, Distortion::None));
    assert!(both.synthetic.is_empty() && both.weights.is_none() && both.offsets.is_none());
    for chained in [
        NoSampling.then(Scripted(first())).resample(&data, &Run::seeded(1)).unwrap(),
        Scripted(first()).then(NoSampling).resample(&data, &Run::seeded(1)).unwrap(),
    ] {
        assert_eq!(chained.rows, first().rows);
        assert_eq!(
            (chained.weights.clone(), chained.offsets.clone()),
            (first().weights, first().offsets)
        );
        assert!(chained.parents().eq([2, 0]));
        let [chained, alone] = [chained, first()].map(|r| rows(&r.apply(&data).unwrap()));
        assert_eq!(chained, alone);
    }
    // Chains are associative, and a boxed chain is a sampler like any other.
    let keep = |rows: &[usize]| Scripted(Resample::kept(rows.to_vec(), Distortion::None));
    let left = Scripted(first()).then(keep(&[0, 3, 4])).then(keep(&[0, 2]));
    let right = Scripted(first()).then(keep(&[0, 3, 4]).then(keep(&[0, 2])));
    let right: Box<dyn Sampler> = Box::new(right);
    let [left, right] =
        [left.resample(&data, &Run::seeded(1)), right.resample(&data, &Run::seeded(1))]
            .map(|r| rows(&r.unwrap().apply(&data).unwrap()));
    assert_eq!(left, right);
    assert_eq!(left.len(), 2);
}

#[test]
fn a_second_stage_that_breaks_its_contract_is_an_error() {
    let data = parents();
    let refused = |second| {
        let chain = Scripted(first()).then(Scripted(second));
        chain.resample(&data, &Run::seeded(1)).unwrap_err()
    };
    let kept = |rows: &[usize]| Resample::kept(rows.to_vec(), Distortion::None);
    let made = |features: Array2<f64>, parents: &[usize]| Resample {
        synthetic: vec![Synthetic::new(features, parents.to_vec())],
        ..kept(&[0])
    };
    // Between the two there are five rows.
    assert!(matches!(refused(kept(&[0, 5])), Error::RowOutOfRange { row: 5, rows: 5, .. }));
    assert!(matches!(refused(kept(&[])), Error::NoRows { .. }));
    let error = refused(made(array![[1.0]], &[5]));
    assert!(matches!(error, Error::RowOutOfRange { row: 5, .. }), "{error}");
    let error = refused(made(array![[1.0]], &[0, 1]));
    assert!(matches!(error, Error::LengthMismatch { found: 1, expected: 2, .. }), "{error}");
    let error = refused(made(array![[1.0, 2.0]], &[4]));
    assert!(matches!(error, Error::Contract { .. }), "{error}");
    let weighted = Resample { weights: Some(vec![1.0]), ..kept(&[0, 1]) };
    assert!(matches!(refused(weighted), Error::LengthMismatch { found: 1, expected: 2, .. }));
    let offset = Resample { offsets: Some(vec![1.0; 3]), ..kept(&[0, 1]) };
    assert!(matches!(refused(offset), Error::LengthMismatch { found: 3, expected: 2, .. }));
}

/// After rows were chosen or made by their features, nothing leads back to the population: a pilot that
/// is trained there is trained on the rows as they are.
#[test]
fn a_pilot_may_be_trained_after_any_sampler() {
    let clicks = SyntheticClicks::new(8_000, 0.05).unwrap().numeric(3).categorical(&[]);
    let data = clicks.generate(3).unwrap().dataset;
    let trained = || Pilot::trained(LogisticRegression::new(), LogLoss);
    let recent = || RuleSampler::filter(Rule::number("last_active_days").at_most(7.0)).unwrap();
    let local = || LocalCaseControl::new(trained());
    let run = Run::seeded(3);

    let chained = recent().then(local()).resample(&data, &run).unwrap();
    assert!(matches!(chained.distortion, Distortion::FeatureDependent { .. }));
    // As on the filtered rows, had nobody said how they came about.
    let filtered = recent().resample(&data, &run.child("first")).unwrap().apply(&data).unwrap();
    let bare = filtered.view().with_distortion(Distortion::None);
    let alone = local().resample(&bare, &run.child("second")).unwrap();
    assert_eq!(chained.offsets, alone.offsets);
    assert!(alone.offsets.unwrap().iter().all(|offset| offset.is_finite()));

    let smote = || Smote::positives_per_negative(0.2).unwrap();
    let hard = || HardNegativeMining::new(trained(), HardnessBand::hardest(500).unwrap());
    let poisson = || PoissonHardNegatives::proportional(trained(), 1.0, 0.05).unwrap();
    let samplers: [&dyn Sampler; 3] =
        [&smote().then(hard()), &hard().then(poisson()), &recent().then(smote()).then(local())];
    for sampler in samplers {
        let sample = sampler.resample(&data, &run).unwrap();
        assert!(matches!(sample.distortion, Distortion::FeatureDependent { .. }), "{sampler:?}");
        assert!(sample.apply(&data).unwrap().rows() < data.rows(), "{sampler:?}");
    }
    // A shift of the prior is undone: after thinning the pilot's probabilities are still the population's.
    let thinned = RandomUnderSampler::rate(0.5).unwrap().resample(&data, &run).unwrap();
    let thinned = thinned.apply(&data).unwrap();
    let mean = |data: &Dataset<'_>| {
        let offsets = local().scale(1e9).unwrap().resample(data, &run).unwrap().offsets.unwrap();
        // All rows are kept, and the offset is −logit p̂.
        assert_eq!(offsets.len(), data.rows());
        let negatives = offsets.iter().zip(data.labels()).filter(|(_, label)| !**label);
        let p: Vec<f64> = negatives.map(|(o, _)| 1.0 / (1.0 + o.exp())).collect();
        p.iter().sum::<f64>() / p.len() as f64
    };
    // Two pilots, each with a relative error of 1/√400 at most.
    assert!((mean(&thinned) / mean(&data) - 1.0).abs() < 4.5 * (2.0_f64 / 400.0).sqrt());
}

#[test]
fn a_chain_of_under_samplers_shifts_by_both() {
    let data = numbered(1_000, 20);
    let half = || RandomUnderSampler::rate(0.5).unwrap();
    let resample = half().then(half()).resample(&data, &Run::seeded(1)).unwrap();
    let Distortion::PriorShift { log_odds } = resample.distortion else { panic!("no shift") };
    assert!((log_odds - 4_f64.ln()).abs() < 1e-12);
    let sample = resample.apply(&data).unwrap();
    assert_eq!(sample.totals().negatives, 245);
    // The two draw from different seeds: the second does not repeat the choice of the first.
    let FeaturesView::F64(Matrix::Dense(x)) = sample.features() else { unreachable!("dense") };
    assert!(x.column(0).iter().zip(x.column(0).iter().skip(1)).all(|(a, b)| a < b));
}

/// Everything that a data set holds, row by row, to the bit.
fn bits_of(data: &Dataset<'_>) -> Vec<Vec<u64>> {
    let x = data.features();
    let cell = |row: usize, column: usize| x.row(row).get(column).to_bits();
    let attributes: Vec<&str> = data.attribute_names().collect();
    let row = |row: usize| {
        let mut bits: Vec<u64> = (0..x.ncols()).map(|column| cell(row, column)).collect();
        bits.push(u64::from(data.labels()[row]));
        bits.extend(data.weights().map(|weights| weights[row].to_bits()));
        bits.extend(data.offsets().map(|offsets| offsets[row].to_bits()));
        let number = |name: &&str| data.numbers(name).ok().map(|values| values[row].to_bits());
        bits.extend(attributes.iter().filter_map(number));
        bits
    };
    (0..data.rows()).map(row).collect()
}

/// 3,000 rows, a tenth of them positive, whose attribute `row` is their number. Three blocks of new rows
/// come from them at a ratio of 4.
fn log_with_numbers<F: Scalar>(sparse: bool, weighted: bool) -> Dataset<'static> {
    let clicks = SyntheticClicks::new(3_000, 0.1).unwrap().numeric(3).categorical(&[]);
    let log = clicks.precision(Precision::F32).generate(11).unwrap().dataset;
    let x = log.features();
    let mut x =
        Array2::from_shape_fn((x.nrows(), x.ncols()), |(i, j)| F::from_f64(x.row(i).get(j)));
    x.column_mut(1).mapv_inplace(|v: F| if v.to_f64() < 0.3 { F::default() } else { v });
    let x = if sparse { Features::from(to_sparse(&x)) } else { x.into() };
    let numbers = Attribute::numbers((0..3_000).map(f64::from).collect::<Vec<_>>());
    let data = Dataset::new(x, log.labels().to_vec()).unwrap();
    let data = data.with_attribute("row", numbers).unwrap();
    let data = data.with_distortion(Distortion::PriorShift { log_odds: 0.7 });
    if !weighted {
        return data;
    }
    let weights: Vec<f64> = (0..3_000).map(|row| 0.5 + f64::from(row % 5)).collect();
    let offsets: Vec<f64> = (0..3_000).map(|row| f64::from(row % 7) / 10.0).collect();
    data.with_weights(weights).unwrap().with_offsets(offsets).unwrap()
}

/// The chains that the literature has names for are what one sampler after the other gives, told in rows of
/// the data they began with.
#[test]
fn the_named_chains_are_their_parts_in_a_row() {
    let smote = |ratio| Smote::positives_per_negative(ratio).unwrap();
    let under = || RandomUnderSampler::negatives_per_positive(3.0).unwrap();
    let enn = || EditedNearestNeighbours::new(3).unwrap().both_classes(true);
    let tomek = || TomekLinks::new().both_classes(true);
    type Sampling = Box<dyn Sampler>;
    let pairs: [(Sampling, Sampling, Sampling); 6] = [
        (Box::new(smote(4.0)), Box::new(enn()), Box::new(smote(4.0).then(enn()))),
        (
            Box::new(smote(0.9).per_element(true)),
            Box::new(enn()),
            Box::new(smote(0.9).per_element(true).then(enn())),
        ),
        (Box::new(smote(0.9)), Box::new(tomek()), Box::new(smote(0.9).then(tomek()))),
        (Box::new(under()), Box::new(smote(0.9)), Box::new(under().then(smote(0.9)))),
        (
            Box::new(under().draw(DrawMode::WithReplacement).reweight(true)),
            Box::new(smote(0.9)),
            Box::new(under().draw(DrawMode::WithReplacement).reweight(true).then(smote(0.9))),
        ),
        // Rows made of rows that were made.
        (Box::new(smote(0.3)), Box::new(smote(0.9)), Box::new(smote(0.3).then(smote(0.9)))),
    ];
    let run = Run::seeded(5);
    for (sparse, weighted) in [(false, false), (false, true), (true, true)] {
        let data = log_with_numbers::<f64>(sparse, weighted);
        for (first, second, chain) in &pairs {
            let between = first.resample(&data, &run.child("first")).unwrap().apply(&data).unwrap();
            let alone = second.resample(&between, &run.child("second")).unwrap();
            let stepwise = alone.apply(&between).unwrap();

            let chained = chain.resample(&data, &run).unwrap();
            let kept = match &chained.rows {
                Rows::All => (0..data.rows()).collect(),
                Rows::Kept(rows) => rows.clone(),
            };
            let parents: Vec<usize> = chained.parents().collect();
            assert!(!parents.is_empty() && parents.iter().all(|&row| data.labels()[row]));
            let distortion = chained.distortion.clone();
            let sample = chained.apply(&data).unwrap();
            // The very same rows, in the same order.
            assert!(bits_of(&sample) == bits_of(&stepwise), "{chain:?}");
            assert_eq!(sample.features().stored(), stepwise.features().stored());
            assert_eq!(sample.features().is_sparse(), sparse);
            // Up to the order in which three shifts are added up.
            let shifts = [&sample, &stepwise].map(|data| data.distortion().log_odds().unwrap());
            assert!((shifts[0] - shifts[1]).abs() < 1e-14, "{chain:?}: {shifts:?}");
            assert!(matches!(sample.distortion(), Distortion::FeatureDependent { .. }));
            // Provenance: the attribute of each row is the number it has here.
            let origins: Vec<f64> = kept.iter().chain(&parents).map(|&row| row as f64).collect();
            assert_eq!(sample.numbers("row").unwrap(), origins);
            // The shift of the chain is what happened to the odds, and comes after the earlier one.
            let moved = sample.totals().log_odds() - data.totals().log_odds();
            let nominal = distortion.log_odds().unwrap();
            assert!((nominal - moved).abs() < 1e-11, "{chain:?}: {nominal}, {moved}");
            assert_eq!(*sample.distortion(), data.distortion().clone().then(distortion));

            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    bits_of(&chain.resample(&data, &run).unwrap().apply(&data).unwrap())
                })
            };
            assert!(on(1) == on(3), "{chain:?}");
        }
    }
}

/// A sparse new row stores what its parent or its partner stores, be it a zero, and nothing else. With one
/// neighbour the partner is known.
#[test]
fn sparse_rows_store_the_union_of_their_parents() {
    fn check<F: Scalar>(weighted: bool) {
        // Two or three of 12 columns, the positives close together, and some zeros that are stored.
        let n = 200;
        let (mut starts, mut columns, mut values) = (vec![0], vec![], vec![]);
        for row in 0..n {
            for column in [row % 4, 4 + row * 7 % 5, 9 + row % 3].into_iter().skip(row % 2) {
                columns.push(column);
                let value = ((row * 31 + column * 17) % 23) as f64 / 7.0;
                values.push(F::from_f64(if row % 5 == 0 && column > 8 { 0.0 } else { value }));
            }
            starts.push(columns.len());
        }
        let x = CsMat::new((n, 12), starts, columns, values);
        // And a few among the negatives, as ADASYN needs.
        let labels: Vec<bool> = (0..n).map(|row| row % 5 == 0 || row % 50 == 1).collect();
        let positives = labels.iter().filter(|&&label| label).count();
        let mut data = Dataset::new(&x, &labels).unwrap();
        if weighted {
            data =
                data.with_weights((0..n).map(|row| 1.0 + row as f64).collect::<Vec<_>>()).unwrap();
        }
        let row = |row: usize| {
            let mut cells = vec![None; 12];
            let stored = x.outer_view(row).unwrap();
            stored.iter().for_each(|(column, value)| cells[column] = Some(value.to_f64()));
            cells
        };
        let nearest = |from: usize, either: bool| {
            let distance = |to: usize| {
                let pairs = row(from).into_iter().zip(row(to));
                pairs.fold(0.0, |sum, (a, b)| sum + (a.unwrap_or(0.0) - b.unwrap_or(0.0)).powi(2))
            };
            (0..n)
                .filter(|&to| to != from && (either || labels[to]))
                .min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
                .unwrap()
        };
        let smote = Smote::positives_per_negative(1.0).unwrap().neighbours(1).unwrap();
        let border = |sampler: Result<BorderlineSmote>| sampler.unwrap().neighbours(1).unwrap();
        let adasyn = Adasyn::positives_per_negative(1.0).unwrap();
        let samplers: [(&dyn Sampler, bool); 5] = [
            (&smote, false),
            (&smote.per_element(true), false),
            (&border(BorderlineSmote::borderline1(1.0)), false),
            (&border(BorderlineSmote::borderline2(1.0)), true),
            (&adasyn.neighbours(1).unwrap(), false),
        ];
        for (sampler, either) in samplers {
            let mut resample = sampler.resample(&data, &Run::seeded(2)).unwrap();
            let synthetic = resample.synthetic.pop().unwrap();
            assert_eq!(synthetic.parents().len(), n - 2 * positives);
            let features = synthetic.features(&data).unwrap();
            let made = features.view();
            assert!(made.is_sparse());
            assert_eq!(made.precision(), F::PRECISION);
            for (at, &parent) in synthetic.parents().iter().enumerate() {
                let (a, b) = (row(parent), row(nearest(parent, either)));
                let union: Vec<usize> =
                    (0..12).filter(|&c| a[c].is_some() || b[c].is_some()).collect();
                let stored: Vec<usize> = made.row(at).entries().map(|entry| entry.0).collect();
                assert_eq!(stored, union, "{sampler:?}, row {at} of {parent}");
                for (column, value) in made.row(at).entries() {
                    let [a, b] = [a[column], b[column]].map(|end| end.unwrap_or(0.0));
                    assert!((a.min(b)..=a.max(b)).contains(&value));
                }
            }
            let sample = sampler.resample(&data, &Run::seeded(2)).unwrap().apply(&data).unwrap();
            assert_eq!(sample.features().stored(), x.nnz() + made.stored());
        }
    }
    check::<f64>(false);
    check::<f64>(true);
    check::<f32>(true);
}

#[test]
fn over_samplers_refuse_what_they_cannot_do() {
    let x = Array2::from_shape_fn((30, 2), |(row, column)| (row * (column + 1)) as f64);
    let data = Dataset::new(&x, (0..30).map(|row| row < 5).collect::<Vec<_>>()).unwrap();
    let nc = SmoteNc::positives_per_negative(1.0, [1]).unwrap();
    // As many neighbours as positives: each has four others.
    let with_k: [&dyn Sampler; 4] = [
        &Smote::positives_per_negative(1.0).unwrap(),
        &BorderlineSmote::borderline1(1.0).unwrap(),
        &Adasyn::positives_per_negative(1.0).unwrap(),
        &nc,
    ];
    for sampler in with_k {
        assert_eq!(
            sampler.resample(&data, &Run::default()).unwrap_err().to_string(),
            "`k` is 5, but it must be at most 4, the number of other positives; ask for fewer \
         neighbours"
        );
    }
    // Kind 2 looks for neighbours among all rows.
    let second = BorderlineSmote::borderline2(1.0).unwrap().m_neighbours(4).unwrap();
    assert!(second.resample(&data, &Run::default()).is_ok());
    let error = second.neighbours(30).unwrap().resample(&data, &Run::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`k` is 30, but it must be at most 29, the number of other rows")
    );

    // More memory than an address can reach, and than there is.
    for ratio in [1e13, 1e18, f64::MAX] {
        let smote = Smote::positives_per_negative(ratio).unwrap().neighbours(2).unwrap();
        let over = RandomOverSampler::positives_per_negative(ratio).unwrap();
        let samplers: [&dyn Sampler; 5] = [
            &smote,
            &over,
            &over.shrinkage(1.0).unwrap(),
            &Adasyn::positives_per_negative(ratio).unwrap().neighbours(2).unwrap(),
            &BorderlineSmote::borderline2(ratio).unwrap(),
        ];
        for sampler in samplers {
            let error = sampler.resample(&data, &Run::default()).unwrap_err();
            assert!(error.to_string().ends_with("positives fit into memory"), "{error}");
        }
    }

    // The ratio that the message names is one that is taken: in six digits 1/3 would be too low.
    let data = numbered(4_000_000, 1_000_000);
    let error =
        refused(&RandomOverSampler::positives_per_negative(0.3).unwrap(), &data).to_string();
    let named = error.split("at least ").nth(1).unwrap().split(':').next().unwrap();
    let named: f64 = named.parse().unwrap();
    let sampler = RandomOverSampler::positives_per_negative(named).unwrap();
    assert_eq!(sampler.resample(&data, &Run::default()).unwrap().rows, Rows::All);
}

/// A sampler that reads the features it is given, or does not.
#[derive(Debug)]
struct Reader {
    reads: bool,
}

impl Sampler for Reader {
    fn resample(&self, data: &Dataset<'_>, _: &Run) -> Result<Resample, Error> {
        assert_eq!(data.columns(), 3);
        if self.reads {
            assert_eq!(data.features().nrows(), data.rows());
        }
        Ok(Resample::identity())
    }
}

#[test]
fn a_chain_gives_the_same_rows_whether_or_not_its_second_reads_them() {
    let x = Array2::from_shape_fn((40, 3), |(i, j)| (i * 3 + j) as f64);
    let data = Dataset::new(&x, (0..40).map(|i| i % 4 == 0).collect::<Vec<_>>()).unwrap();
    let under = || RandomUnderSampler::negatives_per_positive(2.0).unwrap();
    let run = Run::seeded(3);
    let alone = under().resample(&data, &run.child("first")).unwrap().apply(&data).unwrap();
    for reads in [true, false] {
        let chain = under().then(Reader { reads });
        let sample = chain.resample(&data, &run).unwrap().apply(&data).unwrap();
        assert_eq!(sample.columns(), 3);
        assert_eq!(sample.labels(), alone.labels());
        let rows = |data: &Dataset<'_>| -> Vec<Vec<f64>> {
            data.features().rows().map(|row| row.to_vec().unwrap()).collect()
        };
        assert_eq!(rows(&sample), rows(&alone));
        // Rows that were made are given with their features too.
        let smote = Smote::positives_per_negative(0.6).unwrap().neighbours(3).unwrap();
        smote.then(Reader { reads }).resample(&data, &run).unwrap();
    }
}

#[test]
fn nothing_to_make_rows_from_leaves_the_rows_and_says_so() {
    // Two groups far from each other: no positive is near a negative.
    let x = Array2::from_shape_fn((60, 1), |(i, _)| if i < 40 { i as f64 } else { 1e6 + i as f64 });
    let labels: Vec<bool> = (0..60).map(|i| i >= 40).collect();
    let data = Dataset::new(&x, labels).unwrap();
    let samplers: [(&str, Box<dyn Sampler>); 2] = [
        ("Borderline-SMOTE", Box::new(BorderlineSmote::borderline1(1.0).unwrap())),
        ("ADASYN", Box::new(Adasyn::positives_per_negative(1.0).unwrap())),
    ];
    for (name, sampler) in samplers {
        let resample = sampler.resample(&data, &Run::default()).unwrap();
        assert!(
            resample.notes[0].starts_with(&format!("{name} made no rows")),
            "{:?}",
            resample.notes
        );
        assert_eq!(resample.apply(&data).unwrap().rows(), 60);
    }
}
