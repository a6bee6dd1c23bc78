//! Newton's method in a trust region, with preconditioned conjugate gradients inside.
//!
//! One loop serves every case. Where the Hessian is formed, its Cholesky factor is the preconditioner, and one
//! inner step is the Newton step. Where it is too large to form, the preconditioner is its diagonal with the
//! block of the most frequent columns; an inner step then costs one pass over the rows, and a search along the
//! outer step costs none. Where the Hessian is singular or indefinite (collinear columns, non-convex losses),
//! Steihaug's method never divides by a negative curvature, and from zero it moves only in the space that the
//! gradients span.
//!
//! Sources: Steihaug 1983; Conn, Gould & Toint 2000, §7.5.1 (the preconditioned recurrences);
//! Lin, Weng & Keerthi 2008 (the method for logistic regression); Eisenstat & Walker 1996, Nash & Sofer
//! 1990, Strakoš & Tichý 2002, Meurant & Tichý 2013 (how exactly to solve each model, and how to tell).

use super::cholesky::Cholesky;
use super::objective::{At, Curvature, Objective, ensure_slopes};
use super::separation::SeparationCheck;
use super::{Collinearity, Diagnostics, StopReason, collinearity, line_search};
use crate::core::{Error, Progress, Result, Run};

/// Relative gap to the minimum, as estimated by the quadratic model, at which the solver takes one last
/// step and stops. A tenth of the promised 10⁻⁹; the last step squares the gap.
pub(super) const GAP: f64 = 1e-10;

/// The promised gap in multiples of [`GAP`].
const PROMISE: f64 = 10.0;

/// Share of the predicted decrease below which a step is refused; the usual small number.
const ACCEPT: f64 = 1e-4;

/// Maximum number of inner steps for one outer step; only nearly singular problems reach it.
const MAX_INNER: usize = 1000;

/// A change of the objective below this share of it is rounding: thousands of rows are added up.
pub(super) const ROUNDING: f64 = 1e-13;

/// Share of its whole decrease to which the quadratic model is solved: loosely far from the minimum, where the
/// model has few true digits, and tightly near it.
const LOOSE: f64 = 0.1;
const TIGHT: f64 = 1e-3;

/// The share where the Hessian is formed, so that inner steps are cheap.
const EXACT: f64 = 1e-12;

/// Minimum number of inner steps before progress is believed to have ended: the first steps may gain little
/// because they start along the wrong columns.
const LEAST_INNER: usize = 10;

/// The minimum, and how it was found.
pub(super) struct Solution {
    pub(super) theta: Vec<f64>,
    pub(super) diagnostics: Diagnostics,
}

