//! Samplers, what they report and the data sets that result, through the public interface.

use crate::common::to_sparse;
use imbalance::Distortion;
use imbalance::IntoColumn;
use imbalance::ndarray::{Array2, array};
use imbalance::sampling::{NoSampling, RandomUnderSampler, Resample, Rows, Sampler, Synthetic};
use imbalance::{Attribute, Dataset, Error, Features, FeaturesView, Result, Run};
use proptest::prelude::*;

/// A sampler that does what it was told when it was made: for what no honest sampler does.
#[derive(Debug, Clone)]
struct Scripted(Resample);

impl Sampler for Scripted {
    fn resample(&self, _: &Dataset<'_>, _: &Run) -> Result<Resample> {
        Ok(self.0.clone())
    }
}

/// One feature, the number of the row, so that a resampled row can be recognised.
fn numbered<'a>(labels: impl IntoColumn<'a, bool>) -> Dataset<'a> {
    let labels = labels.into_column();
    let x = Array2::from_shape_fn((labels.len(), 1), |(row, _)| row as f64);
    Dataset::new(x, labels).unwrap()
}

/// `positives` positives spread evenly among `rows` rows.
fn labels(rows: usize, positives: usize) -> Vec<bool> {
    (0..rows).map(|row| row * positives / rows != (row + 1) * positives / rows).collect()
}

/// The numbers of the rows of a resampled [`numbered`] data set.
fn numbers(data: &Dataset<'_>) -> Vec<usize> {
    data.features().rows().map(|row| row.get(0) as usize).collect()
}

fn dense(x: FeaturesView<'_>) -> Vec<Vec<f64>> {
    let entry = |row, column| x.row(row).get(column);
    (0..x.nrows()).map(|row| (0..x.ncols()).map(|column| entry(row, column)).collect()).collect()
}

fn resample(sampler: &impl Sampler, data: &Dataset<'_>) -> Result<Resample> {
    sampler.resample(data, &Run::seeded(11))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

// ----------------------------------------------------------------------------- random under-sampling

#[test]
fn the_counts_promised_are_delivered() {
    let per = |ratio| RandomUnderSampler::negatives_per_positive(ratio).unwrap();
    let rate = |rate| RandomUnderSampler::rate(rate).unwrap();
    for (sampler, rows, positives, negatives) in [
        // 0.29 · 100 is 28.999999999999996, and 0.57 · 100 is 56.99999999999999.
        (rate(0.29), 105, 5, 29),
        (rate(0.57), 105, 5, 57),
        (rate(0.01), 10_100, 100, 100),
        (per(5.0), 1_000, 10, 50),
        (per(0.1), 1_000, 10, 1),
        // 2.5 · 3 = 7.5 is rounded away from zero.
        (per(2.5), 100, 3, 8),
        // 1.1 · 10 is 11.000000000000002.
        (per(1.1), 100, 10, 11),
    ] {
        let data = numbered(labels(rows, positives));
        let sample = resample(&sampler, &data).unwrap().apply(&data).unwrap();
        let totals = sample.totals();
        assert_eq!((totals.positives, totals.negatives), (positives, negatives), "{sampler:?}");

        let kept = numbers(&sample);
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "{sampler:?}: order is lost");
        // All positives are there: as many as there were, each once, and their labels with them.
        let is = data.labels();
        assert!(kept.iter().zip(sample.labels()).all(|(&row, &label)| is[row] == label));
    }
}

