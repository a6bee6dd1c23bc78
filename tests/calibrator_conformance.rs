//! The contract of calibrators that learn, held against every one of them.

use imbalance::Error;
use imbalance::calibration::{
    BetaCalibration, BoxCalibrator, Calibrate, Calibrator, HistogramBinning, IsotonicRegression,
    PlattScaling, PriorCorrection, Scored, TemperatureScaling, VennAbers,
};
use imbalance::loss::numerics::sigmoid;
use imbalance::sampling::Distortion;
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
    /// Scores that rank the wrong way round get one probability for all.
    reversed_is_flat: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, calibrator| Case {
        name,
        calibrator,
        monotone: true,
        balanced: true,
        infinite_scores: false,
        separable: false,
        reversed_is_flat: true,
    };
    vec![
        Case { balanced: false, separable: true, ..case("Platt", PlattScaling::new().boxed()) },
        case("Platt, plain targets", PlattScaling::new().plain_targets().boxed()),
        Case {
            infinite_scores: true,
            ..case(
                "Platt, as printed",
                PlattScaling::new().on_probabilities().plain_targets().boxed(),
            )
        },
        Case {
            infinite_scores: true,
            separable: true,
            ..case("isotonic", IsotonicRegression::new().boxed())
        },
        Case {
            infinite_scores: true,
            separable: true,
            ..case("isotonic, steps", IsotonicRegression::new().steps().boxed())
        },
        case("beta abm", BetaCalibration::abm().boxed()),
        case("beta am", BetaCalibration::am().boxed()),
        Case { balanced: false, ..case("beta ab", BetaCalibration::ab().boxed()) },
        Case { balanced: false, ..case("temperature", TemperatureScaling::new().boxed()) },
        case("temperature, bias corrected", TemperatureScaling::new().bias_corrected().boxed()),
        Case {
            monotone: false,
            infinite_scores: true,
            separable: true,
            reversed_is_flat: false,
            ..case("histogram", HistogramBinning::quantiles(10).unwrap().boxed())
        },
        Case {
            monotone: false,
            infinite_scores: true,
            separable: true,
            reversed_is_flat: false,
            ..case("histogram, equal width", HistogramBinning::equal_width(10).unwrap().boxed())
        },
        Case {
            balanced: false,
            infinite_scores: true,
            separable: true,
            // Flat but for the ends, where the added row stands alone.
            reversed_is_flat: false,
            ..case("Venn–Abers", VennAbers::new().boxed())
        },
        Case {
            infinite_scores: true,
            separable: true,
            ..case(
                "prior correction, then isotonic",
                PriorCorrection::from_sampling_rate(0.2)
                    .unwrap()
                    .then(IsotonicRegression::new())
                    .boxed(),
            )
        },
    ]
}

