//! Proximal Newton for L1: the quadratic model of the smooth part plus λ₁‖β‖₁ is minimised by coordinate
//! descent, whose soft threshold makes exact zeros, and a line search takes the step.
//!
//! Sources: Friedman, Hastie & Tibshirani 2010 (coordinate descent with sweeps over the active columns);
//! Yuan, Ho & Lin 2012 (newGLMNET: the line search and its sufficient decrease).

use ndarray::Array2;

use super::objective::{Objective, RowAt, ensure_slopes};
use super::trust_region::{GAP, ROUNDING, Solution, finite_norm};
use super::{Diagnostics, StopReason, collinearity};
use crate::core::{Error, FeaturesView, Matrix, Progress, Result, Run, Scalar, sparse_row, visit};

/// Sufficient decrease of the line search; the usual small number.
const ACCEPT: f64 = 1e-4;

/// Maximum number of sweeps for one quadratic model.
const MAX_SWEEPS: usize = 10_000;

/// A point with the loss at every row.
struct At {
    theta: Vec<f64>,
    rows: Vec<RowAt>,
    /// The whole objective.
    value: f64,
    /// The gradient of its smooth part.
    gradient: Vec<f64>,
}

/// Minimises the objective plus `l1`·‖β‖₁, starting at `theta`.
pub(super) fn minimise(
    objective: &Objective<'_>,
    l1: f64,
    theta: Vec<f64>,
    max_iterations: usize,
    run: &Run,
) -> Result<Solution> {
    let penalised = objective.design.columns();
    let evaluate = |theta: Vec<f64>| {
        let (loss, rows) = objective.rows_at(&theta);
        let beta = &theta[..penalised];
        let squares: f64 = beta.iter().map(|c| c * c).sum();
        let value = loss + 0.5 * objective.l2() * squares + l1 * norm1(beta);
        (value, rows, theta)
    };
    let with_gradient = |(value, rows, theta): (f64, Vec<RowAt>, Vec<f64>)| {
        let mut gradient = objective.design.sum_of_rows(|i| rows[i].gradient);
        let beta = &theta[..penalised];
        gradient.iter_mut().zip(beta).for_each(|(g, c)| *g += objective.l2() * c);
        At { theta, rows, value, gradient }
    };
    let mut at = with_gradient(evaluate(theta));
    if !at.value.is_finite() {
        return Err(Error::Numerical {
            what: "the objective at the start".into(),
            value: at.value,
            remedy: "offsets, weights or features are too large to add up; scale them",
        });
    }
    ensure_slopes(objective.loss(), derivatives(&at))?;
    let columns = (!objective.forms_hessian()).then(|| Columns::of(objective.design.features()));
    let mut passes = 1;
    let mut iterations = 0;
    let mut stop = StopReason::IterationLimit;
    let mut tolerance = 1e-3;

    while iterations < max_iterations {
        iterations += 1;
        let model = match &columns {
            None => formed(objective, &at, l1),
            Some(columns) => by_columns(objective, columns, &at, l1, tolerance),
        };
        passes += model.passes;
        let target = GAP * at.value.abs();
        let near = model.decrease <= target;
        // A loosely solved model underestimates its decrease: it is solved once more, to all digits.
        let converged = near && (columns.is_none() || tolerance <= EXACT);
        tolerance = if near { EXACT } else { tolerance };
        run.report(&Progress::Iteration {
            iteration: iterations,
            objective: at.value,
            gap: model.decrease,
            target,
        })?;

        let rounding = ROUNDING * at.value.abs();
        let accepted = (0..60).find_map(|halvings| {
            let share = 0.5_f64.powi(halvings);
            // The whole step keeps the exact zeros of the soft threshold.
            let theta = match halvings {
                0 => model.minimum.clone(),
                _ => mix(&at.theta, &model.minimum, share),
            };
            passes += 1;
            let next = evaluate(theta);
            let enough = next.0 <= at.value + ACCEPT * share * model.slope;
            (enough || near && next.0 <= at.value + rounding).then_some(next)
        });
        let moved = accepted.is_some();
        if let Some(next) = accepted {
            at = with_gradient(next);
            ensure_slopes(objective.loss(), derivatives(&at))?;
            passes += 1;
        }
        if converged {
            stop = StopReason::Converged;
            break;
        }
        if !moved {
            let rounded = model.decrease <= rounding;
            stop = if rounded { StopReason::Rounding } else { StopReason::Stalled };
            break;
        }
    }
    // The solution is unique if the columns are independent whose slope is as large as the penalty allows
    // (Tibshirani 2013): the others are zero in every solution.
    const NEARLY: f64 = 1.0 - 1e-4;
    let collinearity = collinearity::look(objective, |j| at.gradient[j].abs() >= NEARLY * l1);
    let gradient_norm = finite_norm(subgradient(&at.gradient, &at.theta, penalised, l1))?;
    let diagnostics =
        Diagnostics { objective: at.value, gradient_norm, iterations, passes, collinearity, stop };
    Ok(Solution { theta: at.theta, diagnostics })
}