#[test]
fn the_distortion_is_that_of_the_realised_weights() {
    let labels = labels(500, 20);
    let weights: Vec<f64> = (0..500).map(|row| 0.25 + f64::from(row % 7)).collect();
    for weighted in [false, true] {
        let mut data = numbered(&labels);
        if weighted {
            data = data.with_weights(&weights).unwrap();
        }
        let before = data.totals();
        let sampler = RandomUnderSampler::negatives_per_positive(4.0).unwrap();
        let sample = resample(&sampler, &data).unwrap().apply(&data).unwrap();
        let after = sample.totals();
        assert_eq!(after.negatives, 80);
        assert_eq!(after.positive_weight, before.positive_weight);
        let Distortion::PriorShift { log_odds } = *sample.distortion() else {
            panic!("{:?}", sample.distortion());
        };
        // Documented: ln[(Ŵ₊/W₊) / (Ŵ₋/W₋)].
        let kept = after.negative_weight / before.negative_weight;
        assert!(close(log_odds, (after.positive_weight / before.positive_weight / kept).ln()));
        // Which is how far the overall log-odds moved.
        assert!(close(log_odds, after.log_odds() - before.log_odds()));
        // The nominal rate would be off by much more where weights differ.
        let nominal = (480.0_f64 / 80.0).ln();
        assert_eq!(close(log_odds, nominal), !weighted);
        // The rows keep their own weights.
        let own = |row: usize| if weighted { weights[row] } else { 1.0 };
        let got = |row: usize| sample.weights().map_or(1.0, |weights| weights[row]);
        assert!(numbers(&sample).into_iter().enumerate().all(|(at, row)| got(at) == own(row)));
    }
}

#[test]
fn reweighting_restores_the_weight_of_the_population() {
    let labels = labels(500, 20);
    let weights: Vec<f64> = (0..500).map(|row| 0.25 + f64::from(row % 7)).collect();
    let earlier = Distortion::PriorShift { log_odds: 0.7 };
    for weighted in [false, true] {
        let mut data = numbered(&labels).with_distortion(earlier.clone());
        if weighted {
            data = data.with_weights(&weights).unwrap();
        }
        for sampler in [
            RandomUnderSampler::negatives_per_positive(4.0).unwrap().reweight(true),
            RandomUnderSampler::rate(0.1).unwrap().reweight(true),
        ] {
            let resample = resample(&sampler, &data).unwrap();
            assert!(resample.distortion.is_none());
            let sample = resample.apply(&data).unwrap();
            let (before, after) = (data.totals(), sample.totals());
            assert!(after.rows() < before.rows());
            assert!(close(after.positive_weight, before.positive_weight));
            assert!(close(after.negative_weight, before.negative_weight));
            // Each kept negative weighs the same multiple of its own weight, each positive its own.
            let own = |row: usize| if weighted { weights[row] } else { 1.0 };
            let kept: f64 = numbers(&sample).into_iter().filter(|&row| !labels[row]).map(own).sum();
            let factor = before.negative_weight / kept;
            let kept_rows = numbers(&sample).into_iter().zip(sample.weights().unwrap());
            for (row, &weight) in kept_rows {
                let expected = if labels[row] { own(row) } else { factor * own(row) };
                assert!(close(weight, expected), "row {row}: {weight}, not {expected}");
            }
            // What happened before is neither undone nor forgotten.
            assert_eq!(*sample.distortion(), earlier);
        }
    }
}

#[test]
fn asking_for_more_negatives_than_there_are_keeps_all() {
    let data = numbered(labels(50, 10));
    for sampler in [
        RandomUnderSampler::negatives_per_positive(4.0).unwrap(),
        RandomUnderSampler::negatives_per_positive(100.0).unwrap(),
        RandomUnderSampler::negatives_per_positive(f64::MAX).unwrap(),
        RandomUnderSampler::rate(1.0).unwrap(),
        RandomUnderSampler::rate(0.999).unwrap(),
        RandomUnderSampler::rate(1.0).unwrap().reweight(true),
    ] {
        let resample = resample(&sampler, &data).unwrap();
        assert_eq!((resample.rows.clone(), &resample.weights), (Rows::All, &None));
        assert!(resample.distortion.is_none());
        let sample = resample.apply(&data).unwrap();
        assert_eq!(numbers(&sample), numbers(&data));
        assert_eq!(sample.labels().as_ptr(), data.labels().as_ptr(), "rows were copied");
    }
}

