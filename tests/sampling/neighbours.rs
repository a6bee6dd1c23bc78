//! The samplers that look at neighbours, and random over-sampling: laws, agreement with
//! imbalanced-learn, and bad input.

use std::collections::HashSet;

use crate::common::to_sparse;
use imbalance::Features;
use imbalance::Precision;
use imbalance::ndarray::{Array2, array};
use imbalance::prelude::*;
use imbalance::sampling::{
    Adasyn, BorderlineSmote, EditedNearestNeighbours, NearMiss, NearMissVersion,
    NeighbourhoodCleaning, RandomOverSampler, Resample, Rows, Smote, SmoteNc, TomekLinks,
    VotingRule,
};
use imbalance::{Error, FeaturesView, Result};
use proptest::prelude::*;
use serde_json::Value;

fn resample(sampler: &impl Sampler, data: &Dataset<'_>, seed: u64) -> Result<Resample> {
    sampler.resample(data, &Run::seeded(seed))
}

fn kept(sampler: &impl Sampler, data: &Dataset<'_>) -> Vec<usize> {
    match resample(sampler, data, 0).unwrap().rows {
        Rows::All => (0..data.rows()).collect(),
        Rows::Kept(rows) => rows,
    }
}

/// New rows and their parents.
struct Made {
    features: Features<'static>,
    parents: Vec<usize>,
}

fn made(sampler: &impl Sampler, data: &Dataset<'_>, seed: u64) -> Made {
    let synthetic = resample(sampler, data, seed).unwrap().synthetic.pop().unwrap();
    Made { features: synthetic.features(data).unwrap(), parents: synthetic.parents().to_vec() }
}

fn rows_of(x: FeaturesView<'_>) -> Vec<Vec<f64>> {
    let (n, d) = (x.nrows(), x.ncols());
    let cell = |row, column| x.row(row).get(column);
    (0..n).map(|row| (0..d).map(|column| cell(row, column)).collect()).collect()
}

/// The k nearest among `points` of a row, by brute force: by distance, then by index.
fn nearest(x: &[Vec<f64>], points: &[usize], row: usize, k: usize) -> Vec<usize> {
    let distance = |other: usize| {
        x[row].iter().zip(&x[other]).fold(0.0, |sum, (a, b)| sum + (a - b) * (a - b))
    };
    let mut others: Vec<usize> = points.iter().copied().filter(|&other| other != row).collect();
    others.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
    others.truncate(k);
    others
}

// -------------------------------------------------------------------------- agreement with references

fn fixtures() -> Vec<Value> {
    fixture("cases")
}

fn fixture(part: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../fixtures/sampling.json")).unwrap();
    all[part].as_array().unwrap().clone()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// A case's rows, dense and sparse.
fn case(value: &Value) -> (Array2<f64>, Vec<bool>) {
    let rows = value["x"].as_array().unwrap();
    let flat: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()))
        .collect();
    let x = Array2::from_shape_vec((rows.len(), flat.len() / rows.len()), flat).unwrap();
    let labels = value["labels"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
    (x, labels)
}

#[test]
fn the_cleaners_keep_the_rows_that_imbalanced_learn_keeps() {
    let enn = |k| EditedNearestNeighbours::new(k).unwrap();
    let mode = |k| enn(k).vote(VotingRule::Mode);
    let near_miss = |ratio| NearMiss::positives_per_negative(ratio).unwrap();
    let around = |ratio| near_miss(ratio).version(NearMissVersion::AroundPositives);
    for value in fixtures() {
        let (x, labels) = case(&value);
        let csr = to_sparse(&x);
        for data in [Dataset::new(&x, &labels).unwrap(), Dataset::new(&csr, &labels).unwrap()] {
            for (name, kept) in [
                ("tomek", kept(&TomekLinks::new(), &data)),
                ("tomek_both", kept(&TomekLinks::new().both_classes(true), &data)),
                ("enn_all", kept(&enn(3), &data)),
                ("enn_mode", kept(&mode(3), &data)),
                ("enn_mode_even", kept(&mode(4), &data)),
                ("enn_both", kept(&mode(3).both_classes(true), &data)),
                ("repeated_all", kept(&enn(3).repeated(100).unwrap(), &data)),
                ("repeated_mode", kept(&mode(3).repeated(100).unwrap(), &data)),
                ("all_knn_all", kept(&enn(4).all_knn(true), &data)),
                ("all_knn_mode", kept(&mode(5).all_knn(true), &data)),
                ("neighbourhood_cleaning", kept(&NeighbourhoodCleaning::new(3).unwrap(), &data)),
                (
                    "neighbourhood_cleaning_even",
                    kept(&NeighbourhoodCleaning::new(4).unwrap(), &data),
                ),
                ("near_miss_1", kept(&near_miss(0.5), &data)),
                ("near_miss_1_k1", kept(&near_miss(0.625).neighbours(1).unwrap(), &data)),
                (
                    "near_miss_2",
                    kept(&near_miss(0.5).version(NearMissVersion::FarthestPositives), &data),
                ),
                ("near_miss_3", kept(&around(0.625), &data)),
                ("near_miss_3_few", kept(&around(0.5).m_neighbours(1).unwrap(), &data)),
            ] {
                assert_eq!(kept, indices(&value["kept"][name]), "{name}, {}", value["name"]);
            }
        }
    }
}