/// The minimum of the quadratic model at θ with this gradient, and of λ₁‖β‖₁, to all digits.
pub(super) fn model_minimum(
    objective: &Objective<'_>,
    columns: Option<&Columns>,
    theta: &[f64],
    gradient: &[f64],
    l1: f64,
) -> Vec<f64> {
    let (value, rows) = objective.rows_at(theta);
    let at = At { theta: theta.to_vec(), rows, value, gradient: gradient.to_vec() };
    match columns {
        None => formed(objective, &at, l1).minimum,
        Some(columns) => by_columns(objective, columns, &at, l1, EXACT).minimum,
    }
}

/// The derivatives of the loss at every row.
fn derivatives(at: &At) -> impl Iterator<Item = f64> {
    at.rows.iter().flat_map(|row| [row.gradient, row.hessian])
}

/// Share of a model's decrease so far below which the gain of a sweep ends the sweeps, near the minimum.
const EXACT: f64 = 1e-9;

/// The minimum of a quadratic model with λ₁‖β‖₁.
struct Model {
    minimum: Vec<f64>,
    /// By how much the model falls.
    decrease: f64,
    /// The slope towards it, gᵀd + λ₁(‖β + d‖₁ − ‖β‖₁), which is negative.
    slope: f64,
    passes: usize,
}

impl Model {
    /// From its minimum and dᵀHd.
    fn new(
        at: &At,
        minimum: Vec<f64>,
        bend: f64,
        l1: f64,
        penalised: usize,
        passes: usize,
    ) -> Self {
        let change: f64 = at
            .gradient
            .iter()
            .zip(minimum.iter().zip(&at.theta))
            .map(|(g, (u, t))| g * (u - t))
            .sum();
        let slope = change + l1 * (norm1(&minimum[..penalised]) - norm1(&at.theta[..penalised]));
        Self { minimum, decrease: -(slope + 0.5 * bend), slope, passes }
    }
}

/// Coordinate descent with the Hessian formed: a step costs one of its columns.
fn formed(objective: &Objective<'_>, at: &At, l1: f64) -> Model {
    let (p, penalised) = (at.theta.len(), objective.design.columns());
    // Negative curvatures of a loss that is not convex are made positive; the line search does the rest.
    let mut hessian = objective.design.sum_of_outer_products(|i| at.rows[i].hessian.abs());
    (0..penalised).for_each(|j| hessian[(j, j)] += objective.l2());
    for j in 0..p {
        (0..j).for_each(|i| hessian[(i, j)] = hessian[(j, i)]);
    }
    let hessian: Array2<f64> = hessian;
    let mut slopes = at.gradient.clone(); // g + Hd
    let mut minimum = at.theta.clone();
    descend(p, 1e-16, |j| {
        let threshold = if j < penalised { l1 } else { 0.0 };
        let (gain, step) = coordinate(&mut minimum[j], slopes[j], hessian[(j, j)], threshold);
        if step != 0.0 {
            (0..p).for_each(|i| slopes[i] += step * hessian[(i, j)]);
        }
        (gain, minimum[j] != 0.0)
    });
    let bend: f64 = (0..p).map(|j| (minimum[j] - at.theta[j]) * (slopes[j] - at.gradient[j])).sum();
    Model::new(at, minimum, bend, l1, penalised, 1)
}

/// Coordinate descent by columns of the features: a step reads the entries of one column twice.
fn by_columns(
    objective: &Objective<'_>,
    columns: &Columns,
    at: &At,
    l1: f64,
    tolerance: f64,
) -> Model {
    let (p, penalised, l2) = (at.theta.len(), objective.design.columns(), objective.l2());
    let h: Vec<f64> = at.rows.iter().map(|row| row.hessian.abs()).collect();
    let curvature: Vec<f64> = (0..penalised)
        .map(|j| l2 + columns.entries(j).map(|(i, x)| h[i] * x * x).sum::<f64>())
        .chain((p > penalised).then(|| h.iter().sum()))
        .collect();
    let mut moves = vec![0.0; h.len()]; // Xd
    let mut minimum = at.theta.clone();
    let sweeps = descend(p, tolerance, |j| {
        if j == penalised {
            let slope = at.gradient[j] + h.iter().zip(&moves).map(|(h, m)| h * m).sum::<f64>();
            let (gain, step) = coordinate(&mut minimum[j], slope, curvature[j], 0.0);
            moves.iter_mut().for_each(|m| *m += step);
            return (gain, true);
        }
        let slope = at.gradient[j]
            + l2 * (minimum[j] - at.theta[j])
            + columns.entries(j).map(|(i, x)| x * h[i] * moves[i]).sum::<f64>();
        let (gain, step) = coordinate(&mut minimum[j], slope, curvature[j], l1);
        if step != 0.0 {
            columns.entries(j).for_each(|(i, x)| moves[i] += step * x);
        }
        (gain, minimum[j] != 0.0)
    });
    let squares: f64 =
        minimum[..penalised].iter().zip(&at.theta).map(|(u, t)| (u - t).powi(2)).sum();
    let bend = h.iter().zip(&moves).map(|(h, m)| h * m * m).sum::<f64>() + l2 * squares;
    Model::new(at, minimum, bend, l1, penalised, sweeps)
}

