//! Newton's method for a convex function of a few parameters, some of which have a lower bound.

use faer::Mat;

use crate::linalg::Llt;
use crate::{Error, Result};

/// The squared Newton decrement, relative to the value, at which the last step is taken: what is left of
/// the distance to the minimum is then far below the accuracy of the arithmetic.
const DECREMENT: f64 = 1e-20;
/// A change of the value below this share of it is rounding, where nothing else is said.
const ROUNDING: f64 = 1e-13;
/// Far more than a well-posed problem needs (5 to 20).
const MAX_ITERATIONS: usize = 200;

/// A function at a point, with its first two derivatives.
#[derive(Debug, Clone)]
pub(super) struct At {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    /// Only the lower triangle is read.
    pub(super) hessian: Mat<f64>,
}

/// A minimum.
#[derive(Debug)]
pub(super) struct Minimum {
    pub(super) theta: Vec<f64>,
    /// Inverse Hessian in the parameters that are not at a bound; zero in the others.
    pub(super) covariance: Mat<f64>,
    /// Which parameters are held by their bound.
    pub(super) held: Vec<bool>,
    pub(super) iterations: usize,
}

/// Minimises `f` over θ ≥ `lower`, from a feasible `theta`.
///
/// A primal active-set method: a parameter at its bound whose derivative is positive, or which a Newton
/// step would take below it, is held; the step in the others ends at the first bound it meets. Every
/// iterate is feasible, so `f` need have no minimum beyond the bounds; at the end the conditions of
/// Karush, Kuhn and Tucker hold, which for a convex function makes it the constrained minimum.
pub(super) fn minimise(
    theta: Vec<f64>,
    lower: &[f64],
    f: impl Fn(&[f64]) -> At,
) -> Result<Minimum> {
    minimise_within(f64::INFINITY, ROUNDING, theta, lower, f)
}

/// The same with no step that changes a parameter by more than `most`, and with the share of the value that
/// is `rounding`. Where `f` is not convex, any positive definite matrix will do for its Hessian, and the minimum
/// is one that no small change betters.
pub(super) fn minimise_within(
    most: f64,
    rounding: f64,
    mut theta: Vec<f64>,
    lower: &[f64],
    f: impl Fn(&[f64]) -> At,
) -> Result<Minimum> {
    let mut at = f(&theta);
    for iterations in 0..MAX_ITERATIONS {
        let (step, held) = direction(&theta, lower, &at);
        let slope: f64 = step.iter().zip(&at.gradient).map(|(s, g)| s * g).sum();
        let longest = reach(&theta, lower, &step, most);
        if -slope <= DECREMENT * at.value.abs() {
            advance(&mut theta, lower, &step, longest);
            let covariance = inverse(&at.hessian, &held);
            return Ok(Minimum { theta, covariance, held, iterations });
        }
        let mut share = longest;
        loop {
            let mut candidate = theta.clone();
            advance(&mut candidate, lower, &step, share);
            let there = f(&candidate);
            let allowed = at.value + 1e-4 * share * slope + rounding * at.value.abs();
            if there.value.is_finite() && there.value <= allowed {
                (theta, at) = (candidate, there);
                break;
            }
            share *= 0.5;
            // What so short a step gains would not show: the value has more rounding in it than was said.
            if share * -slope < 1e-20 * at.value.abs() || share < 1e-30 {
                return Err(no_minimum(at.value));
            }
        }
    }
    Err(no_minimum(at.value))
}

fn no_minimum(value: f64) -> Error {
    Error::Numerical {
        what: "the log-likelihood at the end of the search".into(),
        value: -value,
        remedy: "the scores all but separate the classes, or differ by many orders of magnitude",
    }
}

/// The Newton step, and which parameters it leaves at their bounds.
fn direction(theta: &[f64], lower: &[f64], at: &At) -> (Vec<f64>, Vec<bool>) {
    let mut held: Vec<bool> =
        (0..theta.len()).map(|i| theta[i] <= lower[i] && at.gradient[i] >= 0.0).collect();
    loop {
        let step = newton_step(at, &held);
        let below = (0..theta.len()).find(|&i| !held[i] && theta[i] <= lower[i] && step[i] < 0.0);
        match below {
            None => return (step, held),
            Some(i) => held[i] = true,
        }
    }
}