/// Where the classes overlap so much that repeated ENN and `AllKNN` must stop before negatives become the
/// rarer class.
#[test]
fn the_cleaners_stop_where_imbalanced_learn_stops() {
    let enn = |k| EditedNearestNeighbours::new(k).unwrap();
    for value in fixture("overlap") {
        let (x, labels) = case(&value);
        let data = Dataset::new(&x, &labels).unwrap();
        let sampler = match value["name"].as_str().unwrap() {
            "repeated_all" => enn(3).repeated(100).unwrap(),
            "repeated_mode" => enn(3).vote(VotingRule::Mode).repeated(100).unwrap(),
            "all_knn_all" => enn(4).all_knn(true),
            "all_knn_mode" => enn(5).vote(VotingRule::Mode).all_knn(true),
            name => panic!("{name}"),
        };
        assert_eq!(kept(&sampler, &data), indices(&value["kept"]), "{}", value["name"]);
    }
}

/// With four neighbours two may be of each class. A tie keeps a row here, while imbalanced-learn lets it
/// go to the smaller label.
#[test]
fn a_tie_keeps_the_rows_of_both_classes() {
    let mut tied = 0;
    for value in fixtures() {
        let (x, labels) = case(&value);
        let data = Dataset::new(&x, &labels).unwrap();
        let rows = rows_of(data.features());
        let all: Vec<usize> = (0..labels.len()).collect();
        let is_tie = |row: usize| {
            nearest(&rows, &all, row, 4).into_iter().filter(|&other| labels[other]).count() == 2
        };
        let sampler =
            EditedNearestNeighbours::new(4).unwrap().vote(VotingRule::Mode).both_classes(true);
        let theirs = indices(&value["kept"]["enn_both_even"]);
        let expected: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&row| theirs.contains(&row) || (labels[row] && is_tie(row)))
            .collect();
        tied += expected.len() - theirs.len();
        assert_eq!(kept(&sampler, &data), expected, "{}", value["name"]);
    }
    assert!(tied > 0);
}

#[test]
fn borderline_smote_and_adasyn_choose_the_parents_that_imbalanced_learn_chooses() {
    for value in fixtures() {
        let (x, labels) = case(&value);
        let data = Dataset::new(&x, &labels).unwrap();
        for sampler in
            [BorderlineSmote::borderline1(3.0).unwrap(), BorderlineSmote::borderline2(3.0).unwrap()]
        {
            let regions = sampler.regions(&data, &Run::default()).unwrap();
            assert_eq!(regions.danger, indices(&value["regions"]["danger"]));
            assert_eq!(regions.noise, indices(&value["regions"]["noise"]));
            let mut parents = made(&sampler, &data, 1).parents;
            parents.dedup();
            assert_eq!(parents, regions.danger);
        }
        let ratio = value["adasyn_ratio"].as_f64().unwrap();
        let parents = made(&Adasyn::positives_per_negative(ratio).unwrap(), &data, 1).parents;
        let counts: Vec<usize> = (0..labels.len())
            .filter(|&row| labels[row])
            .map(|row| parents.iter().filter(|&&parent| parent == row).count())
            .collect();
        assert_eq!(counts, indices(&value["adasyn_counts"]));
    }
}

/// With hundreds of rows per parent each of its five neighbours is met: missing one of five in 300
/// draws has the probability 5 · 0.8³⁰⁰ < 1e-28.
#[test]
fn smote_sees_the_neighbours_that_imbalanced_learn_sees() {
    for value in fixtures() {
        let (x, labels) = case(&value);
        let data = Dataset::new(&x, &labels).unwrap();
        let rows = rows_of(data.features());
        let positives: Vec<usize> = (0..labels.len()).filter(|&row| labels[row]).collect();
        let ratio = 301.0 * positives.len() as f64 / (labels.len() - positives.len()) as f64;
        let synthetic = made(&Smote::positives_per_negative(ratio).unwrap(), &data, 5);
        let new = rows_of(synthetic.features.view());
        for (&parent, expected) in
            positives.iter().zip(value["smote_neighbours"].as_array().unwrap())
        {
            let expected = indices(expected);
            assert_eq!(nearest(&rows, &positives, parent, 5), expected);
            let mine = synthetic.parents.iter().zip(&new).filter(|(row, _)| **row == parent);
            let met: HashSet<usize> = mine
                .map(|(_, row)| {
                    let on = expected
                        .iter()
                        .find(|&&other| on_segment(row, &rows[parent], &rows[other]));
                    *on.expect("on the segment to a neighbour")
                })
                .collect();
            assert_eq!(met, expected.into_iter().collect());
        }
    }
}

/// Whether `row` = a + λ(b − a) for one λ in [0, 1], up to rounding in `f64`.
fn on_segment(row: &[f64], a: &[f64], b: &[f64]) -> bool {
    on_segment_within(row, a, b, 1e-12)
}

fn on_segment_within(row: &[f64], a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let widest = (0..a.len()).max_by(|&i, &j| (b[i] - a[i]).abs().total_cmp(&(b[j] - a[j]).abs()));
    let Some(widest) = widest else { return true };
    let gap = b[widest] - a[widest];
    let lambda = if gap == 0.0 { 0.0 } else { (row[widest] - a[widest]) / gap };
    let size = a.iter().chain(b).fold(1.0_f64, |size, v| size.max(v.abs()));
    (0.0..=1.0).contains(&lambda)
        && row
            .iter()
            .zip(a.iter().zip(b))
            .all(|(x, (a, b))| (x - (a + lambda * (b - a))).abs() <= tolerance * size)
}