#[test]
fn keeping_no_negative_is_refused() {
    let data = numbered(labels(50, 2));
    let per = RandomUnderSampler::negatives_per_positive(0.2).unwrap();
    let error = resample(&per, &data).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "ratio", .. }));
    assert_eq!(
        error.to_string(),
        "`ratio` is 0.2, but it must be large enough to keep a negative: there are 2 positives and \
         48 negatives"
    );
    let error = resample(&RandomUnderSampler::rate(0.01).unwrap(), &data).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "rate", .. }));
    assert!(error.to_string().starts_with("`rate` is 0.01"), "{error}");
}

#[test]
fn both_classes_are_needed() {
    for positives in [0, 20] {
        let data = numbered(labels(20, positives));
        let error = resample(&RandomUnderSampler::rate(0.5).unwrap(), &data).unwrap_err();
        assert!(matches!(error, Error::OneClass { positives: p, .. } if p == positives));
        assert!(error.to_string().starts_with("random under-sampling needs both classes"));
    }
    // Positives that weigh nothing.
    let is = labels(20, 2);
    let weights: Vec<f64> = is.iter().map(|&label| f64::from(u8::from(!label))).collect();
    let data = numbered(&is).with_weights(weights).unwrap();
    let error = resample(&RandomUnderSampler::rate(0.5).unwrap(), &data).unwrap_err();
    assert!(matches!(error, Error::OneClass { positives: 2, .. }));
}

#[test]
fn drawing_only_negatives_that_weigh_nothing_is_an_error() {
    // One negative of a thousand weighs something; the seed is fixed, and it is not drawn.
    let mut weights = vec![0.0; 1_001];
    weights[0] = 1.0;
    weights[1_000] = 1.0;
    let is: Vec<bool> = (0..1_001).map(|row| row == 0).collect();
    let data = numbered(&is).with_weights(weights).unwrap();
    for reweight in [false, true] {
        let sampler = RandomUnderSampler::negatives_per_positive(1.0).unwrap().reweight(reweight);
        let error = resample(&sampler, &data).unwrap_err();
        assert!(matches!(error, Error::Numerical { value: 0.0, .. }), "{error}");
        assert!(error.to_string().starts_with("the weight of the kept negatives is 0"));
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for ratio in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = RandomUnderSampler::negatives_per_positive(ratio).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "`ratio` is {ratio}, but it must be positive and finite: negatives per positive"
            )
        );
    }
    for rate in [0.0, -0.1, 1.000_001, f64::NAN] {
        let error = RandomUnderSampler::rate(rate).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { argument: "rate", .. }));
        assert!(error.to_string().starts_with(&format!("`rate` is {rate}, but")), "{error}");
    }
}

#[test]
fn each_negative_is_kept_equally_often() {
    let (seeds, rows, positives) = (400, 220, 20);
    let is = labels(rows, positives);
    let data = numbered(&is);
    let negatives = (rows - positives) as f64;
    // Fewer and more than half: the drawn positions are those kept, and those left out.
    for kept in [60.0, 140.0] {
        let sampler = RandomUnderSampler::rate(kept / negatives).unwrap();
        let mut counts = vec![0_u32; rows];
        for seed in 0..seeds {
            let resample = sampler.resample(&data, &Run::seeded(seed)).unwrap();
            let Rows::Kept(rows) = resample.rows else { panic!("nothing was left out") };
            rows.into_iter().for_each(|row| counts[row] += 1);
        }
        // Over independent seeds a negative is kept Binomial(400, p) times, p = m/n, so its share has
        // the standard error √(p (1 − p) / 400). 4.5 of them: for a fair sampler one of the 400 shares
        // below lies outside with probability 400 × 7e-6 ≈ 0.3 %; and the seeds are fixed.
        let p = kept / negatives;
        let tolerance = 4.5 * (p * (1.0 - p) / seeds as f64).sqrt();
        for (row, count) in counts.into_iter().enumerate() {
            let share = f64::from(count) / seeds as f64;
            if is[row] {
                assert_eq!(share, 1.0, "positive {row} was dropped");
            } else {
                assert!((share - p).abs() <= tolerance, "row {row} is kept with {share}, not {p}");
            }
        }
    }
}

