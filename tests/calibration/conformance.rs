//! The contract of calibrators that learn, held against every one of them.

use imbalance::Distortion;
use imbalance::calibration::multiclass::ClassSet;
use imbalance::calibration::{
    BetaCalibration, BetaCdf, BoxCalibrator, Calibration, CalibrationMap, CalibrationSet,
    Calibrator, Clip, HistogramBinning, Interpolation, IsotonicRegression, PlattScaling,
    PriorCorrection, QuadraticLogit, Scale, SplineCalibration, TemperatureScaling, TrainingContext,
    Uncalibrated, VennAbers,
};
use imbalance::ndarray::{Array2, array};
use imbalance::numerics::sigmoid;
use imbalance::{Error, Seed};
use proptest::prelude::*;

/// A calibrator and what may be asked of it.
struct Case {
    name: &'static str,
    calibrator: BoxCalibrator,
    monotone: bool,
    /// Σp = Σy on its own rows.
    balanced: bool,
    infinite_scores: bool,
    /// Separable scores have a solution.
    separable: bool,
    /// What scores get that rank the wrong way round.
    reversed: Reversed,
    /// The map may have a peak, so one positive score among negatives separates the classes.
    peaks: bool,
    /// A weight is a number of rows, so twice all weights is more evidence.
    counts: bool,
    /// The probability of eight rows of equal score −1, of which one is positive.
    one_in_eight: f64,
    /// What a second fit, on the first one's outcome, makes of it.
    again: Again,
    /// The calibrator of that second fit, if it is another one.
    second: Option<BoxCalibrator>,
}

/// The map of scores that rank the wrong way round.
enum Reversed {
    /// The base rate for all, to this tolerance.
    Rate(f64),
    /// One half for all: without an intercept it is the only constant.
    Half,
    /// No constant.
    Free,
}

/// How a second fit can change the first one's probabilities.
#[derive(PartialEq)]
enum Again {
    /// The maps are closed under composition and hold the identity: the optimum is reached at once.
    Same,
    /// They are not: a little is left to gain, less than noise. In root mean square the change is below the
    /// standard error of the base rate, √(r(1 − r)/n), times this.
    Within(f64),
}

/// A parabola of a parabola is a new shape, and so is a beta of a beta: its parameter may gain as much as noise gives one
/// in 256 samples.
const NEW_SHAPE: Again = Again::Within(3.0);

fn cases() -> Vec<Case> {
    fn case(name: &'static str, calibrator: impl Calibrator<Map: 'static> + 'static) -> Case {
        Case {
            name,
            calibrator: calibrator.boxed(),
            monotone: true,
            balanced: true,
            infinite_scores: false,
            separable: false,
            reversed: Reversed::Rate(1e-12),
            peaks: false,
            counts: false,
            one_in_eight: 0.125,
            again: Again::Within(1.0),
            second: None,
        }
    }
    let bins = |bins| HistogramBinning::quantiles(bins).unwrap();
    let platt = PlattScaling::new;
    vec![
        Case {
            balanced: false,
            separable: true,
            counts: true,
            // The mean target, of 2/3 once and 1/9 seven times.
            one_in_eight: (2.0 / 3.0 + 7.0 / 9.0) / 8.0,
            // Smoothed targets lie closer to ½ by less than 1/(200 + 2).
            reversed: Reversed::Rate(1.0 / 202.0),
            ..case("Platt", platt())
        },
        Case { again: Again::Same, ..case("Platt, plain targets", platt().plain_targets(true)) },
        Case {
            infinite_scores: true,
            ..case("Platt, as printed", platt().on_probabilities(true).plain_targets(true))
        },
        Case {
            infinite_scores: true,
            separable: true,
            counts: true,
            // Shrunk twice, by less than the weight of a row of each class.
            again: Again::Within(1.0),
            ..case("isotonic", IsotonicRegression::new())
        },
        Case {
            infinite_scores: true,
            separable: true,
            counts: true,
            // Shrunk twice, by less than the weight of a row of each class.
            again: Again::Within(1.0),
            ..case(
                "isotonic, linear in the probability",
                IsotonicRegression::new().interpolation(Interpolation::LinearInProbability),
            )
        },
        Case {
            infinite_scores: true,
            separable: true,
            counts: true,
            // Shrunk twice, by less than the weight of a row of each class.
            again: Again::Within(1.0),
            ..case("isotonic, steps", IsotonicRegression::new().interpolation(Interpolation::Steps))
        },
        Case {
            infinite_scores: true,
            separable: true,
            balanced: false,
            again: Again::Same,
            ..case("isotonic, bounded", IsotonicRegression::new().bounds(0.05, 0.9).unwrap())
        },
        Case { again: NEW_SHAPE, ..case("beta abm", BetaCalibration::abm()) },
        Case { again: Again::Same, ..case("beta am", BetaCalibration::am()) },
        Case {
            balanced: false,
            reversed: Reversed::Half,
            ..case("beta ab", BetaCalibration::ab())
        },
        Case { balanced: false, ..case("beta CDF", BetaCdf) },
        Case {
            monotone: false,
            reversed: Reversed::Free,
            peaks: true,
            again: NEW_SHAPE,
            ..case("quadratic logit", QuadraticLogit::new())
        },
        Case {
            again: NEW_SHAPE,
            ..case("quadratic logit, monotone", QuadraticLogit::new().monotone(true))
        },
        Case {
            monotone: false,
            reversed: Reversed::Free,
            counts: true,
            ..case("spline", SplineCalibration::new())
        },
        Case { counts: true, ..case("spline, monotone", SplineCalibration::new().monotone(true)) },
        Case {
            balanced: false,
            again: Again::Same,
            reversed: Reversed::Half,
            ..case("temperature", TemperatureScaling::new())
        },
        Case {
            again: Again::Same,
            ..case("temperature, bias corrected", TemperatureScaling::new().bias_corrected(true))
        },
        Case {
            monotone: false,
            infinite_scores: true,
            separable: true,
            reversed: Reversed::Free,
            // Bins with neighbouring means may become one.
            counts: true,
            again: Again::Within(4.0),
            ..case("histogram", bins(10))
        },
        Case {
            monotone: false,
            infinite_scores: true,
            separable: true,
            reversed: Reversed::Free,
            counts: true,
            again: Again::Within(4.0),
            ..case("histogram, equal width", HistogramBinning::equal_width(10).unwrap())
        },
        Case {
            balanced: false,
            infinite_scores: true,
            separable: true,
            // Flat but for the ends, where the added row stands alone.
            reversed: Reversed::Free,
            counts: true,
            // p₀ = 1/9 and p₁ = 2/9.
            one_in_eight: 0.2,
            ..case("Venn–Abers", VennAbers)
        },
        Case {
            balanced: false,
            infinite_scores: true,
            separable: true,
            counts: true,
            one_in_eight: (2.0 / 3.0 + 7.0 / 9.0) / 8.0,
            reversed: Reversed::Rate(1.0 / 202.0),
            ..case("clip, then Platt", Clip::new(1e-4).unwrap().then(platt()))
        },
        Case {
            infinite_scores: true,
            separable: true,
            counts: true,
            // A prior correction is for scores as they came.
            second: Some(IsotonicRegression::new().boxed()),
            ..case(
                "prior correction, then isotonic",
                PriorCorrection::from_sampling_rate(0.2).unwrap().then(IsotonicRegression::new()),
            )
        },
    ]
}