/// Minimises the objective, starting at `theta`, to within `gap` of its minimum, relatively.
pub(super) fn minimise(
    objective: &Objective<'_>,
    mut theta: Vec<f64>,
    gap: f64,
    max_iterations: usize,
    run: &Run,
) -> Result<Solution> {
    let formed = objective.forms_hessian();
    let separation = SeparationCheck::new(objective);
    let mut at = objective.at(&theta);
    if !at.value.is_finite() {
        let remedy = "offsets, weights or features are too large to add up; scale them";
        return Err(Error::Numerical {
            what: "the objective at the start".into(),
            value: at.value,
            remedy,
        });
    }
    ensure_slopes(objective.loss(), at.gradient.iter().copied())?;
    let frequent = if formed { Vec::new() } else { objective.design.frequent_columns() };
    let mut preconditioner = Preconditioner::new(objective, &at, &frequent)?;
    // Ten Newton steps, if the preconditioner were the Hessian: no bound, until a step fails.
    let mut radius = 10.0 * preconditioner.norm(&at.gradient);
    let mut passes = 1;
    let mut share = if formed { EXACT } else { LOOSE };
    let mut last_step = vec![0.0; theta.len()];
    let mut stop = StopReason::IterationLimit;
    let mut iterations = 0;

    while iterations < max_iterations {
        iterations += 1;
        let target = gap * at.value.abs();
        let step = conjugate_gradients(objective, &at, &preconditioner, radius, share, target);
        passes += if formed { 0 } else { step.products };

        let converged = step.solved && step.decrease <= target;
        run.report(&Progress::Iteration {
            iteration: iterations,
            objective: at.value,
            gap: step.decrease,
            target,
        })?;
        let Step { direction, moves, on_boundary, .. } = &step;
        let length = if formed || converged {
            1.0
        } else {
            // Where classes may be separated a step is not lengthened: a diverging logit must still move
            // visibly at the end.
            let whole = *on_boundary || separation.is_possible();
            let farthest = if whole { 1.0 } else { line_search::FARTHEST };
            line_search::best_length(objective, &at, &theta, direction, moves, farthest)
        };
        let taken: Vec<f64> = direction.iter().map(|s| length * s).collect();
        let candidate: Vec<f64> = theta.iter().zip(&taken).map(|(t, s)| t + s).collect();
        // The Hessian of the last point is not needed.
        let next = if converged {
            objective.at_without_curvature(&candidate)
        } else {
            objective.at_moved(&at, &candidate, moves, length)
        };
        passes += 1;

        let gained = at.value - next.value;
        let rounding = ROUNDING * at.value.abs();
        let accepted = next.value.is_finite()
            && (gained >= ACCEPT * step.decrease || (converged && gained >= -rounding));
        if accepted {
            (theta, at, last_step) = (candidate, next, taken);
            ensure_slopes(objective.loss(), at.gradient.iter().copied())?;
            separation.ensure_not_complete(objective, &at)?;
        }
        if converged {
            stop = StopReason::Converged;
            break;
        }
        if accepted {
            if step.on_boundary && gained > 0.75 * step.decrease {
                radius *= 4.0;
            }
            // The next model is solved to the share by which this one missed the gain (Eisenstat & Walker
            // 1996, choice 1).
            if !formed {
                share = (gained / step.decrease - 1.0).abs().clamp(TIGHT, LOOSE);
            }
            preconditioner = Preconditioner::new(objective, &at, &frequent)?;
            passes += usize::from(!formed);
        } else if step.decrease <= rounding {
            stop = StopReason::Rounding;
            break;
        } else {
            radius = 0.25 * step.length;
        }
    }
    separation.ensure_not_quasi_complete(objective, &last_step)?;
    // A Hessian that could be factored has full rank.
    let collinearity = match preconditioner.kind {
        Kind::Cholesky(_) => Collinearity::Absent,
        _ => collinearity::look(objective, |_| true),
    };
    let gradient_norm = finite_norm(at.gradient.iter().copied())?;
    let diagnostics =
        Diagnostics { objective: at.value, gradient_norm, iterations, passes, collinearity, stop };
    Ok(Solution { theta, diagnostics })
}

pub(super) struct Step {
    pub(super) direction: Vec<f64>,
    /// What the direction adds to each logit, where the Hessian is not formed.
    moves: Vec<f64>,
    /// By how much the quadratic model falls.
    decrease: f64,
    /// Its length in the norm of the preconditioner.
    length: f64,
    on_boundary: bool,
    /// Whether the model was solved to the share or to the target.
    solved: bool,
    /// Products with the Hessian that were needed.
    products: usize,
}