#[test]
fn draws_do_not_depend_on_the_number_of_threads() {
    // Several blocks of rows, so that there is something to share out.
    let data = numbered(labels(30_000, 300));
    let sampler = RandomUnderSampler::rate(0.3).unwrap().reweight(true);
    let drawn = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let sample = resample(&sampler, &data).unwrap().apply(&data).unwrap();
            let weights: Vec<u64> =
                sample.weights().unwrap().iter().map(|weight| weight.to_bits()).collect();
            (numbers(&sample), sample.labels().to_vec(), weights)
        })
    };
    let one = drawn(1);
    for threads in [2, 3, 7] {
        assert_eq!(drawn(threads), one, "{threads} threads");
    }
    // Another seed draws other rows.
    let other = sampler.resample(&data, &Run::seeded(12)).unwrap().apply(&data).unwrap();
    assert_ne!(numbers(&other), one.0);
    // And boxed it is the same sampler.
    let boxed: Box<dyn Sampler> = Box::new(sampler);
    assert_eq!(numbers(&resample(&boxed, &data).unwrap().apply(&data).unwrap()), one.0);
}

// --------------------------------------------------------------------------------- resampled data sets

fn parents() -> Array2<f64> {
    array![[1.0, 0.0, 2.0], [0.0, 0.0, 3.0], [4.0, 5.0, 0.0], [0.0, 0.0, 6.0]]
}