type Fitted = Calibration<Box<dyn CalibrationMap>>;

fn fit(case: &Case, z: &[f64], y: &[bool], w: Option<&[f64]>) -> Fitted {
    let mut scored = CalibrationSet::from_logits(z, y).unwrap();
    if let Some(w) = w {
        scored = scored.with_weights(w).unwrap();
    }
    case.calibrator.learn(&scored).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// The relative difference of two solutions of the same problem by sums in another order: what the promise
/// of 1e-8 to the optimum leaves.
const SOLUTION: f64 = 1e-8;
/// That of sums of up to a million probabilities.
const SUM: f64 = 1e-9;
/// A fall by rounding, of a number up to 1 made by some ten operations, is none.
const FALL: f64 = 1e-14;

#[track_caller]
fn alike(case: &Case, a: &Fitted, b: &Fitted, at: &[f64]) {
    for &z in at {
        let (p, q) = (a.probability(z), b.probability(z));
        assert!((p - q).abs() <= SOLUTION * p.max(q), "{}: {p} and {q} at {z}", case.name);
    }
}

/// What holds for every map on the rows it was learned from, of weight 1.
#[track_caller]
fn lawful(case: &Case, map: &Fitted, z: &[f64], y: &[bool]) {
    let name = case.name;
    let p = map.probabilities(z).unwrap();
    assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{name}");

    let positives = y.iter().filter(|&&y| y).count() as f64;
    let predicted: f64 = p.iter().sum();
    if case.balanced {
        assert!((predicted / positives - 1.0).abs() < SUM, "{name}: {predicted} of {positives}");
    }
    if case.monotone {
        let mut at: Vec<f64> = z.iter().chain(&GRID).copied().collect();
        at.extend([f64::NEG_INFINITY, f64::INFINITY, 1e300, -1e300]);
        at.sort_by(f64::total_cmp);
        let mapped = map.probabilities(&at).unwrap();
        let fall = mapped.windows(2).find(|p| p[1] < p[0] - FALL);
        assert!(fall.is_none(), "{name}: {fall:?}");
    }

    // One value, a block, and all on all cores are the same bits.
    let mut out = vec![0.0; z.len()];
    map.probabilities_into(z, &mut out).unwrap();
    assert_eq!(out, p, "{name}");
    let mut out = z.to_vec();
    map.apply(Scale::Logit, &mut out);
    assert_eq!(out, p, "{name}");
    // So are the same map as a plain value, without its report.
    let built_in = map.built_in().expect("a map of the library");
    assert_eq!(Calibration::new(built_in.clone()).probabilities(z).unwrap(), p, "{name}");
    assert_eq!(built_in.describe(), map.describe(), "{name}");
    for (&z, &p) in z.iter().zip(&p).step_by(z.len() / 50 + 1) {
        assert_eq!(map.probability(z), p, "{name}");
        assert_eq!(built_in.probability(z), p, "{name}");
        let from_logit = sigmoid(map.logit(z));
        // A logit of 700 holds 13 digits of p near 0.
        assert!((from_logit - p).abs() <= 1e-12 * p, "{name}: {from_logit} {p} at {z}");
    }

    let scores: Vec<f64> = z.iter().map(|&z| sigmoid(z)).chain([0.0, 1e-310, 1.0]).collect();
    let of = map.probabilities_of(&scores).unwrap();
    let mut out = scores.clone();
    map.apply(Scale::Probability, &mut out);
    assert_eq!(out, of, "{name}");
    for (&score, &p) in scores.iter().zip(&of).step_by(z.len() / 50 + 1) {
        assert_eq!(map.probability_of(score), p, "{name}");
    }

    // What the report says of the calibration rows holds.
    let report = map.report().unwrap();
    assert_eq!(report.rows, z.len(), "{name}");
    let ratio = report.after.predicted_over_observed;
    assert!((ratio * positives / predicted - 1.0).abs() < SUM, "{name}: {ratio}");
    let ratio = report.before.predicted_over_observed;
    let came: f64 = z.iter().map(|&z| sigmoid(z)).sum();
    assert!((ratio * positives / came - 1.0).abs() < SUM, "{name}: {ratio}");
    let loss = imbalance::metrics::log_loss(y, &p, None).unwrap();
    // The report's comes from logits, which keep what 1 − p rounds away: up to 1e-16 a row.
    let reported = report.after.log_loss;
    assert!(
        reported == loss || (reported - loss).abs() < SUM * loss + 1e-15 || loss.is_infinite(),
        "{name}: {reported} {loss}"
    );
    assert!(report.to_string().contains("predicted / observed"), "{name}");
}

/// Scores, with labels from a bent truth; both classes overlap.
fn rows() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    (proptest::collection::vec((-6.0..4.0_f64, 0.0..1.0_f64), 60..200), any::<bool>()).prop_map(
        |(draws, rounded)| {
            let digits = |z: f64| if rounded { (z * 2.0).round() / 2.0 } else { z };
            let (mut z, mut y): (Vec<f64>, Vec<bool>) = draws
                .into_iter()
                .map(|(z, u)| (digits(z), u < sigmoid(0.6 * z - 0.5 + 0.05 * z * z)))
                .unzip();
            // An overlap on both sides of one half, so that every maximum is finite.
            z.extend([-1.5, -0.5, 0.5, 1.5, -1.0, 1.0]);
            y.extend([true, false, true, false, true, false]);
            (z, y)
        },
    )
}

