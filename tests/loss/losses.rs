//! Every loss passes the same list of laws; golden values come from arbitrary precision.

use std::sync::Arc;

use approx::assert_relative_eq;
use imbalance::loss::{
    AsymmetricLoss, Block, ClassWeighted, ClassWeights, Derivatives, FocalLoss, LabelSmoothing,
    LogLoss, LogitAdjusted, Loss, Posterior, PosteriorMap, WeightedLogLoss,
};
use imbalance::numerics::{log_sigmoid, log1p_exp, logit, sigmoid};
use imbalance::testing::{Law, LossSuite};
use imbalance::{ClassTotals, Error};
use serde_json::Value;

/// The totals of the fixture: rows and weights differ, so that one cannot stand in for the other.
const TOTALS: ClassTotals =
    ClassTotals { positives: 30, negatives: 970, positive_weight: 45.0, negative_weight: 1940.0 };

/// One row per loss: a new one is held to the contract by adding it here. Those named in the fixture
/// carry its name.
fn configured() -> Vec<(&'static str, Box<dyn Loss>)> {
    let focal = |gamma| FocalLoss::new(gamma).unwrap();
    let asymmetric = |positive, negative, margin| {
        Box::new(AsymmetricLoss::new(positive, negative, margin).unwrap())
    };
    vec![
        ("log", Box::new(LogLoss)),
        ("weighted given", Box::new(WeightedLogLoss::given(10.0, 0.5).unwrap())),
        ("weighted balanced", Box::new(WeightedLogLoss::balanced())),
        ("weighted population", Box::new(WeightedLogLoss::population(0.001).unwrap())),
        ("weighted effective", Box::new(WeightedLogLoss::effective_number(0.999).unwrap())),
        ("focal 0", Box::new(focal(0.0))),
        ("focal 1", Box::new(focal(1.0))),
        ("focal 2", Box::new(focal(2.0))),
        ("focal 0.5", Box::new(focal(0.5))),
        ("focal 5", Box::new(focal(5.0))),
        ("focal 2 alpha", Box::new(focal(2.0).alpha(0.25).unwrap())),
        ("focal 2 uniform", Box::new(focal(2.0).uniform_alpha(0.25).unwrap())),
        ("adjusted 1", Box::new(LogitAdjusted::new(1.0).unwrap())),
        ("adjusted 0.5", Box::new(LogitAdjusted::new(0.5).unwrap())),
        ("asymmetric 0 4 0.05", asymmetric(0.0, 4.0, 0.05)),
        ("asymmetric 1 2 0.2", asymmetric(1.0, 2.0, 0.2)),
        ("asymmetric 1 1 0.01", asymmetric(1.0, 1.0, 0.01)),
        ("asymmetric 0.5 4 0", asymmetric(0.5, 4.0, 0.0)),
        ("asymmetric 0 0 0", asymmetric(0.0, 0.0, 0.0)),
        ("smoothed 0.1", Box::new(LabelSmoothing::new(LogLoss, 0.1).unwrap())),
        ("smoothed 0", Box::new(LabelSmoothing::new(focal(2.0), 0.0).unwrap())),
        (
            "balanced focal 2",
            Box::new(ClassWeighted::new(focal(2.0), ClassWeights::Balanced).unwrap()),
        ),
        (
            "smoothed balanced",
            Box::new(LabelSmoothing::new(WeightedLogLoss::balanced(), 0.02).unwrap()),
        ),
        ("smoothed focal 2", Box::new(LabelSmoothing::new(focal(2.0), 0.1).unwrap())),
        (
            "weighted smoothed",
            Box::new(
                ClassWeighted::new(
                    LabelSmoothing::new(LogLoss, 0.02).unwrap(),
                    ClassWeights::Given { positive: 3.0, negative: 0.25 },
                )
                .unwrap(),
            ),
        ),
        (
            "smoothed asymmetric",
            Box::new(LabelSmoothing::new(*asymmetric(1.0, 2.0, 0.05), 0.02).unwrap()),
        ),
    ]
}

/// As they are made, and as they are trained.
fn losses() -> Vec<(String, Arc<dyn Loss>)> {
    let mut losses: Vec<(String, Arc<dyn Loss>)> = Vec::new();
    for (name, loss) in configured() {
        losses.push((format!("{name}, resolved"), loss.resolve(&TOTALS).unwrap()));
        losses.push((name.into(), Arc::from(loss)));
    }
    losses
}