/// Everything a data set can carry.
fn decorate(data: Dataset<'_>) -> Dataset<'_> {
    data.with_weights(vec![1.0, 2.0, 3.0, 4.0])
        .unwrap()
        .with_offsets(vec![0.5, 1.0, 1.5, 2.0])
        .unwrap()
        .with_attribute("day", Attribute::numbers(vec![10.0, 11.0, 12.0, 13.0]))
        .unwrap()
        .with_attribute("device", Attribute::categories(["phone", "desktop", "tablet", "phone"]))
        .unwrap()
        .with_distortion(Distortion::PriorShift { log_odds: 0.5 })
}

#[test]
fn no_sampling_changes_and_copies_nothing() {
    let x = parents();
    let data = decorate(Dataset::new(&x, vec![true, false, true, false]).unwrap());
    let sample = resample(&NoSampling, &data).unwrap().apply(&data).unwrap();
    assert_eq!(dense(sample.features()), dense(data.features()));
    assert_eq!(sample.labels().as_ptr(), data.labels().as_ptr());
    assert_eq!(sample.weights(), data.weights());
    assert_eq!(sample.distortion(), data.distortion());
}

#[test]
fn synthetic_rows_follow_the_kept_ones_and_inherit_from_their_parents() {
    let x = parents();
    let made = array![[0.0, 7.0, 0.0], [8.0, 0.0, 9.0]];
    let labels = [true, false, true, false];
    let (x_sparse, made_sparse) = (to_sparse(&x), to_sparse(&made));
    let dense_data = || decorate(Dataset::new(&x, &labels).unwrap());
    let sparse_data = || decorate(Dataset::new(&x_sparse, &labels).unwrap());
    let dense_made = || Features::from(made.clone());
    let sparse_made = || Features::from(made_sparse.clone());
    for (data, features, stays_sparse) in [
        (dense_data(), dense_made(), false),
        (sparse_data(), sparse_made(), true),
        // A sampler may well make dense rows from sparse ones, or the other way round.
        (sparse_data(), dense_made(), true),
        (dense_data(), sparse_made(), true),
    ] {
        for rows in [Rows::Kept(vec![1, 2]), Rows::Kept(vec![2, 1]), Rows::All] {
            let kept = match &rows {
                Rows::All => vec![0, 1, 2, 3],
                Rows::Kept(rows) => rows.clone(),
            };
            let sampler = Scripted(Resample {
                rows,
                synthetic: vec![Synthetic::new(features.clone(), vec![2, 0])],
                distortion: Distortion::FeatureDependent {
                    sampler: "scripted".into(),
                    nominal_log_odds: Some(0.25),
                },
                ..Resample::identity()
            });
            let sample = resample(&sampler, &data).unwrap().apply(&data).unwrap();
            // Kept rows, then for the two made ones what their parents 2 and 0 carry.
            let origin = [&kept[..], &[2, 0]].concat();
            let of = |values: &[f64]| origin.iter().map(|&row| values[row]).collect::<Vec<_>>();

            let mut expected: Vec<_> = kept.iter().map(|&row| x.row(row).to_vec()).collect();
            expected.extend(made.rows().into_iter().map(|row| row.to_vec()));
            assert_eq!(dense(sample.features()), expected);
            assert_eq!(sample.features().is_sparse(), stays_sparse);
            let mut expected: Vec<_> = kept.iter().map(|&row| labels[row]).collect();
            expected.extend([true, true]);
            assert_eq!(sample.labels(), expected);
            assert_eq!(sample.weights().unwrap(), of(&[1.0, 2.0, 3.0, 4.0]));
            assert_eq!(sample.offsets().unwrap(), of(&[0.5, 1.0, 1.5, 2.0]));
            assert_eq!(sample.numbers("day").unwrap(), of(&[10.0, 11.0, 12.0, 13.0]));
            let (before, after) =
                (data.categories("device").unwrap(), sample.categories("device").unwrap());
            assert!(origin.iter().enumerate().all(|(at, &row)| after.get(at) == before.get(row)));
            // A code means the same text before and after.
            assert_eq!(after.levels(), before.levels());
            assert_eq!(
                *sample.distortion(),
                Distortion::FeatureDependent {
                    sampler: "scripted".into(),
                    nominal_log_odds: Some(0.75)
                }
            );
        }
    }
}

#[test]
fn synthetic_rows_need_nothing_their_parents_do_not_have() {
    let x = parents();
    let data = Dataset::new(&x, vec![true, false, true, false]).unwrap();
    let synthetic = vec![Synthetic::new(array![[1.0, 1.0, 1.0]], vec![0])];
    let sample = Resample { synthetic, ..Resample::identity() }.apply(&data).unwrap();
    assert_eq!(sample.rows(), 5);
    assert!(sample.weights().is_none() && sample.offsets().is_none());
    assert!(sample.attribute_names().next().is_none() && sample.distortion().is_none());
}

#[test]
fn weights_multiply_and_offsets_add() {
    let x = parents();
    let bare = Dataset::new(&x, vec![true, false, true, false]).unwrap();
    let full = decorate(bare.clone());
    let resample = Resample {
        synthetic: vec![Synthetic::new(array![[0.0; 3]], vec![2])],
        weights: Some(vec![10.0, 0.0, 0.5]),
        offsets: Some(vec![-1.0, 0.25, 4.0]),
        ..Resample::kept(vec![3, 1], Distortion::None)
    };
    let sample = resample.clone().apply(&bare).unwrap();
    assert_eq!(sample.weights().unwrap(), [10.0, 0.0, 0.5]);
    assert_eq!(sample.offsets().unwrap(), [-1.0, 0.25, 4.0]);
    let sample = resample.apply(&full).unwrap();
    assert_eq!(sample.weights().unwrap(), [40.0, 0.0, 1.5]);
    assert_eq!(sample.offsets().unwrap(), [1.0, 1.25, 5.5]);
}

#[test]
fn rows_may_repeat() {
    let data = numbered(vec![true, false, false]);
    let sample = Resample::kept(vec![0, 0, 0, 2], Distortion::None).apply(&data).unwrap();
    assert_eq!(numbers(&sample), [0, 0, 0, 2]);
    assert_eq!(sample.labels(), [true, true, true, false]);
}

#[test]
fn a_broken_contract_is_an_error_that_says_what_is_wrong() {
    let x = parents();
    let bare = Dataset::new(&x, vec![true, false, true, false]).unwrap();
    let full = decorate(bare.clone());
    let kept = |rows: &[usize]| Resample::kept(rows.to_vec(), Distortion::None);
    let made = |features: Array2<f64>, parents: &[usize]| Resample {
        synthetic: vec![Synthetic::new(features, parents.to_vec())],
        ..Resample::identity()
    };
    let weighted = |weights: &[f64]| Resample { weights: Some(weights.to_vec()), ..kept(&[0, 1]) };
    let offset = |offsets: &[f64]| Resample { offsets: Some(offsets.to_vec()), ..kept(&[0, 1]) };
    // With and without columns of the data set's own.
    for data in [&bare, &full] {
        let refused = |resample: Resample| resample.apply(data).unwrap_err();

        let error = refused(kept(&[0, 4]));
        assert!(matches!(error, Error::RowOutOfRange { row: 4, rows: 4, .. }), "{error}");
        let error = refused(kept(&[]));
        assert!(matches!(error, Error::NoRows { .. }), "{error}");

        let error = refused(made(array![[1.0, 2.0, 3.0]], &[9]));
        assert!(matches!(error, Error::RowOutOfRange { row: 9, rows: 4, .. }), "{error}");
        let error = refused(made(array![[1.0, 2.0, 3.0]], &[0, 2]));
        assert!(matches!(error, Error::LengthMismatch { found: 1, expected: 2, .. }), "{error}");
        assert!(error.to_string().starts_with("the length of synthetic rows is 1"), "{error}");
        let error = refused(made(array![[1.0, 2.0]], &[0]));
        assert!(matches!(error, Error::Contract { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            "the sampler broke its contract: it made rows of 2 columns from rows of 3"
        );
        let error = refused(made(array![[1.0, 2.0, 3.0], [1.0, f64::NAN, 3.0]], &[0, 2]));
        assert!(matches!(error, Error::NonFinite { row: 1, column: Some(1), .. }), "{error}");

        let error = refused(weighted(&[1.0]));
        assert!(matches!(error, Error::LengthMismatch { found: 1, expected: 2, .. }), "{error}");
        assert!(error.to_string().starts_with("the length of sampler weights is 1"), "{error}");
        let error = refused(weighted(&[1.0, f64::NAN]));
        assert!(matches!(error, Error::NonFinite { row: 1, column: None, .. }), "{error}");
        let error = refused(weighted(&[-1.0, 1.0]));
        assert!(matches!(error, Error::NegativeWeight { row: 0, .. }), "{error}");
        let error = refused(weighted(&[0.0, 0.0]));
        assert!(matches!(error, Error::InvalidArgument { argument: "weights", .. }), "{error}");

        let error = refused(offset(&[0.0; 3]));
        assert!(matches!(error, Error::LengthMismatch { found: 3, expected: 2, .. }), "{error}");
        assert!(error.to_string().starts_with("the length of sampler offsets is 3"), "{error}");
        let error = refused(offset(&[0.0, f64::INFINITY]));
        assert!(matches!(error, Error::NonFinite { row: 1, column: None, .. }), "{error}");
    }
    // A product that overflows is not hidden either.
    let error = weighted(&[1.0, f64::MAX]).apply(&full).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 1, .. }), "{error}");
}