fn fit(case: &Case, z: &[f64], y: &[bool], w: Option<&[f64]>) -> Box<dyn Calibrate> {
    let mut scored = Scored::from_logits(z, y).unwrap();
    if let Some(w) = w {
        scored = scored.with_weights(w).unwrap();
    }
    case.calibrator.fit(&scored).unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

#[track_caller]
fn alike(case: &Case, a: &dyn Calibrate, b: &dyn Calibrate, at: &[f64], tolerance: f64) {
    for &z in at {
        let (p, q) = (a.probability(z), b.probability(z));
        let name = case.name;
        assert!((p - q).abs() <= tolerance * p.max(q), "{name}: {p} and {q} at {z}");
    }
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

const GRID: [f64; 13] = [-1e4, -50.0, -6.5, -4.0, -2.25, -1.0, -0.1, 0.0, 0.3, 1.0, 3.9, 60.0, 1e4];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn laws((z, y) in rows(), multiples in proptest::collection::vec(0_u8..4, 210)) {
        for case in cases() {
            let map = fit(&case, &z, &y, None);
            let p = map.probabilities(&z).unwrap();

            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{}", case.name);
            if case.balanced {
                let positives = y.iter().filter(|&&y| y).count() as f64;
                let predicted: f64 = p.iter().sum();
                prop_assert!(
                    (predicted / positives - 1.0).abs() < 1e-9,
                    "{}: {predicted} of {positives}", case.name
                );
            }
            if case.monotone {
                let mut at: Vec<f64> = z.iter().chain(&GRID).copied().collect();
                at.extend([f64::NEG_INFINITY, f64::INFINITY]);
                at.sort_by(f64::total_cmp);
                let mapped = map.probabilities(&at).unwrap();
                // A fall by rounding is none.
                let rises = mapped.windows(2).all(|p| p[1] >= p[0] - 1e-15);
                prop_assert!(rises, "{}", case.name);
            }

            // A row of weight 2 is that row twice, a row of weight 0 is absent.
            let weights: Vec<f64> =
                (0..z.len()).map(|i| if i + 6 < z.len() { f64::from(multiples[i]) } else { 1.0 }).collect();
            let repeat = |i: usize| std::iter::repeat_n(i, weights[i] as usize);
            let copies: Vec<usize> = (0..z.len()).flat_map(repeat).collect();
            let (z2, y2): (Vec<f64>, Vec<bool>) = copies.iter().map(|&i| (z[i], y[i])).unzip();
            let weighted = fit(&case, &z, &y, Some(&weights));
            alike(&case, &weighted, &fit(&case, &z2, &y2, None), &GRID, 1e-8);

            // The order of the rows is nothing, also where many scores are equal.
            let order: Vec<usize> = (0..z.len()).map(|i| (i * 7 + 3) % z.len()).collect();
            if z.len() % 7 != 0 {
                let (z3, y3): (Vec<f64>, Vec<bool>) = order.iter().map(|&i| (z[i], y[i])).unzip();
                alike(&case, &map, &fit(&case, &z3, &y3, None), &GRID, 1e-8);
            }

            // What the report says of the calibration rows holds.
            let report = map.report().unwrap();
            let after = imbalance::metrics::predicted_over_observed(&y, &p, None).unwrap();
            prop_assert!((report.after.predicted_over_observed / after - 1.0).abs() < 1e-12);
            let loss = imbalance::metrics::log_loss(&y, &p, None).unwrap();
            prop_assert!((report.after.log_loss / loss - 1.0).abs() < 1e-12);
            prop_assert_eq!(report.rows, z.len());
        }
    }

    #[test]
    fn calibrated_scores_are_left_alone((z, y) in rows()) {
        for case in cases() {
            // Those whose family is closed under composition and holds the identity, so that the
            // optimum is reached at once. Elsewhere a second fit has a little left to gain.
            let closed = ["Platt, plain targets", "beta am", "temperature", "temperature, bias corrected"];
            if !closed.contains(&case.name) {
                continue;
            }
            let map = fit(&case, &z, &y, None);
            let again: Vec<f64> = z.iter().map(|&z| map.calibrated_logit(z)).collect();
            if again.iter().all(|&z| z == again[0]) {
                continue;
            }
            let second = fit(&case, &again, &y, None);
            for &z in &again {
                let (p, q) = (sigmoid(z), second.probability(z));
                prop_assert!((p - q).abs() < 1e-8, "{}: {p} {q}", case.name);
            }
        }
    }

    #[test]
    fn venn_abers_is_two_isotonic_fits((z, y) in rows(), query in -7.0..5.0_f64, tie in 0_usize..60) {
        let map = VennAbers::new().fit(&Scored::from_logits(&z, &y).unwrap()).unwrap();
        for query in [query, z[tie]] {
            let with = |label: bool| {
                let (mut z, mut y) = (z.clone(), y.clone());
                z.push(query);
                y.push(label);
                let scored = Scored::from_logits(z, y).unwrap();
                IsotonicRegression::new().fit(&scored).unwrap().probability(query)
            };
            let (p0, p1) = map.interval(query);
            prop_assert!((p0 - with(false)).abs() < 1e-14, "{p0} {}", with(false));
            prop_assert!((p1 - with(true)).abs() < 1e-14, "{p1} {}", with(true));
            prop_assert!(p0 <= p1);
        }
    }
}

#[test]
fn reversed_scores_give_a_constant_map() {
    let z: Vec<f64> = (0..200).map(|i| 0.04 * f64::from(i) - 4.0).collect();
    // The higher the score, the rarer the positives; then all but none, so that the classes separate.
    for y in [
        (0..200).map(|i| (i * 37) % 200 < 200 - i).collect::<Vec<_>>(),
        (0..200).map(|i| i < 100).collect(),
    ] {
        for case in cases().iter().filter(|case| case.reversed_is_flat) {
            let map = fit(case, &z, &y, None);
            let (low, high) = (map.probability(-4.0), map.probability(4.0));
            // The blocks of an isotonic fit may rise at the ends, but never fall.
            assert!(high >= low, "{}: {low} {high}", case.name);
            if !case.name.contains("isotonic") {
                assert_eq!(low, high, "{}", case.name);
            }
        }
    }
}

#[test]
fn distorted_or_missing_rows_and_one_class_are_refused() {
    for case in cases() {
        let z = [-1.0, 0.0, 1.0, 2.0];
        let fit = |y: &'static [bool]| Scored::from_logits(z[..y.len()].to_vec(), y).unwrap();
        let shifted = fit(&[false, true, false, true])
            .with_distortion(Distortion::PriorShift { log_odds: 1.0 });
        let error = case.calibrator.fit(&shifted).unwrap_err();
        assert!(matches!(error, Error::DistortedCalibration { .. }), "{}: {error}", case.name);
        let error = case.calibrator.fit(&fit(&[])).unwrap_err();
        assert!(matches!(error, Error::NoRows { .. }), "{}: {error}", case.name);
        let error = case.calibrator.fit(&fit(&[true; 4])).unwrap_err();
        assert!(matches!(error, Error::OneClass { .. }), "{}: {error}", case.name);
        assert!(case.calibrator.learns());
    }
}

#[test]
fn extremes() {
    for case in cases() {
        let name = case.name;
        let sane = |map: &dyn Calibrate| {
            for z in GRID.iter().chain(&[f64::NEG_INFINITY, f64::INFINITY, 1e300, -1e300]) {
                let p = map.probability(*z);
                assert!((0.0..=1.0).contains(&p), "{name}: {p} at {z}");
            }
            assert!(map.probability(f64::NAN).is_nan(), "{name}");
            assert!(map.probability_of(1.5).is_nan(), "{name}");
            assert!(map.probabilities(&[0.0, f64::NAN]).is_err(), "{name}");
        };

        // Logits of ±1e4 among ordinary ones.
        let z = [-1e4, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 1e4];
        let y = [false, false, true, false, true, false, true, true];
        sane(&fit(&case, &z, &y, None));

        // Certain scores: p = 0 and 1.
        let p = [0.0, 0.2, 0.3, 0.6, 0.7, 1.0];
        let scored =
            Scored::from_probabilities(&p, &[false, false, true, false, true, true]).unwrap();
        match case.calibrator.fit(&scored) {
            Ok(map) => {
                assert!(case.infinite_scores, "{name}");
                sane(&map);
            }
            Err(error) => {
                assert!(!case.infinite_scores, "{name}: {error}");
                assert!(matches!(error, Error::NonFinite { row: 0, .. }), "{name}: {error}");
            }
        }

        // All scores equal: nothing to tell rows apart by.
        let map =
            fit(&case, &[-1.0; 8], &[true, false, false, false, false, false, false, false], None);
        sane(&map);
        if case.balanced {
            assert!((map.probability(-1.0) - 0.125).abs() < 1e-12, "{name}");
        }

        // Three rows.
        sane(&fit(&case, &[-1.0, 1.0, 0.5], &[false, false, true], None));

        // Separable scores: a solution or a typed error.
        let scored =
            Scored::from_logits(&[-3.0, -2.0, 2.0, 3.0], &[false, false, true, true]).unwrap();
        match case.calibrator.fit(&scored) {
            Ok(map) => {
                assert!(case.separable, "{name}");
                sane(&map);
            }
            Err(error) => {
                assert!(!case.separable, "{name}: {error}");
                assert!(matches!(error, Error::Separation { .. }), "{name}: {error}");
            }
        }
    }
}

#[test]
fn one_positive_in_a_million() {
    let n = 1_000_000;
    let z: Vec<f64> = (0..n).map(|i| f64::from(i % 1000) * 0.01 - 20.0).collect();
    let y: Vec<bool> = (0..n).map(|i| i == 700).collect();
    for case in cases() {
        let map = fit(&case, &z, &y, None);
        let predicted: f64 = map.probabilities(&z).unwrap().iter().sum();
        if case.balanced {
            assert!((predicted - 1.0).abs() < 1e-9, "{}: {predicted}", case.name);
        }
        assert!(predicted.is_finite(), "{}", case.name);
    }
}