#[test]
fn every_loss_holds_every_law() {
    for (name, loss) in configured() {
        for seed in 0..8 {
            assert_eq!(LossSuite { seed }.run(&loss), [], "{name}");
        }
    }
}

/// Log loss with something that is not right.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Broken {
    Gradient,
    Curvature,
    Posterior,
    Overflow,
    Block,
    Copy,
    Resolved,
}

impl Loss for Broken {
    fn at(&self, logit: f64, label: bool) -> Derivatives {
        let at = LogLoss.at(logit, label);
        match self {
            Self::Gradient => Derivatives { gradient: 1.01 * at.gradient, ..at },
            Self::Curvature => Derivatives { hessian: -at.hessian, ..at },
            Self::Overflow => {
                let margin = if label { -logit } else { logit };
                Derivatives { value: margin.exp().ln_1p(), ..at }
            }
            _ => at,
        }
    }
    fn shared(&self) -> Arc<dyn Loss> {
        if *self == Self::Copy {
            Arc::new(WeightedLogLoss::given(2.0, 1.0).unwrap())
        } else {
            Arc::new(*self)
        }
    }
    fn posterior(&self) -> Posterior {
        if *self == Self::Posterior { Posterior::Shift(0.1) } else { Posterior::Identity }
    }
    fn block(&self, rows: Block<'_>) -> f64 {
        let factor = if *self == Self::Block { 2.0 } else { 1.0 };
        factor * rows.fill(|z, y| self.at(z, y))
    }
    fn is_resolved(&self) -> bool {
        *self != Self::Resolved
    }
}

#[test]
fn a_broken_loss_is_caught_by_the_law_that_it_breaks() {
    for (loss, law) in [
        (Broken::Gradient, Law::Slopes),
        (Broken::Curvature, Law::Slopes),
        (Broken::Posterior, Law::PosteriorOfGradients),
        (Broken::Posterior, Law::LeastExpectedLoss),
        (Broken::Overflow, Law::Finite),
        (Broken::Block, Law::Block),
        (Broken::Copy, Law::Shared),
        (Broken::Resolved, Law::Resolve),
    ] {
        let broken = LossSuite::default().run(&loss);
        let found = broken.iter().find(|broken| broken.law == law);
        let found = found.unwrap_or_else(|| panic!("{loss:?}: {broken:#?}"));
        println!("{loss:?}: {found}");
    }
    let broken = LossSuite::default().run(&Broken::Gradient);
    let slope = broken.iter().find(|broken| broken.input.contains("the logit 0, label true"));
    let slope = slope.unwrap();
    assert_eq!((slope.found.as_str(), &slope.expected[..4]), ("-0.505", "-0.5"), "{slope}");
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/log_loss.json")).unwrap()
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap()
}

/// Equal to within a few units in the last place, or both below the smallest normal number, where the
/// spacing of floats is absolute.
#[track_caller]
fn assert_close(found: f64, expected: f64, what: &str) {
    let tolerance = 4.0 * f64::EPSILON * expected.abs() + f64::MIN_POSITIVE;
    assert!((found - expected).abs() <= tolerance, "{what}: {found:e}, expected {expected:e}");
}

#[test]
fn log_loss_equals_arbitrary_precision() {
    let fixture = fixture();
    let rows = fixture["loss"].as_array().unwrap();
    assert!(rows.len() >= 50);
    for row in rows {
        let (z, label) = (number(row, "z"), row["label"].as_bool().unwrap());
        let at = LogLoss.at(z, label);
        assert_close(at.value, number(row, "value"), &format!("value at {z}, {label}"));
        assert_close(at.gradient, number(row, "gradient"), &format!("gradient at {z}, {label}"));
        assert_close(at.hessian, number(row, "hessian"), &format!("hessian at {z}, {label}"));
    }
}