/// A number from 0 to 1 of its own for each row of a seed.
fn uniform(seed: u64, row: usize) -> f64 {
    Seed::new(seed).child(&row.to_string()).value() as f64 / 2_f64.powi(64)
}

/// The rows in another order.
fn shuffled(z: &[f64], y: &[bool], seed: u64) -> (Vec<f64>, Vec<bool>) {
    let mut order: Vec<usize> = (0..z.len()).collect();
    order.sort_by(|&a, &b| uniform(seed, a).total_cmp(&uniform(seed, b)));
    order.iter().map(|&i| (z[i], y[i])).unzip()
}

const GRID: [f64; 13] = [-1e4, -50.0, -6.5, -4.0, -2.25, -1.0, -0.1, 0.0, 0.3, 1.0, 3.9, 60.0, 1e4];

/// The grid and all scores.
fn everywhere(z: &[f64]) -> Vec<f64> {
    z.iter().chain(&GRID).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn laws((z, y) in rows(), multiples in proptest::collection::vec(0_u8..4, 210), seed in 0_u64..1000) {
        for case in cases() {
            let map = fit(&case, &z, &y, None);
            lawful(&case, &map, &z, &y);

            // A row of weight 2 is that row twice, a row of weight 0 is absent.
            let weights: Vec<f64> =
                (0..z.len()).map(|i| if i + 6 < z.len() { f64::from(multiples[i]) } else { 1.0 }).collect();
            let repeat = |i: usize| std::iter::repeat_n(i, weights[i] as usize);
            let copies: Vec<usize> = (0..z.len()).flat_map(repeat).collect();
            let (z2, y2): (Vec<f64>, Vec<bool>) = copies.iter().map(|&i| (z[i], y[i])).unzip();
            let weighted = fit(&case, &z, &y, Some(&weights));
            alike(&case, &weighted, &fit(&case, &z2, &y2, None), &everywhere(&z));

            // The order of the rows is nothing, also where many scores are equal.
            let (z3, y3) = shuffled(&z, &y, seed);
            alike(&case, &map, &fit(&case, &z3, &y3, None), &everywhere(&z));

            // The unit of the weights is nothing, to the last bit.
            if !case.counts {
                for unit in [2_f64.powi(600), 2_f64.powi(-600)] {
                    let scaled: Vec<f64> = weights.iter().map(|weight| weight * unit).collect();
                    let scaled = fit(&case, &z, &y, Some(&scaled));
                    for z in everywhere(&z) {
                        prop_assert_eq!(scaled.probability(z), weighted.probability(z), "{}", case.name);
                    }
                }
            }
        }
    }

    #[test]
    fn calibrated_scores_are_left_alone((z, y) in rows()) {
        for case in cases() {
            let map = fit(&case, &z, &y, None);
            let again: Vec<f64> = z.iter().map(|&z| map.logit(z)).collect();
            // Flat maps leave nothing to learn, and lines refuse the certain scores of an isotonic map.
            if again.iter().all(|&z| z == again[0]) {
                continue;
            }
            let calibrator = case.second.as_ref().unwrap_or(&case.calibrator);
            let second = calibrator.learn(&CalibrationSet::from_logits(&again, &y).unwrap()).unwrap();
            let n = y.len() as f64;
            let rate = y.iter().filter(|&&y| y).count() as f64 / n;
            let mut square = 0.0;
            for &z in &again {
                let (p, q) = (sigmoid(z), second.probability(z));
                if case.again == Again::Same {
                    prop_assert!((p - q).abs() < SOLUTION, "{}: {p} {q}", case.name);
                }
                square += (p - q).powi(2) / n;
            }
            if let Again::Within(bound) = case.again {
                let errors = (square / (rate * (1.0 - rate) / n)).sqrt();
                prop_assert!(errors <= bound, "{}: {errors} standard errors", case.name);
            }
        }
    }

    #[test]
    fn venn_abers_is_two_isotonic_fits((z, y) in rows(), query in -7.0..5.0_f64, tie in 0_usize..60) {
        let map = VennAbers.learn(&CalibrationSet::from_logits(&z, &y).unwrap()).unwrap();
        for query in [query, z[tie]] {
            let with = |label: bool| {
                let (mut z, mut y) = (z.clone(), y.clone());
                z.push(query);
                y.push(label);
                let scored = CalibrationSet::from_logits(z, y).unwrap();
                let plain = IsotonicRegression::new().bounds(0.0, 1.0).unwrap();
                plain.learn(&scored).unwrap().probability(query)
            };
            let (p0, p1) = map.interval(query);
            // Means of the same counts, rounded in another order.
            prop_assert!((p0 - with(false)).abs() < 1e-14, "{p0} {}", with(false));
            prop_assert!((p1 - with(true)).abs() < 1e-14, "{p1} {}", with(true));
            prop_assert!(p0 <= p1);
        }
    }
}