// ------------------------------------------------------------------------------------------ distortion

fn distortion() -> impl Strategy<Value = Distortion> {
    let shift = -9.0..9.0_f64;
    prop_oneof![
        Just(Distortion::None),
        shift.clone().prop_map(|log_odds| Distortion::PriorShift { log_odds }),
        ("[a-z]{1,4}", prop::option::of(shift)).prop_map(|(sampler, nominal_log_odds)| {
            Distortion::FeatureDependent { sampler: sampler.into(), nominal_log_odds }
        }),
        ("[a-z]{1,4}", -9.0..9.0_f64).prop_map(|(sampler, log_odds)| {
            Distortion::Offset { sampler: sampler.into(), log_odds }
        }),
    ]
}

/// Equal but for the rounding of a sum of three numbers below 9.
fn same(a: &Distortion, b: &Distortion) -> bool {
    use Distortion::{FeatureDependent, None, Offset, PriorShift};
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 4.0 * 27.0 * f64::EPSILON,
        (a, b) => a == b,
    };
    let alike = match (a, b) {
        (None, None) | (PriorShift { .. }, PriorShift { .. }) => true,
        (FeatureDependent { sampler: a, .. }, FeatureDependent { sampler: b, .. })
        | (Offset { sampler: a, .. }, Offset { sampler: b, .. }) => a == b,
        _ => false,
    };
    alike && near(a.log_odds(), b.log_odds())
}

