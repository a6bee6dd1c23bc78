//! Samples drawn by keys from logs that are read batch by batch.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use imbalance::data::Source;
use imbalance::model::LinearModel;
use imbalance::prelude::*;
use imbalance::sampling::RowKey;
use imbalance::sampling::{
    DrawMode, HardNegativeMining, HardnessBand, KeyedSample, KeyedSampling, LocalCaseControl,
    NoSampling, Pilot, PoissonRuleSampler, Rule, RuleSampler, Smote,
};
use imbalance::{Attribute, Distortion, Error, Run, Seed};
use proptest::prelude::*;

const ROWS: usize = 20_000;

/// Row `id` of a log: label, days, size and site depend on nothing but the number.
fn table(ids: &[usize]) -> Table {
    let random = |id: usize, what: &str| {
        (Seed::new(id as u64).child(what).value() >> 11) as f64 / (1_u64 << 53) as f64
    };
    let all = |of: &dyn Fn(usize) -> f64| ids.iter().map(|&id| of(id)).collect::<Vec<f64>>();
    let labels: Vec<bool> = ids.iter().map(|&id| random(id, "label") < 0.02).collect();
    Table::new(labels)
        .and_then(|table| table.with_numeric("size", all(&|id| random(id, "size"))))
        .and_then(|table| {
            table.with_categorical("site", ids.iter().map(|id| format!("s{}", id % 50)))
        })
        .and_then(|table| table.with_weights(all(&|id| 0.5 + random(id, "weight"))))
        .and_then(|table| table.with_attribute("id", Attribute::numbers(all(&|id| id as f64))))
        .and_then(|table| {
            table.with_attribute("days", Attribute::numbers(all(&|id| (id % 30) as f64)))
        })
        .and_then(|table| {
            table.with_attribute(
                "user",
                Attribute::categories(ids.iter().map(|id| format!("u{}", id / 4))),
            )
        })
        .unwrap()
}

fn whole() -> Table {
    table(&(0..ROWS).collect::<Vec<_>>())
}

/// The log in this many tables of unequal lengths.
fn divided(parts: usize) -> Vec<Table> {
    let edge = |part: usize| ROWS * part * (part + 1) / (parts * (parts + 1));
    (0..parts).map(|part| table(&(edge(part)..edge(part + 1)).collect::<Vec<_>>())).collect()
}

fn ids(table: &Table) -> BTreeSet<usize> {
    let ids = table.numbers("id").unwrap();
    let set: BTreeSet<usize> = ids.iter().map(|&id| id as usize).collect();
    assert_eq!(set.len(), ids.len(), "no row comes twice");
    set
}

fn draw(sampler: &dyn Sampler, source: &(impl Source + ?Sized), seed: u64) -> KeyedSample {
    let sampling = KeyedSampling::new(sampler).key(RowKey::column("id"));
    sampling.hold_out(0.2, 1_500).unwrap().draw(source, &Run::seeded(seed)).unwrap()
}

fn rule() -> Rule {
    Rule::number("days").at_most(6.0)
}