#[test]
fn ten_thousand_rows_in_heavy_ties() {
    let n = 10_000;
    let draw = |i: usize| -6.0 + 9.0 * uniform(1, i) * uniform(2, i);
    let digits = |z: f64| (z * 1e3).round() / 1e3;
    let z: Vec<f64> = (0..n).map(|i| digits(draw(i))).collect();
    let y: Vec<bool> =
        (0..n).map(|i| uniform(3, i) < sigmoid(0.8 * z[i] - 0.3 + 0.05 * z[i] * z[i])).collect();
    let mut distinct = z.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    assert!(distinct.len() < n / 2, "{}", distinct.len());
    let (z2, y2) = shuffled(&z, &y, 4);
    for case in cases() {
        let map = fit(&case, &z, &y, None);
        lawful(&case, &map, &z, &y);
        alike(&case, &map, &fit(&case, &z2, &y2, None), &everywhere(&distinct));
    }
}

#[test]
fn reversed_scores_give_a_constant_map() {
    // At each higher score fewer of twenty are positive; then all but none, so that the classes separate.
    let z: Vec<f64> = (0..400).map(|i| f64::from(i / 20) * 0.4 - 4.0).collect();
    let falling: Vec<bool> = (0..400).map(|i| i % 20 < 20 - i / 20).collect();
    let separated: Vec<bool> = (0..400).map(|i| i < 200).collect();
    for y in [falling, separated] {
        let rate = y.iter().filter(|&&y| y).count() as f64 / 400.0;
        for case in &cases() {
            let (expected, tolerance) = match case.reversed {
                Reversed::Rate(tolerance) => (rate, tolerance),
                Reversed::Half => (0.5, 1e-12),
                Reversed::Free => continue,
            };
            let map = fit(case, &z, &y, None);
            let p = map.probability(z[0]);
            for &z in z.iter().chain(&GRID) {
                assert_eq!(map.probability(z), p, "{} at {z}", case.name);
            }
            assert!((p - expected).abs() < tolerance, "{}: {p} for {expected}", case.name);
        }
    }
}

#[test]
fn distorted_or_missing_rows_and_one_class_are_refused() {
    for case in cases() {
        let z = [-1.0, 0.0, 1.0, 2.0];
        let fit =
            |y: &'static [bool]| CalibrationSet::from_logits(z[..y.len()].to_vec(), y).unwrap();
        let shifted = fit(&[false, true, false, true])
            .with_distortion(Distortion::PriorShift { log_odds: 1.0 });
        let error = case.calibrator.learn(&shifted).unwrap_err();
        assert!(matches!(error, Error::DistortedCalibration { .. }), "{}: {error}", case.name);
        let error = case.calibrator.learn(&fit(&[])).unwrap_err();
        assert!(matches!(error, Error::NoRows { .. }), "{}: {error}", case.name);
        let error = case.calibrator.learn(&fit(&[true; 4])).unwrap_err();
        assert!(matches!(error, Error::OneClass { .. }), "{}: {error}", case.name);
        let error = case.calibrator.fit(&TrainingContext::default(), None).unwrap_err();
        assert!(matches!(error, Error::NoRows { .. }), "{}: {error}", case.name);
        assert!(case.calibrator.needs_rows() && case.calibrator.corrects_prior());
    }
}

