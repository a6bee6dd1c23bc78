//! The laws of losses.

use super::findings::{BrokenLaw, Findings, Law};
use super::inputs::uniform;
use crate::core::{ClassTotals, Result};
use crate::loss::{Block, Loss, Posterior};

/// Rows and weights differ, so that one cannot stand in for the other.
const TOTALS: ClassTotals =
    ClassTotals { positives: 30, negatives: 970, positive_weight: 45.0, negative_weight: 1940.0 };

/// Those of other rows.
const OTHERS: ClassTotals =
    ClassTotals { positives: 200, negatives: 800, positive_weight: 250.0, negative_weight: 900.0 };

const LOGITS: [f64; 11] = [-30.0, -9.2, -6.9, -3.05, -0.7, 0.0, 0.4, 2.0, 5.5, 12.0, 30.0];

/// The laws of a [`Loss`], as it is made and resolved for rows.
///
/// [`Finite`](Law::Finite), [`Slopes`](Law::Slopes), [`Block`](Law::Block), [`Shared`](Law::Shared),
/// [`Resolve`](Law::Resolve), [`PosteriorRises`](Law::PosteriorRises),
/// [`PosteriorOfGradients`](Law::PosteriorOfGradients) and [`LeastExpectedLoss`](Law::LeastExpectedLoss).
///
/// ```
/// use std::sync::Arc;
/// use imbalance::loss::{Derivatives, Loss};
/// use imbalance::numerics::sigmoid;
/// use imbalance::testing::LossSuite;
///
/// /// The squared error of the probability, (σ(z) − y)².
/// #[derive(Debug, Clone)]
/// struct Brier;
///
/// impl Loss for Brier {
///     fn at(&self, logit: f64, label: bool) -> Derivatives {
///         let (p, q) = (sigmoid(logit), sigmoid(-logit));
///         let miss = if label { -q } else { p };
///         Derivatives {
///             value: miss * miss,
///             gradient: 2.0 * miss * p * q,
///             hessian: 2.0 * p * q * (p * q + miss * (q - p)),
///         }
///     }
///
///     fn shared(&self) -> Arc<dyn Loss> {
///         Arc::new(self.clone())
///     }
/// }
///
/// assert_eq!(LossSuite::default().run(&Brier), []);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LossSuite {
    /// The seed of the random rows in blocks. Default: 0.
    pub seed: u64,
}

impl LossSuite {
    /// The laws that the loss breaks.
    #[must_use]
    pub fn run(&self, loss: &dyn Loss) -> Vec<BrokenLaw> {
        let mut found = Findings::default();
        let refused = self.laws_of_both(loss, &mut found);
        found.answer(refused);
        found.into_broken()
    }

    fn laws_of_both(&self, loss: &dyn Loss, found: &mut Findings) -> Result<()> {
        self.laws(loss, "as made", found)?;
        self.laws(&loss.resolve(&TOTALS)?, "resolved", found)?;
        found.on("constants from 30 of 1,000 and from 200 of 1,000 rows");
        resolve(loss, found)
    }

    fn laws(&self, loss: &dyn Loss, form: &str, found: &mut Findings) -> Result<()> {
        let posterior = loss.posterior();
        slopes(loss, form, found);
        finite(loss, form, found);
        rises(&posterior, form, found);
        least_expected_loss(loss, &posterior, form, found);
        of_gradients(loss, &posterior, form, found);
        shared(loss, &posterior, form, found);
        (0..32).try_for_each(|case| block(loss, 32 * self.seed + case, form, found))
    }
}

fn slopes(loss: &dyn Loss, form: &str, found: &mut Findings) {
    for (z, label) in LOGITS.into_iter().flat_map(|z| [(z, false), (z, true)]) {
        // Fourth-order central differences: their error is h⁴ f⁗ / 30 plus the rounding of f over h. With h = 2⁻⁸
        // that is 8e-12 times a derivative of the order of the loss's weight, at most 50 here, and of γ⁴.
        let h = 1.0 / 256.0;
        let slope = |f: &dyn Fn(f64) -> f64| {
            (8.0 * (f(z + h) - f(z - h)) - (f(z + 2.0 * h) - f(z - 2.0 * h))) / (12.0 * h)
        };
        let at = loss.at(z, label);
        let gradient = slope(&|z| loss.at(z, label).value);
        let hessian = slope(&|z| loss.at(z, label).gradient);
        let scale = (at.value.abs() / (1.0 + z.abs())).max(1.0);
        let tolerance = scale * (1e-8 + 2e-13 * z.abs() / h);
        found.on(format!("{form}, gradient at the logit {z}, label {label}"));
        found.near(Law::Slopes, None, [at.gradient, gradient], tolerance);
        found.on(format!("{form}, curvature at the logit {z}, label {label}"));
        found.near(Law::Slopes, None, [at.hessian, hessian], tolerance);
    }
}