/// Minimises gᵀs + ½ sᵀHs over ‖s‖ ≤ `radius` in the norm of the preconditioner M, until the remaining decrease
/// is below `share` of the decrease so far, or the sum of both is below `target`.
///
/// Far from the minimum the remaining decrease is estimated from the progress: conjugate gradients gain
/// ½ αⱼ ‖rⱼ‖² in step j, and four times the gain of the last quarter of the steps is more than all later gains
/// if gains fall like a geometric series or like 1/j³. A residual is a worse measure: where H is
/// ill-conditioned, a small residual hides a large gap. (Strakoš & Tichý 2002 for the sums; Nash & Sofer 1990
/// for the rule.)
///
/// Near the minimum progress may pause and resume, and the gap must be known. The least eigenvalue μ of M⁻¹H,
/// which λ bounds from below, gives the Gauss–Radau bound ½ γⱼ ‖rⱼ‖² on the remaining decrease, with γ₀ = 1/μ
/// and γⱼ₊₁ = (γⱼ − αⱼ)/(μ(γⱼ − αⱼ) + βⱼ₊₁) (Meurant & Tichý 2013). It must be below the promised 10⁻⁹.
pub(super) fn conjugate_gradients(
    objective: &Objective<'_>,
    at: &At,
    preconditioner: &Preconditioner,
    radius: f64,
    share: f64,
    target: f64,
) -> Step {
    let mut s = vec![0.0; at.gradient.len()];
    let mut residual = at.gradient.clone(); // g + Hs
    let mut z = preconditioner.solve(&residual);
    let mut direction: Vec<f64> = z.iter().map(|z| -z).collect();
    // ‖s‖², sᵀMd and ‖d‖² in the norm of M, by recurrences that need no product with M.
    let (mut ss, mut sd, mut dd) = (0.0, 0.0, dot(&residual, &z));
    let mut rz = dd;
    let nothing = EXACT * EXACT * rz;
    let mut decreases = vec![0.0];
    let floor = preconditioner.floor;
    let mut radau = 1.0 / floor;
    let mut on_boundary = false;
    let mut solved = rz == 0.0;
    let rows = if objective.forms_hessian() { 0 } else { objective.design.features().nrows() };
    let [mut moves, mut moves_of_direction] = [vec![0.0; rows], vec![0.0; rows]];

    while decreases.len() <= MAX_INNER && !solved && !on_boundary {
        let hd = objective.hessian_vector(at, &direction, &mut moves_of_direction);
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
        add(&mut moves, alpha, &moves_of_direction);
        add(&mut residual, alpha, &hd);
        ss += alpha * (2.0 * sd + alpha * dd);
        // gᵀs + ½ sᵀHs = ½ sᵀ(g + residual).
        decreases.push(-0.5 * (dot(&s, &at.gradient) + dot(&s, &residual)));
        z = preconditioner.solve(&residual);
        let rz_next = dot(&residual, &z);
        let beta = rz_next / rz;
        let rest = (radau - alpha).max(0.0);
        radau = rest / (floor * rest + beta);
        let certain = floor == 0.0 || 0.5 * radau * rz_next <= PROMISE * target;
        solved =
            !on_boundary && (rz_next <= nothing || is_solved(&decreases, share, target, certain));
        direction.iter_mut().zip(&z).for_each(|(d, z)| *d = beta * *d - z);
        sd = beta * (sd + alpha * dd);
        dd = rz_next + beta * beta * dd;
        rz = rz_next;
    }
    let (decrease, products) = (decreases[decreases.len() - 1], decreases.len() - 1);
    let length = ss.max(0.0).sqrt();
    Step { direction: s, moves, decrease, length, on_boundary, solved, products }
}

/// Whether the remaining decrease is small, from the decreases after each inner step (0 first); near the
/// minimum it must be `certain`, too.
fn is_solved(decreases: &[f64], share: f64, target: f64, certain: bool) -> bool {
    let steps = decreases.len() - 1;
    let decrease = decreases[steps];
    let quarter = steps.div_ceil(4);
    let left = (decrease - decreases[steps - quarter]) * steps as f64 / quarter as f64;
    if decrease > target {
        left <= share * decrease
    } else {
        certain && steps >= LEAST_INNER && left <= target
    }
}

/// An approximation M of the Hessian H that is positive definite and easy to invert.
pub(super) struct Preconditioner {
    kind: Kind,
    /// A lower bound of the least eigenvalue of M⁻¹H; 0 where none is known.
    floor: f64,
}

enum Kind {
    /// The Hessian itself.
    Cholesky(Cholesky),
    /// Its block of the frequent columns, the intercept among them, and its diagonal for the others.
    Frequent { block: Cholesky, columns: Vec<usize>, diagonal: Vec<f64> },
    /// Its diagonal: where it is not formed, or found singular or indefinite.
    Diagonal(Vec<f64>),
}

