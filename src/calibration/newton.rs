//! Newton's method for a function of a few parameters, some of which have a lower bound.

use faer::Mat;

use crate::numerics::linalg::Llt;
use crate::{Error, Result};

/// The squared Newton decrement, relative to the value, at which the last step is taken: what is left of
/// the distance to the minimum is then far below the accuracy of the arithmetic.
const DECREMENT: f64 = 1e-20;
/// A change of the value below this share of it is rounding.
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
    descend(None, theta, lower, f)
}

/// How to search for a minimum of a function that is not convex, whose Hessian is an expected one: positive
/// definite, but off by a factor where rows are few.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scoring {
    /// The largest change of a parameter in a step.
    pub(super) reach: f64,
    /// A change of the value below this share of it is rounding.
    pub(super) rounding: f64,
}

/// Fisher scoring: Newton's method with the expected Hessian, corrected by what the last step has shown of the
/// true one. The minimum is one that no small change betters.
pub(super) fn minimise_by_scoring(
    scoring: Scoring,
    theta: Vec<f64>,
    f: impl Fn(&[f64]) -> At,
) -> Result<Minimum> {
    let free = vec![f64::NEG_INFINITY; theta.len()];
    descend(Some(scoring), theta, &free, f)
}

fn descend(
    scoring: Option<Scoring>,
    mut theta: Vec<f64>,
    lower: &[f64],
    f: impl Fn(&[f64]) -> At,
) -> Result<Minimum> {
    let exact = Scoring { reach: f64::INFINITY, rounding: ROUNDING };
    let Scoring { reach, rounding } = scoring.unwrap_or(exact);
    let mut at = f(&theta);
    let mut metric = at.hessian.clone();
    for iterations in 0..MAX_ITERATIONS {
        let (step, held) = direction(&theta, lower, &at.gradient, &metric);
        let slope = dot(&step, &at.gradient);
        let longest = longest_share(&theta, lower, &step, reach);
        if -slope <= DECREMENT * at.value.abs() {
            advance(&mut theta, lower, &step, longest);
            let covariance = inverse(&at.hessian, &held);
            return Ok(Minimum { theta, covariance, held, iterations });
        }
        let mut share = longest;
        let (candidate, there) = loop {
            let mut candidate = theta.clone();
            advance(&mut candidate, lower, &step, share);
            let there = f(&candidate);
            let allowed = at.value + 1e-4 * share * slope + rounding * at.value.abs();
            if there.value.is_finite() && there.value <= allowed {
                break (candidate, there);
            }
            share *= 0.5;
            // What so short a step gains would not show: the value has more rounding in it than was said.
            if share * -slope < 1e-20 * at.value.abs() || share < 1e-30 {
                return Err(no_minimum(at.value));
            }
        };
        metric = if scoring.is_some() {
            let change =
                |to: &[f64], from: &[f64]| to.iter().zip(from).map(|(a, b)| a - b).collect();
            let step: Vec<f64> = change(&candidate, &theta);
            corrected(&there.hessian, &step, &change(&there.gradient, &at.gradient))
        } else {
            there.hessian.clone()
        };
        (theta, at) = (candidate, there);
    }
    Err(no_minimum(at.value))
}

/// A Hessian with the curvature along a step that the change of the gradient shows, where that is positive
/// (the formula of Broyden, Fletcher, Goldfarb and Shanno).
fn corrected(hessian: &Mat<f64>, step: &[f64], change: &[f64]) -> Mat<f64> {
    /// Less than this share of the curvature expected would make the next step too long.
    const LEAST: f64 = 1e-3;
    let n = step.len();
    let at = |i: usize, j: usize| hessian[(i.max(j), i.min(j))];
    let expected: Vec<f64> = (0..n).map(|i| (0..n).map(|j| at(i, j) * step[j]).sum()).collect();
    let (shown, foreseen) = (dot(step, change), dot(step, &expected));
    if !(foreseen > 0.0 && shown > LEAST * foreseen) {
        return hessian.clone();
    }
    Mat::from_fn(n, n, |i, j| {
        at(i, j) - expected[i] * expected[j] / foreseen + change[i] * change[j] / shown
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn no_minimum(value: f64) -> Error {
    Error::Numerical {
        what: "the log-likelihood at the end of the search".into(),
        value: -value,
        remedy: "the scores all but separate the classes, or differ by many orders of magnitude",
    }
}

/// The Newton step, and which parameters it leaves at their bounds.
fn direction(
    theta: &[f64],
    lower: &[f64],
    gradient: &[f64],
    metric: &Mat<f64>,
) -> (Vec<f64>, Vec<bool>) {
    let mut held: Vec<bool> =
        (0..theta.len()).map(|i| theta[i] <= lower[i] && gradient[i] >= 0.0).collect();
    loop {
        let step = newton_step(gradient, metric, &held);
        let below = (0..theta.len()).find(|&i| !held[i] && theta[i] <= lower[i] && step[i] < 0.0);
        match below {
            None => return (step, held),
            Some(i) => held[i] = true,
        }
    }
}

/// The largest share of the step, at most 1, that stays within the bounds and changes no parameter by
/// more than `reach`.
fn longest_share(theta: &[f64], lower: &[f64], step: &[f64], reach: f64) -> f64 {
    let to_bounds =
        (0..theta.len()).filter(|&i| step[i] < 0.0).map(|i| (lower[i] - theta[i]) / step[i]);
    let largest = step.iter().fold(0.0_f64, |largest, step| largest.max(step.abs()));
    to_bounds.fold(1.0, f64::min).min(reach / largest)
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

fn newton_step(gradient: &[f64], metric: &Mat<f64>, held: &[bool]) -> Vec<f64> {
    let n = held.len();
    let downhill: Vec<f64> = (0..n).map(|i| if held[i] { 0.0 } else { -gradient[i] }).collect();
    // Scaled to a unit diagonal, as parameters differ in size.
    let block = free_block(metric, held);
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