#[test]
fn extremes() {
    for case in cases() {
        let name = case.name;
        let sane = |map: &Fitted| {
            for z in GRID.iter().chain(&[f64::NEG_INFINITY, f64::INFINITY, 1e300, -1e300]) {
                let p = map.probability(*z);
                assert!((0.0..=1.0).contains(&p), "{name}: {p} at {z}");
            }
            assert!(map.probability(f64::NAN).is_nan(), "{name}");
            assert!(map.probability_of(1.5).is_nan(), "{name}");
            let error = map.probabilities(&[0.0, f64::NAN, f64::NAN]).unwrap_err();
            assert!(matches!(error, Error::NonFinite { row: 1, .. }), "{name}: {error}");
            let error = map.probabilities_of(&[0.0, 1.0, -0.5]).unwrap_err();
            assert!(error.to_string().contains("-0.5 at row 2"), "{name}: {error}");
            let error = map.probabilities_into(&[0.0; 2], &mut [0.0; 3]).unwrap_err();
            assert!(matches!(error, Error::LengthMismatch { .. }), "{name}: {error}");
            let mut many = vec![0.25; 20_000];
            (many[9_999], many[15_000]) = (2.0, -1.0);
            let error = map.probabilities_of(&many).unwrap_err();
            assert!(error.to_string().contains("2 at row 9999"), "{name}: {error}");
            (many[9_999], many[15_000]) = (f64::NAN, f64::NAN);
            let error = map.probabilities(&many).unwrap_err();
            assert!(matches!(error, Error::NonFinite { row: 9_999, .. }), "{name}: {error}");
            let one = map.probabilities_of(&[0.25]).unwrap();
            assert_eq!(one[0], map.probability_of(0.25), "{name}");
        };

        // Logits of ±1e4 among ordinary ones.
        let z = [-1e4, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 1e4];
        let y = [false, false, true, false, true, false, true, true];
        let map = fit(&case, &z, &y, None);
        sane(&map);
        lawful(&case, &map, &z, &y);

        // Certain scores: p = 0 and 1.
        let p = [0.0, 0.2, 0.3, 0.6, 0.7, 1.0];
        let y = [false, false, true, false, true, true];
        let scored = CalibrationSet::from_probabilities(&p, &y).unwrap();
        match case.calibrator.learn(&scored) {
            Ok(map) => {
                assert!(case.infinite_scores, "{name}");
                sane(&map);
                lawful(&case, &map, scored.logits(), &y);
            }
            Err(error) => {
                assert!(!case.infinite_scores, "{name}: {error}");
                assert!(
                    matches!(error, Error::CertainScores { rows: 2, row: 0, .. }),
                    "{name}: {error}"
                );
                assert!(error.to_string().contains("`Clip::new(1e-6)?.then("), "{name}: {error}");
            }
        }

        // All scores equal: nothing to tell rows apart by.
        let y = [true, false, false, false, false, false, false, false];
        let map = fit(&case, &[-1.0; 8], &y, None);
        sane(&map);
        lawful(&case, &map, &[-1.0; 8], &y);
        let p = map.probability(-1.0);
        assert!((p - case.one_in_eight).abs() < 1e-12, "{name}: {p}");

        // Three rows.
        let (z, y) = ([-1.0, 1.0, 0.5], [false, false, true]);
        if case.peaks {
            ensure_refused(&case, &z, &y);
        } else {
            let map = fit(&case, &z, &y, None);
            sane(&map);
            lawful(&case, &map, &z, &y);
        }

        // Separable scores: a solution or a typed error.
        let z = [-3.0, -2.0, 2.0, 3.0];
        let y = [false, false, true, true];
        match case.calibrator.learn(&CalibrationSet::from_logits(&z, &y).unwrap()) {
            Ok(map) => {
                assert!(case.separable, "{name}");
                sane(&map);
                lawful(&case, &map, &z, &y);
            }
            Err(error) => {
                assert!(!case.separable, "{name}: {error}");
                assert!(matches!(error, Error::SeparatedScores { .. }), "{name}: {error}");
                assert!(error.to_string().contains("smoothed targets"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn scores_that_all_but_separate_the_classes_have_a_steep_map() {
    // Fifty rows in ten thousand, those nearest to 0, are on the wrong side.
    let z: Vec<f64> = (0..10_000).map(|i| 8.0 * uniform(11, i) - 4.0).collect();
    let mut by_size: Vec<usize> = (0..z.len()).collect();
    by_size.sort_by(|&i, &j| z[i].abs().total_cmp(&z[j].abs()));
    let mut y: Vec<bool> = z.iter().map(|&z| z > 0.0).collect();
    by_size[..50].iter().for_each(|&i| y[i] = !y[i]);
    for case in cases() {
        lawful(&case, &fit(&case, &z, &y, None), &z, &y);
    }
}

#[test]
fn forms_without_a_constant_leave_equal_scores_on_their_side() {
    // One in eight, at a score above ½: only ½ is near.
    let y = [true, false, false, false, false, false, false, false];
    let scored = CalibrationSet::from_logits(&[1.0; 8], &y).unwrap();
    for calibrator in [BetaCalibration::ab().boxed(), TemperatureScaling::new().boxed()] {
        assert_eq!(calibrator.learn(&scored).unwrap().probability(1.0), 0.5);
    }
    // ½ itself tells nothing of a and b: one other score does not tell them apart.
    let z = [0.0, 0.0, 0.0, -1.0, -1.0, -1.0];
    let y = [true, false, false, true, false, false];
    let map = BetaCalibration::ab().learn(&CalibrationSet::from_logits(&z, &y).unwrap()).unwrap();
    assert_eq!(map.a(), map.b());
    assert!((map.probability(-1.0) - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn huge_weights_leave_separated_scores_a_platt_solution() {
    // The target of 1e20 positives is 1 − 1e-20, which is not 1.
    let scored = CalibrationSet::from_logits(&[-2.0, -1.0, 1.0, 2.0], &[false, false, true, true])
        .unwrap()
        .with_weights(&[1e20; 4])
        .unwrap();
    let map = PlattScaling::new().learn(&scored).unwrap();
    // By symmetry the intercept is 0, and each class's gradient balances at σ(−a) + 2σ(−2a) = 3 · 5e-21.
    let balance = sigmoid(-map.slope()) + 2.0 * sigmoid(-2.0 * map.slope());
    assert!((balance / 1.5e-20 - 1.0).abs() < SOLUTION, "{balance}");
    assert!(map.intercept().abs() < SOLUTION);
}

#[test]
fn one_positive_in_a_million() {
    let n = 1_000_000;
    let z: Vec<f64> = (0..n).map(|i| f64::from(i % 1000) * 0.01 - 20.0).collect();
    let y: Vec<bool> = (0..n).map(|i| i == 700).collect();
    for case in cases() {
        if case.peaks {
            ensure_refused(&case, &z, &y);
        } else {
            lawful(&case, &fit(&case, &z, &y, None), &z, &y);
        }
    }
}

/// The classes are separated.
#[track_caller]
fn ensure_refused(case: &Case, z: &[f64], y: &[bool]) {
    let error = case.calibrator.learn(&CalibrationSet::from_logits(z, y).unwrap()).unwrap_err();
    assert!(matches!(error, Error::SeparatedScores { .. }), "{}: {error}", case.name);
}

#[test]
fn a_chain_is_measured_as_a_whole() {
    let z: Vec<f64> = (0..400).map(|i| f64::from(i) * 0.02 - 5.0).collect();
    let y: Vec<bool> = (0..400).map(|i| uniform(8, i) < sigmoid(0.7 * z[i] - 1.0)).collect();
    let scored = CalibrationSet::from_logits(&z, &y).unwrap();
    let chain = TemperatureScaling::new().then(PlattScaling::new().plain_targets(true));
    let map = chain.learn(&scored).unwrap();
    let report = map.report().unwrap();
    let (first, second) = (map.first().report().unwrap(), map.second().report().unwrap());
    assert_eq!(report.before, first.before);
    // The same line in two steps.
    let loss = second.after.log_loss;
    assert!((report.after.log_loss - loss).abs() < 1e-14, "{} {loss}", report.after.log_loss);
    assert_eq!(report.iterations, first.iterations + second.iterations);
    let names: Vec<&str> = report.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["first 1/T", "second a", "second b"]);
    // Nothing was learned: nothing to report.
    let neither = PriorCorrection::new().then(Uncalibrated);
    assert!(neither.fit(&TrainingContext::default(), None).unwrap().report().is_none());
}

/// A map of one's own that replaces every provided method, to be found again behind a pointer.
#[derive(Debug)]
struct Mine;

impl CalibrationMap for Mine {
    fn logit(&self, _: f64) -> f64 {
        1.0
    }
    fn probability(&self, _: f64) -> f64 {
        0.25
    }
    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        scores.fill(if scale == Scale::Logit { 0.5 } else { 0.75 });
    }
    fn describe(&self) -> String {
        "mine".into()
    }
}

impl Calibrator for Mine {
    type Map = Self;
    fn needs_rows(&self) -> bool {
        false
    }
    fn corrects_prior(&self) -> bool {
        true
    }
    fn needs_finite_scores(&self) -> bool {
        true
    }
    fn ensure_reversible(&self, _: &TrainingContext) -> imbalance::Result<()> {
        Err(Error::NoRows { what: "mine" })
    }
    fn fit(
        &self,
        _: &TrainingContext,
        _: Option<&CalibrationSet<'_>>,
    ) -> imbalance::Result<Calibration<Self>> {
        Ok(Calibration::new(Self))
    }
    fn learn(&self, _: &CalibrationSet<'_>) -> imbalance::Result<Calibration<Self>> {
        Err(Error::NoRows { what: "learn" })
    }
}

#[test]
fn a_box_forwards_every_method() {
    let training = TrainingContext::default();
    let boxed = Mine.boxed();
    assert!(!boxed.needs_rows() && boxed.corrects_prior() && boxed.needs_finite_scores());
    assert!(boxed.ensure_reversible(&training).is_err());
    let set = CalibrationSet::from_logits(&[0.0], &[true]).unwrap();
    assert!(boxed.learn(&set).is_err());
    let map = boxed.fit(&training, None).unwrap();
    assert_eq!((map.logit(0.0), map.probability(0.0), map.probability_of(0.0)), (1.0, 0.25, 0.75));
    assert_eq!(map.probabilities(&[9.0]).unwrap(), [0.5]);
    assert_eq!(map.describe(), "mine");
    assert!(map.built_in().is_none());
}

#[test]
fn an_answer_that_is_no_probability_is_refused() {
    #[derive(Debug)]
    struct Two;
    impl CalibrationMap for Two {
        fn logit(&self, z: f64) -> f64 {
            z
        }
        fn probability(&self, _: f64) -> f64 {
            2.0
        }
    }
    let map = Calibration::new(Two);
    for error in [map.probabilities(&[0.0]), map.probabilities_of(&[0.5])] {
        assert!(matches!(error.unwrap_err(), Error::Contract { .. }));
    }
    assert!(matches!(map.probabilities(&[f64::NAN]), Err(Error::NonFinite { row: 0, .. })));
}

#[test]
fn a_probability_of_a_calibration_row_meets_its_own_step() {
    let p = [0.7, 0.1, 0.1, 0.1, 0.4, 0.9, 0.6, 0.3, 0.8, 0.9, 0.9, 0.3];
    let y = [0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0].map(|y| y == 1);
    let map = VennAbers.learn(&CalibrationSet::from_probabilities(&p, &y).unwrap()).unwrap();
    assert_eq!(map.interval_of(0.4), (0.25, 0.5));
    assert_eq!(map.probability_of(0.4), 0.5 / (1.0 - 0.25 + 0.5));
    // The logit by other means is a rounding off, and another score.
    assert_eq!(map.interval(0.4_f64.ln() - (-0.4_f64).ln_1p()), (1.0 / 6.0, 0.5));
    let (low, high) = map.interval_of(1.5);
    assert!(low.is_nan() && high.is_nan());
}

#[test]
fn uncalibrated_logits_keep_what_a_probability_rounds_away() {
    for z in [-800.0, 0.0, 40.0, f64::INFINITY] {
        assert_eq!(CalibrationMap::logit(&Uncalibrated, z), z);
    }
    // The loss of a line map is finite where p rounds to 1.
    let z: Vec<f64> = (0..100).map(|i| f64::from(i) - 50.0).collect();
    let mut y: Vec<bool> = z.iter().map(|&z| z > 0.0).collect();
    (y[49], y[52], y[95]) = (true, false, false);
    let map =
        TemperatureScaling::new().learn(&CalibrationSet::from_logits(&z, &y).unwrap()).unwrap();
    let report = map.report().unwrap();
    assert!(report.before.log_loss.is_finite() && report.after.log_loss < report.before.log_loss);
}

#[test]
fn prediction_allocates_nothing_but_its_output() {
    let z: Vec<f64> = (0..100_000).map(|i| 8.0 * uniform(9, i % 1000) - 6.0).collect();
    let y: Vec<bool> = (0..z.len()).map(|i| uniform(10, i) < sigmoid(0.7 * z[i])).collect();
    // Handing work to other threads may cost a message or two, whatever the number of rows.
    let messages = 4096;
    let mut out = vec![0.0; z.len()];
    for case in cases() {
        let map = fit(&case, &z, &y, None);
        let one = allocation_counter::measure(|| {
            assert!(map.probability(0.3) + map.probability_of(0.3) + map.logit(0.3) > 0.0);
        });
        assert_eq!(one.count_total, 0, "{}", case.name);
        let block = allocation_counter::measure(|| map.apply(Scale::Logit, &mut out));
        assert_eq!(block.count_total, 0, "{}", case.name);
        let into = allocation_counter::measure(|| map.probabilities_into(&z, &mut out).unwrap());
        assert!(into.bytes_total <= messages, "{}: {into:?}", case.name);
        let p: Vec<f64> = out.clone();
        for bytes in [
            allocation_counter::measure(|| drop(map.probabilities(&z).unwrap())).bytes_total,
            allocation_counter::measure(|| drop(map.probabilities_of(&p).unwrap())).bytes_total,
        ] {
            assert!(bytes <= 8 * z.len() as u64 + messages, "{}: {bytes}", case.name);
        }
    }
}

/// Classes of softmax(z/2) with four columns.
fn classes(rows: usize) -> (Array2<f64>, Vec<usize>) {
    let logits = Array2::from_shape_fn((rows, 4), |(i, k)| 6.0 * uniform(11 + k as u64, i) - 3.0);
    let draw = |i: usize| {
        let e: Vec<f64> = logits.row(i).iter().map(|z| (z / 2.0).exp()).collect();
        let mut rest = uniform(20, i) * e.iter().sum::<f64>();
        e.iter()
            .position(|e| {
                rest -= e;
                rest < 0.0
            })
            .unwrap_or(3)
    };
    let drawn = (0..rows).map(draw).collect();
    (logits, drawn)
}

#[test]
fn laws_of_many_classes() {
    let (logits, drawn) = classes(3000);
    let weights: Vec<f64> = (0..3000).map(|i| (3.0 * uniform(30, i)).floor()).collect();
    let copies: Vec<usize> =
        (0..3000).flat_map(|i| std::iter::repeat_n(i, weights[i] as usize)).collect();
    let copied = Array2::from_shape_fn((copies.len(), 4), |(i, k)| logits[[copies[i], k]]);
    let copied_classes: Vec<usize> = copies.iter().rev().map(|&i| drawn[i]).collect();
    let mut reversed = copied.view();
    reversed.invert_axis(imbalance::ndarray::Axis(0));
    for temperature in [TemperatureScaling::new(), TemperatureScaling::new().bias_corrected(true)] {
        let fit = |scored: &ClassSet<'_>| temperature.fit_classes(scored).unwrap();
        let plain = ClassSet::new(logits.view(), &drawn).unwrap();
        let map = fit(&plain.clone().with_weights(&weights).unwrap());
        let p = map.probabilities(&logits.view()).unwrap();
        // Weight 2 is twice the row, and order is nothing.
        let twice = fit(&ClassSet::new(reversed, &copied_classes).unwrap());
        for (p, q) in p.iter().zip(&twice.probabilities(&logits.view()).unwrap()) {
            assert!((p - q).abs() < SOLUTION);
        }
        for row in p.rows() {
            // Four roundings.
            assert!((row.sum() - 1.0).abs() < 1e-15 * 4.0);
        }
        // The order of a row's probabilities is that of its logits, without offsets.
        if map.offsets().iter().all(|&offset| offset == 0.0) {
            let best = |row: imbalance::ndarray::ArrayView1<'_, f64>| {
                (0..4).max_by(|&a, &b| row[a].total_cmp(&row[b]))
            };
            assert!(p.rows().into_iter().zip(logits.rows()).all(|(p, z)| best(p) == best(z)));
        }
        // Of calibrated logits nothing is left to gain.
        let again = p.mapv(f64::ln);
        let again = ClassSet::new(again.view(), &drawn).unwrap();
        let second = fit(&again.with_weights(&weights).unwrap());
        assert!((second.temperature() - 1.0).abs() < SOLUTION, "{}", second.temperature());
        assert!(map.report().to_string().contains("predicted before and after"));
    }
}

#[test]
fn extremes_of_many_classes() {
    let scored = |logits: &Array2<f64>, classes: &[usize]| {
        TemperatureScaling::new().fit_classes(&ClassSet::new(logits.view(), classes)?)
    };
    // Every row's class has the highest logit: no finite solution.
    let z = array![[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]];
    assert!(matches!(scored(&z, &[0, 1, 2]), Err(Error::SeparatedScores { .. })));
    assert!(matches!(scored(&z, &[0, 1, 3]), Err(Error::InvalidArgument { .. })));
    assert!(matches!(scored(&z, &[0, 1]), Err(Error::LengthMismatch { .. })));
    assert!(matches!(scored(&Array2::zeros((0, 3)), &[]), Err(Error::NoRows { .. })));
    let narrow = scored(&Array2::zeros((2, 1)), &[0, 0]);
    assert!(matches!(narrow, Err(Error::InvalidArgument { argument: "logits", .. })));
    let shifted = ClassSet::new(z.view(), &[0, 1, 1])
        .unwrap()
        .with_distortion(Distortion::PriorShift { log_odds: 1.0 });
    let error = TemperatureScaling::new().fit_classes(&shifted).unwrap_err();
    assert!(matches!(error, Error::DistortedCalibration { .. }), "{error}");
    let one_missing = ClassSet::new(z.view(), &[0, 1, 1]).unwrap();
    let error =
        TemperatureScaling::new().bias_corrected(true).fit_classes(&one_missing).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { argument: "bias_corrected", .. }), "{error}");

    // Logits of ±1e4, of which one is wrong; and logits that are all equal.
    let z = array![[1e4, 0.0, -1e4], [0.0, 1e4, 1.0], [2.0, 1.0, 0.0]];
    let map = scored(&z, &[0, 1, 2]).unwrap();
    let p = map.probabilities(&z.view()).unwrap();
    assert!(p.iter().all(|p| (0.0..=1.0).contains(p)) && map.temperature() > 0.0);
    let map = scored(&Array2::from_elem((3, 3), 7.0), &[0, 1, 1]).unwrap();
    let p = map.probabilities(&array![[5.0, 5.0, 5.0]].view()).unwrap();
    assert!(p.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-15));

    // What cannot be mapped is named by row and column.
    let error =
        map.probabilities(&array![[0.0, 1.0, 2.0], [0.0, f64::NAN, 1.0]].view()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 1, column: Some(1), .. }), "{error}");
    let infinite = array![[0.0, 1.0, f64::INFINITY]];
    let error = map.probabilities(&infinite.view()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { row: 0, column: Some(2), .. }), "{error}");
    assert!(matches!(
        map.probabilities(&array![[0.0, 1.0]].view()),
        Err(Error::ColumnMismatch { .. })
    ));
}
