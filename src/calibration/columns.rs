//! Logistic regression on one or two functions of a score, with coefficients held at 0 or above.

use faer::Mat;

use super::newton::{At, Minimum, minimise, total};
use super::{Parameter, Scored};
use crate::linalg::sandwich;
use crate::{Result, parallel};

/// The maximum of the likelihood of log-odds Σ θⱼ xⱼ + c over θ ≥ 0.
pub(super) struct Columns<const D: usize> {
    pub(super) coefficients: [f64; D],
    /// 0 where there is none.
    pub(super) intercept: f64,
    covariance: Mat<f64>,
    held: Vec<bool>,
    pub(super) iterations: usize,
}

struct Row<const D: usize> {
    x: [f64; D],
    /// Its sign is the label.
    weight: f64,
}

impl<const D: usize> Columns<D> {
    /// Fits the columns `of` the logits, with a free intercept or none; rows without weight are left out.
    /// Columns must be finite, and not all proportional.
    pub(super) fn fit(
        scored: &Scored<'_>,
        intercept: bool,
        of: impl Fn(f64) -> [f64; D],
    ) -> Result<Self> {
        let mut rows: Vec<Row<D>> = Vec::with_capacity(scored.rows());
        let labelled = scored.logits().iter().zip(scored.labels()).enumerate();
        rows.extend(labelled.filter_map(|(row, (&z, &label))| {
            let weight = scored.weight(row);
            let signed = if label { weight } else { -weight };
            (weight > 0.0).then(|| Row { x: of(z), weight: signed })
        }));

        // Newton's method does not mind the units, but its arithmetic does: columns of mean 0 (where
        // an intercept can take up the mean) and mean square 1.
        let weight: f64 = rows.iter().map(|row| row.weight.abs()).sum();
        let mean_of = |of: &dyn Fn(&Row<D>) -> f64| {
            rows.iter().map(|row| row.weight.abs() * of(row)).sum::<f64>() / weight
        };
        let centre: [f64; D] =
            if intercept { std::array::from_fn(|j| mean_of(&|row| row.x[j])) } else { [0.0; D] };
        let unit: [f64; D] = std::array::from_fn(|j| {
            let unit = mean_of(&|row| (row.x[j] - centre[j]).powi(2)).sqrt();
            if unit > 0.0 { unit } else { 1.0 }
        });
        for row in &mut rows {
            row.x = std::array::from_fn(|j| (row.x[j] - centre[j]) / unit[j]);
        }

        let parameters = D + usize::from(intercept);
        let mut start = vec![0.0; parameters];
        let mut lower = vec![0.0; parameters];
        if intercept {
            start[D] = scored.totals().log_odds();
            lower[D] = f64::NEG_INFINITY;
        }
        let found = minimise(start, &lower, |theta| objective(&rows, theta))?;
        Ok(Self::in_units(&found, centre, unit))
    }

    /// From standardised columns back to the ones given: c = c̃ − Σ θ̃ⱼ mⱼ/sⱼ.
    fn in_units(found: &Minimum, centre: [f64; D], unit: [f64; D]) -> Self {
        let n = found.theta.len();
        let back = Mat::from_fn(n, n, |i, j| match (i == D, j == D) {
            (true, false) => -centre[j] / unit[j],
            (false, false) if i == j => 1.0 / unit[j],
            (true, true) => 1.0,
            _ => 0.0,
        });
        let theta = |i: usize| (0..n).map(|j| back[(i, j)] * found.theta[j]).sum::<f64>();
        Self {
            coefficients: std::array::from_fn(theta),
            intercept: if n > D { theta(D) } else { 0.0 },
            covariance: sandwich(&back, &found.covariance),
            held: found.held.clone(),
            iterations: found.iterations,
        }
    }

    /// The coefficient as a parameter of that name.
    pub(super) fn parameter(&self, j: usize, name: &str) -> Parameter {
        let error = (!self.held[j]).then(|| self.covariance[(j, j)].sqrt());
        Parameter::new(name, self.coefficients[j], error.filter(|e| e.is_finite()))
    }

    /// The standard error of the intercept.
    pub(super) fn intercept_error(&self) -> Option<f64> {
        (self.held.len() > D).then(|| self.covariance[(D, D)].sqrt()).filter(|e| e.is_finite())
    }

    /// Whether a coefficient is at 0, and would be below if it could.
    pub(super) fn held(&self, j: usize) -> bool {
        self.held[j]
    }
}

/// The negative log-likelihood of the standardised rows.
fn objective<const D: usize>(rows: &[Row<D>], theta: &[f64]) -> At {
    let n = theta.len();
    let blocks = parallel::map(rows.len(), parallel::sum_block(rows.len(), 1), |_, range| {
        // One more than the columns, for the intercept: its column is 1.
        let (mut value, mut gradient, mut hessian) = (0.0, [[0.0; 2]; D], [[0.0; D]; D]);
        let (mut gradient_1, mut hessian_1) = (0.0, 0.0);
        let intercept = theta.get(D).copied().unwrap_or(0.0);
        for Row { x, weight: signed } in &rows[range] {
            let weight = signed.abs();
            let eta = (0..D).map(|j| theta[j] * x[j]).sum::<f64>() + intercept;
            let toward = if *signed > 0.0 { eta } else { -eta };
            // One exponential for the value and both derivatives.
            let e = (-toward.abs()).exp();
            let wrong = if toward >= 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) };
            value += weight * ((-toward).max(0.0) + e.ln_1p());
            let pull = -signed * wrong;
            let curve = weight * e / ((1.0 + e) * (1.0 + e));
            gradient_1 += pull;
            hessian_1 += curve;
            for j in 0..D {
                gradient[j][0] += pull * x[j];
                gradient[j][1] += curve * x[j];
                for k in 0..=j {
                    hessian[j][k] += curve * x[j] * x[k];
                }
            }
        }
        At {
            value,
            gradient: (0..n).map(|j| if j < D { gradient[j][0] } else { gradient_1 }).collect(),
            hessian: Mat::from_fn(n, n, |i, j| {
                let (i, j) = (i.max(j), i.min(j));
                match (i < D, j < D) {
                    (true, _) => hessian[i][j],
                    (false, true) => gradient[j][1],
                    (false, false) => hessian_1,
                }
            }),
        }
    });
    total(n, blocks)
}

/// ln p and −ln(1 − p) of the probability σ(z), without rounding it.
#[inline]
pub(super) fn log_parts(z: f64) -> (f64, f64) {
    let rest = (-z.abs()).exp().ln_1p();
    (z.min(0.0) - rest, z.max(0.0) + rest)
}

/// Whether the scores take at least `n` different values.
pub(super) fn at_least_distinct(scored: &Scored<'_>, n: usize) -> bool {
    let mut seen: Vec<f64> = Vec::with_capacity(n);
    for (row, &z) in scored.logits().iter().enumerate() {
        if scored.weight(row) > 0.0 && !seen.contains(&z) {
            seen.push(z);
            if seen.len() == n {
                return true;
            }
        }
    }
    false
}
