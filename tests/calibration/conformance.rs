//! The contract of calibrators that learn, held against every one of them.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

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
use imbalance::testing::{CalibratorSuite, Law, ReversedScores, SecondFit};
use imbalance::{Error, Progress, Result, Run, Seed};
use proptest::prelude::*;
use rayon::prelude::*;

/// A calibrator and what it promises.
struct Case {
    name: &'static str,
    calibrator: BoxCalibrator,
    suite: CalibratorSuite,
}

fn case(
    name: &'static str,
    calibrator: impl Calibrator<Map: 'static> + 'static,
    suite: CalibratorSuite,
) -> Case {
    Case { name, calibrator: calibrator.boxed(), suite }
}

/// Every calibrator that learns, in every form it has. A new one is a line here.
fn cases() -> Vec<Case> {
    // A parabola of a parabola is a new shape, and so is a beta of a beta: its parameter may gain as much as noise gives
    // one in 256 samples.
    const NEW_SHAPE: SecondFit = SecondFit::Within(3.0);
    let plain = || CalibratorSuite { cases: 32, ..CalibratorSuite::default() };
    let scale_free_to = Some(1e280);
    // A line that reaches its optimum at once.
    let line = || CalibratorSuite { again: SecondFit::Same, scale_free_to, ..plain() };
    let platt = || CalibratorSuite {
        is_balanced: false,
        takes_separated_scores: true,
        counts_rows: true,
        // The mean target, of 2/3 once and 1/9 seven times.
        one_in_eight: (2.0 / 3.0 + 7.0 / 9.0) / 8.0,
        // Smoothed targets lie closer to ½ by less than 1/(200 + 2).
        reversed: ReversedScores::Rate(1.0 / 202.0),
        scale_free_to,
        ..plain()
    };
    // Shrunk twice, by less than the weight of a row of each class.
    let isotonic = || CalibratorSuite {
        takes_certain_scores: true,
        takes_separated_scores: true,
        counts_rows: true,
        ..plain()
    };
    let free = || CalibratorSuite { is_monotone: false, reversed: ReversedScores::Free, ..plain() };
    let histogram = || CalibratorSuite {
        takes_certain_scores: true,
        takes_separated_scores: true,
        // Bins with neighbouring means may become one.
        counts_rows: true,
        again: SecondFit::Within(4.0),
        ..free()
    };
    let isotonic_by = |form| IsotonicRegression::new().interpolation(form);
    vec![
        case("Platt", PlattScaling::new(), platt()),
        case("Platt, plain targets", PlattScaling::new().plain_targets(true), line()),
        case(
            "Platt, as printed",
            PlattScaling::new().on_probabilities(true).plain_targets(true),
            CalibratorSuite { takes_certain_scores: true, ..plain() },
        ),
        case(
            "isotonic",
            IsotonicRegression::new(),
            CalibratorSuite { scale_free_to, ..isotonic() },
        ),
        case(
            "isotonic, linear in the probability",
            isotonic_by(Interpolation::LinearInProbability),
            isotonic(),
        ),
        case("isotonic, steps", isotonic_by(Interpolation::Steps), isotonic()),
        case(
            "isotonic, bounded",
            IsotonicRegression::new().bounds(0.05, 0.9).unwrap(),
            CalibratorSuite {
                is_balanced: false,
                counts_rows: false,
                again: SecondFit::Same,
                ..isotonic()
            },
        ),
        case("beta abm", BetaCalibration::abm(), CalibratorSuite { again: NEW_SHAPE, ..plain() }),
        case("beta am", BetaCalibration::am(), line()),
        case(
            "beta ab",
            BetaCalibration::ab(),
            CalibratorSuite { is_balanced: false, reversed: ReversedScores::Half, ..plain() },
        ),
        case("beta CDF", BetaCdf, CalibratorSuite { is_balanced: false, ..plain() }),
        case(
            "quadratic logit",
            QuadraticLogit::new(),
            CalibratorSuite {
                has_peak: true,
                again: NEW_SHAPE,
                // The parameter of z² must be a number too.
                scale_free_to: Some(1e140),
                ..free()
            },
        ),
        case(
            "quadratic logit, monotone",
            QuadraticLogit::new().monotone(true),
            CalibratorSuite { again: NEW_SHAPE, ..plain() },
        ),
        case(
            "spline",
            SplineCalibration::new(),
            CalibratorSuite { counts_rows: true, scale_free_to, ..free() },
        ),
        case(
            "spline, monotone",
            SplineCalibration::new().monotone(true),
            CalibratorSuite { counts_rows: true, ..plain() },
        ),
        case(
            "temperature",
            TemperatureScaling::new(),
            CalibratorSuite { is_balanced: false, reversed: ReversedScores::Half, ..line() },
        ),
        case("temperature, bias corrected", TemperatureScaling::new().bias_corrected(true), line()),
        case("histogram", HistogramBinning::quantiles(10).unwrap(), histogram()),
        case("histogram, equal width", HistogramBinning::equal_width(10).unwrap(), histogram()),
        case(
            "Venn–Abers",
            VennAbers,
            CalibratorSuite {
                is_balanced: false,
                // Flat but for the ends, where the added row stands alone.
                reversed: ReversedScores::Free,
                // p₀ = 1/9 and p₁ = 2/9.
                one_in_eight: 0.2,
                ..isotonic()
            },
        ),
        case(
            "clip, then Platt",
            Clip::new(1e-4).unwrap().then(PlattScaling::new()),
            CalibratorSuite { takes_certain_scores: true, scale_free_to: None, ..platt() },
        ),
        case(
            "prior correction, then Platt",
            PriorCorrection::new().then(PlattScaling::new()),
            platt(),
        ),
        case(
            "prior correction, then isotonic",
            PriorCorrection::from_sampling_rate(0.2).unwrap().then(IsotonicRegression::new()),
            // A prior correction is for scores as they came.
            CalibratorSuite { second: Some(IsotonicRegression::new().boxed()), ..isotonic() },
        ),
    ]
}