// ---------------------------------------------------------------------------------------------- laws

/// Rows of few values, with duplicates and ties; about a third are positive, at least seven of each.
fn awkward() -> impl Strategy<Value = (Array2<f64>, Vec<bool>)> {
    (1..20_usize, 21..60_usize).prop_flat_map(|(columns, rows)| {
        let cells = prop::collection::vec(-3..4_i8, rows * columns);
        let labels = prop::collection::vec(0..3_u8, rows);
        (cells, labels).prop_map(move |(cells, labels)| {
            let x = cells.iter().map(|&cell| 0.7 * f64::from(cell.max(-1)) + 0.7).collect();
            let label = |(row, draw): (usize, u8)| (row < 7) || (row >= 14 && draw == 0);
            let labels = labels.into_iter().enumerate().map(label).collect();
            (Array2::from_shape_vec((rows, columns), x).unwrap(), labels)
        })
    })
}

/// Checks all that holds for any over-sampler; gives back the new rows.
fn check_growth(
    sampler: &impl Sampler,
    data: &Dataset<'_>,
    ratio: f64,
    seed: u64,
) -> (Vec<usize>, Vec<Vec<f64>>) {
    let before = data.totals();
    let promised = (ratio * before.negatives as f64).round() as usize;
    let sample = resample(sampler, data, seed).unwrap();
    let shift = sample.distortion.log_odds().unwrap();
    assert!(sample.rows == Rows::All && sample.weights.is_none() && sample.offsets.is_none());
    let parents: Vec<usize> = sample.parents().collect();
    assert!(parents.iter().all(|&row| data.labels()[row]));
    let after = sample.apply(data).unwrap();
    assert_eq!((after.totals().positives, after.totals().negatives), (promised, before.negatives));
    let moved = after.totals().log_odds() - before.log_odds();
    assert!((shift - moved).abs() < 1e-12, "{shift} against {moved}");
    // Old rows come first and are the same bit for bit; new ones are positive, with their parent's
    // weight.
    let (old, mut all) = (rows_of(data.features()), rows_of(after.features()));
    let new = all.split_off(old.len());
    assert_eq!(old, all);
    assert!(after.labels()[old.len()..].iter().all(|&label| label));
    if let (Some(own), Some(weights)) = (data.weights(), after.weights()) {
        let expected: Vec<f64> = parents.iter().map(|&row| own[row]).collect();
        assert_eq!(weights[old.len()..], expected);
    }
    assert_eq!(after.features().is_sparse(), data.features().is_sparse());
    (parents, new)
}