fn samplers() -> Vec<(&'static str, Box<dyn Sampler>)> {
    let per_positive = || RandomUnderSampler::negatives_per_positive(5.0).unwrap();
    let rate = || RandomUnderSampler::rate(0.1).unwrap();
    let shares = |share| RuleSampler::shares([(rule(), 0.5)], share).unwrap();
    vec![
        ("all", Box::new(NoSampling)),
        ("per positive", Box::new(per_positive())),
        ("per positive, one by one", Box::new(per_positive().draw(DrawMode::Bernoulli))),
        ("per positive, weighted", Box::new(per_positive().reweight(true))),
        ("rate", Box::new(rate())),
        ("rate, one by one", Box::new(rate().draw(DrawMode::Bernoulli))),
        ("filter", Box::new(RuleSampler::filter(rule()).unwrap())),
        ("shares", Box::new(shares(0.05))),
        ("shares of all", Box::new(shares(0.25).on_all_rows(true))),
        ("priorities", Box::new(RuleSampler::priorities([(rule(), 4.0)], 0.1).unwrap())),
        ("Poisson", Box::new(PoissonRuleSampler::new([(rule(), 0.5)], 0.05).unwrap())),
        (
            "Poisson, weighted",
            Box::new(PoissonRuleSampler::new([(rule(), 0.5)], 0.05).unwrap().reweight(true)),
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn any_division_and_order_draws_the_same_rows(seed: u64, parts in 2..40_usize, turn in 0..40_usize) {
        let whole = whole();
        let mut parts = divided(parts);
        let turn = turn % parts.len();
        parts.rotate_left(turn);
        for (name, sampler) in samplers() {
            let one = draw(&*sampler, &whole, seed);
            let many = draw(&*sampler, parts.as_slice(), seed);
            prop_assert_eq!(ids(&one.table), ids(&many.table), "{}", name);
            prop_assert_eq!(
                ids(one.held_out.as_ref().unwrap()), ids(many.held_out.as_ref().unwrap()), "{}", name
            );
            let (a, b) = (one.table.distortion().log_odds(), many.table.distortion().log_odds());
            prop_assert!((a.unwrap() - b.unwrap()).abs() < 1e-12, "{}: {:?} and {:?}", name, a, b);
            let weight = |drawn: &KeyedSample| drawn.table.totals().negative_weight;
            prop_assert!((weight(&one) / weight(&many) - 1.0).abs() < 1e-12, "{}", name);
        }
    }
}

#[test]
fn places_are_keys_for_any_batches() {
    let sampler = RandomUnderSampler::negatives_per_positive(3.0).unwrap();
    let draw = |source: &[Table]| {
        let drawn = KeyedSampling::new(&sampler).draw(source, &Run::seeded(7)).unwrap();
        assert!(drawn.held_out.is_none());
        drawn.table.numbers("id").unwrap().to_vec()
    };
    let one = draw(&[whole()]);
    for parts in [2, 7, 64] {
        assert_eq!(one, draw(&divided(parts)), "{parts} tables");
    }
}

#[test]
fn the_same_bits_on_any_number_of_threads() {
    let parts = divided(13);
    let sampler = RandomUnderSampler::negatives_per_positive(3.0).unwrap();
    let draw = || draw(&sampler, parts.as_slice(), 3);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(draw);
    let five = rayon::ThreadPoolBuilder::new().num_threads(5).build().unwrap().install(draw);
    assert_eq!(one.table.numbers("id").unwrap(), five.table.numbers("id").unwrap());
    assert_eq!(one.table.distortion(), five.table.distortion());
    assert_eq!(one.population, five.population);
}

#[test]
fn counts_and_distortions_are_those_that_samplers_promise() {
    let all = whole();
    for (name, sampler) in samplers() {
        let drawn = draw(&*sampler, &all, 11);
        let (kept, population) = (drawn.table.totals(), drawn.population);
        let held_out = drawn.held_out.unwrap();
        assert_eq!(held_out.rows(), 1_500, "{name}");
        assert!(ids(&held_out).is_disjoint(&ids(&drawn.table)), "{name}");
        // A fifth of 20,000 rows is held out: 4,000 ± 5 · 57.
        assert!((population.rows() as f64 - 16_000.0).abs() < 5.0 * 57.0, "{name}");
        let unweighted = |table: &Table| {
            let all = table.labels().iter().filter(|label| !**label).count();
            all as f64
        };
        match name {
            "all" => assert_eq!(kept, population),
            "per positive" | "per positive, weighted" => {
                assert_eq!(kept.negatives, 5 * kept.positives, "{name}");
            }
            "rate" => {
                assert_eq!(kept.negatives, (0.1 * population.negatives as f64).round() as usize);
            }
            "rate, one by one" => {
                let n = population.negatives as f64;
                assert!((unweighted(&drawn.table) - 0.1 * n).abs() < 5.0 * (0.09 * n).sqrt());
            }
            "priorities" => {
                let n = population.negatives as f64;
                assert_eq!(kept.negatives, (0.1 * n).round() as usize);
            }
            _ => {}
        }
        if name != "shares of all" {
            assert_eq!(kept.positives, population.positives, "{name}");
        }
        let expected = match name {
            "all" | "per positive, weighted" | "Poisson, weighted" => Some(0.0),
            _ => Some(kept.log_odds() - population.log_odds()),
        };
        let found = drawn.table.distortion().log_odds().unwrap();
        assert!((found - expected.unwrap()).abs() < 1e-9, "{name}: {found}");
        if name == "per positive, weighted" {
            assert!((kept.negative_weight / population.negative_weight - 1.0).abs() < 1e-12);
        }
        if name == "Poisson, weighted" {
            // Σ w/π over the kept, each kept with π: the variance is Σ w² (1 − π)/π.
            let share = |days: f64| if days <= 6.0 { 0.5 } else { 0.05 };
            let could_be_kept = ids(&draw(&NoSampling, &all, 11).table);
            let (mut sum, mut variance) = (0.0, 0.0);
            for (row, &weight) in all.weights().unwrap().iter().enumerate() {
                if could_be_kept.contains(&row) && !all.labels()[row] {
                    let share = share(all.numbers("days").unwrap()[row]);
                    sum += weight;
                    variance += weight * weight * (1.0 - share) / share;
                }
                if row > 3_000 {
                    break;
                }
            }
            let first: f64 = drawn
                .table
                .numbers("id")
                .unwrap()
                .iter()
                .zip(drawn.table.weights().unwrap())
                .zip(drawn.table.labels())
                .filter(|((id, _), label)| **id <= 3_001.0 && !**label)
                .map(|((_, weight), _)| weight)
                .sum();
            assert!((first - sum).abs() < 5.0 * variance.sqrt(), "{first} {sum}");
        }
    }
}

#[test]
fn a_filter_keeps_what_it_keeps_in_memory() {
    let all = whole();
    let sampler = RuleSampler::filter(rule()).unwrap();
    let drawn = KeyedSampling::new(&sampler).draw(&all, &Run::seeded(1)).unwrap();
    let data =
        Encoder::only().column("size", imbalance::data::NumberForm::Plain).fit(&all).unwrap();
    let data = data.encode(&all).unwrap();
    let sample = sampler.resample(&data, &Run::seeded(1)).unwrap().apply(&data).unwrap();
    assert_eq!(sample.numbers("id").unwrap(), drawn.table.numbers("id").unwrap());
    let log_odds = |distortion: &Distortion| distortion.log_odds().unwrap();
    let (a, b) = (log_odds(sample.distortion()), log_odds(drawn.table.distortion()));
    assert!(
        (a - b).abs() < 1e-12
            && drawn.table.distortion().to_string() == sample.distortion().to_string()
    );
}

#[test]
fn each_row_has_the_inclusion_probability_that_it_should_have() {
    // Of rows of priority 4 and 1, drawn one by one, in memory and by keys: over 60 seeds the share of the first.
    let all = table(&(0..2_000).collect::<Vec<_>>());
    let sampler = RuleSampler::priorities([(rule(), 4.0)], 0.2).unwrap();
    let data =
        Encoder::only().column("size", imbalance::data::NumberForm::Plain).fit(&all).unwrap();
    let data = data.encode(&all).unwrap();
    let share = |days: &[f64], labels: &[bool]| {
        let negatives = days.iter().zip(labels).filter(|(_, label)| !**label);
        let (first, n) = negatives.fold((0.0, 0.0), |(first, n), (&day, _)| {
            (first + f64::from(u8::from(day <= 6.0)), n + 1.0)
        });
        first / n
    };
    let mean = |of: &dyn Fn(u64) -> f64| (0..60).map(of).sum::<f64>() / 60.0;
    let by_keys = mean(&|seed| {
        let drawn = KeyedSampling::new(&sampler).key(RowKey::column("id"));
        let drawn = drawn.draw(&all, &Run::seeded(seed)).unwrap().table;
        share(drawn.numbers("days").unwrap(), drawn.labels())
    });
    let in_memory = mean(&|seed| {
        let sample = sampler.resample(&data, &Run::seeded(seed)).unwrap().apply(&data).unwrap();
        share(sample.numbers("days").unwrap(), sample.labels())
    });
    // A share near one half of about 390 rows: standard error of a mean of 60 below 0.0033, of the difference 0.0046.
    assert!((by_keys - in_memory).abs() < 5.0 * 0.0046, "{by_keys} {in_memory}");
}

#[test]
fn rows_of_a_key_stay_together() {
    let all = whole();
    let sampler = RandomUnderSampler::rate(0.3).unwrap().draw(DrawMode::Bernoulli);
    let sampling = KeyedSampling::new(&sampler).key(RowKey::column("user"));
    let drawn = sampling.hold_out(0.5, ROWS).unwrap().draw(&all, &Run::seeded(5)).unwrap();
    let users = |table: &Table| -> BTreeSet<usize> { ids(table).iter().map(|id| id / 4).collect() };
    let held_out = drawn.held_out.unwrap();
    assert_eq!(held_out.rows(), 4 * users(&held_out).len(), "all four rows of a user, or none");
    assert!(users(&held_out).is_disjoint(&users(&drawn.table)));
}

#[test]
fn a_given_pilot_draws_its_surprises_and_says_so_by_offsets() {
    let all = whole();
    let encoder =
        Encoder::only().column("size", imbalance::data::NumberForm::Plain).fit(&all).unwrap();
    let pilot = Pilot::given(LinearModel::new(vec![1.0], -4.0).unwrap());
    let sampler = LocalCaseControl::new(pilot).scale(2.0).unwrap();
    let draw = |source: &[Table]| {
        let sampling = KeyedSampling::new(&sampler).key(RowKey::column("id")).encoder(&encoder);
        sampling.draw(source, &Run::seeded(2)).unwrap().table
    };
    let sample = draw(&[whole()]);
    assert_eq!(ids(&sample), ids(&draw(&divided(9))));
    assert!(matches!(sample.distortion(), Distortion::Offset { log_odds, .. } if *log_odds == 0.0));
    let size = sample.numeric("size").unwrap();
    let mut expected = 0.0;
    for (x, offset) in size.iter().zip(sample.offsets().unwrap()) {
        assert!((offset - (4.0 - x)).abs() < 1e-12);
    }
    let p = |x: f64| 1.0 / (1.0 + (4.0 - x).exp());
    for (&label, &x) in all.labels().iter().zip(all.numeric("size").unwrap()) {
        expected += (2.0 * if label { 1.0 - p(x) } else { p(x) }).min(1.0);
    }
    assert!(
        (sample.rows() as f64 - expected).abs() < 5.0 * expected.sqrt(),
        "{} {expected}",
        sample.rows()
    );
    let own = sample.numbers("id").unwrap().iter().map(|&id| all.weights().unwrap()[id as usize]);
    for ((weight, own), (&label, &x)) in
        sample.weights().unwrap().iter().zip(own).zip(sample.labels().iter().zip(size))
    {
        let surprise = 2.0 * if label { 1.0 - p(x) } else { p(x) };
        assert!((weight - own * surprise.max(1.0)).abs() < 1e-12);
    }
    let error = KeyedSampling::new(&sampler).draw(&all, &Run::seeded(2)).unwrap_err();
    assert!(error.to_string().contains("encoder"), "{error}");
}

#[test]
fn what_cannot_be_drawn_by_keys_is_refused_with_the_way_out() {
    let all = whole();
    let refused = |sampler: &dyn Sampler| {
        KeyedSampling::new(sampler).draw(&all, &Run::seeded(1)).unwrap_err().to_string()
    };
    let pilot = Pilot::trained(LogisticRegression::new(), LogLoss);
    let hard = HardNegativeMining::new(pilot.clone(), HardnessBand::hardest(10).unwrap());
    for sampler in [&Smote::positives_per_negative(1.0).unwrap() as &dyn Sampler, &hard] {
        assert!(
            refused(sampler).contains("draw a sample into memory first"),
            "{}",
            refused(sampler)
        );
    }
    let replaced = RandomUnderSampler::default().draw(DrawMode::WithReplacement);
    assert!(refused(&replaced).contains("without replacement"));
    assert!(refused(&LocalCaseControl::new(pilot)).contains("Pilot::fitted"));
}

#[test]
fn errors_name_the_argument() {
    let all = whole();
    let sampler = RandomUnderSampler::default();
    let sampling = || KeyedSampling::new(&sampler);
    let unknown = sampling().key(RowKey::column("uid")).draw(&all, &Run::default()).unwrap_err();
    assert!(
        matches!(&unknown, Error::UnknownColumn { column, .. } if column == "uid"),
        "{unknown}"
    );
    let mut missing = vec![1.0; ROWS];
    missing[17] = f64::NAN;
    let keyed = all.clone().with_attribute("key", Attribute::numbers(missing)).unwrap();
    let error = sampling().key(RowKey::column("key")).draw(&keyed, &Run::default()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 17, .. }), "{error}");
    assert!(matches!(sampling().draw(&[][..], &Run::default()), Err(Error::NoRows { .. })));
    assert!(sampling().hold_out(1.0, 10).is_err() && sampling().hold_out(0.5, 0).is_err());
    let negatives = all.select(&(0..ROWS).filter(|&row| !all.labels()[row]).collect::<Vec<_>>());
    let error = sampling().draw(&negatives.unwrap(), &Run::default()).unwrap_err();
    assert!(matches!(error, Error::OneClass { .. }), "{error}");
    let mixed = [all.clone(), all.clone().drop_attributes(["days"]).unwrap()];
    let error = sampling().draw(&mixed[..], &Run::default()).unwrap_err();
    assert!(error.to_string().contains("the same in all tables"), "{error}");
}

#[test]
fn a_draw_is_observed_and_can_be_stopped() {
    let parts = divided(64);
    let sampler = RandomUnderSampler::default();
    let run = Run::seeded(1).observed(|_| ControlFlow::Break(()));
    let error = KeyedSampling::new(&sampler).draw(parts.as_slice(), &run).unwrap_err();
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
}