#[test]
fn every_calibrator_holds_every_law() {
    let broken: Vec<String> = cases()
        .into_par_iter()
        .flat_map_iter(|Case { name, calibrator, suite }| {
            let broken = suite.run(&calibrator);
            broken.into_iter().map(move |law| format!("{name}: {law}"))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Tasks with the units done and all, as an observer hears of them until it stops the work at one of these.
fn tasks(
    stop: usize,
    work: impl Fn(&Run) -> Result<()>,
) -> (Result<()>, Vec<(&'static str, u64, u64)>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&seen);
    let result = work(&Run::default().observed(move |progress| {
        let mut heard = heard.lock().unwrap();
        if let Progress::Work { task, done, of, .. } = *progress {
            heard.push((task, done, of));
        }
        if heard.len() >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }));
    let seen = seen.lock().unwrap().clone();
    (result, seen)
}

/// That work tells an observer how far it is, and ends when the observer says so.
fn assert_observed(name: &str, work: impl Fn(&Run) -> Result<()>) {
    let (result, seen) = tasks(usize::MAX, &work);
    assert!(result.is_ok(), "{name}: {result:?}");
    assert!(seen.iter().all(|&(_, done, of)| done <= of), "{name}: {seen:?}");
    // Counts begin anew with the next task only, after the end of the one before.
    let mut falls = seen.windows(2).filter(|pair| pair[1].1 < pair[0].1);
    let complete = |&(_, done, of): &(&str, u64, u64)| done == of;
    assert!(falls.all(|pair| complete(&pair[0])), "{name}: {seen:?}");
    assert!(seen.last().is_some_and(complete), "{name}: {seen:?}");
    for stop in 1..=2 {
        let (result, seen) = tasks(stop, &work);
        assert!(matches!(result, Err(Error::Cancelled { .. })), "{name}: {result:?}");
        assert_eq!(seen.len(), stop, "{name}: {seen:?}");
    }
}

#[test]
fn every_calibrator_tells_its_progress_and_stops() {
    // Enough rows for the summaries that fits start from.
    let z: Vec<f64> = (0..70_000).map(|i| 8.0 * uniform(40, i) - 6.0).collect();
    let y: Vec<bool> = (0..z.len()).map(|i| uniform(41, i) < sigmoid(0.7 * z[i])).collect();
    let set = CalibrationSet::from_logits(&z, &y).unwrap();
    let learn = |calibrator: &BoxCalibrator, run: &Run| {
        calibrator.learn(&set.clone().with_run(run)).map(drop)
    };
    cases().into_par_iter().for_each(|case| {
        assert_observed(case.name, |run| learn(&case.calibrator, run));
        // The observer changes nothing.
        let run = Run::default().observed(|_| ControlFlow::Continue(()));
        let observed = case.calibrator.learn(&set.clone().with_run(&run)).unwrap();
        let plain = case.calibrator.learn(&set).unwrap();
        assert_eq!(observed.map().built_in(), plain.map().built_in(), "{}", case.name);
        assert_eq!(observed.report(), plain.report(), "{}", case.name);
    });
    for closed in [PriorCorrection::new().boxed(), Clip::new(1e-4).unwrap().boxed()] {
        assert_observed(&format!("{closed:?}"), |run| learn(&closed, run));
    }
    let (logits, drawn) = classes(3000);
    let set = ClassSet::new(logits.view(), &drawn).unwrap();
    assert_observed("many classes", |run| {
        TemperatureScaling::new().fit_classes(&set.clone().with_run(run)).map(drop)
    });
}

#[test]
fn maps_of_closed_form_hold_the_laws_of_maps() {
    // What these do to the mean of rows is not learned from them.
    let suite = CalibratorSuite::default();
    assert_eq!(suite.run(&PriorCorrection::from_sampling_rate(0.2).unwrap()), []);
    assert_eq!(suite.run(&PriorCorrection::new()), []);
    assert_eq!(suite.run(&Uncalibrated), []);
}

fn fit(case: &Case, z: &[f64], y: &[bool]) -> Calibration<Box<dyn CalibrationMap>> {
    case.calibrator.learn(&CalibrationSet::from_logits(z, y).unwrap()).unwrap()
}

#[test]
fn built_in_maps_are_plain_values_and_errors_name_a_way_out() {
    let (z, y) = ([-1.0, -0.5, 0.5, 0.5, 1.0, -0.7], [false, true, true, false, true, false]);
    for case in cases() {
        let map = fit(&case, &z, &y);
        assert!(map.built_in().is_some(), "{}", case.name);
        let report = map.report().unwrap().to_string();
        assert!(report.contains("predicted / observed"), "{}", case.name);
        assert!(case.calibrator.needs_rows() && case.calibrator.corrects_prior());
        let refused = |z: &[f64], way_out: &str| {
            let y = [false, false, true, true];
            let error = case.calibrator.learn(&CalibrationSet::from_logits(z, &y).unwrap());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(way_out), "{}: {error}", case.name);
        };
        if !case.suite.takes_certain_scores {
            refused(&[f64::NEG_INFINITY, 1.0, 0.0, f64::INFINITY], "`Clip::new(1e-6)?.then(");
        }
        if !case.suite.takes_separated_scores {
            refused(&[-3.0, -2.0, 2.0, 3.0], "smoothed targets");
        }
    }
}

/// The base rate with something that is not right.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Broken {
    /// It gives 2.0.
    Two,
    /// The map falls.
    Falls,
    /// It ignores the weights.
    Unweighted,
    /// It takes the rate of the first half of the rows.
    First,
    /// Half of the rate.
    Half,
    /// It takes distorted rows.
    Distorted,
    /// A block has other values than its scores.
    Block,
}

#[derive(Debug)]
struct BrokenMap(Broken, f64);

impl CalibrationMap for BrokenMap {
    fn logit(&self, z: f64) -> f64 {
        match self.0 {
            _ if z.is_nan() => z,
            Broken::Falls => self.1 - 0.1 * z.clamp(-1.0, 1.0),
            _ => self.1,
        }
    }
    fn probability(&self, z: f64) -> f64 {
        if self.0 == Broken::Two { 2.0 } else { sigmoid(self.logit(z)) }
    }
    fn apply(&self, scale: Scale, scores: &mut [f64]) {
        let wrong = |score: f64| scale == Scale::Probability && !(0.0..=1.0).contains(&score);
        let by = if self.0 == Broken::Block { 1e-9 } else { 0.0 };
        for score in scores {
            *score = if wrong(*score) { f64::NAN } else { self.probability(*score) + by };
        }
    }
}

impl Calibrator for Broken {
    type Map = BrokenMap;
    fn needs_rows(&self) -> bool {
        true
    }
    fn fit(
        &self,
        _: &TrainingContext,
        rows: Option<&CalibrationSet<'_>>,
    ) -> imbalance::Result<Calibration<BrokenMap>> {
        let rows = match (self, rows) {
            (Self::Distorted, Some(rows)) => {
                rows.totals().ensure_both("Broken")?;
                rows
            }
            _ => CalibrationSet::representative(rows, "Broken")?,
        };
        let rate = |y: &[bool]| y.iter().filter(|&&y| y).count() as f64 / y.len() as f64;
        let rate = match self {
            Self::Unweighted => rate(rows.labels()),
            Self::First => rate(&rows.labels()[..rows.rows().div_ceil(2)]),
            Self::Half => 0.5 * rows.totals().rate(),
            _ => rows.totals().rate(),
        };
        Ok(Calibration::new(BrokenMap(*self, (rate / (1.0 - rate)).ln())))
    }
}

#[test]
fn a_broken_calibrator_is_caught_by_the_law_that_it_breaks() {
    let suite = CalibratorSuite {
        takes_certain_scores: true,
        takes_separated_scores: true,
        ..CalibratorSuite::default()
    };
    for (calibrator, law) in [
        (Broken::Two, Law::Probabilities),
        (Broken::Falls, Law::Monotone),
        (Broken::Unweighted, Law::Weights),
        (Broken::First, Law::RowOrder),
        (Broken::Half, Law::Balanced),
        (Broken::Distorted, Law::Answers),
        (Broken::Block, Law::Probabilities),
    ] {
        let broken = suite.run(&calibrator);
        let found = broken.iter().find(|broken| broken.law == law);
        let found = found.unwrap_or_else(|| panic!("{calibrator:?}: {broken:#?}"));
        println!("{calibrator:?}: {found}");
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

/// The relative difference of two solutions of the same problem by sums in another order: what the promise
/// of 1e-8 to the optimum leaves.
const SOLUTION: f64 = 1e-8;

/// A number from 0 to 1 of its own for each row of a seed.
fn uniform(seed: u64, row: usize) -> f64 {
    Seed::new(seed).child(&row.to_string()).value() as f64 / 2_f64.powi(64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
        let map = fit(&case, &z, &y);
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
