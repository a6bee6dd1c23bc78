//! Newton's method for a function of a few parameters, some of which have a lower bound.

use ndarray::Array2;

use crate::core::{Error, Result};
use crate::numerics::linalg::Llt;

/// The squared Newton decrement, relative to the value, at which the last step is taken: the distance to the
/// minimum after it is far below the accuracy of the arithmetic.
const DECREMENT: f64 = 1e-20;
/// A change of the value below this share of it is rounding.
const ROUNDING: f64 = 1e-13;
/// Far more than a well-posed problem needs (5 to 20).
const MAX_ITERATIONS: usize = 200;

/// A function at a point, with its first two derivatives.
#[derive(Debug, Clone)]
pub(crate) struct At {
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
    /// Only the lower triangle is read.
    pub(crate) hessian: Array2<f64>,
}

impl At {
    /// The sum of functions of `parameters` numbers, in order.
    pub(crate) fn sum(parameters: usize, terms: impl IntoIterator<Item = Self>) -> Self {
        let zero = Self {
            value: 0.0,
            gradient: vec![0.0; parameters],
            hessian: Array2::zeros((parameters, parameters)),
        };
        terms.into_iter().fold(zero, |mut sum, term| {
            sum.value += term.value;
            sum.gradient.iter_mut().zip(&term.gradient).for_each(|(sum, term)| *sum += term);
            sum.hessian += &term.hessian;
            sum
        })
    }
}

/// A minimum.
#[derive(Debug, Clone)]
pub(crate) struct Minimum {
    pub(crate) theta: Vec<f64>,
    /// Inverse Hessian in the parameters that are not at a bound; zero in the others.
    pub(crate) covariance: Array2<f64>,
    /// Which parameters are held by their bound.
    pub(crate) at_bound: Vec<bool>,
    pub(crate) iterations: usize,
}

/// Minimises `f` over θ ≥ `lower`, from a feasible `theta`.
///
/// A primal active-set method: a parameter at its bound whose derivative is positive, or which a Newton
/// step would take below it, is held; the step in the others ends at the first bound it meets. Every
/// iterate is feasible, so `f` need have no minimum beyond the bounds; at the end the conditions of
/// Karush, Kuhn and Tucker hold, which for a convex function makes it the constrained minimum.
pub(crate) fn newton(
    mut theta: Vec<f64>,
    lower: &[f64],
    f: impl Fn(&[f64]) -> Result<At>,
) -> Result<Minimum> {
    let mut at = f(&theta)?;
    for iterations in 0..MAX_ITERATIONS {
        let (step, at_bound) = direction(&theta, lower, &at.gradient, &at.hessian);
        let longest = longest_share(&theta, lower, &step);
        if -dot(&step, &at.gradient) <= DECREMENT * at.value.abs() {
            advance(&mut theta, lower, &step, longest);
            let covariance = inverse(&at.hessian, &at_bound);
            return Ok(Minimum { theta, covariance, at_bound, iterations });
        }
        (theta, at) = line_search(&theta, &at, lower, &step, longest, ROUNDING, &f)?;
    }
    Err(no_minimum(at.value))
}

/// The steps of [`fisher_scoring`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scoring {
    /// The largest change of a parameter in a step.
    pub(crate) max_step: f64,
    /// A change of the value below this share of it is rounding.
    pub(crate) rounding: f64,
}

/// Finds a local minimum of a function that need not be convex, whose Hessian is an expected one: positive
/// definite, but off by a factor where rows are few. It is corrected by the curvature that the last step showed.
pub(crate) fn fisher_scoring(
    scoring: Scoring,
    mut theta: Vec<f64>,
    f: impl Fn(&[f64]) -> Result<At>,
) -> Result<Minimum> {
    let n = theta.len();
    let (free, unbounded) = (vec![false; n], vec![f64::NEG_INFINITY; n]);
    let mut at = f(&theta)?;
    let mut metric = at.hessian.clone();
    for iterations in 0..MAX_ITERATIONS {
        let step = newton_step(&at.gradient, &metric, &free);
        let largest = step.iter().fold(0.0_f64, |largest, step| largest.max(step.abs()));
        let longest = (scoring.max_step / largest).min(1.0);
        if -dot(&step, &at.gradient) <= DECREMENT * at.value.abs() {
            advance(&mut theta, &unbounded, &step, longest);
            let covariance = inverse(&at.hessian, &free);
            return Ok(Minimum { theta, covariance, at_bound: free, iterations });
        }
        let (next, there) =
            line_search(&theta, &at, &unbounded, &step, longest, scoring.rounding, &f)?;
        let change = |to: &[f64], from: &[f64]| -> Vec<f64> {
            to.iter().zip(from).map(|(a, b)| a - b).collect()
        };
        let gradients = change(&there.gradient, &at.gradient);
        metric = corrected(&there.hessian, &change(&next, &theta), &gradients);
        (theta, at) = (next, there);
    }
    Err(no_minimum(at.value))
}