#[test]
fn scalar_functions_equal_arbitrary_precision() {
    let fixture = fixture();
    for row in fixture["functions"].as_array().unwrap() {
        let z = number(row, "z");
        assert_close(sigmoid(z), number(row, "sigmoid"), &format!("sigmoid({z})"));
        assert_close(log1p_exp(z), number(row, "log1p_exp"), &format!("log1p_exp({z})"));
        assert_close(log_sigmoid(z), number(row, "log_sigmoid"), &format!("log_sigmoid({z})"));
    }
    for row in fixture["logit"].as_array().unwrap() {
        let p = number(row, "p");
        let expected = number(row, "logit");
        // Around ½ the logit is a difference of equal numbers, and of the order of the spacing of p.
        let tolerance = 4.0 * f64::EPSILON * expected.abs().max(1.0);
        assert!((logit(p) - expected).abs() <= tolerance, "logit({p:e})");
    }
    assert_eq!(sigmoid(f64::INFINITY), 1.0);
    assert_eq!(sigmoid(f64::NEG_INFINITY), 0.0);
    assert!(sigmoid(f64::NAN).is_nan() && logit(f64::NAN).is_nan() && logit(-0.1).is_nan());
    assert_eq!((logit(0.0), logit(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
}

#[test]
fn the_family_equals_arbitrary_precision() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/losses.json")).unwrap();
    let fixture = fixture.as_object().unwrap();
    let losses = configured();
    for (name, rows) in fixture {
        let (_, loss) = losses.iter().find(|(known, _)| known == name).unwrap();
        let loss = loss.resolve(&TOTALS).unwrap();
        for row in rows.as_array().unwrap() {
            let z = row[0].as_f64().unwrap();
            for (label, first) in [(true, 1), (false, 4)] {
                let at = loss.at(z, label);
                for (k, found) in [at.value, at.gradient, at.hessian].into_iter().enumerate() {
                    let expected = row[first + k].as_f64().unwrap();
                    // Twenty operations of half an ulp each; a power with γ ≤ 5 that goes by the
                    // exponential multiplies the relative error of its exponent by γ|z|.
                    let relative = (20.0 + 5.0 * z.abs()) * f64::EPSILON;
                    // Derivatives are sums of terms of the order of the value, or of one, with
                    // opposite signs: their error is relative to the terms.
                    let terms =
                        if z.abs() < 10.0 { at.value.abs().max(at.gradient.abs()) } else { 0.0 };
                    let tolerance = relative * expected.abs().max(terms) + f64::MIN_POSITIVE;
                    assert!(
                        (found - expected).abs() <= tolerance,
                        "{name} at {z}, {label}, derivative {k}: {found:e}, expected {expected:e}"
                    );
                }
            }
            let found = loss.posterior().log_odds(z);
            match row[7].as_f64() {
                Some(expected) => {
                    // As for the derivatives, and the error of z itself where the map is a shift.
                    let tolerance = 100.0 * f64::EPSILON * expected.abs().max(z.abs()).max(1.0);
                    assert!(
                        (found - expected).abs() <= tolerance,
                        "{name}: posterior logit at {z} is {found}, expected {expected}"
                    );
                }
                None => assert!(found.is_infinite(), "{name}: posterior logit at {z} is {found}"),
            }
        }
    }
    assert!(fixture.len() >= 20);
}

#[test]
fn the_posterior_of_a_copy_is_equal_and_that_of_log_loss_a_shift() {
    for (name, loss) in losses() {
        assert_eq!(loss.posterior(), loss.shared().posterior(), "{name}");
    }
    // The maps of log loss with weights and shifts are plain shifts.
    let shift = |loss: &dyn Loss| loss.resolve(&TOTALS).unwrap().posterior();
    assert_eq!(shift(&LogLoss), Posterior::Identity);
    assert_eq!(shift(&LogitAdjusted::new(1.0).unwrap()), Posterior::Shift(TOTALS.log_odds()));
    assert!(matches!(shift(&WeightedLogLoss::balanced()), Posterior::Shift(_)));
}

#[test]
fn a_posterior_of_ones_own_is_asked_for_its_formula() {
    #[derive(Debug)]
    struct Halved;
    impl PosteriorMap for Halved {
        fn log_odds(&self, logit: f64) -> f64 {
            0.5 * logit
        }
    }
    let posterior = Posterior::custom(Halved);
    assert_eq!((posterior.log_odds(3.0), posterior.shift()), (1.5, None));
    assert!((posterior.logit(1.5) - 3.0).abs() < 1e-14);
    assert_eq!(posterior, posterior.clone());
    assert_ne!(posterior, Posterior::custom(Halved));
    assert_eq!(posterior.shifted(1.0).to_string(), "the map of Halved, then a shift by +1.0000");
}

#[test]
fn the_asymmetric_posterior_is_bounded_as_documented() {
    let loss = AsymmetricLoss::new(0.0, 4.0, 0.05).unwrap();
    let c = 4.0 * 0.95_f64.powi(3) * 20_f64.ln() + 0.95_f64.powi(4) / 0.05;
    for z in [40.0, 800.0, 1e4, f64::INFINITY] {
        assert!((loss.posterior().probability(z) - c / (1.0 + c)).abs() < 1e-13, "{z}");
    }
    assert!((c / (1.0 + c) - 0.964).abs() < 5e-4);
}

#[test]
fn the_focal_posterior_is_the_published_one() {
    // Charoenphakdee et al. 2021, with α_t.
    let a = |p: f64, gamma: f64| {
        (1.0 - p).powf(gamma) / p - gamma * (1.0 - p).powf(gamma - 1.0) * p.ln()
    };
    for gamma in [0.5, 1.0, 2.0, 5.0] {
        for alpha in [0.25, 0.5, 0.9] {
            let loss = FocalLoss::new(gamma).unwrap().alpha(alpha).unwrap();
            for z in [-9.0, -4.0, -1.0, 0.0, 0.5, 3.0, 8.0] {
                let p = sigmoid(z);
                let down = (1.0 - alpha) * a(1.0 - p, gamma);
                let expected = down / (alpha * a(p, gamma) + down);
                let found = loss.posterior().probability(z);
                // 1 − p cancels in the closed form: 2⁻⁵³/(1 − p), times γ.
                assert!(
                    (found / expected - 1.0).abs() < 1e-11,
                    "γ {gamma} α {alpha} z {z}: {found}"
                );
            }
        }
    }
}

#[test]
fn focal_loss_without_focus_is_cross_entropy() {
    let focal = FocalLoss::new(0.0).unwrap();
    for z in [-1e4, -37.0, -6.9, 0.0, 0.3, 5.0, 233.0] {
        for label in [false, true] {
            let (found, expected) = (focal.at(z, label), LogLoss.at(z, label));
            assert_close(found.value, expected.value, "value");
            assert_close(found.gradient, expected.gradient, "gradient");
            assert_close(found.hessian, expected.hessian, "hessian");
        }
        assert!((focal.posterior().log_odds(z) - z).abs() <= 4.0 * f64::EPSILON * z.abs());
    }
}

#[test]
fn class_weights_follow_their_formulas() {
    let weights = |weights| {
        let loss = ClassWeighted::new(LogLoss, weights).unwrap();
        assert!(matches!(weights, ClassWeights::Given { .. }) || loss.weights() == (1.0, 1.0));
        let resolved = loss.resolve(&TOTALS).unwrap();
        let share = |label| resolved.at(0.0, label).value / LogLoss.at(0.0, label).value;
        (share(true), share(false))
    };
    let close = |(a, b): (f64, f64), (c, d): (f64, f64)| {
        assert!((a / c - 1.0).abs() < 1e-14 && (b / d - 1.0).abs() < 1e-14, "{a} {b}, not {c} {d}");
    };
    // From weights, not rows: 45 of 1,985.
    close(weights(ClassWeights::Balanced), (1985.0 / 90.0, 1985.0 / 3880.0));
    close(
        weights(ClassWeights::Population { rate: 0.001 }),
        (0.001 * 1985.0 / 45.0, 0.999 * 1985.0 / 1940.0),
    );
    // From rows, not weights: no overlap is equal weights, and b → 1 is one over the rows.
    close(weights(ClassWeights::EffectiveNumber { beta: 0.0 }), (1.0, 1.0));
    let (a, b) = weights(ClassWeights::EffectiveNumber { beta: 1.0 - 1e-12 });
    assert!((a / b * 30.0 / 970.0 - 1.0).abs() < 1e-9 && (a + b - 2.0).abs() < 1e-14);
    close(weights(ClassWeights::Given { positive: 7.0, negative: 0.5 }), (7.0, 0.5));
}

#[test]
fn weights_multiply() {
    for (name, loss) in losses() {
        let weighted = ClassWeighted::new(
            Arc::clone(&loss),
            ClassWeights::Given { positive: 3.0, negative: 0.5 },
        )
        .unwrap();
        for z in [-37.0, -6.9, -1.0, 0.0, 2.0, 37.0] {
            for (label, weight) in [(true, 3.0), (false, 0.5)] {
                assert_eq!(
                    weighted.at(z, label),
                    loss.at(z, label).scaled(weight),
                    "{name} at {z}"
                );
            }
        }
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    fn refuses<T: std::fmt::Debug>(argument: &str, made: imbalance::Result<T>) {
        match made {
            Err(Error::InvalidArgument { argument: found, .. }) => assert_eq!(found, argument),
            other => panic!("{other:?}"),
        }
    }
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        refuses("gamma", FocalLoss::new(bad));
        refuses("alpha", FocalLoss::new(2.0).unwrap().alpha(bad));
        refuses("alpha", FocalLoss::new(2.0).unwrap().uniform_alpha(bad));
        refuses("positive", WeightedLogLoss::given(bad, 1.0));
        refuses("negative", WeightedLogLoss::given(1.0, bad));
        refuses("rate", WeightedLogLoss::population(bad));
        refuses("beta", WeightedLogLoss::effective_number(bad));
        refuses("tau", LogitAdjusted::new(bad));
        refuses("epsilon", LabelSmoothing::new(LogLoss, bad));
        refuses("margin", AsymmetricLoss::new(0.0, 4.0, bad));
        refuses("gamma_positive", AsymmetricLoss::new(bad, 4.0, 0.05));
        refuses("gamma_negative", AsymmetricLoss::new(0.0, bad, 0.05));
    }
    refuses("positive", WeightedLogLoss::given(0.0, 1.0));
    refuses("alpha", FocalLoss::new(2.0).unwrap().alpha(1.0));
    refuses("rate", WeightedLogLoss::population(1.0));
    refuses("beta", WeightedLogLoss::effective_number(1.0));
    refuses("epsilon", LabelSmoothing::new(LogLoss, 1.0));
    refuses("margin", AsymmetricLoss::new(0.0, 4.0, 1.0));
    refuses("gamma_negative", AsymmetricLoss::new(0.0, 0.5, 0.05));

    // Weights that come from the rows need both classes.
    let one_class =
        ClassTotals { positives: 0, negatives: 5, positive_weight: 0.0, negative_weight: 5.0 };
    let losses: [Box<dyn Loss>; 4] = [
        Box::new(WeightedLogLoss::balanced()),
        Box::new(WeightedLogLoss::population(0.1).unwrap()),
        Box::new(
            LabelSmoothing::new(WeightedLogLoss::effective_number(0.9).unwrap(), 0.1).unwrap(),
        ),
        Box::new(LogitAdjusted::new(1.0).unwrap()),
    ];
    for loss in losses {
        let error = loss.resolve(&one_class).unwrap_err();
        assert!(matches!(error, Error::OneClass { .. }), "{loss:?}: {error}");
    }
}

#[test]
fn the_provided_posterior_agrees_with_the_overridden_one() {
    /// The log loss without its own map: what a user's loss inherits.
    #[derive(Debug)]
    struct Plain;
    impl Loss for Plain {
        fn at(&self, logit: f64, label: bool) -> imbalance::loss::Derivatives {
            LogLoss.at(logit, label)
        }
        fn shared(&self) -> Arc<dyn Loss> {
            Arc::new(Self)
        }
    }
    for z in [-700.0, -233.0, -37.0, -6.9, 0.0, 1.0, 37.0, 233.0, 700.0] {
        let (found, expected) = (Plain.posterior().log_odds(z), LogLoss.posterior().log_odds(z));
        assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{z}: {found}");
    }
    // Beyond the range of e^z the provided map is certain, never NaN.
    assert_eq!(
        (Plain.posterior().probability(-1e4), Plain.posterior().probability(1e4)),
        (0.0, 1.0)
    );
}

#[test]
fn a_posterior_of_gradients_that_vanish_is_certain_and_not_nan() {
    /// (σ(z) − y)², whose gradients are both 0 in `f64` below a logit of −746.
    #[derive(Debug)]
    struct Brier;
    impl Loss for Brier {
        fn at(&self, logit: f64, label: bool) -> Derivatives {
            let (p, q) = (sigmoid(logit), sigmoid(-logit));
            let miss = if label { -q } else { p };
            let hessian = 2.0 * p * q * (p * q + miss * (q - p));
            Derivatives { value: miss * miss, gradient: 2.0 * miss * p * q, hessian }
        }
        fn shared(&self) -> Arc<dyn Loss> {
            Arc::new(Self)
        }
    }
    let posterior = Brier.posterior();
    for (z, p) in [(-1e20, 0.0), (-746.0, 0.0), (-400.0, 0.0), (400.0, 1.0), (746.0, 1.0)] {
        assert_eq!(posterior.probability(z), p, "{z}");
    }
    assert!(posterior.probability(f64::NAN).is_nan());
    assert_eq!(LossSuite::default().run(&Brier), []);
}

#[test]
fn at_the_margin_a_negative_has_no_loss_and_above_it_one_that_starts_smoothly() {
    for (gamma, margin) in [(1.0, 0.2), (2.0, 0.05), (4.0, 0.05)] {
        let loss = AsymmetricLoss::new(0.0, gamma, margin).unwrap();
        let kink = logit(margin);
        for z in [kink - 1e-9, kink - 1.0, -40.0, -1e4] {
            let at = loss.at(z, false);
            assert_eq!(
                (at.value, at.gradient, at.hessian),
                (0.0, 0.0, 0.0),
                "{gamma} {margin} {z}"
            );
            assert_eq!(loss.posterior().probability(z), 0.0);
        }
        // Just above, u = p − m = p(1 − p)h up to a share of h, and −uᵞ ln(1 − u) = u^(γ + 1) up to a share
        // of u: value, slope and curvature in h are those of (ch)^(γ + 1) with c = m(1 − m).
        let (h, c) = (1e-6, margin * (1.0 - margin));
        let at = loss.at(kink + h, false);
        // u is a difference of numbers of size m: 2⁻⁵² m of c h, which is 2e-10 / (1 − m).
        let close = |found: f64, expected: f64| {
            assert_relative_eq!(found, expected, max_relative = (gamma + 1.0) * 1e-5);
        };
        close(at.value, (c * h).powf(gamma + 1.0));
        close(at.gradient, (gamma + 1.0) * c * (c * h).powf(gamma));
        close(at.hessian, (gamma + 1.0) * gamma * c * c * (c * h).powf(gamma - 1.0));
        // The curvature jumps at the margin for γ = 1 and starts at zero for more.
        assert_eq!(at.hessian > 1e-3, gamma == 1.0, "{gamma}: {}", at.hessian);
        assert!(loss.posterior().probability(kink + h) > 0.0);
    }
}

#[test]
fn a_block_of_unequal_lengths_is_refused() {
    let (logits, labels) = ([0.0; 3], [true; 3]);
    let lengths = [[2, 3, 3, 3], [3, 2, 3, 3], [3, 4, 3, 3], [3, 3, 2, 3], [3, 3, 3, 0]];
    for ([y, w, g, h], what) in
        lengths.into_iter().zip(["labels", "weights", "weights", "gradients", "hessians"])
    {
        let (weights, mut gradients, mut hessians) = (vec![1.0; w], vec![0.0; g], vec![0.0; h]);
        let block =
            Block::new(&logits, &labels[..y], Some(&weights), &mut gradients, &mut hessians);
        match block.unwrap_err() {
            Error::LengthMismatch { what: found, expected: 3, .. } => assert!(found.contains(what)),
            other => panic!("{other}"),
        }
    }
}

/// Where (1 − p) ln p has no product with γ in the range of f64, the curvature is 0 and not 0 · ∞.
#[test]
fn derivatives_of_the_largest_logits_are_numbers() {
    let losses: [Box<dyn Loss>; 4] = [
        Box::new(FocalLoss::new(2.0).unwrap()),
        Box::new(FocalLoss::new(100.0).unwrap().alpha(0.25).unwrap()),
        Box::new(AsymmetricLoss::new(2.0, 4.0, 0.0).unwrap()),
        Box::new(AsymmetricLoss::new(50.0, 4.0, 0.05).unwrap()),
    ];
    for loss in losses {
        for z in [f64::MIN, -1e308, 1e308, f64::MAX] {
            for label in [false, true] {
                let at = loss.at(z, label);
                assert!(at.value >= 0.0 && at.hessian == 0.0, "{loss:?}, {z:e}, {label}: {at:?}");
                assert!(at.gradient.is_finite(), "{loss:?}, {z:e}, {label}: {at:?}");
            }
        }
    }
}