impl Preconditioner {
    pub(super) fn new(objective: &Objective<'_>, at: &At, frequent: &[usize]) -> Result<Self> {
        let diagonal = objective.diagonal(at);
        if let Some(column) = diagonal.iter().position(|entry| !entry.is_finite()) {
            return Err(Error::Numerical {
                what: format!("the sum of squares of column {column}"),
                value: diagonal[column],
                remedy: "scale the column down",
            });
        }
        if let Curvature::Formed(hessian) = &at.curvature
            && let Ok(factor) = Cholesky::new(hessian)
        {
            return Ok(Self { kind: Kind::Cholesky(factor), floor: 0.0 });
        }
        let floor = least_eigenvalue(objective, &diagonal);
        if let Some(block) = objective.frequent_block(at, frequent)
            && let Ok(block) = Cholesky::new(&block)
        {
            let intercept = objective.design.columns()..objective.parameters();
            let columns = frequent.iter().copied().chain(intercept).collect();
            let kind = Kind::Frequent { block, columns, diagonal: positive(diagonal) };
            return Ok(Self { kind, floor });
        }
        Ok(Self { kind: Kind::Diagonal(positive(diagonal)), floor })
    }

    /// M⁻¹ r.
    fn solve(&self, r: &[f64]) -> Vec<f64> {
        match &self.kind {
            Kind::Diagonal(diagonal) => r.iter().zip(diagonal).map(|(r, m)| r / m).collect(),
            Kind::Cholesky(factor) => factor.solve(r),
            Kind::Frequent { block, columns, diagonal } => {
                let mut solved: Vec<f64> = r.iter().zip(diagonal).map(|(r, m)| r / m).collect();
                let part: Vec<f64> = columns.iter().map(|&column| r[column]).collect();
                for (&column, z) in columns.iter().zip(block.solve(&part)) {
                    solved[column] = z;
                }
                solved
            }
        }
    }

    /// The norm of a gradient in M⁻¹.
    pub(super) fn norm(&self, gradient: &[f64]) -> f64 {
        dot(gradient, &self.solve(gradient)).max(0.0).sqrt()
    }
}

/// An entry of zero (a column of zeros without penalty) or below (a loss that is not convex) is replaced by its
/// size, or by 1: any positive number keeps M positive definite.
fn positive(diagonal: Vec<f64>) -> Vec<f64> {
    let usable = |entry: f64| if entry == 0.0 { 1.0 } else { entry.abs() };
    diagonal.into_iter().map(usable).collect()
}

/// A lower bound of the least eigenvalue of M⁻¹H under a convex loss, with M the diagonal of H, a block of H
/// beside it or not: λ/(4T), T the sum of the diagonal over the columns.
///
/// For a step v of the columns and b of the intercept, with c² = b² Σh, the curvature is at least λ|v|²,
/// and at least λ|v|² + (c − √T|v|)², whose minimum over |v| is c²λ/(λ + T); so at least half the sum of
/// both. In M the step measures at most 2(T|v|² + c²).
fn least_eigenvalue(objective: &Objective<'_>, diagonal: &[f64]) -> f64 {
    if objective.l2() == 0.0 {
        return 0.0; // also where there are no columns
    }
    let sum: f64 = diagonal[..objective.design.columns()].iter().map(|entry| entry.abs()).sum();
    if sum > 0.0 { objective.l2() / (4.0 * sum) } else { 0.0 }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(sum: &mut [f64], factor: f64, term: &[f64]) {
    sum.iter_mut().zip(term).for_each(|(sum, term)| *sum += factor * term);
}

/// The Euclidean norm, also of numbers whose squares leave the range of `f64`.
pub(super) fn finite_norm(gradient: impl Iterator<Item = f64> + Clone) -> Result<f64> {
    let norm = norm(gradient);
    if norm.is_finite() {
        return Ok(norm);
    }
    Err(Error::Numerical {
        what: "the norm of the gradient at the last step".into(),
        value: norm,
        remedy: "weights or features are too large to add up; scale them",
    })
}

fn norm(v: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = v.clone().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        0.0
    } else {
        largest * v.map(|x| (x / largest).powi(2)).sum::<f64>().sqrt()
    }
}