/// The largest share of the step, at most 1, that stays within the bounds and changes no parameter by
/// more than `most`.
fn reach(theta: &[f64], lower: &[f64], step: &[f64], most: f64) -> f64 {
    let to_bounds =
        (0..theta.len()).filter(|&i| step[i] < 0.0).map(|i| (lower[i] - theta[i]) / step[i]);
    let largest = step.iter().fold(0.0_f64, |largest, step| largest.max(step.abs()));
    to_bounds.fold(1.0, f64::min).min(most / largest)
}

fn advance(theta: &mut [f64], lower: &[f64], step: &[f64], share: f64) {
    for ((theta, &lower), &step) in theta.iter_mut().zip(lower).zip(step) {
        let next = *theta + share * step;
        // A step that ends at the bound ends there exactly.
        let at_bound = next - lower <= 4.0 * f64::EPSILON * theta.abs() && step < 0.0;
        *theta = if at_bound { lower } else { next };
    }
}

/// The Hessian in the free parameters, with a unit diagonal for the others.
fn free_block(hessian: &Mat<f64>, held: &[bool]) -> Mat<f64> {
    Mat::from_fn(held.len(), held.len(), |i, j| {
        if held[i] || held[j] { f64::from(u8::from(i == j)) } else { hessian[(i.max(j), i.min(j))] }
    })
}

fn newton_step(at: &At, held: &[bool]) -> Vec<f64> {
    let n = held.len();
    let downhill: Vec<f64> = (0..n).map(|i| if held[i] { 0.0 } else { -at.gradient[i] }).collect();
    // Scaled to a unit diagonal, as parameters differ in size.
    let block = free_block(&at.hessian, held);
    let scale: Vec<f64> = (0..n).map(|i| block[(i, i)].max(f64::MIN_POSITIVE).sqrt()).collect();
    // A singular Hessian (a flat direction) is lifted by as little as lets it factor.
    let mut lift = 0.0;
    loop {
        let scaled = Mat::from_fn(n, n, |i, j| {
            block[(i, j)] / scale[i] / scale[j] + if i == j { lift } else { 0.0 }
        });
        if let Ok(factor) = Llt::new(scaled) {
            let right: Vec<f64> = downhill.iter().zip(&scale).map(|(d, s)| d / s).collect();
            let solved = factor.solve(&right);
            let step: Vec<f64> = solved.iter().zip(&scale).map(|(z, s)| z / s).collect();
            if step.iter().all(|s| s.is_finite()) {
                return step;
            }
        }
        if lift > 1e6 {
            return vec![0.0; n];
        }
        lift = (100.0_f64 * lift).max(1e-14);
    }
}

/// The inverse in the free parameters; infinite variances where it is singular.
fn inverse(hessian: &Mat<f64>, held: &[bool]) -> Mat<f64> {
    let n = held.len();
    let block = free_block(hessian, held);
    let inverse = match Llt::new(block) {
        Ok(factor) => factor.inverse(),
        Err(_) => Mat::from_fn(n, n, |_, _| f64::INFINITY),
    };
    Mat::from_fn(n, n, |i, j| if held[i] || held[j] { 0.0 } else { inverse[(i, j)] })
}

/// Σ over blocks of what `f` is for them.
pub(super) fn sum(parameters: usize, blocks: Vec<At>) -> At {
    let zero = At {
        value: 0.0,
        gradient: vec![0.0; parameters],
        hessian: Mat::zeros(parameters, parameters),
    };
    blocks.into_iter().fold(zero, |mut sum, block| {
        sum.value += block.value;
        sum.gradient.iter_mut().zip(&block.gradient).for_each(|(sum, term)| *sum += term);
        sum.hessian += block.hessian;
        sum
    })
}