/// The point at the `longest` share of a step, or at half of it and so on, until the value falls enough.
fn line_search(
    theta: &[f64],
    at: &At,
    lower: &[f64],
    step: &[f64],
    longest: f64,
    rounding: f64,
    f: impl Fn(&[f64]) -> Result<At>,
) -> Result<(Vec<f64>, At)> {
    let slope = dot(step, &at.gradient);
    let mut share = longest;
    loop {
        let mut candidate = theta.to_vec();
        advance(&mut candidate, lower, step, share);
        let there = f(&candidate)?;
        let allowed = at.value + 1e-4 * share * slope + rounding * at.value.abs();
        if there.value.is_finite() && there.value <= allowed {
            return Ok((candidate, there));
        }
        share *= 0.5;
        // The gain of so short a step would not show: the value has more rounding in it than was said.
        if share * -slope < 1e-20 * at.value.abs() || share < 1e-30 {
            return Err(no_minimum(at.value));
        }
    }
}

/// A Hessian with the curvature along a step that the change of the gradient shows, where that is positive
/// (the formula of Broyden, Fletcher, Goldfarb and Shanno).
fn corrected(hessian: &Array2<f64>, step: &[f64], change: &[f64]) -> Array2<f64> {
    /// Less than this share of the curvature expected would make the next step too long.
    const LEAST: f64 = 1e-3;
    let n = step.len();
    let at = |i: usize, j: usize| hessian[(i.max(j), i.min(j))];
    let product: Vec<f64> = (0..n).map(|i| (0..n).map(|j| at(i, j) * step[j]).sum()).collect();
    let (shown, expected) = (dot(step, change), dot(step, &product));
    if !(expected > 0.0 && shown > LEAST * expected) {
        return hessian.clone();
    }
    Array2::from_shape_fn((n, n), |(i, j)| {
        at(i, j) - product[i] * product[j] / expected + change[i] * change[j] / shown
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
    metric: &Array2<f64>,
) -> (Vec<f64>, Vec<bool>) {
    let mut at_bound: Vec<bool> =
        (0..theta.len()).map(|i| theta[i] <= lower[i] && gradient[i] >= 0.0).collect();
    loop {
        let step = newton_step(gradient, metric, &at_bound);
        let below =
            (0..theta.len()).find(|&i| !at_bound[i] && theta[i] <= lower[i] && step[i] < 0.0);
        match below {
            None => return (step, at_bound),
            Some(i) => at_bound[i] = true,
        }
    }
}

/// The largest share of the step, at most 1, that stays within the bounds.
fn longest_share(theta: &[f64], lower: &[f64], step: &[f64]) -> f64 {
    let to_bounds =
        (0..theta.len()).filter(|&i| step[i] < 0.0).map(|i| (lower[i] - theta[i]) / step[i]);
    to_bounds.fold(1.0, f64::min)
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
fn free_block(hessian: &Array2<f64>, at_bound: &[bool]) -> Array2<f64> {
    Array2::from_shape_fn((at_bound.len(), at_bound.len()), |(i, j)| {
        if at_bound[i] || at_bound[j] {
            f64::from(u8::from(i == j))
        } else {
            hessian[(i.max(j), i.min(j))]
        }
    })
}

fn newton_step(gradient: &[f64], metric: &Array2<f64>, at_bound: &[bool]) -> Vec<f64> {
    let n = at_bound.len();
    let downhill: Vec<f64> = (0..n).map(|i| if at_bound[i] { 0.0 } else { -gradient[i] }).collect();
    // Scaled to a unit diagonal, as parameters differ in size.
    let block = free_block(metric, at_bound);
    let scale: Vec<f64> = (0..n).map(|i| block[(i, i)].max(f64::MIN_POSITIVE).sqrt()).collect();
    // A singular Hessian (a flat direction) is lifted by as little as lets it factor.
    let mut lift = 0.0;
    loop {
        let scaled = Array2::from_shape_fn((n, n), |(i, j)| {
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
fn inverse(hessian: &Array2<f64>, at_bound: &[bool]) -> Array2<f64> {
    let n = at_bound.len();
    let block = free_block(hessian, at_bound);
    let inverse = match Llt::new(block) {
        Ok(factor) => factor.inverse(),
        Err(_) => Array2::from_elem((n, n), f64::INFINITY),
    };
    Array2::from_shape_fn(
        (n, n),
        |(i, j)| if at_bound[i] || at_bound[j] { 0.0 } else { inverse[(i, j)] },
    )
}