/// Minimises over one coordinate; returns a lower bound of the gain, and the step.
fn coordinate(value: &mut f64, slope: f64, curvature: f64, l1: f64) -> (f64, f64) {
    let new = if curvature > 0.0 {
        let free = *value - slope / curvature;
        free.signum() * (free.abs() - l1 / curvature).max(0.0)
    } else if l1 > 0.0 {
        0.0
    } else {
        *value
    };
    let step = new - *value;
    *value = new;
    (0.5 * curvature * step * step, step)
}

/// Sweeps over all coordinates and, in between, over those that are not zero, until a sweep over all
/// gains no more than `tolerance` of everything gained. `visit` returns a coordinate's gain and
/// whether it is not zero now. Returns how many sweeps over all there were.
fn descend(p: usize, tolerance: f64, mut visit: impl FnMut(usize) -> (f64, bool)) -> usize {
    let mut total = 0.0;
    let mut sweeps = 0;
    for full in 1..=MAX_SWEEPS {
        let mut active = Vec::new();
        let mut gained = 0.0;
        for j in 0..p {
            let (gain, nonzero) = visit(j);
            gained += gain;
            if nonzero {
                active.push(j);
            }
        }
        total += gained;
        sweeps += 1;
        if gained <= tolerance * total {
            return full;
        }
        while sweeps < MAX_SWEEPS {
            let gained: f64 = active.iter().map(|&j| visit(j).0).sum();
            total += gained;
            sweeps += 1;
            if gained <= 0.1 * tolerance * total {
                break;
            }
        }
        if sweeps >= MAX_SWEEPS {
            return full;
        }
    }
    MAX_SWEEPS
}

/// The features in compressed columns.
pub(super) struct Columns {
    starts: Vec<usize>,
    rows: Vec<usize>,
    values: Vec<f64>,
}

impl Columns {
    pub(super) fn of(x: FeaturesView<'_>) -> Self {
        visit!(x, |x| Self::of_matrix(x))
    }

    fn of_matrix<F: Scalar>(x: Matrix<'_, F>) -> Self {
        let (n, d) = (x.nrows(), x.ncols());
        let each = |f: &mut dyn FnMut(usize, usize, f64)| match x {
            Matrix::Dense(x) => {
                for (i, row) in x.outer_iter().enumerate() {
                    row.iter().enumerate().for_each(|(j, value)| f(i, j, value.to_f64()));
                }
            }
            Matrix::Sparse(x) => {
                for i in 0..n {
                    let (columns, values) = sparse_row(&x, i);
                    columns.iter().zip(values).for_each(|(&j, value)| f(i, j, value.to_f64()));
                }
            }
        };
        let mut starts = vec![0; d + 1];
        each(&mut |_, j, _| starts[j + 1] += 1);
        (0..d).for_each(|j| starts[j + 1] += starts[j]);
        let mut next = starts.clone();
        let (mut rows, mut values) = (vec![0; starts[d]], vec![0.0; starts[d]]);
        each(&mut |i, j, value| {
            (rows[next[j]], values[next[j]]) = (i, value);
            next[j] += 1;
        });
        Self { starts, rows, values }
    }

    fn entries(&self, j: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let stored = self.starts[j]..self.starts[j + 1];
        self.rows[stored.clone()].iter().copied().zip(self.values[stored].iter().copied())
    }
}

/// The subgradient of least norm: zero at the minimum and only there.
pub(super) fn subgradient<'a>(
    gradient: &'a [f64],
    theta: &'a [f64],
    penalised: usize,
    l1: f64,
) -> impl Iterator<Item = f64> + Clone + 'a {
    gradient.iter().zip(theta).enumerate().map(move |(j, (&g, &c))| {
        if j >= penalised {
            g
        } else if c == 0.0 {
            g.signum() * (g.abs() - l1).max(0.0)
        } else {
            g + l1 * c.signum()
        }
    })
}

fn mix(from: &[f64], to: &[f64], share: f64) -> Vec<f64> {
    from.iter().zip(to).map(|(a, b)| a + share * (b - a)).collect()
}

fn norm1(beta: &[f64]) -> f64 {
    beta.iter().map(|c| c.abs()).sum()
}