fn even(parents: &[usize], candidates: &[usize]) -> bool {
    let count = |row: usize| parents.iter().filter(|&&parent| parent == row).count();
    let counts: Vec<usize> = candidates.iter().map(|&row| count(row)).collect();
    counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn smote_rows_lie_between_a_parent_and_a_near_positive(
        (x, labels) in awkward(), k in 1..7_usize, more in 0.0..2.0_f64, seed in 0..1000_u64,
    ) {
        let positives: Vec<usize> = (0..labels.len()).filter(|&row| labels[row]).collect();
        let ratio = more + positives.len() as f64 / (labels.len() - positives.len()) as f64;
        let (csr, x32) = (to_sparse(&x), x.mapv(|value| value as f32));
        let weights: Vec<f64> = (0..labels.len()).map(|row| 0.5 + (row % 5) as f64).collect();
        let rows = rows_of(FeaturesView::from(x.view()));
        let rows32 = rows_of(FeaturesView::from(x32.view()));
        let sampler = Smote::positives_per_negative(ratio).unwrap().neighbours(k).unwrap();
        for per_element in [false, true] {
            let sampler = sampler.per_element(per_element);
            let dense = Dataset::new(&x, &labels).unwrap().with_weights(&weights).unwrap();
            let (parents, new) = check_growth(&sampler, &dense, ratio, seed);
            assert!(even(&parents, &positives));
            let sparse = Dataset::new(&csr, &labels).unwrap();
            let (sparse_parents, sparse_new) = check_growth(&sampler, &sparse, ratio, seed);
            assert_eq!(&parents, &sparse_parents);
            if !per_element {
                // The same λ for the row, whatever the storage.
                assert_eq!(&new, &sparse_new);
            }
            let single = Dataset::new(&x32, &labels).unwrap();
            let (parents32, new32) = check_growth(&sampler, &single, ratio, seed);
            for (rows, parents, new, tolerance) in [
                (&rows, &parents, &new, 1e-12),
                (&rows, &sparse_parents, &sparse_new, 1e-12),
                // λ is read off a column rounded to f32 and taken to the others: 2 ulps of the size.
                (&rows32, &parents32, &new32, 2.5e-7),
            ] {
                for (&parent, row) in parents.iter().zip(new) {
                    assert!(nearest(rows, &positives, parent, k).into_iter().any(|other| {
                        let (a, b) = (&rows[parent], &rows[other]);
                        let inside = row.iter().zip(a.iter().zip(b))
                            .all(|(x, (a, b))| a.min(*b) <= *x && *x <= a.max(*b));
                        inside && (per_element || on_segment_within(row, a, b, tolerance))
                    }), "{row:?}");
                }
            }
        }
    }

    #[test]
    fn the_relatives_of_smote_keep_its_laws(
        (x, labels) in awkward(), k in 1..7_usize, more in 0.0..2.0_f64, seed in 0..1000_u64,
    ) {
        let positives: Vec<usize> = (0..labels.len()).filter(|&row| labels[row]).collect();
        let all: Vec<usize> = (0..labels.len()).collect();
        let ratio = more + positives.len() as f64 / (labels.len() - positives.len()) as f64;
        let data = Dataset::new(&x, &labels).unwrap();
        let rows = rows_of(data.features());
        let negatives = |row: usize, k: usize| {
            nearest(&rows, &all, row, k).into_iter().filter(|&row| !labels[row]).count()
        };

        let adasyn = Adasyn::positives_per_negative(ratio).unwrap().neighbours(k).unwrap();
        let total: usize = positives.iter().map(|&row| negatives(row, k)).sum();
        if total > 0 {
            let (parents, new) = check_growth(&adasyn, &data, ratio, seed);
            for &row in &positives {
                let share = parents.len() as f64 * negatives(row, k) as f64 / total as f64;
                let count = parents.iter().filter(|&&parent| parent == row).count();
                assert!((count as f64 - share).abs() < 1.0);
            }
            for (&parent, row) in parents.iter().zip(&new) {
                assert!(nearest(&rows, &positives, parent, k).into_iter()
                    .any(|other| on_segment(row, &rows[parent], &rows[other])));
            }
        }

        for second in [false, true] {
            let new = if second { BorderlineSmote::borderline2 } else { BorderlineSmote::borderline1 };
            let sampler = new(ratio).unwrap().neighbours(k).unwrap().m_neighbours(2 * k).unwrap();
            let regions = sampler.regions(&data, &Run::default()).unwrap();
            for (list, from, to) in [
                (&regions.safe, 0, k), (&regions.danger, k, 2 * k), (&regions.noise, 2 * k, 2 * k + 1),
            ] {
                assert!(list.iter().all(|&row| (from..to).contains(&negatives(row, 2 * k))));
            }
            assert_eq!(
                regions.safe.len() + regions.danger.len() + regions.noise.len(), positives.len()
            );
            if regions.danger.is_empty() {
                continue;
            }
            let (parents, new) = check_growth(&sampler, &data, ratio, seed);
            assert!(even(&parents, &regions.danger));
            let candidates = if second { &all } else { &positives };
            for (&parent, row) in parents.iter().zip(&new) {
                assert!(nearest(&rows, candidates, parent, k).into_iter().any(|other| {
                    let (a, b) = (&rows[parent], &rows[other]);
                    let reach = if labels[other] { 1.0 } else { 0.5 };
                    let end: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + reach * (b - a)).collect();
                    on_segment(row, a, &end)
                }));
            }
        }
    }

    #[test]
    fn smote_nc_takes_the_categories_of_most_neighbours(
        (x, labels) in awkward(), k in 1..7_usize, seed in 0..1000_u64,
    ) {
        prop_assume!(x.ncols() > 1);
        let mask: Vec<bool> = (0..x.ncols()).map(|column| column % 2 == 1).collect();
        let columns = (0..x.ncols()).filter(|&column| mask[column]);
        let positives: Vec<usize> = (0..labels.len()).filter(|&row| labels[row]).collect();
        let ratio = 1.0 + positives.len() as f64 / (labels.len() - positives.len()) as f64;
        let data = Dataset::new(&x, &labels).unwrap();
        let rows = rows_of(data.features());
        let sampler =
            SmoteNc::positives_per_negative(ratio, columns).unwrap().neighbours(k).unwrap();
        let (parents, new) = check_growth(&sampler, &data, ratio, seed);
        assert!(even(&parents, &positives));

        let n = positives.len() as f64;
        let mut deviations: Vec<f64> = (0..x.ncols()).filter(|&column| !mask[column]).map(|column| {
            let mean = positives.iter().map(|&row| x[[row, column]] / n).sum::<f64>();
            let squares = positives.iter().map(|&row| (x[[row, column]] - mean).powi(2));
            (squares.sum::<f64>() / n).sqrt()
        }).collect();
        deviations.sort_by(f64::total_cmp);
        let half = deviations.len() / 2;
        let median = if deviations.len() % 2 == 1 { deviations[half] }
            else { (deviations[half - 1] + deviations[half]) / 2.0 };
        let penalty = if median > 0.0 { median * median } else { 1.0 };
        let distance = |a: usize, b: usize| (0..x.ncols()).fold(0.0, |sum, column| {
            let (a, b) = (x[[a, column]], x[[b, column]]);
            sum + if mask[column] { if a == b { 0.0 } else { penalty } } else { (a - b) * (a - b) }
        });
        for (&parent, row) in parents.iter().zip(&new) {
            let mut kin: Vec<usize> = positives.iter().copied().filter(|&row| row != parent).collect();
            kin.sort_by(|&a, &b| distance(parent, a).total_cmp(&distance(parent, b)).then(a.cmp(&b)));
            kin.truncate(k);
            for column in (0..x.ncols()).filter(|&column| mask[column]) {
                let count = |value: f64| kin.iter().filter(|&&row| x[[row, column]] == value).count();
                let most = kin.iter().map(|&row| count(x[[row, column]])).max().unwrap();
                let first = kin.iter().find(|&&row| count(x[[row, column]]) == most).unwrap();
                assert_eq!(row[column], x[[*first, column]]);
            }
            let numeric = |row: &[f64]| -> Vec<f64> {
                (0..row.len()).filter(|&column| !mask[column]).map(|column| row[column]).collect()
            };
            assert!(kin.iter().any(|&other| {
                on_segment(&numeric(row), &numeric(&rows[parent]), &numeric(&rows[other]))
            }));
        }
    }

    #[test]
    fn cleaners_follow_their_definition_under_ties(
        (x, labels) in awkward(), k in 1..7_usize, both: bool,
    ) {
        let data = Dataset::new(&x, &labels).unwrap();
        let rows = rows_of(data.features());
        let all: Vec<usize> = (0..labels.len()).collect();
        let first = |row: usize| nearest(&rows, &all, row, 1)[0];
        let linked = |row: usize| {
            let other = first(row);
            labels[row] != labels[other] && first(other) == row && (both || !labels[row])
        };
        let against = |row: usize| {
            nearest(&rows, &all, row, k).into_iter().filter(|&other| labels[other] != labels[row]).count()
        };
        let enn = EditedNearestNeighbours::new(k).unwrap().both_classes(both);
        let stays = |row: usize, limit: usize| (labels[row] && !both) || against(row) <= limit;
        for (found, expected) in [
            (
                resample(&TomekLinks::new().both_classes(both), &data, 0),
                all.iter().copied().filter(|&row| !linked(row)).collect::<Vec<_>>(),
            ),
            (resample(&enn, &data, 0), all.iter().copied().filter(|&row| stays(row, 0)).collect()),
            (
                resample(&enn.vote(VotingRule::Mode), &data, 0),
                all.iter().copied().filter(|&row| stays(row, k / 2)).collect(),
            ),
        ] {
            let classes: HashSet<bool> = expected.iter().map(|&row| labels[row]).collect();
            if classes.len() < 2 {
                assert!(matches!(found, Err(Error::NothingSelected { .. })));
                continue;
            }
            let found = found.unwrap();
            match &found.rows {
                Rows::All => assert_eq!(&expected, &all),
                Rows::Kept(rows) => assert_eq!(&expected, rows),
            }
            let shift = found.distortion.log_odds().unwrap();
            let after = found.apply(&data).unwrap();
            let moved = after.totals().log_odds() - data.totals().log_odds();
            assert!((shift - moved).abs() < 1e-12);
            let expected: Vec<Vec<f64>> = expected.iter().map(|&row| rows[row].clone()).collect();
            assert_eq!(rows_of(after.features()), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn repeated_cleaning_follows_its_definition(
        (x, labels) in awkward(), k in 1..6_usize, passes in 1..5_usize, mode: bool, both: bool,
    ) {
        let data = Dataset::new(&x, &labels).unwrap();
        let rows = rows_of(data.features());
        let vote = if mode { VotingRule::Mode } else { VotingRule::All };
        let enn = EditedNearestNeighbours::new(k).unwrap().vote(vote).both_classes(both);
        let positives = data.totals().positives;
        for (sampler, schedule, until_unchanged) in [
            (enn.repeated(passes).unwrap(), vec![k; passes], true),
            (enn.all_knn(true), (1..=k).collect(), false),
        ] {
            let mut left: Vec<usize> = (0..labels.len()).collect();
            let mut too_few = false;
            for k in schedule {
                if left.len() <= k {
                    too_few = true;
                    break;
                }
                let limit = if mode { k / 2 } else { 0 };
                let stays = |row: usize| {
                    let others = nearest(&rows, &left, row, k);
                    let against = others.into_iter().filter(|&other| labels[other] != labels[row]);
                    (labels[row] && !both) || against.count() <= limit
                };
                let next: Vec<usize> = left.iter().copied().filter(|&row| stays(row)).collect();
                let unchanged = next.len() == left.len();
                left = next;
                let negatives = left.iter().filter(|&&row| !labels[row]).count();
                if negatives < positives || negatives == left.len() || (unchanged && until_unchanged) {
                    break;
                }
            }
            let found = resample(&sampler, &data, 0);
            let classes: HashSet<bool> = left.iter().map(|&row| labels[row]).collect();
            if too_few {
                let is_k = matches!(found, Err(Error::InvalidArgument { argument: "k", .. }));
                prop_assert!(is_k, "{:?}", found);
            } else if classes.len() < 2 {
                prop_assert!(matches!(found, Err(Error::NothingSelected { .. })), "{:?}", found);
            } else {
                prop_assert_eq!(kept(&sampler, &data), left);
            }
        }
    }
}

/// Enough rows for the blocked search to let groups of rows search one another.
#[test]
fn cleaning_many_columns_follows_its_definition() {
    let n = 1_000;
    // The sum of two uniform variates is near enough to a bell, without ties.
    let mut state = 7_u64;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let labels: Vec<bool> = (0..n).map(|_| uniform() < 0.2).collect();
    let x = Array2::from_shape_fn((n, 16), |(row, _)| {
        uniform() + uniform() + if labels[row] { 0.3 } else { 0.0 }
    });
    let data = Dataset::new(&x, &labels).unwrap();
    let rows = rows_of(data.features());
    let all: Vec<usize> = (0..n).collect();
    let against: Vec<usize> = all
        .iter()
        .map(|&row| nearest(&rows, &all, row, 3))
        .zip(&labels)
        .map(|(near, &label)| near.into_iter().filter(|&other| labels[other] != label).count())
        .collect();
    for (vote, limit) in [(VotingRule::All, 0), (VotingRule::Mode, 1)] {
        for both in [false, true] {
            let expected: Vec<usize> = all
                .iter()
                .copied()
                .filter(|&row| (labels[row] && !both) || against[row] <= limit)
                .collect();
            let enn = EditedNearestNeighbours::new(3).unwrap().vote(vote).both_classes(both);
            assert_eq!(kept(&enn, &data), expected, "{enn:?}");
        }
    }
}

/// Without ties, reordering the rows reorders what the cleaners keep and nothing else.
#[test]
fn the_order_of_the_rows_does_not_matter_to_the_cleaners() {
    for value in fixtures() {
        let (x, labels) = case(&value);
        let n = labels.len();
        // 7 has no common divisor with the numbers of rows.
        let order: Vec<usize> = (0..n).map(|row| row * 7 % n).collect();
        assert_eq!(order.iter().collect::<HashSet<_>>().len(), n);
        let data = Dataset::new(&x, &labels).unwrap();
        let shuffled = data.select(&order).unwrap();
        let enn = EditedNearestNeighbours::new(3).unwrap();
        let repeated = enn.vote(VotingRule::Mode).repeated(100).unwrap();
        let samplers: [&dyn Sampler; 4] = [&TomekLinks::new(), &enn, &enn.all_knn(true), &repeated];
        for sampler in samplers {
            let kept =
                |data: &Dataset<'_>| match sampler.resample(data, &Run::default()).unwrap().rows {
                    Rows::Kept(rows) => rows,
                    Rows::All => panic!("{sampler:?} finds something to clean"),
                };
            let mut back: Vec<usize> = kept(&shuffled).into_iter().map(|at| order[at]).collect();
            back.sort_unstable();
            assert_eq!(back, kept(&data), "{sampler:?}");
        }
    }
}

#[test]
fn repeats_shift_the_prior_and_noise_has_the_promised_scale() {
    let n = 400;
    let x = Array2::from_shape_fn((n, 2), |(row, column)| {
        ((row * 7 % 10) as f64 + 1.0) * (1.0 + column as f64)
    });
    let labels: Vec<bool> = (0..n).map(|row| row < 10).collect();
    let weights: Vec<f64> = (0..n).map(|row| 1.0 + (row % 4) as f64).collect();
    let data = Dataset::new(&x, &labels).unwrap().with_weights(&weights).unwrap();
    let sampler = RandomOverSampler::positives_per_negative(0.5).unwrap();
    let sample = resample(&sampler, &data, 3).unwrap();
    let Rows::Kept(rows) = &sample.rows else { panic!("{:?}", sample.rows) };
    assert!(rows[..n].iter().copied().eq(0..n) && sample.synthetic.is_empty());
    assert!(even(&rows[n..], &(0..10).collect::<Vec<_>>()));
    let Distortion::PriorShift { log_odds } = sample.distortion else { panic!("{sample:?}") };
    let after = sample.apply(&data).unwrap().totals();
    assert_eq!((after.positives, after.negatives), (195, 390));
    assert!((log_odds - (after.log_odds() - data.totals().log_odds())).abs() < 1e-12);

    // 39,000 repeats with noise.
    let ratio = 100.0;
    let sampler = RandomOverSampler::positives_per_negative(ratio).unwrap().shrinkage(0.7).unwrap();
    let (parents, new) = check_growth(&sampler, &data, ratio, 3);
    let m = parents.len() as f64;
    for column in 0..2 {
        // The positives hold 1 to 10 once each, whose variance is 8.25; the second column is twice that.
        let sigma = 8.25_f64.sqrt() * (1.0 + column as f64);
        let scale = 0.7 * (4.0_f64 / (4.0 * 10.0)).powf(1.0 / 6.0) * sigma;
        let noise: Vec<f64> =
            parents.iter().zip(&new).map(|(&row, new)| new[column] - x[[row, column]]).collect();
        let mean = noise.iter().sum::<f64>() / m;
        let variance = noise.iter().map(|z| z * z).sum::<f64>() / m;
        // 4.5 standard errors: of a mean, scale/√m; of a variance of normals, scale²·√(2/m).
        assert!(mean.abs() < 4.5 * scale / m.sqrt(), "{mean}");
        assert!((variance / (scale * scale) - 1.0).abs() < 4.5 * (2.0 / m).sqrt(), "{variance}");
    }
}

/// λ is uniform on [0, 1): mean 1/2, variance 1/12, also per element, where columns are uncorrelated;
/// partners are equally likely.
#[test]
fn steps_are_uniform_and_partners_equally_likely() {
    // Two pairs of positives: with k = 1 every row is between the two of a pair; the coordinates are λ.
    let x = array![[0.0, 0.0], [1.0, 1.0], [50.0, 0.0], [51.0, 1.0], [100.0, 100.0]];
    let data = Dataset::new(&x, vec![true, true, true, true, false]).unwrap();
    let n = 40_000.0;
    for per_element in [false, true] {
        let sampler = Smote::positives_per_negative(n + 4.0).unwrap().neighbours(1).unwrap();
        let synthetic = made(&sampler.per_element(per_element), &data, 9);
        let lambdas: Vec<[f64; 2]> = synthetic
            .parents
            .iter()
            .zip(rows_of(synthetic.features.view()))
            .map(|(&parent, row)| {
                let back = parent % 2 == 1;
                let step = [row[0].rem_euclid(50.0), row[1]];
                step.map(|at| if back { 1.0 - at } else { at })
            })
            .collect();
        for column in 0..2 {
            let mean = lambdas.iter().map(|l| l[column]).sum::<f64>() / n;
            assert!((mean - 0.5).abs() < 4.5 * (1.0 / 12.0 / n).sqrt(), "{mean}");
            let variance = lambdas.iter().map(|l| (l[column] - 0.5).powi(2)).sum::<f64>() / n;
            // The fourth central moment of U(0, 1) is 1/80, so (λ − ½)² has the variance 1/180.
            assert!((variance - 1.0 / 12.0).abs() < 4.5 * (1.0 / 180.0 / n).sqrt(), "{variance}");
        }
        let covariance = lambdas.iter().map(|l| (l[0] - 0.5) * (l[1] - 0.5)).sum::<f64>() / n;
        let (expected, error) =
            if per_element { (0.0, 1.0 / 12.0) } else { (1.0 / 12.0, (1.0_f64 / 180.0).sqrt()) };
        assert!((covariance - expected).abs() < 4.5 * error / n.sqrt(), "{covariance}");
    }
    // One parent in the middle of three positives, which are far from each other.
    let x = array![[0.0, 0.0], [3.0, 0.0], [0.0, 3.1], [-3.2, -3.0], [9.0, 9.0]];
    let data = Dataset::new(&x, vec![true, true, true, true, false]).unwrap();
    let sampler = Smote::positives_per_negative(n + 4.0).unwrap().neighbours(3).unwrap();
    let synthetic = made(&sampler, &data, 9);
    let rows = rows_of(synthetic.features.view());
    let mine: Vec<_> =
        synthetic.parents.iter().zip(&rows).filter(|(p, _)| **p == 0).map(|(_, r)| r).collect();
    let m = mine.len() as f64;
    for (name, count) in [
        ("right", mine.iter().filter(|r| r[0] > 0.0).count()),
        ("up", mine.iter().filter(|r| r[1] > 0.0).count()),
        ("down", mine.iter().filter(|r| r[1] < 0.0).count()),
    ] {
        let share = count as f64 / m;
        assert!((share - 1.0 / 3.0).abs() < 4.5 * (2.0 / 9.0 / m).sqrt(), "{name}: {share}");
    }
}

/// Enough rows for several blocks of each method of search: the same bits on any number of threads.
#[test]
fn threads_do_not_matter() {
    let blocks = SyntheticClicks::new(12_000, 0.3).unwrap().numeric(14).categorical(&[]);
    let tree = SyntheticClicks::new(20_000, 0.3).unwrap().numeric(4).categorical(&[]);
    let sparse = SyntheticClicks::new(4_000, 0.3).unwrap();
    for clicks in [blocks, tree, sparse] {
        let data = clicks.precision(Precision::F32).generate(3).unwrap().dataset;
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let smote = made(&Smote::positives_per_negative(0.9).unwrap(), &data, 4);
                let new = rows_of(smote.features.view());
                let bits: Vec<u64> = new.into_iter().flatten().map(f64::to_bits).collect();
                let tomek = resample(&TomekLinks::new(), &data, 0).unwrap().rows;
                let enn = EditedNearestNeighbours::new(3).unwrap().vote(VotingRule::Mode);
                let enn = resample(&enn.both_classes(true), &data, 0).unwrap().rows;
                assert!(enn != Rows::All);
                (smote.parents, bits, tomek, enn)
            })
        };
        let one = on(1);
        assert!([2, 3, 7].into_iter().all(|threads| on(threads) == one));
    }
}

