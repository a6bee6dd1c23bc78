//! Newton's method in a trust region, with preconditioned conjugate gradients inside.
//!
//! One loop serves every case. Where the Hessian is formed, its Cholesky factor is the
//! preconditioner, and one inner step is the Newton step. Where it is large, its diagonal is, and an
//! inner step costs one pass over the rows. Where it is singular or indefinite (collinear columns,
//! non-convex losses), Steihaug's method follows the curvature there is: it never divides by a
//! negative one, and from zero it moves only in the space the gradients span.
//!
//! Sources: Steihaug 1983; Conn, Gould & Toint 2000, §7.5.1 (the preconditioned recurrences);
//! Lin, Weng & Keerthi 2008 (the method for logistic regression).

use super::cholesky::Cholesky;
use super::objective::{At, Curvature, Objective};
use super::{Diagnostics, StopReason};
use crate::data::Scalar;
use crate::{Error, Progress, Result, Run};

/// Relative gap to the minimum, as estimated by the quadratic model, at which the solver takes one last
/// step and stops. A tenth of the 10⁻⁹ that is promised; the last step squares what is left.
pub(super) const GAP: f64 = 1e-10;

/// Share of the predicted decrease below which a step is refused; the usual small number.
const ACCEPT: f64 = 1e-4;

/// Most inner steps for one outer step; reached only by nearly singular problems.
const MAX_INNER: usize = 1000;

/// A change of the objective below this share of it is rounding: thousands of rows are added up.
pub(super) const ROUNDING: f64 = 1e-13;

/// The minimum, and how it was found.
pub(super) struct Solution {
    pub(super) theta: Vec<f64>,
    /// The last step towards it.
    pub(super) last_step: Vec<f64>,
    pub(super) diagnostics: Diagnostics,
}

/// Minimises the objective, starting at `theta`.
pub(super) fn minimise<F: Scalar>(
    objective: &Objective<'_, F>,
    mut theta: Vec<f64>,
    max_iterations: usize,
    run: &Run,
) -> Result<Solution> {
    let mut at = objective.at(&theta);
    if !at.value.is_finite() {
        let remedy = "offsets, weights or features are too large to add up; scale them";
        return Err(Error::Numerical {
            what: "the objective at the start".into(),
            value: at.value,
            remedy,
        });
    }
    let mut preconditioner = Preconditioner::new(objective, &at)?;
    let mut slope = preconditioner.norm(&at.gradient);
    let first_slope = slope;
    // Ten Newton steps, if the preconditioner were the Hessian: no bound, until a step fails.
    let mut radius = 10.0 * slope;
    let mut passes = 1;
    let mut rank_deficient = preconditioner.singular;
    let mut last_step = vec![0.0; theta.len()];
    let mut stop = StopReason::IterationLimit;
    let mut iterations = 0;

    while iterations < max_iterations {
        iterations += 1;
        // The closer to the minimum, the more exactly Newton's equation is solved; far away a tenth
        // is enough. With the Hessian at hand the inner steps are cheap: solve it exactly.
        let forcing =
            if objective.forms_hessian() { 1e-10 } else { (slope / first_slope).clamp(1e-3, 0.1) };
        let step = conjugate_gradients(objective, &at, &preconditioner, radius, forcing);
        passes += if objective.forms_hessian() { 0 } else { step.products };

        let target = GAP * at.value.abs();
        let converged = step.decrease <= target && !step.on_boundary;
        run.report(&Progress::Iteration {
            iteration: iterations,
            objective: at.value,
            gap: step.decrease,
            target,
        })?;
        let candidate: Vec<f64> = theta.iter().zip(&step.direction).map(|(t, s)| t + s).collect();
        let next = objective.at(&candidate);
        passes += 1;

        let gained = at.value - next.value;
        let rounding = ROUNDING * at.value.abs();
        let accepted = next.value.is_finite()
            && (gained >= ACCEPT * step.decrease || (converged && gained >= -rounding));
        if accepted {
            if step.on_boundary && gained > 0.75 * step.decrease {
                radius *= 4.0;
            }
            (theta, at, last_step) = (candidate, next, step.direction);
            objective.check_separation(&at)?;
            preconditioner = Preconditioner::new(objective, &at)?;
            passes += usize::from(!objective.forms_hessian());
            rank_deficient |= preconditioner.singular;
            slope = preconditioner.norm(&at.gradient);
        } else {
            radius = 0.25 * step.length;
        }
        if converged {
            stop = StopReason::Converged;
            break;
        }
        if !accepted && step.decrease <= rounding {
            stop = StopReason::Rounding;
            break;
        }
    }
    let gradient_norm = at.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let diagnostics = Diagnostics {
        objective: at.value,
        gradient_norm,
        iterations,
        passes,
        rank_deficient,
        stop,
    };
    Ok(Solution { theta, last_step, diagnostics })
}