fn finite(loss: &dyn Loss, form: &str, found: &mut Findings) {
    for z in [37.0, 233.0, 709.0, 746.0, 1e4, 1e20] {
        for (z, label) in [(z, true), (z, false), (-z, true), (-z, false)] {
            let at = loss.at(z, label);
            let finite = [at.value, at.gradient, at.hessian].iter().all(|x| x.is_finite());
            found.on(format!("{form}, the logit {z:?}, label {label}"));
            let texts = || (format!("{at:?}"), "finite numbers, and a value of 0 or above");
            found.holds(Law::Finite, None, finite && at.value >= 0.0, texts);
        }
    }
}

fn rises(posterior: &Posterior, form: &str, found: &mut Findings) {
    let grid = [0.0, 0.3, 1.0, 2.0, 4.0, 7.0, 12.0, 20.0, 37.0, 233.0, 746.0, 1e4, 1e20];
    let below = grid.iter().rev().map(|z| -z);
    let mut last = posterior.probability(f64::NEG_INFINITY);
    found.on(format!("{form}, the logit −∞"));
    found.holds(Law::PosteriorRises, None, last >= 0.0, || (format!("{last:?}"), "0 or above"));
    last = last.max(0.0);
    for z in below.chain(grid).chain([f64::INFINITY]) {
        let p = posterior.probability(z);
        // Monotone to the rounding of a logit of the largest size that is not yet certain.
        found.on(format!("{form}, the logit {z:?}"));
        let rises = p >= last - 1e-13 && p <= 1.0;
        found.holds(Law::PosteriorRises, None, rises, || {
            (format!("{p:?}"), format!("from {last:?} to 1"))
        });
        last = last.max(p);
    }
    found.on(format!("{form}, the logit NaN"));
    let p = posterior.probability(f64::NAN);
    found.holds(Law::PosteriorRises, None, p.is_nan(), || (p, "NaN"));
}