proptest! {
    #[test]
    fn distortions_are_a_monoid(a in distortion(), b in distortion(), c in distortion()) {
        prop_assert_eq!(&Distortion::None.then(a.clone()), &a);
        prop_assert_eq!(&a.clone().then(Distortion::None), &a);

        let left = a.clone().then(b.clone()).then(c.clone());
        let right = a.clone().then(b.clone().then(c.clone()));
        prop_assert!(same(&left, &right), "{:?} and {:?}", left, right);

        // Shifts add up as long as all are known, and feature dependence never goes away.
        let known: Option<f64> = [&a, &b, &c].into_iter().map(Distortion::log_odds).sum();
        prop_assert_eq!(left.log_odds().is_some(), known.is_some());
        let depends = |d: &Distortion| matches!(d, Distortion::FeatureDependent { .. });
        prop_assert_eq!(depends(&left), [&a, &b, &c].into_iter().any(depends));
        // Offsets are on record, unless something no model can undo is too.
        let offset = |d: &Distortion| matches!(d, Distortion::Offset { .. });
        let told = [&a, &b, &c].into_iter().any(offset) && !depends(&left);
        prop_assert_eq!(offset(&left), told);
    }
}

#[test]
fn distortions_describe_themselves() {
    let shift = Distortion::PriorShift { log_odds: 10_f64.ln() };
    let smote = |nominal_log_odds| Distortion::FeatureDependent {
        sampler: "SMOTE".into(),
        nominal_log_odds,
    };
    assert_eq!(Distortion::default(), Distortion::None);
    assert_eq!(Distortion::None.to_string(), "none");
    assert_eq!(shift.to_string(), "prior shift, odds of a positive × 10.0000");
    assert_eq!(smote(None).to_string(), "rows chosen by features (SMOTE)");
    let both = shift.then(smote(Some(0.0)));
    assert_eq!(both.to_string(), "rows chosen by features (SMOTE), overall odds × 10.0000");
    let twice = both.then(smote(None));
    assert_eq!(twice.to_string(), "rows chosen by features (SMOTE then SMOTE)");
    assert_eq!((twice.log_odds(), twice.is_none()), (None, false));
    let offset = Distortion::Offset { sampler: "LCC".into(), log_odds: 0.0 };
    let halved = offset.then(Distortion::PriorShift { log_odds: 2_f64.ln() });
    assert_eq!(
        halved.to_string(),
        "rows chosen by features (LCC), corrected by offsets, odds given the offsets × 2.0000"
    );
    assert_eq!((Distortion::None.log_odds(), Distortion::None.is_none()), (Some(0.0), true));
}

#[test]
fn no_synthetic_rows_are_no_error() {
    let x = array![[1.0], [2.0]];
    let data = Dataset::new(&x, vec![true, false]).unwrap();
    let synthetic = vec![Synthetic::new(Array2::<f64>::zeros((0, 1)), vec![])];
    let resample = Resample { synthetic, ..Resample::identity() };
    assert_eq!(resample.apply(&data).unwrap().rows(), 2);
}

#[test]
fn two_samplers_in_a_row_distort_as_much_as_both_together() {
    let data = numbered(labels(1_000, 20));
    let sampler = RandomUnderSampler::rate(0.5).unwrap();
    let once = resample(&sampler, &data).unwrap().apply(&data).unwrap();
    let twice = resample(&sampler, &once).unwrap().apply(&once).unwrap();
    assert_eq!(twice.totals().negatives, 245);
    let moved = twice.totals().log_odds() - data.totals().log_odds();
    assert!(close(twice.distortion().log_odds().unwrap(), moved));
    assert!(close(moved, 4_f64.ln()));
}