// ----------------------------------------------------------------------------------------- bad input

#[test]
fn errors_name_the_numbers_and_the_way_out() {
    let x = Array2::from_shape_fn((30, 2), |(row, column)| (row * (column + 1)) as f64);
    // Rows 0 to 4 are positive: among themselves, but for the last ones.
    let labels: Vec<bool> = (0..30).map(|row| row < 5).collect();
    let data = Dataset::new(&x, &labels).unwrap();
    let csr = to_sparse(&x);
    let sparse = Dataset::new(&csr, &labels).unwrap();
    let message = |result: Result<Resample>| result.unwrap_err().to_string();

    assert_eq!(
        message(resample(&Smote::positives_per_negative(1.0).unwrap(), &data, 0)),
        "`k` is 5, but it must be at most 4, the number of other positives; ask for fewer \
         neighbours"
    );
    for sampler in [
        &Smote::positives_per_negative(0.1).unwrap() as &dyn Sampler,
        &RandomOverSampler::positives_per_negative(0.1).unwrap(),
        &BorderlineSmote::borderline1(0.1).unwrap(),
        &Adasyn::positives_per_negative(0.1).unwrap(),
        &SmoteNc::positives_per_negative(0.1, [1]).unwrap(),
    ] {
        assert_eq!(
            message(sampler.resample(&data, &Run::default())),
            "`ratio` is 0.1, but it must be at least 0.2: there are 5 positives for 25 negatives \
             already, and over-sampling takes none away; under-sampling negatives raises the ratio, too"
        );
        let negatives = Dataset::new(&x, vec![false; 30]).unwrap();
        let error = sampler.resample(&negatives, &Run::default()).unwrap_err();
        assert!(matches!(error, Error::OneClass { positives: 0, negatives: 30, .. }), "{error}");
    }
    for ratio in [1e19, f64::MAX] {
        let error = resample(&Smote::positives_per_negative(ratio).unwrap(), &data, 0).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "ratio", .. }), "{error}");
    }
    // What is there already is left alone.
    let enough = resample(&Smote::positives_per_negative(0.2).unwrap(), &data, 0).unwrap();
    assert!(enough.rows == Rows::All && enough.synthetic.is_empty() && enough.distortion.is_none());

    let adasyn = Adasyn::positives_per_negative(1.0).unwrap().neighbours(1).unwrap();
    let apart: Vec<bool> = (0..30).map(|row| row < 6).collect();
    let x_apart =
        Array2::from_shape_fn(
            (30, 1),
            |(row, _)| if row < 6 { row as f64 } else { 1000.0 + row as f64 },
        );
    let apart = Dataset::new(&x_apart, &apart).unwrap();
    let note = |resample: Result<Resample>| resample.unwrap().notes.concat();
    assert_eq!(
        note(resample(&adasyn, &apart, 0)),
        "ADASYN made no rows: none of 6 positives has a negative among its 1 nearest rows; \
         ask for more neighbours, or use `Smote`, which needs none"
    );
    let border = BorderlineSmote::borderline1(1.0).unwrap().m_neighbours(3).unwrap();
    assert_eq!(
        note(resample(&border, &apart, 0)),
        "Borderline-SMOTE made no rows: with m = 3 none of 6 positives is in danger, as 6 are safe and 0 are noise; \
         raise m where they are noise and lower it where they are safe, or use `Smote`"
    );
    let border = border.m_neighbours(30).unwrap();
    assert_eq!(
        message(resample(&border, &apart, 0)),
        "`m` is 30, but it must be at most 29, the number of other rows; ask for fewer neighbours"
    );

    let nc = |columns: &[usize]| {
        SmoteNc::positives_per_negative(1.0, columns.to_vec()).unwrap().neighbours(2).unwrap()
    };
    assert_eq!(
        message(resample(&nc(&[1, 2]), &data, 0)),
        "`categorical` is 2, but it must be below the number of columns, 2; they count from 0"
    );
    assert_eq!(
        message(resample(&nc(&[1, 0]), &data, 0)),
        "`categorical` is [1, 0], but it must be fewer than all 2 columns: distances need a numeric one; for categories alone \
         take RandomOverSampler, or Smote on one-hot columns"
    );
    assert!(message(resample(&nc(&[1]), &sparse, 0)).contains("`features` is sparse"));
    let noisy = RandomOverSampler::positives_per_negative(1.0).unwrap().shrinkage(1.0).unwrap();
    assert!(message(resample(&noisy, &sparse, 0)).contains("0 for sparse rows"));

    let enn = |k| EditedNearestNeighbours::new(k).unwrap();
    for sampler in [enn(30), enn(30).all_knn(true), enn(30).repeated(usize::MAX).unwrap()] {
        assert_eq!(
            message(resample(&sampler, &data, 0)),
            "`k` is 30, but it must be at most 29, the number of other rows; ask for fewer neighbours"
        );
    }
    let most = message(resample(&enn(usize::MAX).all_knn(true), &data, 0));
    assert!(most.contains("at most 29, the number of other rows"), "{most}");
    // Far more passes than it takes.
    let often = [3, usize::MAX].map(|passes| kept(&enn(1).repeated(passes).unwrap(), &data));
    assert_eq!(often[0], often[1]);
    // Every negative has the only positive among its two neighbours.
    let x = array![[0.0], [1.0], [-1.0]];
    let data = Dataset::new(&x, vec![true, false, false]).unwrap();
    let error = message(resample(&EditedNearestNeighbours::new(2).unwrap(), &data, 0));
    assert!(error.contains("of 1 positives and 2 negatives it would leave 1 and 0"), "{error}");

    // One of the positives has fewer than three to be near to; the third version looks at negatives first.
    let near = |ratio| NearMiss::negatives_per_positive(ratio).unwrap();
    assert_eq!(
        message(resample(&near(1.0), &data, 0)),
        "`k` is 3, but it must be at most 1, the number of positives; ask for fewer neighbours"
    );
    let around = near(1.0).neighbours(1).unwrap().version(NearMissVersion::AroundPositives);
    assert_eq!(
        message(resample(&around, &data, 0)),
        "`m` is 3, but it must be at most 2, the number of negatives; ask for fewer neighbours"
    );
    let none = message(resample(&near(0.4), &data, 0));
    assert!(none.contains("large enough to keep a negative"), "{none}");

    for result in [
        NearMiss::rate(1.5).map(drop),
        NearMiss::negatives_per_positive(1.0).and_then(|s| s.neighbours(0)).map(drop),
        NearMiss::negatives_per_positive(1.0).and_then(|s| s.m_neighbours(0)).map(drop),
        NeighbourhoodCleaning::new(0).map(drop),
        Smote::positives_per_negative(0.0).map(drop),
        Smote::positives_per_negative(f64::NAN).map(drop),
        Smote::positives_per_negative(1.0).and_then(|s| s.neighbours(0)).map(drop),
        Adasyn::positives_per_negative(-1.0).map(drop),
        BorderlineSmote::borderline2(1.0).and_then(|s| s.m_neighbours(0)).map(drop),
        RandomOverSampler::positives_per_negative(1.0).and_then(|s| s.shrinkage(-0.1)).map(drop),
        SmoteNc::positives_per_negative(1.0, []).map(drop),
        EditedNearestNeighbours::new(0).map(drop),
        EditedNearestNeighbours::new(1).and_then(|s| s.repeated(0)).map(drop),
    ] {
        assert!(matches!(result, Err(Error::InvalidArgument { .. })), "{result:?}");
    }
}