fn least_expected_loss(loss: &dyn Loss, posterior: &Posterior, form: &str, found: &mut Findings) {
    let bounded = loss.at(1e4, false).value < 1e3;
    for eta in [1e-6, 1e-3, 0.02, 0.1, 0.3, 0.5, 0.8, 0.99] {
        found.on(format!("{form}, the class probability {eta:?}"));
        // Where the loss of a negative is bounded, the largest rates may have no finite minimum: those that the
        // posterior does not reach.
        let reached = posterior.probability(40.0);
        if eta > reached {
            let texts = || (format!("the posterior ends at {reached:?}"), "it to be reached");
            found.holds(Law::LeastExpectedLoss, None, bounded, texts);
            continue;
        }
        // The expected loss falls left of its minimum and rises right of it: bisect its slope.
        let both = |z: f64| (loss.at(z, true), loss.at(z, false));
        let slope = |z: f64| {
            let (positive, negative) = both(z);
            eta * positive.gradient + (1.0 - eta) * negative.gradient
        };
        let (mut low, mut high) = (-60.0, 60.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
        let z = 0.5 * (low + high);
        // It is the least value of a grid, not only a place without slope.
        let expected = |z: f64| {
            let (positive, negative) = both(z);
            eta * positive.value + (1.0 - eta) * negative.value
        };
        let least = (-400..=400).map(|k| expected(f64::from(k) / 10.0)).fold(f64::MAX, f64::min);
        let texts =
            || (format!("{:?} at the logit {z}", expected(z)), format!("at most {least:?}"));
        let is_least = expected(z) <= least * (1.0 + 1e-12);
        found.holds(Law::LeastExpectedLoss, None, is_least, texts);
        found.near(Law::LeastExpectedLoss, None, [posterior.probability(z), eta], 1e-8 * eta);
    }
}

fn of_gradients(loss: &dyn Loss, posterior: &Posterior, form: &str, found: &mut Findings) {
    let law = Law::PosteriorOfGradients;
    let by_gradients = Posterior::of_gradients(loss.shared());
    for z in LOGITS {
        let log_odds = posterior.log_odds(z);
        if let Some(shift) = posterior.shift() {
            // One rounding of the sum.
            found.on(format!("{form}, the shift at the logit {z}"));
            found.near(law, None, [log_odds - z, shift], 1e-14 * (1.0 + z.abs()));
        }
        // η = g₀/(g₀ − g₁): twenty operations, and under label smoothing a difference of numbers up to 1.
        let (down, up) = (loss.at(z, false).gradient, loss.at(z, true).gradient);
        let expected = (down / (down - up)).clamp(0.0, 1.0);
        found.on(format!("{form}, the logit {z}"));
        for p in [posterior.probability(z), by_gradients.probability(z)] {
            found.near(law, None, [p, expected], 1e-13);
        }
        if log_odds.is_finite() {
            // To the tolerance of the inversion.
            let again = posterior.log_odds(posterior.logit(log_odds));
            let most = 1e-14 * (1.0 + log_odds.abs() + z.abs());
            found.on(format!("{form}, the inverse at the logit {z}"));
            found.near(law, None, [again, log_odds], most);
        }
    }
}

fn shared(loss: &dyn Loss, posterior: &Posterior, form: &str, found: &mut Findings) {
    let copy = loss.shared();
    let copied = copy.posterior();
    found.on(format!("{form}, the copy of it"));
    found.equal(Law::Shared, None, &copy.is_resolved(), &loss.is_resolved());
    found.equal(Law::Shared, None, &format!("{copy:?}"), &format!("{loss:?}"));
    for z in LOGITS {
        found.on(format!("{form}, the copy of it at the logit {z}"));
        for label in [false, true] {
            found.equal(Law::Shared, None, &copy.at(z, label), &loss.at(z, label));
        }
        found.equal(Law::Shared, None, &copied.log_odds(z), &posterior.log_odds(z));
    }
}

/// 1 to 399 random rows, some of weight 0.
fn block(loss: &dyn Loss, seed: u64, form: &str, found: &mut Findings) -> Result<()> {
    let rows = 1 + (399.0 * uniform(seed, 0)) as usize;
    let draw = |column: usize, row: usize| uniform(seed, 4 * row + column);
    let logits: Vec<f64> = (0..rows).map(|row| 100.0 * draw(1, row) - 50.0).collect();
    let labels: Vec<bool> = (0..rows).map(|row| draw(2, row) < 0.5).collect();
    let drawn: Vec<f64> = (0..rows).map(|row| (5.5 * draw(3, row) - 0.5).max(0.0)).collect();
    let (mut gradients, mut hessians) = (vec![0.0; rows], vec![0.0; rows]);
    for weights in [None, Some(&drawn[..])] {
        let value =
            loss.block(Block::new(&logits, &labels, weights, &mut gradients, &mut hessians)?);
        let (mut sum, mut size) = (0.0, 0.0);
        for row in 0..rows {
            let (z, label) = (logits[row], labels[row]);
            let weight = weights.map_or(1.0, |weights| weights[row]);
            let (at, other) = (loss.at(z, label), loss.at(z, !label));
            sum += weight * at.value;
            // A wrapped loss multiplies its weights in another order, and label smoothing adds the other label's
            // part: four roundings of those terms.
            let bound =
                |own: f64, other: f64| 4.0 * f64::EPSILON * weight * (own.abs() + other.abs());
            size += bound(at.value, other.value);
            found.on(format!("{form}, gradients of a block of {rows} rows, seed {seed}"));
            let of = [gradients[row], weight * at.gradient];
            found.near(Law::Block, row, of, bound(at.gradient, other.gradient));
            found.on(format!("{form}, curvatures of a block of {rows} rows, seed {seed}"));
            let of = [hessians[row], weight * at.hessian];
            found.near(Law::Block, row, of, bound(at.hessian, other.hessian));
        }
        found.on(format!("{form}, the sum of a block of {rows} rows, seed {seed}"));
        found.near(Law::Block, None, [value, sum], 1e-12 * sum.abs() + size);
    }
    found.on(format!("{form}, a block without rows"));
    let total = loss.block(Block::new(&[], &[], None, &mut [], &mut [])?);
    found.near(Law::Block, None, [total, 0.0], 0.0);
    Ok(())
}

fn resolve(loss: &dyn Loss, found: &mut Findings) -> Result<()> {
    let (resolved, others) = (loss.resolve(&TOTALS)?, loss.resolve(&OTHERS)?);
    let at = |loss: &dyn Loss| [loss.at(0.5, true), loss.at(0.5, false), loss.at(-3.0, true)];
    // Constants depend on the rows or are known.
    found.equal(Law::Resolve, None, &loss.is_resolved(), &(at(&resolved) == at(&others)));
    found.holds(Law::Resolve, None, resolved.is_resolved(), || ("not resolved", "resolved"));
    // Resolving again for the same rows changes nothing.
    found.equal(Law::Resolve, None, &at(&resolved.resolve(&TOTALS)?), &at(&resolved));
    Ok(())
}