struct Step {
    direction: Vec<f64>,
    /// By how much the quadratic model falls.
    decrease: f64,
    /// Its length in the norm of the preconditioner.
    length: f64,
    on_boundary: bool,
    /// Products with the Hessian that were needed.
    products: usize,
}

/// Minimises gᵀs + ½ sᵀHs over ‖s‖ ≤ `radius` in the norm of the preconditioner M, until the
/// residual, in the norm of M⁻¹, is below `forcing` times the gradient.
fn conjugate_gradients<F: Scalar>(
    objective: &Objective<'_, F>,
    at: &At,
    preconditioner: &Preconditioner,
    radius: f64,
    forcing: f64,
) -> Step {
    let mut s = vec![0.0; at.gradient.len()];
    let mut residual = at.gradient.clone(); // g + Hs
    let mut z = preconditioner.solve(&residual);
    let mut direction: Vec<f64> = z.iter().map(|z| -z).collect();
    // ‖s‖², sᵀMd and ‖d‖² in the norm of M, by recurrences that need no product with M.
    let (mut ss, mut sd, mut dd) = (0.0, 0.0, dot(&residual, &z));
    let mut rz = dd;
    let goal = forcing * forcing * rz;
    let mut products = 0;
    let mut on_boundary = false;

    while products < MAX_INNER && rz > 0.0 {
        let hd = objective.hessian_vector(at, &direction);
        products += 1;
        let curvature = dot(&direction, &hd);
        let alpha = rz / curvature;
        // To the boundary, if the curvature is not positive or the step would cross it.
        on_boundary = !(curvature > 0.0 && ss + alpha * (2.0 * sd + alpha * dd) < radius * radius);
        let alpha = if on_boundary {
            let root = (sd * sd + dd * (radius * radius - ss)).max(0.0).sqrt();
            (root - sd) / dd
        } else {
            alpha
        };
        add(&mut s, alpha, &direction);
        add(&mut residual, alpha, &hd);
        ss += alpha * (2.0 * sd + alpha * dd);
        if on_boundary {
            break;
        }
        z = preconditioner.solve(&residual);
        let rz_next = dot(&residual, &z);
        if rz_next <= goal {
            break;
        }
        let beta = rz_next / rz;
        direction.iter_mut().zip(&z).for_each(|(d, z)| *d = beta * *d - z);
        sd = beta * (sd + alpha * dd);
        dd = rz_next + beta * beta * dd;
        rz = rz_next;
    }
    // gᵀs + ½ sᵀHs = ½ sᵀ(g + residual).
    let decrease = -0.5 * (dot(&s, &at.gradient) + dot(&s, &residual));
    Step { direction: s, decrease, length: ss.max(0.0).sqrt(), on_boundary, products }
}

/// An approximation M of the Hessian that is positive definite and easy to invert.
struct Preconditioner {
    kind: Kind,
    /// Whether the Hessian was formed and found singular or indefinite.
    singular: bool,
}

enum Kind {
    /// The Hessian itself.
    Cholesky(Cholesky),
    /// Its diagonal.
    Diagonal(Vec<f64>),
}

impl Preconditioner {
    fn new<F: Scalar>(objective: &Objective<'_, F>, at: &At) -> Result<Self> {
        let diagonal = objective.diagonal(at);
        if let Some(column) = diagonal.iter().position(|entry| !entry.is_finite()) {
            return Err(Error::Numerical {
                what: format!("the sum of squares of column {column}"),
                value: diagonal[column],
                remedy: "scale the column down",
            });
        }
        let Curvature::Formed(hessian) = &at.curvature else {
            return Ok(Self { kind: Self::from_diagonal(&diagonal), singular: false });
        };
        Ok(match Cholesky::new(hessian) {
            Ok(factor) => Self { kind: Kind::Cholesky(factor), singular: false },
            Err(_) => Self { kind: Self::from_diagonal(&diagonal), singular: true },
        })
    }

    /// An entry of zero (a column of zeros without penalty) or below (a loss that is not convex) is
    /// replaced by its size, or by 1: any positive number keeps M positive definite.
    fn from_diagonal(diagonal: &[f64]) -> Kind {
        let usable = |&entry: &f64| if entry == 0.0 { 1.0 } else { entry.abs() };
        Kind::Diagonal(diagonal.iter().map(usable).collect())
    }

    /// M⁻¹ r.
    fn solve(&self, r: &[f64]) -> Vec<f64> {
        match &self.kind {
            Kind::Diagonal(diagonal) => r.iter().zip(diagonal).map(|(r, m)| r / m).collect(),
            Kind::Cholesky(factor) => factor.solve(r),
        }
    }

    /// The norm of a gradient in M⁻¹.
    fn norm(&self, gradient: &[f64]) -> f64 {
        dot(gradient, &self.solve(gradient)).max(0.0).sqrt()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, term: &[f64]) {
    sum.iter_mut().zip(term).for_each(|(sum, term)| *sum += factor * term);
}
